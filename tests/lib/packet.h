/* SPDX-License-Identifier: Apache-2.0 */
/*
 * packet.h - builds UDP frames by hand for tests, byte for byte from the RFCs.
 *
 * It shares no code with what it tests: checksums are summed the slow way.
 */
#ifndef ABAFT_TESTS_PACKET_H
#define ABAFT_TESTS_PACKET_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include <abaft/wire.h>

#define PACKET_ROOM 2048

struct packet_shape {
	bool ipv6;
	uint32_t vlans;
	uint32_t option_bytes;	  /* IPv4 options, a multiple of 4 up to 40 */
	uint32_t extensions;	  /* IPv6 extension headers: 0, 60, 43, 60, ... */
	uint32_t extension_bytes; /* of each, a multiple of 8; 0: 8 */
	uint16_t from, to;
	uint32_t payload_len;
	const uint8_t *payload; /* NULL: a request's header, zeroes behind it */
};

static inline void packet_be16(uint8_t *p, uint32_t value)
{
	p[0] = (uint8_t)(value >> 8);
	p[1] = (uint8_t)value;
}

/* RFC 1071, by the letter. */
static inline uint16_t packet_sum(const uint8_t *pseudo, uint32_t pseudo_len, const uint8_t *bytes,
				  uint32_t len)
{
	uint32_t sum = 0;

	for (uint32_t i = 0; i < pseudo_len; i++)
		sum += i % 2 ? pseudo[i] : (uint32_t)pseudo[i] << 8;
	for (uint32_t i = 0; i < len; i++) {
		sum += i % 2 ? bytes[i] : (uint32_t)bytes[i] << 8;
		sum = (sum & 0xffff) + (sum >> 16);
	}
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

/* Checksum over pseudo header and upper layer, whose own checksum field counts as it stands. */
static inline uint16_t packet_upper_sum(const uint8_t *ip, uint8_t protocol, const uint8_t *upper,
					uint32_t len)
{
	uint8_t pseudo[40] = {0};

	if (ip[0] >> 4 == 4) {
		memcpy(pseudo, ip + 12, 8);
		pseudo[9] = protocol;
		packet_be16(pseudo + 10, len);
		return packet_sum(pseudo, 12, upper, len);
	}
	memcpy(pseudo, ip + 8, 32);
	packet_be16(pseudo + 34, len);
	pseudo[39] = protocol;
	return packet_sum(pseudo, 40, upper, len);
}

static inline uint32_t packet_ip(const struct packet_shape *shape)
{
	return 14 + 4 * shape->vlans;
}

static inline uint32_t packet_udp(const struct packet_shape *shape)
{
	uint32_t each = shape->extension_bytes ? shape->extension_bytes : 8;

	return packet_ip(shape) +
	       (shape->ipv6 ? 40 + each * shape->extensions : 20 + shape->option_bytes);
}

static inline void packet_request(uint8_t *payload, uint32_t len)
{
	memset(payload, 0, len);
	if (len < sizeof(struct abaft_wire_header))
		return;
	memcpy(payload, "ABFT", 4);
	payload[4] = ABAFT_WIRE_VERSION;
	payload[5] = ABAFT_KIND_REQUEST;
	payload[8] = (uint8_t)len;
	payload[9] = (uint8_t)(len >> 8);
}

static inline void packet_write_ipv4(uint8_t *ip, const struct packet_shape *shape)
{
	uint32_t header = 20 + shape->option_bytes;

	memset(ip, 0, header);
	ip[0] = (uint8_t)(0x40 | header / 4);
	packet_be16(ip + 2, header + 8 + shape->payload_len);
	ip[8] = 64;
	ip[9] = 17;
	memcpy(ip + 12, "\x0a\x01\x02\x03\x0a\x01\x02\x04", 8);
	memset(ip + 20, 1, shape->option_bytes); /* no operation */
	packet_be16(ip + 10, packet_sum(NULL, 0, ip, header));
}

static inline void packet_write_ipv6(uint8_t *ip, const struct packet_shape *shape)
{
	static const uint8_t kinds[] = {0, 60, 43, 60, 60, 60};
	uint32_t each = shape->extension_bytes ? shape->extension_bytes : 8;
	uint8_t *next = ip + 6;

	memset(ip, 0, 40 + each * shape->extensions);
	ip[0] = 0x60;
	packet_be16(ip + 4, each * shape->extensions + 8 + shape->payload_len);
	ip[7] = 64;
	memcpy(ip + 8, "\xfd\x07\0\0\0\0\0\0\0\0\0\0\0\0\0\x02", 16);
	memcpy(ip + 24, "\xfd\x07\0\0\0\0\0\0\0\0\0\0\0\0\0\x01", 16);
	for (uint32_t i = 0; i < shape->extensions; i++) {
		uint8_t *extension = ip + 40 + each * i;

		*next = kinds[i];
		extension[1] = (uint8_t)(each / 8 - 1);
		next = extension;
	}
	*next = 17;
}

/* Fills in the UDP checksum of a frame built by packet_build(), after a change. */
static inline void packet_finish(uint8_t *frame, const struct packet_shape *shape)
{
	uint8_t *udp = frame + packet_udp(shape);
	uint32_t len = 8 + shape->payload_len;
	uint16_t sum;

	packet_be16(udp + 6, 0);
	sum = packet_upper_sum(frame + packet_ip(shape), 17, udp, len);
	packet_be16(udp + 6, sum ? sum : 0xffff);
}

/* Returns the frame's length. */
static inline uint32_t packet_build(uint8_t frame[PACKET_ROOM], const struct packet_shape *shape)
{
	uint32_t ip = packet_ip(shape), udp = packet_udp(shape);

	memset(frame, 0, PACKET_ROOM);
	memcpy(frame, "\x02\0\0\0\0\x01\x02\0\0\0\0\x02", 12);
	for (uint32_t i = 0; i < shape->vlans; i++) {
		packet_be16(frame + 12 + 4 * i, i + 1 < shape->vlans ? 0x88a8 : 0x8100);
		packet_be16(frame + 14 + 4 * i, 100 + i);
	}
	packet_be16(frame + ip - 2, shape->ipv6 ? 0x86dd : 0x0800);
	if (shape->ipv6)
		packet_write_ipv6(frame + ip, shape);
	else
		packet_write_ipv4(frame + ip, shape);
	packet_be16(frame + udp, shape->from);
	packet_be16(frame + udp + 2, shape->to);
	packet_be16(frame + udp + 4, 8 + shape->payload_len);
	if (shape->payload)
		memcpy(frame + udp + 8, shape->payload, shape->payload_len);
	else
		packet_request(frame + udp + 8, shape->payload_len);
	packet_finish(frame, shape);
	return udp + 8 + shape->payload_len;
}

#endif
