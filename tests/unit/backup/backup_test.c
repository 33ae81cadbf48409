/* SPDX-License-Identifier: Apache-2.0 */
/*
 * backup_test.c - `abaft backup` and `abaft restore` as a whole, over real directories: what comes
 * through, and every refusal, which leaves nothing that could be taken for a backup.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "dataplane/core/hlc.h"
#include "dataplane/log/checkpoint.h"
#include "dataplane/log/filedev.h"
#include "tests/lib/scratch.h"
#include "tests/unit/backup/source.h"
#include "tools/command/command.h"

static char data[512], copy[512], back[512];
static char output[65536];

/* Runs a subcommand; what it writes to stdout and stderr is in `output`. */
static int run(int (*command)(int, char **), const char *name, const char *a, const char *b,
	       const char *option)
{
	char *argv[] = {strdup(name), strdup(a), strdup(b), option ? strdup(option) : NULL, NULL};
	int out = dup(1), err = dup(2), file = memfd_create("output", 0), code;
	ssize_t bytes;

	fflush(NULL);
	assert_true(dup2(file, 1) >= 0 && dup2(file, 2) >= 0);
	code = command(option ? 4 : 3, argv);
	fflush(NULL);
	dup2(out, 1);
	dup2(err, 2);
	close(out);
	close(err);
	bytes = pread(file, output, sizeof(output) - 1, 0);
	close(file);
	output[bytes < 0 ? 0 : bytes] = '\0';
	for (int i = 0; i < 4; i++)
		free(argv[i]);
	return code;
}

static int backup(void)
{
	return run(command_backup, "backup", data, copy, NULL);
}

static int restore(void)
{
	return run(command_restore, "restore", copy, back, NULL);
}

static void says(const char *what)
{
	if (strstr(output, what) == NULL)
		fail_msg("\"%s\" does not say \"%s\"", output, what);
}

static bool there(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0;
}

static uint64_t now(void)
{
	return ((uint64_t)time(NULL) * 1000000) << HLC_COUNT_BITS;
}

/* Two logs of commits up to a minute ago, closed; the lock is held. */
static void make(struct datadir *dir, const char *root)
{
	snprintf(data, sizeof(data), "%s/data", root);
	snprintf(copy, sizeof(copy), "%s/copy", root);
	snprintf(back, sizeof(back), "%s/back", root);
	source_make(dir, data);
	for (uint32_t number = 0; number < 2; number++) {
		struct log *log = source_log(dir, number);

		for (uint64_t i = 0; i < 10 + number; i++) {
			source_commit(log, now() - ((70 - i) * 1000000 << HLC_COUNT_BITS), 1000);
			source_write(log);
		}
		log_close(log);
	}
}

static void check(const struct datadir *dir, const char *path, uint32_t first, uint32_t second)
{
	uint32_t count;

	source_last(dir, path, 0, &count);
	assert_int_equal(count, first);
	source_last(dir, path, 1, &count);
	assert_int_equal(count, second);
}

static void stopped_node_comes_back(void **state)
{
	struct datadir dir, again;
	char why[512];

	make(&dir, *state);
	datadir_close(&dir);
	assert_int_equal(backup(), COMMAND_OK);
	says("2 logs, 2 files, 16.0 MiB");
	assert_int_equal(restore(), COMMAND_OK);
	says("restored to ");
	check(&dir, back, 10, 11);
	assert_int_equal(datadir_open(&again, back, why, sizeof(why)), 0);
	assert_memory_equal(again.node_id, dir.node_id, 16);
	assert_int_equal(again.logs_count, 2);
	datadir_close(&again);
	/* The backup itself is a data directory, too. */
	assert_int_equal(datadir_open(&again, copy, why, sizeof(why)), 0);
	datadir_close(&again);
}

static void json_is_one_object(void **state)
{
	struct datadir dir;

	make(&dir, *state);
	datadir_close(&dir);
	assert_int_equal(run(command_backup, "backup", data, copy, "--write=json"), COMMAND_OK);
	says("\"logs\":");
	says("\"files\":");
	assert_int_equal(run(command_restore, "restore", copy, back, "--write=json"), COMMAND_OK);
	says("\"bytes\":");
}

/* Beside a daemon: what is numbered in the future is not of this moment. */
static void running_node_is_cut(void **state)
{
	struct datadir dir;
	struct log *log;

	make(&dir, *state);
	log = source_log(&dir, 0);
	assert_int_equal(backup(), COMMAND_OK);
	check(&dir, copy, 10, 11);
	source_commit(log, now() + (UINT64_C(3600) * 1000000 << HLC_COUNT_BITS), 1000);
	source_write(log);
	snprintf(copy, sizeof(copy), "%s/copy2", (char *)*state);
	/* The clock was set back by an hour. */
	assert_int_equal(backup(), COMMAND_AGAIN);
	says("ahead of this machine's clock");
	assert_false(there(copy));
	log_close(log);
	datadir_close(&dir);
	/* Stopped, nothing is above the moment. */
	assert_int_equal(backup(), COMMAND_OK);
	check(&dir, copy, 11, 11);
}

/* For as long as it copies, the keeper can have no exclusive lock. */
static void hold_is_had_and_given_back(void **state)
{
	struct datadir dir;
	char path[600];
	int fd;

	make(&dir, *state);
	datadir_close(&dir);
	snprintf(path, sizeof(path), "%s/backup", data);
	assert_int_equal(backup(), COMMAND_OK);
	fd = open(path, O_RDWR);
	assert_true(fd >= 0);
	assert_int_equal(flock(fd, LOCK_EX | LOCK_NB), 0);
	close(fd);
}

static void targets_must_be_empty(void **state)
{
	struct datadir dir;

	make(&dir, *state);
	datadir_close(&dir);
	assert_int_equal(backup(), COMMAND_OK);
	assert_int_equal(backup(), COMMAND_FAILED);
	says("is not empty");
	assert_int_equal(restore(), COMMAND_OK);
	assert_int_equal(restore(), COMMAND_FAILED);
	says("is not empty");
	check(&dir, back, 10, 11);
}

static void sources_must_be_there(void **state)
{
	struct datadir dir;
	char path[600];

	make(&dir, *state);
	datadir_close(&dir);
	assert_int_equal(run(command_backup, "backup", "/nowhere/at/all", copy, NULL),
			 COMMAND_FAILED);
	says("/nowhere/at/all");
	assert_false(there(copy));
	assert_int_equal(restore(), COMMAND_FAILED);
	says("copy: No such file");
	/* A data directory is no backup, and one without its list was cut short. */
	assert_int_equal(run(command_restore, "restore", data, back, NULL), COMMAND_FAILED);
	says("no backup, or one that was cut short");
	assert_int_equal(backup(), COMMAND_OK);
	/* Now it has the file that was locked meanwhile. */
	assert_int_equal(run(command_restore, "restore", data, back, NULL), COMMAND_FAILED);
	says("is empty: no backup, but the data directory of a node");
	snprintf(path, sizeof(path), "%s/backup", copy);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(restore(), COMMAND_FAILED);
	says("no backup, or one that was cut short");
	assert_false(there(back));
}

/* Every file a disk can spoil in a backup: refused, and nothing is left. */
static void damaged_backups_are_refused(void **state)
{
	struct datadir dir;
	char path[600];

	make(&dir, *state);
	datadir_close(&dir);
	assert_int_equal(backup(), COMMAND_OK);
	source_flip(copy, "log-001/seg-00000000", 4096 + 200);
	assert_int_equal(restore(), COMMAND_FAILED);
	says("take another backup");
	assert_false(there(back));
	source_flip(copy, "log-001/seg-00000000", 4096 + 200);
	/* Where no log looks: only the sum tells. */
	source_flip(copy, "log-001/seg-00000000", SOURCE_SEGMENT_BYTES - 1);
	assert_int_equal(restore(), COMMAND_FAILED);
	says("log-001/seg-00000000 is damaged: 8388608 bytes with CRC32C");
	assert_false(there(back));
	source_flip(copy, "log-001/seg-00000000", SOURCE_SEGMENT_BYTES - 1);
	source_flip(copy, "backup", 30);
	assert_int_equal(restore(), COMMAND_FAILED);
	says("/backup is damaged");
	source_flip(copy, "backup", 30);
	assert_int_equal(restore(), COMMAND_OK);
	snprintf(path, sizeof(path), "%s/log-000/seg-00000000", copy);
	assert_int_equal(unlink(path), 0);
	snprintf(back, sizeof(back), "%s/back2", (char *)*state);
	assert_int_equal(restore(), COMMAND_FAILED);
	assert_false(there(back));
}

static void damage_in_the_node_is_not_backed_up(void **state)
{
	struct datadir dir;

	make(&dir, *state);
	datadir_close(&dir);
	source_flip(data, "log-000/seg-00000000", 4096 + 200);
	assert_int_equal(backup(), COMMAND_FAILED);
	says("corruption in segment 00000000 at byte 4096");
	assert_false(there(copy));
}

/* A full target, as far as a test can fill one. */
static void a_full_target_leaves_nothing(void **state)
{
	struct rlimit before, small = {.rlim_cur = 5 << 20};
	struct datadir dir;
	int code;

	make(&dir, *state);
	datadir_close(&dir);
	signal(SIGXFSZ, SIG_IGN);
	getrlimit(RLIMIT_FSIZE, &before);
	small.rlim_max = before.rlim_max;
	setrlimit(RLIMIT_FSIZE, &small);
	code = backup();
	setrlimit(RLIMIT_FSIZE, &before);
	assert_int_equal(code, COMMAND_FAILED);
	says("File too large");
	assert_false(there(copy));
	assert_int_equal(backup(), COMMAND_OK);
	setrlimit(RLIMIT_FSIZE, &small);
	code = restore();
	setrlimit(RLIMIT_FSIZE, &before);
	assert_int_equal(code, COMMAND_FAILED);
	says("File too large");
	assert_false(there(back));
}

/* Begins at the beginning of both logs. */
static void write_checkpoint(const struct datadir *dir, uint32_t number)
{
	struct checkpoint_head head = {.number = number,
				       .logs = 2,
				       .wall_us = now() >> HLC_COUNT_BITS,
				       .time = now(),
				       .mark = {{.log = 0}, {.log = 1}}};
	struct checkpoint_writer *writer;
	struct checkpoint_stats stats;
	struct filedev *dev;
	char why[256];

	assert_int_equal(filedev_dir_create(&dev, data, why, sizeof(why)), 0);
	assert_int_equal(checkpoint_begin(&writer, dev, dir->node_id, &head), 0);
	assert_int_equal(checkpoint_finish(writer, 0, &stats), 0);
	dev->ops->destroy(dev);
}

static bool in_copy(const char *name)
{
	char path[600];

	snprintf(path, sizeof(path), "%s/%s", copy, name);
	return there(path);
}

/* The newest two that are whole; what the node is writing is left alone. */
static void checkpoints_come_with_it(void **state)
{
	struct datadir dir;
	char path[600];
	int fd;

	make(&dir, *state);
	for (uint32_t number = 1; number <= 4; number++)
		write_checkpoint(&dir, number);
	datadir_close(&dir);
	snprintf(path, sizeof(path), "%s/checkpoint-00000005.new", data);
	fd = open(path, O_WRONLY | O_CREAT, 0644);
	assert_true(fd >= 0);
	close(fd);
	source_flip(data, "checkpoint-00000003", 100);
	assert_int_equal(backup(), COMMAND_OK);
	says("checkpoint-00000003");
	says("it is left out");
	says("2 checkpoints");
	assert_true(there(path));
	assert_true(in_copy("checkpoint-00000004") && in_copy("checkpoint-00000002"));
	assert_false(in_copy("checkpoint-00000003") || in_copy("checkpoint-00000001") ||
		     in_copy("checkpoint-00000005.new"));
	assert_int_equal(restore(), COMMAND_OK);
	snprintf(path, sizeof(path), "%s/checkpoint-00000004", back);
	assert_true(there(path));
	source_flip(copy, "checkpoint-00000002", 100);
	snprintf(back, sizeof(back), "%s/back2", (char *)*state);
	assert_int_equal(restore(), COMMAND_FAILED);
	assert_false(there(back));
}

static void usage(void **state)
{
	assert_int_equal(run(command_backup, "backup", "--help", "", NULL), COMMAND_OK);
	says("usage: abaft backup");
	assert_int_equal(run(command_restore, "restore", "--help", "", NULL), COMMAND_OK);
	says("usage: abaft restore");
	assert_int_equal(run(command_backup, "backup", "a", "b", "c"), COMMAND_USAGE);
	assert_int_equal(run(command_restore, "restore", "a", "b", "c"), COMMAND_USAGE);
}

int main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, scratch_setup, scratch_teardown)
	const struct CMUnitTest tests[] = {
		CASE(stopped_node_comes_back),
		CASE(json_is_one_object),
		CASE(running_node_is_cut),
		CASE(hold_is_had_and_given_back),
		CASE(targets_must_be_empty),
		CASE(sources_must_be_there),
		CASE(damaged_backups_are_refused),
		CASE(damage_in_the_node_is_not_backed_up),
		CASE(a_full_target_leaves_nothing),
		CASE(checkpoints_come_with_it),
		CASE(usage),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
