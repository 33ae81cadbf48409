/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine_fake.c - see engine_fake.h. Out of memory aborts: it is a test.
 *
 * An item of an operation (a list is one item) is a flight: request under way, landed, answer under
 * way. A flight whose operation has gone (op NULL) only lands.
 */
#include "tests/lib/engine_fake_impl.h"

#include <errno.h>
#include <string.h>

#include "tests/lib/logdev_sim.h"

#define VALUE_MAX  (8u << 20)
/* An operation with an end in time has so many ticks. */
#define CALL_TICKS 3000
/* Who waits so long waits for ever. */
#define WAIT_TICKS 2000000

struct flight {
	struct flight *next;
	struct engine *engine;
	struct engine_op *op;
	uint32_t item;
	enum engine_verb verb;
	struct engine_name name;
	uint8_t *data; /* of a put: its own copy; of a get that landed: what came */
	uint32_t bytes;
	uint64_t due, until;
	int result;
	bool landed;
};

struct engine_channel {
	struct engine *engine;
	struct engine_channel *next;
	struct engine_op *ended, **ended_last;
	uint32_t open; /* begun and not polled */
};

struct engine {
	struct fake_store *store;
	struct engine *next;
	struct engine_caps caps;
	struct engine_channel *channels;
	uint64_t held_until;
	bool dead;
};

struct fake_store {
	uint64_t random, clock, outage_until;
	struct objects objects;
	struct flight *flights;
	struct engine *engines;
	struct fake_faults faults;
	struct fake_fired fired;
	int fail[ENGINE_VERBS];
	uint32_t kill_at[ENGINE_VERBS];
	void (*meanwhile)(void *arg);
	void *meanwhile_arg;
	bool in_meanwhile;
};

static uint64_t roll(struct fake_store *store, uint64_t limit)
{
	return sim_random(&store->random, limit);
}

static bool one_of(struct fake_store *store, uint32_t n)
{
	return n > 0 && roll(store, n) == 0;
}

/* Operations. */

static void end_op(struct engine_op *op, int result)
{
	struct engine_channel *channel = op->own.channel;

	op->result = result;
	op->own.next = NULL;
	*channel->ended_last = op;
	channel->ended_last = &op->own.next;
}

static void free_flight(struct flight *flight)
{
	free(flight->data);
	free(flight);
}

static void unlink_flight(struct fake_store *store, struct flight *flight)
{
	struct flight **at = &store->flights;

	while (*at != flight)
		at = &(*at)->next;
	*at = flight->next;
}

/* Nobody waits for it any more: it lands late, or never. */
static void orphan(struct fake_store *store, struct flight *flight, bool may_land)
{
	flight->op = NULL;
	flight->engine = NULL;
	if (!flight->landed && may_land && flight->verb != ENGINE_GET &&
	    flight->verb != ENGINE_LIST) {
		flight->due = store->clock + 1 + roll(store, store->faults.late_ticks + 1);
		return;
	}
	if (!flight->landed && flight->data && flight->verb != ENGINE_GET &&
	    one_of(store, store->faults.phantoms))
		objects_haunt(&store->objects, &flight->name);
	unlink_flight(store, flight);
	free_flight(flight);
}

/* All flights of an operation (NULL: of the engine) lose it. */
static void abandon(struct fake_store *store, const struct engine *engine,
		    const struct engine_op *op)
{
	struct flight *next;

	for (struct flight *flight = store->flights; flight; flight = next) {
		next = flight->next;
		if (flight->op && flight->engine == engine && (!op || flight->op == op))
			orphan(store, flight, roll(store, 2));
	}
}

static void item_ended(struct flight *flight)
{
	struct engine_op *op = flight->op;

	if (op->verb != ENGINE_LIST)
		op->items[flight->item].result = flight->result;
	if (--op->own.left > 0)
		return;
	op->own.first = op->verb == ENGINE_LIST ? flight->result : 0;
	for (uint32_t i = 0; i < op->count && op->own.first == 0; i++)
		op->own.first = op->items[i].result;
	end_op(op, op->own.first);
}

static uint64_t soon(struct fake_store *store)
{
	return store->clock + roll(store, store->faults.delay + 1);
}

static struct flight *take_off(struct engine *engine, struct engine_op *op, uint32_t item)
{
	struct fake_store *store = engine->store;
	struct flight *flight = calloc(1, sizeof(*flight));
	const struct engine_item *it = op->verb == ENGINE_LIST ? NULL : &op->items[item];

	must(flight, "no memory");
	flight->engine = engine;
	flight->op = op;
	flight->item = item;
	flight->verb = op->verb;
	flight->due = soon(store);
	if (op->verb == ENGINE_LIST)
		flight->due += roll(store, store->faults.list_delay + 1);
	flight->until = op->until_us == ENGINE_FOREVER ? UINT64_MAX : store->clock + CALL_TICKS;
	if (it)
		flight->name = it->name;
	if (op->verb == ENGINE_PUT || op->verb == ENGINE_PUT_NEW) {
		flight->bytes = it->bytes;
		flight->data = malloc(it->bytes + 1);
		must(flight->data, "no memory");
		memcpy(flight->data, it->data, it->bytes);
	}
	/* Anywhere among the others. */
	struct flight **at = &store->flights;

	while (*at && roll(store, 3))
		at = &(*at)->next;
	flight->next = *at;
	*at = flight;
	store->fired.requests++;
	return flight;
}

/* What landing does. */

static bool same(const struct object *object, const uint8_t *data, uint32_t bytes)
{
	return object->bytes == bytes && (bytes == 0 || memcmp(object->data, data, bytes) == 0);
}

static int land_put(struct fake_store *store, const struct flight *flight)
{
	const struct object *there = objects_find(&store->objects, &flight->name);
	bool fenced = flight->verb == ENGINE_PUT_NEW && !store->faults.unconditional;

	if (there && same(there, flight->data, flight->bytes))
		return 0;
	if (there && fenced) {
		store->fired.refused++;
		return -EEXIST;
	}
	if (there && !store->faults.changes && !store->faults.unconditional) {
		fprintf(stderr, "engine_fake: %s/%s is changed\n", flight->name.dir,
			flight->name.leaf);
		abort();
	}
	if (flight->verb == ENGINE_PUT_NEW && strncmp(flight->name.dir, "log-", 4) == 0 &&
	    one_of(store, store->faults.forgets)) {
		store->fired.forgotten++;
		return 0;
	}
	objects_set(&store->objects, &flight->name, flight->data, flight->bytes);
	return 0;
}

static int land_get(struct fake_store *store, struct flight *flight)
{
	const struct object *there = objects_find(&store->objects, &flight->name);
	const struct engine_item *item = &flight->op->items[flight->item];
	uint32_t bytes;

	if (!there)
		return -ENOENT;
	bytes = item->offset < there->bytes ? there->bytes - item->offset : 0;
	bytes = bytes < item->bytes ? bytes : item->bytes;
	free(flight->data);
	flight->data = malloc(bytes + 1);
	must(flight->data, "no memory");
	memcpy(flight->data, there->data + item->offset, bytes);
	flight->bytes = bytes;
	return 0;
}

/* Some leaves more. True: that is all. */
static bool land_list(struct fake_store *store, struct flight *flight)
{
	struct engine_list *list = flight->op->list;
	uint32_t piece = 1 + (uint32_t)roll(store, 40), at;
	struct engine_name from;

	memcpy(from.dir, list->dir, sizeof(from.dir));
	memcpy(from.leaf, list->count > 0 ? list->leaf[list->count - 1] : list->after,
	       sizeof(from.leaf));
	at = objects_position(&store->objects, &from);
	if (at < store->objects.count && object_compare(&store->objects.at[at]->name, &from) == 0)
		at++;
	for (; at < store->objects.count && strcmp(store->objects.at[at]->name.dir, list->dir) == 0;
	     at++) {
		if (list->count == list->max) {
			list->more = true;
			return true;
		}
		if (piece-- == 0)
			return false;
		memcpy(list->leaf[list->count++], store->objects.at[at]->name.leaf,
		       ENGINE_LEAF_BYTES);
	}
	list->more = false;
	return true;
}

static void kill_engine(struct engine *engine);

/* True: it has landed. */
static bool land(struct fake_store *store, struct flight *flight)
{
	switch (flight->verb) {
	case ENGINE_PUT:
	case ENGINE_PUT_NEW:
		flight->result = land_put(store, flight);
		break;
	case ENGINE_GET:
		flight->result = land_get(store, flight);
		break;
	case ENGINE_DELETE:
		objects_erase(&store->objects, &flight->name);
		flight->result = 0;
		break;
	case ENGINE_LIST:
		if (!land_list(store, flight)) {
			flight->due = soon(store) + 1 + roll(store, store->faults.list_delay + 1);
			return false;
		}
		break;
	case ENGINE_VERBS:
		break;
	}
	flight->landed = true;
	return true;
}

static bool is_put(const struct flight *flight)
{
	return flight->verb == ENGINE_PUT || flight->verb == ENGINE_PUT_NEW;
}

/* The request or its answer is lost: tried again, unless it is the operation's last try. */
static void lose(struct fake_store *store, struct flight *flight)
{
	struct engine_op *op = flight->op;
	struct engine *engine = flight->engine;
	struct flight *again;

	if (op->until_us != ENGINE_FOREVER && one_of(store, store->faults.timed_out)) {
		store->fired.timed_out++;
		abandon(store, engine, op);
		end_op(op, -ETIMEDOUT);
		return;
	}
	if (op->verb == ENGINE_LIST) {
		op->list->count = 0;
		op->list->more = false;
	}
	again = take_off(engine, op, flight->item);
	again->until = flight->until;
	again->due++;
	store->fired.answers_lost += flight->landed;
	store->fired.requests_lost += !flight->landed;
	orphan(store, flight, one_of(store, store->faults.late));
}

static void arrive(struct flight *flight)
{
	struct engine_op *op = flight->op;

	if (op->verb == ENGINE_GET && flight->result == 0) {
		memcpy(op->items[flight->item].to, flight->data, flight->bytes);
		op->items[flight->item].got = flight->bytes;
	}
	item_ended(flight);
}

static bool dies(struct fake_store *store, const struct flight *flight)
{
	uint32_t *count = &store->kill_at[flight->verb];

	return flight->engine && *count > 0 && --*count == 0;
}

/* A flight that is due. */
static void step(struct fake_store *store, struct flight *flight)
{
	bool loses = flight->op && one_of(store, is_put(flight) ? store->faults.lost_put
								: store->faults.lost_other);

	if (flight->op && flight->until <= store->clock) {
		struct engine_op *op = flight->op;

		store->fired.timed_out++;
		abandon(store, flight->engine, op);
		end_op(op, -ETIMEDOUT);
		return;
	}
	if (loses) {
		lose(store, flight);
		return;
	}
	if (!flight->landed) {
		if (!land(store, flight))
			return;
		if (dies(store, flight)) {
			store->fired.killed++;
			kill_engine(flight->engine);
			return;
		}
		flight->due = soon(store);
		if (flight->op && flight->due > store->clock)
			return;
	}
	store->fired.landed_late += !flight->op;
	if (flight->op)
		arrive(flight);
	unlink_flight(store, flight);
	free_flight(flight);
}

static struct flight *next_due(struct fake_store *store)
{
	for (struct flight *flight = store->flights; flight; flight = flight->next) {
		bool out = store->clock < store->outage_until ||
			   (flight->engine && store->clock < flight->engine->held_until);

		if (flight->due <= store->clock &&
		    (!out || (flight->op && flight->until <= store->clock)))
			return flight;
	}
	return NULL;
}

static void tick(struct fake_store *store)
{
	struct flight *flight;
	uint32_t budget = 4096; /* with no delay lost ones come back at once */

	store->clock++;
	while (budget-- > 0 && (flight = next_due(store)))
		step(store, flight);
}

/* engine.h. */

static void kill_engine(struct engine *engine)
{
	struct fake_store *store = engine->store;
	struct engine_op *ops[4096];
	uint32_t count = 0;

	engine->dead = true;
	for (struct flight *flight = store->flights; flight; flight = flight->next) {
		bool known = false;

		if (!flight->op || flight->engine != engine)
			continue;
		for (uint32_t i = 0; i < count && !known; i++)
			known = ops[i] == flight->op;
		must(known || count < 4096, "too many operations");
		if (!known)
			ops[count++] = flight->op;
	}
	abandon(store, engine, NULL);
	for (uint32_t i = 0; i < count; i++)
		end_op(ops[i], -ECANCELED);
}

struct engine *fake_engine_open(struct fake_store *store)
{
	struct engine *engine = calloc(1, sizeof(*engine));

	must(engine, "no memory");
	engine->store = store;
	engine->caps = (struct engine_caps){
		.name = "fake",
		.flags = ENGINE_RANGES | (store->faults.unconditional ? 0 : ENGINE_CONDITIONAL),
		.value_max = store->faults.value_max ? store->faults.value_max : VALUE_MAX,
		.batch_max = 16,
		.delete_max = 16,
	};
	engine->next = store->engines;
	store->engines = engine;
	return engine;
}

void engine_close(struct engine *engine, uint32_t grace_ms)
{
	if (!engine->dead)
		kill_engine(engine);
}

void engine_destroy(struct engine *engine)
{
	struct engine **at = &engine->store->engines;

	must(!engine->channels, "an engine is destroyed with channels open");
	engine_close(engine, 0);
	while (*at != engine)
		at = &(*at)->next;
	*at = engine->next;
	free(engine);
}

bool fake_engine_dead(const struct engine *engine)
{
	return engine->dead;
}

const struct engine_caps *engine_caps(const struct engine *engine)
{
	return &engine->caps;
}

void engine_counters(const struct engine *engine, struct engine_counters *out)
{
	memset(out, 0, sizeof(*out));
}

void engine_health(struct engine *engine, struct engine_health *out)
{
	memset(out, 0, sizeof(*out));
}

int engine_channel_open(struct engine *engine, struct engine_channel **out)
{
	struct engine_channel *channel = calloc(1, sizeof(*channel));

	must(channel, "no memory");
	channel->engine = engine;
	channel->ended_last = &channel->ended;
	channel->next = engine->channels;
	engine->channels = channel;
	*out = channel;
	return 0;
}

void engine_channel_close(struct engine_channel *channel)
{
	struct engine_channel **at = &channel->engine->channels;

	must(channel->open == 0, "a channel is closed with operations open");
	while (*at != channel)
		at = &(*at)->next;
	*at = channel->next;
	free(channel);
}

static void check_op(const struct engine *engine, const struct engine_op *op)
{
	uint32_t most = op->verb == ENGINE_PUT_NEW ? 1 : ENGINE_ITEMS_MAX;

	must(op->verb < ENGINE_VERBS, "no such verb");
	if (op->verb == ENGINE_LIST) {
		must(op->list && op->list->max > 0 && op->list->count == 0, "a list of nothing");
		return;
	}
	must(op->count > 0 && op->count <= most, "an operation's items");
	for (uint32_t i = 0; i < op->count; i++) {
		const struct engine_item *item = &op->items[i];
		const char *good = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
				   "._-";

		must(item->name.dir[0] && item->name.leaf[0] &&
			     strspn(item->name.dir, good) == strlen(item->name.dir) &&
			     strspn(item->name.leaf, good) == strlen(item->name.leaf),
		     "a name");
		if (op->verb == ENGINE_PUT || op->verb == ENGINE_PUT_NEW)
			must(item->data && item->bytes <= engine->caps.value_max, "data");
		if (op->verb == ENGINE_GET)
			must(item->to, "nowhere to get to");
	}
}

int engine_begin(struct engine_channel *channel, struct engine_op *op)
{
	struct engine *engine = channel->engine;

	if (channel->open == ENGINE_CHANNEL_OPS)
		return -EAGAIN;
	check_op(engine, op);
	channel->open++;
	op->own.channel = channel;
	op->own.left = op->verb == ENGINE_LIST ? 1 : op->count;
	for (uint32_t i = 0; i < op->count; i++) {
		op->items[i].result = -EINPROGRESS;
		op->items[i].got = 0;
	}
	if (engine->dead || engine->store->fail[op->verb]) {
		end_op(op, engine->dead ? -ECANCELED : engine->store->fail[op->verb]);
		return 0;
	}
	for (uint32_t i = 0; i < (op->verb == ENGINE_LIST ? 1 : op->count); i++)
		take_off(engine, op, i);
	return 0;
}

static uint32_t take_ended(struct engine_channel *channel, struct engine_op **ended, uint32_t max)
{
	uint32_t count = 0;

	while (count < max && channel->ended) {
		ended[count] = channel->ended;
		channel->ended = channel->ended->own.next;
		if (!channel->ended)
			channel->ended_last = &channel->ended;
		channel->open--;
		count++;
	}
	return count;
}

uint32_t engine_poll(struct engine_channel *channel, struct engine_op **ended, uint32_t max)
{
	if (!channel->ended)
		tick(channel->engine->store);
	return take_ended(channel, ended, max);
}

int engine_sleep_fd(const struct engine_channel *channel)
{
	return -1;
}

static void wait_tick(struct fake_store *store)
{
	tick(store);
	if (!store->meanwhile || store->in_meanwhile)
		return;
	store->in_meanwhile = true;
	store->meanwhile(store->meanwhile_arg);
	store->in_meanwhile = false;
}

int engine_wait(struct engine_channel *channel, uint32_t ms)
{
	for (uint32_t i = 0; i < ms && !channel->ended; i++)
		wait_tick(channel->engine->store);
	return channel->ended ? 0 : -ETIMEDOUT;
}

int engine_call(struct engine_channel *channel, struct engine_op *op)
{
	struct engine_op *ended;
	uint32_t ticks = 0;

	must(channel->open == 0, "a call beside others of its channel");
	must(engine_begin(channel, op) == 0, "a call that cannot begin");
	for (; !channel->ended; ticks++) {
		must(ticks < WAIT_TICKS, "a call that waits for ever");
		wait_tick(channel->engine->store);
	}
	must(take_ended(channel, &ended, 1) == 1 && ended == op, "another operation ended");
	return op->result;
}

/* The storage. */

struct fake_store *fake_store_create(uint64_t seed)
{
	struct fake_store *store = calloc(1, sizeof(*store));

	must(store, "no memory");
	store->random = seed * 2 + 1;
	return store;
}

void fake_store_destroy(struct fake_store *store)
{
	must(!store->engines, "a storage is destroyed under its engines");
	while (store->flights) {
		struct flight *flight = store->flights;

		store->flights = flight->next;
		free_flight(flight);
	}
	objects_free(&store->objects);
	free(store);
}

struct fake_faults *fake_faults(struct fake_store *store)
{
	return &store->faults;
}

const struct fake_fired *fake_fired(const struct fake_store *store)
{
	return &store->fired;
}

void fake_store_outage(struct fake_store *store, uint64_t ticks)
{
	store->outage_until = store->clock + ticks;
}

void fake_engine_hold(struct engine *engine, uint64_t ticks)
{
	engine->held_until = engine->store->clock + ticks;
}

void fake_store_fail(struct fake_store *store, enum engine_verb verb, int error)
{
	store->fail[verb] = error;
}

void fake_store_kill_at(struct fake_store *store, enum engine_verb verb, uint32_t count)
{
	store->kill_at[verb] = count;
}

void fake_store_meanwhile(struct fake_store *store, void (*fn)(void *arg), void *arg)
{
	store->meanwhile = fn;
	store->meanwhile_arg = arg;
}

void fake_store_run(struct fake_store *store, uint32_t ticks)
{
	while (ticks-- > 0)
		tick(store);
}

uint32_t fake_store_flights(const struct fake_store *store)
{
	uint32_t count = 0;

	for (const struct flight *flight = store->flights; flight; flight = flight->next)
		count++;
	return count;
}

struct objects *fake_objects(const struct fake_store *store)
{
	return (struct objects *)(uintptr_t)&store->objects;
}
