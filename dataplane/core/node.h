/* SPDX-License-Identifier: Apache-2.0 */
/*
 * node.h - the pure transaction core: a request in, an answer or a wait for the log out.
 *
 * No clock, no randomness, no I/O, no thread: all of it is an argument or a returned action. One
 * `struct node` per worker, used by that worker's thread alone; the `struct store` (the key version
 * index, the memory, the reclamation eras) is shared by all workers of the process.
 */
#ifndef ABAFT_CORE_NODE_H
#define ABAFT_CORE_NODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <abaft/telemetry.h>

#include "dataplane/core/now.h"

struct node;
struct store;
struct telemetry;

struct store_config {
	uint32_t workers;      /* 1 to ABAFT_WORKERS_MAX */
	uint64_t keys_max;     /* keys the index can hold */
	uint64_t memory_bytes; /* values, versions and commit records */
	uint64_t cache_bytes;  /* of these, large values at most; 0: what the others leave */
	uint32_t logs;	       /* whose segments are counted, at least workers; 0: workers */
	uint64_t seed;	       /* random: hashes of keys cannot be guessed */
	/* Zeroed memory, 2 MiB aligned, in huge pages if there are any, for all that is large.
	 * NULL: aligned_alloc() and free(). */
	void *(*map)(uint64_t bytes);
	void (*unmap)(void *memory, uint64_t bytes);
};

struct node_config {
	uint32_t worker;	     /* 0 to workers - 1 */
	uint32_t origin;	     /* names this worker in versions: node << 8 | worker */
	uint32_t txns_max;	     /* open transactions */
	uint32_t outcomes_max;	     /* outcomes remembered */
	uint64_t window_ms;	     /* ids older than this are refused */
	uint64_t skew_ms;	     /* ids further ahead than this are refused */
	uint32_t deadline_ms;	     /* default life of a transaction after its last packet */
	uint64_t instance_seed;	     /* random: first transaction instance of this run */
	struct telemetry *telemetry; /* the worker's, or NULL: counters in memory of its own */
};

/* Allocates all the memory there will be. 0, -EINVAL or -ENOMEM. */
int store_create(struct store **out, const struct store_config *config);
void store_destroy(struct store *store);
int node_create(struct node **out, struct store *store, const struct node_config *config);
void node_destroy(struct node *node);

/* The worker that owns a transaction id: a pure function of both. */
uint32_t node_owner(const uint8_t txn[16], uint32_t workers);

/*
 * A pass: the worker calls node_pass_begin() before it touches anything of the store, and
 * node_pass_end() before it sleeps or starts over. Between them pointers into the store stay valid.
 * An idle worker must be outside a pass, or it would hold back reclamation.
 */
void node_pass_begin(struct node *node, struct now now);
void node_pass_end(struct node *node);

enum node_verdict {
	NODE_ANSWER, /* `out` holds an answer: send it */
	NODE_WAIT,   /* a record was appended: keep `out`, node_durable() will name `token` */
	NODE_FETCH,  /* a value is on disk: keep `in` as it is, node_fetched() will name `token` */
	NODE_DROP,   /* not answerable (counted): forget it */
};

/*
 * Executes one request: `in` are the UDP payload's bytes, untrusted. `out` must hold
 * ABAFT_PACKET_BYTES_MAX bytes and must not overlap `in`. On NODE_WAIT the answer stands in `out`
 * but for the commit's result, which node_durable() fills when the caller hands it back.
 */
enum node_verdict node_execute(struct node *node, const uint8_t *in, uint32_t in_bytes,
			       uint8_t *out, uint32_t *out_bytes, void *token);

/*
 * Hides the memory's latency: node_ahead() notes the keys of a request, for as many requests of a
 * burst as there is room, then node_ahead_run() loads what they will touch, level by level, before
 * the first is executed. Hints: both may be left out, and take any bytes. In a pass.
 */
void node_ahead(struct node *node, const uint8_t *in, uint32_t in_bytes);
void node_ahead_run(struct node *node);

/*
 * Answers a request as a whole with `status` (BUSY when a hand-over ring is full, say) without
 * touching any state but what it is counted by. False when the bytes are no request of ours: drop
 * them.
 */
bool node_refuse(struct node *node, const uint8_t *in, uint32_t in_bytes, uint8_t *out,
		 uint32_t *out_bytes, uint16_t status);
/* From now on new transactions get STOPPING; open ones may still end. */
void node_stop(struct node *node);
/* True while commits or aborts wait for the log. */
bool node_pending(const struct node *node);
/* Who makes the text of INFO answers: lines "name value". Returns the text's length. */
typedef uint32_t (*node_info_fn)(void *arg, char *text, uint32_t text_bytes);
void node_set_info(struct node *node, node_info_fn fn, void *arg);

/* A cold value to be read: as struct log_read. */
struct node_read {
	uint64_t place;
	uint32_t bytes;
	uint8_t *to;
	uint64_t tag; /* for node_read_done() */
};

/* The log as the core sees it: the worker lends it at creation. reserve may return NULL (BUSY). */
struct node_log {
	void *log;
	uint8_t *(*reserve)(void *log, uint32_t bytes);
	/* Sets *place to that of the record's first byte (place.h). */
	uint64_t (*append)(void *log, uint32_t bytes, uint8_t type, uint64_t *place);
	int (*error)(void *log); /* as log_error() */
	/* As log_read(): 0, -EAGAIN, -ESTALE. NULL: nothing is ever cold. */
	int (*read)(void *log, const struct node_read *read);
};
void node_attach_log(struct node *node, const struct node_log *log);

/* Every record up to `seq` is durable: publishes its transactions, in order, and calls `done` for
 * each waiting token with the bytes that replace the commit's result in the answer. */
typedef void (*node_done_fn)(void *arg, void *token, const uint8_t *result, uint32_t at,
			     uint32_t bytes);
void node_durable(struct node *node, uint64_t seq, node_done_fn done, void *arg);
/* The log failed: answers all waiting commits with LOG_FAILED; they stay invisible, their outcome
 * is unknown until restart. */
void node_log_failed(struct node *node, node_done_fn done, void *arg);

/* A read that node_log.read() began has ended: 0 or a negative errno. In a pass. */
void node_read_done(struct node *node, uint64_t tag, int result);
/*
 * Names each token whose request can go on: execute it again, with the same bytes, within the call
 * and before the pass ends. Once per pass, after node_read_done().
 */
typedef void (*node_again_fn)(void *arg, void *token);
void node_fetched(struct node *node, node_again_fn again, void *arg);

/* The value that was found damaged last: its place, and its key as far as it fits. */
#define NODE_DAMAGE_KEY_BYTES 32
struct node_damage {
	uint64_t count; /* of damaged values found, some of them more than once */
	uint64_t place;
	uint32_t key_bytes; /* of the whole key */
	uint8_t key[NODE_DAMAGE_KEY_BYTES];
};
/* NULL: none was. */
const struct node_damage *node_damage(const struct node *node);

/* Deadlines and reclamation, bounded work; call once per pass. Returns the microseconds until it
 * wants to be called again (UINT64_MAX: not before a packet comes). */
uint64_t node_tick(struct node *node);

/*
 * Recovery, before the first pass: perhaps a checkpoint's entries (snapshot.h), then records.
 * node_recover_begin() says which workers' logs will come (bit n: log n); without it all might.
 * Then each log's records are applied in order, by one thread for each log, and node_recover_end()
 * tells that there are no more of it: that lets deleted keys go. `place` is that of data[0]. The
 * kept log's records (ABAFT_LOG_KEPT) only say where versions stand, and it needs neither call.
 * What was applied before, by a checkpoint or a record, changes nothing. 0, -EBADMSG (no record of
 * ours: an id that ended otherwise, or not above its log's last), -ENOMEM, -ENOSPC or -EBUSY (the
 * store is too small for what was committed).
 */
void node_recover_begin(struct node *nodes[], uint64_t logs);
int node_recover(struct node *nodes[], uint32_t workers, uint32_t log, uint8_t type, uint64_t place,
		 const uint8_t *data, uint32_t bytes);
/* Records of type RECORD_LOST that came: they change nothing. */
uint64_t node_recover_lost(struct node *nodes[]);
void node_recover_end(struct node *nodes[], uint32_t log);
/* After all logs: the last tombstones go, and the clocks go above all that was recovered. */
void node_recovered(struct node *nodes[], uint32_t workers);

const struct node_counters *node_counters(const struct node *node);

#endif
