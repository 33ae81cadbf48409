/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fake_server.c - the sockets and the thread of fake_server.h.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/lib/fake_server.h"

static int listen_on(int family, uint16_t *port)
{
	struct sockaddr_in6 six = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
	struct sockaddr_in four = {.sin_family = AF_INET};
	struct sockaddr *address =
		family == AF_INET6 ? (struct sockaddr *)&six : (struct sockaddr *)&four;
	socklen_t bytes = family == AF_INET6 ? sizeof(six) : sizeof(four);
	int fd = socket(family, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	four.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	six.sin6_port = four.sin_port = htons(*port);
	if (fd < 0)
		return -1;
	if (bind(fd, address, bytes) || getsockname(fd, address, &bytes)) {
		close(fd);
		return -1;
	}
	*port = ntohs(family == AF_INET6 ? six.sin6_port : four.sin_port);
	return fd;
}

/* Ports that follow each other; other tests take ports too, so try a few times. */
static bool listen_all(struct fake_server *server, int family, uint16_t workers)
{
	for (int tries = 0; tries < 50; tries++) {
		uint16_t got = 0;

		server->port = 0;
		for (; got < workers; got++) {
			uint16_t port = got ? (uint16_t)(server->port + got) : 0;

			server->sockets[got] = listen_on(family, &port);
			if (server->sockets[got] < 0)
				break;
			if (!got)
				server->port = port;
		}
		if (got == workers)
			return true;
		while (got)
			close(server->sockets[--got]);
	}
	return false;
}

static bool lost(struct fake_server *server)
{
	server->random = server->random * 1103515245 + 12345;
	return (server->random >> 16) % 1000 < server->lose_permille;
}

static void serve(struct fake_server *server, uint16_t worker)
{
	uint8_t in[2048], out[ABAFT_PACKET_BYTES_MAX];
	struct sockaddr_storage from;
	socklen_t from_bytes = sizeof(from);
	int fd = server->sockets[worker];
	ssize_t n =
		recvfrom(fd, in, sizeof(in), MSG_DONTWAIT, (struct sockaddr *)&from, &from_bytes);
	uint32_t seen = server->node->seen_count, bytes;

	if (n < 0)
		return;
	server->received[worker]++;
	if (lost(server) || (server->deaf && worker))
		return;
	if (server->handle)
		bytes = server->handle(server->handle_arg, in, (uint32_t)n, out);
	else
		bytes = fake_node_handle(server->node, in, (uint32_t)n, out);
	if (server->node->seen_count > seen)
		server->node->seen[seen].port = worker;
	if (server->silent) {
		server->silent--;
		return;
	}
	if (!bytes || lost(server))
		return;
	if (server->from_stranger)
		fd = server->stray;
	for (int copies = server->twice ? 2 : 1; copies; copies--)
		(void)!sendto(fd, out, bytes, 0, (struct sockaddr *)&from, from_bytes);
}

static void *run(void *arg)
{
	struct fake_server *server = arg;
	uint16_t workers = server->node->workers;
	struct pollfd fds[FAKE_WORKERS_MAX + 1];

	for (uint16_t i = 0; i < workers; i++)
		fds[i] = (struct pollfd){.fd = server->sockets[i], .events = POLLIN};
	fds[workers] = (struct pollfd){.fd = server->stop[0], .events = POLLIN};
	while (poll(fds, workers + 1u, -1) >= 0 && !fds[workers].revents) {
		pthread_mutex_lock(&server->lock);
		for (uint16_t i = 0; i < workers; i++) {
			if (fds[i].revents)
				serve(server, i);
		}
		pthread_mutex_unlock(&server->lock);
	}
	return NULL;
}

struct fake_server *fake_server_start(int family, uint16_t workers)
{
	struct fake_server *server = calloc(1, sizeof(*server));
	uint16_t port;

	if (!server)
		abort();
	server->node = fake_node_create(workers);
	server->random = 1;
	pthread_mutex_init(&server->lock, NULL);
	if (!listen_all(server, family, workers))
		abort();
	/* A stranger: outside the ports that workers may have. */
	server->stray = -1;
	do {
		close(server->stray);
		port = 0;
		server->stray = listen_on(family, &port);
	} while (port >= server->port && port < server->port + ABAFT_WORKERS_MAX);
	if (server->stray < 0 || pipe(server->stop) ||
	    pthread_create(&server->thread, NULL, run, server))
		abort();
	return server;
}

void fake_server_stop(struct fake_server *server)
{
	close(server->stop[1]);
	pthread_join(server->thread, NULL);
	close(server->stop[0]);
	close(server->stray);
	for (uint16_t i = 0; i < server->node->workers; i++)
		close(server->sockets[i]);
	fake_node_destroy(server->node);
	pthread_mutex_destroy(&server->lock);
	free(server);
}
