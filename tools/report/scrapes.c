/* SPDX-License-Identifier: Apache-2.0 */
/*
 * scrapes.c - the lines of `abaft stats --json --every`, as what the node did between them.
 *
 * A line counts from the node's start, so each is compared with the one before: counters by their
 * difference, histograms by that of their buckets (--buckets), as quantiles of two moments cannot
 * be subtracted. Where the node was restarted, or dead, there is a gap.
 */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tools/report/input.h"
#include "tools/report/report.h"

#define BUCKETS_MAX 65536

static const char *const histogram_names[] = {
#define REPORT_HISTOGRAM_NAME(name, title) #name,
	REPORT_HISTOGRAMS(REPORT_HISTOGRAM_NAME)
#undef REPORT_HISTOGRAM_NAME
};

struct bucket {
	double low, end, count;
};

struct seen_histogram {
	double count, sum;
	struct bucket *bucket;
	size_t buckets;
	bool has_buckets;
};

/* A line. */
struct seen {
	bool usable;
	double time, started;
	double requests, operations, dropped, refused, busy, groups, records;
	struct seen_histogram histogram[REPORT_HISTOGRAMS_COUNT];
};

static void seen_free(struct seen *seen)
{
	for (int h = 0; h < REPORT_HISTOGRAMS_COUNT; h++)
		free(seen->histogram[h].bucket);
	memset(seen, 0, sizeof(*seen));
}

/* The sum of the numbers whose names begin so. */
static double sum_of(const cJSON *object, const char *prefix)
{
	const cJSON *item;
	double sum = 0;

	cJSON_ArrayForEach(item, object)
	{
		if (item->string && !strncmp(item->string, prefix, strlen(prefix)) &&
		    input_sane(item))
			sum += item->valuedouble;
	}
	return sum;
}

static const cJSON *member(const cJSON *object, const char *name)
{
	return cJSON_GetObjectItemCaseSensitive(object, name);
}

static bool read_bucket(const cJSON *row, const struct bucket *before, struct bucket *out)
{
	const cJSON *low = cJSON_GetArrayItem(row, 0), *end = cJSON_GetArrayItem(row, 1);
	const cJSON *count = cJSON_GetArrayItem(row, 2);

	if (!cJSON_IsArray(row) || !input_sane(low) || !input_sane(end) || !input_sane(count))
		return false;
	*out = (struct bucket){low->valuedouble, end->valuedouble, count->valuedouble};
	return out->low < out->end && (!before || before->end <= out->low);
}

static bool read_buckets(const struct input *input, const cJSON *rows, struct seen_histogram *out)
{
	int count = cJSON_GetArraySize(rows);
	const cJSON *row;

	if (!rows)
		return true;
	out->has_buckets = true;
	if (!cJSON_IsArray(rows) || count > BUCKETS_MAX)
		goto wrong;
	out->bucket = calloc((size_t)count + 1, sizeof(*out->bucket));
	if (!out->bucket) {
		input_complain(input, "no memory to read it");
		return false;
	}
	cJSON_ArrayForEach(row, rows)
	{
		struct bucket *bucket = &out->bucket[out->buckets];

		if (!read_bucket(row, out->buckets ? bucket - 1 : NULL, bucket))
			goto wrong;
		out->buckets++;
	}
	return true;
wrong:
	input_complain(input, "its buckets are no [low, end, count] that go up");
	return false;
}

static bool read_histogram(const struct input *input, const cJSON *from, struct seen_histogram *out)
{
	if (!from) /* of a node that does not measure: telemetry = no */
		return true;
	return input_number(input, from, "count", &out->count) &&
	       input_number(input, from, "sum", &out->sum) &&
	       read_buckets(input, member(from, "buckets"), out);
}

static double operations(const cJSON *ops)
{
	const cJSON *op;
	double sum = 0;

	cJSON_ArrayForEach(op, ops)
	{
		const cJSON *count = member(op, "count");

		if (op->string && strcmp(op->string, "packet") && input_sane(count))
			sum += count->valuedouble;
	}
	return sum;
}

static bool read_totals(const struct input *input, const cJSON *line, struct seen *out)
{
	const cJSON *total = member(line, "total"), *counters = member(total, "counters");
	const cJSON *core = member(total, "core"), *ops = member(total, "ops");
	const cJSON *log = member(total, "log"), *histograms = member(total, "histograms");

	if (!cJSON_IsObject(core) || !cJSON_IsObject(ops) || !cJSON_IsObject(log)) {
		input_complain(input, "is no line of `abaft stats --json --every`: it lacks "
				      "\"total\" with \"core\", \"ops\" and \"log\"");
		return false;
	}
	out->operations = operations(ops);
	out->dropped = sum_of(counters, "drop_") +
		       sum_of(member(member(line, "steer"), "packets"), "drop_");
	out->refused = sum_of(core, "refused_");
	out->busy = sum_of(core, "busy_") + sum_of(counters, "handover_full");
	for (int h = 0; h < REPORT_HISTOGRAMS_COUNT; h++)
		if (!read_histogram(input, member(histograms, histogram_names[h]),
				    &out->histogram[h]))
			return false;
	return input_number(input, member(ops, "packet"), "count", &out->requests) &&
	       input_number(input, log, "groups", &out->groups) &&
	       input_number(input, log, "records", &out->records);
}

static bool read_seen(const struct input *input, const cJSON *line, struct seen *out)
{
	const cJSON *started = member(member(line, "node"), "started");

	memset(out, 0, sizeof(*out));
	out->usable = cJSON_IsTrue(member(line, "alive"));
	out->started = input_sane(started) ? started->valuedouble : 0;
	return input_number(input, line, "time", &out->time) && read_totals(input, line, out);
}

/* The buckets of `later` less those of `earlier`, into `out` of as many as `later`. Returns their
 * sum; below 0: they do not belong together. */
static double subtract(const struct seen_histogram *later, const struct seen_histogram *earlier,
		       struct bucket *out)
{
	size_t e = 0;
	double sum = 0;

	for (size_t i = 0; i < later->buckets; i++) {
		const struct bucket *old = &earlier->bucket[e];

		out[i] = later->bucket[i];
		if (e < earlier->buckets && old->low == out[i].low) {
			out[i].count -= old->count;
			e++;
		}
		if (out[i].count < 0)
			return -1;
		sum += out[i].count;
	}
	return e == earlier->buckets ? sum : -1;
}

static double quantile(const struct bucket *bucket, size_t buckets, double sum, double share)
{
	double rank = fmax(1, ceil(share * sum)), below = 0;

	for (size_t i = 0; i < buckets; i++) {
		below += bucket[i].count;
		if (below >= rank)
			return (bucket[i].low + bucket[i].end) / 2;
	}
	return NAN;
}

static bool compare_histogram(const struct seen_histogram *later,
			      const struct seen_histogram *earlier, struct report_scrape *out,
			      int h)
{
	struct bucket *between;
	double sum;

	if (later->count > earlier->count)
		out->histogram[h].mean_us =
			(later->sum - earlier->sum) / (later->count - earlier->count) / 1000;
	if (!later->has_buckets || !earlier->has_buckets || later->buckets == 0)
		return true;
	between = calloc(later->buckets, sizeof(*between));
	if (!between)
		return false;
	sum = subtract(later, earlier, between);
	if (sum > 0) {
		out->histogram[h].p50_us = quantile(between, later->buckets, sum, 0.5) / 1000;
		out->histogram[h].p99_us = quantile(between, later->buckets, sum, 0.99) / 1000;
	}
	free(between);
	return true;
}

/* Whether the two are of one life of a node, and time went on. */
static bool comparable(const struct seen *later, const struct seen *earlier)
{
	bool same = later->usable && earlier->usable && later->time > earlier->time &&
		    later->started == earlier->started && later->requests >= earlier->requests &&
		    later->operations >= earlier->operations && later->groups >= earlier->groups &&
		    later->records >= earlier->records && later->dropped >= earlier->dropped &&
		    later->refused >= earlier->refused && later->busy >= earlier->busy;

	for (int h = 0; h < REPORT_HISTOGRAMS_COUNT; h++)
		same = same && later->histogram[h].count >= earlier->histogram[h].count &&
		       later->histogram[h].sum >= earlier->histogram[h].sum;
	return same;
}

/* False: no memory. */
static bool compare(const struct seen *later, const struct seen *earlier, struct report_scrape *out)
{
	double seconds = later->time - earlier->time, groups = later->groups - earlier->groups;
	bool ok = true;

	out->requests = out->operations = out->dropped = out->refused = out->busy = NAN;
	out->group_records = NAN;
	for (int h = 0; h < REPORT_HISTOGRAMS_COUNT; h++)
		out->histogram[h].p50_us = out->histogram[h].p99_us = out->histogram[h].mean_us =
			NAN;
	if (!comparable(later, earlier))
		return true;
	out->requests = (later->requests - earlier->requests) / seconds;
	out->operations = (later->operations - earlier->operations) / seconds;
	out->dropped = (later->dropped - earlier->dropped) / seconds;
	out->refused = (later->refused - earlier->refused) / seconds;
	out->busy = (later->busy - earlier->busy) / seconds;
	if (groups > 0)
		out->group_records = (later->records - earlier->records) / groups;
	for (int h = 0; ok && h < REPORT_HISTOGRAMS_COUNT; h++)
		ok = compare_histogram(&later->histogram[h], &earlier->histogram[h], out, h);
	return ok;
}

static int take_seen(struct report_run *run, const struct input *input, const struct seen *later,
		     const struct seen *earlier)
{
	double t = later->time - run->start_unix_s;
	size_t count = run->scrape_count;
	struct report_scrape *more;

	for (int h = 0; h < REPORT_HISTOGRAMS_COUNT; h++)
		run->has_buckets |= later->histogram[h].has_buckets;
	if (t <= 0 || t > run->seconds + 2) /* before the run, or after it */
		return COMMAND_OK;
	if (count >= REPORT_LINES_MAX) {
		input_complain(input, "more than %u scrapes cannot be shown", REPORT_LINES_MAX);
		return COMMAND_FAILED;
	}
	if ((count & (count - 1)) == 0) {
		more = reallocarray(run->scrape, count ? 2 * count : 1, sizeof(*more));
		if (!more)
			return command_failed("reading", ABAFT_NO_MEMORY);
		run->scrape = more;
	}
	run->scrape[count].t = t;
	if (!compare(later, earlier, &run->scrape[count]))
		return command_failed("reading", ABAFT_NO_MEMORY);
	run->scrape_count++;
	return COMMAND_OK;
}

/* A line, which becomes the one before the next. A last one that was cut while it was written is
 * left out, and said. */
static int read_line(struct report_run *run, struct input *input, struct seen *before)
{
	cJSON *line = input_object(input);
	struct seen seen;
	int code = COMMAND_OK;

	if (!line && input->cut) {
		input_complain(input, "is cut short and left out");
		return COMMAND_OK;
	}
	if (!line)
		return COMMAND_FAILED;
	if (!read_seen(input, line, &seen))
		code = COMMAND_FAILED;
	else if (before->usable || before->time > 0)
		code = take_seen(run, input, &seen, before);
	cJSON_Delete(line);
	seen_free(before);
	*before = seen;
	return code;
}

int report_scrapes_read(struct report_run *run)
{
	struct input input;
	struct seen before = {0};
	int more = 0, code = COMMAND_OK, err = input_open(&input, run->folder, "stats.jsonl");

	if (err == -ENOENT)
		goto out;
	run->has_scrapes = true;
	if (err) {
		input_complain(&input, "%s", strerror(-err));
		code = COMMAND_FAILED;
	}
	while (code == COMMAND_OK && (more = input_next(&input)) > 0)
		code = read_line(run, &input, &before);
	if (more < 0)
		code = COMMAND_FAILED;
out:
	seen_free(&before);
	input_close(&input);
	return code;
}
