/* SPDX-License-Identifier: Apache-2.0 */
/*
 * node.c - a node of the demonstration's own: started on the loopback interface with its data
 * in the demonstration's folder, killed, started again, stopped.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tools/demo/demo.h"

#define START_MS   30000
#define STOP_US	   15000000
#define LOG_SHOWN  4096
#define INFO_BYTES 16384

static void node_exec(const struct demo_node *node)
{
	const struct demo_options *options = node->options;
	char data[DEMO_PATH_BYTES], state[DEMO_PATH_BYTES], log[DEMO_PATH_BYTES], pins[64],
		port[16], workers[16];
	const char *argv[] = {
		options->node, "--port",      "afxdp:lo",    "--addresses", node->store->address,
		"--udp-port",  port,	      "--workers",   workers,	    "--data-dir",
		data,	       "--state-dir", state,	     "--pin-dir",   pins,
		"--memory",    "128M",	      "--log-level", "warning",	    NULL};
	int fd;

	snprintf(data, sizeof(data), "%s/data", options->dir);
	snprintf(state, sizeof(state), "%s/state", options->dir);
	snprintf(log, sizeof(log), "%s/abaftd.log", options->dir);
	mkdir(state, 0700);
	/* The same after a kill, so that the next run clears what the killed one left. */
	snprintf(pins, sizeof(pins), "/sys/fs/bpf/abaft-demo-%u", (unsigned int)getppid());
	snprintf(port, sizeof(port), "%u", node->store->port);
	snprintf(workers, sizeof(workers), "%u", options->workers);
	/* If the demonstration is killed, the node is to stop as it should, and tidy up. */
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	fd = open(log, O_WRONLY | O_CREAT | O_APPEND, 0644);
	if (fd >= 0) {
		dup2(fd, STDOUT_FILENO);
		dup2(fd, STDERR_FILENO);
	}
	execv(options->node, (char *const *)(uintptr_t)argv);
	perror(options->node);
	_exit(127);
}

static void show_log(const struct demo_node *node)
{
	char path[DEMO_PATH_BYTES], text[LOG_SHOWN + 1];
	size_t bytes;
	FILE *file;

	snprintf(path, sizeof(path), "%s/abaftd.log", node->options->dir);
	file = fopen(path, "r");
	if (!file)
		return;
	if (fseek(file, -LOG_SHOWN, SEEK_END))
		rewind(file);
	bytes = fread(text, 1, LOG_SHOWN, file);
	fclose(file);
	fprintf(stderr, "abaft: the end of its log:\n%.*s\n", (int)bytes, text);
}

static bool answers(const struct demo_store *store)
{
	struct abaft_config config = {
		.address = store->address, .port = store->port, .timeout_ms = 100};
	struct abaft *client;
	static char text[INFO_BYTES];
	uint32_t workers;
	int err;

	if (abaft_open(&client, &config))
		return false;
	err = abaft_info(client, 0, text, sizeof(text), &workers);
	abaft_close(client);
	return !err;
}

int demo_node_start(struct demo_node *node)
{
	uint64_t start = shop_now_us();
	const struct timespec pause = {.tv_nsec = 20000000};

	node->pid = demo_fork();
	if (!node->pid)
		node_exec(node);
	while (node->pid > 0 && shop_now_us() - start < START_MS * UINT64_C(1000)) {
		int status;

		if (answers(node->store))
			return 0;
		if (waitpid(node->pid, &status, WNOHANG) == node->pid) {
			fprintf(stderr, "abaft: the node (%s) ended before it answered\n",
				node->options->node);
			node->pid = 0;
			show_log(node);
			return -1;
		}
		nanosleep(&pause, NULL);
	}
	fprintf(stderr, "abaft: the node (%s) did not answer within %d s\n", node->options->node,
		START_MS / 1000);
	show_log(node);
	demo_node_kill(node);
	return -1;
}

void demo_node_kill(struct demo_node *node)
{
	int status;

	if (node->pid <= 0)
		return;
	kill(node->pid, SIGKILL);
	demo_wait(node->pid, STOP_US, &status);
	node->pid = 0;
}

int demo_node_stop(struct demo_node *node)
{
	int status;
	bool ended;

	if (node->pid <= 0)
		return 0;
	kill(node->pid, SIGTERM);
	ended = demo_wait(node->pid, STOP_US, &status);
	node->pid = 0;
	if (ended && WIFEXITED(status) && !WEXITSTATUS(status))
		return 0;
	fputs("abaft: the node did not stop cleanly\n", stderr);
	show_log(node);
	return -1;
}
