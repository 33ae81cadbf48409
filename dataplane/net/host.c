/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host.c - answers ARP, neighbour solicitations and pings in place.
 *
 * I1. Nothing is answered that does not name one of our own addresses.
 * I2. Nothing is answered that is cut, has options where they change the meaning, or has a wrong
 *     checksum: then it is HOST_NONE and the frame is as it was.
 * I3. An answer is no longer than the question but for a solicitation, whose answer always has 86
 *     bytes: nobody gains by spoofing.
 */
#include "dataplane/net/host.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "dataplane/net/checksum.h"

#define ETHERNET_BYTES	      14
#define VLAN_BYTES	      4
#define VLANS_MAX	      2
#define ARP_BYTES	      28
#define IPV4_BYTES	      20
#define IPV6_BYTES	      40
#define ECHO_BYTES	      8
#define SOLICITATION_BYTES    24
#define ADVERTISEMENT_BYTES   32
#define PROTOCOL_ICMP	      1
#define PROTOCOL_ICMPV6	      58
#define ICMP_ECHO_REQUEST     8
#define ICMPV6_ECHO_REQUEST   128
#define ICMPV6_ECHO_REPLY     129
#define ICMPV6_SOLICITATION   135
#define ICMPV6_ADVERTISEMENT  136
#define ADVERTISE_SOLICITED   0x40
#define ADVERTISE_OVERRIDE    0x20
#define OPTION_TARGET_ADDRESS 2
#define HOPS		      64

int host_add(struct host *host, const char *address)
{
	uint8_t bytes[16];

	if (inet_pton(AF_INET, address, bytes) == 1) {
		if (host->v4_count == HOST_ADDRESSES_MAX)
			return -ENOSPC;
		memcpy(host->v4[host->v4_count++], bytes, 4);
		return 0;
	}
	if (inet_pton(AF_INET6, address, bytes) != 1)
		return -EINVAL;
	if (host->v6_count == HOST_ADDRESSES_MAX)
		return -ENOSPC;
	memcpy(host->v6[host->v6_count++], bytes, 16);
	return 0;
}

static bool is_own(const struct host *host, const uint8_t *address, uint32_t bytes)
{
	uint32_t count = bytes == 4 ? host->v4_count : host->v6_count;

	for (uint32_t i = 0; i < count; i++)
		if (!memcmp(bytes == 4 ? host->v4[i] : host->v6[i], address, bytes))
			return true;
	return false;
}

static uint32_t be16(const uint8_t *p)
{
	return (uint32_t)p[0] << 8 | p[1];
}

/* Both from our MAC address to the asker's. */
static void answer_ethernet(const struct host *host, struct frame *frame)
{
	memcpy(frame->data, frame->data + 6, 6);
	memcpy(frame->data + 6, host->mac, 6);
	frame->flags = 0;
}

static void swap(uint8_t *a, uint8_t *b, uint32_t bytes)
{
	uint8_t other[16];

	memcpy(other, a, bytes);
	memcpy(a, b, bytes);
	memcpy(b, other, bytes);
}

static enum host_result answer_arp(const struct host *host, struct frame *frame, uint32_t at)
{
	static const uint8_t request[8] = {0, 1, 8, 0, 6, 4, 0, 1};
	uint8_t *arp = frame->data + at;
	uint8_t target[4];

	if (frame->len - at < ARP_BYTES || memcmp(arp, request, 8) != 0 ||
	    !is_own(host, arp + 24, 4))
		return HOST_NONE;
	memcpy(target, arp + 24, 4);
	arp[7] = 2;
	memcpy(arp + 18, arp + 8, 10);
	memcpy(arp + 8, host->mac, 6);
	memcpy(arp + 14, target, 4);
	answer_ethernet(host, frame);
	return HOST_ARP;
}

static enum host_result answer_ping(const struct host *host, struct frame *frame, uint32_t at)
{
	uint32_t left = frame->len - at, total;
	uint8_t *ip = frame->data + at, *icmp = ip + IPV4_BYTES;

	if (left < IPV4_BYTES + ECHO_BYTES || ip[0] != 0x45 || ip[9] != PROTOCOL_ICMP ||
	    be16(ip + 6) & 0x3fff || !is_own(host, ip + 16, 4))
		return HOST_NONE;
	total = be16(ip + 2);
	/* Nobody asks from a multicast or broadcast address. */
	if (total < IPV4_BYTES + ECHO_BYTES || total > left || !ip[12] || ip[12] >= 224 ||
	    icmp[0] != ICMP_ECHO_REQUEST || icmp[1] ||
	    checksum_fold(checksum_add(0, ip, IPV4_BYTES)) ||
	    checksum_fold(checksum_add(0, icmp, total - IPV4_BYTES)))
		return HOST_NONE;
	swap(ip + 12, ip + 16, 4);
	ip[8] = HOPS;
	memset(ip + 10, 0, 2);
	checksum_store(ip + 10, checksum_fold(checksum_add(0, ip, IPV4_BYTES)));
	icmp[0] = 0;
	memset(icmp + 2, 0, 2);
	checksum_store(icmp + 2, checksum_fold(checksum_add(0, icmp, total - IPV4_BYTES)));
	frame->len = at + total;
	answer_ethernet(host, frame);
	return HOST_ECHO;
}

static void store_icmpv6_sum(uint8_t *ip, uint32_t bytes)
{
	uint8_t *icmp = ip + IPV6_BYTES;
	uint64_t sum;

	memset(icmp + 2, 0, 2);
	sum = checksum_pseudo(ip + 8, ip + 24, 16, PROTOCOL_ICMPV6, bytes);
	checksum_store(icmp + 2, checksum_fold(checksum_add(sum, icmp, bytes)));
}

static enum host_result answer_ping6(const struct host *host, struct frame *frame, uint32_t at,
				     uint32_t bytes)
{
	uint8_t *ip = frame->data + at;

	if (!is_own(host, ip + 24, 16) || ip[8] == 0xff)
		return HOST_NONE;
	swap(ip + 8, ip + 24, 16);
	ip[7] = HOPS;
	ip[IPV6_BYTES] = ICMPV6_ECHO_REPLY;
	store_icmpv6_sum(ip, bytes);
	frame->len = at + IPV6_BYTES + bytes;
	answer_ethernet(host, frame);
	return HOST_ECHO;
}

/* RFC 4861, 7.1.1 and 7.2.4. */
static enum host_result answer_solicitation(const struct host *host, struct frame *frame,
					    uint32_t at, uint32_t bytes)
{
	static const uint8_t none[16];
	static const uint8_t all_nodes[16] = {0xff, 2, [15] = 1};
	uint8_t *ip = frame->data + at, *icmp = ip + IPV6_BYTES;
	bool probe = !memcmp(ip + 8, none, 16); /* someone tests whether the address is taken */

	if (bytes < SOLICITATION_BYTES || ip[7] != 255 || ip[8] == 0xff ||
	    !is_own(host, icmp + 8, 16) || frame->room < at + IPV6_BYTES + ADVERTISEMENT_BYTES)
		return HOST_NONE;
	memcpy(ip + 24, probe ? all_nodes : ip + 8, 16);
	memcpy(ip + 8, icmp + 8, 16);
	ip[4] = 0;
	ip[5] = ADVERTISEMENT_BYTES;
	icmp[0] = ICMPV6_ADVERTISEMENT;
	memset(icmp + 4, 0, 4);
	icmp[4] = probe ? ADVERTISE_OVERRIDE : ADVERTISE_OVERRIDE | ADVERTISE_SOLICITED;
	icmp[24] = OPTION_TARGET_ADDRESS;
	icmp[25] = 1; /* times 8 bytes */
	memcpy(icmp + 26, host->mac, 6);
	store_icmpv6_sum(ip, ADVERTISEMENT_BYTES);
	frame->len = at + IPV6_BYTES + ADVERTISEMENT_BYTES;
	answer_ethernet(host, frame);
	if (probe) {
		static const uint8_t group[6] = {0x33, 0x33, 0, 0, 0, 1};

		memcpy(frame->data, group, 6);
	}
	return HOST_ND;
}

static enum host_result answer_icmpv6(const struct host *host, struct frame *frame, uint32_t at)
{
	uint32_t left = frame->len - at, bytes;
	uint8_t *ip = frame->data + at, *icmp = ip + IPV6_BYTES;
	uint64_t sum;

	if (left < IPV6_BYTES + ECHO_BYTES || ip[0] >> 4 != 6 || ip[6] != PROTOCOL_ICMPV6)
		return HOST_NONE;
	bytes = be16(ip + 4);
	if (bytes < ECHO_BYTES || bytes > left - IPV6_BYTES || icmp[1])
		return HOST_NONE;
	sum = checksum_pseudo(ip + 8, ip + 24, 16, PROTOCOL_ICMPV6, bytes);
	if (checksum_fold(checksum_add(sum, icmp, bytes)))
		return HOST_NONE;
	if (icmp[0] == ICMPV6_ECHO_REQUEST)
		return answer_ping6(host, frame, at, bytes);
	if (icmp[0] == ICMPV6_SOLICITATION)
		return answer_solicitation(host, frame, at, bytes);
	return HOST_NONE;
}

enum host_result host_answer(const struct host *host, struct frame *frame)
{
	uint32_t at = ETHERNET_BYTES, type;

	if (frame->len < ETHERNET_BYTES || frame->data[6] & 1)
		return HOST_NONE;
	type = be16(frame->data + 12);
	for (int i = 0; i < VLANS_MAX && (type == 0x8100 || type == 0x88a8); i++) {
		if (frame->len - at < VLAN_BYTES)
			return HOST_NONE;
		type = be16(frame->data + at + 2);
		at += VLAN_BYTES;
	}
	if (type == 0x0806)
		return answer_arp(host, frame, at);
	if (type == 0x0800)
		return answer_ping(host, frame, at);
	if (type == 0x86dd)
		return answer_icmpv6(host, frame, at);
	return HOST_NONE;
}
