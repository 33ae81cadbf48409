/* SPDX-License-Identifier: Apache-2.0 */
/*
 * shelf.h - all segments that a node has on disk, of all its logs: who is there, how to read it,
 * and whether somebody does. The file side of what core/space.h counts.
 *
 *	on the shelf ──shelf_remove()──▶ leaving (no new readers) ──last reader gone──▶ off
 *
 * One shelf per process, shared by all logs. Any thread, no locks: a segment's entry is one word
 * (number, state, readers) changed by compare-and-swap. Entries are a ring by segment number.
 */
#ifndef ABAFT_LOG_SHELF_H
#define ABAFT_LOG_SHELF_H

#include <stdbool.h>
#include <stdint.h>

#include <abaft/limits.h>

struct logdev;
struct shelf;

struct shelf_segment {
	struct logdev *dev; /* whose handle it is */
	uint64_t bytes;
	uint64_t time; /* hybrid time of the youngest write in it: its age; 0: not known */
	uint32_t log, segment;
	int handle; /* for reading; belongs to the shelf */
	bool open;  /* its log still appends to it, or will */
};

/* bytes_max: of all segments together, 0: the disk's end. `reserve`: of these, what only the kept
 * log may take, so that there is always room to clean. */
int shelf_create(struct shelf **out, uint64_t bytes_max, uint64_t reserve)
	__attribute__((warn_unused_result));
/* Closes the handles that are left: before their devices are destroyed. */
void shelf_destroy(struct shelf *shelf);

/* Room for a new segment of `log`: 0 or -ENOSPC. Give back with shelf_unclaim() if it fails. */
int shelf_claim(struct shelf *shelf, uint32_t log, uint64_t bytes)
	__attribute__((warn_unused_result));
void shelf_unclaim(struct shelf *shelf, uint64_t bytes);
/* Puts a segment (claimed before) there. 0, or -ENOSPC: its ring entry is taken by another. */
int shelf_add(struct shelf *shelf, const struct shelf_segment *segment)
	__attribute__((warn_unused_result));
/* Its log appends no more to it; `time` as above. */
void shelf_close(struct shelf *shelf, uint32_t log, uint32_t segment, uint64_t time);

/* Readers. The handle stays good until shelf_give(). -ESTALE: it is not there (any more). */
int shelf_hold(struct shelf *shelf, uint32_t log, uint32_t segment, struct shelf_segment *out)
	__attribute__((warn_unused_result));
void shelf_give(struct shelf *shelf, uint32_t log, uint32_t segment);

/* The keeper: nothing refers to it any more. From now on nobody new can hold it. */
void shelf_remove(struct shelf *shelf, uint32_t log, uint32_t segment);
/* A removed segment whose readers have gone: closes its handle, gives its room back, true. */
bool shelf_gone(struct shelf *shelf, uint32_t log, uint32_t segment);

/* The next segment of `log` with a number >= *segment, whatever its state: false at the end. */
bool shelf_next(const struct shelf *shelf, uint32_t log, uint32_t *segment,
		struct shelf_segment *out);
uint64_t shelf_bytes(const struct shelf *shelf);     /* on disk */
uint64_t shelf_bytes_max(const struct shelf *shelf); /* 0: no bound */

#endif
