/* SPDX-License-Identifier: Apache-2.0 */
/*
 * recording.c - see recording.h.
 */
#include "tools/load/recording.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cJSON.h>

#include "tools/load/series.h"

#define SERIES	    "series.jsonl"
#define LOAD	    "load.json"
#define PERCENTILES "percentiles.json"
#define SCRAPES	    "stats.jsonl" /* of who looks at the node, and may begin before us */

struct recording {
	char *folder;
	bool made, complete;
	int error; /* errno of the series' file */
	FILE *series;
	uint64_t next;		  /* second to be written */
	struct series_second sum; /* of all threads */
};

static int path_failed(const struct recording *recording, const char *name, int err)
{
	fprintf(stderr, "abaft load: %s%s%s: %s\n", recording->folder, name ? "/" : "",
		name ? name : "", strerror(err));
	return COMMAND_FAILED;
}

/* A file of the folder, or NULL and errno. */
static FILE *open_file(const struct recording *recording, const char *name)
{
	char *path;
	FILE *file;

	if (asprintf(&path, "%s/%s", recording->folder, name) < 0) {
		errno = ENOMEM;
		return NULL;
	}
	file = fopen(path, "wxe");
	free(path);
	return file;
}

static void remove_file(const struct recording *recording, const char *name)
{
	char *path;

	if (asprintf(&path, "%s/%s", recording->folder, name) < 0)
		return;
	(void)unlink(path);
	free(path);
}

static bool may_be_there(const char *name)
{
	return !strcmp(name, ".") || !strcmp(name, "..") || !strcmp(name, SCRAPES);
}

static int folder_is_empty(const struct recording *recording)
{
	DIR *folder = opendir(recording->folder);
	struct dirent *entry;
	bool empty = true;

	if (!folder)
		return path_failed(recording, NULL, errno);
	while (empty && (entry = readdir(folder)))
		empty = may_be_there(entry->d_name);
	closedir(folder);
	if (empty)
		return COMMAND_OK;
	fprintf(stderr,
		"abaft load: --record %s: the folder is not empty, and nothing in it is "
		"overwritten; name a new one, or empty it first (rm -r %s)\n",
		recording->folder, recording->folder);
	return COMMAND_USAGE;
}

int recording_open(struct recording **out, const char *folder)
{
	struct recording *recording = calloc(1, sizeof(*recording));
	int code;

	if (!recording || !(recording->folder = strdup(folder))) {
		free(recording);
		return command_failed("recording", ABAFT_NO_MEMORY);
	}
	recording->made = mkdir(folder, 0777) == 0;
	code = recording->made || errno == EEXIST ? folder_is_empty(recording)
						  : path_failed(recording, NULL, errno);
	if (code == COMMAND_OK && !(recording->series = open_file(recording, SERIES)))
		code = path_failed(recording, SERIES, errno);
	if (code == COMMAND_OK)
		*out = recording;
	else
		recording_close(recording);
	return code;
}

static double quantile_us(const struct latency *latency, double share)
{
	return (double)latency_quantile(latency, share) / 1000;
}

/* The sum's line; `seconds`: how long it lasted. */
static void write_second(struct recording *recording, double seconds)
{
	const struct series_second *sum = &recording->sum;
	const struct latency *latency = &sum->latency;
	int n = fprintf(recording->series,
			"{\"t\":%" PRIu64 ",\"seconds\":%.6g,\"committed\":%" PRIu64
			",\"aborted\":%" PRIu64 ",\"failed\":%" PRIu64 ",\"unknown\":%" PRIu64
			",\"errors\":%" PRIu64 ",\"retries\":%" PRIu64 ",\"resends\":%" PRIu64
			",\"latency_us\":",
			recording->next, seconds, sum->committed, sum->aborted, sum->failed,
			sum->unknown, sum->errors, sum->retries, sum->resends);

	if (n >= 0 && latency->count == 0)
		n = fputs("null}\n", recording->series);
	else if (n >= 0)
		n = fprintf(recording->series,
			    "{\"p50\":%.1f,\"p90\":%.1f,\"p99\":%.1f,\"p99.9\":%.1f,"
			    "\"max\":%.1f}}\n",
			    quantile_us(latency, 0.5), quantile_us(latency, 0.9),
			    quantile_us(latency, 0.99), quantile_us(latency, 0.999),
			    quantile_us(latency, 1));
	if (n < 0 && !recording->error)
		recording->error = errno;
}

static void take_second(struct recording *recording, struct load *load, double seconds)
{
	memset(&recording->sum, 0, sizeof(recording->sum));
	for (uint32_t i = 0; i < load->config.threads; i++)
		series_take(load->threads[i].series, recording->next, &recording->sum);
	write_second(recording, seconds);
	recording->next++;
}

/* Whether a second is over for all threads, and some thread is still there to go on. */
static bool all_passed(struct load *load, uint64_t second)
{
	bool all = true, over = true;

	for (uint32_t i = 0; i < load->config.threads; i++) {
		all = all && series_passed(load->threads[i].series, second);
		over = over && series_passed(load->threads[i].series, SERIES_OVER - 1);
	}
	return all && !over;
}

void recording_collect(struct recording *recording, struct load *load)
{
	bool any = false;

	while (all_passed(load, recording->next)) {
		take_second(recording, load, 1);
		any = true;
	}
	if (any && fflush(recording->series) && !recording->error)
		recording->error = errno;
}

void recording_end(struct recording *recording, struct load *load, double seconds)
{
	uint64_t last = 0, late = 0;

	for (uint32_t i = 0; i < load->config.threads; i++) {
		const struct series *series = load->threads[i].series;

		last = series->second > last ? series->second : last;
		late += series->late;
	}
	while (recording->next <= last) {
		double left = seconds - (double)recording->next;

		take_second(recording, load, left > 1 || left <= 0 ? 1 : left);
	}
	if (late)
		fprintf(stderr,
			"abaft load: --record could not follow: %" PRIu64 " numbers stand in an "
			"earlier second than theirs; the totals are right\n",
			late);
}

/* The text and a newline, as a file of the folder. */
static int write_file(const struct recording *recording, const char *name, const char *text)
{
	FILE *file = open_file(recording, name);
	int err = 0;

	if (!file)
		return path_failed(recording, name, errno);
	if (fputs(text, file) < 0 || fputc('\n', file) < 0)
		err = errno;
	if (fclose(file) && !err)
		err = errno;
	return err ? path_failed(recording, name, err) : COMMAND_OK;
}

static bool add_point(cJSON *points, double latency_us, double share)
{
	double pair[2] = {latency_us, share};
	cJSON *point = cJSON_CreateDoubleArray(pair, 2);

	return point && cJSON_AddItemToArray(points, point);
}

/* A point for each bucket that is not empty; the last is the true maximum. NULL: no memory. */
static char *percentiles_json(const struct latency *latency)
{
	cJSON *root = cJSON_CreateObject(), *points = NULL;
	char *text = NULL;
	uint64_t sum = 0;
	bool ok = root && cJSON_AddStringToObject(root, "unit", "us") &&
		  cJSON_AddNumberToObject(root, "count", (double)latency->count) &&
		  (points = cJSON_AddArrayToObject(root, "points"));

	for (uint32_t i = 0; ok && i < LATENCY_BUCKETS && sum < latency->count; i++) {
		uint64_t ns = histogram_middle(i, LATENCY_SUB_BITS);

		sum += latency->bucket[i];
		if (sum == latency->count || ns > latency->max_ns)
			ns = latency->max_ns;
		if (latency->bucket[i])
			ok = add_point(points, (double)ns / 1000,
				       (double)sum / (double)latency->count);
	}
	if (ok)
		text = cJSON_PrintUnformatted(root);
	cJSON_Delete(root);
	return text;
}

int recording_result(struct recording *recording, const struct load *load,
		     const struct load_counts *counts, double seconds)
{
	char *text = load_json(load, counts, seconds);
	char *percentiles = percentiles_json(&counts->latency);
	int code = COMMAND_OK;

	recording->complete = true; /* what is there is worth keeping */
	if (fclose(recording->series) && !recording->error)
		recording->error = errno;
	recording->series = NULL;
	if (recording->error)
		code = path_failed(recording, SERIES, recording->error);
	else if (!text || !percentiles)
		code = command_failed("recording", ABAFT_NO_MEMORY);
	if (code == COMMAND_OK)
		code = write_file(recording, LOAD, text);
	if (code == COMMAND_OK)
		code = write_file(recording, PERCENTILES, percentiles);
	cJSON_free(text);
	cJSON_free(percentiles);
	return code;
}

void recording_close(struct recording *recording)
{
	if (!recording)
		return;
	if (recording->series) {
		fclose(recording->series);
		if (!recording->complete)
			remove_file(recording, SERIES);
	}
	if (recording->made && !recording->complete)
		(void)rmdir(recording->folder);
	free(recording->folder);
	free(recording);
}
