/* SPDX-License-Identifier: Apache-2.0 */
/*
 * story.h - a witness told so that a person can follow it: who wrote what, who read what, in order.
 *
 * Transactions get short names, T1, T2, ..., in the order in which they appear; story_who() says
 * which they are.
 */
#ifndef ABAFT_TOOLS_HISTORY_STORY_H
#define ABAFT_TOOLS_HISTORY_STORY_H

#include "tools/history/model.h"

#define STORY_STEPS_MAX 26
#define STORY_TEXT_MAX	512

struct story {
	uint32_t txns[2 * STORY_STEPS_MAX]; /* T1 is txns[0] */
	uint32_t txn_count;
	char steps[STORY_STEPS_MAX][STORY_TEXT_MAX]; /* a sentence each */
	uint32_t count;
};

/* After check_judge(). */
void story_tell(const struct check *check, const struct check_witness *witness,
		struct story *story);
/* "00000000-... of client c, committed, version 10.1, FILE:LINE" of the n-th named transaction. */
void story_who(const struct check *check, const struct story *story, uint32_t n,
	       char text[STORY_TEXT_MAX]);

#endif
