/* SPDX-License-Identifier: Apache-2.0 */
/*
 * reader.c - cold reads: sorted, merged with their neighbours, a bounded number in flight.
 *
 *	reader_want() ─▶ arrived ─▶ batch ─▶ flights ─▶ ended ─▶ reader_done()
 *	                (sorted)   (sorted)  (in device)  │
 *	                    ▲────── once more, alone ─────┘ failed
 *
 * Places sort by log, segment and byte. What arrives while a batch is worked off becomes the next
 * batch, so each read waits for two batches at most, however many come behind it, and the more the
 * disk has to do the more neighbours meet (N-step SCAN; T. J. Teorey and T. B. Pinkerton, "A
 * Comparative Analysis of Disk Scheduling Policies", 1972).
 *
 * R1. A wanted read holds its segment on the shelf from reader_want() until it has ended. So its
 *     handle is good while the device reads, even if the segment is removed meanwhile.
 * R2. A device read lies in one segment, starts and ends on sectors, and holds several wanted
 *     reads wholly, or one in part and then those behind it wholly.
 * R3. A wanted read has ended when all of it was asked of the device and all of that has come.
 * R4. What a failed or short device read did not bring is read once more, and alone: a bad sector
 *     below one value, or between two, takes none of its neighbours with it.
 */
#include "dataplane/log/reader.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <abaft/limits.h>

#include "dataplane/core/place.h"
#include "dataplane/log/shelf.h"

/*
 * Bytes that nobody wants, between two that are read together, at most. A disk that gives 70,000
 * random reads or 1.2 GB per second moves these in the time that another read would cost it.
 */
#define GAP_BYTES_MAX (16u << 10)
#define NONE	      UINT16_MAX
#define HUGE_BYTES    (2u << 20)
#define BUFFERS_BYTES ((size_t)ABAFT_READS_IN_FLIGHT * ABAFT_READ_BYTES_MAX)

_Static_assert(ABAFT_FETCHES_MAX < NONE, "indices are of 16 bits");
_Static_assert(ABAFT_READ_BYTES_MAX % ABAFT_LOG_BLOCK_BYTES == 0, "buffers are blocks");

struct wanted {
	struct log_read read;
	struct logdev *from;
	int handle;
	int error;
	uint32_t asked;	  /* bytes of it, from the first, that the device was asked for */
	uint16_t flights; /* in the device, that hold some of it */
	uint16_t next;	  /* of the list it is in: free, ended, or its flight's */
	bool held;	  /* R1 */
	bool alone;	  /* R4 */
};

/* A device read; its number is that of its buffer. */
struct flight {
	uint64_t place;
	uint32_t bytes;
	uint16_t part;	/* NONE, or what it holds in part (R2) */
	uint16_t whole; /* list of what it holds wholly */
};

/* Indices of wanted reads by place. */
struct sorted {
	uint32_t count;
	uint16_t index[ABAFT_FETCHES_MAX];
};

struct reader {
	struct logdev *dev;
	struct shelf *shelf;
	uint8_t *buffers; /* of all flights, one behind the other */
	struct sorted queue[2];
	struct sorted *arrived, *batch;
	uint32_t at; /* in the batch: all before were asked for */
	uint32_t in_device;
	uint16_t flights_free[ABAFT_READS_IN_FLIGHT]; /* a stack */
	uint16_t free;
	uint16_t ended_first, ended_last;
	bool stopped;
	uint64_t reads, read_bytes, device_reads, errors;
	struct flight flight[ABAFT_READS_IN_FLIGHT];
	struct wanted wanted[ABAFT_FETCHES_MAX];
};

static uint8_t *buffer_of(const struct reader *reader, uint32_t flight)
{
	return reader->buffers + (size_t)flight * ABAFT_READ_BYTES_MAX;
}

static void give(struct reader *reader, struct wanted *wanted)
{
	wanted->held = false;
	shelf_give(reader->shelf, place_log(wanted->read.place), place_segment(wanted->read.place));
}

int reader_create(struct reader **out, struct logdev *dev, struct shelf *shelf)
{
	uint8_t *buffers[ABAFT_READS_IN_FLIGHT];
	struct reader *reader = calloc(1, sizeof(*reader));
	int error;

	if (!reader)
		return -ENOMEM;
	if (posix_memalign((void **)&reader->buffers, HUGE_BYTES, BUFFERS_BYTES)) {
		free(reader);
		return -ENOMEM;
	}
	/* If it can be had: a read that spans pages is then one piece for the disk, not several. */
	(void)madvise(reader->buffers, BUFFERS_BYTES, MADV_HUGEPAGE);
	reader->dev = dev;
	reader->shelf = shelf;
	reader->arrived = &reader->queue[0];
	reader->batch = &reader->queue[1];
	reader->ended_first = NONE;
	for (uint16_t i = 0; i < ABAFT_FETCHES_MAX; i++)
		reader->wanted[i].next = i + 1 < ABAFT_FETCHES_MAX ? i + 1 : NONE;
	for (uint16_t i = 0; i < ABAFT_READS_IN_FLIGHT; i++) {
		reader->flights_free[i] = i;
		buffers[i] = buffer_of(reader, i);
	}
	error = dev->ops->start_reads(dev, buffers, ABAFT_READS_IN_FLIGHT, ABAFT_READ_BYTES_MAX);
	if (error) {
		reader_destroy(reader);
		return error;
	}
	*out = reader;
	return 0;
}

void reader_destroy(struct reader *reader)
{
	for (uint32_t i = 0; i < ABAFT_FETCHES_MAX; i++)
		if (reader->wanted[i].held)
			give(reader, &reader->wanted[i]);
	free(reader->buffers);
	free(reader);
}

/* Behind those of the same place: who came first is read first. */
static void insert(struct reader *reader, uint16_t index)
{
	struct sorted *sorted = reader->arrived;
	uint64_t place = reader->wanted[index].read.place;
	uint32_t low = 0, high = sorted->count;

	while (low < high) {
		uint32_t middle = (low + high) / 2;

		if (reader->wanted[sorted->index[middle]].read.place <= place)
			low = middle + 1;
		else
			high = middle;
	}
	memmove(&sorted->index[low + 1], &sorted->index[low],
		(sorted->count - low) * sizeof(sorted->index[0]));
	sorted->index[low] = index;
	sorted->count++;
}

int reader_want(struct reader *reader, const struct log_read *read)
{
	uint32_t log = place_log(read->place), segment = place_segment(read->place);
	uint16_t index = reader->free;
	struct shelf_segment on_shelf;
	struct wanted *wanted;
	int error;

	if (index == NONE)
		return -EAGAIN;
	wanted = &reader->wanted[index];
	error = shelf_hold(reader->shelf, log, segment, &on_shelf);
	if (error)
		return error;
	if (!read->bytes || read->bytes > ABAFT_VALUE_BYTES_MAX ||
	    (uint64_t)place_offset(read->place) + read->bytes > on_shelf.bytes) {
		shelf_give(reader->shelf, log, segment);
		return -EINVAL;
	}
	reader->free = wanted->next;
	*wanted = (struct wanted){
		.read = *read,
		.from = on_shelf.dev,
		.handle = on_shelf.handle,
		.held = true,
	};
	insert(reader, index);
	reader->reads++;
	reader->read_bytes += read->bytes;
	return 0;
}

/* The next of the batch, or NULL. */
static struct wanted *next_wanted(struct reader *reader)
{
	return reader->at < reader->batch->count ? &reader->wanted[reader->batch->index[reader->at]]
						 : NULL;
}

/* True if the flight, whose wanted bytes end at `end` so far, may take all of this one too. */
static bool joins(const struct flight *flight, uint64_t end, const struct wanted *wanted)
{
	uint64_t place = wanted->read.place;

	return !wanted->alone && place >> PLACE_OFFSET_BITS == flight->place >> PLACE_OFFSET_BITS &&
	       place >= flight->place && place <= end + GAP_BYTES_MAX &&
	       place + wanted->read.bytes <= flight->place + ABAFT_READ_BYTES_MAX;
}

/* Puts the next of the batch into the flight: as much of it as there is room for. Returns where
 * its bytes end. */
static uint64_t ask(struct reader *reader, struct flight *flight)
{
	uint16_t index = reader->batch->index[reader->at];
	struct wanted *wanted = &reader->wanted[index];
	uint64_t place = wanted->read.place + wanted->asked;
	uint32_t left = wanted->read.bytes - wanted->asked;
	uint32_t room = (uint32_t)(flight->place + ABAFT_READ_BYTES_MAX - place);
	uint32_t bytes = left < room ? left : room;

	if (bytes < wanted->read.bytes) {
		flight->part = index;
	} else {
		wanted->next = flight->whole;
		flight->whole = index;
	}
	wanted->flights++;
	wanted->asked += bytes;
	if (wanted->asked == wanted->read.bytes)
		reader->at++;
	return place + bytes;
}

/* A device read of `first`, the next of the batch, and of what can come with it. */
static void fly(struct reader *reader, const struct wanted *first)
{
	uint16_t number = reader->flights_free[reader->in_device];
	uint64_t begin = first->read.place + first->asked;
	struct flight *flight = &reader->flight[number];
	uint32_t sector = first->from->sector;
	const struct wanted *next;
	struct logdev_fetch fetch;
	uint64_t end;

	*flight = (struct flight){
		.place = begin - begin % sector,
		.part = NONE,
		.whole = NONE,
	};
	end = ask(reader, flight);
	while (!first->alone && (next = next_wanted(reader)) && joins(flight, end, next)) {
		uint64_t behind = ask(reader, flight);

		end = behind > end ? behind : end;
	}
	flight->bytes = (uint32_t)(end - flight->place + sector - 1) & ~(sector - 1);
	fetch = (struct logdev_fetch){
		.from = first->from,
		.handle = first->handle,
		.buffer = number,
		.bytes = flight->bytes,
		.offset = place_offset(flight->place),
		.tag = number,
	};
	reader->in_device++;
	reader->device_reads++;
	reader->dev->ops->fetch(reader->dev, &fetch);
}

static void next_batch(struct reader *reader)
{
	struct sorted *empty = reader->batch;

	reader->batch = reader->arrived;
	reader->arrived = empty;
	empty->count = 0;
	reader->at = 0;
}

void reader_start(struct reader *reader)
{
	while (!reader->stopped && reader->in_device < ABAFT_READS_IN_FLIGHT) {
		const struct wanted *wanted = next_wanted(reader);

		if (!wanted) {
			next_batch(reader);
			wanted = next_wanted(reader);
		}
		if (!wanted)
			return;
		fly(reader, wanted);
	}
}

void reader_stop(struct reader *reader)
{
	reader->stopped = true;
}

/* R3; or once more (R4). */
static void end(struct reader *reader, uint16_t index)
{
	struct wanted *wanted = &reader->wanted[index];

	if (wanted->error && !wanted->alone) {
		wanted->alone = true;
		wanted->error = 0;
		wanted->asked = 0;
		insert(reader, index);
		return;
	}
	give(reader, wanted);
	wanted->next = NONE;
	if (reader->ended_first == NONE)
		reader->ended_first = index;
	else
		reader->wanted[reader->ended_last].next = index;
	reader->ended_last = index;
}

/* The flight has brought `got` bytes, or the error: copies those that this one wants. */
static void land(struct reader *reader, uint32_t number, uint16_t index, int result)
{
	const struct flight *flight = &reader->flight[number];
	struct wanted *wanted = &reader->wanted[index];
	uint64_t place = wanted->read.place;
	uint64_t behind = flight->place + flight->bytes;
	uint64_t from = place > flight->place ? place : flight->place;
	uint64_t to = place + wanted->read.bytes < behind ? place + wanted->read.bytes : behind;

	if (result < 0)
		wanted->error = result;
	else if (flight->place + (uint32_t)result < to)
		wanted->error = -EIO;
	else
		memcpy(wanted->read.to + (from - place),
		       buffer_of(reader, number) + (from - flight->place), to - from);
	if (--wanted->flights == 0 && wanted->asked == wanted->read.bytes)
		end(reader, index);
}

void reader_take(struct reader *reader, const struct logdev_done *done)
{
	uint16_t number = (uint16_t)(done->tag & ~LOGDEV_FETCH);
	const struct flight *flight = &reader->flight[number];
	uint16_t next;

	if (done->result < 0 || (uint32_t)done->result < flight->bytes)
		reader->errors++;
	if (flight->part != NONE)
		land(reader, number, flight->part, done->result);
	for (uint16_t index = flight->whole; index != NONE; index = next) {
		next = reader->wanted[index].next;
		land(reader, number, index, done->result);
	}
	reader->flights_free[--reader->in_device] = number;
}

uint32_t reader_done(struct reader *reader, struct log_read_done *done, uint32_t max)
{
	uint32_t count = 0;

	while (count < max && reader->ended_first != NONE) {
		uint16_t index = reader->ended_first;
		struct wanted *wanted = &reader->wanted[index];

		done[count++] = (struct log_read_done){
			.tag = wanted->read.tag,
			.result = wanted->error,
		};
		reader->ended_first = wanted->next;
		wanted->read.to = NULL;
		wanted->next = reader->free;
		reader->free = index;
	}
	return count;
}

uint32_t reader_in_device(const struct reader *reader)
{
	return reader->in_device;
}

void reader_stats(const struct reader *reader, struct log_stats *out)
{
	out->reads = reader->reads;
	out->read_bytes = reader->read_bytes;
	out->device_reads = reader->device_reads;
	out->read_errors = reader->errors;
}
