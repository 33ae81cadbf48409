/* SPDX-License-Identifier: Apache-2.0 */
/*
 * http_server.c - see http_server.h.
 */
#include "tests/lib/http_server.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#define PEERS_MAX     64
#define REQUEST_BYTES ((9u << 20) + 65536)

struct peer {
	int fd;
	uint32_t requests;
	size_t bytes;
	uint8_t *request; /* REQUEST_BYTES, and a NUL */
};

struct http_server {
	http_server_handler *handler;
	void *arg;
	pthread_t thread;
	int listen_fd, wake_fd, answer_fd;
	uint16_t port;
	_Atomic bool ending, dropping;
	_Atomic uint32_t connections, open, open_most, requests;
	struct peer peers[PEERS_MAX];
};

void http_server_send(int fd, const void *from, size_t bytes)
{
	const char *at = from;
	ssize_t sent;

	while (bytes > 0) {
		sent = send(fd, at, bytes, MSG_NOSIGNAL);
		if (sent <= 0)
			return;
		at += sent;
		bytes -= (size_t)sent;
	}
}

void http_server_answer(int fd, int status, const char *lines, const void *body, size_t bytes)
{
	char head[2048];
	int length = snprintf(head, sizeof(head), "HTTP/1.1 %d X\r\nContent-Length: %zu\r\n%s\r\n",
			      status, bytes, lines);

	http_server_send(fd, head, (size_t)length);
	http_server_send(fd, body, bytes);
}

static void peer_close(struct http_server *server, struct peer *peer)
{
	close(peer->fd);
	free(peer->request);
	memset(peer, 0, sizeof(*peer));
	peer->fd = -1;
	atomic_fetch_sub(&server->open, 1);
}

/* Bytes of the first request, 0: not whole yet. Splits it. */
static size_t request_whole(struct peer *peer, struct http_seen *seen)
{
	char *head = (char *)peer->request, *end, *length;
	size_t head_bytes, body_bytes = 0;

	peer->request[peer->bytes] = '\0';
	end = strstr(head, "\r\n\r\n");
	if (end == NULL)
		return 0;
	head_bytes = (size_t)(end - head) + 4;
	length = strcasestr(head, "\r\nContent-Length:");
	if (length != NULL && length < end)
		body_bytes = strtoul(length + strlen("\r\nContent-Length:"), NULL, 10);
	if (peer->bytes < head_bytes + body_bytes)
		return 0;
	end[2] = '\0';
	seen->head = head;
	seen->body = peer->request + head_bytes;
	seen->body_bytes = body_bytes;
	return head_bytes + body_bytes;
}

static void peer_read(struct http_server *server, struct peer *peer)
{
	ssize_t got = recv(peer->fd, peer->request + peer->bytes, REQUEST_BYTES - peer->bytes, 0);
	struct http_seen seen;
	size_t bytes;

	if (got <= 0) {
		peer_close(server, peer);
		return;
	}
	peer->bytes += (size_t)got;
	while ((bytes = request_whole(peer, &seen)) > 0) {
		seen.number = atomic_fetch_add(&server->requests, 1);
		seen.nth = peer->requests++;
		if (server->handler(server, peer->fd, &seen, server->arg) == HTTP_SERVER_CLOSE) {
			peer_close(server, peer);
			return;
		}
		memmove(peer->request, peer->request + bytes, peer->bytes - bytes);
		peer->bytes -= bytes;
	}
}

static void peer_accept(struct http_server *server)
{
	int fd = accept4(server->listen_fd, NULL, NULL, SOCK_CLOEXEC), on = 1;
	uint32_t open;

	for (size_t i = 0; fd >= 0 && i < PEERS_MAX; i++) {
		if (server->peers[i].fd >= 0)
			continue;
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
		server->peers[i].fd = fd;
		server->peers[i].request = malloc(REQUEST_BYTES + 1);
		atomic_fetch_add(&server->connections, 1);
		open = atomic_fetch_add(&server->open, 1) + 1;
		if (open > atomic_load(&server->open_most))
			atomic_store(&server->open_most, open);
		return;
	}
	if (fd >= 0)
		close(fd);
}

static void drop_all(struct http_server *server)
{
	for (size_t i = 0; i < PEERS_MAX; i++)
		if (server->peers[i].fd >= 0)
			peer_close(server, &server->peers[i]);
}

static void woken(struct http_server *server)
{
	uint64_t value;

	if (read(server->wake_fd, &value, sizeof(value)) < 0 || !atomic_load(&server->dropping))
		return;
	drop_all(server);
	atomic_store(&server->dropping, false);
	value = 1;
	if (write(server->answer_fd, &value, sizeof(value)) < 0)
		abort();
}

static void *serve(void *arg)
{
	struct http_server *server = arg;
	struct pollfd fds[PEERS_MAX + 2];

	while (!atomic_load(&server->ending)) {
		fds[0] = (struct pollfd){server->wake_fd, POLLIN, 0};
		fds[1] = (struct pollfd){server->listen_fd, POLLIN, 0};
		for (size_t i = 0; i < PEERS_MAX; i++)
			fds[i + 2] = (struct pollfd){server->peers[i].fd, POLLIN, 0};
		poll(fds, PEERS_MAX + 2, -1);
		for (size_t i = 0; i < PEERS_MAX; i++)
			if (fds[i + 2].revents != 0)
				peer_read(server, &server->peers[i]);
		if (fds[1].revents != 0)
			peer_accept(server);
		if (fds[0].revents != 0)
			woken(server);
	}
	drop_all(server);
	return NULL;
}

struct http_server *http_server_start(http_server_handler *handler, void *arg)
{
	struct sockaddr_in address = {.sin_family = AF_INET,
				      .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t bytes = sizeof(address);
	struct http_server *server = calloc(1, sizeof(*server));

	if (server == NULL)
		abort();
	server->handler = handler;
	server->arg = arg;
	for (size_t i = 0; i < PEERS_MAX; i++)
		server->peers[i].fd = -1;
	server->wake_fd = eventfd(0, EFD_CLOEXEC);
	server->answer_fd = eventfd(0, EFD_CLOEXEC);
	server->listen_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (bind(server->listen_fd, (struct sockaddr *)&address, bytes) != 0 ||
	    listen(server->listen_fd, 256) != 0 ||
	    getsockname(server->listen_fd, (struct sockaddr *)&address, &bytes) != 0)
		abort();
	server->port = ntohs(address.sin_port);
	if (pthread_create(&server->thread, NULL, serve, server) != 0)
		abort();
	return server;
}

static void wake(struct http_server *server)
{
	uint64_t value = 1;

	if (write(server->wake_fd, &value, sizeof(value)) < 0)
		abort();
}

void http_server_stop(struct http_server *server)
{
	atomic_store(&server->ending, true);
	wake(server);
	pthread_join(server->thread, NULL);
	close(server->listen_fd);
	close(server->wake_fd);
	close(server->answer_fd);
	free(server);
}

void http_server_drop(struct http_server *server)
{
	uint64_t value;

	atomic_store(&server->dropping, true);
	wake(server);
	if (read(server->answer_fd, &value, sizeof(value)) < 0)
		abort();
}

uint16_t http_server_port(const struct http_server *server)
{
	return server->port;
}

uint32_t http_server_connections(const struct http_server *server)
{
	return atomic_load(&server->connections);
}

uint32_t http_server_open_most(const struct http_server *server)
{
	return atomic_load(&server->open_most);
}

uint32_t http_server_requests(const struct http_server *server)
{
	return atomic_load(&server->requests);
}
