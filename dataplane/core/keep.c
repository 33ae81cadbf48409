/* SPDX-License-Identifier: Apache-2.0 */
/*
 * keep.c - see keep.h.
 *
 * It reads chains as readers do, inside an epoch section, but holds no version back from
 * reclamation: what it stands on may be unlinked, not freed.
 *
 * - A version that is linked all the while is found (keep_live): one that was unlinked under the
 *   walk still points to what was below it, and so does each below that leaves later.
 * - The first visible version of a walk down a chain is the newest that was visible when the walk
 *   loaded the chain's head, or became so later (K2): whatever was visible then stood at the head
 *   or below it.
 */
#include "dataplane/core/keep.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/core/crc.h"
#include "dataplane/core/lock.h"
#include "dataplane/core/snapshot.h"
#include "dataplane/core/store.h"

struct keep {
	struct store *store;
};

int keep_create(struct keep **out, struct store *store)
{
	struct keep *keep = malloc(sizeof(*keep));

	if (!keep)
		return -ENOMEM;
	keep->store = store;
	*out = keep;
	return 0;
}

void keep_destroy(struct keep *keep)
{
	keep_walk_end(keep);
	free(keep);
}

void keep_begin(struct keep *keep)
{
	ck_epoch_begin(&keep->store->keeping.record, NULL);
}

void keep_end(struct keep *keep)
{
	LOCK_RELEASED(&keep->store->keeping);
	ck_epoch_end(&keep->store->keeping.record, NULL);
}

/* The visible version that the write at `place` became, or NULL. */
static struct version *version_at(const struct keep *keep, uint64_t place, struct vnum number,
				  const struct record_write *write)
{
	const struct index *index = &keep->store->index;
	struct key_id id = index_id(index, write->key, write->key_bytes);
	const struct key *key = index_find(index, id, write->key, write->key_bytes);
	struct version *v = key ? atomic_load_explicit(&key->newest, memory_order_acquire) : NULL;

	while (v && vnum_less(number, v->number))
		v = atomic_load_explicit(&v->older, memory_order_acquire);
	if (!v || !vnum_equal(v->number, number) || !version_published(v) ||
	    atomic_load_explicit(&v->place, memory_order_relaxed) != place)
		return NULL;
	return v;
}

bool keep_live(struct keep *keep, uint64_t place, struct vnum number,
	       const struct record_write *write)
{
	return version_at(keep, place, number, write) != NULL;
}

bool keep_copy(struct keep *keep, uint64_t place, struct vnum number,
	       const struct record_write *write, uint8_t *to)
{
	struct version *v = version_at(keep, place, number, write);
	const uint8_t *value;

	if (!v || v->bytes != write->bytes || v->kind != write->kind)
		return false;
	if (v->bytes == 0)
		return true;
	/* A block that is evicted now stays until keep_end(). */
	value = version_value(v);
	if (!value)
		return false;
	memcpy(to, value, v->bytes);
	return !version_is_large(v) || crc32c(to, v->bytes) == version_large(v)->crc;
}

bool keep_move(struct keep *keep, struct vnum number, const struct record_write *write,
	       uint64_t from, uint64_t to)
{
	struct index *index = &keep->store->index;

	return index_move(index, index_id(index, write->key, write->key_bytes), write->key,
			  write->key_bytes, number, from, to);
}

bool keep_counts(const struct keep *keep, uint32_t log)
{
	return space_counts(&keep->store->space, log);
}

uint64_t keep_segment_live(const struct keep *keep, uint32_t log, uint32_t segment)
{
	return space_live(&keep->store->space, log, segment);
}

uint64_t keep_live_total(const struct keep *keep)
{
	return space_total(&keep->store->space);
}

uint64_t keep_keys(const struct keep *keep)
{
	return atomic_load_explicit(&keep->store->index.keys, memory_order_relaxed);
}

/* Release: who is asked for a mark later finds it. The fence: see R9 in reclaim.c. */
void keep_walk_prepare(struct keep *keep)
{
	atomic_store_explicit(&keep->store->keeping.published, UINT64_MAX, memory_order_release);
	atomic_thread_fence(memory_order_seq_cst);
}

/* What was visible when a mark was given became so in this era or an earlier one. */
void keep_walk_begin(struct keep *keep)
{
	uint64_t era = atomic_load_explicit(&keep->store->era, memory_order_acquire);

	atomic_store_explicit(&keep->store->keeping.published, era + 1, memory_order_release);
}

void keep_walk_end(struct keep *keep)
{
	atomic_store_explicit(&keep->store->keeping.published, 0, memory_order_release);
}

static struct version *newest_visible(const struct key *key)
{
	struct version *v = atomic_load_explicit(&key->newest, memory_order_acquire);

	while (v && !version_published(v))
		v = atomic_load_explicit(&v->older, memory_order_acquire);
	return v;
}

static struct snapshot_key entry_of(const struct key *key, struct version *v)
{
	bool large = version_is_large(v);

	return (struct snapshot_key){.number = v->number,
				     .place = atomic_load_explicit(&v->place, memory_order_relaxed),
				     .key = key->data,
				     .value = large ? NULL : version_value(v),
				     .key_bytes = key->bytes,
				     .bytes = v->bytes,
				     .crc = large ? version_large(v)->crc : 0,
				     .kind = v->kind};
}

uint32_t keep_walk(struct keep *keep, uint64_t *cursor, uint32_t buckets, uint8_t *out,
		   uint32_t out_bytes, bool *ended)
{
	const struct index *index = &keep->store->index;
	uint64_t end = index_walk_bucket(*cursor) + buckets, at = *cursor;
	const struct key *key;
	uint32_t used = 0;

	while ((key = index_walk(index, &at, end))) {
		struct version *v = newest_visible(key);

		if (v) {
			struct snapshot_key entry = entry_of(key, v);
			uint32_t bytes = snapshot_key_bytes(&entry);

			if (bytes > out_bytes - used)
				break; /* *cursor is still before it */
			snapshot_key_encode(out + used, &entry);
			used += bytes;
		}
		*cursor = at;
	}
	if (!key)
		*cursor = at;
	*ended = index_walk_bucket(*cursor) > index->mask;
	return used;
}
