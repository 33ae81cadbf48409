/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store_abaft.c - a function's part of a transaction of abaft, as a user of libabaft writes it.
 */
#include <stdio.h>
#include <stdlib.h>

#include "bench/aft/store.h"

struct abaft_state {
	struct abaft *client;
	struct abaft_txn *txn;
	struct abaft_result committed, result[INVOCATION_OPS_MAX];
	bool commit_sent;
};

static int open_abaft(struct store *store)
{
	struct abaft_config config = {.address = store->config.address,
				      .port = store->config.port,
				      .timeout_ms = store->config.timeout_ms};
	struct abaft_state *state = calloc(1, sizeof(*state));
	int err;

	if (!state)
		return ABAFT_NO_MEMORY;
	err = abaft_open(&state->client, &config);
	if (err) {
		free(state);
		return err;
	}
	store->own = state;
	return ABAFT_OK;
}

static void forget(struct store *store)
{
	struct abaft_state *state = store->own;

	if (state->txn)
		abaft_end(state->txn);
	state->txn = NULL;
}

static void close_abaft(struct store *store)
{
	struct abaft_state *state = store->own;

	forget(store);
	abaft_close(state->client);
	free(state);
}

static int begin(struct store *store, struct invocation_message *message)
{
	struct abaft_state *state = store->own;
	struct abaft_begin how = {.id = &message->head.id,
				  .context = message->head.step ? message->head.context : NULL,
				  .step = message->head.step,
				  .attempt = message->head.attempt};

	state->committed = (struct abaft_result){.status = ABAFT_CANCELLED};
	state->commit_sent = false;
	return abaft_begin(state->client, &how, &state->txn);
}

static int prepare(struct abaft_state *state, struct store_op *op, struct abaft_result *result)
{
	if (op->write)
		return abaft_prep_put(state->txn, op->key, op->key_bytes, op->value,
				      op->value_bytes, result);
	return abaft_prep_get(state->txn, op->key, op->key_bytes, op->value, op->value_bytes,
			      result);
}

static int submit(struct store *store)
{
	struct abaft_state *state = store->own;

	store->counts.trips++;
	store->counts.requests++;
	return abaft_run(state->txn);
}

static int prepare_commit(struct abaft_state *state)
{
	int err = abaft_prep_commit(state->txn, &state->committed);

	state->commit_sent = !err;
	return err;
}

static int run(struct store *store, struct store_op *op, uint32_t count)
{
	struct abaft_state *state = store->own;
	int err = ABAFT_OK;

	for (uint32_t i = 0; i < count && !err; i++)
		err = prepare(state, &op[i], &state->result[i]);
	if (!err && store->config.batched && store_is_last(store))
		err = prepare_commit(state);
	if (!err)
		err = submit(store);
	for (uint32_t i = 0; i < count && !err; i++) {
		op[i].found = state->result[i].status == ABAFT_OK;
		op[i].version = state->result[i].version;
		if (!op[i].write)
			op[i].value_bytes = state->result[i].len;
	}
	return err;
}

static int end(struct store *store, struct store_end *end)
{
	struct abaft_state *state = store->own;
	int err = ABAFT_OK;

	if (!store_is_last(store))
		return abaft_export(state->txn, store->message->head.context);
	if (!state->commit_sent) {
		err = prepare_commit(state);
		if (!err)
			err = submit(store);
	}
	end->commit_sent = state->commit_sent;
	end->repeat = state->committed.repeat;
	end->version = state->committed.version;
	return err;
}

const struct store_ops store_abaft = {
	.open = open_abaft,
	.close = close_abaft,
	.begin = begin,
	.run = run,
	.end = end,
	.forget = forget,
};
