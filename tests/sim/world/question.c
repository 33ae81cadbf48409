// SPDX-License-Identifier: Apache-2.0
/*
 * question.c - what became of a request, asked as abaft_status() does, and the answer held against
 * what others were told.
 *
 * Who is answered COMMITTED learns the version of the commit, and no read has brought the news: the
 * history gets it as an attempt that did nothing and was told of another's.
 *
 * Q1. Who asks after somebody was told the end is told the same end, or (the outcome has left the
 *     node's table) EXPIRED.
 */
#include <stdlib.h>

#include "client/txn.h"
#include "tests/sim/world/judge.h"
#include "tests/sim/world/platform_impl.h"
#include "tests/sim/world/world.h"

#define QUESTIONS_MAX 20

struct question {
	struct chain *chain;
	LIST_ENTRY(question) of_client;
	struct abaft_txn *txn;
	uint32_t client;
	bool told; /* the end was told when this was asked */
	struct abaft_result result;
};

static void question_end(struct question *question)
{
	struct chain *chain = question->chain;

	LIST_REMOVE(question, of_client);
	free(question);
	chain->running--;
	chain_rest(chain);
}

/* Asks again while it is known that there is a version, but not which. */
static void ask_again(struct chain *chain)
{
	if (chain->told_us && chain->version.time == 0 && chain->writes && !chain->ends_in_abort &&
	    chain->questions < QUESTIONS_MAX)
		question_ask(chain);
}

void question_died(struct question *question)
{
	question_end(question);
}

static bool anybody_asked(const struct chain *chain)
{
	const struct attempt *attempt;

	LIST_FOREACH(attempt, &chain->attempts, of_chain)
	if (attempt->asked)
		return true;
	return false;
}

static void tell_version(const struct question *question)
{
	struct world *world = question->chain->platform->world;
	struct run none = {.request = &question->chain->request};
	uint64_t now_us = world->events.now_us;

	judge_run(world->judge, &none, "status", now_us, now_us, HISTORY_REPEATED,
		  question->result.version);
}

static void judge(const struct question *question)
{
	struct chain *chain = question->chain;
	struct world *world = chain->platform->world;
	int status = question->result.status;

	world_note(world, "request %u: status is %s", chain->request.number,
		   abaft_error_name(status));
	switch (status) {
	case ABAFT_COMMITTED:
		if (!anybody_asked(chain))
			world_fail(world, "committed unasked", "request %u: says STATUS",
				   chain->request.number);
		chain_told(chain, question->result.version);
		tell_version(question);
		break;
	case ABAFT_ABORTED:
		if (!chain->ends_in_abort)
			world_fail(world, "aborted unasked", "request %u: says STATUS",
				   chain->request.number);
		chain_told(chain, (struct abaft_version){0});
		break;
	case ABAFT_OK:
	case ABAFT_IN_PROGRESS:
	case ABAFT_UNKNOWN_TXN:
	case ABAFT_LOG_FAILED: /* Q1 */
		if (question->told && (chain->writes || chain->ends_in_abort))
			world_fail(world, "outcome changed",
				   "request %u: its end was told, now STATUS says %s",
				   chain->request.number, abaft_error_name(status));
		break;
	default:
		break;
	}
}

/* abaft_done_fn */
static void answered(void *arg, struct abaft_txn *txn, int err)
{
	struct question *question = arg;

	sim_client_end(question->chain->platform->clients[question->client].sim, txn);
	if (err)
		world_note(question->chain->platform->world, "request %u: no status: %s",
			   question->chain->request.number, abaft_error_name(err));
	if (err)
		ask_again(question->chain);
	else
		judge(question);
	question_end(question);
}

void question_ask(struct chain *chain)
{
	struct platform *platform = chain->platform;
	struct world *world = platform->world;
	struct abaft_begin begin = {.id = &chain->request.id};
	struct question *question = calloc(1, sizeof(*question));
	uint32_t clients = world->plan.clients, first = (uint32_t)chain_roll(chain, clients);
	struct sim_client *client;
	int err = ABAFT_BUSY;

	if (!question)
		abort();
	question->chain = chain;
	question->told = chain->told_us != 0;
	/* Not every client has a place for one more. */
	for (uint32_t i = 0; err && i < clients; i++) {
		question->client = (first + i) % clients;
		client = platform->clients[question->client].sim;
		err = sim_client_begin(client, &begin, &question->txn);
	}
	if (err) {
		free(question);
		return;
	}
	err = txn_prep_status(question->txn, &question->result);
	if (!err)
		err = sim_client_submit(client, question->txn, answered, question);
	if (err)
		world_fail(world, "cannot submit", "a question: %s", abaft_error_name(err));
	LIST_INSERT_HEAD(&platform->clients[question->client].questions, question, of_client);
	chain->running++;
	chain->questions++;
}
