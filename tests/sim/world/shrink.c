/* SPDX-License-Identifier: Apache-2.0 */
/*
 * shrink.c - a failing run with fewer requests and fewer faults (delta debugging: Zeller and
 * Hildebrandt, TSE'02, section 3.2, with the requests as the input).
 *
 * First the shortest beginning that fails, then each fault off, then requests left out in halves,
 * quarters and so on. A candidate counts only if it fails by the same rule. As a request has its
 * own randomness (world.h, W3) the others stay what they were, but arrive at other moments.
 */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tests/sim/world/campaign.h"

struct shrinking {
	struct campaign *campaign;
	struct shrunk *shrunk;
	const char *rule;
	uint32_t tries_max;
	time_t end;
};

static bool may_try(const struct shrinking *s)
{
	return s->shrunk->tries < s->tries_max && time(NULL) < s->end;
}

/* The candidate fails by the same rule. */
static bool fails(struct shrinking *s, const struct world_options *candidate)
{
	if (!may_try(s))
		return false;
	s->shrunk->tries++;
	return !campaign_run(s->campaign, candidate, 1) &&
	       strcmp(s->campaign->report.rule, s->rule) == 0;
}

static void shorten(struct shrinking *s)
{
	uint32_t low = 1, high = s->shrunk->options.requests;

	/* Not every shorter beginning behind a failing one fails: `high` always did. */
	while (low < high && may_try(s)) {
		struct world_options candidate = s->shrunk->options;

		candidate.requests = low + (high - low) / 2;
		if (fails(s, &candidate)) {
			s->shrunk->options = candidate;
			high = candidate.requests;
		} else {
			low = candidate.requests + 1;
		}
	}
}

static void switch_off(struct shrinking *s)
{
	uint32_t faults = s->shrunk->plan.faults;

	for (uint32_t i = 0; i < WORLD_FAULT_COUNT; i++) {
		struct world_options candidate = s->shrunk->options;

		candidate.faults_off |= 1u << i;
		if ((faults >> i & 1) == 0 || candidate.faults_off == s->shrunk->options.faults_off)
			continue;
		if (fails(s, &candidate))
			s->shrunk->options = candidate;
	}
}

/* Leaves out `size` requests from `at` on, if it still fails then. */
static void leave_out(struct shrinking *s, uint32_t at, uint32_t size)
{
	uint8_t before[WORLD_REQUESTS_MAX], *now = s->shrunk->left_out;
	uint32_t end = at + size, more = 0;

	memcpy(before, now, sizeof(before));
	for (uint32_t i = at; i < end && i < s->shrunk->options.requests; i++) {
		more += !now[i];
		now[i] = 1;
	}
	if (more == 0 || !fails(s, &s->shrunk->options))
		memcpy(now, before, sizeof(before));
}

static void thin_out(struct shrinking *s)
{
	uint32_t requests = s->shrunk->options.requests;

	for (uint32_t size = (requests + 1) / 2; size > 0 && may_try(s); size /= 2)
		for (uint32_t at = 0; at < requests; at += size)
			leave_out(s, at, size);
}

void shrink(struct shrunk *shrunk, const struct world_options *options,
	    const struct world_report *report, uint32_t tries, uint32_t seconds)
{
	struct shrinking s = {.campaign = campaign_create(),
			      .shrunk = shrunk,
			      .rule = report->rule,
			      .tries_max = tries,
			      .end = time(NULL) + seconds};

	memset(shrunk, 0, sizeof(*shrunk));
	shrunk->options = *options;
	shrunk->options.quiet = true;
	shrunk->options.verbose = false;
	shrunk->left_out = calloc(1, WORLD_REQUESTS_MAX);
	if (!shrunk->left_out)
		abort();
	if (options->left_out)
		memcpy(shrunk->left_out, options->left_out, WORLD_REQUESTS_MAX);
	shrunk->options.left_out = shrunk->left_out;
	world_plan_of(options, &shrunk->plan);
	shrunk->options.requests = shrunk->plan.requests;
	shorten(&s);
	switch_off(&s);
	thin_out(&s);
	switch_off(&s);
	for (uint32_t i = 0; i < shrunk->options.requests; i++)
		shrunk->requests += !shrunk->left_out[i];
	world_plan_of(&shrunk->options, &shrunk->plan);
	campaign_destroy(s.campaign);
}

void shrink_free(struct shrunk *shrunk)
{
	free(shrunk->left_out);
}
