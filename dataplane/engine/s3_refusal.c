/* SPDX-License-Identifier: Apache-2.0 */
/*
 * s3_refusal.c - the table. Codes are those of "Error responses" in the manual of S3, and of the
 * servers that speak like it (Ceph: QuotaExceeded; MinIO: XMinioStorageFull, SlowDownWrite).
 *
 * A bucket that is not there is no -ENOENT, which would say that an object is not: who recovers
 * would believe that all is gone.
 */
#include "dataplane/engine/s3_refusal.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

#define SKEWED	  "this machine's clock and the storage's differ by too much; set the clock"
#define ELSEWHERE "the bucket is in another region; look at endpoint= and region="
#define TOO_MUCH  "the storage is asked too much"

static const struct s3_refusal codes[] = {
	{"NoSuchKey", "there is no such object", -ENOENT, 404},
	{"PreconditionFailed", "there is such an object already", -EEXIST, 412},
	{"ConditionalRequestConflict", "somebody else wrote it at the same time", -EBUSY},
	{"OperationAborted", "somebody else changed it at the same time", -EBUSY},

	{"NoSuchBucket", "there is no such bucket; create it, or look at the URL", -EACCES},
	{"AccessDenied",
	 "the access key lacks the right; it needs to get, put, delete and list objects", -EACCES},
	{"InvalidAccessKeyId", "the storage knows no such access key; look at access-key", -EACCES},
	{"SignatureDoesNotMatch", "the secret key is wrong; look at secret-key", -EACCES},
	{"RequestTimeTooSkewed", SKEWED, -EACCES},
	{"RequestExpired", SKEWED, -EACCES},
	{"ExpiredToken", "the session token has expired; get new credentials", -EACCES},
	{"InvalidToken", "the session token is wrong; look at session-token", -EACCES},
	{"AuthorizationHeaderMalformed",
	 "the region is another than the storage's; write region= in the URL", -EACCES},
	{"PermanentRedirect", ELSEWHERE, -EACCES},
	{"TemporaryRedirect", ELSEWHERE, -EACCES},

	{"SlowDown", TOO_MUCH, -EBUSY},
	{"SlowDownRead", TOO_MUCH, -EBUSY},
	{"SlowDownWrite", TOO_MUCH, -EBUSY},
	{"RequestLimitExceeded", TOO_MUCH, -EBUSY},
	{"TooManyRequests", TOO_MUCH, -EBUSY},
	{"ServiceUnavailable", "the storage cannot now", -EBUSY},
	{"InternalError", "something went wrong in the storage", -EBUSY},
	{"RequestTimeout", "what was sent did not come in time", -EBUSY},

	{"QuotaExceeded", "the storage's quota is used up; raise it", -ENOSPC},
	{"InsufficientStorage", "the storage is full", -ENOSPC},
	{"XMinioStorageFull", "the storage is full", -ENOSPC},
	{"EntityTooLarge", "the storage takes no object so large", -E2BIG},
};

/* For codes that are not above, or none. */
static const struct s3_refusal statuses[] = {
	{NULL, "the storage does not let us; look at the credentials", -EACCES, 401},
	{NULL, "the storage does not let us; look at the credentials and their rights", -EACCES,
	 403},
	{NULL, "what answers is no S3; look at endpoint=", -EPROTO, 404},
	{NULL, "there is such an object already", -EEXIST, 412},
	{NULL, "the storage takes no object so large", -E2BIG, 413},
	{NULL, "the storage is asked too much", -EBUSY, 429},
	{NULL, "something went wrong in the storage", -EBUSY, 500},
	{NULL, "the storage cannot do that; look at endpoint=", -EPROTO, 501},
	{NULL, "something before the storage does not reach it", -EBUSY, 502},
	{NULL, "the storage cannot now", -EBUSY, 503},
	{NULL, "something before the storage does not reach it", -EBUSY, 504},
	{NULL, "the storage is full", -ENOSPC, 507},
};

static const struct s3_refusal other = {NULL, "that is no answer of S3; look at endpoint=", -EPROTO,
					0};

#define COUNT(rows) (sizeof(rows) / sizeof((rows)[0]))

const struct s3_refusal *s3_refusal_find(uint32_t status, const char *code)
{
	for (size_t i = 0; i < COUNT(codes); i++)
		if (strcmp(codes[i].code, code) == 0 &&
		    (codes[i].status == 0 || codes[i].status == status))
			return &codes[i];
	for (size_t i = 0; i < COUNT(statuses); i++)
		if (statuses[i].status == status)
			return &statuses[i];
	return &other;
}
