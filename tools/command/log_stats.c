/* SPDX-License-Identifier: Apache-2.0 */
/*
 * log_stats.c - `abaft log stats`: what stands in the logs, how much of it is live, and what a
 * restart would read. Live bytes are those of the newest valid checkpoint; what was written behind
 * its marks is not in them.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/core/place.h"
#include "dataplane/core/record.h"
#include "dataplane/core/snapshot.h"
#include "dataplane/log/datadir.h"
#include "tools/command/log.h"

#define TENTHS 10

struct stats_segment {
	uint32_t log, number;
	uint64_t bytes, live;
};

struct stats {
	bool json;
	const struct datadir *dir;
	struct checkpoint_head head; /* number 0: there is no valid one */
	struct checkpoint_stats checkpoint;
	struct stats_segment *segments; /* by log, then number */
	size_t count;
	uint64_t tail[ABAFT_LOGS_MAX]; /* bytes from the mark to the end */
	uint64_t lost_live;	       /* live in segments that are not there */
};

static int by_place(const void *a, const void *b)
{
	const struct stats_segment *x = a, *y = b;

	if (x->log != y->log)
		return x->log < y->log ? -1 : 1;
	return x->number < y->number ? -1 : x->number > y->number;
}

static int on_keys(void *arg, const uint8_t *data, uint32_t bytes)
{
	struct stats *stats = arg;
	struct cursor cursor = cursor_of(data, bytes);
	struct snapshot_key key;

	while (cursor.at != cursor.end) {
		struct stats_segment want = {0}, *found;
		uint32_t live;

		if (!snapshot_key_next(&cursor, &key))
			return -EBADMSG;
		want.log = place_log(key.place);
		want.number = place_segment(key.place);
		live = RECORD_WRITE_BYTES + key.key_bytes + key.bytes;
		found = bsearch(&want, stats->segments, stats->count, sizeof(want), by_place);
		if (found)
			found->live += live;
		else
			stats->lost_live += live;
	}
	return 0;
}

/* The newest valid checkpoint's entries, against the segments that are there. */
static int read_checkpoint(struct stats *stats, struct filedev *dev, char *why, size_t why_bytes)
{
	const struct checkpoint_visitor visitor = {.arg = stats, .keys = on_keys};

	if (stats->head.number == 0)
		return 0;
	return checkpoint_load(dev, stats->dir->node_id, stats->head.number, &visitor, why,
			       why_bytes);
}

static int find_checkpoint(struct stats *stats, struct filedev *dev)
{
	uint32_t numbers[ABAFT_CHECKPOINTS_MAX];
	char why[512];
	int count = checkpoint_list(dev, numbers, ABAFT_CHECKPOINTS_MAX);

	for (int i = 0; i < count; i++) {
		if (checkpoint_verify(dev, stats->dir->node_id, numbers[i], &stats->head,
				      &stats->checkpoint, why, sizeof(why)) == 0)
			return 0;
		fprintf(stderr, "abaft log: %s: %s\n", stats->dir->path, why);
	}
	stats->head = (struct checkpoint_head){0};
	return count < 0 ? count : 0;
}

static struct log_mark mark_of(const struct checkpoint_head *head, uint32_t number)
{
	for (uint32_t i = 0; i < head->logs; i++)
		if (head->mark[i].log == number)
			return head->mark[i].mark;
	return (struct log_mark){0};
}

/* From the mark to the log's end. */
static uint64_t tail_bytes(const struct log_tail *tail, const struct log_mark *mark)
{
	uint64_t bytes = 0;

	for (uint32_t i = 0; i < tail->segments; i++) {
		uint32_t number = tail->on_disk[i].number;

		if (number >= mark->segment && number < tail->segment)
			bytes += tail->on_disk[i].bytes;
	}
	return bytes + tail->offset > mark->offset ? bytes + tail->offset - mark->offset : 0;
}

static int add_segments(struct stats *stats, uint32_t log, const struct log_tail *tail)
{
	struct stats_segment *more = realloc(stats->segments, (stats->count + tail->segments + 1) *
								      sizeof(*stats->segments));

	if (!more)
		return -ENOMEM;
	stats->segments = more;
	for (uint32_t i = 0; i < tail->segments; i++)
		stats->segments[stats->count++] =
			(struct stats_segment){.log = log,
					       .number = tail->on_disk[i].number,
					       .bytes = tail->on_disk[i].bytes};
	return 0;
}

/* The log's segments, and its end as a node would find it. */
static int read_log(struct stats *stats, uint32_t number, char *why, size_t why_bytes)
{
	static const struct recover_visitor nobody;
	struct log_mark mark = mark_of(&stats->head, number);
	struct log_config config = {.dir = stats->dir->path, .number = number};
	struct log_tail *tail = NULL;
	struct logdev *dev;
	int error;

	memcpy(config.node_id, stats->dir->node_id, sizeof(config.node_id));
	error = logdev_uring_create(&dev, config.dir, number, false, why, why_bytes);
	if (error)
		return error;
	error = recover_scan(dev, &config, &mark, &nobody, &tail, why, why_bytes);
	dev->ops->destroy(dev);
	if (error == -ENOENT && !mark.group) /* a start was cut short before its first segment */
		return 0;
	if (error)
		return error;
	stats->tail[number] = tail_bytes(tail, &mark);
	error = add_segments(stats, number, tail);
	log_tail_free(tail);
	return error;
}

static double percent(uint64_t part, uint64_t whole)
{
	return whole ? 100.0 * (double)part / (double)whole : 0;
}

/* One log; returns what of it is live. */
static void print_log(const struct stats *stats, uint32_t log)
{
	uint64_t bytes = 0, live = 0;
	uint32_t tenth[TENTHS] = {0}, segments = 0;

	for (size_t i = 0; i < stats->count; i++) {
		const struct stats_segment *it = &stats->segments[i];
		uint32_t t = (uint32_t)(percent(it->live, it->bytes) / TENTHS);

		if (it->log != log)
			continue;
		tenth[t < TENTHS ? t : TENTHS - 1]++;
		bytes += it->bytes;
		live += it->live;
		segments++;
	}
	printf(stats->json ? "{\"log\":%u,\"segments\":%u,\"bytes\":%" PRIu64
			     ",\"tail_bytes\":%" PRIu64
			   : "log-%03u: %u segments, %" PRIu64 " bytes on disk, %" PRIu64
			     " of them behind the checkpoint",
	       log, segments, bytes, stats->tail[log]);
	if (stats->head.number)
		printf(stats->json ? ",\"live_bytes\":%" PRIu64 ",\"live_tenths\":["
				   : ", %" PRIu64 " live (%.1f %%)\n  segments by tenths of live "
				     "bytes, from empty to full:",
		       live, percent(live, bytes));
	for (uint32_t t = 0; t < TENTHS && stats->head.number; t++)
		printf(stats->json ? "%s%u" : "%s%u", stats->json ? (t ? "," : "") : " ", tenth[t]);
	fputs(stats->json ? (stats->head.number ? "]}\n" : "}\n") : "\n", stdout);
}

static void print_whole(const struct stats *stats)
{
	uint64_t tail = 0;

	for (uint32_t log = 0; log < ABAFT_LOGS_MAX; log++)
		tail += stats->tail[log];
	if (stats->head.number)
		printf(stats->json ? "{\"checkpoint\":%u,\"keys\":%" PRIu64 ",\"outcomes\":%" PRIu64
				     ",\"bytes\":%" PRIu64 "}\n"
				   : "checkpoint-%08x: %" PRIu64 " keys, %" PRIu64
				     " outcomes, %" PRIu64 " bytes\n",
		       stats->head.number, stats->checkpoint.keys, stats->checkpoint.outcomes,
		       stats->checkpoint.bytes);
	else if (!stats->json)
		puts("no checkpoint: what is live is not known");
	for (uint32_t i = 0; i < stats->dir->logs_count; i++)
		print_log(stats, stats->dir->logs[i]);
	printf(stats->json ? "{\"restart_checkpoint_bytes\":%" PRIu64
			     ",\"restart_log_bytes\":%" PRIu64 "}\n"
			   : "a restart reads %" PRIu64 " bytes of checkpoint and %" PRIu64
			     " of logs\n",
	       stats->checkpoint.bytes, tail);
}

int log_stats_of(struct log_reading *reading, const struct datadir *dir)
{
	struct stats stats = {.json = reading->options.json, .dir = dir};
	char why[512] = "memory or the directory's entries cannot be had";
	struct filedev *dev = NULL;
	int error = filedev_dir_create(&dev, dir->path, why, sizeof(why));

	if (!error)
		error = find_checkpoint(&stats, dev);
	for (uint32_t i = 0; i < dir->logs_count && !error; i++)
		error = read_log(&stats, dir->logs[i], why, sizeof(why));
	if (!error) {
		qsort(stats.segments, stats.count, sizeof(*stats.segments), by_place);
		error = read_checkpoint(&stats, dev, why, sizeof(why));
	}
	if (!error)
		print_whole(&stats);
	else
		fprintf(stderr, "abaft log: %s\n", why);
	if (!error && stats.lost_live)
		fprintf(stderr,
			"abaft log: %s: %" PRIu64
			" live bytes stand in segments that are not there; see `abaft log "
			"verify`\n",
			dir->path, stats.lost_live);
	if (dev)
		dev->ops->destroy(dev);
	free(stats.segments);
	if (error)
		return error == -EBADMSG ? COMMAND_NO : COMMAND_FAILED;
	return stats.lost_live ? COMMAND_NO : COMMAND_OK;
}
