/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0) */
/*
 * telemetry.bpf.c - the maps that the data plane writes, and no program.
 *
 * control/telemetry.c loads it, maps the maps' memory into the daemon, gives each worker its slots
 * and pins the maps by their names. BPF_F_MMAPABLE: a worker counts with plain stores. The types
 * are here for their BTF alone, so that bpftool prints names instead of bytes. As many entries as
 * there are workers: control/telemetry.c sets that before it loads, and leaves `engine` out where
 * there is none.
 */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#include <abaft/telemetry.h>

#define WORKERS_MAP(name, slot)                                                                    \
	struct {                                                                                   \
		__uint(type, BPF_MAP_TYPE_ARRAY);                                                  \
		__uint(max_entries, ABAFT_WORKERS_MAX);                                            \
		__uint(map_flags, BPF_F_MMAPABLE);                                                 \
		__type(key, __u32);                                                                \
		__type(value, slot);                                                               \
	} name SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, struct telemetry_node);
} node SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, struct telemetry_engine);
} engine SEC(".maps");

WORKERS_MAP(worker_counters, struct worker_counters)
WORKERS_MAP(node_counters, struct node_counters)
WORKERS_MAP(op_counters, struct op_counters)
WORKERS_MAP(log_counters, struct log_counters)
WORKERS_MAP(slow_txns, struct slow_txns)

#define HISTOGRAM_MAP(name, unit, text) WORKERS_MAP(name, struct histogram)
ABAFT_HISTOGRAMS(HISTOGRAM_MAP)

/* Which threads are workers: for the programs of the kernel's side, which reuse this map. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, ABAFT_WORKERS_MAX);
	__type(key, __u32);
	__type(value, struct worker_thread);
} worker_threads SEC(".maps");

char _license[] SEC("license") = "Dual BSD/GPL";
