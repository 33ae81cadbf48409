/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cold_read_bench.c - how fast a log reads values back from disk: `cold_read_bench DIR MIB BYTES`.
 *
 * Fills a log in DIR with MIB MiB of values of BYTES, says "ready", and then does what each line
 * of its input asks for: "DEPTH SECONDS ROW" reads values at random places for so long, DEPTH at a
 * time, and prints one line. With ROW 1 each value stands alone; else each of the DEPTH is a row of
 * so many neighbours, wanted in one pass. Each value is looked at: it names itself. In between, the
 * worker's way: look again for a moment, then sleep on the log's descriptor. bench/cold_read runs
 * it in turns with fio.
 */
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <abaft/limits.h>

#include "dataplane/log/format.h"
#include "dataplane/log/log.h"
#include "dataplane/log/shelf.h"

/* As worker.c while its log is busy. */
#define SPIN_NS	      5000
#define LATENCIES_MAX (1u << 22)

/* One of the DEPTH: its values come one by one. */
struct row {
	uint64_t first; /* value */
	uint64_t asked_ns;
	uint32_t left;
	uint8_t *to;
};

struct bench {
	struct log *log;
	uint32_t bytes; /* of a value */
	uint64_t values;
	uint64_t *place;
	uint64_t random;
	uint32_t depth, row;
	uint64_t end_ns;
	uint64_t *latency_ns;
	uint64_t came; /* values */
	uint64_t rows; /* done */
	uint32_t flying;
	struct row rows_of[ABAFT_FETCHES_MAX];
};

static void die(const char *what, int error)
{
	fprintf(stderr, "cold_read_bench: %s: %s\n", what, strerror(-error));
	exit(1);
}

static uint64_t now_ns(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

static struct now now(void)
{
	uint64_t us = now_ns() / 1000;

	return (struct now){.wall_us = us, .mono_us = us};
}

static int by_value(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

/* xorshift64* */
static uint64_t roll(struct bench *bench, uint64_t limit)
{
	uint64_t x = bench->random;

	x ^= x >> 12;
	x ^= x << 25;
	x ^= x >> 27;
	bench->random = x;
	return (x * 0x2545f4914f6cdd1du >> 16) % limit;
}

static void fill(struct bench *bench)
{
	for (uint64_t i = 0; i < bench->values || log_busy(bench->log);) {
		uint8_t *at = i < bench->values ? log_reserve(bench->log, bench->bytes) : NULL;

		if (at) {
			memset(at, (int)i, bench->bytes);
			memcpy(at, &i, sizeof(i));
			log_append(bench->log, bench->bytes, 1);
			bench->place[i++] = log_place(bench->log);
			continue;
		}
		log_submit(bench->log, now());
		usleep(50);
		log_poll(bench->log);
		if (log_error(bench->log))
			die("filling the log", log_error(bench->log));
	}
}

static void ask(struct bench *bench, uint32_t number)
{
	struct row *row = &bench->rows_of[number];

	row->first = roll(bench, bench->values - bench->row + 1);
	row->asked_ns = now_ns();
	row->left = bench->row;
	for (uint32_t i = 0; i < bench->row; i++) {
		const struct log_read read = {
			.place = bench->place[row->first + i],
			.bytes = bench->bytes,
			.to = row->to + (size_t)i * bench->bytes,
			.tag = (uint64_t)number * bench->row + i,
		};
		int error = log_read(bench->log, &read);

		if (error)
			die("asking for a value", error);
	}
	bench->flying++;
}

static void take(struct bench *bench, const struct log_read_done *done)
{
	uint32_t number = (uint32_t)(done->tag / bench->row);
	uint32_t i = (uint32_t)(done->tag % bench->row);
	struct row *row = &bench->rows_of[number];
	const uint8_t *value = row->to + (size_t)i * bench->bytes;
	uint64_t names, is = row->first + i;

	if (done->result)
		die("reading a value", done->result);
	memcpy(&names, value, sizeof(names));
	if (names != is || value[bench->bytes - 1] != (uint8_t)is) {
		fprintf(stderr, "cold_read_bench: value %lu is not what was written\n", is);
		exit(1);
	}
	bench->came++;
	if (--row->left)
		return;
	if (bench->rows < LATENCIES_MAX)
		bench->latency_ns[bench->rows] = now_ns() - row->asked_ns;
	bench->rows++;
	bench->flying--;
	if (now_ns() < bench->end_ns)
		ask(bench, number);
}

static void run(struct bench *bench)
{
	struct pollfd fd = {.fd = log_sleep_fd(bench->log), .events = POLLIN};
	struct log_read_done done[64];
	uint64_t work_ns = now_ns();

	for (uint32_t i = 0; i < bench->depth; i++)
		ask(bench, i);
	while (bench->flying) {
		bool worked = false;
		uint32_t count;

		log_submit(bench->log, now());
		log_poll(bench->log);
		while ((count = log_read_done(bench->log, done, 64))) {
			for (uint32_t i = 0; i < count; i++)
				take(bench, &done[i]);
			worked = true;
		}
		if (worked)
			work_ns = now_ns();
		else if (now_ns() - work_ns > SPIN_NS)
			poll(&fd, 1, 1000);
	}
}

static void measure(struct bench *bench, double seconds)
{
	uint64_t begin_ns = now_ns(), took_ns;
	uint64_t rows;
	struct log_stats before, after;

	bench->came = bench->rows = 0;
	bench->end_ns = begin_ns + (uint64_t)(seconds * 1e9);
	log_stats(bench->log, &before);
	run(bench);
	took_ns = now_ns() - begin_ns;
	log_stats(bench->log, &after);
	rows = bench->rows < LATENCIES_MAX ? bench->rows : LATENCIES_MAX;
	qsort(bench->latency_ns, rows, sizeof(uint64_t), by_value);
	printf("%.0f values/s %.3f device reads/value p50 %.1f us p99 %.1f us\n",
	       (double)bench->came / ((double)took_ns / 1e9),
	       (double)(after.device_reads - before.device_reads) / (double)bench->came,
	       (double)bench->latency_ns[rows / 2] / 1e3,
	       (double)bench->latency_ns[rows * 99 / 100] / 1e3);
	fflush(stdout);
}

static void serve(struct bench *bench)
{
	char line[128];
	double seconds;

	printf("ready\n");
	fflush(stdout);
	while (fgets(line, sizeof(line), stdin)) {
		if (sscanf(line, "%u %lf %u", &bench->depth, &seconds, &bench->row) != 3 ||
		    !bench->depth || !bench->row || bench->row > bench->values ||
		    (uint64_t)bench->depth * bench->row > ABAFT_FETCHES_MAX) {
			fprintf(stderr, "cold_read_bench: DEPTH SECONDS ROW, at most %d values\n",
				ABAFT_FETCHES_MAX);
			exit(2);
		}
		for (uint32_t i = 0; i < bench->depth; i++)
			bench->rows_of[i].to = malloc((size_t)bench->row * bench->bytes);
		measure(bench, seconds);
		for (uint32_t i = 0; i < bench->depth; i++)
			free(bench->rows_of[i].to);
	}
}

int main(int argc, char **argv)
{
	struct log_config config = {.segment_bytes = ABAFT_LOG_SEGMENT_BYTES_DEFAULT};
	static struct bench bench;
	char why[512];
	int error;

	if (argc != 4) {
		fprintf(stderr, "usage: cold_read_bench DIR MIB BYTES\n");
		return 2;
	}
	config.dir = argv[1];
	bench.bytes = (uint32_t)strtoul(argv[3], NULL, 10);
	if (bench.bytes < 8 || bench.bytes > ABAFT_VALUE_BYTES_MAX) {
		fprintf(stderr, "cold_read_bench: 8 <= BYTES <= %u\n", ABAFT_VALUE_BYTES_MAX);
		return 2;
	}
	bench.values = (strtoull(argv[2], NULL, 10) << 20) / bench.bytes;
	bench.random = now_ns() | 1;
	bench.place = calloc(bench.values, sizeof(uint64_t));
	bench.latency_ns = calloc(LATENCIES_MAX, sizeof(uint64_t));
	if (!bench.place || !bench.latency_ns)
		die("beginning", -12);
	error = shelf_create(&config.shelf, 0, 0);
	if (error)
		die("beginning", error);
	if (log_open(&bench.log, &config, NULL, why, sizeof(why))) {
		fprintf(stderr, "cold_read_bench: %s\n", why);
		return 1;
	}
	fill(&bench);
	serve(&bench);
	log_close(bench.log);
	shelf_destroy(config.shelf);
	free(bench.place);
	free(bench.latency_ns);
	return 0;
}
