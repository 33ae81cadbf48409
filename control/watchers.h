/* SPDX-License-Identifier: Apache-2.0 */
/*
 * watchers.h - BPF programs that watch the kernel's side of the workers: what io_uring and the
 * block device take for their logs, who keeps their threads from running, softirqs on their CPUs.
 *
 * The daemon starts them, once it is ready, when the workers' thread ids are in the map
 * `worker_threads`, and stops them at the end. Each is optional: where the kernel lacks what one
 * needs, one line says what is not measured and why, and the rest goes on; nothing here ever fails
 * the daemon. Touches: tracepoints, through links of this process alone, so that the kernel takes
 * the programs off when it dies; and pins under pin_dir, which stay readable then. Main thread
 * only.
 *
 * Each watcher pins its maps by their names (include/abaft/telemetry.h); a map that is not pinned
 * is one whose watcher does not run:
 *   log_uring  uring_write, uring_sync, uring_read: a struct histogram for each worker
 *   log_block  block_write, block_flush, block_read: a struct histogram for each worker
 *   sched      run_delay, preempted: a struct histogram for each worker; thieves
 *   softirq    softirqs: a hash that holds the CPUs of `cpus`, no others; does not run without any
 */
#ifndef ABAFT_CONTROL_WATCHERS_H
#define ABAFT_CONTROL_WATCHERS_H

#include <stdint.h>

#define WATCHERS_COUNT	    4
#define WATCHERS_NOTE_BYTES 256
#define WATCHERS_PATH_BYTES 192

struct bpf_link;
struct bpf_object;

struct watchers_config {
	const char *pin_dir;   /* a folder on bpffs, made by the caller */
	int worker_threads_fd; /* the map, stays the caller's: thread id to struct worker_thread */
	uint32_t workers;      /* how many histograms a map gets */
	const uint32_t *cpus;  /* that are the workers' own; the array stays the caller's */
	uint32_t cpus_count;
	/* Gets one line for people for each watcher that does not run: what is not measured, and
	 * why. Called from within watchers_start(). */
	void (*report)(void *arg, const char *note);
	void *report_arg;
};

#define WATCHERS_PROGRAMS_MAX 8
#define WATCHERS_PINS_MAX     4
/* Filled by watchers_start(), the caller's memory. */
struct watchers {
	struct watcher {
		struct bpf_object *object; /* NULL: does not run */
		struct bpf_link *link[WATCHERS_PROGRAMS_MAX];
		uint32_t links;
		uint32_t pins; /* this many of its maps are pinned */
	} watcher[WATCHERS_COUNT];
	uint32_t running; /* how many watchers do */
	char pin_dir[WATCHERS_PATH_BYTES];
};

/* Loads and attaches what can be, and pins its maps, in the place of any pins of those names. */
void watchers_start(struct watchers *watchers, const struct watchers_config *config);
/* Takes all programs off and removes the pins. Harmless on a zeroed struct, and twice. */
void watchers_stop(struct watchers *watchers);

#endif
