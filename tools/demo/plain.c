/* SPDX-License-Identifier: Apache-2.0 */
/*
 * plain.c - the store without abaft that the demonstration compares with.
 *
 * A message is a struct plain_head, the key, the value. The answer to a put that was sent twice
 * is the same twice, and a client has one request in flight, so that resends change nothing.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tools/demo/plain.h"

enum { PLAIN_GET = 1, PLAIN_PUT = 2 };

struct plain_head {
	uint64_t request;
	uint32_t value_bytes;
	uint16_t key_bytes;
	uint8_t code;
	uint8_t status; /* answer: an errno */
};

#define MESSAGE_BYTES_MAX (sizeof(struct plain_head) + PLAIN_KEY_BYTES_MAX + PLAIN_VALUE_BYTES_MAX)
#define RESEND_MS	  50
#define RESENDS_MAX	  100

struct plain_entry {
	uint16_t key_bytes; /* 0: free */
	uint16_t value_bytes;
	char key[PLAIN_KEY_BYTES_MAX];
	char value[PLAIN_VALUE_BYTES_MAX];
};

static uint32_t key_hash(const char *key, size_t bytes)
{
	uint32_t hash = 2166136261u;

	for (size_t i = 0; i < bytes; i++)
		hash = (hash ^ (unsigned char)key[i]) * 16777619u;
	return hash;
}

/* The key's entry, or the free one where it would go, or NULL: full. */
static struct plain_entry *entry_of(struct plain_entry *entries, const char *key, size_t bytes)
{
	uint32_t hash = key_hash(key, bytes);

	for (uint32_t i = 0; i < PLAIN_KEYS_MAX; i++) {
		struct plain_entry *entry = &entries[(hash + i) % PLAIN_KEYS_MAX];

		if (!entry->key_bytes ||
		    (entry->key_bytes == bytes && !memcmp(entry->key, key, bytes)))
			return entry;
	}
	return NULL;
}

/* Executes the message in place; returns the answer's bytes, 0 for none. */
static size_t execute(struct plain_entry *entries, char *message, size_t bytes)
{
	struct plain_head head;
	struct plain_entry *entry;
	const char *key = message + sizeof(head);

	if (bytes < sizeof(head))
		return 0;
	memcpy(&head, message, sizeof(head));
	if (!head.key_bytes || head.key_bytes > PLAIN_KEY_BYTES_MAX ||
	    head.value_bytes > PLAIN_VALUE_BYTES_MAX ||
	    bytes != sizeof(head) + head.key_bytes + head.value_bytes)
		return 0;
	entry = entry_of(entries, key, head.key_bytes);
	head.status = 0;
	if (head.code == PLAIN_PUT && entry) {
		memcpy(entry->key, key, head.key_bytes);
		entry->key_bytes = head.key_bytes;
		memcpy(entry->value, key + head.key_bytes, head.value_bytes);
		entry->value_bytes = (uint16_t)head.value_bytes;
	} else if (head.code == PLAIN_PUT) {
		head.status = ENOSPC;
	}
	head.value_bytes = 0;
	if (head.code == PLAIN_GET && entry && entry->key_bytes) {
		head.value_bytes = entry->value_bytes;
		memcpy(message + sizeof(head), entry->value, entry->value_bytes);
	} else if (head.code == PLAIN_GET) {
		head.status = ENOENT;
	}
	memcpy(message, &head, sizeof(head));
	return sizeof(head) + head.value_bytes;
}

int plain_serve(int socket)
{
	struct plain_entry *entries = calloc(PLAIN_KEYS_MAX, sizeof(*entries));
	char message[MESSAGE_BYTES_MAX];

	if (!entries)
		return -ENOMEM;
	for (;;) {
		struct sockaddr_storage from;
		socklen_t from_bytes = sizeof(from);
		ssize_t got = recvfrom(socket, message, sizeof(message), 0,
				       (struct sockaddr *)&from, &from_bytes);
		size_t answer;

		if (got < 0 && errno != EINTR && errno != ECONNREFUSED)
			break;
		answer = got > 0 ? execute(entries, message, (size_t)got) : 0;
		/* A client that was killed does not read its answer: nobody to tell. */
		if (answer &&
		    sendto(socket, message, answer, 0, (struct sockaddr *)&from, from_bytes) < 0)
			continue;
	}
	free(entries);
	return -errno;
}

struct plain {
	int socket;
	uint64_t request;
	char message[MESSAGE_BYTES_MAX];
};

int plain_open(struct plain **out, uint16_t port)
{
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port)};
	struct plain *plain = calloc(1, sizeof(*plain));
	int err;

	if (!plain)
		return -ENOMEM;
	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	plain->socket = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (plain->socket < 0 || connect(plain->socket, (struct sockaddr *)&to, sizeof(to))) {
		err = -errno;
		plain_close(plain);
		return err;
	}
	*out = plain;
	return 0;
}

void plain_close(struct plain *plain)
{
	if (!plain)
		return;
	if (plain->socket >= 0)
		close(plain->socket);
	free(plain);
}

/* The answer's bytes, within plain->message, or a negative errno. */
static ssize_t exchange(struct plain *plain, uint8_t code, const char *key, const char *value,
			size_t value_bytes)
{
	struct plain_head head = {
		.request = ++plain->request,
		.value_bytes = (uint32_t)value_bytes,
		.key_bytes = (uint16_t)strlen(key),
		.code = code,
	};
	size_t bytes = sizeof(head) + head.key_bytes + value_bytes;
	char out[MESSAGE_BYTES_MAX];

	if (head.key_bytes > PLAIN_KEY_BYTES_MAX || value_bytes > PLAIN_VALUE_BYTES_MAX)
		return -EMSGSIZE;
	memcpy(out, &head, sizeof(head));
	memcpy(out + sizeof(head), key, head.key_bytes);
	if (value_bytes)
		memcpy(out + sizeof(head) + head.key_bytes, value, value_bytes);
	for (int i = 0; i < RESENDS_MAX; i++) {
		struct pollfd ready = {.fd = plain->socket, .events = POLLIN};

		if (send(plain->socket, out, bytes, 0) < 0 && errno != ECONNREFUSED)
			return -errno;
		while (poll(&ready, 1, RESEND_MS) > 0) {
			ssize_t got = recv(plain->socket, plain->message, MESSAGE_BYTES_MAX,
					   MSG_DONTWAIT);

			if (got < 0 && errno == ECONNREFUSED)
				return -ECONNREFUSED;
			/* The answer to a resend of an earlier request may still come. */
			if (got >= (ssize_t)sizeof(head) &&
			    !memcmp(plain->message, &head.request, sizeof(head.request)))
				return got;
		}
	}
	return -ETIMEDOUT;
}

int plain_get(struct plain *plain, const char *key, char *value, size_t *value_bytes)
{
	ssize_t got = exchange(plain, PLAIN_GET, key, NULL, 0);
	struct plain_head head;

	if (got < 0)
		return (int)got;
	memcpy(&head, plain->message, sizeof(head));
	if (head.status)
		return -head.status;
	if (head.value_bytes > *value_bytes || head.value_bytes + sizeof(head) != (size_t)got)
		return -EMSGSIZE;
	memcpy(value, plain->message + sizeof(head), head.value_bytes);
	*value_bytes = head.value_bytes;
	return 0;
}

int plain_put(struct plain *plain, const char *key, const char *value, size_t value_bytes)
{
	ssize_t got = exchange(plain, PLAIN_PUT, key, value, value_bytes);
	struct plain_head head;

	if (got < 0)
		return (int)got;
	memcpy(&head, plain->message, sizeof(head));
	return -head.status;
}
