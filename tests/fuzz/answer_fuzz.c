/* SPDX-License-Identifier: Apache-2.0 */
/*
 * answer_fuzz.c - arbitrary answers into the client.
 *
 * Input: a byte that chooses what the transaction waits for, then answers, each a byte of length /
 * 8 and its bytes. With the top bit of the first byte set, the fields that only the right answer
 * knows (magic, request, transaction, length) are filled in, so that the deeper checks are reached.
 */
#include <stdlib.h>
#include <string.h>

#include "client/txn.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { WINDOW = 4, BUF = 3000 };

struct world {
	struct txn_shared shared;
	struct abaft_txn txn;
	struct txn_flight flights[WINDOW];
	struct timer *heap[WINDOW + 1];
	uint8_t *value, *buf;
	struct abaft_result results[3];
};

static int prepare(struct world *w, unsigned int choice)
{
	switch (choice % 5) {
	case 0:
		return abaft_prep_put(&w->txn, "a", 1, w->value, 10, &w->results[0]) ||
		       abaft_prep_get(&w->txn, "b", 1, w->buf, BUF, &w->results[1]) ||
		       abaft_prep_get(&w->txn, "c", 1, w->buf, 7, &w->results[2]);
	case 1:
		return abaft_prep_put(&w->txn, "a", 1, w->value, BUF, &w->results[0]) ||
		       abaft_prep_commit(&w->txn, &w->results[1]);
	case 2:
		return txn_prep_status(&w->txn, &w->results[0]);
	case 3:
		return txn_prep_info(&w->txn, 0, w->buf, BUF, &w->results[0]);
	default:
		return abaft_prep_delete(&w->txn, "a", 1, &w->results[0]) ||
		       abaft_prep_commit(&w->txn, &w->results[1]);
	}
}

/* Sends whatever may go; the first flight is the one to be answered. */
static struct txn_flight *send_all(struct world *w, uint64_t now_us)
{
	uint8_t packet[ABAFT_PACKET_BYTES_MAX];
	struct txn_flight *flight;

	while (!link_alone(&w->shared.ready) && (flight = txn_next(&w->txn))) {
		if (!txn_encode(flight, packet))
			abort();
		txn_sent(flight, now_us);
	}
	for (int i = 0; i < WINDOW; i++) {
		if (w->flights[i].request)
			return &w->flights[i];
	}
	return NULL;
}

static void fill_in(const struct world *w, const struct txn_flight *flight, uint8_t *bytes,
		    uint32_t len)
{
	struct abaft_wire_header *header = (struct abaft_wire_header *)bytes;

	if (!flight || len < sizeof(*header))
		return;
	memcpy(header->magic, "ABFT", 4);
	header->version = ABAFT_WIRE_VERSION;
	header->kind = ABAFT_KIND_ANSWER;
	header->length[0] = (uint8_t)len;
	header->length[1] = (uint8_t)(len >> 8);
	memcpy(header->request, &flight->request, sizeof(header->request));
	memcpy(header->txn, w->txn.id.bytes, sizeof(header->txn));
}

static void answers(struct world *w, bool right, const uint8_t *data, size_t size)
{
	struct txn_flight *flight = send_all(w, 1);

	for (uint64_t now_us = 2; size && w->txn.state == TXN_RUNNING; now_us++) {
		uint32_t len = *data * 8u < size - 1 ? *data * 8u : (uint32_t)(size - 1);
		/* Of the exact size, so that a byte beyond it is noticed. */
		uint8_t *bytes = malloc(len ? len : 1);
		struct packet_header header;
		struct packet_cursor cursor;

		if (!bytes)
			abort();
		memcpy(bytes, data + 1, len);
		if (right)
			fill_in(w, flight, bytes, len);
		if (packet_open(&cursor, &header, bytes, len) == PACKET_OK &&
		    (flight = txn_flight_of(&w->shared, &header)))
			txn_answer(flight, &header, &cursor, now_us);
		free(bytes);
		data += len + 1;
		size -= len + 1;
		flight = w->txn.state == TXN_RUNNING ? send_all(w, now_us) : NULL;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct world *w = calloc(1, sizeof(*w));
	struct abaft_id id = {"\x01\x99\xa8\xf3\x5c\x00\x7a\xbc\x8d\xef\x01\x23\x45\x67\x89\xab"};

	if (!w)
		abort();
	w->value = calloc(1, BUF);
	w->buf = calloc(1, BUF);
	w->shared = (struct txn_shared){.timeout_us = 1000000,
					.resend_us = 1000,
					.window = WINDOW,
					.packet_bytes = ABAFT_PACKET_BYTES_MAX,
					.workers = 1,
					.random = 1,
					.flights = w->flights,
					.flights_max = WINDOW};
	w->shared.timers = (struct timers){.heap = w->heap, .max = WINDOW + 1};
	txn_setup(&w->shared, &w->txn, 1);
	if (size && w->value && w->buf && !txn_take_up(&w->txn, NULL, &id) &&
	    !prepare(w, data[0] & 127) && !txn_start(&w->txn, 0))
		answers(w, data[0] & 128, data + 1, size - 1);
	txn_drop(&w->txn);
	/* What has ended leaves nothing behind. */
	if (w->shared.timers.count || w->txn.flying)
		abort();
	txn_destroy(&w->txn);
	free(w->value);
	free(w->buf);
	free(w);
	return 0;
}
