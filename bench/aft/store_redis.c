/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store_redis.c - Redis as it is: GET and SET, key by key; with `batched` in one pipeline.
 */
#include "bench/aft/store_redis.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>

int redis_open(struct store *store)
{
	struct timeval patience = {.tv_sec = store->config.timeout_ms / 1000,
				   .tv_usec = store->config.timeout_ms % 1000 * 1000};
	redisContext *redis =
		redisConnectWithTimeout(store->config.address, store->config.port, patience);

	if (!redis || redis->err) {
		fprintf(stderr, "redis at %s:%u: %s\n", store->config.address, store->config.port,
			redis ? redis->errstr : "no memory");
		if (redis)
			redisFree(redis);
		return ABAFT_NETWORK;
	}
	(void)redisSetTimeout(redis, patience);
	store->own = redis;
	return ABAFT_OK;
}

void redis_close(struct store *store)
{
	redisFree(store->own);
}

int redis_ask(struct store *store, int count, const char **words, const size_t *bytes)
{
	store->counts.requests++;
	if (redisAppendCommandArgv(store->own, count, words, bytes) != REDIS_OK)
		return ABAFT_NO_MEMORY;
	return ABAFT_OK;
}

int redis_answer(struct store *store, redisReply **reply)
{
	redisContext *redis = store->own;
	void *got = NULL;

	if (redisGetReply(redis, &got) != REDIS_OK) {
		fprintf(stderr, "redis: %s\n", redis->errstr);
		return ABAFT_NETWORK;
	}
	*reply = got;
	if ((*reply)->type != REDIS_REPLY_ERROR)
		return ABAFT_OK;
	fprintf(stderr, "redis: %s\n", (*reply)->str);
	freeReplyObject(*reply);
	*reply = NULL;
	return ABAFT_PROTOCOL;
}

int redis_ask_op(struct store *store, const struct store_op *op)
{
	const char *words[3] = {op->write ? "SET" : "GET", op->key, op->value};
	size_t bytes[3] = {3, op->key_bytes, op->value_bytes};

	if (op->write)
		store->counts.bytes_written += op->key_bytes + op->value_bytes;
	return redis_ask(store, op->write ? 3 : 2, words, bytes);
}

void redis_take(struct store *store, struct store_op *op, const redisReply *reply)
{
	if (op->write)
		return;
	op->found = reply->type == REDIS_REPLY_STRING;
	if (!op->found)
		return;
	if ((size_t)reply->len < op->value_bytes)
		op->value_bytes = (size_t)reply->len;
	memcpy(op->value, reply->str, op->value_bytes);
	store->counts.bytes_read += op->value_bytes;
}

static int begin(struct store *store, struct invocation_message *message)
{
	(void)message;
	return ABAFT_OK;
}

static int run(struct store *store, struct store_op *op, uint32_t count)
{
	redisReply *reply;
	int err = ABAFT_OK;

	store->counts.trips++;
	for (uint32_t i = 0; i < count && !err; i++)
		err = redis_ask_op(store, &op[i]);
	for (uint32_t i = 0; i < count && !err; i++) {
		err = redis_answer(store, &reply);
		if (err)
			break;
		redis_take(store, &op[i], reply);
		freeReplyObject(reply);
	}
	return err;
}

/* What was written is there already. */
static int end(struct store *store, struct store_end *end)
{
	end->commit_sent = store_is_last(store);
	return ABAFT_OK;
}

/* After an error answers may still be under way: none of them belongs to what comes next. */
static void forget(struct store *store)
{
	redisContext *redis = store->own;

	if (redis->err && redisReconnect(redis) != REDIS_OK)
		fprintf(stderr, "redis: no new connection: %s\n", redis->errstr);
}

const struct store_ops store_redis = {
	.open = redis_open,
	.close = redis_close,
	.begin = begin,
	.run = run,
	.end = end,
	.forget = forget,
};
