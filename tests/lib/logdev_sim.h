/* SPDX-License-Identifier: Apache-2.0 */
/*
 * logdev_sim.h - a disk in memory that may do all that logdev.h allows a disk to do.
 *
 * Completions come late and in any order. A power cut keeps what was synced and any subset of the
 * 512-byte sectors of what was not; a killed process leaves its writes in the disk's cache, whence
 * a later power cut may still take them. Writes, syncs and new segments fail on demand. Beyond that
 * it lies on demand, as no disk should: what it called durable it never wrote, tore, or wrote
 * elsewhere; a read brings other bits. Everything follows from the seed. One thread.
 */
#ifndef ABAFT_TESTS_LOGDEV_SIM_H
#define ABAFT_TESTS_LOGDEV_SIM_H

#include <stdbool.h>
#include <stdint.h>

#include "dataplane/log/logdev.h"

struct sim_disk;

struct sim_disk *sim_disk_create(uint64_t seed);
void sim_disk_destroy(struct sim_disk *disk);

/* A device over the disk, as logdev_uring_create() gives over a directory. One at a time. */
struct logdev *sim_disk_logdev(struct sim_disk *disk);

/* Power is cut. The device in use is dead: log_close() then only frees memory. */
void sim_disk_power_cut(struct sim_disk *disk);
/* The process is killed: what was started ends or not, the cache stays. The device is dead. */
void sim_disk_kill(struct sim_disk *disk);

/* Called with each of these, after it: for what else lies on this disk (filedev_sim.h). */
void sim_disk_on_crash(struct sim_disk *disk, void (*fn)(void *arg, bool power), void *arg);

/* From now on: the count-th write or sync fails with what sim_disk_fault() said (0: never); new
 * segments fail with `error` (0: no more); a new segment only fits while all have at most `bytes`
 * bytes. */
void sim_disk_fail_write(struct sim_disk *disk, uint32_t count);
void sim_disk_fail_sync(struct sim_disk *disk, uint32_t count);
void sim_disk_fail_create(struct sim_disk *disk, int error);
void sim_disk_fault(struct sim_disk *disk, int error); /* default -EIO */
/* As long as `error` is not 0: no segment can be attached; none be removed or recycled. */
void sim_disk_fail_attach(struct sim_disk *disk, int error);
void sim_disk_fail_names(struct sim_disk *disk, int error);
/* The next recycling is cut by the power: 1: the file has neither name, 2: it has its old name and
 * some zeros, 3: all is done. The device is dead; sim_disk_power_cut() must follow. */
void sim_disk_cut_recycle(struct sim_disk *disk, uint32_t at);
void sim_disk_space(struct sim_disk *disk, uint64_t bytes);
/* From now on: the count-th fetch from this disk fails with EIO, or brings less than was asked for
 * (0: never); each fetch or read of this block of this segment fails with EIO (segment UINT32_MAX:
 * none).
 */
void sim_disk_fail_fetch(struct sim_disk *disk, uint32_t count);
void sim_disk_short_fetch(struct sim_disk *disk, uint32_t count);
void sim_disk_bad_block(struct sim_disk *disk, uint32_t number, uint32_t block);
/* Ticks (polls) that a write, sync or fetch takes, at most. Default 4; 0: done at the next poll. */
void sim_disk_delay(struct sim_disk *disk, uint32_t ticks_max);

enum sim_disk_lie {
	SIM_DISK_LOST,	    /* nothing is written */
	SIM_DISK_TORN,	    /* some of its sectors are */
	SIM_DISK_ELSEWHERE, /* it is written to another block of any segment, its own place is lost
			     */
	SIM_DISK_LIES,
};

/* From now on the count-th write (0: none) lies: it ends and is synced as if it were well. */
void sim_disk_lie(struct sim_disk *disk, enum sim_disk_lie lie, uint32_t count);
/* The count-th fetch from now on brings some wrong bits; the next one does not. */
void sim_disk_flip_fetch(struct sim_disk *disk, uint32_t count);
/* The device dies at the count-th read, sync, or making of a segment from now on (0: never): a
 * power cut or kill must follow. */
void sim_disk_die(struct sim_disk *disk, uint32_t count);
bool sim_disk_is_dead(const struct sim_disk *disk);

/* What really happened so far, of what was asked for. */
struct sim_disk_fired {
	uint64_t writes, syncs, creates, fetches, short_fetches, flipped_fetches, cut_recycles;
	uint64_t deaths, lies[SIM_DISK_LIES];
	uint64_t cut_writes; /* not durable when the power was cut */
};
const struct sim_disk_fired *sim_disk_fired(const struct sim_disk *disk);

/* Direct access for damage: the bytes of a segment, NULL when there is none. */
uint8_t *sim_disk_segment(struct sim_disk *disk, uint32_t number, uint64_t *bytes);
void sim_disk_flip(struct sim_disk *disk, uint32_t number, uint64_t bit);
void sim_disk_remove(struct sim_disk *disk, uint32_t number);
void sim_disk_rename(struct sim_disk *disk, uint32_t from, uint32_t to);
/* A segment with these bytes. */
void sim_disk_put(struct sim_disk *disk, uint32_t number, const uint8_t *data, uint64_t bytes);

/* The generator behind it: the next number below `limit`. */
uint64_t sim_random(uint64_t *state, uint64_t limit);

#endif
