/* SPDX-License-Identifier: Apache-2.0 */
/* remote_impl.h - the inside of this room: names, segments in memory, calls that wait. */
#ifndef ABAFT_REMOTE_REMOTE_IMPL_H
#define ABAFT_REMOTE_REMOTE_IMPL_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "dataplane/engine/engine.h"
#include "dataplane/remote/remote.h"

/* In front of every group: who wrote it. */
#define REMOTE_WRITER_BYTES   16u
/* Parts are at least so long, or a group would have too many. */
#define REMOTE_PART_BYTES_MIN (64u << 10)
#define REMOTE_PARTS_MAX      (ABAFT_LOG_GROUP_BYTES_MAX / REMOTE_PART_BYTES_MIN + 2)
/* In the place of a part's number: no part, but E4's hint. */
#define REMOTE_FENCE_PART     0xffffu
#define REMOTE_PIECE_BYTES    (1u << 20) /* of a checkpoint, at most */

/* A segment: its number, and the incarnation that made it (E3). */
struct remote_id {
	uint32_t number, incarnation;
};

/*
 * A segment that is there: where its groups begin, a bit for each block. Set by who wrote the
 * group, when it is durable, or from a listing before anybody reads; read by any worker. It stays
 * until the segment is removed, and then nobody has a handle of it (segment.h).
 */
struct remote_segment {
	struct remote_segment *next;
	uint64_t bytes;
	struct remote_id id;
	bool listed; /* `starts` is true */
	bool own;    /* made here: nobody else knows it */
	bool fenced; /* E4's hint may be in it */
	_Atomic uint64_t starts[];
};

/* A log's segments, for all its devices one after the other: what recovery listed is not listed
 * once more. */
struct remote_log {
	pthread_mutex_t lock;
	struct remote_segment *segments;
	/* As which it was opened here; 0: it was not. */
	_Atomic uint32_t incarnation;
};

struct remote {
	struct engine *engine;
	struct engine_channel *channel; /* for calls; under `lock` */
	pthread_mutex_t lock;
	uint8_t writer[16];
	uint8_t node_id[16];
	uint32_t call_ms;
	uint32_t part_bytes; /* of the engine's objects, at most; the identity's */
	struct remote_log log[ABAFT_LOGS_MAX];
};

/* Names. parse: false when it is none. */
void remote_name_id(struct engine_name *name);
void remote_name_log(struct engine_name *name, uint32_t log);
bool remote_parse_log(const char *leaf, uint32_t *log);
void remote_name_marker(struct engine_name *name, uint32_t log, const struct remote_id *id,
			uint64_t bytes);
bool remote_parse_marker(const char *leaf, struct remote_id *id, uint64_t *bytes);
void remote_name_part(struct engine_name *name, uint32_t log, const struct remote_id *id,
		      uint32_t block, uint32_t part);
bool remote_parse_part(const char *leaf, uint32_t *block, uint32_t *part);
void remote_name_checkpoint(struct engine_name *name, uint32_t number, uint32_t incarnation,
			    uint64_t bytes);
bool remote_parse_checkpoint(const char *leaf, uint32_t *number, uint32_t *incarnation,
			     uint64_t *bytes);
void remote_name_piece(struct engine_name *name, uint32_t number, uint32_t incarnation,
		       uint32_t piece);
bool remote_parse_piece(const char *leaf, uint32_t *incarnation, uint32_t *piece);

/* Calls that wait; any thread. */
uint64_t remote_now_us(void);
int remote_call(struct remote *remote, struct engine_op *op) __attribute__((warn_unused_result));
int remote_call_until(struct remote *remote, struct engine_op *op, uint64_t until_us)
	__attribute__((warn_unused_result));
int remote_call_one(struct remote *remote, enum engine_verb verb, struct engine_item *item)
	__attribute__((warn_unused_result));
/* An object of which only the name counts: the same bytes by whomever, and however often (engine.h,
 * N1). */
void remote_marker(struct engine_item *item);
int remote_put_marker(struct remote *remote, const struct engine_name *name)
	__attribute__((warn_unused_result));
/* All leaves of a directory, page by page. Non-zero of `fn` stops and is returned. */
int remote_list(struct remote *remote, const char *dir, int (*fn)(void *arg, const char *leaf),
		void *arg) __attribute__((warn_unused_result));
/* Removes all objects of a directory whose leaf `match` takes (NULL: all). */
int remote_clear(struct remote *remote, const char *dir, bool (*match)(void *arg, const char *leaf),
		 void *arg) __attribute__((warn_unused_result));

/* Segments; any thread, but who calls knows that nobody removes the one that he asks for. */
/* Lists the log's markers and all its segments that others made: those that are there are known
 * from then on, and those that do not count (E3) are removed. What was known stays. */
int remote_segments_load(struct remote *remote, uint32_t log) __attribute__((warn_unused_result));
/* One that was just made: nothing is in it. 0 or -ENOMEM. */
int remote_segment_new(struct remote *remote, uint32_t log, const struct remote_id *id,
		       uint64_t bytes) __attribute__((warn_unused_result));
/* Says so (E5), removes its objects, then the marker, then it is forgotten. If this fails, nobody
 * may write to it any more. */
int remote_segment_remove(struct remote *remote, uint32_t log, struct remote_segment *segment)
	__attribute__((warn_unused_result));
/* E6: the seal stands in segment `number`. 0, -ESTALE: others have written behind it, or removed
 * that segment, since it was listed; or as engine.h says. */
int remote_segments_same(struct remote *remote, uint32_t log, uint32_t number)
	__attribute__((warn_unused_result));
struct remote_segment *remote_segment_find(struct remote *remote, uint32_t log, uint32_t number);
void remote_segment_set(struct remote_segment *segment, uint32_t block);
/* The start at or before `block`; false: none. And the first behind it, or the segment's end. */
bool remote_segment_start(const struct remote_segment *segment, uint32_t block, uint32_t *start);
uint32_t remote_segment_next(const struct remote_segment *segment, uint32_t block);

/*
 * What has to be got so that `to` holds bytes [offset, offset + bytes) of the segment: items for a
 * GET, at most `max`. What no group covers is zeroed. Returns how many, or -E2BIG.
 */
int remote_pieces(const struct remote *remote, uint32_t log, const struct remote_segment *segment,
		  uint64_t offset, uint32_t bytes, uint8_t *to, struct engine_item *items,
		  uint32_t max) __attribute__((warn_unused_result));
/* The bytes of the log in the object that begins at `block`, all of its parts, to `to`, which has
 * room for a part more than the largest. 0, -ENOENT, -EBADMSG, or as engine.h. */
int remote_object_read(struct remote *remote, uint32_t log, const struct remote_segment *segment,
		       uint32_t block, uint8_t *to, uint32_t *bytes)
	__attribute__((warn_unused_result));
/* Room that takes. */
size_t remote_object_room(const struct remote *remote);
/* After the GET: what is not there reads as zeros. 0, or the first other error. */
int remote_pieces_end(struct engine_item *items, uint32_t count)
	__attribute__((warn_unused_result));

#endif
