/* SPDX-License-Identifier: Apache-2.0 */
/*
 * opened.h - what an open struct scrape holds, for the sources of this room alone.
 */
#ifndef ABAFT_TELEMETRY_OPENED_H
#define ABAFT_TELEMETRY_OPENED_H

#include "telemetry/pinned.h"
#include "telemetry/scrape.h"

/* scrape.c has a row for each. */
enum opened_map {
	OPENED_NODE,
	OPENED_SLOW,
	OPENED_ENGINE,
	OPENED_STEER_COUNTERS,
	OPENED_STEER_BYTES,
	OPENED_TENANTS,
	OPENED_THIEVES,
	OPENED_SOFTIRQS,
	OPENED_EACH_WORKER, /* from here on: a slot for each worker */
	OPENED_HISTOGRAMS = OPENED_EACH_WORKER + 4,
	OPENED_KERNEL_HISTOGRAMS = OPENED_HISTOGRAMS + HISTOGRAM_COUNT,
	OPENED_MAPS = OPENED_KERNEL_HISTOGRAMS + HISTOGRAM_KERNEL_COUNT,
};

struct scrape {
	char pin_dir[SCRAPE_PATH_BYTES];
	uint32_t workers;
	struct pinned maps[OPENED_MAPS]; /* fd -1: not there */
	uint8_t *room;			 /* for what bpf() copies, the largest of it */
};

#endif
