// SPDX-License-Identifier: Apache-2.0
/*
 * platform.c - requests: when they come, their retries, races and repetitions, when they end.
 *
 * R1. Of several attempts of a step that run at a time the one begun last counts: the others'
 * writes are dropped when its first packet arrives, whenever that is. So a platform that went on
 * with an earlier one's result would commit what is no longer there. R2. Whoever is told how the
 * request ended ends it, though: there is one end (P6). R3. A chain begins with step 1 again only
 * if it was told to (UNKNOWN_TXN), as docs/functions.md has it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/world/platform_impl.h"
#include "tests/sim/world/world.h"

#define HEAL_US	      1000000
/* No more requests at a time for each client; then they queue up outside. */
#define OPEN_MAX      14
#define FULL_US	      700
#define PAUSE_US_MAX  1000000
/* Once in so many rounds the client that sends it dies, at the latest then. */
#define DEATHS	      120
#define DEATH_US      4000
/* A request that has ended is run once more after seconds or minutes. */
#define REPEAT_US_MAX UINT64_C(90000000)

static void next_attempt(void *arg);

static struct events *events_of(const struct chain *chain)
{
	return &chain->platform->world->events;
}

static uint64_t now_us(const struct chain *chain)
{
	return chain->platform->world->events.now_us;
}

static bool planned(const struct chain *chain, enum world_fault fault)
{
	return chain->platform->world->plan.faults >> fault & 1;
}

uint64_t chain_roll(struct chain *chain, uint64_t limit)
{
	return sim_random(&chain->request.random, limit);
}

static void soon(struct chain *chain, uint64_t pause_us)
{
	event_set(events_of(chain), &chain->next, now_us(chain) + pause_us, next_attempt, chain);
}

/* Waits longer with each try. */
static void retry(struct chain *chain)
{
	uint64_t pause_us = UINT64_C(2000) << (chain->tries < 9 ? chain->tries : 9);

	soon(chain, pause_us / 2 + chain_roll(chain, pause_us));
}

void chain_rest(struct chain *chain)
{
	struct attempt *attempt;

	if (chain->state != CHAIN_ENDED || chain->running || chain->repeats || chain->repetitions ||
	    event_is_set(&chain->next))
		return;
	event_remove(events_of(chain), &chain->race);
	while ((attempt = LIST_FIRST(&chain->attempts))) {
		LIST_REMOVE(attempt, of_chain);
		attempt_free(attempt);
	}
	chain->effective = NULL;
	chain->state = CHAIN_CLOSED;
	chain->platform->open--;
}

void chain_told(struct chain *chain, struct abaft_version version)
{
	struct world *world = chain->platform->world;

	if (chain->told_us == 0)
		chain->told_us = world->events.now_us;
	if (version.time == 0)
		return;
	if (chain->version.time &&
	    (chain->version.time != version.time || chain->version.origin != version.origin))
		world_fail(world, "two versions",
			   "request %u: committed as %llu.%u, told again as %llu.%u",
			   chain->request.number, (unsigned long long)chain->version.time,
			   chain->version.origin, (unsigned long long)version.time, version.origin);
	chain->version = version;
}

/* Plans its repetitions, if the seed has some. */
static void plan_repetition(struct chain *chain)
{
	uint64_t us = UINT64_C(1000) << chain_roll(chain, 18);

	if (chain->repetitions == 0)
		return;
	soon(chain, (us > REPEAT_US_MAX ? REPEAT_US_MAX : us) + chain_roll(chain, 1000));
}

/* The platform knows how the request ended, or gave it up. */
static void chain_ended(struct chain *chain)
{
	struct world *world = chain->platform->world;
	bool told = chain->request.committed || chain->ends_in_abort;

	event_remove(&world->events, &chain->next);
	if (chain->repeats)
		chain->repeats = false;
	else if (chain->state == CHAIN_RUNS && told && !chain->request.given_up &&
		 (chain->writes || chain->ends_in_abort) && world_has(world, WORLD_RERUN) &&
		 chain_roll(chain, 3) == 0)
		chain->repetitions = 1 + (uint32_t)chain_roll(chain, 2);
	chain->state = CHAIN_ENDED;
	plan_repetition(chain);
}

static void committed(struct chain *chain, enum history_outcome outcome)
{
	struct world *world = chain->platform->world;

	world->counts.repeated += outcome == HISTORY_REPEATED;
	if (!chain->request.committed) {
		world->counts.committed++;
		chain->request.committed_us = world->events.now_us;
	}
	chain->request.committed = true;
}

/* Only clocks and small tables make a live request's id too old or too new. */
static bool may_be_refused(const struct chain *chain)
{
	return planned(chain, WORLD_TIGHT) || planned(chain, WORLD_CLIENT_CLOCK) ||
	       planned(chain, WORLD_NODE_CLOCK);
}

static void give_up(struct chain *chain, int err)
{
	struct world *world = chain->platform->world;

	if (world->healing &&
	    !((err == ABAFT_EXPIRED || err == ABAFT_CLOCK_SKEW) && may_be_refused(chain)))
		world_fail(world, "gives up", "request %u does not get through: %s",
			   chain->request.number, abaft_error_name(err));
	world_note(world, "request %u is given up: %s", chain->request.number,
		   abaft_error_name(err));
	if (!chain->repeats) {
		chain->request.given_up = true;
		world->counts.given_up++;
	}
	chain_ended(chain);
}

/* No later attempt of its step, nor of those that it goes on from, has begun. */
static bool is_latest(const struct chain *chain, const struct attempt *attempt)
{
	for (const struct run *run = &attempt->run; run; run = run->before)
		if (run->attempt + 1 != chain->attempt[run->step ? run->step - 1 : 0])
			return false;
	return true;
}

/* What failed before the world healed does not count. */
static bool used_up(struct chain *chain)
{
	if (chain->platform->world->healing && !chain->healed) {
		chain->healed = true;
		chain->tries = 0;
	}
	return chain->tries > PLATFORM_ATTEMPTS_MAX;
}

/* What the step's last attempt was told says what is done next. */
static void proceed(struct chain *chain, struct attempt *attempt, int err)
{
	struct world *world = chain->platform->world;

	if (err == ABAFT_EXPIRED && !may_be_refused(chain))
		world_fail(world, "expired", "request %u is not too old", chain->request.number);
	if (err == ABAFT_STALE_ATTEMPT && is_latest(chain, attempt))
		world_fail(world, "stale", "request %u: %u.%u is the last attempt of its step",
			   chain->request.number, attempt->run.step, attempt->run.attempt);
	if (err == ABAFT_CORRUPT && !planned(chain, WORLD_DISK_READ))
		world_fail(world, "corrupt", "request %u: a value's bytes are damaged",
			   chain->request.number);
	if (err == ABAFT_OK) {
		chain->done[chain->at++] = attempt;
		soon(chain, chain_roll(chain, 500));
	} else if (err == ABAFT_EXPIRED || used_up(chain)) {
		give_up(chain, err);
	} else {
		if (abaft_retry_of(err) == ABAFT_RETRY_RESTART)
			chain->at = 0; /* R3 */
		retry(chain);
	}
}

void chain_attempt_ended(struct attempt *attempt, int err, enum history_outcome outcome)
{
	struct chain *chain = attempt->chain;
	bool newest = chain->newest == attempt;

	chain->running--;
	if (newest)
		chain->newest = NULL;
	if (outcome == HISTORY_COMMITTED || outcome == HISTORY_REPEATED)
		committed(chain, outcome);
	if (outcome == HISTORY_COMMITTED || outcome == HISTORY_REPEATED ||
	    outcome == HISTORY_ABORTED) {
		if (chain->state == CHAIN_RUNS || (chain->repeats && newest)) /* R2 */
			chain_ended(chain);
	} else if (newest && (chain->state == CHAIN_RUNS || chain->repeats)) {
		proceed(chain, attempt, err); /* R1 */
	} else if (outcome == HISTORY_OPEN && attempt->rival) {
		attempt_begin(chain, attempt->run.step, attempt)->rival = true;
	}
	if (chain_roll(chain, 16) == 0 ||
	    (outcome == HISTORY_REPEATED && chain->version.time == 0 && chain->writes))
		question_ask(chain);
	chain_rest(chain);
}

/* The step that the chain is at. */
static void begin_step(struct chain *chain)
{
	chain->newest =
		attempt_begin(chain, chain->at, chain->at ? chain->done[chain->at - 1] : NULL);
}

/* A second attempt of the same step while the first runs, or a second run of it all. */
static void race(void *arg)
{
	struct chain *chain = arg;
	struct world *world = chain->platform->world;

	if (!chain->newest || chain->tries > PLATFORM_ATTEMPTS_MAX / 2 ||
	    !world_has(world, WORLD_RACE))
		return;
	world_fault(world, WORLD_RACE);
	if (chain->request.steps > 1 && chain_roll(chain, 2)) {
		attempt_begin(chain, 0, NULL)->rival = true;
		return;
	}
	chain->tries++;
	begin_step(chain);
}

static void plan_race(struct chain *chain)
{
	struct world *world = chain->platform->world;
	uint64_t pause_us;

	if (!world_has(world, WORLD_RACE) || chain_roll(chain, 5))
		return;
	pause_us = chain_roll(chain, 3) ? chain_roll(chain, 2000) : chain_roll(chain, 3000000);
	event_set(&world->events, &chain->race, world->events.now_us + pause_us, race, chain);
}

static void next_attempt(void *arg)
{
	struct chain *chain = arg;
	struct world *world = chain->platform->world;

	if (chain->state == CHAIN_ENDED && !chain->repeats) {
		world_fault(world, WORLD_RERUN);
		chain->repetitions--;
		chain->repeats = true;
		chain->at = 0;
		chain->tries = 0;
	}
	/* It was too short, perhaps. */
	if (++chain->tries > 4)
		chain->deadline_ms = 0;
	begin_step(chain);
	plan_race(chain);
}

static const struct load *choose_load(struct chain *chain)
{
	uint32_t loads = chain->platform->world->plan.loads, nth;

	nth = (uint32_t)chain_roll(chain, (uint64_t)__builtin_popcount(loads));
	while (nth-- > 0)
		loads &= loads - 1;
	return load_of((uint32_t)__builtin_ctz(loads));
}

static void chain_begin(struct chain *chain)
{
	struct platform *platform = chain->platform;
	struct world *world = platform->world;
	struct request *request = &chain->request;
	uint64_t maker = chain_roll(chain, world->plan.clients);

	sim_client_id(platform->clients[maker].sim, chain_roll(chain, UINT64_MAX), &request->id);
	request->load = choose_load(chain);
	request->steps = 1;
	request->arrived_us = world->events.now_us;
	request->load->begin(world, request);
	if (chain_roll(chain, 4) == 0)
		chain->deadline_ms = 200 + (uint32_t)chain_roll(chain, 4000);
	chain->state = CHAIN_RUNS;
	platform->open++;
	world->counts.requests++;
	world_note(world, "request %u arrives: %s, %u steps", request->number, request->load->name,
		   request->steps);
	next_attempt(chain);
}

static void arrive(void *arg)
{
	struct platform *platform = arg;
	struct world *world = platform->world;
	struct chain *chain = &platform->chains[platform->arrived];
	uint32_t number = platform->arrived;
	uint64_t pause_us;

	if (world->healing) { /* what has not come by now does not come */
		platform->arrived = world->plan.requests;
		return;
	}
	if (platform->open >= OPEN_MAX * world->plan.clients) {
		event_set(&world->events, &platform->arrival, world->events.now_us + FULL_US,
			  arrive, platform);
		return;
	}
	platform->arrived++;
	pause_us = chain_roll(chain, 2 * (uint64_t)world->plan.rate_us + 1);
	if (platform->arrived < world->plan.requests)
		event_set(&world->events, &platform->arrival, world->events.now_us + pause_us,
			  arrive, platform);
	if (world->options.left_out && world->options.left_out[number])
		chain->state = CHAIN_CLOSED;
	else
		chain_begin(chain);
}

/* Who has planned to wait for long goes on soon: the world heals, and its end is near. */
static void heal(struct chain *chain)
{
	struct events *events = events_of(chain);
	uint64_t soon_us = events->now_us + PAUSE_US_MAX;
	struct attempt *attempt;

	if (event_is_set(&chain->next) && chain->next.due_us > soon_us)
		soon(chain, chain_roll(chain, PAUSE_US_MAX));
	LIST_FOREACH(attempt, &chain->attempts, of_chain)
	if (event_is_set(&attempt->event) && attempt->event.due_us > soon_us)
		event_set(events, &attempt->event, soon_us, attempt->event.fn, attempt);
}

static void look(void *arg)
{
	struct platform *platform = arg;
	struct world *world = platform->world;

	if (!world->healing) {
		event_set(&world->events, &platform->heal, world->events.now_us + HEAL_US, look,
			  platform);
		return;
	}
	for (uint32_t i = 0; i < world->plan.requests; i++)
		heal(&platform->chains[i]);
}

/* Its process is killed: what ran there has ended without a word. */
static void client_dies(void *arg)
{
	struct platform_client *client = arg;
	struct attempt *attempt;
	struct question *question;

	sim_client_die(client->sim);
	while ((question = LIST_FIRST(&client->questions)))
		question_died(question);
	/* What takes their place begins by an event; but questions may be asked at once. */
	while ((attempt = LIST_FIRST(&client->attempts)))
		attempt_died(attempt);
}

void platform_sent(struct platform *platform, uint32_t number, uint64_t random)
{
	struct platform_client *client = &platform->clients[number];
	struct world *world = platform->world;

	if (!world_has(world, WORLD_CLIENT_DEATH) || random % DEATHS ||
	    event_is_set(&client->death))
		return;
	world_fault(world, WORLD_CLIENT_DEATH);
	event_set(&world->events, &client->death,
		  world->events.now_us + world_roll(world, STREAM_PLATFORM, DEATH_US), client_dies,
		  client);
}

struct platform *platform_create(struct world *world)
{
	struct platform *platform = calloc(1, sizeof(*platform));
	const struct world_plan *plan = &world->plan;

	if (!platform)
		abort();
	platform->world = world;
	/* One more, which reads the final state. */
	platform->clients = calloc(plan->clients + 1, sizeof(*platform->clients));
	platform->chains = calloc(plan->requests, sizeof(*platform->chains));
	if (!platform->clients || !platform->chains)
		abort();
	for (uint32_t i = 0; i <= plan->clients; i++)
		platform->clients[i].sim = sim_client_create(world, i);
	for (uint32_t i = 0; i < plan->requests; i++) {
		struct chain *chain = &platform->chains[i];

		chain->platform = platform;
		chain->request.number = i;
		chain->request.random = world_request_stream(world, i);
	}
	return platform;
}

void platform_destroy(struct platform *platform)
{
	struct events *events = &platform->world->events;

	event_remove(events, &platform->arrival);
	event_remove(events, &platform->heal);
	for (uint32_t i = 0; i <= platform->world->plan.clients; i++) {
		event_remove(events, &platform->clients[i].death);
		sim_client_destroy(platform->clients[i].sim);
	}
	free(platform->clients);
	free(platform->chains);
	free(platform);
}

void platform_begin(struct platform *platform)
{
	struct events *events = &platform->world->events;

	event_set(events, &platform->arrival, events->now_us, arrive, platform);
	event_set(events, &platform->heal, events->now_us, look, platform);
}

bool platform_is_done(const struct platform *platform)
{
	return platform->arrived == platform->world->plan.requests && platform->open == 0;
}

void platform_print_open(const struct platform *platform)
{
	for (uint32_t i = 0; i < platform->arrived; i++) {
		const struct chain *chain = &platform->chains[i];
		const struct attempt *attempt;

		if (chain->state == CHAIN_CLOSED || chain->state == CHAIN_COMING ||
		    platform->world->options.quiet)
			continue;
		fprintf(stderr, "request %u (%s): %s, at step %u of %u, %u running, %u tries\n", i,
			chain->request.load->name,
			chain->state == CHAIN_RUNS ? "not ended" : "repeated", chain->at + 1,
			chain->request.steps, chain->running, chain->tries);
		LIST_FOREACH(attempt, &chain->attempts, of_chain)
		if (attempt->txn || event_is_set(&attempt->event))
			fprintf(stderr, "  %u.%u on client %u, in round %u\n", attempt->run.step,
				attempt->run.attempt, attempt->client, attempt->run.round);
	}
}

const struct request *platform_request(const struct platform *platform, uint32_t number)
{
	return number < platform->world->plan.requests ? &platform->chains[number].request : NULL;
}

const struct request *platform_find(const struct platform *platform, const struct abaft_id *id)
{
	for (uint32_t i = 0; i < platform->arrived; i++)
		if (memcmp(&platform->chains[i].request.id, id, sizeof(*id)) == 0)
			return &platform->chains[i].request;
	return NULL;
}
