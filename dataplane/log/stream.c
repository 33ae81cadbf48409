/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stream.c - see stream.h.
 *
 *	file    ....[ window: looked at ][ chunk ][ chunk ] ... [ chunk ]....
 *	             ^ window_offset       ^ taken                         ^ asked
 *
 * I1. Chunks are asked for and taken in the file's order; chunk n uses buffer n % AHEAD, so it is
 *     asked for only when chunk n - AHEAD has been taken.
 * I2. The window is one piece that begins where somebody looked last and ends where chunk `taken`
 *     begins (or where the file ends), but for a jump, which empties it.
 * I3. While a read is in flight its buffer and its handle stay: drain() waits for all of them.
 */
#include "dataplane/log/stream.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <abaft/limits.h>

#define CHUNK_BYTES  (1u << 20)
/* Enough to keep a disk busy while a chunk is being looked through. */
#define AHEAD	     8
#define WINDOW_BYTES (STREAM_LOOK_BYTES_MAX + CHUNK_BYTES)

enum chunk_stage { CHUNK_FREE, CHUNK_READING, CHUNK_HERE };

struct chunk {
	uint8_t *buffer;
	enum chunk_stage stage;
	uint32_t bytes; /* asked for */
	int result;
};

struct stream {
	struct logdev *dev;
	int handle;
	uint64_t bytes; /* of the file */
	struct chunk chunk[AHEAD];
	uint64_t asked, taken; /* numbers of chunks: the next to be */
	uint32_t reading;
	uint8_t *window;
	uint64_t window_offset;
	size_t window_bytes;
};

static struct chunk *chunk_of(struct stream *stream, uint64_t number)
{
	return &stream->chunk[number % AHEAD];
}

/* Takes completions; waits for one if there is none yet. */
static int complete(struct stream *stream)
{
	struct logdev_done done[AHEAD];
	uint32_t count = stream->dev->ops->poll(stream->dev, done, AHEAD);
	int error = 0;

	if (count == 0) {
		error = stream->dev->ops->wait(stream->dev);
		count = stream->dev->ops->poll(stream->dev, done, AHEAD);
	}
	for (uint32_t i = 0; i < count; i++) {
		struct chunk *chunk = chunk_of(stream, done[i].tag & ~LOGDEV_FETCH);

		chunk->result = done[i].result;
		chunk->stage = CHUNK_HERE;
		stream->reading--;
	}
	return error;
}

/* I3. Only a device that does not answer any more ends it early. */
static void drain(struct stream *stream)
{
	while (stream->reading > 0 && complete(stream) == 0)
		;
	for (uint32_t i = 0; i < AHEAD; i++)
		stream->chunk[i].stage = CHUNK_FREE;
}

static int ask(struct stream *stream)
{
	while (stream->asked < stream->taken + AHEAD &&
	       stream->asked * CHUNK_BYTES < stream->bytes) {
		struct chunk *chunk = chunk_of(stream, stream->asked);
		uint64_t offset = stream->asked * CHUNK_BYTES;
		struct logdev_fetch fetch = {.from = stream->dev,
					     .handle = stream->handle,
					     .buffer = (uint32_t)(stream->asked % AHEAD),
					     .offset = offset,
					     .tag = stream->asked};

		chunk->bytes = stream->bytes - offset < CHUNK_BYTES
				       ? (uint32_t)(stream->bytes - offset)
				       : CHUNK_BYTES;
		fetch.bytes = chunk->bytes;
		chunk->stage = CHUNK_READING;
		stream->dev->ops->fetch(stream->dev, &fetch);
		stream->reading++;
		stream->asked++;
	}
	return stream->dev->ops->submit(stream->dev);
}

/* Puts the next chunk behind the window. */
static int take(struct stream *stream)
{
	struct chunk *chunk = chunk_of(stream, stream->taken);
	uint64_t begin = stream->taken * CHUNK_BYTES;
	uint64_t end = stream->window_offset + stream->window_bytes;
	uint32_t skip = end > begin ? (uint32_t)(end - begin) : 0; /* after a jump into it */
	int error = ask(stream);

	while (!error && chunk->stage == CHUNK_READING)
		error = complete(stream);
	if (error)
		return error;
	if (chunk->result < 0)
		return chunk->result;
	if ((uint32_t)chunk->result < chunk->bytes)
		return -EIO;
	memcpy(stream->window + stream->window_bytes, chunk->buffer + skip, chunk->bytes - skip);
	stream->window_bytes += chunk->bytes - skip;
	chunk->stage = CHUNK_FREE;
	stream->taken++;
	return 0;
}

/* Makes `offset` the window's begin. */
static void move_to(struct stream *stream, uint64_t offset)
{
	uint64_t end = stream->window_offset + stream->window_bytes;

	if (offset >= stream->window_offset && offset <= end && stream->window_bytes > 0) {
		stream->window_bytes = (size_t)(end - offset);
		memmove(stream->window, stream->window + (offset - stream->window_offset),
			stream->window_bytes);
	} else {
		drain(stream);
		stream->window_bytes = 0;
		stream->asked = stream->taken = offset / CHUNK_BYTES;
	}
	stream->window_offset = offset;
}

int stream_look(struct stream *stream, uint64_t offset, size_t bytes, const uint8_t **out)
{
	uint64_t end = stream->window_offset + stream->window_bytes;

	if (offset + bytes > stream->bytes)
		return -EIO;
	if (offset < stream->window_offset || offset + bytes > end)
		move_to(stream, offset);
	while (stream->window_bytes < (offset - stream->window_offset) + bytes) {
		int error = take(stream);

		if (error)
			return error;
	}
	*out = stream->window + (offset - stream->window_offset);
	return 0;
}

void stream_leave(struct stream *stream)
{
	drain(stream);
	stream->handle = -1;
	stream->bytes = 0;
	stream->asked = stream->taken = 0;
	stream->window_offset = 0;
	stream->window_bytes = 0;
}

void stream_open(struct stream *stream, int handle, uint64_t bytes)
{
	stream_leave(stream);
	stream->handle = handle;
	stream->bytes = bytes;
}

int stream_create(struct stream **out, struct logdev *dev)
{
	struct stream *stream = calloc(1, sizeof(*stream));
	uint8_t *buffers[AHEAD];
	int error = 0;

	if (!stream)
		return -ENOMEM;
	stream->dev = dev;
	stream->handle = -1;
	if (posix_memalign((void **)&stream->window, ABAFT_LOG_BLOCK_BYTES, WINDOW_BYTES))
		error = -ENOMEM;
	for (uint32_t i = 0; i < AHEAD && !error; i++) {
		if (posix_memalign((void **)&stream->chunk[i].buffer, ABAFT_LOG_BLOCK_BYTES,
				   CHUNK_BYTES))
			error = -ENOMEM;
		buffers[i] = stream->chunk[i].buffer;
	}
	if (!error)
		error = dev->ops->start(dev, NULL, 0, 0);
	if (!error)
		error = dev->ops->start_reads(dev, buffers, AHEAD, CHUNK_BYTES);
	if (error) {
		stream_destroy(stream);
		return error;
	}
	*out = stream;
	return 0;
}

void stream_destroy(struct stream *stream)
{
	if (!stream)
		return;
	drain(stream);
	for (uint32_t i = 0; i < AHEAD; i++)
		free(stream->chunk[i].buffer);
	free(stream->window);
	free(stream);
}
