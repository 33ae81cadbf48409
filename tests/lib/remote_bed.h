/* SPDX-License-Identifier: Apache-2.0 */
/*
 * remote_bed.h - nodes that keep one log over one storage (engine_fake.h), the model of what must
 * be in it, and checkpoints that are nothing but marks.
 *
 * Several nodes may be up at a time: at most one of them is the newest that opened the log, and
 * those before it do not know that they were shut out. What is checked, at every acknowledgement
 * and every start (all abort, with the seed):
 *
 * M1. What was acknowledged, by whomever, is found by each later start: the same bytes, at the same
 *     number and place. (Over a storage that forgets: all but a tail that nothing tells of.)
 * M2. Each record stands in the log once.
 * M3. Who was shut out acknowledges nothing but what the one that opened after it has found.
 * M4. No start says that a log is damaged whose storage kept its word.
 */
#ifndef ABAFT_TESTS_REMOTE_BED_H
#define ABAFT_TESTS_REMOTE_BED_H

#include <stdbool.h>
#include <stdint.h>

#include "dataplane/log/log.h"
#include "dataplane/log/recover.h"
#include "dataplane/remote/remote.h"
#include "tests/lib/engine_fake.h"

#define REMOTE_BED_RECORDS_MAX 20000
#define REMOTE_BED_READS_MAX   16

/* A record's bytes follow from its id, which is its index. */
struct remote_bed_record {
	uint64_t seq, place; /* if it was acknowledged or found */
	uint32_t bytes;
	bool acked, known; /* known: seq and place are */
};

#define REMOTE_BED_COUNTS(X)                                                                       \
	X(starts, "starts")                                                                        \
	X(opens, "logs opened")                                                                    \
	X(stale, "starts refused as another node has the log")                                     \
	X(unreachable, "starts that the storage did not answer")                                   \
	X(acked, "records acknowledged")                                                           \
	X(acked_shut_out, "  by who was shut out, as the next one found them")                     \
	X(survivors, "records found that were not acknowledged")                                   \
	X(failed, "logs that failed")                                                              \
	X(fenced, "  as another node had taken them over")                                         \
	X(marks, "checkpoints")                                                                    \
	X(freed, "segments freed")                                                                 \
	X(reads, "values read")                                                                    \
	X(read_failed, "reads that failed")                                                        \
	X(damaged, "starts refused as the log is damaged")                                         \
	X(tails, "starts that lost acknowledged records at the end")                               \
	X(lost, "  acknowledged records lost")

struct remote_bed_counts {
#define REMOTE_BED_COUNT(name, text) uint64_t name;
	REMOTE_BED_COUNTS(REMOTE_BED_COUNT)
#undef REMOTE_BED_COUNT
};

struct remote_node;

struct remote_bed {
	/* Set by remote_bed_begin(); change before the first start. */
	uint64_t seed;
	uint64_t segment_bytes, bytes_max; /* of all segments; 0: no bound */
	uint32_t log, ahead;
	bool lying;   /* the storage forgets */
	bool verbose; /* prints what happens */

	uint64_t random;
	struct fake_store *store;
	struct now now;
	uint32_t writers;
	struct remote_bed_record record[REMOTE_BED_RECORDS_MAX];
	uint64_t records;
	/* The log as the newest found it, and what it has acknowledged since: ids by number. */
	uint64_t line[REMOTE_BED_RECORDS_MAX + 1];
	uint64_t line_found, line_count;
	const struct remote_node *newest;
	struct log_mark mark[2]; /* the newer and the older checkpoint's; group 0: none */
	/* Somebody opens the log, and may have sealed it. If he then does not, the next one will.
	 */
	bool sealing;
	uint32_t freed_below; /* segments below may be gone */
	struct remote_bed_counts counts;
	char why[512];
};

struct remote_node {
	struct remote_bed *bed;
	struct engine *engine;
	struct remote *remote;
	struct shelf *shelf;
	struct log *log;
	struct log_tail *tail;
	struct log_config config;
	uint64_t first_own; /* number of the first record that it appended itself */
	uint64_t appended, acked;
	uint64_t *own;	  /* ids of those from first_own on */
	uint32_t freeing; /* off the shelf, to be freed; UINT32_MAX: none */
	uint32_t covered; /* segments below are before the older checkpoint that it knows of */
	uint32_t writer;
	uint64_t start; /* the how manieth */
	int error;	/* the log's, when it was counted */
	bool up, opened;
	struct {
		bool used;
		uint64_t id;
		uint32_t bytes;
		uint8_t *to;
	} read[REMOTE_BED_READS_MAX];
	/* While it recovers. */
	uint64_t found;
	uint64_t *found_ids, *found_places;
};

void remote_bed_begin(struct remote_bed *bed, uint64_t seed);
void remote_bed_end(struct remote_bed *bed);

/*
 * A new process: identity, recovery from the newer checkpoint (`whole`: from the beginning, if
 * nothing was freed), opening. 0; -ESTALE, -ETIMEDOUT, -EACCES, -ECANCELED (it was ended
 * meanwhile), or -EBADMSG over a storage that forgets; else it aborts. If it is not 0 the node is
 * down.
 */
int remote_node_start(struct remote_node *node, struct remote_bed *bed, bool whole)
	__attribute__((warn_unused_result));
/* Down: killed, or in good order, which waits for the storage. */
void remote_node_kill(struct remote_node *node);
void remote_node_close(struct remote_node *node);
/* One record; false: BUSY or failed. */
bool remote_node_append(struct remote_node *node, uint32_t bytes);
/* One pass of a worker. */
void remote_node_pass(struct remote_node *node);
/* Passes until all is durable; false: the log failed. */
bool remote_node_drain(struct remote_node *node) __attribute__((warn_unused_result));
/* Asks for some bytes of a record that is in the log. */
void remote_node_read(struct remote_node *node);
/* Passes until nothing is read. */
void remote_node_drain_reads(struct remote_node *node);
/* A checkpoint, behind what is durable; only the newest's counts. */
void remote_node_mark(struct remote_node *node);
/* Frees segments that lie before the older checkpoint that it knows of, `max` at most. */
void remote_node_free(struct remote_node *node, uint32_t max);
/* Objects in the log's directories that belong to no segment of which there is a marker. */
uint32_t remote_bed_orphans(struct remote_bed *bed);

#endif
