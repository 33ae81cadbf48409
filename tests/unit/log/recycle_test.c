/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tests of how segments come and go: room that is claimed, freed segments that are used again,
 * marks, and crashes at every moment of it, over the simulated disk. What a recycled file still
 * holds must never be taken for a group of the log (rig_open() asserts it).
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "dataplane/log/segment.h"
#include "dataplane/log/shelf.h"
#include "tests/unit/log/rig.h"

#define SEEDS	    1500
#define SMALL_BYTES (16u * ABAFT_LOG_BLOCK_BYTES)

static struct rig rig;
static struct log_mark mark; /* of the last checkpoint, as it were: before it segments may go */

/* A log of small segments on a shelf; recoveries begin at `mark`. */
static void begin(uint64_t seed, uint64_t bytes_max, uint64_t reserve)
{
	rig_begin(&rig, seed);
	rig.config.segment_bytes = SMALL_BYTES;
	assert_int_equal(shelf_create(&rig.config.shelf, bytes_max, reserve), 0);
	mark = (struct log_mark){0};
	rig.mark = &mark;
}

static struct log_stats stats(void)
{
	struct log_stats stats;

	log_stats(rig.log, &stats);
	return stats;
}

static bool on_disk(uint32_t number)
{
	uint64_t bytes;

	return sim_disk_segment(rig.disk, number, &bytes) != NULL;
}

static uint64_t bytes_on_disk(void)
{
	struct logdev *dev = sim_disk_logdev(rig.disk);
	uint32_t numbers[64];
	uint64_t sum = 0;
	int count = dev->ops->list(dev, numbers, 64);

	assert_true(count >= 0);
	for (int i = 0; i < count; i++) {
		uint64_t bytes = 0;

		assert_true(dev->ops->open(dev, numbers[i], &bytes) >= 0);
		sum += bytes;
	}
	return sum;
}

/* Appends until the log is in segment `number`, and waits for all. */
static void write_to(uint32_t number)
{
	for (uint32_t i = 0; i < 1000; i++) {
		assert_true(rig_append(&rig, 3000) || log_busy(rig.log));
		rig_pass(&rig);
		log_mark(rig.log, &mark);
		if (mark.segment >= number)
			break;
	}
	assert_int_equal(mark.segment, number);
	rig_drain(&rig);
	log_mark(rig.log, &mark);
}

/* What the keeper does to a segment in which nothing is live. */
static int free_one(uint32_t number)
{
	shelf_remove(rig.config.shelf, rig.config.number, number);
	if (!shelf_gone(rig.config.shelf, rig.config.number, number))
		return -EBUSY;
	return log_free_segment(rig.log, number);
}

static void fill_up(struct rig *one)
{
	while (!log_error(one->log)) {
		rig_append(one, 3000);
		rig_pass(one);
	}
	rig_drain(one);
	assert_int_equal(log_error(one->log), -ENOSPC);
}

static void expect_all(void)
{
	rig_drain(&rig);
	rig_close(&rig);
	assert_int_equal(rig_recover(&rig), 0);
	assert_false(rig.mismatch);
	assert_int_equal(rig.recovered, rig.appended);
}

static void freed_segment_is_used_again(void **state)
{
	struct shelf_segment segment;

	begin(1, 0, 0);
	rig_open(&rig);
	write_to(2);
	assert_int_equal(stats().segments, 3);
	assert_int_equal(free_one(2), -EBUSY); /* still open */
	assert_int_equal(free_one(0), 0);
	assert_false(on_disk(0));
	assert_true(on_disk(3));
	assert_int_equal(stats().segments, 3);
	assert_int_equal(stats().recycled, 1);
	assert_int_equal(shelf_bytes(rig.config.shelf), 3 * SMALL_BYTES);
	assert_int_equal(shelf_hold(rig.config.shelf, 3, 0, &segment), -ESTALE);
	write_to(3);
	assert_int_equal(shelf_hold(rig.config.shelf, 3, 3, &segment), 0);
	assert_true(segment.open);
	shelf_give(rig.config.shelf, 3, 3);
	assert_int_equal(shelf_hold(rig.config.shelf, 3, 1, &segment), 0);
	assert_false(segment.open);
	shelf_give(rig.config.shelf, 3, 1);
	assert_int_equal(stats().segments, 3);
	expect_all();
	rig_end(&rig);
}

/* Each segment that was left has the time of the pass that left it. */
static void segments_have_their_age(void **state)
{
	struct shelf_segment segment;
	uint64_t before, after;

	begin(2, 0, 0);
	rig_open(&rig);
	write_to(0);
	before = rig.now.wall_us;
	write_to(1);
	after = rig.now.wall_us;
	assert_int_equal(shelf_hold(rig.config.shelf, 3, 0, &segment), 0);
	assert_true(segment.time > before && segment.time <= after);
	shelf_give(rig.config.shelf, 3, 0);
	assert_int_equal(shelf_hold(rig.config.shelf, 3, 1, &segment), 0);
	assert_true(segment.open && segment.time == 0);
	shelf_give(rig.config.shelf, 3, 1);
	rig_close(&rig);
	rig_open(&rig); /* the age is not known any more, what is open is */
	assert_int_equal(shelf_hold(rig.config.shelf, 3, 0, &segment), 0);
	assert_true(!segment.open && segment.time == 0);
	shelf_give(rig.config.shelf, 3, 0);
	assert_int_equal(shelf_hold(rig.config.shelf, 3, 1, &segment), 0);
	assert_true(segment.open);
	shelf_give(rig.config.shelf, 3, 1);
	rig_end(&rig);
}

/* Of another length, or more than are wanted: the file goes and gives its room back. */
static void what_is_not_wanted_goes(void **state)
{
	begin(3, 0, 0);
	rig.config.segment_bytes = 2 * SMALL_BYTES;
	rig_open(&rig);
	write_to(1);
	rig_close(&rig);
	rig.config.segment_bytes = SMALL_BYTES;
	rig_open(&rig);
	write_to(6);
	assert_int_equal(free_one(0), 0); /* too long */
	assert_int_equal(stats().recycled, 0);
	assert_false(on_disk(7));
	for (uint32_t i = 2; i < 2 + SEGMENT_RECYCLED_AHEAD; i++)
		assert_int_equal(free_one(i), 0);
	assert_int_equal(stats().recycled, SEGMENT_RECYCLED_AHEAD);
	assert_int_equal(shelf_bytes(rig.config.shelf), bytes_on_disk());
	assert_int_equal(free_one(5), 0); /* one too many */
	assert_int_equal(stats().recycled, SEGMENT_RECYCLED_AHEAD);
	assert_false(on_disk(5));
	assert_int_equal(shelf_bytes(rig.config.shelf), bytes_on_disk());
	assert_int_equal(stats().segments, 3 + SEGMENT_RECYCLED_AHEAD); /* 1, 4 and 6 */
	expect_all();
	rig_end(&rig);
}

static void removing_that_fails_is_asked_for_again(void **state)
{
	begin(4, 0, 0);
	rig_open(&rig);
	write_to(2);
	sim_disk_fail_names(rig.disk, -EROFS);
	assert_int_equal(free_one(0), -EAGAIN);
	assert_int_equal(shelf_bytes(rig.config.shelf), bytes_on_disk());
	sim_disk_fail_names(rig.disk, 0);
	assert_int_equal(log_free_segment(rig.log, 0), 0);
	assert_int_equal(log_free_segment(rig.log, 0), 0); /* somebody took it away */
	assert_int_equal(shelf_bytes(rig.config.shelf), bytes_on_disk());
	expect_all();
	rig_end(&rig);
}

/* The bound is one of all logs; a freed segment lets a full log go on. */
static void room_comes_from_what_is_freed(void **state)
{
	begin(5, 4 * SMALL_BYTES, SMALL_BYTES);
	rig_open(&rig);
	fill_up(&rig);
	assert_int_equal(stats().segments, 3); /* the reserve is not its own */
	log_mark(rig.log, &mark);
	assert_int_equal(free_one(0), 0);
	assert_int_equal(stats().recycled, 1);
	assert_true(rig_append(&rig, 3000));
	assert_int_equal(log_error(rig.log), 0);
	/* While others have more than their share, what is freed is not used again. */
	assert_int_equal(shelf_claim(rig.config.shelf, ABAFT_LOG_KEPT, SMALL_BYTES), 0);
	rig_drain(&rig);
	log_mark(rig.log, &mark);
	assert_int_equal(free_one(1), 0);
	assert_int_equal(stats().recycled, 1);
	assert_int_equal(shelf_bytes(rig.config.shelf), 3 * SMALL_BYTES);
	expect_all();
	rig_end(&rig);
}

/* While others want room, too, no more than one is kept ahead; what was kept before goes. */
static void no_hoard_while_room_is_short(void **state)
{
	begin(15, 0, 0);
	rig_open(&rig);
	write_to(4);
	for (uint32_t i = 0; i < SEGMENT_RECYCLED_AHEAD; i++)
		assert_int_equal(free_one(i), 0);
	assert_int_equal(stats().segments, 5); /* 2 to 6: two ahead */
	rig_close(&rig);
	shelf_destroy(rig.config.shelf);
	assert_int_equal(shelf_create(&rig.config.shelf, 7 * SMALL_BYTES, SMALL_BYTES), 0);
	rig_open(&rig);
	assert_false(shelf_ample(rig.config.shelf, SMALL_BYTES + 1));
	assert_int_equal(stats().segments, 5); /* there is room for one more */
	rig_close(&rig);
	shelf_destroy(rig.config.shelf);
	assert_int_equal(shelf_create(&rig.config.shelf, 6 * SMALL_BYTES, 2 * SMALL_BYTES), 0);
	rig_open(&rig);
	assert_int_equal(stats().segments, 3);
	assert_int_equal(shelf_bytes(rig.config.shelf), bytes_on_disk());
	write_to(5);
	assert_false(on_disk(6));
	assert_int_equal(shelf_bytes(rig.config.shelf), bytes_on_disk());
	assert_int_equal(free_one(2), 0);
	assert_int_equal(stats().recycled, 1); /* as the one ahead */
	assert_int_equal(free_one(3), 0);
	assert_int_equal(stats().recycled, 1);
	assert_int_equal(shelf_bytes(rig.config.shelf), bytes_on_disk());
	expect_all();
	rig_end(&rig);
}

/* What a log found on disk counts before any log makes a new segment, whatever the bound. */
static void found_segments_count(void **state)
{
	begin(6, 0, 0);
	rig_open(&rig);
	write_to(4);
	rig_close(&rig);
	assert_int_equal(shelf_bytes(rig.config.shelf), 0);
	shelf_destroy(rig.config.shelf);
	assert_int_equal(shelf_create(&rig.config.shelf, 3 * SMALL_BYTES, 0), 0);
	rig_open(&rig);
	assert_int_equal(shelf_bytes(rig.config.shelf), 5 * SMALL_BYTES);
	fill_up(&rig);
	assert_int_equal(stats().segments, 5);
	rig_end(&rig);
}

/* The disk is full: while the kept log lacks a segment the others get none, though theirs (a disk
 * of its own here) would have room. */
static void kept_log_gets_room_first(void **state)
{
	static struct rig kept;
	struct log_stats told;

	begin(7, 0, 0);
	rig_begin(&kept, 8);
	kept.config.number = ABAFT_LOG_KEPT;
	kept.config.segment_bytes = SMALL_BYTES;
	kept.config.shelf = rig.config.shelf;
	rig_open(&rig);
	rig_open(&kept);
	for (uint32_t segments = 1; segments < 3; segments++) {
		sim_disk_space(kept.disk, segments * SMALL_BYTES);
		fill_up(&kept);
		fill_up(&rig);
		log_stats(kept.log, &told);
		assert_int_equal(told.segments, segments);
		assert_int_equal(stats().no_room, -ENOSPC);
		assert_int_equal(stats().segments, segments);
		if (segments == 1) { /* room on the disk */
			sim_disk_space(kept.disk, 0);
		} else { /* or a segment of its own was freed */
			shelf_remove(rig.config.shelf, ABAFT_LOG_KEPT, 0);
			assert_true(shelf_gone(rig.config.shelf, ABAFT_LOG_KEPT, 0));
			assert_int_equal(log_free_segment(kept.log, 0), 0);
		}
		assert_true(rig_append(&kept, 3000));
		assert_true(rig_append(&rig, 3000));
	}
	rig_close(&kept);
	kept.config.shelf = NULL;
	rig_end(&kept);
	expect_all();
	rig_end(&rig);
}

/* From a mark of any moment recovery brings what came behind it. */
static void every_mark_is_good(void **state)
{
	static struct log_mark marks[300];

	begin(9, 0, 0);
	rig_open(&rig);
	for (uint32_t i = 0; i < 300; i++) {
		rig_work(&rig, 1);
		log_mark(rig.log, &marks[i]);
		assert_int_equal(marks[i].record, log_durable(rig.log));
		if (i % 60 == 59) { /* also those of a log that was opened again */
			rig_drain(&rig);
			rig_close(&rig);
			rig.acknowledged = rig.appended;
			rig_open(&rig);
		}
	}
	rig_drain(&rig);
	rig_close(&rig);
	for (uint32_t i = 0; i < 300; i++) {
		mark = marks[i];
		assert_int_equal(rig_recover(&rig), 0);
		assert_false(rig.mismatch);
		assert_int_equal(rig.recovered, rig.appended);
	}
	rig_end(&rig);
}

/* A log that is only read and cleaned: all is on the shelf, nothing is written or made. */
static void closed_log_makes_nothing(void **state)
{
	struct shelf_segment segment;
	uint64_t recovered, groups;

	begin(10, 0, 0);
	rig.config.closed = true;
	assert_int_equal(log_open_on(&rig.log, sim_disk_logdev(rig.disk), &rig.config, NULL,
				     rig.why, sizeof(rig.why)),
			 -ENOENT);
	rig.config.closed = false;
	rig_open(&rig);
	write_to(3);
	sim_disk_kill(rig.disk); /* no seal */
	rig_close(&rig);
	mark = (struct log_mark){0};
	assert_int_equal(rig_recover(&rig), 0);
	recovered = rig.recovered;
	groups = rig.groups_count;
	rig.config.closed = true;
	rig_open(&rig);
	for (uint32_t i = 0; i < 4; i++) {
		assert_int_equal(shelf_hold(rig.config.shelf, 3, i, &segment), 0);
		assert_false(segment.open);
		shelf_give(rig.config.shelf, 3, i);
	}
	log_mark(rig.log, &mark);
	assert_int_equal(mark.record, recovered);
	assert_int_equal(free_one(0), 0);
	assert_int_equal(free_one(1), 0);
	assert_int_equal(stats().recycled, 0);
	assert_int_equal(stats().segments, 2);
	assert_int_equal(shelf_bytes(rig.config.shelf), bytes_on_disk());
	rig_close(&rig);
	assert_int_equal(rig_recover(&rig), 0);
	assert_int_equal(rig.recovered, recovered);
	assert_true(groups > 0 && rig.groups_count == 0); /* no seal was written */
	rig_end(&rig);
}

/* Groups of one length stand at the same places in each generation of a file: behind the end of
 * the new ones whole old ones follow at once. */
static void stale_groups_lie_right_behind_the_end(void **state)
{
	for (uint32_t groups = 1; groups < 15; groups++) {
		begin(20 + groups, 0, 0);
		sim_disk_delay(rig.disk, 0);
		rig_open(&rig);
		for (uint32_t number = 0; number < 6; number++) {
			write_to(number);
			if (number > 1)
				assert_int_equal(free_one(number - 2), 0);
		}
		assert_int_equal(stats().recycled, 4);
		for (uint32_t i = 0; i < groups; i++) {
			assert_true(rig_append(&rig, 3000));
			rig_drain(&rig);
		}
		sim_disk_power_cut(rig.disk);
		rig_close(&rig);
		rig_open(&rig);
		assert_int_equal(rig.recovered, rig.appended);
		rig_end(&rig);
	}
}

/* A checkpoint's mark, then segments before it go, perhaps not all: the keeper, at random. */
static void clean_some(void)
{
	struct shelf_segment segment;
	uint32_t number = 0;

	if (sim_random(&rig.random, 3) == 0)
		log_mark(rig.log, &mark);
	for (; shelf_next(rig.config.shelf, 3, &number, &segment); number++)
		if (number < mark.segment && !segment.open && sim_random(&rig.random, 3))
			(void)free_one(number); /* the power may go meanwhile */
}

static uint64_t run_and_crash(void)
{
	bool cut = sim_random(&rig.random, 2);
	uint64_t recycled;

	for (uint64_t i = sim_random(&rig.random, 12); i > 0; i--) {
		rig_work(&rig, (uint32_t)sim_random(&rig.random, 12));
		clean_some();
	}
	if (cut) {
		sim_disk_cut_recycle(rig.disk, 1 + (uint32_t)sim_random(&rig.random, 3));
		clean_some();
	}
	recycled = stats().recycled;
	if (cut || sim_random(&rig.random, 2))
		sim_disk_power_cut(rig.disk);
	else
		sim_disk_kill(rig.disk);
	sim_disk_cut_recycle(rig.disk, 0);
	rig_close(&rig);
	return recycled;
}

static void crashes_at_any_moment_of_recycling(void **state)
{
	uint64_t recycled = 0, torn = 0;

	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		begin(seed, 8 * SMALL_BYTES, 0);
		for (uint32_t run = 0; run < 8; run++) {
			rig_open(&rig);
			assert_int_equal(shelf_bytes(rig.config.shelf), bytes_on_disk());
			torn += rig.tail && rig.tail->incarnation_max > rig.tail->incarnation;
			recycled += run_and_crash();
		}
		rig_open(&rig);
		rig_work(&rig, 20);
		expect_all();
		rig_end(&rig);
	}
	/* Else it tested nothing. */
	assert_true(recycled > SEEDS * 8 && torn > SEEDS / 50);
}

/* Each way in which the power may cut a recycling, from the same state. */
static void every_cut_of_a_recycling(void **state)
{
	for (uint64_t seed = 1; seed <= 50; seed++)
		for (uint32_t at = 1; at <= 3; at++) {
			begin(seed, 0, 0);
			rig_open(&rig);
			write_to(3);
			sim_disk_cut_recycle(rig.disk, at);
			assert_int_equal(free_one(1), -EAGAIN);
			sim_disk_power_cut(rig.disk);
			rig_close(&rig);
			assert_int_equal(on_disk(1), at == 2);
			assert_int_equal(on_disk(4), at == 3);
			rig_open(&rig);
			assert_int_equal(rig.recovered, rig.appended);
			if (at == 2) /* nothing needs it: it goes now */
				assert_int_equal(free_one(1), 0);
			write_to(6);
			assert_int_equal(shelf_bytes(rig.config.shelf), bytes_on_disk());
			expect_all();
			rig_end(&rig);
		}
}

/* A device whose files are numbers: nothing is kept, any number may come. */
static uint32_t created;

static int any_create(struct logdev *dev, uint32_t number, uint64_t bytes)
{
	created++;
	return 0;
}

static int any_open(struct logdev *dev, uint32_t number, uint64_t *bytes)
{
	*bytes = SMALL_BYTES;
	return 1;
}

static void any_close(struct logdev *dev, int handle)
{
}

static int any_remove(struct logdev *dev, uint32_t number)
{
	return 0;
}

static int no_recycle(struct logdev *dev, uint32_t from, uint32_t to)
{
	return -EOPNOTSUPP;
}

static const struct logdev_ops any_ops = {
	.create = any_create,
	.open = any_open,
	.close = any_close,
	.remove = any_remove,
	.recycle = no_recycle,
};

static void numbers_have_a_window(void **state)
{
	static struct logdev dev = {.ops = &any_ops};
	struct segment_plan plan = {
		.segment_bytes = SMALL_BYTES, .ahead = 1, .next = ABAFT_LOG_SEGMENTS_MAX - 1};
	struct segments *segments;
	struct segment segment;

	assert_int_equal(shelf_create(&plan.shelf, 0, 0), 0);
	assert_int_equal(segments_create(&segments, &dev, &plan), 0);
	assert_int_equal(segments_found(segments, 0, SMALL_BYTES, false), 0);
	assert_int_equal(segments_found(segments, 5, SMALL_BYTES, false), 0);
	assert_int_equal(segments_found(segments, plan.next, SMALL_BYTES, false), 0);
	assert_int_equal(segments_take(segments, &segment), 0);
	assert_int_equal(segment.number, ABAFT_LOG_SEGMENTS_MAX - 1);
	created = 0;
	assert_int_equal(segments_take(segments, &segment), -ENOSPC);
	assert_int_equal(created, 0);
	shelf_remove(plan.shelf, 0, 0);
	assert_true(shelf_gone(plan.shelf, 0, 0));
	assert_int_equal(segments_free(segments, 0), 0);
	for (uint32_t i = 0; i < 5; i++) {
		assert_int_equal(segments_take(segments, &segment), 0);
		assert_int_equal(segment.number, ABAFT_LOG_SEGMENTS_MAX + i);
	}
	assert_int_equal(segments_take(segments, &segment), -ENOSPC);
	segments_destroy(segments);
	assert_int_equal(shelf_bytes(plan.shelf), 0);
	shelf_destroy(plan.shelf);
}

/* The last number that a place can name. */
static void numbers_have_an_end(void **state)
{
	static struct logdev dev = {.ops = &any_ops};
	struct segment_plan plan = {
		.segment_bytes = SMALL_BYTES, .ahead = 1, .next = (1u << 27) - 1};
	struct segments *segments;
	struct segment segment;

	assert_int_equal(segments_create(&segments, &dev, &plan), 0);
	assert_int_equal(segments_found(segments, plan.next, SMALL_BYTES, false), 0);
	assert_int_equal(segments_take(segments, &segment), 0);
	assert_int_equal(segment.number, (1u << 27) - 1);
	assert_int_equal(segments_take(segments, &segment), -ENOSPC);
	segments_destroy(segments);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(freed_segment_is_used_again),
		cmocka_unit_test(segments_have_their_age),
		cmocka_unit_test(what_is_not_wanted_goes),
		cmocka_unit_test(removing_that_fails_is_asked_for_again),
		cmocka_unit_test(room_comes_from_what_is_freed),
		cmocka_unit_test(no_hoard_while_room_is_short),
		cmocka_unit_test(found_segments_count),
		cmocka_unit_test(kept_log_gets_room_first),
		cmocka_unit_test(every_mark_is_good),
		cmocka_unit_test(closed_log_makes_nothing),
		cmocka_unit_test(stale_groups_lie_right_behind_the_end),
		cmocka_unit_test(crashes_at_any_moment_of_recycling),
		cmocka_unit_test(every_cut_of_a_recycling),
		cmocka_unit_test(numbers_have_a_window),
		cmocka_unit_test(numbers_have_an_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
