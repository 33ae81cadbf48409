/* SPDX-License-Identifier: Apache-2.0 */
/*
 * handover_test.c - hand-over between workers: order, bounds, and that no wake-up is lost.
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <abaft/limits.h>

#include "dataplane/xcore/handover.h"

static void lends_and_returns_in_order(void **state)
{
	struct handover *handover;
	int items[3];

	assert_int_equal(handover_create(&handover, 3), 0);
	assert_null(handover_borrow(handover, 1, 0));
	for (int i = 0; i < 3; i++)
		assert_true(handover_lend(handover, 0, 1, &items[i]));
	assert_null(handover_borrow(handover, 2, 0));
	assert_null(handover_borrow(handover, 0, 1));
	for (int i = 0; i < 3; i++) {
		assert_ptr_equal(handover_borrow(handover, 1, 0), &items[i]);
		handover_give_back(handover, 1, 0, &items[i]);
	}
	for (int i = 0; i < 3; i++)
		assert_ptr_equal(handover_take_back(handover, 0, 1), &items[i]);
	assert_null(handover_take_back(handover, 0, 1));
	handover_destroy(handover);
}

/* I2: what was borrowed but not given back counts too, so that giving back always fits. */
static void lending_is_bounded(void **state)
{
	struct handover *handover;
	int item;

	assert_int_equal(handover_create(&handover, 2), 0);
	for (int i = 0; i < ABAFT_HANDOVER_RING - 1; i++) {
		assert_true(handover_lend(handover, 0, 1, &item));
		assert_non_null(handover_borrow(handover, 1, 0));
	}
	assert_false(handover_lend(handover, 0, 1, &item));
	for (int i = 0; i < ABAFT_HANDOVER_RING - 1; i++)
		handover_give_back(handover, 1, 0, &item);
	assert_false(handover_lend(handover, 0, 1, &item));
	assert_non_null(handover_take_back(handover, 0, 1));
	assert_true(handover_lend(handover, 0, 1, &item));
	assert_false(handover_lend(handover, 0, 1, &item));
	handover_destroy(handover);
}

static void bad_numbers_of_workers(void **state)
{
	struct handover *handover;

	assert_int_equal(handover_create(&handover, 0), -EINVAL);
	assert_int_equal(handover_create(&handover, ABAFT_WORKERS_MAX + 1), -EINVAL);
}

static bool readable(int fd, int timeout_ms)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};

	return poll(&p, 1, timeout_ms) == 1;
}

static void sleepers_are_woken(void **state)
{
	struct handover *handover;
	int item, fd;

	assert_int_equal(handover_create(&handover, 2), 0);
	fd = handover_sleep_fd(handover, 1);
	/* Awake: nobody writes. */
	assert_true(handover_lend(handover, 0, 1, &item));
	handover_wake(handover, 1 << 1);
	assert_false(readable(fd, 0));
	/* Something waits: no sleep. */
	assert_false(handover_sleep_begin(handover, 1));
	assert_non_null(handover_borrow(handover, 1, 0));
	/* Asleep: woken by what comes. */
	assert_true(handover_sleep_begin(handover, 1));
	assert_true(handover_lend(handover, 0, 1, &item));
	handover_wake(handover, 1 << 1);
	assert_true(readable(fd, 0));
	handover_sleep_end(handover, 1);
	assert_false(readable(fd, 0));
	/* A kick gets through asleep or not. */
	handover_kick(handover, 1);
	assert_true(readable(fd, 0));
	handover_destroy(handover);
}

#define HOPS 20000

static void *echo(void *arg)
{
	struct handover *handover = arg;
	uint32_t done = 0;

	while (done < HOPS) {
		void *item = handover_borrow(handover, 1, 0);

		if (item != NULL) {
			++*(uint32_t *)item;
			handover_give_back(handover, 1, 0, item);
			handover_wake(handover, 1 << 0);
			done++;
		} else if (handover_sleep_begin(handover, 1)) {
			/* A lost wake-up shows as a time-out. */
			if (!readable(handover_sleep_fd(handover, 1), 5000))
				return arg;
			handover_sleep_end(handover, 1);
		}
	}
	return NULL;
}

/* Both sides sleep whenever they find nothing, with one item on its way: the hardest case. */
static void no_wake_up_is_lost(void **state)
{
	struct handover *handover;
	uint32_t item = 0;
	pthread_t thread;
	void *lost;

	assert_int_equal(handover_create(&handover, 2), 0);
	assert_int_equal(pthread_create(&thread, NULL, echo, handover), 0);
	for (uint32_t i = 0; i < HOPS; i++) {
		assert_true(handover_lend(handover, 0, 1, &item));
		handover_wake(handover, 1 << 1);
		while (handover_take_back(handover, 0, 1) == NULL) {
			if (!handover_sleep_begin(handover, 0))
				continue;
			assert_true(readable(handover_sleep_fd(handover, 0), 5000));
			handover_sleep_end(handover, 0);
		}
		assert_int_equal(item, i + 1);
	}
	pthread_join(thread, &lost);
	assert_null(lost);
	handover_destroy(handover);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lends_and_returns_in_order), cmocka_unit_test(lending_is_bounded),
		cmocka_unit_test(bad_numbers_of_workers),     cmocka_unit_test(sleepers_are_woken),
		cmocka_unit_test(no_wake_up_is_lost),
	};

	return cmocka_run_group_tests_name("handover", tests, NULL, NULL);
}
