/* SPDX-License-Identifier: Apache-2.0 */
/*
 * context.c - how a transaction begins, and how one function hands it to the next.
 *
 * The text is "abaft1.ID.INSTANCE.STEP": the id, the node's instance of the transaction in 16 hex
 * digits, and the step of the function that made it.
 *
 * I1. Who joins by context is bound to that instance: if the node has lost it, the joiner gets
 *     UNKNOWN_TXN and never goes on with half of a transaction.
 * I2. A joiner that names no step gets the one after the exporter's: two functions that used one
 *     step's numbers would hide each other's writes.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/txn.h"

#define CONTEXT_PREFIX "abaft1."

int abaft_export(const struct abaft_txn *txn, char context[ABAFT_CONTEXT_BYTES])
{
	char id[ABAFT_ID_TEXT_BYTES];

	if (!txn || !context || !txn->instance)
		return ABAFT_INVALID;
	abaft_id_text(&txn->id, id);
	snprintf(context, ABAFT_CONTEXT_BYTES, CONTEXT_PREFIX "%s.%016llx.%u", id,
		 (unsigned long long)txn->instance, txn->step);
	return ABAFT_OK;
}

static int number(const char **text, int base, char end, unsigned long long *value)
{
	char *stop;

	/* strtoull() alone would also take blanks and signs. */
	if (!strchr("0123456789abcdef", **text) || !**text)
		return ABAFT_INVALID;
	errno = 0;
	*value = strtoull(*text, &stop, base);
	if (errno || *stop != end)
		return ABAFT_INVALID;
	*text = stop + 1;
	return ABAFT_OK;
}

static int context_parse(const char *text, struct abaft_id *id, uint64_t *instance, uint16_t *step)
{
	const size_t prefix = sizeof(CONTEXT_PREFIX) - 1, id_len = ABAFT_ID_TEXT_BYTES - 1;
	char id_text[ABAFT_ID_TEXT_BYTES];
	unsigned long long value;

	if (strnlen(text, ABAFT_CONTEXT_BYTES) == ABAFT_CONTEXT_BYTES ||
	    strncmp(text, CONTEXT_PREFIX, prefix) || strlen(text) < prefix + id_len + 1)
		return ABAFT_INVALID;
	memcpy(id_text, text + prefix, id_len);
	id_text[id_len] = '\0';
	text += prefix + id_len;
	if (*text++ != '.' || abaft_id_parse(id, id_text))
		return ABAFT_INVALID;
	if (number(&text, 16, '.', &value) || !value)
		return ABAFT_INVALID;
	*instance = value;
	if (number(&text, 10, '\0', &value) || value > UINT16_MAX)
		return ABAFT_INVALID;
	*step = (uint16_t)value;
	return ABAFT_OK;
}

int txn_take_up(struct abaft_txn *txn, const struct abaft_begin *begin,
		const struct abaft_id *fresh)
{
	static const struct abaft_begin none;
	struct abaft_id id = *fresh;
	uint64_t instance = 0;
	uint16_t step, joined;

	if (!begin)
		begin = &none;
	if (begin->deadline_ms > ABAFT_TXN_DEADLINE_MS_MAX)
		return ABAFT_INVALID;
	step = begin->step;
	if (begin->id)
		id = *begin->id;
	if (begin->context) {
		if (context_parse(begin->context, &id, &instance, &joined))
			return ABAFT_INVALID;
		if (begin->id && memcmp(begin->id, &id, sizeof(id)))
			return ABAFT_INVALID;
		if (!step && joined == UINT16_MAX)
			return ABAFT_INVALID;
		if (!step)
			step = (uint16_t)(joined + 1);
	}
	txn->id = id;
	txn->step = step;
	txn->attempt = begin->attempt;
	txn->deadline_ms = begin->deadline_ms;
	txn->seq = 1;
	txn->instance = instance;
	txn->ops_count = 0;
	txn->data_bytes = 0;
	txn->closed = false;
	txn->err = ABAFT_INVALID;
	txn->submits = 0;
	txn->done = NULL;
	txn->state = TXN_IDLE;
	return ABAFT_OK;
}
