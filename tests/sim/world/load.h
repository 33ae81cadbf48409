/* SPDX-License-Identifier: Apache-2.0 */
/*
 * load.h - what requests do. Each load has keys of its own and, besides what the history tells, an
 * invariant of its own: checked on each read (in `round`, by world_fail()) and in the final state.
 *
 * L1. Which keys a step writes, in what order, and which of them it deletes, follows from the
 *     request's facts alone: all attempts do the same. So whichever of them took effect, it is
 * known what was written, though not always by which.
 */
#ifndef ABAFT_TESTS_LOAD_H
#define ABAFT_TESTS_LOAD_H

#include <inttypes.h>

#include "tests/lib/logdev_sim.h"
#include "tests/sim/world/platform.h"

/* X(name, text) */
#define LOADS(X)                                                                                   \
	X(bank, "transfers that write all accounts of a group; every sum read is the first one")   \
	X(shop, "orders and stock: an order has its lines, its lines have their order")            \
	X(scan, "read-only scanners against writers of many keys")                                 \
	X(hot, "few keys, Zipf 2.0")                                                               \
	X(slow, "long transactions across reclamation: what they read stays readable")             \
	X(chain, "chains of functions; steps fail and are run again")                              \
	X(big, "values of many packets beside small ones")

enum load_number {
#define LOAD_ENUM(name, text) LOAD_##name,
	LOADS(LOAD_ENUM)
#undef LOAD_ENUM
		LOAD_COUNT
};

struct load {
	const char *name;
	/* Steps and facts of a new request, from its own stream. */
	void (*begin)(struct world *world, struct request *request);
	/* Prepares the next round of a run; false: there is none, the step has ended. The last step
	 * must end with run_commit() or run_abort(). */
	bool (*round)(struct world *world, struct run *run);
	/* The i-th of its keys; false: there are no more. */
	bool (*key)(const struct world *world, uint32_t i, char key[PLATFORM_KEY_BYTES]);
	/* The final state: `ops` are the reads of all its keys, in order. NULL: no invariant. */
	void (*final)(struct world *world, const struct run_op *ops, uint32_t count);
};

#define LOAD_DECLARE(name, text) extern const struct load load_##name;
LOADS(LOAD_DECLARE)
#undef LOAD_DECLARE

/* By number. */
const struct load *load_of(uint32_t number);

/* What loads share (load.c). A value that is a number, never 0; false: there is none. */
void load_put_number(struct run *run, const char *key, uint64_t number);
bool load_number(const struct run_op *op, uint64_t *number);
/* Keys that are always written and deleted together: all hold one number, or none is there. */
void load_check_family(struct world *world, const char *rule, const struct run_op *ops,
		       uint32_t count);
/* Puts 0 to count - 1 into an order of the run's own. */
void load_shuffle(struct run *run, uint32_t *order, uint32_t count);
/* From the request's own stream. */
uint64_t load_roll(struct request *request, uint64_t limit);

#endif
