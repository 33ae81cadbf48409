/* SPDX-License-Identifier: Apache-2.0 */
/* request.c - see request.h. */
#include "bench/peer/request.h"

#include <string.h>

#include "dataplane/core/txn_id.h"
#include "dataplane/net/checksum.h"

#define IP	  14
#define UDP	  34
#define UDP_BYTES 8
#define KEY_BYTES 16
#define PEER_PORT 40000

static uint32_t op_bytes(const struct request_shape *shape)
{
	return (uint32_t)sizeof(struct abaft_wire_op) + KEY_BYTES +
	       (shape->code == ABAFT_OP_PUT ? shape->value_bytes : 0);
}

static void store_be16(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static void make_headers(struct request_shape *shape, uint32_t payload)
{
	uint8_t *ip = shape->frame + IP, *udp = shape->frame + UDP;

	memcpy(shape->frame, "\x02\0\0\0\0\x01\x02\0\0\0\0\x02\x08\0", IP);
	ip[0] = 0x45;
	store_be16(ip + 2, UDP - IP + UDP_BYTES + payload);
	ip[8] = 64;
	ip[9] = 17;
	memcpy(ip + 12, shape->from, 4);
	memcpy(ip + 16, shape->to, 4);
	checksum_store(ip + 10, checksum_fold(checksum_add(0, ip, UDP - IP)));
	store_be16(udp, PEER_PORT);
	store_be16(udp + 2, shape->port);
	store_be16(udp + 4, UDP_BYTES + payload);
}

bool request_shape_make(struct request_shape *shape)
{
	struct abaft_wire_header *h = (void *)(shape->frame + REQUEST_HEADERS);
	uint32_t bytes = (uint32_t)(sizeof(*h) + sizeof(struct abaft_wire_op)) +
			 shape->ops * op_bytes(shape);
	uint8_t *p = shape->frame + REQUEST_HEADERS + sizeof(*h);

	if (shape->ops == 0 || shape->ops > REQUEST_OPS_MAX || shape->value_bytes < 8 ||
	    bytes > ABAFT_PACKET_BYTES_MAX)
		return false;
	memset(shape->frame, 0, sizeof(shape->frame));
	make_headers(shape, bytes);
	store_le32(h->magic, ABAFT_WIRE_MAGIC);
	h->version = ABAFT_WIRE_VERSION;
	h->kind = ABAFT_KIND_REQUEST;
	store_le16(h->flags, ABAFT_FLAG_OPEN);
	store_le16(h->length, (uint16_t)bytes);
	store_le16(h->ops, (uint16_t)(shape->ops + 1));
	store_le32(h->seq, 1);
	for (uint32_t i = 0; i < shape->ops; i++, p += op_bytes(shape)) {
		struct abaft_wire_op *op = (void *)p;

		op->code = shape->code;
		store_le16(op->key_len, KEY_BYTES);
		if (shape->code == ABAFT_OP_GET)
			continue;
		store_le32(op->total, shape->value_bytes);
		store_le32(op->data_len, shape->value_bytes);
		memset(p + sizeof(*op) + KEY_BYTES, 'v', shape->value_bytes);
	}
	((struct abaft_wire_op *)(void *)p)->code = ABAFT_OP_COMMIT;
	shape->frame_bytes = REQUEST_HEADERS + bytes;
	return true;
}

/* The sum of pseudo header, UDP header and payload: 0 if the checksum in it is right. */
static uint16_t udp_sum(const uint8_t *frame, uint32_t udp_bytes)
{
	uint64_t sum = checksum_pseudo(frame + IP + 12, frame + IP + 16, 4, 17, udp_bytes);

	return checksum_fold(checksum_add(sum, frame + UDP, udp_bytes));
}

void request_build(const struct request_shape *shape, const struct request *request, uint8_t *frame)
{
	struct abaft_wire_header *h = (void *)(frame + REQUEST_HEADERS);
	uint8_t *p = frame + REQUEST_HEADERS + sizeof(*h) + sizeof(struct abaft_wire_op);

	memcpy(frame, shape->frame, shape->frame_bytes);
	store_le64(h->request, request->number);
	memcpy(h->txn, request->id, sizeof(h->txn));
	for (uint32_t i = 0; i < shape->ops; i++, p += op_bytes(shape)) {
		store_le64(p, request->key[i]);
		store_le64(p + 8, request->key[i] * 0x9e3779b97f4a7c15ull);
		if (shape->code == ABAFT_OP_PUT)
			store_le64(p + KEY_BYTES, request->key[i]);
	}
	checksum_store(frame + UDP + 6, udp_sum(frame, shape->frame_bytes - UDP));
}

uint64_t request_answered(const uint8_t *frame, uint32_t bytes)
{
	const struct abaft_wire_header *h = (const void *)(frame + REQUEST_HEADERS);

	if (bytes < REQUEST_HEADERS + sizeof(*h) || load_le16(frame + 12) != 0x0008 ||
	    frame[IP] != 0x45 || frame[IP + 9] != 17 || load_le32(h->magic) != ABAFT_WIRE_MAGIC ||
	    h->kind != ABAFT_KIND_ANSWER)
		return UINT64_MAX;
	return load_le64(h->request);
}

static void count(uint64_t statuses[REQUEST_STATUSES], uint16_t status)
{
	statuses[status < REQUEST_STATUSES ? status : REQUEST_STATUSES - 1]++;
}

static enum request_verdict judge_results(const struct request_shape *shape,
					  const struct request *request, struct cursor *c,
					  uint64_t statuses[REQUEST_STATUSES])
{
	enum request_verdict verdict = REQUEST_OK;

	for (uint32_t i = 0; i <= shape->ops; i++) {
		const struct abaft_wire_result *r = (const void *)cursor_take(c, sizeof(*r));
		uint32_t data_bytes = r ? load_le32(r->data_len) : 0;
		const uint8_t *data = cursor_take(c, data_bytes);

		if (c->bad || r->code != (i < shape->ops ? shape->code : ABAFT_OP_COMMIT))
			return REQUEST_WRONG;
		if (load_le16(r->status) != 0) {
			count(statuses, load_le16(r->status));
			verdict = REQUEST_REFUSED;
		} else if (r->code == ABAFT_OP_GET && (data_bytes != shape->value_bytes ||
						       load_le64(data) != request->key[i])) {
			return REQUEST_WRONG;
		}
	}
	return verdict;
}

enum request_verdict request_judge(const struct request_shape *shape, const struct request *request,
				   const uint8_t *frame, uint32_t bytes, bool sum,
				   uint64_t statuses[REQUEST_STATUSES])
{
	const struct abaft_wire_header *h = (const void *)(frame + REQUEST_HEADERS);
	uint32_t length = load_le16(h->length);
	struct cursor c = cursor_of((const uint8_t *)(h + 1), length - (uint32_t)sizeof(*h));

	if (length < sizeof(*h) || length > bytes - REQUEST_HEADERS ||
	    !txn_id_equal(h->txn, request->id))
		return REQUEST_WRONG;
	if (sum && udp_sum(frame, UDP_BYTES + length) != 0)
		return REQUEST_WRONG;
	if (load_le16(h->status) != 0) {
		count(statuses, load_le16(h->status));
		return REQUEST_REFUSED;
	}
	if (load_le16(h->ops) != shape->ops + 1)
		return REQUEST_WRONG;
	return judge_results(shape, request, &c, statuses);
}
