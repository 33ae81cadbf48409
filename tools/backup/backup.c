/* SPDX-License-Identifier: Apache-2.0 */
/*
 * backup.c - `abaft backup DATA-DIR TO-DIR`: see backup.h for what is copied and why it fits
 * together. A backup that fails takes away what it made; one that is killed leaves no file
 * `backup`, without which `abaft restore` takes nothing.
 */
#include "tools/backup/backup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include <cjson/cJSON.h>

#include <abaft/limits.h>

#include "tools/backup/copy.h"
#include "tools/command/command.h"
#include "tools/command/value.h"

#define HOLD_FILE   "backup"
/* Two are kept by a node: the newest, and what to fall back to. */
#define CHECKPOINTS 2

static const char help[] =
	"usage: abaft backup [OPTION...] DATA-DIRECTORY TO-DIRECTORY\n\n"
	"Copies the data of a node, running or not, as of one moment: every commit that was\n"
	"acknowledged before the command began, and no part of a later transaction. The copy is a\n"
	"data directory itself; `abaft restore` checks and copies it to its place. While it is\n"
	"made, the node frees no disk space.\n\n"
	"  -w, --write FORMAT  write data as `text` (default) or `json`\n"
	"  -h, --help          this text\n";

int backup_failed(int err, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	fputs("abaft backup: ", stderr);
	vfprintf(stderr, format, args);
	fputc('\n', stderr);
	va_end(args);
	return err;
}

/* B5. Lasts as long as the descriptor. -1 where nothing can be freed either: read-only. */
static int hold(const struct backup *backup, int *out)
{
	int fd = openat(backup->dir.fd, HOLD_FILE, O_RDWR | O_CREAT | O_CLOEXEC, 0644);

	*out = -1;
	if (fd < 0 && errno == EROFS)
		return 0;
	if (fd < 0 || flock(fd, LOCK_SH) < 0) {
		int err = -errno;

		if (fd >= 0)
			close(fd);
		return backup_failed(err,
				     "%s/%s, which keeps the node from freeing what is "
				     "copied, cannot be locked: %s",
				     backup->from, HOLD_FILE, strerror(-err));
	}
	*out = fd;
	return 0;
}

/* B4: those that are whole now, newest first. They stay readable when the node removes them. */
struct opened {
	uint32_t number;
	int fd;
};

static void close_checkpoints(struct opened *opened, int count)
{
	for (int i = 0; i < count; i++)
		close(opened[i].fd);
}

static int newest_first(const void *a, const void *b)
{
	uint32_t x = ((const struct opened *)a)->number, y = ((const struct opened *)b)->number;

	return x > y ? -1 : x < y;
}

/* By its own listing: filedev.h's device would clear away what the node is writing. */
static int open_checkpoints(const struct backup *backup, struct opened *opened)
{
	int fd = openat(backup->dir.fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *stream = fd < 0 ? NULL : fdopendir(fd);
	char path[MANIFEST_PATH_BYTES];
	struct dirent *entry;
	int count = 0;

	if (!stream)
		return backup_failed(-errno, "%s: cannot be listed: %s", backup->from,
				     strerror(errno));
	while (count < ABAFT_CHECKPOINTS_MAX && (entry = readdir(stream))) {
		if (sscanf(entry->d_name, "checkpoint-%8x", &opened[count].number) != 1)
			continue;
		manifest_path(path, MANIFEST_CHECKPOINT, opened[count].number);
		if (strcmp(path, entry->d_name) != 0)
			continue;
		opened[count].fd = copy_open(backup->dir.fd, path);
		count += opened[count].fd >= 0; /* else it was removed meanwhile */
	}
	closedir(stream);
	qsort(opened, (size_t)count, sizeof(*opened), newest_first);
	return count;
}

/* One checkpoint; a damaged one is not taken. */
static int copy_checkpoint(struct backup *backup, struct filedev *dev, const struct opened *from)
{
	struct manifest_file file = {.log = MANIFEST_CHECKPOINT, .number = from->number};
	struct checkpoint_stats stats;
	struct checkpoint_head head;
	char path[MANIFEST_PATH_BYTES], why[512] = "";
	int err;

	manifest_path(path, MANIFEST_CHECKPOINT, from->number);
	err = copy_file(from->fd, backup->to_fd, path, &file.bytes, &file.crc);
	if (err)
		return backup_failed(err, "copying %s/%s to %s: %s", backup->from, path, backup->to,
				     strerror(-err));
	err = checkpoint_verify(dev, backup->dir.node_id, from->number, &head, &stats, why,
				sizeof(why));
	if (err == -EBADMSG) {
		backup_failed(err, "%s; it is left out", why);
		return unlinkat(backup->to_fd, path, 0) < 0 ? -errno : 0;
	}
	if (err)
		return backup_failed(err, "%s", why);
	backup->head = head;
	backup->checkpoints++;
	return manifest_put(&backup->manifest, &file) ? 0 : backup_failed(-ENOMEM, "out of memory");
}

static int copy_checkpoints(struct backup *backup, const struct opened *opened, int count)
{
	struct filedev *dev;
	char why[256] = "";
	int err = filedev_dir_create(&dev, backup->to, why, sizeof(why));

	if (err)
		return backup_failed(err, "%s", why);
	for (int i = 0; i < count && backup->checkpoints < CHECKPOINTS && !err; i++)
		err = copy_checkpoint(backup, dev, &opened[i]);
	dev->ops->destroy(dev);
	return err;
}

static int copy_logs(struct backup *backup)
{
	int err = 0;

	/* The kept log has the highest number, so it comes last (B5). */
	for (uint32_t i = 0; i < backup->dir.logs_count && !err; i++)
		err = backup_copy_log(backup, backup->dir.logs[i], 0);
	for (uint32_t i = 0; i < backup->dir.logs_count && !err; i++)
		err = backup_cut_log(backup, backup->dir.logs[i]);
	return err;
}

static int write_manifest(struct backup *backup)
{
	int fd = openat(backup->to_fd, MANIFEST_FILE ".new", O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
	FILE *file = fd < 0 ? NULL : fdopen(fd, "w");
	int err = 0;

	if (!file)
		return -errno;
	if (!manifest_print(&backup->manifest, file) || fsync(fd) < 0)
		err = errno ? -errno : -EIO;
	if (fclose(file) != 0 && !err)
		err = -errno;
	if (!err && renameat(backup->to_fd, MANIFEST_FILE ".new", backup->to_fd, MANIFEST_FILE) < 0)
		err = -errno;
	return err ? err : copy_sync_dir(backup->to_fd, ".");
}

/* What makes it a data directory, and then a backup. */
static int complete(struct backup *backup)
{
	uint64_t bytes;
	uint32_t crc;
	char name[16];
	int err = 0, fd;

	for (uint32_t i = 0; i < backup->dir.logs_count && !err; i++) {
		snprintf(name, sizeof(name), "log-%03u", backup->dir.logs[i]);
		err = copy_sync_dir(backup->to_fd, name);
	}
	fd = openat(backup->to_fd, "lock", O_RDWR | O_CREAT | O_CLOEXEC, 0644);
	if (!err && fd < 0)
		err = -errno;
	if (fd >= 0)
		close(fd);
	fd = openat(backup->dir.fd, "abaft.id", O_RDONLY | O_CLOEXEC);
	if (!err)
		err = fd < 0 ? -errno : copy_file(fd, backup->to_fd, "abaft.id", &bytes, &crc);
	if (fd >= 0)
		close(fd);
	if (!err)
		err = copy_sync_dir(backup->to_fd, ".");
	if (!err)
		err = write_manifest(backup);
	return err ? backup_failed(err, "completing %s: %s", backup->to, strerror(-err)) : 0;
}

static void print(const struct backup *backup, bool json)
{
	char time[40];
	cJSON *object;

	manifest_time(&backup->manifest, time, sizeof(time));
	if (!json) {
		printf("backup of %s as of %s in %s: %u logs, %zu files, %.1f MiB, "
		       "%u checkpoints, %llu records behind them\n",
		       backup->from, time, backup->to, backup->dir.logs_count,
		       backup->manifest.count,
		       (double)manifest_bytes(&backup->manifest) / (1 << 20), backup->checkpoints,
		       (unsigned long long)backup->records);
		return;
	}
	object = cJSON_CreateObject();
	cJSON_AddStringToObject(object, "directory", backup->to);
	cJSON_AddStringToObject(object, "time", time);
	cJSON_AddNumberToObject(object, "logs", backup->dir.logs_count);
	cJSON_AddNumberToObject(object, "files", (double)backup->manifest.count);
	cJSON_AddNumberToObject(object, "bytes", (double)manifest_bytes(&backup->manifest));
	cJSON_AddNumberToObject(object, "checkpoints", backup->checkpoints);
	cJSON_AddNumberToObject(object, "records", (double)backup->records);
	value_print_json(object);
}

/* Between the hold and its end, into a target that is ours. */
static int copy_all(struct backup *backup)
{
	struct opened opened[ABAFT_CHECKPOINTS_MAX];
	int count = open_checkpoints(backup, opened);
	int err = count < 0 ? count : backup_moment(backup);

	if (!err)
		err = copy_checkpoints(backup, opened, count);
	close_checkpoints(opened, count);
	if (!err)
		err = copy_logs(backup);
	return err ? err : complete(backup);
}

static int run(struct backup *backup)
{
	char why[512];
	int held, err = datadir_look(&backup->dir, backup->from, why, sizeof(why));

	if (err)
		return backup_failed(err, "%s", why);
	memcpy(backup->manifest.node_id, backup->dir.node_id, sizeof(backup->dir.node_id));
	err = hold(backup, &held);
	if (err)
		goto close_source;
	backup->to_fd = copy_target(backup->to);
	if (backup->to_fd < 0) {
		err = backup_failed(backup->to_fd, "%s: %s", backup->to,
				    backup->to_fd == -ENOTEMPTY
					    ? "is not empty; name a new directory"
					    : strerror(-backup->to_fd));
		goto release;
	}
	err = copy_all(backup);
	close(backup->to_fd);
	if (err)
		copy_remove(backup->to);
release:
	if (held >= 0)
		close(held);
close_source:
	datadir_close(&backup->dir);
	return err;
}

int command_backup(int argc, char **argv)
{
	static const struct option longs[] = {
		{"write", required_argument, NULL, 'w'}, {"help", no_argument, NULL, 'h'}, {0}};
	static struct backup backup; /* large */
	struct command_options options = {0};
	int option, code, err;

	optind = 0;
	while ((option = getopt_long(argc, argv, "w:h", longs, NULL)) != -1)
		if (!command_option(&options, option, "backup", help, &code))
			return code;
	if (argc - optind != 2) {
		fputs("abaft backup: name the data directory and one that the backup is made in\n",
		      stderr);
		return COMMAND_USAGE;
	}
	memset(&backup, 0, sizeof(backup));
	backup.from = argv[optind];
	backup.to = argv[optind + 1];
	err = run(&backup);
	if (!err)
		print(&backup, options.json);
	manifest_free(&backup.manifest);
	return err == 0 ? COMMAND_OK : err == -EAGAIN ? COMMAND_AGAIN : COMMAND_FAILED;
}
