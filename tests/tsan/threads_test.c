/* SPDX-License-Identifier: Apache-2.0 */
/*
 * threads_test.c - workers on threads of their own, one store, a few hot keys: every reader checks
 * what it read (P1, P2, P3), every value checks its bytes, and in the end all memory is free.
 *
 * Keys come in groups that are always written or deleted together, sometimes two groups at once. A
 * value says which groups its transaction wrote, so a reader knows what must not be older. Time is
 * one clock that every pass moves on, so eras tick, readers freeze and deadlines pass within
 * seconds. Workers' wall clocks disagree on purpose.
 */
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "dataplane/core/lock.h"
#include "tests/lib/node_bed.h"

#define WORKERS	 3
#define GROUPS	 4
#define KEYS	 3 /* of a group */
#define SESSIONS 8 /* of a worker */
#define PASS_US	 400
#define MEMORY	 (24u << 20)

#ifdef LOCK_TSAN
#define PASSES 6000
#else
#define PASSES 200000
#endif

/* What a value begins with; the rest repeats the tag's last byte. */
struct tag {
	uint64_t writer;
	uint32_t groups; /* a bit for each that was written with it */
	uint32_t bytes;
};

struct seen {
	bool read, absent;
	uint64_t time;
	uint32_t origin;
	struct tag tag;
};

enum session_kind { READER, LONG_READER, WRITER, VANISHING };

struct session {
	enum session_kind kind;
	uint8_t id[16];
	uint64_t instance;
	uint32_t seq, steps;
	bool open, waiting;
	struct seen seen[GROUPS][KEYS];
	struct bed_answer answer;
};

struct worker {
	struct bed *bed;
	_Atomic uint64_t *clock_us;
	uint32_t number;
	uint64_t random, ids, commits, reads;
	struct now now;
	struct session session[SESSIONS];
	char failure[200];
};

static uint32_t pick(struct worker *w, uint32_t below)
{
	w->random = w->random * 6364136223846793005ull + 1442695040888963407ull;
	return (uint32_t)(w->random >> 33) % below;
}

static void wrong(struct worker *w, const char *what, uint64_t a, uint64_t b)
{
	if (!w->failure[0])
		snprintf(w->failure, sizeof(w->failure), "worker %u: %s (%llu, %llu)", w->number,
			 what, (unsigned long long)a, (unsigned long long)b);
}

static uint16_t key_name(char key[8], uint32_t group, uint32_t i)
{
	return (uint16_t)snprintf(key, 8, "g%u.%u", group, i);
}

static void new_id(struct worker *w, uint8_t id[16])
{
	uint64_t owner = (((uint64_t)w->number << 32) + (1ull << 31)) / WORKERS;

	packet_id(id, w->now.wall_us / 1000, (uint64_t)w->number << 36 | ++w->ids, (uint32_t)owner);
}

static void add_writes(struct worker *w, struct packet *p, uint32_t group, struct tag *tag)
{
	uint8_t value[512];
	char key[8];

	for (uint32_t i = 0; i < KEYS; i++) {
		uint16_t n = key_name(key, group, i);

		if (!tag) {
			packet_delete(p, key, n);
			continue;
		}
		tag->bytes = (uint32_t)sizeof(*tag) + pick(w, tag->groups & 1 ? 140 : 200);
		memset(value, (uint8_t)tag->writer, sizeof(value));
		memcpy(value, tag, sizeof(*tag));
		packet_put(p, key, n, value, tag->bytes);
	}
}

static enum node_verdict execute(struct worker *w, struct session *s, struct packet *p)
{
	enum node_verdict verdict;

	packet_finish(p);
	s->answer.n = 0;
	s->answer.told = 0;
	verdict = node_execute(w->bed->node[w->number], p->bytes, p->used, s->answer.bytes,
			       &s->answer.n, s);
	if (verdict == NODE_DROP)
		wrong(w, "a good packet was dropped", 0, 0);
	return verdict;
}

/* One packet writes one or two groups and commits. */
static void write_step(struct worker *w, struct session *s)
{
	uint32_t a = pick(w, GROUPS), b = pick(w, GROUPS);
	struct tag tag = {.writer = (uint64_t)w->number << 48 | w->ids};
	bool remove = pick(w, 6) == 0;
	struct packet p;

	tag.groups = 1u << a | (pick(w, 2) ? 1u << b : 0);
	new_id(w, s->id);
	packet_begin(&p, s->id, 0, 0, 0, 0, ABAFT_FLAG_OPEN);
	for (uint32_t g = 0; g < GROUPS; g++)
		if (tag.groups & 1u << g)
			add_writes(w, &p, g, remove ? NULL : &tag);
	packet_commit(&p);
	s->waiting = execute(w, s, &p) == NODE_WAIT;
}

static void value_check(struct worker *w, const struct reply_result *r, struct tag *tag)
{
	if (r->data_bytes < sizeof(*tag)) {
		wrong(w, "a value is too short", r->data_bytes, r->total);
		return;
	}
	memcpy(tag, r->data, sizeof(*tag));
	if (tag->bytes != r->total || r->data_bytes != r->total)
		wrong(w, "a value has the wrong length", tag->bytes, r->total);
	for (uint32_t i = sizeof(*tag); i < r->data_bytes; i++)
		if (r->data[i] != (uint8_t)tag->writer)
			wrong(w, "a value has foreign bytes", i, r->data[i]);
}

static bool older(const struct seen *a, const struct seen *b)
{
	return a->time < b->time || (a->time == b->time && a->origin < b->origin);
}

/* P1 between two keys read; `a` is there, so it says what was written with it. */
static void pair_check(struct worker *w, const struct seen *a, uint32_t group_a,
		       const struct seen *b, uint32_t group_b)
{
	if (!a->read || !b->read || a->absent)
		return;
	if (group_a == group_b && (b->absent || a->time != b->time || a->origin != b->origin))
		wrong(w, "keys written together were read apart", a->time, b->time);
	/* An absent key without a version was deleted by who knows whom. */
	if ((a->tag.groups & 1u << group_b) && !(b->absent && b->time == 0) && older(b, a))
		wrong(w, "a key is older than what was written with it", a->time, b->time);
}

static void seen_check(struct worker *w, struct session *s)
{
	for (uint32_t i = 0; i < GROUPS * KEYS; i++)
		for (uint32_t j = 0; j < GROUPS * KEYS; j++)
			pair_check(w, &s->seen[i / KEYS][i % KEYS], i / KEYS,
				   &s->seen[j / KEYS][j % KEYS], j / KEYS);
}

static void note(struct worker *w, struct seen *seen, const struct reply_result *r)
{
	struct seen now = {.read = true, .time = r->time, .origin = r->origin};

	if (r->status == ABAFT_NOT_FOUND)
		now.absent = true;
	else if (r->status == ABAFT_OK)
		value_check(w, r, &now.tag);
	else
		wrong(w, "a read failed", r->status, 0);
	if (seen->read && (seen->absent != now.absent || seen->time != now.time))
		wrong(w, "a read did not repeat", seen->time, now.time);
	*seen = now;
	w->reads++;
}

static void read_step(struct worker *w, struct session *s)
{
	uint32_t group[3], i[3], n = 1 + pick(w, 3);
	struct reply_result result;
	struct reply reply;
	struct packet p;
	char key[8];

	if (!s->instance) {
		new_id(w, s->id);
		memset(s->seen, 0, sizeof(s->seen));
	}
	packet_begin(&p, s->id, s->instance, 0, 0, s->seq, s->instance ? 0 : ABAFT_FLAG_OPEN);
	packet_deadline(&p, s->kind == LONG_READER ? 20000 : 300);
	for (uint32_t k = 0; k < n; k++) {
		group[k] = pick(w, GROUPS);
		i[k] = pick(w, KEYS);
		packet_get(&p, key, key_name(key, group[k], i[k]), 0);
	}
	s->seq += n;
	execute(w, s, &p);
	if (!reply_open(&reply, s->answer.bytes, s->answer.n))
		wrong(w, "a malformed answer", s->answer.n, 0);
	if (reply.flags & ABAFT_FLAG_REFUSED) { /* expired, or no room */
		s->open = false;
		return;
	}
	s->instance = reply.instance;
	for (uint32_t k = 0; k < n; k++) {
		if (!reply_next(&reply, &result))
			wrong(w, "an answer ends early", k, n);
		else
			note(w, &s->seen[group[k]][i[k]], &result);
	}
	seen_check(w, s);
}

static void end_reader(struct worker *w, struct session *s)
{
	struct packet p;

	s->open = false;
	if (s->kind == VANISHING)
		return;
	packet_begin(&p, s->id, s->instance, 0, 0, s->seq, 0);
	packet_commit(&p);
	execute(w, s, &p);
}

static void session_step(struct worker *w, struct session *s)
{
	if (s->waiting)
		return;
	if (!s->open) {
		s->kind = pick(w, 40) == 0 ? LONG_READER : (enum session_kind)pick(w, 4);
		if (s->kind == LONG_READER && pick(w, 8))
			s->kind = WRITER;
		s->instance = 0;
		s->seq = 0;
		s->steps = s->kind == LONG_READER ? 400 : 1 + pick(w, 8);
		s->open = s->kind != WRITER;
	}
	if (s->kind == WRITER)
		write_step(w, s);
	else if (s->steps-- > 0)
		read_step(w, s);
	else
		end_reader(w, s);
}

static void done(void *arg, void *token, const uint8_t *result, uint32_t at, uint32_t bytes)
{
	struct worker *w = arg;
	struct session *s = token;

	if (at + bytes > s->answer.n || result[0] != ABAFT_OP_COMMIT)
		wrong(w, "an answer is completed at a wrong place", at, s->answer.n);
	s->waiting = false;
	w->commits++;
}

/* The log's part of a pass: some or all of what was appended is durable now. */
static void log_pass(struct worker *w)
{
	struct log_fake *log = &w->bed->log[w->number];
	struct node *node = w->bed->node[w->number];

	if (pick(w, 3))
		return;
	node_durable(node, log_fake_sync(log, pick(w, 4) ? UINT64_MAX : 1), done, w);
	if (!node_pending(node) && log->count > 1000) { /* bounded: nobody reads it again */
		log->durable = 0;
		log_fake_crash(log);
	}
}

static void pass(struct worker *w)
{
	/* 2 s apart and one that jumps back and forth: order must not depend on them. */
	static const uint64_t ahead_us[WORKERS] = {0, 2000000, 500000};
	struct node *node = w->bed->node[w->number];
	uint64_t mono = atomic_fetch_add(w->clock_us, PASS_US) + PASS_US;
	uint64_t wall = BED_WALL_US + mono + ahead_us[w->number];

	w->now = (struct now){.wall_us = wall, .mono_us = mono};
	if (w->number == 2 && mono / 5000000 % 2)
		w->now.wall_us -= 700000;
	node_pass_begin(node, w->now);
	for (uint32_t k = 1 + pick(w, 4); k > 0; k--) {
		session_step(w, &w->session[pick(w, SESSIONS)]);
		if (pick(w, 50) == 0)
			sched_yield();
	}
	log_pass(w);
	node_tick(node);
	node_pass_end(node);
}

static void *run(void *arg)
{
	struct worker *w = arg;

	for (uint32_t i = 0; i < PASSES && !w->failure[0]; i++)
		pass(w);
	return NULL;
}

/* What waits in the log becomes durable. */
static void settle(struct worker *w)
{
	struct node *node = w->bed->node[w->number];

	node_pass_begin(node, w->now);
	node_durable(node, log_fake_sync(&w->bed->log[w->number], UINT64_MAX), done, w);
	node_pass_end(node);
	w->bed->log[w->number].durable = 0;
	log_fake_crash(&w->bed->log[w->number]);
}

/* What is open expires, every key is deleted: nothing is left. */
static void drain(struct bed *bed)
{
	char key[8];

	bed_ticks(bed, 2500); /* 25 s: the longest deadline */
	for (uint32_t i = 0; i < GROUPS * KEYS; i++) {
		key_name(key, i / KEYS, i % KEYS);
		assert_int_equal(bed_put(bed, i % bed->workers, key, NULL), ABAFT_OK);
	}
	bed_ticks(bed, 100);
}

static void workers_share_a_store(void **state)
{
	static struct worker workers[WORKERS];
	static struct bed bed;
	_Atomic uint64_t clock_us = 1000000;
	pthread_t thread[WORKERS];
	uint64_t commits = 0, freed = 0, frozen = 0, expired = 0;

	bed_defaults(&bed, WORKERS);
	bed.store_config.memory_bytes = MEMORY;
	bed.config.outcomes_max = 1 << 14;
	bed.config.txns_max = 512;
	bed_open(&bed);
	for (uint32_t n = 0; n < WORKERS; n++) {
		workers[n] = (struct worker){
			.bed = &bed, .clock_us = &clock_us, .number = n, .random = n + 1};
		assert_int_equal(pthread_create(&thread[n], NULL, run, &workers[n]), 0);
	}
	for (uint32_t n = 0; n < WORKERS; n++)
		pthread_join(thread[n], NULL);
	for (uint32_t n = 0; n < WORKERS; n++) {
		const struct node_counters *c = bed_counters(&bed, n);

		assert_string_equal(workers[n].failure, "");
		assert_int_equal(c->busy_memory + c->busy_keys + c->busy_versions, 0);
		commits += workers[n].commits;
		freed += bed.node[n]->reclaim.freed;
		frozen += c->txns_frozen;
		expired += c->expired;
	}
	bed.now.mono_us = atomic_load(&clock_us) + 1000;
	bed.now.wall_us = BED_WALL_US + bed.now.mono_us + 3000000;
	for (uint32_t n = 0; n < WORKERS; n++)
		settle(&workers[n]);
	printf("# %llu commits, %llu versions freed, %llu readers frozen, %llu expired\n",
	       (unsigned long long)commits, (unsigned long long)freed, (unsigned long long)frozen,
	       (unsigned long long)expired);
	assert_true(commits > PASSES / 10 && frozen > 0 && expired > 0);
	drain(&bed);
	assert_int_equal(atomic_load(&bed.store->index.keys), 0);
	assert_int_equal(bed_used(&bed), 0);
	for (uint32_t n = 0; n < WORKERS; n++)
		memory_cache_flush(&bed.node[n]->memory);
	assert_int_equal(bed.store->memory.free_span_count, bed.store->memory.spans_total);
	bed_close(&bed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(workers_share_a_store),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
