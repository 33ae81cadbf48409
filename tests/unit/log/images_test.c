/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Data directories that older programs left (tests/images): every log of them is read, and what is
 * in it is compared with what its writer was told: outcomes, and of each key the newest version.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>
#include <isa-l/crc.h>

#include <abaft/abaft.h>
#include "dataplane/core/record.h"
#include "dataplane/log/datadir.h"
#include "dataplane/log/format.h"
#include "dataplane/log/recover.h"
#include "tests/lib/scratch.h"

#define LINES_MAX      1024
#define LINE_BYTES_MAX 128

struct found {
	char key[64];
	struct vnum number;
	uint32_t bytes;
	uint32_t crc;
	uint8_t kind;
};

static struct found keys[LINES_MAX];
static uint32_t keys_count;
static char lines[LINES_MAX][LINE_BYTES_MAX];
static uint32_t lines_count;
static uint32_t versions; /* bit n: a group of format n was read */

static void image_path(char path[512], const char *name, const char *suffix)
{
	const char *images = getenv("ABAFT_IMAGES");

	snprintf(path, 512, "%s/%s.%s", images ? images : "tests/images", name, suffix);
}

static void unpack(const char *name, const char *dir)
{
	char path[512];
	int status;
	pid_t pid;

	image_path(path, name, "tar.xz");
	pid = fork();
	if (pid == 0) {
		execlp("tar", "tar", "-xJf", path, "-C", dir, NULL);
		_exit(127);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static struct found *key_of(const struct record_write *write)
{
	for (uint32_t i = 0; i < keys_count; i++)
		if (strlen(keys[i].key) == write->key_bytes &&
		    memcmp(keys[i].key, write->key, write->key_bytes) == 0)
			return &keys[i];
	assert_true(keys_count < LINES_MAX && write->key_bytes < sizeof(keys[0].key));
	memcpy(keys[keys_count].key, write->key, write->key_bytes);
	return &keys[keys_count++];
}

static char *next_line(void)
{
	assert_true(lines_count < LINES_MAX);
	return lines[lines_count++];
}

static int on_group(void *arg, const struct group_header *header, uint64_t offset)
{
	versions |= 1u << header->version;
	return 0;
}

static int on_record(void *arg, uint64_t sequence, uint8_t type, uint64_t place,
		     const uint8_t *data, uint32_t bytes)
{
	struct record_write write;
	struct record record;
	struct abaft_id id;
	char text[ABAFT_ID_TEXT_BYTES];

	assert_true(record_open(&record, type, data, bytes));
	memcpy(&id, record.id, sizeof(record.id));
	abaft_id_text(&id, text);
	snprintf(next_line(), LINE_BYTES_MAX, "%s %s\n", type == RECORD_COMMIT ? "commit" : "abort",
		 text);
	for (uint32_t i = 0; i < record.writes; i++) {
		struct found *found;

		assert_true(record_next(&record, &write));
		found = key_of(&write);
		if (vnum_less(record.number, found->number))
			continue;
		found->number = record.number;
		found->bytes = write.bytes;
		found->kind = write.kind;
		found->crc = crc32_gzip_refl(0, write.value, write.bytes);
	}
	assert_true(record_ended(&record));
	return 0;
}

static int by_text(const void *a, const void *b)
{
	return strcmp(a, b);
}

static void compare(const char *name)
{
	char path[512], line[LINE_BYTES_MAX];
	uint32_t i = 0;
	FILE *file;

	for (i = 0; i < keys_count; i++)
		if (keys[i].kind == VERSION_TOMBSTONE)
			snprintf(next_line(), LINE_BYTES_MAX, "deleted %.63s\n", keys[i].key);
		else
			snprintf(next_line(), LINE_BYTES_MAX, "value %.63s %u %08x\n", keys[i].key,
				 keys[i].bytes, keys[i].crc);
	qsort(lines, lines_count, sizeof(lines[0]), by_text);
	image_path(path, name, "txt");
	file = fopen(path, "r");
	assert_non_null(file);
	for (i = 0; fgets(line, sizeof(line), file); i++) {
		assert_true(i < lines_count);
		assert_string_equal(line, lines[i]);
	}
	assert_int_equal(i, lines_count);
	fclose(file);
}

/* All logs of it from their beginnings; returns how many end in a seal. */
static uint32_t read_logs(const char *path, uint32_t logs)
{
	const struct recover_visitor visitor = {NULL, on_group, on_record};
	struct log_config config = {.dir = path};
	struct datadir dir;
	uint32_t sealed = 0;
	char why[512];

	assert_int_equal(datadir_inspect(&dir, path, why, sizeof(why)), 0);
	memcpy(config.node_id, dir.node_id, sizeof(config.node_id));
	assert_int_equal(dir.logs_count, logs);
	keys_count = lines_count = versions = 0;
	memset(keys, 0, sizeof(keys));
	for (uint32_t i = 0; i < logs; i++) {
		struct log_tail *tail;
		struct logdev *dev;

		config.number = dir.logs[i];
		assert_int_equal(
			logdev_uring_create(&dev, path, dir.logs[i], false, why, sizeof(why)), 0);
		if (recover_scan(dev, &config, NULL, &visitor, &tail, why, sizeof(why)))
			fail_msg("%s", why);
		sealed += tail->sealed;
		log_tail_free(tail);
		dev->ops->destroy(dev);
	}
	datadir_close(&dir);
	return sealed;
}

static void format_1_closed(void **state)
{
	unpack("format-1-closed", *state);
	assert_int_equal(read_logs(*state, 2), 2);
	assert_int_equal(versions, 1u << 1);
	compare("format-1-closed");
}

static void format_1_killed(void **state)
{
	unpack("format-1-killed", *state);
	assert_int_equal(read_logs(*state, 4), 0);
	assert_int_equal(versions, 1u << 1);
	compare("format-1-killed");
}

/* A daemon marks it, goes on writing, and all of it is still there. */
static void format_1_goes_on_as_2(void **state)
{
	struct log_config config = {.dir = *state, .segment_bytes = 8u << 20, .sync = true};
	struct datadir dir;
	char why[512];

	unpack("format-1-killed", *state);
	assert_int_equal(datadir_open(&dir, *state, why, sizeof(why)), 0);
	assert_int_equal(dir.format, 1);
	memcpy(config.node_id, dir.node_id, sizeof(config.node_id));
	for (uint32_t i = 0; i < dir.logs_count; i++) {
		struct log_tail *tail;
		struct log *log;

		config.number = dir.logs[i];
		assert_int_equal(
			log_recover(&config, NULL, on_record, NULL, &tail, why, sizeof(why)), 0);
		assert_int_equal(log_open(&log, &config, tail, why, sizeof(why)), 0);
		log_tail_free(tail);
		log_close(log);
	}
	datadir_close(&dir);
	assert_int_equal(read_logs(*state, 4), 4);
	assert_int_equal(versions, 1u << 1 | 1u << LOG_FORMAT);
	compare("format-1-killed");
}

int main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, scratch_setup, scratch_teardown)
	const struct CMUnitTest tests[] = {
		CASE(format_1_closed),
		CASE(format_1_killed),
		CASE(format_1_goes_on_as_2),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
