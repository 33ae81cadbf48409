/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of dataplane/log/filedev_dir.c, each in a directory of its own under $TMPDIR. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "dataplane/log/checkpoint.h"
#include "dataplane/log/filedev.h"
#include "tests/lib/scratch.h"

static _Alignas(4096) uint8_t block[CHECKPOINT_BLOCK_BYTES];
static _Alignas(4096) uint8_t back[CHECKPOINT_BLOCK_BYTES];
static char why[256];

static struct filedev *begin(const char *path)
{
	struct filedev *dev;

	assert_int_equal(filedev_dir_create(&dev, path, why, sizeof(why)), 0);
	for (uint32_t i = 0; i < sizeof(block); i++)
		block[i] = (uint8_t)(i * 7 + i / 4096);
	return dev;
}

static bool there(const char *dir, const char *name)
{
	char path[512];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	return access(path, F_OK) == 0;
}

static void put(const char *dir, const char *name)
{
	char path[1024];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	fd = open(path, O_WRONLY | O_CREAT, 0644);
	assert_true(fd >= 0);
	close(fd);
}

static void write_and_read(void **state)
{
	struct filedev *dev = begin(*state);
	uint64_t bytes;
	int handle;

	assert_int_equal(dev->ops->create(dev, 0x1f), 0);
	assert_int_equal(dev->ops->create(dev, 0x20), -EBUSY);
	assert_int_equal(dev->ops->append(dev, block, sizeof(block)), 0);
	assert_int_equal(dev->ops->append(dev, block + 4096, 4096), 0);
	assert_true(there(*state, "checkpoint-0000001f.new"));
	assert_false(there(*state, "checkpoint-0000001f"));
	assert_int_equal(dev->ops->finish(dev), 0);
	assert_true(there(*state, "checkpoint-0000001f"));
	assert_false(there(*state, "checkpoint-0000001f.new"));
	handle = dev->ops->open(dev, 0x1f, &bytes);
	assert_true(handle >= 0);
	assert_int_equal(bytes, sizeof(block) + 4096);
	assert_int_equal(dev->ops->read(dev, handle, back, sizeof(back), 0), sizeof(back));
	assert_memory_equal(back, block, sizeof(block));
	assert_int_equal(dev->ops->read(dev, handle, back, sizeof(back), sizeof(block)), 4096);
	assert_memory_equal(back, block + 4096, 4096);
	dev->ops->close(dev, handle);
	assert_int_equal(dev->ops->remove(dev, 0x1f), 0);
	assert_int_equal(dev->ops->remove(dev, 0x1f), -ENOENT);
	assert_int_equal(dev->ops->open(dev, 0x1f, &bytes), -ENOENT);
	dev->ops->destroy(dev);
}

static void lists_only_its_own(void **state)
{
	static const char *const others[] = {
		"checkpoint-00000001.new",
		"checkpoint-1",
		"checkpoint-0000000G",
		"checkpoint-000000001",
		"checkpoint-0000000A",
		"checkpoint-00000001.old",
		"seg-00000000",
		"checkpoint- 0000001",
	};
	struct filedev *dev = begin(*state);
	uint32_t numbers[3];

	assert_int_equal(dev->ops->list(dev, numbers, 3), 0);
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		put(*state, others[i]);
	assert_int_equal(dev->ops->list(dev, numbers, 3), 0);
	put(*state, "checkpoint-0000000a");
	put(*state, "checkpoint-ffffffff");
	assert_int_equal(dev->ops->list(dev, numbers, 3), 2);
	assert_int_equal(numbers[0] ^ numbers[1], 0xa ^ 0xffffffff);
	assert_int_equal(dev->ops->list(dev, numbers, 1), -E2BIG);
	dev->ops->destroy(dev);
}

static void what_is_not_finished_goes(void **state)
{
	struct filedev *dev = begin(*state);

	assert_int_equal(dev->ops->create(dev, 1), 0);
	assert_int_equal(dev->ops->append(dev, block, 4096), 0);
	dev->ops->abandon(dev);
	dev->ops->abandon(dev);
	assert_false(there(*state, "checkpoint-00000001.new"));
	put(*state, "checkpoint-00000007.new"); /* of a crash */
	put(*state, "notes.new");
	assert_int_equal(dev->ops->create(dev, 2), 0);
	assert_false(there(*state, "checkpoint-00000007.new"));
	assert_true(there(*state, "checkpoint-00000002.new"));
	assert_true(there(*state, "notes.new"));
	dev->ops->destroy(dev);
	assert_false(there(*state, "checkpoint-00000002.new"));
}

static void names_that_cannot_be_had(void **state)
{
	struct filedev *dev = begin(*state);
	char path[512];

	/* A directory that is not empty cannot be replaced. */
	snprintf(path, sizeof(path), "%s/checkpoint-00000001", (char *)*state);
	assert_int_equal(mkdir(path, 0755), 0);
	put(path, "inside");
	assert_int_equal(dev->ops->create(dev, 1), 0);
	assert_int_equal(dev->ops->append(dev, block, 4096), 0);
	assert_true(dev->ops->finish(dev) < 0);
	assert_false(there(*state, "checkpoint-00000001.new"));
	assert_int_equal(dev->ops->create(dev, 2), 0);
	assert_int_equal(dev->ops->finish(dev), 0);
	dev->ops->destroy(dev);
	snprintf(path, sizeof(path), "%s/nowhere", (char *)*state);
	assert_int_equal(filedev_dir_create(&dev, path, why, sizeof(why)), -ENOENT);
	assert_non_null(strstr(why, "nowhere: cannot open the directory: No such file"));
}

/* A whole checkpoint through it; cut short, also to no whole block, it is refused. */
static void checkpoint_through_it(void **state)
{
	const struct checkpoint_head head = {.number = 3, .logs = 1};
	struct filedev *dev = begin(*state);
	struct checkpoint_writer *writer;
	struct checkpoint_stats stats, read;
	struct checkpoint_head got;
	const uint8_t node[16] = "a node";
	char path[512];

	assert_int_equal(checkpoint_begin(&writer, dev, node, &head), 0);
	for (int i = 0; i < 20; i++)
		assert_int_equal(checkpoint_add(writer, CHECKPOINT_KEYS, block, 100000, 5), 0);
	assert_int_equal(checkpoint_finish(writer, 1, &stats), 0);
	assert_int_equal(checkpoint_verify(dev, node, 3, &got, &read, why, sizeof(why)), 0);
	assert_memory_equal(&stats, &read, sizeof(stats));
	assert_int_equal(stats.keys, 100);
	snprintf(path, sizeof(path), "%s/checkpoint-00000003", (char *)*state);
	for (uint64_t bytes = stats.bytes; bytes > 0; bytes = bytes > 70001 ? bytes - 70001 : 0) {
		assert_int_equal(truncate(path, (off_t)bytes - 1), 0);
		assert_int_equal(checkpoint_verify(dev, node, 3, &got, NULL, why, sizeof(why)),
				 -EBADMSG);
	}
	dev->ops->destroy(dev);
}

/* A file system that knows no O_DIRECT, and refuses only when it has made the file. */
static void without_direct_io(void **state)
{
	struct filedev *dev;

	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("none", *state, "ramfs", 0, NULL) < 0) {
		print_message("not run: a file system cannot be mounted: %s\n", strerror(errno));
		skip();
	}
	dev = begin(*state);
	assert_int_equal(dev->ops->create(dev, 1), 0);
	assert_int_equal(dev->ops->append(dev, block, sizeof(block)), 0);
	assert_int_equal(dev->ops->finish(dev), 0);
	assert_true(there(*state, "checkpoint-00000001"));
	dev->ops->destroy(dev);
	assert_int_equal(umount(*state), 0);
}

int main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, scratch_setup, scratch_teardown)
	const struct CMUnitTest tests[] = {
		CASE(write_and_read),
		CASE(lists_only_its_own),
		CASE(what_is_not_finished_goes),
		CASE(names_that_cannot_be_had),
		CASE(checkpoint_through_it),
		CASE(without_direct_io),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
