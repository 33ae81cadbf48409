/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dynamodb_request_test.c - how operations are cut into requests, and each body as it is sent.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>
#include <cmocka.h>

#include "dataplane/engine/dynamodb_request.h"

#define ITEMS 300

static const struct dynamodb_table plain = {.name = "Tab-le_1.x"};
static const struct dynamodb_table table = {.name = "T", .prefix = "pre/fix"};
static struct engine_item items[ITEMS];
static struct dynamodb_part part;
static struct engine_list list;
static char body[8 << 20];

static struct engine_op op_of(enum engine_verb verb, uint32_t count, const char *data)
{
	memset(items, 0, sizeof(items));
	for (uint32_t i = 0; i < count; i++) {
		snprintf(items[i].name.dir, ENGINE_DIR_BYTES, "log-%u", i / 100);
		snprintf(items[i].name.leaf, ENGINE_LEAF_BYTES, "%08x", i);
		items[i].data = (const uint8_t *)data;
		items[i].bytes = data ? (uint32_t)strlen(data) : 0;
		items[i].result = -EINPROGRESS;
	}
	return (struct engine_op){.verb = verb, .count = count, .items = items, .list = &list};
}

static void body_is(const struct dynamodb_table *to, const char *want)
{
	size_t bytes, room = dynamodb_body_room(&part);
	cJSON *tree;

	assert_true(room < sizeof(body));
	assert_int_equal(dynamodb_body_write(to, &part, body, room, &bytes), 0);
	body[bytes] = '\0';
	assert_string_equal(body, want);
	tree = cJSON_Parse(body);
	assert_non_null(tree);
	cJSON_Delete(tree);
}

static void one_put(void **state)
{
	struct engine_op op = op_of(ENGINE_PUT, 1, "foobar");

	assert_int_equal(dynamodb_part_take(&part, &op, 0, 100), 1);
	assert_int_equal(part.action, DYNAMODB_PUT);
	assert_string_equal(dynamodb_action_name(part.action), "PutItem");
	body_is(&table, "{\"TableName\":\"T\",\"Item\":{\"d\":{\"S\":\"pre/fix/log-0\"},"
			"\"l\":{\"S\":\"00000000\"},\"b\":{\"B\":\"Zm9vYmFy\"}}}");
	body_is(&plain, "{\"TableName\":\"Tab-le_1.x\",\"Item\":{\"d\":{\"S\":\"log-0\"},"
			"\"l\":{\"S\":\"00000000\"},\"b\":{\"B\":\"Zm9vYmFy\"}}}");
}

static void one_put_new(void **state)
{
	struct engine_op op = op_of(ENGINE_PUT_NEW, 1, "f");

	dynamodb_part_take(&part, &op, 0, 100);
	assert_int_equal(part.action, DYNAMODB_PUT_NEW);
	body_is(&table, "{\"TableName\":\"T\",\"Item\":{\"d\":{\"S\":\"pre/fix/log-0\"},"
			"\"l\":{\"S\":\"00000000\"},\"b\":{\"B\":\"Zg==\"}},"
			"\"ConditionExpression\":\"attribute_not_exists(l)\"}");
}

static void empty_content_is_left_out(void **state)
{
	struct engine_op op = op_of(ENGINE_PUT, 1, "");

	dynamodb_part_take(&part, &op, 0, 100);
	body_is(&table, "{\"TableName\":\"T\",\"Item\":{\"d\":{\"S\":\"pre/fix/log-0\"},"
			"\"l\":{\"S\":\"00000000\"}}}");
}

static void several_puts(void **state)
{
	struct engine_op op = op_of(ENGINE_PUT, 3, "fo");

	items[1].result = 0;
	assert_int_equal(dynamodb_part_take(&part, &op, 0, 100), 3);
	assert_int_equal(part.action, DYNAMODB_PUT_BATCH);
	assert_string_equal(dynamodb_action_name(part.action), "BatchWriteItem");
	body_is(&table, "{\"RequestItems\":{\"T\":["
			"{\"PutRequest\":{\"Item\":{\"d\":{\"S\":\"pre/fix/log-0\"},"
			"\"l\":{\"S\":\"00000000\"},\"b\":{\"B\":\"Zm8=\"}}}},"
			"{\"PutRequest\":{\"Item\":{\"d\":{\"S\":\"pre/fix/log-0\"},"
			"\"l\":{\"S\":\"00000002\"},\"b\":{\"B\":\"Zm8=\"}}}}]}}");
	assert_int_equal(items[1].result, 0);
	assert_int_equal(items[2].result, DYNAMODB_TAKEN);
}

static void deletes(void **state)
{
	struct engine_op op = op_of(ENGINE_DELETE, 1, NULL);

	dynamodb_part_take(&part, &op, 0, 100);
	assert_int_equal(part.action, DYNAMODB_DELETE_BATCH);
	body_is(&table, "{\"RequestItems\":{\"T\":[{\"DeleteRequest\":{\"Key\":{"
			"\"d\":{\"S\":\"pre/fix/log-0\"},\"l\":{\"S\":\"00000000\"}}}}]}}");
}

static void one_get_and_two(void **state)
{
	struct engine_op op = op_of(ENGINE_GET, 2, NULL);

	dynamodb_part_take(&part, &op, 1, 100);
	assert_int_equal(part.action, DYNAMODB_GET);
	body_is(&table, "{\"TableName\":\"T\",\"ConsistentRead\":true,"
			"\"ProjectionExpression\":\"d,l,b\",\"Key\":{"
			"\"d\":{\"S\":\"pre/fix/log-0\"},\"l\":{\"S\":\"00000001\"}}}");
	op = op_of(ENGINE_GET, 2, NULL);
	dynamodb_part_take(&part, &op, 0, 100);
	assert_int_equal(part.action, DYNAMODB_GET_BATCH);
	body_is(&table, "{\"RequestItems\":{\"T\":{\"ConsistentRead\":true,"
			"\"ProjectionExpression\":\"d,l,b\",\"Keys\":["
			"{\"d\":{\"S\":\"pre/fix/log-0\"},\"l\":{\"S\":\"00000000\"}},"
			"{\"d\":{\"S\":\"pre/fix/log-0\"},\"l\":{\"S\":\"00000001\"}}]}}}");
}

static void pages(void **state)
{
	struct engine_op op = op_of(ENGINE_LIST, 0, NULL);

	list = (struct engine_list){.dir = "log-7", .max = 10};
	dynamodb_part_take(&part, &op, 0, 100);
	assert_int_equal(part.action, DYNAMODB_QUERY);
	body_is(&table, "{\"TableName\":\"T\",\"ConsistentRead\":true,"
			"\"ProjectionExpression\":\"l\",\"KeyConditionExpression\":\"d=:d\","
			"\"ExpressionAttributeValues\":{\":d\":{\"S\":\"pre/fix/log-7\"}},"
			"\"Limit\":11}");
	snprintf(list.after, sizeof(list.after), "0000abcd");
	snprintf(part.start, sizeof(part.start), "{\"d\":{\"S\":\"x\"},\"l\":{\"S\":\"y\"}}");
	list.count = 10;
	body_is(&table, "{\"TableName\":\"T\",\"ConsistentRead\":true,"
			"\"ProjectionExpression\":\"l\","
			"\"KeyConditionExpression\":\"d=:d AND l>:l\","
			"\"ExpressionAttributeValues\":{\":d\":{\"S\":\"pre/fix/log-7\"},"
			"\":l\":{\"S\":\"0000abcd\"}},\"Limit\":1,"
			"\"ExclusiveStartKey\":{\"d\":{\"S\":\"x\"},\"l\":{\"S\":\"y\"}}}");
	list = (struct engine_list){.dir = "d", .max = UINT32_MAX};
	dynamodb_part_take(&part, &op, 0, 100);
	body_is(&plain, "{\"TableName\":\"Tab-le_1.x\",\"ConsistentRead\":true,"
			"\"ProjectionExpression\":\"l\",\"KeyConditionExpression\":\"d=:d\","
			"\"ExpressionAttributeValues\":{\":d\":{\"S\":\"d\"}},\"Limit\":1000}");
}

/* All parts together have each item once, and none has too many. */
static uint32_t parts_of(struct engine_op *op, uint32_t most, uint32_t *largest)
{
	uint32_t from = 0, parts = 0, taken = 0;

	*largest = 0;
	for (;; parts++) {
		from = dynamodb_part_take(&part, op, from, most);
		if (part.count == 0)
			break;
		taken += part.count;
		if (part.count > *largest)
			*largest = part.count;
	}
	assert_int_equal(from, op->count);
	assert_int_equal(taken, op->count);
	for (uint32_t i = 0; i < op->count; i++)
		assert_int_equal(op->items[i].result, DYNAMODB_TAKEN);
	return parts;
}

static void parts_have_so_many_items(void **state)
{
	struct engine_op op = op_of(ENGINE_PUT, 60, "x");
	uint32_t largest;

	assert_int_equal(parts_of(&op, 100, &largest), 3);
	assert_int_equal(largest, DYNAMODB_WRITES_MAX);
	op = op_of(ENGINE_DELETE, 26, NULL);
	assert_int_equal(parts_of(&op, 100, &largest), 2);
	op = op_of(ENGINE_GET, ITEMS, NULL);
	assert_int_equal(parts_of(&op, 100, &largest), 3);
	assert_int_equal(largest, DYNAMODB_GETS_MAX);
	op = op_of(ENGINE_GET, ITEMS, NULL);
	assert_int_equal(parts_of(&op, 50, &largest), 6);
	op = op_of(ENGINE_PUT_NEW, 2, "x");
	assert_int_equal(parts_of(&op, 100, &largest), 2);
}

static void parts_have_so_many_bytes(void **state)
{
	struct engine_op op = op_of(ENGINE_PUT, 25, "x");
	uint8_t *large = calloc(1, DYNAMODB_VALUE_MAX);
	size_t room, bytes;
	uint32_t largest;

	assert_non_null(large);
	for (uint32_t i = 0; i < op.count; i++) {
		items[i].data = large;
		items[i].bytes = DYNAMODB_VALUE_MAX;
	}
	assert_int_equal(parts_of(&op, 100, &largest), 3);
	assert_int_equal(largest, DYNAMODB_WRITE_BYTES / DYNAMODB_VALUE_MAX);
	for (uint32_t i = 0; i < op.count; i++)
		items[i].result = -EINPROGRESS;
	dynamodb_part_take(&part, &op, 0, 100);
	room = dynamodb_body_room(&part);
	assert_true(room < sizeof(body));
	assert_int_equal(dynamodb_body_write(&table, &part, body, room, &bytes), 0);
	assert_true(bytes > part.count * (DYNAMODB_VALUE_MAX / 3 * 4) && bytes <= room);
	free(large);
}

/* The longest names that there are, and the largest content, are just what an item may have. */
static void the_largest_item_fits(void **state)
{
	size_t names = 3 + strlen("/") + (ENGINE_PREFIX_BYTES - 1) + (ENGINE_DIR_BYTES - 1) +
		       (ENGINE_LEAF_BYTES - 1);

	assert_int_equal(DYNAMODB_VALUE_MAX + names, 409600);
}

static void the_same_name_is_sent_once(void **state)
{
	struct engine_op op = op_of(ENGINE_GET, 3, NULL);

	items[1].name = items[0].name;
	items[1].offset = 7;
	dynamodb_part_take(&part, &op, 0, 100);
	assert_int_equal(part.count, 3);
	assert_false(part.twin[0]);
	assert_true(part.twin[1]);
	assert_false(part.twin[2]);
	body_is(&plain, "{\"RequestItems\":{\"Tab-le_1.x\":{\"ConsistentRead\":true,"
			"\"ProjectionExpression\":\"d,l,b\",\"Keys\":["
			"{\"d\":{\"S\":\"log-0\"},\"l\":{\"S\":\"00000000\"}},"
			"{\"d\":{\"S\":\"log-0\"},\"l\":{\"S\":\"00000002\"}}]}}}");
	op = op_of(ENGINE_GET, 2, NULL);
	items[1].name = items[0].name;
	dynamodb_part_take(&part, &op, 0, 100);
	assert_int_equal(part.count, 2);
	assert_int_equal(part.action, DYNAMODB_GET);
}

static void bad_names_and_sizes_are_refused(void **state)
{
	static const char *const bad[] = {"a\"b", "a\\b", "\x01", "a b", "\xc3\xa4", "a\n"};
	struct engine_op op;
	size_t bytes;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		op = op_of(ENGINE_PUT, 1, "x");
		snprintf(items[0].name.leaf, ENGINE_LEAF_BYTES, "%s", bad[i]);
		dynamodb_part_take(&part, &op, 0, 100);
		assert_int_equal(dynamodb_body_write(&table, &part, body, sizeof(body), &bytes),
				 -EINVAL);
	}
	op = op_of(ENGINE_PUT, 1, "x");
	items[0].bytes = DYNAMODB_VALUE_MAX + 1;
	dynamodb_part_take(&part, &op, 0, 100);
	assert_int_equal(dynamodb_body_write(&table, &part, body, sizeof(body), &bytes), -E2BIG);
}

/* Whatever room it is given, it stays inside and says so. */
static void room_is_kept(void **state)
{
	struct engine_op op = op_of(ENGINE_PUT, 2, "some content");
	size_t whole, bytes;

	dynamodb_part_take(&part, &op, 0, 100);
	assert_int_equal(dynamodb_body_write(&table, &part, body, sizeof(body), &whole), 0);
	for (size_t room = 0; room < whole; room++) {
		char *exact = malloc(room + 1);

		assert_non_null(exact);
		exact[room] = '~';
		assert_int_equal(dynamodb_body_write(&table, &part, exact, room, &bytes), -E2BIG);
		assert_true(bytes <= room);
		assert_int_equal(exact[room], '~');
		free(exact);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_put),
		cmocka_unit_test(one_put_new),
		cmocka_unit_test(empty_content_is_left_out),
		cmocka_unit_test(several_puts),
		cmocka_unit_test(deletes),
		cmocka_unit_test(one_get_and_two),
		cmocka_unit_test(pages),
		cmocka_unit_test(parts_have_so_many_items),
		cmocka_unit_test(parts_have_so_many_bytes),
		cmocka_unit_test(the_largest_item_fits),
		cmocka_unit_test(the_same_name_is_sent_once),
		cmocka_unit_test(bad_names_and_sizes_are_refused),
		cmocka_unit_test(room_is_kept),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
