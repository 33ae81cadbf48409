/* SPDX-License-Identifier: Apache-2.0 */
/*
 * small_world.h - a world without a node or a platform, for unit tests of its parts: what world.h
 * says of randomness, the trace and failing, and nothing else.
 */
#ifndef ABAFT_TESTS_SMALL_WORLD_H
#define ABAFT_TESTS_SMALL_WORLD_H

#include <setjmp.h>

#include "tests/sim/world/world.h"

#define FAULT(name) (UINT32_C(1) << WORLD_##name)

/* world_fail() of any world jumps here, with its rule and reason in these, if a test set it (by
 * setjmp()) and said so; else it fails the test. */
extern jmp_buf small_world_failed;
extern bool small_world_may_fail;
extern char small_world_rule[64], small_world_reason[4096];

void small_world_create(struct world *world, uint64_t seed, uint32_t faults);
/* After what stands in it. */
void small_world_destroy(struct world *world);
/* All that happens within that time. */
void small_world_live(struct world *world, uint64_t us);

#endif
