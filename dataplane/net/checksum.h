/* SPDX-License-Identifier: Apache-2.0 */
/*
 * checksum.h - the Internet checksum (RFC 1071) over pieces of even length, but for the last.
 *
 * Sums are of 16-bit words as they stand in memory, so byte order never matters: what
 * checksum_fold() returns is stored with checksum_store(). Pure, any thread.
 */
#ifndef ABAFT_NET_CHECKSUM_H
#define ABAFT_NET_CHECKSUM_H

#include <stdint.h>
#include <string.h>

/* One's complement: what leaves at the top comes in at the bottom. */
static inline uint64_t checksum_add64(uint64_t sum, const uint8_t *bytes)
{
	uint64_t word;

	memcpy(&word, bytes, 8);
	sum += word;
	return sum + (sum < word);
}

static inline uint64_t checksum_half(uint64_t sum)
{
	return (sum & 0xffffffffu) + (sum >> 32);
}

/* Adds bytes, in four sums that do not wait for each other. `sum` and what is returned are sums of
 * at most 33 bits each, so that many can be added. */
static inline uint64_t checksum_add(uint64_t sum, const uint8_t *bytes, uint32_t n)
{
	uint64_t a = 0, b = 0, c = 0, d = 0, word = 0;

	for (; n >= 32; n -= 32, bytes += 32) {
		a = checksum_add64(a, bytes);
		b = checksum_add64(b, bytes + 8);
		c = checksum_add64(c, bytes + 16);
		d = checksum_add64(d, bytes + 24);
	}
	for (; n >= 8; n -= 8, bytes += 8)
		a = checksum_add64(a, bytes);
	if (n) {
		memcpy(&word, bytes, n);
		b = checksum_add64(b, (const uint8_t *)&word);
	}
	return sum + checksum_half(a) + checksum_half(b) + checksum_half(c) + checksum_half(d);
}

/* Adds a number as a big-endian 16-bit word of the pseudo header. */
static inline uint64_t checksum_add_be16(uint64_t sum, uint32_t value)
{
	return sum + __builtin_bswap16((uint16_t)value);
}

/* The complement of the folded sum: 0 over bytes whose checksum is right. */
static inline uint16_t checksum_fold(uint64_t sum)
{
	sum = (sum & 0xffffffffu) + (sum >> 32);
	sum = (sum & 0xffffffffu) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

static inline void checksum_store(uint8_t *at, uint16_t sum)
{
	memcpy(at, &sum, 2);
}

/* Addresses, protocol and length, as UDP and ICMPv6 sum them; address_bytes is 4 or 16. */
static inline uint64_t checksum_pseudo(const uint8_t *from, const uint8_t *to,
				       uint32_t address_bytes, uint8_t protocol, uint32_t length)
{
	uint64_t sum = checksum_add(0, from, address_bytes);

	sum = checksum_add(sum, to, address_bytes);
	sum = checksum_add_be16(sum, protocol);
	return checksum_add_be16(sum, length);
}

#endif
