/* SPDX-License-Identifier: Apache-2.0 */
/* pass.bpf.c - someone else's XDP program, for port_test.py: it must be left alone. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

SEC("xdp")
int pass(struct xdp_md *ctx)
{
	return XDP_PASS;
}

char _license[] SEC("license") = "Apache-2.0";
