/* SPDX-License-Identifier: Apache-2.0 */
/*
 * campaign.h - runs in child processes: many seeds one after the other, or one candidate of a
 * shrinking run. A run may fail by world_fail(), an assertion, a sanitizer or a signal; the parent
 * lives on and knows which seed it was, and why.
 */
#ifndef ABAFT_TESTS_CAMPAIGN_H
#define ABAFT_TESTS_CAMPAIGN_H

#include "tests/sim/world/world.h"

/* Real time that one run may take, under sanitizers too: whoever takes longer is in a loop. */
#define CAMPAIGN_RUN_S 300

struct campaign {
	uint64_t seed;		    /* of the last run that was begun */
	uint64_t seeds;		    /* runs that went well */
	uint64_t trace;		    /* of the last of them */
	struct world_counts counts; /* of all of them */
	struct world_report report; /* why the last one failed */
	uint64_t cpu_us;
};

/* In memory that child processes share. Aborts if there is none. */
struct campaign *campaign_create(void);
void campaign_destroy(struct campaign *campaign);
/* Seeds options->seed to options->seed + count - 1. False: campaign->seed failed, with
 * campaign->report; those behind it were not run. */
bool campaign_run(struct campaign *campaign, const struct world_options *options, uint64_t count)
	__attribute__((warn_unused_result));

/* shrink.c: a failing run with fewer requests and fewer faults. */
struct shrunk {
	struct world_options options;
	struct world_plan plan;
	uint8_t *left_out;	  /* options.left_out: WORLD_REQUESTS_MAX of them */
	uint32_t tries, requests; /* requests that are left */
};

/* Looks for the smallest run that fails by the same rule as report->rule, with at most `tries` runs
 * and `seconds` of real time. shrink_free() it. */
void shrink(struct shrunk *shrunk, const struct world_options *options,
	    const struct world_report *report, uint32_t tries, uint32_t seconds);
void shrink_free(struct shrunk *shrunk);

#endif
