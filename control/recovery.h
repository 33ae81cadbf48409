/* SPDX-License-Identifier: Apache-2.0 */
/*
 * recovery.h - reads all logs of a data directory into the workers' nodes, one thread per log.
 *
 * The number of logs found need not be the number of workers: any log's records go to whichever
 * node owns the transaction now. Logs beyond the workers are read, and not written any more.
 */
#ifndef ABAFT_CONTROL_RECOVERY_H
#define ABAFT_CONTROL_RECOVERY_H

#include <stdint.h>

#include <abaft/limits.h>

struct datadir;
struct log_config;
struct log_tail;
struct node;

#define RECOVERY_WHY_BYTES 512

struct recovery {
	struct log_tail *tails[ABAFT_LOGS_MAX]; /* by the log's number; NULL: no such log */
	uint64_t records;
	uint32_t logs;
	uint64_t elapsed_us;
};

/*
 * Recovers every log that `dir` names; `config` is each log's but for the number. Before any worker
 * runs. 0, or the first log's negative errno with a sentence in why[RECOVERY_WHY_BYTES].
 * recovery_free() afterwards in both cases.
 */
int recovery_run(struct recovery *recovery, const struct datadir *dir,
		 const struct log_config *config, struct node *nodes[], uint32_t workers, char *why)
	__attribute__((warn_unused_result));
void recovery_free(struct recovery *recovery);

#endif
