/* SPDX-License-Identifier: Apache-2.0 */
/*
 * series_test.c - threads that fill the seconds of their series while another takes them: nothing
 * is lost, and what is in a second is what was done in it.
 *
 * Time is each thread's own and fast: a thousand seconds in a moment. The patient threads go on to
 * a second only when there is room for it, so that each of theirs is exact; the hasty one does not
 * care, falls behind the ring's end (series.h S2), and only its total can be right. Slots are plain
 * memory, so TSan sees whether `passed` and `taken` order them (S1).
 */
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tools/load/series.h"

#define PATIENT 3
#define THREADS (PATIENT + 1)
#define SECONDS 1000

static struct series *series[THREADS];

/* What thread i does in second t. */
static uint64_t work(uint64_t i, uint64_t t)
{
	return (i * 7 + t * 13) % 29;
}

static void *fill(void *arg)
{
	uint64_t i = (uint64_t)(uintptr_t)arg;

	for (uint64_t t = 0; t < SECONDS; t++) {
		while (i < PATIENT && t >= SERIES_RING - 1 &&
		       atomic_load_explicit(&series[i]->taken, memory_order_relaxed) <
			       t - (SERIES_RING - 1))
			sched_yield();
		for (uint64_t n = 0; n < work(i, t); n++) {
			struct series_second *second = series_now(series[i], t * 1000000000);

			second->committed++;
			latency_add(&second->latency, 1000 + t);
		}
	}
	series_over(series[i]);
	return NULL;
}

static void take(uint64_t t, uint64_t *total, uint64_t *hasty)
{
	static struct series_second sum;
	uint64_t want = 0;

	memset(&sum, 0, sizeof(sum));
	for (uint64_t i = 0; i < PATIENT; i++) {
		series_take(series[i], t, &sum);
		want += work(i, t);
	}
	assert_int_equal(sum.committed, want);
	assert_int_equal(sum.latency.count, want);
	if (want)
		assert_int_equal(sum.latency.max_ns, 1000 + t);
	*total += want;
	memset(&sum, 0, sizeof(sum));
	series_take(series[PATIENT], t, &sum);
	assert_int_equal(sum.latency.count, sum.committed);
	*hasty += sum.committed;
}

static void nothing_is_lost(void **state)
{
	uint64_t next = 0, total = 0, hasty = 0, want = 0;
	pthread_t thread[THREADS];

	for (uintptr_t i = 0; i < THREADS; i++) {
		series[i] = series_create(0, NULL);
		assert_non_null(series[i]);
	}
	for (uintptr_t i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&thread[i], NULL, fill, (void *)i), 0);
	while (next < SECONDS) {
		bool all = true;

		for (uint64_t i = 0; i < THREADS; i++)
			all = all && series_passed(series[i], next);
		if (all)
			take(next++, &total, &hasty);
		else
			sched_yield();
	}
	for (uint64_t i = 0; i < THREADS; i++)
		assert_int_equal(pthread_join(thread[i], NULL), 0);
	for (uint64_t t = 0; t < SECONDS; t++)
		want += work(PATIENT, t);
	assert_int_equal(hasty, want);
	for (uint64_t i = 0; i < PATIENT; i++)
		assert_int_equal(series[i]->late, 0);
	print_message("# %llu transactions, %llu of a hasty thread, %llu of them late\n",
		      (unsigned long long)(total + hasty), (unsigned long long)hasty,
		      (unsigned long long)series[PATIENT]->late);
	for (uint64_t i = 0; i < THREADS; i++)
		series_destroy(series[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(nothing_is_lost)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
