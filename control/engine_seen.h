/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine_seen.h - notices that a storage engine has lost what it had acknowledged.
 *
 * A node that keeps its logs in an engine has nothing else, so an engine that forgot everything
 * looks like one that never had anything. The object node/id (remote.h) is there from the first
 * start on and never changes: what it held stands in state-dir/engine, for the next start, and a
 * node that runs looks at it every few seconds. Objects that are lost one by one are noticed by who
 * reads them: recovery refuses a log with a gap, a read of a value gets CORRUPT.
 */
#ifndef ABAFT_CONTROL_ENGINE_SEEN_H
#define ABAFT_CONTROL_ENGINE_SEEN_H

#include <stdbool.h>
#include <stdint.h>

#include "control/config.h"
#include "dataplane/engine/engine.h"

/* What the object may have, and more than it has. */
#define ENGINE_SEEN_BYTES     64
#define ENGINE_SEEN_WHY_BYTES 640
#define ENGINE_SEEN_LOOK_US   UINT64_C(5000000)

struct engine_seen {
	uint8_t id[ENGINE_SEEN_BYTES];
	uint32_t id_bytes; /* 0: there is none */
	/* Of engine_seen_look(): */
	struct engine_channel *channel;
	struct engine_op op;
	struct engine_item item;
	uint8_t now[ENGINE_SEEN_BYTES];
	uint64_t next_us;
	bool asking;
};

/* Reads the object into `seen`; waits for the engine. 0, or a negative errno with a sentence. */
int engine_seen_read(struct engine_seen *seen, struct engine *engine, char *why)
	__attribute__((warn_unused_result));
/* -EBADMSG with a sentence when another object stood in this engine before, as state-dir says, or
 * one where there is none now. */
int engine_seen_check(const struct engine_seen *seen, const struct config *config, char *why)
	__attribute__((warn_unused_result));
int engine_seen_note(const struct engine_seen *seen, const struct config *config, char *why)
	__attribute__((warn_unused_result));

/* From then on engine_seen_look() may be called, by one thread. 0, -EAGAIN or -ENOMEM. */
int engine_seen_begin(struct engine_seen *seen, struct engine *engine)
	__attribute__((warn_unused_result));
/* Waits for nothing. 0; -ENOENT: the object is gone; -ESTALE: it is another one. */
int engine_seen_look(struct engine_seen *seen, uint64_t mono_us)
	__attribute__((warn_unused_result));
/* The engine is closed, or answers; of zeros, too. */
void engine_seen_end(struct engine_seen *seen);

#endif
