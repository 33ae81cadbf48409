/* SPDX-License-Identifier: Apache-2.0 */
/*
 * catch_up.c - at a start: what of a log is on the disk and not in the engine yet (behind.h, B3).
 *
 * By B1 all segments before the engine's last one are there, and in that one all up to where its
 * last object ends. From the beginning of that segment on the log is followed, group by group as
 * recovery does (recover.c, R1), to its end: the log was recovered, and nobody writes yet.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "dataplane/log/format.h"
#include "dataplane/remote/behind_impl.h"

#define WAIT_NS 1000000

struct walk {
	struct shipper *shipper;
	uint8_t node_id[16];
	uint8_t *buffer;
	int handle;
	uint32_t segment;
	uint64_t segment_bytes;
	uint64_t offset;
	uint64_t skip;		  /* bytes of the first segment that are there */
	struct group_header last; /* sequence 0: none yet */
	struct range range;	  /* being gathered; bytes 0: none */
};

static void give_gathered(struct walk *walk)
{
	const struct timespec ts = {.tv_nsec = WAIT_NS};

	/* Its thread runs, and takes them. */
	while (walk->range.bytes > 0 && !shipper_give(walk->shipper, &walk->range) &&
	       !atomic_load(&walk->shipper->error) &&
	       !atomic_load(&walk->shipper->behind->given_up))
		nanosleep(&ts, NULL);
	walk->range.bytes = 0;
}

static void gather(struct walk *walk, uint64_t offset, uint32_t bytes)
{
	if (offset < walk->skip)
		return;
	if (walk->range.bytes > 0 && (walk->range.segment != walk->segment ||
				      walk->range.offset + walk->range.bytes != offset ||
				      walk->range.bytes + bytes > ABAFT_LOG_GROUP_BYTES_MAX))
		give_gathered(walk);
	if (walk->range.bytes == 0)
		walk->range = (struct range){.segment = walk->segment, .offset = offset};
	walk->range.bytes += bytes;
}

static int open_near(struct walk *walk, uint32_t number)
{
	struct logdev *near = walk->shipper->near;

	if (walk->handle >= 0)
		near->ops->close(near, walk->handle);
	walk->handle = near->ops->open(near, number, &walk->segment_bytes);
	walk->segment = number;
	walk->offset = 0;
	return walk->handle < 0 ? walk->handle : 0;
}

static bool follows(const struct walk *walk, const struct group_header *header)
{
	const struct group_header *last = &walk->last;

	return last->sequence == 0 || (header->sequence == last->sequence + 1 &&
				       header->previous_crc == last->header_crc &&
				       header->incarnation >= last->incarnation);
}

/* 1: the next group stands here, and was gathered; 0: none does. */
static int group_here(struct walk *walk)
{
	struct logdev *near = walk->shipper->near;
	struct format_place place = {
		.log = walk->shipper->log,
		.segment = walk->segment,
		.segment_blocks = (uint32_t)(walk->segment_bytes / ABAFT_LOG_BLOCK_BYTES),
		.block = (uint32_t)(walk->offset / ABAFT_LOG_BLOCK_BYTES),
	};
	struct group_header header;
	uint32_t bytes;
	ssize_t got;

	if (walk->offset >= walk->segment_bytes)
		return 0;
	memcpy(place.node_id, walk->node_id, sizeof(place.node_id));
	got = near->ops->read(near, walk->handle, walk->buffer, ABAFT_LOG_BLOCK_BYTES,
			      walk->offset);
	if (got != ABAFT_LOG_BLOCK_BYTES)
		return got < 0 ? (int)got : -EIO;
	if (format_header_parse(walk->buffer, &place, &header) != FORMAT_FITS ||
	    !follows(walk, &header))
		return 0;
	bytes = format_blocks_up(LOG_GROUP_HEADER_BYTES + header.payload_bytes);
	got = near->ops->read(near, walk->handle, walk->buffer, bytes, walk->offset);
	if (got < 0 || (uint32_t)got != bytes)
		return got < 0 ? (int)got : -EIO;
	if (format_payload_check(&header, walk->buffer + LOG_GROUP_HEADER_BYTES) != FORMAT_FITS)
		return 0;
	gather(walk, walk->offset, bytes);
	walk->offset += bytes;
	walk->last = header;
	return 1;
}

/* To the log's end, which is in one of `numbers`, ascending. */
static int follow(struct walk *walk, const uint32_t *numbers, int count)
{
	int at = 0, error = 0, found;

	while (at < count && numbers[at] < walk->segment)
		at++;
	for (; at < count && !error; at++) {
		error = open_near(walk, numbers[at]);
		while (!error && (found = group_here(walk)) != 0)
			error = found < 0 ? found : 0;
		if (!error && walk->offset < walk->skip)
			error = -ESTALE; /* the engine has what the disk has not */
		walk->skip = 0;
		/* Segments ahead hold nothing. */
		if (!error && walk->offset == 0)
			break;
	}
	give_gathered(walk);
	return error;
}

/* The engine's last segment that holds something, and where that ends. */
static int find_begin(struct walk *walk, uint32_t near_first)
{
	struct remote *remote = walk->shipper->behind->remote;
	const struct remote_segment *last = NULL, *s;
	uint32_t block, bytes = 0;
	int error = remote_segments_load(remote, walk->shipper->log);

	if (error)
		return error;
	for (s = remote->log[walk->shipper->log].segments; s; s = s->next)
		if ((!last || s->id.number > last->id.number) &&
		    remote_segment_start(s, (uint32_t)(s->bytes / ABAFT_LOG_BLOCK_BYTES) - 1,
					 &block))
			last = s;
	walk->segment = near_first;
	if (!last || last->id.number < near_first)
		return 0;
	walk->segment = last->id.number;
	(void)remote_segment_start(last, (uint32_t)(last->bytes / ABAFT_LOG_BLOCK_BYTES) - 1,
				   &block);
	error = remote_object_read(remote, walk->shipper->log, last, block, walk->buffer, &bytes);
	walk->skip = (uint64_t)block * ABAFT_LOG_BLOCK_BYTES + format_blocks_up(bytes);
	return error;
}

static int by_number(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

int shipper_catch_up(struct shipper *shipper, const uint8_t node_id[16])
{
	uint32_t *numbers = malloc(ABAFT_LOG_SEGMENTS_MAX * sizeof(*numbers));
	struct walk walk = {.shipper = shipper, .handle = -1};
	size_t room = remote_object_room(shipper->behind->remote);
	int count, error = -ENOMEM;

	memcpy(walk.node_id, node_id, sizeof(walk.node_id));
	if (!numbers || posix_memalign((void **)&walk.buffer, ABAFT_LOG_BLOCK_BYTES, room))
		goto out;
	count = shipper->near->ops->list(shipper->near, numbers, ABAFT_LOG_SEGMENTS_MAX);
	error = count < 0 && count != -ENOENT ? count : 0;
	if (count > 0) {
		qsort(numbers, (size_t)count, sizeof(*numbers), by_number);
		error = find_begin(&walk, numbers[0]);
		if (!error && walk.segment > numbers[count - 1])
			error = -ESTALE;
		if (!error)
			error = follow(&walk, numbers, count);
	}
	if (walk.handle >= 0)
		shipper->near->ops->close(shipper->near, walk.handle);
out:
	free(walk.buffer);
	free(numbers);
	return error;
}
