/* SPDX-License-Identifier: Apache-2.0 */
/*
 * filedev_dir.c - files checkpoint-XXXXXXXX in a directory. See filedev.h.
 *
 * Written and read with O_DIRECT, where the file system has it. A checkpoint is as long as all keys
 * and small values together and is read once, at the next start: in the page cache it would only
 * push out what others need. And written through the cache its dirty pages would gather until the
 * sync at the end, which then sends them all to the disk at once, and commits wait behind them.
 *
 * F1. A file is written as checkpoint-XXXXXXXX.new, synced, renamed, and the directory synced.
 * F2. If the last of these fails, the name is taken back: it might come and go with the next crash.
 */
#include "dataplane/log/filedev.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <abaft/limits.h>

#include "dataplane/log/direct.h"

#define NAME_BYTES 32
#define NEW	   ".new"

struct filedev_dir {
	struct filedev dev;
	int dir_fd;
	int fd; /* of the file in the making, -1: none */
	uint32_t number;
	uint64_t bytes; /* written to it */
};

static struct filedev_dir *of(struct filedev *dev)
{
	return (struct filedev_dir *)dev;
}

static void name_of(char name[NAME_BYTES], uint32_t number, const char *suffix)
{
	snprintf(name, NAME_BYTES, "checkpoint-%08x%s", number, suffix);
}

/* 0 and the number, or -EINVAL: not such a file's name. */
static int parse_name(const char *name, const char *suffix, uint32_t *number)
{
	char again[NAME_BYTES];

	if (sscanf(name, "checkpoint-%8x", number) != 1)
		return -EINVAL;
	name_of(again, *number, suffix);
	return strcmp(name, again) == 0 ? 0 : -EINVAL;
}

/* NULL and errno. */
static DIR *open_dir(const struct filedev_dir *dir)
{
	int fd = openat(dir->dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *stream;

	if (fd < 0)
		return NULL;
	stream = fdopendir(fd);
	if (!stream) {
		close(fd);
		errno = ENOMEM;
	}
	return stream;
}

static int parse_finished(const char *name, uint32_t *number)
{
	return parse_name(name, "", number);
}

static int dir_list(struct filedev *dev, uint32_t *numbers, size_t max)
{
	return direct_list(of(dev)->dir_fd, parse_finished, numbers, max);
}

/* What a crash left in the making. */
static int remove_unfinished(struct filedev_dir *dir)
{
	struct dirent *entry;
	uint32_t number;
	DIR *stream = open_dir(dir);
	int error = 0;

	if (!stream)
		return -errno;
	while ((entry = readdir(stream)))
		if (parse_name(entry->d_name, NEW, &number) == 0 &&
		    unlinkat(dir->dir_fd, entry->d_name, 0) < 0 && errno != ENOENT && !error)
			error = -errno;
	closedir(stream);
	return error;
}

static int dir_create(struct filedev *dev, uint32_t number)
{
	struct filedev_dir *dir = of(dev);
	char name[NAME_BYTES];
	int fd, error;

	if (dir->fd >= 0)
		return -EBUSY;
	error = remove_unfinished(dir);
	if (error)
		return error;
	name_of(name, number, NEW);
	fd = direct_open(dir->dir_fd, name, O_WRONLY | O_CREAT | O_TRUNC);
	if (fd < 0)
		return fd;
	dir->fd = fd;
	dir->number = number;
	dir->bytes = 0;
	return 0;
}

static int dir_append(struct filedev *dev, const uint8_t *data, size_t bytes)
{
	struct filedev_dir *dir = of(dev);

	while (bytes > 0) {
		ssize_t written = pwrite(dir->fd, data, bytes, (off_t)dir->bytes);

		if (written < 0 && errno == EINTR)
			continue;
		if (written < 0)
			return -errno;
		/* A disk that fills up takes a part, and with O_DIRECT the rest is unaligned. */
		if (written % ABAFT_LOG_BLOCK_BYTES != 0 || written == 0)
			return -ENOSPC;
		data += written;
		bytes -= (size_t)written;
		dir->bytes += (uint64_t)written;
	}
	return 0;
}

static void dir_abandon(struct filedev *dev)
{
	struct filedev_dir *dir = of(dev);
	char name[NAME_BYTES];

	if (dir->fd < 0)
		return;
	close(dir->fd);
	dir->fd = -1;
	name_of(name, dir->number, NEW);
	unlinkat(dir->dir_fd, name, 0);
}

static int dir_finish(struct filedev *dev)
{
	struct filedev_dir *dir = of(dev);
	char unfinished[NAME_BYTES], name[NAME_BYTES];
	int error = fsync(dir->fd) < 0 ? -errno : 0;

	name_of(unfinished, dir->number, NEW);
	name_of(name, dir->number, "");
	if (!error && renameat(dir->dir_fd, unfinished, dir->dir_fd, name) < 0)
		error = -errno;
	if (error) {
		dir_abandon(dev);
		return error;
	}
	close(dir->fd);
	dir->fd = -1;
	if (fsync(dir->dir_fd) < 0) {
		error = -errno;
		unlinkat(dir->dir_fd, name, 0); /* F2 */
	}
	return error;
}

static int dir_open(struct filedev *dev, uint32_t number, uint64_t *bytes)
{
	char name[NAME_BYTES];

	name_of(name, number, "");
	return direct_length(direct_open(of(dev)->dir_fd, name, O_RDONLY), bytes);
}

static ssize_t dir_read(struct filedev *dev, int handle, uint8_t *to, size_t bytes, uint64_t offset)
{
	return direct_read(handle, to, bytes, offset);
}

static void dir_close(struct filedev *dev, int handle)
{
	close(handle);
}

static int dir_remove(struct filedev *dev, uint32_t number)
{
	char name[NAME_BYTES];

	name_of(name, number, "");
	return unlinkat(of(dev)->dir_fd, name, 0) < 0 ? -errno : 0;
}

static void dir_destroy(struct filedev *dev)
{
	dir_abandon(dev);
	close(of(dev)->dir_fd);
	free(dev);
}

static const struct filedev_ops dir_ops = {
	.list = dir_list,
	.create = dir_create,
	.append = dir_append,
	.finish = dir_finish,
	.abandon = dir_abandon,
	.open = dir_open,
	.read = dir_read,
	.close = dir_close,
	.remove = dir_remove,
	.destroy = dir_destroy,
};

int filedev_dir_create(struct filedev **out, const char *dir, char *why, size_t why_bytes)
{
	struct filedev_dir *made = calloc(1, sizeof(*made));
	int error = -ENOMEM;

	if (made) {
		made->dev.ops = &dir_ops;
		made->fd = -1;
		made->dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (made->dir_fd >= 0) {
			*out = &made->dev;
			return 0;
		}
		error = -errno;
		free(made);
	}
	snprintf(why, why_bytes, "checkpoints in %s: cannot open the directory: %s", dir,
		 strerror(-error));
	return error;
}
