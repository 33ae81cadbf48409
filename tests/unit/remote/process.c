/* SPDX-License-Identifier: Apache-2.0 */
/* process.c - see process.h. */
#include "tests/unit/remote/process.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

int process_try(struct process *process, struct fake_store *store, uint32_t writer)
{
	struct remote_config config = {.call_ms = 1000};
	int error;

	memset(process, 0, sizeof(*process));
	process->engine = fake_engine_open(store);
	memset(config.writer, 0xee, sizeof(config.writer));
	memcpy(config.writer, &writer, sizeof(writer));
	memcpy(process->writer, config.writer, sizeof(config.writer));
	memset(config.node_id, (int)(0x50 + writer % 16), sizeof(config.node_id));
	config.engine = process->engine;
	error = remote_open(&process->remote, &config, process->why, sizeof(process->why));
	if (error)
		process_end(process);
	return error;
}

void process_start(struct process *process, struct fake_store *store, uint32_t writer)
{
	if (process_try(process, store, writer))
		fail_msg("%s", process->why);
}

void process_end(struct process *process)
{
	engine_close(process->engine, 0);
	if (process->remote)
		remote_close(process->remote);
	engine_destroy(process->engine);
	process->engine = NULL;
	process->remote = NULL;
}

struct logdev *process_logdev(struct process *process, uint32_t log)
{
	struct logdev *dev;

	assert_int_equal(remote_logdev(process->remote, log, &dev), 0);
	dev->threads = false;
	return dev;
}
