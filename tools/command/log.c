/* SPDX-License-Identifier: Apache-2.0 */
/*
 * log.c - `abaft log dump|verify|stats DIR`: reads the checkpoints and commit logs of a data
 * directory that is not in use.
 *
 * Reads the newest valid checkpoint, and each log from its mark by the log's own recovery, so what
 * it refuses there a node would refuse. Beyond that it looks through the segments before the mark,
 * which a restart leaves alone: most values stand there. Takes the directory's lock shared: a
 * running node is refused.
 */
#include "tools/command/log.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/log/datadir.h"
#include "dataplane/log/examine.h"

static const char help[] =
	"usage: abaft log dump DIRECTORY [OPTION...]\n"
	"       abaft log verify DIRECTORY [OPTION...]\n"
	"       abaft log stats DIRECTORY [-j]\n"
	"       abaft log repair DIRECTORY TO-DIRECTORY [-j]\n\n"
	"Reads the commit logs and checkpoints in the data directory of a node that is not "
	"running.\n"
	"`dump` prints each group and record, and what each checkpoint covers. `verify` prints "
	"how\n"
	"much there is, and whether it is whole: every checkpoint, every log from the newest "
	"valid\n"
	"checkpoint on, and every segment before it. It exits with 1 when something is damaged.\n"
	"`stats` prints each log's segments, how much of them the newest checkpoint knows to be\n"
	"live, and what a restart would read.\n"
	"`repair` makes a copy, in a new directory, on which a node can be started, and prints "
	"what\n"
	"was lost: 0 nothing was damaged, 1 it was, and is repaired, 6 it could not be.\n\n"
	"  -n, --worker N      only this worker's log; 64 is the kept log\n"
	"  -c, --checkpoint X  dump: only the entries of checkpoint-X\n"
	"  -j, --json          the same as -w json: one object a line\n"
	"  -w, --write FORMAT  write data as `text` (default) or `json`\n"
	"  -h, --help          this text\n";

static const char *end_text(const struct log_reading *reading)
{
	if (reading->sealed)
		return "closed in good order";
	return reading->groups ? "not closed" : "empty";
}

static void print_verified(const struct log_reading *reading, uint32_t segments)
{
	bool json = reading->options.json;
	bool whole = !reading->malformed && !reading->damages;

	printf(json ? "{\"log\":%u,\"whole\":%s,\"segments\":%u,\"groups\":%" PRIu64
		      ",\"records\":%" PRIu64 ",\"bytes\":%" PRIu64 ",\"commits\":%" PRIu64
		      ",\"aborts\":%" PRIu64
		    : "log-%03u %s: %u segments, %" PRIu64 " groups, %" PRIu64 " records, %" PRIu64
		      " bytes; %" PRIu64 " commits, %" PRIu64 " aborts, ",
	       reading->log, json ? (whole ? "true" : "false") : (whole ? "whole" : "damaged"),
	       segments, reading->groups, reading->records, reading->bytes, reading->commits,
	       reading->aborts);
	if (json || reading->kept)
		printf(json ? ",\"kept\":%" PRIu64 : "%" PRIu64 " kept, ", reading->kept);
	if (json || reading->lost)
		printf(json ? ",\"lost\":%" PRIu64 : "%" PRIu64 " lost, ", reading->lost);
	if (json)
		printf(",\"malformed\":%" PRIu64 ",\"damages\":%" PRIu64 ",\"end\":\"%s\"}\n",
		       reading->malformed, reading->damages, end_text(reading));
	else
		printf("%" PRIu64 " malformed; %s\n", reading->malformed, end_text(reading));
}

static void print_range(const char *what, uint64_t first, uint64_t last)
{
	if (first && first == last)
		fprintf(stderr, "%s %" PRIu64, what, first);
	else if (first && last)
		fprintf(stderr, "%ss %" PRIu64 " to %" PRIu64, what, first, last);
	else if (last)
		fprintf(stderr, "%ss up to %" PRIu64, what, last);
	else if (first)
		fprintf(stderr, "%ss from %" PRIu64 " on", what, first);
	else
		fprintf(stderr, "any %ss", what);
}

static int on_damage(void *arg, const struct examine_damage *damage)
{
	struct log_reading *reading = arg;

	reading->damages++;
	if (reading->options.json)
		printf("{\"log\":%u,\"damage\":\"%s\",\"segment\":%u,\"offset\":%" PRIu64
		       ",\"group_first\":%" PRIu64 ",\"group_last\":%" PRIu64
		       ",\"record_first\":%" PRIu64 ",\"record_last\":%" PRIu64 "}\n",
		       reading->log, damage->what, damage->segment, damage->offset,
		       damage->group_first, damage->group_last, damage->record_first,
		       damage->record_last);
	fprintf(stderr,
		"abaft log: log %s/log-%03u: corruption in segment %08x at byte %" PRIu64 ": ",
		reading->path, reading->log, damage->segment, damage->offset);
	print_range("group", damage->group_first, damage->group_last);
	fprintf(stderr, ": %s; ", damage->what);
	print_range("record", damage->record_first, damage->record_last);
	fputs(" in it affected\n", stderr);
	return 0;
}

/* What a restart does not read. */
static int read_before(struct log_reading *reading, const struct log_config *config,
		       const struct log_mark *mark, uint32_t *segments)
{
	const struct examine_visitor visitor = {
		.whole = {reading, log_on_group, log_on_record},
		.damage = on_damage,
		.arg = reading,
	};
	struct logdev *dev;
	char why[512];
	int error;

	error = logdev_uring_create(&dev, config->dir, config->number, false, why, sizeof(why));
	if (!error) {
		error = examine(dev, config, mark, &visitor, segments, why, sizeof(why));
		dev->ops->destroy(dev);
	}
	/* That it is missing is told by who reads from the mark on. */
	if (!error || error == -ENOENT)
		return reading->damages ? COMMAND_NO : COMMAND_OK;
	fprintf(stderr, "abaft log: %s\n", why);
	return COMMAND_FAILED;
}

/* From the mark on, as a node would. */
static int read_tail(struct log_reading *reading, const struct log_config *config,
		     const struct log_mark *mark, uint32_t *segments)
{
	const struct recover_visitor visitor = {reading, log_on_group, log_on_record};
	struct log_tail *tail = NULL;
	struct logdev *dev;
	char why[512];
	int error;

	error = logdev_uring_create(&dev, config->dir, config->number, false, why, sizeof(why));
	if (!error) {
		error = recover_scan(dev, config, mark, &visitor, &tail, why, sizeof(why));
		dev->ops->destroy(dev);
	}
	/* A start that was cut short before its first segment: nothing can be in it. */
	if (error == -ENOENT && !mark->group)
		return COMMAND_OK;
	if (error == -ENOENT) {
		fprintf(stderr,
			"abaft log: log %s/log-%03u: it is missing, though the checkpoint knows "
			"its groups up to %" PRIu64 "; restore it from a copy\n",
			config->dir, config->number, mark->group);
		return COMMAND_NO;
	}
	if (error) {
		fprintf(stderr, "abaft log: %s\n", why);
		return error == -EBADMSG ? COMMAND_NO : COMMAND_FAILED;
	}
	*segments = tail->segments;
	log_tail_free(tail);
	return COMMAND_OK;
}

static int read_log(struct log_reading *reading, const struct datadir *dir, uint32_t number,
		    const struct log_mark *mark)
{
	struct log_config config = {.dir = dir->path, .number = number};
	uint32_t segments = 0, before;
	int code = COMMAND_OK, tail_code;

	memcpy(config.node_id, dir->node_id, sizeof(config.node_id));
	reading->log = number;
	reading->sealed = false;
	reading->groups = reading->records = reading->bytes = 0;
	reading->commits = reading->aborts = reading->kept = reading->lost = 0;
	reading->malformed = reading->damages = 0;
	if (mark->group)
		code = read_before(reading, &config, mark, &before);
	tail_code = read_tail(reading, &config, mark, &segments);
	if (segments && !reading->dump)
		print_verified(reading, segments);
	if (reading->malformed)
		fprintf(stderr,
			"abaft log: log %s/log-%03u: %" PRIu64
			" records are whole but no node can read them\n",
			dir->path, number, reading->malformed);
	if (reading->malformed && code == COMMAND_OK)
		code = COMMAND_NO;
	return code > tail_code ? code : tail_code;
}

/* All 0: from the beginning. */
static struct log_mark mark_of(const struct checkpoint_head *head, uint32_t number)
{
	for (uint32_t i = 0; i < head->logs; i++)
		if (head->mark[i].log == number)
			return head->mark[i].mark;
	return (struct log_mark){0};
}

static bool has_log(const struct datadir *dir, uint32_t number)
{
	for (uint32_t i = 0; i < dir->logs_count; i++)
		if (dir->logs[i] == number)
			return true;
	return false;
}

/* Of those that are there, and of those that should be. */
static int read_logs(struct log_reading *reading, const struct datadir *dir,
		     const struct checkpoint_head *head)
{
	int worst = COMMAND_OK;
	bool found = false;

	for (uint32_t number = 0; number < ABAFT_LOGS_MAX; number++) {
		struct log_mark mark = mark_of(head, number);
		int code;

		if (reading->number >= 0 && number != (uint64_t)reading->number)
			continue;
		if (!has_log(dir, number) && !mark.group)
			continue;
		found = true;
		code = read_log(reading, dir, number, &mark);
		if (code > worst)
			worst = code;
	}
	if (reading->number >= 0 && !found) {
		fprintf(stderr, "abaft log: data directory %s: there is no log of worker %d\n",
			reading->path, (int)reading->number);
		worst = COMMAND_FAILED;
	}
	return worst;
}

static int read_directory(struct log_reading *reading)
{
	struct checkpoint_head head;
	struct datadir dir;
	int code, logs_code;
	char why[512];

	if (datadir_inspect(&dir, reading->path, why, sizeof(why))) {
		fprintf(stderr, "abaft log: %s\n", why);
		return COMMAND_FAILED;
	}
	if (reading->stats) {
		code = log_stats_of(reading, &dir);
	} else if (reading->checkpoint >= 0) {
		code = log_checkpoint_entries(reading, &dir);
	} else {
		code = log_checkpoints(reading, &dir, &head);
		logs_code = read_logs(reading, &dir, &head);
		code = code > logs_code ? code : logs_code;
	}
	datadir_close(&dir);
	return code;
}

/* As in the file's name. */
static bool parse_checkpoint(struct log_reading *reading, const char *text)
{
	char *end;
	unsigned long number = strtoul(text, &end, 16);

	if (*text == '\0' || *end != '\0' || number == 0 || number > UINT32_MAX) {
		fprintf(stderr,
			"abaft log: --checkpoint: \"%s\" is no checkpoint's number: what "
			"its file is called behind `checkpoint-`\n",
			text);
		return false;
	}
	reading->checkpoint = (int64_t)number;
	return true;
}

/* True: `reading` is filled. */
static bool parse(struct log_reading *reading, int argc, char **argv, int *code)
{
	static const struct option longs[] = {
		{"worker", required_argument, NULL, 'n'},
		{"checkpoint", required_argument, NULL, 'c'},
		{"json", no_argument, NULL, 'j'},
		{"write", required_argument, NULL, 'w'},
		{"help", no_argument, NULL, 'h'},
		{0},
	};
	const char *action;
	uint64_t number;
	int option;

	reading->number = reading->checkpoint = -1;
	*code = COMMAND_USAGE;
	while ((option = getopt_long(argc, argv, "n:c:jw:h", longs, NULL)) != -1) {
		if (option == 'j') {
			reading->options.json = true;
		} else if (option == 'n') {
			if (!command_number("--worker", optarg, 0, ABAFT_LOGS_MAX - 1, &number))
				return false;
			reading->number = (int64_t)number;
		} else if (option == 'c') {
			if (!parse_checkpoint(reading, optarg))
				return false;
		} else if (!command_option(&reading->options, option, "log", help, code)) {
			return false;
		}
	}
	if (argc - optind == 3 && strcmp(argv[optind], "repair") == 0 && reading->number < 0 &&
	    reading->checkpoint < 0) {
		*code = command_log_repair(argv[optind + 1], argv[optind + 2],
					   reading->options.json);
		return false;
	}
	if (argc - optind != 2) {
		fprintf(stderr,
			"abaft log: say `dump`, `verify` or `stats`, and one data directory; or "
			"`repair`, and two\n");
		return false;
	}
	action = argv[optind];
	reading->path = argv[optind + 1];
	reading->dump = strcmp(action, "dump") == 0;
	reading->stats = strcmp(action, "stats") == 0;
	if (!reading->dump && !reading->stats && strcmp(action, "verify") != 0) {
		fprintf(stderr, "abaft log: `%s` is none of dump, verify and stats\n", action);
		return false;
	}
	if (reading->stats && (reading->number >= 0 || reading->checkpoint >= 0)) {
		fprintf(stderr, "abaft log: stats is of all logs: no --worker, no --checkpoint\n");
		return false;
	}
	if (!reading->dump && reading->checkpoint >= 0) {
		fprintf(stderr, "abaft log: --checkpoint is for dump; verify looks at all\n");
		return false;
	}
	return true;
}

int command_log(int argc, char **argv)
{
	struct log_reading reading = {0};
	int code;

	if (!parse(&reading, argc, argv, &code))
		return code;
	return read_directory(&reading);
}
