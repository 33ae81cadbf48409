/* SPDX-License-Identifier: Apache-2.0 */
/*
 * moment.c - as of when the backup is: rule B1 of backup.h.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <abaft/limits.h>

#include "dataplane/core/hlc.h"
#include "dataplane/core/record.h"
#include "dataplane/log/format.h"
#include "dataplane/log/segment.h"
#include "tools/backup/backup.h"
#include "tools/backup/copy.h"

/* A clock this far behind the node's numbers is waited for. */
#define WAIT_US_MAX 10000000u
/* Longer than any pass of a worker and the write of what it committed. */
#define PASS_US	    1000000u
/* Of the newest groups so many may still be on their way to the disk. */
#define GROUPS	    (2 * ABAFT_LOG_WRITES_IN_FLIGHT)

static uint64_t wall_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

/* A segment that is read here and there. */
struct segment_reader {
	int fd;
	struct format_place place;
	uint8_t *buffer; /* holds a group */
};

static enum format_verdict read_header(struct segment_reader *reader, uint64_t offset,
				       struct group_header *header)
{
	reader->place.block = (uint32_t)(offset / ABAFT_LOG_BLOCK_BYTES);
	if (pread(reader->fd, reader->buffer, ABAFT_LOG_BLOCK_BYTES, (off_t)offset) !=
	    (ssize_t)ABAFT_LOG_BLOCK_BYTES)
		return FORMAT_NOTHING;
	return format_header_parse(reader->buffer, &reader->place, header);
}

/* The highest time in a group, if it is whole. */
static uint64_t group_time(struct segment_reader *reader, const struct group_header *header)
{
	uint64_t offset = (uint64_t)header->block * ABAFT_LOG_BLOCK_BYTES, time = 0;
	uint32_t bytes = format_blocks_up(LOG_GROUP_HEADER_BYTES + header->payload_bytes);
	const uint8_t *payload = reader->buffer + LOG_GROUP_HEADER_BYTES;
	struct format_cursor cursor = {payload, payload + header->payload_bytes};
	struct format_record record;
	struct record commit;

	if (pread(reader->fd, reader->buffer, bytes, (off_t)offset) != (ssize_t)bytes ||
	    format_payload_check(header, payload) != FORMAT_FITS)
		return 0;
	while (format_record_next(&cursor, &record) > 0)
		if (record_open(&commit, record.type, record.data, record.bytes) &&
		    commit.number.time > time)
			time = commit.number.time;
	return time;
}

/* Follows the groups of a segment; remembers the last ones. */
static uint64_t segment_time(struct segment_reader *reader)
{
	struct group_header last[GROUPS];
	uint64_t offset = 0, time = 0;
	uint32_t count = 0;

	while (offset < (uint64_t)reader->place.segment_blocks * ABAFT_LOG_BLOCK_BYTES) {
		struct group_header *header = &last[count % GROUPS];

		if (read_header(reader, offset, header) != FORMAT_FITS)
			break;
		offset += format_blocks_up(LOG_GROUP_HEADER_BYTES + header->payload_bytes);
		count++;
	}
	for (uint32_t i = 0; i < count && i < GROUPS; i++) {
		uint64_t of_group = group_time(reader, &last[i]);

		time = of_group > time ? of_group : time;
	}
	return time;
}

int backup_newest_time(int dir_fd, const uint8_t node_id[16], uint32_t log, uint64_t *time)
{
	struct segment_reader reader = {.place.log = log};
	struct segment_list list = {0};
	char name[SEGMENT_NAME_BYTES];
	int err;

	*time = 0;
	memcpy(reader.place.node_id, node_id, sizeof(reader.place.node_id));
	err = backup_list(dir_fd, node_id, log, &list);
	if (!err && posix_memalign((void **)&reader.buffer, ABAFT_LOG_BLOCK_BYTES,
				   ABAFT_LOG_GROUP_BYTES_MAX))
		err = -ENOMEM;
	/* The last groups may be in the segment before: the newest holds one that is not whole. */
	for (size_t i = list.count; !err && i-- > 0 && *time == 0;) {
		off_t bytes;

		segment_name(name, list.numbers[i]);
		reader.fd = copy_open(dir_fd, name);
		if (reader.fd < 0)
			continue; /* freed meanwhile: not the newest */
		bytes = lseek(reader.fd, 0, SEEK_END);
		reader.place.segment = list.numbers[i];
		reader.place.segment_blocks = (uint32_t)(bytes / ABAFT_LOG_BLOCK_BYTES);
		*time = segment_time(&reader);
		close(reader.fd);
	}
	free(reader.buffer);
	free(list.numbers);
	return err;
}

/* Over all logs of workers; the kept log's numbers are old ones. */
static int newest_time(const struct backup *backup, uint64_t *time)
{
	char name[16];

	*time = 0;
	for (uint32_t i = 0; i < backup->dir.logs_count; i++) {
		uint64_t of_log = 0;
		int err, fd;

		if (backup->dir.logs[i] >= ABAFT_WORKERS_MAX)
			continue;
		snprintf(name, sizeof(name), "log-%03u", backup->dir.logs[i]);
		fd = openat(backup->dir.fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (fd < 0)
			return -errno;
		err = backup_newest_time(fd, backup->dir.node_id, backup->dir.logs[i], &of_log);
		close(fd);
		if (err)
			return err;
		*time = of_log > *time ? of_log : *time;
	}
	return 0;
}

static int wait_for_clock(struct backup *backup, uint64_t newest)
{
	uint64_t newest_us = (newest >> HLC_COUNT_BITS) + 1, now = wall_us();

	if (newest_us > now && newest_us - now > WAIT_US_MAX)
		return backup_failed(-EAGAIN,
				     "%s: the newest commits are numbered %llu s ahead of this "
				     "machine's clock, which was set back: stop the node for the "
				     "backup, or back it up when the clock has caught up",
				     backup->from,
				     (unsigned long long)((newest_us - now) / 1000000));
	while ((now = wall_us()) <= newest_us)
		usleep(newest_us - now < 1000 ? 1000 : (useconds_t)(newest_us - now));
	backup->manifest.wall_us = now;
	backup->cut = now << HLC_COUNT_BITS;
	usleep(PASS_US);
	return 0;
}

int backup_moment(struct backup *backup)
{
	struct datadir stopped;
	uint64_t newest;
	char why[512];
	int err, running;

	/* While no daemon runs, the lock keeps one from starting before the cut is known: it will
	 * number its commits above all that it finds. */
	running = datadir_inspect(&stopped, backup->from, why, sizeof(why));
	if (running && running != -EBUSY)
		return backup_failed(running, "%s", why);
	err = newest_time(backup, &newest);
	if (err)
		backup_failed(err, "%s: cannot read its logs: %s", backup->from, strerror(-err));
	else if (running)
		err = wait_for_clock(backup, newest);
	else
		backup->manifest.wall_us = wall_us();
	if (!running) {
		backup->cut = backup->manifest.wall_us << HLC_COUNT_BITS;
		backup->cut = newest > backup->cut ? newest : backup->cut;
		datadir_close(&stopped);
	}
	return err;
}
