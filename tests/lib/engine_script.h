/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine_script.h - a driver for tests of the service thread: each try ends as the script's next
 * step says, and is written down. What follows the script ends well.
 */
#ifndef ABAFT_TESTS_ENGINE_SCRIPT_H
#define ABAFT_TESTS_ENGINE_SCRIPT_H

#include <pthread.h>

#include "dataplane/engine/engine_impl.h"

#define SCRIPT_STEPS 64
#define SCRIPT_TRIES 4096

struct script_step {
	int result;
	uint32_t delay_ms;
	bool hold;	      /* until script_release(), or its time is over */
	uint64_t done;	      /* of a failing try: items that are done all the same, as bits */
	const void *content;  /* of a GET that ends well */
	uint32_t content_got; /* its bytes */
};

struct script_try {
	enum engine_verb verb;
	uint32_t items; /* to be done */
	uint64_t at_us;
};

struct script {
	struct engine_driver driver; /* the first member */
	pthread_mutex_t lock;
	struct script_step steps[SCRIPT_STEPS];
	uint32_t steps_count, next;
	const char *content; /* of GETs whose step has none */
	struct script_try tries[SCRIPT_TRIES];
	uint32_t tries_count;
	uint32_t held, held_most; /* operations that the driver has, and had at most */
	bool hold_rest, released, destroyed;
	int release_fd;
	struct {
		struct engine_op *op;
		struct script_step step;
		uint64_t due_us;
	} open[ENGINE_OPEN_MAX];
};

/* An engine over a new script; it frees neither. Fails the test when that fails. */
void script_open(struct script *script, struct engine **engine, const struct script_step *steps,
		 uint32_t count, const struct engine_config *config);
/* What comes behind the script is held. */
void script_hold(struct script *script);
/* What is held ends as its step says; what comes later is not held. Before the engine's close. */
void script_release(struct script *script);
/* How often it has tried so far. */
uint32_t script_tries(struct script *script);
/* Waits, for 10 s at most, until the driver has so many; false: it never had. */
bool script_await_held(struct script *script, uint32_t held);

#endif
