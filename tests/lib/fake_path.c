/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fake_path.c - the path of fake_path.h.
 */
#include <stdlib.h>
#include <string.h>

#include "tests/lib/fake_path.h"

struct fake_path *fake_path_create(uint32_t txns, uint32_t window, uint32_t packet_bytes)
{
	struct fake_path *path = calloc(1, sizeof(*path));

	if (!path)
		abort();
	path->shared = (struct txn_shared){.timeout_us = 5000000,
					   .resend_us = 5000,
					   .window = window,
					   .packet_bytes = packet_bytes,
					   .workers = 1,
					   .random = 0x9e3779b97f4a7c15,
					   .flights_max = txns * window};
	path->shared.flights = calloc(path->shared.flights_max, sizeof(*path->shared.flights));
	path->txns = calloc(txns, sizeof(*path->txns));
	path->txns_count = txns;
	if (!path->shared.flights || !path->txns ||
	    timers_create(&path->shared.timers, path->shared.flights_max + txns))
		abort();
	txn_setup(&path->shared, path->txns, txns);
	path->node = fake_node_create(1);
	path->now_us = 1000000;
	path->random = 1;
	path->delay_us = 50;
	return path;
}

void fake_path_destroy(struct fake_path *path)
{
	for (uint32_t i = 0; i < path->txns_count; i++) {
		if (path->txns[i].state != TXN_FREE)
			txn_drop(&path->txns[i]);
		txn_destroy(&path->txns[i]);
	}
	timers_destroy(&path->shared.timers);
	free(path->shared.flights);
	free(path->txns);
	fake_node_destroy(path->node);
	free(path);
}

static uint32_t draw(struct fake_path *path, uint32_t below)
{
	path->random = path->random * 6364136223846793005ull + 1442695040888963407ull;
	return below ? (uint32_t)(path->random >> 33) % below : 0;
}

static void post_once(struct fake_path *path, bool to_node, const uint8_t *data, uint32_t bytes)
{
	struct fake_packet *packet = path->packets;

	while (packet->due_us)
		packet++; /* the tests keep far below FAKE_PACKETS_MAX */
	packet->due_us = path->now_us + path->delay_us + draw(path, path->spread_us);
	packet->to_node = to_node;
	packet->bytes = bytes;
	memcpy(packet->data, data, bytes);
	if (!to_node && draw(path, 1000) < path->corrupt_permille)
		packet->data[draw(path, bytes)] ^= (uint8_t)(1 + draw(path, 255));
}

static void post(struct fake_path *path, bool to_node, const uint8_t *data, uint32_t bytes)
{
	if (draw(path, 1000) < path->lose_permille)
		return;
	post_once(path, to_node, data, bytes);
	if (draw(path, 1000) < path->twice_permille)
		post_once(path, to_node, data, bytes);
}

static void send_flight(struct fake_path *path, struct txn_flight *flight)
{
	uint8_t bytes[ABAFT_PACKET_BYTES_MAX];
	uint32_t len = txn_encode(flight, bytes);

	txn_sent(flight, path->now_us);
	path->sent++;
	if (flight->txn->flying > path->flying_most)
		path->flying_most = flight->txn->flying;
	if (!flight->len && flight->txn->flying > 1)
		path->node->fault = "an ordered packet beside another";
	post(path, true, bytes, len);
}

static void send_all(struct fake_path *path)
{
	struct txn_shared *shared = &path->shared;

	while (!link_alone(&shared->resend))
		send_flight(path, link_owner(shared->resend.next, struct txn_flight, link));
	while (!link_alone(&shared->ready)) {
		struct abaft_txn *txn = link_owner(shared->ready.next, struct abaft_txn, link);
		struct txn_flight *flight = txn_next(txn);

		if (flight)
			send_flight(path, flight);
	}
}

static void arrive(struct fake_path *path, struct fake_packet *packet)
{
	uint8_t out[ABAFT_PACKET_BYTES_MAX];
	struct packet_header header;
	struct packet_cursor cursor;
	struct txn_flight *flight = NULL;
	uint32_t bytes;

	packet->due_us = 0;
	if (packet->to_node) {
		bytes = fake_node_handle(path->node, packet->data, packet->bytes, out);
		if (bytes)
			post(path, false, out, bytes);
		return;
	}
	if (packet->bytes > path->answer_bytes_most)
		path->answer_bytes_most = packet->bytes;
	if (packet_open(&cursor, &header, packet->data, packet->bytes) == PACKET_OK)
		flight = txn_flight_of(&path->shared, &header);
	if (flight)
		txn_answer(flight, &header, &cursor, path->now_us);
	else
		path->ignored++;
}

bool fake_path_step(struct fake_path *path)
{
	const struct timer *timer;
	struct fake_packet *packet = NULL;

	send_all(path);
	for (uint32_t i = 0; i < FAKE_PACKETS_MAX; i++) {
		if (path->packets[i].due_us &&
		    (!packet || path->packets[i].due_us < packet->due_us))
			packet = &path->packets[i];
	}
	timer = timers_first(&path->shared.timers);
	if (!packet && !timer)
		return false;
	if (packet && (!timer || packet->due_us <= timer->due_us)) {
		path->now_us = packet->due_us;
		arrive(path, packet);
	} else {
		if (timer->due_us > path->now_us)
			path->now_us = timer->due_us;
		txn_timer(&path->shared, timers_first(&path->shared.timers));
	}
	send_all(path);
	return true;
}

struct abaft_txn *fake_path_begin(struct fake_path *path, uint32_t i,
				  const struct abaft_begin *begin)
{
	struct abaft_txn *txn = &path->txns[i];
	struct abaft_id id;

	abaft_id_new(&id);
	if (txn_take_up(txn, begin, &id))
		abort();
	return txn;
}

int fake_path_run(struct fake_path *path, struct abaft_txn *txn)
{
	int err = txn_start(txn, path->now_us);

	if (err)
		return err;
	while (txn->state == TXN_RUNNING && fake_path_step(path))
		;
	link_remove(&txn->link);
	txn->state = TXN_IDLE;
	return txn->err;
}
