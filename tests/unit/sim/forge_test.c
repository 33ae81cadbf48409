// SPDX-License-Identifier: Apache-2.0
/*
 * forge_test.c - honest clients of a real node, on a network on which somebody forges whatever he
 * can: they must not notice, but for a submit that fails by an answer that says nothing.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/sim/world/client.h"
#include "tests/sim/world/forge.h"
#include "tests/sim/world/machine.h"
#include "tests/sim/world/net.h"
#include "tests/unit/sim/small_world.h"

#define CLIENTS 4

struct honest {
	struct bed *bed;
	struct sim_client *client;
	struct event event; /* the next request, or its next attempt */
	uint32_t number;
	char key[16];
	struct abaft_id id;
	struct abaft_txn *txn;
	uint16_t attempt;
	bool put; /* it was sent */
	uint64_t value, read;
	struct abaft_result result;
};

struct bed {
	struct world world;
	struct honest honest[CLIENTS];
	uint64_t committed, again;
};

static void run(void *arg);

static void submit(struct honest *honest, abaft_done_fn done)
{
	assert_int_equal(sim_client_submit(honest->client, honest->txn, done, honest), ABAFT_OK);
}

static void wait(struct honest *honest, uint64_t us)
{
	struct events *events = &honest->bed->world.events;

	event_set(events, &honest->event, events->now_us + us, run, honest);
}

static void failed(struct honest *honest, int err)
{
	if (err != ABAFT_PROTOCOL && err != ABAFT_BUSY)
		fail_msg("seed %u at %u us: client %u, attempt %u: %s",
			 (unsigned)honest->bed->world.options.seed,
			 (unsigned)(honest->bed->world.events.now_us - WORLD_BEGIN_US),
			 honest->number, honest->attempt, abaft_error_name(err));
	honest->attempt++;
	honest->bed->again++;
	wait(honest, 1000);
}

static void committed(void *arg, struct abaft_txn *txn, int err)
{
	struct honest *honest = arg;

	sim_client_end(honest->client, txn);
	if (err && err != ABAFT_COMMITTED) {
		failed(honest, err);
		return;
	}
	assert_true(honest->attempt > 0 || !err);
	honest->bed->committed++;
	honest->value++;
	honest->attempt = 0;
	wait(honest, 2000);
}

/* It is what he committed last, and nobody else's. */
static void has_read(void *arg, struct abaft_txn *txn, int err)
{
	struct honest *honest = arg;
	uint64_t value = honest->value + 1;

	if (err == ABAFT_COMMITTED && honest->attempt > 0) {
		committed(arg, txn, err);
		return;
	}
	if (err) {
		sim_client_end(honest->client, txn);
		failed(honest, err);
		return;
	}
	if (honest->value == 0) {
		assert_int_equal(honest->result.status, ABAFT_NOT_FOUND);
	} else {
		assert_int_equal(honest->result.status, ABAFT_OK);
		assert_false(honest->result.own);
		assert_int_equal(honest->result.total, sizeof(value));
		assert_true(honest->read == honest->value);
	}
	assert_int_equal(
		abaft_prep_put(txn, honest->key, strlen(honest->key), &value, sizeof(value), NULL),
		ABAFT_OK);
	assert_int_equal(abaft_prep_commit(txn, &honest->result), ABAFT_OK);
	submit(honest, committed);
}

/* An attempt: reads, then writes one more and commits. */
static void run(void *arg)
{
	struct honest *honest = arg;
	struct abaft_begin begin = {.id = &honest->id, .attempt = honest->attempt};

	if (honest->attempt == 0)
		sim_client_id(honest->client, honest->number * UINT64_C(1000000) + honest->value,
			      &honest->id);
	assert_int_equal(sim_client_begin(honest->client, &begin, &honest->txn), ABAFT_OK);
	assert_int_equal(abaft_prep_get(honest->txn, honest->key, strlen(honest->key),
					&honest->read, sizeof(honest->read), &honest->result),
			 ABAFT_OK);
	submit(honest, has_read);
}

static void open_bed(struct bed *bed, uint64_t seed, uint32_t faults)
{
	struct world *world = &bed->world;

	memset(bed, 0, sizeof(*bed));
	small_world_create(world, seed, faults);
	world->plan.clients = CLIENTS;
	world->plan.workers = 1 + (uint32_t)(seed % 3);
	world->plan.lives = 1;
	world->plan.keys = 16;
	world->plan.requests = 1000;
	world->plan.length_us = 2000000;
	world->net = net_create(world);
	world->machine = machine_create(world);
	world->forge = forge_create(world);
	machine_begin(world->machine);
	forge_begin(world->forge);
	for (uint32_t i = 0; i < CLIENTS; i++) {
		struct honest *honest = &bed->honest[i];

		*honest = (struct honest){
			.bed = bed, .number = i, .client = sim_client_create(world, i)};
		snprintf(honest->key, sizeof(honest->key), "honest:%u", i);
		wait(honest, 1000);
	}
}

static void close_bed(struct bed *bed)
{
	for (uint32_t i = 0; i < CLIENTS; i++) {
		event_remove(&bed->world.events, &bed->honest[i].event);
		sim_client_destroy(bed->honest[i].client);
	}
	forge_destroy(bed->world.forge);
	machine_destroy(bed->world.machine);
	net_destroy(bed->world.net);
	small_world_destroy(&bed->world);
}

static struct bed bed;

static void honest_clients_do_not_notice(void **state)
{
	uint64_t forged = 0, least = UINT64_MAX, again = 0, all = 0;

	for (uint64_t seed = 1; seed <= 20; seed++) {
		open_bed(&bed, seed, FAULT(FORGE));
		small_world_live(&bed.world, bed.world.plan.length_us);
		forged += bed.world.counts.fault[WORLD_FORGE];
		again += bed.again;
		all += bed.committed;
		least = bed.committed < least ? bed.committed : least;
		close_bed(&bed);
	}
	print_message("# %u forged packets; %u commits, %u attempts again\n", (unsigned)forged,
		      (unsigned)all, (unsigned)again);
	assert_true(forged > 5000);
	assert_true(least > 10);
	assert_true(again < all / 10);
}

/* Nothing is sent without the fault, and nothing after it has ended. */
static void forges_only_when_told(void **state)
{
	open_bed(&bed, 3, 0);
	small_world_live(&bed.world, 100000);
	assert_int_equal(bed.world.counts.fault[WORLD_FORGE], 0);
	close_bed(&bed);
	open_bed(&bed, 3, FAULT(FORGE));
	small_world_live(&bed.world, 1000000);
	assert_true(bed.world.counts.fault[WORLD_FORGE] > 0);
	bed.world.healing = true;
	machine_heal(bed.world.machine);
	bed.world.counts.fault[WORLD_FORGE] = 0;
	small_world_live(&bed.world, 1000000);
	assert_int_equal(bed.world.counts.fault[WORLD_FORGE], 0);
	close_bed(&bed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(honest_clients_do_not_notice),
		cmocka_unit_test(forges_only_when_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
