/* SPDX-License-Identifier: Apache-2.0 */
/*
 * redis_reply.c - see redis_reply.h.
 */
#include "dataplane/engine/redis_reply.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* Of a header like "$123\r\n", behind the $: longer ones without an end are no headers. */
#define HEADER_BYTES	  32
/* An emptied buffer that is larger is given back. */
#define BUFFER_KEEP_BYTES (256u << 10)

/* hiredis takes NULL from a creating function for "no memory" and gives up: so the bounds. */
static bool take(struct redis_reader *reader, size_t elements, size_t bytes)
{
	if (elements > REDIS_REPLY_ELEMENTS_MAX - reader->elements ||
	    bytes > REDIS_REPLY_BYTES_MAX - reader->bytes)
		return false;
	reader->elements += (uint32_t)elements;
	reader->bytes += bytes;
	return true;
}

static void *create_string(const redisReadTask *task, char *text, size_t bytes)
{
	struct redis_reader *reader = task->privdata;

	return take(reader, 0, bytes) ? reader->plain->createString(task, text, bytes) : NULL;
}

/* Counted when it is announced, as its memory is allocated then. */
static void *create_array(const redisReadTask *task, int elements)
{
	struct redis_reader *reader = task->privdata;
	size_t count = elements > 0 ? (size_t)elements : 0;

	return take(reader, count, 0) ? reader->plain->createArray(task, elements) : NULL;
}

int redis_reader_open(struct redis_reader *reader)
{
	*reader = (struct redis_reader){.hiredis = redisReaderCreate()};
	if (reader->hiredis == NULL)
		return -ENOMEM;
	reader->plain = reader->hiredis->fn;
	reader->bounded = *reader->plain;
	reader->bounded.createString = create_string;
	reader->bounded.createArray = create_array;
	reader->hiredis->fn = &reader->bounded;
	reader->hiredis->privdata = reader;
	reader->hiredis->maxbuf = BUFFER_KEEP_BYTES;
	return 0;
}

void redis_reader_close(struct redis_reader *reader)
{
	if (reader->hiredis != NULL)
		redisReaderFree(reader->hiredis);
	*reader = (struct redis_reader){0};
}

int redis_reader_feed(struct redis_reader *reader, const uint8_t *bytes, size_t count)
{
	return redisReaderFeed(reader->hiredis, (const char *)bytes, count) == REDIS_OK ? 0
											: -ENOMEM;
}

/* Whether what has come of the next element, behind the byte of its type, may still become one.
 * hiredis looks for a line's end from its first byte each time, so lines are short. */
static bool may_go_on(const struct redisReader *hiredis, size_t bytes_max)
{
	size_t have = hiredis->len - hiredis->pos;
	int type = hiredis->ridx >= 0 ? hiredis->rstack[hiredis->ridx].type : -1;

	if (have == 0)
		return true;
	if (have > bytes_max)
		return false;
	if (type == REDIS_REPLY_STRING || type == REDIS_REPLY_ARRAY)
		return have < HEADER_BYTES ||
		       memchr(hiredis->buf + hiredis->pos, '\n', HEADER_BYTES) != NULL;
	return have <= REDIS_REPLY_LINE_MAX;
}

int redis_reader_next(struct redis_reader *reader, size_t bytes_max, struct redisReply **out)
{
	void *reply = NULL;

	if (redisReaderGetReply(reader->hiredis, &reply) != REDIS_OK)
		return -EPROTO;
	if (reply == NULL)
		return may_go_on(reader->hiredis, bytes_max) ? 0 : -EPROTO;
	reader->elements = 0;
	reader->bytes = 0;
	*out = reply;
	return 1;
}

void redis_reply_free(struct redisReply *reply)
{
	freeReplyObject(reply);
}

static const struct {
	const char *begin; /* of the server's words */
	struct redis_error error;
} errors[] = {
	{"MOVED ", {REDIS_MOVED, 0, ""}},
	{"ASK ", {REDIS_ASK, 0, ""}},
	{"OOM ",
	 {REDIS_FAILED, -ENOSPC, "its memory is full: raise maxmemory, or free some of it"}},
	{"MISCONF ",
	 {REDIS_FAILED, -ENOSPC, "it cannot save to its disk: see its log and make room there"}},
	{"NOAUTH ",
	 {REDIS_FAILED, -EACCES, "it wants a password: name one in the engine's credentials"}},
	{"WRONGPASS ", {REDIS_FAILED, -EACCES, "correct the engine's credentials"}},
	{"NOPERM ",
	 {REDIS_FAILED, -EACCES, "give the user the commands and keys that docs/engines.md lists"}},
	{"DENIED ",
	 {REDIS_FAILED, -EACCES, "it is in protected mode: give it a password, and abaft too"}},
	{"ERR max number of clients", {REDIS_FAILED, -EBUSY, "raise its maxclients"}},
	{"BUSY ", {REDIS_FAILED, -EBUSY, "a script of somebody's keeps it busy"}},
	{"TRYAGAIN ", {REDIS_FAILED, -EBUSY, "a slot is moving; it passes"}},
	{"LOADING ", {REDIS_FAILED, -ENOTCONN, "it passes when all is loaded"}},
	{"CLUSTERDOWN ",
	 {REDIS_FAILED, -ENOTCONN,
	  "see redis-cli --cluster check; it passes when all slots are "
	  "served again"}},
	{"MASTERDOWN ", {REDIS_FAILED, -ENOTCONN, "it has lost its primary"}},
	{"NOREPLICAS ",
	 {REDIS_FAILED, -ENOTCONN, "it has fewer replicas than it was told to have"}},
	{"READONLY ",
	 {REDIS_FAILED, -ENOTCONN, "it is a replica: name the primary in the engine's url"}},
	{"WRONGTYPE ",
	 {REDIS_FAILED, -EPROTO, "somebody else's data has that name: choose another prefix"}},
};

struct redis_error redis_error_of(const char *text, size_t bytes)
{
	for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
		size_t begin = strlen(errors[i].begin);

		if (bytes >= begin && memcmp(text, errors[i].begin, begin) == 0)
			return errors[i].error;
	}
	return (struct redis_error){REDIS_FAILED, -EPROTO,
				    "is it a Redis server of version 5 or later?"};
}

void redis_error_print(char *to, size_t room, const char *text, size_t bytes)
{
	size_t used = 0;

	for (size_t i = 0; i < bytes && used + 1 < room; i++)
		to[used++] = text[i] >= ' ' && text[i] <= '~' ? text[i] : '?';
	to[used] = '\0';
}
