/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine_test.c - threads that use one engine at once, over a storage with every fault, while
 * others look at its numbers and one closes it: each operation comes back exactly once, and what
 * was read is what was written.
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "dataplane/engine/driver.h"
#include "dataplane/engine/random.h"

#define USERS	   6
#define FLIGHT	   16
#define ROUNDS	   40
#define NAMES	   64
#define BYTES_MAX  600
#define WOKEN_MS   20000 /* pauses between tries are 2 s at most */
#define FAULTS_ALL "latency=50/1000&error=0.05&throttle=0.01&lost=0.05&partial=0.2&batch_max=3"

struct user {
	pthread_t thread;
	struct engine *engine;
	uint32_t number;
	uint64_t random;
	bool endless; /* until the engine is closed */
	uint64_t ended, canceled;
	uint32_t wrong;
	struct flight {
		struct engine_op op;
		struct engine_item item;
		bool open;
		uint32_t name;
		uint8_t data[BYTES_MAX];
	} flights[FLIGHT];
	bool written[NAMES];
};

/* Each name has one content (N1); its length follows from it as well. */
static uint32_t content(uint8_t *to, uint32_t user, uint32_t name)
{
	uint64_t state = user * 1000 + name;
	uint32_t bytes = (uint32_t)random_upto(&state, BYTES_MAX - 1);

	for (uint32_t i = 0; i < bytes; i++)
		to[i] = (uint8_t)(random_next(&state) >> 32);
	return bytes;
}

static void flight_begin(struct user *user, struct engine_channel *channel, struct flight *flight)
{
	static const enum engine_verb verbs[] = {ENGINE_GET, ENGINE_PUT, ENGINE_PUT_NEW,
						 ENGINE_DELETE};
	bool busy;

	do { /* one operation of a name at a time, so that its result is known */
		flight->name = (uint32_t)random_upto(&user->random, NAMES - 1);
		busy = false;
		for (uint32_t i = 0; i < FLIGHT; i++)
			busy |= user->flights[i].open && user->flights[i].name == flight->name;
	} while (busy);
	memset(&flight->item, 0, sizeof(flight->item));
	snprintf(flight->item.name.dir, ENGINE_DIR_BYTES, "user-%u", user->number);
	snprintf(flight->item.name.leaf, ENGINE_LEAF_BYTES, "%u", flight->name);
	flight->op = (struct engine_op){.verb = verbs[random_upto(&user->random, 3)],
					.items = &flight->item,
					.count = 1,
					.until_us = ENGINE_FOREVER};
	flight->item.bytes = BYTES_MAX;
	flight->item.to = flight->data;
	flight->item.data = flight->data;
	if (flight->op.verb != ENGINE_GET)
		flight->item.bytes = content(flight->data, user->number, flight->name);
	flight->open = true;
	if (engine_begin(channel, &flight->op) != 0)
		user->wrong++;
}

static void flight_end(struct user *user, struct flight *flight)
{
	uint8_t want[BYTES_MAX];
	int result = flight->op.result;

	user->wrong += !flight->open || flight->item.result != result;
	flight->open = false;
	user->ended++;
	if (result == -ECANCELED) {
		user->canceled++;
		return;
	}
	switch (flight->op.verb) {
	case ENGINE_GET:
		user->wrong += result != (user->written[flight->name] ? 0 : -ENOENT);
		user->wrong += result == 0 &&
			       (flight->item.got != content(want, user->number, flight->name) ||
				memcmp(want, flight->data, flight->item.got) != 0);
		break;
	case ENGINE_DELETE:
		user->wrong += result != 0;
		user->written[flight->name] = false;
		break;
	default:
		user->wrong += result != 0;
		user->written[flight->name] = true;
	}
}

static uint32_t open_of(const struct user *user)
{
	uint32_t open = 0;

	for (uint32_t i = 0; i < FLIGHT; i++)
		open += user->flights[i].open;
	return open;
}

static void take(struct user *user, struct engine_channel *channel)
{
	struct pollfd p = {.fd = engine_sleep_fd(channel), .events = POLLIN};
	struct engine_op *ended[4];
	uint32_t n;

	/* In each of the ways that there are; whoever is not woken waits for too long. */
	if (random_upto(&user->random, 2) == 0)
		user->wrong += poll(&p, 1, WOKEN_MS) != 1;
	else if (random_upto(&user->random, 1) == 0)
		user->wrong += engine_wait(channel, WOKEN_MS) != 0;
	n = engine_poll(channel, ended, 1 + (uint32_t)random_upto(&user->random, 3));
	for (uint32_t i = 0; i < n; i++)
		flight_end(user, (struct flight *)ended[i]);
}

/* With nothing open and nothing to take the descriptor comes to rest. */
static bool rests(struct engine_channel *channel)
{
	struct pollfd p = {.fd = engine_sleep_fd(channel), .events = POLLIN};
	struct engine_op *ended;

	for (uint32_t i = 0; i < 1000; i++) {
		if (engine_poll(channel, &ended, 1) != 0)
			return false;
		if (poll(&p, 1, 0) == 0)
			return true;
		(void)poll(NULL, 0, 1);
	}
	return false;
}

/* A life of a channel. */
static void round_of(struct user *user)
{
	struct engine_channel *channel;
	uint32_t left = 30;

	if (engine_channel_open(user->engine, &channel) != 0) {
		user->wrong++;
		return;
	}
	while (left > 0 || open_of(user) > 0) {
		for (uint32_t i = 0; i < FLIGHT && left > 0; i++)
			if (!user->flights[i].open) {
				flight_begin(user, channel, &user->flights[i]);
				left--;
			}
		take(user, channel);
	}
	user->wrong += !rests(channel);
	engine_channel_close(channel);
}

static void *use(void *arg)
{
	struct user *user = arg;

	for (uint32_t i = 0; user->endless ? user->canceled == 0 : i < ROUNDS; i++)
		round_of(user);
	return NULL;
}

static struct engine *begin(struct user *users, bool endless)
{
	struct engine_config config = {.url = "memory:?" FAULTS_ALL, .seed = 3};
	struct engine *engine;
	char why[ENGINE_WHY_BYTES];

	assert_int_equal(engine_open(&engine, &config, why), 0);
	for (uint32_t u = 0; u < USERS; u++) {
		memset(&users[u], 0, sizeof(users[u]));
		users[u].engine = engine;
		users[u].number = u;
		users[u].random = u;
		users[u].endless = endless;
		assert_int_equal(pthread_create(&users[u].thread, NULL, use, &users[u]), 0);
	}
	return engine;
}

static uint64_t finish(struct user *users)
{
	uint64_t ended = 0;

	for (uint32_t u = 0; u < USERS; u++) {
		pthread_join(users[u].thread, NULL);
		assert_int_equal(users[u].wrong, 0);
		ended += users[u].ended;
	}
	return ended;
}

static void many_users(void **state)
{
	static struct user users[USERS];
	struct engine *engine = begin(users, false);
	struct engine_counters counters;
	struct engine_health health;

	do {
		engine_counters(engine, &counters);
		engine_health(engine, &health);
		(void)poll(NULL, 0, 1);
	} while (counters.retries < 100);
	assert_int_equal(finish(users), USERS * ROUNDS * 30);
	engine_health(engine, &health);
	assert_int_equal(health.open, 0);
	engine_counters(engine, &counters);
	assert_int_equal(counters.failed, 0);
	engine_close(engine, 0);
	engine_destroy(engine);
}

static void closed_under_load(void **state)
{
	static struct user users[USERS];

	for (uint32_t i = 0; i < 5; i++) {
		struct engine *engine = begin(users, true);
		struct engine_counters counters;

		do {
			engine_counters(engine, &counters);
			(void)poll(NULL, 0, 1);
		} while (counters.puts < 100);
		engine_close(engine, i);
		assert_true(finish(users) >= 100);
		engine_destroy(engine);
	}
}

/*
 * Two operations that end shortly after one another, again and again: the second just when the
 * first one's wake-up is taken. The channel's thread sleeps on its descriptor, or spins.
 */
static void pairs(uint32_t rounds, bool spin)
{
	struct engine_config config = {.url = "memory:?get=15/60", .seed = 4};
	struct engine_item items[2];
	struct engine_op ops[2], *ended[2];
	struct engine_channel *channel;
	struct engine *engine;
	char why[ENGINE_WHY_BYTES];
	uint8_t to[2];

	assert_int_equal(engine_open(&engine, &config, why), 0);
	assert_int_equal(engine_channel_open(engine, &channel), 0);
	for (uint32_t i = 0; i < rounds; i++) {
		struct pollfd p = {.fd = engine_sleep_fd(channel), .events = POLLIN};

		for (uint32_t k = 0; k < 2; k++) {
			items[k] = (struct engine_item){
				.name = {"dir", "leaf"}, .to = to + k, .bytes = 1};
			ops[k] = (struct engine_op){.verb = ENGINE_GET,
						    .items = items + k,
						    .count = 1,
						    .until_us = ENGINE_FOREVER};
			assert_int_equal(engine_begin(channel, &ops[k]), 0);
		}
		for (uint32_t left = 2; left > 0; left -= engine_poll(channel, ended, 2))
			assert_true(spin || poll(&p, 1, WOKEN_MS) == 1);
		assert_true(rests(channel));
	}
	engine_close(engine, 0);
	engine_channel_close(channel);
	engine_destroy(engine);
}

static void sleepers_are_woken(void **state)
{
	pairs(8000, false);
}

static void spinners_leave_nothing_behind(void **state)
{
	pairs(3000, true);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(many_users),
		cmocka_unit_test(closed_under_load),
		cmocka_unit_test(sleepers_are_woken),
		cmocka_unit_test(spinners_leave_nothing_behind),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
