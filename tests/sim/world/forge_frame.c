/* SPDX-License-Identifier: Apache-2.0 */
/* forge_frame.c - frames of other kinds than the simulated hosts make; see forge.h. */
#include <stdlib.h>
#include <string.h>

#include "tests/lib/packet.h"
#include "tests/sim/world/forge.h"
#include "tests/sim/world/net.h"
#include "tests/sim/world/world.h"

static uint64_t roll(struct world *world, uint64_t limit)
{
	return world_roll(world, STREAM_FORGE, limit);
}

uint32_t forge_frame(struct world *world, const uint8_t *payload, uint32_t payload_bytes,
		     uint8_t *frame)
{
	struct packet_shape shape = {.ipv6 = roll(world, 2),
				     .vlans = (uint32_t)roll(world, 4),
				     .option_bytes = 4 * (uint32_t)roll(world, 11),
				     .extensions = (uint32_t)roll(world, 6),
				     .from = (uint16_t)roll(world, 65536),
				     .to = (uint16_t)(NET_UDP_PORT + roll(world, 3)),
				     .payload = payload,
				     .payload_len = payload_bytes};
	uint8_t built[PACKET_ROOM];
	uint32_t bytes = packet_build(built, &shape), at;

	if (bytes > NET_PACKET_MAX)
		abort();
	memcpy(frame, built, bytes);
	if (roll(world, 2)) {
		at = (uint32_t)roll(world, packet_udp(&shape) + 8);
		frame[at] ^= (uint8_t)(1u << roll(world, 8));
	}
	if (roll(world, 8) == 0)
		bytes = (uint32_t)roll(world, bytes);
	for (uint32_t i = 0, noise = roll(world, 8) == 0; noise && i < bytes; i++)
		frame[i] = (uint8_t)roll(world, 256);
	return bytes;
}
