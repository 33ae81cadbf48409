/* SPDX-License-Identifier: Apache-2.0 */
/*
 * redis_reply.h - what a Redis server answers: bytes in, whole replies out, by hiredis' reader. The
 * server is not trusted: hiredis bounds how deep replies are nested, this file how many elements
 * and bytes one may have, and how long one may stay unfinished.
 */
#ifndef ABAFT_ENGINE_REDIS_REPLY_H
#define ABAFT_ENGINE_REDIS_REPLY_H

#include <stddef.h>
#include <stdint.h>

#include <hiredis/hiredis.h>

#include "dataplane/engine/engine.h"

/* Elements of one reply: CLUSTER SLOTS of 16384 ranges, each with a primary and two replicas. */
#define REDIS_REPLY_ELEMENTS_MAX (512u << 10)
#define REDIS_REPLY_BYTES_MAX	 (ENGINE_OBJECT_BYTES_MAX + (64u << 10))
/* Of a status, an error or a number. */
#define REDIS_REPLY_LINE_MAX	 (16u << 10)

/* May not move while it is open: hiredis points to it. */
struct redis_reader {
	struct redisReader *hiredis;
	redisReplyObjectFunctions bounded;
	const redisReplyObjectFunctions *plain;
	uint32_t elements;
	size_t bytes;
};

/* 0 or -ENOMEM. */
int redis_reader_open(struct redis_reader *reader) __attribute__((warn_unused_result));
/* Also one that is all zeros. */
void redis_reader_close(struct redis_reader *reader);
/* 0 or -ENOMEM. */
int redis_reader_feed(struct redis_reader *reader, const uint8_t *bytes, size_t count)
	__attribute__((warn_unused_result));
/*
 * 1: `out` is the next reply, for redis_reply_free(). 0: there is no whole one; what there is of it
 * has at most `bytes_max` bytes. -EPROTO: no reply, or one too large; the reader is of no use now.
 */
int redis_reader_next(struct redis_reader *reader, size_t bytes_max, struct redisReply **out)
	__attribute__((warn_unused_result));
void redis_reply_free(struct redisReply *reply);

/* What an error of the server means. */
enum redis_meaning {
	REDIS_FAILED, /* `error` and `advice` say how */
	REDIS_MOVED,  /* the slot has another owner */
	REDIS_ASK,    /* this key, this once, is another's */
};

struct redis_error {
	enum redis_meaning meaning;
	int error; /* what a try ends in (driver.h, D5) */
	const char *advice;
};

/* `text` is the server's, without the leading '-', with a NUL behind its `bytes`. */
struct redis_error redis_error_of(const char *text, size_t bytes);
/* Writes the server's words so that they can be printed: one line, no control characters, short. */
void redis_error_print(char *to, size_t room, const char *text, size_t bytes);

#endif
