/* SPDX-License-Identifier: Apache-2.0 */
/*
 * forge.h - garbage and forged packets (WORLD_FORGE), to the node and to clients.
 */
#ifndef ABAFT_TESTS_FORGE_H
#define ABAFT_TESTS_FORGE_H

struct forge;
struct world;

struct forge *forge_create(struct world *world);
void forge_destroy(struct forge *forge);
/* From then on by events, until the world heals. */
void forge_begin(struct forge *forge);

#endif
