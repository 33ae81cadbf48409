/* SPDX-License-Identifier: Apache-2.0 */
/*
 * core_test.c - the client library against the real transaction core, over sockets that lose
 * packets.
 *
 * The core's log is the fake one: a commit is durable when the next packet comes, or at once.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include <cmocka.h>

#include <abaft/abaft.h>

#include "tests/lib/fake_server.h"
#include "tests/lib/node_bed.h"

#define MIB (1u << 20)

struct fixture {
	struct fake_server *server;
	struct abaft *client;
	struct bed bed;
	struct bed_answer answer; /* of the commit that waits */
	uint32_t slow; /* the next commits wait for another packet, their answer is lost */
	bool waiting;
	uint32_t in_progress;
};

static uint8_t value[MIB], back[MIB];

/* The node's clock goes with the client's, or it would refuse ids as being from the future. */
static void set_clock(struct bed *bed)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	bed->now.wall_us = (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static uint32_t handle(void *arg, const uint8_t *in, uint32_t bytes, uint8_t *out)
{
	struct fixture *f = arg;
	struct bed_answer answer;
	uint32_t worker = bytes < 40 ? 0 : node_owner(in + 24, f->bed.workers);

	set_clock(&f->bed);
	bed_send_bytes(&f->bed, worker, in, bytes, f->waiting ? &answer : &f->answer);
	if (f->waiting) {
		f->in_progress += bed_status(&answer, 0) == ABAFT_IN_PROGRESS;
		bed_durable(&f->bed, worker, 100);
		f->waiting = false;
		memcpy(out, answer.bytes, answer.n);
		return answer.n;
	}
	if (f->answer.verdict == NODE_WAIT && f->slow) {
		f->slow--;
		f->waiting = true;
		return 0;
	}
	if (f->answer.verdict == NODE_WAIT)
		bed_durable(&f->bed, worker, 100);
	if (f->answer.verdict == NODE_DROP)
		return 0;
	memcpy(out, f->answer.bytes, f->answer.n);
	return f->answer.n;
}

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct abaft_config config = {.resend_us = 2000, .timeout_ms = 30000};

	if (!f)
		return -1;
	for (uint32_t i = 0; i < sizeof(value); i++)
		value[i] = (uint8_t)(i * 2654435761u >> 13);
	bed_defaults(&f->bed, 2);
	set_clock(&f->bed);
	bed_open(&f->bed);
	f->server = fake_server_start(AF_INET, 2);
	f->server->handle_arg = f;
	f->server->handle = handle;
	config.port = f->server->port;
	assert_int_equal(abaft_open(&f->client, &config), ABAFT_OK);
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	abaft_close(f->client);
	fake_server_stop(f->server);
	bed_close(&f->bed);
	free(f);
	return 0;
}

static struct abaft_txn *begin(struct fixture *f, const struct abaft_begin *begin)
{
	struct abaft_txn *txn;

	assert_int_equal(abaft_begin(f->client, begin, &txn), ABAFT_OK);
	return txn;
}

static void round_trip(struct fixture *f, uint32_t bytes)
{
	struct abaft_txn *txn = begin(f, NULL);
	struct abaft_result put, get = {0};

	assert_int_equal(abaft_prep_put(txn, "k", 1, value, bytes, NULL), ABAFT_OK);
	assert_int_equal(abaft_prep_commit(txn, &put), ABAFT_OK);
	assert_int_equal(abaft_run(txn), ABAFT_OK);
	abaft_end(txn);
	txn = begin(f, NULL);
	memset(back, 0xee, sizeof(back));
	assert_int_equal(abaft_prep_get(txn, "k", 1, back, sizeof(back), &get), ABAFT_OK);
	assert_int_equal(abaft_prep_commit(txn, NULL), ABAFT_OK);
	assert_int_equal(abaft_run(txn), ABAFT_OK);
	abaft_end(txn);
	assert_int_equal(get.total, bytes);
	assert_int_equal(get.len, bytes);
	assert_memory_equal(back, value, bytes);
	assert_memory_equal(&get.version, &put.version, sizeof(put.version));
	assert_true(put.version.time > 0);
}

static void values_of_all_sizes(void **state)
{
	static const uint32_t sizes[] = {0,    1,    255,  256,	 257,  1279,  1280,    1281,
					 1328, 1329, 1343, 1344, 4096, 65536, MIB - 1, MIB};

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
		round_trip(*state, sizes[i]);
}

static void bad_path(void **state)
{
	struct fixture *f = *state;

	f->server->lose_permille = 100;
	f->server->twice = true;
	for (uint32_t i = 0; i < 20; i++)
		round_trip(f, i * 1777);
}

static void slow_commits(void **state)
{
	struct fixture *f = *state;
	struct abaft_result put = {0}, commit = {0};
	struct abaft_version version;
	enum abaft_outcome outcome;
	struct abaft_txn *txn = begin(f, NULL);

	f->slow = 1;
	assert_int_equal(abaft_prep_put(txn, "k", 1, "v", 1, &put), ABAFT_OK);
	assert_int_equal(abaft_prep_commit(txn, &commit), ABAFT_OK);
	assert_int_equal(abaft_run(txn), ABAFT_OK);
	assert_int_equal(f->in_progress, 1);
	assert_int_equal(put.status, ABAFT_OK);
	assert_true(commit.repeat);
	assert_int_equal(abaft_status(f->client, abaft_txn_id(txn), &outcome, &version), ABAFT_OK);
	assert_int_equal(outcome, ABAFT_OUTCOME_COMMITTED);
	assert_memory_equal(&version, &commit.version, sizeof(version));
	assert_int_equal(abaft_commit(txn), ABAFT_OK);
	assert_int_equal(abaft_abort(txn), ABAFT_COMMITTED);
	abaft_end(txn);
}

static void aborts(void **state)
{
	struct fixture *f = *state;
	enum abaft_outcome outcome;
	struct abaft_txn *txn = begin(f, NULL);
	size_t bytes;

	assert_int_equal(abaft_put(txn, "k", 1, "v", 1), ABAFT_OK);
	assert_int_equal(abaft_abort(txn), ABAFT_OK);
	assert_int_equal(abaft_commit(txn), ABAFT_ABORTED);
	assert_int_equal(abaft_status(f->client, abaft_txn_id(txn), &outcome, NULL), ABAFT_OK);
	assert_int_equal(outcome, ABAFT_OUTCOME_ABORTED);
	abaft_end(txn);
	txn = begin(f, NULL);
	assert_int_equal(abaft_status(f->client, abaft_txn_id(txn), &outcome, NULL), ABAFT_OK);
	assert_int_equal(outcome, ABAFT_OUTCOME_UNKNOWN);
	assert_int_equal(abaft_get(txn, "k", 1, back, 1, &bytes), ABAFT_NOT_FOUND);
	assert_int_equal(abaft_status(f->client, abaft_txn_id(txn), &outcome, NULL), ABAFT_OK);
	assert_int_equal(outcome, ABAFT_OUTCOME_OPEN);
	abaft_end(txn);
}

static void steps_and_attempts(void **state)
{
	struct fixture *f = *state;
	char context[ABAFT_CONTEXT_BYTES];
	struct abaft_begin join = {.context = context};
	struct abaft_txn *txn = begin(f, NULL), *first, *second;
	size_t bytes;

	assert_int_equal(abaft_put(txn, "stock", 5, "41", 2), ABAFT_OK);
	assert_int_equal(abaft_export(txn, context), ABAFT_OK);
	abaft_end(txn);
	first = begin(f, &join);
	assert_int_equal(abaft_put(first, "stock", 5, "40", 2), ABAFT_OK);
	assert_int_equal(abaft_put(first, "late", 4, "x", 1), ABAFT_OK);
	join.attempt = 1;
	second = begin(f, &join);
	assert_int_equal(abaft_get(second, "late", 4, back, 2, &bytes), ABAFT_NOT_FOUND);
	assert_int_equal(abaft_get(second, "stock", 5, back, 2, &bytes), ABAFT_OK);
	assert_memory_equal(back, "41", 2);
	assert_int_equal(abaft_put(first, "late", 4, "y", 1), ABAFT_STALE_ATTEMPT);
	assert_int_equal(abaft_put(second, "order", 5, value, 5000), ABAFT_OK);
	assert_int_equal(abaft_commit(second), ABAFT_OK);
	abaft_end(first);
	abaft_end(second);
}

static void restarts(void **state)
{
	struct fixture *f = *state;
	struct abaft_txn *open = begin(f, NULL), *ended = begin(f, NULL);
	struct abaft_result result = {0};

	assert_int_equal(abaft_put(open, "a", 1, "1", 1), ABAFT_OK);
	assert_int_equal(abaft_put(ended, "b", 1, "1", 1), ABAFT_OK);
	assert_int_equal(abaft_commit(ended), ABAFT_OK);
	pthread_mutex_lock(&f->server->lock);
	assert_int_equal(bed_restart(&f->bed), 0);
	pthread_mutex_unlock(&f->server->lock);
	assert_int_equal(abaft_commit(open), ABAFT_UNKNOWN_TXN);
	assert_int_equal(abaft_prep_commit(ended, &result), ABAFT_OK);
	assert_int_equal(abaft_run(ended), ABAFT_OK);
	assert_true(result.repeat);
	abaft_end(open);
	abaft_end(ended);
}

static void many_operations(void **state)
{
	struct fixture *f = *state;
	struct abaft_txn *txn = begin(f, NULL);
	char keys[ABAFT_TXN_WRITES_MAX + 1][8];

	for (int i = 0; i < ABAFT_TXN_WRITES_MAX; i++) {
		size_t len = (size_t)snprintf(keys[i], sizeof(keys[i]), "k%d", i);

		assert_int_equal(abaft_prep_put(txn, keys[i], len, keys[i], len, NULL), ABAFT_OK);
	}
	assert_int_equal(abaft_run(txn), ABAFT_OK);
	assert_int_equal(abaft_put(txn, "more", 4, "1", 1), ABAFT_TOO_LARGE);
	assert_int_equal(abaft_commit(txn), ABAFT_OK);
	abaft_end(txn);
}

static uint32_t info(void *arg, char *text, uint32_t text_bytes)
{
	uint32_t len = 0;

	for (int i = 0; i < 200; i++)
		len += (uint32_t)snprintf(text + len, text_bytes - len, "fact_%d %d\n", i, i);
	return len;
}

static void facts(void **state)
{
	struct fixture *f = *state;
	char text[8192];
	uint32_t workers;

	node_set_info(f->bed.node[0], info, NULL);
	node_set_info(f->bed.node[1], info, NULL);
	assert_int_equal(abaft_info(f->client, 1, text, sizeof(text), &workers), ABAFT_OK);
	assert_int_equal(workers, 2);
	assert_non_null(strstr(text, "fact_199 199\n"));
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(values_of_all_sizes), CASE(bad_path), CASE(slow_commits),	  CASE(aborts),
		CASE(steps_and_attempts),  CASE(restarts), CASE(many_operations), CASE(facts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
