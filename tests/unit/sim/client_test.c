// SPDX-License-Identifier: Apache-2.0
/*
 * client_test.c - simulated clients over the simulated network, against the fake node of tests/lib.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tests/lib/fake_node.h"
#include "tests/sim/world/client.h"
#include "tests/sim/world/datagram.h"
#include "tests/unit/sim/small_world.h"

#define WORKERS 3
#define CLIENTS 4

struct bed {
	struct world world;
	struct fake_node *node;
	struct sim_client *clients[CLIENTS];
	uint32_t heard[WORKERS]; /* packets to each worker's port */
	uint32_t ended, committed;
	int err;
};

/* The node's host: what its UDP stack drops is dropped, the rest is answered. */
static void node_receive(void *arg, const struct net_packet *packet)
{
	struct bed *bed = arg;
	struct net_packet in = *packet, out = {.to = packet->from, .to_port = packet->from_port};
	uint32_t bytes;

	if (!datagram_read(&in))
		return;
	assert_true(packet->to_port >= NET_UDP_PORT && packet->to_port < NET_UDP_PORT + WORKERS);
	bed->heard[packet->to_port - NET_UDP_PORT]++;
	bytes = fake_node_handle(bed->node, in.frame + in.payload, in.payload_bytes,
				 out.frame + NET_HEADERS);
	if (!bytes)
		return;
	out.from = NET_NODE;
	out.from_port = packet->to_port;
	datagram_wrap(&out, bytes);
	net_send_frame(bed->world.net, out.frame, out.frame_bytes);
}

static void open_bed(struct bed *bed, uint64_t seed, uint32_t faults)
{
	memset(bed, 0, sizeof(*bed));
	small_world_create(&bed->world, seed, faults);
	bed->world.net = net_create(&bed->world);
	bed->node = fake_node_create(WORKERS);
	net_listen(bed->world.net, NET_NODE, node_receive, bed);
	for (uint32_t i = 0; i < CLIENTS; i++)
		bed->clients[i] = sim_client_create(&bed->world, i);
}

static void close_bed(struct bed *bed)
{
	for (uint32_t i = 0; i < CLIENTS; i++)
		sim_client_destroy(bed->clients[i]);
	net_destroy(bed->world.net);
	fake_node_destroy(bed->node);
	small_world_destroy(&bed->world);
}

static void ended(void *arg, struct abaft_txn *txn, int err)
{
	struct bed *bed = arg;

	bed->ended++;
	bed->committed += err == ABAFT_OK || err == ABAFT_COMMITTED;
	bed->err = err;
}

static struct abaft_txn *begin(struct bed *bed, struct sim_client *client, uint64_t number)
{
	struct abaft_id id;
	struct abaft_begin how = {.id = &id};
	struct abaft_txn *txn;

	sim_client_id(client, number, &id);
	assert_int_equal(sim_client_begin(client, &how, &txn), ABAFT_OK);
	return txn;
}

/* Submits a transaction that writes a value of that many bytes. */
static struct abaft_txn *submit_put(struct bed *bed, struct sim_client *client, uint64_t number,
				    uint32_t bytes)
{
	static char value[40000];
	struct abaft_txn *txn = begin(bed, client, number);
	char key[32];

	snprintf(key, sizeof(key), "key%u", (unsigned)number);
	memset(value, 'v', sizeof(value));
	assert_int_equal(abaft_prep_put(txn, key, strlen(key), value, bytes, NULL), ABAFT_OK);
	assert_int_equal(abaft_prep_commit(txn, NULL), ABAFT_OK);
	assert_int_equal(sim_client_submit(client, txn, ended, bed), ABAFT_OK);
	return txn;
}

static void commits_and_learns_workers(void **state)
{
	struct bed bed;

	open_bed(&bed, 1, 0);
	for (uint32_t i = 0; i < 60; i++) {
		struct sim_client *client = bed.clients[i % CLIENTS];
		struct abaft_txn *txn = submit_put(&bed, client, i, i % 2 ? 40000 : 10);

		assert_int_equal(bed.ended, i); /* not before an event */
		small_world_live(&bed.world, 1000000);
		assert_int_equal(bed.ended, i + 1);
		assert_int_equal(bed.err, ABAFT_OK);
		sim_client_end(client, txn);
	}
	assert_int_equal(fake_node_commits(bed.node), 60);
	assert_int_equal(fake_node_value(bed.node, "key1")->total, 40000);
	assert_null(bed.node->fault);
	for (uint32_t i = 0; i < WORKERS; i++)
		assert_true(bed.heard[i] > 10);
	close_bed(&bed);
}

/* Everything at once, on a bad network. Returns the trace. */
static uint64_t busy_run(uint64_t seed, uint32_t faults, uint32_t *committed)
{
	struct abaft_txn *txns[60];
	struct bed bed;
	uint64_t trace;

	open_bed(&bed, seed, faults);
	for (uint32_t i = 0; i < 60; i++)
		txns[i] = submit_put(&bed, bed.clients[i % CLIENTS], i, i % 7 ? 100 : 9000);
	small_world_live(&bed.world, 20000000);
	assert_int_equal(bed.ended, 60);
	assert_null(bed.node->fault);
	for (uint32_t i = 0; i < 60; i++)
		sim_client_end(bed.clients[i % CLIENTS], txns[i]);
	*committed = bed.committed;
	trace = bed.world.trace;
	close_bed(&bed);
	return trace;
}

static void gets_through_a_bad_network(void **state)
{
	uint32_t faults = FAULT(LOSS) | FAULT(TWICE) | FAULT(REORDER) | FAULT(LATE) |
			  FAULT(CORRUPT) | FAULT(CLIENT_CLOCK);
	uint32_t committed, all = 0;

	for (uint64_t seed = 1; seed <= 20; seed++) {
		uint64_t trace = busy_run(seed, faults, &committed);

		all += committed;
		assert_true(trace == busy_run(seed, faults, &committed)); /* W1 */
		assert_true(trace != busy_run(seed + 100, faults, &committed));
	}
	assert_true(all > 1100);
}

static void dies_and_forgets(void **state)
{
	struct abaft_txn *txn;
	struct bed bed;
	char context[ABAFT_CONTEXT_BYTES];
	struct abaft_begin join = {.context = context};

	open_bed(&bed, 5, 0);
	/* Answers that are on their way find nobody who asked. */
	for (uint32_t i = 0; i < 20; i++) {
		for (uint32_t j = 0; j < SIM_CLIENT_TXNS; j++)
			submit_put(&bed, bed.clients[0], 100 * i + j, j % 3 ? 10 : 30000);
		small_world_live(&bed.world, UINT64_C(10) << i % 8);
		bed.ended = 0;
		sim_client_die(bed.clients[0]);
		small_world_live(&bed.world, 10000000);
		assert_int_equal(bed.ended, 0);
	}
	assert_int_equal(sim_client_deaths(bed.clients[0]), 20);
	/* And the new process works. */
	txn = begin(&bed, bed.clients[0], 7777);
	assert_int_equal(abaft_export(txn, context), ABAFT_INVALID);
	assert_int_equal(abaft_prep_put(txn, "a", 1, "b", 1, NULL), ABAFT_OK);
	assert_int_equal(sim_client_submit(bed.clients[0], txn, ended, &bed), ABAFT_OK);
	small_world_live(&bed.world, 10000000);
	assert_int_equal(bed.ended, 1);
	assert_int_equal(bed.err, ABAFT_OK);
	/* Another client goes on with it. */
	assert_int_equal(abaft_export(txn, context), ABAFT_OK);
	assert_int_equal(sim_client_begin(bed.clients[1], &join, &txn), ABAFT_OK);
	assert_int_equal(abaft_prep_commit(txn, NULL), ABAFT_OK);
	assert_int_equal(sim_client_submit(bed.clients[1], txn, ended, &bed), ABAFT_OK);
	small_world_live(&bed.world, 10000000);
	assert_int_equal(bed.err, ABAFT_OK);
	assert_non_null(fake_node_value(bed.node, "a"));
	close_bed(&bed);
}

struct killer {
	struct sim_client *client;
	uint32_t calls;
};

static void dies(void *arg, struct abaft_txn *txn, int err)
{
	struct killer *killer = arg;

	killer->calls++;
	sim_client_die(killer->client);
}

static void dies_in_a_callback(void **state)
{
	struct bed bed;
	struct killer killer;

	open_bed(&bed, 6, 0);
	killer = (struct killer){.client = bed.clients[2]};
	for (uint32_t i = 0; i < SIM_CLIENT_TXNS; i++) {
		struct abaft_txn *txn = begin(&bed, bed.clients[2], i);

		assert_int_equal(abaft_prep_get(txn, "k", 1, NULL, 0, NULL), ABAFT_OK);
		assert_int_equal(sim_client_submit(bed.clients[2], txn, dies, &killer), ABAFT_OK);
	}
	small_world_live(&bed.world, 10000000);
	assert_int_equal(killer.calls, 1);
	close_bed(&bed);
}

static void has_limits(void **state)
{
	struct abaft_id id;
	struct abaft_begin how = {.id = &id}, nothing = {0};
	struct abaft_txn *txn;
	struct bed bed;

	open_bed(&bed, 7, 0);
	assert_int_equal(sim_client_begin(bed.clients[3], &nothing, &txn), ABAFT_INVALID);
	for (uint32_t i = 0; i < SIM_CLIENT_TXNS; i++)
		txn = begin(&bed, bed.clients[3], i);
	sim_client_id(bed.clients[3], 99, &id);
	assert_int_equal(id.bytes[6] >> 4, 7);
	assert_int_equal(sim_client_begin(bed.clients[3], &how, &txn), ABAFT_BUSY);
	/* Cancelled, and its place is free. */
	assert_int_equal(abaft_prep_put(txn, "a", 1, "b", 1, NULL), ABAFT_OK);
	assert_int_equal(sim_client_submit(bed.clients[3], txn, ended, &bed), ABAFT_OK);
	sim_client_end(bed.clients[3], txn);
	assert_int_equal(bed.ended, 1);
	assert_int_equal(bed.err, ABAFT_CANCELLED);
	assert_int_equal(sim_client_begin(bed.clients[3], &how, &txn), ABAFT_OK);
	close_bed(&bed);
}

/* Times out when it should by its own clock, however that runs. */
static void keeps_its_own_time(void **state)
{
	for (uint64_t seed = 1; seed < 40; seed++) {
		uint64_t before_us, waited_us;
		struct bed bed;

		open_bed(&bed, seed, FAULT(CLIENT_CLOCK));
		net_listen(bed.world.net, NET_NODE, NULL, NULL);
		before_us = sim_client_mono_us(bed.clients[0]);
		submit_put(&bed, bed.clients[0], 1, 1);
		for (uint32_t i = 0; i < 1000 && !bed.ended; i++)
			small_world_live(&bed.world, 10000);
		assert_int_equal(bed.err, ABAFT_TIMEOUT);
		waited_us = sim_client_mono_us(bed.clients[0]) - before_us;
		assert_in_range(waited_us, 300000, 5020000);
		assert_true(bed.world.counts.fault[WORLD_CLIENT_CLOCK] >= CLIENTS);
		assert_true(sim_client_wall_us(bed.clients[0]) != bed.world.events.now_us);
		bed.world.healing = true;
		assert_true(sim_client_wall_us(bed.clients[0]) == bed.world.events.now_us);
		close_bed(&bed);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(commits_and_learns_workers),
		cmocka_unit_test(gets_through_a_bad_network),
		cmocka_unit_test(dies_and_forgets),
		cmocka_unit_test(dies_in_a_callback),
		cmocka_unit_test(has_limits),
		cmocka_unit_test(keeps_its_own_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
