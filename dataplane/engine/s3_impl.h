/* SPDX-License-Identifier: Apache-2.0 */
/*
 * s3_impl.h - the driver for S3 from inside: operations and how they become requests (s3.c), the
 * requests (s3_request.c), and what the answers mean (s3_answer.c).
 *
 * An object is PREFIX/DIR/LEAF in the bucket, path-style. Each object is a request of its own, but
 * up to 1000 go in one that deletes. As many requests are under way as there are connections; the
 * operations take turns at the next, so that a long one does not keep the others waiting.
 *
 * S1. An item is sent at most once in a try: those before task->cursor were sent, or were done
 *     already. Between two requests their items' results are -EINPROGRESS or final.
 * S2. A task ends when nothing of it is under way and nothing is left to be sent; after an error
 *     that concerns more than its item nothing more is sent.
 * S3. Whether the storage refuses a second PUT (If-None-Match: *) is found out by putting one
 *     object, PREFIX/probe/conditional, until it is refused or taken twice; it stays there. That
 *     comes before the first PUT_NEW. Until then ENGINE_CONDITIONAL is set in the caps, from then
 *     on as was found: who needs it asks the caps after a PUT_NEW of its own.
 */
#ifndef ABAFT_ENGINE_S3_IMPL_H
#define ABAFT_ENGINE_S3_IMPL_H

#include "dataplane/engine/driver.h"
#include "dataplane/engine/http.h"
#include "dataplane/engine/s3_xml.h"
#include "dataplane/engine/sigv4.h"

#define S3_CONNECTIONS_DEFAULT 32
/* S3's own limits. */
#define S3_DELETE_MAX	       1000
#define S3_PAGE_MAX	       1000
/* Of a listing's page, or a batch of deletes: 1000 keys, with all that stands around each. */
#define S3_ANSWER_BYTES	       (3u << 20)
/* Pages in a row that bring nothing. */
#define S3_EMPTY_PAGES_MAX     100
/* PREFIX/DIR/LEAF */
#define S3_OBJECT_BYTES	       (ENGINE_PREFIX_BYTES + ENGINE_DIR_BYTES + ENGINE_LEAF_BYTES)
#define S3_QUERY_BYTES	       4096
#define S3_URL_BYTES	       (256 + 128 + S3_OBJECT_BYTES + S3_QUERY_BYTES)
#define S3_HEADERS_MAX	       8
#define S3_LINE_BYTES	       128
#define S3_ERROR_BYTES	       4096

struct s3_driver;

/* An operation that the driver has. */
struct s3_task {
	struct engine_op *op; /* NULL: free */
	struct s3_task *next; /* in the queue, or among the free */
	uint32_t cursor;      /* S1 */
	uint32_t under_way;   /* requests */
	int stopped;	      /* S2 */
	bool queued;
};

enum s3_kind { S3_GET, S3_PUT, S3_DELETE, S3_DELETE_MANY, S3_LIST, S3_PROBE };

/* One request, and what its answer is read into. */
struct s3_request {
	struct http_request http;
	struct s3_driver *driver;
	struct s3_task *task; /* NULL: the probe */
	struct s3_request *next_free;
	enum s3_kind kind;
	bool conditional;
	uint32_t item, end; /* the item; of many the first, and the one behind the last */
	void *body;	    /* of a batch of deletes, ours */
	uint32_t bad_keys;  /* of an answer */
	/* Of a listing: where its next page begins, and how many pages brought nothing. */
	char token[S3_TOKEN_BYTES];
	char after[ENGINE_LEAF_BYTES];
	uint32_t empty_pages;
	struct s3_page page;

	char object[S3_OBJECT_BYTES];
	char url[S3_URL_BYTES];
	char stamp[SIGV4_STAMP_BYTES], payload[SIGV4_HEX_BYTES], range[48], digest[32];
	char authorization[SIGV4_AUTHORIZATION_BYTES];
	char lines[S3_HEADERS_MAX][S3_LINE_BYTES];
	char authorization_line[SIGV4_AUTHORIZATION_BYTES + 32];
	uint8_t error[S3_ERROR_BYTES]; /* the body of an answer that is no success */
};

enum s3_conditional { S3_UNKNOWN, S3_ASKING, S3_REFUSES, S3_OVERWRITES };

struct s3_driver {
	struct engine_driver driver;
	struct http *http;
	struct engine_url url;
	struct engine_credentials credentials;
	struct sigv4_signer signer;
	const char *host; /* in url.endpoint */
	char host_line[sizeof(((struct engine_url *)0)->endpoint) + 8];
	char token_line[sizeof(((struct engine_credentials *)0)->session_token) + 32];

	enum s3_conditional conditional;
	bool taken; /* the probe was, once */
	struct s3_request probe;

	struct s3_task *first, *last; /* have something to be sent */
	struct s3_task *waiting;      /* for the probe */
	struct s3_task *free_task;
	uint64_t soonest_us; /* no task's time is over before */
	struct s3_request *free_request;
	uint32_t requests_count;
	struct s3_request *requests;
	struct s3_task tasks[ENGINE_OPEN_MAX];
};

/* s3_request.c: fills in a request for (part of) its task, or the probe, and begins it. 0, -ENOMEM
 * or -EINVAL: it was not. */
int s3_request_begin(struct s3_request *request) __attribute__((warn_unused_result));

/* s3_answer.c: how it ended, with the results of its items; 0 also for S3_LIST whose next page is
 * to be asked for, then `again` is set. Otherwise driver.why has a sentence (not for -ENOENT and
 * -EEXIST). */
int s3_answer_judge(struct s3_request *request, bool *again);
/* http_request.answer() */
void s3_answer_comes(struct http_request *http);

#endif
