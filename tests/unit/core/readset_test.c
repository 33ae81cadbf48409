/* SPDX-License-Identifier: Apache-2.0 */
/* readset_test.c - A1 to A7 on chains made by hand. Keys are a, b, c, ...; times are commits. */
#include "tests/unit/core/region.h"

#include <abaft/limits.h>

#include "dataplane/core/readset.h"

#define KEYS 6

/* Every key's chain, newest first. */
struct world {
	struct region region;
	struct key key[KEYS];
	struct commit *commits[32];
	struct version *versions[64];
	uint32_t commits_n, versions_n;
	struct readset reads;
};

static struct key_id id_of(uint32_t k)
{
	return (struct key_id){.lo = 1000 + k, .hi = k % 4}; /* some share a bit of the bloom */
}

static void world_open(struct world *w)
{
	memset(w, 0, sizeof(*w));
	region_open(&w->region, 4);
	readset_init(&w->reads);
	for (uint32_t k = 0; k < KEYS; k++)
		w->key[k].id = id_of(k);
}

static void world_close(struct world *w)
{
	readset_fini(&w->reads, &w->region.cache);
	for (uint32_t i = 0; i < w->versions_n; i++)
		free(w->versions[i]);
	for (uint32_t i = 0; i < w->commits_n; i++)
		free(w->commits[i]);
	region_close(&w->region);
}

static void chain_add(struct key *key, struct version *v)
{
	_Atomic(struct version *) *at = &key->newest;

	while (atomic_load(at) && vnum_less(v->number, atomic_load(at)->number))
		at = &atomic_load(at)->older;
	atomic_store(&v->older, atomic_load(at));
	atomic_store(at, v);
}

/* A commit of the keys named, visible in `era` (UINT64_MAX: not yet). */
static struct commit *commit_of(struct world *w, uint64_t time, const char *keys, uint64_t era)
{
	uint32_t n = (uint32_t)strlen(keys);
	struct commit *c = calloc(1, commit_bytes(n));

	assert_non_null(c);
	w->commits[w->commits_n++] = c;
	c->number = (struct vnum){time, 1};
	c->keys = n;
	atomic_store(&c->published, era + 1);
	for (uint32_t i = 0; i < n; i++) {
		struct key_id id = id_of((uint32_t)(keys[i] - 'a'));

		c->bloom |= key_id_bits(id);
		atomic_store(&c->key[i].lo, id.lo);
		c->key[i].hi = id.hi;
	}
	for (uint32_t i = 0; i < n; i++) {
		struct version *v = calloc(1, sizeof(*v));

		assert_non_null(v);
		w->versions[w->versions_n++] = v;
		v->commit = c;
		v->number = c->number;
		v->bloom = c->bloom;
		v->slot = (uint16_t)i;
		v->key = &w->key[keys[i] - 'a'];
		chain_add(v->key, v);
	}
	return c;
}

/* Reads the key as a node does; the time of the version, 0 for none. */
static uint64_t read_cut(struct world *w, char name, uint64_t cut)
{
	uint32_t k = (uint32_t)(name - 'a');
	const struct read *before = readset_find(&w->reads, id_of(k));
	const struct version *v;

	if (before)
		return before->number.time;
	v = readset_choose(&w->reads, id_of(k), atomic_load(&w->key[k].newest) ? &w->key[k] : NULL,
			   cut);
	assert_int_equal(readset_add(&w->reads, &w->region.cache, id_of(k), v), 0);
	return v ? v->number.time : 0;
}

static uint64_t read_key(struct world *w, char name)
{
	return read_cut(w, name, UINT64_MAX);
}

static void reads_the_newest_visible(void **state)
{
	struct world w;

	world_open(&w);
	commit_of(&w, 10, "a", 1);
	commit_of(&w, 20, "a", 1);
	commit_of(&w, 30, "a", UINT64_MAX);
	assert_int_equal(read_key(&w, 'a'), 20);
	assert_int_equal(read_key(&w, 'b'), 0);
	world_close(&w);
}

/* A2: after a of commit 20, b may not be older than 20. */
static void never_older_than_what_was_written_with_it(void **state)
{
	struct world w;

	world_open(&w);
	commit_of(&w, 10, "ab", 1);
	commit_of(&w, 20, "ab", 1);
	assert_int_equal(read_key(&w, 'a'), 20);
	assert_int_equal(read_key(&w, 'b'), 20);
	world_close(&w);
}

/* A3: a was read before commit 20 came; b of 20 would show half of it. */
static void never_newer_than_what_was_read_of_its_transaction(void **state)
{
	struct world w;

	world_open(&w);
	commit_of(&w, 10, "ab", 1);
	assert_int_equal(read_key(&w, 'a'), 10);
	commit_of(&w, 20, "ab", 1);
	commit_of(&w, 30, "b", 1);
	commit_of(&w, 40, "bac", 1);
	assert_int_equal(read_key(&w, 'b'), 30); /* 40 conflicts; 30 wrote no a */
	assert_int_equal(read_key(&w, 'c'), 0);
	world_close(&w);
}

static void walks_past_conflicts_to_what_fits(void **state)
{
	struct world w;

	world_open(&w);
	commit_of(&w, 10, "ab", 1);
	assert_int_equal(read_key(&w, 'a'), 10);
	for (uint64_t t = 20; t < 30; t++)
		commit_of(&w, t, "ab", 1);
	assert_int_equal(read_key(&w, 'b'), 10);
	world_close(&w);
}

/* A4: "none" is a version, older than all. */
static void a_key_read_as_none_stays_none(void **state)
{
	struct world w;

	world_open(&w);
	commit_of(&w, 10, "b", 1);
	assert_int_equal(read_key(&w, 'a'), 0);
	commit_of(&w, 20, "ab", 1);
	assert_int_equal(read_key(&w, 'a'), 0);
	assert_int_equal(read_key(&w, 'b'), 10);
	world_close(&w);
}

static void reads_repeat(void **state)
{
	struct world w;

	world_open(&w);
	commit_of(&w, 10, "a", 1);
	assert_int_equal(read_key(&w, 'a'), 10);
	commit_of(&w, 20, "a", 1);
	assert_int_equal(read_key(&w, 'a'), 10);
	assert_int_equal(w.reads.count, 1);
	world_close(&w);
}

/* A2 binds through any of the keys read, by the newest of their commits. */
static void the_highest_lower_bound_counts(void **state)
{
	struct world w;

	world_open(&w);
	commit_of(&w, 10, "ad", 1);
	commit_of(&w, 20, "bd", 1);
	commit_of(&w, 15, "cd", 1);
	assert_int_equal(read_key(&w, 'a'), 10);
	assert_int_equal(read_key(&w, 'b'), 20);
	assert_int_equal(read_key(&w, 'c'), 15);
	assert_int_equal(read_key(&w, 'd'), 20);
	world_close(&w);
}

/* A6: what is below the bound is not taken, even if nothing else is left. */
static void the_walk_stops_at_the_lower_bound(void **state)
{
	struct commit *late;
	struct world w;

	world_open(&w);
	commit_of(&w, 10, "b", 1);
	late = commit_of(&w, 20, "ab", 1);
	assert_int_equal(read_key(&w, 'a'), 20);
	atomic_store(&late->published, 0); /* cannot be; the bound must hold by itself */
	assert_int_equal(read_key(&w, 'b'), 0);
	world_close(&w);
}

/* A7: a cleared place binds in neither direction. */
static void cleared_places_bind_nobody(void **state)
{
	struct commit *c;
	struct world w;

	world_open(&w);
	c = commit_of(&w, 20, "ab", 1);
	atomic_store(&c->key[1].lo, 0);
	atomic_store(&w.key[1].newest, NULL);
	commit_of(&w, 10, "b", 1);
	assert_int_equal(read_key(&w, 'a'), 20);
	assert_int_equal(read_key(&w, 'b'), 10);
	world_close(&w);

	world_open(&w);
	c = commit_of(&w, 20, "ab", 1);
	atomic_store(&w.key[0].newest, NULL); /* a was deleted, and reclaimed */
	atomic_store(&c->key[0].lo, 0);
	assert_int_equal(read_key(&w, 'a'), 0);
	assert_int_equal(read_key(&w, 'b'), 20);
	world_close(&w);
}

/* R3: after the cut, later commits do not exist. */
static void a_frozen_reader_sees_no_commit_beyond_its_cut(void **state)
{
	struct world w;

	world_open(&w);
	commit_of(&w, 10, "ab", 4);
	commit_of(&w, 20, "a", 5);
	commit_of(&w, 30, "ab", 6);
	assert_int_equal(read_cut(&w, 'a', 5), 20);
	assert_int_equal(read_cut(&w, 'b', 5), 10);
	assert_int_equal(read_cut(&w, 'c', 5), 0);
	world_close(&w);
}

/* Two commits with equal times are ordered by their origins. */
static void origins_order_equal_times(void **state)
{
	struct commit *c;
	struct world w;

	world_open(&w);
	commit_of(&w, 10, "ab", 1);
	assert_int_equal(read_key(&w, 'a'), 10);
	c = commit_of(&w, 10, "abc", 1);
	c->number.origin = 2;
	for (uint32_t i = 0; i < w.versions_n; i++)
		if (w.versions[i]->commit == c)
			w.versions[i]->number.origin = 2;
	assert_int_equal(read_key(&w, 'c'), 0); /* of a newer commit that wrote a */
	world_close(&w);
}

static void grows_to_its_limit(void **state)
{
	struct world w;

	world_open(&w);
	for (uint32_t i = 0; i < ABAFT_TXN_READS_MAX; i++) {
		struct key_id id = {.lo = i + 1, .hi = i};

		assert_null(readset_find(&w.reads, id));
		assert_int_equal(readset_add(&w.reads, &w.region.cache, id, NULL), 0);
	}
	for (uint32_t i = 0; i < ABAFT_TXN_READS_MAX; i++)
		assert_non_null(readset_find(&w.reads, (struct key_id){.lo = i + 1, .hi = i}));
	assert_int_equal(readset_add(&w.reads, &w.region.cache, (struct key_id){.lo = 999}, NULL),
			 -E2BIG);
	world_close(&w);
}

static void says_when_there_is_no_memory(void **state)
{
	struct world w;
	void *block[4];

	world_open(&w);
	for (uint32_t i = 0; i < 4; i++)
		block[i] = memory_alloc(&w.region.cache, 1 << 20);
	for (uint32_t i = 0; i <= READSET_INLINE; i++)
		assert_int_equal(readset_add(&w.reads, &w.region.cache,
					     (struct key_id){.lo = i + 1, .hi = i}, NULL),
				 i < READSET_INLINE ? 0 : -ENOMEM);
	assert_int_equal(w.reads.count, READSET_INLINE);
	for (uint32_t i = 0; i < 4; i++)
		memory_free(&w.region.cache, block[i], 1 << 20);
	world_close(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_the_newest_visible),
		cmocka_unit_test(never_older_than_what_was_written_with_it),
		cmocka_unit_test(never_newer_than_what_was_read_of_its_transaction),
		cmocka_unit_test(walks_past_conflicts_to_what_fits),
		cmocka_unit_test(a_key_read_as_none_stays_none),
		cmocka_unit_test(reads_repeat),
		cmocka_unit_test(the_highest_lower_bound_counts),
		cmocka_unit_test(the_walk_stops_at_the_lower_bound),
		cmocka_unit_test(cleared_places_bind_nobody),
		cmocka_unit_test(a_frozen_reader_sees_no_commit_beyond_its_cut),
		cmocka_unit_test(origins_order_equal_times),
		cmocka_unit_test(grows_to_its_limit),
		cmocka_unit_test(says_when_there_is_no_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
