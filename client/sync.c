/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sync.c - one operation at a time: prepare, submit, wait; and the questions about ids and nodes.
 *
 * I1. Operations that the caller prepared and did not submit refuse these calls: they would go
 * along unseen. I2. abaft_status() and abaft_info() use the client's own transaction, so they work
 * when all others are taken, and create nothing in the node.
 */
#include <string.h>

#include "client/client.h"

/* May one operation be prepared and run alone? */
static int alone(const struct abaft_txn *txn)
{
	if (!txn || txn->state == TXN_FREE || txn->state == TXN_ENDING || txn->ops_count)
		return ABAFT_INVALID;
	if (txn->state != TXN_IDLE)
		return ABAFT_BUSY;
	/* Out of a callback nothing can be waited for. */
	return client_of(txn)->driving ? ABAFT_INVALID : ABAFT_OK;
}

int abaft_get(struct abaft_txn *txn, const void *key, size_t key_bytes, void *buf, size_t buf_bytes,
	      size_t *value_bytes)
{
	struct abaft_result result = {0};
	int err = alone(txn);

	if (!err)
		err = abaft_prep_get(txn, key, key_bytes, buf, buf_bytes, &result);
	if (!err)
		err = abaft_run(txn);
	if (value_bytes)
		*value_bytes = err ? 0 : result.total;
	return err ? err : result.status;
}

int abaft_put(struct abaft_txn *txn, const void *key, size_t key_bytes, const void *value,
	      size_t value_bytes)
{
	int err = alone(txn);

	if (!err)
		err = abaft_prep_put(txn, key, key_bytes, value, value_bytes, NULL);
	return err ? err : abaft_run(txn);
}

int abaft_delete(struct abaft_txn *txn, const void *key, size_t key_bytes)
{
	int err = alone(txn);

	if (!err)
		err = abaft_prep_delete(txn, key, key_bytes, NULL);
	return err ? err : abaft_run(txn);
}

int abaft_commit(struct abaft_txn *txn)
{
	int err = alone(txn);

	if (!err)
		err = abaft_prep_commit(txn, NULL);
	return err ? err : abaft_run(txn);
}

int abaft_abort(struct abaft_txn *txn)
{
	int err = alone(txn);

	if (!err)
		err = abaft_prep_abort(txn, NULL);
	return err ? err : abaft_run(txn);
}

int abaft_status(struct abaft *client, const struct abaft_id *id, enum abaft_outcome *outcome,
		 struct abaft_version *version)
{
	struct abaft_result result = {0};
	struct abaft_txn *txn;
	int err;

	if (!client || !id || !outcome)
		return ABAFT_INVALID;
	err = client_begin_own(client, id, &txn);
	if (err)
		return err;
	err = txn_prep_status(txn, &result);
	if (!err)
		err = abaft_run(txn);
	abaft_end(txn);
	*outcome = ABAFT_OUTCOME_UNKNOWN;
	if (err && err != ABAFT_UNKNOWN_TXN)
		return err;
	if (version)
		*version = result.version;
	switch (err ? err : result.status) {
	case ABAFT_OK:
	case ABAFT_IN_PROGRESS:
		*outcome = ABAFT_OUTCOME_OPEN;
		return ABAFT_OK;
	case ABAFT_COMMITTED:
		*outcome = ABAFT_OUTCOME_COMMITTED;
		return ABAFT_OK;
	case ABAFT_ABORTED:
		*outcome = ABAFT_OUTCOME_ABORTED;
		return ABAFT_OK;
	case ABAFT_UNKNOWN_TXN:
		return ABAFT_OK;
	default:
		return result.status;
	}
}

/* One piece of the text of the worker that owns the id. */
static int info_piece(struct abaft *client, const struct abaft_id *id, uint32_t offset, char *text,
		      size_t room, struct abaft_result *result)
{
	uint32_t most = client->shared.packet_bytes - (uint32_t)sizeof(struct abaft_wire_header) -
			(uint32_t)sizeof(struct abaft_wire_result);
	struct abaft_txn *txn;
	int err = client_begin_own(client, id, &txn);

	if (err)
		return err;
	most = most / ABAFT_PART_BYTES * ABAFT_PART_BYTES;
	err = txn_prep_info(txn, offset, text, room < most ? room : most, result);
	if (!err)
		err = abaft_run(txn);
	abaft_end(txn);
	return err;
}

/* Makes worker `worker` of `workers` the owner of the id. */
static void id_for_worker(struct abaft_id *id, uint32_t worker, uint32_t workers)
{
	uint32_t hash = (uint32_t)((((uint64_t)worker << 32) + workers - 1) / workers);

	for (int i = 0; i < 4; i++)
		id->bytes[12 + i] = (uint8_t)(hash >> (24 - 8 * i));
}

static int info_text(struct abaft *client, const struct abaft_id *id, char *text, size_t room)
{
	struct abaft_result result = {0};
	uint32_t len = 0;

	do {
		int err = info_piece(client, id, len, text + len, room - 1 - len, &result);

		if (err)
			return err;
		len += result.len;
		text[len] = '\0';
		/* A piece that ends on no granule is the last: of the text, or of the room. */
	} while (len < result.total && len < room - 1 && result.len && len % ABAFT_PART_BYTES == 0);
	return len < result.total ? ABAFT_TOO_LARGE : ABAFT_OK;
}

int abaft_info(struct abaft *client, uint32_t worker, char *text, size_t text_bytes,
	       uint32_t *workers)
{
	struct abaft_result result = {0};
	struct abaft_id id;
	char first[ABAFT_PART_BYTES];
	int err;

	if (!client || !text || !text_bytes)
		return ABAFT_INVALID;
	text[0] = '\0';
	abaft_id_new(&id);
	/* Any answer tells the number of workers, as it is now. */
	err = info_piece(client, &id, 0, first, sizeof(first), &result);
	if (err)
		return err;
	if (workers)
		*workers = client->shared.workers;
	if (worker >= client->shared.workers)
		return ABAFT_INVALID;
	id_for_worker(&id, worker, client->shared.workers);
	return info_text(client, &id, text, text_bytes);
}
