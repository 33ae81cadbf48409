/* SPDX-License-Identifier: Apache-2.0 */
/*
 * scrape_bed.c - see scrape_bed.h.
 */
#include "tests/bpf/scrape_bed.h"

#include <dirent.h>
#include <errno.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <cmocka.h>

int bed_mount(char root[SCRAPE_PATH_BYTES])
{
	snprintf(root, SCRAPE_PATH_BYTES, "/tmp/abaft-bpf-XXXXXX");
	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return -errno;
	if (mkdtemp(root) == NULL)
		return -errno;
	if (mount("bpf", root, "bpf", 0, NULL) < 0)
		return -errno;
	return 0;
}

uint64_t bed_start_time(int pid)
{
	char path[64], text[1024], *at;
	FILE *file;
	size_t bytes;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	file = fopen(path, "re");
	assert_non_null(file);
	bytes = fread(text, 1, sizeof(text) - 1, file);
	fclose(file);
	text[bytes] = '\0';
	at = strrchr(text, ')') + 1;
	for (int field = 3; field <= 22; field++) {
		at = strchr(at, ' ');
		assert_non_null(at);
		at++;
	}
	return strtoull(at, NULL, 10);
}

static size_t memory_bytes(const struct bpf_map *map)
{
	size_t bytes = (size_t)bpf_map__value_size(map) * bpf_map__max_entries(map);

	return (bytes + 4095) / 4096 * 4096;
}

void *bed_slot(struct bed *bed, const struct bpf_map *map, uint32_t worker)
{
	uint8_t *memory = mmap(NULL, memory_bytes(map), PROT_READ | PROT_WRITE, MAP_SHARED,
			       bpf_map__fd(map), 0);

	assert_ptr_not_equal(memory, MAP_FAILED);
	return memory + (size_t)bpf_map__value_size(map) * worker;
}

void bed_make(struct bed *bed, const char *root, const char *name)
{
	struct bpf_map *map;

	memset(bed, 0, sizeof(*bed));
	snprintf(bed->folder, sizeof(bed->folder), "%.150s/%.32s", root, name);
	assert_int_equal(mkdir(bed->folder, 0755), 0);
	bed->maps = telemetry_bpf__open();
	assert_non_null(bed->maps);
	bpf_object__for_each_map(map, bed->maps->obj)
	{
		if (map != bed->maps->maps.node && map != bed->maps->maps.engine)
			assert_int_equal(bpf_map__set_max_entries(map, BED_WORKERS), 0);
	}
	assert_int_equal(telemetry_bpf__load(bed->maps), 0);
	bpf_object__for_each_map(map, bed->maps->obj)
	{
		char path[SCRAPE_PATH_BYTES + 64];

		snprintf(path, sizeof(path), "%s/%s", bed->folder, bpf_map__name(map));
		assert_int_equal(bpf_map__pin(map, path), 0);
	}
	bed->node = bed_slot(bed, bed->maps->maps.node, 0);
	*bed->node = (struct telemetry_node){
		.layout = TELEMETRY_LAYOUT,
		.pid = (uint32_t)getpid(),
		.pid_start = bed_start_time(getpid()),
		.started_unix_us = 1700000000000000,
		.node = 7,
		.workers = BED_WORKERS,
		.udp_port = 7400,
		.version = "0.1.0",
		.port = "afxdp:lo",
		.data_dir = "/var/lib/abaft",
	};
}

void bed_end(struct bed *bed)
{
	struct dirent *entry;
	DIR *dir = opendir(bed->folder);

	while (dir != NULL && (entry = readdir(dir)) != NULL)
		if (entry->d_name[0] != '.')
			unlinkat(dirfd(dir), entry->d_name, 0);
	if (dir != NULL)
		closedir(dir);
	rmdir(bed->folder);
	telemetry_bpf__destroy(bed->maps);
	memset(bed, 0, sizeof(*bed));
}

int bed_add(struct bed *bed, const char *name, enum bpf_map_type type, uint32_t key_bytes,
	    uint32_t value_bytes, uint32_t entries)
{
	char path[SCRAPE_PATH_BYTES + 64];
	int fd = bpf_map_create(type, NULL, key_bytes, value_bytes, entries, NULL);

	assert_true(fd >= 0);
	snprintf(path, sizeof(path), "%s/%s", bed->folder, name);
	assert_int_equal(bpf_obj_pin(fd, path), 0);
	return fd;
}

void bed_unpin(struct bed *bed, const char *name)
{
	char path[SCRAPE_PATH_BYTES + 64];

	snprintf(path, sizeof(path), "%s/%s", bed->folder, name);
	assert_int_equal(unlink(path), 0);
}
