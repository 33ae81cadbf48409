/* SPDX-License-Identifier: Apache-2.0 */
/*
 * run.c - the simulation's command: runs seeds, replays one, shrinks what fails. TAP comes out.
 *
 * tests/sim/run calls it. `--help` says how; ABAFT_SEED and ABAFT_SEEDS say the same as options.
 */
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/world/campaign.h"

/* From so many seeds on every fault should have come. */
#define SEEDS_FOR_ALL  200
#define SHRINK_TRIES   300
#define SHRINK_SECONDS 120

/* Of the sources (commit.c.in). */
extern const char world_commit[];

static const char help[] =
	"usage: world [OPTION...]\n\n"
	"Runs a whole node, its clients, network, disks and clocks in virtual time. All that\n"
	"happens follows from the seed; a run that fails is made smaller, and the command that\n"
	"replays it is printed.\n\n"
	"      --seed S           the first seed (default 1)\n"
	"      --seeds N          how many (default 1)\n"
	"      --requests N       requests of a run, whatever the seed says\n"
	"      --with FAULTS      always these, between commas (see --faults)\n"
	"      --without FAULTS   never these\n"
	"      --leave-out LIST   requests that are not begun: 3,7-9\n"
	"      --no-telemetry     workers have none; what happens is the same\n"
	"      --no-shrink        a failing run is not made smaller\n"
	"      --faults           lists the faults\n"
	"  -v, --verbose          prints what happens\n"
	"  -h, --help             this text\n";

static const char *const fault_names[] = {
#define FAULT_NAME(name, text) #name,
	WORLD_FAULTS(FAULT_NAME)
#undef FAULT_NAME
};

static const char *const fault_texts[] = {
#define FAULT_TEXT(name, text) text,
	WORLD_FAULTS(FAULT_TEXT)
#undef FAULT_TEXT
};

struct command {
	struct world_options options;
	uint64_t seeds;
	bool no_shrink;
	uint8_t left_out[WORLD_REQUESTS_MAX];
};

__attribute__((noreturn)) static void usage(const char *what, const char *value)
{
	fprintf(stderr, "world: %s '%s'; see world --help\n", what, value);
	exit(2);
}

static uint64_t number_of(const char *text)
{
	char *end;
	uint64_t number = strtoull(text, &end, 0);

	if (end == text || *end)
		usage("not a number:", text);
	return number;
}

static uint32_t faults_of(char *list)
{
	uint32_t faults = 0;
	char *rest;

	for (char *name = strtok_r(list, ",", &rest); name; name = strtok_r(NULL, ",", &rest)) {
		uint32_t i = 0;

		while (i < WORLD_FAULT_COUNT && strcmp(fault_names[i], name))
			i++;
		if (i == WORLD_FAULT_COUNT)
			usage("no fault is called", name);
		faults |= 1u << i;
	}
	return faults;
}

static void leave_out(struct command *command, char *list)
{
	char *rest;

	for (char *item = strtok_r(list, ",", &rest); item; item = strtok_r(NULL, ",", &rest)) {
		char *dash = strchr(item, '-');
		uint64_t first, last;

		if (dash)
			*dash = '\0';
		first = number_of(item);
		last = dash ? number_of(dash + 1) : first;
		for (uint64_t i = first; i <= last && i < WORLD_REQUESTS_MAX; i++)
			command->left_out[i] = 1;
	}
	command->options.left_out = command->left_out;
}

__attribute__((noreturn)) static void list_faults(void)
{
	for (uint32_t i = 0; i < WORLD_FAULT_COUNT; i++)
		printf("%-14s %s\n", fault_names[i], fault_texts[i]);
	exit(0);
}

static const struct option long_options[] = {
	{"seed", required_argument, NULL, 's'},	    {"seeds", required_argument, NULL, 'n'},
	{"requests", required_argument, NULL, 'r'}, {"with", required_argument, NULL, 'w'},
	{"without", required_argument, NULL, 'o'},  {"leave-out", required_argument, NULL, 'l'},
	{"no-telemetry", no_argument, NULL, 't'},   {"no-shrink", no_argument, NULL, 'k'},
	{"faults", no_argument, NULL, 'f'},	    {"verbose", no_argument, NULL, 'v'},
	{"help", no_argument, NULL, 'h'},	    {NULL, 0, NULL, 0},
};

static void take_option(struct command *command, int option)
{
	struct world_options *options = &command->options;

	switch (option) {
	case 's':
		options->seed = number_of(optarg);
		break;
	case 'n':
		command->seeds = number_of(optarg);
		break;
	case 'r':
		options->requests = (uint32_t)number_of(optarg);
		if (options->requests > WORLD_REQUESTS_MAX)
			usage("too many requests:", optarg);
		break;
	case 'w':
		options->faults_on |= faults_of(optarg);
		break;
	case 'o':
		options->faults_off |= faults_of(optarg);
		break;
	case 'l':
		leave_out(command, optarg);
		break;
	case 't':
		options->no_telemetry = true;
		break;
	case 'k':
		command->no_shrink = true;
		break;
	case 'f':
		list_faults();
	case 'v':
		options->verbose = true;
		break;
	case 'h':
		fputs(help, stdout);
		exit(0);
	default:
		exit(2);
	}
}

static void parse(struct command *command, int argc, char **argv)
{
	const char *seed = getenv("ABAFT_SEED"), *seeds = getenv("ABAFT_SEEDS");
	int option;

	command->options.seed = seed ? number_of(seed) : 1;
	command->seeds = seeds ? number_of(seeds) : 1;
	while ((option = getopt_long(argc, argv, "vh", long_options, NULL)) != -1)
		take_option(command, option);
	if (optind < argc)
		usage("what is", argv[optind]);
}

static void print_faults(const char *option, uint32_t faults)
{
	const char *before = option;

	for (uint32_t i = 0; i < WORLD_FAULT_COUNT; i++) {
		if (!(faults >> i & 1))
			continue;
		printf("%s%s", before, fault_names[i]);
		before = ",";
	}
}

static void print_left_out(const struct shrunk *shrunk)
{
	const char *before = " --leave-out ";

	for (uint32_t i = 0; i < shrunk->options.requests; i++) {
		uint32_t first = i;

		if (!shrunk->left_out[i])
			continue;
		while (i + 1 < shrunk->options.requests && shrunk->left_out[i + 1])
			i++;
		printf("%s%u", before, first);
		if (i > first)
			printf("-%u", i);
		before = ",";
	}
}

static void print_shrunk(const struct shrunk *shrunk)
{
	const struct world_options *options = &shrunk->options;

	printf("# %u requests are left, after %u tries; faults:", shrunk->requests, shrunk->tries);
	print_faults(" ", shrunk->plan.faults);
	printf("\n# replay: tests/sim/run -v --no-shrink --seed %" PRIu64 " --requests %u",
	       options->seed, options->requests);
	print_faults(" --with ", options->faults_on & ~options->faults_off);
	print_faults(" --without ", options->faults_off);
	print_left_out(shrunk);
	printf("\n");
}

static void print_failure(const struct command *command, const struct campaign *campaign)
{
	struct world_options options = command->options;
	struct shrunk shrunk;

	options.seed = campaign->seed;
	printf("not ok 1 - seed %" PRIu64 ": %s\n# commit %s\n", campaign->seed,
	       campaign->report.rule, world_commit);
	if (command->no_shrink)
		return;
	fflush(stdout);
	shrink(&shrunk, &options, &campaign->report, SHRINK_TRIES, SHRINK_SECONDS);
	print_shrunk(&shrunk);
	shrink_free(&shrunk);
}

static void print_counts(const struct campaign *campaign)
{
	const struct world_counts *c = &campaign->counts;
	double seconds = (double)(campaign->cpu_us ? campaign->cpu_us : 1) / 1e6;

	for (uint32_t i = 0; i < WORLD_FAULT_COUNT; i++)
		printf("# %12" PRIu64 "  %s\n", c->fault[i], fault_texts[i]);
	printf("#\n");
#define COUNT_LINE(name, text) printf("# %12" PRIu64 "  %s\n", c->name, text);
	WORLD_COUNTS(COUNT_LINE)
#undef COUNT_LINE
	printf("# %.1f s of a core: %.0f transactions and %.0f operations a second\n", seconds,
	       (double)c->committed / seconds, (double)c->operations / seconds);
}

/* The first fault that never came; NULL: all did. */
static const char *missing_fault(const struct command *command, const struct world_counts *counts)
{
	for (uint32_t i = 0; i < WORLD_FAULT_COUNT; i++)
		if (!counts->fault[i] && !(command->options.faults_off >> i & 1))
			return fault_texts[i];
	return counts->cold && counts->cleaned && counts->handed_over ? NULL : "ways through it";
}

/* The last seed once more, with telemetry or without: the same trace? */
static bool replays(const struct command *command, struct campaign *campaign, uint64_t trace,
		    bool no_telemetry)
{
	struct world_options options = command->options;

	options.seed += command->seeds - 1;
	options.verbose = false;
	options.no_telemetry = no_telemetry;
	return campaign_run(campaign, &options, 1) && campaign->trace == trace;
}

int main(int argc, char **argv)
{
	static struct command command;
	struct campaign *campaign = campaign_create();
	const char *missing = NULL;
	bool well, replayed;
	uint64_t trace;

	setvbuf(stdout, NULL, _IOLBF, 0);
	parse(&command, argc, argv);
	printf("1..4\n");
	well = campaign_run(campaign, &command.options, command.seeds);
	if (!well) {
		print_failure(&command, campaign);
		return 1;
	}
	printf("ok 1 - seeds %" PRIu64 " to %" PRIu64 "\n", command.options.seed,
	       command.options.seed + command.seeds - 1);
	print_counts(campaign);
	if (command.seeds >= SEEDS_FOR_ALL)
		missing = missing_fault(&command, &campaign->counts);
	trace = campaign->trace;
	replayed = replays(&command, campaign, trace, command.options.no_telemetry);
	printf("%sok 2 - the last seed replays: trace %016" PRIx64 "\n", replayed ? "" : "not ",
	       trace);
	well = replays(&command, campaign, trace, !command.options.no_telemetry);
	printf("%sok 3 - telemetry, or none, changes nothing\n", well ? "" : "not ");
	printf("%sok 4 - all that can happen did%s%s\n", missing ? "not " : "",
	       missing ? ", but for: " : "", missing ? missing : "");
	campaign_destroy(campaign);
	return well && replayed && !missing ? 0 : 1;
}
