/* SPDX-License-Identifier: Apache-2.0 */
/*
 * keeper_bed_remote.h - a keeper bed over a storage engine (engine_fake.h) in the place of disks.
 *
 * Several beds over one storage are nodes that do not know of each other. All in one thread.
 */
#ifndef ABAFT_TESTS_KEEPER_BED_REMOTE_H
#define ABAFT_TESTS_KEEPER_BED_REMOTE_H

#include "dataplane/remote/remote.h"
#include "tests/lib/engine_fake.h"
#include "tests/lib/keeper_bed.h"

struct keeper_bed_remote {
	struct fake_store *store;
	uint32_t writers; /* processes so far, of this bed */
	uint32_t number;  /* of the bed */
	struct engine *engine;
	struct remote *remote;
	struct filedev *files;
};

/* The bed's devices from now on. `number`: another one for each bed over a storage. */
void keeper_bed_remote(struct keeper_bed_remote *over, struct keeper_bed *bed,
		       struct fake_store *store, uint32_t number);

#endif
