/* SPDX-License-Identifier: Apache-2.0 */
/*
 * read.h - what the readers of files share: read_line.c takes a line, read.c files of lines, which
 * leaves those in EDN to edn_read.c.
 */
#ifndef ABAFT_TOOLS_HISTORY_READ_H
#define ABAFT_TOOLS_HISTORY_READ_H

#include <stdio.h>

#include "tools/history/model.h"

/* Adds a line in our own format (without its newline), which stands in the last of check->files at
 * line `number`. 0, -EBADMSG with *why set, -E2BIG or -ENOMEM. */
__attribute__((warn_unused_result)) int check_read_line(struct check *check, const char *text,
							size_t len, uint32_t number,
							const char **why);
/* Sets check->error, returns err. `why` is for -EBADMSG. */
int check_complain(struct check *check, const char *path, uint32_t line, int err, const char *why);

/* A text in EDN, in the last of check->files: 0, or a negative errno with check->error set. */
__attribute__((warn_unused_result)) int check_read_edn(struct check *check, const char *text,
						       size_t bytes, const char *name);

#endif
