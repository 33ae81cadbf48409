/* SPDX-License-Identifier: Apache-2.0 */
/*
 * client_fuzz.c - two transactions of one client over many submits, under answers that the input
 * makes: right ones, wrong ones, late ones, doubled ones, other transactions', noise; and time.
 *
 * answer_fuzz.c looks deep into the answers of one submit; this one at what they leave behind.
 * What must hold: a packet that is sent again is the same bytes; an answer is taken once; no more
 * is in flight than the window allows; when a submit ends well each of its operations was
 * answered, a COMMIT is only called OK if an answer to it said so, a GET has the bytes that it
 * claims and none behind its buffer; and what has ended leaves nothing behind.
 */
#include <stdlib.h>
#include <string.h>

#include "client/txn.h"
#include "tests/lib/core_packet.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { TXNS = 2, WINDOW = 4, OPS = 8, BUF = 3000, GUARD = 16, KEPT = 8, COMMANDS_MAX = 400 };

struct input {
	const uint8_t *at, *end;
};

struct asked {
	uint8_t code;
	uint32_t room;
	uint8_t *buf;
	struct abaft_result result;
};

struct side {
	struct asked asked[OPS];
	uint32_t count;
	bool commit_said; /* an answer to its COMMIT said OK, in this submit */
};

/* A packet as it was sent first; an answer as it was given. */
struct bytes {
	uint64_t request;
	uint32_t n;
	uint8_t byte[ABAFT_PACKET_BYTES_MAX];
};

static struct world {
	struct input in;
	struct txn_shared shared;
	struct abaft_txn txn[TXNS];
	struct txn_flight flights[TXNS * WINDOW];
	struct timer *heap[TXNS * (WINDOW + 1)];
	struct side side[TXNS];
	struct bytes sent[TXNS * WINDOW];
	struct bytes kept[KEPT];
	uint32_t kepts;
	uint64_t now_us;
} w;

static uint8_t value[BUF];

static void must(bool holds)
{
	if (!holds)
		abort();
}

static uint32_t u8(void)
{
	return w.in.at < w.in.end ? *w.in.at++ : 0;
}

static void side_clear(struct side *side)
{
	for (uint32_t i = 0; i < side->count; i++)
		free(side->asked[i].buf);
	memset(side, 0, sizeof(*side));
}

static void prepare(uint32_t t)
{
	static const uint32_t sizes[] = {0, 1, 100, 255, 256, 700, 1343, BUF};
	struct side *side = &w.side[t];
	struct asked *asked = &side->asked[side->count];
	uint32_t choice = u8(), size = sizes[choice >> 3 & 7];
	int error;

	if (side->count == OPS || w.txn[t].state != TXN_IDLE)
		return;
	*asked = (struct asked){.room = size, .buf = malloc(size + GUARD)};
	must(asked->buf != NULL);
	memset(asked->buf, 0xee, size + GUARD);
	switch (choice % 8) {
	case 0:
	case 1:
		asked->code = ABAFT_OP_GET;
		error = abaft_prep_get(&w.txn[t], "key", 3, asked->buf, size, &asked->result);
		break;
	case 2:
	case 3:
		asked->code = ABAFT_OP_PUT;
		error = abaft_prep_put(&w.txn[t], "key", 3, value, size, &asked->result);
		break;
	case 4:
		asked->code = ABAFT_OP_DELETE;
		error = abaft_prep_delete(&w.txn[t], "key", 3, &asked->result);
		break;
	case 5:
		asked->code = ABAFT_OP_ABORT;
		error = abaft_prep_abort(&w.txn[t], &asked->result);
		break;
	default:
		asked->code = ABAFT_OP_COMMIT;
		error = abaft_prep_commit(&w.txn[t], &asked->result);
		break;
	}
	asked->result.status = -1;
	if (error)
		free(asked->buf);
	else
		side->count++;
}

/* Resends are the same bytes. */
static void send(struct txn_flight *flight)
{
	uint8_t packet[ABAFT_PACKET_BYTES_MAX];
	struct bytes *sent = &w.sent[flight->slot];
	uint32_t n = txn_encode(flight, packet);

	must(n > 0 && flight->txn->state == TXN_RUNNING && flight->txn->flying <= WINDOW);
	if (sent->request == flight->request)
		must(flight->tries > 0 && sent->n == n && !memcmp(sent->byte, packet, n));
	else /* a new one names the instance as soon as it is known, and opens only before */
		must(flight->tries == 0 && packet[48] == (uint8_t)flight->txn->instance &&
		     !(flight->txn->instance && packet[6]));
	sent->request = flight->request;
	sent->n = n;
	memcpy(sent->byte, packet, n);
	txn_sent(flight, w.now_us);
}

static void send_all(void)
{
	struct txn_flight *flight;

	while (!link_alone(&w.shared.ready))
		while ((flight = txn_next(
				link_owner(w.shared.ready.next, struct abaft_txn, link)))) {
			send(flight);
			if (link_alone(&w.shared.ready))
				break;
		}
	while (!link_alone(&w.shared.resend))
		send(link_owner(w.shared.resend.next, struct txn_flight, link));
}

/* Of a submit that ended well. */
static void check_done(const struct abaft_txn *txn, struct side *side)
{
	for (uint32_t i = 0; i < side->count; i++) {
		const struct asked *a = &side->asked[i];
		const struct abaft_result *r = &a->result;

		must(r->status >= 0); /* it was filled */
		if (txn->err == ABAFT_OK)
			must(r->status == ABAFT_OK || r->status == ABAFT_NOT_FOUND);
		if (a->code == ABAFT_OP_COMMIT && r->status == ABAFT_OK)
			must(side->commit_said);
		if (a->code == ABAFT_OP_GET && r->status == ABAFT_OK)
			must(r->len == (r->total < a->room ? r->total : a->room));
		for (uint32_t k = 0; k < GUARD; k++)
			must(a->buf[a->room + k] == 0xee);
	}
}

static void take_done(void)
{
	while (!link_alone(&w.shared.done)) {
		struct abaft_txn *txn = link_owner(w.shared.done.next, struct abaft_txn, link);
		struct side *side = &w.side[txn - w.txn];

		link_remove(&txn->link);
		must(txn->state == TXN_DONE && txn->flying == 0);
		txn->state = TXN_IDLE;
		check_done(txn, side);
		side_clear(side);
	}
}

/* Of the exact size, so that ASan sees a byte beyond; whether somebody took it. */
static bool deliver(const struct bytes *answer)
{
	uint8_t *exact = malloc(answer->n ? answer->n : 1);
	struct packet_cursor cursor;
	struct packet_header header;
	struct txn_flight *flight = NULL;
	struct reply_result result;
	struct reply reply;

	must(exact != NULL);
	memcpy(exact, answer->byte, answer->n);
	if (packet_open(&cursor, &header, exact, answer->n) == PACKET_OK)
		flight = txn_flight_of(&w.shared, &header);
	if (flight && reply_open(&reply, exact, answer->n))
		while (reply_next(&reply, &result))
			w.side[flight->txn - w.txn].commit_said |=
				result.code == ABAFT_OP_COMMIT && result.status == ABAFT_OK;
	if (flight)
		txn_answer(flight, &header, &cursor, w.now_us);
	free(exact);
	return flight != NULL;
}

static void put16(uint8_t *at, uint32_t value_)
{
	at[0] = (uint8_t)value_;
	at[1] = (uint8_t)(value_ >> 8);
}

static uint32_t get32(const uint8_t *at)
{
	return at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

/* One result: mostly what a node would say. */
static uint32_t add_result(struct bytes *answer, const uint8_t *op, uint32_t choice)
{
	uint8_t *at = answer->byte + answer->n;
	const uint32_t head = sizeof(struct abaft_wire_result);
	uint32_t room = ABAFT_PACKET_BYTES_MAX - answer->n - head;
	uint32_t total = 40 * (choice >> 2), offset = get32(op + 8), n = 0;
	bool reads = op[0] == ABAFT_OP_GET || op[0] == ABAFT_OP_GET_PART;

	if (answer->n + head > ABAFT_PACKET_BYTES_MAX)
		return 0;
	memset(at, 0, head);
	at[0] = op[0];
	if ((choice & 3) == 3)
		put16(at + 2, choice >> 2 & 31);
	else if (reads && offset <= total)
		n = total - offset;
	if (n > get32(op + 12))
		n = get32(op + 12);
	n = n > room ? (offset + room) / ABAFT_PART_BYTES * ABAFT_PART_BYTES - offset : n;
	if (reads && !at[2]) {
		put16(at + 4, total);
		put16(at + 8, offset);
		put16(at + 12, n);
	}
	at[16] = (uint8_t)(1 + (choice & 1)); /* a version */
	memset(at + head, 7, n);
	return head + n;
}

static bool writes(uint8_t code)
{
	return code == ABAFT_OP_PUT || code == ABAFT_OP_PUT_PART;
}

/* An answer to a packet that was sent, from the packet's own bytes. */
static void make_answer(struct bytes *answer, const struct bytes *packet)
{
	const uint8_t *op = packet->byte + sizeof(struct abaft_wire_header);
	uint32_t choice = u8(), every = u8();

	memcpy(answer->byte, packet->byte, sizeof(struct abaft_wire_header));
	answer->request = packet->request;
	answer->n = sizeof(struct abaft_wire_header);
	answer->byte[5] = ABAFT_KIND_ANSWER;
	put16(answer->byte + 6, 0);
	put16(answer->byte + 14, 1 + (choice >> 6));
	answer->byte[48] = 9; /* the instance */
	if ((choice & 7) == 7) {
		put16(answer->byte + 6, ABAFT_FLAG_REFUSED);
		put16(answer->byte + 10, 0);
		put16(answer->byte + 12, choice >> 3);
	} else {
		while (op < packet->byte + packet->n) {
			answer->n += add_result(answer, op, choice & 8 ? u8() : every);
			op += sizeof(struct abaft_wire_op) + (op[2] | (uint32_t)op[3] << 8) +
			      (writes(op[0]) ? get32(op + 12) : 0);
		}
	}
	put16(answer->byte + 8, answer->n);
	if ((choice & 0x37) == 0x30)
		answer->byte[u8() % answer->n] ^= (uint8_t)u8();
}

/* Taken once: a second copy finds nothing, unless it was "again later". */
static void answer_command(void)
{
	uint32_t slot = u8();
	struct bytes *kept = &w.kept[w.kepts++ % KEPT];

	make_answer(kept, &w.sent[slot % (TXNS * WINDOW)]);
	deliver(kept);
	if (slot & 0x80)
		deliver(kept);
}

static void noise_command(void)
{
	static struct bytes noise;

	noise.n = u8() * 4;
	for (uint32_t i = 0; i < noise.n; i++)
		noise.byte[i] = (uint8_t)u8();
	deliver(&noise);
}

static void time_command(void)
{
	struct timer *timer;

	w.now_us += 1u << (u8() % 21);
	while ((timer = timers_first(&w.shared.timers)) && timer->due_us <= w.now_us)
		txn_timer(&w.shared, timer);
}

static void take_up(uint32_t t)
{
	struct abaft_id id = {"\x01\x99\xa8\xf3\x5c\x00\x7a\xbc\x8d\xef\x01\x23\x45\x67\x89\xab"};

	id.bytes[15] = (uint8_t)(t * 128 + (w.now_us & 15));
	must(txn_take_up(&w.txn[t], NULL, &id) == ABAFT_OK);
}

static void command(void)
{
	uint32_t c = u8(), t = c >> 3 & 1;

	switch (c % 8) {
	case 0:
	case 1:
		prepare(t);
		break;
	case 2:
		(void)!txn_start(&w.txn[t], w.now_us);
		break;
	case 3:
	case 4:
		answer_command();
		break;
	case 5:
		time_command();
		break;
	case 6:
		if (c & 0x80)
			noise_command();
		else
			deliver(&w.kept[c >> 4 & 7]);
		break;
	default:
		if (!(c & 0x80))
			break;
		txn_drop(&w.txn[t]);
		side_clear(&w.side[t]);
		take_up(t);
		break;
	}
	send_all();
	take_done();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	memset(&w, 0, sizeof(w));
	w.in = (struct input){data, data + size};
	w.now_us = 1;
	w.shared = (struct txn_shared){.timeout_us = 1000000,
				       .resend_us = 1000,
				       .window = WINDOW,
				       .packet_bytes = ABAFT_PACKET_BYTES_MAX,
				       .workers = 1,
				       .random = 1,
				       .flights = w.flights,
				       .flights_max = TXNS * WINDOW};
	w.shared.timers = (struct timers){.heap = w.heap, .max = TXNS * (WINDOW + 1)};
	txn_setup(&w.shared, w.txn, TXNS);
	for (uint32_t t = 0; t < TXNS; t++)
		take_up(t);
	for (uint32_t n = 0; n < COMMANDS_MAX && w.in.at < w.in.end; n++)
		command();
	for (uint32_t t = 0; t < TXNS; t++) {
		txn_drop(&w.txn[t]);
		must(w.txn[t].flying == 0);
		txn_destroy(&w.txn[t]);
		side_clear(&w.side[t]);
	}
	must(w.shared.timers.count == 0 && link_alone(&w.shared.ready) &&
	     link_alone(&w.shared.resend));
	return 0;
}
