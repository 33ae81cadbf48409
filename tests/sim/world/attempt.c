// SPDX-License-Identifier: Apache-2.0
/*
 * attempt.c - one run of one step of a request: its rounds, and what its end means.
 *
 * What an attempt may say of itself goes into the history (docs/history.md), so it must be neither
 * more nor less than is known:
 *
 * A1. `failed` is an attempt that never sent a commit, or one that was told UNKNOWN_TXN: its commit
 *     named an instance that the node does not hold, so no copy of that packet can commit; or one
 *     that sent it when somebody had been told that another had committed. Every other refusal may
 *     be the answer to one copy only, another of which comes late: `unknown`.
 * A2. A commit answered OK without REPEAT is this attempt's. With REPEAT, or COMMITTED from an
 *     operation, it is this attempt's if no other may have committed: then its own answer was lost.
 *     Else `repeated`, though it may be its own.
 * A3. Whoever was answered COMMITTED or ABORTED without anybody having asked for it has found a
 * bug; so has who is executed after the end was told.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/world/judge.h"
#include "tests/sim/world/platform_impl.h"
#include "tests/sim/world/world.h"

/* A function starts, and works between two rounds, for up to so long. */
#define START_US 500
#define WORK_US	 300
#define WAIT_US	 3000
/* When the world heals nobody is slow any more. */
#define SLOW_US	 20000
/* The longest tag: its id, numbers, time and key. */
#define TAG_ROOM 128

static void next_round(void *arg);
static void answered(void *arg, struct abaft_txn *txn, int err);

static struct attempt *attempt_of(struct run *run)
{
	return (struct attempt *)run;
}

static struct world *world_of(const struct attempt *attempt)
{
	return attempt->platform->world;
}

static bool is_last(const struct attempt *attempt)
{
	return attempt->run.step == 0 || attempt->run.step == attempt->run.request->steps;
}

uint64_t run_roll(struct run *run, uint64_t limit)
{
	return sim_random(&run->random, limit);
}

void run_pause(struct run *run, uint64_t us)
{
	run->pause_us += us;
}

static struct run_op *add(struct run *run, char kind, const char *key, uint32_t bytes)
{
	struct run_op *op = &run->ops[run->ops_count];

	if (run->ops_count == PLATFORM_OPS_MAX || strlen(key) >= PLATFORM_KEY_BYTES)
		abort();
	*op = (struct run_op){.kind = kind,
			      .time_us = world_of(attempt_of(run))->events.now_us,
			      .number = {run->step, run->attempt, run->ops_count + 1},
			      .result = {.status = ABAFT_SKIPPED},
			      .bytes = bytes};
	snprintf(op->key, sizeof(op->key), "%s", key);
	if (bytes) {
		op->value = malloc(bytes);
		if (!op->value)
			abort();
	}
	if (kind != 'r')
		attempt_of(run)->chain->writes = true;
	run->ops_count++;
	return op;
}

struct run_op *run_get(struct run *run, const char *key)
{
	return add(run, 'r', key, TAG_ROOM + PLATFORM_SMALL);
}

struct run_op *run_get_big(struct run *run, const char *key)
{
	return add(run, 'r', key, TAG_ROOM + PLATFORM_VALUE_MAX);
}

struct run_op *run_put(struct run *run, const char *key, const void *value, uint32_t bytes)
{
	struct run_op *op = add(run, 'w', key, TAG_ROOM + bytes);
	struct tag_source tag = {.id = &run->request->id,
				 .number = op->number,
				 .time_us = op->time_us,
				 .key = {op->key, strlen(op->key)}};
	ssize_t tag_bytes = tag_write((char *)op->value, op->bytes, &tag);

	if (tag_bytes < 0 || bytes > PLATFORM_VALUE_MAX)
		abort();
	if (bytes)
		memcpy(op->value + tag_bytes, value, bytes);
	op->bytes = (uint32_t)tag_bytes + bytes;
	return op;
}

struct run_op *run_delete(struct run *run, const char *key)
{
	return add(run, 'd', key, 0);
}

void run_commit(struct run *run)
{
	run->commits = true;
}

void run_abort(struct run *run)
{
	run->aborts = true;
	attempt_of(run)->chain->ends_in_abort = true;
}

const uint8_t *run_value(const struct run_op *op, uint32_t *bytes)
{
	struct tag tag;
	const char *end;

	if (!op->answered || op->result.status != ABAFT_OK ||
	    tag_read((const char *)op->value, op->result.len, &tag))
		return NULL;
	end = tag.body + tag.body_len + 1;
	*bytes = (uint32_t)((const char *)op->value + op->result.len - end);
	return (const uint8_t *)end;
}

/* The function's own time before the round, and what the platform's machine adds to it. */
static uint64_t pause_of(struct attempt *attempt)
{
	struct world *world = world_of(attempt);
	struct run *run = &attempt->run;
	uint64_t pause_us = run->pause_us;

	run->pause_us = 0;
	if (world_has(world, WORLD_SLOW_FUNCTION) && run_roll(run, 40) == 0) {
		uint64_t deadline_us = attempt->chain->deadline_ms * UINT64_C(1000);

		world_fault(world, WORLD_SLOW_FUNCTION);
		pause_us += run_roll(run, 3)
				    ? run_roll(run, 50000)
				    : run_roll(run, deadline_us ? 2 * deadline_us : 4000000);
	}
	return world->healing && pause_us > SLOW_US ? SLOW_US : pause_us;
}

static int prepare(struct attempt *attempt, struct run_op *op)
{
	size_t key_bytes = strlen(op->key);

	switch (op->kind) {
	case 'r':
		return abaft_prep_get(attempt->txn, op->key, key_bytes, op->value, op->bytes,
				      &op->result);
	case 'w':
		return abaft_prep_put(attempt->txn, op->key, key_bytes, op->value, op->bytes,
				      &op->result);
	default:
		return abaft_prep_delete(attempt->txn, op->key, key_bytes, &op->result);
	}
}

static int begin(struct attempt *attempt)
{
	const struct run *run = &attempt->run;
	struct abaft_begin how = {.id = &run->request->id,
				  .step = run->step,
				  .attempt = run->attempt,
				  .deadline_ms = attempt->chain->deadline_ms};

	if (run->before)
		how.context = ((const struct attempt *)run->before)->context;
	attempt->start_us = world_of(attempt)->events.now_us;
	return sim_client_begin(attempt->platform->clients[attempt->client].sim, &how,
				&attempt->txn);
}

static int submit(struct attempt *attempt)
{
	struct run *run = &attempt->run;
	int err = 0;

	for (uint32_t i = run->ops_before; !err && i < run->ops_count; i++)
		err = prepare(attempt, &run->ops[i]);
	attempt->end = (struct abaft_result){.status = ABAFT_SKIPPED};
	if (!err && run->commits)
		err = abaft_prep_commit(attempt->txn, &attempt->end);
	if (!err && run->aborts)
		err = abaft_prep_abort(attempt->txn, &attempt->end);
	if (!err)
		err = sim_client_submit(attempt->platform->clients[attempt->client].sim,
					attempt->txn, answered, attempt);
	return err;
}

/* What somebody may have done is in the history also if nobody lives to tell it. */
static void tell(struct attempt *attempt, enum history_outcome outcome)
{
	struct world *world = world_of(attempt);
	struct abaft_version version = {0};
	char name[32];

	if (attempt->start_us == 0) /* it asked for nothing */
		return;
	if (attempt->run.commits && attempt->end.status == ABAFT_OK)
		version = attempt->end.version;
	snprintf(name, sizeof(name), "client-%u", attempt->client);
	judge_run(world->judge, &attempt->run, name, attempt->start_us, world->events.now_us,
		  outcome, version);
}

static void end(struct attempt *attempt, int err, enum history_outcome outcome)
{
	struct chain *chain = attempt->chain;

	world_note(world_of(attempt), "request %u: %u.%u ends: %s, %s", chain->request.number,
		   attempt->run.step, attempt->run.attempt, abaft_error_name(err),
		   history_outcome_name(outcome));
	LIST_REMOVE(attempt, of_client);
	event_remove(&world_of(attempt)->events, &attempt->event);
	attempt->txn = NULL;
	tell(attempt, outcome);
	chain_attempt_ended(attempt, err, outcome);
}

/* Another attempt may have committed. */
static bool others_may(const struct attempt *attempt)
{
	const struct attempt *other;

	LIST_FOREACH(other, &attempt->chain->attempts, of_chain)
	if (other != attempt && other->asked && !other->sure)
		return true;
	return false;
}

/* A2 */
static enum history_outcome committed(struct attempt *attempt, bool repeat)
{
	struct chain *chain = attempt->chain;
	bool others = others_may(attempt);

	if (!attempt->asked && !others)
		world_fail(world_of(attempt), "committed unasked",
			   "request %u: %u.%u was told COMMITTED, and nobody asked for it",
			   chain->request.number, attempt->run.step, attempt->run.attempt);
	if (repeat && (!attempt->asked || others))
		return HISTORY_REPEATED;
	if (chain->effective && chain->writes)
		world_fail(world_of(attempt), "committed twice",
			   "request %u: by attempt %u.%u and by %u.%u", chain->request.number,
			   chain->effective->run.step, chain->effective->run.attempt,
			   attempt->run.step, attempt->run.attempt);
	chain->effective = attempt;
	return HISTORY_COMMITTED;
}

static enum history_outcome aborted(const struct attempt *attempt)
{
	if (!attempt->chain->ends_in_abort)
		world_fail(world_of(attempt), "aborted unasked",
			   "request %u: %u.%u was told ABORTED, and nobody asked for it",
			   attempt->chain->request.number, attempt->run.step, attempt->run.attempt);
	return HISTORY_ABORTED;
}

/* A1 */
static enum history_outcome unanswered(struct attempt *attempt, int err)
{
	const struct chain *chain = attempt->chain;

	if (!attempt->asked)
		return HISTORY_FAILED;
	attempt->sure =
		err == ABAFT_UNKNOWN_TXN || (chain->told_us && attempt->sent_us > chain->told_us);
	return attempt->sure ? HISTORY_FAILED : HISTORY_UNKNOWN;
}

static enum history_outcome outcome_of(struct attempt *attempt, int err)
{
	const struct run *run = &attempt->run;

	if (err == ABAFT_OK && run->commits)
		return committed(attempt, attempt->end.repeat);
	if (err == ABAFT_OK)
		return run->aborts ? aborted(attempt) : HISTORY_OPEN;
	if (err == ABAFT_COMMITTED)
		return committed(attempt, true);
	if (err == ABAFT_ABORTED)
		return aborted(attempt);
	return unanswered(attempt, err);
}

/* Nobody's request is wrong, so nobody may be told that it is. But an answer that says nothing may
 * be a forged one (forge.c, I3). */
static void check_error(const struct attempt *attempt, int err)
{
	if (err == ABAFT_PROTOCOL && world_of(attempt)->plan.faults >> WORLD_FORGE & 1)
		return;
	switch (err) {
	case ABAFT_SKIPPED:
	case ABAFT_NOT_FOUND:
	case ABAFT_TOO_LARGE:
	case ABAFT_MALFORMED:
	case ABAFT_UNSUPPORTED:
	case ABAFT_INCOMPLETE:
	case ABAFT_WRONG_NODE:
	case ABAFT_DENIED:
	case ABAFT_INVALID:
	case ABAFT_NO_MEMORY:
	case ABAFT_PROTOCOL:
		world_fail(world_of(attempt), "refused", "request %u: %u.%u was told %s",
			   attempt->chain->request.number, attempt->run.step, attempt->run.attempt,
			   abaft_error_name(err));
	default:
		break;
	}
}

/* A3: what was sent after somebody was told the end must be told it, too. */
static void check_executed(const struct attempt *attempt, int err)
{
	const struct chain *chain = attempt->chain;

	if (err || chain->told_us == 0 || attempt->sent_us <= chain->told_us ||
	    attempt->end.repeat || !(chain->writes || chain->ends_in_abort))
		return;
	world_fail(world_of(attempt), "executed again",
		   "request %u: %u.%u was executed, though its end was told before",
		   chain->request.number, attempt->run.step, attempt->run.attempt);
}

static void check_read(const struct attempt *attempt, const struct run_op *op)
{
	struct tag tag;

	if (op->result.status != ABAFT_OK)
		return;
	if (op->result.len != op->result.total ||
	    tag_read((const char *)op->value, op->result.len, &tag))
		world_fail(world_of(attempt), "foreign value",
			   "request %u: %s holds %u bytes that nobody wrote there",
			   attempt->chain->request.number, op->key, op->result.total);
}

static void take_results(struct attempt *attempt)
{
	struct run *run = &attempt->run;

	for (uint32_t i = run->ops_before; i < run->ops_count; i++) {
		struct run_op *op = &run->ops[i];

		op->answered =
			op->result.status == ABAFT_OK || op->result.status == ABAFT_NOT_FOUND;
		world_of(attempt)->counts.operations += op->answered;
		if (op->kind == 'r')
			check_read(attempt, op);
	}
}

/* abaft_done_fn */
static void answered(void *arg, struct abaft_txn *txn, int err)
{
	struct attempt *attempt = arg;
	struct run *run = &attempt->run;

	if (!attempt->txn)
		return;
	check_error(attempt, err);
	take_results(attempt);
	check_executed(attempt, err);
	if (!err && !run->commits && !run->aborts) {
		event_set(&world_of(attempt)->events, &attempt->event,
			  world_of(attempt)->events.now_us + run_roll(run, WORK_US), next_round,
			  attempt);
		return;
	}
	sim_client_end(attempt->platform->clients[attempt->client].sim, txn);
	if (!err && run->commits && attempt->chain->writes && attempt->end.version.time == 0)
		world_fail(world_of(attempt), "no version",
			   "request %u: %u.%u committed what was written as nothing",
			   attempt->chain->request.number, run->step, run->attempt);
	if ((run->commits || run->aborts) && attempt->end.status == ABAFT_OK)
		chain_told(attempt->chain, attempt->end.version);
	else if (err == ABAFT_COMMITTED || err == ABAFT_ABORTED)
		chain_told(attempt->chain, (struct abaft_version){0});
	end(attempt, err, outcome_of(attempt, err));
}

static void send_round(void *arg)
{
	struct attempt *attempt = arg;
	struct run *run = &attempt->run;
	int err = attempt->txn ? 0 : begin(attempt);

	if (err ==
	    ABAFT_BUSY) { /* the client has no place for one more: the next one that is free */
		attempt->start_us = 0;
		event_set(&world_of(attempt)->events, &attempt->event,
			  world_of(attempt)->events.now_us + 500 + run_roll(run, WAIT_US),
			  send_round, attempt);
		return;
	}
	attempt->sent_us = world_of(attempt)->events.now_us;
	attempt->asked |= run->commits;
	run->round++;
	if (!err)
		err = submit(attempt);
	if (err)
		world_fail(world_of(attempt), "cannot submit", "request %u: %u.%u: %s",
			   attempt->chain->request.number, run->step, run->attempt,
			   abaft_error_name(err));
	platform_sent(attempt->platform, attempt->client, run_roll(run, 1000));
}

/* A step that is not the last has ended well: it leaves the transaction to the next one. */
static void step_ended(struct attempt *attempt)
{
	struct abaft_txn *txn = attempt->txn;

	if (is_last(attempt) || !txn || abaft_export(txn, attempt->context))
		world_fail(world_of(attempt), "cannot go on", "request %u: after %u.%u",
			   attempt->chain->request.number, attempt->run.step, attempt->run.attempt);
	attempt->txn = NULL;
	sim_client_end(attempt->platform->clients[attempt->client].sim, txn);
	end(attempt, ABAFT_OK, HISTORY_OPEN);
}

static void next_round(void *arg)
{
	struct attempt *attempt = arg;
	struct run *run = &attempt->run;
	struct events *events = &world_of(attempt)->events;

	run->ops_before = run->ops_count;
	if (run->request->load->round(world_of(attempt), run))
		event_set(events, &attempt->event, events->now_us + pause_of(attempt), send_round,
			  attempt);
	else
		step_ended(attempt);
}

struct attempt *attempt_begin(struct chain *chain, uint32_t at, const struct attempt *before)
{
	struct platform *platform = chain->platform;
	struct world *world = platform->world;
	struct attempt *attempt = calloc(1, sizeof(*attempt));
	struct run *run = &attempt->run;

	if (!attempt)
		abort();
	run->request = &chain->request;
	if (chain->attempt[at] == UINT16_MAX)
		abort();
	run->step = chain->request.steps == 1 ? 0 : (uint16_t)(at + 1);
	run->attempt = chain->attempt[at]++;
	run->before = before ? &before->run : NULL;
	run->random = chain_roll(chain, UINT64_MAX);
	attempt->platform = platform;
	attempt->chain = chain;
	attempt->client = (uint32_t)chain_roll(chain, world->plan.clients);
	LIST_INSERT_HEAD(&chain->attempts, attempt, of_chain);
	LIST_INSERT_HEAD(&platform->clients[attempt->client].attempts, attempt, of_client);
	chain->running++;
	world->counts.attempts++;
	world_note(world, "request %u: %u.%u begins on client %u", chain->request.number, run->step,
		   run->attempt, attempt->client);
	event_set(&world->events, &attempt->event, world->events.now_us + run_roll(run, START_US),
		  next_round, attempt);
	return attempt;
}

void attempt_died(struct attempt *attempt)
{
	end(attempt, ABAFT_CANCELLED, unanswered(attempt, ABAFT_CANCELLED));
}

void attempt_free(struct attempt *attempt)
{
	for (uint32_t i = 0; i < attempt->run.ops_count; i++)
		free(attempt->run.ops[i].value);
	free(attempt);
}
