/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dynamodb_answer_test.c - answers of DynamoDB, whole, in parts, wrong, and hostile.
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
#include <openssl/evp.h>

#include "dataplane/engine/dynamodb_answer.h"

#define ITEMS 4

static const struct dynamodb_table table = {.name = "T", .prefix = "p"};
static struct engine_item items[ITEMS];
static uint8_t contents[ITEMS][32];
static struct dynamodb_part part;
static struct engine_list list;
static char leaves[8][ENGINE_LEAF_BYTES];
static char why[ENGINE_WHY_BYTES];

/* Items d/0, d/1, … of which all are asked for. */
static void asked(enum engine_verb verb, uint32_t count)
{
	struct engine_op op = {.verb = verb, .count = count, .items = items, .list = &list};

	memset(items, 0, sizeof(items));
	for (uint32_t i = 0; i < ITEMS; i++) {
		snprintf(items[i].name.dir, ENGINE_DIR_BYTES, "d");
		snprintf(items[i].name.leaf, ENGINE_LEAF_BYTES, "%u", i);
		items[i].to = contents[i];
		items[i].bytes = sizeof(contents[i]);
		items[i].result = -EINPROGRESS;
	}
	list = (struct engine_list){.dir = "d", .leaf = leaves, .max = 3};
	dynamodb_part_take(&part, &op, 0, DYNAMODB_GETS_MAX);
	why[0] = '\0';
}

/* In memory that ends where the text does, so that reading on is noticed by sanitizers. */
static int take(const char *text)
{
	size_t bytes = strlen(text);
	uint8_t *exact = malloc(bytes ? bytes : 1);
	int err;

	assert_non_null(exact);
	memcpy(exact, text, bytes);
	err = dynamodb_answer_take(&table, &part, exact, bytes, why);
	free(exact);
	return err;
}

#define KEY(leaf) "\"d\":{\"S\":\"p/d\"},\"l\":{\"S\":\"" leaf "\"}"
#define FOO	  ",\"b\":{\"B\":\"Zm9v\"}"

static void puts_are_done(void **state)
{
	asked(ENGINE_PUT, 1);
	assert_int_equal(take("{}"), 0);
	assert_int_equal(items[0].result, 0);
	asked(ENGINE_PUT_NEW, 1);
	assert_int_equal(take(" {\"x\":1}\r\n"), 0);
	assert_int_equal(items[0].result, 0);
}

static void a_batch_in_parts(void **state)
{
	asked(ENGINE_PUT, 3);
	assert_int_equal(take("{\"UnprocessedItems\":{}}"), 0);
	for (int i = 0; i < 3; i++)
		assert_int_equal(items[i].result, 0);
	asked(ENGINE_PUT, 3);
	assert_int_equal(take("{\"UnprocessedItems\":{\"T\":[{\"PutRequest\":{\"Item\":{" KEY("1")
				      FOO "}}}]}}"),
			 0);
	assert_int_equal(items[0].result, 0);
	assert_int_equal(items[1].result, -EBUSY);
	assert_int_equal(items[2].result, 0);
	asked(ENGINE_DELETE, 2);
	assert_int_equal(take("{\"UnprocessedItems\":{\"T\":[{\"DeleteRequest\":{\"Key\":{" KEY(
				 "0") "}}}]}}"),
			 0);
	assert_int_equal(items[0].result, -EBUSY);
	assert_int_equal(items[1].result, 0);
}

/* What does not say which items were left out is no "all done". */
static void a_batch_that_says_nothing(void **state)
{
	static const char *const texts[] = {
		"{}",
		"{\"UnprocessedItems\":[]}",
		"{\"UnprocessedItems\":null}",
		"{\"UnprocessedItems\":{\"T\":{}}}",
		"{\"UnprocessedItems\":{\"T\":[1]}}",
		"{\"UnprocessedItems\":{\"T\":[{\"PutRequest\":{\"Item\":{}}}]}}",
		"{\"UnprocessedItems\":{\"T\":[{\"PutRequest\":{\"Item\":{" KEY("7") "}}}]}}",
		"{\"UnprocessedItems\":{\"T\":[{\"DeleteRequest\":{\"Key\":{" KEY("0") "}}}]}}",
	};

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		asked(ENGINE_PUT, 2);
		assert_int_equal(take(texts[i]), -EPROTO);
		assert_non_null(strstr(why, "protocol"));
	}
}

static void one_get(void **state)
{
	asked(ENGINE_GET, 1);
	assert_int_equal(take("{\"Item\":{" KEY("0") FOO "}}"), 0);
	assert_int_equal(items[0].result, 0);
	assert_int_equal(items[0].got, 3);
	assert_memory_equal(contents[0], "foo", 3);
	asked(ENGINE_GET, 1);
	assert_int_equal(take("{\"Item\":{" KEY("0") "}}"), 0);
	assert_int_equal(items[0].result, 0);
	assert_int_equal(items[0].got, 0);
	asked(ENGINE_GET, 1);
	assert_int_equal(take("{}"), 0);
	assert_int_equal(items[0].result, -ENOENT);
}

static void a_get_of_another_thing(void **state)
{
	static const char *const texts[] = {
		"{\"Item\":{" KEY("1") FOO "}}",
		"{\"Item\":{\"d\":{\"S\":\"d\"},\"l\":{\"S\":\"0\"}}}",
		"{\"Item\":{\"d\":{\"S\":\"pp/d\"},\"l\":{\"S\":\"0\"}}}",
		"{\"Item\":{\"d\":{\"S\":\"p\"},\"l\":{\"S\":\"0\"}}}",
		"{\"Item\":{\"d\":{\"S\":\"p.d\"},\"l\":{\"S\":\"0\"}}}",
		"{\"Item\":{\"d\":{\"N\":\"1\"},\"l\":{\"S\":\"0\"}}}",
		"{\"Item\":[]}",
		"{\"Item\":1}",
		"{\"Item\":{" KEY("0") ",\"b\":{\"S\":\"foo\"}}}",
		"{\"Item\":{" KEY("0") ",\"b\":\"Zm9v\"}}",
		"{\"Item\":{" KEY("0") ",\"b\":{\"B\":7}}}",
	};

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		asked(ENGINE_GET, 1);
		if (take(texts[i]) != -EPROTO)
			fail_msg("taken: %s", texts[i]);
	}
}

static void no_base64(void **state)
{
	static const char *const bad[] = {
		"Z",	    "Zm9",  "Zm9v=", "Zm9vZ===", "====",    "Zg==Zg==",	 "Zm=v",
		"Zm 9vZ==", "Zm9-", "Zm9_",  "\\nZm9v",	 "Zm9v\\n", "\\u0000Zm9"};
	char text[256];

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		/* The last is an empty string to cJSON: nothing of it must come through. */
		bool nul = strstr(bad[i], "u0000");

		asked(ENGINE_GET, 1);
		snprintf(text, sizeof(text), "{\"Item\":{" KEY("0") ",\"b\":{\"B\":\"%s\"}}}",
			 bad[i]);
		if (take(text) != (nul ? 0 : -EPROTO) || items[0].got != 0)
			fail_msg("taken: %s", bad[i]);
	}
}

/* Each range of contents of each size near the decoder's blocks, against the whole. */
static void ranges_are_cut(void **state)
{
	static const uint32_t sizes[] = {1, 2, 3, 4, 31, 3071, 3072, 3073, 6144, 10000};
	static const uint32_t offsets[] = {0, 1, 2, 3, 30, 3070, 3071, 3072, 3073, 9999, 10000};
	static const uint32_t wanted[] = {0, 1, 2, 32, 3071, 3072, 3073, 10000};
	static uint8_t whole[10000], to[10001];
	static char text[20000], base64[14000];

	for (size_t i = 0; i < sizeof(whole); i++)
		whole[i] = (uint8_t)(i * 7 + i / 251);
	for (size_t s = 0; s < 10; s++) {
		EVP_EncodeBlock((unsigned char *)base64, whole, (int)sizes[s]);
		snprintf(text, sizeof(text), "{\"Item\":{" KEY("0") ",\"b\":{\"B\":\"%s\"}}}",
			 base64);
		for (size_t o = 0; o < 11; o++) {
			for (size_t w = 0; w < 8; w++) {
				uint32_t left = offsets[o] < sizes[s] ? sizes[s] - offsets[o] : 0;
				uint32_t want = wanted[w] < left ? wanted[w] : left;

				asked(ENGINE_GET, 1);
				items[0].to = to;
				items[0].offset = offsets[o];
				items[0].bytes = wanted[w];
				to[want] = 0xa5;
				assert_int_equal(take(text), 0);
				assert_int_equal(items[0].got, want);
				assert_memory_equal(to, whole + offsets[o], want);
				assert_int_equal(to[want], 0xa5);
			}
		}
	}
}

static void a_content_above_an_items_limit(void **state)
{
	size_t chars = (DYNAMODB_ITEM_BYTES + 3) / 3 * 4;
	char *text = malloc(chars + 128);
	int n;

	assert_non_null(text);
	asked(ENGINE_GET, 1);
	n = snprintf(text, chars + 128, "{\"Item\":{" KEY("0") ",\"b\":{\"B\":\"");
	memset(text + n, 'A', chars);
	snprintf(text + n + chars, 8, "\"}}}");
	assert_int_equal(take(text), -EPROTO);
	free(text);
}

static void several_gets(void **state)
{
	asked(ENGINE_GET, 4);
	assert_int_equal(take("{\"Responses\":{\"T\":[{" KEY("2") FOO
			      "},{" KEY("0") "}]},\"UnprocessedKeys\":{\"T\":{\"Keys\":[{" KEY(
				      "3") "}],"
					   "\"ConsistentRead\":true}}}"),
			 0);
	assert_int_equal(items[0].result, 0);
	assert_int_equal(items[0].got, 0);
	assert_int_equal(items[1].result, -ENOENT);
	assert_int_equal(items[2].result, 0);
	assert_int_equal(items[2].got, 3);
	assert_int_equal(items[3].result, -EBUSY);
	asked(ENGINE_GET, 2);
	assert_int_equal(take("{\"Responses\":{},\"UnprocessedKeys\":{}}"), 0);
	assert_int_equal(items[0].result, -ENOENT);
}

/* "Not there" is said only when the answer is one: a node would take it for the end of its log. */
static void several_gets_that_say_nothing(void **state)
{
	static const char *const texts[] = {
		"{}",
		"{\"UnprocessedKeys\":{}}",
		"{\"Responses\":[]}",
		"{\"Responses\":{\"T\":{}}}",
		"{\"Responses\":{\"T\":[{" KEY("9") "}]}}",
		"{\"Responses\":{\"T\":[[]]}}",
		"{\"Responses\":{\"T\":[]},\"UnprocessedKeys\":{\"T\":[]}}",
		"{\"Responses\":{\"T\":[]},\"UnprocessedKeys\":{\"T\":{\"Keys\":[{" KEY(
			"9") "}]}}}",
	};

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		asked(ENGINE_GET, 2);
		if (take(texts[i]) != -EPROTO)
			fail_msg("taken: %s", texts[i]);
	}
}

static void twins_get_their_own_ranges(void **state)
{
	struct engine_op op = {.verb = ENGINE_GET, .count = 2, .items = items};

	asked(ENGINE_GET, 0);
	items[1].name = items[0].name;
	items[1].offset = 1;
	dynamodb_part_take(&part, &op, 0, DYNAMODB_GETS_MAX);
	assert_int_equal(part.action, DYNAMODB_GET);
	assert_int_equal(take("{\"Item\":{" KEY("0") FOO "}}"), 0);
	assert_int_equal(items[0].got, 3);
	assert_int_equal(items[1].got, 2);
	assert_memory_equal(contents[1], "oo", 2);
	assert_int_equal(items[1].result, 0);
}

#define LEAF(leaf) "{\"l\":{\"S\":\"" leaf "\"}}"

static void pages_of_leaves(void **state)
{
	asked(ENGINE_LIST, 0);
	assert_int_equal(take("{\"Items\":[" LEAF("a") "," LEAF("b") "],\"LastEvaluatedKey\":{" KEY(
				 "b") "}}"),
			 0);
	assert_int_equal(list.count, 2);
	assert_false(list.more);
	assert_string_equal(part.start, "{" KEY("b") "}");
	assert_int_equal(take("{\"Items\":[" LEAF("c") "," LEAF("d") "],\"LastEvaluatedKey\":{" KEY(
				 "d") "}}"),
			 0);
	assert_int_equal(list.count, 3);
	assert_true(list.more);
	assert_string_equal(part.start, "");
	assert_string_equal(leaves[2], "c");
}

static void the_last_leaf_is_the_last(void **state)
{
	asked(ENGINE_LIST, 0);
	assert_int_equal(take("{\"Items\":[" LEAF("a") "," LEAF("b") "," LEAF("c") "]}"), 0);
	assert_int_equal(list.count, 3);
	assert_false(list.more);
	assert_string_equal(part.start, "");
	asked(ENGINE_LIST, 0);
	assert_int_equal(take("{\"Items\":[]}"), 0);
	assert_int_equal(list.count, 0);
}

static void others_leaves_are_passed_over(void **state)
{
	asked(ENGINE_LIST, 0);
	assert_int_equal(take("{\"Items\":[" LEAF("a") "," LEAF("b/c") "," LEAF(
				 "c234567890123456789012345678901234567890") "," LEAF("d") "]}"),
			 0);
	assert_int_equal(list.count, 2);
	assert_string_equal(leaves[1], "d");
}

static void wrong_pages(void **state)
{
	static const char *const texts[] = {
		"{}",
		"{\"Items\":{}}",
		"{\"Items\":[1]}",
		"{\"Items\":[{\"l\":\"a\"}]}",
		"{\"Items\":[" LEAF("") "]}",
		"{\"Items\":[" LEAF("b") "," LEAF("a") "]}",
		"{\"Items\":[" LEAF("b") "," LEAF("b") "]}",
		"{\"Items\":[" LEAF("B") "]}",
		"{\"Items\":[],\"LastEvaluatedKey\":{}}",
		"{\"Items\":[],\"LastEvaluatedKey\":\"b\"}",
		"{\"Items\":[],\"LastEvaluatedKey\":{" KEY("again") "}}",
	};

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		asked(ENGINE_LIST, 0);
		snprintf(list.after, sizeof(list.after), "a");
		snprintf(part.start, sizeof(part.start), "{" KEY("again") "}");
		if (take(texts[i]) != -EPROTO)
			fail_msg("taken: %s", texts[i]);
	}
}

static void a_start_key_that_is_too_long(void **state)
{
	char text[2 * DYNAMODB_START_BYTES];

	asked(ENGINE_LIST, 0);
	snprintf(text, sizeof(text),
		 "{\"Items\":[],\"LastEvaluatedKey\":{\"d\":{\"S\":\"d\"},\"l\":{\"S\":\"%0*d\"}}}",
		 DYNAMODB_START_BYTES, 1);
	assert_int_equal(take(text), -EPROTO);
	assert_string_equal(part.start, "");
}

static void no_json(void **state)
{
	static const char *const texts[] = {
		"",
		" ",
		"{",
		"}",
		"[]",
		"\"x\"",
		"1",
		"{}x",
		"{}{}",
		"{\"Item\":{" KEY("0"),
		"<html>",
		"{\"Item",
		"{\"Item\":\"\\",
		"\"",
		"\\\"",
		"{\"a\":\"\\\\\\\"}",
	};

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		asked(ENGINE_GET, 1);
		if (take(texts[i]) != -EPROTO)
			fail_msg("taken: %s", texts[i]);
	}
}

/* A3: a megabyte of values would become a tree of dozens; one level for each bracket is too deep.
 */
static void floods_of_values(void **state)
{
	static const struct {
		const char *piece, *end;
	} floods[] = {
		{"[],", "0]}"},	  {"{},", "0]}"}, {"0,", "0]}"},
		{"\"\",", "0]}"}, {"[", ""},	  {"{\"a\":", ""},
	};
	size_t bytes = 1 << 20;
	char *text = malloc(bytes + 16);

	assert_non_null(text);
	for (size_t i = 0; i < sizeof(floods) / sizeof(floods[0]); i++) {
		size_t n = strlen(floods[i].piece);
		size_t used = (size_t)snprintf(text, bytes, "{\"x\":[");

		for (; used + n < bytes; used += n)
			memcpy(text + used, floods[i].piece, n);
		snprintf(text + used, 16, "%s", floods[i].end);
		asked(ENGINE_GET, 1);
		assert_int_equal(take(text), -EPROTO);
		assert_non_null(strstr(why, "more than was asked for"));
	}
	/* A few are no flood. */
	asked(ENGINE_GET, 1);
	assert_int_equal(take("{\"x\":[[],[],{},{},0,0,\"\",0]}"), 0);
	free(text);
}

/* Brackets inside strings do not count: contents may be long. */
static void strings_may_have_brackets(void **state)
{
	char text[2048];
	int n = snprintf(text, sizeof(text), "{\"Item\":{" KEY("0") "},\"x\":\"");

	asked(ENGINE_GET, 1);
	for (; n < 2000; n += 4)
		memcpy(text + n, ",\\\"[", 4);
	snprintf(text + n, 8, "\\\\\"}");
	assert_int_equal(take(text), 0);
	assert_int_equal(items[0].result, 0);
}

static int refused(enum engine_verb verb, uint32_t status, const char *text)
{
	asked(verb, 1);
	return dynamodb_answer_error(&table, &part, status, (const uint8_t *)text, strlen(text),
				     why);
}

static void refusals_by_name(void **state)
{
	static const struct {
		const char *name;
		int error;
		const char *says;
	} rows[] = {
		{"ProvisionedThroughputExceededException", -EBUSY, "throughput"},
		{"ThrottlingException", -EBUSY, "throughput"},
		{"RequestLimitExceeded", -EBUSY, "throughput"},
		{"AccessDeniedException", -EACCES, "right"},
		{"UnrecognizedClientException", -EACCES, "access key"},
		{"MissingAuthenticationTokenException", -EACCES, "access key"},
		{"ExpiredTokenException", -EACCES, "expired"},
		{"InvalidSignatureException", -EACCES, "clock"},
		{"ResourceNotFoundException", -EACCES, "create it"},
		{"ItemCollectionSizeLimitExceededException", -ENOSPC, "limit"},
		{"LimitExceededException", -ENOSPC, "limit"},
		{"InternalServerError", -ENOTCONN, "inside"},
		{"ServiceUnavailable", -EBUSY, "not available"},
		{"ValidationException", -EPROTO, "words"},
		{"SomethingNewException", -EPROTO, "SomethingNew"},
		/* Only of a PUT_NEW it is what was asked. */
		{"ConditionalCheckFailedException", -EPROTO, "Conditional"},
	};
	char text[512];

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		for (int form = 0; form < 2; form++) {
			snprintf(text, sizeof(text), "{\"__type\":\"%s%s\",\"message\":\"words\"}",
				 form ? "com.amazonaws.dynamodb.v20120810#" : "", rows[i].name);
			if (refused(ENGINE_PUT, 400, text) != rows[i].error)
				fail_msg("%s: %s", rows[i].name, why);
			if (!strstr(why, rows[i].says) || !strstr(why, "table T"))
				fail_msg("%s: \"%s\" does not say \"%s\"", rows[i].name, why,
					 rows[i].says);
		}
	}
}

static void a_condition_that_failed(void **state)
{
	assert_int_equal(
		refused(ENGINE_PUT_NEW, 400,
			"{\"__type\":\"com.amazonaws.dynamodb.v20120810#"
			"ConditionalCheckFailedException\",\"message\":\"The conditional request "
			"failed\"}"),
		-EEXIST);
}

static void an_item_that_is_too_large(void **state)
{
	assert_int_equal(refused(ENGINE_PUT, 400,
				 "{\"__type\":\"x#ValidationException\",\"message\":"
				 "\"Item size has exceeded the maximum allowed size\"}"),
			 -E2BIG);
}

static void refusals_by_status(void **state)
{
	static const struct {
		uint32_t status;
		int error;
	} rows[] = {{401, -EACCES},   {403, -EACCES},	{404, -EPROTO},	  {413, -EPROTO},
		    {429, -EBUSY},    {500, -ENOTCONN}, {502, -ENOTCONN}, {503, -EBUSY},
		    {504, -ENOTCONN}, {301, -EPROTO},	{204, -EPROTO}};
	static const char *const texts[] = {"",
					    "<html>",
					    "{",
					    "{}",
					    "{\"__type\":1}",
					    "{\"__type\":\"\"}",
					    "{\"__type\":\"#\"}"};
	char number[16];

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		for (size_t t = 0; t < sizeof(texts) / sizeof(texts[0]); t++)
			if (refused(ENGINE_GET, rows[i].status, texts[t]) != rows[i].error)
				fail_msg("%u %s: %s", rows[i].status, texts[t], why);
		refused(ENGINE_GET, rows[i].status, "");
		snprintf(number, sizeof(number), "%u", rows[i].status);
		assert_non_null(strstr(why, number));
	}
}

/* D4: what came with a signature's refusal has the whole signed head in it. */
static void secrets_are_not_repeated(void **state)
{
	refused(ENGINE_GET, 400,
		"{\"__type\":\"x#InvalidSignatureException\",\"message\":\"x-amz-security-token:"
		"SECRET\"}");
	assert_null(strstr(why, "SECRET"));
	refused(ENGINE_GET, 400, "{\"__type\":\"x#Whatever\",\"message\":\"SECRET\"}");
	assert_null(strstr(why, "SECRET"));
}

static void control_characters_are_not_repeated(void **state)
{
	refused(ENGINE_GET, 400,
		"{\"__type\":\"x#ValidationException\",\"message\":\"a\\u001b[2Jb\\nc\"}");
	assert_non_null(strstr(why, "a?[2Jb?c"));
}

static void checksums(void **state)
{
	const uint8_t *text = (const uint8_t *)"123456789";

	/* The check value of CRC-32. */
	assert_int_equal(dynamodb_answer_check("3421780262", text, 9, why), 0);
	assert_int_equal(dynamodb_answer_check("", text, 9, why), 0);
	assert_int_equal(dynamodb_answer_check("0", text, 0, why), 0);
	assert_int_equal(dynamodb_answer_check("3421780263", text, 9, why), -EPROTO);
	assert_non_null(strstr(why, "checksum"));
	assert_int_equal(dynamodb_answer_check("3421780262x", text, 9, why), -EPROTO);
	assert_int_equal(dynamodb_answer_check("-1", text, 9, why), -EPROTO);
	assert_int_equal(dynamodb_answer_check("7716747558", text, 9, why), -EPROTO);
	assert_int_equal(dynamodb_answer_check("99999999999999999999", text, 9, why), -EPROTO);
}

/* What is not sent back in one piece has room in two. */
static void room_for_answers(void **state)
{
	asked(ENGINE_PUT, 4);
	assert_true(dynamodb_answer_room(&part) > 2 * dynamodb_body_room(&part));
	asked(ENGINE_GET, 1);
	assert_true(dynamodb_answer_room(&part) > 2 * 400 * 1024 / 3 * 4);
	asked(ENGINE_GET, 4);
	assert_true(dynamodb_answer_room(&part) > 4 * 2 * 400 * 1024 / 3 * 4);
	part.count = DYNAMODB_GETS_MAX;
	assert_int_equal(dynamodb_answer_room(&part), DYNAMODB_ANSWER_MAX);
	asked(ENGINE_LIST, 0);
	assert_true(dynamodb_answer_room(&part) > DYNAMODB_PAGE_MAX * 1024);
}

/* Good answers with bytes changed, taken out, put in: taken or refused, never half. */
static void changed_answers(void **state)
{
	static const char *const good[] = {
		"{\"Responses\":{\"T\":[{" KEY("2") FOO
		"},{" KEY("0") "}]},\"UnprocessedKeys\":{\"T\":{\"Keys\":[{" KEY("3") "}]}}}",
		"{\"UnprocessedItems\":{\"T\":[{\"PutRequest\":{\"Item\":{" KEY("1") FOO "}}}]}}",
		"{\"Items\":[" LEAF("a") "," LEAF("b") "],\"LastEvaluatedKey\":{" KEY("b") "}}",
	};
	static const enum engine_verb verbs[] = {ENGINE_GET, ENGINE_PUT, ENGINE_LIST};
	uint64_t random = 1;
	uint32_t taken = 0;

	for (uint32_t round = 0; round < 60000; round++) {
		uint32_t which = round % 3;
		char text[512];
		size_t bytes;
		int err;

		snprintf(text, sizeof(text), "%s", good[which]);
		bytes = strlen(text);
		for (uint32_t changes = 0; changes <= round % 4; changes++) {
			size_t at;

			random = random * 6364136223846793005u + 1442695040888963407u;
			at = (size_t)(random >> 33) % bytes;
			if ((random >> 20) % 3 == 0)
				memmove(text + at, text + at + 1, --bytes - at);
			else
				text[at] = "\"\\{}[],:TdlS=0\n\xff"[(random >> 24) % 16];
		}
		text[bytes] = '\0';
		asked(verbs[which], 4);
		err = take(text);
		assert_true(err == 0 || err == -EPROTO);
		taken += err == 0;
		for (uint32_t i = 0; i < part.count && err == 0; i++) {
			assert_true(items[i].result == 0 || items[i].result == -EBUSY ||
				    items[i].result == -ENOENT);
			assert_true(items[i].got <= items[i].bytes);
		}
		assert_true(list.count <= list.max);
		assert_true(dynamodb_answer_error(&table, &part, 400, (uint8_t *)text, bytes, why) <
			    0);
	}
	assert_true(taken > 600 && taken < 54000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(puts_are_done),
		cmocka_unit_test(a_batch_in_parts),
		cmocka_unit_test(a_batch_that_says_nothing),
		cmocka_unit_test(one_get),
		cmocka_unit_test(a_get_of_another_thing),
		cmocka_unit_test(no_base64),
		cmocka_unit_test(ranges_are_cut),
		cmocka_unit_test(a_content_above_an_items_limit),
		cmocka_unit_test(several_gets),
		cmocka_unit_test(several_gets_that_say_nothing),
		cmocka_unit_test(twins_get_their_own_ranges),
		cmocka_unit_test(pages_of_leaves),
		cmocka_unit_test(the_last_leaf_is_the_last),
		cmocka_unit_test(others_leaves_are_passed_over),
		cmocka_unit_test(wrong_pages),
		cmocka_unit_test(a_start_key_that_is_too_long),
		cmocka_unit_test(no_json),
		cmocka_unit_test(floods_of_values),
		cmocka_unit_test(strings_may_have_brackets),
		cmocka_unit_test(refusals_by_name),
		cmocka_unit_test(a_condition_that_failed),
		cmocka_unit_test(an_item_that_is_too_large),
		cmocka_unit_test(refusals_by_status),
		cmocka_unit_test(secrets_are_not_repeated),
		cmocka_unit_test(control_characters_are_not_repeated),
		cmocka_unit_test(checksums),
		cmocka_unit_test(room_for_answers),
		cmocka_unit_test(changed_answers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
