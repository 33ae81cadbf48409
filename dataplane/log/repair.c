/* SPDX-License-Identifier: Apache-2.0 */
/*
 * repair.c - walks a log as recovery does (recover.c), and mends what stops it; see repair.h.
 *
 * The segments before the mark are walked in rows without a gap, each from the group that it begins
 * with; the last row ends at the mark. Then from the mark, or from the beginning, to the end. Let n
 * be the group that is due:
 *
 * R1. It is whole and follows: on to the next.
 * R2. Its header is whole and follows, but not what is behind it: if n was durable, its whole
 * records stay (repair_group.c). n was durable before the mark, unless it is the last of a row that
 *     ends before the mark: there, and behind the mark, a header behind it must say so.
 * R3. Its header is gone. If n was durable the next whole group m is sought, and what is between
 *     filled with lost records (repair_fill.c), or n's header made again if the chain proves it.
 *     Else this is the end.
 * R4. Of what looks like m one is meant that was durable itself, or is of the last incarnation
 *     there is, or is followed by a group that says that it was durable: an older group that shows
 *     again where a write was lost is none of these. Before the mark, where nobody replays what
 *     is found, any will do that lies between n and the mark.
 * R5. Behind the mark not all groups between n and m need have been durable: then m was in flight
 *     with them, and is dropped as recovery drops it. Only what was durable is filled in.
 */
#include "dataplane/log/repair.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/log/repair_impl.h"

/* No log lives long enough for more. */
#define SEQUENCE_MAX  (UINT64_C(1) << 62)
/* R4: groups that follow one another, of which one must say it. */
#define FOLLOWERS_MAX 16

int repair_refuse(struct repair_walk *walk, const char *format, ...)
{
	const struct log_config *config = walk->repair->config;
	char text[384];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	snprintf(walk->why, walk->why_bytes, "log %s/log-%03u: %s", config->dir ? config->dir : "",
		 config->number, text);
	return -EBADMSG;
}

void repair_tell(struct repair_walk *walk, const struct repair_loss *loss)
{
	struct repair *repair = walk->repair;

	repair->stats.losses++;
	if (loss->record_first)
		repair->stats.records += loss->record_last - loss->record_first + 1;
	if (repair->loss)
		repair->loss(repair->arg, loss);
}

struct repair_segment *repair_segment(const struct repair_walk *walk, uint32_t index)
{
	return &walk->repair->segments[index];
}

enum format_verdict repair_header(const struct repair_walk *walk, uint32_t index, uint64_t offset,
				  struct group_header *out)
{
	const struct repair_segment *segment = repair_segment(walk, index);
	struct format_place place = {
		.log = walk->repair->config->number,
		.segment = segment->number,
		.segment_blocks = (uint32_t)(segment->bytes / ABAFT_LOG_BLOCK_BYTES),
		.block = (uint32_t)(offset / ABAFT_LOG_BLOCK_BYTES),
	};
	enum format_verdict verdict;

	memcpy(place.node_id, walk->repair->config->node_id, sizeof(place.node_id));
	verdict = format_header_parse(segment->data + offset, &place, out);
	if (verdict == FORMAT_FITS &&
	    (out->sequence > SEQUENCE_MAX || out->record_first > SEQUENCE_MAX ||
	     out->record_first == 0 || out->sequence == 0 || out->incarnation == 0))
		return FORMAT_LENGTHS;
	return verdict;
}

static bool before(uint32_t index, uint64_t offset, const struct repair_at *at)
{
	return index < at->index || (index == at->index && offset < at->offset);
}

static enum format_verdict follows(const struct repair_walk *walk,
				   const struct group_header *header)
{
	const struct repair_at *at = &walk->at;

	if (walk->ends && header->sequence > walk->end.group)
		return FORMAT_SEQUENCE;
	if (!at->known)
		return FORMAT_FITS;
	if (header->sequence != at->group + 1 || header->record_first != at->record + 1)
		return FORMAT_SEQUENCE;
	if (header->previous_crc != at->crc)
		return FORMAT_CHAIN;
	if (header->incarnation < at->incarnation)
		return FORMAT_INCARNATION;
	return header->version < at->version ? FORMAT_VERSION : FORMAT_FITS;
}

/* From the end backwards: of each incarnation those that say more than the ones behind them. */
static int find_proofs(struct repair_walk *walk)
{
	size_t room = 0;

	walk->have_proofs = true;
	for (uint32_t i = walk->last + 1; i-- > walk->at.index;) {
		uint64_t first = i == walk->at.index ? walk->at.offset : 0;

		for (uint64_t offset = repair_segment(walk, i)->bytes; offset > first;) {
			struct group_header header;
			bool more = true;

			offset -= ABAFT_LOG_BLOCK_BYTES;
			if (repair_header(walk, i, offset, &header) != FORMAT_FITS)
				continue;
			for (size_t k = 0; k < walk->proofs_count; k++)
				if (walk->proofs[k].incarnation == header.incarnation)
					more &= header.durable > walk->proofs[k].durable;
			if (!more)
				continue;
			if (walk->proofs_count == room) {
				struct repair_proof *proofs;

				room = room ? 2 * room : 16;
				proofs = reallocarray(walk->proofs, room, sizeof(*proofs));
				if (!proofs)
					return repair_refuse(walk, "no memory to repair it"),
					       -ENOMEM;
				walk->proofs = proofs;
			}
			walk->proofs[walk->proofs_count++] = (struct repair_proof){
				offset, header.durable, i, header.incarnation};
		}
	}
	return 0;
}

/* Whether a header here or behind says that this group was durable, of this incarnation, or of a
 * later one if `or_later`. */
static bool proven(const struct repair_walk *walk, uint64_t group, uint32_t incarnation,
		   bool or_later)
{
	for (size_t i = 0; i < walk->proofs_count; i++) {
		const struct repair_proof *proof = &walk->proofs[i];

		if (!before(proof->index, proof->offset, &walk->at) && proof->durable >= group &&
		    (proof->incarnation == incarnation ||
		     (or_later && proof->incarnation > incarnation)))
			return true;
	}
	return false;
}

/* R2. */
static int is_durable(struct repair_walk *walk, uint64_t group, uint64_t offset)
{
	int err = 0;

	if (walk->ends || (walk->closed && offset == 0))
		return 1;
	if (!walk->have_proofs)
		err = find_proofs(walk);
	return err ? err : proven(walk, group, walk->at.incarnation, true);
}

static void take(struct repair_walk *walk, uint32_t index, uint64_t offset,
		 const struct group_header *header)
{
	walk->at = (struct repair_at){
		.index = index,
		.offset = offset + format_blocks_up(LOG_GROUP_HEADER_BYTES + header->payload_bytes),
		.group = header->sequence,
		.record = header->record_first + header->records - 1,
		.crc = header->header_crc,
		.incarnation = header->incarnation,
		.version = header->version,
		.known = true,
	};
}

/* R1 and R2 at one place: 1 if it is taken, 0 and why not, or an error. */
static int try_place(struct repair_walk *walk, uint32_t index, uint64_t offset,
		     enum format_verdict *verdict)
{
	struct group_header header;
	int durable = 1;

	*verdict = FORMAT_NOTHING;
	if (index > walk->last || offset >= repair_segment(walk, index)->bytes ||
	    (walk->ends && !before(index, offset, &walk->end)))
		return 0;
	*verdict = repair_header(walk, index, offset, &header);
	if (*verdict == FORMAT_FITS)
		*verdict = follows(walk, &header);
	if (*verdict != FORMAT_FITS)
		return 0;
	*verdict = format_payload_check(&header, repair_segment(walk, index)->data + offset +
							 LOG_GROUP_HEADER_BYTES);
	if (*verdict == FORMAT_PAYLOAD_CRC)
		durable = is_durable(walk, header.sequence, offset);
	if (durable <= 0)
		return durable;
	if (*verdict != FORMAT_FITS)
		repair_salvage(walk, index, offset, &header);
	take(walk, index, offset, &header);
	return 1;
}

/* R4. */
static bool is_ours(const struct repair_walk *walk, uint32_t index, uint64_t offset,
		    struct group_header header)
{
	uint64_t group = header.sequence;
	bool last = true;

	if (walk->ends && group == walk->end.group && header.header_crc == walk->end.crc)
		return true;
	for (size_t i = 0; i < walk->proofs_count; i++)
		last &= walk->proofs[i].incarnation <= header.incarnation;
	for (int i = 0; i < FOLLOWERS_MAX; i++) {
		struct group_header next;

		if (last || (i > 0 && header.durable >= group) ||
		    proven(walk, group, header.incarnation, false))
			return true;
		offset += format_blocks_up(LOG_GROUP_HEADER_BYTES + header.payload_bytes);
		if (offset >= repair_segment(walk, index)->bytes ||
		    repair_header(walk, index, offset, &next) != FORMAT_FITS ||
		    next.previous_crc != header.header_crc) {
			offset = 0;
			if (index++ == walk->last ||
			    repair_header(walk, index, 0, &next) != FORMAT_FITS ||
			    next.previous_crc != header.header_crc)
				return false;
		}
		header = next;
	}
	return false;
}

/* Whether this may be the next whole group behind those that are lost. */
static bool comes_later(const struct repair_walk *walk, const struct group_header *header)
{
	const struct repair_at *at = &walk->at;

	if (walk->ends &&
	    (header->sequence > walk->end.group || header->record_first > walk->end.record + 1))
		return false;
	return !at->known ? header->sequence > 1
			  : header->sequence > at->group + 1 && header->record_first > at->record &&
				    header->incarnation >= at->incarnation &&
				    header->version >= at->version;
}

/* R4. False: there is none. */
static bool seek(const struct repair_walk *walk, bool strict, struct repair_at *to)
{
	for (uint32_t i = walk->at.index; i <= walk->last; i++) {
		uint64_t offset = i == walk->at.index ? walk->at.offset + ABAFT_LOG_BLOCK_BYTES : 0;

		for (; offset < repair_segment(walk, i)->bytes; offset += ABAFT_LOG_BLOCK_BYTES) {
			struct group_header header;

			if (walk->ends && !before(i, offset, &walk->end))
				return false;
			if (repair_header(walk, i, offset, &header) != FORMAT_FITS ||
			    !comes_later(walk, &header) ||
			    (strict && !is_ours(walk, i, offset, header)))
				continue;
			*to = (struct repair_at){.index = i,
						 .offset = offset,
						 .group = header.sequence - 1,
						 .record = header.record_first - 1,
						 .crc = header.previous_crc,
						 .incarnation = header.incarnation,
						 .version = header.version,
						 .known = true};
			return true;
		}
	}
	return false;
}

/* R5. */
static void end_at_proven(const struct repair_walk *walk, struct repair_at *to)
{
	uint64_t durable = walk->at.group;

	if (!walk->at.known || walk->ends || walk->closed)
		return;
	for (size_t i = 0; i < walk->proofs_count; i++) {
		const struct repair_proof *proof = &walk->proofs[i];

		if (!before(proof->index, proof->offset, &walk->at) &&
		    proof->incarnation >= walk->at.incarnation && proof->durable > durable)
			durable = proof->durable;
	}
	if (to->group <= durable)
		return;
	/* How many records were in the rest is not known: one in each. */
	to->record -= to->record - walk->at.record < to->group - durable
			      ? to->record - walk->at.record
			      : to->group - durable;
	to->group = durable;
}

/* R3: 1: it goes on, 0: this is the end. */
static int mend(struct repair_walk *walk, const struct repair_at *row_before,
		enum format_verdict verdict)
{
	bool closed = walk->ends || walk->closed;
	struct repair_at to;
	int err;

	if (!walk->have_proofs) {
		err = find_proofs(walk);
		if (err)
			return err;
	}
	if (walk->at.known && !walk->ends &&
	    !proven(walk, walk->at.group + 1, walk->at.incarnation, true))
		return 0;
	if (!seek(walk, true, &to) && (!closed || !seek(walk, false, &to))) {
		if (!walk->ends && !walk->at.known)
			return repair_fill_all(walk, row_before);
		if (!walk->ends)
			return repair_refuse(
				walk,
				"group %llu, in segment %08x at byte %llu, was durable, and "
				"nothing "
				"whole behind it can be joined to what is before; restore it from "
				"a copy",
				(unsigned long long)walk->at.group + 1,
				repair_segment(walk, walk->at.index)->number,
				(unsigned long long)walk->at.offset);
		to = walk->end;
	}
	end_at_proven(walk, &to);
	if (repair_rebuild(walk, &to)) {
		walk->at = to;
		return 1;
	}
	err = repair_fill(walk, &to, format_verdict_text(verdict));
	return err ? err : 1;
}

/* True: the mark follows. An error: it cannot. */
static int at_mark(struct repair_walk *walk)
{
	const struct repair_at *at = &walk->at, *end = &walk->end;

	if (!walk->ends)
		return 0;
	if (at->known && at->group == end->group && at->record == end->record &&
	    at->crc == end->crc &&
	    ((at->index == end->index && at->offset == end->offset) ||
	     (at->index + 1 == end->index && end->offset == 0)))
		return 1;
	if (before(at->index, at->offset, end) && (!at->known || at->group < end->group))
		return 0;
	return repair_refuse(
		walk,
		"group %llu in segment %08x does not lead to where the checkpoint says "
		"that it goes on; they are not of the same log",
		(unsigned long long)at->group, repair_segment(walk, at->index)->number);
}

static int walk_row(struct repair_walk *walk, const struct repair_at *row_before)
{
	int more = 1;

	while (more > 0) {
		enum format_verdict verdict, next;
		int err = at_mark(walk);

		if (err)
			return err < 0 ? err : 0;
		more = try_place(walk, walk->at.index, walk->at.offset, &verdict);
		if (more == 0 && walk->at.index < walk->last && walk->at.known)
			more = try_place(walk, walk->at.index + 1, 0, &next);
		if (more == 0)
			more = mend(walk, row_before, verdict);
	}
	return more;
}

/* Behind the end nothing is ours but what begins each segment: recovery refuses another thing
 * there. */
static int clear_behind(struct repair_walk *walk)
{
	struct repair *repair = walk->repair;
	uint32_t incarnation = walk->at.incarnation;

	for (size_t i = 0; i < walk->proofs_count; i++)
		if (walk->proofs[i].incarnation > incarnation)
			incarnation = walk->proofs[i].incarnation;
	if (incarnation == UINT32_MAX)
		return repair_refuse(walk, "it says that it was opened 4294967295 times: damaged, "
					   "or forged");
	for (uint32_t i = walk->at.index + (walk->at.offset > 0); i <= walk->last; i++) {
		struct group_header header;
		enum format_verdict verdict = repair_header(walk, i, 0, &header);

		if (verdict != FORMAT_OTHER_LOG && verdict != FORMAT_OTHER_SEGMENT &&
		    verdict != FORMAT_OTHER_PLACE)
			continue;
		memset(repair->segments[i].data, 0, ABAFT_LOG_BLOCK_BYTES);
		repair->stats.mended++;
		repair_tell(walk, &(struct repair_loss){.from_segment = repair->segments[i].number,
							.to_segment = repair->segments[i].number,
							.to = ABAFT_LOG_BLOCK_BYTES,
							.what = format_verdict_text(verdict)});
	}
	return 0;
}

/* A file that is not this segment's, or not as long as it was made. What stands in another block of
 * some segment may have been written here by mistake. */
static int check_file(struct repair_walk *walk, uint32_t index)
{
	const struct repair_segment *segment = repair_segment(walk, index);
	enum format_verdict verdict;
	struct group_header header;

	if (segment->bytes == 0 || segment->bytes % ABAFT_LOG_BLOCK_BYTES != 0 ||
	    segment->bytes > ABAFT_LOG_SEGMENT_BYTES_MAX)
		return repair_refuse(
			walk,
			"the file of segment %08x has %llu bytes, which no segment was "
			"made with; restore it from a copy",
			segment->number, (unsigned long long)segment->bytes);
	verdict = repair_header(walk, index, 0, &header);
	if (verdict == FORMAT_OTHER_VERSION || verdict == FORMAT_OTHER_NODE ||
	    verdict == FORMAT_SEGMENT_BYTES ||
	    ((verdict == FORMAT_OTHER_LOG || verdict == FORMAT_OTHER_SEGMENT) && header.block == 0))
		return repair_refuse(walk, "segment %08x: %s; restore it from a copy",
				     segment->number, format_verdict_text(verdict));
	return 0;
}

/* All files, and that they are there from the mark on; *index: of the mark's segment. */
static int check_files(struct repair_walk *walk, const struct log_mark *mark, uint32_t *index)
{
	const struct repair *repair = walk->repair;
	uint32_t due = mark ? mark->segment : 0;
	int err = 0;

	*index = UINT32_MAX;
	for (uint32_t i = 0; i < repair->count && !err; i++) {
		uint32_t number = repair->segments[i].number;

		err = check_file(walk, i);
		if (number == due && *index == UINT32_MAX)
			*index = i;
		else if (!err && number >= due && number != due + i - *index)
			err = repair_refuse(walk, "segment %08x is missing",
					    *index == UINT32_MAX ? due : due + i - *index);
	}
	if (!err && *index == UINT32_MAX)
		err = repair_refuse(walk, "segment %08x is missing", due);
	return err;
}

static int check_mark(struct repair_walk *walk, const struct log_mark *mark, uint32_t index)
{
	const struct repair_segment *segment = repair_segment(walk, index);
	struct group_header header;

	if (mark->offset > segment->bytes || mark->offset % ABAFT_LOG_BLOCK_BYTES != 0 ||
	    mark->group > SEQUENCE_MAX || mark->record > SEQUENCE_MAX || mark->incarnation == 0)
		return repair_refuse(walk,
				     "segment %08x has %llu bytes, but the checkpoint says that "
				     "group %llu ends at byte %llu of it; restore it from a copy",
				     segment->number, (unsigned long long)segment->bytes,
				     (unsigned long long)mark->group,
				     (unsigned long long)mark->offset);
	if (repair_header(walk, index, 0, &header) == FORMAT_FITS && mark->offset > 0 &&
	    header.sequence > mark->group)
		return repair_refuse(
			walk,
			"segment %08x begins with group %llu, but the checkpoint says "
			"that group %llu stands behind it; they are not of the same log",
			segment->number, (unsigned long long)header.sequence,
			(unsigned long long)mark->group);
	return 0;
}

static void leave_row(struct repair_walk *walk)
{
	free(walk->proofs);
	walk->proofs = NULL;
	walk->proofs_count = 0;
	walk->have_proofs = false;
}

/* The rows before the mark. */
static int walk_closed(struct repair_walk *walk, uint32_t mark_index)
{
	struct repair_at row_before = {0};
	uint32_t first = 0;
	int err = 0;

	walk->closed = true;
	while (first <= mark_index && !err) {
		walk->last = first;
		while (walk->last < mark_index &&
		       repair_segment(walk, walk->last + 1)->number ==
			       repair_segment(walk, walk->last)->number + 1)
			walk->last++;
		walk->at = (struct repair_at){.index = first};
		walk->ends = walk->last == mark_index;
		if (!walk->ends || before(first, 0, &walk->end))
			err = walk_row(walk, &row_before);
		leave_row(walk);
		row_before = walk->at;
		first = walk->last + 1;
	}
	walk->closed = walk->ends = false;
	return err;
}

int repair_log(struct repair *repair, char *why, size_t why_bytes)
{
	const struct log_mark *mark = repair->mark && repair->mark->group ? repair->mark : NULL;
	struct repair_walk walk = {.repair = repair, .why = why, .why_bytes = why_bytes};
	struct repair_at start = {.known = true};
	int err;

	memset(&repair->stats, 0, sizeof(repair->stats));
	err = check_files(&walk, mark, &start.index);
	if (!err && mark)
		err = check_mark(&walk, mark, start.index);
	if (!err && mark) {
		walk.end = (struct repair_at){.index = start.index,
					      .offset = mark->offset,
					      .group = mark->group,
					      .record = mark->record,
					      .crc = mark->previous_crc,
					      .incarnation = mark->incarnation,
					      .version = LOG_FORMAT,
					      .known = true};
		err = walk_closed(&walk, start.index);
		start = walk.end;
		start.version = 0;
	}
	if (err)
		return err;
	walk.at = start;
	walk.last = repair->count - 1;
	err = walk_row(&walk, NULL);
	if (!err)
		err = clear_behind(&walk);
	leave_row(&walk);
	return err;
}
