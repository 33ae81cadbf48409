/* SPDX-License-Identifier: Apache-2.0 */
/*
 * shelf.c - see shelf.h.
 *
 * An entry's word is (number, state, readers); a free entry's is 0:
 *
 *	FREE ─add─▶ FILLING ─▶ OPEN ─close─▶ CLOSED ─remove─▶ LEAVING ─gone─▶ EMPTYING ─▶ FREE
 *
 * I1. Who moves an entry to FILLING or EMPTYING owns it alone until it moves on: nobody else
 *     changes a word in these states, and they have no readers.
 * I2. The fields are written only in FILLING, before the release that makes the entry OPEN; so who
 *     sees a number in its word by an acquire sees that number's fields. (`time` alone changes
 *     later, and is one word itself.)
 * I3. Readers are counted in the very word that says whether new ones may come. So once the word
 *     says LEAVING the count only falls, and gone()'s exchange of (LEAVING, 0) happens after the
 *     last give() (release, acquire): the handle is closed when nobody uses it.
 * I4. A number is never put there twice. So when shelf_next(), which holds nothing, finds the same
 *     number in the word before and after it read the fields, they are that number's: each field
 *     is stored with release after the word became FILLING and loaded with acquire, so who sees a
 *     later segment's field sees a later word, too.
 * I5. Numbers rise, and a number's entry and those of the numbers that it skips must be free. So
 *     all that are there lie within the ABAFT_LOG_SEGMENTS_MAX numbers up to the newest.
 */
#include "dataplane/log/shelf.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "dataplane/log/logdev.h"

enum state { FREE, FILLING, OPEN, CLOSED, LEAVING, EMPTYING };

#define STATE_SHIFT  24
#define NUMBER_SHIFT 32
#define READERS_MASK ((UINT64_C(1) << STATE_SHIFT) - 1)

struct entry {
	_Atomic uint64_t word;
	_Atomic uint64_t time;
	_Atomic uint64_t bytes;
	struct logdev *_Atomic dev;
	_Atomic int handle;
};

/* One log's. */
struct ring {
	_Atomic uint32_t end; /* behind the newest */
	struct entry entries[ABAFT_LOG_SEGMENTS_MAX];
};

struct shelf {
	uint64_t bytes_max;
	uint64_t reserve;
	_Atomic uint64_t claimed;
	atomic_bool kept_first;
	struct ring *_Atomic rings[ABAFT_LOGS_MAX];
};

static uint64_t word_of(uint32_t segment, enum state state)
{
	return (uint64_t)segment << NUMBER_SHIFT | (uint64_t)state << STATE_SHIFT;
}

static enum state state_of(uint64_t word)
{
	return (enum state)(word >> STATE_SHIFT & 0xff);
}

static struct ring *ring_of(const struct shelf *shelf, uint32_t log)
{
	return log < ABAFT_LOGS_MAX ? atomic_load_explicit(&shelf->rings[log], memory_order_acquire)
				    : NULL;
}

/* The entry where the segment stands if it is there. */
static struct entry *entry_of(const struct shelf *shelf, uint32_t log, uint32_t segment)
{
	struct ring *ring = ring_of(shelf, log);

	return ring ? &ring->entries[segment % ABAFT_LOG_SEGMENTS_MAX] : NULL;
}

/* The segment is in the word, and in one of the states that everybody may see. */
static bool shows(uint64_t word, uint32_t segment)
{
	return word >> NUMBER_SHIFT == segment && state_of(word) >= OPEN &&
	       state_of(word) <= LEAVING;
}

int shelf_create(struct shelf **out, uint64_t bytes_max, uint64_t reserve)
{
	struct shelf *shelf = calloc(1, sizeof(*shelf));

	if (!shelf)
		return -ENOMEM;
	shelf->bytes_max = bytes_max;
	shelf->reserve = reserve < bytes_max ? reserve : bytes_max;
	*out = shelf;
	return 0;
}

void shelf_destroy(struct shelf *shelf)
{
	for (uint32_t log = 0; log < ABAFT_LOGS_MAX; log++) {
		shelf_forget(shelf, log);
		free(shelf->rings[log]);
	}
	free(shelf);
}

int shelf_claim(struct shelf *shelf, uint32_t log, uint64_t bytes)
{
	uint64_t bound = shelf->bytes_max - (log == ABAFT_LOG_KEPT ? 0 : shelf->reserve);
	uint64_t claimed = atomic_load(&shelf->claimed);

	if (log != ABAFT_LOG_KEPT && atomic_load(&shelf->kept_first))
		return -ENOSPC;
	do {
		if (shelf->bytes_max && (bytes > bound || claimed > bound - bytes))
			return -ENOSPC;
	} while (!atomic_compare_exchange_weak(&shelf->claimed, &claimed, claimed + bytes));
	return 0;
}

bool shelf_ample(const struct shelf *shelf, uint64_t bytes)
{
	uint64_t wanted = shelf->reserve + atomic_load(&shelf->claimed);

	for (uint32_t log = 0; log < ABAFT_LOGS_MAX; log++)
		if (atomic_load_explicit(&shelf->rings[log], memory_order_relaxed))
			wanted += bytes;
	return !atomic_load(&shelf->kept_first) &&
	       (!shelf->bytes_max || wanted <= shelf->bytes_max);
}

void shelf_unclaim(struct shelf *shelf, uint64_t bytes)
{
	atomic_fetch_sub(&shelf->claimed, bytes);
}

void shelf_kept_first(struct shelf *shelf, bool first)
{
	atomic_store(&shelf->kept_first, first);
}

void shelf_found(struct shelf *shelf, uint64_t bytes)
{
	atomic_fetch_add(&shelf->claimed, bytes);
}

/* A log's ring, made for its first segment. */
static struct ring *ring_made(struct shelf *shelf, uint32_t log)
{
	struct ring *ring = ring_of(shelf, log), *none = NULL;

	if (ring || log >= ABAFT_LOGS_MAX)
		return ring;
	ring = calloc(1, sizeof(*ring));
	if (ring && !atomic_compare_exchange_strong(&shelf->rings[log], &none, ring)) {
		free(ring);
		ring = none;
	}
	return ring;
}

/* I5. A segment that stands where a number between the newest and this one would. */
static bool skips_one(const struct ring *ring, uint32_t segment)
{
	uint32_t number = atomic_load_explicit(&ring->end, memory_order_relaxed);

	if (segment > ABAFT_LOG_SEGMENTS_MAX && number < segment - ABAFT_LOG_SEGMENTS_MAX)
		number = segment - ABAFT_LOG_SEGMENTS_MAX;
	for (; number < segment; number++)
		if (atomic_load(&ring->entries[number % ABAFT_LOG_SEGMENTS_MAX].word))
			return true;
	return false;
}

int shelf_add(struct shelf *shelf, const struct shelf_segment *segment)
{
	struct ring *ring = ring_made(shelf, segment->log);
	uint64_t word = 0;
	struct entry *entry;

	if (!ring)
		return -ENOMEM;
	if (skips_one(ring, segment->segment))
		return -ENOSPC;
	entry = &ring->entries[segment->segment % ABAFT_LOG_SEGMENTS_MAX];
	if (!atomic_compare_exchange_strong(&entry->word, &word,
					    word_of(segment->segment, FILLING)))
		return -ENOSPC;
	atomic_store_explicit(&entry->time, segment->time, memory_order_release);
	atomic_store_explicit(&entry->bytes, segment->bytes, memory_order_release);
	atomic_store_explicit(&entry->dev, segment->dev, memory_order_release);
	atomic_store_explicit(&entry->handle, segment->handle, memory_order_release);
	atomic_store_explicit(&entry->word,
			      word_of(segment->segment, segment->open ? OPEN : CLOSED),
			      memory_order_release);
	atomic_store_explicit(&ring->end, segment->segment + 1, memory_order_release);
	return 0;
}

/* From one state to another, whoever reads. False: it is not there in that state. */
static bool move(struct entry *entry, uint32_t segment, enum state from, enum state to)
{
	uint64_t word = atomic_load_explicit(&entry->word, memory_order_acquire);

	do {
		if ((word & ~READERS_MASK) != word_of(segment, from))
			return false;
	} while (!atomic_compare_exchange_weak(&entry->word, &word,
					       word_of(segment, to) | (word & READERS_MASK)));
	return true;
}

void shelf_close(struct shelf *shelf, uint32_t log, uint32_t segment, uint64_t time)
{
	struct entry *entry = entry_of(shelf, log, segment);

	if (!entry || !shows(atomic_load_explicit(&entry->word, memory_order_acquire), segment))
		return;
	atomic_store_explicit(&entry->time, time, memory_order_release);
	move(entry, segment, OPEN, CLOSED);
}

static void read_fields(const struct entry *entry, struct shelf_segment *out)
{
	out->time = atomic_load_explicit(&entry->time, memory_order_acquire);
	out->bytes = atomic_load_explicit(&entry->bytes, memory_order_acquire);
	out->dev = atomic_load_explicit(&entry->dev, memory_order_acquire);
	out->handle = atomic_load_explicit(&entry->handle, memory_order_acquire);
}

int shelf_hold(struct shelf *shelf, uint32_t log, uint32_t segment, struct shelf_segment *out)
{
	struct entry *entry = entry_of(shelf, log, segment);
	uint64_t word;

	if (!entry)
		return -ESTALE;
	word = atomic_load_explicit(&entry->word, memory_order_acquire);
	do {
		if (!shows(word, segment) || state_of(word) == LEAVING)
			return -ESTALE;
	} while (!atomic_compare_exchange_weak_explicit(
		&entry->word, &word, word + 1, memory_order_acquire, memory_order_acquire));
	*out = (struct shelf_segment){
		.log = log, .segment = segment, .open = state_of(word) == OPEN};
	read_fields(entry, out);
	return 0;
}

void shelf_give(struct shelf *shelf, uint32_t log, uint32_t segment)
{
	struct entry *entry = entry_of(shelf, log, segment);
	uint64_t word;

	if (!entry)
		return;
	word = atomic_load_explicit(&entry->word, memory_order_relaxed);
	do {
		if (!shows(word, segment) || !(word & READERS_MASK))
			return; /* its log was forgotten meanwhile */
	} while (!atomic_compare_exchange_weak_explicit(
		&entry->word, &word, word - 1, memory_order_release, memory_order_relaxed));
}

void shelf_remove(struct shelf *shelf, uint32_t log, uint32_t segment)
{
	struct entry *entry = entry_of(shelf, log, segment);

	if (entry)
		move(entry, segment, CLOSED, LEAVING);
}

/* Closes its handle and frees the entry, which is EMPTYING. */
static void empty(struct entry *entry)
{
	struct shelf_segment segment;

	read_fields(entry, &segment);
	segment.dev->ops->close(segment.dev, segment.handle);
	atomic_store_explicit(&entry->word, 0, memory_order_release);
}

bool shelf_gone(struct shelf *shelf, uint32_t log, uint32_t segment)
{
	struct entry *entry = entry_of(shelf, log, segment);
	uint64_t word = word_of(segment, LEAVING);

	if (!entry ||
	    !atomic_compare_exchange_strong(&entry->word, &word, word_of(segment, EMPTYING)))
		return false;
	empty(entry);
	return true;
}

void shelf_forget(struct shelf *shelf, uint32_t log)
{
	struct shelf_segment segment;
	uint32_t number = 0;

	for (; shelf_next(shelf, log, &number, &segment); number++) {
		struct entry *entry = entry_of(shelf, log, number);

		atomic_store(&entry->word, word_of(number, EMPTYING));
		empty(entry);
	}
}

/* A picture of the segment, if it is there. */
static bool look(const struct entry *entry, uint32_t segment, struct shelf_segment *out)
{
	uint64_t word = atomic_load_explicit(&entry->word, memory_order_acquire);

	if (!shows(word, segment))
		return false;
	read_fields(entry, out);
	word = atomic_load_explicit(&entry->word, memory_order_acquire); /* I4 */
	out->segment = segment;
	out->open = state_of(word) == OPEN;
	out->leaving = state_of(word) == LEAVING;
	return shows(word, segment);
}

bool shelf_next(const struct shelf *shelf, uint32_t log, uint32_t *segment,
		struct shelf_segment *out)
{
	struct ring *ring = ring_of(shelf, log);
	uint32_t end, number = *segment;

	if (!ring)
		return false;
	end = atomic_load_explicit(&ring->end, memory_order_acquire);
	if (end > ABAFT_LOG_SEGMENTS_MAX && number < end - ABAFT_LOG_SEGMENTS_MAX)
		number = end - ABAFT_LOG_SEGMENTS_MAX; /* I5 */
	for (; number < end; number++) {
		if (!look(&ring->entries[number % ABAFT_LOG_SEGMENTS_MAX], number, out))
			continue;
		out->log = log;
		*segment = number;
		return true;
	}
	return false;
}

uint64_t shelf_bytes(const struct shelf *shelf)
{
	return atomic_load(&shelf->claimed);
}

uint64_t shelf_bytes_max(const struct shelf *shelf)
{
	return shelf->bytes_max;
}
