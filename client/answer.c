/* SPDX-License-Identifier: Apache-2.0 */
/*
 * answer.c - the packets of flights, and what their answers mean.
 *
 * I1. An answer is checked whole before anything of it is taken: either all its results
 *     count or none.
 * I2. An answer is taken only for a request in flight; it lands then, so a second copy
 *     finds nothing.
 * I3. BUSY, IN_PROGRESS, STOPPING and READ_FAILED, of a packet or of one operation in it,
 *     send the same packet again: what it had done already is done no second time, by the
 *     operation numbers.
 * I4. A GET's bytes go to the caller's buffer only as far as it reaches, whatever the
 *     answer says.
 */
#include <string.h>

#include "client/txn.h"

static uint32_t least(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

static void encode_op(const struct txn_flight *flight, const struct txn_op *op,
		      struct packet_op *out)
{
	const struct abaft_txn *txn = flight->txn;

	*out = (struct packet_op){
		.code = op->code, .key_bytes = op->key_bytes, .key = txn->data + op->key_at};
	if (op->code == ABAFT_OP_PUT && op->parts) {
		out->code = ABAFT_OP_PUT_PART;
		out->total = op->value_bytes;
		out->offset = flight->offset;
		out->data_len = flight->len;
		out->data = txn->data + op->value_at + flight->offset;
	} else if (op->code == ABAFT_OP_PUT) {
		out->total = op->value_bytes;
		out->data_len = op->value_bytes;
		out->data = txn->data + op->value_at;
	} else if (op->code == ABAFT_OP_GET && flight->len) {
		out->code = ABAFT_OP_GET_PART;
		out->offset = flight->offset;
		out->data_len = flight->len;
	} else if (op->code == ABAFT_OP_GET) {
		/* 0 would ask for as many as fit. */
		out->data_len = op->buf_bytes ? op->buf_bytes : 1;
	} else if (op->code == ABAFT_OP_INFO) {
		out->offset = op->offset;
		out->data_len = op->buf_bytes;
	}
}

uint32_t txn_encode(const struct txn_flight *flight, uint8_t *buf)
{
	const struct abaft_txn *txn = flight->txn;
	struct packet_header header = {.flags = flight->flags,
				       .request = flight->request,
				       .step = txn->step,
				       .attempt = txn->attempt,
				       .seq = txn->ops[flight->first].seq,
				       .instance = flight->instance,
				       .deadline_ms = txn->deadline_ms};
	struct packet_writer writer;

	/* The path's limit holds for answers too. */
	if (txn->shared->packet_bytes < ABAFT_PACKET_BYTES_MAX)
		header.workers = (uint16_t)txn->shared->packet_bytes;
	memcpy(header.txn, txn->id.bytes, sizeof(header.txn));
	packet_writer_begin(&writer, buf, txn->shared->packet_bytes);
	for (uint32_t i = 0; i < flight->count; i++) {
		struct packet_op op;

		encode_op(flight, &txn->ops[flight->first + i], &op);
		/* pack() and the part sizes left room for each. */
		if (!packet_add(&writer, &op))
			return 0;
	}
	return packet_writer_finish(&writer, &header);
}

struct txn_flight *txn_flight_of(struct txn_shared *shared, const struct packet_header *header)
{
	uint32_t slot = (uint32_t)header->request;
	struct txn_flight *flight;

	if (slot >= shared->flights_max)
		return NULL;
	flight = &shared->flights[slot];
	if (!flight->request || flight->request != header->request)
		return NULL;
	if (memcmp(flight->txn->id.bytes, header->txn, sizeof(header->txn)))
		return NULL;
	return flight;
}

static bool again(uint32_t status)
{
	return status == ABAFT_BUSY || status == ABAFT_IN_PROGRESS || status == ABAFT_STOPPING ||
	       status == ABAFT_READ_FAILED;
}

/* A code the node may use: of the list, and not one of the client's own. */
static bool status_known(uint32_t status)
{
	return status <= ABAFT_CORRUPT;
}

static uint8_t code_sent(const struct txn_flight *flight, const struct txn_op *op)
{
	if (op->code == ABAFT_OP_PUT && op->parts)
		return ABAFT_OP_PUT_PART;
	if (op->code == ABAFT_OP_GET && flight->len)
		return ABAFT_OP_GET_PART;
	return op->code;
}

/* Whether a result with data says what it may for its operation. */
static bool data_right(const struct txn_flight *flight, const struct txn_op *op,
		       const struct packet_result *result)
{
	if (op->code == ABAFT_OP_INFO)
		return result->offset == op->offset && result->data_len <= op->buf_bytes &&
		       result->offset <= result->total &&
		       result->data_len <= result->total - result->offset;
	if (op->code != ABAFT_OP_GET)
		return !result->data_len;
	if (flight->len)
		return result->total == op->answer.total && result->offset == flight->offset &&
		       result->data_len == flight->len;
	return !result->offset && result->data_len <= result->total &&
	       result->total <= ABAFT_VALUE_BYTES_MAX;
}

/* The first operation of the answer that failed, with its status; 0 and OK if none did. */
struct outcome {
	uint32_t executed; /* operations before the one that failed */
	uint32_t status;
};

static bool executed(const struct txn_op *op, uint32_t status)
{
	/* What STATUS asks for is a status: only these two say nothing of the transaction. */
	if (op->code == ABAFT_OP_STATUS)
		return status != ABAFT_BUSY && status != ABAFT_STOPPING;
	return status == ABAFT_OK || status == ABAFT_NOT_FOUND;
}

/* May the answer be NOT_FOUND? Not of a value that a GET has found. */
static bool may_be_missing(const struct txn_flight *flight, const struct txn_op *op)
{
	return op->code == ABAFT_OP_DELETE || (op->code == ABAFT_OP_GET && !flight->len);
}

/* I1: reads all of the answer and keeps nothing. False: it breaks the protocol. */
static bool check(const struct txn_flight *flight, const struct packet_header *header,
		  struct packet_cursor cursor, struct outcome *outcome)
{
	const struct txn_op *op = &flight->txn->ops[flight->first];

	outcome->executed = 0;
	outcome->status = ABAFT_OK;
	if (header->ops != flight->count)
		return false;
	for (uint32_t i = 0; i < flight->count; i++, op++) {
		struct packet_result result;

		if (packet_next(&cursor, &result) || result.code != code_sent(flight, op) ||
		    !status_known(result.status))
			return false;
		if (result.status == ABAFT_OK && !data_right(flight, op, &result))
			return false;
		/* Of an ended transaction later operations are answered too, not SKIPPED. */
		if (outcome->status)
			continue;
		if (result.status == ABAFT_SKIPPED ||
		    (result.status == ABAFT_NOT_FOUND && !may_be_missing(flight, op)))
			return false;
		if (executed(op, result.status))
			outcome->executed++;
		else
			outcome->status = result.status;
	}
	return packet_close(&cursor) == PACKET_OK;
}

static void take_result(const struct txn_flight *flight, struct txn_op *op,
			const struct packet_result *result)
{
	struct abaft_result *answer = &op->answer;
	uint32_t len;

	if (op->code == ABAFT_OP_GET && flight->len && result->status == ABAFT_OK) {
		memcpy(op->buf + flight->offset, result->data, flight->len);
		return;
	}
	/* It is answered when all its parts are. */
	if (op->parts && result->status == ABAFT_OK)
		return;
	answer->status = (int)result->status;
	answer->repeat = result->flags & ABAFT_RESULT_REPEAT;
	answer->version.time = result->time;
	answer->version.origin = result->origin;
	if (result->status != ABAFT_OK)
		return;
	answer->own = result->flags & ABAFT_RESULT_OWN;
	answer->total = result->total;
	len = least(result->data_len, op->buf_bytes);
	if (len)
		memcpy(op->buf, result->data, len);
	answer->len = len;
}

/* All parts have come or gone: that answers their operations. */
static void parts_whole(struct abaft_txn *txn)
{
	for (uint32_t i = txn->first; i < txn->end; i++) {
		struct txn_op *op = &txn->ops[i];

		if (op->parts)
			op->answer.status = ABAFT_OK;
		else if (op->code == ABAFT_OP_GET && op->answer.status == ABAFT_OK)
			op->answer.len = least(op->answer.total, op->buf_bytes);
	}
}

/* The flight has landed well: on to what comes next. */
static void proceed(struct abaft_txn *txn)
{
	if (txn_stage_ended(txn)) {
		parts_whole(txn);
		if (txn->end == txn->ops_count) {
			txn_finish(txn, ABAFT_OK);
			return;
		}
		txn->stage = STAGE_CHOOSE;
	}
	link_append(&txn->shared->ready, &txn->link);
}

/* The operation that failed gets its status, those after it stay SKIPPED, the submit ends. */
static void fail(struct txn_flight *flight, uint32_t at, int status)
{
	struct abaft_txn *txn = flight->txn;

	txn->ops[flight->first + at].answer.status = status;
	txn_finish(txn, status);
}

static void refused(struct txn_flight *flight, uint32_t status, uint64_t now_us)
{
	struct abaft_txn *txn = flight->txn;

	if (again(status)) {
		txn->shared->busy++;
		flight->in_progress |= status == ABAFT_IN_PROGRESS;
		txn->pause_status = (int)status;
		link_remove(&flight->link);
		txn_pause(flight, now_us);
		return;
	}
	if (!status_known(status) || status == ABAFT_NOT_FOUND || status == ABAFT_SKIPPED)
		status = ABAFT_PROTOCOL;
	fail(flight, 0, (int)status);
}

void txn_answer(struct txn_flight *flight, const struct packet_header *header,
		struct packet_cursor *cursor, uint64_t now_us)
{
	struct abaft_txn *txn = flight->txn;
	struct outcome outcome;

	txn->send_failed = false;
	if (header->workers && header->workers <= ABAFT_WORKERS_MAX)
		txn->shared->workers = header->workers;
	if (header->flags & ABAFT_FLAG_REFUSED) {
		refused(flight, header->status, now_us);
		return;
	}
	if (!check(flight, header, *cursor, &outcome)) {
		fail(flight, 0, ABAFT_PROTOCOL);
		return;
	}
	if (!txn->instance)
		txn->instance = header->instance;
	if (again(outcome.status)) {
		refused(flight, outcome.status, now_us);
		return;
	}
	txn_measure(flight, now_us);
	for (uint32_t i = 0; i < flight->count; i++) {
		struct packet_result result;

		if (packet_next(cursor, &result))
			break;
		take_result(flight, &txn->ops[flight->first + i], &result);
	}
	if (outcome.status) {
		fail(flight, outcome.executed, (int)outcome.status);
		return;
	}
	txn_land(flight);
	proceed(txn);
}
