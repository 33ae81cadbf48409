/* SPDX-License-Identifier: Apache-2.0 */
/*
 * txn.h - a transaction in the client: operations in, packets out; answers in, results out.
 *
 * Pure: no socket, no clock, no system's randomness. Time is an argument, the driver (client.c, or
 * a simulator) moves the packets. All transactions of one driver share a `struct txn_shared`.
 *
 * The driver's part:
 *  - after txn_start() the transaction is linked in shared->ready: call txn_next() on what is
 * linked there until it returns NULL, and send each flight's packet;
 *  - when shared->timers' first timer is due, call txn_timer(); flights to be sent again are then
 *    linked in shared->resend;
 *  - for each packet: txn_encode(), send, txn_sent();
 *  - for each answer: packet_open(), txn_flight_of(), txn_answer();
 *  - transactions whose submit has ended are linked in shared->done.
 */
#ifndef ABAFT_CLIENT_TXN_H
#define ABAFT_CLIENT_TXN_H

#include <abaft/abaft.h>

#include "client/list.h"
#include "client/rtt.h"
#include "client/packet.h"
#include "client/timers.h"

/* Operations of one submit: more than a transaction may read and write. */
#define TXN_OPS_MAX	 1024
/* Keys and values of one submit. */
#define TXN_DATA_MAX	 (ABAFT_TXN_VALUE_BYTES_MAX + ABAFT_TXN_META_BYTES_MAX)
/* A pause before a resend doubles up to this. */
#define TXN_PAUSE_US_MAX 250000

enum timer_kind { TIMER_SUBMIT, TIMER_FLIGHT };

/* A packet in flight, or room for one. */
struct txn_flight {
	struct link link; /* free, or to be sent again */
	struct timer timer;
	struct abaft_txn *txn;
	uint32_t slot;	  /* its number among all flights of the driver */
	uint64_t request; /* 0: not in flight */
	uint64_t instance;
	uint32_t first, count; /* operations in it */
	uint32_t offset, len;  /* of a part */
	uint16_t flags;
	uint16_t tries;	   /* times sent */
	bool in_progress;  /* the node said so: its answer is to the first send */
	uint64_t sent_us;  /* the first time */
	uint64_t pause_us; /* before the next resend, without jitter */
};

struct txn_shared {
	uint64_t timeout_us;
	uint64_t resend_us;
	uint32_t window;
	uint32_t packet_bytes;
	uint32_t workers;	    /* of the node, as last heard; 1 before */
	uint32_t generation;	    /* upper half of request ids */
	uint64_t random;	    /* state of the jitter; never 0 */
	uint64_t busy;		    /* answers that said: again later */
	struct rtt rtt, rtt_ending; /* of packets, and of those with a COMMIT or ABORT */
	struct timers timers;
	struct link ready, resend, done;
	struct txn_flight *flights; /* txns x window */
	uint32_t flights_max;
};

struct txn_op {
	uint8_t code;
	bool parts; /* a PUT beyond a packet */
	uint16_t key_bytes;
	uint32_t seq;
	uint32_t key_at, value_at; /* in the transaction's data */
	uint32_t value_bytes;
	uint32_t offset; /* INFO: first byte */
	uint32_t buf_bytes;
	uint8_t *buf;
	struct abaft_result answer;
	struct abaft_result *result; /* the caller's, or NULL */
};

enum txn_state {
	TXN_FREE,
	TXN_IDLE,    /* nothing is under way: prepare and submit */
	TXN_RUNNING, /* a submit is under way */
	TXN_DONE,    /* it ended; linked in shared->done */
	TXN_ENDING,  /* being freed */
};

enum txn_stage {
	STAGE_CHOOSE,	 /* the next operations are to be packed */
	STAGE_OPS,	 /* one packet of whole operations */
	STAGE_PUT_PARTS, /* a window of PUT_PARTs */
	STAGE_GET_PARTS, /* a window of GET_PARTs for the GETs of the packet before */
};

struct abaft_txn {
	struct link link;   /* free, idle, ready or done */
	struct timer timer; /* end of the time allowed */
	struct txn_shared *shared;
	struct txn_flight *flights; /* shared->window of them */
	struct link flights_free;
	uint32_t flying;

	struct abaft_id id;
	uint16_t step, attempt;
	uint32_t deadline_ms;
	uint32_t seq;	   /* of the next operation prepared */
	uint64_t instance; /* 0: not heard yet */

	struct txn_op *ops;
	uint32_t ops_count, ops_max;
	uint8_t *data;
	uint32_t data_bytes, data_max;
	bool closed; /* a COMMIT or ABORT was prepared: nothing may follow it */

	enum txn_state state;
	enum txn_stage stage;
	uint32_t first, end;	  /* operations of the stage */
	uint32_t cut, cut_offset; /* next part: of which operation, from which byte */
	int err;		  /* of the last submit */
	int pause_status;	  /* the node's last word was: again later */
	bool send_failed;	  /* our own network's last word was no */
	uint64_t submits;
	abaft_done_fn done;
	void *arg;
};

/* Gives all flights and transactions their places; `txns` of them, zeroed. */
void txn_setup(struct txn_shared *shared, struct abaft_txn *txns, uint32_t count);
/* Begins with a free transaction. INVALID: `begin` contradicts itself or its context is none. */
int txn_take_up(struct abaft_txn *txn, const struct abaft_begin *begin,
		const struct abaft_id *fresh) __attribute__((warn_unused_result));
/* Drops what it holds and all its packets; the transaction is then free. */
void txn_drop(struct abaft_txn *txn);
/* Frees the memory too. */
void txn_destroy(struct abaft_txn *txn);

int txn_prep_info(struct abaft_txn *txn, uint32_t offset, void *buf, size_t buf_bytes,
		  struct abaft_result *result) __attribute__((warn_unused_result));
int txn_prep_status(struct abaft_txn *txn, struct abaft_result *result)
	__attribute__((warn_unused_result));
/* Fits in one packet as a whole? Else it goes in parts. */
bool txn_op_fits(const struct txn_shared *shared, const struct txn_op *op);

/* Starts the submit of what was prepared. INVALID, BUSY. */
int txn_start(struct abaft_txn *txn, uint64_t now_us) __attribute__((warn_unused_result));
/* A packet that may go now, or NULL (then the transaction is out of shared->ready). */
struct txn_flight *txn_next(struct abaft_txn *txn);
/* Writes the flight's packet, the same bytes each time. `buf` holds shared->packet_bytes. */
uint32_t txn_encode(const struct txn_flight *flight, uint8_t *buf);
/* It was sent (or lost on the way out): sets the time of its resend. */
void txn_sent(struct txn_flight *flight, uint64_t now_us);
/* Its final answer came: how long that took. */
void txn_measure(struct txn_flight *flight, uint64_t now_us);
/* A timer of this driver is due. */
void txn_timer(struct txn_shared *shared, struct timer *timer);
/* Ends the submit: results not there yet get SKIPPED. */
void txn_finish(struct abaft_txn *txn, int err);

/* The flight an answer belongs to, or NULL. */
struct txn_flight *txn_flight_of(struct txn_shared *shared, const struct packet_header *header);
/* Takes the answer to a flight in flight. */
void txn_answer(struct txn_flight *flight, const struct packet_header *header,
		struct packet_cursor *cursor, uint64_t now_us);
/* A flight of the stage has landed: was it the last? Goes from a packet to its GETs' parts. */
bool txn_stage_ended(struct abaft_txn *txn) __attribute__((warn_unused_result));
/* Gives a flight's place back. */
void txn_land(struct txn_flight *flight);
/* Send this flight again after a pause that grows with its tries. */
void txn_pause(struct txn_flight *flight, uint64_t now_us);

/* The worker that owns an id. */
uint32_t txn_owner(const struct abaft_id *id, uint32_t workers);

#endif
