/* SPDX-License-Identifier: Apache-2.0 */
/*
 * socket.c - a client's packets through the kernel: batches out, batches in.
 *
 * I1. The socket is not connected: each worker has a port of its own. So every packet's source is
 *     compared with the node's address, and what does not fit is counted and forgotten.
 * I2. When the socket takes no more, the batch stays and nothing new is encoded: transactions wait
 *     in their lists.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "client/client.h"
#include "client/drive.h"

static void port_set(struct sockaddr_storage *address, uint16_t port)
{
	if (address->ss_family == AF_INET6)
		((struct sockaddr_in6 *)address)->sin6_port = htons(port);
	else
		((struct sockaddr_in *)address)->sin_port = htons(port);
}

static int bind_to(int fd, const char *name, int family)
{
	struct addrinfo hints = {.ai_family = family, .ai_socktype = SOCK_DGRAM}, *found;
	int err;

	if (getaddrinfo(name, NULL, &hints, &found))
		return ABAFT_INVALID;
	err = bind(fd, found->ai_addr, found->ai_addrlen) ? ABAFT_NETWORK : ABAFT_OK;
	freeaddrinfo(found);
	return err;
}

int client_connect(struct abaft *client, const struct abaft_config *config)
{
	struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_DGRAM}, *found;
	const char *name = config->address ? config->address : "127.0.0.1";
	int buffer_bytes = 4 << 20;

	if (getaddrinfo(name, NULL, &hints, &found))
		return ABAFT_INVALID;
	memcpy(&client->node, found->ai_addr, found->ai_addrlen);
	client->node_bytes = found->ai_addrlen;
	freeaddrinfo(found);
	if (client->node.ss_family != AF_INET && client->node.ss_family != AF_INET6)
		return ABAFT_INVALID;
	client->fd = socket(client->node.ss_family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (client->fd < 0)
		return ABAFT_NETWORK;
	/* As much as the system allows; less only means more resends. */
	(void)setsockopt(client->fd, SOL_SOCKET, SO_RCVBUF, &buffer_bytes, sizeof(buffer_bytes));
	(void)setsockopt(client->fd, SOL_SOCKET, SO_SNDBUF, &buffer_bytes, sizeof(buffer_bytes));
	if (config->bind_address)
		return bind_to(client->fd, config->bind_address, client->node.ss_family);
	return ABAFT_OK;
}

bool client_is_node(const struct abaft *client, const struct sockaddr_storage *from)
{
	uint32_t port;

	if (from->ss_family != client->node.ss_family)
		return false;
	if (from->ss_family == AF_INET6) {
		const struct sockaddr_in6 *a = (const struct sockaddr_in6 *)from;
		const struct sockaddr_in6 *b = (const struct sockaddr_in6 *)&client->node;

		port = ntohs(a->sin6_port);
		if (memcmp(&a->sin6_addr, &b->sin6_addr, sizeof(a->sin6_addr)))
			return false;
	} else {
		const struct sockaddr_in *a = (const struct sockaddr_in *)from;
		const struct sockaddr_in *b = (const struct sockaddr_in *)&client->node;

		port = ntohs(a->sin_port);
		if (a->sin_addr.s_addr != b->sin_addr.s_addr)
			return false;
	}
	return port >= client->port && port < (uint32_t)client->port + ABAFT_WORKERS_MAX;
}

static void encode(struct abaft *client, struct txn_flight *flight, uint64_t now_us)
{
	struct client_batch *out = &client->out;
	unsigned int i = out->count++;
	struct client_slot *slot = &out->slots[i];

	if (flight->tries)
		client->stats.resends++;
	slot->address = client->node;
	port_set(&slot->address, (uint16_t)(client->port + drive_worker(flight)));
	out->vectors[i].iov_base = slot->bytes;
	out->vectors[i].iov_len = txn_encode(flight, slot->bytes);
	out->messages[i].msg_hdr = (struct msghdr){.msg_name = &slot->address,
						   .msg_namelen = client->node_bytes,
						   .msg_iov = &out->vectors[i],
						   .msg_iovlen = 1};
	out->flights[i] = flight;
	out->requests[i] = flight->request;
	txn_sent(flight, now_us);
}

/* Sends the batch. False: the socket took no more. */
static bool flush(struct abaft *client)
{
	struct client_batch *out = &client->out;

	while (out->sent < out->count) {
		int n = sendmmsg(client->fd, out->messages + out->sent, out->count - out->sent, 0);

		if (n > 0) {
			out->sent += (unsigned int)n;
			client->stats.packets_sent += (unsigned int)n;
		} else if (errno == EAGAIN || errno == ENOBUFS) {
			return false;
		} else if (errno != EINTR) {
			/* This packet cannot go: as if lost, but remembered for the error. */
			if (out->flights[out->sent]->request == out->requests[out->sent])
				out->flights[out->sent]->txn->send_failed = true;
			out->sent++;
		}
	}
	out->sent = out->count = 0;
	return true;
}

void client_send(struct abaft *client, uint64_t now_us)
{
	struct txn_flight *flight;

	client->blocked = !flush(client);
	while (!client->blocked && (flight = drive_next(&client->shared))) {
		encode(client, flight, now_us);
		if (client->out.count == CLIENT_BATCH)
			client->blocked = !flush(client);
	}
	if (!client->blocked)
		client->blocked = !flush(client);
}

static void take(struct abaft *client, const struct client_slot *slot, uint32_t bytes,
		 uint64_t now_us)
{
	client->stats.packets_received++;
	if (!client_is_node(client, &slot->address) ||
	    !drive_take(&client->shared, slot->bytes, bytes, now_us))
		client->stats.ignored++;
}

void client_receive(struct abaft *client, uint64_t now_us)
{
	struct client_batch *in = &client->in;
	int n;

	/* A few batches at most, so that a flood of answers does not starve timers and callers. */
	for (int pass = 0; pass < 8; pass++) {
		for (int i = 0; i < CLIENT_BATCH; i++) {
			in->vectors[i].iov_base = in->slots[i].bytes;
			in->vectors[i].iov_len = sizeof(in->slots[i].bytes);
			in->messages[i].msg_hdr =
				(struct msghdr){.msg_name = &in->slots[i].address,
						.msg_namelen = sizeof(in->slots[i].address),
						.msg_iov = &in->vectors[i],
						.msg_iovlen = 1};
		}
		n = recvmmsg(client->fd, in->messages, CLIENT_BATCH, MSG_DONTWAIT, NULL);
		for (int i = 0; i < n; i++)
			take(client, &in->slots[i], in->messages[i].msg_len, now_us);
		if (n < CLIENT_BATCH)
			return;
	}
}
