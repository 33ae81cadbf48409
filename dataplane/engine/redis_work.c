/* SPDX-License-Identifier: Apache-2.0 */
/*
 * redis_work.c - operations: which commands each is made of, in which order, and why half of them
 * does no harm.
 *
 *	PUT	ZADD index 0 leaf; SET object data	pipelined: one round trip
 *	PUT_NEW	ZADD index 0 leaf; SET object data NX	the same
 *	DELETE	UNLINK object; ZREM index leaf		the same
 *	GET	GETRANGE; when it brings nothing EXISTS: is the object empty, or not there?
 *	LIST	ZRANGEBYLEX of the index; EXISTS of all these objects at once; if some are not
 *there, EXISTS of each
 *
 * W1. An object's name is in the index for as long as the object is there: added before, removed
 *     after, on one connection, whose commands are done in order. A server that loses its last
 *     commands, by a crash or in favour of a replica, loses them in order too. So nobody ever finds
 *     a name taken (PUT_NEW) that no LIST shows.
 * W2. A name without an object is what is left of a PUT that nobody was told of, or of a DELETE.
 *     LIST leaves it out. The next PUT or DELETE of the name finds it in order.
 * W3. An item is done when both answers are there and good: with W1 and W2 a LIST that begins then
 *     shows it (N4). Else the next try does both again, and doing them twice changes nothing.
 * W4. -EEXIST counts only when the name is in the index for sure; else it is an error that is tried
 *     again. The service may find its own bytes there and call it done (N2).
 *
 * W1 has a gap: where one command of a pair goes to another server than the other (while the slot
 * moves), or is refused and the other, a moment later, is not. The next try closes it. If there is
 * none, as the node died in that moment, there may be an object that nobody was told of, or that
 *was to be deleted, and that LIST misses. A transaction (MULTI) has no gap, but fails for as long
 *as the slot moves, so that commits would stop.
 */
#include "dataplane/engine/redis_impl.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* About a command's bytes beside those of a value. */
#define COMMAND_WEIGHT 256

static bool is_list(const struct redis_work *work)
{
	return work->op->verb == ENGINE_LIST;
}

/* What another try would not change. */
static bool is_final(int error)
{
	return error == -ENOENT || error == -EEXIST;
}

static void note_error(struct redis_work *work, int error)
{
	if (work->error == 0 || (is_final(work->error) && !is_final(error)))
		work->error = error;
}

static void fail_item(struct redis_work *work, uint32_t item, int error)
{
	note_error(work, error);
	if (is_list(work))
		return;
	/* W4. */
	if (work->op->items[item].result == -EINPROGRESS || !is_final(error))
		work->op->items[item].result = error;
}

static void release(struct redis_request *request)
{
	request->work->outstanding--;
	LIST_REMOVE(request, of_work);
	free(request);
}

static void end(struct redis_driver *driver, struct redis_work *work)
{
	struct engine_op *op = work->op;
	int result = work->error;

	for (uint32_t i = 0; !is_list(work) && i < op->count; i++)
		if (op->items[i].result == -EINPROGRESS)
			op->items[i].result = result;
	TAILQ_REMOVE(&driver->works, work, on_driver);
	free(work);
	driver->ended = true;
	driver->base.end(driver->base.end_arg, op, result);
}

static void add(struct redis_link *link, struct redis_work *work, enum redis_command command,
		uint32_t item, uint32_t value)
{
	struct redis_request *request = calloc(1, sizeof(*request));

	if (request == NULL) {
		fail_item(work, item, -ENOMEM);
		return;
	}
	request->work = work;
	request->until_us = work->op->own.try_until_us;
	request->item = item;
	request->weight = COMMAND_WEIGHT + value;
	request->command = (uint8_t)command;
	LIST_INSERT_HEAD(&work->requests, request, of_work);
	work->outstanding++;
	redis_link_add(link, request);
}

static void add_item(struct redis_driver *driver, struct redis_work *work, uint32_t index)
{
	const struct engine_item *item = &work->op->items[index];
	struct redis_link *link = redis_node_link(driver, redis_node_of(driver, item->name.dir));

	work->missing[index] = 2;
	switch (work->op->verb) {
	case ENGINE_PUT:
		add(link, work, REDIS_INDEX_ADD, index, 0);
		add(link, work, REDIS_SET, index, item->bytes);
		break;
	case ENGINE_PUT_NEW:
		add(link, work, REDIS_INDEX_ADD, index, 0);
		add(link, work, REDIS_SET_NEW, index, item->bytes);
		break;
	case ENGINE_DELETE:
		add(link, work, REDIS_UNLINK, index, 0);
		add(link, work, REDIS_INDEX_REMOVE, index, 0);
		break;
	default:
		work->missing[index] = 1;
		add(link, work, item->bytes > 0 ? REDIS_GET : REDIS_EXISTS, index, item->bytes);
	}
}

static void add_list(struct redis_driver *driver, struct redis_work *work,
		     enum redis_command command, uint32_t item)
{
	struct redis_node *node = redis_node_of(driver, work->op->list->dir);

	add(redis_node_link(driver, node), work, command, item, 0);
}

/* As many of what is still to be asked for as may be asked at a time. */
static void fill(struct redis_driver *driver, struct redis_work *work)
{
	uint32_t count = is_list(work) ? work->fresh : work->op->count;

	while (work->next < count && work->outstanding + 2 <= REDIS_WORK_REQUESTS_MAX &&
	       (work->error == 0 || is_final(work->error))) {
		uint32_t item = work->next++;

		if (is_list(work))
			add_list(driver, work, REDIS_ONE_EXISTS, item);
		else if (work->op->items[item].result == -EINPROGRESS)
			add_item(driver, work, item);
	}
}

static void ask_names(struct redis_driver *driver, struct redis_work *work)
{
	work->fresh = work->next = 0;
	work->checking = false;
	add_list(driver, work, REDIS_NAMES, 0);
	engine_count(&driver->base.counters->round_trips, 1);
}

/* Takes out the names without an object (W2): those that are "" now. */
static void end_part(struct redis_driver *driver, struct redis_work *work)
{
	struct engine_list *list = work->op->list;
	uint32_t first = list->count;

	for (uint32_t i = first; i < first + work->fresh; i++) {
		if (list->leaf[i][0] == '\0')
			continue;
		memmove(list->leaf[list->count++], list->leaf[i], sizeof(list->leaf[i]));
	}
	list->more = work->more;
	if (work->more && list->count < list->max)
		ask_names(driver, work);
}

static void step(struct redis_driver *driver, struct redis_work *work)
{
	bool checking = work->checking;

	if (!is_list(work) || checking)
		fill(driver, work);
	if (work->outstanding == 0 && checking && work->error == 0)
		end_part(driver, work);
	if (work->outstanding == 0)
		end(driver, work);
}

void redis_work_begin(struct redis_driver *driver, struct engine_op *op)
{
	uint32_t count = op->verb == ENGINE_LIST ? 0 : op->count;
	struct redis_work *work = calloc(1, sizeof(*work) + count);

	if (work == NULL) {
		for (uint32_t i = 0; i < count; i++)
			if (op->items[i].result == -EINPROGRESS)
				op->items[i].result = -ENOMEM;
		driver->base.end(driver->base.end_arg, op, -ENOMEM);
		return;
	}
	work->op = op;
	LIST_INIT(&work->requests);
	TAILQ_INSERT_TAIL(&driver->works, work, on_driver);
	if (op->own.try_until_us < driver->deadline_us)
		driver->deadline_us = op->own.try_until_us;
	if (is_list(work)) {
		op->list->count = 0;
		op->list->more = false;
		memcpy(work->after, op->list->after, sizeof(work->after));
		ask_names(driver, work);
	} else {
		engine_count(&driver->base.counters->round_trips, 1);
	}
	step(driver, work);
}

void redis_work_abandon(struct redis_driver *driver, struct redis_work *work, int error)
{
	struct redis_request *request;

	while ((request = LIST_FIRST(&work->requests)) != NULL) {
		LIST_REMOVE(request, of_work);
		request->work = NULL;
		if (!request->sent)
			redis_link_drop(request->link, request);
	}
	note_error(work, error);
	end(driver, work);
}

void redis_work_lost(struct redis_driver *driver, struct redis_request *request, int error)
{
	struct redis_work *work = request->work;

	fail_item(work, request->item, error);
	release(request);
	step(driver, work);
}

static void broken(struct redis_driver *driver, struct redis_link *link,
		   const struct redis_request *request)
{
	redis_why(driver, link->node, "its answer to %s makes no sense: is it a Redis server?",
		  redis_request_name(request));
	fail_item(request->work, request->item, -EPROTO);
}

static void answered(struct redis_work *work, uint32_t index)
{
	struct engine_item *item = &work->op->items[index];

	if (--work->missing[index] == 0 && item->result == -EINPROGRESS)
		item->result = 0;
}

static void take_set(struct redis_driver *driver, struct redis_link *link,
		     struct redis_request *request, const struct redisReply *reply)
{
	struct redis_work *work = request->work;
	bool fresh = request->command == REDIS_SET_NEW;

	if (reply->type == REDIS_REPLY_STATUS && strcmp(reply->str, "OK") == 0)
		engine_count(&driver->base.counters->put_bytes,
			     work->op->items[request->item].bytes);
	else if (reply->type == REDIS_REPLY_NIL && fresh)
		fail_item(work, request->item, -EEXIST);
	else
		broken(driver, link, request);
	answered(work, request->item);
}

static void take_bytes(struct redis_driver *driver, struct redis_link *link,
		       struct redis_request *request, const struct redisReply *reply)
{
	struct redis_work *work = request->work;
	struct engine_item *item = &work->op->items[request->item];

	if (reply->type != REDIS_REPLY_STRING || reply->len > item->bytes) {
		broken(driver, link, request);
	} else if (reply->len == 0) {
		add(redis_node_link(driver, redis_node_of(driver, item->name.dir)), work,
		    REDIS_EXISTS, request->item, 0);
		engine_count(&driver->base.counters->round_trips, 1);
	} else {
		memcpy(item->to, reply->str, reply->len);
		item->got = (uint32_t)reply->len;
		engine_count(&driver->base.counters->get_bytes, reply->len);
		answered(work, request->item);
	}
}

static void take_number(struct redis_driver *driver, struct redis_link *link,
			struct redis_request *request, const struct redisReply *reply)
{
	struct redis_work *work = request->work;

	if (reply->type != REDIS_REPLY_INTEGER || reply->integer < 0 || reply->integer > 1) {
		broken(driver, link, request);
	} else if (request->command == REDIS_EXISTS) {
		if (reply->integer == 0)
			fail_item(work, request->item, -ENOENT);
		work->op->items[request->item].got = 0;
	}
	answered(work, request->item);
}

static bool is_leaf(const struct redisReply *reply, const char *after)
{
	if (reply->type != REDIS_REPLY_STRING || reply->len == 0 ||
	    reply->len >= ENGINE_LEAF_BYTES || strcmp(reply->str, after) <= 0)
		return false;
	for (size_t i = 0; i < reply->len; i++)
		if (!isalnum((unsigned char)reply->str[i]) &&
		    memchr("._-", reply->str[i], 3) == NULL)
			return false;
	return true;
}

static void take_names(struct redis_driver *driver, struct redis_link *link,
		       struct redis_request *request, const struct redisReply *reply)
{
	struct redis_work *work = request->work;
	struct engine_list *list = work->op->list;
	uint32_t want = list->max - list->count;

	if (want > REDIS_LIST_MAX)
		want = REDIS_LIST_MAX;
	if (reply->type != REDIS_REPLY_ARRAY || reply->elements > (size_t)want + 1) {
		broken(driver, link, request);
		return;
	}
	work->more = reply->elements > want;
	for (size_t i = 0; i < reply->elements && i < want; i++) {
		const struct redisReply *name = reply->element[i];

		if (!is_leaf(name, work->after)) {
			broken(driver, link, request);
			return;
		}
		memcpy(work->after, name->str, name->len + 1);
		memcpy(list->leaf[list->count + work->fresh++], name->str, name->len + 1);
	}
	if (work->fresh == 0) {
		list->more = work->more;
		return;
	}
	add_list(driver, work, REDIS_ALL_EXIST, 0);
	engine_count(&driver->base.counters->round_trips, 1);
}

static void check_each(struct redis_driver *driver, struct redis_work *work)
{
	work->checking = true;
	engine_count(&driver->base.counters->round_trips, 1);
}

static void take_check(struct redis_driver *driver, struct redis_link *link,
		       struct redis_request *request, const struct redisReply *reply)
{
	struct redis_work *work = request->work;
	struct engine_list *list = work->op->list;
	uint32_t asked = request->command == REDIS_ALL_EXIST ? work->fresh : 1;

	if (reply->type != REDIS_REPLY_INTEGER || reply->integer < 0 || reply->integer > asked)
		broken(driver, link, request);
	else if (request->command == REDIS_ONE_EXISTS && reply->integer == 0)
		list->leaf[list->count + request->item][0] = '\0';
	else if (request->command == REDIS_ALL_EXIST && reply->integer < asked)
		check_each(driver, work);
	else if (request->command == REDIS_ALL_EXIST)
		end_part(driver, work);
}

/* True: it goes on elsewhere. */
static bool redirect(struct redis_driver *driver, struct redis_link *link,
		     struct redis_request *request, const struct redisReply *reply,
		     enum redis_meaning meaning)
{
	struct redis_link *next = redis_node_redirect(driver, link, reply, meaning);

	if (next == NULL || request->redirects == REDIS_REDIRECTS_MAX)
		return false;
	request->redirects++;
	request->asking = meaning == REDIS_ASK;
	engine_count(&driver->base.counters->round_trips, 1);
	redis_link_add(next, request);
	return true;
}

/* Links to a server that may not be written to any more, or that has forgotten who we are, have to
 * begin anew. */
static void begin_anew(struct redis_node *node, int error)
{
	for (uint32_t i = 0; i < REDIS_LINKS_MAX; i++)
		if (node->links[i].state == REDIS_READY)
			node->links[i].doomed = error;
}

static void take_error(struct redis_driver *driver, struct redis_link *link,
		       struct redis_request *request, const struct redisReply *reply)
{
	struct redis_error error = redis_error_of(reply->str, reply->len);
	const char *arguments = memmem(reply->str, reply->len, ", with args", 11);
	size_t bytes = arguments == NULL ? reply->len : (size_t)(arguments - reply->str);
	char text[ENGINE_WHY_BYTES / 4];

	redis_error_print(text, sizeof(text), reply->str, bytes);
	if (error.meaning != REDIS_FAILED) {
		error.error = -EBUSY;
		error.advice = "it sends from one server to another without end: see redis-cli "
			       "--cluster check";
	}
	redis_why(driver, link->node, "%s: %s: %s", redis_request_name(request), text,
		  error.advice);
	if (strncmp(text, "READONLY", 8) == 0 || strncmp(text, "NOAUTH", 6) == 0)
		begin_anew(link->node, error.error);
	if (request->command == REDIS_ALL_EXIST && strncmp(text, "TRYAGAIN", 8) == 0)
		check_each(driver, request->work);
	else
		fail_item(request->work, request->item, error.error);
	if (!is_list(request->work))
		answered(request->work, request->item);
}

void redis_work_answer(struct redis_driver *driver, struct redis_link *link,
		       struct redis_request *request, struct redisReply *reply)
{
	struct redis_work *work = request->work;
	enum redis_meaning meaning = REDIS_FAILED;

	if (reply->type == REDIS_REPLY_ERROR) {
		meaning = redis_error_of(reply->str, reply->len).meaning;
		if (meaning != REDIS_FAILED && redirect(driver, link, request, reply, meaning))
			return;
		take_error(driver, link, request, reply);
	} else if (request->command == REDIS_SET || request->command == REDIS_SET_NEW) {
		take_set(driver, link, request, reply);
	} else if (request->command == REDIS_GET) {
		take_bytes(driver, link, request, reply);
	} else if (request->command == REDIS_NAMES) {
		take_names(driver, link, request, reply);
	} else if (request->command == REDIS_ALL_EXIST || request->command == REDIS_ONE_EXISTS) {
		take_check(driver, link, request, reply);
	} else {
		take_number(driver, link, request, reply);
	}
	release(request);
	step(driver, work);
}
