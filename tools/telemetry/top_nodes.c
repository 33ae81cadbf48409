// SPDX-License-Identifier: Apache-2.0
/*
 * top_nodes.c - the nodes that `abaft top` looks at: found, opened, read in turn, and what became
 * of each.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/telemetry/top_nodes.h"

static struct top_node *find(struct top_nodes *nodes, const char *path)
{
	for (unsigned int i = 0; i < nodes->count; i++)
		if (!strcmp(nodes->node[i].path, path))
			return &nodes->node[i];
	return NULL;
}

static struct top_node *take_in(struct top_nodes *nodes, const char *path)
{
	struct top_node *node = find(nodes, path);
	size_t length = strlen(path);

	if (node)
		return node;
	if (nodes->count == TOP_NODES_MAX || length >= SCRAPE_PATH_BYTES)
		return NULL;
	node = &nodes->node[nodes->count++];
	memset(node, 0, sizeof(*node));
	memcpy(node->path, path, length + 1);
	node->state = TOP_GONE;
	return node;
}

bool top_nodes_name(struct top_nodes *nodes, const char *path)
{
	struct top_node *node = take_in(nodes, path);

	if (!node)
		return false;
	node->named = true;
	return true;
}

static int by_path(const void *a, const void *b)
{
	const struct top_node *x = a, *y = b;

	return strcmp(x->path, y->path);
}

static void search(struct top_nodes *nodes)
{
	static char paths[TOP_NODES_MAX][SCRAPE_PATH_BYTES];
	uint32_t count = scrape_find(nodes->root, paths, TOP_NODES_MAX);
	unsigned int before = nodes->count;

	for (uint32_t i = 0; i < count; i++)
		take_in(nodes, paths[i]);
	if (nodes->count != before)
		qsort(nodes->node, nodes->count, sizeof(nodes->node[0]), by_path);
}

static void forget_reads(struct top_node *node)
{
	free(node->now);
	free(node->before);
	free(node->change);
	node->now = NULL;
	node->before = NULL;
	node->change = NULL;
	node->now_ns = 0;
	node->before_ns = 0;
}

static void close_node(struct top_node *node)
{
	if (node->scrape)
		scrape_close(node->scrape);
	node->scrape = NULL;
}

static void failed(struct top_node *node, enum top_state state, uint64_t now_ns)
{
	node->state = state;
	if (!node->lost_ns)
		node->lost_ns = now_ns;
	/* The last values stay, but nothing happens any more. */
	if (node->now && node->change)
		top_change_make(node->change, NULL, node->now, 0);
}

/* Opens the maps that stand in the folder now. What was read from others before stays to be shown
 * until these have been read. */
static bool open_node(struct top_node *node, uint64_t now_ns)
{
	int err = scrape_open(&node->scrape, node->path, node->why);

	if (!err)
		return true;
	node->scrape = NULL;
	failed(node, err == -ENOENT ? TOP_GONE : TOP_UNREADABLE, now_ns);
	return false;
}

/* Memory for both snapshots and the change; false if there is none. */
static bool make_room(struct top_node *node)
{
	forget_reads(node);
	node->now = scrape_alloc(node->scrape);
	node->before = scrape_alloc(node->scrape);
	if (node->now && node->before)
		return true;
	forget_reads(node);
	snprintf(node->why, sizeof(node->why), "no memory for a snapshot");
	return false;
}

void top_node_take(struct top_node *node)
{
	const struct snapshot *before = node->before_ns ? node->before : NULL;
	double seconds = (double)(node->now_ns - node->before_ns) / 1e9;

	if (!node->change || node->change->added.workers < node->now->workers) {
		free(node->change);
		node->change = top_change_alloc(node->now->workers);
		if (!node->change) {
			node->state = TOP_UNREADABLE;
			snprintf(node->why, sizeof(node->why), "no memory to compare snapshots");
			return;
		}
	}
	if (node->seen.layout && !top_change_same_run(&node->seen, &node->now->node))
		node->restarts++;
	node->seen = node->now->node;
	if (before && !top_change_same_run(&before->node, &node->now->node))
		before = NULL;
	/* A dead node's numbers stand still: its whole life tells more than no change. */
	if (!node->now->alive)
		before = NULL;
	top_change_make(node->change, before, node->now, seconds);
	node->state = node->now->alive ? TOP_RUNNING : TOP_DEAD;
	node->lost_ns = 0;
}

static void read_node(struct top_node *node, uint64_t now_ns)
{
	struct snapshot *next;
	bool fresh = false;

	if (node->scrape && scrape_outdated(node->scrape)) {
		close_node(node);
		node->before_ns = 0;
		fresh = true;
	}
	if (!node->scrape) {
		if (!open_node(node, now_ns))
			return;
		fresh = true;
	}
	if (fresh && !make_room(node)) {
		close_node(node);
		failed(node, TOP_UNREADABLE, now_ns);
		return;
	}
	next = node->before;
	if (scrape_read(node->scrape, next, node->why)) {
		failed(node, TOP_UNREADABLE, now_ns);
		return;
	}
	node->before = node->now;
	node->before_ns = node->now_ns;
	node->now = next;
	node->now_ns = now_ns;
	top_node_take(node);
}

static void forget_gone(struct top_nodes *nodes, uint64_t now_ns)
{
	unsigned int kept = 0;

	for (unsigned int i = 0; i < nodes->count; i++) {
		struct top_node *node = &nodes->node[i];

		if (!node->named && node->state == TOP_GONE && node->lost_ns &&
		    now_ns - node->lost_ns > TOP_GONE_NS) {
			close_node(node);
			forget_reads(node);
			continue;
		}
		if (kept != i)
			nodes->node[kept] = *node;
		kept++;
	}
	nodes->count = kept;
}

void top_nodes_read(struct top_nodes *nodes, uint64_t now_ns)
{
	if (nodes->root)
		search(nodes);
	for (unsigned int i = 0; i < nodes->count; i++)
		read_node(&nodes->node[i], now_ns);
	forget_gone(nodes, now_ns);
}

void top_nodes_close(struct top_nodes *nodes)
{
	for (unsigned int i = 0; i < nodes->count; i++) {
		close_node(&nodes->node[i]);
		forget_reads(&nodes->node[i]);
	}
	nodes->count = 0;
}
