/* SPDX-License-Identifier: Apache-2.0 */
/*
 * log_bench.c - how fast one commit log takes groups of one length: `log_bench DIR BYTES COUNT
 * DEPTH [zeroing|dsync]`.
 *
 * Appends COUNT records, each filling a group of BYTES, with at most DEPTH not durable, and prints
 * one line: groups per second, bytes per second, latency from append to durable. Sleeps on the
 * log's descriptor like an idle worker. Without `zeroing` all segments are made before the clock
 * starts, like the prewritten file of the yardstick; with it they are made meanwhile, as in a node.
 * With `dsync` each write is durable by itself. bench/log_fio runs it beside fio.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "dataplane/log/format.h"
#include "dataplane/log/log.h"
#include "dataplane/log/shelf.h"

#define DEPTH_MAX ABAFT_LOG_WRITES_IN_FLIGHT

struct bench {
	struct log *log;
	uint32_t bytes; /* of a group */
	uint64_t count;
	uint64_t depth;
	uint64_t *appended_ns; /* by sequence */
	uint64_t *latency_ns;
};

static uint64_t now_ns(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

static int by_value(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static void append_one(struct bench *bench, uint64_t sequence)
{
	uint32_t bytes = bench->bytes - LOG_GROUP_HEADER_BYTES - LOG_RECORD_HEADER_BYTES;
	uint8_t *at;

	/* A segment that is being zeroed is worth waiting for. */
	while (!(at = log_reserve(bench->log, bytes))) {
		if (log_error(bench->log)) {
			fprintf(stderr, "log_bench: %s\n", strerror(-log_error(bench->log)));
			exit(1);
		}
		log_poll(bench->log);
		usleep(50);
	}
	memset(at, (int)sequence, bytes);
	bench->appended_ns[sequence - 1] = now_ns();
	log_append(bench->log, bytes, 1);
	log_submit(bench->log, (struct now){.mono_us = now_ns() / 1000});
}

static void run(struct bench *bench)
{
	struct pollfd fd = {.fd = log_sleep_fd(bench->log), .events = POLLIN};
	uint64_t appended = 0, durable = 0;

	while (durable < bench->count) {
		uint64_t before = durable;

		while (appended < bench->count && appended - durable < bench->depth)
			append_one(bench, ++appended);
		durable = log_poll(bench->log);
		if (log_error(bench->log) && log_error(bench->log) != -ENOSPC) {
			fprintf(stderr, "log_bench: %s\n", strerror(-log_error(bench->log)));
			exit(1);
		}
		for (uint64_t i = before; i < durable; i++)
			bench->latency_ns[i] = now_ns() - bench->appended_ns[i];
		if (durable == before)
			poll(&fd, 1, 1000);
	}
}

/* As many as the whole run needs; the shelf's bound keeps more from being made. */
static int plan(struct log_config *config, const struct bench *bench)
{
	uint64_t groups = (config->segment_bytes - ABAFT_LOG_BLOCK_BYTES) / bench->bytes;

	config->segments_ahead = (uint32_t)((bench->count + groups - 1) / groups);
	return shelf_create(&config->shelf, config->segments_ahead * config->segment_bytes, 0);
}

static void wait_for_segments(struct log *log, const struct log_config *config)
{
	struct log_stats stats;

	do {
		usleep(10000);
		log_stats(log, &stats);
	} while (stats.segments < config->segments_ahead);
}

static void report(const struct bench *bench, uint64_t took_ns)
{
	double seconds = (double)took_ns / 1e9;

	qsort(bench->latency_ns, bench->count, sizeof(uint64_t), by_value);
	printf("%.0f groups/s %.0f bytes/s p50 %.1f us p99 %.1f us\n",
	       (double)bench->count / seconds, (double)bench->count * bench->bytes / seconds,
	       (double)bench->latency_ns[bench->count / 2] / 1e3,
	       (double)bench->latency_ns[bench->count * 99 / 100] / 1e3);
}

int main(int argc, char **argv)
{
	struct log_config config = {.segment_bytes = ABAFT_LOG_SEGMENT_BYTES_DEFAULT, .sync = true};
	struct bench bench = {0};
	uint64_t begin_ns;
	bool zeroing = argc > 5 && strcmp(argv[5], "zeroing") == 0;
	char why[512];

	config.dsync = argc > 5 && strcmp(argv[5], "dsync") == 0;
	if (argc < 5 || (argc > 5 && !zeroing && !config.dsync)) {
		fprintf(stderr, "usage: log_bench DIR BYTES COUNT DEPTH [zeroing|dsync]\n");
		return 2;
	}
	config.dir = argv[1];
	bench.bytes = (uint32_t)strtoul(argv[2], NULL, 10);
	bench.count = strtoull(argv[3], NULL, 10);
	bench.depth = strtoull(argv[4], NULL, 10);
	if (bench.bytes < 4096 || bench.bytes > ABAFT_LOG_GROUP_BYTES_MAX || !bench.count ||
	    bench.count > 10000000 || !bench.depth || bench.depth > DEPTH_MAX) {
		fprintf(stderr, "log_bench: 4096 <= BYTES <= %u, DEPTH <= %d\n",
			ABAFT_LOG_GROUP_BYTES_MAX, DEPTH_MAX);
		return 2;
	}
	if (!zeroing && plan(&config, &bench))
		return 1;
	bench.appended_ns = calloc(bench.count, sizeof(uint64_t));
	bench.latency_ns = calloc(bench.count, sizeof(uint64_t));
	if (!bench.appended_ns || !bench.latency_ns)
		return 1;
	if (log_open(&bench.log, &config, NULL, why, sizeof(why))) {
		fprintf(stderr, "log_bench: %s\n", why);
		return 1;
	}
	if (!zeroing)
		wait_for_segments(bench.log, &config);
	begin_ns = now_ns();
	run(&bench);
	report(&bench, now_ns() - begin_ns);
	log_close(bench.log);
	if (config.shelf)
		shelf_destroy(config.shelf);
	free(bench.appended_ns);
	free(bench.latency_ns);
	return 0;
}
