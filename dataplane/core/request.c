/* SPDX-License-Identifier: Apache-2.0 */
/* request.c - see request.h. Every refusal has a counter of its own (promise P9). */
#include "dataplane/core/request.h"

#include <string.h>

#include "dataplane/core/bytes.h"
#include "dataplane/core/telemetry.h"

#define HEADER_BYTES ((uint32_t)sizeof(struct abaft_wire_header))
#define RESULT_BYTES ((uint32_t)sizeof(struct abaft_wire_result))

static enum request_verdict refuse(__u64 *counter, uint16_t *status, uint16_t reason)
{
	(*counter)++;
	*status = reason;
	return REQUEST_REFUSE;
}

static enum request_verdict header_check(const struct abaft_wire_header *h, uint32_t bytes,
					 struct node_counters *c, uint16_t *status)
{
	static const uint8_t no_auth[16];
	uint16_t flags = load_le16(h->flags);
	uint16_t ops = load_le16(h->ops);

	if (h->version != ABAFT_WIRE_VERSION)
		return refuse(&c->refused_version, status, ABAFT_UNSUPPORTED);
	if (flags & ~(uint16_t)ABAFT_FLAG_OPEN)
		return refuse(&c->refused_flags, status, ABAFT_MALFORMED);
	if (load_le16(h->length) != bytes || bytes > ABAFT_PACKET_BYTES_MAX)
		return refuse(&c->refused_length, status, ABAFT_MALFORMED);
	if (ops == 0 || ops > ABAFT_OPS_MAX)
		return refuse(&c->refused_ops, status, ABAFT_MALFORMED);
	if (load_le32(h->tenant) != 0 || memcmp(h->auth, no_auth, sizeof(no_auth)) != 0)
		return refuse(&c->refused_tenant, status, ABAFT_UNSUPPORTED);
	if (h->txn[6] >> 4 != 7 || h->txn[8] >> 6 != 2)
		return refuse(&c->refused_id, status, ABAFT_MALFORMED);
	return REQUEST_OK;
}

static bool has_key(uint8_t code)
{
	return code >= ABAFT_OP_GET && code <= ABAFT_OP_GET_PART;
}

/* Totals, offsets and lengths that make sense for the operation. */
static bool range_ok(const struct op *op)
{
	bool last;

	switch (op->code) {
	case ABAFT_OP_PUT:
		return op->offset == 0 && op->total == op->data_bytes;
	case ABAFT_OP_PUT_PART:
		if (op->offset % ABAFT_PART_BYTES || op->offset > op->total ||
		    op->data_bytes > op->total - op->offset)
			return false;
		last = op->data_bytes == op->total - op->offset;
		return last || (op->data_bytes > 0 && op->data_bytes % ABAFT_PART_BYTES == 0);
	case ABAFT_OP_GET_PART:
	case ABAFT_OP_INFO:
		return op->total == 0 && op->offset % ABAFT_PART_BYTES == 0;
	case ABAFT_OP_GET:
		return op->total == 0 && op->offset == 0;
	default:
		return op->total == 0 && op->offset == 0 && op->data_bytes == 0;
	}
}

/* One operation. Its total may be over the limit: that is TOO_LARGE, later, not malformed. */
static enum request_verdict op_parse(struct op *op, struct cursor *in, struct node_counters *c,
				     uint16_t *status)
{
	const struct abaft_wire_op *head = (const void *)cursor_take(in, sizeof(*head));
	bool carries;

	if (!head)
		return refuse(&c->refused_ops, status, ABAFT_MALFORMED);
	*op = (struct op){.code = head->code,
			  .key_bytes = load_le16(head->key_len),
			  .total = load_le32(head->total),
			  .offset = load_le32(head->offset),
			  .data_bytes = load_le32(head->data_len)};
	if (op->code == 0 || op->code >= ABAFT_OP_APPEND)
		return refuse(&c->refused_op, status, ABAFT_UNSUPPORTED);
	if (head->flags != 0 || !range_ok(op))
		return refuse(&c->refused_range, status, ABAFT_MALFORMED);
	if (has_key(op->code) != (op->key_bytes > 0) || op->key_bytes > ABAFT_KEY_BYTES_MAX)
		return refuse(&c->refused_key, status, ABAFT_MALFORMED);
	op->key = cursor_take(in, op->key_bytes);
	carries = op->code == ABAFT_OP_PUT || op->code == ABAFT_OP_PUT_PART;
	if (carries)
		op->data = cursor_take(in, op->data_bytes);
	if (in->bad)
		return refuse(&c->refused_ops, status, ABAFT_MALFORMED);
	return REQUEST_OK;
}

/* COMMIT and ABORT end a packet; STATUS, INFO and parts of a value stand alone. */
static bool place_ok(const struct op *op, uint32_t i, uint32_t ops)
{
	switch (op->code) {
	case ABAFT_OP_COMMIT:
	case ABAFT_OP_ABORT:
		return i == ops - 1;
	case ABAFT_OP_STATUS:
	case ABAFT_OP_INFO:
	case ABAFT_OP_PUT_PART:
		return ops == 1;
	default:
		return true;
	}
}

bool request_answerable(const uint8_t *in, uint32_t bytes, struct node_counters *c)
{
	const struct abaft_wire_header *h = (const void *)in;

	if (bytes < HEADER_BYTES)
		c->refused_short++;
	else if (load_le32(h->magic) != ABAFT_WIRE_MAGIC)
		c->refused_magic++;
	else if (h->kind != ABAFT_KIND_REQUEST) /* never answer an answer */
		c->refused_kind++;
	else
		return true;
	return false;
}

enum request_verdict request_parse(struct request *r, const uint8_t *in, uint32_t bytes,
				   struct node_counters *c, uint16_t *status)
{
	struct cursor cursor = cursor_of(in, bytes);
	const struct abaft_wire_header *h = (const void *)cursor_take(&cursor, HEADER_BYTES);
	enum request_verdict verdict;

	r->header = h;
	if (!request_answerable(in, bytes, c))
		return REQUEST_DROP;
	verdict = header_check(h, bytes, c, status);
	if (verdict != REQUEST_OK)
		return verdict;
	memcpy(r->txn, h->txn, sizeof(r->txn));
	r->instance = load_le64(h->instance);
	r->step = load_le16(h->step);
	r->attempt = load_le16(h->attempt);
	r->seq = load_le32(h->seq);
	r->deadline_ms = load_le32(h->deadline_ms);
	r->open = load_le16(h->flags) & ABAFT_FLAG_OPEN;
	r->ops = load_le16(h->ops);
	r->answer_max = load_le16(h->workers);
	if (r->answer_max == 0 || r->answer_max > ABAFT_PACKET_BYTES_MAX)
		r->answer_max = ABAFT_PACKET_BYTES_MAX;
	if (r->answer_max < HEADER_BYTES + r->ops * RESULT_BYTES)
		return refuse(&c->refused_too_large, status, ABAFT_TOO_LARGE);
	for (uint32_t i = 0; i < r->ops; i++) {
		verdict = op_parse(&r->op[i], &cursor, c, status);
		if (verdict != REQUEST_OK)
			return verdict;
		if (!place_ok(&r->op[i], i, r->ops))
			return refuse(&c->refused_ops, status, ABAFT_MALFORMED);
	}
	if (cursor.at != cursor.end)
		return refuse(&c->refused_length, status, ABAFT_MALFORMED);
	return REQUEST_OK;
}

void answer_begin(struct answer *a, uint8_t *out, const struct abaft_wire_header *request,
		  uint32_t max, uint32_t workers, uint64_t instance)
{
	struct abaft_wire_header *h = (void *)out;

	*h = *request;
	h->version = ABAFT_WIRE_VERSION;
	h->kind = ABAFT_KIND_ANSWER;
	store_le16(h->flags, 0);
	store_le16(h->status, ABAFT_OK);
	store_le16(h->workers, (uint16_t)workers);
	store_le64(h->instance, instance);
	memset(h->auth, 0, sizeof(h->auth));
	*a = (struct answer){.out = out, .used = HEADER_BYTES, .max = max};
}

void answer_refuse(struct answer *a, uint16_t status)
{
	struct abaft_wire_header *h = (void *)a->out;

	a->used = HEADER_BYTES;
	a->results = 0;
	store_le16(h->flags, ABAFT_FLAG_REFUSED);
	store_le16(h->status, status);
}

void answer_restart(struct answer *a)
{
	a->used = HEADER_BYTES;
	a->results = 0;
	memset(a->reads, 0, sizeof(a->reads));
}

/* E3 of execute.c: after another status than these no operation of the packet is executed, so
 * nothing is taken back. */
static void count_result(struct answer *a, uint8_t code, uint16_t status, uint32_t data_bytes)
{
	struct op_counter *counter = telemetry_op(a->telemetry, code);

	if (code == ABAFT_OP_GET || code == ABAFT_OP_GET_PART) {
		struct answer_reads *reads = &a->reads[code == ABAFT_OP_GET_PART];

		reads->count++;
		reads->bytes += data_bytes;
		if (status == ABAFT_NOT_FOUND) {
			reads->not_found++;
			return;
		}
	} else {
		counter->count++;
		counter->bytes += data_bytes;
	}
	if (status != ABAFT_OK)
		op_count_error(counter, status);
}

static void count_reads(struct op_counter *counter, const struct answer_reads *reads)
{
	if (reads->count == 0)
		return;
	counter->count += reads->count;
	counter->bytes += reads->bytes;
	counter->errors.NOT_FOUND += reads->not_found;
}

void answer_count(const struct answer *a)
{
	count_reads(&a->telemetry->ops->get, &a->reads[0]);
	count_reads(&a->telemetry->ops->get_part, &a->reads[1]);
}

uint32_t answer_end(struct answer *a)
{
	struct abaft_wire_header *h = (void *)a->out;

	store_le16(h->length, (uint16_t)a->used);
	store_le16(h->ops, (uint16_t)a->results);
	return a->used;
}

uint32_t answer_room(const struct answer *a, uint32_t ops_left)
{
	return a->max - a->used - ops_left * RESULT_BYTES;
}

void result_encode(uint8_t out[32], uint8_t code, uint16_t status, uint8_t flags,
		   struct vnum number)
{
	struct abaft_wire_result *result = (void *)out;

	memset(result, 0, sizeof(*result));
	result->code = code;
	result->flags = flags;
	store_le16(result->status, status);
	store_le64(result->time, number.time);
	store_le32(result->origin, number.origin);
}

uint8_t *answer_result(struct answer *a, uint8_t code, uint16_t status, uint8_t flags,
		       struct vnum number, uint32_t total, uint32_t offset, uint32_t data_bytes)
{
	struct abaft_wire_result *result = (void *)(a->out + a->used);

	result_encode((uint8_t *)result, code, status, flags, number);
	store_le32(result->total, total);
	store_le32(result->offset, offset);
	store_le32(result->data_len, data_bytes);
	a->used += RESULT_BYTES + data_bytes;
	a->results++;
	if (a->telemetry)
		count_result(a, code, status, data_bytes);
	return (uint8_t *)(result + 1);
}
