/* SPDX-License-Identifier: Apache-2.0 */
/*
 * world.h - one run of the simulation: a whole node, its clients, and the network, disks and clocks
 * between and under them, in one thread and in virtual time. All of it follows from one seed.
 *
 *	  platform ──▶ clients ──▶ net ──▶ machine: ports, workers, logs, keeper ──▶ disks
 *	      │          ▲          │         │
 *	      └── loads  └──────────┴─────────┘
 *	      └── judge: the history of what clients asked for and were told
 *
 * Real are: workers with their frames, hand-over rings and transaction core, logs, recovery, keeper
 * and checkpoints, and the client's transactions and packets. Simulated are what they stand on:
 *
 * | file | what it is |
 * |---|---|
 * | events    | what happens next, and when |
 * | net       | who hears whom: loss, duplicates, delays, reordering, partitions, flipped bits |
 * | port_sim  | a worker's port on that network |
 * | machine   | the node's process and disks: scheduling, clock, crashes, restarts |
 * | client    | a client's process: libabaft's protocol code without its socket; it can die |
 * | forge     | who sends what nobody should: garbage, forged packets and answers |
 * | platform  | runs requests: their functions, retries, races, dead ones |
 * | load_*    | what requests do; each load has an invariant of its own |
 * | audit     | whether what the node counts and measures is what happened |
 * | judge     | the history, and its verdict by the rules of docs/history.md |
 * | shrink    | fewer requests and fewer faults that fail in the same way |
 *
 * Rules:
 * W1. Everything follows from the seed and the options. Nobody looks at a clock, at random numbers
 *     of the system's, or at addresses of memory. Two runs have the same trace, also by another
 *     compiler: no two random numbers are drawn where the order is the compiler's (arguments of a
 *     call, operands).
 * W2. A run ends: every loop is bounded, and what has not ended a minute (virtual) after the last
 *     fault is a failure of its own: somebody waits for ever.
 * W3. Randomness comes in streams, one for each concern; a request has a stream of its own, made of
 *     the seed and its number. So leaving a request or a fault out (shrink) changes little else.
 * W4. The disks keep their word, whatever else they do; what becomes of those that lie is log_sim's
 *     ground.
 */
#ifndef ABAFT_TESTS_WORLD_H
#define ABAFT_TESTS_WORLD_H

#include <stdbool.h>
#include <stdint.h>

#include "tests/sim/world/events.h"

/* What a seed may switch on; each with a chance of its own (swarm testing: Groce et al., ISSTA'12).
 */
#define WORLD_FAULTS(X)                                                                            \
	X(LOSS, "lost packets")                                                                    \
	X(TWICE, "packets delivered twice")                                                        \
	X(REORDER, "packets that overtake each other")                                             \
	X(LATE, "packets seconds late")                                                            \
	X(CORRUPT, "flipped bits on the wire")                                                     \
	X(PARTITION, "partitions")                                                                 \
	X(DEAF, "one-way partitions")                                                              \
	X(FORGE, "garbage and forged packets, to the node and to clients")                         \
	X(CLIENT_DEATH, "clients that die")                                                        \
	X(RACE, "requests run twice at once")                                                      \
	X(RERUN, "requests run again after they ended")                                            \
	X(SLOW_FUNCTION, "functions that pause, also beyond their deadline")                       \
	X(CLIENT_CLOCK, "clients' clocks that are off, drift, jump")                               \
	X(NODE_CLOCK, "the node's clock drifts and jumps")                                         \
	X(SCHEDULE, "workers that stall; hand-overs delayed")                                      \
	X(KILL, "killed nodes")                                                                    \
	X(POWER_CUT, "power cuts")                                                                 \
	X(CUT_ANYWHERE, "power cuts at a step of the disks' work")                                 \
	X(STOP, "nodes stopped in good order and started again")                                   \
	X(DISK_SLOW, "slow disks")                                                                 \
	X(DISK_STUCK, "stuck disks")                                                               \
	X(DISK_WRITE, "failed writes and syncs")                                                   \
	X(DISK_FULL, "full disks")                                                                 \
	X(DISK_READ, "failed, short and wrong cold reads")                                         \
	X(TINY_CACHE, "values that leave memory at once")                                          \
	X(TIGHT, "small tables: BUSY, forgotten outcomes")

enum world_fault {
#define WORLD_FAULT_ENUM(name, text) WORLD_##name,
	WORLD_FAULTS(WORLD_FAULT_ENUM)
#undef WORLD_FAULT_ENUM
		WORLD_FAULT_COUNT
};

/* Streams of randomness (W3). */
enum world_stream {
	STREAM_PLAN, /* what the run is like: faults, sizes */
	STREAM_NET,
	STREAM_SCHEDULE,
	STREAM_CRASH,
	STREAM_DISK,
	STREAM_CLOCK,
	STREAM_PLATFORM,
	STREAM_FORGE,
	STREAMS
};

/* Why a run failed. In memory that the run's process shares with the one that asked for it. */
struct world_report {
	char rule[64];
	char reason[4096];
	uint64_t at_us; /* since the beginning */
};

struct world_options {
	uint64_t seed;
	uint32_t requests;	     /* how many; 0: as the seed says */
	uint32_t faults_off;	     /* never these */
	uint32_t faults_on;	     /* always these */
	const uint8_t *left_out;     /* by request's number: 1: it is never begun; NULL: none is */
	bool quiet;		     /* what fails is not printed */
	bool verbose;		     /* prints what happens, one line each */
	bool no_telemetry;	     /* workers have none, so none is held against what happens */
	struct world_report *report; /* or NULL */
};

/* What a run is like, drawn once from STREAM_PLAN (world.c). */
struct world_plan {
	uint32_t faults;
	uint32_t requests, clients, workers, loads; /* loads: bits, by number in load.h */
	uint32_t keys;				    /* of each load */
	uint32_t rate_us;			    /* mean time between two requests */
	uint32_t lives;				    /* of the node, at most */
	uint64_t length_us;			    /* when it heals */
};

/* Of a run: what shrinking can tell apart. */
#define WORLD_REQUESTS_MAX 4096
#define WORLD_BEGIN_US	   UINT64_C(1700000000000000) /* since 1970 */

/* What is counted over a run; the campaign sums them up, prints them, and fails if one of the
 * faults never came. */
#define WORLD_COUNTS(X)                                                                            \
	X(requests, "requests")                                                                    \
	X(attempts, "attempts")                                                                    \
	X(committed, "requests acknowledged as committed")                                         \
	X(repeated, "  of them told again")                                                        \
	X(given_up, "requests given up")                                                           \
	X(operations, "operations answered")                                                       \
	X(packets, "packets sent")                                                                 \
	X(passes, "passes of workers")                                                             \
	X(restarts, "restarts")                                                                    \
	X(handed_over, "requests handed over")                                                     \
	X(cold, "requests that waited for the disk")                                               \
	X(checkpoints, "checkpoints")                                                              \
	X(cleaned, "segments cleaned")                                                             \
	X(slow, "entries of slow requests held against them")                                      \
	X(events, "events")                                                                        \
	X(virtual_us, "microseconds lived")

struct world_counts {
	uint64_t fault[WORLD_FAULT_COUNT]; /* how often each really happened */
#define WORLD_COUNT_FIELD(name, text) uint64_t name;
	WORLD_COUNTS(WORLD_COUNT_FIELD)
#undef WORLD_COUNT_FIELD
};

struct net;
struct machine;
struct platform;
struct judge;
struct forge;

struct world {
	struct world_options options;
	struct world_plan plan;
	struct events events; /* events.now_us is the true time; whoever has a clock derives it */
	uint64_t stream[STREAMS];
	uint64_t trace; /* hash of all that happened, in order */
	bool healing;	/* no faults any more: everything must end well (W2) */
	struct net *net;
	struct machine *machine;
	struct platform *platform;
	struct judge *judge;
	struct forge *forge;
	struct world_counts counts;
};

/* A whole run: plan, life, healing, end, verdict. Returns if all is well; else reports the rule and
 * the reason, and ends the process with WORLD_FAILED (runs are made in child processes:
 * campaign.h).
 */
#define WORLD_FAILED 3
void world_run(const struct world_options *options, struct world_counts *counts, uint64_t *trace);

/* What the run of these options will be like. */
void world_plan_of(const struct world_options *options, struct world_plan *plan);

/* The run fails. `rule` names what was broken, in a word or two: shrinking looks for a smaller run
 * that fails by the same rule. */
__attribute__((noreturn, format(printf, 3, 4))) void
world_fail(struct world *world, const char *rule, const char *format, ...);

/* The next number below `limit` (not 0) of that stream. */
uint64_t world_roll(struct world *world, enum world_stream stream, uint64_t limit);
/* True with that chance. */
bool world_chance(struct world *world, enum world_stream stream, uint32_t permille);
/* A stream of its own for request `number` (W3). */
uint64_t world_request_stream(const struct world *world, uint32_t number);

/* Something happened: into the trace, and printed if that was asked for. */
__attribute__((format(printf, 2, 3))) void world_note(struct world *world, const char *format, ...);
/* Bytes into the trace, e.g. a packet's. */
void world_note_bytes(struct world *world, const void *bytes, uint32_t count);

/* The fault is switched on, and the world is not healing. */
static inline bool world_has(const struct world *world, enum world_fault fault)
{
	return !world->healing && (world->plan.faults >> fault & 1);
}

/* It really happened. */
static inline void world_fault(struct world *world, enum world_fault fault)
{
	world->counts.fault[fault]++;
}

#endif
