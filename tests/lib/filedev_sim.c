/* SPDX-License-Identifier: Apache-2.0 */
/* filedev_sim.c - see filedev_sim.h. Out of memory aborts: it is a test. */
#include "tests/lib/filedev_sim.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "tests/lib/logdev_sim.h"

#define FILES_MAX    80
#define SECTOR_BYTES 512
#define BLOCK_BYTES  4096

enum state {
	FILE_NONE,
	FILE_MAKING,
	FILE_THERE,
	FILE_REMOVED, /* not seen any more, but a power cut may bring it back */
};

struct sim_file {
	enum state state;
	uint32_t number;
	uint8_t *data;
	uint64_t bytes;
	uint64_t block; /* where the append before the last one went */
};

struct sim_files {
	struct filedev dev;
	struct sim_disk *disk;
	bool dead; /* the process that used the device is gone */
	bool cut_in_finish;
	uint64_t random;
	uint64_t space;
	uint32_t fail[SIM_FILE_CALLS];
	int error[SIM_FILE_CALLS];
	enum sim_file_lie lie;
	uint32_t lie_count;
	uint64_t lies, failures;
	struct sim_file file[FILES_MAX];
};

static struct sim_files *of(struct filedev *dev)
{
	return (struct sim_files *)dev;
}

static void *must(void *memory)
{
	if (!memory)
		abort();
	return memory;
}

static struct sim_file *find(struct sim_files *files, enum state state, uint32_t number)
{
	for (uint32_t i = 0; i < FILES_MAX; i++)
		if (files->file[i].state == state &&
		    (state == FILE_MAKING || files->file[i].number == number))
			return &files->file[i];
	return NULL;
}

static struct sim_file *make(struct sim_files *files, enum state state, uint32_t number)
{
	struct sim_file *file = must(find(files, FILE_NONE, 0));

	*file = (struct sim_file){.state = state, .number = number};
	return file;
}

static void forget(struct sim_file *file)
{
	free(file->data);
	memset(file, 0, sizeof(*file));
}

static bool counts_down(uint32_t *count)
{
	return *count && --*count == 0;
}

/* What the call shall fail with, or 0. */
static int fails(struct sim_files *files, enum sim_file_call call)
{
	if (files->dead)
		return -EIO;
	if (!counts_down(&files->fail[call]))
		return 0;
	files->failures++;
	return files->error[call];
}

static int sim_list(struct filedev *dev, uint32_t *numbers, size_t max)
{
	struct sim_files *files = of(dev);
	int error = fails(files, SIM_FILE_LIST);
	size_t count = 0;

	for (uint32_t i = 0; i < FILES_MAX && !error; i++) {
		if (files->file[i].state != FILE_THERE)
			continue;
		if (count < max)
			numbers[count] = files->file[i].number;
		count++;
	}
	return error ? error : count > max ? -E2BIG : (int)count;
}

static int sim_create(struct filedev *dev, uint32_t number)
{
	struct sim_files *files = of(dev);
	int error = fails(files, SIM_FILE_CREATE);

	if (error)
		return error;
	if (find(files, FILE_MAKING, 0))
		abort(); /* one at a time */
	make(files, FILE_MAKING, number);
	return 0;
}

static uint64_t used(const struct sim_files *files)
{
	uint64_t bytes = 0;

	for (uint32_t i = 0; i < FILES_MAX; i++)
		bytes += files->file[i].bytes;
	return bytes;
}

/* The sectors that arrive. */
static void write_torn(struct sim_files *files, uint8_t *to, const uint8_t *data, size_t bytes)
{
	uint64_t cut = sim_random(&files->random, bytes / SECTOR_BYTES);

	memcpy(to, data, cut * SECTOR_BYTES);
}

static int sim_append(struct filedev *dev, const uint8_t *data, size_t bytes)
{
	struct sim_files *files = of(dev);
	int error = fails(files, SIM_FILE_APPEND);
	struct sim_file *file;
	uint64_t at;
	bool lies;

	if (bytes == 0 || bytes % BLOCK_BYTES != 0 || (uintptr_t)data % BLOCK_BYTES != 0)
		abort();
	if (!error && files->space && used(files) + bytes > files->space)
		error = -ENOSPC;
	if (error)
		return error;
	file = must(find(files, FILE_MAKING, 0));
	at = file->bytes;
	file->data = must(realloc(file->data, at + bytes));
	file->bytes += bytes;
	memset(file->data + at, 0, bytes);
	lies = counts_down(&files->lie_count);
	files->lies += lies;
	if (!lies) {
		memcpy(file->data + at, data, bytes);
	} else if (files->lie == SIM_FILE_TORN) {
		write_torn(files, file->data + at, data, bytes);
	} else if (files->lie == SIM_FILE_ELSEWHERE) {
		if (file->block + bytes > file->bytes)
			abort();
		memcpy(file->data + file->block, data, bytes);
	}
	file->block = at;
	return 0;
}

static void sim_abandon(struct filedev *dev)
{
	struct sim_file *file = find(of(dev), FILE_MAKING, 0);

	if (file)
		forget(file);
}

static int sim_finish(struct filedev *dev)
{
	struct sim_files *files = of(dev);
	int error = fails(files, SIM_FILE_FINISH);
	struct sim_file *file, *old;

	if (error) {
		sim_abandon(dev);
		return error;
	}
	file = must(find(files, FILE_MAKING, 0));
	if (files->cut_in_finish && sim_random(&files->random, 2)) {
		sim_files_power_cut(files);
		return -EIO;
	}
	old = find(files, FILE_THERE, file->number);
	if (old)
		forget(old);
	file->state = FILE_THERE;
	if (files->cut_in_finish) {
		sim_files_power_cut(files);
		return -EIO;
	}
	for (uint32_t i = 0; i < FILES_MAX; i++)
		if (files->file[i].state == FILE_REMOVED)
			forget(&files->file[i]);
	return 0;
}

static int sim_open(struct filedev *dev, uint32_t number, uint64_t *bytes)
{
	struct sim_files *files = of(dev);
	int error = fails(files, SIM_FILE_OPEN);
	struct sim_file *file = find(files, FILE_THERE, number);

	if (error || !file)
		return error ? error : -ENOENT;
	*bytes = file->bytes;
	return (int)(file - files->file);
}

static ssize_t sim_read(struct filedev *dev, int handle, uint8_t *to, size_t bytes, uint64_t offset)
{
	struct sim_files *files = of(dev);
	const struct sim_file *file = &files->file[handle];
	int error = fails(files, SIM_FILE_READ);

	if (error)
		return error;
	if (bytes % BLOCK_BYTES != 0 || offset % BLOCK_BYTES != 0 || (uintptr_t)to % BLOCK_BYTES)
		abort();
	if (offset >= file->bytes)
		return 0;
	if (bytes > file->bytes - offset)
		bytes = (size_t)(file->bytes - offset);
	memcpy(to, file->data + offset, bytes);
	return (ssize_t)bytes;
}

static void sim_close(struct filedev *dev, int handle)
{
}

static int sim_remove(struct filedev *dev, uint32_t number)
{
	struct sim_files *files = of(dev);
	int error = fails(files, SIM_FILE_REMOVE);
	struct sim_file *file = find(files, FILE_THERE, number);

	if (error || !file)
		return error ? error : -ENOENT;
	file->state = FILE_REMOVED;
	return 0;
}

static void sim_destroy(struct filedev *dev)
{
	sim_abandon(dev);
}

static const struct filedev_ops sim_ops = {
	.list = sim_list,
	.create = sim_create,
	.append = sim_append,
	.finish = sim_finish,
	.abandon = sim_abandon,
	.open = sim_open,
	.read = sim_read,
	.close = sim_close,
	.remove = sim_remove,
	.destroy = sim_destroy,
};

static void crash(void *arg, bool power)
{
	struct sim_files *files = arg;

	files->dead = true;
	files->cut_in_finish = false;
	for (uint32_t i = 0; i < FILES_MAX; i++) {
		struct sim_file *file = &files->file[i];

		if (file->state == FILE_MAKING)
			forget(file);
		if (!power || file->state != FILE_REMOVED)
			continue;
		if (sim_random(&files->random, 2) && !find(files, FILE_THERE, file->number))
			file->state = FILE_THERE;
		else
			forget(file);
	}
}

struct sim_files *sim_files_create(struct sim_disk *disk, uint64_t seed)
{
	struct sim_files *files = must(calloc(1, sizeof(*files)));

	files->dev.ops = &sim_ops;
	files->random = seed;
	files->disk = disk;
	if (disk)
		sim_disk_on_crash(disk, crash, files);
	return files;
}

void sim_files_destroy(struct sim_files *files)
{
	if (files->disk)
		sim_disk_on_crash(files->disk, NULL, NULL);
	for (uint32_t i = 0; i < FILES_MAX; i++)
		forget(&files->file[i]);
	free(files);
}

struct filedev *sim_files_filedev(struct sim_files *files)
{
	files->dead = false;
	return &files->dev;
}

void sim_files_power_cut(struct sim_files *files)
{
	crash(files, true);
}

void sim_files_kill(struct sim_files *files)
{
	crash(files, false);
}

bool sim_files_is_dead(const struct sim_files *files)
{
	return files->dead;
}

void sim_files_fail(struct sim_files *files, enum sim_file_call call, uint32_t count, int error)
{
	files->fail[call] = count;
	files->error[call] = error;
}

void sim_files_lie(struct sim_files *files, enum sim_file_lie lie, uint32_t count)
{
	files->lie = lie;
	files->lie_count = count;
}

uint64_t sim_files_lies(const struct sim_files *files)
{
	return files->lies;
}

uint64_t sim_files_failures(const struct sim_files *files)
{
	return files->failures;
}

void sim_files_space(struct sim_files *files, uint64_t bytes)
{
	files->space = bytes;
}

void sim_files_cut_in_finish(struct sim_files *files)
{
	files->cut_in_finish = true;
}

uint8_t *sim_files_bytes(struct sim_files *files, uint32_t number, uint64_t *bytes)
{
	struct sim_file *file = find(files, FILE_THERE, number);

	if (!file)
		return NULL;
	*bytes = file->bytes;
	return file->data;
}

void sim_files_put(struct sim_files *files, uint32_t number, const uint8_t *data, uint64_t bytes)
{
	struct sim_file *file = find(files, FILE_THERE, number);

	if (file)
		forget(file);
	file = make(files, FILE_THERE, number);
	file->bytes = bytes;
	file->data = must(malloc(bytes + 1));
	memcpy(file->data, data, bytes);
}
