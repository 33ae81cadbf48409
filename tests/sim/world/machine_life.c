/* SPDX-License-Identifier: Apache-2.0 */
/*
 * machine_life.c - how a node's process starts and ends.
 *
 *	DOWN ──▶ UP ──▶ STOPPING ──▶ RESTING ──▶ DOWN	an orderly end, as control/daemon.c has it
 *	         └── killed, or the power goes ──▶ DOWN	from any state, also within a start
 *
 * It ends for the plan's reasons, or because a log has failed: then the operator restarts it.
 */
#include <errno.h>
#include <string.h>

#include "dataplane/core/node.h"
#include "dataplane/log/recover.h"
#include "dataplane/xcore/handover.h"
#include "tests/sim/world/machine_impl.h"
#include "tests/sim/world/net.h"

#define REST_US	    2000000
#define OPERATOR_US 3000000
/* A disk that is not used does not get to the step at which the power was to go. */
#define CUT_US	    500000
/* A start that the power ends, that often in a row. */
#define STARTS_MAX  20
#define BOOT_US	    100000000

static void set_life(struct machine *m, uint64_t in_us, event_fn fn)
{
	event_set(&m->world->events, &m->life, m->world->events.now_us + in_us, fn, m);
}

static uint64_t down_us(struct machine *m)
{
	return machine_roll(m, STREAM_CRASH, UINT64_C(1000) << machine_roll(m, STREAM_CRASH, 11));
}

/* The next end that the seed wants, if any. */
static void plan_end(struct machine *m)
{
	static const enum world_fault fault[] = {
		[END_KILL] = WORLD_KILL,
		[END_POWER_CUT] = WORLD_POWER_CUT,
		[END_STOP] = WORLD_STOP,
		[END_CUT_ANYWHERE] = WORLD_CUT_ANYWHERE,
	};
	const struct world_plan *plan = &m->world->plan;
	enum machine_end ends[4];
	uint32_t count = 0;

	m->end_planned = false;
	for (enum machine_end end = END_KILL; end <= END_CUT_ANYWHERE; end++)
		if (world_has(m->world, fault[end]))
			ends[count++] = end;
	if (count == 0 || m->lives >= plan->lives)
		return;
	m->end = ends[machine_roll(m, STREAM_CRASH, count)];
	set_life(m, machine_roll(m, STREAM_CRASH, 2 * machine_span_us(m) / plan->lives + 1),
		 machine_end_life);
}

/* Starts. */

/* What was durable when the last life ended is there. */
static void check_tails(struct machine *m)
{
	for (uint32_t n = 0; n < ABAFT_LOGS_MAX; n++) {
		const struct log_tail *tail = m->bed.restart.tails[n];
		uint64_t group = tail ? tail->group : 0;

		if (m->bed.disk[n] && m->mark[n].group > group)
			world_fail(m->world, "durable",
				   "log %u was durable up to group %llu and ends at %llu", n,
				   (unsigned long long)m->mark[n].group, (unsigned long long)group);
	}
}

/* The node was not open: only its disks suffer. */
static void crash_disks(struct machine *m, bool power)
{
	for (uint32_t n = 0; n < ABAFT_LOGS_MAX; n++) {
		if (m->bed.disk[n] && power)
			sim_disk_power_cut(m->bed.disk[n]);
		else if (m->bed.disk[n])
			sim_disk_kill(m->bed.disk[n]);
	}
	if (power)
		sim_files_power_cut(m->bed.files);
	else
		sim_files_kill(m->bed.files);
}

/* True if the power ended the start. */
static bool open_once(struct machine *m, bool interrupt)
{
	int err;

	if (interrupt)
		sim_disk_die(machine_any_disk(m), 1 + (uint32_t)machine_roll(m, STREAM_CRASH, 20));
	audit_begin(m->audit, m->bed.workers);
	err = keeper_bed_open(&m->bed);
	if (!machine_disk_is_dead(m)) {
		if (err)
			world_fail(m->world, "start", "life %u is refused: %s", m->lives,
				   m->bed.why);
		machine_disks_heal(m, true);
		return false;
	}
	world_fault(m->world, WORLD_CUT_ANYWHERE);
	world_note(m->world, "the power goes during a start");
	if (err)
		crash_disks(m, machine_roll(m, STREAM_CRASH, 2));
	else if (machine_roll(m, STREAM_CRASH, 2))
		keeper_bed_power_cut(&m->bed);
	else
		keeper_bed_kill(&m->bed);
	machine_disks_heal(m, true);
	return true;
}

static void open_all(struct machine *m)
{
	bool interrupt;
	uint32_t starts = 0;

	do {
		interrupt = ++starts < STARTS_MAX && world_has(m->world, WORLD_CUT_ANYWHERE) &&
			    machine_roll(m, STREAM_CRASH, 2);
	} while (open_once(m, interrupt));
	if (m->bed.restart.note[0])
		world_fail(m->world, "start", "a whole checkpoint is passed over: %s",
			   m->bed.restart.note);
	check_tails(m);
}

static void make_workers(struct machine *m)
{
	memset(&m->group, 0, sizeof(m->group));
	if (handover_create(&m->handover, m->bed.workers))
		world_fail(m->world, "start", "no hand-over rings");
	for (uint32_t i = 0; i < m->bed.workers; i++) {
		struct machine_worker *w = &m->worker[i];
		struct worker_config config = {
			.number = i,
			.workers = m->bed.workers,
			.udp_port = NET_UDP_PORT,
			.port = w->port ? port_sim_port(w->port) : NULL,
			.node = m->bed.node[i],
			.log = m->bed.log[i],
			.handover = m->handover,
			.post = &m->bed.post[i],
			.group = &m->group,
			.telemetry = m->bed.telemetry[i],
			.version = "sim",
		};

		if (worker_create(&w->worker, &config))
			world_fail(m->world, "start", "no worker %u", i);
	}
}

void machine_start(void *arg)
{
	struct machine *m = arg;
	struct world *world = m->world;

	m->lives++;
	world->counts.restarts += m->lives > 1;
	if (world_has(world, WORLD_NODE_CLOCK))
		machine_clock_jumps(m);
	if (m->resizes && m->lives > 1 && !world->healing)
		keeper_bed_workers(&m->bed, 1 + (uint32_t)machine_roll(m, STREAM_CRASH,
								       KEEPER_BED_WORKERS_MAX));
	open_all(m);
	make_workers(m);
	m->state = MACHINE_UP;
	world_note(world, "node: life %u, %u workers, %llu records behind checkpoint %u", m->lives,
		   m->bed.workers, (unsigned long long)m->bed.restart.records,
		   m->bed.restart.found.newest.number);
	net_listen(world->net, NET_NODE, machine_receive, m);
	machine_schedule(m);
	plan_end(m);
}

/* Ends. */

static void count_life(struct machine *m)
{
	struct world_counts *counts = &m->world->counts;

	for (uint32_t i = 0; i < m->bed.workers; i++) {
		counts->handed_over += worker_counters(m->worker[i].worker)->handed_over;
		counts->cold += node_counters(m->bed.node[i])->fetch_waits;
	}
	for (uint32_t n = 0; n < ABAFT_LOGS_MAX; n++)
		if (m->bed.log[n])
			log_mark(m->bed.log[n], &m->mark[n]);
}

static void leave(struct machine *m, bool orderly)
{
	struct worker *worker[KEEPER_BED_WORKERS_MAX];
	struct audit_end end = {.workers = m->bed.workers,
				.worker = worker,
				.node = m->bed.node,
				.log = m->bed.log,
				.orderly = orderly};

	for (uint32_t i = 0; i < m->bed.workers; i++)
		worker[i] = m->worker[i].worker;
	count_life(m);
	audit_end(m->audit, &end);
	machine_steps_end(m);
	net_listen(m->world->net, NET_NODE, NULL, NULL);
}

/* What is left of the process, when its node has gone; and it starts again some time. */
static void go_down(struct machine *m, uint64_t down)
{
	for (uint32_t i = 0; i < m->bed.workers; i++) {
		struct machine_worker *w = &m->worker[i];

		worker_destroy(w->worker);
		w->worker = NULL;
		if (w->port)
			port_sim_crash(w->port);
	}
	handover_destroy(m->handover);
	machine_disks_heal(m, true);
	m->cutting = false;
	m->state = MACHINE_DOWN;
	set_life(m, down, machine_start);
}

void machine_crash(struct machine *m, bool power, uint64_t down)
{
	world_note(m->world, power ? "node: the power goes" : "node: killed");
	leave(m, false);
	if (power) {
		keeper_bed_power_cut(&m->bed);
		sim_clock_boot(&m->clock, m->world->events.now_us,
			       1 + machine_roll(m, STREAM_CLOCK, BOOT_US));
	} else {
		keeper_bed_kill(&m->bed);
	}
	go_down(m, down);
}

void machine_stop(struct machine *m)
{
	if (m->state != MACHINE_UP)
		return;
	world_note(m->world, "node: stops");
	m->state = MACHINE_STOPPING;
	event_remove(&m->world->events, &m->life);
	worker_group_stop(&m->group, m->handover, m->bed.workers);
	machine_wake_all(m);
}

static void close_node(struct machine *m)
{
	world_note(m->world, "node: closes");
	leave(m, true);
	keeper_bed_close(&m->bed);
	if (machine_disk_is_dead(m)) {
		world_fault(m->world, WORLD_CUT_ANYWHERE);
		crash_disks(m, true);
	}
	go_down(m, m->world->healing ? 0 : down_us(m));
}

/* A checkpoint has been written, or has failed. */
static uint64_t checkpoints_tried(const struct machine *m)
{
	struct keeper_stats stats;

	keeper_stats(m->bed.keeper, &stats);
	return stats.checkpoints + stats.checkpoint_failures;
}

void machine_rest(struct machine *m)
{
	for (uint32_t i = 0; i < m->bed.workers; i++)
		(void)post_serve(&m->bed.post[i], m->bed.node[i], m->bed.log[i]);
	if (checkpoints_tried(m) != m->rest_before || m->world->events.now_us >= m->rest_until_us)
		close_node(m);
}

void machine_all_ended(struct machine *m)
{
	if (m->group.drained != m->bed.workers) {
		if (!(m->world->plan.faults >> WORLD_DISK_STUCK & 1))
			world_fail(m->world, "stop", "workers give up waiting for their logs");
		world_note(m->world, "node: workers give up waiting for their logs");
		machine_crash(m, false, down_us(m)); /* as daemon_stop() leaves it to the system */
		return;
	}
	for (uint32_t i = 0; i < m->bed.workers; i++)
		if (m->worker[i].port && port_sim_held(m->worker[i].port))
			world_fail(m->world, "frames", "worker %u has ended and holds %u frames", i,
				   port_sim_held(m->worker[i].port));
	m->state = MACHINE_RESTING;
	m->rest_before = checkpoints_tried(m);
	m->rest_until_us = m->world->events.now_us + REST_US;
	if (machine_roll(m, STREAM_CRASH, 4) == 0)
		m->rest_until_us = 0; /* nothing was worth it */
	else
		keeper_ask_checkpoint(m->bed.keeper);
	machine_keeper_soon(m);
}

void machine_end_life(void *arg)
{
	struct machine *m = arg;

	if (m->cutting) {
		world_fault(m->world, WORLD_CUT_ANYWHERE);
		machine_crash(m, true, down_us(m));
		return;
	}
	switch (m->end) {
	case END_KILL:
		world_fault(m->world, WORLD_KILL);
		machine_crash(m, false, down_us(m));
		break;
	case END_POWER_CUT:
		world_fault(m->world, WORLD_POWER_CUT);
		machine_crash(m, true, down_us(m));
		break;
	case END_STOP:
		world_fault(m->world, WORLD_STOP);
		machine_stop(m);
		break;
	case END_CUT_ANYWHERE:
		m->cutting = true;
		machine_cut_soon(m);
		if (machine_roll(m, STREAM_CRASH, 4) == 0)
			machine_stop(m); /* while it is being stopped */
		set_life(m, machine_roll(m, STREAM_CRASH, CUT_US), machine_end_life);
		break;
	}
}

/* A worker's log, or the one that cleaning writes: without that no room is ever given back. */
static bool log_has_failed(const struct machine *m)
{
	int kept = log_error(m->bed.log[ABAFT_LOG_KEPT]);

	return m->group.log_failed || (kept && kept != -ENOSPC);
}

bool machine_look(struct machine *m)
{
	if (m->cutting && machine_disk_is_dead(m)) {
		world_fault(m->world, WORLD_CUT_ANYWHERE);
		machine_crash(m, true, down_us(m));
		return true;
	}
	if (m->state == MACHINE_UP && !m->end_planned && !m->cutting && log_has_failed(m)) {
		world_note(m->world, "node: a log has failed");
		m->end_planned = true;
		m->end = machine_roll(m, STREAM_CRASH, 3) ? END_STOP : END_KILL;
		set_life(m, machine_roll(m, STREAM_CRASH, m->world->healing ? 1 : OPERATOR_US),
			 machine_end_life);
	}
	return false;
}
