/* SPDX-License-Identifier: Apache-2.0 */
/*
 * http.h - many HTTP requests at a time to one server, for drivers: libcurl's multi interface over
 * an epoll set of its own. One thread's, the service's; nothing here blocks but http_run().
 *
 *	driver ─ http_begin() ─▶ queue ─▶ slot (one of `connections`) ─▶ server
 *	       ◀─ answer(), done() ───── http_run() ◀───────────────────
 *
 * A request is the caller's memory with all that it points to, from http_begin() until its done()
 * is called or http_cancel() returns; nothing is copied. What finds no free slot waits its turn.
 *
 * HTTP/1.1 over connections that are kept; no redirect is followed, no proxy used (not the
 * environment's either), no certificate believed that ca_file or the system does not vouch for.
 *
 * H1. done() is called exactly once for each http_begin() that is not cancelled, at until_us at the
 *     latest (as long as http_run() is called), and only from within http_run().
 * H2. A request over a kept connection that ends before a byte of an answer came (the server had
 *     closed it meanwhile, most likely) is sent again, at last over a new one: it may reach the
 *     server twice or more.
 * H3. http_run() blocks SIGPIPE in the thread that calls it.
 */
#ifndef ABAFT_ENGINE_HTTP_H
#define ABAFT_ENGINE_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HTTP_CONNECTIONS_MAX 256
/* Lines of a request's head beside those that HTTP itself wants. */
#define HTTP_LINES_MAX	     12
/* Fields of an answer's head that a request can ask for. */
#define HTTP_FIELDS_MAX	     4
#define HTTP_VALUE_BYTES     128
#define HTTP_WHY_BYTES	     256
/* Of an answer's head, and of its body, whatever becomes of it: beyond it is broken off. */
#define HTTP_HEAD_BYTES_MAX  (64u << 10)
#define HTTP_BODY_BYTES_MAX  (16u << 20)

struct http;

enum http_method { HTTP_GET, HTTP_PUT, HTTP_POST, HTTP_DELETE };

/* A field of the answer's head: `name` in any case, `value` "" when there is none, cut when long.
 */
struct http_field {
	const char *name;
	char value[HTTP_VALUE_BYTES];
};

struct http_request {
	/* The caller's. */
	enum http_method method;
	const char *url;
	const char *lines[HTTP_LINES_MAX]; /* "Name: value"; Host too, when it was signed */
	uint32_t lines_count;
	const void *body; /* PUT and POST; may be NULL when there are no bytes */
	size_t body_bytes;
	uint64_t until_us; /* CLOCK_MONOTONIC */
	void *arg;
	/* The answer's head has come; may change where its body goes. May be NULL. */
	void (*answer)(struct http_request *request);
	void (*done)(struct http_request *request);
	struct http_field fields[HTTP_FIELDS_MAX];
	uint32_t fields_count;

	/*
	 * Where the answer's body goes: its first `skip` bytes nowhere, then up to `room` bytes to
	 * `to`. What is beyond ends the request with -EMSGSIZE, or with `cut` goes nowhere, too.
	 * `grow`: `to` is NULL and becomes memory from malloc() as it is needed, `room` at most,
	 * which the caller frees when done() is called (also after an error) or it cancels.
	 */
	uint8_t *to;
	uint32_t room;
	uint32_t skip;
	bool cut, grow;

	/*
	 * What became of it. 0: an answer came, whole, with any status. Else
	 *	-ETIMEDOUT  its time was over
	 *	-ENOTCONN   nobody listens, no such host or way, or the connection ended first
	 *	-EACCES	    the server's certificate is not to be trusted
	 *	-EMSGSIZE   a longer answer than there was room for
	 *	-EPROTO	    what came is no HTTP
	 *	-ENOMEM
	 */
	int error;
	uint32_t status;	  /* 0: none came */
	uint32_t got;		  /* bytes at `to` */
	uint64_t bytes;		  /* of the body in all */
	char why[HTTP_WHY_BYTES]; /* an error in words; no header stands in it */

	/* http.c's. */
	struct {
		struct http_request *next;
		struct http_slot *slot;
		uint32_t held; /* bytes of memory at `to`, when it grows */
		uint32_t head_bytes;
		bool open, answered, head_whole, again;
		int broken; /* our reason to break off */
	} own;
};

struct http_config {
	const char *ca_file;  /* "": the system's */
	uint32_t connections; /* at a time, HTTP_CONNECTIONS_MAX at most */
};

/* 0, -ENOMEM or -errno. */
int http_create(struct http **out, const struct http_config *config)
	__attribute__((warn_unused_result));
/* Nothing may be open: each was done or cancelled. */
void http_destroy(struct http *http);

void http_begin(struct http *http, struct http_request *request);
/* Ends it without done(). No effect on one that is not open. */
void http_cancel(struct http *http, struct http_request *request);
/* Does what is ready; waits for at most timeout_ms (-1: for ever), but not once `wake_fd` is
 * readable (-1: there is none). */
void http_run(struct http *http, int wake_fd, int timeout_ms);

#endif
