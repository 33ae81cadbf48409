/* SPDX-License-Identifier: Apache-2.0 */
/*
 * frame.h - an Ethernet frame's headers, read and turned round.
 *
 * Pure functions, any thread. frame_parse() looks at every byte through bounds checks and accepts
 * exactly what bpf/decide.h hands over: Ethernet, up to two VLAN tags, IPv4 with options or IPv6
 * with extension headers (limits in decide.h), UDP, not fragmented.
 */
#ifndef ABAFT_NET_FRAME_H
#define ABAFT_NET_FRAME_H

#include <stdbool.h>
#include <stdint.h>

#include "dataplane/net/port.h"

/* Names as in ABAFT_WORKER_COUNTERS: which counter a refused frame belongs to. */
enum frame_result {
	FRAME_OK,
	FRAME_NOT_OURS,	    /* drop_not_ours: not UDP, a fragment, not a unicast address, ... */
	FRAME_CUT,	    /* drop_frame: shorter than its own lengths say */
	FRAME_BAD_CHECKSUM, /* drop_checksum */
};

/* Where things stand, as offsets from frame->data. */
struct frame_view {
	uint16_t ip;	       /* IP header */
	uint16_t udp;	       /* UDP header */
	uint16_t payload;      /* first byte after it */
	uint16_t payload_len;  /* bytes, by UDP's length */
	uint16_t port_from;    /* host order */
	uint16_t port_to;      /* host order */
	uint8_t address_bytes; /* 4 or 16 */
	uint8_t address_from[16];
	uint8_t address_to[16];
};

/*
 * Reads the headers. Checksums (IPv4 header, UDP) are verified unless the frame's flags vouch for
 * them or `trust` is set (port->local_senders). The caller compares view->port_to with its own.
 */
__attribute__((warn_unused_result)) enum frame_result
frame_parse(const struct frame *frame, bool trust, struct frame_view *view);

/*
 * Turns a parsed frame round in place: the answer's payload of `payload_len` bytes stands at
 * frame->data + view->payload already (frame_reply_room() tells how many fit). MAC and IP addresses
 * and UDP ports are swapped, VLAN tags kept, IPv4 options and IPv6 extension headers removed (they
 * were the sender's; then the payload moves), lengths and checksums made right. Sets frame->len and
 * brings the view up to date. 0, or -EMSGSIZE (then the frame is unchanged).
 */
__attribute__((warn_unused_result)) int frame_reply(struct frame *frame, struct frame_view *view,
						    uint16_t payload_len);

/* Bytes of payload that an answer in this frame can hold. */
uint32_t frame_reply_room(const struct frame *frame, const struct frame_view *view);

#endif
