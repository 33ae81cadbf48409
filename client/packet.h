/* SPDX-License-Identifier: Apache-2.0 */
/*
 * packet.h - requests into bytes, and the bytes of answers into structs.
 *
 * Pure: buffers in, structs out. Answers are untrusted, every byte of them is read through a
 * bounds-checked cursor; wire.h has the layout.
 */
#ifndef ABAFT_CLIENT_PACKET_H
#define ABAFT_CLIENT_PACKET_H

#include <stdbool.h>
#include <stdint.h>

#include <abaft/wire.h>

/* What the headers of requests and answers say, in host byte order. */
struct packet_header {
	uint16_t flags;
	uint16_t ops;
	uint16_t status;
	uint16_t workers; /* request: the largest answer wanted, 0 = any */
	uint64_t request;
	uint8_t txn[16];
	uint16_t step, attempt;
	uint32_t seq;
	uint64_t instance;
	uint32_t deadline_ms;
};

/* One operation to send. */
struct packet_op {
	uint8_t code;
	uint16_t key_bytes;
	uint32_t total, offset;
	uint32_t data_len; /* bytes of `data`, or bytes wanted when it is NULL */
	const void *key;
	const void *data;
};

/* One result received; `data` points into the packet. */
struct packet_result {
	uint8_t code, flags;
	uint16_t status;
	uint32_t total, offset, data_len;
	uint64_t time;
	uint32_t origin;
	const uint8_t *data;
};

/* A request under construction. */
struct packet_writer {
	uint8_t *buf;
	uint32_t len, max;
	uint16_t ops;
};

/* Begins a request in `buf`; `max` is at least the header's size. */
void packet_writer_begin(struct packet_writer *writer, uint8_t *buf, uint32_t max);
/* False, and nothing changed, if there is no room. */
bool packet_add(struct packet_writer *writer, const struct packet_op *op)
	__attribute__((warn_unused_result));
/* Fills the header (kind REQUEST; ops and length are the writer's own). Returns the bytes. */
uint32_t packet_writer_finish(struct packet_writer *writer, const struct packet_header *header);

struct packet_cursor {
	const uint8_t *at, *end;
};

/* Why an answer cannot be read. */
enum packet_fault {
	PACKET_OK,
	PACKET_SHORT, /* no whole header */
	PACKET_MAGIC,
	PACKET_VERSION,
	PACKET_KIND,	/* no answer */
	PACKET_LENGTH,	/* other than what was received */
	PACKET_FLAGS,	/* unknown ones */
	PACKET_REFUSED, /* refused without a reason, or with results */
	PACKET_RESULT,	/* a result ends beyond the packet */
	PACKET_TRAILER, /* bytes after the last result */
};

/* Reads an answer's header; the cursor then stands at the first result. */
enum packet_fault packet_open(struct packet_cursor *cursor, struct packet_header *header,
			      const uint8_t *bytes, uint32_t len)
	__attribute__((warn_unused_result));
enum packet_fault packet_next(struct packet_cursor *cursor, struct packet_result *result)
	__attribute__((warn_unused_result));
/* After the last result. */
enum packet_fault packet_close(const struct packet_cursor *cursor)
	__attribute__((warn_unused_result));

#endif
