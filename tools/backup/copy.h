/* SPDX-License-Identifier: Apache-2.0 */
/*
 * copy.h - whole files from one directory to another, summed on the way, and durable when they are
 * there. Names are relative to a directory's descriptor. Errors are negative errnos.
 */
#ifndef ABAFT_TOOLS_BACKUP_COPY_H
#define ABAFT_TOOLS_BACKUP_COPY_H

#include <stdint.h>

/* For reading past the page cache where the file system can. A descriptor or an error. */
int copy_open(int dir_fd, const char *name) __attribute__((warn_unused_result));
/* All of `from` into a new file, synced. *bytes and *crc (manifest.h) are those that were read. */
int copy_file(int from, int to_dir, const char *to_name, uint64_t *bytes, uint32_t *crc)
	__attribute__((warn_unused_result));
/* Length and sum of a file that is there. */
int copy_sum(int dir_fd, const char *name, uint64_t *bytes, uint32_t *crc)
	__attribute__((warn_unused_result));
int copy_sync_dir(int dir_fd, const char *name) __attribute__((warn_unused_result));
/* The target of a backup or restore: made, or there and empty. Its descriptor, or -ENOTEMPTY or
 * another error. */
int copy_target(const char *path) __attribute__((warn_unused_result));
/* Takes away all that is in it, and it. Best effort, after a failure. */
void copy_remove(const char *path);

#endif
