/* SPDX-License-Identifier: Apache-2.0 */
/*
 * machine_disk.c - what disks do to a node, all of which they may (W4): they are slow or stuck,
 * fail writes, syncs and checkpoints' calls, are full, fail reads or bring wrong bits once, have
 * blocks that cannot be read for a while; and the power goes at a step of their work.
 *
 * A disk's ticks are polls of its log, so a stuck one is one that takes many ticks while these
 * come seldom.
 */
#include <errno.h>

#include "tests/sim/world/machine_impl.h"

#define TICKS	      4
#define SLOW_TICKS    30
#define STUCK_TICKS   400
#define BUSY_US	      50
#define STUCK_BUSY_US 40000
/* Up to 16 s: longer than a worker waits for a read, or a stop for the log. */
#define STUCK_MS_LOG2 15
#define SEGMENTS_MAX  1024
/* In the time that requests come; not more often than every 10 ms. */
#define LOOKS	      64
#define LOOK_US	      10000

struct sim_disk *machine_any_disk(struct machine *m)
{
	uint64_t n = machine_roll(m, STREAM_DISK, m->bed.workers + 1);

	return m->bed.disk[n == m->bed.workers ? ABAFT_LOG_KEPT : n];
}

bool machine_disk_is_dead(const struct machine *m)
{
	for (uint32_t n = 0; n < ABAFT_LOGS_MAX; n++)
		if (m->bed.disk[n] && sim_disk_is_dead(m->bed.disk[n]))
			return true;
	return sim_files_is_dead(m->bed.files);
}

static void fail_write(struct machine *m, struct sim_disk *disk)
{
	static const enum sim_file_call calls[] = {SIM_FILE_CREATE, SIM_FILE_APPEND,
						   SIM_FILE_FINISH, SIM_FILE_REMOVE};
	/* One by one: the order in which arguments are evaluated is the compiler's. */
	uint32_t soon = 1 + (uint32_t)machine_roll(m, STREAM_DISK, 12);
	enum sim_file_call call = calls[machine_roll(m, STREAM_DISK, 4)];
	int error = machine_roll(m, STREAM_DISK, 2) ? -EIO : -ENOSPC;

	switch (machine_roll(m, STREAM_DISK, 4)) {
	case 0:
		sim_disk_fail_write(disk, soon);
		break;
	case 1:
		sim_disk_fail_sync(disk, soon);
		break;
	default:
		sim_files_fail(m->bed.files, call, 1 + soon % 3, error);
	}
}

static void break_block(struct machine *m, struct sim_disk *disk)
{
	uint32_t first = (uint32_t)machine_roll(m, STREAM_DISK, SEGMENTS_MAX);
	uint64_t bytes;

	for (uint32_t i = 0; i < SEGMENTS_MAX; i++) {
		uint32_t number = (first + i) % SEGMENTS_MAX;

		if (!sim_disk_segment(disk, number, &bytes))
			continue;
		sim_disk_bad_block(disk, number,
				   (uint32_t)machine_roll(m, STREAM_DISK, bytes / 4096));
		world_fault(m->world, WORLD_DISK_READ);
		return;
	}
}

static void fail_read(struct machine *m, struct sim_disk *disk)
{
	uint32_t soon = 1 + (uint32_t)machine_roll(m, STREAM_DISK, 12);

	switch (machine_roll(m, STREAM_DISK, 4)) {
	case 0:
		sim_disk_fail_fetch(disk, soon);
		break;
	case 1:
		sim_disk_short_fetch(disk, soon);
		break;
	case 2:
		sim_disk_flip_fetch(disk, soon);
		break;
	default:
		break_block(m, disk);
	}
}

static void begin_fault(struct machine *m, enum world_fault fault)
{
	struct sim_disk *disk = machine_any_disk(m);

	m->had_faults |= fault != WORLD_DISK_SLOW;
	switch (fault) {
	case WORLD_DISK_SLOW:
		sim_disk_delay(disk, (uint32_t)machine_roll(m, STREAM_DISK, SLOW_TICKS));
		world_fault(m->world, fault);
		break;
	case WORLD_DISK_STUCK:
		sim_disk_delay(disk, STUCK_TICKS);
		m->busy_us = STUCK_BUSY_US;
		m->stuck_until_us = m->world->events.now_us +
				    (UINT64_C(1000) << machine_roll(m, STREAM_DISK, STUCK_MS_LOG2));
		world_fault(m->world, fault);
		break;
	case WORLD_DISK_WRITE:
		fail_write(m, disk);
		break;
	case WORLD_DISK_FULL:
		sim_disk_fail_create(disk, machine_roll(m, STREAM_DISK, 2) ? -ENOSPC : -EDQUOT);
		break;
	default:
		fail_read(m, disk);
	}
}

/* What lasts. */
static void heal_disk(struct machine *m, struct sim_disk *disk)
{
	if (m->world->events.now_us >= m->stuck_until_us)
		sim_disk_delay(disk, TICKS);
	sim_disk_fail_create(disk, 0);
	sim_disk_bad_block(disk, UINT32_MAX, 0);
}

static void disarm_disk(struct sim_disk *disk)
{
	sim_disk_fail_write(disk, 0);
	sim_disk_fail_sync(disk, 0);
	sim_disk_fail_fetch(disk, 0);
	sim_disk_short_fetch(disk, 0);
	sim_disk_flip_fetch(disk, 0);
	sim_disk_cut_recycle(disk, 0);
	sim_disk_die(disk, 0);
}

void machine_disks_heal(struct machine *m, bool all)
{
	if (all)
		m->stuck_until_us = 0;
	for (uint32_t n = 0; n < ABAFT_LOGS_MAX; n++) {
		struct sim_disk *disk = m->bed.disk[n];

		if (!disk || (!all && machine_roll(m, STREAM_DISK, 3)))
			continue;
		heal_disk(m, disk);
		if (all)
			disarm_disk(disk);
	}
	if (m->world->events.now_us >= m->stuck_until_us)
		m->busy_us = BUSY_US;
	for (uint32_t call = 0; all && call < SIM_FILE_CALLS; call++)
		sim_files_fail(m->bed.files, call, 0, 0);
}

void machine_disks_fail(void *arg)
{
	static const struct {
		enum world_fault fault;
		uint32_t permille;
	} faults[] = {
		{WORLD_DISK_SLOW, 200}, {WORLD_DISK_STUCK, 60}, {WORLD_DISK_WRITE, 60},
		{WORLD_DISK_FULL, 150}, {WORLD_DISK_READ, 400},
	};
	struct machine *m = arg;
	uint64_t mean_us = machine_span_us(m) / LOOKS;

	if (m->state != MACHINE_DOWN) {
		machine_disks_heal(m, false);
		for (uint32_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++)
			if (world_has(m->world, faults[i].fault) &&
			    world_chance(m->world, STREAM_DISK, faults[i].permille))
				begin_fault(m, faults[i].fault);
	}
	event_set(&m->world->events, &m->fault,
		  m->world->events.now_us + 1000 +
			  machine_roll(m, STREAM_DISK, 2 * (mean_us > LOOK_US ? mean_us : LOOK_US)),
		  machine_disks_fail, m);
}

void machine_cut_soon(struct machine *m)
{
	switch (machine_roll(m, STREAM_CRASH, 4)) {
	case 0:
		sim_files_cut_in_finish(m->bed.files);
		break;
	case 1:
		sim_disk_cut_recycle(machine_any_disk(m),
				     1 + (uint32_t)machine_roll(m, STREAM_CRASH, 3));
		break;
	default:
		sim_disk_die(machine_any_disk(m), 1 + (uint32_t)machine_roll(m, STREAM_CRASH, 20));
	}
}

void machine_count_faults(struct machine *m)
{
	uint64_t *fault = m->world->counts.fault;

	for (uint32_t n = 0; n < ABAFT_LOGS_MAX; n++) {
		const struct sim_disk_fired *fired;

		if (!m->bed.disk[n])
			continue;
		fired = sim_disk_fired(m->bed.disk[n]);
		fault[WORLD_DISK_WRITE] += fired->writes + fired->syncs;
		fault[WORLD_DISK_FULL] += fired->creates;
		fault[WORLD_DISK_READ] +=
			fired->fetches + fired->short_fetches + fired->flipped_fetches;
	}
	fault[WORLD_DISK_WRITE] += sim_files_failures(m->bed.files);
	m->world->counts.checkpoints = m->bed.checkpoints;
	m->world->counts.cleaned = m->bed.cleaned_segments;
}
