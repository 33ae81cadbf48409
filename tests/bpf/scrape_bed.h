/* SPDX-License-Identifier: Apache-2.0 */
/*
 * scrape_bed.h - pinned maps as a node makes them, on a BPF file system of the test's own.
 *
 * The file system is mounted in a mount namespace that only this process has: nothing needs to be
 * undone, also if the test dies.
 */
#ifndef ABAFT_TESTS_BPF_SCRAPE_BED_H
#define ABAFT_TESTS_BPF_SCRAPE_BED_H

#include <stdbool.h>
#include <stdint.h>

#include "telemetry/scrape.h"

/* Generated; not written for our warnings. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wsign-conversion"
#include "bpf/telemetry.skel.h"
#pragma GCC diagnostic pop

#define BED_WORKERS 3

struct bed {
	char folder[SCRAPE_PATH_BYTES]; /* where `maps` are pinned */
	struct telemetry_bpf *maps;
	struct telemetry_node *node; /* the map's memory */
};

/* Mounts it on a new folder of /tmp. 0, or a negative errno: then nothing of it works here. */
__attribute__((warn_unused_result)) int bed_mount(char root[SCRAPE_PATH_BYTES]);
/* A node's maps in root/name: this process is the node. Fails the test if it cannot. */
void bed_make(struct bed *bed, const char *root, const char *name);
/* Takes the pins away, and the folder if it is then empty. */
void bed_end(struct bed *bed);
/* The map's memory, a worker's slot of it. */
void *bed_slot(struct bed *bed, const struct bpf_map *map, uint32_t worker);
/* Pins a map made by hand; returns its fd. */
int bed_add(struct bed *bed, const char *name, enum bpf_map_type type, uint32_t key_bytes,
	    uint32_t value_bytes, uint32_t entries);
/* Takes one pin away. */
void bed_unpin(struct bed *bed, const char *name);
/* Field 22 of /proc/PID/stat. */
uint64_t bed_start_time(int pid);

#endif
