/* SPDX-License-Identifier: Apache-2.0 */
/*
 * redis_connect.c - how a connection comes about.
 *
 *	IDLE ─▶ RESOLVING ─▶ CONNECTING ─▶ SHAKING (TLS only) ─▶ GREETING ─▶ READY
 *	  ▲                │ any error, or not READY in time                   │ any error
 *	  └────────────────┴───────────────────────────────────────────────────┘
 *
 * GREETING says AUTH, then HELLO, whose answer tells a cluster's server, a replica and a sentinel
 * apart: a replica of a single server would give old answers, and is refused. Where there is no
 * HELLO yet (before Redis 6) ROLE says it. Who may call neither is taken for a primary; if it is
 * none, its answer to the first write says so.
 */
#include "dataplane/engine/redis_impl.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static int refuse(struct redis_driver *driver, struct redis_link *link, const char *reason)
{
	redis_why(driver, link->node,
		  "cannot connect: %s: is the server up, and is that its address?", reason);
	return -ENOTCONN;
}

/* The next commit after a quiet hour is not to find out that the server went away without a word.
 */
static void keep_alive(int fd)
{
	int on = 1, idle_s = 15, pause_s = 5, probes = 3;

	(void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
	(void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle_s, sizeof(idle_s));
	(void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &pause_s, sizeof(pause_s));
	(void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &probes, sizeof(probes));
}

/* Non-blocking: the descriptor or a negative errno. */
static int dial(const struct redis_resolve *resolve, uint32_t index)
{
	struct sockaddr_storage address;
	socklen_t bytes = redis_resolve_address(resolve, index, &address);
	int fd = socket(address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int on = 1, err;

	if (fd < 0)
		return -errno;
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	keep_alive(fd);
	if (connect(fd, (struct sockaddr *)&address, bytes) == 0 || errno == EINPROGRESS)
		return fd;
	err = -errno;
	close(fd);
	return err;
}

static int greet(struct redis_driver *driver, struct redis_link *link)
{
	int err = redis_reader_open(&link->reader);

	link->state = REDIS_GREETING;
	if (err == 0 && driver->password[0] != '\0')
		err = redis_link_own(driver, link, REDIS_AUTH, link->until_us);
	if (err == 0)
		err = redis_link_own(driver, link, REDIS_HELLO, link->until_us);
	return err;
}

static int shake(struct redis_driver *driver, struct redis_link *link)
{
	char reason[ENGINE_WHY_BYTES / 2];
	int err = redis_tls_handshake(driver->tls, link->tls, link->node->place.host,
				      &link->wants_write, reason, sizeof(reason));

	if (err == -EAGAIN)
		return 0;
	if (err == 0)
		return greet(driver, link);
	redis_why(driver, link->node, "TLS: %s%s", reason,
		  err == -EACCES ? ": see ca-file in the engine's credentials" : "");
	return err;
}

/* All of the name's addresses, before it is called a failure. After one the next round begins with
 * another address: the first may be one that never says anything. */
static int open_socket(struct redis_driver *driver, struct redis_link *link, int err)
{
	struct redis_node *node = link->node;
	uint32_t count = driver->dial != NULL ? 1 : redis_resolve_count(link->resolve);

	if (link->fd >= 0)
		close(link->fd);
	link->fd = -1;
	while (link->fd < 0 && link->dialed < count) {
		uint32_t index = node->failures + link->dialed++;

		link->fd = driver->dial != NULL ? driver->dial(driver->dial_arg, node->place.host,
							       node->place.port)
						: dial(link->resolve, index);
		err = link->fd;
	}
	if (link->fd < 0)
		return refuse(driver, link, strerror(-err));
	link->state = REDIS_CONNECTING;
	return 0;
}

static int connected(struct redis_driver *driver, struct redis_link *link)
{
	socklen_t bytes = sizeof(int);
	int err = 0;

	if (getsockopt(link->fd, SOL_SOCKET, SO_ERROR, &err, &bytes) < 0)
		err = errno;
	if (err != 0)
		return open_socket(driver, link, -err);
	if (driver->tls == NULL)
		return greet(driver, link);
	link->tls = redis_tls_begin(driver->tls, link->fd, link->node->place.host);
	if (link->tls == NULL)
		return refuse(driver, link, strerror(ENOMEM));
	link->state = REDIS_SHAKING;
	return shake(driver, link);
}

static int resolve(struct redis_driver *driver, struct redis_link *link)
{
	char reason[ENGINE_WHY_BYTES / 2];
	int err = redis_resolve_poll(link->resolve, reason, sizeof(reason));

	if (err == -EAGAIN)
		return 0;
	return err == 0 ? open_socket(driver, link, 0) : refuse(driver, link, reason);
}

static int begin(struct redis_driver *driver, struct redis_link *link)
{
	const struct redis_node *node = link->node;
	int err;

	if (TAILQ_EMPTY(&link->queue) || driver->now_us < node->again_us)
		return 0;
	link->until_us = driver->now_us + driver->try_us;
	link->state = REDIS_RESOLVING;
	if (driver->dial != NULL)
		return open_socket(driver, link, 0);
	err = redis_resolve_begin(&link->resolve, node->place.host, node->place.port);
	return err < 0 ? refuse(driver, link, strerror(-err)) : resolve(driver, link);
}

const char *redis_connect_missing(const struct redis_link *link)
{
	switch (link->state) {
	case REDIS_RESOLVING:
		return "no server says which address it has";
	case REDIS_SHAKING:
		return "TLS did not come about: does that port speak TLS?";
	case REDIS_GREETING:
		return "it does not greet: is it stuck, or does that port want TLS (rediss:)?";
	default:
		return "no connection came about: is the server up, and is that its address?";
	}
}

int redis_connect_run(struct redis_driver *driver, struct redis_link *link)
{
	if (link->state == REDIS_IDLE)
		return begin(driver, link);
	if (driver->now_us >= link->until_us) {
		redis_why(driver, link->node, "%s", redis_connect_missing(link));
		return -ENOTCONN;
	}
	return link->state == REDIS_RESOLVING ? resolve(driver, link) : 0;
}

int redis_connect_event(struct redis_driver *driver, struct redis_link *link)
{
	return link->state == REDIS_CONNECTING ? connected(driver, link) : shake(driver, link);
}

static int ready(struct redis_driver *driver, struct redis_link *link)
{
	link->state = REDIS_READY;
	redis_resolve_end(link->resolve);
	link->resolve = NULL;
	redis_node_worked(driver, link->node);
	return 0;
}

/* The server's words are not repeated: some servers repeat what they were told. */
static int denied(struct redis_driver *driver, struct redis_link *link,
		  const struct redisReply *reply)
{
	struct redis_error error = redis_error_of(reply->str, reply->len);

	if (error.error == -EBUSY || error.error == -ENOTCONN) {
		redis_why(driver, link->node, "it takes no connection now: %s", error.advice);
		return error.error;
	}
	redis_why(driver, link->node,
		  "it refused %s: correct the engine's credentials, or the server's users",
		  driver->user[0] == '\0' ? "the password" : "user and password");
	return -EACCES;
}

static int told_role(struct redis_driver *driver, struct redis_link *link, const char *role)
{
	if (strcmp(role, "slave") == 0 || strcmp(role, "replica") == 0)
		redis_why(driver, link->node,
			  "it is a replica: name the primary in the engine's url");
	else if (strcmp(role, "sentinel") == 0)
		redis_why(driver, link->node,
			  "it is a sentinel: name the primary that it watches in the engine's url");
	else
		return ready(driver, link);
	return -ENOTCONN;
}

static const char *text_of(const struct redisReply *reply)
{
	return reply->type == REDIS_REPLY_STRING || reply->type == REDIS_REPLY_STATUS ? reply->str
										      : "";
}

/* Pairs of a name and a value. */
static int hello(struct redis_driver *driver, struct redis_link *link,
		 const struct redisReply *reply)
{
	const char *role = "", *mode = "";

	for (size_t i = 0; i + 1 < reply->elements; i += 2) {
		if (strcmp(text_of(reply->element[i]), "role") == 0)
			role = text_of(reply->element[i + 1]);
		else if (strcmp(text_of(reply->element[i]), "mode") == 0)
			mode = text_of(reply->element[i + 1]);
	}
	if (strcmp(mode, "cluster") != 0)
		return told_role(driver, link, strcmp(mode, "sentinel") == 0 ? mode : role);
	/* Its replicas send everybody to the primaries. */
	if (!driver->cluster)
		driver->cluster = driver->map_stale = true;
	return ready(driver, link);
}

static int no_hello(struct redis_driver *driver, struct redis_link *link,
		    const struct redisReply *reply)
{
	struct redis_error error = redis_error_of(reply->str, reply->len);
	bool unknown = error.error == -EPROTO || strncmp(reply->str, "NOPERM", 6) == 0;

	if (unknown)
		return redis_link_own(driver, link, REDIS_ROLE, link->until_us);
	redis_why(driver, link->node, "it takes no connection: %s", error.advice);
	return error.error;
}

int redis_connect_answer(struct redis_driver *driver, struct redis_link *link,
			 const struct redis_request *request, const struct redisReply *reply)
{
	bool error = reply->type == REDIS_REPLY_ERROR;

	if (request->command == REDIS_AUTH)
		return error ? denied(driver, link, reply) : 0;
	if (request->command == REDIS_HELLO)
		return error ? no_hello(driver, link, reply) : hello(driver, link, reply);
	if (reply->type != REDIS_REPLY_ARRAY || reply->elements == 0)
		return ready(driver, link);
	return told_role(driver, link, text_of(reply->element[0]));
}
