/* SPDX-License-Identifier: Apache-2.0 */
/*
 * drops_advice.c - a table: the kernel's reason, and what it means for a datagram between a client
 * and a node. Only reasons that UDP can meet are here.
 */
#include "tools/telemetry/drops_advice.h"

#include <stddef.h>
#include <string.h>

struct advice {
	const char *reason, *text;
};

static const struct advice advices[] = {
	{"SOCKET_RCVBUFF",
	 "the socket's buffer was full: the client reads too slowly, or answers come in bursts; "
	 "give "
	 "it fewer requests at a time, or a larger SO_RCVBUF, which net.core.rmem_max limits"},
	{"PROTO_MEM", "the kernel's memory for all UDP sockets is used up: raise net.ipv4.udp_mem"},
	{"NO_SOCKET",
	 "nobody listens on that port: the client ended before its answer came, or no node runs "
	 "where the request went"},
	{"SOCKET_CLOSE", "the client closed its socket before it had read these"},
	{"QUEUE_PURGE", "a socket was closed, or an interface taken down, with these in its queue"},
	{"SOCKET_FILTER", "a filter on the socket refused it"},
	{"UDP_CSUM",
	 "a wrong checksum: damaged on the way, or by a network card that should compute it; if "
	 "`ethtool -K INTERFACE rx off tx off` ends it, it is the card"},
	{"SKB_CSUM",
	 "its checksum could not be computed: look at the card's offloads, `ethtool -k`"},
	{"IP_CSUM", "a wrong IP checksum: damaged on the way"},
	{"IP_INHDR", "a malformed IP header: damaged on the way, or not from a node"},
	{"PKT_TOO_SMALL", "shorter than its own lengths say: damaged on the way"},
	{"PKT_TOO_BIG", "larger than the path carries: give the client --packet-bytes"},
	{"NETFILTER_DROP",
	 "a rule of the firewall drops it: `nft list ruleset` or `iptables -L -v -n`"},
	{"IP_RPFILTER",
	 "it came in by another interface than the way back would take: see the routes, and "
	 "net.ipv4.conf.INTERFACE.rp_filter"},
	{"XDP", "an XDP program on the interface drops it: `ip link` names it"},
	{"TC_INGRESS",
	 "a filter of tc drops it on its way in: `tc filter show dev INTERFACE ingress`"},
	{"TC_EGRESS",
	 "a filter of tc drops it on its way out: `tc filter show dev INTERFACE egress`"},
	{"BPF_CGROUP_EGRESS", "a BPF program of the client's cgroup refuses to let it out"},
	{"SECURITY_HOOK", "a security module (SELinux, AppArmor or the like) refuses it"},
	{"QDISC_DROP",
	 "the queue of the interface it goes out by is full: `tc -s qdisc`; send less, or make the "
	 "queue longer"},
	{"QDISC_OVERLIMIT", "the queue of the interface it goes out by is full: `tc -s qdisc`"},
	{"QDISC_CONGESTED",
	 "the queue of the interface it goes out by is congested: `tc -s qdisc`"},
	{"CPU_BACKLOG", "this host's CPUs do not keep up with what comes in: raise "
			"net.core.netdev_max_backlog, or "
			"spread the interface's interrupts"},
	{"FULL_RING", "the interface's ring is full: `ethtool -g INTERFACE`"},
	{"DEV_READY", "the interface is down"},
	{"NOMEM", "this host is out of memory"},
	{"NEIGH_FAILED",
	 "the node's address answers no ARP or ND: is the host up, and in this network?"},
	{"NEIGH_CREATEFAIL", "no more neighbours fit: raise net.ipv4.neigh.default.gc_thresh3"},
	{"NEIGH_QUEUEFULL",
	 "too much was sent before the node's address had answered ARP or ND; the client sends it "
	 "again"},
	{"NEIGH_DEAD",
	 "the node's address is gone from the neighbours while it was being asked for"},
	{"OTHERHOST", "meant for another host's card; seen here by a bridge or a promiscuous card"},
	{"IP_INNOROUTES", "it came in, but no route says where to: is the address this host's?"},
	{"IP_OUTNOROUTES", "there is no route to the node: `ip route get ADDRESS`"},
	{"IP_INADDRERRORS", "addressed to what is no host's address"},
	{"IP_INVALID_SOURCE", "its source is no address of a host"},
	{"IP_LOCAL_SOURCE",
	 "from outside with an address of this host: two hosts share an address?"},
	{"IPV6DISABLED", "IPv6 is switched off on the interface"},
};

const char *drops_advice(const char *reason)
{
	for (size_t i = 0; i < sizeof(advices) / sizeof(advices[0]); i++)
		if (strcmp(advices[i].reason, reason) == 0)
			return advices[i].text;
	return "where in the kernel: `perf record -e skb:kfree_skb -a sleep 10; perf script`";
}
