/* SPDX-License-Identifier: Apache-2.0 */
/*
 * segments.c - which segments of a log are worth copying, and copying them.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <abaft/limits.h>

#include "dataplane/log/format.h"
#include "dataplane/log/segment.h"
#include "tools/backup/backup.h"
#include "tools/backup/copy.h"

int segment_by_number(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

int backup_list_all(int log_fd, struct segment_list *out)
{
	int fd = openat(log_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *stream = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;
	int err = 0;

	if (!stream) {
		err = -errno;
		if (fd >= 0)
			close(fd);
		return err;
	}
	out->numbers = malloc(ABAFT_LOG_SEGMENTS_MAX * sizeof(*out->numbers));
	out->count = 0;
	if (!out->numbers)
		err = -ENOMEM;
	while (!err && (entry = readdir(stream))) {
		uint32_t number;

		if (segment_name_parse(entry->d_name, &number) < 0)
			continue;
		if (out->count == ABAFT_LOG_SEGMENTS_MAX)
			err = -E2BIG;
		else
			out->numbers[out->count++] = number;
	}
	closedir(stream);
	if (!err)
		qsort(out->numbers, out->count, sizeof(*out->numbers), segment_by_number);
	return err;
}

/* Its first block is the header of a group of its own; else nothing was written to it yet. */
static bool holds_groups(int log_fd, const uint8_t node_id[16], uint32_t log, uint32_t number)
{
	struct format_place place = {.log = log, .segment = number};
	uint8_t block[ABAFT_LOG_BLOCK_BYTES] __attribute__((aligned(ABAFT_LOG_BLOCK_BYTES)));
	struct group_header header;
	char name[SEGMENT_NAME_BYTES];
	bool holds = false;
	off_t bytes;
	int fd;

	segment_name(name, number);
	fd = copy_open(log_fd, name);
	if (fd < 0)
		return false;
	bytes = lseek(fd, 0, SEEK_END);
	memcpy(place.node_id, node_id, sizeof(place.node_id));
	place.segment_blocks = (uint32_t)(bytes / ABAFT_LOG_BLOCK_BYTES);
	if (pread(fd, block, sizeof(block), 0) == (ssize_t)sizeof(block))
		holds = format_header_parse(block, &place, &header) == FORMAT_FITS;
	close(fd);
	return holds;
}

int backup_list(int log_fd, const uint8_t node_id[16], uint32_t log, struct segment_list *out)
{
	int err = backup_list_all(log_fd, out);

	/* Only from the end: a segment in the middle without a group is damage, for the scan. */
	while (!err && out->count > 1 &&
	       !holds_groups(log_fd, node_id, log, out->numbers[out->count - 1]))
		out->count--;
	return err;
}

/* Whether the name still is that of the open file: it was not freed, nor used again. */
static bool still_there(int log_fd, const char *name, int fd)
{
	struct stat by_name, open_file;

	return fstatat(log_fd, name, &by_name, 0) == 0 && fstat(fd, &open_file) == 0 &&
	       by_name.st_ino == open_file.st_ino && by_name.st_dev == open_file.st_dev;
}

static int copy_segment(struct backup *backup, int log_fd, uint32_t log, uint32_t number)
{
	struct manifest_file file = {.log = log, .number = number};
	char name[SEGMENT_NAME_BYTES], path[MANIFEST_PATH_BYTES];
	int err, fd;

	segment_name(name, number);
	manifest_path(path, log, number);
	fd = copy_open(log_fd, name);
	if (fd == -ENOENT)
		return 0; /* B5 */
	if (fd < 0)
		return backup_failed(fd, "%s/%s: cannot be read: %s", backup->from, path,
				     strerror(-fd));
	err = copy_file(fd, backup->to_fd, path, &file.bytes, &file.crc);
	if (err) {
		backup_failed(err, "copying %s/%s to %s: %s", backup->from, path, backup->to,
			      strerror(-err));
	} else if (!still_there(log_fd, name, fd)) {
		manifest_drop(&backup->manifest, log, number);
		err = unlinkat(backup->to_fd, path, 0) < 0 ? -errno : 0;
	} else if (!manifest_put(&backup->manifest, &file)) {
		err = backup_failed(-ENOMEM, "out of memory");
	}
	close(fd);
	return err;
}

int backup_copy_log(struct backup *backup, uint32_t log, uint32_t first)
{
	struct segment_list list = {0};
	char name[16];
	int err, fd;

	snprintf(name, sizeof(name), "log-%03u", log);
	fd = openat(backup->dir.fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	err = fd < 0 ? -errno : backup_list(fd, backup->dir.node_id, log, &list);
	if (err)
		backup_failed(err, "%s/%s: cannot be listed: %s", backup->from, name,
			      strerror(-err));
	if (!err && mkdirat(backup->to_fd, name, 0755) < 0 && errno != EEXIST)
		err = backup_failed(-errno, "%s/%s: cannot be made: %s", backup->to, name,
				    strerror(errno));
	for (size_t i = 0; i < list.count && !err; i++)
		if (list.numbers[i] >= first)
			err = copy_segment(backup, fd, log, list.numbers[i]);
	free(list.numbers);
	if (fd >= 0)
		close(fd);
	return err;
}
