/* SPDX-License-Identifier: Apache-2.0 */
/*
 * blocks.c - see blocks.h.
 */
#include "tools/report/blocks.h"

#include <math.h>

size_t blocks_step(size_t count)
{
	return (count + REPORT_POINTS_MAX - 1) / REPORT_POINTS_MAX;
}

static void put(FILE *file, double number)
{
	if (isfinite(number))
		fprintf(file, " %.7g", number);
	else
		fputs(" NaN", file);
}

/* The larger one; NAN counts as nothing. */
static double worst(double a, double b)
{
	return isnan(a) || b > a ? b : a;
}

static void run_row(FILE *file, const struct report_second *second, size_t count)
{
	struct report_second sum = {.p50 = NAN, .p99 = NAN, .p999 = NAN, .max = NAN};
	const struct report_second *last = second + count - 1;
	double lost = 0;

	for (size_t i = 0; i < count; i++) {
		sum.seconds += second[i].seconds;
		sum.committed += second[i].committed;
		sum.errors += second[i].errors;
		sum.retries += second[i].retries;
		sum.resends += second[i].resends;
		lost += second[i].failed + second[i].unknown;
		sum.p50 = worst(sum.p50, second[i].p50);
		sum.p99 = worst(sum.p99, second[i].p99);
		sum.p999 = worst(sum.p999, second[i].p999);
		sum.max = worst(sum.max, second[i].max);
	}
	put(file, (second->t + last->t + last->seconds) / 2);
	put(file, sum.committed / sum.seconds);
	put(file, sum.p50 / 1e6);
	put(file, sum.p99 / 1e6);
	put(file, sum.p999 / 1e6);
	put(file, sum.max / 1e6);
	put(file, sum.errors / sum.seconds);
	put(file, sum.retries / sum.seconds);
	put(file, sum.resends / sum.seconds);
	put(file, lost / sum.seconds);
	fputc('\n', file);
}

size_t blocks_seconds(const struct report_run *run)
{
	size_t count = run->second_count;

	return count > 1 && run->second[count - 1].seconds < 0.5 ? count - 1 : count;
}

static void run_block(FILE *file, const struct report_run *run, uint32_t number)
{
	size_t step = blocks_step(run->second_count);
	size_t count = blocks_seconds(run);

	fprintf(file, "$run%u << EOD\n", number);
	for (size_t i = 0; i < count; i += step) {
		size_t end = i + step < count ? i + step : count;

		/* The short one goes with the one before it. */
		run_row(file, run->second + i, (end == count ? run->second_count : end) - i);
	}
	fputs("EOD\n", file);
}

static void tail_block(FILE *file, const struct report_run *run, uint32_t number)
{
	double last = 1;

	fprintf(file, "$tail%u << EOD\n", number);
	for (size_t i = 0; i < run->point_count; i++) {
		double share = run->point[i].share;
		double x = share < 1 ? 1 / (1 - share) : fmax(last, run->latencies);

		if (i == 0)
			fprintf(file, "1 %.7g\n", run->point[0].latency_us / 1e6);
		fprintf(file, "%.9g %.7g\n", x, run->point[i].latency_us / 1e6);
		last = x;
	}
	fputs("EOD\n", file);
}

void blocks_run(FILE *file, const struct report_run *run, uint32_t number)
{
	run_block(file, run, number);
	tail_block(file, run, number);
}

/* Of some scrapes: rates of equal times on average, latencies the worst. */
static void node_row(FILE *file, const struct report_scrape *scrape, size_t count)
{
	double sum[6] = {0}, quantile[REPORT_HISTOGRAMS_COUNT][3];

	for (int h = 0; h < REPORT_HISTOGRAMS_COUNT; h++)
		for (int q = 0; q < 3; q++)
			quantile[h][q] = NAN;
	for (size_t i = 0; i < count; i++) {
		const double rate[6] = {scrape[i].requests, scrape[i].operations,
					scrape[i].dropped,  scrape[i].refused,
					scrape[i].busy,	    scrape[i].group_records};

		for (int r = 0; r < 6; r++)
			sum[r] += rate[r];
		for (int h = 0; h < REPORT_HISTOGRAMS_COUNT; h++) {
			quantile[h][0] = worst(quantile[h][0], scrape[i].histogram[h].p50_us);
			quantile[h][1] = worst(quantile[h][1], scrape[i].histogram[h].p99_us);
			quantile[h][2] = worst(quantile[h][2], scrape[i].histogram[h].mean_us);
		}
	}
	put(file, (scrape[0].t + scrape[count - 1].t) / 2);
	for (int r = 0; r < 6; r++)
		put(file, sum[r] / (double)count);
	for (int h = 0; h < REPORT_HISTOGRAMS_COUNT; h++)
		for (int q = 0; q < 3; q++)
			put(file, quantile[h][q] / 1e6);
	fputc('\n', file);
}

void blocks_node(FILE *file, const struct report_run *run)
{
	size_t step = blocks_step(run->scrape_count);

	fputs("$node << EOD\n", file);
	for (size_t i = 0; i < run->scrape_count; i += step)
		node_row(file, run->scrape + i,
			 i + step < run->scrape_count ? step : run->scrape_count - i);
	fputs("EOD\n", file);
}
