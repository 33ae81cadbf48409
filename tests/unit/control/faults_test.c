/* SPDX-License-Identifier: Apache-2.0 */
/* faults_test.c - each fault is told once when it begins, and once when it ends. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "control/faults.h"
#include "dataplane/core/place.h"

static char said[2048];
static unsigned int count;
static enum report_level worst;
static struct faults faults;
static struct faults_seen seen;

static void say(void *arg, enum report_level level, const char *text)
{
	size_t at = strlen(said);

	snprintf(said + at, sizeof(said) - at, "%s\n", text);
	worst = level < worst ? level : worst;
	count++;
}

static int setup(void **state)
{
	memset(&faults, 0, sizeof(faults));
	memset(&seen, 0, sizeof(seen));
	seen.mono_us = 1000000;
	faults.say = say;
	return 0;
}

/* One second later: `messages` of them, the worst of `level`, that say `what`. */
static void expect(unsigned int messages, enum report_level level, const char *what)
{
	said[0] = '\0';
	count = 0;
	worst = REPORT_DEBUG;
	seen.mono_us += 1000000;
	faults_look(&faults, &seen);
	assert_int_equal(count, messages);
	if (messages == 0)
		return;
	assert_int_equal(worst, level);
	if (strstr(said, what) == NULL)
		fail_msg("\"%s\" does not say \"%s\"", said, what);
}

static void nothing_is_told_of_nothing(void **state)
{
	expect(0, 0, NULL);
	expect(0, 0, NULL);
}

static void a_full_log_is_told_until_it_has_room(void **state)
{
	seen.log_error = -ENOSPC;
	seen.no_room = -ENOSPC;
	expect(1, REPORT_ERROR, "the commit log is full");
	expect(0, 0, NULL);
	seen.no_room = -EDQUOT;
	expect(1, REPORT_ERROR, "cannot be made longer (Disk quota exceeded)");
	expect(0, 0, NULL);
	seen.log_error = 0;
	seen.no_room = 0;
	expect(1, REPORT_INFO, "has room again");
	expect(0, 0, NULL);
}

static void a_failed_log_is_told_once(void **state)
{
	seen.log_error = -EIO;
	expect(1, REPORT_ERROR, "a commit log failed (Input/output error)");
	expect(0, 0, NULL);
}

static void a_stall_begins_and_ends(void **state)
{
	seen.stalled_us = 1500000;
	expect(1, REPORT_WARNING, "has not ended a write for 1.5 s");
	seen.stalled_us = 2500000;
	expect(0, 0, NULL);
	seen.stalled_us = 0;
	expect(1, REPORT_INFO, "took 2.5 s or more");
	expect(0, 0, NULL);
}

/* A crowd of them in one sentence, the next not before a minute. */
static void damaged_values_are_told_by_the_minute(void **state)
{
	seen.corrupt = 1;
	seen.damage = (struct node_damage){
		.place = place_make(1, 0x12, 4096), .key_bytes = 3, .key = {'k', 0, '"'}};
	expect(1, REPORT_ERROR, "1 values that were read are damaged on disk");
	assert_non_null(strstr(said, "log-001 segment 00000012 at byte 4096, key \"k\\x00\"\""));
	seen.corrupt = 5;
	seen.unread = 2;
	expect(0, 0, NULL);
	seen.mono_us += 60000000;
	expect(2, REPORT_ERROR, "4 values that were read are damaged on disk");
	assert_non_null(strstr(said, "2 values could not be read"));
	seen.mono_us += 60000000;
	expect(0, 0, NULL);
}

static void failing_checkpoints_are_told_until_one_is_written(void **state)
{
	seen.checkpoint_error = -ENOSPC;
	expect(1, REPORT_WARNING, "could not be written (No space left on device)");
	expect(0, 0, NULL);
	seen.checkpoint_error = 0;
	expect(1, REPORT_INFO, "written again");
	expect(0, 0, NULL);
}

static void cleaning_that_ended_is_told_once(void **state)
{
	seen.kept_error = -EIO;
	expect(1, REPORT_ERROR, "nothing more is cleaned");
	expect(0, 0, NULL);
}

static void faults_do_not_hide_each_other(void **state)
{
	seen.log_error = -EIO;
	seen.stalled_us = 2000000;
	seen.corrupt = 1;
	seen.checkpoint_error = -EIO;
	seen.kept_error = -EIO;
	expect(5, REPORT_ERROR, "a commit log failed");
}

static void an_engine_that_does_not_answer_is_told_until_it_does(void **state)
{
	seen.engine.url = "redis://127.0.0.1:6379/a";
	snprintf(seen.engine.why, sizeof(seen.engine.why), "connection refused");
	expect(0, 0, NULL);
	seen.engine.failing_us = FAULTS_ENGINE_US - 1;
	expect(0, 0, NULL);
	seen.engine.failing_us = 3000000;
	seen.stalled_us = 3000000;
	expect(1, REPORT_ERROR,
	       "the storage engine does not answer since 3 s: connection refused; commits wait, "
	       "and more of them get BUSY");
	seen.engine.failing_us = 14000000;
	expect(0, 0, NULL);
	seen.engine.failing_us = seen.stalled_us = 0;
	expect(1, REPORT_INFO, "the storage engine is well again, after 14 s");
	expect(0, 0, NULL);
	seen.engine.error = -ENOSPC;
	snprintf(seen.engine.why, sizeof(seen.engine.why), "OOM");
	seen.engine.failing_us = 2000000;
	expect(1, REPORT_ERROR, "the storage engine is full since 2 s: OOM; commits wait");
	seen.engine.failing_us = 0;
	expect(1, REPORT_INFO, "is well again");
	/* Slow, but there. */
	seen.stalled_us = 1500000;
	expect(1, REPORT_WARNING, "the storage engine has not ended a write for 1.5 s");
	seen.stalled_us = 0;
	expect(1, REPORT_INFO, "the storage engine ended a write");
}

static void an_engine_behind_a_disk_is_told_as_such(void **state)
{
	seen.engine.url = "redis://127.0.0.1:6379/a";
	seen.engine.behind = true;
	seen.engine.failing_us = 5000000;
	expect(1, REPORT_ERROR, "commits go on until engine-lag is used up");
	seen.engine.failing_us = 0;
	expect(1, REPORT_INFO, "is well again");
	seen.stalled_us = 1500000;
	expect(1, REPORT_WARNING, "the disk has not ended a write");
	seen.stalled_us = 0;
	expect(1, REPORT_INFO, "the disk ended a write");
	seen.engine.behind_error = -ESTALE;
	expect(1, REPORT_ERROR,
	       "gets no more of the commit logs (another node writes there): commits go on until");
	expect(0, 0, NULL);
}

static void another_node_that_took_over_is_told(void **state)
{
	seen.engine.url = "redis://127.0.0.1:6379/a";
	seen.log_error = -ESTALE;
	expect(1, REPORT_ERROR,
	       "another node has taken over the commit logs in redis://127.0.0.1:6379/a: reads go "
	       "on, all commits get LOG_FAILED");
	expect(0, 0, NULL);
}

static void an_engine_that_lost_all_is_told_once(void **state)
{
	seen.engine.url = "redis://127.0.0.1:6379/a";
	seen.engine.lost = -ENOENT;
	seen.log_error = -ECANCELED;
	seen.engine.failing_us = 9000000;
	expect(1, REPORT_ERROR,
	       "redis://127.0.0.1:6379/a has lost what it had acknowledged: the object node/id is "
	       "gone; nothing more is built on that, so commits get LOG_FAILED");
	expect(0, 0, NULL);
}

int main(void)
{
#define CASE(f) cmocka_unit_test_setup(f, setup)
	const struct CMUnitTest tests[] = {
		CASE(nothing_is_told_of_nothing),
		CASE(a_full_log_is_told_until_it_has_room),
		CASE(a_failed_log_is_told_once),
		CASE(a_stall_begins_and_ends),
		CASE(an_engine_that_does_not_answer_is_told_until_it_does),
		CASE(an_engine_behind_a_disk_is_told_as_such),
		CASE(another_node_that_took_over_is_told),
		CASE(an_engine_that_lost_all_is_told_once),
		CASE(damaged_values_are_told_by_the_minute),
		CASE(failing_checkpoints_are_told_until_one_is_written),
		CASE(cleaning_that_ended_is_told_once),
		CASE(faults_do_not_hide_each_other),
	};

	return cmocka_run_group_tests_name("faults", tests, NULL, NULL);
}
