// SPDX-License-Identifier: Apache-2.0
/*
 * tag.c - writes and reads the tag at the beginning of a value; see tag.h for the format.
 */
#include "tools/command/hex.h"
#include "tools/history/tag.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static const char hex_digits[] = "0123456789abcdef";

static bool plain(unsigned char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '_' || c == '.' || c == ':' || c == '-';
}

ssize_t tag_escape(char *out, size_t out_bytes, const void *key, size_t key_bytes)
{
	const unsigned char *from = key;
	size_t at = 0;

	for (size_t i = 0; i < key_bytes; i++) {
		size_t need = plain(from[i]) ? 1 : 3;

		if (need > out_bytes - at)
			return -ENOSPC;
		if (need == 1) {
			out[at++] = (char)from[i];
			continue;
		}
		out[at++] = '%';
		out[at++] = hex_digits[from[i] >> 4];
		out[at++] = hex_digits[from[i] & 15];
	}
	return (ssize_t)at;
}

ssize_t tag_unescape(void *out, size_t out_bytes, const char *text, size_t len)
{
	unsigned char *to = out;
	size_t at = 0;

	for (size_t i = 0; i < len; at++) {
		if (at == out_bytes)
			return -ENOSPC;
		if (text[i] == '%') {
			int high = len - i > 2 ? hex_digit(text[i + 1]) : -1;
			int low = len - i > 2 ? hex_digit(text[i + 2]) : -1;

			if (high < 0 || low < 0)
				return -EBADMSG;
			to[at] = (unsigned char)(high << 4 | low);
			i += 3;
			continue;
		}
		if (!plain((unsigned char)text[i]))
			return -EBADMSG;
		to[at] = (unsigned char)text[i++];
	}
	return at == 0 ? -EBADMSG : (ssize_t)at;
}

void tag_id_text(const struct abaft_id *id, char text[ABAFT_ID_TEXT_BYTES])
{
	size_t at = 0;

	for (size_t i = 0; i < sizeof(id->bytes); i++) {
		if (i == 4 || i == 6 || i == 8 || i == 10)
			text[at++] = '-';
		text[at++] = hex_digits[id->bytes[i] >> 4];
		text[at++] = hex_digits[id->bytes[i] & 15];
	}
	text[at] = '\0';
}

int tag_id_parse(const char *text, size_t len, struct abaft_id *out)
{
	size_t at = 0;

	if (len != ABAFT_ID_TEXT_BYTES - 1)
		return -EBADMSG;
	for (size_t i = 0; i < sizeof(out->bytes); i++) {
		int high, low;

		if ((i == 4 || i == 6 || i == 8 || i == 10) && text[at++] != '-')
			return -EBADMSG;
		high = hex_digit(text[at++]);
		low = hex_digit(text[at++]);
		if (high < 0 || low < 0)
			return -EBADMSG;
		out->bytes[i] = (uint8_t)(high << 4 | low);
	}
	return 0;
}

int tag_u64_parse(const char *text, size_t len, uint64_t *out)
{
	uint64_t value = 0;

	if (len == 0 || len > 20)
		return -EBADMSG;
	for (size_t i = 0; i < len; i++) {
		uint64_t digit = (uint64_t)(text[i] - '0');

		if (text[i] < '0' || text[i] > '9' || value > (UINT64_MAX - digit) / 10)
			return -EBADMSG;
		value = value * 10 + digit;
	}
	*out = value;
	return 0;
}

/* Takes the text up to `stop` off the front of *text. */
static int take(const char **text, size_t *len, char stop, const char **part, size_t *part_len)
{
	const char *end = *len ? memchr(*text, stop, *len) : NULL;

	if (!end)
		return -EBADMSG;
	*part = *text;
	*part_len = (size_t)(end - *text);
	*len -= *part_len + 1;
	*text = end + 1;
	return 0;
}

int tag_number_parse(const char *text, size_t len, struct tag_number *out)
{
	const char *step, *attempt;
	size_t step_len, attempt_len;
	uint64_t values[3];

	if (take(&text, &len, '.', &step, &step_len) ||
	    take(&text, &len, '.', &attempt, &attempt_len) ||
	    tag_u64_parse(step, step_len, &values[0]) ||
	    tag_u64_parse(attempt, attempt_len, &values[1]) ||
	    tag_u64_parse(text, len, &values[2]) || values[0] > UINT16_MAX ||
	    values[1] > UINT16_MAX || values[2] > UINT32_MAX)
		return -EBADMSG;
	out->step = (uint16_t)values[0];
	out->attempt = (uint16_t)values[1];
	out->seq = (uint32_t)values[2];
	return 0;
}

/* Bytes a body may have after its time: what stands in a value is not trusted (I1, I2). */
static bool clean(const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (!plain((unsigned char)text[i]) && text[i] != '%' && text[i] != ',')
			return false;
	return true;
}

int tag_parse(const char *body, size_t len, struct tag *out)
{
	const char *id, *number, *time;
	size_t id_len, number_len, time_len;

	out->body = body;
	out->body_len = len;
	if (take(&body, &len, '/', &id, &id_len) || take(&body, &len, '/', &number, &number_len) ||
	    take(&body, &len, '/', &time, &time_len) ||
	    take(&body, &len, '/', &out->key, &out->key_len) ||
	    tag_id_parse(id, id_len, &out->id) ||
	    tag_number_parse(number, number_len, &out->number) ||
	    tag_u64_parse(time, time_len, &out->time_us) || out->key_len == 0 ||
	    !clean(out->key, out->key_len) || !clean(body, len))
		return -EBADMSG;
	out->with = body;
	out->with_len = len;
	return 0;
}

int tag_read(const char *value, size_t value_bytes, struct tag *out)
{
	const size_t magic = strlen(TAG_MAGIC);
	const char *end;

	if (value_bytes < magic || memcmp(value, TAG_MAGIC, magic) != 0)
		return -ENOENT;
	value += magic;
	value_bytes -= magic;
	if (value_bytes > TAG_BYTES_MAX - magic)
		value_bytes = TAG_BYTES_MAX - magic;
	end = value_bytes ? memchr(value, ';', value_bytes) : NULL;
	if (!end)
		return -EBADMSG;
	return tag_parse(value, (size_t)(end - value), out);
}

ssize_t tag_write(char *value, size_t value_bytes, const struct tag_source *source)
{
	char id[ABAFT_ID_TEXT_BYTES], head[128];
	size_t room = value_bytes < TAG_BYTES_MAX ? value_bytes : TAG_BYTES_MAX;
	size_t at;
	ssize_t n;

	tag_id_text(source->id, id);
	at = (size_t)snprintf(head, sizeof(head), TAG_MAGIC "%s/%u.%u.%" PRIu32 "/%" PRIu64 "/", id,
			      source->number.step, source->number.attempt, source->number.seq,
			      source->time_us);
	if (at > room)
		return -ENOSPC;
	memcpy(value, head, at);
	n = tag_escape(value + at, room - at, source->key.data, source->key.bytes);
	if (n < 0)
		return n;
	at += (size_t)n;
	for (size_t i = 0; i < source->with_count; i++) {
		if (at == room)
			return -ENOSPC;
		value[at++] = i == 0 ? '/' : ',';
		n = tag_escape(value + at, room - at, source->with[i].data, source->with[i].bytes);
		if (n < 0)
			return n;
		at += (size_t)n;
	}
	if (room - at < (source->with_count ? 1 : 2))
		return -ENOSPC;
	if (source->with_count == 0)
		value[at++] = '/';
	value[at++] = ';';
	return (ssize_t)at;
}
