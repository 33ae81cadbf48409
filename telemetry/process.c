/* SPDX-License-Identifier: Apache-2.0 */
/* process.c - see process.h. */
#include "telemetry/process.h"

#include <stdio.h>
#include <string.h>

uint64_t process_start(uint32_t pid)
{
	char path[32], text[1024], state = 'X';
	unsigned long long start = 0;
	const char *after;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%u/stat", pid);
	file = fopen(path, "re");
	if (file == NULL)
		return 0;
	text[fread(text, 1, sizeof(text) - 1, file)] = '\0';
	fclose(file);
	after = strrchr(text, ')'); /* the name before it may hold anything */
	if (after == NULL || sscanf(after + 1,
				    " %c %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s "
				    "%*s %*s %*s %*s %llu",
				    &state, &start) != 2)
		return 0;
	return state == 'Z' || state == 'X' ? 0 : start;
}
