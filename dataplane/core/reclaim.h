/* SPDX-License-Identifier: Apache-2.0 */
/*
 * reclaim.h - when the memory of superseded versions may be used again (promise P8). One `struct
 * reclaim` per worker, owner thread only; reclaim.c argues why no reader misses a version.
 */
#ifndef ABAFT_CORE_RECLAIM_H
#define ABAFT_CORE_RECLAIM_H

#include <stdbool.h>
#include <stdint.h>

#include "dataplane/core/store.h"
#include "dataplane/core/version.h"

struct telemetry;

struct retired {
	struct version *head, *tail;
	uint64_t count;
};

/* Blocks evicted from the cache that readers may still be reading, of one worker. More wait in the
 * cache: what a worker evicts in some passes. */
#define RECLAIM_BLOCKS 1024

struct reclaim_block {
	ck_epoch_entry_t epoch; /* not in the block itself: that may be being read */
	struct reclaim_block *next;
	const uint8_t *block;
	uint32_t bytes;
};

struct reclaim {
	struct store *store;
	struct store_slot *slot;
	struct memory_cache *memory;
	ck_epoch_record_t record;
	struct retired queue;	     /* nearly in order of their era */
	struct retired held;	     /* past the low-water mark, but in a frozen interval */
	struct retired kept;	     /* tombstones that a checkpoint's walk still wants */
	uint64_t held_era;	     /* when `held` was last looked through */
	uint64_t kept_era;	     /* and `kept` */
	uint64_t deferred;	     /* unlinked, waiting for the epoch */
	uint64_t freed;		     /* versions, ever */
	struct telemetry *telemetry; /* NULL: none */
	struct reclaim_block *block_free;
	uint32_t block_room; /* in `block_free` */
	struct reclaim_block block[RECLAIM_BLOCKS];
};

void reclaim_init(struct reclaim *reclaim, struct store *store, uint32_t worker,
		  struct memory_cache *memory);

/* A pass: pointers into the store stay valid between these. `young` is the era of the oldest
 * transaction that is not frozen, UINT64_MAX if there is none. Returns the era of the pass. */
uint64_t reclaim_pass_begin(struct reclaim *reclaim, uint64_t young);
void reclaim_pass_end(struct reclaim *reclaim, uint64_t young);

/* Publishes the intervals of all frozen transactions; before their eras leave `young`. */
void reclaim_publish(struct reclaim *reclaim, const struct interval *intervals, uint32_t n);

/* Makes a commit's versions visible: the one store. Returns the era to hand to the next. */
uint64_t reclaim_commit(struct reclaim *reclaim, struct commit *commit);
/* Queues what the commit's version superseded, or itself if it was superseded at birth. */
void reclaim_superseded(struct reclaim *reclaim, struct version *version, uint64_t era);
/* Undoes index_link() of a version that was never visible and has no value yet. */
void reclaim_discard(struct reclaim *reclaim, struct version *version);
/* Frees an unlinked version at once, when there are no readers (recovery), and perhaps its commit.
 */
void reclaim_free_now(struct reclaim *reclaim, struct version *version);
/* Frees an evicted block after a grace period. There must be block_room. In a pass. */
void reclaim_block(struct reclaim *reclaim, const uint8_t *block, uint32_t bytes);
/* Gives up one reference to a commit being built or a version's. */
void reclaim_commit_put(struct reclaim *reclaim, struct commit *commit, bool readers);

/* Frees what nobody can need any more, a bounded number of versions per call. In a pass. Returns
 * microseconds until there may be more to do, UINT64_MAX when nothing waits. */
uint64_t reclaim_tick(struct reclaim *reclaim, uint64_t mono_us);

#endif
