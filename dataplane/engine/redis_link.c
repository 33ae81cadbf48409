/* SPDX-License-Identifier: Apache-2.0 */
/*
 * redis_link.c - one connection to one server: requests out, answers in. How it comes about is in
 * redis_connect.c.
 *
 * L1. Answers come in the order of requests: `sent` is matched from its front, and an answer that
 *     nobody asked for ends the connection.
 * L2. A connection whose oldest request is late is closed, as all behind it are late as well.
 * L3. It is closed by a reset (SO_LINGER 0), so that what was not sent yet never is: no PUT of a
 * try that was given up comes to a server minutes later, when its object may be deleted again. L4.
 * It connects when there is something to send, so one that the server closed in a quiet hour costs
 * nothing.
 */
#include "dataplane/engine/redis_impl.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Reads of one link before others have their turn. */
#define READS_MAX      32
/* An emptied output that is larger is given back. */
#define OUT_KEEP_BYTES (1u << 20)
/* What an answer may have beside its value. */
#define ANSWER_BYTES   1024

void redis_link_init(struct redis_link *link, struct redis_node *node)
{
	*link = (struct redis_link){.node = node, .fd = -1};
	TAILQ_INIT(&link->queue);
	TAILQ_INIT(&link->sent);
}

void redis_link_add(struct redis_link *link, struct redis_request *request)
{
	request->link = link;
	request->sent = false;
	TAILQ_INSERT_TAIL(&link->queue, request, on_link);
	link->load += request->weight;
}

void redis_link_drop(struct redis_link *link, struct redis_request *request)
{
	TAILQ_REMOVE(&link->queue, request, on_link);
	link->load -= request->weight;
	free(request);
}

/* L3. */
static void reset(int fd)
{
	struct linger at_once = {.l_onoff = 1};

	if (fd < 0)
		return;
	(void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
	close(fd);
}

static void end_request(struct redis_driver *driver, struct redis_link *link,
			struct redis_request *request, int error)
{
	if (request->work != NULL) {
		redis_work_lost(driver, request, error);
		return;
	}
	if (request->command == REDIS_MAP)
		redis_nodes_map(driver, link, NULL);
	free(request);
}

static void drop_output(struct redis_link *link)
{
	/* There may be a password in it. */
	if (link->out != NULL && link->state == REDIS_GREETING)
		explicit_bzero(link->out, link->out_room);
	free(link->out);
	link->out = NULL;
	link->out_begin = link->out_end = link->out_room = 0;
}

/* The lists are taken first: what ends may begin something new, on this very link. */
void redis_link_fail(struct redis_driver *driver, struct redis_link *link, int error)
{
	struct redis_requests lost = TAILQ_HEAD_INITIALIZER(lost);
	struct redis_request *request;

	redis_tls_end(link->tls);
	reset(link->fd);
	redis_reader_close(&link->reader);
	redis_resolve_end(link->resolve);
	drop_output(link);
	if (link->state > REDIS_IDLE && link->state < REDIS_READY)
		redis_node_failed(driver, link->node);
	TAILQ_CONCAT(&lost, &link->sent, on_link);
	TAILQ_CONCAT(&lost, &link->queue, on_link);
	redis_link_init(link, link->node);
	if (driver->cluster && !TAILQ_EMPTY(&lost))
		driver->map_stale = true;
	while ((request = TAILQ_FIRST(&lost)) != NULL) {
		TAILQ_REMOVE(&lost, request, on_link);
		end_request(driver, link, request, error);
	}
}

static int no_memory(struct redis_driver *driver, struct redis_link *link)
{
	redis_why(driver, link->node, "%s", strerror(ENOMEM));
	return -ENOMEM;
}

/* Room for `bytes` more behind the output's end. */
static int make_room(struct redis_link *link, size_t bytes)
{
	size_t waiting = link->out_end - link->out_begin;
	uint8_t *larger;

	if (link->out_room - link->out_end >= bytes)
		return 0;
	if (waiting > 0)
		memmove(link->out, link->out + link->out_begin, waiting);
	link->out_begin = 0;
	link->out_end = waiting;
	if (link->out_room - waiting >= bytes)
		return 0;
	larger = realloc(link->out, waiting + bytes + REDIS_OUT_BYTES);
	if (larger == NULL)
		return -ENOMEM;
	link->out = larger;
	link->out_room = waiting + bytes + REDIS_OUT_BYTES;
	return 0;
}

static int format(struct redis_driver *driver, struct redis_link *link,
		  struct redis_request *request)
{
	if (make_room(link, redis_request_room(driver, request)) < 0)
		return no_memory(driver, link);
	link->out_end += redis_request_format(driver, request, link->out + link->out_end);
	request->link = link;
	request->sent = true;
	TAILQ_INSERT_TAIL(&link->sent, request, on_link);
	link->sent_count++;
	link->sent_load += request->weight;
	return 0;
}

int redis_link_own(struct redis_driver *driver, struct redis_link *link, enum redis_command command,
		   uint64_t until_us)
{
	struct redis_request *request = calloc(1, sizeof(*request));
	int err;

	if (request == NULL)
		return no_memory(driver, link);
	request->command = (uint8_t)command;
	request->until_us = until_us;
	err = format(driver, link, request);
	if (err < 0)
		free(request);
	return err;
}

static bool may_send(const struct redis_link *link)
{
	return !TAILQ_EMPTY(&link->queue) && link->sent_count < REDIS_SENT_MAX &&
	       link->sent_load < REDIS_SENT_BYTES;
}

static int format_queued(struct redis_driver *driver, struct redis_link *link)
{
	struct redis_request *request;
	int err;

	while (may_send(link) && link->out_end - link->out_begin < REDIS_OUT_BYTES) {
		request = TAILQ_FIRST(&link->queue);
		if (request->asking) {
			err = redis_link_own(driver, link, REDIS_ASKING, request->until_us);
			if (err < 0)
				return err;
			request->asking = false;
		}
		TAILQ_REMOVE(&link->queue, request, on_link);
		err = format(driver, link, request);
		if (err < 0) {
			TAILQ_INSERT_HEAD(&link->queue, request, on_link);
			return err;
		}
	}
	return 0;
}

static int lost(struct redis_driver *driver, struct redis_link *link, const char *reason)
{
	redis_why(driver, link->node, "the connection was lost: %s%s", reason,
		  link->state < REDIS_READY && driver->tls == NULL ? ": is it for TLS (rediss:)?"
								   : "");
	return -ENOTCONN;
}

/* Bytes, 0: not now, or an error of a try. */
static ssize_t transfer(struct redis_driver *driver, struct redis_link *link, ssize_t result)
{
	if (link->tls == NULL) {
		if (result > 0)
			return result;
		if (result < 0 && (errno == EAGAIN || errno == EINTR))
			return 0;
		return lost(driver, link, result == 0 ? "the server closed it" : strerror(errno));
	}
	if (result == -ENOTCONN)
		return lost(driver, link, "the server closed it");
	if (result == -EACCES)
		redis_why(
			driver, link->node,
			"it wants a certificate of its clients that it trusts: see "
			"certificate-file in the engine's credentials, or set tls-auth-clients no");
	else if (result < 0)
		redis_why(driver, link->node, "TLS broke");
	return result;
}

static int send_output(struct redis_driver *driver, struct redis_link *link)
{
	ssize_t sent;

	while (link->out_begin < link->out_end) {
		const uint8_t *from = link->out + link->out_begin;
		size_t bytes = link->out_end - link->out_begin;

		sent = transfer(driver, link,
				link->tls != NULL ? redis_tls_write(link->tls, from, bytes)
						  : send(link->fd, from, bytes, MSG_NOSIGNAL));
		if (sent <= 0)
			return (int)sent;
		link->out_begin += (size_t)sent;
	}
	if (link->state == REDIS_GREETING || link->out_room > OUT_KEEP_BYTES)
		drop_output(link);
	link->out_begin = link->out_end = 0;
	return 0;
}

static int send_queued(struct redis_driver *driver, struct redis_link *link)
{
	int err;

	do {
		err = format_queued(driver, link);
		if (err == 0)
			err = send_output(driver, link);
	} while (err == 0 && link->out_begin == link->out_end && may_send(link));
	return err;
}

/* What an answer may have that is not whole yet. */
static size_t answer_max(const struct redis_link *link)
{
	const struct redis_request *first = TAILQ_FIRST(&link->sent);

	if (first == NULL || first->command != REDIS_GET)
		return REDIS_IN_BYTES;
	return first->weight + ANSWER_BYTES;
}

static void take_answer(struct redis_driver *driver, struct redis_link *link,
			struct redis_request *request, struct redisReply *reply)
{
	TAILQ_REMOVE(&link->sent, request, on_link);
	link->sent_count--;
	link->sent_load -= request->weight;
	link->load -= request->weight;
	if (request->work != NULL) {
		redis_work_answer(driver, link, request, reply);
		return;
	}
	if (request->command == REDIS_MAP)
		redis_nodes_map(driver, link, reply);
	else if (request->command >= REDIS_AUTH)
		link->doomed = redis_connect_answer(driver, link, request, reply);
	free(request);
}

static int take_answers(struct redis_driver *driver, struct redis_link *link)
{
	struct redis_request *request;
	struct redisReply *reply;
	int got;

	for (;;) {
		got = redis_reader_next(&link->reader, answer_max(link), &reply);
		if (got == 0)
			return 0;
		request = TAILQ_FIRST(&link->sent);
		if (got < 0 || request == NULL) {
			redis_why(driver, link->node,
				  "what it answers is no Redis protocol: is it a Redis server, and "
				  "is "
				  "TLS (rediss:) for that port?");
			if (got > 0)
				redis_reply_free(reply);
			return -EPROTO;
		}
		take_answer(driver, link, request, reply);
		redis_reply_free(reply);
		if (link->doomed < 0)
			return link->doomed;
	}
}

static int receive(struct redis_driver *driver, struct redis_link *link)
{
	ssize_t got = 1;
	int err = 0;

	for (int i = 0; i < READS_MAX && got > 0 && err == 0; i++) {
		got = transfer(driver, link,
			       link->tls != NULL
				       ? redis_tls_read(link->tls, driver->in, REDIS_IN_BYTES)
				       : recv(link->fd, driver->in, REDIS_IN_BYTES, 0));
		if (got <= 0)
			return (int)got;
		if (redis_reader_feed(&link->reader, driver->in, (size_t)got) < 0)
			return no_memory(driver, link);
		err = take_answers(driver, link);
		/* There may be more, but poll() will tell. */
		if (link->tls == NULL && got < REDIS_IN_BYTES)
			break;
	}
	return err;
}

static bool has_pending(const struct redis_link *link)
{
	return link->state == REDIS_READY && link->tls != NULL && SSL_has_pending(link->tls);
}

static bool is_late(struct redis_driver *driver, struct redis_link *link)
{
	const struct redis_request *first = TAILQ_FIRST(&link->sent);

	if (link->state != REDIS_READY || first == NULL || driver->now_us < first->until_us)
		return false;
	redis_why(driver, link->node,
		  "no answer to %s in time: is the server stuck, or the network?",
		  redis_request_name(first));
	return true;
}

void redis_link_run(struct redis_driver *driver, struct redis_link *link)
{
	int err = 0;

	if (link->doomed < 0)
		err = link->doomed;
	else if (link->state < REDIS_READY)
		err = redis_connect_run(driver, link);
	else if (is_late(driver, link))
		err = -ENOTCONN;
	else if (has_pending(link))
		err = receive(driver, link);
	if (err == 0 && link->state == REDIS_GREETING)
		err = send_output(driver, link);
	if (err == 0 && link->state == REDIS_READY)
		err = send_queued(driver, link);
	if (err < 0)
		redis_link_fail(driver, link, err);
}

short redis_link_events(const struct redis_driver *driver, const struct redis_link *link,
			uint64_t *until_us)
{
	const struct redis_request *first = TAILQ_FIRST(&link->sent);
	uint64_t until = UINT64_MAX;

	if (link->state == REDIS_IDLE)
		until = TAILQ_EMPTY(&link->queue) ? UINT64_MAX : link->node->again_us;
	else if (link->state == REDIS_RESOLVING)
		until = driver->now_us + REDIS_RESOLVE_POLL_MS * 1000;
	else if (link->state < REDIS_READY)
		until = link->until_us;
	else if (has_pending(link))
		until = driver->now_us;
	else if (first != NULL)
		until = first->until_us;
	if (until < *until_us)
		*until_us = until;
	if (link->fd < 0)
		return 0;
	if (link->state == REDIS_CONNECTING)
		return POLLOUT;
	if (link->state == REDIS_SHAKING)
		return link->wants_write ? POLLOUT : POLLIN;
	return link->out_begin < link->out_end ? POLLIN | POLLOUT : POLLIN;
}

void redis_link_event(struct redis_driver *driver, struct redis_link *link, short events)
{
	int err = 0;

	if (link->state == REDIS_CONNECTING || link->state == REDIS_SHAKING)
		err = redis_connect_event(driver, link);
	else if (events & (POLLIN | POLLERR | POLLHUP))
		err = receive(driver, link);
	if (err < 0)
		redis_link_fail(driver, link, err);
	else
		redis_link_run(driver, link);
}
