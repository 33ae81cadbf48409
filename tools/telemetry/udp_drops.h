/* SPDX-License-Identifier: Apache-2.0 */
/*
 * udp_drops.h - what the kernel of this host drops of a node's datagrams, by its own reasons.
 *
 * For `abaft drops`, where clients run; needs no daemon. Touches: one tracepoint, by a link of this
 * process, so that the program goes when the process ends in whatever way. One thread.
 */
#ifndef ABAFT_TOOLS_TELEMETRY_UDP_DROPS_H
#define ABAFT_TOOLS_TELEMETRY_UDP_DROPS_H

#include <stdint.h>

#include <abaft/telemetry.h>

#define UDP_DROPS_WHY_BYTES    256
#define UDP_DROPS_REASONS_MAX  512 /* as many as the map holds */
#define UDP_DROPS_REASON_BYTES 48

struct udp_drops;

struct udp_drops_reason {
	uint32_t number;		   /* of this kernel's enum skb_drop_reason */
	char name[UDP_DROPS_REASON_BYTES]; /* without its prefix; a number if it has no name */
	struct udp_drop since_start;
};

/*
 * Counts datagrams from or to `ports` ports from port_base on, from now on. 0; -EPERM, -ENOENT (a
 * kernel without types or reasons), or another negative errno: then *out is untouched and `why`,
 * UDP_DROPS_WHY_BYTES, gets a sentence.
 */
__attribute__((warn_unused_result)) int udp_drops_open(struct udp_drops **out, uint16_t port_base,
						       uint16_t ports, char *why);
/* Detaches. */
void udp_drops_close(struct udp_drops *drops);
/* All reasons seen so far into UDP_DROPS_REASONS_MAX places, by their numbers; returns how many. */
uint32_t udp_drops_read(struct udp_drops *drops, struct udp_drops_reason *out);

#endif
