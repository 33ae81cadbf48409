/* SPDX-License-Identifier: Apache-2.0 */
/*
 * huge.c - see huge.h.
 */
#include "control/huge.h"

#include <stddef.h>
#include <string.h>
#include <sys/mman.h>

#define HUGE_PAGE (UINT64_C(2) << 20)

static uint64_t whole_pages(uint64_t bytes)
{
	return (bytes + HUGE_PAGE - 1) & ~(HUGE_PAGE - 1);
}

void *huge_map(uint64_t bytes)
{
	void *memory = mmap(NULL, whole_pages(bytes), PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB | MAP_POPULATE, -1, 0);

	return memory == MAP_FAILED ? NULL : memory;
}

void *huge_ask_map(uint64_t bytes)
{
	uint64_t whole = whole_pages(bytes), before;
	uint8_t *memory = mmap(NULL, whole + HUGE_PAGE, PROT_READ | PROT_WRITE,
			       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (memory == MAP_FAILED)
		return NULL;
	before = HUGE_PAGE - (uintptr_t)memory % HUGE_PAGE;
	munmap(memory, before);
	if (before < HUGE_PAGE)
		munmap(memory + before + whole, HUGE_PAGE - before);
	memory += before;
	(void)madvise(memory, whole, MADV_HUGEPAGE);
	/* Taken now, not in the middle of a request. */
	return memset(memory, 0, whole);
}

void huge_unmap(void *memory, uint64_t bytes)
{
	if (memory != NULL)
		munmap(memory, whole_pages(bytes));
}
