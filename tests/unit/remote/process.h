/* SPDX-License-Identifier: Apache-2.0 */
/*
 * process.h - a process over the storage of engine_fake.h: its engine and its remote. Several of
 * them over one storage are nodes that do not know of each other.
 */
#ifndef ABAFT_TESTS_REMOTE_PROCESS_H
#define ABAFT_TESTS_REMOTE_PROCESS_H

#include <stdbool.h>
#include <stdint.h>

#include "dataplane/log/logdev.h"
#include "dataplane/remote/remote.h"
#include "tests/lib/engine_fake.h"

struct process {
	struct engine *engine;
	struct remote *remote;
	uint8_t writer[16];
	char why[512];
};

/* Starts one, whose writer's id follows from `writer`. 0, or remote_open()'s error with `why`. */
int process_try(struct process *process, struct fake_store *store, uint32_t writer);
void process_start(struct process *process, struct fake_store *store, uint32_t writer);
/* It ends, in good order or not: everything of it that is open was closed, or is dead. */
void process_end(struct process *process);

/* A device that makes its segments within the owner's calls. */
struct logdev *process_logdev(struct process *process, uint32_t log);

#endif
