/* SPDX-License-Identifier: Apache-2.0 */
/*
 * txn_test.c - the pure transaction against a fake node, in made-up time, over paths of all kinds.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/lib/fake_path.h"

#define MIB (1u << 20)

static uint8_t value[MIB + 1], back[MIB + 1];

static int set_up(void **state)
{
	*state = fake_path_create(4, 16, ABAFT_PACKET_BYTES_MAX);
	for (uint32_t i = 0; i < sizeof(value); i++)
		value[i] = (uint8_t)(i * 2654435761u >> 13);
	memset(back, 0, sizeof(back));
	return 0;
}

static int tear_down(void **state)
{
	struct fake_path *path = *state;

	/* Whatever the test was about: the client never broke the protocol. */
	if (path->node->fault)
		print_error("%s\n", path->node->fault);
	assert_null(path->node->fault);
	fake_path_destroy(path);
	return 0;
}

static void put(struct abaft_txn *txn, const char *key, const void *bytes, size_t len)
{
	assert_int_equal(abaft_prep_put(txn, key, strlen(key), bytes, len, NULL), ABAFT_OK);
}

static void get(struct abaft_txn *txn, const char *key, void *buf, size_t room,
		struct abaft_result *result)
{
	assert_int_equal(abaft_prep_get(txn, key, strlen(key), buf, room, result), ABAFT_OK);
}

static void commit(struct abaft_txn *txn, struct abaft_result *result)
{
	assert_int_equal(abaft_prep_commit(txn, result), ABAFT_OK);
}

/* Writes a value of `bytes`, commits, reads it back in another transaction. */
static void round_trip(struct fake_path *path, uint32_t bytes)
{
	struct abaft_txn *txn = fake_path_begin(path, 0, NULL);
	struct abaft_result result = {0}, stored_well = {.status = -1};
	const struct fake_value *stored;

	assert_int_equal(abaft_prep_put(txn, "k", 1, value, bytes, &stored_well), ABAFT_OK);
	commit(txn, &result);
	assert_int_equal(fake_path_run(path, txn), ABAFT_OK);
	assert_int_equal(result.status, ABAFT_OK);
	assert_true(result.version.time > 0);
	assert_int_equal(stored_well.status, ABAFT_OK);
	txn_drop(txn);
	stored = fake_node_value(path->node, "k");
	assert_non_null(stored);
	assert_int_equal(stored->total, bytes);
	assert_memory_equal(stored->bytes, value, bytes);
	txn = fake_path_begin(path, 0, NULL);
	memset(back, 0xee, sizeof(back));
	get(txn, "k", back, sizeof(back), &result);
	commit(txn, NULL);
	assert_int_equal(fake_path_run(path, txn), ABAFT_OK);
	assert_int_equal(result.status, ABAFT_OK);
	assert_int_equal(result.total, bytes);
	assert_int_equal(result.len, bytes);
	assert_memory_equal(back, value, bytes);
	assert_int_equal(back[bytes], 0xee);
	txn_drop(txn);
}

static void values_of_all_sizes(void **state)
{
	struct fake_path *path = *state;
	/* 1440 - 80 - 16 - 1: the largest PUT; 1440 - 80 - 32: the largest GET. */
	static const uint32_t sizes[] = {0,    1,    255,  256,	  257,	   1279, 1280,
					 1281, 1327, 1328, 1329,  1342,	   1343, 1344,
					 2560, 2561, 4096, 65536, MIB - 1, MIB};

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
		round_trip(path, sizes[i]);
	assert_int_equal(fake_node_commits(path->node), 2 * sizeof(sizes) / sizeof(sizes[0]));
	assert_int_equal(path->flying_most, 16);
}

static void smallest_packets(void **state)
{
	struct fake_path *path = fake_path_create(1, 4, ABAFT_PACKET_BYTES_MIN);

	for (uint32_t bytes = 390; bytes < 440; bytes++)
		round_trip(path, bytes);
	round_trip(path, 10000);
	for (uint32_t i = 0; i < path->node->seen_count; i++)
		assert_true(path->node->seen[i].bytes <= ABAFT_PACKET_BYTES_MIN);
	assert_true(path->answer_bytes_most <= ABAFT_PACKET_BYTES_MIN);
	assert_null(path->node->fault);
	assert_true(path->flying_most <= 4);
	fake_path_destroy(path);
}

static void too_large_is_refused_here(void **state)
{
	struct fake_path *path = *state;
	struct abaft_txn *txn = fake_path_begin(path, 0, NULL);

	assert_int_equal(abaft_prep_put(txn, "k", 1, value, MIB + 1, NULL), ABAFT_TOO_LARGE);
	assert_int_equal(abaft_prep_get(txn, value, ABAFT_KEY_BYTES_MAX + 1, back, 1, NULL),
			 ABAFT_TOO_LARGE);
	assert_int_equal(abaft_prep_put(txn, value, ABAFT_KEY_BYTES_MAX, value, 300, NULL),
			 ABAFT_OK);
	assert_int_equal(abaft_prep_put(txn, "k", 0, value, 1, NULL), ABAFT_INVALID);
	assert_int_equal(abaft_prep_get(txn, NULL, 1, back, 1, NULL), ABAFT_INVALID);
	for (int i = 0; i < 3; i++)
		assert_int_equal(abaft_prep_put(txn, "k", 1, value, MIB, NULL), ABAFT_OK);
	assert_int_equal(abaft_prep_put(txn, "k", 1, value, MIB, NULL), ABAFT_TOO_LARGE);
	for (int i = 0; i < TXN_OPS_MAX - 4; i++)
		assert_int_equal(abaft_prep_delete(txn, "k", 1, NULL), ABAFT_OK);
	assert_int_equal(abaft_prep_delete(txn, "k", 1, NULL), ABAFT_TOO_LARGE);
}

static void bad_path(void **state)
{
	struct fake_path *path = *state;

	for (uint32_t round = 0; round < 40; round++) {
		path->random = round + 1;
		path->lose_permille = 150;
		path->twice_permille = 200;
		path->spread_us = 8000;
		path->shared.timeout_us = 60000000;
		round_trip(path, round * 1777);
	}
	assert_int_equal(fake_node_commits(path->node), 80);
	assert_true(path->ignored > 0);
}

static void corrupted_answers_never_hurt(void **state)
{
	struct fake_path *path = *state;

	path->corrupt_permille = 500;
	path->lose_permille = 50;
	path->shared.timeout_us = 100000;
	for (uint32_t round = 0; round < 300; round++) {
		struct abaft_txn *txn = fake_path_begin(path, 0, NULL);

		path->random = round + 1;
		put(txn, "big", value, 5000);
		put(txn, "a", value, 10);
		get(txn, "big", back, 5000, NULL);
		get(txn, "a", back, 100, NULL);
		commit(txn, NULL);
		(void)!fake_path_run(path, txn);
		txn_drop(txn);
	}
	assert_true(path->ignored > 0);
}

static void parts_wait_for_the_instance(void **state)
{
	struct fake_path *path = *state;
	struct abaft_txn *txn = fake_path_begin(path, 0, NULL);
	const struct fake_seen *seen = path->node->seen;

	put(txn, "a", value, 4096);
	put(txn, "b", value, 4096);
	commit(txn, NULL);
	assert_int_equal(fake_path_run(path, txn), ABAFT_OK);
	assert_int_equal(path->node->seen_count, 9);
	assert_int_equal(seen[0].flags, ABAFT_FLAG_OPEN);
	for (int i = 0; i < 8; i++)
		assert_int_equal(seen[i].codes[0], ABAFT_OP_PUT_PART);
	for (int i = 1; i < 9; i++) {
		assert_int_equal(seen[i].flags, 0);
		assert_int_equal(seen[i].instance, 0x1122334455667701);
	}
	/* Both values' parts share the window; a value's parts share a number. */
	assert_int_equal(seen[1].seq, 1);
	assert_int_equal(seen[7].seq, 2);
	assert_int_equal(seen[8].seq, 3);
	assert_int_equal(path->flying_most, 7);
}

static void operations_are_packed(void **state)
{
	struct fake_path *path = *state;
	struct abaft_txn *txn = fake_path_begin(path, 0, NULL);
	const struct fake_seen *seen = path->node->seen;
	uint32_t ops = 0, seq = 1;

	for (int i = 0; i < 100; i++)
		assert_int_equal(abaft_prep_delete(txn, "k", 1, NULL), ABAFT_OK);
	put(txn, "a", value, 100);
	commit(txn, NULL);
	assert_int_equal(fake_path_run(path, txn), ABAFT_OK);
	assert_int_equal(path->node->seen_count, 3);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(seen[i].seq, seq);
		seq += seen[i].ops;
		ops += seen[i].ops;
	}
	assert_int_equal(ops, 102);
	assert_int_equal(seen[0].ops, ABAFT_OPS_MAX);
}

static void commit_beside_gets(void **state)
{
	struct fake_path *path = *state;
	struct abaft_txn *txn = fake_path_begin(path, 0, NULL);

	fake_node_store(path->node, "a", value, 600);
	fake_node_store(path->node, "b", value, 600);
	get(txn, "a", back, 616, NULL);
	get(txn, "b", back, 616, NULL);
	commit(txn, NULL);
	assert_int_equal(fake_path_run(path, txn), ABAFT_OK);
	assert_int_equal(path->node->seen_count, 1); /* 80 + 3 x 32 + 2 x 616 = 1408 */
	txn_drop(txn);
	txn = fake_path_begin(path, 0, NULL);
	get(txn, "a", back, 616, NULL);
	get(txn, "b", back, 700, NULL);
	commit(txn, NULL);
	assert_int_equal(fake_path_run(path, txn), ABAFT_OK);
	assert_int_equal(path->node->seen_count, 3);
}

static void many_short_answers_become_whole(void **state)
{
	struct fake_path *path = *state;
	struct abaft_txn *txn = fake_path_begin(path, 0, NULL);
	struct abaft_result a, b, none;

	fake_node_store(path->node, "a", value, 5000);
	fake_node_store(path->node, "b", value + 7, 3000);
	path->node->get_bytes_max = 100;
	get(txn, "a", back, 4000, &a);
	get(txn, "none", back, 10, &none);
	get(txn, "b", back + 5000, 5000, &b);
	assert_int_equal(fake_path_run(path, txn), ABAFT_OK);
	assert_int_equal(a.total, 5000);
	assert_int_equal(a.len, 4000);
	assert_memory_equal(back, value, 4000);
	assert_int_equal(back[4000], 0);
	assert_int_equal(none.status, ABAFT_NOT_FOUND);
	assert_int_equal(b.len, 3000);
	assert_memory_equal(back + 5000, value + 7, 3000);
	/* Only the length is wanted: one byte is asked for, none is kept. */
	get(txn, "a", NULL, 0, &a);
	assert_int_equal(fake_path_run(path, txn), ABAFT_OK);
	assert_int_equal(a.total, 5000);
	assert_int_equal(a.len, 0);
}

static void silence_times_out(void **state)
{
	struct fake_path *path = *state;
	struct abaft_txn *txn = fake_path_begin(path, 0, NULL);
	uint64_t before_us = path->now_us;
	struct abaft_result first = {0}, second = {0};

	path->lose_permille = 1000;
	assert_int_equal(abaft_prep_put(txn, "a", 1, "1", 1, &first), ABAFT_OK);
	put(txn, "big", value, 3000);
	commit(txn, &second);
	assert_int_equal(fake_path_run(path, txn), ABAFT_TIMEOUT);
	assert_int_equal(path->now_us - before_us, 5000000);
	assert_int_equal(first.status, ABAFT_TIMEOUT);
	assert_int_equal(second.status, ABAFT_SKIPPED);
	/* Pauses of 5, 10, ... 160, then 250 ms, each up to a quarter more or less. */
	assert_in_range(path->sent, 6 + 4690 / 313, 7 + 1 + 4690 / 187);
	assert_int_equal(timers_first(&path->shared.timers), NULL);
}

static void resends_are_the_same_bytes(void **state)
{
	struct fake_path *path = *state;
	struct abaft_txn *txn = fake_path_begin(path, 0, NULL);
	const struct fake_seen *seen = path->node->seen;

	/* Requests arrive twice; the first answer is a refusal, so there is a resend as well. */
	path->twice_permille = 1000;
	path->node->refusals = 1;
	path->node->refuse = ABAFT_BUSY;
	put(txn, "a", "1", 1);
	commit(txn, NULL);
	assert_int_equal(fake_path_run(path, txn), ABAFT_OK);
	while (fake_path_step(path))
		;
	assert_true(path->node->seen_count >= 2);
	for (uint32_t i = 1; i < path->node->seen_count; i++)
		assert_memory_equal(&seen[0], &seen[i], sizeof(seen[0]));
	assert_int_equal(fake_node_commits(path->node), 1);
}

static void again_is_tried_again(void **state)
{
	struct fake_path *path = *state;
	static const uint16_t statuses[] = {ABAFT_BUSY, ABAFT_IN_PROGRESS, ABAFT_STOPPING,
					    ABAFT_READ_FAILED};

	for (int i = 0; i < 4; i++) {
		uint64_t busy = path->shared.busy;

		path->node->refuse = statuses[i];
		path->node->refusals = 5;
		round_trip(path, 3000);
		assert_int_equal(path->shared.busy - busy, 5);
		path->node->fail_code = ABAFT_OP_PUT_PART;
		path->node->fail_status = statuses[i];
		path->node->fails = 5;
		round_trip(path, 3000);
		path->node->fail_code = ABAFT_OP_COMMIT;
		path->node->fails = 5;
		round_trip(path, 10);
		assert_int_equal(path->shared.busy - busy, 15);
	}
}

static void busy_to_the_end(void **state)
{
	struct fake_path *path = *state;
	struct abaft_txn *txn = fake_path_begin(path, 0, NULL);
	int err;

	path->node->refuse = ABAFT_BUSY;
	path->node->refusals = 1000000;
	put(txn, "a", "1", 1);
	err = fake_path_run(path, txn);
	assert_int_equal(err, ABAFT_BUSY);
	assert_int_equal(abaft_retry_of(err), ABAFT_RETRY_SAME);
}

/* The disk did not give a value back for a while, and then gave a damaged one. */
static void reads_that_fail(void **state)
{
	struct fake_path *path = *state;
	struct abaft_txn *txn = fake_path_begin(path, 0, NULL);
	struct abaft_result got = {0}, end = {0};
	uint64_t busy = path->shared.busy;

	put(txn, "x", "1", 1);
	path->node->fail_code = ABAFT_OP_GET;
	path->node->fail_status = ABAFT_READ_FAILED;
	path->node->fails = 3;
	get(txn, "x", back, 1, &got);
	assert_int_equal(fake_path_run(path, txn), ABAFT_OK);
	assert_int_equal(got.status, ABAFT_OK);
	assert_int_equal(path->shared.busy - busy, 3);
	path->node->fail_status = ABAFT_CORRUPT;
	path->node->fails = 1;
	get(txn, "x", back, 1, &got);
	commit(txn, &end);
	assert_int_equal(fake_path_run(path, txn), ABAFT_CORRUPT);
	assert_int_equal(got.status, ABAFT_CORRUPT);
	assert_int_equal(end.status, ABAFT_SKIPPED);
	assert_int_equal(path->shared.busy - busy, 3);
	assert_int_equal(fake_node_commits(path->node), 0);
}

static void first_failure_ends_it(void **state)
{
	struct fake_path *path = *state;
	struct abaft_txn *txn = fake_path_begin(path, 0, NULL);
	struct abaft_result got = {0}, wrote = {0}, after = {0}, end = {0};

	path->node->fail_code = ABAFT_OP_PUT;
	path->node->fail_status = ABAFT_NO_SPACE;
	path->node->fails = 1;
	get(txn, "x", back, 1, &got);
	assert_int_equal(abaft_prep_put(txn, "a", 1, "1", 1, &wrote), ABAFT_OK);
	assert_int_equal(abaft_prep_delete(txn, "b", 1, &after), ABAFT_OK);
	commit(txn, &end);
	assert_int_equal(fake_path_run(path, txn), ABAFT_NO_SPACE);
	assert_int_equal(got.status, ABAFT_NOT_FOUND);
	assert_int_equal(wrote.status, ABAFT_NO_SPACE);
	assert_int_equal(after.status, ABAFT_SKIPPED);
	assert_int_equal(end.status, ABAFT_SKIPPED);
	assert_int_equal(fake_node_commits(path->node), 0);
	/* A part that fails keeps the COMMIT from being sent at all. */
	path->node->fail_code = ABAFT_OP_PUT_PART;
	path->node->fails = 1;
	put(txn, "a", value, 5000);
	commit(txn, &end);
	assert_int_equal(fake_path_run(path, txn), ABAFT_NO_SPACE);
	assert_int_equal(end.status, ABAFT_SKIPPED);
	assert_int_equal(txn->flying, 0);
	for (uint32_t i = 1; i < path->node->seen_count; i++)
		assert_int_not_equal(path->node->seen[i].codes[0], ABAFT_OP_COMMIT);
}

static void nothing_follows_an_end(void **state)
{
	struct abaft_txn *txn = fake_path_begin(*state, 0, NULL);

	commit(txn, NULL);
	assert_int_equal(abaft_prep_put(txn, "a", 1, "1", 1, NULL), ABAFT_INVALID);
	assert_int_equal(abaft_prep_abort(txn, NULL), ABAFT_INVALID);
	assert_int_equal(fake_path_run(*state, txn), ABAFT_OK);
	assert_int_equal(abaft_prep_put(txn, "a", 1, "1", 1, NULL), ABAFT_OK);
	assert_int_equal(fake_path_run(*state, txn), ABAFT_OK);
	assert_int_equal(txn_start(txn, 0), ABAFT_INVALID);
}

static void lost_commit_answer_is_a_repeat(void **state)
{
	struct fake_path *path = *state;
	struct abaft_txn *txn = fake_path_begin(path, 0, NULL);
	struct abaft_result wrote = {0}, got = {0}, end = {0};

	/* All packets twice, so the second copy of the commit meets an ended transaction; the first
	 * answer is lost by making the client wait for the second. */
	assert_int_equal(abaft_prep_put(txn, "a", 1, "1", 1, &wrote), ABAFT_OK);
	get(txn, "b", back, 1, &got);
	commit(txn, &end);
	assert_int_equal(txn_start(txn, path->now_us), ABAFT_OK);
	assert_true(fake_path_step(path)); /* the request arrives, the answer is on its way */
	for (int i = 0; i < FAKE_PACKETS_MAX; i++)
		path->packets[i].due_us = 0;
	while (txn->state == TXN_RUNNING)
		assert_true(fake_path_step(path));
	assert_int_equal(txn->err, ABAFT_COMMITTED);
	assert_int_equal(wrote.status, ABAFT_OK);
	assert_int_equal(got.status, ABAFT_COMMITTED);
	assert_int_equal(end.status, ABAFT_OK);
	assert_true(end.repeat);
	assert_true(end.version.time > 0);
	assert_int_equal(fake_node_commits(path->node), 1);
}

/* A path slower than the least pause: once its time is measured, packets go once. */
static void slow_answers_are_waited_for(void **state)
{
	struct fake_path *path = *state;
	uint32_t before = 0;

	path->delay_us = 15000;
	for (uint32_t i = 0; i < 40; i++) {
		struct abaft_txn *txn = fake_path_begin(path, 0, NULL);

		if (i == 10)
			before = path->sent;
		assert_int_equal(abaft_prep_put(txn, "a", 1, "1", 1, NULL), ABAFT_OK);
		commit(txn, NULL);
		assert_int_equal(fake_path_run(path, txn), ABAFT_OK);
		txn_drop(txn);
	}
	assert_in_range(path->sent - before, 30, 33);
}

static void restarted_node_is_noticed(void **state)
{
	struct fake_path *path = *state;
	struct abaft_txn *txn = fake_path_begin(path, 0, NULL);

	put(txn, "a", "1", 1);
	assert_int_equal(fake_path_run(path, txn), ABAFT_OK);
	fake_node_restart(path->node);
	put(txn, "b", "2", 1);
	commit(txn, NULL);
	assert_int_equal(fake_path_run(path, txn), ABAFT_UNKNOWN_TXN);
	assert_int_equal(fake_node_commits(path->node), 0);
}

static void lone_commit_opens_nothing(void **state)
{
	struct fake_path *path = *state;
	struct abaft_txn *txn = fake_path_begin(path, 0, NULL);

	path->lose_permille = 1000;
	put(txn, "a", "1", 1);
	commit(txn, NULL);
	assert_int_equal(fake_path_run(path, txn), ABAFT_TIMEOUT);
	path->lose_permille = 0;
	commit(txn, NULL);
	assert_int_equal(fake_path_run(path, txn), ABAFT_UNKNOWN_TXN);
	/* The same operations again are safe. */
	put(txn, "a", "1", 1);
	commit(txn, NULL);
	assert_int_equal(fake_path_run(path, txn), ABAFT_OK);
	assert_int_equal(fake_node_commits(path->node), 1);
}

static void higher_numbers_win(void **state)
{
	struct fake_path *path = *state;
	struct abaft_txn *txn = fake_path_begin(path, 0, NULL);

	put(txn, "a", value, 3000);
	put(txn, "a", "short", 5);
	put(txn, "b", "short", 5);
	put(txn, "b", value, 3000);
	commit(txn, NULL);
	path->twice_permille = 500;
	path->spread_us = 5000;
	assert_int_equal(fake_path_run(path, txn), ABAFT_OK);
	assert_int_equal(fake_node_value(path->node, "a")->total, 5);
	assert_int_equal(fake_node_value(path->node, "b")->total, 3000);
}

static void four_at_once(void **state)
{
	struct fake_path *path = *state;
	struct abaft_txn *txns[4];
	uint32_t running = 4;

	path->lose_permille = 100;
	path->shared.timeout_us = 60000000;
	for (uint32_t i = 0; i < 4; i++) {
		char key[2] = {(char)('a' + i), 0};

		txns[i] = fake_path_begin(path, i, NULL);
		put(txns[i], key, value + i, 20000);
		commit(txns[i], NULL);
		assert_int_equal(txn_start(txns[i], path->now_us), ABAFT_OK);
	}
	while (running) {
		assert_true(fake_path_step(path));
		running = 0;
		for (int i = 0; i < 4; i++)
			running += txns[i]->state == TXN_RUNNING;
	}
	for (uint32_t i = 0; i < 4; i++) {
		char key[2] = {(char)('a' + i), 0};

		assert_int_equal(txns[i]->err, ABAFT_OK);
		assert_memory_equal(fake_node_value(path->node, key)->bytes, value + i, 20000);
	}
}

/* One change to a good answer that breaks the protocol. */
struct breakage {
	uint32_t at; /* of this byte */
	uint8_t value;
	int err;
};

/* Sends what `txn` has, breaks the answer, hands it over. Returns the submit's error. */
static int broken(struct fake_path *path, struct abaft_txn *txn, const struct breakage *breakage,
		  uint32_t more)
{
	uint8_t request[ABAFT_PACKET_BYTES_MAX], answer[ABAFT_PACKET_BYTES_MAX + 8] = {0};
	struct txn_flight *flight = txn_next(txn);
	struct packet_header header;
	struct packet_cursor cursor;
	uint32_t len;

	assert_non_null(flight);
	len = fake_node_handle(path->node, request, txn_encode(flight, request), answer);
	txn_sent(flight, path->now_us);
	answer[breakage->at] = breakage->value;
	len += more;
	answer[8] = (uint8_t)len;
	answer[9] = (uint8_t)(len >> 8);
	assert_int_equal(packet_open(&cursor, &header, answer, len), PACKET_OK);
	assert_ptr_equal(txn_flight_of(&path->shared, &header), flight);
	txn_answer(flight, &header, &cursor, path->now_us);
	return txn->state == TXN_DONE ? txn->err : -1;
}

enum { HEAD = sizeof(struct abaft_wire_header), RESULT = sizeof(struct abaft_wire_result) };

static void malformed_answers_are_told(void **state)
{
	/* The answer to PUT, GET of 5 bytes: results at HEAD and HEAD + RESULT. */
	static const struct breakage breakages[] = {
		{10, 1, ABAFT_PROTOCOL},			     /* fewer results */
		{10, 3, ABAFT_PROTOCOL},			     /* more */
		{HEAD, ABAFT_OP_GET, ABAFT_PROTOCOL},		     /* another operation's */
		{HEAD + 2, ABAFT_CORRUPT + 1, ABAFT_PROTOCOL},	     /* no status of a node's */
		{HEAD + 2, ABAFT_TIMEOUT, ABAFT_PROTOCOL},	     /* one of the client's own */
		{HEAD + 2, ABAFT_SKIPPED, ABAFT_PROTOCOL},	     /* after nothing failed */
		{HEAD + 2, ABAFT_NOT_FOUND, ABAFT_PROTOCOL},	     /* of a PUT */
		{HEAD + 12, 5, ABAFT_PROTOCOL},			     /* a PUT with data */
		{HEAD + RESULT + 4, 4, ABAFT_PROTOCOL},		     /* more data than there is */
		{HEAD + RESULT + 6, 0x11, ABAFT_PROTOCOL},	     /* total over the limit */
		{HEAD + RESULT + 8, 1, ABAFT_PROTOCOL},		     /* not from the start */
		{HEAD + RESULT + 12, 6, ABAFT_PROTOCOL},	     /* ends beyond the packet */
		{HEAD + RESULT + 12, 4, ABAFT_PROTOCOL},	     /* ends before it */
		{HEAD + RESULT + 2, ABAFT_NO_SPACE, ABAFT_NO_SPACE}, /* a failure, well told */
	};
	struct fake_path *path = *state;
	struct abaft_result result;

	fake_node_store(path->node, "b", "value", 5);
	for (size_t i = 0; i <= sizeof(breakages) / sizeof(breakages[0]); i++) {
		struct abaft_txn *txn = fake_path_begin(path, 0, NULL);
		bool last = i == sizeof(breakages) / sizeof(breakages[0]);

		back[0] = 'x';
		put(txn, "a", "1", 1);
		get(txn, "b", back, 100, &result);
		assert_int_equal(txn_start(txn, path->now_us), ABAFT_OK);
		if (last) /* nothing wrong but bytes after the results */
			assert_int_equal(
				broken(path, txn, &(struct breakage){HEAD, ABAFT_OP_PUT, 0}, 2),
				ABAFT_PROTOCOL);
		else
			assert_int_equal(broken(path, txn, &breakages[i], 0), breakages[i].err);
		if (last || breakages[i].err == ABAFT_PROTOCOL)
			assert_int_equal(back[0], 'x');
		assert_int_equal(txn->flying, 0);
		txn_drop(txn);
	}
}

static void malformed_parts_are_told(void **state)
{
	static const struct breakage breakages[] = {
		{HEAD + 4, 1, ABAFT_PROTOCOL},		     /* the value's length has changed */
		{HEAD + 9, 7, ABAFT_PROTOCOL},		     /* other bytes than asked for */
		{HEAD + 2, ABAFT_NOT_FOUND, ABAFT_PROTOCOL}, /* it was found before */
		{HEAD, ABAFT_OP_GET, ABAFT_PROTOCOL},
	};
	struct fake_path *path = *state;

	fake_node_store(path->node, "b", value, 3000);
	for (size_t i = 0; i < 4; i++) {
		struct abaft_txn *txn = fake_path_begin(path, 0, NULL);

		get(txn, "b", back, 3000, NULL);
		assert_int_equal(txn_start(txn, path->now_us), ABAFT_OK);
		assert_int_equal(broken(path, txn, &(struct breakage){HEAD, ABAFT_OP_GET, 0}, 0),
				 -1);
		assert_int_equal(broken(path, txn, &breakages[i], 0), breakages[i].err);
		txn_drop(txn);
	}
}

static void refusals_need_a_reason_of_the_nodes(void **state)
{
	static const uint16_t statuses[] = {ABAFT_NOT_FOUND, ABAFT_SKIPPED, ABAFT_CORRUPT + 1,
					    ABAFT_TIMEOUT, 999};
	struct fake_path *path = *state;

	for (size_t i = 0; i < 6; i++) {
		struct abaft_txn *txn = fake_path_begin(path, 0, NULL);

		path->node->refuse = i < 5 ? statuses[i] : ABAFT_EXPIRED;
		path->node->refusals = 1;
		put(txn, "a", "1", 1);
		assert_int_equal(fake_path_run(path, txn), i < 5 ? ABAFT_PROTOCOL : ABAFT_EXPIRED);
		txn_drop(txn);
	}
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(values_of_all_sizes),
		CASE(smallest_packets),
		CASE(too_large_is_refused_here),
		CASE(bad_path),
		CASE(corrupted_answers_never_hurt),
		CASE(malformed_answers_are_told),
		CASE(malformed_parts_are_told),
		CASE(refusals_need_a_reason_of_the_nodes),
		CASE(parts_wait_for_the_instance),
		CASE(operations_are_packed),
		CASE(commit_beside_gets),
		CASE(many_short_answers_become_whole),
		CASE(silence_times_out),
		CASE(resends_are_the_same_bytes),
		CASE(again_is_tried_again),
		CASE(busy_to_the_end),
		CASE(reads_that_fail),
		CASE(first_failure_ends_it),
		CASE(nothing_follows_an_end),
		CASE(lost_commit_answer_is_a_repeat),
		CASE(slow_answers_are_waited_for),
		CASE(restarted_node_is_noticed),
		CASE(lone_commit_opens_nothing),
		CASE(higher_numbers_win),
		CASE(four_at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
