/* SPDX-License-Identifier: Apache-2.0 */
/*
 * crash.c - kill -9 of the node under load, and the count of what it cost.
 *
 * Writers commit transactions of three keys, one after another, and note in memory they share with
 * their parent which were asked for and which were acknowledged. The node is killed in the middle,
 * started again, and each transaction ever asked for is read back.
 *
 * I1. A transaction is noted as asked before its commit leaves, as acknowledged after the answer
 *     came: so a loss can not hide between the two.
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>

#include "tools/command/command.h"
#include "tools/demo/demo.h"

#define CRASH_WRITERS	  4
#define CRASH_TXNS_MAX	  100000 /* of one writer in one round */
#define CRASH_KEYS	  3
#define CRASH_VALUE_BYTES 400
#define CRASH_TIMEOUT_MS  300
#define READ_BACK_TRIES	  5
#define WRITER_END_US	  20000000

enum { TXN_NEVER, TXN_ASKED, TXN_ACKNOWLEDGED };

struct crash_writer {
	atomic_uint asked; /* transactions begun */
	atomic_uchar state[CRASH_TXNS_MAX];
};

struct crash {
	const struct demo_store *store;
	uint32_t round;
	struct crash_writer *writers;
};

static void crash_key(const struct crash *crash, unsigned int writer, unsigned int txn, int key,
		      char text[SHOP_KEY_BYTES])
{
	snprintf(text, SHOP_KEY_BYTES, "crash-%u:%u:%u:%u:%c", crash->store->run, crash->round,
		 writer, txn, 'a' + key);
}

static int open_client(const struct crash *crash, uint32_t timeout_ms, struct abaft **out)
{
	struct abaft_config config = {.address = crash->store->address,
				      .port = crash->store->port,
				      .timeout_ms = timeout_ms};

	return abaft_open(out, &config);
}

/* The value tells its key, so that a value in the wrong place is not taken for the right one. */
static int write_one(const struct crash *crash, struct abaft *client, unsigned int writer,
		     unsigned int number)
{
	char keys[CRASH_KEYS][SHOP_KEY_BYTES], value[CRASH_VALUE_BYTES];
	struct abaft_txn *txn;
	int err = abaft_begin(client, NULL, &txn);

	for (int i = 0; !err && i < CRASH_KEYS; i++) {
		crash_key(crash, writer, number, i, keys[i]);
		memset(value, '.', sizeof(value));
		memcpy(value, keys[i], strlen(keys[i]));
		err = abaft_prep_put(txn, keys[i], strlen(keys[i]), value, sizeof(value), NULL);
	}
	if (!err)
		err = abaft_prep_commit(txn, NULL);
	if (!err)
		err = abaft_run(txn);
	abaft_end(txn);
	return err;
}

/* Until the node does not answer any more, which it is sure to do soon. */
static int writer_run(const struct crash *crash, unsigned int number)
{
	struct crash_writer *writer = &crash->writers[number];
	struct abaft *client;

	if (open_client(crash, CRASH_TIMEOUT_MS, &client))
		return 1;
	for (unsigned int txn = 0; txn < CRASH_TXNS_MAX; txn++) {
		atomic_store(&writer->state[txn], TXN_ASKED);
		atomic_store(&writer->asked, txn + 1);
		if (write_one(crash, client, number, txn))
			break;
		atomic_store(&writer->state[txn], TXN_ACKNOWLEDGED);
	}
	abaft_close(client);
	return 0;
}

/* How many of the transaction's keys are there; -1: not readable. */
static int keys_found(const struct crash *crash, struct abaft *client, unsigned int writer,
		      unsigned int number)
{
	char keys[CRASH_KEYS][SHOP_KEY_BYTES], values[CRASH_KEYS][CRASH_VALUE_BYTES];
	struct abaft_result results[CRASH_KEYS] = {0};
	struct abaft_txn *txn;
	int found = 0;
	int err = abaft_begin(client, NULL, &txn);

	if (err)
		return -1;
	for (int i = 0; !err && i < CRASH_KEYS; i++) {
		crash_key(crash, writer, number, i, keys[i]);
		err = abaft_prep_get(txn, keys[i], strlen(keys[i]), values[i], sizeof(values[i]),
				     &results[i]);
	}
	if (!err)
		err = abaft_prep_commit(txn, NULL);
	if (!err)
		err = abaft_run(txn);
	abaft_end(txn);
	for (int i = 0; !err && i < CRASH_KEYS; i++)
		found += !results[i].status && results[i].len == CRASH_VALUE_BYTES &&
			 !memcmp(values[i], keys[i], strlen(keys[i])) &&
			 values[i][CRASH_VALUE_BYTES - 1] == '.';
	return err ? -1 : found;
}

static void judge_one(const struct crash *crash, struct abaft *client, unsigned int writer,
		      unsigned int txn, struct demo_crash_result *result)
{
	bool acknowledged = atomic_load(&crash->writers[writer].state[txn]) == TXN_ACKNOWLEDGED;
	int found = -1;

	for (int i = 0; found < 0 && i < READ_BACK_TRIES; i++)
		found = keys_found(crash, client, writer, txn);
	result->acknowledged += acknowledged;
	result->unanswered += !acknowledged;
	if (found < 0) {
		result->unreadable++;
		return;
	}
	result->lost += acknowledged && found < CRASH_KEYS;
	result->partial += found > 0 && found < CRASH_KEYS;
	result->unanswered_visible += !acknowledged && found == CRASH_KEYS;
}

static int judge_round(const struct crash *crash, struct demo_crash_result *result)
{
	struct abaft *client;
	int err = open_client(crash, crash->store->timeout_ms, &client);

	if (err) {
		command_failed("reading back after the kill", err);
		return -1;
	}
	for (unsigned int writer = 0; writer < CRASH_WRITERS; writer++) {
		unsigned int asked = atomic_load(&crash->writers[writer].asked);

		for (unsigned int txn = 0; txn < asked; txn++)
			judge_one(crash, client, writer, txn, result);
	}
	abaft_close(client);
	return 0;
}

static int crash_round(struct crash *crash, struct demo_node *node, uint64_t *random,
		       struct demo_crash_result *result)
{
	uint64_t us = node->options->crash_ms * UINT64_C(1000);
	struct timespec load;
	pid_t pids[CRASH_WRITERS];
	uint64_t start, restart_ms;
	bool well = true;

	us = us / 2 + demo_random(random) % (us / 2 + 1);
	load = (struct timespec){.tv_sec = (time_t)(us / 1000000),
				 .tv_nsec = (long)(us % 1000000) * 1000};
	for (unsigned int i = 0; i < CRASH_WRITERS; i++) {
		pids[i] = demo_fork();
		if (!pids[i])
			_exit(writer_run(crash, i));
	}
	nanosleep(&load, NULL);
	demo_node_kill(node);
	for (unsigned int i = 0; i < CRASH_WRITERS; i++) {
		int status = 1;

		well = well && pids[i] > 0 && demo_wait(pids[i], WRITER_END_US, &status) && !status;
	}
	if (!well) {
		fputs("abaft: a writer of the crash round failed\n", stderr);
		return -1;
	}
	start = shop_now_us();
	if (demo_node_start(node))
		return -1;
	restart_ms = (shop_now_us() - start) / 1000;
	if (restart_ms > result->restart_ms)
		result->restart_ms = restart_ms;
	result->rounds++;
	return judge_round(crash, result);
}

int demo_crash_run(struct demo_node *node, struct demo_crash_result *result)
{
	uint64_t random = node->options->seed;
	size_t bytes = CRASH_WRITERS * sizeof(struct crash_writer);

	for (uint32_t round = 0; round < node->options->crash_rounds; round++) {
		struct crash crash = {.store = node->store, .round = round};
		int err;

		crash.writers = demo_share(bytes);
		if (!crash.writers) {
			fputs("abaft: out of memory for the crash round\n", stderr);
			return -1;
		}
		err = crash_round(&crash, node, &random, result);
		munmap(crash.writers, bytes);
		if (err)
			return -1;
	}
	return 0;
}
