/* SPDX-License-Identifier: Apache-2.0 */
/* log.h - what the sources of `abaft log` share. */
#ifndef ABAFT_TOOLS_COMMAND_LOG_H
#define ABAFT_TOOLS_COMMAND_LOG_H

#include <stdbool.h>
#include <stdint.h>

#include "dataplane/log/checkpoint.h"
#include "dataplane/log/recover.h"
#include "tools/command/command.h"

struct datadir;

struct log_reading {
	struct command_options options;
	const char *path;
	int64_t number;	    /* of the only log; -1: all */
	int64_t checkpoint; /* whose entries are printed; -1: none's */
	bool dump, stats;
	/* The log that is being read, and what was found in it. */
	uint32_t log;
	uint64_t group;
	bool sealed; /* the last group is a seal */
	uint64_t groups, records, bytes, commits, aborts, kept, lost, malformed, damages;
};

/* log_print.c: visitors of whole groups and records (`arg`: the reading), which count, and print
 * if it is a dump. */
int log_on_group(void *arg, const struct group_header *group, uint64_t offset);
int log_on_record(void *arg, uint64_t sequence, uint8_t type, uint64_t place, const uint8_t *data,
		  uint32_t bytes);
/* Quoted; what is not printable ASCII as an escape that JSON knows. */
void log_print_key(const uint8_t *key, uint32_t bytes);

/*
 * log_checkpoint.c: verifies all checkpoints, prints what they are. Returns an exit code;
 * head->number is 0 if there is no valid one, else *head is of the newest.
 */
int log_checkpoints(struct log_reading *reading, const struct datadir *dir,
		    struct checkpoint_head *head);
/* Prints the entries of reading->checkpoint. */
int log_checkpoint_entries(struct log_reading *reading, const struct datadir *dir);

/* log_stats.c: segments, live bytes, and what a restart reads. Returns an exit code. */
int log_stats_of(struct log_reading *reading, const struct datadir *dir);

#endif
