/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0) */
/*
 * softirq.bpf.c - what softirqs take of the CPUs on which workers may run.
 *
 * control/watchers.c loads it, and puts these CPUs into `softirqs`; others are not counted.
 * Softirqs of one CPU do not interrupt each other, so each entry has one writer. Needs BTF and the
 * two tracepoints.
 */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include <abaft/telemetry.h>

#define VECTORS (sizeof(struct softirqs) / sizeof(struct softirq_stat))

/* As many entries as CPUs: its loader says how many. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1);
	__type(key, __u32); /* CPU */
	__type(value, struct softirqs);
} softirqs SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} softirq_start SEC(".maps");

SEC("tp_btf/softirq_entry")
int BPF_PROG(softirq_entry, unsigned int vector)
{
	__u32 zero = 0;
	__u64 *start_ns = bpf_map_lookup_elem(&softirq_start, &zero);

	if (start_ns)
		*start_ns = bpf_ktime_get_ns();
	return 0;
}

SEC("tp_btf/softirq_exit")
int BPF_PROG(softirq_exit, unsigned int vector)
{
	__u32 zero = 0, cpu = bpf_get_smp_processor_id();
	__u64 *start_ns = bpf_map_lookup_elem(&softirq_start, &zero);
	struct softirqs *of = bpf_map_lookup_elem(&softirqs, &cpu);
	struct softirq_stat *stat;

	/* 0: it began before this program was there. */
	if (!start_ns || !*start_ns || !of || vector >= VECTORS)
		return 0;
	stat = (struct softirq_stat *)of + vector;
	stat->count++;
	stat->ns += bpf_ktime_get_ns() - *start_ns;
	return 0;
}

char _license[] SEC("license") = "Dual BSD/GPL";
