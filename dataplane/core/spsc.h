/* SPDX-License-Identifier: Apache-2.0 */
/*
 * spsc.h - a ck_ring of pointers from one thread to one other, that ThreadSanitizer understands.
 *
 * What the producer wrote before spsc_give() the consumer may read after spsc_take(): ck_ring's
 * enqueue puts a store fence between the item and the tail, its dequeue a load fence between the
 * tail and the item. A ring of n slots holds n - 1 items; n is a power of two.
 */
#ifndef ABAFT_CORE_SPSC_H
#define ABAFT_CORE_SPSC_H

#include <ck_ring.h>
#include <stdbool.h>
#include <stddef.h>

/* ck_ring's fences and stores are assembly, which ThreadSanitizer does not see: it is told of them
 * in words, and looks away while ck_ring works on its own fields. */
#ifdef __has_feature
#if __has_feature(thread_sanitizer)
#define SPSC_TSAN 1
#endif
#elif defined(__SANITIZE_THREAD__)
#define SPSC_TSAN 1
#endif
#ifdef SPSC_TSAN
void __tsan_acquire(void *addr);
void __tsan_release(void *addr);
void AnnotateIgnoreReadsBegin(const char *file, int line);
void AnnotateIgnoreReadsEnd(const char *file, int line);
void AnnotateIgnoreWritesBegin(const char *file, int line);
void AnnotateIgnoreWritesEnd(const char *file, int line);
#endif

/* The producer. False: it is full. Touches nothing of the ring once the item can be taken. */
static inline bool spsc_give(struct ck_ring *ring, struct ck_ring_buffer *slots, void *item)
{
	bool given;

#ifdef SPSC_TSAN
	__tsan_release(ring);
	AnnotateIgnoreReadsBegin(__FILE__, __LINE__);
	AnnotateIgnoreWritesBegin(__FILE__, __LINE__);
#endif
	given = ck_ring_enqueue_spsc(ring, slots, item);
#ifdef SPSC_TSAN
	AnnotateIgnoreWritesEnd(__FILE__, __LINE__);
	AnnotateIgnoreReadsEnd(__FILE__, __LINE__);
#endif
	return given;
}

/* The consumer. NULL: it is empty. */
static inline void *spsc_take(struct ck_ring *ring, struct ck_ring_buffer *slots)
{
	void *item = NULL;

#ifdef SPSC_TSAN
	AnnotateIgnoreReadsBegin(__FILE__, __LINE__);
	AnnotateIgnoreWritesBegin(__FILE__, __LINE__);
#endif
	if (!ck_ring_dequeue_spsc(ring, slots, &item))
		item = NULL;
#ifdef SPSC_TSAN
	AnnotateIgnoreWritesEnd(__FILE__, __LINE__);
	AnnotateIgnoreReadsEnd(__FILE__, __LINE__);
	__tsan_acquire(ring);
#endif
	return item;
}

#endif
