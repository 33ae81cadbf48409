/* SPDX-License-Identifier: Apache-2.0 */
/*
 * batch.h - operations that a person wrote, run together on one transaction, and their answers.
 *
 * get, put, del, txn and the shell all fill a batch, run it, and print it.
 */
#ifndef ABAFT_TOOLS_COMMAND_BATCH_H
#define ABAFT_TOOLS_COMMAND_BATCH_H

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>

#include <abaft/abaft.h>

#include "tools/command/value.h"

/* As many as a transaction may have, and its end. */
#define BATCH_OPS_MAX (ABAFT_TXN_READS_MAX + ABAFT_TXN_WRITES_MAX + 1)

enum batch_verb { BATCH_GET, BATCH_PUT, BATCH_DEL, BATCH_COMMIT, BATCH_ABORT };

struct batch_op {
	enum batch_verb verb;
	struct value key;
	struct value value;	    /* PUT: to write; GET: room for the answer */
	struct abaft_result result; /* filled by batch_run() */
};

struct batch {
	struct batch_op *ops;
	unsigned int count;
};

/* Adds an operation; takes `key` and `value` over (NULL: none) even when it fails, which it does,
 * with a complaint on stderr, when a limit is reached. */
bool batch_add(struct batch *batch, enum batch_verb verb, struct value *key, struct value *value);
void batch_free(struct batch *batch);
/* The COMMIT or ABORT in the batch, or NULL. */
const struct batch_op *batch_end_op(const struct batch *batch);

/* Prepares all of it on `txn`, sends it, waits. Returns an enum abaft_error. */
ABAFT_MUST_CHECK int batch_run(struct batch *batch, struct abaft_txn *txn);

/* Prints what the GETs found: the bare value of a single one, `KEY<tab>VALUE` lines of several.
 * Returns how many found nothing; those are named on stderr. */
unsigned int batch_print(const struct batch *batch, bool raw);
/* The same as a JSON array. */
cJSON *batch_json(const struct batch *batch, unsigned int *missing);

#endif
