/* SPDX-License-Identifier: Apache-2.0 */
/*
 * line.h - lines from a person (edited, with history and completion) or from a pipe.
 */
#ifndef ABAFT_TOOLS_COMMAND_LINE_H
#define ABAFT_TOOLS_COMMAND_LINE_H

#include <stdbool.h>
#include <stddef.h>

struct line_reader;

/* `commands` (NULL-ended, must live on) complete the first word. NULL when out of memory. */
struct line_reader *line_open(const char *const *commands);
void line_close(struct line_reader *reader);
/* What stands before the cursor from the next line on. */
void line_prompt(struct line_reader *reader, const char *prompt);
/* The next line without its newline, writable, valid until the next call; NULL at the end. */
char *line_read(struct line_reader *reader, size_t *bytes);
/* True when a person types. */
bool line_interactive(const struct line_reader *reader);

#endif
