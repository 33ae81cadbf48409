/* SPDX-License-Identifier: Apache-2.0 */
/*
 * core_sim - the transaction core of a whole node under random interleavings, in virtual time.
 *
 * Up to three workers share a store; clients begin, read, write, delete, retry with a later
 * attempt, repeat packets, commit, abort and die; logs become durable record by record; the clock
 * crawls, jumps past the freeze and past deadlines; the node crashes and recovers from what was
 * durable. A model beside it knows what is visible, and each answer is checked against the
 * promises. Everything follows from one seed: `core_sim SEED` replays a run, `core_sim FIRST COUNT`
 * runs many.
 */
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "dataplane/core/bytes.h"
#include "dataplane/core/node_impl.h"
#include "dataplane/core/record.h"
#include "tests/lib/log_fake.h"
#include "tests/lib/core_packet.h"

#define KEYS		6
#define WORKERS_MAX	3
#define TXNS_MAX	4096
#define ACTIVE_MAX	12
#define STEPS		4000
#define VALUE_BYTES_MAX 400

enum fate { LIVE, ENDING, COMMITTED, ABORTED, GONE };

/* What a transaction holds of a key. token: which write of the writer. */
struct mine {
	bool wrote, deleted, read, none;
	uint32_t token;
	struct vnum number; /* of the version read; {0, 0}: none */
	struct vnum buried; /* read as none: the newest visible tombstone then */
};

struct client {
	uint8_t id[16];
	uint64_t instance;
	uint32_t owner, seq, tokens;
	uint16_t attempt;
	enum fate fate;
	bool aborting;
	struct mine key[KEYS];
	struct vnum begin[KEYS]; /* newest visible when it began */
	struct vnum number;	 /* of its commit */
	struct packet first, last;
};

struct sim {
	uint64_t seed, random;
	uint32_t workers, step;
	struct store *store;
	struct node *node[WORKERS_MAX];
	struct log_fake log[WORKERS_MAX];
	uint64_t wall_us, mono_us;
	struct client client[TXNS_MAX];
	uint32_t clients;
	uint32_t active[ACTIVE_MAX], actives;
	struct {
		struct vnum number, buried;
		uint32_t writer;
	} visible[KEYS];
	uint8_t out[ABAFT_PACKET_BYTES_MAX];
	uint64_t reads, commits, restarts, repeats;
};

static void fail(const struct sim *s, const char *what)
{
	printf("not ok 1 - seed %" PRIu64 " step %u: %s\n", s->seed, s->step, what);
	fflush(stdout);
	abort();
}

#define CHECK(s, condition, what)                                                                  \
	do {                                                                                       \
		if (!(condition))                                                                  \
			fail(s, what);                                                             \
	} while (0)

static uint32_t below(struct sim *s, uint32_t n)
{
	s->random ^= s->random << 13;
	s->random ^= s->random >> 7;
	s->random ^= s->random << 17;
	return (uint32_t)((s->random >> 16) % n);
}

static struct vnum vnum_max(struct vnum a, struct vnum b)
{
	return vnum_less(a, b) ? b : a;
}

/* Zero pages on demand: a restart must not cost the whole region. */
static void *map(uint64_t bytes)
{
	void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

static void unmap(void *memory, uint64_t bytes)
{
	munmap(memory, bytes);
}

static void start(struct sim *s)
{
	struct store_config store = {.workers = s->workers,
				     .keys_max = 64,
				     .memory_bytes = 48u << 20,
				     .seed = s->seed,
				     .map = map,
				     .unmap = unmap};

	CHECK(s, store_create(&s->store, &store) == 0, "store_create");
	for (uint32_t w = 0; w < s->workers; w++) {
		struct node_config node = {.worker = w,
					   .origin = w,
					   .txns_max = 512,
					   .outcomes_max = TXNS_MAX,
					   .window_ms = 600000,
					   .skew_ms = 60000,
					   .deadline_ms = 30000,
					   .instance_seed = 1 + (uint64_t)below(s, 1u << 30)};
		struct node_log log = log_fake_ops(&s->log[w]);

		CHECK(s, node_create(&s->node[w], s->store, &node) == 0, "node_create");
		node_attach_log(s->node[w], &log);
	}
}

static void stop(struct sim *s)
{
	for (uint32_t w = 0; w < s->workers; w++)
		node_destroy(s->node[w]);
	store_destroy(s->store);
}

static void pass_begin(struct sim *s, uint32_t w)
{
	node_pass_begin(s->node[w], (struct now){.wall_us = s->wall_us, .mono_us = s->mono_us});
}

static void value_make(uint8_t *value, uint32_t *bytes, uint32_t writer, uint32_t key,
		       uint32_t token)
{
	*bytes = 12 + (writer * 31 + key * 7 + token * 97) % (VALUE_BYTES_MAX - 12);
	store_le32(value, writer);
	store_le32(value + 4, key);
	store_le32(value + 8, token);
	for (uint32_t i = 12; i < *bytes; i++)
		value[i] = (uint8_t)(writer + key + token + i);
}

/* P1 for the pair: what `c` read of `key` does not contradict that it read from `writer`. */
static void check_pair(struct sim *s, const struct client *c, const struct client *writer)
{
	for (uint32_t k = 0; k < KEYS; k++) {
		const struct mine *m = &c->key[k];

		if (!m->read || !writer->key[k].wrote)
			continue;
		CHECK(s, !vnum_less(m->none ? m->buried : m->number, writer->number),
		      "P1: fractured read");
	}
}

static struct client *writer_of(struct sim *s, struct vnum number)
{
	for (uint32_t i = 0; i < s->clients; i++)
		if (s->client[i].fate == COMMITTED && vnum_equal(s->client[i].number, number))
			return &s->client[i];
	return NULL;
}

static void check_atomic(struct sim *s, const struct client *c)
{
	for (uint32_t k = 0; k < KEYS; k++) {
		const struct client *writer;

		if (!c->key[k].read || c->key[k].none)
			continue;
		writer = writer_of(s, c->key[k].number);
		CHECK(s, writer && writer->key[k].wrote, "dirty read: no such commit");
		check_pair(s, c, writer);
	}
}

static void check_value(struct sim *s, const struct reply_result *r, uint32_t key, uint32_t writer,
			uint32_t token)
{
	uint8_t value[VALUE_BYTES_MAX];
	uint32_t bytes;

	value_make(value, &bytes, writer, key, token);
	CHECK(s, r->total == bytes && r->data_bytes <= bytes, "value of another length");
	CHECK(s, memcmp(r->data, value, r->data_bytes) == 0, "value of another write");
}

static void check_first_read(struct sim *s, struct client *c, uint32_t key,
			     const struct reply_result *r)
{
	struct mine *m = &c->key[key];
	struct vnum number = {.time = r->time, .origin = r->origin};
	const struct client *writer;

	m->read = true;
	m->none = r->time == 0;
	m->number = number;
	m->buried = s->visible[key].buried;
	if (m->none) {
		CHECK(s, r->status == ABAFT_NOT_FOUND, "a value without a version");
		CHECK(s, !vnum_less(m->buried, c->begin[key]), "P8: a version went missing");
	} else {
		CHECK(s, !vnum_less(number, c->begin[key]), "R2: older than at the begin");
		writer = writer_of(s, number);
		CHECK(s, writer && writer->key[key].wrote, "dirty read");
		CHECK(s, writer->key[key].deleted == (r->status == ABAFT_NOT_FOUND), "tombstone");
		if (r->status == ABAFT_OK)
			check_value(s, r, key, (uint32_t)(writer - s->client),
				    writer->key[key].token);
	}
	check_atomic(s, c);
}

/* `own`: what the transaction had written when the GET came. */
static void check_get(struct sim *s, struct client *c, uint32_t key, const struct reply_result *r,
		      const struct mine *own)
{
	const struct mine *m = &c->key[key];
	struct vnum number = {.time = r->time, .origin = r->origin};

	s->reads++;
	CHECK(s, r->status == ABAFT_OK || r->status == ABAFT_NOT_FOUND, "GET failed");
	if (own->wrote) {
		CHECK(s, r->flags & ABAFT_RESULT_OWN, "P2: own write not read");
		CHECK(s, own->deleted == (r->status == ABAFT_NOT_FOUND), "P2: own delete");
		if (!own->deleted)
			check_value(s, r, key, (uint32_t)(c - s->client), own->token);
	} else if (m->read) {
		CHECK(s, vnum_equal(number, m->number), "P3: another version");
	} else {
		check_first_read(s, c, key, r);
	}
}

/* Sends a packet to its owner. Returns false when the answer has to wait for the log. */
static bool send(struct sim *s, struct client *c, struct packet *p, struct reply *reply)
{
	enum node_verdict verdict;
	uint32_t bytes = 0;

	pass_begin(s, c->owner);
	verdict = node_execute(s->node[c->owner], p->bytes, packet_finish(p), s->out, &bytes, c);
	if (below(s, 3) == 0)
		node_tick(s->node[c->owner]);
	node_pass_end(s->node[c->owner]);
	CHECK(s, verdict != NODE_DROP, "dropped");
	CHECK(s, reply_open(reply, s->out, bytes), "answer not well-formed");
	return verdict == NODE_ANSWER;
}

static void forget(struct sim *s, uint32_t at)
{
	s->active[at] = s->active[--s->actives];
}

static void begin(struct sim *s)
{
	struct client *c = &s->client[s->clients];

	if (s->actives == ACTIVE_MAX || s->clients == TXNS_MAX)
		return;
	memset(c, 0, sizeof(*c));
	packet_id(c->id, s->wall_us / 1000, s->clients, below(s, UINT32_MAX));
	c->owner = node_owner(c->id, s->workers);
	for (uint32_t k = 0; k < KEYS; k++)
		c->begin[k] = s->visible[k].number;
	s->active[s->actives++] = s->clients++;
}

static void add_write(struct sim *s, struct client *c, struct packet *p, uint32_t key)
{
	struct mine *m = &c->key[key];
	uint8_t value[VALUE_BYTES_MAX], name = (uint8_t)('a' + key);
	uint32_t bytes;

	m->wrote = true;
	m->deleted = below(s, 4) == 0;
	m->token = ++c->tokens;
	if (m->deleted) {
		packet_delete(p, &name, 1);
		return;
	}
	value_make(value, &bytes, (uint32_t)(c - s->client), key, m->token);
	packet_put(p, &name, 1, value, bytes);
}

/* A later attempt of the step: what the earlier one wrote is gone, what it read stays read. */
static void retry(struct client *c)
{
	c->attempt++;
	c->seq = 0;
	for (uint32_t k = 0; k < KEYS; k++)
		c->key[k].wrote = c->key[k].deleted = false;
}

static void end_of(struct sim *s, struct client *c, uint32_t at, const struct reply_result *r)
{
	CHECK(s, r->status == ABAFT_OK, "COMMIT or ABORT failed");
	/* Only a COMMIT that wrote nothing is answered at once. */
	for (uint32_t k = 0; k < KEYS; k++)
		CHECK(s, !c->key[k].wrote && !c->aborting, "P4: answered before durable");
	c->fate = GONE;
	forget(s, at);
}

/* One packet of one to three operations, perhaps ended by COMMIT or ABORT. */
static void act(struct sim *s, uint32_t at)
{
	struct client *c = &s->client[s->active[at]];
	uint32_t keys[4], gets = 0, n = 1 + below(s, 3), ending = below(s, 8);
	struct packet *p = &c->last;
	struct mine before[KEYS];
	struct reply_result r;
	struct reply reply;
	bool answered;

	if (below(s, 12) == 0)
		retry(c);
	memcpy(before, c->key, sizeof(before));
	packet_begin(p, c->id, c->instance, 0, c->attempt, c->seq,
		     c->instance ? 0 : ABAFT_FLAG_OPEN);
	for (uint32_t i = 0; i < n; i++) {
		uint32_t key = below(s, KEYS);

		if (gets < i || below(s, 2)) { /* reads first: their answers are checked below */
			add_write(s, c, p, key);
		} else {
			uint8_t name = (uint8_t)('a' + key);

			keys[gets++] = key;
			packet_get(p, &name, 1, 0);
		}
	}
	c->seq += n;
	if (ending < 2) {
		c->aborting = ending == 1 && below(s, 2);
		if (c->aborting)
			packet_abort(p);
		else
			packet_commit(p);
	}
	if (!c->instance)
		c->first = *p;
	answered = send(s, c, p, &reply);
	if (reply.flags & ABAFT_FLAG_REFUSED) { /* it expired, or its node restarted */
		CHECK(s, reply.status == ABAFT_UNKNOWN_TXN || reply.status == ABAFT_EXPIRED,
		      "refused");
		c->fate = GONE;
		forget(s, at);
		return;
	}
	c->instance = reply.instance;
	for (uint32_t i = 0; i < n; i++) {
		CHECK(s, reply_next(&reply, &r), "result missing");
		if (i < gets)
			check_get(s, c, keys[i], &r, &before[keys[i]]);
		else
			CHECK(s, r.status == ABAFT_OK, "write failed");
	}
	if (ending >= 2)
		return;
	CHECK(s, reply_next(&reply, &r), "last result missing");
	if (answered) {
		end_of(s, c, at, &r);
	} else {
		c->fate = ENDING;
		forget(s, at);
	}
}

/* The commit is visible from now on. */
static void model_commit(struct sim *s, struct client *c)
{
	c->fate = COMMITTED;
	s->commits++;
	for (uint32_t k = 0; k < KEYS; k++) {
		if (!c->key[k].wrote)
			continue;
		if (vnum_less(s->visible[k].number, c->number)) {
			s->visible[k].number = c->number;
			s->visible[k].writer = (uint32_t)(c - s->client);
		}
		if (c->key[k].deleted)
			s->visible[k].buried = vnum_max(s->visible[k].buried, c->number);
	}
}

static void done(void *arg, void *token, const uint8_t *result, uint32_t at, uint32_t bytes)
{
	const struct abaft_wire_result *r = (const void *)result;
	struct client *c = token;
	struct sim *s = arg;

	(void)at;
	(void)bytes;
	CHECK(s, c->fate == ENDING && load_le16(r->status) == ABAFT_OK, "told twice, or failed");
	c->number = (struct vnum){.time = load_le64(r->time), .origin = load_le32(r->origin)};
	for (uint32_t k = 0; k < KEYS; k++)
		if (c->key[k].wrote && !c->aborting)
			CHECK(s,
			      vnum_less(c->key[k].read ? c->key[k].number : c->begin[k], c->number),
			      "C2: numbered below what it saw");
	if (c->aborting)
		c->fate = ABORTED;
	else
		model_commit(s, c);
}

static void sync_log(struct sim *s, uint32_t w, uint32_t records)
{
	uint64_t durable = log_fake_sync(&s->log[w], records);

	pass_begin(s, w);
	node_durable(s->node[w], durable, done, s);
	node_tick(s->node[w]);
	node_pass_end(s->node[w]);
}

/* Repeats some transaction's last packet: whatever it is answered, nothing may change. */
static void repeat(struct sim *s)
{
	struct client *c = &s->client[below(s, s->clients)];
	struct reply_result r;
	struct reply reply;

	if (c->last.used == 0)
		return;
	s->repeats++;
	if (c->fate == LIVE) { /* opens it once more if the node forgot it: as another instance */
		if (c->first.used > 0)
			CHECK(s, send(s, c, &c->first, &reply), "P6: executed early");
		return;
	}
	if (!send(s, c, &c->last, &reply)) { /* a whole transaction that had been lost */
		CHECK(s, c->fate == GONE, "P6: executed twice");
		c->fate = ENDING;
		return;
	}
	if (c->fate == ENDING)
		CHECK(s, reply.status == ABAFT_IN_PROGRESS, "not IN_PROGRESS");
	if (c->fate != COMMITTED && c->fate != ABORTED)
		return;
	while (reply_next(&reply, &r))
		if (r.code == ABAFT_OP_COMMIT || r.code == ABAFT_OP_ABORT)
			CHECK(s,
			      (r.flags & ABAFT_RESULT_REPEAT) && r.status == ABAFT_OK &&
				      r.time == c->number.time,
			      "P6: another outcome");
}

/* What the durable records say happened: for the model after a crash. */
static void model_recover(struct sim *s)
{
	for (uint32_t i = 0; i < s->clients; i++) {
		struct client *c = &s->client[i];

		if (c->fate == LIVE || c->fate == ENDING)
			c->fate = c->fate == ENDING ? ENDING : GONE;
	}
	for (uint32_t w = 0; w < s->workers; w++)
		for (uint64_t i = 0; i < s->log[w].count; i++) {
			const struct log_fake_record *record = &s->log[w].records[i];
			struct client *c = NULL;

			for (uint32_t n = 0; n < s->clients && !c; n++)
				if (memcmp(s->client[n].id, record->data, 16) == 0)
					c = &s->client[n];
			CHECK(s, c != NULL, "a record of nobody");
			if (c->fate != ENDING)
				continue;
			c->number = (struct vnum){.time = load_le64(record->data + 16),
						  .origin = load_le32(record->data + 24)};
			if (record->type == RECORD_ABORT)
				c->fate = ABORTED;
			else
				model_commit(s, c);
		}
	for (uint32_t i = 0; i < s->clients; i++)
		if (s->client[i].fate == ENDING)
			s->client[i].fate = GONE; /* its record was lost, and nobody was told */
}

static uint64_t memory_used(const struct sim *s)
{
	uint64_t used = 0;

	for (uint32_t w = 0; w < s->workers; w++)
		used += s->node[w]->memory.bytes_used;
	return used;
}

/* A fresh transaction reads every key as the model has it (P5). */
static void read_back(struct sim *s)
{
	struct client *c = &s->client[s->clients];
	struct packet *p = &c->last;
	struct reply_result r;
	struct reply reply;

	if (s->clients == TXNS_MAX)
		return;
	begin(s);
	s->actives--;
	packet_begin(p, c->id, 0, 0, 0, 0, ABAFT_FLAG_OPEN);
	for (uint32_t k = 0; k < KEYS; k++) {
		uint8_t name = (uint8_t)('a' + k);

		packet_get(p, &name, 1, 64);
	}
	packet_commit(p);
	CHECK(s, send(s, c, p, &reply), "a read-only commit waits");
	for (uint32_t k = 0; k < KEYS; k++) {
		CHECK(s, reply_next(&reply, &r), "result missing");
		check_get(s, c, k, &r, &c->key[k]);
		if (!c->key[k].none)
			CHECK(s, vnum_equal(c->key[k].number, s->visible[k].number), "P5: state");
	}
	c->fate = GONE;
}

static void settle(struct sim *s, uint32_t passes)
{
	for (uint32_t i = 0; i < passes; i++) {
		s->wall_us += 2000;
		s->mono_us += 2000;
		for (uint32_t w = 0; w < s->workers; w++) {
			pass_begin(s, w);
			node_tick(s->node[w]);
			node_pass_end(s->node[w]);
		}
	}
}

/* All logs at once, at any pace, each in its order. */
static void recover(struct sim *s)
{
	uint64_t next[WORKERS_MAX] = {0};
	uint32_t left = s->workers;

	node_recover_begin(s->node, (1u << s->workers) - 1);
	while (left > 0) {
		uint32_t w = below(s, s->workers);
		const struct log_fake_record *r = &s->log[w].records[next[w]];

		if (next[w] > s->log[w].count)
			continue;
		if (next[w]++ < s->log[w].count) {
			CHECK(s,
			      node_recover(s->node, s->workers, w, r->type, r->place, r->data,
					   r->bytes) == 0,
			      "recovery");
			s->store->restore.sweep_at = below(s, 4);
			continue;
		}
		node_recover_end(s->node, w);
		left--;
	}
	node_recovered(s->node, s->workers);
}

static void restart(struct sim *s)
{
	s->restarts++;
	stop(s);
	for (uint32_t w = 0; w < s->workers; w++)
		log_fake_crash(&s->log[w]);
	while (s->actives > 0) {
		s->client[s->active[0]].fate = GONE;
		forget(s, 0);
	}
	start(s);
	recover(s);
	model_recover(s);
	read_back(s);
}

static void advance(struct sim *s)
{
	uint32_t kind = below(s, 40);
	uint64_t us = kind < 3 ? 1200000 : kind == 3 ? 40000000 : below(s, 3000);

	s->wall_us += us;
	s->mono_us += us;
	if (below(s, 50) == 0) /* the wall clock jumps back; versions must not */
		s->wall_us -= below(s, 5000000);
}

static void step(struct sim *s)
{
	uint32_t kind = below(s, 100);

	if (kind < 15)
		begin(s);
	else if (kind < 65 && s->actives > 0)
		act(s, below(s, s->actives));
	else if (kind < 80)
		sync_log(s, below(s, s->workers), 1 + below(s, 3));
	else if (kind < 92)
		advance(s);
	else if (kind < 97 && s->clients > 0)
		repeat(s);
	else if (kind == 97 && s->actives > 0) /* a client dies */
		forget(s, below(s, s->actives));
	else if (kind == 98 && below(s, 8) == 0)
		restart(s);
}

/* The first of its commit's versions that are left. */
static bool leads(const struct version *v)
{
	if (v->slot == VERSION_NO_SLOT)
		return false;
	for (uint32_t i = 0; i < v->slot; i++)
		if (atomic_load(&v->commit->key[i].lo))
			return false;
	return true;
}

/* Memory of commits, which a recovery does not make (restore.c, T4), and live bytes, of all
 * versions there are. */
static void walk(struct sim *s, uint64_t *commits, uint64_t *live)
{
	struct memory_cache *memory = &s->node[0]->memory;
	uint64_t cursor = 0, before = memory->bytes_used;
	const struct version *v;
	const struct key *key;

	*commits = 0;
	*live = 0;
	while ((key = index_walk(&s->store->index, &cursor, UINT64_MAX)))
		for (v = atomic_load(&key->newest); v; v = atomic_load(&v->older)) {
			*live += space_bytes(key->bytes, v->bytes);
			if (leads(v)) {
				uint32_t bytes = commit_bytes(v->commit->keys);
				void *block = memory_alloc(memory, bytes);

				*commits += memory->bytes_used - before;
				memory_free(memory, block, bytes);
			}
		}
}

/* After all transactions have ended, memory holds what a fresh recovery needs, and no more. */
static void check_leaks(struct sim *s)
{
	uint64_t used, commits, live;

	for (uint32_t w = 0; w < s->workers; w++)
		sync_log(s, w, UINT32_MAX);
	s->wall_us += 60000000;
	s->mono_us += 60000000;
	settle(s, 400);
	walk(s, &commits, &live);
	used = memory_used(s) - commits;
	CHECK(s, space_total(&s->store->space) == live, "live bytes miscounted");
	restart(s);
	settle(s, 400);
	CHECK(s, space_total(&s->store->space) == live, "live bytes differ after a recovery");
	CHECK(s, memory_used(s) == used, "memory differs from a fresh recovery's");
}

static void run(struct sim *s, uint64_t seed)
{
	memset(s, 0, sizeof(*s));
	s->seed = seed;
	s->random = seed * 0x9e3779b97f4a7c15ull + 1;
	for (int i = 0; i < 8; i++)
		below(s, 2);
	s->workers = 1 + below(s, WORKERS_MAX);
	s->wall_us = 1700000000000000ull;
	s->mono_us = 1000000;
	for (uint32_t w = 0; w < s->workers; w++) {
		CHECK(s, log_fake_init(&s->log[w], TXNS_MAX, 16u << 20) == 0, "log_fake_init");
		s->log[w].number = w;
	}
	start(s);
	for (s->step = 0; s->step < STEPS; s->step++)
		step(s);
	check_leaks(s);
	stop(s);
	for (uint32_t w = 0; w < s->workers; w++)
		log_fake_fini(&s->log[w]);
}

int main(int argc, char **argv)
{
	uint64_t first = argc > 1 ? strtoull(argv[1], NULL, 0) : 1;
	uint64_t count = argc > 2 ? strtoull(argv[2], NULL, 0) : argc > 1 ? 1 : 200;
	uint64_t reads = 0, commits = 0, restarts = 0, repeats = 0;
	struct sim *s = malloc(sizeof(*s));

	if (!s)
		return 1;
	printf("1..1\n");
	for (uint64_t seed = first; seed < first + count; seed++) {
		run(s, seed);
		reads += s->reads;
		commits += s->commits;
		restarts += s->restarts;
		repeats += s->repeats;
	}
	free(s);
	printf("ok 1 - seeds %" PRIu64 " to %" PRIu64 ": %" PRIu64 " reads, %" PRIu64
	       " commits, %" PRIu64 " repeats, %" PRIu64 " restarts\n",
	       first, first + count - 1, reads, commits, repeats, restarts);
	return 0;
}
