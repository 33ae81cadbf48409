/* SPDX-License-Identifier: Apache-2.0 */
/* log_client.c - the clients of log_sim.c; every answer they get is held against the model. */
#include <string.h>

#include <abaft/error.h>

#include "dataplane/log/recover.h"
#include "tests/sim/log_sim.h"

#define PART_BYTES	 1024
#define DEADLINE_MS	 20 /* a refused one must not hold versions back for long */
#define READ_DEADLINE_MS 6000

static struct node *node_of(const struct log_sim *s, uint32_t worker)
{
	return s->bed.node[worker];
}

static void id_make(struct log_sim *s, uint32_t worker, uint8_t id[16])
{
	uint64_t owner = (((uint64_t)worker << 32) + (1ull << 31)) / s->bed.workers;

	packet_id(id, s->bed.now.wall_us / 1000, ++s->ids, (uint32_t)owner);
}

/* The status of an answer's last operation, which becomes *last; or of its refusal. */
static uint16_t status_of(const struct log_sim *s, const uint8_t *answer, uint32_t bytes,
			  struct reply_result *last)
{
	uint16_t status = ABAFT_OK;
	struct reply reply;

	memset(last, 0, sizeof(*last));
	if (!reply_open(&reply, answer, bytes))
		log_sim_fail(s, "a malformed answer");
	if (reply.flags & ABAFT_FLAG_REFUSED)
		return reply.status;
	while (reply_next(&reply, last))
		if (last->status != ABAFT_OK && status == ABAFT_OK)
			status = last->status; /* the first that failed */
	return status;
}

/* Transactions. */

static struct flight *flight_take(struct log_sim *s, uint32_t worker)
{
	for (uint32_t i = 0; i < FLIGHTS_MAX; i++)
		if (!s->flight[worker][i].used)
			return &s->flight[worker][i];
	return NULL;
}

struct sending {
	struct log_sim *s;
	struct model_txn *txn;
	struct flight *flight;
	struct packet p;
	uint64_t instance;
	uint32_t seq;
	bool refused;
};

static void begin_packet(struct sending *x)
{
	packet_begin(&x->p, x->txn->id, x->instance, 0, x->txn->attempt, x->seq,
		     x->instance ? 0 : ABAFT_FLAG_OPEN);
	packet_deadline(&x->p, DEADLINE_MS);
}

static enum node_verdict execute(struct sending *x)
{
	struct node *node = node_of(x->s, x->txn->worker);
	enum node_verdict verdict;

	packet_finish(&x->p);
	if (x->p.cut || x->p.used > ABAFT_PACKET_BYTES_MAX)
		log_sim_fail(x->s, "a packet is too large");
	x->seq += x->p.ops;
	node_pass_begin(node, x->s->bed.now);
	verdict = node_execute(node, x->p.bytes, x->p.used, x->flight->answer, &x->flight->bytes,
			       x->flight);
	node_pass_end(node);
	return verdict;
}

/* All but the last packet. */
static void send_packet(struct sending *x)
{
	struct reply_result last;
	struct reply reply;

	if (x->refused)
		return;
	if (execute(x) != NODE_ANSWER)
		log_sim_fail(x->s, "a write is not answered at once");
	x->refused = status_of(x->s, x->flight->answer, x->flight->bytes, &last) != ABAFT_OK;
	if (reply_open(&reply, x->flight->answer, x->flight->bytes))
		x->instance = reply.instance;
	begin_packet(x);
}

static void send_write(struct sending *x, uint32_t write)
{
	const struct log_model *m = &x->s->model;
	uint32_t key = x->txn->write[write % MODEL_WRITES_MAX].key;
	uint8_t value[MODEL_VALUE_BYTES];
	char text[24];
	uint16_t n = model_key(text, key);
	uint32_t bytes = model_value(m, write, value), seq;

	if (x->txn->write[write % MODEL_WRITES_MAX].deletes) {
		packet_delete(&x->p, text, n);
		return;
	}
	if (bytes <= PART_BYTES) {
		if (x->p.used + bytes + 100 > ABAFT_PACKET_BYTES_MAX)
			send_packet(x);
		packet_put(&x->p, text, n, value, bytes);
		return;
	}
	if (x->p.ops > 0)
		send_packet(x);
	seq = x->seq; /* of all parts of a value, each alone in its packet */
	for (uint32_t at = 0; at < bytes; at += PART_BYTES) {
		uint32_t part = bytes - at < PART_BYTES ? bytes - at : PART_BYTES;

		x->seq = seq;
		begin_packet(x);
		packet_put_part(&x->p, text, n, bytes, at, value + at, part);
		send_packet(x);
	}
}

static uint64_t records_appended(const struct log_sim *s, uint32_t worker)
{
	const struct log_tail *tail = s->bed.restart.tails[worker];
	struct log_stats stats;

	log_stats(s->bed.log[worker], &stats);
	return (tail ? tail->record : 0) + stats.records;
}

static bool may_refuse(uint16_t status)
{
	return status == ABAFT_BUSY || status == ABAFT_NO_SPACE || status == ABAFT_LOG_FAILED;
}

/* Sends all of it. */
static bool send_txn(struct log_sim *s, struct model_txn *txn)
{
	uint32_t number = (uint32_t)(txn - s->model.txn);
	struct sending x = {.s = s, .txn = txn, .flight = flight_take(s, txn->worker)};
	struct reply_result last;
	uint16_t status;

	begin_packet(&x);
	for (uint32_t i = 0; i < txn->count; i++)
		send_write(&x, number * MODEL_WRITES_MAX + i);
	if (!x.refused) {
		packet_commit(&x.p);
		if (execute(&x) == NODE_WAIT) {
			x.flight->used = true;
			x.flight->txn = number;
			txn->fate = MODEL_FLIGHT;
			txn->record = records_appended(s, txn->worker);
			return true;
		}
	}
	status = status_of(s, x.flight->answer, x.flight->bytes, &last);
	if (!may_refuse(status))
		log_sim_fail(s, "transaction %u is refused with status %u", number, status);
	txn->fate = MODEL_REFUSED;
	s->counts.refused_txns++;
	log_sim_note(s, status);
	return false;
}

bool client_commit(struct log_sim *s, uint32_t worker, const uint32_t *keys, uint32_t count,
		   uint32_t deletes)
{
	struct model_txn *txn;

	if (!flight_take(s, worker))
		return false;
	txn = model_add(&s->model, worker);
	if (!txn)
		return false;
	id_make(s, worker, txn->id);
	for (uint32_t i = 0; i < count; i++)
		model_write(&s->model, txn, keys[i], deletes && log_sim_roll(s, deletes) == 0);
	return send_txn(s, txn);
}

bool client_commit_any(struct log_sim *s)
{
	uint32_t keys[MODEL_WRITES_MAX], count = 1;

	if (log_sim_roll(s, 3) == 0)
		count += log_sim_roll(s, MODEL_WRITES_MAX);
	for (uint32_t i = 0; i < count; i++) /* some keys are hot */
		keys[i] = log_sim_roll(s, log_sim_roll(s, 2) ? s->model.keys : s->model.keys / 8);
	return client_commit(s, log_sim_roll(s, s->bed.workers), keys, count, 6);
}

void client_done(void *arg, void *token, const uint8_t *result, uint32_t at, uint32_t bytes)
{
	struct log_sim *s = arg;
	struct flight *flight = token;
	struct model_txn *txn = &s->model.txn[flight->txn];
	struct reply_result last;
	uint16_t status;

	memcpy(flight->answer + at, result, bytes);
	flight->used = false;
	status = status_of(s, flight->answer, flight->bytes, &last);
	log_sim_note(s, last.time + status);
	if (txn->fate != MODEL_FLIGHT)
		log_sim_fail(s, "transaction %u is answered twice", flight->txn);
	if (status == ABAFT_LOG_FAILED) {
		txn->fate = MODEL_UNKNOWN;
		return;
	}
	if (status != ABAFT_OK)
		log_sim_fail(s, "transaction %u: status %u", flight->txn, status);
	if (txn->record > log_durable(s->bed.log[txn->worker]))
		log_sim_fail(s, "transaction %u is acknowledged and not durable", flight->txn);
	txn->fate = MODEL_THERE;
	txn->number = (struct vnum){.time = last.time, .origin = last.origin};
	s->counts.committed++;
}

/* A packet that must be answered at once: what its last operation says. */
static struct reply_result ask(struct log_sim *s, uint32_t worker, struct packet *p,
			       uint16_t *status)
{
	uint8_t answer[ABAFT_PACKET_BYTES_MAX];
	struct reply_result last;
	uint32_t bytes;

	packet_finish(p);
	node_pass_begin(node_of(s, worker), s->bed.now);
	if (node_execute(node_of(s, worker), p->bytes, p->used, answer, &bytes, NULL) !=
	    NODE_ANSWER)
		log_sim_fail(s, "an ended transaction is executed once more");
	node_pass_end(node_of(s, worker));
	*status = status_of(s, answer, bytes, &last);
	log_sim_note(s, *status + last.time);
	return last;
}

/* P6: the outcome is the first one. */
static void repeat(struct log_sim *s, const struct model_txn *txn)
{
	struct reply_result last;
	uint16_t status;
	struct packet p;

	packet_begin(&p, txn->id, 0, 0, txn->attempt, 0, ABAFT_FLAG_OPEN);
	packet_commit(&p);
	last = ask(s, txn->worker, &p, &status);
	if (status != ABAFT_OK || last.time != txn->number.time ||
	    last.origin != txn->number.origin)
		log_sim_fail(s, "transaction %u has another outcome the second time (status %u)",
			     (uint32_t)(txn - s->model.txn), status);
	s->counts.repeats++;
}

void client_repeat(struct log_sim *s)
{
	const struct model_txn *txn;

	if (s->model.txns == 0)
		return;
	txn = &s->model.txn[log_sim_roll(s, s->model.txns)];
	if (txn->fate == MODEL_THERE)
		repeat(s, txn);
}

/* Reads. */

static void lookup_packet(struct log_sim *s, struct lookup *l)
{
	struct packet p;
	char text[24];

	packet_begin(&p, l->id, l->instance, 0, 0, l->seq, l->instance ? 0 : ABAFT_FLAG_OPEN);
	packet_deadline(&p, READ_DEADLINE_MS);
	if (l->offset > 0 && !l->ends)
		packet_get_part(&p, text, model_key(text, l->key[0]), l->offset, PART_BYTES);
	else if (!l->ends)
		for (uint32_t i = 0; i < l->count; i++)
			packet_get(&p, text, model_key(text, l->key[i]), 0);
	if (l->ends || !model_is_big(&s->model, l->key[0])) {
		l->ends = true;
		packet_commit(&p);
	}
	l->seq += p.ops;
	l->bytes = packet_finish(&p);
	memcpy(l->request, p.bytes, l->bytes);
}

/* The error instead of a value: only if something explains it. */
static void check_error(struct log_sim *s, uint32_t key, uint16_t status)
{
	bool failing = log_sim_has(s, FAULT_FETCH) || log_sim_has(s, FAULT_SHORT_FETCH) ||
		       log_sim_has(s, FAULT_BAD_BLOCK) || log_sim_has(s, FAULT_STUCK) ||
		       log_sim_has(s, FAULT_CUT_RECYCLE) || log_sim_damaged(s);

	s->counts.read_failed += status == ABAFT_READ_FAILED;
	s->counts.corrupt += status == ABAFT_CORRUPT;
	s->counts.busy += status == ABAFT_BUSY;
	if (status == ABAFT_READ_FAILED && failing)
		return;
	if (status == ABAFT_CORRUPT && (log_sim_damaged(s) || log_sim_has(s, FAULT_FLIP_FETCH)))
		return;
	if (status != ABAFT_SKIPPED && status != ABAFT_BUSY && status != ABAFT_UNKNOWN_TXN)
		log_sim_fail(s, "reading key %u: status %u for no reason", key, status);
}

/* Of a GET or GET_PART: true if it was read. */
static bool take_value(struct log_sim *s, struct lookup *l, uint32_t i,
		       const struct reply_result *result, uint32_t *write)
{
	const char *wrong;

	log_sim_note(s, result->time + result->status + l->key[i]);
	if (result->status != ABAFT_OK && result->status != ABAFT_NOT_FOUND) {
		check_error(s, l->key[i], result->status);
		return false;
	}
	wrong = model_check(&s->model, l->key[i], l->floor[i], result, write);
	if (wrong)
		log_sim_fail(s, "key %u %s", l->key[i], wrong);
	s->counts.reads++;
	s->counts.parts += l->offset > 0;
	l->floor[i] = *write; /* P3: the next part is of no older one */
	return true;
}

/* What the answer says; then perhaps another packet. */
static void take_answer(struct log_sim *s, struct lookup *l, const uint8_t *answer, uint32_t bytes)
{
	uint32_t write[GETS_MAX], got = 0;
	struct reply_result result = {0};
	bool read[GETS_MAX] = {false};
	const char *wrong;
	struct reply reply;

	l->used = false;
	if (!reply_open(&reply, answer, bytes))
		log_sim_fail(s, "a malformed answer to a read");
	if (reply.flags & ABAFT_FLAG_REFUSED) {
		check_error(s, l->key[0], reply.status);
		return;
	}
	l->instance = reply.instance;
	for (; reply_next(&reply, &result) && result.code != ABAFT_OP_COMMIT; got++)
		read[got] = take_value(s, l, got, &result, &write[got]);
	for (uint32_t i = 0; i < got; i++)
		for (uint32_t j = 0; j < got && read[i]; j++) {
			wrong = read[j] ? model_check_pair(&s->model, l->key[i], write[i],
							   l->key[j], write[j])
					: NULL;
			if (wrong)
				log_sim_fail(s, "key %u %s", l->key[i], wrong);
		}
	if (l->ends || !read[0])
		return;
	l->offset = result.offset + result.data_bytes;
	l->ends = l->offset >= result.total;
	l->offset -= l->offset % ABAFT_PART_BYTES;
	lookup_packet(s, l);
	l->used = l->ready = true;
}

static void lookup_run(struct log_sim *s, struct lookup *l, bool again)
{
	uint8_t answer[ABAFT_PACKET_BYTES_MAX];
	uint32_t bytes = 0;

	l->ready = false;
	switch (node_execute(node_of(s, l->worker), l->request, l->bytes, answer, &bytes, l)) {
	case NODE_ANSWER:
		take_answer(s, l, answer, bytes);
		break;
	case NODE_FETCH:
		s->counts.cold += !again;
		break;
	default:
		log_sim_fail(s, "a read waits for the log, or is dropped");
	}
}

void client_again(void *arg, void *token)
{
	lookup_run(arg, token, true);
}

static void lookup_send(struct log_sim *s, struct lookup *l)
{
	node_pass_begin(node_of(s, l->worker), s->bed.now);
	lookup_run(s, l, false);
	node_pass_end(node_of(s, l->worker));
}

bool client_read(struct log_sim *s, const uint32_t *keys, uint32_t count)
{
	struct lookup *l = s->lookup;

	while (l->used)
		if (++l == s->lookup + LOOKUPS_MAX)
			return false;
	*l = (struct lookup){.used = true, .worker = log_sim_roll(s, s->bed.workers)};
	for (uint32_t i = 0; i < count; i++) {
		if (i > 0 && model_is_big(&s->model, keys[i]) != model_is_big(&s->model, keys[0]))
			continue;
		if (i > 0 && model_is_big(&s->model, keys[0]))
			break; /* alone */
		l->key[l->count] = keys[i];
		l->floor[l->count++] = model_newest(&s->model, keys[i]);
	}
	id_make(s, l->worker, l->id);
	lookup_packet(s, l);
	lookup_send(s, l);
	return true;
}

void client_pass(struct log_sim *s)
{
	for (uint32_t i = 0; i < LOOKUPS_MAX; i++)
		if (s->lookup[i].used && s->lookup[i].ready)
			lookup_send(s, &s->lookup[i]);
}

bool client_waits(const struct log_sim *s)
{
	for (uint32_t i = 0; i < LOOKUPS_MAX; i++)
		if (s->lookup[i].used)
			return true;
	for (uint32_t w = 0; w < s->bed.workers; w++)
		for (uint32_t i = 0; i < FLIGHTS_MAX; i++)
			if (s->flight[w][i].used)
				return true;
	return false;
}

void client_forget(struct log_sim *s)
{
	memset(s->flight, 0, sizeof(s->flight));
	memset(s->lookup, 0, sizeof(s->lookup));
	for (uint32_t i = 0; i < s->model.txns; i++)
		if (s->model.txn[i].fate == MODEL_FLIGHT)
			s->model.txn[i].fate = MODEL_UNKNOWN;
}

/* After a restart. */

/* What the node says of an id: its state, and the number. */
static uint16_t ask_status(struct log_sim *s, const struct model_txn *txn, struct vnum *number)
{
	struct reply_result last;
	uint16_t status;
	struct packet p;

	packet_begin(&p, txn->id, 0, 0, 0, 0, 0);
	packet_status(&p);
	last = ask(s, txn->worker, &p, &status);
	*number = (struct vnum){.time = last.time, .origin = last.origin};
	return status;
}

static void resolve(struct log_sim *s, struct model_txn *txn, uint32_t i)
{
	const struct log_tail *tail = s->bed.restart.tails[txn->worker];
	bool there = tail && txn->record <= tail->record;
	struct vnum number;
	uint16_t status = ask_status(s, txn, &number);

	if (!there && status == ABAFT_COMMITTED && s->lying && s->tail_lost) { /* C5 */
		s->counts.halves++;
		s->refused = true;
		return;
	}
	if (status != (there ? ABAFT_COMMITTED : ABAFT_UNKNOWN_TXN))
		log_sim_fail(s, "transaction %u (record %llu of log %u) %s its log, status %u", i,
			     (unsigned long long)txn->record, txn->worker,
			     there ? "is in" : "is not in", status);
	if (there && txn->fate == MODEL_UNKNOWN) {
		txn->number = number;
		txn->fate = MODEL_THERE;
		s->counts.survivors++;
	} else if (!there && txn->fate == MODEL_UNKNOWN) {
		txn->fate = MODEL_GONE;
		s->counts.gone++;
	} else if (!there) {
		txn->fate = MODEL_LOST;
		s->counts.lost++;
		if (!s->lying)
			log_sim_fail(s, "transaction %u was acknowledged and is lost", i);
	} else if (!vnum_equal(number, txn->number)) {
		log_sim_fail(s, "transaction %u has another version now", i);
	}
}

void client_resolve(struct log_sim *s)
{
	for (uint32_t i = 0; i < s->model.txns && !s->refused; i++) {
		struct model_txn *txn = &s->model.txn[i];

		if (txn->fate == MODEL_UNKNOWN || txn->fate == MODEL_THERE)
			resolve(s, txn, i);
	}
}

void client_retry(struct log_sim *s)
{
	for (uint32_t i = 0; i < s->model.txns; i++) {
		struct model_txn *txn = &s->model.txn[i];

		if (txn->fate != MODEL_GONE || !flight_take(s, txn->worker))
			continue;
		txn->attempt++;
		s->counts.retries += send_txn(s, txn);
	}
}
