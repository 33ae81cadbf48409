/* SPDX-License-Identifier: Apache-2.0 */
/* remote.c - the identity, the logs there are, and calls that wait. See remote.h. */
#include "dataplane/remote/remote.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "dataplane/core/crc.h"
#include "dataplane/remote/remote_impl.h"

#define CALL_MS	    30000
#define PAGE_LEAVES 1000
#define ID_MAGIC    0x44494241u /* "ABID" */

/* The object node/id, little-endian. */
struct identity {
	uint32_t magic;
	uint32_t format;
	uint8_t node_id[16];
	uint32_t part_bytes;
	uint32_t crc; /* of what stands before it */
};
_Static_assert(sizeof(struct identity) == 32, "the object has no padding");

uint64_t remote_now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

int remote_call_until(struct remote *remote, struct engine_op *op, uint64_t until_us)
{
	int error;

	op->until_us = until_us;
	pthread_mutex_lock(&remote->lock);
	error = engine_call(remote->channel, op);
	pthread_mutex_unlock(&remote->lock);
	return error;
}

int remote_call(struct remote *remote, struct engine_op *op)
{
	return remote_call_until(remote, op, remote_now_us() + UINT64_C(1000) * remote->call_ms);
}

int remote_call_one(struct remote *remote, enum engine_verb verb, struct engine_item *item)
{
	struct engine_op op = {.verb = verb, .count = 1, .items = item};

	return remote_call(remote, &op);
}

void remote_marker(struct engine_item *item)
{
	static const uint8_t content[] = "abaft";

	*item = (struct engine_item){.data = content, .bytes = sizeof(content) - 1};
}

int remote_put_marker(struct remote *remote, const struct engine_name *name)
{
	struct engine_item item;

	remote_marker(&item);
	item.name = *name;
	return remote_call_one(remote, ENGINE_PUT, &item);
}

int remote_list(struct remote *remote, const char *dir, int (*fn)(void *arg, const char *leaf),
		void *arg)
{
	struct engine_list *list = calloc(1, sizeof(*list));
	struct engine_op op = {.verb = ENGINE_LIST, .list = list};
	int error = 0;

	if (!list)
		return -ENOMEM;
	list->max = PAGE_LEAVES;
	list->leaf = calloc(PAGE_LEAVES, sizeof(*list->leaf));
	snprintf(list->dir, sizeof(list->dir), "%s", dir);
	if (!list->leaf)
		error = -ENOMEM;
	do {
		list->count = 0;
		list->more = false;
		if (!error)
			error = remote_call(remote, &op);
		for (uint32_t i = 0; i < list->count && !error; i++)
			error = fn(arg, list->leaf[i]);
		if (!error && list->count > 0)
			memcpy(list->after, list->leaf[list->count - 1], sizeof(list->after));
		else if (!error && list->more)
			error = -EPROTO; /* it would never end */
	} while (!error && list->more);
	free(list->leaf);
	free(list);
	return error;
}

struct clearing {
	struct remote *remote;
	const char *dir;
	bool (*match)(void *arg, const char *leaf);
	void *arg;
	struct engine_item *items;
	uint32_t count;
};

static int clear_now(struct clearing *clearing)
{
	struct engine_op op = {
		.verb = ENGINE_DELETE, .items = clearing->items, .count = clearing->count};

	clearing->count = 0;
	return op.count > 0 ? remote_call(clearing->remote, &op) : 0;
}

static int clear_leaf(void *arg, const char *leaf)
{
	struct clearing *clearing = arg;
	struct engine_item *item = &clearing->items[clearing->count];

	if (clearing->match && !clearing->match(clearing->arg, leaf))
		return 0;
	*item = (struct engine_item){.bytes = 0};
	snprintf(item->name.dir, sizeof(item->name.dir), "%s", clearing->dir);
	snprintf(item->name.leaf, sizeof(item->name.leaf), "%s", leaf);
	return ++clearing->count == ENGINE_ITEMS_MAX ? clear_now(clearing) : 0;
}

int remote_clear(struct remote *remote, const char *dir, bool (*match)(void *arg, const char *leaf),
		 void *arg)
{
	struct clearing clearing = {
		.remote = remote,
		.dir = dir,
		.match = match,
		.arg = arg,
		.items = calloc(ENGINE_ITEMS_MAX, sizeof(*clearing.items)),
	};
	int error = clearing.items ? remote_list(remote, dir, clear_leaf, &clearing) : -ENOMEM;

	if (!error)
		error = clear_now(&clearing);
	free(clearing.items);
	return error;
}

static int read_identity(struct remote *remote, char *why, size_t why_bytes)
{
	struct identity id = {.magic = 0};
	struct engine_item item = {.to = (uint8_t *)&id, .bytes = sizeof(id)};
	int error;

	remote_name_id(&item.name);
	error = remote_call_one(remote, ENGINE_GET, &item);
	if (error) {
		snprintf(why, why_bytes, "the storage engine's object node/id cannot be read: %s",
			 strerror(-error));
		return error;
	}
	if (item.got != sizeof(id) || id.magic != ID_MAGIC ||
	    id.crc != crc32c((const uint8_t *)&id, offsetof(struct identity, crc)) ||
	    id.part_bytes < REMOTE_PART_BYTES_MIN || id.part_bytes > ENGINE_OBJECT_BYTES_MAX) {
		snprintf(why, why_bytes,
			 "the storage engine's object node/id is damaged or not abaft's: give this "
			 "node a prefix of its own, or restore the object");
		return -EBADMSG;
	}
	if (id.format != REMOTE_FORMAT) {
		snprintf(why, why_bytes,
			 "the storage engine's objects are of format %u, this program knows %u; "
			 "use the abaft that wrote them",
			 id.format, REMOTE_FORMAT);
		return -EBADMSG;
	}
	if (id.part_bytes > engine_caps(remote->engine)->value_max) {
		snprintf(why, why_bytes,
			 "objects under this prefix have up to %u bytes, this storage engine takes "
			 "%u; they were made over another one",
			 id.part_bytes, engine_caps(remote->engine)->value_max);
		return -EBADMSG;
	}
	remote->part_bytes = id.part_bytes;
	memcpy(remote->node_id, id.node_id, sizeof(id.node_id));
	return 0;
}

static int make_identity(struct remote *remote, const uint8_t node_id[16], char *why,
			 size_t why_bytes)
{
	uint32_t most = engine_caps(remote->engine)->value_max;
	struct identity id = {.magic = ID_MAGIC, .format = REMOTE_FORMAT};
	struct engine_item item = {.data = (const uint8_t *)&id, .bytes = sizeof(id)};
	int error;

	if (most < REMOTE_PART_BYTES_MIN) {
		snprintf(why, why_bytes,
			 "this storage engine takes objects of %u bytes at most, abaft needs %u",
			 most, REMOTE_PART_BYTES_MIN);
		return -EINVAL;
	}
	/* A group in one object wherever it fits. */
	id.part_bytes = ABAFT_LOG_GROUP_BYTES_MAX + REMOTE_WRITER_BYTES;
	if (id.part_bytes > most)
		id.part_bytes = most;
	memcpy(id.node_id, node_id, sizeof(id.node_id));
	id.crc = crc32c((const uint8_t *)&id, offsetof(struct identity, crc));
	remote_name_id(&item.name);
	error = remote_call_one(remote, ENGINE_PUT_NEW, &item);
	if (error && error != -EEXIST)
		snprintf(why, why_bytes, "the storage engine's object node/id cannot be made: %s",
			 strerror(-error));
	return error == -EEXIST ? 0 : error;
}

int remote_open(struct remote **out, const struct remote_config *config, char *why,
		size_t why_bytes)
{
	struct remote *remote = calloc(1, sizeof(*remote));
	int error = remote ? engine_channel_open(config->engine, &remote->channel) : -ENOMEM;

	if (error) {
		snprintf(why, why_bytes, "no memory for the storage engine's devices");
		free(remote);
		return error;
	}
	remote->engine = config->engine;
	remote->call_ms = config->call_ms ? config->call_ms : CALL_MS;
	memcpy(remote->writer, config->writer, sizeof(remote->writer));
	pthread_mutex_init(&remote->lock, NULL);
	for (uint32_t log = 0; log < ABAFT_LOGS_MAX; log++)
		pthread_mutex_init(&remote->log[log].lock, NULL);
	error = read_identity(remote, why, why_bytes);
	if (error == -ENOENT) {
		error = make_identity(remote, config->node_id, why, why_bytes);
		if (!error)
			error = read_identity(remote, why, why_bytes);
	}
	if (error) {
		remote_close(remote);
		return error;
	}
	*out = remote;
	return 0;
}

void remote_close(struct remote *remote)
{
	for (uint32_t log = 0; log < ABAFT_LOGS_MAX; log++) {
		struct remote_segment *segment = remote->log[log].segments, *next;

		for (; segment; segment = next) {
			next = segment->next;
			free(segment);
		}
		pthread_mutex_destroy(&remote->log[log].lock);
	}
	engine_channel_close(remote->channel);
	pthread_mutex_destroy(&remote->lock);
	free(remote);
}

const uint8_t *remote_node_id(const struct remote *remote)
{
	return remote->node_id;
}

struct found_logs {
	uint32_t *logs;
	int count;
};

static int found_log(void *arg, const char *leaf)
{
	struct found_logs *found = arg;

	if (found->count == ABAFT_LOGS_MAX || !remote_parse_log(leaf, &found->logs[found->count]))
		return -EBADMSG;
	found->count++;
	return 0;
}

int remote_logs(struct remote *remote, uint32_t logs[ABAFT_LOGS_MAX])
{
	struct found_logs found = {.logs = logs};
	int error = remote_list(remote, "logs", found_log, &found);

	return error ? error : found.count;
}
