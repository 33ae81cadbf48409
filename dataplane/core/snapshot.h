/* SPDX-License-Identifier: Apache-2.0 */
/*
 * snapshot.h - entries of a checkpoint: a key's newest version, and an outcome. Little-endian, no
 * padding; checkpoint.h frames and sums them.
 *
 * Key:
 *	 0  u16 key bytes
 *	 2  u8  kind (0 value, 1 tombstone), u8 0
 *	 4  u32 value bytes
 *	 8  u64 time, u32 origin of its version
 *	20  u32 CRC32C of the value if it is larger than VERSION_INLINE_BYTES, else 0
 *	24  u64 place (place.h)
 *	32  key, then the value if it is not larger
 *
 * Outcome:
 *	 0  id[16]
 *	16  u64 time, u32 origin (0, 0: it wrote nothing)
 *	28  u8  state, 3 B 0
 */
#ifndef ABAFT_CORE_SNAPSHOT_H
#define ABAFT_CORE_SNAPSHOT_H

#include <stdbool.h>
#include <stdint.h>

#include "dataplane/core/bytes.h"
#include "dataplane/core/hlc.h"
#include "dataplane/core/node.h"

#define SNAPSHOT_KEY_BYTES     32
#define SNAPSHOT_OUTCOME_BYTES 32

struct snapshot_key {
	struct vnum number;
	uint64_t place;
	const uint8_t *key;
	const uint8_t *value; /* NULL: none, or only on disk */
	uint32_t key_bytes;
	uint32_t bytes;
	uint32_t crc;
	uint8_t kind;
};

struct snapshot_outcome {
	uint8_t id[16];
	struct vnum number;
	uint8_t state; /* enum outcome_state */
};

uint32_t snapshot_key_bytes(const struct snapshot_key *key);
void snapshot_key_encode(uint8_t *out, const struct snapshot_key *key);
/* False when the bytes are no entry. */
bool snapshot_key_next(struct cursor *cursor, struct snapshot_key *out);
void snapshot_outcome_encode(uint8_t *out, const struct snapshot_outcome *outcome);
bool snapshot_outcome_next(struct cursor *cursor, struct snapshot_outcome *out);

/*
 * The node's outcomes, oldest first, as entries: as many as fit `out`. *cursor: 0 at first; it
 * counts outcomes over the node's life, so outcomes that leave meanwhile are passed over. Owner
 * thread. Returns the bytes; 0: there are no more.
 */
uint32_t node_snapshot_outcomes(const struct node *node, uint64_t *cursor, uint8_t *out,
				uint32_t out_bytes);
/* The highest hybrid time the node has given or met. A restart goes above it although the
 * tombstones that carried it may be gone: else an older checkpoint's tail would hide a later write.
 */
uint64_t node_time(const struct node *node);
/* Ids up to this time have no outcome any more: goes into the checkpoint with them. */
uint64_t node_horizon_ms(const struct node *node);

/*
 * Recovery, before any record is replayed: one block of entries. Large values stay cold. 0,
 * -EBADMSG (no entries), or as node_recover(). Any thread, under one lock.
 */
int node_restore_keys(struct node *nodes[], uint32_t workers, const uint8_t *data, uint32_t bytes);
int node_restore_outcomes(struct node *nodes[], uint32_t workers, const uint8_t *data,
			  uint32_t bytes);
void node_restore_time(struct node *nodes[], uint32_t workers, uint64_t time);
void node_restore_horizon(struct node *nodes[], uint32_t workers, uint64_t horizon_ms);

/*
 * After recovery: hands out each place that a version refers to, so that missing segments are
 * found before anybody asks for the value. Non-zero of `fn` stops and is returned.
 */
int node_restore_places(struct node *nodes[],
			int (*fn)(void *arg, uint64_t place, const uint8_t *key,
				  uint32_t key_bytes),
			void *arg);

#endif
