/* SPDX-License-Identifier: Apache-2.0 */
/*
 * script.h - the little language of `abaft txn` and `abaft shell`: words, quotes, operations.
 *
 * One line, one command; words stand between blanks. '…' takes everything as it is, "…" knows
 * \n \t \r \0 \\ \" and \xHH, outside quotes a backslash takes the next character as it is.
 * A # where a word would begin starts a comment.
 *
 *	get KEY...
 *	put KEY VALUE [KEY VALUE]...	an unquoted @FILE is the file's bytes, @@TEXT is @TEXT
 *	del KEY...
 *	commit | abort
 */
#ifndef ABAFT_TOOLS_COMMAND_SCRIPT_H
#define ABAFT_TOOLS_COMMAND_SCRIPT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "tools/command/batch.h"

#define SCRIPT_WORDS_MAX      1024
#define SCRIPT_ERROR_BYTES    160
/* A value of 1 MiB written as \xHH. */
#define SCRIPT_LINE_BYTES_MAX (5u << 20)

struct script_word {
	char *text; /* within the line, NUL behind it; may hold NULs of its own */
	size_t bytes;
	bool quoted; /* any part of it: then @ and - have no meaning */
};

struct script_words {
	struct script_word word[SCRIPT_WORDS_MAX];
	unsigned int count;
};

/* Splits `line` (of `bytes`, writable, a NUL behind) in place. False: `error` says why. */
bool script_split(char *line, size_t bytes, struct script_words *out,
		  char error[SCRIPT_ERROR_BYTES]);
/* True if the words are an operation (get, put, del, commit, abort). */
bool script_is_operation(const struct script_words *words);
/* Adds the operations to the batch. False: `error` says why. */
bool script_operation(const struct script_words *words, struct batch *batch,
		      char error[SCRIPT_ERROR_BYTES]);
/* Reads a whole script; complains with `name` and the line's number on stderr. */
bool script_read(FILE *file, const char *name, struct batch *batch);

#endif
