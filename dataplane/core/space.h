/* SPDX-License-Identifier: Apache-2.0 */
/*
 * space.h - live bytes of each segment: what the cleaner chooses its victims by.
 *
 * A write is live from the moment its commit becomes visible until its version leaves the index.
 * Counters are a ring by segment number: no more than ABAFT_LOG_SEGMENTS_MAX numbers of a log are
 * in use at a time. Any thread; relaxed: exact when nobody is in the middle of a change.
 */
#ifndef ABAFT_CORE_SPACE_H
#define ABAFT_CORE_SPACE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <abaft/limits.h>

#include "dataplane/core/mapper.h"
#include "dataplane/core/place.h"
#include "dataplane/core/record.h"

struct space {
	struct space_log {
		_Atomic uint64_t *live;	 /* NULL: not counted */
		_Atomic uint32_t counts; /* of the ring, that were ever in use: the first ones */
	} log[ABAFT_LOGS_MAX];
	void *memory; /* of all rings */
	uint64_t memory_bytes;
};

/* Counters for logs 0 to logs - 1 and the kept log. 0 or -ENOMEM. */
int space_init(struct space *space, const struct mapper *mapper, uint32_t logs)
	__attribute__((warn_unused_result));
void space_fini(struct space *space, const struct mapper *mapper);

/* What a write takes in a record: what is added when it becomes live and taken off when it dies. */
static inline uint32_t space_bytes(uint32_t key_bytes, uint32_t value_bytes)
{
	return RECORD_WRITE_BYTES + key_bytes + value_bytes;
}

/* PLACE_NONE is allowed, and counts nowhere. `bytes` may be of several writes of one segment. */
void space_add(struct space *space, uint64_t place, uint32_t bytes);
void space_sub(struct space *space, uint64_t place, uint32_t bytes);
/* 0 for what is not counted, too: see space_counts(). */
uint64_t space_live(const struct space *space, uint32_t log, uint32_t segment);
bool space_counts(const struct space *space, uint32_t log);
/* Of all segments of all logs. A walk over the counters: not for the data path. */
uint64_t space_total(const struct space *space);

#endif
