/* SPDX-License-Identifier: Apache-2.0 */
/* mend.c - see mend.h. */
#include "tests/fuzz/mend.h"

#include <string.h>

#include "dataplane/log/format.h"

static void mend_record(uint8_t *at, size_t left)
{
	struct record_header record;

	memcpy(&record, at, sizeof(record));
	if (record.bytes > left - sizeof(record))
		return;
	record.data_crc = format_crc(at + sizeof(record), record.bytes);
	record.header_crc =
		format_crc((uint8_t *)&record, offsetof(struct record_header, header_crc));
	memcpy(at, &record, sizeof(record));
}

void mend_group(const struct mend_log *log, uint8_t *segment, uint32_t number, uint32_t block,
		uint32_t blocks)
{
	uint8_t *at = segment + block * ABAFT_LOG_BLOCK_BYTES;
	uint32_t left = (blocks - block) * ABAFT_LOG_BLOCK_BYTES - LOG_GROUP_HEADER_BYTES;
	struct group_header header;

	memcpy(&header, at, sizeof(header));
	if (header.magic != LOG_MAGIC)
		return;
	header.version = LOG_FORMAT;
	memcpy(header.node_id, log->node_id, sizeof(header.node_id));
	header.log = log->number;
	header.segment = number;
	header.block = block;
	header.segment_blocks = log->segment_blocks;
	header.payload_bytes %= left + 1;
	if (log->payload && header.payload_bytes >= LOG_RECORD_HEADER_BYTES)
		mend_record(at + LOG_GROUP_HEADER_BYTES, header.payload_bytes);
	header.payload_crc = format_crc(at + LOG_GROUP_HEADER_BYTES, header.payload_bytes);
	header.header_crc =
		format_crc((uint8_t *)&header, offsetof(struct group_header, header_crc));
	memcpy(at, &header, sizeof(header));
}
