/* SPDX-License-Identifier: Apache-2.0 */
/*
 * repair_fill.c - groups of lost records in the place of groups that nothing is left of.
 *
 * Known is how many groups and records are missing, and where the next whole group stands. It must
 * stand right behind the last of them, or at offset 0 of a segment; every segment in between must
 * begin with one.
 *
 * F1. Each lost group had a block at least, each record 24 bytes, and all of them stood here: so
 * they fit, whatever they were. If they do not, what stands behind was not written by a log. F2.
 * Where there are more groups than records, the rest were seals, of one block each. F3. All that a
 * place needs is shared out in proportion to its length, so no group is too long where as many fit
 * as there were.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/log/repair_impl.h"

#define GROUP_BLOCKS_MAX (ABAFT_LOG_GROUP_BYTES_MAX / ABAFT_LOG_BLOCK_BYTES)

/* What of one segment is to be filled. */
struct region {
	uint64_t offset, blocks;
	uint64_t least, most; /* groups that may be in it */
	uint64_t groups, seals;
	uint32_t index;
	bool exact; /* filled to its end */
};

struct plan {
	struct region *regions;
	uint32_t count;
	uint64_t groups, records;
	/* F3: of groups with records. */
	uint64_t room; /* for records beyond the one each of them has */
	uint64_t room_before;
	/* The next one. */
	uint64_t sequence, record;
	uint32_t crc, incarnation;
	uint16_t version;
};

/* `all` * `part` / `whole`, rounded down. */
static uint64_t share(uint64_t all, uint64_t part, uint64_t whole)
{
	__extension__ typedef unsigned __int128 wide;

	return whole ? (uint64_t)((wide)all * part / whole) : 0;
}

static uint64_t records_most(uint64_t blocks)
{
	return (blocks * ABAFT_LOG_BLOCK_BYTES - LOG_GROUP_HEADER_BYTES) / LOG_RECORD_HEADER_BYTES;
}

static void lay_out(const struct repair_walk *walk, const struct repair_at *to, struct plan *plan)
{
	for (uint32_t i = 0; i < plan->count; i++) {
		struct region *region = &plan->regions[i];
		uint64_t end;

		region->index = walk->at.index + i;
		region->exact = region->index == to->index;
		region->offset = i == 0 ? walk->at.offset : 0;
		end = region->exact ? to->offset : repair_segment(walk, region->index)->bytes;
		region->blocks =
			end > region->offset ? (end - region->offset) / ABAFT_LOG_BLOCK_BYTES : 0;
		region->most = region->blocks;
		if (region->exact)
			region->least = (region->blocks + GROUP_BLOCKS_MAX - 1) / GROUP_BLOCKS_MAX;
		else
			region->least = region->offset == 0;
	}
}

/* Whether the groups and seals find room; says how many go where. */
static bool share_out(struct plan *plan)
{
	uint64_t least = 0, spare = 0, before = 0, more;
	uint64_t seals = plan->groups > plan->records ? plan->groups - plan->records : 0;

	for (uint32_t i = 0; i < plan->count; i++) {
		least += plan->regions[i].least;
		spare += plan->regions[i].most - plan->regions[i].least;
	}
	if (plan->groups < least || plan->groups - least > spare)
		return false;
	more = plan->groups - least;
	for (uint32_t i = 0; i < plan->count; i++) {
		struct region *region = &plan->regions[i];
		uint64_t after = before + region->most - region->least, most;

		region->groups =
			region->least + share(more, after, spare) - share(more, before, spare);
		before = after;
		most = region->groups;
		if (region->exact && region->groups < region->blocks)
			most -= region->least;
		region->seals = seals < most ? seals : most;
		seals -= region->seals;
	}
	return seals == 0;
}

/* Blocks of the n-th group of a region; its seals come first. */
static uint64_t blocks_of(const struct region *region, uint64_t n)
{
	uint64_t data = region->groups - region->seals, blocks = region->blocks - region->seals;

	if (n < region->seals)
		return 1;
	n -= region->seals;
	blocks = share(blocks, n + 1, data) - share(blocks, n, data);
	return blocks < GROUP_BLOCKS_MAX ? blocks : GROUP_BLOCKS_MAX;
}

static bool measure(struct plan *plan)
{
	uint64_t data = 0;

	for (uint32_t i = 0; i < plan->count; i++)
		for (uint64_t n = plan->regions[i].seals; n < plan->regions[i].groups; n++) {
			plan->room += records_most(blocks_of(&plan->regions[i], n)) - 1;
			data++;
		}
	return plan->records >= data && plan->records - data <= plan->room;
}

static void put_records(uint8_t *payload, uint32_t bytes, uint64_t sequence, uint64_t records)
{
	while (records-- > 0) {
		uint32_t put = format_record_put(payload, LOG_RECORD_LOST, sequence++,
						 records ? 0 : bytes - LOG_RECORD_HEADER_BYTES);

		payload += put;
		bytes -= put;
	}
}

/* The next group of the plan; `crc` as of repair_finish(). */
static void put_group(const struct repair_walk *walk, struct plan *plan, uint32_t index,
		      uint64_t offset, uint64_t blocks, uint64_t records, const uint32_t *crc)
{
	const struct repair_segment *segment = repair_segment(walk, index);
	uint8_t *group = segment->data + offset;
	struct group_header header = {
		.version = plan->version,
		.flags = (uint16_t)(records ? 0 : LOG_FLAG_SEAL),
		.log = walk->repair->config->number,
		.segment = segment->number,
		.block = (uint32_t)(offset / ABAFT_LOG_BLOCK_BYTES),
		.segment_blocks = (uint32_t)(segment->bytes / ABAFT_LOG_BLOCK_BYTES),
		.sequence = plan->sequence,
		.record_first = plan->record,
		.durable = plan->sequence - 1,
		.incarnation = plan->incarnation,
		.records = (uint32_t)records,
		.previous_crc = plan->crc,
	};

	memcpy(header.node_id, walk->repair->config->node_id, sizeof(header.node_id));
	if (records) {
		header.payload_bytes =
			(uint32_t)(blocks * ABAFT_LOG_BLOCK_BYTES) - LOG_GROUP_HEADER_BYTES;
		put_records(group + LOG_GROUP_HEADER_BYTES, header.payload_bytes, plan->record,
			    records);
	} else {
		memset(group, 0, ABAFT_LOG_BLOCK_BYTES);
	}
	memcpy(group, &header, sizeof(header));
	repair_finish(group, crc);
	memcpy(&plan->crc, group + offsetof(struct group_header, header_crc), sizeof(plan->crc));
	plan->sequence++;
	plan->record += records;
}

static void put_region(const struct repair_walk *walk, struct plan *plan,
		       const struct region *region, const struct repair_at *to, uint64_t data)
{
	uint64_t offset = region->offset;

	for (uint64_t n = 0; n < region->groups; n++) {
		uint64_t blocks = blocks_of(region, n), records = 0;

		if (n >= region->seals) {
			uint64_t after = plan->room_before + records_most(blocks) - 1;

			records = 1 + share(plan->records - data, after, plan->room) -
				  share(plan->records - data, plan->room_before, plan->room);
			plan->room_before = after;
		}
		put_group(walk, plan, region->index, offset, blocks, records,
			  plan->sequence == to->group ? &to->crc : NULL);
		offset += blocks * ABAFT_LOG_BLOCK_BYTES;
	}
}

static void put_all(const struct repair_walk *walk, struct plan *plan, const struct repair_at *to)
{
	uint64_t data = 0;

	for (uint32_t i = 0; i < plan->count; i++)
		data += plan->regions[i].groups - plan->regions[i].seals;
	for (uint32_t i = 0; i < plan->count; i++)
		put_region(walk, plan, &plan->regions[i], to, data);
}

/* What is before is not known: as few groups as will do, with one record each if there were any. */
static bool assume(struct repair_walk *walk, struct plan *plan, const struct repair_at *to)
{
	uint64_t least = 0;

	for (uint32_t i = 0; i < plan->count; i++)
		least += plan->regions[i].least;
	if (least == 0 || to->group < least)
		return false;
	walk->at.group = to->group - least;
	walk->at.record = to->record - (to->record < least ? to->record : least);
	return true;
}

int repair_fill(struct repair_walk *walk, const struct repair_at *to, const char *what)
{
	const struct repair_at from = walk->at;
	struct plan plan = {.count = to->index - from.index + 1};
	int err = 0;

	plan.regions = calloc(plan.count, sizeof(*plan.regions));
	if (!plan.regions)
		return repair_refuse(walk, "no memory to repair it"), -ENOMEM;
	lay_out(walk, to, &plan);
	if (!from.known && !assume(walk, &plan, to))
		err = -EBADMSG;
	plan.groups = to->group - walk->at.group;
	plan.records = to->record - walk->at.record;
	plan.sequence = walk->at.group + 1;
	plan.record = walk->at.record + 1;
	plan.crc = from.crc;
	plan.incarnation = from.incarnation ? from.incarnation : to->incarnation;
	plan.version = from.version ? from.version : to->version;
	if (err || !share_out(&plan) || !measure(&plan)) {
		err = repair_refuse(
			walk,
			"what stands in segment %08x at byte %llu cannot have followed "
			"what stands before segment %08x byte %llu; restore it from a "
			"copy",
			repair_segment(walk, to->index)->number, (unsigned long long)to->offset,
			repair_segment(walk, from.index)->number, (unsigned long long)from.offset);
		goto out;
	}
	put_all(walk, &plan, to);
	walk->repair->stats.mended++;
	repair_tell(walk, &(struct repair_loss){
				  .from_segment = repair_segment(walk, from.index)->number,
				  .to_segment = repair_segment(walk, to->index)->number,
				  .from = from.offset,
				  .to = to->offset,
				  .group_first = from.known ? from.group + 1 : 0,
				  .group_last = to->group,
				  .record_first = from.known && plan.records ? from.record + 1 : 0,
				  .record_last = plan.records ? to->record : 0,
				  .what = what});
	walk->at = *to;
	walk->at.incarnation = plan.incarnation;
	walk->at.version = plan.version;
out:
	free(plan.regions);
	return err;
}

int repair_fill_all(struct repair_walk *walk, const struct repair_at *before)
{
	uint32_t first = walk->at.index;
	struct plan plan = {
		.sequence = before->group + 1,
		.record = before->record + 1,
		.incarnation = before->incarnation ? before->incarnation : 1,
		.version = before->version ? before->version : LOG_FORMAT,
	};

	for (uint32_t i = first; i <= walk->last; i++)
		put_group(walk, &plan, i, 0, 1, 1, NULL);
	walk->repair->stats.mended++;
	repair_tell(walk,
		    &(struct repair_loss){.from_segment = repair_segment(walk, first)->number,
					  .to_segment = repair_segment(walk, walk->last)->number,
					  .to = repair_segment(walk, walk->last)->bytes,
					  .group_last = UINT64_MAX,
					  .record_last = UINT64_MAX,
					  .what = "there is no whole group in it"});
	walk->at = (struct repair_at){.index = walk->last,
				      .offset = ABAFT_LOG_BLOCK_BYTES,
				      .group = plan.sequence - 1,
				      .record = plan.record - 1,
				      .crc = plan.crc,
				      .incarnation = plan.incarnation,
				      .version = plan.version,
				      .known = true};
	return 0;
}
