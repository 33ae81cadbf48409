/* SPDX-License-Identifier: Apache-2.0 */
/*
 * open_files.h - room for one open file per segment of the logs: each is kept open for reading, so
 * that a cold value costs one read and nothing else.
 *
 * Main thread, before the logs are opened.
 */
#ifndef ABAFT_CONTROL_OPEN_FILES_H
#define ABAFT_CONTROL_OPEN_FILES_H

#include <stdint.h>

/* How many files logs of `log_bytes_max` (0: no bound) may keep open, and all else needs. */
uint64_t open_files_wanted(uint64_t log_bytes_max, uint64_t segment_bytes);
/* Raises RLIMIT_NOFILE to `wanted`, or as near as it is allowed: without privilege to the hard
 * limit, with it to fs.nr_open. Never lowers it. Returns what it is now. */
uint64_t open_files_raise(uint64_t wanted);

#endif
