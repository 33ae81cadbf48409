/* SPDX-License-Identifier: Apache-2.0 */
/* storage.c - see storage.h. */
#include "control/storage.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "control/devices.h"
#include "control/engine_info.h"
#include "control/forecast.h"
#include "control/open_files.h"
#include "dataplane/core/node.h"
#include "dataplane/core/store.h"
#include "dataplane/log/filedev.h"
#include "dataplane/log/log.h"
#include "dataplane/log/logdev.h"
#include "dataplane/log/recover.h"
#include "dataplane/log/shelf.h"
#include "dataplane/post.h"
#include "dataplane/restart.h"

/* Of the kept log one segment is made ahead, not two: it is filled as cleaning needs it. */
#define KEPT_AHEAD 1
/* How often the last checkpoint's questions are answered. */
#define REST_US	   200

static uint64_t clock_us(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

static struct log_config log_config_of(const struct storage *storage, uint32_t number)
{
	const struct config *config = storage->config;
	bool kept = number == ABAFT_LOG_KEPT;
	struct log_config log = {
		.dir = storage->devices->place,
		.number = number,
		.segment_bytes = config->segment_bytes,
		.segments_ahead = kept ? KEPT_AHEAD : 0,
		.sync = config->sync,
		.dsync = config->dsync,
		.shelf = storage->shelf,
		.telemetry = number < storage->workers ? storage->telemetry[number] : NULL,
		.closed = kept ? !config_keeps(config) : number >= storage->workers,
	};

	memcpy(log.node_id, storage->devices->node_id, sizeof(log.node_id));
	return log;
}

/* Counts what the recovery of a log hands over. */
struct counted {
	struct storage *storage;
	log_record_fn fn;
	void *fn_arg;
	uint64_t bytes;
};

static int count_record(void *arg, uint64_t seq, uint8_t type, uint64_t place, const uint8_t *data,
			uint32_t bytes)
{
	struct counted *counted = arg;

	counted->bytes += bytes;
	return counted->fn(counted->fn_arg, seq, type, place, data, bytes);
}

/* restart_source.recover; one thread for each log. */
static int recover_log(void *arg, uint32_t number, const struct log_mark *mark, log_record_fn fn,
		       void *fn_arg, struct log_tail **tail, char *why, size_t why_bytes)
{
	struct counted counted = {.storage = arg, .fn = fn, .fn_arg = fn_arg};
	struct log_config config = log_config_of(arg, number);
	struct logdev *dev = NULL;
	int err = devices_log(counted.storage->devices, number, false, &dev, why, why_bytes);

	if (err == 0 || err == -ENOENT)
		err = log_recover_on(dev, &config, mark, count_record, &counted, tail, why,
				     why_bytes);
	__atomic_fetch_add(&counted.storage->recovered.log_bytes, counted.bytes, __ATOMIC_RELAXED);
	/* A log whose first segment was not made yet when the node died. */
	return err == -ENOENT && mark == NULL ? 0 : err;
}

static int run_restart(struct storage *storage, struct restart *restart, struct node *nodes[],
		       char *why)
{
	const struct devices *devices = storage->devices;
	struct restart_source source = {
		.checkpoints = storage->checkpoints,
		.logs_count = devices->logs_count,
		.recover = recover_log,
		.arg = storage,
		.threads = true,
	};
	int err;

	memcpy(source.node_id, devices->node_id, sizeof(source.node_id));
	memcpy(source.logs, devices->logs, devices->logs_count * sizeof(source.logs[0]));
	err = restart_run(restart, &source, nodes, storage->workers, why);
	storage->found = restart->found;
	storage->recovered.checkpoint = restart->found.newest.number;
	storage->recovered.checkpoint_bytes = restart->found.newest_stats.bytes;
	storage->recovered.records = restart->records + restart->kept_records;
	storage->recovered.logs = devices->logs_count;
	storage->recovered.us = restart->elapsed_us;
	if (err == 0 && restart->note[0] != '\0')
		report(storage->report, REPORT_WARNING,
		       "%s; the one before and more of the logs were used instead, and the next "
		       "checkpoint takes its place",
		       restart->note);
	return err;
}

static int open_log(struct storage *storage, uint32_t number, const struct log_tail *tail,
		    char *why)
{
	struct log_config config = log_config_of(storage, number);
	struct logdev *dev;
	int err = devices_log(storage->devices, number, true, &dev, why, STORAGE_WHY_BYTES);

	return err != 0 ? err
			: log_open_on(&storage->logs[number], dev, &config, tail, why,
				      STORAGE_WHY_BYTES);
}

/* Those of workers and those that were found; the kept log if there will be a keeper. */
static int open_logs(struct storage *storage, struct restart *restart, char *why)
{
	const struct devices *devices = storage->devices;
	bool wanted[ABAFT_LOGS_MAX] = {[ABAFT_LOG_KEPT] = config_keeps(storage->config)};
	int err = 0;

	for (uint32_t n = 0; n < storage->workers; n++)
		wanted[n] = true;
	/* Found, but without a segment: there is nothing to read from a log that is closed. */
	for (uint32_t i = 0; i < devices->logs_count; i++)
		wanted[devices->logs[i]] |= restart->tails[devices->logs[i]] != NULL;
	for (uint32_t n = 0; n < ABAFT_LOGS_MAX && err == 0; n++)
		if (wanted[n])
			err = open_log(storage, n, restart->tails[n], why);
	return err;
}

/* Too few show as logs that cannot be made longer; better said before. */
static void raise_open_files(const struct storage *storage)
{
	uint64_t wanted =
		open_files_wanted(storage->config->log_bytes_max, storage->config->segment_bytes);
	uint64_t allowed = open_files_raise(wanted);

	if (storage->config->log_bytes_max != 0 && allowed < wanted)
		report(storage->report, REPORT_WARNING,
		       "log-bytes-max may take %" PRIu64 " open files, one for each segment, but "
		       "%" PRIu64 " are allowed: raise LimitNOFILE (ulimit -n) or segment-size",
		       wanted, allowed);
	else
		report(storage->report, REPORT_DEBUG, "%" PRIu64 " open files are allowed",
		       allowed);
}

static int prepare(struct storage *storage, char *why)
{
	const struct config *config = storage->config;
	int err;

	err = devices_checkpoints(storage->devices, &storage->checkpoints, why, STORAGE_WHY_BYTES);
	if (err != 0)
		return err;
	if (storage->devices->local) /* a segment of an engine is none */
		raise_open_files(storage);
	err = shelf_create(&storage->shelf, config->log_bytes_max, config_log_reserve(config));
	storage->posts =
		aligned_alloc(_Alignof(struct post), storage->workers * sizeof(*storage->posts));
	if (err == 0 && storage->posts == NULL)
		err = -ENOMEM;
	if (err != 0)
		snprintf(why, STORAGE_WHY_BYTES, "memory for the logs cannot be had: %s",
			 strerror(-err));
	else
		memset(storage->posts, 0, storage->workers * sizeof(*storage->posts));
	return err;
}

uint32_t storage_logs(const struct config *config, const struct devices *devices)
{
	uint32_t logs = (uint32_t)config->workers;

	for (uint32_t i = 0; i < devices->logs_count; i++)
		if (devices->logs[i] < ABAFT_WORKERS_MAX && devices->logs[i] >= logs)
			logs = devices->logs[i] + 1;
	return logs;
}

int storage_open(struct storage *storage, const struct config *config, const struct report *report,
		 const struct devices *devices, struct store *store, struct node *nodes[],
		 char *why)
{
	struct restart *restart = calloc(1, sizeof(*restart));
	int err;

	storage->config = config;
	storage->report = report;
	storage->devices = devices;
	storage->store = store;
	storage->workers = (uint32_t)config->workers;
	if (restart == NULL) {
		snprintf(why, STORAGE_WHY_BYTES, "no memory for the start");
		return -ENOMEM;
	}
	err = prepare(storage, why);
	if (err == 0)
		err = run_restart(storage, restart, nodes, why);
	if (err == 0)
		err = open_logs(storage, restart, why);
	if (err == 0)
		err = restart_check(restart, nodes, storage->shelf, why);
	restart_free(restart);
	free(restart);
	return err;
}

/* keeper_config.held */
static bool backup_holds(void *arg)
{
	const struct storage *storage = arg;

	return devices_held(storage->devices);
}

/* keeper_config.report; the keeper's thread. */
static void tell_damage(void *arg, const struct keeper_damage *damage)
{
	const struct storage *storage = arg;

	report(storage->report, REPORT_ERROR,
	       "cleaning found damage: log-%03u segment %08x at byte %llu, %llu bytes of live "
	       "values cannot be read: the segment stays, reads of them get CORRUPT; write these "
	       "keys again, or restore a backup",
	       damage->log, damage->segment, (unsigned long long)damage->offset,
	       (unsigned long long)damage->bytes);
}

int storage_keep(struct storage *storage, void (*wake)(void *arg, uint32_t worker), void *wake_arg,
		 char *why)
{
	const struct config *config = storage->config;
	struct keeper_config keeper = {
		.store = storage->store,
		.shelf = storage->shelf,
		.checkpoints = storage->checkpoints,
		.kept = storage->logs[ABAFT_LOG_KEPT],
		.posts = storage->posts,
		.workers = storage->workers,
		.wake = wake,
		.wake_arg = wake_arg,
		.held = backup_holds,
		.held_arg = storage,
		.report = tell_damage,
		.report_arg = storage,
		.checkpoint_bytes = config->checkpoint_bytes,
		.use_percent = (uint32_t)config->clean_below,
		.clean_rate = config->clean_rate,
		.room_bytes = config_log_reserve(config) +
			      (2 * storage->workers + 2) * config->segment_bytes,
	};
	struct keeper *made;
	int err;

	if (!config_keeps(config))
		return 0;
	memcpy(keeper.node_id, storage->devices->node_id, sizeof(keeper.node_id));
	memcpy(keeper.logs, storage->logs, sizeof(keeper.logs));
	err = keeper_create(&made, &keeper, &storage->found);
	if (err == 0) {
		/* Release: storage_stats() on a worker's thread acquires it. */
		atomic_store_explicit(&storage->keeper, made, memory_order_release);
		err = keeper_start(made);
	}
	if (err != 0)
		snprintf(why, STORAGE_WHY_BYTES, "the keeper of checkpoints cannot run: %s",
			 strerror(-err));
	return err;
}

/* In the workers' stead: until the checkpoint that was asked for is there, or has failed. */
static bool serve_posts(struct storage *storage, struct node *nodes[], uint64_t before)
{
	uint64_t until = clock_us(CLOCK_MONOTONIC) + UINT64_C(1000) * STORAGE_REST_MS;
	struct keeper_stats stats;

	do {
		for (uint32_t w = 0; w < storage->workers; w++)
			(void)post_serve(&storage->posts[w], nodes[w], storage->logs[w]);
		usleep(REST_US);
		(void)storage_stats(storage, &stats);
		if (stats.checkpoints + stats.checkpoint_failures != before)
			return stats.error == 0;
	} while (clock_us(CLOCK_MONOTONIC) < until);
	return false;
}

/* Whether the next start would read more without it. The keeper sees growth a moment late, so what
 * was appended since the start counts by itself. */
static bool rest_is_worth_it(const struct storage *storage, const struct keeper_stats *stats)
{
	struct log_stats log;

	for (uint32_t w = 0; w < storage->workers; w++) {
		log_stats(storage->logs[w], &log);
		if (log.records > 0)
			return true;
	}
	return stats->tail_bytes > stats->checkpoint_bytes;
}

void storage_rest(struct storage *storage, struct node *nodes[])
{
	struct keeper_stats stats;

	if (!storage_stats(storage, &stats) || !rest_is_worth_it(storage, &stats))
		return;
	keeper_ask_checkpoint(atomic_load_explicit(&storage->keeper, memory_order_relaxed));
	if (!serve_posts(storage, nodes, stats.checkpoints + stats.checkpoint_failures))
		report(storage->report, REPORT_WARNING,
		       "no last checkpoint was written within %u s: the next start reads the logs "
		       "behind checkpoint %u",
		       STORAGE_REST_MS / 1000, stats.checkpoint_number);
}

void storage_close(struct storage *storage)
{
	struct keeper *keeper = atomic_load_explicit(&storage->keeper, memory_order_relaxed);

	if (storage->config == NULL)
		return;
	if (keeper != NULL) {
		keeper_stop(keeper);
		atomic_store_explicit(&storage->keeper, NULL, memory_order_relaxed);
		keeper_destroy(keeper);
	}
	for (uint32_t n = 0; n < ABAFT_LOGS_MAX; n++)
		if (storage->logs[n] != NULL)
			log_close(storage->logs[n]);
	if (storage->checkpoints != NULL)
		storage->checkpoints->ops->destroy(storage->checkpoints);
	if (storage->shelf != NULL)
		shelf_destroy(storage->shelf);
	free(storage->posts);
}

void storage_recovered_text(const struct storage_recovered *recovered, char *text, size_t bytes)
{
	char checkpoint[64] = "";

	if (recovered->checkpoint != 0)
		snprintf(checkpoint, sizeof(checkpoint), "checkpoint %u of %.1f MiB and ",
			 recovered->checkpoint, (double)recovered->checkpoint_bytes / (1 << 20));
	snprintf(text, bytes, "%s%.1f MiB of %u logs (%llu records) in %.2f s", checkpoint,
		 (double)recovered->log_bytes / (1 << 20), recovered->logs,
		 (unsigned long long)recovered->records, (double)recovered->us / 1e6);
}

bool storage_stats(struct storage *storage, struct keeper_stats *out)
{
	struct keeper *keeper = atomic_load_explicit(&storage->keeper, memory_order_acquire);

	if (keeper == NULL) {
		*out = (struct keeper_stats){.tail_bytes_max = UINT64_MAX};
		return false;
	}
	keeper_stats(keeper, out);
	return true;
}

void storage_info(void *arg, struct info_text *text)
{
	struct storage *storage = arg;
	struct engine_facts engine;
	struct forecast_facts facts = {
		.wall_us = clock_us(CLOCK_REALTIME),
		.recovered_bytes =
			storage->recovered.checkpoint_bytes + storage->recovered.log_bytes,
		.recovered_us = storage->recovered.us,
		.log_bytes_max = storage->config->log_bytes_max,
		.keeps = config_keeps(storage->config),
	};

	/* Before the keeper's first look, and without it, the shelf knows. */
	if (!storage_stats(storage, &facts.keeper) || facts.keeper.log_bytes == 0) {
		facts.keeper.log_bytes = shelf_bytes(storage->shelf);
		facts.keeper.live_bytes = space_total(&storage->store->space);
	}
	forecast_info(&facts, text);
	if (devices_facts(storage->devices, &engine))
		engine_info(&engine, text);
}
