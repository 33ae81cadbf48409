/* SPDX-License-Identifier: Apache-2.0 */
/*
 * redis_impl.h - what the sources of the Redis driver share.
 *
 *	redis.c		the driver: begins, runs, ends; deadlines
 *	redis_work.c	an operation: its requests, and what their answers make of it
 *	redis_connect.c	a connection comes about: address, TLS, AUTH, and what kind of server it is
 *	redis_link.c	one connection: pipelining; redis_request.c: its commands
 *	redis_node.c	the servers of a cluster, their slots, redirects
 *	redis_reply.c, redis_slots.c, redis_tls.c, redis_resolve.c	know nothing of the others
 *
 * A work is an operation that the driver has; it has requests, each one command of the server's. A
 * request waits in its link's `queue`, then it is formatted into the link's output and stands in
 * `sent` until its answer comes: the server answers in order. When its operation ends first (a
 * deadline) a queued request goes; a sent one stays, abandoned, for its answer to be dropped.
 *
 * Bounds: ENGINE_OPEN_MAX works, REDIS_WORK_REQUESTS_MAX requests of each; a link formats no more
 * while REDIS_OUT_BYTES wait to be sent, or REDIS_SENT_MAX requests, or REDIS_SENT_BYTES that they
 * move, for answers: the server has to keep those until we read them.
 */
#ifndef ABAFT_ENGINE_REDIS_IMPL_H
#define ABAFT_ENGINE_REDIS_IMPL_H

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "dataplane/engine/driver.h"
#include "dataplane/engine/redis_reply.h"
#include "dataplane/engine/redis_resolve.h"
#include "dataplane/engine/redis_slots.h"
#include "dataplane/engine/redis_tls.h"

#define REDIS_NODES_MAX		512u
#define REDIS_LINKS_MAX		8u /* to each server */
#define REDIS_LINKS_DEFAULT	2u
#define REDIS_WORK_REQUESTS_MAX 128u
#define REDIS_LIST_MAX		512u /* names asked for at a time */
#define REDIS_SENT_MAX		4096u
#define REDIS_OUT_BYTES		(256u << 10)
#define REDIS_SENT_BYTES	(16u << 20)
#define REDIS_IN_BYTES		(64u << 10)
/* A link with less than this to do gets more before a second one is opened. */
#define REDIS_LINK_LOAD		(512u << 10)
/* Times that one request is sent elsewhere, in one try. */
#define REDIS_REDIRECTS_MAX	5u
/* Between connections that failed: doubled from one to the other. */
#define REDIS_PAUSE_US_MIN	10000u
#define REDIS_PAUSE_US_MAX	1000000u
/* Between two questions for the map of slots. */
#define REDIS_MAP_PAUSE_US	100000u
/* Then somebody else is asked. */
#define REDIS_MAP_WAIT_US	1000000u
#define REDIS_KEY_BYTES		(ENGINE_PREFIX_BYTES + ENGINE_DIR_BYTES + ENGINE_LEAF_BYTES + 8)
#define REDIS_NO_NODE		UINT16_MAX

enum redis_command {
	/* Of a work: */
	REDIS_INDEX_ADD,
	REDIS_SET,
	REDIS_SET_NEW,
	REDIS_GET,
	REDIS_EXISTS,
	REDIS_UNLINK,
	REDIS_INDEX_REMOVE,
	REDIS_NAMES,	 /* a part of the index */
	REDIS_ALL_EXIST, /* do all of a LIST's names? */
	REDIS_ONE_EXISTS,
	/* The driver's own: */
	REDIS_ASKING,
	REDIS_AUTH,
	REDIS_HELLO,
	REDIS_ROLE,
	REDIS_MAP, /* which slots are whose */
};

struct redis_link;
struct redis_node;
struct redis_driver;

struct redis_request {
	TAILQ_ENTRY(redis_request) on_link;
	LIST_ENTRY(redis_request) of_work;
	struct redis_work *work; /* NULL: the driver's own, or abandoned */
	struct redis_link *link;
	uint64_t until_us;
	uint32_t item;
	uint32_t weight; /* about the bytes that it moves */
	uint8_t command, redirects;
	bool sent, asking; /* ASKING goes before it */
};

TAILQ_HEAD(redis_requests, redis_request);

struct redis_work {
	TAILQ_ENTRY(redis_work) on_driver;
	LIST_HEAD(, redis_request) requests;
	struct engine_op *op;
	uint32_t outstanding;
	uint32_t next; /* item, or name of a LIST, to be asked for */
	int error;
	/* LIST: the part of the index that is looked at: leaf[list->count..+fresh). */
	uint32_t fresh;
	bool more, checking;
	char after[ENGINE_LEAF_BYTES];
	uint8_t missing[]; /* answers, of each item */
};

TAILQ_HEAD(redis_works, redis_work);

enum redis_state {
	REDIS_IDLE,
	REDIS_RESOLVING,
	REDIS_CONNECTING,
	REDIS_SHAKING,	/* hands: TLS */
	REDIS_GREETING, /* AUTH, and what it is */
	REDIS_READY,
};

struct redis_link {
	struct redis_node *node;
	enum redis_state state;
	int fd;
	bool wants_write; /* the handshake */
	struct redis_resolve *resolve;
	uint32_t dialed;   /* of its addresses */
	int doomed;	   /* what it is to be closed with, once its answers are read */
	uint64_t until_us; /* of becoming READY */
	SSL *tls;
	struct redis_reader reader;
	struct redis_requests queue, sent;
	uint32_t sent_count;
	uint64_t sent_load;
	uint64_t load;
	/* Of what is formatted, [begin, end) is still to be sent. */
	uint8_t *out;
	size_t out_begin, out_end, out_room;
};

struct redis_node {
	struct redis_place place;
	uint16_t index;
	uint32_t links_used;
	uint32_t failures; /* of connections: which of its addresses is the first */
	uint64_t again_us; /* no connection before */
	uint64_t pause_us;
	bool owner; /* of slots, by the last map */
	struct redis_link links[REDIS_LINKS_MAX];
};

struct redis_driver {
	struct engine_driver base;
	char prefix[ENGINE_PREFIX_BYTES];
	char user[128], password[256];
	struct redis_tls *tls; /* NULL: none */
	uint64_t try_us;
	uint64_t random;
	uint32_t links_max;
	uint64_t now_us;
	struct redis_works works;
	uint64_t deadline_us; /* no work's is earlier */
	bool ended;	      /* something has, since run() began (D7) */

	/* The first is the URL's, and stays. */
	struct redis_node *nodes[REDIS_NODES_MAX];
	uint32_t nodes_used; /* none is there from this index on */
	bool cluster, map_stale, map_fresh;
	uint64_t map_us; /* not asked for again before */
	uint32_t map_turn;
	uint16_t owner[REDIS_SLOTS];

	/* What a socket comes from: NULL: the network; else a test's: a descriptor that does not
	 * block, or a negative errno. */
	int (*dial)(void *arg, const char *host, uint16_t port);
	void *dial_arg;
	struct pollfd polls[1 + REDIS_NODES_MAX * REDIS_LINKS_MAX];
	struct redis_link *polled[1 + REDIS_NODES_MAX * REDIS_LINKS_MAX];
	uint8_t in[REDIS_IN_BYTES];
};

/* redis.c. Sets base.why: "redis HOST:PORT: " and the rest. */
void redis_why(struct redis_driver *driver, const struct redis_node *node, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* redis_work.c */
void redis_work_begin(struct redis_driver *driver, struct engine_op *op);
/* The answer to a request that is off its link: the request is the work's. `link` is where it came
 * from, and may be told to close (doomed), not be closed. */
void redis_work_answer(struct redis_driver *driver, struct redis_link *link,
		       struct redis_request *request, struct redisReply *reply);
/* The same for a request that gets no answer. */
void redis_work_lost(struct redis_driver *driver, struct redis_request *request, int error);
/* Ends it at once; its requests are dropped or abandoned. */
void redis_work_abandon(struct redis_driver *driver, struct redis_work *work, int error);

/* redis_request.c. Bytes that the command has at most once it is formatted, and its bytes. */
size_t redis_request_room(const struct redis_driver *driver, const struct redis_request *request);
size_t redis_request_format(const struct redis_driver *driver, const struct redis_request *request,
			    uint8_t *to);
const char *redis_request_name(const struct redis_request *request);

/* redis_link.c */
void redis_link_init(struct redis_link *link, struct redis_node *node);
/* Takes the request; opens the connection when it is run next. */
void redis_link_add(struct redis_link *link, struct redis_request *request);
void redis_link_drop(struct redis_link *link, struct redis_request *request);
/* Formats a command of the driver's own, behind what was formatted. 0 or -ENOMEM. */
int redis_link_own(struct redis_driver *driver, struct redis_link *link, enum redis_command command,
		   uint64_t until_us) __attribute__((warn_unused_result));
/* Does what needs no event: opens, formats, sends. */
void redis_link_run(struct redis_driver *driver, struct redis_link *link);
/* Poll's events that it waits for, 0: none; lowers *until_us to when it wants to be run again. */
short redis_link_events(const struct redis_driver *driver, const struct redis_link *link,
			uint64_t *until_us);
void redis_link_event(struct redis_driver *driver, struct redis_link *link, short events);
/* Closes it; what it had is lost with `error`. */
void redis_link_fail(struct redis_driver *driver, struct redis_link *link, int error);

/* redis_connect.c: a link on its way to READY. Each returns 0 or what the link fails with. */
int redis_connect_run(struct redis_driver *driver, struct redis_link *link)
	__attribute__((warn_unused_result));
/* What it waits for, as a reason why it took too long. */
const char *redis_connect_missing(const struct redis_link *link);
int redis_connect_event(struct redis_driver *driver, struct redis_link *link)
	__attribute__((warn_unused_result));
int redis_connect_answer(struct redis_driver *driver, struct redis_link *link,
			 const struct redis_request *request, const struct redisReply *reply)
	__attribute__((warn_unused_result));

/* redis_node.c. NULL: there are too many, or no memory. */
struct redis_node *redis_node_find(struct redis_driver *driver, const struct redis_place *place);
struct redis_link *redis_node_link(struct redis_driver *driver, struct redis_node *node);
/* Whose the directory is, as far as it is known. */
struct redis_node *redis_node_of(struct redis_driver *driver, const char *dir);
/* Where a request goes that was told MOVED or ASK: NULL when it must not go on. */
struct redis_link *redis_node_redirect(struct redis_driver *driver, struct redis_link *from,
				       const struct redisReply *reply, enum redis_meaning meaning);
/* A connection failed, or worked. */
void redis_node_failed(struct redis_driver *driver, struct redis_node *node);
void redis_node_worked(struct redis_driver *driver, struct redis_node *node);
/* Asks for the map if it is stale; lets go of servers that have nothing any more. Lowers *until_us.
 */
void redis_nodes_run(struct redis_driver *driver, uint64_t *until_us);
/* The answer to REDIS_MAP, NULL: there is none. */
void redis_nodes_map(struct redis_driver *driver, struct redis_link *link,
		     const struct redisReply *reply);
void redis_node_destroy(struct redis_driver *driver, struct redis_node *node);

#endif
