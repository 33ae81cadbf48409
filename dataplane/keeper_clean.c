/* SPDX-License-Identifier: Apache-2.0 */
/*
 * keeper_clean.c - the keeper empties one segment after another:
 *
 *	choose ▶ READ, a window of up to 4 MiB ▶ COPY what is live in it to the kept log ▶ DURABLE ▶
 *	MOVE the places ▶ the next window ... ▶ EMPTIED: no live byte is left, it may leave
 *
 * E1. What is live is known by the index, not by the disk: a write is copied if a version of its
 *     number has exactly its place. So everything whole that is found in the victim may be offered,
 *     the stale remains of groups that never counted, too.
 * E2. A victim leaves when space.h says that nothing in it is live, and never before. What damage
 *     made unreadable keeps its file: a group or a record whose checksum fails is only searched for
 *     whole records, and for writes that memory still holds.
 * E3. Windows are copied one at a time: between two of them no copy is under way, so a checkpoint
 *     waits for the kept log's mark no longer than for one window (Q5).
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/core/place.h"
#include "dataplane/core/space.h"
#include "dataplane/keeper_impl.h"
#include "dataplane/log/log.h"
#include "dataplane/log/logdev.h"

/* Places that move in one step. */
#define MOVES_STEP 256
/* A version leaves the index a moment before its bytes are taken off. */
#define LOOKS_MAX  8
#define LOOKS_US   1000

int cleaner_create(struct keeper *k)
{
	struct cleaning *c = &k->clean;

	c->moves = calloc(KEEPER_MOVES_MAX, sizeof(*c->moves));
	c->value = malloc(ABAFT_VALUE_BYTES_MAX);
	c->kept = calloc(ABAFT_LOG_SEGMENTS_MAX, sizeof(*c->kept));
	c->kept_segment = UINT32_MAX;
	c->pace.rate = k->config.clean_rate;
	if (!c->moves || !c->value || !c->kept ||
	    posix_memalign((void **)&c->window, ABAFT_LOG_BLOCK_BYTES, KEEPER_WINDOW)) {
		cleaner_destroy(k);
		return -ENOMEM;
	}
	return 0;
}

static void victim_give(struct keeper *k)
{
	struct cleaning *c = &k->clean;

	if (c->stage != CLEAN_NONE)
		shelf_give(k->config.shelf, c->victim.log, c->victim.segment);
	c->stage = CLEAN_NONE;
	c->moves_count = 0;
}

void cleaner_destroy(struct keeper *k)
{
	victim_give(k);
	free(k->clean.window);
	free(k->clean.value);
	free(k->clean.kept);
	free(k->clean.moves);
}

bool cleaner_outstanding(const struct keeper *k)
{
	return k->clean.moves_count > 0;
}

static bool log_is_lost(const struct log *log)
{
	int err = log_error(log);

	return err && err != -ENOSPC;
}

/* Q2. */
static bool covered(const struct keeper *k, uint32_t log, uint32_t segment)
{
	for (uint32_t i = 0; i < k->older.logs; i++)
		if (k->older.mark[i].log == log)
			return k->older.number > 0 && segment < k->older.mark[i].mark.segment;
	return false;
}

static bool room_is_short(const struct keeper *k)
{
	uint64_t most = shelf_bytes_max(k->config.shelf);

	if (k->full || log_error(k->config.kept) == -ENOSPC)
		return true;
	return most > 0 && shelf_bytes(k->config.shelf) + k->config.room_bytes > most;
}

/* What there is to choose from. */
struct survey {
	struct clean_choice choice;
	uint64_t full, live; /* of closed segments */
	bool uncovered;	     /* one of them would be worth it, were it covered */
};

static struct kept_note *note_of(const struct keeper *k, uint32_t segment)
{
	return &k->clean.kept[segment % ABAFT_LOG_SEGMENTS_MAX];
}

/* A kept segment is as old as what was copied there. */
static void tell_age(struct keeper *k, uint32_t segment)
{
	struct kept_note *note = note_of(k, segment);

	if (note->time == 0)
		return;
	shelf_close(k->config.shelf, ABAFT_LOG_KEPT, segment, note->time);
	note->time = 0;
}

/* Of a segment's bytes what is not headers, by the mean write: one record for each. */
static double full_share(const struct keeper *k)
{
	double live = (double)keep_live_total(k->keep);
	double heads = (double)keep_keys(k->keep) * (RECORD_HEAD_BYTES + LOG_RECORD_HEADER_BYTES);

	return live > 0 ? live / (live + heads) : 1;
}

/* What would be live in it if nothing had died. */
static uint64_t full_bytes(const struct keeper *k, const struct shelf_segment *segment)
{
	uint64_t copied = 0;

	if (segment->log == ABAFT_LOG_KEPT)
		copied = note_of(k, segment->segment)->bytes;
	return copied ? copied : (uint64_t)((double)segment->bytes * k->clean.full_share);
}

static void survey_segment(struct keeper *k, struct survey *s, const struct shelf_segment *segment)
{
	uint32_t newest = k->mark[segment->log].segment;
	struct clean_segment it = {.log = segment->log,
				   .segment = segment->segment,
				   .full = full_bytes(k, segment),
				   .time = segment->time};

	if (segment->open || segment->leaving || leave_holds(k, it.log, it.segment))
		return;
	if (it.log == ABAFT_LOG_KEPT)
		tell_age(k, it.segment);
	it.live = keep_segment_live(k->keep, it.log, it.segment);
	it.behind = newest > it.segment ? newest - it.segment : 0;
	s->full += it.full;
	s->live += it.live;
	if (it.live > 0 && damage_holds(k, it.log, it.segment))
		return;
	if (covered(k, it.log, it.segment))
		clean_offer(&s->choice, &it);
	else
		s->uncovered |= clean_worthwhile(&it, s->choice.use_percent);
}

static void survey(struct keeper *k, struct survey *s, uint32_t use_percent)
{
	struct shelf_segment segment;

	memset(s, 0, sizeof(*s));
	clean_choose(&s->choice, CLEAN_BENEFIT, k->wall_us, use_percent);
	keep_begin(k->keep);
	k->clean.full_share = full_share(k);
	for (uint32_t log = 0; log < ABAFT_LOGS_MAX; log++) {
		uint32_t number = 0;

		while (keeper_log(k, log) && shelf_next(k->config.shelf, log, &number, &segment)) {
			survey_segment(k, s, &segment);
			number = segment.segment + 1;
		}
	}
	keep_end(k->keep);
}

/* True if `it` is to be cleaned now: nothing to copy, numbers that run out, or room is wanted. */
static bool wanted(const struct keeper *k, const struct survey *s, bool room_short)
{
	const struct clean_segment *it = &s->choice.victim;

	return it->live == 0 || it->behind >= CLEAN_NUMBERS_BEHIND || room_short ||
	       s->live * 100 < s->full * k->config.use_percent;
}

static void victim_begin(struct keeper *k, const struct clean_segment *it, bool gently)
{
	struct cleaning *c = &k->clean;

	if (it->live == 0) {
		leave_add(k, it->log, it->segment);
		return;
	}
	if (shelf_hold(k->config.shelf, it->log, it->segment, &c->victim))
		return;
	c->gently = gently;
	c->window_at = 0;
	c->window_bytes = 0;
	c->at = 0;
	c->records.at = NULL;
	c->unfit = false;
	c->looks = 0;
	c->stage = CLEAN_READ;
}

/* Microseconds until there may be something to do. */
static uint64_t choose(struct keeper *k)
{
	struct cleaning *c = &k->clean;
	bool room_short = room_is_short(k);
	struct survey s;

	if (k->config.checkpoint_bytes == 0 || k->config.use_percent == 0 || !k->looked ||
	    log_is_lost(k->config.kept) || k->leaving_count == KEEPER_LEAVING_MAX)
		return KEEPER_LOOK_US;
	if (k->mono_us < c->look_us)
		return c->look_us - k->mono_us;
	survey(k, &s, room_short ? 100 : k->config.use_percent);
	if (s.choice.found && wanted(k, &s, room_short)) {
		victim_begin(k, &s.choice.victim, !room_short);
		return 0;
	}
	k->checkpoint_helps = !s.choice.found && s.uncovered && room_short;
	c->look_us = k->mono_us + KEEPER_LOOK_US;
	return KEEPER_LOOK_US;
}

static void note_unfit(struct cleaning *c, uint64_t offset)
{
	if (!c->unfit)
		c->unfit_at = offset;
	c->unfit = true;
}

/* What the disk does not give is zeros: no group. */
static void fill(struct keeper *k, uint8_t *to, uint32_t bytes, uint64_t offset)
{
	struct cleaning *c = &k->clean;
	struct logdev *dev = c->victim.dev;

	if (dev->ops->read(dev, c->victim.handle, to, bytes, offset) == (ssize_t)bytes)
		return;
	for (uint32_t at = 0; at < bytes; at += ABAFT_LOG_BLOCK_BYTES) {
		if (dev->ops->read(dev, c->victim.handle, to + at, ABAFT_LOG_BLOCK_BYTES,
				   offset + at) == ABAFT_LOG_BLOCK_BYTES)
			continue;
		memset(to + at, 0, ABAFT_LOG_BLOCK_BYTES);
		k->stats.read_errors++;
	}
}

static uint64_t read_piece(struct keeper *k)
{
	struct cleaning *c = &k->clean;
	uint64_t offset = c->window_at + c->window_bytes;
	uint64_t bytes = c->victim.bytes - offset, wait;

	if (bytes > KEEPER_WINDOW - c->window_bytes)
		bytes = KEEPER_WINDOW - c->window_bytes;
	if (bytes > KEEPER_PIECE_BYTES)
		bytes = KEEPER_PIECE_BYTES;
	if (bytes == 0) {
		c->stage = CLEAN_COPY;
		return 0;
	}
	if (c->gently && !room_is_short(k)) {
		wait = clean_pace_take(&c->pace, k->mono_us, bytes);
		if (wait)
			return wait;
	}
	fill(k, c->window + c->window_bytes, (uint32_t)bytes, offset);
	c->window_bytes += (uint32_t)bytes;
	k->stats.cleaned_bytes += bytes;
	return 0;
}

/* The next group of the window, whole or not: false when there is none, or not all of it. */
static bool next_group(struct keeper *k)
{
	struct cleaning *c = &k->clean;
	struct group_header header;
	struct format_place place = {.log = c->victim.log,
				     .segment = c->victim.segment,
				     .segment_blocks =
					     (uint32_t)(c->victim.bytes / ABAFT_LOG_BLOCK_BYTES)};
	uint32_t bytes;

	memcpy(place.node_id, k->config.node_id, sizeof(place.node_id));
	for (; c->at < c->window_bytes; c->at += ABAFT_LOG_BLOCK_BYTES) {
		place.block = (uint32_t)((c->window_at + c->at) / ABAFT_LOG_BLOCK_BYTES);
		if (format_header_parse(c->window + c->at, &place, &header) != FORMAT_FITS) {
			note_unfit(c, c->window_at + c->at);
			continue;
		}
		bytes = format_blocks_up(LOG_GROUP_HEADER_BYTES + header.payload_bytes);
		if (bytes > c->window_bytes - c->at)
			return false;
		c->records.at = c->window + c->at + LOG_GROUP_HEADER_BYTES;
		c->records.end = c->records.at + header.payload_bytes;
		c->group_end = c->at + bytes;
		if (format_payload_check(&header, c->records.at) != FORMAT_FITS) {
			note_unfit(c, c->window_at + c->at);
			c->group_end = c->at + ABAFT_LOG_BLOCK_BYTES; /* E2 */
		}
		return true;
	}
	return false;
}

/* What a copy makes of its segment. */
static void note_copy(struct keeper *k, uint32_t segment, struct vnum number,
		      const struct record_write *writes, uint32_t count)
{
	struct kept_note *note = note_of(k, segment);
	uint64_t time = number.time >> HLC_COUNT_BITS;

	if (k->clean.kept_segment != segment)
		*note = (struct kept_note){0};
	k->clean.kept_segment = segment;
	note->time = time > note->time ? time : note->time;
	for (uint32_t i = 0; i < count; i++)
		note->bytes += space_bytes(writes[i].key_bytes, writes[i].bytes);
}

/* The place of a record's first byte, which is in the window. */
static uint64_t place_of(const struct cleaning *c, const uint8_t *data)
{
	return place_make(c->victim.log, c->victim.segment,
			  (uint32_t)(c->window_at + (uint64_t)(data - c->window)));
}

/* Copies writes of the record, which is in the window, as one of the kept log. */
static bool append(struct keeper *k, const struct record *record, struct record_write *writes,
		   uint32_t count)
{
	uint64_t from = place_of(&k->clean, record->data), seq, to;
	uint32_t bytes = record_kept_bytes(writes, count);
	struct move *moves = k->clean.moves + k->clean.moves_count;
	uint8_t *out = log_reserve(k->config.kept, bytes);

	if (!out)
		return false;
	for (uint32_t i = 0; i < count; i++) {
		moves[i].number = record->number;
		moves[i].from = from + writes[i].offset;
	}
	record_kept_encode(out, record->id, record->number, writes, count);
	seq = log_append(k->config.kept, bytes, RECORD_KEPT);
	to = log_place(k->config.kept);
	note_copy(k, place_segment(to), record->number, writes, count);
	for (uint32_t i = 0; i < count; i++) {
		moves[i].write = writes[i];
		moves[i].to = to + writes[i].offset;
		moves[i].seq = seq;
	}
	k->clean.moves_count += count;
	k->stats.kept_bytes += bytes;
	return true;
}

/* Copies what is live in a record. False: there is no room for it now. */
static bool copy_record(struct keeper *k, const struct format_record *found, uint32_t *budget)
{
	struct record_write writes[ABAFT_TXN_WRITES_MAX];
	uint64_t place = place_of(&k->clean, found->data);
	struct record record;
	uint32_t count = 0;

	if (!record_open(&record, found->type, found->data, found->bytes))
		return true;
	if (record.writes > KEEPER_MOVES_MAX - k->clean.moves_count)
		return false;
	*budget -= record.writes < *budget ? record.writes : *budget;
	for (uint32_t i = 0; i < record.writes; i++) {
		if (!record_next(&record, &writes[count]))
			break;
		count += keep_live(k->keep, place + writes[count].offset, record.number,
				   &writes[count]);
	}
	return count == 0 || append(k, &record, writes, count);
}

/*
 * A record whose checksum fails. What of it names a live write in its exact place is that write;
 * its value is taken from memory, if it is there (E2). One at a time, as there is one buffer.
 */
static bool save_record(struct keeper *k, const struct format_record *found, uint32_t *budget)
{
	uint64_t place = place_of(&k->clean, found->data);
	struct record_write write;
	struct record record;

	note_unfit(&k->clean, k->clean.window_at + k->clean.at);
	if (!record_open(&record, found->type, found->data, found->bytes))
		return true;
	if (record.writes > KEEPER_MOVES_MAX - k->clean.moves_count)
		return false;
	for (uint32_t i = 0; i < record.writes && record_next(&record, &write); i++) {
		*budget -= *budget > 0;
		if (!keep_copy(k->keep, place + write.offset, record.number, &write,
			       k->clean.value))
			continue;
		write.value = k->clean.value;
		if (!append(k, &record, &write, 1))
			return false;
	}
	return true;
}

/* One record of the group. False: there is no room for it now. */
static bool copy_next(struct keeper *k, uint32_t *budget)
{
	struct cleaning *c = &k->clean;
	struct format_cursor before = c->records;
	struct format_record found;
	bool taken = true;
	int more = format_record_next(&c->records, &found);

	if (more > 0)
		taken = copy_record(k, &found, budget);
	else if (more == -EILSEQ)
		taken = save_record(k, &found, budget);
	if (!taken) {
		c->records = before;
		return false;
	}
	*budget -= *budget > 0;
	if (more == 0 || more == -EBADMSG) {
		c->at = c->group_end;
		c->records.at = NULL;
	}
	return true;
}

/* The window is through, and nothing of it is on its way. */
static void window_next(struct cleaning *c)
{
	memmove(c->window, c->window + c->at, c->window_bytes - c->at);
	c->window_at += c->at;
	c->window_bytes -= c->at;
	c->at = 0;
	c->stage = c->window_at == c->victim.bytes ? CLEAN_EMPTIED : CLEAN_READ;
}

static uint64_t copy(struct keeper *k)
{
	struct cleaning *c = &k->clean;
	uint32_t budget = KEEPER_WRITES_STEP;
	bool more = true, room = true;

	if (checkpointer_holds_moves(k) && c->moves_count == 0)
		return KEEPER_NAP_US;
	keep_begin(k->keep);
	while (more && room && budget > 0) {
		if (!c->records.at)
			more = next_group(k);
		else
			room = copy_next(k, &budget);
	}
	keep_end(k->keep);
	if (more && room)
		return 0;
	log_submit(k->config.kept, keeper_now(k));
	if (c->moves_count > 0) {
		c->moved = 0;
		c->stage = CLEAN_DURABLE;
		return 0;
	}
	if (!room) /* groups in flight, or a full disk */
		return log_error(k->config.kept) ? KEEPER_LOOK_US : KEEPER_NAP_US;
	window_next(c);
	return 0;
}

static uint64_t wait_durable(struct keeper *k)
{
	struct cleaning *c = &k->clean;
	uint64_t durable = log_durable(k->config.kept);

	log_submit(k->config.kept, keeper_now(k));
	if (log_is_lost(k->config.kept)) /* what did not become durable never will */
		while (c->moves_count > 0 && c->moves[c->moves_count - 1].seq > durable)
			c->moves_count--;
	if (c->moves_count > 0 && c->moves[c->moves_count - 1].seq > durable)
		return KEEPER_NAP_US;
	c->stage = CLEAN_MOVE;
	return 0;
}

static uint64_t move(struct keeper *k)
{
	struct cleaning *c = &k->clean;
	uint32_t end = c->moved + MOVES_STEP;

	end = end < c->moves_count ? end : c->moves_count;
	keep_begin(k->keep);
	for (; c->moved < end; c->moved++) {
		const struct move *it = &c->moves[c->moved];

		/* False: it died meanwhile, and its copy with it. */
		(void)keep_move(k->keep, it->number, &it->write, it->from, it->to);
	}
	keep_end(k->keep);
	if (c->moved < c->moves_count)
		return 0;
	c->moves_count = 0;
	c->stage = CLEAN_COPY;
	if (log_is_lost(k->config.kept))
		victim_give(k);
	return 0;
}

static uint64_t emptied(struct keeper *k)
{
	struct cleaning *c = &k->clean;
	struct keeper_damage damage = {
		.log = c->victim.log, .segment = c->victim.segment, .offset = c->unfit_at};

	keep_begin(k->keep);
	damage.bytes = keep_segment_live(k->keep, damage.log, damage.segment);
	keep_end(k->keep);
	if (damage.bytes > 0 && c->looks++ < LOOKS_MAX)
		return LOOKS_US;
	victim_give(k);
	if (damage.bytes > 0)
		damage_add(k, &damage);
	else
		leave_add(k, damage.log, damage.segment);
	return 0;
}

uint64_t cleaner_step(struct keeper *k)
{
	switch (k->clean.stage) {
	case CLEAN_NONE:
		return choose(k);
	case CLEAN_READ:
		return read_piece(k);
	case CLEAN_COPY:
		return copy(k);
	case CLEAN_DURABLE:
		return wait_durable(k);
	case CLEAN_MOVE:
		return move(k);
	case CLEAN_EMPTIED:
		return emptied(k);
	}
	return KEEPER_LOOK_US;
}
