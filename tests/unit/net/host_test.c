/* SPDX-License-Identifier: Apache-2.0 */
/* host_test.c - questions to a host, built from the RFCs, and what it answers. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "dataplane/net/host.h"
#include "tests/lib/packet.h"

static const uint8_t own_mac[6] = {2, 0, 0, 0, 0, 1};
static const uint8_t their_mac[6] = {2, 0, 0, 0, 0, 2};
static const uint8_t own_ipv4[4] = {10, 1, 2, 4};
static const uint8_t their_ipv4[4] = {10, 1, 2, 3};
static const uint8_t own_ipv6[16] = {0xfd, 7, [15] = 1};
static const uint8_t their_ipv6[16] = {0xfd, 7, [15] = 2};

struct made {
	uint8_t bytes[PACKET_ROOM];
	struct frame frame;
};

static struct host make_host(void)
{
	struct host host = {0};

	memcpy(host.mac, own_mac, 6);
	assert_int_equal(host_add(&host, "192.0.2.9"), 0);
	assert_int_equal(host_add(&host, "10.1.2.4"), 0);
	assert_int_equal(host_add(&host, "fd07::1"), 0);
	return host;
}

/* Ethernet header and tags; returns where the rest begins. */
static uint32_t start(struct made *made, uint32_t type, uint32_t tags)
{
	memset(made, 0, sizeof(*made));
	made->frame.data = made->bytes;
	made->frame.room = PACKET_ROOM;
	memset(made->bytes, 0xff, 6);
	memcpy(made->bytes + 6, their_mac, 6);
	for (uint32_t i = 0; i < tags; i++)
		packet_be16(made->bytes + 12 + 4 * i, 0x8100);
	packet_be16(made->bytes + 12 + 4 * tags, type);
	return 14 + 4 * tags;
}

static void make_arp(struct made *made, uint32_t tags)
{
	uint32_t at = start(made, 0x0806, tags);
	uint8_t *arp = made->bytes + at;

	memcpy(arp, "\0\1\x08\0\6\4\0\1", 8);
	memcpy(arp + 8, their_mac, 6);
	memcpy(arp + 14, their_ipv4, 4);
	memcpy(arp + 24, own_ipv4, 4);
	made->frame.len = at + 28;
}

static void make_ping(struct made *made, uint32_t data)
{
	uint32_t at = start(made, 0x0800, 0);
	uint8_t *ip = made->bytes + at, *icmp = ip + 20;

	ip[0] = 0x45;
	packet_be16(ip + 2, 28 + data);
	ip[8] = 3;
	ip[9] = 1;
	memcpy(ip + 12, their_ipv4, 4);
	memcpy(ip + 16, own_ipv4, 4);
	packet_be16(ip + 10, packet_sum(NULL, 0, ip, 20));
	icmp[0] = 8;
	packet_be16(icmp + 4, 77);
	packet_be16(icmp + 6, 3);
	for (uint32_t i = 0; i < data; i++)
		icmp[8 + i] = (uint8_t)i;
	packet_be16(icmp + 2, packet_sum(NULL, 0, icmp, 8 + data));
	made->frame.len = at + 28 + data;
}

static void finish_icmpv6(struct made *made, uint32_t len)
{
	uint8_t *ip = made->bytes + 14;

	packet_be16(ip + 4, len);
	packet_be16(ip + 42, 0);
	packet_be16(ip + 42, packet_upper_sum(ip, 58, ip + 40, len));
	made->frame.len = 54 + len;
}

static void make_ipv6(struct made *made, uint8_t type, uint8_t hops)
{
	uint8_t *ip = made->bytes + start(made, 0x86dd, 0);

	ip[0] = 0x60;
	ip[6] = 58;
	ip[7] = hops;
	memcpy(ip + 8, their_ipv6, 16);
	memcpy(ip + 24, own_ipv6, 16);
	ip[40] = type;
}

static void make_solicitation(struct made *made)
{
	make_ipv6(made, 135, 255);
	memcpy(made->bytes + 14 + 24, "\xff\x02\0\0\0\0\0\0\0\0\0\1\xff\0\0\1", 16);
	memcpy(made->bytes + 54 + 8, own_ipv6, 16);
	finish_icmpv6(made, 24);
}

static void expect_nothing(struct made *made)
{
	struct host host = make_host();
	struct made before = *made;

	assert_int_equal(host_answer(&host, &made->frame), HOST_NONE);
	assert_memory_equal(made->bytes, before.bytes, PACKET_ROOM);
	assert_int_equal(made->frame.len, before.frame.len);
}

static void check_ethernet(const struct made *made)
{
	assert_memory_equal(made->bytes, their_mac, 6);
	assert_memory_equal(made->bytes + 6, own_mac, 6);
}

static void arp(void **state)
{
	struct host host = make_host();
	struct made made;

	for (uint32_t tags = 0; tags <= 2; tags++) {
		uint8_t *a = made.bytes + 14 + 4 * tags;

		make_arp(&made, tags);
		assert_int_equal(host_answer(&host, &made.frame), HOST_ARP);
		check_ethernet(&made);
		assert_int_equal(made.frame.len, 42 + 4 * tags);
		assert_memory_equal(a, "\0\1\x08\0\6\4\0\2", 8);
		assert_memory_equal(a + 8, own_mac, 6);
		assert_memory_equal(a + 14, own_ipv4, 4);
		assert_memory_equal(a + 18, their_mac, 6);
		assert_memory_equal(a + 24, their_ipv4, 4);
	}
}

static void arp_refused(void **state)
{
	struct made made;

	make_arp(&made, 0);
	made.bytes[14 + 27]++; /* another address */
	expect_nothing(&made);
	make_arp(&made, 0);
	made.bytes[14 + 7] = 2; /* an answer */
	expect_nothing(&made);
	make_arp(&made, 0);
	made.bytes[14 + 5] = 6; /* addresses of another length */
	expect_nothing(&made);
	make_arp(&made, 0);
	made.bytes[6] = 0xff; /* from a group */
	expect_nothing(&made);
	for (uint32_t len = 0; len < 42; len++) {
		make_arp(&made, 0);
		made.frame.len = len;
		expect_nothing(&made);
	}
}

static void ping(void **state)
{
	struct host host = make_host();
	struct made made;

	for (uint32_t data = 0; data < 60; data++) {
		make_ping(&made, data);
		made.frame.len += 6; /* padding does not come back */
		assert_int_equal(host_answer(&host, &made.frame), HOST_ECHO);
		check_ethernet(&made);
		assert_int_equal(made.frame.len, 42 + data);
		assert_int_equal(packet_sum(NULL, 0, made.bytes + 14, 20), 0);
		assert_memory_equal(made.bytes + 14 + 12, own_ipv4, 4);
		assert_memory_equal(made.bytes + 14 + 16, their_ipv4, 4);
		assert_int_equal(made.bytes[14 + 8], 64);
		assert_int_equal(made.bytes[34], 0);
		assert_int_equal(made.bytes[39], 77);
		assert_int_equal(packet_sum(NULL, 0, made.bytes + 34, 8 + data), 0);
	}
}

static void ping_refused(void **state)
{
	static const struct {
		uint32_t at;
		uint8_t value;
		bool sum; /* make the IP checksum right again */
	} changes[] = {
		{14, 0x46, true},     {14 + 3, 27, true}, {14 + 3, 200, true},
		{14 + 6, 0x20, true}, {14 + 9, 17, true}, {14 + 10, 0x77, false},
		{14 + 12, 255, true}, {14 + 12, 0, true}, {14 + 19, 5, true},
		{34, 0, true},	      {35, 1, true},	  {36, 0x77, true},
		{42, 0x77, true},
	};
	struct made made;

	for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
		make_ping(&made, 20);
		made.bytes[changes[i].at] = changes[i].value;
		if (changes[i].sum) {
			packet_be16(made.bytes + 24, 0);
			packet_be16(made.bytes + 24, packet_sum(NULL, 0, made.bytes + 14, 20));
		}
		expect_nothing(&made);
	}
	for (uint32_t len = 0; len < 62; len++) {
		make_ping(&made, 20);
		made.frame.len = len;
		expect_nothing(&made);
	}
}

static void ping6(void **state)
{
	struct host host = make_host();
	struct made made;

	for (uint32_t data = 0; data < 20; data++) {
		make_ipv6(&made, 128, 3);
		packet_be16(made.bytes + 54 + 4, 77);
		finish_icmpv6(&made, 8 + data);
		assert_int_equal(host_answer(&host, &made.frame), HOST_ECHO);
		check_ethernet(&made);
		assert_int_equal(made.frame.len, 62 + data);
		assert_int_equal(made.bytes[54], 129);
		assert_memory_equal(made.bytes + 14 + 8, own_ipv6, 16);
		assert_memory_equal(made.bytes + 14 + 24, their_ipv6, 16);
		assert_int_equal(packet_upper_sum(made.bytes + 14, 58, made.bytes + 54, 8 + data),
				 0);
	}
	make_ipv6(&made, 128, 3);
	made.bytes[14 + 39] = 9;
	finish_icmpv6(&made, 8);
	expect_nothing(&made);
	make_ipv6(&made, 129, 3);
	finish_icmpv6(&made, 8);
	expect_nothing(&made);
}

static void solicitation(void **state)
{
	struct host host = make_host();
	struct made made;

	make_solicitation(&made);
	assert_int_equal(host_answer(&host, &made.frame), HOST_ND);
	check_ethernet(&made);
	assert_int_equal(made.frame.len, 86);
	assert_int_equal(made.bytes[14 + 7], 255);
	assert_memory_equal(made.bytes + 14 + 8, own_ipv6, 16);
	assert_memory_equal(made.bytes + 14 + 24, their_ipv6, 16);
	assert_memory_equal(made.bytes + 54, "\x88\0", 2);
	assert_memory_equal(made.bytes + 58, "\x60\0\0\0", 4);
	assert_memory_equal(made.bytes + 62, own_ipv6, 16);
	assert_memory_equal(made.bytes + 78, "\2\1", 2);
	assert_memory_equal(made.bytes + 80, own_mac, 6);
	assert_int_equal(packet_upper_sum(made.bytes + 14, 58, made.bytes + 54, 32), 0);
}

/* Who asks from no address tests whether ours is taken: all nodes are told. */
static void duplicate_probe(void **state)
{
	struct host host = make_host();
	struct made made;

	make_solicitation(&made);
	memset(made.bytes + 14 + 8, 0, 16);
	finish_icmpv6(&made, 24);
	assert_int_equal(host_answer(&host, &made.frame), HOST_ND);
	assert_memory_equal(made.bytes, "\x33\x33\0\0\0\1", 6);
	assert_memory_equal(made.bytes + 14 + 24, "\xff\x02\0\0\0\0\0\0\0\0\0\0\0\0\0\1", 16);
	assert_int_equal(made.bytes[58], 0x20);
	assert_int_equal(packet_upper_sum(made.bytes + 14, 58, made.bytes + 54, 32), 0);
}

static void solicitation_refused(void **state)
{
	struct made made;

	make_solicitation(&made);
	made.bytes[14 + 7] = 254; /* came over a router */
	expect_nothing(&made);
	make_solicitation(&made);
	made.bytes[54 + 23]++; /* another target */
	finish_icmpv6(&made, 24);
	expect_nothing(&made);
	make_solicitation(&made);
	made.bytes[56] ^= 1;
	expect_nothing(&made);
	make_solicitation(&made);
	finish_icmpv6(&made, 16);
	expect_nothing(&made);
	make_solicitation(&made);
	made.frame.room = 85;
	expect_nothing(&made);
	for (uint32_t len = 0; len < 78; len++) {
		make_solicitation(&made);
		made.frame.len = len;
		expect_nothing(&made);
	}
}

static void addresses(void **state)
{
	struct host host = {0};

	assert_int_equal(host_add(&host, "not one"), -EINVAL);
	for (int i = 0; i < HOST_ADDRESSES_MAX; i++) {
		assert_int_equal(host_add(&host, "10.0.0.1"), 0);
		assert_int_equal(host_add(&host, "::1"), 0);
	}
	assert_int_equal(host_add(&host, "10.0.0.1"), -ENOSPC);
	assert_int_equal(host_add(&host, "::1"), -ENOSPC);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(arp),
		cmocka_unit_test(arp_refused),
		cmocka_unit_test(ping),
		cmocka_unit_test(ping_refused),
		cmocka_unit_test(ping6),
		cmocka_unit_test(solicitation),
		cmocka_unit_test(duplicate_probe),
		cmocka_unit_test(solicitation_refused),
		cmocka_unit_test(addresses),
	};

	return cmocka_run_group_tests_name("host", tests, NULL, NULL);
}
