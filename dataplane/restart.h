/* SPDX-License-Identifier: Apache-2.0 */
/*
 * restart.h - from what is on disk to nodes that can serve: the newest valid checkpoint, then the
 * tails of all logs behind its marks. The daemon (control/storage.c) and the simulation call the
 * same code, over different disks.
 *
 *	restart_run()    checkpoints verified, entries and records in the nodes, tails known
 *	log_open()       of every log, with its tail; fills the shelf
 *	restart_check()  every place that a version names is on the shelf; segments get their age
 *	keeper_create()  with `found`
 *	restart_free()
 *
 * The rules:
 *
 * S1. The newest valid checkpoint is loaded, else the one before; a damaged one is never used in
 *     part. `note` then says which was passed over, and why.
 * S2. Without any, all logs are read from their beginning. log_recover() refuses a log whose first
 *     segments are gone, so this only succeeds if nothing was ever cleaned.
 * S3. A log that a mark names must be there, and a segment that a version's place names.
 */
#ifndef ABAFT_DATAPLANE_RESTART_H
#define ABAFT_DATAPLANE_RESTART_H

#include <stdbool.h>
#include <stdint.h>

#include <abaft/limits.h>

#include "dataplane/keeper.h"
#include "dataplane/log/log.h"

struct filedev;
struct node;
struct shelf;

#define RESTART_WHY_BYTES 512

struct restart_source {
	struct filedev *checkpoints; /* NULL: there are none */
	uint8_t node_id[16];
	uint32_t logs[ABAFT_LOGS_MAX]; /* numbers of those on disk, the kept log among them */
	uint32_t logs_count;
	/* As log_recover() of that log. Each log's on a thread of its own if `threads`. */
	int (*recover)(void *arg, uint32_t log, const struct log_mark *mark, log_record_fn fn,
		       void *fn_arg, struct log_tail **tail, char *why, size_t why_bytes);
	void *arg;
	bool threads;
};

struct restart {
	struct log_tail *tails[ABAFT_LOGS_MAX]; /* by the log's number; NULL: a new one */
	struct keeper_found found;
	uint64_t records;      /* of tails, of workers' logs */
	uint64_t kept_records; /* of the kept log's tail */
	uint64_t checkpoint_us, elapsed_us;
	char note[RESTART_WHY_BYTES];	     /* for people, "": nothing was passed over */
	struct checkpoint_segment *segments; /* of the checkpoint */
	uint32_t segments_count;
};

/*
 * Before any worker runs, into nodes that are new. 0 or a negative errno with a sentence in
 * why[RESTART_WHY_BYTES]; restart_free() afterwards in both cases.
 */
int restart_run(struct restart *restart, const struct restart_source *source, struct node *nodes[],
		uint32_t workers, char *why) __attribute__((warn_unused_result));
/*
 * When all logs are open. -EBADMSG with a sentence: a segment that versions stand in is missing, it
 * names log, segment, how many keys, and one of them.
 */
int restart_check(const struct restart *restart, struct node *nodes[], struct shelf *shelf,
		  char *why) __attribute__((warn_unused_result));
void restart_free(struct restart *restart);

#endif
