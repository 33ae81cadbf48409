/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host.h - what a kernel would answer for us: ARP, ND neighbour solicitation, ping.
 *
 * Only for ports whose whole device is ours (port->owns_device); elsewhere the kernel's stack
 * answers. Pure functions, any thread; a frame is answered in place.
 */
#ifndef ABAFT_NET_HOST_H
#define ABAFT_NET_HOST_H

#include <stdint.h>

#include "dataplane/net/port.h"

#define HOST_ADDRESSES_MAX 8

struct host {
	uint8_t mac[6];
	uint8_t v4_count;
	uint8_t v6_count;
	uint8_t v4[HOST_ADDRESSES_MAX][4];
	uint8_t v6[HOST_ADDRESSES_MAX][16];
};

/* What host_answer() made of a frame; the first three are counters of ABAFT_WORKER_COUNTERS. */
enum host_result {
	HOST_ARP,
	HOST_ND,
	HOST_ECHO,
	HOST_NONE, /* nothing to answer: the frame is unchanged */
};

/* Adds an own address given as text. 0, -EINVAL (no address) or -ENOSPC. */
__attribute__((warn_unused_result)) int host_add(struct host *host, const char *address);

/* Answers in place if the frame asks for one of the host's own addresses; else HOST_NONE. */
__attribute__((warn_unused_result)) enum host_result host_answer(const struct host *host,
								 struct frame *frame);

#endif
