/* SPDX-License-Identifier: Apache-2.0 */
/*
 * world.h - small random histories as structs that never were text, for tests that compare.
 *
 * Mostly consistent (reads take what a version order gives) with random lies, so that clean ones,
 * dirty ones and near misses all occur. No two things happen at the same time.
 */
#ifndef ABAFT_TESTS_UNIT_HISTORY_WORLD_H
#define ABAFT_TESTS_UNIT_HISTORY_WORLD_H

#include <stdio.h>

#include "tools/history/model.h"
#include "tools/load/zipf.h"

enum { KEYS = 3, TXNS = 6, OPS = 5 };

struct op {
	char kind;
	int key;
	int writer; /* r: -1 = none */
	int seq;    /* w, d: its own; r: of the write that was read */
};

struct txn {
	enum history_outcome outcome;
	int version; /* 10, 20, .. even if it did not commit */
	int start, end;
	int count;
	struct op op[OPS];
};

struct world {
	struct txn txn[TXNS];
	struct op final[KEYS]; /* reads */
	bool with_final;
	bool versions; /* told, or only by times */
	bool bare;     /* neither is told */
};

void world_make(struct world *world, struct zipf_random *random);
/* In the format of docs/history.md. */
void world_print(const struct world *world, FILE *file);
/* Microseconds at which a write was made, for stores without versions; 0 in bare worlds. */
int world_write_time(const struct world *world, int txn, int seq);
bool world_may_be_visible(const struct txn *txn);
/* Last write of a key, or NULL. */
const struct op *world_last_write(const struct txn *txn, int key);

#endif
