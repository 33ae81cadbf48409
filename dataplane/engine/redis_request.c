/* SPDX-License-Identifier: Apache-2.0 */
/*
 * redis_request.c - the commands, as bytes. Formatted here and not by hiredis, which would allocate
 * memory and copy a value twice for each.
 *
 *	an object	PREFIX:{DIR}:LEAF	a string
 *	its index	PREFIX:{DIR}		a sorted set of the leaves, all of score 0
 *
 * PREFIX and its colon are left out when there is none. The braces make a directory's keys share a
 * slot of a cluster. None of the parts can have a colon or a brace in it (engine.h).
 */
#include "dataplane/engine/redis_impl.h"

#include <stdio.h>
#include <string.h>

/* Of a command's own words, with the lengths of all that it has but a LIST's keys. */
#define WORDS_BYTES  512
#define HEADER_BYTES 24

struct out {
	uint8_t *at;
};

static void put_header(struct out *out, char kind, size_t number)
{
	char digits[20];
	size_t count = 0;

	do {
		digits[count++] = (char)('0' + number % 10);
		number /= 10;
	} while (number > 0);
	*out->at++ = (uint8_t)kind;
	while (count > 0)
		*out->at++ = (uint8_t)digits[--count];
	*out->at++ = '\r';
	*out->at++ = '\n';
}

static void put_bytes(struct out *out, const void *bytes, size_t count)
{
	put_header(out, '$', count);
	if (count > 0)
		memcpy(out->at, bytes, count);
	out->at += count;
	*out->at++ = '\r';
	*out->at++ = '\n';
}

static void put_text(struct out *out, const char *text)
{
	put_bytes(out, text, strlen(text));
}

static void put_number(struct out *out, uint64_t number)
{
	char text[24];

	put_bytes(out, text,
		  (size_t)snprintf(text, sizeof(text), "%llu", (unsigned long long)number));
}

static char *append(char *to, const char *from, size_t max)
{
	size_t bytes = strnlen(from, max);

	memcpy(to, from, bytes);
	return to + bytes;
}

/* `leaf` NULL: the index. */
static void put_key(const struct redis_driver *driver, struct out *out, const char *dir,
		    const char *leaf)
{
	char key[REDIS_KEY_BYTES], *end = key;

	end = append(end, driver->prefix, sizeof(driver->prefix));
	if (end > key)
		*end++ = ':';
	*end++ = '{';
	end = append(end, dir, ENGINE_DIR_BYTES);
	*end++ = '}';
	if (leaf != NULL) {
		*end++ = ':';
		end = append(end, leaf, ENGINE_LEAF_BYTES);
	}
	put_bytes(out, key, (size_t)(end - key));
}

static void put_leaf(struct out *out, const char *leaf)
{
	put_bytes(out, leaf, strnlen(leaf, ENGINE_LEAF_BYTES));
}

static void put_object(const struct redis_driver *driver, struct out *out,
		       const struct engine_name *name)
{
	put_key(driver, out, name->dir, name->leaf);
}

static void put_range(const struct redis_driver *driver, struct out *out,
		      const struct engine_item *item)
{
	put_header(out, '*', 4);
	put_text(out, "GETRANGE");
	put_object(driver, out, &item->name);
	put_number(out, item->offset);
	put_number(out, (uint64_t)item->offset + item->bytes - 1);
}

static void put_set(const struct redis_driver *driver, struct out *out,
		    const struct engine_item *item, bool fresh)
{
	put_header(out, '*', fresh ? 4 : 3);
	put_text(out, "SET");
	put_object(driver, out, &item->name);
	put_bytes(out, item->data, item->bytes);
	if (fresh)
		put_text(out, "NX");
}

static void put_names(const struct redis_driver *driver, struct out *out,
		      const struct redis_work *work)
{
	const struct engine_list *list = work->op->list;
	char from[ENGINE_LEAF_BYTES + 1];
	uint32_t want = list->max - list->count;

	snprintf(from, sizeof(from), "%s%.*s", work->after[0] == '\0' ? "-" : "(",
		 (int)sizeof(work->after) - 1, work->after);
	put_header(out, '*', 7);
	put_text(out, "ZRANGEBYLEX");
	put_key(driver, out, list->dir, NULL);
	put_text(out, from);
	put_text(out, "+");
	put_text(out, "LIMIT");
	put_number(out, 0);
	put_number(out, (want < REDIS_LIST_MAX ? want : REDIS_LIST_MAX) + 1);
}

static void put_all_exist(const struct redis_driver *driver, struct out *out,
			  const struct redis_work *work)
{
	const struct engine_list *list = work->op->list;

	put_header(out, '*', 1 + (size_t)work->fresh);
	put_text(out, "EXISTS");
	for (uint32_t i = 0; i < work->fresh; i++)
		put_key(driver, out, list->dir, list->leaf[list->count + i]);
}

static void put_one_exists(const struct redis_driver *driver, struct out *out,
			   const struct redis_request *request)
{
	const struct engine_list *list = request->work->op->list;

	put_header(out, '*', 2);
	put_text(out, "EXISTS");
	put_key(driver, out, list->dir, list->leaf[list->count + request->item]);
}

static void put_auth(const struct redis_driver *driver, struct out *out)
{
	bool named = driver->user[0] != '\0';

	put_header(out, '*', named ? 3 : 2);
	put_text(out, "AUTH");
	if (named)
		put_text(out, driver->user);
	put_text(out, driver->password);
}

/* VERB KEY, or with an index VERB INDEX [SCORE] LEAF. */
static void put_name(const struct redis_driver *driver, struct out *out, const char *verb,
		     const struct engine_name *name, bool index, bool score)
{
	put_header(out, '*', index ? (score ? 4 : 3) : 2);
	put_text(out, verb);
	put_key(driver, out, name->dir, index ? NULL : name->leaf);
	if (score)
		put_text(out, "0");
	if (index)
		put_leaf(out, name->leaf);
}

static void put_words(struct out *out, const char *first, const char *second)
{
	put_header(out, '*', second == NULL ? 1 : 2);
	put_text(out, first);
	if (second != NULL)
		put_text(out, second);
}

size_t redis_request_room(const struct redis_driver *driver, const struct redis_request *request)
{
	size_t room = WORDS_BYTES + 2 * REDIS_KEY_BYTES;

	if (request->command == REDIS_SET || request->command == REDIS_SET_NEW)
		return room + request->work->op->items[request->item].bytes;
	if (request->command == REDIS_ALL_EXIST)
		return room + (size_t)request->work->fresh * (REDIS_KEY_BYTES + HEADER_BYTES);
	if (request->command == REDIS_AUTH)
		return room + sizeof(driver->user) + sizeof(driver->password);
	return room;
}

size_t redis_request_format(const struct redis_driver *driver, const struct redis_request *request,
			    uint8_t *to)
{
	struct out out = {to};
	const struct engine_item *item = NULL;

	if (request->work != NULL && request->work->op->items != NULL)
		item = &request->work->op->items[request->item];
	switch ((enum redis_command)request->command) {
	case REDIS_INDEX_ADD:
		put_name(driver, &out, "ZADD", &item->name, true, true);
		break;
	case REDIS_SET:
	case REDIS_SET_NEW:
		put_set(driver, &out, item, request->command == REDIS_SET_NEW);
		break;
	case REDIS_GET:
		put_range(driver, &out, item);
		break;
	case REDIS_EXISTS:
		put_name(driver, &out, "EXISTS", &item->name, false, false);
		break;
	case REDIS_UNLINK:
		put_name(driver, &out, "UNLINK", &item->name, false, false);
		break;
	case REDIS_INDEX_REMOVE:
		put_name(driver, &out, "ZREM", &item->name, true, false);
		break;
	case REDIS_NAMES:
		put_names(driver, &out, request->work);
		break;
	case REDIS_ALL_EXIST:
		put_all_exist(driver, &out, request->work);
		break;
	case REDIS_ONE_EXISTS:
		put_one_exists(driver, &out, request);
		break;
	case REDIS_ASKING:
		put_words(&out, "ASKING", NULL);
		break;
	case REDIS_AUTH:
		put_auth(driver, &out);
		break;
	case REDIS_HELLO:
		put_words(&out, "HELLO", "2");
		break;
	case REDIS_ROLE:
		put_words(&out, "ROLE", NULL);
		break;
	case REDIS_MAP:
		put_words(&out, "CLUSTER", "SLOTS");
		break;
	}
	return (size_t)(out.at - to);
}

const char *redis_request_name(const struct redis_request *request)
{
	static const char *const names[] = {
		[REDIS_INDEX_ADD] = "ZADD",    [REDIS_SET] = "SET",
		[REDIS_SET_NEW] = "SET NX",    [REDIS_GET] = "GETRANGE",
		[REDIS_EXISTS] = "EXISTS",     [REDIS_UNLINK] = "UNLINK",
		[REDIS_INDEX_REMOVE] = "ZREM", [REDIS_NAMES] = "ZRANGEBYLEX",
		[REDIS_ALL_EXIST] = "EXISTS",  [REDIS_ONE_EXISTS] = "EXISTS",
		[REDIS_ASKING] = "ASKING",     [REDIS_AUTH] = "AUTH",
		[REDIS_HELLO] = "HELLO",       [REDIS_ROLE] = "ROLE",
		[REDIS_MAP] = "CLUSTER SLOTS",
	};

	return names[request->command];
}
