/* SPDX-License-Identifier: Apache-2.0 */
/*
 * commit.c - from a buffered transaction to visible versions (promises P4, P5).
 *
 *	settle ▶ allocate ▶ number ▶ room in the log ▶ link versions, invisible ▶ record ▶ PENDING
 *	... the log makes the record durable ...
 *	one store makes all versions visible ▶ outcome ▶ answer
 *
 * C1. All that can fail comes before the record: after it only the log itself can.
 * C2. The number is above every version the transaction read, every one this worker has met, and
 *     the newest of every key it writes, pending ones and deleted keys that left the index
 *     included. So what was acknowledged before this commit began never hides it, whatever the
 *     clocks say, and neither do its tombstones in the log.
 *
 * C3. Versions are linked before the record is durable but stay invisible, so publication needs no
 *     lock and no memory, and takes one store for any number of keys.
 *
 * C4. The log calls back in its order, so transactions of a worker become visible in log order, and
 *     a crash keeps a prefix.
 */
#include <errno.h>
#include <string.h>

#include "dataplane/core/crc.h"
#include "dataplane/core/node_impl.h"
#include "dataplane/core/probe.h"
#include "dataplane/core/record.h"

static uint16_t log_status(struct node *node)
{
	int err = node->log.error(node->log.log);

	if (err == 0)
		return ABAFT_OK;
	if (err == -ENOSPC) {
		node->counters->busy_log_space++;
		return ABAFT_NO_SPACE;
	}
	node->counters->log_failed++;
	return ABAFT_LOG_FAILED;
}

static uint16_t log_room(struct node *node, uint32_t bytes, uint8_t **out)
{
	uint16_t status = log_status(node);

	if (status != ABAFT_OK)
		return status;
	if (node->pending_count == ABAFT_COMMITS_PENDING_MAX) {
		node->counters->busy_commits++;
		return ABAFT_BUSY;
	}
	*out = node->log.reserve(node->log.log, bytes);
	if (*out)
		return ABAFT_OK;
	status = log_status(node); /* the refusal may be the first to notice a full disk */
	if (status == ABAFT_OK) {
		node->counters->busy_log++;
		status = ABAFT_BUSY;
	}
	return status;
}

static void pending_push(struct node *node, struct txn *txn, uint64_t seq)
{
	uint32_t at = (node->pending_first + node->pending_count++) % ABAFT_COMMITS_PENDING_MAX;

	txn_release(&node->txns, txn);
	txn->state = TXN_PENDING;
	txn->seq = seq;
	node->pending[at] = txn;
}

/* A version that no reader has met; its large value stays the write set's. */
static void version_discard(struct node *node, struct version *version)
{
	if (version)
		memory_free(&node->memory, version, version_block_bytes(version->bytes));
}

/* Frees versions and commit that no reader has met. */
static void build_free(struct node *node, struct txn *txn)
{
	for (uint32_t i = 0; i < txn->writes.winners; i++) {
		version_discard(node, txn->writes.entries[i].version);
		txn->writes.entries[i].version = NULL;
	}
	memory_free(&node->memory, txn->commit, commit_bytes(txn->writes.winners));
	txn->commit = NULL;
}

/* The commit record and its versions, not linked yet. */
static bool build(struct node *node, struct txn *txn)
{
	struct writeset *set = &txn->writes;
	struct commit *commit = memory_alloc(&node->memory, commit_bytes(set->winners));

	if (!commit)
		return false;
	txn->commit = commit;
	*commit = (struct commit){.keys = set->winners, .bloom = set->bloom};
	atomic_store_explicit(&commit->live, set->winners, memory_order_relaxed);
	for (uint32_t i = 0; i < set->winners; i++) {
		struct write *w = &set->entries[i];

		w->version = memory_alloc(&node->memory, version_block_bytes(w->bytes));
		if (!w->version) {
			build_free(node, txn);
			return false;
		}
		*w->version = (struct version){.commit = commit,
					       .bloom = set->bloom,
					       .bytes = w->bytes,
					       .kind = w->kind,
					       .slot = (uint16_t)i};
		if (version_is_large(w->version))
			*version_large(w->version) = (struct large){0};
		commit->key[i].hi = w->id.hi;
		atomic_store_explicit(&commit->key[i].lo, w->id.lo, memory_order_relaxed);
	}
	return true;
}

/* C2. */
static void number(struct node *node, struct txn *txn)
{
	hlc_see(&node->clock, txn->seen);
	for (uint32_t i = 0; i < txn->writes.winners; i++) {
		const struct write *w = &txn->writes.entries[i];
		const struct key *key =
			index_find(&node->store->index, w->id, w->key, w->key_bytes);
		const struct version *newest =
			key ? atomic_load_explicit(&key->newest, memory_order_acquire) : NULL;

		if (newest)
			hlc_see(&node->clock, newest->number.time);
	}
	hlc_see(&node->clock,
		atomic_load_explicit(&node->store->index.removed, memory_order_acquire));
	txn->number.time = hlc_next(&node->clock, node->now.wall_us);
	txn->number.origin = node->config.origin;
	txn->commit->number = txn->number;
	for (uint32_t i = 0; i < txn->writes.winners; i++)
		txn->writes.entries[i].version->number = txn->number;
}

static uint16_t link_status(struct node *node, int err)
{
	switch (err) {
	case -EBUSY:
		node->counters->busy_versions++;
		return ABAFT_BUSY;
	case -ENOSPC:
		node->counters->busy_keys++;
		return ABAFT_NO_SPACE;
	default:
		node->counters->busy_memory++;
		return ABAFT_NO_SPACE;
	}
}

/* Undoes the first `linked` links. Readers may have met those versions, and through them the
 * commit: both wait for the epoch. */
static void unlink_all(struct node *node, struct txn *txn, uint32_t linked)
{
	struct writeset *set = &txn->writes;

	if (linked == 0) {
		build_free(node, txn);
		return;
	}
	for (uint32_t i = 0; i < set->winners; i++) {
		if (i < linked)
			reclaim_discard(&node->reclaim, set->entries[i].version);
		else
			version_discard(node, set->entries[i].version);
		set->entries[i].version = NULL;
	}
	atomic_store_explicit(&txn->commit->live, 1, memory_order_relaxed);
	reclaim_commit_put(&node->reclaim, txn->commit, true);
	txn->commit = NULL;
}

static uint16_t link_all(struct node *node, struct txn *txn)
{
	struct writeset *set = &txn->writes;

	for (uint32_t i = 0; i < set->winners; i++) {
		struct write *w = &set->entries[i];
		int err = index_link(&node->store->index, &node->memory, w->id, w->key,
				     w->key_bytes, w->version);

		if (err) {
			unlink_all(node, txn, i);
			return link_status(node, err);
		}
	}
	return ABAFT_OK;
}

/* The buffers become the versions' values; small ones are copied behind their version. */
static void values_hand_over(struct writeset *set)
{
	for (uint32_t i = 0; i < set->winners; i++) {
		struct write *w = &set->entries[i];
		struct version *v = w->version;

		if (w->bytes == 0)
			continue;
		if (!version_is_large(v)) {
			memcpy(v + 1, w->value, w->bytes);
			atomic_store_explicit(&v->value, (const uint8_t *)(v + 1),
					      memory_order_relaxed);
			continue;
		}
		version_large(v)->crc = crc32c(w->value, w->bytes);
		atomic_store_explicit(&v->value, w->value, memory_order_relaxed);
	}
}

/* Where each write stands in the record, in record_encode()'s order. */
static void places_set(struct writeset *set, uint64_t record)
{
	uint64_t place = record + RECORD_HEAD_BYTES;

	for (uint32_t i = 0; i < set->winners && record != PLACE_NONE; i++) {
		struct write *w = &set->entries[i];

		atomic_store_explicit(&w->version->place, place, memory_order_relaxed);
		place += space_bytes(w->key_bytes, w->bytes);
	}
}

static bool only_deletes(const struct writeset *set)
{
	for (uint32_t i = 0; i < set->winners; i++)
		if (set->entries[i].kind != VERSION_TOMBSTONE)
			return false;
	return true;
}

/* Builds, numbers and links the commit: all that may fail. */
static uint16_t commit_make(struct node *node, struct txn *txn)
{
	if (!build(node, txn)) {
		node->counters->busy_memory++;
		return ABAFT_NO_SPACE;
	}
	number(node, txn);
	return link_all(node, txn);
}

uint16_t commit_append(struct node *node, struct txn *txn)
{
	struct writeset *set = &txn->writes;
	uint8_t *out = NULL;
	uint64_t place = PLACE_NONE;
	uint16_t status;
	uint64_t seq;
	uint32_t bytes;

	if (!writeset_settle(set)) {
		node->counters->refused_incomplete++;
		return ABAFT_INCOMPLETE;
	}
	bytes = record_bytes(set);
	status = log_room(node, bytes, &out);
	if (status != ABAFT_OK)
		return status;
	node->memory.deleting = only_deletes(set);
	status = commit_make(node, txn);
	node->memory.deleting = false;
	if (status != ABAFT_OK)
		return status;
	record_encode(out, txn->id, txn->number, set);
	values_hand_over(set);
	seq = node->log.append(node->log.log, bytes, RECORD_COMMIT, &place);
	PROBE(txn__commit, 5, PROBE_ID(txn->id), seq, bytes, set->winners);
	places_set(set, place);
	pending_push(node, txn, seq);
	return ABAFT_OK;
}

uint16_t abort_append(struct node *node, struct txn *txn)
{
	uint8_t *out = NULL;
	uint64_t place = PLACE_NONE;
	uint16_t status = log_room(node, RECORD_HEAD_BYTES, &out);

	if (status != ABAFT_OK)
		return status;
	writeset_fini(&txn->writes, &node->memory);
	txn->number = (struct vnum){0, 0};
	record_encode(out, txn->id, txn->number, &txn->writes);
	pending_push(node, txn,
		     node->log.append(node->log.log, RECORD_HEAD_BYTES, RECORD_ABORT, &place));
	return ABAFT_OK;
}

/* The versions belong to the index now, and with them the large values. */
static void writes_forget(struct writeset *set)
{
	for (uint32_t i = 0; i < set->winners; i++) {
		struct write *w = &set->entries[i];

		w->version = NULL;
		if (w->bytes > VERSION_INLINE_BYTES) {
			set->value_bytes -= w->bytes;
			w->value = NULL;
			w->bytes = 0;
		}
	}
}

/* The writes are durable, and visible in a moment: until then nobody else takes them off again, so
 * whoever does finds them counted. All stand in one segment. Large values may be evicted. */
static void settle_down(struct node *node, const struct writeset *set)
{
	const struct version *first = set->entries[0].version;
	uint64_t place = atomic_load_explicit(&first->place, memory_order_relaxed);

	space_add(&node->store->space, place, record_bytes(set) - RECORD_HEAD_BYTES);
	for (uint32_t i = 0; i < set->winners && place != PLACE_NONE; i++)
		if (version_is_large(set->entries[i].version))
			cache_add(&node->store->cache, node->config.worker,
				  set->entries[i].version);
}

static void publish(struct node *node, struct txn *txn)
{
	uint64_t era;

	settle_down(node, &txn->writes);
	PROBE(txn__publish, 4, PROBE_ID(txn->id), txn->number.time, txn->writes.winners);
	era = reclaim_commit(&node->reclaim, txn->commit);
	for (uint32_t i = 0; i < txn->writes.winners; i++)
		reclaim_superseded(&node->reclaim, txn->writes.entries[i].version, era);
	writes_forget(&txn->writes);
	outcome_add(&node->outcomes, txn->id, OUTCOME_COMMITTED, txn->number);
	node->counters->commits++;
}

static void tell(struct node *node, struct txn *txn, uint16_t status, node_done_fn done, void *arg)
{
	uint8_t code = txn->commit ? ABAFT_OP_COMMIT : ABAFT_OP_ABORT;
	uint8_t result[sizeof(struct abaft_wire_result)];

	if (node->telemetry) {
		node->telemetry->begin_ns = txn->begin_ns;
		node->telemetry->ended = code;
		if (status != ABAFT_OK)
			op_count_error(telemetry_op(node->telemetry, code), status);
	}
	if (!txn->token)
		return;
	result_encode(result, code, status, 0, txn->number);
	done(arg, txn->token, result, txn->answer_at, sizeof(result));
	txn->token = NULL;
}

void node_durable(struct node *node, uint64_t seq, node_done_fn done, void *arg)
{
	while (node->pending_count > 0) {
		struct txn *txn = node->pending[node->pending_first];

		if (txn->seq > seq)
			return;
		PROBE(txn__durable, 3, PROBE_ID(txn->id), txn->seq);
		node->pending_first = (node->pending_first + 1) % ABAFT_COMMITS_PENDING_MAX;
		node->pending_count--;
		if (txn->commit) {
			publish(node, txn);
		} else {
			outcome_add(&node->outcomes, txn->id, OUTCOME_ABORTED, txn->number);
			node->counters->aborts++;
			PROBE(txn__abort, 2, PROBE_ID(txn->id));
		}
		tell(node, txn, ABAFT_OK, done, arg);
		txn_end(&node->txns, &node->memory, txn);
	}
}

void node_log_failed(struct node *node, node_done_fn done, void *arg)
{
	while (node->pending_count > 0) {
		struct txn *txn = node->pending[node->pending_first];

		node->pending_first = (node->pending_first + 1) % ABAFT_COMMITS_PENDING_MAX;
		node->pending_count--;
		txn->number = (struct vnum){0, 0};
		tell(node, txn, ABAFT_LOG_FAILED, done, arg);
		txn->state = TXN_LOST;
	}
}

bool node_pending(const struct node *node)
{
	return node->pending_count > 0;
}
