/* SPDX-License-Identifier: Apache-2.0 */
/*
 * watch_log_test.c - uring_* and block_* count what a commit log's device does, and nothing else.
 *
 * The log's own device (dataplane/log/logdev_uring.c) writes, syncs and reads on a file system of
 * its own, on a loop device that has a volatile cache as disks do. Counts are compared with what
 * was done, times with the caller's clock. The device knows no commits, so this thread is entered
 * as a worker for as long as it writes.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <unistd.h>

#include <cmocka.h>

#include <liburing.h>
#include <linux/loop.h>

#include <abaft/limits.h>

#include "dataplane/log/logdev.h"
#include "tests/lib/watch_bed.h"

#define DISK_BYTES    (64u << 20)
#define SEGMENT_BYTES (1u << 20)
#define BLOCK	      ABAFT_LOG_BLOCK_BYTES
#define TIMES	      20
#define MANY	      2000
#define AT_ONCE	      4
#define WORKER	      2
#define DIR	      "/mnt" /* in a mount namespace of this process's own */

static const char *const maps[] = {"uring_write", "uring_sync",	 "uring_read",
				   "block_write", "block_flush", "block_read"};
enum { URING_WRITE, URING_SYNC, URING_READ, BLOCK_WRITE, BLOCK_FLUSH, BLOCK_READ, MAPS };

struct disk {
	struct watch_bed bed;
	char image[64], loop[32];
	int loop_fd;
	struct logdev *dev;
	uint8_t *buffer[AT_ONCE + 1]; /* to write from; the last to read to */
};

/* A loop device that goes with its last user. */
static void disk_attach(struct disk *disk)
{
	struct loop_config config = {.info.lo_flags = LO_FLAGS_AUTOCLEAR};
	int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC), number, image;

	snprintf(disk->image, sizeof(disk->image), "/var/tmp/abaft-disk-XXXXXX");
	image = mkstemp(disk->image);
	assert_true(image >= 0);
	unlink(disk->image);
	assert_int_equal(ftruncate(image, DISK_BYTES), 0);
	assert_true(control >= 0);
	config.fd = (__u32)image;
	for (int tries = 0; tries < 10; tries++) { /* another may take it meanwhile */
		number = ioctl(control, LOOP_CTL_GET_FREE);
		assert_true(number >= 0);
		snprintf(disk->loop, sizeof(disk->loop), "/dev/loop%d", number);
		disk->loop_fd = open(disk->loop, O_RDWR | O_CLOEXEC);
		assert_true(disk->loop_fd >= 0);
		if (ioctl(disk->loop_fd, LOOP_CONFIGURE, &config) == 0)
			break;
		close(disk->loop_fd);
		disk->loop_fd = -1;
	}
	assert_true(disk->loop_fd >= 0);
	close(image);
	close(control);
}

/* Its journal waits longer than these tests take: who commits it flushes for whoever syncs
 * meanwhile.
 */
static void disk_mount(struct disk *disk)
{
	char command[128];

	disk_attach(disk);
	snprintf(command, sizeof(command), "/sbin/mkfs.ext4 -q -b 4096 %s", disk->loop);
	assert_int_equal(system(command), 0);
	assert_int_equal(mount(disk->loop, DIR, "ext4", MS_NOATIME, "commit=300"), 0);
}

/* The device of a log with one segment, started. The segment's zeros come from this thread, too,
 * which is no worker yet. */
static void device_make(struct disk *disk)
{
	char why[256] = "";
	uint64_t bytes;
	int handle;

	if (logdev_uring_create(&disk->dev, DIR, 0, true, why, sizeof(why)))
		fail_msg("%s", why);
	assert_int_equal(disk->dev->ops->create(disk->dev, 1, SEGMENT_BYTES), 0);
	for (int i = 0; i <= AT_ONCE; i++) {
		assert_int_equal(posix_memalign((void **)&disk->buffer[i], BLOCK, BLOCK), 0);
		memset(disk->buffer[i], 0x61, BLOCK);
	}
	assert_int_equal(disk->dev->ops->start(disk->dev, disk->buffer, AT_ONCE, BLOCK), 0);
	assert_int_equal(disk->dev->ops->start_reads(disk->dev, &disk->buffer[AT_ONCE], 1, BLOCK),
			 0);
	handle = disk->dev->ops->open(disk->dev, 1, &bytes);
	assert_true(handle >= 0);
	assert_int_equal(disk->dev->ops->attach(disk->dev, 0, handle), 0);
	disk->dev->ops->close(disk->dev, handle);
}

static int setup(void **state)
{
	static struct disk disk;

	watch_bed_make(&disk.bed);
	disk_mount(&disk);
	watch_bed_start(&disk.bed);
	device_make(&disk);
	*state = &disk;
	return 0;
}

static int teardown(void **state)
{
	struct disk *disk = *state;

	if (disk->dev)
		disk->dev->ops->destroy(disk->dev);
	for (int i = 0; i <= AT_ONCE; i++)
		free(disk->buffer[i]);
	watch_bed_remove(&disk->bed);
	umount2(DIR, MNT_DETACH);
	close(disk->loop_fd);
	return 0;
}

static void read_counts(struct disk *disk, uint64_t counts[MAPS])
{
	for (int i = 0; i < MAPS; i++)
		counts[i] = watch_bed_count(&disk->bed, maps[i]);
}

/* How much each map's counts have grown since `before`, all of it in WORKER's entry. A device's
 * interrupt may come while a thread runs whose events this kernel hides (bpf/sched.bpf.c, I3): of
 * block_* few may be missing, but none may be too many. */
static void expect_grown(struct disk *disk, const uint64_t before[MAPS], const uint64_t want[MAPS])
{
	uint64_t after[MAPS];

	read_counts(disk, after);
	for (int i = 0; i < MAPS; i++) {
		uint64_t grown = after[i] - before[i];
		uint64_t hidden = i < BLOCK_WRITE || !want[i] ? 0 : 1 + want[i] / 100;

		if (grown > want[i] || grown + hidden < want[i])
			fail_msg("%s: %lu more, wanted %lu", maps[i], grown, want[i]);
		assert_int_equal(watch_bed_histogram(&disk->bed, maps[i], WORKER).count, after[i]);
	}
}

static void finish(struct disk *disk, int result)
{
	struct logdev_done done;

	assert_int_equal(disk->dev->ops->submit(disk->dev), 0);
	while (disk->dev->ops->poll(disk->dev, &done, 1) == 0)
		assert_int_equal(disk->dev->ops->wait(disk->dev), 0);
	assert_int_equal(done.result, result);
}

static void write_times(struct disk *disk, uint32_t times, bool sync, bool dsync)
{
	for (uint32_t i = 0; i < times; i++) {
		const struct logdev_write write = {
			.bytes = BLOCK, .offset = i * BLOCK, .sync = sync, .dsync = dsync};

		disk->dev->ops->write(disk->dev, &write);
		finish(disk, 0);
	}
}

static void read_times(struct disk *disk, uint32_t times)
{
	uint64_t bytes;
	int handle = disk->dev->ops->open(disk->dev, 1, &bytes);

	assert_true(handle >= 0);
	for (uint32_t i = 0; i < times; i++) {
		const struct logdev_fetch fetch = {
			.from = disk->dev, .handle = handle, .bytes = BLOCK, .offset = i * BLOCK};

		disk->dev->ops->fetch(disk->dev, &fetch);
		finish(disk, (int)BLOCK);
	}
	disk->dev->ops->close(disk->dev, handle);
}

/* A chain of write and sync: the times of its parts are those of the whole. */
static void chains(void **state)
{
	struct disk *disk = *state;
	uint64_t before[MAPS], wall_ns, parts_ns;

	read_counts(disk, before);
	watch_bed_enter(&disk->bed, gettid(), WORKER, -1);
	wall_ns = watch_bed_now_ns();
	write_times(disk, TIMES, true, false);
	wall_ns = watch_bed_now_ns() - wall_ns;
	watch_bed_leave(&disk->bed, gettid());
	expect_grown(disk, before,
		     (uint64_t[MAPS]){[URING_WRITE] = TIMES,
				      [URING_SYNC] = TIMES,
				      [BLOCK_WRITE] = TIMES,
				      [BLOCK_FLUSH] = TIMES});
	parts_ns = watch_bed_histogram(&disk->bed, "uring_write", WORKER).sum +
		   watch_bed_histogram(&disk->bed, "uring_sync", WORKER).sum;
	print_message("# %lu us by the clock, %lu us in uring_write and uring_sync\n",
		      wall_ns / 1000, parts_ns / 1000);
	assert_in_range(parts_ns, wall_ns / 2, wall_ns);
	assert_in_range(watch_bed_histogram(&disk->bed, "block_write", WORKER).sum, 1,
			watch_bed_histogram(&disk->bed, "uring_write", WORKER).sum);
	assert_in_range(watch_bed_histogram(&disk->bed, "block_flush", WORKER).sum, 1,
			watch_bed_histogram(&disk->bed, "uring_sync", WORKER).sum);
}

/* Several chains fly at once, and each that ends makes room for another: the kernel uses the memory
 * of requests again while others wait. */
static void many_chains(void **state)
{
	struct disk *disk = *state;
	uint64_t before[MAPS];
	uint32_t begun = 0, ended = 0;

	read_counts(disk, before);
	watch_bed_enter(&disk->bed, gettid(), WORKER, -1);
	while (ended < MANY) {
		struct logdev_done done[AT_ONCE];
		uint32_t count;

		for (; begun < MANY && begun < ended + AT_ONCE; begun++) {
			const struct logdev_write write = {.buffer = begun % AT_ONCE,
							   .bytes = BLOCK,
							   .offset = begun % AT_ONCE * BLOCK,
							   .sync = true};

			disk->dev->ops->write(disk->dev, &write);
		}
		assert_int_equal(disk->dev->ops->submit(disk->dev), 0);
		count = disk->dev->ops->poll(disk->dev, done, AT_ONCE);
		for (uint32_t i = 0; i < count; i++)
			assert_int_equal(done[i].result, 0);
		ended += count;
	}
	watch_bed_leave(&disk->bed, gettid());
	expect_grown(disk, before,
		     (uint64_t[MAPS]){[URING_WRITE] = MANY,
				      [URING_SYNC] = MANY,
				      [BLOCK_WRITE] = MANY,
				      [BLOCK_FLUSH] = MANY});
}

/* RWF_DSYNC: a kernel worker asks for the flush. */
static void dsync(void **state)
{
	struct disk *disk = *state;
	uint64_t before[MAPS];

	read_counts(disk, before);
	watch_bed_enter(&disk->bed, gettid(), WORKER, -1);
	write_times(disk, TIMES, true, true);
	watch_bed_leave(&disk->bed, gettid());
	expect_grown(disk, before,
		     (uint64_t[MAPS]){
			     [URING_WRITE] = TIMES, [BLOCK_WRITE] = TIMES, [BLOCK_FLUSH] = TIMES});
}

static void reads(void **state)
{
	struct disk *disk = *state;
	uint64_t before[MAPS];

	read_counts(disk, before);
	watch_bed_enter(&disk->bed, gettid(), WORKER, -1);
	read_times(disk, TIMES);
	write_times(disk, 3, false, false);
	watch_bed_leave(&disk->bed, gettid());
	expect_grown(disk, before,
		     (uint64_t[MAPS]){[URING_READ] = TIMES,
				      [BLOCK_READ] = TIMES,
				      [URING_WRITE] = 3,
				      [BLOCK_WRITE] = 3});
}

/* Another process or the keeper: not a worker's thread. */
static void others(void **state)
{
	struct disk *disk = *state;
	uint64_t before[MAPS];

	watch_bed_enter(&disk->bed, 1, WORKER, -1); /* somebody else is a worker */
	read_counts(disk, before);
	write_times(disk, TIMES, true, false);
	write_times(disk, TIMES, true, true);
	read_times(disk, TIMES);
	watch_bed_leave(&disk->bed, 1);
	expect_grown(disk, before, (uint64_t[MAPS]){0});
}

/* Of a chain whose write fails the sync is cancelled: it took no time and does not count. Nor does
 * what stays behind of it confuse what comes after. */
static void failed(void **state)
{
	struct disk *disk = *state;
	struct io_uring ring;
	struct io_uring_sqe *sqe;
	struct io_uring_cqe *cqe;
	uint64_t before[MAPS];
	int zero = open("/dev/zero", O_RDONLY | O_CLOEXEC);

	read_counts(disk, before);
	assert_int_equal(io_uring_queue_init(8, &ring, 0), 0);
	watch_bed_enter(&disk->bed, gettid(), WORKER, -1);
	for (int skip = 0; skip < 2; skip++) {
		sqe = io_uring_get_sqe(&ring);
		io_uring_prep_write(sqe, zero, disk->buffer[0], BLOCK, 0);
		sqe->flags = (__u8)(IOSQE_IO_LINK | (skip ? IOSQE_CQE_SKIP_SUCCESS : 0));
		io_uring_prep_fsync(io_uring_get_sqe(&ring), zero, IORING_FSYNC_DATASYNC);
		assert_int_equal(io_uring_submit(&ring), 2);
		for (int i = 0; i < 2 - skip; i++) {
			assert_int_equal(io_uring_wait_cqe(&ring, &cqe), 0);
			assert_true(cqe->res == -EBADF || cqe->res == -ECANCELED);
			io_uring_cqe_seen(&ring, cqe);
		}
	}
	write_times(disk, TIMES, true, false);
	watch_bed_leave(&disk->bed, gettid());
	io_uring_queue_exit(&ring);
	close(zero);
	expect_grown(disk, before,
		     (uint64_t[MAPS]){[URING_WRITE] = TIMES + 2,
				      [URING_SYNC] = TIMES,
				      [BLOCK_WRITE] = TIMES,
				      [BLOCK_FLUSH] = TIMES});
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(chains), cmocka_unit_test(many_chains), cmocka_unit_test(dsync),
		cmocka_unit_test(reads),  cmocka_unit_test(others),	 cmocka_unit_test(failed),
	};

	watch_bed_needs();
	return cmocka_run_group_tests_name("watch_log", tests, setup, teardown);
}
