/* SPDX-License-Identifier: Apache-2.0 */
/* log_print.c - groups and records of `abaft log`; see log.h. */
#include "tools/command/log.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "dataplane/core/record.h"
#include "dataplane/log/format.h"

void log_print_key(const uint8_t *key, uint32_t bytes)
{
	putchar('"');
	for (uint32_t i = 0; i < bytes; i++)
		if (key[i] == '"' || key[i] == '\\')
			printf("\\%c", key[i]);
		else if (key[i] < 0x20 || key[i] > 0x7e)
			printf("\\u%04x", key[i]);
		else
			putchar(key[i]);
	putchar('"');
}

/* Walks the writes, printing them if `print`; false when the record is malformed. */
static bool walk_writes(struct record *record, bool print, bool json)
{
	uint32_t writes = record->writes;
	struct record_write write;

	for (uint32_t i = 0; i < writes; i++) {
		if (!record_next(record, &write))
			return false;
		if (!print)
			continue;
		fputs(json ? (i ? ",{\"key\":" : "{\"key\":") : "\n      ", stdout);
		log_print_key(write.key, write.key_bytes);
		if (json)
			printf(",\"deleted\":%s,\"bytes\":%u}", write.kind ? "true" : "false",
			       write.bytes);
		else if (write.kind)
			fputs(" deleted", stdout);
		else
			printf(" %u bytes", write.bytes);
	}
	return record_ended(record);
}

static void print_decoded(uint8_t type, const uint8_t *data, uint32_t bytes, bool json)
{
	char id[ABAFT_ID_TEXT_BYTES];
	struct abaft_id txn;
	struct record record;

	if (!record_open(&record, type, data, bytes))
		return;
	memcpy(&txn, record.id, sizeof(record.id));
	abaft_id_text(&txn, id);
	printf(json ? ",\"txn\":\"%s\",\"time\":%" PRIu64 ",\"origin\":%u,\"writes\":["
		    : " %s version %" PRIu64 ".%u",
	       id, record.number.time, record.number.origin);
	walk_writes(&record, true, json);
	if (json)
		putchar(']');
}

static const char *type_text(uint8_t type)
{
	switch (type) {
	case RECORD_COMMIT:
		return "commit";
	case RECORD_ABORT:
		return "abort";
	case RECORD_KEPT:
		return "kept";
	case RECORD_LOST:
		return "lost";
	default:
		return "unknown";
	}
}

int log_on_group(void *arg, const struct group_header *group, uint64_t offset)
{
	struct log_reading *reading = arg;
	const char *format =
		reading->options.json
			? "{\"log\":%u,\"segment\":%u,\"offset\":%" PRIu64 ",\"group\":%" PRIu64
			  ",\"incarnation\":%u,\"durable\":%" PRIu64
			  ",\"records\":%u,\"bytes\":%u,\"seal\":%s}\n"
			: "log-%03u segment %08x byte %" PRIu64 " group %" PRIu64
			  " incarnation %u durable %" PRIu64 " records %u bytes %u%s\n";
	const char *seal = group->flags & LOG_FLAG_SEAL ? " seal" : "";

	if (reading->options.json)
		seal = *seal ? "true" : "false";
	reading->group = group->sequence;
	reading->sealed = group->flags & LOG_FLAG_SEAL;
	reading->groups++;
	if (reading->dump)
		printf(format, reading->log, group->segment, offset, group->sequence,
		       group->incarnation, group->durable, group->records, group->payload_bytes,
		       seal);
	return 0;
}

int log_on_record(void *arg, uint64_t sequence, uint8_t type, uint64_t place, const uint8_t *data,
		  uint32_t bytes)
{
	struct log_reading *reading = arg;
	bool json = reading->options.json;
	struct record record;

	reading->records++;
	reading->bytes += bytes;
	reading->commits += type == RECORD_COMMIT;
	reading->aborts += type == RECORD_ABORT;
	reading->kept += type == RECORD_KEPT;
	reading->lost += type == RECORD_LOST;
	if (type != RECORD_LOST &&
	    (!record_open(&record, type, data, bytes) || !walk_writes(&record, false, false)))
		reading->malformed++;
	if (!reading->dump)
		return 0;
	printf(json ? "{\"log\":%u,\"group\":%" PRIu64 ",\"record\":%" PRIu64
		      ",\"type\":\"%s\",\"bytes\":%u"
		    : "  log-%03u group %" PRIu64 " record %" PRIu64 " %s %u bytes",
	       reading->log, reading->group, sequence, type_text(type), bytes);
	print_decoded(type, data, bytes, json);
	fputs(json ? "}\n" : "\n", stdout);
	return 0;
}
