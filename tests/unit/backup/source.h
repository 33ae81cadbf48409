/* SPDX-License-Identifier: Apache-2.0 */
/*
 * source.h - a data directory for tests of backups: real logs with commits of chosen times.
 */
#ifndef ABAFT_TESTS_UNIT_BACKUP_SOURCE_H
#define ABAFT_TESTS_UNIT_BACKUP_SOURCE_H

#include <stdint.h>

#include "dataplane/log/datadir.h"
#include "dataplane/log/log.h"

#define SOURCE_SEGMENT_BYTES (8u << 20)

/* Makes a data directory (and its parent) with no log yet, and holds its lock. */
void source_make(struct datadir *dir, const char *path);
/* Opens log `number`, recovering what is there. */
struct log *source_log(const struct datadir *dir, uint32_t number);
/* One commit of one key with a value of `bytes`; its time is its version's. Several that come
 * before source_write() stand in one group. */
void source_commit(struct log *log, uint64_t time, uint32_t bytes);
/* One group of what was committed, durable. */
void source_write(struct log *log);
/* The highest time of log `number` in the directory at `path`, and how many commits it has. */
uint64_t source_last(const struct datadir *dir, const char *path, uint32_t number, uint32_t *count);
/* Turns over one bit of a file. */
void source_flip(const char *dir, const char *name, uint64_t byte);

#endif
