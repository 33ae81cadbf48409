/* SPDX-License-Identifier: Apache-2.0 */
/*
 * delay_udp - a network between functions and a node, both of this machine: holds each answer back
 * for a log-normal time, given by median and 99th percentile.
 *
 *	delay_udp --listen PORT --to PORT --median-us T --p99-us T [--seed N]
 *
 * A shim is one more hop for its clients. Where the delay before the storage stands for a service
 * with its network, this stands for the network to the shim, so that it is not free there.
 *
 * The packets of a client that are on their way together share one time: they would on a network,
 * and the latest of several draws would say more about their number. Only for nodes with one
 * worker: it has one port.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <abaft/limits.h>

#include "tools/load/zipf.h"

#define CLIENTS_MAX  4096
#define HELD_MAX     8192
#define PACKET_BYTES (ABAFT_PACKET_BYTES_MAX + 1)
#define EVENTS	     64
/* The 99th percentile of the normal distribution. */
#define NORMAL_P99   2.3263478740408408

struct client {
	struct sockaddr_in address;
	int fd; /* to the node */
	uint64_t delay_ns;
	uint32_t held;
};

/* An answer; a heap by time, and those of one time in the order in which they came. */
struct held {
	uint64_t at_ns, order;
	uint32_t client, slot;
};

struct network {
	double mu, sigma;
	uint16_t listen_port, to_port;
	int listener, epoll;
	struct zipf_random random;
	uint32_t clients, count, free_count;
	uint64_t order;
	struct client client[CLIENTS_MAX];
	struct held heap[HELD_MAX];
	uint32_t free[HELD_MAX];
	uint32_t bytes[HELD_MAX];
	uint8_t packet[HELD_MAX][PACKET_BYTES];
};

static struct network network;

static uint64_t mono_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static uint64_t draw_ns(struct network *n)
{
	double u = 1 - zipf_random_unit(&n->random), v = zipf_random_unit(&n->random);

	return (uint64_t)exp(n->mu + n->sigma * sqrt(-2 * log(u)) * cos(2 * M_PI * v));
}

static void swap(struct held *a, struct held *b)
{
	struct held c = *a;

	*a = *b;
	*b = c;
}

static bool earlier(const struct held *a, const struct held *b)
{
	return a->at_ns < b->at_ns || (a->at_ns == b->at_ns && a->order < b->order);
}

static void heap_add(struct network *n, struct held held)
{
	uint32_t at = n->count++;

	n->heap[at] = held;
	for (; at > 0 && earlier(&n->heap[at], &n->heap[(at - 1) / 2]); at = (at - 1) / 2)
		swap(&n->heap[at], &n->heap[(at - 1) / 2]);
}

static struct held heap_take(struct network *n)
{
	struct held first = n->heap[0];
	uint32_t at = 0, least;

	n->heap[0] = n->heap[--n->count];
	for (;; at = least) {
		least = at;
		for (uint32_t child = 2 * at + 1; child <= 2 * at + 2 && child < n->count; child++)
			if (earlier(&n->heap[child], &n->heap[least]))
				least = child;
		if (least == at)
			return first;
		swap(&n->heap[at], &n->heap[least]);
	}
}

/* The client of that address, a new one if there is none yet; NULL: no room. */
static struct client *client_of(struct network *n, const struct sockaddr_in *from)
{
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(n->to_port)};
	struct epoll_event event = {.events = EPOLLIN, .data.u32 = n->clients + 1};
	struct client *client;

	/* The youngest first: functions come and go when they are started anew. */
	for (uint32_t i = n->clients; i-- > 0;)
		if (n->client[i].address.sin_port == from->sin_port)
			return &n->client[i];
	if (n->clients == CLIENTS_MAX)
		return NULL;
	client = &n->client[n->clients];
	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	client->address = *from;
	client->fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (client->fd < 0 || connect(client->fd, (struct sockaddr *)&to, sizeof(to)) ||
	    epoll_ctl(n->epoll, EPOLL_CTL_ADD, client->fd, &event)) {
		if (client->fd >= 0)
			close(client->fd);
		return NULL;
	}
	n->clients++;
	return client;
}

/* Requests go on at once; what cannot is lost, as on a network. */
static void forward(struct network *n)
{
	struct sockaddr_in from;
	socklen_t from_bytes = sizeof(from);
	uint8_t packet[PACKET_BYTES];
	ssize_t got;

	while ((got = recvfrom(n->listener, packet, sizeof(packet), MSG_DONTWAIT,
			       (struct sockaddr *)&from, &from_bytes)) > 0) {
		struct client *client = client_of(n, &from);

		if (client && send(client->fd, packet, (size_t)got, 0) < 0)
			continue;
		from_bytes = sizeof(from);
	}
}

/* Answers are held. */
static void hold(struct network *n, uint32_t number, uint64_t now_ns)
{
	struct client *client = &n->client[number];

	while (n->free_count > 0) {
		uint32_t slot = n->free[n->free_count - 1];
		ssize_t got = recv(client->fd, n->packet[slot], PACKET_BYTES, MSG_DONTWAIT);

		if (got <= 0)
			return;
		if (client->held++ == 0)
			client->delay_ns = draw_ns(n);
		n->free_count--;
		n->bytes[slot] = (uint32_t)got;
		heap_add(n, (struct held){now_ns + client->delay_ns, ++n->order, number, slot});
	}
}

static void deliver(struct network *n, uint64_t now_ns)
{
	while (n->count > 0 && n->heap[0].at_ns <= now_ns) {
		struct held held = heap_take(n);
		struct client *client = &n->client[held.client];

		if (sendto(n->listener, n->packet[held.slot], n->bytes[held.slot], MSG_DONTWAIT,
			   (struct sockaddr *)&client->address, sizeof(client->address)) < 0 &&
		    errno != EAGAIN && errno != ECONNREFUSED)
			perror("delay_udp: sendto");
		client->held--;
		n->free[n->free_count++] = held.slot;
	}
}

static void run(struct network *n)
{
	struct epoll_event events[EVENTS];

	for (;;) {
		uint64_t now_ns = mono_ns();
		uint64_t due_ns = n->count ? n->heap[0].at_ns : now_ns + 1000000000u;
		uint64_t wait_ns = due_ns > now_ns ? due_ns - now_ns : 0;
		struct timespec wait = {.tv_sec = (time_t)(wait_ns / 1000000000),
					.tv_nsec = (long)(wait_ns % 1000000000)};
		int count = epoll_pwait2(n->epoll, events, EVENTS, &wait, NULL);

		now_ns = mono_ns();
		for (int i = 0; i < count; i++) {
			if (events[i].data.u32)
				hold(n, events[i].data.u32 - 1, now_ns);
			else
				forward(n);
		}
		deliver(n, now_ns);
	}
}

static int start(struct network *n)
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(n->listen_port)};
	struct epoll_event event = {.events = EPOLLIN};
	int bytes = 4 << 20;

	for (uint32_t i = 0; i < HELD_MAX; i++)
		n->free[n->free_count++] = i;
	at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	n->listener = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	n->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (n->listener < 0 || n->epoll < 0 ||
	    setsockopt(n->listener, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes)) ||
	    bind(n->listener, (struct sockaddr *)&at, sizeof(at)) ||
	    epoll_ctl(n->epoll, EPOLL_CTL_ADD, n->listener, &event)) {
		fprintf(stderr, "delay_udp: port %u: %s\n", n->listen_port, strerror(errno));
		return 1;
	}
	prctl(PR_SET_TIMERSLACK, 1000); /* the kernel may be late by a microsecond, not by 50 */
	puts("ready");
	fflush(stdout);
	return 0;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {{"listen", required_argument, NULL, 'l'},
						{"to", required_argument, NULL, 't'},
						{"median-us", required_argument, NULL, 'm'},
						{"p99-us", required_argument, NULL, 'p'},
						{"seed", required_argument, NULL, 's'},
						{NULL, 0, NULL, 0}};
	double median_us = 0, p99_us = 0;
	int option;

	network.random.state = 1;
	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		double value = optarg ? strtod(optarg, NULL) : 0;

		if (option == 'l')
			network.listen_port = (uint16_t)value;
		else if (option == 't')
			network.to_port = (uint16_t)value;
		else if (option == 'm')
			median_us = value;
		else if (option == 'p')
			p99_us = value;
		else if (option == 's')
			network.random.state = (uint64_t)value;
		else
			return 2;
	}
	if (!network.listen_port || !network.to_port || median_us <= 0 || p99_us < median_us) {
		fputs("delay_udp: needs --listen, --to, --median-us and --p99-us\n", stderr);
		return 2;
	}
	network.mu = log(median_us * 1000);
	network.sigma = log(p99_us / median_us) / NORMAL_P99;
	if (start(&network))
		return 1;
	run(&network);
	return 0;
}
