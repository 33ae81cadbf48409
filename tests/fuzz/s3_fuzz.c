/* SPDX-License-Identifier: Apache-2.0 */
/*
 * s3_fuzz.c - arbitrary bytes as what an S3 answers.
 *
 * The first byte says what was asked for, the second the status, the third how many bytes of
 * Content-Range follow; the rest is the body, in memory that ends with it. What must hold: an
 * answer is taken, and then nothing is there that was not asked for: no more bytes of an object, no
 * leaf that is none of ours or not above the one before; or it ends in what a driver may end in,
 * with a sentence that has nothing that disturbs a terminal. Only a GET hears that there is no
 * object, only a PUT_NEW that there is one.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/engine/s3_impl.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define ITEMS	 5
#define WANTED	 8
#define LEAVES	 3
#define BODY_MAX (64u << 10)

static const uint32_t statuses[] = {200, 206, 416, 404, 403, 412, 409, 503, 500, 301, 204, 507};
static char leaves[LEAVES][ENGINE_LEAF_BYTES];
static struct engine_item items[ITEMS];
static struct engine_list list;
static struct engine_op op;
static struct s3_driver s3;
static struct s3_task task;
static struct s3_request request;
static struct engine_counters counters;

static void must(bool holds)
{
	if (!holds)
		abort();
}

static void ask(enum s3_kind kind, bool conditional)
{
	static uint8_t to[WANTED];

	memset(&request, 0, sizeof(request));
	memset(&counters, 0, sizeof(counters));
	s3.driver.counters = &counters;
	s3.driver.why[0] = '\0';
	memcpy(s3.url.prefix, "p", 2);
	s3.conditional = S3_ASKING;
	s3.taken = false;
	list = (struct engine_list){.dir = "d", .after = "a", .leaf = leaves, .max = LEAVES};
	op = (struct engine_op){.items = items, .list = &list, .count = ITEMS};
	for (uint32_t i = 0; i < ITEMS; i++)
		items[i] = (struct engine_item){.name = {.dir = "d", .leaf = {(char)('0' + i)}},
						.to = to,
						.bytes = WANTED,
						.offset = 2,
						.result = -EINPROGRESS};
	task = (struct s3_task){.op = &op};
	request.driver = &s3;
	request.task = kind == S3_PROBE ? NULL : &task;
	request.kind = kind;
	request.conditional = conditional || kind == S3_PROBE;
	request.end = kind == S3_DELETE_MANY ? ITEMS : 1;
	memcpy(request.object, "p/d/", 5);
	memcpy(request.after, "a", 2);
	request.http.arg = &request;
}

/* As http.c would have it read. */
static void answer(uint32_t status, const char *range, uint8_t *body, uint32_t bytes)
{
	struct http_request *http = &request.http;

	http->status = status;
	memcpy(http->fields[0].value, range, strlen(range) + 1);
	memcpy(http->fields[1].value, "1", 2);
	http->to = body;
	http->got = bytes;
	if (request.kind == S3_GET && (status == 200 || status == 206) && bytes > WANTED)
		http->got = WANTED;
}

static void check_error(int err)
{
	must(err == -ENOENT || err == -EEXIST || err == -EBUSY || err == -EACCES ||
	     err == -ENOSPC || err == -E2BIG || err == -EPROTO);
	must(err != -ENOENT || (request.kind == S3_GET && request.http.status == 404));
	must(err != -EEXIST || request.conditional);
	must(memchr(s3.driver.why, '\0', ENGINE_WHY_BYTES) != NULL && s3.driver.why[0] != '\0');
	for (const char *at = s3.driver.why; *at != '\0'; at++)
		must(*at >= ' ' && *at <= '~');
}

static void check_items(int err)
{
	for (uint32_t i = 0; i < ITEMS; i++) {
		int result = items[i].result;

		must(items[i].got <= WANTED);
		if (request.kind != S3_DELETE_MANY)
			must(result == -EINPROGRESS);
		else if (err == 0)
			must(result <= 0 && result != -EINPROGRESS && result != -ENOENT &&
			     result != -EEXIST);
	}
}

static void check_list(void)
{
	const char *last = "a";

	must(list.count <= LEAVES && (!list.more || list.count == LEAVES));
	for (uint32_t i = 0; i < list.count; i++) {
		must(memchr(leaves[i], '\0', ENGINE_LEAF_BYTES) != NULL);
		must(strcmp(leaves[i], last) > 0 && strchr(leaves[i], '/') == NULL);
		last = leaves[i];
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char range[HTTP_VALUE_BYTES] = "";
	size_t length;
	uint8_t *body;
	bool again;
	int err;

	if (size < 3 || size > BODY_MAX)
		return 0;
	length = data[2] % sizeof(range);
	if (size < 3 + length)
		return 0;
	memcpy(range, data + 3, length);
	body = malloc(size);
	must(body != NULL);
	memcpy(body, data + 3 + length, size - 3 - length);
	ask(data[0] % (S3_PROBE + 1), (data[0] & 0x80) != 0);
	answer(statuses[data[1] % (sizeof(statuses) / sizeof(statuses[0]))], range, body,
	       (uint32_t)(size - 3 - length));
	err = s3_answer_judge(&request, &again);
	must(!again || (err == 0 && (request.kind == S3_LIST || request.kind == S3_PROBE)));
	if (err != 0)
		check_error(err);
	check_items(err);
	check_list();
	free(body);
	return 0;
}
