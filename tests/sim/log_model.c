/* SPDX-License-Identifier: Apache-2.0 */
/* log_model.c - see log_model.h. */
#include "tests/sim/log_model.h"

#include <stdio.h>
#include <string.h>

#include <abaft/error.h>

#include "dataplane/core/version.h"
#include "tests/lib/logdev_sim.h"

#define BIG_EVERY  16
/* A value names its write and its key, unless it is empty. */
#define NAME_BYTES 8

void model_begin(struct log_model *model, uint64_t seed, uint32_t keys)
{
	model->seed = seed;
	model->keys = keys;
	model->txns = 0;
	for (uint32_t i = 0; i < keys; i++)
		model->last[i] = MODEL_NONE;
}

struct model_txn *model_add(struct log_model *model, uint32_t worker)
{
	struct model_txn *txn = &model->txn[model->txns];

	if (model->txns == MODEL_TXNS_MAX)
		return NULL;
	model->txns++;
	*txn = (struct model_txn){.worker = worker, .fate = MODEL_REFUSED};
	return txn;
}

bool model_write(struct log_model *model, struct model_txn *txn, uint32_t key, bool deletes)
{
	uint32_t number = (uint32_t)(txn - model->txn) * MODEL_WRITES_MAX + txn->count;

	for (uint32_t i = 0; i < txn->count; i++)
		if (txn->write[i].key == key)
			return false;
	if (txn->count == MODEL_WRITES_MAX)
		return false;
	txn->write[txn->count].key = key;
	txn->write[txn->count].deletes = deletes;
	txn->write[txn->count++].before = model->last[key];
	model->last[key] = number;
	return true;
}

bool model_is_big(const struct log_model *model, uint32_t key)
{
	return model->big && key % BIG_EVERY == 3;
}

static uint32_t write_key(const struct log_model *model, uint32_t write)
{
	return model_txn_of(model, write)->write[write % MODEL_WRITES_MAX].key;
}

static uint32_t write_before(const struct log_model *model, uint32_t write)
{
	return model_txn_of(model, write)->write[write % MODEL_WRITES_MAX].before;
}

uint32_t model_value(const struct log_model *model, uint32_t write, uint8_t *to)
{
	uint64_t random = model->seed * 0x10001 + write;
	uint32_t key = write_key(model, write), bytes;

	if (model_is_big(model, key))
		bytes = (uint32_t)sim_random(&random, MODEL_VALUE_BYTES - 2048);
	else if (sim_random(&random, 3) == 0)
		bytes = (uint32_t)sim_random(&random, VERSION_INLINE_BYTES + 1);
	else
		bytes = (uint32_t)sim_random(&random, model->value_bytes_max + 1);
	if (bytes < NAME_BYTES)
		return 0;
	memcpy(to, &write, sizeof(write));
	memcpy(to + 4, &key, sizeof(key));
	for (uint32_t i = NAME_BYTES; i < bytes; i += 8) {
		uint64_t word = sim_random(&random, UINT64_MAX);

		memcpy(to + i, &word, bytes - i < 8 ? bytes - i : 8);
	}
	return bytes;
}

uint16_t model_key(char text[24], uint32_t key)
{
	return (uint16_t)snprintf(text, 24, "key-%u", key);
}

uint32_t model_newest(const struct log_model *model, uint32_t key)
{
	uint32_t newest = MODEL_NONE;

	for (uint32_t w = model->last[key]; w != MODEL_NONE; w = write_before(model, w))
		if (model_txn_of(model, w)->fate == MODEL_THERE &&
		    (newest == MODEL_NONE || vnum_less(model_txn_of(model, newest)->number,
						       model_txn_of(model, w)->number)))
			newest = w;
	return newest;
}

uint32_t model_find(const struct log_model *model, uint32_t key, struct vnum number)
{
	uint32_t w = model->last[key];

	while (w != MODEL_NONE && (model_txn_of(model, w)->fate != MODEL_THERE ||
				   !vnum_equal(model_txn_of(model, w)->number, number)))
		w = write_before(model, w);
	return w;
}

/* Not older than the floor. */
static bool reaches(const struct log_model *model, uint32_t floor, uint32_t write)
{
	return floor == MODEL_NONE ||
	       (write != MODEL_NONE &&
		!vnum_less(model_txn_of(model, write)->number, model_txn_of(model, floor)->number));
}

/* The newest delete that is there, or MODEL_NONE. */
static uint32_t newest_delete(const struct log_model *model, uint32_t key)
{
	uint32_t newest = MODEL_NONE;

	for (uint32_t w = model->last[key]; w != MODEL_NONE; w = write_before(model, w))
		if (model_txn_of(model, w)->fate == MODEL_THERE && model_deletes(model, w) &&
		    reaches(model, newest, w))
			newest = w;
	return newest;
}

const char *model_check(const struct log_model *model, uint32_t key, uint32_t floor,
			const struct reply_result *result, uint32_t *write)
{
	const struct vnum number = {.time = result->time, .origin = result->origin};
	uint8_t value[MODEL_VALUE_BYTES];
	uint32_t bytes;

	*write = MODEL_NONE;
	if (result->status == ABAFT_NOT_FOUND) {
		*write = newest_delete(model, key);
		return reaches(model, floor, *write) ? NULL : "is missing";
	}
	*write = model_find(model, key, number);
	if (*write == MODEL_NONE)
		return "has a version that is not there";
	if (model_deletes(model, *write))
		return "has a value, though its version is a delete";
	if (!reaches(model, floor, *write))
		return "has an older value";
	bytes = model_value(model, *write, value);
	if (result->total != bytes)
		return "has a value of another length";
	if (result->offset > bytes || result->data_bytes > bytes - result->offset ||
	    memcmp(result->data, value + result->offset, result->data_bytes) != 0)
		return "has wrong bytes";
	return NULL;
}

const char *model_check_pair(const struct log_model *model, uint32_t key, uint32_t write,
			     uint32_t other_key, uint32_t other_write)
{
	const struct model_txn *txn = NULL;

	if (!model_deletes(model, write)) /* which delete hid a key, no answer says */
		txn = model_txn_of(model, write);
	for (uint32_t i = 0; txn && i < txn->count; i++)
		if (txn->write[i].key == other_key && other_key != key &&
		    !reaches(model, (uint32_t)(txn - model->txn) * MODEL_WRITES_MAX + i,
			     other_write))
			return "is read beside only half of its transaction";
	return NULL;
}
