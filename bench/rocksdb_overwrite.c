/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rocksdb_overwrite.c - what one would use instead of the node's engine: RocksDB under overwrites,
 * each synced to its WAL: `rocksdb_overwrite DIR KEYS BYTES`, the other half of `clean`.
 *
 * It writes each key once, prints "filled", and then does what lines of its standard input say:
 * `COUNT RATE`. COUNT overwrites of keys at random, RATE of them beginning each second (Poisson;
 * a latency counts from when the write was due), or with RATE 0 as many as go. THREADS threads, of
 * whose writes RocksDB groups what comes at the same time. Answers with one line: writes per
 * second, and p50, p99 and p99.9 in microseconds.
 *
 * RocksDB's defaults, but: no compression, as abaft has none, and WAL files are reused. Bytes are
 * what the kernel counts for this process (/proc/PID/io).
 */
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>

#include <rocksdb/c.h>

#define THREADS	     64
#define KEY_BYTES    12
#define WAL_FILES    4
#define BATCH_KEYS   64
#define NS	     1e9
#define PATTERN_STEP 2654435761u

struct run {
	rocksdb_t *db;
	uint64_t keys, count, begin_ns;
	uint32_t bytes;
	atomic_uint_fast64_t next;
	uint64_t *due_ns;     /* by write, after begin_ns; NULL: at once */
	uint64_t *latency_ns; /* by write */
};

static void die(const char *what)
{
	fprintf(stderr, "rocksdb_overwrite: %s\n", what);
	exit(1);
}

static uint64_t now_ns(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

static void sleep_until(uint64_t ns)
{
	struct timespec time = {.tv_sec = (time_t)(ns / 1000000000u),
				.tv_nsec = (long)(ns % 1000000000u)};

	clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &time, NULL);
}

/* splitmix64 (Steele, Lea and Flood, "Fast Splittable Pseudorandom Number Generators", 2014): the
 * i-th number at once, so that threads need no state. */
static uint64_t random_u64(uint64_t i)
{
	uint64_t z = (i + 1) * 0x9e3779b97f4a7c15u;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

static void set_value(char *value, uint32_t bytes, uint64_t i)
{
	for (uint32_t at = 0; at + sizeof(i) <= bytes; at += sizeof(i)) {
		uint64_t word = i * PATTERN_STEP + at;

		memcpy(value + at, &word, sizeof(word));
	}
}

static void fill(struct run *run)
{
	rocksdb_writeoptions_t *options = rocksdb_writeoptions_create();
	rocksdb_writebatch_t *batch = rocksdb_writebatch_create();
	char key[KEY_BYTES], *value = calloc(1, run->bytes), *error = NULL;

	if (!value)
		die("no memory");
	for (uint64_t i = 0; i < run->keys; i++) {
		snprintf(key, sizeof(key), "k%010u", (uint32_t)i);
		set_value(value, run->bytes, i);
		rocksdb_writebatch_put(batch, key, KEY_BYTES - 1, value, run->bytes);
		if (i % BATCH_KEYS != BATCH_KEYS - 1 && i + 1 != run->keys)
			continue;
		rocksdb_write(run->db, options, batch, &error);
		if (error)
			die(error);
		rocksdb_writebatch_clear(batch);
	}
	free(value);
	rocksdb_writebatch_destroy(batch);
	rocksdb_writeoptions_destroy(options);
}

static void *overwrite(void *arg)
{
	struct run *run = arg;
	rocksdb_writeoptions_t *synced = rocksdb_writeoptions_create();
	char key[KEY_BYTES], *value = calloc(1, run->bytes), *error = NULL;
	uint64_t i;

	if (!value)
		die("no memory");
	rocksdb_writeoptions_set_sync(synced, 1);
	while ((i = atomic_fetch_add_explicit(&run->next, 1, memory_order_relaxed)) < run->count) {
		uint64_t begin_ns = now_ns();

		if (run->due_ns) {
			begin_ns = run->begin_ns + run->due_ns[i];
			sleep_until(begin_ns);
		}
		snprintf(key, sizeof(key), "k%010u",
			 (uint32_t)(random_u64(run->begin_ns + i) % run->keys));
		set_value(value, run->bytes, i);
		rocksdb_put(run->db, synced, key, KEY_BYTES - 1, value, run->bytes, &error);
		if (error)
			die(error);
		run->latency_ns[i] = now_ns() - begin_ns;
	}
	free(value);
	rocksdb_writeoptions_destroy(synced);
	return NULL;
}

static int by_value(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static double quantile_us(const struct run *run, double share)
{
	return (double)run->latency_ns[(uint64_t)((double)run->count * share)] / 1e3;
}

/* When each of the writes is due. */
static uint64_t *arrivals(uint64_t count, double rate)
{
	uint64_t *due_ns = calloc(count, sizeof(*due_ns));
	double at = 0;

	if (!due_ns)
		die("no memory");
	for (uint64_t i = 0; i < count; i++) {
		at -= log((double)(random_u64(i) >> 11) * 0x1p-53 + 0x1p-54) / rate * NS;
		due_ns[i] = (uint64_t)at;
	}
	return due_ns;
}

static void measure(struct run *run, double rate)
{
	pthread_t threads[THREADS];
	double seconds;

	run->latency_ns = calloc(run->count, sizeof(*run->latency_ns));
	if (!run->latency_ns)
		die("no memory");
	run->due_ns = rate > 0 ? arrivals(run->count, rate) : NULL;
	atomic_store(&run->next, 0);
	run->begin_ns = now_ns();
	for (int i = 0; i < THREADS; i++)
		if (pthread_create(&threads[i], NULL, overwrite, run))
			die("no thread");
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	seconds = (double)(now_ns() - run->begin_ns) / NS;
	qsort(run->latency_ns, run->count, sizeof(*run->latency_ns), by_value);
	printf("%.0f %.1f %.1f %.1f\n", (double)run->count / seconds, quantile_us(run, 0.5),
	       quantile_us(run, 0.99), quantile_us(run, 0.999));
	fflush(stdout);
	free(run->due_ns);
	free(run->latency_ns);
}

static rocksdb_t *open_db(const char *dir)
{
	rocksdb_options_t *options = rocksdb_options_create();
	char *error = NULL;
	rocksdb_t *db;

	rocksdb_options_set_create_if_missing(options, 1);
	rocksdb_options_set_compression(options, rocksdb_no_compression);
	rocksdb_options_set_recycle_log_file_num(options, WAL_FILES);
	db = rocksdb_open(options, dir, &error);
	if (error)
		die(error);
	rocksdb_options_destroy(options);
	return db;
}

int main(int argc, char **argv)
{
	struct run run = {0};
	char line[64];

	if (argc != 4) {
		fprintf(stderr, "usage: rocksdb_overwrite DIR KEYS BYTES\n");
		return 2;
	}
	run.keys = strtoull(argv[2], NULL, 10);
	run.bytes = (uint32_t)strtoul(argv[3], NULL, 10);
	if (!run.keys || run.keys > UINT32_MAX || run.bytes < sizeof(uint64_t))
		die("KEYS must be 1 to 4294967295, BYTES at least 8");
	/* Sleep until a write is due, not up to 50 us longer. */
	(void)prctl(PR_SET_TIMERSLACK, 1);
	run.db = open_db(argv[1]);
	fill(&run);
	puts("filled");
	fflush(stdout);
	while (fgets(line, sizeof(line), stdin)) {
		char *rest;

		run.count = strtoull(line, &rest, 10);
		if (!run.count)
			die("COUNT must be above 0");
		measure(&run, strtod(rest, NULL));
	}
	rocksdb_close(run.db);
	return 0;
}
