/* SPDX-License-Identifier: Apache-2.0 */
/* keeper_bed_impl.h - what keeper_bed.c and keeper_bed_client.c share. */
#ifndef ABAFT_TESTS_KEEPER_BED_IMPL_H
#define ABAFT_TESTS_KEEPER_BED_IMPL_H

#include <stdio.h>
#include <stdlib.h>

#include "tests/lib/keeper_bed.h"

static inline void must(bool ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "keeper_bed: %s\n", what);
	abort();
}

static inline uint64_t roll(struct keeper_bed *bed, uint64_t limit)
{
	return sim_random(&bed->random, limit);
}

/* The bed's own clients: node_done_fn, node_again_fn. */
void keeper_bed_done(void *arg, void *token, const uint8_t *result, uint32_t at, uint32_t bytes);
void keeper_bed_again(void *arg, void *token);

#endif
