/* SPDX-License-Identifier: Apache-2.0 */
/*
 * zipf.h - random numbers for the load generator, and keys drawn by a bounded Zipf law.
 *
 * P(rank k) = k^-s / sum of i^-s, for ranks 1..N and any s from 0 (uniform) on, 1 included. Drawn
 * by rejection-inversion (Hoermann and Derflinger, 1996): exact, no table, a few tries at most.
 * The random state is the caller's, one per thread; the law is read-only after zipf_init().
 */
#ifndef ABAFT_TOOLS_LOAD_ZIPF_H
#define ABAFT_TOOLS_LOAD_ZIPF_H

#include <stdint.h>

/* splitmix64: a good 64-bit generator with one word of state. */
struct zipf_random {
	uint64_t state;
};

static inline uint64_t zipf_random_u64(struct zipf_random *random)
{
	uint64_t z = (random->state += 0x9e3779b97f4a7c15u);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

/* In [0, 1), 53 bits. */
static inline double zipf_random_unit(struct zipf_random *random)
{
	return (double)(zipf_random_u64(random) >> 11) * 0x1p-53;
}

#define ZIPF_EXPONENT_MAX 20.0

struct zipf {
	uint64_t ranks;
	double exponent;
	double integral_first; /* H(1.5) - 1 */
	double integral_last;  /* H(N + 0.5) */
	double accept;	       /* closer than this to its rank's middle: no test needed */
};

/* ranks >= 1, 0 <= exponent <= ZIPF_EXPONENT_MAX: 0, else -EINVAL. */
__attribute__((warn_unused_result)) int zipf_init(struct zipf *zipf, uint64_t ranks,
						  double exponent);
/* A rank, 1 to N. */
uint64_t zipf_draw(const struct zipf *zipf, struct zipf_random *random);

#endif
