/* SPDX-License-Identifier: Apache-2.0 */
/*
 * id.c - transaction ids: UUIDv7, made from the clock and the kernel's random numbers, as text and
 * back.
 *
 * I1. Bytes 0-5 are the milliseconds since 1970, big-endian: the node judges the age of an id.
 * I2. Bytes 12-15 are random: they choose the owner, so owners are evenly loaded.
 * I3. Parsing takes exactly what abaft_id_text() prints (letters of either case), nothing around
 * it.
 */
#include <errno.h>
#include <sys/random.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <abaft/abaft.h>

void abaft_id_new(struct abaft_id *id)
{
	struct timespec now;
	size_t got = 0;

	while (got < sizeof(id->bytes)) {
		ssize_t n = getrandom(id->bytes + got, sizeof(id->bytes) - got, 0);

		/* Without random numbers two requests could share an id: nothing safe is left. */
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			abort();
		got += (size_t)n;
	}
	clock_gettime(CLOCK_REALTIME, &now);
	uint64_t ms = (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;

	for (int i = 0; i < 6; i++)
		id->bytes[i] = (uint8_t)(ms >> (40 - 8 * i));
	id->bytes[6] = (uint8_t)(0x70 | (id->bytes[6] & 0x0f));
	id->bytes[8] = (uint8_t)(0x80 | (id->bytes[8] & 0x3f));
}

/* Whether a dash stands in front of byte i of the text form. */
static bool dash_before(int i)
{
	return i == 4 || i == 6 || i == 8 || i == 10;
}

void abaft_id_text(const struct abaft_id *id, char text[ABAFT_ID_TEXT_BYTES])
{
	static const char digits[] = "0123456789abcdef";

	for (int i = 0; i < 16; i++) {
		if (dash_before(i))
			*text++ = '-';
		*text++ = digits[id->bytes[i] >> 4];
		*text++ = digits[id->bytes[i] & 15];
	}
	*text = '\0';
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

int abaft_id_parse(struct abaft_id *id, const char *text)
{
	struct abaft_id out;

	if (!id || !text)
		return ABAFT_INVALID;
	for (int i = 0; i < 16; i++) {
		int high, low;

		if (dash_before(i) && *text++ != '-')
			return ABAFT_INVALID;
		high = hex_digit(*text);
		if (high < 0)
			return ABAFT_INVALID;
		low = hex_digit(text[1]);
		if (low < 0)
			return ABAFT_INVALID;
		out.bytes[i] = (uint8_t)(high << 4 | low);
		text += 2;
	}
	if (*text || out.bytes[6] >> 4 != 7 || out.bytes[8] >> 6 != 2)
		return ABAFT_INVALID;
	*id = out;
	return ABAFT_OK;
}
