/* SPDX-License-Identifier: Apache-2.0 */
/*
 * arena.h - the large tables of a node's store (store_config.map), for thousands of lives in a
 * process: memory that is asked of the system once; what a life has touched is given back to it,
 * and comes zeroed again. One node at a time; out of memory aborts.
 */
#ifndef ABAFT_TESTS_ARENA_H
#define ABAFT_TESTS_ARENA_H

#include <stdint.h>

void *arena_map(uint64_t bytes);
void arena_unmap(void *memory, uint64_t bytes);

#endif
