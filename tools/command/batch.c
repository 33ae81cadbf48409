/* SPDX-License-Identifier: Apache-2.0 */
/*
 * batch.c - operations that a person wrote, run together on one transaction, and their answers.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/command/batch.h"

static bool batch_refuses(const struct batch *batch, enum batch_verb verb, const struct value *key)
{
	if (batch->count >= BATCH_OPS_MAX) {
		fprintf(stderr, "abaft: more than %d operations in one transaction; split it\n",
			BATCH_OPS_MAX);
		return true;
	}
	if (verb == BATCH_COMMIT || verb == BATCH_ABORT)
		return false;
	if (key->bytes && key->bytes <= ABAFT_KEY_BYTES_MAX)
		return false;
	fprintf(stderr, "abaft: a key of %zu bytes; keys have 1 to %d\n", key->bytes,
		ABAFT_KEY_BYTES_MAX);
	return true;
}

bool batch_add(struct batch *batch, enum batch_verb verb, struct value *key, struct value *value)
{
	struct batch_op op = {.verb = verb};

	if (key)
		op.key = *key;
	if (value)
		op.value = *value;
	if (batch_refuses(batch, verb, &op.key))
		goto refused;
	if (!batch->ops)
		batch->ops = calloc(BATCH_OPS_MAX, sizeof(*batch->ops));
	if (!batch->ops) {
		fputs("abaft: out of memory\n", stderr);
		goto refused;
	}
	batch->ops[batch->count++] = op;
	return true;
refused:
	value_free(&op.key);
	value_free(&op.value);
	return false;
}

void batch_free(struct batch *batch)
{
	for (unsigned int i = 0; i < batch->count; i++) {
		value_free(&batch->ops[i].key);
		value_free(&batch->ops[i].value);
	}
	free(batch->ops);
	*batch = (struct batch){0};
}

const struct batch_op *batch_end_op(const struct batch *batch)
{
	for (unsigned int i = 0; i < batch->count; i++)
		if (batch->ops[i].verb == BATCH_COMMIT || batch->ops[i].verb == BATCH_ABORT)
			return &batch->ops[i];
	return NULL;
}

static int batch_prepare(struct batch_op *op, struct abaft_txn *txn)
{
	/* Until it is answered: then a failed batch shows which operations did not run. */
	op->result = (struct abaft_result){.status = ABAFT_SKIPPED};
	switch (op->verb) {
	case BATCH_GET:
		/* The largest value's room; the kernel gives pages only for what arrives. */
		if (!op->value.data)
			op->value.data = malloc(ABAFT_VALUE_BYTES_MAX);
		if (!op->value.data)
			return ABAFT_NO_MEMORY;
		return abaft_prep_get(txn, op->key.data, op->key.bytes, op->value.data,
				      ABAFT_VALUE_BYTES_MAX, &op->result);
	case BATCH_PUT:
		return abaft_prep_put(txn, op->key.data, op->key.bytes, op->value.data,
				      op->value.bytes, &op->result);
	case BATCH_DEL:
		return abaft_prep_delete(txn, op->key.data, op->key.bytes, &op->result);
	case BATCH_COMMIT:
		return abaft_prep_commit(txn, &op->result);
	case BATCH_ABORT:
		return abaft_prep_abort(txn, &op->result);
	}
	return ABAFT_INVALID;
}

int batch_run(struct batch *batch, struct abaft_txn *txn)
{
	for (unsigned int i = 0; i < batch->count; i++) {
		int err = batch_prepare(&batch->ops[i], txn);

		if (err)
			return err;
	}
	return batch->count ? abaft_run(txn) : ABAFT_OK;
}

unsigned int batch_print(const struct batch *batch, bool raw)
{
	unsigned int gets = 0, missing = 0;

	for (unsigned int i = 0; i < batch->count; i++)
		gets += batch->ops[i].verb == BATCH_GET;
	for (unsigned int i = 0; i < batch->count; i++) {
		const struct batch_op *op = &batch->ops[i];

		if (op->verb != BATCH_GET)
			continue;
		if (op->result.status != ABAFT_OK) {
			fprintf(stderr, "abaft: get '%s': %s\n", op->key.data,
				abaft_strerror(op->result.status));
			missing++;
			continue;
		}
		if (gets > 1 && !raw) {
			fwrite(op->key.data, 1, op->key.bytes, stdout);
			putchar('\t');
		}
		fwrite(op->value.data, 1, op->result.len, stdout);
		if (!raw)
			putchar('\n');
	}
	return missing;
}

cJSON *batch_json(const struct batch *batch, unsigned int *missing)
{
	cJSON *reads = cJSON_CreateArray();

	*missing = 0;
	for (unsigned int i = 0; i < batch->count; i++) {
		const struct batch_op *op = &batch->ops[i];
		char version[VALUE_VERSION_BYTES];
		cJSON *read;

		if (op->verb != BATCH_GET)
			continue;
		read = cJSON_CreateObject();
		value_json(read, "key", op->key.data, op->key.bytes);
		cJSON_AddStringToObject(read, "status", abaft_error_name(op->result.status));
		if (op->result.status == ABAFT_OK) {
			value_json(read, "value", op->value.data, op->result.len);
			value_version(&op->result.version, version);
			cJSON_AddStringToObject(read, "version", version);
			cJSON_AddBoolToObject(read, "own", op->result.own);
		} else {
			++*missing;
		}
		cJSON_AddItemToArray(reads, read);
	}
	return reads;
}
