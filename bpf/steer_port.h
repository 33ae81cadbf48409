/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0) */
/*
 * steer_port.h - what steer_port.bpf.c reads besides the frame.
 */
#ifndef ABAFT_BPF_STEER_PORT_H
#define ABAFT_BPF_STEER_PORT_H

#include "bpf/decide.h"

struct steer_port_input {
	__u32 len; /* bytes of the frame */
	struct steer_rules rules;
};

#endif
