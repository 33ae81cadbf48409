/* SPDX-License-Identifier: Apache-2.0 */
/* arena.c - see arena.h. */
#include "tests/sim/world/arena.h"

#include <stdbool.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "dataplane/core/mapper.h"

#define TABLES_BYTES (UINT64_C(512) << 20)
#define LARGE_BYTES  (UINT64_C(256) << 20)

static struct {
	uint8_t *tables, *large;
	uint64_t used;
	uint32_t blocks;
	bool large_used;
} arena;

static uint8_t *reserve(uint64_t bytes)
{
	uint8_t *p = mmap(NULL, bytes + MAPPER_ALIGN, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (p == MAP_FAILED)
		abort();
	return p + (MAPPER_ALIGN - (uintptr_t)p % MAPPER_ALIGN);
}

void *arena_map(uint64_t bytes)
{
	void *block;

	if (!arena.tables) {
		arena.tables = reserve(TABLES_BYTES);
		arena.large = reserve(LARGE_BYTES);
		/* Little of them is touched. */
		(void)madvise(arena.tables, TABLES_BYTES, MADV_NOHUGEPAGE);
	}
	if (bytes >= ARENA_LARGE_BYTES) {
		if (arena.large_used || bytes > LARGE_BYTES)
			abort();
		arena.large_used = true;
		return arena.large;
	}
	if (arena.used + bytes > TABLES_BYTES)
		abort();
	block = arena.tables + arena.used;
	arena.used += bytes;
	arena.blocks++;
	return block;
}

void arena_unmap(void *memory, uint64_t bytes)
{
	if (memory == arena.large) {
		arena.large_used = false;
		return;
	}
	if (madvise(memory, bytes, MADV_DONTNEED) < 0)
		abort();
	if (--arena.blocks == 0)
		arena.used = 0;
}
