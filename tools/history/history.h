/* SPDX-License-Identifier: Apache-2.0 */
/*
 * history.h - what transactions did and saw, one line each: written by `abaft load`, `abaft demo`
 * and anything else that talks to a store, read by `abaft check`. docs/history.md tells it to
 * writers in other languages.
 *
 *	T ID CLIENT PART ATTEMPT START END OUTCOME VERSION OP OP ...
 *	F OP
 *	# anything
 *
 * T: one attempt of a transaction that ended, well or not. Fields are separated by one space.
 * ID       the transaction, a UUID; attempts of one request share it
 * CLIENT   who ran it: 1 to 64 characters without a space
 * PART     "all": this line is the whole transaction; a number: only this step (function) of it,
 *          the others have their own lines
 * ATTEMPT  which run of the request (or of the step) this was
 * START    microseconds since 1970 before its first operation was sent
 * END      and after its last answer
 * OUTCOME  committed: acknowledged
 *          repeated:  acknowledged, but an earlier attempt is the one that took effect
 *          aborted:   acknowledged as aborted
 *          failed:    its commit was never asked for, or refused: it must not be visible
 *          unknown:   its commit was asked for and not answered: it may be visible or not
 *          open:      a step that ended well; a later step commits
 * VERSION  the commit's, as TIME.ORIGIN, or "-" if there is none or it is not known
 * OP       in the order they were made:
 *          r,KEY,VERSION,SEEN   SEEN: the body of the tag found in the value (tag.h), "-" if there
 *                               was no value, "?" if the value had no tag
 *          w,KEY,NUMBER,TIME    NUMBER and TIME as in the tag that was written
 *          d,KEY,NUMBER,TIME    deleted
 * F: one key of the final state, read when nothing was running any more (an r operation).
 *
 * Invariants:
 * I1. A line is written by one write() to a file opened with O_APPEND: processes may share a file.
 * I2. Only the last line of a file can be cut short (its writer was killed); it has no newline.
 * I3. No line is longer than HISTORY_LINE_BYTES_MAX.
 */
#ifndef ABAFT_TOOLS_HISTORY_HISTORY_H
#define ABAFT_TOOLS_HISTORY_HISTORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <abaft/abaft.h>

#include "tools/history/tag.h"

#define HISTORY_LINE_BYTES_MAX	 (4u << 20)
#define HISTORY_CLIENT_BYTES_MAX 64

enum history_outcome {
	HISTORY_COMMITTED,
	HISTORY_REPEATED,
	HISTORY_ABORTED,
	HISTORY_FAILED,
	HISTORY_UNKNOWN,
	HISTORY_OPEN,
	HISTORY_OUTCOMES,
};

enum history_seen { HISTORY_SEEN_NONE, HISTORY_SEEN_UNTAGGED, HISTORY_SEEN_TAGGED };

/* Texts point into the parsed line. */
struct history_op {
	char kind;	 /* 'r', 'w' or 'd' */
	const char *key; /* escaped */
	size_t key_len;
	struct abaft_version version; /* r: of the value; 0 = none */
	enum history_seen seen;	      /* r */
	struct tag tag;		      /* r, when tagged */
	struct tag_number number;     /* w, d */
	uint64_t time_us;	      /* w, d */
};

struct history_line {
	char kind; /* 'T', 'F', or '#' for what means nothing */
	struct abaft_id id;
	const char *client;
	size_t client_len;
	bool whole;
	uint16_t step; /* if not whole */
	uint16_t attempt;
	uint64_t start_us, end_us;
	enum history_outcome outcome;
	struct abaft_version version;
	const char *ops; /* what history_next() has not parsed yet */
	size_t ops_len;
};

const char *history_outcome_name(enum history_outcome outcome);

/* Parses a line (without its newline) up to its operations. 0, or -EBADMSG with *why set to a
 * static text. */
__attribute__((warn_unused_result)) int history_parse(const char *text, size_t len,
						      struct history_line *out, const char **why);
/* Parses the next operation: 1, 0 at the end, or -EBADMSG with *why set. */
__attribute__((warn_unused_result)) int history_next(struct history_line *line,
						     struct history_op *op, const char **why);

/* Writes histories as EDN (edn_write.c): 0, or a negative errno with `error` set. Last lines that
 * were cut short are left out. */
__attribute__((warn_unused_result)) int history_to_edn(const char *const paths[], size_t count,
						       FILE *out, char error[256]);

/*
 * Writing. One writer per thread; several writers, also of several processes, may share a file.
 * A line is begun, gets its operations and is ended; a line that grew too long is refused at its
 * end with -EMSGSIZE and nothing is written.
 */
struct history_writer;

/* Appends to `path`, or makes it. 0 or a negative errno. Close with history_close(). */
__attribute__((warn_unused_result)) int history_open(struct history_writer **out, const char *path);
/* Writes to `fd`, from its position on; it stays the caller's (a memfd for a history in memory).
 * 0 or -ENOMEM. */
__attribute__((warn_unused_result)) int history_open_fd(struct history_writer **out, int fd);
void history_close(struct history_writer *writer);

/* `id` .. `attempt` of a line; outcome, times and version are given when it ends. */
struct history_head {
	struct abaft_id id;
	const char *client;
	bool whole;
	uint16_t step;
	uint16_t attempt;
	uint64_t start_us, end_us;
	enum history_outcome outcome;
	struct abaft_version version;
};

/* Starts a T line. */
void history_begin(struct history_writer *writer, const struct history_head *head);
/* Starts an F line; give it one history_read() and end it. */
void history_begin_final(struct history_writer *writer);
/* A read that found `value_bytes` bytes (value NULL: nothing). The tag is taken from the value. */
void history_read(struct history_writer *writer, const void *key, size_t key_bytes,
		  struct abaft_version version, const char *value, size_t value_bytes);
void history_write(struct history_writer *writer, const void *key, size_t key_bytes,
		   struct tag_number number, uint64_t time_us);
void history_delete(struct history_writer *writer, const void *key, size_t key_bytes,
		    struct tag_number number, uint64_t time_us);
/* Writes the line. 0, -EMSGSIZE or a negative errno of write(). */
__attribute__((warn_unused_result)) int history_finish(struct history_writer *writer);

#endif
