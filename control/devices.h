/* SPDX-License-Identifier: Apache-2.0 */
/*
 * devices.h - where a node keeps what it must not lose: whose that is, which logs there are, and a
 * device for each log and for the checkpoints. The one place that knows what lies behind them.
 *
 *	devices_open()		whose it is and what there is; nobody else may use it from now on
 *	devices_log()		twice for each log: to read it, then to append to it
 *	devices_checkpoints()
 *	devices_close()		when all of these are destroyed
 *
 * Main thread only, but for devices_log(), which one thread for each log may call, and
 * devices_held().
 */
#ifndef ABAFT_CONTROL_DEVICES_H
#define ABAFT_CONTROL_DEVICES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <abaft/limits.h>

#include "control/config.h"
#include "dataplane/log/datadir.h"

struct filedev;
struct logdev;

#define DEVICES_WHY_BYTES 640

struct devices {
	const char *place; /* what messages call it */
	uint8_t node_id[16];
	uint32_t logs[ABAFT_LOGS_MAX]; /* numbers of the logs that are there, ascending */
	uint32_t logs_count;
	struct datadir dir;
	int hold_fd; /* the file that a backup locks */
	bool local;  /* `dir` and `hold_fd` are open */
};

/* 0, or a negative errno with a sentence in why[DEVICES_WHY_BYTES]; devices_close() then too.
 * `devices` begins as zeros; `config` outlives it. */
int devices_open(struct devices *devices, const struct config *config, char *why)
	__attribute__((warn_unused_result));
/* The caller destroys it. With `create` for appending, alone; else for reading: -ENOENT when there
 * is no such log. */
int devices_log(const struct devices *devices, uint32_t number, bool create, struct logdev **out,
		char *why, size_t why_bytes) __attribute__((warn_unused_result));
int devices_checkpoints(const struct devices *devices, struct filedev **out, char *why,
			size_t why_bytes) __attribute__((warn_unused_result));
/* A backup copies files: none of them may go. */
bool devices_held(const struct devices *devices);
void devices_close(struct devices *devices);

#endif
