/* SPDX-License-Identifier: Apache-2.0 */
/*
 * top_nodes.h - the nodes that `abaft top` looks at: found, opened, read in turn, and what became
 * of each.
 *
 * Called by top.c once an interval. Reads pinned maps through telemetry/scrape.h, no node notices.
 * One thread.
 */
#ifndef ABAFT_TOOLS_TELEMETRY_TOP_NODES_H
#define ABAFT_TOOLS_TELEMETRY_TOP_NODES_H

#include <stdbool.h>
#include <stdint.h>

#include "telemetry/scrape.h"
#include "tools/telemetry/top_change.h"

#define TOP_NODES_MAX 64
#define TOP_BPF_ROOT  "/sys/fs/bpf"
/* A node that was found and has gone is shown for so long. */
#define TOP_GONE_NS   (15ull * 1000000000)

enum top_state {
	TOP_RUNNING,
	TOP_DEAD, /* its process ended, its maps are there */
	TOP_GONE, /* no maps: stopped, or between two runs; looked for at each interval */
	TOP_UNREADABLE,
};

struct top_node {
	char path[SCRAPE_PATH_BYTES];
	char why[SCRAPE_WHY_BYTES]; /* of TOP_GONE and TOP_UNREADABLE */
	enum top_state state;
	bool named;		    /* by --pin-dir: never forgotten */
	uint32_t restarts;	    /* seen since it is looked at */
	uint64_t lost_ns;	    /* since when nothing can be read; 0: can be */
	struct telemetry_node seen; /* the run that was read last; layout 0: none yet */
	struct scrape *scrape;
	/* The last two reads; NULL before the first. `before` is not one if before_ns is 0. */
	struct snapshot *now, *before;
	uint64_t now_ns, before_ns;
	struct top_change *change; /* NULL before the first read */
};

struct top_nodes {
	const char *root; /* searched for nodes; NULL: only those that were named */
	unsigned int count;
	struct top_node node[TOP_NODES_MAX];
};

/* A node by its folder. False: there are TOP_NODES_MAX, or the path is too long. */
bool top_nodes_name(struct top_nodes *nodes, const char *path);
/* Looks for nodes, reads them all, and computes what changed. Time is CLOCK_MONOTONIC's. */
void top_nodes_read(struct top_nodes *nodes, uint64_t now_ns);
/* Closes and frees all. */
void top_nodes_close(struct top_nodes *nodes);

/* Takes the snapshot that `now` has just become: compares it with the one before, if that is of the
 * same run. For top_nodes_read(), and tests. */
void top_node_take(struct top_node *node);

#endif
