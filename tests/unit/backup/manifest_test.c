/* SPDX-License-Identifier: Apache-2.0 */
/* manifest_test.c - the list in a backup: what is written reads back, and nothing else does. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tools/backup/manifest.h"

static char text[65536];

static void print(const struct manifest *manifest)
{
	FILE *file;

	memset(text, 0, sizeof(text));
	file = fmemopen(text, sizeof(text), "w");
	assert_true(manifest_print(manifest, file));
	fclose(file);
}

static void fill(struct manifest *manifest)
{
	const struct manifest_file files[] = {{0, 0, 8 << 20, 0x89abcdef},
					      {0, 0xff, 8 << 20, 1},
					      {64, 3, UINT64_C(1) << 30, 0},
					      {MANIFEST_CHECKPOINT, 12, 4096, UINT32_MAX}};

	memset(manifest, 0, sizeof(*manifest));
	for (uint8_t i = 0; i < 16; i++)
		manifest->node_id[i] = (uint8_t)(i * 17);
	manifest->wall_us = UINT64_C(1767225599123456);
	for (size_t i = 0; i < 4; i++)
		assert_true(manifest_put(manifest, &files[i]));
}

/* Signs a changed text anew, so that only the change itself can be refused. */
static void sign(void)
{
	char *end = strstr(text, "\nend ") + 1;
	uint32_t crc = manifest_crc(MANIFEST_CRC_BEGIN, (uint8_t *)text, (size_t)(end - text));

	snprintf(end, 16, "end %08x\n", manifest_crc_end(crc));
}

static void replace(const char *what, const char *with)
{
	size_t left = strlen(text), bytes = strlen(with);
	char *at = strstr(text, what);

	assert_non_null(at);
	left -= (size_t)(at - text) + strlen(what);
	memmove(at + bytes, at + strlen(what), left + 1);
	memcpy(at, with, bytes);
	sign();
}

static void crc_is_crc32c(void **state)
{
	uint32_t crc = manifest_crc(MANIFEST_CRC_BEGIN, (const uint8_t *)"12345", 5);

	crc = manifest_crc(crc, (const uint8_t *)"6789", 4);
	assert_int_equal(manifest_crc_end(crc), 0xe3069283);
}

static void reads_back(void **state)
{
	struct manifest before, after;

	fill(&before);
	print(&before);
	assert_non_null(strstr(text,
			       "abaft backup\nformat 1\nnode 00112233445566778899aabbccddeeff\n"
			       "time 2025-12-31T23:59:59.123456Z\n"
			       "file log-000/seg-00000000 8388608 89abcdef\n"));
	assert_non_null(strstr(text, "\nfile checkpoint-0000000c 4096 ffffffff\nend "));
	assert_int_equal(manifest_parse(&after, text), 0);
	assert_memory_equal(after.node_id, before.node_id, 16);
	assert_int_equal(after.wall_us, before.wall_us);
	assert_int_equal(after.count, before.count);
	for (uint32_t i = 0; i < before.count; i++) { /* one by one: between them may be anything */
		assert_int_equal(after.files[i].log, before.files[i].log);
		assert_int_equal(after.files[i].number, before.files[i].number);
		assert_int_equal(after.files[i].bytes, before.files[i].bytes);
		assert_int_equal(after.files[i].crc, before.files[i].crc);
	}
	manifest_free(&before);
	manifest_free(&after);
}

static void files_are_put_found_and_dropped(void **state)
{
	const struct manifest_file again = {0, 0xff, 4096, 7};
	struct manifest manifest;

	fill(&manifest);
	assert_true(manifest_put(&manifest, &again));
	assert_int_equal(manifest.count, 4);
	assert_int_equal(manifest_find(&manifest, 0, 0xff)->crc, 7);
	manifest_drop(&manifest, 0, 0xff);
	manifest_drop(&manifest, 9, 9);
	assert_int_equal(manifest.count, 3);
	assert_null(manifest_find(&manifest, 0, 0xff));
	assert_int_equal(manifest_find(&manifest, 64, 3)->bytes, UINT64_C(1) << 30);
	assert_int_equal(manifest_bytes(&manifest), (8 << 20) + (UINT64_C(1) << 30) + 4096);
	manifest_free(&manifest);
}

static void damage_is_refused(void **state)
{
	struct manifest manifest, parsed;
	size_t bytes;

	fill(&manifest);
	print(&manifest);
	bytes = strlen(text);
	/* Any bit, but for what follows the sum. */
	for (size_t i = 0; i < bytes - 1; i++) {
		text[i] = (char)(text[i] ^ 1);
		if (manifest_parse(&parsed, text) == 0)
			fail_msg("byte %zu", i);
		text[i] = (char)(text[i] ^ 1);
	}
	/* Cut anywhere. */
	for (size_t cut = 0; cut < bytes - 1; cut++) {
		char *part = strndup(text, cut);

		assert_int_not_equal(manifest_parse(&parsed, part), 0);
		free(part);
	}
	assert_int_equal(manifest_parse(&parsed, text), 0);
	manifest_free(&parsed);
	manifest_free(&manifest);
}

static void only_its_own_names_are_taken(void **state)
{
	static const char *const names[] = {
		"log-000/seg-00000000x", "log-000/seg-0000000",	 "log-065/seg-00000000",
		"log-0/seg-00000000",	 "../log-000/seg-00000", "log-000/../abaft.id",
		"/etc/passwd",		 "checkpoint-c",	 "log-000/seg- 0000000"};
	struct manifest manifest, parsed;

	fill(&manifest);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		print(&manifest);
		replace("log-000/seg-00000000", names[i]);
		if (manifest_parse(&parsed, text) != -EBADMSG)
			fail_msg("%s", names[i]);
	}
	manifest_free(&manifest);
}

static void another_format_is_told(void **state)
{
	struct manifest manifest, parsed;

	fill(&manifest);
	print(&manifest);
	replace("format 1", "format 2");
	assert_int_equal(manifest_parse(&parsed, text), -EPROTO);
	assert_int_equal(manifest_parse(&parsed, ""), -EBADMSG);
	assert_int_equal(manifest_parse(&parsed, "12\n"), -EBADMSG);
	manifest_free(&manifest);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(crc_is_crc32c),
		cmocka_unit_test(reads_back),
		cmocka_unit_test(files_are_put_found_and_dropped),
		cmocka_unit_test(damage_is_refused),
		cmocka_unit_test(only_its_own_names_are_taken),
		cmocka_unit_test(another_format_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
