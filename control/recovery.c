/* SPDX-License-Identifier: Apache-2.0 */
/*
 * recovery.c - see recovery.h.
 */
#include "control/recovery.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "dataplane/core/node.h"
#include "dataplane/log/datadir.h"
#include "dataplane/log/log.h"

/* One log being read. */
struct reader {
	pthread_t thread;
	struct log_config config;
	struct node **nodes;
	uint32_t workers;
	struct log_tail *tail;
	uint64_t records;
	int err;
	char why[RECOVERY_WHY_BYTES];
};

/* What to do when node_recover() says `err`. */
static const char *advice(int err)
{
	switch (err) {
	case -ENOMEM:
		return "the values do not fit; raise memory";
	case -ENOSPC:
		return "the keys do not fit; raise keys";
	case -EBUSY:
		return "too many logs have versions of one of its keys; start with as many workers "
		       "as there are logs";
	default:
		return strerror(-err);
	}
}

static int take_record(void *arg, uint64_t seq, uint8_t type, uint64_t place, const uint8_t *data,
		       uint32_t bytes)
{
	struct reader *reader = arg;
	int err = node_recover(reader->nodes, reader->workers, reader->config.number, type, place,
			       data, bytes);

	if (err == 0)
		reader->records++;
	else
		snprintf(reader->why, sizeof(reader->why),
			 "log-%03u: record %llu (type %u, %u bytes) cannot be applied: %s",
			 reader->config.number, (unsigned long long)seq, type, bytes, advice(err));
	return err;
}

static void *read_log(void *arg)
{
	struct reader *reader = arg;
	char why[RECOVERY_WHY_BYTES] = "";

	reader->err = log_recover(&reader->config, NULL, take_record, reader, &reader->tail, why,
				  sizeof(why));
	if (reader->err == 0)
		node_recover_end(reader->nodes, reader->config.number);
	/* take_record's own sentence says more. */
	if (reader->err != 0 && reader->why[0] == '\0')
		memcpy(reader->why, why, sizeof(why));
	return NULL;
}

static uint64_t now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

static int collect(struct recovery *recovery, struct reader *reader, char *why)
{
	recovery->tails[reader->config.number] = reader->tail;
	recovery->records += reader->records;
	if (reader->err == 0)
		return 0;
	snprintf(why, RECOVERY_WHY_BYTES, "%s",
		 reader->why[0] != '\0' ? reader->why : strerror(-reader->err));
	return reader->err;
}

int recovery_run(struct recovery *recovery, const struct datadir *dir,
		 const struct log_config *config, struct node *nodes[], uint32_t workers, char *why)
{
	struct reader readers[ABAFT_LOGS_MAX];
	uint32_t started = 0;
	uint64_t logs = 0;
	int err = 0;

	memset(recovery, 0, sizeof(*recovery));
	recovery->elapsed_us = now_us();
	for (uint32_t i = 0; i < dir->logs_count; i++)
		logs |= UINT64_C(1) << dir->logs[i] % ABAFT_WORKERS_MAX;
	node_recover_begin(nodes, logs);
	for (uint32_t i = 0; i < dir->logs_count && err == 0; i++) {
		struct reader *reader = &readers[i];

		memset(reader, 0, sizeof(*reader));
		reader->config = *config;
		reader->config.number = dir->logs[i];
		reader->nodes = nodes;
		reader->workers = workers;
		err = -pthread_create(&reader->thread, NULL, read_log, reader);
		if (err == 0)
			started++;
		else
			snprintf(why, RECOVERY_WHY_BYTES, "no thread to recover a log: %s",
				 strerror(-err));
	}
	for (uint32_t i = 0; i < started; i++) {
		int failed;

		pthread_join(readers[i].thread, NULL);
		failed = collect(recovery, &readers[i], err == 0 ? why : readers[i].why);
		err = err == 0 ? failed : err;
	}
	recovery->logs = started;
	recovery->elapsed_us = now_us() - recovery->elapsed_us;
	if (err == 0)
		node_recovered(nodes, workers);
	return err;
}

void recovery_free(struct recovery *recovery)
{
	for (uint32_t i = 0; i < ABAFT_LOGS_MAX; i++) {
		if (recovery->tails[i] != NULL)
			log_tail_free(recovery->tails[i]);
		recovery->tails[i] = NULL;
	}
}
