/* SPDX-License-Identifier: Apache-2.0 */
/*
 * request.h - the benchmark peer's transactions: builds them as frames, judges their answers.
 *
 * Every transaction is one packet: OPEN, its operations, COMMIT. Keys are 16 bytes, values begin
 * with their key's number, so that an answer's values can be checked. UDP checksums are right.
 */
#ifndef ABAFT_BENCH_REQUEST_H
#define ABAFT_BENCH_REQUEST_H

#include <stdbool.h>
#include <stdint.h>

#include <abaft/wire.h>

#define REQUEST_HEADERS	    42 /* Ethernet, IPv4, UDP */
#define REQUEST_FRAME_BYTES (REQUEST_HEADERS + ABAFT_PACKET_BYTES_MAX)
#define REQUEST_OPS_MAX	    8
#define REQUEST_STATUSES    64

struct request_shape {
	uint8_t code;	      /* ABAFT_OP_GET or ABAFT_OP_PUT */
	uint32_t ops;	      /* of it, before the COMMIT */
	uint32_t value_bytes; /* at least 8 */
	uint8_t from[4];
	uint8_t to[4];
	uint16_t port;
	uint8_t frame[REQUEST_FRAME_BYTES]; /* the template, by request_shape_make() */
	uint32_t frame_bytes;
};

/* A transaction in flight. */
struct request {
	uint64_t number;
	uint64_t sent_tsc;
	uint8_t id[16];
	uint64_t key[REQUEST_OPS_MAX];
	bool waiting;
};

enum request_verdict {
	REQUEST_OK,	 /* every status OK, every value the right one */
	REQUEST_REFUSED, /* a status other than OK: it is counted in `statuses` */
	REQUEST_WRONG,	 /* OK, but not what was asked for, or a broken checksum */
};

/* Fills the template in. False when the operations do not fit a packet. */
bool request_shape_make(struct request_shape *shape);
/* Writes the frame of a transaction whose id, number and keys are set. */
void request_build(const struct request_shape *shape, const struct request *request,
		   uint8_t *frame);
/* The request number that an answer bears, UINT64_MAX if the frame is no answer. */
uint64_t request_answered(const uint8_t *frame, uint32_t bytes);
/* Judges the answer to a request; `sum`: verifies the UDP checksum, too. */
enum request_verdict request_judge(const struct request_shape *shape, const struct request *request,
				   const uint8_t *frame, uint32_t bytes, bool sum,
				   uint64_t statuses[REQUEST_STATUSES]);

#endif
