/* SPDX-License-Identifier: Apache-2.0 */
/*
 * segment.h - segments made ahead of need, off the data path.
 *
 * A thread per log opens the segments that exist behind the tail and makes new ones, full of
 * zeros, until `ahead` of them are ready; the log's owner takes them without waiting. Over a device
 * without threads (the simulator) the same work is done within the owner's calls.
 */
#ifndef ABAFT_LOG_SEGMENT_H
#define ABAFT_LOG_SEGMENT_H

#include <stdint.h>

#include "dataplane/log/logdev.h"

/* Two: one can be filled while the next is zeroed. */
#define SEGMENT_AHEAD_DEFAULT 2
#define SEGMENT_AHEAD_MAX     64

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
	uint64_t segment_bytes; /* of new ones */
	uint64_t bytes_max;	/* of all; 0: no limit */
	uint64_t bytes;		/* of those on disk */
	uint32_t next;		/* number to begin with */
	uint32_t end;		/* behind the last number on disk */
	uint32_t segments;	/* on disk */
	uint32_t ahead;
};

struct segments;
int segments_create(struct segments **out, struct logdev *dev, const struct segment_plan *plan)
	__attribute__((warn_unused_result));
/* Starts the thread; before that, segments_take() makes what it gives. */
int segments_start(struct segments *segments) __attribute__((warn_unused_result));
/* Owner thread. 0, -EAGAIN (being made), or why it could not be made: -ENOSPC, ... (retried). */
int segments_take(struct segments *segments, struct segment *out)
	__attribute__((warn_unused_result));
/* Any thread. Segments on disk; and how many of them are ready to be taken. */
uint64_t segments_on_disk(const struct segments *segments);
uint64_t segments_ready(const struct segments *segments);
/* Joins the thread, closes what was not taken. */
void segments_destroy(struct segments *segments);

#endif
