/* SPDX-License-Identifier: Apache-2.0 */
/*
 * shelf_test.c - the shelf's races: a log that adds and closes, a keeper that removes what is
 * closed, readers that hold whatever they find, all at once, over few entries of the ring.
 *
 * A handle is an index into `alive`, a plain array: the keeper's close writes what holders read
 * with no lock but the shelf, so a hold that does not hold is a data race, and a wrong value.
 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "dataplane/core/lock.h"
#include "dataplane/log/logdev.h"
#include "dataplane/log/shelf.h"

#define READERS 2
#define LOGS	2

#ifdef LOCK_TSAN
#define SEGMENTS 4000
#else
#define SEGMENTS 20000
#endif
/* All segments of a log use these entries of its ring: their numbers are far apart. */
#define ENTRIES 5

static uint64_t alive[LOGS][SEGMENTS]; /* what a handle stands for: its number, until closed */
static struct shelf *shelf;
static _Atomic uint32_t made[LOGS], removed[LOGS], ended;
static _Atomic uint64_t held, missed, wrong;

/* Numbers of ENTRIES neighbours, then the same entries again. */
static uint32_t number_of(uint32_t i)
{
	return i / ENTRIES * ABAFT_LOG_SEGMENTS_MAX + i % ENTRIES;
}

static void forget_handle(struct logdev *dev, int handle)
{
	alive[handle / SEGMENTS][handle % SEGMENTS] = 0;
}

static const struct logdev_ops ops = {.close = forget_handle};
static struct logdev dev = {.ops = &ops};

/* Adds, and closes the one before. */
static void *writer(void *arg)
{
	uint32_t log = (uint32_t)(uintptr_t)arg;

	for (uint32_t i = 0; i < SEGMENTS; i++) {
		const struct shelf_segment segment = {
			.dev = &dev,
			.bytes = number_of(i) + 1,
			.log = log,
			.segment = number_of(i),
			.handle = (int)(log * SEGMENTS + i),
			.open = true,
		};

		alive[log][i] = number_of(i) + 1;
		while (shelf_add(shelf, &segment)) /* the entry is still taken */
			sched_yield();
		if (i)
			shelf_close(shelf, log, number_of(i - 1), i);
		atomic_store(&made[log], i + 1);
	}
	shelf_close(shelf, log, number_of(SEGMENTS - 1), SEGMENTS);
	return NULL;
}

static void *keeper(void *arg)
{
	uint32_t next[LOGS] = {0};
	uint32_t left = LOGS;

	while (left) {
		for (uint32_t log = 0; log < LOGS; log++) {
			uint32_t number = next[log] < SEGMENTS ? number_of(next[log]) : 0;
			struct shelf_segment segment;

			if (next[log] == SEGMENTS)
				continue;
			if (shelf_next(shelf, log, &number, &segment) &&
			    (segment.bytes != number + UINT64_C(1) || segment.log != log))
				atomic_fetch_add(&wrong, 1);
			shelf_remove(shelf, log, number_of(next[log]));
			if (!shelf_gone(shelf, log, number_of(next[log])))
				continue;
			atomic_store(&removed[log], ++next[log]);
			left -= next[log] == SEGMENTS;
		}
		sched_yield();
	}
	atomic_store(&ended, 1);
	return NULL;
}

static void *reader(void *arg)
{
	uint64_t random = (uintptr_t)arg;
	struct shelf_segment segment;

	while (!atomic_load(&ended)) {
		uint32_t log, i;

		random = random * 6364136223846793005ull + 1442695040888963407ull;
		log = (uint32_t)(random >> 40) % LOGS;
		i = atomic_load(&removed[log]) + (uint32_t)(random >> 50) % 3;
		if (i >= SEGMENTS)
			continue;
		if (shelf_hold(shelf, log, number_of(i), &segment)) {
			atomic_fetch_add(&missed, 1);
			continue;
		}
		if (segment.segment != number_of(i) || segment.bytes != number_of(i) + UINT64_C(1))
			atomic_fetch_add(&wrong, 1);
		if (random >> 60 == 0)
			sched_yield();
		if (alive[segment.handle / SEGMENTS][segment.handle % SEGMENTS] !=
		    number_of(i) + UINT64_C(1))
			atomic_fetch_add(&wrong, 1);
		shelf_give(shelf, log, number_of(i));
		atomic_fetch_add(&held, 1);
	}
	return NULL;
}

static void held_handles_stay_good(void **state)
{
	pthread_t threads[LOGS + READERS + 1];
	uint32_t count = 0;

	assert_int_equal(shelf_create(&shelf, 0, 0), 0);
	for (uintptr_t i = 0; i < READERS; i++)
		assert_int_equal(pthread_create(&threads[count++], NULL, reader, (void *)(i + 1)),
				 0);
	for (uintptr_t i = 0; i < LOGS; i++)
		assert_int_equal(pthread_create(&threads[count++], NULL, writer, (void *)i), 0);
	assert_int_equal(pthread_create(&threads[count++], NULL, keeper, NULL), 0);
	for (uint32_t i = 0; i < count; i++)
		pthread_join(threads[i], NULL);
	printf("# %llu held, %llu not there\n", (unsigned long long)held,
	       (unsigned long long)missed);
	assert_int_equal(wrong, 0);
	assert_true(held > SEGMENTS / 10);
	shelf_destroy(shelf);
}

/* Claims of many never pass the bound, and what is given back can be had again. */
static void *claimer(void *arg)
{
	for (uint32_t i = 0; i < SEGMENTS; i++) {
		uint64_t bytes = 1 + (i + (uintptr_t)arg) % 7;

		if (shelf_claim(shelf, 0, bytes))
			continue;
		if (shelf_bytes(shelf) > 10)
			atomic_fetch_add(&wrong, 1);
		shelf_unclaim(shelf, bytes);
	}
	return NULL;
}

static void claims_keep_the_bound(void **state)
{
	pthread_t threads[3];

	atomic_store(&wrong, 0);
	assert_int_equal(shelf_create(&shelf, 12, 2), 0);
	for (uintptr_t i = 0; i < 3; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, claimer, (void *)i), 0);
	for (uint32_t i = 0; i < 3; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(wrong, 0);
	assert_int_equal(shelf_bytes(shelf), 0);
	shelf_destroy(shelf);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(held_handles_stay_good),
		cmocka_unit_test(claims_keep_the_bound),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
