/* SPDX-License-Identifier: Apache-2.0 */
/*
 * drops.c - `abaft drops`: on a client's host, which of a node's datagrams the kernel drops, why,
 * and what to do about it.
 */
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cjson/cJSON.h>

#include "tools/command/command.h"
#include "tools/telemetry/drops_advice.h"
#include "tools/telemetry/udp_drops.h"

#define INTERVAL_MAX_S 86400

static const char help[] =
	"usage: abaft drops [OPTION...]\n\n"
	"Prints which datagrams from and to a node's ports this host's kernel drops, by its own\n"
	"reasons, and what to do about each. For hosts where clients run: no node is needed. It\n"
	"puts a BPF program on the tracepoint skb:kfree_skb, as root, until it ends. All network\n"
	"namespaces of the host count.\n\n"
	"  -p, --port PORT        the node's base UDP port (7400)\n"
	"      --workers N        how many ports from there on (64, the most a node has)\n"
	"  -i, --interval S       print every S seconds, 0.1 to 86400 (1)\n"
	"  -c, --count N          end after N intervals\n"
	"  -w, --write FORMAT     `text` (default) or `json`: an object a line\n"
	"  -h, --help             this text\n\n"
	"It ends with 1 if anything was dropped, with 0 if not.\n";

enum { OPTION_WORKERS = 1000 };

struct drops_options {
	struct command_options command;
	uint64_t workers, count;
	double interval_s;
};

struct watch {
	struct udp_drops *drops;
	const struct drops_options *options;
	uint32_t before_count, now_count;
	struct udp_drops_reason before[UDP_DROPS_REASONS_MAX], now[UDP_DROPS_REASONS_MAX];
};

static atomic_bool interrupted;

static void on_signal(int number)
{
	atomic_store_explicit(&interrupted, true, memory_order_relaxed);
}

static bool take_interval(double *out)
{
	char *end;

	*out = strtod(optarg, &end);
	if (end != optarg && !*end && *out >= 0.1 && *out <= INTERVAL_MAX_S)
		return true;
	fprintf(stderr, "abaft: --interval is '%s'; give seconds from 0.1 to %d\n", optarg,
		INTERVAL_MAX_S);
	return false;
}

static bool take_options(struct drops_options *options, int argc, char **argv, int *code)
{
	static const struct option longs[] = {{"help", no_argument, NULL, 'h'},
					      {"port", required_argument, NULL, 'p'},
					      {"workers", required_argument, NULL, OPTION_WORKERS},
					      {"interval", required_argument, NULL, 'i'},
					      {"count", required_argument, NULL, 'c'},
					      {"write", required_argument, NULL, 'w'},
					      {0}};
	bool ok = true;
	int option;

	optind = 0;
	*code = COMMAND_USAGE;
	while (ok && (option = getopt_long(argc, argv, "hp:i:c:w:", longs, NULL)) != -1) {
		if (option == OPTION_WORKERS)
			ok = command_number("--workers", optarg, 1, ABAFT_WORKERS_MAX,
					    &options->workers);
		else if (option == 'i')
			ok = take_interval(&options->interval_s);
		else if (option == 'c')
			ok = command_number("--count", optarg, 1, 1u << 30, &options->count);
		else
			ok = command_option(&options->command, option, "drops", help, code);
	}
	if (ok && optind < argc) {
		fprintf(stderr, "abaft: drops takes no argument '%s'; see `abaft drops --help`\n",
			argv[optind]);
		ok = false;
	}
	if (ok && options->command.port + options->workers > 65536)
		options->workers = 65536u - options->command.port;
	return ok;
}

/* What this interval adds to a reason's counts. */
static struct udp_drop added(const struct watch *watch, const struct udp_drops_reason *reason)
{
	struct udp_drop drop = reason->since_start;

	for (uint32_t i = 0; i < watch->before_count; i++) {
		if (watch->before[i].number != reason->number)
			continue;
		drop.packets -= watch->before[i].since_start.packets;
		drop.bytes -= watch->before[i].since_start.bytes;
	}
	return drop;
}

static void print_text(const struct watch *watch)
{
	struct timespec now;
	struct tm local;
	char clock[16];
	uint32_t lines = 0;

	clock_gettime(CLOCK_REALTIME, &now);
	localtime_r(&now.tv_sec, &local);
	strftime(clock, sizeof(clock), "%H:%M:%S", &local);
	for (uint32_t i = 0; i < watch->now_count; i++) {
		const struct udp_drops_reason *reason = &watch->now[i];
		struct udp_drop drop = added(watch, reason);

		if (!drop.packets)
			continue;
		printf("%s %10llu packets %12llu bytes  %s\n", clock,
		       (unsigned long long)drop.packets, (unsigned long long)drop.bytes,
		       reason->name);
		/* Its first time. */
		if (drop.packets == reason->since_start.packets)
			printf("         %s\n", drops_advice(reason->name));
		lines++;
	}
	if (!lines)
		printf("%s          no drops\n", clock);
}

static bool add_reason(cJSON *list, const struct watch *watch,
		       const struct udp_drops_reason *reason)
{
	struct udp_drop drop = added(watch, reason);
	cJSON *item = cJSON_CreateObject();

	if (!item || !cJSON_AddItemToArray(list, item)) {
		cJSON_Delete(item);
		return false;
	}
	return cJSON_AddStringToObject(item, "reason", reason->name) &&
	       cJSON_AddNumberToObject(item, "number", reason->number) &&
	       cJSON_AddNumberToObject(item, "packets", (double)drop.packets) &&
	       cJSON_AddNumberToObject(item, "bytes", (double)drop.bytes) &&
	       cJSON_AddNumberToObject(item, "packets_total",
				       (double)reason->since_start.packets) &&
	       cJSON_AddNumberToObject(item, "bytes_total", (double)reason->since_start.bytes) &&
	       cJSON_AddStringToObject(item, "advice", drops_advice(reason->name));
}

static bool print_json(const struct watch *watch)
{
	cJSON *object = cJSON_CreateObject(), *list = NULL;
	struct timespec now;
	char *text = NULL;
	bool ok;

	clock_gettime(CLOCK_REALTIME, &now);
	ok = object &&
	     cJSON_AddNumberToObject(object, "unix_ms",
				     (double)(now.tv_sec * 1000 + now.tv_nsec / 1000000)) &&
	     cJSON_AddNumberToObject(object, "port", watch->options->command.port) &&
	     cJSON_AddNumberToObject(object, "workers", (double)watch->options->workers) &&
	     (list = cJSON_AddArrayToObject(object, "drops")) != NULL;
	for (uint32_t i = 0; i < watch->now_count && ok; i++)
		ok = add_reason(list, watch, &watch->now[i]);
	if (ok)
		text = cJSON_PrintUnformatted(object);
	if (text)
		puts(text);
	else
		fputs("abaft: drops: out of memory\n", stderr);
	cJSON_free(text);
	cJSON_Delete(object);
	return text != NULL;
}

/* How long from now; false: it is over. */
static bool time_left(const struct timespec *until, struct timespec *left)
{
	int64_t ns;

	clock_gettime(CLOCK_MONOTONIC, left);
	ns = (until->tv_sec - left->tv_sec) * INT64_C(1000000000) + until->tv_nsec - left->tv_nsec;
	left->tv_sec = ns / 1000000000;
	left->tv_nsec = ns % 1000000000;
	return ns > 0;
}

/* Waits for the interval's end, or a signal: one that comes between the look at `interrupted` and
 * the wait ends the wait, as it is let through there only. */
static void wait_until(struct timespec *next, double interval_s)
{
	uint64_t ns = (uint64_t)next->tv_nsec + (uint64_t)(interval_s * 1e9);
	struct timespec left;
	sigset_t ends, before;

	next->tv_sec += (time_t)(ns / 1000000000);
	next->tv_nsec = (long)(ns % 1000000000);
	sigemptyset(&ends);
	sigaddset(&ends, SIGINT);
	sigaddset(&ends, SIGTERM);
	sigprocmask(SIG_BLOCK, &ends, &before);
	while (!atomic_load(&interrupted) && time_left(next, &left))
		(void)ppoll(NULL, 0, &left, &before);
	sigprocmask(SIG_SETMASK, &before, NULL);
}

/* Until interrupted, or for so many intervals. What an interrupted one has seen is printed, too. */
static int follow(struct watch *watch)
{
	const struct drops_options *options = watch->options;
	struct timespec next;

	clock_gettime(CLOCK_MONOTONIC, &next);
	for (uint64_t turn = 0; !options->count || turn < options->count; turn++) {
		wait_until(&next, options->interval_s);
		watch->now_count = udp_drops_read(watch->drops, watch->now);
		if (!options->command.json)
			print_text(watch);
		else if (!print_json(watch))
			return COMMAND_FAILED;
		memcpy(watch->before, watch->now, sizeof(watch->now));
		watch->before_count = watch->now_count;
		if (fflush(stdout) || atomic_load(&interrupted))
			break; /* main says what stdout said */
	}
	return watch->now_count ? COMMAND_NO : COMMAND_OK;
}

int command_drops(int argc, char **argv)
{
	struct sigaction action = {.sa_handler = on_signal};
	struct drops_options options = {.command.port = ABAFT_UDP_PORT_DEFAULT,
					.workers = ABAFT_WORKERS_MAX,
					.interval_s = 1};
	struct watch *watch;
	char why[UDP_DROPS_WHY_BYTES];
	int code;

	if (!take_options(&options, argc, argv, &code))
		return code;
	watch = calloc(1, sizeof(*watch));
	if (!watch) {
		fputs("abaft: drops: out of memory\n", stderr);
		return COMMAND_FAILED;
	}
	watch->options = &options;
	code = COMMAND_FAILED;
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	if (udp_drops_open(&watch->drops, options.command.port, (uint16_t)options.workers, why)) {
		fprintf(stderr, "abaft: drops: %s\n", why);
		goto out;
	}
	fprintf(stderr, "abaft: drops: watching UDP ports %u to %u\n", options.command.port,
		options.command.port + (unsigned int)options.workers - 1);
	code = follow(watch);
	udp_drops_close(watch->drops);
out:
	free(watch);
	return code;
}
