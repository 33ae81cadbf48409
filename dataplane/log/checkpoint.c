/* SPDX-License-Identifier: Apache-2.0 */
/*
 * checkpoint.c - writes checkpoints and reads them back; checkpoint.h has their format.
 *
 * A writer gathers entries in one block's buffer; a block goes to the device when the next entries
 * do not fit or are of another kind. A reader takes each block by one read and judges it wholly
 * before anything of it is used. Everything read is untrusted.
 */
#include "dataplane/log/checkpoint.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <abaft/limits.h>

#include "dataplane/log/format.h"

#define MAGIC 0x4b434241u

struct block_header {
	uint32_t magic;
	uint16_t version;
	uint16_t kind;
	uint8_t node_id[16];
	uint32_t number;
	uint32_t index;
	uint32_t block;
	uint32_t entries;
	uint32_t payload_bytes;
	uint32_t payload_crc;
	uint32_t previous_crc;
	uint32_t zero[2];
	uint32_t header_crc;
};
_Static_assert(sizeof(struct block_header) == CHECKPOINT_HEADER_BYTES, "block header");
_Static_assert(offsetof(struct block_header, header_crc) == 60, "block header");

struct head_payload {
	uint64_t wall_us;
	uint64_t time;
	uint32_t logs;
	uint32_t zero;
};
_Static_assert(sizeof(struct head_payload) == 24, "head");

struct mark_entry {
	uint32_t log;
	uint32_t segment;
	uint64_t group;
	uint64_t record;
	uint64_t offset;
	uint32_t previous_crc;
	uint32_t incarnation;
};
_Static_assert(sizeof(struct mark_entry) == 40, "mark");

struct segment_entry {
	uint32_t log;
	uint32_t segment;
	uint64_t bytes;
	uint64_t time;
};
_Static_assert(sizeof(struct segment_entry) == 24, "segment");
/* So that a payload of them is handed over as it stands. */
_Static_assert(sizeof(struct checkpoint_segment) == sizeof(struct segment_entry) &&
		       offsetof(struct checkpoint_segment, bytes) == 8 &&
		       offsetof(struct checkpoint_segment, time) == 16,
	       "segment");

struct end_payload {
	uint64_t horizon_ms;
	uint64_t keys;
	uint64_t outcomes;
	uint64_t segments;
	uint32_t blocks;
	uint32_t zero;
};
_Static_assert(sizeof(struct end_payload) == 40, "end");

struct checkpoint_writer {
	struct filedev *dev;
	struct block_header next; /* of the block that is being filled */
	struct checkpoint_stats stats;
	uint8_t *buffer;
	int error; /* of the first call that failed */
};

/* The block's bytes in the file. */
static uint32_t block_bytes(const struct block_header *header)
{
	return format_blocks_up(CHECKPOINT_HEADER_BYTES + header->payload_bytes);
}

static void count(struct checkpoint_stats *stats, const struct block_header *header)
{
	stats->bytes += block_bytes(header);
	stats->segments += header->kind == CHECKPOINT_SEGMENTS ? header->entries : 0;
	stats->keys += header->kind == CHECKPOINT_KEYS ? header->entries : 0;
	stats->outcomes += header->kind == CHECKPOINT_OUTCOMES ? header->entries : 0;
}

/* Writes the block that is being filled, and begins the next. */
static int write_block(struct checkpoint_writer *writer)
{
	struct block_header *header = &writer->next;
	uint32_t used = CHECKPOINT_HEADER_BYTES + header->payload_bytes;
	uint32_t bytes = block_bytes(header);

	memset(writer->buffer + used, 0, bytes - used);
	header->payload_crc = format_crc(writer->buffer + CHECKPOINT_HEADER_BYTES,
					 bytes - CHECKPOINT_HEADER_BYTES);
	header->header_crc =
		format_crc((const uint8_t *)header, offsetof(struct block_header, header_crc));
	memcpy(writer->buffer, header, sizeof(*header));
	writer->error = writer->dev->ops->append(writer->dev, writer->buffer, bytes);
	count(&writer->stats, header);
	header->previous_crc = header->header_crc;
	header->index++;
	header->block += bytes / ABAFT_LOG_BLOCK_BYTES;
	header->payload_bytes = header->entries = 0;
	return writer->error;
}

/* Adds to the block of this kind, which may be a new one. */
static int add(struct checkpoint_writer *writer, enum checkpoint_kind kind, const void *data,
	       uint32_t bytes, uint32_t entries)
{
	struct block_header *header = &writer->next;

	if (header->entries &&
	    (header->kind != kind || bytes > CHECKPOINT_PAYLOAD_BYTES - header->payload_bytes) &&
	    write_block(writer))
		return writer->error;
	header->kind = (uint16_t)kind;
	memcpy(writer->buffer + CHECKPOINT_HEADER_BYTES + header->payload_bytes, data, bytes);
	header->payload_bytes += bytes;
	header->entries += entries;
	return 0;
}

static bool marks_ascend(const struct checkpoint_head *head)
{
	if (head->logs > ABAFT_LOGS_MAX)
		return false;
	for (uint32_t i = 0; i < head->logs; i++)
		if (head->mark[i].log >= ABAFT_LOGS_MAX ||
		    (i && head->mark[i].log <= head->mark[i - 1].log))
			return false;
	return true;
}

static int add_head(struct checkpoint_writer *writer, const struct checkpoint_head *head)
{
	struct {
		struct head_payload head;
		struct mark_entry mark[ABAFT_LOGS_MAX];
	} payload = {
		.head = {.wall_us = head->wall_us, .time = head->time, .logs = head->logs},
	};

	for (uint32_t i = 0; i < head->logs; i++)
		payload.mark[i] = (struct mark_entry){
			.log = head->mark[i].log,
			.segment = head->mark[i].mark.segment,
			.group = head->mark[i].mark.group,
			.record = head->mark[i].mark.record,
			.offset = head->mark[i].mark.offset,
			.previous_crc = head->mark[i].mark.previous_crc,
			.incarnation = head->mark[i].mark.incarnation,
		};
	return add(writer, CHECKPOINT_HEAD, &payload,
		   (uint32_t)(sizeof(payload.head) + head->logs * sizeof(payload.mark[0])), 1);
}

int checkpoint_begin(struct checkpoint_writer **out, struct filedev *dev, const uint8_t node_id[16],
		     const struct checkpoint_head *head)
{
	struct checkpoint_writer *writer;
	int error;

	if (head->number == 0 || !marks_ascend(head))
		return -EINVAL;
	writer = calloc(1, sizeof(*writer));
	if (!writer)
		return -ENOMEM;
	writer->dev = dev;
	writer->next.magic = MAGIC;
	writer->next.version = CHECKPOINT_FORMAT;
	writer->next.number = head->number;
	memcpy(writer->next.node_id, node_id, sizeof(writer->next.node_id));
	error = posix_memalign((void **)&writer->buffer, ABAFT_LOG_BLOCK_BYTES,
			       CHECKPOINT_BLOCK_BYTES)
			? -ENOMEM
			: dev->ops->create(dev, head->number);
	if (error) {
		free(writer->buffer);
		free(writer);
		return error;
	}
	error = add_head(writer, head);
	if (error) {
		checkpoint_abandon(writer);
		return error;
	}
	*out = writer;
	return 0;
}

int checkpoint_segments(struct checkpoint_writer *writer, const struct checkpoint_segment *segments,
			uint32_t segments_count)
{
	for (uint32_t i = 0; i < segments_count && !writer->error; i++) {
		const struct segment_entry entry = {
			.log = segments[i].log,
			.segment = segments[i].segment,
			.bytes = segments[i].bytes,
			.time = segments[i].time,
		};

		if (add(writer, CHECKPOINT_SEGMENTS, &entry, sizeof(entry), 1))
			break;
	}
	return writer->error;
}

int checkpoint_add(struct checkpoint_writer *writer, enum checkpoint_kind kind, const uint8_t *data,
		   uint32_t bytes, uint32_t entries)
{
	if (!writer->error && (bytes > CHECKPOINT_PAYLOAD_BYTES || entries == 0 ||
			       (kind != CHECKPOINT_KEYS && kind != CHECKPOINT_OUTCOMES)))
		writer->error = -EINVAL;
	return writer->error ? writer->error : add(writer, kind, data, bytes, entries);
}

static void free_writer(struct checkpoint_writer *writer)
{
	free(writer->buffer);
	free(writer);
}

int checkpoint_finish(struct checkpoint_writer *writer, uint64_t horizon_ms,
		      struct checkpoint_stats *stats)
{
	struct end_payload end = {.horizon_ms = horizon_ms};
	int error = writer->error;

	if (!error && writer->next.entries)
		error = write_block(writer);
	end.keys = writer->stats.keys;
	end.outcomes = writer->stats.outcomes;
	end.segments = writer->stats.segments;
	end.blocks = writer->next.index + 1;
	if (!error)
		error = add(writer, CHECKPOINT_END, &end, sizeof(end), 1);
	if (!error)
		error = write_block(writer);
	if (error) {
		checkpoint_abandon(writer);
		return error;
	}
	if (stats)
		*stats = writer->stats;
	error = writer->dev->ops->finish(writer->dev);
	free_writer(writer);
	return error;
}

void checkpoint_abandon(struct checkpoint_writer *writer)
{
	writer->dev->ops->abandon(writer->dev);
	free_writer(writer);
}

/* A checkpoint being read. */
struct reading {
	struct filedev *dev;
	struct block_header due; /* what the next block's header must say */
	struct checkpoint_head *head;
	struct checkpoint_stats stats;
	const struct checkpoint_visitor *visitor; /* NULL: only verifies */
	uint8_t *buffer;
	uint64_t bytes; /* of the file */
	uint64_t offset;
	bool ended;
	int handle;
	char *why;
	size_t why_bytes;
};

__attribute__((format(printf, 3, 4))) static int refuse(struct reading *reading, int error,
							const char *format, ...)
{
	char text[256];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	snprintf(reading->why, reading->why_bytes,
		 "checkpoint-%08x, block %u at byte %llu of %llu: %s", reading->due.number,
		 reading->due.index, (unsigned long long)reading->offset,
		 (unsigned long long)reading->bytes, text);
	return error;
}

/* Why the bytes are not the block that is due; NULL: they are. */
static const char *judge(const struct reading *reading, const struct block_header *header)
{
	const struct block_header *due = &reading->due;
	uint32_t crc = format_crc(reading->buffer, offsetof(struct block_header, header_crc));

	if (header->magic != MAGIC)
		return "there is no block";
	if (header->header_crc != crc)
		return "its header is damaged (checksum)";
	if (header->version != CHECKPOINT_FORMAT)
		return "it is of another format version; use the abaft that wrote it";
	if (memcmp(header->node_id, due->node_id, sizeof(due->node_id)) != 0)
		return "it belongs to another node";
	if (header->number != due->number)
		return "it belongs to another checkpoint";
	if (header->index != due->index || header->block != due->block)
		return "it belongs to another place";
	if (header->previous_crc != due->previous_crc)
		return "it does not follow the block before it";
	if (header->payload_bytes > CHECKPOINT_PAYLOAD_BYTES || header->entries == 0 ||
	    header->kind < CHECKPOINT_HEAD || header->kind > CHECKPOINT_END ||
	    (header->index == 0) != (header->kind == CHECKPOINT_HEAD))
		return "its lengths or its kind make no sense";
	return NULL;
}

static int take_head(struct reading *reading, const uint8_t *payload, uint32_t bytes)
{
	struct checkpoint_head *head = reading->head;
	struct head_payload fixed;
	struct mark_entry entry;

	if (bytes < sizeof(fixed))
		return refuse(reading, -EBADMSG, "its lengths make no sense");
	memcpy(&fixed, payload, sizeof(fixed));
	head->number = reading->due.number;
	head->wall_us = fixed.wall_us;
	head->time = fixed.time;
	head->logs = fixed.logs;
	if (fixed.logs > ABAFT_LOGS_MAX || bytes != sizeof(fixed) + fixed.logs * sizeof(entry))
		return refuse(reading, -EBADMSG, "its lengths make no sense");
	for (uint32_t i = 0; i < fixed.logs; i++) {
		memcpy(&entry, payload + sizeof(fixed) + i * sizeof(entry), sizeof(entry));
		head->mark[i].log = entry.log;
		head->mark[i].mark = (struct log_mark){
			.group = entry.group,
			.record = entry.record,
			.offset = entry.offset,
			.segment = entry.segment,
			.previous_crc = entry.previous_crc,
			.incarnation = entry.incarnation,
		};
	}
	return marks_ascend(head) ? 0 : refuse(reading, -EBADMSG, "its marks make no sense");
}

static int take_segments(struct reading *reading, const struct block_header *header,
			 const uint8_t *payload)
{
	const struct checkpoint_visitor *visitor = reading->visitor;

	if (header->payload_bytes != header->entries * (uint64_t)sizeof(struct segment_entry))
		return refuse(reading, -EBADMSG, "its lengths make no sense");
	if (!visitor || !visitor->segments)
		return 0;
	return visitor->segments(visitor->arg, (const struct checkpoint_segment *)payload,
				 header->entries);
}

static int take_end(struct reading *reading, const uint8_t *payload, uint32_t bytes)
{
	struct end_payload end;

	if (bytes != sizeof(end))
		return refuse(reading, -EBADMSG, "its lengths make no sense");
	memcpy(&end, payload, sizeof(end));
	if (end.blocks != reading->due.index + 1 || end.keys != reading->stats.keys ||
	    end.outcomes != reading->stats.outcomes || end.segments != reading->stats.segments)
		return refuse(reading, -EBADMSG, "it does not sum up what stands before it");
	if (reading->stats.bytes != reading->bytes)
		return refuse(reading, -EBADMSG, "%llu bytes stand behind the end",
			      (unsigned long long)(reading->bytes - reading->stats.bytes));
	reading->head->horizon_ms = end.horizon_ms;
	reading->ended = true;
	return 0;
}

static int take(struct reading *reading, const struct block_header *header)
{
	const struct checkpoint_visitor *visitor = reading->visitor;
	const uint8_t *payload = reading->buffer + CHECKPOINT_HEADER_BYTES;
	int (*fn)(void *arg, const uint8_t *data, uint32_t bytes) = NULL;

	switch ((enum checkpoint_kind)header->kind) {
	case CHECKPOINT_HEAD:
		return take_head(reading, payload, header->payload_bytes);
	case CHECKPOINT_SEGMENTS:
		return take_segments(reading, header, payload);
	case CHECKPOINT_KEYS:
		fn = visitor ? visitor->keys : NULL;
		break;
	case CHECKPOINT_OUTCOMES:
		fn = visitor ? visitor->outcomes : NULL;
		break;
	case CHECKPOINT_END:
		return take_end(reading, payload, header->payload_bytes);
	}
	return fn ? fn(visitor->arg, payload, header->payload_bytes) : 0;
}

/* One block; 0 and reading->ended behind the last. */
static int read_block(struct reading *reading)
{
	uint64_t left = reading->bytes - reading->offset;
	size_t want = left < CHECKPOINT_BLOCK_BYTES ? (size_t)left : CHECKPOINT_BLOCK_BYTES;
	struct block_header header;
	const char *wrong;
	uint32_t bytes;
	ssize_t got;
	int error;

	if (left < ABAFT_LOG_BLOCK_BYTES)
		return refuse(reading, -EBADMSG, "the file was cut short");
	got = reading->dev->ops->read(reading->dev, reading->handle, reading->buffer, want,
				      reading->offset);
	if (got < 0 || (size_t)got < want)
		return refuse(reading, got < 0 ? (int)got : -EIO, "cannot read it: %s",
			      strerror(got < 0 ? (int)-got : EIO));
	memcpy(&header, reading->buffer, sizeof(header));
	wrong = judge(reading, &header);
	if (wrong)
		return refuse(reading, -EBADMSG, "%s", wrong);
	bytes = block_bytes(&header);
	if (bytes > want)
		return refuse(reading, -EBADMSG, "the file was cut short");
	if (header.payload_crc !=
	    format_crc(reading->buffer + CHECKPOINT_HEADER_BYTES, bytes - CHECKPOINT_HEADER_BYTES))
		return refuse(reading, -EBADMSG, "it is damaged (checksum)");
	count(&reading->stats, &header);
	error = take(reading, &header);
	reading->offset += bytes;
	reading->due.index++;
	reading->due.block += bytes / ABAFT_LOG_BLOCK_BYTES;
	reading->due.previous_crc = header.header_crc;
	return error;
}

static int read_all(struct reading *reading, const uint8_t node_id[16], uint32_t number)
{
	const struct filedev_ops *ops = reading->dev->ops;
	int error = 0;

	reading->due.number = number;
	memcpy(reading->due.node_id, node_id, sizeof(reading->due.node_id));
	reading->handle = ops->open(reading->dev, number, &reading->bytes);
	if (reading->handle < 0)
		return refuse(reading, reading->handle, "cannot open it: %s",
			      strerror(-reading->handle));
	if (reading->bytes % ABAFT_LOG_BLOCK_BYTES != 0)
		error = refuse(reading, -EBADMSG, "no checkpoint is of this length");
	else if (posix_memalign((void **)&reading->buffer, ABAFT_LOG_BLOCK_BYTES,
				CHECKPOINT_BLOCK_BYTES))
		error = refuse(reading, -ENOMEM, "no memory to read it");
	while (!error && !reading->ended)
		error = read_block(reading);
	free(reading->buffer);
	ops->close(reading->dev, reading->handle);
	return error;
}

int checkpoint_verify(struct filedev *dev, const uint8_t node_id[16], uint32_t number,
		      struct checkpoint_head *head, struct checkpoint_stats *stats, char *why,
		      size_t why_bytes)
{
	struct reading reading = {.dev = dev, .head = head, .why = why, .why_bytes = why_bytes};
	int error;

	memset(head, 0, sizeof(*head));
	error = read_all(&reading, node_id, number);
	if (error)
		memset(head, 0, sizeof(*head));
	else if (stats)
		*stats = reading.stats;
	return error;
}

int checkpoint_load(struct filedev *dev, const uint8_t node_id[16], uint32_t number,
		    const struct checkpoint_visitor *visitor, char *why, size_t why_bytes)
{
	struct checkpoint_head head;
	struct reading reading = {
		.dev = dev,
		.head = &head,
		.visitor = visitor,
		.why = why,
		.why_bytes = why_bytes,
	};

	return read_all(&reading, node_id, number);
}

static int newest_first(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? 1 : -(x > y);
}

int checkpoint_list(struct filedev *dev, uint32_t *numbers, uint32_t max)
{
	uint32_t all[ABAFT_CHECKPOINTS_MAX];
	int files = dev->ops->list(dev, all, ABAFT_CHECKPOINTS_MAX);

	if (files < 0)
		return files;
	qsort(all, (size_t)files, sizeof(all[0]), newest_first);
	if ((uint32_t)files > max)
		files = (int)max;
	memcpy(numbers, all, (size_t)files * sizeof(all[0]));
	return files;
}
