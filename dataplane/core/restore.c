/* SPDX-License-Identifier: Apache-2.0 */
/*
 * restore.c - a node's state from a checkpoint's entries and from log records (recovery).
 *
 * The checkpoint comes first, then the logs: several threads read several at once, before there is
 * any pass. What they read is applied under one lock, so that nobody reads what another frees.
 *
 * T1. Of each key only the newest version is kept: an older one that comes is passed over, a newer
 *     one takes the place of what is there, the same once more changes nothing. So entries and
 *     records may overlap, and come in any order of their logs.
 * T2. A newest tombstone must stay while an older value of its key may yet come. A checkpoint's
 *     entries have all come before the first record, and kept records bring no version (T5): only
 *     workers' logs can. Within one versions rise: a worker numbers and appends in one step, and
 *     its clock starts above all that it recovered and above the highest time that was ever given
 *     before the checkpoint. So a tombstone may go, key and all, once every log has got past its
 *     time, and a record that is not above its log's last one is none of ours, unless it is one
 *     that was applied. A log with any number of deletes then needs no more room than the node had
 *     that wrote it.
 * T3. They are looked through when there are twice as many as the last time stayed, and when room
 *     is short: a constant share of each record's work.
 * T4. What is restored shares one commit that wrote no key. A commit binds readers of one of its
 *     keys to its versions of the others (readset.c, A1), and of what is restored that needs no
 *     saying: when the first transaction begins all of it is visible, of each key the newest
 *     durable version i. Whatever a transaction finds of another key l of i's commit is i's
 *     version of l, or above: i was durable, so nothing lower is left there; none was found only
 *     if a tombstone above i hid it. And i itself conflicts with nothing that was read before, for
 *     the same reason.
 * T5. A kept record says where a version stands now, if that version is there, and nothing else.
 *     All moves go to the kept log, and there to its end: of two places in it the higher is the
 *     later one. So kept records may come in any order, twice, and beside the originals. None of
 *     them waits for a version that a log is about to bring: what was cleaned lay before the marks
 *     of both checkpoints (dataplane/keeper.h, Q2), so these have brought it.
 * T6. The index may hold half as many keys again as it is meant to while records are replayed: a
 *     walk takes time, so a checkpoint may hold a key that was deleted behind the walk and one that
 *     came before it.
 * T7. Large values need no memory: while there is little, or over the cache's bound, they stay on
 *     disk, and those that came before are dropped for what must be in memory.
 */
#include <errno.h>
#include <string.h>

#include "dataplane/core/crc.h"
#include "dataplane/core/lock.h"
#include "dataplane/core/node_impl.h"
#include "dataplane/core/record.h"
#include "dataplane/core/snapshot.h"
#include "dataplane/core/txn_id.h"

/* Tombstones that are not worth a sweep. */
#define SWEEP_LEAST 256

/* Entries whose keys' buckets are fetched together. */
#define KEYS_AHEAD 32

/* T4. Visible in era 0, before any transaction. Nobody writes to it: a version without a slot takes
 * no part in its commit's count. */
static struct commit restored = {.published = 1};

/* T7. */
static bool cache_has_room(const struct node *node, uint32_t bytes)
{
	const struct store *store = node->store;

	return cache_bytes(&store->cache, node->config.worker) + memory_block_bytes(bytes) <=
		       store->cache.shard_bytes_max &&
	       memory_short(&store->memory) == 0;
}

/* A large value. What stands on no disk has to be here; else NULL: it stays cold. */
static uint8_t *value_make(struct node *node, const struct snapshot_key *k)
{
	uint8_t *value = NULL;

	if (k->value && (k->place == PLACE_NONE || cache_has_room(node, k->bytes)))
		value = memory_alloc(&node->memory, k->bytes);
	return value ? memcpy(value, k->value, k->bytes) : NULL;
}

/* The version was linked, and what it superseded has gone. */
static void value_bring_in(struct node *node, struct version *v, const struct snapshot_key *k)
{
	uint8_t *value = value_make(node, k);

	if (!value)
		return;
	atomic_store_explicit(&v->value, value, memory_order_relaxed);
	cache_add(&node->store->cache, node->config.worker, v);
}

/* A version, not linked yet, with its value if that is small or stands on no disk; NULL: no memory.
 */
static struct version *version_make(struct node *node, const struct snapshot_key *k)
{
	struct version *v = memory_alloc(&node->memory, version_block_bytes(k->bytes));
	const uint8_t *value = NULL;

	if (!v)
		return NULL;
	*v = (struct version){.commit = &restored,
			      .number = k->number,
			      .published = 1,
			      .bytes = k->bytes,
			      .kind = k->kind,
			      .slot = VERSION_NO_SLOT,
			      .place = k->place};
	if (version_is_large(v)) {
		*version_large(v) =
			(struct large){.crc = k->value ? crc32c(k->value, k->bytes) : k->crc};
		if (k->place == PLACE_NONE) {
			value = value_make(node, k);
			if (!value)
				goto free_version;
		}
	} else if (k->bytes > 0) {
		value = memcpy(v + 1, k->value, k->bytes);
	}
	atomic_store_explicit(&v->value, value, memory_order_relaxed);
	return v;
free_version:
	memory_free(&node->memory, v, version_block_bytes(k->bytes));
	return NULL;
}

/* Out of its chain, but still among restore->tombstones: the next sweep frees it. */
static void mark_gone(struct version *tombstone)
{
	atomic_store_explicit(&tombstone->retired, 1, memory_order_relaxed);
}

static void tombstone_note(struct restore *restore, struct version *tombstone)
{
	tombstone->next = restore->tombstones;
	restore->tombstones = tombstone;
	restore->count++;
}

/* T2: no log can bring anything older. */
static uint64_t passed_by_all(const struct restore *restore)
{
	uint64_t time = UINT64_MAX;

	for (uint32_t log = 0; log < ABAFT_WORKERS_MAX; log++)
		time = restore->time[log] < time ? restore->time[log] : time;
	return time;
}

/* T3. */
static void sweep(struct node *node)
{
	struct restore *restore = &node->store->restore;
	uint64_t passed = passed_by_all(restore);
	struct version *v = restore->tombstones, *next;

	restore->tombstones = NULL;
	restore->count = 0;
	for (; v; v = next) {
		struct key *key = v->key;

		next = v->next;
		if (!atomic_load_explicit(&v->retired, memory_order_relaxed)) {
			if (v->number.time >= passed || !index_unlink_key(&node->store->index, v)) {
				tombstone_note(restore, v);
				continue;
			}
			key_free(&node->memory, key);
		}
		reclaim_free_now(&node->reclaim, v);
	}
	restore->sweep_at = 2 * restore->count + SWEEP_LEAST;
}

/* Unlinks and frees what the key's newest version supersedes. */
static void prune(struct node *node, struct key_id id, const struct snapshot_key *k)
{
	struct version *v = index_prune(&node->store->index, id, k->key, k->key_bytes), *newer;

	for (; v; v = newer) {
		newer = v->newer;
		if (v->kind == VERSION_TOMBSTONE)
			mark_gone(v);
		else
			reclaim_free_now(&node->reclaim, v);
	}
}

static const struct version *newest_of(const struct node *node, struct key_id id,
				       const uint8_t *data, uint32_t bytes)
{
	const struct key *key = index_find(&node->store->index, id, data, bytes);

	return key ? atomic_load_explicit(&key->newest, memory_order_relaxed) : NULL;
}

/* T1. */
static int restore_once(struct node *node, struct key_id id, const struct snapshot_key *k)
{
	const struct version *newest = newest_of(node, id, k->key, k->key_bytes);
	struct version *v;
	int err;

	if (newest && vnum_equal(newest->number, k->number))
		return newest->kind == k->kind && newest->bytes == k->bytes ? 0 : -EBADMSG;
	if (newest && vnum_less(k->number, newest->number))
		return 0;
	v = version_make(node, k);
	if (!v)
		return -ENOMEM;
	err = index_link(&node->store->index, &node->memory, id, k->key, k->key_bytes, v);
	if (err) {
		reclaim_free_now(&node->reclaim, v);
		return err;
	}
	space_add(&node->store->space, k->place, space_bytes(k->key_bytes, k->bytes));
	if (newest)
		prune(node, id, k);
	if (version_is_large(v) && k->place != PLACE_NONE)
		value_bring_in(node, v, k);
	if (k->kind == VERSION_TOMBSTONE)
		tombstone_note(&node->store->restore, v);
	return 0;
}

/* T7. Drops some large values that came before: nobody reads them yet. False: there are none. */
static bool values_drop(struct node *node)
{
	struct cache *cache = &node->store->cache;
	struct cache_block out[64];
	uint32_t n = cache_evict(cache, cache_fullest(cache), MEMORY_SPAN_BYTES, out, 64);

	for (uint32_t i = 0; i < n; i++) {
		memory_paid(&node->store->memory, memory_block_bytes(out[i].bytes));
		memory_give_back(&node->memory, (void *)(uintptr_t)out[i].block, out[i].bytes);
	}
	memory_cache_flush(&node->memory);
	return n > 0;
}

/* Without room it sweeps, lets large values go, and then takes what T6 allows. */
static int restore_version(struct node *node, struct key_id id, const struct snapshot_key *k)
{
	struct restore *restore = &node->store->restore;
	struct index *index = &node->store->index;
	int err = restore_once(node, id, k);

	if (err != -ENOMEM && err != -ENOSPC)
		return err;
	sweep(node);
	do
		err = restore_once(node, id, k);
	while (err == -ENOMEM && values_drop(node));
	if (err != -ENOSPC || restore->keys_over > 0)
		return err;
	restore->keys_over = index->keys_max / 2;
	index->keys_max += restore->keys_over;
	return restore_once(node, id, k);
}

/* Checks all writes and names their keys. By value: the cursor stays. */
static bool writes_check(const struct node *node, struct record record, struct key_id *ids)
{
	for (uint32_t i = 0; i < record.writes; i++) {
		struct record_write w;

		if (!record_next(&record, &w))
			return false;
		ids[i] = index_id(&node->store->index, w.key, w.key_bytes);
		index_prefetch(&node->store->index, ids[i]);
	}
	return record_ended(&record);
}

static uint64_t write_place(uint64_t record, const struct record_write *w)
{
	return record == PLACE_NONE ? PLACE_NONE : record + w->offset;
}

static int restore_writes(struct node *node, struct record *record, uint64_t place)
{
	struct key_id ids[ABAFT_TXN_WRITES_MAX];
	struct record_write w;
	int err = 0;

	if (!writes_check(node, *record, ids))
		return -EBADMSG;
	for (uint32_t i = 0; i < record->writes && err == 0 && record_next(record, &w); i++)
		err = restore_version(node, ids[i],
				      &(struct snapshot_key){.number = record->number,
							     .place = write_place(place, &w),
							     .key = w.key,
							     .value = w.value,
							     .key_bytes = w.key_bytes,
							     .bytes = w.bytes,
							     .kind = w.kind});
	return err;
}

/* T5: a place in the kept log that is above this one. */
static bool moved_on(uint64_t place, uint64_t to)
{
	return place_log(place) == ABAFT_LOG_KEPT && place >= to;
}

static int restore_kept(struct node *node, struct record *record, uint64_t place)
{
	struct index *index = &node->store->index;
	struct key_id ids[ABAFT_TXN_WRITES_MAX];
	struct record_write w;

	if (!writes_check(node, *record, ids))
		return -EBADMSG;
	for (uint32_t i = 0; i < record->writes && record_next(record, &w); i++) {
		const struct version *v = newest_of(node, ids[i], w.key, w.key_bytes);
		uint64_t from, to = write_place(place, &w);

		if (!v || !vnum_equal(v->number, record->number))
			continue;
		if (v->kind != w.kind || v->bytes != w.bytes)
			return -EBADMSG;
		from = atomic_load_explicit(&v->place, memory_order_relaxed);
		if (!moved_on(from, to))
			index_move(index, ids[i], w.key, w.key_bytes, v->number, from, to);
	}
	return 0;
}

/* P6: an id ends once. The same end once more is none. */
static bool ends_alike(const struct outcome *o, enum outcome_state state, struct vnum number)
{
	return o->state == state && vnum_equal(o->number, number);
}

static int apply_abort(struct node *node, const struct record *record)
{
	const struct outcome *o = outcome_find(&node->outcomes, record->id);

	if (!record_ended(record) || (o && !ends_alike(o, OUTCOME_ABORTED, record->number)))
		return -EBADMSG;
	if (!o)
		outcome_add(&node->outcomes, record->id, OUTCOME_ABORTED, record->number);
	return 0;
}

static int apply_commit(struct node *node, uint32_t log, struct record *record, uint64_t place)
{
	const struct outcome *o = outcome_find(&node->outcomes, record->id);
	uint64_t *time = &node->store->restore.time[log];
	int err;

	if (o && !ends_alike(o, OUTCOME_COMMITTED, record->number))
		return -EBADMSG;
	if (record->number.time <= *time) /* T2; its outcome may have left a full table */
		return o || txn_id_ms(record->id) <= node->outcomes.horizon_ms ? 0 : -EBADMSG;
	/* Also if the outcome was there: the checkpoint's walk may have been past these keys. */
	err = restore_writes(node, record, place);
	if (err)
		return err;
	*time = record->number.time;
	hlc_see(&node->clock, record->number.time);
	if (!o)
		outcome_add(&node->outcomes, record->id, OUTCOME_COMMITTED, record->number);
	return 0;
}

int node_recover(struct node *nodes[], uint32_t workers, uint32_t log, uint8_t type, uint64_t place,
		 const uint8_t *data, uint32_t bytes)
{
	struct restore *restore = &nodes[0]->store->restore;
	struct record record;
	struct node *node;
	int err;

	if (log < ABAFT_LOGS_MAX && type == RECORD_LOST) {
		lock_take(&restore->lock);
		restore->lost++;
		lock_give(&restore->lock);
		return 0;
	}
	if (log >= ABAFT_LOGS_MAX || (log == ABAFT_LOG_KEPT) != (type == RECORD_KEPT) ||
	    !record_open(&record, type, data, bytes))
		return -EBADMSG;
	node = nodes[node_owner(record.id, workers)];
	lock_take(&restore->lock);
	switch (type) {
	case RECORD_KEPT:
		err = restore_kept(node, &record, place);
		break;
	case RECORD_ABORT:
		err = apply_abort(node, &record);
		break;
	default:
		err = apply_commit(node, log, &record, place);
	}
	if (restore->count > restore->sweep_at)
		sweep(node);
	lock_give(&restore->lock);
	return err;
}

/* Some entries of a checkpoint; *count: how many, 0 at the end. */
static bool keys_ahead(const struct node *node, struct cursor *cursor, struct snapshot_key *keys,
		       struct key_id *ids, uint32_t *count)
{
	uint32_t n = 0;

	for (; n < KEYS_AHEAD && cursor->at < cursor->end; n++) {
		if (!snapshot_key_next(cursor, &keys[n]))
			return false;
		ids[n] = index_id(&node->store->index, keys[n].key, keys[n].key_bytes);
		index_prefetch(&node->store->index, ids[n]);
	}
	*count = n;
	return true;
}

int node_restore_keys(struct node *nodes[], uint32_t workers, const uint8_t *data, uint32_t bytes)
{
	struct restore *restore = &nodes[0]->store->restore;
	struct cursor cursor = cursor_of(data, bytes);
	struct snapshot_key keys[KEYS_AHEAD];
	struct key_id ids[KEYS_AHEAD];
	uint32_t count = 0;
	int err = 0;

	lock_take(&restore->lock);
	do {
		if (!keys_ahead(nodes[0], &cursor, keys, ids, &count))
			err = -EBADMSG;
		for (uint32_t i = 0; i < count && err == 0; i++) {
			err = restore_version(nodes[ids[i].hi % workers], ids[i], &keys[i]);
			hlc_see(&nodes[0]->clock, keys[i].number.time);
		}
	} while (err == 0 && count > 0);
	lock_give(&restore->lock);
	return err;
}

static int restore_outcome(struct node *node, const struct snapshot_outcome *entry)
{
	const struct outcome *o = outcome_find(&node->outcomes, entry->id);

	if (o)
		return ends_alike(o, entry->state, entry->number) ? 0 : -EBADMSG;
	outcome_add(&node->outcomes, entry->id, entry->state, entry->number);
	hlc_see(&node->clock, entry->number.time);
	return 0;
}

int node_restore_outcomes(struct node *nodes[], uint32_t workers, const uint8_t *data,
			  uint32_t bytes)
{
	struct restore *restore = &nodes[0]->store->restore;
	struct cursor cursor = cursor_of(data, bytes);
	int err = 0;

	lock_take(&restore->lock);
	while (err == 0 && cursor.at < cursor.end) {
		struct snapshot_outcome entry;

		err = snapshot_outcome_next(&cursor, &entry)
			      ? restore_outcome(nodes[node_owner(entry.id, workers)], &entry)
			      : -EBADMSG;
	}
	lock_give(&restore->lock);
	return err;
}

void node_restore_time(struct node *nodes[], uint32_t workers, uint64_t time)
{
	for (uint32_t w = 0; w < workers; w++)
		hlc_see(&nodes[w]->clock, time);
}

void node_restore_horizon(struct node *nodes[], uint32_t workers, uint64_t horizon_ms)
{
	for (uint32_t w = 0; w < workers; w++)
		if (nodes[w]->outcomes.horizon_ms < horizon_ms)
			nodes[w]->outcomes.horizon_ms = horizon_ms;
}

int node_restore_places(struct node *nodes[],
			int (*fn)(void *arg, uint64_t place, const uint8_t *key,
				  uint32_t key_bytes),
			void *arg)
{
	const struct index *index = &nodes[0]->store->index;
	const struct key *key;
	uint64_t cursor = 0;
	int err = 0;

	while (err == 0 && (key = index_walk(index, &cursor, UINT64_MAX))) {
		const struct version *v = atomic_load_explicit(&key->newest, memory_order_relaxed);
		uint64_t place = atomic_load_explicit(&v->place, memory_order_relaxed);

		if (place != PLACE_NONE)
			err = fn(arg, place, key->data, key->bytes);
	}
	return err;
}

uint64_t node_recover_lost(struct node *nodes[])
{
	return nodes[0]->store->restore.lost;
}

void node_recover_begin(struct node *nodes[], uint64_t logs)
{
	for (uint32_t log = 0; log < ABAFT_WORKERS_MAX; log++)
		nodes[0]->store->restore.time[log] = logs >> log & 1 ? 0 : UINT64_MAX;
}

void node_recover_end(struct node *nodes[], uint32_t log)
{
	struct restore *restore = &nodes[0]->store->restore;

	if (log >= ABAFT_WORKERS_MAX) /* the kept log brings no version (T5) */
		return;
	lock_take(&restore->lock);
	restore->time[log] = UINT64_MAX;
	lock_give(&restore->lock);
}

void node_recovered(struct node *nodes[], uint32_t workers)
{
	struct restore *restore = &nodes[0]->store->restore;
	uint64_t last = 0;

	node_recover_begin(nodes, 0);
	sweep(nodes[0]);
	nodes[0]->store->index.keys_max -= restore->keys_over;
	restore->keys_over = 0;
	for (uint32_t w = 0; w < workers; w++)
		last = nodes[w]->clock.last > last ? nodes[w]->clock.last : last;
	for (uint32_t w = 0; w < workers; w++)
		hlc_see(&nodes[w]->clock, last);
}
