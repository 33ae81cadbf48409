/* SPDX-License-Identifier: Apache-2.0 */
/*
 * behind.h - write-back: logs and checkpoints on a disk, and what is durable there on a storage
 * engine a little later (engine-ack = log).
 *
 *	log ──▶ near device (disk) ──durable──▶ acknowledged
 *	              │ read back, in order, up to 4 MiB at a time
 *	              ▼
 *	         far device (remote.h)
 *
 * The engine gets the same bytes under the same names as it does without a disk (remote.h), but
 * several neighbouring groups in one object when there are some. A log has a thread for this.
 *
 * B1. The engine never has of a log what is not durable on the disk, nor a hole: of each log one
 *     object at a time is under way, in the log's order. (Its parts go at once; so a log comes to
 *     4 MiB for each round trip, at most.)
 * B2. What the disk is ahead is bounded (lag): beyond it writes are held back, so the log fills and
 *     its senders are told BUSY.
 * B3. A start goes on where the engine's last object ends: what a crash left behind is written
 *     first. An object of the last run that arrives after that is taken for what it is, if it holds
 *     the same bytes as the disk; else somebody else writes this log, and that is the end.
 * B4. Before a segment is removed from the engine, and before a checkpoint counts there, all that
 *     was durable in any log until then is there. So what the engine has can be started from, by a
 *     node that has lost its disk; it misses at most the lag.
 */
#ifndef ABAFT_REMOTE_BEHIND_H
#define ABAFT_REMOTE_BEHIND_H

#include <stdbool.h>
#include <stdint.h>

#include "dataplane/log/filedev.h"
#include "dataplane/log/logdev.h"

struct behind;
struct remote;

struct behind_stats {
	uint64_t lag_bytes; /* durable on the disk, not in the engine; all logs */
	uint64_t lag_bytes_max;
	uint64_t shipped_bytes;
	uint64_t objects;
	int error; /* 0, or why a log is not written back any more (-ESTALE: another node did) */
};

/* `lag_bytes`: of each log. 0 or -ENOMEM. */
int behind_create(struct behind **out, struct remote *remote, uint64_t lag_bytes)
	__attribute__((warn_unused_result));
/* All devices are destroyed. */
void behind_destroy(struct behind *behind);
/* Waits for nothing any more: the node stops while the engine is away. Any thread. */
void behind_give_up(struct behind *behind);
/* Any thread. */
void behind_stats(struct behind *behind, struct behind_stats *out);

/* For appending; to read a log its near device is enough. `near` is the device's from then on, also
 * when this fails. */
int behind_logdev(struct behind *behind, uint32_t number, const uint8_t node_id[16],
		  struct logdev *near, struct logdev **out) __attribute__((warn_unused_result));
int behind_filedev(struct behind *behind, struct filedev *near, struct filedev **out)
	__attribute__((warn_unused_result));

#endif
