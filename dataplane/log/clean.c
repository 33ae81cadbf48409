/* SPDX-License-Identifier: Apache-2.0 */
/* clean.c - see clean.h. */
#include "dataplane/log/clean.h"

#include <float.h>
#include <string.h>

#define SECOND_US UINT64_C(1000000)

void clean_choose(struct clean_choice *choice, enum clean_policy policy, uint64_t now_us,
		  uint32_t use_percent)
{
	*choice = (struct clean_choice){
		.policy = policy, .now_us = now_us, .use_percent = use_percent, .worth = -1};
}

bool clean_worthwhile(const struct clean_segment *segment, uint32_t use_percent)
{
	if (segment->live == 0 || segment->behind >= CLEAN_NUMBERS_BEHIND)
		return true;
	return segment->live + segment->full / CLEAN_DEAD_SHARE <= segment->full &&
	       segment->live * 100 < segment->full * use_percent;
}

/* Nothing to copy comes first, then numbers that run out, then what the policy says. */
static double worth(const struct clean_choice *choice, const struct clean_segment *segment)
{
	double use =
		segment->live < segment->full ? (double)segment->live / (double)segment->full : 1.0;
	uint64_t age = choice->now_us > segment->time ? choice->now_us - segment->time : 1;

	if (segment->live == 0)
		return DBL_MAX;
	if (segment->behind >= CLEAN_NUMBERS_BEHIND)
		return DBL_MAX / 2 + (double)segment->behind * (DBL_MAX / 4 / UINT32_MAX);
	if (choice->policy == CLEAN_GREEDY)
		return 1 - use;
	return (1 - use) * (double)age / (1 + use);
}

void clean_offer(struct clean_choice *choice, const struct clean_segment *segment)
{
	double its;

	if (!clean_worthwhile(segment, choice->use_percent))
		return;
	its = worth(choice, segment);
	if (choice->found && its <= choice->worth)
		return;
	choice->found = true;
	choice->worth = its;
	choice->victim = *segment;
}

uint64_t clean_pace_take(struct clean_pace *pace, uint64_t now_us, uint64_t bytes)
{
	uint64_t passed = now_us - pace->last_us, most, due;

	if (pace->rate == 0)
		return 0;
	most = pace->rate > bytes ? pace->rate : bytes; /* what is asked for must fit */
	passed = passed > SECOND_US ? SECOND_US : passed;
	/* Below a second's worth: no product here overflows for rates below 2^44. */
	due = passed * pace->rate / SECOND_US;
	if (due > 0) {
		pace->last_us = now_us;
		pace->bytes = pace->bytes + due > most ? most : pace->bytes + due;
	}
	if (pace->bytes >= bytes) {
		pace->bytes -= bytes;
		return 0;
	}
	return (bytes - pace->bytes) * SECOND_US / pace->rate + 1;
}
