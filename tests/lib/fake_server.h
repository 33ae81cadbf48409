/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fake_server.h - a fake node behind real UDP sockets, in a thread of its own.
 *
 * Worker w listens on port base + w. What goes wrong on the way is set per server; the thread reads
 * it under the lock that server_lock() takes, so a test may look at the node while it holds it.
 */
#ifndef ABAFT_TESTS_FAKE_SERVER_H
#define ABAFT_TESTS_FAKE_SERVER_H

#include <pthread.h>

#include "tests/lib/fake_node.h"

#define FAKE_WORKERS_MAX 4

struct fake_server {
	struct fake_node *node;
	uint16_t port; /* base */
	int sockets[FAKE_WORKERS_MAX], stray, stop[2];
	pthread_t thread;
	pthread_mutex_t lock;
	/* Under the lock: */
	uint32_t received[FAKE_WORKERS_MAX]; /* packets by port */
	uint32_t silent;		     /* the next requests that get no answer */
	uint32_t lose_permille;		     /* requests and answers lost */
	bool twice;			     /* each answer is sent two times */
	/* Instead of the fake node: returns the answer's bytes, 0 for none. */
	uint32_t (*handle)(void *arg, const uint8_t *in, uint32_t bytes, uint8_t *out);
	void *handle_arg;
	bool deaf;	    /* all ports but the base port hear nothing */
	bool from_stranger; /* answers come from another port */
	uint32_t random;
};

/* Listens on loopback of the family, at ports the kernel had free. */
struct fake_server *fake_server_start(int family, uint16_t workers);
void fake_server_stop(struct fake_server *server);

#endif
