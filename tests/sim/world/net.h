/* SPDX-License-Identifier: Apache-2.0 */
/*
 * net.h - the network between clients and the node: UDP payloads in, UDP payloads out, as the seed
 * will have it.
 *
 * Each host has an IPv4 address: the node's NET_NODE, client i's NET_CLIENT + i, a forger's
 * NET_FORGER. A packet takes a time drawn from the run's distribution; it may be lost, come twice,
 * come seconds late (to whoever then has that address), meet a partition, or be damaged: flipped
 * bits, overwritten or missing bytes, in headers too. A host's UDP stack drops what its checksum
 * tells, so damaged packets reach the node's port as they are (frame.h judges them) and reach a
 * client only when the checksum cannot tell.
 *
 * One damage is left out: a changed payload under a checksum that fits all the same. Version 1 of
 * the protocol has nothing else against it (docs/wire.md). Such a packet gets its bytes back but
 * for one bit, and is counted in `disguised`.
 */
#ifndef ABAFT_TESTS_NET_H
#define ABAFT_TESTS_NET_H

#include <stdbool.h>
#include <stdint.h>

#include <abaft/limits.h>

struct world;
struct net;

#define NET_NODE	UINT32_C(0x0a000001) /* 10.0.0.1 */
#define NET_FORGER	UINT32_C(0x0a000002)
#define NET_CLIENT	UINT32_C(0x0a010000)
#define NET_UDP_PORT	7400 /* the node's first */
#define NET_PACKET_MAX	1600
/* Clients there can be, and packets on their way; more are lost. */
#define NET_CLIENTS_MAX 1024
#define NET_FLYING_MAX	65536

/* A datagram on its way. `frame` is the whole Ethernet frame, as tests/lib/packet.h builds it. The
 * fields say what its sender meant; of a damaged packet (and of an injected one) only the frame
 * tells what has arrived. */
struct net_packet {
	uint32_t from, to;
	uint16_t from_port, to_port;
	uint32_t frame_bytes, payload, payload_bytes; /* payload: where it begins in frame */
	uint8_t frame[NET_PACKET_MAX];
};

/* A host takes a packet that has arrived; it is the net's again when this returns. */
typedef void (*net_receive_fn)(void *arg, const struct net_packet *packet);

/* Beside what the world counts. */
struct net_stats {
	uint64_t delivered;
	uint64_t unheard;   /* nobody had that address */
	uint64_t overflown; /* NET_FLYING_MAX */
	uint64_t refused;   /* by a client's UDP stack */
	uint64_t harmless;  /* damaged, and yet the checksums fit and the payload is whole */
	uint64_t disguised; /* see above */
};

struct net *net_create(struct world *world);
void net_destroy(struct net *net);
/* Who receives what goes to this address; fn NULL: nobody, it is lost. */
void net_listen(struct net *net, uint32_t address, net_receive_fn fn, void *arg);
/* Sends a payload from one host to another. */
void net_send(struct net *net, uint32_t from, uint16_t from_port, uint32_t to, uint16_t to_port,
	      const void *payload, uint32_t bytes);
/* Sends a frame that the node has made (port_sim.c): addresses are read out of it. One whose
 * checksums are wrong fails the run. */
void net_send_frame(struct net *net, const uint8_t *frame, uint32_t bytes);
/* Sends any bytes as a frame to a host, from the forger's cable. */
void net_inject(struct net *net, uint32_t to, const uint8_t *frame, uint32_t bytes);
/* Hears all that hosts send by net_send() and net_send_frame(), as it leaves them (forge.c). */
void net_tap(struct net *net, net_receive_fn fn, void *arg);
/* Nothing is on its way that will arrive. What is late when the world heals will not. */
bool net_is_idle(const struct net *net);
const struct net_stats *net_stats(const struct net *net);

#endif
