/* SPDX-License-Identifier: Apache-2.0 */
/*
 * script_test.c - words, quotes and operations of scripts; errors name the line.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/unit/command/stderr.h"
#include "tools/command/script.h"

static struct script_words words;
static char error[SCRIPT_ERROR_BYTES];

static bool split(const char *text)
{
	static char line[8192];

	error[0] = '\0';
	snprintf(line, sizeof(line), "%s", text);
	return script_split(line, strlen(line), &words, error);
}

static void assert_word(unsigned int i, const char *text)
{
	assert_true(i < words.count);
	assert_int_equal(words.word[i].bytes, strlen(text));
	assert_string_equal(words.word[i].text, text);
}

static void words_stand_between_blanks(void **state)
{
	assert_true(split("  put\ta  b\r\n"));
	assert_int_equal(words.count, 3);
	assert_word(0, "put");
	assert_word(1, "a");
	assert_word(2, "b");
}

static void a_comment_ends_the_line(void **state)
{
	assert_true(split("get a#b # c d"));
	assert_int_equal(words.count, 2);
	assert_word(1, "a#b");
	assert_true(split("# all of it"));
	assert_int_equal(words.count, 0);
}

static void single_quotes_take_everything(void **state)
{
	assert_true(split("put 'a \\n \" # b' ''"));
	assert_word(1, "a \\n \" # b");
	assert_word(2, "");
	assert_true(words.word[2].quoted);
	assert_false(words.word[0].quoted);
}

static void double_quotes_know_escapes(void **state)
{
	assert_true(split("put \"a\\n\\t\\\\\\\"\\x41\" x"));
	assert_word(1, "a\n\t\\\"A");
	assert_true(split("put k \"a\\0b\\x00\""));
	assert_int_equal(words.word[2].bytes, 4);
	assert_memory_equal(words.word[2].text, "a\0b\0", 4);
}

static void quotes_join_within_a_word(void **state)
{
	assert_true(split("get a'b c'\"d e\"\\ f"));
	assert_int_equal(words.count, 2);
	assert_word(1, "ab cd e f");
}

static void open_quotes_are_refused(void **state)
{
	assert_false(split("get 'a"));
	assert_non_null(strstr(error, "' without its end"));
	assert_false(split("get \"a"));
	assert_non_null(strstr(error, "\" without its end"));
	assert_false(split("get \"a\\"));
	assert_non_null(strstr(error, "\" without its end"));
}

static void bad_escapes_are_refused(void **state)
{
	assert_false(split("get \"\\q\""));
	assert_non_null(strstr(error, "there are"));
	assert_false(split("get \"\\x4\""));
	assert_non_null(strstr(error, "two hexadecimal digits"));
	assert_false(split("get a\\"));
	assert_non_null(strstr(error, "end of the line"));
}

static void too_many_words_are_refused(void **state)
{
	static char line[4 * SCRIPT_WORDS_MAX];
	size_t at = 0;

	for (int i = 0; i < SCRIPT_WORDS_MAX; i++)
		at += (size_t)snprintf(line + at, sizeof(line) - at, "a ");
	assert_true(split(line));
	assert_int_equal(words.count, SCRIPT_WORDS_MAX);
	snprintf(line + at, sizeof(line) - at, "b");
	assert_false(split(line));
	assert_non_null(strstr(error, "too many words"));
}

/* Reads `text` as a script; the complaint stands in stderr_text(). */
static bool script(const char *text, struct batch *batch)
{
	FILE *file = fmemopen((void *)(uintptr_t)text, strlen(text), "r");
	bool ok;

	assert_non_null(file);
	*batch = (struct batch){0};
	stderr_capture();
	ok = script_read(file, "orders.txn", batch);
	stderr_release();
	fclose(file);
	return ok;
}

static void a_script_becomes_a_batch(void **state)
{
	struct batch batch;

	assert_true(script("# an order\nget a b\n\nput c 'd e'\ndel f\ncommit\n", &batch));
	assert_int_equal(batch.count, 5);
	assert_int_equal(batch.ops[0].verb, BATCH_GET);
	assert_string_equal(batch.ops[1].key.data, "b");
	assert_int_equal(batch.ops[2].verb, BATCH_PUT);
	assert_string_equal(batch.ops[2].value.data, "d e");
	assert_int_equal(batch.ops[3].verb, BATCH_DEL);
	assert_ptr_equal(batch_end_op(&batch), &batch.ops[4]);
	batch_free(&batch);
}

static void refused_with_line(const char *text, const char *line, const char *why)
{
	struct batch batch;

	assert_false(script(text, &batch));
	batch_free(&batch);
	if (!strstr(stderr_text(), line) || !strstr(stderr_text(), why))
		fail_msg("'%s' does not say '%s' and '%s'", stderr_text(), line, why);
}

static void errors_name_file_and_line(void **state)
{
	refused_with_line("get a\nfrobnicate b\n", "orders.txn:2:", "'frobnicate'");
	refused_with_line("put a\n", "orders.txn:1:", "KEY VALUE pairs");
	refused_with_line("put a b c\n", "orders.txn:1:", "KEY VALUE pairs");
	refused_with_line("\n\nget\n", "orders.txn:3:", "needs KEY...");
	refused_with_line("get a\ncommit now\n", "orders.txn:2:", "stands alone");
	refused_with_line("put a \"b\ncommit\n", "orders.txn:1:", "without its end");
}

static void nothing_follows_the_end(void **state)
{
	struct batch batch;

	refused_with_line("put a b\ncommit\nput c d\n", "orders.txn:3:", "nothing can follow");
	refused_with_line("abort\ncommit\n", "orders.txn:2:", "nothing can follow");
	assert_true(script("put a b\ncommit\n# the end\n\n", &batch));
	batch_free(&batch);
}

static void limits_are_refused_with_line(void **state)
{
	static char text[3 * ABAFT_KEY_BYTES_MAX];

	refused_with_line("get ''\n", "orders.txn:1:", "a key of 0 bytes");
	memset(text, 'k', ABAFT_KEY_BYTES_MAX + 5);
	memcpy(text, "get ", 4);
	refused_with_line(text, "orders.txn:1:", "a key of 1025 bytes");
}

static void an_unquoted_at_reads_a_file(void **state)
{
	char path[] = "/tmp/abaft-script-test-XXXXXX";
	struct batch batch;
	char text[128];
	int fd = mkstemp(path);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, "from\0file", 9), 9);
	close(fd);
	snprintf(text, sizeof(text), "put a @%s b '@c' d @@e\ncommit\n", path);
	assert_true(script(text, &batch));
	unlink(path);
	assert_int_equal(batch.ops[0].value.bytes, 9);
	assert_memory_equal(batch.ops[0].value.data, "from\0file", 9);
	assert_string_equal(batch.ops[1].value.data, "@c");
	assert_string_equal(batch.ops[2].value.data, "@e");
	batch_free(&batch);
	refused_with_line("put a @/nonexistent/file\n", "orders.txn:1:", "/nonexistent/file");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(words_stand_between_blanks),
		cmocka_unit_test(a_comment_ends_the_line),
		cmocka_unit_test(single_quotes_take_everything),
		cmocka_unit_test(double_quotes_know_escapes),
		cmocka_unit_test(quotes_join_within_a_word),
		cmocka_unit_test(open_quotes_are_refused),
		cmocka_unit_test(bad_escapes_are_refused),
		cmocka_unit_test(too_many_words_are_refused),
		cmocka_unit_test(a_script_becomes_a_batch),
		cmocka_unit_test(errors_name_file_and_line),
		cmocka_unit_test(nothing_follows_the_end),
		cmocka_unit_test(limits_are_refused_with_line),
		cmocka_unit_test(an_unquoted_at_reads_a_file),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
