/* SPDX-License-Identifier: Apache-2.0 */
/* source.c - see source.h. */
#include "tests/unit/backup/source.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "dataplane/core/bytes.h"
#include "dataplane/core/record.h"

void source_make(struct datadir *dir, const char *path)
{
	char why[512];

	if (datadir_open(dir, path, why, sizeof(why)) != 0)
		fail_msg("%s", why);
}

static struct log_config config_of(const struct datadir *dir, const char *path, uint32_t number)
{
	struct log_config config = {
		.dir = path, .number = number, .segment_bytes = SOURCE_SEGMENT_BYTES, .sync = true};

	memcpy(config.node_id, dir->node_id, sizeof(config.node_id));
	return config;
}

static int ignore(void *arg, uint64_t seq, uint8_t type, uint64_t place, const uint8_t *data,
		  uint32_t bytes)
{
	return 0;
}

struct log *source_log(const struct datadir *dir, uint32_t number)
{
	struct log_config config = config_of(dir, dir->path, number);
	struct log_tail *tail = NULL;
	struct log *log = NULL;
	char why[512] = "";
	int err = log_recover(&config, NULL, ignore, NULL, &tail, why, sizeof(why));

	if ((err != 0 && err != -ENOENT) || log_open(&log, &config, tail, why, sizeof(why)) != 0)
		fail_msg("%s", why);
	log_tail_free(tail);
	return log;
}

void source_commit(struct log *log, uint64_t time, uint32_t bytes)
{
	uint32_t all = RECORD_HEAD_BYTES + RECORD_WRITE_BYTES + 1 + bytes;
	uint8_t *at;

	while ((at = log_reserve(log, all)) == NULL)
		source_write(log);
	memset(at, 0, all);
	store_le64(at, time);
	store_le64(at + 16, time);
	store_le32(at + 24, 1);
	store_le32(at + 28, 1);
	at[RECORD_HEAD_BYTES] = 1;
	store_le32(at + RECORD_HEAD_BYTES + 4, bytes);
	at[RECORD_HEAD_BYTES + RECORD_WRITE_BYTES] = 'k';
	log_append(log, all, RECORD_COMMIT);
}

void source_write(struct log *log)
{
	log_submit(log, (struct now){0});
	while (log_busy(log)) {
		log_poll(log);
		log_submit(log, (struct now){0});
		if (log_error(log) != 0)
			fail_msg("the log of the test: %d", log_error(log));
		usleep(100);
	}
}

struct last {
	uint64_t time;
	uint32_t count;
};

static int take(void *arg, uint64_t seq, uint8_t type, uint64_t place, const uint8_t *data,
		uint32_t bytes)
{
	struct last *last = arg;
	struct record record;

	assert_true(record_open(&record, type, data, bytes));
	assert_true(record.number.time > last->time);
	last->time = record.number.time;
	last->count++;
	return 0;
}

uint64_t source_last(const struct datadir *dir, const char *path, uint32_t number, uint32_t *count)
{
	struct log_config config = config_of(dir, path, number);
	struct log_tail *tail = NULL;
	struct last last = {0};
	char why[512] = "";

	if (log_recover(&config, NULL, take, &last, &tail, why, sizeof(why)) != 0)
		fail_msg("%s", why);
	log_tail_free(tail);
	*count = last.count;
	return last.time;
}

void source_flip(const char *dir, const char *name, uint64_t byte)
{
	char path[600];
	uint8_t value;
	int fd;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	fd = open(path, O_RDWR | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(pread(fd, &value, 1, (off_t)byte), 1);
	value ^= 16;
	assert_int_equal(pwrite(fd, &value, 1, (off_t)byte), 1);
	close(fd);
}
