/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fake_path.h - drives the client's pure transactions against a fake node, in made-up time.
 *
 * No socket, no thread, no clock: the path holds packets in both directions and moves its own time
 * to the next thing that happens. Everything that goes wrong is drawn from `random`, so a failure
 * repeats with its seed.
 */
#ifndef ABAFT_TESTS_FAKE_PATH_H
#define ABAFT_TESTS_FAKE_PATH_H

#include "client/txn.h"
#include "tests/lib/fake_node.h"

#define FAKE_PACKETS_MAX 4096

struct fake_packet {
	uint64_t due_us; /* 0: no packet */
	bool to_node;
	uint32_t bytes;
	uint8_t data[ABAFT_PACKET_BYTES_MAX];
};

struct fake_path {
	struct txn_shared shared;
	struct abaft_txn *txns;
	uint32_t txns_count;
	struct fake_node *node;
	uint64_t now_us, random;
	/* What goes wrong: */
	uint32_t lose_permille, twice_permille, corrupt_permille;
	uint32_t delay_us; /* each way; a packet takes up to as much again, so packets pass */
	uint32_t spread_us;
	/* What was seen: */
	uint32_t sent, ignored, flying_most, answer_bytes_most;
	struct fake_packet packets[FAKE_PACKETS_MAX];
};

struct fake_path *fake_path_create(uint32_t txns, uint32_t window, uint32_t packet_bytes);
void fake_path_destroy(struct fake_path *path);
/* Begins transaction `i`. */
struct abaft_txn *fake_path_begin(struct fake_path *path, uint32_t i,
				  const struct abaft_begin *begin);
/* Submits and drives all until this one has ended; returns its error. */
int fake_path_run(struct fake_path *path, struct abaft_txn *txn);
/* One step: everything that is due now, then on to the next. False: nothing will happen. */
bool fake_path_step(struct fake_path *path);

#endif
