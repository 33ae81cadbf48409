/* SPDX-License-Identifier: Apache-2.0 */
/*
 * s3.c - operations take turns, become requests, and end. See s3_impl.h.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "dataplane/engine/s3_impl.h"

static struct s3_driver *of(struct engine_driver *driver)
{
	return (struct s3_driver *)driver;
}

static uint64_t now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

/* Behind all others. */
static void queue_add(struct s3_driver *s3, struct s3_task *task)
{
	task->next = NULL;
	task->queued = true;
	if (s3->first == NULL)
		s3->first = task;
	else
		s3->last->next = task;
	s3->last = task;
}

static struct s3_task *queue_take(struct s3_driver *s3)
{
	struct s3_task *task = s3->first;

	s3->first = task->next;
	task->queued = false;
	return task;
}

/* Items whose fate is not known get `err`; the operation ends with its first error. */
static void task_end(struct s3_driver *s3, struct s3_task *task, int err)
{
	struct engine_op *op = task->op;
	int result = op->verb == ENGINE_LIST ? err : 0;

	for (uint32_t i = 0; op->verb != ENGINE_LIST && i < op->count; i++) {
		if (op->items[i].result == -EINPROGRESS)
			op->items[i].result = err;
		if (result == 0)
			result = op->items[i].result;
	}
	task->op = NULL;
	task->next = s3->free_task;
	s3->free_task = task;
	s3->driver.end(s3->driver.end_arg, op, result);
}

/* The next item that is to be sent, op->count if there is none. */
static uint32_t task_seek(struct s3_task *task)
{
	const struct engine_op *op = task->op;

	if (op->verb == ENGINE_LIST)
		return task->cursor;
	while (task->cursor < op->count && op->items[task->cursor].result != -EINPROGRESS)
		task->cursor++;
	return task->cursor;
}

static bool task_sends(struct s3_task *task)
{
	uint32_t count = task->op->verb == ENGINE_LIST ? 1 : task->op->count;

	return task->stopped == 0 && task_seek(task) < count;
}

/* Ends it when it is over (S2), unless it waits for its turn. */
static void task_look(struct s3_driver *s3, struct s3_task *task)
{
	if (!task->queued && task->under_way == 0 && !task_sends(task))
		task_end(s3, task, task->stopped);
}

static struct s3_request *request_take(struct s3_driver *s3)
{
	struct s3_request *request = s3->free_request;

	s3->free_request = request->next_free;
	return request;
}

static void request_free(struct s3_driver *s3, struct s3_request *request)
{
	request->task = NULL;
	request->next_free = s3->free_request;
	s3->free_request = request;
}

/* What the request holds beside itself. */
static void request_release(struct s3_request *request)
{
	if (request->http.grow)
		free(request->http.to);
	request->http.grow = false;
	free(request->body);
	request->body = NULL;
}

/* Behind the last item that goes in the same request. */
static uint32_t delete_end(const struct s3_task *task)
{
	const struct engine_op *op = task->op;
	uint32_t end = task->cursor, count = 0;

	for (uint32_t at = task->cursor; at < op->count && count < S3_DELETE_MAX; at++) {
		if (op->items[at].result != -EINPROGRESS)
			continue;
		end = at + 1;
		count++;
	}
	return end;
}

/* Fills in which part of the task the request is about; moves the cursor behind it (S1). */
static void request_aim(struct s3_driver *s3, struct s3_task *task, struct s3_request *request)
{
	static const enum s3_kind kinds[ENGINE_VERBS] = {
		[ENGINE_GET] = S3_GET,	     [ENGINE_PUT] = S3_PUT,   [ENGINE_PUT_NEW] = S3_PUT,
		[ENGINE_DELETE] = S3_DELETE, [ENGINE_LIST] = S3_LIST,
	};
	const struct engine_op *op = task->op;

	request->task = task;
	request->kind = kinds[op->verb];
	request->conditional = op->verb == ENGINE_PUT_NEW && s3->conditional == S3_REFUSES;
	request->http.until_us = op->own.try_until_us;
	request->item = task_seek(task);
	request->end = request->item + 1;
	if (op->verb == ENGINE_DELETE && delete_end(task) > request->end) {
		request->kind = S3_DELETE_MANY;
		request->end = delete_end(task);
	}
	if (op->verb == ENGINE_LIST) {
		request->token[0] = '\0';
		request->empty_pages = 0;
		snprintf(request->after, sizeof(request->after), "%s", op->list->after);
	}
	task->cursor = request->end;
}

/* An error that says nothing of the other items does not stop them. */
static void request_failed(struct s3_request *request, int err)
{
	struct s3_task *task = request->task;
	struct engine_op *op = task->op;

	for (uint32_t i = request->item; op->verb != ENGINE_LIST && i < request->end; i++)
		if (op->items[i].result == -EINPROGRESS)
			op->items[i].result = err;
	if (err != -ENOENT && err != -EEXIST && err != -E2BIG && task->stopped == 0)
		task->stopped = err;
}

static void cannot_begin(struct s3_driver *s3, int err)
{
	snprintf(s3->driver.why, sizeof(s3->driver.why), "s3: a request could not be made: %s",
		 err == -ENOMEM ? "out of memory" : "it is too long");
}

/* As many requests as there are free ones. */
static void pump(struct s3_driver *s3)
{
	struct s3_request *request;
	struct s3_task *task;
	int err;

	while (s3->first != NULL && s3->free_request != NULL) {
		task = queue_take(s3);
		if (!task_sends(task)) {
			task_look(s3, task);
			continue;
		}
		request = request_take(s3);
		request_aim(s3, task, request);
		task->under_way++;
		err = s3_request_begin(request);
		if (err != 0) {
			cannot_begin(s3, err);
			request_failed(request, err == -ENOMEM ? -ENOSPC : -EPROTO);
			request_release(request);
			request_free(s3, request);
			task->under_way--;
		}
		if (task_sends(task))
			queue_add(s3, task);
		else
			task_look(s3, task);
	}
}

/* Items are done, or have their error. */
static void request_settle(struct s3_request *request, int err)
{
	struct engine_op *op = request->task->op;

	if (err != 0) {
		request_failed(request, err);
		return;
	}
	for (uint32_t i = request->item; op->verb != ENGINE_LIST && i < request->end; i++) {
		if (op->items[i].result == -EINPROGRESS)
			op->items[i].result = 0;
		else if (op->items[i].result != 0 && request->task->stopped == 0)
			request->task->stopped =
				op->items[i].result; /* the storage wants a pause */
	}
}

static void on_done(struct http_request *http)
{
	struct s3_request *request = http->arg;
	struct s3_driver *s3 = request->driver;
	struct s3_task *task = request->task;
	bool again;
	int err = s3_answer_judge(request, &again);

	request_release(request);
	if (again) {
		err = s3_request_begin(request);
		if (err == 0)
			return;
		cannot_begin(s3, err);
		err = err == -ENOMEM ? -ENOSPC : -EPROTO;
	}
	request_settle(request, err);
	request_release(request);
	request_free(s3, request);
	task->under_way--;
	task_look(s3, task);
	pump(s3);
}

/* All that waited for the probe go on, or end with its error. */
static void probe_end(struct s3_driver *s3, int err)
{
	struct s3_task *task, *next = s3->waiting;

	s3->waiting = NULL;
	if (err != 0)
		s3->conditional = S3_UNKNOWN;
	if (s3->conditional == S3_OVERWRITES)
		__atomic_store_n(&s3->driver.caps.flags,
				 s3->driver.caps.flags & ~(uint32_t)ENGINE_CONDITIONAL,
				 __ATOMIC_RELAXED);
	while ((task = next) != NULL) {
		next = task->next;
		if (err == 0) {
			queue_add(s3, task);
		} else {
			task->queued = false;
			task->stopped = err;
			task_look(s3, task);
		}
	}
}

static void on_probed(struct http_request *http)
{
	struct s3_request *request = http->arg;
	struct s3_driver *s3 = request->driver;
	bool again;
	int err = s3_answer_judge(request, &again);

	if (err == 0 && again)
		err = s3_request_begin(request);
	if (err == 0 && again)
		return;
	probe_end(s3, err);
	pump(s3);
}

static void probe_begin(struct s3_driver *s3, uint64_t until_us)
{
	int err;

	s3->conditional = S3_ASKING;
	s3->probe.http.until_us = until_us;
	err = s3_request_begin(&s3->probe);
	if (err == 0)
		return;
	cannot_begin(s3, err);
	probe_end(s3, err == -ENOMEM ? -ENOSPC : -EPROTO);
}

static void s3_begin(struct engine_driver *driver, struct engine_op *op)
{
	struct s3_driver *s3 = of(driver);
	struct s3_task *task = s3->free_task;

	s3->free_task = task->next;
	*task = (struct s3_task){.op = op};
	if (op->own.try_until_us < s3->soonest_us)
		s3->soonest_us = op->own.try_until_us;
	if (op->verb != ENGINE_PUT_NEW || s3->conditional >= S3_REFUSES) {
		queue_add(s3, task);
		pump(s3);
		return;
	}
	task->queued = true;
	task->next = s3->waiting;
	s3->waiting = task;
	if (s3->conditional == S3_UNKNOWN)
		probe_begin(s3, op->own.try_until_us);
}

static void task_unlink(struct s3_driver *s3, struct s3_task *task)
{
	struct s3_task **at = &s3->waiting, *before = NULL;

	while (*at != NULL && *at != task)
		at = &(*at)->next;
	if (*at != NULL) {
		*at = task->next;
		return;
	}
	for (at = &s3->first; *at != task; at = &(*at)->next)
		before = *at;
	*at = task->next;
	if (s3->last == task)
		s3->last = before;
}

/* Those whose time is over while they wait for their turn; requests under way see to themselves. */
static void expire(struct s3_driver *s3)
{
	uint64_t now = now_us(), soonest = UINT64_MAX;

	if (now < s3->soonest_us)
		return;
	s3->soonest_us = UINT64_MAX; /* who hears of an end may begin others */
	for (uint32_t i = 0; i < ENGINE_OPEN_MAX; i++) {
		struct s3_task *task = &s3->tasks[i];

		if (task->op == NULL || !task->queued)
			continue;
		if (task->op->own.try_until_us > now) {
			if (task->op->own.try_until_us < soonest)
				soonest = task->op->own.try_until_us;
			continue;
		}
		task_unlink(s3, task);
		task->queued = false;
		task->stopped = -ETIMEDOUT;
		snprintf(s3->driver.why, sizeof(s3->driver.why),
			 "s3: %s at %s: no turn came in time: the storage is too slow for what it "
			 "is asked",
			 s3->url.host, s3->url.endpoint);
		task_look(s3, task);
	}
	if (soonest < s3->soonest_us)
		s3->soonest_us = soonest;
}

static void s3_run(struct engine_driver *driver, int wake_fd, int timeout_ms)
{
	struct s3_driver *s3 = of(driver);
	uint64_t now = now_us(), ms;

	/* Where none waits for its turn, http_run() knows all times. */
	if ((s3->first != NULL || s3->waiting != NULL) && s3->soonest_us != UINT64_MAX) {
		ms = s3->soonest_us > now ? (s3->soonest_us - now + 999) / 1000 : 0;
		if (timeout_ms < 0 || ms < (uint64_t)timeout_ms)
			timeout_ms = ms > INT32_MAX ? INT32_MAX : (int)ms;
	}
	http_run(s3->http, wake_fd, timeout_ms);
	expire(s3);
}

static void s3_destroy(struct engine_driver *driver)
{
	struct s3_driver *s3 = of(driver);

	if (s3->http != NULL) {
		http_cancel(s3->http, &s3->probe.http);
		for (uint32_t i = 0; i < s3->requests_count; i++)
			http_cancel(s3->http, &s3->requests[i].http);
	}
	for (uint32_t i = 0; s3->requests != NULL && i < s3->requests_count; i++)
		request_release(&s3->requests[i]);
	for (uint32_t i = 0; i < ENGINE_OPEN_MAX; i++)
		if (s3->tasks[i].op != NULL)
			task_end(s3, &s3->tasks[i], -ECANCELED);
	http_destroy(s3->http);
	free(s3->requests);
	explicit_bzero(s3, sizeof(*s3));
	free(s3);
}

static const struct engine_driver_ops s3_ops = {s3_begin, s3_run, s3_destroy};

static void request_init(struct s3_driver *s3, struct s3_request *request,
			 void (*done)(struct http_request *http))
{
	request->driver = s3;
	request->http.arg = request;
	request->http.done = done;
}

static void s3_init(struct s3_driver *s3)
{
	s3->driver.ops = &s3_ops;
	s3->driver.caps = (struct engine_caps){.name = "s3",
					       .flags = ENGINE_CONDITIONAL | ENGINE_RANGES,
					       .value_max = ENGINE_OBJECT_BYTES_MAX,
					       .batch_max = 1,
					       .delete_max = S3_DELETE_MAX};
	s3->signer = (struct sigv4_signer){.access_key = s3->credentials.access_key,
					   .secret_key = s3->credentials.secret_key,
					   .region = s3->url.region,
					   .service = "s3"};
	s3->host = strstr(s3->url.endpoint, "://");
	s3->host = s3->host != NULL ? s3->host + 3 : s3->url.endpoint;
	snprintf(s3->host_line, sizeof(s3->host_line), "Host: %s", s3->host);
	snprintf(s3->token_line, sizeof(s3->token_line), "x-amz-security-token: %s",
		 s3->credentials.session_token);
	s3->soonest_us = UINT64_MAX;
	for (uint32_t i = ENGINE_OPEN_MAX; i-- > 0;) {
		s3->tasks[i].next = s3->free_task;
		s3->free_task = &s3->tasks[i];
	}
	for (uint32_t i = s3->requests_count; i-- > 0;) {
		request_init(s3, &s3->requests[i], on_done);
		request_free(s3, &s3->requests[i]);
	}
	request_init(s3, &s3->probe, on_probed);
	s3->probe.kind = S3_PROBE;
	s3->probe.conditional = true;
}

int s3_driver_create(struct engine_driver **out, const struct engine_url *url,
		     const struct engine_credentials *credentials,
		     const struct engine_config *config, char *why)
{
	uint32_t count = config->connections != 0 ? config->connections : S3_CONNECTIONS_DEFAULT;
	struct http_config http = {.ca_file = credentials->ca_file};
	struct s3_driver *s3;
	int err = -ENOMEM;

	if (credentials->access_key[0] == '\0' || credentials->secret_key[0] == '\0') {
		snprintf(why, ENGINE_WHY_BYTES,
			 "s3: no credentials; write access-key and secret-key into the file that "
			 "engine-credentials names");
		return -EINVAL;
	}
	count = count < HTTP_CONNECTIONS_MAX ? count : HTTP_CONNECTIONS_MAX;
	s3 = calloc(1, sizeof(*s3));
	if (s3 == NULL)
		goto fail;
	s3->url = *url;
	s3->credentials = *credentials;
	s3->requests_count = count;
	s3->requests = calloc(count, sizeof(s3->requests[0]));
	if (s3->requests == NULL)
		goto fail;
	s3_init(s3);
	http.connections = count;
	err = http_create(&s3->http, &http);
	if (err != 0)
		goto fail;
	*out = &s3->driver;
	return 0;
fail:
	snprintf(why, ENGINE_WHY_BYTES, "s3: %s",
		 err == -ENOMEM ? "out of memory" : "libcurl cannot be set up");
	if (s3 != NULL)
		s3_destroy(&s3->driver);
	return err;
}
