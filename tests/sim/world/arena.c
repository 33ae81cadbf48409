/* SPDX-License-Identifier: Apache-2.0 */
/* arena.c - see arena.h. */
#include "tests/sim/world/arena.h"

#include <stdlib.h>
#include <sys/mman.h>

#include "dataplane/core/mapper.h"

#define ARENA_BYTES (UINT64_C(1) << 30)

static struct {
	uint8_t *base;
	uint64_t used;
	uint32_t blocks;
} arena;

void *arena_map(uint64_t bytes)
{
	void *block;

	if (!arena.base) {
		uint8_t *p = mmap(NULL, ARENA_BYTES + MAPPER_ALIGN, PROT_READ | PROT_WRITE,
				  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

		if (p == MAP_FAILED)
			abort();
		arena.base = p + (MAPPER_ALIGN - (uintptr_t)p % MAPPER_ALIGN);
		/* Little of it is touched. */
		(void)madvise(arena.base, ARENA_BYTES, MADV_NOHUGEPAGE);
	}
	if (arena.used + bytes > ARENA_BYTES)
		abort();
	block = arena.base + arena.used;
	arena.used += bytes;
	arena.blocks++;
	return block;
}

void arena_unmap(void *memory, uint64_t bytes)
{
	if (madvise(memory, bytes, MADV_DONTNEED) < 0)
		abort();
	if (--arena.blocks == 0)
		arena.used = 0;
}
