/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0) */
/*
 * steer.bpf.c - XDP on the node's interface: ours to the data plane, the rest to the kernel.
 *
 * control/steer.c loads, configures, pins and attaches it before any AF_XDP socket exists: until a
 * data plane listens on the packet's queue everything passes.
 *
 * The sockets come from DPDK's AF_XDP driver, which leaves the program to libxdp. libxdp looks
 * whether its own program is on the interface already; if so it only adds its socket to that
 * program's map. So this program bears the names libxdp looks for: the program xsk_def_prog, the
 * map xsks_map, the BTF variable xsk_prog_version, and a count of users, refcnt, alone in .data,
 * of an object named xsk_def_*. The count starts at 1, for the daemon, so that libxdp never thinks
 * itself the last user and takes the program away. There is no moment at which a program that
 * redirects everything stands on the interface, and it works alike in native mode, in generic mode
 * (loopback) and with many queues.
 */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#include "bpf/decide.h"

struct {
	__uint(type, BPF_MAP_TYPE_XSKMAP);
	__uint(max_entries, 64);
	__type(key, __u32);
	__type(value, __u32);
} xsks_map SEC(".maps");

/* Generic XDP may run one queue on several CPUs at a time: a count for each CPU. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct steer_counters);
} steer_counters SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct steer_rules);
} steer_rules SEC(".maps");

volatile int refcnt = 1;
__uint(xsk_prog_version, 1) SEC("xdp_metadata");

SEC("xdp")
int xsk_def_prog(struct xdp_md *ctx)
{
	const __u8 *start = (const __u8 *)(long)ctx->data;
	const __u8 *end = (const __u8 *)(long)ctx->data_end;
	__u32 zero = 0;
	struct steer_rules *rules = bpf_map_lookup_elem(&steer_rules, &zero);
	struct steer_counters *counters = bpf_map_lookup_elem(&steer_counters, &zero);
	enum steer_verdict verdict;
	int action = XDP_PASS;

	/* libxdp finds the count only among the maps that the program uses. */
	if (!refcnt || !rules || !counters)
		return XDP_PASS;
	verdict = steer_decide(start, end, rules);
	if (verdict == STEER_redirected) {
		/* The flags are what to return if nobody listens on this queue. */
		action = (int)bpf_redirect_map(&xsks_map, ctx->rx_queue_index, XDP_PASS);
		if (action != XDP_REDIRECT)
			verdict = STEER_pass_no_socket;
	} else if (steer_drops(verdict)) {
		action = XDP_DROP;
	}
	switch (verdict) {
#define STEER_COUNT(name, text)                                                                    \
	case STEER_##name:                                                                         \
		counters->name++;                                                                  \
		break;
		ABAFT_STEER_COUNTERS(STEER_COUNT)
#undef STEER_COUNT
	default:
		break;
	}
	return action;
}

char _license[] SEC("license") = "Dual BSD/GPL";
