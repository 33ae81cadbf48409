/* SPDX-License-Identifier: Apache-2.0 */
/*
 * figures.c - what is drawn: scripts for gnuplot, and each picture's place on the page.
 *
 * The runs' numbers (blocks.c) are made once and put before each script. A line of which no number
 * is known is no error of gnuplot's to find, so it is looked for before.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tools/report/blocks.h"
#include "tools/report/colors.h"
#include "tools/report/plot.h"
#include "tools/report/report.h"

static const char *const colors[] = {COLOR_1, COLOR_2, COLOR_3, COLOR_4, COLOR_5, COLOR_6};

struct line {
	int column;
	const char *title, *color;
	bool dashed;
};

struct figures {
	FILE *page;
	const struct report_run *runs;
	uint32_t count;
	char *data; /* blocks: $runN, $tailN, $node */
	size_t data_bytes;
	double seconds;
	uint32_t drawn; /* pictures so far: a part of their names */
	FILE *script;
	char *script_text;
	size_t script_bytes;
};

static int make_data(struct figures *f)
{
	FILE *file = open_memstream(&f->data, &f->data_bytes);

	if (!file)
		return command_failed("drawing", ABAFT_NO_MEMORY);
	f->seconds = 1;
	for (uint32_t r = 0; r < f->count; r++) {
		f->seconds = fmax(f->seconds, f->runs[r].seconds);
		blocks_run(file, &f->runs[r], r);
	}
	if (f->count == 1 && f->runs[0].scrape_count)
		blocks_node(file, &f->runs[0]);
	return fclose(file) ? command_failed("drawing", ABAFT_NO_MEMORY) : COMMAND_OK;
}

/* What all pictures share. */
static const char preamble[] =
	"set encoding utf8\n"
	"set terminal svg size 640,300 dynamic noenhanced font 'sans-serif,15'\n"
	"set border 3 linecolor rgb '" COLOR_INK "'\n"
	"set tics nomirror out scale 0.4,0.2 textcolor rgb '" COLOR_INK "'\n"
	"set grid xtics ytics linetype 1 linewidth 0.6 linecolor rgb '" COLOR_GRID "'\n"
	"set key outside top left horizontal Left reverse maxrows 1 samplen 1.5 textcolor rgb "
	"'" COLOR_INK "'\n"
	"set style data lines\n"
	"set lmargin 10\n"
	"set rmargin 2.5\n";

/* Begins a script, with the time as its x axis. */
static int figure_begin(struct figures *f)
{
	free(f->script_text);
	f->script_text = NULL;
	f->script = open_memstream(&f->script_text, &f->script_bytes);
	if (!f->script)
		return command_failed("drawing", ABAFT_NO_MEMORY);
	fwrite(f->data, 1, f->data_bytes, f->script);
	fputs(preamble, f->script);
	fprintf(f->script,
		"set xrange [0:%.9g]\nset xlabel 'seconds' textcolor rgb '" COLOR_INK "'\n",
		f->seconds);
	return COMMAND_OK;
}

static void rates(const struct figures *f)
{
	fputs("set yrange [0:1<*]\nset format y '%.12g'\n", f->script);
}

/* Times in seconds, over whole decades. */
static void times(const struct figures *f)
{
	fputs("set logscale y\nset format y '%.0s %cs'\nset mytics 10\n", f->script);
}

static void plot_line(const struct figures *f, bool *any, const char *block, int column,
		      const char *title, const char *color, bool dashed)
{
	fprintf(f->script, "%s %s using 1:%d title '%s' linewidth 1.7 linecolor rgb '%s'%s",
		*any ? "," : "plot", block, column, title, color, dashed ? " dashtype '.'" : "");
	*any = true;
}

/* Lines of each run: of one in their own colours, of several in that of the run. */
static void plot_runs(const struct figures *f, const struct line *lines, size_t count)
{
	bool any = false;

	for (uint32_t r = 0; r < f->count; r++)
		for (size_t i = 0; i < count; i++) {
			char block[16], title[64];

			snprintf(block, sizeof(block), "$run%u", r);
			snprintf(title, sizeof(title), "%c%s%s", report_letter(r),
				 *lines[i].title ? " " : "", lines[i].title);
			plot_line(f, &any, block, lines[i].column,
				  f->count > 1 ? title : lines[i].title,
				  f->count > 1 ? colors[r] : lines[i].color,
				  f->count > 1 && lines[i].dashed);
		}
}

static void plot_node(const struct figures *f, const struct line *lines, size_t count)
{
	bool any = false;

	for (size_t i = 0; i < count; i++)
		plot_line(f, &any, "$node", lines[i].column, lines[i].title, lines[i].color, false);
}

/* Draws what the script says and writes it under a title and a sentence. */
static int figure_end(struct figures *f, const char *title, const char *caption)
{
	char name[16], *svg = NULL;
	size_t bytes;
	int code;

	fputc('\n', f->script);
	if (fclose(f->script))
		return command_failed("drawing", ABAFT_NO_MEMORY);
	code = plot_draw(f->script_text, f->script_bytes, &svg, &bytes);
	if (code != COMMAND_OK)
		return code;
	snprintf(name, sizeof(name), "f%u", ++f->drawn);
	fprintf(f->page, "<figure>\n<figcaption><h3>%s</h3><p>%s</p></figcaption>\n<div>\n", title,
		caption);
	if (!plot_embed(f->page, svg, name, title)) {
		fputs("abaft report: gnuplot's picture is none that can be shown; see that its "
		      "version has the terminal `svg`\n",
		      stderr);
		code = COMMAND_FAILED;
	}
	fputs("</div>\n</figure>\n", f->page);
	free(svg);
	return code;
}

static int throughput(struct figures *f)
{
	static const struct line lines[] = {{COLUMN_COMMITTED, "committed", COLOR_1, false}};
	int code = figure_begin(f);

	if (code != COMMAND_OK)
		return code;
	rates(f);
	plot_runs(f, lines, 1);
	for (uint32_t r = 0; r < f->count; r++)
		if (f->runs[r].rate > 0)
			fprintf(f->script,
				", %.9g title '%s' linewidth 1 dashtype '.' linecolor rgb '%s'",
				f->runs[r].rate, f->count > 1 ? "" : "asked for",
				f->count > 1 ? colors[r] : COLOR_2);
	return figure_end(f, "Throughput", "Transactions committed per second.");
}

static int latency(struct figures *f)
{
	static const struct line lines[] = {{COLUMN_P50, "p50", COLOR_1, false},
					    {COLUMN_P99, "p99", COLOR_2, true},
					    {COLUMN_P999, "p99.9", COLOR_3, false},
					    {COLUMN_MAX, "max", COLOR_4, false}};
	int code = figure_begin(f);

	if (code != COMMAND_OK)
		return code;
	times(f);
	plot_runs(f, lines, f->count > 1 ? 2 : 4);
	return figure_end(f, "Latency",
			  "Of the transactions that ended in each second, from when each was meant "
			  "to start, over all its retries.");
}

static int percentiles(struct figures *f)
{
	bool any = false;
	int code = figure_begin(f);

	if (code != COMMAND_OK)
		return code;
	times(f);
	fputs("set logscale x\nset xrange [1:10000]\nunset mxtics\n"
	      "set xlabel 'share of all transactions'\n"
	      "set xtics ('0' 1, '50 %%' 2, '90 %%' 10, '99 %%' 100, '99.9 %%' 1000, '99.99 %%' "
	      "10000)\n"
	      "set rmargin 5\n",
	      f->script);
	for (uint32_t r = 0; r < f->count; r++) {
		char block[16], title[2] = {report_letter(r)};

		if (f->runs[r].point_count == 0)
			continue;
		snprintf(block, sizeof(block), "$tail%u", r);
		plot_line(f, &any, block, 2, f->count > 1 ? title : "", colors[r], false);
	}
	return figure_end(f, "Percentiles",
			  "The latency that a share of all transactions does not exceed.");
}

static int troubles(struct figures *f)
{
	static const struct line lines[] = {{COLUMN_ERRORS, "errors", COLOR_4, false},
					    {COLUMN_RETRIES, "run again", COLOR_2, true},
					    {COLUMN_RESENDS, "packets sent again", COLOR_5, false},
					    {COLUMN_LOST, "failed or unknown", COLOR_6, false}};
	int code = figure_begin(f);

	if (code != COMMAND_OK)
		return code;
	rates(f);
	plot_runs(f, lines, f->count > 1 ? 2 : 4);
	return figure_end(f, "Errors and retries", "Per second, as the clients saw them.");
}

/* One picture of the node's rates. */
static int node_rate(struct figures *f, const struct line *lines, size_t count, const char *title,
		     const char *caption)
{
	int code = figure_begin(f);

	if (code != COMMAND_OK)
		return code;
	rates(f);
	plot_node(f, lines, count);
	return figure_end(f, title, caption);
}

static int nothing(struct figures *f, const char *title)
{
	fprintf(f->page,
		"<figure>\n<figcaption><h3>%s</h3><p>Nothing was measured in this time."
		"</p></figcaption>\n</figure>\n",
		title);
	return COMMAND_OK;
}

static int node_rates(struct figures *f)
{
	static const struct line requests[] = {{NODE_REQUESTS, "requests", COLOR_1, false},
					       {NODE_OPERATIONS, "operations", COLOR_2, false}};
	static const struct line drops[] = {{NODE_DROPPED, "dropped frames", COLOR_4, false},
					    {NODE_REFUSED, "refused requests", COLOR_2, false},
					    {NODE_BUSY, "busy, or no space", COLOR_5, false}};
	static const struct line records[] = {{NODE_RECORDS, "", COLOR_1, false}};
	const struct report_run *run = &f->runs[0];
	bool groups = false;
	int code = node_rate(f, requests, 2, "Requests and operations",
			     "Per second, as the node counted them.");

	for (size_t i = 0; i < run->scrape_count; i++)
		groups |= isfinite(run->scrape[i].group_records);
	if (code == COMMAND_OK)
		code = node_rate(f, drops, 3, "Drops and refusals", "Per second.");
	if (code == COMMAND_OK)
		code = groups ? node_rate(f, records, 1, "Group commit",
					  "Records in one write of the commit log, on average.")
			      : nothing(f, "Group commit");
	return code;
}

static int node_times(struct figures *f, int h)
{
	static const char *const titles[] = {
#define REPORT_HISTOGRAM_TITLE(name, title) title,
		REPORT_HISTOGRAMS(REPORT_HISTOGRAM_TITLE)
#undef REPORT_HISTOGRAM_TITLE
	};
	const struct line lines[] = {{NODE_HISTOGRAMS + 3 * h, "p50", COLOR_1, false},
				     {NODE_HISTOGRAMS + 3 * h + 1, "p99", COLOR_2, false},
				     {NODE_HISTOGRAMS + 3 * h + 2, "mean", COLOR_3, false}};
	const struct report_run *run = &f->runs[0];
	bool any = false, quantiles = false;
	int code;

	for (size_t i = 0; i < run->scrape_count; i++) {
		any |= run->scrape[i].histogram[h].mean_us > 0;
		quantiles |= run->scrape[i].histogram[h].p50_us > 0;
	}
	if (!any && !quantiles)
		return nothing(f, titles[h]);
	code = figure_begin(f);
	if (code != COMMAND_OK)
		return code;
	times(f);
	plot_node(f, quantiles ? lines : lines + 2, quantiles ? 2 : 1);
	return figure_end(f, titles[h],
			  quantiles ? "What ended between two scrapes, as the node measured it."
				    : "On average between two scrapes; <code>abaft stats "
				      "--buckets</code> would tell percentiles.");
}

/* Says that a point stands for several. */
static void note_step(const struct figures *f, size_t step, const char *of)
{
	if (step > 1)
		fprintf(f->page,
			"<p class=\"note\">A point stands for %zu %s: rates on average, latencies "
			"of the worst.</p>\n",
			step, of);
}

static void note(const struct figures *f, const char *text)
{
	fprintf(f->page, "<p class=\"note\">%s</p>\n", text);
}

/* What there is to draw of the runs. */
struct drawable {
	bool rates, latencies, tail;
	size_t step;
};

static struct drawable look(const struct figures *f)
{
	struct drawable is = {0};

	for (uint32_t r = 0; r < f->count; r++) {
		const struct report_run *run = &f->runs[r];
		size_t step = blocks_step(run->second_count);

		is.step = step > is.step ? step : is.step;
		is.rates |= blocks_seconds(run) > 1;
		is.tail |= run->point_count && run->point[run->point_count - 1].latency_us > 0;
		for (size_t i = 0; i < run->second_count; i++)
			is.latencies |= run->second[i].p50 > 0;
	}
	return is;
}

static int draw_load(struct figures *f)
{
	struct drawable is = look(f);
	int code = COMMAND_OK;

	fputs("<section><h2>The load</h2>\n", f->page);
	if (!is.rates)
		note(f, "It was shorter than two seconds: there is nothing to show over time.");
	if (!is.tail)
		note(f, "No transaction committed or aborted: there are no latencies.");
	note_step(f, is.step, "seconds");
	fputs("<div class=\"figures\">\n", f->page);
	if (is.rates)
		code = throughput(f);
	if (code == COMMAND_OK && is.rates && is.latencies)
		code = latency(f);
	if (code == COMMAND_OK && is.tail)
		code = percentiles(f);
	if (code == COMMAND_OK && is.rates)
		code = troubles(f);
	fputs("</div></section>\n", f->page);
	return code;
}

static int draw_node(struct figures *f)
{
	const struct report_run *run = &f->runs[0];
	int code = COMMAND_OK;
	bool any = false;

	for (size_t i = 0; i < run->scrape_count; i++)
		any |= isfinite(run->scrape[i].requests);
	fputs("<section><h2>The node</h2>\n", f->page);
	if (any) {
		note_step(f, blocks_step(run->scrape_count), "scrapes");
		fputs("<div class=\"figures\">\n", f->page);
		code = node_rates(f);
		for (int h = 0; code == COMMAND_OK && h < REPORT_HISTOGRAMS_COUNT; h++)
			code = node_times(f, h);
		fputs("</div>", f->page);
	} else {
		note(f, "stats.jsonl has no two scrapes of a living node in the time of the run.");
	}
	fputs("</section>\n", f->page);
	return code;
}

int report_figures(FILE *page, const struct report_run *runs, uint32_t count)
{
	struct figures f = {.page = page, .runs = runs, .count = count};
	int code = make_data(&f);
	bool scrapes = false;

	for (uint32_t r = 0; r < count; r++)
		scrapes |= runs[r].has_scrapes;
	if (code == COMMAND_OK)
		code = draw_load(&f);
	if (code == COMMAND_OK && count == 1 && scrapes)
		code = draw_node(&f);
	else if (code == COMMAND_OK && scrapes)
		note(&f, "What the nodes counted is shown when a run is reported alone.");
	free(f.data);
	free(f.script_text);
	return code;
}
