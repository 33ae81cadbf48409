/* SPDX-License-Identifier: Apache-2.0 */
/*
 * demo.c - `abaft demo`: orders taken by functions that are killed and retried, once on a plain
 * key-value store and once on abaft, and what became of them; then kill -9 of the node itself.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tools/command/command.h"
#include "tools/command/value.h"
#include "tools/demo/demo.h"

static const char demo_help[] =
	"usage: abaft demo [OPTION...]\n\n"
	"Runs orders through two functions (1: reserve stock of two items; 2: charge the account "
	"and\n"
	"write the order), each run a process of its own. A part of them is killed (SIGKILL) at a\n"
	"random point and started again; readers look at the orders meanwhile. First against a\n"
	"plain key-value store without abaft, then through abaft. Then, with --start-node, the "
	"node\n"
	"is killed (SIGKILL) under load and started again. All that is printed was counted, read\n"
	"back or found by the checker. Exit code 1: something went wrong on abaft's side.\n\n"
	"  -S, --start-node ABAFTD  start this daemon on the loopback interface (root), stop it "
	"at\n"
	"                           the end; without it a running node is used and never killed\n"
	"  -W, --workers N          of the node started (1)\n"
	"  -r, --requests N         orders (200)\n"
	"  -c, --clients N          orders under way at a time (4)\n"
	"  -R, --readers N          processes that read orders meanwhile (2)\n"
	"  -k, --kill-percent N     of the function runs (40)\n"
	"  -n, --attempts N         runs of one function before the platform gives up (3)\n"
	"  -K, --crash-rounds N     kills of the node (2)\n"
	"  -m, --crash-ms MS        load before each kill, at most (1500)\n"
	"  -s, --seed N             of what is killed when (1)\n"
	"  -d, --dir DIR            keep histories, logs and data there (default: a folder in\n"
	"                           $TMPDIR or /var/tmp, removed at the end)\n"
	"  -o, --report FILE        write the figures as JSON, too\n" COMMAND_OPTIONS_HELP;

#define TIMEOUT_MS_DEFAULT 5000
/* Not /tmp, which may be in memory: the node's log wants a disk. */
#define TMPDIR_DEFAULT	   "/var/tmp"

struct demo {
	struct command_options common;
	struct demo_options options;
	struct demo_result plain, abaft;
	struct demo_crash_result crash;
	const char *report; /* --report, or NULL */
};

static pid_t plain_start(struct demo_store *store)
{
	struct sockaddr_in address = {.sin_family = AF_INET};
	socklen_t bytes = sizeof(address);
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	pid_t pid;

	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (fd < 0 || bind(fd, (struct sockaddr *)&address, bytes) ||
	    getsockname(fd, (struct sockaddr *)&address, &bytes)) {
		perror("abaft: a socket for the plain store");
		return -1;
	}
	store->port = ntohs(address.sin_port);
	pid = demo_fork();
	if (!pid) {
		plain_serve(fd);
		_exit(1);
	}
	close(fd);
	return pid;
}

/* Fills the shop, runs the orders, reads all back, judges. */
static int workload(const struct demo *demo, const struct demo_store *store,
		    struct demo_result *result)
{
	const char *name = store->kind == DEMO_PLAIN ? "plain" : "abaft";
	char history[DEMO_PATH_BYTES];

	result->counts = demo_share(sizeof(*result->counts));
	if (!result->counts) {
		fputs("abaft: out of memory\n", stderr);
		return -1;
	}
	if (!demo->common.json)
		fprintf(stderr, "%s: %u orders ...\n",
			store->kind == DEMO_PLAIN ? "plain store" : "abaft",
			demo->options.requests);
	snprintf(history, sizeof(history), "%s/%s.history", demo->options.dir, name);
	if (demo_shop_fill(&demo->options, store, history) ||
	    demo_platform_run(&demo->options, store, history, result->counts))
		return -1;
	return demo_audit(&demo->options, store, history, result);
}

static int run_plain(struct demo *demo, struct demo_store store)
{
	pid_t server;
	int status, err;

	store.kind = DEMO_PLAIN;
	server = plain_start(&store);
	if (server < 0)
		return -1;
	err = workload(demo, &store, &demo->plain);
	demo_wait(server, 0, &status);
	return err;
}

static int run_abaft(struct demo *demo, struct demo_store store)
{
	struct demo_node node = {.options = &demo->options, .store = &store};
	int err = 0;

	store.kind = DEMO_ABAFT;
	if (demo->options.node)
		err = demo_node_start(&node);
	if (!err)
		err = workload(demo, &store, &demo->abaft);
	if (!err && demo->options.node) {
		if (!demo->common.json)
			fprintf(stderr, "abaft: kill -9 of the node under load, %u times ...\n",
				demo->options.crash_rounds);
		err = demo_crash_run(&node, &demo->crash);
	}
	if (demo_node_stop(&node))
		err = -1;
	return err;
}

struct figure {
	const char *name, *text;
	uint64_t plain, abaft;
};

#define FIGURES_MAX 16

static unsigned int figures(const struct demo *demo, struct figure out[FIGURES_MAX])
{
	const struct demo_result *p = &demo->plain, *a = &demo->abaft;
	const struct figure all[] = {
#define COUNTED(name, text) {#name, text, p->counts->name, a->counts->name}
#define FOUND(name, text)                                                                          \
	{                                                                                          \
#name, text, p->name, a->name                                                      \
	}
		COUNTED(succeeded, "orders that succeeded"),
		COUNTED(given_up, "orders the platform gave up"),
		COUNTED(runs, "function runs"),
		COUNTED(kills, "  killed by SIGKILL"),
		COUNTED(failed, "  failed by themselves"),
		COUNTED(retries, "  started again"),
		COUNTED(reads, "reads of orders meanwhile"),
		COUNTED(reads_failed, "  without an answer"),
		FOUND(orders_whole, "orders whole in the end"),
		FOUND(orders_half, "orders half-written"),
		FOUND(effects_duplicate, "stock taken or charged again"),
		FOUND(reads_fractured, "reads that saw half an order"),
		FOUND(reads_dirty, "reads of what was not committed"),
		FOUND(anomalies, "all anomalies found by the checker"),
		FOUND(orders_unreadable, "orders not readable"),
#undef FOUND
#undef COUNTED
	};

	_Static_assert(sizeof(all) / sizeof(all[0]) <= FIGURES_MAX, "room for all figures");
	memcpy(out, all, sizeof(all));
	return sizeof(all) / sizeof(all[0]);
}

static bool clean(const struct demo *demo)
{
	const struct demo_result *a = &demo->abaft;

	return !a->orders_half && !a->effects_duplicate && !a->anomalies && !a->orders_unreadable &&
	       !demo->crash.lost && !demo->crash.partial && !demo->crash.unreadable;
}

static void print_text(const struct demo *demo)
{
	const struct demo_options *options = &demo->options;
	const struct demo_crash_result *crash = &demo->crash;
	struct figure all[FIGURES_MAX];
	unsigned int count = figures(demo, all);

	printf("%u orders of two functions, %u at a time; a kill aimed at %u %% of the runs, up to "
	       "%u runs each\n\n%-38s%14s%12s\n",
	       options->requests, options->clients, options->kill_percent, options->attempts, "",
	       "plain store", "abaft");
	for (unsigned int i = 0; i < count; i++)
		printf("%-38s%14llu%12llu\n", all[i].text, (unsigned long long)all[i].plain,
		       (unsigned long long)all[i].abaft);
	if (!options->node) {
		puts("\nThe node was not started by the demonstration, so it was not killed.");
		return;
	}
	printf("\nkill -9 of the node under load, %u times\n"
	       "%-38s%26llu\n%-38s%26llu\n%-38s%26llu\n%-38s%26llu\n%-38s%26llu\n%-38s%23llu ms\n",
	       crash->rounds, "commits acknowledged", (unsigned long long)crash->acknowledged,
	       "  of them lost", (unsigned long long)crash->lost,
	       "asked for, killed before the answer", (unsigned long long)crash->unanswered,
	       "  of them committed, whole", (unsigned long long)crash->unanswered_visible,
	       "transactions visible in part", (unsigned long long)crash->partial,
	       "longest restart", (unsigned long long)crash->restart_ms);
	if (crash->unreadable)
		printf("%-38s%26llu\n", "transactions not readable",
		       (unsigned long long)crash->unreadable);
}

static cJSON *json_of(const struct demo *demo)
{
	cJSON *json = cJSON_CreateObject();
	cJSON *plain = cJSON_AddObjectToObject(json, "plain");
	cJSON *abaft = cJSON_AddObjectToObject(json, "abaft");
	struct figure all[FIGURES_MAX];
	unsigned int count = figures(demo, all);

	for (unsigned int i = 0; i < count; i++) {
		cJSON_AddNumberToObject(plain, all[i].name, (double)all[i].plain);
		cJSON_AddNumberToObject(abaft, all[i].name, (double)all[i].abaft);
	}
	if (demo->options.node) {
		const struct demo_crash_result *crash = &demo->crash;
		cJSON *object = cJSON_AddObjectToObject(json, "crash");

		cJSON_AddNumberToObject(object, "rounds", crash->rounds);
		cJSON_AddNumberToObject(object, "acknowledged", (double)crash->acknowledged);
		cJSON_AddNumberToObject(object, "lost", (double)crash->lost);
		cJSON_AddNumberToObject(object, "unanswered", (double)crash->unanswered);
		cJSON_AddNumberToObject(object, "unanswered_visible",
					(double)crash->unanswered_visible);
		cJSON_AddNumberToObject(object, "partial", (double)crash->partial);
		cJSON_AddNumberToObject(object, "unreadable", (double)crash->unreadable);
		cJSON_AddNumberToObject(object, "restart_ms", (double)crash->restart_ms);
	}
	cJSON_AddBoolToObject(json, "clean", clean(demo));
	return json;
}

/* The same as -w json, into a file. */
static int write_report(const struct demo *demo)
{
	cJSON *json = json_of(demo);
	char *text = cJSON_Print(json);
	FILE *file = fopen(demo->report, "w");
	bool well = text && file && fputs(text, file) >= 0;

	if (file && fclose(file))
		well = false;
	if (!well)
		fprintf(stderr, "abaft: writing the report %s: %s\n", demo->report,
			strerror(errno));
	cJSON_free(text);
	cJSON_Delete(json);
	return well ? 0 : -1;
}

static int demo_run(struct demo *demo)
{
	struct demo_store store = {
		.address = demo->common.address ? demo->common.address : "127.0.0.1",
		.port = demo->common.port ? demo->common.port : ABAFT_UDP_PORT_DEFAULT,
		.timeout_ms =
			demo->common.timeout_ms ? demo->common.timeout_ms : TIMEOUT_MS_DEFAULT,
		.run = (uint32_t)(shop_now_us() / 1000),
	};

	if (run_plain(demo, store) || run_abaft(demo, store))
		return COMMAND_FAILED;
	if (demo->common.json)
		value_print_json(json_of(demo));
	else
		print_text(demo);
	fflush(stdout);
	if (demo->report && write_report(demo))
		return COMMAND_FAILED;
	return clean(demo) ? COMMAND_OK : COMMAND_NO;
}

static int remove_one(const char *path, const struct stat *status, int type, struct FTW *walk)
{
	return remove(path);
}

/*
 * Runs the demonstration in a child and outlives it, whatever ends it: when all processes have
 * gone (a node that lost its parent is told to stop, and becomes our child), the folder goes too.
 */
static int guard(struct demo *demo, bool remove_dir)
{
	int code = COMMAND_FAILED, status;
	siginfo_t info;
	sigset_t set;
	pid_t pid;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGCHLD);
	sigprocmask(SIG_BLOCK, &set, NULL);
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	pid = demo_fork();
	if (!pid) {
		sigprocmask(SIG_UNBLOCK, &set, NULL);
		_exit(demo_run(demo));
	}
	while (pid > 0) {
		pid_t ended = waitpid(-1, &status, WNOHANG);

		if (ended == pid && WIFEXITED(status))
			code = WEXITSTATUS(status);
		if (ended < 0)
			break;
		if (!ended && sigwaitinfo(&set, &info) > 0 && info.si_signo != SIGCHLD)
			kill(pid, SIGTERM);
	}
	if (remove_dir && nftw(demo->options.dir, remove_one, 16, FTW_DEPTH | FTW_PHYS))
		fprintf(stderr, "abaft: removing %s: %s; remove it by hand\n", demo->options.dir,
			strerror(errno));
	return code;
}

struct number_option {
	int option;
	const char *name;
	uint64_t min, max;
	uint32_t *out;
};

/* -1: not one of these; else whether it was taken. */
static int number_option(struct demo_options *options, int option)
{
	const struct number_option all[] = {
		{'W', "--workers", 1, ABAFT_WORKERS_MAX, &options->workers},
		{'r', "--requests", 1, DEMO_REQUESTS_MAX, &options->requests},
		{'c', "--clients", 1, DEMO_CLIENTS_MAX, &options->clients},
		{'R', "--readers", 0, DEMO_READERS_MAX, &options->readers},
		{'k', "--kill-percent", 0, 100, &options->kill_percent},
		{'n', "--attempts", 1, DEMO_ATTEMPTS_MAX, &options->attempts},
		{'K', "--crash-rounds", 0, 1000, &options->crash_rounds},
		{'m', "--crash-ms", 1, 60000, &options->crash_ms},
	};

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		uint64_t number;

		if (all[i].option != option)
			continue;
		if (!command_number(all[i].name, optarg, all[i].min, all[i].max, &number))
			return 0;
		*all[i].out = (uint32_t)number;
		return 1;
	}
	return -1;
}

/* -1: go on; else the exit code. */
static int demo_option(struct demo *demo, int option)
{
	int code, taken = number_option(&demo->options, option);

	if (taken >= 0)
		return taken ? -1 : COMMAND_USAGE;
	if (option == 'S')
		demo->options.node = optarg;
	else if (option == 'd')
		demo->options.dir = optarg;
	else if (option == 'o')
		demo->report = optarg;
	else if (option == 's')
		return command_number("--seed", optarg, 0, UINT64_MAX, &demo->options.seed)
			       ? -1
			       : COMMAND_USAGE;
	else if (!command_option(&demo->common, option, "demo", demo_help, &code))
		return code;
	return -1;
}

static const struct option demo_longs[] = {COMMAND_LONG_OPTIONS,
					   {"start-node", required_argument, NULL, 'S'},
					   {"workers", required_argument, NULL, 'W'},
					   {"requests", required_argument, NULL, 'r'},
					   {"clients", required_argument, NULL, 'c'},
					   {"readers", required_argument, NULL, 'R'},
					   {"kill-percent", required_argument, NULL, 'k'},
					   {"attempts", required_argument, NULL, 'n'},
					   {"crash-rounds", required_argument, NULL, 'K'},
					   {"crash-ms", required_argument, NULL, 'm'},
					   {"seed", required_argument, NULL, 's'},
					   {"dir", required_argument, NULL, 'd'},
					   {"report", required_argument, NULL, 'o'},
					   {0}};

int command_demo(int argc, char **argv)
{
	struct demo demo = {.options = {.requests = 200,
					.clients = 4,
					.readers = 2,
					.kill_percent = 40,
					.attempts = 3,
					.crash_rounds = 2,
					.crash_ms = 1500,
					.workers = 1,
					.seed = 1}};
	const char *tmp = getenv("TMPDIR");
	char dir[DEMO_PATH_BYTES / 2];
	int option;

	optind = 0;
	while ((option = getopt_long(argc, argv, COMMAND_SHORT_OPTIONS "S:W:r:c:R:k:n:K:m:s:d:o:",
				     demo_longs, NULL)) != -1) {
		int code = demo_option(&demo, option);

		if (code >= 0)
			return code;
	}
	if (optind < argc) {
		fputs("abaft: demo takes options only; see `abaft demo --help`\n", stderr);
		return COMMAND_USAGE;
	}
	if (demo.options.dir) {
		if (access(demo.options.dir, W_OK | X_OK)) {
			fprintf(stderr, "abaft: --dir '%s': %s; make it first\n", demo.options.dir,
				strerror(errno));
			return COMMAND_USAGE;
		}
		return guard(&demo, false);
	}
	snprintf(dir, sizeof(dir), "%s/abaft-demo-XXXXXX", tmp ? tmp : TMPDIR_DEFAULT);
	demo.options.dir = mkdtemp(dir);
	if (!demo.options.dir) {
		fprintf(stderr, "abaft: making the folder %s: %s; set TMPDIR, or give --dir\n", dir,
			strerror(errno));
		return COMMAND_FAILED;
	}
	return guard(&demo, true);
}
