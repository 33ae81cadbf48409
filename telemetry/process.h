/* SPDX-License-Identifier: Apache-2.0 */
/*
 * process.h - whether the process that pinned a node's maps still lives. Its pid may be another's
 * by now; a pid and a start time together are not.
 */
#ifndef ABAFT_TELEMETRY_PROCESS_H
#define ABAFT_TELEMETRY_PROCESS_H

#include <stdint.h>

/* When the process was started, field 22 of /proc/PID/stat: clock ticks since boot. 0: there is
 * none, or it is dead and only not waited for yet. Any thread. */
uint64_t process_start(uint32_t pid);

#endif
