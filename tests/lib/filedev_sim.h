/* SPDX-License-Identifier: Apache-2.0 */
/*
 * filedev_sim.h - checkpoint files on the simulated disk of logdev_sim.h: a power cut or a kill
 * there hits them, too.
 *
 * A file that is not finished goes with a crash; one that was removed may come back with a power
 * cut, until the next one is finished. Beyond that the disk may lie as filedev.h (I2) says: what it
 * took it may have lost, torn, or written elsewhere. Everything follows from the seed. One thread.
 */
#ifndef ABAFT_TESTS_FILEDEV_SIM_H
#define ABAFT_TESTS_FILEDEV_SIM_H

#include <stdbool.h>
#include <stdint.h>

#include "dataplane/log/filedev.h"

struct sim_disk;
struct sim_files;

enum sim_file_call {
	SIM_FILE_LIST,
	SIM_FILE_CREATE,
	SIM_FILE_APPEND,
	SIM_FILE_FINISH,
	SIM_FILE_OPEN,
	SIM_FILE_READ,
	SIM_FILE_REMOVE,
	SIM_FILE_CALLS,
};

enum sim_file_lie {
	SIM_FILE_LOST,	    /* nothing is written: zeros, or what stood there */
	SIM_FILE_TORN,	    /* some of its sectors are */
	SIM_FILE_ELSEWHERE, /* it is written over the block before, and its own place is lost */
};

/* `disk` may be NULL. Destroy the files first. */
struct sim_files *sim_files_create(struct sim_disk *disk, uint64_t seed);
void sim_files_destroy(struct sim_files *files);
/* A device over the files, as filedev_dir_create() gives over a directory: also after a crash. */
struct filedev *sim_files_filedev(struct sim_files *files);
/* As by the disk's. */
void sim_files_power_cut(struct sim_files *files);
void sim_files_kill(struct sim_files *files);

/* They crashed, perhaps by sim_files_cut_in_finish(), and nobody has used them since. */
bool sim_files_is_dead(const struct sim_files *files);

/* From now on: the count-th call fails with `error` (0: never); the count-th append lies; the disk
 * has no room for more than `bytes` bytes of files (0: no bound). */
void sim_files_fail(struct sim_files *files, enum sim_file_call call, uint32_t count, int error);
void sim_files_lie(struct sim_files *files, enum sim_file_lie lie, uint32_t count);
/* Appends that lied so far, and calls that failed on demand. */
uint64_t sim_files_lies(const struct sim_files *files);
uint64_t sim_files_failures(const struct sim_files *files);
void sim_files_space(struct sim_files *files, uint64_t bytes);
/* Power is cut within the next finish: the file has its name or not, and is whole if it has. */
void sim_files_cut_in_finish(struct sim_files *files);

/* Direct access for damage: the bytes of a file, NULL when there is none. */
uint8_t *sim_files_bytes(struct sim_files *files, uint32_t number, uint64_t *bytes);
/* A file with these bytes. */
void sim_files_put(struct sim_files *files, uint32_t number, const uint8_t *data, uint64_t bytes);

#endif
