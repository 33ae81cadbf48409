/* SPDX-License-Identifier: Apache-2.0 */
/*
 * s3_fake.c - see s3_fake.h.
 */
#include "tests/lib/s3_fake.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KEY_BYTES  512
#define HEAD_BYTES 8192
#define LIST_BYTES (2u << 20)
#define METHODS	   5

struct object {
	char key[KEY_BYTES];
	uint8_t *data;
	uint32_t bytes;
};

struct s3_fake {
	struct http_server *server;
	struct s3_fake_ways ways;
	pthread_mutex_t lock; /* of all below */
	struct s3_fake_rule rule;
	char last[HEAD_BYTES];
	uint32_t seen[METHODS], count;
	struct object objects[S3_FAKE_KEYS_MAX]; /* in order of their keys */
};

static const char *const methods[METHODS] = {"GET", "PUT", "DELETE", "POST", "LIST"};

static void decode(const char *from, size_t bytes, char *to, size_t room)
{
	size_t used = 0;
	unsigned int c;

	for (size_t i = 0; i < bytes && used + 1 < room; i++) {
		if (from[i] == '%' && i + 2 < bytes + 1 && sscanf(from + i + 1, "%2x", &c) == 1) {
			to[used++] = (char)c;
			i += 2;
		} else {
			to[used++] = from[i];
		}
	}
	to[used] = '\0';
}

/* The value of a query's parameter, "" if there is none. */
static void parameter(const char *query, const char *name, char *to, size_t room)
{
	size_t bytes = strlen(name);

	to[0] = '\0';
	for (const char *at = query; at != NULL && *at != '\0'; at = strchr(at, '&')) {
		at += *at == '&';
		if (strncmp(at, name, bytes) == 0 && at[bytes] == '=')
			decode(at + bytes + 1, strcspn(at + bytes + 1, "&"), to, room);
	}
}

static uint32_t find(const struct s3_fake *fake, const char *key, bool *there)
{
	uint32_t low = 0, high = fake->count;

	*there = false;
	while (low < high) {
		uint32_t middle = (low + high) / 2;
		int order = strcmp(fake->objects[middle].key, key);

		if (order == 0) {
			*there = true;
			return middle;
		}
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static void store(struct s3_fake *fake, const char *key, const void *data, uint32_t bytes)
{
	uint8_t *copy = malloc(bytes + 1);
	struct object *object;
	bool there;
	uint32_t at = find(fake, key, &there);

	if (copy == NULL || (!there && fake->count == S3_FAKE_KEYS_MAX))
		abort();
	object = &fake->objects[at];
	if (there) {
		free(object->data);
	} else {
		memmove(object + 1, object, (fake->count - at) * sizeof(*object));
		fake->count++;
		snprintf(object->key, sizeof(object->key), "%s", key);
	}
	if (bytes > 0)
		memcpy(copy, data, bytes);
	object->data = copy;
	object->bytes = bytes;
}

static void erase(struct s3_fake *fake, const char *key)
{
	bool there;
	uint32_t at = find(fake, key, &there);

	if (!there)
		return;
	free(fake->objects[at].data);
	fake->count--;
	memmove(&fake->objects[at], &fake->objects[at + 1],
		(fake->count - at) * sizeof(fake->objects[0]));
}

static void say_error(int fd, int status, const char *code)
{
	char text[256];
	int bytes = snprintf(text, sizeof(text),
			     "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>%s</Code>"
			     "<Message>of its own</Message></Error>",
			     code);

	http_server_answer(fd, status, "", text, (size_t)bytes);
}

static void do_put(struct s3_fake *fake, int fd, const struct http_seen *seen, const char *key)
{
	bool there;

	find(fake, key, &there);
	if (there && !fake->ways.ignores_conditions &&
	    strcasestr(seen->head, "\r\nif-none-match: *\r\n") != NULL) {
		say_error(fd, 412, "PreconditionFailed");
		return;
	}
	store(fake, key, seen->body, (uint32_t)seen->body_bytes);
	http_server_answer(fd, 200, "ETag: \"x\"\r\n", NULL, 0);
}

static void say_whole(struct s3_fake *fake, int fd, const struct object *object)
{
	static const char head[] = "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n";

	if (!fake->ways.no_length) {
		http_server_answer(fd, 200, "", object->data, object->bytes);
		return;
	}
	http_server_send(fd, head, sizeof(head) - 1);
	http_server_send(fd, object->data, object->bytes);
}

static void do_get(struct s3_fake *fake, int fd, const struct http_seen *seen, const char *key)
{
	const char *range = strcasestr(seen->head, "\r\nrange: bytes=");
	uint32_t first, last;
	struct object *object;
	char line[128];
	bool there;
	uint32_t at = find(fake, key, &there);

	if (!there) {
		say_error(fd, 404, "NoSuchKey");
		return;
	}
	object = &fake->objects[at];
	if (fake->ways.ignores_ranges || range == NULL ||
	    sscanf(range, "\r\n%*[rR]ange: bytes=%u-%u", &first, &last) != 2) {
		say_whole(fake, fd, object);
		return;
	}
	if (first >= object->bytes) {
		say_error(fd, 416, "InvalidRange");
		return;
	}
	if (last >= object->bytes)
		last = object->bytes - 1;
	snprintf(line, sizeof(line), "Content-Range: bytes %u-%u/%u\r\n", first, last,
		 object->bytes);
	http_server_answer(fd, 206, line, object->data + first, last - first + 1);
}

static size_t say_key(char *to, size_t room, const char *key, bool encode)
{
	size_t used = (size_t)snprintf(to, room, "<Contents><Key>");

	for (; *key != '\0'; key++)
		used += (size_t)snprintf(to + used, room - used,
					 encode && *key == '/' ? "%%2F" : "%c", *key);
	return used + (size_t)snprintf(to + used, room - used,
				       "</Key><Size>1</Size><Owner><ID>Key</ID></Owner>"
				       "</Contents>");
}

static void do_list(struct s3_fake *fake, int fd, const char *query)
{
	static const char encoding[] = "<EncodingType>url</EncodingType>";
	char prefix[KEY_BYTES], after[KEY_BYTES], token[KEY_BYTES], number[32];
	uint32_t max, shown = 0, at;
	char *text = malloc(LIST_BYTES);
	bool there, more = false;
	size_t used;

	if (text == NULL)
		abort();
	parameter(query, "prefix", prefix, sizeof(prefix));
	parameter(query, "start-after", after, sizeof(after));
	parameter(query, "continuation-token", token, sizeof(token));
	parameter(query, "max-keys", number, sizeof(number));
	max = (uint32_t)strtoul(number, NULL, 10);
	if (fake->ways.page_max != 0 && max > fake->ways.page_max)
		max = fake->ways.page_max;
	/* Its tokens are the last key behind a letter. */
	at = find(fake, token[0] != '\0' ? token + 1 : after, &there);
	used = (size_t)snprintf(
		text, LIST_BYTES,
		"<ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">%s",
		fake->ways.keys_plain || fake->ways.encodes_late ? "" : encoding);
	for (at += there; at < fake->count; at++) {
		if (strncmp(fake->objects[at].key, prefix, strlen(prefix)) != 0)
			continue;
		if (shown++ == max) {
			more = true;
			break;
		}
		used += say_key(text + used, LIST_BYTES - used, fake->objects[at].key,
				!fake->ways.keys_plain);
		snprintf(token, sizeof(token), "t%s", fake->objects[at].key);
	}
	used += (size_t)snprintf(text + used, LIST_BYTES - used, "%s<IsTruncated>%s</IsTruncated>",
				 fake->ways.encodes_late ? encoding : "", more ? "true" : "false");
	if (more && !fake->ways.no_token)
		used += (size_t)snprintf(text + used, LIST_BYTES - used,
					 "<NextContinuationToken>%s</NextContinuationToken>",
					 token);
	used += (size_t)snprintf(text + used, LIST_BYTES - used, "</ListBucketResult>");
	http_server_answer(fd, 200, "", text, used);
	free(text);
}

static void do_delete_many(struct s3_fake *fake, int fd, const struct http_seen *seen)
{
	const char *at = (const char *)seen->body, *end;
	char *text = malloc(LIST_BYTES), key[KEY_BYTES];
	size_t used;

	if (text == NULL)
		abort();
	used = (size_t)snprintf(text, LIST_BYTES, "<DeleteResult>");
	while ((at = strstr(at, "<Key>")) != NULL && (end = strstr(at, "</Key>")) != NULL) {
		snprintf(key, sizeof(key), "%.*s", (int)(end - at - 5), at + 5);
		at = end;
		if (fake->ways.fails_keys != NULL && strstr(key, fake->ways.fails_keys) != NULL)
			used += (size_t)snprintf(
				text + used, LIST_BYTES - used,
				"<Error><Key>%s</Key><Code>%s</Code><Message/></Error>", key,
				fake->ways.fails_code);
		else
			erase(fake, key);
	}
	used += (size_t)snprintf(text + used, LIST_BYTES - used, "</DeleteResult>");
	http_server_answer(fd, 200, "", text, used);
	free(text);
}

/* All as it should be. */
static void do_right(struct s3_fake *fake, int fd, const struct http_seen *seen, uint32_t method,
		     const char *key, const char *query)
{
	switch (method) {
	case 0:
		do_get(fake, fd, seen, key);
		break;
	case 1:
		do_put(fake, fd, seen, key);
		break;
	case 2:
		erase(fake, key);
		http_server_answer(fd, 204, "", NULL, 0);
		break;
	case 3:
		do_delete_many(fake, fd, seen);
		break;
	default:
		do_list(fake, fd, query);
	}
}

static enum http_server_then do_rule(struct s3_fake *fake, int fd, const struct http_seen *seen,
				     uint32_t method, const char *key)
{
	const struct s3_fake_rule *rule = &fake->rule;
	enum s3_fake_do what = rule->what;

	if (what == S3_FAKE_STATUS_AFTER || what == S3_FAKE_CLOSE_AFTER) {
		if (method == 1)
			store(fake, key, seen->body, (uint32_t)seen->body_bytes);
		else if (method == 2)
			erase(fake, key);
	}
	if (what == S3_FAKE_STATUS || what == S3_FAKE_STATUS_AFTER)
		http_server_answer(fd, rule->status, "", rule->text, strlen(rule->text));
	else if (what == S3_FAKE_RAW)
		http_server_send(fd, rule->text, strlen(rule->text));
	return what == S3_FAKE_CLOSE || what == S3_FAKE_CLOSE_AFTER || what == S3_FAKE_RAW
		       ? HTTP_SERVER_CLOSE
		       : HTTP_SERVER_KEEP;
}

static enum http_server_then handle(struct http_server *server, int fd,
				    const struct http_seen *seen, void *arg)
{
	enum http_server_then then = HTTP_SERVER_KEEP;
	char method[16], target[HEAD_BYTES / 2], *query;
	struct s3_fake *fake = arg;
	const char *key = "";
	uint32_t number = 0;

	if (sscanf(seen->head, "%15s %4095s", method, target) != 2 ||
	    strncmp(target, "/" S3_FAKE_BUCKET, sizeof(S3_FAKE_BUCKET)) != 0) {
		say_error(fd, 404, "NoSuchBucket");
		return then;
	}
	query = strchr(target, '?');
	if (query != NULL)
		*query++ = '\0';
	if (target[sizeof(S3_FAKE_BUCKET)] == '/')
		key = target + sizeof(S3_FAKE_BUCKET) + 1;
	while (number < METHODS - 1 && strcmp(methods[number], method) != 0)
		number++;
	if (number == 0 && key[0] == '\0')
		number = METHODS - 1;
	pthread_mutex_lock(&fake->lock);
	fake->seen[number]++;
	snprintf(fake->last, sizeof(fake->last), "%s", seen->head);
	if (fake->rule.count > 0 && strcmp(fake->rule.method, methods[number]) == 0) {
		fake->rule.count--;
		then = do_rule(fake, fd, seen, number, key);
	} else {
		do_right(fake, fd, seen, number, key, query);
	}
	pthread_mutex_unlock(&fake->lock);
	return fake->ways.no_length ? HTTP_SERVER_CLOSE : then;
}

struct s3_fake *s3_fake_start(const struct s3_fake_ways *ways)
{
	struct s3_fake *fake = calloc(1, sizeof(*fake));

	if (fake == NULL)
		abort();
	fake->ways = *ways;
	pthread_mutex_init(&fake->lock, NULL);
	fake->server = http_server_start(handle, fake);
	return fake;
}

void s3_fake_stop(struct s3_fake *fake)
{
	http_server_stop(fake->server);
	for (uint32_t i = 0; i < fake->count; i++)
		free(fake->objects[i].data);
	pthread_mutex_destroy(&fake->lock);
	free(fake);
}

uint16_t s3_fake_port(const struct s3_fake *fake)
{
	return http_server_port(fake->server);
}

struct http_server *s3_fake_server(struct s3_fake *fake)
{
	return fake->server;
}

void s3_fake_rule(struct s3_fake *fake, const struct s3_fake_rule *rule)
{
	pthread_mutex_lock(&fake->lock);
	fake->rule = *rule;
	pthread_mutex_unlock(&fake->lock);
}

void s3_fake_put(struct s3_fake *fake, const char *key, const void *data, uint32_t bytes)
{
	pthread_mutex_lock(&fake->lock);
	store(fake, key, data, bytes);
	pthread_mutex_unlock(&fake->lock);
}

int64_t s3_fake_bytes(struct s3_fake *fake, const char *key)
{
	int64_t bytes;
	bool there;
	uint32_t at;

	pthread_mutex_lock(&fake->lock);
	at = find(fake, key, &there);
	bytes = there ? (int64_t)fake->objects[at].bytes : -1;
	pthread_mutex_unlock(&fake->lock);
	return bytes;
}

uint32_t s3_fake_count(struct s3_fake *fake)
{
	uint32_t count;

	pthread_mutex_lock(&fake->lock);
	count = fake->count;
	pthread_mutex_unlock(&fake->lock);
	return count;
}

uint32_t s3_fake_seen(struct s3_fake *fake, const char *method)
{
	uint32_t seen = 0;

	pthread_mutex_lock(&fake->lock);
	for (uint32_t i = 0; i < METHODS; i++)
		if (strcmp(methods[i], method) == 0)
			seen = fake->seen[i];
	pthread_mutex_unlock(&fake->lock);
	return seen;
}

bool s3_fake_last_has(struct s3_fake *fake, const char *text)
{
	bool has;

	pthread_mutex_lock(&fake->lock);
	has = strstr(fake->last, text) != NULL;
	pthread_mutex_unlock(&fake->lock);
	return has;
}
