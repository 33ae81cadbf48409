/* SPDX-License-Identifier: Apache-2.0 */
/* storage.c - see storage.h. The facts are worker 0's (control/forecast.c) and all workers'. */
#include "tools/command/storage.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <abaft/limits.h>

#define MIB	   (1024.0 * 1024.0)
/* One for each worker's log, and one of each other kind. */
#define FAULTS_MAX (ABAFT_WORKERS_MAX + 8)
#define TEXT_BYTES 320

struct facts {
	uint64_t live_bytes, disk_bytes, disk_bytes_max;
	uint64_t cache_values, cache_bytes, cache_hits, cache_misses;
	bool keeps;
	uint64_t checkpoint, checkpoint_bytes, checkpoint_age_us;
	uint64_t tail_bytes, restart_us, restart_us_max, rate;
	bool measured;
	uint64_t cleaned, cleaned_bytes, kept_bytes;
	double amplification; /* 0: nothing was written */
	unsigned int faults;
	char fault[FAULTS_MAX][TEXT_BYTES];
};

static const struct status_row *row_of(const struct status_table *table, const char *name)
{
	for (unsigned int i = 0; i < table->count; i++)
		if (!strcmp(table->rows[i].name, name))
			return &table->rows[i];
	return NULL;
}

/* 0 for what the node does not tell. */
static uint64_t number(const struct status_table *table, const char *name, uint32_t worker)
{
	const struct status_row *row = row_of(table, name);

	return row ? strtoull(row->value[worker], NULL, 10) : 0;
}

static uint64_t total(const struct status_table *table, const char *name)
{
	uint64_t sum = 0;

	for (uint32_t w = 0; w < table->workers; w++)
		sum += number(table, name, w);
	return sum;
}

__attribute__((format(printf, 2, 3))) static void add(struct facts *facts, const char *format, ...)
{
	va_list args;

	if (facts->faults == FAULTS_MAX)
		return;
	va_start(args, format);
	vsnprintf(facts->fault[facts->faults++], TEXT_BYTES, format, args);
	va_end(args);
}

static void add_log_faults(struct facts *facts, const struct status_table *table, uint32_t worker)
{
	int error = (int)number(table, "log_error", worker);
	int no_room = (int)number(table, "log_no_room", worker);
	uint64_t stalled_us = number(table, "log_stalled_us", worker);

	if (error == ENOSPC && no_room != ENOSPC)
		add(facts,
		    "log-%03u cannot be made longer (%s): its commits get NO_SPACE; it goes "
		    "on when that is put right",
		    worker, strerror(no_room));
	else if (error == ENOSPC)
		add(facts,
		    "log-%03u is full: its commits get NO_SPACE until cleaning has made room "
		    "or disk space is free; else raise log-bytes-max",
		    worker);
	else if (error)
		add(facts,
		    "log-%03u failed (%s): all commits get LOG_FAILED until a restart; "
		    "check the disk",
		    worker, strerror(error));
	if (stalled_us)
		add(facts, "log-%03u has waited %.1f s for the disk to end a write", worker,
		    (double)stalled_us / 1e6);
}

/* In the node's words. */
static void add_engine_faults(struct facts *facts, const struct status_table *table)
{
	const struct status_row *why = row_of(table, "engine_why");
	uint64_t failing_us = number(table, "engine_failing_us", 0);
	int behind = (int)number(table, "engine_lag_error", 0);

	if (failing_us)
		add(facts, "the storage engine fails since %.0f s: %s", (double)failing_us / 1e6,
		    why ? why->value[0] : "");
	if (behind)
		add(facts,
		    "the storage engine gets no more of the logs (%s) until a restart; put it "
		    "right",
		    behind == ESTALE ? "another node writes there" : strerror(behind));
}

/* The damaged value that this worker met last. */
static void add_damage(struct facts *facts, const struct status_table *table, uint32_t worker)
{
	const struct status_row *row = row_of(table, "damaged_key");
	uint64_t bytes = number(table, "damaged_key_bytes", worker);
	char key[4 * 64 + 1];
	size_t at = 0;
	unsigned int byte;

	key[0] = '\0';
	for (const char *hex = row ? row->value[worker] : ""; sscanf(hex, "%2x", &byte) == 1;
	     hex += 2)
		at += (size_t)snprintf(key + at, sizeof(key) - at,
				       byte >= 0x20 && byte < 0x7f ? "%c" : "\\x%02x", byte);
	add(facts,
	    "damaged: log-%03" PRIu64 " segment %08" PRIx64 " byte %" PRIu64
	    ", key \"%s\" (%" PRIu64 " bytes)",
	    number(table, "damaged_log", worker), number(table, "damaged_segment", worker),
	    number(table, "damaged_offset", worker), key, bytes);
}

static void add_faults(struct facts *facts, const struct status_table *table)
{
	uint64_t corrupt = total(table, "fetches_corrupt");
	uint64_t unread = total(table, "fetches_failed");
	int error = (int)number(table, "checkpoint_error", 0);
	int cleaning = (int)number(table, "clean_error", 0);
	uint64_t damaged = number(table, "clean_damaged_segments", 0);

	for (uint32_t w = 0; w < table->workers; w++)
		add_log_faults(facts, table, w);
	add_engine_faults(facts, table);
	if (error)
		add(facts, "the last checkpoint could not be written (%s); it is tried again",
		    strerror(error));
	if (cleaning)
		add(facts,
		    "the log of what cleaning keeps failed (%s): nothing more is cleaned until a "
		    "restart; check the disk",
		    strerror(cleaning));
	if (corrupt)
		add(facts,
		    "%" PRIu64 " values that were read since the start are damaged on disk; the "
		    "node answers CORRUPT: write these keys again, or restore a backup",
		    corrupt);
	for (uint32_t w = 0; w < table->workers; w++)
		if (number(table, "damaged_key_bytes", w))
			add_damage(facts, table, w);
	if (unread)
		add(facts,
		    "%" PRIu64 " reads since the start failed on the disk and got "
		    "READ_FAILED",
		    unread);
	if (damaged)
		add(facts,
		    "%" PRIu64 " segments cannot be cleaned: %.1f MiB of live values in "
		    "them are damaged; the node's messages name the places",
		    damaged, (double)number(table, "clean_damaged_bytes", 0) / MIB);
}

/* False: the node tells nothing of its disk. */
static bool collect(struct facts *facts, const struct status_table *table)
{
	uint64_t records = total(table, "log_record_bytes"), more;

	memset(facts, 0, sizeof(*facts));
	if (!row_of(table, "data_disk_bytes"))
		return false;
	facts->live_bytes = number(table, "data_live_bytes", 0);
	facts->disk_bytes = number(table, "data_disk_bytes", 0);
	facts->disk_bytes_max = number(table, "data_disk_bytes_max", 0);
	facts->cache_values = total(table, "cache_values");
	facts->cache_bytes = total(table, "cache_bytes");
	facts->cache_hits = total(table, "cache_hits");
	facts->cache_misses = total(table, "fetches") + total(table, "fetches_joined");
	facts->keeps = row_of(table, "checkpoint_number") != NULL;
	facts->checkpoint = number(table, "checkpoint_number", 0);
	facts->checkpoint_bytes = number(table, "checkpoint_bytes", 0);
	facts->checkpoint_age_us = number(table, "checkpoint_age_us", 0);
	facts->tail_bytes =
		facts->keeps ? number(table, "checkpoint_tail_bytes", 0) : facts->disk_bytes;
	facts->restart_us = number(table, "restart_us", 0);
	facts->restart_us_max = number(table, "restart_us_max", 0);
	facts->rate = number(table, "restart_rate", 0);
	facts->measured = number(table, "restart_rate_measured", 0) != 0;
	facts->cleaned = number(table, "cleaned_segments", 0);
	facts->cleaned_bytes = number(table, "cleaned_bytes", 0);
	facts->kept_bytes = number(table, "kept_bytes", 0);
	more = facts->kept_bytes + number(table, "checkpoints_bytes", 0);
	facts->amplification = records ? (double)(records + more) / (double)records : 0;
	add_faults(facts, table);
	return true;
}

static void print_restart(const struct facts *facts, FILE *file)
{
	fprintf(file, "restart     now reads ");
	if (facts->checkpoint)
		fprintf(file, "%.1f MiB of checkpoint and ", (double)facts->checkpoint_bytes / MIB);
	fprintf(file, "%.1f MiB of log: about %.1f s; ", (double)facts->tail_bytes / MIB,
		(double)facts->restart_us / 1e6);
	if (facts->restart_us_max == UINT64_MAX)
		fprintf(file, "no bound without checkpoints");
	else
		fprintf(file, "at most %.1f s", (double)facts->restart_us_max / 1e6);
	fprintf(file, " (at %.0f MiB/s, %s)\n", (double)facts->rate / MIB,
		facts->measured ? "as the last start did" : "assumed");
}

void storage_print(const struct status_table *table, FILE *file)
{
	struct facts *facts = malloc(sizeof(*facts));
	uint64_t reads;

	if (!facts || !collect(facts, table)) {
		free(facts);
		return;
	}
	fprintf(file, "data        %.1f MiB live, %.1f MiB on disk",
		(double)facts->live_bytes / MIB, (double)facts->disk_bytes / MIB);
	if (facts->disk_bytes_max)
		fprintf(file, " of %.1f MiB", (double)facts->disk_bytes_max / MIB);
	reads = facts->cache_hits + facts->cache_misses;
	fprintf(file, "\ncache       %" PRIu64 " large values, %.1f MiB", facts->cache_values,
		(double)facts->cache_bytes / MIB);
	if (reads)
		fprintf(file, "; %.1f %% of reads of large values hit it",
			100.0 * (double)facts->cache_hits / (double)reads);
	if (!facts->keeps)
		fprintf(file, "\ncheckpoint  none is written (checkpoint = 0)\n");
	else if (!facts->checkpoint)
		fprintf(file, "\ncheckpoint  none yet\n");
	else
		fprintf(file, "\ncheckpoint  %" PRIu64 ", %.1f MiB, begun %.0f s ago\n",
			facts->checkpoint, (double)facts->checkpoint_bytes / MIB,
			(double)facts->checkpoint_age_us / 1e6);
	print_restart(facts, file);
	if (facts->keeps)
		fprintf(file,
			"cleaning    %" PRIu64 " segments, %.1f MiB, of which %.1f MiB were kept",
			facts->cleaned, (double)facts->cleaned_bytes / MIB,
			(double)facts->kept_bytes / MIB);
	if (facts->keeps && facts->amplification > 0)
		fprintf(file, "; %.2f bytes written for each of a commit's", facts->amplification);
	fputs(facts->keeps ? "\n" : "", file);
	for (unsigned int i = 0; i < facts->faults; i++)
		fprintf(file, "fault       %s\n", facts->fault[i]);
	if (!facts->faults)
		fputs("faults      none\n", file);
	fputc('\n', file);
	free(facts);
}

cJSON *storage_json(const struct status_table *table)
{
	struct facts *facts = malloc(sizeof(*facts));
	cJSON *json, *faults;

	if (!facts || !collect(facts, table)) {
		free(facts);
		return NULL;
	}
	json = cJSON_CreateObject();
	cJSON_AddNumberToObject(json, "data_live_bytes", (double)facts->live_bytes);
	cJSON_AddNumberToObject(json, "data_disk_bytes", (double)facts->disk_bytes);
	cJSON_AddNumberToObject(json, "data_disk_bytes_max", (double)facts->disk_bytes_max);
	cJSON_AddNumberToObject(json, "cache_bytes", (double)facts->cache_bytes);
	cJSON_AddNumberToObject(json, "cache_hits", (double)facts->cache_hits);
	cJSON_AddNumberToObject(json, "cache_misses", (double)facts->cache_misses);
	cJSON_AddNumberToObject(json, "checkpoint", (double)facts->checkpoint);
	cJSON_AddNumberToObject(json, "checkpoint_bytes", (double)facts->checkpoint_bytes);
	cJSON_AddNumberToObject(json, "checkpoint_age_s", (double)facts->checkpoint_age_us / 1e6);
	cJSON_AddNumberToObject(json, "tail_bytes", (double)facts->tail_bytes);
	cJSON_AddNumberToObject(json, "restart_s", (double)facts->restart_us / 1e6);
	if (facts->restart_us_max == UINT64_MAX)
		cJSON_AddNullToObject(json, "restart_s_max");
	else
		cJSON_AddNumberToObject(json, "restart_s_max", (double)facts->restart_us_max / 1e6);
	cJSON_AddNumberToObject(json, "cleaned_segments", (double)facts->cleaned);
	cJSON_AddNumberToObject(json, "cleaned_bytes", (double)facts->cleaned_bytes);
	cJSON_AddNumberToObject(json, "kept_bytes", (double)facts->kept_bytes);
	cJSON_AddNumberToObject(json, "write_amplification", facts->amplification);
	faults = cJSON_AddArrayToObject(json, "faults");
	for (unsigned int i = 0; i < facts->faults; i++)
		cJSON_AddItemToArray(faults, cJSON_CreateString(facts->fault[i]));
	free(facts);
	return json;
}
