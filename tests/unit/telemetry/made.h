/* SPDX-License-Identifier: Apache-2.0 */
/* made.h - snapshots of no node, full of numbers: for tests of what is made of them. */
#ifndef ABAFT_TESTS_UNIT_TELEMETRY_MADE_H
#define ABAFT_TESTS_UNIT_TELEMETRY_MADE_H

#include "telemetry/scrape.h"

/* A generator of 64 random bits: xorshift, from any seed but 0. */
uint64_t made_random(uint64_t *seed);
/* A time in ns from 1 ns to some seconds, all magnitudes alike. */
uint64_t made_time(uint64_t *seed);
/* Every counter of every worker has a number of its own, every histogram some hundred times, every
 * optional part is there. free() it. */
struct snapshot *made_snapshot(uint32_t workers, uint64_t seed);

#endif
