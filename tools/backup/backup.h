/* SPDX-License-Identifier: Apache-2.0 */
/*
 * backup.h - a copy of a data directory as of one moment, taken while its node serves.
 *
 * Which moment, and why the copy is consistent:
 *
 * B1. The moment is `cut`, the hybrid time of the wall clock when the backup begins. No commit that
 *     is in any log then may have a later number: backup_moment() looks, and waits until the clock
 *     is past them (it is behind them only if it was set back). From then on every worker numbers
 *     its commits above the cut, but for the pass that it is in: so a second is waited before
 *     anything is copied.
 * B2. Of each worker's log all is kept before the first record above the cut. Numbers rise within
 *     a log, so that is all of it up to the cut. What was acknowledged before the backup began is
 *     durable, and so on disk before anything is copied, and not above the cut: it is in the copy.
 * B3. Whoever read or overwrote a visible version has a number above that version's. So if a commit
 *     is in the copy, all it could see is numbered below the cut, was durable before it, and
 *     is in the copy, whichever log it is in.
 * B4. Only checkpoints that were whole before the cut was taken are copied: they hold nothing above
 *     it.
 * B5. While the hold is had (flock(2) on the file `backup`), the keeper frees no segment. One that
 *     it was about to free when the hold was taken is not needed: its live writes are in the
 *     kept log, which is copied last, whole, and says only where things are.
 * B6. A log is written on while it is copied, so that a group may be torn in the copy and whole in
 *     the log: a scan of the copy then finds damage, and what lies from there on is copied again.
 *     What is in flight when the copy begins has long ended by then.
 */
#ifndef ABAFT_TOOLS_BACKUP_BACKUP_H
#define ABAFT_TOOLS_BACKUP_BACKUP_H

#include <stdbool.h>
#include <stdint.h>

#include "dataplane/log/checkpoint.h"
#include "dataplane/log/datadir.h"
#include "tools/backup/manifest.h"

struct backup {
	const char *from, *to;
	struct datadir dir; /* the source */
	int to_fd;
	uint64_t cut;
	uint32_t checkpoints;	     /* that were copied */
	struct checkpoint_head head; /* of the older of them */
	struct manifest manifest;
	uint64_t records; /* behind its marks */
};

/* Prints a sentence on stderr; returns err. */
int backup_failed(int err, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* moment.c */
/* Sets cut and time (B1). 0, -EAGAIN (the clock is behind by more than can be waited for) or
 * another error, said. */
int backup_moment(struct backup *backup) __attribute__((warn_unused_result));
/* The highest time in the newest groups of a log; 0: it has none. */
int backup_newest_time(int dir_fd, const uint8_t node_id[16], uint32_t log, uint64_t *time)
	__attribute__((warn_unused_result));

/* segments.c */
struct segment_list {
	uint32_t *numbers; /* ascending; the caller frees them */
	size_t count;
};
/* All of a log, and how qsort() and bsearch() compare them. */
int backup_list_all(int log_fd, struct segment_list *out) __attribute__((warn_unused_result));
int segment_by_number(const void *a, const void *b);
/* The segments of a log that hold groups (at least one segment, if there is any). */
int backup_list(int log_fd, const uint8_t node_id[16], uint32_t log, struct segment_list *out)
	__attribute__((warn_unused_result));
/* Copies the segments of a log from number `first` on. */
int backup_copy_log(struct backup *backup, uint32_t log, uint32_t first)
	__attribute__((warn_unused_result));

/* cut.c */
/* Cuts the copy of a log at the first record above the backup's cut, once it scans well (B6). */
int backup_cut_log(struct backup *backup, uint32_t log) __attribute__((warn_unused_result));

#endif
