/* SPDX-License-Identifier: Apache-2.0 */
/* port_spec_test.c - the texts that name ports. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "dataplane/net/port_dpdk.h"

static void good(const char *text, enum port_kind kind, const char *name, uint32_t queues)
{
	char why[PORT_WHY_BYTES] = "";
	struct port_spec spec;

	assert_int_equal(port_spec_parse(&spec, text, why), 0);
	assert_int_equal(spec.kind, kind);
	assert_string_equal(spec.name, name);
	assert_int_equal(spec.queues, queues);
}

static void bad(const char *text)
{
	char why[PORT_WHY_BYTES] = "";
	struct port_spec spec;

	assert_int_equal(port_spec_parse(&spec, text, why), -EINVAL);
	/* The line names the text, so that a person finds it. */
	assert_non_null(strstr(why, "port '"));
}

static void each_kind(void **state)
{
	good("afxdp:lo", PORT_AFXDP, "lo", 1);
	good("afxdp:eth0,queues=4", PORT_AFXDP, "eth0", 4);
	good("pci:0000:01:00.0,queues=64", PORT_PCI, "0000:01:00.0", 64);
	good("pci:01:00.0", PORT_PCI, "0000:01:00.0", 1);
	good("pci:0000:0A:1f.7,queues=2", PORT_PCI, "0000:0a:1f.7", 2);
	good("memif:role=client,socket=/run/m", PORT_MEMIF, "role=client,socket=/run/m", 1);
	good("vhost:/run/v,queues=2", PORT_VHOST, "/run/v", 2);
	good("virtio:/run/v", PORT_VIRTIO, "/run/v", 1);
	good("tap:abaft0", PORT_TAP, "abaft0", 1);
	good("ring", PORT_RING, "", 1);
	good("vdev:net_null0,size=64", PORT_VDEV, "net_null0,size=64", 1);
}

static void refusals(void **state)
{
	char longest[PORT_NAME_BYTES + 8];

	bad("");
	bad("lo");
	bad("afxdp");
	bad("afxdp:");
	bad("afxd:lo");
	bad("afxdpx:lo");
	bad("afxdp:lo,queues=0");
	bad("afxdp:lo,queues=65");
	bad("afxdp:lo,queues=2x");
	bad("afxdp:lo,queues=");
	bad("afxdp:lo,speed=2");
	bad("pci:eth0");
	bad("pci:0000:01:00");
	bad("pci:0000:01:00.0 ");
	memset(longest, 'a', sizeof(longest));
	memcpy(longest, "afxdp:", 6);
	longest[6 + PORT_NAME_BYTES - 1] = 0;
	good(longest, PORT_AFXDP, longest + 6, 1);
	longest[6 + PORT_NAME_BYTES - 1] = 'a';
	longest[6 + PORT_NAME_BYTES] = 0;
	bad(longest);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_kind),
		cmocka_unit_test(refusals),
	};

	return cmocka_run_group_tests_name("port_spec", tests, NULL, NULL);
}
