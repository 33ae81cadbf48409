/* SPDX-License-Identifier: Apache-2.0 */
/* Segments before a mark: nothing whole is called damaged, and what is damaged is told exactly. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "dataplane/log/examine.h"
#include "dataplane/log/format.h"
#include "tests/unit/log/rig.h"

static struct rig rig;
static struct rig_group groups[RIG_GROUPS_MAX]; /* of the whole log, up to the mark */
static uint32_t groups_count;
static struct log_mark mark;

static bool seen[RIG_GROUPS_MAX]; /* by sequence */
static uint32_t seen_count;
static uint64_t records;
static struct examine_damage damages[16];
static uint32_t damages_count;
static uint32_t segments;

static int on_group(void *arg, const struct group_header *header, uint64_t offset)
{
	assert_true(header->sequence < RIG_GROUPS_MAX && !seen[header->sequence]);
	assert_int_equal(header->block * 4096ull, offset);
	seen[header->sequence] = true;
	seen_count++;
	return 0;
}

static int on_record(void *arg, uint64_t sequence, uint8_t type, uint64_t place,
		     const uint8_t *data, uint32_t bytes)
{
	records++;
	return 0;
}

static int on_damage(void *arg, const struct examine_damage *damage)
{
	assert_true(damages_count < 16);
	damages[damages_count++] = *damage;
	return 0;
}

static int look(void)
{
	const struct examine_visitor visitor = {
		.whole = {NULL, on_group, on_record},
		.damage = on_damage,
	};

	memset(seen, 0, sizeof(seen));
	seen_count = damages_count = 0;
	records = 0;
	return examine(sim_disk_logdev(rig.disk), &rig.config, &mark, &visitor, &segments, rig.why,
		       sizeof(rig.why));
}

/* A log of some runs, killed at any moment if `crashes`, and a mark near its end. */
static void make_log(uint64_t seed, bool crashes)
{
	rig_begin(&rig, seed);
	rig.bytes_max = 60000; /* often no room at a segment's end */
	for (uint32_t run = 0; run < 12; run++) {
		rig_open(&rig);
		rig_work(&rig, 5 + (uint32_t)sim_random(&rig.random, 60));
		if (crashes)
			sim_disk_power_cut(rig.disk);
		rig_close(&rig);
	}
	assert_int_equal(rig_recover(&rig), 0);
	groups_count = rig.groups_count - (uint32_t)sim_random(&rig.random, 10);
	memcpy(groups, rig.groups, groups_count * sizeof(groups[0]));
	rig_mark(&groups[groups_count - 1], &mark);
	assert_true(mark.segment >= 3);
}

static void expect_clean(void)
{
	assert_int_equal(look(), 0);
	if (damages_count)
		fail_msg("segment %u byte %u: %s", damages[0].segment,
			 (unsigned int)damages[0].offset, damages[0].what);
}

static void whole_logs(void **state)
{
	for (uint64_t seed = 1; seed <= 60; seed++) {
		make_log(seed, seed % 3);
		expect_clean();
		assert_int_equal(seen_count, groups_count);
		assert_int_equal(records, mark.record);
		assert_int_equal(segments, mark.segment);
		rig_end(&rig);
	}
}

static void whole_logs_with_gaps(void **state)
{
	for (uint64_t seed = 1; seed <= 60; seed++) {
		uint32_t expected = 0, there = 0;
		bool gone[256] = {false};

		make_log(seed, seed % 3);
		for (uint32_t i = 0; i < mark.segment; i++) {
			gone[i] = sim_random(&rig.random, 2);
			there += !gone[i];
			if (gone[i])
				sim_disk_remove(rig.disk, i);
		}
		for (uint32_t i = 0; i < groups_count; i++)
			expected += !gone[groups[i].segment];
		expect_clean();
		assert_int_equal(seen_count, expected);
		assert_int_equal(segments, there);
		rig_end(&rig);
	}
}

/* Each group but this one is seen, and this one is told. */
static void expect_damage(const struct rig_group *group)
{
	assert_int_equal(look(), 0);
	for (uint32_t i = 1; i < damages_count; i++)
		print_error("segment %u byte %u: %s\n", damages[i].segment,
			    (unsigned int)damages[i].offset, damages[i].what);
	assert_int_equal(damages_count, 1);
	assert_int_equal(damages[0].group_last, group->sequence);
	assert_int_equal(damages[0].record_last, group->record_last);
	if (group->sequence > 1 || damages[0].group_first) {
		assert_int_equal(damages[0].group_first, group->sequence);
		assert_int_equal(damages[0].record_first, group->record_last + 1 - group->records);
	}
	assert_int_equal(seen_count, groups_count - 1);
}

static void flipped_bits(void **state)
{
	for (uint64_t seed = 1; seed <= 15; seed++) {
		make_log(seed, seed % 3);
		for (uint32_t i = 0; i < 40; i++) {
			struct rig_group *group = &groups[sim_random(&rig.random, groups_count)];
			uint64_t bits = i % 2 ? group->bytes * 8 : LOG_GROUP_HEADER_BYTES * 8;
			uint64_t bit = group->offset * 8 + sim_random(&rig.random, bits);

			sim_disk_flip(rig.disk, group->segment, bit);
			expect_damage(group);
			sim_disk_flip(rig.disk, group->segment, bit);
		}
		expect_clean();
		rig_end(&rig);
	}
}

/* Of the groups that stand side by side, none is told as whole, and none beside them as damaged. */
static void several_at_once(void **state)
{
	for (uint64_t seed = 1; seed <= 60; seed++) {
		uint32_t count = 2 + (uint32_t)sim_random(&rig.random, 20), first;
		uint64_t bytes, lost = 0;

		make_log(seed, seed % 3);
		first = (uint32_t)sim_random(&rig.random, groups_count - count);
		for (uint32_t i = first; i < first + count; i++)
			memset(sim_disk_segment(rig.disk, groups[i].segment, &bytes) +
				       groups[i].offset,
			       0, groups[i].bytes);
		assert_int_equal(look(), 0);
		assert_true(damages_count >= 1);
		for (uint32_t i = 0; i < damages_count; i++)
			lost += damages[i].group_last + 1 -
				(damages[i].group_first ? damages[i].group_first : 1);
		assert_int_equal(lost, count);
		assert_int_equal(seen_count, groups_count - count);
		rig_end(&rig);
	}
}

static void last_group_before_a_gap(void **state)
{
	struct rig_group *group = NULL;

	make_log(5, false);
	sim_disk_remove(rig.disk, 1);
	expect_clean();
	for (uint32_t i = 0; i < groups_count; i++)
		if (groups[i].segment == 0)
			group = &groups[i];
	/* X3: nothing that is there knows of it. */
	sim_disk_flip(rig.disk, 0, group->offset * 8 + 300);
	expect_clean();
	/* But of one that a later header knows durable. */
	sim_disk_flip(rig.disk, 0, group[-8].offset * 8 + 300);
	assert_int_equal(look(), 0);
	assert_int_equal(damages_count, 1);
	assert_int_equal(damages[0].group_first, group[-8].sequence);
	rig_end(&rig);
}

static void wrong_files(void **state)
{
	static uint8_t copy[RIG_SEGMENT_BYTES];
	uint64_t bytes;

	make_log(6, false);
	memcpy(copy, sim_disk_segment(rig.disk, 1, &bytes), sizeof(copy));
	/* Another segment's bytes. */
	sim_disk_put(rig.disk, 2, copy, sizeof(copy));
	assert_int_equal(look(), 0);
	assert_int_equal(damages_count, 1);
	assert_int_equal(damages[0].segment, 2);
	assert_string_equal(damages[0].what, "the group belongs to another segment");
	/* Zeros, with nothing known before and behind. */
	memset(copy, 0, sizeof(copy));
	sim_disk_put(rig.disk, 2, copy, sizeof(copy));
	sim_disk_remove(rig.disk, 1);
	sim_disk_remove(rig.disk, 3);
	assert_int_equal(look(), 0);
	assert_int_equal(damages_count, 1);
	assert_string_equal(damages[0].what, "there is no whole group in it");
	/* Of a length that no segment has. */
	sim_disk_put(rig.disk, 2, copy, 4097);
	assert_int_equal(look(), 0);
	assert_int_equal(damages_count, 1);
	assert_string_equal(damages[0].what, "no segment was made with this length");
	rig.config.node_id[3]++;
	assert_int_equal(look(), 0);
	assert_true(damages_count > 1 && seen_count == 0);
	rig_end(&rig);
}

static void unreadable_block(void **state)
{
	make_log(7, false);
	sim_disk_bad_block(rig.disk, 1, 7);
	assert_int_equal(look(), 0);
	assert_int_equal(damages[0].segment, 1);
	assert_non_null(strstr(damages[0].what, "cannot be read"));
	/* The others are looked at all the same. */
	for (uint32_t i = 0; i < groups_count; i++)
		assert_true(seen[groups[i].sequence] || groups[i].segment == 1);
	rig_end(&rig);
}

/* What a file held as another segment stands behind the end, and is none of this one's. */
static void recycled_segments(void **state)
{
	static uint8_t copy[RIG_SEGMENT_BYTES];
	uint64_t bytes;

	for (uint64_t seed = 1; seed <= 20; seed++) {
		uint32_t next;

		make_log(seed, false);
		rig.mark = &mark;
		next = log_tail_last(rig.tail) + 1;
		for (uint32_t i = 0; i < 3; i++) {
			memcpy(copy, sim_disk_segment(rig.disk, i, &bytes), sizeof(copy));
			memset(copy, 0, ABAFT_LOG_BLOCK_BYTES);
			sim_disk_remove(rig.disk, i);
			sim_disk_put(rig.disk, next + i, copy, sizeof(copy));
		}
		for (uint32_t run = 0; run < 8; run++) {
			rig_open(&rig);
			rig_work(&rig, 40);
			sim_disk_power_cut(rig.disk);
			rig_close(&rig);
		}
		assert_int_equal(rig_recover(&rig), 0);
		rig_mark(&rig.groups[rig.groups_count - 1], &mark);
		assert_true(mark.segment >= next + 3);
		expect_clean();
		assert_true(seen_count >= rig.groups_count);
		rig_end(&rig);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(whole_logs),
		cmocka_unit_test(whole_logs_with_gaps),
		cmocka_unit_test(flipped_bits),
		cmocka_unit_test(several_at_once),
		cmocka_unit_test(last_group_before_a_gap),
		cmocka_unit_test(wrong_files),
		cmocka_unit_test(unreadable_block),
		cmocka_unit_test(recycled_segments),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
