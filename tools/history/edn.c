// SPDX-License-Identifier: Apache-2.0
/*
 * edn.c - takes forms off the front of a text; see edn.h.
 */
#include "tools/history/edn.h"

#include <errno.h>
#include <string.h>

static bool blank(char c)
{
	return c == ' ' || c == ',' || c == '\n' || c == '\t' || c == '\r' || c == '\f';
}

/* Ends an atom. */
static bool delimits(char c)
{
	return blank(c) || (c && strchr("()[]{}\";", c));
}

static int bad(const char **why, const char *text)
{
	*why = text;
	return -EBADMSG;
}

static void skip_blanks(struct edn *edn)
{
	for (; edn->at < edn->end; edn->at++) {
		if (*edn->at == '\n')
			edn->line++;
		if (blank(*edn->at))
			continue;
		if (*edn->at != ';')
			return;
		while (edn->at + 1 < edn->end && edn->at[1] != '\n')
			edn->at++;
	}
}

static size_t atom_bytes(const struct edn *edn)
{
	const char *at = edn->at + 1;

	if (*edn->at == '\\' && at < edn->end) /* a character, which may be a delimiter */
		at++;
	while (at < edn->end && !delimits(*at))
		at++;
	return (size_t)(at - edn->at);
}

static enum edn_kind atom_kind(const char *text, size_t len)
{
	size_t digits = len && (*text == '-' || *text == '+') ? 1 : 0;

	if (*text == ':')
		return EDN_KEYWORD;
	if (len == 3 && memcmp(text, "nil", 3) == 0)
		return EDN_NIL;
	if (digits == len)
		return EDN_ATOM;
	for (size_t i = digits; i < len; i++)
		if (text[i] < '0' || text[i] > '9')
			return EDN_ATOM;
	return EDN_NUMBER;
}

static int take_string(struct edn *edn, struct edn_form *form, const char **why)
{
	const char *at = edn->at + 1;

	form->kind = EDN_STRING;
	form->text = at;
	for (; at < edn->end && *at != '"'; at++) {
		if (*at == '\n')
			edn->line++;
		if (*at == '\\' && ++at == edn->end)
			break;
	}
	if (at >= edn->end)
		return bad(why, "a string has no end");
	form->len = (size_t)(at - form->text);
	edn->at = at + 1;
	return 0;
}

/* What closes an opening bracket, or 0. */
static char closing(char open)
{
	return open == '(' ? ')' : open == '[' ? ']' : open == '{' ? '}' : '\0';
}

/* From an opening bracket behind its closing one. */
static int take_brackets(struct edn *edn, struct edn_form *form, const char **why)
{
	char stack[EDN_DEPTH_MAX];
	uint32_t depth = 0;
	struct edn_form string;

	form->kind = *edn->at == '{' ? EDN_MAP : EDN_LIST;
	form->text = edn->at + 1;
	do {
		char c;

		skip_blanks(edn);
		if (edn->at == edn->end)
			return bad(why, "a bracket is not closed");
		c = *edn->at;
		if (closing(c)) {
			if (depth == EDN_DEPTH_MAX)
				return bad(why, "brackets nest too deeply");
			stack[depth++] = closing(c);
			edn->at++;
		} else if (c == ')' || c == ']' || c == '}') {
			if (c != stack[--depth])
				return bad(why, "a bracket is closed by another kind");
			edn->at++;
		} else if (c == '"') {
			if (take_string(edn, &string, why))
				return -EBADMSG;
		} else if (c == '#' && edn->end - edn->at > 1 && edn->at[1] == '_') {
			edn->at += 2; /* what follows may be a string */
		} else {
			edn->at += atom_bytes(edn);
		}
	} while (depth);
	form->len = (size_t)(edn->at - 1 - form->text);
	return 0;
}

/* One form, tags and discards not yet understood. */
static int take_form(struct edn *edn, struct edn_form *form, const char **why)
{
	int err = 0;

	form->all = edn->at;
	form->line = edn->line;
	if (closing(*edn->at)) {
		err = take_brackets(edn, form, why);
	} else if (*edn->at == '"') {
		err = take_string(edn, form, why);
	} else {
		form->text = edn->at;
		form->len = atom_bytes(edn);
		form->kind = atom_kind(form->text, form->len);
		edn->at += form->len;
		if (form->kind == EDN_KEYWORD) {
			form->text++;
			form->len--;
		}
	}
	form->all_len = (size_t)(edn->at - form->all);
	return err;
}

int edn_next(struct edn *edn, struct edn_form *form, const char **why)
{
	uint64_t discards = 0;

	memset(form, 0, sizeof(*form));
	for (;;) {
		char next;

		skip_blanks(edn);
		form->line = edn->line;
		form->kind = EDN_NONE;
		if (edn->at == edn->end)
			return discards ? bad(why, "nothing follows a #_") : 0;
		if (*edn->at == ')' || *edn->at == ']' || *edn->at == '}')
			return bad(why, "a bracket is closed that was not opened");
		next = edn->end - edn->at > 1 ? edn->at[1] : '\0';
		if (*edn->at == '#' && next == '_') {
			discards++;
			edn->at += 2;
			continue;
		}
		if (*edn->at == '#' && next == '{') { /* a set */
			edn->at++;
		} else if (*edn->at == '#' && next != '#') { /* a tag; ## begins an atom */
			edn->at += atom_bytes(edn);
			continue;
		}
		if (take_form(edn, form, why))
			return -EBADMSG;
		if (discards == 0)
			return 0;
		discards--;
	}
}

struct edn edn_inside(const struct edn_form *form)
{
	const char *text = form->text ? form->text : ""; /* a form that is not there has none */

	return (struct edn){text, text + form->len, form->line};
}

bool edn_is(const struct edn_form *form, enum edn_kind kind, const char *text)
{
	return form->kind == kind && form->len == strlen(text) &&
	       memcmp(form->text, text, form->len) == 0;
}
