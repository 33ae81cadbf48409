/* SPDX-License-Identifier: Apache-2.0 */
/*
 * watchdog.h - tells the service manager that all is well, for as long as every worker goes round
 * its loop; when one hangs it tells people which, and the manager nothing, which then ends and
 * restarts the node.
 *
 * It looks four times in the manager's interval, and wakes sleeping workers each time, so that they
 * make a pass until the next. A worker that made none for half an interval hangs, until it makes
 * one. A sign of life goes out when half an interval is over, all workers have made a pass since
 * the last sign, and none hangs: one that was slow for a moment delays it by a quarter.
 *
 * Main thread. Pure but for the functions it is given.
 */
#ifndef ABAFT_CONTROL_WATCHDOG_H
#define ABAFT_CONTROL_WATCHDOG_H

#include <stdbool.h>
#include <stdint.h>

#include <abaft/limits.h>

#include "control/report.h"

#define WATCHDOG_TEXT_BYTES 256

struct watchdog_worker {
	uint64_t passes;   /* when it was seen last */
	uint64_t moved_us; /* when they were seen to have grown */
	bool hung;	   /* and was told of */
};

struct watchdog {
	/* Set by the caller, the rest by watchdog_begin(). */
	uint64_t interval_us; /* after which the manager gives up; 0: nobody asks */
	uint32_t workers;
	uint64_t (*passes)(void *arg, uint32_t worker);
	void (*kick)(void *arg, uint32_t worker); /* wakes it if it sleeps */
	void (*alive)(void *arg);		  /* sends the sign of life */
	void (*say)(void *arg, enum report_level level, const char *event, const char *text);
	void *arg;

	uint64_t next_us, sent_us;
	struct watchdog_worker worker[ABAFT_WORKERS_MAX];
};

/* From here on the interval counts: when the manager has been told that the node is ready. */
void watchdog_begin(struct watchdog *watchdog, uint64_t mono_us);
/* Looks if it is time to. Returns how long until the next look; UINT64_MAX: never. */
uint64_t watchdog_look(struct watchdog *watchdog, uint64_t mono_us);

#endif
