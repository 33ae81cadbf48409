/* SPDX-License-Identifier: Apache-2.0 */
/*
 * filedev.h - the seam between checkpoints and a disk: numbered files that are written once, front
 * to back, and are there wholly or not at all.
 *
 * checkpoint.c runs unchanged over filedev_dir.c (checkpoint-XXXXXXXX in the data directory) and
 * over the simulated disk. One thread at a time. Errors are negative errnos.
 *
 * I1. A file has its name only after finish() has synced its bytes; a crash before leaves none.
 * I2. After that the disk may still lie: lose, tear, or flip what it said it had. Readers check.
 */
#ifndef ABAFT_LOG_FILEDEV_H
#define ABAFT_LOG_FILEDEV_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct filedev;

struct filedev_ops {
	/* Numbers in any order; as logdev's list. */
	int (*list)(struct filedev *dev, uint32_t *numbers, size_t max);
	/* A new file, nameless yet. One at a time; what earlier ones left nameless goes. */
	int (*create)(struct filedev *dev, uint32_t number);
	/* Whole blocks, aligned memory; may block for as long as the disk does. */
	int (*append)(struct filedev *dev, const uint8_t *data, size_t bytes);
	/* One of them ends what create() began. finish: I1; when it fails there is no such file,
	 * unless the disk cannot even take a name back. */
	int (*finish)(struct filedev *dev);
	void (*abandon)(struct filedev *dev);
	/* A handle, and how long it is. read: whole blocks into aligned memory; returns the bytes
	 * read, fewer only at the end. */
	int (*open)(struct filedev *dev, uint32_t number, uint64_t *bytes);
	ssize_t (*read)(struct filedev *dev, int handle, uint8_t *to, size_t bytes,
			uint64_t offset);
	void (*close)(struct filedev *dev, int handle);
	int (*remove)(struct filedev *dev, uint32_t number);
	void (*destroy)(struct filedev *dev);
};

struct filedev {
	const struct filedev_ops *ops;
};

/* Checkpoints of the data directory `dir`. `why` gets a sentence. */
int filedev_dir_create(struct filedev **out, const char *dir, char *why, size_t why_bytes)
	__attribute__((warn_unused_result));

#endif
