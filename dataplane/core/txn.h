/* SPDX-License-Identifier: Apache-2.0 */
/*
 * txn.h - the open transactions of one worker: by id, by deadline, and by age.
 *
 *	OPEN ──COMMIT/ABORT appended──▶ PENDING ──durable──▶ (outcome) free
 *	  └──deadline──▶ free              └──log failed──▶ LOST
 *
 * A transaction is fresh until its client sends a second packet for it: all that was invested in it
 * is one packet. When its place or its memory is wanted, the oldest fresh one is ended early, as if
 * its deadline had passed. So packets that open transactions and never go on, however many, keep
 * nobody out for long:
 *
 * I1. A transaction whose client came back lives until its deadline.
 * I2. One opened by a later attempt is never fresh: no request is run again twice for this.
 * I3. The fresh ones of a worker buffer no more than its share of ABAFT_TXNS_FRESH_SHARE, but for a
 *     moment after a packet. Heavy ones go first: those for which more is set aside than a packet.
 *
 * An OPEN transaction holds versions back from reclamation: first as young (its begin era keeps the
 * low-water mark down), then frozen (only its own interval; reclaim.c R3). PENDING ones read no
 * more and hold nothing.
 */
#ifndef ABAFT_CORE_TXN_H
#define ABAFT_CORE_TXN_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "dataplane/core/readset.h"
#include "dataplane/core/reclaim.h"
#include "dataplane/core/writeset.h"

#define TXN_WHEEL_SLOTS	  256
#define TXN_WHEEL_SLOT_US 131072u

enum txn_state {
	TXN_OPEN = 1,
	TXN_PENDING,
	TXN_LOST,
};

struct txn_step {
	uint16_t step, attempt;
	bool over; /* that attempt too: the chain began anew before it */
};

struct txn {
	uint8_t id[16];
	uint64_t instance;
	LIST_ENTRY(txn) hash;
	LIST_ENTRY(txn) wheel;
	TAILQ_ENTRY(txn) age;	/* in young or frozen while OPEN */
	TAILQ_ENTRY(txn) fresh; /* while is_fresh */
	bool is_fresh, is_heavy;
	uint32_t fresh_bytes; /* of its, counted in the table's */
	uint64_t deadline_us;
	uint64_t begin_us;
	uint64_t begin_ns; /* the same, as of telemetry.now_ns; 0 without telemetry */
	uint64_t begin_era;
	uint64_t cut;  /* last era whose commits it sees; UINT64_MAX while young */
	uint64_t seen; /* highest version time it read */
	enum txn_state state;
	uint32_t steps;
	struct txn_step step[ABAFT_TXN_STEPS_MAX];
	struct readset reads;
	struct writeset writes;
	/* PENDING: */
	uint64_t seq;	       /* log record */
	struct commit *commit; /* NULL: an abort */
	struct vnum number;
	void *token;	    /* who waits; NULL after it was told */
	uint32_t answer_at; /* where the result stands in its answer */
};

LIST_HEAD(txn_list, txn);
TAILQ_HEAD(txn_queue, txn);

struct txn_table {
	struct txn *all;
	struct txn_list free;
	struct txn_list *buckets;
	uint64_t seed; /* of the ids' hash */
	uint32_t mask, open, max;
	struct txn_list wheel[TXN_WHEEL_SLOTS];
	uint64_t wheel_at; /* slots that have passed */
	struct txn_queue young, frozen;
	struct txn_queue fresh, fresh_heavy; /* the oldest first */
	uint64_t fresh_bytes;		     /* that these have buffered */
	struct interval intervals[STORE_INTERVALS];
	uint32_t interval_count;
	bool intervals_stale; /* some frozen transaction has ended */
	uint64_t intervals_us;
	uint64_t frozen_ever;
};

int txn_table_init(struct txn_table *table, const struct mapper *mapper, uint32_t max,
		   uint64_t seed);
void txn_table_fini(struct txn_table *table, const struct mapper *mapper);
struct txn *txn_find(const struct txn_table *table, const uint8_t id[16]);
/* A new transaction, young and OPEN; NULL when the table is full. */
struct txn *txn_begin(struct txn_table *table, const uint8_t id[16], uint64_t instance,
		      uint64_t mono_us, uint64_t deadline_us, uint64_t era);
/* It is OPEN and new: fresh from now on. */
void txn_set_fresh(struct txn_table *table, struct txn *txn);
/* Its client has come back. */
void txn_came_back(struct txn_table *table, struct txn *txn);
/* Counts what it has buffered, if it is fresh. */
void txn_weigh(struct txn_table *table, struct txn *txn);
/* Which fresh one to end for its place, or for its memory; NULL if there is none. */
struct txn *txn_fresh_for_place(const struct txn_table *table);
struct txn *txn_fresh_for_memory(const struct txn_table *table);
/* Its deadline from now on, sooner or later than before. */
void txn_renew(struct txn_table *table, struct txn *txn, uint64_t deadline_us);
/* It reads no more: holds back no version from now on. */
void txn_release(struct txn_table *table, struct txn *txn);
/* Frees it with all that it buffered. */
void txn_end(struct txn_table *table, struct memory_cache *memory, struct txn *txn);

/* The era of the oldest young transaction, UINT64_MAX if there is none. */
uint64_t txn_young_era(const struct txn_table *table);
/* Freezes those that got too old, and publishes the intervals. `era` is not behind that of any
 * commit they have read. */
void txn_freeze(struct txn_table *table, struct reclaim *reclaim, uint64_t mono_us, uint64_t era);
/* The next OPEN transaction whose deadline has passed, or NULL. A bounded walk of the wheel: call
 * until NULL. */
struct txn *txn_expired(struct txn_table *table, uint64_t mono_us);
/* Microseconds until freeze or deadline work is due. */
uint64_t txn_next_us(const struct txn_table *table, uint64_t mono_us);

#endif
