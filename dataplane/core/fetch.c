/* SPDX-License-Identifier: Apache-2.0 */
/* fetch.c - see fetch.h. A read's tag is the number of its fetch: it has one at a time. */
#include "dataplane/core/fetch.h"

#include <errno.h>

#include "dataplane/core/crc.h"
#include "dataplane/core/record.h"
#include "dataplane/core/telemetry.h"

/* Places that are asked in a row while cleaning moves the value. */
#define STALE_MAX   4
/* F4: the second time it is so. */
#define DAMAGED_MAX 2

int fetch_init(struct fetch_table **out, const struct mapper *mapper, struct memory_cache *memory,
	       const struct node_log *log, struct node_counters *counters)
{
	struct fetch_table *table = mapper_map(mapper, sizeof(*table));

	if (!table)
		return -ENOMEM;
	table->memory = memory;
	table->log = log;
	table->counters = counters;
	STAILQ_INIT(&table->later);
	STAILQ_INIT(&table->ready);
	TAILQ_INIT(&table->age);
	for (uint32_t i = 0; i < ABAFT_FETCHES_MAX; i++)
		LIST_INSERT_HEAD(&table->free, &table->all[i], link);
	for (uint32_t i = 0; i < ABAFT_FETCH_WAITERS_MAX; i++) {
		SLIST_INSERT_HEAD(&table->waits_free, &table->wait[i], of_request);
		SLIST_INSERT_HEAD(&table->requests_free, &table->request[i], free);
	}
	table->waits_left = ABAFT_FETCH_WAITERS_MAX;
	*out = table;
	return 0;
}

void fetch_fini(struct fetch_table *table, const struct mapper *mapper)
{
	mapper_unmap(mapper, table, sizeof(*table));
}

static struct fetch_list *bucket_of(struct fetch_table *table, const struct version *version)
{
	/* Blocks are 64-byte aligned. */
	return &table->bucket[((uintptr_t)version >> 6) % FETCH_BUCKETS];
}

struct fetch *fetch_find(struct fetch_table *table, const struct version *version)
{
	struct fetch *fetch;

	LIST_FOREACH(fetch, bucket_of(table, version), link)
	if (fetch->version == version && vnum_equal(fetch->number, version->number))
		return fetch;
	return NULL;
}

int fetch_make(struct fetch_table *table, const struct version *version, struct fetch **out)
{
	struct fetch *fetch = LIST_FIRST(&table->free);
	uint8_t *value;

	if (!fetch)
		return -EBUSY;
	value = memory_alloc(table->memory, version->bytes);
	if (!value)
		return -ENOMEM;
	LIST_REMOVE(fetch, link);
	*fetch = (struct fetch){.version = version,
				.number = version->number,
				.value = value,
				.bytes = version->bytes,
				.crc = version_large((struct version *)(uintptr_t)version)->crc,
				.key_bytes = version->key->bytes};
	TAILQ_INIT(&fetch->waits);
	LIST_INSERT_HEAD(bucket_of(table, version), fetch, link);
	table->open++;
	*out = fetch;
	return 0;
}

void fetch_drop(struct fetch_table *table, struct fetch *fetch)
{
	if (!fetch->given)
		memory_free(table->memory, fetch->value, fetch->bytes);
	LIST_REMOVE(fetch, link);
	LIST_INSERT_HEAD(&table->free, fetch, link);
	table->open--;
}

static void make_ready(struct fetch_table *table, struct fetch_request *request)
{
	TAILQ_REMOVE(&table->age, request, age);
	request->parked = false;
	STAILQ_INSERT_TAIL(&table->ready, request, ready);
}

/* It is not being read any more. */
static void settle(struct fetch_table *table, struct fetch *fetch, enum fetch_state state)
{
	struct fetch_wait *wait;

	fetch->state = state;
	table->counters->fetches_failed += state == FETCH_FAILED;
	table->counters->fetches_corrupt += state == FETCH_CORRUPT;
	if (TAILQ_EMPTY(&fetch->waits)) {
		fetch_drop(table, fetch);
		return;
	}
	TAILQ_FOREACH(wait, &fetch->waits, of_fetch)
	{
		if (!wait->missing)
			continue;
		wait->missing = false;
		if (--wait->request->missing == 0 && wait->request->parked)
			make_ready(table, wait->request);
	}
}

static enum fetch_state stale(struct fetch *fetch)
{
	return ++fetch->stale < STALE_MAX ? FETCH_AGAIN : FETCH_FAILED;
}

/* Asks the log for the value in the write at fetch->place. As log.read(). */
static int ask(struct fetch_table *table, struct fetch *fetch)
{
	struct node_read read = {.place = fetch->place + RECORD_WRITE_BYTES + fetch->key_bytes,
				 .bytes = fetch->bytes,
				 .to = fetch->value,
				 .tag = (uint64_t)(fetch - table->all)};

	return table->log->read(table->log->log, &read); /* tidy: allow, because it only asks */
}

void fetch_start(struct fetch_table *table, struct fetch *fetch, const struct version *version)
{
	int err;

	fetch->state = FETCH_READING;
	fetch->since_ns = table->telemetry ? table->telemetry->now_ns : 0;
	do {
		/* Acquire: pairs with who moved it there, whose segment is on the shelf by then. */
		fetch->place = atomic_load_explicit(&version->place, memory_order_acquire);
		err = ask(table, fetch);
	} while (err == -ESTALE && stale(fetch) == FETCH_AGAIN);
	if (err == -EAGAIN)
		STAILQ_INSERT_TAIL(&table->later, fetch, later);
	else if (err)
		settle(table, fetch, FETCH_FAILED);
}

void fetch_start_later(struct fetch_table *table)
{
	struct fetch *fetch;

	while ((fetch = STAILQ_FIRST(&table->later))) {
		bool waited = !TAILQ_EMPTY(&fetch->waits);
		int err = waited ? ask(table, fetch) : 0;

		if (err == -EAGAIN)
			return;
		STAILQ_REMOVE_HEAD(&table->later, later);
		if (!waited)
			fetch_drop(table, fetch);
		else if (err)
			settle(table, fetch, err == -ESTALE ? stale(fetch) : FETCH_FAILED);
	}
}

void fetch_done(struct fetch_table *table, uint64_t tag, int result)
{
	struct fetch *fetch = &table->all[tag];
	enum fetch_state state = FETCH_HERE;

	if (table->telemetry)
		telemetry_add(table->telemetry, HISTOGRAM_engine_call,
			      table->telemetry->now_ns - fetch->since_ns);
	if (result == -ESTALE)
		state = stale(fetch);
	else if (result < 0)
		state = FETCH_FAILED;
	else if (crc32c(fetch->value, fetch->bytes) != fetch->crc)
		state = ++fetch->damaged < DAMAGED_MAX ? FETCH_AGAIN : FETCH_CORRUPT;
	settle(table, fetch, state);
}

static void release(struct fetch_table *table, struct fetch_waits *waits)
{
	struct fetch_wait *wait;

	while ((wait = SLIST_FIRST(waits))) {
		struct fetch *fetch = wait->fetch;

		SLIST_REMOVE_HEAD(waits, of_request);
		TAILQ_REMOVE(&fetch->waits, wait, of_fetch);
		SLIST_INSERT_HEAD(&table->waits_free, wait, of_request);
		table->waits_left++;
		if (TAILQ_EMPTY(&fetch->waits) && fetch->state != FETCH_READING)
			fetch_drop(table, fetch);
	}
}

/* The request waits for all of `need`. */
static void take_waits(struct fetch_table *table, struct fetch_request *request,
		       struct fetch *const *need, uint32_t count)
{
	SLIST_INIT(&request->waits);
	request->missing = 0;
	for (uint32_t i = 0; i < count; i++) {
		struct fetch_wait *wait = SLIST_FIRST(&table->waits_free);
		enum fetch_state state = need[i]->state;

		SLIST_REMOVE_HEAD(&table->waits_free, of_request);
		*wait = (struct fetch_wait){.fetch = need[i], .request = request};
		wait->missing =
			state == FETCH_NONE || state == FETCH_READING || state == FETCH_AGAIN;
		request->missing += wait->missing;
		TAILQ_INSERT_TAIL(&need[i]->waits, wait, of_fetch);
		SLIST_INSERT_HEAD(&request->waits, wait, of_request);
	}
	table->waits_left -= count;
}

/* By its time: at the end, unless it was parked before. */
static void age_insert(struct fetch_table *table, struct fetch_request *request)
{
	struct fetch_request *before = TAILQ_LAST(&table->age, fetch_age);

	while (before && before->until_us > request->until_us)
		before = TAILQ_PREV(before, fetch_age, age);
	if (before)
		TAILQ_INSERT_AFTER(&table->age, before, request, age);
	else
		TAILQ_INSERT_HEAD(&table->age, request, age);
	request->parked = true;
}

int fetch_park(struct fetch_table *table, struct fetch *const *need, uint32_t count, void *token,
	       uint64_t now_us)
{
	struct fetch_request *request = table->running;
	struct fetch_waits old = SLIST_HEAD_INITIALIZER(old);

	if (count > table->waits_left)
		return -EBUSY;
	if (request) {
		old = request->waits;
		table->running = NULL;
	} else { /* there are as many as waits, and each has one at least */
		request = SLIST_FIRST(&table->requests_free);
		SLIST_REMOVE_HEAD(&table->requests_free, free);
		*request = (struct fetch_request){
			.token = token, .until_us = now_us + ABAFT_FETCH_MS_MAX * UINT64_C(1000)};
	}
	take_waits(table, request, need, count);
	release(table, &old); /* behind the new ones: F2 */
	age_insert(table, request);
	return 0;
}

bool fetch_next(struct fetch_table *table, void **token)
{
	struct fetch_request *request = STAILQ_FIRST(&table->ready);

	if (!request)
		return false;
	STAILQ_REMOVE_HEAD(&table->ready, ready);
	table->running = request;
	*token = request->token;
	return true;
}

void fetch_ran(struct fetch_table *table)
{
	struct fetch_request *request = table->running;

	if (!request) /* parked once more */
		return;
	table->running = NULL;
	release(table, &request->waits);
	SLIST_INSERT_HEAD(&table->requests_free, request, free);
}

bool fetch_last(const struct fetch_table *table, const struct fetch *fetch)
{
	const struct fetch_wait *wait = TAILQ_FIRST(&fetch->waits);

	return wait && !TAILQ_NEXT(wait, of_fetch) && wait->request == table->running;
}

bool fetch_give(struct fetch *fetch, struct version *version)
{
	const uint8_t *none = NULL;

	if (fetch->given)
		return false;
	/* Release: pairs with the acquire in version_value(). Acquire: H4 of cache.h. */
	fetch->given = atomic_compare_exchange_strong_explicit(
		&version->value, &none, fetch->value, memory_order_acq_rel, memory_order_relaxed);
	return fetch->given;
}

uint64_t fetch_tick(struct fetch_table *table, uint64_t now_us)
{
	struct fetch_request *request;

	while ((request = TAILQ_FIRST(&table->age)) && request->until_us <= now_us) {
		request->late = true;
		make_ready(table, request);
		table->counters->fetch_timeouts++;
	}
	if (!STAILQ_EMPTY(&table->ready))
		return 0;
	return request ? request->until_us - now_us : UINT64_MAX;
}
