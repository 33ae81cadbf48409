/* SPDX-License-Identifier: Apache-2.0 */
/*
 * machine_impl.h - the machine's parts:
 *
 *	machine.c	what the world calls; the plan of it
 *	machine_step.c	the scheduler: workers, the keeper, who wakes whom
 *	machine_life.c	starts, orderly ends, crashes, and what must hold over them
 *	machine_disk.c	what the disks do meanwhile
 */
#ifndef ABAFT_TESTS_MACHINE_IMPL_H
#define ABAFT_TESTS_MACHINE_IMPL_H

#include "dataplane/worker.h"
#include "tests/lib/keeper_bed.h"
#include "tests/sim/world/audit.h"
#include "tests/sim/world/clock.h"
#include "tests/sim/world/machine.h"
#include "tests/sim/world/port_sim.h"
#include "tests/sim/world/world.h"

enum machine_state {
	MACHINE_DOWN,
	MACHINE_UP,
	MACHINE_STOPPING, /* workers drain */
	MACHINE_RESTING,  /* they have ended; a last checkpoint is written */
};

enum machine_end {
	END_KILL,
	END_POWER_CUT,
	END_STOP,
	END_CUT_ANYWHERE, /* at a step of the disks' work that is to come */
};

struct net_packet;

struct machine_worker {
	struct machine *machine;
	uint32_t number;
	struct event event;
	struct worker *worker;
	struct port_sim *port; /* NULL: it has none */
	bool asleep;	       /* as in worker_run(): waits for a frame, a peer, or its time */
	bool stalled;	       /* does not run, whatever comes */
	bool ended;	       /* worker_run() would have returned */
};

struct machine {
	struct world *world;
	struct keeper_bed bed; /* its clients are not used */
	struct sim_clock clock;
	struct audit *audit;
	enum machine_state state;
	uint32_t lives;
	/* The plan. */
	bool one_port;	 /* all frames come to worker 0 */
	bool resizes;	 /* a start may be with another number of workers */
	uint32_t astray; /* of 1000 frames, to another worker's port than their UDP port says */

	struct machine_worker worker[KEEPER_BED_WORKERS_MAX];
	struct handover *handover;
	struct worker_group group;
	struct event keeper, fault, clock_jump;
	struct event life; /* the next start or end */
	enum machine_end end;
	bool end_planned; /* for a reason that does not wait for the plan's */
	bool cutting;	  /* a power cut is set to happen at some step of a disk */
	uint32_t busy_us; /* between two looks at a disk that works, at most */
	uint64_t stuck_until_us;
	uint64_t rest_before, rest_until_us;
	bool had_faults;
	struct log_mark mark[ABAFT_LOGS_MAX]; /* when the life before ended */
};

static inline uint64_t machine_roll(struct machine *m, enum world_stream stream, uint64_t limit)
{
	return world_roll(m->world, stream, limit);
}

/* How long requests come, and some are retried: what happens shall happen in it. */
static inline uint64_t machine_span_us(const struct machine *m)
{
	const struct world_plan *plan = &m->world->plan;
	uint64_t us = UINT64_C(2) * plan->requests * plan->rate_us + 50000;

	return us < plan->length_us ? us : plan->length_us;
}

/* machine_step.c */
struct now machine_now(const struct machine *m);
void machine_schedule(struct machine *m); /* all of a new life */
void machine_wake_all(struct machine *m);
void machine_keeper_soon(struct machine *m);
void machine_steps_end(struct machine *m);
void machine_receive(void *arg, const struct net_packet *packet); /* net_receive_fn */
void machine_keeper_wakes(void *arg, uint32_t worker);		  /* keeper_config.wake */

/* machine_life.c */
void machine_start(void *arg);	  /* event_fn */
void machine_end_life(void *arg); /* event_fn: as `end` says */
/* It starts again after so long. */
void machine_crash(struct machine *m, bool power, uint64_t down);
/* Begins an orderly end, if it is up; it starts again some time behind that. */
void machine_stop(struct machine *m);
/* All workers have ended, in the group's time or not. */
void machine_all_ended(struct machine *m);
/* After a step of a worker or the keeper: did the power go, or a log fail? True: it is down. */
bool machine_look(struct machine *m);
/* The last checkpoint, with the workers' posts served in their stead; then all is closed. */
void machine_rest(struct machine *m);

/* machine.c */
void machine_clock_jumps(struct machine *m);

/* machine_disk.c */
struct sim_disk *machine_any_disk(struct machine *m);
bool machine_disk_is_dead(const struct machine *m);
void machine_disks_fail(void *arg); /* event_fn */
void machine_disks_heal(struct machine *m, bool all);
/* From now on a power cut at the n-th step of some disk. */
void machine_cut_soon(struct machine *m);
void machine_count_faults(struct machine *m);

#endif
