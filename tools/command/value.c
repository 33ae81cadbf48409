/* SPDX-License-Identifier: Apache-2.0 */
/*
 * value.c - keys and values as bytes: read from operands, written as text or JSON.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/command/value.h"

/* A little more than a value may have, so that one over the limit is told from one at it. */
#define READ_BYTES_MAX (ABAFT_VALUE_BYTES_MAX + 1)

void value_free(struct value *value)
{
	free(value->data);
	*value = (struct value){0};
}

bool value_copy(struct value *out, const void *data, size_t bytes)
{
	out->data = malloc(bytes + 1);
	if (!out->data) {
		fprintf(stderr, "abaft: out of memory for %zu bytes\n", bytes);
		return false;
	}
	memcpy(out->data, data, bytes);
	out->data[bytes] = '\0';
	out->bytes = bytes;
	return true;
}

static bool value_read(struct value *out, FILE *file, const char *name)
{
	out->data = malloc(READ_BYTES_MAX + 1);
	if (!out->data) {
		fprintf(stderr, "abaft: out of memory for the value in %s\n", name);
		return false;
	}
	out->bytes = fread(out->data, 1, READ_BYTES_MAX, file);
	out->data[out->bytes] = '\0';
	if (ferror(file))
		fprintf(stderr, "abaft: reading the value from %s: %s\n", name, strerror(errno));
	else if (out->bytes > ABAFT_VALUE_BYTES_MAX)
		fprintf(stderr, "abaft: the value in %s is over the limit of %u bytes; split it\n",
			name, ABAFT_VALUE_BYTES_MAX);
	else
		return true;
	value_free(out);
	return false;
}

bool value_operand(struct value *out, const char *operand)
{
	FILE *file;
	bool ok;

	*out = (struct value){0};
	if (!strcmp(operand, "-"))
		return value_read(out, stdin, "standard input");
	if (operand[0] == '@' && operand[1] == '@')
		return value_copy(out, operand + 1, strlen(operand + 1));
	if (operand[0] != '@')
		return value_copy(out, operand, strlen(operand));
	file = fopen(operand + 1, "rb");
	if (!file) {
		fprintf(stderr,
			"abaft: opening the value '%s': %s (write @@ for a text that begins with "
			"@)\n",
			operand + 1, strerror(errno));
		return false;
	}
	ok = value_read(out, file, operand + 1);
	fclose(file);
	return ok;
}

/* Length of the UTF-8 sequence at `s`, 0 if there is none: RFC 3629, no control but tab, newline.
 */
static size_t utf8_length(const unsigned char *s, size_t left)
{
	static const struct {
		unsigned char first_min, first_max, second_min, second_max;
		size_t length;
	} forms[] = {
		{0xc2, 0xdf, 0x80, 0xbf, 2}, {0xe0, 0xe0, 0xa0, 0xbf, 3},
		{0xe1, 0xec, 0x80, 0xbf, 3}, {0xed, 0xed, 0x80, 0x9f, 3},
		{0xee, 0xef, 0x80, 0xbf, 3}, {0xf0, 0xf0, 0x90, 0xbf, 4},
		{0xf1, 0xf3, 0x80, 0xbf, 4}, {0xf4, 0xf4, 0x80, 0x8f, 4},
	};

	if (s[0] < 0x80)
		return s[0] >= 0x20 || s[0] == '\n' || s[0] == '\t' || s[0] == '\r';
	for (size_t f = 0; f < sizeof(forms) / sizeof(forms[0]); f++) {
		size_t i = 2;

		if (s[0] < forms[f].first_min || s[0] > forms[f].first_max)
			continue;
		if (left < forms[f].length || s[1] < forms[f].second_min ||
		    s[1] > forms[f].second_max)
			return 0;
		while (i < forms[f].length && (s[i] & 0xc0) == 0x80)
			i++;
		return i == forms[f].length ? i : 0;
	}
	return 0;
}

static bool is_text(const unsigned char *data, size_t bytes)
{
	size_t at = 0;

	while (at < bytes) {
		size_t length = utf8_length(data + at, bytes - at);

		if (!length)
			return false;
		at += length;
	}
	return true;
}

void value_json(cJSON *object, const char *name, const void *data, size_t bytes)
{
	char hex_name[32];
	struct value text;

	if (is_text(data, bytes)) {
		if (!value_copy(&text, data, bytes))
			return;
		cJSON_AddStringToObject(object, name, text.data);
		value_free(&text);
		return;
	}
	text.data = malloc(2 * bytes + 1);
	if (!text.data)
		return;
	for (size_t i = 0; i < bytes; i++)
		snprintf(text.data + 2 * i, 3, "%02x", ((const unsigned char *)data)[i]);
	snprintf(hex_name, sizeof(hex_name), "%s_hex", name);
	cJSON_AddStringToObject(object, hex_name, text.data);
	free(text.data);
}

void value_version(const struct abaft_version *version, char text[VALUE_VERSION_BYTES])
{
	if (!version->time)
		snprintf(text, VALUE_VERSION_BYTES, "-");
	else
		snprintf(text, VALUE_VERSION_BYTES, "%" PRIu64 ".%" PRIu64 "@%" PRIu32,
			 version->time >> 12, version->time & 0xfff, version->origin);
}

void value_print_json(cJSON *json)
{
	char *text = json ? cJSON_Print(json) : NULL;

	if (text)
		puts(text);
	else
		fputs("abaft: out of memory for the JSON output\n", stderr);
	cJSON_free(text);
	cJSON_Delete(json);
}
