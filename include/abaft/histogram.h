/* SPDX-License-Identifier: Apache-2.0 */
/*
 * histogram.h - log-linear histograms: one way to cut numbers into buckets, for the data plane, BPF
 * programs, clients and tools.
 *
 * Numbers below 2^bits have a bucket each. Above, each power of two is cut into 2^bits equal
 * buckets, so a bucket is at most 1/2^bits of its numbers wide, and its middle is off by at most
 * half of that. Numbers of 2^range and more count in the last bucket.
 *
 * Pure functions, any thread. C and BPF alike: no loops, no floating point.
 */
#ifndef ABAFT_HISTOGRAM_H
#define ABAFT_HISTOGRAM_H

#include <linux/types.h>

#define HISTOGRAM_INLINE static inline __attribute__((always_inline, unused))

/* Buckets of a histogram of numbers below 2^range. */
#define HISTOGRAM_BUCKETS(bits, range) (((range) - (bits) + 1) << (bits))

/* The exponent of the power of two at or below a number that is not 0. */
HISTOGRAM_INLINE __u32 histogram_log2(__u64 number)
{
#ifdef __bpf__ /* has no instruction for it, and would call a function that is not there */
	__u32 at = 0, step;

	step = (__u32)(number > 0xffffffff) << 5;
	number >>= step;
	at |= step;
	step = (__u32)(number > 0xffff) << 4;
	number >>= step;
	at |= step;
	step = (__u32)(number > 0xff) << 3;
	number >>= step;
	at |= step;
	step = (__u32)(number > 0xf) << 2;
	number >>= step;
	at |= step;
	step = (__u32)(number > 0x3) << 1;
	number >>= step;
	at |= step;
	return at | (__u32)(number >> 1);
#else
	return 63u - (__u32)__builtin_clzll(number);
#endif
}

HISTOGRAM_INLINE __u32 histogram_bucket(__u64 number, __u32 bits, __u32 range)
{
	__u32 shift;

	if (number >> bits == 0)
		return (__u32)number;
	if (number >> range != 0)
		return HISTOGRAM_BUCKETS(bits, range) - 1;
	shift = histogram_log2(number) - bits;
	return (shift << bits) + (__u32)(number >> shift);
}

/* The lowest number of a bucket; that of the next one bounds it. */
HISTOGRAM_INLINE __u64 histogram_low(__u32 bucket, __u32 bits)
{
	__u32 shift = bucket >> bits;

	if (shift == 0)
		return bucket;
	return (__u64)(bucket - ((shift - 1) << bits)) << (shift - 1);
}

/* What stands for all numbers of a bucket. */
HISTOGRAM_INLINE __u64 histogram_middle(__u32 bucket, __u32 bits)
{
	__u64 low = histogram_low(bucket, bits);

	return low + (histogram_low(bucket + 1, bits) - low) / 2;
}

#endif
