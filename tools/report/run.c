/* SPDX-License-Identifier: Apache-2.0 */
/*
 * run.c - a folder of `abaft load --record`, read and checked.
 */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tools/report/input.h"
#include "tools/report/report.h"

#define LOAD_BYTES_MAX	      (1u << 20)
#define PERCENTILES_BYTES_MAX (8u << 20)

static int take_load(struct report_run *run, const struct input *input)
{
	const cJSON *parameters = cJSON_GetObjectItemCaseSensitive(run->load, "parameters");

	if (!cJSON_IsObject(parameters)) {
		input_complain(input, "is no result of `abaft load`: it lacks \"parameters\"");
		return COMMAND_FAILED;
	}
	return input_number(input, run->load, "seconds", &run->seconds) &&
			       input_number(input, run->load, "start_unix_s", &run->start_unix_s) &&
			       input_number(input, parameters, "rate", &run->rate)
		       ? COMMAND_OK
		       : COMMAND_FAILED;
}

static int read_load(struct report_run *run)
{
	struct input input;
	int code = COMMAND_FAILED;

	run->load = input_whole(&input, run->folder, "load.json", LOAD_BYTES_MAX);
	if (run->load)
		code = take_load(run, &input);
	input_close(&input);
	return code;
}

/* Room for one more element of a growing array, or NULL after a complaint. */
static void *one_more(const struct input *input, void **array, size_t count, size_t element_bytes)
{
	void *more = *array;

	if (count >= REPORT_LINES_MAX) {
		input_complain(input, "more than %u seconds cannot be shown", REPORT_LINES_MAX);
		return NULL;
	}
	if ((count & (count - 1)) == 0) { /* 0 and powers of two */
		more = reallocarray(*array, count ? 2 * count : 1, element_bytes);
		if (!more) {
			input_complain(input, "no memory to read it");
			return NULL;
		}
		*array = more;
	}
	return (char *)more + count * element_bytes;
}

static bool read_latency(const struct input *input, const cJSON *line, struct report_second *out)
{
	const cJSON *latency = cJSON_GetObjectItemCaseSensitive(line, "latency_us");

	out->p50 = out->p99 = out->p999 = out->max = NAN;
	if (cJSON_IsNull(latency))
		return true;
	return input_number(input, latency, "p50", &out->p50) &&
	       input_number(input, latency, "p99", &out->p99) &&
	       input_number(input, latency, "p99.9", &out->p999) &&
	       input_number(input, latency, "max", &out->max);
}

static bool read_second(const struct input *input, const cJSON *line, struct report_second *out)
{
	if (!input_number(input, line, "t", &out->t) ||
	    !input_number(input, line, "seconds", &out->seconds) ||
	    !input_number(input, line, "committed", &out->committed) ||
	    !input_number(input, line, "aborted", &out->aborted) ||
	    !input_number(input, line, "failed", &out->failed) ||
	    !input_number(input, line, "unknown", &out->unknown) ||
	    !input_number(input, line, "errors", &out->errors) ||
	    !input_number(input, line, "retries", &out->retries) ||
	    !input_number(input, line, "resends", &out->resends))
		return false;
	if (out->seconds <= 0) {
		input_complain(input, "\"seconds\" is 0");
		return false;
	}
	return read_latency(input, line, out);
}

static int read_line(struct report_run *run, struct input *input)
{
	struct report_second *out;
	cJSON *line = input_object(input);
	bool ok;

	if (!line) {
		if (input->cut)
			input_complain(input, "is cut short");
		return COMMAND_FAILED;
	}
	out = one_more(input, (void **)&run->second, run->second_count, sizeof(*out));
	ok = out && read_second(input, line, out);
	cJSON_Delete(line);
	if (!ok)
		return COMMAND_FAILED;
	if (run->second_count && out->t <= out[-1].t) {
		input_complain(input, "\"t\" does not go on from the line before");
		return COMMAND_FAILED;
	}
	run->second_count++;
	return COMMAND_OK;
}

static int read_series(struct report_run *run)
{
	struct input input;
	int more = 0, code = COMMAND_OK, err = input_open(&input, run->folder, "series.jsonl");

	if (err) {
		input_complain(&input, "%s", strerror(-err));
		code = COMMAND_FAILED;
	}
	while (code == COMMAND_OK && (more = input_next(&input)) > 0)
		code = read_line(run, &input);
	input_close(&input);
	return more < 0 ? COMMAND_FAILED : code;
}

/* A pair [latency, share] that does not go down. */
static bool read_point(const cJSON *pair, const struct report_point *before,
		       struct report_point *out)
{
	const cJSON *latency = cJSON_GetArrayItem(pair, 0), *share = cJSON_GetArrayItem(pair, 1);

	if (!cJSON_IsArray(pair) || !input_sane(latency) || !input_sane(share) ||
	    share->valuedouble > 1)
		return false;
	*out = (struct report_point){latency->valuedouble, share->valuedouble};
	return !before || (out->latency_us >= before->latency_us && out->share >= before->share);
}

static int read_points(struct report_run *run, const struct input *input, const cJSON *root)
{
	const cJSON *points = cJSON_GetObjectItemCaseSensitive(root, "points"), *pair;
	int count = cJSON_GetArraySize(points);

	if (!cJSON_IsArray(points) || !input_number(input, root, "count", &run->latencies)) {
		input_complain(input, "is no distribution of latencies");
		return COMMAND_FAILED;
	}
	if (count > REPORT_LATENCY_MAX) {
		input_complain(input, "has more than %d points", REPORT_LATENCY_MAX);
		return COMMAND_FAILED;
	}
	run->point = calloc((size_t)count + 1, sizeof(*run->point));
	if (!run->point)
		return command_failed("reading", ABAFT_NO_MEMORY);
	cJSON_ArrayForEach(pair, points)
	{
		struct report_point *out = &run->point[run->point_count];

		if (!read_point(pair, run->point_count ? out - 1 : NULL, out)) {
			input_complain(input, "point %zu is no latency and share that go up",
				       run->point_count);
			return COMMAND_FAILED;
		}
		run->point_count++;
	}
	return COMMAND_OK;
}

static int read_percentiles(struct report_run *run)
{
	struct input input;
	cJSON *root = input_whole(&input, run->folder, "percentiles.json", PERCENTILES_BYTES_MAX);
	int code = root ? read_points(run, &input, root) : COMMAND_FAILED;

	cJSON_Delete(root);
	input_close(&input);
	return code;
}

int report_run_read(struct report_run *run, const char *folder)
{
	int code;

	memset(run, 0, sizeof(*run));
	run->folder = folder;
	code = read_load(run);
	if (code == COMMAND_OK)
		code = read_series(run);
	if (code == COMMAND_OK)
		code = read_percentiles(run);
	if (code == COMMAND_OK)
		code = report_scrapes_read(run);
	return code;
}

void report_run_free(struct report_run *run)
{
	cJSON_Delete(run->load);
	free(run->second);
	free(run->point);
	free(run->scrape);
}
