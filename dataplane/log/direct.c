/* SPDX-License-Identifier: Apache-2.0 */
/* direct.c - see direct.h. */
#include "dataplane/log/direct.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <abaft/limits.h>

int direct_open(int dir_fd, const char *name, int flags)
{
	int fd = openat(dir_fd, name, flags | O_DIRECT | O_CLOEXEC, 0644);

	if (fd < 0 && errno == EINVAL)
		fd = openat(dir_fd, name, flags | O_CLOEXEC, 0644);
	return fd < 0 ? -errno : fd;
}

int direct_length(int fd, uint64_t *bytes)
{
	struct stat st;

	if (fd < 0)
		return fd;
	if (fstat(fd, &st) < 0) {
		int error = -errno;

		close(fd);
		return error;
	}
	*bytes = (uint64_t)st.st_size;
	return fd;
}

ssize_t direct_read(int fd, uint8_t *to, size_t bytes, uint64_t offset)
{
	size_t got = 0;

	while (got < bytes) {
		ssize_t now = pread(fd, to + got, bytes - got, (off_t)(offset + got));

		if (now < 0 && errno == EINTR)
			continue;
		if (now < 0)
			return -errno;
		got += (size_t)now;
		/* Behind an odd end nothing more can come, and O_DIRECT would refuse to ask. */
		if (now == 0 || now % ABAFT_LOG_BLOCK_BYTES != 0)
			break;
	}
	return (ssize_t)got;
}

int direct_list(int dir_fd, int (*parse)(const char *name, uint32_t *number), uint32_t *numbers,
		size_t max)
{
	int fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct dirent *entry;
	size_t count = 0;
	uint32_t number;
	DIR *stream;

	if (fd < 0)
		return -errno;
	stream = fdopendir(fd);
	if (!stream) {
		close(fd);
		return -ENOMEM;
	}
	while ((entry = readdir(stream))) {
		if (parse(entry->d_name, &number) < 0)
			continue;
		if (count < max)
			numbers[count] = number;
		count++;
	}
	closedir(stream);
	return count > max ? -E2BIG : (int)count;
}
