/* SPDX-License-Identifier: Apache-2.0 */
/*
 * forecast.h - what is on disk and what a restart would cost, as lines of worker 0's INFO.
 *
 * A restart reads one checkpoint and the log behind its marks. How long that takes is estimated by
 * the rate of the last recovery, or by FORECAST_RATE while that read too little to tell. Pure.
 */
#ifndef ABAFT_CONTROL_FORECAST_H
#define ABAFT_CONTROL_FORECAST_H

#include <stdbool.h>
#include <stdint.h>

#include "dataplane/keeper.h"

struct info_text;

/* Bytes per second: what a small machine with one disk does. */
#define FORECAST_RATE	   (UINT64_C(200) << 20)
/* A recovery that read less says nothing of the rate. */
#define FORECAST_BYTES_MIN (UINT64_C(64) << 20)

struct forecast_facts {
	uint64_t wall_us;
	uint64_t recovered_bytes, recovered_us; /* by the last restart */
	uint64_t log_bytes_max;			/* 0: the disk's end */
	bool keeps; /* there is a keeper: else live_bytes and log_bytes alone count */
	struct keeper_stats keeper;
};

struct forecast {
	uint64_t rate; /* bytes per second */
	bool measured; /* by the last recovery */
	/* Read by a restart now, and at most by configuration (UINT64_MAX: no bound). */
	uint64_t bytes, bytes_max;
	uint64_t us, us_max;
};

void forecast_make(struct forecast *out, const struct forecast_facts *facts);
void forecast_info(const struct forecast_facts *facts, struct info_text *text);

#endif
