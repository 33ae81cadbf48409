/* SPDX-License-Identifier: Apache-2.0 */
/*
 * direct.h - files that bypass the page cache: what the two real devices (logdev_uring.c,
 * filedev_dir.c) and a backup ask of the operating system in the same way. Any thread. Errors are
 * negative errnos.
 */
#ifndef ABAFT_LOG_DIRECT_H
#define ABAFT_LOG_DIRECT_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* As openat() with O_DIRECT and O_CLOEXEC; without O_DIRECT where the file system knows none: that
 * is slower, not wrong. A descriptor. */
int direct_open(int dir_fd, const char *name, int flags) __attribute__((warn_unused_result));
/* The file's length, if `fd` is one: as it is passed through, negative or not, closed on error. */
int direct_length(int fd, uint64_t *bytes) __attribute__((warn_unused_result));
/* Aligned. Returns the bytes read: fewer only at the end. */
ssize_t direct_read(int fd, uint8_t *to, size_t bytes, uint64_t offset)
	__attribute__((warn_unused_result));
/* Numbers of the directory's files whose names `parse` takes (0), in any order. Returns how many,
 * -E2BIG when there are more than `max`. */
int direct_list(int dir_fd, int (*parse)(const char *name, uint32_t *number), uint32_t *numbers,
		size_t max) __attribute__((warn_unused_result));

#endif
