/* SPDX-License-Identifier: Apache-2.0 */
/*
 * datadir.c - the data directory: identity, lock, list of logs. See datadir.h.
 *
 * I1. abaft.id is made under another name, synced, renamed, and the directory synced: it is whole,
 *     old or new, or not there.
 * I2. The identity is written before the first log exists. Logs without an identity are therefore
 *     damage, never a start that was cut short.
 * I3. The lock is taken before the identity is read or made, so two first starts cannot both make
 *     one.
 * I4. A directory is marked with the new format before a daemon writes anything in it that an older
 *     program would not understand.
 */
#include "dataplane/log/datadir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#define ID_FILE	      "abaft.id"
#define ID_FILE_NEW   "abaft.id.new"
#define ID_FIRST_LINE "abaft data directory"
#define ID_BYTES_MAX  256

static int refuse(int error, char *why, size_t why_bytes, const char *path, const char *what)
{
	snprintf(why, why_bytes, "data directory %s: %s", path, what);
	return error;
}

static int refuse_errno(char *why, size_t why_bytes, const char *path, const char *what)
{
	int error = errno;

	snprintf(why, why_bytes, "data directory %s: %s: %s", path, what, strerror(error));
	return -error;
}

/* I1. Also over an older one. */
static int write_id(struct datadir *dir)
{
	char text[ID_BYTES_MAX];
	char hex[33];
	int bytes, fd, error = 0;

	for (size_t i = 0; i < sizeof(dir->node_id); i++)
		snprintf(hex + 2 * i, 3, "%02x", dir->node_id[i]);
	bytes = snprintf(text, sizeof(text), ID_FIRST_LINE "\nformat %d\nnode %s\n", DATADIR_FORMAT,
			 hex);
	fd = openat(dir->fd, ID_FILE_NEW, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (fd < 0)
		return -errno;
	errno = EIO;
	if (write(fd, text, (size_t)bytes) != bytes || fsync(fd) < 0)
		error = -errno;
	if (close(fd) < 0 && !error)
		error = -errno;
	if (!error && renameat(dir->fd, ID_FILE_NEW, dir->fd, ID_FILE) < 0)
		error = -errno;
	if (!error && fsync(dir->fd) < 0)
		error = -errno;
	return error;
}

static int make_id(struct datadir *dir)
{
	if (getrandom(dir->node_id, sizeof(dir->node_id), 0) != (ssize_t)sizeof(dir->node_id))
		return -EIO;
	dir->format = DATADIR_FORMAT;
	return write_id(dir);
}

/* -EBADMSG: not what write_id() wrote; -EPROTO: another format. */
static int parse_id(struct datadir *dir, const char *text)
{
	char hex[33];
	int end = 0;

	if (sscanf(text, ID_FIRST_LINE " format %u node %32[0-9a-f] %n", &dir->format, hex, &end) <
		    1 ||
	    dir->format == 0)
		return -EBADMSG;
	if (dir->format > DATADIR_FORMAT)
		return -EPROTO;
	if (end == 0 || text[end] != '\0' || strlen(hex) != 32)
		return -EBADMSG;
	for (size_t i = 0; i < sizeof(dir->node_id); i++) {
		unsigned int byte;

		sscanf(hex + 2 * i, "%2x", &byte);
		dir->node_id[i] = (uint8_t)byte;
	}
	return 0;
}

static int read_id(struct datadir *dir)
{
	char text[ID_BYTES_MAX];
	ssize_t bytes;
	int fd = openat(dir->fd, ID_FILE, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	bytes = read(fd, text, sizeof(text) - 1);
	if (bytes < 0)
		bytes = -errno;
	close(fd);
	if (bytes < 0)
		return (int)bytes;
	text[bytes] = '\0';
	return parse_id(dir, text);
}

static int by_number(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

/* The NNN of "log-NNN", or -EINVAL: another name, or a number that no log has. */
static int log_number(const char *name)
{
	int number = 0;

	if (strlen(name) != strlen("log-NNN"))
		return -EINVAL;
	for (const char *at = name + strlen("log-"); *at != '\0'; at++) {
		if (*at < '0' || *at > '9')
			return -EINVAL;
		number = number * 10 + *at - '0';
	}
	return number < ABAFT_LOGS_MAX ? number : -EINVAL;
}

/* -EINVAL: an entry that is called like a log, but is none of ours; `why` names it. */
static int list_logs(struct datadir *dir, char *why, size_t why_bytes)
{
	struct dirent *entry;
	int fd = openat(dir->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *stream;
	int error = 0;

	if (fd < 0)
		return -errno;
	stream = fdopendir(fd);
	if (!stream) {
		error = -errno;
		close(fd);
		return error;
	}
	while ((entry = readdir(stream))) {
		int number;

		if (strncmp(entry->d_name, "log-", 4) != 0)
			continue;
		number = log_number(entry->d_name);
		if (number < 0) {
			snprintf(why, why_bytes,
				 "data directory %s: %s is no log: those are log-000 to log-%03d; "
				 "move it elsewhere",
				 dir->path, entry->d_name, ABAFT_LOGS_MAX - 1);
			error = -EINVAL;
			break;
		}
		dir->logs[dir->logs_count++] = (uint32_t)number;
	}
	closedir(stream);
	qsort(dir->logs, dir->logs_count, sizeof(dir->logs[0]), by_number);
	return error;
}

/* What the directory is opened for, and so which lock is taken. */
enum use { USE_DAEMON, USE_INSPECT, USE_LOOK };

static int take_lock(struct datadir *dir, bool daemon, char *why, size_t why_bytes)
{
	char holder[32] = "";
	char what[160];
	int flags = daemon ? O_RDWR | O_CREAT : O_RDONLY;

	dir->lock_fd = openat(dir->fd, "lock", flags | O_CLOEXEC, 0644);
	if (dir->lock_fd < 0 && errno == ENOENT)
		return refuse(-ENOENT, why, why_bytes, dir->path,
			      "there is no lock file in it, so it is no data directory");
	if (dir->lock_fd < 0)
		return refuse_errno(why, why_bytes, dir->path, "cannot open its lock file");
	if (flock(dir->lock_fd, (daemon ? LOCK_EX : LOCK_SH) | LOCK_NB) < 0) {
		if (errno != EWOULDBLOCK)
			return refuse_errno(why, why_bytes, dir->path, "cannot lock it");
		if (pread(dir->lock_fd, holder, sizeof(holder) - 1, 0) < 0)
			holder[0] = '\0';
		holder[strcspn(holder, "\n")] = '\0';
		snprintf(what, sizeof(what),
			 "in use by process %s; stop it, or choose another directory",
			 holder[0] ? holder : "?");
		return refuse(-EBUSY, why, why_bytes, dir->path, what);
	}
	if (daemon) {
		int bytes = snprintf(holder, sizeof(holder), "%d\n", (int)getpid());

		/* Only for people: without it the lock holds all the same. */
		if (ftruncate(dir->lock_fd, 0) == 0 &&
		    pwrite(dir->lock_fd, holder, (size_t)bytes, 0) != bytes)
			errno = 0;
	}
	return 0;
}

static int identify(struct datadir *dir, bool daemon, char *why, size_t why_bytes)
{
	char what[160];
	int error = list_logs(dir, why, why_bytes);

	if (error == -EINVAL)
		return error;
	if (error) {
		errno = -error;
		return refuse_errno(why, why_bytes, dir->path, "cannot list it");
	}
	error = read_id(dir);
	if (error == -ENOENT && dir->logs_count > 0)
		return refuse(-EBADMSG, why, why_bytes, dir->path,
			      "has logs but no " ID_FILE
			      ", which says whose they are; restore that file");
	if (error == -ENOENT && daemon)
		error = make_id(dir);
	else if (error == 0 && daemon && dir->format < DATADIR_FORMAT)
		error = write_id(dir);
	if (error == -EBADMSG)
		return refuse(error, why, why_bytes, dir->path,
			      ID_FILE " is damaged; restore that file");
	if (error == -EPROTO) {
		snprintf(what, sizeof(what),
			 "is of format %u, and this program knows up to %d; use the abaft that "
			 "wrote it",
			 dir->format, DATADIR_FORMAT);
		return refuse(-EBADMSG, why, why_bytes, dir->path, what);
	}
	if (error) {
		errno = -error;
		return refuse_errno(why, why_bytes, dir->path, "cannot read or write " ID_FILE);
	}
	return 0;
}

static int open_as(struct datadir *dir, const char *path, enum use use, char *why, size_t why_bytes)
{
	bool daemon = use == USE_DAEMON;
	int error = 0;

	memset(dir, 0, sizeof(*dir));
	dir->fd = -1;
	dir->lock_fd = -1;
	if (strlen(path) >= sizeof(dir->path))
		return refuse(-ENAMETOOLONG, why, why_bytes, path, "the path is too long");
	memcpy(dir->path, path, strlen(path) + 1);
	if (daemon && mkdir(path, 0755) < 0 && errno != EEXIST)
		return refuse_errno(why, why_bytes, path, "cannot create it");
	dir->fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir->fd < 0)
		return refuse_errno(why, why_bytes, path, "cannot open it");
	if (use != USE_LOOK)
		error = take_lock(dir, daemon, why, why_bytes);
	if (!error)
		error = identify(dir, daemon, why, why_bytes);
	if (error)
		datadir_close(dir);
	return error;
}

int datadir_open(struct datadir *dir, const char *path, char *why, size_t why_bytes)
{
	return open_as(dir, path, USE_DAEMON, why, why_bytes);
}

int datadir_inspect(struct datadir *dir, const char *path, char *why, size_t why_bytes)
{
	return open_as(dir, path, USE_INSPECT, why, why_bytes);
}

int datadir_look(struct datadir *dir, const char *path, char *why, size_t why_bytes)
{
	return open_as(dir, path, USE_LOOK, why, why_bytes);
}

void datadir_close(struct datadir *dir)
{
	if (dir->lock_fd >= 0)
		close(dir->lock_fd);
	if (dir->fd >= 0)
		close(dir->fd);
	dir->lock_fd = -1;
	dir->fd = -1;
}
