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

#include "dataplane/log/datadir.h"
#include "dataplane/log/format.h"
#include "dataplane/log/log.h"
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

static void usage(void **state)
{
	assert_int_equal(run("dump", *state, "--help"), COMMAND_OK);
	assert_non_null(strstr(output, "usage: abaft log dump"));
	assert_int_equal(run("scrub", *state, NULL), COMMAND_USAGE);
	assert_non_null(strstr(output, "neither dump nor verify"));
	assert_int_equal(run("dump", *state, "--worker=x"), COMMAND_USAGE);
	assert_int_equal(run("dump", *state, "another"), COMMAND_USAGE);
	assert_int_equal(run("dump", *state, NULL), COMMAND_FAILED);
	assert_non_null(strstr(output, "no data directory"));
}

int main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, scratch_setup, scratch_teardown)
	const struct CMUnitTest tests[] = {
		CASE(verify_counts),  CASE(dump_is_json),
		CASE(damage_is_told), CASE(unreadable_record_is_told),
		CASE(usage),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
