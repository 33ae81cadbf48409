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

/*
 * Reading the clock costs a frame more than all else here, so one CPU does it for the first frames
 * of each tick only, and then for each eighth: at 250 ticks a second for every frame up to a
 * quarter of a million a second, and never for more than 1 % of the CPU and an eighth of all.
 */
#define STAMPS	      1024
#define STAMPS_BEYOND 8
struct steer_clock {
	__u64 tick;
	__u32 frames; /* since then */
};
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct steer_clock);
} steer_clock SEC(".maps");

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

/* The time, or 0 for most frames of a flood. */
static __always_inline __u64 look_at_clock(void)
{
	__u32 zero = 0;
	struct steer_clock *clock = bpf_map_lookup_elem(&steer_clock, &zero);
	__u64 tick = bpf_jiffies64();

	if (!clock)
		return 0;
	if (clock->tick != tick) {
		clock->tick = tick;
		clock->frames = 0;
	}
	if (++clock->frames > STAMPS && clock->frames % STAMPS_BEYOND)
		return 0;
	return bpf_ktime_get_ns();
}

/*
 * Puts the time in front of the frame, as metadata, which AF_XDP brings to the worker with it. A
 * frame without a time gets it too, or the worker could take an older frame's out of the buffer:
 * one that found no place in the socket's ring has left its time there.
 *
 * Where the driver has no metadata, or no room before the frame, the frame is handed on without.
 * It is not counted by itself: that the worker measured fewer arrivals than it has requests tells.
 * The metadata are ours alone, whatever was there before.
 */
static __always_inline void stamp(struct xdp_md *ctx)
{
	long there = (long)ctx->data - (long)ctx->data_meta;
	struct steer_meta *meta;

	if (bpf_xdp_adjust_meta(ctx, (int)(there - (long)sizeof(*meta))))
		return;
	meta = (struct steer_meta *)(long)ctx->data_meta;
	if ((void *)(meta + 1) > (void *)(long)ctx->data)
		return;
	meta->arrival_ns = look_at_clock();
	meta->magic = STEER_META_MAGIC;
	meta->reserved = 0;
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
		if (action == XDP_REDIRECT) {
			count_tenant(about.tenant, bytes);
			stamp(ctx);
		} else {
			verdict = STEER_pass_no_socket;
		}
	} else if (steer_drops(verdict)) {
		action = XDP_DROP;
	}
	count(counters, sizes, verdict, bytes);
	return action;
}

char _license[] SEC("license") = "Dual BSD/GPL";
