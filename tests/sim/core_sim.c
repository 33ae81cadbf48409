/* SPDX-License-Identifier: Apache-2.0 */
/*
 * core_sim - the transaction core of a whole node under random interleavings, in virtual time.
 *
 * Up to three workers share a store; clients begin, read, write, delete, retry with a later
 * attempt, repeat packets, commit, abort and die; logs become durable record by record; the clock
 * crawls, jumps past the freeze and past deadlines; the node crashes and recovers from what was
 * durable. Large values leave memory at any time, and their reads end late, in any order, damaged
 * or not at all, while other clients go on. A model beside it knows what is visible, and each
 * answer is checked against the promises. Everything follows from one seed: `core_sim SEED` replays
 * a run, `core_sim FIRST COUNT` runs many.
 */
#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "dataplane/core/bytes.h"
#include "dataplane/core/node_impl.h"
#include "dataplane/core/record.h"
#include "tests/lib/node_bed.h"
#include "tests/lib/telemetry_core.h"
#include "tests/sim/core_model.h"

static struct sim *running;

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

		telemetry_memory_init(&s->telemetry[w], 0);
		node.telemetry = &s->telemetry[w].telemetry;
		CHECK(s, node_create(&s->node[w], s->store, &node) == 0, "node_create");
		node_attach_log(s->node[w], &log);
	}
}

static void stop(struct sim *s)
{
	char why[TELEMETRY_WRONG_BYTES];

	for (uint32_t w = 0; w < s->workers; w++)
		CHECK(s, !telemetry_core_wrong(&s->telemetry[w], s->node[w], why), why);
	for (uint32_t w = 0; w < s->workers; w++)
		node_destroy(s->node[w]);
	store_destroy(s->store);
}

static void pass_begin(struct sim *s, uint32_t w)
{
	s->telemetry[w].telemetry.now_ns = s->mono_us * 1000;
	node_pass_begin(s->node[w], (struct now){.wall_us = s->wall_us + s->ahead_us[w],
						 .mono_us = s->mono_us});
}

static void forget(struct sim *s, uint32_t at)
{
	s->active[at] = s->active[--s->actives];
}

static void leave(struct sim *s, struct client *c, enum fate fate)
{
	c->fate = fate;
	for (uint32_t at = 0; at < s->actives; at++)
		if (&s->client[s->active[at]] == c)
			forget(s, at);
}

/* node_again_fn, and the first time */
static void execute(void *arg, void *token)
{
	struct client *c = token;
	struct sim *s = arg;

	s->executing = c->owner;
	c->verdict = node_execute(s->node[c->owner], c->sent->bytes, c->sent->used, c->out,
				  &c->out_bytes, c);
	s->executing = WORKERS_MAX;
	if (c->verdict == NODE_WAIT) { /* its record may be durable before it is looked at */
		CHECK(s, c->fate == (c->repeats ? GONE : LIVE), "P6: executed twice or early");
		leave(s, c, ENDING);
	}
}

/* Some reads of a worker end, in any order, and perhaps badly. */
static void end_reads(struct sim *s, uint32_t w, uint32_t n)
{
	struct log_fake *log = &s->log[w];

	pass_begin(s, w);
	for (; n > 0 && log->reading > 0; n--) {
		uint64_t tag = 0;
		int result;

		log->read_damage = below(s, 20) == 0;
		log->read_error = below(s, 30) ? 0 : below(s, 2) ? -EIO : -ESTALE;
		log->stale = below(s, 20) == 0;
		log->reads_max = 1 + below(s, 4);
		result = log_fake_read(log, below(s, log->reading), &tag);
		node_read_done(s->node[w], tag, result);
	}
	node_fetched(s->node[w], execute, s);
	if (below(s, 3) == 0)
		node_tick(s->node[w]);
	node_pass_end(s->node[w]);
}

static void step(struct sim *s);

/* Until the client's request was executed. False: the node crashed. */
static bool wait_for_values(struct sim *s, struct client *c)
{
	uint64_t restarts = s->restarts;

	s->waits++;
	c->waits = true;
	while (c->verdict == NODE_FETCH && s->restarts == restarts) {
		end_reads(s, c->owner, below(s, 3));
		if (!s->quiet && s->nest < NEST_MAX) {
			s->nest++;
			step(s);
			s->nest--;
		}
	}
	c->waits = false;
	return s->restarts == restarts;
}

static bool read_failed(struct reply reply)
{
	struct reply_result r;

	while (reply_next(&reply, &r))
		if (r.status == ABAFT_READ_FAILED || r.status == ABAFT_CORRUPT)
			return true;
	return false;
}

enum sent { ANSWERED, LOGGING, LOST };

/* Sends a packet to its owner, and again while the disk fails. */
static enum sent send(struct sim *s, struct client *c, struct packet *p, struct reply *reply)
{
	packet_finish(p);
	do {
		c->sent = p;
		pass_begin(s, c->owner);
		execute(s, c);
		if (below(s, 3) == 0)
			node_tick(s->node[c->owner]);
		node_pass_end(s->node[c->owner]);
		if (c->verdict == NODE_FETCH && !wait_for_values(s, c))
			return LOST;
		CHECK(s, c->verdict != NODE_DROP, "dropped");
		CHECK(s, reply_open(reply, c->out, c->out_bytes), "answer not well-formed");
		s->failed += read_failed(*reply);
	} while (read_failed(*reply));
	return c->verdict == NODE_ANSWER ? ANSWERED : LOGGING;
}

/* Where a client stands that may act; `actives` when there is none. */
static uint32_t pick(struct sim *s)
{
	uint32_t at = s->actives ? below(s, s->actives) : 0;

	return at < s->actives && s->client[s->active[at]].waits ? s->actives : at;
}

static void begin(struct sim *s)
{
	struct client *c = &s->client[s->clients];

	if (s->actives >= s->actives_max || s->clients == TXNS_MAX)
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

static void end_of(struct sim *s, struct client *c, const struct reply_result *r)
{
	CHECK(s, r->status == ABAFT_OK, "COMMIT or ABORT failed");
	/* Only a COMMIT that wrote nothing is answered at once. */
	for (uint32_t k = 0; k < KEYS; k++)
		CHECK(s, !c->key[k].wrote && !c->aborting, "P4: answered before durable");
	leave(s, c, GONE);
}

/* What an operation was: a GET of a key of which this was written before, or a write. */
struct did {
	bool get;
	uint32_t key;
	struct mine own;
};

/* One to three operations, GETs first or anywhere, perhaps ended by COMMIT or ABORT. */
static uint32_t make_ops(struct sim *s, struct client *c, struct packet *p, struct did *did)
{
	uint32_t n = 1 + below(s, 3);
	bool mixed = below(s, 4) == 0, wrote = false;

	packet_begin(p, c->id, c->instance, 0, c->attempt, c->seq,
		     c->instance ? 0 : ABAFT_FLAG_OPEN);
	for (uint32_t i = 0; i < n; i++) {
		uint32_t key = below(s, KEYS);
		uint8_t name = (uint8_t)('a' + key);

		did[i] = (struct did){.key = key, .own = c->key[key]};
		did[i].get = (mixed || !wrote) && below(s, 2);
		wrote |= !did[i].get;
		if (did[i].get)
			packet_get(p, &name, 1, 0);
		else
			add_write(s, c, p, key);
	}
	c->seq += n;
	return n;
}

static void act(struct sim *s, uint32_t at)
{
	struct client *c = &s->client[s->active[at]];
	uint32_t n, ending = below(s, 8);
	struct packet *p = &c->last;
	struct reply_result r;
	struct reply reply;
	struct did did[4];
	enum sent sent;

	if (below(s, 12) == 0)
		retry(c);
	n = make_ops(s, c, p, did);
	if (ending < 2) {
		c->aborting = ending == 1 && below(s, 2);
		if (c->aborting)
			packet_abort(p);
		else
			packet_commit(p);
	}
	if (!c->instance)
		c->first = *p;
	c->last_out_bytes = 0;
	sent = send(s, c, p, &reply);
	if (sent == LOST)
		return;
	if (reply.flags & ABAFT_FLAG_REFUSED) { /* it expired, or its node restarted */
		CHECK(s, reply.status == ABAFT_UNKNOWN_TXN || reply.status == ABAFT_EXPIRED,
		      "refused");
		leave(s, c, GONE);
		return;
	}
	c->instance = reply.instance;
	if (sent == ANSWERED) {
		memcpy(c->last_out, c->out, c->out_bytes);
		c->last_out_bytes = c->out_bytes;
	}
	for (uint32_t i = 0; i < n; i++) {
		CHECK(s, reply_next(&reply, &r), "result missing");
		if (did[i].get)
			check_get(s, c, did[i].key, &r, &did[i].own);
		else
			CHECK(s, r.status == ABAFT_OK, "write failed");
	}
	if (ending >= 2)
		return;
	CHECK(s, reply_next(&reply, &r), "last result missing");
	if (sent == ANSWERED)
		end_of(s, c, &r);
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
	for (uint32_t k = 0; k < KEYS && !c->aborting; k++) {
		if (c->key[k].wrote)
			CHECK(s, vnum_less(c->begin[k], c->number),
			      "C2: numbered below what it replaces");
		if (c->key[k].read)
			CHECK(s, vnum_less(c->key[k].number, c->number),
			      "C2: numbered below what it read");
	}
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

/* The last packet of a transaction that is still open is answered as it was. */
static void check_again(struct sim *s, const struct client *c, const struct reply *reply)
{
	if (c->last_out_bytes == 0 || reply->flags & ABAFT_FLAG_REFUSED ||
	    reply->instance != c->instance)
		return;
	CHECK(s,
	      c->out_bytes == c->last_out_bytes && memcmp(c->out, c->last_out, c->out_bytes) == 0,
	      "P6: a packet that came twice is answered otherwise");
}

/* Repeats some transaction's last packet, or its first: whatever it is answered, nothing may
 * change. */
static void repeat(struct sim *s)
{
	bool open = s->actives > 0 && below(s, 3) == 0, first;
	struct client *c =
		&s->client[open ? s->active[below(s, s->actives)] : below(s, s->clients)];
	struct reply_result r;
	struct reply reply;
	enum sent sent;

	if (c->last.used == 0 || c->waits)
		return;
	if (c->fate == LIVE && c->first.used == 0)
		return;
	s->repeats++;
	c->repeats = true;
	/* The first opens it once more if the node forgot it: as another instance. */
	first = c->fate == LIVE && below(s, 2);
	sent = send(s, c, first ? &c->first : &c->last, &reply);
	c->repeats = false;
	if (sent != ANSWERED) /* LOGGING: a whole one that had been lost */
		return;
	if (c->fate == LIVE) {
		if (!first)
			check_again(s, c, &reply);
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
	bool quiet = s->quiet;

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
	s->quiet = true;
	CHECK(s, send(s, c, p, &reply) == ANSWERED, "a read-only commit waits");
	s->quiet = quiet;
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

/* Some version of some key whose value is large and in memory, or NULL. */
static struct version *large_version(struct sim *s)
{
	uint8_t name = (uint8_t)('a' + below(s, KEYS));
	struct index *index = &s->store->index;
	struct key *key = index_find(index, index_id(index, &name, 1), &name, 1);
	struct version *v = key ? atomic_load(&key->newest) : NULL;

	for (uint32_t n = below(s, 3); v && n > 0; n--)
		v = atomic_load(&v->older);
	return v && version_published(v) && version_is_large(v) && version_value(v) ? v : NULL;
}

static void evict(struct sim *s)
{
	struct version *v = large_version(s);

	if (v)
		bed_evict(s->node[below(s, s->workers)], v);
}

/* As a worker does it while others may be reading the value. */
static void evict_beside(struct sim *s, uint32_t w)
{
	struct reclaim *reclaim = &s->node[w]->reclaim;
	struct version *v = large_version(s);

	if (!v || reclaim->block_room == 0)
		return;
	pass_begin(s, w);
	reclaim_block(reclaim, cache_take(&s->store->cache, v), v->bytes);
	atomic_store(&v->value, NULL);
	node_pass_end(s->node[w]);
}

void sim_meanwhile(void)
{
	struct sim *s = running;
	uint32_t worker = s->executing;

	/* Once a step: who always loses the value that was just read back would never end. */
	if (worker == WORKERS_MAX || s->quiet || s->meanwhile == s->step || below(s, 4))
		return;
	s->meanwhile = s->step;
	s->executing = WORKERS_MAX;
	for (uint32_t w = 0; w < s->workers; w++) {
		for (uint32_t n = 0; n < KEYS && w != worker; n++)
			evict_beside(s, w);
		for (uint32_t n = 0; n < 4 && w != worker; n++)
			sync_log(s, w, 0);
	}
	s->executing = worker;
}

static void step(struct sim *s)
{
	uint32_t kind = below(s, 100), at = pick(s);

	if (kind < 15)
		begin(s);
	else if (kind < 60 && at < s->actives)
		act(s, at);
	else if (kind < 65)
		for (uint32_t n = 1 + below(s, KEYS); n > 0; n--)
			evict(s);
	else if (kind < 80)
		sync_log(s, below(s, s->workers), 1 + below(s, 3));
	else if (kind < 92)
		advance(s);
	else if (kind < 97 && s->clients > 0)
		repeat(s);
	else if (kind == 97 && at < s->actives) /* a client dies */
		forget(s, at);
	else if (kind == 98 && below(s, 8) == 0)
		restart(s);
}

/* After all transactions have ended, memory holds what a fresh recovery needs, and no more. */
static void check_leaks(struct sim *s)
{
	uint64_t used, commits, live;

	for (uint32_t w = 0; w < s->workers; w++)
		sync_log(s, w, UINT32_MAX);
	s->wall_us += 60000000;
	s->mono_us += 60000000;
	while (s->actives > 0)
		forget(s, 0);
	read_back(s); /* a recovery brings all values into memory */
	settle(s, 400);
	for (uint32_t w = 0; w < s->workers; w++) {
		end_reads(s, w, UINT32_MAX); /* those that were too late */
		CHECK(s, s->node[w]->fetches->open == 0, "a fetch that nobody ends");
	}
	model_walk(s, &commits, &live);
	used = memory_used(s) - commits;
	CHECK(s, space_total(&s->store->space) == live, "live bytes miscounted");
	restart(s);
	settle(s, 400);
	CHECK(s, space_total(&s->store->space) == live, "live bytes differ after a recovery");
	CHECK(s, memory_used(s) == used, "memory differs from a fresh recovery's");
}

/* Also where the product or a fake aborts, crashes, or never ends. */
static void on_signal(int number)
{
	char text[96];
	int n = snprintf(text, sizeof(text), "not ok 1 - seed %" PRIu64 " step %u: %s\n",
			 running->seed, running->step,
			 number == SIGTERM   ? "does not end"
			 : number == SIGSEGV ? "a crash"
					     : "aborted");

	if (write(STDOUT_FILENO, text, (size_t)n) != n)
		_exit(1);
	signal(number, SIG_DFL);
	raise(number);
}

static void run(struct sim *s, uint64_t seed)
{
	memset(s, 0, offsetof(struct sim, client));
	s->seed = seed;
	s->random = seed * 0x9e3779b97f4a7c15ull + 1;
	for (int i = 0; i < 8; i++)
		below(s, 2);
	s->workers = 1 + below(s, WORKERS_MAX);
	s->executing = WORKERS_MAX;
	s->actives_max = below(s, 3) ? ACTIVE_MAX : 1 + below(s, 3);
	s->wall_us = 1700000000000000ull;
	s->mono_us = 1000000;
	for (uint32_t w = 0; w < s->workers; w++) {
		CHECK(s, log_fake_init(&s->log[w], TXNS_MAX, 16u << 20) == 0, "log_fake_init");
		s->ahead_us[w] = below(s, 2) ? below(s, 3000000) : 0;
		s->log[w].number = w;
		s->log[w].shelf = s->log;
		s->log[w].shelf_logs = s->workers;
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
	uint64_t reads = 0, commits = 0, restarts = 0, repeats = 0, waits = 0, failed = 0;
	struct sim *s = aligned_alloc(64, sizeof(*s)); /* histograms begin on lines */

	if (!s)
		return 1;
	running = s;
	signal(SIGABRT, on_signal);
	signal(SIGSEGV, on_signal);
	signal(SIGTERM, on_signal);
	printf("1..1\n");
	fflush(stdout);
	for (uint64_t seed = first; seed < first + count; seed++) {
		run(s, seed);
		reads += s->reads;
		commits += s->commits;
		restarts += s->restarts;
		repeats += s->repeats;
		waits += s->waits;
		failed += s->failed;
	}
	free(s);
	printf("ok 1 - seeds %" PRIu64 " to %" PRIu64 ": %" PRIu64 " reads, %" PRIu64
	       " commits, %" PRIu64 " repeats, %" PRIu64 " restarts, %" PRIu64
	       " waits for values, %" PRIu64 " in vain\n",
	       first, first + count - 1, reads, commits, repeats, restarts, waits, failed);
	return 0;
}
