/* SPDX-License-Identifier: Apache-2.0 */
/*
 * steer_port.h - the steering decision on ports that the kernel does not see.
 *
 * The same source as the XDP program, compiled for librte_bpf and turned into machine code at
 * start. A worker whose port->owns_device is set may ask it before it parses a frame. One object
 * for each thread: the frame's length is handed over in it. Needs port_eal_start() before.
 */
#ifndef ABAFT_NET_STEER_PORT_H
#define ABAFT_NET_STEER_PORT_H

#include "bpf/decide.h"
#include "dataplane/net/port.h"

struct steer_port;

/* Loads and compiles. *out is the caller's, until steer_port_close(). 0 or negative errno, with a
 * line in `why` (PORT_WHY_BYTES). */
__attribute__((warn_unused_result)) int steer_port_open(struct steer_port **out,
							const struct steer_rules *rules, char *why);
void steer_port_close(struct steer_port *steer);

/* The verdict on a frame, counted. STEER_redirected: it is a request for us. */
enum steer_verdict steer_port_decide(struct steer_port *steer, const struct frame *frame);

/* Frames and their bytes by verdict; not by tenant. Valid until steer_port_close(). */
const struct steer_counters *steer_port_counters(const struct steer_port *steer);
const struct steer_bytes *steer_port_bytes(const struct steer_port *steer);

#endif
