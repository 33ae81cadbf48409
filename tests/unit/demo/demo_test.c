/* SPDX-License-Identifier: Apache-2.0 */
/*
 * demo_test.c - parts of the demonstration: the plain store is honest, waiting for processes kills
 * in time, and the kills follow the seed.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "tools/demo/demo.h"

struct server {
	pid_t pid;
	uint16_t port;
	struct plain *client;
};

static int start(void **state)
{
	static struct server server;
	struct sockaddr_in address = {.sin_family = AF_INET};
	socklen_t bytes = sizeof(address);
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, bytes), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &bytes), 0);
	server.port = ntohs(address.sin_port);
	server.pid = demo_fork();
	if (!server.pid) {
		plain_serve(fd);
		_exit(1);
	}
	close(fd);
	assert_int_equal(plain_open(&server.client, server.port), 0);
	*state = &server;
	return 0;
}

static int stop(void **state)
{
	struct server *server = *state;
	int status;

	plain_close(server->client);
	demo_wait(server->pid, 0, &status);
	return 0;
}

static void a_put_is_seen_by_all(void **state)
{
	struct server *server = *state;
	struct plain *other;
	char value[PLAIN_VALUE_BYTES_MAX];
	size_t bytes = sizeof(value);

	assert_int_equal(plain_get(server->client, "a", value, &bytes), -ENOENT);
	assert_int_equal(plain_put(server->client, "a", "one", 3), 0);
	assert_int_equal(plain_put(server->client, "ab", "", 0), 0);
	assert_int_equal(plain_open(&other, server->port), 0);
	bytes = sizeof(value);
	assert_int_equal(plain_get(other, "a", value, &bytes), 0);
	assert_int_equal(bytes, 3);
	assert_memory_equal(value, "one", 3);
	bytes = sizeof(value);
	assert_int_equal(plain_get(other, "ab", value, &bytes), 0);
	assert_int_equal(bytes, 0);
	plain_close(other);
}

static void broken_messages_get_no_answer(void **state)
{
	static const char message[] = "shorter";
	struct server *server = *state;
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(server->port)};
	char value[PLAIN_VALUE_BYTES_MAX];
	size_t bytes = sizeof(value);
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	memset(value, 0xff, sizeof(value));
	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(sendto(fd, message, 3, 0, (struct sockaddr *)&to, sizeof(to)), 3);
	assert_int_equal(sendto(fd, value, sizeof(value), 0, (struct sockaddr *)&to, sizeof(to)),
			 sizeof(value));
	/* One thread answers in turn, so by now both were handled. */
	assert_int_equal(plain_get(server->client, "a", value, &bytes), -ENOENT);
	assert_int_equal(recv(fd, value, sizeof(value), MSG_DONTWAIT), -1);
	close(fd);
}

static void too_much_is_refused(void **state)
{
	struct server *server = *state;
	char key[PLAIN_KEY_BYTES_MAX + 2], value[PLAIN_VALUE_BYTES_MAX + 1] = "";

	memset(key, 'k', sizeof(key) - 1);
	key[sizeof(key) - 1] = '\0';
	assert_int_equal(plain_put(server->client, key, "", 0), -EMSGSIZE);
	assert_int_equal(plain_put(server->client, "k", value, sizeof(value)), -EMSGSIZE);
	assert_int_equal(plain_put(server->client, key + 1, value, sizeof(value) - 1), 0);
}

static void who_ends_in_time_is_not_killed(void **state)
{
	int status = 0;
	pid_t pid = demo_fork();

	if (!pid)
		_exit(7);
	assert_true(demo_wait(pid, 10000000, &status));
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 7);
}

static void who_does_not_is(void **state)
{
	int status = 0;
	pid_t pid = demo_fork();

	if (!pid) {
		pause();
		_exit(0);
	}
	assert_false(demo_wait(pid, 1000, &status));
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGKILL);
}

static void random_numbers_follow_the_seed(void **state)
{
	uint64_t a = 5, b = 5, c = 6;

	for (int i = 0; i < 100; i++) {
		uint64_t number = demo_random(&a);

		assert_int_equal(number, demo_random(&b));
		assert_int_not_equal(number, demo_random(&c));
	}
}

static void keys_are_of_one_run_and_order(void **state)
{
	struct demo_store store = {.run = 3};
	char a[SHOP_KEY_BYTES], b[SHOP_KEY_BYTES];

	shop_key(&store, 12, SHOP_ITEM_A, a);
	assert_string_equal(a, "demo-3:stock-a:12");
	shop_key(&store, 12, SHOP_ORDER, b);
	assert_string_equal(b, "demo-3:order:12");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_put_is_seen_by_all, start, stop),
		cmocka_unit_test_setup_teardown(broken_messages_get_no_answer, start, stop),
		cmocka_unit_test_setup_teardown(too_much_is_refused, start, stop),
		cmocka_unit_test(who_ends_in_time_is_not_killed),
		cmocka_unit_test(who_does_not_is),
		cmocka_unit_test(random_numbers_follow_the_seed),
		cmocka_unit_test(keys_are_of_one_run_and_order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
