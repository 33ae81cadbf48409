/* SPDX-License-Identifier: Apache-2.0 */
/*
 * faults.h - tells the operator what is wrong with the disk or the storage engine: once when it
 * begins, with what to do, and once when it is over. Called with what is seen, every second; pure
 * but for what it says.
 */
#ifndef ABAFT_CONTROL_FAULTS_H
#define ABAFT_CONTROL_FAULTS_H

#include <stdbool.h>
#include <stdint.h>

#include "control/report.h"
#include "dataplane/core/node.h"

#define FAULTS_TEXT_BYTES 768
#define FAULTS_WHY_BYTES  512
/* Tries of an engine fail now and then; it does not answer when all have for so long. */
#define FAULTS_ENGINE_US  UINT64_C(2000000)

struct faults_engine {
	const char *url;	    /* NULL: there is none */
	bool behind;		    /* a disk has the logs, and it gets them a little later */
	uint64_t lag_bytes;	    /* what it lacks then */
	int behind_error;	    /* why it gets nothing more; 0: it does */
	uint64_t failing_us;	    /* for so long none of its tries has succeeded */
	int error;		    /* of the last one */
	int lost;		    /* -ENOENT: it has lost all; -ESTALE: it has another's */
	char why[FAULTS_WHY_BYTES]; /* of the last try that failed */
};

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
	struct faults_engine engine;
};

struct faults {
	struct faults_seen told;
	uint64_t values_us; /* when damaged or unread values were told last; 0: never */
	bool stalled, checkpoints, engine;
	void (*say)(void *arg, enum report_level level, const char *text);
	void *arg;
};

/* "does not answer", or what else an engine does that fails with this errno. */
const char *faults_engine_does(int error);
/* `faults` begins as zeros but for say and arg. */
void faults_look(struct faults *faults, const struct faults_seen *seen);

#endif
