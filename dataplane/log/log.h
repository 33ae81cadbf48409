/* SPDX-License-Identifier: Apache-2.0 */
/*
 * log.h - one worker's commit log: opaque records in, durable records out, in order.
 *
 * The log knows nothing of transactions: a record is a type and bytes. The owner thread reserves
 * room in the group that is being gathered, encodes in place, and is told in order when the record
 * is durable. Never waits; never allocates after open. All calls: the owner thread only.
 *
 *	p = log_reserve(log, bytes)  -> NULL: BUSY, all groups are full or in flight
 *	... fill p[0..bytes) ...
 *	seq = log_append(log, bytes, type)
 *	log_submit(log, now)         once per pass: starts a write if one is due (no wait)
 *	log_poll(log)                once per pass: takes completions
 *	log_durable(log)             every record with sequence <= this one is durable
 */
#ifndef ABAFT_LOG_LOG_H
#define ABAFT_LOG_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dataplane/core/now.h"

struct log;
struct logdev;
struct telemetry;

struct log_config {
	const char *dir;	 /* data directory of the node; the log lives in dir/log-NNN */
	uint32_t number;	 /* NNN: the worker's number */
	uint8_t node_id[16];	 /* identity of the data directory, in every group */
	uint64_t segment_bytes;	 /* multiple of ABAFT_LOG_BLOCK_BYTES */
	uint32_t segments_ahead; /* made ready before they are needed; 0: a good number */
	bool sync;		 /* false: benchmarks only, acknowledges without fdatasync */
	bool dsync;		 /* each write is durable by itself instead of a sync behind it */
	struct shelf *shelf;	 /* of all logs; NULL: never read from or cleaned, no bound */
	struct telemetry *telemetry; /* its worker's, or NULL: no times are measured */
	/* Takes no records and makes no segments: a log that is only read and cleaned. Of log.h's
	 * calls only log_mark(), log_stats(), log_free_segment() and log_close() are for it. */
	bool closed;
};

struct log_stats {
	uint64_t records, record_bytes, groups, group_bytes; /* since open */
	uint64_t segments;				     /* on disk */
	uint64_t in_flight_max;
	int no_room;	     /* 0, or the errno for which log_error() says -ENOSPC */
	uint64_t recycled;   /* segments made of freed ones */
	uint64_t stalled_us; /* log_stalled_us() */
	uint64_t reads, read_bytes, device_reads; /* cold values, and what the disk was asked */
	uint64_t read_errors;			  /* of device_reads, those that failed */
};

/* A place between groups: where the replay of a log begins. All 0: the log's beginning. */
struct log_mark {
	uint64_t group;	 /* last before it */
	uint64_t record; /* last before it */
	uint64_t offset; /* in `segment` */
	uint32_t segment;
	uint32_t previous_crc; /* header checksum of that group */
	uint32_t incarnation;  /* of that group */
};

/*
 * Opens the log for appending behind what log_recover() found (`tail`), or as a new log when `tail`
 * is NULL. Starts the thread that makes segments ahead, and writes nothing else yet.
 * Returns 0, -EEXIST (a log is there but no tail was given), -ENOSPC, or what a syscall said;
 * `why` gets a sentence for people.
 */
struct log_tail;
int log_open(struct log **out, const struct log_config *config, const struct log_tail *tail,
	     char *why, size_t why_bytes);
/* Waits for what is in flight, seals the tail, closes. After a failure it only closes. */
void log_close(struct log *log);

/* Room for one record of `bytes` (<= ABAFT_LOG_GROUP_BYTES_MAX less overhead), 8-byte aligned.
 * NULL when every group is full or in flight (BUSY), or full/failed: see log_error(). */
uint8_t *log_reserve(struct log *log, uint32_t bytes);
/* Completes the reservation; bytes may be less than reserved. Returns the record's sequence
 * number, from 1 up without gaps over the life of the log, restarts included. */
uint64_t log_append(struct log *log, uint32_t bytes, uint8_t type);
/* Place (core/place.h) of the first byte of the data of the record that was appended last. */
uint64_t log_place(const struct log *log);
/* Behind the last durable group, as of the last log_poll(): every record before it is durable. */
void log_mark(const struct log *log, struct log_mark *out);
/* Starts writing the gathered group if a slot is free; at most one io_uring_enter. Never waits to
 * fill. `now` is this pass's: the age of the segments that it left, and of the writes in flight. */
void log_submit(struct log *log, struct now now);
/* Takes completions. Returns the highest durable sequence number (also log_durable()). */
uint64_t log_poll(struct log *log);
uint64_t log_durable(const struct log *log);
/*
 * 0, -ENOSPC, or the errno after which nothing more will become durable (failed write or sync).
 * -ENOSPC: there is no next segment, for the shelf's bound, a full disk, a quota, or whatever else
 * making or opening one ran into (log_stats() names it). What was appended still becomes durable,
 * reads go on, and so does the log when a segment can be made: it tries again every second. A write
 * that the disk does not end (log_stalled_us()) is no error: appends are BUSY once all groups wait.
 */
int log_error(const struct log *log);
/* How long the oldest write has been in flight as of the last log_submit(); 0: less than
 * ABAFT_LOG_STALL_MS, or none is, or the log failed. */
uint64_t log_stalled_us(const struct log *log);
/* When the group of a record that has just become durable was given to the device, by
 * telemetry.now_ns; 0: not known (any more). Until the next log_reserve(). */
uint64_t log_given_ns(const struct log *log, uint64_t record);
/* True when appended records are not yet durable. */
bool log_busy(const struct log *log);
/* Polls readable when a completion waits, of a write or a read: for an idle worker's sleep. */
int log_sleep_fd(const struct log *log);
void log_stats(const struct log *log, struct log_stats *out);

/*
 * Cold reads: bytes of any log of the shelf, read without waiting. Neighbours that are asked for
 * in one pass come in one read. Their completions are taken by log_poll(), like the writes'.
 */
struct log_read {
	uint64_t place; /* of the first byte wanted */
	uint32_t bytes; /* to ABAFT_VALUE_BYTES_MAX */
	uint8_t *to;	/* filled before log_read_done() names the tag; any alignment */
	uint64_t tag;
};
struct log_read_done {
	uint64_t tag;
	int result; /* 0 or a negative errno */
};
/* 0, -EAGAIN (as many as there may be are waiting), -ESTALE (no such segment: load the place
 * again), -EINVAL (no bytes, too many, or not all in the segment). Started by log_submit(), behind
 * the writes. What the device failed to read is read once more before log_read_done() says so. */
int log_read(struct log *log, const struct log_read *read) __attribute__((warn_unused_result));
/* Takes up to `max` reads that have ended. */
uint32_t log_read_done(struct log *log, struct log_read_done *done, uint32_t max);

/*
 * One thread at a time (the keeper), not necessarily the owner. The segment, which left the shelf
 * (shelf_gone()), is not needed any more: its file becomes a new segment of this log, or goes, and
 * gives its room back. 0 or -EAGAIN: ask again later.
 */
int log_free_segment(struct log *log, uint32_t segment) __attribute__((warn_unused_result));

/*
 * Recovery: reads dir/log-NNN from its first segment to its true end and hands over each record in
 * order. Stops at the true end; anything else that is wrong is corruption: -EBADMSG with a sentence
 * that names segment, offset and what is affected. Makes what it handed over durable before it
 * returns. Any thread, one per log. `tail` is filled for log_open(); free with log_tail_free().
 * -ENOENT: there is no such log (a new one may be opened with tail NULL).
 * A non-zero return of `fn` stops and is returned.
 */
typedef int (*log_record_fn)(void *arg, uint64_t seq, uint8_t type, uint64_t place,
			     const uint8_t *data, uint32_t bytes);
/* From `mark` on (NULL, or group 0: from the beginning): earlier segments may be missing, and are
 * not read; a log that a mark knows must be there. `place` is that of data[0]. */
int log_recover(const struct log_config *config, const struct log_mark *mark, log_record_fn fn,
		void *arg, struct log_tail **tail, char *why, size_t why_bytes);
void log_tail_free(struct log_tail *tail);

#endif
