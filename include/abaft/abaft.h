/* SPDX-License-Identifier: Apache-2.0 */
/*
 * abaft.h - the client library: read-atomic, exactly-once transactions over an abaft node.
 *
 * A client is one UDP socket and the transactions in flight on it. One thread uses a client at a
 * time (the caller's lock decides which); different clients are independent. Nothing here starts
 * threads or installs signal handlers.
 *
 * A transaction gathers operations (prep), sends them together (submit), and reports when all of
 * them are answered (wait, or a callback out of abaft_poll()). Operations prepared together travel
 * in as few packets as they fit in; a whole transaction in one packet is one round trip:
 *
 *	abaft_begin(client, NULL, &txn);
 *	abaft_prep_put(txn, "a", 1, "1", 1, NULL);
 *	abaft_prep_put(txn, "b", 1, "2", 1, NULL);
 *	abaft_prep_commit(txn, &result);
 *	err = abaft_run(txn);              // submit and wait
 *	abaft_end(txn);
 *
 * Lost packets are sent again with growing pauses, values beyond a packet move in parts, BUSY,
 * IN_PROGRESS and READ_FAILED are retried within the time allowed: the caller sees none of it.
 * Functions return ABAFT_OK (0) or a positive enum abaft_error; abaft_strerror() has the text,
 * abaft_retry_of() says what to do next.
 */
#ifndef ABAFT_H
#define ABAFT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <abaft/error.h>
#include <abaft/limits.h>

#ifdef __cplusplus
extern "C" {
#endif

#define ABAFT_MUST_CHECK __attribute__((warn_unused_result))
#define ABAFT_PUBLIC	 __attribute__((visibility("default")))

struct abaft;	  /* a client */
struct abaft_txn; /* a transaction in the client */

/* A transaction id, UUIDv7: the request's id. A retry of the same request uses the same id. */
struct abaft_id {
	uint8_t bytes[16];
};
/* "xxxxxxxx-xxxx-7xxx-xxxx-xxxxxxxxxxxx" and a NUL. */
#define ABAFT_ID_TEXT_BYTES 37
/* What one function hands to the next of its chain: text, with its NUL. */
#define ABAFT_CONTEXT_BYTES 96

/* Orders all commits; time is microseconds since 1970 << 12 | count, 0 = none. */
struct abaft_version {
	uint64_t time;
	uint32_t origin;
};

struct abaft_config {
	const char *address;	  /* name or IPv4/IPv6 address; NULL = 127.0.0.1 */
	uint16_t port;		  /* base port; 0 = ABAFT_UDP_PORT_DEFAULT */
	uint32_t timeout_ms;	  /* for one submit, resends included; 0 = 5000 */
	uint32_t resend_us;	  /* least pause before a resend; grows with measured answer times,
				     doubles up to 250 ms; 0 = 5000 */
	uint32_t window;	  /* part packets in flight per transaction; 0 = 16 */
	uint32_t packet_bytes;	  /* largest UDP payload to send; 0 = ABAFT_PACKET_BYTES_MAX */
	uint32_t txns_max;	  /* transactions open at once; 0 = 1024 */
	const char *bind_address; /* local address; NULL = any */
};

/* Filled when the operation is answered; must live until then. */
struct abaft_result {
	int status;		      /* enum abaft_error */
	uint32_t total;		      /* GET: bytes of the value in the node */
	uint32_t len;		      /* GET: bytes copied to the buffer, <= total */
	struct abaft_version version; /* GET: version read; COMMIT: version made */
	bool own;		      /* GET: the transaction's own buffered write */
	bool repeat;		      /* COMMIT, ABORT: an earlier request's outcome */
};

/* How a transaction begins; zeroes are good defaults. */
struct abaft_begin {
	const struct abaft_id *id; /* NULL: a new id */
	const char *context;	   /* abaft_export() of the step before: joins its transaction */
	uint16_t step;		   /* number of this function; 0 with a context: the next one */
	uint16_t attempt;	   /* number of this run of the function; a retry counts up */
	uint32_t deadline_ms;	   /* life after each packet; 0 = the node's default */
};

enum abaft_outcome {
	ABAFT_OUTCOME_UNKNOWN,	 /* the node remembers nothing of this id */
	ABAFT_OUTCOME_OPEN,	 /* running, or its commit is being made durable */
	ABAFT_OUTCOME_COMMITTED, /* durable and visible */
	ABAFT_OUTCOME_ABORTED,
};

/* Opens a client. *out is the caller's, close with abaft_close().
 * Errors: INVALID (an address or a size), NO_MEMORY, NETWORK. Any thread. */
ABAFT_PUBLIC ABAFT_MUST_CHECK int abaft_open(struct abaft **out, const struct abaft_config *config);
/* Ends all its transactions as abaft_end() does and frees the client. */
ABAFT_PUBLIC void abaft_close(struct abaft *client);

/* A new id from the clock and the kernel's random numbers. Any thread. */
ABAFT_PUBLIC void abaft_id_new(struct abaft_id *id);
ABAFT_PUBLIC void abaft_id_text(const struct abaft_id *id, char text[ABAFT_ID_TEXT_BYTES]);
/* INVALID if the text is no UUIDv7. */
ABAFT_PUBLIC ABAFT_MUST_CHECK int abaft_id_parse(struct abaft_id *id, const char *text);

/* Begins (or joins) a transaction in the client; sends nothing. `begin` may be NULL. *out is the
 * caller's, end with abaft_end(). Errors: INVALID, NO_MEMORY, BUSY (txns_max). */
ABAFT_PUBLIC ABAFT_MUST_CHECK int abaft_begin(struct abaft *client, const struct abaft_begin *begin,
					      struct abaft_txn **out);
/* Frees the client's side. A transaction neither committed nor aborted stays open in the node until
 * another function goes on with it or its deadline passes. Pending callbacks get CANCELLED. */
ABAFT_PUBLIC void abaft_end(struct abaft_txn *txn);
ABAFT_PUBLIC const struct abaft_id *abaft_txn_id(const struct abaft_txn *txn);
/* The text that lets the next function of the chain join. INVALID before the first answer. */
ABAFT_PUBLIC ABAFT_MUST_CHECK int abaft_export(const struct abaft_txn *txn,
					       char context[ABAFT_CONTEXT_BYTES]);

/*
 * Prepare operations; they run in this order. Keys and values are copied; `buf` and `result` must
 * live until the submit ends. `result` may be NULL. Errors: INVALID (nothing may follow a COMMIT or
 * ABORT in one submit), TOO_LARGE, NO_MEMORY, BUSY (a submit is under way).
 */
ABAFT_PUBLIC ABAFT_MUST_CHECK int abaft_prep_get(struct abaft_txn *txn, const void *key,
						 size_t key_bytes, void *buf, size_t buf_bytes,
						 struct abaft_result *result);
ABAFT_PUBLIC ABAFT_MUST_CHECK int abaft_prep_put(struct abaft_txn *txn, const void *key,
						 size_t key_bytes, const void *value,
						 size_t value_bytes, struct abaft_result *result);
ABAFT_PUBLIC ABAFT_MUST_CHECK int abaft_prep_delete(struct abaft_txn *txn, const void *key,
						    size_t key_bytes, struct abaft_result *result);
ABAFT_PUBLIC ABAFT_MUST_CHECK int abaft_prep_commit(struct abaft_txn *txn,
						    struct abaft_result *result);
ABAFT_PUBLIC ABAFT_MUST_CHECK int abaft_prep_abort(struct abaft_txn *txn,
						   struct abaft_result *result);

/* `err` is OK when every operation was executed (a GET that found nothing included), else the first
 * error. Called from abaft_poll() or abaft_wait(); may prepare and submit again, or end the txn. */
typedef void (*abaft_done_fn)(void *arg, struct abaft_txn *txn, int err);
/* Sends what was prepared, with the next abaft_poll() or abaft_wait(): submits made before it leave
 * in one system call. done may be NULL (then use abaft_wait()). INVALID if nothing was prepared.
 * After TIMEOUT or NETWORK it is not known whether the operations were executed: submit the same
 * ones again, or ask abaft_status(). COMMITTED from a GET beside a COMMIT: the commit's answer was
 * lost once; it holds, but what was read is gone. */
ABAFT_PUBLIC ABAFT_MUST_CHECK int abaft_submit(struct abaft_txn *txn, abaft_done_fn done,
					       void *arg);
/* Drives the client until this transaction's submit has ended; returns what `done` would get. */
ABAFT_PUBLIC ABAFT_MUST_CHECK int abaft_wait(struct abaft_txn *txn);
/* Submit and wait. */
ABAFT_PUBLIC ABAFT_MUST_CHECK int abaft_run(struct abaft_txn *txn);
/* Receives, resends and calls back, for up to timeout_us (0: do not wait). Returns the number of
 * submits that ended, or a negative enum abaft_error. */
ABAFT_PUBLIC int abaft_poll(struct abaft *client, uint64_t timeout_us);
/* The socket, for an event loop of the caller's, and when to call abaft_poll() at the latest. */
ABAFT_PUBLIC int abaft_fd(const struct abaft *client);
ABAFT_PUBLIC uint64_t abaft_next_timeout_us(const struct abaft *client);

/* One operation each, synchronously: prepare, submit, wait. abaft_get() returns NOT_FOUND when
 * there is no value; *value_bytes is the value's whole length, of which buf_bytes at most were
 * copied. */
ABAFT_PUBLIC ABAFT_MUST_CHECK int abaft_get(struct abaft_txn *txn, const void *key,
					    size_t key_bytes, void *buf, size_t buf_bytes,
					    size_t *value_bytes);
ABAFT_PUBLIC ABAFT_MUST_CHECK int abaft_put(struct abaft_txn *txn, const void *key,
					    size_t key_bytes, const void *value,
					    size_t value_bytes);
ABAFT_PUBLIC ABAFT_MUST_CHECK int abaft_delete(struct abaft_txn *txn, const void *key,
					       size_t key_bytes);
ABAFT_PUBLIC ABAFT_MUST_CHECK int abaft_commit(struct abaft_txn *txn);
ABAFT_PUBLIC ABAFT_MUST_CHECK int abaft_abort(struct abaft_txn *txn);

/* What became of an id. `version` (may be NULL) gets the commit's. */
ABAFT_PUBLIC ABAFT_MUST_CHECK int abaft_status(struct abaft *client, const struct abaft_id *id,
					       enum abaft_outcome *outcome,
					       struct abaft_version *version);
/* Lines "name value" of one worker's facts and counters. *workers gets the node's number of
 * workers. INVALID if there is no such worker, TOO_LARGE if the text was cut. */
ABAFT_PUBLIC ABAFT_MUST_CHECK int abaft_info(struct abaft *client, uint32_t worker, char *text,
					     size_t text_bytes, uint32_t *workers);

ABAFT_PUBLIC const char *abaft_strerror(int err);   /* text of an enum abaft_error */
ABAFT_PUBLIC const char *abaft_error_name(int err); /* "BUSY" */
ABAFT_PUBLIC enum abaft_retry abaft_retry_of(int err);

/* What the client did, since it was opened. */
struct abaft_client_stats {
	uint64_t packets_sent, packets_received, resends, ignored, busy;
};
ABAFT_PUBLIC void abaft_client_stats(const struct abaft *client, struct abaft_client_stats *out);

#ifdef __cplusplus
}
#endif

#endif
