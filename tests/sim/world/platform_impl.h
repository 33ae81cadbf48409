/* SPDX-License-Identifier: Apache-2.0 */
/*
 * platform_impl.h - what platform.c, attempt.c, question.c and final.c share.
 *
 * A chain is a request on its way through its functions; an attempt is one run of one of them, on a
 * client. A chain keeps all its attempts until it is closed: later ones name earlier ones.
 */
#ifndef ABAFT_TESTS_PLATFORM_IMPL_H
#define ABAFT_TESTS_PLATFORM_IMPL_H

#include <sys/queue.h>

#include "tests/lib/logdev_sim.h"
#include "tests/sim/world/client.h"
#include "tests/sim/world/events.h"
#include "tests/sim/world/load.h"
#include "tests/sim/world/platform.h"
#include "tools/history/history.h"

struct chain;
struct question;

struct attempt {
	struct run run; /* first: what loads and the judge see of it */
	struct platform *platform;
	struct chain *chain;
	LIST_ENTRY(attempt) of_client; /* while it runs */
	LIST_ENTRY(attempt) of_chain;
	struct event event; /* its next round begins, or is sent */
	uint32_t client;
	struct abaft_txn *txn;	 /* NULL: nothing was sent yet, or it has ended */
	uint64_t start_us;	 /* its first round was sent */
	uint64_t sent_us;	 /* its latest one was */
	struct abaft_result end; /* of the commit or abort */
	bool rival;		 /* of a second run of the whole request */
	bool asked;		 /* a commit of its was sent */
	bool sure;		 /* and refused for good, or it told somebody else's outcome */
	char context[ABAFT_CONTEXT_BYTES]; /* for the step after it */
};

LIST_HEAD(attempt_list, attempt);

enum chain_state {
	CHAIN_COMING, /* it has not arrived */
	CHAIN_RUNS,
	CHAIN_ENDED, /* its platform knows how; late attempts may still run, repetitions come */
	CHAIN_CLOSED,
};

struct chain {
	struct request request; /* first */
	struct platform *platform;
	enum chain_state state;
	struct attempt_list attempts;
	uint16_t attempt[PLATFORM_STEPS_MAX]; /* the next one's number, of each step */
	struct attempt *done[PLATFORM_STEPS_MAX];
	struct attempt *newest; /* whose end counts; NULL: none runs */
	uint32_t at;		/* the step, from 0 on */
	uint32_t running;	/* attempts, and questions */
	uint32_t tries;		/* attempts since it began, or since the world heals */
	uint32_t questions;	/* asked */
	uint32_t repetitions;	/* still to come */
	bool repeats;		/* it has ended, and is run once more */
	bool healed;
	bool writes;	    /* an attempt wrote something: then all do (L1 of load.h) */
	bool ends_in_abort; /* an attempt asked for it: likewise */
	uint32_t deadline_ms;
	struct event next; /* an attempt begins */
	struct event race; /* a second one begins */
	/* What was told, to whomever. */
	uint64_t told_us; /* 0: nothing yet */
	struct abaft_version version;
	struct attempt *effective; /* took effect, for certain */
};

struct platform_client {
	struct sim_client *sim;
	struct event death;
	struct attempt_list attempts;
	LIST_HEAD(, question) questions;
};

struct platform {
	struct world *world;
	struct platform_client *clients;
	struct chain *chains; /* by number */
	uint32_t arrived, open;
	struct event arrival;
	struct event heal; /* looks whether the world heals */
	bool healed;
};

/* attempt.c */
/* Step `at` (from 0 on) begins after a moment, going on from `before`. */
struct attempt *attempt_begin(struct chain *chain, uint32_t at, const struct attempt *before);
/* Its process is gone. */
void attempt_died(struct attempt *attempt);
void attempt_free(struct attempt *attempt);

/* platform.c: an attempt has ended and was judged. `err` is what its function was told; CANCELLED:
 * it died. */
void chain_attempt_ended(struct attempt *attempt, int err, enum history_outcome outcome);
/* The id is committed, somebody was told: all that are told must be told the same. */
void chain_told(struct chain *chain, struct abaft_version version);
/* Something of it has come to its end: closes it if that was the last. */
void chain_rest(struct chain *chain);
uint64_t chain_roll(struct chain *chain, uint64_t limit);
/* Sent to a client: it may die of it. */
void platform_sent(struct platform *platform, uint32_t client, uint64_t random);

/* question.c */
void question_ask(struct chain *chain);
void question_died(struct question *question);

#endif
