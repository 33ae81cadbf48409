/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine_test.c - a node's devices over a storage engine in memory: whose it is, one that forgot
 * everything, waits that end, and what is told of it.
 */
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "control/devices.h"
#include "control/engine_info.h"
#include "control/engine_watch.h"
#include "control/metrics.h"
#include "dataplane/engine/memory_driver.h"
#include "dataplane/log/filedev.h"
#include "dataplane/log/logdev.h"
#include "dataplane/worker_info.h"
#include "tests/lib/scratch.h"

#define STORE "control-engine-test"

static struct memory_store *store;
static struct config config;
static struct devices devices;
static char why[DEVICES_WHY_BYTES];
static const char *folder;
static const struct report quiet = {.level = REPORT_ERROR};

/* In the place of metrics.c's: the watch's thread calls it. */
static pthread_mutex_t ready_lock = PTHREAD_MUTEX_INITIALIZER;
static char ready[METRICS_WHY_BYTES];

void metrics_ready(struct metrics *metrics, const char *why_not)
{
	pthread_mutex_lock(&ready_lock);
	snprintf(ready, sizeof(ready), "%s", why_not == NULL ? "" : why_not);
	pthread_mutex_unlock(&ready_lock);
}

static bool ready_says(const char *text)
{
	bool says;

	pthread_mutex_lock(&ready_lock);
	says = strstr(ready, text) != NULL;
	pthread_mutex_unlock(&ready_lock);
	return says;
}

static void set(const char *key, const char *value)
{
	assert_int_equal(config_set(&config, key, value, "test", why), 0);
}

static void fault(const char *options)
{
	char text[ENGINE_WHY_BYTES];

	assert_int_equal(memory_store_options(store, options, text), 0);
}

static int setup(void **state)
{
	char path[PATH_MAX];

	if (scratch_setup(state) != 0)
		return -1;
	folder = *state;
	store = memory_store_hold(STORE);
	config_defaults(&config);
	set("engine", "memory:" STORE);
	snprintf(path, sizeof(path), "%s/state", folder);
	set("state-dir", path);
	snprintf(path, sizeof(path), "%s/data", folder);
	set("data-dir", path);
	memset(&devices, 0, sizeof(devices));
	return 0;
}

static int teardown(void **state)
{
	devices_close(&devices);
	memory_store_release(store);
	return scratch_teardown(state);
}

static void begin(void)
{
	memset(&devices, 0, sizeof(devices));
	assert_int_equal(devices_open(&devices, &config, why), 0);
}

static void meet(int err)
{
	begin();
	assert_int_equal(devices_meet(&devices, why), err);
}

static void says(const char *text)
{
	if (strstr(why, text) == NULL)
		fail_msg("\"%s\" does not say \"%s\"", why, text);
}

static void an_engine_knows_whose_it_is(void **state)
{
	uint8_t node_id[16];
	struct logdev *dev;
	struct filedev *files;

	meet(0);
	assert_int_equal(devices.logs_count, 0);
	assert_string_equal(devices.place, "memory:" STORE);
	memcpy(node_id, devices.node_id, sizeof(node_id));
	assert_int_equal(devices_log(&devices, 3, true, &dev, why, sizeof(why)), 0);
	dev->incarnation = 1;
	assert_int_equal(dev->ops->create(dev, 0, 8 << 20), 0);
	dev->ops->destroy(dev);
	assert_int_equal(devices_checkpoints(&devices, &files, why, sizeof(why)), 0);
	files->ops->destroy(files);
	assert_false(devices_held(&devices));
	devices_close(&devices);
	assert_int_equal(access(config.data_dir, F_OK), -1);

	meet(0);
	assert_memory_equal(devices.node_id, node_id, sizeof(node_id));
	assert_int_equal(devices.logs_count, 1);
	assert_int_equal(devices.logs[0], 3);
}

/* With a data directory the engine gets that one's identity, and no other's. */
static void a_copy_is_of_its_directory(void **state)
{
	struct engine_facts facts;
	char path[PATH_MAX];

	set("engine-ack", "log");
	meet(0);
	assert_string_equal(devices.place, config.data_dir);
	assert_memory_equal(devices.node_id, devices.dir.node_id, sizeof(devices.node_id));
	assert_true(devices_facts(&devices, &facts));
	assert_true(facts.behind);
	assert_int_equal(facts.lag.lag_bytes_max, 64 << 20);
	devices_close(&devices);
	meet(0);
	devices_close(&devices);

	snprintf(path, sizeof(path), "%s/other", folder);
	set("data-dir", path);
	meet(-EBADMSG);
	says("has the logs of another data directory");
}

static void what_cannot_be_is_refused_at_once(void **state)
{
	set("engine-credentials", "/nowhere/credentials");
	memset(&devices, 0, sizeof(devices));
	assert_int_equal(devices_open(&devices, &config, why), -EINVAL);
	says("engine memory:" STORE);
	says("/nowhere/credentials");
}

static void an_engine_that_forgot_is_no_new_one(void **state)
{
	char path[PATH_MAX], kept[PATH_MAX];

	meet(0);
	devices_close(&devices);
	assert_int_equal(memory_store_drop(store, "node", "id"), 0);
	meet(-EBADMSG);
	says("has lost what it had acknowledged: nothing is there");
	says("state/engine");
	devices_close(&devices);
	/* Nothing was made. */
	assert_int_equal(memory_store_drop(store, "node", "id"), -ENOENT);

	snprintf(path, sizeof(path), "%s/state/engine", folder);
	snprintf(kept, sizeof(kept), "%s/kept", folder);
	assert_int_equal(unlink(path), 0);
	meet(0);
	devices_close(&devices);

	/* Somebody else began anew meanwhile. */
	assert_int_equal(memory_store_drop(store, "node", "id"), 0);
	assert_int_equal(rename(path, kept), 0);
	meet(0);
	devices_close(&devices);
	assert_int_equal(rename(kept, path), 0);
	meet(-EBADMSG);
	says("another node's commits are there in the place of this one's");
}

static void another_engine_was_never_seen(void **state)
{
	meet(0);
	devices_close(&devices);
	set("engine", "memory:control-engine-other");
	meet(0);
}

/* Each second, as main does, until it says something or there is nothing more to say. */
static struct faults_engine look_until(int lost)
{
	static uint64_t second;
	struct faults_engine out;

	for (int i = 0; i < 200; i++) {
		devices_look(&devices, ++second * 1000000, &out);
		if (out.lost == lost && lost != 0)
			break;
		usleep(1000);
	}
	return out;
}

static void a_running_node_sees_the_loss(void **state)
{
	struct faults_engine out;
	struct logdev *dev;

	meet(0);
	assert_int_equal(devices_log(&devices, 0, true, &dev, why, sizeof(why)), 0);
	out = look_until(0);
	assert_int_equal(out.lost, 0);
	assert_int_equal(out.failing_us, 0);
	assert_string_equal(out.url, "memory:" STORE);
	assert_int_equal(memory_store_drop(store, "node", "id"), 0);
	assert_int_equal(look_until(-ENOENT).lost, -ENOENT);
	/* Nothing more is built on that. */
	assert_int_equal(dev->ops->create(dev, 0, 8 << 20), -ECANCELED);
	dev->ops->destroy(dev);
}

static void cut(void *arg)
{
	devices_cut(arg);
}

static struct engine_watch_config watch_of(void)
{
	return (struct engine_watch_config){.engine = devices.engine,
					    .report = &quiet,
					    .doing = "starting",
					    .cut = cut,
					    .cut_arg = &devices};
}

static struct engine_watch *watch(const struct engine_watch_config *watched)
{
	struct engine_watch *made;

	assert_int_equal(engine_watch_begin(&made, watched), 0);
	return made;
}

static void a_signal_ends_the_wait(void **state)
{
	struct engine_watch_config watched;
	struct engine_watch *made;
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	fault("down=yes");
	begin();
	watched = watch_of();
	watched.signals = &set;
	watched.refusals = true;
	made = watch(&watched);
	kill(getpid(), SIGTERM);
	assert_int_equal(devices_meet(&devices, why), -ECANCELED);
	assert_int_equal(engine_watch_end(made, why), ENGINE_WATCH_SIGNAL);
	assert_string_equal(why, "Terminated");
}

static void a_refusal_ends_the_wait(void **state)
{
	struct engine_watch_config watched;
	struct engine_watch *made;

	fault("denied=yes");
	begin();
	watched = watch_of();
	watched.refusals = true;
	made = watch(&watched);
	assert_int_equal(devices_meet(&devices, why), -ECANCELED);
	assert_int_equal(engine_watch_end(made, why), ENGINE_WATCH_REFUSED);
	says("the storage engine refuses us: ");
	assert_true(ready_says("starting: the storage engine refuses us since"));
}

static void time_ends_the_wait(void **state)
{
	struct engine_watch_config watched;
	struct engine_watch *made;

	fault("down=yes");
	begin();
	watched = watch_of();
	watched.limit_ms = 300;
	made = watch(&watched);
	assert_int_equal(devices_meet(&devices, why), -ECANCELED);
	assert_int_equal(engine_watch_end(made, why), ENGINE_WATCH_LATE);
	says("starting: the storage engine was waited for for 0 s: ");
	assert_true(devices_failing(&devices));
}

static void *mend(void *arg)
{
	while (!ready_says("does not answer"))
		usleep(10000);
	fault("down=no");
	return NULL;
}

/* One that comes later is waited for, and that is told. */
static void an_engine_may_come_later(void **state)
{
	struct engine_watch_config watched;
	struct engine_watch *made;
	pthread_t thread;

	metrics_ready(NULL, NULL);
	fault("down=yes");
	begin();
	watched = watch_of();
	watched.refusals = true;
	made = watch(&watched);
	assert_int_equal(pthread_create(&thread, NULL, mend, NULL), 0);
	assert_int_equal(devices_meet(&devices, why), 0);
	pthread_join(thread, NULL);
	while (!ready_says("starting") || ready_says("does not answer"))
		usleep(10000);
	assert_int_equal(engine_watch_end(made, why), ENGINE_WATCH_UNCUT);
	assert_string_equal(why, "");
	assert_false(devices_failing(&devices));
}

static void numbers_are_told(void **state)
{
	struct engine_facts facts = {.name = "redis",
				     .counters = {.puts = 7, .failed = 2},
				     .health = {.open = 3, .failing_us = 0, .error = -ETIMEDOUT},
				     .behind = true,
				     .lag = {.lag_bytes = 5, .lag_bytes_max = 9, .error = -ESTALE}};
	char text[4096] = "";
	struct info_text lines = {.at = text, .room = sizeof(text)};
	struct telemetry_engine told = {.gets = 1};
	uint32_t bytes;

	engine_info(&facts, &lines);
	assert_non_null(strstr(text, "engine_name redis           \n"));
	assert_non_null(strstr(text, "\nengine_puts                    7\n"));
	assert_non_null(strstr(text, "\nengine_open                    3\n"));
	assert_non_null(strstr(text, "\nengine_error                    0\n"));
	assert_non_null(strstr(text, "\nengine_why -   "));
	assert_non_null(strstr(text, "\nengine_lag_bytes                    5\n"));
	assert_non_null(strstr(text, "\nengine_lag_error                  116\n"));
	bytes = lines.bytes;
	engine_tell(&facts, &told);
	assert_int_equal(told.puts, 7);
	assert_int_equal(told.gets, 0);
	assert_int_equal(told.open, 3);
	assert_int_equal(told.lag_bytes, 5);
	assert_int_equal(told.error, 0);
	assert_string_equal(told.name, "redis");

	facts.health.failing_us = 4000000;
	memset(facts.health.why, 'x', sizeof(facts.health.why) - 1);
	facts.health.why[1] = '\n';
	lines = (struct info_text){.at = text, .room = sizeof(text)};
	engine_info(&facts, &lines);
	assert_int_equal(lines.bytes, bytes);
	assert_non_null(strstr(text, "\nengine_error                  110\n"));
	assert_non_null(strstr(text, "\nengine_why x?xxx"));
	engine_tell(&facts, &told);
	assert_int_equal(told.error, ETIMEDOUT);
	assert_int_equal(told.failing_us, 4000000);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(an_engine_knows_whose_it_is),
		CASE(a_copy_is_of_its_directory),
		CASE(what_cannot_be_is_refused_at_once),
		CASE(an_engine_that_forgot_is_no_new_one),
		CASE(another_engine_was_never_seen),
		CASE(a_running_node_sees_the_loss),
		CASE(a_signal_ends_the_wait),
		CASE(a_refusal_ends_the_wait),
		CASE(time_ends_the_wait),
		CASE(an_engine_may_come_later),
		CASE(numbers_are_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
