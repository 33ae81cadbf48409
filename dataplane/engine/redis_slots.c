/* SPDX-License-Identifier: Apache-2.0 */
/*
 * redis_slots.c - see redis_slots.h.
 */
#include "dataplane/engine/redis_slots.h"

#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <string.h>

uint16_t redis_crc16(const char *bytes, size_t count)
{
	uint32_t crc = 0;

	for (size_t i = 0; i < count; i++) {
		crc ^= (uint32_t)(uint8_t)bytes[i] << 8;
		for (int bit = 0; bit < 8; bit++)
			crc = crc & 0x8000 ? crc << 1 ^ 0x1021 : crc << 1;
		crc &= 0xffff;
	}
	return (uint16_t)crc;
}

uint32_t redis_slot(const char *key, size_t bytes)
{
	const char *open = memchr(key, '{', bytes);
	const char *close =
		open == NULL ? NULL : memchr(open + 1, '}', bytes - (size_t)(open + 1 - key));

	if (close != NULL && close > open + 1) {
		key = open + 1;
		bytes = (size_t)(close - key);
	}
	return redis_crc16(key, bytes) % REDIS_SLOTS;
}

/* At most `max`; 0 or -EPROTO. */
static int parse_number(uint32_t *out, const char *text, size_t bytes, uint32_t max)
{
	uint32_t number = 0;

	if (bytes == 0 || bytes > 5)
		return -EPROTO;
	for (size_t i = 0; i < bytes; i++) {
		if (text[i] < '0' || text[i] > '9')
			return -EPROTO;
		number = number * 10 + (uint32_t)(text[i] - '0');
	}
	*out = number;
	return number <= max ? 0 : -EPROTO;
}

/* "?" is a name that its cluster does not know. */
static int parse_host(struct redis_place *out, const char *text, size_t bytes)
{
	if (bytes >= sizeof(out->host))
		return -EPROTO;
	for (size_t i = 0; i < bytes; i++)
		if (!isalnum((unsigned char)text[i]) && memchr(".-_:%", text[i], 5) == NULL)
			return -EPROTO;
	memcpy(out->host, text, bytes);
	out->host[bytes] = '\0';
	return 0;
}

int redis_redirect_parse(struct redis_redirect *out, const char *text, size_t bytes)
{
	const char *end = text + bytes;
	const char *slot = memchr(text, ' ', bytes);
	const char *host = slot == NULL ? NULL : memchr(slot + 1, ' ', (size_t)(end - slot - 1));
	const char *colon;
	uint32_t port;
	int err;

	if (host == NULL)
		return -EPROTO;
	slot++;
	err = parse_number(&out->slot, slot, (size_t)(host - slot), REDIS_SLOTS - 1);
	host++;
	colon = memrchr(host, ':', (size_t)(end - host));
	if (err < 0 || colon == NULL)
		return -EPROTO;
	err = parse_number(&port, colon + 1, (size_t)(end - colon - 1), UINT16_MAX);
	if (err < 0 || port == 0)
		return -EPROTO;
	out->place.port = (uint16_t)port;
	return parse_host(&out->place, host, (size_t)(colon - host));
}

static bool is_number(const struct redisReply *reply, long long min, long long max)
{
	return reply->type == REDIS_REPLY_INTEGER && reply->integer >= min && reply->integer <= max;
}

int redis_range_parse(struct redis_range *out, const struct redisReply *element)
{
	const struct redisReply *primary, *host;

	if (element->type != REDIS_REPLY_ARRAY || element->elements < 3 ||
	    !is_number(element->element[0], 0, REDIS_SLOTS - 1) ||
	    !is_number(element->element[1], element->element[0]->integer, REDIS_SLOTS - 1))
		return -EPROTO;
	primary = element->element[2];
	if (primary->type != REDIS_REPLY_ARRAY || primary->elements < 2)
		return -EPROTO;
	/* A node that was told its peers' names late says port 0 for a while. */
	if (!is_number(primary->element[1], 1, UINT16_MAX))
		return is_number(primary->element[1], 0, 0) ? -ENOENT : -EPROTO;
	out->first = (uint32_t)element->element[0]->integer;
	out->last = (uint32_t)element->element[1]->integer;
	out->place.port = (uint16_t)primary->element[1]->integer;
	host = primary->element[0];
	if (host->type == REDIS_REPLY_NIL)
		return parse_host(&out->place, "", 0);
	if (host->type != REDIS_REPLY_STRING)
		return -EPROTO;
	if (host->len == 1 && host->str[0] == '?')
		return -ENOENT;
	return parse_host(&out->place, host->str, (size_t)host->len);
}
