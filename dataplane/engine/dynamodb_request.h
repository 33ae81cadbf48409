/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dynamodb_request.h - what is asked of a DynamoDB table: which items of an operation one request
 * is for, and its body as JSON. Pure: no connection, no clock. The driver (dynamodb.c) sends it.
 *
 * The table has the partition key `d` (S), the sort key `l` (S) and the attribute `b` (B):
 *
 *	d	PREFIX/DIR, or DIR when there is no prefix
 *	l	LEAF
 *	b	the content; left out when it is empty
 *
 * Written from Amazon's API reference, version 2012-08-10. Bodies are written and not built as
 * trees: every string in them is of [A-Za-z0-9._/-] or base64, so that none needs to be escaped;
 * a name that is not is refused (-EINVAL).
 */
#ifndef ABAFT_ENGINE_DYNAMODB_REQUEST_H
#define ABAFT_ENGINE_DYNAMODB_REQUEST_H

#include <errno.h>

#include "dataplane/engine/driver.h"

/* Items of one BatchWriteItem, of one BatchGetItem: DynamoDB's limits. */
#define DYNAMODB_WRITES_MAX  25
#define DYNAMODB_GETS_MAX    100
/*
 * Bytes of contents in one BatchWriteItem, well below DynamoDB's 16 MB: several smaller requests
 * run side by side, and none keeps the service thread for long.
 */
#define DYNAMODB_WRITE_BYTES (4u << 20)
/* The same that a BatchGetItem asks for. */
#define DYNAMODB_GET_BYTES   (4u << 20)
/* Leaves of one page. */
#define DYNAMODB_PAGE_MAX    1000
/* Of an answer; more than DynamoDB gives. */
#define DYNAMODB_ANSWER_MAX  (16u << 20)
/* LastEvaluatedKey as JSON, with the NUL. */
#define DYNAMODB_START_BYTES 4096
/* The result of an item that a request has gone out for. */
#define DYNAMODB_TAKEN	     (-EALREADY)
/* Of an item: its attributes' names and values. */
#define DYNAMODB_ITEM_BYTES  (400u << 10)
/* What is left of it for the content when all names are as long as they may be. */
#define DYNAMODB_VALUE_MAX                                                                         \
	(DYNAMODB_ITEM_BYTES - 3u - (ENGINE_PREFIX_BYTES - 1u) - 1u - (ENGINE_DIR_BYTES - 1u) -    \
	 (ENGINE_LEAF_BYTES - 1u))

enum dynamodb_action {
	DYNAMODB_PUT,
	DYNAMODB_PUT_NEW,
	DYNAMODB_PUT_BATCH,
	DYNAMODB_DELETE_BATCH,
	DYNAMODB_GET,
	DYNAMODB_GET_BATCH,
	DYNAMODB_QUERY,
	DYNAMODB_ACTIONS
};

struct dynamodb_table {
	char name[128];
	char prefix[ENGINE_PREFIX_BYTES];
};

/*
 * One request's share of an operation. Items that name the same object are asked for once: all
 * but the first of them are `twin`s, which DynamoDB would refuse.
 */
struct dynamodb_part {
	enum dynamodb_action action;
	uint32_t count;
	struct engine_item *items[DYNAMODB_GETS_MAX];
	bool twin[DYNAMODB_GETS_MAX];
	struct engine_list *list;	  /* DYNAMODB_QUERY */
	char start[DYNAMODB_START_BYTES]; /* ExclusiveStartKey, or "" for the first page */
};

/*
 * Takes as many of the operation's items as one request may have, `most` at most, from the `from`th
 * on: those whose result is -EINPROGRESS, which becomes DYNAMODB_TAKEN. Returns how far it got;
 * part->count is 0 when nothing was left to do. A LIST is a part of its own, without items.
 */
uint32_t dynamodb_part_take(struct dynamodb_part *part, struct engine_op *op, uint32_t from,
			    uint32_t most);

/* "PutItem" and so on, as X-Amz-Target has it behind the version. */
const char *dynamodb_action_name(enum dynamodb_action action);

/* Bytes that the body needs at most. */
size_t dynamodb_body_room(const struct dynamodb_part *part);
/* Writes the body, without a NUL. 0, -EINVAL (a name) or -E2BIG (`room`, or an item's content). */
int dynamodb_body_write(const struct dynamodb_table *table, const struct dynamodb_part *part,
			char *to, size_t room, size_t *bytes) __attribute__((warn_unused_result));

#endif
