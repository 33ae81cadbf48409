/* SPDX-License-Identifier: Apache-2.0 */
/*
 * page.c - the page: its head, its style, what it says first; figures and tables are put in.
 *
 * One file that needs nothing from elsewhere, on a wide screen and a small one, on light and on
 * dark ground.
 */
#include <math.h>
#include <string.h>
#include <time.h>

#include "tools/report/colors.h"
#include "tools/report/report.h"

static const char style[] =
	":root{color-scheme:light dark;--ground:#fff;--ink:#1d2023;--soft:#5b6167;--line:#d9dcdf}\n"
	"@media(prefers-color-scheme:dark){:root{--ground:#17191b;--ink:#e4e7ea;--soft:#9aa1a8;"
	"--line:#34383c}}\n"
	"body{margin:0 auto;max-width:78rem;padding:1rem 1.25rem 3rem;background:var(--ground);"
	"color:var(--ink);font:16px/1.5 system-ui,sans-serif}\n"
	"h1{font-size:1.5rem;line-height:1.25;margin:.5rem 0;overflow-wrap:anywhere}\n"
	"h2{font-size:1.2rem;margin:2rem 0 .75rem;padding-bottom:.25rem;"
	"border-bottom:1px solid var(--line)}\n"
	"h3{font-size:1rem;margin:0}\n"
	"p{margin:.25rem 0}.soft,figcaption p,.note{color:var(--soft);font-size:.9rem}\n"
	".key{display:flex;flex-wrap:wrap;gap:.5rem 1.9rem;margin:1rem 0;padding:0;"
	"list-style:none}\n"
	".key b{display:block;font-size:1.5rem;line-height:1.3;font-weight:600;"
	"font-variant-numeric:tabular-nums}\n"
	".figures{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(27rem,100%),1fr));"
	"gap:1.75rem 2rem}\n"
	"figure{margin:0;min-width:0}figure div{overflow-x:auto;margin-top:.5rem}\n"
	"figure svg{display:block;width:100%;min-width:22rem;max-width:48rem;height:auto}\n"
	"figure svg g,figure svg tspan{font-family:system-ui,sans-serif}\n"
	".tables{display:flex;flex-wrap:wrap;gap:0 3.5rem;overflow-x:auto}"
	"table{border-collapse:collapse;margin:0 0 1.5rem;align-self:start;"
	"font-variant-numeric:tabular-nums}\n"
	"th,td{padding:.2rem 1.25rem .2rem 0;text-align:left;vertical-align:top;"
	"border-bottom:1px solid var(--line)}\n"
	"tbody th{font-weight:400;color:var(--soft)}\n"
	"caption{text-align:left;font-weight:600;padding:.5rem 0}.differs td{font-weight:600}\n"
	"code{font-size:.95em}\n";

/* gnuplot writes a colour in two ways. */
static void dark_color(FILE *page, const char *light, const char *dark)
{
	unsigned r, g, b;

	if (sscanf(light, "#%2x%2x%2x", &r, &g, &b) != 3)
		return;
	fprintf(page,
		"svg [stroke=\"rgb(%3u, %3u, %3u)\"]{stroke:%s}"
		"svg [fill=\"rgb(%u,%u,%u)\"]{fill:%s}\n",
		r, g, b, dark, r, g, b, dark);
}

static void write_style(FILE *page)
{
	fprintf(page, "<style>\n%s@media(prefers-color-scheme:dark){\n", style);
#define DARK_COLOR(light, dark) dark_color(page, light, dark);
	COLORS(DARK_COLOR)
#undef DARK_COLOR
	fputs("}\n</style>\n", page);
}

/* The bytes of the UTF-8 character at text, 0: it is none, or one that HTML does not allow. */
static size_t character_bytes(const unsigned char *text)
{
	size_t bytes = text[0] < 0x80	 ? 1
		       : text[0] >= 0xf5 ? 0
		       : text[0] >= 0xf0 ? 4
		       : text[0] >= 0xe0 ? 3
		       : text[0] >= 0xc2 ? 2
					 : 0;

	if (bytes == 1 && (text[0] < 0x20 || text[0] == 0x7f) && !strchr("\t\n\r", text[0]))
		return 0;
	for (size_t i = 1; i < bytes; i++)
		if ((text[i] & 0xc0) != 0x80)
			return 0;
	if ((text[0] == 0xe0 && text[1] < 0xa0) || (text[0] == 0xed && text[1] > 0x9f) ||
	    (text[0] == 0xf0 && text[1] < 0x90) || (text[0] == 0xf4 && text[1] > 0x8f))
		return 0;
	return bytes;
}

void report_escape(FILE *page, const char *text)
{
	while (*text) {
		size_t bytes = character_bytes((const unsigned char *)text);

		if (bytes == 0)
			fputs("\xef\xbf\xbd", page);
		else if (*text == '<')
			fputs("&lt;", page);
		else if (*text == '>')
			fputs("&gt;", page);
		else if (*text == '&')
			fputs("&amp;", page);
		else if (*text == '"')
			fputs("&quot;", page);
		else if (*text == '\'')
			fputs("&#39;", page);
		else
			fwrite(text, 1, bytes, page);
		text += bytes ? bytes : 1;
	}
}

char report_letter(uint32_t run)
{
	return (char)('A' + run);
}

static void when(FILE *page, double unix_s)
{
	time_t seconds = (time_t)unix_s;
	char text[32];
	struct tm tm;

	/* A year beyond four digits is no year of ours. */
	if (unix_s < 2.5e11 && gmtime_r(&seconds, &tm) &&
	    strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S UTC", &tm))
		fputs(text, page);
	else
		fputs("at an unknown time", page);
}

static void key_number(FILE *page, const cJSON *object, const char *name, const char *text)
{
	const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, name);
	char number[32];

	if (!cJSON_IsNumber(item))
		return;
	report_number(item->valuedouble, number);
	fprintf(page, "<li><b>%s</b><span class=\"soft\">%s</span></li>\n", number, text);
}

/* A latency in the unit in which it has few digits. */
static void key_latency(FILE *page, const struct report_run *run, const char *name,
			const char *text)
{
	const cJSON *item = cJSON_GetObjectItemCaseSensitive(
		cJSON_GetObjectItemCaseSensitive(run->load, "latency_us"), name);
	double us = cJSON_IsNumber(item) ? item->valuedouble : -1;

	if (us >= 0 && us <= 1e12)
		fprintf(page, "<li><b>%.3g %s</b><span class=\"soft\">%s</span></li>\n",
			us < 999.5     ? us
			: us < 999.5e3 ? us / 1e3
				       : us / 1e6,
			us < 999.5     ? "\xc2\xb5s"
			: us < 999.5e3 ? "ms"
				       : "s",
			text);
}

static void write_first(FILE *page, const struct report_run *run)
{
	char seconds[32];

	report_number(run->seconds, seconds);
	fputs("<p class=\"soft\">", page);
	when(page, run->start_unix_s);
	fprintf(page, ", %s seconds</p>\n<ul class=\"key\">\n", seconds);
	key_number(page, run->load, "committed_per_second", "transactions per second");
	key_latency(page, run, "p50", "half take no longer");
	key_latency(page, run, "p99", "99 % take no longer");
	key_latency(page, run, "p99.99", "99.99 % take no longer");
	key_number(page, run->load, "failed", "failed");
	key_number(page, run->load, "unknown", "unknown");
	fputs("</ul>\n", page);
}

static void write_legend(FILE *page, const struct report_run *runs, uint32_t count)
{
	fputs("<ul class=\"key\">\n", page);
	for (uint32_t r = 0; r < count; r++) {
		fprintf(page, "<li><b>%c</b>", report_letter(r));
		report_escape(page, runs[r].folder);
		fputs("<br><span class=\"soft\">", page);
		when(page, runs[r].start_unix_s);
		fputs("</span></li>\n", page);
	}
	fputs("</ul>\n", page);
}

static void write_title(FILE *page, const struct report_run *runs, uint32_t count)
{
	if (count == 1) {
		fputs("Load run: ", page);
		report_escape(page, runs[0].folder);
	} else {
		fprintf(page, "%u load runs compared", count);
	}
}

int report_page(FILE *page, const struct report_run *runs, uint32_t count)
{
	int code;

	fputs("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
	      "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n<title>",
	      page);
	write_title(page, runs, count);
	fputs("</title>\n", page);
	write_style(page);
	fputs("</head>\n<body>\n<main>\n<h1>", page);
	write_title(page, runs, count);
	fputs("</h1>\n", page);
	if (count == 1)
		write_first(page, runs);
	else
		write_legend(page, runs, count);
	code = report_figures(page, runs, count);
	report_tables(page, runs, count);
	fputs("</main>\n</body>\n</html>\n", page);
	return code;
}
