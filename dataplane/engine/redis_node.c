/* SPDX-License-Identifier: Apache-2.0 */
/*
 * redis_node.c - the servers: one, until one of them says that it is a cluster's, or that a slot is
 * another's (MOVED). Then the map of slots is asked for, and again whenever it was wrong, or a
 * connection was lost. Until it is there each wrong slot is learnt from its MOVED, which is all
 * that a user without the right to CLUSTER SLOTS ever has. Only primaries are asked.
 */
#include "dataplane/engine/redis_impl.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static bool has_nothing(const struct redis_link *link)
{
	return TAILQ_EMPTY(&link->queue) && TAILQ_EMPTY(&link->sent);
}

static struct redis_node *create(struct redis_driver *driver, const struct redis_place *place)
{
	struct redis_node *node;
	uint32_t index = 0;

	while (index < REDIS_NODES_MAX && driver->nodes[index] != NULL)
		index++;
	if (index == REDIS_NODES_MAX)
		return NULL;
	node = calloc(1, sizeof(*node));
	if (node == NULL)
		return NULL;
	node->place = *place;
	node->index = (uint16_t)index;
	node->pause_us = REDIS_PAUSE_US_MIN;
	for (uint32_t i = 0; i < REDIS_LINKS_MAX; i++)
		redis_link_init(&node->links[i], node);
	driver->nodes[index] = node;
	if (driver->nodes_used <= index)
		driver->nodes_used = index + 1;
	return node;
}

struct redis_node *redis_node_find(struct redis_driver *driver, const struct redis_place *place)
{
	for (uint32_t i = 0; i < driver->nodes_used; i++) {
		struct redis_node *node = driver->nodes[i];

		if (node != NULL && node->place.port == place->port &&
		    strcmp(node->place.host, place->host) == 0)
			return node;
	}
	return create(driver, place);
}

void redis_node_destroy(struct redis_driver *driver, struct redis_node *node)
{
	for (uint32_t i = 0; i < REDIS_LINKS_MAX; i++)
		redis_link_fail(driver, &node->links[i], -ECANCELED);
	for (uint32_t slot = 0; slot < REDIS_SLOTS; slot++)
		if (driver->owner[slot] == node->index)
			driver->owner[slot] = REDIS_NO_NODE;
	driver->nodes[node->index] = NULL;
	free(node);
}

/* The first that has little to do, so that a quiet engine has one connection, and a large value
 * does not stand before everything else. */
struct redis_link *redis_node_link(struct redis_driver *driver, struct redis_node *node)
{
	struct redis_link *best = &node->links[0];

	for (uint32_t i = 0; i < driver->links_max; i++) {
		struct redis_link *link = &node->links[i];

		if (link->load < REDIS_LINK_LOAD)
			return link;
		if (link->load < best->load)
			best = link;
	}
	return best;
}

struct redis_node *redis_node_of(struct redis_driver *driver, const char *dir)
{
	uint32_t slot;

	if (!driver->cluster)
		return driver->nodes[0];
	slot = redis_crc16(dir, strnlen(dir, ENGINE_DIR_BYTES)) % REDIS_SLOTS;
	if (driver->owner[slot] != REDIS_NO_NODE)
		return driver->nodes[driver->owner[slot]];
	driver->map_stale = true;
	return driver->nodes[0];
}

void redis_node_failed(struct redis_driver *driver, struct redis_node *node)
{
	uint64_t pause = node->pause_us;

	node->failures++;
	/* Between half of it and all: many nodes must not come back at the same moment. */
	driver->random = driver->random * 6364136223846793005u + 1442695040888963407u;
	node->again_us = driver->now_us + pause / 2 + (driver->random >> 33) % (pause / 2);
	node->pause_us = pause * 2 < REDIS_PAUSE_US_MAX ? pause * 2 : REDIS_PAUSE_US_MAX;
}

void redis_node_worked(struct redis_driver *driver, struct redis_node *node)
{
	node->pause_us = REDIS_PAUSE_US_MIN;
	node->again_us = 0;
}

/* A place without a host is where the one is that says so. */
static struct redis_node *find_from(struct redis_driver *driver, const struct redis_link *from,
				    struct redis_place *place)
{
	if (place->host[0] == '\0')
		memcpy(place->host, from->node->place.host, sizeof(place->host));
	return redis_node_find(driver, place);
}

struct redis_link *redis_node_redirect(struct redis_driver *driver, struct redis_link *from,
				       const struct redisReply *reply, enum redis_meaning meaning)
{
	struct redis_redirect redirect;
	struct redis_node *node;

	if (redis_redirect_parse(&redirect, reply->str, reply->len) < 0)
		return NULL;
	node = find_from(driver, from, &redirect.place);
	if (node == NULL)
		return NULL;
	if (meaning == REDIS_MOVED) {
		driver->cluster = driver->map_stale = true;
		driver->owner[redirect.slot] = node->index;
		node->owner = true;
	}
	return redis_node_link(driver, node);
}

static void apply(struct redis_driver *driver, struct redis_link *link,
		  const struct redisReply *reply)
{
	struct redis_range range;
	struct redis_node *node;

	for (uint32_t i = 0; i < driver->nodes_used; i++)
		if (driver->nodes[i] != NULL)
			driver->nodes[i]->owner = false;
	for (uint32_t slot = 0; slot < REDIS_SLOTS; slot++)
		driver->owner[slot] = REDIS_NO_NODE;
	for (size_t i = 0; i < reply->elements; i++) {
		if (redis_range_parse(&range, reply->element[i]) < 0)
			continue;
		node = find_from(driver, link, &range.place);
		if (node == NULL)
			continue;
		node->owner = true;
		for (uint32_t slot = range.first; slot <= range.last; slot++)
			driver->owner[slot] = node->index;
	}
}

/* One without slots is no map: it was asked too early, or a server that has left its cluster. Nor
 * is an error: then MOVEDs have to do, and it is asked again only when there are new ones. */
void redis_nodes_map(struct redis_driver *driver, struct redis_link *link,
		     const struct redisReply *reply)
{
	driver->map_us = driver->now_us + REDIS_MAP_PAUSE_US;
	if (reply == NULL)
		return;
	driver->map_stale = false;
	if (reply->type != REDIS_REPLY_ARRAY || reply->elements == 0)
		return;
	apply(driver, link, reply);
	driver->map_fresh = true;
}

/* In turn: the one that was asked last may be the one that knows least. Connected ones first. */
static struct redis_link *whom_to_ask(struct redis_driver *driver)
{
	for (int ready = 1; ready >= 0; ready--) {
		for (uint32_t i = 0; i < driver->nodes_used; i++) {
			uint32_t turn = (driver->map_turn + i) % driver->nodes_used;
			struct redis_node *node = driver->nodes[turn];

			if (node == NULL || (ready && node->links[0].state != REDIS_READY))
				continue;
			driver->map_turn = turn + 1;
			return &node->links[0];
		}
	}
	return NULL;
}

static void ask(struct redis_driver *driver)
{
	struct redis_link *link = whom_to_ask(driver);
	struct redis_request *request = calloc(1, sizeof(*request));

	driver->map_us = driver->now_us + REDIS_MAP_WAIT_US;
	if (request == NULL)
		return;
	request->command = REDIS_MAP;
	request->until_us = driver->now_us + driver->try_us;
	redis_link_add(link, request);
}

/* Those that own nothing and are asked nothing; the URL's stays. */
static void let_go(struct redis_driver *driver)
{
	for (uint32_t i = 1; i < driver->nodes_used; i++) {
		struct redis_node *node = driver->nodes[i];
		bool idle = node != NULL && !node->owner;

		for (uint32_t k = 0; k < driver->links_max && idle; k++)
			idle = has_nothing(&node->links[k]);
		if (idle)
			redis_node_destroy(driver, node);
	}
	while (driver->nodes[driver->nodes_used - 1] == NULL)
		driver->nodes_used--;
}

void redis_nodes_run(struct redis_driver *driver, uint64_t *until_us)
{
	if (driver->map_fresh)
		let_go(driver);
	driver->map_fresh = false;
	if (!driver->map_stale)
		return;
	if (driver->now_us >= driver->map_us)
		ask(driver);
	if (driver->map_us < *until_us)
		*until_us = driver->map_us;
}
