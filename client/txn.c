/* SPDX-License-Identifier: Apache-2.0 */
/*
 * txn.c - the life of a transaction in the client: begin, submit, stages of packets, end.
 *
 * A submit is worked off in stages. STAGE_OPS is one packet of whole operations; STAGE_PUT_PARTS is
 * a window of PUT_PART packets for a run of big PUTs; STAGE_GET_PARTS is a window of GET_PART
 * packets for the GETs of the packet before, whose values were longer than the answer.
 *
 * I1. The next stage begins when nothing of the one before is in flight: operations keep
 *     their order, a COMMIT is sent only after all parts were answered OK.
 * I2. Until an answer told the node's instance of the transaction, one packet is in flight,
 *     with OPEN; its resends are the same bytes. All later packets echo the instance.
 * I3. A COMMIT (or ABORT) shares a packet with GETs only if the GETs' buffers fit the
 *     answer whole: an ended transaction has no parts to give.
 * I4. A COMMIT alone never opens a transaction whose earlier submit was not answered: it
 *     could commit nothing and look like success. Without OPEN the node says UNKNOWN_TXN,
 *     or repeats the outcome.
 */
#include <stdlib.h>
#include <string.h>

#include "client/txn.h"

static const uint32_t header_bytes = sizeof(struct abaft_wire_header);
static const uint32_t op_bytes = sizeof(struct abaft_wire_op);
static const uint32_t result_bytes = sizeof(struct abaft_wire_result);

void txn_setup(struct txn_shared *shared, struct abaft_txn *txns, uint32_t count)
{
	link_init(&shared->ready);
	link_init(&shared->resend);
	link_init(&shared->done);
	for (uint32_t i = 0; i < count; i++) {
		struct abaft_txn *txn = &txns[i];

		link_init(&txn->link);
		link_init(&txn->flights_free);
		txn->timer.kind = TIMER_SUBMIT;
		txn->shared = shared;
		txn->flights = &shared->flights[(size_t)i * shared->window];
		for (uint32_t j = 0; j < shared->window; j++) {
			struct txn_flight *flight = &txn->flights[j];

			link_init(&flight->link);
			link_append(&txn->flights_free, &flight->link);
			flight->timer.kind = TIMER_FLIGHT;
			flight->txn = txn;
			flight->slot = i * shared->window + j;
		}
	}
}

uint32_t txn_owner(const struct abaft_id *id, uint32_t workers)
{
	const uint8_t *at = id->bytes + 12;
	uint32_t hash =
		(uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];

	return (uint32_t)((uint64_t)hash * workers >> 32);
}

void txn_drop(struct abaft_txn *txn)
{
	/* The caller's results may be gone with the caller: they are left alone. */
	txn->ops_count = 0;
	if (txn->state == TXN_RUNNING)
		txn_finish(txn, ABAFT_CANCELLED);
	link_remove(&txn->link);
	txn->state = TXN_FREE;
	/* A big submit's memory is not kept for the next transaction of this place. */
	if (txn->data_max > 16384) {
		free(txn->data);
		txn->data = NULL;
		txn->data_max = 0;
	}
}

void txn_destroy(struct abaft_txn *txn)
{
	free(txn->ops);
	free(txn->data);
	txn->ops = NULL;
	txn->data = NULL;
}

/* The next number between 0 and below - 1: xorshift64*, enough to spread resends. */
static uint64_t jitter(struct txn_shared *shared, uint64_t below)
{
	uint64_t x = shared->random;

	x ^= x >> 12;
	x ^= x << 25;
	x ^= x >> 27;
	shared->random = x;
	return (x * 0x2545f4914f6cdd1dULL >> 11) % below;
}

static bool ends_txn(const struct txn_flight *flight)
{
	uint8_t code = flight->txn->ops[flight->first + flight->count - 1].code;

	return code == ABAFT_OP_COMMIT || code == ABAFT_OP_ABORT;
}

static struct rtt *rtt_of(const struct txn_flight *flight)
{
	struct txn_shared *shared = flight->txn->shared;

	return ends_txn(flight) ? &shared->rtt_ending : &shared->rtt;
}

void txn_measure(struct txn_flight *flight, uint64_t now_us)
{
	if (flight->tries == 1 || flight->in_progress)
		rtt_add(rtt_of(flight), now_us - flight->sent_us);
	else
		rtt_of(flight)->held_us = flight->pause_us;
}

void txn_pause(struct txn_flight *flight, uint64_t now_us)
{
	struct txn_shared *shared = flight->txn->shared;
	uint32_t doublings = flight->tries > 1 ? flight->tries - 1u : 0;
	uint64_t pause_us = rtt_pause_us(rtt_of(flight), shared->resend_us);

	while (doublings-- && pause_us < TXN_PAUSE_US_MAX)
		pause_us *= 2;
	if (pause_us > TXN_PAUSE_US_MAX)
		pause_us = TXN_PAUSE_US_MAX;
	flight->pause_us = pause_us;
	pause_us += jitter(shared, pause_us / 2 + 1);
	timers_set(&shared->timers, &flight->timer, now_us + pause_us);
}

void txn_land(struct txn_flight *flight)
{
	struct abaft_txn *txn = flight->txn;

	timers_remove(&txn->shared->timers, &flight->timer);
	flight->request = 0;
	link_append(&txn->flights_free, &flight->link);
	txn->flying--;
}

/* Bytes of the value that the caller has room for. */
static uint32_t get_wanted(const struct txn_op *op)
{
	return op->answer.total < op->buf_bytes ? op->answer.total : op->buf_bytes;
}

/* Is it a GET whose parts have not all come? */
static bool get_short(const struct txn_op *op)
{
	return op->code == ABAFT_OP_GET && op->answer.status == ABAFT_OK &&
	       op->answer.len < get_wanted(op);
}

void txn_finish(struct abaft_txn *txn, int err)
{
	for (uint32_t i = 0; i < txn->shared->window && txn->flying; i++) {
		if (txn->flights[i].request)
			txn_land(&txn->flights[i]);
	}
	timers_remove(&txn->shared->timers, &txn->timer);
	for (uint32_t i = 0; i < txn->ops_count; i++) {
		struct txn_op *op = &txn->ops[i];

		if (get_short(op))
			op->answer.status = ABAFT_SKIPPED;
		if (op->result)
			*op->result = op->answer;
	}
	txn->submits++;
	txn->ops_count = 0;
	txn->data_bytes = 0;
	txn->closed = false;
	txn->err = err;
	txn->state = TXN_DONE;
	link_append(&txn->shared->done, &txn->link);
}

int txn_start(struct abaft_txn *txn, uint64_t now_us)
{
	if (txn->state == TXN_RUNNING || txn->state == TXN_DONE)
		return ABAFT_BUSY;
	if (txn->state != TXN_IDLE || !txn->ops_count)
		return ABAFT_INVALID;
	txn->state = TXN_RUNNING;
	txn->stage = STAGE_CHOOSE;
	txn->first = txn->end = 0;
	txn->pause_status = 0;
	txn->send_failed = false;
	timers_set(&txn->shared->timers, &txn->timer, now_us + txn->shared->timeout_us);
	link_append(&txn->shared->ready, &txn->link);
	return ABAFT_OK;
}

void txn_timer(struct txn_shared *shared, struct timer *timer)
{
	struct txn_flight *flight;
	struct abaft_txn *txn;
	int err = ABAFT_TIMEOUT;

	timers_remove(&shared->timers, timer);
	if (timer->kind == TIMER_FLIGHT) {
		flight = link_owner(timer, struct txn_flight, timer);
		flight->txn->pause_status = 0;
		link_append(&shared->resend, &flight->link);
		return;
	}
	txn = link_owner(timer, struct abaft_txn, timer);
	if (txn->pause_status)
		err = txn->pause_status;
	else if (txn->send_failed)
		err = ABAFT_NETWORK;
	for (uint32_t i = txn->first; i < txn->end; i++) {
		struct txn_op *op = &txn->ops[i];

		if (op->answer.status == ABAFT_SKIPPED || get_short(op))
			op->answer.status = err;
	}
	txn_finish(txn, err);
}

void txn_sent(struct txn_flight *flight, uint64_t now_us)
{
	link_remove(&flight->link);
	if (flight->tries == 0)
		flight->sent_us = now_us;
	if (flight->tries < UINT16_MAX)
		flight->tries++;
	txn_pause(flight, now_us);
}

/* Takes a place for a packet of operations [first, first + count). */
static struct txn_flight *launch(struct abaft_txn *txn, uint32_t first, uint32_t count)
{
	struct link *link = txn->flights_free.next;
	struct txn_flight *flight = link_owner(link, struct txn_flight, link);
	uint8_t code = txn->ops[first].code;
	bool opens = code != ABAFT_OP_STATUS && code != ABAFT_OP_INFO;

	if (code == ABAFT_OP_COMMIT && txn->submits)
		opens = false;
	link_remove(link);
	txn->flying++;
	if (!++txn->shared->generation)
		txn->shared->generation = 1;
	flight->request = (uint64_t)txn->shared->generation << 32 | flight->slot;
	flight->instance = txn->instance;
	flight->flags = opens && !txn->instance ? ABAFT_FLAG_OPEN : 0;
	flight->first = first;
	flight->count = count;
	flight->offset = 0;
	flight->len = 0;
	flight->tries = 0;
	flight->in_progress = false;
	return flight;
}

/* How many operations from txn->first go into one packet, and its answer into another. */
static uint32_t pack(const struct abaft_txn *txn)
{
	uint32_t max = txn->shared->packet_bytes;
	uint32_t out = header_bytes, in = header_bytes, wanted = 0, i;

	for (i = txn->first; i < txn->ops_count && i - txn->first < ABAFT_OPS_MAX; i++) {
		const struct txn_op *op = &txn->ops[i];

		out += op_bytes + op->key_bytes + op->value_bytes;
		in += result_bytes;
		if (op->parts || out > max || in > max)
			break;
		if (op->code == ABAFT_OP_GET)
			wanted += op->buf_bytes;
		if (wanted > max - in &&
		    (op->code == ABAFT_OP_COMMIT || op->code == ABAFT_OP_ABORT))
			break;
	}
	return i - txn->first;
}

static void choose(struct abaft_txn *txn)
{
	txn->first = txn->end;
	if (!txn->ops[txn->first].parts) {
		txn->stage = STAGE_OPS;
		txn->end = txn->first + pack(txn);
		return;
	}
	txn->stage = STAGE_PUT_PARTS;
	while (txn->end < txn->ops_count && txn->ops[txn->end].parts)
		txn->end++;
	txn->cut = txn->first;
	txn->cut_offset = 0;
}

static struct txn_flight *next_put_part(struct abaft_txn *txn)
{
	const struct txn_op *op = &txn->ops[txn->cut];
	uint32_t room = txn->shared->packet_bytes - header_bytes - op_bytes - op->key_bytes;
	struct txn_flight *flight;

	if (!txn->instance && txn->flying)
		return NULL;
	flight = launch(txn, txn->cut, 1);
	flight->offset = txn->cut_offset;
	flight->len = op->value_bytes - flight->offset;
	if (flight->len > room)
		flight->len = room / ABAFT_PART_BYTES * ABAFT_PART_BYTES;
	txn->cut_offset += flight->len;
	if (txn->cut_offset == op->value_bytes) {
		txn->cut++;
		txn->cut_offset = 0;
	}
	return flight;
}

/* Moves the cut to the next GET that lacks bytes, from txn->cut on. */
static void find_short_get(struct abaft_txn *txn)
{
	for (; txn->cut < txn->end; txn->cut++) {
		const struct txn_op *op = &txn->ops[txn->cut];

		txn->cut_offset = op->answer.len / ABAFT_PART_BYTES * ABAFT_PART_BYTES;
		if (get_short(op))
			return;
	}
}

static struct txn_flight *next_get_part(struct abaft_txn *txn)
{
	const struct txn_op *op = &txn->ops[txn->cut];
	uint32_t room = txn->shared->packet_bytes - header_bytes - result_bytes;
	struct txn_flight *flight = launch(txn, txn->cut, 1);

	flight->offset = txn->cut_offset;
	flight->len = get_wanted(op) - flight->offset;
	if (flight->len > room)
		flight->len = room / ABAFT_PART_BYTES * ABAFT_PART_BYTES;
	txn->cut_offset += flight->len;
	if (txn->cut_offset == get_wanted(op)) {
		txn->cut++;
		find_short_get(txn);
	}
	return flight;
}

struct txn_flight *txn_next(struct abaft_txn *txn)
{
	if (txn->stage == STAGE_CHOOSE)
		choose(txn);
	if (txn->stage == STAGE_OPS && !txn->flying)
		return launch(txn, txn->first, txn->end - txn->first);
	if (txn->stage != STAGE_OPS && txn->cut < txn->end && txn->flying < txn->shared->window) {
		struct txn_flight *flight =
			txn->stage == STAGE_PUT_PARTS ? next_put_part(txn) : next_get_part(txn);
		if (flight)
			return flight;
	}
	link_remove(&txn->link);
	return NULL;
}

bool txn_stage_ended(struct abaft_txn *txn)
{
	if (txn->stage == STAGE_OPS) {
		txn->stage = STAGE_GET_PARTS;
		txn->cut = txn->first;
		find_short_get(txn);
	}
	return txn->cut == txn->end && !txn->flying;
}
