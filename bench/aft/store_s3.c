/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store_s3.c - S3 as it is: an object for each key, path-style; with `batched` a function's
 * requests go at the same time, its writes before its reads.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/aft/store_http.h"

struct s3 {
	struct http *http;
	struct curl_slist *headers;
};

static int open_s3(struct store *store)
{
	struct s3 *s3 = calloc(1, sizeof(*s3));
	struct curl_slist *more;
	int err = ABAFT_NO_MEMORY;

	if (!s3)
		return err;
	/* libcurl signs what this header says, and does not send it by itself. */
	s3->headers = curl_slist_append(NULL, "x-amz-content-sha256: UNSIGNED-PAYLOAD");
	more = s3->headers
		       ? curl_slist_append(s3->headers, "Content-Type: application/octet-stream")
		       : NULL;
	if (more)
		err = http_open(&s3->http, store, "s3");
	if (err) {
		curl_slist_free_all(s3->headers);
		free(s3);
		return err;
	}
	store->own = s3;
	return ABAFT_OK;
}

static void close_s3(struct store *store)
{
	struct s3 *s3 = store->own;

	http_close(s3->http);
	curl_slist_free_all(s3->headers);
	free(s3);
}

static int begin(struct store *store, struct invocation_message *message)
{
	(void)message;
	return ABAFT_OK;
}

static void ask(struct store *store, struct http_exchange *exchange, const struct store_op *op)
{
	const struct s3 *s3 = store->own;

	snprintf(exchange->url, sizeof(exchange->url), "%s/%s/%s", store->config.endpoint,
		 store->config.bucket, op->key);
	exchange->method = op->write ? "PUT" : "GET";
	exchange->headers = s3->headers;
	exchange->body = op->write ? op->value : NULL;
	exchange->body_bytes = op->write ? op->value_bytes : 0;
	if (op->write)
		store->counts.bytes_written += op->key_bytes + op->value_bytes;
}

static int answered(struct store *store, const struct http_exchange *exchange, struct store_op *op)
{
	long status = exchange->status;

	if (status != 200 && !(status == 404 && !op->write)) {
		fprintf(stderr, "%s %s: %ld %.200s\n", exchange->method, exchange->url, status,
			exchange->answer_bytes ? exchange->answer : "");
		return status >= 500 ? ABAFT_BUSY : ABAFT_PROTOCOL;
	}
	if (op->write)
		return ABAFT_OK;
	op->found = status == 200;
	if (!op->found)
		return ABAFT_OK;
	if (exchange->answer_bytes < op->value_bytes)
		op->value_bytes = exchange->answer_bytes;
	memcpy(op->value, exchange->answer, op->value_bytes);
	store->counts.bytes_read += op->value_bytes;
	return ABAFT_OK;
}

/* The operations that write, or those that read. */
static int run_some(struct store *store, struct store_op *op, uint32_t count, bool write)
{
	struct s3 *s3 = store->own;
	uint32_t sent = 0, at = 0;
	int err;

	for (uint32_t i = 0; i < count; i++)
		if (op[i].write == write)
			ask(store, &s3->http->exchange[sent++], &op[i]);
	if (sent == 0)
		return ABAFT_OK;
	err = http_perform(store, s3->http, sent);
	for (uint32_t i = 0; i < count && !err; i++)
		if (op[i].write == write)
			err = answered(store, &s3->http->exchange[at++], &op[i]);
	return err;
}

static int run(struct store *store, struct store_op *op, uint32_t count)
{
	int err = run_some(store, op, count, true);

	return err ? err : run_some(store, op, count, false);
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

const struct store_ops store_s3 = {
	.open = open_s3,
	.close = close_s3,
	.begin = begin,
	.run = run,
	.end = end,
	.forget = forget,
};
