/* SPDX-License-Identifier: Apache-2.0 */
/*
 * node_bed.h - a store with its nodes, each on a fake log, under a clock that the test moves.
 *
 * One thread plays all workers in turn. A request is executed in a pass of its own; what waits for
 * the log stays with its answer until bed_durable(), what waits for values until bed_fetch().
 */
#ifndef ABAFT_TESTS_NODE_BED_H
#define ABAFT_TESTS_NODE_BED_H

#include <stdbool.h>
#include <stdint.h>

#include "dataplane/core/node_impl.h"
#include "tests/lib/log_fake.h"
#include "tests/lib/core_packet.h"

#define BED_WORKERS_MAX	 4
#define BED_WALL_US	 1700000000000000ull
#define BED_MEMORY_BYTES (32u << 20)

/* An answer, or the place where it will be. Must live until it is told. */
struct bed_answer {
	uint8_t in[PACKET_ROOM]; /* the request, as far as it fits */
	uint32_t in_bytes;
	uint32_t again; /* how often it was executed again */
	uint8_t bytes[ABAFT_PACKET_BYTES_MAX];
	uint32_t n;
	enum node_verdict verdict;
	uint32_t told;	/* calls of `done` for it */
	uint64_t order; /* 1: the first answer told, and so on */
};

struct telemetry_memory;

struct bed {
	struct store_config store_config;
	struct node_config config;
	uint64_t log_records, log_bytes; /* of each fake log */
	bool unread;			 /* logs cannot be read, so no value leaves memory */
	struct store *store;
	struct node *node[BED_WORKERS_MAX];
	struct telemetry_memory *telemetry; /* of each worker, zeroed by each start */
	struct log_fake log[BED_WORKERS_MAX];
	uint32_t workers;
	struct now now;
	uint64_t ids;  /* made so far */
	uint64_t told; /* answers completed so far */
};

/* Defaults: small tables, 32 MiB, no log record yet. Change configs between the two calls. */
void bed_defaults(struct bed *bed, uint32_t workers);
/* Aborts the test program when there is no memory. */
void bed_open(struct bed *bed);
void bed_close(struct bed *bed);
/* Ends all nodes and the store and forgets what no log holds durably: new ones, not recovered. */
void bed_crash(struct bed *bed);
/* The same, and recovers. node_recover()'s error. */
int bed_restart(struct bed *bed) __attribute__((warn_unused_result));

/* A new id of now, owned by that worker. */
void bed_id(struct bed *bed, uint32_t worker, uint8_t id[16]);
/* Executes a finished packet in a pass of its own. */
enum node_verdict bed_send(struct bed *bed, uint32_t worker, const struct packet *packet,
			   struct bed_answer *answer);
/* The same for bytes. */
enum node_verdict bed_send_bytes(struct bed *bed, uint32_t worker, const uint8_t *in, uint32_t n,
				 struct bed_answer *answer);
/* Makes up to n records of the worker's log durable and tells its node. */
void bed_durable(struct bed *bed, uint32_t worker, uint64_t n);
/* Ends up to n cold reads of the worker, oldest first, and executes what can go on. */
void bed_fetch(struct bed *bed, uint32_t worker, uint32_t n);
/* The version's value leaves memory, when no pass is open. It is large, and there. */
void bed_evict(struct node *node, struct version *version);
/* That of the key's newest version. */
void bed_cold(struct bed *bed, const char *key);
/* Where that version is. */
struct version *bed_version(struct bed *bed, const char *key);
/* bed_send(), then bed_fetch() and bed_durable() of everything as long as it waits. */
void bed_run(struct bed *bed, uint32_t worker, const struct packet *packet,
	     struct bed_answer *answer);
void bed_log_failed(struct bed *bed, uint32_t worker, int error);
void bed_advance_us(struct bed *bed, uint64_t us);
/* One pass with a tick; returns what node_tick() returned. */
uint64_t bed_tick(struct bed *bed, uint32_t worker);
/* 10 ms steps with a tick of every worker each. */
void bed_ticks(struct bed *bed, uint32_t steps);

/* Status of the i-th result; of the whole when it was refused. */
uint16_t bed_status(const struct bed_answer *answer, uint32_t i);
/* The i-th result; fails the program when there is none. */
struct reply_result bed_result(const struct bed_answer *answer, uint32_t i);
uint64_t bed_instance(const struct bed_answer *answer);
const struct node_counters *bed_counters(const struct bed *bed, uint32_t worker);

/* Whole transactions: commits `key` = `value` (NULL: deletes it); returns the status. */
uint16_t bed_put(struct bed *bed, uint32_t worker, const char *key, const char *value);
/* Two keys in one transaction. */
uint16_t bed_put2(struct bed *bed, uint32_t worker, const char *a, const char *b,
		  const char *value);
/* Reads a key in a transaction of its own; the text, "" if NOT_FOUND. */
void bed_get(struct bed *bed, uint32_t worker, const char *key, char *text, uint32_t text_bytes);

/* Blocks of memory in use, in bytes: allocated and not freed, by all workers. */
uint64_t bed_used(const struct bed *bed);

#endif
