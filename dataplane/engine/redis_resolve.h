/* SPDX-License-Identifier: Apache-2.0 */
/*
 * redis_resolve.h - a server's name to its addresses, without waiting: the C library's own threads
 * ask. Numeric addresses are there at once. One thread.
 */
#ifndef ABAFT_ENGINE_REDIS_RESOLVE_H
#define ABAFT_ENGINE_REDIS_RESOLVE_H

#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

struct redis_resolve;

/* While it is -EAGAIN ask again after so long. */
#define REDIS_RESOLVE_POLL_MS 5

/* 0 or -ENOMEM, or -EAGAIN when the system has no thread for it. */
int redis_resolve_begin(struct redis_resolve **out, const char *host, uint16_t port)
	__attribute__((warn_unused_result));
/* 0: there is an answer. -EAGAIN: not yet. -ENOENT: nobody has that name, or no server said so;
 * `why` gets the reason. */
int redis_resolve_poll(struct redis_resolve *resolve, char *why, size_t why_bytes)
	__attribute__((warn_unused_result));
/* When there is an answer: the addresses, at least one; `index` modulo their number. Returns the
 * address' bytes. */
uint32_t redis_resolve_count(const struct redis_resolve *resolve);
socklen_t redis_resolve_address(const struct redis_resolve *resolve, uint32_t index,
				struct sockaddr_storage *out);
/* One that is not answered and cannot be called back is left to the C library. */
void redis_resolve_end(struct redis_resolve *resolve);

#endif
