/* SPDX-License-Identifier: Apache-2.0 */
/* memory.c - see memory.h. Spans are told from blocks by position: (block - base) >> 20. */
#include "dataplane/core/memory.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/core/lock.h"

struct span {
	struct span *prev, *next; /* in a class's partial list, or next in free_spans */
	void *free;		  /* free blocks, linked through their first word */
	uint32_t free_count;
	uint32_t class;
};

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
	uint8_t *block;

	if (!span)
		return NULL;
	memory->free_spans = span->next;
	memory->free_span_count--;
	span->class = class;
	span->free = NULL;
	span->free_count = class_blocks(class);
	block = span_base(memory, span) + (uint64_t)span->free_count * class_bytes(class);
	for (uint32_t i = 0; i < span->free_count; i++) {
		block -= class_bytes(class);
		*(void **)(void *)block = span->free;
		span->free = block;
	}
	partial_push(memory, span);
	return span;
}

static void span_put(struct memory *memory, void *block)
{
	struct span *span =
		&memory->spans[(uint64_t)((uint8_t *)block - memory->base) / MEMORY_SPAN_BYTES];

	*(void **)block = span->free;
	span->free = block;
	if (span->free_count++ == 0)
		partial_push(memory, span);
	if (span->free_count == class_blocks(span->class)) {
		partial_remove(memory, span);
		span->next = memory->free_spans;
		memory->free_spans = span;
		memory->free_span_count++;
	}
}

static void cache_refill(struct memory_cache *cache, uint32_t class)
{
	struct memory *memory = cache->memory;
	uint32_t want = class_cached(class) / 2;
	struct span *span;

	lock_take(&memory->lock);
	while (cache->class[class].count < want) {
		span = memory->partial[class];
		if (!span && memory->free_span_count > (cache->deleting ? 0 : memory->reserve))
			span = span_take(memory, class);
		if (!span)
			break;
		cache->class[class].blocks[cache->class[class].count++] = span->free;
		span->free = *(void **)span->free;
		if (--span->free_count == 0)
			partial_remove(memory, span);
	}
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

void memory_cache_flush(struct memory_cache *cache)
{
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
