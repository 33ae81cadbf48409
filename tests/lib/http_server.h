/* SPDX-License-Identifier: Apache-2.0 */
/*
 * http_server.h - a small server on the loopback, in a thread of its own, whose answers a test
 * decides: right ones, and what no server should send.
 */
#ifndef ABAFT_TESTS_HTTP_SERVER_H
#define ABAFT_TESTS_HTTP_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct http_server;

/* A whole request; all of it the server's. */
struct http_seen {
	const char *head; /* NUL-terminated, its lines with CR LF */
	const uint8_t *body;
	size_t body_bytes;
	uint32_t number; /* 0, 1, … of all requests */
	uint32_t nth;	 /* 0, 1, … of its connection's */
};

enum http_server_then { HTTP_SERVER_KEEP, HTTP_SERVER_CLOSE };

/* Called in the server's thread; sends by http_server_send(), or nothing at all. */
typedef enum http_server_then http_server_handler(struct http_server *server, int fd,
						  const struct http_seen *seen, void *arg);

struct http_server *http_server_start(http_server_handler *handler, void *arg);
/* Ends the thread and closes all connections. */
void http_server_stop(struct http_server *server);
uint16_t http_server_port(const struct http_server *server);
void http_server_send(int fd, const void *from, size_t bytes);
/* "HTTP/1.1 STATUS X", a length, these further lines (each with CR LF), and the body. */
void http_server_answer(int fd, int status, const char *lines, const void *body, size_t bytes);

/* Any thread. */
uint32_t http_server_connections(const struct http_server *server); /* accepted in all */
uint32_t http_server_open_most(const struct http_server *server);   /* most at a time */
uint32_t http_server_requests(const struct http_server *server);
/* Closes connections that are open now, in the server's thread; returns when they are. */
void http_server_drop(struct http_server *server);

#endif
