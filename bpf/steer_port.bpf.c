/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0) */
/*
 * steer_port.bpf.c - the steering decision for ports that the kernel does not see.
 *
 * dataplane/net/steer_port.c loads it into librte_bpf, which has no maps, calls or loops, and which
 * believes that STEER_WINDOW_BYTES can be read at `frame`: the caller sees to that. The frame's
 * length and the rules stand in a variable that the loader supplies. Returns enum steer_verdict; of
 * what else there is to tell about the frame nothing.
 */
#include "bpf/decide.h"
#include "bpf/steer_port.h"

extern struct steer_port_input steer_port_input;

/* librte_bpf wants a section named otherwise than the function. */
__attribute__((section("steer_port"), used)) __u64 steer_port_decide(const __u8 *frame);
__u64 steer_port_decide(const __u8 *frame)
{
	struct steer_about about;

	return steer_decide(frame, frame + steer_port_input.len, &steer_port_input.rules, &about);
}
