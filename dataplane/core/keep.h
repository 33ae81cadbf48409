/* SPDX-License-Identifier: Apache-2.0 */
/*
 * keep.h - what the keeper's thread may do with the store while workers serve from it: ask which
 * writes are live, move their places, and walk the index for a checkpoint.
 *
 * One `struct keep` per store, one thread. It never blocks a worker but for the moment of a
 * partition's lock. All calls between keep_begin() and keep_end(), which should be a millisecond
 * apart at most: they hold back the freeing of memory as a worker's pass does.
 *
 * K1. A write is live while a version with its number and its place stands in its key's chain. Who
 *     moves it (keep_move) changes the place and the space counters under the key's partition lock,
 *     where index_unlink() reads them: each byte is taken off where it was added.
 * K2. A walk that begins after marks were taken finds of each key the newest visible version, or
 *     one that became visible later. Tombstones that were visible before the marks stay in the
 *     index until keep_walk_end(): or a write that was in flight beside one of them, of a lower
 *     number but behind its own log's mark, would bring the key back at restart.
 */
#ifndef ABAFT_CORE_KEEP_H
#define ABAFT_CORE_KEEP_H

#include <stdbool.h>
#include <stdint.h>

#include "dataplane/core/hlc.h"
#include "dataplane/core/node.h"
#include "dataplane/core/record.h"

struct keep;

/* 0 or -ENOMEM. Destroy it before the store. */
int keep_create(struct keep **out, struct store *store) __attribute__((warn_unused_result));
void keep_destroy(struct keep *keep);
void keep_begin(struct keep *keep);
void keep_end(struct keep *keep);

/* True if the write, found at `place`, is live there. */
bool keep_live(struct keep *keep, uint64_t place, struct vnum number,
	       const struct record_write *write);
/* Live as above: copies its value out of memory, if it is there, and checks it. False: it is not
 * there. For a victim whose bytes on disk are damaged. `to` holds write->bytes. */
bool keep_copy(struct keep *keep, uint64_t place, struct vnum number,
	       const struct record_write *write, uint8_t *to);
/* The write's copy at `to` is durable: it lives there now. False if it died meanwhile. */
bool keep_move(struct keep *keep, struct vnum number, const struct record_write *write,
	       uint64_t from, uint64_t to);
/* Its live bytes are counted. Of a log that is not nothing may be cleaned: all looks dead. */
bool keep_counts(const struct keep *keep, uint32_t log);
uint64_t keep_segment_live(const struct keep *keep, uint32_t log, uint32_t segment);
uint64_t keep_live_total(const struct keep *keep);
uint64_t keep_keys(const struct keep *keep);

/* Before marks are asked for; then after the last was given; and after the walk (K2). */
void keep_walk_prepare(struct keep *keep);
void keep_walk_begin(struct keep *keep);
/*
 * Fills `out` with whole entries (snapshot.h) of the next keys, at most `buckets` buckets of them,
 * and moves *cursor (0 at first). Returns the bytes; *ended when the index is through.
 */
uint32_t keep_walk(struct keep *keep, uint64_t *cursor, uint32_t buckets, uint8_t *out,
		   uint32_t out_bytes, bool *ended);
void keep_walk_end(struct keep *keep);

#endif
