/* SPDX-License-Identifier: Apache-2.0 */
/*
 * storage.h - what a node keeps, from its devices up: shelf, restart, logs, keeper.
 *
 *	storage_open()    the nodes are as they were; every log is open, a worker's for writing
 *	storage_keep()    the keeper runs, once workers do: it asks them
 *	storage_rest()    workers have ended: a last checkpoint, if something was written
 *	storage_close()   keeper, logs, shelf
 *
 * Main thread only, but for storage_info().
 */
#ifndef ABAFT_CONTROL_STORAGE_H
#define ABAFT_CONTROL_STORAGE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <abaft/limits.h>

#include "control/config.h"
#include "control/report.h"
#include "dataplane/keeper.h"

struct devices;
struct filedev;
struct info_text;
struct log;
struct node;
struct post;
struct shelf;
struct store;
struct telemetry;

#define STORAGE_WHY_BYTES 640
/* A last checkpoint that takes longer is given up. */
#define STORAGE_REST_MS	  10000

/* What the start has read. */
struct storage_recovered {
	uint32_t checkpoint; /* its number; 0: none */
	uint64_t checkpoint_bytes;
	uint64_t log_bytes; /* of records behind its marks */
	uint64_t records;
	uint32_t logs;
	uint64_t us;
};

struct storage {
	const struct config *config;
	const struct report *report;
	const struct devices *devices;
	uint32_t workers;
	struct shelf *shelf;
	struct filedev *checkpoints;
	struct log *logs[ABAFT_LOGS_MAX]; /* by number */
	struct post *posts;		  /* of each worker */
	/* Of each worker, for its log, or NULL; filled before storage_open(). */
	struct telemetry *telemetry[ABAFT_WORKERS_MAX];
	struct store *store;
	struct keeper_found found;
	_Atomic(struct keeper *) keeper; /* NULL: checkpoint = 0, or not yet */
	struct storage_recovered recovered;
};

/* How many logs the store must count: those of workers, and those that were found. */
uint32_t storage_logs(const struct config *config, const struct devices *devices);
/* 0, or a negative errno with a sentence; storage_close() then too. `storage` begins as zeros. */
int storage_open(struct storage *storage, const struct config *config, const struct report *report,
		 const struct devices *devices, struct store *store, struct node *nodes[],
		 char *why) __attribute__((warn_unused_result));
/* `wake` as in keeper.h. */
int storage_keep(struct storage *storage, void (*wake)(void *arg, uint32_t worker), void *wake_arg,
		 char *why) __attribute__((warn_unused_result));
/* All workers have returned from worker_run(); their nodes and logs are this thread's now. Waits
 * STORAGE_REST_MS at most. */
void storage_rest(struct storage *storage, struct node *nodes[]);
/* Of zeros, too. Not when a log's disk does not answer: it would be waited for. */
void storage_close(struct storage *storage);

/* "checkpoint 12 of 34.0 MiB and 5.1 MiB of 3 logs (1234 records) in 0.41 s" */
void storage_recovered_text(const struct storage_recovered *recovered, char *text, size_t bytes);
/* False: there is no keeper. Any thread. */
bool storage_stats(struct storage *storage, struct keeper_stats *out);
/* Lines of INFO: forecast.h. Any thread. */
void storage_info(void *storage, struct info_text *text);

#endif
