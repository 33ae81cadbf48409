// SPDX-License-Identifier: Apache-2.0
/*
 * zipf_test.c - drawn ranks against the law's exact probabilities (chi square).
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tools/load/zipf.h"

enum { RANKS = 50, DRAWS = 400000 };

/* Sum of (seen - expected)^2 / expected over all ranks. */
static double chi_square(double exponent, uint64_t seed)
{
	struct zipf_random random = {seed};
	uint64_t seen[RANKS + 1] = {0};
	double weight[RANKS + 1], sum = 0, chi = 0;
	struct zipf zipf;

	assert_int_equal(zipf_init(&zipf, RANKS, exponent), 0);
	for (int i = 0; i < DRAWS; i++) {
		uint64_t rank = zipf_draw(&zipf, &random);

		assert_in_range(rank, 1, RANKS);
		seen[rank]++;
	}
	for (int k = 1; k <= RANKS; k++)
		sum += weight[k] = pow(k, -exponent);
	for (int k = 1; k <= RANKS; k++) {
		double expected = weight[k] / sum * DRAWS;

		chi += ((double)seen[k] - expected) * ((double)seen[k] - expected) / expected;
	}
	return chi;
}

/* 49 degrees of freedom: chi square is above 100 once in 40,000 times, and the seed is fixed. */
static void matches_exact_probabilities(void **state)
{
	static const double exponents[] = {0, 0.5, 0.99, 1.0, 1.0 + 1e-12, 1.01, 1.5, 2.0, 3.0};

	for (size_t i = 0; i < sizeof(exponents) / sizeof(exponents[0]); i++)
		assert_true(chi_square(exponents[i], 7 + i) < 100);
}

/* The test itself can tell 1.0 from 1.05. */
static void test_has_power(void **state)
{
	struct zipf_random random = {1};
	double sum = 0, chi = 0;
	uint64_t seen[RANKS + 1] = {0};
	struct zipf zipf;

	assert_int_equal(zipf_init(&zipf, RANKS, 1.05), 0);
	for (int i = 0; i < DRAWS; i++)
		seen[zipf_draw(&zipf, &random)]++;
	for (int k = 1; k <= RANKS; k++)
		sum += 1.0 / k;
	for (int k = 1; k <= RANKS; k++) {
		double expected = 1.0 / k / sum * DRAWS;

		chi += ((double)seen[k] - expected) * ((double)seen[k] - expected) / expected;
	}
	assert_true(chi > 200);
}

static void bounds(void **state)
{
	struct zipf_random random = {3};
	struct zipf zipf;

	assert_int_not_equal(zipf_init(&zipf, 0, 1), 0);
	assert_int_not_equal(zipf_init(&zipf, 10, -0.1), 0);
	assert_int_not_equal(zipf_init(&zipf, 10, NAN), 0);
	assert_int_not_equal(zipf_init(&zipf, 10, ZIPF_EXPONENT_MAX + 1), 0);

	assert_int_equal(zipf_init(&zipf, 1, 1), 0);
	for (int i = 0; i < 1000; i++)
		assert_int_equal(zipf_draw(&zipf, &random), 1);
	for (double s = 0; s < 2.1; s += 0.5) {
		assert_int_equal(zipf_init(&zipf, 1ull << 40, s), 0);
		for (int i = 0; i < 10000; i++)
			assert_in_range(zipf_draw(&zipf, &random), 1, 1ull << 40);
	}
}

static void same_seed_same_ranks(void **state)
{
	struct zipf_random a = {42}, b = {42}, c = {43};
	struct zipf zipf;
	int same = 0;

	assert_int_equal(zipf_init(&zipf, 1000000, 0.8), 0);
	for (int i = 0; i < 1000; i++) {
		uint64_t rank = zipf_draw(&zipf, &a);

		assert_int_equal(rank, zipf_draw(&zipf, &b));
		same += rank == zipf_draw(&zipf, &c);
	}
	assert_true(same < 500);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(matches_exact_probabilities),
		cmocka_unit_test(test_has_power),
		cmocka_unit_test(bounds),
		cmocka_unit_test(same_seed_same_ranks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
