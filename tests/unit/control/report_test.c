/* SPDX-License-Identifier: Apache-2.0 */
/*
 * report_test.c - lines as text and as JSON, read back from standard error's own file.
 */
#include <fcntl.h>
#include <pthread.h>
#include <regex.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cJSON.h>
#include <cmocka.h>

#include "control/report.h"

#define THREADS 4
#define LINES	500

static char said[8 << 20];
static int file, before;

/* From here on standard error is a file; a pipe would have to be emptied meanwhile. */
static int listen_begin(void **state)
{
	file = open("/var/tmp", O_TMPFILE | O_RDWR | O_APPEND | O_CLOEXEC, 0600);
	before = dup(STDERR_FILENO);
	return file < 0 || before < 0 || dup2(file, STDERR_FILENO) < 0 ? -1 : 0;
}

static int listen_end(void **state)
{
	dup2(before, STDERR_FILENO);
	close(before);
	close(file);
	return 0;
}

static const char *heard(void)
{
	ssize_t n = pread(file, said, sizeof(said) - 1, 0);

	assert_true(n >= 0);
	said[n] = '\0';
	assert_int_equal(ftruncate(file, 0), 0);
	return said;
}

/* The one line heard, as JSON; NULL if it is none. */
static cJSON *heard_object(void)
{
	const char *end = NULL;
	cJSON *root = cJSON_ParseWithOpts(heard(), &end, false);

	assert_non_null(root);
	assert_string_equal(end, "\n");
	return root;
}

static const char *member(const cJSON *root, const char *name)
{
	return cJSON_GetStringValue(cJSON_GetObjectItem(root, name));
}

static void as_text(void **state)
{
	struct report to = {.level = REPORT_INFO};

	report(&to, REPORT_WARNING, "%d files are \"left\"", 3);
	assert_string_equal(heard(), "abaftd: warning: 3 files are \"left\"\n");
	report_event(&to, REPORT_ERROR, "failed", "no");
	assert_string_equal(heard(), "abaftd: error: no\n");
	report_ready(&to, "status"); /* has its line on standard output */
	assert_string_equal(heard(), "");
	report_stopping(&to, "Terminated");
	assert_string_equal(heard(), "abaftd: info: stopping (Terminated)\n");
}

static void as_json(void **state)
{
	struct report to = {.level = REPORT_INFO, .json = true, .node = 17};
	cJSON *root;
	regex_t time;

	report(&to, REPORT_WARNING, "a \"quoted\"\tword,\na \\ and \x01");
	root = heard_object();
	assert_int_equal(regcomp(&time,
				 "^20[0-9]{2}-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-5][0-9]:"
				 "[0-6][0-9][.][0-9]{3}Z$",
				 REG_EXTENDED | REG_NOSUB),
			 0);
	assert_int_equal(regexec(&time, member(root, "time"), 0, NULL, 0), 0);
	regfree(&time);
	assert_string_equal(member(root, "level"), "warning");
	assert_true(cJSON_GetObjectItem(root, "node")->valuedouble == 17);
	assert_string_equal(member(root, "message"), "a \"quoted\"\tword,\na \\ and \x01");
	assert_null(cJSON_GetObjectItem(root, "event"));
	cJSON_Delete(root);

	report_ready(&to, "port lo");
	root = heard_object();
	assert_string_equal(member(root, "event"), "ready");
	assert_string_equal(member(root, "message"), "port lo");
	cJSON_Delete(root);
	report_stopping(&to, "Terminated");
	root = heard_object();
	assert_string_equal(member(root, "event"), "stopping");
	cJSON_Delete(root);
}

static void levels(void **state)
{
	for (int json = 0; json < 2; json++) {
		struct report to = {.level = REPORT_WARNING, .json = json};

		report(&to, REPORT_INFO, "not asked for");
		report_ready(&to, "not asked for");
		assert_string_equal(heard(), "");
		report(&to, REPORT_WARNING, "asked for");
		assert_non_null(strstr(heard(), "asked for"));
	}
	assert_int_equal(report_level_of("debug"), REPORT_DEBUG);
	assert_int_equal(report_level_of("error"), REPORT_ERROR);
	assert_int_equal(report_level_of("nonsense"), REPORT_INFO);
}

/* What is not UTF-8 is not passed on, what is stays as it is. */
static void only_utf8(void **state)
{
	static const struct {
		const char *text, *want;
	} cases[] = {
		{"\xc3\xa4 \xe2\x82\xac \xf0\x9f\x9a\xa2",
		 "\xc3\xa4 \xe2\x82\xac \xf0\x9f\x9a\xa2"},
		{"a\xff\xfe\x80z", "a???z"},
		{"\xc3", "?"},
		{"\xe2\x82", "??"},
		{"\xc0\xaf", "??"},		   /* overlong */
		{"\xe0\x80\xaf", "???"},	   /* overlong */
		{"\xed\xa0\x80", "???"},	   /* half a surrogate pair */
		{"\xf4\x90\x80\x80", "????"},	   /* beyond the last character */
		{"\xf8\x88\x80\x80\x80", "?????"}, /* five bytes */
	};
	struct report to = {.level = REPORT_INFO, .json = true};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		cJSON *root;

		report(&to, REPORT_INFO, "%s", cases[i].text);
		root = heard_object();
		assert_string_equal(member(root, "message"), cases[i].want);
		cJSON_Delete(root);
	}
}

/* Too long a message is cut, also in the middle of a character, and is one line all the same. */
static void too_long(void **state)
{
	struct report to = {.level = REPORT_INFO, .json = true};
	char text[4 * REPORT_TEXT_BYTES];
	const char *message;
	cJSON *root;

	for (int shift = 0; shift < 3; shift++) {
		memset(text, 'x', sizeof(text));
		for (size_t i = (size_t)shift; i + 3 < sizeof(text); i += 3)
			memcpy(text + i, "\xe2\x82\xac", 3);
		text[sizeof(text) - 1] = '\0';
		report(&to, REPORT_INFO, "%s", text);
		root = heard_object();
		message = member(root, "message");
		assert_int_equal(strlen(message), REPORT_TEXT_BYTES - 1);
		assert_memory_equal(message, text, REPORT_TEXT_BYTES - 4);
		cJSON_Delete(root);
	}
	memset(text, 1, sizeof(text) - 1); /* \u0001: six times as long */
	report(&to, REPORT_INFO, "%s", text);
	root = heard_object();
	assert_int_equal(strlen(member(root, "message")), REPORT_TEXT_BYTES - 1);
	cJSON_Delete(root);
	to.json = false;
	report(&to, REPORT_INFO, "%s", text);
	assert_int_equal(strlen(heard()), strlen("abaftd: info: \n") + REPORT_TEXT_BYTES - 1);
}

static void *talk(void *arg)
{
	static const char filler[] = "some words to make the line longer than a page of memory ";
	struct report to = {.level = REPORT_INFO, .json = true};
	char text[900] = "";

	for (size_t at = 0; at + sizeof(filler) < sizeof(text); at += sizeof(filler) - 1)
		memcpy(text + at, filler, sizeof(filler));
	for (int i = 0; i < LINES; i++)
		report(&to, REPORT_INFO, "%u %d %s", (unsigned)(uintptr_t)arg, i, text);
	return NULL;
}

/* Lines of threads never mix, and each thread's come in order. */
static void many_threads(void **state)
{
	int next[THREADS] = {0}, lines = 0;
	pthread_t thread[THREADS];

	for (uintptr_t i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&thread[i], NULL, talk, (void *)i), 0);
	for (uintptr_t i = 0; i < THREADS; i++)
		assert_int_equal(pthread_join(thread[i], NULL), 0);
	for (const char *line = heard(), *end; *line != '\0'; line = end + 1) {
		cJSON *root = cJSON_ParseWithOpts(line, &end, false);
		unsigned who;
		int number;

		assert_true(root != NULL && *end == '\n');
		assert_int_equal(sscanf(member(root, "message"), "%u %d", &who, &number), 2);
		assert_in_range(who, 0, THREADS - 1);
		assert_int_equal(number, next[who]++);
		lines++;
		cJSON_Delete(root);
	}
	assert_int_equal(lines, THREADS * LINES);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, listen_begin, listen_end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(as_text),	 CASE(as_json),	 CASE(levels),
		CASE(only_utf8), CASE(too_long), CASE(many_threads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
