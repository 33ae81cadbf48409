/* SPDX-License-Identifier: Apache-2.0 */
/*
 * report.h - `abaft report`: what its parts share.
 *
 * report.c reads the command line; run.c what `abaft load --record` left in a folder, scrapes.c the
 * lines of `abaft stats` beside it, both by input.c; figures.c says what is drawn, plot.c has
 * gnuplot draw it; page.c writes the page, tables.c its numbers.
 *
 * What is read comes from a file, so nothing in it is believed: each number is checked when it is
 * read (input_number()), sizes are bounded, and text goes to the page escaped and to gnuplot not at
 * all. What is wrong is said on stderr with file and line, and ends the command.
 */
#ifndef ABAFT_TOOLS_REPORT_REPORT_H
#define ABAFT_TOOLS_REPORT_REPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cJSON.h>

#include "tools/command/command.h"

#define REPORT_RUNS_MAX	   6
/* Seconds of a run, and scrapes: twelve days of one each second. */
#define REPORT_LINES_MAX   (1u << 20)
#define REPORT_LATENCY_MAX 65536 /* points of a distribution */
/* Of a line in a figure: more would not be seen, but weigh. */
#define REPORT_POINTS_MAX  600

/* A second of the load. Latencies in microseconds; NAN: none ended. */
struct report_second {
	double t, seconds;
	double committed, aborted, failed, unknown, errors, retries, resends;
	double p50, p99, p999, max;
};

struct report_point {
	double latency_us, share;
};

/* What a page shows of the node's histograms. X(name, title) */
#define REPORT_HISTOGRAMS(X)                                                                       \
	X(service, "Execution of a request")                                                       \
	X(commit_durable, "From a commit to its durability")                                       \
	X(log_device, "Write and sync of a group of the log")                                      \
	X(txn_life, "Life of a transaction in the node")

enum report_histogram {
#define REPORT_HISTOGRAM_NUMBER(name, title) REPORT_##name,
	REPORT_HISTOGRAMS(REPORT_HISTOGRAM_NUMBER)
#undef REPORT_HISTOGRAM_NUMBER
		REPORT_HISTOGRAMS_COUNT
};

/* What a node did between two scrapes, per second; NAN: not known, or nothing to divide. */
struct report_scrape {
	double t; /* of the later one, seconds since the load's start */
	double requests, operations, dropped, refused, busy;
	double group_records; /* in one write of the log */
	struct {
		double p50_us, p99_us, mean_us; /* without buckets only the mean is known */
	} histogram[REPORT_HISTOGRAMS_COUNT];
};

/* A recorded run. */
struct report_run {
	const char *folder;
	cJSON *load; /* load.json: an object with an object `parameters` */
	double seconds, start_unix_s, rate;
	struct report_second *second;
	size_t second_count;
	struct report_point *point;
	size_t point_count;
	double latencies; /* in the distribution */
	struct report_scrape *scrape;
	size_t scrape_count; /* 0 with has_scrapes: none of the run's time */
	bool has_scrapes, has_buckets;
};

/* run.c: reads a folder. Returns an exit code; report_run_free() it in any case. */
int report_run_read(struct report_run *run, const char *folder);
void report_run_free(struct report_run *run);

/* scrapes.c: reads stats.jsonl if it is there. Returns an exit code. */
int report_scrapes_read(struct report_run *run);

/* figures.c: draws all figures of the runs and writes them as sections of the page. Returns an exit
 * code. */
int report_figures(FILE *page, const struct report_run *runs, uint32_t count);

/* page.c: the page around them. */
int report_page(FILE *page, const struct report_run *runs, uint32_t count);
/* Text as it may stand in HTML, also in an attribute. What is no UTF-8 is replaced. */
void report_escape(FILE *page, const char *text);
/* The letter of a run where several are compared. */
char report_letter(uint32_t run);

/* tables.c: parameters, totals, machine; a column for each run. */
void report_tables(FILE *page, const struct report_run *runs, uint32_t count);
/* A number as people read it, in text[32]: whole with spaces between thousands, or four digits. */
void report_number(double number, char *text);

#endif
