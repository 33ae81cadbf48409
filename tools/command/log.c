/* SPDX-License-Identifier: Apache-2.0 */
/*
 * log.c - `abaft log dump|verify DIR`: reads the commit logs of a data directory that is not in
 * use.
 *
 * Reads through the log's own recovery, so that what it prints is what a node would recover, and
 * what it refuses a node would refuse. Takes the directory's lock shared: a running node is
 * refused.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/core/record.h"
#include "dataplane/log/datadir.h"
#include "dataplane/log/format.h"
#include "dataplane/log/recover.h"
#include "tools/command/command.h"

static const char help[] =
	"usage: abaft log dump DIRECTORY [OPTION...]\n"
	"       abaft log verify DIRECTORY [OPTION...]\n\n"
	"Reads the commit logs in the data directory of a node that is not running.\n"
	"`dump` prints each group and record. `verify` prints how much there is, and whether it\n"
	"is whole; it exits with 1 when a log is damaged.\n\n"
	"  -n, --worker N      only this worker's log\n"
	"  -j, --json          the same as -w json: one object a line\n"
	"  -w, --write FORMAT  write data as `text` (default) or `json`\n"
	"  -h, --help          this text\n";

struct reading {
	struct command_options options;
	const char *action;
	const char *path;
	int64_t worker; /* -1: all */
	bool dump;
	uint32_t log;
	uint64_t group;
	uint64_t groups, records, bytes, commits, aborts, malformed;
};

/* Quoted; what is not printable ASCII as an escape that JSON knows. */
static void print_key(const uint8_t *key, uint32_t bytes)
{
	putchar('"');
	for (uint32_t i = 0; i < bytes; i++)
		if (key[i] == '"' || key[i] == '\\')
			printf("\\%c", key[i]);
		else if (key[i] < 0x20 || key[i] > 0x7e)
			printf("\\u%04x", key[i]);
		else
			putchar(key[i]);
	putchar('"');
}

/* Walks the writes, printing them if `print`; false when the record is malformed. */
static bool walk_writes(struct record *record, bool print, bool json)
{
	uint32_t writes = record->writes;
	struct record_write write;

	for (uint32_t i = 0; i < writes; i++) {
		if (!record_next(record, &write))
			return false;
		if (!print)
			continue;
		fputs(json ? (i ? ",{\"key\":" : "{\"key\":") : "\n      ", stdout);
		print_key(write.key, write.key_bytes);
		if (json)
			printf(",\"deleted\":%s,\"bytes\":%u}", write.kind ? "true" : "false",
			       write.bytes);
		else if (write.kind)
			fputs(" deleted", stdout);
		else
			printf(" %u bytes", write.bytes);
	}
	return record_ended(record);
}

static void print_decoded(uint8_t type, const uint8_t *data, uint32_t bytes, bool json)
{
	char id[ABAFT_ID_TEXT_BYTES];
	struct abaft_id txn;
	struct record record;

	if (!record_open(&record, type, data, bytes))
		return;
	memcpy(&txn, record.id, sizeof(record.id));
	abaft_id_text(&txn, id);
	printf(json ? ",\"txn\":\"%s\",\"time\":%" PRIu64 ",\"origin\":%u,\"writes\":["
		    : " %s version %" PRIu64 ".%u",
	       id, record.number.time, record.number.origin);
	walk_writes(&record, true, json);
	if (json)
		putchar(']');
}

static const char *type_text(uint8_t type)
{
	return type == RECORD_COMMIT ? "commit" : type == RECORD_ABORT ? "abort" : "unknown";
}

static int on_group(void *arg, const struct group_header *group, uint64_t offset)
{
	struct reading *reading = arg;
	const char *format =
		reading->options.json
			? "{\"log\":%u,\"segment\":%u,\"offset\":%" PRIu64 ",\"group\":%" PRIu64
			  ",\"incarnation\":%u,\"durable\":%" PRIu64
			  ",\"records\":%u,\"bytes\":%u,\"seal\":%s}\n"
			: "log-%03u segment %08x byte %" PRIu64 " group %" PRIu64
			  " incarnation %u durable %" PRIu64 " records %u bytes %u%s\n";
	const char *seal = group->flags & LOG_FLAG_SEAL ? " seal" : "";

	if (reading->options.json)
		seal = *seal ? "true" : "false";
	reading->group = group->sequence;
	reading->groups++;
	if (reading->dump)
		printf(format, reading->log, group->segment, offset, group->sequence,
		       group->incarnation, group->durable, group->records, group->payload_bytes,
		       seal);
	return 0;
}

static int on_record(void *arg, uint64_t sequence, uint8_t type, uint64_t place,
		     const uint8_t *data, uint32_t bytes)
{
	struct reading *reading = arg;
	bool json = reading->options.json;
	struct record record;

	reading->records++;
	reading->bytes += bytes;
	reading->commits += type == RECORD_COMMIT;
	reading->aborts += type == RECORD_ABORT;
	if (!record_open(&record, type, data, bytes) || !walk_writes(&record, false, false))
		reading->malformed++;
	if (!reading->dump)
		return 0;
	printf(json ? "{\"log\":%u,\"group\":%" PRIu64 ",\"record\":%" PRIu64
		      ",\"type\":\"%s\",\"bytes\":%u"
		    : "  log-%03u group %" PRIu64 " record %" PRIu64 " %s %u bytes",
	       reading->log, reading->group, sequence, type_text(type), bytes);
	print_decoded(type, data, bytes, json);
	fputs(json ? "}\n" : "\n", stdout);
	return 0;
}

static const char *end_text(const struct reading *reading, const struct log_tail *tail)
{
	if (tail->sealed)
		return "closed in good order";
	return reading->groups ? "not closed" : "empty";
}

static void print_verified(const struct reading *reading, const struct log_tail *tail)
{
	bool json = reading->options.json;

	printf(json ? "{\"log\":%u,\"whole\":%s,\"segments\":%u,\"groups\":%" PRIu64
		      ",\"records\":%" PRIu64 ",\"bytes\":%" PRIu64 ",\"commits\":%" PRIu64
		      ",\"aborts\":%" PRIu64 ",\"malformed\":%" PRIu64 ",\"end\":\"%s\"}\n"
		    : "log-%03u %s: %u segments, %" PRIu64 " groups, %" PRIu64 " records, %" PRIu64
		      " bytes; %" PRIu64 " commits, %" PRIu64 " aborts, %" PRIu64
		      " malformed; %s\n",
	       reading->log,
	       json ? (reading->malformed ? "false" : "true")
		    : (reading->malformed ? "damaged" : "whole"),
	       tail->segments, reading->groups, reading->records, reading->bytes, reading->commits,
	       reading->aborts, reading->malformed, end_text(reading, tail));
}

static int read_log(struct reading *reading, const struct datadir *dir, uint32_t number)
{
	struct log_config config = {.dir = dir->path, .number = number};
	const struct recover_visitor visitor = {reading, on_group, on_record};
	struct log_tail *tail = NULL;
	struct logdev *dev;
	char why[512];
	int error;

	memcpy(config.node_id, dir->node_id, sizeof(config.node_id));
	reading->log = number;
	reading->groups = reading->records = reading->bytes = 0;
	reading->commits = reading->aborts = reading->malformed = 0;
	error = logdev_uring_create(&dev, dir->path, number, false, why, sizeof(why));
	if (!error) {
		error = recover_scan(dev, &config, NULL, &visitor, &tail, why, sizeof(why));
		dev->ops->destroy(dev);
	}
	/* A start that was cut short before its first segment: nothing can be in it. */
	if (error == -ENOENT)
		return COMMAND_OK;
	if (error) {
		fprintf(stderr, "abaft log: %s\n", why);
		return error == -EBADMSG ? COMMAND_NO : COMMAND_FAILED;
	}
	if (!reading->dump)
		print_verified(reading, tail);
	log_tail_free(tail);
	if (reading->malformed)
		fprintf(stderr,
			"abaft log: log %s/log-%03u: %" PRIu64
			" records are whole but no node can read them\n",
			dir->path, number, reading->malformed);
	return reading->malformed ? COMMAND_NO : COMMAND_OK;
}

static int read_logs(struct reading *reading)
{
	int worst = COMMAND_OK;
	bool found = false;
	struct datadir dir;
	char why[512];

	if (datadir_inspect(&dir, reading->path, why, sizeof(why))) {
		fprintf(stderr, "abaft log: %s\n", why);
		return COMMAND_FAILED;
	}
	for (uint32_t i = 0; i < dir.logs_count; i++) {
		int code;

		if (reading->worker >= 0 && dir.logs[i] != (uint64_t)reading->worker)
			continue;
		found = true;
		code = read_log(reading, &dir, dir.logs[i]);
		if (code > worst)
			worst = code;
	}
	if (reading->worker >= 0 && !found) {
		fprintf(stderr, "abaft log: data directory %s: there is no log of worker %d\n",
			reading->path, (int)reading->worker);
		worst = COMMAND_FAILED;
	}
	datadir_close(&dir);
	return worst;
}

/* True: `reading` is filled. */
static bool parse(struct reading *reading, int argc, char **argv, int *code)
{
	static const struct option longs[] = {
		{"worker", required_argument, NULL, 'n'},
		{"json", no_argument, NULL, 'j'},
		{"write", required_argument, NULL, 'w'},
		{"help", no_argument, NULL, 'h'},
		{0},
	};
	uint64_t worker;
	int option;

	reading->worker = -1;
	*code = COMMAND_USAGE;
	while ((option = getopt_long(argc, argv, "n:jw:h", longs, NULL)) != -1) {
		if (option == 'j') {
			reading->options.json = true;
		} else if (option == 'n') {
			if (!command_number("--worker", optarg, 0, ABAFT_WORKERS_MAX - 1, &worker))
				return false;
			reading->worker = (int64_t)worker;
		} else if (!command_option(&reading->options, option, "log", help, code)) {
			return false;
		}
	}
	if (argc - optind != 2) {
		fprintf(stderr, "abaft log: say `dump` or `verify`, and one data directory\n");
		return false;
	}
	reading->action = argv[optind];
	reading->path = argv[optind + 1];
	reading->dump = strcmp(reading->action, "dump") == 0;
	if (!reading->dump && strcmp(reading->action, "verify") != 0) {
		fprintf(stderr, "abaft log: `%s` is neither dump nor verify\n", reading->action);
		return false;
	}
	return true;
}

int command_log(int argc, char **argv)
{
	struct reading reading = {0};
	int code;

	if (!parse(&reading, argc, argv, &code))
		return code;
	return read_logs(&reading);
}
