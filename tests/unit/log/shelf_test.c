/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of dataplane/log/shelf.c: who is there, who may read, room; tests/tsan has the races. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "dataplane/log/logdev.h"
#include "dataplane/log/shelf.h"

#define MIB (UINT64_C(1) << 20)

static int closed_handle[4];
static uint32_t closed;

static void note_close(struct logdev *dev, int handle)
{
	assert_true(closed < 4);
	closed_handle[closed++] = handle;
}

static const struct logdev_ops ops = {.close = note_close};
static struct logdev dev = {.ops = &ops};
static struct shelf *shelf;
static struct shelf_segment seen;

static int begin(void **state)
{
	closed = 0;
	return shelf_create(&shelf, 0, 0);
}

static int end(void **state)
{
	shelf_destroy(shelf);
	return 0;
}

static int add(uint32_t log, uint32_t number, bool open)
{
	const struct shelf_segment segment = {
		.dev = &dev,
		.bytes = (number + 1) * MIB,
		.log = log,
		.segment = number,
		.handle = (int)(1000 + number),
		.open = open,
	};

	shelf_found(shelf, segment.bytes);
	return shelf_add(shelf, &segment);
}

static void what_is_there_can_be_held(void **state)
{
	assert_int_equal(shelf_hold(shelf, 2, 7, &seen), -ESTALE);
	assert_int_equal(add(2, 7, true), 0);
	assert_int_equal(shelf_hold(shelf, 2, 7, &seen), 0);
	assert_ptr_equal(seen.dev, &dev);
	assert_int_equal(seen.bytes, 8 * MIB);
	assert_int_equal(seen.log, 2);
	assert_int_equal(seen.segment, 7);
	assert_int_equal(seen.handle, 1007);
	assert_true(seen.open);
	shelf_give(shelf, 2, 7);
	/* Its neighbours, the same entry of the ring, and another log have nothing to do with it.
	 */
	assert_int_equal(shelf_hold(shelf, 2, 6, &seen), -ESTALE);
	assert_int_equal(shelf_hold(shelf, 2, 7 + ABAFT_LOG_SEGMENTS_MAX, &seen), -ESTALE);
	assert_int_equal(shelf_hold(shelf, 3, 7, &seen), -ESTALE);
	assert_int_equal(shelf_hold(shelf, ABAFT_LOGS_MAX, 7, &seen), -ESTALE);
}

static void closing_tells_the_time(void **state)
{
	assert_int_equal(add(0, 0, true), 0);
	assert_int_equal(add(0, 1, false), 0);
	shelf_close(shelf, 0, 0, 77);
	shelf_close(shelf, 0, 1, 88); /* from a checkpoint */
	shelf_close(shelf, 0, 2, 99); /* nobody there */
	assert_int_equal(shelf_hold(shelf, 0, 0, &seen), 0);
	assert_false(seen.open);
	assert_int_equal(seen.time, 77);
	shelf_give(shelf, 0, 0);
	assert_int_equal(shelf_hold(shelf, 0, 1, &seen), 0);
	assert_int_equal(seen.time, 88);
	shelf_give(shelf, 0, 1);
}

static void removed_goes_with_its_last_reader(void **state)
{
	assert_int_equal(add(1, 4, false), 0);
	assert_int_equal(shelf_hold(shelf, 1, 4, &seen), 0);
	assert_int_equal(shelf_hold(shelf, 1, 4, &seen), 0);
	assert_false(shelf_gone(shelf, 1, 4)); /* not removed */
	shelf_remove(shelf, 1, 4);
	assert_int_equal(shelf_hold(shelf, 1, 4, &seen), -ESTALE);
	assert_false(shelf_gone(shelf, 1, 4));
	shelf_give(shelf, 1, 4);
	assert_false(shelf_gone(shelf, 1, 4));
	assert_int_equal(closed, 0);
	shelf_give(shelf, 1, 4);
	assert_true(shelf_gone(shelf, 1, 4));
	assert_int_equal(closed, 1);
	assert_int_equal(closed_handle[0], 1004);
	assert_false(shelf_gone(shelf, 1, 4));
	assert_int_equal(shelf_bytes(shelf), 5 * MIB); /* its file is still there */
}

static void open_one_is_not_removed(void **state)
{
	assert_int_equal(add(1, 4, true), 0);
	shelf_remove(shelf, 1, 4);
	assert_false(shelf_gone(shelf, 1, 4));
	assert_int_equal(shelf_hold(shelf, 1, 4, &seen), 0);
	shelf_give(shelf, 1, 4);
}

static void window_of_numbers(void **state)
{
	uint32_t number = 0;

	assert_int_equal(add(0, 10, false), 0);
	assert_int_equal(add(0, 12, false), 0);
	assert_int_equal(add(0, 10 + ABAFT_LOG_SEGMENTS_MAX, false), -ENOSPC);
	assert_int_equal(add(0, 11 + ABAFT_LOG_SEGMENTS_MAX, false), -ENOSPC); /* skips one */
	assert_int_equal(add(0, 9 + ABAFT_LOG_SEGMENTS_MAX, false), 0);
	shelf_remove(shelf, 0, 10);
	assert_true(shelf_gone(shelf, 0, 10));
	assert_int_equal(add(0, 10 + ABAFT_LOG_SEGMENTS_MAX, false), 0);
	assert_int_equal(add(0, 200000000, false), -ENOSPC);
	assert_true(shelf_next(shelf, 0, &number, &seen));
	assert_int_equal(number, 12);
	for (uint32_t i = 12; i < 12 + ABAFT_LOG_SEGMENTS_MAX; i++) {
		shelf_remove(shelf, 0, i);
		closed = 0;
		shelf_gone(shelf, 0, i);
	}
	assert_int_equal(add(0, 100000000, false), 0);
	assert_true(shelf_next(shelf, 0, &number, &seen));
	assert_int_equal(number, 100000000);
}

static void walk_shows_all(void **state)
{
	uint32_t number = 0;

	assert_false(shelf_next(shelf, 3, &number, &seen));
	assert_int_equal(add(3, 2, false), 0);
	assert_int_equal(add(3, 5, false), 0);
	assert_int_equal(add(3, 6, true), 0);
	shelf_remove(shelf, 3, 5);
	assert_true(shelf_next(shelf, 3, &number, &seen));
	assert_int_equal(number, 2);
	assert_false(seen.open || seen.leaving);
	number++;
	assert_true(shelf_next(shelf, 3, &number, &seen));
	assert_int_equal(number, 5);
	assert_int_equal(seen.segment, 5);
	assert_int_equal(seen.bytes, 6 * MIB);
	assert_true(seen.leaving);
	number++;
	assert_true(shelf_next(shelf, 3, &number, &seen));
	assert_int_equal(number, 6);
	assert_true(seen.open);
	number++;
	assert_false(shelf_next(shelf, 3, &number, &seen));
}

static void forgotten_log_leaves_nothing(void **state)
{
	assert_int_equal(add(3, 2, false), 0);
	assert_int_equal(add(3, 5, true), 0);
	assert_int_equal(add(4, 0, false), 0);
	assert_int_equal(shelf_hold(shelf, 3, 2, &seen), 0);
	shelf_forget(shelf, 3);
	assert_int_equal(closed, 2);
	assert_int_equal(shelf_hold(shelf, 3, 2, &seen), -ESTALE);
	shelf_give(shelf, 3, 2);
	assert_int_equal(add(3, 2, false), 0); /* opened again */
	assert_int_equal(shelf_hold(shelf, 3, 2, &seen), 0);
	shelf_give(shelf, 3, 2);
	shelf_remove(shelf, 3, 2);
	assert_true(shelf_gone(shelf, 3, 2));
}

static void room_is_bounded_with_a_reserve(void **state)
{
	struct shelf *small;

	assert_int_equal(shelf_claim(shelf, 0, UINT64_C(1) << 60), 0); /* no bound */
	shelf_unclaim(shelf, UINT64_C(1) << 60);
	assert_int_equal(shelf_create(&small, 10 * MIB, 3 * MIB), 0);
	assert_int_equal(shelf_bytes_max(small), 10 * MIB);
	assert_int_equal(shelf_claim(small, 0, 5 * MIB), 0);
	assert_int_equal(shelf_claim(small, 1, 3 * MIB), -ENOSPC);
	assert_int_equal(shelf_claim(small, 1, 2 * MIB), 0);
	assert_int_equal(shelf_claim(small, 1, 0), 0); /* may keep them */
	assert_int_equal(shelf_claim(small, 0, 1), -ENOSPC);
	assert_int_equal(shelf_claim(small, ABAFT_LOG_KEPT, 2 * MIB), 0);
	assert_int_equal(shelf_claim(small, 1, 0), -ENOSPC); /* must not */
	assert_int_equal(shelf_claim(small, ABAFT_LOG_KEPT, 2 * MIB), -ENOSPC);
	assert_int_equal(shelf_claim(small, ABAFT_LOG_KEPT, MIB), 0);
	assert_int_equal(shelf_bytes(small), 10 * MIB);
	shelf_unclaim(small, 4 * MIB);
	assert_int_equal(shelf_claim(small, 0, MIB), 0);
	shelf_found(small, 20 * MIB); /* a disk that had more on it */
	assert_int_equal(shelf_claim(small, ABAFT_LOG_KEPT, 0), -ENOSPC);
	shelf_destroy(small);
	assert_int_equal(shelf_create(&small, 2 * MIB, 3 * MIB), 0);
	assert_int_equal(shelf_claim(small, 0, 1), -ENOSPC);
	assert_int_equal(shelf_claim(small, ABAFT_LOG_KEPT, 2 * MIB), 0);
	shelf_destroy(small);
}

static void kept_log_goes_first(void **state)
{
	shelf_kept_first(shelf, true);
	assert_int_equal(shelf_claim(shelf, 0, 1), -ENOSPC);
	assert_int_equal(shelf_claim(shelf, 0, 0), -ENOSPC);
	assert_int_equal(shelf_claim(shelf, ABAFT_LOG_KEPT, 1), 0);
	shelf_kept_first(shelf, false);
	assert_int_equal(shelf_claim(shelf, 0, 1), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(what_is_there_can_be_held, begin, end),
		cmocka_unit_test_setup_teardown(closing_tells_the_time, begin, end),
		cmocka_unit_test_setup_teardown(removed_goes_with_its_last_reader, begin, end),
		cmocka_unit_test_setup_teardown(open_one_is_not_removed, begin, end),
		cmocka_unit_test_setup_teardown(window_of_numbers, begin, end),
		cmocka_unit_test_setup_teardown(walk_shows_all, begin, end),
		cmocka_unit_test_setup_teardown(forgotten_log_leaves_nothing, begin, end),
		cmocka_unit_test_setup_teardown(room_is_bounded_with_a_reserve, begin, end),
		cmocka_unit_test_setup_teardown(kept_log_goes_first, begin, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
