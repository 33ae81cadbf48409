/* SPDX-License-Identifier: Apache-2.0 */
/*
 * flood.c - sends a node more than it asked for, and never listens: for flood_test.py and
 * bench/hostile.
 *
 *	flood ADDRESS PORT WORKERS KIND RATE SECONDS [SEED]
 *
 * KIND: first    valid first operations (a PUT of 100 bytes), each of a transaction of its own
 *       reserve  first parts of values of 1 MiB, each of a transaction of its own
 *       garbage  random bytes, cut requests, wrong magic, version, kind, length, operations
 *       other    packets as `first`, to the port PORT itself, whatever listens there
 * RATE packets a second, in small bursts (0: as fast as it goes). Prints how many it sent.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include <abaft/wire.h>

#include "dataplane/core/bytes.h"

#define BATCH	    16
#define VALUE_BYTES 100
#define PART_BYTES  256
#define MIB	    (1u << 20)

enum kind { FIRST, RESERVE, GARBAGE, OTHER, KINDS };

static const char *const names[KINDS] = {"first", "reserve", "garbage", "other"};

struct flood {
	enum kind kind;
	uint32_t workers;
	uint16_t port;
	struct sockaddr_storage to[BATCH];
	socklen_t to_bytes;
	uint64_t random;
	uint8_t bytes[BATCH][ABAFT_PACKET_BYTES_MAX];
};

static uint64_t next_random(struct flood *f)
{
	f->random ^= f->random << 13;
	f->random ^= f->random >> 7;
	f->random ^= f->random << 17;
	return f->random * UINT64_C(2685821657736338717);
}

static uint64_t clock_ns(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

static void port_set(struct sockaddr_storage *to, uint32_t port)
{
	if (to->ss_family == AF_INET6)
		((struct sockaddr_in6 *)to)->sin6_port = htons((uint16_t)port);
	else
		((struct sockaddr_in *)to)->sin_port = htons((uint16_t)port);
}

/* A UUIDv7 of now. */
static void make_id(struct flood *f, uint8_t id[16])
{
	uint64_t ms = clock_ns(CLOCK_REALTIME) / 1000000, a = next_random(f), b = next_random(f);

	memcpy(id, &a, 8);
	memcpy(id + 8, &b, 8);
	for (int i = 0; i < 6; i++)
		id[i] = (uint8_t)(ms >> (40 - 8 * i));
	id[6] = (uint8_t)(0x70 | (id[6] & 15));
	id[8] = (uint8_t)(0x80 | (id[8] & 63));
}

static uint32_t make_request(struct flood *f, uint8_t *out)
{
	bool reserve = f->kind == RESERVE;
	uint32_t data = reserve ? PART_BYTES : VALUE_BYTES, total = reserve ? MIB : data;
	struct abaft_wire_header *h = (void *)out;
	struct abaft_wire_op *op = (void *)(h + 1);
	uint32_t bytes = (uint32_t)(sizeof(*h) + sizeof(*op)) + 8 + data;

	memset(out, 0, bytes);
	store_le32(h->magic, ABAFT_WIRE_MAGIC);
	h->version = ABAFT_WIRE_VERSION;
	h->kind = ABAFT_KIND_REQUEST;
	store_le16(h->flags, ABAFT_FLAG_OPEN);
	store_le16(h->length, (uint16_t)bytes);
	store_le16(h->ops, 1);
	store_le64(h->request, next_random(f));
	make_id(f, h->txn);
	op->code = reserve ? ABAFT_OP_PUT_PART : ABAFT_OP_PUT;
	store_le16(op->key_len, 8);
	store_le32(op->total, total);
	store_le32(op->data_len, data);
	store_le64((uint8_t *)(op + 1), next_random(f));
	return bytes;
}

/* A request made wrong in one of ten ways. */
static uint32_t make_garbage(struct flood *f, uint8_t *out)
{
	struct abaft_wire_header *h = (void *)out;
	uint32_t bytes = make_request(f, out);
	uint64_t way = next_random(f);

	switch (way % 10) {
	case 0: /* random bytes of any length */
		bytes = (uint32_t)(way >> 32) % ABAFT_PACKET_BYTES_MAX;
		for (uint32_t i = 0; i < bytes; i++)
			out[i] = (uint8_t)next_random(f);
		return bytes;
	case 1:
		return (uint32_t)(way >> 32) % bytes;
	case 2:
		h->magic[1] = 'X';
		return bytes;
	case 3:
		h->version = 9;
		return bytes;
	case 4:
		h->kind = ABAFT_KIND_ANSWER;
		return bytes;
	case 5:
		store_le16(h->ops, (uint16_t)(way >> 16));
		return bytes;
	case 6:
		store_le16(h->flags, 0x8000);
		return bytes;
	case 7:
		memset(h->txn, 0, sizeof(h->txn));
		return bytes;
	case 8: /* an operation of random bytes */
		for (uint32_t i = sizeof(*h); i < bytes; i++)
			out[i] = (uint8_t)next_random(f);
		return bytes;
	default:
		h->tenant[0] = 1;
		return bytes;
	}
}

static uint32_t owner(const struct flood *f, const uint8_t *packet)
{
	const struct abaft_wire_header *h = (const void *)packet;

	return (uint32_t)((uint64_t)load_be32(h->txn + 12) * f->workers >> 32);
}

static int connect_to(struct flood *f, const char *address)
{
	struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_DGRAM}, *found;
	int fd, bytes = 4096;

	if (getaddrinfo(address, NULL, &hints, &found))
		return -1;
	for (int i = 0; i < BATCH; i++)
		memcpy(&f->to[i], found->ai_addr, found->ai_addrlen);
	f->to_bytes = found->ai_addrlen;
	fd = socket(found->ai_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	freeaddrinfo(found);
	/* Answers are thrown away soon. */
	if (fd >= 0)
		(void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes));
	return fd;
}

static int send_batch(struct flood *f, int fd)
{
	struct mmsghdr messages[BATCH];
	struct iovec vectors[BATCH];

	for (int i = 0; i < BATCH; i++) {
		uint8_t *out = f->bytes[i];
		uint32_t bytes = f->kind == GARBAGE ? make_garbage(f, out) : make_request(f, out);

		port_set(&f->to[i], f->port + (f->kind == OTHER ? 0 : owner(f, out)));
		vectors[i] = (struct iovec){.iov_base = out, .iov_len = bytes};
		messages[i].msg_hdr = (struct msghdr){.msg_name = &f->to[i],
						      .msg_namelen = f->to_bytes,
						      .msg_iov = &vectors[i],
						      .msg_iovlen = 1};
	}
	return sendmmsg(fd, messages, BATCH, 0);
}

static void flood(struct flood *f, int fd, double rate, double seconds)
{
	uint64_t begin = clock_ns(CLOCK_MONOTONIC), now = begin, sent = 0;
	uint64_t end = begin + (uint64_t)(seconds * 1e9);

	while (now < end) {
		if (rate > 0 && (double)sent > (double)(now - begin) * rate / 1e9) {
			struct timespec pause = {.tv_nsec = 50000};

			nanosleep(&pause, NULL);
		} else {
			int n = send_batch(f, fd);

			sent += n > 0 ? (uint64_t)n : 0;
		}
		now = clock_ns(CLOCK_MONOTONIC);
	}
	printf("%llu\n", (unsigned long long)sent);
}

int main(int argc, char **argv)
{
	static struct flood f;
	int fd;

	if (argc < 7)
		return 2;
	f.port = (uint16_t)strtoul(argv[2], NULL, 10);
	f.workers = (uint32_t)strtoul(argv[3], NULL, 10);
	f.random = 1 + (argc > 7 ? strtoull(argv[7], NULL, 10) : 0);
	while (f.kind < KINDS && strcmp(names[f.kind], argv[4]) != 0)
		f.kind++;
	fd = connect_to(&f, argv[1]);
	if (f.kind == KINDS || f.workers == 0 || fd < 0) {
		fprintf(stderr, "flood: bad kind or address, or no socket: %s\n", strerror(errno));
		return 2;
	}
	flood(&f, fd, strtod(argv[5], NULL), strtod(argv[6], NULL));
	return 0;
}
