/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bytes.h - little-endian integers at any address, and the one bounds-checked cursor that untrusted
 * bytes (packets, log records) are read through. A cursor that was asked for more than there is
 * goes bad and stays bad, so that a parser checks once at its end.
 */
#ifndef ABAFT_CORE_BYTES_H
#define ABAFT_CORE_BYTES_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

static inline uint16_t load_le16(const void *p)
{
	uint16_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

static inline uint32_t load_le32(const void *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

static inline uint64_t load_le64(const void *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

static inline uint32_t load_be32(const void *p)
{
	return __builtin_bswap32(load_le32(p));
}

static inline uint64_t load_be64(const void *p)
{
	return __builtin_bswap64(load_le64(p));
}

static inline void store_le16(void *p, uint16_t v)
{
	memcpy(p, &v, sizeof(v));
}

static inline void store_le32(void *p, uint32_t v)
{
	memcpy(p, &v, sizeof(v));
}

static inline void store_le64(void *p, uint64_t v)
{
	memcpy(p, &v, sizeof(v));
}

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the loads above assume it");

/* memcmp() == 0 that touches no byte beyond the end: a vector memcmp loads the cache line behind a
 * short key, and waits for it. */
static inline bool bytes_equal(const uint8_t *a, const uint8_t *b, uint32_t bytes)
{
	uint32_t i = 0;

	for (; i + 8 <= bytes; i += 8)
		if (load_le64(a + i) != load_le64(b + i))
			return false;
	for (; i < bytes; i++)
		if (a[i] != b[i])
			return false;
	return true;
}

struct cursor {
	const uint8_t *at;
	const uint8_t *end;
	bool bad;
};

static inline struct cursor cursor_of(const uint8_t *data, uint32_t bytes)
{
	return (struct cursor){.at = data, .end = data + bytes};
}

/* The next `bytes` bytes, or NULL (and bad) when there are fewer. */
static inline const uint8_t *cursor_take(struct cursor *c, uint32_t bytes)
{
	const uint8_t *p = c->at;

	if (c->bad || (uint64_t)(c->end - c->at) < bytes) {
		c->bad = true;
		return NULL;
	}
	c->at += bytes;
	return p;
}

#endif
