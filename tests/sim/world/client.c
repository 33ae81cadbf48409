/* SPDX-License-Identifier: Apache-2.0 */
/*
 * client.c - see client.h.
 *
 * I1. Whatever has happened to a client (a packet, a submit, a timer) is followed by one
 *     turn of it in an event of its own at the same time: timers, callbacks, sending, as in
 *     abaft_poll(). So callbacks come from events only, and packets that arrive together
 *     share a turn.
 * I2. Its randomness is made of the seed, its number and its life: other clients change
 *     nothing (W3).
 */
#include "tests/sim/world/client.h"

#include <stdlib.h>
#include <string.h>

#include "client/drive.h"
#include "tests/sim/world/net.h"
#include "tests/sim/world/world.h"

#define PORT_FIRST 32768u
#define PORTS	   28000u
/* Rates are in millionths; no clock drifts faster. */
#define DRIFT_MAX  200

struct sim_client {
	struct world *world;
	uint32_t number, lives;
	uint16_t port;
	struct txn_shared shared;
	struct abaft_txn *txns;
	struct link free;
	struct event turn, jump;
	/* Its clocks: */
	uint64_t born_us; /* true time */
	uint64_t mono_us; /* shown then */
	int64_t drift;
	int64_t off_us;	 /* of the wall clock, beside drift */
	uint64_t random; /* of its configuration */
	uint64_t clock;	 /* and of its clock */
};

/* splitmix64 */
static uint64_t mix(uint64_t x)
{
	x += UINT64_C(0x9e3779b97f4a7c15);
	x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
	return x ^ x >> 31;
}

static uint64_t roll_of(uint64_t *random, uint64_t limit)
{
	*random = mix(*random);
	return *random % limit;
}

static uint64_t roll(struct sim_client *client, uint64_t limit)
{
	return roll_of(&client->random, limit);
}

/* I2 */
static uint64_t life_random(const struct sim_client *client)
{
	uint64_t random = mix(client->world->options.seed);

	return mix(mix(random ^ client->number) ^ client->lives);
}

uint64_t sim_client_mono_us(const struct sim_client *client)
{
	int64_t lived_us = (int64_t)(client->world->events.now_us - client->born_us);

	return client->mono_us + (uint64_t)(lived_us + lived_us * client->drift / 1000000);
}

uint64_t sim_client_wall_us(const struct sim_client *client)
{
	uint64_t now_us = client->world->events.now_us;

	if (!world_has(client->world, WORLD_CLIENT_CLOCK))
		return now_us;
	now_us += (uint64_t)((int64_t)(now_us - client->born_us) * client->drift / 1000000);
	return now_us + (uint64_t)client->off_us;
}

/* The true time at which the monotonic clock has surely reached `mono_us`, and little later. */
static uint64_t true_us(const struct sim_client *client, uint64_t mono_us)
{
	int64_t ahead_us = (int64_t)(mono_us - sim_client_mono_us(client));

	if (ahead_us <= 0)
		return client->world->events.now_us;
	return client->world->events.now_us +
	       (uint64_t)(ahead_us - ahead_us * client->drift / 1000000 + ahead_us / 10000000 + 1);
}

void sim_client_id(const struct sim_client *client, uint64_t random, struct abaft_id *id)
{
	uint64_t ms = sim_client_wall_us(client) / 1000;
	uint64_t words[2] = {mix(random), mix(mix(random))};

	memcpy(id->bytes, words, sizeof(id->bytes));
	for (int i = 0; i < 6; i++)
		id->bytes[i] = (uint8_t)(ms >> (40 - 8 * i));
	id->bytes[6] = (uint8_t)(0x70 | (id->bytes[6] & 0x0f));
	id->bytes[8] = (uint8_t)(0x80 | (id->bytes[8] & 0x3f));
}

static void turn(void *arg);

/* I1 */
static void wake(struct sim_client *client)
{
	event_set(&client->world->events, &client->turn, client->world->events.now_us, turn,
		  client);
}

static void send_flight(struct sim_client *client, struct txn_flight *flight)
{
	uint8_t bytes[ABAFT_PACKET_BYTES_MAX];
	uint32_t len = txn_encode(flight, bytes);
	uint16_t port = (uint16_t)(NET_UDP_PORT + drive_worker(flight));

	txn_sent(flight, sim_client_mono_us(client));
	net_send(client->world->net, NET_CLIENT + client->number, client->port, NET_NODE, port,
		 bytes, len);
}

static void turn(void *arg)
{
	struct sim_client *client = arg;
	struct txn_shared *shared = &client->shared;
	struct txn_flight *flight;
	const struct timer *timer;

	drive_timers(shared, sim_client_mono_us(client));
	drive_call_back(shared);
	while ((flight = drive_next(shared)))
		send_flight(client, flight);
	timer = timers_first(&shared->timers);
	if (timer)
		event_set(&client->world->events, &client->turn, true_us(client, timer->due_us),
			  turn, client);
}

/* net_receive_fn: what client/socket.c's take() does. */
static void receive(void *arg, const struct net_packet *packet)
{
	struct sim_client *client = arg;

	if (packet->to_port != client->port || packet->from != NET_NODE ||
	    packet->from_port < NET_UDP_PORT ||
	    packet->from_port >= NET_UDP_PORT + ABAFT_WORKERS_MAX)
		return;
	if (drive_take(&client->shared, packet->frame + packet->payload, packet->payload_bytes,
		       sim_client_mono_us(client)))
		wake(client);
}

/* A process's memory, as shared_create() of client/client.c makes it. */
static void life_begin(struct sim_client *client)
{
	struct txn_shared *shared = &client->shared;
	uint64_t random = life_random(client);

	*shared = (struct txn_shared){
		.workers = 1, .generation = (uint32_t)(random >> 32), .random = random | 1};
	client->random = mix(random);
	/* No less than a large value takes, part by part. */
	shared->timeout_us = roll(client, 4) ? 5000000 : 1500000 + roll(client, 1500000);
	shared->resend_us = roll(client, 2) ? 5000 : UINT64_C(500) << roll(client, 8);
	shared->window = roll(client, 2) ? 16 : 1 + (uint32_t)roll(client, 16);
	shared->packet_bytes = ABAFT_PACKET_BYTES_MAX;
	if (roll(client, 3) == 0)
		shared->packet_bytes -=
			(uint32_t)roll(client, ABAFT_PACKET_BYTES_MAX - ABAFT_PACKET_BYTES_MIN + 1);
	shared->flights_max = SIM_CLIENT_TXNS * shared->window;
	shared->flights = calloc(shared->flights_max, sizeof(*shared->flights));
	client->txns = calloc(SIM_CLIENT_TXNS, sizeof(*client->txns));
	if (!shared->flights || !client->txns ||
	    timers_create(&shared->timers, shared->flights_max + SIM_CLIENT_TXNS))
		abort();
	txn_setup(shared, client->txns, SIM_CLIENT_TXNS);
	link_init(&client->free);
	for (uint32_t i = 0; i < SIM_CLIENT_TXNS; i++)
		link_append(&client->free, &client->txns[i].link);
	/* A late packet may find its port taken by the next life. */
	if (client->port == 0 || roll(client, 4))
		client->port = (uint16_t)(PORT_FIRST + roll(client, PORTS));
}

static void life_end(struct sim_client *client)
{
	event_remove(&client->world->events, &client->turn);
	for (uint32_t i = 0; i < SIM_CLIENT_TXNS; i++)
		txn_destroy(&client->txns[i]);
	timers_destroy(&client->shared.timers);
	free(client->shared.flights);
	free(client->txns);
}

/* Up to that far, either way. */
static int64_t roll_either(struct sim_client *client, uint64_t most_us)
{
	return (int64_t)roll_of(&client->clock, 2 * most_us + 1) - (int64_t)most_us;
}

/* The wall clock is set, by somebody who does not know the time much better. */
static void jumps(void *arg)
{
	struct sim_client *client = arg;
	struct events *events = &client->world->events;
	bool far = roll_of(&client->clock, 32) == 0;

	if (!world_has(client->world, WORLD_CLIENT_CLOCK))
		return;
	world_fault(client->world, WORLD_CLIENT_CLOCK);
	client->off_us = roll_either(client, far ? SIM_CLIENT_FAR_US : SIM_CLIENT_OFF_US);
	world_note(client->world, "client %u: clock off by %lld us", client->number,
		   (long long)client->off_us);
	event_set(events, &client->jump,
		  events->now_us + 100000 + roll_of(&client->clock, 10000000), jumps, client);
}

static void clock_begin(struct sim_client *client)
{
	client->clock = life_random(client) + 1;
	client->born_us = client->world->events.now_us;
	client->mono_us = 1000000 + roll_of(&client->clock, UINT64_C(100000000000));
	if (!world_has(client->world, WORLD_CLIENT_CLOCK))
		return;
	client->drift = roll_either(client, DRIFT_MAX);
	jumps(client);
}

struct sim_client *sim_client_create(struct world *world, uint32_t number)
{
	struct sim_client *client = calloc(1, sizeof(*client));

	if (client == NULL)
		abort();
	client->world = world;
	client->number = number;
	clock_begin(client);
	life_begin(client);
	net_listen(world->net, NET_CLIENT + number, receive, client);
	return client;
}

void sim_client_destroy(struct sim_client *client)
{
	net_listen(client->world->net, NET_CLIENT + client->number, NULL, NULL);
	event_remove(&client->world->events, &client->jump);
	life_end(client);
	free(client);
}

int sim_client_begin(struct sim_client *client, const struct abaft_begin *begin,
		     struct abaft_txn **out)
{
	static const struct abaft_id none;
	struct abaft_txn *txn;
	int err;

	if (!begin || (!begin->id && !begin->context))
		return ABAFT_INVALID;
	if (link_alone(&client->free))
		return ABAFT_BUSY;
	txn = link_owner(client->free.next, struct abaft_txn, link);
	err = txn_take_up(txn, begin, &none);
	if (err)
		return err;
	link_remove(&txn->link);
	*out = txn;
	return ABAFT_OK;
}

int sim_client_submit(struct sim_client *client, struct abaft_txn *txn, abaft_done_fn done,
		      void *arg)
{
	int err = txn_start(txn, sim_client_mono_us(client));

	if (err)
		return err;
	txn->done = done;
	txn->arg = arg;
	wake(client);
	return ABAFT_OK;
}

void sim_client_end(struct sim_client *client, struct abaft_txn *txn)
{
	if (txn->state == TXN_FREE || txn->state == TXN_ENDING)
		return;
	drive_end(txn);
	link_append(&client->free, &txn->link);
}

void sim_client_die(struct sim_client *client)
{
	life_end(client);
	client->lives++;
	world_note(client->world, "client %u dies", client->number);
	life_begin(client);
}

uint32_t sim_client_deaths(const struct sim_client *client)
{
	return client->lives;
}
