/* SPDX-License-Identifier: Apache-2.0 */
/*
 * line.c - lines from a person (edited, with history and completion) or from a pipe.
 */
#include <histedit.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tools/command/line.h"

#define HISTORY_LINES 1000
#define PROMPT_BYTES  64

struct line_reader {
	const char *const *commands;
	char prompt[PROMPT_BYTES];
	EditLine *edit; /* NULL: a pipe */
	History *history;
	char history_path[512]; /* "": nowhere */
	char *line;
	size_t room;
};

static char *prompt_of(EditLine *edit)
{
	struct line_reader *reader = NULL;

	el_get(edit, EL_CLIENTDATA, &reader);
	return reader->prompt;
}

static unsigned char complete(EditLine *edit, int key)
{
	struct line_reader *reader = NULL;
	const LineInfo *info = el_line(edit);
	size_t typed = (size_t)(info->cursor - info->buffer);
	const char *found = NULL;
	int matches = 0;

	el_get(edit, EL_CLIENTDATA, &reader);
	for (const char *const *command = reader->commands; *command; command++) {
		if (strncmp(*command, info->buffer, typed))
			continue;
		matches++;
		found = *command;
	}
	if (matches == 1) {
		if (el_insertstr(edit, found + typed) || el_insertstr(edit, " "))
			return CC_REFRESH_BEEP;
		return CC_REFRESH;
	}
	if (!matches)
		return CC_REFRESH_BEEP;
	putchar('\n');
	for (const char *const *command = reader->commands; *command; command++)
		if (!strncmp(*command, info->buffer, typed))
			printf("%s  ", *command);
	putchar('\n');
	return CC_REDISPLAY;
}

static bool edit_open(struct line_reader *reader)
{
	const char *home = getenv("HOME");
	HistEvent event;

	reader->edit = el_init("abaft", stdin, stdout, stderr);
	reader->history = history_init();
	if (!reader->edit || !reader->history)
		return false;
	if (home && *home)
		snprintf(reader->history_path, sizeof(reader->history_path), "%s/.abaft_history",
			 home);
	history(reader->history, &event, H_SETSIZE, HISTORY_LINES);
	history(reader->history, &event, H_SETUNIQUE, 1);
	if (*reader->history_path)
		history(reader->history, &event, H_LOAD, reader->history_path);
	el_set(reader->edit, EL_CLIENTDATA, reader);
	el_set(reader->edit, EL_PROMPT, prompt_of);
	el_set(reader->edit, EL_EDITOR, "emacs");
	el_set(reader->edit, EL_SIGNAL, 1);
	el_set(reader->edit, EL_HIST, history, reader->history);
	/* The wide form keeps these texts; the narrow one copies them and loses the copies. */
	el_wset(reader->edit, EL_ADDFN, L"complete", L"completes a command", complete);
	el_set(reader->edit, EL_BIND, "^I", "complete", NULL);
	return true;
}

struct line_reader *line_open(const char *const *commands)
{
	struct line_reader *reader = calloc(1, sizeof(*reader));

	if (!reader)
		return NULL;
	reader->commands = commands;
	if (isatty(STDIN_FILENO) && isatty(STDOUT_FILENO) && !edit_open(reader)) {
		line_close(reader);
		return NULL;
	}
	return reader;
}

void line_close(struct line_reader *reader)
{
	HistEvent event;

	if (!reader)
		return;
	if (reader->history) {
		if (*reader->history_path)
			history(reader->history, &event, H_SAVE, reader->history_path);
		history_end(reader->history);
	}
	if (reader->edit)
		el_end(reader->edit);
	free(reader->line);
	free(reader);
}

void line_prompt(struct line_reader *reader, const char *prompt)
{
	snprintf(reader->prompt, sizeof(reader->prompt), "%s", prompt);
}

bool line_interactive(const struct line_reader *reader)
{
	return reader->edit;
}

/* A copy, because the history keeps the line as it was typed. */
static char *edit_read(struct line_reader *reader, size_t *bytes)
{
	HistEvent event;
	int count = 0;
	const char *line = el_gets(reader->edit, &count);

	if (!line || count <= 0)
		return NULL;
	if (line[strspn(line, " \t\n")])
		history(reader->history, &event, H_ENTER, line);
	free(reader->line);
	reader->line = strdup(line);
	*bytes = reader->line ? strlen(reader->line) : 0;
	return reader->line;
}

char *line_read(struct line_reader *reader, size_t *bytes)
{
	char *line = reader->line;
	ssize_t count;

	if (reader->edit) {
		line = edit_read(reader, bytes);
	} else {
		count = getline(&reader->line, &reader->room, stdin);
		line = count < 0 ? NULL : reader->line;
		*bytes = count < 0 ? 0 : (size_t)count;
	}
	if (line && *bytes && line[*bytes - 1] == '\n')
		line[--*bytes] = '\0';
	return line;
}
