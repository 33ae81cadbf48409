/* SPDX-License-Identifier: Apache-2.0 */
/*
 * recover.c - finds the true end of a log, or says that it is damaged; never guesses.
 *
 * Let n be the number of the group that is due, (s, o) the place behind group n-1, and I the
 * incarnation of group n-1. Reading begins at a *mark*: n, (s, o), I and the rest of what group n-1
 * leaves to its successor, as the log stood when a checkpoint was made; or at group 1, (0, 0).
 *
 * The writer (log.c):
 * W1. Group n goes to (s, o), or, when it would not fit there, to (s+1, 0). Its header names node,
 *     log, segment, block, n, its first record and its incarnation, and holds the header checksum
 *     of group n-1: the chain.
 * W2. Incarnations grow: each open takes a number above all that recovery saw, also behind the
 *     end. Within one, a header's `durable` names a group that was synced with all before it when
 *     the header was made.
 * W3. A record is acknowledged only when its group and all groups before are synced.
 * W4. A log is opened only behind the end that recovery found, after recovery synced all up to
 *     there. What lies before the end is never written again.
 * W5. A segment's number is used once. When its file gets that name its first block is zero,
 *     durably, and at offset 0 only headers of this very segment are ever written. Behind the
 *     first block it is zero, too, or, if the file was another segment before (recycled), holds
 *     groups that name that one.
 * W6. A mark is taken behind a durable group, all groups before it being durable. Segments before
 *     the mark's may go, in any order; the mark's own and all behind it stay.
 *
 * The rule:
 * R1. Group n is accepted iff it stands at (s, o) or else at (s+1, 0), and all of W1 fits, its
 *     incarnation is >= I, its format version not below that of group n-1, and the checksums of
 *     header, payload and each record do.
 * R2. Where neither place holds it, n is the end, unless a header anywhere behind (s, o) that is
 *     whole, ours and in its place, of an incarnation >= I, says durable >= n. Then it is
 *     corruption: -EBADMSG.
 *
 * Why it is right:
 * I1. What is acknowledged is accepted. By W3 an acknowledged group and all before it are durable
 *     and, by W4, never overwritten; R1 accepts each of them in turn, unless the disk changed it.
 * I2. Nothing is invented. A stale group behind an earlier end fails R1: group n of this lineage
 *     either replaced it, or n's header differs from the one it chains to, or its incarnation is
 *     below I. What a recycled file held names another segment (W5). Torn groups fail the payload's
 *     checksum (the header lies in one sector and is written whole or not), misplaced and foreign
 *     ones the header's own place and names.
 * I3. No hole. Groups are accepted in sequence; the first that is missing ends it, whatever whole
 *     groups lie behind: they were written but not acknowledged (W3), because n was not durable.
 * I4. A proof is a proof. By induction over incarnations the durable prefix is common to all of
 *     them: an open begins behind all that was durable (I1, W4). So `durable >= n` in any header
 *     of this log means that group n of this very lineage was durable, and it must be there. R2
 *     asks for incarnation >= I besides, which costs nothing: an older header that knows of n would
 *     contradict W2. What a recycled file held is not in its place, and proves nothing.
 * I5. Stale groups prove nothing wrong: one that was in flight when n was lost had durable < n,
 *     since durable counts groups without a hole.
 * I6. A crash during recovery changes nothing: it writes nothing. Nothing handed over counts before
 *     recover_scan() returns, and by then it is synced, so a later loss of the disk's cache cannot
 *     take it back. Two starts after one another therefore find the same end or a later one.
 * I7. A crash after a restart with a torn tail: the new incarnation wrote n anew over the torn one.
 *     If that is torn too, n is the end again; if whole, groups of the old incarnation behind it
 *     fail the chain (I2), and were the old n+1 in the new n+1's place, it fails the chain as well.
 * I8. What cannot be seen: damage to the last groups before a crash when no later header says that
 *     they were durable (at most ABAFT_LOG_WRITES_IN_FLIGHT + 1 groups) looks like a torn write.
 *     A clean close leaves a seal, so this needs a crash and damage at the same place.
 * I9. From a mark on all this holds as from the beginning: by W6 group n-1 was durable with all
 *     before it, so its end is no guess, and what must be accepted stands at the mark and behind
 *     it, where nothing is missing. Segments before it are neither read nor asked for. Group n must
 *     follow the mark by sequence, chain and incarnation like any other: a mark of another lineage
 *     of the log is refused, or finds nothing.
 *
 * A header that is whole but of another version, node, log, segment, or segment length, at offset
 * 0 of a segment, is not stale (W5): the file is not ours, or not as it was: its own error. Behind
 * offset 0 such bytes may be the inside of an old payload and mean nothing.
 */
#include "dataplane/log/recover.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <abaft/limits.h>

#include "dataplane/core/place.h"
#include "dataplane/log/shelf.h"
#include "dataplane/log/stream.h"

/* How often a log is listed again that others still write. */
#define LISTS_MAX 4

struct scan {
	struct logdev *dev;
	const struct log_config *config;
	const struct log_mark *mark; /* NULL: from the beginning */
	const struct recover_visitor *visitor;
	struct log_tail *tail;
	char *why;
	size_t why_bytes;
	/* The segment that is open. */
	int handle;
	uint32_t segment;
	uint64_t segment_bytes;
	struct stream *stream;
};

__attribute__((format(printf, 3, 4))) static int refuse(struct scan *scan, int error,
							const char *format, ...)
{
	char text[384];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	snprintf(scan->why, scan->why_bytes, "log %s/log-%03u: %s",
		 scan->config->dir ? scan->config->dir : "", scan->config->number, text);
	return error;
}

static void close_segment(struct scan *scan)
{
	if (scan->stream)
		stream_leave(scan->stream);
	if (scan->handle >= 0)
		scan->dev->ops->close(scan->dev, scan->handle);
	scan->handle = -1;
}

static int open_segment(struct scan *scan, uint32_t number)
{
	if (scan->handle >= 0 && scan->segment == number)
		return 0;
	close_segment(scan);
	scan->handle = scan->dev->ops->open(scan->dev, number, &scan->segment_bytes);
	if (scan->handle < 0)
		return refuse(scan, scan->handle, "cannot open segment %08x: %s", number,
			      strerror(-scan->handle));
	scan->segment = number;
	if (scan->segment_bytes == 0 || scan->segment_bytes % ABAFT_LOG_BLOCK_BYTES != 0 ||
	    scan->segment_bytes / ABAFT_LOG_BLOCK_BYTES > UINT32_MAX)
		return refuse(scan, -EBADMSG,
			      "the file of segment %08x has %llu bytes, which no segment was made "
			      "with; restore it from a copy",
			      number, (unsigned long long)scan->segment_bytes);
	if (scan->stream)
		stream_open(scan->stream, scan->handle, scan->segment_bytes);
	return 0;
}

/* `bytes` bytes at `offset` of the open segment; the caller knows that they lie within it. */
static int look(struct scan *scan, uint64_t offset, size_t bytes, const uint8_t **out)
{
	int error = stream_look(scan->stream, offset, bytes, out);

	return error ? refuse(scan, error, "cannot read segment %08x at byte %llu: %s",
			      scan->segment, (unsigned long long)offset, strerror(-error))
		     : 0;
}

static void place_at(const struct scan *scan, uint64_t offset, struct format_place *out)
{
	memcpy(out->node_id, scan->config->node_id, sizeof(out->node_id));
	out->log = scan->config->number;
	out->segment = scan->segment;
	out->segment_blocks = (uint32_t)(scan->segment_bytes / ABAFT_LOG_BLOCK_BYTES);
	out->block = (uint32_t)(offset / ABAFT_LOG_BLOCK_BYTES);
}

/* R1, but for the payload. */
static enum format_verdict follows(const struct log_tail *tail, const struct group_header *header)
{
	if (header->sequence != tail->group + 1 || header->record_first != tail->record + 1)
		return FORMAT_SEQUENCE;
	if (header->previous_crc != tail->previous_crc)
		return FORMAT_CHAIN;
	if (header->incarnation < tail->incarnation || header->incarnation == 0)
		return FORMAT_INCARNATION;
	if (header->version < tail->version)
		return FORMAT_VERSION;
	return FORMAT_FITS;
}

/* R1 at one place. 0 and the verdict, or an error that reading met. */
static int judge(struct scan *scan, uint64_t offset, struct group_header *header,
		 const uint8_t **payload, enum format_verdict *verdict)
{
	struct format_place place;
	const uint8_t *at = NULL;
	int error;

	*verdict = FORMAT_NOTHING;
	if (offset >= scan->segment_bytes)
		return 0;
	error = look(scan, offset, ABAFT_LOG_BLOCK_BYTES, &at);
	if (error)
		return error;
	place_at(scan, offset, &place);
	*verdict = format_header_parse(at, &place, header);
	if (*verdict == FORMAT_FITS)
		*verdict = follows(scan->tail, header);
	if (*verdict != FORMAT_FITS)
		return 0;
	error = look(scan, offset, LOG_GROUP_HEADER_BYTES + header->payload_bytes, &at);
	if (error)
		return error;
	*payload = at + LOG_GROUP_HEADER_BYTES;
	*verdict = format_payload_check(header, *payload);
	return 0;
}

static int accept_group(struct scan *scan, uint64_t offset, const struct group_header *header,
			const uint8_t *payload)
{
	struct format_cursor cursor = {payload, payload + header->payload_bytes};
	const struct recover_visitor *visitor = scan->visitor;
	struct log_tail *tail = scan->tail;
	struct format_record record;
	int result = 0;

	if (visitor->group)
		result = visitor->group(visitor->arg, header, offset);
	while (!result && visitor->record && format_record_next(&cursor, &record) > 0)
		result = visitor->record(visitor->arg, record.sequence, record.type,
					 place_make(scan->config->number, scan->segment,
						    (uint32_t)(offset + LOG_GROUP_HEADER_BYTES) +
							    (uint32_t)(record.data - payload)),
					 record.data, record.bytes);
	if (result) {
		refuse(scan, result, "stopped in group %llu of segment %08x at byte %llu",
		       (unsigned long long)header->sequence, scan->segment,
		       (unsigned long long)offset);
		return result;
	}
	tail->segment = scan->segment;
	tail->offset = offset + format_blocks_up(LOG_GROUP_HEADER_BYTES + header->payload_bytes);
	tail->group = header->sequence;
	tail->record += header->records;
	tail->previous_crc = header->header_crc;
	tail->incarnation = header->incarnation;
	tail->version = header->version;
	tail->sealed = header->flags & LOG_FLAG_SEAL;
	return 0;
}

/* W5: what stands at offset 0 of a segment is ours or the file is not. */
static int check_first(struct scan *scan, enum format_verdict verdict,
		       const struct group_header *header)
{
	switch (verdict) {
	case FORMAT_OTHER_VERSION:
		return refuse(scan, -EBADMSG,
			      "segment %08x is of format version %u, this program knows up to %u; "
			      "use the "
			      "abaft that wrote it",
			      scan->segment, header->version, LOG_FORMAT);
	case FORMAT_OTHER_SEGMENT:
		return refuse(scan, -EBADMSG,
			      "the file of segment %08x holds segment %08x; put each under its own "
			      "name",
			      scan->segment, header->segment);
	case FORMAT_OTHER_LOG:
		return refuse(scan, -EBADMSG, "segment %08x belongs to log-%03u; put it back there",
			      scan->segment, header->log);
	case FORMAT_SEGMENT_BYTES:
		return refuse(scan, -EBADMSG,
			      "the file of segment %08x was made with %llu bytes and has %llu; "
			      "restore it from a copy",
			      scan->segment,
			      (unsigned long long)header->segment_blocks * ABAFT_LOG_BLOCK_BYTES,
			      (unsigned long long)scan->segment_bytes);
	case FORMAT_OTHER_NODE:
		return refuse(scan, -EBADMSG,
			      "segment %08x belongs to another node; put it back into that node's "
			      "data directory",
			      scan->segment);
	case FORMAT_OTHER_PLACE:
		return refuse(
			scan, -EBADMSG,
			"segment %08x begins with what belongs to byte %llu of it; restore it "
			"from a copy",
			scan->segment, (unsigned long long)header->block * ABAFT_LOG_BLOCK_BYTES);
	default:
		return 0;
	}
}

/* Tries one place; *accepted tells. `verdict` says why not. */
static int try_place(struct scan *scan, uint64_t offset, enum format_verdict *verdict,
		     bool *accepted)
{
	struct group_header header;
	const uint8_t *payload = NULL;
	int error;

	*accepted = false;
	error = judge(scan, offset, &header, &payload, verdict);
	if (!error && offset == 0)
		error = check_first(scan, *verdict, &header);
	if (!error && *verdict == FORMAT_RECORD)
		error = refuse(
			scan, -EBADMSG,
			"group %llu of segment %08x at byte %llu is whole but a record in it is "
			"malformed: written so, or forged; records from %llu on are affected",
			(unsigned long long)header.sequence, scan->segment,
			(unsigned long long)offset, (unsigned long long)header.record_first);
	if (error || *verdict != FORMAT_FITS)
		return error;
	*accepted = true;
	return accept_group(scan, offset, &header, payload);
}

/* Accepts groups until one is missing; leaves why in `verdict`: at (s, o), the tail. */
static int accept_all(struct scan *scan, enum format_verdict *verdict)
{
	struct log_tail *tail = scan->tail;
	enum format_verdict next;
	bool accepted;
	int error;

	for (;;) {
		error = open_segment(scan, tail->segment);
		if (!error)
			error = try_place(scan, tail->offset, verdict, &accepted);
		if (error)
			return error;
		if (accepted)
			continue;
		if (tail->segment == log_tail_last(tail))
			return 0;
		error = open_segment(scan, tail->segment + 1);
		if (!error)
			error = try_place(scan, 0, &next, &accepted);
		if (error || !accepted)
			return error;
	}
}

/* -EAGAIN: it may only look so. */
static int corrupt(struct scan *scan, enum format_verdict verdict, const struct group_header *proof,
		   uint64_t offset)
{
	const struct log_tail *tail = scan->tail;

	return refuse(
		scan, scan->dev->fences ? -EAGAIN : -EBADMSG,
		"corruption in segment %08x at byte %llu: group %llu was durable (group %llu in "
		"segment %08x at byte %llu says so), but %s; records from %llu on are "
		"affected; restore the log from a copy",
		tail->segment, (unsigned long long)tail->offset,
		(unsigned long long)tail->group + 1, (unsigned long long)proof->sequence,
		scan->segment, (unsigned long long)offset, format_verdict_text(verdict),
		(unsigned long long)tail->record + 1);
}

/* R2 in one segment from `offset` on. */
static int seek_proof(struct scan *scan, uint64_t offset, enum format_verdict verdict)
{
	struct log_tail *tail = scan->tail;
	struct group_header header;
	struct format_place place;
	enum format_verdict found;
	const uint8_t *at = NULL;
	int error;

	for (; offset < scan->segment_bytes; offset += ABAFT_LOG_BLOCK_BYTES) {
		error = look(scan, offset, ABAFT_LOG_BLOCK_BYTES, &at);
		if (error)
			return error;
		place_at(scan, offset, &place);
		found = format_header_parse(at, &place, &header);
		if (offset == 0) {
			error = check_first(scan, found, &header);
			if (error)
				return error;
		}
		if (found != FORMAT_FITS)
			continue;
		if (header.incarnation > tail->incarnation_max)
			tail->incarnation_max = header.incarnation;
		if (header.incarnation >= tail->incarnation && header.durable > tail->group)
			return corrupt(scan, verdict, &header, offset);
	}
	return 0;
}

static int seek_proofs(struct scan *scan, enum format_verdict verdict)
{
	const struct log_tail *tail = scan->tail;
	int error = 0;

	for (uint32_t i = tail->segment; i <= log_tail_last(tail) && !error; i++) {
		error = open_segment(scan, i);
		if (!error)
			error = seek_proof(scan, i == tail->segment ? tail->offset : 0, verdict);
	}
	return error;
}

/* I6. All that was read: the last run may have been one without syncs. */
static int sync_all(struct scan *scan)
{
	int error;

	for (uint32_t i = scan->mark ? scan->mark->segment : 0; i <= scan->tail->segment; i++) {
		error = open_segment(scan, i);
		if (error)
			return error;
		error = scan->dev->ops->sync(scan->dev, scan->handle);
		if (error)
			return refuse(scan, error, "cannot sync segment %08x: %s", i,
				      strerror(-error));
	}
	error = scan->dev->ops->sync_names(scan->dev);
	return error ? refuse(scan, error, "cannot sync the directory: %s", strerror(-error)) : 0;
}

static int by_number(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

/* From the mark's segment on, or from 0, all numbers must be there. */
static int check_numbers(struct scan *scan)
{
	const struct log_tail *tail = scan->tail;
	uint32_t due = scan->mark ? scan->mark->segment : 0;
	uint32_t i = 0;

	while (i < tail->segments && tail->on_disk[i].number < due)
		i++;
	if (i == tail->segments || (scan->mark && tail->on_disk[i].number != due))
		return refuse(
			scan, -EBADMSG,
			"segment %08x is missing, in which the checkpoint says that it goes on "
			"behind group %llu; restore it from a copy",
			due, (unsigned long long)scan->mark->group);
	if (tail->on_disk[i].number != due)
		return refuse(
			scan, -EBADMSG,
			"segment %08x is missing, though %08x is there: it was cleaned or "
			"lost, and what was in it stands in no log any more; a valid checkpoint "
			"is needed to start without it",
			due, tail->on_disk[i].number);
	for (; i < tail->segments; i++, due++)
		if (tail->on_disk[i].number != due)
			return refuse(scan, -EBADMSG,
				      "segment %08x is missing, though %08x is there; restore it "
				      "from a copy",
				      due, tail->on_disk[i].number);
	return 0;
}

/* Lengths of all segments there are. */
static int measure_segments(struct scan *scan)
{
	struct log_tail *tail = scan->tail;
	int error = 0;

	for (uint32_t i = 0; i < tail->segments && !error; i++) {
		error = open_segment(scan, tail->on_disk[i].number);
		if (error)
			break;
		tail->on_disk[i].bytes = scan->segment_bytes;
		tail->bytes += scan->segment_bytes;
	}
	return error;
}

/* -ENOENT is only an answer where nothing is known of the log. */
static int no_log(struct scan *scan)
{
	if (!scan->mark)
		return refuse(scan, -ENOENT, "there is no such log");
	return refuse(
		scan, -EBADMSG,
		"it is missing, though the checkpoint knows its groups up to %llu; restore it "
		"from a copy",
		(unsigned long long)scan->mark->group);
}

/* Makes the tail, with the list of the segments there are, and puts it at the mark. */
static int begin(struct scan *scan)
{
	uint32_t *numbers = malloc(ABAFT_LOG_SEGMENTS_MAX * sizeof(*numbers));
	int count, error = 0;

	if (!numbers)
		return -ENOMEM;
	count = scan->dev->ops->list(scan->dev, numbers, ABAFT_LOG_SEGMENTS_MAX);
	if (count == 0 || count == -ENOENT)
		error = no_log(scan);
	else if (count < 0)
		error = refuse(scan, count, "cannot list its segments: %s", strerror(-count));
	if (error)
		goto out;
	scan->tail =
		calloc(1, sizeof(*scan->tail) + (size_t)count * sizeof(scan->tail->on_disk[0]));
	if (!scan->tail) {
		error = -ENOMEM;
		goto out;
	}
	scan->tail->segments = (uint32_t)count;
	qsort(numbers, (size_t)count, sizeof(*numbers), by_number);
	for (int i = 0; i < count; i++)
		scan->tail->on_disk[i].number = numbers[i];
	if (scan->mark) {
		scan->tail->offset = scan->mark->offset;
		scan->tail->group = scan->mark->group;
		scan->tail->record = scan->mark->record;
		scan->tail->segment = scan->mark->segment;
		scan->tail->previous_crc = scan->mark->previous_crc;
		scan->tail->incarnation = scan->mark->incarnation;
	}
out:
	free(numbers);
	return error;
}

/* The file that the mark points into must be the mark's segment, and reach as far (W5). */
static int check_mark(struct scan *scan)
{
	const struct log_mark *mark = scan->mark;
	struct group_header header;
	struct format_place place;
	const uint8_t *at = NULL;
	enum format_verdict verdict;
	int error = open_segment(scan, mark->segment);

	if (error)
		return error;
	if (mark->offset > scan->segment_bytes || mark->offset % ABAFT_LOG_BLOCK_BYTES != 0)
		return refuse(
			scan, -EBADMSG,
			"segment %08x has %llu bytes, but the checkpoint says that group %llu "
			"ends at byte %llu of it; restore it from a copy",
			mark->segment, (unsigned long long)scan->segment_bytes,
			(unsigned long long)mark->group, (unsigned long long)mark->offset);
	error = look(scan, 0, ABAFT_LOG_BLOCK_BYTES, &at);
	if (error)
		return error;
	place_at(scan, 0, &place);
	verdict = format_header_parse(at, &place, &header);
	if (verdict == FORMAT_FITS && mark->offset > 0 && header.sequence > mark->group)
		return refuse(
			scan, -EBADMSG,
			"segment %08x begins with group %llu, but the checkpoint says that group "
			"%llu stands behind it; they are not of the same log",
			mark->segment, (unsigned long long)header.sequence,
			(unsigned long long)mark->group);
	return check_first(scan, verdict, &header);
}

/* The end, and that it is one. */
static int find_end(struct scan *scan)
{
	enum format_verdict verdict = FORMAT_NOTHING;
	int error = accept_all(scan, &verdict);

	if (error)
		return error;
	scan->tail->incarnation_max = scan->tail->incarnation;
	return seek_proofs(scan, verdict);
}

/*
 * Where others may still write, what was listed is no picture of one moment: a group may be missing
 * in it that was durable before another one was written that is there. Listed once more it is
 * there.
 */
static int list_again(struct scan *scan)
{
	uint32_t *numbers = malloc(ABAFT_LOG_SEGMENTS_MAX * sizeof(*numbers));
	int count;

	if (!numbers)
		return -ENOMEM;
	close_segment(scan);
	count = scan->dev->ops->list(scan->dev, numbers, ABAFT_LOG_SEGMENTS_MAX);
	free(numbers);
	return count < 0 ? refuse(scan, count, "cannot list its segments: %s", strerror(-count))
			 : 0;
}

static int run(struct scan *scan)
{
	int error = begin(scan);

	if (!error)
		error = measure_segments(scan);
	if (!error)
		error = check_numbers(scan);
	if (!error) {
		close_segment(scan);
		error = stream_create(&scan->stream, scan->dev);
		if (error)
			refuse(scan, error, "cannot start reading it: %s", strerror(-error));
	}
	if (!error && scan->mark)
		error = check_mark(scan);
	if (!error)
		error = find_end(scan);
	for (int i = 0; error == -EAGAIN && i < LISTS_MAX; i++) {
		error = list_again(scan);
		if (!error)
			error = find_end(scan);
	}
	if (error == -EAGAIN)
		error = -EBADMSG;
	if (!error && scan->tail->incarnation_max == UINT32_MAX)
		error = refuse(scan, -EBADMSG,
			       "it says that it was opened 4294967295 times: damaged, or forged");
	return error ? error : sync_all(scan);
}

int recover_scan(struct logdev *dev, const struct log_config *config, const struct log_mark *mark,
		 const struct recover_visitor *visitor, struct log_tail **tail, char *why,
		 size_t why_bytes)
{
	struct scan scan = {
		.dev = dev,
		.config = config,
		.mark = mark && mark->group > 0 ? mark : NULL,
		.visitor = visitor,
		.why = why,
		.why_bytes = why_bytes,
		.handle = -1,
	};
	int error;

	refuse(&scan, 0, "no memory to read it");
	error = run(&scan);
	close_segment(&scan);
	stream_destroy(scan.stream);
	if (error) {
		log_tail_free(scan.tail);
		scan.tail = NULL;
	}
	*tail = scan.tail;
	return error;
}

int log_recover_on(struct logdev *dev, const struct log_config *config, const struct log_mark *mark,
		   log_record_fn fn, void *arg, struct log_tail **tail, char *why, size_t why_bytes)
{
	const struct recover_visitor visitor = {.arg = arg, .record = fn};
	int error;

	*tail = NULL;
	if (!dev) {
		struct scan scan = {.config = config,
				    .mark = mark && mark->group > 0 ? mark : NULL,
				    .why = why,
				    .why_bytes = why_bytes};

		return no_log(&scan);
	}
	error = recover_scan(dev, config, mark, &visitor, tail, why, why_bytes);
	dev->ops->destroy(dev);
	/* Before any log is opened, and makes new segments: what is there has its room. */
	if (!error && config->shelf) {
		shelf_found(config->shelf, (*tail)->bytes);
		(*tail)->claimed = true;
	}
	return error;
}

int log_recover(const struct log_config *config, const struct log_mark *mark, log_record_fn fn,
		void *arg, struct log_tail **tail, char *why, size_t why_bytes)
{
	struct logdev *dev = NULL;
	int error;

	*tail = NULL;
	error = logdev_uring_create(&dev, config->dir, config->number, false, why, why_bytes);
	if (error && error != -ENOENT)
		return error;
	return log_recover_on(dev, config, mark, fn, arg, tail, why, why_bytes);
}

void log_tail_free(struct log_tail *tail)
{
	free(tail);
}
