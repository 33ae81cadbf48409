/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store_http.h - signed requests over HTTP for the stores that speak it: one at a time over one
 * connection, or some at the same time. libcurl signs (AWS signature, version 4).
 */
#ifndef ABAFT_BENCH_AFT_STORE_HTTP_H
#define ABAFT_BENCH_AFT_STORE_HTTP_H

#include <curl/curl.h>

#include "bench/aft/store.h"

#define HTTP_PARALLEL_MAX INVOCATION_OPS_MAX
#define HTTP_BODY_MAX	  (16u << 20)

struct http_exchange {
	CURL *easy;
	const char *method;
	char url[512];
	struct curl_slist *headers; /* of the store, for all its requests of this kind */
	const char *body;
	size_t body_bytes;
	char *answer; /* its own, kept from use to use */
	size_t answer_bytes, answer_cap;
	long status;
	char error[CURL_ERROR_SIZE];
};

struct http {
	CURLM *multi;
	char user[512];	 /* ID:SECRET */
	char signer[64]; /* aws:amz:REGION:SERVICE */
	struct http_exchange exchange[HTTP_PARALLEL_MAX];
};

/* `service`: "s3" or "dynamodb". 0 or an enum abaft_error. */
__attribute__((warn_unused_result)) int http_open(struct http **out, const struct store *store,
						  const char *service);
void http_close(struct http *http);
/* Sends the first `count` exchanges, all at once if there are several, and waits for all answers.
 * NETWORK, TIMEOUT, or OK: then every `status` is set. */
__attribute__((warn_unused_result)) int http_perform(struct store *store, struct http *http,
						     uint32_t count);

#endif
