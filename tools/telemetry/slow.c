// SPDX-License-Identifier: Apache-2.0
/*
 * slow.c - `abaft slow`: prints slow transactions of a node of this host as they come.
 */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "telemetry/scrape.h"
#include "tools/command/command.h"
#include "tools/telemetry/choose.h"
#include "tools/telemetry/slow_text.h"

#define PAUSE_MS    100
#define ALIVE_TURNS 10

static const char help[] =
	"usage: abaft slow [OPTION...]\n\n"
	"Prints the transactions whose last request took longer in a node of this host than its\n"
	"threshold (`slow` in its configuration), each with its phases: those that are there,\n"
	"then, until interrupted, those that come. It reads the maps that the node pins, as root;\n"
	"the node does not notice. Of a dead node it prints what is there, says so, and ends.\n\n"
	"  -d, --pin-dir FOLDER   the node's pin-dir (the only node's there is)\n"
	"  -n, --last N           print the last N that are there, and end\n"
	"  -c, --count N          end after N\n"
	"  -m, --min MS           only those that took so long or longer, in milliseconds\n"
	"  -w, --write FORMAT     `text` (default) or `json`: an object a line\n"
	"  -h, --help             this text\n\n"
	"A worker keeps its last 256. How many were overwritten before they could be read is\n"
	"said on stderr, and in JSON by `lost` of the next one.\n";

struct slow {
	const char *named; /* --pin-dir */
	char path[SCRAPE_PATH_BYTES];
	bool json;
	uint64_t last;	/* 0: follow */
	uint64_t count; /* 0: no end */
	double min_ns;
	struct scrape *scrape;
	struct snapshot *snapshot;
	uint64_t next[ABAFT_WORKERS_MAX]; /* sequence to ask for */
	uint64_t lost;			  /* not yet told in JSON */
	uint64_t printed;
	/* What one look found, of all workers. */
	struct slow_txn *txns;
	uint32_t txns_count, txns_max;
};

static atomic_bool interrupted;

static void on_signal(int number)
{
	atomic_store_explicit(&interrupted, true, memory_order_relaxed);
}

static bool take_min(struct slow *slow)
{
	char *end;
	double value = strtod(optarg, &end);

	if (end == optarg || *end || !(value >= 0 && value <= 1e9)) {
		fprintf(stderr, "abaft: --min is '%s'; give milliseconds from 0 to 1000000000\n",
			optarg);
		return false;
	}
	slow->min_ns = value * 1e6;
	return true;
}

static bool take_option(struct slow *slow, int option, int *code)
{
	struct command_options options = {.json = slow->json};
	bool go_on;

	*code = COMMAND_USAGE;
	switch (option) {
	case 'd':
		slow->named = optarg;
		return true;
	case 'n':
		return command_number("--last", optarg, 1, 1u << 30, &slow->last);
	case 'c':
		return command_number("--count", optarg, 1, 1u << 30, &slow->count);
	case 'm':
		return take_min(slow);
	default:
		go_on = command_option(&options, option, "slow", help, code);
		slow->json = options.json;
		return go_on;
	}
}

static bool take_options(struct slow *slow, int argc, char **argv, int *code)
{
	static const struct option longs[] = {{"help", no_argument, NULL, 'h'},
					      {"pin-dir", required_argument, NULL, 'd'},
					      {"last", required_argument, NULL, 'n'},
					      {"count", required_argument, NULL, 'c'},
					      {"min", required_argument, NULL, 'm'},
					      {"write", required_argument, NULL, 'w'},
					      {0}};
	int option;

	optind = 0;
	while ((option = getopt_long(argc, argv, "hd:n:c:m:w:", longs, NULL)) != -1)
		if (!take_option(slow, option, code))
			return false;
	if (optind == argc)
		return true;
	fprintf(stderr, "abaft: slow takes no argument '%s'; see `abaft slow --help`\n",
		argv[optind]);
	*code = COMMAND_USAGE;
	return false;
}

static void close_node(struct slow *slow)
{
	scrape_close(slow->scrape);
	slow->scrape = NULL;
	free(slow->snapshot);
	slow->snapshot = NULL;
	free(slow->txns);
	slow->txns = NULL;
}

static int open_node(struct slow *slow, char *why)
{
	int err = scrape_open(&slow->scrape, slow->path, why);

	if (err) {
		slow->scrape = NULL;
		return err;
	}
	memset(slow->next, 0, sizeof(slow->next));
	slow->snapshot = scrape_alloc(slow->scrape);
	if (slow->snapshot)
		err = scrape_read(slow->scrape, slow->snapshot, why);
	if (slow->snapshot && !err) {
		slow->txns_max = slow->snapshot->workers * SLOW_TXNS;
		slow->txns = calloc(slow->txns_max, sizeof(*slow->txns));
	}
	if (!err && !slow->txns) {
		snprintf(why, SCRAPE_WHY_BYTES, "out of memory");
		err = -ENOMEM;
	}
	if (err)
		close_node(slow);
	return err;
}

static int by_time(const void *a, const void *b)
{
	const struct slow_txn *x = a, *y = b;

	if (x->unix_us != y->unix_us)
		return x->unix_us < y->unix_us ? -1 : 1;
	if (x->worker != y->worker)
		return x->worker < y->worker ? -1 : 1;
	return x->sequence < y->sequence ? -1 : x->sequence > y->sequence;
}

/* What all workers have that was not read yet, in the order of time. */
static void look(struct slow *slow)
{
	uint32_t kept = 0;

	slow->txns_count = 0;
	for (uint32_t w = 0; w < slow->snapshot->workers && w < ABAFT_WORKERS_MAX; w++) {
		uint64_t lost = 0;

		slow->txns_count += scrape_slow(slow->scrape, w, &slow->next[w],
						slow->txns + slow->txns_count, SLOW_TXNS, &lost);
		if (lost)
			fprintf(stderr,
				"abaft: slow: %" PRIu64
				" of worker %u were overwritten before they could be read\n",
				lost, w);
		slow->lost += lost;
	}
	for (uint32_t i = 0; i < slow->txns_count; i++)
		if ((double)slow_total_ns(&slow->txns[i]) >= slow->min_ns)
			slow->txns[kept++] = slow->txns[i];
	slow->txns_count = kept;
	qsort(slow->txns, slow->txns_count, sizeof(*slow->txns), by_time);
}

static bool print_one(struct slow *slow, const struct slow_txn *txn)
{
	char line[SLOW_LINE_BYTES], *json;

	if (!slow->json) {
		slow_line(txn, line);
		puts(line);
		return true;
	}
	json = slow_json(txn, slow->lost);
	slow->lost = 0;
	if (!json) {
		fputs("abaft: slow: out of memory\n", stderr);
		return false;
	}
	puts(json);
	free(json);
	return true;
}

/* Prints what the last look found; true: that was all that is wanted, or it failed. */
static bool print(struct slow *slow, int *code)
{
	uint32_t first = 0;

	if (slow->last && slow->last < slow->txns_count)
		first = slow->txns_count - (uint32_t)slow->last;
	for (uint32_t i = first; i < slow->txns_count; i++) {
		if (!print_one(slow, &slow->txns[i])) {
			*code = COMMAND_FAILED;
			return true;
		}
		if (++slow->printed == slow->count)
			return true;
	}
	if (fflush(stdout)) {
		*code = COMMAND_FAILED;
		return true;
	}
	return slow->last != 0;
}

/* Opens what stands in the folder now. True: no node has pinned its maps yet. */
static bool reopen(struct slow *slow, bool *told)
{
	char why[SCRAPE_WHY_BYTES];

	if (slow->scrape && !*told)
		fputs("abaft: slow: the node ended; waiting for another\n", stderr);
	*told = true;
	close_node(slow);
	if (open_node(slow, why))
		return true;
	*told = false;
	fprintf(stderr, "abaft: slow: on with process %u\n", slow->snapshot->node.pid);
	return false;
}

static void wait_a_little(void)
{
	struct timespec pause = {.tv_nsec = PAUSE_MS * 1000000};

	nanosleep(&pause, NULL);
}

/* Reads the node's own facts: whether it lives. Not at each look, as it reads all else with them.
 */
static int ask_alive(struct slow *slow)
{
	char why[SCRAPE_WHY_BYTES];
	int err = scrape_read(slow->scrape, slow->snapshot, why);

	if (err)
		fprintf(stderr, "abaft: slow: %s\n", why);
	return err;
}

/* Until interrupted, or all is printed that was asked for. Who was dead from the start, or is asked
 * for what is there, is not waited for. */
static int follow(struct slow *slow)
{
	bool was_alive = false, told = false, done = false;
	int code = COMMAND_OK;

	for (unsigned int turn = 0; !done && !atomic_load(&interrupted); turn++) {
		bool alive;

		if (turn > 0)
			wait_a_little();
		if (slow->scrape && scrape_outdated(slow->scrape)) {
			look(slow); /* what it wrote last */
			done = print(slow, &code);
			if (done || reopen(slow, &told))
				continue;
		} else if (!slow->scrape && reopen(slow, &told)) {
			continue;
		}
		/* Asked first: who is dead then adds nothing to what is read after it. */
		if (turn % ALIVE_TURNS == 0 && ask_alive(slow))
			return COMMAND_FAILED;
		alive = slow->snapshot->alive;
		was_alive |= alive;
		look(slow);
		done = print(slow, &code);
		if (alive || told)
			continue;
		told = true;
		fprintf(stderr, "abaft: slow: the node is dead: process %u of %s ended%s\n",
			slow->snapshot->node.pid, slow->path,
			was_alive && !done ? "; waiting for another" : "");
		done |= !was_alive;
	}
	return code;
}

int command_slow(int argc, char **argv)
{
	struct sigaction action = {.sa_handler = on_signal};
	struct slow *slow = calloc(1, sizeof(*slow));
	char why[SCRAPE_WHY_BYTES];
	int code = COMMAND_FAILED;

	if (!slow) {
		fputs("abaft: slow: out of memory\n", stderr);
		return COMMAND_FAILED;
	}
	if (!take_options(slow, argc, argv, &code))
		goto out;
	code = choose_node(slow->named, slow->path);
	if (code != COMMAND_OK)
		goto out;
	code = COMMAND_FAILED;
	if (open_node(slow, why)) {
		fprintf(stderr, "abaft: slow: %s\n", why);
		goto out;
	}
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	code = follow(slow);
	close_node(slow);
out:
	free(slow);
	return code;
}
