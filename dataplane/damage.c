/* SPDX-License-Identifier: Apache-2.0 */
/* damage.c - see damage.h. */
#include "dataplane/damage.h"

#include <stdatomic.h>
#include <string.h>

#define READ_TRIES 8

_Static_assert(sizeof(struct node_damage) % sizeof(uint64_t) == 0, "it is copied in words");

/* Word 0. */
_Static_assert(offsetof(struct node_damage, count) == 0, "it is looked at alone");

void damage_publish(struct damage *damage, const struct node_damage *from)
{
	uint32_t sequence = atomic_load_explicit(&damage->sequence, memory_order_relaxed);
	uint64_t word[DAMAGE_WORDS];

	if (!from || from->count == atomic_load_explicit(&damage->word[0], memory_order_relaxed))
		return;
	memcpy(word, from, sizeof(word));
	atomic_store_explicit(&damage->sequence, sequence + 1, memory_order_relaxed);
	atomic_thread_fence(memory_order_seq_cst);
	for (uint32_t i = 0; i < DAMAGE_WORDS; i++)
		atomic_store_explicit(&damage->word[i], word[i], memory_order_relaxed);
	/* Pairs with the acquire in damage_read(). */
	atomic_store_explicit(&damage->sequence, sequence + 2, memory_order_release);
}

bool damage_read(const struct damage *damage, struct node_damage *out)
{
	uint64_t word[DAMAGE_WORDS];

	for (uint32_t attempt = 0; attempt < READ_TRIES; attempt++) {
		uint32_t before = atomic_load_explicit(&damage->sequence, memory_order_acquire);

		for (uint32_t i = 0; i < DAMAGE_WORDS; i++)
			word[i] = atomic_load_explicit(&damage->word[i], memory_order_relaxed);
		atomic_thread_fence(memory_order_acquire);
		if (before % 2 == 0 &&
		    atomic_load_explicit(&damage->sequence, memory_order_relaxed) == before) {
			memcpy(out, word, sizeof(word));
			return out->count > 0;
		}
	}
	return false;
}
