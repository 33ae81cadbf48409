/* SPDX-License-Identifier: Apache-2.0 */
/*
 * writeset.h - a transaction's buffered writes: what nobody else sees before the commit.
 *
 * One entry for each (key, step): a later attempt of a step replaces that step's writes and
 * uncovers those of the steps before it. The entry with the highest operation number is the key's
 * write. A value that comes in parts is reassembled in the buffer that becomes the version's value.
 */
#ifndef ABAFT_CORE_WRITESET_H
#define ABAFT_CORE_WRITESET_H

#include <stdbool.h>
#include <stdint.h>

#include "dataplane/core/memory.h"
#include "dataplane/core/version.h"

#define WRITESET_INLINE 8

/* Operation numbers compare as one integer: step, attempt, seq. */
static inline uint64_t opnum_make(uint16_t step, uint16_t attempt, uint32_t seq)
{
	return (uint64_t)step << 48 | (uint64_t)attempt << 32 | seq;
}

static inline uint16_t opnum_step(uint64_t opnum)
{
	return (uint16_t)(opnum >> 48);
}

struct write {
	struct key_id id;
	uint64_t opnum;
	uint8_t *key;	/* the transaction's copy */
	uint8_t *value; /* NULL when bytes is 0 */
	union {
		uint64_t *parts;	 /* one bit per granule that has come; NULL once whole */
		struct version *version; /* once the commit is being logged: owns the value */
	};
	uint32_t bytes;
	uint16_t key_bytes;
	uint16_t parts_missing;
	uint8_t kind; /* enum version_kind */
	/* 1 + number of the first operation of the latest packet whose GET returned this write. */
	uint64_t observed;
};

struct writeset {
	struct write *entries; /* `few`, or a block of memory */
	uint32_t count, room;
	uint32_t winners;    /* after writeset_settle(): entries that the commit writes */
	uint32_t meta_bytes; /* keys and records of entries */
	uint32_t value_bytes;
	uint64_t bloom;
	struct write few[WRITESET_INLINE];
};

/* One write as a request says it; `data` is its part, or the whole value. */
struct write_args {
	struct key_id id;
	uint64_t opnum;
	uint64_t packet; /* operation number of its packet's first operation */
	const uint8_t *key;
	const uint8_t *data;
	uint32_t key_bytes;
	uint32_t total;
	uint32_t offset;
	uint32_t data_bytes;
	uint8_t kind;
	bool part;
};

void writeset_init(struct writeset *set);
void writeset_fini(struct writeset *set, struct memory_cache *memory);
/*
 * Buffers a write or a part of one. An equal or lower operation number than the one buffered by the
 * same step has no effect, but for parts still missing. 0, -E2BIG (too many keys), -EFBIG (bytes of
 * the transaction), -ENOMEM, -EINVAL (a part whose total differs from the first part's).
 */
int writeset_put(struct writeset *set, struct memory_cache *memory, const struct write_args *args);
/* The key's write with the highest operation number below `below`, or NULL. */
struct write *writeset_find(const struct writeset *set, struct key_id id, uint64_t below);
/* Drops all writes of a step whose attempt is older than `attempt`. */
void writeset_drop(struct writeset *set, struct memory_cache *memory, uint16_t step,
		   uint16_t attempt);
/*
 * Before a commit: moves each key's highest write to the front and counts them in `winners`; the
 * others stay, as the commit may yet fail. Returns false when a winner's value misses parts.
 */
bool writeset_settle(struct writeset *set);

#endif
