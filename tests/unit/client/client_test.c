/* SPDX-License-Identifier: Apache-2.0 */
/*
 * client_test.c - a client against a fake node over real sockets on loopback.
 */
#include <setjmp.h>
#include <stdarg.h>
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
	open_client(f, NULL);
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(one_packet_commits, set_up, tear_down),
		cmocka_unit_test_setup_teardown(one_call_each, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
