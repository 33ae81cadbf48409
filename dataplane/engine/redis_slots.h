/* SPDX-License-Identifier: Apache-2.0 */
/*
 * redis_slots.h - Redis Cluster's arithmetic: which of its 16384 slots a key belongs to, and what
 * the answers that speak of slots say. Pure.
 *
 * A slot is the CRC16 (polynomial 0x1021, begun with 0: "123456789" has 0x31c3) of the key, or of
 * what stands in its first pair of braces, modulo 16384; see the cluster specification on redis.io.
 */
#ifndef ABAFT_ENGINE_REDIS_SLOTS_H
#define ABAFT_ENGINE_REDIS_SLOTS_H

#include <stddef.h>
#include <stdint.h>

#include <hiredis/hiredis.h>

#define REDIS_SLOTS	 16384u
#define REDIS_HOST_BYTES 128u

/* A server, as others name it. */
struct redis_place {
	char host[REDIS_HOST_BYTES]; /* "": where the one is that said so */
	uint16_t port;
};

struct redis_redirect {
	uint32_t slot;
	struct redis_place place;
};

/* [first, last] are the primary's at `place`. */
struct redis_range {
	uint32_t first, last;
	struct redis_place place;
};

uint16_t redis_crc16(const char *bytes, size_t count);
uint32_t redis_slot(const char *key, size_t bytes);

/* Of "MOVED SLOT HOST:PORT" or "ASK SLOT HOST:PORT", with a NUL behind: 0 or -EPROTO. */
int redis_redirect_parse(struct redis_redirect *out, const char *text, size_t bytes)
	__attribute__((warn_unused_result));
/* Of one element of the answer to CLUSTER SLOTS: 0; -ENOENT when it does not say where the primary
 * is, -EPROTO. */
int redis_range_parse(struct redis_range *out, const struct redisReply *element)
	__attribute__((warn_unused_result));

#endif
