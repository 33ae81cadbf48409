/* SPDX-License-Identifier: Apache-2.0 */
/*
 * index_player.h - random operations on an index, each held against a plain table that says what
 * must come of it.
 *
 * A player owns keys: nobody else links or unlinks their versions, so its table is exact however
 * many players share the index. Keys come in three sorts: those whose ids are hashes; those that
 * share one of eight buckets; and those whose ids are all the same, so that only their bytes tell
 * them apart. Alone on an index (`alone`) a player also predicts every refusal. Unlinked versions
 * and keys are freed when no reader can stand on them, behind ck_epoch.
 *
 * A broken promise is told in `failure`, with the step; the player then stops.
 */
#ifndef ABAFT_TESTS_INDEX_PLAYER_H
#define ABAFT_TESTS_INDEX_PLAYER_H

#include <ck_epoch.h>
#include <stdbool.h>
#include <stdint.h>

#include "dataplane/core/index.h"

#define PLAYER_VERSIONS 4 /* of a key, at most */

struct player_version {
	struct version *version;
	struct vnum number;
	uint64_t place;
	uint8_t kind;
};

/* What the index must say of one key. Versions: newest first. */
struct player_key {
	struct key_id id;
	uint8_t name[40];
	uint32_t bytes, count;
	struct player_version version[PLAYER_VERSIONS];
};

enum player_op {
	PLAYER_FIND,
	PLAYER_LINK,
	PLAYER_UNLINK,
	PLAYER_UNLINK_KEY,
	PLAYER_PRUNE,
	PLAYER_MOVE,
	PLAYER_FOREIGN, /* looks up another player's key */
	PLAYER_WALK,
	PLAYER_OPS,
};

struct player {
	struct index *index;
	struct memory *memory;
	ck_epoch_t *epoch;
	bool alone;
	uint32_t number, players; /* it owns keys number, number + players, ... */
	uint32_t keys;		  /* of all players */
	uint64_t seed, random, clock;
	struct player_key *key; /* of its own: keys / players */
	struct player_key *all; /* every key's id and name: never changes */

	ck_epoch_record_t record;
	struct memory_cache cache;
	struct commit *commit; /* of every version; published */
	struct retired *retired;
	uint32_t retired_count;

	uint64_t present;    /* own keys that are there */
	uint64_t removed;    /* what index->removed must be at least */
	uint64_t live_bytes; /* of what it linked, by places */
	uint64_t steps, done[PLAYER_OPS];
	uint64_t refused_keys, refused_buckets; /* the index is full; a bucket is */
	char failure[200];
};

/* `player->index` to `seed` are set; the rest is zeroed. Aborts when there is no memory. */
void player_open(struct player *player);
/* Takes all its keys out, checks that they are gone, and frees everything. */
void player_close(struct player *player);
/* One operation. False: `failure` says what is wrong. */
bool player_step(struct player *player);
/* Ids and names for `keys` keys, for all players alike. The caller frees it. */
struct player_key *player_names(const struct index *index, uint32_t keys);

#endif
