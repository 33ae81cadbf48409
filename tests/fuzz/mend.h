/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mend.h - gives damaged groups of a log right checksums, so that a fuzzer's changes get behind
 * them.
 */
#ifndef ABAFT_TESTS_MEND_H
#define ABAFT_TESTS_MEND_H

#include <stdbool.h>
#include <stdint.h>

struct mend_log {
	const uint8_t *node_id;
	uint32_t number, segment_blocks;
	bool payload; /* the first record of the group, too */
};

/* If the block of the segment begins like a group it gets what only a real one has: magic, node,
 * log, place and checksums. `blocks`: as many are there. */
void mend_group(const struct mend_log *log, uint8_t *segment, uint32_t number, uint32_t block,
		uint32_t blocks);

#endif
