/* SPDX-License-Identifier: Apache-2.0 */
/*
 * service.c - an engine's life, and the loop of its thread: what came, what may begin, the driver.
 */
#include <ck_pr.h>
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "dataplane/engine/credentials.h"
#include "dataplane/engine/engine_impl.h"
#include "dataplane/engine/scheme.h"
#include "dataplane/engine/url.h"

/* Else poll() comes back 50 us late. */
#define TIMER_SLACK_NS 1000
/* While something is under way, look again at once for so long: a storage next door answers in this
 * time, and to fall asleep and be woken costs as much again. */
#define SPIN_US	       50

/* Takes all that channels have begun. True: there was something. */
static bool admit_all(struct engine *engine)
{
	struct engine_op *op;
	struct op_list came = {0};

	pthread_mutex_lock(&engine->lock);
	for (uint32_t i = 0; i < ENGINE_CHANNELS_MAX; i++) {
		struct engine_channel *channel = engine->channels[i];

		while (channel != NULL && (op = channel_begun(channel)) != NULL) {
			op->own.next = NULL;
			if (came.last != NULL)
				came.last->own.next = op;
			else
				came.first = op;
			came.last = op;
		}
	}
	pthread_mutex_unlock(&engine->lock);
	for (struct engine_op *next, *at = came.first; at != NULL; at = next) {
		next = at->own.next;
		op_admit(engine, at);
	}
	return came.first != NULL;
}

static void begin_all(struct engine *engine)
{
	uint64_t now_us = engine_now_us();
	struct engine_op *op;

	while ((op = queue_expired(&engine->queue, now_us)) != NULL)
		op_expire(engine, op);
	while (engine->begun < ENGINE_OPEN_MAX && (op = queue_next(&engine->queue, now_us)) != NULL)
		if (op->until_us <= now_us)
			op_expire(engine, op);
		else
			op_try(engine, op, now_us);
}

static bool anything_begun(struct engine *engine)
{
	bool found = false;

	pthread_mutex_lock(&engine->lock);
	for (uint32_t i = 0; !found && i < ENGINE_CHANNELS_MAX; i++)
		found = engine->channels[i] != NULL &&
			ck_ring_size(&engine->channels[i]->begun) > 0;
	pthread_mutex_unlock(&engine->lock);
	return found;
}

static bool is_closing(const struct engine *engine)
{
	return __atomic_load_n(&engine->closing, __ATOMIC_SEQ_CST) != 0;
}

/* Until when the driver may wait, in ms from now as poll() counts them. */
static int sleep_ms(const struct engine *engine, bool closing)
{
	uint64_t next_us = queue_next_us(&engine->queue), now_us, ms;

	if (closing && engine->cancel_us < next_us)
		next_us = engine->cancel_us;
	if (next_us == UINT64_MAX)
		return -1;
	now_us = engine_now_us();
	if (next_us <= now_us)
		/* What may begin waits for the driver to end something (D7). */
		return engine->begun < ENGINE_OPEN_MAX ? 0 : 1;
	ms = (next_us - now_us + 999) / 1000;
	return ms < 3600000 ? (int)ms : 3600000;
}

/* Reads the kicks that have been taken from `sleeping` (I2). */
static void take_kicks(struct engine *engine)
{
	uint64_t count;

	if (__atomic_exchange_n(&engine->sleeping, 0, __ATOMIC_SEQ_CST) == 0)
		engine->kicks++;
	if (engine->kicks > 0 && read(engine->wake_fd, &count, sizeof(count)) > 0)
		engine->kicks -= count;
}

/* Something is under way, and not long ago something happened. */
static bool spins(struct engine *engine, bool worked)
{
	uint64_t now_us = engine_now_us();

	if (worked || engine->begun != engine->begun_before)
		engine->worked_us = now_us;
	engine->begun_before = engine->begun;
	return engine->begun > 0 && now_us - engine->worked_us < SPIN_US;
}

static void run_driver(struct engine *engine, bool closing, bool worked)
{
	int ms = sleep_ms(engine, closing);

	if (spins(engine, worked)) { /* who kicks need not, as it is not sleeping */
		engine->driver->ops->run(engine->driver, engine->wake_fd, 0);
		return;
	}
	__atomic_store_n(&engine->sleeping, 1, __ATOMIC_SEQ_CST);
	ck_pr_fence_memory(); /* I2: sleeping before the rings */
	if (ms != 0 && (anything_begun(engine) || is_closing(engine) != closing))
		ms = 0;
	engine->driver->ops->run(engine->driver, engine->wake_fd, ms);
	take_kicks(engine);
}

void engine_kick(struct engine *engine)
{
	uint64_t one = 1;

	ck_pr_fence_memory(); /* I2: the ring before sleeping */
	if (__atomic_load_n(&engine->sleeping, __ATOMIC_SEQ_CST) == 0 ||
	    __atomic_exchange_n(&engine->sleeping, 0, __ATOMIC_SEQ_CST) == 0)
		return;
	if (write(engine->wake_fd, &one, sizeof(one)) < 0)
		abort(); /* it counts kicks, of which few are unread */
}

/* True: nothing is left to do, or no time is left to do it. */
static bool is_over(struct engine *engine)
{
	pthread_mutex_lock(&engine->lock);
	engine->cancel_us = engine->close_us;
	pthread_mutex_unlock(&engine->lock);
	return engine->open == 0 || engine_now_us() >= engine->cancel_us;
}

static void cancel_all(struct engine *engine)
{
	struct engine_op *op;

	engine->driver->ops->destroy(engine->driver);
	engine->driver = NULL;
	admit_all(engine);
	while ((op = queue_any(&engine->queue)) != NULL)
		op_cancel(engine, op);
	__atomic_store_n(&engine->dead, 1, __ATOMIC_SEQ_CST);
	/* What was begun since is for the channels' threads to find. */
	pthread_mutex_lock(&engine->lock);
	for (uint32_t i = 0; i < ENGINE_CHANNELS_MAX; i++)
		if (engine->channels[i] != NULL)
			channel_tell(engine->channels[i]);
	pthread_mutex_unlock(&engine->lock);
}

static void *service(void *arg)
{
	struct engine *engine = arg;
	bool closing, worked;

	(void)prctl(PR_SET_TIMERSLACK, TIMER_SLACK_NS);
	do {
		closing = is_closing(engine);
		worked = admit_all(engine);
		if (closing && is_over(engine))
			break;
		begin_all(engine);
		run_driver(engine, closing, worked);
	} while (true);
	cancel_all(engine);
	return NULL;
}

/* With all signals blocked: they are the others'. */
static int service_start(struct engine *engine)
{
	sigset_t all, before;
	int err;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	err = pthread_create(&engine->thread, NULL, service, engine);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (err != 0)
		return -ENOMEM;
	engine->running = true;
	(void)pthread_setname_np(engine->thread, "abaft-engine");
	return 0;
}

static int engine_make(struct engine **out, struct engine_driver *driver,
		       const struct engine_config *config)
{
	struct engine *engine = aligned_alloc(CACHE_LINE_BYTES, sizeof(*engine));
	int err;

	if (engine == NULL)
		return -ENOMEM;
	memset(engine, 0, sizeof(*engine));
	pthread_mutex_init(&engine->lock, NULL);
	engine->caps = driver->caps;
	engine->try_us = UINT64_C(1000) * (config->try_ms != 0 ? config->try_ms : TRY_MS_DEFAULT);
	engine->random = config->seed;
	engine->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	err = engine->wake_fd >= 0 ? 0 : -ENOMEM;
	if (err == 0)
		err = queue_init(&engine->queue, config->delete_rate, engine_now_us());
	if (err != 0) {
		engine_destroy(engine);
		return err;
	}
	engine->driver = driver;
	driver->counters = &engine->counters;
	driver->end = op_tried;
	driver->end_arg = engine;
	*out = engine;
	return 0;
}

int engine_open_driver(struct engine **out, struct engine_driver *driver,
		       const struct engine_config *config, char *why)
{
	int err = engine_make(out, driver, config);

	if (err == 0) {
		err = service_start(*out);
		if (err == 0)
			return 0;
		engine_destroy(*out);
	}
	driver->ops->destroy(driver);
	snprintf(why, ENGINE_WHY_BYTES, "no memory or no descriptor left for the engine's thread");
	return err;
}

int engine_open(struct engine **out, const struct engine_config *config, char *why)
{
	struct engine_config full = *config;
	struct engine_credentials credentials;
	struct engine_driver *driver;
	struct engine_url url;
	int err;

	if (full.try_ms == 0)
		full.try_ms = TRY_MS_DEFAULT;
	err = engine_url_parse(&url, config->url, why);
	if (err != 0)
		return err;
	err = engine_credentials_load(&credentials, config->credentials, why);
	if (err != 0)
		return err;
	err = engine_driver_create(&driver, &url, &credentials, &full, why);
	engine_credentials_wipe(&credentials);
	return err != 0 ? err : engine_open_driver(out, driver, &full, why);
}

void engine_close(struct engine *engine, uint32_t grace_ms)
{
	if (!engine->running)
		return;
	pthread_mutex_lock(&engine->lock);
	engine->close_us = engine_now_us() + grace_ms * UINT64_C(1000);
	pthread_mutex_unlock(&engine->lock);
	__atomic_store_n(&engine->closing, 1, __ATOMIC_SEQ_CST);
	engine_kick(engine);
	pthread_join(engine->thread, NULL);
	engine->running = false;
}

void engine_destroy(struct engine *engine)
{
	if (engine == NULL)
		return;
	engine_close(engine, 0);
	queue_free(&engine->queue);
	if (engine->wake_fd >= 0)
		close(engine->wake_fd);
	pthread_mutex_destroy(&engine->lock);
	free(engine);
}

const struct engine_caps *engine_caps(const struct engine *engine)
{
	return &engine->caps;
}

void engine_counters(const struct engine *engine, struct engine_counters *out)
{
#define LOAD(name, text) out->name = __atomic_load_n(&engine->counters.name, __ATOMIC_RELAXED);
	ENGINE_COUNTERS(LOAD)
#undef LOAD
	out->refused = __atomic_load_n(&engine->refused, __ATOMIC_RELAXED);
}

void engine_health(struct engine *engine, struct engine_health *out)
{
	uint64_t since_us;

	out->open = __atomic_load_n(&engine->open, __ATOMIC_RELAXED);
	pthread_mutex_lock(&engine->lock);
	for (uint32_t i = 0; i < ENGINE_CHANNELS_MAX; i++)
		if (engine->channels[i] != NULL)
			out->open += ck_ring_size(&engine->channels[i]->begun);
	since_us = engine->failing_since_us;
	if (since_us == 0 ||
	    (engine->puts_failing_since_us != 0 && engine->puts_failing_since_us < since_us))
		since_us = engine->puts_failing_since_us;
	out->failing_us = since_us != 0 ? engine_now_us() - since_us : 0;
	out->error = engine->error;
	memcpy(out->why, engine->why, sizeof(out->why));
	pthread_mutex_unlock(&engine->lock);
}
