/* SPDX-License-Identifier: Apache-2.0 */
/*
 * forge.c - see forge.h. Somebody on the network who sends what nobody should: to the node from an
 * address of its own and from clients', to clients from the node's. It hears what others send.
 *
 * The protocol has no authentication yet (docs/wire.md): who knows the id of a live transaction may
 * open it (OPEN) and abort it, and who knows its instance too, or a request's id, speaks for its
 * owner. These are left out; what is sent here must change nothing for anybody else:
 *
 * I1. Requests with a new id: all may be wrong with them. They write and delete keys of their own
 *     only (FORGE_KEY), or never commit.
 * I2. Requests with an id of somebody's: byte for byte what he sent; or cut short, with the
 *     length it had in its header; or without OPEN and with an instance that is nobody's.
 *     None of these is an ABORT alone, for which the id is enough.
 * I3. Answers: with a request's id that is nobody's, or what was answered before, damaged so
 *     that it says nothing any more: a submit may fail by it (PROTOCOL), but not be misled.
 */
#include "tests/sim/world/forge.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <abaft/error.h>
#include <abaft/wire.h>

#include "client/packet.h"
#include "tests/sim/world/net.h"
#include "tests/sim/world/world.h"

#define HEARD	    64
#define FORGE_KEY   "forge:%u"
#define FORGE_KEYS  16
#define PACKETS_MAX 20000 /* of a run */
#define TWIST_OF    300	  /* packets, one */

/* A payload on its way from one to another. */
struct heard {
	uint32_t from, to, bytes;
	uint16_t from_port, to_port;
	uint8_t payload[ABAFT_PACKET_BYTES_MAX];
};

struct forge {
	struct world *world;
	struct event event;
	uint64_t pause_us;
	struct heard requests[HEARD], answers[HEARD];
	uint32_t requests_count, answers_count; /* ever heard */
	bool sending;				/* what is heard is its own */
};

struct forge *forge_create(struct world *world)
{
	struct forge *forge = calloc(1, sizeof(*forge));

	if (forge == NULL)
		abort();
	forge->world = world;
	return forge;
}

void forge_destroy(struct forge *forge)
{
	event_remove(&forge->world->events, &forge->event);
	free(forge);
}

static uint64_t roll(struct forge *forge, uint64_t limit)
{
	return world_roll(forge->world, STREAM_FORGE, limit);
}

static uint64_t roll_word(struct forge *forge)
{
	uint64_t high = roll(forge, UINT64_C(1) << 32);

	return high << 32 | roll(forge, UINT64_C(1) << 32);
}

static void roll_bytes(struct forge *forge, uint8_t *bytes, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++)
		bytes[i] = (uint8_t)roll(forge, 256);
}

/* I2 */
static bool is_abort_alone(const uint8_t *payload, uint32_t bytes)
{
	return payload[10] == 1 && payload[11] == 0 && bytes > sizeof(struct abaft_wire_header) &&
	       payload[sizeof(struct abaft_wire_header)] == ABAFT_OP_ABORT;
}

static struct heard *roll_heard(struct forge *forge, struct heard *heard, uint32_t count)
{
	return count ? &heard[roll(forge, count < HEARD ? count : HEARD)] : NULL;
}

/* To one of the node's ports, as a rule from the forger. */
static void send_request(struct forge *forge, const uint8_t *payload, uint32_t bytes)
{
	uint16_t from_port = (uint16_t)(1 + roll(forge, 65535));
	uint16_t to_port = (uint16_t)(NET_UDP_PORT + roll(forge, forge->world->plan.workers + 1));
	uint32_t from = NET_FORGER;

	if (roll(forge, 4) == 0)
		from = NET_CLIENT + (uint32_t)roll(forge, forge->world->plan.clients);
	net_send(forge->world->net, from, from_port, NET_NODE, to_port, payload, bytes);
}

static void send_garbage(struct forge *forge)
{
	uint8_t payload[ABAFT_PACKET_BYTES_MAX];
	uint32_t bytes = (uint32_t)roll(forge, sizeof(payload) + 1);

	if (roll(forge, 4) == 0)
		bytes = (uint32_t)roll(forge, 2 * sizeof(struct abaft_wire_header));
	roll_bytes(forge, payload, bytes);
	if (bytes >= 6 && roll(forge, 2))
		memcpy(payload, "ABFT\1\1", 6);
	send_request(forge, payload, bytes);
}

/* Now, as a rule; and whoever's id says something else does not commit (I1: it would make the node
 * forget others' outcomes). */
static bool roll_id(struct forge *forge, uint8_t id[16])
{
	uint64_t ms = forge->world->events.now_us / 1000;
	bool now = roll(forge, 8) != 0;

	if (!now)
		ms = roll(forge, 3) ? roll_word(forge) >> 16 : ms - 10000 + roll(forge, 20000);
	roll_bytes(forge, id, 16);
	for (int i = 0; i < 6; i++)
		id[i] = (uint8_t)(ms >> (40 - 8 * i));
	if (now || roll(forge, 2)) {
		id[6] = (uint8_t)(0x70 | (id[6] & 0x0f));
		id[8] = (uint8_t)(0x80 | (id[8] & 0x3f));
	}
	return now;
}

/* Of them the first go with any others. */
#define CODES	    9
#define CODES_PLAIN 4

/* False: it is full. */
static bool add_op(struct forge *forge, struct packet_writer *writer, uint32_t codes_count)
{
	static const uint8_t codes[CODES] = {ABAFT_OP_GET,    ABAFT_OP_PUT,	 ABAFT_OP_PUT,
					     ABAFT_OP_DELETE, ABAFT_OP_PUT_PART, ABAFT_OP_GET_PART,
					     ABAFT_OP_STATUS, ABAFT_OP_INFO,	 ABAFT_OP_APPEND};
	uint8_t data[600];
	char key[32];
	struct packet_op op = {.code = codes[roll(forge, codes_count)], .key = key};

	op.key_bytes =
		(uint16_t)snprintf(key, sizeof(key), FORGE_KEY, (unsigned)roll(forge, FORGE_KEYS));
	op.data_len = (uint32_t)roll(forge, sizeof(data));
	if (op.code == ABAFT_OP_PUT || op.code == ABAFT_OP_PUT_PART) {
		roll_bytes(forge, data, op.data_len);
		op.data = data;
		op.total = op.data_len;
	}
	if (op.code == ABAFT_OP_PUT_PART || op.code == ABAFT_OP_GET_PART) {
		op.offset = (uint32_t)roll(forge, 5000) * ABAFT_PART_BYTES;
		op.data_len = op.data_len / ABAFT_PART_BYTES * ABAFT_PART_BYTES;
		op.total = (uint32_t)roll(forge, 2 * ABAFT_VALUE_BYTES_MAX);
	}
	if (op.code == ABAFT_OP_STATUS || op.code == ABAFT_OP_INFO)
		op.key_bytes = 0;
	return packet_add(writer, &op);
}

/* A request of the forger's own; it may even be right. */
static uint32_t make_request(struct forge *forge, uint8_t payload[ABAFT_PACKET_BYTES_MAX])
{
	struct packet_header header = {.flags = ABAFT_FLAG_OPEN,
				       .request = roll_word(forge),
				       .step = (uint16_t)roll(forge, 3),
				       .attempt = (uint16_t)roll(forge, 3),
				       .seq = 1 + (uint32_t)roll(forge, 5),
				       .deadline_ms = 1 + (uint32_t)roll(forge, 3000)};
	uint32_t ops = 1 + (uint32_t)roll(forge, roll(forge, 4) ? 4 : ABAFT_OPS_MAX);
	struct packet_op end = {.code = roll(forge, 2) ? ABAFT_OP_COMMIT : ABAFT_OP_ABORT};
	uint32_t codes = roll(forge, 2) ? CODES_PLAIN : CODES;
	struct packet_writer writer;
	bool now = roll_id(forge, header.txn);

	packet_writer_begin(&writer, payload, ABAFT_PACKET_BYTES_MAX);
	while (ops > 0 && add_op(forge, &writer, codes))
		ops--;
	if (now && ops == 0 && roll(forge, 4) == 0 && packet_add(&writer, &end))
		header.deadline_ms = 0;
	return packet_writer_finish(&writer, &header);
}

/* Overwrites fields of the header and any bytes from the id on. But it stays short-lived: what
 * holds its place in the node for minutes is not wrong, and nobody else would get one (P7). */
static void spoil(struct forge *forge, uint8_t *payload, uint32_t bytes)
{
	static const uint8_t fields[] = {4,  5,	 6,  7,	 8,  9,	 10, 11, 14,
					 15, 40, 42, 44, 48, 56, 60, 64};
	uint32_t count = 1 + (uint32_t)roll(forge, 3);

	while (count-- > 0) {
		uint32_t at = fields[roll(forge, sizeof(fields))];

		if (roll(forge, 3) == 0) /* heads of operations, too */
			at = 24 + (uint32_t)roll(forge, bytes - 24);
		if (at >= 57 && at < 60) /* deadline */
			at = 56;
		payload[at] = roll(forge, 2) ? (uint8_t)roll(forge, 256)
					     : (uint8_t)(payload[at] ^ 1u << roll(forge, 8));
	}
}

static void send_made(struct forge *forge)
{
	uint8_t payload[ABAFT_PACKET_BYTES_MAX];
	uint32_t bytes = make_request(forge, payload);

	if (roll(forge, 2))
		spoil(forge, payload, bytes);
	if (roll(forge, 8) == 0)
		bytes = (uint32_t)roll(forge, bytes);
	send_request(forge, payload, bytes);
}

/* I2 */
static void twist_request(struct forge *forge, const struct heard *heard)
{
	uint8_t payload[ABAFT_PACKET_BYTES_MAX];
	uint64_t instance = roll_word(forge) | 1;
	uint32_t bytes;

	bytes = heard->bytes;
	memcpy(payload, heard->payload, bytes);
	switch (roll(forge, 4)) {
	case 0:
		net_send(forge->world->net, heard->from, heard->from_port, NET_NODE, heard->to_port,
			 payload, bytes);
		return;
	case 1:
		break;
	case 2:
		bytes = (uint32_t)roll(forge, bytes);
		break;
	default:
		payload[6] &= (uint8_t)~ABAFT_FLAG_OPEN;
		memcpy(payload + 48, &instance, sizeof(instance));
		for (uint32_t i = 0; i < 8; i++) /* step, attempt, seq */
			if (roll(forge, 4) == 0)
				payload[40 + i] = (uint8_t)roll(forge, 256);
		break;
	}
	send_request(forge, payload, bytes);
}

static void send_again(struct forge *forge)
{
	const struct heard *heard = roll_heard(forge, forge->requests, forge->requests_count);

	if (heard)
		twist_request(forge, heard);
}

/* What somebody sent, under another id (I1: it opens, writes others' keys, and never commits). */
static void send_copied(struct forge *forge)
{
	const struct heard *heard = roll_heard(forge, forge->requests, forge->requests_count);
	struct packet_writer writer;
	struct packet_header header = {.flags = ABAFT_FLAG_OPEN,
				       .request = roll_word(forge),
				       .seq = 1,
				       .deadline_ms = 1 + (uint32_t)roll(forge, 3000)};
	uint8_t payload[ABAFT_PACKET_BYTES_MAX];
	struct packet_op op = {.code = ABAFT_OP_PUT};
	uint32_t head = sizeof(struct abaft_wire_header) + sizeof(struct abaft_wire_op);

	if (heard == NULL || heard->bytes <= head)
		return;
	/* Its first operation's key, whatever it did with it. */
	op.key_bytes = (uint16_t)(heard->payload[82] | heard->payload[83] << 8);
	if (op.key_bytes == 0 || op.key_bytes > heard->bytes - head)
		return;
	op.key = heard->payload + head;
	op.data = heard->payload;
	op.data_len = op.total = (uint32_t)roll(forge, 200);
	if (op.data_len > heard->bytes)
		op.data_len = op.total = heard->bytes;
	(void)roll_id(forge, header.txn);
	packet_writer_begin(&writer, payload, sizeof(payload));
	if (packet_add(&writer, &op))
		send_request(forge, payload, packet_writer_finish(&writer, &header));
}

/* A refusal, or another result than the node's: well-formed, and worse if
 * anybody believes it. Returns its bytes. */
static uint32_t lie(struct forge *forge, uint8_t *payload, uint32_t bytes)
{
	const uint32_t head = sizeof(struct abaft_wire_header);
	const uint32_t result = sizeof(struct abaft_wire_result);

	if (bytes < head + result || roll(forge, 4) == 0) {
		payload[6] = ABAFT_FLAG_REFUSED;
		payload[10] = payload[11] = 0;
		payload[12] = (uint8_t)(1 + roll(forge, 21));
		payload[8] = (uint8_t)head;
		payload[9] = 0;
		return head;
	}
	if (roll(forge, 2)) /* the first result's status */
		payload[head + 2] = (uint8_t)(roll(forge, 2) ? ABAFT_NOT_FOUND : roll(forge, 22));
	if (bytes > head + result) /* something of a value, perhaps */
		payload[head + result + roll(forge, bytes - head - result)] ^= 0x55;
	return bytes;
}

/* I3 */
static void twist_answer(struct forge *forge, const struct heard *heard)
{
	uint8_t payload[ABAFT_PACKET_BYTES_MAX];
	uint32_t from = NET_NODE, bytes;

	bytes = heard->bytes;
	memcpy(payload, heard->payload, bytes);
	switch (roll(forge, 7)) {
	case 0: /* nobody's request */
		roll_bytes(forge, payload + 20, 4);
		bytes = lie(forge, payload, bytes);
		break;
	case 1: /* no answer */
		payload[5] = (uint8_t)(roll(forge, 2) ? ABAFT_KIND_REQUEST : 3 + roll(forge, 200));
		break;
	case 2: /* its length is another */
		bytes = (uint32_t)roll(forge, bytes);
		break;
	case 3: /* another transaction's */
		roll_bytes(forge, payload + 24, 16);
		bytes = lie(forge, payload, bytes);
		break;
	case 4: /* results are missing, and the length is right */
		if (payload[10] == 0 && payload[11] == 0)
			return;
		bytes = sizeof(struct abaft_wire_header);
		payload[8] = (uint8_t)bytes;
		payload[9] = 0;
		break;
	case 5: /* again, from somebody else */
		from = NET_FORGER;
		break;
	default:
		roll_bytes(forge, payload, bytes);
		break;
	}
	net_send(forge->world->net, from, heard->from_port, heard->to, heard->to_port, payload,
		 bytes);
}

static void send_answer(struct forge *forge)
{
	const struct heard *heard = roll_heard(forge, forge->answers, forge->answers_count);

	if (heard)
		twist_answer(forge, heard);
}

static void count(struct forge *forge, uint64_t packets_before)
{
	if (forge->world->counts.packets > packets_before)
		world_fault(forge->world, WORLD_FORGE);
}

/* net_receive_fn: keeps some of what it hears, the first ones of a run for long. Now and then what
 * it hears is overtaken by something that looks like it. */
static void hear(void *arg, const struct net_packet *packet)
{
	struct forge *forge = arg;
	bool answer = packet->from == NET_NODE;
	uint32_t *heard_count = answer ? &forge->answers_count : &forge->requests_count;
	struct heard *list = answer ? forge->answers : forge->requests, *heard;
	uint64_t packets = forge->world->counts.packets;
	bool twist = roll(forge, TWIST_OF) == 0;

	if (packet->payload_bytes < sizeof(struct abaft_wire_header) ||
	    packet->payload_bytes > ABAFT_PACKET_BYTES_MAX || forge->sending ||
	    !world_has(forge->world, WORLD_FORGE) ||
	    (!answer && is_abort_alone(packet->frame + packet->payload, packet->payload_bytes)) ||
	    (*heard_count >= HEARD / 2 && !twist && roll(forge, 8)))
		return;
	heard = &list[*heard_count < HEARD ? *heard_count
					   : HEARD / 4 + roll(forge, HEARD - HEARD / 4)];
	++*heard_count;
	*heard = (struct heard){packet->from,	   packet->to,	    packet->payload_bytes,
				packet->from_port, packet->to_port, {0}};
	memcpy(heard->payload, packet->frame + packet->payload, packet->payload_bytes);
	if (!twist)
		return;
	forge->sending = true;
	(answer ? twist_answer : twist_request)(forge, heard);
	forge->sending = false;
	count(forge, packets);
}

static void send_frame(struct forge *forge)
{
	uint8_t frame[NET_PACKET_MAX], payload[ABAFT_PACKET_BYTES_MAX];
	uint32_t bytes = make_request(forge, payload);

	if (bytes > FORGE_FRAME_PAYLOAD_MAX)
		bytes = FORGE_FRAME_PAYLOAD_MAX;
	bytes = forge_frame(forge->world, payload, bytes, frame);
	net_inject(forge->world->net, NET_NODE, frame, bytes);
}

static void forges(void *arg)
{
	static void (*const kinds[])(struct forge *) = {send_garbage, send_made,   send_made,
							send_again,   send_again,  send_copied,
							send_answer,  send_answer, send_frame};
	struct forge *forge = arg;
	struct events *events = &forge->world->events;
	uint64_t packets = forge->world->counts.packets;

	if (!world_has(forge->world, WORLD_FORGE))
		return;
	forge->sending = true;
	kinds[roll(forge, sizeof(kinds) / sizeof(kinds[0]))](forge);
	forge->sending = false;
	count(forge, packets);
	event_set(events, &forge->event, events->now_us + roll(forge, 2 * forge->pause_us), forges,
		  forge);
}

void forge_begin(struct forge *forge)
{
	struct world *world = forge->world;
	uint64_t least_us = world->plan.length_us / PACKETS_MAX;

	if (!world_has(world, WORLD_FORGE))
		return;
	forge->pause_us = UINT64_C(100) << roll(forge, 9);
	if (forge->pause_us < least_us)
		forge->pause_us = least_us;
	net_tap(world->net, hear, forge);
	event_set(&world->events, &forge->event, world->events.now_us, forges, forge);
}
