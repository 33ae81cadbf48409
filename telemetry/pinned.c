/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pinned.c - see pinned.h.
 */
#include "telemetry/pinned.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/bpf.h>

#include "telemetry/scrape.h"

static size_t round_up(size_t bytes, size_t to)
{
	return (bytes + to - 1) / to * to;
}

static int path_of(char path[SCRAPE_PATH_BYTES + 32], const char *folder, const char *name)
{
	int bytes = snprintf(path, SCRAPE_PATH_BYTES + 32, "%s/%s", folder, name);

	return bytes < SCRAPE_PATH_BYTES + 32 ? 0 : -ENAMETOOLONG;
}

/* The kernel says EACCES of the file system's rights and EPERM of bpf()'s. */
static int refused(int err, const char *path, char *why)
{
	if (err == -EACCES || err == -EPERM) {
		snprintf(why, SCRAPE_WHY_BYTES, "%s: no permission; run this as root", path);
		return -EPERM;
	}
	snprintf(why, SCRAPE_WHY_BYTES, "%s: cannot be opened: %s", path, strerror(-err));
	return err;
}

/* Reading through memory costs no system call. Where it cannot be had bpf() does as well. */
static void map_memory(struct pinned *map, uint32_t flags)
{
	size_t bytes = round_up(round_up(map->value_bytes, 8) * map->entries,
				(size_t)sysconf(_SC_PAGESIZE));
	void *memory;

	if (map->type != BPF_MAP_TYPE_ARRAY || (flags & BPF_F_MMAPABLE) == 0)
		return;
	memory = mmap(NULL, bytes, PROT_READ, MAP_SHARED, map->fd, 0);
	if (memory == MAP_FAILED)
		return;
	map->memory = memory;
	map->memory_bytes = bytes;
}

/* Shared memory is only made of what may be written, although it is mapped to be read. Who may only
 * read does without. */
static int get(const char *path)
{
	LIBBPF_OPTS(bpf_obj_get_opts, opts, .file_flags = BPF_F_RDONLY);
	int fd = bpf_obj_get(path);

	return fd == -EPERM || fd == -EACCES ? bpf_obj_get_opts(path, &opts) : fd;
}

int pinned_open(struct pinned *map, const char *folder, const char *name, char *why)
{
	char path[SCRAPE_PATH_BYTES + 32];
	struct bpf_map_info info = {0};
	uint32_t info_bytes = sizeof(info);
	struct stat st;
	int err = path_of(path, folder, name);

	*map = (struct pinned){.fd = -1};
	if (err != 0 || stat(path, &st) < 0)
		return refused(err != 0 ? err : -errno, path, why);
	map->fd = get(path);
	if (map->fd < 0)
		return refused(map->fd, path, why);
	/* Of a program or a link the kernel tells other things, and more or less of them. */
	err = bpf_obj_get_info_by_fd(map->fd, &info, &info_bytes);
	if (err != 0 || info.max_entries == 0 || info.value_size == 0) {
		snprintf(why, SCRAPE_WHY_BYTES,
			 "%s: is no BPF map: remove it, or choose another folder", path);
		close(map->fd);
		map->fd = -1;
		return -EPROTO;
	}
	map->type = info.type;
	map->key_bytes = info.key_size;
	map->value_bytes = info.value_size;
	map->entries = info.max_entries;
	map->device = st.st_dev;
	map->inode = st.st_ino;
	map_memory(map, info.map_flags);
	return 0;
}

void pinned_close(struct pinned *map)
{
	if (map->memory != NULL)
		munmap(map->memory, map->memory_bytes);
	if (map->fd >= 0)
		close(map->fd);
	*map = (struct pinned){.fd = -1};
}

bool pinned_moved(const struct pinned *map, const char *folder, const char *name)
{
	char path[SCRAPE_PATH_BYTES + 32];
	struct stat st;

	if (path_of(path, folder, name) != 0 || stat(path, &st) < 0)
		return map->fd >= 0;
	return map->fd < 0 || st.st_dev != map->device || st.st_ino != map->inode;
}

bool pinned_per_cpu(const struct pinned *map)
{
	return map->type == BPF_MAP_TYPE_PERCPU_ARRAY || map->type == BPF_MAP_TYPE_PERCPU_HASH ||
	       map->type == BPF_MAP_TYPE_LRU_PERCPU_HASH;
}

size_t pinned_value_room(const struct pinned *map)
{
	int cpus = pinned_per_cpu(map) ? libbpf_num_possible_cpus() : 1;

	return round_up(map->value_bytes, 8) * (size_t)(cpus > 0 ? cpus : 1);
}

void pinned_copy(void *out, const void *from, size_t bytes)
{
	uint64_t *to = out;
	const uint64_t *at = from;

	for (size_t i = 0; i < bytes / sizeof(*to); i++)
		to[i] = __atomic_load_n(&at[i], __ATOMIC_RELAXED);
}

void pinned_add_up(const struct pinned *map, const void *values, void *out)
{
	size_t stride = round_up(map->value_bytes, 8) / sizeof(uint64_t);
	size_t all = pinned_value_room(map) / sizeof(uint64_t);
	const uint64_t *at = values;
	uint64_t *to = out;

	memcpy(out, values, map->value_bytes);
	for (size_t i = stride; i < all; i++)
		if (i % stride < map->value_bytes / sizeof(uint64_t))
			to[i % stride] += at[i];
}

int pinned_get(const struct pinned *map, uint32_t key, void *out, void *room)
{
	int err;

	if (key >= map->entries)
		return -ERANGE;
	if (map->memory != NULL) {
		pinned_copy(out, map->memory + round_up(map->value_bytes, 8) * key,
			    map->value_bytes);
		return 0;
	}
	if (!pinned_per_cpu(map))
		return bpf_map_lookup_elem(map->fd, &key, out);
	err = bpf_map_lookup_elem(map->fd, &key, room);
	if (err == 0)
		pinned_add_up(map, room, out);
	return err;
}

int pinned_lookup(const struct pinned *map, const void *key, void *values)
{
	return bpf_map_lookup_elem(map->fd, key, values);
}

int pinned_all(const struct pinned *map, void *keys, void *values, uint32_t *count)
{
	uint64_t next[8]; /* the kernel keeps a number or a key in it */
	int err;

	*count = map->entries;
	if (map->key_bytes > sizeof(next))
		return -EPROTO;
	err = bpf_map_lookup_batch(map->fd, NULL, next, keys, values, count, NULL);
	/* ENOENT: that was the last of it. */
	return err == -ENOENT ? 0 : err;
}
