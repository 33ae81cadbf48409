/* SPDX-License-Identifier: Apache-2.0 */
/* now.h - the time, as an argument: neither the core nor the log reads a clock. */
#ifndef ABAFT_CORE_NOW_H
#define ABAFT_CORE_NOW_H

#include <stdint.h>

/* What the real or simulated world says when a pass begins. */
struct now {
	uint64_t wall_us; /* UTC, microseconds since 1970: ids and versions, ages of segments */
	uint64_t mono_us; /* never goes back: deadlines */
};

#endif
