/* SPDX-License-Identifier: Apache-2.0 */
/*
 * arena.h - the large tables of a node's store (store_config.map), for many lives in a process:
 * memory that is asked of the system once. What a life has touched of its tables comes zeroed to
 * the next. The one large region, of values and versions, comes as the life before left it: its
 * blocks are never zeroed between two uses anyway, and who looked at what was there before would
 * be noticed. One node at a time; out of memory aborts.
 */
#ifndef ABAFT_TESTS_ARENA_H
#define ABAFT_TESTS_ARENA_H

#include <stdint.h>

/* A region of at least so much is not zeroed. */
#define ARENA_LARGE_BYTES (UINT64_C(16) << 20)

void *arena_map(uint64_t bytes);
void arena_unmap(void *memory, uint64_t bytes);

#endif
