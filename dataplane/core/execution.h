/* SPDX-License-Identifier: Apache-2.0 */
/* execution.h - one request on its way through: what execute.c and cold.c share. */
#ifndef ABAFT_CORE_EXECUTION_H
#define ABAFT_CORE_EXECUTION_H

#include "dataplane/core/node_impl.h"

/* A GET's value is on disk. Never on the wire. */
#define EXECUTION_MISSING UINT16_MAX

struct execution {
	struct node *node;
	struct request *request;
	struct answer *answer;
	struct txn *txn;
	void *token;
	bool waiting; /* its commit or abort went to the log */
	bool parked;  /* it waits for values */
	bool checked; /* no GET from here on will miss its value: it stands in `value` */
	/* What of these is counted, unless it is executed once more. */
	uint32_t gets, get_parts, cache_hits;
	const uint8_t *value[ABAFT_OPS_MAX];
};

static inline bool op_reads(const struct op *op)
{
	return op->code == ABAFT_OP_GET || op->code == ABAFT_OP_GET_PART;
}

/* execute.c: the version that this transaction reads of the key: what it read before, or the newest
 * it may. */
uint16_t execution_choose(struct execution *x, const struct op *op, struct key_id id,
			  const struct version **out);
/* The transaction's own write that operation i reads, or NULL. */
struct write *execution_own(struct execution *x, const struct op *op, struct key_id id, uint32_t i);
/* Bytes that the operation returns of a value of `total` bytes, with `room` in the answer. */
uint32_t execution_bytes(const struct op *op, uint32_t total, uint32_t room);

/* cold.c: all values that GETs return from operation `first` on are in memory, or known to be lost.
 * Then `checked` is set, and they can be executed. */
bool cold_check(struct execution *x, uint32_t first);
/* The value of operation i, which is not with its version: OK, READ_FAILED, CORRUPT, BUSY, or
 * EXECUTION_MISSING. */
uint16_t cold_value(struct execution *x, const struct op *op, uint32_t i, const struct version *v,
		    const uint8_t **value);
/* Parks the request until what it misses is here; or refuses it: BUSY. No write was executed. */
void cold_park(struct execution *x);

#endif
