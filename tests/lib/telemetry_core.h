/* SPDX-License-Identifier: Apache-2.0 */
/*
 * telemetry_core.h - what always holds between the numbers that a worker's core counts, whoever
 * calls it: between results by operation and status, and what it counts for the same reason.
 */
#ifndef ABAFT_TESTS_TELEMETRY_CORE_H
#define ABAFT_TESTS_TELEMETRY_CORE_H

#include <stdbool.h>

#include "tests/lib/telemetry_memory.h"

#define TELEMETRY_WRONG_BYTES 160

struct node;

/* Between two calls of the core. True: something is wrong, and `why` (TELEMETRY_WRONG_BYTES) says
 * what. Requests that a worker refused for a full hand-over ring are the worker's to count. */
bool telemetry_core_wrong(const struct telemetry_memory *memory, const struct node *node,
			  char *why);

#endif
