/* SPDX-License-Identifier: Apache-2.0 */
/* Checkpoints over a storage engine: there wholly or not at all, and whose they are. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "dataplane/remote/remote_impl.h"
#include "tests/lib/logdev_sim.h"
#include "tests/unit/remote/process.h"

#define BLOCK ABAFT_LOG_BLOCK_BYTES

/* A process that has opened the kept log as this incarnation, and its device. */
struct maker {
	struct process process;
	struct filedev *dev;
};

static void start(struct maker *maker, struct fake_store *store, uint32_t writer,
		  uint32_t incarnation)
{
	process_start(&maker->process, store, writer);
	atomic_store(&maker->process.remote->log[ABAFT_LOG_KEPT].incarnation, incarnation);
	assert_int_equal(remote_filedev(maker->process.remote, &maker->dev), 0);
}

static void end(struct maker *maker)
{
	engine_close(maker->process.engine, 0);
	maker->dev->ops->destroy(maker->dev);
	process_end(&maker->process);
}

/* Its bytes follow from its number and from who made it. */
static void fill(uint32_t number, uint32_t writer, uint8_t *to, size_t bytes)
{
	uint64_t seed = (uint64_t)number << 32 | writer;

	for (size_t i = 0; i < bytes; i += 8) {
		uint64_t word = sim_random(&seed, UINT64_MAX);

		memcpy(to + i, &word, 8);
	}
}

/* Writes it in pieces of `step` bytes. */
static int make(struct maker *maker, uint32_t number, uint32_t writer, size_t bytes, size_t step)
{
	struct filedev *dev = maker->dev;
	uint8_t *data = malloc(bytes + 8);
	int error = dev->ops->create(dev, number);

	assert_non_null(data);
	fill(number, writer, data, bytes);
	for (size_t at = 0; at < bytes && !error; at += step) {
		error = dev->ops->append(dev, data + at, bytes - at < step ? bytes - at : step);
		if (error)
			dev->ops->abandon(dev);
	}
	free(data);
	return error ? error : dev->ops->finish(dev);
}

/* Reads it, in pieces of `step` bytes: 0 if it is what that writer made. */
static int check(struct maker *maker, uint32_t number, uint32_t writer, size_t step)
{
	struct filedev *dev = maker->dev;
	uint64_t bytes = 0;
	int handle = dev->ops->open(dev, number, &bytes), error = 0;
	uint8_t *data = malloc(bytes + 8), *expected = malloc(bytes + 8);

	if (handle < 0) {
		free(data);
		free(expected);
		return handle;
	}
	fill(number, writer, expected, bytes);
	for (size_t at = 0; at < bytes && !error; at += step) {
		size_t n = bytes - at < step ? bytes - at : step;
		ssize_t got = dev->ops->read(dev, handle, data + at, step, at);

		error = got < 0 ? (int)got : 0;
		if (!error)
			assert_int_equal(got, n);
	}
	if (!error && memcmp(data, expected, bytes) != 0)
		error = -EILSEQ;
	dev->ops->close(dev, handle);
	free(data);
	free(expected);
	return error;
}

static int list(struct maker *maker, uint32_t *numbers, size_t max)
{
	return maker->dev->ops->list(maker->dev, numbers, max);
}

/* One that is there whole, as another process reads it; then it goes, with all of its pieces. */
static void whole(void **state)
{
	static const size_t sizes[] = {BLOCK,	    15 * BLOCK,	 16 * BLOCK, 17 * BLOCK,
				       200 * BLOCK, 128 * BLOCK, 129 * BLOCK};
	struct fake_store *store = fake_store_create(1);
	struct maker maker, reader;
	uint32_t numbers[8], before;

	fake_faults(store)->value_max = 64 << 10;
	start(&maker, store, 1, 1);
	before = fake_store_count(store, NULL);
	for (uint32_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		assert_int_equal(make(&maker, i + 1, 1, sizes[i], i % 2 ? BLOCK : 40 * BLOCK), 0);
		start(&reader, store, 2, 0);
		assert_int_equal(list(&reader, numbers, 8), 1);
		assert_int_equal(numbers[0], i + 1);
		assert_int_equal(check(&reader, i + 1, 1, 3 * BLOCK), 0);
		assert_int_equal(check(&reader, i + 1, 1, sizes[i]), 0);
		end(&reader);
		assert_int_equal(maker.dev->ops->remove(maker.dev, i + 1), 0);
		assert_int_equal(maker.dev->ops->remove(maker.dev, i + 1), -ENOENT);
		assert_int_equal(list(&maker, numbers, 8), 0);
		assert_int_equal(fake_store_count(store, NULL), before);
	}
	end(&maker);
	fake_store_destroy(store);
}

static void reads_at_the_end(void **state)
{
	struct fake_store *store = fake_store_create(1);
	struct maker maker;
	uint8_t data[3 * BLOCK];
	uint64_t bytes;
	int handle;

	start(&maker, store, 1, 1);
	assert_int_equal(make(&maker, 1, 1, 2 * BLOCK, BLOCK), 0);
	handle = maker.dev->ops->open(maker.dev, 1, &bytes);
	assert_int_equal(bytes, 2 * BLOCK);
	assert_int_equal(maker.dev->ops->read(maker.dev, handle, data, 3 * BLOCK, 0), 2 * BLOCK);
	assert_int_equal(maker.dev->ops->read(maker.dev, handle, data, BLOCK, BLOCK), BLOCK);
	assert_int_equal(maker.dev->ops->read(maker.dev, handle, data, BLOCK, 2 * BLOCK), 0);
	maker.dev->ops->close(maker.dev, handle);
	assert_int_equal(maker.dev->ops->open(maker.dev, 2, &bytes), -ENOENT);
	end(&maker);
	fake_store_destroy(store);
}

static void misuse(void **state)
{
	struct fake_store *store = fake_store_create(1);
	struct maker maker;
	uint32_t numbers[2];
	uint64_t bytes;

	start(&maker, store, 1, 1);
	for (uint32_t i = 1; i <= 3; i++)
		assert_int_equal(make(&maker, i, 1, BLOCK, BLOCK), 0);
	assert_int_equal(list(&maker, numbers, 2), -E2BIG);
	assert_int_equal(maker.dev->ops->create(maker.dev, 4), 0);
	assert_int_equal(maker.dev->ops->create(maker.dev, 5), -EBUSY);
	maker.dev->ops->abandon(maker.dev);
	maker.dev->ops->abandon(maker.dev);
	for (int i = 0; i < 8; i++)
		assert_int_equal(maker.dev->ops->open(maker.dev, 1, &bytes), i);
	assert_int_equal(maker.dev->ops->open(maker.dev, 1, &bytes), -EMFILE);
	maker.dev->ops->close(maker.dev, 3);
	assert_int_equal(maker.dev->ops->open(maker.dev, 1, &bytes), 3);
	fake_store_put(store, "checkpoints", "0000001-00000001-0000001000",
		       (const uint8_t *)numbers, 1);
	assert_int_equal(list(&maker, numbers, 2), -EBADMSG);
	end(&maker);
	fake_store_destroy(store);
}

/* A piece that is missing, or shorter than it was, is an error of reading. */
static void pieces_lost(void **state)
{
	struct fake_store *store = fake_store_create(1);
	struct maker maker;
	const uint8_t *data;
	uint32_t bytes;

	fake_faults(store)->value_max = 64 << 10;
	start(&maker, store, 1, 7);
	assert_int_equal(make(&maker, 1, 1, 40 * BLOCK, 40 * BLOCK), 0);
	data = fake_store_find(store, "checkpoint-00000001", "00000007-00000001", &bytes);
	assert_non_null(data);
	assert_int_equal(bytes, 16 * BLOCK);
	fake_store_erase(store, "checkpoint-00000001", "00000007-00000001");
	assert_int_equal(check(&maker, 1, 1, BLOCK), -EIO);
	end(&maker);
	fake_store_destroy(store);
}

/* The process ends at any of its requests: the file is there whole or not at all, and what is left
 * of it goes when the next one is made. */
static void cut_anywhere(void **state)
{
	bool there = false;

	for (uint32_t cut = 1; !there; cut++) {
		struct fake_store *store = fake_store_create(cut);
		struct maker maker;
		uint32_t numbers[4], before;
		int count;

		fake_faults(store)->value_max = 64 << 10;
		fake_faults(store)->delay = cut % 5;
		start(&maker, store, 1, 1);
		assert_int_equal(make(&maker, 1, 1, 20 * BLOCK, 20 * BLOCK), 0);
		before = fake_store_count(store, NULL);
		fake_store_kill_at(store, ENGINE_PUT, cut);
		there = make(&maker, 2, 1, 150 * BLOCK, 50 * BLOCK) == 0;
		fake_store_kill_at(store, ENGINE_PUT, 0);
		assert_int_equal(fake_engine_dead(maker.process.engine), !there);
		end(&maker);
		fake_store_run(store, 100);

		start(&maker, store, 2, 2);
		count = list(&maker, numbers, 4);
		assert_in_range(count, there ? 2 : 1, 2);
		assert_int_equal(check(&maker, 1, 1, 16 * BLOCK), 0);
		if (count == 2)
			assert_int_equal(check(&maker, 2, 1, 16 * BLOCK), 0);
		/* The keeper takes the number behind the last one that it has found. */
		assert_int_equal(make(&maker, (uint32_t)count + 1, 2, 20 * BLOCK, BLOCK), 0);
		assert_int_equal(check(&maker, (uint32_t)count + 1, 2, BLOCK), 0);
		if (count == 2)
			assert_int_equal(maker.dev->ops->remove(maker.dev, 2), 0);
		assert_int_equal(fake_store_count(store, NULL), before + 3);
		end(&maker);
		fake_store_destroy(store);
	}
}

/* Tries that were given up while the storage was full, or away, leave nothing for long. */
static void tries_given_up(void **state)
{
	struct fake_store *store = fake_store_create(1);
	struct maker maker;
	uint32_t before;

	fake_faults(store)->value_max = 64 << 10;
	start(&maker, store, 1, 1);
	assert_int_equal(make(&maker, 1, 1, 20 * BLOCK, 20 * BLOCK), 0);
	before = fake_store_count(store, NULL);
	/* By the keeper. */
	assert_int_equal(maker.dev->ops->create(maker.dev, 2), 0);
	for (int i = 0; i < 300; i++) {
		static const uint8_t zeros[BLOCK];

		assert_int_equal(maker.dev->ops->append(maker.dev, zeros, BLOCK), 0);
	}
	assert_true(fake_store_count(store, "checkpoint-00000002") > 0);
	maker.dev->ops->abandon(maker.dev);
	assert_int_equal(fake_store_count(store, NULL), before);
	/* Full: nothing more is taken, but removed. */
	assert_int_equal(maker.dev->ops->create(maker.dev, 3), 0);
	for (int i = 0; i < 300; i++) {
		static const uint8_t zeros[BLOCK];

		assert_int_equal(maker.dev->ops->append(maker.dev, zeros, BLOCK), 0);
	}
	fake_store_fail(store, ENGINE_PUT, -ENOSPC);
	assert_int_equal(maker.dev->ops->finish(maker.dev), -ENOSPC);
	fake_store_fail(store, ENGINE_PUT, 0);
	assert_int_equal(fake_store_count(store, NULL), before);
	/* Away, for several tries. */
	for (uint32_t number = 4; number < 8; number++) {
		assert_int_equal(maker.dev->ops->create(maker.dev, number), 0);
		for (int i = 0; i < 300; i++) {
			static const uint8_t zeros[BLOCK];

			assert_int_equal(maker.dev->ops->append(maker.dev, zeros, BLOCK), 0);
		}
		fake_store_fail(store, ENGINE_PUT, -EACCES);
		fake_store_fail(store, ENGINE_DELETE, -EACCES);
		assert_int_equal(maker.dev->ops->finish(maker.dev), -EACCES);
		assert_true(fake_store_count(store, NULL) > before);
		assert_int_equal(maker.dev->ops->create(maker.dev, number + 1), -EACCES);
		fake_store_fail(store, ENGINE_PUT, 0);
		fake_store_fail(store, ENGINE_DELETE, 0);
	}
	assert_int_equal(make(&maker, 9, 1, 20 * BLOCK, BLOCK), 0);
	assert_int_equal(check(&maker, 9, 1, BLOCK), 0);
	assert_int_equal(fake_store_count(store, NULL), before + 3);
	end(&maker);
	fake_store_destroy(store);
}

/* The marker's answer is lost: the try has failed, but it may be there, and then it is whole; it
 * stays so when the next one is made. */
static void marker_unanswered(void **state)
{
	struct fake_store *store = fake_store_create(1);
	struct maker maker;
	uint32_t numbers[4];

	start(&maker, store, 1, 1);
	assert_int_equal(maker.dev->ops->create(maker.dev, 1), 0);
	/* Neither can it be taken back. */
	fake_store_kill_at(store, ENGINE_PUT, 1);
	assert_int_equal(maker.dev->ops->finish(maker.dev), -ECANCELED);
	end(&maker);
	start(&maker, store, 2, 2);
	assert_int_equal(list(&maker, numbers, 4), 1);
	assert_int_equal(numbers[0], 1);
	assert_int_equal(check(&maker, 1, 1, BLOCK), 0);
	assert_int_equal(make(&maker, 2, 2, 5 * BLOCK, BLOCK), 0);
	assert_int_equal(list(&maker, numbers, 4), 2);
	assert_int_equal(check(&maker, 1, 1, BLOCK), 0);
	end(&maker);
	fake_store_destroy(store);
}

/* The same within one process, which goes on with the next number: what is there stays whole. */
static void marker_unanswered_and_on(void **state)
{
	uint32_t there = 0;

	for (uint32_t seed = 1; seed <= 40; seed++) {
		struct fake_store *store = fake_store_create(seed);
		uint8_t zeros[8 * 16 * BLOCK] = {0};
		struct maker maker;
		uint32_t numbers[4];

		fake_faults(store)->value_max = 64 << 10;
		start(&maker, store, 1, 1);
		assert_int_equal(maker.dev->ops->create(maker.dev, 1), 0);
		assert_int_equal(maker.dev->ops->append(maker.dev, zeros, sizeof(zeros)), 0);
		*fake_faults(store) = (struct fake_faults){.lost_put = 1, .timed_out = 1};
		fake_store_fail(store, ENGINE_DELETE, -EACCES);
		assert_int_equal(maker.dev->ops->finish(maker.dev), -ETIMEDOUT);
		*fake_faults(store) = (struct fake_faults){.value_max = 64 << 10};
		fake_store_fail(store, ENGINE_DELETE, 0);
		fake_store_run(store, 10);
		assert_int_equal(make(&maker, 2, 1, 5 * BLOCK, BLOCK), 0);
		assert_int_equal(check(&maker, 2, 1, BLOCK), 0);
		if (list(&maker, numbers, 4) == 2) {
			uint64_t bytes;
			int handle = maker.dev->ops->open(maker.dev, 1, &bytes);

			there++;
			assert_int_equal(
				maker.dev->ops->read(maker.dev, handle, zeros, sizeof(zeros), 0),
				sizeof(zeros));
		} else {
			assert_int_equal(fake_store_count(store, "checkpoint-00000001"), 0);
		}
		end(&maker);
		fake_store_destroy(store);
	}
	assert_in_range(there, 5, 35);
}

/* What finish() said 0 of is there until it is removed, whatever came of the tries between. */
static void unreliable(void **state)
{
	uint64_t made = 0, failed = 0, late = 0;

	for (uint64_t seed = 1; seed <= 150; seed++) {
		struct fake_store *store = fake_store_create(seed);
		struct fake_faults *faults = fake_faults(store);
		struct maker maker;
		uint32_t kept[2] = {0, 0}, numbers[ABAFT_CHECKPOINTS_MAX];
		uint64_t random = seed;
		int count;

		start(&maker, store, 1, 3);
		*faults = (struct fake_faults){.value_max = 64 << 10,
					       .delay = 3,
					       .lost_put = 6,
					       .lost_other = 6,
					       .late = 2,
					       .late_ticks = 300,
					       .timed_out = 2};
		for (uint32_t number = 1; number < 25; number++) {
			size_t bytes = (1 + sim_random(&random, 60)) * BLOCK;

			if (make(&maker, number, 1, bytes, 7 * BLOCK)) {
				failed++;
				continue;
			}
			made++;
			if (kept[0])
				(void)!maker.dev->ops->remove(maker.dev, kept[0]);
			kept[0] = kept[1];
			kept[1] = number;
		}
		*faults = (struct fake_faults){.value_max = 64 << 10};
		for (int i = 0; i < 2; i++)
			if (kept[i])
				assert_int_equal(check(&maker, kept[i], 1, 9 * BLOCK), 0);
		/* One whose marker came late may have lost its pieces; it can be removed. */
		fake_store_run(store, 400);
		count = list(&maker, numbers, ABAFT_CHECKPOINTS_MAX);
		assert_true(count >= (kept[0] > 0) + (kept[1] > 0));
		for (int i = 0; i < count; i++) {
			int error = check(&maker, numbers[i], 1, 9 * BLOCK);

			late += error != 0;
			assert_true(error == 0 || error == -EIO);
			assert_int_equal(maker.dev->ops->remove(maker.dev, numbers[i]), 0);
		}
		assert_int_equal(fake_store_count(store, "checkpoints"), 0);
		end(&maker);
		fake_store_destroy(store);
	}
	assert_true(made > 1000 && failed > 300);
	assert_true(late < made / 10);
}

/* C2, C3: who was shut out goes on making checkpoints, removes those that it does not know, and
 * starts one of a number that its successor has used. */
static void shut_out(void **state)
{
	struct fake_store *store = fake_store_create(1);
	struct maker old, new, reader;
	uint32_t numbers[8];

	fake_faults(store)->value_max = 64 << 10;
	start(&old, store, 1, 4);
	assert_int_equal(make(&old, 1, 1, 20 * BLOCK, BLOCK), 0);
	assert_int_equal(make(&old, 2, 1, 20 * BLOCK, BLOCK), 0);
	start(&new, store, 2, 5);
	assert_int_equal(list(&new, numbers, 8), 2);
	assert_int_equal(make(&new, 3, 2, 40 * BLOCK, BLOCK), 0);
	assert_int_equal(make(&new, 4, 2, 40 * BLOCK, BLOCK), 0);

	assert_int_equal(list(&old, numbers, 8), 2);
	assert_int_equal(old.dev->ops->remove(old.dev, 3), -ENOENT);
	assert_int_equal(old.dev->ops->remove(old.dev, 4), -ENOENT);
	assert_int_equal(old.dev->ops->create(old.dev, 3), 0);
	old.dev->ops->abandon(old.dev);
	assert_int_equal(make(&old, 4, 1, 30 * BLOCK, BLOCK), 0);
	assert_int_equal(make(&old, 7, 1, 30 * BLOCK, BLOCK), 0);

	/* Nobody is led astray by them: neither the one that goes on nor the next. */
	start(&reader, store, 3, 0);
	for (int i = 0; i < 2; i++) {
		struct maker *who = i ? &reader : &new;

		assert_int_equal(list(who, numbers, 8), 4);
		for (uint32_t number = 1; number <= 4; number++) {
			assert_int_equal(numbers[number - 1], number);
			assert_int_equal(check(who, number, number < 3 ? 1 : 2, 9 * BLOCK), 0);
		}
		assert_int_equal(check(who, 7, 1, BLOCK), -ENOENT);
	}
	end(&reader);
	/* They go when the next one is made, with all of their pieces. */
	assert_int_equal(make(&new, 5, 2, 20 * BLOCK, BLOCK), 0);
	assert_int_equal(fake_store_count(store, "checkpoints"), 5);
	assert_int_equal(fake_store_count(store, "checkpoint-00000007"), 0);
	assert_int_equal(fake_store_count(store, "checkpoint-00000004"), 3);
	assert_int_equal(check(&new, 4, 2, BLOCK), 0);
	assert_int_equal(check(&new, 5, 2, BLOCK), 0);
	end(&old);
	end(&new);
	fake_store_destroy(store);
}

/* Until its successor has made one, what it makes counts: nothing was cleaned for another's. */
static void shut_out_and_alone(void **state)
{
	struct fake_store *store = fake_store_create(1);
	struct maker old, reader;
	uint32_t numbers[8];

	start(&old, store, 1, 4);
	assert_int_equal(make(&old, 1, 1, 20 * BLOCK, BLOCK), 0);
	assert_int_equal(make(&old, 2, 1, 20 * BLOCK, BLOCK), 0);
	start(&reader, store, 2, 5);
	assert_int_equal(list(&reader, numbers, 8), 2);
	assert_int_equal(check(&reader, 2, 1, BLOCK), 0);
	end(&old);
	end(&reader);
	fake_store_destroy(store);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(whole),
		cmocka_unit_test(reads_at_the_end),
		cmocka_unit_test(misuse),
		cmocka_unit_test(pieces_lost),
		cmocka_unit_test(cut_anywhere),
		cmocka_unit_test(tries_given_up),
		cmocka_unit_test(marker_unanswered),
		cmocka_unit_test(marker_unanswered_and_on),
		cmocka_unit_test(unreliable),
		cmocka_unit_test(shut_out),
		cmocka_unit_test(shut_out_and_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
