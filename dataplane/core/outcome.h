/* SPDX-License-Identifier: Apache-2.0 */
/*
 * outcome.h - what became of each transaction id, for exactly-once (promise P6). One table per
 * worker, owner thread only.
 *
 * O1. An id that has an outcome is never executed again.
 * O2. The table is a ring: when it is full the oldest outcome leaves, and the horizon rises to its
 *     id's time. New transactions with ids at or below the horizon are refused (EXPIRED), because
 *     the table can no longer tell whether they ran. So O1 holds for ids that have left, too.
 */
#ifndef ABAFT_CORE_OUTCOME_H
#define ABAFT_CORE_OUTCOME_H

#include <stdbool.h>
#include <stdint.h>

#include "dataplane/core/hlc.h"
#include "dataplane/core/mapper.h"

enum outcome_state {
	OUTCOME_COMMITTED = 1,
	OUTCOME_ABORTED = 2,
};

struct outcome {
	uint8_t id[16];
	struct vnum number; /* of the commit; {0, 0} when it wrote nothing */
	uint32_t next;	    /* in its hash chain, index + 1 */
	uint8_t state;
};

struct outcome_table {
	struct outcome *ring;
	uint32_t *heads; /* index + 1, 0 = empty */
	uint64_t seed;
	uint32_t size, mask;
	uint32_t first, count;
	uint64_t horizon_ms;
	uint64_t evicted;
};

/* 0, -EINVAL or -ENOMEM. */
int outcome_init(struct outcome_table *table, const struct mapper *mapper, uint32_t size,
		 uint64_t seed);
void outcome_fini(struct outcome_table *table, const struct mapper *mapper);
void outcome_prefetch(const struct outcome_table *table, const uint8_t id[16]);
const struct outcome *outcome_find(const struct outcome_table *table, const uint8_t id[16]);
/* The id has no outcome yet. Cannot fail. */
void outcome_add(struct outcome_table *table, const uint8_t id[16], enum outcome_state state,
		 struct vnum number);

#endif
