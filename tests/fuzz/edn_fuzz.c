/* SPDX-License-Identifier: Apache-2.0 */
/*
 * edn_fuzz.c - arbitrary text as a history: in EDN, or in our own format if it begins with "T", "F"
 * or a newline; then judged, and every witness told.
 *
 * What must hold: circles are circles, each kind keeps no more witnesses than asked for, and what
 * is counted is counted alike: no instances without transactions or the other way round.
 */
#include <stdlib.h>
#include <string.h>

#include "tools/history/read.h"
#include "tools/history/story.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { TEXT_MAX = 64 << 10, WITNESSES = 3 };

static int read_lines(struct check *check, const char *text, size_t len)
{
	uint32_t number = 0;
	int err = 0;

	while (!err && len) {
		const char *end = memchr(text, '\n', len), *why;
		size_t line = end ? (size_t)(end - text) : len;

		err = check_read_line(check, text, line, ++number, &why);
		text += line + (end != NULL);
		len -= line + (end != NULL);
	}
	return err;
}

static void look_at_witness(const struct check *check, const struct check_witness *witness)
{
	const struct check_edge *step = check->steps.data;
	uint32_t count = witness->steps_count;
	char who[STORY_TEXT_MAX];
	struct story story;

	for (uint32_t i = 0; i < count; i++)
		if (step[witness->steps_at + i].to !=
		    step[witness->steps_at + (i + 1) % count].from)
			abort();
	story_tell(check, witness, &story);
	if (story.count == 0)
		abort();
	for (uint32_t i = 0; i < story.txn_count; i++)
		story_who(check, &story, i, who);
}

static void look_at(const struct check *check)
{
	const struct check_witness *witness = check->witnesses.data;

	for (int i = 0; i < CHECK_KIND_COUNT; i++)
		if ((check->pairs[i] == 0) != (check->transactions[i] == 0) ||
		    check->kept[i] > WITNESSES || check->kept[i] > check->pairs[i])
			abort();
	for (size_t i = 0; i < check->witnesses.count; i++)
		look_at_witness(check, &witness[i]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data;
	struct check *check;
	int err;

	if (size == 0 || size > TEXT_MAX)
		return 0;
	check = check_create(WITNESSES);
	if (!check)
		return 0;
	check->files[0] = strdup("fuzz");
	check->file_count = 1;
	if (strchr("TF\n", text[0]) && text[0])
		err = read_lines(check, text, size);
	else
		err = check_read_edn(check, text, size, "fuzz");
	if (!err && check_judge(check) == 0)
		look_at(check);
	check_destroy(check);
	return 0;
}
