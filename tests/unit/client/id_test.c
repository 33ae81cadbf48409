/* SPDX-License-Identifier: Apache-2.0 */
/*
 * id_test.c - ids, contexts and the texts of errors: what goes out as text comes back as it was.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "tests/lib/fake_path.h"

static const char good[] = "0199a8f3-5c00-7abc-8def-0123456789ab";

static void ids_are_uuid7_of_now(void **state)
{
	struct abaft_id id, other, parsed;
	char text[ABAFT_ID_TEXT_BYTES];
	uint64_t ms = 0, now_s = (uint64_t)time(NULL);

	abaft_id_new(&id);
	abaft_id_new(&other);
	assert_memory_not_equal(&id, &other, sizeof(id));
	for (int i = 0; i < 6; i++)
		ms = ms << 8 | id.bytes[i];
	assert_in_range(ms / 1000, now_s - 2, now_s + 2);
	abaft_id_text(&id, text);
	assert_int_equal(strlen(text), 36);
	assert_int_equal(text[14], '7');
	assert_int_equal(abaft_id_parse(&parsed, text), ABAFT_OK);
	assert_memory_equal(&id, &parsed, sizeof(id));
}

static void only_whole_ids_are_parsed(void **state)
{
	struct abaft_id id;
	char text[64];

	assert_int_equal(abaft_id_parse(&id, good), ABAFT_OK);
	assert_int_equal(id.bytes[0], 0x01);
	assert_int_equal(id.bytes[15], 0xab);
	assert_int_equal(abaft_id_parse(&id, "0199A8F3-5C00-7ABC-8DEF-0123456789AB"), ABAFT_OK);
	for (size_t len = 0; len < 36; len++) {
		memcpy(text, good, sizeof(good));
		text[len] = '\0';
		assert_int_equal(abaft_id_parse(&id, text), ABAFT_INVALID);
		memcpy(text, good, sizeof(good));
		text[len] = 'g';
		assert_int_equal(abaft_id_parse(&id, text), ABAFT_INVALID);
	}
	snprintf(text, sizeof(text), "%s0", good);
	assert_int_equal(abaft_id_parse(&id, text), ABAFT_INVALID);
	assert_int_equal(abaft_id_parse(&id, "0199a8f3-5c00-4abc-8def-0123456789ab"),
			 ABAFT_INVALID);
	assert_int_equal(abaft_id_parse(&id, "0199a8f3-5c00-7abc-cdef-0123456789ab"),
			 ABAFT_INVALID);
	assert_int_equal(abaft_id_parse(&id, NULL), ABAFT_INVALID);
}

static void owners_share_the_ids(void **state)
{
	struct abaft_id id = {{0}};

	assert_int_equal(txn_owner(&id, 3), 0);
	memset(id.bytes + 12, 0xff, 4);
	assert_int_equal(txn_owner(&id, 3), 2);
	assert_int_equal(txn_owner(&id, 1), 0);
	assert_int_equal(txn_owner(&id, 64), 63);
	memcpy(id.bytes + 12, "\x55\x55\x55\x55", 4);
	assert_int_equal(txn_owner(&id, 3), 0);
	memcpy(id.bytes + 12, "\x55\x55\x55\x56", 4);
	assert_int_equal(txn_owner(&id, 3), 1);
}

static int begin_with(struct fake_path *path, const char *context, const struct abaft_id *id,
		      uint16_t step)
{
	struct abaft_begin begin = {.context = context, .id = id, .step = step};
	struct abaft_id fresh;

	abaft_id_new(&fresh);
	return txn_take_up(&path->txns[0], &begin, &fresh);
}

static void contexts(void **state)
{
	struct fake_path *path = fake_path_create(1, 1, ABAFT_PACKET_BYTES_MAX);
	struct abaft_txn *txn = &path->txns[0];
	char context[ABAFT_CONTEXT_BYTES], again[ABAFT_CONTEXT_BYTES], text[128];
	struct abaft_id id, other;

	snprintf(context, sizeof(context), "abaft1.%s.00000000000000ff.7", good);
	assert_int_equal(abaft_id_parse(&id, good), ABAFT_OK);
	abaft_id_new(&other);
	assert_int_equal(begin_with(path, context, NULL, 0), ABAFT_OK);
	assert_int_equal(txn->step, 8);
	assert_int_equal(txn->instance, 255);
	assert_memory_equal(abaft_txn_id(txn), &id, sizeof(id));
	assert_int_equal(begin_with(path, context, &id, 7), ABAFT_OK);
	assert_int_equal(txn->step, 7);
	assert_int_equal(abaft_export(txn, again), ABAFT_OK);
	assert_string_equal(context, again);
	assert_int_equal(begin_with(path, context, &other, 0), ABAFT_INVALID);
	for (size_t i = 0; i < strlen(context); i++) {
		snprintf(text, sizeof(text), "%s", context);
		text[i] = '\0';
		assert_int_equal(begin_with(path, text, NULL, 0), ABAFT_INVALID);
		text[i] = '+';
		assert_int_equal(begin_with(path, text, NULL, 0), ABAFT_INVALID);
	}
	snprintf(text, sizeof(text), "%s ", context);
	assert_int_equal(begin_with(path, text, NULL, 0), ABAFT_INVALID);
	snprintf(text, sizeof(text), "abaft1.%s.0000000000000000.7", good);
	assert_int_equal(begin_with(path, text, NULL, 0), ABAFT_INVALID);
	snprintf(text, sizeof(text), "abaft1.%s.00000000000000ff.65536", good);
	assert_int_equal(begin_with(path, text, NULL, 0), ABAFT_INVALID);
	snprintf(text, sizeof(text), "abaft1.%s.00000000000000ff.65535", good);
	assert_int_equal(begin_with(path, text, NULL, 0), ABAFT_INVALID);
	assert_int_equal(begin_with(path, text, NULL, 1), ABAFT_OK);
	fake_path_destroy(path);
}

static void every_error_has_its_text(void **state)
{
	int named = 0;

	for (int err = -1; err < 80; err++)
		named += strcmp(abaft_error_name(err), "?") != 0;
	assert_int_equal(named, 28);
	assert_string_equal(abaft_error_name(ABAFT_UNKNOWN_TXN), "UNKNOWN_TXN");
	assert_string_equal(abaft_strerror(ABAFT_OK), "done");
	assert_non_null(strstr(abaft_strerror(63), "not an error code"));
	assert_int_equal(abaft_retry_of(ABAFT_BUSY), ABAFT_RETRY_SAME);
	assert_int_equal(abaft_retry_of(ABAFT_UNKNOWN_TXN), ABAFT_RETRY_RESTART);
	assert_int_equal(abaft_retry_of(ABAFT_ABORTED), ABAFT_RETRY_NEW);
	assert_int_equal(abaft_retry_of(63), ABAFT_RETRY_NO);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ids_are_uuid7_of_now),
		cmocka_unit_test(only_whole_ids_are_parsed),
		cmocka_unit_test(owners_share_the_ids),
		cmocka_unit_test(contexts),
		cmocka_unit_test(every_error_has_its_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
