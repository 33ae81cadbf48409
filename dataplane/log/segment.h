/* SPDX-License-Identifier: Apache-2.0 */
/*
 * segment.h - segments made ahead of need, off the data path, of zeros or of segments that were
 * freed.
 *
 * A thread per log opens the segments that exist behind the tail and makes new ones until `ahead`
 * of them are ready; the log's owner takes them without waiting. What the keeper frees the same
 * thread makes into a new segment, which saves writing zeros, if it has the right length and no
 * more than SEGMENT_RECYCLED_AHEAD times `ahead` are there (one, while room is short: segment.c,
 * I5); else its file goes. Over a device without threads (the simulator) the same work is done
 * within the callers' calls.
 *
 * Each segment gets a handle of its own for reading on the shelf, and its room there is claimed
 * before its file is made and given back when the file is gone.
 */
#ifndef ABAFT_LOG_SEGMENT_H
#define ABAFT_LOG_SEGMENT_H

#include <stdbool.h>
#include <stdint.h>

#include "dataplane/log/logdev.h"

struct shelf;

/* Two: one can be filled while the next is zeroed. */
#define SEGMENT_AHEAD_DEFAULT  2
#define SEGMENT_AHEAD_MAX      64
/* Cleaning frees some at once, and is asked for as many again later: so it bears keeping a few. */
#define SEGMENT_RECYCLED_AHEAD 2
/* Freed ones that wait for the thread. */
#define SEGMENT_FREED_MAX      64

#define SEGMENT_NAME_BYTES 24
void segment_name(char name[SEGMENT_NAME_BYTES], uint32_t number);
/* 0 and the number, or -EINVAL: not a segment's name. */
int segment_name_parse(const char *name, uint32_t *number) __attribute__((warn_unused_result));

struct segment {
	uint64_t bytes;
	uint32_t number;
	int handle; /* of the device; who takes the segment closes it */
};

struct segment_plan {
	struct shelf *shelf;	/* NULL: nobody reads them, and there is no bound */
	uint64_t segment_bytes; /* of new ones */
	uint32_t log;		/* number */
	uint32_t next;		/* number to begin with; those before are closed */
	uint32_t ahead;
	bool closed; /* none are taken or made */
};

struct segments;
int segments_create(struct segments **out, struct logdev *dev, const struct segment_plan *plan)
	__attribute__((warn_unused_result));
/* One that is on disk, before any other call, in rising order: puts it on the shelf. `claimed`: its
 * room already is. */
int segments_found(struct segments *segments, uint32_t number, uint64_t bytes, bool claimed)
	__attribute__((warn_unused_result));
/* Starts the thread; before that, segments_take() makes what it gives. */
int segments_start(struct segments *segments) __attribute__((warn_unused_result));
/* Owner thread. 0, -EAGAIN (being made), or why it could not be made: -ENOSPC, ... (retried). */
int segments_take(struct segments *segments, struct segment *out)
	__attribute__((warn_unused_result));
/* As log_free_segment(). */
int segments_free(struct segments *segments, uint32_t number) __attribute__((warn_unused_result));
/* Any thread. Segments on disk; how many of them are ready to be taken; how many were recycled. */
uint64_t segments_on_disk(const struct segments *segments);
uint64_t segments_ready(const struct segments *segments);
uint64_t segments_recycled(const struct segments *segments);
/* Joins the thread, closes what was not taken, takes all off the shelf. */
void segments_destroy(struct segments *segments);

#endif
