/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0) */
/*
 * udp_drops.bpf.c - which of a node's datagrams the kernel of a client's host drops, and why.
 *
 * `abaft drops` loads it where clients run; no daemon is needed. Counts IPv4 and IPv6 UDP from or
 * to a node's ports, on any interface of any network namespace. A packet is looked at by its IP
 * header, which stands however far the kernel has come with it. Needs BTF and a kernel that gives
 * reasons (Linux 5.17).
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/udp.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include <abaft/telemetry.h>

#include "bpf/kernel.h"

#define REASONS_MAX 512

/* The node's ports: base .. base + count - 1. */
const volatile __u32 port_base = ABAFT_UDP_PORT_DEFAULT;
const volatile __u32 port_count = 1;

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, REASONS_MAX);
	__type(key, __u32);
	__type(value, struct udp_drop);
} udp_drops SEC(".maps");

static __always_inline bool is_node_port(__be16 port)
{
	__u32 above = bpf_ntohs(port) - port_base;

	return above < port_count;
}

/* Where the UDP header begins, NULL if it is not a whole UDP datagram or its first fragment. */
static __always_inline const unsigned char *udp_of(struct sk_buff *skb)
{
	const unsigned char *ip = skb->head + skb->network_header;
	__u8 header[40];

	if (skb->network_header == 0xffff)
		return NULL; /* not set: the kernel has not looked at it yet */
	if (skb->protocol == bpf_htons(ETH_P_IP)) {
		if (bpf_probe_read_kernel(header, 20, ip) || header[0] >> 4 != 4 ||
		    header[9] != IPPROTO_UDP || (header[6] & 0x1f) || header[7])
			return NULL;
		return ip + (header[0] & 0xf) * 4;
	}
	/* Datagrams of abaft have no extension headers. */
	if (skb->protocol != bpf_htons(ETH_P_IPV6) || bpf_probe_read_kernel(header, 40, ip) ||
	    header[0] >> 4 != 6 || header[6] != IPPROTO_UDP)
		return NULL;
	return ip + 40;
}

SEC("tp_btf/kfree_skb")
int BPF_PROG(kfree_skb, struct sk_buff *skb, void *location, int reason)
{
	const unsigned char *at = udp_of(skb);
	struct udp_drop *drop, none = {0};
	__u32 key = (__u32)reason;
	struct udphdr udp;
	__u32 bytes;

	if (!at || bpf_probe_read_kernel(&udp, sizeof(udp), at) ||
	    !(is_node_port(udp.source) || is_node_port(udp.dest)))
		return 0;
	bytes = bpf_ntohs(udp.len);
	bytes = bytes > sizeof(udp) ? bytes - (__u32)sizeof(udp) : 0;
	drop = bpf_map_lookup_elem(&udp_drops, &key);
	if (!drop) {
		bpf_map_update_elem(&udp_drops, &key, &none, BPF_NOEXIST);
		drop = bpf_map_lookup_elem(&udp_drops, &key);
	}
	if (!drop)
		return 0;
	__sync_fetch_and_add(&drop->packets, 1);
	__sync_fetch_and_add(&drop->bytes, bytes);
	return 0;
}

char _license[] SEC("license") = "Dual BSD/GPL";
