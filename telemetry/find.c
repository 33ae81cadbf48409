/* SPDX-License-Identifier: Apache-2.0 */
/*
 * find.c - the nodes of this host, by the folders in which they pinned their maps.
 */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <linux/bpf.h>

#include "telemetry/pinned.h"
#include "telemetry/scrape.h"

/* pin-dir may lie a folder deeper. */
#define DEPTH_MAX 3

/* A map `node` as ours is, of whatever layout. Who may not look into it takes it for one. */
static bool holds_node(const char *folder)
{
	struct pinned map;
	char path[SCRAPE_PATH_BYTES + 8], why[SCRAPE_WHY_BYTES];
	int err = pinned_open(&map, folder, "node", why);
	bool ours;

	if (err == -EPERM) {
		snprintf(path, sizeof(path), "%s/node", folder);
		return access(path, F_OK) == 0;
	}
	if (err != 0)
		return false;
	ours = map.type == BPF_MAP_TYPE_ARRAY && map.entries == 1 &&
	       map.value_bytes >= sizeof(uint32_t);
	pinned_close(&map);
	return ours;
}

static int compare_paths(const void *a, const void *b)
{
	return strcmp(a, b);
}

static void look(const char *folder, uint32_t depth, char paths[][SCRAPE_PATH_BYTES], uint32_t max,
		 uint32_t *count)
{
	char path[SCRAPE_PATH_BYTES];
	struct dirent *entry;
	DIR *dir;

	if (*count < max && holds_node(folder))
		memcpy(paths[(*count)++], folder, strlen(folder) + 1);
	if (depth == DEPTH_MAX)
		return;
	dir = opendir(folder);
	while (dir != NULL && (entry = readdir(dir)) != NULL)
		if (entry->d_type == DT_DIR && entry->d_name[0] != '.' &&
		    snprintf(path, sizeof(path), "%s/%s", folder, entry->d_name) <
			    (int)sizeof(path))
			look(path, depth + 1, paths, max, count);
	if (dir != NULL)
		closedir(dir);
}

uint32_t scrape_find(const char *root, char paths[][SCRAPE_PATH_BYTES], uint32_t max)
{
	uint32_t count = 0;

	if (strlen(root) < SCRAPE_PATH_BYTES)
		look(root, 0, paths, max, &count);
	qsort(paths, count, SCRAPE_PATH_BYTES, compare_paths);
	return count;
}
