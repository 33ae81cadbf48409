/* SPDX-License-Identifier: Apache-2.0 */
/*
 * judge.h - the history of a run, in docs/history.md's format, and the verdict of the same checker
 * that `abaft check` is.
 *
 * Every run that was begun is told, also one whose process died, and once; by the end of the world
 * at the latest. Which outcome:
 *
 * | outcome | when |
 * |---|---|
 * | committed | its COMMIT was answered OK without `repeat`; or with it (or COMMITTED by any
 * operation) and no other run of the request has ever sent a COMMIT | | repeated  | OK with
 * `repeat`, or COMMITTED, and another run has sent one: whose it was is not told. An ABORT answered
 * COMMITTED, too | | aborted   | its ABORT was answered OK, or anything was answered ABORTED and
 * the request aborts | | open      | a step before the last that ended well | | unknown   | a
 * COMMIT was part of what it submitted, and nothing above was answered: it died, timed out, or got
 * an error that a late copy of the packet need not get (STALE_ATTEMPT, NO_SPACE, LOG_FAILED,
 * CLOCK_SKEW, EXPIRED, BUSY, ...; also when the COMMIT was SKIPPED) | | failed    | no COMMIT was
 * submitted; or one was, and the answer was UNKNOWN_TXN, ABORTED, MALFORMED, UNSUPPORTED, INVALID
 * or NO_MEMORY |
 *
 * When in doubt unknown is right: it may be visible or not, but wholly. `failed` is a promise that
 * it is never seen, and a packet with OPEN and COMMIT in it commits whenever it arrives.
 */
#ifndef ABAFT_TESTS_JUDGE_H
#define ABAFT_TESTS_JUDGE_H

#include "tests/sim/world/platform.h"
#include "tools/history/history.h"

struct judge;
struct world;

struct judge *judge_create(struct world *world);
void judge_destroy(struct judge *judge);
/* A run has ended: what it asked for, and what it was told; all of it is copied. `version` is the
 * commit's, if it was told (also when repeated). Its line is a whole one: the operations of
 * run->before and so on come first, oldest first, then its own. So a chain of functions has a line
 * for each way that it came to its end or to a failure, and which runs of its earlier steps belong
 * to it is certain. The times are true ones (world->events.now_us), and this run's: what all of
 * them wrote was not committed before it began. Reads that were not answered are left out. */
void judge_run(struct judge *judge, const struct run *run, const char *client, uint64_t start_us,
	       uint64_t end_us, enum history_outcome outcome, struct abaft_version version);
/* A key of the final state: OK or NOT_FOUND, or the run fails. */
void judge_final(struct judge *judge, const struct run_op *op);
/* All is told. Fails the run with the first anomaly's name as the rule and its witness as the
 * reason. What is acknowledged must be there; what could not be judged must be little. */
void judge_verdict(struct judge *judge);

#endif
