/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stats.c - `abaft stats`: a node's pinned maps, printed once or at intervals.
 *
 * Asks no node: it reads what the node has written, also of one that was killed.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "telemetry/json.h"
#include "telemetry/prometheus.h"
#include "telemetry/scrape.h"
#include "tools/command/command.h"
#include "tools/command/value.h"
#include "tools/telemetry/choose.h"
#include "tools/telemetry/stats_table.h"

static const char stats_help[] =
	"usage: abaft stats [OPTION...]\n\n"
	"Prints what a node of this host counts and measures, from its pinned BPF maps: as root,\n"
	"without asking the node. Of a node that was killed it prints the last numbers, says on\n"
	"stderr that it is gone, and exits with 0.\n\n"
	"  -d, --pin-dir FOLDER   the node's pin-dir (the only node's there is)\n"
	"  -j, --json             one JSON object: the same as -w json\n"
	"      --prometheus       the text that /metrics serves\n"
	"  -e, --every SECONDS    a line with a JSON object at each interval; waits for the node\n"
	"                         while it is restarted\n"
	"  -c, --count N          with --every: end after N intervals\n"
	"  -b, --buckets          the histograms' buckets, too, where they are not empty\n"
	"  -A, --all              in the table: what is zero, too\n"
	"  -w, --write FORMAT     write data as `text` (default) or `json`\n"
	"  -h, --help             this text\n";

enum { OPTION_PROMETHEUS = 1000 };

struct stats_options {
	struct command_options command;
	const char *pin_dir;
	double every_s;
	uint64_t count;
	bool prometheus, buckets, all;
};

/* All that is opened for one node. */
struct watched {
	char path[SCRAPE_PATH_BYTES];
	struct scrape *scrape;
	struct snapshot *snapshot;
	bool said_gone;
};

static int out_of_memory(void)
{
	fputs("abaft: out of memory for the node's numbers\n", stderr);
	return COMMAND_FAILED;
}

static int print_prometheus(const struct snapshot *snapshot)
{
	struct prometheus_text text = {0};
	int err = prometheus_write(&text, snapshot);

	if (err == 0)
		fwrite(text.data, 1, text.bytes, stdout);
	else
		fprintf(stderr, "abaft: the text for Prometheus cannot be made: %s\n",
			strerror(-err));
	prometheus_free(&text);
	return err == 0 ? COMMAND_OK : COMMAND_FAILED;
}

static int print_line(const struct watched *watched, bool buckets)
{
	cJSON *json = snapshot_json(watched->snapshot, watched->path, buckets);
	char *text = json ? cJSON_PrintUnformatted(json) : NULL;

	if (text)
		puts(text);
	cJSON_free(text);
	cJSON_Delete(json);
	return text ? COMMAND_OK : out_of_memory();
}

static int print_once(const struct watched *watched, const struct stats_options *options)
{
	if (options->prometheus)
		return print_prometheus(watched->snapshot);
	if (options->command.json) {
		value_print_json(snapshot_json(watched->snapshot, watched->path, options->buckets));
		return COMMAND_OK;
	}
	if (!stats_table_print(watched->snapshot, stdout, options->all, options->buckets))
		return out_of_memory();
	return COMMAND_OK;
}

static int watch_open(struct watched *watched, const char *pin_dir)
{
	int code = choose_open(pin_dir, &watched->scrape, watched->path);

	if (code != COMMAND_OK)
		return code;
	watched->snapshot = scrape_alloc(watched->scrape);
	return watched->snapshot ? COMMAND_OK : out_of_memory();
}

static void watch_close(struct watched *watched)
{
	free(watched->snapshot);
	scrape_close(watched->scrape);
	watched->snapshot = NULL;
	watched->scrape = NULL;
}

/* Reads again, of the node as it now is. Says once when it goes and when it comes back. */
static bool watch_again(struct watched *watched)
{
	char why[SCRAPE_WHY_BYTES];
	int err = 0;

	if (watched->scrape != NULL && scrape_outdated(watched->scrape))
		watch_close(watched);
	if (watched->scrape == NULL) {
		err = scrape_open(&watched->scrape, watched->path, why);
		if (err == 0)
			watched->snapshot = scrape_alloc(watched->scrape);
	}
	if (err == 0 && watched->snapshot != NULL)
		err = scrape_read(watched->scrape, watched->snapshot, why);
	if (err != 0 || watched->snapshot == NULL) {
		watch_close(watched);
		if (!watched->said_gone)
			fprintf(stderr, "abaft: %s; waiting for it\n",
				err != 0 ? why : strerror(ENOMEM));
		watched->said_gone = true;
		return false;
	}
	if (watched->said_gone && watched->snapshot->alive)
		fputs("abaft: the node is back\n", stderr);
	else if (!watched->said_gone)
		choose_say_dead(watched->snapshot);
	watched->said_gone = !watched->snapshot->alive;
	return true;
}

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* Until the next interval, at the intervals' own times, so that they do not drift. Those that were
 * missed, because who reads our output did not, are left out. */
static void wait_until(uint64_t *next_ns, uint64_t every_ns)
{
	struct timespec next;
	uint64_t now = now_ns();

	*next_ns += every_ns;
	if (*next_ns < now)
		*next_ns += (now - *next_ns) / every_ns * every_ns;
	next.tv_sec = (time_t)(*next_ns / 1000000000);
	next.tv_nsec = (long)(*next_ns % 1000000000);
	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &next, NULL) == EINTR)
		;
}

static int print_series(struct watched *watched, const struct stats_options *options)
{
	uint64_t every_ns = (uint64_t)(options->every_s * 1e9), next_ns = now_ns();

	for (uint64_t i = 0; options->count == 0 || i < options->count; i++) {
		if (i != 0)
			wait_until(&next_ns, every_ns);
		if (!watch_again(watched))
			continue;
		if (print_line(watched, options->buckets) != COMMAND_OK)
			return COMMAND_FAILED;
		if (fflush(stdout))
			break; /* main says it */
	}
	return COMMAND_OK;
}

static bool take_every(const char *text, double *out)
{
	char *end;

	*out = strtod(text, &end);
	if (*text && !*end && *out >= 0.01 && *out <= 86400)
		return true;
	fprintf(stderr, "abaft: --every is '%s'; give seconds from 0.01 to 86400\n", text);
	return false;
}

static bool take_options(int argc, char **argv, struct stats_options *options, int *code)
{
	static const struct option longs[] = {{"help", no_argument, NULL, 'h'},
					      {"write", required_argument, NULL, 'w'},
					      {"pin-dir", required_argument, NULL, 'd'},
					      {"json", no_argument, NULL, 'j'},
					      {"prometheus", no_argument, NULL, OPTION_PROMETHEUS},
					      {"every", required_argument, NULL, 'e'},
					      {"count", required_argument, NULL, 'c'},
					      {"buckets", no_argument, NULL, 'b'},
					      {"all", no_argument, NULL, 'A'},
					      {0}};
	int option;

	optind = 0;
	while ((option = getopt_long(argc, argv, "hw:d:je:c:bA", longs, NULL)) != -1) {
		*code = COMMAND_USAGE;
		if (option == 'd')
			options->pin_dir = optarg;
		else if (option == 'j')
			options->command.json = true;
		else if (option == OPTION_PROMETHEUS)
			options->prometheus = true;
		else if (option == 'b')
			options->buckets = true;
		else if (option == 'A')
			options->all = true;
		else if (option == 'e' && !take_every(optarg, &options->every_s))
			return false;
		else if (option == 'c' &&
			 !command_number("--count", optarg, 1, UINT32_MAX, &options->count))
			return false;
		else if (option != 'e' && option != 'c' &&
			 !command_option(&options->command, option, "stats", stats_help, code))
			return false;
	}
	*code = COMMAND_USAGE;
	if (optind == argc && (options->count == 0 || options->every_s > 0) &&
	    !(options->prometheus && (options->every_s > 0 || options->command.json)))
		return true;
	fputs("abaft: stats takes no argument, --count only with --every, and --prometheus alone; "
	      "see `abaft stats --help`\n",
	      stderr);
	return false;
}

int command_stats(int argc, char **argv)
{
	struct stats_options options = {0};
	struct watched watched = {0};
	char why[SCRAPE_WHY_BYTES];
	int code;

	if (!take_options(argc, argv, &options, &code))
		return code;
	code = watch_open(&watched, options.pin_dir);
	if (code != COMMAND_OK)
		goto out;
	if (options.every_s > 0) {
		code = print_series(&watched, &options);
		goto out;
	}
	if (scrape_read(watched.scrape, watched.snapshot, why) != 0) {
		fprintf(stderr, "abaft: %s\n", why);
		code = COMMAND_FAILED;
		goto out;
	}
	choose_say_dead(watched.snapshot);
	code = print_once(&watched, &options);
out:
	watch_close(&watched);
	return code;
}
