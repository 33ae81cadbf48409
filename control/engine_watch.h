/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine_watch.h - stands by while the main thread waits for the storage engine: says what it waits
 * for, and ends the wait where nobody should wait any longer.
 *
 * Start and end of a node call the engine and wait; a storage that is down would keep them for as
 * long as it is down. A thread of its own looks at the engine's health meanwhile. When a signal
 * asks for the end, when the storage refuses us (nothing gets better by waiting), or when the time
 * is over, it calls `cut`: that is to end all of the engine's operations with -ECANCELED, and so
 * the wait.
 */
#ifndef ABAFT_CONTROL_ENGINE_WATCH_H
#define ABAFT_CONTROL_ENGINE_WATCH_H

#include <signal.h>
#include <stdint.h>

#include "control/report.h"

#define ENGINE_WATCH_WHY_BYTES	640
/* A storage that fails is told of after, and again every. */
#define ENGINE_WATCH_SAY_MS	1000
#define ENGINE_WATCH_AGAIN_MS	5000
/* A refusal is believed when it has lasted for. */
#define ENGINE_WATCH_BELIEVE_MS 3000

struct engine;
struct engine_watch;
struct metrics;

enum engine_watch_end {
	ENGINE_WATCH_UNCUT,
	ENGINE_WATCH_SIGNAL,
	ENGINE_WATCH_REFUSED,
	ENGINE_WATCH_LATE,
};

struct engine_watch_config {
	struct engine *engine;
	const struct report *report;
	struct metrics *metrics; /* told why the node is not ready; NULL: none */
	const char *doing;	 /* "starting", "stopping": for messages */
	/* Blocked in all threads; one that comes is taken and cuts. NULL: none does. */
	const sigset_t *signals;
	uint32_t limit_ms;	/* 0: no limit */
	bool refusals;		/* -EACCES and -EPROTO cut */
	void (*cut)(void *arg); /* at most once, by the watch's thread */
	void *cut_arg;
};

/* 0 or a negative errno. What `config` points to outlives the watch. */
int engine_watch_begin(struct engine_watch **out, const struct engine_watch_config *config)
	__attribute__((warn_unused_result));
/* Ends it and frees it; NULL is fine. If it has cut, why[ENGINE_WATCH_WHY_BYTES] says why, without
 * what the storage said; else it is empty. */
enum engine_watch_end engine_watch_end(struct engine_watch *watch, char *why);

#endif
