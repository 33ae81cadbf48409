/* SPDX-License-Identifier: Apache-2.0 */
/* copy.c - see copy.h. */
#include "tools/backup/copy.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <abaft/limits.h>

#include "tools/backup/manifest.h"

#define PIECE_BYTES (1u << 20)

int copy_open(int dir_fd, const char *name)
{
	int fd = openat(dir_fd, name, O_RDONLY | O_DIRECT | O_CLOEXEC);

	if (fd < 0 && errno == EINVAL)
		fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

/* The next piece: fewer bytes than a piece only at the end, 0 behind it. */
static ssize_t read_piece(int fd, uint8_t *to, uint64_t offset)
{
	ssize_t got;

	do
		got = pread(fd, to, PIECE_BYTES, (off_t)offset);
	while (got < 0 && errno == EINTR);
	return got < 0 ? -errno : got;
}

static int write_piece(int fd, const uint8_t *from, size_t bytes)
{
	while (bytes > 0) {
		ssize_t done = write(fd, from, bytes);

		if (done < 0 && errno == EINTR)
			continue;
		if (done < 0)
			return -errno;
		from += done;
		bytes -= (size_t)done;
	}
	return 0;
}

/* Reads all of `from`, sums it, and writes it to `to` unless that is -1. */
static int run(int from, int to, uint64_t *bytes, uint32_t *crc)
{
	uint32_t sum = MANIFEST_CRC_BEGIN;
	struct stat st;
	uint8_t *piece;
	int err = 0;

	if (fstat(from, &st) < 0)
		return -errno;
	if (posix_memalign((void **)&piece, ABAFT_LOG_BLOCK_BYTES, PIECE_BYTES))
		return -ENOMEM;
	*bytes = 0;
	while (!err && *bytes < (uint64_t)st.st_size) {
		ssize_t got = read_piece(from, piece, *bytes);

		if (got <= 0) {
			err = got < 0 ? (int)got : -EIO;
			break;
		}
		sum = manifest_crc(sum, piece, (size_t)got);
		*bytes += (uint64_t)got;
		if (to >= 0)
			err = write_piece(to, piece, (size_t)got);
	}
	free(piece);
	*crc = manifest_crc_end(sum);
	return err;
}

int copy_file(int from, int to_dir, const char *to_name, uint64_t *bytes, uint32_t *crc)
{
	int err, fd = openat(to_dir, to_name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	if (fd < 0)
		return -errno;
	err = run(from, fd, bytes, crc);
	if (!err && fsync(fd) < 0)
		err = -errno;
	if (close(fd) < 0 && !err)
		err = -errno;
	return err;
}

int copy_sum(int dir_fd, const char *name, uint64_t *bytes, uint32_t *crc)
{
	int err, fd = copy_open(dir_fd, name);

	if (fd < 0)
		return fd;
	err = run(fd, -1, bytes, crc);
	close(fd);
	return err;
}

int copy_sync_dir(int dir_fd, const char *name)
{
	int err = 0, fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	if (fsync(fd) < 0)
		err = -errno;
	close(fd);
	return err;
}

static bool is_empty(int dir_fd)
{
	int fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *stream = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;
	bool empty = stream != NULL;

	while (stream && (entry = readdir(stream)))
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			empty = false;
	if (stream)
		closedir(stream);
	return empty;
}

int copy_target(const char *path)
{
	int fd;

	if (mkdir(path, 0755) < 0 && errno != EEXIST)
		return -errno;
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (!is_empty(fd)) {
		close(fd);
		return -ENOTEMPTY;
	}
	return fd;
}

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	(void)remove(path);
	return 0;
}

void copy_remove(const char *path)
{
	(void)nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}
