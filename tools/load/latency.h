/* SPDX-License-Identifier: Apache-2.0 */
/*
 * latency.h - a log-linear histogram of times.
 *
 * Each power of two is cut into 64 equal buckets, so a bucket is at most 1/64 of its times wide and
 * a quantile, given as its bucket's middle, is off by less than 1 %. Times from 0 to 68.7 s are
 * kept; longer ones count as the longest bucket, and the true maximum is kept beside. One thread
 * writes; merging happens when it is done.
 */
#ifndef ABAFT_TOOLS_LOAD_LATENCY_H
#define ABAFT_TOOLS_LOAD_LATENCY_H

#include <stdint.h>

#include <abaft/histogram.h>

#define LATENCY_SUB_BITS 6 /* 64 buckets for each power of two */
#define LATENCY_BITS	 36
#define LATENCY_BUCKETS	 HISTOGRAM_BUCKETS(LATENCY_SUB_BITS, LATENCY_BITS)

struct latency {
	uint64_t count;
	uint64_t max_ns;
	double sum_ns;
	uint64_t bucket[LATENCY_BUCKETS];
};

void latency_add(struct latency *latency, uint64_t ns);
void latency_merge(struct latency *into, const struct latency *from);
/* The time that a share (0 to 1) of all times do not exceed; 0 if there are none. */
uint64_t latency_quantile(const struct latency *latency, double share);
double latency_mean(const struct latency *latency);

#endif
