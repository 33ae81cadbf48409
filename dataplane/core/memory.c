/* SPDX-License-Identifier: Apache-2.0 */
/* memory.c - see memory.h. Spans are told from blocks by position: (block - base) >> 20. */
#include "dataplane/core/memory.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/core/lock.h"

struct span {
	struct span *prev, *next;    /* in a class's partial list, or next in free_spans */
	void *free;		     /* free blocks, linked through their first word */
	_Atomic uint32_t free_count; /* read without the lock, too */
	uint32_t class;
};

static uint32_t span_free(const struct span *span)
{
	return atomic_load_explicit(&span->free_count, memory_order_relaxed);
}

static void span_free_set(struct span *span, uint32_t blocks)
{
	atomic_store_explicit(&span->free_count, blocks, memory_order_relaxed);
}

static uint32_t class_of(uint32_t bytes)
{
	uint32_t log2;

	if (bytes <= MEMORY_BLOCK_BYTES_MIN)
		return 0;
	log2 = 31 - (uint32_t)__builtin_clz(bytes - 1); /* 2^log2 < bytes <= 2^(log2+1) */
	return (log2 - 6) * 2 + (bytes > (3u << (log2 - 1)) ? 2 : 1);
}

static uint32_t class_bytes(uint32_t class)
{
	uint32_t base = 64u << (class / 2);

	return class % 2 ? base + base / 2 : base;
}

static uint32_t class_blocks(uint32_t class)
{
	return MEMORY_SPAN_BYTES / class_bytes(class);
}

/* Blocks a worker caches: 256 KiB worth, at least 2, an even number. */
static uint32_t class_cached(uint32_t class)
{
	uint32_t n = (256u << 10) / class_bytes(class);

	return n < 2 ? 2 : n > MEMORY_CACHE_BLOCKS ? MEMORY_CACHE_BLOCKS : n & ~1u;
}

uint32_t memory_block_bytes(uint32_t bytes)
{
	return class_bytes(class_of(bytes));
}

/*
 * After a refill of so many blocks, 0 if there were none; the lock. When what is left for the class
 * gets short, as many bytes should go, and up to four times as many the shorter it is: what goes
 * may be of other classes, and then is of use only as a whole span.
 */
static void debt_add(struct memory *memory, uint32_t class, uint64_t blocks)
{
	uint64_t low = memory->low, room = memory->class_free[class] * class_bytes(class);
	uint64_t debt = atomic_load_explicit(&memory->debt, memory_order_relaxed);

	if (memory->free_span_count > memory->reserve)
		room += (memory->free_span_count - memory->reserve) * MEMORY_SPAN_BYTES;
	if (room >= low)
		return;
	if (blocks == 0 || !memory->partial[class])
		atomic_fetch_add_explicit(&memory->spans_wanted, 1, memory_order_relaxed);
	if (debt >= 2 * low)
		return;
	debt = blocks > 0 ? blocks * class_bytes(class) * (low + 3 * (low - room)) / low : low;
	atomic_fetch_add_explicit(&memory->debt, debt, memory_order_relaxed);
}

int memory_init(struct memory *memory, const struct mapper *mapper, uint64_t bytes)
{
	uint64_t spans = bytes / MEMORY_SPAN_BYTES;

	if (spans == 0 || spans > UINT32_MAX)
		return -EINVAL;
	memset(memory, 0, sizeof(*memory));
	ck_spinlock_init(&memory->lock);
	memory->spans_total = (uint32_t)spans;
	memory->spans = calloc(spans, sizeof(*memory->spans));
	memory->base = mapper_map(mapper, spans * MEMORY_SPAN_BYTES);
	if (!memory->spans || !memory->base) {
		memory_fini(memory, mapper);
		return -ENOMEM;
	}
	for (uint64_t i = spans; i-- > 0;) {
		memory->spans[i].next = memory->free_spans;
		memory->free_spans = &memory->spans[i];
	}
	memory->free_span_count = spans;
	/* A delete needs a key, a version and a commit record: three classes. */
	memory->reserve = spans < 32 ? 0 : spans / 64 < 3 ? 3 : spans / 64;
	/* In a small region a sixteenth is not even a span for each class that grows. */
	memory->low = spans * MEMORY_SPAN_BYTES / (spans < 64 ? 4 : 16);
	if (spans < 64 && memory->low > 4 * MEMORY_SPAN_BYTES)
		memory->low = 4 * MEMORY_SPAN_BYTES;
	return 0;
}

void memory_fini(struct memory *memory, const struct mapper *mapper)
{
	mapper_unmap(mapper, memory->base, (uint64_t)memory->spans_total * MEMORY_SPAN_BYTES);
	free(memory->spans);
	memory->base = NULL;
	memory->spans = NULL;
}

void memory_cache_init(struct memory_cache *cache, struct memory *memory)
{
	memset(cache, 0, sizeof(*cache));
	cache->memory = memory;
}

static uint8_t *span_base(const struct memory *memory, const struct span *span)
{
	return memory->base + (uint64_t)(span - memory->spans) * MEMORY_SPAN_BYTES;
}

static void partial_push(struct memory *memory, struct span *span)
{
	struct span **head = &memory->partial[span->class];

	span->prev = NULL;
	span->next = *head;
	if (*head)
		(*head)->prev = span;
	*head = span;
}

static void partial_remove(struct memory *memory, struct span *span)
{
	if (span->prev)
		span->prev->next = span->next;
	else
		memory->partial[span->class] = span->next;
	if (span->next)
		span->next->prev = span->prev;
}

/* Cuts a free span into blocks of the class. */
static struct span *span_take(struct memory *memory, uint32_t class)
{
	struct span *span = memory->free_spans;
	uint32_t blocks = class_blocks(class);
	uint8_t *block;

	if (!span)
		return NULL;
	memory->free_spans = span->next;
	memory->free_span_count--;
	span->class = class;
	span->free = NULL;
	span_free_set(span, blocks);
	block = span_base(memory, span) + (uint64_t)blocks * class_bytes(class);
	for (uint32_t i = 0; i < blocks; i++) {
		block -= class_bytes(class);
		*(void **)(void *)block = span->free;
		span->free = block;
	}
	memory->class_free[class] += blocks;
	partial_push(memory, span);
	return span;
}

static void span_put(struct memory *memory, void *block)
{
	struct span *span =
		&memory->spans[(uint64_t)((uint8_t *)block - memory->base) / MEMORY_SPAN_BYTES];
	uint32_t blocks = span_free(span) + 1;

	memory->class_free[span->class]++;
	*(void **)block = span->free;
	span->free = block;
	span_free_set(span, blocks);
	if (blocks == 1)
		partial_push(memory, span);
	if (blocks == class_blocks(span->class)) {
		partial_remove(memory, span);
		memory->class_free[span->class] -= blocks;
		span->next = memory->free_spans;
		memory->free_spans = span;
		memory->free_span_count++;
	}
}

/* Of an empty class. */
static void cache_refill(struct memory_cache *cache, uint32_t class)
{
	struct memory *memory = cache->memory;
	uint32_t want = class_cached(class) / 2, taken = 0;
	struct span *span;

	lock_take(&memory->lock);
	for (; taken < want; taken++) {
		span = memory->partial[class];
		if (!span && memory->free_span_count > (cache->deleting ? 0 : memory->reserve))
			span = span_take(memory, class);
		if (!span)
			break;
		cache->class[class].blocks[cache->class[class].count++] = span->free;
		span->free = *(void **)span->free;
		span_free_set(span, span_free(span) - 1);
		if (span_free(span) == 0)
			partial_remove(memory, span);
	}
	memory->class_free[class] -= taken;
	debt_add(memory, class, taken);
	lock_give(&memory->lock);
}

static void cache_flush(struct memory_cache *cache, uint32_t class, uint32_t keep)
{
	struct memory *memory = cache->memory;

	lock_take(&memory->lock);
	while (cache->class[class].count > keep)
		span_put(memory, cache->class[class].blocks[--cache->class[class].count]);
	lock_give(&memory->lock);
}

bool memory_scattered(const struct memory_cache *cache)
{
	return atomic_load_explicit(&cache->memory->spans_wanted, memory_order_relaxed) !=
	       cache->spans_wanted;
}

void memory_cache_flush(struct memory_cache *cache)
{
	cache->spans_wanted =
		atomic_load_explicit(&cache->memory->spans_wanted, memory_order_relaxed);
	for (uint32_t class = 0; class < MEMORY_CLASSES; class ++)
		cache_flush(cache, class, 0);
}

void *memory_alloc(struct memory_cache *cache, uint32_t bytes)
{
	uint32_t class;

	if (bytes > MEMORY_SPAN_BYTES)
		return NULL;
	class = class_of(bytes);
	if (cache->class[class].count == 0)
		cache_refill(cache, class);
	if (cache->class[class].count == 0)
		return NULL;
	cache->bytes_used += class_bytes(class);
	return cache->class[class].blocks[--cache->class[class].count];
}

void memory_free(struct memory_cache *cache, void *block, uint32_t bytes)
{
	uint32_t class;

	if (!block)
		return;
	class = class_of(bytes);
	cache->bytes_used -= class_bytes(class);
	if (cache->class[class].count == class_cached(class))
		cache_flush(cache, class, class_cached(class) / 2);
	cache->class[class].blocks[cache->class[class].count++] = block;
}

void memory_give_back(struct memory_cache *cache, void *block, uint32_t bytes)
{
	cache->bytes_used -= memory_block_bytes(bytes);
	lock_take(&cache->memory->lock);
	span_put(cache->memory, block);
	lock_give(&cache->memory->lock);
}

bool memory_sparse(const struct memory *memory, const void *block)
{
	const struct span *span = &memory->spans[(uint64_t)((const uint8_t *)block - memory->base) /
						 MEMORY_SPAN_BYTES];

	return span_free(span) * 2 > class_blocks(span->class);
}

uint64_t memory_short(const struct memory *memory)
{
	return atomic_load_explicit(&memory->debt, memory_order_relaxed);
}

void memory_paid(struct memory *memory, uint64_t bytes)
{
	uint64_t debt = atomic_load_explicit(&memory->debt, memory_order_relaxed);

	while (debt > 0 && !atomic_compare_exchange_weak_explicit(
				   &memory->debt, &debt, debt > bytes ? debt - bytes : 0,
				   memory_order_relaxed, memory_order_relaxed))
		;
}
