/* SPDX-License-Identifier: Apache-2.0 */
/*
 * core_packet.h - requests built and answers read by hand, for tests of the core.
 *
 * The builder checks nothing, so that a test can also make what a client never would; it knows the
 * wire format from wire.h alone and shares no code with the node or the client. The reader trusts
 * nothing: an answer that is not well-formed does not open, or ends early.
 */
#ifndef ABAFT_TESTS_CORE_PACKET_H
#define ABAFT_TESTS_CORE_PACKET_H

#include <stdbool.h>
#include <stdint.h>

#include <abaft/wire.h>

/* Room beyond what is allowed, for packets that are too large. */
#define PACKET_ROOM 4096

struct packet {
	uint8_t bytes[PACKET_ROOM];
	uint32_t used;
	uint32_t ops;
	bool cut; /* an operation did not fit and was left out */
};

/* A UUIDv7 of that millisecond; `number` tells ids apart, `owner` are the 32 bits that choose the
 * worker (node_owner()). */
void packet_id(uint8_t id[16], uint64_t ms, uint64_t number, uint32_t owner);

/* flags: ABAFT_FLAG_OPEN or 0. The request id is `seq`. */
void packet_begin(struct packet *p, const uint8_t id[16], uint64_t instance, uint16_t step,
		  uint16_t attempt, uint32_t seq, uint16_t flags);
void packet_deadline(struct packet *p, uint32_t deadline_ms);
/* The largest answer to send back. */
void packet_answer_max(struct packet *p, uint16_t bytes);
/* An operation as its head says it; `data_len` may differ from what is carried. */
void packet_op(struct packet *p, const struct abaft_wire_op *head, const void *key,
	       uint32_t key_bytes, const void *data, uint32_t data_bytes);
/* wanted: bytes of value to send, 0: what fits. */
void packet_get(struct packet *p, const void *key, uint16_t key_bytes, uint32_t wanted);
void packet_get_part(struct packet *p, const void *key, uint16_t key_bytes, uint32_t offset,
		     uint32_t wanted);
void packet_put(struct packet *p, const void *key, uint16_t key_bytes, const void *value,
		uint32_t value_bytes);
void packet_put_part(struct packet *p, const void *key, uint16_t key_bytes, uint32_t total,
		     uint32_t offset, const void *data, uint32_t data_bytes);
void packet_delete(struct packet *p, const void *key, uint16_t key_bytes);
void packet_commit(struct packet *p);
void packet_abort(struct packet *p);
void packet_status(struct packet *p);
void packet_info(struct packet *p, uint32_t offset);
/* Writes length and count; returns the bytes of the packet. */
uint32_t packet_finish(struct packet *p);

/* An answer and the place of its next result. */
struct reply {
	const uint8_t *at, *end;
	uint16_t flags, status, workers, ops, left;
	uint64_t request, instance;
	uint8_t txn[16];
};

struct reply_result {
	const uint8_t *data;
	uint64_t time;
	uint32_t origin;
	uint32_t total, offset, data_bytes;
	uint16_t status;
	uint8_t code, flags;
};

/* False when the header is not an answer's, or lengths disagree. */
bool reply_open(struct reply *reply, const uint8_t *bytes, uint32_t n);
/* The next result; false when there is none left, or it overruns the answer. */
bool reply_next(struct reply *reply, struct reply_result *result);
/* All results were read and nothing is left over. */
bool reply_ended(const struct reply *reply);

#endif
