// SPDX-License-Identifier: Apache-2.0
/*
 * final.c - reads the final state: all keys of all loads, on a client of its own, when all requests
 * have ended. A batch that fails is read again, as the node may be about to start; and by a new
 * process, as this one's time and window may be too small for many large values.
 */
#include <stdlib.h>
#include <string.h>

#include "tests/sim/world/platform_impl.h"
#include "tests/sim/world/world.h"

#define BATCH	  12
#define TRIES	  60
#define PAUSE_US  250000
#define VALUE_MAX (PLATFORM_VALUE_MAX + 256)

struct batch {
	struct world *world;
	struct sim_client *client;
	struct run_op ops[BATCH];
	uint32_t count;
	bool ended;
	int err;
};

static void answered(void *arg, struct abaft_txn *txn, int err)
{
	struct batch *batch = arg;

	sim_client_end(batch->client, txn);
	batch->ended = true;
	batch->err = err;
}

static void pause_ended(void *arg)
{
	*(bool *)arg = true;
}

/* Events until the flag is set, by one of them. */
static void live(struct world *world, const bool *flag)
{
	while (!*flag) {
		world->counts.events++;
		if (!events_step(&world->events, UINT64_MAX))
			world_fail(world, "waits for ever", "nothing happens any more");
	}
}

static int read_once(struct batch *batch)
{
	struct world *world = batch->world;
	struct abaft_id id;
	struct abaft_begin begin = {.id = &id};
	struct abaft_txn *txn;
	int err;

	sim_client_id(batch->client, world_roll(world, STREAM_PLATFORM, UINT64_MAX), &id);
	err = sim_client_begin(batch->client, &begin, &txn);
	for (uint32_t i = 0; !err && i < batch->count; i++) {
		struct run_op *op = &batch->ops[i];

		err = abaft_prep_get(txn, op->key, strlen(op->key), op->value, op->bytes,
				     &op->result);
	}
	if (!err)
		err = abaft_prep_commit(txn, NULL);
	batch->ended = false;
	if (!err)
		err = sim_client_submit(batch->client, txn, answered, batch);
	if (err)
		world_fail(world, "cannot submit", "the final state: %s", abaft_error_name(err));
	live(world, &batch->ended);
	return batch->err;
}

static void read_batch(struct batch *batch, platform_final_fn fn, void *arg)
{
	struct world *world = batch->world;
	int err = read_once(batch);

	for (uint32_t i = 0; err && i < TRIES; i++) {
		struct event pause = {0};
		bool ended = false;

		event_set(&world->events, &pause, world->events.now_us + PAUSE_US, pause_ended,
			  &ended);
		live(world, &ended);
		sim_client_die(batch->client);
		err = read_once(batch);
	}
	if (err)
		world_fail(world, "final state", "%s cannot be read: %s", batch->ops[0].key,
			   abaft_error_name(err));
	for (uint32_t i = 0; i < batch->count; i++) {
		batch->ops[i].answered = true;
		fn(arg, &batch->ops[i]);
	}
	batch->count = 0;
}

static void read_load(struct batch *batch, const struct load *load, platform_final_fn fn, void *arg)
{
	char key[PLATFORM_KEY_BYTES];

	for (uint32_t i = 0; load->key(batch->world, i, key); i++) {
		memcpy(batch->ops[batch->count++].key, key, sizeof(key));
		if (batch->count == BATCH)
			read_batch(batch, fn, arg);
	}
}

void platform_read_final(struct platform *platform, platform_final_fn fn, void *arg)
{
	struct world *world = platform->world;
	struct batch *batch = calloc(1, sizeof(*batch));
	uint8_t *values = malloc((size_t)BATCH * VALUE_MAX);

	if (!batch || !values)
		abort();
	batch->world = world;
	batch->client = platform->clients[world->plan.clients].sim;
	for (uint32_t i = 0; i < BATCH; i++)
		batch->ops[i] = (struct run_op){
			.kind = 'r', .bytes = VALUE_MAX, .value = values + (size_t)i * VALUE_MAX};
	for (uint32_t n = 0; n < LOAD_COUNT; n++)
		if (world->plan.loads >> n & 1)
			read_load(batch, load_of(n), fn, arg);
	if (batch->count)
		read_batch(batch, fn, arg);
	free(values);
	free(batch);
}
