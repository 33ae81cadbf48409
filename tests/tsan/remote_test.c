/* SPDX-License-Identifier: Apache-2.0 */
/*
 * remote_test.c - what threads share of logs over a storage engine, over the real service: owners
 * append, each with its thread that makes segments, and read what any of them wrote; a keeper frees
 * segments under their hands and writes checkpoints. What is left is recovered.
 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "dataplane/core/lock.h"
#include "dataplane/engine/engine.h"
#include "dataplane/engine/memory_driver.h"
#include "dataplane/log/recover.h"
#include "dataplane/log/shelf.h"
#include "dataplane/remote/remote.h"

#define LOGS	      2
#define SEGMENT_BYTES (128u << 10)
#define RECORD_BYTES  1500u
#define KNOWN	      64 /* places that readers choose from */
#define SEGMENTS_KEPT 4
#ifdef LOCK_TSAN
#define RECORDS 4000
#else
#define RECORDS 40000
#endif

struct owner {
	struct log *log;
	struct log_tail *tail;
	uint32_t number;
	uint64_t reads, gone;
	pthread_t thread;
};

static struct engine *engine;
static struct remote *remote;
static struct shelf *shelf;
static struct owner owner[LOGS];
static _Atomic uint64_t place[LOGS][KNOWN]; /* of records whose number ends so */
static _Atomic uint32_t ended, wrong;
static _Atomic uint64_t freed;
static char why[ENGINE_WHY_BYTES];

static struct log_config config_of(uint32_t number)
{
	struct log_config config = {.number = number,
				    .segment_bytes = SEGMENT_BYTES,
				    .segments_ahead = 2,
				    .sync = true,
				    .shelf = shelf};

	memcpy(config.node_id, remote_node_id(remote), sizeof(config.node_id));
	return config;
}

static uint64_t word_of(uint32_t log, uint64_t seq)
{
	return (seq << 8 | log) * UINT64_C(0x9e3779b97f4a7c15);
}

static void append(struct owner *o, uint64_t *appended, struct now *now)
{
	uint8_t *at = log_reserve(o->log, RECORD_BYTES);
	uint64_t word = word_of(o->number, *appended + 1);

	now->mono_us += 1000;
	now->wall_us += 1000;
	if (!at)
		return;
	for (uint32_t i = 0; i + 8 <= RECORD_BYTES; i += 8)
		memcpy(at + i, &word, 8);
	*appended = log_append(o->log, RECORD_BYTES, 1);
}

static void take_reads(struct owner *o, uint8_t *to, const uint64_t *expected, bool *reading)
{
	struct log_read_done done;
	uint64_t word;

	if (log_read_done(o->log, &done, 1) == 0)
		return;
	memcpy(&word, to + 16, 8);
	if (done.result || word != *expected)
		atomic_fetch_add(&wrong, 1);
	*reading = false;
	o->reads++;
}

/* One of the records that were durable a moment ago, of any log. */
static void ask(struct owner *o, uint64_t random, uint8_t *to, uint64_t *expected, bool *reading)
{
	uint32_t log = (uint32_t)(random >> 33) % LOGS, known = (uint32_t)(random >> 40) % KNOWN;
	/* The number, and what is read, stand in one word: number of 16 bits, place of 48. */
	uint64_t at = atomic_load_explicit(&place[log][known], memory_order_acquire);
	struct log_read read = {.to = to, .bytes = 64};

	if (at == 0)
		return;
	read.place = (uint64_t)log << 57 | (at & ((UINT64_C(1) << 48) - 1));
	*expected = word_of(log, at >> 48);
	*reading = log_read(o->log, &read) == 0;
	o->gone += !*reading;
}

static void *own(void *arg)
{
	struct owner *o = arg;
	struct now now = {.wall_us = UINT64_C(1700000000000000), .mono_us = 1000000};
	uint64_t appended = 0, durable = 0, random = o->number + 1, expected = 0;
	uint64_t *places = calloc(RECORDS + 1, sizeof(*places));
	uint8_t to[64];
	bool reading = false;

	while (durable < RECORDS || reading) {
		uint64_t before = appended;

		random = random * 6364136223846793005ull + 1442695040888963407ull;
		if (appended < RECORDS)
			append(o, &appended, &now);
		if (appended > before)
			places[appended] = log_place(o->log);
		log_submit(o->log, now);
		durable = log_poll(o->log);
		if (durable > 0)
			atomic_store_explicit(&place[o->number][durable % KNOWN],
					      durable << 48 |
						      (places[durable] & ((UINT64_C(1) << 48) - 1)),
					      memory_order_release);
		if (reading)
			take_reads(o, to, &expected, &reading);
		else if (durable < RECORDS)
			ask(o, random, to, &expected, &reading);
		if (log_error(o->log) && log_error(o->log) != -ENOSPC)
			break;
		if (appended == before)
			sched_yield();
	}
	free(places);
	atomic_fetch_add(&ended, 1);
	return NULL;
}

/* The oldest of each log, while more than a few are closed. */
static void free_oldest(uint32_t log)
{
	struct shelf_segment oldest, next;
	uint32_t number = 0, after;

	if (!shelf_next(shelf, log, &number, &oldest))
		return;
	after = oldest.segment + SEGMENTS_KEPT;
	if (!shelf_next(shelf, log, &after, &next) || next.open || oldest.leaving)
		return;
	shelf_remove(shelf, log, oldest.segment);
	while (!shelf_gone(shelf, log, oldest.segment))
		sched_yield();
	while (log_free_segment(owner[log].log, oldest.segment))
		sched_yield();
	atomic_fetch_add(&freed, 1);
}

static void *keep(void *arg)
{
	struct filedev *files = arg;
	static uint8_t block[ABAFT_LOG_BLOCK_BYTES];

	for (uint32_t number = 1; atomic_load(&ended) < LOGS; number++) {
		for (uint32_t log = 0; log < LOGS; log++)
			free_oldest(log);
		if (files->ops->create(files, number) ||
		    files->ops->append(files, block, sizeof(block)) || files->ops->finish(files) ||
		    files->ops->remove(files, number))
			atomic_fetch_add(&wrong, 1);
		sched_yield();
	}
	return NULL;
}

static void open_engine(void)
{
	const struct engine_config config = {.url = "memory:remote-threads", .seed = 1};
	static uint8_t writer;
	struct remote_config over = {.node_id = {7}};

	over.writer[0] = ++writer;
	assert_int_equal(engine_open(&engine, &config, why), 0);
	over.engine = engine;
	assert_int_equal(remote_open(&remote, &over, why, sizeof(why)), 0);
	assert_int_equal(shelf_create(&shelf, 0, 0), 0);
}

static void close_engine(void)
{
	shelf_destroy(shelf);
	engine_close(engine, 1000);
	remote_close(remote);
	engine_destroy(engine);
}

static void open_log(struct owner *o, const struct log_mark *mark)
{
	struct log_config config = config_of(o->number);
	struct logdev *dev;
	int err;

	assert_int_equal(remote_logdev(remote, o->number, &dev), 0);
	err = log_recover_on(dev, &config, mark, NULL, NULL, &o->tail, why, sizeof(why));
	assert_true(err == 0 || err == -ENOENT);
	assert_int_equal(remote_logdev(remote, o->number, &dev), 0);
	if (log_open_on(&o->log, dev, &config, o->tail, why, sizeof(why)))
		fail_msg("%s", why);
}

static void owners_and_a_keeper(void **state)
{
	struct memory_store *held = memory_store_hold("remote-threads");
	struct log_mark mark[LOGS];
	struct filedev *files;
	pthread_t keeper;

	open_engine();
	assert_int_equal(remote_filedev(remote, &files), 0);
	for (uint32_t n = 0; n < LOGS; n++) {
		owner[n].number = n;
		open_log(&owner[n], NULL);
	}
	for (uint32_t n = 0; n < LOGS; n++)
		assert_int_equal(pthread_create(&owner[n].thread, NULL, own, &owner[n]), 0);
	assert_int_equal(pthread_create(&keeper, NULL, keep, files), 0);
	for (uint32_t n = 0; n < LOGS; n++)
		pthread_join(owner[n].thread, NULL);
	pthread_join(keeper, NULL);
	for (uint32_t n = 0; n < LOGS; n++) {
		assert_int_equal(log_durable(owner[n].log), RECORDS);
		log_mark(owner[n].log, &mark[n]);
		assert_true(owner[n].reads > 10);
		log_close(owner[n].log);
		log_tail_free(owner[n].tail);
	}
	files->ops->destroy(files);
	assert_int_equal(atomic_load(&wrong), 0);
	assert_true(atomic_load(&freed) > 10);
	close_engine();

	open_engine();
	for (uint32_t n = 0; n < LOGS; n++) {
		open_log(&owner[n], &mark[n]);
		assert_int_equal(owner[n].tail->record, RECORDS);
		log_close(owner[n].log);
		log_tail_free(owner[n].tail);
	}
	close_engine();
	memory_store_release(held);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(owners_and_a_keeper),
	};

	return cmocka_run_group_tests_name("remote threads", tests, NULL, NULL);
}
