/* SPDX-License-Identifier: Apache-2.0 */
/* restart.c - see restart.h. */
#include "dataplane/restart.h"

#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "dataplane/core/node.h"
#include "dataplane/core/place.h"
#include "dataplane/core/snapshot.h"
#include "dataplane/log/checkpoint.h"
#include "dataplane/log/recover.h"
#include "dataplane/log/shelf.h"

/* One log being read. */
struct reader {
	const struct restart_source *source;
	struct node **nodes;
	uint32_t workers;
	uint32_t log;
	const struct log_mark *mark; /* NULL: from its beginning */
	struct log_tail *tail;
	uint64_t records;
	pthread_t thread;
	bool running;
	int err;
	char why[RESTART_WHY_BYTES];
};

/* A run: what is known of the checkpoints before the logs are read. */
struct run {
	struct restart *restart;
	const struct restart_source *source;
	struct node **nodes;
	uint32_t workers;
	uint32_t numbers[ABAFT_CHECKPOINTS_MAX]; /* newest first */
	uint32_t numbers_count;
	uint32_t next; /* of these, not looked at */
	char *why;
};

__attribute__((format(printf, 3, 4))) static int refuse(char *why, int err, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(why, RESTART_WHY_BYTES, format, args);
	va_end(args);
	return err;
}

static uint64_t now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

/* What to do when the nodes say `err`. */
static const char *advice(int err)
{
	switch (err) {
	case -ENOMEM:
		return "the values do not fit; raise memory";
	case -ENOSPC:
		return "the keys do not fit; raise keys";
	case -EBUSY:
		return "too many logs have versions of one of its keys; start with as many workers "
		       "as there are logs";
	default:
		return strerror(-err);
	}
}

/* The next valid checkpoint: 0, or -ENOENT when there is none (S1). */
static int next_valid(struct run *run, struct checkpoint_head *head, struct checkpoint_stats *stats)
{
	char why[RESTART_WHY_BYTES / 2] = "";

	while (run->next < run->numbers_count) {
		uint32_t number = run->numbers[run->next++];
		int err = checkpoint_verify(run->source->checkpoints, run->source->node_id, number,
					    head, stats, why, sizeof(why));

		if (err == 0)
			return 0;
		if (err == -ENOMEM)
			return refuse(run->why, err, "no memory to read checkpoint %08x", number);
		/* The newest is the one that people must hear of. */
		if (run->restart->note[0] == '\0')
			snprintf(run->restart->note, sizeof(run->restart->note),
				 "checkpoint %08x is passed over: %s", number,
				 why[0] ? why : strerror(-err));
	}
	memset(head, 0, sizeof(*head));
	memset(stats, 0, sizeof(*stats));
	return -ENOENT;
}

static int take_segments(void *arg, const struct checkpoint_segment *segments, uint32_t count)
{
	struct restart *restart = ((struct run *)arg)->restart;
	struct checkpoint_segment *more;

	if (count == 0)
		return 0;
	more = reallocarray(restart->segments, restart->segments_count + count, sizeof(*more));
	if (!more)
		return -ENOMEM;
	memcpy(more + restart->segments_count, segments, count * sizeof(*more));
	restart->segments = more;
	restart->segments_count += count;
	return 0;
}

static int take_keys(void *arg, const uint8_t *data, uint32_t bytes)
{
	struct run *run = arg;

	return node_restore_keys(run->nodes, run->workers, data, bytes);
}

static int take_outcomes(void *arg, const uint8_t *data, uint32_t bytes)
{
	struct run *run = arg;

	return node_restore_outcomes(run->nodes, run->workers, data, bytes);
}

static int load(struct run *run)
{
	const struct checkpoint_visitor visitor = {.arg = run,
						   .segments = take_segments,
						   .keys = take_keys,
						   .outcomes = take_outcomes};
	const struct checkpoint_head *head = &run->restart->found.newest;
	char why[RESTART_WHY_BYTES / 2] = "";
	int err = checkpoint_load(run->source->checkpoints, run->source->node_id, head->number,
				  &visitor, why, sizeof(why));

	if (err)
		return refuse(run->why, err, "checkpoint %08x cannot be loaded: %s", head->number,
			      why[0] ? why : advice(err));
	node_restore_time(run->nodes, run->workers, head->time);
	node_restore_horizon(run->nodes, run->workers, head->horizon_ms);
	return 0;
}

static bool has_log(const struct restart_source *source, uint32_t log)
{
	for (uint32_t i = 0; i < source->logs_count; i++)
		if (source->logs[i] == log)
			return true;
	return false;
}

/* S3. */
static int check_marks(const struct run *run)
{
	const struct checkpoint_head *head = &run->restart->found.newest;

	for (uint32_t i = 0; i < head->logs; i++)
		if (head->mark[i].mark.group > 0 && !has_log(run->source, head->mark[i].log))
			return refuse(run->why, -EBADMSG,
				      "log-%03u is missing, though checkpoint %08x names it; put "
				      "it back",
				      head->mark[i].log, head->number);
	return 0;
}

/* Finds the newest valid checkpoint and loads it; without any, nothing happens. */
static int load_newest(struct run *run)
{
	struct keeper_found *found = &run->restart->found;
	int count, err;

	if (!run->source->checkpoints)
		return 0;
	count = checkpoint_list(run->source->checkpoints, run->numbers, ABAFT_CHECKPOINTS_MAX);
	if (count < 0)
		return refuse(run->why, count, "cannot list the checkpoints: %s", strerror(-count));
	run->numbers_count = (uint32_t)count;
	found->number_max = count > 0 ? run->numbers[0] : 0;
	err = next_valid(run, &found->newest, &found->newest_stats);
	if (err)
		return err == -ENOENT ? 0 : err;
	err = check_marks(run);
	return err ? err : load(run);
}

static int take_record(void *arg, uint64_t seq, uint8_t type, uint64_t place, const uint8_t *data,
		       uint32_t bytes)
{
	struct reader *reader = arg;
	int err =
		node_recover(reader->nodes, reader->workers, reader->log, type, place, data, bytes);

	if (err == 0)
		reader->records++;
	else
		refuse(reader->why, err,
		       "log-%03u: record %llu (type %u, %u bytes) cannot be applied: %s",
		       reader->log, (unsigned long long)seq, type, bytes, advice(err));
	return err;
}

static void *read_log(void *arg)
{
	struct reader *reader = arg;
	const struct restart_source *source = reader->source;
	char why[RESTART_WHY_BYTES] = "";

	reader->err = source->recover(source->arg, reader->log, reader->mark, take_record, reader,
				      &reader->tail, why, sizeof(why));
	if (reader->err == -ENOENT && !reader->mark)
		reader->err = 0; /* it was not begun: a new one */
	if (reader->err == 0)
		node_recover_end(reader->nodes, reader->log);
	else if (reader->why[0] == '\0') /* take_record()'s own sentence says more */
		memcpy(reader->why, why, sizeof(why));
	return NULL;
}

static int begin_log(struct run *run, struct reader *reader, uint32_t log)
{
	const struct checkpoint_head *head = &run->restart->found.newest;
	int err = 0;

	*reader = (struct reader){
		.source = run->source, .nodes = run->nodes, .workers = run->workers, .log = log};
	for (uint32_t i = 0; i < head->logs; i++)
		if (head->mark[i].log == log && head->mark[i].mark.group > 0)
			reader->mark = &head->mark[i].mark;
	if (!run->source->threads) {
		read_log(reader);
		return 0;
	}
	err = -pthread_create(&reader->thread, NULL, read_log, reader);
	reader->running = err == 0;
	return err ? refuse(run->why, err, "no thread to recover a log: %s", strerror(-err)) : 0;
}

static int end_log(struct run *run, struct reader *reader)
{
	struct restart *restart = run->restart;

	if (reader->running)
		pthread_join(reader->thread, NULL);
	restart->tails[reader->log] = reader->tail;
	if (reader->log == ABAFT_LOG_KEPT)
		restart->kept_records += reader->records;
	else
		restart->records += reader->records;
	return reader->err;
}

/* S2: why a log that was to be read from its beginning cannot be. */
static int refuse_log(const struct run *run, const struct reader *reader)
{
	const char *why = reader->why[0] ? reader->why : strerror(-reader->err);

	if (run->numbers_count > 0 && run->restart->found.newest.number == 0)
		return refuse(run->why, reader->err,
			      "no checkpoint is valid (%.160s), and the logs alone do not do: "
			      "%.300s",
			      run->restart->note, why);
	return refuse(run->why, reader->err, "%s", why);
}

static int read_logs(struct run *run)
{
	const struct restart_source *source = run->source;
	struct keeper_found *found = &run->restart->found;
	struct reader *readers = calloc(source->logs_count + 1, sizeof(*readers));
	uint32_t begun = 0;
	int err = 0, older = 0;

	if (!readers)
		return refuse(run->why, -ENOMEM, "no memory to recover the logs");
	for (; begun < source->logs_count && err == 0; begun++)
		err = begin_log(run, &readers[begun], source->logs[begun]);
	/* Meanwhile: how far cleaning may go is the older one's to say (Q1). */
	if (err == 0 && found->newest.number > 0) {
		struct checkpoint_stats stats;

		older = next_valid(run, &found->older, &stats);
	}
	for (uint32_t i = 0; i < begun; i++) {
		int failed = end_log(run, &readers[i]);

		if (err == 0 && failed)
			err = refuse_log(run, &readers[i]);
	}
	free(readers);
	return err || older == -ENOENT ? err : older;
}

int restart_run(struct restart *restart, const struct restart_source *source, struct node *nodes[],
		uint32_t workers, char *why)
{
	struct run run = {.restart = restart,
			  .source = source,
			  .nodes = nodes,
			  .workers = workers,
			  .why = why};
	uint64_t logs = 0;
	int err;

	memset(restart, 0, sizeof(*restart));
	restart->elapsed_us = restart->checkpoint_us = now_us();
	for (uint32_t i = 0; i < source->logs_count; i++)
		if (source->logs[i] < ABAFT_WORKERS_MAX)
			logs |= UINT64_C(1) << source->logs[i];
	node_recover_begin(nodes, logs);
	err = load_newest(&run);
	restart->checkpoint_us = now_us() - restart->checkpoint_us;
	if (err == 0)
		err = read_logs(&run);
	if (err == 0)
		node_recovered(nodes, workers);
	restart->elapsed_us = now_us() - restart->elapsed_us;
	return err;
}

void restart_free(struct restart *restart)
{
	for (uint32_t i = 0; i < ABAFT_LOGS_MAX; i++)
		if (restart->tails[i])
			log_tail_free(restart->tails[i]);
	free(restart->segments);
	memset(restart, 0, sizeof(*restart));
}

/* A place's segment; those that were found lately are not looked up again. */
#define FOUND_SLOTS 4096

struct check {
	struct shelf *shelf;
	uint64_t found[FOUND_SLOTS];
	uint64_t missing; /* a place in the first segment that is */
	uint64_t keys;	  /* that stand in it */
	uint32_t example_bytes;
	uint8_t example[ABAFT_KEY_BYTES_MAX];
};

static bool same_segment(uint64_t a, uint64_t b)
{
	return a >> PLACE_OFFSET_BITS == b >> PLACE_OFFSET_BITS;
}

static int check_place(void *arg, uint64_t place, const uint8_t *key, uint32_t key_bytes)
{
	struct check *check = arg;
	uint64_t *slot = &check->found[(place >> PLACE_OFFSET_BITS) % FOUND_SLOTS];
	uint32_t log = place_log(place), segment = place_segment(place);
	struct shelf_segment held;

	if (*slot != PLACE_NONE && same_segment(*slot, place))
		return 0;
	if (log < ABAFT_LOGS_MAX && shelf_hold(check->shelf, log, segment, &held) == 0) {
		shelf_give(check->shelf, log, segment);
		*slot = place;
		return 0;
	}
	if (check->keys == 0) {
		check->missing = place;
		check->example_bytes = key_bytes;
		memcpy(check->example, key, key_bytes);
	}
	check->keys += same_segment(check->missing, place);
	return 0;
}

/* Of the key what can be printed. */
static int refuse_missing(const struct check *check, char *why)
{
	char text[41];
	uint32_t n = 0;

	for (; n < check->example_bytes && n < sizeof(text) - 1; n++)
		text[n] =
			(char)(check->example[n] > 32 && check->example[n] < 127 ? check->example[n]
										 : '.');
	text[n] = '\0';
	return refuse(why, -EBADMSG,
		      "segment %08x of log-%03u is missing: the values of %llu keys stand in it, "
		      "\"%s\" is one; restore it from a copy",
		      place_segment(check->missing), place_log(check->missing),
		      (unsigned long long)check->keys, text);
}

/* The ages that the checkpoint knows. */
static void tell_ages(const struct restart *restart, struct shelf *shelf)
{
	for (uint32_t i = 0; i < restart->segments_count; i++) {
		const struct checkpoint_segment *it = &restart->segments[i];
		struct shelf_segment there;
		uint32_t number = it->segment;

		if (it->time > 0 && shelf_next(shelf, it->log, &number, &there) &&
		    there.segment == it->segment && !there.open)
			shelf_close(shelf, it->log, it->segment, it->time);
	}
}

int restart_check(const struct restart *restart, struct node *nodes[], struct shelf *shelf,
		  char *why)
{
	struct check *check = calloc(1, sizeof(*check));
	int err;

	if (!check)
		return refuse(why, -ENOMEM, "no memory to look for segments");
	check->shelf = shelf;
	err = node_restore_places(nodes, check_place, check);
	if (err == 0 && check->keys > 0)
		err = refuse_missing(check, why);
	free(check);
	if (err == 0)
		tell_ages(restart, shelf);
	return err;
}
