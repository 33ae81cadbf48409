/* SPDX-License-Identifier: Apache-2.0 */
/*
 * damage.h - the damaged value that a worker met last, where any thread can read of it: the worker
 * publishes a copy, under a sequence lock, as its node's memory is its own.
 */
#ifndef ABAFT_DATAPLANE_DAMAGE_H
#define ABAFT_DATAPLANE_DAMAGE_H

#include <stdbool.h>
#include <stdint.h>

#include "dataplane/core/node.h"

#define DAMAGE_WORDS (sizeof(struct node_damage) / sizeof(uint64_t))

/* Zeroed at first. */
struct damage {
	_Atomic uint32_t sequence; /* odd while it changes */
	_Atomic uint64_t word[DAMAGE_WORDS];
};

/* Its one writer; nothing happens unless `from` is there and counts higher than what was published
 * before. */
void damage_publish(struct damage *damage, const struct node_damage *from);
/* Any thread. False: there is none, or it keeps changing. */
bool damage_read(const struct damage *damage, struct node_damage *out);

#endif
