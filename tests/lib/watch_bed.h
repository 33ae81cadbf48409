/* SPDX-License-Identifier: Apache-2.0 */
/*
 * watch_bed.h - what the tests of control/watchers.c stand on: a bpf file system of their own, the
 * map of worker threads, and what the pinned histograms hold. Needs root; private to the process,
 * so that nothing is left when it ends, in whatever way.
 */
#ifndef ABAFT_TESTS_WATCH_BED_H
#define ABAFT_TESTS_WATCH_BED_H

#include <stdbool.h>
#include <stdint.h>

#include <abaft/telemetry.h>

#include "control/watchers.h"

#define WATCH_BED_WORKERS 4
#define WATCH_BED_NOTES	  8

struct watch_bed {
	struct watchers watchers;
	int threads_fd;
	char dir[WATCHERS_PATH_BYTES]; /* the bpf file system */
	uint32_t cpus[1024], cpus_count;
	uint32_t notes;
	char note[WATCH_BED_NOTES][512];
};

/* Prints why these tests cannot run here, as TAP, and ends the program; or returns. */
void watch_bed_needs(void);
/* A mount namespace of this process's own, the file system, the map. Fails the test otherwise. */
void watch_bed_make(struct watch_bed *bed);
void watch_bed_remove(struct watch_bed *bed);
/* watchers_start() with the notes kept. */
void watch_bed_start(struct watch_bed *bed);
/* The thread `tid` is that worker; or is none. */
void watch_bed_enter(struct watch_bed *bed, int tid, uint32_t worker, int cpu);
void watch_bed_leave(struct watch_bed *bed, int tid);
/* A pinned map's descriptor, to be closed; negative if there is none. */
int watch_bed_map(const struct watch_bed *bed, const char *name);
/* Of one worker. Fails the test if the map is not pinned. */
struct histogram watch_bed_histogram(const struct watch_bed *bed, const char *name,
				     uint32_t worker);
/* The counts of all workers together. */
uint64_t watch_bed_count(const struct watch_bed *bed, const char *name);
uint64_t watch_bed_now_ns(void);

#endif
