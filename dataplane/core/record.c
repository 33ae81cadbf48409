/* SPDX-License-Identifier: Apache-2.0 */
/* record.c - see record.h. Records come from a disk: every length is checked. */
#include "dataplane/core/record.h"

#include <abaft/limits.h>

uint32_t record_bytes(const struct writeset *set)
{
	uint32_t bytes = RECORD_HEAD_BYTES;

	for (uint32_t i = 0; i < set->winners; i++)
		bytes += RECORD_WRITE_BYTES + set->entries[i].key_bytes + set->entries[i].bytes;
	return bytes;
}

static uint8_t *head_encode(uint8_t *out, const uint8_t id[16], struct vnum number, uint32_t writes)
{
	memcpy(out, id, 16);
	store_le64(out + 16, number.time);
	store_le32(out + 24, number.origin);
	store_le32(out + 28, writes);
	return out + RECORD_HEAD_BYTES;
}

static uint8_t *write_encode(uint8_t *out, const struct record_write *w)
{
	store_le16(out, (uint16_t)w->key_bytes);
	out[2] = w->kind;
	out[3] = 0;
	store_le32(out + 4, w->bytes);
	out += RECORD_WRITE_BYTES;
	memcpy(out, w->key, w->key_bytes);
	out += w->key_bytes;
	if (w->bytes > 0)
		memcpy(out, w->value, w->bytes);
	return out + w->bytes;
}

void record_encode(uint8_t *out, const uint8_t id[16], struct vnum number,
		   const struct writeset *set)
{
	out = head_encode(out, id, number, set->winners);
	for (uint32_t i = 0; i < set->winners; i++) {
		const struct write *w = &set->entries[i];

		out = write_encode(out, &(struct record_write){.key = w->key,
							       .value = w->value,
							       .key_bytes = w->key_bytes,
							       .bytes = w->bytes,
							       .kind = w->kind});
	}
}

uint32_t record_kept_bytes(const struct record_write *writes, uint32_t count)
{
	uint32_t bytes = RECORD_HEAD_BYTES;

	for (uint32_t i = 0; i < count; i++)
		bytes += RECORD_WRITE_BYTES + writes[i].key_bytes + writes[i].bytes;
	return bytes;
}

void record_kept_encode(uint8_t *out, const uint8_t id[16], struct vnum number,
			struct record_write *writes, uint32_t count)
{
	const uint8_t *begin = out;

	out = head_encode(out, id, number, count);
	for (uint32_t i = 0; i < count; i++) {
		writes[i].offset = (uint32_t)(out - begin);
		out = write_encode(out, &writes[i]);
	}
}

bool record_open(struct record *record, uint8_t type, const uint8_t *data, uint32_t bytes)
{
	const uint8_t *head;

	record->data = data;
	record->rest = cursor_of(data, bytes);
	head = cursor_take(&record->rest, RECORD_HEAD_BYTES);
	if (!head)
		return false;
	memcpy(record->id, head, 16);
	record->number =
		(struct vnum){.time = load_le64(head + 16), .origin = load_le32(head + 24)};
	record->writes = load_le32(head + 28);
	if (type == RECORD_ABORT)
		return record->writes == 0;
	return (type == RECORD_COMMIT || type == RECORD_KEPT) && record->writes > 0 &&
	       record->writes <= ABAFT_TXN_WRITES_MAX && record->number.time > 0;
}

bool record_next(struct record *record, struct record_write *write)
{
	const uint8_t *head = cursor_take(&record->rest, RECORD_WRITE_BYTES);

	if (!head)
		return false;
	write->offset = (uint32_t)(head - record->data);
	write->key_bytes = load_le16(head);
	write->kind = head[2];
	write->bytes = load_le32(head + 4);
	if (write->key_bytes == 0 || write->key_bytes > ABAFT_KEY_BYTES_MAX ||
	    write->bytes > ABAFT_VALUE_BYTES_MAX || write->kind > VERSION_TOMBSTONE ||
	    head[3] != 0 || (write->kind == VERSION_TOMBSTONE && write->bytes > 0))
		return false;
	write->key = cursor_take(&record->rest, write->key_bytes);
	write->value = cursor_take(&record->rest, write->bytes);
	return !record->rest.bad;
}

bool record_ended(const struct record *record)
{
	return !record->rest.bad && record->rest.at == record->rest.end;
}
