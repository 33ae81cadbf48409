/* SPDX-License-Identifier: Apache-2.0 */
/*
 * snapshot_sim.c - checkpoints, cleaning and restarts of whole nodes, against a model of what is
 * durable. In virtual time, by seed.
 *
 *	snapshot_sim [SEED [COUNT]]
 *
 * Three workers on fake logs commit, delete, abort and read; a fourth log holds what was kept. The
 * keeper's part (dataplane/keeper.h, Q1 to Q5) is played here, a small step at a time between the
 * workers': marks, the walk of some buckets, outcomes, copies of live writes, moves. What was
 * cleaned is overwritten. Then the node is killed at any moment, restarted from one of the two
 * checkpoints and the logs' tails, and has to hold what was durable:
 *
 * M1. Each key's newest durable write, at a place whose bytes on disk are that very write; keys
 *     that were deleted are not there. Live bytes are those of what is there.
 * M2. Each durable commit's and abort's outcome, or a horizon at or above its id.
 * M3. New numbers are above all durable ones.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "dataplane/core/crc.h"
#include "dataplane/core/keep.h"
#include "dataplane/core/record.h"
#include "dataplane/core/snapshot.h"
#include "tests/lib/node_bed.h"

#define WORKERS	     3
#define LOGS	     (WORKERS + 1)
#define KEPT	     WORKERS /* the kept log's place in arrays */
#define KEYS	     20
#define LARGE_KEYS   4 /* the last of these have large values, which are never read here */
#define VALUE_MAX    400
#define STEPS	     600
#define ANSWERS	     1024
#define RECORDS_MAX  4096
#define ENTRIES_MAX  (256u << 10)
#define OUTCOMES_MAX (64u << 10)
#define MOVES_MAX    512
#define OPEN_MAX     8
#define MEMORY	     (24u << 20)

/* What was written to a log's record, when its place may hold something else by now. */
struct truth {
	uint8_t *data;
	uint32_t bytes;
	bool gone; /* cleaned: its place was overwritten */
};

struct checkpoint {
	uint64_t mark[LOGS]; /* records of each log before it */
	uint64_t time, horizon_ms;
	uint32_t entries_bytes, outcomes_bytes;
	uint8_t entries[ENTRIES_MAX], outcomes[OUTCOMES_MAX];
};

enum walking { REST, MARKS, WALK, OUTCOMES };

/* A copy in the kept log: its record, and where its only write stood before. */
struct moving {
	uint64_t record;
	uint64_t from, to;
	struct vnum number;
	struct record_write write; /* into the truth of its first record */
};

/* An open transaction that reads. */
struct reader {
	uint8_t id[16];
	uint64_t instance;
	uint32_t worker;
};

struct sim {
	struct bed bed;
	struct log_fake kept;
	struct keep *keep;
	struct truth truth[LOGS][RECORDS_MAX];
	uint64_t truths[LOGS];
	struct checkpoint *valid[2], *making; /* newest first; NULL: none */
	enum walking walking;
	uint32_t next; /* worker to ask */
	uint64_t cursor;
	struct moving move[MOVES_MAX]; /* copies whose moves wait; moves_done: of how many before */
	uint32_t moves;
	uint64_t moves_done;
	struct reader reader[OPEN_MAX];
	uint32_t readers;
	struct bed_answer answers[ANSWERS];
	uint32_t answer;
	uint64_t seed, random;
	uint32_t step, life; /* steps between restarts */
	uint64_t commits, checkpoints, copied, cleaned, restarts, restarts_older;
};

#define CHECK(s, good, what)                                                                       \
	do {                                                                                       \
		if (!(good))                                                                       \
			fail(s, what, __LINE__);                                                   \
	} while (0)

static void fail(const struct sim *s, const char *what, int line)
{
	printf("not ok 1 - seed %" PRIu64 " step %u: %s (line %d)\n", s->seed, s->step, what, line);
	fflush(stdout);
	exit(1);
}

static uint32_t below(struct sim *s, uint32_t n)
{
	s->random = s->random * 6364136223846793005ull + 1442695040888963407ull;
	return (uint32_t)((s->random >> 33) % n);
}

static struct log_fake *log_of(struct sim *s, uint32_t log)
{
	return log == KEPT ? &s->kept : &s->bed.log[log];
}

/* Copies what was appended since. */
static void truths_take(struct sim *s)
{
	for (uint32_t log = 0; log < LOGS; log++)
		for (; s->truths[log] < log_of(s, log)->count; s->truths[log]++) {
			const struct log_fake_record *r = &log_of(s, log)->records[s->truths[log]];
			struct truth *t = &s->truth[log][s->truths[log]];

			CHECK(s, s->truths[log] < RECORDS_MAX, "too many records");
			*t = (struct truth){.data = malloc(r->bytes), .bytes = r->bytes};
			CHECK(s, t->data, "no memory");
			memcpy(t->data, r->data, r->bytes);
		}
}

static void truths_cut(struct sim *s)
{
	for (uint32_t log = 0; log < LOGS; log++)
		while (s->truths[log] > log_of(s, log)->count)
			free(s->truth[log][--s->truths[log]].data);
}

/* Workers. */

static void key_name(uint32_t key, char name[8])
{
	snprintf(name, 8, "key%02u", key);
}

static void add_write(struct sim *s, struct packet *p)
{
	uint32_t key = below(s, 2) ? below(s, KEYS) : below(s, 3); /* some are written often */
	uint8_t value[VALUE_MAX];
	uint32_t bytes = below(s, 60);
	char name[8];

	key_name(key, name);
	if (below(s, 3) == 0) {
		packet_delete(p, name, 5);
		return;
	}
	if (key >= KEYS - LARGE_KEYS && below(s, 3))
		bytes = VERSION_INLINE_BYTES + 1 + below(s, VALUE_MAX - VERSION_INLINE_BYTES);
	for (uint32_t i = 0; i < bytes; i++)
		value[i] = (uint8_t)below(s, 256);
	packet_put(p, name, 5, value, bytes);
}

static void commit(struct sim *s)
{
	uint32_t worker = below(s, WORKERS), writes = 1 + below(s, 3);
	bool aborts = below(s, 12) == 0;
	struct packet p;
	uint8_t id[16];

	bed_id(&s->bed, worker, id);
	packet_begin(&p, id, 0, 0, 0, 0, ABAFT_FLAG_OPEN);
	for (uint32_t i = 0; i < writes && !aborts; i++)
		add_write(s, &p);
	if (aborts)
		packet_abort(&p);
	else
		packet_commit(&p);
	packet_finish(&p);
	CHECK(s, !p.cut, "a packet that does not hold its writes");
	bed_send(&s->bed, worker, &p, &s->answers[s->answer++ % ANSWERS]);
	truths_take(s);
	s->commits++;
}

/* Reads small keys, now and then in a transaction that stays open and holds versions. */
static void read_some(struct sim *s)
{
	struct bed_answer answer;
	struct reader *r;
	struct packet p;
	char name[8];
	bool opens = s->readers < OPEN_MAX && below(s, 2);

	if (s->seed % 2 || (!opens && s->readers == 0)) /* without them versions leave at once */
		return;
	r = &s->reader[opens ? s->readers : below(s, s->readers)];
	if (opens) {
		s->readers++;
		r->worker = below(s, WORKERS);
		bed_id(&s->bed, r->worker, r->id);
	}
	packet_begin(&p, r->id, opens ? 0 : r->instance, 0, 0, s->step,
		     opens ? ABAFT_FLAG_OPEN : 0);
	key_name(below(s, KEYS - LARGE_KEYS), name);
	packet_get(&p, name, 5, 0);
	packet_finish(&p);
	bed_run(&s->bed, r->worker, &p, &answer);
	if (opens)
		r->instance = bed_instance(&answer);
	if (below(s, 3) == 0) /* its client is gone; a deadline ends it */
		*r = s->reader[--s->readers];
}

static void advance(struct sim *s)
{
	uint32_t kind = below(s, 30);

	bed_advance_us(&s->bed, kind < 2 ? 1200000 : kind == 2 ? 40000000 : below(s, 4000));
	if (below(s, 40) == 0) /* the wall clock jumps back; numbers must not */
		s->bed.now.wall_us -= below(s, 3000000);
	for (uint32_t i = below(s, 4); i > 0; i--) {
		bed_advance_us(&s->bed, 1000);
		for (uint32_t w = 0; w < WORKERS; w++)
			bed_tick(&s->bed, w);
	}
}

/* The keeper: checkpoints. */

static void prepare(struct sim *s)
{
	s->making = calloc(1, sizeof(*s->making));
	CHECK(s, s->making, "no memory");
	keep_walk_prepare(s->keep);
	s->walking = MARKS;
	s->next = 0;
}

static void mark(struct sim *s)
{
	struct checkpoint *c = s->making;

	if (s->next < WORKERS) { /* what is durable was told to the node: it is visible */
		uint64_t time = node_time(s->bed.node[s->next]);

		c->mark[s->next] = s->bed.log[s->next].durable;
		c->time = time > c->time ? time : c->time;
		s->next++;
		return;
	}
	c->mark[KEPT] = s->moves_done;
	keep_walk_begin(s->keep);
	s->walking = WALK;
	s->cursor = 0;
}

static void walk(struct sim *s)
{
	struct checkpoint *c = s->making;
	bool ended;

	keep_begin(s->keep);
	c->entries_bytes +=
		keep_walk(s->keep, &s->cursor, 1 + below(s, 30), c->entries + c->entries_bytes,
			  ENTRIES_MAX - c->entries_bytes, &ended);
	keep_end(s->keep);
	if (!ended)
		return;
	keep_walk_end(s->keep);
	s->walking = OUTCOMES;
	s->next = 0;
	s->cursor = 0;
}

static void outcomes(struct sim *s)
{
	struct checkpoint *c = s->making;
	uint64_t horizon;
	uint32_t bytes;

	if (s->next < WORKERS) {
		bytes = node_snapshot_outcomes(s->bed.node[s->next], &s->cursor,
					       c->outcomes + c->outcomes_bytes,
					       (1 + below(s, 60)) * SNAPSHOT_OUTCOME_BYTES);
		c->outcomes_bytes += bytes;
		CHECK(s, c->outcomes_bytes <= OUTCOMES_MAX / 2, "too many outcomes");
		if (bytes > 0)
			return;
		horizon = node_horizon_ms(s->bed.node[s->next]);
		c->horizon_ms = horizon > c->horizon_ms ? horizon : c->horizon_ms;
		s->next++;
		s->cursor = 0;
		return;
	}
	free(s->valid[1]);
	s->valid[1] = s->valid[0];
	s->valid[0] = c;
	s->making = NULL;
	s->walking = REST;
	s->checkpoints++;
}

static void checkpoint_step(struct sim *s)
{
	switch (s->walking) {
	case REST:
		if (below(s, 4) == 0)
			prepare(s);
		break;
	case MARKS:
		mark(s);
		break;
	case WALK:
		walk(s);
		break;
	case OUTCOMES:
		outcomes(s);
		break;
	}
}

/* The keeper: cleaning. Every record is a segment of its own. */

static void copy(struct sim *s, const struct record *record, const struct record_write *write,
		 uint64_t place)
{
	struct node_log ops = log_fake_ops(&s->kept);
	struct record_write copied = *write;
	uint32_t bytes = record_kept_bytes(&copied, 1);
	uint64_t at;

	if (s->moves == MOVES_MAX)
		return;
	record_kept_encode(ops.reserve(ops.log, bytes), record->id, record->number, &copied, 1);
	s->move[s->moves++] =
		(struct moving){.record = ops.append(ops.log, bytes, RECORD_KEPT, &at),
				.from = place,
				.number = record->number,
				.write = *write};
	s->move[s->moves - 1].to = at + copied.offset;
	truths_take(s);
	s->copied++;
}

static bool copying(const struct sim *s, uint64_t place)
{
	for (uint32_t i = 0; i < s->moves; i++)
		if (s->move[i].from == place)
			return true;
	return false;
}

/* Copies what is live in a record before the older checkpoint's marks (Q1, Q2); overwrites it when
 * nothing is (Q3). */
static void clean(struct sim *s)
{
	uint32_t log = below(s, LOGS);
	struct log_fake_record *r;
	struct record_write write;
	struct record record;
	struct truth *t;
	bool live = false;
	uint64_t i;

	if (!s->valid[1] || s->valid[1]->mark[log] == 0)
		return;
	i = below(s, (uint32_t)s->valid[1]->mark[log]);
	r = &log_of(s, log)->records[i];
	t = &s->truth[log][i];
	if (t->gone || !record_open(&record, r->type, t->data, t->bytes))
		return;
	keep_begin(s->keep);
	for (uint32_t n = record.writes; n > 0 && record_next(&record, &write); n--) {
		uint64_t place = r->place + write.offset;

		if (!keep_live(s->keep, place, record.number, &write))
			continue;
		live = true;
		if (!copying(s, place))
			copy(s, &record, &write, place);
	}
	keep_end(s->keep);
	if (live)
		return;
	memset(r->data, 0xee, r->bytes);
	t->gone = true;
	s->cleaned++;
}

/* Some copies become durable; then their writes move, in order. */
static void move(struct sim *s)
{
	uint64_t durable = log_fake_sync(&s->kept, 1 + below(s, 4));
	uint32_t n = 0;

	keep_begin(s->keep);
	for (; n < s->moves && s->move[n].record <= durable && below(s, 8); n++) {
		const struct moving *m = &s->move[n];

		keep_move(s->keep, m->number, &m->write, m->from, m->to);
		s->moves_done = m->record;
	}
	keep_end(s->keep);
	s->moves -= n;
	memmove(s->move, s->move + n, s->moves * sizeof(*s->move));
}

/* Restarts. */

static void kill_node(struct sim *s)
{
	for (uint32_t w = 0; w < WORKERS; w++) /* what was written, and not told any more */
		log_fake_sync(&s->bed.log[w], below(s, 3));
	log_fake_sync(&s->kept, below(s, 3));
	keep_destroy(s->keep);
	bed_crash(&s->bed);
	log_fake_crash(&s->kept);
	truths_cut(s);
	free(s->making);
	s->making = NULL;
	s->walking = REST;
	s->moves = 0;
	s->moves_done = s->kept.count; /* what recovery applies is done */
	s->readers = 0;
	CHECK(s, keep_create(&s->keep, s->bed.store) == 0, "no memory");
}

static void recover_kept(struct sim *s, uint64_t i)
{
	const struct log_fake_record *r = &s->kept.records[i];

	CHECK(s,
	      node_recover(s->bed.node, WORKERS, ABAFT_LOG_KEPT, r->type, r->place, r->data,
			   r->bytes) == 0,
	      "a kept record is refused");
}

/* All logs at once from their marks on, at any pace, each in its order; records come twice. */
static void recover_tails(struct sim *s, const uint64_t mark[LOGS])
{
	uint64_t next[LOGS], left = WORKERS;

	memcpy(next, mark, sizeof(next));
	while (left > 0 || next[KEPT] < s->kept.count) {
		uint32_t log = below(s, LOGS);
		const struct log_fake *fake = log_of(s, log);
		uint64_t i = next[log];

		if (i > fake->count || (log == KEPT && i == fake->count))
			continue;
		if (i > mark[log] && below(s, 4) == 0)
			i = mark[log] + below(s, (uint32_t)(i - mark[log]));
		else
			next[log]++;
		if (log == KEPT)
			recover_kept(s, i);
		else if (i < fake->count)
			CHECK(s,
			      node_recover(s->bed.node, WORKERS, log, fake->records[i].type,
					   fake->records[i].place, fake->records[i].data,
					   fake->records[i].bytes) == 0,
			      "a record is refused");
		else
			node_recover_end(s->bed.node, log);
		left -= log != KEPT && i == fake->count;
		s->bed.store->restore.sweep_at = below(s, 4);
	}
	while (s->kept.count > mark[KEPT] && below(s, 3)) /* and once more, in any order */
		recover_kept(s, mark[KEPT] + below(s, (uint32_t)(s->kept.count - mark[KEPT])));
}

static void load(struct sim *s, const struct checkpoint *c)
{
	struct node **nodes = s->bed.node;

	CHECK(s, node_restore_keys(nodes, WORKERS, c->entries, c->entries_bytes) == 0, "keys");
	CHECK(s, node_restore_outcomes(nodes, WORKERS, c->outcomes, c->outcomes_bytes) == 0,
	      "outcomes");
	node_restore_time(nodes, WORKERS, c->time);
	node_restore_horizon(nodes, WORKERS, c->horizon_ms);
}

/* The model: of each key the newest durable write. */
struct newest {
	struct vnum number;
	struct record_write write;
};

static void model_write(struct newest newest[KEYS], struct vnum number,
			const struct record_write *w)
{
	struct newest *n = &newest[(w->key[3] - '0') * 10 + w->key[4] - '0'];

	if (vnum_less(n->number, number))
		*n = (struct newest){.number = number, .write = *w};
}

static void check_outcome(struct sim *s, uint8_t type, const struct record *record)
{
	const struct node *node = s->bed.node[node_owner(record->id, WORKERS)];
	const struct outcome *o = outcome_find(&node->outcomes, record->id);
	uint64_t ms = (uint64_t)load_be32(record->id) << 16 | (uint64_t)record->id[4] << 8 |
		      record->id[5];

	if (!o) {
		CHECK(s, ms <= node_horizon_ms(node), "an outcome is lost");
		return;
	}
	CHECK(s, o->state == (type == RECORD_ABORT ? OUTCOME_ABORTED : OUTCOME_COMMITTED),
	      "another outcome");
	CHECK(s, vnum_equal(o->number, record->number), "an outcome's number");
}

static void model_make(struct sim *s, struct newest newest[KEYS])
{
	memset(newest, 0, KEYS * sizeof(*newest));
	for (uint32_t log = 0; log < WORKERS; log++)
		for (uint64_t i = 0; i < s->bed.log[log].count; i++) {
			uint8_t type = s->bed.log[log].records[i].type;
			struct record_write w;
			struct record record;

			CHECK(s,
			      record_open(&record, type, s->truth[log][i].data,
					  s->truth[log][i].bytes),
			      "a record of ours");
			check_outcome(s, type, &record);
			for (uint32_t n = record.writes; n > 0 && record_next(&record, &w); n--)
				model_write(newest, record.number, &w);
			for (uint32_t n = 0; n < WORKERS; n++) /* M3 */
				CHECK(s, node_time(s->bed.node[n]) >= record.number.time,
				      "a clock is behind");
		}
}

/* The bytes at a version's place are its write. */
static void check_place(struct sim *s, uint64_t place, const struct record_write *w)
{
	uint32_t number = place_log(place);
	const struct log_fake *fake = log_of(s, number == ABAFT_LOG_KEPT ? KEPT : number);
	uint64_t at = (uint64_t)place_segment(place) * LOG_FAKE_SEGMENT_BYTES +
		      place_offset(place) - LOG_FAKE_FIRST_BYTES;
	const uint8_t *p = fake->space + at;

	CHECK(s, number == ABAFT_LOG_KEPT || number < WORKERS, "a place in no log");
	CHECK(s, at < fake->used, "a place behind the log's end");
	CHECK(s, load_le16(p) == w->key_bytes && p[2] == w->kind && load_le32(p + 4) == w->bytes,
	      "another write at the place");
	CHECK(s,
	      memcmp(p + 8, w->key, w->key_bytes) == 0 &&
		      (w->bytes == 0 || memcmp(p + 8 + w->key_bytes, w->value, w->bytes) == 0),
	      "other bytes at the place");
}

static void check_version(struct sim *s, const struct newest *n, struct version *v)
{
	const uint8_t *value = version_value(v);

	CHECK(s, vnum_equal(v->number, n->number), "not the newest");
	CHECK(s, v->bytes == n->write.bytes && v->kind == VERSION_VALUE, "not the write");
	CHECK(s, value || v->bytes == 0 || version_is_large(v), "a small value is cold");
	if (value)
		CHECK(s, memcmp(value, n->write.value, v->bytes) == 0, "not the value");
	if (version_is_large(v))
		CHECK(s, version_large(v)->crc == crc32c(n->write.value, v->bytes), "not the sum");
	check_place(s, atomic_load(&v->place), &n->write);
}

static void check_all(struct sim *s)
{
	const struct store *store = s->bed.store;
	struct newest newest[KEYS];
	uint64_t keys = 0, live = 0;

	model_make(s, newest);
	for (uint32_t k = 0; k < KEYS; k++) {
		const struct newest *n = &newest[k];
		const struct key *key;
		char name[8];

		key_name(k, name);
		key = index_find(&store->index, index_id(&store->index, (uint8_t *)name, 5),
				 (uint8_t *)name, 5);
		if (n->number.time == 0 || n->write.kind == VERSION_TOMBSTONE) {
			CHECK(s, !key, "a deleted key is back");
			continue;
		}
		CHECK(s, key, "a key is lost");
		CHECK(s, key->versions == 1, "older versions are left");
		check_version(s, n, atomic_load(&key->newest));
		keys++;
		live += space_bytes(key->bytes, n->write.bytes);
	}
	CHECK(s, atomic_load(&store->index.keys) == keys, "keys of nobody");
	CHECK(s, space_total(&store->space) == live, "live bytes");
}

static void restart(struct sim *s)
{
	static const uint64_t beginning[LOGS];
	struct checkpoint *c = s->valid[0];

	kill_node(s);
	if (c && s->valid[1] && below(s, 4) == 0) { /* the newest is damaged */
		c = s->valid[1];
		free(s->valid[0]);
		s->valid[0] = c;
		s->valid[1] = NULL;
		s->restarts_older++;
	}
	if (s->cleaned == 0 && below(s, 4) == 0) { /* all are */
		free(s->valid[0]);
		free(s->valid[1]);
		s->valid[0] = s->valid[1] = c = NULL;
	}
	node_recover_begin(s->bed.node, (1u << WORKERS) - 1);
	if (c)
		load(s, c);
	recover_tails(s, c ? c->mark : beginning);
	node_recovered(s->bed.node, WORKERS);
	check_all(s);
	s->restarts++;
	if (below(s, 3) == 0) /* the machine's clock is wrong now */
		s->bed.now.wall_us -= below(s, 20000000);
}

static void step(struct sim *s)
{
	uint32_t kind = below(s, 100);

	if (below(s, s->life) == 0)
		restart(s);
	else if (kind < 24)
		commit(s);
	else if (kind < 38)
		bed_durable(&s->bed, below(s, WORKERS), 1 + below(s, 4));
	else if (kind < 45)
		read_some(s);
	else if (kind < 55)
		advance(s);
	else if (kind < 75)
		checkpoint_step(s);
	else if (kind < 90)
		clean(s);
	else
		move(s);
}

/* The store's memory is used again as it is, not zeroed: nothing may rely on what a block holds. */
static void *spare;

static void *map(uint64_t bytes)
{
	void *memory = spare;

	if (bytes == MEMORY && memory) {
		spare = NULL;
		return memory;
	}
	memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (memory == MAP_FAILED)
		return NULL;
	madvise(memory, bytes, MADV_NOHUGEPAGE); /* little of it is touched */
	return memory;
}

static void unmap(void *memory, uint64_t bytes)
{
	if (bytes == MEMORY && !spare)
		spare = memory;
	else
		munmap(memory, bytes);
}

static void run(struct sim *s, uint64_t seed)
{
	memset(s, 0, sizeof(*s));
	s->seed = seed;
	s->random = seed * 0x9e3779b97f4a7c15ull + 1;
	s->life = 30 + below(s, 500);
	bed_defaults(&s->bed, WORKERS);
	s->bed.store_config.keys_max = 64;
	s->bed.store_config.memory_bytes = MEMORY;
	s->bed.store_config.cache_bytes = below(s, 2) ? 0 : 3 * below(s, 1000) + 1;
	s->bed.store_config.map = map;
	s->bed.store_config.unmap = unmap;
	s->bed.config.outcomes_max = below(s, 2) ? 20 : 512;
	s->bed.log_records = RECORDS_MAX;
	s->bed.log_bytes = 1u << 20;
	bed_open(&s->bed);
	CHECK(s, log_fake_init(&s->kept, RECORDS_MAX, 1u << 20) == 0, "no memory");
	s->kept.number = ABAFT_LOG_KEPT;
	CHECK(s, keep_create(&s->keep, s->bed.store) == 0, "no memory");
	for (s->step = 0; s->step < STEPS; s->step++)
		step(s);
	restart(s);
	keep_destroy(s->keep);
	bed_close(&s->bed);
	log_fake_fini(&s->kept);
	s->kept.count = 0;
	for (uint32_t w = 0; w < WORKERS; w++)
		s->bed.log[w].count = 0;
	truths_cut(s);
	free(s->making);
	free(s->valid[0]);
	free(s->valid[1]);
}

int main(int argc, char **argv)
{
	uint64_t first = argc > 1 ? strtoull(argv[1], NULL, 0) : 1;
	uint64_t count = argc > 2 ? strtoull(argv[2], NULL, 0) : argc > 1 ? 1 : 1000;
	uint64_t commits = 0, checkpoints = 0, copied = 0, cleaned = 0, restarts = 0, older = 0;
	struct sim *s = malloc(sizeof(*s));

	if (!s)
		return 1;
	printf("1..1\n");
	for (uint64_t seed = first; seed < first + count; seed++) {
		run(s, seed);
		commits += s->commits;
		checkpoints += s->checkpoints;
		copied += s->copied;
		cleaned += s->cleaned;
		restarts += s->restarts;
		older += s->restarts_older;
	}
	free(s);
	munmap(spare, MEMORY);
	printf("ok 1 - seeds %" PRIu64 " to %" PRIu64 ": %" PRIu64 " commits, %" PRIu64
	       " checkpoints, %" PRIu64 " writes copied, %" PRIu64 " records cleaned, %" PRIu64
	       " restarts, %" PRIu64 " from the older checkpoint\n",
	       first, first + count - 1, commits, checkpoints, copied, cleaned, restarts, older);
	return 0;
}
