/* SPDX-License-Identifier: Apache-2.0 */
/*
 * audit_disk.c - what goes to a log's disk and comes back: the audit stands between the two. See
 * audit.h.
 */
#include <stdlib.h>

#include "tests/sim/world/audit_impl.h"

/* The device's own operations are called as they were, but for those that are looked at. */
static struct audit_disk *disk_of(struct logdev *dev)
{
	return (struct audit_disk *)(uintptr_t)((const uint8_t *)dev->ops -
						offsetof(struct audit_disk, ops));
}

static void disk_write(struct logdev *dev, const struct logdev_write *write)
{
	struct audit_disk *disk = disk_of(dev);

	if (disk->in_device == ABAFT_LOG_WRITES_IN_FLIGHT)
		abort();
	histogram_add(&disk->log_depth, disk->in_device);
	disk->flight[disk->in_device++] =
		(struct audit_flight){.tag = write->tag, .since_ns = disk->audit->now_ns};
	disk->real->write(dev, write);
}

static uint32_t disk_poll(struct logdev *dev, struct logdev_done *done, uint32_t max)
{
	struct audit_disk *disk = disk_of(dev);
	uint32_t count = disk->real->poll(dev, done, max);

	for (uint32_t i = 0; i < count; i++) {
		uint32_t at = 0;

		if (done[i].tag & LOGDEV_FETCH)
			continue;
		while (at < disk->in_device && disk->flight[at].tag != done[i].tag)
			at++;
		if (at == disk->in_device)
			abort();
		histogram_add(&disk->log_device, disk->audit->now_ns - disk->flight[at].since_ns);
		disk->flight[at] = disk->flight[--disk->in_device];
	}
	return count;
}

/* The disk's next log begins with the device as it was. */
static void disk_destroy(struct logdev *dev)
{
	dev->ops = disk_of(dev)->real;
	dev->ops->destroy(dev);
}

void audit_device(void *arg, uint32_t log, struct logdev *dev)
{
	struct audit *a = arg;
	struct audit_disk *disk;

	if (a->world->options.no_telemetry || log >= a->workers)
		return;
	disk = &a->disk[log];
	disk->audit = a;
	disk->real = dev->ops;
	disk->ops = *dev->ops;
	disk->ops.write = disk_write;
	disk->ops.poll = disk_poll;
	disk->ops.destroy = disk_destroy;
	dev->ops = &disk->ops;
}
