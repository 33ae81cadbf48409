/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tag.h - who wrote this value: a line of text at the beginning of a value.
 *
 * `abaft load` and `abaft demo` put a tag in front of every value they write, so that whoever reads
 * the value knows which transaction wrote it. A tag is plain text, so that any language writes it
 * and a person can read it:
 *
 *	@abt1/ID/STEP.ATTEMPT.SEQ/TIME/KEY/WITH;
 *
 * ID     the writing transaction, as a UUID
 * STEP   number of the function in its chain, ATTEMPT its run, SEQ the operation in the transaction
 * TIME   microseconds since 1970 when this write was issued; 0 = unknown
 * KEY    the key it was written to
 * WITH   keys the same transaction writes too, separated by commas; may be empty. Only a store
 *        without transactions needs it: there a dead writer leaves no other trace of its intent.
 *
 * Invariants:
 * I1. What stands between "@abt1/" and ";" (the body) goes into a history unchanged.
 * I2. Keys are escaped: bytes other than A-Z a-z 0-9 _ . : - stand as %XX. So a body has no space,
 *     comma, slash or semicolon inside a key.
 *
 * Pure functions, any thread.
 */
#ifndef ABAFT_TOOLS_HISTORY_TAG_H
#define ABAFT_TOOLS_HISTORY_TAG_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <abaft/abaft.h>

#define TAG_MAGIC     "@abt1/"
/* A tag is never longer, so a reader looks no further. */
#define TAG_BYTES_MAX 8192

struct tag_number {
	uint16_t step;
	uint16_t attempt;
	uint32_t seq;
};

struct tag_key {
	const void *data;
	size_t bytes;
};

/* What tag_write() needs. */
struct tag_source {
	const struct abaft_id *id;
	struct tag_number number;
	uint64_t time_us;
	struct tag_key key;
	const struct tag_key *with; /* NULL if none */
	size_t with_count;
};

/* A tag as found; the texts point into what was parsed and are not NUL-terminated. */
struct tag {
	struct abaft_id id;
	struct tag_number number;
	uint64_t time_us;
	const char *key; /* escaped */
	size_t key_len;
	const char *with; /* escaped keys between commas */
	size_t with_len;
	const char *body;
	size_t body_len;
};

/* Writes the tag into the first bytes of a value. Returns its length, or -ENOSPC if the value (or
 * TAG_BYTES_MAX) is too short for it. */
__attribute__((warn_unused_result)) ssize_t tag_write(char *value, size_t value_bytes,
						      const struct tag_source *source);
/* Reads the tag of a value: 0, -ENOENT (none there) or -EBADMSG (cut short or broken). */
__attribute__((warn_unused_result)) int tag_read(const char *value, size_t value_bytes,
						 struct tag *out);
/* The same from a body (I1) as it stands in a history. 0 or -EBADMSG. */
__attribute__((warn_unused_result)) int tag_parse(const char *body, size_t len, struct tag *out);

/* "STEP.ATTEMPT.SEQ": 0 or -EBADMSG. */
__attribute__((warn_unused_result)) int tag_number_parse(const char *text, size_t len,
							 struct tag_number *out);
/* A decimal number that fits 64 bits and nothing else: 0 or -EBADMSG. */
__attribute__((warn_unused_result)) int tag_u64_parse(const char *text, size_t len, uint64_t *out);
/* A UUID of any kind, in lower or upper case: 0 or -EBADMSG. */
__attribute__((warn_unused_result)) int tag_id_parse(const char *text, size_t len,
						     struct abaft_id *out);
void tag_id_text(const struct abaft_id *id, char text[ABAFT_ID_TEXT_BYTES]);

/* Escapes a key (I2), no NUL. Returns the length, or -ENOSPC. */
__attribute__((warn_unused_result)) ssize_t tag_escape(char *out, size_t out_bytes, const void *key,
						       size_t key_bytes);
/* And back: the number of bytes, or -EBADMSG (not escaped right, empty) or -ENOSPC. */
__attribute__((warn_unused_result)) ssize_t tag_unescape(void *out, size_t out_bytes,
							 const char *text, size_t len);

#endif
