/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine_fake.h - a storage engine (dataplane/engine/engine.h) in memory that may do all that the
 * contract allows, and some of what it does not.
 *
 * The storage outlives the engines, of which each stands for one process: several may be open at a
 * time. A request takes its time to land and so does its answer; requests and answers are lost and
 * tried again; what was lost may land much later, also when its process is long gone. Lists come in
 * pieces, between which others write. Time is counted in ticks: one for each engine_poll(), and as
 * many as it takes while somebody waits. Everything follows from the seed. One thread.
 *
 * It checks its users: who changes an object (N1), or gives it more operations than a channel
 * takes, or closes a channel with operations open, aborts.
 */
#ifndef ABAFT_TESTS_ENGINE_FAKE_H
#define ABAFT_TESTS_ENGINE_FAKE_H

#include <stdbool.h>
#include <stdint.h>

#include "dataplane/engine/engine.h"

struct fake_store;

struct fake_store *fake_store_create(uint64_t seed);
void fake_store_destroy(struct fake_store *store);

/* In the place of engine_open(). engine_close() is the end of the process, good or bad: what it has
 * begun ends with -ECANCELED, and lands or not. */
struct engine *fake_engine_open(struct fake_store *store);

/* Of so many one (0: none). Change at any time. */
struct fake_faults {
	uint32_t delay;	     /* ticks, at most, of a request and of its answer; 0: at once */
	uint32_t list_delay; /* ticks more, of each piece of a list */
	uint32_t lost_put;   /* requests or answers, each is tried again */
	uint32_t lost_other;
	uint32_t late;	     /* of lost requests, and of those of processes that ended */
	uint32_t late_ticks; /* so much later, at most */
	uint32_t timed_out;  /* operations with an end in time: -ETIMEDOUT, done or not */
	uint32_t phantoms; /* puts that never land: lists show their names all the same, for ever */
	uint32_t forgets;  /* group objects (PUT_NEW) acknowledged and never written: N3 */
	bool unconditional; /* PUT_NEW is a PUT: no ENGINE_CONDITIONAL */
	bool changes;	    /* N1 is not checked */
	uint32_t value_max; /* of the next engine; 0: 8 MiB */
};
struct fake_faults *fake_faults(struct fake_store *store);
/* Nothing lands, and no answer comes, for so many ticks. Operations with an end in time whose time
 * comes meanwhile end with -ETIMEDOUT. */
void fake_store_outage(struct fake_store *store, uint64_t ticks);
/* The same for one process. */
void fake_engine_hold(struct engine *engine, uint64_t ticks);
/* Each operation of this verb that begins from now on ends with `error` and does nothing; 0: none
 * does. */
void fake_store_fail(struct fake_store *store, enum engine_verb verb, int error);
/* The `count`-th request of this verb that lands from now on is the last thing that its process
 * does, but for the landing itself: as engine_close(). 0: none. */
void fake_store_kill_at(struct fake_store *store, enum engine_verb verb, uint32_t count);
/* The process was ended by engine_close() or fake_store_kill_at(). */
bool fake_engine_dead(const struct engine *engine);
/* Called once a tick while somebody waits, but not within itself: others go on meanwhile. */
void fake_store_meanwhile(struct fake_store *store, void (*fn)(void *arg), void *arg);
/* Ticks without anybody's doing. */
void fake_store_run(struct fake_store *store, uint32_t ticks);
/* Requests under way, those of processes that ended included. */
uint32_t fake_store_flights(const struct fake_store *store);

/* What really happened. */
struct fake_fired {
	uint64_t requests, answers_lost, requests_lost, landed_late, refused, timed_out, forgotten;
	uint64_t killed;
};
const struct fake_fired *fake_fired(const struct fake_store *store);

/* The storage itself, its phantoms, too, but for find(). `dir` NULL: all. */
const uint8_t *fake_store_find(const struct fake_store *store, const char *dir, const char *leaf,
			       uint32_t *bytes);
uint32_t fake_store_count(const struct fake_store *store, const char *dir_begins);
void fake_store_put(struct fake_store *store, const char *dir, const char *leaf,
		    const uint8_t *data, uint32_t bytes);
void fake_store_erase(struct fake_store *store, const char *dir, const char *leaf);
/* Object `i` in the order of names; false: there are no more. */
bool fake_store_at(const struct fake_store *store, uint32_t i, struct engine_name *name,
		   uint32_t *bytes);

#endif
