/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fake_node.c - the node of fake_node.h.
 */
#include <endian.h>
#include <stdlib.h>
#include <string.h>

#include "tests/lib/fake_node.h"

#define GET16(field) ((uint16_t)((field)[0] | (field)[1] << 8))

static uint32_t get32(const uint8_t *at)
{
	uint32_t value;

	memcpy(&value, at, sizeof(value));
	return le32toh(value);
}

static uint64_t get64(const uint8_t *at)
{
	uint64_t value;

	memcpy(&value, at, sizeof(value));
	return le64toh(value);
}

static void put16(uint8_t *at, uint16_t value)
{
	value = htole16(value);
	memcpy(at, &value, sizeof(value));
}

static void put32(uint8_t *at, uint32_t value)
{
	value = htole32(value);
	memcpy(at, &value, sizeof(value));
}

static void put64(uint8_t *at, uint64_t value)
{
	value = htole64(value);
	memcpy(at, &value, sizeof(value));
}

/* One request being worked on. */
struct work {
	struct fake_node *node;
	const struct abaft_wire_header *header;
	struct fake_txn *txn;
	const uint8_t *at, *end; /* what is left of the request */
	uint8_t *out;
	uint32_t out_bytes, out_max, results_left;
};

struct op {
	uint8_t code;
	uint16_t key_bytes;
	uint32_t total, offset, data_len;
	const char *key;
	const uint8_t *data;
	uint64_t number;
};

struct fake_node *fake_node_create(uint16_t workers)
{
	struct fake_node *node = calloc(1, sizeof(*node));

	if (!node)
		abort();
	node->workers = workers;
	node->instances = 0x1122334455667700;
	node->clock = 1;
	return node;
}

static void values_free(struct fake_value *value)
{
	while (value) {
		struct fake_value *next = value->next;

		free(value->bytes);
		free(value);
		value = next;
	}
}

void fake_node_destroy(struct fake_node *node)
{
	while (node->txns) {
		struct fake_txn *txn = node->txns;

		node->txns = txn->next;
		values_free(txn->writes);
		free(txn);
	}
	values_free(node->values);
	free(node);
}

void fake_node_restart(struct fake_node *node)
{
	for (struct fake_txn *txn = node->txns; txn; txn = txn->next) {
		values_free(txn->writes);
		txn->writes = NULL;
		txn->instance = 0;
	}
}

static struct fake_value *value_find(struct fake_value *value, const char *key, uint16_t key_bytes)
{
	while (value && (value->key_bytes != key_bytes || memcmp(value->key, key, key_bytes)))
		value = value->next;
	return value;
}

const struct fake_value *fake_node_value(const struct fake_node *node, const char *key)
{
	const struct fake_value *value = value_find(node->values, key, (uint16_t)strlen(key));

	return value && !value->deleted ? value : NULL;
}

static struct fake_value *value_new(const char *key, uint16_t key_bytes, uint32_t total)
{
	struct fake_value *value = calloc(1, sizeof(*value));

	if (!value)
		abort();
	value->bytes = calloc(1, total + 1);
	if (!value->bytes)
		abort();
	memcpy(value->key, key, key_bytes);
	value->key_bytes = key_bytes;
	value->total = total;
	value->granules_missing = (total + ABAFT_PART_BYTES - 1) / ABAFT_PART_BYTES;
	return value;
}

void fake_node_store(struct fake_node *node, const char *key, const void *bytes, uint32_t total)
{
	struct fake_value *value = value_new(key, (uint16_t)strlen(key), total);

	memcpy(value->bytes, bytes, total);
	value->granules_missing = 0;
	value->version = (struct abaft_version){node->clock++, 7};
	value->next = node->values;
	node->values = value;
}

uint32_t fake_node_commits(const struct fake_node *node)
{
	uint32_t commits = 0;

	for (const struct fake_txn *txn = node->txns; txn; txn = txn->next)
		commits += txn->outcome == ABAFT_COMMITTED;
	return commits;
}

static int fault(struct fake_node *node, const char *what)
{
	if (!node->fault)
		node->fault = what;
	return ABAFT_MALFORMED;
}

/* A result head; the data, if any, are copied behind it. */
static void result(struct work *work, uint8_t code, int status,
		   const struct abaft_wire_result *more, const uint8_t *data, uint32_t data_len)
{
	struct abaft_wire_result head = {0};

	if (more)
		head = *more;
	head.code = code;
	put16(head.status, (uint16_t)status);
	put32(head.data_len, data_len);
	memcpy(work->out + work->out_bytes, &head, sizeof(head));
	work->out_bytes += (uint32_t)sizeof(head);
	if (data_len)
		memcpy(work->out + work->out_bytes, data, data_len);
	work->out_bytes += data_len;
	work->results_left--;
}

static int op_read(struct work *work, uint32_t index, struct op *op)
{
	const struct abaft_wire_op *head = (const struct abaft_wire_op *)work->at;
	uint32_t data = 0;

	if ((size_t)(work->end - work->at) < sizeof(*head))
		return fault(work->node, "an operation's head ends beyond the packet");
	op->code = head->code;
	op->key_bytes = GET16(head->key_len);
	op->total = get32(head->total);
	op->offset = get32(head->offset);
	op->data_len = get32(head->data_len);
	op->number = (uint64_t)GET16(work->header->step) << 48 |
		     (uint64_t)GET16(work->header->attempt) << 32 |
		     (get32(work->header->seq) + index);
	work->at += sizeof(*head);
	if (op->code == ABAFT_OP_PUT || op->code == ABAFT_OP_PUT_PART)
		data = op->data_len;
	if (head->flags)
		return fault(work->node, "an operation has flags");
	if ((size_t)(work->end - work->at) < (size_t)op->key_bytes + data)
		return fault(work->node, "an operation ends beyond the packet");
	op->key = (const char *)work->at;
	op->data = work->at + op->key_bytes;
	work->at = op->data + data;
	return ABAFT_OK;
}

static int txn_needed(const struct work *work)
{
	if (work->txn && work->txn->outcome != ABAFT_OK)
		return work->txn->outcome;
	return ABAFT_OK;
}

static void do_get(struct work *work, const struct op *op)
{
	struct abaft_wire_result more = {0};
	struct fake_value *value = value_find(work->txn->writes, op->key, op->key_bytes);
	uint32_t room =
		work->out_max - work->out_bytes - work->results_left * (uint32_t)sizeof(more);
	uint32_t len;

	if (value)
		more.flags = ABAFT_RESULT_OWN;
	else
		value = value_find(work->node->values, op->key, op->key_bytes);
	if (txn_needed(work)) {
		result(work, op->code, txn_needed(work), NULL, NULL, 0);
		return;
	}
	if (!value || value->deleted) {
		result(work, op->code, ABAFT_NOT_FOUND, NULL, NULL, 0);
		return;
	}
	if (op->code == ABAFT_OP_GET_PART &&
	    (op->offset % ABAFT_PART_BYTES || op->offset > value->total || !op->data_len))
		fault(work->node, "GET_PART: offset or length");
	len = op->offset > value->total ? 0 : value->total - op->offset;
	if (op->data_len && len > op->data_len)
		len = op->data_len;
	if (len > room)
		len = room;
	if (op->code == ABAFT_OP_GET && work->node->get_bytes_max &&
	    len > work->node->get_bytes_max)
		len = work->node->get_bytes_max;
	put32(more.total, value->total);
	put32(more.offset, op->offset);
	put64(more.time, value->version.time);
	put32(more.origin, value->version.origin);
	result(work, op->code, ABAFT_OK, &more, value->bytes + op->offset, len);
}

static void part_store(struct fake_node *node, struct fake_value *value, const struct op *op)
{
	uint32_t end = op->offset + op->data_len;

	if (op->offset % ABAFT_PART_BYTES || end > value->total || op->total != value->total ||
	    (end < value->total && end % ABAFT_PART_BYTES) || (!op->data_len && op->total)) {
		fault(node, "PUT_PART: offset, length or total");
		return;
	}
	memcpy(value->bytes + op->offset, op->data, op->data_len);
	for (uint32_t at = op->offset; at < end; at += ABAFT_PART_BYTES) {
		value->granules_missing -= !value->have[at / ABAFT_PART_BYTES];
		value->have[at / ABAFT_PART_BYTES] = true;
	}
}

static void do_put(struct work *work, const struct op *op)
{
	struct fake_txn *txn = work->txn;
	struct fake_value *value = value_find(txn->writes, op->key, op->key_bytes);
	struct abaft_wire_result repeat = {.flags = ABAFT_RESULT_REPEAT};

	if (txn->outcome == ABAFT_COMMITTED) {
		result(work, op->code, ABAFT_OK, &repeat, NULL, 0);
		return;
	}
	if (txn->outcome) {
		result(work, op->code, txn->outcome, NULL, NULL, 0);
		return;
	}
	if (op->code == ABAFT_OP_PUT && op->total != op->data_len)
		fault(work->node, "PUT: total is not data_len");
	if (op->code == ABAFT_OP_PUT_PART && GET16(work->header->ops) != 1)
		fault(work->node, "PUT_PART shares its packet");
	if (op->total > ABAFT_VALUE_BYTES_MAX) {
		result(work, op->code, ABAFT_TOO_LARGE, NULL, NULL, 0);
		return;
	}
	/* A higher number begins a new value; the same one adds parts; a lower one does nothing. */
	if (!value || op->number > value->number) {
		value = value_new(op->key, op->key_bytes, op->total);
		value->number = op->number;
		value->next = txn->writes;
		txn->writes = value;
		value->deleted = op->code == ABAFT_OP_DELETE;
	}
	if (op->number == value->number && op->code != ABAFT_OP_DELETE)
		part_store(work->node, value, op);
	result(work, op->code, ABAFT_OK, NULL, NULL, 0);
}

static int commit(struct fake_node *node, struct fake_txn *txn)
{
	struct fake_value **tail = &txn->writes;

	for (struct fake_value *value = txn->writes; value; value = value->next) {
		if (value->granules_missing &&
		    value == value_find(txn->writes, value->key, value->key_bytes))
			return ABAFT_INCOMPLETE;
	}
	txn->outcome = ABAFT_COMMITTED;
	if (!txn->writes)
		return ABAFT_OK;
	txn->version = (struct abaft_version){node->clock++, 7};
	for (; *tail; tail = &(*tail)->next)
		(*tail)->version = txn->version;
	*tail = node->values;
	node->values = txn->writes;
	txn->writes = NULL;
	return ABAFT_OK;
}

static void do_end(struct work *work, const struct op *op)
{
	struct abaft_wire_result more = {0};
	struct fake_txn *txn = work->txn;
	int want = op->code == ABAFT_OP_COMMIT ? ABAFT_COMMITTED : ABAFT_ABORTED;
	int status = ABAFT_OK;

	if (txn->outcome == want)
		more.flags = ABAFT_RESULT_REPEAT;
	else if (txn->outcome)
		status = txn->outcome;
	else if (op->code == ABAFT_OP_COMMIT)
		status = commit(work->node, txn);
	else
		txn->outcome = ABAFT_ABORTED;
	if (!status) {
		put64(more.time, txn->version.time);
		put32(more.origin, txn->version.origin);
	}
	result(work, op->code, status, &more, NULL, 0);
}

static void do_status(struct work *work, const struct op *op)
{
	struct abaft_wire_result more = {0};
	int status = ABAFT_UNKNOWN_TXN;

	if (work->txn && (work->txn->outcome || work->txn->instance))
		status = work->txn->outcome;
	if (status == ABAFT_COMMITTED) {
		put64(more.time, work->txn->version.time);
		put32(more.origin, work->txn->version.origin);
	}
	result(work, op->code, status, &more, NULL, 0);
}

static void do_info(struct work *work, const struct op *op)
{
	struct abaft_wire_result more = {0};
	const char *text = work->node->info ? work->node->info : "";
	uint32_t total = (uint32_t)strlen(text);
	uint32_t len = op->offset < total ? total - op->offset : 0;
	uint32_t room = work->out_max - work->out_bytes - (uint32_t)sizeof(more);

	if (len > op->data_len)
		len = op->data_len;
	if (len > room)
		len = room;
	put32(more.total, total);
	put32(more.offset, op->offset);
	result(work, op->code, ABAFT_OK, &more, (const uint8_t *)text + op->offset, len);
}

static void execute(struct work *work, const struct op *op)
{
	struct fake_node *node = work->node;

	if (node->fails && op->code == node->fail_code) {
		node->fails--;
		result(work, op->code, node->fail_status, NULL, NULL, 0);
		return;
	}
	switch (op->code) {
	case ABAFT_OP_GET:
	case ABAFT_OP_GET_PART:
		do_get(work, op);
		break;
	case ABAFT_OP_PUT:
	case ABAFT_OP_PUT_PART:
	case ABAFT_OP_DELETE:
		do_put(work, op);
		break;
	case ABAFT_OP_COMMIT:
	case ABAFT_OP_ABORT:
		do_end(work, op);
		break;
	case ABAFT_OP_STATUS:
		do_status(work, op);
		break;
	case ABAFT_OP_INFO:
		do_info(work, op);
		break;
	default:
		fault(node, "an unknown operation");
		result(work, op->code, ABAFT_UNSUPPORTED, NULL, NULL, 0);
	}
}

/* Did the last result fail? */
static bool failed(const struct work *work, uint32_t at, uint8_t code)
{
	const struct abaft_wire_result *head = (const struct abaft_wire_result *)(work->out + at);
	uint16_t status = GET16(head->status);

	return code != ABAFT_OP_STATUS && status != ABAFT_OK && status != ABAFT_NOT_FOUND;
}

static struct fake_txn *txn_flight_of(struct fake_node *node, const uint8_t id[16])
{
	struct fake_txn *txn = node->txns;

	while (txn && memcmp(txn->id, id, 16))
		txn = txn->next;
	return txn;
}

static struct fake_txn *txn_open(struct fake_node *node, struct fake_txn *txn, const uint8_t id[16])
{
	if (!txn) {
		txn = calloc(1, sizeof(*txn));
		if (!txn)
			abort();
		memcpy(txn->id, id, 16);
		txn->next = node->txns;
		node->txns = txn;
	}
	if (!txn->instance)
		txn->instance = ++node->instances;
	return txn;
}

/* The transaction the request is for, or why it is refused. */
static int admit(struct work *work)
{
	const struct abaft_wire_header *header = work->header;
	uint16_t flags = GET16(header->flags);
	uint8_t code = work->at < work->end ? *work->at : 0;

	if (work->node->refusals) {
		work->node->refusals--;
		return work->node->refuse;
	}
	work->txn = txn_flight_of(work->node, header->txn);
	if (code == ABAFT_OP_STATUS || code == ABAFT_OP_INFO)
		return ABAFT_OK;
	if (flags & ABAFT_FLAG_OPEN) {
		if (get64(header->instance))
			return fault(work->node, "OPEN with an instance");
		work->txn = txn_open(work->node, work->txn, header->txn);
		return ABAFT_OK;
	}
	if (!work->txn || (!work->txn->outcome && (!work->txn->instance ||
						   work->txn->instance != get64(header->instance))))
		return ABAFT_UNKNOWN_TXN;
	return ABAFT_OK;
}

static void see(struct fake_node *node, const struct abaft_wire_header *header, const uint8_t *at,
		const uint8_t *end, uint32_t bytes)
{
	struct fake_seen *seen;

	if (node->seen_count == FAKE_SEEN_MAX)
		return;
	seen = &node->seen[node->seen_count++];
	*seen = (struct fake_seen){.flags = GET16(header->flags),
				   .ops = GET16(header->ops),
				   .request = get64(header->request),
				   .instance = get64(header->instance),
				   .seq = get32(header->seq),
				   .step = GET16(header->step),
				   .attempt = GET16(header->attempt),
				   .bytes = bytes};
	for (uint32_t i = 0; i < seen->ops && i < ABAFT_OPS_MAX; i++) {
		const struct abaft_wire_op *head = (const struct abaft_wire_op *)at;
		uint32_t data = head->code == ABAFT_OP_PUT || head->code == ABAFT_OP_PUT_PART
					? get32(head->data_len)
					: 0;

		if ((size_t)(end - at) < sizeof(*head) + GET16(head->key_len) + data)
			return;
		seen->codes[i] = head->code;
		if (!i) {
			seen->offset = get32(head->offset);
			seen->data_len = get32(head->data_len);
		}
		at += sizeof(*head) + GET16(head->key_len) + data;
	}
}

static uint32_t answer_max(const struct abaft_wire_header *header)
{
	return GET16(header->workers) ? GET16(header->workers) : ABAFT_PACKET_BYTES_MAX;
}

static const char *header_fault(const struct abaft_wire_header *header, uint32_t bytes)
{
	static const uint8_t zeros[16];

	if (bytes < sizeof(*header) || get32(header->magic) != ABAFT_WIRE_MAGIC)
		return "no header";
	if (header->version != 1 || header->kind != ABAFT_KIND_REQUEST ||
	    GET16(header->flags) & ~ABAFT_FLAG_OPEN)
		return "version, kind or flags";
	if (GET16(header->length) != bytes || bytes > ABAFT_PACKET_BYTES_MAX)
		return "length";
	if (!GET16(header->ops) || GET16(header->ops) > ABAFT_OPS_MAX)
		return "number of operations";
	if (GET16(header->workers) > ABAFT_PACKET_BYTES_MAX)
		return "largest answer";
	if (GET16(header->status) || get32(header->tenant) ||
	    memcmp(header->auth, zeros, sizeof(zeros)))
		return "fields that are zero in a request";
	if (sizeof(*header) + GET16(header->ops) * sizeof(struct abaft_wire_result) >
	    answer_max(header))
		return "more operations than an answer holds";
	return NULL;
}

uint32_t fake_node_handle(struct fake_node *node, const uint8_t *in, uint32_t bytes, uint8_t *out)
{
	const struct abaft_wire_header *header = (const struct abaft_wire_header *)in;
	struct abaft_wire_header answer;
	struct work work = {.node = node, .header = header, .out = out};
	const char *wrong = header_fault(header, bytes);
	uint32_t ops;
	int status;
	bool skip = false, ended;

	if (wrong) {
		fault(node, wrong);
		return 0;
	}
	work.at = in + sizeof(*header);
	work.end = in + bytes;
	work.out_max = answer_max(header);
	see(node, header, work.at, work.end, bytes);
	ops = GET16(header->ops);
	work.results_left = ops;
	work.out_bytes = sizeof(answer);
	status = admit(&work);
	/* Of an ended transaction each operation is answered for itself. */
	ended = work.txn && work.txn->outcome;
	for (uint32_t i = 0; i < ops && !status; i++) {
		uint32_t at = work.out_bytes;
		struct op op;

		status = op_read(&work, i, &op);
		if (status)
			break;
		if (skip)
			result(&work, op.code, ABAFT_SKIPPED, NULL, NULL, 0);
		else
			execute(&work, &op);
		skip = skip || (!ended && failed(&work, at, op.code));
	}
	if (!status && work.at != work.end)
		status = fault(node, "bytes behind the operations");
	answer = *header;
	answer.kind = ABAFT_KIND_ANSWER;
	put16(answer.flags, status ? ABAFT_FLAG_REFUSED : 0);
	put16(answer.ops, (uint16_t)(status ? 0 : ops));
	put16(answer.status, (uint16_t)status);
	put16(answer.workers, node->workers);
	put64(answer.instance, work.txn ? work.txn->instance : 0);
	if (status)
		work.out_bytes = sizeof(answer);
	put16(answer.length, (uint16_t)work.out_bytes);
	memcpy(out, &answer, sizeof(answer));
	return work.out_bytes;
}
