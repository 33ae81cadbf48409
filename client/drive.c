/* SPDX-License-Identifier: Apache-2.0 */
/*
 * drive.c - see drive.h.
 *
 * I1. A callback is called with nothing half done: answers and timers only link what has
 *     ended in shared->done, drive_call_back() then takes one after the other and calls; so
 *     a callback may submit again, or end any transaction.
 */
#include "client/drive.h"

struct txn_flight *drive_next(struct txn_shared *shared)
{
	if (!link_alone(&shared->resend)) {
		struct txn_flight *flight =
			link_owner(shared->resend.next, struct txn_flight, link);

		link_remove(&flight->link);
		return flight;
	}
	while (!link_alone(&shared->ready)) {
		struct abaft_txn *txn = link_owner(shared->ready.next, struct abaft_txn, link);
		struct txn_flight *flight = txn_next(txn);

		if (flight) {
			link_append(&shared->ready, &txn->link);
			return flight;
		}
	}
	return NULL;
}

uint32_t drive_worker(const struct txn_flight *flight)
{
	if (flight->tries % 3 == 2)
		return 0;
	return txn_owner(&flight->txn->id, flight->txn->shared->workers);
}

bool drive_take(struct txn_shared *shared, const uint8_t *bytes, uint32_t len, uint64_t now_us)
{
	struct packet_header header;
	struct packet_cursor cursor;
	struct txn_flight *flight;

	if (len > ABAFT_PACKET_BYTES_MAX || packet_open(&cursor, &header, bytes, len) != PACKET_OK)
		return false;
	flight = txn_flight_of(shared, &header);
	if (!flight)
		return false;
	txn_answer(flight, &header, &cursor, now_us);
	return true;
}

void drive_timers(struct txn_shared *shared, uint64_t now_us)
{
	struct timer *timer;

	while ((timer = timers_first(&shared->timers)) && timer->due_us <= now_us)
		txn_timer(shared, timer);
}

int drive_call_back(struct txn_shared *shared)
{
	int ended = 0;

	while (!link_alone(&shared->done)) {
		struct abaft_txn *txn = link_owner(shared->done.next, struct abaft_txn, link);

		link_remove(&txn->link);
		txn->state = TXN_IDLE;
		ended++;
		if (txn->done)
			txn->done(txn->arg, txn, txn->err);
	}
	return ended;
}

void drive_end(struct abaft_txn *txn)
{
	bool pending = txn->state == TXN_RUNNING || txn->state == TXN_DONE;
	abaft_done_fn done = txn->done;

	txn_drop(txn);
	if (pending && done) {
		txn->state = TXN_ENDING;
		done(txn->arg, txn, ABAFT_CANCELLED);
		txn->state = TXN_FREE;
	}
}
