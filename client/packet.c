/* SPDX-License-Identifier: Apache-2.0 */
/*
 * packet.c - the bytes of wire protocol v1, as a client writes and reads them.
 *
 * I1. What is written is always a whole packet: an operation that does not fit changes nothing.
 * I2. Nothing of an answer is read but through take(), which never passes the packet's end; no
 *     length out of a packet is added to anything before it was compared with what is left.
 */
#include <stddef.h>
#include <string.h>

#include "client/packet.h"

static void put16(uint8_t *to, uint16_t value)
{
	to[0] = (uint8_t)value;
	to[1] = (uint8_t)(value >> 8);
}

static void put32(uint8_t *to, uint32_t value)
{
	put16(to, (uint16_t)value);
	put16(to + 2, (uint16_t)(value >> 16));
}

static void put64(uint8_t *to, uint64_t value)
{
	put32(to, (uint32_t)value);
	put32(to + 4, (uint32_t)(value >> 32));
}

static uint16_t get16(const uint8_t *from)
{
	return (uint16_t)(from[0] | from[1] << 8);
}

static uint32_t get32(const uint8_t *from)
{
	return get16(from) | (uint32_t)get16(from + 2) << 16;
}

static uint64_t get64(const uint8_t *from)
{
	return get32(from) | (uint64_t)get32(from + 4) << 32;
}

void packet_writer_begin(struct packet_writer *writer, uint8_t *buf, uint32_t max)
{
	writer->buf = buf;
	writer->max = max;
	writer->len = sizeof(struct abaft_wire_header);
	writer->ops = 0;
}

bool packet_add(struct packet_writer *writer, const struct packet_op *op)
{
	uint32_t data_bytes = op->data ? op->data_len : 0;
	uint32_t head_bytes = (uint32_t)sizeof(struct abaft_wire_op) + op->key_bytes;
	uint32_t room = writer->max - writer->len;
	struct abaft_wire_op head = {.code = op->code};
	uint8_t *to = writer->buf + writer->len;

	if (head_bytes > room || data_bytes > room - head_bytes)
		return false;
	put16(head.key_len, op->key_bytes);
	put32(head.total, op->total);
	put32(head.offset, op->offset);
	put32(head.data_len, op->data_len);
	memcpy(to, &head, sizeof(head));
	if (op->key_bytes)
		memcpy(to + sizeof(head), op->key, op->key_bytes);
	if (data_bytes)
		memcpy(to + head_bytes, op->data, data_bytes);
	writer->len += head_bytes + data_bytes;
	writer->ops++;
	return true;
}

uint32_t packet_writer_finish(struct packet_writer *writer, const struct packet_header *header)
{
	struct abaft_wire_header head = {
		.version = ABAFT_WIRE_VERSION,
		.kind = ABAFT_KIND_REQUEST,
	};

	put32(head.magic, ABAFT_WIRE_MAGIC);
	put16(head.flags, header->flags);
	put16(head.length, (uint16_t)writer->len);
	put16(head.ops, writer->ops);
	put16(head.workers, header->workers);
	put64(head.request, header->request);
	memcpy(head.txn, header->txn, sizeof(head.txn));
	put16(head.step, header->step);
	put16(head.attempt, header->attempt);
	put32(head.seq, header->seq);
	put64(head.instance, header->instance);
	put32(head.deadline_ms, header->deadline_ms);
	memcpy(writer->buf, &head, sizeof(head));
	return writer->len;
}

/* The next `bytes` bytes, or NULL if fewer are left. */
static const uint8_t *take(struct packet_cursor *cursor, uint32_t bytes)
{
	const uint8_t *at = cursor->at;

	if (bytes > (size_t)(cursor->end - at))
		return NULL;
	cursor->at += bytes;
	return at;
}

enum packet_fault packet_open(struct packet_cursor *cursor, struct packet_header *header,
			      const uint8_t *bytes, uint32_t len)
{
	const struct abaft_wire_header *head;

	cursor->at = bytes;
	cursor->end = bytes + len;
	head = (const struct abaft_wire_header *)take(cursor, sizeof(*head));
	if (!head)
		return PACKET_SHORT;
	if (get32(head->magic) != ABAFT_WIRE_MAGIC)
		return PACKET_MAGIC;
	if (head->version != ABAFT_WIRE_VERSION)
		return PACKET_VERSION;
	if (head->kind != ABAFT_KIND_ANSWER)
		return PACKET_KIND;
	if (get16(head->length) != len)
		return PACKET_LENGTH;
	header->flags = get16(head->flags);
	if (header->flags & ~ABAFT_FLAG_REFUSED) /* OPEN is a request's */
		return PACKET_FLAGS;
	header->ops = get16(head->ops);
	header->status = get16(head->status);
	header->workers = get16(head->workers);
	header->request = get64(head->request);
	memcpy(header->txn, head->txn, sizeof(header->txn));
	header->step = get16(head->step);
	header->attempt = get16(head->attempt);
	header->seq = get32(head->seq);
	header->instance = get64(head->instance);
	header->deadline_ms = get32(head->deadline_ms);
	if (header->flags & ABAFT_FLAG_REFUSED ? !header->status || header->ops : header->status)
		return PACKET_REFUSED;
	return PACKET_OK;
}

enum packet_fault packet_next(struct packet_cursor *cursor, struct packet_result *result)
{
	const struct abaft_wire_result *head;

	head = (const struct abaft_wire_result *)take(cursor, sizeof(*head));
	if (!head)
		return PACKET_RESULT;
	result->code = head->code;
	result->flags = head->flags;
	result->status = get16(head->status);
	result->total = get32(head->total);
	result->offset = get32(head->offset);
	result->data_len = get32(head->data_len);
	result->time = get64(head->time);
	result->origin = get32(head->origin);
	result->data = take(cursor, result->data_len);
	return result->data ? PACKET_OK : PACKET_RESULT;
}

enum packet_fault packet_close(const struct packet_cursor *cursor)
{
	return cursor->at == cursor->end ? PACKET_OK : PACKET_TRAILER;
}
