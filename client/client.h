/* SPDX-License-Identifier: Apache-2.0 */
/*
 * client.h - a client: one socket, its transactions, and the loop that drives them.
 */
#ifndef ABAFT_CLIENT_CLIENT_H
#define ABAFT_CLIENT_CLIENT_H

#include <sys/socket.h>

#include "client/txn.h"

/* Packets moved by one system call. */
#define CLIENT_BATCH 32

struct client_slot {
	struct sockaddr_storage address;
	uint8_t bytes[ABAFT_PACKET_BYTES_MAX + 1]; /* one more tells a packet that is too long */
};

struct client_batch {
	struct mmsghdr messages[CLIENT_BATCH];
	struct iovec vectors[CLIENT_BATCH];
	struct client_slot slots[CLIENT_BATCH];
	struct txn_flight *flights[CLIENT_BATCH]; /* sending */
	uint64_t requests[CLIENT_BATCH];	  /* the flights' requests then */
	unsigned int count, sent;
};

struct abaft {
	int fd;
	bool blocked; /* the socket took no more */
	bool driving; /* in abaft_poll(): callbacks must not call it again */
	uint16_t port;
	struct sockaddr_storage node;
	socklen_t node_bytes;
	struct txn_shared shared;
	struct abaft_txn *txns; /* txns_max + 1: the last is abaft_status()'s and abaft_info()'s */
	uint32_t txns_max, txns_open;
	struct link free;
	struct abaft_client_stats stats;
	struct client_batch in, out;
};

static inline struct abaft *client_of(const struct abaft_txn *txn)
{
	return link_owner(txn->shared, struct abaft, shared);
}

/* The transaction of the client's own, begun on this id; end it with abaft_end(). */
int client_begin_own(struct abaft *client, const struct abaft_id *id, struct abaft_txn **out)
	__attribute__((warn_unused_result));
/* Opens the socket and finds the node. INVALID, NETWORK. */
int client_connect(struct abaft *client, const struct abaft_config *config)
	__attribute__((warn_unused_result));
/* Is this the node's address, with a port one of its workers may have? */
bool client_is_node(const struct abaft *client, const struct sockaddr_storage *from);
/* Sends what wants to be sent, as far as the socket takes it. */
void client_send(struct abaft *client, uint64_t now_us);
/* Takes what has arrived. */
void client_receive(struct abaft *client, uint64_t now_us);
uint64_t client_now_us(void);

#endif
