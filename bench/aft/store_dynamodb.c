/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store_dynamodb.c - DynamoDB as it is: an item {k, v} for each key. With `batched` a function's
 * writes are one BatchWriteItem, its reads one BatchGetItem.
 *
 * JSON is written by hand, since a value is base64 and its place is known; answers are parsed.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cJSON.h>

#include "bench/aft/store_http.h"

#define WRITES_IN_BATCH 25 /* DynamoDB's own limit */
#define TEXT_BYTES	(WRITES_IN_BATCH * (INVOCATION_VALUE_MAX / 3 * 4 + 256))

struct dynamodb {
	struct http *http;
	struct curl_slist *headers[4];
	size_t text_bytes;
	char text[TEXT_BYTES];
};

enum action { PUT_ITEM, GET_ITEM, BATCH_WRITE, BATCH_GET };

static const char *const targets[] = {"PutItem", "GetItem", "BatchWriteItem", "BatchGetItem"};

static struct curl_slist *headers_of(const char *target)
{
	struct curl_slist *list, *more;
	char line[96];

	snprintf(line, sizeof(line), "X-Amz-Target: DynamoDB_20120810.%s", target);
	list = curl_slist_append(NULL, line);
	more = list ? curl_slist_append(list, "Content-Type: application/x-amz-json-1.0") : NULL;
	if (!more)
		curl_slist_free_all(list);
	return more ? list : NULL;
}

static void close_dynamodb(struct store *store)
{
	struct dynamodb *dynamodb = store->own;

	if (dynamodb->http)
		http_close(dynamodb->http);
	for (int i = 0; i < 4; i++)
		curl_slist_free_all(dynamodb->headers[i]);
	free(dynamodb);
}

static int open_dynamodb(struct store *store)
{
	struct dynamodb *dynamodb = calloc(1, sizeof(*dynamodb));
	int err = ABAFT_OK;

	if (!dynamodb)
		return ABAFT_NO_MEMORY;
	store->own = dynamodb;
	for (int i = 0; i < 4; i++) {
		dynamodb->headers[i] = headers_of(targets[i]);
		err = dynamodb->headers[i] ? err : ABAFT_NO_MEMORY;
	}
	if (!err)
		err = http_open(&dynamodb->http, store, "dynamodb");
	if (err)
		close_dynamodb(store);
	return err;
}

static int begin(struct store *store, struct invocation_message *message)
{
	(void)message;
	return ABAFT_OK;
}

__attribute__((format(printf, 2, 3))) static void add(struct dynamodb *dynamodb, const char *format,
						      ...)
{
	size_t room = TEXT_BYTES - dynamodb->text_bytes;
	va_list args;
	int n;

	va_start(args, format);
	n = vsnprintf(dynamodb->text + dynamodb->text_bytes, room, format, args);
	va_end(args);
	if (n > 0)
		dynamodb->text_bytes += (size_t)n < room ? (size_t)n : room - 1;
}

static void add_base64(struct dynamodb *dynamodb, const char *data, size_t bytes)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	const unsigned char *in = (const unsigned char *)data;
	char *out = dynamodb->text + dynamodb->text_bytes;

	if ((bytes + 2) / 3 * 4 >= TEXT_BYTES - dynamodb->text_bytes)
		return; /* the service refuses what is cut short */
	for (size_t i = 0; i < bytes; i += 3) {
		uint32_t b = i + 1 < bytes ? in[i + 1] : 0, c = i + 2 < bytes ? in[i + 2] : 0;
		uint32_t three = (uint32_t)in[i] << 16 | b << 8 | c;

		*out++ = digits[three >> 18];
		*out++ = digits[three >> 12 & 63];
		*out++ = i + 1 < bytes ? digits[three >> 6 & 63] : '=';
		*out++ = i + 2 < bytes ? digits[three & 63] : '=';
	}
	dynamodb->text_bytes = (size_t)(out - dynamodb->text);
}

static int digit_of(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* Returns the bytes that were written, at most `room`. */
static size_t from_base64(char *out, size_t room, const char *text)
{
	uint32_t bits = 0, count = 0;
	size_t n = 0;

	for (; *text && digit_of(*text) >= 0; text++) {
		bits = bits << 6 | (uint32_t)digit_of(*text);
		count += 6;
		if (count < 8)
			continue;
		count -= 8;
		if (n < room)
			out[n++] = (char)(bits >> count & 0xff);
	}
	return n;
}

static void add_item(struct store *store, struct dynamodb *dynamodb, const struct store_op *op)
{
	add(dynamodb, "{\"k\":{\"S\":\"%s\"},\"v\":{\"B\":\"", op->key);
	add_base64(dynamodb, op->value, op->value_bytes);
	add(dynamodb, "\"}}");
	store->counts.bytes_written += op->key_bytes + op->value_bytes;
}

/* Sends dynamodb->text. *root is the caller's to cJSON_Delete(). */
static int call(struct store *store, enum action action, cJSON **root)
{
	struct dynamodb *dynamodb = store->own;
	struct http_exchange *exchange = &dynamodb->http->exchange[0];
	int err;

	snprintf(exchange->url, sizeof(exchange->url), "%s/", store->config.endpoint);
	exchange->method = "POST";
	exchange->headers = dynamodb->headers[action];
	exchange->body = dynamodb->text;
	exchange->body_bytes = dynamodb->text_bytes;
	err = http_perform(store, dynamodb->http, 1);
	if (err)
		return err;
	if (exchange->status != 200) {
		fprintf(stderr, "%s: %ld %.200s\n", targets[action], exchange->status,
			exchange->answer_bytes ? exchange->answer : "");
		return exchange->status >= 500 ? ABAFT_BUSY : ABAFT_PROTOCOL;
	}
	*root = exchange->answer_bytes
			? cJSON_ParseWithLength(exchange->answer, exchange->answer_bytes)
			: NULL;
	return *root ? ABAFT_OK : ABAFT_PROTOCOL;
}

static void take_item(struct store *store, struct store_op *op, const cJSON *item)
{
	const cJSON *value = cJSON_GetObjectItemCaseSensitive(item, "v");
	const cJSON *text = cJSON_GetObjectItemCaseSensitive(value, "B");

	if (!cJSON_IsString(text))
		return;
	op->found = true;
	op->value_bytes = from_base64(op->value, op->value_bytes, text->valuestring);
	store->counts.bytes_read += op->value_bytes;
}

static int run_one(struct store *store, struct store_op *op)
{
	struct dynamodb *dynamodb = store->own;
	cJSON *root = NULL;
	int err;

	dynamodb->text_bytes = 0;
	add(dynamodb, "{\"TableName\":\"%s\",", store->config.bucket);
	if (op->write) {
		add(dynamodb, "\"Item\":");
		add_item(store, dynamodb, op);
	} else {
		add(dynamodb, "\"Key\":{\"k\":{\"S\":\"%s\"}}", op->key);
	}
	add(dynamodb, "}");
	err = call(store, op->write ? PUT_ITEM : GET_ITEM, &root);
	if (!err && !op->write)
		take_item(store, op, cJSON_GetObjectItemCaseSensitive(root, "Item"));
	cJSON_Delete(root);
	return err;
}

static int write_batch(struct store *store, struct store_op **op, uint32_t count)
{
	struct dynamodb *dynamodb = store->own;
	cJSON *root = NULL;
	int err;

	dynamodb->text_bytes = 0;
	add(dynamodb, "{\"RequestItems\":{\"%s\":[", store->config.bucket);
	for (uint32_t i = 0; i < count; i++) {
		add(dynamodb, "%s{\"PutRequest\":{\"Item\":", i ? "," : "");
		add_item(store, dynamodb, op[i]);
		add(dynamodb, "}}");
	}
	add(dynamodb, "]}}");
	err = call(store, BATCH_WRITE, &root);
	if (!err && cJSON_GetArraySize(cJSON_GetObjectItemCaseSensitive(root, "UnprocessedItems")))
		err = ABAFT_BUSY;
	cJSON_Delete(root);
	return err;
}

static int read_batch(struct store *store, struct store_op **op, uint32_t count)
{
	struct dynamodb *dynamodb = store->own;
	const cJSON *items, *item;
	cJSON *root = NULL;
	int err;

	dynamodb->text_bytes = 0;
	add(dynamodb, "{\"RequestItems\":{\"%s\":{\"Keys\":[", store->config.bucket);
	for (uint32_t i = 0; i < count; i++)
		add(dynamodb, "%s{\"k\":{\"S\":\"%s\"}}", i ? "," : "", op[i]->key);
	add(dynamodb, "]}}}");
	err = call(store, BATCH_GET, &root);
	if (!err && cJSON_GetArraySize(cJSON_GetObjectItemCaseSensitive(root, "UnprocessedKeys")))
		err = ABAFT_BUSY;
	items = cJSON_GetObjectItemCaseSensitive(root, "Responses");
	items = cJSON_GetObjectItemCaseSensitive(items, store->config.bucket);
	cJSON_ArrayForEach(item, items)
	{
		const cJSON *key = cJSON_GetObjectItemCaseSensitive(item, "k");
		const char *name = cJSON_GetStringValue(cJSON_GetObjectItem(key, "S"));

		for (uint32_t i = 0; name && i < count; i++)
			if (strcmp(op[i]->key, name) == 0)
				take_item(store, op[i], item);
	}
	cJSON_Delete(root);
	return err;
}

/* The same key twice in a batch is refused: of writes the last one counts, of reads the first one
 * gets the answer, and the others a copy. */
static uint32_t distinct(struct store_op **out, struct store_op *op, uint32_t count, bool write)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < count; i++) {
		uint32_t at = 0;

		if (op[i].write != write)
			continue;
		while (at < n && out[at]->rank != op[i].rank)
			at++;
		if (at == n)
			out[n++] = &op[i];
		else if (write)
			out[at] = &op[i];
	}
	return n;
}

static void copy_read(struct store_op *to, const struct store_op *from)
{
	to->found = from->found;
	if (from->value_bytes > to->value_bytes)
		return;
	to->value_bytes = from->value_bytes;
	memcpy(to->value, from->value, from->value_bytes);
}

static int run_batched(struct store *store, struct store_op *op, uint32_t count)
{
	struct store_op *some[INVOCATION_OPS_MAX];
	uint32_t n = distinct(some, op, count, true);
	int err = ABAFT_OK;

	for (uint32_t at = 0; at < n && !err; at += WRITES_IN_BATCH)
		err = write_batch(store, some + at,
				  n - at < WRITES_IN_BATCH ? n - at : WRITES_IN_BATCH);
	n = distinct(some, op, count, false);
	if (n && !err)
		err = read_batch(store, some, n);
	for (uint32_t i = 0; i < count && !err; i++)
		for (uint32_t at = 0; at < n; at++)
			if (!op[i].write && some[at] != &op[i] && some[at]->rank == op[i].rank)
				copy_read(&op[i], some[at]);
	return err;
}

static int run(struct store *store, struct store_op *op, uint32_t count)
{
	return count == 1 ? run_one(store, op) : run_batched(store, op, count);
}

static int end(struct store *store, struct store_end *end)
{
	end->commit_sent = store_is_last(store);
	return ABAFT_OK;
}

static void forget(struct store *store)
{
	(void)store;
}

const struct store_ops store_dynamodb = {
	.open = open_dynamodb,
	.close = close_dynamodb,
	.begin = begin,
	.run = run,
	.end = end,
	.forget = forget,
};
