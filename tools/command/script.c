/* SPDX-License-Identifier: Apache-2.0 */
/*
 * script.c - the little language of `abaft txn` and `abaft shell`: words, quotes, operations.
 */
#include <stdlib.h>
#include <string.h>

#include "tools/command/hex.h"
#include "tools/command/script.h"

/* Reads from `in`, writes to `out`, which never overtakes it: a word only gets shorter. */
struct splitter {
	const char *in, *end;
	char *out;
	char *error;
};

static bool complain(struct splitter *s, const char *text)
{
	snprintf(s->error, SCRIPT_ERROR_BYTES, "%s", text);
	return false;
}

/* Behind a backslash within "…". */
static bool split_escape(struct splitter *s)
{
	static const char names[] = "ntr0\\\"";
	static const char bytes[] = "\n\t\r\0\\\"";
	const char *name;

	if (s->in == s->end)
		return complain(s, "a \" without its end");
	if (*s->in == 'x') {
		int high = s->in + 1 < s->end ? hex_digit(s->in[1]) : -1;
		int low = high >= 0 && s->in + 2 < s->end ? hex_digit(s->in[2]) : -1;

		if (low < 0)
			return complain(s, "\\x needs two hexadecimal digits");
		*s->out++ = (char)(high << 4 | low);
		s->in += 3;
		return true;
	}
	name = memchr(names, *s->in, sizeof(names) - 1);
	if (!name)
		return complain(s,
				"within \"…\" there are \\n \\t \\r \\0 \\\\ \\\" and \\xHH only");
	*s->out++ = bytes[name - names];
	s->in++;
	return true;
}

static bool split_quoted(struct splitter *s, char quote)
{
	while (s->in < s->end && *s->in != quote) {
		if (quote == '"' && *s->in == '\\') {
			s->in++;
			if (!split_escape(s))
				return false;
			continue;
		}
		*s->out++ = *s->in++;
	}
	if (s->in == s->end)
		return complain(s, quote == '"' ? "a \" without its end" : "a ' without its end");
	s->in++;
	return true;
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static bool split_word(struct splitter *s, struct script_word *word)
{
	word->text = s->out;
	word->quoted = false;
	while (s->in < s->end && !is_blank(*s->in)) {
		char c = *s->in++;

		if (c == '\'' || c == '"') {
			word->quoted = true;
			if (!split_quoted(s, c))
				return false;
			continue;
		}
		if (c == '\\') {
			if (s->in == s->end)
				return complain(s, "a \\ at the end of the line");
			word->quoted = true;
			c = *s->in++;
		}
		*s->out++ = c;
	}
	word->bytes = (size_t)(s->out - word->text);
	return true;
}

bool script_split(char *line, size_t bytes, struct script_words *out,
		  char error[SCRIPT_ERROR_BYTES])
{
	struct splitter s = {.in = line, .end = line + bytes, .out = line, .error = error};

	out->count = 0;
	for (;;) {
		while (s.in < s.end && is_blank(*s.in))
			s.in++;
		if (s.in == s.end || *s.in == '#')
			return true;
		if (out->count == SCRIPT_WORDS_MAX)
			return complain(&s, "too many words on one line");
		if (!split_word(&s, &out->word[out->count]))
			return false;
		/* The blank behind the word is read already, so its place is free. */
		if (s.in < s.end)
			s.in++;
		*s.out++ = '\0';
		out->count++;
	}
}

static const struct {
	const char *name;
	enum batch_verb verb;
	unsigned int group; /* operands come in groups of so many; 0: none */
} operations[] = {
	{"get", BATCH_GET, 1},	     {"put", BATCH_PUT, 2},	{"del", BATCH_DEL, 1},
	{"commit", BATCH_COMMIT, 0}, {"abort", BATCH_ABORT, 0},
};

static int operation_of(const struct script_words *words)
{
	for (size_t i = 0; words->count && i < sizeof(operations) / sizeof(operations[0]); i++)
		if (!strcmp(words->word[0].text, operations[i].name))
			return (int)i;
	return -1;
}

bool script_is_operation(const struct script_words *words)
{
	return operation_of(words) >= 0;
}

static bool add_group(const struct script_word *word, enum batch_verb verb, struct batch *batch)
{
	struct value key = {0}, value = {0};

	if (!value_copy(&key, word[0].text, word[0].bytes))
		return false;
	if (verb == BATCH_PUT) {
		bool ok = !word[1].quoted && word[1].text[0] == '@'
				  ? value_operand(&value, word[1].text)
				  : value_copy(&value, word[1].text, word[1].bytes);

		if (!ok) {
			value_free(&key);
			return false;
		}
	}
	return batch_add(batch, verb, &key, &value);
}

bool script_operation(const struct script_words *words, struct batch *batch,
		      char error[SCRIPT_ERROR_BYTES])
{
	int i = operation_of(words);
	unsigned int group, operands = words->count - 1;

	if (i < 0) {
		snprintf(error, SCRIPT_ERROR_BYTES,
			 "'%.40s' is no operation; there are get, put, del, commit and abort",
			 words->word[0].text);
		return false;
	}
	group = operations[i].group;
	if (!group && operands) {
		snprintf(error, SCRIPT_ERROR_BYTES, "%s stands alone", operations[i].name);
		return false;
	}
	if (group && (!operands || operands % group)) {
		snprintf(error, SCRIPT_ERROR_BYTES, "%s needs %s, quoted where they hold blanks",
			 operations[i].name, group == 1 ? "KEY..." : "KEY VALUE pairs");
		return false;
	}
	error[0] = '\0';
	if (!group)
		return batch_add(batch, operations[i].verb, NULL, NULL);
	for (unsigned int w = 1; w < words->count; w += group)
		if (!add_group(&words->word[w], operations[i].verb, batch))
			return false;
	return true;
}

static bool read_line(char *line, size_t bytes, struct script_words *words, struct batch *batch,
		      char error[SCRIPT_ERROR_BYTES])
{
	if (bytes > SCRIPT_LINE_BYTES_MAX) {
		snprintf(error, SCRIPT_ERROR_BYTES, "the line is over %u bytes; use put KEY @FILE",
			 SCRIPT_LINE_BYTES_MAX);
		return false;
	}
	if (!script_split(line, bytes, words, error))
		return false;
	if (!words->count)
		return true;
	if (batch_end_op(batch)) {
		snprintf(error, SCRIPT_ERROR_BYTES,
			 "a script is one transaction: nothing can follow its commit or abort");
		return false;
	}
	return script_operation(words, batch, error);
}

bool script_read(FILE *file, const char *name, struct batch *batch)
{
	struct script_words *words = malloc(sizeof(*words));
	char error[SCRIPT_ERROR_BYTES] = "out of memory";
	unsigned long number = 0;
	char *line = NULL;
	size_t room = 0;
	ssize_t bytes;
	bool ok = words;

	while (ok && (bytes = getline(&line, &room, file)) >= 0) {
		number++;
		ok = read_line(line, (size_t)bytes, words, batch, error);
	}
	if (ok && ferror(file)) {
		fprintf(stderr, "abaft: reading %s: %m\n", name);
		ok = false;
	} else if (!ok) {
		fprintf(stderr, "abaft: %s:%lu: %s\n", name, number,
			error[0] ? error : "see above; nothing was sent");
	}
	free(line);
	free(words);
	return ok;
}
