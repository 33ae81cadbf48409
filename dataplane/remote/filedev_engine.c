/* SPDX-License-Identifier: Apache-2.0 */
/*
 * filedev_engine.c - checkpoints over a storage engine: pieces first, then the marker that makes
 * them a checkpoint (filedev.h, I1). The keeper's thread; calls wait for the engine.
 *
 * C1. A try is named by its number and by the incarnation of the kept log that its writer opened,
 *     which is the order in which writers shut one another out.
 * C2. Of two checkpoints that of the lower incarnation does not count if its number is not below
 *     the other's: who was shut out has made it, and may know nothing of what was cleaned since.
 * C3. Who has opened the kept log neither sees nor removes what is of a higher incarnation: it is
 *     shut out, and does not know it yet.
 * C4. Pieces without a marker go before the number behind theirs, or their own, is made.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/remote/remote_impl.h"

/* Pieces that are written, and read, at a time. */
#define PIECES	    8
#define HANDLES_MAX 8
/* Markers there may be: the node's own few, and those of who was shut out. */
#define MARKERS_MAX 4096

struct file {
	uint32_t number, incarnation;
	uint64_t bytes;
	bool open;
};

struct filedev_engine {
	struct filedev dev;
	struct remote *remote;
	uint32_t piece_bytes;
	uint32_t unclean;  /* pieces of numbers from this one on may be there (C4); 0: of none */
	struct file file;  /* being written */
	uint32_t gathered; /* bytes in `buffer` */
	uint8_t *buffer;   /* of PIECES pieces */
	struct file handle[HANDLES_MAX];
};

static struct filedev_engine *of(struct filedev *dev)
{
	return (struct filedev_engine *)dev;
}

/* 0: the kept log is not open. */
static uint32_t own_incarnation(const struct filedev_engine *device)
{
	return atomic_load(&device->remote->log[ABAFT_LOG_KEPT].incarnation);
}

/* C3. */
static bool is_ours(const struct filedev_engine *device, uint32_t incarnation)
{
	uint32_t own = own_incarnation(device);

	return own == 0 || incarnation <= own;
}

/* All markers that are ours, by number and incarnation. */
struct markers {
	const struct filedev_engine *device;
	uint32_t count;
	struct file marker[MARKERS_MAX];
};

static int note_marker(void *arg, const char *leaf)
{
	struct markers *markers = arg;
	struct file *file = &markers->marker[markers->count];

	if (markers->count == MARKERS_MAX)
		return -E2BIG;
	if (!remote_parse_checkpoint(leaf, &file->number, &file->incarnation, &file->bytes))
		return -EBADMSG;
	markers->count += is_ours(markers->device, file->incarnation);
	return 0;
}

/* To be freed. */
static int find_markers(const struct filedev_engine *device, struct markers **out)
{
	struct markers *markers = malloc(sizeof(*markers));
	int error;

	if (!markers)
		return -ENOMEM;
	markers->device = device;
	markers->count = 0;
	error = remote_list(device->remote, "checkpoints", note_marker, markers);
	if (error)
		free(markers);
	else
		*out = markers;
	return error;
}

/* C2. */
static bool counts(const struct markers *markers, const struct file *file)
{
	for (uint32_t i = 0; i < markers->count; i++)
		if (markers->marker[i].number <= file->number &&
		    markers->marker[i].incarnation > file->incarnation)
			return false;
	return true;
}

static int file_list(struct filedev *dev, uint32_t *numbers, size_t max)
{
	struct markers *markers;
	int error = find_markers(of(dev), &markers);
	size_t count = 0;

	if (error)
		return error;
	for (uint32_t i = 0; i < markers->count && !error; i++) {
		if (!counts(markers, &markers->marker[i]))
			continue;
		if (count == max)
			error = -E2BIG;
		else
			numbers[count++] = markers->marker[i].number;
	}
	free(markers);
	return error ? error : (int)count;
}

static int remove_marker(struct filedev_engine *device, const struct file *file)
{
	struct engine_item item = {.bytes = 0};

	remote_name_checkpoint(&item.name, file->number, file->incarnation, file->bytes);
	return remote_call_one(device->remote, ENGINE_DELETE, &item);
}

/* Which pieces of a number go: ours, but for those of which there is a marker. */
struct gone {
	const struct filedev_engine *device;
	const struct markers *markers; /* NULL: none is spared */
	uint32_t number;
};

static bool goes(void *arg, const char *leaf)
{
	const struct gone *gone = arg;
	uint32_t incarnation, piece;

	if (!remote_parse_piece(leaf, &incarnation, &piece) || !is_ours(gone->device, incarnation))
		return false;
	for (uint32_t i = 0; gone->markers && i < gone->markers->count; i++)
		if (gone->markers->marker[i].number == gone->number &&
		    gone->markers->marker[i].incarnation == incarnation)
			return false;
	return true;
}

static int remove_pieces(struct filedev_engine *device, uint32_t number,
			 const struct markers *markers)
{
	struct gone gone = {.device = device, .markers = markers, .number = number};
	struct engine_name name;

	remote_name_piece(&name, number, 0, 0);
	return remote_clear(device->remote, name.dir, goes, &gone);
}

/* C2: those that do not count, and never will. */
static int remove_stale(struct filedev_engine *device, struct markers *markers)
{
	uint32_t i = 0;
	int error = 0;

	while (i < markers->count && !error) {
		const struct file file = markers->marker[i];

		if (counts(markers, &file)) {
			i++;
			continue;
		}
		error = remove_marker(device, &file);
		markers->marker[i] = markers->marker[--markers->count];
		if (!error)
			error = remove_pieces(device, file.number, markers);
	}
	return error;
}

/* C4. The range is as long as tries in a row have failed. */
static int clean_up(struct filedev_engine *device, uint32_t number)
{
	struct markers *markers;
	int error = find_markers(device, &markers);

	if (error)
		return error;
	if (own_incarnation(device) > 0)
		error = remove_stale(device, markers);
	if (!device->unclean || device->unclean > number)
		device->unclean = number;
	while (!error && device->unclean <= number) {
		error = remove_pieces(device, device->unclean, markers);
		device->unclean += error == 0;
	}
	free(markers);
	return error;
}

static int file_create(struct filedev *dev, uint32_t number)
{
	struct filedev_engine *device = of(dev);
	int error;

	if (device->file.open)
		return -EBUSY;
	error = clean_up(device, number);
	if (error)
		return error;
	device->file = (struct file){
		.number = number,
		.incarnation = own_incarnation(device),
		.open = true,
	};
	device->unclean = number;
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
		remote_name_piece(&item->name, device->file.number, device->file.incarnation,
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

	if (!device->file.open)
		return;
	device->file.open = false;
	if (remove_pieces(device, device->file.number, NULL) == 0)
		device->unclean = 0;
}

static int file_finish(struct filedev *dev)
{
	struct filedev_engine *device = of(dev);
	struct engine_name name;
	int error = write_gathered(device);

	if (error) {
		file_abandon(dev);
		return error;
	}
	remote_name_checkpoint(&name, device->file.number, device->file.incarnation,
			       device->file.bytes);
	error = remote_put_marker(device->remote, &name);
	device->file.open = false;
	if (!error)
		device->unclean = 0;
	else /* it may be there, or come yet: so its pieces stay until the next create() */
		(void)!remove_marker(device, &device->file);
	return error;
}

static int file_open(struct filedev *dev, uint32_t number, uint64_t *bytes)
{
	struct filedev_engine *device = of(dev);
	struct file file = {.open = false};
	struct markers *markers;
	int error = find_markers(device, &markers);

	if (error)
		return error;
	for (uint32_t i = 0; i < markers->count; i++)
		if (markers->marker[i].number == number && counts(markers, &markers->marker[i])) {
			file = markers->marker[i];
			file.open = true;
		}
	free(markers);
	if (!file.open)
		return -ENOENT;
	for (int i = 0; i < HANDLES_MAX; i++) {
		if (device->handle[i].open)
			continue;
		device->handle[i] = file;
		*bytes = file.bytes;
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
		remote_name_piece(&item->name, file->number, file->incarnation,
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

/* The markers first: pieces without one are nothing. */
static int file_remove(struct filedev *dev, uint32_t number)
{
	struct filedev_engine *device = of(dev);
	struct markers *markers;
	bool found = false;
	int error = find_markers(device, &markers);

	if (error)
		return error;
	for (uint32_t i = 0; i < markers->count && !error; i++) {
		if (markers->marker[i].number != number)
			continue;
		found = true;
		error = remove_marker(device, &markers->marker[i]);
	}
	free(markers);
	if (!error)
		error = remove_pieces(device, number, NULL);
	return error || found ? error : -ENOENT;
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
	device->buffer = malloc((size_t)PIECES * device->piece_bytes);
	if (!device->buffer) {
		free(device);
		return -ENOMEM;
	}
	*out = &device->dev;
	return 0;
}
