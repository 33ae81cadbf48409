/* SPDX-License-Identifier: Apache-2.0 */
/*
 * crash_test.c - power cuts and kills while the keeper cleans and writes checkpoints: what was
 * acknowledged is there with its bytes, what was deleted stays deleted, and cleaning goes on.
 *
 * ABAFT_SEED=n runs one seed, ABAFT_SEEDS=n as many from 1 on.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <abaft/error.h>

#include "dataplane/core/place.h"
#include "dataplane/log/checkpoint.h"
#include "dataplane/log/shelf.h"
#include "tests/lib/core_packet.h"
#include "tests/lib/keeper_bed.h"

#define SEEDS  12
#define ROUNDS 8

static struct keeper_bed bed;

static void overwrite(uint64_t passes)
{
	for (uint64_t i = 0; i < passes; i++) {
		for (uint32_t n = 0; n < 4; n++)
			(void)keeper_bed_read(&bed, (uint32_t)sim_random(&bed.random, bed.keys));
		for (uint32_t w = 0; w < bed.workers; w++)
			for (uint32_t n = 0; n < 8; n++)
				(void)keeper_bed_commit_any(&bed, w, 5);
		keeper_bed_pass(&bed);
	}
}

static void reopen(void)
{
	int err = keeper_bed_open(&bed);

	if (err)
		fail_msg("seed %llu: %s (%s)", (unsigned long long)bed.seed, bed.why,
			 strerror(-err));
}

/* What a client reads of every key. */
static void read_all(void)
{
	assert_true(keeper_bed_drain(&bed));
	for (uint32_t key = 0; key < bed.keys; key++)
		while (!keeper_bed_read(&bed, key))
			keeper_bed_pass(&bed);
	assert_true(keeper_bed_drain(&bed));
	assert_int_equal(bed.wrong_reads, 0);
	assert_int_equal(bed.failed_reads, 0);
}

/* A disk that is about 60 % in use, of small segments, so that all happens often. */
static void begin(uint64_t seed)
{
	keeper_bed_begin(&bed, seed, 1 + (uint32_t)(seed % 3));
	bed.keys = 3000;
	bed.segment_bytes = 32 << 10;
	bed.bytes_max = 64 * bed.segment_bytes;
	bed.reserve = 2 * bed.segment_bytes;
	bed.config.room_bytes = 8 * bed.segment_bytes;
	bed.config.checkpoint_bytes = 4 * bed.segment_bytes;
	bed.config.use_percent = 75;
	bed.cache_bytes = seed % 2 ? 128 << 10 : 0; /* most large values are cold, or none */
	reopen();
}

static void crash(uint64_t seed)
{
	uint64_t random = seed;

	begin(seed);
	for (uint32_t round = 0; round < ROUNDS; round++) {
		overwrite(20 + sim_random(&random, 300));
		if (sim_random(&random, 3))
			keeper_bed_power_cut(&bed);
		else
			keeper_bed_kill(&bed);
		reopen();
		if (keeper_bed_wrong(&bed))
			fail_msg("seed %llu, round %u", (unsigned long long)seed, round);
		if (round % 4 == 0)
			read_all();
	}
	overwrite(300);
	assert_true(keeper_bed_drain(&bed));
	assert_int_equal(keeper_bed_wrong(&bed), 0);
	keeper_bed_close(&bed);
	assert_true(bed.checkpoints > 2);
	assert_true(bed.cleaned_segments > 10);
	reopen();
	assert_int_equal(keeper_bed_wrong(&bed), 0);
	assert_string_equal(bed.restart.note, "");
	read_all();
	assert_true(bed.cold_reads > 0);
	keeper_bed_end(&bed);
}

static void nothing_is_lost_in_crashes(void **state)
{
	const char *one = getenv("ABAFT_SEED"), *many = getenv("ABAFT_SEEDS");
	uint64_t first = one ? strtoull(one, NULL, 0) : 1;
	uint64_t seeds = many ? strtoull(many, NULL, 0) : one ? 1 : SEEDS;

	for (uint64_t seed = first; seed < first + seeds; seed++)
		crash(seed);
}

/* Until segments of workers and of the kept log were cleaned; ends in a power cut. */
static void age(uint64_t seed)
{
	begin(seed);
	overwrite(900);
	assert_true(keeper_bed_drain(&bed));
	assert_int_equal(keeper_bed_wrong(&bed), 0);
	keeper_bed_power_cut(&bed);
	assert_true(bed.cleaned_segments > 20);
}

static void flip_checkpoint(uint32_t number)
{
	uint64_t bytes, random = number;
	uint8_t *at = sim_files_bytes(bed.files, number, &bytes);

	assert_non_null(at);
	at[sim_random(&random, bytes)] ^= 4;
}

static void flip_all_checkpoints(void)
{
	uint32_t numbers[ABAFT_CHECKPOINTS_MAX];
	int count = checkpoint_list(sim_files_filedev(bed.files), numbers, ABAFT_CHECKPOINTS_MAX);

	assert_true(count >= 2);
	for (int i = 0; i < count; i++)
		flip_checkpoint(numbers[i]);
}

static uint32_t newest_checkpoint(void)
{
	uint32_t numbers[ABAFT_CHECKPOINTS_MAX];

	assert_true(checkpoint_list(sim_files_filedev(bed.files), numbers, ABAFT_CHECKPOINTS_MAX) >=
		    2);
	return numbers[0];
}

static void a_damaged_checkpoint_is_passed_over(void **state)
{
	for (uint64_t seed = 100; seed < 104; seed++) {
		uint32_t newest;

		age(seed);
		newest = newest_checkpoint();
		flip_checkpoint(newest);
		reopen();
		assert_int_equal(keeper_bed_wrong(&bed), 0);
		assert_non_null(strstr(bed.restart.note, "is passed over"));
		assert_true(bed.restart.found.newest.number < newest);
		/* One that was removed may be back: its marks are only lower. */
		assert_true(bed.restart.found.older.number < newest - 1);
		assert_int_equal(bed.restart.found.number_max, newest);
		/* Cleaning goes on when there are two again, and the damaged one goes. */
		overwrite(600);
		keeper_bed_power_cut(&bed);
		reopen();
		assert_int_equal(keeper_bed_wrong(&bed), 0);
		assert_string_equal(bed.restart.note, "");
		assert_true(bed.restart.found.older.number > newest);
		keeper_bed_end(&bed);
	}
}

static void without_checkpoints_it_refuses(void **state)
{
	age(200);
	flip_all_checkpoints();
	assert_int_equal(keeper_bed_open(&bed), -EBADMSG);
	assert_non_null(strstr(bed.why, "no checkpoint is valid"));
	assert_non_null(strstr(bed.why, "missing"));
	/* Nothing was changed: with the checkpoints back it starts. */
	flip_all_checkpoints();
	reopen();
	assert_int_equal(keeper_bed_wrong(&bed), 0);
	keeper_bed_end(&bed);
}

/* If nothing was ever cleaned, the logs are enough. */
static void without_checkpoints_and_cleaning_it_starts(void **state)
{
	begin(300);
	bed.config.use_percent = 0;
	keeper_bed_close(&bed);
	reopen();
	overwrite(60);
	assert_true(keeper_bed_checkpoints(&bed, 2));
	overwrite(10);
	keeper_bed_power_cut(&bed);
	assert_int_equal(bed.cleaned_segments, 0);
	flip_all_checkpoints();
	reopen();
	assert_int_equal(keeper_bed_wrong(&bed), 0);
	assert_int_equal(bed.restart.found.newest.number, 0);
	assert_non_null(strstr(bed.restart.note, "is passed over"));
	keeper_bed_end(&bed);
}

static void a_missing_segment_is_named(void **state)
{
	char name[64];
	uint64_t place;

	age(400);
	reopen();
	/* A value that stands before the tails: nobody would notice before it is asked for. */
	place = PLACE_NONE;
	for (uint32_t key = 0; key < bed.keys && place == PLACE_NONE; key++) {
		place = keeper_bed_place(&bed, key);
		for (uint32_t i = 0; i < bed.restart.found.newest.logs; i++)
			if (bed.restart.found.newest.mark[i].log == place_log(place) &&
			    bed.restart.found.newest.mark[i].mark.segment <= place_segment(place))
				place = PLACE_NONE;
	}
	assert_true(place != PLACE_NONE);
	keeper_bed_power_cut(&bed);
	sim_disk_remove(bed.disk[place_log(place)], place_segment(place));
	assert_int_equal(keeper_bed_open(&bed), -EBADMSG);
	snprintf(name, sizeof(name), "segment %08x of log-%03u is missing", place_segment(place),
		 place_log(place));
	assert_non_null(strstr(bed.why, name));
	assert_non_null(strstr(bed.why, "\"key-"));
	keeper_bed_end(&bed);
}

static void a_missing_log_is_named(void **state)
{
	struct sim_disk *disk;

	age(501);
	disk = bed.disk[0];
	bed.disk[0] = NULL;
	assert_int_equal(keeper_bed_open(&bed), -EBADMSG);
	assert_non_null(strstr(bed.why, "log-000 is missing"));
	bed.disk[0] = disk;
	reopen();
	assert_int_equal(keeper_bed_wrong(&bed), 0);
	keeper_bed_end(&bed);
}

/* A log that nobody appends to any more is in checkpoints, and is cleaned, too. */
static void old_logs_are_cleaned(void **state)
{
	uint32_t before = 0, after = 0, number = 0;
	struct shelf_segment segment;

	keeper_bed_begin(&bed, 600, 3);
	bed.keys = 3000;
	bed.segment_bytes = 32 << 10;
	bed.bytes_max = 96 * bed.segment_bytes;
	bed.config.use_percent = 75;
	reopen();
	overwrite(60);
	assert_true(keeper_bed_drain(&bed));
	keeper_bed_close(&bed);
	bed.workers = 1; /* from now on all keys are the first worker's */
	reopen();
	assert_int_equal(keeper_bed_wrong(&bed), 0);
	while (shelf_next(bed.shelf, 2, &number, &segment)) {
		before++;
		number = segment.segment + 1;
	}
	overwrite(1500);
	assert_true(keeper_bed_drain(&bed));
	assert_int_equal(keeper_bed_wrong(&bed), 0);
	for (number = 0; shelf_next(bed.shelf, 2, &number, &segment); number = segment.segment + 1)
		after++;
	assert_true(before > 3);
	assert_true(after < before / 2);
	keeper_bed_power_cut(&bed);
	reopen();
	assert_int_equal(keeper_bed_wrong(&bed), 0);
	keeper_bed_end(&bed);
}

/* The first outcome for ever (P6), from a checkpoint when its record is long gone; and no second
 * execution when the outcome is gone, too. */
static void outcomes_outlive_their_records(uint32_t outcomes_max, uint16_t expected)
{
	uint32_t key = 3000, number = 0; /* nobody else writes it */
	struct vnum first, second = {0};
	struct shelf_segment segment;
	struct packet p;

	begin(700);
	bed.outcomes_max = outcomes_max;
	keeper_bed_close(&bed);
	reopen();
	key -= key % bed.workers;
	keeper_bed_packet(&bed, &p, key, keeper_bed_value(&bed));
	assert_int_equal(keeper_bed_send(&bed, 0, &p, &first), ABAFT_OK);
	assert_int_equal(keeper_bed_send(&bed, 0, &p, &second), ABAFT_OK);
	assert_true(vnum_equal(first, second));
	overwrite(600);
	assert_true(keeper_bed_drain(&bed));
	assert_true(shelf_next(bed.shelf, 0, &number, &segment));
	assert_true(number > 0); /* the record has gone */
	keeper_bed_power_cut(&bed);
	bed.outcomes_max = 1 << 15; /* so that what is replayed does not move the horizon */
	reopen();
	assert_int_equal(keeper_bed_send(&bed, 0, &p, &second), expected);
	if (expected == ABAFT_OK)
		assert_true(vnum_equal(first, second));
	keeper_bed_end(&bed);
}

static void outcomes_are_in_checkpoints(void **state)
{
	outcomes_outlive_their_records(1 << 15, ABAFT_OK);
}

static void the_horizon_is_in_checkpoints(void **state)
{
	outcomes_outlive_their_records(512, ABAFT_EXPIRED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_is_lost_in_crashes),
		cmocka_unit_test(a_damaged_checkpoint_is_passed_over),
		cmocka_unit_test(without_checkpoints_it_refuses),
		cmocka_unit_test(without_checkpoints_and_cleaning_it_starts),
		cmocka_unit_test(a_missing_segment_is_named),
		cmocka_unit_test(a_missing_log_is_named),
		cmocka_unit_test(old_logs_are_cleaned),
		cmocka_unit_test(outcomes_are_in_checkpoints),
		cmocka_unit_test(the_horizon_is_in_checkpoints),
	};

	return cmocka_run_group_tests_name("keeper_crash", tests, NULL, NULL);
}
