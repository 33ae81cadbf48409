/* SPDX-License-Identifier: Apache-2.0 */
/*
 * http_test.c - requests to a server that answers as it should, late, in part, too much, or what
 * is no HTTP.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "dataplane/engine/http.h"
#include "tests/lib/http_server.h"
#include "tests/lib/loopback.h"

#define LONG_US 10000000
#define FLOOD	(200u << 10)

static struct http_server *server;
static struct http *http;
static char *memory; /* of a request that the server read */
static size_t memory_bytes;

/* One request of a test. */
struct call {
	struct http_request request;
	char url[128];
	uint8_t room[256];
	uint32_t done;
};

static uint64_t now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static bool asks(const struct http_seen *seen, const char *path)
{
	const char *blank = strchr(seen->head, ' ');

	return blank != NULL && strncmp(blank + 1, path, strlen(path)) == 0;
}

static void send_text(int fd, const char *text)
{
	http_server_send(fd, text, strlen(text));
}

static void flood_head(int fd)
{
	char line[1024];

	send_text(fd, "HTTP/1.1 200 OK\r\n");
	for (uint32_t sent = 0; sent < FLOOD; sent += sizeof(line)) {
		memset(line, 'x', sizeof(line));
		line[1] = ':';
		line[sizeof(line) - 2] = '\r';
		line[sizeof(line) - 1] = '\n';
		http_server_send(fd, line, sizeof(line));
	}
}

/* No length: until the client has enough of it. */
static void flood_body(int fd)
{
	static char block[64 << 10];

	send_text(fd, "HTTP/1.1 200 OK\r\n\r\n");
	for (uint32_t sent = 0; sent <= HTTP_BODY_BYTES_MAX; sent += sizeof(block))
		http_server_send(fd, block, sizeof(block));
}

static void remember(const struct http_seen *seen)
{
	size_t head = strlen(seen->head);

	free(memory);
	memory_bytes = head + seen->body_bytes;
	memory = malloc(memory_bytes + 1);
	assert_non_null(memory);
	memcpy(memory, seen->head, head);
	memcpy(memory + head, seen->body, seen->body_bytes);
	memory[memory_bytes] = '\0';
}

static enum http_server_then handle(struct http_server *self, int fd, const struct http_seen *seen,
				    void *arg)
{
	if (asks(seen, "/silent"))
		return HTTP_SERVER_KEEP;
	if (asks(seen, "/close") || (asks(seen, "/dies") && seen->nth > 0))
		return HTTP_SERVER_CLOSE;
	if (asks(seen, "/short")) {
		send_text(fd, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n12345");
		return HTTP_SERVER_CLOSE;
	}
	if (asks(seen, "/halfhead")) {
		send_text(fd, "HTTP/1.1 200 OK\r\nContent-Le");
		return HTTP_SERVER_CLOSE;
	}
	if (asks(seen, "/garbage")) {
		send_text(fd, "+PONG\r\n\r\n");
		return HTTP_SERVER_CLOSE;
	}
	if (asks(seen, "/badlength")) {
		send_text(fd, "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n");
		return HTTP_SERVER_CLOSE;
	}
	if (asks(seen, "/floodhead")) {
		flood_head(fd);
		return HTTP_SERVER_CLOSE;
	}
	if (asks(seen, "/floodbody")) {
		flood_body(fd);
		return HTTP_SERVER_CLOSE;
	}
	if (asks(seen, "/chunks"))
		send_text(fd, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
			      "4\r\nabcd\r\n3\r\nefg\r\n0\r\n\r\n");
	else if (asks(seen, "/continue"))
		send_text(fd, "HTTP/1.1 100 Continue\r\nETag: \"early\"\r\n\r\n"
			      "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
	else if (asks(seen, "/moved"))
		http_server_answer(fd, 301, "Location: /ten\r\n", "elsewhere", 9);
	else if (asks(seen, "/none"))
		send_text(fd, "HTTP/1.1 204 No Content\r\nETag: \"none\"\r\n\r\n");
	else if (asks(seen, "/ten"))
		http_server_answer(fd, 200, "eTAG: \t\"ten\" \r\n", "0123456789", 10);
	else {
		remember(seen);
		http_server_answer(fd, 200, "", NULL, 0);
	}
	return HTTP_SERVER_KEEP;
}

static void on_done(struct http_request *request)
{
	struct call *call = request->arg;

	call->done++;
}

static void call_set(struct call *call, enum http_method method, const char *path)
{
	memset(call, 0, sizeof(*call));
	snprintf(call->url, sizeof(call->url), "http://127.0.0.1:%u%s", http_server_port(server),
		 path);
	call->request = (struct http_request){.method = method,
					      .url = call->url,
					      .until_us = now_us() + LONG_US,
					      .arg = call,
					      .done = on_done,
					      .to = call->room,
					      .room = sizeof(call->room)};
}

static void finish(struct call *call)
{
	uint64_t until = now_us() + 2 * LONG_US;

	while (call->done == 0 && now_us() < until)
		http_run(http, -1, 100);
	assert_int_equal(call->done, 1);
}

static void perform(struct call *call)
{
	http_begin(http, &call->request);
	assert_int_equal(call->done, 0); /* H1 */
	finish(call);
}

static int setup_with(uint32_t connections)
{
	struct http_config config = {.ca_file = "", .connections = connections};

	server = http_server_start(handle, NULL);
	return http_create(&http, &config);
}

static int setup(void **state)
{
	return setup_with(4);
}

static int teardown(void **state)
{
	http_destroy(http);
	http_server_stop(server);
	free(memory);
	memory = NULL;
	return 0;
}

static void test_put_sends_what_it_is_told(void **state)
{
	char want[256];
	struct call call;

	call_set(&call, HTTP_PUT, "/a/../b?x=1");
	call.request.lines[0] = "X-One: 1";
	call.request.lines[1] = "Host: somewhere";
	call.request.lines_count = 2;
	call.request.body = "body";
	call.request.body_bytes = 4;
	perform(&call);
	assert_int_equal(call.request.error, 0);
	assert_int_equal(call.request.status, 200);
	assert_int_equal(call.request.got, 0);
	snprintf(want, sizeof(want),
		 "PUT /a/../b?x=1 HTTP/1.1\r\nHost: somewhere\r\nUser-Agent: abaft\r\n"
		 "Accept: */*\r\nX-One: 1\r\nContent-Length: 4\r\n%s",
		 "body");
	assert_string_equal(memory, want);
}

static void test_empty_bodies(void **state)
{
	struct call call;

	call_set(&call, HTTP_PUT, "/empty");
	perform(&call);
	assert_non_null(strstr(memory, "Content-Length: 0\r\n"));
	call_set(&call, HTTP_DELETE, "/gone");
	perform(&call);
	assert_int_equal(strncmp(memory, "DELETE /gone ", 13), 0);
	assert_null(strstr(memory, "Content-Length"));
	call_set(&call, HTTP_GET, "/back");
	perform(&call);
	assert_int_equal(strncmp(memory, "GET /back ", 10), 0);
	assert_null(strstr(memory, "Content-Length"));
	/* All over one connection. */
	assert_int_equal(http_server_connections(server), 1);
}

static void test_large_body(void **state)
{
	size_t bytes = 8u << 20, head;
	char *body = malloc(bytes);
	struct call call;

	assert_non_null(body);
	for (size_t i = 0; i < bytes; i++)
		body[i] = (char)(i * 7 + i / 4096);
	call_set(&call, HTTP_PUT, "/large");
	call.request.body = body;
	call.request.body_bytes = bytes;
	perform(&call);
	assert_int_equal(call.request.error, 0);
	assert_true(memory_bytes > bytes);
	head = memory_bytes - bytes;
	assert_memory_equal(memory + head, body, bytes);
	assert_null(strstr(memory, "Expect"));
	free(body);
}

static void test_fields(void **state)
{
	struct call call;

	call_set(&call, HTTP_GET, "/ten");
	call.request.fields[0].name = "ETag";
	call.request.fields[1].name = "Content-Range";
	call.request.fields_count = 2;
	perform(&call);
	assert_string_equal(call.request.fields[0].value, "\"ten\"");
	assert_string_equal(call.request.fields[1].value, "");
	assert_int_equal(call.request.got, 10);
	assert_memory_equal(call.room, "0123456789", 10);
	/* Those of an interim answer do not count. */
	call_set(&call, HTTP_GET, "/continue");
	call.request.fields[0].name = "ETag";
	call.request.fields_count = 1;
	perform(&call);
	assert_int_equal(call.request.status, 200);
	assert_string_equal(call.request.fields[0].value, "");
	assert_memory_equal(call.room, "ok", 2);
}

static void test_room(void **state)
{
	struct call call;

	call_set(&call, HTTP_GET, "/ten");
	call.request.room = 10;
	perform(&call);
	assert_int_equal(call.request.error, 0);
	call_set(&call, HTTP_GET, "/ten");
	call.request.room = 9;
	perform(&call);
	assert_int_equal(call.request.error, -EMSGSIZE);
	assert_int_equal(call.room[9], 0);
	call_set(&call, HTTP_GET, "/ten");
	call.request.room = 3;
	call.request.skip = 2;
	call.request.cut = true;
	perform(&call);
	assert_int_equal(call.request.error, 0);
	assert_int_equal(call.request.got, 3);
	assert_int_equal(call.request.bytes, 10);
	assert_memory_equal(call.room, "234\0", 4);
	call_set(&call, HTTP_GET, "/ten");
	call.request.skip = 11;
	perform(&call);
	assert_int_equal(call.request.error, 0);
	assert_int_equal(call.request.got, 0);
}

static void test_grow(void **state)
{
	struct call call;

	call_set(&call, HTTP_GET, "/chunks");
	call.request.to = NULL;
	call.request.room = 7;
	call.request.grow = true;
	perform(&call);
	assert_int_equal(call.request.error, 0);
	assert_int_equal(call.request.got, 7);
	assert_memory_equal(call.request.to, "abcdefg", 7);
	free(call.request.to);
	call_set(&call, HTTP_GET, "/floodbody");
	call.request.to = NULL;
	call.request.room = 1u << 20;
	call.request.grow = true;
	perform(&call);
	assert_int_equal(call.request.error, -EMSGSIZE);
	free(call.request.to);
}

static uint8_t elsewhere[16];

static void on_answer(struct http_request *request)
{
	assert_int_equal(request->status, 200);
	assert_int_equal(request->got, 0);
	request->to = elsewhere;
	request->room = sizeof(elsewhere);
}

static void test_answer_moves_the_body(void **state)
{
	struct call call;

	call_set(&call, HTTP_GET, "/ten");
	call.request.answer = on_answer;
	call.request.room = 0;
	perform(&call);
	assert_int_equal(call.request.error, 0);
	assert_memory_equal(elsewhere, "0123456789", 10);
}

static void test_no_body(void **state)
{
	struct call call;

	call_set(&call, HTTP_GET, "/none");
	call.request.fields[0].name = "etag";
	call.request.fields_count = 1;
	perform(&call);
	assert_int_equal(call.request.error, 0);
	assert_int_equal(call.request.status, 204);
	assert_string_equal(call.request.fields[0].value, "\"none\"");
}

/* Broken off, or no HTTP: each in its own words. */
static void test_bad_answers(void **state)
{
	static const struct {
		const char *path;
		int error;
	} rows[] = {
		{"/close", -ENOTCONN},	  {"/short", -ENOTCONN},     {"/garbage", -EPROTO},
		{"/badlength", -EPROTO},  {"/floodhead", -EMSGSIZE}, {"/floodbody", -EMSGSIZE},
		{"/halfhead", -ENOTCONN},
	};
	struct call call;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		call_set(&call, HTTP_GET, rows[i].path);
		call.request.cut = true;
		perform(&call);
		if (call.request.error != rows[i].error)
			print_message("# %s: %s\n", rows[i].path, call.request.why);
		assert_int_equal(call.request.error, rows[i].error);
		assert_true(call.request.why[0] != '\0');
	}
	/* And then a good one. */
	call_set(&call, HTTP_GET, "/ten");
	perform(&call);
	assert_int_equal(call.request.error, 0);
	assert_string_equal(call.request.why, "");
}

static void test_nobody_listens(void **state)
{
	struct call call;

	call_set(&call, HTTP_GET, "/");
	snprintf(call.url, sizeof(call.url), "http://127.0.0.1:1/");
	perform(&call);
	assert_int_equal(call.request.error, -ENOTCONN);
	assert_string_equal(call.request.why, "Connection refused");
	call_set(&call, HTTP_GET, "/");
	snprintf(call.url, sizeof(call.url), "ftp://127.0.0.1:1/");
	perform(&call);
	assert_int_equal(call.request.error, -EPROTO);
}

static void test_redirects_are_not_followed(void **state)
{
	struct call call;

	call_set(&call, HTTP_GET, "/moved");
	perform(&call);
	assert_int_equal(call.request.error, 0);
	assert_int_equal(call.request.status, 301);
	assert_int_equal(http_server_requests(server), 1);
}

static void test_no_proxy(void **state)
{
	struct call call;

	setenv("http_proxy", "http://127.0.0.1:1/", 1);
	setenv("all_proxy", "http://127.0.0.1:1/", 1);
	call_set(&call, HTTP_GET, "/ten");
	perform(&call);
	unsetenv("http_proxy");
	unsetenv("all_proxy");
	assert_int_equal(call.request.error, 0);
}

/* What waits for its turn is over in time, too. */
static void test_time_is_over(void **state)
{
	enum { CALLS = 10 };
	struct call *calls = calloc(CALLS, sizeof(*calls));
	uint64_t begin = now_us();
	struct call after;

	assert_non_null(calls);
	for (int i = 0; i < CALLS; i++) {
		call_set(&calls[i], HTTP_GET, "/silent");
		calls[i].request.until_us = begin + 10000 + 2000 * (uint64_t)i;
		http_begin(http, &calls[i].request);
	}
	for (int i = 0; i < CALLS; i++) {
		finish(&calls[i]);
		assert_int_equal(calls[i].request.error, -ETIMEDOUT);
		assert_true(now_us() >= calls[i].request.until_us);
	}
	assert_true(now_us() - begin < LONG_US);
	free(calls); /* nobody touches them any more */
	call_set(&after, HTTP_GET, "/ten");
	perform(&after);
	assert_int_equal(after.request.error, 0);
}

static void test_connections_are_bounded(void **state)
{
	enum { CALLS = 300 };
	struct call *calls = calloc(CALLS, sizeof(*calls));

	assert_non_null(calls);
	for (int i = 0; i < CALLS; i++) {
		call_set(&calls[i], HTTP_GET, "/ten");
		http_begin(http, &calls[i].request);
	}
	for (int i = 0; i < CALLS; i++) {
		finish(&calls[i]);
		assert_int_equal(calls[i].request.error, 0);
		assert_int_equal(calls[i].request.got, 10);
	}
	assert_int_equal(http_server_requests(server), CALLS);
	assert_in_range(http_server_open_most(server), 2, 4);
	assert_in_range(http_server_connections(server), 2, 4);
	free(calls);
}

/* The server closed what was kept: nobody notices. */
static void test_kept_connection_is_gone(void **state)
{
	struct call call;

	for (int i = 0; i < 3; i++) {
		call_set(&call, HTTP_PUT, "/again");
		call.request.body = "abc";
		call.request.body_bytes = 3;
		perform(&call);
		assert_int_equal(call.request.error, 0);
		http_server_drop(server);
	}
	assert_int_equal(http_server_connections(server), 3);
}

/* It closes each when it is used a second time, more often than libcurl would bear with it. */
static void test_kept_connections_die(void **state)
{
	struct call call;

	for (uint32_t i = 0; i < 20; i++) {
		call_set(&call, HTTP_PUT, "/dies");
		call.request.body = "abc";
		call.request.body_bytes = 3;
		perform(&call);
		assert_int_equal(call.request.error, 0);
		assert_string_equal(call.request.why, "");
	}
	assert_int_equal(http_server_connections(server), 20);
	assert_int_equal(http_server_requests(server), 39);
	/* But a new one that is closed is told. */
	call_set(&call, HTTP_GET, "/close");
	perform(&call);
	assert_int_equal(call.request.error, -ENOTCONN);
	assert_int_equal(http_server_connections(server), 21);
}

static struct call next_call;

static void on_done_begin(struct http_request *request)
{
	on_done(request);
	http_begin(http, &next_call.request);
}

static void test_done_begins_another(void **state)
{
	struct call call;

	call_set(&next_call, HTTP_GET, "/ten");
	call_set(&call, HTTP_GET, "/ten");
	call.request.done = on_done_begin;
	perform(&call);
	finish(&next_call);
	assert_int_equal(next_call.request.got, 10);
}

static void test_cancel(void **state)
{
	enum { CALLS = 8 };
	struct call *calls = calloc(CALLS, sizeof(*calls));
	struct call last;

	assert_non_null(calls);
	for (int i = 0; i < CALLS; i++) {
		call_set(&calls[i], HTTP_GET, "/silent");
		http_begin(http, &calls[i].request);
	}
	while (http_server_requests(server) < 4)
		http_run(http, -1, 10);
	for (int i = CALLS; i-- > 0;)
		http_cancel(http, &calls[i].request);
	http_cancel(http, &calls[0].request);
	for (int i = 0; i < CALLS; i++)
		assert_int_equal(calls[i].done, 0);
	free(calls);
	call_set(&last, HTTP_GET, "/ten");
	perform(&last);
	assert_int_equal(last.request.error, 0);
}

static struct call pair[2];

static void on_done_cancel(struct http_request *request)
{
	on_done(request);
	http_cancel(http, &pair[request == &pair[0].request].request);
}

/* Both are over at the same time, and the first one's done() cancels the other. */
static void test_cancel_within_done(void **state)
{
	for (int i = 0; i < 2; i++) {
		call_set(&pair[i], HTTP_GET, "/silent");
		pair[i].request.until_us = now_us() + 1000;
		pair[i].request.done = on_done_cancel;
		http_begin(http, &pair[i].request);
	}
	while (pair[0].done + pair[1].done == 0)
		http_run(http, -1, 10);
	http_run(http, -1, 5);
	assert_int_equal(pair[0].done + pair[1].done, 1);
}

static void test_wake(void **state)
{
	int fd = eventfd(0, EFD_CLOEXEC), other = eventfd(0, EFD_CLOEXEC);
	uint64_t begin = now_us(), one = 1;

	http_run(http, fd, 5);
	assert_true(now_us() - begin >= 4000);
	assert_int_equal(write(fd, &one, sizeof(one)), sizeof(one));
	http_run(http, fd, -1);
	/* Another one takes its place. */
	begin = now_us();
	http_run(http, other, 5);
	assert_true(now_us() - begin >= 4000);
	assert_int_equal(write(other, &one, sizeof(one)), sizeof(one));
	http_run(http, other, -1);
	close(fd);
	close(other);
}

static void test_config(void **state)
{
	struct http_config config = {.ca_file = "", .connections = 0};
	struct http *other;

	assert_int_equal(http_create(&other, &config), -EINVAL);
	config.connections = HTTP_CONNECTIONS_MAX + 1;
	assert_int_equal(http_create(&other, &config), -EINVAL);
	config.connections = HTTP_CONNECTIONS_MAX;
	assert_int_equal(http_create(&other, &config), 0);
	http_destroy(other);
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_put_sends_what_it_is_told),
		CASE(test_empty_bodies),
		CASE(test_large_body),
		CASE(test_fields),
		CASE(test_room),
		CASE(test_grow),
		CASE(test_answer_moves_the_body),
		CASE(test_no_body),
		CASE(test_bad_answers),
		CASE(test_nobody_listens),
		CASE(test_redirects_are_not_followed),
		CASE(test_no_proxy),
		CASE(test_time_is_over),
		CASE(test_connections_are_bounded),
		CASE(test_kept_connection_is_gone),
		CASE(test_kept_connections_die),
		CASE(test_done_begins_another),
		CASE(test_cancel),
		CASE(test_cancel_within_done),
		CASE(test_wake),
		CASE(test_config),
	};

	if (!loopback_enter()) {
		printf("1..0 # SKIP no network namespace can be made here\n");
		return 0;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
