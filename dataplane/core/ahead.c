/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ahead.c - staged prefetching over a burst of requests (MICA, NSDI'14, has the idea).
 *
 * A read of a cold key is four dependent cache misses: bucket, key, newest version, value. Done one
 * request after the other they cost most of a transaction's time; done level by level over the
 * whole burst, the misses of a level overlap.
 */
#include <abaft/wire.h>

#include "dataplane/core/bytes.h"
#include "dataplane/core/node_impl.h"

#define VALUE_AHEAD_BYTES 256

/* NULL: none, or cold. The beginning: beyond it the processor sees by itself where the copy goes.
 */
static void prefetch_value(const uint8_t *value, uint32_t bytes)
{
	uint32_t ahead = bytes < VALUE_AHEAD_BYTES ? bytes : VALUE_AHEAD_BYTES;

	if (!value)
		return;
	for (uint32_t at = 0; at < ahead; at += 64)
		__builtin_prefetch(value + at);
	if (ahead > 0)
		__builtin_prefetch(value + ahead - 1);
}

void node_ahead(struct node *node, const uint8_t *in, uint32_t in_bytes)
{
	struct cursor c = cursor_of(in, in_bytes);
	const struct abaft_wire_header *h = (const void *)cursor_take(&c, sizeof(*h));
	uint32_t ops = h ? load_le16(h->ops) : 0;

	if (h)
		outcome_prefetch(&node->outcomes, h->txn);
	for (uint32_t i = 0; i < ops && node->ahead_count < NODE_AHEAD_MAX; i++) {
		const struct abaft_wire_op *op = (const void *)cursor_take(&c, sizeof(*op));
		uint32_t key_bytes = op ? load_le16(op->key_len) : 0;
		const uint8_t *key = cursor_take(&c, key_bytes);
		struct ahead *a = &node->ahead[node->ahead_count];

		if (c.bad || key_bytes == 0 || key_bytes > ABAFT_KEY_BYTES_MAX)
			return;
		if (op->code == ABAFT_OP_PUT || op->code == ABAFT_OP_PUT_PART)
			cursor_take(&c, load_le32(op->data_len));
		a->id = index_id(&node->store->index, key, key_bytes);
		index_prefetch(&node->store->index, a->id);
		node->ahead_count++;
	}
}

void node_ahead_run(struct node *node)
{
	struct ahead *end = node->ahead + node->ahead_count, *a;

	for (a = node->ahead; a < end; a++) {
		a->key = index_peek(&node->store->index, a->id);
		if (a->key)
			__builtin_prefetch(a->key);
	}
	for (a = node->ahead; a < end; a++) {
		a->newest = NULL;
		if (a->key)
			a->newest = atomic_load_explicit(&a->key->newest, memory_order_acquire);
		if (a->newest) {
			__builtin_prefetch(a->newest);
			__builtin_prefetch((const uint8_t *)a->newest + 64);
		}
	}
	for (a = node->ahead; a < end; a++)
		/* An invisible version's value is not written yet: it belongs to another worker. */
		if (a->newest && version_published(a->newest))
			prefetch_value(version_value(a->newest), a->newest->bytes);
	node->ahead_count = 0;
}
