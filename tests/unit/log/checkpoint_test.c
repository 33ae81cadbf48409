/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Checkpoints over the simulated disk: what was written is read back, and whatever the disk or
 * anybody else did to a byte of one is seen before anything of it is handed over.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "dataplane/log/checkpoint.h"
#include "dataplane/log/format.h"
#include "tests/lib/filedev_sim.h"
#include "tests/lib/logdev_sim.h"

#define BYTES_MAX (4u << 20)

static const uint8_t node[16] = "a node";
static char why[512];

/* What goes in, or what came out. */
struct content {
	struct checkpoint_segment segments[20000];
	uint32_t segments_count;
	uint8_t keys[BYTES_MAX];
	uint32_t keys_bytes;
	uint8_t outcomes[BYTES_MAX];
	uint32_t outcomes_bytes;
};

static struct content in, out;
static struct checkpoint_head head;

static void fill(uint64_t seed, uint32_t segments, uint32_t keys_bytes, uint32_t outcomes_bytes)
{
	head = (struct checkpoint_head){.logs = 3, .wall_us = 1700000000000000, .time = seed};
	for (uint32_t i = 0; i < head.logs; i++) {
		head.mark[i].log = i < 2 ? i : ABAFT_LOG_KEPT;
		head.mark[i].mark = (struct log_mark){
			.group = sim_random(&seed, UINT64_MAX),
			.record = sim_random(&seed, UINT64_MAX),
			.offset = sim_random(&seed, UINT64_MAX),
			.segment = (uint32_t)sim_random(&seed, UINT32_MAX),
			.previous_crc = (uint32_t)sim_random(&seed, UINT32_MAX),
			.incarnation = (uint32_t)sim_random(&seed, UINT32_MAX),
		};
	}
	in.segments_count = segments;
	for (uint32_t i = 0; i < segments; i++)
		in.segments[i] =
			(struct checkpoint_segment){i % 3, i, 1 + i, sim_random(&seed, 1 << 30)};
	in.keys_bytes = keys_bytes;
	for (uint32_t i = 0; i < keys_bytes; i++)
		in.keys[i] = (uint8_t)sim_random(&seed, 256);
	in.outcomes_bytes = outcomes_bytes;
	for (uint32_t i = 0; i < outcomes_bytes; i++)
		in.outcomes[i] = (uint8_t)sim_random(&seed, 256);
}

/* In pieces of 1000 bytes, each of 10 entries, but for the last. */
static int add(struct checkpoint_writer *writer, enum checkpoint_kind kind, const uint8_t *data,
	       uint32_t bytes)
{
	int error = 0;

	for (uint32_t at = 0; at < bytes && !error; at += 1000)
		error = checkpoint_add(writer, kind, data + at,
				       bytes - at < 1000 ? bytes - at : 1000, 10);
	return error;
}

static int save(struct filedev *dev, uint32_t number, struct checkpoint_stats *stats)
{
	struct checkpoint_writer *writer;
	int error;

	head.number = number;
	error = checkpoint_begin(&writer, dev, node, &head);
	if (error)
		return error;
	/* As the keeper does: whatever fails, finish tells and frees. */
	(void)!checkpoint_segments(writer, in.segments, in.segments_count);
	(void)!add(writer, CHECKPOINT_KEYS, in.keys, in.keys_bytes);
	(void)!add(writer, CHECKPOINT_OUTCOMES, in.outcomes, in.outcomes_bytes);
	return checkpoint_finish(writer, 4711, stats);
}

static int on_segments(void *arg, const struct checkpoint_segment *segments, uint32_t count)
{
	memcpy(out.segments + out.segments_count, segments, count * sizeof(*segments));
	out.segments_count += count;
	return 0;
}

static int on_keys(void *arg, const uint8_t *data, uint32_t bytes)
{
	memcpy(out.keys + out.keys_bytes, data, bytes);
	out.keys_bytes += bytes;
	return 0;
}

static int on_outcomes(void *arg, const uint8_t *data, uint32_t bytes)
{
	memcpy(out.outcomes + out.outcomes_bytes, data, bytes);
	out.outcomes_bytes += bytes;
	return 0;
}

static const struct checkpoint_visitor visitor = {NULL, on_segments, on_keys, on_outcomes};

/* It is valid, and holds what `in` and `head` do. */
static void expect_whole(struct filedev *dev, uint32_t number)
{
	struct checkpoint_head got;
	struct checkpoint_stats stats;

	head.number = number;
	if (checkpoint_verify(dev, node, number, &got, &stats, why, sizeof(why)))
		fail_msg("%s", why);
	assert_int_equal(got.horizon_ms, 4711);
	got.horizon_ms = head.horizon_ms;
	assert_memory_equal(&got, &head, sizeof(head));
	assert_int_equal(stats.segments, in.segments_count);
	assert_int_equal(stats.keys, (in.keys_bytes + 999) / 1000 * 10);
	assert_int_equal(stats.outcomes, (in.outcomes_bytes + 999) / 1000 * 10);
	out.segments_count = out.keys_bytes = out.outcomes_bytes = 0;
	assert_int_equal(checkpoint_load(dev, node, number, &visitor, why, sizeof(why)), 0);
	assert_int_equal(out.segments_count, in.segments_count);
	assert_int_equal(out.keys_bytes, in.keys_bytes);
	assert_int_equal(out.outcomes_bytes, in.outcomes_bytes);
	assert_memory_equal(out.segments, in.segments, in.segments_count * sizeof(in.segments[0]));
	assert_memory_equal(out.keys, in.keys, in.keys_bytes);
	assert_memory_equal(out.outcomes, in.outcomes, in.outcomes_bytes);
}

static void expect_damage(struct filedev *dev, uint32_t number, const char *sentence)
{
	struct checkpoint_head got, none = {0};

	why[0] = '\0';
	assert_int_equal(checkpoint_verify(dev, node, number, &got, NULL, why, sizeof(why)),
			 -EBADMSG);
	assert_memory_equal(&got, &none, sizeof(got));
	if (!strstr(why, sentence))
		fail_msg("\"%s\" is not in: %s", sentence, why);
}

static void round_trip(void **state)
{
	static const uint32_t sizes[][3] = {
		{0, 0, 0},
		{1, 1, 1},
		{10922, 5000, 320}, /* segments: one block and a little more */
		{20000, 3u << 20, 1u << 20},
	};
	struct sim_files *files = sim_files_create(NULL, 1);
	struct filedev *dev = sim_files_filedev(files);
	struct checkpoint_stats stats;
	uint64_t bytes;

	for (uint32_t i = 0; i < 4; i++) {
		fill(i + 1, sizes[i][0], sizes[i][1], sizes[i][2]);
		assert_int_equal(save(dev, i + 1, &stats), 0);
		assert_non_null(sim_files_bytes(files, i + 1, &bytes));
		assert_int_equal(stats.bytes, bytes);
		assert_true(bytes % 4096 == 0);
		expect_whole(dev, i + 1);
	}
	sim_files_destroy(files);
}

/* Blocks are full but for what did not fit: a piece is never split. */
static void blocks_are_filled(void **state)
{
	struct sim_files *files = sim_files_create(NULL, 1);
	struct checkpoint_writer *writer;
	struct checkpoint_stats stats;

	fill(1, 0, CHECKPOINT_PAYLOAD_BYTES, 0);
	head.number = 1;
	assert_int_equal(checkpoint_begin(&writer, sim_files_filedev(files), node, &head), 0);
	assert_int_equal(
		checkpoint_add(writer, CHECKPOINT_KEYS, in.keys, CHECKPOINT_PAYLOAD_BYTES, 1), 0);
	assert_int_equal(checkpoint_add(writer, CHECKPOINT_KEYS, in.keys, 100, 1), 0);
	assert_int_equal(
		checkpoint_add(writer, CHECKPOINT_KEYS, in.keys, CHECKPOINT_PAYLOAD_BYTES - 100, 1),
		0);
	assert_int_equal(checkpoint_finish(writer, 0, &stats), 0);
	assert_int_equal(stats.bytes, 4096 + 2 * CHECKPOINT_BLOCK_BYTES + 4096);
	sim_files_destroy(files);
}

static void small(struct sim_files *files, uint8_t **data, uint64_t *bytes)
{
	fill(7, 3, 1500, 64);
	assert_int_equal(save(sim_files_filedev(files), 9, NULL), 0);
	*data = sim_files_bytes(files, 9, bytes);
	assert_int_equal(*bytes, 5 * 4096);
}

/* All bits of headers and payloads, one of each byte of what is zero behind them. */
static void every_bit(void **state)
{
	struct sim_files *files = sim_files_create(NULL, 1);
	uint64_t bytes;
	uint8_t *data;

	small(files, &data, &bytes);
	for (uint64_t bit = 0; bit < bytes * 8; bit++) {
		char block[64];

		if (bit / 8 % 4096 >= 1600 && bit % 8 != bit / 8 % 8)
			continue;
		data[bit / 8] ^= (uint8_t)(1u << bit % 8);
		snprintf(block, sizeof(block),
			 "checkpoint-00000009, block %u at byte %u of 20480: ",
			 (unsigned int)(bit / 8 / 4096), (unsigned int)(bit / 8 / 4096 * 4096));
		expect_damage(sim_files_filedev(files), 9, block);
		data[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
	expect_whole(sim_files_filedev(files), 9);
	sim_files_destroy(files);
}

static void every_length(void **state)
{
	static uint8_t copy[6 * 4096];
	struct sim_files *files = sim_files_create(NULL, 1);
	uint64_t bytes;
	uint8_t *data;

	small(files, &data, &bytes);
	memcpy(copy, data, bytes);
	for (uint64_t cut = 0; cut < bytes; cut++) {
		sim_files_put(files, 9, copy, cut);
		expect_damage(sim_files_filedev(files), 9,
			      cut % 4096 ? "no checkpoint is of this length" : "was cut short");
	}
	sim_files_put(files, 9, copy, sizeof(copy));
	expect_damage(sim_files_filedev(files), 9, "4096 bytes stand behind the end");
	sim_files_destroy(files);
}

/* Makes the checksums of the file fit what is in it, and the chain hold. */
static void mend(uint8_t *data, uint64_t bytes)
{
	uint32_t chain = 0;

	for (uint64_t at = 0; at < bytes;) {
		uint32_t *header = (uint32_t *)(data + at);
		uint32_t length = format_blocks_up(64 + header[10]);

		header[11] = format_crc(data + at + 64, length - 64);
		header[12] = chain;
		header[15] = chain = format_crc(data + at, 60);
		at += length;
	}
}

/* Whole by its checksums, but no writer would write it. */
static void forged(void **state)
{
	static const struct {
		uint32_t at, value;
		const char *sentence;
	} forgeries[] = {
		{0, 1, "there is no block"},
		{4, 3 | 1 << 16, "another format version"},
		{6, 2, "its lengths or its kind make no sense"},
		{24, 10, "belongs to another checkpoint"},
		{28, 1, "belongs to another place"},
		{32, 1, "belongs to another place"},
		{36, 0, "its lengths or its kind make no sense"},
		{40, CHECKPOINT_PAYLOAD_BYTES + 1, "its lengths or its kind make no sense"},
		{40, 24 + 3 * 40 - 4, "its lengths make no sense"},
		{40, 20, "its lengths make no sense"},
		{64 + 16, ABAFT_LOGS_MAX + 1, "its lengths make no sense"},
		{64 + 16, 2, "its lengths make no sense"},
		{64 + 24, 1, "its marks make no sense"},
		{64 + 24 + 80, ABAFT_LOGS_MAX, "its marks make no sense"},
		{4096 + 36, 4, "its lengths make no sense"},
		{4096 + 6, 6, "its lengths or its kind make no sense"},
		{4096 + 6, 1, "its lengths or its kind make no sense"},
		{2 * 4096 + 36, 21, "it does not sum up what stands before it"},
		{3 * 4096 + 36, 1, "it does not sum up what stands before it"},
		{4 * 4096 + 40, 32, "its lengths make no sense"},
		{4 * 4096 + 64 + 32, 6, "it does not sum up what stands before it"},
	};
	struct sim_files *files = sim_files_create(NULL, 1);
	uint8_t copy[5 * 4096];
	uint64_t bytes;
	uint8_t *data;

	small(files, &data, &bytes);
	memcpy(copy, data, bytes);
	for (size_t i = 0; i < sizeof(forgeries) / sizeof(forgeries[0]); i++) {
		uint32_t length = forgeries[i].at % 4096 == 6 || forgeries[i].at == 4 ? 2 : 4;

		memcpy(data + forgeries[i].at, &forgeries[i].value, length);
		if (forgeries[i].value != CHECKPOINT_PAYLOAD_BYTES + 1)
			mend(data, bytes);
		else
			((uint32_t *)data)[15] = format_crc(data, 60);
		expect_damage(sim_files_filedev(files), 9, forgeries[i].sentence);
		memcpy(data, copy, bytes);
	}
	memset(data + 8, 1, 1);
	mend(data, bytes);
	expect_damage(sim_files_filedev(files), 9, "belongs to another node");
	sim_files_destroy(files);
}

/* Whole blocks of ours, but not the one that belongs there. */
static void foreign_blocks(void **state)
{
	struct sim_files *files = sim_files_create(NULL, 1);
	struct filedev *dev = sim_files_filedev(files);
	uint8_t old[5 * 4096], block[4096];
	uint64_t bytes;
	uint8_t *data;

	small(files, &data, &bytes);
	memcpy(old, data, bytes);
	/* An earlier attempt at the same number: one key differs. */
	in.keys[0]++;
	assert_int_equal(save(dev, 9, NULL), 0);
	data = sim_files_bytes(files, 9, &bytes);
	memcpy(block, data + 8192, 4096);
	memcpy(data + 8192, old + 8192, 4096);
	expect_damage(dev, 9, "block 3 at byte 12288 of 20480: it does not follow");
	memcpy(data + 8192, block, 4096);
	expect_whole(dev, 9);
	assert_int_equal(save(dev, 10, NULL), 0);
	memcpy(data + 8192, sim_files_bytes(files, 10, &bytes) + 8192, 4096);
	expect_damage(dev, 9, "block 2 at byte 8192 of 20480: it belongs to another checkpoint");
	memcpy(data + 8192, data + 12288, 4096);
	expect_damage(dev, 9, "block 2 at byte 8192 of 20480: it belongs to another place");
	data = sim_files_bytes(files, 10, &bytes);
	sim_files_put(files, 11, data, bytes);
	expect_damage(dev, 11, "block 0 at byte 0 of 20480: it belongs to another checkpoint");
	sim_files_destroy(files);
}

/* The disk says that it wrote, and did not, or not all, or not there. */
static void lies(void **state)
{
	uint32_t damaged = 0;

	for (uint32_t seed = 1; seed <= 30; seed++)
		for (uint32_t lie = SIM_FILE_LOST; lie <= SIM_FILE_ELSEWHERE; lie++)
			for (uint32_t append = 1; append <= 5; append++) {
				struct sim_files *files = sim_files_create(NULL, seed);
				struct filedev *dev = sim_files_filedev(files);
				struct checkpoint_head got;

				fill(seed, 3, 1500, 64);
				assert_int_equal(save(dev, 1, NULL), 0);
				sim_files_lie(files, lie, append);
				assert_int_equal(save(dev, 2, NULL), 0);
				if (checkpoint_verify(dev, node, 2, &got, NULL, why, sizeof(why)))
					damaged++;
				else /* what was torn off was zeros, or there was nothing before */
					expect_whole(dev, 2);
				expect_whole(dev, 1);
				sim_files_destroy(files);
			}
	assert_true(damaged > 280); /* 270 by the others, the rest torn */
}

static void expect_only_first(struct filedev *dev)
{
	uint32_t numbers[4];

	assert_int_equal(checkpoint_list(dev, numbers, 4), 1);
	assert_int_equal(numbers[0], 1);
	expect_whole(dev, 1);
}

static void failing_calls(void **state)
{
	static const int errors[] = {-EIO, -ENOSPC, -EDQUOT, -EROFS};
	struct sim_files *files = sim_files_create(NULL, 1);
	struct filedev *dev = sim_files_filedev(files);
	struct checkpoint_stats stats;
	uint64_t bytes;

	fill(1, 3, 300000, 64);
	assert_int_equal(save(dev, 1, NULL), 0);
	assert_non_null(sim_files_bytes(files, 1, &bytes));
	for (uint32_t i = 0; i < 4; i++) {
		sim_files_fail(files, SIM_FILE_CREATE, 1, errors[i]);
		assert_int_equal(save(dev, 2, NULL), errors[i]);
		expect_only_first(dev);
		sim_files_fail(files, SIM_FILE_FINISH, 1, errors[i]);
		assert_int_equal(save(dev, 2, &stats), errors[i]);
		expect_only_first(dev);
		for (uint32_t append = 1; append <= 6; append++) {
			sim_files_fail(files, SIM_FILE_APPEND, append, errors[i]);
			assert_int_equal(save(dev, 2, NULL), errors[i]);
			expect_only_first(dev);
		}
	}
	for (uint64_t space = bytes; space < 2 * bytes; space += 4096) {
		sim_files_space(files, space);
		assert_int_equal(save(dev, 2, NULL), -ENOSPC);
		expect_only_first(dev);
	}
	sim_files_space(files, 2 * bytes);
	assert_int_equal(save(dev, 2, NULL), 0);
	expect_whole(dev, 2);
	sim_files_destroy(files);
}

static void reads_that_fail(void **state)
{
	struct sim_files *files = sim_files_create(NULL, 1);
	struct filedev *dev = sim_files_filedev(files);
	struct checkpoint_head got;
	uint32_t numbers[2];

	fill(1, 3, 300000, 64);
	assert_int_equal(save(dev, 1, NULL), 0);
	for (uint32_t read = 1; read <= 6; read++) {
		sim_files_fail(files, SIM_FILE_READ, read, -EIO);
		assert_int_equal(checkpoint_verify(dev, node, 1, &got, NULL, why, sizeof(why)),
				 -EIO);
		assert_non_null(strstr(why, "cannot read it: Input/output error"));
	}
	sim_files_fail(files, SIM_FILE_OPEN, 1, -EACCES);
	assert_int_equal(checkpoint_verify(dev, node, 1, &got, NULL, why, sizeof(why)), -EACCES);
	assert_int_equal(checkpoint_verify(dev, node, 2, &got, NULL, why, sizeof(why)), -ENOENT);
	assert_non_null(strstr(why, "checkpoint-00000002"));
	sim_files_fail(files, SIM_FILE_LIST, 1, -EIO);
	assert_int_equal(checkpoint_list(dev, numbers, 2), -EIO);
	expect_only_first(dev);
	sim_files_destroy(files);
}

static void errors_stay(void **state)
{
	struct sim_files *files = sim_files_create(NULL, 1);
	struct filedev *dev = sim_files_filedev(files);
	struct checkpoint_writer *writer;

	fill(1, 3, 300000, 64);
	head.number = 1;
	assert_int_equal(checkpoint_begin(&writer, dev, node, &head), 0);
	sim_files_fail(files, SIM_FILE_APPEND, 1, -EIO);
	assert_int_equal(checkpoint_segments(writer, in.segments, 1), -EIO);
	assert_int_equal(checkpoint_segments(writer, in.segments, 1), -EIO);
	assert_int_equal(checkpoint_add(writer, CHECKPOINT_KEYS, in.keys, 9, 1), -EIO);
	assert_int_equal(checkpoint_finish(writer, 0, NULL), -EIO);
	/* What no reader would take. */
	assert_int_equal(checkpoint_begin(&writer, dev, node, &head), 0);
	assert_int_equal(
		checkpoint_add(writer, CHECKPOINT_KEYS, in.keys, CHECKPOINT_PAYLOAD_BYTES + 1, 1),
		-EINVAL);
	assert_int_equal(checkpoint_finish(writer, 0, NULL), -EINVAL);
	head.mark[2].log = head.mark[1].log;
	assert_int_equal(checkpoint_begin(&writer, dev, node, &head), -EINVAL);
	head.mark[2].log = ABAFT_LOGS_MAX;
	assert_int_equal(checkpoint_begin(&writer, dev, node, &head), -EINVAL);
	head.logs = 2;
	assert_int_equal(checkpoint_begin(&writer, dev, node, &head), 0);
	checkpoint_abandon(writer);
	head.number = 0;
	assert_int_equal(checkpoint_begin(&writer, dev, node, &head), -EINVAL);
	assert_int_equal(checkpoint_list(dev, (uint32_t[1]){0}, 1), 0);
	sim_files_destroy(files);
}

/* One crash hits logs and checkpoints. */
static void crashes(void **state)
{
	uint32_t named = 0, back = 0;

	for (uint64_t seed = 1; seed <= 100; seed++) {
		struct sim_disk *disk = sim_disk_create(seed);
		struct sim_files *files = sim_files_create(disk, seed);
		struct filedev *dev = sim_files_filedev(files);
		struct checkpoint_writer *writer;
		uint32_t numbers[4];
		int count;

		fill(seed, 3, 1500, 64);
		assert_int_equal(save(dev, 1, NULL), 0);
		head.number = 2;
		assert_int_equal(checkpoint_begin(&writer, dev, node, &head), 0);
		assert_int_equal(checkpoint_segments(writer, in.segments, 3), 0);
		if (seed % 2)
			sim_disk_kill(disk);
		else
			sim_disk_power_cut(disk);
		assert_int_equal(checkpoint_finish(writer, 0, NULL), -EIO);
		dev = sim_files_filedev(files);
		expect_only_first(dev);
		sim_files_cut_in_finish(files);
		assert_int_equal(save(dev, 2, NULL), -EIO);
		dev = sim_files_filedev(files);
		count = checkpoint_list(dev, numbers, 4);
		assert_true(count == 1 || count == 2);
		for (int i = 0; i < count; i++)
			expect_whole(dev, numbers[i]);
		named += count == 2;
		assert_int_equal(dev->ops->remove(dev, 1), 0);
		assert_int_equal(checkpoint_list(dev, numbers, 4), count - 1);
		sim_disk_power_cut(disk);
		dev = sim_files_filedev(files);
		back += checkpoint_list(dev, numbers, 4) == count;
		sim_files_destroy(files);
		sim_disk_destroy(disk);
	}
	assert_true(named > 20 && named < 80 && back > 20 && back < 80);
}

static int stop(void *arg, const uint8_t *data, uint32_t bytes)
{
	return -ECANCELED;
}

static void visitor_stops(void **state)
{
	const struct checkpoint_visitor stopping = {NULL, NULL, stop, NULL};
	struct sim_files *files = sim_files_create(NULL, 1);
	struct filedev *dev = sim_files_filedev(files);

	fill(1, 3, 1500, 64);
	assert_int_equal(save(dev, 1, NULL), 0);
	assert_int_equal(checkpoint_load(dev, node, 1, &stopping, why, sizeof(why)), -ECANCELED);
	sim_files_destroy(files);
}

static void newest_comes_first(void **state)
{
	struct sim_files *files = sim_files_create(NULL, 1);
	struct filedev *dev = sim_files_filedev(files);
	uint32_t numbers[ABAFT_CHECKPOINTS_MAX];

	fill(1, 0, 0, 0);
	assert_int_equal(save(dev, 7, NULL), 0);
	assert_int_equal(save(dev, 0xfffffff0, NULL), 0);
	assert_int_equal(save(dev, 8, NULL), 0);
	assert_int_equal(checkpoint_list(dev, numbers, ABAFT_CHECKPOINTS_MAX), 3);
	assert_int_equal(numbers[0], 0xfffffff0);
	assert_int_equal(numbers[1], 8);
	assert_int_equal(numbers[2], 7);
	assert_int_equal(checkpoint_list(dev, numbers, 1), 1);
	assert_int_equal(numbers[0], 0xfffffff0);
	for (uint32_t i = 10; i < 10 + ABAFT_CHECKPOINTS_MAX - 3; i++)
		assert_int_equal(save(dev, i, NULL), 0);
	assert_int_equal(checkpoint_list(dev, numbers, 1), 1);
	assert_int_equal(save(dev, 9, NULL), 0);
	assert_int_equal(checkpoint_list(dev, numbers, 1), -E2BIG);
	sim_files_destroy(files);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(round_trip),
		cmocka_unit_test(blocks_are_filled),
		cmocka_unit_test(every_bit),
		cmocka_unit_test(every_length),
		cmocka_unit_test(forged),
		cmocka_unit_test(foreign_blocks),
		cmocka_unit_test(lies),
		cmocka_unit_test(failing_calls),
		cmocka_unit_test(reads_that_fail),
		cmocka_unit_test(errors_stay),
		cmocka_unit_test(crashes),
		cmocka_unit_test(visitor_stops),
		cmocka_unit_test(newest_comes_first),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
