/* SPDX-License-Identifier: Apache-2.0 */
/*
 * judge.h - the history of a run, in docs/history.md's format, and the verdict of the same checker
 * that `abaft check` is.
 */
#ifndef ABAFT_TESTS_JUDGE_H
#define ABAFT_TESTS_JUDGE_H

#include "tests/sim/world/platform.h"
#include "tools/history/history.h"

struct judge;
struct world;

struct judge *judge_create(struct world *world);
void judge_destroy(struct judge *judge);
/* A run has ended: what it asked for, and what it was told. `version` is the commit's. Its line is
 * a whole one: the operations of run->before and so on come first, oldest first, then its own. So
 * a chain of functions has a line for each way that it came to its end or to a failure, and which
 * runs of its earlier steps belong to it is certain. The times are this run's: what all of them
 * wrote was not committed before it began. Reads that were not answered are left out. */
void judge_run(struct judge *judge, const struct run *run, const char *client, uint64_t start_us,
	       uint64_t end_us, enum history_outcome outcome, struct abaft_version version);
/* A key of the final state. */
void judge_final(struct judge *judge, const struct run_op *op);
/* All is told. Fails the run with the first anomaly's name as the rule and its witness as the
 * reason. What is acknowledged must be there; what could not be judged must be little. */
void judge_verdict(struct judge *judge);

#endif
