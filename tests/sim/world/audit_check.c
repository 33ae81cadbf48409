/* SPDX-License-Identifier: Apache-2.0 */
/*
 * audit_check.c - what must hold of all that a life's workers have counted. See audit.h.
 *
 * Of each worker, whatever happened:
 *
 * R1. A histogram's buckets make up its count; its sum lies where they do; its max is in the
 *     highest of them that is not empty.
 * R2. Each frame taken was dropped for a reason, handed over, refused, or is a request of ours.
 * R3. Each request was answered, dropped for a reason, or waits for values. It was executed once,
 *     however often it was parked, or refused without that.
 * R4. Each result's count and status agree with what the core counts for the same reason.
 * R5. Each transaction begun has ended in one way, or is open; and has a life in txn_life if it
 *     ended.
 * R6. Each commit and abort has a time to durability, and each of these is an OK more. What the log
 *     failed to keep is none.
 * R7. Groups and values have their times when they come back from the disk, not before.
 * R8. No worker has seen less than the audit has, in each bucket.
 *
 * After an end in good order what the audit saw is all there is (R9).
 */
#include <stdio.h>
#include <string.h>

#include <abaft/wire.h>

#include "dataplane/core/node_impl.h"
#include "dataplane/log/log.h"
#include "dataplane/worker_impl.h"
#include "tests/lib/telemetry_core.h"
#include "tests/sim/world/audit_impl.h"

static const char *const histogram_names[] = {
#define NAME(name, unit, text) #name,
	ABAFT_HISTOGRAMS(NAME)
#undef NAME
};
static const char *const op_names[] = {
#define NAME(name, text) #name,
	ABAFT_OPS(NAME)
#undef NAME
};
#define OPS    (sizeof(op_names) / sizeof(op_names[0]))
#define ERRORS (sizeof(struct op_errors) / sizeof(__u64))

/* One worker under examination. */
struct audited {
	struct audit *audit;
	uint32_t number;
	bool orderly;
	const struct worker *worker;
	const struct node *node;
	const struct worker_counters *w;
	const struct node_counters *n;
	const struct op_counters *ops;
	const struct histogram *histogram; /* by name */
	const struct audit_account *account;
	struct log_stats log;
	int log_error;
};

static void fail(const struct audited *o, const char *what, uint64_t is, const char *how,
		 uint64_t should)
{
	world_fail(o->audit->world, "telemetry", "worker %u%s: %s: %llu %s %llu", o->number,
		   o->orderly ? ", ended" : "", what, (unsigned long long)is, how,
		   (unsigned long long)should);
}

static void equal(const struct audited *o, const char *what, uint64_t is, uint64_t should)
{
	if (is != should)
		fail(o, what, is, "instead of", should);
}

static void at_least(const struct audited *o, const char *what, uint64_t is, uint64_t least)
{
	if (is < least)
		fail(o, what, is, "is less than", least);
}

/* Equal when nothing is under way. */
static void has(const struct audited *o, const char *what, uint64_t is, uint64_t seen)
{
	if (o->orderly)
		equal(o, what, is, seen);
	else
		at_least(o, what, is, seen);
}

/* R1 */
static void check_histogram(const struct audited *o, enum histogram_name name)
{
	const char *wrong = telemetry_histogram_wrong(&o->histogram[name]);

	if (wrong)
		world_fail(o->audit->world, "telemetry", "worker %u: %s: %s", o->number,
			   histogram_names[name], wrong);
}

/* Requests that are there without having been executed, or refused before. */
static uint64_t dropped(const struct audited *o)
{
	return o->n->refused_short + o->n->refused_magic + o->n->refused_kind;
}

/* R2, R3 */
static void check_frames(const struct audited *o)
{
	const struct worker_counters *w = o->w;
	uint64_t borrowed = o->histogram[HISTOGRAM_handover].count;
	uint64_t done = o->ops->packet.count + dropped(o);
	uint64_t executed = o->histogram[HISTOGRAM_service].count;

	equal(o, "frames", w->frames, o->account->frames);
	equal(o, "answers", w->answers, o->account->answers);
	equal(o, "frames by what became of them",
	      w->drop_not_ours + w->drop_frame + w->drop_checksum + w->arp + w->nd + w->echo +
		      w->requests - borrowed + w->handed_over + w->handover_full,
	      w->frames);
	equal(o, "requests answered, dropped or waiting", done + o->worker->fetching,
	      w->requests + w->handover_full);
	at_least(o, "requests executed", done - w->handover_full, executed);
	at_least(o, "requests parked", o->ops->packet.count + o->worker->fetching,
		 o->n->fetch_waits);
	if (o->worker->closed)
		return;
	equal(o, "requests executed", executed, done - w->handover_full);
	if (o->audit->arrivals)
		equal(o, "arrivals", o->histogram[HISTOGRAM_arrival].count,
		      executed + o->worker->fetching);
}

/* R4, and of R5 and R6 what the core alone can tell. */
static void check_core(const struct audited *o)
{
	char why[TELEMETRY_WRONG_BYTES];

	if (telemetry_core_wrong(&o->audit->memory[o->number], o->node, why))
		world_fail(o->audit->world, "telemetry", "worker %u%s: %s", o->number,
			   o->orderly ? ", ended" : "", why);
}

/* R5, R6 */
static void check_txns(const struct audited *o)
{
	const struct node_counters *n = o->n;
	uint64_t written = n->commits + n->aborts;

	equal(o, "lives", o->histogram[HISTOGRAM_txn_life].count,
	      written + n->commits_read_only + n->expired + n->displaced);
	equal(o, "times to durability", o->histogram[HISTOGRAM_commit_durable].count, written);
}

/* How many of a histogram's numbers are in this bucket or above. */
static uint64_t tail(const struct histogram *h, uint32_t bucket)
{
	uint64_t sum = 0;

	for (; bucket < HISTOGRAM_SIZE; bucket++)
		sum += h->bucket[bucket];
	return sum;
}

/* To each of these numbers belongs one of `h` that is as great or greater, but for `fewer`. */
static void check_tails(const struct audited *o, const struct histogram *h, uint64_t fewer,
			const struct histogram *numbers, const char *what)
{
	for (uint32_t i = 0; i < HISTOGRAM_SIZE; i++)
		if (numbers->bucket[i])
			at_least(o, what, tail(h, i) + fewer, tail(numbers, i));
}

/* R7. A commit waits for its group at least as long as the disk takes for it, so of so long times
 * there are as many; but for groups that hold none (seals). */
static void check_waits(const struct audited *o)
{
	const struct histogram *device = &o->histogram[HISTOGRAM_log_device];
	const struct histogram *durable = &o->histogram[HISTOGRAM_commit_durable];
	uint64_t seals = o->histogram[HISTOGRAM_log_group].bucket[0];

	check_tails(o, durable, seals, device, "commits that waited as long as a group");
}

/* R7 */
static void check_log(const struct audited *o)
{
	const struct histogram *h = o->histogram;
	const struct log_counters *published = &o->audit->memory[o->number].log;

	equal(o, "groups", h[HISTOGRAM_log_group].count, o->log.groups);
	equal(o, "depths", h[HISTOGRAM_log_depth].count, o->log.groups);
	at_least(o, "groups in the disk", ABAFT_LOG_WRITES_IN_FLIGHT,
		 h[HISTOGRAM_log_depth].max + (o->log.groups != 0));
	at_least(o, "groups", o->log.groups, h[HISTOGRAM_log_device].count);
	at_least(o, "records", o->log.records, h[HISTOGRAM_log_group].sum);
	at_least(o, "records published", o->log.records, published->records);
	at_least(o, "groups published", o->log.groups, published->groups);
	at_least(o, "values asked for", o->log.reads, h[HISTOGRAM_engine_call].count);
	if (!o->orderly || o->log_error)
		return;
	equal(o, "groups come back", h[HISTOGRAM_log_device].count, o->log.groups);
	equal(o, "records in groups", h[HISTOGRAM_log_group].sum, o->log.records);
	check_waits(o);
}

static void check_buckets(const struct audited *o, enum histogram_name name,
			  const struct histogram *seen, bool all)
{
	const struct histogram *h = &o->histogram[name];
	char what[64];

	for (uint32_t i = 0; i < HISTOGRAM_SIZE; i++) {
		if (h->bucket[i] == seen->bucket[i] || (!all && h->bucket[i] > seen->bucket[i]))
			continue;
		snprintf(what, sizeof(what), "%s from %llu ns on", histogram_names[name],
			 (unsigned long long)histogram_low(i, HISTOGRAM_BITS));
		fail(o, what, h->bucket[i], "instead of", seen->bucket[i]);
	}
}

/* R8, R9 */
static void check_seen(const struct audited *o)
{
	const struct op_counter *counted = (const struct op_counter *)o->ops;
	const struct op_counter *seen = (const struct op_counter *)&o->account->ops;
	bool all = o->orderly && o->audit->slow_ns == 0; /* each wait has an entry */

	for (uint32_t op = 1; op < OPS; op++) {
		const __u64 *error = (const __u64 *)&counted[op].errors;
		const __u64 *error_seen = (const __u64 *)&seen[op].errors;

		has(o, op_names[op], counted[op].count, seen[op].count);
		has(o, op_names[op], counted[op].bytes, seen[op].bytes);
		for (size_t i = 0; i < ERRORS; i++)
			has(o, op_names[op], error[i], error_seen[i]);
	}
	equal(o, "slow requests", o->audit->memory[o->number].slow.written, o->account->slow);
	check_buckets(o, HISTOGRAM_log_device, &o->audit->disk[o->number].log_device, true);
	check_buckets(o, HISTOGRAM_log_depth, &o->audit->disk[o->number].log_depth, true);
	check_buckets(o, HISTOGRAM_commit_durable, &o->account->commit_durable, all);
	check_buckets(o, HISTOGRAM_durable_ack, &o->account->durable_ack, all);
	check_buckets(o, HISTOGRAM_arrival, &o->account->arrival, false);
	check_buckets(o, HISTOGRAM_handover, &o->account->handover, false);
	check_buckets(o, HISTOGRAM_txn_life, &o->account->txn_life, false);
	check_tails(o, &o->histogram[HISTOGRAM_txn_life], 0, &o->account->txn_life_least,
		    "transactions that lived as long");
}

static void check_worker(struct audited *o)
{
	for (enum histogram_name name = 0; name < HISTOGRAM_COUNT; name++)
		check_histogram(o, name);
	check_frames(o);
	check_core(o);
	check_txns(o);
	check_log(o);
	check_seen(o);
}

/* R8, R9 of all workers together: who refuses a request may be any of them. */
static void check_all(const struct audited *o, const struct audited each[], uint32_t workers)
{
	const struct audit *a = o->audit;
	const __u64 *seen = (const __u64 *)&a->refused.errors;
	uint64_t count = 0, bytes = 0, count_seen = a->refused.count;
	uint64_t bytes_seen = a->refused.bytes, handed = 0, borrowed = 0;
	uint64_t error[ERRORS] = {0};

	for (uint32_t w = 0; w < workers; w++) {
		const __u64 *more = (const __u64 *)&each[w].ops->packet.errors;

		count += each[w].ops->packet.count;
		bytes += each[w].ops->packet.bytes;
		count_seen += each[w].account->ops.packet.count;
		bytes_seen += each[w].account->ops.packet.bytes;
		handed += each[w].w->handed_over;
		borrowed += each[w].histogram[HISTOGRAM_handover].count;
		for (size_t i = 0; i < ERRORS; i++)
			error[i] += more[i];
		at_least(&each[w], "packet", each[w].ops->packet.count,
			 each[w].account->ops.packet.count);
	}
	has(o, "requests", count, count_seen);
	has(o, "bytes of requests", bytes, bytes_seen);
	has(o, "requests handed over", handed, borrowed);
	for (size_t i = 0; i < ERRORS; i++)
		has(o, "requests refused", error[i], seen[i]);
}

void audit_end(struct audit *a, const struct audit_end *end)
{
	struct audited each[ABAFT_WORKERS_MAX];

	if (a->world->options.no_telemetry)
		return;
	for (uint32_t w = 0; w < end->workers; w++) {
		struct telemetry_memory *memory = &a->memory[w];

		worker_times_end(end->worker[w]); /* as worker_run() does */
		each[w] = (struct audited){.audit = a,
					   .number = w,
					   .orderly = end->orderly,
					   .worker = end->worker[w],
					   .node = end->node[w],
					   .w = &memory->worker,
					   .n = &memory->node,
					   .ops = &memory->ops,
					   .histogram = memory->histogram,
					   .account = &a->account[w],
					   .log_error = log_error(end->log[w])};
		log_stats(end->log[w], &each[w].log);
	}
	for (uint32_t w = 0; w < end->workers; w++)
		check_worker(&each[w]);
	if (end->workers)
		check_all(&each[0], each, end->workers);
}
