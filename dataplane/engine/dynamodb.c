/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dynamodb.c - the driver of DynamoDB, and of what speaks like it: operations into requests over
 * http.h, signed, some side by side. What is asked and how answers are judged: dynamodb_request.h,
 * dynamodb_answer.h.
 *
 *	begin() ─▶ queue of operations ─▶ slot: a part, its body ─▶ http
 *	end()   ◀──────── last part of it ◀── answer judged ◀──────┘
 *
 * A body exists only while its slot is in use, so memory is bounded by the connections, whatever
 * waits. Operations in the queue take turns, a part each: a commit of one item is not kept waiting
 * by a node that reads its log back.
 *
 * Retries of libcurl's and the service's may send a request twice; each does the same again (N1).
 *
 * Left out: TransactWriteItems, which could make a PUT's items appear together (ENGINE_MULTI_PUT).
 * It costs twice the write units of the same items and a second phase inside, and can be refused
 * for conflicts; who uses engines writes parts first and then the one item that tells of them
 * (dataplane/remote), which needs neither.
 *
 * Also left out: reloading of credentials. A session token that expires is told as such.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <time.h>

#include "dataplane/engine/dynamodb_answer.h"
#include "dataplane/engine/http.h"
#include "dataplane/engine/sigv4.h"

#define CONNECTIONS_DEFAULT 32
/* An answer of so many bytes was cut by its size and not by throttling: the rest is asked for at
 * once. DynamoDB gives 1 MB of one partition. */
#define CUT_BYTES	    (512u << 10)

_Static_assert(DYNAMODB_ANSWER_MAX <= HTTP_BODY_BYTES_MAX, "http breaks answers off");

enum line { LINE_HOST, LINE_TYPE, LINE_DATE, LINE_TARGET, LINE_SIGNATURE, LINE_TOKEN, LINES };

/* An operation that the driver has. */
struct dynamodb_open {
	TAILQ_ENTRY(dynamodb_open) entry; /* of the queue, or of those that are free */
	struct engine_op *op;
	uint32_t from;	/* items before it are taken */
	uint32_t most;	/* items of a part */
	uint32_t parts; /* that are under way */
	bool queued;
};

TAILQ_HEAD(open_queue, dynamodb_open);

/* A request. */
struct dynamodb_slot {
	struct http_request http;
	struct dynamodb_driver *driver;
	struct dynamodb_open *open;
	struct dynamodb_slot *next_free;
	struct dynamodb_part part;
	char *body;
	char date[16 + SIGV4_STAMP_BYTES];
	char target[64];
	char signature[32 + SIGV4_AUTHORIZATION_BYTES];
};

struct dynamodb_driver {
	struct engine_driver base;
	struct dynamodb_table table;
	struct http *http;
	struct sigv4_signer signer;
	struct engine_credentials credentials;
	char region[64];
	char url[256 + 2];
	char host[256 + 8];    /* "Host: …" */
	char token[2048 + 32]; /* "X-Amz-Security-Token: …", or "" */
	struct open_queue queue, idle;
	uint64_t soonest_us; /* nothing in the queue is late before */
	struct dynamodb_slot *free;
	uint32_t slots_count;
	struct dynamodb_open opens[ENGINE_OPEN_MAX];
	struct dynamodb_slot slots[];
};

static void enqueue(struct dynamodb_driver *driver, struct dynamodb_open *open)
{
	if (!open->queued)
		TAILQ_INSERT_TAIL(&driver->queue, open, entry);
	open->queued = true;
	if (open->op->own.try_until_us < driver->soonest_us)
		driver->soonest_us = open->op->own.try_until_us;
}

static void dequeue(struct dynamodb_driver *driver, struct dynamodb_open *open)
{
	if (open->queued)
		TAILQ_REMOVE(&driver->queue, open, entry);
	open->queued = false;
}

/* Nothing more of it is sent in this try. */
static void give_up(struct dynamodb_driver *driver, struct dynamodb_open *open, int err)
{
	struct engine_op *op = open->op;

	dequeue(driver, open);
	if (op->own.first == 0)
		op->own.first = err;
	for (uint32_t i = 0; op->verb != ENGINE_LIST && i < op->count; i++)
		if (op->items[i].result == -EINPROGRESS)
			op->items[i].result = err;
}

/* Ends the operation if nothing of it is under way or waits. */
static void settle(struct dynamodb_driver *driver, struct dynamodb_open *open)
{
	struct engine_op *op = open->op;
	int result = op->own.first;

	if (open->queued || open->parts > 0)
		return;
	for (uint32_t i = 0; op->verb != ENGINE_LIST && i < op->count && result == 0; i++)
		result = op->items[i].result;
	if (op->verb == ENGINE_LIST && result != 0)
		op->list->count = 0;
	open->op = NULL;
	TAILQ_INSERT_HEAD(&driver->idle, open, entry);
	driver->base.end(driver->base.end_arg, op, result);
}

/* The signature of the body that the slot has, now. */
static int sign(struct dynamodb_slot *slot)
{
	struct dynamodb_driver *driver = slot->driver;
	char stamp[SIGV4_STAMP_BYTES], hash[SIGV4_HEX_BYTES];
	char authorization[SIGV4_AUTHORIZATION_BYTES];
	struct sigv4_pair head[] = {
		{"host", driver->host + strlen("Host: ")},
		{"x-amz-date", stamp},
		{"x-amz-target", slot->target + strlen("X-Amz-Target: ")},
		{"x-amz-security-token", driver->credentials.session_token},
	};
	struct sigv4_request request = {
		.method = "POST",
		.path = "/",
		.head = head,
		.head_count = driver->token[0] != '\0' ? 4 : 3,
		.payload = hash,
	};
	int err;

	sigv4_stamp((uint64_t)time(NULL), stamp);
	snprintf(slot->date, sizeof(slot->date), "X-Amz-Date: %s", stamp);
	snprintf(slot->target, sizeof(slot->target), "X-Amz-Target: DynamoDB_20120810.%s",
		 dynamodb_action_name(slot->part.action));
	err = sigv4_hash(slot->body, slot->http.body_bytes, hash);
	if (err == 0)
		err = sigv4_sign(&driver->signer, &request, stamp, authorization);
	snprintf(slot->signature, sizeof(slot->signature), "Authorization: %s",
		 err == 0 ? authorization : "");
	return err;
}

static void slot_clear(struct dynamodb_slot *slot)
{
	free(slot->body);
	free(slot->http.to);
	slot->body = NULL;
	slot->http.to = NULL;
}

static int slot_fill(struct dynamodb_slot *slot)
{
	size_t room = dynamodb_body_room(&slot->part);
	struct http_request *http = &slot->http;
	int err;

	slot->body = malloc(room);
	if (!slot->body)
		return -ENOMEM;
	err = dynamodb_body_write(&slot->driver->table, &slot->part, slot->body, room,
				  &http->body_bytes);
	if (err != 0)
		return err;
	http->body = slot->body;
	http->room = dynamodb_answer_room(&slot->part);
	http->until_us = slot->open->op->own.try_until_us;
	return sign(slot);
}

/* All items of the part end so, and the rest of the operation waits for the next try. */
static void part_failed(struct dynamodb_slot *slot, int err)
{
	for (uint32_t i = 0; i < slot->part.count; i++)
		slot->part.items[i]->result = err;
	if (err == -EEXIST || err == -E2BIG) /* nobody else's matter */
		return;
	give_up(slot->driver, slot->open, err);
}

/* The slot's part is done with. */
static void slot_end(struct dynamodb_slot *slot)
{
	struct dynamodb_driver *driver = slot->driver;
	struct dynamodb_open *open = slot->open;

	slot_clear(slot);
	slot->open = NULL;
	slot->next_free = driver->free;
	driver->free = slot;
	open->parts--;
	settle(driver, open);
}

static void slot_send(struct dynamodb_slot *slot)
{
	struct dynamodb_driver *driver = slot->driver;
	int err = slot_fill(slot);

	if (err == 0) {
		engine_count(&driver->base.counters->round_trips, 1);
		http_begin(driver->http, &slot->http);
		return;
	}
	snprintf(driver->base.why, sizeof(driver->base.why),
		 "DynamoDB table %s: no request could be made: %s", driver->table.name,
		 strerror(-err));
	part_failed(slot, err == -ENOMEM ? -EBUSY : err);
	slot_end(slot);
}

/* Parts of what waits, into free slots. */
static void pump(struct dynamodb_driver *driver)
{
	struct dynamodb_open *open;

	while (driver->free && (open = TAILQ_FIRST(&driver->queue))) {
		struct dynamodb_slot *slot = driver->free;
		struct engine_op *op = open->op;

		dequeue(driver, open);
		open->from = dynamodb_part_take(&slot->part, op, open->from, open->most);
		if (op->verb != ENGINE_LIST && slot->part.count == 0) {
			settle(driver, open);
			continue;
		}
		if (op->verb != ENGINE_LIST && open->from < op->count)
			enqueue(driver, open);
		driver->free = slot->next_free;
		slot->open = open;
		open->parts++;
		slot_send(slot);
	}
}

/* Items of the part that are to be asked for again, in the same try. */
static void again(struct dynamodb_slot *slot, int from_result)
{
	for (uint32_t i = 0; i < slot->part.count; i++)
		if (slot->part.items[i]->result == from_result)
			slot->part.items[i]->result = -EINPROGRESS;
	if (slot->open->op->own.first != 0) { /* but the try is over for another reason */
		give_up(slot->driver, slot->open, slot->open->op->own.first);
		return;
	}
	slot->open->from = 0;
	enqueue(slot->driver, slot->open);
}

static void count_bytes(struct dynamodb_driver *driver, const struct dynamodb_part *part)
{
	uint64_t get = 0, put = 0;

	for (uint32_t i = 0; i < part->count; i++) {
		const struct engine_item *item = part->items[i];

		if (item->result != 0)
			continue;
		if (part->action == DYNAMODB_GET || part->action == DYNAMODB_GET_BATCH)
			get += item->got;
		else if (part->action != DYNAMODB_DELETE_BATCH)
			put += item->bytes;
	}
	engine_count(&driver->base.counters->get_bytes, get);
	engine_count(&driver->base.counters->put_bytes, put);
}

/* Some of a BatchGetItem came, and a lot: the rest did not fit. */
static bool was_cut(const struct dynamodb_slot *slot)
{
	uint32_t left = 0;

	if (slot->part.action != DYNAMODB_GET_BATCH || slot->http.got < CUT_BYTES)
		return false;
	for (uint32_t i = 0; i < slot->part.count; i++)
		left += slot->part.items[i]->result == -EBUSY;
	return left > 0 && left < slot->part.count;
}

/* What was left out waits, and what was not sent yet with it. */
static void unprocessed(struct dynamodb_slot *slot)
{
	struct dynamodb_driver *driver = slot->driver;
	const struct dynamodb_part *part = &slot->part;

	for (uint32_t i = 0; i < part->count; i++) {
		if (part->items[i]->result != -EBUSY)
			continue;
		snprintf(driver->base.why, sizeof(driver->base.why),
			 "DynamoDB table %s: %s left out items: it is asked more than its "
			 "throughput allows",
			 driver->table.name, dynamodb_action_name(part->action));
		give_up(driver, slot->open, -EBUSY);
		return;
	}
}

/* A good answer. Returns whether the slot went on by itself. */
static bool answered(struct dynamodb_slot *slot, const uint8_t *body)
{
	struct dynamodb_driver *driver = slot->driver;
	struct dynamodb_part *part = &slot->part;
	int err =
		dynamodb_answer_take(&driver->table, part, body, slot->http.got, driver->base.why);

	if (err != 0) {
		part_failed(slot, err);
		return false;
	}
	count_bytes(driver, part);
	if (part->action == DYNAMODB_QUERY && part->start[0] != '\0') {
		slot_clear(slot);
		slot_send(slot);
		return true;
	}
	if (was_cut(slot))
		again(slot, -EBUSY);
	else
		unprocessed(slot);
	return false;
}

/* There was no whole answer. */
static void unanswered(struct dynamodb_slot *slot)
{
	struct dynamodb_driver *driver = slot->driver;
	int err = slot->http.error;

	snprintf(driver->base.why, sizeof(driver->base.why), "DynamoDB at %s: %s: %s",
		 driver->host + strlen("Host: "), dynamodb_action_name(slot->part.action),
		 slot->http.why);
	if (err == -EMSGSIZE && slot->part.count > 1) {
		slot->open->most = slot->part.count / 2;
		again(slot, DYNAMODB_TAKEN);
		return;
	}
	if (err == -ENOMEM)
		err = -EBUSY;
	if (err == -EMSGSIZE)
		err = -EPROTO;
	part_failed(slot, err);
}

static void done(struct http_request *http)
{
	struct dynamodb_slot *slot = http->arg;
	struct dynamodb_driver *driver = slot->driver;
	const uint8_t *body = http->to ? http->to : (const uint8_t *)"";
	int err;

	if (http->error != 0) {
		unanswered(slot);
		slot_end(slot);
		return;
	}
	err = dynamodb_answer_check(http->fields[0].value, body, http->got, driver->base.why);
	if (err == 0 && http->status == 200) {
		if (answered(slot, body))
			return;
	} else {
		if (err == 0)
			err = dynamodb_answer_error(&driver->table, &slot->part, http->status, body,
						    http->got, driver->base.why);
		part_failed(slot, err);
	}
	slot_end(slot);
}

static void dynamodb_begin(struct engine_driver *base, struct engine_op *op)
{
	struct dynamodb_driver *driver = (struct dynamodb_driver *)base;
	struct dynamodb_open *open = TAILQ_FIRST(&driver->idle);

	if (!open) { /* more than ENGINE_OPEN_MAX */
		for (uint32_t i = 0; op->verb != ENGINE_LIST && i < op->count; i++)
			if (op->items[i].result == -EINPROGRESS)
				op->items[i].result = -EBUSY;
		snprintf(base->why, sizeof(base->why), "DynamoDB: too much is open");
		base->end(base->end_arg, op, -EBUSY);
		return;
	}
	TAILQ_REMOVE(&driver->idle, open, entry);
	*open = (struct dynamodb_open){.op = op, .most = DYNAMODB_GETS_MAX};
	op->own.first = 0;
	if (op->verb == ENGINE_LIST) {
		op->list->count = 0;
		op->list->more = false;
	}
	enqueue(driver, open);
	pump(driver);
}

/* The first in the queue whose time is over, or NULL. */
static struct dynamodb_open *late(struct dynamodb_driver *driver, uint64_t now)
{
	struct dynamodb_open *open;

	driver->soonest_us = UINT64_MAX;
	TAILQ_FOREACH(open, &driver->queue, entry)
	{
		if (open->op->own.try_until_us <= now)
			return open;
		if (open->op->own.try_until_us < driver->soonest_us)
			driver->soonest_us = open->op->own.try_until_us;
	}
	return NULL;
}

/* What waits for a slot and is late. What has slots ends by them. */
static void expire(struct dynamodb_driver *driver)
{
	uint64_t now = engine_now_us();
	struct dynamodb_open *open;

	if (now < driver->soonest_us)
		return;
	/* From the first again each time: who is told may begin others. */
	while ((open = late(driver, now))) {
		snprintf(driver->base.why, sizeof(driver->base.why),
			 "DynamoDB at %s: all connections were busy until the time was over",
			 driver->host + strlen("Host: "));
		give_up(driver, open, -ETIMEDOUT);
		settle(driver, open);
	}
}

static int patience(const struct dynamodb_driver *driver, int timeout_ms)
{
	uint64_t now = engine_now_us(), ms;

	if (driver->soonest_us == UINT64_MAX)
		return timeout_ms;
	ms = driver->soonest_us > now ? (driver->soonest_us - now + 999) / 1000 : 0;
	if (timeout_ms >= 0 && ms > (uint64_t)timeout_ms)
		return timeout_ms;
	return ms > INT32_MAX ? INT32_MAX : (int)ms;
}

static void dynamodb_run(struct engine_driver *base, int wake_fd, int timeout_ms)
{
	struct dynamodb_driver *driver = (struct dynamodb_driver *)base;

	http_run(driver->http, wake_fd, patience(driver, timeout_ms));
	expire(driver);
	pump(driver);
}

static void dynamodb_destroy(struct engine_driver *base)
{
	struct dynamodb_driver *driver = (struct dynamodb_driver *)base;
	struct dynamodb_open *open;

	while ((open = TAILQ_FIRST(&driver->queue))) {
		give_up(driver, open, -ECANCELED);
		settle(driver, open);
	}
	for (uint32_t i = 0; i < driver->slots_count; i++) {
		struct dynamodb_slot *slot = &driver->slots[i];

		if (!slot->open)
			continue;
		http_cancel(driver->http, &slot->http);
		part_failed(slot, -ECANCELED);
		slot_end(slot);
	}
	http_destroy(driver->http);
	explicit_bzero(driver, sizeof(*driver));
	free(driver);
}

static const struct engine_driver_ops ops = {
	.begin = dynamodb_begin,
	.run = dynamodb_run,
	.destroy = dynamodb_destroy,
};

static void slot_init(struct dynamodb_driver *driver, struct dynamodb_slot *slot)
{
	const char *lines[LINES] = {
		[LINE_HOST] = driver->host,
		[LINE_TYPE] = "Content-Type: application/x-amz-json-1.0",
		[LINE_DATE] = slot->date,
		[LINE_TARGET] = slot->target,
		[LINE_SIGNATURE] = slot->signature,
		[LINE_TOKEN] = driver->token,
	};

	slot->driver = driver;
	slot->http = (struct http_request){
		.method = HTTP_POST,
		.url = driver->url,
		.lines_count = driver->token[0] != '\0' ? LINES : LINE_TOKEN,
		.arg = slot,
		.done = done,
		.fields = {{.name = "X-Amz-Crc32"}},
		.fields_count = 1,
		.grow = true,
	};
	memcpy(slot->http.lines, lines, sizeof(lines));
	slot->next_free = driver->free;
	driver->free = slot;
}

/* Letters, digits, . _ - and 3 at least: others cannot be a table's name. */
static bool table_name_good(const char *name)
{
	return strlen(name) >= 3 && name[strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
						      "abcdefghijklmnopqrstuvwxyz"
						      "0123456789._-")] == '\0';
}

static int check(const struct engine_url *url, const struct engine_credentials *credentials,
		 char *why)
{
	if (!table_name_good(url->host)) {
		snprintf(why, ENGINE_WHY_BYTES,
			 "%s: no name of a DynamoDB table; it has 3 letters, digits, . _ or - at "
			 "least, and nothing else",
			 url->host);
		return -EINVAL;
	}
	if (credentials->access_key[0] == '\0' || credentials->secret_key[0] == '\0') {
		snprintf(why, ENGINE_WHY_BYTES,
			 "DynamoDB wants requests signed: put access-key and secret-key into the "
			 "file of engine-credentials, or AWS_ACCESS_KEY_ID and "
			 "AWS_SECRET_ACCESS_KEY into the environment");
		return -EINVAL;
	}
	return 0;
}

static void driver_fill(struct dynamodb_driver *driver, const struct engine_url *url,
			const struct engine_credentials *credentials)
{
	const char *host = strstr(url->endpoint, "://");

	driver->base.ops = &ops;
	driver->base.caps = (struct engine_caps){
		.name = "dynamodb",
		.flags = ENGINE_CONDITIONAL,
		.value_max = DYNAMODB_VALUE_MAX,
		.batch_max = DYNAMODB_WRITES_MAX,
		.delete_max = DYNAMODB_WRITES_MAX,
	};
	snprintf(driver->table.name, sizeof(driver->table.name), "%s", url->host);
	snprintf(driver->table.prefix, sizeof(driver->table.prefix), "%s", url->prefix);
	snprintf(driver->region, sizeof(driver->region), "%s", url->region);
	snprintf(driver->url, sizeof(driver->url), "%s/", url->endpoint);
	snprintf(driver->host, sizeof(driver->host), "Host: %s",
		 host ? host + strlen("://") : url->endpoint);
	driver->credentials = *credentials;
	if (credentials->session_token[0] != '\0')
		snprintf(driver->token, sizeof(driver->token), "X-Amz-Security-Token: %s",
			 credentials->session_token);
	driver->signer = (struct sigv4_signer){
		.access_key = driver->credentials.access_key,
		.secret_key = driver->credentials.secret_key,
		.region = driver->region,
		.service = "dynamodb",
	};
	TAILQ_INIT(&driver->queue);
	TAILQ_INIT(&driver->idle);
	for (uint32_t i = 0; i < ENGINE_OPEN_MAX; i++)
		TAILQ_INSERT_TAIL(&driver->idle, &driver->opens[i], entry);
	driver->soonest_us = UINT64_MAX;
	for (uint32_t i = driver->slots_count; i-- > 0;)
		slot_init(driver, &driver->slots[i]);
}

int dynamodb_driver_create(struct engine_driver **out, const struct engine_url *url,
			   const struct engine_credentials *credentials,
			   const struct engine_config *config, char *why)
{
	struct http_config http = {
		.ca_file = credentials->ca_file,
		.connections = config->connections ? config->connections : CONNECTIONS_DEFAULT,
	};
	struct dynamodb_driver *driver;
	int err = check(url, credentials, why);

	if (err != 0)
		return err;
	if (http.connections > HTTP_CONNECTIONS_MAX)
		http.connections = HTTP_CONNECTIONS_MAX;
	driver = calloc(1, sizeof(*driver) + http.connections * sizeof(driver->slots[0]));
	if (!driver) {
		snprintf(why, ENGINE_WHY_BYTES, "DynamoDB: out of memory");
		return -ENOMEM;
	}
	driver->slots_count = http.connections;
	driver_fill(driver, url, credentials);
	err = http_create(&driver->http, &http);
	if (err != 0) {
		snprintf(why, ENGINE_WHY_BYTES, "DynamoDB: no HTTP client: %s", strerror(-err));
		free(driver);
		return err == -ENOMEM ? -ENOMEM : -EINVAL;
	}
	*out = &driver->base;
	return 0;
}
