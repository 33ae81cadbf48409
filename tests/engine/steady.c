/* SPDX-License-Identifier: Apache-2.0 */
/*
 * steady.c - keeps an engine busy while a test does something to its storage, and misses nothing of
 * what the engine said.
 *
 *	steady URL CREDENTIALS-FILE TRY-MS [KEEP]
 *
 * OPEN operations at a time, without a limit in time: PUT_NEW and PUT of new objects, GET of what
 * should be there, of what should not, DELETE, LIST. Whatever happens to the storage, each must end
 * well in the end: so each result is checked at once (N2, N4), and when standard input ends, all
 * objects are read once more. Each 50 ms a line of JSON: `done` operations, `open` ones, `why` the
 * last try failed, and the engine's counters. Ends with 0, or 1 and a line that says what was
 *wrong. What it wrote is removed, but with KEEP: keep.
 */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "dataplane/engine/engine.h"
#include "dataplane/engine/random.h"
#include "tests/engine/bed.h"

#define OPEN	     32u
#define OBJECTS	     (1u << 20)
#define DIRS	     8u
#define LIVE_MAX     2000u
#define OBJECT_BYTES (48u << 10)
#define LIST_MAX     4096u
#define LINE_US	     50000u

enum state { NOT_YET, COMING, THERE, GOING, GONE };

struct object {
	bool late; /* a try of its PUT was given up: it may be done once more at any time (N1) */
	uint64_t there_at, gone_at; /* in operations begun */
	uint64_t seen_at;	    /* which LIST showed it last */
	uint32_t readers;
	enum state state;
};

struct work {
	struct engine_op op;
	struct engine_item item;
	struct engine_list list;
	char (*leaves)[ENGINE_LEAF_BYTES];
	uint8_t *bytes;
	uint64_t begun_at;
	uint64_t timeouts; /* that there had been when it began */
	uint32_t object, dir;
};

static struct engine *engine;
static struct engine_channel *channel;
static struct object objects[OBJECTS];
static uint32_t made, live, live_numbers[LIVE_MAX];
static struct work works[OPEN];
static uint8_t expected[OBJECT_BYTES];
static uint64_t begun, done, random_state, run;

static void wrong(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));

static void wrong(const char *format, ...)
{
	va_list arguments;

	printf("wrong: ");
	va_start(arguments, format);
	vprintf(format, arguments);
	va_end(arguments);
	printf("\n");
	fflush(stdout);
	_exit(1); /* the engine's thread is at work in libraries that exit() would end */
}

static uint64_t timeouts(void)
{
	struct engine_counters counters;

	engine_counters(engine, &counters);
	return counters.timeouts;
}

static uint64_t now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static uint32_t draw(uint32_t below)
{
	return (uint32_t)(random_next(&random_state) >> 32) % below;
}

static void name_dir(char *to, uint32_t dir)
{
	snprintf(to, ENGINE_DIR_BYTES, "steady-%08" PRIx64 "-%u", run, dir);
}

static void name_object(struct engine_name *name, uint32_t object)
{
	name_dir(name->dir, object % DIRS);
	snprintf(name->leaf, sizeof(name->leaf), "%08" PRIx32, object);
}

/* Mostly small, some empty. */
static uint32_t size_of(uint32_t object)
{
	uint64_t seed = run ^ object;
	uint64_t word = random_next(&seed);

	return (uint32_t)(word % 16 == 0 ? word >> 32 : word >> 52) % OBJECT_BYTES;
}

static void begin(struct work *work)
{
	work->begun_at = ++begun;
	work->timeouts = timeouts();
	work->op.until_us = ENGINE_FOREVER;
	work->op.count = 1;
	work->op.items = &work->item;
	if (engine_begin(channel, &work->op) != 0)
		wrong("an operation cannot begin");
}

static void put(struct work *work)
{
	uint32_t object = made++;

	objects[object].state = COMING;
	work->object = object;
	work->op.verb = object % 4 == 0 ? ENGINE_PUT : ENGINE_PUT_NEW;
	name_object(&work->item.name, object);
	work->item.bytes = size_of(object);
	work->item.data = work->bytes;
	bed_fill(work->bytes, work->item.bytes, object);
	begin(work);
}

static void get(struct work *work, uint32_t object)
{
	work->object = object;
	objects[object].readers++;
	work->op.verb = ENGINE_GET;
	name_object(&work->item.name, object);
	work->item.to = work->bytes;
	work->item.bytes = OBJECT_BYTES;
	work->item.offset = 0;
	begin(work);
}

static void remove_object(struct work *work, uint32_t place)
{
	uint32_t object = live_numbers[place];

	work->object = object;
	live_numbers[place] = live_numbers[--live];
	objects[object].state = GOING;
	work->op.verb = ENGINE_DELETE;
	name_object(&work->item.name, object);
	begin(work);
}

static void list(struct work *work, uint32_t dir)
{
	work->dir = dir;
	work->op.verb = ENGINE_LIST;
	work->op.list = &work->list;
	work->list = (struct engine_list){.leaf = work->leaves, .max = LIST_MAX};
	name_dir(work->list.dir, work->dir);
	begin(work);
}

static void begin_something(struct work *work)
{
	uint32_t kind = draw(100), place = live > 0 ? draw(live) : 0;
	bool may_delete = live > 0 && objects[live_numbers[place]].readers == 0;

	if (kind < 4)
		list(work, draw(DIRS));
	else if (kind < 30 && live > 0)
		get(work, live_numbers[place]);
	else if (kind < 32 && made > 0 && objects[kind = draw(made)].state == GONE)
		get(work, kind);
	else if (may_delete && (live + OPEN >= LIVE_MAX || kind < 50))
		remove_object(work, place);
	else if (live + OPEN < LIVE_MAX && made < OBJECTS)
		put(work);
	else
		list(work, draw(DIRS));
}

static void check_get(struct work *work)
{
	uint32_t object = work->object, bytes = size_of(object);
	bool gone = objects[object].state == GONE;

	objects[object].readers--;
	if (gone && work->op.result == -ENOENT)
		return;
	if (work->op.result != 0 || (gone && !objects[object].late))
		wrong("GET of object %u, %s: %s", object, gone ? "removed" : "there",
		      strerror(-work->op.result));
	bed_fill(expected, bytes, object);
	if (work->item.got != bytes || memcmp(work->bytes, expected, bytes) != 0)
		wrong("object %u came back changed", object);
}

/* Each object that was there all the time (N4), none that was not there at any, in order. */
static void check_list(const struct work *work)
{
	const struct engine_list *shown = &work->list;

	if (work->op.result != 0 || shown->more)
		wrong("LIST: %s", strerror(-work->op.result));
	for (uint32_t i = 0; i < shown->count; i++) {
		uint32_t number = (uint32_t)strtoul(shown->leaf[i], NULL, 16);
		struct object *object = &objects[number % OBJECTS];

		if (strlen(shown->leaf[i]) != 8 || number >= made || number % DIRS != work->dir)
			wrong("LIST shows %s, which nobody wrote", shown->leaf[i]);
		if (object->state == GONE && object->gone_at < work->begun_at && !object->late)
			wrong("LIST shows object %u, which was removed", number);
		if (i > 0 && strcmp(shown->leaf[i - 1], shown->leaf[i]) >= 0)
			wrong("LIST is not in order");
		object->seen_at = work->begun_at;
	}
	for (uint32_t i = 0; i < live; i++) {
		const struct object *object = &objects[live_numbers[i]];

		if (live_numbers[i] % DIRS == work->dir && object->there_at < work->begun_at &&
		    object->seen_at != work->begun_at)
			wrong("LIST does not show object %u, which is there", live_numbers[i]);
	}
}

static void end(struct work *work)
{
	struct object *object = &objects[work->object];

	done++;
	switch (work->op.verb) {
	case ENGINE_GET:
		check_get(work);
		return;
	case ENGINE_LIST:
		check_list(work);
		return;
	case ENGINE_DELETE:
		if (work->op.result != 0)
			wrong("DELETE: %s", strerror(-work->op.result));
		object->state = GONE;
		object->gone_at = begun;
		return;
	default:
		if (work->op.result != 0)
			wrong("PUT of object %u: %s", work->object, strerror(-work->op.result));
		object->late = work->timeouts != timeouts();
		object->state = THERE;
		object->there_at = begun;
		live_numbers[live++] = work->object;
	}
}

static void print_line(uint32_t open)
{
	struct engine_counters counters;
	struct engine_health health;

	engine_counters(engine, &counters);
	engine_health(engine, &health);
	printf("{\"done\": %" PRIu64 ", \"open\": %u, \"error\": %d, \"why\": \"", done, open,
	       health.failing_us > 0 ? health.error : 0);
	for (const char *c = health.failing_us > 0 ? health.why : ""; *c != '\0'; c++)
		putchar(*c == '"' || *c == '\\' || *c < ' ' ? '?' : *c);
	printf("\"");
#define PRINT(name, text) printf(", \"" #name "\": %" PRIu64, counters.name);
	ENGINE_COUNTERS(PRINT)
#undef PRINT
	printf("}\n");
	fflush(stdout);
}

static bool input_ended(void)
{
	struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};
	char bytes[64];

	return poll(&input, 1, 0) > 0 && read(STDIN_FILENO, bytes, sizeof(bytes)) == 0;
}

/* Waits for one; its line now and then. */
static struct work *await(uint32_t open)
{
	static uint64_t next_us;
	struct engine_op *op;

	for (;;) {
		if (now_us() >= next_us) {
			print_line(open);
			next_us = now_us() + LINE_US;
		}
		if (engine_poll(channel, &op, 1) == 1)
			return (struct work *)op;
		(void)engine_wait(channel, LINE_US / 1000);
	}
}

static void run_until_told(void)
{
	uint32_t open = 0;

	for (; open < OPEN; open++)
		begin_something(&works[open]);
	while (open > 0) {
		struct work *work = await(open);

		end(work);
		open--;
		if (input_ended())
			break;
		begin_something(work);
		open++;
	}
	for (; open > 0; open--)
		end(await(open));
}

static void verify(bool keep)
{
	struct work *work = &works[0];

	for (uint32_t i = 0; i < live; i++) {
		get(work, live_numbers[i]);
		end(await(1));
	}
	for (uint32_t dir = 0; dir < DIRS; dir++) {
		list(work, dir);
		end(await(1));
	}
	while (live > 0 && !keep) {
		remove_object(work, live - 1);
		end(await(1));
	}
}

int main(int argc, char **argv)
{
	struct engine_config config = {0};
	char why[ENGINE_WHY_BYTES] = "";

	if (argc < 4)
		return 2;
	random_state = now_us() ^ (uint64_t)getpid() << 40;
	run = random_next(&random_state) >> 32;
	config.url = argv[1];
	config.credentials = argv[2];
	config.try_ms = (uint32_t)strtoul(argv[3], NULL, 10);
	config.seed = random_state;
	if (engine_open(&engine, &config, why) != 0 || engine_channel_open(engine, &channel) != 0)
		wrong("%s", why);
	for (uint32_t i = 0; i < OPEN; i++) {
		works[i].bytes = malloc(OBJECT_BYTES);
		works[i].leaves = malloc(LIST_MAX * sizeof(*works[i].leaves));
		if (works[i].bytes == NULL || works[i].leaves == NULL)
			wrong("no memory");
	}
	run_until_told();
	verify(argc > 4);
	print_line(0);
	engine_close(engine, 1000);
	engine_channel_close(channel);
	engine_destroy(engine);
	for (uint32_t i = 0; i < OPEN; i++) {
		free(works[i].bytes);
		free(works[i].leaves);
	}
	return 0;
}
