/* SPDX-License-Identifier: Apache-2.0 */
/*
 * reader.h - reads bytes of any segment of the shelf without waiting: a log's cold reads.
 *
 * A part of the log: log.c calls it, in the log's owner thread only. It queues what is wanted,
 * makes device reads of it (logdev.h's fetch), and copies what came to where it is wanted. It never
 * calls the device's submit, poll or wait. Nothing is allocated after reader_create().
 */
#ifndef ABAFT_LOG_READER_H
#define ABAFT_LOG_READER_H

#include <stdint.h>

#include "dataplane/log/log.h"
#include "dataplane/log/logdev.h"

struct reader;
struct shelf;

/* Over a device that was started. Both outlive the reader. 0, -ENOMEM, or what the device said. */
int reader_create(struct reader **out, struct logdev *dev, struct shelf *shelf)
	__attribute__((warn_unused_result));
/* Gives back every segment that it holds. The device reads into no buffer any more. */
void reader_destroy(struct reader *reader);

/* As log_read(), log_read_done(). */
int reader_want(struct reader *reader, const struct log_read *read)
	__attribute__((warn_unused_result));
uint32_t reader_done(struct reader *reader, struct log_read_done *done, uint32_t max);

/* Queues device reads for what is wanted, as many as may be in flight. */
void reader_start(struct reader *reader);
/* From now on reader_start() does nothing: the log is being closed. */
void reader_stop(struct reader *reader);
/* A device read has ended. */
void reader_take(struct reader *reader, const struct logdev_done *done);
/* Device reads that were queued and have not ended. */
uint32_t reader_in_device(const struct reader *reader);
/* Its part of log_stats(). */
void reader_stats(const struct reader *reader, struct log_stats *out);

#endif
