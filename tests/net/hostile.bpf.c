/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hostile.bpf.c - a bad cable between two interfaces, for tests/lib/cable.py: what comes in on one
 * goes out on the other, and UDP packets may be dropped, doubled, corrupted, or held back.
 *
 * A program cannot keep a packet. What is to be late goes to a TAP interface, where cable.py waits
 * and then writes it back; what comes back on one goes on to where it was bound.
 *
 * Whether something happens to a packet is drawn for each fault alone, and counted. Corruption
 * changes one byte behind the Ethernet header: every such change is one that checksums of 16 bits
 * find, so a receiver that takes such a packet has not looked.
 */
#include <linux/bpf.h>
#include <linux/pkt_cls.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#define ETHERNET_BYTES 14
#define FRAME_BYTES    2048 /* corruption reaches so far */

/* Chances are in 65536ths. */
struct cable_rules {
	__u32 from; /* interfaces, by index */
	__u32 to;
	__u32 reordered; /* TAP: a moment */
	__u32 delayed;	 /* TAP: longer */
	__u32 drop;
	__u32 duplicate;
	__u32 corrupt;
	__u32 reorder;
	__u32 delay;
	__s32 tags; /* 802.1Q tags to put on (positive) or to take off (negative) */
};

struct cable_counters {
	__u64 frames;
	__u64 udp;
	__u64 dropped;
	__u64 doubled;
	__u64 corrupted;
	__u64 reordered;
	__u64 delayed;
	__u64 fragments;
	__u64 tagged; /* bore an 802.1Q tag when it came */
	__u64 frame_bytes_max;
};

/* Both: 0 towards the node, 1 towards the client. Counters are shared by CPUs: added atomically. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 2);
	__type(key, __u32);
	__type(value, struct cable_rules);
} cable_rules SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 2);
	__type(key, __u32);
	__type(value, struct cable_counters);
} cable_counters SEC(".maps");

static __always_inline int happens(__u32 chance)
{
	return (bpf_get_prandom_u32() & 0xffff) < chance;
}

static __always_inline void count(__u64 *counter)
{
	__sync_fetch_and_add(counter, 1);
}

/* 17 if it is UDP or a fragment of it, over IPv4 or IPv6 without other extension headers. */
static __always_inline int is_udp(struct __sk_buff *skb, struct cable_counters *counters)
{
	__u8 ip[40];

	if (bpf_skb_load_bytes(skb, ETHERNET_BYTES, ip, 20) < 0)
		return 0;
	if (skb->protocol == bpf_htons(0x0800)) {
		if (((ip[6] & 0x3f) | ip[7]) != 0)
			count(&counters->fragments);
		return ip[9] == 17;
	}
	if (skb->protocol != bpf_htons(0x86dd))
		return 0;
	if (ip[6] == 44)
		count(&counters->fragments);
	return ip[6] == 17 || ip[6] == 44;
}

static __always_inline void corrupt(struct __sk_buff *skb)
{
	__u32 at = ETHERNET_BYTES, len = skb->len;
	__u8 byte;

	if (len <= ETHERNET_BYTES)
		return;
	at += bpf_get_prandom_u32() % (len - ETHERNET_BYTES);
	if (at >= FRAME_BYTES || bpf_skb_load_bytes(skb, at, &byte, 1) < 0)
		return;
	byte ^= 1 + bpf_get_prandom_u32() % 255;
	bpf_skb_store_bytes(skb, at, &byte, 1, 0);
}

static __always_inline int tag(struct __sk_buff *skb, __s32 tags)
{
	for (int i = 0; i < 2; i++) {
		if (tags > i)
			bpf_skb_vlan_push(skb, bpf_htons(0x8100), 100 + i);
		if (tags < -i)
			bpf_skb_vlan_pop(skb);
	}
	return 0;
}

static __always_inline int carry(struct __sk_buff *skb, __u32 way)
{
	struct cable_rules *rules = bpf_map_lookup_elem(&cable_rules, &way);
	struct cable_counters *counters = bpf_map_lookup_elem(&cable_counters, &way);

	if (!rules || !counters)
		return TC_ACT_SHOT;
	count(&counters->frames);
	/* Two CPUs may race for the largest: it is seen again. */
	if (skb->len > counters->frame_bytes_max)
		counters->frame_bytes_max = skb->len;
	if (skb->vlan_present)
		count(&counters->tagged);
	tag(skb, rules->tags);
	if (rules->tags == 0 && is_udp(skb, counters)) {
		count(&counters->udp);
		if (happens(rules->drop)) {
			count(&counters->dropped);
			return TC_ACT_SHOT;
		}
		if (happens(rules->duplicate)) {
			count(&counters->doubled);
			bpf_clone_redirect(skb, rules->to, 0);
		}
		if (happens(rules->corrupt)) {
			count(&counters->corrupted);
			corrupt(skb);
		}
		if (happens(rules->delay)) {
			count(&counters->delayed);
			return (int)bpf_redirect(rules->delayed, 0);
		}
		if (happens(rules->reorder)) {
			count(&counters->reordered);
			return (int)bpf_redirect(rules->reordered, 0);
		}
	}
	return (int)bpf_redirect(rules->to, 0);
}

SEC("tc")
int to_node(struct __sk_buff *skb)
{
	return carry(skb, 0);
}

SEC("tc")
int to_client(struct __sk_buff *skb)
{
	return carry(skb, 1);
}

/* On a TAP, what waited long enough. */
static __always_inline int release(__u32 way)
{
	struct cable_rules *rules = bpf_map_lookup_elem(&cable_rules, &way);

	return rules ? (int)bpf_redirect(rules->to, 0) : TC_ACT_SHOT;
}

SEC("tc")
int released_to_node(struct __sk_buff *skb)
{
	return release(0);
}

SEC("tc")
int released_to_client(struct __sk_buff *skb)
{
	return release(1);
}

char _license[] SEC("license") = "Apache-2.0";
