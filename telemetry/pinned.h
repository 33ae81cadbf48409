/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pinned.h - one pinned BPF map, read only: found by its name, held against what is expected, its
 * values copied out.
 *
 * For scrape.c. A map that may be mmap()ed is; the others are read by bpf(). All values are arrays
 * of 64-bit words or begin on one, and each word is read at once, as workers write it.
 */
#ifndef ABAFT_TELEMETRY_PINNED_H
#define ABAFT_TELEMETRY_PINNED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pinned {
	int fd; /* -1: nothing is pinned by that name */
	uint32_t type, key_bytes, value_bytes, entries;
	uint8_t *memory; /* NULL: only by bpf() */
	size_t memory_bytes;
	uint64_t device, inode; /* of the pin */
};

/*
 * Opens folder/name. 0; -ENOENT (not there), -EPERM, -EPROTO (there, but no map), or another
 * negative errno; then there is nothing to close, and `why` is set (SCRAPE_WHY_BYTES, scrape.h).
 */
__attribute__((warn_unused_result)) int pinned_open(struct pinned *map, const char *folder,
						    const char *name, char *why);
void pinned_close(struct pinned *map);
/* Whether folder/name now is another map than the one that was opened, or one is gone or new. */
bool pinned_moved(const struct pinned *map, const char *folder, const char *name);

/* Whether there is a value for each CPU. */
bool pinned_per_cpu(const struct pinned *map);
/* Bytes of all CPUs' values of a key, as bpf() copies them. */
size_t pinned_value_room(const struct pinned *map);

/* Copies the value of a key of an array. `room` has pinned_value_room() bytes and is used where
 * there is a value for each CPU: these are added up, word by word. 0 or a negative errno. */
__attribute__((warn_unused_result)) int pinned_get(const struct pinned *map, uint32_t key,
						   void *out, void *room);
/* Copies the value of a key as bpf() has it, of all CPUs: pinned_value_room() bytes. 0 or a
 * negative errno. */
__attribute__((warn_unused_result)) int pinned_lookup(const struct pinned *map, const void *key,
						      void *values);
/* All keys and values of a hash map, at most `entries` of it; values are pinned_value_room() apart.
 * 0 or a negative errno; *count says how many there were. */
__attribute__((warn_unused_result)) int pinned_all(const struct pinned *map, void *keys,
						   void *values, uint32_t *count);
/* Adds up the values of all CPUs, word by word; copies if there is only one. */
void pinned_add_up(const struct pinned *map, const void *values, void *out);

/* Copies whole 64-bit words, each read at once. */
void pinned_copy(void *out, const void *from, size_t bytes);

#endif
