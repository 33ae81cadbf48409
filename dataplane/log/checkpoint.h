/* SPDX-License-Identifier: Apache-2.0 */
/*
 * checkpoint.h - the index on disk: file format, writing, reading. docs/log-format.md repeats it.
 *
 * A checkpoint is a file of blocks, each a multiple of 4096 long, at most CHECKPOINT_BLOCK_BYTES:
 *
 *	HEAD  where each log's replay begins (marks)
 *	SEGMENTS  the segments there are, each with its length and the time of its youngest write
 *	KEYS ...  entries of core/snapshot.h
 *	OUTCOMES ...
 *	END   the horizon, how many blocks and entries there are, and the sum over their sums
 *
 * Each block has a header of 64 bytes with the magic "ABCK", format version, kind, node id,
 * checkpoint number, its own index, lengths, and CRC32C of payload and header. So a block of
 *another node, another checkpoint or another place is told from one that belongs here.
 *
 * V1. A checkpoint is valid if every block from HEAD to END is whole and in its place. Nothing of
 *     one is applied before all of it was found valid.
 * V2. Everything up to its marks is in it; what it holds beyond that is also in the logs behind the
 *     marks, and replaying it changes nothing.
 */
#ifndef ABAFT_LOG_CHECKPOINT_H
#define ABAFT_LOG_CHECKPOINT_H

#include <stddef.h>
#include <stdint.h>

#include <abaft/limits.h>

#include "dataplane/log/filedev.h"
#include "dataplane/log/log.h"

#define CHECKPOINT_BLOCK_BYTES	 (256u << 10)
#define CHECKPOINT_PAYLOAD_BYTES (CHECKPOINT_BLOCK_BYTES - 64)

enum checkpoint_kind {
	CHECKPOINT_HEAD = 1,
	CHECKPOINT_SEGMENTS,
	CHECKPOINT_KEYS,
	CHECKPOINT_OUTCOMES,
	CHECKPOINT_END,
};

struct checkpoint_mark {
	uint32_t log;
	struct log_mark mark;
};

struct checkpoint_segment {
	uint32_t log, segment;
	uint64_t bytes;
	uint64_t time; /* as shelf.h */
};

struct checkpoint_head {
	uint32_t number; /* of the file: from 1 up */
	uint32_t logs;
	uint64_t wall_us; /* when it was begun, UTC */
	uint64_t time;	  /* hybrid: no number before the marks is above it, deleted keys' too */
	/* Ids up to this may have no outcome in it. Stands in END: outcomes still leave the nodes
	 * while they are being written. */
	uint64_t horizon_ms;
	struct checkpoint_mark mark[ABAFT_LOGS_MAX];
};

struct checkpoint_stats {
	uint64_t bytes, keys, outcomes, segments;
};

/* Writing. The caller owns the device; one checkpoint at a time. */
struct checkpoint_writer;
int checkpoint_begin(struct checkpoint_writer **out, struct filedev *dev, const uint8_t node_id[16],
		     const struct checkpoint_head *head) __attribute__((warn_unused_result));
int checkpoint_segments(struct checkpoint_writer *writer, const struct checkpoint_segment *segments,
			uint32_t count) __attribute__((warn_unused_result));
/* Whole entries of one kind, at most CHECKPOINT_PAYLOAD_BYTES; written as blocks fill. */
int checkpoint_add(struct checkpoint_writer *writer, enum checkpoint_kind kind, const uint8_t *data,
		   uint32_t bytes, uint32_t entries) __attribute__((warn_unused_result));
/* Ends it, durably, and frees the writer, also when it fails: then there is no such file. */
int checkpoint_finish(struct checkpoint_writer *writer, uint64_t horizon_ms,
		      struct checkpoint_stats *stats) __attribute__((warn_unused_result));
void checkpoint_abandon(struct checkpoint_writer *writer);

/* Reading. Non-zero of a visitor stops and is returned. Entries come as whole payloads. */
struct checkpoint_visitor {
	void *arg;
	int (*segments)(void *arg, const struct checkpoint_segment *segments, uint32_t count);
	int (*keys)(void *arg, const uint8_t *data, uint32_t bytes);
	int (*outcomes)(void *arg, const uint8_t *data, uint32_t bytes);
};
/* Reads it through and says whether it is valid (V1): 0, -EBADMSG with a sentence that names block
 * and byte, or what the device said. */
int checkpoint_verify(struct filedev *dev, const uint8_t node_id[16], uint32_t number,
		      struct checkpoint_head *head, struct checkpoint_stats *stats, char *why,
		      size_t why_bytes) __attribute__((warn_unused_result));
/* As checkpoint_verify(), and hands its entries over: only after it was verified. */
int checkpoint_load(struct filedev *dev, const uint8_t node_id[16], uint32_t number,
		    const struct checkpoint_visitor *visitor, char *why, size_t why_bytes)
	__attribute__((warn_unused_result));
/* All numbers there are, newest first, at most `max`. Returns how many, or a negative errno. */
int checkpoint_list(struct filedev *dev, uint32_t *numbers, uint32_t max)
	__attribute__((warn_unused_result));

#endif
