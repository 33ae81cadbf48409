/* SPDX-License-Identifier: Apache-2.0 */
/*
 * service_test.c - what the service thread makes of a driver's answers: tries, comparisons (N2),
 * deadlines, bounds, the end. The driver does as a script says.
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

#include "tests/lib/engine_script.h"

#define STEPS(...)                                                                                 \
	(const struct script_step[]){__VA_ARGS__},                                                 \
		sizeof((const struct script_step[]){__VA_ARGS__}) / sizeof(struct script_step)

static struct script script;
static struct engine *engine;
static struct engine_channel *channel;
static struct engine_item items[ENGINE_ITEMS_MAX];
static uint8_t room[2000];

static void begin_with(const struct script_step *steps, uint32_t count,
		       const struct engine_config *config)
{
	script_open(&script, &engine, steps, count, config);
	assert_int_equal(engine_channel_open(engine, &channel), 0);
}

static void begin(const struct script_step *steps, uint32_t count)
{
	begin_with(steps, count, NULL);
}

static void end(void)
{
	engine_close(engine, 0);
	assert_true(script.destroyed);
	engine_channel_close(channel);
	engine_destroy(engine);
}

static struct engine_op op_of(enum engine_verb verb, struct engine_item *of, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++) {
		of[i] = (struct engine_item){
			.data = (const uint8_t *)"data", .to = room, .bytes = 4};
		snprintf(of[i].name.dir, sizeof(of[i].name.dir), "dir");
		snprintf(of[i].name.leaf, sizeof(of[i].name.leaf), "leaf-%u", i);
	}
	return (struct engine_op){.verb = verb,
				  .items = of,
				  .count = count,
				  .until_us = engine_now_us() + UINT64_C(30000000)};
}

static int call(enum engine_verb verb, uint32_t count)
{
	struct engine_op op = op_of(verb, items, count);

	return engine_call(channel, &op);
}

static struct engine_counters counted(void)
{
	struct engine_counters counters;

	engine_counters(engine, &counters);
	return counters;
}

static void results_come_back(void **state)
{
	struct engine_op op;

	begin(NULL, 0);
	for (enum engine_verb verb = ENGINE_GET; verb < ENGINE_LIST; verb++) {
		op = op_of(verb, items, 1);
		op.tag = 77;
		items[0].result = 5;
		assert_int_equal(engine_call(channel, &op), 0);
		assert_int_equal(op.result, 0);
		assert_int_equal(op.tag, 77);
		assert_int_equal(items[0].result, 0);
	}
	assert_int_equal(script_tries(&script), 4);
	assert_int_equal(counted().gets, 1);
	assert_int_equal(counted().puts, 2);
	assert_int_equal(counted().deletes, 1);
	assert_int_equal(counted().round_trips, 4);
	assert_int_equal(counted().failed, 0);
	end();
}

static void name_refused(const char *dir, const char *leaf)
{
	struct engine_op op = op_of(ENGINE_PUT, items, 2);

	memset(&items[1].name, 0, sizeof(items[1].name));
	memcpy(items[1].name.dir, dir, strnlen(dir, ENGINE_DIR_BYTES));
	memcpy(items[1].name.leaf, leaf, strnlen(leaf, ENGINE_LEAF_BYTES));
	assert_int_equal(engine_call(channel, &op), -EINVAL);
	assert_int_equal(items[0].result, -ECANCELED);
	assert_int_equal(items[1].result, -EINVAL);
}

static void names_are_checked(void **state)
{
	char byte[2] = "", dir[ENGINE_DIR_BYTES + 1], leaf[ENGINE_LEAF_BYTES + 1];

	begin(NULL, 0);
	memset(dir, 'd', sizeof(dir));
	memset(leaf, 'l', sizeof(leaf));
	name_refused("", "leaf");
	name_refused("dir", "");
	name_refused(".", "leaf");
	name_refused("dir", "..");
	name_refused(dir, "leaf"); /* no NUL */
	name_refused("dir", leaf);
	for (int c = 1; c < 256; c++) {
		byte[0] = (char)c;
		if (strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-", c))
			continue;
		name_refused(byte, "leaf");
		name_refused("dir", byte);
	}
	assert_int_equal(script_tries(&script), 0);
	end();
}

static void refused(struct engine_op op, int err)
{
	assert_int_equal(engine_call(channel, &op), err);
	assert_int_equal(op.result, err);
	assert_int_equal(script_tries(&script), 0);
}

static void what_is_no_operation(void **state)
{
	struct engine_op op;

	begin(NULL, 0);
	refused(op_of(ENGINE_PUT, items, 0), -EINVAL);
	refused(op_of(ENGINE_PUT_NEW, items, 2), -EINVAL);
	refused(op_of(ENGINE_VERBS, items, 1), -EINVAL);
	op = op_of(ENGINE_PUT, items, 1);
	op.count = ENGINE_ITEMS_MAX + 1;
	refused(op, -EINVAL);
	op = op_of(ENGINE_PUT, items, 1);
	op.items = NULL;
	refused(op, -EINVAL);
	op = op_of(ENGINE_PUT, items, 1);
	items[0].data = NULL;
	refused(op, -EINVAL);
	op = op_of(ENGINE_GET, items, 1);
	items[0].to = NULL;
	refused(op, -EINVAL);
	op = op_of(ENGINE_GET, items, 1);
	items[0].bytes = 0;
	refused(op, -EINVAL);
	op = op_of(ENGINE_GET, items, 1);
	items[0].offset = UINT32_MAX - 3;
	refused(op, -EINVAL);
	op = op_of(ENGINE_PUT, items, 3);
	items[1].bytes = 1001;
	refused(op, -E2BIG);
	assert_int_equal(items[0].result, -ECANCELED);
	assert_int_equal(items[1].result, -E2BIG);
	op = op_of(ENGINE_PUT_NEW, items, 1);
	items[0].bytes = 1001;
	refused(op, -E2BIG);
	assert_int_equal(counted().failed, 11);
	end();
}

static void lists_are_checked(void **state)
{
	char leaves[3][ENGINE_LEAF_BYTES];
	struct engine_list good = {.dir = "dir", .leaf = leaves, .max = 3}, list = good;
	struct engine_op op = {.verb = ENGINE_LIST, .list = &list, .until_us = ENGINE_FOREVER};

	begin(STEPS({.result = -ENOTCONN}, {0}));
	refused((struct engine_op){.verb = ENGINE_LIST, .until_us = ENGINE_FOREVER}, -EINVAL);
	list.leaf = NULL;
	refused(op, -EINVAL);
	list = good;
	list.max = 0;
	refused(op, -EINVAL);
	list = good;
	list.dir[0] = '/';
	refused(op, -EINVAL);
	list = good;
	list.after[0] = '*';
	refused(op, -EINVAL);
	/* What a failed try left is gone when the next one begins. */
	list = good;
	assert_int_equal(engine_call(channel, &op), 0);
	assert_int_equal(list.count, 0);
	assert_int_equal(script_tries(&script), 2);
	assert_int_equal(counted().lists, 1);
	end();
}

static void errors_are_tried_again(void **state)
{
	begin(STEPS({-ENOTCONN}, {-EBUSY}, {-ETIMEDOUT}, {-EACCES}, {-ENOSPC}, {-EPROTO}, {-EBUSY},
		    {0}));
	assert_int_equal(call(ENGINE_PUT, 1), 0);
	assert_int_equal(script_tries(&script), 8);
	assert_int_equal(counted().retries, 7);
	assert_int_equal(counted().unreachable, 1);
	assert_int_equal(counted().throttled, 2);
	assert_int_equal(counted().timeouts, 1);
	assert_int_equal(counted().denied, 1);
	assert_int_equal(counted().full, 1);
	assert_int_equal(counted().broken, 1);
	assert_int_equal(counted().puts, 1);
	assert_int_equal(counted().failed, 0);
	end();
}

static void answers_are_not_tried_again(void **state)
{
	begin(STEPS({-ENOENT}, {-E2BIG}, {-EMSGSIZE}));
	assert_int_equal(call(ENGINE_GET, 1), -ENOENT);
	assert_int_equal(counted().failed, 0);
	assert_int_equal(call(ENGINE_PUT, 1), -E2BIG);
	assert_int_equal(call(ENGINE_GET, 1), -EMSGSIZE);
	assert_int_equal(script_tries(&script), 3);
	assert_int_equal(counted().retries, 0);
	assert_int_equal(counted().failed, 2);
	end();
}

/* -ENOENT of a PUT, -EEXIST of a GET are no answers. */
static void answers_to_something_else(void **state)
{
	begin(STEPS({-ENOENT}, {0}, {-EEXIST}, {0}, {-ENOENT}, {0}));
	assert_int_equal(call(ENGINE_PUT, 1), 0);
	assert_int_equal(call(ENGINE_GET, 1), 0);
	assert_int_equal(call(ENGINE_DELETE, 1), 0);
	assert_int_equal(script_tries(&script), 6);
	assert_int_equal(counted().broken, 3);
	end();
}

static void done_items_are_not_sent_again(void **state)
{
	begin(STEPS({-EBUSY, .done = 5}, {-ENOTCONN, .done = 2}, {0}));
	assert_int_equal(call(ENGINE_PUT, 5), 0);
	assert_int_equal(script_tries(&script), 3);
	assert_int_equal(script.tries[0].items, 5);
	assert_int_equal(script.tries[1].items, 3);
	assert_int_equal(script.tries[2].items, 2);
	assert_int_equal(counted().puts, 5);
	for (int i = 0; i < 5; i++)
		assert_int_equal(items[i].result, 0);
	end();
}

static void found_items_are_not_read_again(void **state)
{
	struct engine_op op;

	begin(STEPS({-ENOENT, .done = 1}));
	op = op_of(ENGINE_GET, items, 3);
	assert_int_equal(engine_call(channel, &op), -ENOENT);
	assert_int_equal(script_tries(&script), 1);
	assert_int_equal(items[0].result, 0);
	assert_int_equal(items[1].result, -ENOENT);
	end();
}

static void put_new_reads_back(void **state)
{
	static const struct {
		const char *content;
		int result;
	} cases[] = {{"data", 0},	{"dat", -EEXIST}, {"datas", -EEXIST},
		     {"Data", -EEXIST}, {"", -EEXIST},	  {"data, and far longer", -EEXIST}};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		begin(STEPS({-EEXIST}, {.content = cases[i].content,
					.content_got = (uint32_t)strlen(cases[i].content)}));
		assert_int_equal(call(ENGINE_PUT_NEW, 1), cases[i].result);
		assert_int_equal(items[0].result, cases[i].result);
		assert_int_equal(script_tries(&script), 2);
		assert_int_equal(script.tries[1].verb, ENGINE_GET);
		assert_int_equal(counted().puts, cases[i].result == 0);
		assert_int_equal(counted().failed, 0);
		end();
	}
}

/* The acknowledgement was lost, the object is ours. */
static void put_new_finds_its_own(void **state)
{
	begin(STEPS({-ETIMEDOUT}, {-EEXIST}, {-ENOTCONN}, {-EEXIST},
		    {.content = "data", .content_got = 4}));
	assert_int_equal(call(ENGINE_PUT_NEW, 1), 0);
	assert_int_equal(script_tries(&script), 5);
	assert_int_equal(script.tries[2].verb, ENGINE_GET);
	assert_int_equal(script.tries[3].verb, ENGINE_PUT_NEW);
	end();
}

static void put_new_of_what_is_gone_again(void **state)
{
	begin(STEPS({-EEXIST}, {-ENOENT}, {0}));
	assert_int_equal(call(ENGINE_PUT_NEW, 1), 0);
	assert_int_equal(script_tries(&script), 3);
	assert_int_equal(script.tries[2].verb, ENGINE_PUT_NEW);
	end();
}

static void put_new_of_nothing(void **state)
{
	struct engine_op op;

	begin(STEPS({-EEXIST}, {.content = "", .content_got = 0}));
	op = op_of(ENGINE_PUT_NEW, items, 1);
	items[0].data = NULL;
	items[0].bytes = 0;
	assert_int_equal(engine_call(channel, &op), 0);
	end();
}

/* Begins so many PUT_NEWs, and ends when all have; how many ended well. */
static uint32_t many_put_new(uint32_t count)
{
	static struct engine_op ops[ENGINE_CHANNEL_OPS];
	struct engine_op *ended[16];
	uint32_t good = 0;

	for (uint32_t i = 0; i < count; i++) {
		ops[i] = op_of(ENGINE_PUT_NEW, &items[i], 1);
		assert_int_equal(engine_begin(channel, &ops[i]), 0);
	}
	for (uint32_t left = count; left > 0;) {
		uint32_t n = engine_poll(channel, ended, 16);

		for (uint32_t i = 0; i < n; i++)
			good += ended[i]->result == 0;
		left -= n;
		if (n == 0)
			assert_int_equal(engine_wait(channel, 30000), 0);
	}
	return good;
}

static void more_comparisons_than_there_is_room_for(void **state)
{
	struct script_step steps[3 * COMPARISONS_MAX];

	for (uint32_t i = 0; i < 3 * COMPARISONS_MAX; i++)
		steps[i] = (struct script_step){.result = -EEXIST};
	begin(steps, 3 * COMPARISONS_MAX);
	script.content = "data";
	/* The script says EEXIST to PUT_NEWs and GETs alike, until it is over. */
	assert_int_equal(many_put_new(2 * COMPARISONS_MAX), 2 * COMPARISONS_MAX);
	end();
}

static void deadlines_end_what_hangs(void **state)
{
	struct engine_op op;
	uint64_t begun_us;

	begin(STEPS({.hold = true}));
	begun_us = engine_now_us();
	op = op_of(ENGINE_PUT, items, 1);
	op.until_us = begun_us + 300000;
	assert_int_equal(engine_call(channel, &op), -ETIMEDOUT);
	assert_int_equal(items[0].result, -ETIMEDOUT);
	assert_in_range(engine_now_us() - begun_us, 298000, TRY_MS_DEFAULT * 900);
	assert_int_equal(counted().timeouts, 1);
	assert_int_equal(counted().failed, 1);
	end();
}

static void a_try_that_hangs_is_followed_by_another(void **state)
{
	const struct engine_config config = {.try_ms = 200};
	struct engine_op op;

	begin_with(STEPS({.hold = true}, {.hold = true}, {0}), &config);
	op = op_of(ENGINE_PUT, items, 1);
	op.until_us = ENGINE_FOREVER;
	assert_int_equal(engine_call(channel, &op), 0);
	assert_int_equal(script_tries(&script), 3);
	assert_int_equal(counted().timeouts, 2);
	assert_true(script.tries[1].at_us >= script.tries[0].at_us + 200000);
	end();
}

static void what_is_over_is_not_tried(void **state)
{
	struct engine_op op;

	begin(NULL, 0);
	op = op_of(ENGINE_PUT, items, 1);
	op.until_us = engine_now_us() - 1;
	assert_int_equal(engine_call(channel, &op), -ETIMEDOUT);
	op.until_us = 0;
	assert_int_equal(engine_call(channel, &op), -ETIMEDOUT);
	assert_int_equal(script_tries(&script), 0);
	end();
}

/* What a failing operation ends in when its time is over. */
static void deadline_after(int err, int result)
{
	struct script_step steps[SCRIPT_STEPS];
	struct engine_health health;
	struct engine_op op;
	char why[64];

	for (uint32_t i = 0; i < SCRIPT_STEPS; i++)
		steps[i] = (struct script_step){.result = err};
	begin(steps, SCRIPT_STEPS);
	op = op_of(ENGINE_PUT, items, 1);
	op.until_us = engine_now_us() + 300000;
	assert_int_equal(engine_call(channel, &op), result);
	assert_int_equal(items[0].result, result);
	assert_in_range(script_tries(&script), 1, SCRIPT_STEPS - 1);
	engine_health(engine, &health);
	assert_true(health.failing_us > 0);
	assert_int_equal(health.error, err);
	snprintf(why, sizeof(why), "the script says %d", err);
	assert_string_equal(health.why, why);
	end();
}

static void deadlines_end_tries(void **state)
{
	deadline_after(-ENOTCONN, -ETIMEDOUT);
	deadline_after(-EBUSY, -ETIMEDOUT);
	deadline_after(-ETIMEDOUT, -ETIMEDOUT);
	deadline_after(-EACCES, -EACCES);
	deadline_after(-ENOSPC, -ENOSPC);
	deadline_after(-EPROTO, -EPROTO);
}

/* Full storage still reads: that it does says nothing of what it is to take. */
static void health_of_puts_is_their_own(void **state)
{
	struct engine_health health;

	begin(STEPS({-ENOSPC}, {.hold = true}, {0}));
	struct engine_op op = op_of(ENGINE_PUT, items, 1), *ended;

	assert_int_equal(engine_begin(channel, &op), 0);
	while (script_tries(&script) < 2)
		(void)poll(NULL, 0, 1);
	struct engine_op get = op_of(ENGINE_GET, &items[1], 1);
	assert_int_equal(engine_begin(channel, &get), 0);
	assert_int_equal(engine_wait(channel, 10000), 0);
	assert_int_equal(engine_poll(channel, &ended, 1), 1);
	assert_ptr_equal(ended, &get);
	assert_int_equal(ended->result, 0);
	engine_health(engine, &health);
	assert_true(health.failing_us > 0);
	assert_int_equal(health.error, -ENOSPC);
	script_release(&script);
	assert_int_equal(engine_wait(channel, 10000), 0);
	assert_int_equal(engine_poll(channel, &ended, 1), 1);
	assert_int_equal(ended->result, 0);
	engine_health(engine, &health);
	assert_int_equal(health.failing_us, 0);
	end();
}

static void health_comes_back(void **state)
{
	struct engine_health health;

	begin(STEPS({-ENOTCONN}, {-ENOTCONN}, {.hold = true}, {0}, {-ENOTCONN}, {-ENOENT}));
	struct engine_op op = op_of(ENGINE_PUT, items, 1), *ended;

	engine_health(engine, &health);
	assert_int_equal(health.failing_us, 0);
	assert_int_equal(engine_begin(channel, &op), 0);
	while (script_tries(&script) < 3)
		(void)poll(NULL, 0, 1);
	engine_health(engine, &health);
	assert_int_equal(health.open, 1);
	assert_true(health.failing_us > 0);
	script_release(&script);
	assert_int_equal(engine_wait(channel, 10000), 0);
	assert_int_equal(engine_poll(channel, &ended, 1), 1);
	assert_int_equal(ended->result, 0);
	engine_health(engine, &health);
	assert_int_equal(health.open, 0);
	assert_int_equal(health.failing_us, 0);
	assert_int_equal(call(ENGINE_PUT, 1), 0);
	/* Also by an answer that is none one hoped for. */
	assert_int_equal(call(ENGINE_GET, 1), -ENOENT);
	engine_health(engine, &health);
	assert_int_equal(health.failing_us, 0);
	end();
}

static void channels_are_bounded(void **state)
{
	static struct engine_op ops[ENGINE_CHANNEL_OPS + 1];
	static struct engine_channel *channels[ENGINE_CHANNELS_MAX];
	struct engine_op *ended[ENGINE_CHANNEL_OPS];
	uint32_t left = ENGINE_CHANNEL_OPS;

	begin(NULL, 0);
	for (uint32_t i = 0; i <= ENGINE_CHANNEL_OPS; i++)
		ops[i] = op_of(ENGINE_PUT, &items[i], 1);
	/* Also what has ended counts until it is taken. */
	for (uint32_t i = 0; i < ENGINE_CHANNEL_OPS; i++)
		assert_int_equal(engine_begin(channel, &ops[i]), 0);
	assert_int_equal(engine_begin(channel, &ops[ENGINE_CHANNEL_OPS]), -EAGAIN);
	assert_int_equal(counted().refused, 1);
	while (left > 0) {
		assert_int_equal(engine_wait(channel, 10000), 0);
		left -= engine_poll(channel, ended, ENGINE_CHANNEL_OPS);
	}
	assert_int_equal(engine_call(channel, &ops[ENGINE_CHANNEL_OPS]), 0);
	for (uint32_t i = 1; i < ENGINE_CHANNELS_MAX; i++)
		assert_int_equal(engine_channel_open(engine, &channels[i]), 0);
	assert_int_equal(engine_channel_open(engine, &channels[0]), -EAGAIN);
	engine_channel_close(channels[100]);
	assert_int_equal(engine_channel_open(engine, &channels[100]), 0);
	for (uint32_t i = 1; i < ENGINE_CHANNELS_MAX; i++)
		engine_channel_close(channels[i]);
	end();
}

static struct engine_op fill_ops[ENGINE_OPEN_MAX];
static struct engine_item fill_items[ENGINE_OPEN_MAX];
static struct engine_channel *fill_channels[4];

/* From four channels so many operations, which the script holds. */
static void fill_begin(uint32_t count)
{
	for (uint32_t c = 0; c < 4; c++)
		assert_int_equal(engine_channel_open(engine, &fill_channels[c]), 0);
	for (uint32_t i = 0; i < count; i++) {
		fill_ops[i] = op_of(ENGINE_PUT, &fill_items[i], 1);
		assert_int_equal(engine_begin(fill_channels[i / ENGINE_CHANNEL_OPS], &fill_ops[i]),
				 0);
	}
	assert_true(script_await_held(&script, ENGINE_OPEN_MAX));
}

static void fill_end(uint32_t count)
{
	static struct engine_op *ended[ENGINE_CHANNEL_OPS];

	for (uint32_t c = 0; c < 4; c++) {
		uint32_t left = count < ENGINE_CHANNEL_OPS ? count : ENGINE_CHANNEL_OPS;

		for (count -= left; left > 0;) {
			assert_int_equal(engine_wait(fill_channels[c], 10000), 0);
			left -= engine_poll(fill_channels[c], ended, ENGINE_CHANNEL_OPS);
		}
		engine_channel_close(fill_channels[c]);
	}
}

/* What waits behind a full driver has its deadline, and its turn. */
static void the_driver_is_bounded(void **state)
{
	struct engine_op late, patient, *out;

	begin(NULL, 0);
	script_hold(&script);
	fill_begin(ENGINE_OPEN_MAX);
	late = op_of(ENGINE_PUT, &items[0], 1);
	late.until_us = engine_now_us() + 30000;
	assert_int_equal(engine_call(channel, &late), -ETIMEDOUT);
	patient = op_of(ENGINE_PUT, &items[0], 1);
	assert_int_equal(engine_begin(channel, &patient), 0);
	assert_int_equal(engine_wait(channel, 20), -ETIMEDOUT);
	script_release(&script);
	assert_int_equal(engine_wait(channel, 10000), 0);
	assert_int_equal(engine_poll(channel, &out, 1), 1);
	assert_int_equal(out->result, 0);
	fill_end(ENGINE_OPEN_MAX);
	assert_int_equal(script.held_most, ENGINE_OPEN_MAX);
	end();
}

static bool readable(void)
{
	struct pollfd p = {.fd = engine_sleep_fd(channel), .events = POLLIN};

	return poll(&p, 1, 0) == 1;
}

static void the_descriptor_tells(void **state)
{
	struct engine_op ops[3], *ended[3];
	struct pollfd p;

	begin(NULL, 0);
	assert_false(readable());
	assert_int_equal(engine_poll(channel, ended, 3), 0);
	for (int round = 0; round < 100; round++) {
		for (int i = 0; i < 3; i++) {
			ops[i] = op_of(ENGINE_PUT, &items[i], 1);
			assert_int_equal(engine_begin(channel, &ops[i]), 0);
		}
		/* Not all of it at once: it goes on telling. At times it tells once too often. */
		for (uint32_t left = 3; left > 0; left -= engine_poll(channel, ended, 1)) {
			p = (struct pollfd){.fd = engine_sleep_fd(channel), .events = POLLIN};
			assert_int_equal(poll(&p, 1, 10000), 1);
		}
		assert_int_equal(engine_poll(channel, ended, 3), 0);
		assert_false(readable());
	}
	assert_int_equal(engine_wait(channel, 0), -ETIMEDOUT);
	end();
}

static void removals_are_slow_and_others_are_not(void **state)
{
	const struct engine_config config = {.delete_rate = 1000};
	struct engine_op removals[2], put, *ended;
	uint64_t begun_us = engine_now_us();

	begin_with(NULL, 0, &config);
	removals[0] = op_of(ENGINE_DELETE, &items[0], 100);
	removals[1] = op_of(ENGINE_DELETE, &items[100], 1);
	put = op_of(ENGINE_PUT, &items[101], 1);
	for (int i = 0; i < 2; i++)
		assert_int_equal(engine_begin(channel, &removals[i]), 0);
	assert_int_equal(engine_begin(channel, &put), 0);
	for (int i = 0; i < 3; i++) {
		static struct engine_op *order[3];

		assert_int_equal(engine_wait(channel, 10000), 0);
		assert_int_equal(engine_poll(channel, &ended, 1), 1);
		order[i] = ended;
		if (i == 2)
			assert_ptr_equal(order[2], &removals[1]);
	}
	/* 100 objects are a tenth of a second's, less what was saved before: one. */
	assert_true(engine_now_us() >= begun_us + 99000);
	end();
}

/* Nothing is left hanging: open operations of every kind, and what comes too late. */
static void closing_ends_everything(void **state)
{
	struct engine_op ops[4], late, *ended[8];
	uint32_t n = 0;

	begin(STEPS({.hold = true}, {-ENOTCONN}, {-EEXIST}));
	script_hold(&script);
	for (int i = 0; i < 3; i++) {
		ops[i] = op_of(i == 2 ? ENGINE_PUT_NEW : ENGINE_PUT, &items[i], 1);
		ops[i].until_us = ENGINE_FOREVER;
		assert_int_equal(engine_begin(channel, &ops[i]), 0);
		while (script_tries(&script) < (uint32_t)i + 1)
			(void)poll(NULL, 0, 1);
	}
	engine_close(engine, 0);
	assert_true(script.destroyed);
	late = op_of(ENGINE_PUT, &items[4], 1);
	assert_int_equal(engine_begin(channel, &late), 0);
	while (n < 4) {
		assert_int_equal(engine_wait(channel, 1000), 0);
		assert_true(readable());
		n += engine_poll(channel, ended + n, 1);
	}
	for (uint32_t i = 0; i < 4; i++) {
		assert_int_equal(ended[i]->result, -ECANCELED);
		assert_int_equal(ended[i]->items[0].result, -ECANCELED);
	}
	assert_int_equal(engine_wait(channel, 0), -ETIMEDOUT);
	assert_int_equal(engine_call(channel, &late), -ECANCELED);
	assert_int_equal(engine_poll(channel, ended, 1), 0);
	assert_false(readable());
	assert_int_equal(engine_begin(channel, &late), 0);
	assert_true(readable());
	assert_int_equal(engine_poll(channel, ended, 1), 1);
	engine_close(engine, 0);
	engine_channel_close(channel);
	engine_destroy(engine);
}

/* The driver is full again before the comparison's turn. */
static void closing_ends_a_comparison(void **state)
{
	struct engine_op put, next, *ended;

	begin(STEPS({-EEXIST, .delay_ms = 300}));
	script_hold(&script);
	put = op_of(ENGINE_PUT_NEW, &items[0], 1);
	assert_int_equal(engine_begin(channel, &put), 0);
	while (script_tries(&script) < 1)
		(void)poll(NULL, 0, 1);
	fill_begin(ENGINE_OPEN_MAX - 1);
	next = op_of(ENGINE_PUT, &items[1], 1);
	assert_int_equal(engine_begin(channel, &next), 0);
	while (script_tries(&script) < ENGINE_OPEN_MAX + 1)
		(void)poll(NULL, 0, 1);
	engine_close(engine, 0);
	for (uint32_t left = 2; left > 0; left--) {
		assert_int_equal(engine_wait(channel, 10000), 0);
		assert_int_equal(engine_poll(channel, &ended, 1), 1);
		assert_int_equal(ended->result, -ECANCELED);
		assert_int_equal(ended->items[0].result, -ECANCELED);
	}
	fill_end(ENGINE_OPEN_MAX - 1);
	end();
}

static void closing_waits_for_so_long(void **state)
{
	struct engine_op ops[2], *ended[2];
	uint64_t begun_us = engine_now_us();

	begin(STEPS({.delay_ms = 30}, {-ENOTCONN, .delay_ms = 30}, {0}));
	for (int i = 0; i < 2; i++) {
		ops[i] = op_of(ENGINE_PUT, &items[i], 1);
		ops[i].until_us = ENGINE_FOREVER;
		assert_int_equal(engine_begin(channel, &ops[i]), 0);
	}
	engine_close(engine, 20000);
	assert_true(engine_now_us() < begun_us + 20000000);
	assert_int_equal(engine_poll(channel, ended, 2), 2);
	assert_int_equal(ended[0]->result, 0);
	assert_int_equal(ended[1]->result, 0);
	engine_channel_close(channel);
	engine_destroy(engine);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(results_come_back),
		cmocka_unit_test(names_are_checked),
		cmocka_unit_test(what_is_no_operation),
		cmocka_unit_test(lists_are_checked),
		cmocka_unit_test(errors_are_tried_again),
		cmocka_unit_test(answers_are_not_tried_again),
		cmocka_unit_test(answers_to_something_else),
		cmocka_unit_test(done_items_are_not_sent_again),
		cmocka_unit_test(found_items_are_not_read_again),
		cmocka_unit_test(put_new_reads_back),
		cmocka_unit_test(put_new_finds_its_own),
		cmocka_unit_test(put_new_of_what_is_gone_again),
		cmocka_unit_test(put_new_of_nothing),
		cmocka_unit_test(more_comparisons_than_there_is_room_for),
		cmocka_unit_test(deadlines_end_what_hangs),
		cmocka_unit_test(a_try_that_hangs_is_followed_by_another),
		cmocka_unit_test(what_is_over_is_not_tried),
		cmocka_unit_test(deadlines_end_tries),
		cmocka_unit_test(health_comes_back),
		cmocka_unit_test(health_of_puts_is_their_own),
		cmocka_unit_test(channels_are_bounded),
		cmocka_unit_test(the_driver_is_bounded),
		cmocka_unit_test(the_descriptor_tells),
		cmocka_unit_test(removals_are_slow_and_others_are_not),
		cmocka_unit_test(closing_ends_everything),
		cmocka_unit_test(closing_ends_a_comparison),
		cmocka_unit_test(closing_waits_for_so_long),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
