/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tests of tools/command/log.c: `abaft log dump|verify` on real directories, its output read back.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cjson/cJSON.h>
#include <cmocka.h>

#include "dataplane/core/outcome.h"
#include "dataplane/core/place.h"
#include "dataplane/core/snapshot.h"
#include "dataplane/log/checkpoint.h"
#include "dataplane/log/datadir.h"
#include "dataplane/log/format.h"
#include "dataplane/log/log.h"
#include "dataplane/log/recover.h"
#include "tests/lib/scratch.h"
#include "tools/command/command.h"

#define SEGMENT_BYTES (8u << 20)

static char output[65536];

/* Runs the subcommand; what it writes, to stdout and stderr, is in `output`. */
static int run(const char *action, const char *dir, const char *option)
{
	char *argv[] = {(char[]){"log"}, strdup(action), strdup(dir),
			option ? strdup(option) : NULL, NULL};
	int out = dup(1), err = dup(2), file = memfd_create("output", 0);
	ssize_t bytes;
	int code;

	fflush(NULL);
	assert_true(dup2(file, 1) >= 0 && dup2(file, 2) >= 0);
	optind = 0;
	code = command_log(option ? 4 : 3, argv);
	fflush(NULL);
	dup2(out, 1);
	dup2(err, 2);
	close(out);
	close(err);
	bytes = pread(file, output, sizeof(output) - 1, 0);
	close(file);
	output[bytes < 0 ? 0 : bytes] = '\0';
	for (int i = 1; i < 4; i++)
		free(argv[i]);
	return code;
}

static void put_u32(uint8_t *at, uint32_t value)
{
	memcpy(at, &value, sizeof(value));
}

/* As record.h says: one value and one tombstone, or an abort. */
static uint32_t commit_record(uint8_t *at)
{
	memset(at, 0, 64);
	memset(at, 0x11, 16);
	put_u32(at + 16, 1234);
	put_u32(at + 24, 258);
	put_u32(at + 28, 2);
	at[32] = 3;
	put_u32(at + 36, 5);
	memcpy(at + 40, "a\"\x01hello", 8);
	at[48] = 1;
	at[50] = 1;
	at[56] = 'b';
	return 57;
}

static uint32_t abort_record(uint8_t *at)
{
	memset(at, 0, 32);
	memset(at, 0x22, 16);
	return 32;
}

/* Two logs; the first with a commit and an abort, and `strange`, a record of an unknown type. */
static void make(struct datadir *dir, const char *path, bool strange)
{
	char why[256];

	assert_int_equal(datadir_open(dir, path, why, sizeof(why)), 0);
	for (uint32_t number = 0; number < 2; number++) {
		struct log_config config = {.dir = path,
					    .number = number,
					    .segment_bytes = SEGMENT_BYTES,
					    .sync = true};
		struct log *log;

		memcpy(config.node_id, dir->node_id, 16);
		assert_int_equal(log_open(&log, &config, NULL, why, sizeof(why)), 0);
		if (number == 0) {
			log_append(log, commit_record(log_reserve(log, 100)), 1);
			log_append(log, abort_record(log_reserve(log, 100)), 2);
		}
		if (number == 0 && strange)
			log_append(log, abort_record(log_reserve(log, 100)), 77);
		log_close(log);
	}
}

static void verify_counts(void **state)
{
	struct datadir dir;

	make(&dir, *state, false);
	assert_int_equal(run("verify", *state, NULL), COMMAND_FAILED);
	assert_non_null(strstr(output, "in use by process"));
	datadir_close(&dir);
	assert_int_equal(run("verify", *state, NULL), COMMAND_OK);
	assert_non_null(strstr(output, "log-000 whole: "));
	assert_non_null(strstr(output, " 2 groups, 2 records, 89 bytes; 1 commits, 1 aborts, "
				       "0 malformed; closed in good order\n"));
	assert_non_null(strstr(output, "log-001 whole: "));
	assert_non_null(strstr(output, "; empty\n"));
	assert_int_equal(run("verify", *state, "--worker=1"), COMMAND_OK);
	assert_null(strstr(output, "log-000"));
	assert_int_equal(run("verify", *state, "--worker=2"), COMMAND_FAILED);
	assert_non_null(strstr(output, "no log of worker 2"));
}

static void dump_is_json(void **state)
{
	struct datadir dir;
	const cJSON *write;
	cJSON *line;

	make(&dir, *state, false);
	datadir_close(&dir);
	assert_int_equal(run("dump", *state, "-j"), COMMAND_OK);
	line = cJSON_Parse(output);
	assert_non_null(line);
	assert_int_equal(cJSON_GetObjectItem(line, "records")->valueint, 2);
	cJSON_Delete(line);
	line = cJSON_Parse(strchr(output, '\n') + 1);
	assert_non_null(line);
	assert_string_equal(cJSON_GetObjectItem(line, "type")->valuestring, "commit");
	assert_string_equal(cJSON_GetObjectItem(line, "txn")->valuestring,
			    "11111111-1111-1111-1111-111111111111");
	assert_int_equal(cJSON_GetObjectItem(line, "time")->valueint, 1234);
	write = cJSON_GetArrayItem(cJSON_GetObjectItem(line, "writes"), 0);
	assert_string_equal(cJSON_GetObjectItem(write, "key")->valuestring, "a\"\x01");
	assert_int_equal(cJSON_GetObjectItem(write, "bytes")->valueint, 5);
	write = cJSON_GetArrayItem(cJSON_GetObjectItem(line, "writes"), 1);
	assert_true(cJSON_IsTrue(cJSON_GetObjectItem(write, "deleted")));
	cJSON_Delete(line);
	assert_int_equal(run("dump", *state, NULL), COMMAND_OK);
	assert_non_null(strstr(output, " group 1 record 2 abort 32 bytes 22222222-2222"));
	assert_non_null(strstr(output, " records 0 bytes 0 seal\n"));
}

static void damage_is_told(void **state)
{
	struct datadir dir;
	char path[512];
	uint8_t byte;
	int fd;

	make(&dir, *state, false);
	datadir_close(&dir);
	snprintf(path, sizeof(path), "%s/log-000/seg-00000000", (char *)*state);
	fd = open(path, O_RDWR);
	assert_int_equal(pread(fd, &byte, 1, 130), 1);
	byte ^= 4;
	assert_int_equal(pwrite(fd, &byte, 1, 130), 1);
	close(fd);
	assert_int_equal(run("verify", *state, NULL), COMMAND_NO);
	assert_non_null(strstr(output, "corruption in segment 00000000 at byte 0: group 1 was "
				       "durable"));
	assert_int_equal(run("dump", *state, NULL), COMMAND_NO);
}

static void unreadable_record_is_told(void **state)
{
	struct datadir dir;

	make(&dir, *state, true);
	datadir_close(&dir);
	assert_int_equal(run("verify", *state, NULL), COMMAND_NO);
	assert_non_null(strstr(output, "log-000 damaged: "));
	assert_non_null(strstr(output, "1 malformed"));
}

static int take_group(void *arg, const struct group_header *header, uint64_t offset)
{
	struct log_mark *mark = arg;

	if (header->sequence > 2)
		return 0;
	*mark = (struct log_mark){
		.group = header->sequence,
		.record = header->record_first + header->records - 1,
		.offset = offset + format_blocks_up(LOG_GROUP_HEADER_BYTES + header->payload_bytes),
		.segment = header->segment,
		.previous_crc = header->header_crc,
		.incarnation = header->incarnation,
	};
	return 0;
}

/* The mark of log-000 behind its second group: commit, abort, and a seal. */
static struct log_mark find_mark(const struct datadir *dir)
{
	struct log_mark mark = {0};
	const struct recover_visitor visitor = {&mark, take_group, NULL};
	struct log_config config = {.dir = dir->path};
	struct log_tail *tail;
	struct logdev *dev;
	char why[256];

	memcpy(config.node_id, dir->node_id, 16);
	assert_int_equal(logdev_uring_create(&dev, dir->path, 0, false, why, sizeof(why)), 0);
	assert_int_equal(recover_scan(dev, &config, NULL, &visitor, &tail, why, sizeof(why)), 0);
	log_tail_free(tail);
	dev->ops->destroy(dev);
	return mark;
}

/* One key that is there, one that is deleted, and one outcome; `key_bytes` 0: no key of a node. */
static void add_entries(struct checkpoint_writer *writer, uint32_t key_bytes)
{
	struct snapshot_key key = {
		.number = {1234, 258},
		.place = place_make(0, 0, 4711),
		.key = (const uint8_t *)"a\"\x01",
		.value = (const uint8_t *)"hello",
		.key_bytes = 3,
		.bytes = 5,
	};
	const struct checkpoint_segment segment = {0, 0, SEGMENT_BYTES, 99};
	struct snapshot_outcome outcome = {.number = {1234, 258}, .state = OUTCOME_COMMITTED};
	uint8_t at[256];

	memset(outcome.id, 0x11, sizeof(outcome.id));
	assert_int_equal(checkpoint_segments(writer, &segment, 1), 0);
	snapshot_key_encode(at, &key);
	if (key_bytes == 0)
		memset(at, 0, 2);
	assert_int_equal(checkpoint_add(writer, CHECKPOINT_KEYS, at, snapshot_key_bytes(&key), 1),
			 0);
	key.kind = 1;
	key.bytes = 0;
	key.value = NULL;
	snapshot_key_encode(at, &key);
	assert_int_equal(checkpoint_add(writer, CHECKPOINT_KEYS, at, snapshot_key_bytes(&key), 1),
			 0);
	snapshot_outcome_encode(at, &outcome);
	assert_int_equal(checkpoint_add(writer, CHECKPOINT_OUTCOMES, at, SNAPSHOT_OUTCOME_BYTES, 1),
			 0);
}

/* Checkpoint `number`, with the mark of log-000 and one of log-001 at its beginning. */
static void make_checkpoint(const struct datadir *dir, uint32_t number, uint32_t key_bytes)
{
	struct checkpoint_head head = {.number = number,
				       .logs = 2,
				       .wall_us = UINT64_C(1700000000000000),
				       .mark = {{0, find_mark(dir)}, {1, {0}}}};
	struct checkpoint_writer *writer;
	struct filedev *dev;
	char why[256];

	assert_int_equal(filedev_dir_create(&dev, dir->path, why, sizeof(why)), 0);
	assert_int_equal(checkpoint_begin(&writer, dev, dir->node_id, &head), 0);
	add_entries(writer, key_bytes);
	assert_int_equal(checkpoint_finish(writer, 7, NULL), 0);
	dev->ops->destroy(dev);
}

static void flip(const char *dir, const char *name, off_t at)
{
	char path[512];
	uint8_t byte;
	int fd;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	fd = open(path, O_RDWR);
	assert_int_equal(pread(fd, &byte, 1, at), 1);
	byte ^= 4;
	assert_int_equal(pwrite(fd, &byte, 1, at), 1);
	close(fd);
}

static void expect(const char *text)
{
	if (!strstr(output, text))
		fail_msg("\"%s\" is not in: %s", text, output);
}

static void checkpoints_are_verified(void **state)
{
	struct datadir dir;

	make(&dir, *state, false);
	make_checkpoint(&dir, 0x1a, 3);
	make_checkpoint(&dir, 0x1b, 3);
	datadir_close(&dir);
	assert_int_equal(run("verify", *state, NULL), COMMAND_OK);
	expect("checkpoint-0000001b whole: 2 keys, 1 outcomes, 1 segments, 20480 bytes; begun "
	       "2023-11-14T22:13:20Z\n");
	expect("checkpoint-0000001a whole: ");
	/* What stands before the mark is looked at, too. */
	expect(" 2 groups, 2 records, 89 bytes; 1 commits, 1 aborts, 0 malformed; closed in good "
	       "order\n");
	flip(*state, "checkpoint-0000001b", 8200);
	assert_int_equal(run("verify", *state, NULL), COMMAND_NO);
	expect("checkpoint-0000001b, block 2 at byte 8192 of 20480: its header is damaged");
	expect("checkpoint-0000001a whole: ");
	expect("log-000 whole: ");
	assert_int_equal(run("verify", *state, "-j"), COMMAND_NO);
	expect("{\"checkpoint\":27,\"whole\":false}\n");
	expect("{\"checkpoint\":26,\"whole\":true,\"keys\":2,");
}

/* Whole blocks, but no node can use what is in them. */
static void entries_are_verified(void **state)
{
	struct datadir dir;

	make(&dir, *state, false);
	make_checkpoint(&dir, 1, 0);
	datadir_close(&dir);
	assert_int_equal(run("verify", *state, NULL), COMMAND_NO);
	expect("checkpoint-00000001: its blocks are whole but entries in them are malformed");
}

static void damage_before_the_mark_is_told(void **state)
{
	struct datadir dir;

	make(&dir, *state, false);
	make_checkpoint(&dir, 1, 3);
	datadir_close(&dir);
	flip(*state, "log-000/seg-00000000", 130);
	assert_int_equal(run("verify", *state, NULL), COMMAND_NO);
	expect("corruption in segment 00000000 at byte 0: group 1: the group's records are torn or "
	       "damaged (checksum); records 1 to 2 in it affected\n");
	expect("log-000 damaged: ");
	expect("log-001 whole: ");
	assert_int_equal(run("verify", *state, "-j"), COMMAND_NO);
	expect("{\"log\":0,\"damage\":\"the group's records are torn or damaged (checksum)\","
	       "\"segment\":0,\"offset\":0,\"group_first\":1,\"group_last\":1,"
	       "\"record_first\":1,\"record_last\":2}\n");
	expect(",\"damages\":1,");
}

static void log_that_a_checkpoint_knows_is_missing(void **state)
{
	struct datadir dir;
	char from[512], to[512];

	make(&dir, *state, false);
	make_checkpoint(&dir, 1, 3);
	datadir_close(&dir);
	snprintf(from, sizeof(from), "%s/log-000", (char *)*state);
	snprintf(to, sizeof(to), "%s/elsewhere", (char *)*state);
	assert_int_equal(rename(from, to), 0);
	assert_int_equal(run("verify", *state, NULL), COMMAND_NO);
	expect("log-000: it is missing, though the checkpoint knows its groups up to 2");
}

static void checkpoints_are_dumped(void **state)
{
	struct datadir dir;

	make(&dir, *state, false);
	make_checkpoint(&dir, 0x1a, 3);
	datadir_close(&dir);
	assert_int_equal(run("dump", *state, NULL), COMMAND_OK);
	expect("  checkpoint-0000001a log-000 from segment 00000000 byte 8192 on, behind group 2 "
	       "record 2 incarnation 1\n");
	expect("  log-000 segment 00000000 8388608 bytes, youngest write 99\n");
	expect(" group 1 record 2 abort 32 bytes 22222222-2222");
	assert_null(strstr(output, "version 1234.258 at"));
	assert_int_equal(run("dump", *state, "--checkpoint=1a"), COMMAND_OK);
	expect("\"a\\\"\\u0001\" 5 bytes version 1234.258 at log-000 segment 00000000 byte 4711\n");
	expect("\"a\\\"\\u0001\" deleted 0 bytes version 1234.258 at ");
	expect("11111111-1111-1111-1111-111111111111 committed version 1234.258\n");
	assert_null(strstr(output, "abort 32 bytes"));
	assert_int_equal(run("dump", *state, "--checkpoint=1b"), COMMAND_FAILED);
	expect("checkpoint-0000001b");
	assert_int_equal(run("dump", *state, "--checkpoint=1x"), COMMAND_USAGE);
	expect("\"1x\" is no checkpoint's number");
	assert_int_equal(run("verify", *state, "--checkpoint=1a"), COMMAND_USAGE);
}

/* Live are the two writes of the checkpoint: 8 + 3 + 5 and 8 + 3 bytes. */
static void stats_count_what_is_live(void **state)
{
	struct datadir dir;

	make(&dir, *state, false);
	datadir_close(&dir);
	assert_int_equal(run("stats", *state, NULL), COMMAND_OK);
	expect("no checkpoint: what is live is not known\n");
	expect(" of them behind the checkpoint\n");
	assert_int_equal(datadir_open(&dir, *state, output, sizeof(output)), 0);
	make_checkpoint(&dir, 0x1a, 3);
	make_checkpoint(&dir, 0x1b, 3);
	datadir_close(&dir);
	assert_int_equal(run("stats", *state, NULL), COMMAND_OK);
	expect("checkpoint-0000001b: 2 keys, 1 outcomes, 20480 bytes\n");
	/* How many segments were made ahead is a matter of time. */
	expect(" bytes on disk, 0 of them behind the checkpoint, 27 live (0.0 %)\n  segments by "
	       "tenths of live bytes, from empty to full: ");
	expect(" bytes on disk, 0 of them behind the checkpoint, 0 live (0.0 %)\n");
	expect("a restart reads 20480 bytes of checkpoint and 0 of logs\n");
	flip(*state, "checkpoint-0000001b", 8200);
	assert_int_equal(run("stats", *state, "-j"), COMMAND_OK);
	expect("{\"checkpoint\":26,\"keys\":2,");
	expect("\"live_bytes\":27,\"live_tenths\":[");
	assert_int_equal(run("stats", *state, "--worker=0"), COMMAND_USAGE);
}

static void usage(void **state)
{
	assert_int_equal(run("dump", *state, "--help"), COMMAND_OK);
	assert_non_null(strstr(output, "usage: abaft log dump"));
	assert_int_equal(run("scrub", *state, NULL), COMMAND_USAGE);
	assert_non_null(strstr(output, "none of dump, verify and stats"));
	assert_int_equal(run("dump", *state, "--worker=x"), COMMAND_USAGE);
	assert_int_equal(run("dump", *state, "another"), COMMAND_USAGE);
	assert_int_equal(run("dump", *state, NULL), COMMAND_FAILED);
	assert_non_null(strstr(output, "no data directory"));
}

int main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, scratch_setup, scratch_teardown)
	const struct CMUnitTest tests[] = {
		CASE(verify_counts),
		CASE(dump_is_json),
		CASE(damage_is_told),
		CASE(unreadable_record_is_told),
		CASE(checkpoints_are_verified),
		CASE(entries_are_verified),
		CASE(damage_before_the_mark_is_told),
		CASE(log_that_a_checkpoint_knows_is_missing),
		CASE(checkpoints_are_dumped),
		CASE(stats_count_what_is_live),
		CASE(usage),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
