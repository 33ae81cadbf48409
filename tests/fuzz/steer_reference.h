/* SPDX-License-Identifier: Apache-2.0 */
/*
 * steer_reference.h - what steering has to say of a frame, written a second time.
 *
 * From docs/ports.md (what is taken, what is left), docs/wire.md (a request's header), the RFCs and
 * the counters' texts, and sharing no line with bpf/decide.h: steer_fuzz.c holds the two, and what
 * was compiled of the other, against each other.
 */
#ifndef ABAFT_TESTS_STEER_REFERENCE_H
#define ABAFT_TESTS_STEER_REFERENCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define REFERENCE_ADDRESSES 8

/* What is ours: no address at all means every one that can be somebody's. */
struct reference_rules {
	unsigned int port_first, ports;
	size_t ipv4s, ipv6s;
	uint8_t ipv4[REFERENCE_ADDRESSES][4];
	uint8_t ipv6[REFERENCE_ADDRESSES][16];
};

/* What was found, valid as far as the verdict got. */
struct reference_frame {
	const char *verdict; /* the counter's name */
	bool answerable;     /* sender's address and port are somebody's */
	bool udp_fits;	     /* UDP's length lies within IP's and that within the frame */
	size_t payload, payload_bytes;
	unsigned int port_from, port_to;
	uint32_t tenant; /* of a request */
	size_t address_bytes;
	const uint8_t *from, *to;
};

void reference_steer(const struct reference_rules *rules, const uint8_t *frame, size_t bytes,
		     struct reference_frame *out);

#endif
