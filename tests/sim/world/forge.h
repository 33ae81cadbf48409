/* SPDX-License-Identifier: Apache-2.0 */
/*
 * forge.h - garbage and forged packets (WORLD_FORGE), to the node and to clients.
 */
#ifndef ABAFT_TESTS_FORGE_H
#define ABAFT_TESTS_FORGE_H

#include <stdint.h>

struct forge;
struct world;

struct forge *forge_create(struct world *world);
void forge_destroy(struct forge *forge);
/* From then on by events, until the world heals. */
void forge_begin(struct forge *forge);

/* forge_frame.c: a payload in a frame of any kind (IPv6, tags, options, extensions), its headers
 * perhaps damaged, or no sense in it at all. Returns the frame's bytes. */
#define FORGE_FRAME_PAYLOAD_MAX 1000
uint32_t forge_frame(struct world *world, const uint8_t *payload, uint32_t payload_bytes,
		     uint8_t *frame);

#endif
