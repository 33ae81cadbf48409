/* SPDX-License-Identifier: Apache-2.0 */
/*
 * handover_test.c - workers on threads of their own lend each other items with payloads, execute
 * what they borrowed, give it back, and sleep whenever nothing is left to do.
 *
 * Payloads are plain memory, so TSan sees whether the rings order them (handover.h I3). Each item
 * says how often it was lent and executed, in order; the lender's bound is reached again and again
 * (I2); a lost wake-up shows as a poll that times out (I4).
 */
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <abaft/limits.h>

#include "dataplane/core/lock.h"
#include "dataplane/xcore/handover.h"

#define WORKERS 3
#define ITEMS	5000 /* of a worker: more than can be lent to the others */
#define WORDS	16

#ifdef LOCK_TSAN
#define LENDS 100000
#else
#define LENDS 1500000
#endif

struct item {
	uint32_t owner, borrower;
	bool lent;
	uint64_t lends;		 /* its owner's count */
	uint64_t payload[WORDS]; /* lends + place; the borrower turns the bits */
};

struct worker {
	struct handover *handover;
	uint32_t number;
	uint64_t random, lends, backs, refused, sleeps, executed;
	uint64_t next_in[WORKERS]; /* order of what is borrowed from each */
	uint64_t next_out[WORKERS];
	struct item item[ITEMS];
	char failure[200];
};

static _Atomic uint32_t working; /* that still lend or wait for something */

static void wrong(struct worker *w, const char *what, uint64_t a, uint64_t b)
{
	if (!w->failure[0])
		snprintf(w->failure, sizeof(w->failure), "worker %u: %s (%llu, %llu)", w->number,
			 what, (unsigned long long)a, (unsigned long long)b);
}

static uint32_t pick(struct worker *w, uint32_t below)
{
	w->random = w->random * 6364136223846793005ull + 1442695040888963407ull;
	return (uint32_t)(w->random >> 33) % below;
}

/* Some of our items that are at home go to somebody. */
static uint64_t lend_some(struct worker *w)
{
	uint64_t told = 0;

	for (uint32_t n = pick(w, pick(w, 4) ? 50 : 2000); n > 0 && w->lends < LENDS; n--) {
		struct item *item = &w->item[pick(w, ITEMS)];
		uint32_t to = (w->number + 1 + pick(w, WORKERS - 1)) % WORKERS;

		if (item->lent)
			continue;
		item->borrower = to;
		item->lends = ++w->next_out[to];
		for (uint32_t i = 0; i < WORDS; i++)
			item->payload[i] = item->lends + i;
		if (!handover_lend(w->handover, w->number, to, item)) {
			w->next_out[to]--;
			w->refused++;
			continue;
		}
		item->lent = true;
		w->lends++;
		told |= 1u << to;
	}
	return told;
}

static uint64_t execute_some(struct worker *w)
{
	uint64_t told = 0;
	struct item *item;

	for (uint32_t from = 0; from < WORKERS; from++) {
		while ((item = handover_borrow(w->handover, w->number, from))) {
			if (item->owner != from || item->borrower != w->number)
				wrong(w, "an item of somebody else", item->owner, item->borrower);
			if (item->payload[0] != ++w->next_in[from])
				wrong(w, "items out of order", item->payload[0], w->next_in[from]);
			for (uint32_t i = 0; i < WORDS; i++)
				item->payload[i] = ~item->payload[i];
			handover_give_back(w->handover, w->number, from, item);
			w->executed++;
			told |= 1u << from;
		}
	}
	return told;
}

static void take_back(struct worker *w)
{
	struct item *item;

	for (uint32_t from = 0; from < WORKERS; from++) {
		while ((item = handover_take_back(w->handover, w->number, from))) {
			if (item->owner != w->number || !item->lent)
				wrong(w, "not ours comes back", item->owner, item->lent);
			for (uint32_t i = 0; i < WORDS; i++)
				if (item->payload[i] != ~(item->lends + i))
					wrong(w, "a payload came back torn", i, item->payload[i]);
			item->lent = false;
			w->backs++;
		}
	}
}

/* Until something comes, or everybody has finished. */
static void nap(struct worker *w)
{
	struct pollfd p = {.fd = handover_sleep_fd(w->handover, w->number), .events = POLLIN};

	if (!handover_sleep_begin(w->handover, w->number))
		return;
	w->sleeps++;
	if (poll(&p, 1, 60000) != 1)
		wrong(w, "a wake-up was lost", w->lends, w->backs);
	handover_sleep_end(w->handover, w->number);
}

static void *run(void *arg)
{
	struct worker *w = arg;
	bool done = false;

	while (!w->failure[0] && atomic_load(&working) > 0) {
		uint64_t told = lend_some(w) | execute_some(w);

		handover_wake(w->handover, told);
		take_back(w);
		if (!done && w->lends == LENDS && w->backs == LENDS) {
			done = true;
			if (atomic_fetch_sub(&working, 1) == 1)
				for (uint32_t n = 0; n < WORKERS; n++)
					handover_kick(w->handover, n);
		} else if (!told && (w->lends == LENDS || pick(w, 4) == 0)) {
			if (w->lends > w->backs || w->lends == LENDS)
				nap(w);
		}
	}
	return NULL;
}

static void items_come_back_in_order(void **state)
{
	struct worker *workers = calloc(WORKERS, sizeof(*workers));
	uint64_t sleeps = 0, refused = 0, executed = 0;
	struct handover *handover;
	pthread_t thread[WORKERS];

	assert_non_null(workers);
	assert_int_equal(handover_create(&handover, WORKERS), 0);
	atomic_store(&working, WORKERS);
	for (uint32_t n = 0; n < WORKERS; n++) {
		workers[n].handover = handover;
		workers[n].number = n;
		workers[n].random = n + 1;
		for (uint32_t i = 0; i < ITEMS; i++)
			workers[n].item[i].owner = n;
		assert_int_equal(pthread_create(&thread[n], NULL, run, &workers[n]), 0);
	}
	for (uint32_t n = 0; n < WORKERS; n++)
		pthread_join(thread[n], NULL);
	for (uint32_t n = 0; n < WORKERS; n++) {
		assert_string_equal(workers[n].failure, "");
		assert_int_equal(workers[n].backs, LENDS);
		sleeps += workers[n].sleeps;
		refused += workers[n].refused;
		executed += workers[n].executed;
	}
	printf("# %llu executed, %llu refused by the bound, %llu sleeps\n",
	       (unsigned long long)executed, (unsigned long long)refused,
	       (unsigned long long)sleeps);
	assert_int_equal(executed, (uint64_t)WORKERS * LENDS);
	handover_destroy(handover);
	free(workers);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(items_come_back_in_order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
