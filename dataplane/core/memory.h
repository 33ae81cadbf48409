/* SPDX-License-Identifier: Apache-2.0 */
/*
 * memory.h - the store's memory: one region taken at start, cut into 1 MiB spans of one size class.
 *
 * Each worker allocates from and frees into a cache of its own; only refills and flushes of half a
 * cache take the shared lock. A block may be freed by another worker than the one that allocated
 * it. A span whose blocks are all free goes back to the region, so no class keeps memory for ever.
 * The last spans are kept for deletes, so that a full store can be emptied.
 *
 * Blocks that could go (cached values, cache.h) leave room for others: memory_short() says how many
 * bytes of them should. When a class has less than a sixteenth of the region left, in its spans and
 * in free ones, whatever is taken from it adds to that. Spans with few free blocks are mostly
 * filled first, so as values come and go, what is free gathers in spans that end up all free.
 */
#ifndef ABAFT_CORE_MEMORY_H
#define ABAFT_CORE_MEMORY_H

#include <ck_spinlock.h>
#include <stdatomic.h>
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
	uint64_t reserve;		     /* free spans that only deletes may take */
	uint64_t low;			     /* bytes of room of a class that are little */
	uint64_t class_free[MEMORY_CLASSES]; /* blocks, in its spans */
	_Atomic uint64_t debt;		     /* bytes that should go; any thread */
	_Atomic uint64_t spans_wanted;	     /* times that a class needed one, and few were left */
};

/* One worker's cache; owner thread only. */
struct memory_cache {
	struct memory *memory;
	bool deleting;	       /* may take from the reserve */
	uint64_t spans_wanted; /* the memory's, when this was last flushed */
	uint64_t bytes_used;   /* allocated less freed by this worker: may be negative in sum */
	struct {
		uint32_t count;
		void *blocks[MEMORY_CACHE_BLOCKS];
	} class[MEMORY_CLASSES];
};

/* 0, -EINVAL or -ENOMEM. */
int memory_init(struct memory *memory, const struct mapper *mapper, uint64_t bytes);
void memory_fini(struct memory *memory, const struct mapper *mapper);
void memory_cache_init(struct memory_cache *cache, struct memory *memory);
/* Spans were wanted since this cache was flushed: its blocks may be all that keeps some from being
 * free. */
bool memory_scattered(const struct memory_cache *cache);
/* Gives all cached blocks back. */
void memory_cache_flush(struct memory_cache *cache);

/* A block of at least `bytes` (1 to 1 MiB), 64-byte aligned (32 for 65 to 96 bytes), or NULL when
 * the region is used up. */
void *memory_alloc(struct memory_cache *cache, uint32_t bytes) __attribute__((malloc));
/* `bytes` as it was allocated. NULL is allowed. */
void memory_free(struct memory_cache *cache, void *block, uint32_t bytes);
/* As memory_free(), but past the worker's cache: for what others need. */
void memory_give_back(struct memory_cache *cache, void *block, uint32_t bytes);
/* What a block of so many bytes takes. */
uint32_t memory_block_bytes(uint32_t bytes);

/* Most of the block's span is free: it may become all free. The block is allocated. Any thread. */
bool memory_sparse(const struct memory *memory, const void *block);
/* Bytes of blocks that should go so that others find room; 0: there is enough. Any thread. */
uint64_t memory_short(const struct memory *memory);
/* So many bytes are about to go. */
void memory_paid(struct memory *memory, uint64_t bytes);

#endif
