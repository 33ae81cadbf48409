/* SPDX-License-Identifier: Apache-2.0 */
/* datagram.c - see datagram.h. RFC 791, 768 and 1071, by the letter. */
#include "tests/sim/world/datagram.h"

#include <string.h>

#define ETHERNET 14
#define IPV4	 20
#define UDP	 8

static uint32_t be16(const uint8_t *at)
{
	return (uint32_t)(at[0] << 8 | at[1]);
}

static uint32_t be32(const uint8_t *at)
{
	return be16(at) << 16 | be16(at + 2);
}

static void put16(uint8_t *at, uint32_t value)
{
	at[0] = (uint8_t)(value >> 8);
	at[1] = (uint8_t)value;
}

static void put32(uint8_t *at, uint32_t value)
{
	put16(at, value >> 16);
	put16(at + 2, value);
}

/* RFC 1071's sum of bytes as they stand in memory: of even length but for the last piece. */
static uint64_t sum_bytes(uint64_t sum, const uint8_t *bytes, uint32_t count)
{
	uint32_t word = 0;

	for (; count >= 4; count -= 4, bytes += 4) {
		memcpy(&word, bytes, 4);
		sum += word;
	}
	word = 0;
	memcpy(&word, bytes, count);
	return sum + word;
}

/* Its complement in 16 bits: 0 over what is whole. */
static uint16_t sum_end(uint64_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

/* The UDP header and payload at `udp`, with the pseudo header of the addresses at `ip` + 12. */
static uint16_t sum_udp(const uint8_t *ip, const uint8_t *udp, uint32_t bytes)
{
	uint8_t pseudo[4] = {0, 17, (uint8_t)(bytes >> 8), (uint8_t)bytes};

	return sum_end(sum_bytes(sum_bytes(sum_bytes(0, ip + 12, 8), pseudo, 4), udp, bytes));
}

void datagram_wrap(struct net_packet *packet, uint32_t payload_bytes)
{
	static const uint8_t ethernet[ETHERNET] = {2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0};
	uint8_t *ip = packet->frame + ETHERNET, *udp = ip + IPV4;
	uint32_t udp_bytes = UDP + payload_bytes;
	uint16_t sum;

	memcpy(packet->frame, ethernet, ETHERNET);
	memset(ip, 0, IPV4 + UDP);
	ip[0] = 0x45;
	put16(ip + 2, IPV4 + udp_bytes);
	ip[8] = 64;
	ip[9] = 17;
	put32(ip + 12, packet->from);
	put32(ip + 16, packet->to);
	sum = sum_end(sum_bytes(0, ip, IPV4));
	memcpy(ip + 10, &sum, 2);
	put16(udp, packet->from_port);
	put16(udp + 2, packet->to_port);
	put16(udp + 4, udp_bytes);
	sum = sum_udp(ip, udp, udp_bytes);
	sum = sum ? sum : 0xffff;
	memcpy(udp + 6, &sum, 2);
	packet->payload = NET_HEADERS;
	packet->payload_bytes = payload_bytes;
	packet->frame_bytes = NET_HEADERS + payload_bytes;
}

bool datagram_is_plain(const struct net_packet *packet)
{
	return packet->frame_bytes >= NET_HEADERS && be16(packet->frame + 12) == 0x0800;
}

bool datagram_read(struct net_packet *packet)
{
	const uint8_t *ip = packet->frame + ETHERNET, *udp;
	uint32_t left = packet->frame_bytes, header, total, length;

	if (!datagram_is_plain(packet) || ip[0] >> 4 != 4)
		return false;
	left -= ETHERNET;
	header = (ip[0] & 15u) * 4;
	total = be16(ip + 2);
	if (header < IPV4 || total < header + UDP || total > left || ip[9] != 17 ||
	    be16(ip + 6) & 0x3fff || sum_end(sum_bytes(0, ip, header)))
		return false;
	udp = ip + header;
	length = be16(udp + 4);
	if (length < UDP || length > total - header || (be16(udp + 6) && sum_udp(ip, udp, length)))
		return false;
	packet->from = be32(ip + 12);
	packet->to = be32(ip + 16);
	packet->from_port = (uint16_t)be16(udp);
	packet->to_port = (uint16_t)be16(udp + 2);
	packet->payload = ETHERNET + header + UDP;
	packet->payload_bytes = length - UDP;
	return true;
}
