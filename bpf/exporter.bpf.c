/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0) */
/*
 * exporter.bpf.c - a node's pinned maps as Cloudflare's ebpf_exporter can read them.
 *
 * ebpf_exporter loads an object, attaches its programs, and reads maps of that object whose values
 * are 64-bit numbers; keys become labels. A node's maps hold structs, and are the node's. So this
 * object names them as pinned, whereupon libbpf takes the node's instead of making its own, and
 * copies their numbers into maps of the form wanted, whenever somebody calls bpf(): ebpf_exporter
 * does when it is about to read. At most once in COPY_EVERY_NS, so that others' calls cost nothing
 * worth mentioning. The node's maps are only read.
 *
 * Not built with the rest: a reused map must have as many entries as the node has workers, so
 * tools/ebpf_exporter/build compiles it for one node, with -DWORKERS=N.
 */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#include <abaft/telemetry.h>

#ifndef WORKERS
#define WORKERS 1
#endif
#define COPY_EVERY_NS 50000000ull
/* Groups of buckets: each is a power of two. The first has the numbers below 2^HISTOGRAM_BITS. */
#define GROUP_SIZE    (1u << HISTOGRAM_BITS)
#define GROUPS	      (HISTOGRAM_SIZE / GROUP_SIZE)
/* ebpf_exporter's key of a group is the power of two that bounds it; that of the sum comes next. */
#define GROUP_KEY(g)  ((g) + HISTOGRAM_BITS)
#define SUM_KEY	      GROUP_KEY(GROUPS)

#define PINNED_MAP(name, slot)                                                                     \
	struct {                                                                                   \
		__uint(type, BPF_MAP_TYPE_ARRAY);                                                  \
		__uint(max_entries, WORKERS);                                                      \
		__uint(map_flags, BPF_F_MMAPABLE);                                                 \
		__uint(pinning, LIBBPF_PIN_BY_NAME);                                               \
		__type(key, __u32);                                                                \
		__type(value, slot);                                                               \
	} name SEC(".maps");

PINNED_MAP(worker_counters, struct worker_counters)
PINNED_MAP(node_counters, struct node_counters)
PINNED_MAP(log_counters, struct log_counters)
PINNED_MAP(op_counters, struct op_counters)
#define PINNED_HISTOGRAM(name, unit, text) PINNED_MAP(name, struct histogram)
ABAFT_HISTOGRAMS(PINNED_HISTOGRAM)

/* Which counter, operation or bucket: its place in telemetry.h's list, or a power of two. */
struct flat_key {
	__u32 worker;
	__u32 number;
};

#define FLAT_MAP(name, entries)                                                                    \
	struct {                                                                                   \
		__uint(type, BPF_MAP_TYPE_HASH);                                                   \
		__uint(max_entries, (entries)*WORKERS);                                            \
		__type(key, struct flat_key);                                                      \
		__type(value, __u64);                                                              \
	} name SEC(".maps");

FLAT_MAP(abaft_worker_total, 128)
FLAT_MAP(abaft_core_total, 256)
FLAT_MAP(abaft_log_total, 64)
FLAT_MAP(abaft_op_requests_total, 64)
FLAT_MAP(abaft_op_bytes_total, 64)
#define FLAT_HISTOGRAM(name, unit, text) FLAT_MAP(abaft_##name, 64)
ABAFT_HISTOGRAMS(FLAT_HISTOGRAM)

static __u64 copied_ns;

static __always_inline void put(void *map, __u32 worker, __u32 number, __u64 value)
{
	struct flat_key key = {.worker = worker, .number = number};

	bpf_map_update_elem(map, &key, &value, BPF_ANY);
}

/* ebpf_exporter knows counters only: what may fall is left out. */
#define NOW ", now"
#define IS_GAUGE(text)                                                                             \
	(sizeof(text) > sizeof(NOW) &&                                                             \
	 __builtin_memcmp(&(text)[sizeof(text) - sizeof(NOW)], NOW, sizeof(NOW)) == 0)

#define PUT_COUNTER(name, text)                                                                    \
	if (!IS_GAUGE(text))                                                                       \
		put(to, worker, number, from->name);                                               \
	number++;

static __noinline int copy_worker(void *to, const struct worker_counters *from, __u32 worker)
{
	__u32 number = 0;

	ABAFT_WORKER_COUNTERS(PUT_COUNTER)
	return 0;
}

static __noinline int copy_core(void *to, const struct node_counters *from, __u32 worker)
{
	__u32 number = 0;

	ABAFT_NODE_COUNTERS(PUT_COUNTER)
	return 0;
}

static __noinline int copy_log(void *to, const struct log_counters *from, __u32 worker)
{
	__u32 number = 0;

	ABAFT_LOG_COUNTERS(PUT_COUNTER)
	return 0;
}

#define PUT_OP(name, text)                                                                         \
	put(&abaft_op_requests_total, worker, number, from->name.count);                           \
	put(&abaft_op_bytes_total, worker, number, from->name.bytes);                              \
	number++;

static __noinline int copy_ops(const struct op_counters *from, __u32 worker)
{
	__u32 number = 0;

	ABAFT_OPS(PUT_OP)
	return 0;
}

static __noinline int copy_histogram(void *to, const struct histogram *from, __u32 worker)
{
	for (__u32 group = 0; group < GROUPS; group++) {
		__u64 count = 0;

		for (__u32 i = 0; i < GROUP_SIZE; i++)
			count += from->bucket[group * GROUP_SIZE + i];
		put(to, worker, GROUP_KEY(group), count);
	}
	put(to, worker, SUM_KEY, from->sum);
	return 0;
}

#define COPY_HISTOGRAM(name, unit, text)                                                           \
	histogram = bpf_map_lookup_elem(&name, &worker);                                           \
	if (histogram)                                                                             \
		copy_histogram(&abaft_##name, histogram, worker);

static long copy(__u32 worker, void *unused)
{
	struct worker_counters *counters = bpf_map_lookup_elem(&worker_counters, &worker);
	struct node_counters *core = bpf_map_lookup_elem(&node_counters, &worker);
	struct log_counters *log = bpf_map_lookup_elem(&log_counters, &worker);
	struct op_counters *ops = bpf_map_lookup_elem(&op_counters, &worker);
	struct histogram *histogram;

	if (counters)
		copy_worker(&abaft_worker_total, counters, worker);
	if (core)
		copy_core(&abaft_core_total, core, worker);
	if (log)
		copy_log(&abaft_log_total, log, worker);
	if (ops)
		copy_ops(ops, worker);
	ABAFT_HISTOGRAMS(COPY_HISTOGRAM)
	return 0;
}

SEC("tracepoint/syscalls/sys_enter_bpf")
int copy_numbers(void *ctx)
{
	__u64 now_ns = bpf_ktime_get_ns();

	if (now_ns - copied_ns < COPY_EVERY_NS)
		return 0;
	copied_ns = now_ns;
	bpf_loop(WORKERS, copy, (void *)0, 0);
	return 0;
}

char _license[] SEC("license") = "Dual BSD/GPL";
