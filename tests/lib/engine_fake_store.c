/* SPDX-License-Identifier: Apache-2.0 */
/* engine_fake_store.c - what the storage of engine_fake.h holds. Out of memory aborts. */
#include <string.h>

#include "tests/lib/engine_fake_impl.h"

int object_compare(const struct engine_name *a, const struct engine_name *b)
{
	int order = strcmp(a->dir, b->dir);

	return order ? order : strcmp(a->leaf, b->leaf);
}

uint32_t objects_position(const struct objects *objects, const struct engine_name *name)
{
	uint32_t low = 0, high = objects->count;

	while (low < high) {
		uint32_t middle = (low + high) / 2;

		if (object_compare(&objects->at[middle]->name, name) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static struct object *find_any(const struct objects *objects, const struct engine_name *name)
{
	uint32_t at = objects_position(objects, name);

	return at < objects->count && object_compare(&objects->at[at]->name, name) == 0
		       ? objects->at[at]
		       : NULL;
}

struct object *objects_find(const struct objects *objects, const struct engine_name *name)
{
	struct object *object = find_any(objects, name);

	return object && !object->phantom ? object : NULL;
}

void objects_erase(struct objects *objects, const struct engine_name *name)
{
	uint32_t at = objects_position(objects, name);

	if (!find_any(objects, name))
		return;
	free(objects->at[at]);
	objects->count--;
	memmove(&objects->at[at], &objects->at[at + 1],
		(objects->count - at) * sizeof(*objects->at));
}

void objects_set(struct objects *objects, const struct engine_name *name, const uint8_t *data,
		 uint32_t bytes)
{
	struct object *object = malloc(sizeof(*object) + bytes + 1);
	uint32_t at;

	must(object, "no memory");
	object->name = *name;
	object->phantom = false;
	object->bytes = bytes;
	if (bytes > 0)
		memcpy(object->data, data, bytes);
	objects_erase(objects, name);
	at = objects_position(objects, name);
	if (objects->count == objects->room) {
		objects->room = objects->room * 2 + 64;
		objects->at = reallocarray(objects->at, objects->room, sizeof(*objects->at));
		must(objects->at, "no memory");
	}
	memmove(&objects->at[at + 1], &objects->at[at],
		(objects->count - at) * sizeof(*objects->at));
	objects->at[at] = object;
	objects->count++;
}

void objects_haunt(struct objects *objects, const struct engine_name *name)
{
	if (find_any(objects, name))
		return;
	objects_set(objects, name, NULL, 0);
	find_any(objects, name)->phantom = true;
}

void objects_free(struct objects *objects)
{
	for (uint32_t i = 0; i < objects->count; i++)
		free(objects->at[i]);
	free(objects->at);
}

static struct engine_name name_of(const char *dir, const char *leaf)
{
	struct engine_name name;

	snprintf(name.dir, sizeof(name.dir), "%s", dir);
	snprintf(name.leaf, sizeof(name.leaf), "%s", leaf);
	return name;
}

const uint8_t *fake_store_find(const struct fake_store *store, const char *dir, const char *leaf,
			       uint32_t *bytes)
{
	const struct engine_name name = name_of(dir, leaf);
	const struct object *there = objects_find(fake_objects(store), &name);

	if (there && bytes)
		*bytes = there->bytes;
	return there ? there->data : NULL;
}

uint32_t fake_store_count(const struct fake_store *store, const char *dir_begins)
{
	const struct objects *objects = fake_objects(store);
	size_t bytes = dir_begins ? strlen(dir_begins) : 0;
	uint32_t count = 0;

	for (uint32_t i = 0; i < objects->count; i++)
		count +=
			strncmp(objects->at[i]->name.dir, dir_begins ? dir_begins : "", bytes) == 0;
	return count;
}

void fake_store_put(struct fake_store *store, const char *dir, const char *leaf,
		    const uint8_t *data, uint32_t bytes)
{
	const struct engine_name name = name_of(dir, leaf);

	objects_set(fake_objects(store), &name, data, bytes);
}

void fake_store_erase(struct fake_store *store, const char *dir, const char *leaf)
{
	const struct engine_name name = name_of(dir, leaf);

	objects_erase(fake_objects(store), &name);
}

bool fake_store_at(const struct fake_store *store, uint32_t i, struct engine_name *name,
		   uint32_t *bytes)
{
	const struct objects *objects = fake_objects(store);

	if (i >= objects->count)
		return false;
	*name = objects->at[i]->name;
	*bytes = objects->at[i]->bytes;
	return true;
}
