/* SPDX-License-Identifier: Apache-2.0 */
/*
 * index_player.c - see index_player.h.
 */
#include "tests/lib/index_player.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <abaft/limits.h>

#include "dataplane/core/lock.h"

#define RETIRED_MAX 512
#define BATCH_STEPS 8 /* in one epoch section */
#define WALK_ONE_IN 4096
#define LOGS	    2
#define SEGMENTS    8

/* Which of the keys are crowded, of sixteen. */
enum { SAME_BUCKET = 14, SAME_ID = 15 };

struct retired {
	void *block;
	uint32_t bytes;
};

static uint32_t below(struct player *p, uint32_t n)
{
	p->random = p->random * 6364136223846793005ull + 1442695040888963407ull;
	return (uint32_t)(p->random >> 33) % n;
}

static bool wrong(struct player *p, const char *what, uint64_t a, uint64_t b)
{
	if (!p->failure[0])
		snprintf(p->failure, sizeof(p->failure),
			 "player %u, seed %" PRIu64 ", step %" PRIu64 ": %s (%" PRIu64 ", %" PRIu64
			 ")",
			 p->number, p->seed, p->steps, what, a, b);
	return false;
}

struct player_key *player_names(const struct index *index, uint32_t keys)
{
	struct player_key *all = calloc(keys, sizeof(*all));

	if (!all)
		abort();
	for (uint32_t i = 0; i < keys; i++) {
		struct player_key *k = &all[i];

		k->bytes = (uint32_t)snprintf((char *)k->name, sizeof(k->name), "key %u%s", i,
					      i % 3 ? "" : " of a longer name");
		k->id = index_id(index, k->name, k->bytes);
		if (i % 16 == SAME_BUCKET)
			k->id = (struct key_id){.lo = i / 16 % 8 | (uint64_t)i << 40, .hi = i};
		if (i / 16 % 8 == 0 && i % 16 == SAME_ID)
			k->id = (struct key_id){.lo = 7 | UINT64_C(1) << 50, .hi = 7};
	}
	return all;
}

void player_open(struct player *p)
{
	uint32_t own = p->keys / p->players;

	p->random = p->seed * 0x9e3779b97f4a7c15ull + p->number + 1;
	p->clock = 1000;
	memory_cache_init(&p->cache, p->memory);
	p->key = calloc(own, sizeof(*p->key));
	p->commit = calloc(1, commit_bytes(1));
	p->retired = calloc(RETIRED_MAX, sizeof(*p->retired));
	if (!p->key || !p->commit || !p->retired)
		abort();
	for (uint32_t i = 0; i < own; i++)
		p->key[i] = p->all[i * p->players + p->number];
	atomic_store(&p->commit->published, 1);
	ck_epoch_register(p->epoch, &p->record, NULL);
}

/* Nobody can stand on what was retired before: readers of now began after it had left. */
static void retired_free(struct player *p)
{
	ck_epoch_synchronize(&p->record);
	LOCK_ACQUIRED(p->epoch);
	for (uint32_t i = 0; i < p->retired_count; i++) {
		memset(p->retired[i].block, 0xdd, p->retired[i].bytes);
		memory_free(&p->cache, p->retired[i].block, p->retired[i].bytes);
	}
	p->retired_count = 0;
}

static void retire(struct player *p, void *block, size_t bytes)
{
	p->retired[p->retired_count++] = (struct retired){.block = block, .bytes = (uint32_t)bytes};
}

static uint64_t place_any(struct player *p)
{
	if (below(p, 5) == 0)
		return PLACE_NONE;
	return place_make(below(p, LOGS), below(p, SEGMENTS), 64 + below(p, 1u << 20));
}

/* What counts for the space: versions with a place. */
static uint64_t space_of(const struct player_key *k, const struct player_version *v)
{
	return v->place == PLACE_NONE ? 0 : space_bytes(k->bytes, 0);
}

static void table_remove(struct player *p, struct player_key *k, uint32_t at)
{
	p->live_bytes -= space_of(k, &k->version[at]);
	k->count--;
	p->present -= k->count == 0;
	memmove(&k->version[at], &k->version[at + 1], (k->count - at) * sizeof(k->version[0]));
}

/* The chain is the table's, and sorted (I2). */
static bool check_key(struct player *p, const struct player_key *k, const struct key *key)
{
	const struct version *v;
	uint32_t n = 0;

	if (!key)
		return k->count == 0 || wrong(p, "a key is missing", k->count, 0);
	if (k->count == 0)
		return wrong(p, "a key is there that was taken out", key->versions, 0);
	if (key->versions != k->count || key->bytes != k->bytes ||
	    memcmp(key->data, k->name, k->bytes) != 0 || !key_id_equal(key->id, k->id))
		return wrong(p, "a key is another one", key->versions, k->count);
	for (v = atomic_load(&key->newest); v; v = atomic_load(&v->older), n++) {
		if (n == k->count || v != k->version[n].version || v->key != key ||
		    !vnum_equal(v->number, k->version[n].number))
			return wrong(p, "a chain is not what was linked", n, k->count);
		if (atomic_load(&v->place) != k->version[n].place)
			return wrong(p, "a version has another place", v->place,
				     k->version[n].place);
	}
	return n == k->count || wrong(p, "a chain is too short", n, k->count);
}

static bool step_find(struct player *p, struct player_key *k)
{
	const struct key *found = index_find(p->index, k->id, k->name, k->bytes);
	const struct key *peeked = index_peek(p->index, k->id);

	if (peeked && ((peeked->id.lo ^ k->id.lo) >> 48) != 0)
		return wrong(p, "peeked at another tag", peeked->id.lo, k->id.lo);
	return check_key(p, k, found);
}

/* Whoever's it is: if a key is found, it is the one that was asked for. */
static bool step_foreign(struct player *p)
{
	const struct player_key *k = &p->all[below(p, p->keys)];
	const struct key *key = index_find(p->index, k->id, k->name, k->bytes);
	uint64_t last = UINT64_MAX;
	const struct version *v;

	if (!key)
		return true;
	if (key->bytes != k->bytes || memcmp(key->data, k->name, k->bytes) != 0)
		return wrong(p, "found another key", key->bytes, k->bytes);
	for (v = atomic_load_explicit(&key->newest, memory_order_acquire); v;
	     v = atomic_load_explicit(&v->older, memory_order_acquire)) {
		if (v->number.time > last)
			return wrong(p, "a chain is not sorted", v->number.time, last);
		if (!version_published(v))
			return wrong(p, "a version's commit is not there", v->number.time, 0);
		last = v->number.time;
	}
	return true;
}

/* Slots of the bucket's chain that are empty, and whether it can get longer. */
static bool slot_there(const struct index *index, struct key_id id)
{
	const struct bucket *b = &index->buckets[id.lo & index->mask];

	for (; b; b = atomic_load(&b->overflow))
		for (uint32_t i = 0; i < INDEX_SLOTS; i++)
			if (!atomic_load(&b->slot[i]))
				return true;
	return atomic_load(&index->spares_used) < index->spares;
}

static int link_expected(const struct player *p, const struct player_key *k)
{
	if (k->count > 0)
		return 0;
	return atomic_load(&p->index->keys) >= p->index->keys_max || !slot_there(p->index, k->id)
		       ? -ENOSPC
		       : 0;
}

/* Mostly the newest, sometimes in between or the oldest; always a number of its own. */
static struct vnum number_any(struct player *p, const struct player_key *k)
{
	struct vnum number = {.time = p->clock += 10, .origin = p->number};

	if (k->count > 0 && below(p, 4) == 0) {
		number = k->version[below(p, k->count)].number;
		number.time -= 1 + below(p, 9);
		for (uint32_t i = 0; i < k->count; i++)
			if (vnum_equal(k->version[i].number, number))
				number.time = p->clock;
	}
	return number;
}

static bool step_link(struct player *p, struct player_key *k)
{
	struct version *v;
	struct player_version *row;
	int expected = link_expected(p, k), err;
	uint32_t at = 0;

	if (k->count == PLAYER_VERSIONS)
		return true;
	v = memory_alloc(&p->cache, sizeof(*v));
	if (!v)
		return wrong(p, "no memory", p->cache.bytes_used, 0);
	memset(v, 0, sizeof(*v));
	v->number = number_any(p, k);
	v->kind = below(p, 3) ? VERSION_VALUE : VERSION_TOMBSTONE;
	v->commit = p->commit;
	v->slot = VERSION_NO_SLOT;
	atomic_store_explicit(&v->place, place_any(p), memory_order_relaxed);
	err = index_link(p->index, &p->cache, k->id, k->name, k->bytes, v);
	if (p->alone && err != expected)
		return wrong(p, "a link ended otherwise", (uint64_t)-err, (uint64_t)-expected);
	if (err) {
		p->refused_buckets += atomic_load(&p->index->keys) < p->index->keys_max;
		p->refused_keys += atomic_load(&p->index->keys) >= p->index->keys_max;
		memory_free(&p->cache, v, sizeof(*v));
		return err == -ENOSPC || wrong(p, "a link failed", (uint64_t)-err, 0);
	}
	while (at < k->count && vnum_less(v->number, k->version[at].number))
		at++;
	row = &k->version[at];
	memmove(row + 1, row, (k->count - at) * sizeof(*row));
	*row = (struct player_version){v, v->number, atomic_load(&v->place), v->kind};
	p->present += k->count++ == 0;
	space_add(p->index->space, row->place, space_bytes(k->bytes, 0));
	p->live_bytes += space_of(k, row);
	return true;
}

static bool step_unlink(struct player *p, struct player_key *k)
{
	uint32_t at = k->count > 0 ? below(p, k->count) : 0;
	struct version *v = k->version[at].version;
	struct key *key;

	if (k->count == 0)
		return true;
	key = v->key;
	table_remove(p, k, at);
	if (index_unlink(p->index, v) != (k->count == 0))
		return wrong(p, "the last version is another one", k->count, 0);
	retire(p, v, sizeof(*v));
	if (k->count == 0)
		retire(p, key, sizeof(*key) + key->bytes);
	return true;
}

static bool step_unlink_key(struct player *p, struct player_key *k)
{
	struct version *v = k->version[0].version;
	struct key *key;

	if (k->count == 0 || v->kind != VERSION_TOMBSTONE)
		return true;
	key = v->key;
	if (index_unlink_key(p->index, v) != (k->count == 1))
		return wrong(p, "a tombstone went, or stayed", k->count, 0);
	if (k->count > 1)
		return true;
	p->removed = v->number.time > p->removed ? v->number.time : p->removed;
	if (atomic_load(&p->index->removed) < p->removed)
		return wrong(p, "what left was not noted", p->index->removed, p->removed);
	table_remove(p, k, 0);
	retire(p, v, sizeof(*v));
	retire(p, key, sizeof(*key) + key->bytes);
	return true;
}

/* In the index's words nobody reads meanwhile: by players that are alone. */
static bool step_prune(struct player *p, struct player_key *k)
{
	struct version *v, *next;
	uint32_t left = k->count;

	if (!p->alone)
		return true;
	for (v = index_prune(p->index, k->id, k->name, k->bytes); v; v = next) {
		next = v->newer;
		if (left < 2)
			return wrong(p, "pruned too much", left, k->count);
		left--;
		retire(p, v, sizeof(*v));
	}
	if (left != (k->count > 0))
		return wrong(p, "pruned too little", left, k->count);
	while (k->count > 1)
		table_remove(p, k, k->count - 1);
	return true;
}

/* With the right place, a wrong one, or a number that is not there. */
static bool step_move(struct player *p, struct player_key *k)
{
	uint32_t at = k->count > 0 ? below(p, k->count) : 0, kind = below(p, 4);
	struct player_version *row = &k->version[at];
	struct vnum number = row->number;
	uint64_t from = row->place, to = place_make(below(p, LOGS), below(p, SEGMENTS), 4096);
	bool moved;

	if (k->count == 0)
		number = (struct vnum){.time = 1};
	if (kind == 0)
		from ^= 1;
	if (kind == 1)
		number.origin += 100;
	moved = index_move(p->index, k->id, k->name, k->bytes, number, from, to);
	if (moved != (k->count > 0 && kind > 1))
		return wrong(p, "moved, or not", moved, kind);
	if (moved) {
		p->live_bytes -= space_of(k, row);
		row->place = to;
		p->live_bytes += space_of(k, row);
	}
	return true;
}

/* Its number stands in its name. */
static uint32_t number_of(const struct key *key)
{
	uint32_t number = 0;

	for (uint32_t i = 4; i < key->bytes && key->data[i] >= '0' && key->data[i] <= '9'; i++)
		number = number * 10 + key->data[i] - '0';
	return number;
}

/* No chain ends with an empty bucket, and none is lost. */
static bool check_spares(struct player *p)
{
	uint64_t count = 0;

	for (uint64_t i = 0; i <= p->index->mask; i++)
		for (const struct bucket *b = atomic_load(&p->index->buckets[i].overflow), *next; b;
		     b = next, count++) {
			uint32_t used = 0;

			next = atomic_load(&b->overflow);
			for (uint32_t k = 0; k < INDEX_SLOTS; k++)
				used += atomic_load(&b->slot[k]) != 0;
			if (!next && used == 0)
				return wrong(p, "an empty bucket is kept", i, count);
		}
	return count == atomic_load(&p->index->spares_used) ||
	       wrong(p, "spare buckets are lost", count, p->index->spares_used);
}

/* Each own key once, no other one of ours; alone: and as many as the index counts. */
static bool step_walk(struct player *p)
{
	uint64_t cursor = 0, seen = 0, count = 0;
	const struct key *key;

	while ((key = index_walk(p->index, &cursor, UINT64_MAX))) {
		uint32_t i = number_of(key);

		count++;
		if (i >= p->keys)
			return wrong(p, "walked over a key of nobody", i, 0);
		if (i % p->players != p->number)
			continue;
		if (!check_key(p, &p->key[i / p->players], key))
			return false;
		seen++;
	}
	if (p->alone && !check_spares(p))
		return false;
	if (seen != p->present)
		return wrong(p, "a walk found a wrong number of keys", seen, p->present);
	if (p->alone && count != atomic_load(&p->index->keys))
		return wrong(p, "the index counts wrong", p->index->keys, count);
	if (p->alone && space_total(p->index->space) != p->live_bytes)
		return wrong(p, "live bytes are miscounted", space_total(p->index->space),
			     p->live_bytes);
	return true;
}

/* A step's likelihood changes with time: the table fills up and empties again. */
static enum player_op op_any(struct player *p)
{
	uint32_t fill = p->steps >> 16 & 1 ? 20 : 50, n = below(p, 100);

	if (below(p, WALK_ONE_IN) == 0)
		return PLAYER_WALK;
	if (n < fill)
		return PLAYER_LINK;
	n = (n - fill) * 100 / (100 - fill);
	if (n < 45)
		return PLAYER_UNLINK;
	if (n < 55)
		return PLAYER_UNLINK_KEY;
	if (n < 58)
		return PLAYER_PRUNE;
	if (n < 66)
		return PLAYER_MOVE;
	return n < 85 ? PLAYER_FIND : PLAYER_FOREIGN;
}

static bool play(struct player *p, enum player_op op)
{
	struct player_key *k = &p->key[below(p, p->keys / p->players)];

	switch (op) {
	case PLAYER_FIND:
		return step_find(p, k);
	case PLAYER_LINK:
		return step_link(p, k);
	case PLAYER_UNLINK:
		return step_unlink(p, k);
	case PLAYER_UNLINK_KEY:
		return step_unlink_key(p, k);
	case PLAYER_PRUNE:
		return step_prune(p, k);
	case PLAYER_MOVE:
		return step_move(p, k);
	case PLAYER_WALK:
		return step_walk(p);
	case PLAYER_FOREIGN:
	case PLAYER_OPS:
		break;
	}
	return step_foreign(p);
}

bool player_step(struct player *p)
{
	bool good = true;

	ck_epoch_begin(&p->record, NULL);
	for (uint32_t i = 0; i < BATCH_STEPS && good; i++) {
		enum player_op op = op_any(p);

		p->steps++;
		p->done[op]++;
		good = play(p, op);
	}
	LOCK_RELEASED(p->epoch);
	ck_epoch_end(&p->record, NULL);
	if (p->retired_count + BATCH_STEPS * (PLAYER_VERSIONS + 1) > RETIRED_MAX)
		retired_free(p);
	return good;
}

void player_close(struct player *p)
{
	for (uint32_t i = 0; i < p->keys / p->players && !p->failure[0]; i++) {
		while (p->key[i].count > 0 && step_unlink(p, &p->key[i]))
			if (p->retired_count + 2 > RETIRED_MAX)
				retired_free(p);
		if (index_find(p->index, p->key[i].id, p->key[i].name, p->key[i].bytes))
			wrong(p, "a key is there in the end", i, 0);
	}
	retired_free(p);
	if (p->present != 0 || p->live_bytes != 0)
		wrong(p, "the table does not add up", p->present, p->live_bytes);
	memory_cache_flush(&p->cache);
	ck_epoch_unregister(&p->record);
	free(p->key);
	free(p->commit);
	free(p->retired);
}
