/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Data directories that programs of this and older formats left (tests/images): their checkpoints
 * and logs are read, and what is in them is compared with what the writer was told: outcomes, and
 * of each key the newest version, its value read from where it stands.
 */
#include <errno.h>
#include <fcntl.h>
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
#include "dataplane/core/outcome.h"
#include "dataplane/core/place.h"
#include "dataplane/core/record.h"
#include "dataplane/core/snapshot.h"
#include "dataplane/log/checkpoint.h"
#include "dataplane/log/datadir.h"
#include "dataplane/log/format.h"
#include "dataplane/log/recover.h"
#include "tests/lib/scratch.h"

#define LINES_MAX      1024
#define LINE_BYTES_MAX 128

struct found {
	char key[64];
	struct vnum number;
	uint64_t place; /* as recovery says; PLACE_NONE: it brought the value itself */
	uint32_t bytes;
	uint32_t crc; /* as `make.py` sums: of zlib */
	uint32_t crc32c;
	uint8_t kind;
};

static struct found keys[LINES_MAX];
static uint32_t keys_count;
static char lines[LINES_MAX][LINE_BYTES_MAX];
static uint32_t lines_count;
static uint32_t outcomes_restored; /* of the lines: from a checkpoint */
static uint32_t moved;		   /* by kept records */
static uint32_t versions;	   /* bit n: a group of format n was read */

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

static struct found *key_of(const uint8_t *key, uint32_t bytes)
{
	for (uint32_t i = 0; i < keys_count; i++)
		if (strlen(keys[i].key) == bytes && memcmp(keys[i].key, key, bytes) == 0)
			return &keys[i];
	assert_true(keys_count < LINES_MAX && bytes < sizeof(keys[0].key));
	memcpy(keys[keys_count].key, key, bytes);
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

/* Checkpoint and logs may both tell of one. */
static void add_outcome(const uint8_t id[16], bool committed)
{
	char text[ABAFT_ID_TEXT_BYTES], line[LINE_BYTES_MAX];
	struct abaft_id txn;

	memcpy(&txn, id, 16);
	abaft_id_text(&txn, text);
	snprintf(line, sizeof(line), "%s %s\n", committed ? "commit" : "abort", text);
	for (uint32_t i = 0; i < outcomes_restored; i++)
		if (strcmp(lines[i], line) == 0)
			return;
	memcpy(next_line(), line, sizeof(line));
}

/* A write of the kept log only says where a version stands now. */
static void move(const struct record *record, const struct record_write *write, uint64_t place)
{
	struct found *found = key_of(write->key, write->key_bytes);

	if (!vnum_equal(record->number, found->number))
		return;
	if (found->place != PLACE_NONE)
		found->place = place;
	moved++;
}

static int on_record(void *arg, uint64_t sequence, uint8_t type, uint64_t place,
		     const uint8_t *data, uint32_t bytes)
{
	struct record_write write;
	struct record record;

	assert_true(record_open(&record, type, data, bytes));
	if (type != RECORD_KEPT)
		add_outcome(record.id, type == RECORD_COMMIT);
	for (uint32_t i = 0; i < record.writes; i++) {
		uint64_t at = place + (uint64_t)(record.rest.at - data);
		struct found *found;

		assert_true(record_next(&record, &write));
		if (type == RECORD_KEPT) {
			move(&record, &write, at);
			continue;
		}
		found = key_of(write.key, write.key_bytes);
		if (vnum_less(record.number, found->number))
			continue;
		found->number = record.number;
		found->place = PLACE_NONE;
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

/* Where deleted keys may be forgotten, they are only not to be there. */
static void compare(const char *name, bool without_deleted)
{
	char path[512], line[LINE_BYTES_MAX];
	uint32_t i = 0;
	FILE *file;

	for (i = 0; i < keys_count; i++)
		if (keys[i].kind == VERSION_TOMBSTONE && !without_deleted)
			snprintf(next_line(), LINE_BYTES_MAX, "deleted %.63s\n", keys[i].key);
		else if (keys[i].kind != VERSION_TOMBSTONE)
			snprintf(next_line(), LINE_BYTES_MAX, "value %.63s %u %08x\n", keys[i].key,
				 keys[i].bytes, keys[i].crc);
	qsort(lines, lines_count, sizeof(lines[0]), by_text);
	image_path(path, name, "txt");
	file = fopen(path, "r");
	assert_non_null(file);
	for (i = 0; fgets(line, sizeof(line), file);) {
		if (without_deleted && strncmp(line, "deleted ", 8) == 0)
			continue;
		assert_true(i < lines_count);
		assert_string_equal(line, lines[i++]);
	}
	assert_int_equal(i, lines_count);
	fclose(file);
}

static int on_keys(void *arg, const uint8_t *data, uint32_t bytes)
{
	struct cursor cursor = cursor_of(data, bytes);
	struct snapshot_key key;

	while (cursor.at != cursor.end) {
		struct found *found;

		assert_true(snapshot_key_next(&cursor, &key));
		found = key_of(key.key, key.key_bytes);
		found->number = key.number;
		found->kind = key.kind;
		found->bytes = key.bytes;
		found->crc32c = key.crc;
		found->place = PLACE_NONE;
		if (key.value || !key.bytes)
			found->crc = crc32_gzip_refl(0, key.value, key.bytes);
		else
			found->place = key.place;
	}
	return 0;
}

static int on_outcomes(void *arg, const uint8_t *data, uint32_t bytes)
{
	struct cursor cursor = cursor_of(data, bytes);
	struct snapshot_outcome outcome;

	while (cursor.at != cursor.end) {
		assert_true(snapshot_outcome_next(&cursor, &outcome));
		add_outcome(outcome.id, outcome.state == OUTCOME_COMMITTED);
	}
	return 0;
}

/* All that it holds; its head. */
static void load_checkpoint(const struct datadir *dir, uint32_t number,
			    struct checkpoint_head *head)
{
	const struct checkpoint_visitor visitor = {NULL, NULL, on_keys, on_outcomes};
	struct filedev *dev;
	char why[512];

	assert_int_equal(filedev_dir_create(&dev, dir->path, why, sizeof(why)), 0);
	if (checkpoint_verify(dev, dir->node_id, number, head, NULL, why, sizeof(why)))
		fail_msg("%s", why);
	assert_int_equal(checkpoint_load(dev, dir->node_id, number, &visitor, why, sizeof(why)), 0);
	outcomes_restored = lines_count;
	dev->ops->destroy(dev);
}

/* The value of a version that recovery only has a place of. */
static void read_cold(const char *path, struct found *found)
{
	uint32_t key_bytes = (uint32_t)strlen(found->key);
	size_t bytes = RECORD_WRITE_BYTES + key_bytes + found->bytes;
	uint8_t *write = malloc(bytes);
	char name[600];
	int fd;

	snprintf(name, sizeof(name), "%s/log-%03u/seg-%08x", path, place_log(found->place),
		 place_segment(found->place));
	fd = open(name, O_RDONLY);
	assert_true(fd >= 0);
	assert_int_equal(pread(fd, write, bytes, place_offset(found->place)), bytes);
	close(fd);
	assert_int_equal(load_le16(write), key_bytes);
	assert_int_equal(load_le32(write + 4), found->bytes);
	assert_memory_equal(write + RECORD_WRITE_BYTES, found->key, key_bytes);
	assert_int_equal(format_crc(write + RECORD_WRITE_BYTES + key_bytes, found->bytes),
			 found->crc32c);
	found->crc = crc32_gzip_refl(0, write + RECORD_WRITE_BYTES + key_bytes, found->bytes);
	free(write);
}

static const struct log_mark *mark_of(const struct checkpoint_head *head, uint32_t log)
{
	for (uint32_t i = 0; i < head->logs; i++)
		if (head->mark[i].log == log)
			return &head->mark[i].mark;
	return NULL;
}

/* All logs of it, and before them that checkpoint, if it is not 0; returns how many logs end in a
 * seal. */
static uint32_t read_logs(const char *path, uint32_t logs, uint32_t checkpoint)
{
	const struct recover_visitor visitor = {NULL, on_group, on_record};
	struct log_config config = {.dir = path};
	struct checkpoint_head head = {0};
	struct datadir dir;
	uint32_t sealed = 0;
	char why[512];

	assert_int_equal(datadir_inspect(&dir, path, why, sizeof(why)), 0);
	memcpy(config.node_id, dir.node_id, sizeof(config.node_id));
	assert_int_equal(dir.logs_count, logs);
	keys_count = lines_count = outcomes_restored = versions = moved = 0;
	memset(keys, 0, sizeof(keys));
	if (checkpoint)
		load_checkpoint(&dir, checkpoint, &head);
	for (uint32_t i = 0; i < logs; i++) {
		struct log_tail *tail;
		struct logdev *dev;

		config.number = dir.logs[i];
		assert_int_equal(
			logdev_uring_create(&dev, path, dir.logs[i], false, why, sizeof(why)), 0);
		if (recover_scan(dev, &config, mark_of(&head, dir.logs[i]), &visitor, &tail, why,
				 sizeof(why)))
			fail_msg("%s", why);
		sealed += tail->sealed;
		log_tail_free(tail);
		dev->ops->destroy(dev);
	}
	for (uint32_t i = 0; i < keys_count; i++)
		if (keys[i].place != PLACE_NONE)
			read_cold(path, &keys[i]);
	datadir_close(&dir);
	return sealed;
}

static void format_1_closed(void **state)
{
	unpack("format-1-closed", *state);
	assert_int_equal(read_logs(*state, 2, 0), 2);
	assert_int_equal(versions, 1u << 1);
	compare("format-1-closed", false);
}

static void format_1_killed(void **state)
{
	unpack("format-1-killed", *state);
	assert_int_equal(read_logs(*state, 4, 0), 0);
	assert_int_equal(versions, 1u << 1);
	compare("format-1-killed", false);
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
	assert_int_equal(read_logs(*state, 4, 0), 4);
	assert_int_equal(versions, 1u << 1 | 1u << LOG_FORMAT);
	compare("format-1-killed", false);
}

/* From its newest checkpoint, and from the one before: what was cleaned since then has moved. */
static void format_2_cleaned(void **state)
{
	unpack("format-2-cleaned", *state);
	assert_int_equal(read_logs(*state, 3, 3), 0);
	assert_int_equal(versions, 1u << 2);
	assert_true(moved > 0);
	compare("format-2-cleaned", true);
	assert_int_equal(read_logs(*state, 3, 2), 0);
	assert_true(moved > 0);
	compare("format-2-cleaned", true);
}

/* Neither checkpoint is there any more: what was cleaned is lost, and it must not start. */
static void format_2_without_checkpoint(void **state)
{
	struct log_config config = {.dir = *state};
	struct log_tail *tail;
	struct datadir dir;
	char why[512];

	unpack("format-2-cleaned", *state);
	assert_int_equal(datadir_inspect(&dir, *state, why, sizeof(why)), 0);
	memcpy(config.node_id, dir.node_id, sizeof(config.node_id));
	assert_int_equal(log_recover(&config, NULL, on_record, NULL, &tail, why, sizeof(why)),
			 -EBADMSG);
	assert_non_null(strstr(why, "a valid checkpoint is needed"));
	datadir_close(&dir);
}

int main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, scratch_setup, scratch_teardown)
	const struct CMUnitTest tests[] = {
		CASE(format_1_closed),
		CASE(format_1_killed),
		CASE(format_1_goes_on_as_2),
		CASE(format_2_cleaned),
		CASE(format_2_without_checkpoint),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
