/* SPDX-License-Identifier: Apache-2.0 */
/*
 * storage.h - what a node's facts say of its disk, in sentences: data, cache, checkpoint, the cost
 * of a restart, cleaning, and faults with what to do.
 */
#ifndef ABAFT_TOOLS_COMMAND_STORAGE_H
#define ABAFT_TOOLS_COMMAND_STORAGE_H

#include <stdio.h>

#include <cjson/cJSON.h>

#include "tools/command/status.h"

/* Of a table that was summed. Nothing for a node that does not tell. */
void storage_print(const struct status_table *table, FILE *file);
/* The same as numbers, with the faults as an array of sentences; NULL for such a node. */
cJSON *storage_json(const struct status_table *table);

#endif
