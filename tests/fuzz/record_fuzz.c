/* SPDX-License-Identifier: Apache-2.0 */
/*
 * record_fuzz.c - arbitrary log records and checkpoint entries into a small store, as recovery gets
 * them from disk.
 *
 * Input: pieces, each a byte of what it is (enum piece), a u16 length and so many bytes; in any
 * order, also in such that recovery never sees. What must hold: each is applied or refused;
 * afterwards each key has one version, deleted ones are not
 * there, live bytes are those of what is there, and a walk of the store (core/keep.h) makes entries
 * from which another store comes out the same.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "dataplane/core/keep.h"
#include "dataplane/core/node_impl.h"
#include "dataplane/core/record.h"
#include "dataplane/core/snapshot.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define WORKERS	    2
#define ENTRIES_MAX (1u << 20)

enum piece {
	PIECE_KEYS,
	PIECE_OUTCOMES,
	PIECE_COMMIT, /* log 0; + 4: log 1 */
	PIECE_ABORT,
	PIECE_KEPT = 5,
};

struct rig {
	struct store *store;
	struct node *node[WORKERS];
};

/* Little of it is touched. */
static void *map(uint64_t bytes)
{
	void *memory =
		mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return memory == MAP_FAILED ? NULL : memory;
}

static void unmap(void *memory, uint64_t bytes)
{
	munmap(memory, bytes);
}

static void must(bool good)
{
	if (!good)
		abort();
}

static void rig_open(struct rig *rig)
{
	struct store_config config = {.workers = WORKERS,
				      .keys_max = 64,
				      .memory_bytes = 4u << 20,
				      .cache_bytes = 64u << 10,
				      .seed = 1,
				      .map = map,
				      .unmap = unmap};

	must(store_create(&rig->store, &config) == 0);
	for (uint32_t w = 0; w < WORKERS; w++) {
		struct node_config node = {
			.worker = w, .origin = w, .txns_max = 1, .outcomes_max = 16};

		must(node_create(&rig->node[w], rig->store, &node) == 0);
	}
	node_recover_begin(rig->node, (1u << WORKERS) - 1);
}

static void rig_close(struct rig *rig)
{
	for (uint32_t w = 0; w < WORKERS; w++)
		node_destroy(rig->node[w]);
	store_destroy(rig->store);
}

static void apply(struct rig *rig, uint8_t piece, uint64_t place, const uint8_t *data,
		  uint32_t bytes)
{
	uint32_t log = piece >> 2 & 1;

	switch (piece & 7) {
	case PIECE_KEYS:
		node_restore_keys(rig->node, WORKERS, data, bytes);
		break;
	case PIECE_OUTCOMES:
		node_restore_outcomes(rig->node, WORKERS, data, bytes);
		break;
	case PIECE_KEPT:
		node_recover(rig->node, WORKERS, ABAFT_LOG_KEPT, RECORD_KEPT, place, data, bytes);
		break;
	case PIECE_ABORT:
		node_recover(rig->node, WORKERS, log, RECORD_ABORT, place, data, bytes);
		break;
	default:
		node_recover(rig->node, WORKERS, log, RECORD_COMMIT, place, data, bytes);
	}
}

/* Applies all pieces, each in memory of its exact size. */
static void feed(struct rig *rig, const uint8_t *data, size_t size)
{
	struct cursor cursor = cursor_of(data, (uint32_t)size);
	const uint8_t *head;

	while ((head = cursor_take(&cursor, 3))) {
		uint32_t bytes = load_le16(head + 1);
		uint32_t log = (head[0] & 7) == PIECE_KEPT ? ABAFT_LOG_KEPT : head[0] >> 2 & 1;
		const uint8_t *from = cursor_take(&cursor, bytes);
		uint8_t *copy = from ? malloc(bytes ? bytes : 1) : NULL;

		if (!copy)
			return;
		memcpy(copy, from, bytes);
		apply(rig, head[0], place_make(log, 0, 4096 + (uint32_t)(head - data)), copy,
		      bytes);
		free(copy);
	}
}

/* Live bytes of all versions; one of each key, with its value or a place. */
static uint64_t look(const struct rig *rig)
{
	const struct key *key;
	uint64_t cursor = 0, live = 0;

	while ((key = index_walk(&rig->store->index, &cursor, UINT64_MAX))) {
		const struct version *v = atomic_load(&key->newest);

		must(v->kind == VERSION_VALUE && key->versions == 1 && !atomic_load(&v->older));
		must(v->bytes == 0 || version_value(v) || (version_is_large(v) && v->place));
		if (v->place != PLACE_NONE && place_log(v->place) < WORKERS)
			live += space_bytes(key->bytes, v->bytes);
		if (place_log(v->place) == ABAFT_LOG_KEPT)
			live += space_bytes(key->bytes, v->bytes);
	}
	return live;
}

/* A checkpoint of the one, and the other from it: of the same keys and live bytes. */
static void again(const struct rig *rig, struct rig *other)
{
	uint8_t *entries = malloc(ENTRIES_MAX);
	uint64_t cursor = 0;
	struct keep *keep = NULL;
	uint32_t bytes;
	bool ended;

	must(entries && keep_create(&keep, rig->store) == 0);
	keep_begin(keep);
	bytes = keep_walk(keep, &cursor, UINT32_MAX, entries, ENTRIES_MAX, &ended);
	keep_end(keep);
	must(ended);
	must(node_restore_keys(other->node, WORKERS, entries, bytes) == 0);
	must(atomic_load(&other->store->index.keys) == keep_keys(keep));
	must(look(other) == keep_live_total(keep));
	keep_destroy(keep);
	free(entries);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct rig rig, other;

	if (size > 1u << 20)
		return 0;
	rig_open(&rig);
	feed(&rig, data, size);
	node_recovered(rig.node, WORKERS);
	must(look(&rig) == space_total(&rig.store->space));
	rig_open(&other);
	again(&rig, &other);
	rig_close(&other);
	rig_close(&rig);
	return 0;
}
