/* SPDX-License-Identifier: Apache-2.0 */
/*
 * core_model.h - what core_sim knows of the node it plays with, and its checks of answers against
 * the promises.
 */
#ifndef ABAFT_TESTS_CORE_MODEL_H
#define ABAFT_TESTS_CORE_MODEL_H

#include <stdbool.h>
#include <stdint.h>

#include "dataplane/core/hlc.h"
#include "tests/lib/core_packet.h"
#include "tests/lib/log_fake.h"
#include "tests/lib/telemetry_memory.h"

#define KEYS		6
#define WORKERS_MAX	3
#define TXNS_MAX	4096
#define ACTIVE_MAX	12
#define STEPS		4000
#define VALUE_BYTES_MAX 400
#define NEST_MAX	2 /* clients that act while others wait for values */

enum fate { LIVE, ENDING, COMMITTED, ABORTED, GONE };

/* What a transaction holds of a key. token: which write of the writer. */
struct mine {
	bool wrote, deleted, read, none;
	uint32_t token;
	struct vnum number; /* of the version read; {0, 0}: none */
	struct vnum buried; /* read as none: the newest visible tombstone then */
};

struct client {
	uint8_t id[16];
	uint64_t instance;
	uint32_t owner, seq, tokens;
	uint16_t attempt;
	enum fate fate;
	bool aborting;
	bool waits;   /* for values */
	bool repeats; /* a packet that was sent before */
	enum node_verdict verdict;
	const struct packet *sent;
	uint8_t out[ABAFT_PACKET_BYTES_MAX];
	uint32_t out_bytes;
	struct mine key[KEYS];
	struct vnum begin[KEYS]; /* newest visible when it began */
	struct vnum number;	 /* of its commit */
	struct packet first, last;
	uint8_t last_out[ABAFT_PACKET_BYTES_MAX]; /* what the last was answered */
	uint32_t last_out_bytes;		  /* 0: not yet */
};

struct sim {
	uint64_t seed, random;
	uint32_t workers, step;
	struct store *store;
	struct node *node[WORKERS_MAX];
	struct telemetry_memory telemetry[WORKERS_MAX]; /* of this life */
	struct log_fake log[WORKERS_MAX];
	uint64_t wall_us, mono_us;
	uint64_t ahead_us[WORKERS_MAX]; /* of wall_us: workers' clocks differ */
	uint32_t clients;
	uint32_t active[ACTIVE_MAX], actives, actives_max;
	struct {
		struct vnum number, buried;
		uint32_t writer;
	} visible[KEYS];
	uint32_t nest;
	uint32_t meanwhile; /* the step in which sim_meanwhile() did something */
	uint32_t executing; /* a worker that is in the midst of a request; WORKERS_MAX: none */
	bool quiet;	    /* nothing else happens while somebody waits */
	uint64_t reads, commits, restarts, repeats, waits, failed;
	struct client client[TXNS_MAX]; /* the last: a run clears those that it uses */
};

/* Called where a copy of the core for tests says so, in the midst of a request: other workers run
 * some passes, as their threads might. */
void sim_meanwhile(void);

/* Prints seed and step, and aborts. */
void sim_fail(const struct sim *s, const char *what);

#define CHECK(s, condition, what)                                                                  \
	do {                                                                                       \
		if (!(condition))                                                                  \
			sim_fail(s, what);                                                         \
	} while (0)

/* 0 to n - 1, by the seed. */
uint32_t below(struct sim *s, uint32_t n);
/* The value of a write: nobody else's is the same. */
void value_make(uint8_t *value, uint32_t *bytes, uint32_t writer, uint32_t key, uint32_t token);
/* Checks what a GET of the key was answered (P1 to P3, P8), and remembers it. `own`: what the
 * transaction had written when the GET came. */
void check_get(struct sim *s, struct client *c, uint32_t key, const struct reply_result *r,
	       const struct mine *own);
/* The commit is visible from now on. */
void model_commit(struct sim *s, struct client *c);
/* What the durable records say happened: after a crash. */
void model_recover(struct sim *s);
/* Memory of commits, which a recovery does not make (restore.c, T4), and live bytes, of all
 * versions there are. */
void model_walk(struct sim *s, uint64_t *commits, uint64_t *live);

#endif
