/* SPDX-License-Identifier: Apache-2.0 */
/* format.c - writes and reads groups and records; see format.h. Pure: bytes in, bytes out. */
#include "dataplane/log/format.h"

#include <errno.h>
#include <string.h>

#include "dataplane/core/crc.h"

uint32_t format_crc(const uint8_t *data, size_t bytes)
{
	return crc32c(data, bytes);
}

const char *format_verdict_text(enum format_verdict verdict)
{
	static const char *const text[] = {
		[FORMAT_FITS] = "is whole",
		[FORMAT_NOTHING] = "there is no group",
		[FORMAT_HEADER_CRC] = "the group's header is damaged (checksum)",
		[FORMAT_OTHER_VERSION] = "the group is of another format version",
		[FORMAT_OTHER_NODE] = "the group belongs to another node",
		[FORMAT_OTHER_LOG] = "the group belongs to another log of this node",
		[FORMAT_OTHER_SEGMENT] = "the group belongs to another segment",
		[FORMAT_OTHER_PLACE] = "the group belongs to another place of this segment",
		[FORMAT_SEGMENT_BYTES] = "the segment's file is not as long as it was made",
		[FORMAT_SEQUENCE] = "the group is not the one that is due here",
		[FORMAT_CHAIN] = "the group does not follow the one before it",
		[FORMAT_INCARNATION] = "the group is older than the one before it",
		[FORMAT_VERSION] = "the group is of an older format version than the one before it",
		[FORMAT_LENGTHS] = "the group's lengths make no sense",
		[FORMAT_PAYLOAD_CRC] = "the group's records are torn or damaged (checksum)",
		[FORMAT_RECORD] = "a record in the group is malformed",
	};

	return text[verdict];
}

uint32_t format_record_put(uint8_t *at, uint8_t type, uint64_t sequence, uint32_t bytes)
{
	uint8_t *data = at + LOG_RECORD_HEADER_BYTES;
	struct record_header header = {
		.bytes = bytes,
		.type = type,
		.sequence = sequence,
		.data_crc = format_crc(data, bytes),
	};

	header.header_crc =
		format_crc((const uint8_t *)&header, offsetof(struct record_header, header_crc));
	memcpy(at, &header, sizeof(header));
	memset(data + bytes, 0, format_record_up(bytes) - bytes);
	return LOG_RECORD_HEADER_BYTES + format_record_up(bytes);
}

uint32_t format_group_finish(uint8_t *at)
{
	struct group_header *header = (struct group_header *)at;
	uint32_t used = LOG_GROUP_HEADER_BYTES + header->payload_bytes;
	uint32_t bytes = format_blocks_up(used);

	header->magic = LOG_MAGIC;
	header->version = LOG_FORMAT;
	header->payload_crc = format_crc(at + LOG_GROUP_HEADER_BYTES, header->payload_bytes);
	header->header_crc = format_crc(at, offsetof(struct group_header, header_crc));
	memset(at + used, 0, bytes - used);
	return bytes;
}

/* Lengths and flags that no writer would write, however well they are summed. */
static int lengths_fit(const struct group_header *header, const struct format_place *place)
{
	uint64_t end = (uint64_t)place->block * ABAFT_LOG_BLOCK_BYTES + LOG_GROUP_HEADER_BYTES +
		       header->payload_bytes;

	if (header->payload_bytes > ABAFT_LOG_GROUP_BYTES_MAX - LOG_GROUP_HEADER_BYTES ||
	    header->payload_bytes % 8 != 0 ||
	    end > (uint64_t)place->segment_blocks * ABAFT_LOG_BLOCK_BYTES)
		return 0;
	if (header->flags & LOG_FLAG_SEAL)
		return header->records == 0 && header->payload_bytes == 0;
	return header->flags == 0 && header->records > 0 && header->sequence > 0 &&
	       header->record_first > 0 && header->durable < header->sequence &&
	       header->records <= header->payload_bytes / LOG_RECORD_HEADER_BYTES;
}

enum format_verdict format_header_parse(const uint8_t *block, const struct format_place *place,
					struct group_header *out)
{
	memcpy(out, block, sizeof(*out));
	if (out->magic != LOG_MAGIC)
		return FORMAT_NOTHING;
	if (out->header_crc != format_crc(block, offsetof(struct group_header, header_crc)))
		return FORMAT_HEADER_CRC;
	if (out->version == 0 || out->version > LOG_FORMAT)
		return FORMAT_OTHER_VERSION;
	if (memcmp(out->node_id, place->node_id, sizeof(out->node_id)) != 0)
		return FORMAT_OTHER_NODE;
	if (out->log != place->log)
		return FORMAT_OTHER_LOG;
	if (out->segment != place->segment)
		return FORMAT_OTHER_SEGMENT;
	if (out->block != place->block)
		return FORMAT_OTHER_PLACE;
	if (out->segment_blocks != place->segment_blocks)
		return FORMAT_SEGMENT_BYTES;
	if (!lengths_fit(out, place))
		return FORMAT_LENGTHS;
	return FORMAT_FITS;
}

int format_record_next(struct format_cursor *cursor, struct format_record *out)
{
	size_t left = (size_t)(cursor->end - cursor->at);
	struct record_header header;

	if (left == 0)
		return 0;
	if (left < sizeof(header))
		return -EBADMSG;
	memcpy(&header, cursor->at, sizeof(header));
	left -= sizeof(header);
	if (header.header_crc != format_crc(cursor->at, offsetof(struct record_header, header_crc)))
		return -EBADMSG;
	/* `left` is a multiple of 8 like the payload, so a length that fits also fits rounded. */
	if (header.bytes > left || header.zero[0] || header.zero[1] || header.zero[2])
		return -EBADMSG;
	out->sequence = header.sequence;
	out->type = header.type;
	out->bytes = header.bytes;
	out->data = cursor->at + sizeof(header);
	cursor->at = out->data + format_record_up(header.bytes);
	return header.data_crc == format_crc(out->data, out->bytes) ? 1 : -EILSEQ;
}

enum format_verdict format_payload_check(const struct group_header *header, const uint8_t *payload)
{
	struct format_cursor cursor = {payload, payload + header->payload_bytes};
	struct format_record record;
	uint32_t records = 0;
	int more;

	if (header->payload_crc != format_crc(payload, header->payload_bytes))
		return FORMAT_PAYLOAD_CRC;
	while ((more = format_record_next(&cursor, &record)) > 0)
		if (record.sequence != header->record_first + records++)
			return FORMAT_RECORD;
	return more < 0 || records != header->records ? FORMAT_RECORD : FORMAT_FITS;
}
