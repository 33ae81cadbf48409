/* SPDX-License-Identifier: Apache-2.0 */
/* mapper.h - where the large tables' memory comes from: the world outside, or plain malloc. */
#ifndef ABAFT_CORE_MAPPER_H
#define ABAFT_CORE_MAPPER_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define MAPPER_ALIGN (2ull << 20)

struct mapper {
	void *(*map)(uint64_t bytes); /* NULL: aligned_alloc() */
	void (*unmap)(void *memory, uint64_t bytes);
};

static inline uint64_t mapper_round(uint64_t bytes)
{
	return (bytes + MAPPER_ALIGN - 1) / MAPPER_ALIGN * MAPPER_ALIGN;
}

/* Zeroed, 2 MiB aligned; NULL when there is none. */
static inline void *mapper_map(const struct mapper *mapper, uint64_t bytes)
{
	void *memory;

	if (mapper->map)
		return mapper->map(mapper_round(bytes));
	memory = aligned_alloc(MAPPER_ALIGN, mapper_round(bytes));
	return memory ? memset(memory, 0, bytes) : NULL;
}

static inline void mapper_unmap(const struct mapper *mapper, void *memory, uint64_t bytes)
{
	if (!memory)
		return;
	if (mapper->unmap)
		mapper->unmap(memory, mapper_round(bytes));
	else
		free(memory);
}

#endif
