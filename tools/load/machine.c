/* SPDX-License-Identifier: Apache-2.0 */
/*
 * machine.c - on what a load ran, as far as its numbers depend on it.
 */
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <cJSON.h>

#include "tools/load/load.h"

/* The first processor's name, or "" */
static void cpu_name(char *name, size_t bytes)
{
	FILE *file = fopen("/proc/cpuinfo", "re");
	char line[256];

	name[0] = '\0';
	while (file && !name[0] && fgets(line, sizeof(line), file)) {
		const char *value = strchr(line, ':');

		if (!strncmp(line, "model name", 10) && value)
			snprintf(name, bytes, "%.*s", (int)strcspn(value + 2, "\n"), value + 2);
	}
	if (file)
		fclose(file);
}

bool load_machine_json(cJSON *root)
{
	cJSON *machine = cJSON_AddObjectToObject(root, "machine");
	struct utsname name;
	char cpu[200];

	cpu_name(cpu, sizeof(cpu));
	if (uname(&name))
		memset(&name, 0, sizeof(name));
	return machine && cJSON_AddStringToObject(machine, "kernel", name.release) &&
	       cJSON_AddStringToObject(machine, "cpu", cpu) &&
	       cJSON_AddNumberToObject(machine, "cpus", (double)sysconf(_SC_NPROCESSORS_ONLN));
}
