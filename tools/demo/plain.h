/* SPDX-License-Identifier: Apache-2.0 */
/*
 * plain.h - the store without abaft that the demonstration compares with: a key-value server
 * that does what such stores promise and no more.
 *
 * It is honest: one thread executes one request after another in memory, so each get and put is
 * atomic and at once visible to everybody (linearizable per key); it never fails, is never killed
 * and loses nothing. What goes wrong on it goes wrong because nothing holds several keys together.
 */
#ifndef ABAFT_TOOLS_DEMO_PLAIN_H
#define ABAFT_TOOLS_DEMO_PLAIN_H

#include <stddef.h>
#include <stdint.h>

#define PLAIN_KEY_BYTES_MAX   128
#define PLAIN_VALUE_BYTES_MAX 1024
/* Keys of one server; the demonstration checks that its requests fit. */
#define PLAIN_KEYS_MAX	      (1u << 16)

struct plain;

/* Serves on the UDP socket until the process is ended. Returns a negative errno. */
int plain_serve(int socket);

/* A client of the server on 127.0.0.1. 0 or a negative errno; close with plain_close(). */
__attribute__((warn_unused_result)) int plain_open(struct plain **out, uint16_t port);
void plain_close(struct plain *plain);
/* *value_bytes: room, then length. 0, -ENOENT, -ENOSPC (store full) or -ETIMEDOUT. */
__attribute__((warn_unused_result)) int plain_get(struct plain *plain, const char *key, char *value,
						  size_t *value_bytes);
__attribute__((warn_unused_result)) int plain_put(struct plain *plain, const char *key,
						  const char *value, size_t value_bytes);

#endif
