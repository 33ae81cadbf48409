/* SPDX-License-Identifier: Apache-2.0 */
/*
 * redis_bed.c - see redis_bed.h.
 */
#include "tests/lib/redis_bed.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "dataplane/engine/redis_impl.h"

/* More turns than any answer takes. */
#define TURNS 4

static uint64_t now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static int dial(void *arg, const char *host, uint16_t port)
{
	struct redis_bed *bed = arg;
	struct redis_bed_server *server = &bed->servers[bed->server_count];
	int pair[2];

	if (bed->refuse != 0)
		return -bed->refuse;
	if (bed->server_count == REDIS_BED_SERVERS)
		return -EMFILE;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) < 0)
		return -errno;
	snprintf(server->place, sizeof(server->place), "%s:%u", host, port);
	server->fd = pair[1];
	bed->server_count++;
	return pair[0];
}

static void end(void *arg, struct engine_op *op, int result)
{
	struct redis_bed *bed = arg;

	op->result = result;
	if (result < 0)
		memcpy(bed->why, bed->driver->why, sizeof(bed->why));
	if (bed->ended_count < REDIS_BED_ENDED)
		bed->ended[bed->ended_count] = op;
	bed->ended_count++;
	if (bed->on_end != NULL)
		bed->on_end(bed, op);
}

bool redis_bed_open(struct redis_bed *bed, const char *user, const char *password, uint32_t links)
{
	struct engine_url url = {.scheme = "redis", .host = "seed", .port = 7000, .prefix = "p"};
	struct engine_credentials credentials = {0};
	struct engine_config config = {.try_ms = 1000, .connections = links, .seed = 1};
	struct redis_driver *driver;

	memset(bed, 0, sizeof(*bed));
	if (password != NULL) {
		snprintf(credentials.user, sizeof(credentials.user), "%s", user);
		snprintf(credentials.password, sizeof(credentials.password), "%s", password);
	}
	if (redis_driver_create(&bed->driver, &url, &credentials, &config, bed->why) < 0)
		return false;
	bed->driver->counters = &bed->counters;
	bed->driver->end = end;
	bed->driver->end_arg = bed;
	driver = (struct redis_driver *)bed->driver;
	driver->dial = dial;
	driver->dial_arg = bed;
	bed->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	return true;
}

void redis_bed_close(struct redis_bed *bed)
{
	bed->driver->ops->destroy(bed->driver);
	for (uint32_t i = 0; i < bed->server_count; i++)
		if (bed->servers[i].fd >= 0)
			close(bed->servers[i].fd);
	close(bed->wake);
}

void redis_bed_begin(struct redis_bed *bed, struct engine_op *op, uint32_t ms)
{
	for (uint32_t i = 0; op->verb != ENGINE_LIST && i < op->count; i++)
		op->items[i].result = -EINPROGRESS;
	op->own.try_until_us = now_us() + (uint64_t)ms * 1000;
	bed->driver->ops->begin(bed->driver, op);
}

void redis_bed_run(struct redis_bed *bed)
{
	for (int i = 0; i < TURNS; i++)
		bed->driver->ops->run(bed->driver, bed->wake, 0);
}

/* The number behind `kind` and its line's end; moves *at behind it. False: there is none. */
static bool header(const char **at, const char *end, char kind, size_t *number)
{
	char *behind;

	if (*at >= end || **at != kind)
		return false;
	*number = strtoul(*at + 1, &behind, 10);
	if (behind + 2 > end || behind[0] != '\r')
		return false;
	*at = behind + 2;
	return true;
}

static void print_commands(char *to, size_t room, const char *at, const char *end)
{
	size_t words, bytes, used = 0;

	while (used < room && header(&at, end, '*', &words)) {
		for (size_t i = 0; i < words && used < room; i++) {
			if (!header(&at, end, '$', &bytes) || bytes > (size_t)(end - at))
				break;
			used += (size_t)snprintf(to + used, room - used, "%s%.*s",
						 i == 0 ? "" : " ", (int)bytes, at);
			at += bytes + 2;
		}
		if (used < room)
			used += (size_t)snprintf(to + used, room - used, ";");
	}
	if (at < end && used < room)
		snprintf(to + used, room - used, "%.*s", (int)(end - at), at);
}

const char *redis_bed_heard(struct redis_bed *bed, uint32_t index)
{
	static char bytes[256 << 10];
	ssize_t got;

	redis_bed_run(bed);
	bed->text[0] = '\0';
	if (index >= bed->server_count || bed->servers[index].fd < 0)
		return "no such server";
	got = recv(bed->servers[index].fd, bytes, sizeof(bytes) - 1, 0);
	if (got == 0 || (got < 0 && errno != EAGAIN))
		return "closed";
	if (got > 0) {
		bytes[got] = '\0';
		print_commands(bed->text, sizeof(bed->text), bytes, bytes + got);
	}
	return bed->text;
}

void redis_bed_say_bytes(struct redis_bed *bed, uint32_t index, const void *bytes, size_t count)
{
	const char *at = bytes;

	while (count > 0 && index < bed->server_count && bed->servers[index].fd >= 0) {
		ssize_t sent = send(bed->servers[index].fd, at, count, MSG_NOSIGNAL);

		if (sent < 0 && errno != EAGAIN)
			break;
		at += sent > 0 ? sent : 0;
		count -= sent > 0 ? (size_t)sent : 0;
		redis_bed_run(bed);
	}
	redis_bed_run(bed);
}

void redis_bed_say(struct redis_bed *bed, uint32_t index, const char *bytes)
{
	redis_bed_say_bytes(bed, index, bytes, strlen(bytes));
}

void redis_bed_hang_up(struct redis_bed *bed, uint32_t index)
{
	if (index < bed->server_count && bed->servers[index].fd >= 0)
		close(bed->servers[index].fd);
	bed->servers[index].fd = -1;
	redis_bed_run(bed);
}
