/* SPDX-License-Identifier: Apache-2.0 */
/*
 * filedev_engine.c - checkpoints over a storage engine: pieces first, then the marker that makes
 * them a checkpoint (filedev.h, I1). A try that was given up leaves pieces, which the next create()
 * of any number removes. The keeper's thread; calls wait for the engine.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/remote/remote_impl.h"

/* Pieces that are written, and read, at a time. */
#define PIECES	    8
#define HANDLES_MAX 8

struct file {
	uint32_t number, attempt;
	uint64_t bytes;
	bool open;
};

struct filedev_engine {
	struct filedev dev;
	struct remote *remote;
	uint32_t piece_bytes;
	uint32_t attempts;
	struct file file;  /* being written */
	uint32_t gathered; /* bytes in `buffer` */
	uint8_t *buffer;   /* of PIECES pieces */
	struct file handle[HANDLES_MAX];
};

static struct filedev_engine *of(struct filedev *dev)
{
	return (struct filedev_engine *)dev;
}

struct found_files {
	uint32_t *numbers;
	size_t count, max;
};

static int found_file(void *arg, const char *leaf)
{
	struct found_files *found = arg;
	uint32_t number, attempt;
	uint64_t bytes;

	if (!remote_parse_checkpoint(leaf, &number, &attempt, &bytes))
		return -EBADMSG;
	/* Two tries of one number, when a marker's answer was lost: the same checkpoint twice. */
	if (found->count > 0 && found->numbers[found->count - 1] == number)
		return 0;
	if (found->count == found->max)
		return -E2BIG;
	found->numbers[found->count++] = number;
	return 0;
}

static int file_list(struct filedev *dev, uint32_t *numbers, size_t max)
{
	struct found_files found = {.numbers = numbers, .max = max};
	int error = remote_list(of(dev)->remote, "checkpoints", found_file, &found);

	return error ? error : (int)found.count;
}

static void piece_dir(uint32_t number, struct engine_name *name)
{
	remote_name_piece(name, number, 0, 0);
}

static int file_create(struct filedev *dev, uint32_t number)
{
	struct filedev_engine *device = of(dev);
	struct engine_name name;
	int error;

	if (device->file.open)
		return -EBUSY;
	/* What an earlier try at this number left; the keeper takes numbers in order. */
	piece_dir(number, &name);
	error = remote_clear(device->remote, name.dir, NULL, NULL);
	if (error)
		return error;
	device->file = (struct file){
		.number = number,
		.attempt = device->attempts++,
		.open = true,
	};
	device->gathered = 0;
	return 0;
}

/* Writes what was gathered: `file.bytes` counts it already. */
static int write_gathered(struct filedev_engine *device)
{
	struct engine_item items[PIECES] = {{.bytes = 0}};
	struct engine_op op = {.verb = ENGINE_PUT, .items = items};
	uint64_t first = (device->file.bytes - device->gathered) / device->piece_bytes;

	for (uint32_t at = 0; at < device->gathered; at += device->piece_bytes, op.count++) {
		struct engine_item *item = &items[op.count];
		uint32_t left = device->gathered - at;

		item->data = device->buffer + at;
		item->bytes = left < device->piece_bytes ? left : device->piece_bytes;
		remote_name_piece(&item->name, device->file.number, device->file.attempt,
				  (uint32_t)first + op.count);
	}
	device->gathered = 0;
	return op.count > 0 ? remote_call(device->remote, &op) : 0;
}

static int file_append(struct filedev *dev, const uint8_t *data, size_t bytes)
{
	struct filedev_engine *device = of(dev);
	uint32_t most = PIECES * device->piece_bytes;
	int error = 0;

	while (bytes > 0 && !error) {
		uint32_t room = most - device->gathered;
		uint32_t n = bytes < room ? (uint32_t)bytes : room;

		memcpy(device->buffer + device->gathered, data, n);
		device->gathered += n;
		device->file.bytes += n;
		data += n;
		bytes -= n;
		if (device->gathered == most)
			error = write_gathered(device);
	}
	return error;
}

static void file_abandon(struct filedev *dev)
{
	struct filedev_engine *device = of(dev);
	struct engine_name name;

	if (!device->file.open)
		return;
	device->file.open = false;
	piece_dir(device->file.number, &name);
	(void)!remote_clear(device->remote, name.dir, NULL, NULL); /* or the next create() does */
}

static int file_finish(struct filedev *dev)
{
	struct filedev_engine *device = of(dev);
	struct engine_item marker = {.bytes = 0};
	int error = write_gathered(device);

	if (error) {
		file_abandon(dev);
		return error;
	}
	remote_name_checkpoint(&marker.name, device->file.number, device->file.attempt,
			       device->file.bytes);
	error = remote_put_marker(device->remote, &marker.name);
	/* Its answer may be lost and the checkpoint there, and whole: its pieces stay unless the
	 * marker surely went. */
	if (error && remote_call_one(device->remote, ENGINE_DELETE, &marker) == 0)
		file_abandon(dev);
	device->file.open = false;
	return error;
}

struct wanted_file {
	uint32_t number;
	struct file file;
};

static int wanted_file(void *arg, const char *leaf)
{
	struct wanted_file *wanted = arg;
	struct file file = {.open = true};

	if (!remote_parse_checkpoint(leaf, &file.number, &file.attempt, &file.bytes))
		return -EBADMSG;
	if (file.number == wanted->number)
		wanted->file = file;
	return 0;
}

static int file_open(struct filedev *dev, uint32_t number, uint64_t *bytes)
{
	struct filedev_engine *device = of(dev);
	struct wanted_file wanted = {.number = number};
	int error = remote_list(device->remote, "checkpoints", wanted_file, &wanted);

	if (error)
		return error;
	if (!wanted.file.open)
		return -ENOENT;
	for (int i = 0; i < HANDLES_MAX; i++) {
		if (device->handle[i].open)
			continue;
		device->handle[i] = wanted.file;
		*bytes = wanted.file.bytes;
		return i;
	}
	return -EMFILE;
}

/* At most PIECES pieces; returns how many bytes were asked for. */
static uint32_t ask_pieces(const struct filedev_engine *device, const struct file *file,
			   uint8_t *to, size_t bytes, uint64_t offset, struct engine_op *op)
{
	uint32_t asked = 0;

	for (; op->count < PIECES && asked < bytes; op->count++) {
		struct engine_item *item = &op->items[op->count];
		uint32_t in = (uint32_t)((offset + asked) % device->piece_bytes);
		size_t left = bytes - asked;

		item->to = to + asked;
		item->offset = in;
		item->bytes = device->piece_bytes - in;
		item->bytes = left < item->bytes ? (uint32_t)left : item->bytes;
		remote_name_piece(&item->name, file->number, file->attempt,
				  (uint32_t)((offset + asked) / device->piece_bytes));
		asked += item->bytes;
	}
	return asked;
}

static ssize_t file_read(struct filedev *dev, int handle, uint8_t *to, size_t bytes,
			 uint64_t offset)
{
	struct filedev_engine *device = of(dev);
	const struct file *file = &device->handle[handle];
	size_t done = 0;

	if (offset >= file->bytes)
		return 0;
	if (bytes > file->bytes - offset)
		bytes = (size_t)(file->bytes - offset);
	while (done < bytes) {
		struct engine_item items[PIECES] = {{.bytes = 0}};
		struct engine_op op = {.verb = ENGINE_GET, .items = items};
		uint32_t asked =
			ask_pieces(device, file, to + done, bytes - done, offset + done, &op);
		int error = remote_call(device->remote, &op);

		if (error)
			return error == -ENOENT ? -EIO : error;
		for (uint32_t i = 0; i < op.count; i++)
			if (items[i].got < items[i].bytes)
				return -EIO;
		done += asked;
	}
	return (ssize_t)done;
}

static void file_close(struct filedev *dev, int handle)
{
	of(dev)->handle[handle].open = false;
}

struct gone_file {
	uint32_t number;
	bool found;
};

static bool of_number(void *arg, const char *leaf)
{
	struct gone_file *gone = arg;
	uint32_t number, attempt;
	uint64_t bytes;

	if (!remote_parse_checkpoint(leaf, &number, &attempt, &bytes) || number != gone->number)
		return false;
	gone->found = true;
	return true;
}

/* The markers first: pieces without one are nothing. */
static int file_remove(struct filedev *dev, uint32_t number)
{
	struct filedev_engine *device = of(dev);
	struct gone_file gone = {.number = number};
	struct engine_name name;
	int error = remote_clear(device->remote, "checkpoints", of_number, &gone);

	if (error)
		return error;
	piece_dir(number, &name);
	error = remote_clear(device->remote, name.dir, NULL, NULL);
	return error || gone.found ? error : -ENOENT;
}

static void file_destroy(struct filedev *dev)
{
	file_abandon(dev);
	free(of(dev)->buffer);
	free(dev);
}

static const struct filedev_ops ops = {
	.list = file_list,
	.create = file_create,
	.append = file_append,
	.finish = file_finish,
	.abandon = file_abandon,
	.open = file_open,
	.read = file_read,
	.close = file_close,
	.remove = file_remove,
	.destroy = file_destroy,
};

int remote_filedev(struct remote *remote, struct filedev **out)
{
	struct filedev_engine *device = calloc(1, sizeof(*device));

	if (!device)
		return -ENOMEM;
	device->dev.ops = &ops;
	device->remote = remote;
	device->piece_bytes = remote->part_bytes / ABAFT_LOG_BLOCK_BYTES * ABAFT_LOG_BLOCK_BYTES;
	if (device->piece_bytes > REMOTE_PIECE_BYTES)
		device->piece_bytes = REMOTE_PIECE_BYTES;
	/* Tries of different processes must differ, too. */
	memcpy(&device->attempts, remote->writer, sizeof(device->attempts));
	device->buffer = malloc((size_t)PIECES * device->piece_bytes);
	if (!device->buffer) {
		free(device);
		return -ENOMEM;
	}
	*out = &device->dev;
	return 0;
}
