/* SPDX-License-Identifier: Apache-2.0 */
/*
 * histogram_test.c - quantiles against sorted numbers, sums and differences against histograms of
 * the same numbers.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "telemetry/scrape.h"
#include "tests/unit/telemetry/made.h"

#define NUMBERS_MAX 20000
#define ROUNDS	    60

static struct histogram first, second, both, part;
static uint64_t numbers[NUMBERS_MAX];

static int compare(const void *a, const void *b)
{
	const uint64_t *left = a, *right = b;

	return (*left > *right) - (*left < *right);
}

/* Of all shapes: one magnitude, all of them, few values, a long tail. */
static uint64_t draw(uint64_t *seed, uint32_t round)
{
	switch (round % 4) {
	case 0:
		return made_random(seed) % 100000;
	case 1:
		return made_time(seed);
	case 2:
		return made_random(seed) % 40;
	default:
		return 1000 + (made_random(seed) % 100 == 0 ? made_time(seed) : 0);
	}
}

/* One 64th, and nothing at all below 64. */
static void near(uint64_t have, uint64_t want)
{
	uint64_t apart = have > want ? have - want : want - have;

	if (apart > want / 64)
		fail_msg("%llu is not within 1/64 of %llu", (unsigned long long)have,
			 (unsigned long long)want);
}

static void quantiles_are_within_a_64th(void **state)
{
	static const double shares[] = {0.001, 0.1, 0.5, 0.9, 0.99, 0.999, 1};
	uint64_t seed = 17;

	for (uint32_t round = 0; round < ROUNDS; round++) {
		uint32_t count = 1 + (uint32_t)(made_random(&seed) % NUMBERS_MAX);

		memset(&first, 0, sizeof(first));
		for (uint32_t i = 0; i < count; i++) {
			numbers[i] = draw(&seed, round);
			histogram_add(&first, numbers[i]);
		}
		qsort(numbers, count, sizeof(numbers[0]), compare);
		for (size_t s = 0; s < sizeof(shares) / sizeof(shares[0]); s++) {
			uint32_t rank = 0;

			while ((double)(rank + 1) < shares[s] * count)
				rank++;
			near(histogram_quantile(&first, shares[s]), numbers[rank]);
		}
		assert_int_equal(histogram_quantile(&first, 1), numbers[count - 1]);
	}
}

static void empty_and_extreme_histograms(void **state)
{
	memset(&first, 0, sizeof(first));
	assert_int_equal(histogram_quantile(&first, 0.5), 0);
	histogram_add(&first, 0);
	assert_int_equal(histogram_quantile(&first, 0.5), 0);
	assert_int_equal(histogram_quantile(&first, 1), 0);
	histogram_add(&first, UINT64_C(1) << 62);
	assert_int_equal(histogram_quantile(&first, 0.99), UINT64_C(1) << 62);
	assert_int_equal(first.bucket[HISTOGRAM_SIZE - 1], 1);
	assert_int_equal(histogram_quantile(&first, 0), 0);
}

static void merging_is_adding(void **state)
{
	uint64_t seed = 4;

	memset(&first, 0, sizeof(first));
	memset(&second, 0, sizeof(second));
	memset(&both, 0, sizeof(both));
	for (uint32_t i = 0; i < 5000; i++) {
		uint64_t number = made_time(&seed);

		histogram_add(i % 3 == 0 ? &first : &second, number);
		histogram_add(&both, number);
	}
	histogram_merge(&first, &second);
	assert_memory_equal(&first, &both, sizeof(both));
}

static void since_is_what_came_after(void **state)
{
	uint64_t seed = 9;

	for (uint32_t round = 0; round < ROUNDS; round++) {
		memset(&first, 0, sizeof(first));
		memset(&second, 0, sizeof(second));
		for (uint32_t i = 0; i < 1000; i++)
			histogram_add(&first, draw(&seed, round));
		both = first;
		for (uint32_t i = 0; i < 50; i++) {
			uint64_t number = draw(&seed, round);

			histogram_add(&both, number);
			histogram_add(&second, number);
		}
		histogram_since(&both, &first, &part);
		assert_memory_equal(part.bucket, second.bucket, sizeof(part.bucket));
		assert_int_equal(part.count, 50);
		assert_int_equal(part.sum, second.sum);
		/* Where the largest of all came before, its bucket is all that is known. */
		assert_true(part.max >= second.max - second.max / 32);
		assert_true(part.max <= second.max + second.max / 32);
		near(histogram_quantile(&part, 0.5), histogram_quantile(&second, 0.5));
	}
	histogram_since(&both, &both, &part);
	assert_int_equal(part.count, 0);
	assert_int_equal(part.max, 0);
	/* The node was restarted in between: all of it is new. */
	histogram_since(&second, &both, &part);
	assert_memory_equal(&part, &second, sizeof(part));
}

static void a_sum_is_of_all_workers(void **state)
{
	struct snapshot *made = made_snapshot(3, 5);
	struct scrape_worker *sum = aligned_alloc(64, sizeof(*sum));

	made->worker[0].log.stalled_us = 7;
	made->worker[1].log.stalled_us = 90;
	made->worker[2].log.stalled_us = 0;
	made->worker[0].log.error = made->worker[1].log.error = made->worker[2].log.error = 28;
	snapshot_sum(made, sum);
	assert_int_equal(sum->worker.frames, made->worker[0].worker.frames +
						     made->worker[1].worker.frames +
						     made->worker[2].worker.frames);
	assert_int_equal(sum->node.outcomes_evicted, made->worker[0].node.outcomes_evicted +
							     made->worker[1].node.outcomes_evicted +
							     made->worker[2].node.outcomes_evicted);
	assert_int_equal(sum->log.segments, made->worker[0].log.segments +
						    made->worker[1].log.segments +
						    made->worker[2].log.segments);
	assert_int_equal(sum->log.stalled_us, 90);
	assert_int_equal(sum->log.error, 28);
	assert_int_equal(sum->ops.info.errors.CORRUPT,
			 made->worker[0].ops.info.errors.CORRUPT +
				 made->worker[1].ops.info.errors.CORRUPT +
				 made->worker[2].ops.info.errors.CORRUPT);
	assert_int_equal(sum->histogram[HISTOGRAM_reclaim_lag].count,
			 made->worker[0].histogram[HISTOGRAM_reclaim_lag].count +
				 made->worker[1].histogram[HISTOGRAM_reclaim_lag].count +
				 made->worker[2].histogram[HISTOGRAM_reclaim_lag].count);
	assert_int_equal(sum->kernel[HISTOGRAM_preempted].sum,
			 made->worker[0].kernel[HISTOGRAM_preempted].sum +
				 made->worker[1].kernel[HISTOGRAM_preempted].sum +
				 made->worker[2].kernel[HISTOGRAM_preempted].sum);
	free(sum);
	free(made);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(quantiles_are_within_a_64th),
		cmocka_unit_test(empty_and_extreme_histograms),
		cmocka_unit_test(merging_is_adding),
		cmocka_unit_test(since_is_what_came_after),
		cmocka_unit_test(a_sum_is_of_all_workers),
	};

	return cmocka_run_group_tests_name("histogram", tests, NULL, NULL);
}
