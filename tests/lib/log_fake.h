/* SPDX-License-Identifier: Apache-2.0 */
/*
 * log_fake.h - a commit log in memory for tests of the core: bounded, in order, durable when the
 * test says so, and failing where it asks.
 *
 * It is the other side of struct node_log. A test appends through a node, calls log_fake_sync()
 * and hands log->durable to node_durable(). log_fake_crash() keeps what is durable; log_fake_replay
 * gives it to node_recover().
 */
#ifndef ABAFT_TESTS_LOG_FAKE_H
#define ABAFT_TESTS_LOG_FAKE_H

#include <stdbool.h>
#include <stdint.h>

#include <abaft/limits.h>

#include "dataplane/core/node.h"
#include "dataplane/core/place.h"

#define LOG_FAKE_READS ABAFT_FETCHES_MAX

/* Places are those of `space` in segments of this length, behind a first block as in a real log. */
#define LOG_FAKE_SEGMENT_BYTES (64u << 10)
#define LOG_FAKE_FIRST_BYTES   ABAFT_LOG_BLOCK_BYTES

struct log_fake_record {
	uint8_t *data;
	uint64_t place;
	uint32_t bytes;
	uint8_t type;
};

struct log_fake {
	uint32_t number;		 /* of the log, in places */
	struct log_fake_record *records; /* sequence number i + 1 */
	uint64_t count, records_max;
	uint8_t *space; /* all records' bytes */
	uint64_t used, bytes_max;
	uint32_t reserved; /* bytes of an open reservation */
	uint64_t durable;
	/* Misbehaviour. */
	bool busy;	   /* reserve() returns NULL */
	int error;	   /* what error() says */
	int reserve_error; /* becomes `error` when a reservation is refused */
	uint64_t reserves, refused;
	/* Cold reads, in the order they came. */
	struct log_fake *shelf; /* all logs that can be read: shelf[place_log()] */
	uint32_t shelf_logs;
	struct node_read reads[LOG_FAKE_READS];
	uint32_t reading;
	uint64_t reads_asked; /* those that were refused, too */
	/* Misbehaviour of reads. */
	uint32_t reads_max;   /* at a time; more are told -EAGAIN */
	uint32_t stale;	      /* so many more are told -ESTALE */
	int read_refused;     /* what the next ones are told, if not 0 */
	uint32_t read_damage; /* so many more are given one bit turned */
	int read_error;	      /* how they end, if not 0 */
};

/* 0 or -ENOMEM. When it is full it is busy for ever: reserve() returns NULL. */
int log_fake_init(struct log_fake *log, uint64_t records_max, uint64_t bytes_max)
	__attribute__((warn_unused_result));
void log_fake_fini(struct log_fake *log);
/* What node_attach_log() takes. */
struct node_log log_fake_ops(struct log_fake *log);

/* Up to n more records become durable; returns the sequence number of the last durable one. */
uint64_t log_fake_sync(struct log_fake *log, uint64_t n);
/* The read that came `which`-th of those that wait ends: fills its buffer, or fails as told.
 * Returns its result, and its tag. */
int log_fake_read(struct log_fake *log, uint32_t which, uint64_t *tag);
/* Forgets what is not durable, and all reads, as a crash does. */
void log_fake_crash(struct log_fake *log);
/* Hands durable records from, from + 1, ... (0: the first) to node_recover(), as log `number`.
 * Returns its first error or 0. */
int log_fake_replay(const struct log_fake *log, uint32_t number, uint64_t from,
		    struct node *nodes[], uint32_t workers) __attribute__((warn_unused_result));

#endif
