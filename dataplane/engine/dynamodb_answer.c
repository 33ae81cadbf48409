/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dynamodb_answer.c - from bodies of answers to results.
 */
#include "dataplane/engine/dynamodb_answer.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <isa-l/crc.h>

#define BASE_BYTES	 (64u << 10) /* of an answer beside its items */
#define NAMES_BYTES	 (4u << 10)  /* of an item's names, whoever wrote it */
#define BASE_VALUES	 64
#define ITEM_VALUES	 24
#define BASE64_BLOCK	 4096 /* characters */
#define BASE64_OF(bytes) (((size_t)(bytes) + 2) / 3 * 4)

static int broken(char *why, const char *what)
{
	snprintf(why, ENGINE_WHY_BYTES,
		 "DynamoDB: an answer breaks the protocol: %s; is the endpoint a DynamoDB?", what);
	return -EPROTO;
}

static bool writes(const struct dynamodb_part *part)
{
	return part->action == DYNAMODB_PUT_BATCH || part->action == DYNAMODB_DELETE_BATCH;
}

/* Twice the contents: each / of base64 may be written as \/. What was not written comes back. */
uint32_t dynamodb_answer_room(const struct dynamodb_part *part)
{
	size_t room = BASE_BYTES, content = 2 * BASE64_OF(DYNAMODB_ITEM_BYTES);

	if (part->action == DYNAMODB_QUERY)
		room += DYNAMODB_PAGE_MAX * NAMES_BYTES;
	else if (writes(part))
		room += 2 * dynamodb_body_room(part);
	else if (part->action == DYNAMODB_GET || part->action == DYNAMODB_GET_BATCH)
		room += part->count * (content + NAMES_BYTES);
	return room < DYNAMODB_ANSWER_MAX ? (uint32_t)room : DYNAMODB_ANSWER_MAX;
}

int dynamodb_answer_check(const char *crc32, const uint8_t *body, size_t bytes, char *why)
{
	unsigned long have;
	char *end;

	if (crc32[0] == '\0')
		return 0;
	errno = 0;
	have = strtoul(crc32, &end, 10);
	if (crc32[0] < '0' || crc32[0] > '9' || *end != '\0' || errno != 0)
		return broken(why, "X-Amz-Crc32 is no number");
	if (have != crc32_gzip_refl(0, body, bytes))
		return broken(why, "its checksum does not fit; something between changed it");
	return 0;
}

/* Behind the string's closing quote; NULL: there is none. */
static const char *string_end(const char *at, const char *end)
{
	while ((at = memchr(at, '"', (size_t)(end - at)))) {
		const char *back = at;

		/* Its opening quote ends this, at the latest. */
		while (back[-1] == '\\')
			back--;
		at++;
		if ((at - 1 - back) % 2 == 0)
			return at;
	}
	return NULL;
}

/* At most so many values: a tree of them takes many times the text's bytes. */
static bool few_values(const char *at, size_t bytes, size_t most)
{
	const char *end = at + bytes;
	size_t values = 1;

	while (at < end) {
		char c = *at++;

		if (c == '"') {
			at = string_end(at, end);
			if (!at)
				return false;
		} else if (c == ',' || c == '{' || c == '[') {
			if (++values > most)
				return false;
		}
	}
	return true;
}

/* The body as an object, or NULL. */
static cJSON *parse(const uint8_t *body, size_t bytes, size_t items)
{
	const char *text = (const char *)body, *end;
	cJSON *tree;

	if (!few_values(text, bytes, BASE_VALUES + items * ITEM_VALUES))
		return NULL;
	tree = cJSON_ParseWithLengthOpts(text, bytes, &end, false);
	if (!tree)
		return NULL;
	while (end < text + bytes && strchr(" \t\r\n", *end) && *end != '\0')
		end++;
	if (end == text + bytes && cJSON_IsObject(tree))
		return tree;
	cJSON_Delete(tree);
	return NULL;
}

static const cJSON *member(const cJSON *object, const char *name)
{
	return cJSON_IsObject(object) ? cJSON_GetObjectItemCaseSensitive(object, name) : NULL;
}

/* The value of an item's attribute of that type, or NULL. */
static const char *attribute(const cJSON *item, const char *name, const char *type)
{
	return cJSON_GetStringValue(member(member(item, name), type));
}

static bool names(const struct dynamodb_table *table, const struct engine_name *name, const char *d,
		  const char *l)
{
	size_t prefix = strlen(table->prefix);

	if (prefix > 0) {
		if (strncmp(d, table->prefix, prefix) != 0 || d[prefix] != '/')
			return false;
		d += prefix + 1;
	}
	return strcmp(d, name->dir) == 0 && strcmp(l, name->leaf) == 0;
}

/* Bytes that the base64 stands for, or -1 if it is none. */
static long base64_bytes(const char *text, size_t chars)
{
	static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
				       "0123456789+/";
	size_t good = strspn(text, alphabet), pads = chars - good;

	if (chars % 4 != 0 || pads > 2 || strspn(text + good, "=") != pads)
		return -1;
	return (long)(chars / 4 * 3 - pads);
}

/* Bytes [offset, offset + bytes) of the content, of which only the blocks that have some of them
 * are decoded. Returns how many there are, or -1. */
static long content_cut(const char *text, size_t offset, size_t bytes, uint8_t *to)
{
	unsigned char block[BASE64_BLOCK / 4 * 3];
	size_t chars = strlen(text);
	long size = base64_bytes(text, chars);
	size_t got = 0, from;

	if (size < 0 || size > (long)DYNAMODB_ITEM_BYTES)
		return -1;
	if (offset >= (size_t)size)
		return 0;
	if (bytes > (size_t)size - offset)
		bytes = (size_t)size - offset;
	for (from = offset / sizeof(block); got < bytes; from++) {
		size_t at = from * BASE64_BLOCK;
		size_t piece = chars - at < BASE64_BLOCK ? chars - at : BASE64_BLOCK;
		size_t skip = got == 0 ? offset % sizeof(block) : 0;
		size_t take = sizeof(block) - skip;

		if (take > bytes - got)
			take = bytes - got;
		if (EVP_DecodeBlock(block, (const unsigned char *)text + at, (int)piece) < 0)
			return -1;
		memcpy(to + got, block + skip, take);
		got += take;
	}
	return (long)got;
}

static int content_take(struct engine_item *item, const cJSON *found)
{
	const cJSON *b = member(found, "b");
	const char *text = attribute(found, "b", "B");
	long got;

	/* An empty content is none at all. */
	if (!b)
		text = "";
	if (!text)
		return -EPROTO;
	got = content_cut(text, item->offset, item->bytes, item->to);
	if (got < 0)
		return -EPROTO;
	item->got = (uint32_t)got;
	item->result = 0;
	return 0;
}

/* The part's items that the key names become `result`, or get their contents from it. A1. */
static int item_take(const struct dynamodb_table *table, struct dynamodb_part *part,
		     const cJSON *key, int result)
{
	const char *d = attribute(key, "d", "S"), *l = attribute(key, "l", "S");
	uint32_t found = 0;

	if (!d || !l)
		return -EPROTO;
	for (uint32_t i = 0; i < part->count; i++) {
		struct engine_item *item = part->items[i];

		if (!names(table, &item->name, d, l))
			continue;
		found++;
		item->result = result;
		if (result == 0 && content_take(item, key) != 0)
			return -EPROTO;
	}
	return found > 0 ? 0 : -EPROTO;
}

static void all_become(struct dynamodb_part *part, int result)
{
	for (uint32_t i = 0; i < part->count; i++) {
		part->items[i]->result = result;
		part->items[i]->got = 0;
	}
}

static int get_take(const struct dynamodb_table *table, struct dynamodb_part *part,
		    const cJSON *tree, char *why)
{
	const cJSON *item = member(tree, "Item");

	all_become(part, -ENOENT);
	if (item && item_take(table, part, item, 0) != 0)
		return broken(why, "GetItem's item is another, or its content no base64");
	return 0;
}

static int gets_take(const struct dynamodb_table *table, struct dynamodb_part *part,
		     const cJSON *tree, char *why)
{
	const cJSON *responses = member(tree, "Responses");
	const cJSON *left = member(member(tree, "UnprocessedKeys"), table->name);
	const cJSON *items = member(responses, table->name), *keys = member(left, "Keys"), *item;

	if (!cJSON_IsObject(responses) || (items && !cJSON_IsArray(items)) ||
	    (left && !cJSON_IsArray(keys)))
		return broken(why, "BatchGetItem says nothing of the items");
	all_become(part, -ENOENT);
	cJSON_ArrayForEach(item, items)
	{
		if (item_take(table, part, item, 0) != 0)
			return broken(why, "BatchGetItem has an item that was not asked for, or "
					   "a content that is no base64");
	}
	cJSON_ArrayForEach(item, keys)
	{
		if (item_take(table, part, item, -EBUSY) != 0)
			return broken(why, "BatchGetItem's unprocessed keys are others");
	}
	return 0;
}

static int writes_take(const struct dynamodb_table *table, struct dynamodb_part *part,
		       const cJSON *tree, char *why)
{
	const cJSON *unprocessed = member(tree, "UnprocessedItems"), *write;
	const cJSON *left = member(unprocessed, table->name);
	bool puts = part->action == DYNAMODB_PUT_BATCH;

	if (!cJSON_IsObject(unprocessed) || (left && !cJSON_IsArray(left)))
		return broken(why, "BatchWriteItem does not say what it left out");
	all_become(part, 0);
	cJSON_ArrayForEach(write, left)
	{
		const cJSON *key = puts ? member(member(write, "PutRequest"), "Item")
					: member(member(write, "DeleteRequest"), "Key");

		if (item_take(table, part, key, -EBUSY) != 0)
			return broken(why, "BatchWriteItem's unprocessed items are others");
	}
	return 0;
}

static bool leaf_is_ours(const char *leaf)
{
	static const char safe[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
				   "0123456789._-";
	size_t bytes = strspn(leaf, safe);

	return bytes > 0 && bytes < ENGINE_LEAF_BYTES && leaf[bytes] == '\0';
}

static int leaves_take(struct engine_list *list, const cJSON *items)
{
	const cJSON *item;

	cJSON_ArrayForEach(item, items)
	{
		const char *last = list->count > 0 ? list->leaf[list->count - 1] : list->after;
		const char *leaf = attribute(item, "l", "S");

		if (!leaf || strcmp(leaf, last) <= 0)
			return -EPROTO;
		if (!leaf_is_ours(leaf))
			continue;
		if (list->count == list->max) {
			list->more = true;
			break;
		}
		snprintf(list->leaf[list->count++], ENGINE_LEAF_BYTES, "%s", leaf);
	}
	return 0;
}

/* A2 */
static int page_take(struct dynamodb_part *part, const cJSON *tree, char *why)
{
	const cJSON *items = member(tree, "Items"), *last = member(tree, "LastEvaluatedKey");
	char start[DYNAMODB_START_BYTES];

	if (!cJSON_IsArray(items))
		return broken(why, "Query has no items");
	if (leaves_take(part->list, items) != 0)
		return broken(why, "Query's leaves are not in order");
	start[0] = '\0';
	if (!part->list->more && last) {
		if (!attribute(last, "d", "S") || !attribute(last, "l", "S") ||
		    !cJSON_PrintPreallocated((cJSON *)last, start, sizeof(start), false))
			return broken(why, "Query's LastEvaluatedKey is no key");
		if (strcmp(start, part->start) == 0)
			return broken(why, "Query's pages do not go on");
	}
	memcpy(part->start, start, sizeof(start));
	return 0;
}

int dynamodb_answer_take(const struct dynamodb_table *table, struct dynamodb_part *part,
			 const uint8_t *body, size_t bytes, char *why)
{
	size_t items = part->action == DYNAMODB_QUERY ? DYNAMODB_PAGE_MAX : part->count;
	cJSON *tree = parse(body, bytes, items);
	int err = 0;

	if (!tree)
		return broken(why, "it is no JSON, or far more than was asked for");
	if (part->action == DYNAMODB_QUERY)
		err = page_take(part, tree, why);
	else if (part->action == DYNAMODB_GET)
		err = get_take(table, part, tree, why);
	else if (part->action == DYNAMODB_GET_BATCH)
		err = gets_take(table, part, tree, why);
	else if (writes(part))
		err = writes_take(table, part, tree, why);
	else
		all_become(part, 0);
	cJSON_Delete(tree);
	return err;
}

struct refusal {
	const char *name;
	int error;
	const char *say; /* NULL: what DynamoDB says */
};

#define SLOWER	   "it is asked more than its throughput allows"
#define CREDENTIAL "check the access key, the secret key and the session token"
#define RIGHTS                                                                                     \
	"the access key has no right for it; it needs GetItem, BatchGetItem, PutItem, "            \
	"BatchWriteItem and Query on the table"
#define EXPIRED	 "the session token has expired; put a new one into the credentials and restart"
#define SIGNING	 "the signature does not fit; check the secret key, the region and this clock"
#define FULL	 "a limit of the account or of the table is reached"
#define NO_TABLE "there is no such table; create it, with the keys d and l (docs/engines.md)"

static const struct refusal refusals[] = {
	{"ProvisionedThroughputExceededException", -EBUSY, SLOWER},
	{"ThrottlingException", -EBUSY, SLOWER},
	{"Throttling", -EBUSY, SLOWER},
	{"RequestLimitExceeded", -EBUSY, SLOWER},
	{"TransactionConflictException", -EBUSY, SLOWER},
	{"ReplicatedWriteConflictException", -EBUSY, SLOWER},
	{"AccessDeniedException", -EACCES, RIGHTS},
	{"AccessDenied", -EACCES, RIGHTS},
	{"UnrecognizedClientException", -EACCES, CREDENTIAL},
	{"InvalidClientTokenId", -EACCES, CREDENTIAL},
	{"MissingAuthenticationTokenException", -EACCES, CREDENTIAL},
	{"MissingAuthenticationToken", -EACCES, CREDENTIAL},
	{"IncompleteSignatureException", -EACCES, CREDENTIAL},
	{"OptInRequired", -EACCES, "the account is not signed up for it"},
	{"ExpiredTokenException", -EACCES, EXPIRED},
	{"ExpiredToken", -EACCES, EXPIRED},
	{"InvalidSignatureException", -EACCES, SIGNING},
	{"SignatureDoesNotMatch", -EACCES, SIGNING},
	{"RequestExpired", -EACCES, SIGNING},
	{"ResourceNotFoundException", -EACCES, NO_TABLE},
	{"ResourceInUseException", -EBUSY, "the table is being made or changed"},
	{"ItemCollectionSizeLimitExceededException", -ENOSPC, FULL},
	{"LimitExceededException", -ENOSPC, FULL},
	{"InternalServerError", -ENOTCONN, "it failed inside"},
	{"InternalFailure", -ENOTCONN, "it failed inside"},
	{"ServiceUnavailable", -EBUSY, "it is not available for the moment"},
	{"ServiceUnavailableException", -EBUSY, "it is not available for the moment"},
	{"ValidationException", -EPROTO, NULL},
};

static const struct refusal *refusal_find(const char *name)
{
	for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++)
		if (strcmp(refusals[i].name, name) == 0)
			return &refusals[i];
	return NULL;
}

/* Without __type, or with one that nobody knows: the status alone. */
static int status_error(uint32_t status)
{
	if (status == 401 || status == 403 || status == 407)
		return -EACCES;
	if (status == 429 || status == 503)
		return -EBUSY;
	return status >= 500 ? -ENOTCONN : -EPROTO;
}

/* At most `room` bytes with the NUL, of which none can disturb a terminal or a log. */
static void clean_copy(char *to, size_t room, const char *text)
{
	size_t i;

	for (i = 0; i + 1 < room && text[i] != '\0'; i++)
		to[i] = text[i] >= ' ' && text[i] <= '~' ? text[i] : '?';
	to[i] = '\0';
}

/* A4: only of a ValidationException, which comes when the signature has been found good. */
static void say(char *why, const struct dynamodb_table *table, const struct dynamodb_part *part,
		const char *what, const char *name)
{
	snprintf(why, ENGINE_WHY_BYTES, "DynamoDB table %s: %s was refused: %s (%s)", table->name,
		 dynamodb_action_name(part->action), what, name);
}

static int validation_error(const struct dynamodb_table *table, const struct dynamodb_part *part,
			    const char *name, const char *message, char *why)
{
	char text[256];

	clean_copy(text, sizeof(text), message ? message : "it does not say why");
	say(why, table, part, text, name);
	return strstr(text, "Item size has exceeded") ? -E2BIG : -EPROTO;
}

static int named_error(const struct dynamodb_table *table, const struct dynamodb_part *part,
		       uint32_t status, const cJSON *tree, char *why)
{
	const char *type = cJSON_GetStringValue(member(tree, "__type"));
	const char *message = cJSON_GetStringValue(member(tree, "message"));
	const char *mark = type ? strchr(type, '#') : NULL;
	const struct refusal *refusal;
	char name[64];

	snprintf(why, ENGINE_WHY_BYTES, "DynamoDB table %s: %s was answered with status %u",
		 table->name, dynamodb_action_name(part->action), status);
	if (!type)
		return status_error(status);
	clean_copy(name, sizeof(name), mark ? mark + 1 : type);
	if (strcmp(name, "ConditionalCheckFailedException") == 0 &&
	    part->action == DYNAMODB_PUT_NEW)
		return -EEXIST;
	refusal = refusal_find(name);
	if (!refusal) {
		say(why, table, part, "this abaft does not know why", name);
		return status_error(status);
	}
	if (!refusal->say)
		return validation_error(table, part, name, message, why);
	say(why, table, part, refusal->say, name);
	return refusal->error;
}

int dynamodb_answer_error(const struct dynamodb_table *table, const struct dynamodb_part *part,
			  uint32_t status, const uint8_t *body, size_t bytes, char *why)
{
	cJSON *tree = parse(body, bytes, 0);
	int err = named_error(table, part, status, tree, why);

	cJSON_Delete(tree);
	return err;
}
