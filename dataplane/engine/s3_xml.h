/* SPDX-License-Identifier: Apache-2.0 */
/*
 * s3_xml.h - what S3 answers in XML: errors, listings, what became of a batch of deletes. Pure, of
 * bytes that nobody vouches for: a document type, deep nesting and names or texts without end are
 * refused, and a document counts only when it is whole (an error also when it was cut behind its
 * code).
 */
#ifndef ABAFT_ENGINE_S3_XML_H
#define ABAFT_ENGINE_S3_XML_H

#include <stdbool.h>
#include <stdint.h>

#define S3_CODE_BYTES  64
/* A key of S3 has 1024 bytes at most. */
#define S3_KEY_BYTES   1025
#define S3_TOKEN_BYTES 1025

/* <Error>; of its code only letters and digits, so that it can be shown. "": there is none. */
struct s3_error {
	char code[S3_CODE_BYTES];
};

/* <ListBucketResult> */
struct s3_page {
	bool truncated;		    /* there are further keys */
	char token[S3_TOKEN_BYTES]; /* where they begin; "": not said, or too long to be kept */
	uint32_t keys;
};

/* A key of a listing, or one that could not be deleted, with why. False: that is enough, the
 * answer is not good (the document is refused). */
typedef bool s3_key_fn(void *arg, const char *key);
typedef bool s3_failed_fn(void *arg, const char *key, const struct s3_error *error);

/* 0, or -EPROTO when it is no error or has no code. */
int s3_error_parse(const void *from, uint32_t bytes, struct s3_error *out)
	__attribute__((warn_unused_result));
/*
 * 0, -EPROTO, -ENOMEM, or -EREMOTEIO: it is an error, which `error` has. Keys are decoded when the
 * listing says that they are encoded; one that cannot be is counted, not told. A key may be told
 * before the document turns out to be bad.
 */
int s3_page_parse(const void *from, uint32_t bytes, struct s3_page *out, struct s3_error *error,
		  s3_key_fn *key, void *arg) __attribute__((warn_unused_result));
/* <DeleteResult>: the same, for each key that failed. */
int s3_deleted_parse(const void *from, uint32_t bytes, struct s3_error *error, s3_failed_fn *failed,
		     void *arg) __attribute__((warn_unused_result));

#endif
