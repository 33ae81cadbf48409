/* SPDX-License-Identifier: Apache-2.0 */
/*
 * log.c - gathers records into groups, writes them, and says in order what is durable.
 *
 * The owner (a worker) calls; nothing here waits but open and close. The format is format.h's, the
 * argument why recovery finds exactly what was acknowledged is recover.c's.
 *
 * A ring of GROUPS group buffers; group g uses groups[g % GROUPS]:
 *
 *	durable < ... <= submitted < ... < next
 *	         in flight          gathering (at most the last one still open)
 *
 * I1. Groups are given their place when they are opened, one behind the other, so a group that was
 *     opened can always be written. Records never span groups, groups never span segments.
 * I2. A group is finished and handed to the device in order, at most ABAFT_LOG_WRITES_IN_FLIGHT
 *     beyond the last durable one. It is never held back to be filled: while a slot is free, what
 *     has been gathered goes out at the next log_submit(); batches form while slots are taken.
 * I3. `durable` passes a group only when it and all before it are synced, whatever the order of
 *     completions. A group that failed is never passed: what follows it is never acknowledged.
 * I4. The last block of a segment is left for a seal, so that a clean close always finds room.
 * I5. Only a failed write or sync, or a device that takes none, is a failure (`error`). When the
 *     next segment cannot be made or attached, whatever the reason, the log is full (`no_room`):
 *     what it took before becomes durable all the same, and it goes on when one can be had again.
 * I6. A segment is closed on the shelf by the log_submit() after the log left it, whose `now` is
 *     that of the records in it, or later.
 * I7. When the owner has been told that the log failed, `durable` and the mark stay: it has given
 *     up what waited, so a checkpoint must not begin behind that.
 *
 * Over a device that several writers could reach at once (`fences`; a disk has a lock instead):
 *
 * F1. A seal ends its segment, and no segment is left without one. So group n has one place,
 *     whoever writes it: behind n-1, or, where n-1 is a seal, at the next segment's beginning.
 * F2. Segment s+1 belongs to the incarnation of the seal in s, which is part of what it is called
 *     (logdev.h): two that follow different seals are different segments.
 * F3. Opening, the log writes a seal as group n before anything else, and waits for it. If a writer
 *     of before still lives, either that seal is refused, and this log does not open; or his group
 *     n is, and he never acknowledges it nor what follows. What he has in flight behind n, or made
 *     ahead, lies in segments where nothing of ours will be (F2).
 * F4. So segments ahead of the tail are not taken over, but made (again), once the seal stands.
 *     A closed log gets its seal, too: who wrote it before may still do.
 * F5. A mark behind a seal is the end of the seal's segment: it tells where group n goes (F1) also
 *     to who begins there and has not seen the seal.
 */
#include "dataplane/log/log.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <abaft/limits.h>

#include "dataplane/core/place.h"
#include "dataplane/core/telemetry.h"
#include "dataplane/log/format.h"
#include "dataplane/log/logdev.h"
#include "dataplane/log/reader.h"
#include "dataplane/log/recover.h"
#include "dataplane/log/segment.h"
#include "dataplane/log/shelf.h"

/* One more than can be in flight, so that gathering goes on meanwhile. */
#define GROUPS		(ABAFT_LOG_WRITES_IN_FLIGHT + 1)
/* A segment that could not be attached is tried again after this long. */
#define ATTACH_RETRY_US UINT64_C(1000000)
/* Completions that one log_poll() takes. Who takes all that there are starts all that follow at
 * once, so that worker and disk wait for each other in turns: with 32 reads in flight that cost a
 * fifth of them. The writes in flight are never more. */
#define DONE_PER_POLL	GROUPS
_Static_assert(GROUPS <= LOGDEV_SLOTS, "groups in flight may all be in different segments");

struct group {
	uint8_t *buffer;
	uint64_t offset;      /* in its segment */
	uint64_t record_last; /* the highest sequence up to and with this group */
	uint64_t since_us;    /* when it was given to the device */
	uint64_t since_ns;    /* the same by telemetry.now_ns */
	uint32_t segment;
	uint32_t segment_blocks;
	uint32_t room; /* bytes it may take, header included */
	uint32_t used;
	uint32_t records;
	uint32_t crc; /* of its header */
	bool seal;
	bool done;
};

struct log {
	struct logdev *dev;
	struct segments *segments;
	struct shelf *shelf;	     /* NULL: none */
	struct reader *reader;	     /* NULL: not on a shelf, so nothing can be read */
	struct telemetry *telemetry; /* NULL: none */
	struct group groups[GROUPS];
	uint8_t node_id[16];
	uint32_t number;
	uint32_t group_bytes_max; /* of a buffer; smaller than the limit where segments are */
	uint32_t incarnation;
	uint64_t durable;   /* group */
	uint64_t synced;    /* what headers may call durable: `durable`, if writes are synced */
	uint64_t submitted; /* last group handed to the device */
	uint64_t next;	    /* group to be opened next */
	uint64_t record;    /* last that was appended */
	uint64_t record_durable;
	uint32_t previous_crc;
	uint64_t place;		/* of the last record's data */
	struct now now;		/* of the last log_submit() */
	struct log_mark mark;	/* behind `durable` */
	uint32_t reserved;	/* bytes of the record being encoded */
	uint32_t in_device;	/* writes without completion */
	struct segment segment; /* where groups are placed; handle closed: attached */
	uint64_t offset;	/* behind the last group that was opened */
	struct segment coming;	/* taken, not attached; bytes 0: none */
	uint64_t coming_us;	/* when attaching it failed */
	uint32_t left;		/* the first segment that is not closed on the shelf */
	int error;		/* for ever */
	int no_room;		/* why there is no next segment (I5) */
	bool gathering;		/* group next - 1 is open */
	bool sealed;		/* nothing was written behind a seal */
	bool sync;
	bool dsync;
	struct log_stats stats;
};

static struct group *group_of(struct log *log, uint64_t sequence)
{
	return &log->groups[sequence % GROUPS];
}

static void fail(struct log *log, int error)
{
	if (!log->error)
		log->error = error;
}

/* Puts `coming` into its slot of the device. */
static int attach(struct log *log)
{
	int error = log->dev->ops->attach(log->dev, log->coming.number % LOGDEV_SLOTS,
					  log->coming.handle);

	if (error) {
		log->coming_us = log->now.mono_us;
		return error;
	}
	log->dev->ops->close(log->dev, log->coming.handle);
	log->segment = log->coming;
	log->coming.bytes = 0;
	log->offset = 0;
	return 0;
}

/* Bytes that a group of records opened now could take. */
static uint32_t room_here(const struct log *log)
{
	uint64_t end = log->segment.bytes - ABAFT_LOG_BLOCK_BYTES; /* I4 */

	if (log->offset >= end)
		return 0;
	return end - log->offset < log->group_bytes_max ? (uint32_t)(end - log->offset)
							: log->group_bytes_max;
}

static struct group *open_group(struct log *log, uint32_t room)
{
	struct group *group = group_of(log, log->next);

	group->offset = log->offset;
	group->segment = log->segment.number;
	group->segment_blocks = (uint32_t)(log->segment.bytes / ABAFT_LOG_BLOCK_BYTES);
	group->room = room;
	group->used = LOG_GROUP_HEADER_BYTES;
	group->seal = false;
	group->records = 0;
	group->done = false;
	log->next++;
	log->gathering = true;
	return group;
}

/* The group's place and what follows it are settled. */
static void close_group(struct log *log)
{
	struct group *group = group_of(log, log->next - 1);

	log->gathering = false;
	log->reserved = 0;
	log->offset = group->offset + format_blocks_up(group->used);
}

/* True when no more groups may be opened: all are full or in flight. */
static bool no_group(const struct log *log)
{
	return log->next - log->durable > GROUPS;
}

static bool room_for_seal(const struct log *log)
{
	return log->offset + ABAFT_LOG_BLOCK_BYTES <= log->segment.bytes;
}

/* The next group, which holds nothing. */
static void open_seal(struct log *log)
{
	open_group(log, ABAFT_LOG_BLOCK_BYTES)->seal = true;
	close_group(log);
}

/* Makes the next segment the one where groups are placed. */
static int next_segment(struct log *log)
{
	int error = 0;

	if (!log->coming.bytes)
		error = segments_take(log->segments, &log->coming);
	else if (log->now.mono_us - log->coming_us < ATTACH_RETRY_US)
		return log->no_room;
	if (error) {
		log->no_room = error == -EAGAIN ? 0 : error;
		return error;
	}
	if (log->dev->fences && room_for_seal(log)) { /* F1 */
		if (no_group(log))
			return -EAGAIN;
		open_seal(log);
	}
	/* What is queued names the slot by number: start it before the slot changes hands. */
	error = log->dev->ops->submit(log->dev);
	if (error) {
		fail(log, error);
		return error;
	}
	log->no_room = attach(log);
	return log->no_room;
}

/* Whether the device would rather have these bytes in a group of their own. */
static bool larger_than_liked(const struct log *log, const struct group *group, uint32_t bytes)
{
	return log->dev->group_bytes != 0 && group->records > 0 &&
	       group->used + bytes > log->dev->group_bytes;
}

/* The open group, or a new one, with `bytes` free; NULL when there is none to be had now. */
static struct group *group_with_room(struct log *log, uint32_t bytes)
{
	uint32_t room;

	if (log->gathering) {
		struct group *group = group_of(log, log->next - 1);

		if (group->used + bytes <= group->room && !larger_than_liked(log, group, bytes))
			return group;
		if (group->records == 0) { /* opened for a reservation that was given up */
			log->gathering = false;
			log->next--;
		} else {
			close_group(log);
		}
	}
	if (no_group(log))
		return NULL;
	room = room_here(log);
	if (room < LOG_GROUP_HEADER_BYTES + bytes) {
		if (next_segment(log) || no_group(log))
			return NULL;
		room = room_here(log);
		if (room < LOG_GROUP_HEADER_BYTES + bytes)
			return NULL;
	}
	return open_group(log, room);
}

uint8_t *log_reserve(struct log *log, uint32_t bytes)
{
	struct group *group;

	if (log->error || bytes > LOG_RECORD_BYTES_MAX)
		return NULL;
	group = group_with_room(log, LOG_RECORD_HEADER_BYTES + format_record_up(bytes));
	if (!group)
		return NULL;
	log->reserved = LOG_RECORD_HEADER_BYTES + format_record_up(bytes);
	return group->buffer + group->used + LOG_RECORD_HEADER_BYTES;
}

uint64_t log_append(struct log *log, uint32_t bytes, uint8_t type)
{
	struct group *group = group_of(log, log->next - 1);

	assert(log->gathering && bytes + LOG_RECORD_HEADER_BYTES <= log->reserved);
	log->reserved = 0;
	log->record++;
	log->place = place_make(log->number, group->segment,
				(uint32_t)group->offset + group->used + LOG_RECORD_HEADER_BYTES);
	group->used += format_record_put(group->buffer + group->used, type, log->record, bytes);
	group->records++;
	log->stats.records++;
	log->stats.record_bytes += bytes;
	return log->record;
}

uint64_t log_place(const struct log *log)
{
	return log->place;
}

/* Finishes group submitted + 1, whose place is settled, and queues its write. */
static void write_group(struct log *log, uint16_t flags)
{
	uint64_t sequence = log->submitted + 1;
	struct group *group = group_of(log, sequence);
	uint64_t record_before = log->submitted == log->durable
					 ? log->record_durable
					 : group_of(log, log->submitted)->record_last;
	struct group_header *header = (struct group_header *)group->buffer;
	struct logdev_write write = {
		.slot = group->segment % LOGDEV_SLOTS,
		.buffer = (uint32_t)(sequence % GROUPS),
		.offset = group->offset,
		.tag = sequence,
		.sync = log->sync,
		.dsync = log->dsync,
	};

	*header = (struct group_header){
		.flags = flags,
		.log = log->number,
		.segment = group->segment,
		.block = (uint32_t)(group->offset / ABAFT_LOG_BLOCK_BYTES),
		.segment_blocks = group->segment_blocks,
		.sequence = sequence,
		.record_first = record_before + 1,
		.durable = log->synced,
		.incarnation = log->incarnation,
		.records = group->records,
		.payload_bytes = group->used - LOG_GROUP_HEADER_BYTES,
		.previous_crc = log->previous_crc,
	};
	memcpy(header->node_id, log->node_id, sizeof(header->node_id));
	write.bytes = format_group_finish(group->buffer);
	log->previous_crc = header->header_crc;
	group->crc = header->header_crc;
	group->since_us = log->now.mono_us;
	group->since_ns = log->telemetry ? log->telemetry->now_ns : 0;
	telemetry_add(log->telemetry, HISTOGRAM_log_group, group->records);
	telemetry_add(log->telemetry, HISTOGRAM_log_depth, log->in_device);
	group->record_last = record_before + group->records;
	log->dev->ops->write(log->dev, &write);
	log->submitted = sequence;
	log->in_device++;
	log->sealed = flags & LOG_FLAG_SEAL;
	log->stats.groups++;
	log->stats.group_bytes += write.bytes;
	if (log->in_device > log->stats.in_flight_max)
		log->stats.in_flight_max = log->in_device;
}

static void submit(struct log *log)
{
	int error;

	while (!log->error && log->submitted + 1 < log->next &&
	       log->submitted - log->durable < ABAFT_LOG_WRITES_IN_FLIGHT) {
		if (log->gathering && log->submitted + 2 == log->next) {
			if (group_of(log, log->submitted + 1)->records == 0)
				break;
			close_group(log);
		}
		write_group(log, group_of(log, log->submitted + 1)->seal ? LOG_FLAG_SEAL : 0);
	}
	/* Behind the writes in the device's queue; and also when the log has failed. */
	if (log->reader)
		reader_start(log->reader);
	error = log->dev->ops->submit(log->dev);
	if (error)
		fail(log, error);
}

void log_submit(struct log *log, struct now now)
{
	log->now = now;
	/* Who is told -ENOSPC does not ask for room: a segment that nobody makes ahead, or that
	 * could not be attached, is tried for here. */
	if (log->no_room && !log->error && !log->gathering)
		(void)next_segment(log);
	submit(log);
	for (; log->shelf && log->left < log->segment.number; log->left++) /* I6 */
		shelf_close(log->shelf, log->number, log->left, now.wall_us);
}

/* A write that found no room in a file whose room was set aside has failed like any other, though
 * -ENOSPC would look like a log that only waits for a segment. */
static void complete(struct log *log, const struct logdev_done *done)
{
	if (done->tag & LOGDEV_FETCH) {
		reader_take(log->reader, done);
		return;
	}
	log->in_device--;
	if (log->telemetry)
		telemetry_add(log->telemetry, HISTOGRAM_log_device,
			      log->telemetry->now_ns - group_of(log, done->tag)->since_ns);
	if (done->result)
		fail(log, done->result == -ENOSPC ? -EIO : done->result);
	else
		group_of(log, done->tag)->done = true;
}

/* I3. */
static void pass_group(struct log *log)
{
	const struct group *group = group_of(log, ++log->durable);
	uint64_t end = group->offset + format_blocks_up(group->used);

	if (group->seal && log->dev->fences) /* F5 */
		end = (uint64_t)group->segment_blocks * ABAFT_LOG_BLOCK_BYTES;
	log->record_durable = group->record_last;
	if (log->sync)
		log->synced = log->durable;
	log->mark = (struct log_mark){
		.group = log->durable,
		.record = group->record_last,
		.offset = end,
		.segment = group->segment,
		.previous_crc = group->crc,
		.incarnation = log->incarnation,
	};
}

/* Writes and reads that the device has not ended. */
static bool in_device(const struct log *log)
{
	return log->in_device || (log->reader && reader_in_device(log->reader));
}

uint64_t log_poll(struct log *log)
{
	struct logdev_done done[DONE_PER_POLL];
	bool failed = log->error != 0; /* and the owner knows */
	uint32_t count;

	if (!in_device(log))
		return log->record_durable;
	count = log->dev->ops->poll(log->dev, done, sizeof(done) / sizeof(done[0]));
	for (uint32_t i = 0; i < count; i++)
		complete(log, &done[i]);
	while (!failed && log->durable < log->submitted &&
	       group_of(log, log->durable + 1)->done) /* I7 */
		pass_group(log);
	return log->record_durable;
}

uint64_t log_durable(const struct log *log)
{
	return log->record_durable;
}

uint64_t log_given_ns(const struct log *log, uint64_t record)
{
	const struct group *found = NULL;

	for (uint32_t i = 0; i < GROUPS; i++) {
		const struct group *group = &log->groups[i];

		if (group->done && group->record_last >= record &&
		    (!found || group->record_last < found->record_last))
			found = group;
	}
	return found ? found->since_ns : 0;
}

void log_mark(const struct log *log, struct log_mark *out)
{
	*out = log->mark;
}

int log_free_segment(struct log *log, uint32_t segment)
{
	return segments_free(log->segments, segment);
}

uint64_t log_stalled_us(const struct log *log)
{
	const struct group *oldest = &log->groups[(log->durable + 1) % GROUPS];

	if (log->error || log->durable == log->submitted ||
	    log->now.mono_us - oldest->since_us < UINT64_C(1000) * ABAFT_LOG_STALL_MS)
		return 0;
	return log->now.mono_us - oldest->since_us;
}

/* Room may have come meanwhile: the next reservation takes it. */
static int no_room(const struct log *log)
{
	return !log->coming.bytes && segments_ready(log->segments) ? 0 : log->no_room;
}

int log_error(const struct log *log)
{
	if (log->error)
		return log->error;
	return no_room(log) ? -ENOSPC : 0;
}

bool log_busy(const struct log *log)
{
	return !log->error && log->record > log->record_durable;
}

int log_sleep_fd(const struct log *log)
{
	return log->dev->ops->sleep_fd(log->dev);
}

void log_stats(const struct log *log, struct log_stats *out)
{
	*out = log->stats;
	out->segments = segments_on_disk(log->segments);
	out->no_room = no_room(log);
	out->recycled = segments_recycled(log->segments);
	out->stalled_us = log_stalled_us(log);
	if (log->reader)
		reader_stats(log->reader, out);
}

int log_read(struct log *log, const struct log_read *read)
{
	return log->reader ? reader_want(log->reader, read) : -ESTALE;
}

uint32_t log_read_done(struct log *log, struct log_read_done *done, uint32_t max)
{
	return log->reader ? reader_done(log->reader, done, max) : 0;
}

/* Until everything appended is durable, or the log failed. */
static void drain(struct log *log)
{
	while (!log->error && log->durable + 1 < log->next) {
		int error;

		if (log->gathering && group_of(log, log->next - 1)->records == 0) {
			log->gathering = false;
			log->next--;
			continue;
		}
		submit(log);
		error = log->error ? 0 : log->dev->ops->wait(log->dev);
		if (error)
			fail(log, error);
		log_poll(log);
	}
}

static void seal(struct log *log)
{
	drain(log);
	if (log->error || log->sealed || !room_for_seal(log))
		return;
	open_seal(log);
	drain(log);
}

/* F3. */
static int fence(struct log *log, const struct log_tail *tail)
{
	int error = 0;

	if (tail->sealed || tail->offset >= log->segment.bytes) { /* F5 */
		log->offset = log->segment.bytes;
		error = next_segment(log);
	}
	if (error)
		return error;
	open_seal(log);
	drain(log);
	log->dev->incarnation = log->incarnation;
	log->offset = log->segment.bytes;
	return log->error ? log->error : log->dev->ops->fenced(log->dev, log->segment.number);
}

static void destroy(struct log *log)
{
	if (log->coming.bytes)
		log->dev->ops->close(log->dev, log->coming.handle);
	if (log->segments)
		segments_destroy(log->segments);
	log->dev->ops->destroy(log->dev);
	if (log->reader)
		reader_destroy(log->reader);
	for (uint32_t i = 0; i < GROUPS; i++)
		free(log->groups[i].buffer);
	free(log);
}

void log_close(struct log *log)
{
	if (log->reader)
		reader_stop(log->reader);
	seal(log);
	/* The disk may still use buffers: of reads, and of writes behind one that failed. */
	while (in_device(log) && log->dev->ops->wait(log->dev) == 0)
		log_poll(log);
	destroy(log);
}

/* Everything recovery found, or a log's beginning. */
static void begin_at(struct log *log, const struct log_tail *tail)
{
	log->durable = tail->group;
	log->synced = tail->group;
	log->submitted = tail->group;
	log->next = tail->group + 1;
	log->record = tail->record;
	log->record_durable = tail->record;
	log->previous_crc = tail->previous_crc;
	log->incarnation = tail->incarnation_max + 1;
	log->sealed = tail->group == 0 || tail->sealed;
	log->left = tail->segment;
	log->mark = (struct log_mark){
		.group = tail->group,
		.record = tail->record,
		.offset = tail->offset,
		.segment = tail->segment,
		.previous_crc = tail->previous_crc,
		.incarnation = tail->incarnation,
	};
}

static int make_buffers(struct log *log)
{
	uint8_t *buffers[GROUPS];

	for (uint32_t i = 0; i < GROUPS; i++) {
		if (posix_memalign((void **)&log->groups[i].buffer, ABAFT_LOG_BLOCK_BYTES,
				   log->group_bytes_max))
			return -ENOMEM;
		buffers[i] = log->groups[i].buffer;
	}
	return log->dev->ops->start(log->dev, buffers, GROUPS, log->group_bytes_max);
}

static int find_segments(struct log *log, const struct log_config *config,
			 const struct log_tail *tail)
{
	const struct segment_plan plan = {
		.shelf = config->shelf,
		.segment_bytes = config->segment_bytes,
		.log = config->number,
		.next = tail->segment,
		.ahead = config->segments_ahead,
		.closed = config->closed,
	};
	int error = segments_create(&log->segments, log->dev, &plan);

	for (uint32_t i = 0; i < tail->segments && !error; i++) {
		if (log->dev->fences && tail->on_disk[i].number > tail->segment) { /* F4 */
			if (config->shelf && tail->claimed)
				shelf_unclaim(config->shelf, tail->on_disk[i].bytes);
			continue;
		}
		error = segments_found(log->segments, tail->on_disk[i].number,
				       tail->on_disk[i].bytes, tail->claimed);
	}
	return error;
}

static int start(struct log *log, const struct log_config *config, const struct log_tail *tail)
{
	int error;

	log->dev->incarnation = log->incarnation;
	if (log->dev->fences && tail->group) /* F2 */
		log->dev->incarnation = tail->incarnation;
	error = find_segments(log, config, tail);
	if (error)
		return error;
	if (config->closed && !log->dev->fences) {
		log->error = -EROFS; /* so that nothing is written, ever */
		return log->dev->catches_up ? log->dev->ops->start(log->dev, NULL, 0, 0) : 0;
	}
	error = make_buffers(log);
	if (!error && config->shelf && !config->closed)
		error = reader_create(&log->reader, log->dev, config->shelf);
	if (!error)
		error = next_segment(log);
	log->offset = tail->offset;
	if (!error && log->dev->fences)
		error = fence(log, tail);
	if (config->closed)
		log->error = -EROFS; /* that was all */
	if (!error)
		error = segments_start(log->segments);
	return error;
}

int log_open_on(struct log **out, struct logdev *dev, const struct log_config *config,
		const struct log_tail *tail, char *why, size_t why_bytes)
{
	static const struct log_tail nothing;
	struct log *log = calloc(1, sizeof(*log));
	uint32_t first;
	int error;

	if (!log) {
		dev->ops->destroy(dev);
		snprintf(why, why_bytes, "no memory for log-%03u", config->number);
		return -ENOMEM;
	}
	log->dev = dev;
	log->shelf = config->shelf;
	log->telemetry = config->telemetry;
	log->number = config->number;
	log->sync = config->sync;
	log->dsync = config->dsync;
	log->group_bytes_max = config->segment_bytes < ABAFT_LOG_GROUP_BYTES_MAX
				       ? (uint32_t)config->segment_bytes
				       : ABAFT_LOG_GROUP_BYTES_MAX;
	memcpy(log->node_id, config->node_id, sizeof(log->node_id));
	begin_at(log, tail ? tail : &nothing);
	if (!tail && config->closed)
		error = -ENOENT;
	else if (!tail && dev->ops->list(dev, &first, 1) != 0)
		error = -EEXIST;
	else
		error = start(log, config, tail ? tail : &nothing);
	if (error) {
		snprintf(why, why_bytes, "log %s/log-%03u: cannot be opened: %s%s",
			 config->dir ? config->dir : "", config->number,
			 error == -EEXIST   ? "there is a log already; recover it first"
			 : error == -ESTALE ? "another node has taken it over; is one running?"
					    : strerror(-error),
			 error == -ENOSPC || error == -EDQUOT
				 ? "; free disk space, or raise log-bytes-max"
				 : "");
		destroy(log);
		return error;
	}
	*out = log;
	return 0;
}

int log_open(struct log **out, const struct log_config *config, const struct log_tail *tail,
	     char *why, size_t why_bytes)
{
	struct logdev *dev;
	int error;

	if (config->segment_bytes < ABAFT_LOG_GROUP_BYTES_MAX + ABAFT_LOG_BLOCK_BYTES ||
	    config->segment_bytes > ABAFT_LOG_SEGMENT_BYTES_MAX ||
	    config->segment_bytes % ABAFT_LOG_BLOCK_BYTES != 0) {
		snprintf(why, why_bytes,
			 "log %s/log-%03u: a segment of %llu bytes is not possible: %u to %u, a "
			 "multiple of %u",
			 config->dir, config->number, (unsigned long long)config->segment_bytes,
			 ABAFT_LOG_GROUP_BYTES_MAX + ABAFT_LOG_BLOCK_BYTES,
			 ABAFT_LOG_SEGMENT_BYTES_MAX, ABAFT_LOG_BLOCK_BYTES);
		return -EINVAL;
	}
	error = logdev_uring_create(&dev, config->dir, config->number, true, why, why_bytes);
	return error ? error : log_open_on(out, dev, config, tail, why, why_bytes);
}
