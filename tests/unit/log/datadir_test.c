/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of dataplane/log/datadir.c, each in a directory of its own under $TMPDIR. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "dataplane/log/datadir.h"
#include "tests/lib/scratch.h"

static char why[256];

static void put(const char *dir, const char *name, const char *text)
{
	char path[512];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	file = fopen(path, "w");
	assert_non_null(file);
	fputs(text, file);
	fclose(file);
}

static void make_log(const char *dir, const char *name)
{
	char path[512];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	assert_int_equal(mkdir(path, 0755), 0);
}

static void identity_is_made_once(void **state)
{
	struct datadir a, b;
	char *path = *state;

	assert_int_equal(datadir_open(&a, path, why, sizeof(why)), 0);
	datadir_close(&a);
	assert_int_equal(datadir_open(&b, path, why, sizeof(why)), 0);
	assert_memory_equal(a.node_id, b.node_id, 16);
	assert_int_equal(b.logs_count, 0);
	datadir_close(&b);
}

static void directory_is_created(void **state)
{
	struct datadir a;
	char path[512];

	snprintf(path, sizeof(path), "%s/new", (char *)*state);
	assert_int_equal(datadir_inspect(&a, path, why, sizeof(why)), -ENOENT);
	assert_int_equal(datadir_open(&a, path, why, sizeof(why)), 0);
	datadir_close(&a);
	assert_int_equal(datadir_inspect(&a, path, why, sizeof(why)), 0);
	datadir_close(&a);
}

static void second_daemon_is_refused(void **state)
{
	struct datadir a, b;
	char pid[32];

	assert_int_equal(datadir_open(&a, *state, why, sizeof(why)), 0);
	assert_int_equal(datadir_open(&b, *state, why, sizeof(why)), -EBUSY);
	snprintf(pid, sizeof(pid), "process %d;", (int)getpid());
	assert_non_null(strstr(why, pid));
	assert_int_equal(datadir_inspect(&b, *state, why, sizeof(why)), -EBUSY);
	datadir_close(&a);
	assert_int_equal(datadir_open(&b, *state, why, sizeof(why)), 0);
	datadir_close(&b);
}

static void readers_share(void **state)
{
	struct datadir a, b, c;

	assert_int_equal(datadir_open(&a, *state, why, sizeof(why)), 0);
	datadir_close(&a);
	assert_int_equal(datadir_inspect(&a, *state, why, sizeof(why)), 0);
	assert_int_equal(datadir_inspect(&b, *state, why, sizeof(why)), 0);
	assert_int_equal(datadir_open(&c, *state, why, sizeof(why)), -EBUSY);
	datadir_close(&a);
	datadir_close(&b);
}

/* A backup reads beside a daemon; but nothing that is no data directory. */
static void looking_takes_no_lock(void **state)
{
	struct datadir a, b;

	assert_int_equal(datadir_look(&b, *state, why, sizeof(why)), -ENOENT);
	assert_int_equal(datadir_open(&a, *state, why, sizeof(why)), 0);
	make_log(*state, "log-003");
	assert_int_equal(datadir_look(&b, *state, why, sizeof(why)), 0);
	assert_memory_equal(a.node_id, b.node_id, sizeof(a.node_id));
	assert_int_equal(b.logs_count, 1);
	assert_int_equal(b.logs[0], 3);
	datadir_close(&a);
	assert_int_equal(datadir_open(&a, *state, why, sizeof(why)), 0);
	datadir_close(&a);
	datadir_close(&b);
}

static void logs_are_listed_in_order(void **state)
{
	struct datadir a;

	assert_int_equal(datadir_open(&a, *state, why, sizeof(why)), 0);
	datadir_close(&a);
	make_log(*state, "log-010");
	make_log(*state, "log-002");
	make_log(*state, "log-064");
	make_log(*state, "lost+found");
	assert_int_equal(datadir_open(&a, *state, why, sizeof(why)), 0);
	assert_int_equal(a.logs_count, 3);
	assert_int_equal(a.logs[0], 2);
	assert_int_equal(a.logs[1], 10);
	assert_int_equal(a.logs[2], ABAFT_LOG_KEPT);
	datadir_close(&a);
}

/* A number is an index of what recovery keeps for each worker. */
static void names_that_are_no_logs_are_refused(void **state)
{
	static const char *const names[] = {"log-065", "log-999", "log--01", "log-+01", "log- 01",
					    "log-01x", "log-0",	  "log-",    "log-0031"};
	struct datadir a;
	char path[512];

	assert_int_equal(datadir_open(&a, *state, why, sizeof(why)), 0);
	datadir_close(&a);
	make_log(*state, "log-000");
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		make_log(*state, names[i]);
		assert_int_equal(datadir_open(&a, *state, why, sizeof(why)), -EINVAL);
		assert_non_null(strstr(why, names[i]));
		assert_non_null(strstr(why, "move it"));
		snprintf(path, sizeof(path), "%s/%s", (char *)*state, names[i]);
		assert_int_equal(rmdir(path), 0);
	}
	assert_int_equal(datadir_open(&a, *state, why, sizeof(why)), 0);
	assert_int_equal(a.logs_count, 1);
	datadir_close(&a);
}

static void logs_without_identity_are_refused(void **state)
{
	struct datadir a;

	make_log(*state, "log-000");
	assert_int_equal(datadir_open(&a, *state, why, sizeof(why)), -EBADMSG);
	assert_non_null(strstr(why, "restore"));
}

static void damaged_identity_is_refused(void **state)
{
	static const char *const damaged[] = {
		"",
		"something else\n",
		"abaft data directory\nformat 0\nnode 000102030405060708090a0b0c0d0e0f\n",
		"abaft data directory\nformat 1\nnode 00\n",
		"abaft data directory\nformat 1\nnode 000102030405060708090a0b0c0d0e0f0\n",
		"abaft data directory\nformat 1\nnode 000102030405060708090a0b0c0d0e0X\n",
	};
	struct datadir a;

	for (size_t i = 0; i < sizeof(damaged) / sizeof(damaged[0]); i++) {
		put(*state, "abaft.id", damaged[i]);
		assert_int_equal(datadir_open(&a, *state, why, sizeof(why)), -EBADMSG);
		assert_non_null(strstr(why, "damaged"));
	}
}

static void newer_format_is_refused(void **state)
{
	struct datadir a;

	put(*state, "abaft.id", "abaft data directory\nformat 3\nnode ?\n");
	assert_int_equal(datadir_open(&a, *state, why, sizeof(why)), -EBADMSG);
	assert_non_null(strstr(why, "is of format 3, and this program knows up to 2"));
}

static void get(const char *dir, char text[256])
{
	char path[512];
	FILE *file;

	snprintf(path, sizeof(path), "%s/abaft.id", dir);
	file = fopen(path, "r");
	assert_non_null(file);
	text[fread(text, 1, 255, file)] = '\0';
	fclose(file);
}

/* A tool leaves it as it is; a daemon marks it, and it is still the same node's. */
static void older_format_is_marked_by_a_daemon(void **state)
{
	static const char one[] =
		"abaft data directory\nformat 1\nnode 000102030405060708090a0b0c0d0e0f\n";
	char text[256], path[512];
	struct datadir a;

	put(*state, "abaft.id", one);
	put(*state, "lock", "");
	make_log(*state, "log-000");
	assert_int_equal(datadir_inspect(&a, *state, why, sizeof(why)), 0);
	assert_int_equal(a.format, 1);
	datadir_close(&a);
	get(*state, text);
	assert_string_equal(text, one);
	/* Where it cannot be marked, it is not opened, and stays as it was. */
	snprintf(path, sizeof(path), "%s/abaft.id.new", (char *)*state);
	assert_int_equal(mkdir(path, 0755), 0);
	assert_int_equal(datadir_open(&a, *state, why, sizeof(why)), -EISDIR);
	get(*state, text);
	assert_string_equal(text, one);
	assert_int_equal(rmdir(path), 0);
	assert_int_equal(datadir_open(&a, *state, why, sizeof(why)), 0);
	assert_int_equal(a.format, 1);
	datadir_close(&a);
	get(*state, text);
	assert_string_equal(text, "abaft data directory\nformat 2\n"
				  "node 000102030405060708090a0b0c0d0e0f\n");
	assert_int_equal(datadir_open(&a, *state, why, sizeof(why)), 0);
	assert_int_equal(a.format, 2);
	assert_int_equal(a.node_id[15], 15);
	datadir_close(&a);
}

int main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, scratch_setup, scratch_teardown)
	const struct CMUnitTest tests[] = {
		CASE(identity_is_made_once),
		CASE(directory_is_created),
		CASE(second_daemon_is_refused),
		CASE(readers_share),
		CASE(looking_takes_no_lock),
		CASE(logs_are_listed_in_order),
		CASE(names_that_are_no_logs_are_refused),
		CASE(logs_without_identity_are_refused),
		CASE(damaged_identity_is_refused),
		CASE(newer_format_is_refused),
		CASE(older_format_is_marked_by_a_daemon),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
