/* SPDX-License-Identifier: Apache-2.0 */
/*
 * readset.h - what a transaction has read, and the choice of the version it may read next.
 */
#ifndef ABAFT_CORE_READSET_H
#define ABAFT_CORE_READSET_H

#include <stdint.h>

#include "dataplane/core/memory.h"
#include "dataplane/core/version.h"

#define READSET_INLINE 8

/* One key read. number {0, 0}: there was none. */
struct read {
	struct key_id id;
	struct vnum number;
	uint64_t bloom;		       /* of the commit, to spare its cache line */
	const struct commit *commit;   /* NULL: none */
	const struct version *version; /* NULL: none */
};

struct readset {
	struct read *entries; /* `few`, or a block of memory */
	uint32_t count, room;
	uint64_t bloom; /* of all keys read */
	struct read few[READSET_INLINE];
};

void readset_init(struct readset *set);
void readset_fini(struct readset *set, struct memory_cache *memory);
/* The earlier read of the key, or NULL. */
const struct read *readset_find(const struct readset *set, struct key_id id);
/*
 * The version of `key` that the transaction may read now, by AFT's Algorithm 1 (§3.4), or NULL for
 * none. `key` may be NULL: not in the index. cut: last era whose commits it sees (UINT64_MAX: all).
 * The key was not read before. Inside a pass.
 */
const struct version *readset_choose(const struct readset *set, struct key_id id,
				     const struct key *key, uint64_t cut);
/* Remembers the choice. 0, -E2BIG (ABAFT_TXN_READS_MAX) or -ENOMEM. Do it before the choice is
 * told to anyone. */
int readset_add(struct readset *set, struct memory_cache *memory, struct key_id id,
		const struct version *version);

#endif
