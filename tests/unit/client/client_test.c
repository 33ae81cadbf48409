/* SPDX-License-Identifier: Apache-2.0 */
/*
 * client_test.c - a client against a fake node over real sockets on loopback.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

#include <abaft/abaft.h>

#include "tests/lib/fake_server.h"

struct fixture {
	struct fake_server *server;
	struct abaft *client;
};

/* On a busy machine an answer may take long: no resend, so that packets can be counted. */
static const struct abaft_config patient = {.resend_us = 4000000, .timeout_ms = 30000};

static void open_client(struct fixture *f, const struct abaft_config *more)
{
	struct abaft_config config = {0};

	if (more)
		config = *more;
	config.port = f->server->port;
	assert_int_equal(abaft_open(&f->client, &config), ABAFT_OK);
}

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	f->server = fake_server_start(AF_INET, 2);
	open_client(f, &patient);
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	abaft_close(f->client);
	/* Whatever the test was about: the client never broke the protocol. */
	if (f->server->node->fault)
		print_error("%s\n", f->server->node->fault);
	assert_null(f->server->node->fault);
	fake_server_stop(f->server);
	free(f);
	return 0;
}

static void begin(struct fixture *f, struct abaft_txn **txn)
{
	assert_int_equal(abaft_begin(f->client, NULL, txn), ABAFT_OK);
}

static void one_packet_commits(void **state)
{
	struct fixture *f = *state;
	struct abaft_result put = {.status = -1}, get = {.status = -1}, commit = {.status = -1};
	struct abaft_txn *txn;
	char buf[8];

	begin(f, &txn);
	assert_int_equal(abaft_prep_put(txn, "a", 1, "one", 3, &put), ABAFT_OK);
	assert_int_equal(abaft_prep_get(txn, "a", 1, buf, sizeof(buf), &get), ABAFT_OK);
	assert_int_equal(abaft_prep_commit(txn, &commit), ABAFT_OK);
	assert_int_equal(abaft_run(txn), ABAFT_OK);
	abaft_end(txn);
	assert_int_equal(put.status, ABAFT_OK);
	assert_int_equal(get.status, ABAFT_OK);
	assert_true(get.own);
	assert_int_equal(get.len, 3);
	assert_memory_equal(buf, "one", 3);
	assert_int_equal(commit.status, ABAFT_OK);
	assert_true(commit.version.time > 0);
	assert_int_equal(f->server->node->seen_count, 1);
	assert_int_equal(f->server->node->seen[0].ops, 3);
}

static void one_call_each(void **state)
{
	struct fixture *f = *state;
	struct abaft_txn *txn;
	size_t bytes;
	char buf[2];

	begin(f, &txn);
	assert_int_equal(abaft_put(txn, "k", 1, "value", 5), ABAFT_OK);
	assert_int_equal(abaft_get(txn, "k", 1, buf, sizeof(buf), &bytes), ABAFT_OK);
	assert_int_equal(bytes, 5);
	assert_memory_equal(buf, "va", 2);
	assert_int_equal(abaft_delete(txn, "k", 1), ABAFT_OK);
	assert_int_equal(abaft_get(txn, "k", 1, buf, sizeof(buf), &bytes), ABAFT_NOT_FOUND);
	assert_int_equal(abaft_commit(txn), ABAFT_OK);
	abaft_end(txn);
	begin(f, &txn);
	assert_int_equal(abaft_put(txn, "k", 1, "value", 5), ABAFT_OK);
	assert_int_equal(abaft_abort(txn), ABAFT_OK);
	assert_int_equal(abaft_commit(txn), ABAFT_ABORTED);
	abaft_end(txn);
	assert_null(fake_node_value(f->server->node, "k"));
}

static void addresses_and_sizes(void **state)
{
	static const struct abaft_config wrong[] = {
		{.address = ""},
		{.bind_address = "::1"},
		{.packet_bytes = ABAFT_PACKET_BYTES_MIN - 1},
		{.packet_bytes = ABAFT_PACKET_BYTES_MAX + 1},
		{.window = 257},
		{.txns_max = (1u << 20) + 1},
	};
	struct abaft *client;

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		assert_int_equal(abaft_open(&client, &wrong[i]), ABAFT_INVALID);
	assert_int_equal(abaft_open(NULL, NULL), ABAFT_INVALID);
	assert_int_equal(abaft_open(&client, &(struct abaft_config){.bind_address = "192.0.2.1"}),
			 ABAFT_NETWORK);
	assert_int_equal(abaft_open(&client, NULL), ABAFT_OK);
	assert_true(abaft_fd(client) >= 0);
	abaft_close(client);
	abaft_close(NULL);
}

static void put_and_commit(struct abaft *client)
{
	struct abaft_txn *txn;

	assert_int_equal(abaft_begin(client, NULL, &txn), ABAFT_OK);
	assert_int_equal(abaft_put(txn, "k", 1, "v", 1), ABAFT_OK);
	assert_int_equal(abaft_commit(txn), ABAFT_OK);
	abaft_end(txn);
}

static void ipv6(void **state)
{
	struct abaft_config config = {.address = "::1", .bind_address = "::1"};
	struct fixture f;

	f.server = fake_server_start(AF_INET6, 1);
	open_client(&f, &config);
	put_and_commit(f.client);
	assert_int_equal(fake_node_commits(f.server->node), 1);
	abaft_close(f.client);
	fake_server_stop(f.server);
}

static void packets_go_to_their_owner(void **state)
{
	struct fixture *f = *state;
	struct abaft_txn *txn;

	put_and_commit(f->client);
	pthread_mutex_lock(&f->server->lock);
	f->server->node->seen_count = 0;
	pthread_mutex_unlock(&f->server->lock);
	for (int i = 0; i < 50; i++) {
		begin(f, &txn);
		assert_int_equal(abaft_put(txn, "k", 1, "v", 1), ABAFT_OK);
		assert_int_equal(f->server->node->seen[i].port, abaft_txn_id(txn)->bytes[12] >> 7);
		abaft_end(txn);
	}
	assert_true(f->server->received[1] > 0);
	assert_true(f->server->received[0] > 0);
}

static void the_base_port_is_tried_too(void **state)
{
	struct fixture *f = *state;
	struct abaft_config config = {.resend_us = 1000, .timeout_ms = 20000};

	abaft_close(f->client);
	open_client(f, &config);
	put_and_commit(f->client);
	f->server->deaf = true;
	for (int i = 0; i < 10; i++)
		put_and_commit(f->client);
}

static void lost_packets_are_sent_again(void **state)
{
	struct fixture *f = *state;
	struct abaft_client_stats stats;
	struct abaft_config config = {.resend_us = 500, .timeout_ms = 20000};
	static uint8_t value[200000], back[200000];
	struct abaft_txn *txn;
	size_t bytes;

	abaft_close(f->client);
	open_client(f, &config);
	memset(value, 7, sizeof(value));
	f->server->lose_permille = 100;
	begin(f, &txn);
	assert_int_equal(abaft_put(txn, "big", 3, value, sizeof(value)), ABAFT_OK);
	assert_int_equal(abaft_get(txn, "big", 3, back, sizeof(back), &bytes), ABAFT_OK);
	assert_int_equal(bytes, sizeof(back));
	assert_memory_equal(value, back, sizeof(back));
	assert_int_equal(abaft_commit(txn), ABAFT_OK);
	abaft_end(txn);
	abaft_client_stats(f->client, &stats);
	assert_true(stats.resends > 10);
	assert_true(stats.packets_sent > stats.packets_received);
	assert_int_equal(fake_node_commits(f->server->node), 1);
}

static void second_copies_are_ignored(void **state)
{
	struct fixture *f = *state;
	struct abaft_client_stats stats;

	f->server->twice = true;
	for (int i = 0; i < 10; i++)
		put_and_commit(f->client);
	abaft_client_stats(f->client, &stats);
	assert_int_equal(stats.packets_sent, 20);
	assert_in_range(stats.ignored, 19, 20);
	assert_int_equal(stats.resends, 0);
}

static void strangers_are_ignored(void **state)
{
	struct fixture *f = *state;
	struct abaft_config config = {.timeout_ms = 300};
	struct abaft_client_stats stats;
	struct abaft_txn *txn;

	abaft_close(f->client);
	open_client(f, &config);
	f->server->from_stranger = true;
	begin(f, &txn);
	assert_int_equal(abaft_put(txn, "k", 1, "v", 1), ABAFT_TIMEOUT);
	abaft_end(txn);
	abaft_client_stats(f->client, &stats);
	assert_true(stats.ignored >= 1);
	assert_int_equal(stats.ignored, stats.packets_received);
}

static void node_that_is_not_there(void **state)
{
	struct abaft_config config = {.port = 1, .timeout_ms = 50};
	struct abaft *client;
	struct abaft_txn *txn;

	assert_int_equal(abaft_open(&client, &config), ABAFT_OK);
	assert_int_equal(abaft_begin(client, NULL, &txn), ABAFT_OK);
	assert_int_equal(abaft_put(txn, "k", 1, "v", 1), ABAFT_TIMEOUT);
	abaft_close(client);
}

/* Ends a transaction's life, then begins the next until enough are done. */
struct crowd {
	struct fixture *f;
	uint32_t begun, done, wanted;
};

static void crowd_begin(struct crowd *crowd);

static void crowd_done(void *arg, struct abaft_txn *txn, int err)
{
	struct crowd *crowd = arg;

	assert_int_equal(err, ABAFT_OK);
	/* In a callback nothing can be waited for. */
	assert_int_equal(abaft_poll(crowd->f->client, 0), -ABAFT_INVALID);
	assert_int_equal(abaft_commit(txn), ABAFT_INVALID);
	abaft_end(txn);
	crowd->done++;
	if (crowd->begun < crowd->wanted)
		crowd_begin(crowd);
}

static void crowd_begin(struct crowd *crowd)
{
	struct abaft_txn *txn;
	char key[16];
	int len = snprintf(key, sizeof(key), "k%u", crowd->begun++ % 20);

	begin(crowd->f, &txn);
	assert_int_equal(abaft_prep_put(txn, key, (size_t)len, key, (size_t)len, NULL), ABAFT_OK);
	assert_int_equal(abaft_prep_commit(txn, NULL), ABAFT_OK);
	assert_int_equal(abaft_submit(txn, crowd_done, crowd), ABAFT_OK);
}

static void many_in_flight(void **state)
{
	struct fixture *f = *state;
	struct crowd crowd = {.f = f, .wanted = 5000};
	uint32_t ended = 0;

	/* More than the sockets hold: some are lost. */
	abaft_close(f->client);
	open_client(f, NULL);
	while (crowd.begun < 1000)
		crowd_begin(&crowd);
	assert_int_equal(abaft_next_timeout_us(f->client), 0);
	while (crowd.done < crowd.wanted) {
		int n = abaft_poll(f->client, 1000000);

		assert_true(n >= 0);
		ended += (uint32_t)n;
	}
	assert_int_equal(ended, crowd.wanted);
	assert_int_equal(fake_node_commits(f->server->node), crowd.wanted);
	assert_int_equal(abaft_next_timeout_us(f->client), UINT64_MAX);
}

static void count_cancelled(void *arg, struct abaft_txn *txn, int err)
{
	assert_int_equal(err, ABAFT_CANCELLED);
	assert_int_equal(abaft_submit(txn, NULL, NULL), ABAFT_INVALID);
	abaft_end(txn);
	++*(int *)arg;
}

static void ending_cancels(void **state)
{
	struct fixture *f = *state;
	struct abaft_config config = {.txns_max = 2};
	struct abaft_txn *txns[3];
	int cancelled = 0;

	abaft_close(f->client);
	open_client(f, &config);
	f->server->silent = 1000;
	for (int i = 0; i < 2; i++) {
		begin(f, &txns[i]);
		assert_int_equal(abaft_prep_delete(txns[i], "k", 1, NULL), ABAFT_OK);
		assert_int_equal(abaft_submit(txns[i], count_cancelled, &cancelled), ABAFT_OK);
		assert_int_equal(abaft_submit(txns[i], NULL, NULL), ABAFT_BUSY);
		assert_int_equal(abaft_prep_delete(txns[i], "k", 1, NULL), ABAFT_BUSY);
	}
	assert_int_equal(abaft_begin(f->client, NULL, &txns[2]), ABAFT_BUSY);
	assert_int_equal(abaft_poll(f->client, 1000), 0);
	abaft_end(txns[0]);
	assert_int_equal(cancelled, 1);
	begin(f, &txns[2]);
	assert_int_equal(abaft_poll(f->client, 1000), 0);
	abaft_close(f->client);
	assert_int_equal(cancelled, 2);
	open_client(f, NULL);
}

static void functions_hand_over(void **state)
{
	struct fixture *f = *state;
	char context[ABAFT_CONTEXT_BYTES];
	struct abaft_begin join = {.context = context};
	struct abaft_txn *first, *second;
	size_t bytes;
	char buf[4];

	begin(f, &first);
	assert_int_equal(abaft_export(first, context), ABAFT_INVALID);
	assert_int_equal(abaft_put(first, "a", 1, "1", 1), ABAFT_OK);
	assert_int_equal(abaft_export(first, context), ABAFT_OK);
	abaft_end(first);
	assert_int_equal(abaft_begin(f->client, &join, &second), ABAFT_OK);
	assert_int_equal(abaft_get(second, "a", 1, buf, sizeof(buf), &bytes), ABAFT_OK);
	/* The second function's step is the next one, so its numbers are higher. */
	assert_int_equal(abaft_put(second, "a", 1, "2", 1), ABAFT_OK);
	assert_int_equal(f->server->node->seen[2].step, 1);
	assert_int_equal(f->server->node->seen[2].flags, 0);
	assert_int_equal(abaft_commit(second), ABAFT_OK);
	abaft_end(second);
	assert_memory_equal(fake_node_value(f->server->node, "a")->bytes, "2", 1);
	/* What the node has lost cannot be joined. */
	begin(f, &first);
	assert_int_equal(abaft_put(first, "b", 1, "1", 1), ABAFT_OK);
	assert_int_equal(abaft_export(first, context), ABAFT_OK);
	abaft_end(first);
	fake_node_restart(f->server->node);
	assert_int_equal(abaft_begin(f->client, &join, &second), ABAFT_OK);
	assert_int_equal(abaft_put(second, "c", 1, "1", 1), ABAFT_UNKNOWN_TXN);
	abaft_end(second);
}

static void what_became_of_it(void **state)
{
	struct fixture *f = *state;
	struct abaft_version version = {0};
	enum abaft_outcome outcome;
	struct abaft_txn *txn;
	struct abaft_id id;

	abaft_id_new(&id);
	assert_int_equal(abaft_status(f->client, &id, &outcome, NULL), ABAFT_OK);
	assert_int_equal(outcome, ABAFT_OUTCOME_UNKNOWN);
	begin(f, &txn);
	assert_int_equal(abaft_put(txn, "k", 1, "v", 1), ABAFT_OK);
	assert_int_equal(abaft_status(f->client, abaft_txn_id(txn), &outcome, NULL), ABAFT_OK);
	assert_int_equal(outcome, ABAFT_OUTCOME_OPEN);
	assert_int_equal(abaft_commit(txn), ABAFT_OK);
	assert_int_equal(abaft_status(f->client, abaft_txn_id(txn), &outcome, &version), ABAFT_OK);
	assert_int_equal(outcome, ABAFT_OUTCOME_COMMITTED);
	assert_true(version.time > 0);
	abaft_end(txn);
	begin(f, &txn);
	assert_int_equal(abaft_abort(txn), ABAFT_OK);
	assert_int_equal(abaft_status(f->client, abaft_txn_id(txn), &outcome, NULL), ABAFT_OK);
	assert_int_equal(outcome, ABAFT_OUTCOME_ABORTED);
	f->server->node->fail_code = ABAFT_OP_STATUS;
	f->server->node->fails = 3;
	f->server->node->fail_status = ABAFT_IN_PROGRESS;
	assert_int_equal(abaft_status(f->client, abaft_txn_id(txn), &outcome, NULL), ABAFT_OK);
	assert_int_equal(outcome, ABAFT_OUTCOME_OPEN);
	f->server->node->fail_status = ABAFT_EXPIRED;
	assert_int_equal(abaft_status(f->client, abaft_txn_id(txn), &outcome, NULL), ABAFT_EXPIRED);
	abaft_end(txn);
}

static void facts_of_a_worker(void **state)
{
	struct fixture *f = *state;
	static char info[5000], text[8000];
	uint32_t workers = 0;

	for (size_t i = 0; i < sizeof(info) - 1; i++)
		info[i] = (char)('a' + i % 23);
	f->server->node->info = info;
	assert_int_equal(abaft_info(f->client, 1, text, sizeof(text), &workers), ABAFT_OK);
	assert_int_equal(workers, 2);
	assert_string_equal(text, info);
	assert_true(f->server->received[1] >= 4);
	assert_int_equal(abaft_info(f->client, 2, text, sizeof(text), &workers), ABAFT_INVALID);
	assert_int_equal(abaft_info(f->client, 0, text, 3000, NULL), ABAFT_TOO_LARGE);
	assert_int_equal(strlen(text), 2999);
	assert_int_equal(abaft_info(f->client, 0, text, sizeof(info), NULL), ABAFT_OK);
	f->server->node->info = "";
	assert_int_equal(abaft_info(f->client, 0, text, sizeof(text), NULL), ABAFT_OK);
	assert_string_equal(text, "");
}

static void one_call_refuses_what_was_prepared(void **state)
{
	struct fixture *f = *state;
	struct abaft_txn *txn;

	begin(f, &txn);
	assert_int_equal(abaft_prep_delete(txn, "k", 1, NULL), ABAFT_OK);
	assert_int_equal(abaft_put(txn, "a", 1, "1", 1), ABAFT_INVALID);
	assert_int_equal(abaft_run(txn), ABAFT_OK);
	assert_int_equal(abaft_put(txn, "a", 1, "1", 1), ABAFT_OK);
	assert_int_equal(abaft_submit(txn, NULL, NULL), ABAFT_INVALID);
	abaft_end(txn);
	assert_int_equal(abaft_wait(NULL), ABAFT_INVALID);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(one_packet_commits),
		CASE(one_call_each),
		cmocka_unit_test(addresses_and_sizes),
		cmocka_unit_test(ipv6),
		CASE(packets_go_to_their_owner),
		CASE(the_base_port_is_tried_too),
		CASE(lost_packets_are_sent_again),
		CASE(second_copies_are_ignored),
		CASE(strangers_are_ignored),
		cmocka_unit_test(node_that_is_not_there),
		CASE(many_in_flight),
		CASE(ending_cancels),
		CASE(functions_hand_over),
		CASE(what_became_of_it),
		CASE(facts_of_a_worker),
		CASE(one_call_refuses_what_was_prepared),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
