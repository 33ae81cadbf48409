/* SPDX-License-Identifier: Apache-2.0 */
/*
 * request.h - the wire format as the node sees it: untrusted request bytes in, answer bytes out.
 */
#ifndef ABAFT_CORE_REQUEST_H
#define ABAFT_CORE_REQUEST_H

#include <stdbool.h>
#include <stdint.h>

#include <abaft/error.h>
#include <abaft/telemetry.h>
#include <abaft/wire.h>

#include "dataplane/core/hlc.h"

/* One operation; pointers into the request's bytes. */
struct op {
	const uint8_t *key;
	const uint8_t *data; /* NULL when data_bytes is 0 or only asked for */
	uint32_t key_bytes;
	uint32_t total, offset;
	uint32_t data_bytes;
	uint8_t code;
};

struct request {
	const struct abaft_wire_header *header;
	uint8_t txn[16];
	uint64_t instance;
	uint16_t step, attempt;
	uint32_t seq;
	uint32_t deadline_ms;
	uint32_t answer_max;
	bool open;
	uint32_t ops;
	struct op op[ABAFT_OPS_MAX];
};

struct telemetry;

enum request_verdict {
	REQUEST_OK,
	REQUEST_REFUSE, /* answer with *status */
	REQUEST_DROP,	/* not answerable */
};

/* Checks every byte before any is acted on; counts each refusal under its reason. */
enum request_verdict request_parse(struct request *request, const uint8_t *in, uint32_t bytes,
				   struct node_counters *counters, uint16_t *status);

/* Whether it is a request that can be answered, if only refused; counts the reason if not. */
bool request_answerable(const uint8_t *in, uint32_t bytes, struct node_counters *counters);

/* An answer being built; results follow the header in the order of the operations. */
struct answer {
	uint8_t *out;
	uint32_t used;
	uint32_t max;
	uint32_t results;
	struct telemetry *telemetry; /* counts each result as it is made; NULL: nobody does */
	/* Reads that are not counted yet: GETs, and parts. Of a request that waits for a value they
	 * are taken back, and readers must see no count go back. */
	struct answer_reads {
		uint32_t count, bytes, not_found;
	} reads[2];
};

void answer_begin(struct answer *answer, uint8_t *out, const struct abaft_wire_header *request,
		  uint32_t max, uint32_t workers, uint64_t instance);
/* Takes all results back, which are reads. */
void answer_restart(struct answer *answer);
/* Turns it into a refusal as a whole. */
void answer_refuse(struct answer *answer, uint16_t status);
/* Counts its reads. There is telemetry. */
void answer_count(const struct answer *answer);
/* Writes lengths and counts; returns the bytes of the payload. */
uint32_t answer_end(struct answer *answer);

/* Bytes of data the next result may carry when `ops_left` results, itself included, must fit. */
uint32_t answer_room(const struct answer *answer, uint32_t ops_left);
/* Appends a result and returns where its data goes. */
uint8_t *answer_result(struct answer *answer, uint8_t code, uint16_t status, uint8_t flags,
		       struct vnum number, uint32_t total, uint32_t offset, uint32_t data_bytes);
/* A result without data at any place: for commits that were waited for. */
void result_encode(uint8_t out[32], uint8_t code, uint16_t status, uint8_t flags,
		   struct vnum number);

#endif
