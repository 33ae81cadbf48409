/* SPDX-License-Identifier: Apache-2.0 */
/* Write-back: a log on a real disk, an engine in memory that is slow, away, or has more than it
 * should. What the engine has is recovered as by a node that has lost its disk. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "dataplane/engine/engine.h"
#include "dataplane/engine/memory_driver.h"
#include "dataplane/log/log.h"
#include "dataplane/log/recover.h"
#include "dataplane/remote/behind.h"
#include "dataplane/remote/remote.h"
#include "tests/lib/scratch.h"

#define SEGMENT_BYTES (8u << 20)
#define LAG_BYTES     (16u << 20)
#define LOG	      3
/* Looks for what must happen: 20 s. */
#define LOOKS	      20000

static char why[ENGINE_WHY_BYTES];
static const uint8_t node_id[16] = {0xa5, 1, 2, 3};

struct bed {
	const char *dir;
	char store[32];
	struct memory_store *held;
	struct engine *engine;
	struct remote *remote;
	struct behind *behind;
	struct log *log;
	uint64_t lag;
	uint64_t appended;
};

static void nap(void)
{
	const struct timespec ts = {.tv_nsec = 1000000};

	nanosleep(&ts, NULL);
}

static struct log_config config_of(const struct bed *bed)
{
	struct log_config config = {
		.dir = bed->dir, .number = LOG, .segment_bytes = SEGMENT_BYTES, .sync = true};

	memcpy(config.node_id, node_id, sizeof(node_id));
	return config;
}

static void open_engine(struct bed *bed)
{
	struct engine_config config = {.try_ms = 500, .seed = 7};
	struct remote_config remote = {.writer = {(uint8_t)(bed->appended + 1)}};
	char url[64];

	snprintf(url, sizeof(url), "memory:%s", bed->store);
	config.url = url;
	assert_int_equal(engine_open(&bed->engine, &config, why), 0);
	remote.engine = bed->engine;
	memcpy(remote.node_id, node_id, sizeof(node_id));
	assert_int_equal(remote_open(&bed->remote, &remote, why, sizeof(why)), 0);
	assert_memory_equal(remote_node_id(bed->remote), node_id, sizeof(node_id));
}

static void close_engine(struct bed *bed)
{
	engine_close(bed->engine, 0);
	remote_close(bed->remote);
	engine_destroy(bed->engine);
}

/* Records are their number, many times. */
static uint32_t bytes_of(uint64_t n)
{
	return 8 * (uint32_t)(1 + n * 7919 % 4000 + (n % 50 == 0 ? 40000 : 0));
}

struct checked {
	uint64_t count;
	bool wrong;
};

static int check_record(void *arg, uint64_t seq, uint8_t type, uint64_t place, const uint8_t *data,
			uint32_t bytes)
{
	struct checked *checked = arg;

	checked->count++;
	checked->wrong |= seq != checked->count || bytes != bytes_of(seq);
	for (uint32_t at = 0; at + 8 <= bytes; at += 8)
		checked->wrong |= memcmp(data + at, &seq, 8) != 0;
	return 0;
}

static int recover(struct bed *bed, struct logdev *dev, struct log_tail **tail, uint64_t *records)
{
	struct log_config config = config_of(bed);
	struct checked checked = {0};
	const struct recover_visitor visitor = {.arg = &checked, .record = check_record};
	int err = recover_scan(dev, &config, NULL, &visitor, tail, why, sizeof(why));

	dev->ops->destroy(dev);
	assert_false(checked.wrong);
	*records = checked.count;
	return err;
}

static int open_log(struct bed *bed)
{
	struct log_config config = config_of(bed);
	struct log_tail *tail = NULL;
	struct logdev *near, *dev;
	uint64_t records = 0;
	int err;

	if (logdev_uring_create(&near, bed->dir, LOG, false, why, sizeof(why)) == 0) {
		assert_int_equal(recover(bed, near, &tail, &records), 0);
		assert_int_equal(records, bed->appended);
	}
	assert_int_equal(behind_create(&bed->behind, bed->remote, bed->lag), 0);
	assert_int_equal(logdev_uring_create(&near, bed->dir, LOG, true, why, sizeof(why)), 0);
	assert_int_equal(behind_logdev(bed->behind, LOG, node_id, near, &dev), 0);
	err = log_open_on(&bed->log, dev, &config, tail, why, sizeof(why));
	log_tail_free(tail);
	return err;
}

static bool append(struct bed *bed)
{
	uint64_t n = bed->appended + 1;
	uint8_t *at = log_reserve(bed->log, bytes_of(n));

	if (!at)
		return false;
	for (uint32_t i = 0; i < bytes_of(n); i += 8)
		memcpy(at + i, &n, 8);
	assert_int_equal(log_append(bed->log, bytes_of(n), 1), n);
	bed->appended = n;
	return true;
}

/* One pass of an owner. */
static void pass(struct bed *bed)
{
	static uint64_t us;

	us += 1000;
	log_submit(bed->log, (struct now){.mono_us = us, .wall_us = us});
	log_poll(bed->log);
}

static void append_many(struct bed *bed, uint64_t count)
{
	uint64_t until = bed->appended + count;

	for (int look = 0; bed->appended < until; pass(bed)) {
		if (append(bed))
			continue;
		assert_true(look++ < LOOKS);
		nap();
	}
}

static void wait_durable(struct bed *bed)
{
	for (int look = 0; log_durable(bed->log) < bed->appended; look++) {
		assert_true(look < LOOKS);
		pass(bed);
		nap();
	}
}

static void close_log(struct bed *bed)
{
	log_close(bed->log);
	behind_destroy(bed->behind);
}

/* Ends without writing back what it has. */
static void die(struct bed *bed)
{
	behind_give_up(bed->behind);
	engine_close(bed->engine, 0);
	close_log(bed);
	close_engine(bed);
}

/* What a node would have that has lost its disk. */
static uint64_t engine_has(struct bed *bed)
{
	struct log_tail *tail;
	struct logdev *dev;
	uint64_t records;

	assert_int_equal(remote_logdev(bed->remote, LOG, &dev), 0);
	assert_int_equal(recover(bed, dev, &tail, &records), 0);
	log_tail_free(tail);
	return records;
}

static void faults(struct bed *bed, const char *options)
{
	assert_int_equal(memory_store_options(bed->held, options, why), 0);
}

static void wait_shipped(struct bed *bed)
{
	struct behind_stats stats;
	int look = 0;

	do {
		assert_true(look++ < LOOKS);
		nap();
		behind_stats(bed->behind, &stats);
		assert_int_equal(stats.error, 0);
	} while (stats.lag_bytes > 0);
}

static void begin(struct bed *bed, void **state, const char *store)
{
	*bed = (struct bed){.dir = *state, .lag = LAG_BYTES};
	snprintf(bed->store, sizeof(bed->store), "%s", store);
	bed->held = memory_store_hold(store);
	assert_non_null(bed->held);
	open_engine(bed);
}

static void end(struct bed *bed)
{
	close_engine(bed);
	memory_store_release(bed->held);
}

/* More than one segment, over several runs, each of which goes on where the one before ended. */
static void test_engine_gets_all(void **state)
{
	struct bed bed;

	begin(&bed, state, "behind-all");
	for (int run = 0; run < 3; run++) {
		assert_int_equal(open_log(&bed), 0);
		append_many(&bed, 400);
		wait_durable(&bed);
		close_log(&bed);
		assert_int_equal(engine_has(&bed), bed.appended);
		close_engine(&bed);
		open_engine(&bed);
	}
	end(&bed);
}

/* Neighbours share an object when the engine is slow. */
static void test_neighbours_share_objects(void **state)
{
	struct behind_stats stats;
	struct log_stats log;
	struct bed bed;

	begin(&bed, state, "behind-slow");
	faults(&bed, "put_new=150000/160000"); /* slower than any disk */
	assert_int_equal(open_log(&bed), 0);
	for (int i = 0; i < 60; i++) {
		append_many(&bed, 1);
		wait_durable(&bed);
	}
	wait_shipped(&bed);
	behind_stats(bed.behind, &stats);
	log_stats(bed.log, &log);
	assert_true(log.groups >= 60);
	assert_true(stats.objects < log.groups / 2);
	close_log(&bed);
	assert_int_equal(engine_has(&bed), bed.appended);
	end(&bed);
}

/* B2: the disk goes on while the engine is away, up to the lag; when it is back all is well. */
static void test_lag_is_bounded(void **state)
{
	struct behind_stats stats;
	struct bed bed;
	int refused = 0;

	begin(&bed, state, "behind-lag");
	bed.lag = 4u << 20;
	assert_int_equal(open_log(&bed), 0);
	faults(&bed, "down=yes");
	for (int look = 0; look < LOOKS && refused < 200; look++) {
		refused = append(&bed) ? 0 : refused + 1;
		pass(&bed);
		if (refused)
			nap();
	}
	assert_int_equal(refused, 200);
	behind_stats(bed.behind, &stats);
	assert_true(stats.lag_bytes > bed.lag / 2);
	assert_true(stats.lag_bytes <= bed.lag);
	assert_true(log_durable(bed.log) < bed.appended);
	faults(&bed, "down=no");
	append_many(&bed, 100);
	wait_durable(&bed);
	close_log(&bed);
	assert_int_equal(engine_has(&bed), bed.appended);
	end(&bed);
}

/* B3: what a run left behind the next one brings over, without a new write. */
static void test_start_finishes(void **state)
{
	uint64_t had;
	struct bed bed;

	begin(&bed, state, "behind-start");
	bed.lag = 64u << 20;
	assert_int_equal(open_log(&bed), 0);
	append_many(&bed, 150);
	wait_durable(&bed);
	wait_shipped(&bed);
	faults(&bed, "down=yes");
	append_many(&bed, 700);
	wait_durable(&bed);
	die(&bed);
	faults(&bed, "down=no");
	open_engine(&bed);
	had = engine_has(&bed);
	assert_true(had >= 150 && had < bed.appended);
	assert_int_equal(open_log(&bed), 0);
	wait_shipped(&bed);
	assert_int_equal(engine_has(&bed), bed.appended);
	append_many(&bed, 50);
	wait_durable(&bed);
	close_log(&bed);
	assert_int_equal(engine_has(&bed), bed.appended);
	end(&bed);
}

/* The engine lost acknowledgements, or does a part only, at any time. */
static void test_faults_lose_nothing(void **state)
{
	struct bed bed;

	begin(&bed, state, "behind-faults");
	for (int run = 0; run < 4; run++) {
		assert_int_equal(open_log(&bed), 0);
		faults(&bed, "error=0.1&lost=0.1&partial=0.2&throttle=0.05");
		append_many(&bed, 200);
		wait_durable(&bed);
		if (run % 2) {
			die(&bed);
		} else {
			close_log(&bed);
			close_engine(&bed);
		}
		faults(&bed, "error=0&lost=0&partial=0&throttle=0");
		open_engine(&bed);
	}
	assert_int_equal(open_log(&bed), 0);
	close_log(&bed);
	assert_int_equal(engine_has(&bed), bed.appended);
	end(&bed);
}

static void naps(int ms)
{
	for (int i = 0; i < ms; i++)
		nap();
}

/* B3: the dead run's last object is there, but was not seen when the next run began. */
static void test_late_object_is_adopted(void **state)
{
	struct bed bed;

	begin(&bed, state, "behind-late");
	assert_int_equal(open_log(&bed), 0);
	append_many(&bed, 10);
	wait_durable(&bed);
	wait_shipped(&bed);
	naps(700);
	faults(&bed, "late=1/100");
	append_many(&bed, 1);
	wait_durable(&bed);
	naps(200);
	die(&bed);
	faults(&bed, "late=0/0&stale=600");
	open_engine(&bed);
	assert_int_equal(engine_has(&bed), 10);
	assert_int_equal(open_log(&bed), 0);
	append_many(&bed, 50);
	wait_durable(&bed);
	wait_shipped(&bed);
	close_log(&bed);
	faults(&bed, "stale=0");
	assert_int_equal(engine_has(&bed), bed.appended);
	end(&bed);
}

/* A disk that was put back to an earlier time, or another node: the engine is not overwritten. */
static void test_engine_ahead_is_refused(void **state)
{
	char command[256];
	struct bed bed;

	begin(&bed, state, "behind-ahead");
	assert_int_equal(open_log(&bed), 0);
	append_many(&bed, 20);
	wait_durable(&bed);
	close_log(&bed);
	snprintf(command, sizeof(command), "cp -r %s/log-003 %s/old", bed.dir, bed.dir);
	assert_int_equal(system(command), 0);
	assert_int_equal(open_log(&bed), 0);
	append_many(&bed, 20);
	wait_durable(&bed);
	close_log(&bed);
	snprintf(command, sizeof(command), "rm -r %s/log-003 && mv %s/old %s/log-003", bed.dir,
		 bed.dir, bed.dir);
	assert_int_equal(system(command), 0);
	bed.appended = 20;
	assert_int_equal(open_log(&bed), -ESTALE);
	behind_destroy(bed.behind);
	assert_int_equal(engine_has(&bed), 40);
	end(&bed);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, scratch_setup, scratch_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_engine_gets_all),	   TEST(test_neighbours_share_objects),
		TEST(test_lag_is_bounded),	   TEST(test_start_finishes),
		TEST(test_faults_lose_nothing),	   TEST(test_engine_ahead_is_refused),
		TEST(test_late_object_is_adopted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
