/* SPDX-License-Identifier: Apache-2.0 */
/*
 * request_model.h - what a node may answer: a model of its transactions that judges every answer.
 *
 * It is told each request with its answer, as the bytes went, and when a commit was told durable or
 * a crash came; it knows docs/wire.md and docs/isolation.md, and shares no code with the core but
 * the layout in wire.h. It aborts with a sentence when an answer breaks a promise:
 *
 *  M1. (P2) A GET behind all of its transaction's writes of the key gets the highest-numbered one.
 *  M2. (P1) A value read is the whole value that a committed transaction wrote to this key under
 *      this version, and no other key was read older than what that transaction wrote there.
 *  M3. (P3) A key read twice is the same version twice.
 *  M4. (P6) An id commits once: one version, whatever is asked again; neither a committed nor an
 *      aborted id is opened anew. A packet that comes twice is answered the same way twice.
 *  M5. (P5) What is in the store is what the committed transactions wrote last, and nothing else:
 *      model_newest() of every key, before and after restarts.
 *
 * Values that came in parts are known by their length alone.
 */
#ifndef ABAFT_TESTS_REQUEST_MODEL_H
#define ABAFT_TESTS_REQUEST_MODEL_H

#include <stdbool.h>
#include <stdint.h>

#include "tests/lib/node_bed.h"

struct model;

struct model_value {
	uint64_t time;
	uint32_t origin, bytes;
	bool known;
	const uint8_t *data; /* if it is known */
};

struct model *model_create(void);
void model_destroy(struct model *model);

/* A request was answered, now or, if its verdict is NODE_WAIT, but for its last result. */
void model_answer(struct model *model, const uint8_t *request, uint32_t n,
		  const struct bed_answer *answer);
/* The last result came. */
void model_told(struct model *model, const struct bed_answer *answer);
/* The same bytes were executed twice with nothing in between. */
void model_twice(struct model *model, const uint8_t *request, uint32_t n,
		 const struct bed_answer *first, const struct bed_answer *second);
/* Everything open or not yet durable is gone. */
void model_crash(struct model *model);

/* What must be visible of a key: false: nothing. */
bool model_newest(const struct model *model, const uint8_t *key, uint32_t bytes,
		  struct model_value *out);
/* How many keys must be visible. */
uint32_t model_visible(const struct model *model);

struct model_counts {
	uint64_t commits, reads, own_reads, pairs, twice;
};
struct model_counts model_counts(const struct model *model);

#endif
