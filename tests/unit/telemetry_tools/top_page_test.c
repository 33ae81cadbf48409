// SPDX-License-Identifier: Apache-2.0
/*
 * top_page_test.c - lines of a given width: what is cut, what wraps, what becomes a further table.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/telemetry_tools/made.h"
#include "tools/telemetry/top_page.h"

static struct top_page page;

static void too_wide_is_cut(void **state)
{
	top_page_clear(&page, 20);
	top_page_line(&page);
	top_page_put(&page, TOP_PLAIN, "0123456789%s", "0123456789abc");
	top_page_put(&page, TOP_PLAIN, "more");
	assert_string_equal(made_text(&page), "01234567890123456789\n");
	/* No window is narrower, and none wider, than lines can be. */
	top_page_clear(&page, 3);
	assert_int_equal(page.columns, TOP_COLUMNS_MIN);
	top_page_clear(&page, 100000);
	assert_int_equal(page.columns, TOP_COLUMNS_MAX);
}

/* Bytes that a terminal would obey. */
static void only_plain_text(void **state)
{
	top_page_clear(&page, 40);
	top_page_line(&page);
	top_page_put(&page, TOP_PLAIN, "a\033[2Jb\nc\xff");
	assert_string_equal(made_text(&page), "a?[2Jb?c?\n");
}

static void items_keep_together(void **state)
{
	top_page_clear(&page, 80);
	top_page_section(&page, "name");
	for (int i = 0; i < 5; i++)
		top_page_item(&page, TOP_GOOD, "item number", "%d and more", i);
	assert_string_equal(made_text(&page),
			    "name          item number 0 and more  item number 1 and more\n"
			    "              item number 2 and more  item number 3 and more\n"
			    "              item number 4 and more\n");
	assert_int_equal(page.line[0].look[0], TOP_STRONG);
	assert_int_equal(page.line[0].look[14], TOP_FAINT);
	assert_int_equal(page.line[0].look[26], TOP_GOOD);
	/* Narrow windows have no room for a margin. */
	top_page_clear(&page, 30);
	top_page_section(&page, "name");
	for (int i = 0; i < 2; i++)
		top_page_item(&page, TOP_PLAIN, "item number", "%d and more", i);
	assert_string_equal(made_text(&page), "name  item number 0 and more\n"
					      "  item number 1 and more\n");
}

static void words_wrap(void **state)
{
	top_page_clear(&page, 20);
	top_page_words(&page, TOP_BAD, "%s cannot be read: no such file", "it");
	assert_string_equal(made_text(&page), "it cannot be read:\nno such file\n");
	assert_int_equal(page.line[1].look[0], TOP_BAD);
}

static enum top_look cell(const void *context, unsigned int row, unsigned int column, char *text)
{
	snprintf(text, TOP_CELL_BYTES, "%c%u", 'a' + (int)column, row);
	return column == 1 ? TOP_BAD : TOP_PLAIN;
}

static void tables(void **state)
{
	static const struct top_column columns[] = {{"NAME", 4}, {"B", 3}, {"C", 8}, {"D", 5}};

	top_page_clear(&page, 40);
	top_page_table(&page, columns, 4, 2, cell, NULL);
	assert_string_equal(made_text(&page), "NAME    B         C      D\n"
					      "a0     b0        c0     d0\n"
					      "a1     b1        c1     d1\n");
	assert_int_equal(page.line[1].look[7], TOP_BAD);
	assert_int_equal(top_page_fits(&page, columns, 4), 4);
	/* Too narrow: nothing is lost. */
	top_page_clear(&page, 20);
	top_page_table(&page, columns, 4, 1, cell, NULL);
	assert_string_equal(made_text(&page), "NAME    B         C\n"
					      "a0     b0        c0\n"
					      "NAME      D\n"
					      "a0       d0\n");
	assert_int_equal(top_page_fits(&page, columns, 4), 3);
	top_page_tail(&page, 3, TOP_FAINT, "explained at length");
	assert_string_equal(made_line(&page, "a0       d0"), "a0       d0  explain");
}

static void right_edge(void **state)
{
	top_page_clear(&page, 30);
	top_page_line(&page);
	top_page_put(&page, TOP_PLAIN, "left");
	assert_true(top_page_right(&page, 5));
	top_page_put(&page, TOP_PLAIN, "right");
	assert_string_equal(made_text(&page), "left                     right\n");
	assert_false(top_page_right(&page, 5));
}

static void bounded(void **state)
{
	top_page_clear(&page, 20);
	for (int i = 0; i < TOP_LINES_MAX + 3; i++) {
		top_page_line(&page);
		top_page_put(&page, TOP_PLAIN, "%d", i);
	}
	assert_int_equal(page.lines, TOP_LINES_MAX);
	made_shows(&page, "(3 more lines)\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(too_wide_is_cut),
		cmocka_unit_test(only_plain_text),
		cmocka_unit_test(items_keep_together),
		cmocka_unit_test(words_wrap),
		cmocka_unit_test(tables),
		cmocka_unit_test(right_edge),
		cmocka_unit_test(bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
