// SPDX-License-Identifier: Apache-2.0
/*
 * history.c - parses and writes the lines of a history; see history.h for the format.
 */
#include "tools/history/history.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct history_writer {
	int fd;
	bool owns_fd;
	bool too_long;
	size_t len;
	char line[HISTORY_LINE_BYTES_MAX];
};

static const char *const outcome_names[HISTORY_OUTCOMES] = {
	[HISTORY_COMMITTED] = "committed", [HISTORY_REPEATED] = "repeated",
	[HISTORY_ABORTED] = "aborted",	   [HISTORY_FAILED] = "failed",
	[HISTORY_UNKNOWN] = "unknown",	   [HISTORY_OPEN] = "open",
};

const char *history_outcome_name(enum history_outcome outcome)
{
	return outcome_names[outcome];
}

/* Takes the text up to `stop`, or all of it, off the front of *text; false if nothing is left. */
static bool take(const char **text, size_t *len, char stop, const char **part, size_t *part_len)
{
	const char *end;

	if (*len == 0)
		return false;
	end = memchr(*text, stop, *len);
	*part = *text;
	*part_len = end ? (size_t)(end - *text) : *len;
	*len -= *part_len + (end ? 1 : 0);
	*text += *part_len + (end ? 1 : 0);
	return true;
}

static int version_parse(const char *text, size_t len, struct abaft_version *out)
{
	const char *time;
	size_t time_len;
	uint64_t origin;

	memset(out, 0, sizeof(*out));
	if (len == 1 && text[0] == '-')
		return 0;
	if (!take(&text, &len, '.', &time, &time_len) ||
	    tag_u64_parse(time, time_len, &out->time) || tag_u64_parse(text, len, &origin) ||
	    origin > UINT32_MAX || out->time == 0)
		return -EBADMSG;
	out->origin = (uint32_t)origin;
	return 0;
}

static bool outcome_parse(const char *text, size_t len, enum history_outcome *out)
{
	for (int i = 0; i < HISTORY_OUTCOMES; i++) {
		if (strlen(outcome_names[i]) == len && memcmp(outcome_names[i], text, len) == 0) {
			*out = (enum history_outcome)i;
			return true;
		}
	}
	return false;
}

static int bad(const char **why, const char *text)
{
	*why = text;
	return -EBADMSG;
}

static bool u16_parse(const char *text, size_t len, uint16_t *out)
{
	uint64_t value;

	if (tag_u64_parse(text, len, &value) || value > UINT16_MAX)
		return false;
	*out = (uint16_t)value;
	return true;
}

static int parse_fields(struct history_line *out, const char *const field[],
			const size_t field_len[], const char **why)
{
	if (tag_id_parse(field[0], field_len[0], &out->id))
		return bad(why, "the transaction id is no UUID");
	out->client = field[1];
	out->client_len = field_len[1];
	if (out->client_len == 0 || out->client_len > HISTORY_CLIENT_BYTES_MAX)
		return bad(why, "the client's name has no or more than 64 characters");
	out->whole = field_len[2] == 3 && memcmp(field[2], "all", 3) == 0;
	if (!out->whole && !u16_parse(field[2], field_len[2], &out->step))
		return bad(why, "the part is neither \"all\" nor a step's number");
	if (!u16_parse(field[3], field_len[3], &out->attempt))
		return bad(why, "the attempt is no number below 65536");
	if (tag_u64_parse(field[4], field_len[4], &out->start_us) ||
	    tag_u64_parse(field[5], field_len[5], &out->end_us))
		return bad(why, "start or end is no number of microseconds");
	if (out->end_us < out->start_us)
		return bad(why, "it ends before it starts");
	if (!outcome_parse(field[6], field_len[6], &out->outcome))
		return bad(why, "the outcome is none of committed, repeated, aborted, failed, "
				"unknown, open");
	if (version_parse(field[7], field_len[7], &out->version))
		return bad(why, "the commit's version is neither TIME.ORIGIN nor \"-\"");
	return 0;
}

int history_parse(const char *text, size_t len, struct history_line *out, const char **why)
{
	const char *field[8];
	size_t field_len[8];

	memset(out, 0, sizeof(*out));
	out->kind = '#';
	if (len == 0 || text[0] == '#')
		return 0;
	if (len < 2 || (text[0] != 'T' && text[0] != 'F') || text[1] != ' ')
		return bad(why, "a line begins with \"T \", \"F \" or \"#\"");
	out->kind = text[0];
	out->ops = text + 2;
	out->ops_len = len - 2;
	if (out->kind == 'F')
		return 0;
	for (int i = 0; i < 8; i++)
		if (!take(&out->ops, &out->ops_len, ' ', &field[i], &field_len[i]))
			return bad(why, "fewer than 8 fields follow \"T\"");
	return parse_fields(out, field, field_len, why);
}

static int parse_read(struct history_op *op, const char *text, size_t len, const char **why)
{
	const char *version;
	size_t version_len;

	if (!take(&text, &len, ',', &version, &version_len) ||
	    version_parse(version, version_len, &op->version))
		return bad(why, "a read's version is neither TIME.ORIGIN nor \"-\"");
	if (len == 1 && text[0] == '-') {
		op->seen = HISTORY_SEEN_NONE;
		return 0;
	}
	if (len == 1 && text[0] == '?') {
		op->seen = HISTORY_SEEN_UNTAGGED;
		return 0;
	}
	op->seen = HISTORY_SEEN_TAGGED;
	if (tag_parse(text, len, &op->tag))
		return bad(why, "a read saw neither a tag nor \"-\" nor \"?\"");
	return 0;
}

static int parse_write(struct history_op *op, const char *text, size_t len, const char **why)
{
	const char *number;
	size_t number_len;

	if (!take(&text, &len, ',', &number, &number_len) ||
	    tag_number_parse(number, number_len, &op->number))
		return bad(why, "a write's number is not STEP.ATTEMPT.SEQ");
	if (tag_u64_parse(text, len, &op->time_us))
		return bad(why, "a write's time is no number of microseconds");
	return 0;
}

int history_next(struct history_line *line, struct history_op *op, const char **why)
{
	const char *text, *kind;
	size_t len, kind_len;
	int err;

	if (!take(&line->ops, &line->ops_len, ' ', &text, &len))
		return 0;
	memset(op, 0, sizeof(*op));
	if (!take(&text, &len, ',', &kind, &kind_len) || kind_len != 1 || !strchr("rwd", kind[0]) ||
	    !take(&text, &len, ',', &op->key, &op->key_len) || op->key_len == 0)
		return bad(why, "an operation does not begin with \"r,KEY,\", \"w,KEY,\" or "
				"\"d,KEY,\"");
	op->kind = kind[0];
	if (line->kind == 'F' && (op->kind != 'r' || line->ops_len != 0))
		return bad(why, "a final line has one read and nothing else");
	err = op->kind == 'r' ? parse_read(op, text, len, why) : parse_write(op, text, len, why);
	return err ? err : 1;
}

int history_open_fd(struct history_writer **out, int fd)
{
	struct history_writer *writer = malloc(sizeof(*writer));

	if (!writer)
		return -ENOMEM;
	writer->fd = fd;
	writer->owns_fd = false;
	writer->len = 0;
	writer->too_long = false;
	*out = writer;
	return 0;
}

int history_open(struct history_writer **out, const char *path)
{
	int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
	int err;

	if (fd < 0)
		return -errno;
	err = history_open_fd(out, fd);
	if (err)
		close(fd);
	else
		(*out)->owns_fd = true;
	return err;
}

void history_close(struct history_writer *writer)
{
	if (!writer)
		return;
	if (writer->owns_fd)
		close(writer->fd);
	free(writer);
}

/* Appends to the line, and keeps room for the newline. */
__attribute__((format(printf, 2, 3))) static void add(struct history_writer *writer,
						      const char *format, ...)
{
	size_t room = sizeof(writer->line) - 1 - writer->len;
	va_list args;
	int n;

	va_start(args, format);
	n = vsnprintf(writer->line + writer->len, room, format, args);
	va_end(args);
	if (n < 0 || (size_t)n >= room)
		writer->too_long = true;
	else
		writer->len += (size_t)n;
}

static void add_key(struct history_writer *writer, const void *key, size_t key_bytes)
{
	size_t room = sizeof(writer->line) - 1 - writer->len;
	ssize_t n = tag_escape(writer->line + writer->len, room, key, key_bytes);

	if (n < 0)
		writer->too_long = true;
	else
		writer->len += (size_t)n;
}

static void add_version(struct history_writer *writer, struct abaft_version version)
{
	if (version.time == 0)
		add(writer, "-");
	else
		add(writer, "%" PRIu64 ".%" PRIu32, version.time, version.origin);
}

void history_begin(struct history_writer *writer, const struct history_head *head)
{
	char id[ABAFT_ID_TEXT_BYTES];

	writer->len = 0;
	writer->too_long = false;
	tag_id_text(&head->id, id);
	add(writer, "T %s %s ", id, head->client);
	if (head->whole)
		add(writer, "all");
	else
		add(writer, "%u", head->step);
	add(writer, " %u %" PRIu64 " %" PRIu64 " %s ", head->attempt, head->start_us, head->end_us,
	    outcome_names[head->outcome]);
	add_version(writer, head->version);
}

void history_begin_final(struct history_writer *writer)
{
	writer->len = 0;
	writer->too_long = false;
	add(writer, "F");
}

void history_read(struct history_writer *writer, const void *key, size_t key_bytes,
		  struct abaft_version version, const char *value, size_t value_bytes)
{
	struct tag tag;

	add(writer, " r,");
	add_key(writer, key, key_bytes);
	add(writer, ",");
	add_version(writer, version);
	if (!value)
		add(writer, ",-");
	else if (tag_read(value, value_bytes, &tag))
		add(writer, ",?");
	else
		add(writer, ",%.*s", (int)tag.body_len, tag.body);
}

static void add_change(struct history_writer *writer, char kind, struct tag_key key,
		       struct tag_number number, uint64_t time_us)
{
	add(writer, " %c,", kind);
	add_key(writer, key.data, key.bytes);
	add(writer, ",%u.%u.%" PRIu32 ",%" PRIu64, number.step, number.attempt, number.seq,
	    time_us);
}

void history_write(struct history_writer *writer, const void *key, size_t key_bytes,
		   struct tag_number number, uint64_t time_us)
{
	add_change(writer, 'w', (struct tag_key){key, key_bytes}, number, time_us);
}

void history_delete(struct history_writer *writer, const void *key, size_t key_bytes,
		    struct tag_number number, uint64_t time_us)
{
	add_change(writer, 'd', (struct tag_key){key, key_bytes}, number, time_us);
}

int history_finish(struct history_writer *writer)
{
	ssize_t n;

	if (writer->too_long)
		return -EMSGSIZE;
	writer->line[writer->len++] = '\n';
	do {
		n = write(writer->fd, writer->line, writer->len);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	return (size_t)n == writer->len ? 0 : -EIO;
}
