/* SPDX-License-Identifier: Apache-2.0 */
/*
 * shelf.h - all segments that a node has on disk, of all its logs: who is there, how to read it,
 * and whether somebody does. The file side of what core/space.h counts.
 *
 *	on the shelf ──shelf_remove()──▶ leaving (no new readers) ──last reader gone──▶ off
 *
 * One shelf per process, shared by all logs. Any thread, no locks: a segment's entry is one word
 * (number, state, readers) changed by compare-and-swap; the proof is in shelf.c. Entries of a log
 * are a ring by segment number, so no more than ABAFT_LOG_SEGMENTS_MAX numbers of a log, from its
 * oldest to its newest, are there at a time.
 *
 * Who calls what: a log puts its segments there and closes them (shelf_claim() to shelf_forget());
 * logs and the keeper read (shelf_hold(), shelf_give()); the keeper alone removes.
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
	/* Its age: wall clock, microseconds since 1970, of the pass in which its log left it, so no
	 * earlier than its youngest write; 0: not known (found on disk, see shelf_close()). */
	uint64_t time;
	uint32_t log, segment;
	int handle;   /* for reading; belongs to the shelf */
	bool open;    /* its log still appends to it, or will */
	bool leaving; /* removed; told by shelf_next() only */
};

/* bytes_max: of all segments together, 0: the disk's end. `reserve`: of these, what only the kept
 * log may take, so that there is always room to clean. 0 or -ENOMEM. */
int shelf_create(struct shelf **out, uint64_t bytes_max, uint64_t reserve)
	__attribute__((warn_unused_result));
/* Closes the handles that are left: before their devices are destroyed. */
void shelf_destroy(struct shelf *shelf);

/* Room for a new segment of `log`: 0 or -ENOSPC. Give back with shelf_unclaim() when its file is
 * gone again. With `bytes` 0: whether the log may keep what it has claimed. */
int shelf_claim(struct shelf *shelf, uint32_t log, uint64_t bytes)
	__attribute__((warn_unused_result));
void shelf_unclaim(struct shelf *shelf, uint64_t bytes);
/* Whether every log could claim one more such segment: else a log keeps no more ahead than one, so
 * that an idle log's do not shut out a busy one. */
bool shelf_ample(const struct shelf *shelf, uint64_t bytes);
/*
 * The disk itself is full, or a quota, and the kept log lacks a segment (true) or has it (false).
 * Until then claims of all other logs are refused, so what is freed meanwhile goes to the kept log:
 * cleaning, which has to write a little before it frees much, never starves for want of room that
 * the others took.
 */
void shelf_kept_first(struct shelf *shelf, bool first);
/* Claims for files that are there already: never refused. */
void shelf_found(struct shelf *shelf, uint64_t bytes);
/* Puts a segment (claimed before) there. One thread at a time for each log, in rising order of
 * numbers. 0, -ENOSPC: its ring entry is taken by another, or -ENOMEM (a log's first). */
int shelf_add(struct shelf *shelf, const struct shelf_segment *segment)
	__attribute__((warn_unused_result));
/* Its log appends no more to it; `time` as above. Of one that is closed it sets the time: that is
 * how who knows it from a checkpoint tells the time of a segment that was found on disk. */
void shelf_close(struct shelf *shelf, uint32_t log, uint32_t segment, uint64_t time);
/* All of a log's segments leave and their handles are closed: before its device is destroyed.
 * Nobody adds or removes meanwhile; who still holds one may give it back afterwards, but not use
 * its handle. */
void shelf_forget(struct shelf *shelf, uint32_t log);

/* Readers. The handle stays good until shelf_give(). -ESTALE: it is not there (any more). */
int shelf_hold(struct shelf *shelf, uint32_t log, uint32_t segment, struct shelf_segment *out)
	__attribute__((warn_unused_result));
void shelf_give(struct shelf *shelf, uint32_t log, uint32_t segment);

/* The keeper: nothing refers to it any more. From now on nobody new can hold it. An open one
 * stays. */
void shelf_remove(struct shelf *shelf, uint32_t log, uint32_t segment);
/* True, once: of a removed segment the readers have gone, its handle is closed and it is off the
 * shelf. Its file still takes its room, until log_free_segment() has made something of it. */
bool shelf_gone(struct shelf *shelf, uint32_t log, uint32_t segment);

/* The next segment of `log` with a number >= *segment, whatever its state: false at the end. A
 * picture of the moment; the handle in it is nobody's to use. */
bool shelf_next(const struct shelf *shelf, uint32_t log, uint32_t *segment,
		struct shelf_segment *out);
uint64_t shelf_bytes(const struct shelf *shelf);     /* on disk */
uint64_t shelf_bytes_max(const struct shelf *shelf); /* 0: no bound */

#endif
