/* SPDX-License-Identifier: Apache-2.0 */
/*
 * watchdog.c - see watchdog.h.
 */
#include "control/watchdog.h"

#include <stdio.h>

void watchdog_begin(struct watchdog *watchdog, uint64_t mono_us)
{
	watchdog->sent_us = mono_us;
	watchdog->next_us = mono_us;
	for (uint32_t w = 0; w < watchdog->workers; w++)
		watchdog->worker[w] = (struct watchdog_worker){
			.passes = watchdog->passes(watchdog->arg, w), .moved_us = mono_us};
}

static void tell(struct watchdog *watchdog, uint32_t w, uint64_t still_us)
{
	bool hung = watchdog->worker[w].hung;
	char text[WATCHDOG_TEXT_BYTES];

	if (hung)
		snprintf(text, sizeof(text),
			 "worker %u has made no pass for %.2f s: it hangs, and the service manager "
			 "hears nothing more until it goes on; what it does: gdb -p the daemon, "
			 "thread abaft-worker%u",
			 w, (double)still_us / 1e6, w % 100);
	else
		snprintf(text, sizeof(text), "worker %u goes on, after %.2f s", w,
			 (double)still_us / 1e6);
	watchdog->say(watchdog->arg, hung ? REPORT_ERROR : REPORT_INFO, hung ? "hung" : "going",
		      text);
}

/* Whether the worker has made a pass since the last sign of life, and does not hang since. */
static bool look_at(struct watchdog *watchdog, uint32_t w, uint64_t mono_us)
{
	struct watchdog_worker *worker = &watchdog->worker[w];
	uint64_t passes = watchdog->passes(watchdog->arg, w);
	uint64_t still_us = mono_us - worker->moved_us;
	bool moved = passes != worker->passes;

	if (moved) {
		worker->passes = passes;
		worker->moved_us = mono_us;
	}
	if (moved ? worker->hung : !worker->hung && still_us >= watchdog->interval_us / 2) {
		worker->hung = !moved;
		tell(watchdog, w, still_us);
	}
	watchdog->kick(watchdog->arg, w);
	return worker->moved_us > watchdog->sent_us && !worker->hung;
}

uint64_t watchdog_look(struct watchdog *watchdog, uint64_t mono_us)
{
	uint64_t quarter_us = watchdog->interval_us / 4;
	bool all = true;

	if (watchdog->interval_us == 0)
		return UINT64_MAX;
	if (mono_us < watchdog->next_us)
		return watchdog->next_us - mono_us;
	for (uint32_t w = 0; w < watchdog->workers; w++)
		all &= look_at(watchdog, w, mono_us);
	if (all && mono_us - watchdog->sent_us >= watchdog->interval_us / 2) {
		watchdog->alive(watchdog->arg);
		watchdog->sent_us = mono_us;
	}
	/* An interval of some microseconds is a mistake, but must not keep the main thread busy. */
	watchdog->next_us = mono_us + (quarter_us > 1000 ? quarter_us : 1000);
	return watchdog->next_us - mono_us;
}
