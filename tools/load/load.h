/* SPDX-License-Identifier: Apache-2.0 */
/*
 * load.h - the load generator: what its parts share.
 *
 * load.c reads the command line; phase.c runs a phase (preload, run, dump); thread.c keeps one
 * client's transactions in flight, in the slots of slot.c; txn.c takes one transaction through its
 * functions and retries, as a function platform would; report.c prints; recording.c writes what
 * --record asks for, series.c is how threads tell it of each second, machine.c names the machine.
 *
 * I1. A latency counts from the moment a transaction was meant to start. At a given rate that is
 *     when its turn came, not when a slot was free: no coordinated omission.
 * I2. A thread owns its client, slots, histogram, history writer and random state. What other
 *     threads read of it while it runs is atomic (done, stop), and its series by the rules of
 *     series.h.
 * I3. The i-th operation of a plan is the i-th of the transaction, so its number is step, attempt,
 *     i + 1.
 */
#ifndef ABAFT_TOOLS_LOAD_LOAD_H
#define ABAFT_TOOLS_LOAD_LOAD_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <abaft/abaft.h>

#include "tools/command/command.h"
#include "tools/history/history.h"
#include "tools/load/latency.h"
#include "tools/load/zipf.h"

#define LOAD_THREADS_MAX      64
#define LOAD_CLIENTS_MAX      65536
#define LOAD_OPS_MAX	      256 /* of a transaction: ABAFT_TXN_READS_MAX, .._WRITES_MAX */
#define LOAD_BATCH_OPS	      32  /* keys of a transaction that preloads or dumps */
#define LOAD_BUFFER_BYTES_MAX (4ull << 30)
#define LOAD_ERRORS	      128 /* codes of enum abaft_error */
#define LOAD_KEY_BYTES	      64
#define LOAD_PREFIX_BYTES_MAX 40
#define LOAD_DRAIN_NS	      20000000000ull /* after the end, for what is in flight */

enum load_phase { LOAD_PRELOAD, LOAD_RUN, LOAD_DUMP };

struct cJSON;
struct recording;
struct series;

struct load_config {
	struct command_options common;
	uint64_t keys, transactions, seed;
	uint32_t value_bytes, functions, reads, writes, clients, threads, retries;
	double read_share; /* below 0: exactly reads and writes */
	double abort_share;
	double rate; /* transactions per second; 0 = closed loop */
	double seconds;
	double exponent; /* 0 = uniform */
	bool constant, one_packet, preload, no_run, quiet;
	const char *prefix;
	const char *history, *dump, *record;
};

struct load_op {
	bool write;
	uint64_t rank; /* key, 1 to keys */
	uint64_t time_us;
	struct abaft_result result;
};

enum load_slot_state { LOAD_IDLE, LOAD_RUNNING, LOAD_WAITING };

/* One transaction in flight. */
struct load_slot {
	struct load_thread *thread;
	enum load_slot_state state;
	struct load_op *op; /* functions x per_function */
	uint32_t ops;	    /* planned */
	uint32_t submitted; /* of them, in this attempt */
	char *values;	    /* read buffers, one for each operation */
	struct abaft_txn *txn;
	struct abaft_id id;
	uint32_t function;
	uint16_t attempt;
	uint32_t tries;
	bool abort; /* meant to */
	bool commit_sent;
	bool unknown_before; /* an earlier attempt of this id may have committed */
	struct abaft_result end;
	uint64_t intended_ns, wake_ns;
	uint64_t start_us; /* of this attempt */
};

struct load_counts {
	uint64_t committed, aborted, failed, unknown; /* transactions, at their end */
	uint64_t reruns, new_ids, not_found, reads, writes;
	uint64_t not_started; /* turns of an open loop that never came */
	uint64_t errors[LOAD_ERRORS];
	struct abaft_client_stats client;
	struct latency latency;
};

struct load_thread {
	struct load *load;
	uint32_t index;
	pthread_t thread;
	struct abaft *client;
	struct zipf_random random;
	struct load_slot *slots;
	uint32_t *idle; /* stack of free slots */
	uint32_t slot_count, idle_count, waiting;
	char *value;		     /* what is written: tag and filler */
	uint64_t started, share;     /* transactions: begun, to begin */
	uint64_t next_key, last_key; /* preload, dump */
	uint64_t next_ns;	     /* when the next turn of an open loop comes */
	struct history_writer *history;
	struct series *series; /* of each second of a run; NULL: nobody records it */
	int error;	       /* negative errno of the history, or enum abaft_error of begin */
	struct load_counts counts;
	_Atomic uint64_t done;
};

struct load {
	struct load_config config;
	enum load_phase phase;
	struct zipf zipf;
	uint32_t per_function; /* operations */
	uint32_t ops_max;      /* of a slot */
	uint32_t buffer_bytes; /* of a read */
	uint64_t start_ns, end_ns;
	uint64_t start_unix_us;
	struct recording *recording; /* where the run is recorded; NULL: nowhere */
	_Atomic bool stop;
	struct load_thread *threads;
};

/* slot.c: the clock of everything that ends in _ns. */
uint64_t load_mono_ns(void);
/* An idle slot, which runs from now on; there must be one. */
struct load_slot *load_slot_take(struct load_thread *thread);
void load_slot_wait(struct load_slot *slot, uint64_t wake_ns);
/* A waiting one runs again. */
void load_slot_resume(struct load_slot *slot);
/* A running or waiting one is idle again. */
void load_slot_ended(struct load_slot *slot);

/* txn.c: starts the planned transaction of a slot; it ends with load_slot_ended(). */
void load_txn_start(struct load_slot *slot);
/* Goes on after a pause. */
void load_txn_again(struct load_slot *slot);
/* Gives up at the end of the time: as far as anyone knows. */
void load_txn_abandon(struct load_slot *slot);

/* thread.c: runs a struct load_thread until its share is done, as pthread_create() wants it. */
void *load_thread_run(void *thread);

/* phase.c: runs a phase with all its threads. Returns an exit code; COMMAND_NO if it was
 * interrupted. */
int load_phase_run(struct load *load, enum load_phase phase, struct load_counts *counts,
		   double *seconds);

/* machine.c: adds kernel and processors. False: no memory. */
bool load_machine_json(struct cJSON *root);

/* report.c: `seconds` is what the run really took. 0 or -ENOMEM. */
void load_print(const struct load *load, const struct load_counts *counts, double seconds);
/* The text is the caller's to cJSON_free(); NULL: no memory. */
char *load_json(const struct load *load, const struct load_counts *counts, double seconds);
__attribute__((warn_unused_result)) int
load_print_json(const struct load *load, const struct load_counts *counts, double seconds);

#endif
