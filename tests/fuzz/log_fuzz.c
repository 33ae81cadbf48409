/* SPDX-License-Identifier: Apache-2.0 */
/*
 * log_fuzz.c - arbitrary segments into the log's recovery.
 *
 * Input: a byte of choices, then the bytes of up to three segments of 16 blocks; with the lowest
 * choice bit set, magic, node id, log number and checksums of whatever looks like a group are
 * filled in, so that the deeper checks are reached. Other bits have it begin at a mark, behind the
 * first thing that looks like a group in one of the segments, with those before it there or
 * missing. What must hold: what recovery hands over is in sequence; and a log may be opened behind
 * what it accepted, written, and recovered again with one more record. And what repair has mended,
 * or left alone, recovery accepts.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/log/format.h"
#include "dataplane/log/recover.h"
#include "dataplane/log/repair.h"
#include "tests/fuzz/mend.h"
#include "tests/lib/logdev_sim.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define BLOCKS	      16
#define SEGMENT_BYTES (BLOCKS * ABAFT_LOG_BLOCK_BYTES)
#define SEGMENTS      3

enum choice {
	CHOOSE_MEND = 1,
	CHOOSE_MEND_PAYLOAD = 2,
	CHOOSE_MARK = 4,
	CHOOSE_GAPS = 8,
	CHOOSE_SEGMENT_SHIFT = 4, /* whose group the mark stands behind */
};

static const struct log_config config = {
	.number = 1,
	.node_id = "abaft fuzz test",
	.segment_bytes = SEGMENT_BYTES,
	.segments_ahead = 1,
	.sync = true,
};

static void load(struct sim_disk *disk, uint8_t choice, const uint8_t *data, size_t size)
{
	const struct mend_log mended = {.node_id = config.node_id,
					.number = config.number,
					.segment_blocks = BLOCKS,
					.payload = choice & CHOOSE_MEND_PAYLOAD};

	for (uint32_t number = 0; number < SEGMENTS && size > 0; number++) {
		size_t bytes = size < SEGMENT_BYTES ? size : SEGMENT_BYTES;
		uint64_t there;
		uint8_t *segment;

		sim_disk_put(disk, number, NULL, SEGMENT_BYTES);
		segment = sim_disk_segment(disk, number, &there);
		memcpy(segment, data, bytes);
		for (uint32_t block = 0; choice & CHOOSE_MEND && block < BLOCKS; block++)
			mend_group(&mended, segment, number, block, BLOCKS);
		data += bytes;
		size -= bytes;
	}
}

/* The mark behind the first group of a segment; all 0 where there is none. */
static void choose_mark(struct sim_disk *disk, uint8_t choice, struct log_mark *mark)
{
	uint32_t number = (choice >> CHOOSE_SEGMENT_SHIFT) % SEGMENTS;
	struct group_header header;
	uint64_t bytes, offset = 0;
	const uint8_t *segment = sim_disk_segment(disk, number, &bytes);

	memset(mark, 0, sizeof(*mark));
	if (!(choice & CHOOSE_MARK) || !segment)
		return;
	do {
		memcpy(&header, segment + offset, sizeof(header));
		offset += ABAFT_LOG_BLOCK_BYTES;
	} while (header.magic != LOG_MAGIC && offset < bytes);
	/* No log lives long enough for more. */
	if (header.magic != LOG_MAGIC || header.sequence >> 62 || header.record_first >> 62 ||
	    header.payload_bytes > bytes)
		return;
	mark->group = header.sequence;
	mark->record = header.record_first + header.records - 1;
	mark->offset = offset - ABAFT_LOG_BLOCK_BYTES +
		       format_blocks_up(LOG_GROUP_HEADER_BYTES + header.payload_bytes);
	mark->segment = number;
	mark->previous_crc = header.header_crc;
	mark->incarnation = header.incarnation;
	for (uint32_t i = 0; choice & CHOOSE_GAPS && mark->group && i < number; i++)
		sim_disk_remove(disk, i);
}

static int on_record(void *arg, uint64_t sequence, uint8_t type, uint64_t place,
		     const uint8_t *data, uint32_t bytes)
{
	uint64_t *last = arg;
	uint8_t sum = type;

	if (sequence != ++*last)
		abort();
	for (uint32_t i = 0; i < bytes; i++)
		sum ^= data[i]; /* every byte is there */
	return sum == 0 && bytes > SEGMENT_BYTES ? -E2BIG : 0;
}

/* Repair refuses it, or recovery takes it. */
static void check_repair(struct sim_disk *disk, const struct log_mark *mark)
{
	struct repair_segment segments[SEGMENTS];
	struct repair repair = {.config = &config, .mark = mark, .segments = segments};
	uint64_t last = mark->group ? mark->record : 0;
	const struct recover_visitor visitor = {&last, NULL, on_record};
	struct log_tail *tail;
	char why[512];

	for (uint32_t i = 0; i < SEGMENTS; i++) {
		struct repair_segment *it = &segments[repair.count];

		it->number = i;
		it->data = sim_disk_segment(disk, i, &it->bytes);
		repair.count += it->data != NULL;
	}
	if (repair_log(&repair, why, sizeof(why)))
		return;
	if (recover_scan(sim_disk_logdev(disk), &config, mark, &visitor, &tail, why, sizeof(why)))
		abort();
	log_tail_free(tail);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint64_t last = 0, again = 0;
	struct recover_visitor visitor = {&last, NULL, on_record};
	struct sim_disk *disk;
	struct log_tail *tail, *after;
	struct log_mark mark;
	struct log *log;
	char why[512];

	if (size < 1)
		return 0;
	disk = sim_disk_create(size);
	load(disk, data[0], data + 1, size - 1);
	choose_mark(disk, data[0], &mark);
	check_repair(disk, &mark);
	sim_disk_destroy(disk);
	disk = sim_disk_create(size);
	load(disk, data[0], data + 1, size - 1);
	choose_mark(disk, data[0], &mark);
	last = again = mark.group ? mark.record : 0;
	if (recover_scan(sim_disk_logdev(disk), &config, &mark, &visitor, &tail, why, sizeof(why)))
		goto out;
	if (log_open_on(&log, sim_disk_logdev(disk), &config, tail, why, sizeof(why)))
		goto out;
	if (log_append(log, log_reserve(log, 9) ? 9 : 0, 1) != last + 1)
		abort();
	log_close(log);
	visitor.arg = &again;
	/* Claims of groups that nobody wrote may contradict the new one: that is damage, too. */
	if (recover_scan(sim_disk_logdev(disk), &config, &mark, &visitor, &after, why,
			 sizeof(why)) == 0 &&
	    again != last + 1)
		abort();
	log_tail_free(after);
out:
	log_tail_free(tail);
	sim_disk_destroy(disk);
	return 0;
}
