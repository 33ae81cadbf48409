/* SPDX-License-Identifier: Apache-2.0 */
/* A log's device over a storage engine, without a log: what is written when, and what is left. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "dataplane/log/format.h"
#include "dataplane/remote/remote_impl.h"
#include "tests/lib/logdev_sim.h"
#include "tests/unit/remote/process.h"

#define LOG	      7u
#define BLOCK	      ABAFT_LOG_BLOCK_BYTES
#define BUFFERS	      4u
#define SEGMENT_BYTES (8u << 20)
#define PART_BYTES    (64u << 10)
#define MARKER(s, i)  s "-" i "-0000800000"

struct user {
	struct process process;
	struct logdev *dev;
	uint8_t *buffer[BUFFERS], *fetched;
	int handle;
};

static void begin(struct user *user, struct fake_store *store, uint32_t writer)
{
	memset(user, 0, sizeof(*user));
	process_start(&user->process, store, writer);
	user->dev = process_logdev(&user->process, LOG);
	for (uint32_t i = 0; i < BUFFERS; i++)
		assert_int_equal(
			posix_memalign((void **)&user->buffer[i], BLOCK, ABAFT_LOG_GROUP_BYTES_MAX),
			0);
	user->fetched = malloc(1 << 20);
	assert_non_null(user->fetched);
	assert_int_equal(
		user->dev->ops->start(user->dev, user->buffer, BUFFERS, ABAFT_LOG_GROUP_BYTES_MAX),
		0);
	assert_int_equal(user->dev->ops->start_reads(user->dev, &user->fetched, 1, 1 << 20), 0);
}

static void end(struct user *user)
{
	engine_close(user->process.engine, 0);
	user->dev->ops->destroy(user->dev);
	process_end(&user->process);
	for (uint32_t i = 0; i < BUFFERS; i++)
		free(user->buffer[i]);
	free(user->fetched);
}

/* Segment `number` of this incarnation is there, and attached to slot 0. */
static void take_segment(struct user *user, uint32_t number, uint32_t incarnation)
{
	uint64_t bytes;

	user->dev->incarnation = incarnation;
	assert_int_equal(user->dev->ops->create(user->dev, number, SEGMENT_BYTES), 0);
	user->handle = user->dev->ops->open(user->dev, number, &bytes);
	assert_true(user->handle >= 0);
	assert_int_equal(bytes, SEGMENT_BYTES);
	assert_int_equal(user->dev->ops->attach(user->dev, 0, user->handle), 0);
}

/* A group of so many bytes, header included, in a buffer. */
static void make_group(struct user *user, uint32_t buffer, uint32_t bytes, uint16_t flags)
{
	struct group_header *header = (struct group_header *)user->buffer[buffer];
	uint64_t seed = bytes * 31 + buffer;

	for (uint32_t i = 0; i < bytes; i++)
		user->buffer[buffer][i] = (uint8_t)(1 + sim_random(&seed, 255));
	*header = (struct group_header){.payload_bytes = bytes - LOG_GROUP_HEADER_BYTES,
					.flags = flags};
}

static void write_group(struct user *user, uint32_t buffer, uint32_t block, uint32_t bytes)
{
	const struct logdev_write write = {.buffer = buffer,
					   .bytes = format_blocks_up(bytes),
					   .offset = (uint64_t)block * BLOCK,
					   .tag = 100 + buffer,
					   .sync = true};

	user->dev->ops->write(user->dev, &write);
	assert_int_equal(user->dev->ops->submit(user->dev), 0);
}

/* The next that ends: its result. */
static int wait_one(struct user *user, uint64_t tag)
{
	struct logdev_done done;

	for (int i = 0; i < 100000; i++)
		if (user->dev->ops->poll(user->dev, &done, 1) == 1) {
			assert_int_equal(done.tag, tag);
			return done.result;
		}
	fail_msg("it never ends");
	return 0;
}

static int put_group(struct user *user, uint32_t block, uint32_t bytes, uint16_t flags)
{
	make_group(user, 0, bytes, flags);
	write_group(user, 0, block, bytes);
	return wait_one(user, 100);
}

static const struct remote_segment *segment_of(const struct user *user, uint32_t number)
{
	return remote_segment_find(user->process.remote, LOG, number);
}

static bool starts_at(const struct remote_segment *segment, uint32_t block)
{
	uint32_t start;

	return remote_segment_start(segment, block, &start) && start == block;
}

static bool is_there(const struct fake_store *store, const char *dir, const char *leaf)
{
	return fake_store_find(store, dir, leaf, NULL) != NULL;
}

/* An object is the writer's id and the group; it counts when it is durable, not before. */
static void a_group(void **state)
{
	struct fake_store *store = fake_store_create(1);
	const uint8_t *data;
	struct user user;
	uint32_t bytes;

	begin(&user, store, 1);
	take_segment(&user, 2, 5);
	assert_true(is_there(store, "log-007", MARKER("00000002", "00000005")));
	assert_true(is_there(store, "logs", "007"));
	make_group(&user, 1, 5000, 0);
	fake_store_outage(store, 50);
	write_group(&user, 1, 3, 5000);
	for (int i = 0; i < 40; i++) {
		struct logdev_done done;

		assert_int_equal(user.dev->ops->poll(user.dev, &done, 1), 0);
		assert_false(starts_at(segment_of(&user, 2), 3));
	}
	assert_int_equal(wait_one(&user, 101), 0);
	assert_true(starts_at(segment_of(&user, 2), 3));
	data = fake_store_find(store, "log-007-00000002-00000005", "00000003", &bytes);
	assert_non_null(data);
	assert_int_equal(bytes, REMOTE_WRITER_BYTES + 5000);
	assert_memory_equal(data, user.process.writer, REMOTE_WRITER_BYTES);
	assert_memory_equal(data + REMOTE_WRITER_BYTES, user.buffer[1], 5000);
	end(&user);
	fake_store_destroy(store);
}

/* Of a large group the first part is written when all others are there. */
static void parts_before_the_first(void **state)
{
	static const char dir[] = "log-007-00000000-00000001";

	for (uint64_t seed = 1; seed <= 30; seed++) {
		struct fake_store *store = fake_store_create(seed);
		struct logdev_done done;
		struct user user;
		uint32_t part, bytes, total = 0;

		fake_faults(store)->value_max = PART_BYTES;
		fake_faults(store)->delay = 9;
		fake_faults(store)->lost_put = seed % 3 ? 3 : 0;
		begin(&user, store, 1);
		take_segment(&user, 0, 1);
		make_group(&user, 0, 1 << 20, 0);
		write_group(&user, 0, 0, 1 << 20);
		while (user.dev->ops->poll(user.dev, &done, 1) == 0) {
			assert_false(starts_at(segment_of(&user, 0), 0));
			if (is_there(store, dir, "00000000"))
				assert_int_equal(fake_store_count(store, dir), 17);
		}
		assert_int_equal(done.result, 0);
		for (part = 0; part < 17; part++) {
			char leaf[ENGINE_LEAF_BYTES];
			const uint8_t *data;

			snprintf(leaf, sizeof(leaf), part ? "00000000-%04x" : "00000000", part);
			data = fake_store_find(store, dir, leaf, &bytes);
			assert_non_null(data);
			if (part == 0)
				assert_memory_equal(data + REMOTE_WRITER_BYTES, user.buffer[0],
						    bytes - REMOTE_WRITER_BYTES);
			else
				assert_memory_equal(
					data, user.buffer[0] + total - REMOTE_WRITER_BYTES, bytes);
			total += bytes;
		}
		assert_int_equal(total, REMOTE_WRITER_BYTES + (1 << 20));
		end(&user);
		fake_store_destroy(store);
	}
}

/* Of two writers of one place one is refused; what it has in memory does not say it was written. */
static void refused(void **state)
{
	struct fake_store *store = fake_store_create(1);
	struct user first, second;

	begin(&first, store, 1);
	begin(&second, store, 2);
	take_segment(&first, 0, 1);
	take_segment(&second, 0, 1);
	assert_int_equal(put_group(&first, 0, 700, 0), 0);
	assert_int_equal(put_group(&second, 0, 700, 0), -ESTALE);
	assert_true(starts_at(segment_of(&first, 0), 0));
	assert_false(starts_at(segment_of(&second, 0), 0));
	/* Its own once more is none of others'. */
	assert_int_equal(put_group(&first, 0, 700, 0), 0);
	end(&first);
	end(&second);
	fake_store_destroy(store);
}

/* Over an engine that refuses nothing nobody is shut out: what docs/engines.md warns of. */
static void not_refused(void **state)
{
	struct fake_store *store = fake_store_create(1);
	struct user first, second;

	fake_faults(store)->unconditional = true;
	begin(&first, store, 1);
	begin(&second, store, 2);
	take_segment(&first, 0, 1);
	take_segment(&second, 0, 1);
	assert_int_equal(put_group(&first, 0, 700, 0), 0);
	assert_int_equal(put_group(&second, 0, 800, 0), 0);
	end(&first);
	end(&second);
	fake_store_destroy(store);
}

/* The engine's own errors come as they are. */
static void failed(void **state)
{
	struct fake_store *store = fake_store_create(1);
	struct user user;

	fake_faults(store)->value_max = PART_BYTES;
	begin(&user, store, 1);
	take_segment(&user, 0, 1);
	fake_store_fail(store, ENGINE_PUT_NEW, -EACCES);
	assert_int_equal(put_group(&user, 0, 700, 0), -EACCES);
	fake_store_fail(store, ENGINE_PUT_NEW, 0);
	fake_store_fail(store, ENGINE_PUT, -ENOSPC);
	assert_int_equal(put_group(&user, 0, 200000, 0), -ENOSPC);
	assert_false(starts_at(segment_of(&user, 0), 0));
	assert_false(is_there(store, "log-007-00000000-00000001", "00000000"));
	assert_int_equal(user.dev->ops->create(user.dev, 1, SEGMENT_BYTES), -ENOSPC);
	fake_store_fail(store, ENGINE_PUT, 0);
	assert_int_equal(user.dev->ops->create(user.dev, 1, SEGMENT_BYTES), 0);
	assert_int_equal(user.dev->ops->recycle(user.dev, 0, 2), -EOPNOTSUPP);
	assert_int_equal(user.dev->ops->remove(user.dev, 9), -ENOENT);
	end(&user);
	fake_store_destroy(store);
}

static int fetch(struct user *user, uint64_t offset, uint32_t bytes)
{
	const struct logdev_fetch wanted = {.from = user->dev,
					    .handle = user->handle,
					    .bytes = bytes,
					    .offset = offset,
					    .tag = 9};

	memset(user->fetched, 0xdb, bytes);
	user->dev->ops->fetch(user->dev, &wanted);
	assert_int_equal(user->dev->ops->submit(user->dev), 0);
	return wait_one(user, LOGDEV_FETCH | 9);
}

/* Bytes of several groups, holes between them, and the segment's end; by both ways of reading. */
static void reads(void **state)
{
	struct fake_store *store = fake_store_create(1);
	uint8_t *expected = calloc(1, SEGMENT_BYTES), *read = malloc(1 << 20);
	struct user user;

	fake_faults(store)->value_max = PART_BYTES;
	fake_faults(store)->delay = 5;
	begin(&user, store, 1);
	take_segment(&user, 0, 1);
	for (uint32_t block = 0, i = 0; block < SEGMENT_BYTES / BLOCK - 300; i++) {
		uint32_t bytes = 200 + (i % 7 == 6 ? 400000 : i % 3 * 5000);

		assert_int_equal(put_group(&user, block, bytes, 0), 0);
		memcpy(expected + (uint64_t)block * BLOCK, user.buffer[0], bytes);
		block += format_blocks_up(bytes) / BLOCK + i % 4;
	}
	for (uint64_t offset = 0; offset < SEGMENT_BYTES; offset += 123 * BLOCK) {
		uint32_t left = SEGMENT_BYTES - (uint32_t)offset;
		uint32_t want = 1 << 20, got = left < want ? left : want;

		assert_int_equal(fetch(&user, offset, want), got);
		assert_memory_equal(user.fetched, expected + offset, got);
		assert_int_equal(user.dev->ops->read(user.dev, user.handle, read, want, offset),
				 got);
		assert_memory_equal(read, expected + offset, got);
		/* Fetches are of bytes, not of blocks. */
		assert_int_equal(fetch(&user, offset + 77, 1000), 1000);
		assert_memory_equal(user.fetched, expected + offset + 77, 1000);
	}
	assert_int_equal(fetch(&user, SEGMENT_BYTES, BLOCK), 0);
	assert_int_equal(user.dev->ops->read(user.dev, user.handle, read, BLOCK, SEGMENT_BYTES), 0);
	fake_store_fail(store, ENGINE_GET, -EACCES);
	assert_int_equal(fetch(&user, 0, BLOCK), -EACCES);
	assert_int_equal(user.dev->ops->read(user.dev, user.handle, read, BLOCK, 0), -EACCES);
	end(&user);
	free(expected);
	free(read);
	fake_store_destroy(store);
}

/* Removal, cut off at any request: the marker is there as long as a group is; who comes next ends
 * it; and then nothing is left. */
static void removal_cut_anywhere(void **state)
{
	static const enum engine_verb verbs[] = {ENGINE_PUT, ENGINE_LIST, ENGINE_DELETE};
	uint32_t cuts = 0;

	for (uint32_t i = 0; i < 30; i++) {
		struct fake_store *store = fake_store_create(i);
		uint32_t numbers[4];
		struct user user;
		int error;

		fake_faults(store)->value_max = PART_BYTES;
		begin(&user, store, 1);
		take_segment(&user, 0, 1);
		for (uint32_t block = 0; block < 60; block += 20)
			assert_int_equal(put_group(&user, block, 70000, 0), 0);
		take_segment(&user, 1, 1);
		fake_store_kill_at(store, verbs[i % 3], 1 + i / 3);
		error = user.dev->ops->remove(user.dev, 0);
		fake_store_kill_at(store, verbs[i % 3], 0);
		cuts += error != 0;
		end(&user);
		fake_store_run(store, 10);
		if (fake_store_count(store, "log-007-00000000") > 0)
			assert_true(is_there(store, "log-007", MARKER("00000000", "00000001")));

		begin(&user, store, 2);
		error = user.dev->ops->list(user.dev, numbers, 4);
		assert_in_range(error, 1, 2);
		if (error == 2)
			assert_int_equal(user.dev->ops->remove(user.dev, 0), 0);
		assert_int_equal(user.dev->ops->remove(user.dev, 1), 0);
		assert_int_equal(fake_store_count(store, "log-007"), 0);
		end(&user);
		fake_store_destroy(store);
	}
	assert_in_range(cuts, 8, 29);
}

/* E5: while the marker of a segment whose groups are gone is there, it says so. */
static void removal_is_announced(void **state)
{
	struct fake_store *store = fake_store_create(1);
	struct user user;

	begin(&user, store, 1);
	take_segment(&user, 0, 1);
	assert_int_equal(put_group(&user, 0, 700, 0), 0);
	assert_int_equal(remote_segments_same(user.process.remote, LOG, 0), 0);
	/* The process ends when the group has gone. */
	fake_store_kill_at(store, ENGINE_DELETE, 1);
	assert_int_equal(user.dev->ops->remove(user.dev, 0), -ECANCELED);
	fake_store_kill_at(store, ENGINE_DELETE, 0);
	end(&user);
	assert_int_equal(fake_store_count(store, "log-007-"), 0);
	assert_true(is_there(store, "log-007", MARKER("00000000", "00000001")));
	assert_true(is_there(store, "log-007", "00000000-00000001-0000000000"));
	begin(&user, store, 2);
	assert_int_equal(user.dev->ops->list(user.dev, (uint32_t[4]){0}, 4), 1);
	assert_int_equal(remote_segments_same(user.process.remote, LOG, 0), -ESTALE);
	end(&user);
	fake_store_destroy(store);
}

/* E4: the seal by which the log was opened stays, and what tells of it; nothing else does. */
static void the_seal_stays(void **state)
{
	static const char dir[] = "log-007-00000000-00000001";
	struct fake_store *store = fake_store_create(1);
	struct user first, second, third;

	begin(&first, store, 1);
	take_segment(&first, 0, 1);
	assert_int_equal(put_group(&first, 0, LOG_GROUP_HEADER_BYTES, LOG_FLAG_SEAL), 0);
	assert_int_equal(put_group(&first, 1, 900, 0), 0);
	/* Its later seals are none of this kind. */
	assert_int_equal(put_group(&first, 2, LOG_GROUP_HEADER_BYTES, LOG_FLAG_SEAL), 0);
	assert_false(is_there(store, dir, "00000002-ffff"));
	/* Who is refused leaves the hint at another's group. */
	begin(&second, store, 2);
	take_segment(&second, 0, 1);
	assert_int_equal(put_group(&second, 1, LOG_GROUP_HEADER_BYTES, LOG_FLAG_SEAL), -ESTALE);
	assert_true(is_there(store, dir, "00000001-ffff"));
	/* Removed by one that has listed it. */
	begin(&third, store, 3);
	assert_int_equal(third.dev->ops->list(third.dev, (uint32_t[4]){0}, 4), 1);
	assert_int_equal(third.dev->ops->remove(third.dev, 0), 0);
	assert_int_equal(fake_store_count(store, dir), 2);
	assert_true(is_there(store, dir, "00000000"));
	assert_true(is_there(store, dir, "00000000-ffff"));
	assert_int_equal(fake_store_count(store, "log-007"), 2);
	/* Whoever was thought dead is refused for ever. */
	assert_int_equal(put_group(&second, 0, 5000, 0), -ESTALE);
	end(&first);
	end(&second);
	end(&third);
	fake_store_destroy(store);
}

/* By the one that wrote it, too. */
static void the_seal_of_its_own_stays(void **state)
{
	struct fake_store *store = fake_store_create(1);
	struct user user;

	begin(&user, store, 1);
	take_segment(&user, 0, 1);
	assert_int_equal(put_group(&user, 0, LOG_GROUP_HEADER_BYTES, LOG_FLAG_SEAL), 0);
	assert_int_equal(put_group(&user, 1, 900, 0), 0);
	assert_int_equal(user.dev->ops->remove(user.dev, 0), 0);
	assert_int_equal(fake_store_count(store, "log-007"), 2);
	end(&user);
	fake_store_destroy(store);
}

/* E3. One made again under a higher incarnation, cut off anywhere: a number never lacks. */
static void made_again(void **state)
{
	bool done = false;

	for (uint32_t i = 1; !done; i++) {
		struct fake_store *store = fake_store_create(i);
		uint32_t numbers[4];
		struct user user;

		begin(&user, store, 1);
		take_segment(&user, 0, 1);
		take_segment(&user, 1, 1);
		assert_int_equal(put_group(&user, 0, 700, 0), 0);
		take_segment(&user, 2, 1);
		end(&user);
		begin(&user, store, 2);
		assert_int_equal(user.dev->ops->list(user.dev, numbers, 4), 3);
		user.dev->incarnation = 2;
		fake_store_kill_at(store, i % 2 ? ENGINE_DELETE : ENGINE_PUT, (i + 1) / 2);
		done = user.dev->ops->create(user.dev, 1, SEGMENT_BYTES) == 0 && i > 8;
		fake_store_kill_at(store, i % 2 ? ENGINE_DELETE : ENGINE_PUT, 0);
		end(&user);
		fake_store_run(store, 10);
		begin(&user, store, 3);
		assert_int_equal(user.dev->ops->list(user.dev, numbers, 4), 3);
		if (done) {
			assert_int_equal(segment_of(&user, 1)->id.incarnation, 2);
			assert_false(starts_at(segment_of(&user, 1), 0));
			assert_int_equal(fake_store_count(store, "log-007-00000001"), 0);
		}
		end(&user);
		fake_store_destroy(store);
	}
}

/* One of the same or of a higher incarnation stays as it is. */
static void not_made_again(void **state)
{
	struct fake_store *store = fake_store_create(1);
	struct user user;

	begin(&user, store, 1);
	take_segment(&user, 0, 3);
	assert_int_equal(put_group(&user, 0, 700, 0), 0);
	take_segment(&user, 0, 3);
	take_segment(&user, 0, 2);
	assert_int_equal(segment_of(&user, 0)->id.incarnation, 3);
	assert_true(starts_at(segment_of(&user, 0), 0));
	assert_int_equal(fake_store_count(store, "log-007"), 2);
	end(&user);
	fake_store_destroy(store);
}

/* Of several of one number, in a list, the highest counts; the others go, whatever is in them. */
static void the_highest_counts(void **state)
{
	struct fake_store *store = fake_store_create(1);
	const uint8_t *bytes = (const uint8_t *)"x";
	uint32_t numbers[4];
	struct user user;

	fake_store_put(store, "log-007", MARKER("00000003", "00000002"), bytes, 1);
	fake_store_put(store, "log-007", MARKER("00000003", "00000009"), bytes, 1);
	fake_store_put(store, "log-007", MARKER("00000003", "0000000a"), bytes, 1);
	fake_store_put(store, "log-007-00000003-00000002", "00000000", bytes, 1);
	fake_store_put(store, "log-007-00000003-00000009", "00000000-0001", bytes, 1);
	fake_store_put(store, "log-007-00000003-0000000a", "00000005", bytes, 1);
	begin(&user, store, 1);
	assert_int_equal(user.dev->ops->list(user.dev, numbers, 4), 1);
	assert_int_equal(numbers[0], 3);
	assert_int_equal(segment_of(&user, 3)->id.incarnation, 0xa);
	assert_true(starts_at(segment_of(&user, 3), 5));
	assert_int_equal(fake_store_count(store, "log-007"), 2);
	end(&user);
	fake_store_destroy(store);
}

/* What nobody of ours has written is said to be damage, not passed over. */
static void strange_names(void **state)
{
	static const char *const markers[] = {"00000003-00000002-0000800001", "00000003",
					      "00000003-00000002-00ff800000", "x"};
	static const char *const groups[] = {"0000000", "00000800", "00000001-1", "x"};
	const uint8_t *bytes = (const uint8_t *)"x";

	for (size_t i = 0; i < 4; i++) {
		struct fake_store *store = fake_store_create(1);
		struct user user;

		fake_store_put(store, "log-007", markers[i], bytes, 1);
		begin(&user, store, 1);
		assert_int_equal(user.dev->ops->list(user.dev, (uint32_t[4]){0}, 4), -EBADMSG);
		fake_store_erase(store, "log-007", markers[i]);
		fake_store_put(store, "log-007", MARKER("00000003", "00000002"), bytes, 1);
		fake_store_put(store, "log-007-00000003-00000002", groups[i], bytes, 1);
		assert_int_equal(user.dev->ops->list(user.dev, (uint32_t[4]){0}, 4), -EBADMSG);
		fake_store_erase(store, "log-007-00000003-00000002", groups[i]);
		assert_int_equal(user.dev->ops->list(user.dev, (uint32_t[4]){0}, 4), 1);
		end(&user);
		fake_store_destroy(store);
	}
}

/* Many segments, some of many pages, and pages that come slowly. */
static void lists(void **state)
{
	struct fake_store *store = fake_store_create(1);
	struct user user;
	uint32_t numbers[50];

	for (uint32_t s = 0; s < 40; s++) {
		uint32_t groups = s % 13 == 5 ? 2048 : s % 7;
		struct engine_name name;

		remote_name_marker(&name, LOG, &(struct remote_id){s, 1}, SEGMENT_BYTES);
		fake_store_put(store, name.dir, name.leaf, (const uint8_t *)"x", 1);
		for (uint32_t g = 0; g < groups; g++) {
			remote_name_part(&name, LOG, &(struct remote_id){s, 1},
					 2047 - (g * 3 + g % 3) % 2048, g % 5 == 4);
			fake_store_put(store, name.dir, name.leaf, (const uint8_t *)"x", 1);
		}
	}
	*fake_faults(store) = (struct fake_faults){.delay = 3, .list_delay = 5, .lost_other = 500};
	begin(&user, store, 1);
	assert_int_equal(user.dev->ops->list(user.dev, numbers, 39), -E2BIG);
	assert_int_equal(user.dev->ops->list(user.dev, numbers, 50), 40);
	for (uint32_t s = 0; s < 40; s++)
		for (uint32_t block = 0; block < 2048; block++) {
			struct engine_name name;

			remote_name_part(&name, LOG, &(struct remote_id){s, 1}, block, 0);
			assert_int_equal(starts_at(segment_of(&user, s), block),
					 is_there(store, name.dir, name.leaf));
		}
	end(&user);
	fake_store_destroy(store);
}

/* A list that cannot be had is an error, also in its midst. */
static void lists_fail(void **state)
{
	for (uint32_t at = 1; at < 30; at++) {
		struct fake_store *store = fake_store_create(at);
		struct user user;
		int error;

		begin(&user, store, 1);
		for (uint32_t s = 0; s < 20; s++)
			take_segment(&user, s, 1);
		end(&user);
		begin(&user, store, 2);
		fake_store_kill_at(store, ENGINE_LIST, at);
		error = user.dev->ops->list(user.dev, (uint32_t[50]){0}, 50);
		fake_store_kill_at(store, ENGINE_LIST, 0);
		assert_int_equal(error, at <= 21 ? -ECANCELED : 20);
		end(&user);
		fake_store_destroy(store);
	}
}

/* The directory of logs. */
static void logs(void **state)
{
	struct fake_store *store = fake_store_create(1);
	uint32_t numbers[ABAFT_LOGS_MAX];
	struct user user;

	begin(&user, store, 1);
	assert_int_equal(remote_logs(user.process.remote, numbers), 0);
	take_segment(&user, 0, 1);
	assert_int_equal(remote_logs(user.process.remote, numbers), 1);
	assert_int_equal(numbers[0], LOG);
	fake_store_put(store, "logs", "064", (const uint8_t *)"x", 1);
	fake_store_put(store, "logs", "000", (const uint8_t *)"x", 1);
	assert_int_equal(remote_logs(user.process.remote, numbers), 3);
	assert_int_equal(numbers[0], 0);
	assert_int_equal(numbers[2], 64);
	fake_store_put(store, "logs", "065", (const uint8_t *)"x", 1);
	assert_int_equal(remote_logs(user.process.remote, numbers), -EBADMSG);
	end(&user);
	fake_store_destroy(store);
}

/* The log is announced before its first marker: the process ends in between. */
static void announced_first(void **state)
{
	for (uint32_t at = 1; at <= 2; at++) {
		struct fake_store *store = fake_store_create(1);
		struct user user;

		begin(&user, store, 1);
		fake_store_kill_at(store, ENGINE_PUT, at);
		assert_int_equal(user.dev->ops->create(user.dev, 0, SEGMENT_BYTES), -ECANCELED);
		assert_true(is_there(store, "logs", "007"));
		assert_int_equal(fake_store_count(store, "log-007"), at - 1);
		end(&user);
		fake_store_destroy(store);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_group),
		cmocka_unit_test(parts_before_the_first),
		cmocka_unit_test(refused),
		cmocka_unit_test(not_refused),
		cmocka_unit_test(failed),
		cmocka_unit_test(reads),
		cmocka_unit_test(removal_cut_anywhere),
		cmocka_unit_test(removal_is_announced),
		cmocka_unit_test(the_seal_stays),
		cmocka_unit_test(the_seal_of_its_own_stays),
		cmocka_unit_test(made_again),
		cmocka_unit_test(not_made_again),
		cmocka_unit_test(the_highest_counts),
		cmocka_unit_test(strange_names),
		cmocka_unit_test(lists),
		cmocka_unit_test(lists_fail),
		cmocka_unit_test(logs),
		cmocka_unit_test(announced_first),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
