/* SPDX-License-Identifier: Apache-2.0 */
/*
 * memory.h - the store's memory: one region taken at start, cut into 1 MiB spans of one size class.
 *
 * Each worker allocates from and frees into a cache of its own; only refills and flushes of half a
 * cache take the shared lock. A block may be freed by another worker than the one that allocated
 * it. A span whose blocks are all free goes back to the region, so no class keeps memory for ever.
 * The last spans are kept for deletes, so that a full store can be emptied.
 */
#ifndef ABAFT_CORE_MEMORY_H
#define ABAFT_CORE_MEMORY_H

#include <ck_spinlock.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dataplane/core/mapper.h"

#define MEMORY_SPAN_BYTES      (1u << 20)
#define MEMORY_BLOCK_BYTES_MIN 64u
/* 64, 96, 128, 192, ... 1 MiB: two classes each doubling. */
#define MEMORY_CLASSES	       29
#define MEMORY_CACHE_BLOCKS    64

struct span;

struct memory {
	uint8_t *base;
	uint32_t spans_total;
	struct span *spans;
	ck_spinlock_t lock; /* guards all below and the spans */
	struct span *free_spans;
	struct span *partial[MEMORY_CLASSES]; /* spans with free blocks */
	uint64_t free_span_count;
	uint64_t reserve; /* free spans that only deletes may take */
};

/* One worker's cache; owner thread only. */
struct memory_cache {
	struct memory *memory;
	bool deleting;	     /* may take from the reserve */
	uint64_t bytes_used; /* allocated less freed by this worker: may be negative in sum */
	struct {
		uint32_t count;
		void *blocks[MEMORY_CACHE_BLOCKS];
	} class[MEMORY_CLASSES];
};

/* 0, -EINVAL or -ENOMEM. */
int memory_init(struct memory *memory, const struct mapper *mapper, uint64_t bytes);
void memory_fini(struct memory *memory, const struct mapper *mapper);
void memory_cache_init(struct memory_cache *cache, struct memory *memory);
/* Gives all cached blocks back. */
void memory_cache_flush(struct memory_cache *cache);

/* A block of at least `bytes` (1 to 1 MiB), 64-byte aligned (32 for 65 to 96 bytes), or NULL when
 * the region is used up. */
void *memory_alloc(struct memory_cache *cache, uint32_t bytes) __attribute__((malloc));
/* `bytes` as it was allocated. NULL is allowed. */
void memory_free(struct memory_cache *cache, void *block, uint32_t bytes);

#endif
