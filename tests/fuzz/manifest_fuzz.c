/* SPDX-License-Identifier: Apache-2.0 */
/*
 * manifest_fuzz.c - arbitrary text into the reading of a backup's list.
 *
 * With the first byte odd the rest gets the last line that a real list has, with its checksum, so
 * that the lines before it are reached. What must hold: every file that is taken has a name that
 * stays in the backup's directory, and what was taken is printed and read back the same.
 */
#include <stdlib.h>
#include <string.h>

#include "tools/backup/manifest.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define TEXT_MAX (16u << 10)

static void check_names(const struct manifest *manifest)
{
	char path[MANIFEST_PATH_BYTES];

	for (size_t i = 0; i < manifest->count; i++) {
		manifest_path(path, manifest->files[i].log, manifest->files[i].number);
		if (path[0] == '/' || strstr(path, ".."))
			abort();
	}
}

static void print_again(const struct manifest *manifest)
{
	struct manifest again;
	char *text = NULL;
	size_t bytes;
	FILE *file = open_memstream(&text, &bytes);

	if (!file || !manifest_print(manifest, file) || fclose(file) != 0)
		abort();
	if (manifest_parse(&again, text) != 0 || again.count != manifest->count ||
	    again.wall_us != manifest->wall_us ||
	    memcmp(again.node_id, manifest->node_id, sizeof(again.node_id)) != 0 ||
	    manifest_bytes(&again) != manifest_bytes(manifest))
		abort();
	manifest_free(&again);
	free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static char text[TEXT_MAX + 32];
	struct manifest manifest;
	size_t bytes;

	if (size == 0 || size > TEXT_MAX)
		return 0;
	bytes = size - 1;
	memcpy(text, data + 1, bytes);
	text[bytes] = '\0';
	if (data[0] & 1) {
		uint32_t crc = manifest_crc(MANIFEST_CRC_BEGIN, (const uint8_t *)text, bytes);

		snprintf(text + bytes, sizeof(text) - bytes, "end %08x\n", manifest_crc_end(crc));
	}
	if (manifest_parse(&manifest, text) != 0)
		return 0;
	check_names(&manifest);
	print_again(&manifest);
	manifest_free(&manifest);
	return 0;
}
