/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store.h - what a function reads from and writes to: abaft, or a store as it is.
 *
 * Kinds, by the name that --store takes:
 *	abaft		 a node, whatever engine it has
 *	redis		 GET and SET, key by key
 *	redis-multi	 each function's reads in one MULTI; all writes in one MULTI of the last
 *function redis-validated	 the same, but the last one's writes only if all that was read is
 *still so (a script): serializable, at the price of running again s3, dynamodb	 objects and items,
 *key by key
 *
 * Of the middle two, writes are carried from function to function until the last. What a
 * transaction reads of them comes from there and not from the store, so it is not told to the
 * history; such operations have `buffered` set.
 *
 * A store is one process's; nothing here is for several threads.
 */
#ifndef ABAFT_BENCH_AFT_STORE_H
#define ABAFT_BENCH_AFT_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <abaft/abaft.h>

#include "bench/aft/invocation.h"

struct store_op {
	bool write, found, buffered;
	uint32_t rank;
	char key[INVOCATION_KEY_BYTES];
	size_t key_bytes;
	char *value;	    /* a write's; room for a read's */
	size_t value_bytes; /* a write's; a read's when it was found */
	struct tag_number number;
	uint64_t time_us;	      /* when it was asked for */
	struct abaft_version version; /* of what was read */
};

/* How a function's part ended. */
struct store_end {
	bool commit_sent, repeat;
	struct abaft_version version;
	/* Writes that were carried here and made only now. */
	struct store_op *late;
	uint32_t late_count;
};

struct store_config {
	const char *kind;
	const char *address; /* abaft, redis: of 127.0.0.1 or another host */
	uint16_t port;
	const char *endpoint;	/* s3, dynamodb: http://HOST:PORT */
	const char *bucket;	/* or table */
	const char *access_key; /* of the environment: AWS_ACCESS_KEY_ID and so on */
	const char *secret_key;
	uint32_t timeout_ms;
	bool batched; /* what a function does goes in one go, as far as the store can */
};

struct store;

struct store_ops {
	int (*open)(struct store *store);
	void (*close)(struct store *store);
	/* A function begins its part of a transaction. */
	int (*begin)(struct store *store, struct invocation_message *message);
	/* Runs some of its operations: one, or with `batched` all. */
	int (*run)(struct store *store, struct store_op *op, uint32_t count);
	/* Ends its part: hands the transaction on, or commits it if it is the last. */
	int (*end)(struct store *store, struct store_end *end);
	/* After a failure, or the end: forgets the transaction, so that the next one can begin. */
	void (*forget)(struct store *store);
};

struct store {
	const struct store_ops *ops;
	struct store_config config;
	struct invocation_message *message; /* of the function that runs */
	struct reply counts;		    /* of it: trips, requests, bytes */
	void *own;			    /* the kind's */
};

/* All return 0 or an enum abaft_error; NETWORK and TIMEOUT are worth trying again. A message about
 * what went wrong goes to stderr, once for each call. */
__attribute__((warn_unused_result)) int store_open(struct store *store,
						   const struct store_config *config);
void store_close(struct store *store);

/* Is this the last function of its chain? */
static inline bool store_is_last(const struct store *store)
{
	return store->message->head.step + 1 == store->message->head.steps;
}

uint64_t store_now_us(void); /* since 1970 */

extern const struct store_ops store_abaft, store_redis, store_redis_multi, store_s3, store_dynamodb;

#endif
