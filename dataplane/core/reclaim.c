/* SPDX-License-Identifier: Apache-2.0 */
/*
 * reclaim.c - eras, the low-water mark, frozen intervals, and the freeing of versions.
 *
 * Time is cut into eras by one global counter that some worker ticks every ERA_US. A transaction T
 * begins in era b(T), read before its first look at the index. A commit becomes visible in era
 * p(C), read just before its release store. A version X is superseded in era s(X), read after the
 * store that made a newer version of its key visible, behind a full fence.
 *
 * R1. If T did not see the store that superseded X when it began, then b(T) <= s(X).
 *     T reads the era, then (later in program order) the index; the publisher stores, fences, reads
 *     the era. If T's look misses the store, it came before it, so T's earlier era read came before
 *     the publisher's; the counter never falls.
 * R2. Let S be the newest visible versions when T began. A correct atomic read (readset.c) never
 *     needs a version of a key below S's: S's is always valid, because whole commits become visible
 *     at once. Versions above S's that T must not miss are those of commits that T has read from.
 * R3. A young transaction may read any commit. When it gets older than ABAFT_TXN_FREEZE_MS it is
 *     frozen in era c(T): from then on it takes commits with p(C) <= c(T) only. All it read before
 *     fulfils that, so to T the world is simply one in which later commits do not exist, and R2
 *     holds within it.
 * R4. Hence X may be freed when no young T has b(T) <= s(X), and no frozen T has both
 *     b(T) <= s(X) and p(X) <= c(T): its lifetime does not meet T's interval.
 * R5. A tombstone that is its key's only version is taken out, key and all, under the same rule,
 *     with s(X) the era after it became visible: whoever began later reads "none" either way. But
 *     those may have read the tombstone, and hold it in their read sets: its memory, and its
 *     commit's, stay until all who began before it was taken out have ended, by R4 once more.
 * R6. Before X is unlinked (index.c) its place in its commit record is cleared. By R4 nobody for
 *     whom the place matters is left; and whoever finds the key gone (R5) acquires the cleared
 *     place with it, so that a "none" read does not contradict the commit's other versions.
 * R7. Publishing: a worker stores its low-water mark (release, then a full fence) before a pass
 *     looks at the index. If a reclaimer missed that store, its own earlier publication came first
 *     in the order of all stores, so the pass sees what superseded X. A freeze publishes its
 *     interval before the era leaves the low-water mark; the reclaimer reads the mark first.
 * R8. Unlinked memory is handed to ck_epoch, as other workers' passes may stand on it.
 * R9. While a checkpoint is made, a tombstone that was visible before its marks stays for its walk
 *     (keep.h, K2). This is said before marks are asked for. Who misses it, in a pass P, takes the
 *     tombstone out only if no other version of its key is there; and a write that stood beside it
 *     and left was superseded in an era before P's, by R4 and R7, so it was visible before P, and
 *     before the marks: no log brings it back.
 */
#include "dataplane/core/reclaim.h"

#include <ck_stack.h>

#include "dataplane/core/lock.h"
#include "dataplane/core/probe.h"
#include "dataplane/core/telemetry.h"

#define ERA_US	       1000u
#define IDLE_US	       10000u /* how soon an idle worker looks again */
#define FREES_PER_TICK 512
#define HELD_PER_TICK  1024
#define KEPT_PER_TICK  128

/* version->retired */
enum retired_stage {
	RETIRED = 1,	  /* queued */
	RETIRED_FOR_GOOD, /* a tombstone that was superseded after it was queued */
	RETIRED_UNLINKED, /* a tombstone that left with its key */
};

static void retired_push(struct retired *list, struct version *version)
{
	version->next = NULL;
	if (list->tail)
		list->tail->next = version;
	else
		list->head = version;
	list->tail = version;
	list->count++;
}

static struct version *retired_pop(struct retired *list)
{
	struct version *version = list->head;

	list->head = version->next;
	if (!list->head)
		list->tail = NULL;
	list->count--;
	return version;
}

static void block_entry_put(struct reclaim *reclaim, struct reclaim_block *entry)
{
	entry->next = reclaim->block_free;
	reclaim->block_free = entry;
	reclaim->block_room++;
}

void reclaim_init(struct reclaim *reclaim, struct store *store, uint32_t worker,
		  struct memory_cache *memory)
{
	*reclaim = (struct reclaim){.store = store, .slot = &store->slot[worker], .memory = memory};
	for (uint32_t i = 0; i < RECLAIM_BLOCKS; i++)
		block_entry_put(reclaim, &reclaim->block[i]);
	atomic_store_explicit(&reclaim->slot->low, UINT64_MAX, memory_order_relaxed);
	ck_epoch_register(&store->epoch, &reclaim->record, NULL);
}

uint64_t reclaim_pass_begin(struct reclaim *reclaim, uint64_t young)
{
	uint64_t era = atomic_load_explicit(&reclaim->store->era, memory_order_acquire);

	atomic_store_explicit(&reclaim->slot->low, young < era ? young : era, memory_order_release);
	atomic_thread_fence(memory_order_seq_cst); /* R7 */
	ck_epoch_begin(&reclaim->record, NULL);
	return era;
}

void reclaim_publish(struct reclaim *reclaim, const struct interval *intervals, uint32_t n)
{
	struct store_slot *slot = reclaim->slot;
	uint32_t sequence = atomic_load_explicit(&slot->sequence, memory_order_relaxed);

	atomic_store_explicit(&slot->sequence, sequence + 1, memory_order_relaxed);
	atomic_thread_fence(memory_order_seq_cst);
	for (uint32_t i = 0; i < n; i++) {
		atomic_store_explicit(&slot->interval[i].lo, intervals[i].lo, memory_order_relaxed);
		atomic_store_explicit(&slot->interval[i].hi, intervals[i].hi, memory_order_relaxed);
	}
	atomic_store_explicit(&slot->intervals, n, memory_order_relaxed);
	/* Pairs with the acquires in frozen_read(). */
	atomic_store_explicit(&slot->sequence, sequence + 2, memory_order_release);
}

/* One worker's intervals; false when they kept changing (then nothing may be freed now). */
static bool frozen_read(struct store_slot *slot, struct interval *out, uint32_t *n)
{
	for (uint32_t attempt = 0; attempt < 8; attempt++) {
		uint32_t before = atomic_load_explicit(&slot->sequence, memory_order_acquire);

		*n = atomic_load_explicit(&slot->intervals, memory_order_relaxed);
		for (uint32_t i = 0; i < *n; i++) {
			out[i].lo =
				atomic_load_explicit(&slot->interval[i].lo, memory_order_relaxed);
			out[i].hi =
				atomic_load_explicit(&slot->interval[i].hi, memory_order_relaxed);
		}
		atomic_thread_fence(memory_order_acquire);
		if (before % 2 == 0 &&
		    atomic_load_explicit(&slot->sequence, memory_order_relaxed) == before)
			return true;
	}
	return false;
}

/* What all workers publish, as read at one moment. */
struct horizon {
	uint64_t low;
	uint32_t n;
	struct interval frozen[STORE_INTERVALS * 4];
};

/* More intervals than fit are merged into the last: wider, never narrower. */
static void horizon_add(struct horizon *h, struct interval add)
{
	const uint32_t max = sizeof(h->frozen) / sizeof(h->frozen[0]);
	struct interval *last = &h->frozen[max - 1];

	if (h->n < max) {
		h->frozen[h->n++] = add;
		return;
	}
	last->lo = add.lo < last->lo ? add.lo : last->lo;
	last->hi = add.hi > last->hi ? add.hi : last->hi;
}

static bool horizon_read(struct store *store, struct horizon *h)
{
	struct interval frozen[STORE_INTERVALS];
	uint32_t n;

	h->low = UINT64_MAX;
	h->n = 0;
	for (uint32_t w = 0; w < store->workers; w++) {
		uint64_t low = atomic_load_explicit(&store->slot[w].low, memory_order_acquire);

		h->low = low < h->low ? low : h->low;
	}
	for (uint32_t w = 0; w < store->workers; w++) {
		if (!frozen_read(&store->slot[w], frozen, &n))
			return false;
		for (uint32_t i = 0; i < n; i++)
			horizon_add(h, frozen[i]);
	}
	return true;
}

static bool horizon_holds(const struct horizon *h, const struct version *version)
{
	uint64_t since = version_published(version) - 1;

	for (uint32_t i = 0; i < h->n; i++)
		if (h->frozen[i].lo <= version->era && since <= h->frozen[i].hi)
			return true;
	return false;
}

/* What a deferred entry is part of. It stands where ck_epoch keeps a function to call, which never
 * happens: ck_epoch_poll_deferred() only hands the entries back. */
enum deferred_kind { DEFERRED_VERSION = 1, DEFERRED_KEY, DEFERRED_COMMIT, DEFERRED_BLOCK };

static void defer(struct reclaim *reclaim, ck_epoch_entry_t *entry, enum deferred_kind kind)
{
	reclaim->deferred++;
	ck_epoch_call(&reclaim->record, entry, (ck_epoch_cb_t *)(uintptr_t)kind);
}

static void commit_free(struct reclaim *reclaim, struct commit *commit)
{
	memory_free(reclaim->memory, commit, commit_bytes(commit->keys));
}

void reclaim_commit_put(struct reclaim *reclaim, struct commit *commit, bool readers)
{
	/* acq_rel: whoever frees sees the others' last uses. */
	if (atomic_fetch_sub_explicit(&commit->live, 1, memory_order_acq_rel) != 1)
		return;
	if (readers)
		defer(reclaim, &commit->epoch, DEFERRED_COMMIT);
	else
		commit_free(reclaim, commit);
}

static void version_free(struct reclaim *reclaim, struct version *version)
{
	uint32_t bytes = version->bytes;

	if (version_is_large(version)) /* none if it is cold or was discarded */
		memory_free(reclaim->memory,
			    (void *)(uintptr_t)cache_take(&reclaim->store->cache, version), bytes);
	memory_free(reclaim->memory, version, version_block_bytes(bytes));
}

/* A version without a slot is not counted in its commit, which stays (restore.c, T4). */
static void version_commit_put(struct reclaim *reclaim, struct version *version, bool readers)
{
	if (version->slot != VERSION_NO_SLOT)
		reclaim_commit_put(reclaim, version->commit, readers);
}

void reclaim_block(struct reclaim *reclaim, const uint8_t *block, uint32_t bytes)
{
	struct reclaim_block *entry = reclaim->block_free;

	reclaim->block_free = entry->next;
	reclaim->block_room--;
	entry->block = block;
	entry->bytes = bytes;
	memory_paid(&reclaim->store->memory, memory_block_bytes(bytes));
	defer(reclaim, &entry->epoch, DEFERRED_BLOCK);
}

/* Past this worker's cache: it went because others need room. */
static void block_free(struct reclaim *reclaim, struct reclaim_block *entry)
{
	void *block = (void *)(uintptr_t)entry->block;

	memory_give_back(reclaim->memory, block, entry->bytes);
	block_entry_put(reclaim, entry);
}

/* The version is out of its chain. */
static void version_defer(struct reclaim *reclaim, struct version *version)
{
	uint64_t era = atomic_load_explicit(&reclaim->store->era, memory_order_relaxed);
	uint64_t lag_ns = (era - version->era) * ERA_US * UINT64_C(1000);

	PROBE(version__reclaim, 3, version->number.time, version->bytes, lag_ns);
	telemetry_add(reclaim->telemetry, HISTOGRAM_reclaim_lag, lag_ns);
	version_commit_put(reclaim, version, true);
	defer(reclaim, &version->epoch, DEFERRED_VERSION);
	reclaim->freed++;
}

void reclaim_discard(struct reclaim *reclaim, struct version *version)
{
	struct key *key = version->key;

	if (index_unlink(&reclaim->store->index, version))
		defer(reclaim, &key->epoch, DEFERRED_KEY);
	defer(reclaim, &version->epoch, DEFERRED_VERSION);
}

void reclaim_free_now(struct reclaim *reclaim, struct version *version)
{
	version_commit_put(reclaim, version, false);
	version_free(reclaim, version);
}

static void retire(struct reclaim *reclaim, struct version *version, uint64_t era)
{
	if (atomic_exchange_explicit(&version->retired, RETIRED, memory_order_relaxed))
		return;
	version->era = era;
	retired_push(&reclaim->queue, version);
}

/* Queues every visible version of the key below its newest visible one, and that one if it is a
 * tombstone of ours. The walk ends at the first that is queued already: whoever queued it went on
 * below, and who becomes visible below it later queues itself. In practice one or two steps. */
void reclaim_superseded(struct reclaim *reclaim, struct version *mine, uint64_t era)
{
	struct version *v;

	/* Spares readers the commit's line; release: it stands for the commit's own store. */
	atomic_store_explicit(&mine->published,
			      atomic_load_explicit(&mine->commit->published, memory_order_relaxed),
			      memory_order_release);
	v = atomic_load_explicit(&mine->key->newest, memory_order_acquire);

	while (!version_published(v)) /* ends at `mine`, if not before */
		v = atomic_load_explicit(&v->older, memory_order_acquire);
	if (v == mine && mine->kind == VERSION_TOMBSTONE)
		retire(reclaim, mine, era);
	if (v != mine) { /* superseded at birth; what is below was queued by who superseded us */
		/* R1 asks for an era read after the newer one's store, which may be younger than
		 * `era`: somebody may have begun and read ours in between. */
		atomic_thread_fence(memory_order_seq_cst);
		retire(reclaim, mine,
		       atomic_load_explicit(&reclaim->store->era, memory_order_acquire));
		v = mine;
	}
	v = atomic_load_explicit(&v->older, memory_order_acquire);
	for (; v; v = atomic_load_explicit(&v->older, memory_order_acquire)) {
		if (atomic_load_explicit(&v->retired, memory_order_relaxed))
			break;
		if (version_published(v))
			retire(reclaim, v, era);
	}
}

uint64_t reclaim_commit(struct reclaim *reclaim, struct commit *commit)
{
	uint64_t era = atomic_load_explicit(&reclaim->store->era, memory_order_acquire);

	/* The one store (P5): release, pairs with the acquire in readset_choose(). */
	atomic_store_explicit(&commit->published, era + 1, memory_order_release);
	atomic_thread_fence(memory_order_seq_cst); /* R1 */
	return atomic_load_explicit(&reclaim->store->era, memory_order_acquire);
}

static bool superseded(const struct version *version)
{
	struct version *v = atomic_load_explicit(&version->key->newest, memory_order_acquire);

	for (; v && v != version; v = atomic_load_explicit(&v->older, memory_order_acquire))
		if (version_published(v))
			return true;
	return false;
}

/* A tombstone that was its key's newest when it was queued (R5). Returns it to the queue, with the
 * era of now, while others stand above or below it: they must go first. During a walk it is put
 * aside (R9), and so are those that must wait for such a one below them. */
static void tombstone_free(struct reclaim *reclaim, struct version *version)
{
	uint64_t walk =
		atomic_load_explicit(&reclaim->store->keeping.published, memory_order_acquire);
	struct key *key = version->key;

	if (version_published(version) > walk &&
	    index_unlink_key(&reclaim->store->index, version)) {
		atomic_store_explicit(&version->retired, RETIRED_UNLINKED, memory_order_relaxed);
		atomic_thread_fence(memory_order_seq_cst); /* as in R1 */
		defer(reclaim, &key->epoch, DEFERRED_KEY);
	} else if (superseded(version)) { /* perhaps just now: from here on like any other */
		atomic_store_explicit(&version->retired, RETIRED_FOR_GOOD, memory_order_relaxed);
	} else if (walk > 0) {
		retired_push(&reclaim->kept, version);
		return;
	}
	version->era = atomic_load_explicit(&reclaim->store->era, memory_order_acquire);
	retired_push(&reclaim->queue, version);
}

static void free_one(struct reclaim *reclaim, struct version *version)
{
	uint8_t retired = atomic_load_explicit(&version->retired, memory_order_relaxed);

	if (version->kind == VERSION_TOMBSTONE && retired == RETIRED) {
		tombstone_free(reclaim, version);
		return;
	}
	if (retired != RETIRED_UNLINKED)
		index_unlink(&reclaim->store->index, version);
	version_defer(reclaim, version);
}

static void deferred_free(struct reclaim *reclaim)
{
	ck_stack_entry_t *entry, *next;
	ck_stack_t done;

	if (reclaim->deferred == 0)
		return;
	ck_stack_init(&done);
	ck_epoch_poll_deferred(&reclaim->record, &done);
	for (uint32_t w = 0; w < reclaim->store->workers; w++)
		LOCK_ACQUIRED(&reclaim->store->slot[w]);
	LOCK_ACQUIRED(&reclaim->store->keeping);
	for (entry = CK_STACK_FIRST(&done); entry; entry = next) {
		ck_epoch_entry_t *e =
			(ck_epoch_entry_t *)(void *)((uint8_t *)entry -
						     offsetof(struct ck_epoch_entry, stack_entry));
		uint8_t *base = (uint8_t *)e;

		next = CK_STACK_NEXT(entry);
		reclaim->deferred--;
		switch ((enum deferred_kind)(uintptr_t)e->function) {
		case DEFERRED_VERSION:
			version_free(reclaim, (void *)(base - offsetof(struct version, epoch)));
			break;
		case DEFERRED_KEY:
			key_free(reclaim->memory, (void *)(base - offsetof(struct key, epoch)));
			break;
		case DEFERRED_COMMIT:
			commit_free(reclaim, (void *)(base - offsetof(struct commit, epoch)));
			break;
		case DEFERRED_BLOCK:
			block_free(reclaim, (void *)(base - offsetof(struct reclaim_block, epoch)));
			break;
		}
	}
}

void reclaim_pass_end(struct reclaim *reclaim, uint64_t young)
{
	LOCK_RELEASED(reclaim->slot);
	ck_epoch_end(&reclaim->record, NULL);
	atomic_store_explicit(&reclaim->slot->low, young, memory_order_release);
	deferred_free(reclaim);
}

static void era_tick(struct store *store, uint64_t mono_us)
{
	uint64_t last = atomic_load_explicit(&store->era_us, memory_order_relaxed);

	if (mono_us < last + ERA_US)
		return;
	if (atomic_compare_exchange_strong_explicit(&store->era_us, &last, mono_us,
						    memory_order_relaxed, memory_order_relaxed))
		atomic_fetch_add_explicit(&store->era, 1, memory_order_release);
}

/* The next turn's lines, cold by now. A hint: `newer` may be changing, under a lock that is not
 * held here. */
LOCK_UNSEEN static void queue_ahead(const struct version *v)
{
	__builtin_prefetch(v->commit);
	__builtin_prefetch(v->newer);
	__builtin_prefetch(v->next);
}

/* A version at the head of the queue whose era has passed: freed or held. */
static void queue_tick(struct reclaim *reclaim, const struct horizon *h)
{
	for (uint32_t i = 0; i < FREES_PER_TICK; i++) {
		struct version *v = reclaim->queue.head;

		if (!v || v->era >= h->low)
			return;
		retired_pop(&reclaim->queue);
		if (v->next)
			queue_ahead(v->next);
		if (horizon_holds(h, v))
			retired_push(&reclaim->held, v);
		else
			free_one(reclaim, v);
	}
}

/* Looks through all held versions, a share per call. */
static void held_tick(struct reclaim *reclaim, const struct horizon *h)
{
	uint64_t n = reclaim->held.count;

	for (uint64_t i = 0; i < n && i < HELD_PER_TICK; i++) {
		struct version *v = retired_pop(&reclaim->held);

		if (horizon_holds(h, v))
			retired_push(&reclaim->held, v);
		else
			free_one(reclaim, v);
	}
}

/* What was put aside: during the walk a share per era is looked through, as some of it may have
 * been superseded; after it all goes back to the queue. */
static void kept_tick(struct reclaim *reclaim)
{
	struct retired *queue = &reclaim->queue, *kept = &reclaim->kept;
	uint64_t n = kept->count, era;

	if (n == 0)
		return;
	if (atomic_load_explicit(&reclaim->store->keeping.published, memory_order_acquire)) {
		era = atomic_load_explicit(&reclaim->store->era, memory_order_acquire);
		for (uint64_t i = 0; reclaim->kept_era != era && i < n && i < KEPT_PER_TICK; i++)
			tombstone_free(reclaim, retired_pop(kept));
		reclaim->kept_era = era;
		return;
	}
	if (queue->tail)
		queue->tail->next = kept->head;
	else
		queue->head = kept->head;
	queue->tail = kept->tail;
	queue->count += n;
	*kept = (struct retired){0};
}

uint64_t reclaim_tick(struct reclaim *reclaim, uint64_t mono_us)
{
	struct horizon h;
	uint64_t era;

	era_tick(reclaim->store, mono_us);
	kept_tick(reclaim);
	if (!reclaim->queue.head && !reclaim->held.head && !reclaim->kept.head &&
	    reclaim->deferred == 0)
		return UINT64_MAX;
	era = atomic_load_explicit(&reclaim->store->era, memory_order_acquire);
	if (reclaim->queue.head && reclaim->queue.head->era < era) {
		if (!horizon_read(reclaim->store, &h))
			return IDLE_US;
		queue_tick(reclaim, &h);
		if (reclaim->held.head && reclaim->held_era != era) {
			reclaim->held_era = era;
			held_tick(reclaim, &h);
		}
	} else if (reclaim->held.head && reclaim->held_era != era &&
		   horizon_read(reclaim->store, &h)) {
		reclaim->held_era = era;
		held_tick(reclaim, &h);
	}
	return reclaim->queue.head || reclaim->deferred ? IDLE_US : 10 * IDLE_US;
}
