/* SPDX-License-Identifier: Apache-2.0 */
/*
 * redis_cluster_test.c - the Redis driver and a cluster whose servers the test plays: the map of
 * slots, and servers that send it on to others.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "dataplane/engine/redis_impl.h"
#include "tests/lib/redis_bed.h"

#define LONG_MS	 60000
#define AWAIT_US 10000000
#define CLUSTER	 "*4\r\n$4\r\nmode\r\n$7\r\ncluster\r\n$4\r\nrole\r\n$6\r\nmaster\r\n"
/* The slot of the directory d is 11298. */
#define SLOT	 "11298"
#define RANGE(first, last, port)                                                                   \
	"*3\r\n:" first "\r\n:" last "\r\n*2\r\n$9\r\n127.0.0.1\r\n:" port "\r\n"
#define GET  "GETRANGE p:{d}:l 0 3;"
#define ASKS "CLUSTER SLOTS;"

static struct redis_bed bed;
static struct redis_driver *driver;
static struct engine_item item;
static struct engine_op op;
static uint8_t room[64];

static int opens(void **state)
{
	bool opened = redis_bed_open(&bed, "", NULL, 1);

	driver = (struct redis_driver *)bed.driver;
	return opened ? 0 : -1;
}

static int closes(void **state)
{
	redis_bed_close(&bed);
	return 0;
}

static void begin(enum engine_verb verb)
{
	item = (struct engine_item){
		.name = {"d", "l"}, .data = (const uint8_t *)"data", .to = room, .bytes = 4};
	op = (struct engine_op){.verb = verb, .count = 1, .items = &item};
	redis_bed_begin(&bed, &op, LONG_MS);
}

#define heard(server, text) assert_string_equal(redis_bed_heard(&bed, server), text)

static void says(uint32_t server, const char *text)
{
	redis_bed_say(&bed, server, text);
}

static void ended(int result)
{
	assert_int_equal(bed.ended_count, 1);
	assert_int_equal(bed.ended[0]->result, result);
	bed.ended_count = 0;
}

static void greets(uint32_t server, const char *place)
{
	heard(server, "HELLO 2;");
	assert_string_equal(bed.servers[server].place, place);
	says(server, CLUSTER);
}

/* Server 0 is the seed, and has said whose the slots are: 1 of them all but d's, 2 of the rest. */
static void knows_the_map(void)
{
	begin(ENGINE_GET);
	greets(0, "seed:7000");
	heard(0, GET ASKS);
	says(0, "$1\r\na\r\n*2\r\n" RANGE("0", "11297", "7001") RANGE("11298", "16383", "7002"));
	ended(0);
	begin(ENGINE_GET);
	greets(1, "127.0.0.1:7002");
	heard(1, GET);
	says(1, "$1\r\na\r\n");
	ended(0);
}

/* The one of the first two that is asked for the map, when it is. */
static uint32_t asked(void)
{
	uint64_t until_us = engine_now_us() + AWAIT_US;

	driver->map_stale = true;
	for (uint32_t server = 0; engine_now_us() < until_us; server = !server)
		if (strcmp(redis_bed_heard(&bed, server), ASKS) == 0)
			return server;
	fail_msg("nobody is asked for the map");
	return 0;
}

static void the_map_is_asked_for_at_once(void **state)
{
	knows_the_map();
	assert_int_equal(driver->owner[0], driver->owner[11297]);
	assert_int_not_equal(driver->owner[0], driver->owner[11298]);
	assert_int_equal(driver->owner[11298], driver->owner[16383]);
}

/* A user without the right to it, or a server that is about to join. */
static void without_a_map_moved_has_to_do(void **state)
{
	begin(ENGINE_GET);
	greets(0, "seed:7000");
	heard(0, GET ASKS);
	says(0, "-MOVED " SLOT " 127.0.0.1:7002\r\n-NOPERM no permissions\r\n");
	greets(1, "127.0.0.1:7002");
	heard(1, GET);
	says(1, "$1\r\na\r\n");
	ended(0);
	begin(ENGINE_GET);
	heard(1, GET);
	assert_int_equal(bed.server_count, 2);
}

static void a_single_server_that_says_moved(void **state)
{
	begin(ENGINE_GET);
	heard(0, "HELLO 2;");
	says(0, "*2\r\n$4\r\nrole\r\n$6\r\nmaster\r\n");
	heard(0, GET);
	says(0, "-MOVED " SLOT " :7002\r\n");
	greets(1, "seed:7002");
	heard(1, GET);
}

static void moved_changes_the_map(void **state)
{
	knows_the_map();
	begin(ENGINE_PUT_NEW);
	heard(1, "ZADD p:{d} 0 l;SET p:{d}:l data NX;");
	says(1, "-MOVED " SLOT " 127.0.0.1:7003\r\n-MOVED " SLOT " 127.0.0.1:7003\r\n");
	greets(2, "127.0.0.1:7003");
	heard(2, "ZADD p:{d} 0 l;SET p:{d}:l data NX;");
	says(2, ":1\r\n+OK\r\n");
	ended(0);
	begin(ENGINE_GET);
	heard(2, GET);
	assert_int_equal(bed.counters.round_trips, 6);
}

/* Only the index has gone already. */
static void ask_is_for_once(void **state)
{
	knows_the_map();
	begin(ENGINE_PUT_NEW);
	redis_bed_heard(&bed, 1);
	says(1, "-ASK " SLOT " 127.0.0.1:7003\r\n+OK\r\n");
	assert_int_equal(bed.ended_count, 0);
	greets(2, "127.0.0.1:7003");
	heard(2, "ASKING;ZADD p:{d} 0 l;");
	says(2, "+OK\r\n:1\r\n");
	ended(0);
	begin(ENGINE_GET);
	heard(1, GET);
}

/* W4 over two servers: the object is there, the index refused. */
static void taken_here_and_refused_there(void **state)
{
	knows_the_map();
	begin(ENGINE_PUT_NEW);
	redis_bed_heard(&bed, 1);
	says(1, "-ASK " SLOT " 127.0.0.1:7003\r\n$-1\r\n");
	greets(2, "127.0.0.1:7003");
	heard(2, "ASKING;ZADD p:{d} 0 l;");
	says(2, "+OK\r\n-OOM x\r\n");
	ended(-ENOSPC);
	assert_int_equal(item.result, -ENOSPC);
}

static void circles_end(void **state)
{
	knows_the_map();
	begin(ENGINE_GET);
	for (uint32_t i = 0; i <= REDIS_REDIRECTS_MAX; i++) {
		uint32_t server = i % 2 == 0 ? 1 : 0;

		redis_bed_heard(&bed, server);
		assert_int_equal(bed.ended_count, 0);
		says(server, server == 1 ? "-MOVED " SLOT " seed:7000\r\n"
					 : "-MOVED " SLOT " 127.0.0.1:7002\r\n");
	}
	ended(-EBUSY);
}

static void broken_redirects_end(void **state)
{
	knows_the_map();
	begin(ENGINE_GET);
	redis_bed_heard(&bed, 1);
	says(1, "-MOVED 99999 127.0.0.1:7002\r\n");
	ended(-EBUSY);
}

/* EXISTS of several keys of a slot that moves. */
static void list_in_a_slot_that_moves(void **state)
{
	static char leaves[4][ENGINE_LEAF_BYTES];
	struct engine_list list = {.dir = "d", .leaf = leaves, .max = 4};

	knows_the_map();
	op = (struct engine_op){.verb = ENGINE_LIST, .list = &list};
	redis_bed_begin(&bed, &op, LONG_MS);
	redis_bed_heard(&bed, 1);
	says(1, "*2\r\n$1\r\na\r\n$1\r\nb\r\n");
	heard(1, "EXISTS p:{d}:a p:{d}:b;");
	says(1, "-TRYAGAIN Multiple keys request during rehashing of slot\r\n");
	heard(1, "EXISTS p:{d}:a;EXISTS p:{d}:b;");
	says(1, ":1\r\n-ASK " SLOT " 127.0.0.1:7003\r\n");
	greets(2, "127.0.0.1:7003");
	heard(2, "ASKING;EXISTS p:{d}:b;");
	says(2, "+OK\r\n:1\r\n");
	ended(0);
	assert_int_equal(list.count, 2);
	assert_string_equal(leaves[1], "b");
}

/* Another server is asked who has the slots now. */
static void a_lost_server_makes_the_map_stale(void **state)
{
	knows_the_map();
	begin(ENGINE_GET);
	redis_bed_heard(&bed, 1);
	redis_bed_hang_up(&bed, 1);
	ended(-ENOTCONN);
	assert_true(driver->map_stale);
	assert_int_equal(asked(), 0);
	says(0, "*1\r\n" RANGE("0", "16383", "7001"));
	begin(ENGINE_GET);
	greets(2, "127.0.0.1:7001");
	heard(2, GET);
	/* Server 7002 has nothing any more. */
	assert_int_equal(driver->nodes_used, 2);
}

static void strange_maps_are_no_maps(void **state)
{
	static const char *const strange[] = {
		"*0\r\n",
		":1\r\n",
		"-ERR This instance has cluster support disabled\r\n",
	};

	knows_the_map();
	for (size_t i = 0; i < sizeof(strange) / sizeof(strange[0]); i++) {
		says(asked(), strange[i]);
		begin(ENGINE_GET);
		heard(1, GET);
		says(1, "$1\r\na\r\n");
		ended(0);
	}
}

/* What it says of one range does not spoil the others. */
static void strange_ranges_are_left_out(void **state)
{
	knows_the_map();
	says(asked(), "*3\r\n:1\r\n" RANGE("0", "99999", "7001") RANGE("11298", "16383", "7002"));
	assert_int_equal(driver->owner[0], REDIS_NO_NODE);
	begin(ENGINE_GET);
	heard(1, GET);
}

static void servers_are_bounded(void **state)
{
	struct redis_place place = {.host = "h"};

	knows_the_map();
	for (uint32_t i = 0; i < REDIS_NODES_MAX - 3; i++) {
		place.port = (uint16_t)(1 + i);
		assert_non_null(redis_node_find(driver, &place));
	}
	place.port = 9999;
	assert_null(redis_node_find(driver, &place));
	begin(ENGINE_GET);
	redis_bed_heard(&bed, 1);
	says(1, "-MOVED " SLOT " 127.0.0.1:7003\r\n");
	ended(-EBUSY);
}

#define OPENED(name) cmocka_unit_test_setup_teardown(name, opens, closes)

int main(void)
{
	const struct CMUnitTest tests[] = {
		OPENED(the_map_is_asked_for_at_once),
		OPENED(without_a_map_moved_has_to_do),
		OPENED(a_single_server_that_says_moved),
		OPENED(moved_changes_the_map),
		OPENED(ask_is_for_once),
		OPENED(taken_here_and_refused_there),
		OPENED(circles_end),
		OPENED(broken_redirects_end),
		OPENED(list_in_a_slot_that_moves),
		OPENED(a_lost_server_makes_the_map_stale),
		OPENED(strange_maps_are_no_maps),
		OPENED(strange_ranges_are_left_out),
		OPENED(servers_are_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
