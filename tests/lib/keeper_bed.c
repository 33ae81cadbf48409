/* SPDX-License-Identifier: Apache-2.0 */
/* keeper_bed.c - see keeper_bed.h. How the node starts and ends; its clients: keeper_bed_client.c.
 */
#include "tests/lib/keeper_bed_impl.h"

#include <string.h>

#include "dataplane/log/recover.h"
#include "dataplane/log/shelf.h"

#define WALL_US 1700000000000000ull

static const uint8_t disk_node_id[16] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};

void keeper_bed_begin(struct keeper_bed *bed, uint64_t seed, uint32_t workers)
{
	memset(bed, 0, sizeof(*bed));
	bed->done = keeper_bed_done;
	bed->again = keeper_bed_again;
	bed->client = bed;
	bed->seed = seed;
	bed->random = seed * 2 + 1;
	bed->keys = 1000;
	bed->value_bytes_max = 1000;
	bed->segment_bytes = 64 << 10;
	bed->bytes_max = 64 * bed->segment_bytes;
	bed->reserve = 2 * bed->segment_bytes;
	bed->step_us = 20000;
	bed->memory_bytes = 16 << 20;
	bed->keys_max = 2 * KEEPER_BED_KEYS_MAX;
	bed->txns_max = 2 * KEEPER_BED_TXNS_MAX;
	bed->deadline_ms = 5000;
	bed->outcomes_max = 512;
	bed->config = (struct keeper_config){.checkpoint_bytes = 4 * bed->segment_bytes,
					     .use_percent = 90,
					     .room_bytes = 10 * bed->segment_bytes};
	bed->now = (struct now){.wall_us = WALL_US, .mono_us = 1000000};
	keeper_bed_workers(bed, workers);
	bed->disk[ABAFT_LOG_KEPT] = sim_disk_create(seed * 100 + 64);
	bed->files = sim_files_create(NULL, seed * 100 + 65);
	memcpy(bed->node_id, disk_node_id, sizeof(bed->node_id));
}

void keeper_bed_workers(struct keeper_bed *bed, uint32_t workers)
{
	bed->workers = workers;
	for (uint32_t w = 0; w < workers; w++)
		if (!bed->disk[w])
			bed->disk[w] = sim_disk_create(bed->seed * 100 + w);
}

void keeper_bed_end(struct keeper_bed *bed)
{
	if (bed->store)
		keeper_bed_close(bed);
	sim_files_destroy(bed->files);
	for (uint32_t n = 0; n < ABAFT_LOGS_MAX; n++)
		if (bed->disk[n])
			sim_disk_destroy(bed->disk[n]);
}

/* The node's log is a real one. */
static uint8_t *lend_reserve(void *log, uint32_t bytes)
{
	return log_reserve(log, bytes);
}

static uint64_t lend_append(void *log, uint32_t bytes, uint8_t type, uint64_t *place)
{
	uint64_t seq = log_append(log, bytes, type);

	*place = log_place(log);
	return seq;
}

static int lend_error(void *log)
{
	return log_error(log);
}

static int lend_read(void *log, const struct node_read *read)
{
	const struct log_read asked = {
		.place = read->place, .bytes = read->bytes, .to = read->to, .tag = read->tag};

	return log_read(log, &asked);
}

static void nodes_open(struct keeper_bed *bed)
{
	struct store_config store = {.workers = bed->workers,
				     .keys_max = bed->keys_max,
				     .memory_bytes = bed->memory_bytes,
				     .cache_bytes = bed->cache_bytes,
				     .logs = KEEPER_BED_WORKERS_MAX,
				     .seed = roll(bed, UINT64_MAX),
				     .map = bed->map,
				     .unmap = bed->unmap};

	must(store_create(&bed->store, &store) == 0, "no store");
	for (uint32_t w = 0; w < bed->workers; w++) {
		struct node_config config = {.worker = w,
					     .origin = 1 << 8 | w,
					     .txns_max = bed->txns_max,
					     .outcomes_max = bed->outcomes_max,
					     .window_ms = ABAFT_OUTCOME_WINDOW_MS,
					     .skew_ms = ABAFT_CLOCK_SKEW_MS,
					     .deadline_ms = bed->deadline_ms,
					     .telemetry = bed->telemetry[w],
					     .instance_seed = roll(bed, UINT64_MAX)};

		must(node_create(&bed->node[w], bed->store, &config) == 0, "no node");
	}
}

static struct log_config log_config(struct keeper_bed *bed, uint32_t log)
{
	struct log_config config = {.number = log,
				    .segment_bytes = bed->segment_bytes,
				    .segments_ahead = 1,
				    .sync = true,
				    .shelf = bed->shelf,
				    .closed = log >= bed->workers && log != ABAFT_LOG_KEPT};

	if (log < bed->workers)
		config.telemetry = bed->telemetry[log];
	memcpy(config.node_id, bed->node_id, sizeof(bed->node_id));
	return config;
}

static struct logdev *log_device(struct keeper_bed *bed, uint32_t log)
{
	if (bed->devices.begin)
		return bed->devices.log(bed->devices.arg, log);
	return sim_disk_logdev(bed->disk[log]);
}

static struct filedev *files_device(struct keeper_bed *bed)
{
	if (bed->devices.begin)
		return bed->devices.files(bed->devices.arg);
	return sim_files_filedev(bed->files);
}

static int recover(void *arg, uint32_t log, const struct log_mark *mark, log_record_fn fn,
		   void *fn_arg, struct log_tail **tail, char *why, size_t why_bytes)
{
	struct keeper_bed *bed = arg;
	const struct recover_visitor visitor = {.arg = fn_arg, .record = fn};
	struct log_config config = log_config(bed, log);
	struct logdev *dev = log_device(bed, log);
	int err = recover_scan(dev, &config, mark, &visitor, tail, why, why_bytes);

	dev->ops->destroy(dev);
	return err;
}

static int run_restart(struct keeper_bed *bed)
{
	struct restart_source source = {.recover = recover, .arg = bed};
	int err;

	if (bed->devices.begin) {
		err = bed->devices.begin(bed->devices.arg, bed->node_id, source.logs,
					 &source.logs_count, bed->why);
		if (err)
			return err;
	}
	source.checkpoints = files_device(bed);
	memcpy(source.node_id, bed->node_id, sizeof(bed->node_id));
	for (uint32_t n = 0; n < ABAFT_LOGS_MAX && !bed->devices.begin; n++)
		if (bed->disk[n])
			source.logs[source.logs_count++] = n;
	return restart_run(&bed->restart, &source, bed->node, bed->workers, bed->why);
}

static int logs_open(struct keeper_bed *bed)
{
	for (uint32_t n = 0; n < ABAFT_LOGS_MAX; n++) {
		struct log_config config = log_config(bed, n);
		struct logdev *dev;
		int err;

		/* Of a closed log that never had a segment there is nothing to read. */
		if (!bed->restart.tails[n] && (!bed->disk[n] || config.closed))
			continue;
		dev = log_device(bed, n);
		if (bed->device)
			bed->device(bed->device_arg, n, dev);
		err = log_open_on(&bed->log[n], dev, &config, bed->restart.tails[n], bed->why,
				  sizeof(bed->why));
		if (err)
			return err;
	}
	for (uint32_t w = 0; w < bed->workers; w++) {
		struct node_log lent = {.log = bed->log[w],
					.reserve = lend_reserve,
					.append = lend_append,
					.error = lend_error,
					.read = lend_read};

		node_attach_log(bed->node[w], &lent);
	}
	return 0;
}

static bool is_held(void *arg)
{
	return ((struct keeper_bed *)arg)->held;
}

static void on_damage(void *arg, const struct keeper_damage *damage)
{
	struct keeper_bed *bed = arg;

	bed->damage = *damage;
	bed->damages++;
}

static int keeper_open(struct keeper_bed *bed)
{
	struct keeper_config config = bed->config;

	config.store = bed->store;
	config.shelf = bed->shelf;
	config.checkpoints = files_device(bed);
	config.kept = bed->log[ABAFT_LOG_KEPT];
	memcpy(config.logs, bed->log, sizeof(config.logs));
	config.posts = bed->post;
	config.workers = bed->workers;
	memcpy(config.node_id, bed->node_id, sizeof(bed->node_id));
	config.held = is_held;
	config.held_arg = bed;
	config.report = on_damage;
	config.report_arg = bed;
	memset(bed->post, 0, sizeof(bed->post));
	bed->keeper_due_us = 0;
	return keeper_create(&bed->keeper, &config, &bed->restart.found);
}

/* What a restart leaves behind when it is refused, and what an end does. */
static void forget(struct keeper_bed *bed)
{
	if (bed->keeper)
		keeper_destroy(bed->keeper);
	bed->keeper = NULL;
	for (uint32_t n = 0; n < ABAFT_LOGS_MAX; n++) {
		if (bed->log[n])
			log_close(bed->log[n]);
		bed->log[n] = NULL;
	}
	restart_free(&bed->restart);
	shelf_destroy(bed->shelf);
	for (uint32_t w = 0; w < bed->workers; w++)
		node_destroy(bed->node[w]);
	store_destroy(bed->store);
	bed->store = NULL;
	if (bed->devices.begin)
		bed->devices.end(bed->devices.arg);
}

int keeper_bed_open(struct keeper_bed *bed)
{
	int err;

	nodes_open(bed);
	must(shelf_create(&bed->shelf, bed->bytes_max, bed->reserve) == 0, "no shelf");
	err = run_restart(bed);
	if (!err)
		err = logs_open(bed);
	if (!err)
		err = restart_check(&bed->restart, bed->node, bed->shelf, bed->why);
	if (err) {
		forget(bed);
		return err;
	}
	must(keeper_open(bed) == 0, "no keeper");
	return 0;
}

static void count_stats(struct keeper_bed *bed)
{
	struct keeper_stats stats;

	keeper_stats(bed->keeper, &stats);
	bed->cleaned_segments += stats.cleaned_segments;
	bed->cleaned_bytes += stats.cleaned_bytes;
	bed->kept_bytes += stats.kept_bytes;
	bed->checkpoints += stats.checkpoints;
}

void keeper_bed_power_cut(struct keeper_bed *bed)
{
	if (bed->devices.begin) { /* there is nothing here that it could take */
		keeper_bed_kill(bed);
		return;
	}
	for (uint32_t n = 0; n < ABAFT_LOGS_MAX; n++)
		if (bed->disk[n])
			sim_disk_power_cut(bed->disk[n]);
	count_stats(bed);
	sim_files_power_cut(bed->files);
	forget(bed);
}

void keeper_bed_kill(struct keeper_bed *bed)
{
	for (uint32_t n = 0; n < ABAFT_LOGS_MAX; n++)
		if (bed->disk[n])
			sim_disk_kill(bed->disk[n]);
	count_stats(bed);
	if (bed->devices.begin)
		bed->devices.kill(bed->devices.arg);
	sim_files_kill(bed->files);
	forget(bed);
}

void keeper_bed_close(struct keeper_bed *bed)
{
	count_stats(bed);
	forget(bed);
}

void keeper_bed_stats(struct keeper_bed *bed, struct keeper_stats *out)
{
	keeper_stats(bed->keeper, out);
}
