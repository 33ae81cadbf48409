/* SPDX-License-Identifier: Apache-2.0 */
/* remote_name.c - what objects are called: the table in remote.h. A name is taken only if it is
 * spelled exactly as it would be made. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "dataplane/remote/remote_impl.h"

void remote_name_id(struct engine_name *name)
{
	*name = (struct engine_name){.dir = "node", .leaf = "id"};
}

void remote_name_log(struct engine_name *name, uint32_t log)
{
	snprintf(name->dir, sizeof(name->dir), "logs");
	snprintf(name->leaf, sizeof(name->leaf), "%03u", log);
}

bool remote_parse_log(const char *leaf, uint32_t *log)
{
	struct engine_name again;

	if (sscanf(leaf, "%3u", log) != 1 || *log >= ABAFT_LOGS_MAX)
		return false;
	remote_name_log(&again, *log);
	return strcmp(leaf, again.leaf) == 0;
}

void remote_name_marker(struct engine_name *name, uint32_t log, const struct remote_id *id,
			uint64_t bytes)
{
	snprintf(name->dir, sizeof(name->dir), "log-%03u", log);
	snprintf(name->leaf, sizeof(name->leaf), "%08x-%08x-%010" PRIx64, id->number,
		 id->incarnation, bytes);
}

bool remote_parse_marker(const char *leaf, struct remote_id *id, uint64_t *bytes)
{
	struct engine_name again;

	if (sscanf(leaf, "%8x-%8x-%10" SCNx64, &id->number, &id->incarnation, bytes) != 3)
		return false;
	remote_name_marker(&again, 0, id, *bytes);
	return strcmp(leaf, again.leaf) == 0;
}

void remote_name_part(struct engine_name *name, uint32_t log, const struct remote_id *id,
		      uint32_t block, uint32_t part)
{
	snprintf(name->dir, sizeof(name->dir), "log-%03u-%08x-%08x", log, id->number,
		 id->incarnation);
	if (part == 0)
		snprintf(name->leaf, sizeof(name->leaf), "%08x", block);
	else
		snprintf(name->leaf, sizeof(name->leaf), "%08x-%04x", block, part);
}

bool remote_parse_part(const char *leaf, uint32_t *block, uint32_t *part)
{
	int found = sscanf(leaf, "%8x-%4x", block, part);
	const struct remote_id any = {0};
	struct engine_name again;

	if (found < 1)
		return false;
	if (found == 1)
		*part = 0;
	remote_name_part(&again, 0, &any, *block, *part);
	return strcmp(leaf, again.leaf) == 0;
}

void remote_name_checkpoint(struct engine_name *name, uint32_t number, uint32_t incarnation,
			    uint64_t bytes)
{
	snprintf(name->dir, sizeof(name->dir), "checkpoints");
	snprintf(name->leaf, sizeof(name->leaf), "%08x-%08x-%010" PRIx64, number, incarnation,
		 bytes);
}

bool remote_parse_checkpoint(const char *leaf, uint32_t *number, uint32_t *incarnation,
			     uint64_t *bytes)
{
	struct engine_name again;

	if (sscanf(leaf, "%8x-%8x-%10" SCNx64, number, incarnation, bytes) != 3)
		return false;
	remote_name_checkpoint(&again, *number, *incarnation, *bytes);
	return strcmp(leaf, again.leaf) == 0;
}

void remote_name_piece(struct engine_name *name, uint32_t number, uint32_t incarnation,
		       uint32_t piece)
{
	snprintf(name->dir, sizeof(name->dir), "checkpoint-%08x", number);
	snprintf(name->leaf, sizeof(name->leaf), "%08x-%08x", incarnation, piece);
}

bool remote_parse_piece(const char *leaf, uint32_t *incarnation, uint32_t *piece)
{
	struct engine_name again;

	if (sscanf(leaf, "%8x-%8x", incarnation, piece) != 2)
		return false;
	remote_name_piece(&again, 0, *incarnation, *piece);
	return strcmp(leaf, again.leaf) == 0;
}
