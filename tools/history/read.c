// SPDX-License-Identifier: Apache-2.0
/*
 * read.c - files of history into memory. Nothing in them is trusted: every refusal names the file
 * and the line. Those in EDN are told apart here and left to edn_read.c.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/history/read.h"

static int read_lines(struct check *check, FILE *file, const char *path, char *text)
{
	for (uint32_t number = 1;; number++) {
		const char *why = "";
		size_t len;
		int err;

		if (!fgets(text, HISTORY_LINE_BYTES_MAX + 1, file))
			return ferror(file) ? check_complain(check, path, number, -EIO, "") : 0;
		len = strlen(text); /* a NUL in a line cuts it, and is found out below */
		if (len == 0 || text[len - 1] != '\n') {
			if (feof(file)) { /* I2 of history.h */
				check->torn_lines++;
				return 0;
			}
			return check_complain(check, path, number, -EBADMSG,
					      "the line is too long, or holds a zero byte");
		}
		err = check_read_line(check, text, len - 1, number, &why);
		if (err)
			return check_complain(check, path, number, err, why);
	}
}

/* The rest of a file in EDN, all of it in memory while it is read. */
static int read_edn(struct check *check, FILE *file, const char *name)
{
	char *text = NULL;
	size_t len = 0, cap = 0, n;
	int err = 0;

	do {
		err = check_grow((void **)&text, &cap, len + (1u << 16), 1);
		n = err ? 0 : fread(text + len, 1, cap - len, file);
		len += n;
	} while (n);
	if (!err && ferror(file))
		err = -EIO;
	err = err ? check_complain(check, name, 0, err, "")
		  : check_read_edn(check, text, len, name);
	free(text);
	return err;
}

/* By its name, or by its first byte, which no line of ours begins with. */
static bool is_edn(FILE *file, const char *name)
{
	size_t len = strlen(name);
	int c = getc(file);

	ungetc(c, file);
	return (len > 4 && strcmp(name + len - 4, ".edn") == 0) ||
	       (c > 0 && strchr("{[(;", c) != NULL);
}

/* Reads and closes the file. */
static int read_file(struct check *check, FILE *file, const char *name)
{
	char *text = malloc(HISTORY_LINE_BYTES_MAX + 2);
	char *copy = strdup(name);
	int err;

	if (text && copy) {
		check->files[check->file_count++] = copy;
		err = is_edn(file, name) ? read_edn(check, file, name)
					 : read_lines(check, file, name, text);
	} else {
		free(copy);
		err = check_complain(check, name, 0, -ENOMEM, "");
	}
	free(text);
	fclose(file);
	return err;
}

static int open_file(struct check *check, const char *path, const char *name)
{
	FILE *file;
	int err;

	if (check->file_count == CHECK_FILES_MAX)
		return check_complain(check, name, 0, -E2BIG, "");
	file = fopen(path, "re");
	if (!file) {
		err = -errno;
		snprintf(check->error, sizeof(check->error), "%s: %s", name, strerror(-err));
		return err;
	}
	return read_file(check, file, name);
}

int check_read(struct check *check, const char *path)
{
	return open_file(check, path, path);
}

int check_read_fd(struct check *check, int fd, const char *name)
{
	char path[32];

	/* Opened anew, so that it has a position of its own. */
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return open_file(check, path, name);
}
