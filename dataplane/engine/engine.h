/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine.h - a storage engine: named objects that are written once, over Redis, S3, DynamoDB, or
 * memory. Knows nothing of transactions, and needs little: what it said to have written stays.
 *
 *	worker, keeper, recovery           service thread              storage
 *	engine_begin() ──ring──▶ queue ─▶ driver (redis.c, s3.c, …) ──▶ network
 *	engine_poll()  ◀─ring── retries ◀─ end
 *
 * Who uses an engine opens a channel: a pair of rings that one thread uses at a time. An operation
 * is the caller's memory, with all that it points to, from engine_begin() until engine_poll() hands
 * it back; nothing is copied in between. No call waits but engine_wait() and engine_call().
 *
 * Names: a directory and a leaf, both of [A-Za-z0-9._-]; what users call their keys never becomes
 * part of one. Leaves of a directory are listed in the order of their bytes. Drivers put the
 * configured prefix before them.
 *
 * N1. Objects are never changed: a name is written with one content, and perhaps removed later.
 *     So each operation may be done again whatever became of it before.
 * N2. PUT_NEW says 0 when the caller's very bytes stand under the name afterwards, also if an
 *     earlier try of its own had put them there; -EEXIST when others' do. Over an engine without
 *     ENGINE_CONDITIONAL it is a PUT.
 * N3. What ends in 0 is as durable as the storage makes what it acknowledges (docs/engines.md).
 * N4. A LIST shows each object that was acknowledged before it began and not removed since.
 */
#ifndef ABAFT_ENGINE_ENGINE_H
#define ABAFT_ENGINE_ENGINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <abaft/telemetry.h>

#define ENGINE_DIR_BYTES	48 /* with the NUL */
#define ENGINE_LEAF_BYTES	32
#define ENGINE_PREFIX_BYTES	64
#define ENGINE_WHY_BYTES	512
/* Operations of one channel at a time; more are told -EAGAIN. */
#define ENGINE_CHANNEL_OPS	256
#define ENGINE_CHANNELS_MAX	256
/* Items of one operation; drivers split them into as many requests as the storage wants. */
#define ENGINE_ITEMS_MAX	1024
/* A GET that brings more than there is room for is an error of the caller: -EMSGSIZE. */
#define ENGINE_OBJECT_BYTES_MAX (8u << 20)
/* No limit in time: tried again until it works or the engine is closed. */
#define ENGINE_FOREVER		UINT64_MAX

struct engine_name {
	char dir[ENGINE_DIR_BYTES];
	char leaf[ENGINE_LEAF_BYTES];
};

enum engine_verb {
	ENGINE_GET,	/* items: bytes [offset, offset + bytes) of each object, to `to` */
	ENGINE_PUT,	/* items: any order; ends when all are durable */
	ENGINE_PUT_NEW, /* one item (N2) */
	ENGINE_DELETE,	/* items; one that is not there is no error */
	ENGINE_LIST,	/* leaves of `list->dir` behind `list->after` */
	ENGINE_VERBS
};

struct engine_item {
	struct engine_name name;
	const uint8_t *data; /* PUT, PUT_NEW */
	uint8_t *to;	     /* GET */
	uint32_t bytes;	     /* PUT: of data. GET: wanted, as many as `to` holds */
	uint32_t offset;     /* GET */
	uint32_t got;	     /* GET: bytes that came, fewer than wanted only at the object's end */
	int result;	     /* of this item, when the operation has ended: 0, -ENOENT (GET), … */
};

/* `max` leaves at most; `more`: there are others behind the last. */
struct engine_list {
	char dir[ENGINE_DIR_BYTES];
	char after[ENGINE_LEAF_BYTES]; /* "": from the first */
	char (*leaf)[ENGINE_LEAF_BYTES];
	uint32_t max, count;
	bool more;
};

/*
 * What an operation ends in: 0; the first error of its items; or for all of it
 *	-ENOENT	      GET: there is no such object
 *	-EEXIST	      PUT_NEW: with other content (N2)
 *	-ETIMEDOUT    its time is over; a PUT may have been done or not
 *	-EACCES	      credentials or rights are wrong
 *	-ENOSPC	      the storage is full, or out of memory
 *	-E2BIG	      above value_max
 *	-ECANCELED    the engine was closed first; a PUT may have been done or not
 *	-EPROTO	      the answer breaks the protocol
 * Until its time is over all but -ENOENT, -EEXIST, -E2BIG and -ECANCELED are tried again.
 */
struct engine_op {
	enum engine_verb verb;
	uint32_t count;
	struct engine_item *items;
	struct engine_list *list;
	uint64_t until_us; /* CLOCK_MONOTONIC, or ENGINE_FOREVER */
	uint64_t tag;	   /* the caller's */
	int result;
	/* The service's and the driver's, while it is theirs. */
	struct {
		struct engine_channel *channel;
		struct engine_op *next;
		uint64_t try_until_us; /* this try's: the driver ends it with -ETIMEDOUT then */
		uint64_t again_us;
		uint32_t tries;
		uint32_t left; /* items that the driver still waits for */
		int first;     /* error of an item */
		void *driver;
		struct engine_op *parent;
	} own;
};

enum engine_flags {
	/* PUT_NEW refuses: needed to keep out a second node. Over S3 it is certain from the end of
	 * the first PUT_NEW on: until then it is set. */
	ENGINE_CONDITIONAL = 1 << 0,
	ENGINE_RANGES = 1 << 1,	   /* GET moves only the bytes that are wanted */
	ENGINE_MULTI_PUT = 1 << 2, /* the items of one PUT appear together */
};

struct engine_caps {
	const char *name; /* "redis", "s3", "dynamodb", "memory" */
	uint32_t flags;
	uint32_t value_max;  /* bytes of an object */
	uint32_t batch_max;  /* items of a PUT that go in one request */
	uint32_t delete_max; /* the same of a DELETE */
};

/* Numbers of one engine; the service thread writes them, anybody reads them, each whole. */
#define ENGINE_COUNTERS ABAFT_ENGINE_COUNTERS
struct engine_counters {
#define ENGINE_COUNTER(name, text) uint64_t name;
	ENGINE_COUNTERS(ENGINE_COUNTER)
#undef ENGINE_COUNTER
};

struct engine_health {
	uint64_t open; /* operations that have not ended */
	/* For so long no try to put, or none of all else, has succeeded, while some were made; 0:
	 * well. */
	uint64_t failing_us;
	int error;		    /* of the last try that failed */
	char why[ENGINE_WHY_BYTES]; /* the same as a sentence, without secrets */
};

struct engine_config {
	/*
	 * redis://HOST:PORT[/PREFIX]          one server, or any of a cluster's (found out)
	 * rediss://HOST:PORT[/PREFIX]         the same over TLS
	 * s3://BUCKET[/PREFIX]?endpoint=URL[&region=R]     path-style
	 * dynamodb://TABLE[/PREFIX]?endpoint=URL[&region=R]
	 * memory:[?OPTIONS]                   this process's memory, for tests and benchmarks
	 * No user, no password: those come from `credentials` or the environment.
	 */
	const char *url;
	const char *credentials; /* file (credentials.h), or NULL or "" */
	uint32_t try_ms;	 /* of one try; 0: 10000 */
	uint32_t connections;	 /* at most, to each server; 0: a good number */
	uint64_t seed;		 /* random: pauses between tries */
	uint64_t delete_rate;	 /* objects per second, at most; 0: no limit */
};

struct engine;
struct engine_channel;

/*
 * Starts the service thread. Does not wait for the storage: it may come later. 0, -EINVAL (url,
 * credentials), -EACCES (the file's mode), -ENOMEM; `why` gets a sentence (ENGINE_WHY_BYTES).
 */
int engine_open(struct engine **out, const struct engine_config *config, char *why)
	__attribute__((warn_unused_result));
/* What has not ended yet gets `grace_ms`, then it ends with -ECANCELED; ends the thread. Channels
 * may still be polled, and are closed before engine_destroy(). */
void engine_close(struct engine *engine, uint32_t grace_ms);
void engine_destroy(struct engine *engine);

/* Of the engine; `flags` may lose one (ENGINE_CONDITIONAL). */
const struct engine_caps *engine_caps(const struct engine *engine);
/* Any thread. */
void engine_counters(const struct engine *engine, struct engine_counters *out);
void engine_health(struct engine *engine, struct engine_health *out);

/* Any thread. 0, -EAGAIN (ENGINE_CHANNELS_MAX) or -ENOMEM. */
int engine_channel_open(struct engine *engine, struct engine_channel **out)
	__attribute__((warn_unused_result));
/* Nothing of it may be open. */
void engine_channel_close(struct engine_channel *channel);
/* 0, or -EAGAIN: ENGINE_CHANNEL_OPS are open. The channel's thread. */
int engine_begin(struct engine_channel *channel, struct engine_op *op)
	__attribute__((warn_unused_result));
/* Takes up to `max` operations that have ended. */
uint32_t engine_poll(struct engine_channel *channel, struct engine_op **ended, uint32_t max);
/* Polls readable when engine_poll() has something; the channel's for its life. */
int engine_sleep_fd(const struct engine_channel *channel);
/* Until engine_poll() has something, or `ms` are over: 0 or -ETIMEDOUT. */
int engine_wait(struct engine_channel *channel, uint32_t ms);
/* begin and wait; nothing else of the channel may be open. Returns op->result. */
int engine_call(struct engine_channel *channel, struct engine_op *op)
	__attribute__((warn_unused_result));

#endif
