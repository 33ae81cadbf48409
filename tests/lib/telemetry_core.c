/* SPDX-License-Identifier: Apache-2.0 */
/* telemetry_core.c - see telemetry_core.h. */
#include "tests/lib/telemetry_core.h"

#include <stdio.h>

#include "dataplane/core/node_impl.h"

struct relations {
	const struct telemetry_memory *memory;
	const struct node *node;
	char *why;
	bool wrong; /* `why` says the first thing that is */
};

static void broken(struct relations *o, const char *what, uint64_t is, const char *how,
		   uint64_t should)
{
	if (!o->wrong)
		snprintf(o->why, TELEMETRY_WRONG_BYTES, "%s: %llu %s %llu", what,
			 (unsigned long long)is, how, (unsigned long long)should);
	o->wrong = true;
}

static void equal(struct relations *o, const char *what, uint64_t is, uint64_t should)
{
	if (is != should)
		broken(o, what, is, "instead of", should);
}

static void at_least(struct relations *o, const char *what, uint64_t is, uint64_t least)
{
	if (is < least)
		broken(o, what, is, "is less than", least);
}

static uint64_t errors(const struct op_counter *op)
{
	const __u64 *error = (const __u64 *)&op->errors;
	uint64_t sum = 0;

	for (size_t i = 0; i < sizeof(op->errors) / sizeof(*error); i++)
		sum += error[i];
	return sum;
}

/* Operations of a kind that were executed. */
static uint64_t executed(const struct op_counter *op)
{
	return op->count - op->errors.SKIPPED - op->errors.COMMITTED - op->errors.ABORTED;
}

/* A write may also be answered for an outcome, with OK. */
static void check_write(struct relations *o, const char *what, const struct op_counter *op,
			uint64_t counted)
{
	if (o->memory->node.repeats)
		at_least(o, what, executed(op), counted);
	else
		equal(o, what, executed(op), counted);
}

/* Results, and the core's own counters. */
static void check_results(struct relations *o)
{
	const struct op_counters *ops = &o->memory->ops;
	const struct node_counters *n = &o->memory->node;

	equal(o, "infos", ops->info.count, n->infos);
	equal(o, "statuses", ops->status.count, n->statuses);
	equal(o, "gets", executed(&ops->get), n->gets);
	equal(o, "get_parts", executed(&ops->get_part), n->get_parts);
	check_write(o, "puts", &ops->put, n->puts);
	check_write(o, "put_parts", &ops->put_part, n->put_parts);
	check_write(o, "deletes", &ops->delete, n->deletes);
	equal(o, "incomplete commits", ops->commit.errors.INCOMPLETE, n->refused_incomplete);
	equal(o, "busy commits", ops->commit.errors.BUSY + ops->abort.errors.BUSY,
	      n->busy_commits + n->busy_log + n->busy_versions);
	equal(o, "no space",
	      ops->get.errors.NO_SPACE + ops->get_part.errors.NO_SPACE + ops->put.errors.NO_SPACE +
		      ops->put_part.errors.NO_SPACE + ops->delete.errors.NO_SPACE +
		      ops->commit.errors.NO_SPACE + ops->abort.errors.NO_SPACE,
	      n->busy_memory + n->busy_keys + n->busy_log_space);
	at_least(o, "failed commits", ops->commit.errors.LOG_FAILED + ops->abort.errors.LOG_FAILED,
		 n->log_failed);
}

/* Requests refused as a whole, and operations for the same reasons. */
static void check_refusals(struct relations *o)
{
	const struct op_counters *ops = &o->memory->ops;
	const struct op_errors *packet = &ops->packet.errors;
	const struct node_counters *n = &o->memory->node;

	equal(o, "malformed",
	      packet->MALFORMED + ops->put.errors.MALFORMED + ops->put_part.errors.MALFORMED +
		      ops->delete.errors.MALFORMED,
	      n->refused_flags + n->refused_length + n->refused_ops + n->refused_id +
		      n->refused_key + n->refused_range);
	equal(o, "unsupported", packet->UNSUPPORTED,
	      n->refused_version + n->refused_tenant + n->refused_op);
	equal(o, "too large",
	      packet->TOO_LARGE + ops->get.errors.TOO_LARGE + ops->get_part.errors.TOO_LARGE +
		      ops->put.errors.TOO_LARGE + ops->put_part.errors.TOO_LARGE +
		      ops->delete.errors.TOO_LARGE,
	      n->refused_too_large + n->busy_reads + n->busy_writes);
	equal(o, "skew", packet->CLOCK_SKEW, n->refused_skew);
	equal(o, "expired ids", packet->EXPIRED, n->refused_expired);
	equal(o, "unknown transactions", packet->UNKNOWN_TXN, n->refused_unknown);
	equal(o, "stale attempts", packet->STALE_ATTEMPT, n->refused_stale);
	equal(o, "busy", packet->BUSY + ops->get.errors.BUSY + ops->get_part.errors.BUSY,
	      n->busy_txns + n->busy_fetches + n->busy_fetch_memory +
		      o->memory->worker.handover_full);
}

/* Each transaction begun has ended in one way, or is open. What the log failed to keep is no OK. */
static void check_txns(struct relations *o)
{
	const struct node_counters *n = &o->memory->node;
	const struct op_counter *commit = &o->memory->ops.commit, *abort = &o->memory->ops.abort;
	uint64_t written = n->commits + n->aborts;

	equal(o, "transactions begun", n->opened,
	      written + n->commits_read_only + n->expired + n->displaced + o->node->txns.open);
	equal(o, "COMMIT and ABORT with OK",
	      commit->count - errors(commit) + abort->count - errors(abort),
	      written + n->commits_read_only + n->repeats + o->node->pending_count);
	at_least(o, "COMMIT with OK", commit->count - errors(commit),
		 n->commits + n->commits_read_only);
	at_least(o, "ABORT with OK", abort->count - errors(abort), n->aborts);
	at_least(o, "requests", o->memory->ops.packet.count, errors(&o->memory->ops.packet));
}

static void check_histograms(struct relations *o)
{
	const struct histogram *h = o->memory->histogram;

	equal(o, "versions freed", h[HISTOGRAM_reclaim_lag].count, o->node->reclaim.freed);
	at_least(o, "values fetched", o->memory->node.fetches + o->memory->node.fetches_again,
		 h[HISTOGRAM_engine_call].count);
}

bool telemetry_core_wrong(const struct telemetry_memory *memory, const struct node *node, char *why)
{
	struct relations o = {.memory = memory, .node = node, .why = why};

	check_results(&o);
	check_refusals(&o);
	check_txns(&o);
	check_histograms(&o);
	return o.wrong;
}
