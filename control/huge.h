/* SPDX-License-Identifier: Apache-2.0 */
/*
 * huge.h - memory in huge pages of 2 MiB, for the store (store_config's map and unmap): keys are
 * spread all over it, and with small pages almost every access would miss the TLB as well.
 */
#ifndef ABAFT_CONTROL_HUGE_H
#define ABAFT_CONTROL_HUGE_H

#include <stdint.h>

/* Zeroed, 2 MiB aligned, all there from the start; NULL when too few pages are set aside. */
void *huge_map(uint64_t bytes);
/* The same from ordinary memory, in huge pages if the kernel has them to give (transparent huge
 * pages set to `madvise` or `always`). NULL when there is not enough memory. */
void *huge_ask_map(uint64_t bytes);
/* What either of them returned. */
void huge_unmap(void *memory, uint64_t bytes);

#endif
