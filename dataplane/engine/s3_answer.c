/* SPDX-License-Identifier: Apache-2.0 */
/*
 * s3_answer.c - what the answers of S3 mean for the items that were asked about. See s3_impl.h.
 *
 * No byte of an answer is believed to be what was asked for because it came: a part of an object
 * must be said to be the part that was wanted, a listing's keys must come behind the one before.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "dataplane/engine/s3_impl.h"
#include "dataplane/engine/s3_refusal.h"

#define LEAF_ALPHABET "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-"

static struct engine_item *item_of(struct s3_request *request)
{
	return &request->task->op->items[request->item];
}

void s3_answer_comes(struct http_request *http)
{
	struct s3_request *request = http->arg;

	if (request->kind == S3_GET && (http->status == 206 || http->status == 200)) {
		http->to = item_of(request)->to;
		http->room = item_of(request)->bytes;
		http->skip = http->status == 200 ? item_of(request)->offset : 0;
		http->cut = http->status == 200; /* all of it comes: the range was ignored */
	} else if ((request->kind == S3_LIST || request->kind == S3_DELETE_MANY) &&
		   http->status == 200) {
		http->to = NULL;
		http->room = S3_ANSWER_BYTES;
		http->cut = false;
		http->grow = true;
	}
}

static const char *verb_of(const struct s3_request *request)
{
	switch (request->kind) {
	case S3_GET:
		return "getting";
	case S3_DELETE:
		return "deleting";
	case S3_DELETE_MANY:
		return "deleting objects like";
	case S3_LIST:
		return "listing";
	default:
		return "putting";
	}
}

/* "s3: WHAT: ADVICE (getting BUCKET/OBJECT at http://…)" */
static void explain(struct s3_request *request, const char *what, const char *advice)
{
	struct s3_driver *s3 = request->driver;

	snprintf(s3->driver.why, sizeof(s3->driver.why), "s3: %.100s: %.85s (%s %.60s/%s at %.80s)",
		 what, advice, verb_of(request), s3->url.host, request->object, s3->url.endpoint);
}

static int broken(struct s3_request *request, const char *what)
{
	explain(request, what, "the answer breaks the protocol; look at endpoint=");
	return -EPROTO;
}

/* There was no answer. */
static int unanswered(struct s3_request *request)
{
	struct http_request *http = &request->http;

	switch (http->error) {
	case -ETIMEDOUT:
		explain(request, "no answer in time", "is the storage up, and reached?");
		return -ETIMEDOUT;
	case -ENOTCONN:
		explain(request, http->why, "is the storage up, and endpoint= right?");
		return -ENOTCONN;
	case -EACCES:
		explain(request, http->why, "look at ca-file, and at the server's certificate");
		return -EACCES;
	case -ENOMEM:
		explain(request, "out of memory", "abaft needs more");
		return -ENOSPC;
	default:
		return broken(request, http->why);
	}
}

/* An answer that is no success, or one with an error in it. */
static int refused_as(struct s3_request *request, const struct s3_error *error)
{
	const struct s3_refusal *refusal = s3_refusal_find(request->http.status, error->code);
	char what[S3_CODE_BYTES + 16];

	snprintf(what, sizeof(what), "%u%s%s", request->http.status, error->code[0] ? " " : "",
		 error->code);
	explain(request, what, refusal->advice);
	return refusal->err;
}

static int refused(struct s3_request *request)
{
	struct http_request *http = &request->http;
	struct s3_error error = {.code = ""};
	int err;

	if (s3_error_parse(http->to, http->got, &error) != 0)
		error.code[0] = '\0';
	err = refused_as(request, &error);
	/* These two are told to the caller as facts: only where they can be ones. */
	if (err == -ENOENT && request->kind != S3_GET)
		return -EPROTO;
	if (http->status == 409 && err == -EPROTO && request->conditional)
		return -EEXIST;
	if (err == -EEXIST && !request->conditional)
		return -EPROTO;
	return err;
}

/* "bytes FIRST-LAST/TOTAL" of the part that was asked for; it may end where the object does. */
static bool range_good(const char *text, const struct engine_item *item, uint32_t got)
{
	uint64_t first, last, total;
	int used = 0;

	if (sscanf(text, "bytes %" SCNu64 "-%" SCNu64 "/%" SCNu64 "%n", &first, &last, &total,
		   &used) != 3 ||
	    text[used] != '\0')
		return false;
	if (first != item->offset || last < first || last >= total || last - first + 1 != got)
		return false;
	return got == item->bytes || last + 1 == total;
}

/* The answer that the object ends before the part does begin. */
static bool behind_end(const char *text, const struct engine_item *item)
{
	uint64_t total;

	return sscanf(text, "bytes */%" SCNu64, &total) != 1 || total <= item->offset;
}

static int got(struct s3_request *request)
{
	struct http_request *http = &request->http;
	struct engine_item *item = item_of(request);
	const char *range = http->fields[0].value;

	if (http->status == 416 && behind_end(range, item)) {
		item->got = 0;
		return 0;
	}
	if (http->status != 206 && http->status != 200)
		return refused(request);
	if (http->status == 206 && !range_good(range, item, http->got))
		return broken(request, "another part of the object came than was asked for");
	/* Where nobody says how much it is, an end may be one or not. */
	if (http->status == 200 && http->fields[1].value[0] == '\0' &&
	    strcasecmp(http->fields[2].value, "chunked") != 0)
		return broken(request, "the object's length is not said");
	item->got = http->got;
	engine_count(&request->driver->driver.counters->get_bytes, http->got);
	return 0;
}

/* Some say 200 before they know, and then the error. */
static int put(struct s3_request *request)
{
	struct http_request *http = &request->http;
	struct s3_error error;

	if (http->status < 200 || http->status > 204)
		return refused(request);
	if (http->got > 0 && s3_error_parse(http->to, http->got, &error) == 0)
		return refused_as(request, &error);
	return 0;
}

static int put_item(struct s3_request *request)
{
	int err = put(request);

	if (err == 0)
		engine_count(&request->driver->driver.counters->put_bytes, item_of(request)->bytes);
	return err;
}

/* The answer decides, or leads to the next question. */
static int probed(struct s3_request *request, bool *again)
{
	struct s3_driver *s3 = request->driver;
	int err = put(request);

	if (err == -EEXIST) {
		s3->conditional = S3_REFUSES;
		return 0;
	}
	if (request->http.status == 501) { /* it knows of no such header, and says so */
		s3->conditional = S3_OVERWRITES;
		return 0;
	}
	if (err != 0)
		return err;
	if (s3->taken)
		s3->conditional = S3_OVERWRITES;
	*again = !s3->taken;
	s3->taken = true;
	return 0;
}

static int deleted(struct s3_request *request)
{
	uint32_t status = request->http.status;
	struct s3_error error;

	if (status == 404 && s3_error_parse(request->http.to, request->http.got, &error) == 0 &&
	    strcmp(error.code, "NoSuchKey") == 0)
		return 0;
	return status >= 200 && status <= 204 ? 0 : refused(request);
}

/* The item of a key, if it is one of those asked for. Errors mostly come in the order of the keys:
 * the search goes on where the last one ended. */
static struct engine_item *item_named(struct s3_request *request, const char *key)
{
	struct engine_op *op = request->task->op;
	uint32_t count = request->end - request->item;
	const char *prefix = request->driver->url.prefix;
	size_t bytes = strlen(prefix);

	if (bytes > 0) {
		if (strncmp(key, prefix, bytes) != 0 || key[bytes] != '/')
			return NULL;
		key += bytes + 1;
	}
	for (uint32_t i = 0; i < count; i++) {
		uint32_t at = (request->bad_keys + i) % count;
		struct engine_item *item = &op->items[request->item + at];

		bytes = strlen(item->name.dir);
		if (item->result == -EINPROGRESS && strncmp(key, item->name.dir, bytes) == 0 &&
		    key[bytes] == '/' && strcmp(key + bytes + 1, item->name.leaf) == 0) {
			request->bad_keys = at + 1;
			return item;
		}
	}
	return NULL;
}

static bool on_failed(void *arg, const char *key, const struct s3_error *error)
{
	struct s3_request *request = arg;
	struct engine_item *item = item_named(request, key);
	int err;

	if (item == NULL)
		return false;
	if (strcmp(error->code, "NoSuchKey") == 0) {
		item->result = 0;
		return true;
	}
	err = refused_as(request, error);
	item->result = err == -ENOENT || err == -EEXIST ? -EPROTO : err;
	return true;
}

static int deleted_many(struct s3_request *request)
{
	struct http_request *http = &request->http;
	struct engine_op *op = request->task->op;
	struct s3_error error;
	int err;

	if (http->status != 200)
		return refused(request);
	request->bad_keys = 0;
	err = s3_deleted_parse(http->to, http->got, &error, on_failed, request);
	if (err == -EREMOTEIO)
		return refused_as(request, &error);
	if (err != 0)
		return broken(request, "the list of what could not be deleted");
	for (uint32_t i = request->item; i < request->end; i++)
		if (op->items[i].result == -EINPROGRESS)
			op->items[i].result = 0;
	return 0;
}

/* Keys of others, below ours or with other names, are passed over. */
static bool on_key(void *arg, const char *key)
{
	struct s3_request *request = arg;
	struct engine_list *list = request->task->op->list;
	size_t bytes = strlen(request->object); /* of what they begin with */
	const char *leaf = key + bytes;
	size_t length;

	if (strncmp(key, request->object, bytes) != 0)
		return false;
	length = strlen(leaf);
	if (length == 0 || length >= ENGINE_LEAF_BYTES || strspn(leaf, LEAF_ALPHABET) != length)
		return true;
	if (strcmp(leaf, request->after) <= 0)
		return false;
	if (list->count == list->max) {
		list->more = true;
		return true;
	}
	memcpy(list->leaf[list->count++], leaf, length + 1);
	memcpy(request->after, leaf, length + 1);
	return true;
}

static int listed(struct s3_request *request, bool *again)
{
	struct http_request *http = &request->http;
	struct engine_list *list = request->task->op->list;
	struct s3_page *page = &request->page;
	uint32_t before = list->count;
	struct s3_error error;
	int err;

	if (http->status != 200)
		return refused(request);
	err = s3_page_parse(http->to, http->got, page, &error, on_key, request);
	if (err == -EREMOTEIO)
		return refused_as(request, &error);
	if (err != 0)
		return broken(request, "the listing");
	memcpy(request->token, page->token, sizeof(request->token));
	if (!page->truncated || list->more)
		return 0;
	if (list->count == list->max) {
		list->more = true;
		return 0;
	}
	request->empty_pages = list->count > before ? 0 : request->empty_pages + 1;
	if (request->empty_pages > 0 &&
	    (page->token[0] == '\0' || request->empty_pages > S3_EMPTY_PAGES_MAX))
		return broken(request, "a listing that does not go on");
	*again = true;
	return 0;
}

int s3_answer_judge(struct s3_request *request, bool *again)
{
	*again = false;
	if (request->http.error != 0)
		return unanswered(request);
	switch (request->kind) {
	case S3_GET:
		return got(request);
	case S3_PUT:
		return put_item(request);
	case S3_DELETE:
		return deleted(request);
	case S3_DELETE_MANY:
		return deleted_many(request);
	case S3_LIST:
		return listed(request, again);
	default:
		return probed(request, again);
	}
}
