/* SPDX-License-Identifier: Apache-2.0 */
/*
 * faults.h - tells the operator what is wrong with the disk: once when it begins, with what to do,
 * and once when it is over. Called with what is seen, every second; pure but for what it says.
 */
#ifndef ABAFT_CONTROL_FAULTS_H
#define ABAFT_CONTROL_FAULTS_H

#include <stdbool.h>
#include <stdint.h>

#include "control/report.h"
#include "dataplane/core/node.h"

#define FAULTS_TEXT_BYTES 512

struct faults_seen {
	uint64_t mono_us;
	int log_error; /* of all logs, a failed one's before a full one's */
	int no_room;
	uint64_t stalled_us;	   /* the longest; 0: none */
	uint64_t corrupt;	   /* values that were found damaged on disk, so far */
	struct node_damage damage; /* one of the last of them */
	uint64_t unread;	   /* values that the disk did not give back, so far */
	int checkpoint_error;	   /* of the last one; 0: it went well */
	int kept_error;		   /* why the log of what cleaning keeps failed; 0: it did not */
};

struct faults {
	struct faults_seen told;
	uint64_t values_us; /* when damaged or unread values were told last; 0: never */
	bool stalled, checkpoints;
	void (*say)(void *arg, enum report_level level, const char *text);
	void *arg;
};

/* `faults` begins as zeros but for say and arg. */
void faults_look(struct faults *faults, const struct faults_seen *seen);

#endif
