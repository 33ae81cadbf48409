// SPDX-License-Identifier: Apache-2.0
/*
 * latency_test.c - quantiles of the log-linear histogram against the true ones.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tools/load/latency.h"
#include "tools/load/zipf.h"

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

/* Each single time from 1 us to 60 s comes back within 1 %. */
static void error_is_small(void **state)
{
	static struct latency latency;

	for (double ns = 1000; ns <= 60e9; ns *= 1.0007) {
		uint64_t exact = (uint64_t)ns, got;

		memset(&latency, 0, sizeof(latency));
		latency_add(&latency, exact);
		latency_add(&latency, 68000000000); /* so that the maximum does not answer */
		got = latency_quantile(&latency, 0.5);
		assert_true(fabs((double)got - (double)exact) <= 0.01 * (double)exact);
	}
}

static void quantiles_of_many(void **state)
{
	static const double shares[] = {0, 0.001, 0.25, 0.5, 0.9, 0.99, 0.999, 0.9999};
	enum { COUNT = 100000 };
	static struct latency latency;
	static uint64_t times[COUNT];
	struct zipf_random random = {5};

	memset(&latency, 0, sizeof(latency));
	for (int i = 0; i < COUNT; i++) {
		times[i] = (uint64_t)exp(7 + 16 * zipf_random_unit(&random));
		latency_add(&latency, times[i]);
	}
	qsort(times, COUNT, sizeof(times[0]), compare);
	for (size_t i = 0; i < sizeof(shares) / sizeof(shares[0]); i++) {
		double rank = ceil(shares[i] * COUNT);
		double exact = (double)times[rank < 1 ? 0 : (size_t)rank - 1];

		assert_true(fabs((double)latency_quantile(&latency, shares[i]) - exact) <=
			    0.01 * exact);
	}
	assert_int_equal(latency_quantile(&latency, 1), times[COUNT - 1]);
}

static void empty_and_too_long(void **state)
{
	static struct latency latency;

	assert_int_equal(latency_quantile(&latency, 0.5), 0);
	assert_true(latency_mean(&latency) == 0);
	latency_add(&latency, UINT64_MAX);
	assert_int_equal(latency.count, 1);
	assert_int_equal(latency_quantile(&latency, 0.5), UINT64_MAX);
	latency_add(&latency, UINT64_MAX);
	assert_true(latency_quantile(&latency, 0.5) > 60000000000);
}

static void merging_is_adding(void **state)
{
	static struct latency one, two, both;
	struct zipf_random random = {9};

	for (int i = 0; i < 10000; i++) {
		uint64_t ns = zipf_random_u64(&random) >> (20 + i % 30);

		latency_add(i % 3 ? &one : &two, ns);
		latency_add(&both, ns);
	}
	latency_merge(&one, &two);
	assert_memory_equal(one.bucket, both.bucket, sizeof(one.bucket));
	assert_int_equal(one.count, both.count);
	assert_int_equal(one.max_ns, both.max_ns);
	assert_true(fabs(latency_mean(&one) - latency_mean(&both)) <= 1e-9 * latency_mean(&both));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(error_is_small),
		cmocka_unit_test(quantiles_of_many),
		cmocka_unit_test(empty_and_too_long),
		cmocka_unit_test(merging_is_adding),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
