/* SPDX-License-Identifier: Apache-2.0 */
/*
 * net.c - see net.h.
 *
 * I1. How often faults come is drawn once for each run, whichever are switched on (W3).
 * I2. Without REORDER packets of one way between two hosts arrive in the order they were
 *     sent, but for those that are late.
 * I3. What is late is lost when the world heals: it could change what has ended.
 * I4. A partition is asked for when a packet leaves and when it arrives.
 */
#include "tests/sim/world/net.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/world/datagram.h"
#include "tests/sim/world/world.h"

#define CHUNK	  64
#define HOST_NODE 0
#define HOSTS_MAX (NET_CLIENTS_MAX + 2)

enum direction { TO_NODE, FROM_NODE, DIRECTIONS };
enum delay { DELAY_CONSTANT, DELAY_UNIFORM, DELAY_EXPONENTIAL, DELAY_LONG_TAIL, DELAYS };

struct flying {
	struct event event;
	struct net *net;
	struct flying *next; /* free */
	bool damaged;
	bool late; /* I3 */
	struct net_packet packet;
};

struct host {
	net_receive_fn fn;
	void *arg;
	uint64_t last_us[DIRECTIONS]; /* I2: arrival of the last in order */
	uint64_t partition_us[DIRECTIONS], deaf_us[DIRECTIONS]; /* until then */
};

/* Partitions of one kind, as they come and go. */
struct weather {
	struct event event;
	struct net *net;
	enum world_fault fault;
	uint64_t pause_us, length_us;
};

struct net {
	struct world *world;
	struct flying *chunks[NET_FLYING_MAX / CHUNK];
	uint32_t chunks_count, flying, late; /* late: of those that fly */
	struct flying *free;
	struct host hosts[HOSTS_MAX];
	uint32_t hosts_count;
	enum delay delay;
	uint64_t delay_us, late_us;
	uint32_t loss_permille, burst_max, burst;
	uint32_t twice_permille, reorder_permille, late_permille, damage_permille;
	struct weather weather[2];
	net_receive_fn tap;
	void *tap_arg;
	struct net_stats stats;
};

static uint64_t roll(struct net *net, uint64_t limit)
{
	return world_roll(net->world, STREAM_NET, limit);
}

static bool chance(struct net *net, uint32_t permille)
{
	return world_chance(net->world, STREAM_NET, permille);
}

/* As likely between 1 and 2 as between 512 and 1024 times `least`. */
static uint64_t roll_scale(struct net *net, uint64_t least, uint32_t doublings)
{
	uint64_t base = least << roll(net, doublings);

	return base + roll(net, base);
}

#define PICK(net, ...)                                                                             \
	(((const uint32_t[]){__VA_ARGS__})[roll(net, sizeof((uint32_t[]){__VA_ARGS__}) / 4)])

static void weather_turns(void *arg);

static void weather_create(struct net *net, struct weather *weather, enum world_fault fault)
{
	weather->net = net;
	weather->fault = fault;
	weather->pause_us = roll_scale(net, 100000, 6);
	weather->length_us = roll_scale(net, 10000, 9);
	if (world_has(net->world, fault))
		event_set(&net->world->events, &weather->event,
			  net->world->events.now_us + roll(net, weather->pause_us), weather_turns,
			  weather);
}

struct net *net_create(struct world *world)
{
	struct net *net = calloc(1, sizeof(*net));

	if (net == NULL)
		abort();
	net->world = world;
	net->hosts_count = 2;
	net->delay = (enum delay)roll(net, DELAYS);
	net->delay_us = roll_scale(net, 5, 9);
	net->late_us = PICK(net, 2, 10, 60) * UINT64_C(1000000);
	net->loss_permille = PICK(net, 1, 5, 20, 50, 100, 300);
	net->burst_max = PICK(net, 1, 1, 1, 8, 32);
	net->twice_permille = PICK(net, 1, 10, 50, 300);
	net->reorder_permille = PICK(net, 10, 100, 500, 1000);
	net->late_permille = PICK(net, 1, 3, 10);
	net->damage_permille = PICK(net, 1, 10, 50, 100);
	weather_create(net, &net->weather[0], WORLD_PARTITION);
	weather_create(net, &net->weather[1], WORLD_DEAF);
	return net;
}

void net_destroy(struct net *net)
{
	struct events *events = &net->world->events;

	for (uint32_t i = 0; i < net->chunks_count; i++) {
		for (uint32_t j = 0; j < CHUNK; j++)
			event_remove(events, &net->chunks[i][j].event);
		free(net->chunks[i]);
	}
	event_remove(events, &net->weather[0].event);
	event_remove(events, &net->weather[1].event);
	free(net);
}

static struct host *host_of(struct net *net, uint32_t address)
{
	uint32_t i = address == NET_NODE ? HOST_NODE : address == NET_FORGER ? 1 : HOSTS_MAX;

	if (address >= NET_CLIENT && address - NET_CLIENT < NET_CLIENTS_MAX)
		i = address - NET_CLIENT + 2;
	return i < HOSTS_MAX ? &net->hosts[i] : NULL;
}

void net_listen(struct net *net, uint32_t address, net_receive_fn fn, void *arg)
{
	struct host *host = host_of(net, address);

	if (host == NULL)
		abort();
	host->fn = fn;
	host->arg = arg;
	if (host - net->hosts >= net->hosts_count)
		net->hosts_count = (uint32_t)(host - net->hosts) + 1;
}

void net_tap(struct net *net, net_receive_fn fn, void *arg)
{
	net->tap = fn;
	net->tap_arg = arg;
}

bool net_is_idle(const struct net *net)
{
	return net->flying == (net->world->healing ? net->late : 0);
}

const struct net_stats *net_stats(const struct net *net)
{
	return &net->stats;
}

/* Cuts clients off, each with the same chance, for a while. */
static void weather_turns(void *arg)
{
	struct weather *weather = arg;
	struct net *net = weather->net;
	struct events *events = &net->world->events;
	uint32_t permille = PICK(net, 100, 300, 500, 1000);
	uint64_t until_us = events->now_us + roll(net, 2 * weather->length_us);

	if (!world_has(net->world, weather->fault))
		return;
	for (uint32_t i = 2; i < net->hosts_count; i++) {
		enum direction direction = (enum direction)roll(net, DIRECTIONS);

		if (!chance(net, permille))
			continue;
		if (weather->fault == WORLD_DEAF)
			net->hosts[i].deaf_us[direction] = until_us;
		else
			net->hosts[i].partition_us[TO_NODE] =
				net->hosts[i].partition_us[FROM_NODE] = until_us;
	}
	event_set(events, &weather->event, until_us + roll(net, 2 * weather->pause_us),
		  weather_turns, weather);
}

/* The host at the other end than the node, and the packet's way. */
static struct host *way_of(struct net *net, const struct net_packet *packet,
			   enum direction *direction)
{
	*direction = packet->from == NET_NODE ? FROM_NODE : TO_NODE;
	return host_of(net, *direction == FROM_NODE ? packet->to : packet->from);
}

/* I4 */
static bool is_cut(struct net *net, const struct net_packet *packet)
{
	struct world *world = net->world;
	enum direction direction;
	struct host *host = way_of(net, packet, &direction);

	if (host == NULL)
		return false;
	if (world_has(world, WORLD_PARTITION) &&
	    world->events.now_us < host->partition_us[direction]) {
		world_fault(world, WORLD_PARTITION);
		return true;
	}
	if (world_has(world, WORLD_DEAF) && world->events.now_us < host->deaf_us[direction]) {
		world_fault(world, WORLD_DEAF);
		return true;
	}
	return false;
}

static struct flying *flying_take(struct net *net)
{
	struct flying *flying = net->free;

	if (flying == NULL && net->chunks_count < NET_FLYING_MAX / CHUNK) {
		struct flying *chunk = calloc(CHUNK, sizeof(*chunk));

		if (chunk == NULL)
			abort();
		net->chunks[net->chunks_count++] = chunk;
		for (uint32_t i = CHUNK; i-- > 0;) {
			chunk[i].net = net;
			chunk[i].next = net->free;
			net->free = &chunk[i];
		}
		flying = net->free;
	}
	if (flying == NULL) {
		net->stats.overflown++;
		return NULL;
	}
	net->free = flying->next;
	net->flying++;
	flying->damaged = flying->late = false;
	return flying;
}

static void flying_give(struct flying *flying)
{
	struct net *net = flying->net;

	net->late -= flying->late;
	flying->next = net->free;
	net->free = flying;
	net->flying--;
}

static void note(struct world *world, const struct flying *flying)
{
	const struct net_packet *packet = &flying->packet;

	world_note_bytes(world, &packet->to, sizeof(packet->to));
	if (flying->damaged)
		world_note_bytes(world, packet->frame, packet->frame_bytes);
	else
		world_note_bytes(world, packet->frame + packet->payload, packet->payload_bytes);
}

static void arrives(void *arg)
{
	struct flying *flying = arg;
	struct net *net = flying->net;
	struct net_packet *packet = &flying->packet;
	struct host *host = host_of(net, packet->to);

	if (is_cut(net, packet) || (flying->late && net->world->healing)) {
		flying_give(flying);
		return;
	}
	if (host == NULL || host->fn == NULL) {
		net->stats.unheard++;
	} else if (flying->damaged && host != &net->hosts[HOST_NODE] &&
		   (!datagram_read(packet) || host_of(net, packet->to) != host)) {
		net->stats.refused++;
	} else {
		net->stats.delivered++;
		note(net->world, flying);
		host->fn(host->arg, packet);
	}
	flying_give(flying);
}

/* 0, 1, 2, ... with halved chances, up to `most`. */
static uint32_t roll_halves(struct net *net, uint32_t most)
{
	uint32_t bits = (uint32_t)roll(net, UINT64_C(1) << most) | UINT32_C(1) << most;

	return (uint32_t)__builtin_ctz(bits);
}

static uint64_t roll_delay(struct net *net)
{
	uint64_t mean = net->delay_us, us;

	switch (net->delay) {
	case DELAY_CONSTANT:
		return mean;
	case DELAY_UNIFORM:
		return roll(net, 2 * mean + 1);
	case DELAY_EXPONENTIAL: /* nearly, and without a logarithm */
		us = mean * roll_halves(net, 16);
		return (us + roll(net, mean + 1)) * 2 / 3;
	default:
		us = roll(net, mean + 1);
		return us << roll_halves(net, 7);
	}
}

/* Flips bits, overwrites bytes, or cuts off the end. */
static void damage_frame(struct net *net, struct net_packet *packet)
{
	uint8_t *frame = packet->frame;
	uint32_t kind = (uint32_t)roll(net, 8), count = 1 + (uint32_t)roll(net, 8);

	if (kind == 0) {
		packet->frame_bytes = (uint32_t)roll(net, packet->frame_bytes);
		return;
	}
	if (kind < 6) {
		/* Headers are a small part of a large packet, and much hangs on them. */
		uint32_t bytes = kind == 5 ? NET_HEADERS : packet->frame_bytes;

		for (uint32_t i = 0; i < count; i++) {
			uint64_t bit = roll(net, bytes * UINT64_C(8));

			frame[bit / 8] ^= (uint8_t)(1u << bit % 8);
		}
		return;
	}
	for (uint32_t at = (uint32_t)roll(net, packet->frame_bytes);
	     count > 0 && at < packet->frame_bytes; count--, at++)
		frame[at] = kind == 6 ? 0 : (uint8_t)roll(net, 256);
}

static void damage(struct net *net, struct flying *flying)
{
	struct net_packet *packet = &flying->packet, before = *packet, read;

	damage_frame(net, packet);
	if (packet->frame_bytes == before.frame_bytes &&
	    memcmp(packet->frame, before.frame, before.frame_bytes) == 0)
		return;
	world_fault(net->world, WORLD_CORRUPT);
	flying->damaged = true;
	read = *packet;
	if (!datagram_read(&read))
		return;
	if (read.payload_bytes == before.payload_bytes &&
	    memcmp(read.frame + read.payload, before.frame + before.payload, read.payload_bytes) ==
		    0) {
		net->stats.harmless++;
		return;
	}
	net->stats.disguised++;
	*packet = before;
	packet->frame[packet->payload + roll(net, packet->payload_bytes)] ^= 1;
}

static bool is_lost(struct net *net, const struct net_packet *packet)
{
	if (is_cut(net, packet))
		return true;
	if (!world_has(net->world, WORLD_LOSS))
		return false;
	if (net->burst > 0)
		net->burst--;
	else if (chance(net, net->loss_permille))
		net->burst = (uint32_t)roll(net, net->burst_max);
	else
		return false;
	world_fault(net->world, WORLD_LOSS);
	return true;
}

/* When it arrives, by I2. */
static uint64_t arrival(struct net *net, struct flying *flying)
{
	uint64_t due_us = net->world->events.now_us + roll_delay(net), *last_us;
	enum direction direction;
	struct host *host = way_of(net, &flying->packet, &direction);

	if (world_has(net->world, WORLD_LATE) && chance(net, net->late_permille)) {
		world_fault(net->world, WORLD_LATE);
		flying->late = true;
	}
	if (flying->late) {
		due_us += net->late_us >> roll(net, 6);
		return due_us + roll(net, 100000);
	}
	if (host == NULL)
		return due_us;
	last_us = &host->last_us[direction];
	if (due_us >= *last_us) {
		*last_us = due_us;
		return due_us;
	}
	if (world_has(net->world, WORLD_REORDER) && chance(net, net->reorder_permille)) {
		world_fault(net->world, WORLD_REORDER);
		return due_us;
	}
	return *last_us;
}

static void fly(struct flying *flying)
{
	struct net *net = flying->net;
	uint64_t due_us = arrival(net, flying);

	net->late += flying->late;
	if (flying->packet.payload_bytes && world_has(net->world, WORLD_CORRUPT) &&
	    chance(net, net->damage_permille))
		damage(net, flying);
	event_set(&net->world->events, &flying->event, due_us, arrives, flying);
}

static void copy_packet(struct net_packet *to, const struct net_packet *from)
{
	memcpy(to, from, offsetof(struct net_packet, frame) + from->frame_bytes);
}

/* A whole packet leaves its host. */
static void leaves(struct flying *flying)
{
	struct net *net = flying->net;
	struct flying *second;

	net->world->counts.packets++;
	if (net->tap)
		net->tap(net->tap_arg, &flying->packet);
	if (is_lost(net, &flying->packet)) {
		flying_give(flying);
		return;
	}
	if (world_has(net->world, WORLD_TWICE) && chance(net, net->twice_permille)) {
		second = flying_take(net);
		if (second) {
			world_fault(net->world, WORLD_TWICE);
			copy_packet(&second->packet, &flying->packet);
			second->late = roll(net, 8) == 0;
			fly(second);
		}
	}
	fly(flying);
}

void net_send(struct net *net, uint32_t from, uint16_t from_port, uint32_t to, uint16_t to_port,
	      const void *payload, uint32_t bytes)
{
	struct flying *flying = flying_take(net);
	struct net_packet *packet;

	if (bytes > NET_PACKET_MAX - NET_HEADERS)
		abort();
	if (flying == NULL)
		return;
	packet = &flying->packet;
	packet->from = from;
	packet->from_port = from_port;
	packet->to = to;
	packet->to_port = to_port;
	if (bytes)
		memcpy(packet->frame + NET_HEADERS, payload, bytes);
	datagram_wrap(packet, bytes);
	leaves(flying);
}

void net_send_frame(struct net *net, const uint8_t *frame, uint32_t bytes)
{
	struct flying *flying = flying_take(net);

	if (flying == NULL)
		return;
	if (bytes > NET_PACKET_MAX)
		world_fail(net->world, "broken frame", "the node sent %u bytes", bytes);
	flying->packet.frame_bytes = bytes;
	memcpy(flying->packet.frame, frame, bytes);
	if (!datagram_is_plain(&flying->packet)) {
		net->stats.unheard++;
		flying_give(flying);
		return;
	}
	if (!datagram_read(&flying->packet))
		world_fail(net->world, "broken frame",
			   "the node sent %u bytes whose lengths or checksums are wrong", bytes);
	leaves(flying);
}

void net_inject(struct net *net, uint32_t to, const uint8_t *frame, uint32_t bytes)
{
	struct flying *flying = flying_take(net);
	struct net_packet *packet;

	if (bytes > NET_PACKET_MAX)
		abort();
	if (flying == NULL)
		return;
	packet = &flying->packet;
	*packet = (struct net_packet){.from = NET_FORGER, .to = to, .frame_bytes = bytes};
	if (bytes)
		memcpy(packet->frame, frame, bytes);
	net->world->counts.packets++;
	flying->damaged = true;
	event_set(&net->world->events, &flying->event, net->world->events.now_us + roll_delay(net),
		  arrives, flying);
}
