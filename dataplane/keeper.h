/* SPDX-License-Identifier: Apache-2.0 */
/*
 * keeper.h - the thread that keeps the logs: checkpoints of the index, and cleaning of segments.
 *
 * The keeper ties core and log as a worker does, but never serves: it asks workers through posts
 * (post.h), looks into the store through core/keep.h, writes checkpoints (log/checkpoint.h), and
 * has a log of its own, the *kept log* (number ABAFT_LOG_KEPT), into which it copies what is still
 * live in the segments that it cleans. keeper_step() does a bounded piece and returns: the daemon
 * calls it from a thread, the simulation in turn with the workers.
 *
 * The rules that make a restart right:
 *
 * Q1. Two checkpoints are kept. `covered` are the marks of the older valid one: everything before
 *     them is in both. Without two, nothing is cleaned.
 * Q2. A segment is a victim only if all of it lies before `covered`. So of a victim only the live
 *     versions matter: its tombstones and outcomes have done their work or stand in both
 *     checkpoints.
 * Q3. A live write is copied to the kept log; when the copy is durable its version's place moves
 *     there (keep_move). The victim leaves the shelf when no write in it is live, and its file is
 *     recycled when nobody reads it any more.
 * Q4. At restart a kept record only says where a version stands now: it is applied if the
 *     checkpoint or a log has brought that very version (key and number), else ignored. So copies
 *     may be replayed in any order, twice, or beside their originals.
 * Q5. The kept log's mark in a checkpoint is one up to which all moves are done. So a place in a
 *     checkpoint is either good, or corrected by a kept record behind the mark; with the older
 *     checkpoint, too, as by Q2 its victims were cleaned after it.
 */
#ifndef ABAFT_DATAPLANE_KEEPER_H
#define ABAFT_DATAPLANE_KEEPER_H

#include <stdbool.h>
#include <stdint.h>

#include <abaft/limits.h>

#include "dataplane/log/checkpoint.h"

struct keeper;
struct filedev;
struct log;
struct post;
struct shelf;
struct store;

/* A victim that cannot be emptied: what is live in it cannot be read. Its file stays. */
struct keeper_damage {
	uint32_t log, segment;
	uint64_t offset; /* of the first group that is not whole */
	uint64_t bytes;	 /* live, not in memory, and not readable here */
};

struct keeper_config {
	struct store *store;
	struct shelf *shelf;
	struct filedev *checkpoints;
	struct log *kept; /* opened; the keeper's own from now on, but for closing it */
	struct log *logs[ABAFT_WORKERS_MAX]; /* by number, those of workers and older ones; for
						their segments */
	struct post *posts;		     /* of workers 0 to workers - 1 */
	uint32_t workers;
	uint8_t node_id[16];
	void (*wake)(void *arg, uint32_t worker); /* it may sleep; may be NULL */
	void *wake_arg;
	bool (*held)(void *arg); /* a backup reads the files: free none; may be NULL */
	void *held_arg;
	/* Once for each damaged segment, from the keeper's thread; may be NULL. */
	void (*report)(void *arg, const struct keeper_damage *damage);
	void *report_arg;
	/* Checkpoint when the logs have grown by this since the last, or by four times the last
	 * one's size if that is more; 0: never, nor any cleaning. */
	uint64_t checkpoint_bytes;
	/* Clean while live bytes are less than this share of the segments', percent; 0: never. */
	uint32_t use_percent;
	/* Bytes of victims read per second, at most, while there is room; 0: no limit. */
	uint64_t clean_rate;
	/* Room is short, so that it cleans at full speed, while less than this is left of the
	 * shelf's bytes_max. A few segments above what the shelf reserves for the kept log. */
	uint64_t room_bytes;
};

/* What recovery found: the checkpoint in force and the one before; zero numbers: none. */
struct keeper_found {
	uint32_t number_max; /* of any checkpoint's file, valid or not */
	struct checkpoint_head newest, older;
	struct checkpoint_stats newest_stats;
};

/* 0, -ENOMEM, or -EINVAL: the store does not count a log's live bytes (store_config.logs), so it
 * would all be freed. */
int keeper_create(struct keeper **out, const struct keeper_config *config,
		  const struct keeper_found *found) __attribute__((warn_unused_result));
void keeper_destroy(struct keeper *keeper);
/* A bounded piece of work. Returns microseconds until it wants to be called again; 0: at once. */
uint64_t keeper_step(struct keeper *keeper, uint64_t wall_us, uint64_t mono_us);
/* A checkpoint as soon as can be (close, backup). Any thread. */
void keeper_ask_checkpoint(struct keeper *keeper);
/* The thread: steps until told to stop. What is under way then, a checkpoint or a victim, is left
 * as it is: a file that never gets its name, copies that nobody refers to. */
int keeper_start(struct keeper *keeper) __attribute__((warn_unused_result));
void keeper_stop(struct keeper *keeper);

/* Any thread; values may be a moment old. */
struct keeper_stats {
	uint64_t checkpoints, checkpoint_failures;
	uint32_t checkpoint_number;  /* of the newest valid one */
	uint64_t checkpoint_bytes;   /* its size */
	uint64_t checkpoints_bytes;  /* of all that were written since the start */
	uint64_t checkpoint_wall_us; /* when it was begun */
	uint64_t checkpoint_us;	     /* how long it took */
	uint64_t tail_bytes;	     /* of log behind its marks: what a restart now would replay */
	/*
	 * What tail_bytes can become: what one checkpoint is away from the next (checkpoint_bytes,
	 * above), and what is written while one is, of which no configuration knows the disk's
	 * speed: the most so far. UINT64_MAX: no bound.
	 */
	uint64_t tail_bytes_max;
	uint64_t live_bytes, log_bytes;
	uint64_t cleaned_segments, cleaned_bytes; /* read as victims */
	uint64_t kept_bytes;			  /* copied to the kept log */
	uint64_t damaged_segments, damaged_bytes; /* live, but damaged on disk: these stay */
	uint64_t read_errors;			  /* blocks of victims that the disk did not give */
	int error;				  /* of the last checkpoint, 0: it went well */
	/* 0, or why the kept log failed: nothing more is cleaned until a restart. (That it has no
	 * room is none: cleaning goes on when there is some.) */
	int kept_error;
};
void keeper_stats(const struct keeper *keeper, struct keeper_stats *out);

#endif
