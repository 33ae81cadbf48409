/* SPDX-License-Identifier: Apache-2.0 */
/*
 * record.h - what a transaction leaves in the commit log: payloads of the log's records.
 *
 *	 0  id[16]     transaction
 *	16  u64 time   of its version
 *	24  u32 origin of its version
 *	28  u32 writes that follow; 0 in an abort
 *	    each write: u16 key bytes, u8 kind (0 value, 1 tombstone), u8 0, u32 value bytes, key,
 *value
 *
 * Little-endian, no padding. The log frames, checksums and orders records (docs/log-format.md).
 */
#ifndef ABAFT_CORE_RECORD_H
#define ABAFT_CORE_RECORD_H

#include <stdbool.h>
#include <stdint.h>

#include "dataplane/core/bytes.h"
#include "dataplane/core/hlc.h"
#include "dataplane/core/writeset.h"

enum record_type {
	RECORD_COMMIT = 1, /* a commit with its writes, values included */
	RECORD_ABORT = 2,  /* a client's ABORT: final for the id */
	RECORD_KEPT = 3, /* writes of a commit that cleaning moved here; says only where they are */
	RECORD_LOST = 255, /* `abaft log repair` put it where damage was: in any log, any bytes */
};

#define RECORD_HEAD_BYTES  32
#define RECORD_WRITE_BYTES 8

struct record {
	uint8_t id[16];
	struct vnum number;
	uint32_t writes;
	const uint8_t *data;
	struct cursor rest;
};

struct record_write {
	const uint8_t *key;
	const uint8_t *value;
	uint32_t key_bytes;
	uint32_t bytes;
	uint32_t offset; /* of its header in the record: place of the record + this is its place */
	uint8_t kind;
};

/* Of a settled write set: its winners. */
uint32_t record_bytes(const struct writeset *set);
void record_encode(uint8_t *out, const uint8_t id[16], struct vnum number,
		   const struct writeset *set);
/* Of writes of one commit, 1 to ABAFT_TXN_WRITES_MAX, that cleaning moves. */
uint32_t record_kept_bytes(const struct record_write *writes, uint32_t count);
/* Sets each write's offset to the one in the new record. */
void record_kept_encode(uint8_t *out, const uint8_t id[16], struct vnum number,
			struct record_write *writes, uint32_t count);
/* The head; false when it is not one. */
bool record_open(struct record *record, uint8_t type, const uint8_t *data, uint32_t bytes);
/* The next of record->writes writes; false when the bytes are not one. */
bool record_next(struct record *record, struct record_write *write);
/* After all writes: true when nothing is left over. */
bool record_ended(const struct record *record);

#endif
