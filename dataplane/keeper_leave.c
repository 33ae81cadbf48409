/* SPDX-License-Identifier: Apache-2.0 */
/*
 * keeper_leave.c - what becomes of a victim: emptied ones leave the shelf, then their files go back
 * to their logs; damaged ones stay, and are remembered so that they are not read again and again.
 */
#include "dataplane/keeper_impl.h"
#include "dataplane/log/log.h"

/* Readers of a segment that leaves need a moment; so does a log that takes a file back. */
#define LEAVE_US 1000

void leave_add(struct keeper *k, uint32_t log, uint32_t segment)
{
	k->leaving[k->leaving_count++] =
		(struct leaving){.log = log, .segment = segment, .state = LEAVING_WAITS};
	k->stats.cleaned_segments++;
}

bool leave_holds(const struct keeper *k, uint32_t log, uint32_t segment)
{
	for (uint32_t i = 0; i < k->leaving_count; i++)
		if (k->leaving[i].log == log && k->leaving[i].segment == segment)
			return true;
	return false;
}

/* True when it has gone for good. */
static bool leave_one(struct keeper *k, struct leaving *one)
{
	if (one->state == LEAVING_WAITS) {
		shelf_remove(k->config.shelf, one->log, one->segment);
		one->state = LEAVING_REMOVED;
	}
	if (one->state == LEAVING_REMOVED) {
		if (!shelf_gone(k->config.shelf, one->log, one->segment))
			return false;
		one->state = LEAVING_GONE;
	}
	return log_free_segment(keeper_log(k, one->log), one->segment) == 0;
}

uint64_t leave_step(struct keeper *k)
{
	uint32_t i = 0;

	if (k->leaving_count == 0 || (k->config.held && k->config.held(k->config.held_arg)))
		return KEEPER_LOOK_US;
	while (i < k->leaving_count) {
		if (leave_one(k, &k->leaving[i]))
			k->leaving[i] = k->leaving[--k->leaving_count];
		else
			i++;
	}
	return k->leaving_count ? LEAVE_US : KEEPER_LOOK_US;
}

void damage_add(struct keeper *k, const struct keeper_damage *damage)
{
	k->damage[k->damage_count++ % KEEPER_DAMAGED_MAX] = *damage;
	k->stats.damaged_segments++;
	k->stats.damaged_bytes += damage->bytes;
	if (k->config.report)
		k->config.report(k->config.report_arg, damage);
}

bool damage_holds(const struct keeper *k, uint32_t log, uint32_t segment)
{
	for (uint32_t i = 0; i < k->damage_count && i < KEEPER_DAMAGED_MAX; i++)
		if (k->damage[i].log == log && k->damage[i].segment == segment)
			return true;
	return false;
}
