/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ops.c - the operations a caller prepares, until they are submitted.
 *
 * I1. An operation gets its number (seq) when it is prepared and keeps it over all resends
 *     and parts. Numbers go up by one, so the operations of a packet are numbered without
 *     gaps.
 * I2. Keys and values are copied to txn->data and named by offset, because the buffer may
 *     move.
 * I3. Nothing is queued behind a COMMIT or ABORT of the same submit.
 */
#include <stdlib.h>
#include <string.h>

#include "client/txn.h"

/* Room for `more` bytes behind txn->data_bytes. */
static int data_reserve(struct abaft_txn *txn, size_t more)
{
	uint32_t max = txn->data_max ? txn->data_max : 512;
	uint8_t *data;

	if (more > TXN_DATA_MAX - txn->data_bytes)
		return ABAFT_TOO_LARGE;
	while (max - txn->data_bytes < more)
		max *= 2;
	if (max == txn->data_max)
		return ABAFT_OK;
	data = realloc(txn->data, max);
	if (!data)
		return ABAFT_NO_MEMORY;
	txn->data = data;
	txn->data_max = max;
	return ABAFT_OK;
}

static int ops_reserve(struct abaft_txn *txn)
{
	uint32_t max = txn->ops_max ? 2 * txn->ops_max : 8;
	struct txn_op *ops;

	if (txn->ops_count < txn->ops_max)
		return ABAFT_OK;
	if (txn->ops_count == TXN_OPS_MAX)
		return ABAFT_TOO_LARGE;
	ops = realloc(txn->ops, max * sizeof(*ops));
	if (!ops)
		return ABAFT_NO_MEMORY;
	txn->ops = ops;
	txn->ops_max = max;
	return ABAFT_OK;
}

static uint32_t data_copy(struct abaft_txn *txn, const void *bytes, size_t len)
{
	uint32_t at = txn->data_bytes;

	if (bytes && len)
		memcpy(txn->data + at, bytes, len);
	txn->data_bytes += (uint32_t)len;
	return at;
}

static bool has_key(uint8_t code)
{
	return code == ABAFT_OP_GET || code == ABAFT_OP_PUT || code == ABAFT_OP_DELETE;
}

bool txn_op_fits(const struct txn_shared *shared, const struct txn_op *op)
{
	size_t bytes = sizeof(struct abaft_wire_header) + sizeof(struct abaft_wire_op) +
		       op->key_bytes + op->value_bytes;

	return bytes <= shared->packet_bytes;
}

/* A PUT in parts needs room for one granule, the others for all they are. */
static bool op_sendable(const struct txn_shared *shared, const struct txn_op *op)
{
	struct txn_op least = *op;

	if (least.value_bytes > ABAFT_PART_BYTES)
		least.value_bytes = ABAFT_PART_BYTES;
	return txn_op_fits(shared, &least);
}

static int prep(struct abaft_txn *txn, const struct txn_op *op, const void *key, const void *value)
{
	struct txn_op *new;
	int err;

	if (!txn || txn->state == TXN_FREE || txn->state == TXN_ENDING)
		return ABAFT_INVALID;
	if (txn->state != TXN_IDLE)
		return ABAFT_BUSY;
	if (txn->closed || txn->seq == UINT32_MAX)
		return ABAFT_INVALID;
	if (has_key(op->code) && (!key || !op->key_bytes))
		return ABAFT_INVALID;
	if (!op_sendable(txn->shared, op))
		return ABAFT_TOO_LARGE;
	err = ops_reserve(txn);
	if (!err)
		err = data_reserve(txn, (size_t)op->key_bytes + op->value_bytes);
	if (err)
		return err;
	new = &txn->ops[txn->ops_count++];
	*new = *op;
	new->seq = txn->seq++;
	new->key_at = data_copy(txn, key, op->key_bytes);
	new->value_at = data_copy(txn, value, op->value_bytes);
	new->parts = !txn_op_fits(txn->shared, new);
	new->answer.status = ABAFT_SKIPPED;
	txn->closed = op->code == ABAFT_OP_COMMIT || op->code == ABAFT_OP_ABORT;
	return ABAFT_OK;
}

int abaft_prep_get(struct abaft_txn *txn, const void *key, size_t key_bytes, void *buf,
		   size_t buf_bytes, struct abaft_result *result)
{
	struct txn_op op = {.code = ABAFT_OP_GET, .buf = buf, .result = result};

	if (!buf && buf_bytes)
		return ABAFT_INVALID;
	if (key_bytes > ABAFT_KEY_BYTES_MAX)
		return ABAFT_TOO_LARGE;
	op.key_bytes = (uint16_t)key_bytes;
	op.buf_bytes =
		buf_bytes > ABAFT_VALUE_BYTES_MAX ? ABAFT_VALUE_BYTES_MAX : (uint32_t)buf_bytes;
	return prep(txn, &op, key, NULL);
}

int abaft_prep_put(struct abaft_txn *txn, const void *key, size_t key_bytes, const void *value,
		   size_t value_bytes, struct abaft_result *result)
{
	struct txn_op op = {.code = ABAFT_OP_PUT, .result = result};

	if (!value && value_bytes)
		return ABAFT_INVALID;
	if (key_bytes > ABAFT_KEY_BYTES_MAX || value_bytes > ABAFT_VALUE_BYTES_MAX)
		return ABAFT_TOO_LARGE;
	op.key_bytes = (uint16_t)key_bytes;
	op.value_bytes = (uint32_t)value_bytes;
	return prep(txn, &op, key, value);
}

int abaft_prep_delete(struct abaft_txn *txn, const void *key, size_t key_bytes,
		      struct abaft_result *result)
{
	struct txn_op op = {.code = ABAFT_OP_DELETE, .result = result};

	if (key_bytes > ABAFT_KEY_BYTES_MAX)
		return ABAFT_TOO_LARGE;
	op.key_bytes = (uint16_t)key_bytes;
	return prep(txn, &op, key, NULL);
}

int abaft_prep_commit(struct abaft_txn *txn, struct abaft_result *result)
{
	struct txn_op op = {.code = ABAFT_OP_COMMIT, .result = result};

	return prep(txn, &op, NULL, NULL);
}

int abaft_prep_abort(struct abaft_txn *txn, struct abaft_result *result)
{
	struct txn_op op = {.code = ABAFT_OP_ABORT, .result = result};

	return prep(txn, &op, NULL, NULL);
}

int txn_prep_status(struct abaft_txn *txn, struct abaft_result *result)
{
	struct txn_op op = {.code = ABAFT_OP_STATUS, .result = result};

	return prep(txn, &op, NULL, NULL);
}

int txn_prep_info(struct abaft_txn *txn, uint32_t offset, void *buf, size_t buf_bytes,
		  struct abaft_result *result)
{
	struct txn_op op = {.code = ABAFT_OP_INFO, .buf = buf, .result = result};

	op.offset = offset;
	op.buf_bytes = (uint32_t)buf_bytes;
	return prep(txn, &op, NULL, NULL);
}
