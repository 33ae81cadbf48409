/* SPDX-License-Identifier: Apache-2.0 */
/*
 * post.h - what a worker hands the keeper when asked: its log's mark, and its outcomes.
 *
 * One `struct post` per worker, one question at a time. The keeper writes the question and then
 * stores `asked`; the worker, once per pass, sees it, answers and stores `answered` (release; the
 * keeper's load of it acquires). So no datum has two owners. An answer costs a worker at most the
 * encoding of POST_OUTCOMES outcomes in one pass.
 */
#ifndef ABAFT_DATAPLANE_POST_H
#define ABAFT_DATAPLANE_POST_H

#include <stdbool.h>
#include <stdint.h>

#include "dataplane/core/snapshot.h"
#include "dataplane/log/log.h"

struct node;

#define POST_OUTCOMES 256

enum post_question {
	POST_MARK,	    /* everything up to `mark` is durable and visible in the index */
	POST_OUTCOMES_NEXT, /* the next outcomes from `cursor` on; bytes 0: no more */
};

struct post {
	_Atomic uint32_t asked;	   /* counts questions; the keeper's */
	_Atomic uint32_t answered; /* the worker's */
	enum post_question question;
	uint64_t cursor;
	uint64_t horizon_ms; /* of POST_OUTCOMES_NEXT */
	uint64_t time;	     /* of POST_MARK: node_time() */
	int log_error;	     /* of POST_MARK, as log_error() */
	struct log_mark mark;
	uint32_t bytes;
	uint8_t outcomes[POST_OUTCOMES * SNAPSHOT_OUTCOME_BYTES];
} __attribute__((aligned(64)));

/* The keeper: asks; true once it is answered. */
void post_ask(struct post *post, enum post_question question);
bool post_answered(const struct post *post);
/* The worker, once per pass, behind node_durable(): returns true if it answered something. */
bool post_serve(struct post *post, const struct node *node, const struct log *log);

#endif
