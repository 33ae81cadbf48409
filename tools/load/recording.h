/* SPDX-License-Identifier: Apache-2.0 */
/*
 * recording.h - what `abaft load --record DIR` leaves in its folder, for `abaft report` and others.
 *
 *	load.json         what `abaft load -w json` prints
 *	series.jsonl      a line for each second of the run; docs/operations.md names its members
 *	percentiles.json  the distribution of all latencies:
 *{"unit":"us","count":N,"points":[[latency, share of the transactions that took no longer], ...]}
 *
 * stats.jsonl, of `abaft stats --json --every 1`, may be there before.
 *
 * Called by the main thread alone, also while threads run: series.h is what lies between.
 *Everything that goes wrong is said on stderr, once.
 */
#ifndef ABAFT_TOOLS_LOAD_RECORDING_H
#define ABAFT_TOOLS_LOAD_RECORDING_H

#include <stdint.h>

#include "tools/load/load.h"

struct recording;

/* Makes the folder if it is not there and begins the series. Returns an exit code; COMMAND_OK: *out
 * is the caller's to recording_close(). COMMAND_USAGE: something stands in the folder already. */
int recording_open(struct recording **out, const char *folder);
/* Writes the seconds that all threads have passed, if there are any. */
void recording_collect(struct recording *recording, struct load *load);
/* When all threads have ended, and still are there: writes the seconds that are left. The run took
 * `seconds`. */
void recording_end(struct recording *recording, struct load *load, double seconds);
/* Writes the other two files. Returns an exit code, also for what went wrong before. */
int recording_result(struct recording *recording, const struct load *load,
		     const struct load_counts *counts, double seconds);
/* Without a result before it, removes what was written, and the folder if it was made here. */
void recording_close(struct recording *recording);

#endif
