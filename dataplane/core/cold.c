/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cold.c - requests whose values are on disk: what they need, parking them, running them again.
 *
 * Most requests know nothing of this: their GETs come before their writes, so they are executed in
 * order, and the first GET that misses its value parks them with nothing done (fetch.h F1). Only
 * where GETs stand behind a write they are looked through before it (cold_check()); and so is, as a
 * whole, a request that waited: it holds what it waited for until nothing is missing (F2).
 */
#include <errno.h>
#include <string.h>

#include "dataplane/core/bytes.h"
#include "dataplane/core/execution.h"

/* Requests that run again in one pass. */
#define AGAIN_PER_PASS 256

/* The last operation of the packet before the i-th that writes its key, or NULL. */
static const struct op *written_before(const struct request *r, uint32_t i)
{
	const struct op *op = &r->op[i];

	for (uint32_t k = i; k-- > 0;)
		if (!op_reads(&r->op[k]) && r->op[k].key_bytes == op->key_bytes &&
		    bytes_equal(r->op[k].key, op->key, op->key_bytes))
			return &r->op[k];
	return NULL;
}

/* True when operation i will read a write of its own transaction; of so many bytes. */
static bool reads_own(struct execution *x, uint32_t i, struct key_id id, uint32_t *total)
{
	const struct op *op = written_before(x->request, i);
	const struct write *w;

	*total = op ? op->total : 0; /* 0 in a DELETE */
	if (op)
		return true;
	w = execution_own(x, &x->request->op[i], id, i);
	if (w && !w->parts && w->kind != VERSION_TOMBSTONE)
		*total = w->bytes;
	return w;
}

/* The version of whose value operation i returns some bytes, or NULL. *room is what the answer has
 * left for values, exactly as it will be. */
static const struct version *wanted(struct execution *x, uint32_t i, uint32_t *room)
{
	const struct op *op = &x->request->op[i];
	const struct version *v = NULL;
	uint32_t total, bytes;
	struct key_id id;

	if (!op_reads(op))
		return NULL;
	id = index_id(&x->node->store->index, op->key, op->key_bytes);
	if (!reads_own(x, i, id, &total)) {
		/* What fails now fails when it is executed, and ends the packet there. */
		if (execution_choose(x, op, id, &v) != ABAFT_OK || !v)
			return NULL;
		total = v->bytes;
	}
	bytes = execution_bytes(op, total, *room);
	*room -= bytes;
	return bytes > 0 ? v : NULL;
}

static bool late(const struct execution *x)
{
	const struct fetch_request *running = x->node->fetches->running;

	return running && running->late;
}

bool cold_check(struct execution *x, uint32_t first)
{
	uint32_t room = answer_room(x->answer, x->request->ops - first);

	for (uint32_t i = first; i < x->request->ops; i++) {
		const struct version *v = wanted(x, i, &room);
		const struct fetch *fetch;

		x->value[i] = v ? version_value(v) : NULL;
		if (!v || x->value[i])
			continue;
		fetch = fetch_find(x->node->fetches, v);
		if (fetch && fetch->state == FETCH_HERE)
			x->value[i] = fetch->value;
		else if (!late(x) && (!fetch || (fetch->state != FETCH_FAILED &&
						 fetch->state != FETCH_CORRUPT)))
			return false;
	}
	x->checked = true;
	return true;
}

static void give(struct node *node, struct fetch *fetch, struct version *version)
{
	if (fetch_give(fetch, version))
		cache_add(&node->store->cache, node->config.worker, version);
}

static void note_damage(struct node *node, const struct op *op, const struct fetch *fetch)
{
	struct node_damage *damage = &node->damage;

	damage->count++;
	damage->place = fetch->place;
	damage->key_bytes = op->key_bytes;
	memcpy(damage->key, op->key,
	       op->key_bytes < sizeof(damage->key) ? op->key_bytes : sizeof(damage->key));
}

uint16_t cold_value(struct execution *x, const struct op *op, uint32_t i, const struct version *v,
		    const uint8_t **value)
{
	struct fetch_table *table = x->node->fetches;
	struct fetch *fetch = fetch_find(table, v);

	if (x->checked && x->value[i]) {
		*value = x->value[i];
		/* The request will not be parked again: who waits last gives the value away. */
		if (fetch && fetch->state == FETCH_HERE && fetch_last(table, fetch))
			give(x->node, fetch, (struct version *)(uintptr_t)v);
		return ABAFT_OK;
	}
	if (fetch && fetch->state == FETCH_HERE) {
		*value = fetch->value;
		return ABAFT_OK;
	}
	if (fetch && fetch->state == FETCH_CORRUPT) {
		note_damage(x->node, op, fetch);
		return ABAFT_CORRUPT;
	}
	if ((fetch && fetch->state == FETCH_FAILED) || late(x))
		return ABAFT_READ_FAILED;
	if (x->checked) { /* there was no memory to choose it in time: too late to park */
		x->node->counters->busy_fetches++;
		return ABAFT_BUSY;
	}
	return EXECUTION_MISSING;
}

/* What a request waits for. */
struct needs {
	uint32_t count;
	struct fetch *fetch[ABAFT_OPS_MAX];
	const struct version *version[ABAFT_OPS_MAX];
};

static void note(struct needs *needs, struct fetch *fetch, const struct version *version)
{
	for (uint32_t i = 0; i < needs->count; i++)
		if (needs->fetch[i] == fetch)
			return;
	needs->fetch[needs->count] = fetch;
	needs->version[needs->count++] = version;
}

/* The fetches of all cold values that the request returns some of. Those that are NONE are new. 0,
 * -EBUSY or -ENOMEM. */
static int gather(struct execution *x, struct needs *needs)
{
	uint32_t room = answer_room(x->answer, x->request->ops);

	needs->count = 0;
	for (uint32_t i = 0; i < x->request->ops; i++) {
		const struct version *v = wanted(x, i, &room);
		struct fetch *fetch;
		int err = 0;

		if (!v || version_value(v))
			continue;
		fetch = fetch_find(x->node->fetches, v);
		if (!fetch)
			err = fetch_make(x->node->fetches, v, &fetch);
		if (err)
			return err;
		note(needs, fetch, v);
	}
	return needs->count > 0 ? 0 : -EBUSY; /* another worker just brought it: come again */
}

/* Has all read that nobody is reading. */
static void start(struct execution *x, const struct needs *needs, bool first)
{
	struct node_counters *c = x->node->counters;

	for (uint32_t i = 0; i < needs->count; i++) {
		struct fetch *fetch = needs->fetch[i];

		c->cache_misses += first && fetch->state != FETCH_HERE;
		switch (fetch->state) {
		case FETCH_NONE:
			c->fetches++;
			fetch_start(x->node->fetches, fetch, needs->version[i]);
			break;
		case FETCH_AGAIN:
			c->fetches_again++;
			fetch_start(x->node->fetches, fetch, needs->version[i]);
			break;
		case FETCH_READING:
			c->fetches_joined += first;
			break;
		default:
			break;
		}
	}
}

static void refuse(struct execution *x, const struct needs *needs, int err)
{
	for (uint32_t i = 0; i < needs->count; i++)
		if (needs->fetch[i]->state == FETCH_NONE)
			fetch_drop(x->node->fetches, needs->fetch[i]);
	if (err == -ENOMEM)
		x->node->counters->busy_fetch_memory++;
	else
		x->node->counters->busy_fetches++;
	answer_refuse(x->answer, ABAFT_BUSY);
}

void cold_park(struct execution *x)
{
	struct node *node = x->node;
	bool first = node->fetches->running == NULL;
	struct needs needs;
	int err;

	answer_restart(x->answer);
	err = gather(x, &needs);
	if (!err)
		err = fetch_park(node->fetches, needs.fetch, needs.count, x->token,
				 node->now.mono_us);
	if (err) {
		refuse(x, &needs, err);
		return;
	}
	node->counters->fetch_waits += first;
	start(x, &needs, first);
	x->parked = true;
}

void node_read_done(struct node *node, uint64_t tag, int result)
{
	fetch_done(node->fetches, tag, result);
}

void node_fetched(struct node *node, node_again_fn again, void *arg)
{
	void *token;

	fetch_start_later(node->fetches);
	for (uint32_t i = 0; i < AGAIN_PER_PASS && fetch_next(node->fetches, &token); i++) {
		again(arg, token);
		fetch_ran(node->fetches);
	}
}

const struct node_damage *node_damage(const struct node *node)
{
	return node->damage.count == 0 ? NULL : &node->damage;
}
