/* SPDX-License-Identifier: Apache-2.0 */
/*
 * datagram.h - a datagram into a frame, and what a host's stack makes of a frame.
 *
 * It shares no code with dataplane/net, which it is held against; but it is quick, as there are
 * millions of packets.
 */
#ifndef ABAFT_TESTS_DATAGRAM_H
#define ABAFT_TESTS_DATAGRAM_H

#include "tests/sim/world/net.h"

/* Ethernet, IPv4 and UDP. */
#define NET_HEADERS 42

/* Writes headers and checksums around the payload, which already stands in the frame NET_HEADERS
 * bytes after its beginning; addresses and ports are the packet's fields. Fills in the others. */
void datagram_wrap(struct net_packet *packet, uint32_t payload_bytes);
/* Fills in all fields from the frame. False: lengths or checksums are wrong, or it is no UDP; a
 * host drops it. */
bool datagram_read(struct net_packet *packet) __attribute__((warn_unused_result));
/* Untagged IPv4: what the simulated hosts understand. */
bool datagram_is_plain(const struct net_packet *packet);

#endif
