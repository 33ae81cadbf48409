/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store.h - what all workers of a process share: index, memory, epochs and reclamation eras.
 */
#ifndef ABAFT_CORE_STORE_H
#define ABAFT_CORE_STORE_H

#include <ck_epoch.h>
#include <stdatomic.h>
#include <stdint.h>

#include <abaft/limits.h>

#include "dataplane/core/cache.h"
#include "dataplane/core/index.h"
#include "dataplane/core/memory.h"
#include "dataplane/core/node.h"
#include "dataplane/core/space.h"

#define STORE_INTERVALS 64

/* Eras lo to hi, both included: what one or more frozen transactions may still read. */
struct interval {
	uint64_t lo, hi;
};

/* What one worker publishes for the others' reclamation; written by its owner only. */
struct store_slot {
	_Atomic uint64_t low; /* oldest era of its young transactions and its pass; UINT64_MAX */
	/* Frozen intervals under a sequence lock: odd while they change. */
	_Atomic uint32_t sequence;
	_Atomic uint32_t intervals;
	struct {
		_Atomic uint64_t lo, hi;
	} interval[STORE_INTERVALS];
} __attribute__((aligned(64)));

/* Recovery, under one lock: restore.c. */
struct restore {
	ck_spinlock_t lock;
	/* Each log: time of the last commit applied; UINT64_MAX: nothing more will come of it. */
	uint64_t time[ABAFT_WORKERS_MAX];
	struct version *tombstones; /* linked through `next` */
	uint64_t count, sweep_at;
	uint64_t keys_over; /* that the index may hold above its bound meanwhile; 0: none yet */
	uint64_t lost;	    /* records in whose place a repair left nothing */
};

/* The keeper's: keep.c. Here, as ck_epoch never forgets a record. */
struct keeping {
	ck_epoch_record_t record;
	/* Tombstones that became visible up to here (as version_published()) stay in the index for
	 * a checkpoint's walk: 0: none, UINT64_MAX: all. */
	_Atomic uint64_t published;
};

struct store {
	struct mapper mapper;
	struct index index;
	struct memory memory;
	struct space space;
	struct cache cache;
	ck_epoch_t epoch;
	uint32_t workers;
	_Atomic uint64_t era __attribute__((aligned(64)));
	_Atomic uint64_t era_us; /* when it last ticked */
	struct store_slot slot[ABAFT_WORKERS_MAX];
	struct restore restore;
	struct keeping keeping;
};

#endif
