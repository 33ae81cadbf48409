/* SPDX-License-Identifier: Apache-2.0 */
/*
 * redis.c - the driver for Redis, one server or a cluster, plain or over TLS: engine.h over strings
 * and sorted sets. Which commands an operation is made of, and why that keeps N1 to N4, is in
 * redis_work.c; how names become keys in redis_request.c.
 *
 * All of it is one thread's, with sockets that do not block. begin() puts requests into a
 * connection's queue; run() sends what was put there since, all of it in one write where it fits,
 * so operations that begin together share a packet, and waits for answers.
 */
#include "dataplane/engine/redis_impl.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TRY_MS_DEFAULT 10000u
#define PORT_DEFAULT   6379

static struct redis_driver *driver_of(struct engine_driver *base)
{
	return (struct redis_driver *)base;
}

void redis_why(struct redis_driver *driver, const struct redis_node *node, const char *format, ...)
{
	char *why = driver->base.why;
	int used = snprintf(why, ENGINE_WHY_BYTES, "redis %s:%u: ", node->place.host,
			    node->place.port);
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(why + used, ENGINE_WHY_BYTES - (size_t)used, format, arguments);
	va_end(arguments);
}

static void begin(struct engine_driver *base, struct engine_op *op)
{
	struct redis_driver *driver = driver_of(base);

	driver->now_us = engine_now_us();
	redis_work_begin(driver, op);
}

static void late_why(struct redis_driver *driver, const struct redis_work *work)
{
	const struct redis_request *request = LIST_FIRST(&work->requests);

	if (request == NULL)
		return;
	if (request->link->state < REDIS_READY)
		redis_why(driver, request->link->node, "%s", redis_connect_missing(request->link));
	else
		redis_why(driver, request->link->node,
			  "%s in time: is the server stuck, or the network?",
			  request->sent ? "no answer came" : "not all could be sent");
}

/* `deadline_us` may be that of a work that has ended since: then this finds the next. */
static void end_late(struct redis_driver *driver)
{
	struct redis_work *work, *next;
	uint64_t earliest = ENGINE_FOREVER;

	if (driver->now_us < driver->deadline_us)
		return;
	driver->deadline_us = ENGINE_FOREVER;
	for (work = TAILQ_FIRST(&driver->works); work != NULL; work = next) {
		next = TAILQ_NEXT(work, on_driver);
		if (driver->now_us < work->op->own.try_until_us) {
			if (work->op->own.try_until_us < earliest)
				earliest = work->op->own.try_until_us;
			continue;
		}
		late_why(driver, work);
		redis_work_abandon(driver, work, -ETIMEDOUT);
	}
	if (earliest < driver->deadline_us)
		driver->deadline_us = earliest;
}

static void run_links(struct redis_driver *driver)
{
	for (uint32_t i = 0; i < driver->nodes_used; i++) {
		struct redis_node *node = driver->nodes[i];

		for (uint32_t k = 0; node != NULL && k < driver->links_max; k++)
			redis_link_run(driver, &node->links[k]);
	}
}

/* Returns how many there are beside wake_fd. */
static uint32_t collect_polls(struct redis_driver *driver, uint64_t *until_us)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < driver->nodes_used; i++) {
		struct redis_node *node = driver->nodes[i];

		for (uint32_t k = 0; node != NULL && k < driver->links_max; k++) {
			short events = redis_link_events(driver, &node->links[k], until_us);

			if (events == 0)
				continue;
			count++;
			driver->polls[count] =
				(struct pollfd){.fd = node->links[k].fd, .events = events};
			driver->polled[count] = &node->links[k];
		}
	}
	return count;
}

static int poll_ms(const struct redis_driver *driver, uint64_t until_us, int timeout_ms)
{
	uint64_t ms;

	if (until_us == ENGINE_FOREVER)
		return timeout_ms;
	ms = until_us <= driver->now_us ? 0 : (until_us - driver->now_us + 999) / 1000;
	return timeout_ms < 0 || ms < (uint64_t)timeout_ms ? (int)(ms < 60000 ? ms : 60000)
							   : timeout_ms;
}

static void run(struct engine_driver *base, int wake_fd, int timeout_ms)
{
	struct redis_driver *driver = driver_of(base);
	uint64_t until_us;
	uint32_t count;

	driver->now_us = engine_now_us();
	driver->ended = false;
	end_late(driver);
	until_us = driver->deadline_us;
	redis_nodes_run(driver, &until_us);
	run_links(driver);
	count = collect_polls(driver, &until_us);
	driver->polls[0] = (struct pollfd){.fd = wake_fd, .events = POLLIN};
	if (driver->ended)
		timeout_ms = 0;
	if (poll(driver->polls, 1 + count, poll_ms(driver, until_us, timeout_ms)) <= 0)
		return;
	driver->now_us = engine_now_us();
	for (uint32_t i = 1; i <= count; i++)
		if (driver->polls[i].revents != 0 && driver->polled[i]->fd == driver->polls[i].fd)
			redis_link_event(driver, driver->polled[i], driver->polls[i].revents);
}

static void destroy(struct engine_driver *base)
{
	struct redis_driver *driver = driver_of(base);
	struct redis_work *work;

	while ((work = TAILQ_FIRST(&driver->works)) != NULL)
		redis_work_abandon(driver, work, -ECANCELED);
	for (uint32_t i = 0; i < driver->nodes_used; i++)
		if (driver->nodes[i] != NULL)
			redis_node_destroy(driver, driver->nodes[i]);
	redis_tls_destroy(driver->tls);
	explicit_bzero(driver->password, sizeof(driver->password));
	free(driver);
}

static const struct engine_driver_ops ops = {begin, run, destroy};

static void configure(struct redis_driver *driver, const struct engine_url *url,
		      const struct engine_credentials *credentials,
		      const struct engine_config *config)
{
	driver->base.ops = &ops;
	driver->base.caps = (struct engine_caps){
		.name = "redis",
		.flags = ENGINE_CONDITIONAL | ENGINE_RANGES,
		.value_max = ENGINE_OBJECT_BYTES_MAX,
		.batch_max = ENGINE_ITEMS_MAX,
		.delete_max = ENGINE_ITEMS_MAX,
	};
	snprintf(driver->prefix, sizeof(driver->prefix), "%s", url->prefix);
	snprintf(driver->user, sizeof(driver->user), "%s", credentials->user);
	snprintf(driver->password, sizeof(driver->password), "%s", credentials->password);
	driver->try_us = (uint64_t)(config->try_ms == 0 ? TRY_MS_DEFAULT : config->try_ms) * 1000;
	driver->random = config->seed;
	driver->links_max = config->connections == 0 ? REDIS_LINKS_DEFAULT : config->connections;
	if (driver->links_max > REDIS_LINKS_MAX)
		driver->links_max = REDIS_LINKS_MAX;
	driver->deadline_us = ENGINE_FOREVER;
	TAILQ_INIT(&driver->works);
	for (uint32_t slot = 0; slot < REDIS_SLOTS; slot++)
		driver->owner[slot] = REDIS_NO_NODE;
}

int redis_driver_create(struct engine_driver **out, const struct engine_url *url,
			const struct engine_credentials *credentials,
			const struct engine_config *config, char *why)
{
	struct redis_driver *driver = calloc(1, sizeof(*driver));
	struct redis_place place = {.port = url->port == 0 ? PORT_DEFAULT : url->port};
	int err = -ENOMEM;

	snprintf(why, ENGINE_WHY_BYTES, "redis: %s", strerror(ENOMEM));
	if (driver == NULL)
		return -ENOMEM;
	configure(driver, url, credentials, config);
	snprintf(place.host, sizeof(place.host), "%s", url->host);
	if (redis_node_find(driver, &place) == NULL)
		goto fail;
	if (strcmp(url->scheme, "rediss") == 0) {
		err = redis_tls_create(&driver->tls, credentials, url->host, why, ENGINE_WHY_BYTES);
		if (err < 0)
			goto fail;
	}
	*out = &driver->base;
	return 0;
fail:
	destroy(&driver->base);
	return err;
}
