/* SPDX-License-Identifier: Apache-2.0 */
/* engine_fake_impl.h - the objects of engine_fake.h, in the order of their names. */
#ifndef ABAFT_TESTS_ENGINE_FAKE_IMPL_H
#define ABAFT_TESTS_ENGINE_FAKE_IMPL_H

#include <stdio.h>
#include <stdlib.h>

#include "tests/lib/engine_fake.h"

struct object {
	struct engine_name name;
	bool phantom; /* lists show it, but it is not there */
	uint32_t bytes;
	uint8_t data[];
};

struct objects {
	struct object **at;
	uint32_t count, room;
};

static inline void must(bool ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "engine_fake: %s\n", what);
	abort();
}

int object_compare(const struct engine_name *a, const struct engine_name *b);
/* The first that is not before `name`. */
uint32_t objects_position(const struct objects *objects, const struct engine_name *name);
/* NULL: it is not there, or a phantom. */
struct object *objects_find(const struct objects *objects, const struct engine_name *name);
void objects_erase(struct objects *objects, const struct engine_name *name);
void objects_set(struct objects *objects, const struct engine_name *name, const uint8_t *data,
		 uint32_t bytes);
void objects_haunt(struct objects *objects, const struct engine_name *name);
void objects_free(struct objects *objects);
/* Of the storage. */
struct objects *fake_objects(const struct fake_store *store);

#endif
