/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dynamodb_test.c - the driver alone, over a server that does what a real DynamoDB does now and
 * then, and one for tests never: leaves out parts, throttles, fails, lies, breaks off, keeps quiet.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "dataplane/engine/dynamodb_request.h"
#include "dataplane/engine/http.h"
#include "tests/lib/http_server.h"
#include "tests/lib/loopback.h"

#define ITEMS	    ENGINE_ITEMS_MAX
#define STEPS	    8
#define SEEN	    64
#define SEEN_BYTES  8192
#define CONNECTIONS 4
#define TRY_US	    10000000

enum then { PLAIN, TEXT, SILENT, BREAK_OFF, HALF, HUGE_ANSWER };

/* What the server does with its next request; after the last step all is answered PLAIN. */
static struct step {
	enum then then;
	int status;
	const char *lines; /* further lines of the head */
	const char *text;
} steps[STEPS];
static uint32_t steps_count;
static char seen[SEEN][SEEN_BYTES]; /* requests, each cut to that */
static char seen_head[2048];	    /* the last one's */

static struct http_server *server;
static struct engine_driver *driver;
static struct engine_counters counters;
static struct engine_item items[ITEMS];
static uint8_t contents[ITEMS][16];
static struct engine_list list;
static char leaves[16][ENGINE_LEAF_BYTES];
static uint32_t ended;

static uint64_t now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static const char *plain_answer(const struct http_seen *request)
{
	if (strstr(request->head, ".BatchWriteItem\r\n"))
		return "{\"UnprocessedItems\":{}}";
	if (strstr(request->head, ".BatchGetItem\r\n"))
		return "{\"Responses\":{\"tab\":[]},\"UnprocessedKeys\":{}}";
	if (strstr(request->head, ".Query\r\n"))
		return "{\"Items\":[],\"Count\":0,\"ScannedCount\":0}";
	return "{}";
}

static void huge_answer(int fd)
{
	static char block[64 << 10];

	memset(block, ' ', sizeof(block));
	http_server_send(fd, "HTTP/1.1 200 OK\r\n\r\n", 19);
	for (size_t sent = 0; sent <= DYNAMODB_ANSWER_MAX; sent += sizeof(block))
		http_server_send(fd, block, sizeof(block));
}

static enum http_server_then handle(struct http_server *from, int fd,
				    const struct http_seen *request, void *arg)
{
	struct step plain = {PLAIN, 200, "", NULL};
	const struct step *step = request->number < steps_count ? &steps[request->number] : &plain;

	if (request->number < SEEN)
		snprintf(seen[request->number], SEEN_BYTES, "%.*s", (int)request->body_bytes,
			 (const char *)request->body);
	snprintf(seen_head, sizeof(seen_head), "%s", request->head);
	switch (step->then) {
	case PLAIN:
		step = &plain;
		plain.text = plain_answer(request);
		break;
	case TEXT:
		break;
	case SILENT:
		return HTTP_SERVER_KEEP;
	case BREAK_OFF:
		return HTTP_SERVER_CLOSE;
	case HALF:
		http_server_send(fd, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{\"Item", 44);
		return HTTP_SERVER_CLOSE;
	case HUGE_ANSWER:
		huge_answer(fd);
		return HTTP_SERVER_CLOSE;
	}
	http_server_answer(fd, step->status, step->lines ? step->lines : "", step->text,
			   strlen(step->text));
	return HTTP_SERVER_KEEP;
}

static void on_end(void *arg, struct engine_op *op, int result)
{
	op->result = result;
	ended++;
}

static int driver_open(const char *token)
{
	struct engine_url url = {
		.scheme = "dynamodb", .host = "tab", .prefix = "p", .region = "us-east-1"};
	struct engine_credentials credentials = {.access_key = "AKIDEXAMPLE",
						 .secret_key = "SECRETSECRET"};
	struct engine_config config = {.connections = CONNECTIONS};
	char why[ENGINE_WHY_BYTES];

	snprintf(url.endpoint, sizeof(url.endpoint), "http://127.0.0.1:%u",
		 http_server_port(server));
	snprintf(credentials.session_token, sizeof(credentials.session_token), "%s", token);
	if (dynamodb_driver_create(&driver, &url, &credentials, &config, why) != 0)
		fail_msg("%s", why);
	driver->end = on_end;
	driver->counters = &counters;
	return 0;
}

static int setup(void **state)
{
	memset(&counters, 0, sizeof(counters));
	memset(seen, 0, sizeof(seen));
	memset(steps, 0, sizeof(steps));
	steps_count = 0;
	ended = 0;
	server = http_server_start(handle, NULL);
	return driver_open("");
}

static int teardown(void **state)
{
	if (driver)
		driver->ops->destroy(driver);
	driver = NULL;
	http_server_stop(server);
	return 0;
}

static void then_answer(int status, const char *text)
{
	assert_true(steps_count < STEPS);
	steps[steps_count++] = (struct step){TEXT, status, "", text};
}

static void then_do(enum then what)
{
	assert_true(steps_count < STEPS);
	steps[steps_count++] = (struct step){.then = what};
}

/* d/0, d/1, …, each with a content of one byte. */
static struct engine_op op_of(enum engine_verb verb, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++) {
		items[i] = (struct engine_item){
			.to = contents[i], .bytes = sizeof(contents[i]), .result = -EINPROGRESS};
		snprintf(items[i].name.dir, ENGINE_DIR_BYTES, "d");
		snprintf(items[i].name.leaf, ENGINE_LEAF_BYTES, "%u", i);
		if (verb == ENGINE_GET)
			continue;
		items[i].data = (const uint8_t *)"x";
		items[i].bytes = 1;
	}
	list = (struct engine_list){.dir = "d", .leaf = leaves, .max = 16};
	return (struct engine_op){.verb = verb, .count = count, .items = items, .list = &list};
}

static void begin(struct engine_op *op)
{
	op->own.try_until_us = now_us() + TRY_US;
	op->result = -EINPROGRESS;
	driver->why[0] = '\0';
	driver->ops->begin(driver, op);
}

static void run_until(uint32_t want)
{
	uint64_t end_us = now_us() + 2 * TRY_US;

	while (ended < want && now_us() < end_us)
		driver->ops->run(driver, -1, 100);
	assert_int_equal(ended, want);
}

static int try(struct engine_op *op)
{
	uint32_t before = ended;

	begin(op);
	run_until(before + 1);
	for (uint32_t i = 0; op->verb != ENGINE_LIST && i < op->count; i++)
		if (op->items[i].result == -EINPROGRESS || op->items[i].result == DYNAMODB_TAKEN)
			fail_msg("item %u has no result", i);
	return op->result;
}

static void says(const char *what)
{
	if (!strstr(driver->why, what))
		fail_msg("\"%s\" does not say \"%s\"", driver->why, what);
	assert_null(strstr(driver->why, "SECRET"));
}

static void requests_are_signed(void **state)
{
	struct engine_op op = op_of(ENGINE_PUT, 1);
	char host[64];

	assert_int_equal(try(&op), 0);
	snprintf(host, sizeof(host), "Host: 127.0.0.1:%u\r\n", http_server_port(server));
	assert_int_equal(strncmp(seen_head, "POST / HTTP/1.1\r\n", 17), 0);
	assert_non_null(strstr(seen_head, host));
	assert_non_null(strstr(seen_head, "X-Amz-Target: DynamoDB_20120810.PutItem\r\n"));
	assert_non_null(strstr(seen_head, "Content-Type: application/x-amz-json-1.0\r\n"));
	assert_non_null(strstr(seen_head, "Authorization: AWS4-HMAC-SHA256 Credential="
					  "AKIDEXAMPLE/"));
	assert_non_null(strstr(seen_head, "/us-east-1/dynamodb/aws4_request"));
	assert_non_null(strstr(seen_head, "SignedHeaders=host;x-amz-date;x-amz-target"));
	assert_null(strstr(seen_head, "SECRET"));
	assert_null(strstr(seen_head, "Security-Token"));
	assert_int_equal(counters.round_trips, 1);
	assert_int_equal(counters.put_bytes, 1);
}

static void tokens_are_sent_and_signed(void **state)
{
	struct engine_op op = op_of(ENGINE_GET, 1);

	driver->ops->destroy(driver);
	driver_open("TOKEN");
	assert_int_equal(try(&op), -ENOENT);
	assert_non_null(strstr(seen_head, "X-Amz-Security-Token: TOKEN\r\n"));
	assert_non_null(strstr(seen_head,
			       "SignedHeaders=host;x-amz-date;x-amz-security-token;x-amz-target"));
}

/* D3: what was left out is sent again by the next try, and nothing else. */
static void a_batch_in_parts(void **state)
{
	struct engine_op op = op_of(ENGINE_PUT, 3);

	then_answer(200, "{\"UnprocessedItems\":{\"tab\":[{\"PutRequest\":{\"Item\":{"
			 "\"d\":{\"S\":\"p/d\"},\"l\":{\"S\":\"1\"},\"b\":{\"B\":\"eA==\"}}}}]}}");
	assert_int_equal(try(&op), -EBUSY);
	says("left out items");
	assert_int_equal(items[0].result, 0);
	assert_int_equal(items[1].result, -EBUSY);
	assert_int_equal(items[2].result, 0);
	items[1].result = -EINPROGRESS;
	assert_int_equal(try(&op), 0);
	assert_non_null(strstr(seen[1], "\"l\":{\"S\":\"1\"}"));
	assert_null(strstr(seen[1], "\"l\":{\"S\":\"0\"}"));
	assert_null(strstr(seen[1], "\"l\":{\"S\":\"2\"}"));
	assert_int_equal(http_server_requests(server), 2);
	assert_int_equal(counters.put_bytes, 3);
}

/* One part throttled: what has not been sent yet waits with it. */
static void a_long_batch_stops_when_throttled(void **state)
{
	struct engine_op op = op_of(ENGINE_DELETE, ITEMS);
	uint32_t done = 0;

	for (uint32_t i = 0; i < CONNECTIONS; i++)
		then_answer(400, "{\"__type\":\"x#ProvisionedThroughputExceededException\"}");
	assert_int_equal(try(&op), -EBUSY);
	says("throughput");
	for (uint32_t i = 0; i < ITEMS; i++)
		done += items[i].result == 0;
	/* Parts that were under way beside the first one. */
	assert_in_range(http_server_requests(server), 1, CONNECTIONS);
	assert_int_equal(done, 0);
}

static void a_long_batch_stops_when_items_are_left_out(void **state)
{
	struct engine_op op = op_of(ENGINE_DELETE, ITEMS);
	uint32_t done = 0;

	then_answer(200, "{\"UnprocessedItems\":{\"tab\":[{\"DeleteRequest\":{\"Key\":{"
			 "\"d\":{\"S\":\"p/d\"},\"l\":{\"S\":\"7\"}}}}]}}");
	assert_int_equal(try(&op), -EBUSY);
	assert_in_range(http_server_requests(server), 1, CONNECTIONS);
	for (uint32_t i = 0; i < ITEMS; i++)
		done += items[i].result == 0;
	assert_in_range(done, 24, CONNECTIONS * 25 - 1);
	assert_int_equal(items[7].result, -EBUSY);
}

static void a_long_batch_goes_in_parts(void **state)
{
	struct engine_op op = op_of(ENGINE_PUT, ITEMS);

	assert_int_equal(try(&op), 0);
	assert_int_equal(http_server_requests(server), (ITEMS + 24) / 25);
	assert_in_range(http_server_open_most(server), 2, CONNECTIONS);
	assert_int_equal(counters.put_bytes, ITEMS);
	assert_int_equal(counters.round_trips, (ITEMS + 24) / 25);
}

static void put_new_is_refused(void **state)
{
	struct engine_op op = op_of(ENGINE_PUT_NEW, 1);

	then_answer(400, "{\"__type\":\"com.amazonaws.dynamodb.v20120810#"
			 "ConditionalCheckFailedException\",\"message\":\"The conditional request "
			 "failed\"}");
	assert_int_equal(try(&op), -EEXIST);
	assert_int_equal(items[0].result, -EEXIST);
	assert_non_null(strstr(seen[0], "attribute_not_exists(l)"));
}

static void refused(int status, const char *text, int error, const char *what)
{
	struct engine_op op = op_of(ENGINE_PUT, 2);

	steps[0] = (struct step){TEXT, status, "", text};
	teardown(NULL);
	server = http_server_start(handle, NULL);
	steps_count = 1;
	driver_open("");
	assert_int_equal(try(&op), error);
	assert_int_equal(items[0].result, error);
	assert_int_equal(items[1].result, error);
	says(what);
	op = op_of(ENGINE_PUT, 2);
	assert_int_equal(try(&op), 0);
}

static void refusals(void **state)
{
	refused(400, "{\"__type\":\"x#ExpiredTokenException\",\"message\":\"SECRET\"}", -EACCES,
		"expired");
	refused(400, "{\"__type\":\"x#AccessDeniedException\"}", -EACCES, "right");
	refused(400, "{\"__type\":\"x#ResourceNotFoundException\"}", -EACCES, "create it");
	refused(400, "{\"__type\":\"x#ThrottlingException\"}", -EBUSY, "throughput");
	refused(400, "{\"__type\":\"x#ItemCollectionSizeLimitExceededException\"}", -ENOSPC,
		"limit");
	refused(500, "{\"__type\":\"x#InternalServerError\"}", -ENOTCONN, "inside");
	refused(503, "<html>", -EBUSY, "503");
	refused(404, "<html>", -EPROTO, "404");
	refused(200, "<html>", -EPROTO, "no JSON");
	refused(200, "", -EPROTO, "no JSON");
	refused(200, "{\"UnprocessedItems\":", -EPROTO, "no JSON");
	refused(200, "{}", -EPROTO, "left out");
}

static void checksums_are_looked_at(void **state)
{
	struct engine_op op = op_of(ENGINE_PUT, 1);

	/* Said right, then wrong, then no number. */
	then_answer(200, "{}");
	steps[0].lines = "x-amz-crc32: 2745614147\r\n";
	assert_int_equal(try(&op), 0);
	steps[steps_count++] = (struct step){TEXT, 200, "X-Amz-Crc32: 2745614148\r\n", "{}"};
	op = op_of(ENGINE_PUT, 1);
	assert_int_equal(try(&op), -EPROTO);
	says("checksum");
	steps[steps_count++] = (struct step){TEXT, 400, "X-Amz-Crc32: x\r\n", "{}"};
	op = op_of(ENGINE_PUT, 1);
	assert_int_equal(try(&op), -EPROTO);
	says("no number");
}

static void connections_that_end(void **state)
{
	struct engine_op op = op_of(ENGINE_GET, 1);

	/* libcurl repeats what an old connection did not answer; this one is new. */
	then_do(BREAK_OFF);
	assert_int_equal(try(&op), -ENOTCONN);
	says("127.0.0.1");
	then_do(HALF);
	op = op_of(ENGINE_GET, 1);
	assert_int_equal(try(&op), -ENOTCONN);
	op = op_of(ENGINE_GET, 1);
	assert_int_equal(try(&op), -ENOENT);
}

static void nobody_listens(void **state)
{
	struct engine_op op = op_of(ENGINE_PUT, 1), get = op_of(ENGINE_PUT, 1);
	struct http_server *other = server;

	driver->ops->destroy(driver);
	server = http_server_start(handle, NULL);
	driver_open("");
	http_server_stop(server);
	server = other;
	assert_int_equal(try(&op), -ENOTCONN);
	says("DynamoDB at 127.0.0.1");
	get.verb = ENGINE_LIST;
	assert_int_equal(try(&get), -ENOTCONN);
}

static void a_huge_answer(void **state)
{
	struct engine_op op = op_of(ENGINE_GET, 1);

	then_do(HUGE_ANSWER);
	assert_int_equal(try(&op), -EPROTO);
	says("too long");
}

/* An answer to several that has no room is asked for in halves, in the same try. */
static void halves(void **state)
{
	struct engine_op op = op_of(ENGINE_GET, 4);

	then_do(HUGE_ANSWER);
	assert_int_equal(try(&op), -ENOENT);
	assert_int_equal(http_server_requests(server), 3);
	assert_non_null(strstr(seen[1], "{\"S\":\"0\"}"));
	assert_non_null(strstr(seen[1], "{\"S\":\"1\"}"));
	assert_null(strstr(seen[1], "{\"S\":\"2\"}"));
	assert_non_null(strstr(seen[2], "{\"S\":\"3\"}"));
	for (uint32_t i = 0; i < 4; i++)
		assert_int_equal(items[i].result, -ENOENT);
}

/* DynamoDB gives a megabyte of a partition, and leaves the rest: asked for at once. */
static void what_was_cut_is_asked_for_at_once(void **state)
{
	struct engine_op op = op_of(ENGINE_GET, 3);
	size_t chars = 600000;
	char *text = malloc(chars + 512);
	int n;

	assert_non_null(text);
	op.items[0].bytes = 4;
	n = snprintf(text, 512,
		     "{\"UnprocessedKeys\":{\"tab\":{\"Keys\":[{\"d\":{\"S\":\"p/d\"},\"l\":{"
		     "\"S\":\"1\"}},{\"d\":{\"S\":\"p/d\"},\"l\":{\"S\":\"2\"}}]}},"
		     "\"Responses\":{\"tab\":[{\"d\":{\"S\":\"p/d\"},\"l\":{\"S\":\"0\"},"
		     "\"x\":{\"B\":\"");
	memset(text + n, 'A', chars);
	snprintf(text + n + chars, 16, "\"}}]}}");
	then_answer(200, text);
	then_answer(200, "{\"UnprocessedKeys\":{},\"Responses\":{\"tab\":[{\"d\":{\"S\":\"p/d\"},"
			 "\"l\":{\"S\":\"2\"},\"b\":{\"B\":\"Zm9v\"}}]}}");
	assert_int_equal(try(&op), -ENOENT);
	assert_int_equal(items[0].result, 0);
	assert_int_equal(items[1].result, -ENOENT);
	assert_int_equal(items[2].result, 0);
	assert_int_equal(items[2].got, 3);
	assert_memory_equal(contents[2], "foo", 3);
	assert_int_equal(http_server_requests(server), 2);
	assert_null(strstr(seen[1], "{\"S\":\"0\"}"));
	assert_int_equal(counters.get_bytes, 3);
	free(text);
}

/* A small answer that leaves something out is throttling: that waits. */
static void what_was_throttled_is_not_asked_for_at_once(void **state)
{
	struct engine_op op = op_of(ENGINE_GET, 2);

	then_answer(200, "{\"UnprocessedKeys\":{\"tab\":{\"Keys\":[{\"d\":{\"S\":\"p/d\"},\"l\":{"
			 "\"S\":\"1\"}}]}},\"Responses\":{\"tab\":[{\"d\":{\"S\":\"p/d\"},\"l\":{"
			 "\"S\":\"0\"}}]}}");
	assert_int_equal(try(&op), -EBUSY);
	assert_int_equal(items[0].result, 0);
	assert_int_equal(items[1].result, -EBUSY);
	assert_int_equal(http_server_requests(server), 1);
}

#define LEAF(leaf) "{\"l\":{\"S\":\"" leaf "\"}}"
#define LAST(leaf) ",\"LastEvaluatedKey\":{\"d\":{\"S\":\"p/d\"},\"l\":{\"S\":\"" leaf "\"}}"

static void pages(void **state)
{
	struct engine_op op = op_of(ENGINE_LIST, 0);

	then_answer(200, "{\"Items\":[" LEAF("a") "," LEAF("b") "]" LAST("b") "}");
	then_answer(200, "{\"Items\":[]" LAST("bb") "}");
	then_answer(200, "{\"Items\":[" LEAF("c") "]}");
	assert_int_equal(try(&op), 0);
	assert_int_equal(list.count, 3);
	assert_false(list.more);
	assert_string_equal(leaves[0], "a");
	assert_string_equal(leaves[2], "c");
	assert_null(strstr(seen[0], "ExclusiveStartKey"));
	assert_non_null(strstr(seen[1], "\"ExclusiveStartKey\":{\"d\":{\"S\":\"p/d\"},"
					"\"l\":{\"S\":\"b\"}}"));
	assert_non_null(strstr(seen[2], "\"S\":\"bb\""));
	assert_int_equal(counters.round_trips, 3);
}

static void a_page_that_fails(void **state)
{
	struct engine_op op = op_of(ENGINE_LIST, 0);

	then_answer(200, "{\"Items\":[" LEAF("a") "]" LAST("a") "}");
	then_answer(500, "");
	assert_int_equal(try(&op), -ENOTCONN);
	assert_int_equal(list.count, 0);
	assert_int_equal(try(&op), 0);
	assert_int_equal(list.count, 0);
	assert_null(strstr(seen[2], "ExclusiveStartKey"));
}

static void silence_ends_in_time(void **state)
{
	struct engine_op op = op_of(ENGINE_PUT, 30);
	uint64_t begun_us = now_us();

	then_do(SILENT);
	then_do(SILENT);
	op.own.try_until_us = now_us() + 100000;
	driver->ops->begin(driver, &op);
	run_until(1);
	assert_int_equal(op.result, -ETIMEDOUT);
	assert_true(now_us() - begun_us >= 100000);
	assert_true(now_us() - begun_us < TRY_US);
	says("in time");
	for (uint32_t i = 0; i < 30; i++)
		assert_int_equal(items[i].result, -ETIMEDOUT);
}

/* All connections wait for one silent server: what never got one ends in time, too. */
static void a_queue_ends_in_time(void **state)
{
	static struct engine_op ops[CONNECTIONS + 3];
	struct engine_op all = op_of(ENGINE_PUT, CONNECTIONS + 3);
	uint32_t late = 0;

	for (uint32_t i = 0; i < CONNECTIONS + 1; i++)
		then_do(SILENT);
	for (uint32_t i = 0; i < all.count; i++) {
		ops[i] = (struct engine_op){.verb = ENGINE_PUT, .count = 1, .items = &items[i]};
		ops[i].own.try_until_us = now_us() + (i < CONNECTIONS ? 200000 : 60000);
		driver->ops->begin(driver, &ops[i]);
	}
	run_until(3);
	says("all connections were busy");
	for (uint32_t i = 0; i < all.count; i++)
		late += i >= CONNECTIONS && ops[i].result == -ETIMEDOUT;
	assert_int_equal(late, 3);
	run_until(all.count);
	for (uint32_t i = 0; i < all.count; i++)
		assert_int_equal(items[i].result, -ETIMEDOUT);
}

/* Between two long ones: all take turns. */
static void a_short_one_is_not_kept_waiting(void **state)
{
	struct engine_op all = op_of(ENGINE_PUT, ITEMS), one = all, first = all, second = all;

	one.count = 1;
	first.items = items + 1;
	first.count = ITEMS / 2;
	second.items = first.items + first.count;
	second.count = ITEMS - 1 - first.count;
	begin(&first);
	begin(&one);
	begin(&second);
	run_until(1);
	assert_int_equal(one.result, 0);
	assert_int_equal(first.result, -EINPROGRESS);
	assert_int_equal(second.result, -EINPROGRESS);
	run_until(3);
	assert_int_equal(first.result, 0);
	assert_int_equal(second.result, 0);
}

static void the_end_cancels(void **state)
{
	static struct engine_op ops[CONNECTIONS + 2];
	struct engine_op all = op_of(ENGINE_PUT, CONNECTIONS + 2);

	for (uint32_t i = 0; i < CONNECTIONS + 1; i++)
		then_do(SILENT);
	for (uint32_t i = 0; i < all.count; i++) {
		ops[i] = (struct engine_op){.verb = ENGINE_PUT, .count = 1, .items = &items[i]};
		begin(&ops[i]);
	}
	driver->ops->run(driver, -1, 10);
	driver->ops->destroy(driver);
	driver = NULL;
	assert_int_equal(ended, all.count);
	for (uint32_t i = 0; i < all.count; i++) {
		assert_int_equal(ops[i].result, -ECANCELED);
		assert_int_equal(items[i].result, -ECANCELED);
	}
}

/* More than the service ever hands out is told, not lost. */
static void too_many_are_told(void **state)
{
	static struct engine_op ops[ENGINE_OPEN_MAX + 1];
	static struct engine_item own[ENGINE_OPEN_MAX + 1];
	struct engine_op one = op_of(ENGINE_GET, 1);

	for (uint32_t i = 0; i <= ENGINE_OPEN_MAX; i++) {
		own[i] = one.items[0];
		ops[i] = (struct engine_op){.verb = ENGINE_GET, .count = 1, .items = &own[i]};
		begin(&ops[i]);
	}
	assert_int_equal(ended, 1);
	assert_int_equal(ops[ENGINE_OPEN_MAX].result, -EBUSY);
	run_until(ENGINE_OPEN_MAX + 1);
	assert_int_equal(ops[ENGINE_OPEN_MAX - 1].result, -ENOENT);
}

static void what_cannot_be_a_driver(void **state)
{
	struct engine_url url = {.host = "ta", .endpoint = "http://127.0.0.1:1"};
	struct engine_credentials credentials = {.access_key = "A", .secret_key = "hidden"};
	struct engine_config config = {0};
	struct engine_driver *none;
	char why[ENGINE_WHY_BYTES];

	assert_int_equal(dynamodb_driver_create(&none, &url, &credentials, &config, why), -EINVAL);
	assert_non_null(strstr(why, "table"));
	snprintf(url.host, sizeof(url.host), "a/b");
	assert_int_equal(dynamodb_driver_create(&none, &url, &credentials, &config, why), -EINVAL);
	snprintf(url.host, sizeof(url.host), "abc");
	credentials.access_key[0] = '\0';
	assert_int_equal(dynamodb_driver_create(&none, &url, &credentials, &config, why), -EINVAL);
	assert_non_null(strstr(why, "access-key"));
	assert_null(strstr(why, "hidden"));
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		CASE(requests_are_signed),
		CASE(tokens_are_sent_and_signed),
		CASE(a_batch_in_parts),
		CASE(a_long_batch_stops_when_throttled),
		CASE(a_long_batch_stops_when_items_are_left_out),
		CASE(a_long_batch_goes_in_parts),
		CASE(put_new_is_refused),
		CASE(refusals),
		CASE(checksums_are_looked_at),
		CASE(connections_that_end),
		CASE(nobody_listens),
		CASE(a_huge_answer),
		CASE(halves),
		CASE(what_was_cut_is_asked_for_at_once),
		CASE(what_was_throttled_is_not_asked_for_at_once),
		CASE(pages),
		CASE(a_page_that_fails),
		CASE(silence_ends_in_time),
		CASE(a_queue_ends_in_time),
		CASE(a_short_one_is_not_kept_waiting),
		CASE(the_end_cancels),
		CASE(too_many_are_told),
		cmocka_unit_test(what_cannot_be_a_driver),
	};

	if (!loopback_enter()) {
		printf("1..0 # SKIP no network namespace can be made here\n");
		return 0;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
