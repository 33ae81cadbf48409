/* SPDX-License-Identifier: Apache-2.0 */
/*
 * port.h - the seam between a worker and the packets: Ethernet frames in, Ethernet frames out.
 *
 * Real: port_dpdk.c (any DPDK ethdev). Simulated: tests/sim/world/port_sim.c. A port queue is used
 * by one worker thread at a time; frames may be freed or sent by another worker than the one that
 * received them, as their memory belongs to the whole process.
 */
#ifndef ABAFT_NET_PORT_H
#define ABAFT_NET_PORT_H

#include <stdbool.h>
#include <stdint.h>

/* One received or sent Ethernet frame. `handle` is the port's own (an mbuf). */
struct frame {
	uint8_t *data;	/* first byte of the Ethernet header */
	uint32_t len;	/* bytes of the frame */
	uint32_t room;	/* bytes that data can hold, >= len */
	uint32_t flags; /* FRAME_* */
	/*
	 * Received: when the XDP program saw it, CLOCK_MONOTONIC; 0 if that is not known: on ports
	 * that the kernel does not see, where a driver has no metadata, and for most frames of a
	 * flood (bpf/steer.bpf.c). Nobody on the network can set it, yet it is not judged here:
	 * who computes with it, the worker, leaves out what is more than a minute old, and takes
	 * what lies in the future for now if it is little: two CPUs looked at the clock, one of
	 * them less exactly.
	 */
	uint64_t arrival_ns;
	void *handle;
};

enum frame_flag {
	FRAME_CHECKSUM_BAD = 1 << 0,  /* the device found the UDP or IP checksum wrong */
	FRAME_CHECKSUM_GOOD = 1 << 1, /* the device or a trusted local sender vouches for it */
};

struct port;

struct port_ops {
	/* Receives up to n frames. Returns how many; never blocks. */
	unsigned int (*rx)(struct port *port, struct frame *frames, unsigned int n);
	/* Takes all n frames: sends them or, when the queue stays full, drops and counts them. */
	void (*tx)(struct port *port, const struct frame *frames, unsigned int n);
	/* Gives a frame back unsent. */
	void (*release)(struct port *port, const struct frame *frame);
	/* A descriptor that polls readable when frames may have come, or -1 if there is none. */
	int (*sleep_fd)(struct port *port);
};

/* One queue of one device, seen by one worker. Embedded first in the implementation's struct. */
struct port {
	const struct port_ops *ops;
	uint64_t tx_dropped; /* frames that tx() could not place */
	bool owns_device;    /* the whole device is ours: answer ARP, ND and ping ourselves */
	bool local_senders;  /* lo, veth: senders leave checksums unfinished, do not judge them */
};

#endif
