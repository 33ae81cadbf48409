/* SPDX-License-Identifier: Apache-2.0 */
/*
 * commit_test.c - C1 to C4: whole commits through node_execute(), over a log that is durable, full
 * or broken when the case says so.
 */
#include "tests/unit/core/region.h"

#include <stdio.h>

#include "dataplane/core/record.h"
#include "tests/lib/node_bed.h"

static struct bed bed;

static int setup(void **state)
{
	bed_defaults(&bed, 2);
	bed_open(&bed);
	return 0;
}

static int teardown(void **state)
{
	bed_close(&bed);
	return 0;
}

/* One packet that puts "k" and commits. */
static void put_packet(struct packet *p, uint8_t id[16], const char *value)
{
	bed_id(&bed, 0, id);
	packet_begin(p, id, 0, 0, 0, 0, ABAFT_FLAG_OPEN);
	packet_put(p, "k", 1, value, (uint32_t)strlen(value));
	packet_commit(p);
	packet_finish(p);
}

static void expect(const char *value)
{
	char text[32];

	bed_get(&bed, 1, "k", text, sizeof(text));
	assert_string_equal(text, value);
}

static uint16_t status_of(const uint8_t id[16], struct reply_result *result)
{
	struct bed_answer answer;
	struct packet p;

	packet_begin(&p, id, 0, 0, 0, 0, 0);
	packet_status(&p);
	packet_finish(&p);
	bed_run(&bed, 0, &p, &answer);
	if (result)
		*result = bed_result(&answer, 0);
	return bed_status(&answer, 0);
}

static void commits_and_reads_across_workers(void **state)
{
	char text[32];

	assert_int_equal(bed_put2(&bed, 0, "a", "b", "one"), ABAFT_OK);
	bed_get(&bed, 1, "a", text, sizeof(text));
	assert_string_equal(text, "one");
	bed_get(&bed, 0, "b", text, sizeof(text));
	assert_string_equal(text, "one");
	assert_int_equal(bed_counters(&bed, 0)->commits, 1);
	assert_int_equal(bed_counters(&bed, 1)->commits_read_only, 1);
}

/* P4: told and visible when durable, not before, and in the order of the log. */
static void visible_and_told_when_durable_in_order(void **state)
{
	static struct bed_answer answer[3];
	static const char *values[] = {"one", "two", "three"};
	struct packet p;
	uint8_t id[16];

	for (uint32_t i = 0; i < 3; i++) {
		put_packet(&p, id, values[i]);
		assert_int_equal(bed_send(&bed, 0, &p, &answer[i]), NODE_WAIT);
	}
	assert_true(node_pending(bed.node[0]));
	expect("");
	bed_durable(&bed, 0, 0);
	expect("");
	for (uint32_t i = 0; i < 3; i++) {
		assert_int_equal(answer[i].told, 0);
		bed_durable(&bed, 0, 1);
		assert_int_equal(answer[i].told, 1);
		assert_int_equal(answer[i].order, i + 1);
		assert_int_equal(bed_status(&answer[i], 1), ABAFT_OK);
		assert_true(bed_result(&answer[i], 1).time > 0);
		assert_int_equal(bed_result(&answer[i], 1).flags, 0);
		expect(values[i]);
	}
	assert_false(node_pending(bed.node[0]));
	assert_true(bed_result(&answer[1], 1).time > bed_result(&answer[0], 1).time);
}

/* P6. */
static void a_repeated_commit_gets_the_first_outcome(void **state)
{
	struct bed_answer first, again;
	struct reply_result result;
	struct packet p;
	uint8_t id[16];

	put_packet(&p, id, "one");
	assert_int_equal(bed_send(&bed, 0, &p, &first), NODE_WAIT);
	assert_int_equal(bed_send(&bed, 0, &p, &again), NODE_ANSWER);
	assert_int_equal(bed_status(&again, 0), ABAFT_IN_PROGRESS);
	assert_int_equal(status_of(id, NULL), ABAFT_IN_PROGRESS);
	bed_durable(&bed, 0, 1);
	assert_int_equal(bed_put(&bed, 1, "k", "two"), ABAFT_OK);
	for (uint32_t i = 0; i < 3; i++) {
		assert_int_equal(bed_send(&bed, 0, &p, &again), NODE_ANSWER);
		assert_int_equal(bed_status(&again, 0), ABAFT_OK);
		result = bed_result(&again, 1);
		assert_int_equal(result.status, ABAFT_OK);
		assert_int_equal(result.flags, ABAFT_RESULT_REPEAT);
		assert_int_equal(result.time, bed_result(&first, 1).time);
		assert_int_equal(result.origin, bed_result(&first, 1).origin);
	}
	assert_int_equal(bed.log[0].count, 1);
	assert_int_equal(bed_counters(&bed, 0)->repeats, 3);
	expect("two");
	assert_int_equal(status_of(id, &result), ABAFT_COMMITTED);
	assert_int_equal(result.time, bed_result(&first, 1).time);
}

static void an_abort_is_final(void **state)
{
	struct bed_answer answer;
	struct packet commit, p;
	uint8_t id[16];

	put_packet(&commit, id, "never");
	packet_begin(&p, id, 0, 0, 0, 0, 0);
	packet_abort(&p); /* overtakes the packets it ends */
	packet_finish(&p);
	assert_int_equal(bed_send(&bed, 0, &p, &answer), NODE_WAIT);
	assert_int_equal(bed.log[0].records[0].type, RECORD_ABORT);
	bed_durable(&bed, 0, 1);
	assert_int_equal(bed_status(&answer, 0), ABAFT_OK);
	assert_int_equal(bed_send(&bed, 0, &commit, &answer), NODE_ANSWER);
	assert_int_equal(bed_status(&answer, 1), ABAFT_ABORTED);
	assert_int_equal(bed_send(&bed, 0, &p, &answer), NODE_ANSWER);
	assert_int_equal(bed_status(&answer, 0), ABAFT_OK);
	assert_int_equal(bed_result(&answer, 0).flags, ABAFT_RESULT_REPEAT);
	assert_int_equal(bed_counters(&bed, 0)->aborts, 1);
	assert_int_equal(bed_counters(&bed, 0)->refused_ended, 1);
	assert_int_equal(status_of(id, NULL), ABAFT_ABORTED);
	expect("");
	bed_ticks(&bed, 5);
	assert_int_equal(bed_used(&bed), 0);
}

/* P6: what attempt 1 committed without a write, a late packet of attempt 0 cannot add to. */
static void a_late_attempt_commits_nothing(void **state)
{
	struct bed_answer answer;
	struct packet late, p;
	uint8_t id[16];

	put_packet(&late, id, "late");
	packet_begin(&p, id, 0, 0, 1, 0, ABAFT_FLAG_OPEN);
	packet_get(&p, "k", 1, 0);
	packet_commit(&p);
	packet_finish(&p);
	bed_run(&bed, 0, &p, &answer);
	assert_int_equal(bed_status(&answer, 1), ABAFT_OK);
	bed_run(&bed, 0, &late, &answer);
	expect("");
}

/* C1: a full log costs nothing but a retry. */
static void busy_logs_are_retried(void **state)
{
	struct bed_answer answer;
	struct packet p;
	uint8_t id[16];

	put_packet(&p, id, "value");
	bed.log[0].busy = true;
	for (uint32_t i = 0; i < 3; i++) {
		assert_int_equal(bed_send(&bed, 0, &p, &answer), NODE_ANSWER);
		assert_int_equal(bed_status(&answer, 0), ABAFT_OK);
		assert_int_equal(bed_status(&answer, 1), ABAFT_BUSY);
	}
	assert_int_equal(bed_counters(&bed, 0)->busy_log, 3);
	assert_int_equal(atomic_load(&bed.store->index.keys), 0);
	bed.log[0].busy = false;
	bed_run(&bed, 0, &p, &answer);
	assert_int_equal(bed_status(&answer, 1), ABAFT_OK);
	expect("value");
}

static void full_disks_are_told_and_reads_go_on(void **state)
{
	struct bed_answer answer;
	struct packet p;
	uint8_t id[16];

	assert_int_equal(bed_put(&bed, 0, "k", "one"), ABAFT_OK);
	put_packet(&p, id, "two");
	bed.log[0].reserve_error = -ENOSPC; /* found out by the reservation itself */
	bed_run(&bed, 0, &p, &answer);
	assert_int_equal(bed_status(&answer, 1), ABAFT_NO_SPACE);
	bed_run(&bed, 0, &p, &answer);
	assert_int_equal(bed_status(&answer, 1), ABAFT_NO_SPACE);
	assert_int_equal(bed_counters(&bed, 0)->busy_log_space, 2);
	expect("one");
}

static void a_failed_log_takes_no_commits(void **state)
{
	static struct bed_answer first, second;
	struct bed_answer answer;
	struct packet p, other;
	uint8_t id[16], id2[16];

	assert_int_equal(bed_put(&bed, 0, "k", "zero"), ABAFT_OK);
	put_packet(&p, id, "one");
	assert_int_equal(bed_send(&bed, 0, &p, &first), NODE_WAIT);
	put_packet(&other, id2, "two");
	assert_int_equal(bed_send(&bed, 0, &other, &second), NODE_WAIT);
	bed_log_failed(&bed, 0, -EIO);
	assert_int_equal(first.told, 1);
	assert_int_equal(second.told, 1);
	assert_int_equal(bed_status(&first, 1), ABAFT_LOG_FAILED);
	assert_int_equal(bed_result(&first, 1).time, 0);
	assert_false(node_pending(bed.node[0]));
	bed_run(&bed, 0, &p, &answer); /* its outcome is unknown until a restart */
	assert_int_equal(bed_status(&answer, 0), ABAFT_LOG_FAILED);
	assert_int_equal(status_of(id, NULL), ABAFT_LOG_FAILED);
	put_packet(&p, id, "three");
	bed_run(&bed, 0, &p, &answer);
	assert_int_equal(bed_status(&answer, 1), ABAFT_LOG_FAILED);
	assert_int_equal(bed_counters(&bed, 0)->log_failed, 1);
	expect("zero");
	bed_ticks(&bed, 1000);
	expect("zero");
	assert_int_equal(bed_put(&bed, 1, "k", "by another worker"), ABAFT_OK);
	expect("by another worker");
}

static void commits_that_wait_are_bounded(void **state)
{
	static struct bed_answer answer[ABAFT_COMMITS_PENDING_MAX];
	struct bed_answer last;
	struct packet p;
	uint8_t id[16];

	bed_close(&bed);
	bed_defaults(&bed, 1);
	bed.config.txns_max = ABAFT_COMMITS_PENDING_MAX + 10;
	bed.config.outcomes_max = 10000;
	bed_open(&bed);
	for (uint32_t i = 0; i < ABAFT_COMMITS_PENDING_MAX; i++) {
		put_packet(&p, id, "v");
		assert_int_equal(bed_send(&bed, 0, &p, &answer[i]), NODE_WAIT);
	}
	put_packet(&p, id, "last");
	assert_int_equal(bed_send(&bed, 0, &p, &last), NODE_ANSWER);
	assert_int_equal(bed_status(&last, 1), ABAFT_BUSY);
	assert_int_equal(bed_counters(&bed, 0)->busy_commits, 1);
	bed_durable(&bed, 0, 1);
	assert_int_equal(bed_send(&bed, 0, &p, &last), NODE_WAIT);
	bed_durable(&bed, 0, UINT64_MAX);
	assert_int_equal(answer[ABAFT_COMMITS_PENDING_MAX - 1].told, 1);
	assert_int_equal(last.told, 1);
}

/* The second key does not fit: the first one's link is undone, nothing leaks, nothing was logged.
 */
static void a_commit_that_does_not_fit_leaves_nothing(void **state)
{
	struct bed_answer answer;
	struct packet p;
	uint8_t id[16];
	uint64_t used;
	char key[8];

	bed_close(&bed);
	bed_defaults(&bed, 2);
	bed.store_config.keys_max = 10;
	bed_open(&bed);
	for (uint32_t i = 0; i < 9; i++) {
		snprintf(key, sizeof(key), "key%u", i);
		assert_int_equal(bed_put(&bed, 0, key, "v"), ABAFT_OK);
	}
	bed_ticks(&bed, 5);
	used = bed_used(&bed);
	bed_id(&bed, 0, id);
	packet_begin(&p, id, 0, 0, 0, 0, ABAFT_FLAG_OPEN);
	packet_put(&p, "one", 3, "v", 1);
	packet_put(&p, "two", 3, "v", 1);
	packet_commit(&p);
	packet_finish(&p);
	for (uint32_t i = 0; i < 3; i++) {
		bed_run(&bed, 0, &p, &answer);
		assert_int_equal(bed_status(&answer, 2), ABAFT_NO_SPACE);
	}
	assert_int_equal(bed_counters(&bed, 0)->busy_keys, 3);
	assert_int_equal(bed.log[0].count, 9);
	assert_int_equal(atomic_load(&bed.store->index.keys), 9);
	assert_int_equal(bed_put(&bed, 1, "one", "v"), ABAFT_OK);
	assert_int_equal(bed_put(&bed, 1, "one", NULL), ABAFT_OK);
	bed_ticks(&bed, 600); /* the transaction expires */
	assert_int_equal(bed_counters(&bed, 0)->expired, 1);
	assert_int_equal(bed_used(&bed), used);
}

static void versions_of_a_key_are_bounded(void **state)
{
	struct bed_answer answer;
	struct packet p;
	uint8_t id[16];
	uint16_t status = ABAFT_OK;
	uint32_t n;

	for (n = 0; n < ABAFT_KEY_VERSIONS_MAX && status == ABAFT_OK; n++) {
		bed_advance_us(&bed, 1000);
		if (n % 10000 == 0) { /* the log is small */
			bed.log[0].durable = 0;
			log_fake_crash(&bed.log[0]);
		}
		status = bed_put(&bed, 0, "k", "v"); /* no tick: nothing is reclaimed */
	}
	assert_int_equal(n, ABAFT_KEY_VERSIONS_MAX);
	bed_advance_us(&bed, 20000);
	bed_tick(&bed, 1); /* a new era; worker 0, whose queue it is, frees nothing yet */
	put_packet(&p, id, "v");
	bed_run(&bed, 0, &p, &answer);
	assert_int_equal(bed_status(&answer, 1), ABAFT_BUSY);
	assert_int_equal(bed_counters(&bed, 0)->busy_versions, 1);
	bed_ticks(&bed, 200);
	bed_run(&bed, 0, &p, &answer);
	assert_int_equal(bed_status(&answer, 1), ABAFT_OK);
}

static void memory_that_is_used_up_is_told(void **state)
{
	static uint8_t value[1200];
	struct bed_answer answer;
	uint32_t full = 0;
	struct packet p;
	uint8_t id[16];
	char key[8];

	bed_close(&bed);
	bed_defaults(&bed, 1);
	bed.store_config.memory_bytes = 2 << 20;
	bed_open(&bed);
	for (uint32_t i = 0; i < 3000; i++) {
		snprintf(key, sizeof(key), "%u", i);
		bed_advance_us(&bed, 5000);
		bed_tick(&bed, 0);
		bed_id(&bed, 0, id);
		packet_begin(&p, id, 0, 0, 0, 0, ABAFT_FLAG_OPEN);
		packet_put(&p, key, (uint16_t)strlen(key), value, sizeof(value));
		packet_commit(&p);
		packet_finish(&p);
		bed_run(&bed, 0, &p, &answer);
		full += bed_status(&answer, 1) != ABAFT_OK;
	}
	assert_true(full > 0 && bed_counters(&bed, 0)->busy_memory > 0);
	for (uint32_t i = 0; i < 3000; i++) { /* deleting needs memory too: a little is left */
		snprintf(key, sizeof(key), "%u", i);
		bed_tick(&bed, 0);
		bed_put(&bed, 0, key, NULL);
		bed_advance_us(&bed, 20000);
	}
	bed_ticks(&bed, 1000);
	assert_int_equal(bed_used(&bed), 0);
}

/* C2: above what it read and overwrites, whatever the wall clocks say. */
static void numbers_rise_though_clocks_disagree(void **state)
{
	uint64_t last = 0;

	for (uint32_t i = 0; i < 20; i++) {
		struct bed_answer answer;
		struct packet p;
		uint8_t id[16];

		bed.now.wall_us = BED_WALL_US + (i % 2 ? 0 : 30000000);
		bed_id(&bed, i % 2, id);
		packet_begin(&p, id, 0, 0, 0, 0, ABAFT_FLAG_OPEN);
		packet_put(&p, "k", 1, i % 4 < 2 ? "x" : "y", 1);
		packet_commit(&p);
		packet_finish(&p);
		bed_run(&bed, i % 2, &p, &answer);
		assert_true(bed_result(&answer, 1).time > last);
		last = bed_result(&answer, 1).time;
		expect(i % 4 < 2 ? "x" : "y");
	}
	/* By what it read, too. */
	for (uint32_t i = 0; i < 2; i++) {
		struct bed_answer answer;
		struct packet p;
		uint8_t id[16];

		bed.now.wall_us = BED_WALL_US + (i ? 0 : 60000000);
		bed_id(&bed, i, id);
		packet_begin(&p, id, 0, 0, 0, 0, ABAFT_FLAG_OPEN);
		if (i)
			packet_get(&p, "one", 3, 0);
		packet_put(&p, i ? "two" : "one", 3, "v", 1);
		packet_commit(&p);
		packet_finish(&p);
		bed_run(&bed, i, &p, &answer);
		assert_true(bed_result(&answer, 1 + i).time > last);
		last = bed_result(&answer, 1 + i).time;
	}
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(commits_and_reads_across_workers),
		CASE(visible_and_told_when_durable_in_order),
		CASE(a_repeated_commit_gets_the_first_outcome),
		CASE(an_abort_is_final),
		CASE(a_late_attempt_commits_nothing),
		CASE(busy_logs_are_retried),
		CASE(full_disks_are_told_and_reads_go_on),
		CASE(a_failed_log_takes_no_commits),
		CASE(commits_that_wait_are_bounded),
		CASE(a_commit_that_does_not_fit_leaves_nothing),
		CASE(versions_of_a_key_are_bounded),
		CASE(memory_that_is_used_up_is_told),
		CASE(numbers_rise_though_clocks_disagree),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
