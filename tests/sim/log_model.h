/* SPDX-License-Identifier: Apache-2.0 */
/*
 * log_model.h - what log_sim knows of its node: each transaction, what became of it, and so what a
 * key may and must be.
 *
 * M1. A transaction is there after a restart if and only if its record is at or before the end that
 *     recovery found of its log. With a disk that keeps its word, all that were acknowledged are.
 * M2. The value of a key is that of the highest version among those that are there; nothing else is
 *     ever read of it, and no transaction in part.
 */
#ifndef ABAFT_TESTS_LOG_MODEL_H
#define ABAFT_TESTS_LOG_MODEL_H

#include <stdbool.h>
#include <stdint.h>

#include "dataplane/core/hlc.h"
#include "tests/lib/core_packet.h"

#define MODEL_KEYS_MAX	  512
#define MODEL_TXNS_MAX	  8192
#define MODEL_WRITES_MAX  3
#define MODEL_VALUE_BYTES 8192
#define MODEL_NONE	  UINT32_MAX /* no write of the key */

enum model_fate {
	MODEL_REFUSED, /* never took effect */
	MODEL_FLIGHT,  /* its answer waits for the log */
	MODEL_UNKNOWN, /* the log failed, or the node ended, before its answer came */
	MODEL_THERE,
	MODEL_GONE, /* not in its log: a crash took it before it was acknowledged */
	MODEL_LOST, /* acknowledged, and taken by a disk that lies, where nobody can see it */
};

struct model_txn {
	uint8_t id[16];
	struct vnum number;
	uint64_t record; /* its sequence in its worker's log */
	uint32_t worker;
	uint8_t fate, count;
	uint16_t attempt;
	uint32_t slot; /* while it is in flight */
	struct {
		uint32_t key;
		uint32_t before; /* the write of the key that was sent before it */
		bool deletes;
	} write[MODEL_WRITES_MAX];
};

/* A write is named by its transaction's number times MODEL_WRITES_MAX, plus its own. */
struct log_model {
	uint64_t seed;
	uint32_t keys, txns, value_bytes_max;
	bool big; /* some keys' values are of several packets */
	uint32_t last[MODEL_KEYS_MAX];
	struct model_txn txn[MODEL_TXNS_MAX];
};

void model_begin(struct log_model *model, uint64_t seed, uint32_t keys);
/* Some writes of it are still to be added. NULL: there are too many. */
struct model_txn *model_add(struct log_model *model, uint32_t worker);
/* False if the transaction writes it already, or enough. */
bool model_write(struct log_model *model, struct model_txn *txn, uint32_t key, bool deletes);

/* The key's values take several packets. */
bool model_is_big(const struct log_model *model, uint32_t key);
/* The value of a write; MODEL_VALUE_BYTES of room. Returns its bytes. */
uint32_t model_value(const struct log_model *model, uint32_t write, uint8_t *to);
uint16_t model_key(char text[24], uint32_t key);

/* The newest write of a key that is there, or MODEL_NONE (M2). */
uint32_t model_newest(const struct log_model *model, uint32_t key);
/* The write of that version, if that is there, or MODEL_NONE. */
uint32_t model_find(const struct log_model *model, uint32_t key, struct vnum number);

/*
 * What is wrong with a result of a GET or GET_PART (OK or NOT_FOUND), NULL: nothing. `floor` was
 * the newest write when the request came. *write becomes the write that was read, MODEL_NONE: none.
 */
const char *model_check(const struct log_model *model, uint32_t key, uint32_t floor,
			const struct reply_result *result, uint32_t *write);
/* What is wrong with two keys that one transaction read (P1), NULL: nothing. */
const char *model_check_pair(const struct log_model *model, uint32_t key, uint32_t write,
			     uint32_t other_key, uint32_t other_write);

static inline const struct model_txn *model_txn_of(const struct log_model *model, uint32_t write)
{
	return &model->txn[write / MODEL_WRITES_MAX];
}

static inline bool model_deletes(const struct log_model *model, uint32_t write)
{
	return write == MODEL_NONE ||
	       model_txn_of(model, write)->write[write % MODEL_WRITES_MAX].deletes;
}

#endif
