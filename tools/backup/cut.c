/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cut.c - makes the copy of a log end where the backup's moment says: rules B2 and B6 of backup.h.
 *
 * The copy is read as recovery would. Where the first record above the cut stands, its group is
 * written anew with the records before it, or left out, and nothing stays behind. Header, chain
 * and sequences of what stays do not change, so a node goes on behind it as behind any end.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <abaft/limits.h>

#include "dataplane/core/record.h"
#include "dataplane/log/format.h"
#include "dataplane/log/logdev.h"
#include "dataplane/log/recover.h"
#include "tools/backup/backup.h"
#include "tools/backup/copy.h"

/* Scans of one log: each copies again what was being written during the one before. */
#define SCANS_MAX     8
#define SCAN_PAUSE_US 100000
/* Segments in which writes may be in flight while a log is copied. */
#define SEGMENTS_BACK 8

/* One reading of a copied log. */
struct scan {
	uint64_t cut;
	struct group_header group; /* the last that began */
	uint64_t offset;
	uint32_t before; /* records of it that came */
	uint64_t records;
	bool above; /* the record that came next is above the cut */
};

static int on_group(void *arg, const struct group_header *group, uint64_t offset)
{
	struct scan *scan = arg;

	scan->group = *group;
	scan->offset = offset;
	scan->before = 0;
	return 0;
}

static int on_record(void *arg, uint64_t sequence, uint8_t type, uint64_t place,
		     const uint8_t *data, uint32_t bytes)
{
	struct scan *scan = arg;
	struct record record;

	if (type == RECORD_COMMIT && record_open(&record, type, data, bytes) &&
	    record.number.time > scan->cut) {
		scan->above = true;
		return -ECANCELED;
	}
	scan->before++;
	scan->records++;
	return 0;
}

static const struct log_mark *mark_of(const struct backup *backup, uint32_t log)
{
	for (uint32_t i = 0; i < backup->head.logs && backup->checkpoints > 0; i++)
		if (backup->head.mark[i].log == log)
			return &backup->head.mark[i].mark;
	return NULL;
}

/* 0 and where the log ends, -ECANCELED (scan->above) or what recovery says, with its sentence. */
static int read_copy(const struct backup *backup, uint32_t log, struct scan *scan,
		     struct log_tail **tail, char *why, size_t why_bytes)
{
	const struct log_mark *mark = mark_of(backup, log);
	struct log_config config = {.dir = backup->to, .number = log};
	const struct recover_visitor visitor = {
		.arg = scan, .group = on_group, .record = on_record};
	struct logdev *dev;
	int err;

	memset(scan, 0, sizeof(*scan));
	scan->group.segment = mark ? mark->segment : 0;
	/* What the kept log says of versions above the cut, a restart passes over. */
	scan->cut = log < ABAFT_WORKERS_MAX ? backup->cut : UINT64_MAX;
	memcpy(config.node_id, backup->dir.node_id, sizeof(config.node_id));
	*tail = NULL;
	err = logdev_uring_create(&dev, backup->to, log, false, why, why_bytes);
	if (err)
		return err;
	err = recover_scan(dev, &config, mark, &visitor, tail, why, why_bytes);
	dev->ops->destroy(dev);
	return err;
}

/* The group at `offset` again, with its first `records` records. Returns its new length. */
static int shorten_group(int fd, uint64_t offset, uint32_t records, uint64_t *end)
{
	struct group_header *header;
	struct format_cursor cursor;
	struct format_record record;
	uint32_t bytes;
	uint8_t *group;
	ssize_t got;
	int err = 0;

	*end = offset;
	if (records == 0)
		return 0;
	group = malloc(ABAFT_LOG_GROUP_BYTES_MAX);
	if (!group)
		return -ENOMEM;
	header = (struct group_header *)group;
	got = pread(fd, group, ABAFT_LOG_GROUP_BYTES_MAX, (off_t)offset);
	if (got < (ssize_t)LOG_GROUP_HEADER_BYTES ||
	    got - (ssize_t)LOG_GROUP_HEADER_BYTES < (ssize_t)header->payload_bytes)
		err = -EIO;
	cursor.at = group + LOG_GROUP_HEADER_BYTES;
	cursor.end = cursor.at + header->payload_bytes;
	for (uint32_t i = 0; i < records && !err; i++)
		if (format_record_next(&cursor, &record) <= 0)
			err = -EIO; /* it was whole a moment ago */
	if (!err) {
		header->records = records;
		header->payload_bytes = (uint32_t)(cursor.at - group) - LOG_GROUP_HEADER_BYTES;
		bytes = format_group_finish(group);
		*end = offset + bytes;
		if (pwrite(fd, group, bytes, (off_t)offset) != (ssize_t)bytes)
			err = -EIO;
	}
	free(group);
	return err;
}

/* Nothing stays in the segment behind `records` records of the group at `offset`. */
static int end_segment(struct backup *backup, uint32_t log, uint32_t number, uint64_t offset,
		       uint32_t records)
{
	struct manifest_file file = {.log = log, .number = number};
	char path[MANIFEST_PATH_BYTES];
	uint64_t end;
	struct stat st;
	int err, fd;

	manifest_path(path, log, number);
	fd = openat(backup->to_fd, path, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	err = fstat(fd, &st) < 0 ? -errno : 0;
	if (!err)
		err = shorten_group(fd, offset, records, &end);
	/* Cut off and made as long again: zeros. */
	if (!err &&
	    (ftruncate(fd, (off_t)end) < 0 || ftruncate(fd, st.st_size) < 0 || fsync(fd) < 0))
		err = -errno;
	close(fd);
	if (!err)
		err = copy_sum(backup->to_fd, path, &file.bytes, &file.crc);
	return err || manifest_put(&backup->manifest, &file) ? err : -ENOMEM;
}

static int drop_behind(struct backup *backup, uint32_t log, uint32_t last)
{
	char path[MANIFEST_PATH_BYTES];
	struct manifest *manifest = &backup->manifest;

	for (size_t i = manifest->count; i-- > 0;) {
		uint32_t number = manifest->files[i].number;

		if (manifest->files[i].log != log || number <= last)
			continue;
		manifest_path(path, log, number);
		if (unlinkat(backup->to_fd, path, 0) < 0)
			return -errno;
		manifest_drop(manifest, log, number);
	}
	return 0;
}

/* The log was written on while it was copied: copies again from where the scan came to. */
static int copy_again(struct backup *backup, uint32_t log, const struct scan *scan)
{
	uint32_t first = scan->group.segment, newest = first;
	const struct manifest *manifest = &backup->manifest;

	for (size_t i = 0; i < manifest->count; i++)
		if (manifest->files[i].log == log && manifest->files[i].number > newest)
			newest = manifest->files[i].number;
	if (newest - first > SEGMENTS_BACK)
		return -EBADMSG; /* nobody writes there any more */
	usleep(SCAN_PAUSE_US);
	return backup_copy_log(backup, log, first);
}

/* Ends the copy where the scan found a record above the cut, or else its end. */
static int end_log(struct backup *backup, uint32_t log, const struct scan *scan,
		   const struct log_tail *tail)
{
	uint32_t segment = scan->above ? scan->group.segment : tail->segment;
	uint64_t offset = scan->above ? scan->offset : tail->offset;
	int err = end_segment(backup, log, segment, offset, scan->above ? scan->before : 0);

	if (!err)
		err = drop_behind(backup, log, segment);
	if (err)
		backup_failed(err, "ending the copy of log-%03u in %s: %s", log, backup->to,
			      strerror(-err));
	return err;
}

int backup_cut_log(struct backup *backup, uint32_t log)
{
	char why[512] = "";
	bool ended = false;
	struct scan scan;
	int err = 0;

	for (int scans = 0; scans < SCANS_MAX; scans++) {
		struct log_tail *tail;
		int read = read_copy(backup, log, &scan, &tail, why, sizeof(why));
		bool done = read == 0 && ended;

		if (read == -EBADMSG && !ended)
			err = copy_again(backup, log, &scan);
		else if (!done && (read == 0 || scan.above))
			err = end_log(backup, log, &scan, tail);
		else if (!done)
			return backup_failed(read, "%s", why);
		ended |= read == 0 || scan.above;
		log_tail_free(tail);
		backup->records += done ? scan.records : 0;
		if (done || (err && err != -EBADMSG))
			return err;
		if (err)
			break;
	}
	/* The scan's own sentence says more than how often it was copied. */
	return backup_failed(-EBADMSG, "%s", why);
}
