/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dynamodb_answer.h - what DynamoDB answers, judged: JSON from the network into the results of a
 * part's items, or into one error. Pure; the driver (dynamodb.c) calls it on whole bodies.
 *
 * Nothing in an answer is believed beyond what it is asked about:
 *
 * A1. Each item in it must be one of the part's. An item that a BatchGetItem gives neither as found
 *     nor as unprocessed is not there; who leaves out the list itself breaks the protocol.
 * A2. Leaves come in the order of their bytes, each behind the one before. What is no leaf of ours
 *     (somebody else's item in the table) is passed over.
 * A3. Values, and so memory, are bounded by what was asked for before anything is parsed.
 * A4. The text of an error is repeated only if no signature or token can stand in it (D4).
 */
#ifndef ABAFT_ENGINE_DYNAMODB_ANSWER_H
#define ABAFT_ENGINE_DYNAMODB_ANSWER_H

#include "dataplane/engine/dynamodb_request.h"

/* What an answer to the part has room for. */
uint32_t dynamodb_answer_room(const struct dynamodb_part *part);

/* 0, or -EPROTO if `crc32`, the header's value, is neither "" nor the checksum of the body. */
int dynamodb_answer_check(const char *crc32, const uint8_t *body, size_t bytes, char *why)
	__attribute__((warn_unused_result));

/*
 * An answer with status 200. 0: each item of the part has its result: 0, -ENOENT (GET), -EBUSY (not
 * processed); of a LIST the leaves are in the list, and `part->start` is not "" when there are
 * further pages to ask for. -EPROTO, with `why`: nothing is known of any of them, the
 * caller sets the results.
 */
int dynamodb_answer_take(const struct dynamodb_table *table, struct dynamodb_part *part,
			 const uint8_t *body, size_t bytes, char *why)
	__attribute__((warn_unused_result));

/* An answer with another status: the error that the try ends in (driver.h D5), with `why`. */
int dynamodb_answer_error(const struct dynamodb_table *table, const struct dynamodb_part *part,
			  uint32_t status, const uint8_t *body, size_t bytes, char *why)
	__attribute__((warn_unused_result));

#endif
