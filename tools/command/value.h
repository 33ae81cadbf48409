/* SPDX-License-Identifier: Apache-2.0 */
/*
 * value.h - keys and values as bytes: read from operands, written as text or JSON.
 */
#ifndef ABAFT_TOOLS_COMMAND_VALUE_H
#define ABAFT_TOOLS_COMMAND_VALUE_H

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>

#include <abaft/abaft.h>

/* Owned by whoever filled it; value_free() releases it. */
struct value {
	char *data;
	size_t bytes;
};

#define VALUE_VERSION_BYTES 64

/* Copies. False, with a complaint on stderr, when out of memory. */
bool value_copy(struct value *out, const void *data, size_t bytes);
/* A value operand: `-` is stdin, `@FILE` a file's bytes, `@@TEXT` the text `@TEXT`, anything else
 * itself. False, with a complaint on stderr, when it can not be read or is too large. */
bool value_operand(struct value *out, const char *operand);
void value_free(struct value *value);

/* Adds `NAME: "text"`, or `NAME_hex: "…"` when the bytes are no UTF-8 text. */
void value_json(cJSON *object, const char *name, const void *data, size_t bytes);
/* MICROSECONDS.COUNT@ORIGIN, as commits are ordered; "-" for none. */
void value_version(const struct abaft_version *version, char text[VALUE_VERSION_BYTES]);
/* Prints and frees `json`, with a newline. */
void value_print_json(cJSON *json);

#endif
