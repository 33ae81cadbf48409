/* SPDX-License-Identifier: Apache-2.0 */
/*
 * execute.c - a request's operations, in order, on their transaction. The entry is node_execute().
 *
 *	parse ▶ find the transaction, or its outcome, or open it ▶ attempt ▶ operations ▶ answer
 *		a value is on disk: cold.c parks the request, and it begins here once more
 *
 * E1. An id with an outcome is answered from it; nothing is executed (P6).
 * E2. A packet that does not OPEN must name the instance the node holds. After a restart, an
 *     expiry or a displacement no packet of the old instance can find the id again, so no part of
 *     a transaction is ever committed without the rest (P5).
 * E3. The first operation that fails ends the packet: a COMMIT never follows a failed PUT.
 * E4. UNKNOWN_TXN says that nothing of the transaction was or will be visible. Of an id whose
 *     outcome may have left the table nobody knows that: it is EXPIRED.
 * E5. An attempt that OPENs and replaces another begins the chain anew from its step on: what later
 *     steps wrote is dropped, and the instance changes. So no function that goes on from a replaced
 *     one's result can commit what is half replaced (P5).
 */
#include <errno.h>
#include <string.h>

#include "dataplane/core/bytes.h"
#include "dataplane/core/execution.h"
#include "dataplane/core/probe.h"
#include "dataplane/core/txn_id.h"

/* Transactions ended for their memory after one packet; the next packets go on with it. */
#define DISPLACED_PER_PACKET 64

static const struct vnum no_number = {0, 0};

static void result(struct execution *x, uint8_t code, uint16_t status)
{
	answer_result(x->answer, code, status, 0, no_number, 0, 0, 0);
}

/* An id so old that its outcome may have left the table. */
static bool id_expired(const struct node *node, const uint8_t id[16])
{
	uint64_t ms = txn_id_ms(id);

	return ms <= node->outcomes.horizon_ms ||
	       ms + node->config.window_ms < node->now.wall_us / 1000;
}

/* Why an id without transaction and outcome may not begin one; OK if it may. */
static uint16_t id_status(struct node *node, const uint8_t id[16])
{
	if (txn_id_ms(id) > node->now.wall_us / 1000 + node->config.skew_ms) {
		node->counters->refused_skew++;
		return ABAFT_CLOCK_SKEW;
	}
	if (id_expired(node, id)) {
		node->counters->refused_expired++;
		return ABAFT_EXPIRED;
	}
	return ABAFT_OK;
}

static uint64_t deadline_us(const struct node *node, const struct request *r)
{
	uint64_t ms = r->deadline_ms ? r->deadline_ms : node->config.deadline_ms;

	if (ms > ABAFT_TXN_DEADLINE_MS_MAX)
		ms = ABAFT_TXN_DEADLINE_MS_MAX;
	return node->now.mono_us + ms * 1000;
}

static void displace(struct node *node, struct txn *txn)
{
	node_end_early(node, txn, true);
	node->counters->displaced++;
}

/* After a packet: txn.h I3. */
static void weigh(struct node *node, struct txn *txn)
{
	txn_weigh(&node->txns, txn);
	for (int i = 0; i < DISPLACED_PER_PACKET; i++) {
		struct txn *victim = txn_fresh_for_memory(&node->txns);

		if (node->txns.fresh_bytes <= node->fresh_bytes_max || !victim || victim == txn)
			break;
		displace(node, victim);
	}
}

static uint16_t open_txn(struct execution *x)
{
	struct node *node = x->node;
	uint16_t status = id_status(node, x->request->txn);

	if (status != ABAFT_OK)
		return status;
	if (node->stopping)
		return ABAFT_STOPPING;
	if (node->txns.open == node->txns.max) {
		struct txn *victim = txn_fresh_for_place(&node->txns);

		if (victim)
			displace(node, victim);
	}
	x->txn = txn_begin(&node->txns, x->request->txn, node->next_instance, node->now.mono_us,
			   deadline_us(node, x->request), node->era);
	if (!x->txn) {
		node->counters->busy_txns++;
		return ABAFT_BUSY;
	}
	x->txn->begin_ns = node->telemetry ? node->telemetry->now_ns : 0;
	PROBE(txn__start, 5, PROBE_ID(x->txn->id), node->next_instance, x->request->step,
	      x->request->attempt);
	if (x->request->attempt == 0)
		txn_set_fresh(&node->txns, x->txn);
	node->next_instance++;
	node->counters->opened++;
	return ABAFT_OK;
}

/* E5 */
static void begin_anew(struct execution *x)
{
	struct txn *txn = x->txn;

	for (uint32_t i = 0; i < txn->steps; i++) {
		struct txn_step *step = &txn->step[i];

		if (step->step <= x->request->step || step->attempt == UINT16_MAX)
			continue;
		step->over = true;
		writeset_drop(&txn->writes, &x->node->memory, step->step,
			      (uint16_t)(step->attempt + 1));
	}
	txn->instance = x->node->next_instance++;
}

/* A replaced attempt is refused; a later attempt of a step drops what the earlier ones wrote. */
static uint16_t attempt_status(struct execution *x)
{
	const struct request *r = x->request;
	struct txn *txn = x->txn;

	for (uint32_t i = 0; i < txn->steps; i++) {
		if (txn->step[i].step != r->step)
			continue;
		if (r->attempt < txn->step[i].attempt) {
			x->node->counters->refused_stale++;
			return ABAFT_STALE_ATTEMPT;
		}
		if (r->attempt > txn->step[i].attempt) {
			txn->step[i].attempt = r->attempt;
			txn->step[i].over = false;
			writeset_drop(&txn->writes, &x->node->memory, r->step, r->attempt);
			x->node->counters->attempts_replaced++;
			if (r->open)
				begin_anew(x);
		} else if (txn->step[i].over) {
			x->node->counters->refused_stale++;
			return ABAFT_STALE_ATTEMPT;
		}
		return ABAFT_OK;
	}
	if (txn->steps == ABAFT_TXN_STEPS_MAX) {
		x->node->counters->refused_too_large++;
		return ABAFT_TOO_LARGE;
	}
	txn->step[txn->steps++] = (struct txn_step){.step = r->step, .attempt = r->attempt};
	return ABAFT_OK;
}

/* Its attempt was replaced, perhaps by one that began anew: it need not know the instance. */
static bool is_stale(const struct execution *x)
{
	const struct txn *txn = x->txn;

	for (uint32_t i = 0; i < txn->steps; i++)
		if (txn->step[i].step == x->request->step)
			return x->request->attempt < txn->step[i].attempt ||
			       (x->request->attempt == txn->step[i].attempt && txn->step[i].over);
	return false;
}

/* Finds or begins the transaction. An id with an outcome has no transaction. */
static uint16_t enter(struct execution *x)
{
	const struct request *r = x->request;
	/* An ABORT alone is final even for an id that never came: its packets may come late. */
	bool abort_only = r->op[0].code == ABAFT_OP_ABORT;
	uint16_t status;

	if (x->txn) {
		if (x->txn->state == TXN_PENDING)
			return ABAFT_IN_PROGRESS;
		if (x->txn->state == TXN_LOST)
			return ABAFT_LOG_FAILED;
		if (!r->open && r->instance != x->txn->instance && !abort_only)
			goto unknown;
		/* A request that waited for values is no second packet. */
		if (!x->node->fetches->running)
			txn_came_back(&x->node->txns, x->txn);
	} else if (r->open || abort_only) {
		status = open_txn(x);
		if (status != ABAFT_OK)
			return status;
	} else if (id_expired(x->node, r->txn)) { /* not UNKNOWN: it may have committed (E4) */
		x->node->counters->refused_expired++;
		return ABAFT_EXPIRED;
	} else {
		goto unknown;
	}
	txn_renew(&x->node->txns, x->txn, deadline_us(x->node, r));
	return attempt_status(x);
unknown:
	if (x->txn && is_stale(x)) {
		x->node->counters->refused_stale++;
		return ABAFT_STALE_ATTEMPT;
	}
	x->node->counters->refused_unknown++;
	return ABAFT_UNKNOWN_TXN;
}

uint32_t execution_bytes(const struct op *op, uint32_t total, uint32_t room)
{
	uint32_t n = op->offset < total ? total - op->offset : 0;

	if (op->data_bytes > 0 && n > op->data_bytes)
		n = op->data_bytes;
	if (n > room) /* the next part begins on a granule */
		n = (op->offset + room) / ABAFT_PART_BYTES * ABAFT_PART_BYTES - op->offset;
	return n;
}

/* Value bytes from `offset`, as many as are wanted and fit. */
static void value_result(struct execution *x, const struct op *op, uint32_t i, uint8_t flags,
			 struct vnum number, const uint8_t *value, uint32_t total)
{
	uint32_t room = answer_room(x->answer, x->request->ops - i);
	uint32_t n = execution_bytes(op, total, room);
	uint8_t *to;

	to = answer_result(x->answer, op->code, ABAFT_OK, flags, number, total, op->offset, n);
	if (n > 0)
		memcpy(to, value + op->offset, n);
}

/* Of the packet's first operation. */
static uint64_t packet_opnum(const struct request *r)
{
	return opnum_make(r->step, r->attempt, r->seq);
}

static uint16_t get_own(struct execution *x, const struct op *op, uint32_t i, struct write *w)
{
	uint16_t status = w->parts ? ABAFT_INCOMPLETE : ABAFT_NOT_FOUND;

	w->observed = packet_opnum(x->request) + 1;
	if (w->parts || w->kind == VERSION_TOMBSTONE) {
		answer_result(x->answer, op->code, status, ABAFT_RESULT_OWN, no_number, 0, 0, 0);
		return status;
	}
	value_result(x, op, i, ABAFT_RESULT_OWN, no_number, w->value, w->bytes);
	return ABAFT_OK;
}

uint16_t execution_choose(struct execution *x, const struct op *op, struct key_id id,
			  const struct version **out)
{
	struct node *node = x->node;
	struct txn *txn = x->txn;
	const struct read *before = readset_find(&txn->reads, id);
	const struct version *v;
	int err;

	if (before) {
		*out = before->version;
		return ABAFT_OK;
	}
	v = readset_choose(&txn->reads, id,
			   index_find(&node->store->index, id, op->key, op->key_bytes), txn->cut);
	err = readset_add(&txn->reads, &node->memory, id, v);
	if (err == -E2BIG) {
		node->counters->busy_reads++;
		return ABAFT_TOO_LARGE;
	}
	if (err) {
		node->counters->busy_memory++;
		return ABAFT_NO_SPACE;
	}
	if (txn->reads.count == 1)
		PROBE(txn__first_read, 5, PROBE_ID(txn->id), op->key, op->key_bytes,
		      v ? v->bytes : 0);
	if (v && v->number.time > txn->seen)
		txn->seen = v->number.time;
	*out = v;
	return ABAFT_OK;
}

struct write *execution_own(struct execution *x, const struct op *op, struct key_id id, uint32_t i)
{
	const struct request *r = x->request;

	return writeset_find(&x->txn->writes, id, opnum_make(r->step, r->attempt, r->seq + i));
}

/* Where the value of the version that operation i reads is. */
static uint16_t find_value(struct execution *x, const struct op *op, uint32_t i,
			   const struct version *v, const uint8_t **value)
{
	*value = version_value(v);
	if (!version_is_large(v))
		return ABAFT_OK;
	if (*value) {
		cache_hit(v);
		x->cache_hits++;
		return ABAFT_OK;
	}
	if (execution_bytes(op, v->bytes, answer_room(x->answer, x->request->ops - i)) == 0)
		return ABAFT_OK;
	return cold_value(x, op, i, v, value);
}

static uint16_t get(struct execution *x, const struct op *op, uint32_t i)
{
	struct key_id id = index_id(&x->node->store->index, op->key, op->key_bytes);
	struct write *own = execution_own(x, op, id, i);
	const struct version *v = NULL;
	const uint8_t *value;
	uint16_t status;

	if (op->code == ABAFT_OP_GET)
		x->gets++;
	else
		x->get_parts++;
	if (own)
		return get_own(x, op, i, own);
	status = execution_choose(x, op, id, &v);
	if (status != ABAFT_OK) {
		result(x, op->code, status);
		return status;
	}
	if (!v || v->kind == VERSION_TOMBSTONE) {
		answer_result(x->answer, op->code, ABAFT_NOT_FOUND, 0, v ? v->number : no_number, 0,
			      0, 0);
		return ABAFT_NOT_FOUND;
	}
	status = find_value(x, op, i, v, &value);
	if (status == ABAFT_OK)
		value_result(x, op, i, 0, v->number, value, v->bytes);
	else if (status != EXECUTION_MISSING)
		result(x, op->code, status);
	return status;
}

static uint16_t put_status(struct node *node, int err)
{
	switch (err) {
	case 0:
		return ABAFT_OK;
	case -E2BIG:
		node->counters->busy_writes++;
		return ABAFT_TOO_LARGE;
	case -EFBIG:
		node->counters->refused_too_large++;
		return ABAFT_TOO_LARGE;
	case -EINVAL:
		node->counters->refused_range++;
		return ABAFT_MALFORMED;
	default:
		node->counters->busy_memory++;
		return ABAFT_NO_SPACE;
	}
}

static void count_put(struct node_counters *c, uint8_t code)
{
	switch (code) {
	case ABAFT_OP_PUT:
		c->puts++;
		break;
	case ABAFT_OP_PUT_PART:
		c->put_parts++;
		break;
	default:
		c->deletes++;
		break;
	}
}

static uint16_t put(struct execution *x, const struct op *op, uint32_t i)
{
	const struct request *r = x->request;
	struct write_args args = {
		.opnum = opnum_make(r->step, r->attempt, r->seq + i),
		.packet = packet_opnum(r),
		.key = op->key,
		.data = op->data,
		.key_bytes = op->key_bytes,
		.total = op->total,
		.offset = op->offset,
		.data_bytes = op->data_bytes,
		.kind = op->code == ABAFT_OP_DELETE ? VERSION_TOMBSTONE : VERSION_VALUE,
		.part = op->code == ABAFT_OP_PUT_PART,
	};
	uint16_t status;

	count_put(x->node->counters, op->code);
	if (op->total > ABAFT_VALUE_BYTES_MAX) {
		x->node->counters->refused_too_large++;
		status = ABAFT_TOO_LARGE;
	} else {
		args.id = index_id(&x->node->store->index, op->key, op->key_bytes);
		x->node->memory.deleting = op->code == ABAFT_OP_DELETE;
		status =
			put_status(x->node, writeset_put(&x->txn->writes, &x->node->memory, &args));
		x->node->memory.deleting = false;
	}
	if (x->node->telemetry)
		telemetry_op(x->node->telemetry, op->code)->bytes += op->data_bytes;
	if (status == ABAFT_OK)
		PROBE(txn__put, 6, PROBE_ID(x->txn->id), op->code, op->key, op->key_bytes,
		      op->data_bytes);
	result(x, op->code, status);
	return status;
}

/* A transaction that wrote nothing ends at once, without a record. Its outcome is remembered for a
 * repeated COMMIT, unless the packet would open it again: then it just reads once more. Not so a
 * later step or attempt: a late packet of an earlier one might commit writes after it (P6). */
static uint16_t commit_read_only(struct execution *x, const struct op *op)
{
	if (x->node->telemetry) {
		x->node->telemetry->begin_ns = x->txn->begin_ns;
		x->node->telemetry->ended = ABAFT_OP_COMMIT;
	}
	if (!x->request->open || x->request->step > 0 || x->request->attempt > 0)
		outcome_add(&x->node->outcomes, x->txn->id, OUTCOME_COMMITTED, no_number);
	txn_end(&x->node->txns, &x->node->memory, x->txn);
	x->txn = NULL;
	x->node->counters->commits_read_only++;
	result(x, op->code, ABAFT_OK);
	return ABAFT_OK;
}

/* COMMIT and ABORT: the result is filled when the record is durable. */
static uint16_t end(struct execution *x, const struct op *op)
{
	uint16_t status;

	if (op->code == ABAFT_OP_COMMIT && x->txn->writes.count == 0)
		return commit_read_only(x, op);
	x->txn->answer_at = x->answer->used;
	status = op->code == ABAFT_OP_COMMIT ? commit_append(x->node, x->txn)
					     : abort_append(x->node, x->txn);
	result(x, op->code, status);
	x->waiting = status == ABAFT_OK;
	return status;
}

static uint16_t execute_op(struct execution *x, const struct op *op, uint32_t i)
{
	switch (op->code) {
	case ABAFT_OP_GET:
	case ABAFT_OP_GET_PART:
		return get(x, op, i);
	case ABAFT_OP_PUT:
	case ABAFT_OP_PUT_PART:
	case ABAFT_OP_DELETE:
		return put(x, op, i);
	default:
		return end(x, op);
	}
}

static bool reads_from(const struct request *r, uint32_t i)
{
	for (; i < r->ops; i++)
		if (op_reads(&r->op[i]))
			return true;
	return false;
}

/* Until one fails. Returns how many were executed; EXECUTION_MISSING: the next, or a GET behind it,
 * misses its value, and no write was executed. */
static uint32_t execute_some(struct execution *x, uint16_t *status)
{
	const struct request *r = x->request;
	bool wrote = x->checked;

	for (uint32_t i = 0; i < r->ops; i++) {
		if (!wrote && !op_reads(&r->op[i])) {
			wrote = true;
			if (reads_from(r, i + 1) && !cold_check(x, i)) {
				*status = EXECUTION_MISSING;
				return i;
			}
		}
		*status = execute_op(x, &r->op[i], i);
		if (*status != ABAFT_OK && *status != ABAFT_NOT_FOUND)
			return *status == EXECUTION_MISSING ? i : i + 1;
	}
	return r->ops;
}

static void execute_ops(struct execution *x)
{
	const struct request *r = x->request;
	struct node_counters *c = x->node->counters;
	uint16_t status = ABAFT_OK;
	uint32_t done;

	if (x->node->fetches->running && !cold_check(x, 0)) {
		cold_park(x);
		return;
	}
	done = execute_some(x, &status);
	if (status == EXECUTION_MISSING) {
		cold_park(x);
		return;
	}
	c->gets += x->gets;
	c->get_parts += x->get_parts;
	c->cache_hits += x->cache_hits;
	for (; done < r->ops; done++) /* E3 */
		result(x, r->op[done].code, ABAFT_SKIPPED);
}

/* E1: what an ended transaction answers. Its writes took effect once if the packet asks to commit.
 */
static void answer_outcome(struct execution *x, const struct outcome *o)
{
	const struct request *r = x->request;
	uint8_t last = r->op[r->ops - 1].code;
	bool committed = o->state == OUTCOME_COMMITTED;
	bool repeat = last == (committed ? ABAFT_OP_COMMIT : ABAFT_OP_ABORT);

	x->node->counters->repeats += repeat;
	x->node->counters->refused_ended += !repeat;
	for (uint32_t i = 0; i < r->ops; i++) {
		uint8_t code = r->op[i].code;
		bool read = code == ABAFT_OP_GET || code == ABAFT_OP_GET_PART;
		uint16_t status = committed ? ABAFT_COMMITTED : ABAFT_ABORTED;
		uint8_t flags = 0;

		if (repeat && !read) {
			status = ABAFT_OK;
			flags = ABAFT_RESULT_REPEAT;
		}
		answer_result(x->answer, code, status, flags,
			      code == ABAFT_OP_COMMIT || code == ABAFT_OP_ABORT ? o->number
										: no_number,
			      0, 0, 0);
	}
}

static void answer_status(struct execution *x, const struct outcome *o)
{
	uint16_t status = ABAFT_UNKNOWN_TXN;

	x->node->counters->statuses++;
	if (o)
		status = o->state == OUTCOME_COMMITTED ? ABAFT_COMMITTED : ABAFT_ABORTED;
	else if (x->txn)
		status = x->txn->state == TXN_OPEN	? ABAFT_OK
			 : x->txn->state == TXN_PENDING ? ABAFT_IN_PROGRESS
							: ABAFT_LOG_FAILED;
	else if (id_expired(x->node, x->request->txn))
		status = ABAFT_EXPIRED;
	answer_result(x->answer, ABAFT_OP_STATUS, status, 0, o ? o->number : no_number, 0, 0, 0);
}

static void answer_info(struct execution *x)
{
	struct node *node = x->node;
	uint32_t total = 0;

	node->counters->infos++;
	if (node->info)
		total = node->info(node->info_arg, node->info_text, sizeof(node->info_text));
	value_result(x, &x->request->op[0], 0, 0, no_number, (const uint8_t *)node->info_text,
		     total);
}

static void execute(struct execution *x)
{
	struct node *node = x->node;
	const struct outcome *outcome;
	uint16_t status;

	if (x->request->op[0].code == ABAFT_OP_INFO) {
		answer_info(x);
		return;
	}
	x->txn = txn_find(&node->txns, x->request->txn);
	outcome = x->txn ? NULL : outcome_find(&node->outcomes, x->request->txn);
	if (x->request->op[0].code == ABAFT_OP_STATUS) {
		answer_status(x, outcome);
		return;
	}
	if (outcome) {
		answer_outcome(x, outcome);
		return;
	}
	status = enter(x);
	if (status != ABAFT_OK) {
		answer_refuse(x->answer, status);
		return;
	}
	store_le64(((struct abaft_wire_header *)(void *)x->answer->out)->instance,
		   x->txn->instance);
	execute_ops(x);
	if (!x->txn)
		return;
	weigh(node, x->txn);
	if (node->telemetry)
		node->telemetry->begin_ns = x->txn->begin_ns;
}

/* A commit that waits counts as OK: tell() in commit.c knows if it was not. */
static void count_packet(const struct answer *answer, uint32_t in_bytes)
{
	const struct abaft_wire_header *header = (const void *)answer->out;
	struct op_counter *packet = &answer->telemetry->ops->packet;

	packet->count++;
	packet->bytes += in_bytes;
	if (load_le16(header->flags) & ABAFT_FLAG_REFUSED)
		op_count_error(packet, load_le16(header->status));
	answer_count(answer);
}

enum node_verdict node_execute(struct node *node, const uint8_t *in, uint32_t in_bytes,
			       uint8_t *out, uint32_t *out_bytes, void *token)
{
	struct request request;
	struct answer answer;
	struct execution x;
	uint16_t status = ABAFT_MALFORMED;
	enum request_verdict verdict =
		request_parse(&request, in, in_bytes, node->counters, &status);

	if (node->telemetry) {
		node->telemetry->begin_ns = 0;
		node->telemetry->ended = 0;
	}
	if (verdict == REQUEST_DROP)
		return NODE_DROP;
	x.node = node;
	x.request = &request;
	x.answer = &answer;
	x.token = token;
	x.waiting = x.parked = x.checked = false;
	x.gets = x.get_parts = x.cache_hits = 0;
	answer_begin(&answer, out, request.header, ABAFT_PACKET_BYTES_MAX, node->store->workers, 0);
	answer.telemetry = node->telemetry;
	if (verdict == REQUEST_REFUSE) {
		answer_refuse(&answer, status);
	} else {
		answer.max = request.answer_max;
		execute(&x);
	}
	if (x.parked)
		return NODE_FETCH;
	if (node->telemetry)
		count_packet(&answer, in_bytes);
	*out_bytes = answer_end(&answer);
	if (!x.waiting)
		return NODE_ANSWER;
	x.txn->token = token;
	return NODE_WAIT;
}

bool node_refuse(struct node *node, const uint8_t *in, uint32_t in_bytes, uint8_t *out,
		 uint32_t *out_bytes, uint16_t status)
{
	struct answer answer;

	if (!request_answerable(in, in_bytes, node->counters))
		return false;
	answer_begin(&answer, out, (const void *)in, ABAFT_PACKET_BYTES_MAX, node->store->workers,
		     0);
	answer.telemetry = node->telemetry;
	answer_refuse(&answer, status);
	if (node->telemetry)
		count_packet(&answer, in_bytes);
	*out_bytes = answer_end(&answer);
	return true;
}
