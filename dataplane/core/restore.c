/* SPDX-License-Identifier: Apache-2.0 */
/*
 * restore.c - a node's state from its log records (recovery).
 *
 * Several threads read several logs at once, before there is any pass; what they read is applied
 * under one lock, so that nobody reads what another frees.
 *
 * T1. Of each key only the newest version is kept: all below it is freed when it is linked.
 * T2. A newest tombstone must stay while an older value of its key may yet come. Within a log
 *     versions rise (a worker numbers and appends in one step, and its clock starts above all that
 *     it recovered), so what comes of a log is newer than what came of it last: a tombstone may go,
 *     key and all, once every log has got past its time. So a log with any number of deletes
 *     needs no more room than the node had that wrote it.
 * T3. They are looked through when there are twice as many as the last time stayed, and when room
 *     is short: a constant share of each record's work.
 */
#include <errno.h>
#include <string.h>

#include "dataplane/core/lock.h"
#include "dataplane/core/node_impl.h"
#include "dataplane/core/record.h"

/* Tombstones that are not worth a sweep. */
#define SWEEP_LEAST 256

/* A version with its value, not linked yet; NULL: no memory. */
static struct version *version_make(struct node *node, struct commit *commit, uint32_t slot,
				    const struct record_write *w)
{
	struct version *v = memory_alloc(&node->memory, version_block_bytes(w->bytes));
	uint8_t *value = (uint8_t *)(v + 1);

	if (!v)
		return NULL;
	if (w->bytes > VERSION_INLINE_BYTES) {
		value = memory_alloc(&node->memory, w->bytes);
		if (!value) {
			memory_free(&node->memory, v, version_block_bytes(w->bytes));
			return NULL;
		}
	}
	*v = (struct version){
		.commit = commit,
		.number = commit->number,
		.bloom = commit->bloom,
		/* Visible already: spares readers the commit's line. */
		.published = atomic_load_explicit(&commit->published, memory_order_relaxed),
		.bytes = w->bytes,
		.kind = w->kind,
		.slot = (uint16_t)slot};
	if (w->bytes > 0) {
		memcpy(value, w->value, w->bytes);
		atomic_store_explicit(&v->value, value, memory_order_relaxed);
	}
	return v;
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

static int restore_write_once(struct node *node, struct commit *commit, uint32_t place,
			      const struct record_write *w, struct key_id id)
{
	struct version *v = version_make(node, commit, place, w), *newer;
	int err;

	if (!v)
		return -ENOMEM;
	atomic_fetch_add_explicit(&commit->live, 1, memory_order_relaxed);
	err = index_link(&node->store->index, &node->memory, id, w->key, w->key_bytes, v);
	if (err) {
		reclaim_free_now(&node->reclaim, v);
		return err;
	}
	if (w->kind == VERSION_TOMBSTONE)
		tombstone_note(&node->store->restore, v);
	for (v = index_prune(&node->store->index, id, w->key, w->key_bytes); v; v = newer) {
		newer = v->newer;
		if (v->kind == VERSION_TOMBSTONE)
			mark_gone(v);
		else
			reclaim_free_now(&node->reclaim, v);
	}
	return 0;
}

/* Without room it sweeps and tries once more. */
static int restore_write(struct node *node, struct commit *commit, uint32_t place,
			 const struct record_write *w, struct key_id id)
{
	int err = restore_write_once(node, commit, place, w, id);

	if (err != -ENOMEM && err != -ENOSPC)
		return err;
	sweep(node);
	return restore_write_once(node, commit, place, w, id);
}

/* Checks all writes and notes their keys in the commit. By value: the cursor stays. */
static bool commit_fill(struct node *node, struct commit *commit, struct record record)
{
	for (uint32_t i = 0; i < record.writes; i++) {
		struct record_write w;
		struct key_id id;

		if (!record_next(&record, &w))
			return false;
		id = index_id(&node->store->index, w.key, w.key_bytes);
		commit->bloom |= key_id_bits(id);
		commit->key[i].hi = id.hi;
		atomic_store_explicit(&commit->key[i].lo, id.lo, memory_order_relaxed);
	}
	return record_ended(&record);
}

static int restore_commit(struct node *node, struct record *record)
{
	struct commit *commit = memory_alloc(&node->memory, commit_bytes(record->writes));
	int err = 0;

	if (!commit) {
		sweep(node);
		commit = memory_alloc(&node->memory, commit_bytes(record->writes));
	}
	if (!commit)
		return -ENOMEM;
	*commit = (struct commit){.number = record->number, .keys = record->writes};
	/* Visible at once, in era 0; `live` counts this function's own use, too. */
	atomic_store_explicit(&commit->published, 1, memory_order_relaxed);
	atomic_store_explicit(&commit->live, 1, memory_order_relaxed);
	if (!commit_fill(node, commit, *record))
		err = -EBADMSG;
	for (uint32_t i = 0; i < record->writes && err == 0; i++) {
		struct record_write w;

		if (!record_next(record, &w))
			return -EBADMSG; /* not reached: commit_fill() has read it */
		err = restore_write(
			node, commit, i, &w,
			(struct key_id){.lo = atomic_load_explicit(&commit->key[i].lo,
								   memory_order_relaxed),
					.hi = commit->key[i].hi});
	}
	reclaim_commit_put(&node->reclaim, commit, false);
	return err;
}

static int apply(struct node *node, uint8_t type, struct record *record)
{
	int err;

	if (outcome_find(&node->outcomes, record->id))
		return -EBADMSG; /* P6: an id ends once */
	if (type == RECORD_ABORT) {
		if (!record_ended(record))
			return -EBADMSG;
		outcome_add(&node->outcomes, record->id, OUTCOME_ABORTED, record->number);
		return 0;
	}
	err = restore_commit(node, record);
	if (err)
		return err;
	hlc_see(&node->clock, record->number.time);
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

	if (log >= ABAFT_WORKERS_MAX || !record_open(&record, type, data, bytes))
		return -EBADMSG;
	node = nodes[node_owner(record.id, workers)];
	lock_take(&restore->lock);
	err = apply(node, type, &record);
	if (record.number.time > restore->time[log])
		restore->time[log] = record.number.time;
	if (restore->count > restore->sweep_at)
		sweep(node);
	lock_give(&restore->lock);
	return err;
}

void node_recover_begin(struct node *nodes[], uint64_t logs)
{
	for (uint32_t log = 0; log < ABAFT_WORKERS_MAX; log++)
		nodes[0]->store->restore.time[log] = logs >> log & 1 ? 0 : UINT64_MAX;
}

void node_recover_end(struct node *nodes[], uint32_t log)
{
	struct restore *restore = &nodes[0]->store->restore;

	lock_take(&restore->lock);
	restore->time[log] = UINT64_MAX;
	lock_give(&restore->lock);
}

void node_recovered(struct node *nodes[], uint32_t workers)
{
	uint64_t last = 0;

	node_recover_begin(nodes, 0);
	sweep(nodes[0]);
	for (uint32_t w = 0; w < workers; w++)
		last = nodes[w]->clock.last > last ? nodes[w]->clock.last : last;
	for (uint32_t w = 0; w < workers; w++)
		hlc_see(&nodes[w]->clock, last);
}
