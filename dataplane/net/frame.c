/* SPDX-License-Identifier: Apache-2.0 */
/*
 * frame.c - reads an Ethernet frame down to its UDP payload and turns it round.
 *
 * The port may have no steering program before it, so nothing is taken for granted here.
 *
 * I1. Every byte is read through the cursor: no read lies beyond frame->len.
 * I2. FRAME_OK means: headers + payload_len fit within UDP's length, that within IP's, that within
 *     the frame.
 * I3. An answer goes to a unicast address and a port other than 0, or not at all.
 */
#include "dataplane/net/frame.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "dataplane/net/checksum.h"

#define ETHERNET_BYTES	    14
#define VLAN_BYTES	    4
#define VLANS_MAX	    2
#define IPV4_BYTES	    20
#define IPV6_BYTES	    40
#define EXTENSIONS_MAX	    4
#define EXTENSION_BYTES_MAX 256
#define UDP_BYTES	    8
#define PROTOCOL_UDP	    17
#define HOPS		    64

struct cursor {
	const uint8_t *data;
	uint32_t len;
	uint32_t at;
};

/* The next n bytes, or NULL if the frame ends before. */
static const uint8_t *take(struct cursor *cursor, uint32_t n)
{
	const uint8_t *p = cursor->data + cursor->at;

	if (n > cursor->len - cursor->at)
		return NULL;
	cursor->at += n;
	return p;
}

static uint16_t be16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static void store_be16(uint8_t *p, uint32_t value)
{
	p[0] = (uint8_t)(value >> 8);
	p[1] = (uint8_t)value;
}

/* EtherType behind the tags, 0 if there is none. */
static uint16_t read_ethernet(struct cursor *cursor)
{
	const uint8_t *p = take(cursor, ETHERNET_BYTES);
	uint16_t type;

	if (!p)
		return 0;
	type = be16(p + 12);
	for (int i = 0; i < VLANS_MAX && (type == 0x8100 || type == 0x88a8); i++) {
		p = take(cursor, VLAN_BYTES);
		if (!p)
			return 0;
		type = be16(p + 2);
	}
	return type;
}

/* `left`: bytes that the IP header grants to UDP. */
static enum frame_result read_ipv4(struct cursor *cursor, struct frame_view *view, bool trust,
				   uint32_t *left)
{
	const uint8_t *ip = take(cursor, IPV4_BYTES);
	uint32_t header, total;

	if (!ip)
		return FRAME_CUT;
	header = (ip[0] & 15u) * 4;
	total = be16(ip + 2);
	if (ip[0] >> 4 != 4)
		return FRAME_NOT_OURS;
	if (header < IPV4_BYTES || total < header || !take(cursor, header - IPV4_BYTES))
		return FRAME_CUT;
	if (ip[9] != PROTOCOL_UDP || be16(ip + 6) & 0x3fff)
		return FRAME_NOT_OURS;
	if (view->ip + total > cursor->len)
		return FRAME_CUT;
	if (!trust && checksum_fold(checksum_add(0, ip, header)))
		return FRAME_BAD_CHECKSUM;
	/* 0.x, multicast and broadcast neither ask nor are asked (I3). */
	if (!ip[12] || ip[12] >= 224 || !ip[16] || ip[16] >= 224)
		return FRAME_NOT_OURS;
	view->address_bytes = 4;
	memcpy(view->address_from, ip + 12, 4);
	memcpy(view->address_to, ip + 16, 4);
	*left = total - header;
	return FRAME_OK;
}

static enum frame_result read_ipv6(struct cursor *cursor, struct frame_view *view, uint32_t *left)
{
	static const uint8_t none[16];
	const uint8_t *ip = take(cursor, IPV6_BYTES);
	uint8_t next;

	if (!ip)
		return FRAME_CUT;
	if (ip[0] >> 4 != 6)
		return FRAME_NOT_OURS;
	next = ip[6];
	for (int i = 0; i < EXTENSIONS_MAX && (!next || next == 43 || next == 60); i++) {
		const uint8_t *extension = take(cursor, 8);

		if (!extension)
			return FRAME_CUT;
		if (extension[1] >= EXTENSION_BYTES_MAX / 8)
			return FRAME_NOT_OURS;
		if (!take(cursor, extension[1] * 8u))
			return FRAME_CUT;
		next = extension[0];
	}
	if (next != PROTOCOL_UDP)
		return FRAME_NOT_OURS;
	if (view->ip + IPV6_BYTES + (uint32_t)be16(ip + 4) > cursor->len ||
	    view->ip + IPV6_BYTES + (uint32_t)be16(ip + 4) < cursor->at)
		return FRAME_CUT;
	if (ip[8] == 0xff || ip[24] == 0xff || !memcmp(ip + 8, none, 16) ||
	    !memcmp(ip + 24, none, 16))
		return FRAME_NOT_OURS;
	view->address_bytes = 16;
	memcpy(view->address_from, ip + 8, 16);
	memcpy(view->address_to, ip + 24, 16);
	*left = view->ip + IPV6_BYTES + (uint32_t)be16(ip + 4) - cursor->at;
	return FRAME_OK;
}

static enum frame_result read_udp(struct cursor *cursor, struct frame_view *view, bool trust,
				  uint32_t left)
{
	const uint8_t *udp = take(cursor, UDP_BYTES);
	uint32_t length;
	uint64_t sum;

	if (!udp || left < UDP_BYTES)
		return FRAME_CUT;
	length = be16(udp + 4);
	if (length < UDP_BYTES || length > left)
		return FRAME_CUT;
	view->payload = (uint16_t)cursor->at;
	view->payload_len = (uint16_t)(length - UDP_BYTES);
	view->port_from = be16(udp);
	view->port_to = be16(udp + 2);
	if (!view->port_from)
		return FRAME_NOT_OURS;
	if (trust)
		return FRAME_OK;
	/* IPv4 allows not to sum; IPv6 has no header checksum that would do instead. */
	if (!udp[6] && !udp[7])
		return view->address_bytes == 4 ? FRAME_OK : FRAME_BAD_CHECKSUM;
	sum = checksum_pseudo(view->address_from, view->address_to, view->address_bytes,
			      PROTOCOL_UDP, length);
	return checksum_fold(checksum_add(sum, udp, length)) ? FRAME_BAD_CHECKSUM : FRAME_OK;
}

enum frame_result frame_parse(const struct frame *frame, bool trust, struct frame_view *view)
{
	struct cursor cursor = {.data = frame->data, .len = frame->len};
	enum frame_result result;
	uint32_t left = 0;
	uint16_t type;

	/* Offsets have 16 bits. */
	if (frame->len > UINT16_MAX)
		return FRAME_CUT;
	trust = trust || frame->flags & FRAME_CHECKSUM_GOOD;
	type = read_ethernet(&cursor);
	view->ip = (uint16_t)cursor.at;
	if (type == 0x0800)
		result = read_ipv4(&cursor, view, trust, &left);
	else if (type == 0x86dd)
		result = read_ipv6(&cursor, view, &left);
	else
		return type ? FRAME_NOT_OURS : FRAME_CUT;
	if (result)
		return result;
	if (frame->flags & FRAME_CHECKSUM_BAD)
		return FRAME_BAD_CHECKSUM;
	view->udp = (uint16_t)cursor.at;
	return read_udp(&cursor, view, trust, left);
}

uint32_t frame_reply_room(const struct frame *frame, const struct frame_view *view)
{
	return frame->room > view->payload ? frame->room - view->payload : 0;
}

static void write_ipv4(uint8_t *ip, const struct frame_view *view, uint32_t udp_bytes)
{
	memset(ip, 0, IPV4_BYTES);
	ip[0] = 0x45;
	store_be16(ip + 2, IPV4_BYTES + udp_bytes);
	ip[6] = 0x40; /* don't fragment; then no identification is needed */
	ip[8] = HOPS;
	ip[9] = PROTOCOL_UDP;
	memcpy(ip + 12, view->address_from, 4);
	memcpy(ip + 16, view->address_to, 4);
	checksum_store(ip + 10, checksum_fold(checksum_add(0, ip, IPV4_BYTES)));
}

static void write_ipv6(uint8_t *ip, const struct frame_view *view, uint32_t udp_bytes)
{
	memset(ip, 0, IPV6_BYTES);
	ip[0] = 0x60;
	store_be16(ip + 4, udp_bytes);
	ip[6] = PROTOCOL_UDP;
	ip[7] = HOPS;
	memcpy(ip + 8, view->address_from, 16);
	memcpy(ip + 24, view->address_to, 16);
}

static void write_udp(uint8_t *udp, const struct frame_view *view, uint32_t udp_bytes)
{
	uint16_t sum;

	store_be16(udp, view->port_from);
	store_be16(udp + 2, view->port_to);
	store_be16(udp + 4, udp_bytes);
	store_be16(udp + 6, 0);
	sum = checksum_fold(
		checksum_add(checksum_pseudo(view->address_from, view->address_to,
					     view->address_bytes, PROTOCOL_UDP, udp_bytes),
			     udp, udp_bytes));
	/* 0 would mean that there is none. */
	checksum_store(udp + 6, sum ? sum : 0xffff);
}

/* The view of the answer: from and to change places. */
static void swap_view(struct frame_view *view)
{
	uint8_t address[16];
	uint16_t port = view->port_from;

	memcpy(address, view->address_from, sizeof(address));
	memcpy(view->address_from, view->address_to, sizeof(address));
	memcpy(view->address_to, address, sizeof(address));
	view->port_from = view->port_to;
	view->port_to = port;
}

int frame_reply(struct frame *frame, struct frame_view *view, uint16_t payload_len)
{
	uint32_t ip_bytes = view->address_bytes == 4 ? IPV4_BYTES : IPV6_BYTES;
	uint32_t udp = view->ip + ip_bytes, udp_bytes = UDP_BYTES + (uint32_t)payload_len;
	uint8_t mac[6];

	if (payload_len > frame_reply_room(frame, view) || udp_bytes + ip_bytes > UINT16_MAX)
		return -EMSGSIZE;
	if (udp != view->udp)
		memmove(frame->data + udp + UDP_BYTES, frame->data + view->payload, payload_len);
	swap_view(view);
	view->udp = (uint16_t)udp;
	view->payload = (uint16_t)(udp + UDP_BYTES);
	view->payload_len = payload_len;
	memcpy(mac, frame->data, 6);
	memcpy(frame->data, frame->data + 6, 6);
	memcpy(frame->data + 6, mac, 6);
	if (view->address_bytes == 4)
		write_ipv4(frame->data + view->ip, view, udp_bytes);
	else
		write_ipv6(frame->data + view->ip, view, udp_bytes);
	write_udp(frame->data + udp, view, udp_bytes);
	frame->len = udp + udp_bytes;
	frame->flags = 0;
	return 0;
}
