/* SPDX-License-Identifier: Apache-2.0 */
/*
 * memory_store.c - directories in a hash, objects in each by a sorted array: most are added at its
 * end and removed at its front.
 */
#include "dataplane/engine/memory_store.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static pthread_mutex_t named_lock = PTHREAD_MUTEX_INITIALIZER;
static struct memory_store *named;

static struct memory_store *store_create(const char *name)
{
	struct memory_store *store = calloc(1, sizeof(*store));

	if (store == NULL)
		return NULL;
	snprintf(store->name, sizeof(store->name), "%s", name);
	pthread_mutex_init(&store->lock, NULL);
	memory_faults_none(&store->faults);
	return store;
}

static void store_free(struct memory_store *store)
{
	for (uint32_t i = 0; i < MEMORY_DIR_HASHES; i++) {
		for (struct memory_dir *next, *dir = store->dirs[i]; dir != NULL; dir = next) {
			next = dir->next;
			for (uint32_t j = 0; j < dir->count; j++)
				free(dir->objects[j]);
			free(dir->objects);
			free(dir);
		}
	}
	for (struct memory_late *next, *late = store->late; late != NULL; late = next) {
		next = late->next;
		free(late);
	}
	pthread_mutex_destroy(&store->lock);
	free(store);
}

struct memory_store *memory_store_hold(const char *name)
{
	struct memory_store *store = NULL;

	pthread_mutex_lock(&named_lock);
	if (name[0] != '\0')
		for (store = named; store != NULL && strcmp(store->name, name) != 0;)
			store = store->next;
	if (store == NULL) {
		store = store_create(name);
		if (store != NULL && name[0] != '\0') {
			store->next = named;
			named = store;
		}
	}
	if (store != NULL)
		store->held++;
	pthread_mutex_unlock(&named_lock);
	return store;
}

void memory_store_release(struct memory_store *store)
{
	bool last;

	pthread_mutex_lock(&named_lock);
	last = --store->held == 0;
	if (last)
		for (struct memory_store **at = &named; *at != NULL; at = &(*at)->next)
			if (*at == store) {
				*at = store->next;
				break;
			}
	pthread_mutex_unlock(&named_lock);
	if (last)
		store_free(store);
}

int memory_store_options(struct memory_store *store, const char *options, char *why)
{
	int err;

	pthread_mutex_lock(&store->lock);
	err = memory_faults_set(store, options, engine_now_us(), why);
	pthread_mutex_unlock(&store->lock);
	return err;
}

uint64_t memory_store_objects(struct memory_store *store)
{
	uint64_t objects;

	pthread_mutex_lock(&store->lock);
	objects = store->objects;
	pthread_mutex_unlock(&store->lock);
	return objects;
}

uint64_t memory_store_bytes(struct memory_store *store)
{
	uint64_t bytes;

	pthread_mutex_lock(&store->lock);
	bytes = store->bytes;
	pthread_mutex_unlock(&store->lock);
	return bytes;
}

static struct memory_dir **dir_find(struct memory_store *store, const char *name)
{
	uint32_t hash = 2166136261u; /* FNV-1a */
	struct memory_dir **at;

	for (const char *c = name; *c != '\0'; c++)
		hash = (hash ^ (uint8_t)*c) * 16777619u;
	at = &store->dirs[hash % MEMORY_DIR_HASHES];
	while (*at != NULL && strcmp((*at)->name, name) != 0)
		at = &(*at)->next;
	return at;
}

/* Where the leaf stands, or would. */
static uint32_t leaf_find(const struct memory_dir *dir, const char *leaf, bool *there)
{
	uint32_t low = 0, high = dir->count;

	*there = false;
	while (low < high) {
		uint32_t middle = low + (high - low) / 2;
		int order = strcmp(dir->objects[middle]->leaf, leaf);

		if (order == 0) {
			*there = true;
			return middle;
		}
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static int dir_insert(struct memory_dir *dir, uint32_t at, struct memory_object *object)
{
	if (dir->count == dir->room) {
		uint32_t room = dir->room > 0 ? 2 * dir->room : 16;
		struct memory_object **grown = realloc(dir->objects, room * sizeof(*grown));

		if (grown == NULL)
			return -ENOMEM;
		dir->objects = grown;
		dir->room = room;
	}
	memmove(dir->objects + at + 1, dir->objects + at,
		(dir->count - at) * sizeof(struct memory_object *));
	dir->objects[at] = object;
	dir->count++;
	return 0;
}

static struct memory_object *object_create(const char *leaf, const uint8_t *data, uint32_t bytes,
					   uint64_t now_us)
{
	struct memory_object *object = malloc(sizeof(*object) + bytes);

	if (object == NULL)
		return NULL;
	memset(object->leaf, 0, sizeof(object->leaf));
	snprintf(object->leaf, sizeof(object->leaf), "%s", leaf);
	object->bytes = bytes;
	object->written_us = now_us;
	if (bytes > 0)
		memcpy(object->data, data, bytes);
	return object;
}

static struct memory_dir *dir_get(struct memory_store *store, const char *name)
{
	struct memory_dir **at = dir_find(store, name);

	if (*at == NULL) {
		*at = calloc(1, sizeof(**at));
		if (*at != NULL)
			snprintf((*at)->name, sizeof((*at)->name), "%s", name);
	}
	return *at;
}

int memory_put(struct memory_store *store, enum engine_verb verb, const struct engine_name *name,
	       const uint8_t *data, uint32_t bytes, uint64_t now_us)
{
	struct memory_dir *dir = dir_get(store, name->dir);
	struct memory_object *object;
	uint32_t at;
	bool there;

	if (dir == NULL)
		return -ENOMEM;
	at = leaf_find(dir, name->leaf, &there);
	if (there && verb == ENGINE_PUT_NEW && store->faults.conditional)
		return -EEXIST;
	if (store->faults.full_bytes != 0 && store->bytes + bytes > store->faults.full_bytes)
		return -ENOSPC;
	object = object_create(name->leaf, data, bytes, now_us);
	if (object == NULL)
		return -ENOMEM;
	if (there) {
		store->bytes -= dir->objects[at]->bytes;
		object->written_us = dir->objects[at]->written_us;
		free(dir->objects[at]);
		dir->objects[at] = object;
	} else if (dir_insert(dir, at, object) != 0) {
		free(object);
		return -ENOMEM;
	} else {
		store->objects++;
	}
	store->bytes += bytes;
	return 0;
}

void memory_remove(struct memory_store *store, const struct engine_name *name)
{
	struct memory_dir **slot = dir_find(store, name->dir), *dir = *slot;
	uint32_t at;
	bool there;

	if (dir == NULL)
		return;
	at = leaf_find(dir, name->leaf, &there);
	if (there) {
		store->objects--;
		store->bytes -= dir->objects[at]->bytes;
		free(dir->objects[at]);
		dir->count--;
		memmove(dir->objects + at, dir->objects + at + 1,
			(dir->count - at) * sizeof(struct memory_object *));
	}
	if (dir->count == 0) {
		*slot = dir->next;
		free(dir->objects);
		free(dir);
	}
}

int memory_store_drop(struct memory_store *store, const char *dir, const char *leaf)
{
	struct engine_name name = {0};
	uint64_t before;
	int err;

	snprintf(name.dir, sizeof(name.dir), "%s", dir);
	snprintf(name.leaf, sizeof(name.leaf), "%s", leaf);
	pthread_mutex_lock(&store->lock);
	before = store->objects;
	memory_remove(store, &name);
	err = store->objects < before ? 0 : -ENOENT;
	pthread_mutex_unlock(&store->lock);
	return err;
}

static bool is_shown(const struct memory_store *store, const struct memory_object *object,
		     uint64_t now_us)
{
	return now_us - object->written_us >= store->faults.stale_us;
}

int memory_get(struct memory_store *store, struct engine_item *item, uint64_t now_us)
{
	struct memory_dir *dir = *dir_find(store, item->name.dir);
	struct memory_object *object;
	uint32_t at;
	bool there = false;

	item->got = 0;
	if (dir == NULL)
		return -ENOENT;
	at = leaf_find(dir, item->name.leaf, &there);
	if (!there || !is_shown(store, dir->objects[at], now_us))
		return -ENOENT;
	object = dir->objects[at];
	if (item->offset < object->bytes) {
		item->got = object->bytes - item->offset;
		if (item->got > item->bytes)
			item->got = item->bytes;
		memcpy(item->to, object->data + item->offset, item->got);
	}
	return 0;
}

void memory_list(struct memory_store *store, struct engine_list *list, uint64_t now_us)
{
	struct memory_dir *dir = *dir_find(store, list->dir);
	bool there;

	list->count = 0;
	list->more = false;
	if (dir == NULL)
		return;
	for (uint32_t at = leaf_find(dir, list->after, &there) + there; at < dir->count; at++) {
		if (!is_shown(store, dir->objects[at], now_us))
			continue;
		if (list->count == list->max) {
			list->more = true;
			return;
		}
		memcpy(list->leaf[list->count++], dir->objects[at]->leaf, ENGINE_LEAF_BYTES);
	}
}

void memory_put_late(struct memory_store *store, enum engine_verb verb,
		     const struct engine_item *item, uint64_t due_us)
{
	uint32_t bytes = verb == ENGINE_DELETE ? 0 : item->bytes;
	struct memory_late *late = malloc(sizeof(*late) + bytes);

	if (late == NULL)
		return;
	late->due_us = due_us;
	late->name = item->name;
	late->verb = verb;
	late->bytes = bytes;
	if (bytes > 0)
		memcpy(late->data, item->data, bytes);
	late->next = store->late;
	store->late = late;
}

void memory_do_late(struct memory_store *store, uint64_t now_us)
{
	for (struct memory_late *late, **at = &store->late; (late = *at) != NULL;) {
		if (late->due_us > now_us) {
			at = &late->next;
			continue;
		}
		/* Nobody hears what became of it. */
		if (late->verb == ENGINE_DELETE)
			memory_remove(store, &late->name);
		else
			(void)memory_put(store, late->verb, &late->name, late->data, late->bytes,
					 now_us);
		*at = late->next;
		free(late);
	}
}
