/* SPDX-License-Identifier: Apache-2.0 */
/*
 * edn.h - a cursor over text in EDN (the data notation of Clojure, in which Jepsen keeps
 * histories).
 *
 * Debian has no C library for it, and little of it is needed: forms one after the other, each an
 * atom or something in brackets. Tags (#jepsen.history.Op{...}) are left out and what they stand
 * before is taken; comments and discarded forms (#_) are skipped. Atoms are not evaluated.
 *
 * I1. No byte at or behind `end` is read. Nothing is copied, allocated, or recursed into.
 * I2. Brackets nest at most EDN_DEPTH_MAX deep.
 */
#ifndef ABAFT_TOOLS_HISTORY_EDN_H
#define ABAFT_TOOLS_HISTORY_EDN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define EDN_DEPTH_MAX 64

struct edn {
	const char *at, *end;
	uint32_t line; /* of `at`, from 1 */
};

enum edn_kind {
	EDN_NONE,    /* the end of the text, or of the brackets the cursor is in */
	EDN_MAP,     /* {} or #{} */
	EDN_LIST,    /* [] or () */
	EDN_KEYWORD, /* text: without the colon */
	EDN_STRING,  /* text: between the quotes, escapes as they stand */
	EDN_NUMBER,  /* an integer */
	EDN_NIL,
	EDN_ATOM, /* anything else */
};

struct edn_form {
	enum edn_kind kind;
	const char *text; /* of an atom, see above; of brackets, what is between them */
	size_t len;
	const char *all; /* the whole form as it stands */
	size_t all_len;
	uint32_t line;
};

/* Takes the next form. 0 (kind NONE: there is none), or -EBADMSG with *why set to a static text and
 * edn->line to where. */
__attribute__((warn_unused_result)) int edn_next(struct edn *edn, struct edn_form *form,
						 const char **why);
/* A cursor over what is between a form's brackets. */
struct edn edn_inside(const struct edn_form *form);
bool edn_is(const struct edn_form *form, enum edn_kind kind, const char *text);

#endif
