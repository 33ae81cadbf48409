/* SPDX-License-Identifier: Apache-2.0 */
/*
 * invocation.h - what a client hands to the first function of a chain, each function to the next,
 * and the answer that comes back; as bytes over pipes between processes of this machine.
 *
 * A function calls the next one and waits for it, as the functions of the AFT paper do. The message
 * is a struct invocation and behind it what functions carry along for those that follow: writes
 * that a store takes only at the end, and what was read so far.
 */
#ifndef ABAFT_BENCH_AFT_INVOCATION_H
#define ABAFT_BENCH_AFT_INVOCATION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <abaft/abaft.h>

#include "tools/history/tag.h"

#define INVOCATION_OPS_MAX     128
#define INVOCATION_STEPS_MAX   ABAFT_TXN_STEPS_MAX
#define INVOCATION_VALUE_MAX   (64u << 10)
#define INVOCATION_CARRIED_MAX (4u << 20)
#define INVOCATION_KEY_BYTES   16

struct invocation_op {
	uint32_t rank; /* of the key, from 1 on */
	bool write;
};

struct invocation {
	struct abaft_id id;
	uint16_t attempt;
	uint16_t step;	/* the function that this is for */
	uint16_t steps; /* functions of the chain */
	uint16_t ops;	/* of all functions */
	uint16_t first[INVOCATION_STEPS_MAX + 1];
	struct invocation_op op[INVOCATION_OPS_MAX];
	char context[ABAFT_CONTEXT_BYTES]; /* abaft_export() of the function before */
	uint32_t carried_bytes;
};

/* What a function did, and those behind it. */
struct reply {
	int32_t err;	   /* enum abaft_error: of the first that failed */
	uint32_t trips;	   /* requests to the store that were waited for, one after the other */
	uint32_t requests; /* and all of them */
	uint32_t missing;  /* reads that found nothing */
	uint64_t bytes_written; /* of values and keys */
	uint64_t bytes_read;
	bool commit_sent; /* so that a failure may have committed */
};

/* A message with room for all that is carried. */
struct invocation_message {
	struct invocation head;
	uint8_t carried[INVOCATION_CARRIED_MAX];
};

/* A write to be made by a later function, or a read that is to be still true then. */
struct invocation_note {
	bool write;
	uint32_t rank;
	uint32_t bytes; /* of the value, or of the tag that was read; 0: nothing was */
};

/* Adds to what is carried. 0 or -ENOSPC. */
__attribute__((warn_unused_result)) int
invocation_carry(struct invocation_message *message, struct invocation_note note, const void *data);
/* Goes through it: *at is 0 before the first. False at the end. */
bool invocation_carried(const struct invocation_message *message, uint32_t *at,
			struct invocation_note *note, const uint8_t **data);

/* "k" and the rank; returns its length. */
size_t invocation_key(uint32_t rank, char key[INVOCATION_KEY_BYTES]);

/* 0, -EPIPE (the other side is gone), -EMSGSIZE (its length cannot be), or another errno. */
__attribute__((warn_unused_result)) int invocation_send(int fd,
							const struct invocation_message *message);
__attribute__((warn_unused_result)) int invocation_receive(int fd,
							   struct invocation_message *message);
__attribute__((warn_unused_result)) int reply_send(int fd, const struct reply *reply);
__attribute__((warn_unused_result)) int reply_receive(int fd, struct reply *reply);

/* A function process: its two pipes. */
struct function_process {
	int to, from;
	int pid; /* 0: none */
};

/* Starts `argv` with the pipes as its standard input and output; it dies with this process. 0 or a
 * negative errno. */
__attribute__((warn_unused_result)) int function_start(struct function_process *process,
						       char *const argv[]);
/* Closes its pipes, on which it ends, and waits for that. */
void function_stop(struct function_process *process);

#endif
