/* SPDX-License-Identifier: Apache-2.0 */
/*
 * devices.h - where a node keeps what it must not lose: a directory, a storage engine, or a
 * directory and a little later an engine. Whose that is, which logs there are, and a device for
 *each log and for the checkpoints. The one place that knows what lies behind them.
 *
 *	devices_open()		nobody else on this machine may use it from now on; waits for
 *nothing devices_meet()		whose it is and what there is; waits for the engine
 *	devices_log()		twice for each log: to read it, then to append to it
 *	devices_checkpoints()
 *	devices_close()		when all of these are destroyed
 *
 * Who waits for an engine waits until it answers, or devices_cut(): then all that waits ends with
 * -ECANCELED, and so does whatever is begun afterwards. engine_watch.h stands by meanwhile.
 *
 * Main thread only, but for devices_log(), which one thread for each log may call, devices_held()
 * and devices_cut().
 */
#ifndef ABAFT_CONTROL_DEVICES_H
#define ABAFT_CONTROL_DEVICES_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <abaft/limits.h>

#include "control/config.h"
#include "control/engine_seen.h"
#include "control/faults.h"
#include "dataplane/log/datadir.h"

struct behind;
struct engine;
struct engine_facts;
struct filedev;
struct logdev;
struct remote;

#define DEVICES_WHY_BYTES 640

struct devices {
	const struct config *config;
	const char *place; /* what messages call it */
	uint8_t node_id[16];
	uint32_t logs[ABAFT_LOGS_MAX]; /* numbers of the logs that are there, ascending */
	uint32_t logs_count;
	struct engine *engine; /* NULL: none */
	struct remote *remote;
	struct behind *behind; /* there is a directory, too */
	struct engine_seen seen;
	int lost; /* as engine_seen_look() said */
	atomic_bool cut;
	struct datadir dir;
	int hold_fd; /* the file that a backup locks */
	bool local;  /* `dir` and `hold_fd` are open */
};

/* 0, or a negative errno with a sentence in why[DEVICES_WHY_BYTES]; devices_close() then too.
 * `devices` begins as zeros; `config` outlives it. */
int devices_open(struct devices *devices, const struct config *config, char *why)
	__attribute__((warn_unused_result));
/* The same. */
int devices_meet(struct devices *devices, char *why) __attribute__((warn_unused_result));
/* The caller destroys it. With `create` for appending, alone; else for reading: -ENOENT when there
 * is no such log. */
int devices_log(const struct devices *devices, uint32_t number, bool create, struct logdev **out,
		char *why, size_t why_bytes) __attribute__((warn_unused_result));
int devices_checkpoints(const struct devices *devices, struct filedev **out, char *why,
			size_t why_bytes) __attribute__((warn_unused_result));
/* The engine does not refuse a name that is taken, as far as was found out: a second node that uses
 * it would not be kept out. */
bool devices_unfenced(const struct devices *devices);
/* A backup copies files: none of them may go. */
bool devices_held(const struct devices *devices);
/* How the engine is, at `mono_us`. Called each second. When it has lost what it had acknowledged,
 * nothing more is built on that: devices_cut(). */
void devices_look(struct devices *devices, uint64_t mono_us, struct faults_engine *out);
/* Any thread. False: there is no engine. */
bool devices_facts(const struct devices *devices, struct engine_facts *out);
/* It has not answered for FAULTS_ENGINE_US, or is cut. */
bool devices_failing(struct devices *devices);
/* Any thread. Nothing without an engine. */
void devices_cut(struct devices *devices);
void devices_close(struct devices *devices);

#endif
