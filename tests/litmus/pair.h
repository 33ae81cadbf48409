/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pair.h - runs two short pieces of code at the same time on two cores, again and again, and counts
 * how often something came out that must not.
 *
 * Each round: `before` by one thread alone; then both sides, from the same moment on but for a few
 * nanoseconds that differ from round to round; then `forbidden`, by one thread alone. The number of
 * rounds is what bounds a loop, never time. With one core nothing can be seen, which is said.
 */
#ifndef ABAFT_TESTS_LITMUS_PAIR_H
#define ABAFT_TESTS_LITMUS_PAIR_H

#include <stdbool.h>
#include <stdint.h>

struct pair {
	const char *name;
	void (*before)(void *arg);
	void (*side[2])(void *arg);
	bool (*forbidden)(void *arg);
	void *arg;
	uint64_t rounds;
};

/* How many rounds came out as they must not. Aborts if there are no threads to be had. */
uint64_t pair_run(const struct pair *pair);

#endif
