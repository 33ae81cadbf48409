/* SPDX-License-Identifier: Apache-2.0 */
/*
 * replay.h - what a fuzz target can say to its replay.
 */
#ifndef ABAFT_TESTS_REPLAY_H
#define ABAFT_TESTS_REPLAY_H

/* A target that needs something of the machine defines it: what is left out here and why, which
 * becomes a skipped case; NULL if nothing is. */
const char *fuzz_left_out(void) __attribute__((weak));

#endif
