/* SPDX-License-Identifier: Apache-2.0 */
/*
 * options_test.c - the options all subcommands share, numbers, value operands, and exit codes.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/command/stderr.h"
#include "tools/command/command.h"
#include "tools/command/value.h"

#define ARGUMENTS(...)                                                                             \
	(char *[])                                                                                 \
	{                                                                                          \
		(char *)(uintptr_t) "test", __VA_ARGS__, NULL                                      \
	}
#define WORD(text) (char *)(uintptr_t)(text)

static const struct option longs[] = {COMMAND_LONG_OPTIONS, {0}};

/* Parses as a subcommand does; -1: all options taken. */
static int parse(struct command_options *options, char **argv)
{
	int argc = 0, option, code = -1;

	while (argv[argc])
		argc++;
	*options = (struct command_options){0};
	optind = 0;
	stderr_capture();
	while ((option = getopt_long(argc, argv, COMMAND_SHORT_OPTIONS, longs, NULL)) != -1)
		if (!command_option(options, option, "test", "", &code))
			goto out;
	code = -1;
out:
	stderr_release();
	return code;
}

static void shared_options_are_taken(void **state)
{
	struct command_options options;
	char **argv = ARGUMENTS(WORD("--address"), WORD("::1"), WORD("-p"), WORD("7500"),
				WORD("--timeout=250"), WORD("-w"), WORD("json"), WORD("operand"));

	assert_int_equal(parse(&options, argv), -1);
	assert_string_equal(options.address, "::1");
	assert_int_equal(options.port, 7500);
	assert_int_equal(options.timeout_ms, 250);
	assert_true(options.json);
	assert_string_equal(argv[optind], "operand");
}

static void text_is_the_default(void **state)
{
	struct command_options options;

	assert_int_equal(parse(&options, ARGUMENTS(WORD("-w"), WORD("text"))), -1);
	assert_false(options.json);
	assert_null(options.address);
	assert_int_equal(options.port, 0);
}

static void help_leaves_with_0(void **state)
{
	struct command_options options;

	assert_int_equal(parse(&options, ARGUMENTS(WORD("--help"))), COMMAND_OK);
}

static void refused(const char *flag, const char *value, const char *why)
{
	struct command_options options;

	assert_int_equal(parse(&options, ARGUMENTS(WORD(flag), WORD(value))), COMMAND_USAGE);
	if (!strstr(stderr_text(), why))
		fail_msg("'%s' does not say '%s'", stderr_text(), why);
}

static void bad_values_are_named(void **state)
{
	refused("--port", "0", "--port is '0'; give a whole number from 1 to 65535");
	refused("--port", "65536", "--port is '65536'");
	refused("--port", "-1", "--port is '-1'");
	refused("--port", "80x", "--port is '80x'");
	refused("--port", "", "--port is ''");
	refused("--timeout", "99999999999999999999", "--timeout is");
	refused("-w", "yaml", "--write is 'yaml'; give `text` or `json`");
}

static void unknown_options_point_to_the_help(void **state)
{
	refused("--frob", "x", "abaft test --help");
}

static void failures_have_their_exit_code(void **state)
{
	static const struct {
		int err, code;
		const char *text;
	} cases[] = {
		{ABAFT_BUSY, COMMAND_AGAIN, "run the same again"},
		{ABAFT_TIMEOUT, COMMAND_AGAIN, "see that abaftd runs there"},
		{ABAFT_UNKNOWN_TXN, COMMAND_RESTART, "later --attempt"},
		{ABAFT_EXPIRED, COMMAND_NEW_ID, "new transaction id"},
		{ABAFT_TOO_LARGE, COMMAND_FAILED, "TOO_LARGE"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		int code;

		errno = 0;
		stderr_capture();
		code = command_failed("put 'k'", cases[i].err);
		stderr_release();
		assert_int_equal(code, cases[i].code);
		assert_non_null(strstr(stderr_text(), "abaft: put 'k': "));
		assert_non_null(strstr(stderr_text(), cases[i].text));
	}
}

static void a_missing_file_is_named(void **state)
{
	struct value value;
	bool ok;

	stderr_capture();
	ok = value_operand(&value, "@/nonexistent/value");
	stderr_release();
	assert_false(ok);
	assert_non_null(strstr(stderr_text(), "/nonexistent/value"));
}

static void two_ats_are_a_text(void **state)
{
	struct value value;

	assert_true(value_operand(&value, "@@home"));
	assert_string_equal(value.data, "@home");
	value_free(&value);
}

static void assert_json(const char *data, size_t bytes, const char *expected)
{
	cJSON *object = cJSON_CreateObject();
	char *text;

	value_json(object, "v", data, bytes);
	text = cJSON_PrintUnformatted(object);
	assert_string_equal(text, expected);
	cJSON_free(text);
	cJSON_Delete(object);
}

static void bytes_that_are_no_text_become_hex(void **state)
{
	assert_json("plain", 5, "{\"v\":\"plain\"}");
	assert_json("", 0, "{\"v\":\"\"}");
	assert_json("gr\xc3\xbc\xc3\x9f", 6, "{\"v\":\"gr\xc3\xbc\xc3\x9f\"}");
	assert_json("a\0b", 3, "{\"v_hex\":\"610062\"}");
	assert_json("\xff", 1, "{\"v_hex\":\"ff\"}");
	assert_json("\xc3", 1, "{\"v_hex\":\"c3\"}");
	assert_json("\xc0\x80", 2, "{\"v_hex\":\"c080\"}");
	assert_json("\xed\xa0\x80", 3, "{\"v_hex\":\"eda080\"}");
}

static void versions_are_readable(void **state)
{
	struct abaft_version version = {.time = (UINT64_C(1700000000000000) << 12) | 7,
					.origin = 258};
	char text[VALUE_VERSION_BYTES];

	value_version(&version, text);
	assert_string_equal(text, "1700000000000000.7@258");
	value_version(&(struct abaft_version){0}, text);
	assert_string_equal(text, "-");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(shared_options_are_taken),
		cmocka_unit_test(text_is_the_default),
		cmocka_unit_test(help_leaves_with_0),
		cmocka_unit_test(bad_values_are_named),
		cmocka_unit_test(unknown_options_point_to_the_help),
		cmocka_unit_test(failures_have_their_exit_code),
		cmocka_unit_test(a_missing_file_is_named),
		cmocka_unit_test(two_ats_are_a_text),
		cmocka_unit_test(bytes_that_are_no_text_become_hex),
		cmocka_unit_test(versions_are_readable),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
