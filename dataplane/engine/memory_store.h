/* SPDX-License-Identifier: Apache-2.0 */
/*
 * memory_store.h - the objects of memory.c and the faults that it is told of. All calls but
 * memory_driver.h's are made under the store's lock.
 */
#ifndef ABAFT_ENGINE_MEMORY_STORE_H
#define ABAFT_ENGINE_MEMORY_STORE_H

#include <pthread.h>

#include "dataplane/engine/driver.h"
#include "dataplane/engine/memory_driver.h"

/* Of a request's time: log-normal, as storages' are but for their tails. */
struct memory_latency {
	double median_us;
	double sigma;
};

struct memory_faults {
	struct memory_latency latency[ENGINE_VERBS];
	double error, throttle, lost, partial, lose;
	double late;
	uint64_t late_us;
	uint64_t stale_us;
	uint64_t full_bytes;
	uint64_t down_us, up_us; /* down in between */
	bool denied, conditional, ranges;
	uint32_t value_max, batch_max, delete_max;
};

struct memory_object {
	char leaf[ENGINE_LEAF_BYTES];
	uint32_t bytes;
	uint64_t written_us;
	uint8_t data[];
};

/* Objects in the order of their leaves. */
struct memory_dir {
	struct memory_dir *next; /* of the same hash */
	char name[ENGINE_DIR_BYTES];
	struct memory_object **objects;
	uint32_t count, room;
};

#define MEMORY_DIR_HASHES 1024

/* A write that is done when nobody waits for it any more. */
struct memory_late {
	struct memory_late *next;
	uint64_t due_us;
	struct engine_name name;
	enum engine_verb verb;
	uint32_t bytes;
	uint8_t data[];
};

struct memory_store {
	struct memory_store *next; /* of the named ones, under their lock, as `held` */
	uint32_t held;
	char name[128];
	pthread_mutex_t lock;
	struct memory_faults faults;
	uint64_t random;
	uint64_t objects, bytes;
	struct memory_dir *dirs[MEMORY_DIR_HASHES];
	struct memory_late *late;
};

/* 0; -EEXIST for PUT_NEW, -ENOSPC, -ENOMEM. */
int memory_put(struct memory_store *store, enum engine_verb verb, const struct engine_name *name,
	       const uint8_t *data, uint32_t bytes, uint64_t now_us);
void memory_remove(struct memory_store *store, const struct engine_name *name);
/* Fills to and got. 0 or -ENOENT. */
int memory_get(struct memory_store *store, struct engine_item *item, uint64_t now_us);
void memory_list(struct memory_store *store, struct engine_list *list, uint64_t now_us);

/* The item is done at due_us; without memory for that, never. */
void memory_put_late(struct memory_store *store, enum engine_verb verb,
		     const struct engine_item *item, uint64_t due_us);
/* Does what is due by now. */
void memory_do_late(struct memory_store *store, uint64_t now_us);

/* memory_options.c: nothing fails, nothing takes time. */
void memory_faults_none(struct memory_faults *faults);
int memory_faults_set(struct memory_store *store, const char *options, uint64_t now_us, char *why);

#endif
