/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Damage of every kind, many at once, to logs over the simulated disk: after repair recovery and
 * `examine` find them whole, each record that nothing happened to is where it was, each that was
 * lost is told once, and nothing else is.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "dataplane/core/place.h"
#include "dataplane/log/examine.h"
#include "dataplane/log/repair.h"
#include "tests/unit/log/rig.h"

#define SEGMENTS_MAX 64
#define TOUCHED_MAX  4096

struct piece {
	uint32_t segment;
	uint64_t from, to;
};

struct kept {
	uint64_t place;
	uint32_t bytes, crc, group; /* index in rig.groups */
	uint8_t type;
	uint8_t found, told;
};

static struct rig rig;
static struct log_mark mark;
static struct kept records[RIG_RECORDS_MAX + 2];
static uint64_t records_count;
static struct rig_group groups[RIG_GROUPS_MAX];
static uint32_t groups_count;
static struct piece touched[TOUCHED_MAX];
static uint32_t touched_count;
static struct repair_segment segments[SEGMENTS_MAX];
static uint32_t segments_count;
static uint32_t highest; /* number of a segment */
static uint64_t seed_now;
static uint64_t strange; /* records that were told or found and should not be */

#define check(is, ...)                                                                             \
	do {                                                                                       \
		if (!(is)) {                                                                       \
			print_error("seed %llu: ", (unsigned long long)seed_now);                  \
			fail_msg(__VA_ARGS__);                                                     \
		}                                                                                  \
	} while (0)

static bool may_be_the_end(const struct rig_group *group);

static int note_record(void *arg, uint64_t sequence, uint8_t type, uint64_t place,
		       const uint8_t *data, uint32_t bytes)
{
	records[sequence] = (struct kept){
		.place = place, .bytes = bytes, .crc = format_crc(data, bytes), .type = type};
	records_count = sequence;
	return 0;
}

/* Runs that are killed, cut off or closed; then what is in the log, in `records` and `groups`. */
static void make_log(uint64_t seed, bool closed)
{
	const struct recover_visitor visitor = {NULL, NULL, note_record};
	uint32_t runs;
	uint64_t record = 0;

	seed_now = seed;
	rig_begin(&rig, seed);
	rig.bytes_max = seed % 3 ? 9000 : 60000;
	runs = 1 + (uint32_t)sim_random(&rig.random, 4);
	for (uint32_t i = 0; i < runs; i++) {
		rig_open(&rig);
		rig_work(&rig, 20 + (uint32_t)sim_random(&rig.random, 160));
		if (i + 1 < runs || !closed) {
			if (sim_random(&rig.random, 2))
				sim_disk_power_cut(rig.disk);
			else
				sim_disk_kill(rig.disk);
		}
		rig_close(&rig);
	}
	check(rig_recover(&rig) == 0, "%s", rig.why);
	groups_count = rig.groups_count;
	memcpy(groups, rig.groups, groups_count * sizeof(groups[0]));
	records_count = 0;
	log_tail_free(rig.tail);
	check(recover_scan(sim_disk_logdev(rig.disk), &rig.config, NULL, &visitor, &rig.tail,
			   rig.why, sizeof(rig.why)) == 0,
	      "%s", rig.why);
	for (uint32_t g = 0; g < groups_count; g++)
		for (; record < groups[g].record_last; record++)
			records[record + 1].group = g;
	highest = log_tail_last(rig.tail);
	assert_true(highest < SEGMENTS_MAX);
	touched_count = 0;
	memset(&mark, 0, sizeof(mark));
	rig.mark = NULL;
}

/* A mark somewhere, and some of what is before it gone. */
static void make_mark(bool clean)
{
	if (groups_count < 4)
		return;
	rig_mark(&groups[1 + sim_random(&rig.random, groups_count - 1)], &mark);
	rig.mark = &mark;
	for (uint32_t i = 0; clean && i < mark.segment; i++)
		if (sim_random(&rig.random, 3) == 0)
			sim_disk_remove(rig.disk, i);
}

static void touch(uint32_t segment, uint64_t from, uint64_t to)
{
	assert_true(touched_count < TOUCHED_MAX);
	touched[touched_count++] = (struct piece){segment, from, to};
}

static bool is_touched(uint32_t segment, uint64_t from, uint64_t to)
{
	for (uint32_t i = 0; i < touched_count; i++)
		if (touched[i].segment == segment && touched[i].from < to && from < touched[i].to)
			return true;
	return false;
}

static bool header_touched(const struct rig_group *group)
{
	return is_touched(group->segment, group->offset, group->offset + LOG_GROUP_HEADER_BYTES);
}

static bool record_touched(const struct kept *it)
{
	uint64_t offset = place_offset(it->place);

	return is_touched(place_segment(it->place), offset - LOG_RECORD_HEADER_BYTES,
			  offset + format_record_up(it->bytes));
}

static void damage_flip(const struct rig_group *group)
{
	uint64_t bit = 8 * group->offset;

	switch (sim_random(&rig.random, 3)) {
	case 0:
		bit += sim_random(&rig.random, 8 * LOG_GROUP_HEADER_BYTES);
		break;
	case 1: /* anywhere in it, padding included */
		bit += sim_random(&rig.random, UINT64_C(8) * format_blocks_up(group->bytes));
		break;
	default:
		bit += sim_random(&rig.random, UINT64_C(8) * group->bytes);
	}
	sim_disk_flip(rig.disk, group->segment, bit);
	touch(group->segment, bit / 8, bit / 8 + 1);
}

static void damage_zero(const struct rig_group *group)
{
	uint64_t bytes, from = group->offset, to = format_blocks_up(group->bytes) + from;
	uint8_t *data = sim_disk_segment(rig.disk, group->segment, &bytes);

	switch (sim_random(&rig.random, 3)) {
	case 0: /* a block */
		from += sim_random(&rig.random, (to - from) / 4096) * 4096;
		to = from + 4096;
		break;
	case 1: /* many groups */
		to = from + (1 + sim_random(&rig.random, (bytes - from) / 4096)) * 4096;
		break;
	default: /* some sectors */
		from += sim_random(&rig.random, (to - from) / 512) * 512;
		to = from + 512 * (1 + sim_random(&rig.random, (to - from) / 512));
	}
	memset(data + from, 0, to - from);
	touch(group->segment, from, to);
}

static void damage_swap(const struct rig_group *one, const struct rig_group *other)
{
	uint64_t bytes;
	uint8_t *a = sim_disk_segment(rig.disk, one->segment, &bytes), block[4096];
	uint8_t *b = sim_disk_segment(rig.disk, other->segment, &bytes);

	memcpy(block, a + one->offset, 4096);
	memcpy(a + one->offset, b + other->offset, 4096);
	memcpy(b + other->offset, block, 4096);
	if (a + one->offset == b + other->offset)
		return;
	touch(one->segment, one->offset, one->offset + 4096);
	touch(other->segment, other->offset, other->offset + 4096);
}

/* A file that is gone from the middle, or short: whoever calls repair puts zeros there. */
static void damage_file(const struct rig_group *group)
{
	uint64_t bytes, from = sim_random(&rig.random, 2) ? 0 : group->offset;
	uint8_t *data = sim_disk_segment(rig.disk, group->segment, &bytes);

	memset(data + from, 0, bytes - from);
	touch(group->segment, from, bytes);
}

/* False: there is nothing to damage. */
static bool damage(void)
{
	for (int tries = 0; tries < 20; tries++) {
		const struct rig_group *group = &groups[sim_random(&rig.random, groups_count)];
		const struct rig_group *other = &groups[sim_random(&rig.random, groups_count)];
		uint64_t bytes;

		if (!sim_disk_segment(rig.disk, group->segment, &bytes) ||
		    !sim_disk_segment(rig.disk, other->segment, &bytes))
			continue;
		switch (sim_random(&rig.random, 8)) {
		case 0:
			damage_file(group);
			break;
		case 1:
		case 2:
			damage_zero(group);
			break;
		case 3: /* the first block of another segment's file is that file's, not damage */
			if (other->offset == 0 || group->offset == 0)
				continue;
			damage_swap(group, other);
			break;
		default:
			damage_flip(group);
		}
		return true;
	}
	return false;
}

static void on_loss(void *arg, const struct repair_loss *loss)
{
	uint64_t from = place_make(3, loss->from_segment, (uint32_t)loss->from);
	uint64_t to = place_make(3, loss->to_segment, (uint32_t)loss->to);

	for (uint64_t i = 1; i <= records_count; i++) {
		bool told = loss->record_first ? i >= loss->record_first && i <= loss->record_last
					       : loss->record_last && records[i].place >= from &&
							 records[i].place < to;

		records[i].told += told;
		if (told && loss->record_first)
			strange += records[i].place < from || records[i].place >= to;
	}
	/* Of the last groups it is not known how many records they had. */
	strange += loss->record_first && loss->record_last > records_count &&
		   !may_be_the_end(&groups[groups_count - 1]);
}

static int find_record(void *arg, uint64_t sequence, uint8_t type, uint64_t place,
		       const uint8_t *data, uint32_t bytes)
{
	struct kept *it = &records[sequence];

	if (sequence <= records_count && it->place == place && it->type == type &&
	    it->bytes == bytes && it->crc == format_crc(data, bytes))
		it->found++;
	else
		strange += type != LOG_RECORD_LOST;
	return 0;
}

static int on_damage(void *arg, const struct examine_damage *it)
{
	check(false, "examine: segment %u byte %llu: %s", it->segment,
	      (unsigned long long)it->offset, it->what);
	return -EIO;
}

static void take_segments(void)
{
	segments_count = 0;
	for (uint32_t i = 0; i <= highest; i++) {
		struct repair_segment *it = &segments[segments_count];

		it->data = sim_disk_segment(rig.disk, i, &it->bytes);
		it->number = i;
		segments_count += it->data != NULL;
	}
}

static int repair(struct repair *it)
{
	*it = (struct repair){
		.config = &rig.config, .mark = rig.mark, .segments = segments, .loss = on_loss};
	take_segments();
	it->count = segments_count;
	strange = 0;
	for (uint64_t i = 1; i <= records_count; i++)
		records[i].found = records[i].told = 0;
	return repair_log(it, rig.why, sizeof(rig.why));
}

/* As a node and `abaft log verify` read it. */
static void read_repaired(void)
{
	const struct examine_visitor closed = {.whole = {NULL, NULL, find_record},
					       .damage = on_damage};
	const struct recover_visitor tail = {NULL, NULL, find_record};
	uint32_t before;

	log_tail_free(rig.tail);
	rig.tail = NULL;
	if (rig.mark)
		check(examine(sim_disk_logdev(rig.disk), &rig.config, rig.mark, &closed, &before,
			      rig.why, sizeof(rig.why)) == 0,
		      "%s", rig.why);
	check(recover_scan(sim_disk_logdev(rig.disk), &rig.config, rig.mark, &tail, &rig.tail,
			   rig.why, sizeof(rig.why)) == 0,
	      "%s", rig.why);
}

/* What may end a log, or a row of segments, unseen: no header that is left says that it was there.
 */
static bool may_be_the_end(const struct rig_group *group)
{
	bool closed = group->sequence <= mark.group;

	for (uint32_t i = 0; i < groups_count; i++) {
		uint64_t bytes;
		bool there = !header_touched(&groups[i]) &&
			     sim_disk_segment(rig.disk, groups[i].segment, &bytes);

		if (closed && there && groups[i].sequence > group->sequence) {
			uint32_t s = group->segment;

			while (s < groups[i].segment && sim_disk_segment(rig.disk, s + 1, &bytes))
				s++;
			if (s == groups[i].segment && groups[i].durable >= group->sequence)
				return false;
		} else if (!closed && there && groups[i].durable >= group->sequence) {
			return false;
		}
	}
	return true;
}

/* Lost with its neighbours: no header that is left says of its own run that it was durable (R4). */
static bool may_be_older(const struct rig_group *group)
{
	for (uint32_t i = 0; i < groups_count; i++)
		if (!header_touched(&groups[i]) && groups[i].incarnation == group->incarnation &&
		    groups[i].durable >= group->sequence)
			return false;
	return group->incarnation != groups[groups_count - 1].incarnation;
}

static void check_records(void)
{
	bool ended = false;

	for (uint64_t i = 1; i <= records_count; i++) {
		const struct kept *it = &records[i];
		const struct rig_group *group = &groups[it->group];
		uint64_t bytes;

		if (!sim_disk_segment(rig.disk, place_segment(it->place), &bytes))
			continue;
		check(it->found + it->told <= 1, "record %llu found %u told %u",
		      (unsigned long long)i, it->found, it->told);
		if (it->told)
			check(record_touched(it) || header_touched(group) || may_be_older(group),
			      "record %llu is told, but nothing happened to it",
			      (unsigned long long)i);
		else if (!it->found && !ended)
			check(may_be_the_end(group) || is_touched(group->segment, group->offset,
								  group->offset + group->bytes),
			      "record %llu is gone", (unsigned long long)i);
		if (!it->found && !it->told) {
			check(may_be_the_end(group), "record %llu is gone without a word",
			      (unsigned long long)i);
			ended = true;
		}
	}
	check(strange == 0, "%llu strange records", (unsigned long long)strange);
}

/* Logs to which nothing happened, however they ended. */
static void undamaged_is_left_alone(void **state)
{
	static uint8_t copy[SEGMENTS_MAX][RIG_SEGMENT_BYTES];
	struct repair it;

	for (uint64_t seed = 1; seed <= 400; seed++) {
		make_log(seed, seed % 2);
		if (seed % 4)
			make_mark(seed % 4 == 1);
		take_segments();
		for (uint32_t i = 0; i < segments_count; i++)
			memcpy(copy[i], segments[i].data, RIG_SEGMENT_BYTES);
		check(repair(&it) == 0, "%s", rig.why);
		check(it.stats.mended == 0 && it.stats.losses == 0, "something was mended");
		for (uint32_t i = 0; i < segments_count; i++)
			assert_memory_equal(copy[i], segments[i].data, RIG_SEGMENT_BYTES);
		rig_end(&rig);
	}
}

static void damaged_is_repaired(void **state)
{
	uint64_t repaired = 0, lost = 0, mended_whole = 0;

	for (uint64_t seed = 1; seed <= 1000; seed++) {
		uint64_t count;
		struct repair it;

		make_log(seed, seed % 2);
		if (seed % 3)
			make_mark(seed % 3 == 1);
		count = groups_count ? 1 + sim_random(&rig.random, seed % 5 == 0 ? 12 : 2) : 0;
		while (count-- > 0 && damage())
			;
		check(repair(&it) == 0, "%s", rig.why);
		read_repaired();
		check_records();
		repaired += it.stats.mended > 0;
		lost += it.stats.records > 0;
		mended_whole += it.stats.mended > 0 && it.stats.losses == 0;
		/* And it can be written on. */
		if (seed % 8 == 0 && !rig.mark && it.stats.losses == 0) {
			rig.acknowledged = 0; /* the last ones may have gone unseen */
			rig_open(&rig);
			rig_work(&rig, 5);
			rig_close(&rig);
			assert_int_equal(rig_recover(&rig), 0);
		}
		/* Nothing is left to be mended. */
		check(repair(&it) == 0 && it.stats.mended == 0, "it is mended again");
		rig_end(&rig);
	}
	assert_true(repaired > 600 && lost > 330 && mended_whole > 60);
}

/* One bit in the header of a durable group: it is made again, all of it. */
static void a_lost_header_is_made_again(void **state)
{
	for (uint64_t seed = 1; seed <= 200; seed++) {
		static uint8_t copy[RIG_SEGMENT_BYTES];
		const struct rig_group *group;
		struct repair it;
		uint64_t bytes;

		make_log(seed, true);
		group = &groups[sim_random(&rig.random, groups_count - 2)];
		if (group[1].segment == group->segment) {
			uint8_t *data = sim_disk_segment(rig.disk, group->segment, &bytes);

			memcpy(copy, data, bytes);
			sim_disk_flip(rig.disk, group->segment,
				      8 * group->offset +
					      sim_random(&rig.random, 8 * LOG_GROUP_HEADER_BYTES));
			check(repair(&it) == 0, "%s", rig.why);
			check(it.stats.mended == 1 && it.stats.losses == 0, "it is lost");
			assert_memory_equal(copy, data, bytes);
		}
		rig_end(&rig);
	}
}

/* One record of many in a group: the others stay, and the group's checksum. */
static void one_record_of_a_group(void **state)
{
	struct group_header *header;
	struct repair it;
	uint32_t crc, at;
	uint64_t bytes;
	uint8_t *data;

	for (uint32_t part = 0; part < 2; part++) {
		make_log(7, true);
		rig_end(&rig);
		rig_begin(&rig, 7);
		rig_open(&rig);
		for (int i = 0; i < 5; i++)
			assert_true(rig_append(&rig, 100));
		rig_close(&rig);
		assert_int_equal(rig_recover(&rig), 0);
		highest = log_tail_last(rig.tail);
		rig.mark = NULL;
		records_count = 5;
		data = sim_disk_segment(rig.disk, 0, &bytes);
		header = (struct group_header *)data;
		assert_int_equal(header->records, 5);
		crc = header->header_crc;
		at = LOG_GROUP_HEADER_BYTES + 2 * (LOG_RECORD_HEADER_BYTES + 104);
		data[at + (part ? 8 : LOG_RECORD_HEADER_BYTES + 50)] ^= 4;
		assert_int_equal(repair(&it), 0);
		assert_int_equal(it.stats.records, 1);
		assert_int_equal(header->header_crc, crc);
		assert_int_equal(data[at + 4], LOG_RECORD_LOST);
		assert_int_equal(records[3].told, 1);
		assert_int_equal(rig_recover(&rig), 0);
		assert_int_equal(rig.recovered, 5);
		rig_end(&rig);
	}
}

/* Data that look like records are not taken for them. */
static void forged_records_stay_data(void **state)
{
	struct repair it;
	uint64_t bytes;
	uint8_t *at, *data;

	make_log(1, true);
	rig_end(&rig);
	rig_begin(&rig, 1);
	rig_open(&rig);
	/* The second of four holds what looks like the third. */
	for (uint32_t i = 0; i < 4; i++) {
		at = log_reserve(rig.log, 200);
		memset(at, 0x33, 200);
		if (i == 1)
			format_record_put(at + 56, 1, 3, 40);
		assert_int_equal(log_append(rig.log, 200, 1), i + 1);
	}
	rig_close(&rig);
	highest = 1;
	rig.mark = NULL;
	records_count = 0;
	data = sim_disk_segment(rig.disk, 0, &bytes);
	data[LOG_GROUP_HEADER_BYTES + 224 + 1] ^= 1; /* its length */
	assert_int_equal(repair(&it), 0);
	assert_int_equal(it.stats.records, 1);
	assert_int_equal(data[LOG_GROUP_HEADER_BYTES + 224 + 4], LOG_RECORD_LOST);
	assert_int_equal(data[LOG_GROUP_HEADER_BYTES + 448 + 4], 1);
	rig_end(&rig);
}

static void what_is_not_ours_is_refused(void **state)
{
	static uint8_t copy[RIG_SEGMENT_BYTES];
	struct repair it;
	uint64_t bytes;

	make_log(5, true);
	assert_true(highest >= 2);
	rig.config.node_id[3] ^= 1;
	assert_int_equal(repair(&it), -EBADMSG);
	assert_non_null(strstr(rig.why, "another node"));
	rig.config.node_id[3] ^= 1;
	sim_disk_rename(rig.disk, 0, 200);
	assert_int_equal(repair(&it), -EBADMSG);
	assert_non_null(strstr(rig.why, "segment 00000000 is missing"));
	sim_disk_rename(rig.disk, 1, 0);
	sim_disk_rename(rig.disk, 200, 1);
	assert_int_equal(repair(&it), -EBADMSG);
	assert_non_null(strstr(rig.why, "segment 00000000"));
	memcpy(copy, sim_disk_segment(rig.disk, 1, &bytes), sizeof(copy));
	sim_disk_put(rig.disk, 0, copy, sizeof(copy) - 4096);
	assert_int_equal(repair(&it), -EBADMSG);
	sim_disk_put(rig.disk, 0, copy, 100);
	assert_int_equal(repair(&it), -EBADMSG);
	assert_non_null(strstr(rig.why, "no segment was made with"));
	rig_end(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(undamaged_is_left_alone),
		cmocka_unit_test(damaged_is_repaired),
		cmocka_unit_test(a_lost_header_is_made_again),
		cmocka_unit_test(one_record_of_a_group),
		cmocka_unit_test(forged_records_stay_data),
		cmocka_unit_test(what_is_not_ours_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
