/* SPDX-License-Identifier: Apache-2.0 */
/*
 * remote_segment.c - which groups a segment has, and what to get for some bytes of it.
 *
 * A group's first bit is set with release, when its object is durable; a reader that knows a place
 * in the group has it from whoever saw it durable, and loads with acquire.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/log/format.h"
#include "dataplane/remote/remote_impl.h"

/* Segments that are listed at a time, and leaves of one page of each. */
#define LISTS	    16
#define LIST_LEAVES 1024
/* A segment ends with its seal. Those of who was late (E6) may stand before it. */
#define FENCES_MAX  64

static uint32_t blocks_of(uint64_t bytes)
{
	return (uint32_t)(bytes / ABAFT_LOG_BLOCK_BYTES);
}

struct remote_segment *remote_segment_find(struct remote *remote, uint32_t log, uint32_t number)
{
	struct remote_log *of = &remote->log[log];
	struct remote_segment *segment;

	pthread_mutex_lock(&of->lock);
	for (segment = of->segments; segment && segment->id.number != number;
	     segment = segment->next)
		;
	pthread_mutex_unlock(&of->lock);
	return segment;
}

static struct remote_segment *add(struct remote *remote, uint32_t log, const struct remote_id *id,
				  uint64_t bytes)
{
	struct remote_log *of = &remote->log[log];
	struct remote_segment *segment =
		calloc(1, sizeof(*segment) + (blocks_of(bytes) / 64 + 1) * sizeof(uint64_t));

	if (!segment)
		return NULL;
	segment->id = *id;
	segment->bytes = bytes;
	pthread_mutex_lock(&of->lock);
	segment->next = of->segments;
	of->segments = segment;
	pthread_mutex_unlock(&of->lock);
	return segment;
}

int remote_segment_new(struct remote *remote, uint32_t log, const struct remote_id *id,
		       uint64_t bytes)
{
	struct remote_segment *segment = add(remote, log, id, bytes);

	if (!segment)
		return -ENOMEM;
	segment->listed = segment->own = true;
	return 0;
}

static void forget(struct remote *remote, uint32_t log, struct remote_segment *segment)
{
	struct remote_log *of = &remote->log[log];
	struct remote_segment **at;

	pthread_mutex_lock(&of->lock);
	for (at = &of->segments; *at && *at != segment; at = &(*at)->next)
		;
	if (*at)
		*at = segment->next;
	pthread_mutex_unlock(&of->lock);
	free(segment);
}

/* Blocks with seals that shut others out (E4). */
struct fences {
	struct remote *remote;
	const char *dir;
	uint32_t count;
	uint32_t block[FENCES_MAX];
};

/* Who was refused has left the hint at a group of others. */
static int note_fence(void *arg, const char *leaf)
{
	uint8_t bytes[REMOTE_WRITER_BYTES + LOG_GROUP_HEADER_BYTES + 1];
	struct engine_item item = {.to = bytes, .bytes = sizeof(bytes)};
	struct fences *fences = arg;
	uint32_t block, part;
	int error;

	if (!remote_parse_part(leaf, &block, &part) || part != REMOTE_FENCE_PART)
		return 0;
	snprintf(item.name.dir, sizeof(item.name.dir), "%s", fences->dir);
	snprintf(item.name.leaf, sizeof(item.name.leaf), "%08x", block);
	error = remote_call_one(fences->remote, ENGINE_GET, &item);
	if (error || item.got == sizeof(bytes))
		return error == -ENOENT ? 0 : error;
	if (fences->count == FENCES_MAX)
		return -E2BIG;
	fences->block[fences->count++] = block;
	return 0;
}

static bool is_no_fence(void *arg, const char *leaf)
{
	const struct fences *fences = arg;
	uint32_t block, part;

	if (!remote_parse_part(leaf, &block, &part) || (part != 0 && part != REMOTE_FENCE_PART))
		return true;
	for (uint32_t i = 0; i < fences->count; i++)
		if (fences->block[i] == block)
			return false;
	return true;
}

static int remove_groups(struct remote *remote, uint32_t log, const struct remote_id *id,
			 bool fenced)
{
	struct engine_name name;
	struct fences fences = {.remote = remote, .dir = name.dir};
	int error = 0;

	remote_name_part(&name, log, id, 0, 0);
	if (fenced)
		error = remote_list(remote, name.dir, note_fence, &fences);
	return error ? error : remote_clear(remote, name.dir, is_no_fence, &fences);
}

static int remove_marker(struct remote *remote, uint32_t log, const struct remote_id *id,
			 uint64_t bytes)
{
	struct engine_item item = {.bytes = 0};

	remote_name_marker(&item.name, log, id, bytes);
	return remote_call_one(remote, ENGINE_DELETE, &item);
}

/* One that does not count (E3): nobody asks whether it is there. */
static int remove_stale(struct remote *remote, uint32_t log, const struct remote_id *id,
			uint64_t bytes)
{
	int error = remove_groups(remote, log, id, true);

	return error ? error : remove_marker(remote, log, id, bytes);
}

/* The marker goes behind the groups: while it is there, somebody will remove the rest. */
int remote_segment_remove(struct remote *remote, uint32_t log, struct remote_segment *segment)
{
	struct engine_name name;
	int error;

	remote_name_marker(&name, log, &segment->id, 0);
	error = remote_put_marker(remote, &name); /* E5 */
	if (!error)
		error = remove_groups(remote, log, &segment->id, segment->fenced);
	if (!error)
		error = remove_marker(remote, log, &segment->id, segment->bytes);
	if (!error)
		error = remove_marker(remote, log, &segment->id, 0);
	if (!error)
		forget(remote, log, segment);
	return error;
}

void remote_segment_set(struct remote_segment *segment, uint32_t block)
{
	atomic_fetch_or_explicit(&segment->starts[block / 64], UINT64_C(1) << block % 64,
				 memory_order_release);
}

bool remote_segment_start(const struct remote_segment *segment, uint32_t block, uint32_t *start)
{
	uint32_t word = block / 64;
	uint64_t mask = UINT64_MAX >> (63 - block % 64);

	for (;; mask = UINT64_MAX, word--) {
		uint64_t bits =
			atomic_load_explicit(&segment->starts[word], memory_order_acquire) & mask;

		if (bits) {
			*start = word * 64 + 63 - (uint32_t)__builtin_clzll(bits);
			return true;
		}
		if (word == 0)
			return false;
	}
}

uint32_t remote_segment_next(const struct remote_segment *segment, uint32_t block)
{
	uint32_t blocks = blocks_of(segment->bytes), first = block + 1;
	uint64_t mask = UINT64_MAX << first % 64;

	for (uint32_t word = first / 64; word * 64 < blocks; mask = UINT64_MAX, word++) {
		uint64_t bits =
			atomic_load_explicit(&segment->starts[word], memory_order_acquire) & mask;

		if (bits)
			return word * 64 + (uint32_t)__builtin_ctzll(bits);
	}
	return blocks;
}

/* Bytes [from, to) of the group's object, which begins with the writer's id: an item for each part
 * that holds some of them. */
static int object_pieces(const struct remote *remote, uint32_t log, const struct remote_id *segment,
			 uint32_t block, uint64_t from, uint64_t to, uint8_t *into,
			 struct engine_item *items, uint32_t max)
{
	uint32_t count = 0;

	while (from < to) {
		uint32_t part = (uint32_t)(from / remote->part_bytes);
		uint64_t end = (uint64_t)(part + 1) * remote->part_bytes;
		struct engine_item *item = &items[count];

		if (count == max)
			return -E2BIG;
		end = end < to ? end : to;
		*item = (struct engine_item){
			.to = into,
			.bytes = (uint32_t)(end - from),
			.offset = (uint32_t)(from % remote->part_bytes),
		};
		remote_name_part(&item->name, log, segment, block, part);
		into += end - from;
		from = end;
		count++;
	}
	return (int)count;
}

int remote_pieces(const struct remote *remote, uint32_t log, const struct remote_segment *segment,
		  uint64_t offset, uint32_t bytes, uint8_t *to, struct engine_item *items,
		  uint32_t max)
{
	uint64_t end = offset + bytes, at = offset;
	uint32_t count = 0, start;

	memset(to, 0, bytes);
	if (!remote_segment_start(segment, blocks_of(offset), &start))
		start = remote_segment_next(segment, blocks_of(offset));
	while (at < end && start < blocks_of(segment->bytes)) {
		uint64_t first = (uint64_t)start * ABAFT_LOG_BLOCK_BYTES;
		uint32_t next = remote_segment_next(segment, start);
		uint64_t behind = (uint64_t)next * ABAFT_LOG_BLOCK_BYTES;
		int pieces = 0;

		behind = behind < first + ABAFT_LOG_GROUP_BYTES_MAX
				 ? behind
				 : first + ABAFT_LOG_GROUP_BYTES_MAX;
		behind = behind < end ? behind : end;
		at = at > first ? at : first;
		if (at < behind)
			pieces = object_pieces(remote, log, &segment->id, start,
					       at - first + REMOTE_WRITER_BYTES,
					       behind - first + REMOTE_WRITER_BYTES,
					       to + (at - offset), items + count, max - count);
		if (pieces < 0)
			return pieces;
		count += (uint32_t)pieces;
		start = next;
	}
	return (int)count;
}

int remote_pieces_end(struct engine_item *items, uint32_t count)
{
	int error = 0;

	for (uint32_t i = 0; i < count; i++)
		if (items[i].result && items[i].result != -ENOENT && !error)
			error = items[i].result;
	return error;
}

size_t remote_object_room(const struct remote *remote)
{
	return REMOTE_WRITER_BYTES + ABAFT_LOG_GROUP_BYTES_MAX + remote->part_bytes;
}

int remote_object_read(struct remote *remote, uint32_t log, const struct remote_segment *segment,
		       uint32_t block, uint8_t *to, uint32_t *bytes)
{
	uint32_t got = 0;

	for (uint32_t part = 0; got + remote->part_bytes <= remote_object_room(remote); part++) {
		struct engine_item item = {.to = to + got, .bytes = remote->part_bytes};
		int error;

		remote_name_part(&item.name, log, &segment->id, block, part);
		error = remote_call_one(remote, ENGINE_GET, &item);
		if (error && (error != -ENOENT || part == 0))
			return error;
		got += error ? 0 : item.got;
		if (error || item.got < remote->part_bytes)
			break;
	}
	if (got < REMOTE_WRITER_BYTES || got > REMOTE_WRITER_BYTES + ABAFT_LOG_GROUP_BYTES_MAX)
		return -EBADMSG;
	*bytes = got - REMOTE_WRITER_BYTES;
	memmove(to, to + REMOTE_WRITER_BYTES, *bytes);
	return 0;
}

/* Listing all segments of a log, some at a time. */
struct loading {
	struct remote *remote;
	uint32_t log;
	struct engine_channel *channel;
	struct remote_segment *at[LISTS];
	struct engine_list list[LISTS];
	struct engine_op op[LISTS];
	char (*leaves)[ENGINE_LEAF_BYTES];
	uint32_t open;
	bool gone; /* the last one that was seen says that it is going: */
	struct remote_id gone_id;
};

/* Of one whose removal was begun (E5) only that is left to tell. */
static int end_gone(struct loading *loading)
{
	if (!loading->gone)
		return 0;
	loading->gone = false;
	return remove_marker(loading->remote, loading->log, &loading->gone_id, 0);
}

static bool same_id(const struct remote_id *a, const struct remote_id *b)
{
	return a->number == b->number && a->incarnation == b->incarnation;
}

static int note_segment(struct loading *loading, const struct remote_id *id, uint64_t bytes)
{
	struct remote *remote = loading->remote;
	struct remote_segment *known = remote_segment_find(remote, loading->log, id->number);

	if (known && same_id(&known->id, id))
		return 0;
	if (known && known->id.incarnation > id->incarnation) /* E3 */
		return remove_stale(remote, loading->log, id, bytes);
	if (known) {
		int error = remove_stale(remote, loading->log, &known->id, known->bytes);

		if (error)
			return error;
		forget(remote, loading->log, known);
	}
	return add(remote, loading->log, id, bytes) ? 0 : -ENOMEM;
}

static int note_marker(void *arg, const char *leaf)
{
	struct loading *loading = arg;
	struct remote_id id;
	uint64_t bytes;
	int error;

	if (!remote_parse_marker(leaf, &id, &bytes) || bytes % ABAFT_LOG_BLOCK_BYTES != 0 ||
	    bytes > ABAFT_LOG_SEGMENT_BYTES_MAX)
		return -EBADMSG;
	/* It is removed once more when it is cleaned again. */
	if (loading->gone && same_id(&id, &loading->gone_id))
		loading->gone = false;
	error = end_gone(loading);
	if (error)
		return error;
	if (bytes > 0)
		return note_segment(loading, &id, bytes);
	loading->gone = true;
	loading->gone_id = id;
	return 0;
}

static int note_group(struct remote_segment *segment, const char *leaf)
{
	uint32_t block, part;

	if (!remote_parse_part(leaf, &block, &part) || block >= blocks_of(segment->bytes))
		return -EBADMSG;
	if (part == 0)
		remote_segment_set(segment, block);
	segment->fenced |= part == REMOTE_FENCE_PART;
	return 0;
}

/* The next page of what slot `i` lists. */
static int load_page(struct loading *loading, uint32_t i)
{
	struct remote *remote = loading->remote;
	struct engine_list *list = &loading->list[i];
	int error;

	loading->op[i] = (struct engine_op){
		.verb = ENGINE_LIST,
		.list = list,
		.until_us = remote_now_us() + UINT64_C(1000) * remote->call_ms,
		.tag = i,
	};
	list->count = 0;
	list->more = false;
	error = engine_begin(loading->channel, &loading->op[i]);
	loading->open += error == 0;
	return error;
}

static int load_segment(struct loading *loading, uint32_t i, struct remote_segment *segment)
{
	struct engine_list *list = &loading->list[i];
	struct engine_name name;

	loading->at[i] = segment;
	remote_name_part(&name, loading->log, &segment->id, 0, 0);
	*list = (struct engine_list){.leaf = loading->leaves + (size_t)i * LIST_LEAVES,
				     .max = LIST_LEAVES};
	memcpy(list->dir, name.dir, sizeof(list->dir));
	return load_page(loading, i);
}

/* A page has come. *ended: the segment's last. */
static int take_page(struct loading *loading, const struct engine_op *op, bool *ended)
{
	uint32_t i = (uint32_t)op->tag;
	struct engine_list *list = &loading->list[i];
	int error = op->result;

	loading->open--;
	for (uint32_t k = 0; k < list->count && !error; k++)
		error = note_group(loading->at[i], list->leaf[k]);
	*ended = error || !list->more || list->count == 0;
	if (*ended) {
		loading->at[i]->listed = error == 0;
		return error;
	}
	memcpy(list->after, list->leaf[list->count - 1], sizeof(list->after));
	return load_page(loading, i);
}

static struct remote_segment *next_unlisted(struct remote_segment *segment)
{
	while (segment && segment->listed)
		segment = segment->next;
	return segment;
}

/* Nobody adds or forgets meanwhile: the log is not open yet. */
static int load_all(struct loading *loading)
{
	struct remote_segment *next = next_unlisted(loading->remote->log[loading->log].segments);
	uint32_t slot = 0;
	int error = 0;

	for (; next && slot < LISTS && !error; slot++) {
		error = load_segment(loading, slot, next);
		next = next_unlisted(next->next);
	}
	while (loading->open > 0) {
		struct engine_op *ended;
		bool end = false;
		int result;

		if (engine_poll(loading->channel, &ended, 1) == 0) {
			(void)engine_wait(loading->channel, 1000);
			continue;
		}
		result = take_page(loading, ended, &end);
		error = error ? error : result;
		if (end && next && !error) {
			error = load_segment(loading, (uint32_t)ended->tag, next);
			next = next_unlisted(next->next);
		}
	}
	return error;
}

int remote_segments_load(struct remote *remote, uint32_t log)
{
	struct loading *loading = calloc(1, sizeof(*loading));
	const struct remote_id any = {0};
	struct engine_name name;
	int error = -ENOMEM;

	if (!loading)
		return error;
	loading->remote = remote;
	loading->log = log;
	/* Others may have written since. */
	for (struct remote_segment *s = remote->log[log].segments; s; s = s->next)
		s->listed = s->own;
	loading->leaves = calloc((size_t)LISTS * LIST_LEAVES, sizeof(*loading->leaves));
	remote_name_marker(&name, log, &any, 0);
	if (loading->leaves)
		error = remote_list(remote, name.dir, note_marker, loading);
	if (!error)
		error = end_gone(loading);
	if (!error && next_unlisted(remote->log[log].segments)) {
		error = engine_channel_open(remote->engine, &loading->channel);
		if (!error)
			error = load_all(loading);
	}
	if (loading->channel)
		engine_channel_close(loading->channel);
	free(loading->leaves);
	free(loading);
	return error;
}

/* Whether a log is as it was listed, but for what stands in segment `in` and before. */
struct looking {
	struct remote *remote;
	uint32_t log;
	const struct remote_segment *in;
	const struct remote_segment *at;
	bool seen;
};

static int look_at_marker(void *arg, const char *leaf)
{
	struct looking *looking = arg;
	const struct remote_segment *known;
	struct remote_id id;
	uint64_t bytes;

	if (!remote_parse_marker(leaf, &id, &bytes))
		return -EBADMSG;
	if (same_id(&id, &looking->in->id)) {
		looking->seen = bytes > 0;
		return bytes > 0 ? 0 : -ESTALE;
	}
	if (id.number < looking->in->id.number || bytes == 0)
		return 0;
	known = remote_segment_find(looking->remote, looking->log, id.number);
	return known && id.incarnation <= known->id.incarnation ? 0 : -ESTALE;
}

static int look_at_group(void *arg, const char *leaf)
{
	const struct looking *looking = arg;
	uint32_t block, part, start;

	if (!remote_parse_part(leaf, &block, &part) || block >= blocks_of(looking->at->bytes))
		return -EBADMSG;
	if (part == 0 && (!remote_segment_start(looking->at, block, &start) || start != block))
		return -ESTALE;
	return 0;
}

int remote_segments_same(struct remote *remote, uint32_t log, uint32_t number)
{
	struct looking looking = {.remote = remote, .log = log};
	struct engine_name name;
	int error;

	looking.in = remote_segment_find(remote, log, number);
	if (!looking.in)
		return -ENOENT;
	remote_name_marker(&name, log, &looking.in->id, 0);
	error = remote_list(remote, name.dir, look_at_marker, &looking);
	if (!error && !looking.seen)
		error = -ESTALE;
	for (looking.at = remote->log[log].segments; looking.at && !error;
	     looking.at = looking.at->next) {
		if (looking.at->id.number <= number)
			continue;
		remote_name_part(&name, log, &looking.at->id, 0, 0);
		error = remote_list(remote, name.dir, look_at_group, &looking);
	}
	return error;
}
