/* SPDX-License-Identifier: Apache-2.0 */
/*
 * examine.h - looks through the segments that a restart does not read: those before a mark.
 *
 * For `abaft log verify` and `dump`. Recovery refuses the first thing that is wrong; this one goes
 * on behind it, as far as anything can be made out, and tells each piece of damage. Writes nothing.
 */
#ifndef ABAFT_LOG_EXAMINE_H
#define ABAFT_LOG_EXAMINE_H

#include <stddef.h>
#include <stdint.h>

#include "dataplane/log/log.h"
#include "dataplane/log/logdev.h"
#include "dataplane/log/recover.h"

struct examine_damage {
	uint32_t segment;
	uint64_t offset; /* where the first group that is affected stands, or should */
	/* What is affected, from first to last; 0: not known. */
	uint64_t group_first, group_last;
	uint64_t record_first, record_last;
	const char *what; /* a sentence's end */
};

struct examine_visitor {
	/* Of each whole group. */
	struct recover_visitor whole;
	/* Non-zero stops and is returned. */
	int (*damage)(void *arg, const struct examine_damage *damage);
	void *arg; /* of damage */
};

/*
 * All segments that are there from the lowest number up to the mark, each group by group: 0 also
 * when there was damage. `segments`: how many there are before the mark's. -ENOENT: there is no
 * such log.
 */
int examine(struct logdev *dev, const struct log_config *config, const struct log_mark *mark,
	    const struct examine_visitor *visitor, uint32_t *segments, char *why, size_t why_bytes)
	__attribute__((warn_unused_result));

#endif
