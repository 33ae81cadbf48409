/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bed.h - for tests of a whole engine: operations of one item in a line each, data that follows
 * from a name, and directories that nobody else uses and that are empty again at the end.
 */
#ifndef ABAFT_TESTS_ENGINE_BED_H
#define ABAFT_TESTS_ENGINE_BED_H

#include "dataplane/engine/engine.h"

/* An operation that has not ended by then fails. */
#define BED_CALL_US 60000000u
#define BED_DIRS    64

struct bed {
	struct engine *engine;
	struct engine_channel *channel; /* the main thread's */
	const struct engine_caps *caps;
	char run[12]; /* begins the names of this run's directories */
	char dirs[BED_DIRS][ENGINE_DIR_BYTES];
	uint32_t dirs_count;
};

/* Ends the program when that fails. `credentials` may be NULL. */
void bed_open(struct bed *bed, const char *url, const char *credentials);
/* Removes all that is in the directories, and closes. How many objects would not go. */
uint32_t bed_close(struct bed *bed);

/* A new directory's name, which ends in `what`. */
const char *bed_dir(struct bed *bed, const char *what);
uint64_t bed_until(void);

/* Random bytes, the same for the same seed. */
void bed_fill(uint8_t *to, uint32_t bytes, uint64_t seed);
void bed_name(struct engine_name *name, const char *dir, const char *leaf);

/* One item; the operation's result. Each by any thread with its own channel. */
int bed_put(struct engine_channel *channel, enum engine_verb verb, const char *dir,
	    const char *leaf, const void *data, uint32_t bytes);
int bed_get(struct engine_channel *channel, const char *dir, const char *leaf, uint32_t offset,
	    void *to, uint32_t bytes, uint32_t *got);
int bed_delete(struct engine_channel *channel, const char *dir, const char *leaf);
int bed_list(struct engine_channel *channel, struct engine_list *list);
/* Of many items. */
int bed_items(struct engine_channel *channel, enum engine_verb verb, struct engine_item *items,
	      uint32_t count);

#endif
