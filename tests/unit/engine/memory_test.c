/* SPDX-License-Identifier: Apache-2.0 */
/*
 * memory_test.c - storage in memory: each of its faults comes when it is told to, and no other.
 */
#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "dataplane/engine/driver.h"
#include "dataplane/engine/memory_driver.h"

#define SHORT_US 300000
#define LONG_US	 20000000

static struct engine *engine;
static struct engine_channel *channel;
static struct engine_item items[100];
static uint8_t got[100];
static char why[ENGINE_WHY_BYTES];

static void open_url(const char *url)
{
	const struct engine_config config = {.url = url, .seed = 11};

	if (engine_open(&engine, &config, why) != 0)
		fail_msg("%s: %s", url, why);
	assert_int_equal(engine_channel_open(engine, &channel), 0);
}

static void close_it(void)
{
	engine_close(engine, 0);
	engine_channel_close(channel);
	engine_destroy(engine);
}

/* Of leaves "0" to count - 1. */
static int many(enum engine_verb verb, uint32_t count, uint64_t us)
{
	struct engine_op op = {
		.verb = verb, .items = items, .count = count, .until_us = engine_now_us() + us};

	for (uint32_t i = 0; i < count; i++) {
		items[i] = (struct engine_item){
			.data = (const uint8_t *)"12345", .to = got, .bytes = 5, .result = 1};
		snprintf(items[i].name.dir, sizeof(items[i].name.dir), "dir");
		snprintf(items[i].name.leaf, sizeof(items[i].name.leaf), "%02u", i);
	}
	return engine_call(channel, &op);
}

static int one(enum engine_verb verb, uint64_t us)
{
	return many(verb, 1, us);
}

static int list(uint32_t *count)
{
	static char leaves[100][ENGINE_LEAF_BYTES];
	struct engine_list of = {.dir = "dir", .leaf = leaves, .max = 100};
	struct engine_op op = {
		.verb = ENGINE_LIST, .list = &of, .until_us = engine_now_us() + LONG_US};
	int err = engine_call(channel, &op);

	*count = of.count;
	return err;
}

static struct engine_counters counted(void)
{
	struct engine_counters counters;

	engine_counters(engine, &counters);
	return counters;
}

static void set(struct memory_store *store, const char *options)
{
	if (memory_store_options(store, options, why) != 0)
		fail_msg("%s: %s", options, why);
}

static void refused(const char *options, const char *says)
{
	const struct engine_config config = {.url = options};

	assert_int_equal(engine_open(&engine, &config, why), -EINVAL);
	if (strstr(why, says) == NULL)
		fail_msg("%s: \"%s\" does not say \"%s\"", options, why, says);
}

static void options_are_checked(void **state)
{
	static const char *const wrong[] = {
		"error",	 "error=",	 "error=x",
		"error=1.1",	 "error=-1",	 "put=1",
		"put=/2",	 "put=1/",	 "put=2/1",
		"put=1/2/3",	 "latency=-1/2", "late=0.5",
		"late=2/5",	 "down=maybe",	 "down=5",
		"denied=1",	 "ranges=",	 "value_max=0",
		"batch_max=0",	 "delete_max=0", "value_max=999999999",
		"stale=-5",	 "full=1e99",	 "seed=a",
		"throttle=0.5x",
	};
	char url[64];

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		snprintf(url, sizeof(url), "memory:?seed=1&%s", wrong[i]);
		refused(url, "not a value that it takes");
	}
	refused("memory:?eror=1", "eror: no such option");
	refused("memory:?=1", "no such option");
	open_url("memory:?&error=0&&put=0/0&");
	close_it();
}

static void abilities_are_told(void **state)
{
	open_url("memory:");
	assert_string_equal(engine_caps(engine)->name, "memory");
	assert_int_equal(engine_caps(engine)->flags, ENGINE_CONDITIONAL | ENGINE_RANGES);
	assert_int_equal(engine_caps(engine)->value_max, ENGINE_OBJECT_BYTES_MAX);
	close_it();
	open_url("memory:?conditional=no&ranges=no&value_max=4&batch_max=3&delete_max=2");
	assert_int_equal(engine_caps(engine)->flags, 0);
	assert_int_equal(engine_caps(engine)->value_max, 4);
	assert_int_equal(engine_caps(engine)->batch_max, 3);
	assert_int_equal(engine_caps(engine)->delete_max, 2);
	assert_int_equal(one(ENGINE_PUT, LONG_US), -E2BIG);
	assert_int_equal(many(ENGINE_DELETE, 5, LONG_US), 0);
	assert_int_equal(counted().round_trips, 3);
	close_it();
}

static void stores_have_names(void **state)
{
	struct memory_store *store = memory_store_hold("shared");

	assert_non_null(store);
	open_url("memory:shared");
	assert_int_equal(many(ENGINE_PUT, 3, LONG_US), 0);
	close_it();
	assert_int_equal(memory_store_objects(store), 3);
	assert_int_equal(memory_store_bytes(store), 15);
	open_url("memory:other");
	assert_int_equal(one(ENGINE_GET, LONG_US), -ENOENT);
	close_it();
	open_url("memory:shared");
	assert_int_equal(one(ENGINE_GET, LONG_US), 0);
	assert_int_equal(memory_store_drop(store, "dir", "00"), 0);
	assert_int_equal(memory_store_drop(store, "dir", "00"), -ENOENT);
	assert_int_equal(memory_store_drop(store, "rid", "00"), -ENOENT);
	assert_int_equal(one(ENGINE_GET, LONG_US), -ENOENT);
	assert_int_equal(many(ENGINE_DELETE, 3, LONG_US), 0);
	assert_int_equal(memory_store_objects(store), 0);
	assert_int_equal(memory_store_bytes(store), 0);
	close_it();
	memory_store_release(store);
	open_url("memory:shared");
	assert_int_equal(one(ENGINE_GET, LONG_US), -ENOENT);
	close_it();
}

/* A try that fails for this reason is counted as it, and nothing is done. */
static void fails_as(const char *options, const char *end, int err, size_t counter)
{
	struct memory_store *store = memory_store_hold("fails");
	struct engine_counters counters;
	struct engine_health health;

	open_url("memory:fails");
	set(store, options);
	assert_int_equal(one(ENGINE_PUT, SHORT_US), err);
	assert_int_equal(memory_store_objects(store), 0);
	counters = counted();
	assert_true(*(uint64_t *)((char *)&counters + counter) > 1);
	assert_int_equal(*(uint64_t *)((char *)&counters + counter), counters.retries + 1);
	engine_health(engine, &health);
	assert_true(strncmp(health.why, "memory: ", 8) == 0);
	set(store, end);
	assert_int_equal(one(ENGINE_PUT, LONG_US), 0);
	close_it();
	memory_store_release(store);
}

static void tries_fail(void **state)
{
	fails_as("error=1", "error=0", -ETIMEDOUT, offsetof(struct engine_counters, unreachable));
	fails_as("throttle=1", "throttle=0", -ETIMEDOUT,
		 offsetof(struct engine_counters, throttled));
	fails_as("denied=yes", "denied=no", -EACCES, offsetof(struct engine_counters, denied));
	fails_as("full=4", "full=5", -ENOSPC, offsetof(struct engine_counters, full));
	fails_as("down=yes", "down=no", -ETIMEDOUT, offsetof(struct engine_counters, unreachable));
	fails_as("down=0/100000", "down=0/0", -ETIMEDOUT,
		 offsetof(struct engine_counters, unreachable));
}

static void acknowledgements_are_lost(void **state)
{
	struct memory_store *store = memory_store_hold("lost");

	open_url("memory:lost?lost=1");
	assert_int_equal(one(ENGINE_PUT_NEW, SHORT_US), -ETIMEDOUT);
	assert_int_equal(memory_store_objects(store), 1);
	assert_true(counted().timeouts > 1);
	/* What stands there is ours. */
	set(store, "lost=0.5");
	for (int i = 0; i < 5; i++)
		assert_int_equal(one(ENGINE_PUT_NEW, LONG_US), 0);
	close_it();
	memory_store_release(store);
}

static void writes_come_late(void **state)
{
	struct memory_store *store = memory_store_hold("late");
	uint64_t end_us = engine_now_us() + 10000000;

	open_url("memory:late");
	assert_int_equal(one(ENGINE_PUT, LONG_US), 0);
	set(store, "late=1/0");
	assert_int_equal(one(ENGINE_DELETE, SHORT_US), -ETIMEDOUT);
	set(store, "late=0/0");
	assert_int_equal(one(ENGINE_GET, LONG_US), -ENOENT);
	set(store, "late=1/2000");
	assert_int_equal(one(ENGINE_PUT, SHORT_US), -ETIMEDOUT);
	assert_int_equal(memory_store_objects(store), 0);
	set(store, "late=0/0");
	while (memory_store_objects(store) == 0 && engine_now_us() < end_us)
		(void)poll(NULL, 0, 1 + (one(ENGINE_GET, LONG_US) != -ENOENT));
	assert_int_equal(one(ENGINE_GET, LONG_US), 0);
	assert_memory_equal(got, "12345", 5);
	close_it();
	memory_store_release(store);
}

static void batches_are_done_in_part(void **state)
{
	open_url("memory:?partial=1");
	assert_int_equal(many(ENGINE_PUT, 12, LONG_US), 0);
	/* Each try leaves about half of them, the last one one. */
	assert_in_range(counted().retries, 1, 30);
	assert_int_equal(counted().throttled, counted().retries);
	assert_int_equal(many(ENGINE_GET, 12, LONG_US), 0);
	close_it();
}

static void writes_show_late(void **state)
{
	struct memory_store *store = memory_store_hold("stale");
	uint32_t count;

	open_url("memory:stale?stale=10000000");
	assert_int_equal(one(ENGINE_PUT, LONG_US), 0);
	assert_int_equal(one(ENGINE_GET, LONG_US), -ENOENT);
	assert_int_equal(list(&count), 0);
	assert_int_equal(count, 0);
	set(store, "stale=0");
	assert_int_equal(one(ENGINE_GET, LONG_US), 0);
	assert_int_equal(list(&count), 0);
	assert_int_equal(count, 1);
	close_it();
	memory_store_release(store);
}

static void objects_are_lost(void **state)
{
	struct memory_store *store = memory_store_hold("lossy");

	open_url("memory:lossy?lose=0.5");
	assert_int_equal(many(ENGINE_PUT, 100, LONG_US), 0);
	assert_in_range(memory_store_objects(store), 20, 80);
	assert_int_equal(many(ENGINE_GET, 100, LONG_US), -ENOENT);
	close_it();
	memory_store_release(store);
}

static void outages_end(void **state)
{
	uint64_t begun_us;

	begun_us = engine_now_us();
	open_url("memory:?down=0/100");
	assert_int_equal(one(ENGINE_PUT, LONG_US), 0);
	assert_true(engine_now_us() - begun_us >= 99000);
	assert_true(counted().unreachable > 0);
	close_it();
}

/* What is under way when the connection goes is done or not; what begins later is not. */
static void outages_cut(void **state)
{
	struct memory_store *store = memory_store_hold("cut");
	struct engine_op op = {.verb = ENGINE_PUT, .items = items, .count = 1}, *ended;
	uint64_t done = 0, cut = 0, trips;

	open_url("memory:cut?put=10000/10000");
	for (int i = 0; i < 200 && (done == 0 || cut == 0); i++) {
		assert_int_equal(one(ENGINE_DELETE, LONG_US), 0); /* fills in the item */
		op.until_us = engine_now_us() + 100000;
		trips = counted().round_trips;
		assert_int_equal(engine_begin(channel, &op), 0);
		while (counted().round_trips == trips)
			(void)poll(NULL, 0, 1);
		set(store, "down=yes");
		assert_int_equal(engine_wait(channel, 10000), 0);
		assert_int_equal(engine_poll(channel, &ended, 1), 1);
		if (op.result != 0) {
			done += memory_store_objects(store) == 1;
			cut += memory_store_objects(store) == 0;
		}
		set(store, "down=no");
	}
	assert_true(done > 0 && cut > 0);
	close_it();
	memory_store_release(store);
}

/* Delays only add, so only what is at least so long can be asked for. */
static void requests_take_their_time(void **state)
{
	static struct engine_op ops[100], *ended[100];
	uint64_t begun_us, over_median = 0, over_tail = 0;

	open_url("memory:?get=20000/200000");
	(void)one(ENGINE_PUT, LONG_US);
	(void)many(ENGINE_GET, 100, 1); /* fills in the items */
	begun_us = engine_now_us();
	for (uint32_t i = 0; i < 100; i++) {
		ops[i] = (struct engine_op){.verb = ENGINE_GET,
					    .items = &items[i],
					    .count = 1,
					    .until_us = ENGINE_FOREVER};
		assert_int_equal(engine_begin(channel, &ops[i]), 0);
	}
	for (uint32_t left = 100; left > 0;) {
		uint32_t n;

		assert_int_equal(engine_wait(channel, 10000), 0);
		n = engine_poll(channel, ended, 100);
		over_median += engine_now_us() - begun_us >= 20000 ? n : 0;
		over_tail += engine_now_us() - begun_us >= 60000 ? n : 0;
		left -= n;
	}
	assert_true(over_median >= 30);
	assert_true(over_tail >= 3);
	close_it();
}

static void what_takes_too_long_is_cut(void **state)
{
	open_url("memory:?latency=60000000/60000000");
	assert_int_equal(one(ENGINE_GET, SHORT_US), -ETIMEDOUT);
	assert_int_equal(counted().timeouts, 1);
	close_it();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(options_are_checked),
		cmocka_unit_test(abilities_are_told),
		cmocka_unit_test(stores_have_names),
		cmocka_unit_test(tries_fail),
		cmocka_unit_test(acknowledgements_are_lost),
		cmocka_unit_test(writes_come_late),
		cmocka_unit_test(batches_are_done_in_part),
		cmocka_unit_test(writes_show_late),
		cmocka_unit_test(objects_are_lost),
		cmocka_unit_test(outages_end),
		cmocka_unit_test(outages_cut),
		cmocka_unit_test(requests_take_their_time),
		cmocka_unit_test(what_takes_too_long_is_cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
