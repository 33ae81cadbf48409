/* SPDX-License-Identifier: Apache-2.0 */
/*
 * logdev_uring.c - the real device: a directory of files, O_DIRECT, io_uring. See logdev.h.
 *
 * A write with `dsync` is one request, RWF_DSYNC. That takes less of disk and kernel where a core
 * is free for the kernel's own threads, and milliseconds where pollers have them all: hence a
 * choice.
 *
 * Any other write is a chain of two: write, then fdatasync, linked, so that the sync begins when
 * the write has ended. Several fly at once. Files and buffers are registered.
 *
 * I1. The lock of the directory is an open file description that the ring holds as well (it is
 *     registered), so it lasts until the kernel has ended the last write, also after kill -9.
 * I2. A write that went well leaves no completion, only its sync does; one that failed leaves its
 *     own and the sync none (CQE_SKIP_SUCCESS). So each chain has exactly one completion. But where
 *     files have a largest length (RLIMIT_FSIZE) both leave one: the kernel (6.18) may cut a write
 *     off there, finish the nothing that is left of it in another thread, and call that a success.
 * I3. The ring's own descriptor wakes a sleeper. With COOP_TASKRUN the kernel interrupts a poll()
 *     to go on with a chain, but not a busy owner: it marks the ring, and uring_poll() enters.
 * I4. Reads are single entries outside of any chain, of plain descriptors, which may be another
 *     log's. Their user_data has LOGDEV_FETCH set. The kernel takes its own hold of the file when a
 *     read is submitted.
 * (With DEFER_TASKRUN poll() would not wake for work that is not yet a completion.)
 */
#include "dataplane/log/logdev.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <liburing.h>

#include <abaft/limits.h>

#include "dataplane/log/direct.h"
#include "dataplane/log/segment.h"

#define BUFFERS_MAX  8
#define READS_MAX    ABAFT_READS_IN_FLIGHT
/* Two entries for each write, one for each read, and room to spare. */
#define RING_ENTRIES 64
_Static_assert(2 * BUFFERS_MAX + READS_MAX <= RING_ENTRIES, "a free entry is always found");
#define ZERO_BYTES    (1u << 20)
/* How long the writes of a killed predecessor may take to end. */
#define LOCK_WAIT_MS  10000
#define LOCK_RETRY_MS 2

struct pending {
	uint64_t tag;
	uint32_t bytes;
	bool both;   /* the sync's completion is to come, too */
	int written; /* what the write's said */
};

struct logdev_uring {
	struct logdev dev;
	int dir_fd; /* holds the lock */
	bool ring_made;
	bool fixed_buffers;
	bool fixed_reads;
	bool limited; /* I2 */
	struct io_uring ring;
	uint32_t buffers; /* for writes; those for reads are behind them */
	struct iovec iov[BUFFERS_MAX + READS_MAX];
	struct pending pending[BUFFERS_MAX];
	uint64_t fetch_tag[READS_MAX];
};

static struct logdev_uring *of(struct logdev *dev)
{
	return (struct logdev_uring *)dev;
}

static int uring_list(struct logdev *dev, uint32_t *numbers, size_t max)
{
	return direct_list(of(dev)->dir_fd, segment_name_parse, numbers, max);
}

/* At the file's beginning; durable when it returns 0. */
static int put_zeros(int fd, uint64_t bytes)
{
	uint8_t *zeros;
	int error;

	if (posix_memalign((void **)&zeros, ABAFT_LOG_BLOCK_BYTES, ZERO_BYTES))
		return -ENOMEM;
	memset(zeros, 0, ZERO_BYTES);
	error = 0;
	for (uint64_t at = 0; at < bytes && !error;) {
		size_t chunk = bytes - at < ZERO_BYTES ? (size_t)(bytes - at) : ZERO_BYTES;
		ssize_t written = pwrite(fd, zeros, chunk, (off_t)at);

		if (written < 0 && errno != EINTR)
			error = -errno;
		else if (written > 0)
			at += (uint64_t)written;
	}
	free(zeros);
	if (!error && fsync(fd) < 0)
		error = -errno;
	return error;
}

static int write_zeros(int fd, uint64_t bytes)
{
	/* First the space, so that a full disk shows at once and the file lies in one piece. */
	if (fallocate(fd, 0, 0, (off_t)bytes) < 0 && errno != EOPNOTSUPP)
		return -errno;
	return put_zeros(fd, bytes);
}

static void segment_name_new(char name[SEGMENT_NAME_BYTES + 4], uint32_t number)
{
	segment_name(name, number);
	memcpy(name + strlen(name), ".new", 5);
}

static int uring_create(struct logdev *dev, uint32_t number, uint64_t bytes)
{
	int dir_fd = of(dev)->dir_fd;
	char name[SEGMENT_NAME_BYTES];
	char name_new[SEGMENT_NAME_BYTES + 4];
	int fd, error;

	segment_name(name, number);
	segment_name_new(name_new, number);
	fd = direct_open(dir_fd, name_new, O_RDWR | O_CREAT | O_TRUNC);
	if (fd < 0)
		return fd;
	error = write_zeros(fd, bytes);
	close(fd);
	if (!error && renameat(dir_fd, name_new, dir_fd, name) < 0)
		error = -errno;
	if (!error && fsync(dir_fd) < 0)
		error = -errno;
	if (error)
		unlinkat(dir_fd, name_new, 0);
	return error;
}

static int uring_open(struct logdev *dev, uint32_t number, uint64_t *bytes)
{
	char name[SEGMENT_NAME_BYTES];
	int fd;

	segment_name(name, number);
	fd = direct_open(of(dev)->dir_fd, name, O_RDWR);
	if (fd == -EACCES || fd == -EROFS)
		fd = direct_open(of(dev)->dir_fd, name, O_RDONLY);
	return direct_length(fd, bytes);
}

static void uring_close(struct logdev *dev, int handle)
{
	close(handle);
}

static ssize_t uring_read(struct logdev *dev, int handle, uint8_t *to, size_t bytes,
			  uint64_t offset)
{
	return direct_read(handle, to, bytes, offset);
}

static int uring_sync(struct logdev *dev, int handle)
{
	return fdatasync(handle) < 0 ? -errno : 0;
}

static int uring_sync_names(struct logdev *dev)
{
	return fsync(of(dev)->dir_fd) < 0 ? -errno : 0;
}

static int uring_remove(struct logdev *dev, uint32_t number)
{
	char name[SEGMENT_NAME_BYTES];

	segment_name(name, number);
	return unlinkat(of(dev)->dir_fd, name, 0) < 0 ? -errno : 0;
}

static int zero_first(int dir_fd, const char *name)
{
	int fd = direct_open(dir_fd, name, O_RDWR), error;

	if (fd < 0)
		return fd;
	error = put_zeros(fd, ABAFT_LOG_BLOCK_BYTES);
	close(fd);
	return error;
}

/* Between the two names the file is no part of the log, whatever has become of its first block. */
static int uring_recycle(struct logdev *dev, uint32_t from, uint32_t to)
{
	int dir_fd = of(dev)->dir_fd, error;
	char name[SEGMENT_NAME_BYTES], name_new[SEGMENT_NAME_BYTES + 4];

	segment_name(name, from);
	segment_name_new(name_new, to);
	if (renameat(dir_fd, name, dir_fd, name_new) < 0)
		return -errno;
	segment_name(name, to);
	error = zero_first(dir_fd, name_new);
	if (!error && renameat(dir_fd, name_new, dir_fd, name) < 0)
		error = -errno;
	if (!error && fsync(dir_fd) < 0)
		error = -errno;
	if (error)
		unlinkat(dir_fd, name_new, 0);
	return error;
}

/* The best set-up the kernel has: 5.19, or older. */
static int make_ring(struct logdev_uring *uring)
{
	static const unsigned int flags[] = {
		IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG,
		0,
	};
	int error = -EINVAL;

	for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]) && error == -EINVAL; i++)
		error = io_uring_queue_init(RING_ENTRIES, &uring->ring, flags[i]);
	uring->ring_made = error == 0;
	if (!error && !(uring->ring.features & IORING_FEAT_CQE_SKIP))
		error = -EOPNOTSUPP; /* Linux before 5.17 */
	return error;
}

/* Registers the first `count` buffers. Beyond RLIMIT_MEMLOCK they stay unregistered (*done): the
 * kernel then pins them for each read and write. */
static int register_buffers(struct logdev_uring *uring, uint32_t count, bool *done)
{
	int error = count ? io_uring_register_buffers(&uring->ring, uring->iov, count) : 0;

	*done = error == 0;
	return error == -ENOMEM || error == -EPERM ? 0 : error;
}

static int uring_start(struct logdev *dev, uint8_t *const *buffers, uint32_t count, uint32_t bytes)
{
	struct logdev_uring *uring = of(dev);
	int files[LOGDEV_SLOTS + 1];
	struct rlimit limit;
	int error;

	if (count > BUFFERS_MAX)
		return -EINVAL;
	uring->limited = getrlimit(RLIMIT_FSIZE, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY;
	if (uring->ring_made) { /* it was started before, for reading */
		io_uring_queue_exit(&uring->ring);
		uring->ring_made = false;
	}
	error = make_ring(uring);
	if (error)
		return error;
	for (uint32_t i = 0; i < LOGDEV_SLOTS; i++)
		files[i] = -1;
	files[LOGDEV_SLOTS] = uring->dir_fd; /* I1 */
	error = io_uring_register_files(&uring->ring, files, LOGDEV_SLOTS + 1);
	if (error)
		return error;
	uring->buffers = count;
	for (uint32_t i = 0; i < count; i++)
		uring->iov[i] = (struct iovec){.iov_base = buffers[i], .iov_len = bytes};
	return register_buffers(uring, count, &uring->fixed_buffers);
}

/* All are registered anew, as a ring has one table of buffers; nothing is in flight yet. */
static int uring_start_reads(struct logdev *dev, uint8_t *const *buffers, uint32_t count,
			     uint32_t bytes)
{
	struct logdev_uring *uring = of(dev);
	int error;

	if (count > READS_MAX)
		return -EINVAL;
	for (uint32_t i = 0; i < count; i++)
		uring->iov[uring->buffers + i] =
			(struct iovec){.iov_base = buffers[i], .iov_len = bytes};
	if (!uring->fixed_buffers)
		return 0;
	error = uring->buffers ? io_uring_unregister_buffers(&uring->ring) : 0;
	if (error)
		return error;
	error = register_buffers(uring, uring->buffers + count, &uring->fixed_reads);
	if (error || uring->fixed_reads)
		return error;
	return register_buffers(uring, uring->buffers, &uring->fixed_buffers);
}

static int uring_attach(struct logdev *dev, uint32_t slot, int handle)
{
	int done = io_uring_register_files_update(&of(dev)->ring, slot, &handle, 1);

	return done == 1 ? 0 : done < 0 ? done : -EIO;
}

static void uring_write(struct logdev *dev, const struct logdev_write *write)
{
	struct logdev_uring *uring = of(dev);
	uint8_t *from = uring->iov[write->buffer].iov_base;
	struct io_uring_sqe *sqe = io_uring_get_sqe(&uring->ring);
	int slot = (int)write->slot;

	uring->pending[write->buffer] = (struct pending){
		.tag = write->tag,
		.bytes = write->bytes,
	};
	if (uring->fixed_buffers)
		io_uring_prep_write_fixed(sqe, slot, from, write->bytes, write->offset,
					  (int)write->buffer);
	else
		io_uring_prep_write(sqe, slot, from, write->bytes, write->offset);
	sqe->flags = IOSQE_FIXED_FILE;
	io_uring_sqe_set_data64(sqe, write->buffer * 2);
	if (!write->sync)
		return;
	if (write->dsync) {
		sqe->rw_flags = RWF_DSYNC;
		return;
	}
	sqe->flags |= IOSQE_IO_LINK;
	if (!uring->limited)
		sqe->flags |= IOSQE_CQE_SKIP_SUCCESS;
	uring->pending[write->buffer].both = uring->limited;
	sqe = io_uring_get_sqe(&uring->ring);
	io_uring_prep_fsync(sqe, slot, IORING_FSYNC_DATASYNC);
	sqe->flags = IOSQE_FIXED_FILE;
	io_uring_sqe_set_data64(sqe, write->buffer * 2 + 1);
}

static void uring_fetch(struct logdev *dev, const struct logdev_fetch *fetch)
{
	struct logdev_uring *uring = of(dev);
	uint32_t index = uring->buffers + fetch->buffer;
	uint8_t *to = uring->iov[index].iov_base;
	struct io_uring_sqe *sqe = io_uring_get_sqe(&uring->ring);

	uring->fetch_tag[fetch->buffer] = fetch->tag;
	if (uring->fixed_reads)
		io_uring_prep_read_fixed(sqe, fetch->handle, to, fetch->bytes, fetch->offset,
					 (int)index);
	else
		io_uring_prep_read(sqe, fetch->handle, to, fetch->bytes, fetch->offset);
	io_uring_sqe_set_data64(sqe, LOGDEV_FETCH | fetch->buffer);
}

static int uring_submit(struct logdev *dev)
{
	struct logdev_uring *uring = of(dev);
	int submitted;

	if (io_uring_sq_ready(&uring->ring) == 0)
		return 0;
	submitted = io_uring_submit(&uring->ring);
	/* Short of memory for the moment: what is queued goes at the next call. */
	if (submitted == -EAGAIN || submitted == -EBUSY || submitted == -EINTR)
		return 0;
	return submitted < 0 ? submitted : 0;
}

/* I2: true if this completion ends its write; or its read. */
static bool take(struct logdev_uring *uring, const struct io_uring_cqe *cqe,
		 struct logdev_done *out)
{
	struct pending *pending;
	bool of_write = cqe->user_data % 2 == 0;

	if (cqe->user_data & LOGDEV_FETCH) {
		out->tag = LOGDEV_FETCH | uring->fetch_tag[cqe->user_data & ~LOGDEV_FETCH];
		out->result = cqe->res;
		return true;
	}
	pending = &uring->pending[cqe->user_data / 2];
	out->tag = pending->tag;
	if (of_write && cqe->res >= 0)
		out->result = cqe->res == (int)pending->bytes ? 0 : -EIO;
	else
		out->result = cqe->res;
	if (of_write && pending->both) {
		pending->written = out->result;
		return false;
	}
	if (pending->both && pending->written)
		out->result = pending->written;
	return true;
}

static uint32_t uring_poll(struct logdev *dev, struct logdev_done *done, uint32_t max)
{
	struct logdev_uring *uring = of(dev);
	struct io_uring_cqe *cqes[RING_ENTRIES];
	uint32_t ended = 0;
	unsigned int count;

	/* liburing enters the kernel here when the ring is marked, and only then. */
	count = io_uring_peek_batch_cqe(&uring->ring, cqes,
					max < RING_ENTRIES ? max : RING_ENTRIES);
	for (unsigned int i = 0; i < count; i++)
		ended += take(uring, cqes[i], &done[ended]);
	io_uring_cq_advance(&uring->ring, count);
	return ended;
}

static int uring_wait(struct logdev *dev)
{
	struct logdev_uring *uring = of(dev);
	int error = io_uring_submit_and_wait(&uring->ring, 1);

	return error == -EINTR || error == -EAGAIN || error >= 0 ? 0 : error;
}

static int uring_sleep_fd(struct logdev *dev)
{
	return of(dev)->ring.ring_fd;
}

static void uring_destroy(struct logdev *dev)
{
	struct logdev_uring *uring = of(dev);

	if (uring->ring_made)
		io_uring_queue_exit(&uring->ring);
	if (uring->dir_fd >= 0)
		close(uring->dir_fd);
	free(uring);
}

static const struct logdev_ops uring_ops = {
	.list = uring_list,
	.create = uring_create,
	.open = uring_open,
	.close = uring_close,
	.read = uring_read,
	.sync = uring_sync,
	.sync_names = uring_sync_names,
	.remove = uring_remove,
	.recycle = uring_recycle,
	.start = uring_start,
	.attach = uring_attach,
	.write = uring_write,
	.start_reads = uring_start_reads,
	.fetch = uring_fetch,
	.submit = uring_submit,
	.poll = uring_poll,
	.wait = uring_wait,
	.sleep_fd = uring_sleep_fd,
	.destroy = uring_destroy,
};

/* Readers share; who writes is alone, and waits for the last writes of its predecessor. */
static int lock_dir(int fd, bool create)
{
	const struct timespec pause = {.tv_nsec = LOCK_RETRY_MS * 1000000};

	for (int waited_ms = 0;; waited_ms += LOCK_RETRY_MS) {
		if (flock(fd, (create ? LOCK_EX : LOCK_SH) | LOCK_NB) == 0)
			return 0;
		if (errno != EWOULDBLOCK)
			return -errno;
		if (waited_ms >= LOCK_WAIT_MS)
			return -EBUSY;
		nanosleep(&pause, NULL);
	}
}

/* What this file system reads at least: often less than a block. The less there is to move, the
 * more reads a second. */
static uint32_t sector_of(int dir_fd)
{
	uint32_t sector = ABAFT_LOG_BLOCK_BYTES;
#ifdef STATX_DIOALIGN /* Linux 6.1 */
	int fd = openat(dir_fd, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	struct statx st;

	if (fd < 0)
		return sector;
	if (statx(fd, "", AT_EMPTY_PATH, STATX_DIOALIGN, &st) == 0 &&
	    (st.stx_mask & STATX_DIOALIGN) && st.stx_dio_offset_align &&
	    ABAFT_LOG_BLOCK_BYTES % st.stx_dio_offset_align == 0)
		sector = st.stx_dio_offset_align;
	close(fd);
#endif
	return sector;
}

/* Opens the log's directory and locks it; makes it, durably, when `create`. */
static int open_dir(struct logdev_uring *uring, const char *dir, const char *path, bool create)
{
	int parent, error = 0;

	if (create && mkdir(path, 0755) < 0 && errno != EEXIST)
		return -errno;
	uring->dir_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (uring->dir_fd < 0)
		return -errno;
	if (create) {
		parent = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (parent < 0 || fsync(parent) < 0)
			error = -errno;
		if (parent >= 0)
			close(parent);
	}
	return error ? error : lock_dir(uring->dir_fd, create);
}

int logdev_uring_create(struct logdev **out, const char *dir, uint32_t number, bool create,
			char *why, size_t why_bytes)
{
	struct logdev_uring *uring = calloc(1, sizeof(*uring));
	char path[PATH_MAX];
	int error;

	if (!uring)
		return -ENOMEM;
	uring->dev.ops = &uring_ops;
	uring->dev.threads = true;
	uring->dir_fd = -1;
	error = snprintf(path, sizeof(path), "%s/log-%03u", dir, number) < (int)sizeof(path)
			? open_dir(uring, dir, path, create)
			: -ENAMETOOLONG;
	if (error) {
		snprintf(why, why_bytes, "log %s/log-%03u: %s", dir, number,
			 error == -EBUSY ? "another process uses it" : strerror(-error));
		uring_destroy(&uring->dev);
		return error;
	}
	uring->dev.sector = create ? sector_of(uring->dir_fd) : ABAFT_LOG_BLOCK_BYTES;
	*out = &uring->dev;
	return 0;
}
