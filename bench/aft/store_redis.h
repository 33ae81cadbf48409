/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store_redis.h - what the two kinds of store over Redis share: one connection, and its pipeline.
 * Everything returns 0 or an enum abaft_error, and says on stderr what was wrong.
 */
#ifndef ABAFT_BENCH_AFT_STORE_REDIS_H
#define ABAFT_BENCH_AFT_STORE_REDIS_H

#include <hiredis/hiredis.h>

#include "bench/aft/store.h"

__attribute__((warn_unused_result)) int redis_open(struct store *store);
void redis_close(struct store *store);
/* Puts a command into the pipeline. */
__attribute__((warn_unused_result)) int redis_ask(struct store *store, int count,
						  const char **words, const size_t *bytes);
__attribute__((warn_unused_result)) int redis_ask_op(struct store *store,
						     const struct store_op *op);
/* The next answer of the pipeline; the caller's to freeReplyObject(). */
__attribute__((warn_unused_result)) int redis_answer(struct store *store, redisReply **reply);
/* An answer to an operation. */
void redis_take(struct store *store, struct store_op *op, const redisReply *reply);

#endif
