/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of dataplane/log/log.c and segment.c over the simulated disk: order, limits, failures. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "dataplane/core/place.h"
#include "dataplane/log/format.h"
#include "dataplane/log/segment.h"
#include "dataplane/log/shelf.h"
#include "tests/lib/telemetry_memory.h"
#include "tests/unit/log/rig.h"

static struct rig rig;

/* Closes in good order and expects every record back. */
static void expect_all(void)
{
	rig_drain(&rig);
	rig_close(&rig);
	assert_int_equal(rig_recover(&rig), 0);
	assert_false(rig.mismatch);
	assert_int_equal(rig.recovered, rig.appended);
}

static void new_log_is_empty(void **state)
{
	rig_begin(&rig, 1);
	assert_int_equal(rig_recover(&rig), -ENOENT);
	rig_open(&rig);
	assert_false(log_busy(rig.log));
	rig_close(&rig);
	rig_open(&rig);
	assert_int_equal(rig.recovered, 0);
	rig_end(&rig);
}

static void log_is_not_opened_over_another(void **state)
{
	rig_begin(&rig, 1);
	rig_open(&rig);
	rig_close(&rig);
	assert_int_equal(log_open_on(&rig.log, sim_disk_logdev(rig.disk), &rig.config, NULL,
				     rig.why, sizeof(rig.why)),
			 -EEXIST);
	rig.log = NULL;
	rig_end(&rig);
}

static void records_of_every_length(void **state)
{
	rig_begin(&rig, 2);
	rig_open(&rig);
	for (uint32_t bytes = 0; bytes < 300; bytes++)
		while (!rig_append(&rig, bytes))
			rig_pass(&rig);
	for (uint32_t around = 4096; around <= 65536; around *= 2)
		for (uint32_t bytes = around - 140; bytes < around + 20; bytes += 3)
			while (!rig_append(&rig, bytes))
				rig_pass(&rig);
	expect_all();
	rig_end(&rig);
}

static void record_may_be_shorter_than_reserved(void **state)
{
	uint8_t *at;

	rig_begin(&rig, 2);
	rig_open(&rig);
	at = log_reserve(rig.log, 1000);
	assert_non_null(at);
	assert_non_null(log_reserve(rig.log, 500)); /* the first was given up */
	memset(at, 7, 1000);
	assert_int_equal(log_append(rig.log, 3, 9), 1);
	rig.seeds[0] = 3;
	rig.appended = 1;
	rig_drain(&rig);
	rig_close(&rig);
	assert_int_equal(rig_recover(&rig), 0);
	assert_int_equal(rig.recovered, 1);
	rig_end(&rig);
}

static void biggest_record_fits(void **state)
{
	rig_begin(&rig, 3);
	rig.config.segment_bytes = ABAFT_LOG_GROUP_BYTES_MAX + ABAFT_LOG_BLOCK_BYTES;
	rig_open(&rig);
	assert_null(log_reserve(rig.log, LOG_RECORD_BYTES_MAX + 1));
	for (int i = 0; i < 3; i++)
		while (!rig_append(&rig, LOG_RECORD_BYTES_MAX))
			rig_pass(&rig);
	while (!rig_append(&rig, 1))
		rig_pass(&rig);
	expect_all();
	assert_int_equal(rig.groups[0].bytes, ABAFT_LOG_GROUP_BYTES_MAX);
	assert_int_equal(rig.groups[1].segment, 1);
	rig_end(&rig);
}

static void many_records_share_a_group(void **state)
{
	struct log_stats stats;

	rig_begin(&rig, 4);
	rig_open(&rig);
	for (int i = 0; i < 500; i++)
		assert_true(rig_append(&rig, 100));
	rig_submit(&rig);
	log_stats(rig.log, &stats);
	assert_int_equal(stats.groups, 1);
	expect_all();
	assert_int_equal(rig.groups[0].records, 500);
	rig_end(&rig);
}

/* Never waits to fill: one record goes out at the first submit, and what comes while all slots are
 * taken goes out together. */
static void batches_form_by_themselves(void **state)
{
	struct log_stats stats;

	rig_begin(&rig, 5);
	sim_disk_delay(rig.disk, 50);
	rig_open(&rig);
	for (uint32_t i = 1; i <= ABAFT_LOG_WRITES_IN_FLIGHT; i++) {
		assert_true(rig_append(&rig, 10));
		rig_submit(&rig);
		log_stats(rig.log, &stats);
		assert_int_equal(stats.groups, i);
	}
	for (int i = 0; i < 20; i++) {
		assert_true(rig_append(&rig, 10));
		rig_submit(&rig);
	}
	log_stats(rig.log, &stats);
	assert_int_equal(stats.groups, ABAFT_LOG_WRITES_IN_FLIGHT);
	assert_int_equal(stats.in_flight_max, ABAFT_LOG_WRITES_IN_FLIGHT);
	expect_all();
	assert_int_equal(rig.groups[ABAFT_LOG_WRITES_IN_FLIGHT].records, 20);
	rig_end(&rig);
}

static void busy_when_all_groups_are_full(void **state)
{
	uint32_t accepted = 0;

	rig_begin(&rig, 6);
	sim_disk_delay(rig.disk, 50);
	rig_open(&rig);
	while (rig_append(&rig, 200000)) {
		rig_submit(&rig);
		assert_true(++accepted < 10);
	}
	assert_int_equal(accepted, ABAFT_LOG_WRITES_IN_FLIGHT + 1);
	assert_int_equal(log_error(rig.log), 0);
	assert_true(log_busy(rig.log));
	rig_drain(&rig);
	assert_true(rig_append(&rig, 200000));
	expect_all();
	rig_end(&rig);
}

/* Completions come in any order; durability in log order: what is durable at each moment would be
 * recovered if the power went at that moment. */
static void durable_in_log_order(void **state)
{
	for (uint64_t seed = 1; seed < 300; seed++) {
		rig_begin(&rig, seed);
		sim_disk_delay(rig.disk, 20);
		rig_open(&rig);
		for (int i = 0; i < 4; i++) {
			assert_true(rig_append(&rig, 5000));
			rig_submit(&rig);
		}
		while (log_durable(rig.log) == 0)
			rig_pass(&rig);
		sim_disk_power_cut(rig.disk);
		rig_close(&rig);
		rig_open(&rig); /* asserts */
		rig_end(&rig);
	}
}

static void fails_for_ever(void (*break_disk)(struct sim_disk *, uint32_t))
{
	for (uint32_t at = 1; at < 30; at++) {
		struct log_mark mark, later;
		uint64_t durable;

		rig_begin(&rig, at);
		rig_open(&rig);
		break_disk(rig.disk, at);
		for (int i = 0; i < 1000 && !log_error(rig.log); i++) {
			rig_append(&rig, 3000);
			rig_pass(&rig);
		}
		assert_int_equal(log_error(rig.log), -EIO);
		assert_null(log_reserve(rig.log, 1));
		/* What is still on its way is given up, even if the disk ends it well. */
		durable = log_durable(rig.log);
		assert_true(durable < rig.appended);
		log_mark(rig.log, &mark);
		for (int i = 0; i < 100; i++)
			rig_pass(&rig);
		assert_int_equal(log_durable(rig.log), durable);
		log_mark(rig.log, &later);
		assert_int_equal(later.group, mark.group);
		assert_int_equal(log_error(rig.log), -EIO);
		assert_false(log_busy(rig.log));
		rig_close(&rig);
		/* The failed group itself may or may not be there; the disk works again. */
		sim_disk_power_cut(rig.disk);
		rig_open(&rig);
		rig_work(&rig, 20);
		expect_all();
		rig_end(&rig);
	}
}

static void failed_write_ends_the_log(void **state)
{
	fails_for_ever(sim_disk_fail_write);
}

static void failed_sync_ends_the_log(void **state)
{
	fails_for_ever(sim_disk_fail_sync);
}

/* Each way in which a write or a sync may fail ends the log; what it had said durable stays. That a
 * write finds no room is no full log, which would go on by itself: the write is lost. A short write
 * comes from the device as EIO. */
static void every_fault_of_a_write_has_its_error(void **state)
{
	static const struct {
		int fault, error;
	} faults[] = {
		{-EIO, -EIO},	 {-EROFS, -EROFS},   {-EDQUOT, -EDQUOT},
		{-ENOSPC, -EIO}, {-ENODEV, -ENODEV},
	};

	for (uint32_t i = 0; i < 10; i++) {
		uint64_t durable;

		rig_begin(&rig, 200 + i);
		rig_open(&rig);
		rig_work(&rig, 20);
		sim_disk_fault(rig.disk, faults[i / 2].fault);
		if (i % 2)
			sim_disk_fail_write(rig.disk, 3);
		else
			sim_disk_fail_sync(rig.disk, 3);
		for (int n = 0; n < 100; n++) {
			rig_append(&rig, 3000);
			rig_pass(&rig);
		}
		assert_int_equal(log_error(rig.log), faults[i / 2].error);
		assert_null(log_reserve(rig.log, 1));
		durable = log_durable(rig.log);
		assert_true(durable < rig.appended);
		sim_disk_fault(rig.disk, -EIO);
		for (int n = 0; n < 100; n++)
			rig_pass(&rig);
		assert_int_equal(log_durable(rig.log), durable);
		rig_close(&rig);
		sim_disk_power_cut(rig.disk);
		rig_open(&rig); /* asserts that what was durable is there */
		rig_end(&rig);
	}
}

static void fill_up(void)
{
	for (int i = 0; i < 2000 && !log_error(rig.log); i++) {
		rig_append(&rig, 20000);
		rig_pass(&rig);
	}
	assert_int_equal(log_error(rig.log), -ENOSPC);
	assert_null(log_reserve(rig.log, 20000));
	rig_drain(&rig); /* what was taken becomes durable all the same */
}

/* The next segment is there but cannot be had: nothing is lost, so nothing has failed. */
static void attaching_is_tried_again(void **state)
{
	struct log_stats stats;

	rig_begin(&rig, 12);
	rig_open(&rig);
	sim_disk_fail_attach(rig.disk, -ENOMEM);
	fill_up();
	log_stats(rig.log, &stats);
	assert_int_equal(stats.no_room, -ENOMEM);
	assert_int_equal(log_durable(rig.log), rig.appended);
	sim_disk_fail_attach(rig.disk, 0);
	rig_pass(&rig);
	assert_false(rig_append(&rig, 20000)); /* not at every call */
	assert_int_equal(log_error(rig.log), -ENOSPC);
	rig.now.mono_us += 1000000;
	rig_pass(&rig);
	/* Without being asked for room: who hears of an error does not ask. */
	assert_int_equal(log_error(rig.log), 0);
	assert_true(rig_append(&rig, 20000));
	rig_work(&rig, 20);
	expect_all();
	/* Closed while it could not: nothing is left behind. */
	rig_open(&rig);
	sim_disk_fail_attach(rig.disk, -ENOMEM);
	fill_up();
	expect_all();
	rig_end(&rig);
}

/* A disk that does not answer: told after a while, nothing is lost, the log goes on when it does.
 */
static void stalled_disk_is_told(void **state)
{
	struct log_stats stats;

	rig_begin(&rig, 13);
	sim_disk_delay(rig.disk, 20);
	rig_open(&rig);
	assert_true(rig_append(&rig, 100));
	rig_pass(&rig);
	rig.now.mono_us += UINT64_C(1000) * ABAFT_LOG_STALL_MS - 2000;
	rig_submit(&rig);
	assert_int_equal(log_stalled_us(rig.log), 0);
	assert_true(rig_append(&rig, 100));
	rig_submit(&rig);
	assert_int_equal(log_stalled_us(rig.log), UINT64_C(1000) * ABAFT_LOG_STALL_MS);
	rig.now.mono_us += 5000000;
	rig_submit(&rig);
	log_stats(rig.log, &stats);
	assert_int_equal(stats.stalled_us, UINT64_C(1000) * ABAFT_LOG_STALL_MS + 5001000);
	assert_int_equal(log_error(rig.log), 0);
	while (rig_append(&rig, 60000)) /* BUSY in the end */
		rig_submit(&rig);
	rig_drain(&rig);
	assert_int_equal(log_stalled_us(rig.log), 0);
	assert_int_equal(log_durable(rig.log), rig.appended);
	/* A failed log is not a stalled one. */
	sim_disk_fail_sync(rig.disk, 1);
	assert_true(rig_append(&rig, 100));
	while (!log_error(rig.log))
		rig_pass(&rig);
	rig.now.mono_us += 5000000;
	rig_submit(&rig);
	assert_int_equal(log_stalled_us(rig.log), 0);
	rig_end(&rig);
}

/* Groups, how many the disk had already, how long it took; and of each record when its group was
 * given to it. */
static void groups_are_measured(void **state)
{
	static struct telemetry_memory memory;
	struct telemetry *telemetry = &memory.telemetry;
	const struct histogram *group = &memory.histogram[HISTOGRAM_log_group];
	const struct histogram *depth = &memory.histogram[HISTOGRAM_log_depth];
	const struct histogram *device = &memory.histogram[HISTOGRAM_log_device];

	telemetry_memory_init(&memory, UINT64_MAX);
	rig_begin(&rig, 17);
	rig.config.telemetry = telemetry;
	sim_disk_delay(rig.disk, 20);
	rig_open(&rig);
	telemetry->now_ns = 1000;
	for (uint32_t i = 0; i < 3; i++)
		assert_true(rig_append(&rig, 100));
	rig_submit(&rig);
	telemetry->now_ns = 2000;
	assert_true(rig_append(&rig, 100));
	rig_submit(&rig);
	assert_int_equal(group->count, 2);
	assert_int_equal(group->sum, 4);
	assert_int_equal(group->max, 3);
	assert_int_equal(depth->bucket[0], 1);
	assert_int_equal(depth->bucket[1], 1);
	assert_int_equal(device->count, 0);
	telemetry->now_ns = 5000;
	rig_drain(&rig);
	assert_int_equal(device->count, 2);
	assert_int_equal(device->sum, 4000 + 3000);
	assert_int_equal(log_given_ns(rig.log, 1), 1000);
	assert_int_equal(log_given_ns(rig.log, 3), 1000);
	assert_int_equal(log_given_ns(rig.log, 4), 2000);
	assert_int_equal(log_given_ns(rig.log, 5), 0);
	assert_null(telemetry_histogram_wrong(device));
	rig_end(&rig);
}

static void full_disk_refuses_and_goes_on(void **state)
{
	rig_begin(&rig, 7);
	sim_disk_space(rig.disk, 3 * RIG_SEGMENT_BYTES);
	rig_open(&rig);
	fill_up();
	sim_disk_space(rig.disk, 0);
	assert_true(rig_append(&rig, 20000)); /* room was made */
	assert_int_equal(log_error(rig.log), 0);
	expect_all();
	rig_end(&rig);
}

/* What fails in making the next segment says nothing of the writes in flight. */
static void no_next_segment_is_no_failure(void **state)
{
	static const int errors[] = {-EIO, -EDQUOT, -EMFILE, -ENOMEM, -EROFS};

	for (uint32_t i = 0; i < 40; i++) {
		const int error = errors[i % 5];
		struct log_stats stats;
		uint32_t passes = 0;

		rig_begin(&rig, 100 + i);
		sim_disk_delay(rig.disk, 30);
		rig_open(&rig);
		sim_disk_fail_create(rig.disk, error);
		for (passes = 0; passes < 2000 && !log_error(rig.log); passes++) {
			rig_append(&rig, 20000);
			rig_pass(&rig);
		}
		assert_int_equal(log_error(rig.log), -ENOSPC);
		log_stats(rig.log, &stats);
		assert_int_equal(stats.no_room, error);
		assert_true(log_busy(rig.log)); /* writes are in flight */
		while (log_busy(rig.log)) {
			assert_true(++passes < 4000);
			rig_pass(&rig);
			assert_null(log_reserve(rig.log, 20000));
			assert_int_equal(log_error(rig.log), -ENOSPC);
		}
		assert_int_equal(log_durable(rig.log), rig.appended);
		sim_disk_fail_create(rig.disk, 0);
		assert_true(rig_append(&rig, 20000));
		assert_int_equal(log_error(rig.log), 0);
		log_stats(rig.log, &stats);
		assert_int_equal(stats.no_room, 0);
		rig_work(&rig, 20);
		expect_all();
		rig_end(&rig);
	}
}

static void shelf_bound_is_kept(void **state)
{
	struct log_stats stats;

	rig_begin(&rig, 8);
	assert_int_equal(shelf_create(&rig.config.shelf, 2 * RIG_SEGMENT_BYTES + 4096, 0), 0);
	rig_open(&rig);
	fill_up();
	log_stats(rig.log, &stats);
	assert_int_equal(stats.segments, 2);
	rig_close(&rig);
	rig_open(&rig); /* also after a restart; the seal had its room */
	assert_true(rig.groups[rig.groups_count - 1].flags & LOG_FLAG_SEAL);
	fill_up();
	expect_all();
	rig_end(&rig);
}

static void no_room_at_all_is_an_error(void **state)
{
	rig_begin(&rig, 9);
	sim_disk_space(rig.disk, 4096);
	assert_int_equal(log_open_on(&rig.log, sim_disk_logdev(rig.disk), &rig.config, NULL,
				     rig.why, sizeof(rig.why)),
			 -ENOSPC);
	assert_non_null(strstr(rig.why, "No space left on device; free disk space, or raise"));
	rig.log = NULL;
	rig_end(&rig);
}

static void reopening_many_times(void **state)
{
	rig_begin(&rig, 10);
	for (int i = 0; i < 200; i++) {
		rig_open(&rig);
		assert_int_equal(rig.tail ? rig.tail->incarnation : 0, i);
		assert_true(rig_append(&rig, (uint32_t)i * 10));
		rig_close(&rig); /* drains */
		rig.acknowledged = rig.appended;
	}
	rig_open(&rig);
	assert_int_equal(rig.recovered, 200);
	/* Nothing was written since the last seal, so nothing needs to be. */
	rig_close(&rig);
	assert_int_equal(rig_recover(&rig), 0);
	assert_int_equal(rig.tail->incarnation, 200);
	rig_end(&rig);
}

static void longer_and_shorter_segments_mix(void **state)
{
	static const uint32_t blocks[] = {16, 64, 7, 100, 3, 64};

	rig_begin(&rig, 11);
	rig.bytes_max = 3000;
	for (int i = 0; i < 6; i++) {
		rig.config.segment_bytes = blocks[i] * ABAFT_LOG_BLOCK_BYTES;
		rig_open(&rig);
		rig_work(&rig, 150);
		rig_drain(&rig);
		sim_disk_power_cut(rig.disk);
		rig_close(&rig);
	}
	assert_int_equal(rig_recover(&rig), 0);
	assert_int_equal(rig.recovered, rig.appended);
	rig_end(&rig);
}

#define READS 80

static uint64_t places[READS];
static uint8_t read_to[READS][100];

/* Records that are so far apart that each is a device read of its own; what was read of them. */
static void open_readable(uint64_t seed)
{
	rig_begin(&rig, seed);
	assert_int_equal(shelf_create(&rig.config.shelf, 0, 0), 0);
	rig_open(&rig);
	memset(read_to, 0xee, sizeof(read_to));
	for (uint32_t i = 0; i < READS; i++) {
		while (!rig_append(&rig, 20000))
			rig_pass(&rig);
		places[i] = log_place(rig.log);
	}
	rig_drain(&rig);
}

static void want(uint32_t i)
{
	const struct log_read read = {
		.place = places[i], .bytes = sizeof(read_to[i]), .to = read_to[i], .tag = i};

	assert_int_equal(log_read(rig.log, &read), 0);
}

/* How many have something in their memory; what it is must be right. */
static uint32_t came(void)
{
	static const uint8_t nothing[100] = {[0 ... 99] = 0xee};
	uint32_t count = 0;

	for (uint32_t i = 0; i < READS; i++) {
		uint64_t bytes;
		const uint8_t *segment =
			sim_disk_segment(rig.disk, place_segment(places[i]), &bytes);

		if (memcmp(read_to[i], nothing, sizeof(nothing)) == 0)
			continue;
		assert_memory_equal(read_to[i], segment + place_offset(places[i]),
				    sizeof(read_to[i]));
		count++;
	}
	return count;
}

static void reads_beside_writes(void **state)
{
	struct log_read_done done[READS];
	struct log_stats stats;
	uint32_t ended = 0;

	open_readable(20);
	for (uint32_t i = 0; i < READS; i++)
		want(i);
	for (uint32_t passes = 0; ended < READS; passes++) {
		uint32_t count;

		assert_true(passes < 1000);
		rig_append(&rig, 300);
		rig_pass(&rig);
		count = log_read_done(rig.log, done, READS);
		for (uint32_t i = 0; i < count; i++)
			assert_int_equal(done[i].result, 0);
		ended += count;
	}
	assert_int_equal(came(), READS);
	log_stats(rig.log, &stats);
	assert_int_equal(stats.reads, READS);
	assert_int_equal(stats.device_reads, READS);
	assert_int_equal(stats.read_bytes, sizeof(read_to));
	rig_drain(&rig);
	expect_all();
	rig_end(&rig);
}

static void fail_log(void)
{
	sim_disk_fail_write(rig.disk, 1);
	for (uint32_t passes = 0; passes < 200; passes++) {
		rig_append(&rig, 300);
		rig_pass(&rig);
	}
	assert_int_equal(log_error(rig.log), -EIO);
}

static void log_that_failed_is_still_read(void **state)
{
	struct log_read_done done[READS];
	uint32_t ended = 0;

	open_readable(21);
	fail_log();
	for (uint32_t i = 0; i < 10; i++)
		want(i);
	for (uint32_t passes = 0; ended < 10; passes++) {
		assert_true(passes < 1000);
		rig_pass(&rig);
		ended += log_read_done(rig.log, done, READS);
	}
	assert_int_equal(came(), 10);
	rig_end(&rig);
}

static void log_without_a_shelf_has_nothing_to_read(void **state)
{
	const struct log_read read = {.place = place_make(3, 0, 96), .bytes = 1};
	struct log_read_done done;

	rig_begin(&rig, 22);
	rig_open(&rig);
	assert_int_equal(log_read(rig.log, &read), -ESTALE);
	assert_int_equal(log_read_done(rig.log, &done, 1), 0);
	rig_end(&rig);
}

/* The device aborts if it is taken away under a read; no further one is begun. */
static void closing_waits_for_reads(void **state)
{
	for (uint64_t failed = 0; failed < 2; failed++) {
		open_readable(23);
		sim_disk_delay(rig.disk, 30);
		if (failed)
			fail_log();
		for (uint32_t i = 0; i < READS; i++)
			want(i);
		rig_submit(&rig);
		rig_close(&rig);
		assert_int_equal(came(), ABAFT_READS_IN_FLIGHT);
		rig_end(&rig);
	}
}

/* Of a device that is dead nothing is waited for. */
static void closing_after_a_crash_waits_for_nothing(void **state)
{
	open_readable(24);
	for (uint32_t i = 0; i < READS; i++)
		want(i);
	rig_submit(&rig);
	sim_disk_power_cut(rig.disk);
	rig_close(&rig);
	rig_open(&rig);
	rig_pass(&rig);
	assert_int_equal(came(), 0);
	rig_end(&rig);
}

static void segment_names(void **state)
{
	char name[SEGMENT_NAME_BYTES];
	uint32_t number;

	segment_name(name, 0xab);
	assert_string_equal(name, "seg-000000ab");
	assert_int_equal(segment_name_parse(name, &number), 0);
	assert_int_equal(number, 0xab);
	assert_int_equal(segment_name_parse("seg-000000AB", &number), -EINVAL);
	assert_int_equal(segment_name_parse("seg-ab", &number), -EINVAL);
	assert_int_equal(segment_name_parse("seg-000000ab.new", &number), -EINVAL);
	assert_int_equal(segment_name_parse("lost+found", &number), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(new_log_is_empty),
		cmocka_unit_test(log_is_not_opened_over_another),
		cmocka_unit_test(records_of_every_length),
		cmocka_unit_test(record_may_be_shorter_than_reserved),
		cmocka_unit_test(biggest_record_fits),
		cmocka_unit_test(many_records_share_a_group),
		cmocka_unit_test(batches_form_by_themselves),
		cmocka_unit_test(busy_when_all_groups_are_full),
		cmocka_unit_test(durable_in_log_order),
		cmocka_unit_test(failed_write_ends_the_log),
		cmocka_unit_test(failed_sync_ends_the_log),
		cmocka_unit_test(every_fault_of_a_write_has_its_error),
		cmocka_unit_test(attaching_is_tried_again),
		cmocka_unit_test(stalled_disk_is_told),
		cmocka_unit_test(groups_are_measured),
		cmocka_unit_test(full_disk_refuses_and_goes_on),
		cmocka_unit_test(no_next_segment_is_no_failure),
		cmocka_unit_test(shelf_bound_is_kept),
		cmocka_unit_test(no_room_at_all_is_an_error),
		cmocka_unit_test(reopening_many_times),
		cmocka_unit_test(longer_and_shorter_segments_mix),
		cmocka_unit_test(reads_beside_writes),
		cmocka_unit_test(log_that_failed_is_still_read),
		cmocka_unit_test(log_without_a_shelf_has_nothing_to_read),
		cmocka_unit_test(closing_waits_for_reads),
		cmocka_unit_test(closing_after_a_crash_waits_for_nothing),
		cmocka_unit_test(segment_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
