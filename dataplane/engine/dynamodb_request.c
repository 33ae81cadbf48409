/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dynamodb_request.c - parts of operations, and their bodies.
 */
#include "dataplane/engine/dynamodb_request.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>

/* A body without items and contents, and what stands around one item, names included: more than
 * the longest. */
#define BODY_BYTES  (1024 + DYNAMODB_START_BYTES)
#define FRAME_BYTES (128 + ENGINE_PREFIX_BYTES + ENGINE_DIR_BYTES + ENGINE_LEAF_BYTES)

static const char *const action_names[DYNAMODB_ACTIONS] = {
	[DYNAMODB_PUT] = "PutItem",
	[DYNAMODB_PUT_NEW] = "PutItem",
	[DYNAMODB_PUT_BATCH] = "BatchWriteItem",
	[DYNAMODB_DELETE_BATCH] = "BatchWriteItem",
	[DYNAMODB_GET] = "GetItem",
	[DYNAMODB_GET_BATCH] = "BatchGetItem",
	[DYNAMODB_QUERY] = "Query",
};

struct body {
	char *at;
	size_t used, room;
	int error;
};

const char *dynamodb_action_name(enum dynamodb_action action)
{
	return action_names[action];
}

static bool same_name(const struct engine_name *a, const struct engine_name *b)
{
	return strcmp(a->leaf, b->leaf) == 0 && strcmp(a->dir, b->dir) == 0;
}

static bool part_names(const struct dynamodb_part *part, const struct engine_name *name)
{
	for (uint32_t i = 0; i < part->count; i++)
		if (same_name(&part->items[i]->name, name))
			return true;
	return false;
}

static enum dynamodb_action action_of(enum engine_verb verb, uint32_t names)
{
	switch (verb) {
	case ENGINE_GET:
		return names > 1 ? DYNAMODB_GET_BATCH : DYNAMODB_GET;
	case ENGINE_PUT:
		return names > 1 ? DYNAMODB_PUT_BATCH : DYNAMODB_PUT;
	case ENGINE_PUT_NEW:
		return DYNAMODB_PUT_NEW;
	case ENGINE_DELETE:
		return DYNAMODB_DELETE_BATCH;
	default:
		return DYNAMODB_QUERY;
	}
}

uint32_t dynamodb_part_take(struct dynamodb_part *part, struct engine_op *op, uint32_t from,
			    uint32_t most)
{
	bool get = op->verb == ENGINE_GET;
	uint32_t items_max = get ? DYNAMODB_GETS_MAX : DYNAMODB_WRITES_MAX;
	size_t bytes_max = get ? DYNAMODB_GET_BYTES : DYNAMODB_WRITE_BYTES, bytes = 0;
	uint32_t names = 0, i;

	part->count = 0;
	part->list = op->verb == ENGINE_LIST ? op->list : NULL;
	part->start[0] = '\0';
	if (op->verb == ENGINE_PUT_NEW)
		items_max = 1;
	if (items_max > most)
		items_max = most;
	for (i = from; op->verb != ENGINE_LIST && i < op->count && part->count < items_max; i++) {
		struct engine_item *item = &op->items[i];

		if (item->result != -EINPROGRESS)
			continue;
		if (op->verb != ENGINE_DELETE && names > 0 && bytes + item->bytes > bytes_max)
			break;
		part->twin[part->count] = part_names(part, &item->name);
		names += !part->twin[part->count];
		bytes += item->bytes;
		item->result = DYNAMODB_TAKEN;
		part->items[part->count++] = item;
	}
	part->action = action_of(op->verb, names);
	return i;
}

static void put(struct body *body, const char *text)
{
	size_t bytes = strlen(text);

	if (bytes > body->room - body->used) {
		body->error = -E2BIG;
		return;
	}
	memcpy(body->at + body->used, text, bytes);
	body->used += bytes;
}

/* Names need no escapes, or are not ours. */
static void put_name(struct body *body, const char *name)
{
	static const char safe[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
				   "0123456789._-/";

	if (name[strspn(name, safe)] != '\0')
		body->error = -EINVAL;
	put(body, name);
}

static void put_base64(struct body *body, const uint8_t *data, uint32_t bytes)
{
	size_t chars = ((size_t)bytes + 2) / 3 * 4;

	/* Its NUL must find room, too. */
	if (bytes > DYNAMODB_VALUE_MAX || chars + 1 > body->room - body->used) {
		body->error = -E2BIG;
		return;
	}
	EVP_EncodeBlock((unsigned char *)body->at + body->used, data, (int)bytes);
	body->used += chars;
}

static void put_dir(struct body *body, const struct dynamodb_table *table, const char *dir)
{
	put(body, "{\"S\":\"");
	if (table->prefix[0] != '\0') {
		put_name(body, table->prefix);
		put(body, "/");
	}
	put_name(body, dir);
	put(body, "\"}");
}

static void put_key(struct body *body, const struct dynamodb_table *table,
		    const struct engine_name *name)
{
	put(body, "{\"d\":");
	put_dir(body, table, name->dir);
	put(body, ",\"l\":{\"S\":\"");
	put_name(body, name->leaf);
	put(body, "\"}");
}

static void put_item(struct body *body, const struct dynamodb_table *table,
		     const struct engine_item *item)
{
	put_key(body, table, &item->name);
	if (item->bytes > 0) {
		put(body, ",\"b\":{\"B\":\"");
		put_base64(body, item->data, item->bytes);
		put(body, "\"}");
	}
	put(body, "}");
}

static void put_table(struct body *body, const struct dynamodb_table *table)
{
	put(body, "{\"TableName\":\"");
	put_name(body, table->name);
	put(body, "\"");
}

static void put_one(struct body *body, const struct dynamodb_table *table,
		    const struct dynamodb_part *part)
{
	put_table(body, table);
	put(body, ",\"Item\":");
	put_item(body, table, part->items[0]);
	if (part->action == DYNAMODB_PUT_NEW)
		put(body, ",\"ConditionExpression\":\"attribute_not_exists(l)\"");
	put(body, "}");
}

static void put_get(struct body *body, const struct dynamodb_table *table,
		    const struct dynamodb_part *part)
{
	put_table(body, table);
	put(body, ",\"ConsistentRead\":true,\"ProjectionExpression\":\"d,l,b\",\"Key\":");
	put_key(body, table, &part->items[0]->name);
	put(body, "}}");
}

static void put_request_items(struct body *body, const struct dynamodb_table *table)
{
	put(body, "{\"RequestItems\":{\"");
	put_name(body, table->name);
	put(body, "\":");
}

static void put_writes(struct body *body, const struct dynamodb_table *table,
		       const struct dynamodb_part *part)
{
	const char *comma = "";

	put_request_items(body, table);
	put(body, "[");
	for (uint32_t i = 0; i < part->count; i++) {
		if (part->twin[i])
			continue;
		put(body, comma);
		comma = ",";
		if (part->action == DYNAMODB_PUT_BATCH) {
			put(body, "{\"PutRequest\":{\"Item\":");
			put_item(body, table, part->items[i]);
		} else {
			put(body, "{\"DeleteRequest\":{\"Key\":");
			put_key(body, table, &part->items[i]->name);
			put(body, "}");
		}
		put(body, "}}");
	}
	put(body, "]}}");
}

static void put_gets(struct body *body, const struct dynamodb_table *table,
		     const struct dynamodb_part *part)
{
	const char *comma = "";

	put_request_items(body, table);
	put(body, "{\"ConsistentRead\":true,\"ProjectionExpression\":\"d,l,b\",\"Keys\":[");
	for (uint32_t i = 0; i < part->count; i++) {
		if (part->twin[i])
			continue;
		put(body, comma);
		comma = ",";
		put_key(body, table, &part->items[i]->name);
		put(body, "}");
	}
	put(body, "]}}}");
}

/* One leaf more than there is room for, to know whether there are more. */
static uint32_t page_limit(const struct engine_list *list)
{
	uint32_t left = list->max - list->count;

	return left < DYNAMODB_PAGE_MAX ? left + 1 : DYNAMODB_PAGE_MAX;
}

/* A key's value is never empty: before the first leaf there is no condition on it. */
static void put_query(struct body *body, const struct dynamodb_table *table,
		      const struct dynamodb_part *part)
{
	const struct engine_list *list = part->list;
	bool after = list->after[0] != '\0';
	char limit[32];

	put_table(body, table);
	put(body, ",\"ConsistentRead\":true,\"ProjectionExpression\":\"l\","
		  "\"KeyConditionExpression\":\"d=:d");
	put(body, after ? " AND l>:l" : "");
	put(body, "\",\"ExpressionAttributeValues\":{\":d\":");
	put_dir(body, table, list->dir);
	if (after) {
		put(body, ",\":l\":{\"S\":\"");
		put_name(body, list->after);
		put(body, "\"}");
	}
	snprintf(limit, sizeof(limit), "},\"Limit\":%u", page_limit(list));
	put(body, limit);
	if (part->start[0] != '\0') {
		put(body, ",\"ExclusiveStartKey\":");
		put(body, part->start);
	}
	put(body, "}");
}

size_t dynamodb_body_room(const struct dynamodb_part *part)
{
	bool contents = part->action == DYNAMODB_PUT || part->action == DYNAMODB_PUT_NEW ||
			part->action == DYNAMODB_PUT_BATCH;
	size_t room = BODY_BYTES;

	for (uint32_t i = 0; i < part->count; i++) {
		if (part->twin[i])
			continue;
		room += FRAME_BYTES;
		if (contents)
			room += ((size_t)part->items[i]->bytes + 2) / 3 * 4;
	}
	return room;
}

int dynamodb_body_write(const struct dynamodb_table *table, const struct dynamodb_part *part,
			char *to, size_t room, size_t *bytes)
{
	static void (*const writers[DYNAMODB_ACTIONS])(struct body *, const struct dynamodb_table *,
						       const struct dynamodb_part *) = {
		[DYNAMODB_PUT] = put_one,	   [DYNAMODB_PUT_NEW] = put_one,
		[DYNAMODB_PUT_BATCH] = put_writes, [DYNAMODB_DELETE_BATCH] = put_writes,
		[DYNAMODB_GET] = put_get,	   [DYNAMODB_GET_BATCH] = put_gets,
		[DYNAMODB_QUERY] = put_query,
	};
	struct body body = {.at = to, .room = room};

	writers[part->action](&body, table, part);
	*bytes = body.used;
	return body.error;
}
