/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rocksdb_log.c - what one would use instead of the commit log: RocksDB, each write synced to its
 * WAL: `rocksdb_log DIR BYTES COUNT THREADS`.
 *
 * THREADS write one value of BYTES under a fresh key with every call; RocksDB groups what comes at
 * the same time into one synced write, as our log does. Its settings favour it: no compression, a
 * memtable that is not flushed within the run, WAL files reused. Prints log_bench's line.
 */
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <rocksdb/c.h>

#define THREADS_MAX    64
#define MEMTABLE_BYTES (4ull << 30)

struct writer {
	pthread_t thread;
	rocksdb_t *db;
	uint64_t first, count;
	uint32_t bytes;
	uint64_t *latency_ns; /* the whole run's, by write */
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

static void die(const char *what)
{
	fprintf(stderr, "rocksdb_log: %s\n", what);
	exit(1);
}

static void *run(void *arg)
{
	struct writer *w = arg;
	rocksdb_writeoptions_t *synced = rocksdb_writeoptions_create();
	char *value = malloc(w->bytes);

	if (!value)
		die("no memory");
	rocksdb_writeoptions_set_sync(synced, 1);
	for (uint64_t i = w->first; i < w->first + w->count; i++) {
		uint64_t begin_ns = now_ns();
		char *error = NULL;

		memset(value, (int)i, w->bytes);
		rocksdb_put(w->db, synced, (const char *)&i, sizeof(i), value, w->bytes, &error);
		if (error)
			die(error);
		w->latency_ns[i] = now_ns() - begin_ns;
	}
	free(value);
	rocksdb_writeoptions_destroy(synced);
	return NULL;
}

static rocksdb_t *open_db(const char *dir)
{
	rocksdb_options_t *options = rocksdb_options_create();
	char *error = NULL;
	rocksdb_t *db;

	rocksdb_options_set_create_if_missing(options, 1);
	rocksdb_options_set_compression(options, rocksdb_no_compression);
	rocksdb_options_set_write_buffer_size(options, MEMTABLE_BYTES);
	rocksdb_options_set_recycle_log_file_num(options, 4);
	db = rocksdb_open(options, dir, &error);
	if (error)
		die(error);
	rocksdb_options_destroy(options);
	return db;
}

static void report(uint64_t *latency_ns, uint64_t count, uint32_t bytes, uint64_t took_ns)
{
	double seconds = (double)took_ns / 1e9;

	qsort(latency_ns, count, sizeof(uint64_t), by_value);
	printf("%.0f groups/s %.0f bytes/s p50 %.1f us p99 %.1f us\n", (double)count / seconds,
	       (double)count * bytes / seconds, (double)latency_ns[count / 2] / 1e3,
	       (double)latency_ns[count * 99 / 100] / 1e3);
}

int main(int argc, char **argv)
{
	struct writer writers[THREADS_MAX];
	uint64_t count, each, begin_ns, *latency_ns;
	uint32_t bytes, threads;
	rocksdb_t *db;

	if (argc != 5) {
		fprintf(stderr, "usage: rocksdb_log DIR BYTES COUNT THREADS\n");
		return 2;
	}
	bytes = (uint32_t)strtoul(argv[2], NULL, 10);
	threads = (uint32_t)strtoul(argv[4], NULL, 10);
	count = strtoull(argv[3], NULL, 10);
	if (!bytes || !threads || threads > THREADS_MAX || count < threads)
		die("BYTES, COUNT and THREADS (to 64) must be above 0");
	each = count / threads;
	latency_ns = calloc(each * threads, sizeof(uint64_t));
	if (!latency_ns)
		die("no memory");
	db = open_db(argv[1]);
	begin_ns = now_ns();
	for (uint32_t i = 0; i < threads; i++) {
		writers[i] = (struct writer){.db = db,
					     .first = i * each,
					     .count = each,
					     .bytes = bytes,
					     .latency_ns = latency_ns};
		if (pthread_create(&writers[i].thread, NULL, run, &writers[i]))
			die("no thread");
	}
	for (uint32_t i = 0; i < threads; i++)
		pthread_join(writers[i].thread, NULL);
	report(latency_ns, each * threads, bytes, now_ns() - begin_ns);
	rocksdb_close(db);
	free(latency_ns);
	return 0;
}
