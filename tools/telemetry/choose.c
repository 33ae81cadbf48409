/* SPDX-License-Identifier: Apache-2.0 */
/*
 * choose.c - see choose.h.
 */
#include "tools/telemetry/choose.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "tools/command/command.h"

#define ROOT	  "/sys/fs/bpf"
#define NODES_MAX 64

int choose_node(const char *pin_dir, char path[SCRAPE_PATH_BYTES])
{
	static char paths[NODES_MAX][SCRAPE_PATH_BYTES];
	uint32_t count;

	if (pin_dir != NULL) {
		if (snprintf(path, SCRAPE_PATH_BYTES, "%s", pin_dir) < SCRAPE_PATH_BYTES)
			return COMMAND_OK;
		fprintf(stderr, "abaft: --pin-dir is longer than %d characters\n",
			SCRAPE_PATH_BYTES - 1);
		return COMMAND_USAGE;
	}
	count = scrape_find(ROOT, paths, NODES_MAX);
	if (count > 1) {
		fputs("abaft: several nodes have pinned their maps on this host; choose one:\n",
		      stderr);
		for (uint32_t i = 0; i < count; i++)
			fprintf(stderr, "  --pin-dir %s\n", paths[i]);
		return COMMAND_USAGE;
	}
	/* With none, opening the usual folder tells why. */
	snprintf(path, SCRAPE_PATH_BYTES, "%s", count == 1 ? paths[0] : SCRAPE_PIN_DIR);
	return COMMAND_OK;
}

int choose_open(const char *pin_dir, struct scrape **out, char path[SCRAPE_PATH_BYTES])
{
	char why[SCRAPE_WHY_BYTES];
	int code = choose_node(pin_dir, path);

	if (code != COMMAND_OK)
		return code;
	if (scrape_open(out, path, why) == 0)
		return COMMAND_OK;
	fprintf(stderr, "abaft: %s\n", why);
	return COMMAND_FAILED;
}

void choose_say_dead(const struct snapshot *snapshot)
{
	time_t started = (time_t)(snapshot->node.started_unix_us / 1000000);
	char text[32] = "?";
	struct tm tm;

	if (snapshot->alive)
		return;
	if (localtime_r(&started, &tm) != NULL)
		strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S", &tm);
	fprintf(stderr,
		"abaft: the node is gone: its process, %u, started at %s, was killed or crashed "
		"without taking its maps along; these are its last numbers\n",
		snapshot->node.pid, text);
}
