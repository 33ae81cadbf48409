// SPDX-License-Identifier: Apache-2.0
/*
 * net_test.c - the simulated network: each fault comes, each only where it is switched on, and all
 * of it again from the same seed. Frames are held against dataplane/net and tests/lib/packet.h.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "dataplane/net/frame.h"
#include "tests/lib/packet.h"
#include "tests/sim/world/datagram.h"
#include "tests/unit/sim/small_world.h"

#define CLIENTS 5
#define PACKETS 2000

struct bed {
	struct world world;
	uint64_t sent_us[2 * PACKETS];
	uint32_t seen[2 * PACKETS]; /* how often each packet came */
	uint32_t sent, came, whole, late, overtaken, refused;
	uint32_t last[CLIENTS][2];
};

struct message {
	uint32_t number, client, back, fill;
	uint8_t more[64];
};

static struct message message_of(uint32_t number, uint32_t client, bool back)
{
	struct message message = {number, client, back, 0};

	memset(message.more, (int)number, sizeof(message.more));
	return message;
}

/* A whole message has come, at either end. */
static void take(struct bed *bed, const struct message *message)
{
	struct message right = message_of(message->number, message->client, message->back);
	uint64_t took_us = bed->world.events.now_us - bed->sent_us[message->number];
	uint32_t *last = &bed->last[message->client][message->back];

	assert_memory_equal(message, &right, sizeof(right));
	bed->seen[message->number]++;
	bed->whole++;
	bed->late += took_us > 1000000;
	bed->overtaken += message->number < *last;
	*last = message->number > *last ? message->number : *last;
}

/* As dataplane/net reads it, which is what the node does. */
static void at_node(void *arg, const struct net_packet *packet)
{
	struct bed *bed = arg;
	uint8_t room[NET_PACKET_MAX];
	struct frame frame = {.data = room, .len = packet->frame_bytes, .room = sizeof(room)};
	struct net_packet read = *packet;
	struct message message;
	struct frame_view view;
	bool ok;

	memcpy(room, packet->frame, packet->frame_bytes);
	ok = frame_parse(&frame, false, &view) == FRAME_OK;
	bed->came++;
	bed->refused += !ok;
	/* What a host's stack takes the node takes. (It takes more: IPv6, tags.) */
	assert_true(!datagram_read(&read) || ok || packet->frame[26] >= 224 ||
		    packet->frame[26] == 0 || packet->frame[30] == 0 || packet->frame[30] >= 224 ||
		    read.from_port == 0);
	if (!ok || view.payload_len != sizeof(message))
		return;
	memcpy(&message, room + view.payload, sizeof(message));
	take(bed, &message);
}

static void at_client(void *arg, const struct net_packet *packet)
{
	struct bed *bed = arg;
	struct message message;

	bed->came++;
	assert_int_equal(packet->payload_bytes, sizeof(message));
	memcpy(&message, packet->frame + packet->payload, sizeof(message));
	assert_true(packet->to == NET_CLIENT + message.client);
	take(bed, &message);
}

static void open_bed(struct bed *bed, uint64_t seed, uint32_t faults)
{
	memset(bed, 0, sizeof(*bed));
	small_world_create(&bed->world, seed, faults);
	bed->world.net = net_create(&bed->world);
	net_listen(bed->world.net, NET_NODE, at_node, bed);
	for (uint32_t i = 0; i < CLIENTS; i++)
		net_listen(bed->world.net, NET_CLIENT + i, at_client, bed);
}

static void close_bed(struct bed *bed)
{
	net_destroy(bed->world.net);
	small_world_destroy(&bed->world);
}

/* A packet to the node, or a frame back. */
static void send_one(struct bed *bed, bool back)
{
	uint32_t client = bed->sent / 2 % CLIENTS;
	struct message message = message_of(bed->sent, client, back);
	struct net_packet packet = {.from = NET_NODE,
				    .from_port = NET_UDP_PORT,
				    .to = NET_CLIENT + client,
				    .to_port = 40000};

	bed->sent_us[bed->sent++] = bed->world.events.now_us;
	if (!back) {
		net_send(bed->world.net, packet.to, packet.to_port, NET_NODE, NET_UDP_PORT,
			 &message, sizeof(message));
		return;
	}
	memcpy(packet.frame + NET_HEADERS, &message, sizeof(message));
	datagram_wrap(&packet, sizeof(message));
	net_send_frame(bed->world.net, packet.frame, packet.frame_bytes);
}

/* Some seconds of traffic, and time for what is late. */
static void run(struct bed *bed, uint64_t seed, uint32_t faults)
{
	open_bed(bed, seed, faults);
	for (uint32_t i = 0; i < PACKETS; i++) {
		send_one(bed, false);
		send_one(bed, true);
		small_world_live(&bed->world, 5000);
	}
	small_world_live(&bed->world, 100000000);
	assert_true(net_is_idle(bed->world.net));
	assert_int_equal(bed->world.counts.packets, 2 * PACKETS);
}

static struct bed bed;

static uint32_t missing(void)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < bed.sent; i++)
		count += bed.seen[i] == 0;
	return count;
}

static void builds_frames_as_the_rfcs_say(void **state)
{
	uint8_t payload[1440], frame[PACKET_ROOM];

	for (uint32_t i = 0; i < sizeof(payload); i++)
		payload[i] = (uint8_t)(i * 7 + i / 256);
	for (uint32_t bytes = 0; bytes <= sizeof(payload); bytes++) {
		struct packet_shape shape = {
			.from = 40000, .to = 7401, .payload_len = bytes, .payload = payload};
		struct net_packet packet = {
			.from = 0x0a010203, .to = 0x0a010204, .from_port = 40000, .to_port = 7401};
		struct net_packet read;

		memcpy(packet.frame + NET_HEADERS, payload, bytes);
		datagram_wrap(&packet, bytes);
		assert_int_equal(packet_build(frame, &shape), packet.frame_bytes);
		assert_memory_equal(packet.frame, frame, packet.frame_bytes);
		read = (struct net_packet){.frame_bytes = packet.frame_bytes};
		memcpy(read.frame, packet.frame, packet.frame_bytes);
		assert_true(datagram_read(&read));
		assert_memory_equal(&read, &packet, offsetof(struct net_packet, frame));
		if (bytes == 0)
			continue;
		read.frame[NET_HEADERS + bytes / 2] ^= 4;
		assert_false(datagram_read(&read));
		packet.frame_bytes--;
		assert_false(datagram_read(&packet));
	}
}

static void delivers_in_order_without_faults(void **state)
{
	for (uint64_t seed = 1; seed <= 30; seed++) {
		run(&bed, seed, 0);
		assert_int_equal(bed.came, 2 * PACKETS);
		assert_int_equal(bed.whole, 2 * PACKETS);
		assert_int_equal(missing(), 0);
		assert_int_equal(bed.overtaken, 0);
		assert_int_equal(bed.late, 0);
		for (uint32_t i = 0; i < WORLD_FAULT_COUNT; i++)
			assert_int_equal(bed.world.counts.fault[i], 0);
		close_bed(&bed);
	}
}

static void loses(void **state)
{
	for (uint64_t seed = 1; seed <= 20; seed++) {
		run(&bed, seed, FAULT(LOSS));
		assert_true(bed.world.counts.fault[WORLD_LOSS] > 0 || seed % 2);
		assert_int_equal(missing(), bed.world.counts.fault[WORLD_LOSS]);
		assert_int_equal(bed.overtaken, 0);
		close_bed(&bed);
	}
}

static void delivers_twice(void **state)
{
	for (uint64_t seed = 1; seed <= 20; seed++) {
		uint32_t twice = 0;

		run(&bed, seed, FAULT(TWICE));
		for (uint32_t i = 0; i < bed.sent; i++) {
			assert_in_range(bed.seen[i], 1, 2);
			twice += bed.seen[i] == 2;
		}
		assert_true(twice > 0 || seed % 2);
		assert_int_equal(twice, bed.world.counts.fault[WORLD_TWICE]);
		close_bed(&bed);
	}
}

static void overtakes(void **state)
{
	uint32_t runs = 0;

	for (uint64_t seed = 1; seed <= 40; seed++) {
		open_bed(&bed, seed, FAULT(REORDER));
		for (uint32_t i = 0; i < PACKETS; i++) {
			send_one(&bed, false);
			send_one(&bed, true);
		}
		small_world_live(&bed.world, 10000000);
		assert_int_equal(missing(), 0);
		assert_int_equal(bed.overtaken > 0, bed.world.counts.fault[WORLD_REORDER] > 0);
		runs += bed.overtaken > 0;
		close_bed(&bed);
	}
	assert_true(runs > 20); /* not of constant delay */
}

static void comes_late(void **state)
{
	uint32_t late = 0;

	for (uint64_t seed = 1; seed <= 20; seed++) {
		run(&bed, seed, FAULT(LATE));
		assert_int_equal(missing(), 0);
		assert_true(bed.late <= bed.world.counts.fault[WORLD_LATE]);
		late += bed.late;
		close_bed(&bed);
	}
	assert_true(late > 20);
	/* But not after the world has healed. */
	open_bed(&bed, 3, FAULT(LATE));
	for (uint32_t i = 0; i < PACKETS; i++)
		send_one(&bed, false);
	bed.world.healing = true;
	small_world_live(&bed.world, 5000);
	assert_true(net_is_idle(bed.world.net));
	small_world_live(&bed.world, 100000000);
	assert_true(bed.world.counts.fault[WORLD_LATE] > 0);
	assert_int_equal(missing(), bed.world.counts.fault[WORLD_LATE]);
	close_bed(&bed);
}

/* What comes through damaged is what the checksums cannot tell, and never another payload: take()
 * and at_client() look at each. */
static void damages(void **state)
{
	uint64_t harmless = 0, disguised = 0;

	for (uint64_t seed = 1; seed <= 60; seed++) {
		const struct net_stats *stats;
		uint64_t damaged;

		run(&bed, seed, FAULT(CORRUPT));
		stats = net_stats(bed.world.net);
		damaged = bed.world.counts.fault[WORLD_CORRUPT];
		assert_true(damaged > 0);
		assert_true(bed.refused > 0 || damaged < 50);
		assert_true(stats->refused > 0 || damaged < 50);
		assert_int_equal(bed.came + stats->refused, 2 * PACKETS);
		/* The node's port takes no frame that a host's stack would not take. */
		assert_true(missing() <= damaged);
		assert_true(missing() + stats->harmless >= damaged);
		harmless += stats->harmless;
		disguised += stats->disguised;
		close_bed(&bed);
	}
	assert_true(harmless > 10);
	assert_true(disguised > 10);
}

static void cuts_off(uint32_t fault, enum world_fault number)
{
	uint32_t one_way = 0, both_ways = 0, cut = 0;

	for (uint64_t seed = 1; seed <= 20; seed++) {
		run(&bed, seed, fault);
		assert_int_equal(missing(), bed.world.counts.fault[number]);
		cut += missing();
		/* Packets to and fro were sent at the same time. */
		for (uint32_t i = 0; i + 1 < bed.sent; i += 2) {
			one_way += bed.seen[i] != bed.seen[i + 1];
			both_ways += !bed.seen[i] && !bed.seen[i + 1];
		}
		close_bed(&bed);
	}
	assert_true(cut > 1000);
	if (number == WORLD_DEAF)
		assert_true(one_way > both_ways);
	else
		assert_true(one_way * 20 < both_ways);
}

static void parts(void **state)
{
	cuts_off(FAULT(PARTITION), WORLD_PARTITION);
}

static void deafens(void **state)
{
	cuts_off(FAULT(DEAF), WORLD_DEAF);
}

static void heals(void **state)
{
	open_bed(&bed, 11,
		 FAULT(LOSS) | FAULT(TWICE) | FAULT(CORRUPT) | FAULT(PARTITION) | FAULT(DEAF) |
			 FAULT(LATE) | FAULT(REORDER));
	for (uint32_t i = 0; i < PACKETS / 2; i++) {
		send_one(&bed, false);
		send_one(&bed, true);
		small_world_live(&bed.world, 5000);
	}
	bed.world.healing = true;
	small_world_live(&bed.world, 10000000);
	memset(bed.seen, 0, sizeof(bed.seen));
	for (uint32_t i = 0; i < PACKETS; i++)
		send_one(&bed, i % 2);
	small_world_live(&bed.world, 10000000);
	for (uint32_t i = PACKETS; i < 2 * PACKETS; i++)
		assert_int_equal(bed.seen[i], 1);
	close_bed(&bed);
}

static void is_the_same_again(void **state)
{
	uint32_t all = FAULT(LOSS) | FAULT(TWICE) | FAULT(CORRUPT) | FAULT(PARTITION) |
		       FAULT(DEAF) | FAULT(LATE) | FAULT(REORDER);
	uint64_t before = 0;

	for (uint64_t seed = 1; seed <= 10; seed++) {
		uint64_t trace;

		run(&bed, seed, all);
		trace = bed.world.trace;
		close_bed(&bed);
		run(&bed, seed, all);
		assert_true(trace == bed.world.trace);
		assert_true(trace != before);
		before = trace;
		close_bed(&bed);
	}
}

static void is_bounded(void **state)
{
	open_bed(&bed, 1, 0);
	for (uint32_t i = 0; i < NET_FLYING_MAX + 10; i++)
		net_send(bed.world.net, NET_FORGER, 1, NET_NODE + 7, 7400, "x", 1);
	assert_int_equal(net_stats(bed.world.net)->overflown, 10);
	small_world_live(&bed.world, 10000000);
	assert_int_equal(net_stats(bed.world.net)->unheard, NET_FLYING_MAX);
	/* And on it goes. */
	send_one(&bed, false);
	small_world_live(&bed.world, 10000000);
	assert_int_equal(bed.whole, 1);
	close_bed(&bed);
}

static void looks_at_the_nodes_frames(void **state)
{
	struct net_packet packet = {.from = NET_NODE, .to = NET_CLIENT, .from_port = 7400};

	open_bed(&bed, 1, 0);
	memset(packet.frame + NET_HEADERS, 5, 100);
	datagram_wrap(&packet, 100);
	packet.frame[NET_HEADERS + 3] ^= 1;
	if (setjmp(small_world_failed) == 0) {
		small_world_may_fail = true;
		net_send_frame(bed.world.net, packet.frame, packet.frame_bytes);
		fail();
	}
	assert_string_equal(small_world_rule, "broken frame");
	close_bed(&bed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(builds_frames_as_the_rfcs_say),
		cmocka_unit_test(delivers_in_order_without_faults),
		cmocka_unit_test(loses),
		cmocka_unit_test(delivers_twice),
		cmocka_unit_test(overtakes),
		cmocka_unit_test(comes_late),
		cmocka_unit_test(damages),
		cmocka_unit_test(parts),
		cmocka_unit_test(deafens),
		cmocka_unit_test(heals),
		cmocka_unit_test(is_the_same_again),
		cmocka_unit_test(is_bounded),
		cmocka_unit_test(looks_at_the_nodes_frames),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
