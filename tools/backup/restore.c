/* SPDX-License-Identifier: Apache-2.0 */
/*
 * restore.c - `abaft restore BACKUP TO-DIR`: checks a backup and copies it to where a node will use
 * it.
 *
 * First what `abaft log verify` checks; then each file is copied and must have the length and
 * the sum that the backup's list says. `abaft.id` comes last: without it no node starts, so a
 * restore that was cut short is never taken for a whole one.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/stat.h>

#include <cjson/cJSON.h>

#include "dataplane/log/datadir.h"
#include "tools/backup/copy.h"
#include "tools/backup/manifest.h"
#include "tools/command/command.h"
#include "tools/command/value.h"

/* Longer than any list of files. */
#define LIST_BYTES_MAX (512u << 20)

static const char help[] =
	"usage: abaft restore [OPTION...] BACKUP TO-DIRECTORY\n\n"
	"Checks a backup (`abaft backup`) and copies it to a new data directory, on which a node\n"
	"can then be started. Never start two nodes on copies of one backup: they are the same\n"
	"node.\n\n"
	"  -w, --write FORMAT  write data as `text` (default) or `json`\n"
	"  -h, --help          this text\n";

struct restore {
	const char *from, *to;
	int from_fd, to_fd;
	struct manifest manifest;
};

__attribute__((format(printf, 2, 3))) static int failed(int err, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	fputs("abaft restore: ", stderr);
	vfprintf(stderr, format, args);
	fputc('\n', stderr);
	va_end(args);
	return err;
}

static int read_list(struct restore *restore)
{
	int fd = openat(restore->from_fd, MANIFEST_FILE, O_RDONLY | O_CLOEXEC), err = -EBADMSG;
	char *text = NULL;
	struct stat st;

	if (fd < 0)
		return failed(-errno,
			      "%s: there is no file `" MANIFEST_FILE
			      "` in it: no backup, or one that was cut short",
			      restore->from);
	/* So a node makes it, for backups to lock. */
	if (fstat(fd, &st) == 0 && st.st_size == 0) {
		close(fd);
		return failed(-ENOENT,
			      "%s: its file `" MANIFEST_FILE
			      "` is empty: no backup, but the data directory of a node",
			      restore->from);
	}
	if (fstat(fd, &st) == 0 && st.st_size < LIST_BYTES_MAX)
		text = calloc(1, (size_t)st.st_size + 1);
	if (text && read(fd, text, (size_t)st.st_size) == st.st_size)
		err = manifest_parse(&restore->manifest, text);
	close(fd);
	free(text);
	if (err == -EPROTO)
		failed(err,
		       "%s is of another format than this program knows; use the abaft that "
		       "wrote it",
		       restore->from);
	else if (err)
		failed(err, "%s/" MANIFEST_FILE " is damaged: %s", restore->from, strerror(-err));
	return err;
}

/* As `abaft log verify`; and that the list is of this very directory. */
static int verify(const struct restore *restore, bool json)
{
	char *argv[] = {strdup("log"), strdup("verify"), strdup(restore->from),
			strdup(json ? "--write=json" : "--write=text"), NULL};
	struct datadir dir;
	char why[512];
	int err = datadir_inspect(&dir, restore->from, why, sizeof(why));

	if (err) {
		failed(err, "%s", why);
	} else {
		if (memcmp(dir.node_id, restore->manifest.node_id, sizeof(dir.node_id)) != 0)
			err = failed(-EBADMSG, "%s: list and directory are of two nodes",
				     restore->from);
		datadir_close(&dir);
	}
	optind = 0;
	if (!err && command_log(4, argv) != COMMAND_OK)
		err = failed(-EBADMSG, "%s is damaged; take another backup", restore->from);
	for (int i = 0; i < 4; i++)
		free(argv[i]);
	return err;
}

static int copy_one(struct restore *restore, const struct manifest_file *file)
{
	char path[MANIFEST_PATH_BYTES];
	uint64_t bytes;
	uint32_t crc;
	int err, fd;

	manifest_path(path, file->log, file->number);
	fd = copy_open(restore->from_fd, path);
	if (fd < 0)
		return failed(fd, "%s/%s, which its list names: %s", restore->from, path,
			      strerror(-fd));
	if (file->log != MANIFEST_CHECKPOINT) {
		char name[16];

		snprintf(name, sizeof(name), "log-%03u", file->log);
		if (mkdirat(restore->to_fd, name, 0755) < 0 && errno != EEXIST) {
			close(fd);
			return failed(-errno, "%s/%s: %s", restore->to, name, strerror(errno));
		}
	}
	err = copy_file(fd, restore->to_fd, path, &bytes, &crc);
	close(fd);
	if (err)
		return failed(err, "copying %s/%s to %s: %s", restore->from, path, restore->to,
			      strerror(-err));
	if (bytes != file->bytes || crc != file->crc)
		return failed(-EBADMSG,
			      "%s/%s is damaged: %llu bytes with CRC32C %08x, its list says %llu "
			      "and %08x; take another backup",
			      restore->from, path, (unsigned long long)bytes, crc,
			      (unsigned long long)file->bytes, file->crc);
	return 0;
}

/* Names first, then what makes it a data directory. */
static int complete(struct restore *restore)
{
	const struct manifest *manifest = &restore->manifest;
	uint64_t bytes;
	uint32_t crc, synced = MANIFEST_CHECKPOINT;
	char name[16];
	int err = 0, fd;

	for (size_t i = 0; i < manifest->count && !err; i++) {
		if (manifest->files[i].log == MANIFEST_CHECKPOINT ||
		    manifest->files[i].log == synced)
			continue;
		synced = manifest->files[i].log;
		snprintf(name, sizeof(name), "log-%03u", synced);
		err = copy_sync_dir(restore->to_fd, name);
	}
	if (!err)
		err = copy_sync_dir(restore->to_fd, ".");
	fd = openat(restore->from_fd, "abaft.id", O_RDONLY | O_CLOEXEC);
	if (!err)
		err = fd < 0 ? -errno : copy_file(fd, restore->to_fd, "abaft.id", &bytes, &crc);
	if (fd >= 0)
		close(fd);
	if (!err)
		err = copy_sync_dir(restore->to_fd, ".");
	return err ? failed(err, "completing %s: %s", restore->to, strerror(-err)) : 0;
}

static void print(const struct restore *restore, bool json)
{
	char time[40];
	cJSON *object;

	manifest_time(&restore->manifest, time, sizeof(time));
	if (!json) {
		printf("restored to %s: the node as of %s, %zu files, %.1f MiB\n", restore->to,
		       time, restore->manifest.count,
		       (double)manifest_bytes(&restore->manifest) / (1 << 20));
		return;
	}
	object = cJSON_CreateObject();
	cJSON_AddStringToObject(object, "directory", restore->to);
	cJSON_AddStringToObject(object, "time", time);
	cJSON_AddNumberToObject(object, "files", (double)restore->manifest.count);
	cJSON_AddNumberToObject(object, "bytes", (double)manifest_bytes(&restore->manifest));
	value_print_json(object);
}

static int run(struct restore *restore, bool json)
{
	int err;

	restore->from_fd = open(restore->from, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (restore->from_fd < 0)
		return failed(-errno, "%s: %s", restore->from, strerror(errno));
	err = read_list(restore);
	if (!err)
		err = verify(restore, json);
	if (err)
		goto close_source;
	restore->to_fd = copy_target(restore->to);
	if (restore->to_fd < 0) {
		err = failed(restore->to_fd, "%s: %s", restore->to,
			     restore->to_fd == -ENOTEMPTY ? "is not empty; name a new directory"
							  : strerror(-restore->to_fd));
		goto close_source;
	}
	for (size_t i = 0; i < restore->manifest.count && !err; i++)
		err = copy_one(restore, &restore->manifest.files[i]);
	if (!err)
		err = complete(restore);
	close(restore->to_fd);
	if (err)
		copy_remove(restore->to);
close_source:
	close(restore->from_fd);
	return err;
}

int command_restore(int argc, char **argv)
{
	static const struct option longs[] = {
		{"write", required_argument, NULL, 'w'}, {"help", no_argument, NULL, 'h'}, {0}};
	struct command_options options = {0};
	struct restore restore = {0};
	int option, code, err;

	optind = 0;
	while ((option = getopt_long(argc, argv, "w:h", longs, NULL)) != -1)
		if (!command_option(&options, option, "restore", help, &code))
			return code;
	if (argc - optind != 2) {
		fputs("abaft restore: name the backup and a new data directory\n", stderr);
		return COMMAND_USAGE;
	}
	restore.from = argv[optind];
	restore.to = argv[optind + 1];
	err = run(&restore, options.json);
	if (!err)
		print(&restore, options.json);
	manifest_free(&restore.manifest);
	return err ? COMMAND_FAILED : COMMAND_OK;
}
