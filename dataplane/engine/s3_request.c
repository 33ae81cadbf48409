/* SPDX-License-Identifier: Apache-2.0 */
/*
 * s3_request.c - requests to S3: name, query, head and body, signed and begun. See s3_impl.h.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <openssl/evp.h>

#include "dataplane/engine/s3_impl.h"

#define NO_PAYLOAD  "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
#define QUERY_MAX   6
#define PROBE_DIR   "probe"
#define PROBE_LEAF  "conditional"
#define PROBE_BYTES "abaft"
/* <Object><Key>…</Key></Object>; no character of a name needs to be escaped. */
#define DELETE_ITEM (S3_OBJECT_BYTES + 32)
#define DELETE_HEAD "<Delete xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Quiet>true</Quiet>"

/* A request while it is put together. */
struct draft {
	struct s3_request *request;
	const char *method, *object; /* "": the bucket's */
	struct sigv4_pair query[QUERY_MAX], head[S3_HEADERS_MAX];
	uint32_t query_count, head_count;
};

static void query_add(struct draft *draft, const char *name, const char *value)
{
	draft->query[draft->query_count++] = (struct sigv4_pair){name, value};
}

/* To be signed by its name, in lower case, and sent as the line, which says the same. */
static void head_add_line(struct draft *draft, const char *name, const char *value,
			  const char *line)
{
	struct http_request *http = &draft->request->http;

	draft->head[draft->head_count++] = (struct sigv4_pair){name, value};
	http->lines[http->lines_count++] = line;
}

static void head_add(struct draft *draft, const char *name, const char *value)
{
	char *line = draft->request->lines[draft->head_count];

	snprintf(line, S3_LINE_BYTES, "%s: %s", name, value);
	head_add_line(draft, name, value, line);
}

static void object_name(const struct s3_driver *s3, const struct engine_name *name,
			char to[S3_OBJECT_BYTES])
{
	const char *prefix = s3->url.prefix;

	snprintf(to, S3_OBJECT_BYTES, "%s%s%s/%s", prefix, prefix[0] != '\0' ? "/" : "", name->dir,
		 name->leaf);
}

/* The bytes of the body as signed. */
static int body_set(struct s3_request *request, const void *body, size_t bytes)
{
	request->http.body = body;
	request->http.body_bytes = bytes;
	return sigv4_hash(body, bytes, request->payload);
}

static int draft_get(struct draft *draft, const struct engine_item *item)
{
	struct s3_request *request = draft->request;

	draft->method = "GET";
	request->http.method = HTTP_GET;
	snprintf(request->range, sizeof(request->range), "bytes=%u-%u", item->offset,
		 item->offset + item->bytes - 1);
	head_add(draft, "range", request->range);
	return 0;
}

static int draft_put(struct draft *draft, const void *body, size_t bytes)
{
	struct s3_request *request = draft->request;

	draft->method = "PUT";
	request->http.method = HTTP_PUT;
	if (request->conditional)
		head_add(draft, "if-none-match", "*");
	return body_set(request, body, bytes);
}

/* Base64 of its MD5: S3 insists. */
static int digest_set(struct s3_request *request, const void *body, size_t bytes)
{
	uint8_t md5[EVP_MAX_MD_SIZE];
	unsigned int length = 0;

	if (EVP_Digest(body, bytes, md5, &length, EVP_md5(), NULL) != 1 || length != 16)
		return -ENOMEM;
	EVP_EncodeBlock((uint8_t *)request->digest, md5, (int)length);
	return 0;
}

static int draft_delete_many(struct draft *draft)
{
	struct s3_request *request = draft->request;
	const struct engine_op *op = request->task->op;
	size_t room =
		sizeof(DELETE_HEAD) + 16 + (size_t)(request->end - request->item) * DELETE_ITEM;
	char object[S3_OBJECT_BYTES];
	size_t used;
	char *body;
	int err;

	object_name(request->driver, &op->items[request->item].name, request->object);
	body = malloc(room);
	if (body == NULL)
		return -ENOMEM;
	request->body = body;
	used = (size_t)snprintf(body, room, "%s", DELETE_HEAD);
	for (uint32_t i = request->item; i < request->end; i++) {
		if (op->items[i].result != -EINPROGRESS)
			continue;
		object_name(request->driver, &op->items[i].name, object);
		used += (size_t)snprintf(body + used, room - used, "<Object><Key>%s</Key></Object>",
					 object);
	}
	used += (size_t)snprintf(body + used, room - used, "</Delete>");
	draft->method = "POST";
	draft->object = "";
	request->http.method = HTTP_POST;
	query_add(draft, "delete", "");
	err = digest_set(request, body, used);
	if (err != 0)
		return err;
	head_add(draft, "content-md5", request->digest);
	return body_set(request, body, used);
}

/* `object` gets what all keys of the directory begin with; behind it what to begin after. */
static int draft_list(struct draft *draft, char after[S3_OBJECT_BYTES], char count[16])
{
	struct s3_request *request = draft->request;
	const struct engine_list *list = request->task->op->list;
	uint32_t left = list->max - list->count;
	struct engine_name name = {.leaf = ""};

	snprintf(name.dir, sizeof(name.dir), "%s", list->dir);
	object_name(request->driver, &name, request->object);
	snprintf(name.leaf, sizeof(name.leaf), "%s", request->after);
	object_name(request->driver, &name, after);
	snprintf(count, 16, "%u", left < S3_PAGE_MAX ? left : S3_PAGE_MAX);
	draft->method = "GET";
	draft->object = "";
	request->http.method = HTTP_GET;
	query_add(draft, "list-type", "2");
	query_add(draft, "encoding-type", "url");
	query_add(draft, "max-keys", count);
	query_add(draft, "prefix", request->object);
	if (request->token[0] != '\0')
		query_add(draft, "continuation-token", request->token);
	else if (request->after[0] != '\0')
		query_add(draft, "start-after", after);
	return 0;
}

/* What is particular to its kind. `after` and `count` are a listing's, until it is signed. */
static int draft_kind(struct draft *draft, char after[S3_OBJECT_BYTES], char count[16])
{
	static const struct engine_name probe = {PROBE_DIR, PROBE_LEAF};
	struct s3_request *request = draft->request;
	const struct engine_item *item = NULL;

	if (request->kind == S3_LIST)
		return draft_list(draft, after, count);
	if (request->kind == S3_DELETE_MANY)
		return draft_delete_many(draft);
	if (request->kind == S3_PROBE) {
		object_name(request->driver, &probe, request->object);
		return draft_put(draft, PROBE_BYTES, strlen(PROBE_BYTES));
	}
	item = &request->task->op->items[request->item];
	object_name(request->driver, &item->name, request->object);
	if (request->kind == S3_GET)
		return draft_get(draft, item);
	if (request->kind == S3_PUT)
		return draft_put(draft, item->data, item->bytes);
	draft->method = "DELETE";
	request->http.method = HTTP_DELETE;
	return 0;
}

/* Its path and query, as text and signed. */
static int sign(struct draft *draft)
{
	struct s3_request *request = draft->request;
	struct s3_driver *s3 = request->driver;
	struct http_request *http = &request->http;
	char path[S3_OBJECT_BYTES + 130], query[S3_QUERY_BYTES];
	struct sigv4_request form = {.method = draft->method,
				     .path = path,
				     .query = draft->query,
				     .query_count = draft->query_count,
				     .head = draft->head,
				     .payload = request->payload};
	int err;

	snprintf(path, sizeof(path), "/%s%s%s", s3->url.host, draft->object[0] != '\0' ? "/" : "",
		 draft->object);
	if (sigv4_query(draft->query, draft->query_count, query, sizeof(query)) < 0 ||
	    snprintf(request->url, sizeof(request->url), "%s%s%s%s", s3->url.endpoint, path,
		     query[0] != '\0' ? "?" : "", query) >= (int)sizeof(request->url))
		return -EINVAL;
	if (s3->credentials.session_token[0] != '\0')
		head_add_line(draft, "x-amz-security-token", s3->credentials.session_token,
			      s3->token_line);
	form.head_count = draft->head_count;
	err = sigv4_sign(&s3->signer, &form, request->stamp, request->authorization);
	if (err != 0)
		return err == -ENOMEM ? err : -EINVAL;
	snprintf(request->authorization_line, sizeof(request->authorization_line),
		 "Authorization: %s", request->authorization);
	http->lines[http->lines_count++] = request->authorization_line;
	return 0;
}

/* Whatever became of the one before in the same memory. */
static void request_clear(struct s3_request *request)
{
	struct http_request *http = &request->http;

	http->url = request->url;
	http->lines_count = 0;
	http->body = NULL;
	http->body_bytes = 0;
	http->answer = s3_answer_comes;
	http->fields[0].name = "Content-Range";
	http->fields[1].name = "Content-Length";
	http->fields[2].name = "Transfer-Encoding";
	http->fields_count = 3;
	http->to = request->error;
	http->room = sizeof(request->error);
	http->skip = 0;
	http->cut = true;
	http->grow = false;
	memcpy(request->payload, NO_PAYLOAD, sizeof(NO_PAYLOAD));
}

int s3_request_begin(struct s3_request *request)
{
	struct s3_driver *s3 = request->driver;
	struct draft draft = {.request = request, .object = request->object};
	char after[S3_OBJECT_BYTES], count[16];
	struct timespec wall;
	int err;

	request_clear(request);
	err = draft_kind(&draft, after, count);
	if (err != 0)
		return err;
	clock_gettime(CLOCK_REALTIME, &wall);
	sigv4_stamp((uint64_t)wall.tv_sec, request->stamp);
	head_add_line(&draft, "host", s3->host, s3->host_line);
	head_add(&draft, "x-amz-content-sha256", request->payload);
	head_add(&draft, "x-amz-date", request->stamp);
	err = sign(&draft);
	if (err != 0)
		return err;
	engine_count(&s3->driver.counters->round_trips, 1);
	http_begin(s3->http, &request->http);
	return 0;
}
