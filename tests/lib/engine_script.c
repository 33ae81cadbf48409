/* SPDX-License-Identifier: Apache-2.0 */
/* engine_script.c - see engine_script.h. */
#include "tests/lib/engine_script.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define NEVER UINT64_MAX

static void script_begin(struct engine_driver *driver, struct engine_op *op)
{
	struct script *script = (struct script *)driver;
	struct script_step step = {0};
	uint32_t items = 0;

	for (uint32_t i = 0; op->verb != ENGINE_LIST && i < op->count; i++)
		items += op->items[i].result == -EINPROGRESS;
	pthread_mutex_lock(&script->lock);
	if (script->next < script->steps_count)
		step = script->steps[script->next++];
	else
		step.hold = script->hold_rest;
	if (script->tries_count < SCRIPT_TRIES)
		script->tries[script->tries_count++] = (struct script_try){
			.verb = op->verb, .items = items, .at_us = engine_now_us()};
	if (script->held == ENGINE_OPEN_MAX)
		abort(); /* D1 */
	for (uint32_t i = 0; i < ENGINE_OPEN_MAX; i++) {
		if (script->open[i].op != NULL)
			continue;
		script->open[i].op = op;
		script->open[i].step = step;
		script->open[i].due_us = engine_now_us() + step.delay_ms * UINT64_C(1000);
		break;
	}
	script->held++;
	if (script->held > script->held_most)
		script->held_most = script->held;
	pthread_mutex_unlock(&script->lock);
	engine_count(&driver->counters->round_trips, 1);
}

static void apply(const struct script *script, struct engine_op *op, const struct script_step *step)
{
	const char *content = step->content != NULL ? step->content : script->content;
	uint32_t bytes = step->content != NULL ? step->content_got
			 : content != NULL     ? (uint32_t)strlen(content)
					       : 0;

	for (uint32_t i = 0; i < op->count; i++) {
		struct engine_item *item = &op->items[i];

		if (item->result != -EINPROGRESS)
			continue;
		item->result = i < 64 && (step->done >> i & 1) != 0 ? 0 : step->result;
		if (op->verb == ENGINE_GET && item->result == 0 && content != NULL) {
			item->got = bytes < item->bytes ? bytes : item->bytes;
			memcpy(item->to, content, item->got);
		}
	}
}

static uint64_t due_us(const struct script *script, uint32_t i)
{
	uint64_t until_us = script->open[i].op->own.try_until_us;
	uint64_t due = script->open[i].due_us;

	if (script->open[i].step.hold && !script->released)
		due = NEVER;
	return due < until_us ? due : until_us;
}

/* Ends one that is due; with `all` any, as canceled. The lock is not held where it ends. */
static bool end_one(struct script *script, bool all, uint64_t *next_us)
{
	uint64_t now_us = engine_now_us();
	struct script_step step = {0};
	struct engine_op *op = NULL;

	*next_us = NEVER;
	pthread_mutex_lock(&script->lock);
	for (uint32_t i = 0; op == NULL && i < ENGINE_OPEN_MAX; i++) {
		if (script->open[i].op == NULL)
			continue;
		if (!all && due_us(script, i) > now_us) {
			if (due_us(script, i) < *next_us)
				*next_us = due_us(script, i);
			continue;
		}
		op = script->open[i].op;
		step = script->open[i].step;
		if (all)
			step.result = -ECANCELED;
		else if (op->own.try_until_us <= now_us)
			step.result = -ETIMEDOUT;
		script->open[i].op = NULL;
		script->held--;
	}
	pthread_mutex_unlock(&script->lock);
	if (op == NULL)
		return false;
	if (op->verb == ENGINE_LIST)
		op->list->count = step.result != 0; /* left-overs of a failed try */
	else
		apply(script, op, &step);
	snprintf(script->driver.why, sizeof(script->driver.why), "the script says %d", step.result);
	script->driver.end(script->driver.end_arg, op, step.result);
	return true;
}

static void script_run(struct engine_driver *driver, int wake_fd, int timeout_ms)
{
	struct script *script = (struct script *)driver;
	struct pollfd p[2] = {{.fd = wake_fd, .events = POLLIN},
			      {.fd = script->release_fd, .events = POLLIN}};
	uint64_t next_us, now_us, count;
	bool any = false;

	while (end_one(script, false, &next_us))
		any = true;
	now_us = engine_now_us();
	if (any || next_us <= now_us)
		return;
	if (next_us != NEVER &&
	    (timeout_ms < 0 || (next_us - now_us) / 1000 < (uint64_t)timeout_ms))
		timeout_ms = (int)((next_us - now_us + 999) / 1000);
	if (poll(p, 2, timeout_ms) > 0 && p[1].revents != 0 &&
	    read(script->release_fd, &count, sizeof(count)) < 0)
		abort();
}

static void script_destroy(struct engine_driver *driver)
{
	struct script *script = (struct script *)driver;
	uint64_t next_us;

	while (end_one(script, true, &next_us))
		continue;
	close(script->release_fd);
	script->destroyed = true;
}

static const struct engine_driver_ops script_ops = {
	.begin = script_begin,
	.run = script_run,
	.destroy = script_destroy,
};

void script_open(struct script *script, struct engine **engine, const struct script_step *steps,
		 uint32_t count, const struct engine_config *config)
{
	static const struct engine_config plain = {.seed = 1};
	char why[ENGINE_WHY_BYTES];

	if (count > SCRIPT_STEPS)
		abort();
	memset(script, 0, sizeof(*script));
	pthread_mutex_init(&script->lock, NULL);
	if (count > 0)
		memcpy(script->steps, steps, count * sizeof(*steps));
	script->steps_count = count;
	script->release_fd = eventfd(0, EFD_CLOEXEC);
	if (script->release_fd < 0)
		abort();
	script->driver.ops = &script_ops;
	script->driver.caps = (struct engine_caps){.name = "script",
						   .flags = ENGINE_CONDITIONAL | ENGINE_RANGES,
						   .value_max = 1000,
						   .batch_max = 10,
						   .delete_max = 10};
	if (engine_open_driver(engine, &script->driver, config != NULL ? config : &plain, why) != 0)
		abort();
}

void script_hold(struct script *script)
{
	pthread_mutex_lock(&script->lock);
	script->hold_rest = true;
	pthread_mutex_unlock(&script->lock);
}

void script_release(struct script *script)
{
	uint64_t one = 1;

	pthread_mutex_lock(&script->lock);
	script->released = true;
	pthread_mutex_unlock(&script->lock);
	if (write(script->release_fd, &one, sizeof(one)) < 0)
		abort();
}

uint32_t script_tries(struct script *script)
{
	uint32_t tries;

	pthread_mutex_lock(&script->lock);
	tries = script->tries_count;
	pthread_mutex_unlock(&script->lock);
	return tries;
}

bool script_await_held(struct script *script, uint32_t held)
{
	uint64_t end_us = engine_now_us() + 10000000;
	bool there = false;

	while (!there && engine_now_us() < end_us) {
		pthread_mutex_lock(&script->lock);
		there = script->held == held;
		pthread_mutex_unlock(&script->lock);
		if (!there)
			(void)poll(NULL, 0, 1);
	}
	return there;
}
