/* SPDX-License-Identifier: Apache-2.0 */
/* core_packet.c - see core_packet.h. */
#include "tests/lib/core_packet.h"

#include <string.h>

static void put_le(uint8_t *to, uint64_t value, uint32_t bytes)
{
	for (uint32_t i = 0; i < bytes; i++)
		to[i] = (uint8_t)(value >> (8 * i));
}

static uint64_t get_le(const uint8_t *from, uint32_t bytes)
{
	uint64_t value = 0;

	for (uint32_t i = bytes; i-- > 0;)
		value = value << 8 | from[i];
	return value;
}

static struct abaft_wire_header *header(struct packet *p)
{
	return (void *)p->bytes;
}

void packet_id(uint8_t id[16], uint64_t ms, uint64_t number, uint32_t owner)
{
	for (uint32_t i = 0; i < 6; i++)
		id[i] = (uint8_t)(ms >> (40 - 8 * i));
	id[6] = 0x70 | (uint8_t)(number >> 32 & 15);
	id[7] = (uint8_t)(number >> 24);
	id[8] = 0x80 | (uint8_t)(number >> 36 & 63);
	id[9] = (uint8_t)(number >> 16);
	id[10] = (uint8_t)(number >> 8);
	id[11] = (uint8_t)number;
	for (uint32_t i = 0; i < 4; i++)
		id[12 + i] = (uint8_t)(owner >> (24 - 8 * i));
}

void packet_begin(struct packet *p, const uint8_t id[16], uint64_t instance, uint16_t step,
		  uint16_t attempt, uint32_t seq, uint16_t flags)
{
	struct abaft_wire_header *h = header(p);

	memset(h, 0, sizeof(*h));
	memcpy(h->magic, "ABFT", 4);
	h->version = ABAFT_WIRE_VERSION;
	h->kind = ABAFT_KIND_REQUEST;
	put_le(h->flags, flags, 2);
	put_le(h->request, seq, 8);
	memcpy(h->txn, id, 16);
	put_le(h->step, step, 2);
	put_le(h->attempt, attempt, 2);
	put_le(h->seq, seq, 4);
	put_le(h->instance, instance, 8);
	p->used = sizeof(*h);
	p->ops = 0;
	p->cut = false;
}

void packet_deadline(struct packet *p, uint32_t deadline_ms)
{
	put_le(header(p)->deadline_ms, deadline_ms, 4);
}

void packet_answer_max(struct packet *p, uint16_t bytes)
{
	put_le(header(p)->workers, bytes, 2);
}

void packet_op(struct packet *p, const struct abaft_wire_op *head, const void *key,
	       uint32_t key_bytes, const void *data, uint32_t data_bytes)
{
	uint8_t *to = p->bytes + p->used;

	if (p->used + sizeof(*head) + key_bytes + data_bytes > PACKET_ROOM) {
		p->cut = true;
		return;
	}
	memcpy(to, head, sizeof(*head));
	to += sizeof(*head);
	if (key_bytes > 0)
		memcpy(to, key, key_bytes);
	if (data_bytes > 0)
		memcpy(to + key_bytes, data, data_bytes);
	p->used += (uint32_t)sizeof(*head) + key_bytes + data_bytes;
	p->ops++;
}

static void op(struct packet *p, uint8_t code, const void *key, uint16_t key_bytes, uint32_t total,
	       uint32_t offset, uint32_t data_len, const void *data)
{
	struct abaft_wire_op head = {.code = code};

	put_le(head.key_len, key_bytes, 2);
	put_le(head.total, total, 4);
	put_le(head.offset, offset, 4);
	put_le(head.data_len, data_len, 4);
	packet_op(p, &head, key, key_bytes, data, data ? data_len : 0);
}

void packet_get(struct packet *p, const void *key, uint16_t key_bytes, uint32_t wanted)
{
	op(p, ABAFT_OP_GET, key, key_bytes, 0, 0, wanted, NULL);
}

void packet_get_part(struct packet *p, const void *key, uint16_t key_bytes, uint32_t offset,
		     uint32_t wanted)
{
	op(p, ABAFT_OP_GET_PART, key, key_bytes, 0, offset, wanted, NULL);
}

void packet_put(struct packet *p, const void *key, uint16_t key_bytes, const void *value,
		uint32_t value_bytes)
{
	op(p, ABAFT_OP_PUT, key, key_bytes, value_bytes, 0, value_bytes, value);
}

void packet_put_part(struct packet *p, const void *key, uint16_t key_bytes, uint32_t total,
		     uint32_t offset, const void *data, uint32_t data_bytes)
{
	op(p, ABAFT_OP_PUT_PART, key, key_bytes, total, offset, data_bytes, data);
}

void packet_delete(struct packet *p, const void *key, uint16_t key_bytes)
{
	op(p, ABAFT_OP_DELETE, key, key_bytes, 0, 0, 0, NULL);
}

void packet_commit(struct packet *p)
{
	op(p, ABAFT_OP_COMMIT, NULL, 0, 0, 0, 0, NULL);
}

void packet_abort(struct packet *p)
{
	op(p, ABAFT_OP_ABORT, NULL, 0, 0, 0, 0, NULL);
}

void packet_status(struct packet *p)
{
	op(p, ABAFT_OP_STATUS, NULL, 0, 0, 0, 0, NULL);
}

void packet_info(struct packet *p, uint32_t offset)
{
	op(p, ABAFT_OP_INFO, NULL, 0, 0, offset, 0, NULL);
}

uint32_t packet_finish(struct packet *p)
{
	put_le(header(p)->length, p->used, 2);
	put_le(header(p)->ops, p->ops, 2);
	return p->used;
}

bool reply_open(struct reply *reply, const uint8_t *bytes, uint32_t n)
{
	const struct abaft_wire_header *h = (const void *)bytes;

	memset(reply, 0, sizeof(*reply));
	if (n < sizeof(*h) || n > ABAFT_PACKET_BYTES_MAX || memcmp(h->magic, "ABFT", 4) != 0 ||
	    h->version != ABAFT_WIRE_VERSION || h->kind != ABAFT_KIND_ANSWER ||
	    get_le(h->length, 2) != n)
		return false;
	reply->at = bytes + sizeof(*h);
	reply->end = bytes + n;
	reply->flags = (uint16_t)get_le(h->flags, 2);
	reply->status = (uint16_t)get_le(h->status, 2);
	reply->workers = (uint16_t)get_le(h->workers, 2);
	reply->ops = (uint16_t)get_le(h->ops, 2);
	reply->left = reply->ops;
	reply->request = get_le(h->request, 8);
	reply->instance = get_le(h->instance, 8);
	memcpy(reply->txn, h->txn, 16);
	if (reply->flags & ABAFT_FLAG_REFUSED)
		return reply->ops == 0 && reply->status != 0;
	return reply->flags == 0 && reply->status == 0;
}

bool reply_next(struct reply *reply, struct reply_result *result)
{
	const struct abaft_wire_result *r = (const void *)reply->at;

	if (reply->left == 0 || (size_t)(reply->end - reply->at) < sizeof(*r))
		return false;
	*result = (struct reply_result){
		.data = reply->at + sizeof(*r),
		.time = get_le(r->time, 8),
		.origin = (uint32_t)get_le(r->origin, 4),
		.total = (uint32_t)get_le(r->total, 4),
		.offset = (uint32_t)get_le(r->offset, 4),
		.data_bytes = (uint32_t)get_le(r->data_len, 4),
		.status = (uint16_t)get_le(r->status, 2),
		.code = r->code,
		.flags = r->flags,
	};
	if ((size_t)(reply->end - result->data) < result->data_bytes)
		return false;
	reply->at = result->data + result->data_bytes;
	reply->left--;
	return true;
}

bool reply_ended(const struct reply *reply)
{
	return reply->left == 0 && reply->at == reply->end;
}
