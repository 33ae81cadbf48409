/* SPDX-License-Identifier: Apache-2.0 */
/*
 * repair_group.c - one group whose payload or header is damaged; see repair.h.
 *
 * G1. A record whose header is whole keeps its length, and one whose data are whole all of it. What
 *     stands where no header is whole, up to the next that is, is as many lost records as are
 *     missing in sequence. Data may hold bytes that look like a header: of several places to go on
 *     at, the one counts from which most records follow, without a fault to the end if there is
 * one. G2. Bytes of lost records stay, as far as new headers leave room: of a commit of many values
 * those may still be read that are whole, since each has a checksum of its own in the index. G3. A
 * lost header is made again only if the checksum that its successor's chain asks for comes out:
 * then it is the very header. Records alone are no proof, they might be older ones.
 */
#include <errno.h>
#include <string.h>

#include "dataplane/log/repair_impl.h"

/* CRC32C's polynomial, reflected. */
#define CRC_POLYNOMIAL 0x82f63b78u
/* How far `durable` may be behind the group before: the writes in flight, and one that is due. */
#define DURABLE_BEHIND (ABAFT_LOG_WRITES_IN_FLIGHT + 2)

/* The last word before the checksum becomes what leads to `crc`: the checksum's 32 steps over it,
 * backwards. */
static void lead_to(struct group_header *header, uint32_t crc)
{
	size_t before = offsetof(struct group_header, zero[1]);
	uint32_t state = ~crc;

	for (int i = 0; i < 32; i++)
		state = state >> 31 ? (state ^ CRC_POLYNOMIAL) << 1 | 1 : state << 1;
	header->zero[1] = state ^ ~format_crc((const uint8_t *)header, before);
}

void repair_finish(uint8_t *group, const uint32_t *crc)
{
	struct group_header *header = (struct group_header *)group;

	header->magic = LOG_MAGIC;
	header->payload_crc = format_crc(group + LOG_GROUP_HEADER_BYTES, header->payload_bytes);
	header->zero[0] = header->zero[1] = 0;
	if (crc && format_crc(group, offsetof(struct group_header, header_crc)) != *crc)
		lead_to(header, *crc);
	header->header_crc = format_crc(group, offsetof(struct group_header, header_crc));
}

/* Lost records from `from` to `to`: all but the last without data. */
static void put_lost(uint8_t *payload, uint32_t from, uint32_t to, uint64_t sequence,
		     uint64_t records)
{
	while (records-- > 0) {
		uint32_t rest = records ? 0 : to - from - LOG_RECORD_HEADER_BYTES;

		from += format_record_put(payload + from, LOG_RECORD_LOST, sequence++, rest);
	}
}

/* How many records follow one another from `at` on; *to_end: until nothing is left. */
static uint32_t follow(const uint8_t *payload, uint32_t at, const struct group_header *header,
		       uint64_t sequence, bool *to_end)
{
	struct format_cursor cursor = {payload + at, payload + header->payload_bytes};
	struct format_record record;
	uint32_t records = 0;
	int more;

	while ((more = format_record_next(&cursor, &record)) == 1 || more == -EILSEQ) {
		if (record.sequence != sequence)
			break;
		sequence++;
		records++;
	}
	*to_end = more == 0 && sequence == header->record_first + header->records;
	return records;
}

/* G1: where, behind `at`, a record later than `sequence` is due to stand; the payload's end if
 * nowhere. */
static uint32_t next_record(const uint8_t *payload, uint32_t at, const struct group_header *header,
			    uint64_t *sequence)
{
	uint64_t due = *sequence, last = header->record_first + header->records;
	uint32_t found = header->payload_bytes, most = 0;

	*sequence = last;
	for (uint32_t i = at + LOG_RECORD_HEADER_BYTES;
	     i + LOG_RECORD_HEADER_BYTES <= header->payload_bytes; i += 8) {
		struct record_header record;
		uint32_t records;
		bool to_end;

		memcpy(&record, payload + i, sizeof(record));
		if (record.sequence <= due || record.sequence >= last ||
		    record.sequence - due > (i - at) / LOG_RECORD_HEADER_BYTES)
			continue;
		records = follow(payload, i, header, record.sequence, &to_end);
		if (records > most || to_end) {
			most = records;
			found = i;
			*sequence = record.sequence;
		}
		if (to_end)
			break;
	}
	return found;
}

static void tell(struct repair_walk *walk, uint32_t index, uint64_t offset,
		 const struct group_header *header, uint32_t from, uint32_t to, uint64_t first,
		 uint64_t last)
{
	uint32_t number = repair_segment(walk, index)->number;

	repair_tell(walk, &(struct repair_loss){.from_segment = number,
						.to_segment = number,
						.from = offset + LOG_GROUP_HEADER_BYTES + from,
						.to = offset + LOG_GROUP_HEADER_BYTES + to,
						.group_first = header->sequence,
						.group_last = header->sequence,
						.record_first = first,
						.record_last = last,
						.what = "their bytes are damaged"});
}

/* False: more records than there is room for. Nothing is told before all is known to fit: `dry`. */
static bool salvage(struct repair_walk *walk, uint32_t index, uint64_t offset,
		    const struct group_header *header, bool dry)
{
	uint8_t *payload = repair_segment(walk, index)->data + offset + LOG_GROUP_HEADER_BYTES;
	uint64_t sequence = header->record_first, end = sequence + header->records;
	uint32_t at = 0;

	while (at < header->payload_bytes && sequence < end) {
		struct format_cursor cursor = {payload + at, payload + header->payload_bytes};
		struct format_record record;
		uint64_t next = sequence;
		int more = format_record_next(&cursor, &record);
		uint32_t to;

		if ((more == 1 || more == -EILSEQ) && record.sequence == sequence) {
			to = (uint32_t)(cursor.at - payload);
			next = sequence + 1;
		} else {
			to = next_record(payload, at, header, &next);
			more = -EBADMSG;
			if ((to - at) / LOG_RECORD_HEADER_BYTES < next - sequence)
				return false;
		}
		if (!dry && more == 1)
			memset(payload + at + LOG_RECORD_HEADER_BYTES + record.bytes, 0,
			       format_record_up(record.bytes) - record.bytes);
		else if (!dry && more == -EILSEQ)
			format_record_put(payload + at, LOG_RECORD_LOST, sequence, record.bytes);
		else if (!dry)
			put_lost(payload, at, to, sequence, next - sequence);
		if (!dry && more != 1)
			tell(walk, index, offset, header, at, to, sequence, next - 1);
		at = to;
		sequence = next;
	}
	return at == header->payload_bytes && sequence == end;
}

void repair_salvage(struct repair_walk *walk, uint32_t index, uint64_t offset,
		    const struct group_header *header)
{
	uint8_t *group = repair_segment(walk, index)->data + offset;

	if (salvage(walk, index, offset, header, true)) {
		(void)salvage(walk, index, offset, header, false);
	} else {
		put_lost(group + LOG_GROUP_HEADER_BYTES, 0, header->payload_bytes,
			 header->record_first, header->records);
		tell(walk, index, offset, header, 0, header->payload_bytes, header->record_first,
		     header->record_first + header->records - 1);
	}
	repair_finish(group, &header->header_crc);
	walk->repair->stats.mended++;
}

/* Where `records` whole records from `sequence` on end; 0: they are not there. */
static uint32_t whole_records(const uint8_t *payload, uint64_t bytes, uint64_t sequence,
			      uint64_t records)
{
	struct format_cursor cursor = {payload, payload + bytes};
	struct format_record record;

	while (records > 0 && format_record_next(&cursor, &record) == 1 &&
	       record.sequence == sequence) {
		sequence++;
		records--;
	}
	return records ? 0 : (uint32_t)(cursor.at - payload);
}

/* G3: tries what a writer may have put into a header of this place. */
static bool guess(struct group_header *header, const struct repair_at *at,
		  const struct repair_at *to)
{
	for (uint32_t version = at->version ? at->version : 1; version <= to->version; version++)
		for (uint64_t behind = 0; behind < DURABLE_BEHIND && behind <= at->group; behind++)
			for (int later = 0; later < 2; later++) {
				header->version = (uint16_t)version;
				header->durable = at->group - behind;
				header->incarnation = later ? to->incarnation : at->incarnation;
				header->header_crc =
					format_crc((const uint8_t *)header,
						   offsetof(struct group_header, header_crc));
				if (header->header_crc == to->crc)
					return true;
			}
	return false;
}

/* Where the only group before `to` stood, and how many bytes it may have had; 0: nowhere. */
static uint64_t place_of_lost(const struct repair_walk *walk, const struct repair_at *to,
			      uint32_t *index, uint64_t *offset)
{
	const struct repair_at *at = &walk->at;
	uint64_t end = to->offset;

	*index = at->index;
	*offset = at->offset;
	if (to->offset == 0 && to->index == at->index + 1) {
		end = repair_segment(walk, at->index)->bytes;
	} else if (to->index == at->index + 1) {
		*index = to->index;
		*offset = 0;
	} else if (to->index != at->index) {
		return 0;
	}
	return end > *offset ? end - *offset : 0;
}

bool repair_rebuild(struct repair_walk *walk, const struct repair_at *to)
{
	const struct repair_at *at = &walk->at;
	uint64_t records = to->record - at->record, offset, room;
	struct repair_segment *segment;
	struct group_header header;
	uint32_t index, blocks;
	uint8_t *group;

	room = place_of_lost(walk, to, &index, &offset);
	if (!at->known || to->group != at->group + 1 || room == 0)
		return false;
	if (room > ABAFT_LOG_GROUP_BYTES_MAX)
		room = ABAFT_LOG_GROUP_BYTES_MAX;
	segment = repair_segment(walk, index);
	group = segment->data + offset;
	header = (struct group_header){
		.magic = LOG_MAGIC,
		.flags = (uint16_t)(records ? 0 : LOG_FLAG_SEAL),
		.log = walk->repair->config->number,
		.segment = segment->number,
		.block = (uint32_t)(offset / ABAFT_LOG_BLOCK_BYTES),
		.segment_blocks = (uint32_t)(segment->bytes / ABAFT_LOG_BLOCK_BYTES),
		.sequence = at->group + 1,
		.record_first = at->record + 1,
		.records = (uint32_t)records,
		.previous_crc = at->crc,
	};
	header.payload_bytes =
		whole_records(group + LOG_GROUP_HEADER_BYTES, room - LOG_GROUP_HEADER_BYTES,
			      at->record + 1, records);
	blocks = format_blocks_up(LOG_GROUP_HEADER_BYTES + header.payload_bytes);
	if ((records && !header.payload_bytes) || (to->offset && blocks != room))
		return false;
	memcpy(header.node_id, walk->repair->config->node_id, sizeof(header.node_id));
	header.payload_crc = format_crc(group + LOG_GROUP_HEADER_BYTES, header.payload_bytes);
	if (!guess(&header, at, to))
		return false;
	memcpy(group, &header, sizeof(header));
	walk->repair->stats.mended++;
	return true;
}
