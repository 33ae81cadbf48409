// SPDX-License-Identifier: Apache-2.0
/*
 * history_test.c - lines written by the writer are read back, and malformed ones are refused with
 * the reason that fits.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "tools/history/history.h"

#define ID  "01935a7b-ff00-7c11-9234-abcdef010203"
#define TAG ID "/1.0.2/55/k1/"

static void writer_and_parser_agree(void **state)
{
	const char *expected = "T " ID " c1 all 3 10 20 committed 99.258 r,k1,98.1," TAG
			       " r,k2,-,- r,k3,97.1,? w,k%20,0.3.4,15 d,k5,1.3.5,16\n"
			       "T " ID " c1 2 0 10 20 open -\n"
			       "F r,k1,98.1," TAG "\n";
	const char *value = "@abt1/" TAG ";filler";
	struct history_head head = {.client = "c1",
				    .whole = true,
				    .attempt = 3,
				    .start_us = 10,
				    .end_us = 20,
				    .version = {99, 258}};
	char path[] = "/tmp/abaft-history-XXXXXX", text[1024];
	struct history_writer *writer;
	FILE *file;
	size_t n;

	close(mkstemp(path));
	assert_int_equal(tag_id_parse(ID, 36, &head.id), 0);
	assert_int_equal(history_open(&writer, path), 0);
	history_begin(writer, &head);
	history_read(writer, "k1", 2, (struct abaft_version){98, 1}, value, strlen(value));
	history_read(writer, "k2", 2, (struct abaft_version){0, 0}, NULL, 0);
	history_read(writer, "k3", 2, (struct abaft_version){97, 1}, "x", 1);
	history_write(writer, "k ", 2, (struct tag_number){0, 3, 4}, 15);
	history_delete(writer, "k5", 2, (struct tag_number){1, 3, 5}, 16);
	assert_int_equal(history_finish(writer), 0);
	history_close(writer);

	/* A second writer appends. */
	assert_int_equal(history_open(&writer, path), 0);
	head.whole = false;
	head.step = 2;
	head.attempt = 0;
	head.outcome = HISTORY_OPEN;
	head.version.time = 0;
	history_begin(writer, &head);
	assert_int_equal(history_finish(writer), 0);
	history_begin_final(writer);
	history_read(writer, "k1", 2, (struct abaft_version){98, 1}, value, strlen(value));
	assert_int_equal(history_finish(writer), 0);
	history_close(writer);

	file = fopen(path, "r");
	n = fread(text, 1, sizeof(text) - 1, file);
	text[n] = '\0';
	fclose(file);
	unlink(path);
	assert_string_equal(text, expected);
}

static void parses_all_fields(void **state)
{
	const char *text = "T " ID " c1 7 3 10 20 unknown 99.258 r,k1,98.1," TAG
			   "a,b r,k2,-,- r,k3,97.1,? w,k4,0.3.4,15 d,k5,1.3.5,16";
	struct history_line line;
	struct history_op op;
	const char *why = NULL;

	assert_int_equal(history_parse(text, strlen(text), &line, &why), 0);
	assert_int_equal(line.kind, 'T');
	assert_memory_equal(line.client, "c1", line.client_len);
	assert_false(line.whole);
	assert_int_equal(line.step, 7);
	assert_int_equal(line.attempt, 3);
	assert_int_equal(line.start_us, 10);
	assert_int_equal(line.end_us, 20);
	assert_int_equal(line.outcome, HISTORY_UNKNOWN);
	assert_int_equal(line.version.time, 99);
	assert_int_equal(line.version.origin, 258);

	assert_int_equal(history_next(&line, &op, &why), 1);
	assert_int_equal(op.kind, 'r');
	assert_int_equal(op.seen, HISTORY_SEEN_TAGGED);
	assert_int_equal(op.version.time, 98);
	assert_int_equal(op.tag.number.seq, 2);
	assert_int_equal(op.tag.with_len, 3);
	assert_int_equal(history_next(&line, &op, &why), 1);
	assert_int_equal(op.seen, HISTORY_SEEN_NONE);
	assert_int_equal(op.version.time, 0);
	assert_int_equal(history_next(&line, &op, &why), 1);
	assert_int_equal(op.seen, HISTORY_SEEN_UNTAGGED);
	assert_int_equal(history_next(&line, &op, &why), 1);
	assert_int_equal(op.kind, 'w');
	assert_int_equal(op.number.attempt, 3);
	assert_int_equal(op.time_us, 15);
	assert_int_equal(history_next(&line, &op, &why), 1);
	assert_int_equal(op.kind, 'd');
	assert_int_equal(op.number.step, 1);
	assert_int_equal(history_next(&line, &op, &why), 0);

	assert_int_equal(history_parse("# note", 6, &line, &why), 0);
	assert_int_equal(line.kind, '#');
	assert_int_equal(history_parse("", 0, &line, &why), 0);
	assert_int_equal(line.kind, '#');
}

/* The reason a line is refused for, or NULL. */
static const char *refusal(const char *text)
{
	struct history_line line;
	struct history_op op;
	const char *why = NULL;
	int n;

	if (history_parse(text, strlen(text), &line, &why))
		return why;
	do {
		n = history_next(&line, &op, &why);
	} while (n == 1);
	return n ? why : NULL;
}

static void refuses_malformed_lines(void **state)
{
	static const struct {
		const char *text, *part_of_reason;
	} lines[] = {
		{"X", "begins with"},
		{"T", "begins with"},
		{"T " ID " c all 0 1 2 committed", "8 fields"},
		{"T 0193 c all 0 1 2 committed -", "UUID"},
		{"T " ID "  all 0 1 2 committed -", "client"},
		{"T " ID " c some 0 1 2 committed -", "part"},
		{"T " ID " c 70000 0 1 2 committed -", "part"},
		{"T " ID " c all 70000 1 2 committed -", "attempt"},
		{"T " ID " c all 0 x 2 committed -", "microseconds"},
		{"T " ID " c all 0 3 2 committed -", "before it starts"},
		{"T " ID " c all 0 1 2 done -", "outcome"},
		{"T " ID " c all 0 1 2 committed 5", "commit's version"},
		{"T " ID " c all 0 1 2 committed 0.1", "commit's version"},
		{"T " ID " c all 0 1 2 committed 5.4294967296", "commit's version"},
		{"T " ID " c all 0 1 2 committed - x,k,-,-", "operation"},
		{"T " ID " c all 0 1 2 committed - rr,k,-,-", "operation"},
		{"T " ID " c all 0 1 2 committed - r,,-,-", "operation"},
		{"T " ID " c all 0 1 2 committed -  r,k,-,-", "operation"},
		{"T " ID " c all 0 1 2 committed - r,k,a,-", "read's version"},
		{"T " ID " c all 0 1 2 committed - r,k,-,", "read saw"},
		{"T " ID " c all 0 1 2 committed - r,k,-,hello", "read saw"},
		{"T " ID " c all 0 1 2 committed - w,k,1.2,5", "STEP.ATTEMPT.SEQ"},
		{"T " ID " c all 0 1 2 committed - w,k,0.0.1,", "write's time"},
		{"F w,k,0.0.1,5", "final"},
		{"F r,k,-,- r,k2,-,-", "final"},
	};

	assert_null(refusal("T " ID " c all 0 1 2 committed 5.1 r,k,-,- w,k,0.0.1,5"));
	assert_null(refusal("F r,k,-,-"));
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		const char *why = refusal(lines[i].text);

		if (!why || !strstr(why, lines[i].part_of_reason))
			fail_msg("'%s' was refused for '%s', not '%s'", lines[i].text,
				 why ? why : "nothing", lines[i].part_of_reason);
	}
}

static void refuses_lines_too_long(void **state)
{
	struct history_head head = {.client = "c", .whole = true};
	char path[] = "/tmp/abaft-history-XXXXXX", key[1024];
	struct history_writer *writer;

	memset(key, ' ', sizeof(key)); /* each byte becomes three */
	close(mkstemp(path));
	assert_int_equal(history_open(&writer, path), 0);
	history_begin(writer, &head);
	for (size_t i = 0; i < HISTORY_LINE_BYTES_MAX / sizeof(key) / 3 + 1; i++)
		history_write(writer, key, sizeof(key), (struct tag_number){0, 0, 1}, 1);
	assert_int_equal(history_finish(writer), -EMSGSIZE);
	history_begin(writer, &head);
	assert_int_equal(history_finish(writer), 0);
	history_close(writer);
	unlink(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(writer_and_parser_agree),
		cmocka_unit_test(parses_all_fields),
		cmocka_unit_test(refuses_malformed_lines),
		cmocka_unit_test(refuses_lines_too_long),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
