/* SPDX-License-Identifier: Apache-2.0 */
/*
 * snapshot.c - see snapshot.h: entries to bytes and back, and a node's outcomes as entries.
 * Entries come from a disk: every length is checked. What they become: restore.c.
 */
#include "dataplane/core/snapshot.h"

#include <abaft/limits.h>

#include "dataplane/core/node_impl.h"
#include "dataplane/core/place.h"

static bool is_large(uint32_t bytes)
{
	return bytes > VERSION_INLINE_BYTES;
}

uint32_t snapshot_key_bytes(const struct snapshot_key *key)
{
	return SNAPSHOT_KEY_BYTES + key->key_bytes + (is_large(key->bytes) ? 0 : key->bytes);
}

void snapshot_key_encode(uint8_t *out, const struct snapshot_key *key)
{
	store_le16(out, (uint16_t)key->key_bytes);
	out[2] = key->kind;
	out[3] = 0;
	store_le32(out + 4, key->bytes);
	store_le64(out + 8, key->number.time);
	store_le32(out + 16, key->number.origin);
	store_le32(out + 20, is_large(key->bytes) ? key->crc : 0);
	store_le64(out + 24, key->place);
	memcpy(out + SNAPSHOT_KEY_BYTES, key->key, key->key_bytes);
	if (key->bytes > 0 && !is_large(key->bytes))
		memcpy(out + SNAPSHOT_KEY_BYTES + key->key_bytes, key->value, key->bytes);
}

static bool key_holds(const struct snapshot_key *key)
{
	if (key->key_bytes == 0 || key->key_bytes > ABAFT_KEY_BYTES_MAX ||
	    key->bytes > ABAFT_VALUE_BYTES_MAX || key->number.time == 0)
		return false;
	if (is_large(key->bytes))
		return key->kind == VERSION_VALUE && key->place != PLACE_NONE;
	return key->crc == 0 &&
	       (key->kind == VERSION_VALUE || (key->kind == VERSION_TOMBSTONE && key->bytes == 0));
}

bool snapshot_key_next(struct cursor *cursor, struct snapshot_key *out)
{
	const uint8_t *head = cursor_take(cursor, SNAPSHOT_KEY_BYTES);

	if (!head || head[3] != 0)
		return false;
	*out = (struct snapshot_key){
		.key_bytes = load_le16(head),
		.kind = head[2],
		.bytes = load_le32(head + 4),
		.number = {.time = load_le64(head + 8), .origin = load_le32(head + 16)},
		.crc = load_le32(head + 20),
		.place = load_le64(head + 24)};
	if (!key_holds(out))
		return false;
	out->key = cursor_take(cursor, out->key_bytes);
	if (out->bytes > 0 && !is_large(out->bytes))
		out->value = cursor_take(cursor, out->bytes);
	return !cursor->bad;
}

void snapshot_outcome_encode(uint8_t *out, const struct snapshot_outcome *outcome)
{
	memcpy(out, outcome->id, 16);
	store_le64(out + 16, outcome->number.time);
	store_le32(out + 24, outcome->number.origin);
	store_le32(out + 28, outcome->state); /* and three bytes of 0 */
}

bool snapshot_outcome_next(struct cursor *cursor, struct snapshot_outcome *out)
{
	const uint8_t *head = cursor_take(cursor, SNAPSHOT_OUTCOME_BYTES);
	uint32_t state;

	if (!head)
		return false;
	memcpy(out->id, head, 16);
	out->number = (struct vnum){.time = load_le64(head + 16), .origin = load_le32(head + 24)};
	state = load_le32(head + 28);
	out->state = (uint8_t)state;
	return state == OUTCOME_COMMITTED || state == OUTCOME_ABORTED;
}

uint32_t node_snapshot_outcomes(const struct node *node, uint64_t *cursor, uint8_t *out,
				uint32_t out_bytes)
{
	const struct outcome_table *table = &node->outcomes;
	uint64_t at = *cursor > table->evicted ? *cursor : table->evicted;
	uint64_t end = table->evicted + table->count;
	uint32_t used = 0;

	for (; at < end && out_bytes - used >= SNAPSHOT_OUTCOME_BYTES; at++) {
		const struct outcome *o =
			&table->ring[(table->first + (at - table->evicted)) % table->size];
		struct snapshot_outcome entry = {.number = o->number, .state = o->state};

		memcpy(entry.id, o->id, 16);
		snapshot_outcome_encode(out + used, &entry);
		used += SNAPSHOT_OUTCOME_BYTES;
	}
	*cursor = at;
	return used;
}

uint64_t node_time(const struct node *node)
{
	return node->clock.last;
}

uint64_t node_horizon_ms(const struct node *node)
{
	return node->outcomes.horizon_ms;
}
