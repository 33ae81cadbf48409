/* SPDX-License-Identifier: Apache-2.0 */
/*
 * redis_tls.h - TLS on a socket that does not block. The server's certificate must come from an
 * authority that is trusted, and name the server: as the one that is connected to, or as the one
 * that the URL names, as servers of a cluster are known to each other by addresses.
 *
 * One thread. Not by OpenSSL's own socket BIO, which raises SIGPIPE.
 */
#ifndef ABAFT_ENGINE_REDIS_TLS_H
#define ABAFT_ENGINE_REDIS_TLS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include <openssl/ssl.h>

#include "dataplane/engine/driver.h"

struct redis_tls;

/* Of `credentials` the three files. `host`: the URL's. 0, -EINVAL (a file), -EACCES (others may
 * read the key) or -ENOMEM, with a sentence. */
int redis_tls_create(struct redis_tls **out, const struct engine_credentials *credentials,
		     const char *host, char *why, size_t why_bytes)
	__attribute__((warn_unused_result));
void redis_tls_destroy(struct redis_tls *tls);

/* A session on a connected socket, which stays the caller's; NULL: no memory. */
SSL *redis_tls_begin(struct redis_tls *tls, int fd, const char *host);
void redis_tls_end(SSL *session);
/*
 * 0: done, and the server is who it should be. -EAGAIN: wait until the socket can be read, or with
 * *wants_write written. -EACCES: not trusted. -ENOTCONN, -EPROTO. `why` gets the reason.
 */
int redis_tls_handshake(struct redis_tls *tls, SSL *session, const char *host, bool *wants_write,
			char *why, size_t why_bytes) __attribute__((warn_unused_result));
/* Bytes; 0: none now; -ENOTCONN: the end; -EACCES: it wants a certificate; -EPROTO. */
ssize_t redis_tls_read(SSL *session, void *to, size_t bytes);
ssize_t redis_tls_write(SSL *session, const void *from, size_t bytes);

#endif
