/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sigv4.h - signs requests to S3, DynamoDB and what speaks like them. Pure: the time is an
 * argument.
 *
 * Source: "Signature Version 4 signing process" of the AWS documentation. What is signed is the
 * request in one certain form (sigv4_canonical()), its time and its scope (day, region, service),
 * by a key that is derived from the secret for the scope. The path is encoded once and stays as it
 * is, as S3 has it; of other services only paths that need no encoding can be signed.
 *
 * The secret stands in no output but as what HMAC makes of it.
 */
#ifndef ABAFT_ENGINE_SIGV4_H
#define ABAFT_ENGINE_SIGV4_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SIGV4_PAIRS_MAX		  16
#define SIGV4_STAMP_BYTES	  17 /* "20130524T000000Z" */
#define SIGV4_HEX_BYTES		  65 /* a SHA-256, with the NUL */
#define SIGV4_AUTHORIZATION_BYTES 1024
/* Room of a request in its certain form, a session token in its head included. */
#define SIGV4_CANONICAL_BYTES	  12288
#define SIGV4_UNSIGNED		  "UNSIGNED-PAYLOAD"

struct sigv4_pair {
	const char *name, *value;
};

struct sigv4_request {
	const char *method;
	const char *path;		/* not encoded; "/…" */
	const struct sigv4_pair *query; /* not encoded, any order */
	uint32_t query_count;
	/* What of its head is signed: host and all x-amz-… at least, names in lower case. */
	const struct sigv4_pair *head;
	uint32_t head_count;
	const char *payload; /* its SHA-256 in hex, or SIGV4_UNSIGNED */
};

/* Who signs, for what. The key of the last scope is kept; one thread's. */
struct sigv4_signer {
	const char *access_key, *secret_key;
	const char *region, *service;
	/* sigv4.c's; zero at first. */
	char day[9];
	uint8_t key[32];
};

/* Seconds since 1970, to the year 9999, as x-amz-date wants them. */
void sigv4_stamp(uint64_t wall_s, char stamp[SIGV4_STAMP_BYTES]);
/* The SHA-256 of `bytes` at `from`, in hex. 0 or -ENOMEM. */
int sigv4_hash(const void *from, size_t bytes, char hex[SIGV4_HEX_BYTES])
	__attribute__((warn_unused_result));
/*
 * As it stands in a URL: all but A-Z a-z 0-9 - . _ ~ becomes %XX. `slash`: / stays, too. Returns
 * the length without the NUL; -E2BIG when it does not fit.
 */
int sigv4_encode(const char *from, bool slash, char *to, size_t room)
	__attribute__((warn_unused_result));
/* The query as it is signed and sent: encoded, sorted, without its '?'. Returns as above. */
int sigv4_query(const struct sigv4_pair *query, uint32_t count, char *to, size_t room)
	__attribute__((warn_unused_result));
/* The request in the form that is hashed and signed. Returns as above. */
int sigv4_canonical(const struct sigv4_request *request, char *to, size_t room)
	__attribute__((warn_unused_result));
/*
 * The value of the Authorization header. `head` must hold x-amz-date (or date) of the same stamp.
 * 0, -E2BIG or -ENOMEM.
 */
int sigv4_sign(struct sigv4_signer *signer, const struct sigv4_request *request,
	       const char stamp[SIGV4_STAMP_BYTES], char authorization[SIGV4_AUTHORIZATION_BYTES])
	__attribute__((warn_unused_result));

#endif
