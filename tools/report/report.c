/* SPDX-License-Identifier: Apache-2.0 */
/*
 * report.c - `abaft report`: the command line, and the file that comes of it.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tools/report/report.h"

static const char help[] =
	"usage: abaft report [OPTION...] DIR...\n\n"
	"Makes a page, with plots, of what `abaft load --record DIR` left in a folder, and of "
	"what\n"
	"the node did meanwhile if that is there, too: DIR/report.html, to be looked at by any\n"
	"browser, without network. Several folders are compared, on one page.\n\n"
	"  abaft stats --json --buckets --every 1 > run/stats.jsonl &    # if on the node's host\n"
	"  abaft load --record run -s 60\n"
	"  abaft report run\n\n"
	"  -o, --output FILE      write the page there; needed with several folders\n"
	"  -h, --help             this text\n\n"
	"Needs gnuplot (package gnuplot-nox).\n"
	"exit codes: 0 done; 2 the command line is wrong; 6 a folder is not what it should be, or\n"
	"the page cannot be made\n";

static const struct option options[] = {
	{"help", no_argument, NULL, 'h'},
	{"output", required_argument, NULL, 'o'},
	{NULL, 0, NULL, 0},
};

static int usage(const char *complaint)
{
	fprintf(stderr, "abaft report: %s; see `abaft report --help`\n", complaint);
	return COMMAND_USAGE;
}

static int failed(const char *path)
{
	fprintf(stderr, "abaft report: %s: %s\n", path, strerror(errno));
	return COMMAND_FAILED;
}

/* The page beside its place first, so that what is there stays when something fails. */
static int write_page(const struct report_run *runs, uint32_t count, const char *path)
{
	char *beside;
	FILE *page;
	bool bad;
	int code;

	if (asprintf(&beside, "%s.new", path) < 0)
		return command_failed("writing the page", ABAFT_NO_MEMORY);
	page = fopen(beside, "we");
	if (!page) {
		code = failed(beside);
		free(beside);
		return code;
	}
	code = report_page(page, runs, count);
	bad = ferror(page);
	bad |= fclose(page) != 0;
	if (bad && code == COMMAND_OK)
		code = failed(beside);
	if (code == COMMAND_OK && rename(beside, path))
		code = failed(path);
	if (code != COMMAND_OK)
		(void)unlink(beside);
	free(beside);
	return code;
}

static int run(char **folders, uint32_t count, const char *output)
{
	struct report_run *runs = calloc(count, sizeof(*runs));
	char *path = NULL;
	int code = runs ? COMMAND_OK : command_failed("reading", ABAFT_NO_MEMORY);

	for (uint32_t r = 0; code == COMMAND_OK && r < count; r++)
		code = report_run_read(&runs[r], folders[r]);
	if (code == COMMAND_OK && !output && asprintf(&path, "%s/report.html", folders[0]) < 0) {
		path = NULL;
		code = command_failed("writing the page", ABAFT_NO_MEMORY);
	}
	if (code == COMMAND_OK)
		code = write_page(runs, count, output ? output : path);
	if (code == COMMAND_OK)
		printf("%s\n", output ? output : path);
	for (uint32_t r = 0; runs && r < count; r++)
		report_run_free(&runs[r]);
	free(runs);
	free(path);
	return code;
}

int command_report(int argc, char **argv)
{
	const char *output = NULL;
	int option, count;

	optind = 0;
	while ((option = getopt_long(argc, argv, "ho:", options, NULL)) != -1) {
		if (option == 'h') {
			fputs(help, stdout);
			return COMMAND_OK;
		}
		if (option != 'o')
			return COMMAND_USAGE;
		output = optarg;
	}
	count = argc - optind;
	if (count < 1)
		return usage("name the folder of a recorded run");
	if (count > REPORT_RUNS_MAX)
		return usage("at most 6 runs can be compared");
	if (count > 1 && !output)
		return usage("with several folders name the page: --output FILE");
	return run(argv + optind, (uint32_t)count, output);
}
