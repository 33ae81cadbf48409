/* SPDX-License-Identifier: Apache-2.0 */
/*
 * request_model.c - see request_model.h. Small tables and linear searches: an input is at most some
 * hundred packets.
 */
#include "tests/fuzz/request_model.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TXNS_MAX  1024
#define KEYS_MAX  16384
#define ROWS_MAX  32768
#define STEPS_MAX 64
#define NONE	  UINT32_MAX

enum life_fate { OPEN, PENDING_COMMIT, PENDING_ABORT, COMMITTED, READ_ONLY, ABORTED };

/* A write or a read of a transaction; of the same transaction linked through `next`. */
struct row {
	uint32_t key, next;
	uint64_t number; /* step, attempt, seq: compared in this order */
	bool part, deleted, none;
	uint32_t bytes;
	const uint8_t *data;
	uint64_t time; /* reads: the version */
	uint32_t origin;
};

struct life {
	uint8_t id[16];
	uint64_t instance;
	enum life_fate fate;
	uint32_t writes, reads; /* first rows */
	uint32_t steps;
	struct {
		uint16_t step, attempt;
	} step[STEPS_MAX];
	uint64_t time;
	uint32_t origin;
};

struct model {
	struct life txn[TXNS_MAX];
	uint32_t txns;
	struct {
		uint8_t *bytes;
		uint32_t n;
	} key[KEYS_MAX];
	uint32_t keys;
	struct row row[ROWS_MAX];
	uint32_t rows;
	uint8_t *data[ROWS_MAX]; /* copies of values */
	uint32_t datas;
	struct model_counts counts;
};

/* A request's operation, and its result. */
struct exchange {
	uint8_t code;
	const uint8_t *key, *data;
	uint32_t key_bytes, total, data_bytes;
	uint64_t number;
	struct reply_result result;
};

static void must(bool holds, const char *promise, uint64_t a, uint64_t b)
{
	if (holds)
		return;
	fprintf(stderr, "request_model: %s (%llu, %llu)\n", promise, (unsigned long long)a,
		(unsigned long long)b);
	abort();
}

struct model *model_create(void)
{
	struct model *m = malloc(sizeof(*m));

	must(m != NULL, "no memory", 0, 0);
	m->txns = m->keys = m->rows = m->datas = 0;
	memset(&m->counts, 0, sizeof(m->counts));
	return m;
}

void model_destroy(struct model *m)
{
	for (uint32_t i = 0; i < m->keys; i++)
		free(m->key[i].bytes);
	for (uint32_t i = 0; i < m->datas; i++)
		free(m->data[i]);
	free(m);
}

static uint64_t little(const uint8_t *p, uint32_t n)
{
	uint64_t value = 0;

	while (n > 0)
		value = value << 8 | p[--n];
	return value;
}

static uint8_t *copy_of(const void *bytes, uint32_t n)
{
	uint8_t *copy = malloc(n ? n : 1);

	must(copy != NULL, "no memory", n, 0);
	memcpy(copy, bytes, n);
	return copy;
}

static uint32_t key_find(const struct model *m, const uint8_t *key, uint32_t n)
{
	for (uint32_t i = 0; i < m->keys; i++)
		if (m->key[i].n == n && memcmp(m->key[i].bytes, key, n) == 0)
			return i;
	return NONE;
}

static uint32_t key_of(struct model *m, const struct exchange *e)
{
	uint32_t i = key_find(m, e->key, e->key_bytes);

	if (i != NONE)
		return i;
	must(m->keys < KEYS_MAX, "too many keys for the model", m->keys, 0);
	m->key[m->keys].bytes = copy_of(e->key, e->key_bytes);
	m->key[m->keys].n = e->key_bytes;
	return m->keys++;
}

static struct life *life_of(struct model *m, const uint8_t *id)
{
	struct life *t;

	for (uint32_t i = 0; i < m->txns; i++)
		if (memcmp(m->txn[i].id, id, 16) == 0)
			return &m->txn[i];
	must(m->txns < TXNS_MAX, "too many transactions for the model", m->txns, 0);
	t = &m->txn[m->txns++];
	memset(t, 0, sizeof(*t));
	memcpy(t->id, id, 16);
	t->writes = t->reads = NONE;
	return t;
}

static struct row *row_add(struct model *m, uint32_t *list, const struct row *row)
{
	must(m->rows < ROWS_MAX, "too many operations for the model", m->rows, 0);
	m->row[m->rows] = *row;
	m->row[m->rows].next = *list;
	*list = m->rows;
	return &m->row[m->rows++];
}

static uint16_t number_step(uint64_t number)
{
	return (uint16_t)(number >> 48);
}

/* The transaction's write of a key that counts: the highest-numbered. */
static struct row *winner(struct model *m, const struct life *t, uint32_t key)
{
	struct row *best = NULL;

	for (uint32_t i = t->writes; i != NONE; i = m->row[i].next)
		if (m->row[i].key == key && (!best || m->row[i].number > best->number))
			best = &m->row[i];
	return best;
}

static int version_compare(uint64_t time_a, uint32_t origin_a, uint64_t time_b, uint32_t origin_b)
{
	if (time_a != time_b)
		return time_a < time_b ? -1 : 1;
	return origin_a < origin_b ? -1 : origin_a > origin_b;
}

static struct life *committed_as(struct model *m, uint64_t time, uint32_t origin)
{
	for (uint32_t i = 0; i < m->txns; i++) {
		struct life *t = &m->txn[i];

		if (t->fate == COMMITTED && t->time == time && t->origin == origin)
			return t;
	}
	return NULL;
}

/* A new incarnation of an id, or the one known. M4. */
static void enter(struct life *t, uint64_t instance, uint16_t step, uint16_t attempt,
		  struct model *m)
{
	uint32_t i, *at;

	if (t->instance != instance) {
		must(t->fate != COMMITTED, "M4: a committed id was opened anew", instance, t->time);
		must(t->fate != ABORTED, "M4: an aborted id was opened anew", instance, 0);
		must(t->fate != PENDING_COMMIT && t->fate != PENDING_ABORT,
		     "M4: an id was opened while its end is in the log", instance, 0);
		for (i = 0; i < m->txns; i++)
			must(m->txn[i].instance != instance, "an instance was used twice", instance,
			     i);
		t->instance = instance;
		t->fate = OPEN;
		t->steps = 0;
		t->writes = t->reads = NONE;
	}
	must(t->fate == OPEN, "an ended transaction goes on", instance, t->fate);
	for (i = 0; i < t->steps && t->step[i].step != step; i++)
		;
	must(i < STEPS_MAX, "too many steps for the model", i, 0);
	if (i == t->steps) {
		t->step[t->steps].step = step;
		t->step[t->steps++].attempt = attempt;
	}
	must(attempt >= t->step[i].attempt, "a replaced attempt was executed", attempt,
	     t->step[i].attempt);
	t->step[i].attempt = attempt;
	for (at = &t->writes; *at != NONE;) {
		uint64_t number = m->row[*at].number;

		if (number_step(number) == step && (uint16_t)(number >> 32) < attempt)
			*at = m->row[*at].next;
		else
			at = &m->row[*at].next;
	}
}

/* An equal or lower number than that of the same step's write has no effect. */
static void take_write(struct model *m, struct life *t, const struct exchange *e)
{
	uint32_t key = key_of(m, e);
	struct row row = {.key = key,
			  .number = e->number,
			  .part = e->code == ABAFT_OP_PUT_PART,
			  .deleted = e->code == ABAFT_OP_DELETE,
			  .bytes = e->total};

	if (e->result.status != ABAFT_OK)
		return;
	for (uint32_t i = t->writes; i != NONE; i = m->row[i].next)
		if (m->row[i].key == key && m->row[i].number >= e->number &&
		    number_step(m->row[i].number) == number_step(e->number))
			return;
	if (e->code == ABAFT_OP_PUT) {
		must(m->datas < ROWS_MAX, "too many values for the model", m->datas, 0);
		row.data = m->data[m->datas++] = copy_of(e->data, e->data_bytes);
	}
	row_add(m, &t->writes, &row);
}

/* What was read is what was written, as far as it is known. */
static void check_value(const struct row *written, const struct reply_result *r,
			const char *promise)
{
	must(r->total == written->bytes, promise, r->total, written->bytes);
	if (written->data && r->data_bytes > 0)
		must(memcmp(r->data, written->data + r->offset, r->data_bytes) == 0, promise,
		     r->offset, r->data_bytes);
}

static void check_own(struct model *m, const struct row *own, const struct reply_result *r)
{
	must(r->flags & ABAFT_RESULT_OWN, "M1: an own write was not read", r->status, own->number);
	m->counts.own_reads++;
	if (r->status == ABAFT_INCOMPLETE)
		must(own->part, "M1: a whole value misses parts", own->number, 0);
	else if (own->deleted)
		must(r->status == ABAFT_NOT_FOUND, "M1: an own delete was not read", r->status, 0);
	else if (r->status == ABAFT_OK)
		check_value(own, r, "M1: another value than the own one was read");
	else
		must(false, "M1: an own write was not found", r->status, own->number);
}

/* Whether a delete of the key, newer than that version, explains that there is none. */
static bool deleted_after(struct model *m, uint32_t key, uint64_t time, uint32_t origin)
{
	for (uint32_t i = 0; i < m->txns; i++) {
		const struct life *t = &m->txn[i];
		const struct row *w = t->fate == COMMITTED ? winner(m, t, key) : NULL;

		if (w && w->deleted && version_compare(t->time, t->origin, time, origin) >= 0)
			return true;
	}
	return false;
}

/* M2, one direction: `a` was written by a transaction that perhaps wrote b's key, too. */
static void check_pair(struct model *m, const struct row *a, const struct row *b)
{
	struct life *writer = a->time ? committed_as(m, a->time, a->origin) : NULL;

	m->counts.pairs++;
	if (!writer || !winner(m, writer, b->key))
		return;
	if (b->none && !b->time)
		must(deleted_after(m, b->key, a->time, a->origin),
		     "M2: nothing was read where the writer of another key wrote", a->time, b->key);
	else
		must(version_compare(b->time, b->origin, a->time, a->origin) >= 0,
		     "M2: a key was read older than what was written with another", b->time,
		     a->time);
}

static void check_read(struct model *m, struct life *t, const struct row *read,
		       const struct exchange *e)
{
	struct life *writer = read->time ? committed_as(m, read->time, read->origin) : NULL;
	const struct row *w = writer ? winner(m, writer, read->key) : NULL;

	if (read->time) {
		must(writer != NULL, "M2: a version was read that nobody committed", read->time,
		     read->origin);
		must(w != NULL, "M2: a version was read at a key that its writer did not write",
		     read->time, read->key);
		must(w->deleted == read->none,
		     "M2: a delete was read as a value, or a value as one", read->time, read->none);
	} else {
		must(read->none, "M2: a value was read without a version", read->key, 0);
	}
	if (!read->none)
		check_value(w, &e->result, "M2: a value was read that was not written");
	for (uint32_t i = t->reads; i != NONE; i = m->row[i].next) {
		const struct row *before = &m->row[i];

		if (before->key == read->key)
			must(before->none == read->none && before->time == read->time &&
				     before->origin == read->origin,
			     "M3: a key was read twice and differed", before->time, read->time);
		check_pair(m, before, read);
		check_pair(m, read, before);
	}
}

static void take_read(struct model *m, struct life *t, const struct exchange *e)
{
	const struct reply_result *r = &e->result;
	struct row read = {.key = key_of(m, e),
			   .none = r->status == ABAFT_NOT_FOUND,
			   .time = r->time,
			   .origin = r->origin};
	const struct row *own = winner(m, t, read.key);

	if (r->status != ABAFT_OK && r->status != ABAFT_NOT_FOUND && r->status != ABAFT_INCOMPLETE)
		return;
	if (own && own->number < e->number) {
		check_own(m, own, r);
		return;
	}
	if (r->flags & ABAFT_RESULT_OWN) /* one with a lower number than the winner */
		return;
	m->counts.reads++;
	check_read(m, t, &read, e);
	row_add(m, &t->reads, &read);
}

static void take_end(struct model *m, struct life *t, const struct exchange *e, bool waits)
{
	bool commit = e->code == ABAFT_OP_COMMIT;

	if (e->result.status != ABAFT_OK)
		return;
	if (waits) {
		must(!commit || t->writes != NONE, "a commit of nothing went into the log", 0, 0);
		t->fate = commit ? PENDING_COMMIT : PENDING_ABORT;
	} else {
		must(commit, "an abort was told before it was in the log", 0, 0);
		must(t->writes == NONE, "M4: a commit forgot its writes", t->writes, 0);
		must(e->result.time == 0, "a commit of nothing has a version", e->result.time, 0);
		t->fate = READ_ONLY;
	}
}

/* An answer from an outcome: the transaction has ended, and ended so. */
static void take_repeat(struct life *t, const struct exchange *e)
{
	const struct reply_result *r = &e->result;
	bool committed = t->fate == COMMITTED || t->fate == READ_ONLY;

	if (r->status == ABAFT_COMMITTED ||
	    (r->flags & ABAFT_RESULT_REPEAT && e->code == ABAFT_OP_COMMIT))
		must(committed, "M4: told committed, and was not", r->time, t->fate);
	if (r->status == ABAFT_ABORTED ||
	    (r->flags & ABAFT_RESULT_REPEAT && e->code == ABAFT_OP_ABORT))
		must(t->fate == ABORTED, "M4: told aborted, and was not", r->time, t->fate);
	if (committed && (e->code == ABAFT_OP_COMMIT || e->code == ABAFT_OP_STATUS) &&
	    r->status != ABAFT_UNKNOWN_TXN && r->status != ABAFT_EXPIRED)
		must(r->time == t->time && r->origin == t->origin, "M4: a commit has two versions",
		     r->time, t->time);
}

static bool writes(uint8_t code)
{
	return code == ABAFT_OP_PUT || code == ABAFT_OP_PUT_PART || code == ABAFT_OP_DELETE;
}

/* The next operation of a request that was executed; its results stand beside. */
static void exchange_next(struct exchange *e, const uint8_t **at, const uint8_t *end,
			  struct reply *reply)
{
	const uint8_t *p = *at;

	must((size_t)(end - p) >= sizeof(struct abaft_wire_op), "executed what is cut short", 0, 0);
	e->code = p[0];
	e->key_bytes = (uint32_t)little(p + 2, 2);
	e->total = (uint32_t)little(p + 4, 4);
	e->data_bytes = writes(e->code) ? (uint32_t)little(p + 12, 4) : 0;
	e->key = p + sizeof(struct abaft_wire_op);
	e->data = e->key + e->key_bytes;
	must((uint64_t)(end - e->key) >= (uint64_t)e->key_bytes + e->data_bytes,
	     "executed what is cut short", e->key_bytes, e->data_bytes);
	*at = e->data + e->data_bytes;
	must(reply_next(reply, &e->result), "a result is missing", e->code, 0);
	must(e->result.code == e->code, "a result of another operation", e->result.code, e->code);
}

static void take(struct model *m, struct life *t, const struct exchange *e, bool waits)
{
	if (e->result.status == ABAFT_SKIPPED)
		return;
	if (writes(e->code))
		take_write(m, t, e);
	else if (e->code == ABAFT_OP_GET || e->code == ABAFT_OP_GET_PART)
		take_read(m, t, e);
	else
		take_end(m, t, e, waits);
}

void model_answer(struct model *m, const uint8_t *request, uint32_t n,
		  const struct bed_answer *answer)
{
	const uint8_t *at = request + sizeof(struct abaft_wire_header);
	uint16_t step = (uint16_t)little(request + 40, 2);
	uint16_t attempt = (uint16_t)little(request + 42, 2);
	uint32_t seq = (uint32_t)little(request + 44, 4);
	struct reply reply;
	struct exchange e;
	struct life *t;

	must(reply_open(&reply, answer->bytes, answer->n), "a malformed answer", answer->n, 0);
	if (reply.flags & ABAFT_FLAG_REFUSED || at[0] == ABAFT_OP_INFO)
		return;
	must(memcmp(reply.txn, request + 24, 16) == 0, "an answer for somebody else", 0, 0);
	must(reply.ops == little(request + 10, 2), "results are missing", reply.ops, 0);
	t = life_of(m, request + 24);
	if (reply.instance && !(request[6] & ABAFT_FLAG_OPEN) && at[0] != ABAFT_OP_ABORT)
		must(little(request + 48, 8) == reply.instance,
		     "M5: a packet of another instance was executed", reply.instance, 0);
	if (reply.instance)
		enter(t, reply.instance, step, attempt, m);
	for (uint32_t i = 0; reply.left > 0; i++) {
		exchange_next(&e, &at, request + n, &reply);
		e.number = (uint64_t)step << 48 | (uint64_t)attempt << 32 | (uint32_t)(seq + i);
		if (reply.instance)
			take(m, t, &e, answer->verdict == NODE_WAIT);
		else
			take_repeat(t, &e);
	}
}

void model_told(struct model *m, const struct bed_answer *answer)
{
	struct reply_result r = {0};
	struct reply reply;
	struct life *t;

	must(reply_open(&reply, answer->bytes, answer->n), "a malformed answer", answer->n, 0);
	t = life_of(m, reply.txn);
	while (reply.left > 0)
		must(reply_next(&reply, &r), "a result is missing", reply.left, 0);
	must(t->fate == PENDING_COMMIT || t->fate == PENDING_ABORT, "told who does not wait",
	     t->fate, 0);
	must(r.status == ABAFT_OK, "a durable end failed", r.status, 0);
	if (t->fate == PENDING_ABORT) {
		t->fate = ABORTED;
		return;
	}
	must(r.time != 0 && !committed_as(m, r.time, r.origin), "a version was given twice", r.time,
	     r.origin);
	t->fate = COMMITTED;
	t->time = r.time;
	t->origin = r.origin;
	m->counts.commits++;
}

/* Statuses after which the same packet may have more luck. */
static bool may_change(const struct bed_answer *answer)
{
	struct reply_result r;
	struct reply reply;

	if (!reply_open(&reply, answer->bytes, answer->n))
		return true;
	if (reply.flags & ABAFT_FLAG_REFUSED)
		return reply.status == ABAFT_BUSY || reply.status == ABAFT_NO_SPACE;
	while (reply.left > 0 && reply_next(&reply, &r))
		if (r.status == ABAFT_BUSY || r.status == ABAFT_NO_SPACE)
			return true;
	return false;
}

static uint8_t last_code(const uint8_t *request, uint32_t n)
{
	const uint8_t *at = request + sizeof(struct abaft_wire_header), *end = request + n;
	uint8_t code = 0;

	while ((size_t)(end - at) >= sizeof(struct abaft_wire_op)) {
		uint64_t step = sizeof(struct abaft_wire_op) + little(at + 2, 2);

		code = at[0];
		step += writes(code) ? little(at + 12, 4) : 0;
		if (step > (uint64_t)(end - at))
			break;
		at += step;
	}
	return code;
}

void model_twice(struct model *m, const uint8_t *request, uint32_t n,
		 const struct bed_answer *first, const struct bed_answer *second)
{
	uint8_t last = last_code(request, n);
	struct reply reply;

	m->counts.twice++;
	if (first->verdict == NODE_WAIT) {
		must(second->verdict == NODE_ANSWER &&
			     reply_open(&reply, second->bytes, second->n) &&
			     reply.status == ABAFT_IN_PROGRESS,
		     "M4: a commit that waits was asked for again, and is not in progress",
		     second->verdict, 0);
		return;
	}
	if (may_change(first) || last == ABAFT_OP_COMMIT || last == ABAFT_OP_ABORT ||
	    last == ABAFT_OP_INFO)
		return;
	must(first->n == second->n && memcmp(first->bytes, second->bytes, first->n) == 0,
	     "M4: the same packet was answered differently", first->n, second->n);
}

void model_crash(struct model *m)
{
	for (uint32_t i = 0; i < m->txns; i++) {
		struct life *t = &m->txn[i];

		if (t->fate != PENDING_COMMIT && t->fate != PENDING_ABORT)
			continue;
		t->fate = OPEN;
		t->writes = t->reads = NONE;
	}
}

/* The newest committed write of a key. */
static const struct row *newest(const struct model *m, uint32_t key, const struct life **writer)
{
	const struct row *best = NULL;

	*writer = NULL;
	for (uint32_t i = 0; i < m->txns; i++) {
		const struct life *t = &m->txn[i];
		const struct row *w;

		if (t->fate != COMMITTED)
			continue;
		w = winner((struct model *)(uintptr_t)m, t, key);
		if (!w || (best && version_compare((*writer)->time, (*writer)->origin, t->time,
						   t->origin) > 0))
			continue;
		best = w;
		*writer = t;
	}
	return best;
}

bool model_newest(const struct model *m, const uint8_t *key, uint32_t bytes,
		  struct model_value *out)
{
	uint32_t i = key_find(m, key, bytes);
	const struct life *writer = NULL;
	const struct row *w = i == NONE ? NULL : newest(m, i, &writer);

	if (!w || w->deleted)
		return false;
	*out = (struct model_value){.time = writer->time,
				    .origin = writer->origin,
				    .bytes = w->bytes,
				    .known = w->data != NULL,
				    .data = w->data};
	return true;
}

uint32_t model_visible(const struct model *m)
{
	const struct life *writer;
	uint32_t count = 0;

	for (uint32_t i = 0; i < m->keys; i++) {
		const struct row *w = newest(m, i, &writer);

		count += w && !w->deleted;
	}
	return count;
}

struct model_counts model_counts(const struct model *m)
{
	return m->counts;
}
