// SPDX-License-Identifier: Apache-2.0
/*
 * slow_text.c - a slow transaction as a line, for people or as JSON.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <cjson/cJSON.h>

#include <abaft/abaft.h>

#include "telemetry/names.h"
#include "tools/telemetry/amount.h"
#include "tools/telemetry/slow_text.h"

uint64_t slow_total_ns(const struct slow_txn *txn)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i < phase_names_count; i++)
		sum += counter_at(&txn->phase_ns, i);
	return sum - txn->phase_ns.open;
}

static void id_text(const struct slow_txn *txn, char *text)
{
	struct abaft_id id;

	memcpy(&id, txn->id, sizeof(id));
	abaft_id_text(&id, text);
}

__attribute__((format(printf, 2, 3))) static void add(char *line, const char *format, ...)
{
	size_t length = strlen(line);
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(line + length, SLOW_LINE_BYTES - length, format, arguments);
	va_end(arguments);
}

static void add_phases(const struct slow_txn *txn, char *line)
{
	const char *before = ": ";
	char text[AMOUNT_BYTES];

	for (uint32_t i = 0; i < phase_names_count; i++) {
		uint64_t ns = counter_at(&txn->phase_ns, i);

		if (!ns || &txn->phase_ns.open == &((const __u64 *)&txn->phase_ns)[i])
			continue;
		add(line, "%s%s %s", before, phase_names[i].name, amount_time(text, ns));
		before = " | ";
	}
}

void slow_line(const struct slow_txn *txn, char *line)
{
	char id[ABAFT_ID_TEXT_BYTES], clock[32] = "", text[AMOUNT_BYTES];
	time_t seconds = (time_t)(txn->unix_us / 1000000);
	struct tm day;

	if (localtime_r(&seconds, &day))
		strftime(clock, sizeof(clock), "%Y-%m-%d %H:%M:%S", &day);
	id_text(txn, id);
	line[0] = '\0';
	add(line, "%s.%03u  %s  worker %u  step %u attempt %u  %u op%s  %s, %s", clock,
	    (unsigned int)(txn->unix_us / 1000 % 1000), id, txn->worker, txn->step, txn->attempt,
	    txn->ops, txn->ops == 1 ? "" : "s", abaft_error_name(txn->status),
	    txn->ended ? "ended" : "goes on");
	if (txn->phase_ns.open)
		add(line, "  open for %s", amount_time(text, txn->phase_ns.open));
	add(line, "  %s", amount_time(text, slow_total_ns(txn)));
	add_phases(txn, line);
}

static bool put_number(cJSON *object, const char *name, uint64_t value)
{
	return cJSON_AddNumberToObject(object, name, (double)value) != NULL;
}

static bool put_phases(cJSON *object, const struct slow_txn *txn)
{
	cJSON *phases = cJSON_AddObjectToObject(object, "phases_ns");
	bool ok = phases != NULL;

	for (uint32_t i = 0; ok && i < phase_names_count; i++)
		ok = put_number(phases, phase_names[i].name, counter_at(&txn->phase_ns, i));
	return ok;
}

char *slow_json(const struct slow_txn *txn, uint64_t lost)
{
	cJSON *object = cJSON_CreateObject();
	char id[ABAFT_ID_TEXT_BYTES];
	char *text = NULL;

	id_text(txn, id);
	if (object && put_number(object, "unix_us", txn->unix_us) &&
	    put_number(object, "worker", txn->worker) &&
	    cJSON_AddStringToObject(object, "id", id) && put_number(object, "step", txn->step) &&
	    put_number(object, "attempt", txn->attempt) && put_number(object, "ops", txn->ops) &&
	    cJSON_AddStringToObject(object, "status", abaft_error_name(txn->status)) &&
	    cJSON_AddBoolToObject(object, "ended", txn->ended) &&
	    put_number(object, "request_bytes", txn->request_bytes) &&
	    put_number(object, "answer_bytes", txn->answer_bytes) &&
	    put_number(object, "total_ns", slow_total_ns(txn)) && put_phases(object, txn) &&
	    (!lost || put_number(object, "lost", lost)))
		text = cJSON_PrintUnformatted(object);
	cJSON_Delete(object);
	return text;
}
