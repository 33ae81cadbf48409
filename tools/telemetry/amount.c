// SPDX-License-Identifier: Apache-2.0
/*
 * amount.c - numbers for people: three digits and a unit, in few columns.
 */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>

#include "tools/telemetry/amount.h"

/* Three significant digits of what is below 1000, without zeros that say nothing. */
static void digits(char *text, double number, const char *unit)
{
	int decimals = number < 9.995 ? 2 : number < 99.95 ? 1 : 0;
	double scale = decimals == 2 ? 100 : decimals == 1 ? 10 : 1;
	double rounded = round(number * scale);

	while (decimals > 0 && fmod(rounded, 10) == 0) {
		rounded /= 10;
		decimals--;
		scale /= 10;
	}
	snprintf(text, AMOUNT_BYTES, "%.*f%s", decimals, rounded / scale, unit);
}

static const char *scaled(char *text, double number, const char *const units[], int count)
{
	int unit = 0;

	if (!(number >= 0) || isinf(number)) {
		snprintf(text, AMOUNT_BYTES, "-");
		return text;
	}
	while (number >= 999.5 && unit < count - 1) {
		number /= 1000;
		unit++;
	}
	if (number > 0 && number < 0.01)
		snprintf(text, AMOUNT_BYTES, "<0.01%s", units[unit]);
	else
		digits(text, number, units[unit]);
	return text;
}

const char *amount_count(char *text, double number)
{
	static const char *const units[] = {"", "k", "M", "G", "T"};

	return scaled(text, number, units, 5);
}

const char *amount_bytes(char *text, double bytes)
{
	static const char *const units[] = {"B", "kB", "MB", "GB", "TB"};

	return scaled(text, bytes, units, 5);
}

const char *amount_time(char *text, uint64_t ns)
{
	static const char *const units[] = {"ns", "us", "ms", "s"};

	return scaled(text, (double)ns, units, 4);
}

const char *amount_share(char *text, double part, double whole)
{
	static const char *const units[] = {"%"};

	return scaled(text, whole > 0 ? part / whole * 100 : -1, units, 1);
}

const char *amount_span(char *text, uint64_t seconds)
{
	uint64_t minutes = seconds / 60, hours = minutes / 60, days = hours / 24;

	if (days > 0)
		snprintf(text, AMOUNT_BYTES, "%" PRIu64 "d%02" PRIu64 "h", days, hours % 24);
	else if (hours > 0)
		snprintf(text, AMOUNT_BYTES, "%" PRIu64 "h%02" PRIu64 "m", hours, minutes % 60);
	else if (minutes > 0)
		snprintf(text, AMOUNT_BYTES, "%" PRIu64 "m%02" PRIu64 "s", minutes, seconds % 60);
	else
		snprintf(text, AMOUNT_BYTES, "%" PRIu64 "s", seconds);
	return text;
}
