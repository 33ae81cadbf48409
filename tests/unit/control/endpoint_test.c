/* SPDX-License-Identifier: Apache-2.0 */
/*
 * endpoint_test.c - addresses and ports from text: what is taken, and what is refused with which
 * words.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "control/endpoint.h"

static void is(const char *text, const char *want)
{
	struct endpoint endpoint;
	char why[192] = "", back[ENDPOINT_TEXT_BYTES];

	if (endpoint_parse(&endpoint, text, 7400, why, sizeof(why)) != 0)
		fail_msg("\"%s\" %s", text, why);
	endpoint_text(&endpoint, back);
	assert_string_equal(back, want);
	/* And what it prints it reads. */
	assert_int_equal(endpoint_parse(&endpoint, back, 1, why, sizeof(why)), 0);
	endpoint_text(&endpoint, back);
	assert_string_equal(back, want);
}

static void refused(const char *text, const char *says)
{
	struct endpoint endpoint;
	char why[192] = "";

	assert_int_equal(endpoint_parse(&endpoint, text, 7400, why, sizeof(why)), -EINVAL);
	assert_int_equal(endpoint.bytes, 0);
	if (strstr(why, says) == NULL)
		fail_msg("\"%s\" of \"%s\" does not say \"%s\"", why, text, says);
}

static void addresses_with_and_without_ports(void **state)
{
	is("127.0.0.1", "127.0.0.1:7400");
	is("0.0.0.0:1", "0.0.0.0:1");
	is("10.1.2.3:65535", "10.1.2.3:65535");
	is("::1", "[::1]:7400");
	is("[::1]", "[::1]:7400");
	is("[fd00::7]:9100", "[fd00::7]:9100");
	is("::ffff:10.0.0.1", "[::ffff:10.0.0.1]:7400");
	is("[ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255]:65535",
	   "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535");
	is("no", "no");
}

static void the_address_is_the_sockets(void **state)
{
	struct endpoint endpoint;
	char why[192];

	assert_int_equal(endpoint_parse(&endpoint, "10.1.2.3:258", 7400, why, sizeof(why)), 0);
	assert_int_equal(endpoint.bytes, sizeof(struct sockaddr_in));
	assert_int_equal(endpoint.address.ipv4.sin_family, AF_INET);
	assert_int_equal(endpoint.address.ipv4.sin_port, htons(258));
	assert_int_equal(endpoint.address.ipv4.sin_addr.s_addr, htonl(0x0a010203));
	assert_int_equal(endpoint_parse(&endpoint, "::1", 7400, why, sizeof(why)), 0);
	assert_int_equal(endpoint.bytes, sizeof(struct sockaddr_in6));
	assert_int_equal(endpoint.address.ipv6.sin6_family, AF_INET6);
	assert_int_equal(endpoint.address.ipv6.sin6_port, htons(7400));
}

static void anything_else_is_refused(void **state)
{
	refused("", "no numeric address");
	refused("localhost", "no numeric address");
	refused("yes", "no numeric address");
	refused(":7400", "no numeric address");
	refused("10.1.2", "no numeric address");
	refused("10.1.2.3.4", "no numeric address");
	refused("[10.1.2.3]:80", "no numeric address");
	refused("[]", "no numeric address");
	refused("[fe80::1%lo]:80", "no numeric address");
	refused("127.0.0.1:", "no port");
	refused("127.0.0.1:0", "no port");
	refused("127.0.0.1:65536", "no port");
	refused("127.0.0.1:80x", "no port");
	refused("127.0.0.1: 80", "no port");
	refused("127.0.0.1:-1", "no port");
	refused("127.0.0.1:000080", "no port");
	refused("[::1]7400", "no port");
	refused("fd00::1:99999", "no port"); /* no address by itself */
	refused("[::1", "no ]");
	refused("[0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000]:80",
		"no numeric address");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(addresses_with_and_without_ports),
		cmocka_unit_test(the_address_is_the_sockets),
		cmocka_unit_test(anything_else_is_refused),
	};

	return cmocka_run_group_tests_name("endpoint", tests, NULL, NULL);
}
