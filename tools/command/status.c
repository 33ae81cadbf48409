/* SPDX-License-Identifier: Apache-2.0 */
/*
 * status.c - a node's facts and counters as a table, and the outcome of a transaction id.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <abaft/telemetry.h>

#include "tools/command/command.h"
#include "tools/command/status.h"
#include "tools/command/storage.h"
#include "tools/command/value.h"

static const char status_help[] =
	"usage: abaft status [OPTION...] [ID]\n\n"
	"Without ID: what the node has on disk, what a restart would cost, what is wrong; then "
	"its\n"
	"facts and counters, of each worker and summed. With the ID of a transaction: what became\n"
	"of it: committed, aborted, open, or unknown (exit code 1).\n\n"
	"  -A, --all              counters that are zero, too\n" COMMAND_OPTIONS_HELP;

/* A worker's INFO comes in one packet or a few; more than this it never is. */
#define INFO_BYTES  65536
/* More columns than a terminal has help nobody; JSON has them all. */
#define COLUMNS_MAX 6

static bool is_counter(const char *name)
{
#define STATUS_COUNTER_NAME(counter, text) #counter,
	static const char *const names[] = {
		ABAFT_NODE_COUNTERS(STATUS_COUNTER_NAME) ABAFT_WORKER_COUNTERS(STATUS_COUNTER_NAME)
			ABAFT_STEER_COUNTERS(STATUS_COUNTER_NAME)
	};
#undef STATUS_COUNTER_NAME

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (!strcmp(name, names[i]))
			return true;
	return false;
}

static struct status_row *status_row(struct status_table *table, const char *name, size_t bytes)
{
	struct status_row *row;

	for (unsigned int i = 0; i < table->count; i++)
		if (strlen(table->rows[i].name) == bytes &&
		    !memcmp(table->rows[i].name, name, bytes))
			return &table->rows[i];
	if (bytes >= STATUS_NAME_BYTES || table->count == STATUS_NAMES_MAX)
		return NULL;
	row = &table->rows[table->count];
	row->value = calloc(table->workers, sizeof(*row->value));
	if (!row->value)
		return NULL;
	memcpy(row->name, name, bytes);
	table->count++;
	return row;
}

/* Without the blanks that fill up a text of constant length. */
static int text_bytes(const char *text, size_t bytes)
{
	while (bytes > 0 && text[bytes - 1] == ' ')
		bytes--;
	return (int)bytes;
}

bool status_take(struct status_table *table, uint32_t worker, const char *text)
{
	if (!table->rows)
		table->rows = calloc(STATUS_NAMES_MAX, sizeof(*table->rows));
	if (!table->rows || worker >= table->workers)
		return false;
	while (*text) {
		size_t line = strcspn(text, "\n");
		size_t name = strcspn(text, " \n");
		struct status_row *row;

		if (name && name < line) {
			row = status_row(table, text, name);
			if (!row)
				return false;
			snprintf(row->value[worker], STATUS_VALUE_BYTES, "%.*s",
				 text_bytes(text + name + 1, line - name - 1), text + name + 1);
		}
		text += line + (text[line] == '\n');
	}
	return true;
}

void status_sum(struct status_table *table)
{
	for (unsigned int i = 0; i < table->count; i++) {
		struct status_row *row = &table->rows[i];

		row->counter = is_counter(row->name);
		row->sum = 0;
		for (uint32_t w = 0; row->counter && w < table->workers; w++)
			row->sum += strtoull(row->value[w], NULL, 10);
	}
}

static bool all_alike(const struct status_table *table, const struct status_row *row)
{
	for (uint32_t w = 1; w < table->workers; w++)
		if (strcmp(row->value[w], row->value[0]))
			return false;
	return true;
}

static void print_row(const struct status_table *table, const struct status_row *row, FILE *file)
{
	bool columns = table->workers > 1 && table->workers <= COLUMNS_MAX;

	fprintf(file, "%-20s ", row->name);
	if (row->counter)
		fprintf(file, "%16" PRIu64, row->sum);
	else
		fprintf(file, "%16s", all_alike(table, row) ? row->value[0] : "-");
	if (columns && (row->counter || !all_alike(table, row)))
		for (uint32_t w = 0; w < table->workers; w++)
			fprintf(file, " %16s", row->value[w]);
	fputc('\n', file);
}

static const char *value_of(const struct status_table *table, const char *name, uint32_t worker)
{
	for (unsigned int i = 0; i < table->count; i++)
		if (!strcmp(table->rows[i].name, name))
			return table->rows[i].value[worker];
	return "";
}

static unsigned long number_of(const struct status_table *table, const char *name, uint32_t worker)
{
	return strtoul(value_of(table, name, worker), NULL, 10);
}

/* A sentence for each worker that has met a damaged value. */
static void print_damage(const struct status_table *table, FILE *file)
{
	for (uint32_t w = 0; w < table->workers; w++) {
		const char *key = value_of(table, "damaged_key", w);

		if (!*key || !strcmp(key, "-"))
			continue;
		fprintf(file,
			"\nThe value of a key is damaged on disk, says worker %u: key %s%s "
			"(hexadecimal), in log-%03lu/seg-%08lx at byte %lu. Reads of it get "
			"CORRUPT "
			"until it is written anew.\n",
			w, key,
			strlen(key) / 2 < number_of(table, "damaged_key_bytes", w) ? "..." : "",
			number_of(table, "damaged_log", w), number_of(table, "damaged_segment", w),
			number_of(table, "damaged_offset", w));
	}
}

void status_print(const struct status_table *table, FILE *file, bool all)
{
	fprintf(file, "%-20s %16s", "", table->workers > 1 ? "node" : "worker 0");
	for (uint32_t w = 0; table->workers > 1 && w < table->workers && w < COLUMNS_MAX; w++)
		if (table->workers <= COLUMNS_MAX)
			fprintf(file, " %14s%2u", "worker", w);
	fputc('\n', file);
	for (unsigned int i = 0; i < table->count; i++)
		if (strncmp(table->rows[i].name, "damaged_", 8) != 0 &&
		    (all || !table->rows[i].counter || table->rows[i].sum))
			print_row(table, &table->rows[i], file);
	print_damage(table, file);
}

static void json_value(cJSON *object, const char *name, const char *text)
{
	char *end;
	double number = strtod(text, &end);

	/* A double holds whole numbers up to 2^53 exactly; counters stay below for ages. */
	if (*text && !*end && number < 9007199254740992.0)
		cJSON_AddNumberToObject(object, name, number);
	else
		cJSON_AddStringToObject(object, name, text);
}

cJSON *status_json(const struct status_table *table)
{
	cJSON *json = cJSON_CreateObject();
	cJSON *node = cJSON_AddObjectToObject(json, "node");
	cJSON *workers = cJSON_AddArrayToObject(json, "workers");
	cJSON *storage;

	for (unsigned int i = 0; i < table->count; i++) {
		const struct status_row *row = &table->rows[i];

		if (row->counter)
			cJSON_AddNumberToObject(node, row->name, (double)row->sum);
		else if (all_alike(table, row))
			json_value(node, row->name, row->value[0]);
	}
	storage = storage_json(table);
	if (storage)
		cJSON_AddItemToObject(json, "storage", storage);
	for (uint32_t w = 0; w < table->workers; w++) {
		cJSON *worker = cJSON_CreateObject();

		for (unsigned int i = 0; i < table->count; i++)
			if (table->rows[i].value[w][0])
				json_value(worker, table->rows[i].name, table->rows[i].value[w]);
		cJSON_AddItemToArray(workers, worker);
	}
	return json;
}

void status_free(struct status_table *table)
{
	for (unsigned int i = 0; i < table->count; i++)
		free(table->rows[i].value);
	free(table->rows);
	*table = (struct status_table){0};
}

int status_of_node(struct abaft *client, bool json, bool all)
{
	struct status_table table = {.workers = 1};
	char *text = malloc(INFO_BYTES);
	int code = COMMAND_FAILED;
	uint32_t workers = 1;

	for (uint32_t w = 0; text && w < table.workers; w++) {
		int err = abaft_info(client, w, text, INFO_BYTES, &workers);
		char what[48];

		if (err) {
			snprintf(what, sizeof(what), "asking worker %u of the node", w);
			code = command_failed(what, err);
			goto out;
		}
		/* Only now it is known how many there are. */
		if (!w && workers >= 1 && workers <= ABAFT_WORKERS_MAX)
			table.workers = workers;
		if (!status_take(&table, w, text)) {
			fputs("abaft: out of memory or room for the node's facts\n", stderr);
			goto out;
		}
	}
	if (!text)
		goto out;
	status_sum(&table);
	if (json) {
		value_print_json(status_json(&table));
	} else {
		storage_print(&table, stdout);
		status_print(&table, stdout, all);
	}
	code = COMMAND_OK;
out:
	status_free(&table);
	free(text);
	return code;
}

int status_of_id(struct abaft *client, const struct abaft_id *id, bool json)
{
	static const char *const names[] = {
		[ABAFT_OUTCOME_UNKNOWN] = "unknown",
		[ABAFT_OUTCOME_OPEN] = "open",
		[ABAFT_OUTCOME_COMMITTED] = "committed",
		[ABAFT_OUTCOME_ABORTED] = "aborted",
	};
	enum abaft_outcome outcome = ABAFT_OUTCOME_UNKNOWN;
	struct abaft_version version = {0};
	char text[VALUE_VERSION_BYTES];
	char id_text[ABAFT_ID_TEXT_BYTES];
	int err = abaft_status(client, id, &outcome, &version);

	if (err)
		return command_failed("asking for the outcome", err);
	abaft_id_text(id, id_text);
	value_version(&version, text);
	if (json) {
		cJSON *object = cJSON_CreateObject();

		cJSON_AddStringToObject(object, "id", id_text);
		cJSON_AddStringToObject(object, "outcome", names[outcome]);
		cJSON_AddStringToObject(object, "version", text);
		value_print_json(object);
	} else {
		printf("%s%s%s\n", names[outcome], version.time ? " " : "",
		       version.time ? text : "");
	}
	return outcome == ABAFT_OUTCOME_UNKNOWN ? COMMAND_NO : COMMAND_OK;
}

int command_status(int argc, char **argv)
{
	static const struct option longs[] = {
		COMMAND_LONG_OPTIONS, {"all", no_argument, NULL, 'A'}, {0}};
	struct command_options options = {0};
	struct abaft *client = NULL;
	struct abaft_id id;
	bool all = false;
	int option, code;

	optind = 0;
	while ((option = getopt_long(argc, argv, COMMAND_SHORT_OPTIONS "A", longs, NULL)) != -1) {
		if (option == 'A')
			all = true;
		else if (!command_option(&options, option, "status", status_help, &code))
			return code;
	}
	if (argc - optind > 1 || (optind < argc && abaft_id_parse(&id, argv[optind]))) {
		fputs("abaft: status takes at most one ID, a UUIDv7; see `abaft status --help`\n",
		      stderr);
		return COMMAND_USAGE;
	}
	code = command_open(&options, &client);
	if (code)
		return code;
	code = optind < argc ? status_of_id(client, &id, options.json)
			     : status_of_node(client, options.json, all);
	abaft_close(client);
	return code;
}
