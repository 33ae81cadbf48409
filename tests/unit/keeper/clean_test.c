/* SPDX-License-Identifier: Apache-2.0 */
/*
 * clean_test.c - the keeper cleans while the node serves: within the shelf's bound for many times
 * its bytes, only what both checkpoints cover, and what is damaged stays.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "dataplane/core/place.h"
#include "dataplane/log/shelf.h"
#include "tests/lib/keeper_bed.h"

static struct keeper_bed bed;

static void show(const char *what)
{
	struct keeper_stats s;

	keeper_bed_stats(&bed, &s);
	print_message(
		"# %s: sent %llu (busy %llu, no space %llu), checkpoints %llu (%llu failed: %d), "
		"tail %llu, live %llu in %llu of %llu, cleaned %llu (%llu bytes), kept %llu\n",
		what, (unsigned long long)bed.user_bytes, (unsigned long long)bed.refused_busy,
		(unsigned long long)bed.refused_space, (unsigned long long)s.checkpoints,
		(unsigned long long)s.checkpoint_failures, s.error,
		(unsigned long long)s.tail_bytes, (unsigned long long)s.live_bytes,
		(unsigned long long)s.log_bytes, (unsigned long long)bed.bytes_max,
		(unsigned long long)s.cleaned_segments, (unsigned long long)s.cleaned_bytes,
		(unsigned long long)s.kept_bytes);
}

/* Commits, and passes between them, until `bytes` were sent. */
static void overwrite(uint64_t bytes, uint32_t deletes)
{
	uint64_t end = bed.user_bytes + bytes;
	uint32_t idle = 0;

	while (bed.user_bytes < end && idle < 2000) {
		bool taken = false;

		for (uint32_t w = 0; w < bed.workers; w++)
			for (uint32_t i = 0; i < 8; i++)
				taken |= keeper_bed_commit_any(&bed, w, deletes);
		keeper_bed_pass(&bed);
		idle = taken ? 0 : idle + 1;
	}
	if (idle > 0)
		show("stuck");
	assert_int_equal(idle, 0); /* room always comes again */
}

static void runs_at(uint32_t percent, uint32_t times)
{
	struct keeper_stats stats;

	keeper_bed_begin(&bed, percent, 2);
	bed.keys = 16000;
	bed.memory_bytes = 64 << 20;
	/* A write takes 370 bytes, its record 56 more. */
	bed.bytes_max = UINT64_C(16000) * 426 * 100 / percent;
	bed.config.use_percent = percent;
	assert_int_equal(keeper_bed_open(&bed), 0);
	overwrite(times * bed.bytes_max, 0);
	assert_true(keeper_bed_drain(&bed));
	assert_int_equal(keeper_bed_wrong(&bed), 0);
	keeper_bed_stats(&bed, &stats);
	show("end");
	print_message("# %u %% in use: write amplification %.2f\n", percent,
		      (double)(bed.user_bytes + stats.kept_bytes) / (double)bed.user_bytes);
	assert_true(stats.log_bytes <= bed.bytes_max);
	assert_true(stats.cleaned_segments > 100);
	keeper_bed_end(&bed);
}

static void runs_for_ever_at_50_percent(void **state)
{
	runs_at(50, 4);
}

static void runs_for_ever_at_70_percent(void **state)
{
	runs_at(70, 4);
}

static void runs_for_ever_at_80_percent(void **state)
{
	runs_at(80, 3);
}

/* A small node of one worker; `key` is never overwritten, and stands in the first segments. */
#define KEY 2000

static void begin_with_key(uint64_t seed, uint64_t cache_bytes)
{
	uint32_t key = KEY;
	uint64_t value = seed;

	keeper_bed_begin(&bed, seed, 1);
	bed.keys = KEY;
	bed.cache_bytes = cache_bytes;
	bed.config.use_percent = 100; /* every segment of which 1/32 is dead */
	assert_int_equal(keeper_bed_open(&bed), 0);
	while (value % 3 == 0 || value / 3 % 1001 < 500) /* a large one */
		value = keeper_bed_value(&bed);
	assert_true(keeper_bed_commit(&bed, &key, &value, 1));
	overwrite(100000, 0);
	assert_true(keeper_bed_drain(&bed));
	bed.keys = KEY + 1;
	assert_int_equal(keeper_bed_wrong(&bed), 0);
	bed.keys = KEY;
}

static bool on_shelf(uint64_t place)
{
	struct shelf_segment segment;
	uint32_t number = place_segment(place);

	return shelf_next(bed.shelf, place_log(place), &number, &segment) &&
	       segment.segment == place_segment(place);
}

static void nothing_is_cleaned_without_two_checkpoints(void **state)
{
	uint64_t place;

	begin_with_key(1, 0);
	bed.config.checkpoint_bytes = UINT64_C(1) << 40; /* only when asked */
	keeper_bed_close(&bed);
	assert_int_equal(keeper_bed_open(&bed), 0);
	place = keeper_bed_place(&bed, KEY);
	assert_true(keeper_bed_checkpoints(&bed, 1));
	overwrite(300000, 0);
	assert_int_equal(keeper_bed_place(&bed, KEY), place);
	keeper_bed_close(&bed);
	assert_int_equal(bed.cleaned_segments, 0);
	assert_int_equal(keeper_bed_open(&bed), 0);
	assert_true(keeper_bed_checkpoints(&bed, 1));
	overwrite(100000, 0);
	assert_int_equal(place_log(keeper_bed_place(&bed, KEY)), ABAFT_LOG_KEPT);
	assert_false(on_shelf(place));
	keeper_bed_end(&bed);
}

static void flip(uint64_t place, uint32_t byte)
{
	sim_disk_flip(bed.disk[place_log(place)], place_segment(place),
		      UINT64_C(8) * (place_offset(place) + byte));
}

/* What is damaged on disk but still in memory is saved, with all that is whole around it. */
static void damaged_values_are_saved_from_memory(void **state)
{
	uint64_t place;

	begin_with_key(2, 0);
	place = keeper_bed_place(&bed, KEY);
	flip(place, 300);
	overwrite(1000000, 0);
	assert_true(keeper_bed_drain(&bed));
	assert_int_equal(bed.damages, 0);
	assert_false(on_shelf(place));
	bed.keys = KEY + 1;
	assert_int_equal(keeper_bed_wrong(&bed), 0);
	keeper_bed_end(&bed);
}

/* Cold and damaged: its segment stays, is told of once, and all else of it moves. */
static void damaged_cold_values_keep_their_segment(void **state)
{
	struct keeper_stats stats;
	uint64_t place;

	begin_with_key(3, 32 << 10);
	assert_true(keeper_bed_cold(&bed, KEY));
	place = keeper_bed_place(&bed, KEY);
	flip(place, 300);
	overwrite(1500000, 0);
	assert_true(keeper_bed_drain(&bed));
	assert_int_equal(bed.damages, 1);
	assert_int_equal(bed.damage.log, place_log(place));
	assert_int_equal(bed.damage.segment, place_segment(place));
	assert_true(bed.damage.offset <= place_offset(place));
	assert_true(bed.damage.bytes > 500 && bed.damage.bytes < 1100);
	assert_true(on_shelf(place));
	assert_int_equal(keeper_bed_place(&bed, KEY), place);
	keeper_bed_stats(&bed, &stats);
	assert_int_equal(stats.damaged_segments, 1);
	assert_int_equal(stats.damaged_bytes, bed.damage.bytes);
	assert_int_equal(keeper_bed_wrong(&bed), 0); /* the others */
	keeper_bed_end(&bed);
}

/* A group whose header is damaged hides its records, not those of the groups behind it. */
static void damaged_headers_hide_only_their_group(void **state)
{
	uint64_t place;

	begin_with_key(4, 0);
	place = keeper_bed_place(&bed, KEY);
	sim_disk_flip(bed.disk[0], 0, 8 * 50); /* the log's first group; the key is in it */
	assert_int_equal(place_segment(place), 0);
	assert_true(place_offset(place) < ABAFT_LOG_BLOCK_BYTES);
	overwrite(1500000, 0);
	assert_true(keeper_bed_drain(&bed));
	assert_int_equal(bed.damages, 1);
	assert_int_equal(bed.damage.segment, 0);
	assert_int_equal(bed.damage.offset, 0);
	assert_true(on_shelf(place));
	assert_int_equal(keeper_bed_wrong(&bed), 0);
	keeper_bed_end(&bed);
}

static void a_backup_keeps_all_files(void **state)
{
	uint32_t number = 0, before = 0;
	struct shelf_segment segment;
	struct keeper_stats stats;
	uint32_t numbers[256];

	begin_with_key(5, 0);
	overwrite(300000, 0);
	bed.held = true;
	for (; shelf_next(bed.shelf, 0, &number, &segment); number = segment.segment + 1)
		numbers[before++] = segment.segment;
	overwrite(400000, 0);
	keeper_bed_stats(&bed, &stats);
	for (uint32_t i = 0; i < before; i++)
		assert_true(on_shelf(place_make(0, numbers[i], 1)));
	bed.held = false;
	overwrite(400000, 0);
	assert_false(on_shelf(place_make(0, numbers[0], 1)));
	keeper_bed_end(&bed);
}

/* A checkpoint that cannot be written is tried again, and nobody else notices. */
static void failed_checkpoints_are_tried_again(void **state)
{
	struct keeper_stats stats;

	begin_with_key(6, 0);
	sim_files_fail(bed.files, SIM_FILE_APPEND, 3, -ENOSPC);
	overwrite(400000, 0);
	keeper_bed_stats(&bed, &stats);
	assert_int_equal(stats.checkpoint_failures, 1);
	assert_int_equal(bed.refused_space, 0);
	for (uint32_t i = 0; i < 200; i++) /* four seconds */
		keeper_bed_pass(&bed);
	sim_files_fail(bed.files, SIM_FILE_FINISH, 1, -EIO);
	overwrite(400000, 0);
	keeper_bed_stats(&bed, &stats);
	assert_int_equal(stats.checkpoint_failures, 2);
	assert_int_equal(stats.error, -EIO);
	for (uint32_t i = 0; i < 200; i++)
		keeper_bed_pass(&bed);
	overwrite(800000, 0);
	keeper_bed_stats(&bed, &stats);
	assert_int_equal(stats.error, 0);
	assert_true(stats.checkpoints > 3);
	assert_true(stats.checkpoint_number > stats.checkpoints); /* numbers are used once */
	assert_true(keeper_bed_drain(&bed));
	assert_int_equal(keeper_bed_wrong(&bed), 0);
	keeper_bed_end(&bed);
}

/* The kept log's disk fails: cleaning ends, serving goes on, and a restart cleans again. */
static void a_failed_kept_log_only_ends_cleaning(void **state)
{
	struct keeper_stats stats;
	uint64_t cleaned;

	begin_with_key(7, 0);
	bed.bytes_max = 0;
	keeper_bed_close(&bed);
	assert_int_equal(keeper_bed_open(&bed), 0);
	sim_disk_fail_sync(bed.disk[ABAFT_LOG_KEPT], 4);
	overwrite(1000000, 0);
	keeper_bed_stats(&bed, &stats);
	cleaned = stats.cleaned_segments;
	assert_int_equal(stats.kept_error, -EIO);
	overwrite(1000000, 0);
	keeper_bed_stats(&bed, &stats);
	assert_int_equal(stats.cleaned_segments, cleaned);
	assert_true(stats.checkpoints > 4);
	assert_int_equal(bed.refused_space, 0);
	assert_true(keeper_bed_drain(&bed));
	assert_int_equal(keeper_bed_wrong(&bed), 0);
	keeper_bed_power_cut(&bed);
	assert_int_equal(keeper_bed_open(&bed), 0);
	overwrite(1000000, 0);
	assert_true(keeper_bed_drain(&bed));
	assert_int_equal(keeper_bed_wrong(&bed), 0);
	keeper_bed_stats(&bed, &stats);
	assert_true(stats.cleaned_segments > 0);
	assert_int_equal(stats.kept_error, 0);
	keeper_bed_end(&bed);
}

/* The disk itself is full, whatever the shelf allows: cleaning makes room, though no use is
 * configured that would ask for it. */
static void a_full_disk_is_cleaned(void **state)
{
	begin_with_key(11, 0);
	bed.bytes_max = 0;
	bed.config.use_percent = 1;
	bed.config.clean_rate = 1000;
	keeper_bed_close(&bed);
	assert_int_equal(keeper_bed_open(&bed), 0);
	sim_disk_space(bed.disk[0], 32 * bed.segment_bytes);
	overwrite(8000000, 0);
	assert_true(bed.refused_space > 0);
	assert_true(keeper_bed_drain(&bed));
	assert_int_equal(keeper_bed_wrong(&bed), 0);
	keeper_bed_end(&bed);
}

static void the_pace_is_kept(void **state)
{
	struct keeper_stats stats;
	uint64_t begun;

	begin_with_key(8, 0);
	bed.config.clean_rate = 100000;
	bed.bytes_max = 0;
	keeper_bed_close(&bed);
	assert_int_equal(keeper_bed_open(&bed), 0);
	begun = bed.now.mono_us;
	overwrite(3000000, 0);
	keeper_bed_stats(&bed, &stats);
	assert_true(stats.cleaned_bytes > 0);
	assert_true(stats.cleaned_bytes <=
		    (bed.now.mono_us - begun) / 10 + 100000 + bed.segment_bytes);
	keeper_bed_end(&bed);
}

/* What a restart would replay is known beforehand, and has the bound that was told. */
static void the_tail_is_bounded(void **state)
{
	struct keeper_stats stats;
	uint64_t most = 0, bound = 0;

	begin_with_key(9, 0);
	overwrite(200000, 0);
	for (uint32_t i = 0; i < 100; i++) {
		overwrite(20000, 0);
		keeper_bed_stats(&bed, &stats);
		most = stats.tail_bytes > most ? stats.tail_bytes : most;
		bound = stats.tail_bytes_max;
	}
	assert_true(most > bed.config.checkpoint_bytes / 2);
	assert_true(most <= bound);
	assert_true(bound < 4 * bed.config.checkpoint_bytes);
	keeper_bed_end(&bed);
}

/* All of it would look dead. */
static void a_log_that_is_not_counted_is_not_kept(void **state)
{
	const struct keeper_found found = {0};
	struct keeper_config config = {0};
	struct keeper *keeper = NULL;

	(void)state;
	begin_with_key(13, 0);
	config.store = bed.store;
	config.kept = bed.log[ABAFT_LOG_KEPT];
	config.logs[KEEPER_BED_WORKERS_MAX] = bed.log[0];
	assert_int_equal(keeper_create(&keeper, &config, &found), -EINVAL);
	assert_null(keeper);
	keeper_bed_end(&bed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(runs_for_ever_at_50_percent),
		cmocka_unit_test(runs_for_ever_at_70_percent),
		cmocka_unit_test(runs_for_ever_at_80_percent),
		cmocka_unit_test(nothing_is_cleaned_without_two_checkpoints),
		cmocka_unit_test(damaged_values_are_saved_from_memory),
		cmocka_unit_test(damaged_cold_values_keep_their_segment),
		cmocka_unit_test(damaged_headers_hide_only_their_group),
		cmocka_unit_test(a_backup_keeps_all_files),
		cmocka_unit_test(failed_checkpoints_are_tried_again),
		cmocka_unit_test(a_failed_kept_log_only_ends_cleaning),
		cmocka_unit_test(a_full_disk_is_cleaned),
		cmocka_unit_test(the_pace_is_kept),
		cmocka_unit_test(the_tail_is_bounded),
		cmocka_unit_test(a_log_that_is_not_counted_is_not_kept),
	};

	return cmocka_run_group_tests_name("keeper_clean", tests, NULL, NULL);
}
