/* SPDX-License-Identifier: Apache-2.0 */
/*
 * choose.h - which node of this host a command looks at, and its maps opened.
 */
#ifndef ABAFT_TOOLS_TELEMETRY_CHOOSE_H
#define ABAFT_TOOLS_TELEMETRY_CHOOSE_H

#include "telemetry/scrape.h"

/*
 * The folder of --pin-dir; else, with NULL, the only one under /sys/fs/bpf in which a node has
 * pinned its maps. If there are several they are listed on stderr. Returns an exit code
 * (command.h); COMMAND_OK: `path` is filled.
 */
int choose_node(const char *pin_dir, char path[SCRAPE_PATH_BYTES]);
/* Opens it, or says on stderr why not. Returns an exit code; COMMAND_OK: scrape_close() *out. */
int choose_open(const char *pin_dir, struct scrape **out, char path[SCRAPE_PATH_BYTES]);
/* Says on stderr, if it is so, that the node is gone and these are its last numbers. */
void choose_say_dead(const struct snapshot *snapshot);

#endif
