/* SPDX-License-Identifier: Apache-2.0 */
/*
 * machine_step.c - the scheduler: one pass of one worker, or one step of the keeper, at a time, and
 * who sleeps how long and is woken by whom, as worker_run() and keeper_start() would have it.
 *
 * A worker that sleeps has told handover.h so; its peers then write its eventfd. That is looked at
 * after each pass: something in a sleeper's rings, and its descriptor does not say so, is a lost
 * wake-up.
 */
#include <poll.h>

#include "dataplane/log/log.h"
#include "dataplane/xcore/handover.h"
#include "tests/sim/world/machine_impl.h"
#include "tests/sim/world/net.h"

/* A pass takes a moment, a look at the disk comes about as often as a worker gives way. */
#define PASS_US	       5
#define WAKE_US	       20
#define SLEEP_US_MAX   1000000
#define DRAIN_US_MAX   2000
#define STALL_PERMILLE 3
#define LATE_PERMILLE  20
#define ARRIVE_US      2

static void worker_step(void *arg);

struct now machine_now(const struct machine *m)
{
	uint64_t us = m->world->events.now_us;

	return (struct now){.wall_us = sim_clock_wall_us(&m->clock, us),
			    .mono_us = sim_clock_mono_us(&m->clock, us)};
}

static void set_worker(struct machine_worker *w, uint64_t pause_us)
{
	struct events *events = &w->machine->world->events;

	event_set(events, &w->event, events->now_us + pause_us, worker_step, w);
}

/* How long it takes to get out of a sleep. */
static uint64_t wake_us(struct machine *m)
{
	if (world_has(m->world, WORLD_SCHEDULE) &&
	    world_chance(m->world, STREAM_SCHEDULE, LATE_PERMILLE)) {
		world_fault(m->world, WORLD_SCHEDULE);
		return machine_roll(m, STREAM_SCHEDULE, 30000);
	}
	return 1 + machine_roll(m, STREAM_SCHEDULE, WAKE_US);
}

/* Something has come for it. Who does not sleep will see it. */
static void wake(struct machine_worker *w)
{
	uint64_t due_us;

	if (!w->asleep || w->stalled || w->ended)
		return;
	due_us = w->machine->world->events.now_us + wake_us(w->machine);
	if (due_us < w->event.due_us)
		set_worker(w, due_us - w->machine->world->events.now_us);
}

void machine_keeper_wakes(void *arg, uint32_t worker)
{
	struct machine *m = arg;

	if (m->state == MACHINE_RESTING)
		return;
	handover_kick(m->handover, worker);
	wake(&m->worker[worker]);
}

static void get_up(struct machine_worker *w)
{
	if (w->asleep)
		handover_sleep_end(w->machine->handover, w->number);
	w->asleep = false;
}

/* Whoever sleeps while something waits in his rings must have been called. */
static void wake_peers(struct machine *m, uint32_t self)
{
	for (uint32_t i = 0; i < m->bed.workers; i++) {
		struct machine_worker *w = &m->worker[i];
		struct pollfd fd = {.fd = handover_sleep_fd(m->handover, i), .events = POLLIN};

		if (i == self || !w->asleep || handover_sleep_begin(m->handover, i))
			continue;
		if (poll(&fd, 1, 0) != 1)
			world_fail(m->world, "lost wake-up", "worker %u sleeps on", i);
		wake(w);
		get_up(w);
	}
}

/* The pause after a pass; `us` is worker_pass()'s. */
static uint64_t pause_us(struct machine_worker *w, uint64_t us)
{
	struct machine *m = w->machine;

	if (world_has(m->world, WORLD_SCHEDULE) &&
	    world_chance(m->world, STREAM_SCHEDULE, STALL_PERMILLE)) {
		world_fault(m->world, WORLD_SCHEDULE);
		w->stalled = true;
		return machine_roll(m, STREAM_SCHEDULE,
				    UINT64_C(1000) << machine_roll(m, STREAM_SCHEDULE, 11));
	}
	if (us == 0 || !handover_sleep_begin(m->handover, w->number))
		return PASS_US + machine_roll(m, STREAM_SCHEDULE, m->busy_us);
	w->asleep = true;
	us = us < SLEEP_US_MAX ? us : SLEEP_US_MAX;
	if (m->state == MACHINE_STOPPING && us > DRAIN_US_MAX)
		us = DRAIN_US_MAX;
	return us + machine_roll(m, STREAM_SCHEDULE, WAKE_US);
}

static bool all_ended(const struct machine *m)
{
	for (uint32_t i = 0; i < m->bed.workers; i++)
		if (!m->worker[i].ended)
			return false;
	return true;
}

/* event_fn: one turn of worker_run()'s loop. */
static void worker_step(void *arg)
{
	struct machine_worker *w = arg;
	struct machine *m = w->machine;
	struct now now;
	uint64_t us;

	w->stalled = false;
	get_up(w);
	if (worker_stopped(w->worker)) {
		w->ended = true;
		if (all_ended(m))
			machine_all_ended(m);
		return;
	}
	now = machine_now(m);
	audit_time(m->audit, now.mono_us);
	us = worker_pass(w->worker, now);
	m->world->counts.passes++;
	if (machine_look(m))
		return;
	wake_peers(m, w->number);
	set_worker(w, pause_us(w, us));
}

/* event_fn */
static void keeper_turn(void *arg)
{
	struct machine *m = arg;
	struct now now = machine_now(m);
	uint64_t us = keeper_step(m->bed.keeper, now.wall_us, now.mono_us);

	if (machine_look(m))
		return;
	if (us < m->busy_us)
		us = PASS_US + machine_roll(m, STREAM_SCHEDULE, m->busy_us);
	event_set(&m->world->events, &m->keeper, m->world->events.now_us + us, keeper_turn, m);
	if (m->state == MACHINE_RESTING)
		machine_rest(m);
}

void machine_schedule(struct machine *m)
{
	for (uint32_t i = 0; i < m->bed.workers; i++) {
		struct machine_worker *w = &m->worker[i];

		w->asleep = w->stalled = w->ended = false;
		set_worker(w, machine_roll(m, STREAM_SCHEDULE, 100));
	}
	machine_keeper_soon(m);
}

void machine_keeper_soon(struct machine *m)
{
	event_set(&m->world->events, &m->keeper,
		  m->world->events.now_us + machine_roll(m, STREAM_SCHEDULE, 100), keeper_turn, m);
}

void machine_wake_all(struct machine *m)
{
	for (uint32_t i = 0; i < m->bed.workers; i++)
		wake(&m->worker[i]);
}

void machine_steps_end(struct machine *m)
{
	for (uint32_t i = 0; i < m->bed.workers; i++)
		event_remove(&m->world->events, &m->worker[i].event);
	event_remove(&m->world->events, &m->keeper);
}

/* Which worker's port takes it: the UDP port says, or the network card. */
static uint32_t port_of(struct machine *m, const struct net_packet *packet)
{
	if (m->one_port)
		return 0;
	if (m->astray && world_chance(m->world, STREAM_SCHEDULE, m->astray))
		return (uint32_t)machine_roll(m, STREAM_SCHEDULE, m->bed.workers);
	return (uint16_t)(packet->to_port - NET_UDP_PORT) % m->bed.workers;
}

void machine_receive(void *arg, const struct net_packet *packet)
{
	struct machine *m = arg;
	struct machine_worker *w = &m->worker[port_of(m, packet)];

	audit_time(m->audit, machine_now(m).mono_us);
	if (port_sim_arrive(w->port, packet))
		wake(w);
}
