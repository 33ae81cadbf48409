/* SPDX-License-Identifier: Apache-2.0 */
/*
 * clean.h - which segment to clean next, whether to clean at all, and how fast. Pure: the keeper
 * offers candidates, and does what is said.
 *
 * The choice is benefit over cost of Rosenblum & Ousterhout, "The Design and Implementation of a
 * Log-Structured File System" (ACM TOCS 10:1, 1992), section 3.6: with u the live share of a
 * segment, cleaning reads 1, writes u, and gains 1 - u, worth the more the longer it stays: the age
 * of the youngest write, since what was not overwritten for long will not be soon.
 *
 *	(1 - u) * age / (1 + u)
 *
 * Records have headers, so a segment in which nothing has died is not all live: u is the share
 * of what would be live then. Else one of small values would look half empty, and be cleaned again
 * and again for nothing.
 *
 * The greedy choice, the least u, is there to be measured against.
 */
#ifndef ABAFT_LOG_CLEAN_H
#define ABAFT_LOG_CLEAN_H

#include <stdbool.h>
#include <stdint.h>

#include <abaft/limits.h>

/* A segment of which less than 1/32 has died is not worth it: bounds the amplification. */
#define CLEAN_DEAD_SHARE     32
/* Numbers behind its log's newest segment after which a segment is cleaned whatever it is worth:
 * numbers in use are a window of ABAFT_LOG_SEGMENTS_MAX. */
#define CLEAN_NUMBERS_BEHIND (ABAFT_LOG_SEGMENTS_MAX / 2)

struct clean_segment {
	uint32_t log, segment;
	uint64_t live, full; /* bytes; full: had nothing died */
	uint64_t time;	     /* wall clock, microseconds; 0: not known, taken for oldest */
	uint32_t behind;     /* numbers behind its log's newest */
};

enum clean_policy {
	CLEAN_BENEFIT,
	CLEAN_GREEDY,
};

struct clean_choice {
	enum clean_policy policy;
	uint64_t now_us;
	uint32_t use_percent; /* candidates above this use are passed over; 100: none is */
	bool found;
	struct clean_segment victim;
	double worth;
};

void clean_choose(struct clean_choice *choice, enum clean_policy policy, uint64_t now_us,
		  uint32_t use_percent);
/* Takes it as the victim if it is better than those before. */
void clean_offer(struct clean_choice *choice, const struct clean_segment *segment);
/* True if there is enough dead in it, or its number is too far behind. */
bool clean_worthwhile(const struct clean_segment *segment, uint32_t use_percent);

/* A token bucket over the bytes of victims that are read; holds a second's worth at most. */
struct clean_pace {
	uint64_t rate; /* bytes per second; 0: no limit */
	uint64_t bytes;
	uint64_t last_us;
};

/* 0: `bytes` may be read now (and are taken); else microseconds until they may. */
uint64_t clean_pace_take(struct clean_pace *pace, uint64_t now_us, uint64_t bytes);

#endif
