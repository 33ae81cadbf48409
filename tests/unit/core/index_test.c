/* SPDX-License-Identifier: Apache-2.0 */
/* index_test.c - I1 to I3: keys in slots, chains in order, and every bound. */
#include "tests/unit/core/region.h"

#include <stdio.h>

#include <abaft/limits.h>

#include "dataplane/core/index.h"

struct bed {
	struct region region;
	struct index index;
	struct commit *commit;
};

static void open_bed(struct bed *b, uint64_t keys_max)
{
	region_open(&b->region, 16);
	assert_int_equal(index_init(&b->index, &b->region.mapper, keys_max, 1), 0);
	b->commit = calloc(1, commit_bytes(1));
	assert_non_null(b->commit);
}

static void close_bed(struct bed *b)
{
	free(b->commit);
	index_fini(&b->index, &b->region.mapper);
	region_close(&b->region);
}

static struct version *version_of(struct bed *b, uint64_t time, uint32_t origin, uint8_t kind)
{
	struct version *v = calloc(1, sizeof(*v));

	assert_non_null(v);
	*v = (struct version){.number = {time, origin}, .kind = kind, .commit = b->commit};
	return v;
}

static int link_it(struct bed *b, const char *key, struct version *v)
{
	uint32_t bytes = (uint32_t)strlen(key);
	struct key_id id = index_id(&b->index, (const uint8_t *)key, bytes);

	return index_link(&b->index, &b->region.cache, id, (const uint8_t *)key, bytes, v);
}

static struct key *find(struct bed *b, const char *key)
{
	uint32_t bytes = (uint32_t)strlen(key);

	return index_find(&b->index, index_id(&b->index, (const uint8_t *)key, bytes),
			  (const uint8_t *)key, bytes);
}

static void unlink_all(struct bed *b, struct key *key)
{
	struct version *v = atomic_load(&key->newest), *older;
	bool last = false;

	for (; v; v = older) {
		assert_false(last);
		older = atomic_load(&v->older);
		last = index_unlink(&b->index, v);
		free(v);
	}
	assert_true(last);
	key_free(&b->region.cache, key);
}

static void finds_what_was_inserted_by_all_its_bytes(void **state)
{
	static const char *keys[] = {"a", "b", "ab", "abcdefgh", "abcdefgi", "abcdefghi", "A"};
	struct bed b;

	open_bed(&b, 100);
	for (uint32_t i = 0; i < 7; i++) {
		assert_null(find(&b, keys[i]));
		assert_int_equal(link_it(&b, keys[i], version_of(&b, i + 1, 1, VERSION_VALUE)), 0);
	}
	for (uint32_t i = 0; i < 7; i++) {
		struct key *key = find(&b, keys[i]);

		assert_non_null(key);
		assert_int_equal(atomic_load(&key->newest)->number.time, i + 1);
		assert_ptr_equal(atomic_load(&key->newest)->key, key);
	}
	assert_null(find(&b, "abcdefg"));
	assert_int_equal(atomic_load(&b.index.keys), 7);
	for (uint32_t i = 0; i < 7; i++) {
		unlink_all(&b, find(&b, keys[i]));
		assert_null(find(&b, keys[i]));
	}
	assert_int_equal(atomic_load(&b.index.keys), 0);
	close_bed(&b);
}

/* A collision of all 128 bits of the id does not join two keys. */
static void ids_alone_do_not_make_a_key(void **state)
{
	struct key_id id = {.lo = 77, .hi = 88};
	struct version *x, *y;
	struct bed b;

	open_bed(&b, 100);
	x = version_of(&b, 1, 1, VERSION_VALUE);
	y = version_of(&b, 2, 1, VERSION_VALUE);
	assert_int_equal(index_link(&b.index, &b.region.cache, id, (const uint8_t *)"x", 1, x), 0);
	assert_null(index_find(&b.index, id, (const uint8_t *)"y", 1));
	assert_int_equal(index_link(&b.index, &b.region.cache, id, (const uint8_t *)"y", 1, y), 0);
	assert_ptr_not_equal(x->key, y->key);
	assert_ptr_equal(index_find(&b.index, id, (const uint8_t *)"x", 1), x->key);
	unlink_all(&b, x->key);
	unlink_all(&b, y->key);
	close_bed(&b);
}

/* I2. */
static void chains_are_sorted_whatever_the_order_of_arrival(void **state)
{
	static const struct vnum arrive[] = {{5, 1}, {3, 1}, {9, 1}, {5, 2},
					     {5, 0}, {1, 9}, {4, 1}};
	struct version *v, *newer = NULL;
	uint32_t n = 0;
	struct bed b;

	open_bed(&b, 100);
	for (uint32_t i = 0; i < 7; i++)
		assert_int_equal(
			link_it(&b, "k",
				version_of(&b, arrive[i].time, arrive[i].origin, VERSION_VALUE)),
			0);
	for (v = atomic_load(&find(&b, "k")->newest); v; v = atomic_load(&v->older)) {
		assert_ptr_equal(v->newer, newer);
		assert_true(!newer || vnum_less(v->number, newer->number));
		newer = v;
		n++;
	}
	assert_int_equal(n, 7);
	assert_int_equal(find(&b, "k")->versions, 7);
	unlink_all(&b, find(&b, "k"));
	close_bed(&b);
}

static void versions_leave_from_any_place(void **state)
{
	struct version *v[4];
	struct bed b;

	open_bed(&b, 100);
	for (uint32_t i = 0; i < 4; i++) {
		v[i] = version_of(&b, i + 1, 1, VERSION_VALUE);
		assert_int_equal(link_it(&b, "k", v[i]), 0);
	}
	atomic_store(&b.commit->key[0].lo, 99);
	assert_false(index_unlink(&b.index, v[1]));		/* middle */
	assert_int_equal(atomic_load(&b.commit->key[0].lo), 0); /* R6 */
	assert_ptr_equal(atomic_load(&v[2]->older), v[0]);
	assert_ptr_equal(v[0]->newer, v[2]);
	assert_false(index_unlink(&b.index, v[3])); /* newest */
	assert_ptr_equal(atomic_load(&find(&b, "k")->newest), v[2]);
	assert_null(v[2]->newer);
	assert_false(index_unlink(&b.index, v[0])); /* oldest */
	assert_null(atomic_load(&v[2]->older));
	assert_true(index_unlink(&b.index, v[2])); /* last */
	assert_null(find(&b, "k"));
	key_free(&b.region.cache, v[2]->key);
	for (uint32_t i = 0; i < 4; i++)
		free(v[i]);
	close_bed(&b);
}

static void a_key_leaves_with_its_only_tombstone(void **state)
{
	struct version *value, *tombstone;
	struct bed b;

	open_bed(&b, 100);
	value = version_of(&b, 1, 1, VERSION_VALUE);
	tombstone = version_of(&b, 2, 1, VERSION_TOMBSTONE);
	assert_int_equal(link_it(&b, "k", value), 0);
	assert_int_equal(link_it(&b, "k", tombstone), 0);
	assert_false(index_unlink_key(&b.index, tombstone));
	assert_non_null(find(&b, "k"));
	assert_false(index_unlink(&b.index, value));
	atomic_store(&b.commit->key[0].lo, 99);
	assert_true(index_unlink_key(&b.index, tombstone));
	assert_int_equal(atomic_load(&b.commit->key[0].lo), 0); /* R6 */
	assert_null(find(&b, "k"));
	assert_int_equal(atomic_load(&b.index.keys), 0);
	key_free(&b.region.cache, tombstone->key);
	free(value);
	free(tombstone);
	close_bed(&b);
}

static struct key_id crowded(uint32_t i)
{
	return (struct key_id){.lo = 5 | (uint64_t)i << 20, .hi = i}; /* one bucket for all */
}

/* A bucket's keys go over into spare buckets, until there are none: nothing is lost or leaked. */
static void crowded_buckets_overflow_and_end(void **state)
{
	static struct version *v[200];
	uint32_t n, room;
	uint64_t used;
	struct bed b;

	open_bed(&b, 256);
	room = INDEX_SLOTS * (uint32_t)(1 + b.index.spares);
	assert_true(room < 200);
	for (n = 0; n < 200; n++) {
		int err;

		v[n] = version_of(&b, n + 1, 1, VERSION_VALUE);
		used = b.region.cache.bytes_used;
		err = index_link(&b.index, &b.region.cache, crowded(n), (uint8_t *)&n, 4, v[n]);
		if (err) {
			assert_int_equal(err, -ENOSPC);
			assert_int_equal(b.region.cache.bytes_used, used);
			free(v[n]);
			break;
		}
	}
	assert_int_equal(n, room);
	for (uint32_t i = 0; i < n; i++)
		assert_ptr_equal(index_find(&b.index, crowded(i), (uint8_t *)&i, 4), v[i]->key);
	/* A slot in the middle is used again. */
	unlink_all(&b, v[20]->key);
	v[20] = version_of(&b, 1, 1, VERSION_VALUE);
	assert_int_equal(index_link(&b.index, &b.region.cache, crowded(20), (const uint8_t *)"new!",
				    4, v[20]),
			 0);
	for (uint32_t i = 0; i < n; i++)
		unlink_all(&b, v[i]->key);
	close_bed(&b);
}

static struct version *link_crowded(struct bed *b, struct key_id id, uint32_t n)
{
	struct version *v = version_of(b, n + 1, 1, VERSION_VALUE);

	assert_int_equal(index_link(&b->index, &b->region.cache, id, (uint8_t *)&n, 4, v), 0);
	return v;
}

/* Spare buckets go where they are wanted: all of them to one bucket, then to another. */
static void what_overflowed_comes_back(void **state)
{
	static struct version *v[200];
	uint32_t room;
	struct bed b;

	open_bed(&b, 256);
	room = INDEX_SLOTS * (uint32_t)(1 + b.index.spares);
	for (uint32_t round = 0; round < 3; round++) {
		for (uint32_t n = 0; n < room; n++) {
			struct key_id id = crowded(n);

			id.lo += round;
			v[n] = link_crowded(&b, id, n);
		}
		assert_int_equal(atomic_load(&b.index.spares_used), b.index.spares);
		/* One in the middle of the chain is kept until those behind it have gone. */
		for (uint32_t n = INDEX_SLOTS; n < 2 * INDEX_SLOTS; n++)
			unlink_all(&b, v[n]->key);
		assert_int_equal(atomic_load(&b.index.spares_used), b.index.spares);
		for (uint32_t n = 2 * INDEX_SLOTS; n < room; n++)
			unlink_all(&b, v[n]->key);
		assert_int_equal(atomic_load(&b.index.spares_used), 0);
		for (uint32_t n = 0; n < INDEX_SLOTS; n++)
			unlink_all(&b, v[n]->key);
	}
	close_bed(&b);
}

static void keys_are_bounded(void **state)
{
	static struct version *v[301];
	char name[16];
	struct bed b;

	open_bed(&b, 300);
	for (uint32_t i = 0; i <= 300; i++) {
		snprintf(name, sizeof(name), "key %u", i);
		v[i] = version_of(&b, 1, 1, VERSION_VALUE);
		assert_int_equal(link_it(&b, name, v[i]), i < 300 ? 0 : -ENOSPC);
	}
	free(v[300]);
	/* A further version of a key that is there needs no room for keys. */
	v[300] = version_of(&b, 2, 1, VERSION_VALUE);
	assert_int_equal(link_it(&b, "key 0", v[300]), 0);
	for (uint32_t i = 0; i < 300; i++) {
		snprintf(name, sizeof(name), "key %u", i);
		assert_non_null(find(&b, name));
		unlink_all(&b, find(&b, name));
	}
	close_bed(&b);
}

static void versions_of_a_key_are_bounded(void **state)
{
	struct version *v;
	struct bed b;

	open_bed(&b, 10);
	for (uint32_t i = 0; i < ABAFT_KEY_VERSIONS_MAX; i++)
		assert_int_equal(link_it(&b, "k", version_of(&b, i + 1, 1, VERSION_VALUE)), 0);
	v = version_of(&b, 1ull << 40, 1, VERSION_VALUE);
	assert_int_equal(link_it(&b, "k", v), -EBUSY);
	free(v);
	unlink_all(&b, find(&b, "k"));
	close_bed(&b);
}

static void pruning_leaves_the_newest(void **state)
{
	static const uint8_t kinds[] = {VERSION_VALUE, VERSION_TOMBSTONE, VERSION_VALUE,
					VERSION_VALUE};
	struct version *pruned, *next;
	struct key_id id;
	uint32_t n = 0;
	struct bed b;

	open_bed(&b, 10);
	id = index_id(&b.index, (const uint8_t *)"k", 1);
	assert_null(index_prune(&b.index, id, (const uint8_t *)"k", 1));
	for (uint32_t i = 0; i < 4; i++)
		assert_int_equal(link_it(&b, "k", version_of(&b, i + 1, 1, kinds[i])), 0);
	pruned = index_prune(&b.index, id, (const uint8_t *)"k", 1);
	for (; pruned; pruned = next, n++) {
		next = pruned->newer;
		assert_true(pruned->number.time < 4);
		free(pruned);
	}
	assert_int_equal(n, 3);
	assert_int_equal(find(&b, "k")->versions, 1);
	assert_int_equal(atomic_load(&find(&b, "k")->newest)->number.time, 4);
	unlink_all(&b, find(&b, "k"));
	close_bed(&b);
}

static void a_key_without_memory_is_refused(void **state)
{
	struct version *v;
	struct bed b;
	void *block[16];

	open_bed(&b, 10);
	for (uint32_t i = 0; i < 16; i++)
		block[i] = memory_alloc(&b.region.cache, 1 << 20);
	v = version_of(&b, 1, 1, VERSION_VALUE);
	assert_int_equal(link_it(&b, "k", v), -ENOMEM);
	assert_null(find(&b, "k"));
	for (uint32_t i = 0; i < 16; i++)
		memory_free(&b.region.cache, block[i], 1 << 20);
	free(v);
	close_bed(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(finds_what_was_inserted_by_all_its_bytes),
		cmocka_unit_test(ids_alone_do_not_make_a_key),
		cmocka_unit_test(chains_are_sorted_whatever_the_order_of_arrival),
		cmocka_unit_test(versions_leave_from_any_place),
		cmocka_unit_test(a_key_leaves_with_its_only_tombstone),
		cmocka_unit_test(crowded_buckets_overflow_and_end),
		cmocka_unit_test(what_overflowed_comes_back),
		cmocka_unit_test(keys_are_bounded),
		cmocka_unit_test(versions_of_a_key_are_bounded),
		cmocka_unit_test(pruning_leaves_the_newest),
		cmocka_unit_test(a_key_without_memory_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
