/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fake_node.h - a node as docs/wire.md describes it, for tests of the client: a request in, an
 * answer out. It keeps values in plain lists, is strict about requests, and misbehaves where a test
 * asks.
 *
 * It shares no code with the node or the client, so that an error in either is seen.
 */
#ifndef ABAFT_TESTS_FAKE_NODE_H
#define ABAFT_TESTS_FAKE_NODE_H

#include <stdbool.h>
#include <stdint.h>

#include <abaft/abaft.h>
#include <abaft/wire.h>

/* A value of a key, committed or in a transaction's buffer; never changed once whole. */
struct fake_value {
	struct fake_value *next; /* older */
	char key[ABAFT_KEY_BYTES_MAX];
	uint16_t key_bytes;
	bool deleted;
	uint64_t number; /* buffered: step, attempt, seq */
	struct abaft_version version;
	uint32_t total, granules_missing;
	uint8_t *bytes;
	bool have[ABAFT_PARTS_MAX];
};

struct fake_txn {
	struct fake_txn *next;
	uint8_t id[16];
	uint64_t instance; /* 0: the node forgot it */
	int outcome;	   /* OK: open; COMMITTED; ABORTED */
	struct abaft_version version;
	struct fake_value *writes;
};

/* What was seen of a request. */
struct fake_seen {
	uint16_t flags, ops;
	uint64_t request, instance;
	uint32_t seq, bytes;
	uint16_t step, attempt, port;
	uint8_t codes[ABAFT_OPS_MAX];
	uint32_t offset, data_len; /* of the first operation */
};

#define FAKE_SEEN_MAX 8192

struct fake_node {
	uint16_t workers;
	uint64_t instances, clock;
	struct fake_value *values;
	struct fake_txn *txns;
	/* Misbehaviour: the next `refusals` requests are refused with `refuse`; operations with
	 * code `fail_code` fail with `fail_status`, `fails` times. */
	uint32_t refusals, fails;
	uint16_t refuse, fail_status;
	uint8_t fail_code;
	uint16_t get_bytes_max; /* a GET's answer carries at most this; 0: what fits */
	const char *info;
	/* What went wrong with requests, in words; NULL: nothing. */
	const char *fault;
	uint32_t seen_count;
	struct fake_seen seen[FAKE_SEEN_MAX];
};

struct fake_node *fake_node_create(uint16_t workers);
void fake_node_destroy(struct fake_node *node);
/* Everything open is lost, what was committed and how ids ended is kept. */
void fake_node_restart(struct fake_node *node);
/* Returns the answer's bytes in `out` (ABAFT_PACKET_BYTES_MAX); 0: none. */
uint32_t fake_node_handle(struct fake_node *node, const uint8_t *in, uint32_t bytes, uint8_t *out);
/* The newest committed value, or NULL. */
const struct fake_value *fake_node_value(const struct fake_node *node, const char *key);
/* Commits a value on the node's side. */
void fake_node_store(struct fake_node *node, const char *key, const void *bytes, uint32_t total);
uint32_t fake_node_commits(const struct fake_node *node);

#endif
