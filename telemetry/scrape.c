/* SPDX-License-Identifier: Apache-2.0 */
/*
 * scrape.c - see scrape.h. Which maps there are, what each must look like, and where its values go.
 */
#include "telemetry/scrape.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/vfs.h>
#include <time.h>

#include <linux/magic.h>

#include "telemetry/opened.h"
#include "telemetry/pinned.h"
#include "telemetry/process.h"

/* Where a map of one slot for each worker goes in a struct scrape_worker. */
#define EACH_WORKER(map, field)                                                                    \
	{                                                                                          \
#map, 4, sizeof(((struct scrape_worker *)0)->field),                               \
			(uint32_t)offsetof(struct scrape_worker, field)                            \
	}
#define HISTOGRAM_PLACE(name, unit, text)	 EACH_WORKER(name, histogram[HISTOGRAM_##name]),
#define KERNEL_HISTOGRAM_PLACE(name, unit, text) EACH_WORKER(name, kernel[HISTOGRAM_##name]),

/* In the order of enum opened_map. */
static const struct place {
	const char *name;
	uint32_t key_bytes, value_bytes;
	uint32_t offset; /* maps of each worker alone */
} places[OPENED_MAPS] = {
	{"node", 4, sizeof(struct telemetry_node), 0},
	{"slow_txns", 4, sizeof(struct slow_txns), 0},
	{"engine", 4, sizeof(struct telemetry_engine), 0},
	{"steer_counters", 4, sizeof(struct steer_counters), 0},
	{"steer_bytes", 4, sizeof(struct steer_bytes), 0},
	{"steer_tenants", 4, sizeof(struct tenant_counter), 0},
	{"thieves", sizeof(struct thief_key), sizeof(struct thief), 0},
	{"softirqs", 4, sizeof(struct softirqs), 0},
	EACH_WORKER(worker_counters, worker),
	EACH_WORKER(node_counters, node),
	EACH_WORKER(log_counters, log),
	EACH_WORKER(op_counters, ops),
	/* clang-format off */
	ABAFT_HISTOGRAMS(HISTOGRAM_PLACE)
	ABAFT_KERNEL_HISTOGRAMS(KERNEL_HISTOGRAM_PLACE)
	/* clang-format on */
};

/* No map of ours is larger; one that claims to be must not make us allocate. */
#define ROOM_BYTES_MAX ((size_t)64 << 20)
#define OPEN_TRIES     8

static int wrong(const struct scrape *scrape, const char *name, uint64_t have, const char *what,
		 uint64_t want, char *why)
{
	snprintf(why, SCRAPE_WHY_BYTES,
		 "%s/%s: %s: %" PRIu64 ", and this program expects %" PRIu64
		 ": it was pinned by another version of abaft; use the `abaft` that came with that "
		 "node",
		 scrape->pin_dir, name, what, have, want);
	return -EPROTO;
}

/* The layout comes first: where it is another one, nothing else needs to be right. */
static int check_layout(struct scrape *scrape, char *why)
{
	const struct pinned *map = &scrape->maps[OPENED_NODE];
	struct telemetry_node *node;
	int err;

	if (map->key_bytes != 4 || map->value_bytes < sizeof(node->layout) ||
	    map->value_bytes > ROOM_BYTES_MAX) {
		snprintf(why, SCRAPE_WHY_BYTES, "%s/node: is no map of abaft's; name its folder",
			 scrape->pin_dir);
		return -EPROTO;
	}
	node = calloc(1, map->value_bytes + sizeof(*node));
	if (node == NULL)
		return -ENOMEM;
	err = pinned_get(map, 0, node, NULL);
	if (err != 0)
		snprintf(why, SCRAPE_WHY_BYTES, "%s/node: cannot be read: %s", scrape->pin_dir,
			 strerror(-err));
	else if (node->layout != TELEMETRY_LAYOUT)
		err = wrong(scrape, "node", node->layout, "its layout", TELEMETRY_LAYOUT, why);
	else if (node->workers < 1 || node->workers > ABAFT_WORKERS_MAX)
		err = wrong(scrape, "node", node->workers, "its workers, at most",
			    ABAFT_WORKERS_MAX, why);
	scrape->workers = node->workers;
	free(node);
	return err;
}

static int check_map(struct scrape *scrape, uint32_t m, char *why)
{
	const struct pinned *map = &scrape->maps[m];
	const struct place *place = &places[m];
	uint32_t least = m >= OPENED_EACH_WORKER || m == OPENED_SLOW ? scrape->workers : 1;

	if (map->key_bytes != place->key_bytes)
		return wrong(scrape, place->name, map->key_bytes, "bytes of a key",
			     place->key_bytes, why);
	if (map->value_bytes != place->value_bytes)
		return wrong(scrape, place->name, map->value_bytes, "bytes of a value",
			     place->value_bytes, why);
	if (map->entries < least)
		return wrong(scrape, place->name, map->entries, "entries", least, why);
	return 0;
}

/* What is read by bpf() alone needs room: a value for each CPU, or all keys and values. */
static int make_room(struct scrape *scrape, char *why)
{
	size_t most = sizeof(struct slow_txns);

	for (uint32_t m = 0; m < OPENED_MAPS; m++) {
		const struct pinned *map = &scrape->maps[m];
		size_t bytes = map->fd < 0 ? 0 : pinned_value_room(map);

		if (m == OPENED_TENANTS || m == OPENED_THIEVES || m == OPENED_SOFTIRQS)
			bytes = (bytes + 8) * map->entries;
		if (bytes > ROOM_BYTES_MAX)
			return wrong(scrape, places[m].name, bytes, "bytes of all values, at most",
				     ROOM_BYTES_MAX, why);
		most = bytes > most ? bytes : most;
	}
	scrape->room = aligned_alloc(64, (most + 63) / 64 * 64);
	return scrape->room == NULL ? -ENOMEM : 0;
}

/* Why nothing is pinned, as far as one can see. */
static int nothing_pinned(const char *pin_dir, char *why)
{
	char folder[SCRAPE_PATH_BYTES];
	struct statfs fs;
	char *slash;

	snprintf(folder, sizeof(folder), "%s", pin_dir);
	while (statfs(folder, &fs) < 0) {
		slash = strrchr(folder, '/');
		if (slash == NULL || slash == folder)
			break;
		*slash = '\0';
	}
	if (fs.f_type != BPF_FS_MAGIC)
		snprintf(why, SCRAPE_WHY_BYTES,
			 "%s: no BPF file system is mounted there, so no node could pin its maps; "
			 "`mount -t bpf bpf /sys/fs/bpf`, and restart the node",
			 pin_dir);
	else
		snprintf(why, SCRAPE_WHY_BYTES,
			 "%s: no node has pinned its maps there: none runs, or it has "
			 "telemetry = no or another pin-dir",
			 pin_dir);
	return -ENOENT;
}

static int open_maps(struct scrape *scrape, char *why)
{
	int err;

	for (uint32_t m = 0; m < OPENED_MAPS; m++) {
		err = pinned_open(&scrape->maps[m], scrape->pin_dir, places[m].name, why);
		if (err == -ENOENT && m == OPENED_NODE)
			return nothing_pinned(scrape->pin_dir, why);
		if (err != 0 && err != -ENOENT)
			return err;
		if (m == OPENED_NODE)
			err = check_layout(scrape, why);
		else
			err = 0;
		if (err == 0 && scrape->maps[m].fd >= 0)
			err = check_map(scrape, m, why);
		if (err != 0)
			return err;
	}
	return make_room(scrape, why);
}

static int open_once(struct scrape **out, const char *pin_dir, char *why)
{
	struct scrape *scrape = calloc(1, sizeof(*scrape));
	int err = -ENOMEM;

	why[0] = '\0';
	if (scrape == NULL)
		goto fail;
	for (uint32_t m = 0; m < OPENED_MAPS; m++)
		scrape->maps[m].fd = -1;
	err = -ENAMETOOLONG;
	if (snprintf(scrape->pin_dir, sizeof(scrape->pin_dir), "%s", pin_dir) >=
	    (int)sizeof(scrape->pin_dir))
		goto fail;
	err = open_maps(scrape, why);
	if (err != 0)
		goto fail;
	*out = scrape;
	return 0;
fail:
	if (why[0] == '\0')
		snprintf(why, SCRAPE_WHY_BYTES, "%s: %s", pin_dir, strerror(-err));
	scrape_close(scrape);
	return err;
}

/* A node may be starting: what was opened then is half of the one, half of the other. */
int scrape_open(struct scrape **out, const char *pin_dir, char *why)
{
	struct scrape *scrape;
	int err = open_once(&scrape, pin_dir, why);

	for (int again = 0; err == 0 && again < OPEN_TRIES && scrape_outdated(scrape); again++) {
		scrape_close(scrape);
		err = open_once(&scrape, pin_dir, why);
	}
	if (err == 0)
		*out = scrape;
	return err;
}

void scrape_close(struct scrape *scrape)
{
	if (scrape == NULL)
		return;
	for (uint32_t m = 0; m < OPENED_MAPS; m++)
		pinned_close(&scrape->maps[m]);
	free(scrape->room);
	free(scrape);
}

bool scrape_outdated(const struct scrape *scrape)
{
	for (uint32_t m = 0; m < OPENED_MAPS; m++)
		if (pinned_moved(&scrape->maps[m], scrape->pin_dir, places[m].name))
			return true;
	return false;
}

struct snapshot *scrape_alloc(const struct scrape *scrape)
{
	size_t bytes = sizeof(struct snapshot) + scrape->workers * sizeof(struct scrape_worker);
	struct snapshot *snapshot;

	bytes = (bytes + 63) / 64 * 64;
	snapshot = aligned_alloc(64, bytes);
	if (snapshot != NULL)
		memset(snapshot, 0, bytes);
	return snapshot;
}

/* For terminals, JSON and Prometheus alike. */
static void make_plain(char *text, size_t bytes)
{
	text[bytes - 1] = '\0';
	for (char *at = text; *at != '\0'; at++)
		if (*at < ' ' || *at > '~')
			*at = '?';
}

static int read_node(struct scrape *scrape, struct snapshot *out, char *why)
{
	struct timespec now;
	int err = pinned_get(&scrape->maps[OPENED_NODE], 0, &out->node, scrape->room);

	clock_gettime(CLOCK_REALTIME, &now);
	out->unix_us = (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
	make_plain(out->node.version, sizeof(out->node.version));
	make_plain(out->node.port, sizeof(out->node.port));
	make_plain(out->node.data_dir, sizeof(out->node.data_dir));
	if (err == 0 && out->node.layout != TELEMETRY_LAYOUT)
		err = wrong(scrape, "node", out->node.layout, "its layout", TELEMETRY_LAYOUT, why);
	out->alive =
		out->node.pid_start != 0 && process_start(out->node.pid) == out->node.pid_start;
	return err;
}

static int compare_thieves(const void *a, const void *b)
{
	const struct scrape_thief *left = a, *right = b;

	return (left->thief.ns < right->thief.ns) - (left->thief.ns > right->thief.ns);
}

/* The worst ones, the worst first. */
static int read_thieves(struct scrape *scrape, struct snapshot *out)
{
	const struct pinned *map = &scrape->maps[OPENED_THIEVES];
	struct scrape_thief *all;
	struct thief_key *keys;
	uint8_t *values = scrape->room;
	uint32_t count;
	int err;

	if (map->fd < 0)
		return 0;
	keys = (void *)(values + pinned_value_room(map) * map->entries);
	err = pinned_all(map, keys, values, &count);
	all = count != 0 && err == 0 ? calloc(count, sizeof(*all)) : NULL;
	if (err != 0 || all == NULL)
		return err != 0 || count == 0 ? err : -ENOMEM;
	for (uint32_t i = 0; i < count; i++) {
		all[i].key = keys[i];
		memcpy(&all[i].thief, values + pinned_value_room(map) * i, sizeof(all[i].thief));
		make_plain(all[i].thief.comm, sizeof(all[i].thief.comm));
	}
	qsort(all, count, sizeof(*all), compare_thieves);
	out->thieves = count < SCRAPE_THIEVES_MAX ? count : SCRAPE_THIEVES_MAX;
	memcpy(out->thief, all, out->thieves * sizeof(*all));
	free(all);
	return 0;
}

static int compare_tenants(const void *a, const void *b)
{
	const struct scrape_tenant *left = a, *right = b;

	return (left->tenant > right->tenant) - (left->tenant < right->tenant);
}

static int read_tenants(struct scrape *scrape, struct snapshot *out)
{
	const struct pinned *map = &scrape->maps[OPENED_TENANTS];
	uint8_t *values = scrape->room;
	uint32_t *keys, count;
	int err;

	if (map->fd < 0)
		return 0;
	keys = (void *)(values + pinned_value_room(map) * map->entries);
	err = pinned_all(map, keys, values, &count);
	if (err != 0)
		return err;
	out->tenants = count < SCRAPE_TENANTS_MAX ? count : SCRAPE_TENANTS_MAX;
	for (uint32_t i = 0; i < out->tenants; i++) {
		out->tenant[i].tenant = keys[i];
		pinned_add_up(map, values + pinned_value_room(map) * i, &out->tenant[i].counter);
	}
	qsort(out->tenant, out->tenants, sizeof(out->tenant[0]), compare_tenants);
	return 0;
}

static void add_softirqs(struct snapshot *out, uint32_t cpu, const void *value)
{
	static const struct softirqs none;
	struct scrape_softirqs *to = &out->softirqs[out->cpus];

	if (out->cpus == SCRAPE_CPUS_MAX || memcmp(value, &none, sizeof(none)) == 0)
		return;
	to->cpu = cpu;
	memcpy(&to->softirqs, value, sizeof(to->softirqs));
	out->cpus++;
}

/* By CPU: as keys of a hash, or as the one entry's value for each. CPUs without any are left out.
 */
static int read_softirqs(struct scrape *scrape, struct snapshot *out)
{
	const struct pinned *map = &scrape->maps[OPENED_SOFTIRQS];
	uint8_t *values = scrape->room;
	uint32_t *keys, count, zero = 0;
	size_t cpus = pinned_value_room(map) / sizeof(struct softirqs);
	int err;

	if (map->fd < 0)
		return 0;
	if (pinned_per_cpu(map)) {
		err = pinned_lookup(map, &zero, values);
		for (uint32_t cpu = 0; cpu < cpus && err == 0; cpu++)
			add_softirqs(out, cpu, values + cpu * sizeof(struct softirqs));
		return err;
	}
	keys = (void *)(values + sizeof(struct softirqs) * map->entries);
	err = pinned_all(map, keys, values, &count);
	for (uint32_t i = 0; err == 0 && i < count; i++)
		add_softirqs(out, keys[i], values + i * sizeof(struct softirqs));
	return err;
}

static int read_steer(struct scrape *scrape, struct snapshot *out)
{
	const struct pinned *counters = &scrape->maps[OPENED_STEER_COUNTERS];
	const struct pinned *bytes = &scrape->maps[OPENED_STEER_BYTES];
	int err = 0;

	out->has_steer = counters->fd >= 0;
	if (out->has_steer)
		err = pinned_get(counters, 0, &out->steer, scrape->room);
	if (err == 0 && bytes->fd >= 0)
		err = pinned_get(bytes, 0, &out->steer_bytes, scrape->room);
	return err;
}

static int read_engine(struct scrape *scrape, struct snapshot *out)
{
	const struct pinned *map = &scrape->maps[OPENED_ENGINE];
	int err;

	out->has_engine = map->fd >= 0;
	err = out->has_engine ? pinned_get(map, 0, &out->engine, scrape->room) : 0;
	make_plain(out->engine.name, sizeof(out->engine.name));
	return err;
}

static int read_workers(struct scrape *scrape, struct snapshot *out)
{
	int err = 0;

	for (uint32_t m = OPENED_EACH_WORKER; m < OPENED_MAPS && err == 0; m++)
		for (uint32_t w = 0; w < scrape->workers && err == 0; w++)
			if (scrape->maps[m].fd >= 0)
				err = pinned_get(&scrape->maps[m], w,
						 (uint8_t *)&out->worker[w] + places[m].offset,
						 scrape->room);
	for (uint32_t h = 0; h < HISTOGRAM_KERNEL_COUNT; h++)
		out->has_kernel[h] = scrape->maps[OPENED_KERNEL_HISTOGRAMS + h].fd >= 0;
	return err;
}

int scrape_read(struct scrape *scrape, struct snapshot *out, char *why)
{
	int err = read_node(scrape, out, why);

	out->workers = scrape->workers;
	out->has_thieves = scrape->maps[OPENED_THIEVES].fd >= 0;
	out->has_softirqs = scrape->maps[OPENED_SOFTIRQS].fd >= 0;
	out->tenants = out->thieves = out->cpus = 0;
	if (err == 0)
		err = read_workers(scrape, out);
	if (err == 0)
		err = read_engine(scrape, out);
	if (err == 0)
		err = read_steer(scrape, out);
	if (err == 0)
		err = read_tenants(scrape, out);
	if (err == 0)
		err = read_thieves(scrape, out);
	if (err == 0)
		err = read_softirqs(scrape, out);
	if (err != 0 && err != -EPROTO)
		snprintf(why, SCRAPE_WHY_BYTES, "%s: the node's maps cannot be read: %s",
			 scrape->pin_dir, strerror(-err));
	return err;
}
