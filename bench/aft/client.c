/* SPDX-License-Identifier: Apache-2.0 */
/*
 * client - the clients of a function platform: each begins a transaction, waits for its chain of
 * functions, and begins the next; a process each.
 *
 *	client [OPTION...] -- FUNCTION [ITS OPTION...]
 *
 * FUNCTION is bench/aft/function. A client has a chain of its own, one process for each function,
 * for its whole life; with --cold they are started anew for each invocation. What fails is run
 * again as a platform does: all functions, the same id, the next attempt. Prints a line of JSON; a
 * row for each transaction goes to --rows.
 *
 * Keys are drawn as in the AFT paper's client: ranks 1 to N - 1, weight rank^-a.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "bench/aft/invocation.h"
#include "tools/load/zipf.h"

#define CLIENTS_MAX   1024
#define ARGUMENTS_MAX 64
#define ATTEMPTS_MAX  50
#define BATCH	      25 /* writes of a transaction that preloads */

struct config {
	uint32_t clients, transactions, functions, writes, reads, keys, seed;
	double exponent, seconds;
	bool cold, distinct, preload, audit;
	const char *rows;
	char **function;
	int function_count;
};

struct row {
	uint64_t start_us; /* since the beginning */
	uint64_t latency_ns;
	struct reply counts; /* of all attempts */
	uint16_t attempts;
	bool done; /* it was begun and ended */
	int32_t err;
};

struct client {
	const struct config *config;
	uint32_t number;
	struct row *rows;
	struct zipf zipf;
	struct zipf_random random;
	struct function_process chain;
	char name[32], of[16];
	char *argv[ARGUMENTS_MAX];
	struct invocation_message message;
};

static uint64_t mono_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static int start_chain(struct client *client)
{
	struct reply ready;
	int err = function_start(&client->chain, client->argv);

	if (!err)
		err = reply_receive(client->chain.from, &ready);
	if (!err && ready.err)
		err = -EIO;
	return err;
}

static void make_arguments(struct client *client)
{
	const struct config *config = client->config;
	int n = config->function_count;

	memcpy(client->argv, config->function, sizeof(char *) * (size_t)n);
	snprintf(client->name, sizeof(client->name), "--client=%s%u",
		 config->audit	   ? "audit"
		 : config->preload ? "preload"
				   : "c",
		 client->number);
	snprintf(client->of, sizeof(client->of), "--of=%u", config->functions);
	client->argv[n++] = client->name;
	client->argv[n++] = client->of;
	if (config->cold)
		client->argv[n++] = (char[]){"--cold"};
	client->argv[n] = NULL;
}

/* The operations of all functions, each of which writes before it reads. */
static void plan(struct client *client)
{
	const struct config *config = client->config;
	struct invocation *head = &client->message.head;
	uint32_t each = config->writes + config->reads;

	memset(head, 0, sizeof(*head));
	head->steps = (uint16_t)config->functions;
	for (uint32_t f = 0; f < config->functions; f++) {
		for (uint32_t i = 0; i < each; i++) {
			struct invocation_op *op = &head->op[head->ops++];

			op->write = i < config->writes;
			op->rank = config->distinct
					   ? f * each + i + 1
					   : (uint32_t)zipf_draw(&client->zipf, &client->random);
		}
		head->first[f + 1] = head->ops;
	}
}

/* Keys (number * BATCH) and those behind it. */
static void plan_preload(struct client *client, uint32_t number)
{
	struct invocation *head = &client->message.head;
	uint32_t rank = number * BATCH + 1;

	memset(head, 0, sizeof(*head));
	head->steps = 1;
	while (head->ops < BATCH && rank < client->config->keys)
		head->op[head->ops++] = (struct invocation_op){rank++, !client->config->audit};
	head->first[1] = head->ops;
}

static void add_counts(struct reply *to, const struct reply *from)
{
	to->trips += from->trips;
	to->requests += from->requests;
	to->missing += from->missing;
	to->bytes_written += from->bytes_written;
	to->bytes_read += from->bytes_read;
	to->commit_sent |= from->commit_sent;
}

/* One attempt. 0, or a negative errno if the chain is gone. */
static int invoke(struct client *client, struct reply *reply)
{
	int err = 0;

	client->message.head.carried_bytes = 0;
	if (client->config->cold)
		err = start_chain(client);
	if (!err)
		err = invocation_send(client->chain.to, &client->message);
	if (!err)
		err = reply_receive(client->chain.from, reply);
	if (client->config->cold)
		function_stop(&client->chain);
	return err;
}

static void pause_before(struct client *client, uint32_t attempts)
{
	uint64_t most_ns = 1000000ull << (attempts < 6 ? attempts : 6);
	uint64_t ns = most_ns / 2 + zipf_random_u64(&client->random) % most_ns;
	struct timespec pause = {.tv_nsec = (long)(ns % 1000000000)};

	nanosleep(&pause, NULL);
}

/* A transaction with all its attempts. 0, or a negative errno if the chain is gone. */
static int transact(struct client *client, struct row *row)
{
	struct invocation *head = &client->message.head;
	uint64_t start_ns = mono_ns();
	struct reply reply = {0};

	abaft_id_new(&head->id);
	for (;;) {
		int err = invoke(client, &reply);
		enum abaft_retry retry;

		if (err)
			return err;
		add_counts(&row->counts, &reply);
		row->attempts++;
		retry = abaft_retry_of(reply.err);
		if (!reply.err || retry == ABAFT_RETRY_NO || row->attempts >= ATTEMPTS_MAX)
			break;
		if (retry == ABAFT_RETRY_NEW) {
			abaft_id_new(&head->id);
			head->attempt = 0;
		} else {
			head->attempt++;
		}
		pause_before(client, row->attempts);
	}
	row->latency_ns = mono_ns() - start_ns;
	row->err = reply.err;
	row->done = true;
	return 0;
}

static int run(struct client *client, uint64_t begin_ns)
{
	const struct config *config = client->config;
	uint32_t step = config->preload ? config->clients : 1;
	uint32_t number = config->preload ? client->number : 0;

	for (uint32_t i = 0; number < config->transactions; number += step, i++) {
		uint64_t now_ns = mono_ns();
		int err;

		if (config->seconds > 0 && (double)(now_ns - begin_ns) > config->seconds * 1e9)
			break;
		if (config->preload)
			plan_preload(client, number);
		else
			plan(client);
		client->rows[i].start_us = (now_ns - begin_ns) / 1000;
		err = transact(client, &client->rows[i]);
		if (err) {
			fprintf(stderr, "client %u: its functions are gone: %s\n", client->number,
				strerror(-err));
			return 1;
		}
	}
	return 0;
}

/* A client's process: says when its chain is ready, waits for the beginning. */
static int client_main(const struct config *config, uint32_t number, struct row *rows, int ready,
		       int go)
{
	static struct client client;
	uint64_t begin_ns;
	int err, code;

	client.config = config;
	client.number = number;
	client.rows = rows;
	client.random.state = ((uint64_t)config->seed << 32) + number;
	make_arguments(&client);
	if (zipf_init(&client.zipf, config->keys - 1, config->exponent))
		return 1;
	err = config->cold ? 0 : start_chain(&client);
	if (err) {
		fprintf(stderr, "client %u: its functions do not start: %s\n", number,
			strerror(-err));
		return 1;
	}
	if (write(ready, "r", 1) != 1 || read(go, &begin_ns, sizeof(begin_ns)) != 8)
		return 1;
	code = run(&client, begin_ns);
	function_stop(&client.chain);
	return code;
}

static void die_with(pid_t parent)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(1);
}

/* Starts all, lets them begin together, waits. 0 or 1. */
static int run_all(const struct config *config, struct row *rows, double *seconds)
{
	uint32_t started = 0, waiting = 0;
	int ready[2], go[2], failed = 0, status;
	uint64_t begin_ns;
	char byte;

	if (pipe2(ready, O_CLOEXEC) || pipe2(go, O_CLOEXEC))
		return 1;
	for (uint32_t i = 0; i < config->clients; i++) {
		pid_t parent = getpid(), pid = fork();

		if (pid == 0) {
			die_with(parent);
			close(ready[0]);
			close(go[1]);
			_exit(client_main(config, i, rows + (size_t)i * config->transactions,
					  ready[1], go[0]));
		}
		started += pid > 0;
	}
	close(ready[1]);
	close(go[0]);
	while (waiting < started && read(ready[0], &byte, 1) == 1)
		waiting++;
	begin_ns = mono_ns();
	for (uint32_t i = 0; i < waiting; i++)
		if (write(go[1], &begin_ns, sizeof(begin_ns)) != sizeof(begin_ns))
			failed = 1;
	close(go[1]);
	for (uint32_t i = 0; i < started; i++)
		if (wait(&status) < 0 || status != 0)
			failed = 1;
	*seconds = (double)(mono_ns() - begin_ns) / 1e9;
	return failed || started < config->clients || waiting < started;
}

static int print_rows(const struct config *config, const struct row *rows)
{
	FILE *file = fopen(config->rows, "we");

	if (!file) {
		fprintf(stderr, "%s: %s\n", config->rows, strerror(errno));
		return 1;
	}
	fputs("client,start_us,latency_ns,attempts,err,trips,requests,missing,bytes_written,"
	      "bytes_read\n",
	      file);
	for (uint32_t i = 0; i < config->clients * config->transactions; i++) {
		const struct row *row = &rows[i];

		if (row->done)
			fprintf(file,
				"%u,%" PRIu64 ",%" PRIu64 ",%u,%s,%u,%u,%u,%" PRIu64 ",%" PRIu64
				"\n",
				i / config->transactions, row->start_us, row->latency_ns,
				row->attempts, abaft_error_name(row->err), row->counts.trips,
				row->counts.requests, row->counts.missing,
				row->counts.bytes_written, row->counts.bytes_read);
	}
	return fclose(file) ? 1 : 0;
}

static void print(const struct config *config, const struct row *rows, double seconds)
{
	uint64_t done = 0, committed = 0, attempts = 0;

	for (uint32_t i = 0; i < config->clients * config->transactions; i++) {
		done += rows[i].done;
		committed += rows[i].done && !rows[i].err;
		attempts += rows[i].attempts;
	}
	printf("{\"seconds\": %.6f, \"begun\": %" PRIu64 ", \"committed\": %" PRIu64
	       ", \"attempts\": %" PRIu64 "}\n",
	       seconds, done, committed, attempts);
}

static const struct option options[] = {
	{"clients", required_argument, NULL, 'c'},
	{"transactions", required_argument, NULL, 'n'}, /* of each client */
	{"functions", required_argument, NULL, 'F'},
	{"writes", required_argument, NULL, 'w'}, /* of each function */
	{"reads", required_argument, NULL, 'r'},
	{"keys", required_argument, NULL, 'k'},
	{"zipf", required_argument, NULL, 'z'},
	{"seed", required_argument, NULL, 's'},
	{"seconds", required_argument, NULL, 't'}, /* none begins later */
	{"cold", no_argument, NULL, 'C'},
	{"distinct", no_argument, NULL, 'D'}, /* keys 1, 2, 3 and so on instead */
	{"preload", no_argument, NULL, 'P'},  /* writes every key once */
	{"audit", no_argument, NULL, 'A'},    /* reads every key once */
	{"rows", required_argument, NULL, 'R'},
	{NULL, 0, NULL, 0},
};

static bool number(uint32_t min, uint32_t max, uint32_t *out)
{
	char *end;
	unsigned long value = strtoul(optarg, &end, 10);

	if (end == optarg || *end || value < min || value > max) {
		fprintf(stderr, "client: '%s' is no number from %u to %u\n", optarg, min, max);
		return false;
	}
	*out = (uint32_t)value;
	return true;
}

static bool take_option(struct config *config, int option)
{
	switch (option) {
	case 'c':
		return number(1, CLIENTS_MAX, &config->clients);
	case 'n':
		return number(1, 10000000, &config->transactions);
	case 'F':
		return number(1, INVOCATION_STEPS_MAX, &config->functions);
	case 'w':
		return number(0, INVOCATION_OPS_MAX, &config->writes);
	case 'r':
		return number(0, INVOCATION_OPS_MAX, &config->reads);
	case 'k':
		return number(2, 1u << 30, &config->keys);
	case 's':
		return number(0, UINT32_MAX, &config->seed);
	case 'z':
		config->exponent = strtod(optarg, NULL);
		return config->exponent >= 0 && config->exponent <= ZIPF_EXPONENT_MAX;
	case 't':
		config->seconds = strtod(optarg, NULL);
		return config->seconds > 0;
	case 'C':
		return config->cold = true;
	case 'D':
		return config->distinct = true;
	case 'P':
		return config->preload = true;
	case 'A':
		return config->preload = config->audit = true;
	case 'R':
		config->rows = optarg;
		return true;
	default:
		return false;
	}
}

static bool take_options(struct config *config, int argc, char **argv)
{
	int option;

	while ((option = getopt_long(argc, argv, "+", options, NULL)) != -1)
		if (!take_option(config, option))
			return false;
	config->function = argv + optind;
	config->function_count = argc - optind;
	if (config->preload) {
		config->functions = 1;
		config->transactions = (config->keys - 1 + BATCH - 1) / BATCH;
	}
	if (config->function_count < 1 || config->function_count > ARGUMENTS_MAX - 8 ||
	    (config->writes + config->reads) * config->functions > INVOCATION_OPS_MAX ||
	    config->writes + config->reads == 0) {
		fputs("usage: client [OPTION...] -- FUNCTION [ITS OPTION...]; see client.c\n",
		      stderr);
		return false;
	}
	return true;
}

int main(int argc, char **argv)
{
	struct config config = {.clients = 1,
				.transactions = 1,
				.functions = 2,
				.writes = 1,
				.reads = 2,
				.keys = 1000,
				.exponent = 1,
				.seed = 1};
	struct row *rows;
	double seconds;
	size_t bytes;

	if (!take_options(&config, argc, argv))
		return 2;
	bytes = sizeof(*rows) * config.clients * config.transactions;
	rows = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE,
		    -1, 0);
	if (rows == MAP_FAILED) {
		fprintf(stderr, "client: %zu bytes for rows: %s\n", bytes, strerror(errno));
		return 1;
	}
	signal(SIGPIPE, SIG_IGN);
	if (run_all(&config, rows, &seconds))
		return 1;
	print(&config, rows, seconds);
	return config.rows ? print_rows(&config, rows) : 0;
}
