/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tables.c - what load.json holds, as tables: parameters, totals, errors, latencies, machine.
 */
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "tools/report/input.h"
#include "tools/report/report.h"

#define ERRORS_MAX     32
#define TEXT_BYTES_MAX 200

struct row {
	const char *object, *name; /* object NULL: the file's own members */
	const char *title;
};

static const struct row parameters[] = {
	{"parameters", "functions", "functions of a transaction"},
	{"parameters", "writes", "writes of a function"},
	{"parameters", "reads", "reads of a function"},
	{"parameters", "read_share", "share of reads, drawn for each operation"},
	{"parameters", "abort_share", "share aborted on purpose"},
	{"parameters", "one_packet", "all functions in one packet"},
	{"parameters", "value_bytes", "bytes of a value"},
	{"parameters", "keys", "keys"},
	{"parameters", "zipf", "exponent of Zipf's law; 0: uniform"},
	{"parameters", "arrivals", "arrivals"},
	{"parameters", "rate", "rate asked for, per second; 0: as fast as it goes"},
	{"parameters", "clients", "transactions in flight, at most"},
	{"parameters", "threads", "threads"},
	{"parameters", "seed", "seed"},
};

static const struct row totals[] = {
	{NULL, "seconds", "seconds"},
	{NULL, "committed", "committed"},
	{NULL, "committed_per_second", "committed per second"},
	{NULL, "aborted", "aborted on purpose"},
	{NULL, "failed", "failed"},
	{NULL, "unknown", "of unknown outcome"},
	{NULL, "not_started", "due, but never begun: the load was too high"},
	{NULL, "reads", "reads"},
	{NULL, "not_found", "of these, nothing found"},
	{NULL, "writes", "writes"},
	{NULL, "reruns", "run again with the same id"},
	{NULL, "new_ids", "run again with a new id"},
	{NULL, "busy", "answers to wait"},
	{NULL, "resends", "packets sent again"},
	{NULL, "packets_sent", "packets sent"},
	{NULL, "packets_received", "packets received"},
};

static const struct row latencies[] = {
	{"latency_us", "mean", "mean"},	  {"latency_us", "p50", "p50"},
	{"latency_us", "p90", "p90"},	  {"latency_us", "p99", "p99"},
	{"latency_us", "p99.9", "p99.9"}, {"latency_us", "p99.99", "p99.99"},
	{"latency_us", "max", "max"},
};

static const struct row machine[] = {
	{"machine", "cpu", "processor"},
	{"machine", "cpus", "processors"},
	{"machine", "kernel", "kernel"},
};

void report_number(double number, char *text)
{
	char digits[24];
	size_t length, at = 0;

	if (!(number >= 0 && number <= INPUT_NUMBER_MAX)) {
		snprintf(text, 32, "?");
		return;
	}
	if (number != floor(number) && number < 1000) {
		snprintf(text, 32, "%.4g", number);
		return;
	}
	snprintf(digits, sizeof(digits), "%.0f", number);
	length = strlen(digits);
	/* A narrow space that does not break, three bytes: 19 digits would need 37. */
	for (size_t i = 0; i <= length; i++) {
		if (i && i < length && (length - i) % 3 == 0 && length <= 15)
			at += (size_t)snprintf(text + at, 32 - at, "\xe2\x80\xaf");
		text[at++] = digits[i];
	}
}

static const cJSON *find(const struct report_run *run, const struct row *row)
{
	const cJSON *object =
		row->object ? cJSON_GetObjectItemCaseSensitive(run->load, row->object) : run->load;

	return cJSON_GetObjectItemCaseSensitive(object, row->name);
}

static void cell(FILE *page, const cJSON *item)
{
	char text[TEXT_BYTES_MAX + 1];

	fputs("<td>", page);
	if (cJSON_IsNumber(item)) {
		report_number(item->valuedouble, text);
		fputs(text, page);
	} else if (cJSON_IsString(item)) {
		snprintf(text, sizeof(text), "%s", item->valuestring);
		report_escape(page, text);
	} else if (cJSON_IsBool(item)) {
		fputs(cJSON_IsTrue(item) ? "yes" : "no", page);
	} else {
		fputs("\xe2\x80\x93", page);
	}
	fputs("</td>", page);
}

static bool differs(const struct report_run *runs, uint32_t count, const struct row *row)
{
	const cJSON *first = find(&runs[0], row);

	for (uint32_t r = 1; r < count; r++) {
		const cJSON *other = find(&runs[r], row);

		if ((first || other) && !cJSON_Compare(first, other, true))
			return true;
	}
	return false;
}

static void table_begin(FILE *page, const char *title, uint32_t count)
{
	fprintf(page, "<table>\n<caption>%s</caption>\n", title);
	if (count > 1) {
		fputs("<thead><tr><td></td>", page);
		for (uint32_t r = 0; r < count; r++)
			fprintf(page, "<th scope=\"col\">%c</th>", report_letter(r));
		fputs("</tr></thead>\n", page);
	}
	fputs("<tbody>\n", page);
}

static void table_end(FILE *page)
{
	fputs("</tbody>\n</table>\n", page);
}

/* `mark`: parameters that make runs hard to compare stand out. */
static void table(FILE *page, const char *title, const struct report_run *runs, uint32_t count,
		  const struct row *rows, size_t rows_count, bool mark)
{
	table_begin(page, title, count);
	for (size_t i = 0; i < rows_count; i++) {
		fprintf(page, "<tr%s><th scope=\"row\">%s</th>",
			mark && differs(runs, count, &rows[i]) ? " class=\"differs\"" : "",
			rows[i].title);
		for (uint32_t r = 0; r < count; r++)
			cell(page, find(&runs[r], &rows[i]));
		fputs("</tr>\n", page);
	}
	table_end(page);
}

/* Whether some run before this one had it: it has a row then. */
static bool had(const struct report_run *runs, uint32_t run, const char *name)
{
	for (uint32_t r = 0; r < run; r++)
		if (cJSON_GetObjectItemCaseSensitive(
			    cJSON_GetObjectItemCaseSensitive(runs[r].load, "errors"), name))
			return true;
	return false;
}

/* Errors have the names that came. */
static void errors_table(FILE *page, const struct report_run *runs, uint32_t count)
{
	uint32_t rows = 0;

	for (uint32_t r = 0; r < count; r++) {
		const cJSON *item;

		cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(runs[r].load, "errors"))
		{
			struct row row = {"errors", item->string, NULL};
			char name[TEXT_BYTES_MAX + 1];

			if (!item->string || had(runs, r, item->string) || rows == ERRORS_MAX)
				continue;
			if (rows++ == 0)
				table_begin(page, "Errors", count);
			snprintf(name, sizeof(name), "%s", item->string);
			fputs("<tr><th scope=\"row\">", page);
			report_escape(page, name);
			fputs("</th>", page);
			for (uint32_t of = 0; of < count; of++)
				cell(page, find(&runs[of], &row));
			fputs("</tr>\n", page);
		}
	}
	if (rows)
		table_end(page);
}

#define TABLE(title, rows, mark)                                                                   \
	table(page, title, runs, count, rows, sizeof(rows) / sizeof((rows)[0]), mark)

void report_tables(FILE *page, const struct report_run *runs, uint32_t count)
{
	fputs("<section><h2>Numbers</h2>\n<div class=\"tables\">\n", page);
	TABLE("What was asked for", parameters, true);
	TABLE("What came of it", totals, false);
	errors_table(page, runs, count);
	TABLE("Latency in \xc2\xb5s", latencies, false);
	TABLE("Machine that ran the load", machine, true);
	fputs("</div></section>\n", page);
}
