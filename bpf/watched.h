/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0) */
/*
 * watched.h - whom the programs of the kernel's side watch, and where they put what they see.
 *
 * For log_uring, log_block and sched; control/watchers.c gives all of them the telemetry's map of
 * worker threads, and histograms for as many workers as there are.
 */
#ifndef ABAFT_BPF_WATCHED_H
#define ABAFT_BPF_WATCHED_H

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#include <abaft/limits.h>
#include <abaft/telemetry.h>

#include "bpf/kernel.h"

/* The same as in telemetry.bpf.c, whose map takes its place. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, ABAFT_WORKERS_MAX);
	__type(key, __u32);
	__type(value, struct worker_thread);
} worker_threads SEC(".maps");

#define WATCHED_HISTOGRAM(name)                                                                    \
	struct {                                                                                   \
		__uint(type, BPF_MAP_TYPE_ARRAY);                                                  \
		__uint(max_entries, ABAFT_WORKERS_MAX);                                            \
		__uint(map_flags, BPF_F_MMAPABLE);                                                 \
		__type(key, __u32);                                                                \
		__type(value, struct histogram);                                                   \
	} name SEC(".maps")

HISTOGRAM_INLINE void watched_add(void *histograms, __u32 worker, __u64 number)
{
	struct histogram *histogram = bpf_map_lookup_elem(histograms, &worker);

	if (histogram)
		histogram_add_shared(histogram, number);
}

HISTOGRAM_INLINE struct worker_thread *watched_thread(__u32 tid)
{
	return bpf_map_lookup_elem(&worker_threads, &tid);
}

/*
 * The worker that the running thread works for, itself or as the thread to which io_uring gave
 * what may block: those are named "iou-wrk-" and the thread id of whom they work for. NULL: none.
 */
HISTOGRAM_INLINE struct worker_thread *watched_current(struct task_struct *task)
{
	char name[16] = {0};
	__u32 tid = 0;

	if (!(task->flags & PF_IO_WORKER))
		return watched_thread((__u32)task->pid);
	if (bpf_get_current_comm(name, sizeof(name)) || name[0] != 'i' || name[7] != '-')
		return NULL;
#pragma unroll
	for (int i = 8; i < 15; i++) {
		if (name[i] < '0' || name[i] > '9')
			break;
		tid = tid * 10 + (__u32)(name[i] - '0');
	}
	return watched_thread(tid);
}

#endif
