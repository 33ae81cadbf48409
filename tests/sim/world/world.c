/* SPDX-License-Identifier: Apache-2.0 */
/*
 * world.c - a run from its plan to its verdict; see world.h.
 *
 *	life	requests come, faults come
 *	healing	no faults any more; every request must end (W2)
 *	end	the final state is read; the node restarts; it must be the same state
 *	verdict	the loads' invariants, then the history
 */
#include "tests/sim/world/world.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <xxhash.h>

#include "tests/lib/logdev_sim.h"
#include "tests/sim/world/forge.h"
#include "tests/sim/world/judge.h"
#include "tests/sim/world/load.h"
#include "tests/sim/world/machine.h"
#include "tests/sim/world/net.h"
#include "tests/sim/world/platform.h"

/* Longer than any deadline, resend or restart: whoever waits then waits for ever (W2). */
#define HEALING_US UINT64_C(120000000)
#define IDLE_US	   UINT64_C(30000000)

static const char *const fault_names[] = {
#define FAULT_NAME(name, text) #name,
	WORLD_FAULTS(FAULT_NAME)
#undef FAULT_NAME
};

void world_fail(struct world *world, const char *rule, const char *format, ...)
{
	struct world_report *report = world->options.report;
	uint64_t at_us = world->events.now_us - WORLD_BEGIN_US;
	char reason[sizeof(report->reason)];
	va_list args;

	va_start(args, format);
	vsnprintf(reason, sizeof(reason), format, args);
	va_end(args);
	if (report) {
		snprintf(report->rule, sizeof(report->rule), "%s", rule);
		memcpy(report->reason, reason, sizeof(reason));
		report->at_us = at_us;
	}
	if (!world->options.quiet)
		fprintf(stderr, "seed %" PRIu64 ", at %" PRIu64 ".%06" PRIu64 " s: %s: %s\n",
			world->options.seed, at_us / 1000000, at_us % 1000000, rule, reason);
	if (world->options.verbose)
		machine_print(world->machine);
	fflush(stdout);
	_exit(WORLD_FAILED);
}

uint64_t world_roll(struct world *world, enum world_stream stream, uint64_t limit)
{
	return sim_random(&world->stream[stream], limit);
}

bool world_chance(struct world *world, enum world_stream stream, uint32_t permille)
{
	return world_roll(world, stream, 1000) < permille;
}

uint64_t world_request_stream(const struct world *world, uint32_t number)
{
	uint64_t words[2] = {world->options.seed, number};

	return XXH3_64bits(words, sizeof(words)) | 1;
}

void world_note_bytes(struct world *world, const void *bytes, uint32_t count)
{
	world->trace = XXH3_64bits_withSeed(bytes, count, world->trace);
}

void world_note(struct world *world, const char *format, ...)
{
	uint64_t at_us = world->events.now_us - WORLD_BEGIN_US;
	char text[512];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	world_note_bytes(world, &at_us, sizeof(at_us));
	world_note_bytes(world, text, (uint32_t)strlen(text));
	if (world->options.verbose)
		printf("%4" PRIu64 ".%06" PRIu64 " %s\n", at_us / 1000000, at_us % 1000000, text);
}

static uint64_t plan_roll(struct world *world, uint64_t limit)
{
	return world_roll(world, STREAM_PLAN, limit);
}

/* Runs with one fault find other bugs than runs with all of them. */
static uint32_t plan_faults(struct world *world)
{
	static const uint32_t permille[] = {0, 60, 150, 300, 600};
	uint32_t chance = permille[plan_roll(world, 5)], faults = 0;

	for (uint32_t i = 0; i < WORLD_FAULT_COUNT; i++)
		faults |= (uint32_t)world_chance(world, STREAM_PLAN, chance) << i;
	return (faults | world->options.faults_on) & ~world->options.faults_off;
}

static uint32_t plan_loads(struct world *world)
{
	uint32_t loads = 0;

	/* One alone, or some together. */
	if (plan_roll(world, 2))
		loads = (uint32_t)plan_roll(world, 1u << LOAD_COUNT);
	return loads ? loads : 1u << plan_roll(world, LOAD_COUNT);
}

static void plan(struct world *world)
{
	struct world_plan *plan = &world->plan;
	uint32_t requests = (uint32_t)(plan_roll(world, 6) ? 50 + plan_roll(world, 500)
							   : 500 + plan_roll(world, 2500));

	plan->faults = plan_faults(world);
	plan->requests = world->options.requests ? world->options.requests : requests;
	plan->clients = 1 + (uint32_t)plan_roll(world, 12);
	plan->workers = 1 + (uint32_t)plan_roll(world, 4);
	plan->loads = plan_loads(world);
	plan->keys = 4u << plan_roll(world, 6);
	/* 50 us to 12 ms: from far too much for the node, to one at a time. */
	plan->rate_us = 50u << plan_roll(world, 9);
	plan->lives = 1 + (uint32_t)plan_roll(world, 6);
	plan->length_us = (uint64_t)plan->requests * plan->rate_us + plan_roll(world, 5000000);
}

static void begin(struct world *world, const struct world_options *options)
{
	memset(world, 0, sizeof(*world));
	world->options = *options;
	for (uint32_t i = 0; i < STREAMS; i++)
		world->stream[i] = options->seed * STREAMS * 2 + 2 * i + 1;
	plan(world);
}

void world_plan_of(const struct world_options *options, struct world_plan *out)
{
	struct world world;

	begin(&world, options);
	*out = world.plan;
}

static void note_plan(struct world *world)
{
	const struct world_plan *p = &world->plan;

	world_note(world,
		   "plan: %u requests, one in %u us, %u clients, %u workers, loads %x, %u keys, "
		   "heals at %" PRIu64 " us",
		   p->requests, p->rate_us, p->clients, p->workers, p->loads, p->keys,
		   p->length_us);
	for (uint32_t i = 0; i < WORLD_FAULT_COUNT; i++)
		if (p->faults >> i & 1)
			world_note(world, "plan: fault %s", fault_names[i]);
}

static void open_world(struct world *world, const struct world_options *options)
{
	begin(world, options);
	events_create(&world->events, WORLD_BEGIN_US);
	note_plan(world);
	world->net = net_create(world);
	world->machine = machine_create(world);
	world->judge = judge_create(world);
	world->platform = platform_create(world);
	world->forge = forge_create(world);
}

static void close_world(struct world *world)
{
	forge_destroy(world->forge);
	platform_destroy(world->platform);
	judge_destroy(world->judge);
	machine_destroy(world->machine);
	net_destroy(world->net);
	events_destroy(&world->events);
}

/* Events until then; false: `done` said so before. */
static bool live_until(struct world *world, uint64_t until_us,
		       bool (*done)(const struct world *world))
{
	while (!done(world)) {
		world->counts.events++;
		if (!events_step(&world->events, until_us))
			return true;
	}
	return false;
}

static bool is_done(const struct world *world)
{
	return platform_is_done(world->platform);
}

static bool is_idle(const struct world *world)
{
	return machine_is_idle(world->machine) && net_is_idle(world->net);
}

static void live(struct world *world)
{
	machine_begin(world->machine);
	platform_begin(world->platform);
	forge_begin(world->forge);
	(void)live_until(world, WORLD_BEGIN_US + world->plan.length_us, is_done);
	world->healing = true;
	world_note(world, "healing");
	machine_heal(world->machine);
	if (live_until(world, world->events.now_us + HEALING_US, is_done)) {
		platform_print_open(world->platform);
		world_fail(world, "waits for ever", "not all requests end though all is well");
	}
	if (live_until(world, world->events.now_us + IDLE_US, is_idle))
		world_fail(world, "never at rest", "all requests have ended, the node has not");
}

/* The final state, as it was read. */
struct final {
	struct world *world;
	struct run_op *ops;
	uint32_t count, room;
};

/* platform_final_fn */
static void final_take(void *arg, const struct run_op *op)
{
	struct final *final = arg;
	struct run_op *own;

	if (final->count == final->room) {
		final->room = final->room ? 2 * final->room : 256;
		final->ops = realloc(final->ops, final->room * sizeof(*final->ops));
		if (!final->ops)
			abort();
	}
	own = &final->ops[final->count++];
	*own = *op;
	own->value = malloc(op->result.len + 1);
	if (!own->value)
		abort();
	if (op->result.len)
		memcpy(own->value, op->value, op->result.len);
}

static void final_free(struct final *final)
{
	for (uint32_t i = 0; i < final->count; i++)
		free(final->ops[i].value);
	free(final->ops);
}

static bool same_read(const struct run_op *a, const struct run_op *b)
{
	/* How old it is that nothing is there may be forgotten. */
	if (a->result.status == ABAFT_NOT_FOUND && b->result.status == ABAFT_NOT_FOUND)
		return strcmp(a->key, b->key) == 0;
	return strcmp(a->key, b->key) == 0 && a->result.status == b->result.status &&
	       a->result.version.time == b->result.version.time &&
	       a->result.version.origin == b->result.version.origin &&
	       a->result.len == b->result.len && memcmp(a->value, b->value, a->result.len) == 0;
}

static void compare_finals(struct world *world, const struct final *a, const struct final *b)
{
	if (a->count != b->count)
		world_fail(world, "final state", "%u keys, then %u", a->count, b->count);
	for (uint32_t i = 0; i < a->count; i++)
		if (!same_read(&a->ops[i], &b->ops[i]))
			world_fail(world, "final state",
				   "%s is another after a restart (%s, then %s)", a->ops[i].key,
				   abaft_error_name(a->ops[i].result.status),
				   abaft_error_name(b->ops[i].result.status));
}

static void judge_loads(struct world *world, const struct final *final)
{
	uint32_t at = 0;

	for (uint32_t n = 0; n < LOAD_COUNT; n++) {
		const struct load *load = load_of(n);
		char key[PLATFORM_KEY_BYTES];
		uint32_t count = 0;

		if (!(world->plan.loads >> n & 1))
			continue;
		while (load->key(world, count, key))
			count++;
		if (load->final)
			load->final(world, final->ops + at, count);
		at += count;
	}
}

static void end(struct world *world)
{
	struct final before = {.world = world}, after = {.world = world};

	platform_read_final(world->platform, final_take, &before);
	machine_restart(world->machine, (uint32_t)plan_roll(world, 2));
	platform_read_final(world->platform, final_take, &after);
	compare_finals(world, &before, &after);
	judge_loads(world, &after);
	for (uint32_t i = 0; i < after.count; i++)
		judge_final(world->judge, &after.ops[i]);
	judge_verdict(world->judge);
	final_free(&before);
	final_free(&after);
}

void world_run(const struct world_options *options, struct world_counts *counts, uint64_t *trace)
{
	static struct world world; /* one at a time */

	open_world(&world, options);
	live(&world);
	end(&world);
	world.counts.virtual_us = world.events.now_us - WORLD_BEGIN_US;
	*counts = world.counts;
	*trace = world.trace;
	close_world(&world);
}
