// SPDX-License-Identifier: Apache-2.0
/*
 * top.c - `abaft top`: the command line, the loop, what keys do.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "tools/command/command.h"
#include "tools/telemetry/top_screen.h"
#include "tools/telemetry/top_view.h"

#define NS_PER_S      1000000000ull
#define BATCH_COLUMNS 120
#define FIRST_READ_NS (NS_PER_S / 4) /* the first rates come sooner than the others */

static const char help[] =
	"usage: abaft top [OPTION...]\n\n"
	"Shows what the nodes of this host do: rates, percentiles, the commit logs' disks, drops\n"
	"and refusals by reason. It reads the maps that nodes pin, as root, and no node notices;\n"
	"a node that died can still be looked at.\n\n"
	"  -d, --pin-dir FOLDER   look at the node that pinned its maps there; may be repeated\n"
	"                         (default: all nodes of this host, also those that start later)\n"
	"  -i, --interval S       seconds between two looks, 0.1 to 3600 (1)\n"
	"  -v, --view VIEW        begin with overview (default), workers, drops or latency\n"
	"  -b, --batch            print frames as plain text, for scripts\n"
	"  -c, --count N          with -b: end after N frames\n"
	"      --columns N        with -b: so wide (120)\n"
	"  -h, --help             this text\n\n"
	"Keys: q quit, o w d l views, Up Down Tab choose a node, PgUp PgDn scroll, p pause,\n"
	"? help.\n";

struct top {
	struct top_nodes nodes;
	struct top_settings settings;
	struct top_page page;
	bool batch;
	uint64_t count; /* frames; 0: no end */
	unsigned int scroll;
	char clock[16];
};

enum { OPTION_COLUMNS = 1000 };

static bool take_interval(struct top_settings *settings)
{
	char *end;
	double value = strtod(optarg, &end);

	if (end == optarg || *end || !(value >= 0.1 && value <= 3600)) {
		fprintf(stderr, "abaft: --interval is '%s'; give a number from 0.1 to 3600\n",
			optarg);
		return false;
	}
	settings->interval_s = value;
	return true;
}

static bool take_view(struct top_settings *settings)
{
	static const char *const names[] = {"overview", "workers", "drops", "latency"};

	for (unsigned int i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (strcmp(optarg, names[i]))
			continue;
		settings->view = (enum top_view)i;
		return true;
	}
	fprintf(stderr, "abaft: --view is '%s'; give `overview`, `workers`, `drops` or `latency`\n",
		optarg);
	return false;
}

static bool take_option(struct top *top, int option, int *code)
{
	struct command_options options = {0};
	uint64_t number = 0;

	*code = COMMAND_USAGE;
	switch (option) {
	case 'd':
		if (top_nodes_name(&top->nodes, optarg))
			return true;
		fprintf(stderr,
			"abaft: --pin-dir %s: at most %d nodes, their paths shorter than %d\n",
			optarg, TOP_NODES_MAX, SCRAPE_PATH_BYTES);
		return false;
	case 'i':
		return take_interval(&top->settings);
	case 'v':
		return take_view(&top->settings);
	case 'b':
		top->batch = true;
		return true;
	case 'c':
		return command_number("--count", optarg, 1, 1u << 30, &top->count);
	case OPTION_COLUMNS:
		if (!command_number("--columns", optarg, TOP_COLUMNS_MIN, TOP_COLUMNS_MAX, &number))
			return false;
		top->settings.columns = (unsigned int)number;
		return true;
	default:
		return command_option(&options, option, "top", help, code);
	}
}

static bool take_options(struct top *top, int argc, char **argv, int *code)
{
	static const struct option longs[] = {{"help", no_argument, NULL, 'h'},
					      {"pin-dir", required_argument, NULL, 'd'},
					      {"interval", required_argument, NULL, 'i'},
					      {"view", required_argument, NULL, 'v'},
					      {"batch", no_argument, NULL, 'b'},
					      {"count", required_argument, NULL, 'c'},
					      {"columns", required_argument, NULL, OPTION_COLUMNS},
					      {0}};
	int option;

	optind = 0;
	while ((option = getopt_long(argc, argv, "hd:i:v:bc:", longs, NULL)) != -1)
		if (!take_option(top, option, code))
			return false;
	*code = COMMAND_USAGE;
	if (optind < argc) {
		fprintf(stderr, "abaft: top takes no argument '%s'; see `abaft top --help`\n",
			argv[optind]);
		return false;
	}
	if (top->count && !top->batch) {
		fputs("abaft: --count is for -b; see `abaft top --help`\n", stderr);
		return false;
	}
	return true;
}

static uint64_t now_ns(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (uint64_t)time.tv_sec * NS_PER_S + (uint64_t)time.tv_nsec;
}

static void view(struct top *top)
{
	struct timespec time;
	struct tm day;

	top->clock[0] = '\0';
	clock_gettime(CLOCK_REALTIME, &time);
	if (localtime_r(&time.tv_sec, &day))
		strftime(top->clock, sizeof(top->clock), "%H:%M:%S", &day);
	top->settings.clock = top->clock;
	if (top->settings.chosen >= top->nodes.count)
		top->settings.chosen = top->nodes.count ? top->nodes.count - 1 : 0;
	top_view(&top->page, &top->nodes, &top->settings);
}

/* Whether there is anything to look at; if not, says why and what to do. */
static bool any(const struct top *top)
{
	const struct top_nodes *nodes = &top->nodes;

	for (unsigned int i = 0; i < nodes->count; i++)
		if (nodes->node[i].now)
			return true;
	if (nodes->count)
		fprintf(stderr, "abaft: top: %s\n", nodes->node[0].why);
	else if (geteuid() != 0)
		fputs("abaft: top: cannot look for nodes in " TOP_BPF_ROOT
		      ": needs root, or CAP_BPF and --pin-dir\n",
		      stderr);
	else
		fputs("abaft: top: no node of this host has pinned its maps under " TOP_BPF_ROOT
		      "; start one (abaftd), or name its folder (--pin-dir)\n",
		      stderr);
	return false;
}

static int run_batch(struct top *top)
{
	uint64_t interval_ns = (uint64_t)(top->settings.interval_s * 1e9), next = now_ns();

	for (uint64_t frame = 0; !top->count || frame < top->count; frame++) {
		struct timespec until;

		next += interval_ns;
		until.tv_sec = (time_t)(next / NS_PER_S);
		until.tv_nsec = (long)(next % NS_PER_S);
		while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL) == EINTR)
			;
		top_nodes_read(&top->nodes, now_ns());
		view(top);
		if (frame)
			puts("");
		top_page_print(&top->page, stdout);
		if (fflush(stdout))
			return COMMAND_FAILED;
	}
	return COMMAND_OK;
}

static void choose_view(struct top *top, enum top_view view)
{
	struct top_settings *settings = &top->settings;

	settings->view = settings->view == view ? TOP_OVERVIEW : view;
	top->scroll = 0;
}

static void choose_node(struct top *top, int step)
{
	struct top_settings *settings = &top->settings;
	int count = (int)top->nodes.count, chosen = (int)settings->chosen + step;

	if (count > 0)
		settings->chosen = (unsigned int)((chosen + count) % count);
	top->scroll = 0;
}

/* False: quit. */
static bool press(struct top *top, int key)
{
	unsigned int most = top->page.lines;

	switch (key) {
	case SCREEN_END:
	case SCREEN_CHARACTERS + 'q':
	case SCREEN_CHARACTERS + 'Q':
		return false;
	case SCREEN_UP:
		choose_node(top, -1);
		break;
	case SCREEN_DOWN:
	case SCREEN_NEXT:
		choose_node(top, 1);
		break;
	case SCREEN_PAGE_UP:
		top->scroll -= top->scroll < 5 ? top->scroll : 5;
		break;
	case SCREEN_PAGE_DOWN:
		top->scroll += top->scroll < most ? 5 : 0;
		break;
	case SCREEN_ESCAPE:
	case SCREEN_CHARACTERS + 'o':
		choose_view(top, TOP_OVERVIEW);
		break;
	case SCREEN_CHARACTERS + 'w':
		choose_view(top, TOP_WORKERS);
		break;
	case SCREEN_CHARACTERS + 'd':
		choose_view(top, TOP_DROPS);
		break;
	case SCREEN_CHARACTERS + 'l':
		choose_view(top, TOP_LATENCY);
		break;
	case SCREEN_CHARACTERS + '?':
	case SCREEN_CHARACTERS + 'h':
		choose_view(top, TOP_HELP);
		break;
	case SCREEN_CHARACTERS + 'p':
	case SCREEN_CHARACTERS + ' ':
		top->settings.paused = !top->settings.paused;
		break;
	default:
		break;
	}
	return true;
}

static void show(struct top *top)
{
	unsigned int beyond;

	screen_size(&top->settings.columns, &top->settings.rows);
	view(top);
	beyond = screen_show(&top->page, top->scroll);
	if (top->scroll > beyond) {
		top->scroll = beyond;
		screen_show(&top->page, top->scroll);
	}
}

static int run_screen(struct top *top)
{
	uint64_t interval_ns = (uint64_t)(top->settings.interval_s * 1e9), next, now;
	int key;

	if (!screen_open())
		return COMMAND_FAILED;
	next = now_ns() + (interval_ns < FIRST_READ_NS ? interval_ns : FIRST_READ_NS);
	do {
		show(top);
		now = now_ns();
		key = screen_key(next > now ? next - now : 0);
		now = now_ns();
		if (now < next)
			continue;
		if (!top->settings.paused)
			top_nodes_read(&top->nodes, now);
		next = now + interval_ns;
	} while (press(top, key));
	screen_close();
	return COMMAND_OK;
}

int command_top(int argc, char **argv)
{
	struct top *top = calloc(1, sizeof(*top));
	int code = COMMAND_FAILED;

	if (!top) {
		fputs("abaft: top: out of memory\n", stderr);
		return COMMAND_FAILED;
	}
	top->settings.interval_s = 1;
	top->settings.columns = BATCH_COLUMNS;
	if (!take_options(top, argc, argv, &code))
		goto out;
	if (!top->nodes.count)
		top->nodes.root = TOP_BPF_ROOT;
	top_nodes_read(&top->nodes, now_ns());
	code = !any(top) ? COMMAND_FAILED : top->batch ? run_batch(top) : run_screen(top);
out:
	top_nodes_close(&top->nodes);
	free(top);
	return code;
}
