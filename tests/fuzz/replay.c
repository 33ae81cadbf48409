/* SPDX-License-Identifier: Apache-2.0 */
/*
 * replay.c - runs a fuzz target over its corpus: a plain regression test, one TAP case a file.
 *
 *	NAME_replay CORPUS_FOLDER
 *
 * What libFuzzer does in the clang build, without the search. A target that does not hold aborts,
 * and the cases that it never reached are missing from the plan.
 */
#include <dirent.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/fuzz/replay.h"

#define INPUT_BYTES_MAX (8u << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int is_input(const struct dirent *entry)
{
	return entry->d_name[0] != '.';
}

/* Whether the file could be read. In memory of its exact size, so that ASan sees its end. */
static int replay(const char *folder, const char *name)
{
	static uint8_t buffer[INPUT_BYTES_MAX];
	char path[4096];
	uint8_t *input;
	size_t bytes;
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	file = fopen(path, "rb");
	if (!file)
		return 0;
	bytes = fread(buffer, 1, sizeof(buffer), file);
	fclose(file);
	input = malloc(bytes ? bytes : 1);
	if (!input)
		return 0;
	memcpy(input, buffer, bytes);
	LLVMFuzzerTestOneInput(input, bytes);
	free(input);
	return 1;
}

int main(int argc, char **argv)
{
	const char *left_out = fuzz_left_out ? fuzz_left_out() : NULL;
	struct dirent **entries;
	int count, failed = 0;

	count = argc == 2 ? scandir(argv[1], &entries, is_input, alphasort) : -1;
	if (count <= 0) {
		fprintf(stderr, "replay: no inputs in '%s'\n", argc > 1 ? argv[1] : "");
		return 1;
	}
	printf("1..%d\n", count + (left_out ? 1 : 0));
	for (int i = 0; i < count; i++) {
		int good = replay(argv[1], entries[i]->d_name);

		printf("%sok %d - %s\n", good ? "" : "not ", i + 1, entries[i]->d_name);
		fflush(stdout);
		failed += !good;
		free(entries[i]);
	}
	if (left_out)
		printf("ok %d - all of the target # SKIP %s\n", count + 1, left_out);
	free(entries);
	return failed ? 1 : 0;
}
