/* SPDX-License-Identifier: Apache-2.0 */
/*
 * huge.h - memory in huge pages of 2 MiB, for the store (store_config's map and unmap).
 */
#ifndef ABAFT_CONTROL_HUGE_H
#define ABAFT_CONTROL_HUGE_H

#include <stdint.h>

/* Zeroed, 2 MiB aligned, all there from the start; NULL when too few pages are set aside. */
void *huge_map(uint64_t bytes);
void huge_unmap(void *memory, uint64_t bytes);

#endif
