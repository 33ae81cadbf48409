/* SPDX-License-Identifier: Apache-2.0 */
/*
 * platform.c - a small function platform: it starts each function as a process, waits, and
 * starts it again when it did not end well; a part of the runs it kills at a random point.
 *
 * What it knows of exactly-once is what any platform can give: the request's id stays the same
 * over retries, the attempt counts up, and what function 1 printed is handed to function 2.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tools/command/command.h"
#include "tools/demo/demo.h"

/* A run that takes longer than this hangs. */
#define RUN_US_MAX     10000000
/* Before the first run has ended nobody knows how long one takes. */
#define RUN_US_FIRST   5000
/* A chain that begins anew this often does not get through. */
#define CHAIN_RUNS_MAX 50
/* Readers look at the orders of the last moments: there functions are at work. */
#define READ_WINDOW    8
#define READ_PAUSE_US  1500

struct platform {
	const struct demo_options *options;
	const struct demo_store *store;
	struct demo_counts *counts;
	const char *history;
};

/* One request on its way through the two functions. */
struct chain {
	unsigned int order;
	char id[ABAFT_ID_TEXT_BYTES];
	char context[ABAFT_CONTEXT_BYTES + 1];
	unsigned int attempt;
	uint64_t random;
};

void *demo_share(size_t bytes)
{
	void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	return memory == MAP_FAILED ? NULL : memory;
}

pid_t demo_fork(void)
{
	pid_t parent = getpid();
	pid_t pid;

	fflush(NULL);
	pid = fork();
	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(1);
	return 0;
}

uint64_t demo_random(uint64_t *state)
{
	uint64_t z = (*state += UINT64_C(0x9e3779b97f4a7c15));

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

bool demo_wait(pid_t pid, uint64_t wait_us, int *status)
{
	int fd = (int)syscall(SYS_pidfd_open, pid, 0);
	struct pollfd ended = {.fd = fd, .events = POLLIN};
	struct timespec wait = {.tv_sec = (time_t)(wait_us / 1000000),
				.tv_nsec = (long)(wait_us % 1000000) * 1000};
	bool in_time = fd >= 0 && ppoll(&ended, 1, &wait, NULL) == 1;

	if (fd >= 0)
		close(fd);
	if (!in_time)
		kill(pid, SIGKILL);
	while (waitpid(pid, status, 0) < 0 && errno == EINTR)
		;
	/* It may have ended in the moment before the kill. */
	return in_time || !WIFSIGNALED(*status);
}

/* In the child: becomes the function. */
static void function_exec(const struct platform *platform, const struct chain *chain,
			  unsigned int step, int out)
{
	const struct demo_store *store = platform->store;
	char port[16], timeout[16], run[16], order[16], step_text[16], attempt[16];
	char log[DEMO_PATH_BYTES];
	int log_fd;
	const char *argv[] = {"abaft",
			      "demo-function",
			      store->kind == DEMO_PLAIN ? "plain" : "abaft",
			      store->address,
			      port,
			      timeout,
			      run,
			      chain->id,
			      order,
			      step_text,
			      attempt,
			      step == 1 ? "" : chain->context,
			      platform->history,
			      NULL};

	snprintf(port, sizeof(port), "%u", store->port);
	snprintf(timeout, sizeof(timeout), "%u", store->timeout_ms);
	snprintf(run, sizeof(run), "%u", store->run);
	snprintf(order, sizeof(order), "%u", chain->order);
	snprintf(step_text, sizeof(step_text), "%u", step);
	snprintf(attempt, sizeof(attempt), "%u", chain->attempt);
	snprintf(log, sizeof(log), "%s/functions.log", platform->options->dir);
	log_fd = open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
	if (log_fd >= 0)
		dup2(log_fd, STDERR_FILENO);
	dup2(out, STDOUT_FILENO);
	execv("/proc/self/exe", (char *const *)(uintptr_t)argv);
	_exit(COMMAND_FAILED);
}

/* How long the next run may take: up to its end, or to a random point of it. */
static uint64_t run_allowance(const struct platform *platform, struct chain *chain)
{
	uint64_t mean = atomic_load(&platform->counts->run_us);
	uint64_t dice = demo_random(&chain->random) % 100;
	uint64_t point = demo_random(&chain->random) % (mean ? mean : RUN_US_FIRST);

	return dice < platform->options->kill_percent ? point : RUN_US_MAX;
}

static void note_duration(struct demo_counts *counts, uint64_t us)
{
	uint64_t mean = atomic_load(&counts->run_us);

	atomic_store(&counts->run_us, (unsigned int)(mean ? (7 * mean + us) / 8 : us));
}

/* Runs the function once. Its exit code, or -1 when it was killed. */
static int function_run(const struct platform *platform, struct chain *chain, unsigned int step)
{
	struct demo_counts *counts = platform->counts;
	uint64_t allowance = run_allowance(platform, chain);
	uint64_t start = shop_now_us();
	char text[ABAFT_CONTEXT_BYTES + 1];
	int out[2], status = 0;
	ssize_t got;
	pid_t pid;

	if (pipe2(out, O_CLOEXEC))
		return COMMAND_FAILED;
	atomic_fetch_add(&counts->runs, 1);
	pid = demo_fork();
	if (!pid)
		function_exec(platform, chain, step, out[1]);
	close(out[1]);
	if (pid < 0 || !demo_wait(pid, allowance, &status)) {
		close(out[0]);
		atomic_fetch_add(&counts->kills, pid > 0);
		return -1;
	}
	note_duration(counts, shop_now_us() - start);
	got = read(out[0], text, sizeof(text) - 1);
	close(out[0]);
	if (WIFEXITED(status) && !WEXITSTATUS(status) && step == 1 && got > 0) {
		text[got] = '\0';
		snprintf(chain->context, sizeof(chain->context), "%.*s", (int)strcspn(text, "\n"),
			 text);
	}
	return WIFEXITED(status) ? WEXITSTATUS(status) : COMMAND_FAILED;
}

/* Runs and retries one function. COMMAND_OK, COMMAND_RESTART (from function 1) or a failure. */
static int function_retry(const struct platform *platform, struct chain *chain, unsigned int step)
{
	for (unsigned int run = 0; run < platform->options->attempts; run++) {
		int code = function_run(platform, chain, step);

		chain->attempt++;
		if (code == COMMAND_OK)
			return code;
		if (code >= 0)
			atomic_fetch_add(&platform->counts->failed, 1);
		/* The node forgot the transaction (its deadline, a restart): the platform has to
		 * begin with the first function again. */
		if (code == COMMAND_RESTART && step > 1)
			return code;
		if (code == COMMAND_NEW_ID)
			return code;
		if (run + 1 < platform->options->attempts)
			atomic_fetch_add(&platform->counts->retries, 1);
	}
	return COMMAND_FAILED;
}

/* One request from its beginning to success, or until the platform gives up. */
static void request_run(const struct platform *platform, unsigned int order)
{
	struct chain chain = {.order = order, .random = platform->options->seed * 1000003 + order};
	int code = COMMAND_RESTART;
	struct abaft_id id;

	abaft_id_new(&id);
	abaft_id_text(&id, chain.id);
	for (int i = 0; code == COMMAND_RESTART && i < CHAIN_RUNS_MAX; i++) {
		code = function_retry(platform, &chain, 1);
		if (code == COMMAND_OK)
			code = function_retry(platform, &chain, 2);
	}
	atomic_fetch_add(
		code == COMMAND_OK ? &platform->counts->succeeded : &platform->counts->given_up, 1);
}

static void client_run(const struct platform *platform)
{
	unsigned int order;

	while ((order = atomic_fetch_add(&platform->counts->next, 1)) < platform->options->requests)
		request_run(platform, order);
}

/* Reads one order's parts, in an order of its own each time, as one transaction where there are
 * transactions, and with time between, as a function would take. */
static int read_order(const struct platform *platform, struct shop *shop, unsigned int *seed,
		      struct history_head *head)
{
	unsigned int first = (unsigned int)rand_r(seed) % SHOP_PARTS;
	unsigned int step = rand_r(seed) % 2 ? 1 : SHOP_PARTS - 1;
	int err = ABAFT_OK;

	shop->notes_count = 0;
	shop->next = (struct tag_number){0};
	head->start_us = shop_now_us();
	for (unsigned int i = 0; i < SHOP_PARTS && (!err || err == ABAFT_NOT_FOUND); i++) {
		char text[SHOP_TEXT_BYTES];

		err = shop_get(shop, (enum shop_part)((first + i * step) % SHOP_PARTS), text);
		if (i == 1)
			shop_work(seed, READ_PAUSE_US);
	}
	head->end_us = shop_now_us();
	return err == ABAFT_NOT_FOUND ? ABAFT_OK : err;
}

static int read_in_transaction(const struct platform *platform, struct abaft *client,
			       struct shop *shop, unsigned int *seed, struct history_head *head)
{
	int err;

	abaft_id_new(&head->id);
	if (platform->store->kind == DEMO_PLAIN)
		return read_order(platform, shop, seed, head);
	err = abaft_begin(client, &(struct abaft_begin){.id = &head->id}, &shop->txn);
	if (err)
		return err;
	err = read_order(platform, shop, seed, head);
	if (!err)
		err = abaft_commit(shop->txn);
	abaft_end(shop->txn);
	return err;
}

static void reader_loop(const struct platform *platform, struct abaft *client, struct shop *shop,
			unsigned int number)
{
	struct demo_counts *counts = platform->counts;
	unsigned int seed = (unsigned int)platform->options->seed * 100 + number;
	char name[32];

	snprintf(name, sizeof(name), "reader-%u", number);
	while (!atomic_load(&counts->stop)) {
		struct history_head head = {.client = name, .whole = true};
		unsigned int newest = atomic_load(&counts->next);
		unsigned int back = (unsigned int)rand_r(&seed) % READ_WINDOW;

		if (newest > platform->options->requests)
			newest = platform->options->requests;
		shop->order = newest > back ? newest - 1 - back : 0;
		if (read_in_transaction(platform, client, shop, &seed, &head)) {
			atomic_fetch_add(&counts->reads_failed, 1);
			continue;
		}
		head.outcome = HISTORY_COMMITTED;
		shop_tell(shop, &head);
		atomic_fetch_add(&counts->reads, 1);
	}
}

static int reader_run(const struct platform *platform, unsigned int number)
{
	const struct demo_store *store = platform->store;
	struct abaft_config config = {
		.address = store->address, .port = store->port, .timeout_ms = store->timeout_ms};
	struct abaft *client = NULL;
	struct shop *shop = calloc(1, sizeof(*shop));
	int err = shop ? history_open(&shop->history, platform->history) : -ENOMEM;

	if (!err && store->kind == DEMO_PLAIN)
		err = plain_open(&shop->plain, store->port);
	else if (!err)
		err = abaft_open(&client, &config);
	if (err) {
		fputs("abaft: a reader could not start\n", stderr);
		return 1;
	}
	shop->store = store;
	reader_loop(platform, client, shop, number);
	plain_close(shop->plain);
	if (client)
		abaft_close(client);
	history_close(shop->history);
	free(shop);
	return 0;
}

/* Waits for the processes; true if all ended well. */
static bool all_ended_well(const pid_t *pids, unsigned int count)
{
	bool well = true;

	for (unsigned int i = 0; i < count; i++) {
		int status = 1;

		if (pids[i] > 0)
			while (waitpid(pids[i], &status, 0) < 0 && errno == EINTR)
				;
		well = well && WIFEXITED(status) && !WEXITSTATUS(status);
	}
	return well;
}

int demo_platform_run(const struct demo_options *options, const struct demo_store *store,
		      const char *history, struct demo_counts *counts)
{
	struct platform platform = {options, store, counts, history};
	pid_t clients[DEMO_CLIENTS_MAX], readers[DEMO_READERS_MAX];
	bool well;

	for (unsigned int i = 0; i < options->readers; i++) {
		readers[i] = demo_fork();
		if (!readers[i])
			_exit(reader_run(&platform, i));
	}
	for (unsigned int i = 0; i < options->clients; i++) {
		clients[i] = demo_fork();
		if (!clients[i]) {
			client_run(&platform);
			_exit(0);
		}
	}
	well = all_ended_well(clients, options->clients);
	atomic_store(&counts->stop, true);
	well = all_ended_well(readers, options->readers) && well;
	if (!well)
		fputs("abaft: a process of the demonstration failed or could not be started\n",
		      stderr);
	return well ? 0 : -1;
}
