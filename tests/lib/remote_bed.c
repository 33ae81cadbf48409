/* SPDX-License-Identifier: Apache-2.0 */
/* remote_bed.c - see remote_bed.h. */
#include "tests/lib/remote_bed.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/core/place.h"
#include "dataplane/log/shelf.h"
#include "dataplane/remote/remote_impl.h"
#include "tests/lib/logdev_sim.h"

#define PASSES_MAX 200000
#define WALL_US	   UINT64_C(1700000000000000)

__attribute__((noreturn, format(printf, 2, 3))) static void fail(const struct remote_bed *bed,
								 const char *format, ...)
{
	va_list args;

	fprintf(stderr, "seed %" PRIu64 "%s: ", bed->seed, bed->lying ? " (lying)" : "");
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fprintf(stderr, "\n");
	fflush(stdout);
	for (uint32_t i = 0; bed->verbose; i++) {
		struct engine_name name;
		uint32_t bytes;

		if (!fake_store_at(bed->store, i, &name, &bytes))
			break;
		fprintf(stderr, "# %s/%s %u\n", name.dir, name.leaf, bytes);
	}
	abort();
}

static void *memory(void *at)
{
	if (!at)
		abort();
	return at;
}

static void fill(uint64_t id, uint32_t bytes, uint8_t *to)
{
	uint64_t seed = id;

	for (uint32_t i = 0; i < bytes; i += 8) {
		uint64_t word = i == 0 ? id : sim_random(&seed, UINT64_MAX);

		memcpy(to + i, &word, bytes - i < 8 ? bytes - i : 8);
	}
}

void remote_bed_begin(struct remote_bed *bed, uint64_t seed)
{
	memset(bed, 0, sizeof(*bed));
	bed->seed = seed;
	bed->random = ~seed;
	bed->store = fake_store_create(seed);
	bed->segment_bytes = 64 << 10;
	bed->log = 3;
	bed->ahead = 1;
	bed->records = 1; /* id 0 is none */
	bed->now = (struct now){.wall_us = WALL_US, .mono_us = 1000000};
}

void remote_bed_end(struct remote_bed *bed)
{
	fake_store_destroy(bed->store);
}

/* Starting. */

static int found_record(void *arg, uint64_t seq, uint8_t type, uint64_t place, const uint8_t *data,
			uint32_t bytes)
{
	static uint8_t expected[ABAFT_LOG_GROUP_BYTES_MAX];
	struct remote_node *node = arg;
	const struct remote_bed *bed = node->bed;
	uint64_t id;

	if (seq != node->found + 1 || seq > REMOTE_BED_RECORDS_MAX)
		fail(bed, "record %" PRIu64 " is found behind %" PRIu64, seq, node->found);
	if (bytes < sizeof(id))
		fail(bed, "a record of %u bytes is found", bytes);
	memcpy(&id, data, sizeof(id));
	if (id == 0 || id >= bed->records || bed->record[id].bytes != bytes || type != id % 255)
		fail(bed, "record %" PRIu64 " is none that was written", seq);
	fill(id, bytes, expected);
	if (memcmp(data, expected, bytes) != 0)
		fail(bed, "record %" PRIu64 " has other bytes", seq);
	node->found = seq;
	node->found_ids[seq] = id;
	node->found_places[seq] = place;
	return 0;
}

static void check_acked(struct remote_bed *bed, const struct remote_node *node, uint64_t from)
{
	uint64_t lost = 0, first_lost = UINT64_MAX;

	for (uint64_t id = 1; id < bed->records; id++) {
		struct remote_bed_record *record = &bed->record[id];

		if (!record->acked || record->seq <= from)
			continue;
		if (record->seq <= node->found && node->found_ids[record->seq] == id) {
			if (node->found_places[record->seq] != record->place)
				fail(bed, "record %" PRIu64 " is found at another place",
				     record->seq);
			continue;
		}
		if (!bed->lying)
			fail(bed,
			     "record %" PRIu64 " was acknowledged and is lost (found: %" PRIu64
			     ", group %" PRIu64 ", segment %u)",
			     record->seq, node->found, node->tail ? node->tail->group : 0,
			     node->tail ? node->tail->segment : 0);
		first_lost = record->seq < first_lost ? record->seq : first_lost;
		lost++;
		record->acked = record->known = false;
	}
	if (lost > 0 && first_lost <= node->found)
		fail(bed, "record %" PRIu64 " is lost in the midst of others", first_lost);
	bed->counts.lost += lost;
	bed->counts.tails += lost > 0;
}

static void check_once(const struct remote_bed *bed)
{
	uint8_t *there = memory(calloc(1, bed->records));

	for (uint64_t seq = 1; seq <= bed->line_count; seq++)
		if (there[bed->line[seq]]++)
			fail(bed, "record %" PRIu64 " is in the log twice", seq);
	free(there);
}

/* The node is the newest: the log is what it found. */
static void take_over(struct remote_node *node, uint64_t from)
{
	struct remote_bed *bed = node->bed;

	check_acked(bed, node, from);
	for (uint64_t seq = from + 1; seq <= node->found; seq++) {
		struct remote_bed_record *record = &bed->record[node->found_ids[seq]];

		bed->counts.survivors += !record->acked;
		record->seq = seq;
		record->place = node->found_places[seq];
		record->known = true;
		bed->line[seq] = node->found_ids[seq];
	}
	bed->line_found = bed->line_count = node->found;
	check_once(bed);
	bed->newest = node;
}

static void take_down(struct remote_node *node)
{
	if (node->bed->verbose)
		printf("# node %u goes down\n", node->writer);
	engine_close(node->engine, 0);
	if (node->log)
		log_close(node->log);
	log_tail_free(node->tail);
	if (node->shelf)
		shelf_destroy(node->shelf);
	if (node->remote)
		remote_close(node->remote);
	engine_destroy(node->engine);
	for (uint32_t i = 0; i < REMOTE_BED_READS_MAX; i++)
		free(node->read[i].to);
	free(node->own);
	free(node->found_ids);
	free(node->found_places);
	if (node->bed->newest == node)
		node->bed->newest = NULL;
	memset(node, 0, sizeof(*node));
}

static int log_device(struct remote_node *node, struct logdev **dev)
{
	int error = remote_logdev(node->remote, node->bed->log, dev);

	if (!error)
		(*dev)->threads = false;
	return error;
}

static int open_remote(struct remote_node *node)
{
	struct remote_bed *bed = node->bed;
	struct remote_config config = {.engine = node->engine, .call_ms = 1000};
	uint32_t writer = node->writer = ++bed->writers;

	memset(config.writer, 0xee, sizeof(config.writer));
	memcpy(config.writer, &writer, sizeof(writer));
	memset(config.node_id, 0x5a, sizeof(config.node_id));
	return remote_open(&node->remote, &config, bed->why, sizeof(bed->why));
}

static int open_log(struct remote_node *node, const struct log_mark *mark)
{
	struct remote_bed *bed = node->bed;
	struct logdev *dev;
	int error = log_device(node, &dev);

	if (!error)
		error = log_recover_on(dev, &node->config, mark, found_record, node, &node->tail,
				       bed->why, sizeof(bed->why));
	if (error == -ENOENT && !mark)
		error = 0;
	if (!error)
		error = log_device(node, &dev);
	if (!error)
		error = log_open_on(&node->log, dev, &node->config, node->tail, bed->why,
				    sizeof(bed->why));
	return error;
}

/* `freed`: another one has freed meanwhile what this one was to read. */
static int start_failed(struct remote_node *node, int error, bool freed)
{
	struct remote_bed *bed = node->bed;

	switch (error) {
	case -ESTALE:
	case -EEXIST: /* its first segment has just come */
		bed->counts.stale++;
		break;
	case -ETIMEDOUT:
	case -EACCES:
	case -ECANCELED:
		bed->counts.unreachable++;
		break;
	case -EBADMSG:
		bed->counts.damaged++;
		if (!bed->lying && !freed)
			fail(bed, "a start says that there is damage: %s", bed->why);
		break;
	default:
		fail(bed, "a start ends in %d: %s", error, bed->why);
	}
	if (bed->verbose)
		printf("# node %u does not: %s\n", node->writer, bed->why);
	take_down(node);
	return error;
}

int remote_node_start(struct remote_node *node, struct remote_bed *bed, bool whole)
{
	const struct log_mark newer = bed->mark[0];
	const struct log_mark *mark = newer.group > 0 ? &newer : NULL;
	int error;

	memset(node, 0, sizeof(*node));
	node->bed = bed;
	node->up = true;
	node->freeing = UINT32_MAX;
	node->start = ++bed->counts.starts;
	bed->why[0] = '\0';
	node->engine = fake_engine_open(bed->store);
	node->config = (struct log_config){.number = bed->log,
					   .segment_bytes = bed->segment_bytes,
					   .segments_ahead = bed->ahead,
					   .sync = true};
	node->found_ids = memory(calloc(REMOTE_BED_RECORDS_MAX + 1, sizeof(uint64_t)));
	node->found_places = memory(calloc(REMOTE_BED_RECORDS_MAX + 1, sizeof(uint64_t)));
	if (whole && bed->freed_below == 0)
		mark = NULL;
	node->found = mark ? mark->record : 0;
	/* What lies before the mark is not read again. */
	memcpy(node->found_ids, bed->line, (node->found + 1) * sizeof(uint64_t));
	if (shelf_create(&node->shelf, bed->bytes_max, 0))
		abort();
	node->config.shelf = node->shelf;
	error = open_remote(node);
	if (!error) {
		memcpy(node->config.node_id, remote_node_id(node->remote), 16);
		error = open_log(node, mark);
	}
	if (error)
		return start_failed(node, error, bed->freed_below > (mark ? mark->segment : 0));
	take_over(node, mark ? mark->record : 0);
	if (bed->verbose)
		printf("# node %u opens behind record %" PRIu64 ", group %" PRIu64
		       ", segment %u, byte %" PRIu64 ", incarnation %u%s, mark %" PRIu64 "\n",
		       node->writer, node->found, node->tail ? node->tail->group : 0,
		       node->tail ? node->tail->segment : 0, node->tail ? node->tail->offset : 0,
		       node->tail ? node->tail->incarnation_max : 0,
		       node->tail && node->tail->sealed ? ", sealed" : "", mark ? mark->group : 0);
	node->opened = true;
	node->covered = bed->mark[1].group > 0 ? bed->mark[1].segment : 0;
	node->first_own = node->found + 1;
	node->appended = node->acked = node->found;
	node->own = memory(calloc(REMOTE_BED_RECORDS_MAX + 1, sizeof(uint64_t)));
	bed->counts.opens++;
	return 0;
}

void remote_node_kill(struct remote_node *node)
{
	take_down(node);
}

void remote_node_close(struct remote_node *node)
{
	log_close(node->log);
	node->log = NULL;
	take_down(node);
}

/* Being up. */

bool remote_node_append(struct remote_node *node, uint32_t bytes)
{
	struct remote_bed *bed = node->bed;
	uint64_t id;
	uint8_t *at;

	if (bytes < 8)
		bytes = 8;
	at = log_reserve(node->log, bytes); /* may wait, and others go on */
	id = bed->records;
	if (!at || bed->records == REMOTE_BED_RECORDS_MAX ||
	    node->appended == REMOTE_BED_RECORDS_MAX)
		return false;
	fill(id, bytes, at);
	bed->record[id] = (struct remote_bed_record){.bytes = bytes};
	bed->records++;
	node->own[++node->appended - node->first_own] = id;
	if (log_append(node->log, bytes, (uint8_t)(id % 255)) != node->appended)
		fail(bed, "a record has another number than it is due");
	bed->record[id].place = log_place(node->log);
	return true;
}

static void acknowledge(struct remote_node *node, uint64_t seq)
{
	struct remote_bed *bed = node->bed;
	uint64_t id = node->own[seq - node->first_own];
	struct remote_bed_record *record = &bed->record[id];

	if (bed->newest != node) { /* M3 */
		if ((seq > bed->line_found || bed->line[seq] != id) && !bed->lying)
			fail(bed, "record %" PRIu64 " is acknowledged by a node that was shut out",
			     seq);
		bed->counts.acked_shut_out++;
	} else {
		if (seq != bed->line_count + 1)
			fail(bed, "record %" PRIu64 " is acknowledged before others", seq);
		bed->line[++bed->line_count] = id;
	}
	record->acked = record->known = true;
	record->seq = seq;
	bed->counts.acked++;
	if (bed->verbose)
		printf("# node %u acks record %" PRIu64 " at %u/%u\n", node->writer, seq,
		       place_segment(record->place), place_offset(record->place));
}

static void end_reads(struct remote_node *node)
{
	struct remote_bed *bed = node->bed;
	struct log_read_done done[8];
	uint32_t count;

	while ((count = log_read_done(node->log, done, 8)) > 0) {
		for (uint32_t i = 0; i < count; i++) {
			uint64_t id = node->read[done[i].tag].id;
			uint8_t *to = node->read[done[i].tag].to;
			uint32_t bytes = node->read[done[i].tag].bytes;
			uint8_t *expected = memory(malloc(bytes + 8));

			fill(id, bytes, expected);
			bed->counts.reads++;
			bed->counts.read_failed += done[i].result != 0;
			/* What is forgotten, or freed by another, reads as something else. */
			if (done[i].result == 0 && memcmp(to, expected, bytes) != 0 &&
			    bed->newest == node && !bed->lying &&
			    place_segment(bed->record[id].place) >= bed->freed_below)
				fail(bed, "record %" PRIu64 " is read wrong", bed->record[id].seq);
			free(expected);
			free(to);
			node->read[done[i].tag].to = NULL;
			node->read[done[i].tag].used = false;
		}
	}
}

void remote_node_pass(struct remote_node *node)
{
	struct remote_bed *bed = node->bed;
	uint64_t durable;
	int error;

	bed->now.wall_us += 1000;
	bed->now.mono_us += 1000;
	log_submit(node->log, bed->now);
	durable = log_poll(node->log);
	if (durable > node->appended)
		fail(bed, "more is durable than was appended");
	while (node->acked < durable)
		acknowledge(node, ++node->acked);
	end_reads(node);
	error = log_error(node->log);
	if (error && error != -ENOSPC && !node->error) {
		node->error = error;
		bed->counts.failed++;
		bed->counts.fenced += error == -ESTALE;
		if (error == -ESTALE && bed->counts.starts == node->start && !bed->lying)
			fail(bed, "the newest was shut out");
	}
}

bool remote_node_drain(struct remote_node *node)
{
	for (uint32_t i = 0; log_busy(node->log); i++) {
		if (i == PASSES_MAX)
			fail(node->bed, "it never becomes durable");
		remote_node_pass(node);
	}
	return !node->error;
}

void remote_node_read(struct remote_node *node)
{
	struct remote_bed *bed = node->bed;
	uint32_t tag = 0;
	uint64_t seq, id;
	struct log_read read;

	while (tag < REMOTE_BED_READS_MAX && node->read[tag].used)
		tag++;
	if (tag == REMOTE_BED_READS_MAX || bed->line_count == 0 || bed->newest != node)
		return;
	seq = 1 + sim_random(&bed->random, bed->line_count);
	id = bed->line[seq];
	if (place_segment(bed->record[id].place) < bed->freed_below)
		return;
	node->read[tag].to = memory(malloc(bed->record[id].bytes));
	memset(node->read[tag].to, 0xdb, bed->record[id].bytes);
	read = (struct log_read){.place = bed->record[id].place,
				 .bytes = bed->record[id].bytes,
				 .to = node->read[tag].to,
				 .tag = tag};
	if (read.bytes > ABAFT_VALUE_BYTES_MAX)
		read.bytes = ABAFT_VALUE_BYTES_MAX;
	if (log_read(node->log, &read)) {
		free(node->read[tag].to);
		node->read[tag].to = NULL;
		return;
	}
	node->read[tag].id = id;
	node->read[tag].bytes = read.bytes;
	node->read[tag].used = true;
}

void remote_node_drain_reads(struct remote_node *node)
{
	bool busy = true;

	for (uint32_t i = 0; busy; i++) {
		if (i == PASSES_MAX)
			fail(node->bed, "a read never ends");
		remote_node_pass(node);
		busy = false;
		for (uint32_t tag = 0; tag < REMOTE_BED_READS_MAX; tag++)
			busy |= node->read[tag].used;
	}
}

void remote_node_mark(struct remote_node *node)
{
	struct remote_bed *bed = node->bed;
	struct log_mark mark;

	log_mark(node->log, &mark);
	if (bed->newest != node || mark.group <= bed->mark[0].group)
		return;
	bed->mark[1] = bed->mark[0];
	bed->mark[0] = mark;
	node->covered = bed->mark[1].group > 0 ? bed->mark[1].segment : 0;
	bed->counts.marks++;
}

/* The next that may be freed leaves the shelf. */
static bool next_to_free(struct remote_node *node)
{
	struct remote_bed *bed = node->bed;
	struct shelf_segment segment;
	uint32_t number = 0;

	if (!shelf_next(node->shelf, bed->log, &number, &segment) ||
	    segment.segment >= node->covered)
		return false;
	shelf_remove(node->shelf, bed->log, segment.segment);
	if (!shelf_gone(node->shelf, bed->log, segment.segment))
		return false;
	node->freeing = segment.segment;
	if (bed->freed_below <= segment.segment)
		bed->freed_below = segment.segment + 1;
	return true;
}

void remote_node_free(struct remote_node *node, uint32_t max)
{
	for (; max > 0 && (node->freeing != UINT32_MAX || next_to_free(node)); max--) {
		if (log_free_segment(node->log, node->freeing))
			return; /* once more the next time */
		node->freeing = UINT32_MAX;
		node->bed->counts.freed++;
	}
}

uint32_t remote_bed_orphans(struct remote_bed *bed)
{
	struct engine_name name, marker;
	uint32_t count = 0, bytes;
	char begin[ENGINE_DIR_BYTES], leaf[ENGINE_LEAF_BYTES];

	snprintf(begin, sizeof(begin), "log-%03u-", bed->log);
	for (uint32_t i = 0; fake_store_at(bed->store, i, &name, &bytes); i++) {
		bool known = false;

		if (strncmp(name.dir, begin, strlen(begin)) != 0)
			continue;
		snprintf(leaf, sizeof(leaf), "%.17s-", name.dir + strlen(begin));
		for (uint32_t k = 0; fake_store_at(bed->store, k, &marker, &bytes); k++)
			known |= strlen(marker.dir) == strlen(begin) - 1 &&
				 strncmp(marker.dir, begin, strlen(begin) - 1) == 0 &&
				 strncmp(marker.leaf, leaf, strlen(leaf)) == 0;
		count += !known;
	}
	return count;
}
