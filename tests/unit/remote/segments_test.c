/* SPDX-License-Identifier: Apache-2.0 */
/* What is known of a segment: where its groups begin, and what to get for some bytes of it. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "dataplane/remote/remote_impl.h"
#include "tests/lib/logdev_sim.h"
#include "tests/unit/remote/process.h"

#define LOG   5u
#define BLOCK ABAFT_LOG_BLOCK_BYTES

struct bed {
	struct fake_store *store;
	struct process process;
	struct remote_segment *segment;
	uint64_t random;
	uint8_t *image; /* what the segment's bytes are */
	uint64_t bytes;
};

static void begin(struct bed *bed, uint64_t seed, uint64_t bytes)
{
	const struct remote_id id = {3, 9};

	memset(bed, 0, sizeof(*bed));
	bed->store = fake_store_create(seed);
	bed->random = seed;
	bed->bytes = bytes;
	process_start(&bed->process, bed->store, 1);
	assert_int_equal(remote_segment_new(bed->process.remote, LOG, &id, bytes), 0);
	bed->segment = remote_segment_find(bed->process.remote, LOG, 3);
	assert_non_null(bed->segment);
	bed->image = calloc(1, bytes);
	assert_non_null(bed->image);
}

static void end(struct bed *bed)
{
	process_end(&bed->process);
	fake_store_destroy(bed->store);
	free(bed->image);
}

static uint32_t roll(struct bed *bed, uint32_t limit)
{
	return (uint32_t)sim_random(&bed->random, limit);
}

/* Slowly, from what was set. */
static bool slow_start(const bool *set, uint32_t block, uint32_t *start)
{
	for (uint32_t i = block + 1; i-- > 0;)
		if (set[i]) {
			*start = i;
			return true;
		}
	return false;
}

static uint32_t slow_next(const bool *set, uint32_t blocks, uint32_t block)
{
	for (uint32_t i = block + 1; i < blocks; i++)
		if (set[i])
			return i;
	return blocks;
}

static void check_bits(const struct remote_segment *segment, const bool *set, uint32_t blocks)
{
	for (uint32_t block = 0; block < blocks; block++) {
		uint32_t start = UINT32_MAX, wanted = UINT32_MAX;
		bool found = remote_segment_start(segment, block, &start);

		assert_int_equal(found, slow_start(set, block, &wanted));
		assert_int_equal(start, wanted);
		assert_int_equal(remote_segment_next(segment, block),
				 slow_next(set, blocks, block));
	}
}

/* Single bits at the borders of words, and segments that end before, at and behind one. */
static void starts_at_borders_of_words(void **state)
{
	static const uint32_t lengths[] = {1, 2, 63, 64, 65, 127, 128, 129, 192, 300};

	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		uint32_t blocks = lengths[i];

		for (uint32_t block = 0; block < blocks; block++) {
			bool set[300] = {false};
			struct bed bed;

			if (block > 1 && block + 2 < blocks && block % 64 > 1 && block % 64 < 62)
				continue;
			begin(&bed, 1, (uint64_t)blocks * BLOCK);
			check_bits(bed.segment, set, blocks);
			set[block] = true;
			remote_segment_set(bed.segment, block);
			check_bits(bed.segment, set, blocks);
			end(&bed);
		}
	}
}

static void starts_anywhere(void **state)
{
	for (uint64_t seed = 1; seed <= 60; seed++) {
		bool set[700] = {false};
		struct bed bed;
		uint32_t blocks, sets;

		begin(&bed, seed, 700 * BLOCK);
		blocks = 1 + roll(&bed, 700);
		end(&bed);
		begin(&bed, seed, (uint64_t)blocks * BLOCK);
		sets = roll(&bed, seed % 2 ? 8 : blocks + 1);
		for (uint32_t i = 0; i < sets; i++) {
			uint32_t block = roll(&bed, blocks);

			set[block] = true;
			remote_segment_set(bed.segment, block);
		}
		check_bits(bed.segment, set, blocks);
		end(&bed);
	}
}

/* A group of `bytes` bytes at `block`, as the device writes it: `parts` behind the first of which
 * bit i of `missing` says that it is not there. */
static void put_group(struct bed *bed, uint32_t block, uint32_t bytes, uint64_t missing)
{
	const struct remote *remote = bed->process.remote;
	uint32_t object = REMOTE_WRITER_BYTES + bytes;
	uint8_t *data = malloc(object);
	uint8_t *image = bed->image + (uint64_t)block * BLOCK;

	assert_non_null(data);
	memset(data, 0xee, REMOTE_WRITER_BYTES);
	for (uint32_t i = REMOTE_WRITER_BYTES; i < object; i++)
		data[i] = (uint8_t)(1 + roll(bed, 255));
	for (uint32_t part = 0; part * remote->part_bytes < object; part++) {
		uint32_t from = part * remote->part_bytes;
		uint32_t n =
			object - from < remote->part_bytes ? object - from : remote->part_bytes;
		struct engine_name name;

		if (part < 64 && missing >> part & 1) {
			memset(data + from, 0, n);
			continue;
		}
		remote_name_part(&name, LOG, &bed->segment->id, block, part);
		fake_store_put(bed->store, name.dir, name.leaf, data + from, n);
	}
	memcpy(image, data + REMOTE_WRITER_BYTES, bytes);
	remote_segment_set(bed->segment, block);
	free(data);
}

/* Reads bytes as the device does, into memory that was something else before. */
static int read_bytes(struct bed *bed, uint64_t offset, uint32_t bytes, uint8_t *to, uint32_t max)
{
	struct remote *remote = bed->process.remote;
	struct engine_item *items = calloc(max + 1, sizeof(*items));
	struct engine_op op = {.verb = ENGINE_GET, .items = items};
	int count, error;

	assert_non_null(items);
	items[max].bytes = 0x1234567; /* behind the end */
	memset(to, 0xdb, bytes);
	count = remote_pieces(remote, LOG, bed->segment, offset, bytes, to, items, max);
	assert_int_equal(items[max].bytes, 0x1234567);
	if (count > 0) {
		op.count = (uint32_t)count;
		error = remote_call(remote, &op);
		assert_true(error == 0 || error == -ENOENT);
		assert_int_equal(remote_pieces_end(items, op.count), 0);
	}
	free(items);
	return count;
}

/* As many items as a read of so many bytes may need, by the device's own reckoning. */
static uint32_t items_max(uint32_t bytes)
{
	return bytes / BLOCK + REMOTE_PARTS_MAX;
}

static void check_read(struct bed *bed, uint64_t offset, uint32_t bytes)
{
	uint8_t *to = malloc(bytes + 1);
	int count = read_bytes(bed, offset, bytes, to, items_max(bytes));

	assert_true(count >= 0);
	if (memcmp(to, bed->image + offset, bytes) != 0)
		fail_msg("%u bytes at %llu are wrong", bytes, (unsigned long long)offset);
	if (count > 0)
		assert_int_equal(read_bytes(bed, offset, bytes, to, (uint32_t)count - 1), -E2BIG);
	free(to);
}

/* Groups of all lengths, with holes between them, of many and of few parts, read anywhere. */
static void pieces_are_the_bytes(void **state)
{
	static const uint32_t parts[] = {REMOTE_PART_BYTES_MIN, REMOTE_PART_BYTES_MIN + 24, 100000,
					 ABAFT_LOG_GROUP_BYTES_MAX + REMOTE_WRITER_BYTES};

	for (uint64_t seed = 1; seed <= 40; seed++) {
		const uint64_t segment = 6 << 20;
		struct bed bed;
		uint32_t block = 0;

		begin(&bed, seed, segment);
		bed.process.remote->part_bytes = parts[seed % 4];
		block = roll(&bed, 3) ? 0 : roll(&bed, 100);
		while (block < segment / BLOCK) {
			uint32_t most = roll(&bed, 6) ? 9000 : 1500000, bytes, left;
			uint64_t missing = roll(&bed, 8) ? 0 : roll(&bed, 1 << 16);

			left = (uint32_t)(segment - (uint64_t)block * BLOCK);
			bytes = 1 + roll(&bed, most);
			bytes = bytes < left ? bytes : left;
			put_group(&bed, block, bytes, missing);
			block += (bytes + BLOCK - 1) / BLOCK;
			block += roll(&bed, 4) ? 0 : roll(&bed, 200);
		}
		check_read(&bed, 0, 1 << 20);
		check_read(&bed, segment - (1 << 20), 1 << 20);
		for (int i = 0; i < 60; i++) {
			uint32_t bytes = 1 + roll(&bed, roll(&bed, 4) ? 5000 : 1 << 20);
			uint64_t offset = sim_random(&bed.random, segment - bytes + 1);

			check_read(&bed, offset, bytes);
			check_read(&bed, offset / BLOCK * BLOCK, bytes);
		}
		end(&bed);
	}
}

/* The largest group there can be, in the smallest parts: all of it in one read. */
static void the_largest_group(void **state)
{
	struct bed bed;

	begin(&bed, 1, 8 << 20);
	bed.process.remote->part_bytes = REMOTE_PART_BYTES_MIN;
	put_group(&bed, 0, ABAFT_LOG_GROUP_BYTES_MAX, 0);
	put_group(&bed, ABAFT_LOG_GROUP_BYTES_MAX / BLOCK, ABAFT_LOG_GROUP_BYTES_MAX - 100, 0);
	check_read(&bed, 0, ABAFT_LOG_GROUP_BYTES_MAX);
	check_read(&bed, 1, ABAFT_LOG_GROUP_BYTES_MAX);
	check_read(&bed, 2 << 20, ABAFT_LOG_GROUP_BYTES_MAX);
	end(&bed);
}

/* A segment of one-block groups: an item for each, and one more for what the first begins in. */
static void the_most_groups(void **state)
{
	struct bed bed;

	begin(&bed, 1, 2 << 20);
	for (uint32_t block = 0; block < (2 << 20) / BLOCK; block++)
		put_group(&bed, block, 1 + block, 0);
	check_read(&bed, 0, 1 << 20);
	check_read(&bed, 100, 1 << 20);
	end(&bed);
}

/* Where no group is, nothing is asked for, and all is zeros. */
static void holes(void **state)
{
	uint8_t to[3 * BLOCK], zeros[3 * BLOCK] = {0};
	struct bed bed;

	begin(&bed, 1, 16 << 20);
	assert_int_equal(read_bytes(&bed, 8 << 20, sizeof(to), to, 8), 0);
	assert_memory_equal(to, zeros, sizeof(to));
	put_group(&bed, 2, 100, 0);
	assert_int_equal(read_bytes(&bed, 0, 2 * BLOCK, to, 8), 0);
	assert_memory_equal(to, zeros, 2 * BLOCK);
	/* Further behind a group than any reaches. */
	assert_int_equal(read_bytes(&bed, 8 << 20, sizeof(to), to, 8), 0);
	assert_memory_equal(to, zeros, sizeof(to));
	check_read(&bed, BLOCK, 2 * BLOCK);
	end(&bed);
}

/* An object that is not there reads as zeros; one that cannot be had is an error. */
static void pieces_end(void **state)
{
	struct engine_item items[4] = {{.result = 0}, {.result = -ENOENT}};

	assert_int_equal(remote_pieces_end(items, 2), 0);
	items[2].result = -ETIMEDOUT;
	items[3].result = -EACCES;
	assert_int_equal(remote_pieces_end(items, 4), -ETIMEDOUT);
	assert_int_equal(remote_pieces_end(items + 3, 1), -EACCES);
}

/* Segments are found by log and number, and go one by one. */
static void segments_found(void **state)
{
	struct bed bed;
	struct remote *remote;
	struct remote_segment *other;

	begin(&bed, 1, 1 << 20);
	remote = bed.process.remote;
	assert_int_equal(remote_segment_new(remote, LOG, &(struct remote_id){4, 9}, 1 << 20), 0);
	assert_int_equal(remote_segment_new(remote, 6, &(struct remote_id){3, 1}, 2 << 20), 0);
	other = remote_segment_find(remote, 6, 3);
	assert_int_equal(other->bytes, 2 << 20);
	assert_ptr_equal(remote_segment_find(remote, LOG, 3), bed.segment);
	assert_null(remote_segment_find(remote, LOG, 5));
	assert_null(remote_segment_find(remote, 0, 3));
	assert_int_equal(remote_segment_remove(remote, LOG, bed.segment), 0);
	assert_null(remote_segment_find(remote, LOG, 3));
	assert_non_null(remote_segment_find(remote, LOG, 4));
	assert_ptr_equal(remote_segment_find(remote, 6, 3), other);
	end(&bed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(starts_at_borders_of_words),
		cmocka_unit_test(starts_anywhere),
		cmocka_unit_test(pieces_are_the_bytes),
		cmocka_unit_test(the_largest_group),
		cmocka_unit_test(the_most_groups),
		cmocka_unit_test(holes),
		cmocka_unit_test(pieces_end),
		cmocka_unit_test(segments_found),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
