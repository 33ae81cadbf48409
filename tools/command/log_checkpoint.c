/* SPDX-License-Identifier: Apache-2.0 */
/* log_checkpoint.c - checkpoints of `abaft log`; see log.h. */
#include "tools/command/log.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "dataplane/core/outcome.h"
#include "dataplane/core/place.h"
#include "dataplane/core/snapshot.h"
#include "dataplane/log/datadir.h"

static void print_head(const struct log_reading *reading, const struct checkpoint_head *head,
		       const struct checkpoint_stats *stats)
{
	time_t seconds = (time_t)(head->wall_us / 1000000);
	char text[32] = "";
	struct tm tm;

	if (gmtime_r(&seconds, &tm))
		strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &tm);
	printf(reading->options.json ? "{\"checkpoint\":%u,\"whole\":true,\"keys\":%" PRIu64
				       ",\"outcomes\":%" PRIu64 ",\"segments\":%" PRIu64
				       ",\"bytes\":%" PRIu64 ",\"begun\":\"%s\"}\n"
				     : "checkpoint-%08x whole: %" PRIu64 " keys, %" PRIu64
				       " outcomes, %" PRIu64 " segments, %" PRIu64
				       " bytes; begun %s\n",
	       head->number, stats->keys, stats->outcomes, stats->segments, stats->bytes, text);
}

static void print_marks(const struct log_reading *reading, const struct checkpoint_head *head)
{
	for (uint32_t i = 0; i < head->logs; i++) {
		const struct log_mark *mark = &head->mark[i].mark;

		printf(reading->options.json
			       ? "{\"checkpoint\":%u,\"log\":%u,\"segment\":%u,\"offset\":%" PRIu64
				 ",\"group\":%" PRIu64 ",\"record\":%" PRIu64
				 ",\"incarnation\":%u}\n"
			       : "  checkpoint-%08x log-%03u from segment %08x byte %" PRIu64
				 " on, behind group %" PRIu64 " record %" PRIu64
				 " incarnation %u\n",
		       head->number, head->mark[i].log, mark->segment, mark->offset, mark->group,
		       mark->record, mark->incarnation);
	}
}

static int on_segments(void *arg, const struct checkpoint_segment *segments, uint32_t count)
{
	const struct log_reading *reading = arg;

	for (uint32_t i = 0; i < count; i++)
		printf(reading->options.json ? "{\"log\":%u,\"segment\":%u,\"bytes\":%" PRIu64
					       ",\"time\":%" PRIu64 "}\n"
					     : "  log-%03u segment %08x %" PRIu64
					       " bytes, youngest write %" PRIu64 "\n",
		       segments[i].log, segments[i].segment, segments[i].bytes, segments[i].time);
	return 0;
}

static void print_key(const struct snapshot_key *key, bool json)
{
	fputs(json ? "{\"key\":" : "", stdout);
	log_print_key(key->key, key->key_bytes);
	printf(json ? ",\"deleted\":%s,\"bytes\":%u,\"time\":%" PRIu64
		      ",\"origin\":%u,\"log\":%u,\"segment\":%u,\"offset\":%u}\n"
		    : "%s %u bytes version %" PRIu64 ".%u at log-%03u segment %08x byte %u\n",
	       json ? (key->kind ? "true" : "false") : (key->kind ? " deleted" : ""), key->bytes,
	       key->number.time, key->number.origin, place_log(key->place),
	       place_segment(key->place), place_offset(key->place));
}

static int on_keys(void *arg, const uint8_t *data, uint32_t bytes)
{
	struct log_reading *reading = arg;
	struct cursor cursor = cursor_of(data, bytes);
	struct snapshot_key key;

	while (cursor.at != cursor.end) {
		if (!snapshot_key_next(&cursor, &key))
			return -EBADMSG;
		if (reading->dump)
			print_key(&key, reading->options.json);
	}
	return 0;
}

static int on_outcomes(void *arg, const uint8_t *data, uint32_t bytes)
{
	struct log_reading *reading = arg;
	struct cursor cursor = cursor_of(data, bytes);
	struct snapshot_outcome outcome;
	char text[ABAFT_ID_TEXT_BYTES];
	struct abaft_id id;

	while (cursor.at != cursor.end) {
		if (!snapshot_outcome_next(&cursor, &outcome))
			return -EBADMSG;
		memcpy(&id, outcome.id, sizeof(outcome.id));
		abaft_id_text(&id, text);
		if (reading->dump)
			printf(reading->options.json ? "{\"txn\":\"%s\",\"outcome\":\"%s\","
						       "\"time\":%" PRIu64 ",\"origin\":%u}\n"
						     : "%s %s version %" PRIu64 ".%u\n",
			       text, outcome.state == OUTCOME_COMMITTED ? "committed" : "aborted",
			       outcome.number.time, outcome.number.origin);
	}
	return 0;
}

/* The file is whole; now whether a node could use what is in it. Prints the entries of a dump. */
static int read_entries(struct log_reading *reading, struct filedev *dev, const struct datadir *dir,
			uint32_t number)
{
	const struct checkpoint_visitor visitor = {reading, NULL, on_keys, on_outcomes};
	char why[512] = "";
	int error = checkpoint_load(dev, dir->node_id, number, &visitor, why, sizeof(why));

	if (!error)
		return COMMAND_OK;
	fprintf(stderr, "abaft log: %s/checkpoint-%08x: %s\n", dir->path, number,
		why[0] ? why : "its blocks are whole but entries in them are malformed");
	return error == -EBADMSG ? COMMAND_NO : COMMAND_FAILED;
}

static int read_one(struct log_reading *reading, struct filedev *dev, const struct datadir *dir,
		    uint32_t number, struct checkpoint_head *newest)
{
	const struct checkpoint_visitor visitor = {reading, on_segments, NULL, NULL};
	struct checkpoint_stats stats;
	struct checkpoint_head head;
	char why[512];
	int error;

	error = checkpoint_verify(dev, dir->node_id, number, &head, &stats, why, sizeof(why));
	if (!error && reading->dump) {
		print_head(reading, &head, &stats);
		print_marks(reading, &head);
		error = checkpoint_load(dev, dir->node_id, number, &visitor, why, sizeof(why));
	} else if (!error) {
		int code = read_entries(reading, dev, dir, number);

		if (code != COMMAND_OK)
			return code;
		print_head(reading, &head, &stats);
	}
	if (!error && newest->number == 0)
		*newest = head;
	if (!error)
		return COMMAND_OK;
	if (reading->options.json)
		printf("{\"checkpoint\":%u,\"whole\":false}\n", number);
	fprintf(stderr, "abaft log: %s: %s\n", dir->path, why);
	return error == -EBADMSG ? COMMAND_NO : COMMAND_FAILED;
}

static struct filedev *open_checkpoints(const struct datadir *dir)
{
	struct filedev *dev;
	char why[512];

	if (filedev_dir_create(&dev, dir->path, why, sizeof(why)) == 0)
		return dev;
	fprintf(stderr, "abaft log: %s\n", why);
	return NULL;
}

int log_checkpoints(struct log_reading *reading, const struct datadir *dir,
		    struct checkpoint_head *head)
{
	struct filedev *dev = open_checkpoints(dir);
	uint32_t numbers[ABAFT_CHECKPOINTS_MAX];
	int count, worst = COMMAND_OK;

	memset(head, 0, sizeof(*head));
	if (!dev)
		return COMMAND_FAILED;
	count = checkpoint_list(dev, numbers, ABAFT_CHECKPOINTS_MAX);
	if (count < 0) {
		fprintf(stderr, "abaft log: %s: cannot list checkpoints: %s\n", dir->path,
			strerror(-count));
		worst = COMMAND_FAILED;
	}
	for (int i = 0; i < count; i++) {
		int code = read_one(reading, dev, dir, numbers[i], head);

		if (code > worst)
			worst = code;
	}
	dev->ops->destroy(dev);
	return worst;
}

int log_checkpoint_entries(struct log_reading *reading, const struct datadir *dir)
{
	struct filedev *dev = open_checkpoints(dir);
	struct checkpoint_head head = {0};
	int code;

	if (!dev)
		return COMMAND_FAILED;
	code = read_one(reading, dev, dir, (uint32_t)reading->checkpoint, &head);
	if (code == COMMAND_OK)
		code = read_entries(reading, dev, dir, (uint32_t)reading->checkpoint);
	dev->ops->destroy(dev);
	return code;
}
