/* SPDX-License-Identifier: Apache-2.0 */
/*
 * input.c - see input.h.
 */
#include "tools/report/input.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

int input_open(struct input *input, const char *folder, const char *name)
{
	memset(input, 0, sizeof(*input));
	if (asprintf(&input->path, "%s/%s", folder, name) < 0) {
		input->path = NULL;
		return -ENOMEM;
	}
	input->file = fopen(input->path, "re");
	return input->file ? 0 : -errno;
}

void input_close(struct input *input)
{
	if (input->file)
		fclose(input->file);
	free(input->text);
	free(input->path);
	memset(input, 0, sizeof(*input));
}

void input_complain(const struct input *input, const char *format, ...)
{
	va_list args;

	fprintf(stderr, "abaft report: %s:", input->path ? input->path : "input");
	if (input->line)
		fprintf(stderr, "%" PRIu64 ":", input->line);
	fputc(' ', stderr);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
}

/* Room for one more byte. */
static bool grow(struct input *input, size_t bytes_max)
{
	size_t room = input->room ? 2 * input->room : 4096;
	char *text;

	if (input->bytes < input->room)
		return true;
	if (input->bytes >= bytes_max) {
		input_complain(input, "is larger than %zu MiB: not one of ours", bytes_max >> 20);
		return false;
	}
	text = realloc(input->text, room);
	if (!text) {
		input_complain(input, "no memory to read it");
		return false;
	}
	input->text = text;
	input->room = room;
	return true;
}

/* Reads up to a byte, which is not kept, or the end. */
static int read_until(struct input *input, int end, size_t bytes_max)
{
	int c;

	input->bytes = 0;
	while ((c = getc_unlocked(input->file)) != EOF && c != end) {
		if (!grow(input, bytes_max))
			return -EFBIG;
		input->text[input->bytes++] = (char)c;
	}
	if (ferror(input->file)) {
		input_complain(input, "%s", strerror(errno));
		return -EIO;
	}
	input->cut = c == EOF;
	return 0;
}

int input_next(struct input *input)
{
	int err;

	input->line++;
	err = read_until(input, '\n', INPUT_LINE_BYTES_MAX);
	if (err)
		return err;
	return !input->cut || input->bytes > 0;
}

static cJSON *parse(struct input *input)
{
	const char *end = NULL;
	cJSON *root = NULL;

	if (input->bytes > 0)
		root = cJSON_ParseWithLengthOpts(input->text, input->bytes, &end, false);
	while (root && end < input->text + input->bytes && strchr(" \t\r\n", *end) && *end)
		end++;
	if (cJSON_IsObject(root) && end == input->text + input->bytes)
		return root;
	cJSON_Delete(root);
	return NULL;
}

cJSON *input_object(struct input *input)
{
	cJSON *root = parse(input);

	if (!root && !input->cut)
		input_complain(input, "is no JSON object");
	return root;
}

cJSON *input_whole(struct input *input, const char *folder, const char *name, size_t bytes_max)
{
	cJSON *root = NULL;
	int err = input_open(input, folder, name);

	if (err)
		input_complain(input, "%s%s", strerror(-err),
			       err == -ENOENT ? "; `abaft load --record` makes it, at its end"
					      : "");
	else if (!read_until(input, EOF, bytes_max) && !(root = parse(input)))
		input_complain(input,
			       input->bytes ? "is no JSON object, or cut short" : "is empty");
	return root;
}

bool input_sane(const cJSON *item)
{
	return cJSON_IsNumber(item) && item->valuedouble >= 0 &&
	       item->valuedouble <= INPUT_NUMBER_MAX; /* false for NAN, too */
}

bool input_number(const struct input *input, const cJSON *object, const char *name, double *out)
{
	const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, name);

	if (input_sane(item)) {
		*out = item->valuedouble;
		return true;
	}
	if (item)
		input_complain(input, "\"%s\" is no number from 0 to %g", name, INPUT_NUMBER_MAX);
	else
		input_complain(input, "lacks \"%s\"", name);
	return false;
}
