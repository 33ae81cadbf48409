/* SPDX-License-Identifier: Apache-2.0 */
/*
 * input.h - files that others may have made, read within bounds. What is wrong is said on stderr.
 */
#ifndef ABAFT_TOOLS_REPORT_INPUT_H
#define ABAFT_TOOLS_REPORT_INPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cJSON.h>

#define INPUT_LINE_BYTES_MAX (16u << 20)
/* No number that makes sense is larger: 31 years of nanoseconds. */
#define INPUT_NUMBER_MAX     1e18

/* A file being read by lines. */
struct input {
	char *path;
	FILE *file;
	char *text; /* the line, without its end */
	size_t bytes, room;
	uint64_t line; /* its number; 0: the file as a whole */
	bool cut;      /* the file ended before the line did */
};

/* Opens FOLDER/NAME. 0 or a negative errno, about which nothing was said. Then, too:
 * input_close(). */
int input_open(struct input *input, const char *folder, const char *name);
void input_close(struct input *input);
/* 1: there is a line; 0: no more; or a negative errno, after a complaint. */
int input_next(struct input *input);
/* The line as a JSON object, or NULL; then, unless it was cut, after a complaint. The caller's. */
cJSON *input_object(struct input *input);
/* Opens FOLDER/NAME and reads all of it, at most bytes_max: a JSON object, or NULL after a
 * complaint. The caller's; input_close() in any case. */
cJSON *input_whole(struct input *input, const char *folder, const char *name, size_t bytes_max);

/* Complains: where (file and line), then what. */
__attribute__((format(printf, 2, 3))) void input_complain(const struct input *input,
							  const char *format, ...);
/* Whether a number is one, and from 0 to INPUT_NUMBER_MAX. */
bool input_sane(const cJSON *item);
/* The number of that name. False, after a complaint: it is not there, or not sane. */
bool input_number(const struct input *input, const cJSON *object, const char *name, double *out);

#endif
