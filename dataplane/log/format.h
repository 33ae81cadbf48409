/* SPDX-License-Identifier: Apache-2.0 */
/*
 * format.h - what a commit log looks like on disk, byte by byte. docs/log-format.md repeats it.
 *
 * A log is a directory log-NNN of segment files seg-XXXXXXXX (number in hexadecimal, from 0 up;
 * cleaned ones are missing). A segment is written full of zeros before its first use, or was
 * another one, and never changes its length, a multiple of 4096. It holds groups, each at a
 * multiple of 4096, back to back from 0. All numbers are little-endian.
 *
 * Group: one write. 96 bytes of header, records, then zeros up to the next multiple of 4096.
 *
 *	 0  u32  magic 0x474c4241 ("ABLG")
 *	 4  u16  format version: 2 (1 in what older programs wrote)
 *	 6  u16  flags: 1 = seal (no records; closes the log in good order); other bits 0
 *	 8  16 B node id: identity of the data directory
 *	24  u32  log number: NNN
 *	28  u32  segment number: XXXXXXXX
 *	32  u32  block: offset of this group in the segment / 4096
 *	36  u32  segment's length / 4096
 *	40  u64  group sequence: from 1 up without gaps over the life of the log
 *	48  u64  sequence of the first record (of the next record where there is none)
 *	56  u64  durable: highest group sequence known durable when this group was written
 *	64  u32  incarnation: counts the opens of the log, from 1
 *	68  u32  number of records
 *	72  u32  payload: length of the records, a multiple of 8
 *	76  u32  CRC32C of the payload
 *	80  u32  header checksum of the group before (0 for group 1): the chain
 *	84  8 B  0; in a group that repair.c wrote, bytes 88 to 91 make the checksum fit the chain
 *	92  u32  header checksum: CRC32C of bytes 0 to 91
 *
 * Record: 24 bytes of header, data, then zeros up to a multiple of 8.
 *
 *	 0  u32  length of the data
 *	 4  u8   type (1 commit, 2 abort outcome, 3 kept writes: dataplane/core/record.h; 255 lost)
 *	 5  3 B  0
 *	 8  u64  record sequence: from 1 up without gaps over the life of the log
 *	16  u32  CRC32C of the data
 *	20  u32  CRC32C of bytes 0 to 19
 *
 * Version 1 had no records of type 3, no recycled files and no gaps; its bytes are read in the same
 * way. In a log versions never go down from one group to the next.
 *
 * Every later version keeps magic, version and header checksum where they are, and the header's
 * length, so that any program can tell "another version" from damage.
 *
 * The header lies within one 512-byte sector, so it is written wholly or not at all; a torn write
 * shows in the payload's checksum. Stale groups break the chain or the incarnation's order,
 * misplaced ones say where they belong, foreign ones whose they are, flipped bits break a checksum.
 */
#ifndef ABAFT_LOG_FORMAT_H
#define ABAFT_LOG_FORMAT_H

#include <stddef.h>
#include <stdint.h>

#include <abaft/limits.h>

#define LOG_MAGIC		0x474c4241u
#define LOG_FORMAT		2 /* what is written; all versions from 1 up to it are read */
#define LOG_FLAG_SEAL		1u
#define LOG_GROUP_HEADER_BYTES	96u
#define LOG_RECORD_HEADER_BYTES 24u
/* What stood here was damaged; repair.c put this in its place. Its bytes mean nothing. */
#define LOG_RECORD_LOST		255
/* The largest record: a group of its own. */
#define LOG_RECORD_BYTES_MAX                                                                       \
	(ABAFT_LOG_GROUP_BYTES_MAX - LOG_GROUP_HEADER_BYTES - LOG_RECORD_HEADER_BYTES)

struct group_header {
	uint32_t magic;
	uint16_t version;
	uint16_t flags;
	uint8_t node_id[16];
	uint32_t log;
	uint32_t segment;
	uint32_t block;
	uint32_t segment_blocks;
	uint64_t sequence;
	uint64_t record_first;
	uint64_t durable;
	uint32_t incarnation;
	uint32_t records;
	uint32_t payload_bytes;
	uint32_t payload_crc;
	uint32_t previous_crc;
	uint32_t zero[2];
	uint32_t header_crc;
};
_Static_assert(sizeof(struct group_header) == LOG_GROUP_HEADER_BYTES, "group header");
_Static_assert(offsetof(struct group_header, node_id) == 8, "group header");
_Static_assert(offsetof(struct group_header, segment) == 28, "group header");
_Static_assert(offsetof(struct group_header, sequence) == 40, "group header");
_Static_assert(offsetof(struct group_header, durable) == 56, "group header");
_Static_assert(offsetof(struct group_header, payload_bytes) == 72, "group header");
_Static_assert(offsetof(struct group_header, previous_crc) == 80, "group header");
_Static_assert(offsetof(struct group_header, header_crc) == 92, "group header");

struct record_header {
	uint32_t bytes;
	uint8_t type;
	uint8_t zero[3];
	uint64_t sequence;
	uint32_t data_crc;
	uint32_t header_crc;
};
_Static_assert(sizeof(struct record_header) == LOG_RECORD_HEADER_BYTES, "record header");
_Static_assert(offsetof(struct record_header, sequence) == 8, "record header");
_Static_assert(offsetof(struct record_header, header_crc) == 20, "record header");
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the structs are the format");

/* Why bytes are not the group (or record) that was expected. Each has a sentence. */
enum format_verdict {
	FORMAT_FITS,
	FORMAT_NOTHING,	      /* no magic: zeros, or the inside of something old */
	FORMAT_HEADER_CRC,    /* header damaged */
	FORMAT_OTHER_VERSION, /* whole header of another format version */
	FORMAT_OTHER_NODE,
	FORMAT_OTHER_LOG,
	FORMAT_OTHER_SEGMENT,
	FORMAT_OTHER_PLACE,   /* right segment, other block */
	FORMAT_SEGMENT_BYTES, /* the file is not as long as it was made */
	FORMAT_SEQUENCE,
	FORMAT_CHAIN,	    /* does not follow the group before */
	FORMAT_INCARNATION, /* older than the group before */
	FORMAT_VERSION,	    /* of an older format version than the group before */
	FORMAT_LENGTHS,	    /* whole header whose lengths or flags make no sense */
	FORMAT_PAYLOAD_CRC, /* payload torn or damaged */
	FORMAT_RECORD,	    /* payload whole, records in it not */
};
const char *format_verdict_text(enum format_verdict verdict);

/* Where a group is looked for, and what must come before it. */
struct format_place {
	uint8_t node_id[16];
	uint32_t log;
	uint32_t segment;
	uint32_t segment_blocks;
	uint32_t block;
};

/* CRC32C; the check value of "123456789" is 0xe3069283. */
uint32_t format_crc(const uint8_t *data, size_t bytes);

/* Length rounded up to what the disk is written in, and to what records start at. */
static inline uint32_t format_blocks_up(uint32_t bytes)
{
	return (bytes + ABAFT_LOG_BLOCK_BYTES - 1) & ~(ABAFT_LOG_BLOCK_BYTES - 1);
}

static inline uint32_t format_record_up(uint32_t bytes)
{
	return (bytes + 7) & ~7u;
}

/* Writes the record's header before its data at `at`, and the zeros behind; returns the whole
 * length, a multiple of 8. */
uint32_t format_record_put(uint8_t *at, uint8_t type, uint64_t sequence, uint32_t bytes);
/* Fills in magic, version and both checksums of the group at `at`, whose header holds the rest, and
 * the zeros behind its payload. Returns the length to write, a multiple of the block. */
uint32_t format_group_finish(uint8_t *at);

/* Reads a header from `block` (one whole block): FITS when it is a header, of this version, that
 * belongs at `place` and whose lengths fit the segment. `out` is filled unless NOTHING. */
enum format_verdict format_header_parse(const uint8_t *block, const struct format_place *place,
					struct group_header *out);
/* Checks the payload (header.payload_bytes bytes) as a whole and each record in it. */
enum format_verdict format_payload_check(const struct group_header *header, const uint8_t *payload);

/* Walks the records of a payload that was checked: NULL `data` at the end. */
struct format_cursor {
	const uint8_t *at;
	const uint8_t *end;
};
struct format_record {
	uint64_t sequence;
	const uint8_t *data;
	uint32_t bytes;
	uint8_t type;
};
/* 1 and a record, 0 at the end, -EBADMSG: no record stands here, or -EILSEQ: a record whose data
 * are damaged; the cursor is behind it. */
int format_record_next(struct format_cursor *cursor, struct format_record *out)
	__attribute__((warn_unused_result));

#endif
