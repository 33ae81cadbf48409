/* SPDX-License-Identifier: Apache-2.0 */
/*
 * s3_refusal.h - what an answer of S3 that is no success means: a try's end (driver.h, D5), and
 * what to do about it.
 */
#ifndef ABAFT_ENGINE_S3_REFUSAL_H
#define ABAFT_ENGINE_S3_REFUSAL_H

#include <stdint.h>

struct s3_refusal {
	const char *code;   /* S3's, or NULL: known by its status alone */
	const char *advice; /* what happened and what to do, the end of a sentence */
	int err;	    /* negative */
	uint32_t status;    /* of the answer; with a code 0: any */
};

/* `code` "": the answer had none. Always something. */
const struct s3_refusal *s3_refusal_find(uint32_t status, const char *code);

#endif
