/* SPDX-License-Identifier: Apache-2.0 */
/*
 * telemetry.h - the memory that workers count into: BPF maps, mapped into this process and pinned
 * for everybody else.
 *
 * The daemon opens it before its nodes and logs, gives each worker its slots, and closes it when
 * they are gone. Touches: maps, and pins under pin_dir, all of which are gone after
 * telemetry_close(). After kill -9 the pins stay, with the last values; the next start removes
 * them. Main thread only but for telemetry_thread().
 *
 * `why` points to TELEMETRY_WHY_BYTES bytes that get one line for a person.
 */
#ifndef ABAFT_CONTROL_TELEMETRY_H
#define ABAFT_CONTROL_TELEMETRY_H

#include <stdbool.h>
#include <stdint.h>

#include "dataplane/core/telemetry.h"

#define TELEMETRY_WHY_BYTES  512
#define TELEMETRY_PATH_BYTES 192
/* The maps of bpf/telemetry.bpf.c that are mapped: node, engine, four of counters, slow
 * transactions and the histograms. */
#define TELEMETRY_MAPS	     (7 + HISTOGRAM_COUNT)

struct telemetry_bpf; /* the skeleton */

struct telemetry_config {
	const char *pin_dir;
	const char *version, *port, *data_dir;
	uint32_t workers;
	uint32_t node;
	uint32_t udp_port;
	uint64_t slow_ms;
	bool engine; /* there is a storage engine to tell of */
};

/* Filled by telemetry_open(); the caller's memory, which begins as zeros. */
struct telemetry_maps {
	struct telemetry_bpf *bpf;
	struct telemetry worker[ABAFT_WORKERS_MAX];
	void *memory[TELEMETRY_MAPS];
	uint64_t bytes[TELEMETRY_MAPS];
	bool pinned; /* the pins in pin_dir are ours */
	char pin_dir[TELEMETRY_PATH_BYTES];
};

/*
 * Loads, maps and pins the maps. 0; -EBUSY (a running node has its pins there); or another negative
 * errno, when this kernel, or this process's rights, do not do for it. Then nothing is left behind.
 */
__attribute__((warn_unused_result)) int
telemetry_open(struct telemetry_maps *maps, const struct telemetry_config *config, char *why);
void telemetry_close(struct telemetry_maps *maps);
/* Removes what a node that is gone has pinned there, if there is any; telemetry_open() has done so.
 * 0, -EBUSY (it runs, and all stays), or what it cost to find out. */
int telemetry_clean(const char *pin_dir, char *why);
/* A worker's slots, or NULL when nothing is open. */
struct telemetry *telemetry_of(struct telemetry_maps *maps, uint32_t worker);
/* Where to tell of the storage engine, or NULL: there is none, or nothing is open. */
struct telemetry_engine *telemetry_engine_of(struct telemetry_maps *maps);
/* Tells BPF programs that the calling thread is this worker, pinned to `cpu`, or to none (-1). */
void telemetry_thread(const struct telemetry_maps *maps, uint32_t worker, int cpu);
/* The map of these, -1 when nothing is open. */
int telemetry_threads_fd(const struct telemetry_maps *maps);

#endif
