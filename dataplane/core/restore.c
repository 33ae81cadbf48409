/* SPDX-License-Identifier: Apache-2.0 */
/*
 * restore.c - a node's state from its log records (recovery).
 *
 * Several threads apply several logs at once, before there is any pass. Each record is applied
 * under the lock of the node that owns its id, which guards that node's memory cache, reclamation
 * queue and outcomes; chains are guarded by their partition's lock as always. With as many workers
 * as logs no two threads ever want the same node.
 *
 * A version below its key's newest is not restored, and one that is overtaken is freed at once:
 * nobody reads yet. Tombstones stay until all logs are through, as an older value may yet come, and
 * leave by ordinary reclamation.
 */
#include <errno.h>
#include <string.h>

#include "dataplane/core/lock.h"
#include "dataplane/core/node_impl.h"
#include "dataplane/core/record.h"

/* A version with its value, not linked yet; NULL: no memory. */
static struct version *version_make(struct node *node, struct commit *commit, uint32_t place,
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
		.place = (uint16_t)place};
	if (w->bytes > 0) {
		memcpy(value, w->value, w->bytes);
		v->value = value;
	}
	return v;
}

static int restore_write(struct node *node, struct commit *commit, uint32_t place,
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
		reclaim_tombstone(&node->reclaim, v);
	for (v = index_prune(&node->store->index, id, w->key, w->key_bytes); v; v = newer) {
		newer = v->newer;
		reclaim_free_now(&node->reclaim, v);
	}
	return 0;
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

int node_recover(struct node *nodes[], uint32_t workers, uint8_t type, const uint8_t *data,
		 uint32_t bytes)
{
	struct record record;
	struct node *node;
	int err = 0;

	if (!record_open(&record, type, data, bytes))
		return -EBADMSG;
	node = nodes[node_owner(record.id, workers)];
	lock_take(&node->restore_lock);
	if (outcome_find(&node->outcomes, record.id)) {
		err = -EBADMSG; /* P6: an id ends once */
	} else if (type == RECORD_COMMIT) {
		err = restore_commit(node, &record);
		hlc_see(&node->clock, record.number.time);
		outcome_add(&node->outcomes, record.id, OUTCOME_COMMITTED, record.number);
	} else {
		err = record_ended(&record) ? 0 : -EBADMSG;
		outcome_add(&node->outcomes, record.id, OUTCOME_ABORTED, record.number);
	}
	lock_give(&node->restore_lock);
	return err;
}

void node_recovered(struct node *nodes[], uint32_t workers)
{
	uint64_t last = 0;

	for (uint32_t w = 0; w < workers; w++)
		last = nodes[w]->clock.last > last ? nodes[w]->clock.last : last;
	for (uint32_t w = 0; w < workers; w++)
		hlc_see(&nodes[w]->clock, last);
}
