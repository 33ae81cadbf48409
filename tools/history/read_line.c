// SPDX-License-Identifier: Apache-2.0
/*
 * read_line.c - a line of a history into memory, for the readers of both formats: edn_read.c turns
 * what it reads into lines, too. Nothing in them is trusted.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "tools/history/read.h"

/* Keys are unescaped before they are compared. */
#define KEY_BYTES_MAX 4096
#define OPS_MAX	      (CHECK_NONE - 1)

static int add_key(struct check *check, const char *text, size_t len, uint32_t *number,
		   const char **why)
{
	char key[KEY_BYTES_MAX];
	ssize_t n = tag_unescape(key, sizeof(key), text, len);

	if (n < 0) {
		*why = n == -ENOSPC ? "a key is longer than 4096 bytes"
				    : "a key is not escaped as it should be";
		return -EBADMSG;
	}
	return check_names_add(&check->keys, key, (size_t)n, number);
}

/* The other keys that a tag says its transaction writes. */
static int add_declared(struct check *check, const struct tag *tag, uint32_t txn, uint32_t key,
			const char **why)
{
	struct check_declared declared = {txn, key, tag->time_us};
	const char *at = tag->with, *end = tag->with + tag->with_len;
	int err;

	if (tag->with_len == 0)
		return 0;
	err = check_list_add(&check->declared, &declared, sizeof(declared));
	while (!err && at < end) {
		const char *comma = memchr(at, ',', (size_t)(end - at));
		size_t len = (size_t)((comma ? comma : end) - at);

		err = add_key(check, at, len, &declared.key, why);
		if (!err)
			err = check_list_add(&check->declared, &declared, sizeof(declared));
		at += len + 1;
	}
	return err;
}

static int add_op(struct check *check, const struct history_op *from, const char **why)
{
	struct check_op op = {.kind = from->kind,
			      .seen = (uint8_t)from->seen,
			      .writer = CHECK_NONE,
			      .number = from->number,
			      .time_us = from->time_us,
			      .version = from->version};
	uint32_t tag_key;
	int err = add_key(check, from->key, from->key_len, &op.key, why);

	if (!err && from->kind == 'r' && from->seen == HISTORY_SEEN_TAGGED) {
		op.number = from->tag.number;
		op.time_us = from->tag.time_us;
		err = check_names_add(&check->txn_ids, from->tag.id.bytes,
				      sizeof(from->tag.id.bytes), &op.writer);
		if (!err)
			err = add_key(check, from->tag.key, from->tag.key_len, &tag_key, why);
		if (!err) {
			op.misplaced = tag_key != op.key;
			err = add_declared(check, &from->tag, op.writer, tag_key, why);
		}
	}
	if (!err && check->ops_count >= OPS_MAX)
		err = -E2BIG;
	if (!err)
		err = check_grow((void **)&check->ops, &check->ops_cap, check->ops_count + 1,
				 sizeof(*check->ops));
	if (!err)
		check->ops[check->ops_count++] = op;
	return err;
}

static int add_part(struct check *check, const struct history_line *line, uint32_t number,
		    uint32_t ops_at)
{
	struct check_part part = {.file = check->file_count - 1,
				  .line = number,
				  .ops_at = ops_at,
				  .ops_count = (uint32_t)check->ops_count - ops_at,
				  .step = line->step,
				  .attempt = line->attempt,
				  .whole = line->whole,
				  .outcome = line->outcome,
				  .start_us = line->start_us,
				  .end_us = line->end_us,
				  .version = line->version};
	int err =
		check_names_add(&check->txn_ids, line->id.bytes, sizeof(line->id.bytes), &part.txn);

	if (!err)
		err = check_names_add(&check->clients, line->client, line->client_len,
				      &part.client);
	if (!err && check->parts_count >= OPS_MAX)
		err = -E2BIG;
	if (!err)
		err = check_grow((void **)&check->parts, &check->parts_cap, check->parts_count + 1,
				 sizeof(*check->parts));
	if (!err)
		check->parts[check->parts_count++] = part;
	return err;
}

int check_read_line(struct check *check, const char *text, size_t len, uint32_t number,
		    const char **why)
{
	uint32_t ops_at = (uint32_t)check->ops_count;
	struct history_line line;
	struct history_op op;
	int err = history_parse(text, len, &line, why);
	int n;

	if (err || line.kind == '#')
		return err;
	while ((n = history_next(&line, &op, why)) == 1) {
		err = add_op(check, &op, why);
		if (err)
			return err;
	}
	if (n < 0)
		return n;
	if (line.kind == 'T')
		return add_part(check, &line, number, ops_at);
	if (check->ops_count == ops_at) {
		*why = "a final line has no read";
		return -EBADMSG;
	}
	return check_list_add(&check->finals, &ops_at, sizeof(ops_at));
}

int check_complain(struct check *check, const char *path, uint32_t line, int err, const char *why)
{
	if (err == -EBADMSG)
		snprintf(check->error, sizeof(check->error), "%s:%" PRIu32 ": %s", path, line, why);
	else if (err == -E2BIG)
		snprintf(check->error, sizeof(check->error),
			 "%s:%" PRIu32 ": more operations, transactions or keys than can be judged "
			 "at once",
			 path, line);
	else
		snprintf(check->error, sizeof(check->error), "%s:%" PRIu32 ": %s", path, line,
			 strerror(-err));
	return err;
}
