/* SPDX-License-Identifier: Apache-2.0 */
/*
 * examine.c - see examine.h.
 *
 * Segments may be missing before, between and behind those that are there, so what must follow
 * what is known only within a run of numbers. Where a run ends at the mark, or goes on in the next
 * segment, it is known which group comes next; this tells a segment's end (behind which a crash may
 * have left torn and stale groups, and recycling other segments' ones) from damage:
 *
 * X1. A segment ends where the group that is due is the one that the next segment begins with, or
 *     the mark asks for, and the chain holds.
 * X2. Where something else stands, and a whole group of this segment behind it, of an incarnation
 *     that is not older, says that the due one was durable, or comes before the next segment's, all
 *     between them is damaged. It goes on with that group.
 * X3. Where nothing does, the segment ends; if the next group is known and another one was due, all
 *     between them is damaged. If it is not known, the last groups of a run may be damaged unseen.
 */
#include "dataplane/log/examine.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <abaft/limits.h>

#include "dataplane/core/place.h"
#include "dataplane/log/format.h"
#include "dataplane/log/stream.h"

struct walk {
	struct logdev *dev;
	const struct log_config *config;
	const struct examine_visitor *visitor;
	struct stream *stream;
	uint8_t *block; /* of the next segment */
	/* The segment that is looked at, up to `end`. */
	struct format_place place;
	uint64_t end;
	uint64_t offset;
	/* The group before `offset`, if `known`. */
	bool known;
	struct group_header last;
	/* The first group behind this segment, if `next_known`: of its header only these count. */
	bool next_known;
	uint64_t next_group, next_record;
	uint32_t next_chain;
};

static uint64_t behind(const struct group_header *header, uint64_t offset)
{
	return offset + format_blocks_up(LOG_GROUP_HEADER_BYTES + header->payload_bytes);
}

static uint64_t record_last(const struct group_header *header)
{
	return header->record_first + header->records - 1;
}

static int header_at(struct walk *walk, uint64_t offset, struct group_header *header,
		     enum format_verdict *verdict)
{
	const uint8_t *at;
	int error = stream_look(walk->stream, offset, ABAFT_LOG_BLOCK_BYTES, &at);

	if (error)
		return error;
	walk->place.block = (uint32_t)(offset / ABAFT_LOG_BLOCK_BYTES);
	*verdict = format_header_parse(at, &walk->place, header);
	return 0;
}

static int tell(struct walk *walk, uint64_t group_last, uint64_t record, const char *what)
{
	const struct examine_damage damage = {
		.segment = walk->place.segment,
		.offset = walk->offset,
		.group_first = walk->known ? walk->last.sequence + 1 : 0,
		.group_last = group_last,
		.record_first = walk->known ? record_last(&walk->last) + 1 : 0,
		.record_last = record,
		.what = what,
	};

	return walk->visitor->damage(walk->visitor->arg, &damage);
}

/* X1. */
static bool ended(const struct walk *walk)
{
	return walk->known && walk->next_known && walk->last.sequence + 1 == walk->next_group &&
	       walk->last.header_crc == walk->next_chain;
}

static enum format_verdict follows(const struct walk *walk, const struct group_header *header)
{
	if (!walk->known)
		return FORMAT_FITS;
	if (header->sequence != walk->last.sequence + 1 ||
	    header->record_first != record_last(&walk->last) + 1)
		return FORMAT_SEQUENCE;
	if (header->previous_crc != walk->last.header_crc)
		return FORMAT_CHAIN;
	if (header->incarnation < walk->last.incarnation)
		return FORMAT_INCARNATION;
	return header->version < walk->last.version ? FORMAT_VERSION : FORMAT_FITS;
}

static int visit(struct walk *walk, const struct group_header *header, const uint8_t *payload)
{
	struct format_cursor cursor = {payload, payload + header->payload_bytes};
	const struct recover_visitor *visitor = &walk->visitor->whole;
	struct format_record record;
	int result = visitor->group ? visitor->group(visitor->arg, header, walk->offset) : 0;

	while (!result && visitor->record && format_record_next(&cursor, &record) > 0)
		result = visitor->record(
			visitor->arg, record.sequence, record.type,
			place_make(walk->place.log, walk->place.segment,
				   (uint32_t)(walk->offset + LOG_GROUP_HEADER_BYTES) +
					   (uint32_t)(record.data - payload)),
			record.data, record.bytes);
	return result;
}

/* X2: the next whole group from `offset` on that proves damage before it. *offset 0: none. */
static int seek(struct walk *walk, uint64_t *offset, struct group_header *header)
{
	enum format_verdict verdict;
	int error;

	for (; *offset < walk->end; *offset += ABAFT_LOG_BLOCK_BYTES) {
		error = header_at(walk, *offset, header, &verdict);
		if (error)
			return error;
		if (verdict != FORMAT_FITS ||
		    (walk->next_known && header->sequence >= walk->next_group))
			continue;
		if (!walk->known)
			return 0;
		if (header->sequence > walk->last.sequence + 1 &&
		    header->incarnation >= walk->last.incarnation &&
		    (walk->next_known || header->durable > walk->last.sequence))
			return 0;
	}
	*offset = 0;
	return 0;
}

/* The group at walk->offset is not whole, for this reason. 1: nothing more is to be found here. */
static int pass_over(struct walk *walk, enum format_verdict verdict)
{
	uint64_t offset = walk->offset + ABAFT_LOG_BLOCK_BYTES;
	struct group_header header;
	int error = seek(walk, &offset, &header);

	if (error)
		return error;
	if (offset == 0)
		return 1;
	error = tell(walk, header.sequence - 1, header.record_first - 1,
		     format_verdict_text(verdict));
	walk->offset = offset;
	walk->known = false;
	return error;
}

/* One group, or what stands in its place. 1: nothing more is to be found here. */
static int step(struct walk *walk)
{
	struct group_header header;
	enum format_verdict verdict;
	const uint8_t *at;
	int error = header_at(walk, walk->offset, &header, &verdict);

	if (!error && verdict == FORMAT_FITS)
		verdict = follows(walk, &header);
	if (error || verdict != FORMAT_FITS)
		return error ? error : pass_over(walk, verdict);
	error = stream_look(walk->stream, walk->offset,
			    LOG_GROUP_HEADER_BYTES + header.payload_bytes, &at);
	if (error)
		return error;
	verdict = format_payload_check(&header, at + LOG_GROUP_HEADER_BYTES);
	if (verdict == FORMAT_FITS) {
		error = visit(walk, &header, at + LOG_GROUP_HEADER_BYTES);
	} else if (walk->next_known && header.sequence < walk->next_group) {
		/* Its header says what is lost. */
		walk->known = true;
		walk->last = (struct group_header){.sequence = header.sequence - 1,
						   .record_first = header.record_first};
		error = tell(walk, header.sequence, record_last(&header),
			     format_verdict_text(verdict));
	} else {
		return pass_over(walk, verdict);
	}
	walk->offset = behind(&header, walk->offset);
	walk->last = header;
	walk->known = true;
	return error;
}

/* X3. */
static int end_segment(struct walk *walk)
{
	struct group_header header;
	enum format_verdict verdict = FORMAT_NOTHING;
	int error = 0;

	if (ended(walk))
		return 0;
	if (walk->offset < walk->end)
		error = header_at(walk, walk->offset, &header, &verdict);
	if (error)
		return error;
	if (verdict == FORMAT_FITS)
		verdict = follows(walk, &header);
	if (verdict == FORMAT_FITS) /* a whole header: what is behind it is not */
		verdict = FORMAT_PAYLOAD_CRC;
	if (walk->next_known && (!walk->known || walk->last.sequence + 1 < walk->next_group))
		error = tell(walk, walk->next_group - 1, walk->next_record - 1,
			     format_verdict_text(verdict));
	else if (walk->next_known)
		error = tell(walk, 0, 0, "the next segment does not follow its last group");
	else if (!walk->known)
		error = tell(walk, 0, 0, "there is no whole group in it");
	if (walk->next_known)
		walk->known = false; /* it goes on with what is there */
	return error;
}

/* What comes behind this segment: the mark, or the next segment's first group. */
static int look_behind(struct walk *walk, const struct log_mark *mark)
{
	struct format_place place = walk->place;
	struct group_header header;
	uint64_t bytes;
	ssize_t got;
	int handle;

	walk->next_known = walk->place.segment == mark->segment ||
			   (walk->place.segment + 1 == mark->segment && mark->offset == 0);
	walk->next_group = mark->group + 1;
	walk->next_record = mark->record + 1;
	walk->next_chain = mark->previous_crc;
	if (walk->next_known)
		return 0;
	place.segment++;
	handle = walk->dev->ops->open(walk->dev, place.segment, &bytes);
	if (handle < 0)
		return handle == -ENOENT ? 0 : handle;
	place.block = 0;
	place.segment_blocks = (uint32_t)(bytes / ABAFT_LOG_BLOCK_BYTES);
	got = walk->dev->ops->read(walk->dev, handle, walk->block, ABAFT_LOG_BLOCK_BYTES, 0);
	walk->dev->ops->close(walk->dev, handle);
	if (got < (ssize_t)ABAFT_LOG_BLOCK_BYTES ||
	    format_header_parse(walk->block, &place, &header) != FORMAT_FITS)
		return 0; /* is told when its turn comes */
	walk->next_known = true;
	walk->next_group = header.sequence;
	walk->next_record = header.record_first;
	walk->next_chain = header.previous_crc;
	return 0;
}

static int walk_segment(struct walk *walk, uint32_t number, const struct log_mark *mark)
{
	uint64_t bytes;
	int handle, error;

	/* What was known counts only if no number is missing. */
	walk->known &= number == walk->place.segment + 1;
	walk->place.segment = number;
	walk->offset = 0;
	error = look_behind(walk, mark);
	handle = error ? error : walk->dev->ops->open(walk->dev, number, &bytes);
	if (handle < 0)
		return handle;
	walk->end = number == mark->segment && mark->offset < bytes ? mark->offset : bytes;
	walk->place.segment_blocks = (uint32_t)(bytes / ABAFT_LOG_BLOCK_BYTES);
	if (bytes == 0 || bytes % ABAFT_LOG_BLOCK_BYTES != 0) {
		error = tell(walk, 0, 0, "no segment was made with this length");
		walk->known = false;
	} else if (walk->end > 0) {
		stream_open(walk->stream, handle, bytes);
		while (!error && walk->offset < walk->end && !ended(walk))
			error = step(walk);
		if (error >= 0)
			error = end_segment(walk);
		stream_leave(walk->stream);
		if (error == -EIO) {
			error = tell(walk, 0, 0, "it cannot be read: Input/output error");
			walk->known = false;
		}
	}
	walk->dev->ops->close(walk->dev, handle);
	return error;
}

static int by_number(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

int examine(struct logdev *dev, const struct log_config *config, const struct log_mark *mark,
	    const struct examine_visitor *visitor, uint32_t *segments, char *why, size_t why_bytes)
{
	struct walk walk = {.dev = dev, .config = config, .visitor = visitor};
	uint32_t *numbers = malloc(ABAFT_LOG_SEGMENTS_MAX * sizeof(*numbers));
	int count = -ENOMEM, error = -ENOMEM;

	*segments = 0;
	memcpy(walk.place.node_id, config->node_id, sizeof(walk.place.node_id));
	walk.place.log = config->number;
	walk.place.segment = UINT32_MAX;
	if (numbers && posix_memalign((void **)&walk.block, ABAFT_LOG_BLOCK_BYTES,
				      ABAFT_LOG_BLOCK_BYTES) == 0) {
		count = dev->ops->list(dev, numbers, ABAFT_LOG_SEGMENTS_MAX);
		error = count < 0 ? count : stream_create(&walk.stream, dev);
	}
	if (!error)
		qsort(numbers, (size_t)count, sizeof(*numbers), by_number);
	for (int i = 0; i < count && !error && numbers[i] <= mark->segment; i++) {
		*segments += numbers[i] < mark->segment;
		error = walk_segment(&walk, numbers[i], mark);
	}
	if (error)
		snprintf(why, why_bytes, "log %s/log-%03u: cannot be read: %s",
			 config->dir ? config->dir : "", config->number, strerror(-error));
	stream_destroy(walk.stream);
	free(walk.block);
	free(numbers);
	return error;
}
