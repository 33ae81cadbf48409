/* SPDX-License-Identifier: Apache-2.0 */
/*
 * repair.h - makes a damaged log one that recovery accepts, without moving anything.
 *
 * Bytes in, bytes out: edits the segments in place, which are a copy's, in memory or mapped. What
 * is damaged becomes records of type LOG_RECORD_LOST, so that every other record keeps its sequence
 * and its place, and checkpoints stay valid. For `abaft log repair` and the tests. No thread, no
 * files.
 *
 * P1. Only what was durable is repaired: groups before the mark, and those that a whole header
 * behind them says were (recover.c, R2). Where nothing says so the log ends, and nothing is
 * touched. P2. What stays is as it was: a whole record keeps sequence, place and bytes; a group
 * whose header is whole keeps the header's checksum, and one that is put in the place of lost ones
 * gets the checksum that its successor asks for, by the header's last four unused bytes. So the
 *     chain holds, and nothing behind the damage, nor a mark, is rewritten.
 * P3. Each lost record is told once.
 * P4. What cannot be repaired by these rules is refused.
 */
#ifndef ABAFT_LOG_REPAIR_H
#define ABAFT_LOG_REPAIR_H

#include <stddef.h>
#include <stdint.h>

#include "dataplane/log/log.h"

struct repair_segment {
	uint8_t *data; /* as long as the file, at a multiple of 8 */
	uint64_t bytes;
	uint32_t number;
};

struct repair_loss {
	uint32_t from_segment, to_segment;
	uint64_t from, to; /* bytes in them: from the first that is affected to behind the last */
	/* First 0: not known, up to last. Of records both 0: none. */
	uint64_t group_first, group_last;
	uint64_t record_first, record_last;
	const char *what; /* a sentence's end */
};

struct repair_stats {
	uint64_t mended; /* places that were rewritten; 0: nothing was */
	uint64_t losses, records;
};

struct repair {
	const struct log_config *config; /* number and node_id, and dir for sentences */
	const struct log_mark *mark;	 /* NULL, or its group 0: from the beginning */
	/* By number, ascending. From the mark's on, or from 0, all must be there: whoever calls
	 * puts zeros in the place of one that is missing. */
	struct repair_segment *segments;
	uint32_t count;
	/* May be NULL. */
	void (*loss)(void *arg, const struct repair_loss *loss);
	void *arg;
	struct repair_stats stats; /* out */
};

/*
 * 0: recovery from this mark accepts it now. -EBADMSG with a sentence: it cannot be repaired, and
 * the bytes are of no use any more. -ENOMEM.
 */
int repair_log(struct repair *repair, char *why, size_t why_bytes)
	__attribute__((warn_unused_result));

#endif
