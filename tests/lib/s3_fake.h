/* SPDX-License-Identifier: Apache-2.0 */
/*
 * s3_fake.h - an S3 that a test can have say anything: a bucket in memory behind http_server.h,
 * right in what it does, until it is told to do something else with the next requests. It looks at
 * no signature.
 */
#ifndef ABAFT_TESTS_S3_FAKE_H
#define ABAFT_TESTS_S3_FAKE_H

#include <stdbool.h>
#include <stdint.h>

#include "tests/lib/http_server.h"

#define S3_FAKE_BUCKET	 "bucket"
#define S3_FAKE_KEYS_MAX 4096

struct s3_fake;

/* What it is asked: for all of a method, or listings ("LIST") and batches of deletes ("POST"). */
enum s3_fake_do {
	S3_FAKE_RIGHT,
	S3_FAKE_STATUS,	      /* `status` and `text` */
	S3_FAKE_STATUS_AFTER, /* it does it, and then says so */
	S3_FAKE_CLOSE,	      /* closes without an answer */
	S3_FAKE_CLOSE_AFTER,  /* does it, and closes */
	S3_FAKE_SILENT,	      /* no answer */
	S3_FAKE_RAW,	      /* `text` is all that is sent, then it closes */
};

struct s3_fake_rule {
	const char *method;
	uint32_t count; /* of requests; they go on after it */
	enum s3_fake_do what;
	int status;
	const char *text;
};

/* Ways of its own, for all requests. */
struct s3_fake_ways {
	bool ignores_conditions, ignores_ranges, no_length, keys_plain, encodes_late, no_token;
	uint32_t page_max;	/* keys of a page; 0: 1000 */
	const char *fails_keys; /* deletes of keys that hold this fail in batches */
	const char *fails_code;
};

struct s3_fake *s3_fake_start(const struct s3_fake_ways *ways);
void s3_fake_stop(struct s3_fake *fake);
uint16_t s3_fake_port(const struct s3_fake *fake);
struct http_server *s3_fake_server(struct s3_fake *fake);

/* One rule at a time. */
void s3_fake_rule(struct s3_fake *fake, const struct s3_fake_rule *rule);
void s3_fake_put(struct s3_fake *fake, const char *key, const void *data, uint32_t bytes);
/* -1: there is none of that key. */
int64_t s3_fake_bytes(struct s3_fake *fake, const char *key);
uint32_t s3_fake_count(struct s3_fake *fake);
/* Requests of a method that came. */
uint32_t s3_fake_seen(struct s3_fake *fake, const char *method);
/* Does the last request's head have this text? */
bool s3_fake_last_has(struct s3_fake *fake, const char *text);

#endif
