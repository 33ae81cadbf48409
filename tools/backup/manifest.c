/* SPDX-License-Identifier: Apache-2.0 */
/* manifest.c - see manifest.h. */
#include "tools/backup/manifest.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <isa-l/crc.h>

#include <abaft/limits.h>

#define MANIFEST_FIRST	"abaft backup\n"
#define MANIFEST_FORMAT 1
#define FILES_FIRST	64

uint32_t manifest_crc(uint32_t crc, const uint8_t *data, size_t bytes)
{
	/* ISA-L takes an int; pieces are far shorter. It does not write to `data`. */
	return crc32_iscsi((unsigned char *)(uintptr_t)data, (int)bytes, crc);
}

static struct manifest_file *find(const struct manifest *manifest, uint32_t log, uint32_t number)
{
	/* What is asked for was put there last, or nearly so. */
	for (size_t i = manifest->count; i-- > 0;)
		if (manifest->files[i].log == log && manifest->files[i].number == number)
			return &manifest->files[i];
	return NULL;
}

const struct manifest_file *manifest_find(const struct manifest *manifest, uint32_t log,
					  uint32_t number)
{
	return find(manifest, log, number);
}

static bool append(struct manifest *manifest, const struct manifest_file *file)
{
	size_t room = manifest->room == 0 ? FILES_FIRST : 2 * manifest->room;

	if (manifest->count == manifest->room) {
		void *files = realloc(manifest->files, room * sizeof(*manifest->files));

		if (!files)
			return false;
		manifest->files = files;
		manifest->room = room;
	}
	manifest->files[manifest->count++] = *file;
	return true;
}

bool manifest_put(struct manifest *manifest, const struct manifest_file *file)
{
	struct manifest_file *there = find(manifest, file->log, file->number);

	if (!there)
		return append(manifest, file);
	*there = *file;
	return true;
}

void manifest_drop(struct manifest *manifest, uint32_t log, uint32_t number)
{
	struct manifest_file *there = find(manifest, log, number);
	struct manifest_file *end = manifest->files + manifest->count;

	if (!there)
		return;
	memmove(there, there + 1, (size_t)(end - there - 1) * sizeof(*there));
	manifest->count--;
}

uint64_t manifest_bytes(const struct manifest *manifest)
{
	uint64_t bytes = 0;

	for (size_t i = 0; i < manifest->count; i++)
		bytes += manifest->files[i].bytes;
	return bytes;
}

void manifest_path(char path[MANIFEST_PATH_BYTES], uint32_t log, uint32_t number)
{
	if (log == MANIFEST_CHECKPOINT)
		snprintf(path, MANIFEST_PATH_BYTES, "checkpoint-%08x", number);
	else
		snprintf(path, MANIFEST_PATH_BYTES, "log-%03u/seg-%08x", log, number);
}

void manifest_time(const struct manifest *manifest, char *text, size_t bytes)
{
	time_t seconds = (time_t)(manifest->wall_us / 1000000);
	char date[32];
	struct tm tm;

	gmtime_r(&seconds, &tm);
	strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(text, bytes, "%s.%06uZ", date, (unsigned int)(manifest->wall_us % 1000000));
}

static void print_lines(const struct manifest *manifest, FILE *to)
{
	char text[64], path[MANIFEST_PATH_BYTES];

	fprintf(to, MANIFEST_FIRST "format %d\nnode ", MANIFEST_FORMAT);
	for (size_t i = 0; i < sizeof(manifest->node_id); i++)
		fprintf(to, "%02x", manifest->node_id[i]);
	manifest_time(manifest, text, sizeof(text));
	fprintf(to, "\ntime %s\n", text);
	for (size_t i = 0; i < manifest->count; i++) {
		const struct manifest_file *file = &manifest->files[i];

		manifest_path(path, file->log, file->number);
		fprintf(to, "file %s %" PRIu64 " %08x\n", path, file->bytes, file->crc);
	}
}

static uint32_t text_crc(const char *text, size_t bytes)
{
	return manifest_crc_end(manifest_crc(MANIFEST_CRC_BEGIN, (const uint8_t *)text, bytes));
}

bool manifest_print(const struct manifest *manifest, FILE *to)
{
	char *text = NULL;
	size_t bytes = 0;
	FILE *memory = open_memstream(&text, &bytes);

	if (!memory)
		return false;
	print_lines(manifest, memory);
	if (fclose(memory) != 0) {
		free(text);
		return false;
	}
	fprintf(to, "%send %08x\n", text, text_crc(text, bytes));
	free(text);
	return fflush(to) == 0 && !ferror(to);
}

static bool parse_node(struct manifest *manifest, const char *line)
{
	unsigned int byte;

	if (strncmp(line, "node ", 5) != 0 ||
	    strspn(line + 5, "0123456789abcdef") != 2 * sizeof(manifest->node_id))
		return false;
	for (size_t i = 0; i < sizeof(manifest->node_id); i++) {
		if (sscanf(line + 5 + 2 * i, "%2x", &byte) != 1)
			return false;
		manifest->node_id[i] = (uint8_t)byte;
	}
	return true;
}

static bool within(int value, int least, int most)
{
	return value >= least && value <= most;
}

static bool parse_time(struct manifest *manifest, const char *line)
{
	struct tm tm = {0};
	unsigned int us;

	if (sscanf(line, "time %d-%d-%dT%d:%d:%d.%6uZ", &tm.tm_year, &tm.tm_mon, &tm.tm_mday,
		   &tm.tm_hour, &tm.tm_min, &tm.tm_sec, &us) != 7 ||
	    !within(tm.tm_year, 1970, 9999) || !within(tm.tm_mon, 1, 12) ||
	    !within(tm.tm_mday, 1, 31) || !within(tm.tm_hour, 0, 23) || !within(tm.tm_min, 0, 59) ||
	    !within(tm.tm_sec, 0, 60) || us > 999999)
		return false;
	tm.tm_year -= 1900;
	tm.tm_mon--;
	manifest->wall_us = (uint64_t)timegm(&tm) * 1000000 + us;
	return true;
}

/* Only names that manifest_path() makes: nothing else may become a path. */
static bool parse_file(struct manifest *manifest, const char *line)
{
	struct manifest_file file = {0};
	char path[MANIFEST_PATH_BYTES];
	int name = 0, end = 0;

	if (sscanf(line, "file log-%3u/seg-%8x%n", &file.log, &file.number, &name) == 2 && name) {
		if (file.log >= ABAFT_LOGS_MAX)
			return false;
	} else if (sscanf(line, "file checkpoint-%8x%n", &file.number, &name) == 1 && name) {
		file.log = MANIFEST_CHECKPOINT;
	} else {
		return false;
	}
	manifest_path(path, file.log, file.number);
	if ((size_t)name != 5 + strlen(path) || strncmp(line + 5, path, strlen(path)) != 0)
		return false;
	if (sscanf(line + name, " %" SCNu64 " %8x%n", &file.bytes, &file.crc, &end) != 2 ||
	    line[name + end] != '\0')
		return false;
	return manifest_put(manifest, &file);
}

/* One line after the other; `text` is taken apart. */
static int parse_lines(struct manifest *manifest, char *text)
{
	char *rest = text, *line;

	for (int number = 1; (line = strsep(&rest, "\n")) != NULL && *line; number++) {
		bool good = true;

		/* The first two were looked at before. */
		if (number == 3)
			good = parse_node(manifest, line);
		else if (number == 4)
			good = parse_time(manifest, line);
		else if (number > 4)
			good = parse_file(manifest, line);
		if (!good)
			return -EBADMSG;
	}
	return manifest->wall_us != 0 ? 0 : -EBADMSG;
}

int manifest_parse(struct manifest *manifest, const char *text)
{
	const char *end = strstr(text, "\nend ");
	unsigned int crc;
	char *copy;
	int err;

	memset(manifest, 0, sizeof(*manifest));
	if (strncmp(text, MANIFEST_FIRST, strlen(MANIFEST_FIRST)) != 0)
		return -EBADMSG;
	/* Of another format only this much is known. */
	if (sscanf(text + strlen(MANIFEST_FIRST), "format %u", &crc) == 1 && crc != MANIFEST_FORMAT)
		return -EPROTO;
	if (!end || sscanf(end, "\nend %8x", &crc) != 1 ||
	    crc != text_crc(text, (size_t)(end + 1 - text)))
		return -EBADMSG;
	copy = strndup(text, (size_t)(end + 1 - text));
	if (!copy)
		return -ENOMEM;
	err = parse_lines(manifest, copy);
	free(copy);
	if (err)
		manifest_free(manifest);
	return err;
}

void manifest_free(struct manifest *manifest)
{
	free(manifest->files);
	memset(manifest, 0, sizeof(*manifest));
}
