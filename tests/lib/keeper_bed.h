/* SPDX-License-Identifier: Apache-2.0 */
/*
 * keeper_bed.h - a whole node but for packets' ports, over simulated disks: workers' nodes, real
 * logs, the shelf, the kept log, checkpoint files and the keeper, all in one thread and in turn;
 * power cuts, kills, and restarts by the code that the daemon restarts with (dataplane/restart.h).
 *
 * The model is, for each key, what was acknowledged last. A value is a function of a seed. Each key
 * is written by one worker, so its writes come in the order in which they were sent. Everything
 * follows from the bed's seed.
 */
#ifndef ABAFT_TESTS_KEEPER_BED_H
#define ABAFT_TESTS_KEEPER_BED_H

#include <stdbool.h>
#include <stdint.h>

#include <abaft/limits.h>

#include "dataplane/core/hlc.h"
#include "dataplane/core/node.h"
#include "dataplane/keeper.h"
#include "dataplane/post.h"
#include "dataplane/restart.h"
#include "tests/lib/filedev_sim.h"
#include "tests/lib/logdev_sim.h"

#define KEEPER_BED_WORKERS_MAX 4
#define KEEPER_BED_KEYS_MAX    16384
#define KEEPER_BED_TXNS_MAX    64 /* in flight, of each worker */
#define KEEPER_BED_WRITES_MAX  3
#define KEEPER_BED_READS_MAX   64

/* A value's seed; these two are none. */
#define KEEPER_BED_NEVER   UINT64_C(0)
#define KEEPER_BED_DELETED UINT64_C(1)

/* A transaction whose answer waits for the log. */
struct keeper_bed_txn {
	bool used;
	uint32_t worker, count;
	struct {
		uint32_t key;
		uint64_t seed;
	} write[KEEPER_BED_WRITES_MAX];
	uint32_t answer_bytes;
	uint8_t answer[ABAFT_PACKET_BYTES_MAX];
};

/* A GET, which may wait for the disk: its request is kept as it came. */
struct keeper_bed_read {
	bool used;
	uint32_t worker, key, bytes;
	bool settled;	/* nothing of the key was in flight */
	uint64_t acked; /* what the model said then */
	uint8_t request[ABAFT_PACKET_BYTES_MAX];
};

/* What it runs over in the place of simulated disks: set it before keeper_bed_open(). */
struct keeper_bed_devices {
	void *arg;
	/* A process starts: fills the numbers of the logs that are there. 0, or what
	 * keeper_bed_open() returns, with a sentence. */
	int (*begin)(void *arg, uint8_t node_id[16], uint32_t logs[ABAFT_LOGS_MAX], uint32_t *count,
		     char *why);
	struct logdev *(*log)(void *arg, uint32_t number); /* to be destroyed */
	struct filedev *(*files)(void *arg);		   /* the same one for the process's life */
	/* It is killed: nothing that it has open may do any more than be closed. */
	void (*kill)(void *arg);
	/* All but the files was closed, or begin() failed. */
	void (*end)(void *arg);
	/* What stands there, for the bed's model; false: not so many bytes. */
	bool (*look)(void *arg, uint64_t place, uint8_t *to, uint32_t bytes);
};

struct keeper_bed {
	/* Set by keeper_bed_begin(); change before keeper_bed_open(). */
	uint64_t seed;
	uint32_t workers, keys;
	uint32_t value_bytes_max;
	uint64_t segment_bytes, bytes_max, reserve;
	uint64_t step_us; /* the clock's, of each pass */
	uint64_t memory_bytes, cache_bytes;
	uint32_t outcomes_max, txns_max, deadline_ms;
	uint64_t keys_max;
	void *(*map)(uint64_t bytes); /* as store_config's */
	void (*unmap)(void *memory, uint64_t bytes);
	struct keeper_config config;			     /* what a configuration can choose */
	struct telemetry *telemetry[KEEPER_BED_WORKERS_MAX]; /* of workers; NULL: none */

	struct keeper_bed_devices devices; /* begin NULL: the disks below */

	uint64_t random, ids;
	struct now now;
	uint8_t node_id[16];
	struct sim_disk *disk[ABAFT_LOGS_MAX]; /* one log's directory each; NULL: no such log */
	struct sim_files *files;

	/* While it is open. */
	struct store *store;
	struct node *node[KEEPER_BED_WORKERS_MAX];
	struct shelf *shelf;
	struct log *log[ABAFT_LOGS_MAX];
	struct post post[KEEPER_BED_WORKERS_MAX];
	struct keeper *keeper;
	struct restart restart;
	uint64_t keeper_due_us;
	char why[RESTART_WHY_BYTES];

	uint64_t acked[KEEPER_BED_KEYS_MAX];
	struct keeper_bed_txn txn[KEEPER_BED_WORKERS_MAX][KEEPER_BED_TXNS_MAX];

	struct keeper_bed_read read[KEEPER_BED_READS_MAX];

	/* Who is told what became of requests: the bed itself, or a test with a model of its own.
	 */
	node_done_fn done;
	node_again_fn again;
	void *client;
	/* Or NULL: hears of each log's device before the log is opened on it. */
	void (*device)(void *arg, uint32_t log, struct logdev *dev);
	void *device_arg;

	/* Counted over all restarts. */
	uint64_t reads, cold_reads, wrong_reads, failed_reads;
	uint64_t commits, refused_space, refused_busy, user_bytes;
	uint64_t cleaned_segments, cleaned_bytes, kept_bytes, checkpoints;
	struct keeper_damage damage; /* the last that was reported */
	uint32_t damages;
	bool held;     /* a backup is going on */
	bool threaded; /* the keeper steps by itself: nothing may be cleaned then */
};

/* Disks without a log; defaults for everything. */
void keeper_bed_begin(struct keeper_bed *bed, uint64_t seed, uint32_t workers);
void keeper_bed_end(struct keeper_bed *bed);
/* While it is down: the next start is with so many workers. Not for the bed's own clients. */
void keeper_bed_workers(struct keeper_bed *bed, uint32_t workers);
/* Starts, on what the disks hold. 0, or restart_run()'s error with `why`. */
int keeper_bed_open(struct keeper_bed *bed) __attribute__((warn_unused_result));
/* Everything in memory goes: by a power cut, by a kill, or in good order. */
void keeper_bed_power_cut(struct keeper_bed *bed);
void keeper_bed_kill(struct keeper_bed *bed);
void keeper_bed_close(struct keeper_bed *bed);

/* One pass of each worker, and the keeper's steps that are due. */
void keeper_bed_pass(struct keeper_bed *bed);
/* Sends a transaction that sets `count` keys of one worker (keys are the worker's if equal to its
 * number modulo the workers) to values of these seeds. False: it was refused, for now. */
bool keeper_bed_commit(struct keeper_bed *bed, const uint32_t *keys, const uint64_t *seeds,
		       uint32_t count);
/* A new value's seed. */
uint64_t keeper_bed_value(struct keeper_bed *bed);
/* One to three keys of the worker, any of them, new values or (one of `deletes`) deletes. */
bool keeper_bed_commit_any(struct keeper_bed *bed, uint32_t worker, uint32_t deletes);
/* Reads a key by its worker; what comes back must be whole and of that key, and, if nothing of it
 * is in flight, what the model says. False: no room for it. */
bool keeper_bed_read(struct keeper_bed *bed, uint32_t key);
/* A finished packet that sets one key, under an id of its own. */
struct packet;
void keeper_bed_packet(struct keeper_bed *bed, struct packet *p, uint32_t key, uint64_t seed);
/* Sends it, for the first time or again, and waits: the status of its commit, and its version. */
uint16_t keeper_bed_send(struct keeper_bed *bed, uint32_t worker, const struct packet *p,
			 struct vnum *number);
/* Passes until nothing is in flight; false if that never happens. */
bool keeper_bed_drain(struct keeper_bed *bed) __attribute__((warn_unused_result));
/* Passes until the keeper has written `count` more checkpoints; false if it does not. */
bool keeper_bed_checkpoints(struct keeper_bed *bed, uint32_t count)
	__attribute__((warn_unused_result));

/*
 * Nothing may be in flight, unless it was when all of it crashed. Every key is what the model says,
 * in the index, and its bytes stand on disk where its place says. After a crash what was in flight
 * may have been committed or not: the model then learns which. Returns how many keys are wrong;
 * prints the first.
 */
uint32_t keeper_bed_wrong(struct keeper_bed *bed);
/* Of the key's newest visible version: its place, and whether its value is on disk only. */
bool keeper_bed_cold(struct keeper_bed *bed, uint32_t key);
uint64_t keeper_bed_place(struct keeper_bed *bed, uint32_t key);
void keeper_bed_stats(struct keeper_bed *bed, struct keeper_stats *out);
/* Live bytes over bytes_max, percent. */
uint32_t keeper_bed_use(const struct keeper_bed *bed);

#endif
