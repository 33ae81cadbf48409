/* SPDX-License-Identifier: Apache-2.0 */
/*
 * readset.c - atomic reads (promises P1, P3): AFT's Algorithm 1, done right.
 *
 * R is the set of (key, version) a transaction has read; "none" counts as a version, older than
 * all. commit(v) is the transaction that wrote v, keys(c) the keys it wrote. R is an atomic read
 * set:
 *
 * A1. For every k_i in R and every key l in keys(commit(k_i)): if R has l_j, then j >= i.
 *
 * To read a further key k, take the newest visible version k_t for which R + k_t still fulfils A1.
 * That is two conditions, one for each direction of A1:
 *
 * A2. (lower bound) For every l_i in R with k in keys(commit(l_i)): t >= i.
 * A3. (no conflict) For every l in keys(commit(k_t)) that R has as l_j: j >= t.
 *
 * A4. A key that was read is not chosen again: the first choice is returned, so reads repeat (P3).
 *     "None" is remembered too: without it, k read as none and then l_t of a transaction that wrote
 *     both would be a fractured read. (The paper's pseudo-code forgets this case.)
 * A5. A choice exists unless the key had none when the transaction began. Versions become visible
 *     a whole commit at a time, so the newest versions at its begin fulfil A1 among themselves, and
 *     by induction R never holds a version older than those: the version at begin fulfils A3, and
 *     A2 too unless R holds l_i of a newer commit i that wrote k; then k_i itself fulfils both, as
 *     reading l_i left A1 true. reclaim.c keeps all these versions (R2), which is promise P8.
 * A6. The walk stops at the lower bound: chains are sorted, so whatever is below breaks A2.
 * A7. A place of keys(c) that reclamation has cleared binds nobody: by R4 every transaction that is
 *     left began after something newer was visible there.
 *
 * Cost: A2 is one pass over R with a Bloom test before a commit's keys are touched; A3 is one pass
 * over R per candidate, and the first candidate nearly always fits.
 */
#include "dataplane/core/readset.h"

#include <errno.h>
#include <string.h>

#include <abaft/limits.h>

void readset_init(struct readset *set)
{
	set->entries = set->few;
	set->count = 0;
	set->room = READSET_INLINE;
	set->bloom = 0;
}

void readset_fini(struct readset *set, struct memory_cache *memory)
{
	if (set->entries != set->few)
		memory_free(memory, set->entries, set->room * (uint32_t)sizeof(struct read));
	readset_init(set);
}

const struct read *readset_find(const struct readset *set, struct key_id id)
{
	if (!bloom_holds(set->bloom, id))
		return NULL;
	for (uint32_t i = 0; i < set->count; i++)
		if (key_id_equal(set->entries[i].id, id))
			return &set->entries[i];
	return NULL;
}

/* A2. */
static struct vnum lower_bound(const struct readset *set, struct key_id id)
{
	struct vnum lower = {0, 0};

	for (uint32_t i = 0; i < set->count; i++) {
		const struct read *r = &set->entries[i];

		if (bloom_holds(r->bloom, id) && vnum_less(lower, r->number) &&
		    commit_wrote(r->commit, id))
			lower = r->number;
	}
	return lower;
}

/* A3, negated. */
static bool conflicts(const struct readset *set, const struct version *v)
{
	if (!(v->bloom & set->bloom))
		return false;
	for (uint32_t i = 0; i < set->count; i++) {
		const struct read *r = &set->entries[i];

		if (bloom_holds(v->bloom, r->id) && vnum_less(r->number, v->number) &&
		    commit_wrote(v->commit, r->id))
			return true;
	}
	return false;
}

const struct version *readset_choose(const struct readset *set, struct key_id id,
				     const struct key *key, uint64_t cut)
{
	struct vnum lower = lower_bound(set, id);
	const struct version *v;

	if (!key)
		return NULL;
	v = atomic_load_explicit(&key->newest, memory_order_acquire);
	for (; v; v = atomic_load_explicit(&v->older, memory_order_acquire)) {
		/* Pairs with the release in reclaim_commit(): all of the commit's versions. */
		uint64_t published = version_published(v);

		if (published == 0 || published - 1 > cut)
			continue;
		if (vnum_less(v->number, lower)) /* A6 */
			return NULL;
		if (!conflicts(set, v))
			return v;
	}
	return NULL;
}

static int readset_grow(struct readset *set, struct memory_cache *memory)
{
	uint32_t room = set->room * 4 > ABAFT_TXN_READS_MAX ? ABAFT_TXN_READS_MAX : set->room * 4;
	struct read *entries = memory_alloc(memory, room * (uint32_t)sizeof(struct read));

	if (!entries)
		return -ENOMEM;
	memcpy(entries, set->entries, set->count * sizeof(struct read));
	if (set->entries != set->few)
		memory_free(memory, set->entries, set->room * (uint32_t)sizeof(struct read));
	set->entries = entries;
	set->room = room;
	return 0;
}

int readset_add(struct readset *set, struct memory_cache *memory, struct key_id id,
		const struct version *version)
{
	struct read *r;
	int err;

	if (set->count == ABAFT_TXN_READS_MAX)
		return -E2BIG;
	if (set->count == set->room) {
		err = readset_grow(set, memory);
		if (err)
			return err;
	}
	r = &set->entries[set->count++];
	*r = (struct read){.id = id};
	if (version) {
		r->version = version;
		r->commit = version->commit;
		r->number = version->number;
		r->bloom = version->bloom;
	}
	set->bloom |= key_id_bits(id);
	return 0;
}
