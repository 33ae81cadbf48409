/* SPDX-License-Identifier: Apache-2.0 */
/*
 * manifest.h - the text file `backup` in a backup: whose it is, of when, and each file with its
 * length and CRC32C. It is written last, so a backup without it is none.
 *
 *	abaft backup
 *	format 1
 *	node NODE ID
 *	time 2026-01-31T23:59:59.123456Z
 *	file log-000/seg-00000000 67108864 89abcdef
 *	...
 *	end CRC32C OF ALL LINES ABOVE
 *
 * Text in, text out; no files here but the one it is written to.
 */
#ifndef ABAFT_TOOLS_BACKUP_MANIFEST_H
#define ABAFT_TOOLS_BACKUP_MANIFEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define MANIFEST_FILE	    "backup"
#define MANIFEST_PATH_BYTES 40
/* The number that stands for "no log": a checkpoint. */
#define MANIFEST_CHECKPOINT UINT32_MAX

/* A segment of a log, or a checkpoint. */
struct manifest_file {
	uint32_t log; /* or MANIFEST_CHECKPOINT */
	uint32_t number;
	uint64_t bytes;
	uint32_t crc;
};

struct manifest {
	uint8_t node_id[16];
	uint64_t wall_us; /* what was committed up to then is in it */
	struct manifest_file *files;
	size_t count, room;
};

/* Puts a file there, or in place of the one of that name. False: out of memory. */
bool manifest_put(struct manifest *manifest, const struct manifest_file *file);
void manifest_drop(struct manifest *manifest, uint32_t log, uint32_t number);
/* NULL: not there. */
const struct manifest_file *manifest_find(const struct manifest *manifest, uint32_t log,
					  uint32_t number);
uint64_t manifest_bytes(const struct manifest *manifest);
void manifest_path(char path[MANIFEST_PATH_BYTES], uint32_t log, uint32_t number);
void manifest_time(const struct manifest *manifest, char *text, size_t bytes);
/* False: memory or the file gave out. */
bool manifest_print(const struct manifest *manifest, FILE *to);
/* 0, -EBADMSG (damaged, cut short or no such file), -EPROTO (another format), -ENOMEM. */
int manifest_parse(struct manifest *manifest, const char *text) __attribute__((warn_unused_result));
void manifest_free(struct manifest *manifest);

/* CRC32C of what comes in pieces: begin with MANIFEST_CRC_BEGIN, end with manifest_crc_end(). */
#define MANIFEST_CRC_BEGIN UINT32_MAX
uint32_t manifest_crc(uint32_t crc, const uint8_t *data, size_t bytes);
static inline uint32_t manifest_crc_end(uint32_t crc)
{
	return ~crc;
}

#endif
