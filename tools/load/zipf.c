// SPDX-License-Identifier: Apache-2.0
/*
 * zipf.c - rejection-inversion for the bounded Zipf law.
 *
 * h(x) = x^-s is the law's hat, H its integral: H(x) = (x^(1-s) - 1) / (1-s), and log x for s = 1.
 * A point u, uniform between H(1.5) - h(1) and H(N + 0.5), is carried back to x = H^-1(u); the
 * nearest rank k is taken if u falls into the bar of width h(k) that ends at H(k + 0.5).
 *
 * I1. Each rank's bar is exactly h(k) long, so an accepted rank has the exact probability.
 * I2. (x^(1-s) - 1) / (1-s) is computed by expm1(), its inverse by log1p(): nothing is lost near
 *     or at s = 1, where the plain formula divides zero by zero.
 */
#include "tools/load/zipf.h"

#include <errno.h>
#include <math.h>

/* (e^t - 1) / t */
static double expm1_ratio(double t)
{
	return fabs(t) > 1e-8 ? expm1(t) / t : 1 + t / 2 * (1 + t / 3);
}

/* log(1 + t) / t */
static double log1p_ratio(double t)
{
	return fabs(t) > 1e-8 ? log1p(t) / t : 1 - t * (1.0 / 2 - t / 3);
}

static double hat(const struct zipf *zipf, double x)
{
	return exp(-zipf->exponent * log(x));
}

static double integral(const struct zipf *zipf, double x)
{
	double log_x = log(x);

	return expm1_ratio((1 - zipf->exponent) * log_x) * log_x;
}

static double integral_inverse(const struct zipf *zipf, double y)
{
	double t = y * (1 - zipf->exponent);

	if (t < -1) /* rounding at the far end */
		t = -1;
	return exp(log1p_ratio(t) * y);
}

int zipf_init(struct zipf *zipf, uint64_t ranks, double exponent)
{
	if (ranks == 0 || !(exponent >= 0 && exponent <= ZIPF_EXPONENT_MAX))
		return -EINVAL;
	zipf->ranks = ranks;
	zipf->exponent = exponent;
	zipf->integral_first = integral(zipf, 1.5) - 1;
	zipf->integral_last = integral(zipf, (double)ranks + 0.5);
	zipf->accept = 2 - integral_inverse(zipf, integral(zipf, 2.5) - hat(zipf, 2));
	return 0;
}

uint64_t zipf_draw(const struct zipf *zipf, struct zipf_random *random)
{
	for (;;) { /* ends after less than two tries on average, whatever s and N */
		double u = zipf->integral_last +
			   zipf_random_unit(random) * (zipf->integral_first - zipf->integral_last);
		double x = integral_inverse(zipf, u);
		double k = floor(x + 0.5);

		if (k < 1)
			k = 1;
		else if (k > (double)zipf->ranks)
			k = (double)zipf->ranks;
		if (k - x <= zipf->accept || u >= integral(zipf, k + 0.5) - hat(zipf, k))
			return (uint64_t)k;
	}
}
