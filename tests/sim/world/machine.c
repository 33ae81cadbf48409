/* SPDX-License-Identifier: Apache-2.0 */
/* machine.c - see machine.h. What a node is like follows from the run's plan and STREAM_PLAN. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/core/node.h"
#include "tests/sim/world/arena.h"
#include "tests/sim/world/load.h"
#include "tests/sim/world/machine_impl.h"

#define PORT_ROOM	1024
#define PORT_ROOM_TIGHT 16
/* What clients can have open, and as many that nobody goes on with. */
#define TXNS_MAX	1024
#define CLOCK_OFF_US	2000000
#define CLOCK_FAR_US	8000000 /* beyond ABAFT_CLOCK_SKEW_MS */
#define DRIFT_PPM	2000
/* A minute and more than any start takes. */
#define RESTART_US	UINT64_C(100000000)

static uint64_t plan_roll(struct machine *m, uint64_t limit)
{
	return machine_roll(m, STREAM_PLAN, limit);
}

static bool plans(const struct machine *m, enum world_fault fault)
{
	return m->world->plan.faults >> fault & 1;
}

/* Small tables: each of them is reached. */
static void plan_tables(struct machine *m)
{
	struct keeper_bed *bed = &m->bed;
	bool tight = plans(m, WORLD_TIGHT);

	bed->keys_max = 16384;
	bed->txns_max = tight ? 16u << plan_roll(m, 4) : TXNS_MAX;
	bed->outcomes_max = tight ? 64u << plan_roll(m, 4) : 2 * WORLD_REQUESTS_MAX;
	bed->memory_bytes = (uint64_t)(tight ? 24 : 64) << 20;
	bed->deadline_ms = ABAFT_TXN_DEADLINE_MS_DEFAULT;
	bed->cache_bytes = plans(m, WORLD_TINY_CACHE) ? 4096 : 0;
	bed->map = arena_map;
	bed->unmap = arena_unmap;
}

/* Small logs, so that checkpoints and cleaning come often. A segment holds any transaction. */
static void plan_logs(struct machine *m, bool big)
{
	struct keeper_bed *bed = &m->bed;

	bed->segment_bytes = (big ? 128u << 10 : 64u << 10) << plan_roll(m, 2);
	/* What open transactions may still read stays, for half a minute of large values. */
	bed->bytes_max = (plans(m, WORLD_DISK_FULL) ? 160 : 512) * bed->segment_bytes;
	bed->reserve = 2 * bed->segment_bytes;
	bed->config.checkpoint_bytes = (1 + plan_roll(m, 5)) * bed->segment_bytes;
	bed->config.use_percent = 70 + (uint32_t)plan_roll(m, 30);
	bed->config.room_bytes = (4 + plan_roll(m, 6)) * bed->segment_bytes;
	bed->config.wake = machine_keeper_wakes;
	bed->config.wake_arg = m;
}

/* One port, as on lo, or one for each worker; whose queues' lengths a card would choose. */
static void plan_ports(struct machine *m)
{
	bool trusts = !plans(m, WORLD_CORRUPT) && plan_roll(m, 2);
	uint32_t room = plans(m, WORLD_TIGHT) ? PORT_ROOM_TIGHT : PORT_ROOM;

	m->resizes = plan_roll(m, 4) == 0;
	m->one_port = plan_roll(m, 3) == 0;
	m->astray = plan_roll(m, 2) ? (uint32_t)plan_roll(m, 300) : 0;
	for (uint32_t i = 0; i < KEEPER_BED_WORKERS_MAX; i++) {
		m->worker[i].machine = m;
		m->worker[i].number = i;
		if (i == 0 || !m->one_port)
			m->worker[i].port = port_sim_create(m->world, trusts, room, m->audit, i);
	}
}

struct machine *machine_create(struct world *world)
{
	struct machine *m = calloc(1, sizeof(*m));
	bool big = world->plan.loads >> LOAD_big & 1;

	if (!m)
		abort();
	m->world = world;
	m->audit = audit_create(world, KEEPER_BED_WORKERS_MAX);
	keeper_bed_begin(&m->bed, plan_roll(m, UINT32_MAX), world->plan.workers);
	plan_tables(m);
	plan_logs(m, big);
	plan_ports(m);
	for (uint32_t i = 0; i < KEEPER_BED_WORKERS_MAX; i++)
		m->bed.telemetry[i] = audit_telemetry(m->audit, i);
	m->bed.device = audit_device;
	m->bed.device_arg = m->audit;
	m->clock.since_us = world->events.now_us;
	m->clock.mono_us = 1 + plan_roll(m, UINT32_MAX);
	machine_disks_heal(m, true);
	return m;
}

void machine_destroy(struct machine *m)
{
	if (m->state != MACHINE_DOWN)
		machine_crash(m, false, 0);
	event_remove(&m->world->events, &m->life);
	event_remove(&m->world->events, &m->fault);
	event_remove(&m->world->events, &m->clock_jump);
	for (uint32_t i = 0; i < KEEPER_BED_WORKERS_MAX; i++)
		port_sim_destroy(m->worker[i].port);
	keeper_bed_end(&m->bed);
	audit_destroy(m->audit);
	free(m);
}

void machine_clock_jumps(struct machine *m)
{
	uint64_t most = machine_roll(m, STREAM_CLOCK, 8) ? CLOCK_OFF_US : CLOCK_FAR_US;
	int64_t offset = (int64_t)machine_roll(m, STREAM_CLOCK, 2 * most) - (int64_t)most;
	int32_t drift = (int32_t)machine_roll(m, STREAM_CLOCK, 2 * DRIFT_PPM) - DRIFT_PPM;

	sim_clock_set(&m->clock, m->world->events.now_us, offset, drift);
	world_fault(m->world, WORLD_NODE_CLOCK);
	world_note(m->world, "node: its clock is %lld us off", (long long)offset);
}

/* event_fn */
static void clock_turn(void *arg)
{
	struct machine *m = arg;
	uint64_t mean_us = machine_span_us(m) / 8;

	machine_clock_jumps(m);
	event_set(&m->world->events, &m->clock_jump,
		  m->world->events.now_us + machine_roll(m, STREAM_CLOCK, 2 * mean_us + 1) + 1000,
		  clock_turn, m);
}

void machine_begin(struct machine *m)
{
	struct world *world = m->world;

	if (plans(m, WORLD_TINY_CACHE))
		world_fault(world, WORLD_TINY_CACHE);
	if (plans(m, WORLD_TIGHT))
		world_fault(world, WORLD_TIGHT);
	machine_start(m);
	machine_disks_fail(m);
	if (world_has(world, WORLD_NODE_CLOCK))
		clock_turn(m);
}

void machine_heal(struct machine *m)
{
	struct events *events = &m->world->events;

	event_remove(events, &m->fault);
	event_remove(events, &m->clock_jump);
	machine_disks_heal(m, true);
	sim_clock_set(&m->clock, events->now_us, 0, 0);
	if (m->state == MACHINE_DOWN)
		event_set(events, &m->life, events->now_us, machine_start, m);
	else if (m->cutting)
		machine_crash(m, true, 0);
	else if (m->state == MACHINE_UP)
		event_remove(events, &m->life);
	m->end_planned = false; /* a log that has failed is seen by the next look */
}

void machine_restart(struct machine *m, uint32_t how)
{
	uint64_t until_us = m->world->events.now_us + RESTART_US;
	uint32_t lives = m->lives;

	if (how % 2)
		machine_crash(m, true, 0);
	else
		machine_stop(m);
	while (m->lives == lives)
		if (!events_step(&m->world->events, until_us))
			world_fail(m->world, "stop", "an orderly end does not end");
	machine_count_faults(m);
}

static const struct {
	const char *name;
	size_t at;
} node_counter[] = {
#define COUNTER(name, text) {#name, offsetof(struct node_counters, name)},
	ABAFT_NODE_COUNTERS(COUNTER)
#undef COUNTER
};

static void print_worker(const struct machine_worker *w, struct node *node)
{
	const uint8_t *counters = (const uint8_t *)node_counters(node);

	printf("# worker %u:", w->number);
	for (size_t i = 0; i < sizeof(node_counter) / sizeof(node_counter[0]); i++) {
		uint64_t value;

		memcpy(&value, counters + node_counter[i].at, sizeof(value));
		if (value)
			printf(" %s %llu", node_counter[i].name, (unsigned long long)value);
	}
	if (w->port)
		printf(", frames waiting %u, held %u", port_sim_waiting(w->port),
		       port_sim_held(w->port));
	printf("\n");
}

static void print_logs(const struct machine *m)
{
	struct keeper_stats k;

	keeper_stats(m->bed.keeper, &k);
	printf("# logs: %llu of %llu bytes, live %llu, behind the checkpoint %llu; %llu "
	       "checkpoints "
	       "and %llu failed (%d), %llu segments cleaned; kept log %d",
	       (unsigned long long)k.log_bytes, (unsigned long long)m->bed.bytes_max,
	       (unsigned long long)k.live_bytes, (unsigned long long)k.tail_bytes,
	       (unsigned long long)k.checkpoints, (unsigned long long)k.checkpoint_failures,
	       k.error, (unsigned long long)k.cleaned_segments, k.kept_error);
	for (uint32_t n = 0; n < ABAFT_LOGS_MAX; n++) {
		struct log_stats log;

		if (!m->bed.log[n])
			continue;
		log_stats(m->bed.log[n], &log);
		printf("; log %u: %d (%d), %llu segments", n, log_error(m->bed.log[n]), log.no_room,
		       (unsigned long long)log.segments);
	}
	printf("\n");
}

void machine_print(const struct machine *m)
{
	if (m->state != MACHINE_DOWN)
		print_logs(m);
	if (m->state == MACHINE_DOWN)
		printf("# the node is down\n");
	for (uint32_t i = 0; m->state != MACHINE_DOWN && i < m->bed.workers; i++)
		print_worker(&m->worker[i], m->bed.node[i]);
}

bool machine_is_up(const struct machine *m)
{
	return m->state == MACHINE_UP;
}

uint32_t machine_lives(const struct machine *m)
{
	return m->lives;
}

bool machine_is_idle(const struct machine *m)
{
	if (m->state != MACHINE_UP)
		return false;
	for (uint32_t i = 0; i < m->bed.workers; i++) {
		const struct port_sim *port = m->worker[i].port;

		if (port && (port_sim_held(port) || port_sim_waiting(port)))
			return false;
		if (node_pending(m->bed.node[i]) || log_busy(m->bed.log[i]))
			return false;
	}
	return true;
}

bool machine_had_faults(const struct machine *m)
{
	return m->had_faults;
}
