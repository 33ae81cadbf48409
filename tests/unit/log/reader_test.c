/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of dataplane/log/reader.c over the simulated disk and a shelf that the tests fill. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <abaft/limits.h>

#include "dataplane/core/place.h"
#include "dataplane/log/reader.h"
#include "dataplane/log/shelf.h"
#include "tests/lib/logdev_sim.h"

#define BLOCK	      ABAFT_LOG_BLOCK_BYTES
#define SEGMENT_BYTES (4u << 20)
#define LOG	      3
#define OTHER_LOG     ABAFT_LOG_KEPT
#define TICKS_MAX     10000

/* What was asked for with tag i; `to` is as long as it must be and no longer. */
struct asked {
	struct log_read read;
	bool ended;
	int result;
};

static struct sim_disk *disk, *other_disk;
static struct logdev *dev;
static struct shelf *shelf;
static struct reader *reader;
static struct asked asked[8 * ABAFT_FETCHES_MAX];
static uint32_t asked_count, ended_count;
static uint64_t random_state;

static uint64_t roll(uint64_t limit)
{
	return sim_random(&random_state, limit);
}

/* Segments 0 and 1 of both logs, each on its own disk, full of random bytes. */
static void put_segments(struct sim_disk *on, uint32_t log, struct logdev *of)
{
	static uint8_t data[SEGMENT_BYTES];

	for (uint32_t segment = 0; segment < 2; segment++) {
		const struct shelf_segment there = {
			.dev = of,
			.bytes = SEGMENT_BYTES,
			.log = log,
			.segment = segment,
			.handle = (int)segment,
		};

		for (uint32_t i = 0; i < SEGMENT_BYTES; i += 8) {
			uint64_t word = roll(UINT64_MAX);

			memcpy(data + i, &word, 8);
		}
		sim_disk_put(on, segment, data, SEGMENT_BYTES);
		assert_int_equal(shelf_add(shelf, &there), 0);
	}
}

static void begin(uint64_t seed)
{
	random_state = ~seed;
	disk = sim_disk_create(seed);
	other_disk = sim_disk_create(seed + 1);
	dev = sim_disk_logdev(disk);
	assert_int_equal(shelf_create(&shelf, 0, 0), 0);
	put_segments(disk, LOG, dev);
	put_segments(other_disk, OTHER_LOG, sim_disk_logdev(other_disk));
	assert_int_equal(reader_create(&reader, dev, shelf), 0);
	asked_count = ended_count = 0;
}

static void end(void)
{
	reader_destroy(reader);
	shelf_destroy(shelf);
	for (uint32_t i = 0; i < asked_count; i++)
		free(asked[i].read.to);
	sim_disk_destroy(disk);
	sim_disk_destroy(other_disk);
}

static int ask(uint32_t log, uint32_t segment, uint32_t offset, uint32_t bytes)
{
	struct asked *ask = &asked[asked_count];
	int error;

	assert_true(asked_count < sizeof(asked) / sizeof(asked[0]));
	*ask = (struct asked){
		.read = {.place = place_make(log, segment, offset),
			 .bytes = bytes,
			 .to = malloc(bytes + 1),
			 .tag = asked_count},
	};
	error = reader_want(reader, &ask->read);
	if (error)
		free(ask->read.to);
	else
		asked_count++;
	return error;
}

static const uint8_t *on_disk(uint64_t place)
{
	uint64_t bytes;

	return sim_disk_segment(place_log(place) == LOG ? disk : other_disk, place_segment(place),
				&bytes) +
	       place_offset(place);
}

/* Takes what has ended; what was read must be what is on the disk. */
static void collect(uint32_t max)
{
	struct log_read_done done[7];
	uint32_t count;

	while (max && (count = reader_done(reader, done, max < 7 ? max : 7))) {
		max -= count;
		for (uint32_t i = 0; i < count; i++) {
			struct asked *ask = &asked[done[i].tag];

			assert_true(done[i].tag < asked_count && !ask->ended);
			ask->ended = true;
			ask->result = done[i].result;
			ended_count++;
			if (!ask->result)
				assert_memory_equal(ask->read.to, on_disk(ask->read.place),
						    ask->read.bytes);
		}
	}
}

/* What a pass of the log's owner does for reads. */
static void tick(void)
{
	struct logdev_done done[ABAFT_READS_IN_FLIGHT];
	uint32_t count;

	reader_start(reader);
	assert_true(reader_in_device(reader) <= ABAFT_READS_IN_FLIGHT);
	assert_int_equal(dev->ops->submit(dev), 0);
	count = dev->ops->poll(dev, done, ABAFT_READS_IN_FLIGHT);
	for (uint32_t i = 0; i < count; i++) {
		assert_true(done[i].tag & LOGDEV_FETCH);
		reader_take(reader, &done[i]);
	}
}

static void finish(void)
{
	collect(UINT32_MAX);
	for (uint32_t i = 0; ended_count < asked_count; i++) {
		assert_true(i < TICKS_MAX);
		tick();
		collect(UINT32_MAX);
	}
	assert_int_equal(reader_in_device(reader), 0);
}

static uint64_t device_reads(void)
{
	struct log_stats stats;

	reader_stats(reader, &stats);
	return stats.device_reads;
}

static uint64_t read_errors(void)
{
	struct log_stats stats;

	reader_stats(reader, &stats);
	return stats.read_errors;
}

static void any_place_and_length(void **state)
{
	static const uint32_t offsets[] = {1,	 24,   152,  4095,
					   4096, 4097, 8191, SEGMENT_BYTES - 4096 - 1};
	static const uint32_t lengths[] = {1, 153, 4095, 4096, 4097};
	struct log_stats stats;
	uint64_t bytes = 0;

	begin(1);
	for (int o = 0; o < 8; o++)
		for (int l = 0; l < 5; l++) {
			assert_int_equal(ask(LOG, 1, offsets[o], lengths[l]), 0);
			bytes += lengths[l];
			finish();
		}
	assert_int_equal(device_reads(), 40);
	assert_int_equal(ask(LOG, 1, SEGMENT_BYTES - 1, 1), 0);
	finish();
	for (uint32_t i = 0; i < asked_count; i++)
		assert_int_equal(asked[i].result, 0);
	reader_stats(reader, &stats);
	assert_int_equal(stats.reads, 41);
	assert_int_equal(stats.read_bytes, bytes + 1);
	assert_int_equal(stats.read_errors, 0);
	end();
}

static void neighbours_come_in_one_read(void **state)
{
	begin(2);
	/* In no order, one twice, and one within another. */
	assert_int_equal(ask(LOG, 0, 50000, 1000), 0);
	assert_int_equal(ask(LOG, 0, 40000, 3000), 0);
	assert_int_equal(ask(LOG, 0, 60000, 4100), 0);
	assert_int_equal(ask(LOG, 0, 40000, 3000), 0);
	assert_int_equal(ask(LOG, 0, 41000, 100), 0);
	finish();
	assert_int_equal(device_reads(), 1);
	/* So far apart that two reads are cheaper. */
	assert_int_equal(ask(LOG, 0, 50000, 1000), 0);
	assert_int_equal(ask(LOG, 0, 51000 + (16 << 10), 1000), 0);
	finish();
	assert_int_equal(device_reads(), 2);
	assert_int_equal(ask(LOG, 0, 50000, 1000), 0);
	assert_int_equal(ask(LOG, 0, 51000 + (16 << 10) + 1, 1000), 0);
	finish();
	assert_int_equal(device_reads(), 4);
	/* One segment's end and the next one's beginning are no neighbours; nor are two logs. */
	assert_int_equal(ask(LOG, 0, SEGMENT_BYTES - 1000, 1000), 0);
	assert_int_equal(ask(LOG, 1, 96, 1000), 0);
	assert_int_equal(ask(OTHER_LOG, 1, 96, 1000), 0);
	finish();
	assert_int_equal(device_reads(), 7);
	end();
}

/* The last byte of the longest segment and the next segment's first are neighbours as numbers. */
static void longest_segment_ends_where_it_ends(void **state)
{
	struct shelf_segment segment = {.bytes = ABAFT_LOG_SEGMENT_BYTES_MAX, .log = LOG};

	begin(2);
	segment.dev = dev;
	for (segment.segment = 2; segment.segment < 4; segment.segment++)
		assert_int_equal(shelf_add(shelf, &segment), 0);
	assert_int_equal(ask(LOG, 2, ABAFT_LOG_SEGMENT_BYTES_MAX - 100, 100), 0);
	assert_int_equal(ask(LOG, 3, 96, 100), 0);
	reader_start(reader);
	assert_int_equal(device_reads(), 2);
	end();
}

static void reads_have_a_length(void **state)
{
	begin(3);
	/* 40 values of 4 KiB and 100: 31 fit in 128 KiB. */
	for (uint32_t i = 0; i < 40; i++)
		assert_int_equal(ask(LOG, 0, 4096 + i * 4196, 4196), 0);
	finish();
	assert_int_equal(device_reads(), 2);
	end();
}

static void large_values_come_in_pieces(void **state)
{
	begin(4);
	sim_disk_delay(disk, 20);
	assert_int_equal(ask(LOG, 0, 3000, ABAFT_VALUE_BYTES_MAX), 0);
	finish();
	assert_int_equal(device_reads(), 9);
	/* The first begins on a block, so eight suffice; behind the last one there is room. */
	assert_int_equal(ask(LOG, 0, 4096, ABAFT_VALUE_BYTES_MAX - 8192), 0);
	assert_int_equal(ask(LOG, 0, ABAFT_VALUE_BYTES_MAX - 4096, 2000), 0);
	finish();
	assert_int_equal(device_reads(), 17);
	/* Two that want the same. */
	assert_int_equal(ask(LOG, 1, 5000, 300000), 0);
	assert_int_equal(ask(LOG, 1, 5000, 300000), 0);
	finish();
	assert_int_equal(device_reads(), 23);
	for (uint32_t i = 0; i < asked_count; i++)
		assert_int_equal(asked[i].result, 0);
	end();
}

static void other_logs_are_read_too(void **state)
{
	begin(5);
	for (uint32_t i = 0; i < 20; i++)
		assert_int_equal(ask(i % 2 ? LOG : OTHER_LOG, i / 2 % 2, 96 + i * 200000, 5000), 0);
	finish();
	for (uint32_t i = 0; i < asked_count; i++)
		assert_int_equal(asked[i].result, 0);
	end();
}

static void errors_are_tried_once_more(void **state)
{
	begin(6);
	sim_disk_fail_fetch(disk, 1);
	assert_int_equal(ask(LOG, 0, 5000, 600), 0);
	assert_int_equal(ask(LOG, 0, 7000, 600), 0);
	finish();
	assert_int_equal(asked[0].result, 0);
	assert_int_equal(asked[1].result, 0);
	assert_int_equal(read_errors(), 1);
	assert_int_equal(device_reads(), 3); /* together, then each alone */
	/* One of nine pieces. */
	sim_disk_fail_fetch(disk, 4);
	assert_int_equal(ask(LOG, 0, 5000, ABAFT_VALUE_BYTES_MAX), 0);
	finish();
	assert_int_equal(asked[2].result, 0);
	assert_int_equal(read_errors(), 2);
	end();
}

static void bad_sector_takes_no_neighbour(void **state)
{
	begin(7);
	sim_disk_bad_block(disk, 0, 3);
	assert_int_equal(ask(LOG, 0, 2 * BLOCK, BLOCK), 0);
	assert_int_equal(ask(LOG, 0, 3 * BLOCK + 100, 30), 0);
	assert_int_equal(ask(LOG, 0, 4 * BLOCK, BLOCK), 0);
	finish();
	assert_int_equal(asked[0].result, 0);
	assert_int_equal(asked[1].result, -EIO);
	assert_int_equal(asked[2].result, 0);
	assert_int_equal(read_errors(), 2);
	/* Between two; and in the middle of a large one, whose neighbour is whole. */
	assert_int_equal(ask(LOG, 0, 2 * BLOCK, BLOCK), 0);
	assert_int_equal(ask(LOG, 0, 4 * BLOCK, BLOCK), 0);
	sim_disk_bad_block(disk, 1, 33);
	assert_int_equal(ask(LOG, 1, 100, 50 * BLOCK), 0);
	assert_int_equal(ask(LOG, 1, 51 * BLOCK, 100), 0);
	sim_disk_bad_block(disk, 0, 3);
	finish();
	assert_int_equal(asked[3].result, 0);
	assert_int_equal(asked[4].result, 0);
	sim_disk_bad_block(disk, 1, 33);
	assert_int_equal(ask(LOG, 1, 100, 50 * BLOCK), 0);
	assert_int_equal(ask(LOG, 1, 51 * BLOCK, 100), 0);
	finish();
	assert_int_equal(asked[7].result, -EIO);
	assert_int_equal(asked[8].result, 0);
	end();
}

/* Nor do those that came later, whether they stand before or behind what is tried again. */
static void second_try_is_alone(void **state)
{
	begin(7);
	sim_disk_delay(disk, 0);
	sim_disk_bad_block(disk, 0, 5);
	assert_int_equal(ask(LOG, 0, 3 * BLOCK, 100), 0);
	assert_int_equal(ask(LOG, 0, 5 * BLOCK + 200, 100), 0);
	assert_int_equal(ask(LOG, 0, 8 * BLOCK, 100), 0);
	tick();
	assert_int_equal(read_errors(), 1);
	assert_int_equal(ask(LOG, 0, 5 * BLOCK, 100), 0);
	assert_int_equal(ask(LOG, 0, 5 * BLOCK + 400, 100), 0);
	finish();
	assert_int_equal(asked[0].result, 0);
	assert_int_equal(asked[1].result, -EIO);
	assert_int_equal(asked[2].result, 0);
	assert_int_equal(asked[3].result, -EIO);
	assert_int_equal(asked[4].result, -EIO);
	end();
}

static void short_reads(void **state)
{
	uint64_t before;

	begin(8);
	for (uint32_t i = 0; i < 50; i++) {
		sim_disk_short_fetch(disk, 1);
		assert_int_equal(ask(LOG, 0, 5000, 20000), 0);
		assert_int_equal(ask(LOG, 0, 26000, 20000), 0);
		finish();
		assert_int_equal(asked[2 * i].result, 0);
		assert_int_equal(asked[2 * i + 1].result, 0);
	}
	assert_int_equal(read_errors(), 50);
	/* The file is not as long as it was: what is left of it is read. */
	sim_disk_put(disk, 0, NULL, 8 * BLOCK);
	before = device_reads();
	assert_int_equal(ask(LOG, 0, 6 * BLOCK, BLOCK), 0);
	assert_int_equal(ask(LOG, 0, 7 * BLOCK + 1, BLOCK), 0);
	assert_int_equal(ask(LOG, 0, 9 * BLOCK, 10), 0);
	finish();
	assert_int_equal(asked[100].result, 0);
	assert_int_equal(device_reads(), before + 3); /* together, and two of them once more */
	assert_int_equal(asked[101].result, -EIO);
	assert_int_equal(asked[102].result, -EIO);
	end();
}

static void what_is_not_there_is_stale(void **state)
{
	begin(9);
	assert_int_equal(ask(LOG, 2, 4096, 10), -ESTALE);
	assert_int_equal(ask(LOG + 1, 0, 4096, 10), -ESTALE);
	shelf_remove(shelf, LOG, 1);
	assert_int_equal(ask(LOG, 1, 4096, 10), -ESTALE);
	assert_int_equal(ask(LOG, 0, 4096, 10), 0);
	finish();
	end();
}

static void reads_lie_in_their_segment(void **state)
{
	begin(10);
	assert_int_equal(ask(LOG, 0, SEGMENT_BYTES - 10, 11), -EINVAL);
	assert_int_equal(ask(LOG, 0, SEGMENT_BYTES, 1), -EINVAL);
	assert_int_equal(ask(LOG, 0, 4096, 0), -EINVAL);
	assert_int_equal(ask(LOG, 0, 4096, ABAFT_VALUE_BYTES_MAX + 1), -EINVAL);
	/* Who was refused holds nothing. */
	shelf_remove(shelf, LOG, 0);
	assert_true(shelf_gone(shelf, LOG, 0));
	end();
}

/* R1: also while it waits for its second try. */
static void removed_segment_stays_until_it_was_read(void **state)
{
	begin(11);
	sim_disk_delay(disk, 0);
	sim_disk_fail_fetch(disk, 1);
	assert_int_equal(ask(LOG, 0, 5000, 600), 0);
	assert_int_equal(ask(LOG, 0, 5000, 700), 0);
	shelf_remove(shelf, LOG, 0);
	assert_false(shelf_gone(shelf, LOG, 0));
	tick();
	assert_int_equal(read_errors(), 1);
	assert_false(shelf_gone(shelf, LOG, 0));
	finish();
	assert_int_equal(asked[0].result, 0);
	assert_int_equal(asked[1].result, 0);
	assert_true(shelf_gone(shelf, LOG, 0));
	end();
}

static void only_so_many_at_a_time(void **state)
{
	begin(12);
	for (uint32_t i = 0; i < ABAFT_FETCHES_MAX; i++)
		assert_int_equal(ask(LOG, i % 2, 96 + i * 4000, 200), 0);
	assert_int_equal(ask(LOG, 0, 96, 200), -EAGAIN);
	while (device_reads() < ABAFT_READS_IN_FLIGHT)
		tick(); /* asserts */
	/* Who has ended has its place until that was taken. */
	for (uint32_t i = 0; reader_in_device(reader); i++) {
		assert_true(i < TICKS_MAX);
		tick();
	}
	assert_int_equal(ask(LOG, 0, 96, 200), -EAGAIN);
	collect(1);
	assert_int_equal(ask(LOG, 0, 96, 200), 0);
	assert_int_equal(ask(LOG, 0, 96, 200), -EAGAIN);
	finish();
	assert_int_equal(ended_count, ABAFT_FETCHES_MAX + 1);
	end();
}

/* Others that stand before it on the disk keep coming, as many as can be read. */
static void nobody_waits_for_ever(void **state)
{
	uint32_t last, before;

	begin(13);
	for (uint32_t i = 0; i < 100; i++)
		assert_int_equal(ask(LOG, 0, 96 + i * 30000, 200), 0);
	before = asked_count;
	assert_int_equal(ask(LOG, 1, SEGMENT_BYTES - 1000, 200), 0);
	last = asked_count - 1;
	for (uint32_t i = 0; !asked[last].ended; i++) {
		assert_true(i < 100);
		for (uint32_t j = 0; j < ABAFT_READS_IN_FLIGHT; j++)
			assert_int_equal(ask(LOG, 0, 96 + (uint32_t)roll(130) * 30000, 200), 0);
		tick();
		collect(UINT32_MAX);
	}
	assert_true(ended_count <= before + 1 + 2 * ABAFT_READS_IN_FLIGHT);
	finish();
	end();
}

static void stopped_starts_nothing_and_lets_go(void **state)
{
	begin(14);
	for (uint32_t i = 0; i < 100; i++)
		assert_int_equal(ask(LOG, 0, 96 + i * 30000, 200), 0);
	tick();
	assert_int_equal(device_reads(), ABAFT_READS_IN_FLIGHT);
	reader_stop(reader);
	for (uint32_t i = 0; reader_in_device(reader); i++) {
		assert_true(i < TICKS_MAX);
		tick();
	}
	assert_int_equal(device_reads(), ABAFT_READS_IN_FLIGHT);
	shelf_remove(shelf, LOG, 0);
	assert_false(shelf_gone(shelf, LOG, 0));
	reader_destroy(reader);
	assert_true(shelf_gone(shelf, LOG, 0));
	assert_int_equal(reader_create(&reader, dev, shelf), 0);
	end();
}

static uint32_t random_bytes(void)
{
	switch (roll(30)) {
	case 0:
		return 1 + (uint32_t)roll(ABAFT_VALUE_BYTES_MAX);
	case 1:
		return 1 + (uint32_t)roll(300000);
	case 2:
	case 3:
		return 1 + (uint32_t)roll(20000);
	default:
		return 1 + (uint32_t)roll(600);
	}
}

/* Everything by chance: whatever is read is what stands on the disk (collect() asserts it), and
 * fails only where the disk does. */
static void whatever_comes(void **state)
{
	uint64_t failed = 0, merged = 0, bad = 0;

	for (uint64_t seed = 1; seed <= 40; seed++) {
		begin(seed);
		sim_disk_delay(disk, (uint32_t)roll(30));
		if (roll(2))
			sim_disk_bad_block(disk, (uint32_t)roll(2), (uint32_t)roll(64));
		for (uint32_t i = 0; i < 60; i++) {
			for (uint64_t more = roll(12); more--;) {
				uint32_t bytes = random_bytes();
				uint32_t room = SEGMENT_BYTES - bytes;
				uint32_t offset = (uint32_t)roll(roll(2) ? room : 200000);

				assert_int_equal(ask(roll(3) ? LOG : OTHER_LOG, (uint32_t)roll(2),
						     offset, bytes),
						 0);
			}
			if (!roll(20))
				sim_disk_fail_fetch(disk, 1 + (uint32_t)roll(5));
			if (!roll(20))
				sim_disk_short_fetch(disk, 1 + (uint32_t)roll(5));
			tick();
			collect((uint32_t)roll(20));
		}
		finish();
		for (uint32_t i = 0; i < asked_count; i++) {
			failed += asked[i].result != 0;
			assert_true(asked[i].result == 0 || asked[i].result == -EIO);
		}
		merged += device_reads() < asked_count;
		bad += read_errors();
		for (uint32_t segment = 0; segment < 2; segment++) {
			shelf_remove(shelf, LOG, segment);
			assert_true(shelf_gone(shelf, LOG, segment));
		}
		end();
	}
	assert_true(failed > 40 && bad > failed && merged > 5); /* else it tested nothing */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(any_place_and_length),
		cmocka_unit_test(neighbours_come_in_one_read),
		cmocka_unit_test(longest_segment_ends_where_it_ends),
		cmocka_unit_test(reads_have_a_length),
		cmocka_unit_test(large_values_come_in_pieces),
		cmocka_unit_test(other_logs_are_read_too),
		cmocka_unit_test(errors_are_tried_once_more),
		cmocka_unit_test(bad_sector_takes_no_neighbour),
		cmocka_unit_test(second_try_is_alone),
		cmocka_unit_test(short_reads),
		cmocka_unit_test(what_is_not_there_is_stale),
		cmocka_unit_test(reads_lie_in_their_segment),
		cmocka_unit_test(removed_segment_stays_until_it_was_read),
		cmocka_unit_test(only_so_many_at_a_time),
		cmocka_unit_test(nobody_waits_for_ever),
		cmocka_unit_test(stopped_starts_nothing_and_lets_go),
		cmocka_unit_test(whatever_comes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
