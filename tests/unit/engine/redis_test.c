/* SPDX-License-Identifier: Apache-2.0 */
/*
 * redis_test.c - the Redis driver against a server that the test plays: what it says, in which
 * order, and what it makes of each answer.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "dataplane/engine/redis_impl.h"
#include "tests/lib/redis_bed.h"

#define LONG_MS	   60000
#define AWAIT_US   10000000
#define STANDALONE "*4\r\n$4\r\nmode\r\n$10\r\nstandalone\r\n$4\r\nrole\r\n$6\r\nmaster\r\n"
#define CLUSTER	   "*4\r\n$4\r\nmode\r\n$7\r\ncluster\r\n$4\r\nrole\r\n$6\r\nmaster\r\n"
#define MANY	   300

static struct redis_bed bed;
static struct engine_item items[MANY];
static uint8_t room[64];
static struct engine_op op;
static struct engine_list list;
static char leaves[MANY][ENGINE_LEAF_BYTES];

static int opens(void **state)
{
	return redis_bed_open(&bed, "", NULL, 1) ? 0 : -1;
}

static int opens_with_password(void **state)
{
	return redis_bed_open(&bed, "", "secret", 1) ? 0 : -1;
}

static int opens_with_user(void **state)
{
	return redis_bed_open(&bed, "abaft", "secret", 1) ? 0 : -1;
}

static int opens_two(void **state)
{
	return redis_bed_open(&bed, "", NULL, 2) ? 0 : -1;
}

static int closes(void **state)
{
	redis_bed_close(&bed);
	return 0;
}

static struct engine_op *make(enum engine_verb verb, uint32_t count)
{
	memset(items, 0, sizeof(items));
	op = (struct engine_op){.verb = verb, .count = count, .items = items};
	for (uint32_t i = 0; i < count; i++) {
		snprintf(items[i].name.dir, sizeof(items[i].name.dir), "d");
		snprintf(items[i].name.leaf, sizeof(items[i].name.leaf), "%03u", i);
		items[i].data = (const uint8_t *)"data";
		items[i].to = room;
		items[i].bytes = 4;
	}
	return &op;
}

static void begin(enum engine_verb verb, uint32_t count)
{
	redis_bed_begin(&bed, make(verb, count), LONG_MS);
}

static void begin_list(const char *after, uint32_t max)
{
	list = (struct engine_list){.dir = "d", .leaf = leaves, .max = max};
	snprintf(list.after, sizeof(list.after), "%s", after);
	op = (struct engine_op){.verb = ENGINE_LIST, .list = &list};
	redis_bed_begin(&bed, &op, LONG_MS);
}

#define heard(server, text) assert_string_equal(redis_bed_heard(&bed, server), text)

static void says(uint32_t server, const char *text)
{
	redis_bed_say(&bed, server, text);
}

/* The one that has begun. */
static void ended(int result)
{
	assert_int_equal(bed.ended_count, 1);
	assert_int_equal(bed.ended[0]->result, result);
	bed.ended_count = 0;
}

static void not_ended(void)
{
	redis_bed_run(&bed);
	assert_int_equal(bed.ended_count, 0);
}

#define awaits(condition)                                                                          \
	do {                                                                                       \
		uint64_t until_us = engine_now_us() + AWAIT_US;                                    \
		while (!(condition)) {                                                             \
			assert_true(engine_now_us() < until_us);                                   \
			redis_bed_run(&bed);                                                       \
		}                                                                                  \
	} while (0)

static void greets(uint32_t server)
{
	heard(server, "HELLO 2;");
	says(server, STANDALONE);
}

static void put_new_is_a_pair_index_first(void **state)
{
	begin(ENGINE_PUT_NEW, 1);
	greets(0);
	assert_string_equal(bed.servers[0].place, "seed:7000");
	heard(0, "ZADD p:{d} 0 000;SET p:{d}:000 data NX;");
	says(0, ":1\r\n");
	not_ended();
	says(0, "+OK\r\n");
	ended(0);
	assert_int_equal(items[0].result, 0);
	assert_int_equal(bed.counters.put_bytes, 4);
	assert_int_equal(bed.counters.round_trips, 1);
}

static void put_new_of_a_taken_name(void **state)
{
	begin(ENGINE_PUT_NEW, 1);
	greets(0);
	redis_bed_heard(&bed, 0);
	says(0, ":0\r\n$-1\r\n");
	ended(-EEXIST);
	assert_int_equal(items[0].result, -EEXIST);
}

/* W4: the service would call it done, and LIST would not show it. */
static void taken_counts_only_in_the_index(void **state)
{
	begin(ENGINE_PUT_NEW, 1);
	greets(0);
	redis_bed_heard(&bed, 0);
	says(0, "-OOM command not allowed\r\n$-1\r\n");
	ended(-ENOSPC);
	assert_int_equal(items[0].result, -ENOSPC);
}

static void put_fails_without_its_index(void **state)
{
	begin(ENGINE_PUT, 1);
	greets(0);
	heard(0, "ZADD p:{d} 0 000;SET p:{d}:000 data;");
	says(0, "-BUSY a script\r\n+OK\r\n");
	ended(-EBUSY);
}

static void put_of_many_has_a_window(void **state)
{
	char pair[] = ":1\r\n+OK\r\n";

	begin(ENGINE_PUT, MANY);
	greets(0);
	redis_bed_heard(&bed, 0);
	assert_int_equal(((struct redis_driver *)bed.driver)->nodes[0]->links[0].sent_count,
			 REDIS_WORK_REQUESTS_MAX);
	for (int i = 0; i < MANY; i++) {
		not_ended();
		says(0, pair);
		redis_bed_heard(&bed, 0);
	}
	ended(0);
	assert_int_equal(bed.counters.round_trips, 1);
}

/* D3. */
static void what_is_done_is_not_sent_again(void **state)
{
	begin(ENGINE_PUT, 3);
	greets(0);
	redis_bed_heard(&bed, 0);
	says(0, ":1\r\n+OK\r\n:1\r\n-OOM x\r\n:1\r\n+OK\r\n");
	ended(-ENOSPC);
	assert_int_equal(items[0].result, 0);
	assert_int_equal(items[1].result, -ENOSPC);
	assert_int_equal(items[2].result, 0);
	items[1].result = -EINPROGRESS;
	bed.driver->ops->begin(bed.driver, &op);
	heard(0, "ZADD p:{d} 0 001;SET p:{d}:001 data;");
	says(0, ":0\r\n+OK\r\n");
	ended(0);
}

/* What is left out when an item fails has its error, not none. */
static void a_batch_stops_at_an_error(void **state)
{
	begin(ENGINE_PUT, MANY);
	greets(0);
	redis_bed_heard(&bed, 0);
	says(0, "-OOM x\r\n-OOM x\r\n");
	for (uint32_t i = 1; i < REDIS_WORK_REQUESTS_MAX / 2; i++) {
		not_ended();
		says(0, ":1\r\n+OK\r\n");
	}
	ended(-ENOSPC);
	heard(0, "");
	assert_int_equal(items[1].result, 0);
	assert_int_equal(items[MANY - 1].result, -ENOSPC);
}

static void delete_takes_the_object_first(void **state)
{
	begin(ENGINE_DELETE, 2);
	greets(0);
	heard(0, "UNLINK p:{d}:000;ZREM p:{d} 000;UNLINK p:{d}:001;ZREM p:{d} 001;");
	says(0, ":1\r\n:1\r\n:0\r\n:0\r\n");
	ended(0);
}

static void get_brings_what_is_wanted(void **state)
{
	make(ENGINE_GET, 1);
	items[0].offset = 7;
	redis_bed_begin(&bed, &op, LONG_MS);
	greets(0);
	heard(0, "GETRANGE p:{d}:000 7 10;");
	says(0, "$3\r\nabc\r\n");
	ended(0);
	assert_int_equal(items[0].got, 3);
	assert_memory_equal(room, "abc", 3);
	assert_int_equal(bed.counters.get_bytes, 3);
}

static void nothing_is_empty_or_not_there(void **state)
{
	begin(ENGINE_GET, 2);
	greets(0);
	redis_bed_heard(&bed, 0);
	says(0, "$0\r\n\r\n$0\r\n\r\n");
	heard(0, "EXISTS p:{d}:000;EXISTS p:{d}:001;");
	says(0, ":1\r\n:0\r\n");
	ended(-ENOENT);
	assert_int_equal(items[0].result, 0);
	assert_int_equal(items[0].got, 0);
	assert_int_equal(items[1].result, -ENOENT);
}

/* GETRANGE key 0 -1 would be the whole object. */
static void no_bytes_are_asked_for_by_existence(void **state)
{
	make(ENGINE_GET, 1);
	items[0].bytes = 0;
	redis_bed_begin(&bed, &op, LONG_MS);
	greets(0);
	heard(0, "EXISTS p:{d}:000;");
	says(0, ":1\r\n");
	ended(0);
}

/* An error that another try may mend counts more than one that it will not. */
static void errors_to_try_again_come_first(void **state)
{
	begin(ENGINE_GET, 2);
	greets(0);
	redis_bed_heard(&bed, 0);
	says(0, "$0\r\n\r\n-LOADING x\r\n");
	heard(0, "EXISTS p:{d}:000;");
	says(0, ":0\r\n");
	ended(-ENOTCONN);
	assert_int_equal(items[0].result, -ENOENT);
	assert_int_equal(items[1].result, -ENOTCONN);
}

static void more_than_wanted_is_refused(void **state)
{
	begin(ENGINE_GET, 1);
	greets(0);
	redis_bed_heard(&bed, 0);
	says(0, "$5\r\nabcde\r\n");
	ended(-EPROTO);
}

static void list_shows_what_is_there(void **state)
{
	begin_list("", 2);
	greets(0);
	heard(0, "ZRANGEBYLEX p:{d} - + LIMIT 0 3;");
	says(0, "*3\r\n$1\r\na\r\n$1\r\nb\r\n$1\r\nc\r\n");
	heard(0, "EXISTS p:{d}:a p:{d}:b;");
	says(0, ":2\r\n");
	ended(0);
	assert_int_equal(list.count, 2);
	assert_true(list.more);
	assert_string_equal(leaves[1], "b");
	begin_list("b", 2);
	heard(0, "ZRANGEBYLEX p:{d} (b + LIMIT 0 3;");
	says(0, "*1\r\n$1\r\nc\r\n");
	heard(0, "EXISTS p:{d}:c;");
	says(0, ":1\r\n");
	ended(0);
	assert_int_equal(list.count, 1);
	assert_false(list.more);
}

/* W2. */
static void list_leaves_out_names_without_object(void **state)
{
	begin_list("", 3);
	greets(0);
	redis_bed_heard(&bed, 0);
	says(0, "*3\r\n$1\r\na\r\n$1\r\nb\r\n$1\r\nc\r\n");
	redis_bed_heard(&bed, 0);
	says(0, ":2\r\n");
	heard(0, "EXISTS p:{d}:a;EXISTS p:{d}:b;EXISTS p:{d}:c;");
	says(0, ":1\r\n:0\r\n:1\r\n");
	ended(0);
	assert_int_equal(list.count, 2);
	assert_string_equal(leaves[0], "a");
	assert_string_equal(leaves[1], "c");
	assert_false(list.more);
}

static void list_goes_on_behind_an_empty_part(void **state)
{
	begin_list("", 1);
	greets(0);
	redis_bed_heard(&bed, 0);
	says(0, "*2\r\n$1\r\na\r\n$1\r\nb\r\n");
	redis_bed_heard(&bed, 0);
	says(0, ":0\r\n");
	heard(0, "EXISTS p:{d}:a;");
	says(0, ":0\r\n");
	heard(0, "ZRANGEBYLEX p:{d} (a + LIMIT 0 2;");
	says(0, "*1\r\n$1\r\nb\r\n");
	heard(0, "EXISTS p:{d}:b;");
	says(0, ":1\r\n");
	ended(0);
	assert_int_equal(list.count, 1);
	assert_string_equal(leaves[0], "b");
	assert_false(list.more);
}

static void list_of_nothing(void **state)
{
	begin_list("", 5);
	greets(0);
	redis_bed_heard(&bed, 0);
	says(0, "*0\r\n");
	ended(0);
	assert_int_equal(list.count, 0);
	assert_false(list.more);
}

static void list_for_no_names(void **state)
{
	begin_list("", 0);
	greets(0);
	heard(0, "ZRANGEBYLEX p:{d} - + LIMIT 0 1;");
	says(0, "*1\r\n$1\r\na\r\n");
	ended(0);
	assert_int_equal(list.count, 0);
	assert_true(list.more);
}

static void list_refuses(const char *answer)
{
	begin_list("b", 3);
	redis_bed_heard(&bed, 0);
	says(0, answer);
	ended(-EPROTO);
}

static void list_refuses_strange_names(void **state)
{
	begin_list("", 3);
	greets(0);
	redis_bed_heard(&bed, 0);
	says(0, "*0\r\n");
	ended(0);
	list_refuses("*1\r\n$1\r\na\r\n");
	list_refuses("*1\r\n$1\r\nb\r\n");
	list_refuses("*2\r\n$1\r\nd\r\n$1\r\nc\r\n");
	list_refuses("*1\r\n$0\r\n\r\n");
	list_refuses("*1\r\n$3\r\nc/d\r\n");
	list_refuses("*1\r\n:7\r\n");
	list_refuses("*1\r\n$32\r\ncccccccccccccccccccccccccccccccc\r\n");
	list_refuses("*5\r\n$1\r\nc\r\n$1\r\nd\r\n$1\r\ne\r\n$1\r\nf\r\n$1\r\ng\r\n");
	list_refuses(":3\r\n");
}

static void list_refuses_names_with_a_nul(void **state)
{
	begin_list("", 3);
	greets(0);
	redis_bed_heard(&bed, 0);
	redis_bed_say_bytes(&bed, 0, "*1\r\n$3\r\nc\0d\r\n", 13);
	ended(-EPROTO);
}

static void no_command_is_asked_without_password(void **state)
{
	begin(ENGINE_GET, 1);
	heard(0, "HELLO 2;");
	says(0, "-NOAUTH HELLO must be called with the client already authenticated\r\n");
	ended(-EACCES);
	assert_non_null(strstr(bed.why, "seed:7000"));
	assert_non_null(strstr(bed.why, "password"));
}

static void password_comes_first(void **state)
{
	begin(ENGINE_GET, 1);
	heard(0, "AUTH secret;HELLO 2;");
	says(0, "+OK\r\n" STANDALONE);
	heard(0, "GETRANGE p:{d}:000 0 3;");
}

static void user_and_password(void **state)
{
	begin(ENGINE_GET, 1);
	heard(0, "AUTH abaft secret;HELLO 2;");
}

/* D4. */
static void a_refused_password_is_not_told(void **state)
{
	begin(ENGINE_GET, 1);
	redis_bed_heard(&bed, 0);
	says(0, "-ERR unknown command `AUTH`, with args beginning with: `secret`, \r\n");
	ended(-EACCES);
	assert_null(strstr(bed.why, "secret"));
	assert_non_null(strstr(bed.why, "credentials"));
}

static void what_the_server_repeats_is_cut(void **state)
{
	begin(ENGINE_PUT, 1);
	greets(0);
	redis_bed_heard(&bed, 0);
	says(0, "-ERR unknown command `ZADD`, with args beginning with: `data`, \r\n+OK\r\n");
	ended(-EPROTO);
	assert_null(strstr(bed.why, "data"));
	assert_non_null(strstr(bed.why, "unknown command `ZADD`"));
}

static void old_servers_are_asked_for_their_role(void **state)
{
	begin(ENGINE_GET, 1);
	heard(0, "HELLO 2;");
	says(0, "-ERR unknown command `HELLO`\r\n");
	heard(0, "ROLE;");
	says(0, "*3\r\n$6\r\nmaster\r\n:0\r\n*0\r\n");
	heard(0, "GETRANGE p:{d}:000 0 3;");
}

static void who_may_ask_nothing_goes_on(void **state)
{
	begin(ENGINE_GET, 1);
	heard(0, "HELLO 2;");
	says(0, "-NOPERM this user has no permissions\r\n");
	heard(0, "ROLE;");
	says(0, "-NOPERM this user has no permissions\r\n");
	heard(0, "GETRANGE p:{d}:000 0 3;");
}

static void refuses_at_hello(const char *hello, const char *word)
{
	uint32_t server = bed.server_count;

	begin(ENGINE_GET, 1);
	awaits(bed.server_count > server); /* the pause after a failure */
	heard(server, "HELLO 2;");
	says(server, hello);
	ended(-ENOTCONN);
	assert_non_null(strstr(bed.why, word));
	heard(server, "closed");
}

static void replicas_and_sentinels_are_refused(void **state)
{
	refuses_at_hello("*2\r\n$4\r\nrole\r\n$7\r\nreplica\r\n", "replica");
	refuses_at_hello("*4\r\n$4\r\nmode\r\n$8\r\nsentinel\r\n$4\r\nrole\r\n$6\r\nmaster\r\n",
			 "sentinel");
}

/* It was a primary when the connection began. */
static void readonly_begins_anew(void **state)
{
	begin(ENGINE_PUT, 1);
	greets(0);
	redis_bed_heard(&bed, 0);
	says(0, "-READONLY You can't write against a read only replica.\r\n");
	ended(-ENOTCONN);
	assert_non_null(strstr(bed.why, "replica"));
	heard(0, "closed");
	begin(ENGINE_PUT, 1);
	greets(1);
}

static void too_many_clients(void **state)
{
	begin(ENGINE_GET, 1);
	redis_bed_heard(&bed, 0);
	says(0, "-ERR max number of clients reached\r\n");
	ended(-EBUSY);
}

static void a_lost_connection_ends_all(void **state)
{
	struct engine_item other_item = {.name = {"d", "x"}, .to = room, .bytes = 1};
	struct engine_op other = {.verb = ENGINE_GET, .count = 1, .items = &other_item};

	begin(ENGINE_PUT, 2);
	redis_bed_begin(&bed, &other, LONG_MS);
	greets(0);
	redis_bed_heard(&bed, 0);
	says(0, ":1\r\n+OK\r\n:1\r\n");
	redis_bed_hang_up(&bed, 0);
	assert_int_equal(bed.ended_count, 2);
	assert_int_equal(op.result, -ENOTCONN);
	assert_int_equal(other.result, -ENOTCONN);
	assert_int_equal(items[0].result, 0);
	assert_int_equal(items[1].result, -ENOTCONN);
	bed.ended_count = 0;
	begin(ENGINE_GET, 1);
	greets(1);
	heard(1, "GETRANGE p:{d}:000 0 3;");
}

static void a_quiet_end_is_no_error(void **state)
{
	begin(ENGINE_GET, 1);
	greets(0);
	redis_bed_heard(&bed, 0);
	says(0, "$4\r\nabcd\r\n");
	ended(0);
	redis_bed_hang_up(&bed, 0);
	begin(ENGINE_GET, 1);
	greets(1);
	not_ended();
}

/* Not at once: the pause is until the next connection, and it grows. */
static void refused_connections_pause(void **state)
{
	struct redis_node *node = ((struct redis_driver *)bed.driver)->nodes[0];

	bed.refuse = ECONNREFUSED;
	begin(ENGINE_GET, 1);
	redis_bed_run(&bed);
	ended(-ENOTCONN);
	assert_non_null(strstr(bed.why, "Connection refused"));
	assert_true(node->again_us > 0);
	assert_int_equal(node->pause_us, 2 * REDIS_PAUSE_US_MIN);
	bed.refuse = 0;
	begin(ENGINE_GET, 1);
	redis_bed_run(&bed);
	assert_int_equal(bed.server_count, 0);
	awaits(bed.server_count > 0);
	greets(0);
	assert_int_equal(node->pause_us, REDIS_PAUSE_US_MIN);
}

/* D2, L2. */
static void late_answers_close_the_connection(void **state)
{
	struct engine_item other_item = {.name = {"d", "x"}, .to = room, .bytes = 1};
	struct engine_op other = {.verb = ENGINE_GET, .count = 1, .items = &other_item};

	redis_bed_begin(&bed, make(ENGINE_GET, 1), 50);
	redis_bed_begin(&bed, &other, LONG_MS);
	greets(0);
	redis_bed_heard(&bed, 0);
	awaits(bed.ended_count == 2);
	assert_int_equal(op.result, -ETIMEDOUT);
	assert_int_equal(other.result, -ENOTCONN);
	heard(0, "closed");
}

/* One that is late behind others that are not: its answer is dropped when it comes. */
static void a_late_one_behind_others_is_abandoned(void **state)
{
	struct engine_item other_item = {.name = {"d", "x"}, .to = room, .bytes = 1};
	struct engine_op other = {.verb = ENGINE_GET, .count = 1, .items = &other_item};

	begin(ENGINE_GET, 1);
	redis_bed_begin(&bed, &other, 50);
	greets(0);
	heard(0, "GETRANGE p:{d}:000 0 3;GETRANGE p:{d}:x 0 0;");
	awaits(bed.ended_count == 1);
	assert_ptr_equal(bed.ended[0], &other);
	assert_int_equal(other.result, -ETIMEDOUT);
	bed.ended_count = 0;
	says(0, "$4\r\nabcd\r\n$1\r\ny\r\n");
	ended(0);
	assert_memory_equal(room, "abcd", 4);
}

static void one_that_waits_for_a_connection_is_late_too(void **state)
{
	redis_bed_begin(&bed, make(ENGINE_GET, 1), 50);
	heard(0, "HELLO 2;");
	awaits(bed.ended_count == 1);
	ended(-ETIMEDOUT);
	says(0, STANDALONE);
	heard(0, "");
}

static void what_is_no_redis(void **state)
{
	begin(ENGINE_GET, 1);
	redis_bed_heard(&bed, 0);
	says(0, "HTTP/1.1 400 Bad Request\r\n\r\n");
	ended(-EPROTO);
	heard(0, "closed");
}

/* L1. */
static void answers_that_nobody_asked_for(void **state)
{
	begin(ENGINE_GET, 1);
	greets(0);
	redis_bed_heard(&bed, 0);
	says(0, "$1\r\na\r\n+OK\r\n");
	ended(0);
	heard(0, "closed");
}

static void large_values_get_a_second_connection(void **state)
{
	static struct engine_item small_item = {.name = {"d", "x"}, .to = room, .bytes = 1};
	static struct engine_op small = {.verb = ENGINE_GET, .count = 1, .items = &small_item};
	uint8_t *data = calloc(1, REDIS_LINK_LOAD);

	assert_non_null(data);
	make(ENGINE_PUT, 1);
	items[0].data = data;
	items[0].bytes = REDIS_LINK_LOAD;
	redis_bed_begin(&bed, &op, LONG_MS);
	greets(0);
	redis_bed_run(&bed);
	redis_bed_begin(&bed, &small, LONG_MS);
	greets(1);
	heard(1, "GETRANGE p:{d}:x 0 0;");
	redis_bed_hang_up(&bed, 0);
	ended(-ENOTCONN);
	free(data);
}

/* The server has to keep its answers until we read them. */
static void what_answers_bring_is_bounded(void **state)
{
	const struct redis_link *link = &((struct redis_driver *)bed.driver)->nodes[0]->links[0];

	make(ENGINE_GET, 64);
	for (uint32_t i = 0; i < 64; i++)
		items[i].bytes = 1u << 20;
	redis_bed_begin(&bed, &op, LONG_MS);
	greets(0);
	redis_bed_heard(&bed, 0);
	assert_int_equal(link->sent_count, REDIS_SENT_BYTES >> 20);
	says(0, "$1\r\na\r\n");
	redis_bed_heard(&bed, 0);
	assert_int_equal(link->sent_count, REDIS_SENT_BYTES >> 20);
}

static void close_cancels(void **state)
{
	assert_int_equal(opens(NULL), 0);
	begin(ENGINE_PUT, 2);
	greets(0);
	redis_bed_heard(&bed, 0);
	redis_bed_close(&bed);
	ended(-ECANCELED);
	assert_int_equal(items[1].result, -ECANCELED);
}

static void begin_again(struct redis_bed *ours, struct engine_op *again)
{
	ours->on_end = NULL;
	again->items[0].result = -EINPROGRESS;
	ours->driver->ops->begin(ours->driver, again);
}

/* What ends may begin anew at once, on the connection that is about to be closed. */
static void ends_may_begin(void **state)
{
	begin(ENGINE_GET, 1);
	greets(0);
	redis_bed_heard(&bed, 0);
	bed.on_end = begin_again;
	redis_bed_hang_up(&bed, 0);
	assert_int_equal(bed.ended_count, 1);
	bed.ended_count = 0;
	greets(1);
	heard(1, "GETRANGE p:{d}:000 0 3;");
	says(1, "$1\r\na\r\n");
	ended(0);
}

#define OPENED(name) cmocka_unit_test_setup_teardown(name, opens, closes)

int main(void)
{
	const struct CMUnitTest tests[] = {
		OPENED(put_new_is_a_pair_index_first),
		OPENED(put_new_of_a_taken_name),
		OPENED(taken_counts_only_in_the_index),
		OPENED(put_fails_without_its_index),
		OPENED(put_of_many_has_a_window),
		OPENED(what_is_done_is_not_sent_again),
		OPENED(a_batch_stops_at_an_error),
		OPENED(delete_takes_the_object_first),
		OPENED(get_brings_what_is_wanted),
		OPENED(nothing_is_empty_or_not_there),
		OPENED(no_bytes_are_asked_for_by_existence),
		OPENED(errors_to_try_again_come_first),
		OPENED(more_than_wanted_is_refused),
		OPENED(list_shows_what_is_there),
		OPENED(list_leaves_out_names_without_object),
		OPENED(list_goes_on_behind_an_empty_part),
		OPENED(list_of_nothing),
		OPENED(list_for_no_names),
		OPENED(list_refuses_strange_names),
		OPENED(list_refuses_names_with_a_nul),
		OPENED(no_command_is_asked_without_password),
		cmocka_unit_test_setup_teardown(password_comes_first, opens_with_password, closes),
		cmocka_unit_test_setup_teardown(user_and_password, opens_with_user, closes),
		cmocka_unit_test_setup_teardown(a_refused_password_is_not_told, opens_with_password,
						closes),
		OPENED(what_the_server_repeats_is_cut),
		OPENED(old_servers_are_asked_for_their_role),
		OPENED(who_may_ask_nothing_goes_on),
		OPENED(replicas_and_sentinels_are_refused),
		OPENED(readonly_begins_anew),
		OPENED(too_many_clients),
		OPENED(a_lost_connection_ends_all),
		OPENED(a_quiet_end_is_no_error),
		OPENED(refused_connections_pause),
		OPENED(late_answers_close_the_connection),
		OPENED(a_late_one_behind_others_is_abandoned),
		OPENED(one_that_waits_for_a_connection_is_late_too),
		OPENED(what_is_no_redis),
		OPENED(answers_that_nobody_asked_for),
		cmocka_unit_test_setup_teardown(large_values_get_a_second_connection, opens_two,
						closes),
		OPENED(what_answers_bring_is_bounded),
		cmocka_unit_test(close_cancels),
		OPENED(ends_may_begin),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
