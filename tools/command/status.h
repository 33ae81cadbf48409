/* SPDX-License-Identifier: Apache-2.0 */
/*
 * status.h - a node's facts and counters as a table, and the outcome of a transaction id.
 */
#ifndef ABAFT_TOOLS_COMMAND_STATUS_H
#define ABAFT_TOOLS_COMMAND_STATUS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cjson/cJSON.h>

#include <abaft/abaft.h>

#define STATUS_NAMES_MAX   256
#define STATUS_NAME_BYTES  40
#define STATUS_VALUE_BYTES 168

/* One named fact or counter of all workers. */
struct status_row {
	char name[STATUS_NAME_BYTES];
	/* [worker]; "" if that worker does not know the name */
	char (*value)[STATUS_VALUE_BYTES];
	bool counter; /* numbers of all workers, to be summed */
	uint64_t sum;
};

struct status_table {
	struct status_row *rows;
	unsigned int count;
	uint32_t workers;
};

/* Takes one worker's INFO text ("name value" lines) into the table, which is zero but for
 * `workers`. False if memory or the table ran out. */
bool status_take(struct status_table *table, uint32_t worker, const char *text);
/* Decides which rows are counters and sums them; after the last worker's text. */
void status_sum(struct status_table *table);
void status_print(const struct status_table *table, FILE *file, bool all);
cJSON *status_json(const struct status_table *table);
void status_free(struct status_table *table);

/* Both print and return an exit code. */
int status_of_node(struct abaft *client, bool json, bool all);
int status_of_id(struct abaft *client, const struct abaft_id *id, bool json);

#endif
