/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cut_test.c - the copy of a log ends before the first commit above the cut, wherever that stands;
 * what was torn in the copy is copied again; what is damaged in the log is said.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/lib/scratch.h"
#include "tests/unit/backup/source.h"
#include "tests/unit/command/stderr.h"
#include "tools/backup/backup.h"
#include "tools/backup/copy.h"

static char from[512], to[512];

/* Times 10, 20, ... in groups of 1, 2, 3, 1, 2, 3 ... commits. Not closed: as a node that runs. */
static struct log *write_log(struct datadir *dir, const char *root, uint32_t commits,
			     uint32_t value_bytes)
{
	uint32_t group = 1, in_group = 0;
	struct log *log;

	snprintf(from, sizeof(from), "%s/data", root);
	snprintf(to, sizeof(to), "%s/copy", root);
	source_make(dir, from);
	log = source_log(dir, 0);
	for (uint32_t i = 1; i <= commits; i++) {
		source_commit(log, i * 10, value_bytes);
		if (++in_group == group || i == commits) {
			source_write(log);
			group = group % 3 + 1;
			in_group = 0;
		}
	}
	return log;
}

static void begin(struct backup *backup, const struct datadir *dir, uint64_t cut)
{
	memset(backup, 0, sizeof(*backup));
	backup->from = from;
	backup->to = to;
	backup->dir = *dir;
	backup->cut = cut;
	backup->to_fd = copy_target(to);
	assert_true(backup->to_fd >= 0);
}

static void end(struct backup *backup)
{
	manifest_free(&backup->manifest);
	close(backup->to_fd);
	copy_remove(to);
}

/* The list names exactly what is there, with its length and sum. */
static void check_list(const struct backup *backup)
{
	for (size_t i = 0; i < backup->manifest.count; i++) {
		const struct manifest_file *file = &backup->manifest.files[i];
		char path[MANIFEST_PATH_BYTES];
		uint64_t bytes;
		uint32_t crc;

		manifest_path(path, file->log, file->number);
		assert_int_equal(copy_sum(backup->to_fd, path, &bytes, &crc), 0);
		assert_int_equal(bytes, file->bytes);
		assert_int_equal(crc, file->crc);
	}
}

/* Between any two commits, below the first and above the last: exactly those that are not above. */
static void every_cut(void **state)
{
	const uint32_t commits = 7;
	struct backup backup;
	struct datadir dir;
	struct log *log = write_log(&dir, *state, commits, 100);
	uint32_t count;

	for (uint32_t cut = 5; cut <= commits * 10 + 5; cut += 5) {
		begin(&backup, &dir, cut);
		assert_int_equal(backup_copy_log(&backup, 0, 0), 0);
		assert_int_equal(backup_cut_log(&backup, 0), 0);
		check_list(&backup);
		assert_int_equal(source_last(&dir, to, 0, &count),
				 cut / 10 < commits ? cut / 10 * 10 : commits * 10);
		assert_int_equal(count, cut / 10 < commits ? cut / 10 : commits);
		assert_int_equal(backup.records, count);
		assert_int_equal(backup.manifest.count, 1); /* none of those made ahead */
		end(&backup);
	}
	log_close(log);
	datadir_close(&dir);
}

/* A node goes on behind the cut, and a second recovery finds both. */
static void a_node_goes_on_behind_the_cut(void **state)
{
	struct backup backup;
	struct datadir dir, copy;
	struct log *log = write_log(&dir, *state, 9, 100);
	uint32_t count;

	begin(&backup, &dir, 50); /* in the middle of a group */
	assert_int_equal(backup_copy_log(&backup, 0, 0), 0);
	assert_int_equal(backup_cut_log(&backup, 0), 0);
	log_close(log);
	copy = dir;
	memcpy(copy.path, to, sizeof(to));
	log = source_log(&copy, 0);
	source_commit(log, 1000, 5000);
	source_write(log);
	log_close(log);
	assert_int_equal(source_last(&dir, to, 0, &count), 1000);
	assert_int_equal(count, 6);
	end(&backup);
	datadir_close(&dir);
}

/* Segments behind the cut go; one that begins with it, too. */
static void segments_behind_the_cut_go(void **state)
{
	struct backup backup;
	struct datadir dir;
	struct log *log = write_log(&dir, *state, 30, 1000000); /* 8 or so in a segment */
	static const uint32_t cuts[] = {10, 60, 70, 80, 90, 160, 170, 180, 250, 300};
	uint32_t count, last = 0;

	for (size_t i = 0; i < sizeof(cuts) / sizeof(cuts[0]); i++) {
		uint32_t cut = cuts[i];

		begin(&backup, &dir, cut);
		assert_int_equal(backup_copy_log(&backup, 0, 0), 0);
		assert_int_equal(backup_cut_log(&backup, 0), 0);
		check_list(&backup);
		assert_int_equal(source_last(&dir, to, 0, &count), cut);
		assert_true(backup.manifest.count >= last);
		last = (uint32_t)backup.manifest.count;
		end(&backup);
	}
	assert_true(last >= 4);
	log_close(log);
	datadir_close(&dir);
}

/* The kept log only says where things are: all of it stays. */
static void the_kept_log_is_not_cut(void **state)
{
	struct backup backup;
	struct datadir dir;
	struct log *log = write_log(&dir, *state, 1, 100);
	uint32_t count;

	log_close(log);
	log = source_log(&dir, ABAFT_LOG_KEPT);
	source_commit(log, 77, 100);
	source_write(log);
	begin(&backup, &dir, 10);
	assert_int_equal(backup_copy_log(&backup, ABAFT_LOG_KEPT, 0), 0);
	assert_int_equal(backup_cut_log(&backup, ABAFT_LOG_KEPT), 0);
	assert_int_equal(source_last(&dir, to, ABAFT_LOG_KEPT, &count), 77);
	log_close(log);
	end(&backup);
	datadir_close(&dir);
}

static void an_empty_log_is_copied(void **state)
{
	struct backup backup;
	struct datadir dir;
	struct log *log = write_log(&dir, *state, 0, 0);
	uint32_t count;

	begin(&backup, &dir, 10);
	assert_int_equal(backup_copy_log(&backup, 0, 0), 0);
	assert_int_equal(backup_cut_log(&backup, 0), 0);
	assert_int_equal(source_last(&dir, to, 0, &count), 0);
	assert_int_equal(backup.manifest.count, 1);
	log_close(log);
	end(&backup);
	datadir_close(&dir);
}

/* As if it had been written while it was copied: torn there, whole in the log. */
static void what_was_torn_is_copied_again(void **state)
{
	struct backup backup;
	struct datadir dir;
	struct log *log = write_log(&dir, *state, 30, 1000000);
	uint32_t count;

	begin(&backup, &dir, 300);
	assert_int_equal(backup_copy_log(&backup, 0, 0), 0);
	source_flip(to, "log-000/seg-00000001", 5000000);
	assert_int_equal(backup_cut_log(&backup, 0), 0);
	check_list(&backup);
	assert_int_equal(source_last(&dir, to, 0, &count), 300);
	assert_int_equal(count, 30);
	log_close(log);
	end(&backup);
	datadir_close(&dir);
}

static void damage_in_the_log_is_said(void **state)
{
	struct backup backup;
	struct datadir dir;
	struct log *log = write_log(&dir, *state, 30, 1000000);

	log_close(log);
	source_flip(from, "log-000/seg-00000001", 5000000);
	begin(&backup, &dir, 300);
	assert_int_equal(backup_copy_log(&backup, 0, 0), 0);
	stderr_capture();
	assert_int_equal(backup_cut_log(&backup, 0), -EBADMSG);
	stderr_release();
	assert_non_null(strstr(stderr_text(), "corruption in segment 00000001"));
	end(&backup);
	datadir_close(&dir);
}

/* The newest time is that of the last commit, also when its group, or all of the newest segment,
 * is not whole. */
static void the_newest_time_is_found(void **state)
{
	struct datadir dir;
	struct log *log = write_log(&dir, *state, 12, 1000000);
	char path[600];
	uint64_t time;
	int fd;

	log_close(log);
	snprintf(path, sizeof(path), "%s/log-000", from);
	fd = open(path, O_RDONLY | O_DIRECTORY);
	assert_int_equal(backup_newest_time(fd, dir.node_id, 0, &time), 0);
	assert_int_equal(time, 120);
	/* Eight fit the first segment, at most. */
	source_flip(path, "seg-00000001", 4000000);
	assert_int_equal(backup_newest_time(fd, dir.node_id, 0, &time), 0);
	assert_true(time < 120 && time >= 60);
	source_flip(path, "seg-00000001", 10);
	assert_int_equal(backup_newest_time(fd, dir.node_id, 0, &time), 0);
	assert_true(time >= 60 && time <= 80);
	close(fd);
	datadir_close(&dir);
}

int main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, scratch_setup, scratch_teardown)
	const struct CMUnitTest tests[] = {
		CASE(every_cut),
		CASE(a_node_goes_on_behind_the_cut),
		CASE(segments_behind_the_cut_go),
		CASE(the_kept_log_is_not_cut),
		CASE(an_empty_log_is_copied),
		CASE(what_was_torn_is_copied_again),
		CASE(damage_in_the_log_is_said),
		CASE(the_newest_time_is_found),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
