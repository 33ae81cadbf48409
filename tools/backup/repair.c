/* SPDX-License-Identifier: Apache-2.0 */
/*
 * repair.c - `abaft log repair DIRECTORY TO-DIRECTORY`: a copy of a damaged data directory that a
 * node can be started on, and what it lost.
 *
 * The original is only read. Checkpoints that are valid are copied, others left out. Each log is
 * copied, mended in the copy (dataplane/log/repair.h), and read again as a node would. `abaft.id`
 * comes last: without it no node starts, so a repair that was cut short is never taken for a whole
 * one.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "dataplane/core/place.h"
#include "dataplane/core/snapshot.h"
#include "dataplane/log/checkpoint.h"
#include "dataplane/log/examine.h"
#include "dataplane/log/repair.h"
#include "dataplane/log/segment.h"
#include "tools/backup/backup.h"
#include "tools/backup/copy.h"
#include "tools/command/command.h"
#include "tools/command/log.h"

/* Values that are not longer stand in the checkpoint itself. */
#define SMALL_BYTES 152

/* What was lost of a log, for the keys that stood there. */
struct lost {
	uint64_t from, to; /* places */
};

struct repairing {
	const char *to;
	struct datadir dir;
	int to_fd;
	bool json;
	struct checkpoint_head head; /* of the newest valid one; its number 0: there is none */
	struct lost *lost;
	size_t lost_count, lost_room;
	bool short_of_memory;
	uint32_t log;		     /* that is being repaired */
	const struct log_mark *mark; /* its mark */
	uint64_t mended, keys;
};

static int failed(int err, const char *what)
{
	fprintf(stderr, "abaft log: repair: %s\n", what);
	return err;
}

static int failed_at(int err, const char *dir, const char *path)
{
	fprintf(stderr, "abaft log: repair: %s/%s: %s\n", dir, path, strerror(-err));
	return err;
}

static void keep_lost(struct repairing *r, uint64_t from, uint64_t to)
{
	if (r->lost_count == r->lost_room) {
		size_t room = r->lost_room ? 2 * r->lost_room : 64;
		struct lost *lost = reallocarray(r->lost, room, sizeof(*lost));

		if (!lost) {
			r->short_of_memory = true;
			return;
		}
		r->lost = lost;
		r->lost_room = room;
	}
	r->lost[r->lost_count++] = (struct lost){from, to};
}

static void on_loss(void *arg, const struct repair_loss *loss)
{
	struct repairing *r = arg;
	bool tail = loss->record_last > r->mark->record;

	keep_lost(r, place_make(r->log, loss->from_segment, 0) + loss->from,
		  place_make(r->log, loss->to_segment, 0) + loss->to);
	printf(r->json ? "{\"log\":%u,\"lost\":\"%s\",\"from_segment\":%u,\"from\":%" PRIu64
			 ",\"to_segment\":%u,\"to\":%" PRIu64 ","
		       : "log-%03u lost: %s: from segment %08x byte %" PRIu64
			 " to segment %08x byte %" PRIu64 ", ",
	       r->log, loss->what, loss->from_segment, loss->from, loss->to_segment, loss->to);
	printf(r->json ? "\"group_first\":%" PRIu64 ",\"group_last\":%" PRIu64
			 ",\"record_first\":%" PRIu64 ",\"record_last\":%" PRIu64
			 ",\"transactions\":%s}\n"
		       : "groups %" PRIu64 " to %" PRIu64 ", records %" PRIu64 " to %" PRIu64
			 "%s\n",
	       loss->group_first, loss->group_last, loss->record_first, loss->record_last,
	       r->json ? (tail ? "true" : "false")
	       : tail  ? ": as many transactions, at most"
		       : ": what of it is small stands in the checkpoint");
}

/* Copies one file; 0 also if it is not there any more. */
static int copy_one(struct repairing *r, const char *path)
{
	uint64_t bytes;
	uint32_t crc;
	int err, fd = copy_open(r->dir.fd, path);

	if (fd < 0)
		return failed_at(fd, r->dir.path, path);
	err = copy_file(fd, r->to_fd, path, &bytes, &crc);
	close(fd);
	return err ? failed_at(err, r->dir.path, path) : 0;
}

static int copy_checkpoints(struct repairing *r)
{
	uint32_t numbers[ABAFT_CHECKPOINTS_MAX];
	struct filedev *dev;
	char why[512];
	int count, err;

	err = filedev_dir_create(&dev, r->dir.path, why, sizeof(why));
	if (err)
		return failed(err, why);
	count = checkpoint_list(dev, numbers, ABAFT_CHECKPOINTS_MAX);
	err = count < 0 ? failed_at(count, r->dir.path, "checkpoints") : 0;
	for (int i = 0; i < count && !err; i++) {
		char path[MANIFEST_PATH_BYTES];
		struct checkpoint_stats stats;
		struct checkpoint_head head;

		if (checkpoint_verify(dev, r->dir.node_id, numbers[i], &head, &stats, why,
				      sizeof(why))) {
			fprintf(stderr, "abaft log: repair: %s: left out: %s\n", r->dir.path, why);
			r->mended++;
			continue;
		}
		if (r->head.number == 0)
			r->head = head;
		manifest_path(path, MANIFEST_CHECKPOINT, numbers[i]);
		err = copy_one(r, path);
	}
	dev->ops->destroy(dev);
	if (!err && count > 0 && r->head.number == 0)
		fprintf(stderr, "abaft log: repair: no checkpoint is valid; the logs are read from "
				"their beginning\n");
	return err;
}

/* Maps segment `number` of the copy; one that is missing is made, of `bytes` zeros. */
static int map_segment(struct repairing *r, uint32_t number, uint64_t bytes,
		       struct repair_segment *out)
{
	char path[MANIFEST_PATH_BYTES];
	struct stat st;
	int fd, err = 0;

	manifest_path(path, r->log, number);
	fd = openat(r->to_fd, path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
	if (fd < 0)
		return failed_at(-errno, r->to, path);
	if (bytes > 0)
		err = -posix_fallocate(fd, 0, (off_t)bytes);
	if (!err && fstat(fd, &st) < 0)
		err = -errno;
	*out = (struct repair_segment){.number = number};
	if (!err && st.st_size > 0) {
		out->bytes = (uint64_t)st.st_size;
		out->data = mmap(NULL, out->bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		if (out->data == MAP_FAILED) {
			out->data = NULL;
			err = -errno;
		}
	}
	close(fd);
	return err ? failed_at(err, r->to, path) : 0;
}

/* Those of the list, and between the first that must be there and the last all others. */
static int map_segments(struct repairing *r, const struct segment_list *list,
			struct repair_segment *segments, uint32_t *count)
{
	uint32_t due = r->mark->group ? r->mark->segment : 0;
	uint32_t last = list->count ? list->numbers[list->count - 1] : 0;
	int err = 0;

	*count = 0;
	/* Without a mark what is before the first segment was cleaned, or is gone: refused. */
	if (!r->mark->group && list->count > 0 && list->numbers[0] > 0)
		due = list->numbers[0];
	for (size_t i = 0; i < list->count && list->numbers[i] < due && !err; i++)
		err = map_segment(r, list->numbers[i], 0, &segments[(*count)++]);
	for (uint32_t number = due; number <= last && !err; number++) {
		bool there = bsearch(&number, list->numbers, list->count, sizeof(number),
				     segment_by_number) != NULL;
		uint64_t bytes = *count ? segments[*count - 1].bytes : 0;

		if (*count == ABAFT_LOG_SEGMENTS_MAX)
			return failed(-E2BIG, "a log has too many segments");
		if (!there && bytes == 0) {
			struct repair_segment next;

			err = map_segment(r, last, 0, &next);
			bytes = next.bytes;
			if (next.data)
				munmap(next.data, next.bytes);
		}
		if (!err)
			err = map_segment(r, number, there ? 0 : bytes, &segments[(*count)++]);
	}
	return err;
}

static int on_damage(void *arg, const struct examine_damage *damage)
{
	return -EBADMSG;
}

/* As a node, and `abaft log verify`, would. */
static int read_again(const struct repairing *r, const struct log_config *config)
{
	const struct examine_visitor closed = {.damage = on_damage};
	const struct recover_visitor tail = {0};
	struct log_tail *end = NULL;
	char why[512] = "";
	struct logdev *dev;
	uint32_t before;
	int err = logdev_uring_create(&dev, r->to, r->log, false, why, sizeof(why));

	if (err)
		return failed(err, why);
	if (r->mark->group)
		err = examine(dev, config, r->mark, &closed, &before, why, sizeof(why));
	dev->ops->destroy(dev);
	if (!err)
		err = logdev_uring_create(&dev, r->to, r->log, false, why, sizeof(why));
	if (err)
		return failed(err, why);
	err = recover_scan(dev, config, r->mark, &tail, &end, why, sizeof(why));
	dev->ops->destroy(dev);
	log_tail_free(end);
	return err ? failed(err, why) : 0;
}

static int mend_log(struct repairing *r, const struct segment_list *list)
{
	struct log_config config = {.dir = r->to, .number = r->log};
	struct repair repair = {.config = &config, .mark = r->mark, .loss = on_loss, .arg = r};
	char why[512];
	int err;

	memcpy(config.node_id, r->dir.node_id, sizeof(config.node_id));
	repair.segments = calloc(ABAFT_LOG_SEGMENTS_MAX, sizeof(*repair.segments));
	if (!repair.segments)
		return failed(-ENOMEM, "out of memory");
	err = map_segments(r, list, repair.segments, &repair.count);
	if (!err) {
		err = repair_log(&repair, why, sizeof(why));
		if (err)
			failed(err, why);
	}
	for (uint32_t i = 0; i < repair.count; i++) {
		if (!repair.segments[i].data)
			continue;
		if (!err && msync(repair.segments[i].data, repair.segments[i].bytes, MS_SYNC) < 0)
			err = failed_at(-errno, r->to, "a segment");
		munmap(repair.segments[i].data, repair.segments[i].bytes);
	}
	free(repair.segments);
	r->mended += repair.stats.mended;
	return err ? err : read_again(r, &config);
}

static int repair_one(struct repairing *r)
{
	struct segment_list list = {0};
	char name[16], path[MANIFEST_PATH_BYTES];
	int err = 0, fd;

	snprintf(name, sizeof(name), "log-%03u", r->log);
	fd = openat(r->dir.fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return failed_at(-errno, r->dir.path, name);
	err = backup_list_all(fd, &list);
	close(fd);
	if (!err && mkdirat(r->to_fd, name, 0755) < 0)
		err = -errno;
	if (err)
		failed_at(err, r->to, name);
	for (size_t i = 0; i < list.count && !err; i++) {
		manifest_path(path, r->log, list.numbers[i]);
		err = copy_one(r, path);
	}
	/* A start that was cut short before its first segment. */
	if (!err && (list.count > 0 || r->mark->group))
		err = mend_log(r, &list);
	if (!err)
		err = copy_sync_dir(r->to_fd, name);
	free(list.numbers);
	return err;
}

static int repair_logs(struct repairing *r)
{
	static const struct log_mark none;
	int err = 0;

	for (uint32_t i = 0; i < r->dir.logs_count && !err; i++) {
		r->log = r->dir.logs[i];
		r->mark = &none;
		for (uint32_t k = 0; k < r->head.logs; k++)
			if (r->head.mark[k].log == r->log)
				r->mark = &r->head.mark[k].mark;
		err = repair_one(r);
	}
	return err;
}

/* Whether the value's bytes in the copy still have the checksum that the checkpoint names. */
static bool is_whole(const struct repairing *r, const struct snapshot_key *key)
{
	char path[MANIFEST_PATH_BYTES];
	uint8_t *value = malloc(key->bytes);
	uint64_t offset = place_offset(key->place) + 8 + key->key_bytes;
	bool whole = false;
	int fd;

	manifest_path(path, place_log(key->place), place_segment(key->place));
	fd = openat(r->to_fd, path, O_RDONLY | O_CLOEXEC);
	if (value && fd >= 0 && pread(fd, value, key->bytes, (off_t)offset) == (ssize_t)key->bytes)
		whole = format_crc(value, key->bytes) == key->crc;
	if (fd >= 0)
		close(fd);
	free(value);
	return whole;
}

static int on_keys(void *arg, const uint8_t *data, uint32_t bytes)
{
	struct repairing *r = arg;
	struct cursor cursor = cursor_of(data, bytes);
	struct snapshot_key key;

	while (cursor.at != cursor.end) {
		bool lost = false;

		if (!snapshot_key_next(&cursor, &key))
			return -EBADMSG;
		if (key.kind || key.bytes <= SMALL_BYTES)
			continue;
		for (size_t i = 0; i < r->lost_count && !lost; i++)
			lost = key.place + 8 + key.key_bytes + key.bytes > r->lost[i].from &&
			       key.place < r->lost[i].to;
		if (!lost || is_whole(r, &key))
			continue;
		r->keys++;
		fputs(r->json ? "{\"key\":" : "value lost: key ", stdout);
		log_print_key(key.key, key.key_bytes);
		printf(r->json ? ",\"bytes\":%u}\n"
			       : ", %u bytes: CORRUPT until it is written again\n",
		       key.bytes);
	}
	return 0;
}

static int tell_keys(struct repairing *r)
{
	const struct checkpoint_visitor visitor = {.arg = r, .keys = on_keys};
	struct filedev *dev;
	char why[512] = "";
	int err;

	if (r->short_of_memory)
		return failed(-ENOMEM, "out of memory");
	if (r->head.number == 0 || r->lost_count == 0)
		return 0;
	err = filedev_dir_create(&dev, r->to, why, sizeof(why));
	if (!err) {
		err = checkpoint_load(dev, r->dir.node_id, r->head.number, &visitor, why,
				      sizeof(why));
		dev->ops->destroy(dev);
	}
	return err ? failed(err, why[0] ? why : strerror(-err)) : 0;
}

static int complete(struct repairing *r)
{
	int err, fd = openat(r->to_fd, "lock", O_WRONLY | O_CREAT | O_CLOEXEC, 0644);

	if (fd < 0)
		return failed_at(-errno, r->to, "lock");
	close(fd);
	err = copy_sync_dir(r->to_fd, ".");
	if (!err)
		err = copy_one(r, "abaft.id");
	if (!err)
		err = copy_sync_dir(r->to_fd, ".");
	return err ? failed_at(err, r->to, "abaft.id") : 0;
}

int command_log_repair(const char *from, const char *to, bool json)
{
	struct repairing r = {.to = to, .json = json};
	char why[512];
	int err;

	err = datadir_inspect(&r.dir, from, why, sizeof(why));
	if (err) {
		failed(err, why);
		return COMMAND_FAILED;
	}
	r.to_fd = copy_target(to);
	if (r.to_fd < 0) {
		fprintf(stderr, "abaft log: repair: %s: %s\n", to,
			r.to_fd == -ENOTEMPTY ? "is not empty; name a new directory"
					      : strerror(-r.to_fd));
		datadir_close(&r.dir);
		return COMMAND_FAILED;
	}
	err = copy_checkpoints(&r);
	if (!err)
		err = repair_logs(&r);
	if (!err)
		err = tell_keys(&r);
	if (!err)
		err = complete(&r);
	close(r.to_fd);
	if (err)
		copy_remove(to);
	else
		printf(json ? "{\"directory\":\"%s\",\"damaged\":%s,\"mended\":%" PRIu64
			      ",\"losses\":%zu,\"keys\":%" PRIu64 "}\n"
			    : "%s: %s, %" PRIu64 " places mended, %zu losses, %" PRIu64
			      " large values lost\n",
		       to, json ? (r.mended ? "true" : "false") : (r.mended ? "repaired" : "whole"),
		       r.mended, r.lost_count, r.keys);
	datadir_close(&r.dir);
	free(r.lost);
	if (err)
		return COMMAND_FAILED;
	return r.mended ? COMMAND_NO : COMMAND_OK;
}
