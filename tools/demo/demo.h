/* SPDX-License-Identifier: Apache-2.0 */
/*
 * demo.h - the parts of `abaft demo`, and what they count.
 *
 * demo.c runs the phases and prints; platform.c is the function platform that starts, kills and
 * retries functions, and the readers beside it; function.c the functions; shop.c their data, in
 * either store; plain.c the store to compare with; audit.c reads everything back and asks the
 * checker; node.c starts and kills the node; crash.c is the load over which it is killed.
 *
 * I1. Every figure printed was counted by the platform loop, read back from the store, or found by
 *     the checker in the histories. None is derived from what should be.
 * I2. Every process started is ended by its pid, and dies with its parent (PR_SET_PDEATHSIG).
 */
#ifndef ABAFT_TOOLS_DEMO_DEMO_H
#define ABAFT_TOOLS_DEMO_DEMO_H

#include <limits.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "tools/demo/shop.h"

#define DEMO_REQUESTS_MAX 10000
#define DEMO_CLIENTS_MAX  64
#define DEMO_READERS_MAX  16
#define DEMO_ATTEMPTS_MAX 1000
#define DEMO_PATH_BYTES	  256

struct demo_options {
	uint32_t requests;     /* orders */
	uint32_t clients;      /* that wait for their orders, at the same time */
	uint32_t readers;      /* processes that read orders meanwhile */
	uint32_t kill_percent; /* of function runs */
	uint32_t attempts;     /* runs of one function before the platform gives up */
	uint32_t crash_rounds; /* of kill -9 of the node */
	uint32_t crash_ms;     /* load before each */
	uint32_t workers;      /* of the node started */
	uint64_t seed;	       /* of the kills */
	const char *node;      /* --start-node: path of abaftd, or NULL */
	const char *dir;       /* for histories, data, logs; exists */
};

/* Shared with the children: counted by whoever did it. */
struct demo_counts {
	atomic_uint next;      /* order to be requested next */
	atomic_uint succeeded; /* orders whose two functions ended well */
	atomic_uint given_up;
	atomic_uint runs;   /* function processes started */
	atomic_uint kills;  /* of them ended by SIGKILL */
	atomic_uint failed; /* of them ended by an error of their own */
	atomic_uint retries;
	atomic_uint reads; /* of orders by readers */
	atomic_uint reads_failed;
	atomic_uint run_us; /* mean duration of a run that was not killed */
	atomic_bool stop;   /* readers: leave */
};

/* What one store did to the workload. */
struct demo_result {
	struct demo_counts *counts;
	/* Read back afterwards. */
	uint32_t orders_whole;
	uint32_t orders_half; /* some parts but not all */
	uint32_t effects_duplicate;
	uint32_t orders_unreadable;
	/* The checker's. */
	uint64_t reads_fractured; /* transactions */
	uint64_t reads_dirty;
	uint64_t check_duplicates;
	uint64_t check_partial;
	uint64_t anomalies;
};

struct demo_crash_result {
	uint32_t rounds;
	uint64_t acknowledged;
	uint64_t unanswered; /* asked to commit, killed before the answer */
	uint64_t unanswered_visible;
	uint64_t lost;	  /* acknowledged, and not all there */
	uint64_t partial; /* some parts there, others not */
	uint64_t unreadable;
	uint64_t restart_ms; /* longest from start to the first answer */
};

/* Zeroed memory that children share, or NULL. Never freed: the process ends soon. */
void *demo_share(size_t bytes);
/* Forks; the child dies with its parent. As fork(). */
pid_t demo_fork(void);
/* Waits at most wait_us for the process to end, then kills it. False: it was killed. */
bool demo_wait(pid_t pid, uint64_t wait_us, int *status);
/* As rand_r, from 64 bits: a kill depends on the seed, not on what ran before. */
uint64_t demo_random(uint64_t *state);

/* Runs all orders against the store, with readers. 0, or -1 with a complaint on stderr. */
int demo_platform_run(const struct demo_options *options, const struct demo_store *store,
		      const char *history, struct demo_counts *counts);

/* Fills the shop: stock and accounts. 0, or -1 with a complaint. */
int demo_shop_fill(const struct demo_options *options, const struct demo_store *store,
		   const char *history);
/* Reads all orders back and judges the history. 0, or -1 with a complaint. */
int demo_audit(const struct demo_options *options, const struct demo_store *store,
	       const char *history, struct demo_result *result);

/* A node of the demonstration's own. */
struct demo_node {
	const struct demo_options *options;
	const struct demo_store *store;
	pid_t pid; /* 0: not running */
};
/* Starts it and waits until it answers. 0, or -1 with a complaint and the end of its log. */
int demo_node_start(struct demo_node *node);
/* SIGKILL. */
void demo_node_kill(struct demo_node *node);
/* Asks it to leave (SIGTERM), waits, kills it if it does not. 0, or -1 with a complaint. */
int demo_node_stop(struct demo_node *node);

int demo_crash_run(struct demo_node *node, struct demo_crash_result *result);

#endif
