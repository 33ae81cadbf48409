/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of dataplane/log/stream.c over the simulated disk. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <abaft/limits.h>

#include "dataplane/log/stream.h"
#include "tests/lib/logdev_sim.h"

#define BLOCK	   ABAFT_LOG_BLOCK_BYTES
#define FILE_BYTES ((20u << 20) + 3 * BLOCK)
#define SEEDS	   20

static struct sim_disk *disk;
static struct logdev *dev;
static struct stream *stream;
static uint8_t data[2][FILE_BYTES];
static uint64_t random_state;

static uint64_t roll(uint64_t limit)
{
	return sim_random(&random_state, limit);
}

static int set_up(void **state)
{
	random_state = 77;
	disk = sim_disk_create(5);
	for (uint32_t file = 0; file < 2; file++) {
		for (size_t i = 0; i < FILE_BYTES; i += 4) {
			uint32_t word = (uint32_t)(i * 2654435761u) + file;

			memcpy(data[file] + i, &word, sizeof(word));
		}
		sim_disk_put(disk, file, data[file], FILE_BYTES);
	}
	dev = sim_disk_logdev(disk);
	return stream_create(&stream, dev);
}

static int tear_down(void **state)
{
	stream_destroy(stream);
	dev->ops->destroy(dev);
	sim_disk_destroy(disk);
	return 0;
}

static uint64_t open_file(uint32_t number)
{
	uint64_t bytes = 0;
	int handle = dev->ops->open(dev, number, &bytes);

	assert_true(handle >= 0);
	stream_open(stream, handle, bytes);
	return bytes;
}

static void look(uint32_t file, uint64_t offset, size_t bytes)
{
	const uint8_t *at = NULL;

	assert_int_equal(stream_look(stream, offset, bytes, &at), 0);
	assert_memory_equal(at, data[file] + offset, bytes);
}

static void whole_files_one_after_the_other(void **state)
{
	for (uint32_t file = 0; file < 2; file++) {
		uint64_t bytes = open_file(file);

		assert_int_equal(bytes, FILE_BYTES);
		for (uint64_t offset = 0; offset < bytes; offset += BLOCK)
			look(file, offset, BLOCK);
	}
}

/* As recovery does: a block, then the group that begins there, of any length. */
static void groups_of_any_length(void **state)
{
	for (uint32_t seed = 0; seed < SEEDS; seed++) {
		uint32_t file = seed % 2;
		uint64_t offset = 0;

		sim_disk_delay(disk, seed % 5);
		open_file(file);
		while (offset < FILE_BYTES) {
			uint64_t left = FILE_BYTES - offset;
			uint64_t bytes = 1 + roll(roll(2) ? BLOCK * 4 : ABAFT_LOG_GROUP_BYTES_MAX);

			bytes = bytes < left ? bytes : left;
			look(file, offset, left < BLOCK ? left : BLOCK);
			look(file, offset, bytes);
			offset += (bytes + BLOCK - 1) / BLOCK * BLOCK;
		}
	}
}

static void jumps_and_files_left_in_the_middle(void **state)
{
	for (uint32_t i = 0; i < 300; i++) {
		uint64_t offset = roll(FILE_BYTES / BLOCK) * BLOCK;
		uint64_t left = FILE_BYTES - offset;
		uint64_t bytes =
			1 +
			roll(left < ABAFT_LOG_GROUP_BYTES_MAX ? left : ABAFT_LOG_GROUP_BYTES_MAX);

		if (i % 7 == 0)
			open_file(i % 2);
		look(i / 7 * 7 % 2, offset, bytes);
	}
}

static void what_does_not_come(void **state)
{
	const uint8_t *at;
	int error = 0;

	open_file(0);
	assert_int_equal(stream_look(stream, FILE_BYTES - BLOCK, 2 * BLOCK, &at), -EIO);
	sim_disk_bad_block(disk, 0, (2u << 20) / BLOCK + 1);
	look(0, 0, 2u << 20); /* what comes before it is there */
	assert_int_equal(stream_look(stream, 0, (2u << 20) + BLOCK, &at), -EIO);
	open_file(1);
	look(1, 0, 3u << 20);
	sim_disk_bad_block(disk, UINT32_MAX, 0);
	open_file(0); /* starts over */
	look(0, 0, 3u << 20);
	open_file(1); /* what was in flight has come */
	sim_disk_short_fetch(disk, 1);
	for (uint64_t offset = 0; offset < FILE_BYTES && !error; offset += BLOCK)
		error = stream_look(stream, offset, BLOCK, &at);
	assert_int_equal(error, -EIO);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(whole_files_one_after_the_other, set_up, tear_down),
		cmocka_unit_test_setup_teardown(groups_of_any_length, set_up, tear_down),
		cmocka_unit_test_setup_teardown(jumps_and_files_left_in_the_middle, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(what_does_not_come, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
