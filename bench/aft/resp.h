/* SPDX-License-Identifier: Apache-2.0 */
/*
 * resp.h - where a message of Redis' protocol (RESP2) ends, in a stream that comes in pieces.
 */
#ifndef ABAFT_BENCH_AFT_RESP_H
#define ABAFT_BENCH_AFT_RESP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#define RESP_DEPTH_MAX 8
#define RESP_LINE_MAX  64

/* Of one direction of a connection; zeroes to begin with. */
struct resp {
	int64_t left[RESP_DEPTH_MAX]; /* elements of each open array */
	uint32_t depth;
	int64_t skip;	     /* of a string */
	uint32_t line_bytes; /* of the line so far; only its beginning is kept */
	char line[RESP_LINE_MAX];
};

/* Between two messages. */
static inline bool resp_idle(const struct resp *resp)
{
	return resp->depth == 0 && resp->skip == 0 && resp->line_bytes == 0;
}

/* A line is over. True: that was a whole element. */
static inline bool resp_line(struct resp *resp)
{
	uint32_t last = resp->line_bytes < RESP_LINE_MAX ? resp->line_bytes : RESP_LINE_MAX - 1;
	char kind = resp->line[0];
	long long n;

	resp->line[last] = '\0';
	resp->line_bytes = 0;
	n = strtoll(resp->line + 1, NULL, 10);
	if (kind == '$' && n >= 0) {
		resp->skip = n + 2;
		return false;
	}
	if (kind == '*' && n > 0 && resp->depth < RESP_DEPTH_MAX) {
		resp->left[resp->depth++] = n;
		return false;
	}
	return true;
}

/* An element is whole; true: the message is. */
static inline bool resp_element(struct resp *resp)
{
	while (resp->depth > 0) {
		if (--resp->left[resp->depth - 1] > 0)
			return false;
		resp->depth--;
	}
	return true;
}

/* Takes bytes up to the end of a message, which sets *complete, or all. Returns how many. */
static inline size_t resp_take(struct resp *resp, const uint8_t *data, size_t bytes, bool *complete)
{
	size_t at = 0;

	*complete = false;
	while (at < bytes) {
		bool whole;

		if (resp->skip > 0) {
			size_t some = bytes - at;

			some = (int64_t)some < resp->skip ? some : (size_t)resp->skip;
			at += some;
			resp->skip -= (int64_t)some;
			whole = resp->skip == 0;
		} else {
			char c = (char)data[at++];

			if (resp->line_bytes < RESP_LINE_MAX)
				resp->line[resp->line_bytes] = c;
			resp->line_bytes++;
			whole = c == '\n' && resp_line(resp);
		}
		if (whole && resp_element(resp)) {
			*complete = true;
			return at;
		}
	}
	return at;
}

#endif
