/* SPDX-License-Identifier: Apache-2.0 */
/*
 * worker_info.c - see worker_info.h. The names are those of telemetry.h.
 */
#include "dataplane/worker_info.h"

#include <inttypes.h>
#include <stdio.h>

#include "dataplane/core/place.h"

static void info_line(struct info_text *text, const char *name, const char *value)
{
	uint32_t left = text->room - text->bytes;
	int bytes = snprintf(text->at + text->bytes, left, "%s %s\n", name, value);

	if (text->full || bytes < 0 || (uint32_t)bytes >= left)
		text->full = true;
	else
		text->bytes += (uint32_t)bytes;
}

void info_number(struct info_text *text, const char *name, uint64_t value)
{
	char number[24];

	/* Always as wide: a text is asked for page by page, and pages of two moments must fit. */
	snprintf(number, sizeof(number), "%20" PRIu64, value);
	info_line(text, name, number);
}

void info_words(struct info_text *text, const char *name, const char *words, uint32_t columns)
{
	char padded[INFO_WORDS_MAX + 1];

	if (columns > INFO_WORDS_MAX)
		columns = INFO_WORDS_MAX;
	snprintf(padded, (size_t)columns + 1, "%-*s", (int)columns, words);
	for (char *at = padded; *at != '\0'; at++)
		if (*at < ' ' || *at > '~')
			*at = '?';
	info_line(text, name, padded);
}

/* Where the value stands that was found damaged last, and its key in hexadecimal, as far as it is
 * known. */
static void damage_lines(struct info_text *text, const struct node_damage *damage)
{
	char key[2 * NODE_DAMAGE_KEY_BYTES + 1] = "-";
	uint32_t bytes = damage ? damage->key_bytes : 0;

	for (uint32_t i = 0; i < bytes && i < NODE_DAMAGE_KEY_BYTES; i++)
		snprintf(key + (size_t)2 * i, 3, "%02x", damage->key[i]);
	info_number(text, "damaged_log", damage ? place_log(damage->place) : 0);
	info_number(text, "damaged_segment", damage ? place_segment(damage->place) : 0);
	info_number(text, "damaged_offset", damage ? place_offset(damage->place) : 0);
	info_number(text, "damaged_key_bytes", bytes);
	info_words(text, "damaged_key", key, sizeof(key) - 1);
}

uint32_t worker_info(const struct worker_facts *facts, char *out, uint32_t out_bytes)
{
	struct info_text text = {.at = out, .room = out_bytes};

	if (out_bytes == 0)
		return 0;
	info_line(&text, "version", facts->version);
	info_number(&text, "uptime_s", facts->uptime_s);
	info_number(&text, "worker", facts->worker);
	info_number(&text, "workers", facts->workers);
#define LINE(name, about) info_number(&text, #name, facts->counters->name);
	ABAFT_WORKER_COUNTERS(LINE)
#undef LINE
#define LINE(name, about) info_number(&text, #name, facts->node->name);
	ABAFT_NODE_COUNTERS(LINE)
#undef LINE
#define LINE(name, about) info_number(&text, "steer_" #name, facts->steer->name);
	if (facts->steer != NULL) {
		ABAFT_STEER_COUNTERS(LINE)
	}
#undef LINE
#define LINE(name, about) info_number(&text, "steer_bytes_" #name, facts->steer_bytes->name);
	if (facts->steer_bytes != NULL) {
		ABAFT_STEER_COUNTERS(LINE)
	}
#undef LINE
	info_number(&text, "commits_waiting", facts->parked);
	info_number(&text, "requests_fetching", facts->fetching);
	info_number(&text, "requests_lent", facts->lent);
	info_number(&text, "tx_dropped", facts->tx_dropped);
	info_number(&text, "log_records", facts->log.records);
	info_number(&text, "log_record_bytes", facts->log.record_bytes);
	info_number(&text, "log_groups", facts->log.groups);
	info_number(&text, "log_group_bytes", facts->log.group_bytes);
	info_number(&text, "log_segments", facts->log.segments);
	info_number(&text, "log_in_flight_max", facts->log.in_flight_max);
	info_number(&text, "log_error", (uint64_t)(facts->log_error < 0 ? -facts->log_error : 0));
	info_number(&text, "log_no_room",
		    (uint64_t)(facts->log.no_room < 0 ? -facts->log.no_room : 0));
	info_number(&text, "log_stalled_us", facts->log.stalled_us);
	info_number(&text, "log_recycled", facts->log.recycled);
	info_number(&text, "log_reads", facts->log.reads);
	info_number(&text, "log_read_bytes", facts->log.read_bytes);
	info_number(&text, "log_device_reads", facts->log.device_reads);
	info_number(&text, "log_read_errors", facts->log.read_errors);
	damage_lines(&text, facts->damage);
	if (facts->more != NULL)
		facts->more(facts->more_arg, &text);
	return text.bytes;
}
