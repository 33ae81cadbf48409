/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wire.h - abaft's wire protocol, version 1, whole. docs/wire.md tells it to writers of clients.
 *
 * One UDP payload = one header + `ops` operations, packed without padding. All integers are
 * little-endian and may stand at any address; ids are 16 raw bytes. A request's operations run in
 * order on one transaction; the answer carries one answer operation for each, in the same order.
 *
 * Request ids: UUIDv7 made by the client (48-bit big-endian milliseconds, then version and random
 * bits). The owner is a pure function of the id: worker = (u32_be(id[12..15]) * workers) >> 32, and
 * worker w listens on UDP port base + w.
 */
#ifndef ABAFT_WIRE_H
#define ABAFT_WIRE_H

#include <abaft/limits.h>
#include <linux/types.h>

#define ABAFT_WIRE_MAGIC   0x54464241u /* "ABFT" as it stands on the wire */
#define ABAFT_WIRE_VERSION 1

enum abaft_wire_kind {
	ABAFT_KIND_REQUEST = 1,
	ABAFT_KIND_ANSWER = 2,
};

enum abaft_wire_flag {
	/* Request: may create the transaction (its first packet, and each of its resends). */
	ABAFT_FLAG_OPEN = 1 << 0,
	/* Answer: the node executed this request before, or refused it as a whole (then ops = 0).
	 */
	ABAFT_FLAG_REFUSED = 1 << 1,
};

enum abaft_wire_op_code {
	ABAFT_OP_GET = 1,      /* key -> value, or its first bytes and its total length */
	ABAFT_OP_PUT = 2,      /* key, whole value */
	ABAFT_OP_DELETE = 3,   /* key */
	ABAFT_OP_PUT_PART = 4, /* key, total, offset, bytes: the buffer in the node reassembles */
	ABAFT_OP_GET_PART = 5, /* key, offset, length -> bytes of the version GET chose */
	ABAFT_OP_COMMIT = 6,   /* ends the transaction */
	ABAFT_OP_ABORT = 7,    /* ends the transaction */
	ABAFT_OP_STATUS = 8,   /* -> the transaction's outcome so far; creates nothing */
	ABAFT_OP_INFO = 9,     /* node facts and counters by name; needs no transaction */
	ABAFT_OP_APPEND = 10,  /* reserved for the shared log: answered UNSUPPORTED */
};

/* Offsets stand in front; docs/wire.md repeats them, tests/unit/wire_test.c holds both to it. */
struct abaft_wire_header {
	/*  0 */ __u8 magic[4];
	/*  4 */ __u8 version;
	/*  5 */ __u8 kind;
	/*  6 */ __u8 flags[2];
	/*  8 */ __u8 length[2];  /* bytes of the whole payload */
	/* 10 */ __u8 ops[2];	  /* operations that follow */
	/* 12 */ __u8 status[2];  /* answer: why the request was refused as a whole; else 0 */
	/* 14 */ __u8 workers[2]; /* answer: workers of the node; request: largest answer payload
				     to send back, 0 = ABAFT_PACKET_BYTES_MAX */
	/* 16 */ __u8 request[8]; /* chosen by the client, echoed */
	/* 24 */ __u8 txn[16];	  /* transaction id */
	/* 40 */ __u8 step[2];	  /* operation number: step, attempt, seq of the first operation; */
	/* 42 */ __u8 attempt[2]; /* operation i of the packet has seq + i */
	/* 44 */ __u8 seq[4];
	/* 48 */ __u8 instance[8];    /* answer: the node's instance of the transaction; requests
					 without OPEN echo it */
	/* 56 */ __u8 deadline_ms[4]; /* request: life after this packet, 0 = default */
	/* 60 */ __u8 tenant[4];      /* tenant and key of the authenticator; 0 = none */
	/* 64 */ __u8 auth[16];	      /* authenticator, 0 until a later version fills it */
};				      /* 80 */

/* A request's operation: this head, then key_len bytes of key, then data_len bytes of data. */
struct abaft_wire_op {
	/*  0 */ __u8 code;
	/*  1 */ __u8 flags; /* 0 */
	/*  2 */ __u8 key_len[2];
	/*  4 */ __u8 total[4];	   /* PUT, PUT_PART: bytes of the whole value */
	/*  8 */ __u8 offset[4];   /* PUT_PART, GET_PART: first byte */
	/* 12 */ __u8 data_len[4]; /* PUT, PUT_PART: bytes that follow; GET, GET_PART: bytes wanted,
				      none follow */
};				   /* 16 */

/* An answer's operation: this head, then data_len bytes of data. */
struct abaft_wire_result {
	/*  0 */ __u8 code;  /* of the operation it answers */
	/*  1 */ __u8 flags; /* ABAFT_RESULT_* */
	/*  2 */ __u8 status[2];
	/*  4 */ __u8 total[4];	   /* GET, GET_PART: bytes of the whole value */
	/*  8 */ __u8 offset[4];   /* of the data that follow */
	/* 12 */ __u8 data_len[4]; /* bytes that follow */
	/* 16 */ __u8 time[8];	   /* version read, or of the commit; 0 = none */
	/* 24 */ __u8 origin[4];
	/* 28 */ __u8 reserved[4];
}; /* 32 */

enum abaft_wire_result_flag {
	ABAFT_RESULT_OWN = 1 << 0,    /* GET: the transaction's own buffered write */
	ABAFT_RESULT_REPEAT = 1 << 1, /* COMMIT, ABORT: the outcome of an earlier request */
};

_Static_assert(sizeof(struct abaft_wire_header) == 80, "wire header");
_Static_assert(sizeof(struct abaft_wire_op) == 16, "wire operation");
_Static_assert(sizeof(struct abaft_wire_result) == 32, "wire result");
_Static_assert(__builtin_offsetof(struct abaft_wire_header, request) == 16, "request");
_Static_assert(__builtin_offsetof(struct abaft_wire_header, txn) == 24, "txn");
_Static_assert(__builtin_offsetof(struct abaft_wire_header, instance) == 48, "instance");
_Static_assert(__builtin_offsetof(struct abaft_wire_header, auth) == 64, "auth");
_Static_assert(80 + ABAFT_OPS_MAX * 32 <= ABAFT_PACKET_BYTES_MAX, "answers hold every result");
_Static_assert(ABAFT_VALUE_BYTES_MAX % ABAFT_PART_BYTES == 0, "parts");
_Static_assert(ABAFT_TXN_VALUE_BYTES_MAX + 2 * ABAFT_TXN_META_BYTES_MAX <
		       ABAFT_LOG_GROUP_BYTES_MAX - ABAFT_LOG_BLOCK_BYTES,
	       "the largest transaction fits one group of the log");

#endif
