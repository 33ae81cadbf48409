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
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct steer_bytes);
} steer_bytes SEC(".maps");

/*
 * Anybody can write any tenant into a header, so there is room for so many; who has not been heard
 * of for longest makes room, and takes what was counted of it along.
 */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_PERCPU_HASH);
	__uint(max_entries, STEER_TENANTS_MAX);
	__type(key, __u32);
	__type(value, struct tenant_counter);
} steer_tenants SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct steer_rules);
} steer_rules SEC(".maps");

_Static_assert(sizeof(struct steer_counters) == STEER_VERDICTS * sizeof(__u64), "one for each");
_Static_assert(sizeof(struct steer_bytes) == STEER_VERDICTS * sizeof(__u64), "one for each");

volatile int refcnt = 1;
__uint(xsk_prog_version, 1) SEC("xdp_metadata");

/* By the verdict's place, which is its counter's: no branch for each. */
static __always_inline void count(struct steer_counters *counters, struct steer_bytes *sizes,
				  enum steer_verdict verdict, __u64 bytes)
{
	if (verdict >= STEER_VERDICTS) /* for the verifier */
		return;
	((__u64 *)counters)[verdict]++;
	((__u64 *)sizes)[verdict] += bytes;
}

/* Where the kernel has no room for one tenant more, the frame is not counted by tenant. */
static __always_inline void count_tenant(__u32 tenant, __u64 bytes)
{
	struct tenant_counter *counter = bpf_map_lookup_elem(&steer_tenants, &tenant);
	struct tenant_counter first = {.packets = 1, .bytes = bytes};

	if (counter) {
		counter->packets++;
		counter->bytes += bytes;
		return;
	}
	/* Another CPU may have come first: this sets our CPU's share, which was 0. */
	(void)bpf_map_update_elem(&steer_tenants, &tenant, &first, BPF_ANY);
}

SEC("xdp")
int xsk_def_prog(struct xdp_md *ctx)
{
	const __u8 *start = (const __u8 *)(long)ctx->data;
	const __u8 *end = (const __u8 *)(long)ctx->data_end;
	__u32 zero = 0;
	struct steer_rules *rules = bpf_map_lookup_elem(&steer_rules, &zero);
	struct steer_counters *counters = bpf_map_lookup_elem(&steer_counters, &zero);
	struct steer_bytes *sizes = bpf_map_lookup_elem(&steer_bytes, &zero);
	struct steer_about about;
	enum steer_verdict verdict;
	int action = XDP_PASS;
	__u64 bytes;

	/* libxdp finds the count only among the maps that the program uses. */
	if (!refcnt || !rules || !counters || !sizes)
		return XDP_PASS;
	bytes = (__u64)(end - start);
	verdict = steer_decide(start, end, rules, &about);
	if (verdict == STEER_redirected) {
		/* The flags are what to return if nobody listens on this queue. */
		action = (int)bpf_redirect_map(&xsks_map, ctx->rx_queue_index, XDP_PASS);
		if (action == XDP_REDIRECT)
			count_tenant(about.tenant, bytes);
		else
			verdict = STEER_pass_no_socket;
	} else if (steer_drops(verdict)) {
		action = XDP_DROP;
	}
	count(counters, sizes, verdict, bytes);
	return action;
}

char _license[] SEC("license") = "Dual BSD/GPL";
