/* SPDX-License-Identifier: Apache-2.0 */
/*
 * names.h - gives each distinct string of bytes (a key, a transaction id) a small number.
 *
 * Numbers count up from 0 in the order of first sight. One thread.
 */
#ifndef ABAFT_TOOLS_HISTORY_NAMES_H
#define ABAFT_TOOLS_HISTORY_NAMES_H

#include <stddef.h>
#include <stdint.h>

/* A slot that is free has the number UINT32_MAX. */
struct check_slot {
	uint32_t number;
	uint32_t hash; /* the upper half: most names that are not the one need not be looked at */
};

/* Zero it before use; free with check_names_free(). */
struct check_names {
	uint32_t count;
	uint32_t slots; /* of table: a power of two, at most three quarters full */
	struct check_slot *table;
	uint64_t *start; /* of each name in text; start[count] is the end of the last */
	size_t start_cap;
	char *text;
	size_t text_cap;
};

/* 0, -ENOMEM, or -E2BIG (more than 2^30 names). */
__attribute__((warn_unused_result)) int check_names_add(struct check_names *names, const void *name,
							size_t bytes, uint32_t *number);
const void *check_names_get(const struct check_names *names, uint32_t number, size_t *bytes);
void check_names_free(struct check_names *names);

/* Makes an array of `size`-byte elements hold at least `need`; doubles. 0 or -ENOMEM. */
__attribute__((warn_unused_result)) int check_grow(void **array, size_t *cap, size_t need,
						   size_t size);

#endif
