/* SPDX-License-Identifier: Apache-2.0 */
/*
 * drive.h - the driver's part (txn.h) as far as it knows neither sockets nor clocks: what to send
 * next and to which worker, what an answer is for, what is due, who is called back.
 *
 * Pure. client.c and socket.c put a socket and the system's clock under it, a simulator its own.
 */
#ifndef ABAFT_CLIENT_DRIVE_H
#define ABAFT_CLIENT_DRIVE_H

#include "client/txn.h"

/* The next packet that wants to go, out of its list: resends first, then the transactions in turn.
 * NULL: none does. Encode it, send it, and tell by txn_sent(). */
struct txn_flight *drive_next(struct txn_shared *shared);
/* The worker whose port it goes to. Every third try goes to the first one's, which is there
 * whatever the node's number of workers is now. */
uint32_t drive_worker(const struct txn_flight *flight);
/* Takes a packet of the node's. False: it is no answer to anything in flight. */
bool drive_take(struct txn_shared *shared, const uint8_t *bytes, uint32_t len, uint64_t now_us)
	__attribute__((warn_unused_result));
/* Does what is due. */
void drive_timers(struct txn_shared *shared, uint64_t now_us);
/* Calls back for what has ended. Returns how many. */
int drive_call_back(struct txn_shared *shared);
/* Drops the transaction; a pending callback gets CANCELLED, in which the transaction can be named
 * but not used. It is then free, and in no list. */
void drive_end(struct abaft_txn *txn);

#endif
