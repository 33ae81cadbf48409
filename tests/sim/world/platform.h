/* SPDX-License-Identifier: Apache-2.0 */
/*
 * platform.h - the function platform: runs requests on clients as FaaS platforms do, with all that
 * goes wrong there, and tells the judge what each attempt did and saw.
 *
 * A request has an id, and 1 to PLATFORM_STEPS_MAX functions (steps) that run one after the other,
 * each on any client; the last one commits (docs/functions.md). A function is rounds: what the
 * load's `round` prepares goes out as one submit, then `round` is called with what it brought.
 * A run of a step that dies, fails in a way that asks for a retry, or takes too long is run again
 * with the attempt counted up, on any client, perhaps while the former still runs; then the step's
 * result is the later one's. UNKNOWN_TXN (abaft_retry_of(): RESTART) begins with step 1 again.
 * After some attempts the platform gives up.
 *
 * | file | what it is |
 * |---|---|
 * | platform | requests: when they come, their retries, races and repetitions, when they end |
 * | attempt  | one run of a step: its rounds, what it was told, what that means for the history |
 * | question | abaft_status() now and then, held against what was told |
 * | final    | reads the final state |
 */
#ifndef ABAFT_TESTS_PLATFORM_H
#define ABAFT_TESTS_PLATFORM_H

#include <stdbool.h>
#include <stdint.h>

#include <abaft/abaft.h>

#include "tools/history/tag.h"

#define PLATFORM_STEPS_MAX    4
#define PLATFORM_ATTEMPTS_MAX 12
#define PLATFORM_OPS_MAX      24 /* of one run of a step */
#define PLATFORM_KEY_BYTES    32
#define PLATFORM_VALUE_MAX    (64 << 10)

struct world;
struct platform;
struct load;

/* An operation of a run, as it was asked for and answered. */
struct run_op {
	char kind; /* 'r', 'w', 'd' */
	bool answered;
	char key[PLATFORM_KEY_BYTES]; /* NUL-terminated */
	uint64_t time_us;
	struct tag_number number; /* w, d */
	struct abaft_result result;
	uint32_t bytes; /* of the value: room when reading */
	uint8_t *value; /* w: with its tag; r: what was read, tag and all */
};

/* One run (attempt) of one step of a request. */
struct run {
	struct request *request;
	uint16_t step, attempt;	  /* step: 0 if it is the only one, else from 1 on */
	const struct run *before; /* of the step before: it goes on from this one; NULL: none */
	uint32_t round;		  /* 0: nothing was sent yet */
	uint32_t ops_count;
	uint32_t ops_before; /* those of former rounds: answered */
	struct run_op ops[PLATFORM_OPS_MAX];
	uint64_t random;      /* stream of the run's own */
	uint64_t pause_us;    /* before this round is sent */
	bool commits, aborts; /* this round ends with it */
};

/* For loads, within `round`: adds operations to the round. The value gets its tag in front; `with`
 * of the tag is left empty. Returns the operation; room for a tag and PLATFORM_SMALL bytes. */
#define PLATFORM_SMALL 64
struct run_op *run_get(struct run *run, const char *key);
/* With room for any value. */
struct run_op *run_get_big(struct run *run, const char *key);
struct run_op *run_put(struct run *run, const char *key, const void *value, uint32_t bytes);
struct run_op *run_delete(struct run *run, const char *key);
void run_commit(struct run *run);
void run_abort(struct run *run);
/* Of an answered read: what stands behind the tag; NULL: there was no value (or no tag). */
const uint8_t *run_value(const struct run_op *op, uint32_t *bytes);
uint64_t run_roll(struct run *run, uint64_t limit);
/* The function takes that long before this round is sent. */
void run_pause(struct run *run, uint64_t us);

struct request {
	uint32_t number;
	const struct load *load;
	struct abaft_id id;
	uint32_t steps;		  /* load's choice */
	uint64_t facts[4];	  /* load's own, set by its `begin`: never changes with attempts */
	uint64_t random;	  /* stream of the request's own */
	bool committed, given_up; /* as the platform was told */
	uint64_t arrived_us, committed_us;
};

struct platform *platform_create(struct world *world);
void platform_destroy(struct platform *platform);
/* Begins to send plan.requests requests, by events. */
void platform_begin(struct platform *platform);
/* All requests have ended, one way or the other. */
bool platform_is_done(const struct platform *platform);
/* Prints what has not ended, for W2's failure. */
void platform_print_open(const struct platform *platform);
/* Reads all keys of all loads on a client of its own, when all is done; calls back with each. */
typedef void (*platform_final_fn)(void *arg, const struct run_op *op);
void platform_read_final(struct platform *platform, platform_final_fn fn, void *arg);
const struct request *platform_request(const struct platform *platform, uint32_t number);
/* The request with that id, or NULL. */
const struct request *platform_find(const struct platform *platform, const struct abaft_id *id);

#endif
