/* SPDX-License-Identifier: Apache-2.0 */
/*
 * checkpoint.h - the index on disk: file format, writing, reading. docs/log-format.md repeats it.
 *
 * A checkpoint is a file of blocks, back to back, each a multiple of 4096 long, at most
 * CHECKPOINT_BLOCK_BYTES: a header of 64 bytes, payload, zeros. All numbers are little-endian.
 *
 *	HEAD      where each log's replay begins (marks)
 *	SEGMENTS  the segments there are, each with its length and the time of its youngest write
 *	KEYS      entries of core/snapshot.h
 *	OUTCOMES  the same
 *	END       the horizon, how many blocks and entries there are; the file ends with it
 *
 * HEAD is the first and END the last; those between come in any order and number.
 *
 * Block header:
 *	 0  u32  magic 0x4b434241 ("ABCK")
 *	 4  u16  format version: 2, as the data directory's
 *	 6  u16  kind: 1 to 5, as above
 *	 8  16 B node id
 *	24  u32  checkpoint number, as in the file's name
 *	28  u32  index of this block: from 0 up
 *	32  u32  its offset in the file / 4096
 *	36  u32  entries in it
 *	40  u32  payload bytes
 *	44  u32  CRC32C of all behind the header up to the block's end
 *	48  u32  header checksum of the block before (0 in HEAD): the chain
 *	52  8 B  0
 *	60  u32  header checksum: CRC32C of bytes 0 to 59
 *
 * HEAD:	u64 wall_us, u64 time, u32 logs, u32 0; for each log (ascending), 40 bytes: u32 log,
 *		u32 segment, u64 group, u64 record, u64 offset, u32 previous_crc, u32 incarnation
 * SEGMENTS:	entries of 24 bytes: u32 log, u32 segment, u64 bytes, u64 time
 * END:		u64 horizon_ms, u64 keys, u64 outcomes, u64 segments, u32 blocks (these two, too),
 *u32 0
 *
 * So a block of another node, another checkpoint, another attempt at this one, or another place is
 * told from one that belongs here; END's header sums the whole file up, through the chain.
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

#define CHECKPOINT_FORMAT	 2
#define CHECKPOINT_HEADER_BYTES	 64u
#define CHECKPOINT_BLOCK_BYTES	 (256u << 10)
#define CHECKPOINT_PAYLOAD_BYTES (CHECKPOINT_BLOCK_BYTES - CHECKPOINT_HEADER_BYTES)

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

/* Writing. The caller owns the device; one checkpoint at a time. What failed once goes on failing
 * in the same way, until checkpoint_finish() or checkpoint_abandon() frees the writer. -EINVAL: a
 * head or entries that no reader would take. */
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
/*
 * Hands its entries over. Only after checkpoint_verify() said 0 (V1): this reads it once more, and
 * hands over each block that is whole before it has seen the next one. -EBADMSG then says that it
 * was damaged between the two, and that what was handed over must be thrown away.
 */
int checkpoint_load(struct filedev *dev, const uint8_t node_id[16], uint32_t number,
		    const struct checkpoint_visitor *visitor, char *why, size_t why_bytes)
	__attribute__((warn_unused_result));
/* The numbers there are, newest first, at most `max`. Returns how many, or a negative errno: -E2BIG
 * when there are more than ABAFT_CHECKPOINTS_MAX files. */
int checkpoint_list(struct filedev *dev, uint32_t *numbers, uint32_t max)
	__attribute__((warn_unused_result));

#endif
