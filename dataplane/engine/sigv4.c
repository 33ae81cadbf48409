/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sigv4.c - the four steps: the request in its certain form, what is to be signed, the key of the
 * scope, the signature. See sigv4.h.
 */
#include "dataplane/engine/sigv4.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <openssl/evp.h>
#include <openssl/hmac.h>

#define HASH_BYTES   32
#define QUERY_BYTES  4096
#define SECRET_BYTES 512
#define ALGORITHM    "AWS4-HMAC-SHA256"
#define TERMINATOR   "aws4_request"

/* Text that is written to a place of fixed size. Once it is full it stays full. */
struct writer {
	char *to;
	size_t room, used;
	bool full;
};

static void put_char(struct writer *writer, char c)
{
	if (writer->used + 1 >= writer->room)
		writer->full = true;
	else
		writer->to[writer->used++] = c;
}

static void put(struct writer *writer, const char *text)
{
	for (; *text != '\0'; text++)
		put_char(writer, *text);
}

static int ended(struct writer *writer)
{
	if (writer->room == 0)
		return -E2BIG;
	writer->to[writer->used] = '\0';
	return writer->full ? -E2BIG : (int)writer->used;
}

static bool unreserved(char c)
{
	return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
	       (c != '\0' && strchr("-._~", c) != NULL);
}

static void put_encoded(struct writer *writer, const char *text, bool slash)
{
	static const char digits[] = "0123456789ABCDEF";

	for (; *text != '\0'; text++) {
		if (unreserved(*text) || (slash && *text == '/')) {
			put_char(writer, *text);
			continue;
		}
		put_char(writer, '%');
		put_char(writer, digits[(uint8_t)*text >> 4]);
		put_char(writer, digits[(uint8_t)*text & 15]);
	}
}

int sigv4_encode(const char *from, bool slash, char *to, size_t room)
{
	struct writer writer = {.to = to, .room = room};

	put_encoded(&writer, from, slash);
	return ended(&writer);
}

void sigv4_stamp(uint64_t wall_s, char stamp[SIGV4_STAMP_BYTES])
{
	time_t time = (time_t)wall_s;
	struct tm tm;

	if (gmtime_r(&time, &tm) == NULL ||
	    strftime(stamp, SIGV4_STAMP_BYTES, "%Y%m%dT%H%M%SZ", &tm) == 0)
		stamp[0] = '\0';
}

static void hex_of(const uint8_t hash[HASH_BYTES], char hex[SIGV4_HEX_BYTES])
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < HASH_BYTES; i++) {
		hex[2 * i] = digits[hash[i] >> 4];
		hex[2 * i + 1] = digits[hash[i] & 15];
	}
	hex[2 * HASH_BYTES] = '\0';
}

int sigv4_hash(const void *from, size_t bytes, char hex[SIGV4_HEX_BYTES])
{
	uint8_t hash[HASH_BYTES];

	if (EVP_Digest(from, bytes, hash, NULL, EVP_sha256(), NULL) != 1)
		return -ENOMEM;
	hex_of(hash, hex);
	return 0;
}

static int pair_order(const void *a, const void *b)
{
	const struct sigv4_pair *left = a, *right = b;
	int order = strcmp(left->name, right->name);

	return order != 0 ? order : strcmp(left->value, right->value);
}

int sigv4_query(const struct sigv4_pair *query, uint32_t count, char *to, size_t room)
{
	struct sigv4_pair encoded[SIGV4_PAIRS_MAX];
	char text[QUERY_BYTES];
	struct writer parts = {.to = text, .room = sizeof(text)};
	struct writer writer = {.to = to, .room = room};

	if (count > SIGV4_PAIRS_MAX)
		return -E2BIG;
	/* What counts is the order of what is sent. */
	for (uint32_t i = 0; i < count; i++) {
		encoded[i].name = text + parts.used;
		put_encoded(&parts, query[i].name, false);
		put_char(&parts, '\0');
		encoded[i].value = text + parts.used;
		put_encoded(&parts, query[i].value, false);
		put_char(&parts, '\0');
	}
	if (parts.full)
		return -E2BIG;
	qsort(encoded, count, sizeof(encoded[0]), pair_order);
	for (uint32_t i = 0; i < count; i++) {
		if (i > 0)
			put_char(&writer, '&');
		put(&writer, encoded[i].name);
		put_char(&writer, '=');
		put(&writer, encoded[i].value);
	}
	return ended(&writer);
}

/* Without blanks at its ends, and with one where there are several. */
static void put_trimmed(struct writer *writer, const char *text)
{
	bool blank = false, any = false;

	for (; *text != '\0'; text++) {
		if (strchr(" \t\r\n", *text) != NULL) {
			blank = any;
			continue;
		}
		if (blank)
			put_char(writer, ' ');
		put_char(writer, *text);
		blank = false;
		any = true;
	}
}

/* By name; those of one name stay as they are. Returns how many, or -E2BIG. */
static int head_sorted(const struct sigv4_request *request, const struct sigv4_pair **sorted)
{
	uint32_t count = request->head_count, at;

	if (count > SIGV4_PAIRS_MAX)
		return -E2BIG;
	for (uint32_t i = 0; i < count; i++) {
		for (at = i; at > 0; at--) {
			if (strcmp(sorted[at - 1]->name, request->head[i].name) <= 0)
				break;
			sorted[at] = sorted[at - 1];
		}
		sorted[at] = &request->head[i];
	}
	return (int)count;
}

static void put_names(struct writer *writer, const struct sigv4_pair *const *sorted, int count)
{
	for (int i = 0; i < count; i++) {
		if (i > 0 && strcmp(sorted[i]->name, sorted[i - 1]->name) == 0)
			continue;
		if (i > 0)
			put_char(writer, ';');
		put(writer, sorted[i]->name);
	}
}

int sigv4_canonical(const struct sigv4_request *request, char *to, size_t room)
{
	const struct sigv4_pair *sorted[SIGV4_PAIRS_MAX];
	struct writer writer = {.to = to, .room = room};
	char query[QUERY_BYTES];
	int count = head_sorted(request, sorted);

	if (count < 0 ||
	    sigv4_query(request->query, request->query_count, query, sizeof(query)) < 0)
		return -E2BIG;
	put(&writer, request->method);
	put_char(&writer, '\n');
	put_encoded(&writer, request->path, true);
	put_char(&writer, '\n');
	put(&writer, query);
	for (int i = 0; i < count; i++) {
		if (i > 0 && strcmp(sorted[i]->name, sorted[i - 1]->name) == 0) {
			put_char(&writer, ',');
		} else {
			put_char(&writer, '\n');
			put(&writer, sorted[i]->name);
			put_char(&writer, ':');
		}
		put_trimmed(&writer, sorted[i]->value);
	}
	put(&writer, "\n\n");
	put_names(&writer, sorted, count);
	put_char(&writer, '\n');
	put(&writer, request->payload);
	return ended(&writer);
}

static int hmac(const void *key, size_t key_bytes, const char *text, uint8_t out[HASH_BYTES])
{
	if (HMAC(EVP_sha256(), key, (int)key_bytes, (const uint8_t *)text, strlen(text), out,
		 NULL) == NULL)
		return -ENOMEM;
	return 0;
}

/* The scope's key: one HMAC after another, over its parts. */
static int scope_key(struct sigv4_signer *signer, const char day[9])
{
	const char *parts[] = {day, signer->region, signer->service, TERMINATOR};
	char secret[SECRET_BYTES];
	uint8_t key[HASH_BYTES];
	int bytes, err;

	if (strcmp(signer->day, day) == 0)
		return 0;
	bytes = snprintf(secret, sizeof(secret), "AWS4%s", signer->secret_key);
	if (bytes >= (int)sizeof(secret))
		return -E2BIG;
	err = hmac(secret, (size_t)bytes, parts[0], key);
	for (size_t i = 1; i < sizeof(parts) / sizeof(parts[0]) && err == 0; i++) {
		err = hmac(key, sizeof(key), parts[i], signer->key);
		memcpy(key, signer->key, sizeof(key));
	}
	explicit_bzero(secret, sizeof(secret));
	explicit_bzero(key, sizeof(key));
	if (err == 0)
		memcpy(signer->day, day, sizeof(signer->day));
	else
		signer->day[0] = '\0';
	return err;
}

int sigv4_sign(struct sigv4_signer *signer, const struct sigv4_request *request,
	       const char stamp[SIGV4_STAMP_BYTES], char authorization[SIGV4_AUTHORIZATION_BYTES])
{
	struct writer writer = {.to = authorization, .room = SIGV4_AUTHORIZATION_BYTES};
	const struct sigv4_pair *sorted[SIGV4_PAIRS_MAX];
	char canonical[SIGV4_CANONICAL_BYTES], hash[SIGV4_HEX_BYTES], scope[192], text[512];
	int count, bytes, err;
	uint8_t signature[HASH_BYTES];
	char day[9];

	snprintf(day, sizeof(day), "%.8s", stamp);
	bytes = sigv4_canonical(request, canonical, sizeof(canonical));
	if (bytes < 0)
		return bytes;
	err = sigv4_hash(canonical, (size_t)bytes, hash);
	if (err == 0)
		err = scope_key(signer, day);
	if (err != 0)
		return err;
	if (snprintf(scope, sizeof(scope), "%s/%s/%s/%s", day, signer->region, signer->service,
		     TERMINATOR) >= (int)sizeof(scope))
		return -E2BIG;
	snprintf(text, sizeof(text), "%s\n%s\n%s\n%s", ALGORITHM, stamp, scope, hash);
	err = hmac(signer->key, sizeof(signer->key), text, signature);
	if (err != 0)
		return err;
	hex_of(signature, hash);
	count = head_sorted(request, sorted);
	put(&writer, ALGORITHM " Credential=");
	put(&writer, signer->access_key);
	put_char(&writer, '/');
	put(&writer, scope);
	put(&writer, ", SignedHeaders=");
	put_names(&writer, sorted, count);
	put(&writer, ", Signature=");
	put(&writer, hash);
	return ended(&writer) < 0 ? -E2BIG : 0;
}
