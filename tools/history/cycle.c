// SPDX-License-Identifier: Apache-2.0
/*
 * cycle.c - circles in what depends on what: G0 (dirty writes) among overwrites alone, G1c
 * (circular flow) where reads take part.
 *
 * I1. A transaction is on a circle if and only if its strongly connected component has others too.
 *     Components are found by Tarjan's algorithm, with a stack of its own instead of recursion, in
 *     time linear in the edges.
 * I2. One instance is counted for each component: of G0 in the graph of overwrites; of G1c in the
 *     graph of all edges, if a read is inside (every edge inside lies on a circle).
 * I3. The witness is the shortest circle of its component (for G1c: of those with a read), found by
 *     a breadth-first search from each member. Searches of one component together follow at most
 *     CYCLE_WORK_MAX edges; beyond it the shortest found so far has to do.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tools/history/model.h"

#define CYCLE_WORK_MAX (1u << 22)

struct graph {
	struct check *check;
	uint32_t nodes;
	const struct check_edge *edges;
	uint32_t *first;     /* of each node's edges in `out`; first[nodes] is their end */
	uint32_t *out;	     /* edges by where they come from */
	bool overwrites;     /* only these edges are looked at */
	uint32_t *component; /* of each node */
	uint32_t components;
	uint32_t *members;   /* nodes by component */
	uint32_t *member_at; /* of each component; member_at[components] is their end */
	bool *has_read;	     /* by component (I2) */
	/* Tarjan's, and of a breadth-first search. */
	uint32_t *index, *low, *stack, *path, *next;
	uint32_t *via; /* edge by which a node was reached */
};

static uint32_t *numbers(uint32_t count)
{
	return calloc(count + 1ul, sizeof(uint32_t));
}

static void free_graph(struct graph *g)
{
	free(g->first);
	free(g->out);
	free(g->component);
	free(g->members);
	free(g->member_at);
	free(g->has_read);
	free(g->index);
	free(g->low);
	free(g->stack);
	free(g->path);
	free(g->next);
	free(g->via);
}

static int make_graph(struct graph *g, uint32_t edges)
{
	g->first = calloc(g->nodes + 2ul, sizeof(*g->first));
	g->out = numbers(edges);
	g->component = numbers(g->nodes);
	g->members = numbers(g->nodes);
	g->member_at = numbers(g->nodes);
	g->has_read = calloc(g->nodes + 1ul, sizeof(*g->has_read));
	g->index = numbers(g->nodes);
	g->low = numbers(g->nodes);
	g->stack = numbers(g->nodes);
	g->path = numbers(g->nodes);
	g->next = numbers(g->nodes);
	g->via = numbers(g->nodes);
	if (!g->first || !g->out || !g->component || !g->members || !g->member_at || !g->has_read ||
	    !g->index || !g->low || !g->stack || !g->path || !g->next || !g->via)
		return -ENOMEM;
	for (uint32_t i = 0; i < edges; i++)
		g->first[g->edges[i].from + 2]++;
	for (uint32_t i = 2; i <= g->nodes; i++)
		g->first[i] += g->first[i - 1];
	for (uint32_t i = 0; i < edges; i++)
		g->out[g->first[g->edges[i].from + 1]++] = i;
	return 0;
}

/* The i-th edge of `out`, or NULL if it is not looked at. */
static const struct check_edge *edge_at(const struct graph *g, uint32_t i)
{
	const struct check_edge *edge = &g->edges[g->out[i]];

	return g->overwrites && edge->kind != CHECK_OVERWRITES ? NULL : edge;
}

/* Everything on the stack down to the node is one component. */
static void close_component(struct graph *g, uint32_t node, uint32_t *height)
{
	uint32_t member;

	do {
		member = g->stack[--*height];
		g->component[member] = g->components;
		g->low[member] = UINT32_MAX; /* off the stack */
	} while (member != node);
	g->components++;
}

/* Tarjan's algorithm from one root. `count` numbers the nodes in the order of their discovery. */
static void explore(struct graph *g, uint32_t root, uint32_t *count)
{
	uint32_t depth = 0, height = 0;

	g->path[depth++] = g->stack[height++] = root;
	g->index[root] = g->low[root] = ++*count;
	g->next[root] = g->first[root];
	while (depth) {
		uint32_t node = g->path[depth - 1];

		if (g->next[node] < g->first[node + 1]) {
			const struct check_edge *edge = edge_at(g, g->next[node]++);
			uint32_t to;

			if (!edge)
				continue;
			to = edge->to;
			if (g->index[to] == 0) {
				g->path[depth++] = g->stack[height++] = to;
				g->index[to] = g->low[to] = ++*count;
				g->next[to] = g->first[to];
			} else if (g->low[to] != UINT32_MAX && g->index[to] < g->low[node]) {
				g->low[node] = g->index[to];
			}
			continue;
		}
		depth--;
		if (depth && g->low[node] < g->low[g->path[depth - 1]])
			g->low[g->path[depth - 1]] = g->low[node];
		if (g->low[node] == g->index[node])
			close_component(g, node, &height);
	}
}

static void find_components(struct graph *g)
{
	uint32_t count = 0;

	g->components = 0;
	memset(g->index, 0, g->nodes * sizeof(*g->index));
	for (uint32_t i = 0; i < g->nodes; i++)
		if (g->index[i] == 0)
			explore(g, i, &count);
	memset(g->member_at, 0, (g->nodes + 1ul) * sizeof(*g->member_at));
	for (uint32_t i = 0; i < g->nodes; i++)
		g->member_at[g->component[i]]++;
	for (uint32_t i = 0, sum = 0; i <= g->components; i++) {
		sum += g->member_at[i];
		g->member_at[i] = sum;
	}
	for (uint32_t i = g->nodes; i-- > 0;)
		g->members[--g->member_at[g->component[i]]] = i;
	memset(g->has_read, 0, g->nodes * sizeof(*g->has_read));
	for (uint32_t i = 0; i < g->first[g->nodes]; i++) {
		const struct check_edge *edge = edge_at(g, i);

		if (edge && edge->kind == CHECK_READS_FROM &&
		    g->component[edge->from] == g->component[edge->to])
			g->has_read[g->component[edge->from]] = true;
	}
}

/* The length of the shortest circle from `start` (whose first edge, of G1c, is a read), below
 * `limit`; else 0. It can be followed back from `start` by `via`. */
static uint32_t search(struct graph *g, uint32_t start, uint32_t limit, uint32_t *work)
{
	uint32_t *queue = g->stack, *depth = g->index;
	uint32_t head = 0, tail = 0;
	uint32_t found = 0;

	queue[tail++] = start;
	while (head < tail && !found) {
		uint32_t node = queue[head++];
		uint32_t far = node == start ? 1 : depth[node] + 1;

		if (far >= limit)
			break;
		for (uint32_t i = g->first[node]; i < g->first[node + 1]; i++) {
			const struct check_edge *edge = edge_at(g, i);

			++*work;
			if (!edge || g->component[edge->to] != g->component[start] ||
			    (node == start && !g->overwrites && edge->kind != CHECK_READS_FROM) ||
			    depth[edge->to])
				continue;
			g->via[edge->to] = g->out[i];
			if (edge->to == start) {
				found = far;
				break;
			}
			depth[edge->to] = far;
			queue[tail++] = edge->to;
		}
	}
	for (uint32_t i = 1; i < tail; i++)
		depth[queue[i]] = 0;
	return found;
}

/* Keeps the circle that the search found last, in its order. */
static int keep(struct graph *g, uint32_t start, uint32_t length, struct check_witness *witness)
{
	struct check_list *steps = &g->check->steps;
	uint32_t node = start;

	for (uint32_t i = 0; i < length; i++)
		if (check_list_add(steps, &g->edges[0], sizeof(struct check_edge)))
			return -ENOMEM;
	witness->steps_at = (uint32_t)steps->count - length;
	witness->steps_count = length;
	for (uint32_t i = length; i-- > 0; node = g->edges[g->via[node]].from)
		((struct check_edge *)steps->data)[witness->steps_at + i] = g->edges[g->via[node]];
	witness->txn = start;
	witness->part = g->check->txns[start].parts_count
				? g->check->part_order[g->check->txns[start].parts_at]
				: CHECK_NONE;
	return 0;
}

/* I3. */
static int add_witness(struct graph *g, uint32_t component, enum check_kind kind)
{
	struct check *check = g->check;
	struct check_witness witness = {
		kind, CHECK_NONE, CHECK_NONE, CHECK_NONE, {CHECK_NONE, CHECK_NONE}, CHECK_NONE};
	uint32_t best = CHECK_NONE, best_start = CHECK_NONE, work = 0;

	for (uint32_t i = g->member_at[component]; i < g->member_at[component + 1]; i++) {
		uint32_t length = search(g, g->members[i], best, &work);

		if (length) {
			best = length;
			best_start = g->members[i];
		}
		if (best == 2 || (work > CYCLE_WORK_MAX && best != CHECK_NONE))
			break;
	}
	if (search(g, best_start, CHECK_NONE, &work) != best || keep(g, best_start, best, &witness))
		return -ENOMEM;
	check->kept[kind]++;
	return check_list_add(&check->witnesses, &witness, sizeof(witness));
}

static int judge_components(struct graph *g, enum check_kind kind)
{
	struct check *check = g->check;
	int err = 0;

	find_components(g);
	memset(g->index, 0, g->nodes * sizeof(*g->index)); /* depths of searches from here on */
	for (uint32_t i = 0; !err && i < g->components; i++) {
		uint32_t count = g->member_at[i + 1] - g->member_at[i];

		if (count < 2 || (!g->overwrites && !g->has_read[i]))
			continue;
		check->pairs[kind]++;
		for (uint32_t j = 0; j < count; j++)
			check_mark(check, kind, g->members[g->member_at[i] + j]);
		if (check->kept[kind] < check->witnesses_max)
			err = add_witness(g, i, kind);
	}
	return err;
}

int check_cycles(struct check *check)
{
	struct graph g = {.check = check, .nodes = check->txn_ids.count};
	struct check_list edges = {0};
	int err = check_dependencies(check, &edges, &check->orders_unjudged);

	if (!err && edges.count >= CHECK_NONE)
		err = -ENOMEM;
	if (err || edges.count == 0)
		goto out;
	check->edges = edges.count;
	g.edges = edges.data;
	err = make_graph(&g, (uint32_t)edges.count);
	if (!err) {
		g.overwrites = true;
		err = judge_components(&g, CHECK_dirty_write);
	}
	if (!err) {
		g.overwrites = false;
		err = judge_components(&g, CHECK_circular_flow);
	}
out:
	free_graph(&g);
	free(edges.data);
	return err;
}
