/* SPDX-License-Identifier: Apache-2.0 */
/*
 * telemetry.c - see telemetry.h.
 *
 * I1. Pins belong to the process that the pinned map `node` names, while it lives. They are only
 *     replaced when it does not.
 * I2. A worker's slot begins on a cache line of its own: maps' memory begins on a page, and the
 *     slots' types are as large as whole lines.
 */
#include "control/telemetry.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/magic.h>

#include "control/steer_left.h"
#include "telemetry/process.h"

/* Generated; not written for our warnings. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wsign-conversion"
#include "bpf/telemetry.skel.h"
#pragma GCC diagnostic pop

/* All that a node may have pinned beside steer.c's: the maps of telemetry.bpf.c, and watchers'. */
static const char *const pin_names[] = {"node",
					"engine",
					"worker_threads",
					"worker_counters",
					"node_counters",
					"log_counters",
					"op_counters",
					"slow_txns",
					"thieves",
					"softirqs",
#define PIN_NAME(name, unit, text) #name,
					ABAFT_HISTOGRAMS(PIN_NAME) ABAFT_KERNEL_HISTOGRAMS(PIN_NAME)
#undef PIN_NAME
};
#define PIN_NAMES (sizeof(pin_names) / sizeof(pin_names[0]))

enum { MAP_NODE, MAP_ENGINE, MAP_WORKER, MAP_CORE, MAP_LOG, MAP_OPS, MAP_SLOW, MAP_HISTOGRAMS };

_Static_assert(sizeof(struct worker_counters) % 64 == 0 && sizeof(struct node_counters) % 64 == 0 &&
		       sizeof(struct log_counters) % 64 == 0 &&
		       sizeof(struct op_counters) % 64 == 0 && sizeof(struct histogram) % 64 == 0 &&
		       sizeof(struct slow_txns) % 64 == 0,
	       "I2");

__attribute__((format(printf, 3, 4))) static int say(char *why, int err, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(why, TELEMETRY_WHY_BYTES, format, args);
	va_end(args);
	return err;
}

/* The process whose pins these are, 0 when there are none or it is gone; or a negative errno. */
static int pins_owner(const char *pin_dir)
{
	char path[TELEMETRY_PATH_BYTES + 16];
	struct bpf_map_info info = {0};
	__u32 bytes = sizeof(info), zero = 0;
	struct telemetry_node *node = NULL;
	int fd, owner = 0;

	snprintf(path, sizeof(path), "%s/node", pin_dir);
	fd = bpf_obj_get(path);
	if (fd < 0)
		return errno == ENOENT || errno == ENOTDIR ? 0 : -errno;
	if (bpf_obj_get_info_by_fd(fd, &info, &bytes) < 0) {
		owner = -errno;
		goto out;
	}
	/* A look into another kind of map would bring more than a value. */
	if (info.type != BPF_MAP_TYPE_ARRAY) {
		owner = -EPROTO;
		goto out;
	}
	/* Of any layout: what is looked at stands at its beginning in all of them. */
	node = calloc(1, info.value_size > sizeof(*node) ? info.value_size : sizeof(*node));
	if (node == NULL) {
		owner = -ENOMEM;
		goto out;
	}
	if (bpf_map_lookup_elem(fd, &zero, node) < 0)
		owner = -errno;
	else if (node->pid_start != 0 && process_start(node->pid) == node->pid_start)
		owner = (int)node->pid;
out:
	free(node);
	close(fd);
	return owner;
}

/* Nothing elsewhere than on a BPF file system: files there of these names are somebody's own. */
static void unpin(const char *pin_dir)
{
	char path[TELEMETRY_PATH_BYTES + 32];
	struct statfs fs;

	if (statfs(pin_dir, &fs) < 0 || fs.f_type != BPF_FS_MAGIC)
		return;
	for (size_t i = 0; i < PIN_NAMES; i++) {
		snprintf(path, sizeof(path), "%s/%s", pin_dir, pin_names[i]);
		unlink(path);
	}
	rmdir(pin_dir); /* stays while others have pins in it */
}

int telemetry_clean(const char *pin_dir, char *why)
{
	int owner = pins_owner(pin_dir);

	if (owner > 0)
		return say(
			why, -EBUSY,
			"the pins in %s belong to a running node (pid %d); give this one another "
			"pin-dir",
			pin_dir, owner);
	if (owner < 0)
		return say(why, owner, "cannot look at the pins in %s: %s%s", pin_dir,
			   owner == -EPROTO ? "`node` there is no map of abaft's; remove it, or "
					      "give another pin-dir"
					    : strerror(-owner),
			   owner == -EPERM ? "; run as root" : "");
	unpin(pin_dir); /* what a killed run's watchers saw is not this one's */
	return 0;
}

static int pin(struct telemetry_maps *maps, char *why)
{
	char path[TELEMETRY_PATH_BYTES + 32];
	struct bpf_map *map;
	int err = steer_pins_folder(maps->pin_dir);

	if (err != 0)
		return say(why, err, "cannot make the pin folder %s: %s%s", maps->pin_dir,
			   strerror(-err),
			   err == -ENOTSUP || err == -EPERM
				   ? "; it must lie on a mounted bpf file system (mount -t bpf bpf "
				     "/sys/fs/bpf)"
				   : "");
	bpf_object__for_each_map(map, maps->bpf->obj) /* `node` is the first */
	{
		if (!bpf_map__autocreate(map))
			continue;
		snprintf(path, sizeof(path), "%s/%s", maps->pin_dir, bpf_map__name(map));
		err = bpf_obj_pin(bpf_map__fd(map), path) < 0 ? -errno : 0;
		if (err == -EEXIST && !maps->pinned)
			return say(why, -EBUSY,
				   "another node begins in %s at this moment; give this one "
				   "another pin-dir",
				   maps->pin_dir);
		if (err != 0)
			return say(why, err, "cannot pin %s: %s", path, strerror(-err));
		maps->pinned = true;
	}
	return 0;
}

/* Maps the memory of a map whose entries are of this size. */
static int map_memory(struct telemetry_maps *maps, uint32_t at, const struct bpf_map *map,
		      size_t entry_bytes, uint32_t entries)
{
	uint64_t bytes = (uint64_t)entry_bytes * entries, page = (uint64_t)sysconf(_SC_PAGESIZE);
	void *memory;

	if (bpf_map__value_size(map) != entry_bytes)
		return -EPROTO;
	bytes = (bytes + page - 1) / page * page;
	memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, bpf_map__fd(map), 0);
	if (memory == MAP_FAILED)
		return -errno;
	maps->memory[at] = memory;
	maps->bytes[at] = bytes;
	return 0;
}

static int map_all(struct telemetry_maps *maps, uint32_t workers)
{
	const struct {
		const struct bpf_map *map;
		size_t bytes;
	} of[] = {[MAP_NODE] = {maps->bpf->maps.node, sizeof(struct telemetry_node)},
		  [MAP_ENGINE] = {maps->bpf->maps.engine, sizeof(struct telemetry_engine)},
		  [MAP_WORKER] = {maps->bpf->maps.worker_counters, sizeof(struct worker_counters)},
		  [MAP_CORE] = {maps->bpf->maps.node_counters, sizeof(struct node_counters)},
		  [MAP_LOG] = {maps->bpf->maps.log_counters, sizeof(struct log_counters)},
		  [MAP_OPS] = {maps->bpf->maps.op_counters, sizeof(struct op_counters)},
		  [MAP_SLOW] = {maps->bpf->maps.slow_txns, sizeof(struct slow_txns)},
#define HISTOGRAM_OF(name, unit, text)                                                             \
	[MAP_HISTOGRAMS + HISTOGRAM_##name] = {maps->bpf->maps.name, sizeof(struct histogram)},
		  ABAFT_HISTOGRAMS(HISTOGRAM_OF)
#undef HISTOGRAM_OF
	};
	int err = 0;

	_Static_assert(sizeof(of) / sizeof(of[0]) == TELEMETRY_MAPS, "each has its row");
	for (uint32_t i = 0; i < TELEMETRY_MAPS && err == 0; i++)
		if (bpf_map__autocreate(of[i].map))
			err = map_memory(maps, i, of[i].map, of[i].bytes,
					 i < MAP_WORKER ? 1 : workers);
	return err;
}

static void slots_of(struct telemetry_maps *maps, const struct telemetry_config *config)
{
	for (uint32_t w = 0; w < config->workers; w++) {
		struct telemetry *slots = &maps->worker[w];

		*slots = (struct telemetry){
			.worker = (struct worker_counters *)maps->memory[MAP_WORKER] + w,
			.node = (struct node_counters *)maps->memory[MAP_CORE] + w,
			.log = (struct log_counters *)maps->memory[MAP_LOG] + w,
			.ops = (struct op_counters *)maps->memory[MAP_OPS] + w,
			.slow = (struct slow_txns *)maps->memory[MAP_SLOW] + w,
		};
		for (uint32_t h = 0; h < HISTOGRAM_COUNT; h++)
			slots->histogram[h] =
				(struct histogram *)maps->memory[MAP_HISTOGRAMS + h] + w;
		slots->slow_ns = config->slow_ms * UINT64_C(1000000);
		slots->slow->threshold_ns = slots->slow_ns;
	}
}

static void describe(struct telemetry_maps *maps, const struct telemetry_config *config)
{
	struct telemetry_node *node = maps->memory[MAP_NODE];
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	*node = (struct telemetry_node){
		.layout = TELEMETRY_LAYOUT,
		.pid = (uint32_t)getpid(),
		.pid_start = process_start((uint32_t)getpid()),
		.started_unix_us = (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000,
		.node = config->node,
		.workers = config->workers,
		.udp_port = config->udp_port,
	};
	snprintf(node->version, sizeof(node->version), "%s", config->version);
	snprintf(node->port, sizeof(node->port), "%s", config->port);
	snprintf(node->data_dir, sizeof(node->data_dir), "%s", config->data_dir);
}

/* As many entries as there are workers; the loaded maps can no longer be changed. */
static int load(struct telemetry_maps *maps, uint32_t workers, bool engine)
{
	struct bpf_map *map;
	int err = 0;

	maps->bpf = telemetry_bpf__open();
	if (maps->bpf == NULL)
		return -errno;
	bpf_object__for_each_map(map, maps->bpf->obj)
	{
		if (map != maps->bpf->maps.node && map != maps->bpf->maps.engine &&
		    map != maps->bpf->maps.worker_threads && err == 0)
			err = bpf_map__set_max_entries(map, workers);
	}
	if (err == 0)
		err = bpf_map__set_autocreate(maps->bpf->maps.engine, engine);
	return err != 0 ? err : telemetry_bpf__load(maps->bpf);
}

static int make(struct telemetry_maps *maps, const struct telemetry_config *config, char *why)
{
	libbpf_print_fn_t print = libbpf_set_print(NULL);
	int err = load(maps, config->workers, config->engine);

	libbpf_set_print(print);
	if (err != 0)
		return say(why, err, "the kernel refused the telemetry maps: %s%s", strerror(-err),
			   err == -EPERM ? "; run as root, or with CAP_BPF" : "");
	err = map_all(maps, config->workers);
	if (err != 0)
		return say(why, err, "the telemetry maps' memory cannot be mapped: %s",
			   strerror(-err));
	slots_of(maps, config);
	describe(maps, config);
	return pin(maps, why);
}

int telemetry_open(struct telemetry_maps *maps, const struct telemetry_config *config, char *why)
{
	int err;

	memset(maps, 0, sizeof(*maps));
	if (snprintf(maps->pin_dir, sizeof(maps->pin_dir), "%s", config->pin_dir) >=
	    (int)sizeof(maps->pin_dir))
		return say(why, -ENAMETOOLONG, "pin-dir: '%s' is too long", config->pin_dir);
	err = telemetry_clean(config->pin_dir, why);
	if (err != 0)
		return err;
	err = make(maps, config, why);
	if (err != 0)
		telemetry_close(maps);
	return err;
}

void telemetry_close(struct telemetry_maps *maps)
{
	if (maps->pinned)
		unpin(maps->pin_dir);
	for (uint32_t i = 0; i < TELEMETRY_MAPS; i++)
		if (maps->memory[i] != NULL)
			munmap(maps->memory[i], maps->bytes[i]);
	telemetry_bpf__destroy(maps->bpf);
	memset(maps, 0, sizeof(*maps));
}

struct telemetry *telemetry_of(struct telemetry_maps *maps, uint32_t worker)
{
	return maps->bpf == NULL ? NULL : &maps->worker[worker];
}

struct telemetry_engine *telemetry_engine_of(struct telemetry_maps *maps)
{
	return maps->bpf == NULL ? NULL : maps->memory[MAP_ENGINE];
}

void telemetry_thread(const struct telemetry_maps *maps, uint32_t worker, int cpu)
{
	struct worker_thread thread = {.worker = worker, .cpu = cpu};
	__u32 tid = (__u32)gettid();

	/* Without it the BPF programs only see less. */
	if (maps->bpf != NULL)
		(void)bpf_map_update_elem(bpf_map__fd(maps->bpf->maps.worker_threads), &tid,
					  &thread, BPF_ANY);
}

int telemetry_threads_fd(const struct telemetry_maps *maps)
{
	return maps->bpf == NULL ? -1 : bpf_map__fd(maps->bpf->maps.worker_threads);
}
