/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stream.h - reads files front to back with several reads in flight, so that the disk works while
 * what it gave is being looked at. For recovery; any thread that owns the device, one at a time.
 */
#ifndef ABAFT_LOG_STREAM_H
#define ABAFT_LOG_STREAM_H

#include <stddef.h>
#include <stdint.h>

#include "dataplane/log/logdev.h"

/* The most that can be looked at in one piece: the largest group, wherever it begins. */
#define STREAM_LOOK_BYTES_MAX (2 * ABAFT_LOG_GROUP_BYTES_MAX)

struct stream;

/* Starts the device for reading. 0, -ENOMEM, or what the device said. */
int stream_create(struct stream **out, struct logdev *dev) __attribute__((warn_unused_result));
void stream_destroy(struct stream *stream);

/* From now on reads `handle`, a file of `bytes`, a multiple of the block. The handle stays the
 * caller's, who calls stream_leave() before closing it. */
void stream_open(struct stream *stream, int handle, uint64_t bytes);
void stream_leave(struct stream *stream);
/*
 * `bytes` bytes at `offset`, a multiple of the block; they lie within the file. *out is good until
 * the next call. Cheap where offsets rise; a step back starts over. 0, -EIO (the file ends before),
 * or what the device said.
 */
int stream_look(struct stream *stream, uint64_t offset, size_t bytes, const uint8_t **out)
	__attribute__((warn_unused_result));

#endif
