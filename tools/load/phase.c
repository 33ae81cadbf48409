// SPDX-License-Identifier: Apache-2.0
/*
 * phase.c - one phase of a load: makes the threads, watches over them, gathers their counts.
 */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "tools/load/load.h"
#include "tools/load/recording.h"
#include "tools/load/series.h"

static void destroy_thread(struct load_thread *thread)
{
	abaft_close(thread->client);
	for (uint32_t i = 0; thread->slots && i < thread->slot_count; i++) {
		free(thread->slots[i].op);
		free(thread->slots[i].values);
	}
	history_close(thread->history);
	series_destroy(thread->series);
	free(thread->slots);
	free(thread->idle);
	free(thread->value);
}

/* Share i of n of a total: they differ by one at most, and sum up. */
static uint64_t share(uint64_t total, uint32_t i, uint32_t n)
{
	return total / n + (i < total % n);
}

static int create_thread(struct load *load, struct load_thread *thread, uint32_t index)
{
	const struct load_config *c = &load->config;
	struct abaft_config client = {.address = c->common.address,
				      .port = c->common.port,
				      .timeout_ms = c->common.timeout_ms,
				      .packet_bytes = c->common.packet_bytes};

	thread->load = load;
	thread->index = index;
	thread->random.state = c->seed * 1000003 + index;
	thread->slot_count = (uint32_t)share(c->clients, index, c->threads);
	thread->slots = calloc(thread->slot_count, sizeof(*thread->slots));
	thread->idle = calloc(thread->slot_count, sizeof(*thread->idle));
	thread->value = malloc(c->value_bytes + 1ul);
	if (!thread->slots || !thread->idle || !thread->value)
		return command_failed("starting a thread", ABAFT_NO_MEMORY);
	for (uint32_t i = 0; i < c->value_bytes; i++)
		thread->value[i] = (char)zipf_random_u64(&thread->random);
	for (uint32_t i = 0; i < thread->slot_count; i++) {
		struct load_slot *slot = &thread->slots[i];

		slot->thread = thread;
		slot->op = calloc(load->ops_max, sizeof(*slot->op));
		slot->values = malloc((size_t)load->ops_max * load->buffer_bytes);
		if (!slot->op || !slot->values)
			return command_failed("starting a thread", ABAFT_NO_MEMORY);
		thread->idle[thread->idle_count++] = thread->slot_count - 1 - i;
	}
	client.txns_max = thread->slot_count;
	if (abaft_open(&thread->client, &client))
		return command_failed("opening a client", ABAFT_NETWORK);
	return COMMAND_OK;
}

static void progress(const struct load *load, uint64_t done, double seconds)
{
	static const char *const names[] = {"preload", "load", "dump"};
	const struct load_config *c = &load->config;
	double share_done = load->phase != LOAD_RUN ? (double)done * load->ops_max / (double)c->keys
			    : c->seconds > 0	    ? seconds / c->seconds
						    : (double)done / (double)c->transactions;
	int filled = (int)(30 * (share_done < 1 ? share_done : 1));

	fprintf(stderr, "\r%-7s [%.*s%*s] %3.0f %%  %" PRIu64 " transactions, %.0f/s ",
		names[load->phase], filled, "##############################", 30 - filled, "",
		share_done < 1 ? share_done * 100 : 100, done,
		seconds > 0 ? (double)done / seconds : 0);
}

/* Waits for the threads; stops them at the end of the time or at a signal. */
static bool supervise(struct load *load)
{
	const struct load_config *c = &load->config;
	bool bar = !c->quiet && isatty(STDERR_FILENO);
	bool interrupted = false;
	uint32_t joined = 0;
	sigset_t signals;

	sigemptyset(&signals);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGTERM);
	while (joined < c->threads) {
		uint64_t now_ns = load_mono_ns(), done = 0;
		struct timespec pause = {0, 50000000};

		if (now_ns >= load->end_ns)
			atomic_store(&load->stop, true);
		else if (load->end_ns - now_ns < (uint64_t)pause.tv_nsec)
			pause.tv_nsec = (long)(load->end_ns - now_ns);
		if (sigtimedwait(&signals, NULL, &pause) > 0) {
			interrupted = true;
			atomic_store(&load->stop, true);
		}
		for (uint32_t i = 0; i < c->threads; i++)
			done += atomic_load_explicit(&load->threads[i].done, memory_order_relaxed);
		if (load->recording)
			recording_collect(load->recording, load);
		if (bar)
			progress(load, done, (double)(now_ns - load->start_ns) / 1e9);
		while (joined < c->threads &&
		       !pthread_tryjoin_np(load->threads[joined].thread, NULL))
			joined++;
	}
	if (bar)
		fprintf(stderr, "\r%78s\r", "");
	return !interrupted;
}

static int open_threads(struct load *load)
{
	const struct load_config *c = &load->config;
	const char *path = load->phase == LOAD_DUMP ? c->dump : c->history;
	uint64_t key = 0;

	if (load->phase == LOAD_DUMP && truncate(path, 0) && errno != ENOENT) {
		fprintf(stderr, "abaft load: %s: %s\n", path, strerror(errno));
		return COMMAND_FAILED;
	}
	for (uint32_t i = 0; i < c->threads; i++) {
		struct load_thread *thread = &load->threads[i];
		int err = create_thread(load, thread, i);

		if (err)
			return err;
		thread->share = share(c->transactions, i, c->threads);
		thread->next_key = key;
		thread->last_key = key += share(c->keys, i, c->threads);
		err = path ? history_open(&thread->history, path) : 0;
		if (err) {
			fprintf(stderr, "abaft load: %s: %s\n", path, strerror(-err));
			return COMMAND_FAILED;
		}
	}
	return COMMAND_OK;
}

/* The beginning of the phase's time. Returns an exit code. */
static int begin(struct load *load)
{
	const struct load_config *c = &load->config;
	struct timespec wall;

	clock_gettime(CLOCK_REALTIME, &wall);
	load->start_unix_us = (uint64_t)wall.tv_sec * 1000000 + (uint64_t)wall.tv_nsec / 1000;
	load->start_ns = load_mono_ns();
	load->end_ns = UINT64_MAX;
	if (load->phase == LOAD_RUN && c->seconds > 0)
		load->end_ns = load->start_ns + (uint64_t)(c->seconds * 1e9);
	for (uint32_t i = 0; load->recording && i < c->threads; i++) {
		struct load_thread *thread = &load->threads[i];

		thread->series = series_create(load->start_ns, thread->client);
		if (!thread->series)
			return command_failed("recording", ABAFT_NO_MEMORY);
	}
	return COMMAND_OK;
}

/* Runs the threads to their end. Returns an exit code. */
static int run_threads(struct load *load)
{
	const struct load_config *c = &load->config;
	sigset_t signals, before;
	int code = COMMAND_OK;
	uint32_t started;

	/* Threads inherit the mask: only supervise() takes these two. */
	sigemptyset(&signals);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGTERM);
	pthread_sigmask(SIG_BLOCK, &signals, &before);
	for (started = 0; started < c->threads; started++) {
		struct load_thread *thread = &load->threads[started];

		if (pthread_create(&thread->thread, NULL, load_thread_run, thread)) {
			atomic_store(&load->stop, true);
			code = command_failed("starting a thread", ABAFT_NO_MEMORY);
			break;
		}
	}
	if (code == COMMAND_OK && !supervise(load))
		code = COMMAND_NO;
	else if (code != COMMAND_OK)
		for (uint32_t i = 0; i < started; i++)
			pthread_join(load->threads[i].thread, NULL);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return code;
}

static void add_counts(struct load_counts *sum, struct load_thread *thread)
{
	const struct load_counts *counts = &thread->counts;
	struct abaft_client_stats client;

	abaft_client_stats(thread->client, &client);
	sum->committed += counts->committed;
	sum->aborted += counts->aborted;
	sum->failed += counts->failed;
	sum->unknown += counts->unknown;
	sum->reruns += counts->reruns;
	sum->new_ids += counts->new_ids;
	sum->not_found += counts->not_found;
	sum->reads += counts->reads;
	sum->writes += counts->writes;
	sum->not_started += counts->not_started;
	for (int i = 0; i < LOAD_ERRORS; i++)
		sum->errors[i] += counts->errors[i];
	sum->client.packets_sent += client.packets_sent;
	sum->client.packets_received += client.packets_received;
	sum->client.resends += client.resends;
	sum->client.busy += client.busy;
	latency_merge(&sum->latency, &counts->latency);
}

static int gather(struct load *load, struct load_counts *counts, int code)
{
	for (uint32_t i = 0; i < load->config.threads; i++) {
		struct load_thread *thread = &load->threads[i];

		add_counts(counts, thread);
		if (thread->error > 0 && code == COMMAND_OK)
			code = command_failed("no answer from the node", thread->error);
		if (thread->error < 0 && code != COMMAND_FAILED) {
			fprintf(stderr, "abaft load: writing %s: %s\n",
				load->phase == LOAD_DUMP ? load->config.dump : load->config.history,
				strerror(-thread->error));
			code = COMMAND_FAILED;
		}
	}
	return code;
}

int load_phase_run(struct load *load, enum load_phase phase, struct load_counts *counts,
		   double *seconds)
{
	const struct load_config *c = &load->config;
	int code;

	memset(counts, 0, sizeof(*counts));
	load->phase = phase;
	atomic_store(&load->stop, false);
	load->threads = calloc(c->threads, sizeof(*load->threads));
	if (!load->threads)
		return command_failed("starting the threads", ABAFT_NO_MEMORY);
	code = open_threads(load);
	if (code == COMMAND_OK)
		code = begin(load);
	if (code != COMMAND_OK)
		goto out;
	code = run_threads(load);
	*seconds = (double)(load_mono_ns() - load->start_ns) / 1e9;
	if (load->recording)
		recording_end(load->recording, load, *seconds);
	code = gather(load, counts, code);
out:
	for (uint32_t i = 0; i < c->threads; i++)
		destroy_thread(&load->threads[i]);
	free(load->threads);
	load->threads = NULL;
	return code;
}
