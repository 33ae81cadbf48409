/* SPDX-License-Identifier: Apache-2.0 */
/* forecast.c - see forecast.h. */
#include "control/forecast.h"

#include "dataplane/worker_info.h"

static uint64_t us_of(uint64_t bytes, uint64_t rate)
{
	return bytes == UINT64_MAX ? UINT64_MAX : (uint64_t)((double)bytes * 1e6 / (double)rate);
}

void forecast_make(struct forecast *out, const struct forecast_facts *facts)
{
	const struct keeper_stats *keeper = &facts->keeper;
	uint64_t checkpoint = keeper->checkpoint_number != 0 ? keeper->checkpoint_bytes : 0;

	out->measured = facts->recovered_bytes >= FORECAST_BYTES_MIN && facts->recovered_us > 0;
	out->rate = out->measured ? (uint64_t)((double)facts->recovered_bytes * 1e6 /
					       (double)facts->recovered_us)
				  : FORECAST_RATE;
	out->rate = out->rate > 0 ? out->rate : 1;
	out->bytes = checkpoint + (facts->keeps ? keeper->tail_bytes : keeper->log_bytes);
	out->bytes_max = facts->keeps && keeper->tail_bytes_max != UINT64_MAX
				 ? checkpoint + keeper->tail_bytes_max
				 : UINT64_MAX;
	/* The keeper sees growth a moment late. */
	if (out->bytes_max < out->bytes)
		out->bytes_max = out->bytes;
	out->us = us_of(out->bytes, out->rate);
	out->us_max = us_of(out->bytes_max, out->rate);
}

void forecast_info(const struct forecast_facts *facts, struct info_text *text)
{
	const struct keeper_stats *keeper = &facts->keeper;
	struct forecast forecast;

	forecast_make(&forecast, facts);
	info_number(text, "data_live_bytes", keeper->live_bytes);
	info_number(text, "data_disk_bytes", keeper->log_bytes);
	info_number(text, "data_disk_bytes_max", facts->log_bytes_max);
	info_number(text, "restart_bytes", forecast.bytes);
	info_number(text, "restart_bytes_max", forecast.bytes_max);
	info_number(text, "restart_us", forecast.us);
	info_number(text, "restart_us_max", forecast.us_max);
	info_number(text, "restart_rate", forecast.rate);
	info_number(text, "restart_rate_measured", forecast.measured);
	if (!facts->keeps)
		return;
	info_number(text, "checkpoint_number", keeper->checkpoint_number);
	info_number(text, "checkpoint_bytes", keeper->checkpoint_bytes);
	info_number(text, "checkpoints_bytes", keeper->checkpoints_bytes);
	info_number(text, "checkpoint_us", keeper->checkpoint_us);
	info_number(text, "checkpoint_age_us",
		    facts->wall_us > keeper->checkpoint_wall_us && keeper->checkpoint_wall_us != 0
			    ? facts->wall_us - keeper->checkpoint_wall_us
			    : 0);
	info_number(text, "checkpoints", keeper->checkpoints);
	info_number(text, "checkpoint_failures", keeper->checkpoint_failures);
	info_number(text, "checkpoint_error", (uint64_t)(keeper->error < 0 ? -keeper->error : 0));
	info_number(text, "checkpoint_tail_bytes", keeper->tail_bytes);
	info_number(text, "cleaned_segments", keeper->cleaned_segments);
	info_number(text, "cleaned_bytes", keeper->cleaned_bytes);
	info_number(text, "kept_bytes", keeper->kept_bytes);
	info_number(text, "clean_damaged_segments", keeper->damaged_segments);
	info_number(text, "clean_damaged_bytes", keeper->damaged_bytes);
	info_number(text, "clean_read_errors", keeper->read_errors);
	info_number(text, "clean_error",
		    (uint64_t)(keeper->kept_error < 0 ? -keeper->kept_error : 0));
}
