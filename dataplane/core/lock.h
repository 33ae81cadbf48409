/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lock.h - ck_spinlock with the annotations that let ThreadSanitizer see it: CK's atomics are
 * assembly that the sanitizer does not follow.
 *
 * The same macros stand where ck_epoch orders: the end of a pass releases the worker's slot, and
 * what a grace period has freed is touched after acquiring all slots (reclaim.c). A block that is
 * used again while a pass still reads it remains a race. LOCK_UNSEEN is for functions that race and
 * say why it does no harm.
 */
#ifndef ABAFT_CORE_LOCK_H
#define ABAFT_CORE_LOCK_H

#include <ck_spinlock.h>

#if defined(__SANITIZE_THREAD__)
#define LOCK_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define LOCK_TSAN 1
#endif
#endif

#ifdef LOCK_TSAN
void __tsan_acquire(void *addr);
void __tsan_release(void *addr);
#define LOCK_ACQUIRED(lock) __tsan_acquire(lock)
#define LOCK_RELEASED(lock) __tsan_release(lock)
#define LOCK_UNSEEN	    __attribute__((no_sanitize_thread, noinline))
#else
#define LOCK_ACQUIRED(lock) ((void)(lock))
#define LOCK_RELEASED(lock) ((void)(lock))
#define LOCK_UNSEEN
#endif

static inline void lock_take(ck_spinlock_t *lock)
{
	ck_spinlock_lock(lock);
	LOCK_ACQUIRED(lock);
}

static inline void lock_give(ck_spinlock_t *lock)
{
	LOCK_RELEASED(lock);
	ck_spinlock_unlock(lock);
}

#endif
