/* SPDX-License-Identifier: Apache-2.0 */
/*
 * plot_test.c - the bounds on gnuplot, with others in its place: one that hangs, one that writes
 * without end. Compiled with a bound of half a second.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include <cmocka.h>

#include "tests/lib/scratch.h"
#include "tools/report/plot.h"
#include "tools/report/report.h"

/* What a page would do with a title. */
void report_escape(FILE *page, const char *text)
{
	fprintf(page, "[%s]", text);
}

/* Puts a shell script in gnuplot's place. */
static void stands_for_gnuplot(const char *folder, const char *script)
{
	char path[512];
	FILE *file;

	snprintf(path, sizeof(path), "%s/gnuplot", folder);
	file = fopen(path, "w");
	assert_non_null(file);
	fprintf(file, "#!/bin/sh\n%s\n", script);
	assert_int_equal(fclose(file), 0);
	assert_int_equal(chmod(path, 0755), 0);
	snprintf(path, sizeof(path), "%s:/usr/bin:/bin", folder);
	assert_int_equal(setenv("PATH", path, 1), 0);
}

static double now_s(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void script_in_picture_out(void **state)
{
	static char script[300000];
	size_t bytes;
	char *svg;

	/* More than a pipe would hold, both ways. */
	memset(script, 'x', sizeof(script));
	stands_for_gnuplot(*state, "cat");
	assert_int_equal(plot_draw(script, sizeof(script), &svg, &bytes), COMMAND_OK);
	assert_int_equal(bytes, sizeof(script));
	assert_memory_equal(svg, script, sizeof(script));
	assert_int_equal(svg[bytes], '\0');
	free(svg);
}

static void hangs(void **state)
{
	double begin_s = now_s();
	size_t bytes;
	char *svg;

	stands_for_gnuplot(*state, "echo beginning; exec sleep 1000");
	assert_int_equal(plot_draw("plot", 4, &svg, &bytes), COMMAND_FAILED);
	assert_null(svg);
	assert_true(now_s() - begin_s < 10);
}

static void writes_without_end(void **state)
{
	size_t bytes;
	char *svg;

	stands_for_gnuplot(*state, "exec yes");
	assert_int_equal(plot_draw("plot", 4, &svg, &bytes), COMMAND_FAILED);
	assert_null(svg);
}

static char *embedded(const char *svg, bool *good)
{
	char *text;
	size_t bytes;
	FILE *page = open_memstream(&text, &bytes);

	*good = plot_embed(page, svg, "f7", "T");
	assert_int_equal(fclose(page), 0);
	return text;
}

static void embedding(void **state)
{
	static const char *const none[] = {
		"",
		"<svg",
		"<svg viewBox=\"0 0 1 1\">",
		"<svg viewBox=\"0 0 1 1\"><desc></desc>",
		"</svg><svg viewBox=\"0 0 1 1\"><desc></desc>",
		"<svg><desc></desc></svg>",
		"<svg><desc></desc></svg> viewBox=\"0 0 1 1\"",
	};
	bool good;
	char *text;

	for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++) {
		text = embedded(none[i], &good);
		assert_false(good);
		assert_string_equal(text, "");
		free(text);
	}
	text = embedded("<?xml?>\n<svg \n viewBox=\"0 0 640 300\"\n>\n<title>G</title>\n"
			"<desc>by G</desc>\n<g id=\"a\">\n<defs><path id='b'/></defs>"
			"<g fill=\"none\">\n</g>\n<g fill=\"red\"><text>5 us</text></g>\n"
			"<title>gnuplot_plot_3</title></g>\n</svg>\n",
			&good);
	assert_true(good);
	assert_string_equal(
		text,
		"<svg viewBox=\"0 0 640 300\" xmlns=\"http://www.w3.org/2000/svg\" "
		"xmlns:xlink=\"http://www.w3.org/1999/xlink\" role=\"img\" "
		"aria-labelledby=\"f7-title\"><title id=\"f7-title\">[T]</title>\n\n"
		"<g id=\"f7-a\">\n<g fill=\"red\"><text>5 \xc2\xb5s</text></g>\n</g>\n</svg>\n");
	free(text);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, scratch_setup, scratch_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(script_in_picture_out),
		CASE(hangs),
		CASE(writes_without_end),
		CASE(embedding),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
