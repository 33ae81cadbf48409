/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store_http.c - see store_http.h.
 */
#include "bench/aft/store_http.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int http_open(struct http **out, const struct store *store, const char *service)
{
	struct http *http = calloc(1, sizeof(*http));

	if (!http)
		return ABAFT_NO_MEMORY;
	snprintf(http->user, sizeof(http->user), "%s:%s", store->config.access_key,
		 store->config.secret_key);
	snprintf(http->signer, sizeof(http->signer), "aws:amz:us-east-1:%s", service);
	http->multi = curl_multi_init();
	if (!http->multi) {
		free(http);
		return ABAFT_NO_MEMORY;
	}
	*out = http;
	return ABAFT_OK;
}

void http_close(struct http *http)
{
	for (uint32_t i = 0; i < HTTP_PARALLEL_MAX; i++) {
		if (http->exchange[i].easy)
			curl_easy_cleanup(http->exchange[i].easy);
		free(http->exchange[i].answer);
	}
	curl_multi_cleanup(http->multi);
	free(http);
}

static size_t take(char *data, size_t size, size_t count, void *arg)
{
	struct http_exchange *exchange = arg;
	size_t bytes = size * count, need = exchange->answer_bytes + bytes + 1;
	char *more;

	if (need > HTTP_BODY_MAX)
		return 0;
	if (need > exchange->answer_cap) {
		more = realloc(exchange->answer, 2 * need);
		if (!more)
			return 0;
		exchange->answer = more;
		exchange->answer_cap = 2 * need;
	}
	memcpy(exchange->answer + exchange->answer_bytes, data, bytes);
	exchange->answer_bytes += bytes;
	exchange->answer[exchange->answer_bytes] = '\0';
	return bytes;
}

static int prepare(const struct store *store, const struct http *http,
		   struct http_exchange *exchange)
{
	CURL *easy = exchange->easy;
	bool ok;

	if (!easy)
		easy = exchange->easy = curl_easy_init();
	else
		curl_easy_reset(easy); /* keeps the connection */
	if (!easy)
		return ABAFT_NO_MEMORY;
	exchange->answer_bytes = 0;
	exchange->error[0] = '\0';
	ok = !curl_easy_setopt(easy, CURLOPT_URL, exchange->url) &&
	     !curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, exchange->method) &&
	     !curl_easy_setopt(easy, CURLOPT_AWS_SIGV4, http->signer) &&
	     !curl_easy_setopt(easy, CURLOPT_USERPWD, http->user) &&
	     !curl_easy_setopt(easy, CURLOPT_HTTPHEADER, exchange->headers) &&
	     !curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, take) &&
	     !curl_easy_setopt(easy, CURLOPT_WRITEDATA, exchange) &&
	     !curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, exchange->error) &&
	     !curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L) &&
	     !curl_easy_setopt(easy, CURLOPT_TCP_NODELAY, 1L) &&
	     !curl_easy_setopt(easy, CURLOPT_PROXY, "") &&
	     !curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)store->config.timeout_ms);
	if (ok && exchange->body)
		ok = !curl_easy_setopt(easy, CURLOPT_POSTFIELDS, exchange->body) &&
		     !curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE, (long)exchange->body_bytes);
	return ok ? ABAFT_OK : ABAFT_INVALID;
}

static int judge(struct http_exchange *exchange, CURLcode code)
{
	if (code != CURLE_OK) {
		fprintf(stderr, "%s %s: %s\n", exchange->method, exchange->url,
			exchange->error[0] ? exchange->error : curl_easy_strerror(code));
		return code == CURLE_OPERATION_TIMEDOUT ? ABAFT_TIMEOUT : ABAFT_NETWORK;
	}
	curl_easy_getinfo(exchange->easy, CURLINFO_RESPONSE_CODE, &exchange->status);
	return ABAFT_OK;
}

static int perform_all(struct http *http, uint32_t count)
{
	int running = 0, left, err = ABAFT_OK;
	CURLMsg *message;

	for (uint32_t i = 0; i < count; i++)
		if (curl_multi_add_handle(http->multi, http->exchange[i].easy))
			err = ABAFT_NO_MEMORY;
	while (!err) {
		if (curl_multi_perform(http->multi, &running))
			err = ABAFT_NETWORK;
		if (!running || err)
			break;
		if (curl_multi_poll(http->multi, NULL, 0, 1000, NULL))
			err = ABAFT_NETWORK;
	}
	while ((message = curl_multi_info_read(http->multi, &left))) {
		for (uint32_t i = 0; message->msg == CURLMSG_DONE && i < count; i++) {
			int failed = ABAFT_OK;

			if (http->exchange[i].easy == message->easy_handle)
				failed = judge(&http->exchange[i], message->data.result);
			err = err ? err : failed;
		}
	}
	for (uint32_t i = 0; i < count; i++)
		curl_multi_remove_handle(http->multi, http->exchange[i].easy);
	return err;
}

int http_perform(struct store *store, struct http *http, uint32_t count)
{
	int err = ABAFT_OK;

	for (uint32_t i = 0; i < count && !err; i++)
		err = prepare(store, http, &http->exchange[i]);
	if (err)
		return err;
	store->counts.trips++;
	store->counts.requests += count;
	if (count != 1)
		return perform_all(http, count);
	return judge(&http->exchange[0], curl_easy_perform(http->exchange[0].easy));
}
