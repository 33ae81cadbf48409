/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fetch.h - values on their way back from disk, and the requests that wait for them. One table per
 * worker, its thread only.
 *
 *	request ──needs a cold value──▶ parked ──all its values are here──▶ executed, as if it came
 *now value:  READING ──log says done──▶ HERE (or FAILED) ──its last waiting request ran──▶ free
 *
 * F1. A request is parked before it has executed any operation: only its choice of versions has
 *     been noted in the read set, and reading repeats (P3). So executing it later is no repetition.
 * F2. A fetched value stays with the fetch until every request that waited for it has run: what is
 *     evicted meanwhile cannot make a request wait twice.
 * F3. A fetch names its version by address and number, and never follows the pointer: the version
 *     may be gone when the read ends. Who holds the version in its read set compares both.
 * F4. A value that fails its checksum is read once more at the version's place of then (cleaning
 *     may have moved it); if it fails again it is CORRUPT, and is never served.
 * F5. A request waits ABAFT_FETCH_MS_MAX at most; then it is answered READ_FAILED. The fetch and
 *     its memory stay until the device gives them back.
 */
#ifndef ABAFT_CORE_FETCH_H
#define ABAFT_CORE_FETCH_H

#include <stdbool.h>
#include <stdint.h>

#include <abaft/limits.h>

#include "dataplane/core/mapper.h"
#include "dataplane/core/memory.h"
#include "dataplane/core/node.h"
#include "dataplane/core/version.h"

struct fetch_table;

/* 0 or -ENOMEM. */
int fetch_init(struct fetch_table **out, const struct mapper *mapper)
	__attribute__((warn_unused_result));
void fetch_fini(struct fetch_table *table, const struct mapper *mapper);

/* What became of a version's value. */
enum fetch_state {
	FETCH_NONE, /* nobody asked */
	FETCH_READING,
	FETCH_HERE,
	FETCH_FAILED,  /* the device said an error */
	FETCH_CORRUPT, /* F4 */
};

#endif
