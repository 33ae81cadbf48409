/* SPDX-License-Identifier: Apache-2.0 */
/* logdev_sim.c - the disk in memory; see logdev_sim.h. Out of memory aborts: it is a test. */
#include "tests/lib/logdev_sim.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SEGMENTS_MAX 4096
#define WRITES_MAX   64
#define BUFFERS_MAX  8
#define FETCHES_MAX  64
#define SECTOR_BYTES 512
#define BLOCK_BYTES  4096

enum stage {
	STAGE_NONE,
	STAGE_QUEUED,  /* not yet submitted */
	STAGE_STARTED, /* in flight */
	STAGE_SYNCING, /* written, sync in flight */
	STAGE_CACHED,  /* over, but not known durable */
};

/* One write: in flight, or in the disk's cache. */
struct sim_write {
	enum stage stage;
	struct logdev_write asked;
	uint32_t number;
	uint8_t *data; /* as it was when it was queued */
	uint64_t due;
	uint64_t order;	     /* when it reached the cache */
	uint64_t sync_order; /* the sync covers what reached the cache before */
	bool lied;
};

/* A read in flight, in the entry of its buffer. */
struct sim_fetch {
	enum stage stage; /* NONE, QUEUED, STARTED */
	struct logdev_fetch asked;
	uint64_t due;
};

struct sim_segment {
	bool there;
	bool removed; /* not durably: a power cut may bring it back */
	uint64_t bytes;
	uint8_t *visible; /* what reads see */
	uint8_t *durable; /* what a power cut leaves */
};

struct sim_disk {
	struct logdev dev;
	bool dead; /* the process that used the device is gone */
	void (*on_crash)(void *arg, bool power);
	void *crash_arg;
	uint64_t random;
	uint64_t clock;
	uint64_t order;
	uint64_t space;
	uint32_t delay_max;
	uint32_t fail_write;
	uint32_t fail_sync;
	int fault; /* what fails, fails with */
	int fail_create;
	int fail_attach;
	int fail_names;
	uint32_t cut_recycle;
	enum sim_disk_lie lie;
	uint32_t lie_count;
	uint32_t flip_fetch;
	uint32_t die;
	struct sim_disk_fired fired;
	uint32_t slots[LOGDEV_SLOTS];
	uint8_t *buffers[BUFFERS_MAX];
	struct sim_write writes[WRITES_MAX];
	uint8_t *fetch_buffers[FETCHES_MAX];
	uint32_t fetch_bytes; /* of a buffer */
	struct sim_fetch fetches[FETCHES_MAX];
	uint32_t fail_fetch;
	uint32_t short_fetch;
	uint32_t bad_segment, bad_block;
	struct sim_segment segments[SEGMENTS_MAX];
};

static void *must(void *memory)
{
	if (!memory)
		abort();
	return memory;
}

uint64_t sim_random(uint64_t *state, uint64_t limit)
{
	uint64_t z = (*state += 0x9e3779b97f4a7c15u);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return limit ? (z ^ (z >> 31)) % limit : 0;
}

static uint64_t roll(struct sim_disk *disk, uint64_t limit)
{
	return sim_random(&disk->random, limit);
}

static struct sim_disk *of(struct logdev *dev)
{
	return (struct sim_disk *)dev;
}

/* The fault's time has come: it is counted. */
static bool counts_down(uint32_t *count, uint64_t *fired)
{
	bool now = *count && --*count == 0;

	*fired += now;
	return now;
}

static bool dies(struct sim_disk *disk)
{
	disk->dead |= counts_down(&disk->die, &disk->fired.deaths);
	return disk->dead;
}

static void forget(struct sim_write *write)
{
	free(write->data);
	memset(write, 0, sizeof(*write));
}

/* All sectors of the write, or any of them. */
static void apply(struct sim_disk *disk, const struct sim_write *write, uint8_t *to, bool torn)
{
	uint64_t how = torn ? roll(disk, 4) : 0;
	uint64_t sectors = write->asked.bytes / SECTOR_BYTES;
	uint64_t cut = roll(disk, sectors + 1);

	for (uint64_t i = 0; i < sectors; i++) {
		if (how == 1 && i >= cut) /* the beginning */
			continue;
		if (how == 2 && i < cut) /* the end */
			continue;
		if (how == 3 && roll(disk, 2)) /* any */
			continue;
		memcpy(to + write->asked.offset + i * SECTOR_BYTES, write->data + i * SECTOR_BYTES,
		       SECTOR_BYTES);
	}
}

static int sim_list(struct logdev *dev, uint32_t *numbers, size_t max)
{
	struct sim_disk *disk = of(dev);
	size_t count = 0;

	for (uint32_t i = SEGMENTS_MAX; i-- > 0;) {
		if (!disk->segments[i].there)
			continue;
		if (count < max)
			numbers[count] = i;
		count++;
	}
	return count > max ? -E2BIG : (int)count;
}

void sim_disk_put(struct sim_disk *disk, uint32_t number, const uint8_t *data, uint64_t bytes)
{
	struct sim_segment *segment = &disk->segments[number];

	sim_disk_remove(disk, number);
	segment->there = true;
	segment->bytes = bytes;
	segment->visible = must(calloc(1, bytes + 1));
	segment->durable = must(calloc(1, bytes + 1));
	if (!data)
		return;
	memcpy(segment->visible, data, bytes);
	memcpy(segment->durable, data, bytes);
}

/* What was removed is gone for good. */
static int sim_sync_names(struct logdev *dev)
{
	struct sim_disk *disk = of(dev);

	for (uint32_t i = 0; i < SEGMENTS_MAX; i++)
		if (disk->segments[i].removed)
			sim_disk_remove(disk, i);
	return 0;
}

static int sim_create(struct logdev *dev, uint32_t number, uint64_t bytes)
{
	struct sim_disk *disk = of(dev);
	uint64_t used = bytes;

	if (dies(disk))
		return -EIO;
	disk->fired.creates += disk->fail_create != 0;
	if (disk->fail_create)
		return disk->fail_create;
	for (uint32_t i = 0; i < SEGMENTS_MAX; i++)
		used += disk->segments[i].there ? disk->segments[i].bytes : 0;
	if (number >= SEGMENTS_MAX || (disk->space && used > disk->space))
		return -ENOSPC;
	sim_disk_put(disk, number, NULL, bytes);
	return sim_sync_names(dev);
}

static int sim_remove(struct logdev *dev, uint32_t number)
{
	struct sim_disk *disk = of(dev);

	if (disk->dead)
		return -EIO;
	if (disk->fail_names)
		return disk->fail_names;
	if (number >= SEGMENTS_MAX || !disk->segments[number].there)
		return -ENOENT;
	disk->segments[number].there = false;
	disk->segments[number].removed = true;
	return 0;
}

static int sim_open(struct logdev *dev, uint32_t number, uint64_t *bytes)
{
	struct sim_disk *disk = of(dev);

	if (number >= SEGMENTS_MAX || !disk->segments[number].there)
		return -ENOENT;
	*bytes = disk->segments[number].bytes;
	return (int)number;
}

static void sim_close(struct logdev *dev, int handle)
{
}

static bool is_bad(const struct sim_disk *disk, uint32_t number, uint64_t offset, uint64_t bytes)
{
	uint64_t bad = (uint64_t)disk->bad_block * BLOCK_BYTES;

	return disk->bad_segment == number && bad + BLOCK_BYTES > offset && bad < offset + bytes;
}

static ssize_t sim_read(struct logdev *dev, int handle, uint8_t *to, size_t bytes, uint64_t offset)
{
	struct sim_segment *segment = &of(dev)->segments[handle];

	if (dies(of(dev)) || is_bad(of(dev), (uint32_t)handle, offset, bytes))
		return -EIO;
	if (offset >= segment->bytes)
		return 0;
	if (bytes > segment->bytes - offset)
		bytes = (size_t)(segment->bytes - offset);
	memcpy(to, segment->visible + offset, bytes);
	return (ssize_t)bytes;
}

/* The first write that reached this segment's cache after `after` and not after `last`. */
static struct sim_write *next_cached(struct sim_disk *disk, uint32_t number, uint64_t after,
				     uint64_t last)
{
	struct sim_write *found = NULL;

	for (uint32_t i = 0; i < WRITES_MAX; i++) {
		struct sim_write *write = &disk->writes[i];

		if (write->stage >= STAGE_SYNCING && write->number == number &&
		    write->order > after && write->order <= last &&
		    (!found || write->order < found->order))
			found = write;
	}
	return found;
}

/* What reached the cache of this segment up to `last` becomes durable. */
static void flush(struct sim_disk *disk, uint32_t number, uint64_t last)
{
	struct sim_write *write;
	uint64_t order = 0;

	while ((write = next_cached(disk, number, order, last))) {
		order = write->order;
		apply(disk, write, disk->segments[number].durable, false);
		if (write->stage == STAGE_CACHED)
			forget(write);
	}
}

/* The write ends in the disk's cache, perhaps not all of it. */
static void reach_cache(struct sim_disk *disk, struct sim_write *write, bool torn)
{
	uint8_t *visible = disk->segments[write->number].visible;

	apply(disk, write, visible, torn);
	memcpy(write->data, visible + write->asked.offset, write->asked.bytes);
	write->order = ++disk->order;
	write->sync_order = disk->order;
}

/* The block of any segment, durably. */
static void write_elsewhere(struct sim_disk *disk, const struct sim_write *write)
{
	uint32_t number = (uint32_t)roll(disk, SEGMENTS_MAX);
	struct sim_segment *segment;
	uint64_t at, bytes = write->asked.bytes;

	while (!disk->segments[number].there)
		number = (number + 1) % SEGMENTS_MAX;
	segment = &disk->segments[number];
	at = roll(disk, segment->bytes / BLOCK_BYTES) * BLOCK_BYTES;
	bytes = bytes < segment->bytes - at ? bytes : segment->bytes - at;
	memcpy(segment->visible + at, write->data, bytes);
	memcpy(segment->durable + at, write->data, bytes);
}

/* As reach_cache(), of a write that is going to be called durable. */
static void reach_cache_lying(struct sim_disk *disk, struct sim_write *write)
{
	write->lied = true;
	if (disk->lie == SIM_DISK_ELSEWHERE)
		write_elsewhere(disk, write);
	if (disk->lie != SIM_DISK_TORN) /* what stands there is what is synced */
		memcpy(write->data, disk->segments[write->number].visible + write->asked.offset,
		       write->asked.bytes);
	reach_cache(disk, write, disk->lie == SIM_DISK_TORN);
}

static int sim_sync(struct logdev *dev, int handle)
{
	struct sim_disk *disk = of(dev);

	if (dies(disk))
		return -EIO;
	flush(disk, (uint32_t)handle, disk->order);
	return 0;
}

/* The power is cut in the middle: what of it is on the disk afterwards. */
static int cut_recycle(struct sim_disk *disk, uint32_t from, uint32_t to)
{
	struct sim_segment *segment = &disk->segments[from];

	switch (disk->cut_recycle) {
	case 1: /* under neither name */
		sim_disk_remove(disk, from);
		break;
	case 2: /* the new names are lost again; some zeros are not */
		for (uint32_t i = 0; i < BLOCK_BYTES / SECTOR_BYTES; i++)
			if (roll(disk, 2))
				memset(segment->durable + i * SECTOR_BYTES, 0, SECTOR_BYTES);
		break;
	default: /* nobody heard that it was done */
		memset(segment->durable, 0, BLOCK_BYTES);
		sim_disk_rename(disk, from, to);
	}
	disk->fired.cut_recycles++;
	disk->cut_recycle = 0;
	disk->dead = true;
	return -EIO;
}

static int sim_recycle(struct logdev *dev, uint32_t from, uint32_t to)
{
	struct sim_disk *disk = of(dev);

	if (disk->dead)
		return -EIO;
	if (disk->fail_names)
		return disk->fail_names;
	if (from >= SEGMENTS_MAX || to >= SEGMENTS_MAX || !disk->segments[from].there)
		return -ENOENT;
	if (disk->segments[to].there)
		abort(); /* a number is used once */
	flush(disk, from, disk->order);
	if (disk->cut_recycle)
		return cut_recycle(disk, from, to);
	memset(disk->segments[from].durable, 0, BLOCK_BYTES);
	memset(disk->segments[from].visible, 0, BLOCK_BYTES);
	sim_disk_rename(disk, from, to);
	return sim_sync_names(dev);
}

static int sim_start(struct logdev *dev, uint8_t *const *buffers, uint32_t count, uint32_t bytes)
{
	if (count > BUFFERS_MAX)
		return -EINVAL;
	if (count)
		memcpy(of(dev)->buffers, buffers, count * sizeof(*buffers));
	return 0;
}

static int sim_attach(struct logdev *dev, uint32_t slot, int handle)
{
	of(dev)->slots[slot] = (uint32_t)handle;
	return of(dev)->fail_attach;
}

static void sim_write(struct logdev *dev, const struct logdev_write *asked)
{
	struct sim_disk *disk = of(dev);
	struct sim_write *write = disk->writes;

	if (disk->dead)
		return;
	while (write->stage != STAGE_NONE)
		if (++write == disk->writes + WRITES_MAX)
			abort();
	write->stage = STAGE_QUEUED;
	write->asked = *asked;
	write->number = disk->slots[asked->slot];
	write->data = must(malloc(asked->bytes));
	memcpy(write->data, disk->buffers[asked->buffer], asked->bytes);
	if (asked->offset + asked->bytes > disk->segments[write->number].bytes)
		abort(); /* the log wrote beyond its segment */
}

static int sim_start_reads(struct logdev *dev, uint8_t *const *buffers, uint32_t count,
			   uint32_t bytes)
{
	if (count > FETCHES_MAX)
		return -EINVAL;
	memcpy(of(dev)->fetch_buffers, buffers, count * sizeof(*buffers));
	of(dev)->fetch_bytes = bytes;
	return 0;
}

static void sim_fetch(struct logdev *dev, const struct logdev_fetch *asked)
{
	struct sim_disk *disk = of(dev);
	struct sim_fetch *fetch = &disk->fetches[asked->buffer];

	if (disk->dead)
		return;
	/* A buffer in use, or what O_DIRECT would refuse. */
	if (fetch->stage != STAGE_NONE || !asked->bytes || asked->bytes > disk->fetch_bytes ||
	    asked->bytes % SECTOR_BYTES || asked->offset % SECTOR_BYTES)
		abort();
	fetch->stage = STAGE_QUEUED;
	fetch->asked = *asked;
	/* Who looks before it is done shall notice. */
	memset(disk->fetch_buffers[asked->buffer], 0xdb, asked->bytes);
}

static int sim_submit(struct logdev *dev)
{
	struct sim_disk *disk = of(dev);

	if (disk->dead)
		return -EIO;
	for (uint32_t i = 0; i < WRITES_MAX; i++) {
		struct sim_write *write = &disk->writes[i];

		if (write->stage != STAGE_QUEUED)
			continue;
		write->stage = STAGE_STARTED;
		write->due = disk->clock + 1 + roll(disk, disk->delay_max);
	}
	for (uint32_t i = 0; i < FETCHES_MAX; i++) {
		struct sim_fetch *fetch = &disk->fetches[i];

		if (fetch->stage != STAGE_QUEUED)
			continue;
		fetch->stage = STAGE_STARTED;
		fetch->due = disk->clock + 1 + roll(disk, disk->delay_max);
	}
	return 0;
}

/* One step of a write that is due. True: `done` is filled. */
static bool step(struct sim_disk *disk, struct sim_write *write, struct logdev_done *done)
{
	*done = (struct logdev_done){.tag = write->asked.tag};
	/* The log must leave a buffer alone until its write is done. */
	if (!write->lied &&
	    memcmp(write->data, disk->buffers[write->asked.buffer], write->asked.bytes))
		abort();
	if (write->stage == STAGE_STARTED) {
		bool failed = counts_down(&disk->fail_write, &disk->fired.writes);

		if (!failed && counts_down(&disk->lie_count, &disk->fired.lies[disk->lie]))
			reach_cache_lying(disk, write);
		else
			reach_cache(disk, write, failed);
		write->stage = STAGE_SYNCING;
		write->due = disk->clock + 1 + roll(disk, disk->delay_max);
		if (failed)
			done->result = disk->fault;
		else if (write->asked.sync)
			return false;
		write->stage = STAGE_CACHED;
		return true;
	}
	if (counts_down(&disk->fail_sync, &disk->fired.syncs))
		done->result = disk->fault;
	write->stage = STAGE_CACHED;
	if (!done->result)
		flush(disk, write->number, write->sync_order);
	return true;
}

/* The bytes come, or the error. */
static int bring(struct sim_disk *disk, const struct logdev_fetch *asked)
{
	struct sim_disk *from = of(asked->from);
	uint32_t bytes = asked->bytes;
	ssize_t got;

	if (!from->segments[asked->handle].there)
		abort(); /* it went while it was read */
	if (counts_down(&from->fail_fetch, &from->fired.fetches) ||
	    is_bad(from, (uint32_t)asked->handle, asked->offset, asked->bytes))
		return -EIO;
	if (counts_down(&from->short_fetch, &from->fired.short_fetches))
		bytes = (uint32_t)roll(disk, bytes / SECTOR_BYTES) * SECTOR_BYTES;
	got = sim_read(asked->from, asked->handle, disk->fetch_buffers[asked->buffer], bytes,
		       asked->offset);
	if (got > 0 && counts_down(&from->flip_fetch, &from->fired.flipped_fetches))
		for (uint32_t i = 0; i < got; i += SECTOR_BYTES) /* so that it hits a value */
			disk->fetch_buffers[asked->buffer][i + roll(disk, SECTOR_BYTES)] ^= 16;
	return (int)got;
}

static uint32_t poll_fetches(struct sim_disk *disk, struct logdev_done *done, uint32_t max)
{
	uint32_t filled = 0;
	uint64_t first = roll(disk, FETCHES_MAX);

	for (uint32_t i = 0; i < FETCHES_MAX && filled < max; i++) {
		struct sim_fetch *fetch = &disk->fetches[(first + i) % FETCHES_MAX];

		if (fetch->stage != STAGE_STARTED || fetch->due > disk->clock)
			continue;
		fetch->stage = STAGE_NONE;
		done[filled].tag = LOGDEV_FETCH | fetch->asked.tag;
		done[filled++].result = bring(disk, &fetch->asked);
	}
	return filled;
}

static uint32_t sim_poll(struct logdev *dev, struct logdev_done *done, uint32_t max)
{
	struct sim_disk *disk = of(dev);
	uint32_t filled = 0;
	uint64_t first = roll(disk, WRITES_MAX);

	if (disk->dead)
		return 0;
	disk->clock++;
	for (uint32_t i = 0; i < WRITES_MAX && filled < max; i++) {
		struct sim_write *write = &disk->writes[(first + i) % WRITES_MAX];

		if ((write->stage == STAGE_STARTED || write->stage == STAGE_SYNCING) &&
		    write->due <= disk->clock)
			filled += step(disk, write, &done[filled]);
	}
	return filled + poll_fetches(disk, done + filled, max - filled);
}

static int sim_wait(struct logdev *dev)
{
	return of(dev)->dead ? -EIO : 0;
}

static int sim_sleep_fd(struct logdev *dev)
{
	return -1;
}

static void sim_destroy(struct logdev *dev)
{
	struct sim_disk *disk = of(dev);

	for (uint32_t i = 0; i < FETCHES_MAX && !disk->dead; i++)
		if (disk->fetches[i].stage != STAGE_NONE)
			abort(); /* its buffer is about to be freed */
}

static const struct logdev_ops sim_ops = {
	.list = sim_list,
	.create = sim_create,
	.open = sim_open,
	.close = sim_close,
	.read = sim_read,
	.sync = sim_sync,
	.sync_names = sim_sync_names,
	.remove = sim_remove,
	.recycle = sim_recycle,
	.start = sim_start,
	.attach = sim_attach,
	.write = sim_write,
	.start_reads = sim_start_reads,
	.fetch = sim_fetch,
	.submit = sim_submit,
	.poll = sim_poll,
	.wait = sim_wait,
	.sleep_fd = sim_sleep_fd,
	.destroy = sim_destroy,
};

struct sim_disk *sim_disk_create(uint64_t seed)
{
	struct sim_disk *disk = must(calloc(1, sizeof(*disk)));

	disk->dev.ops = &sim_ops;
	disk->dev.sector = SECTOR_BYTES;
	disk->random = seed;
	disk->delay_max = 4;
	disk->fault = -EIO;
	disk->bad_segment = UINT32_MAX;
	return disk;
}

void sim_disk_destroy(struct sim_disk *disk)
{
	for (uint32_t i = 0; i < WRITES_MAX; i++)
		forget(&disk->writes[i]);
	for (uint32_t i = 0; i < SEGMENTS_MAX; i++)
		sim_disk_remove(disk, i);
	free(disk);
}

struct logdev *sim_disk_logdev(struct sim_disk *disk)
{
	disk->dead = false;
	memset(disk->fetches, 0, sizeof(disk->fetches)); /* of the process before */
	return &disk->dev;
}

void sim_disk_kill(struct sim_disk *disk)
{
	disk->dead = true;
	for (uint32_t i = 0; i < WRITES_MAX; i++) {
		struct sim_write *write = &disk->writes[i];

		if (write->stage == STAGE_QUEUED ||
		    (write->stage == STAGE_STARTED && roll(disk, 2))) {
			forget(write);
		} else if (write->stage == STAGE_STARTED) {
			reach_cache(disk, write, roll(disk, 2));
			write->stage = STAGE_CACHED;
		} else if (write->stage == STAGE_SYNCING) {
			write->stage = STAGE_CACHED;
		}
	}
	if (disk->on_crash)
		disk->on_crash(disk->crash_arg, false);
}

void sim_disk_on_crash(struct sim_disk *disk, void (*fn)(void *arg, bool power), void *arg)
{
	disk->on_crash = fn;
	disk->crash_arg = arg;
}

void sim_disk_power_cut(struct sim_disk *disk)
{
	uint64_t first = roll(disk, WRITES_MAX);

	disk->dead = true;
	for (uint32_t i = 0; i < WRITES_MAX; i++) {
		struct sim_write *write = &disk->writes[(first + i) % WRITES_MAX];

		disk->fired.cut_writes += write->stage > STAGE_QUEUED;
		if (write->stage > STAGE_QUEUED && roll(disk, 2))
			apply(disk, write, disk->segments[write->number].durable, true);
		forget(write);
	}
	for (uint32_t i = 0; i < SEGMENTS_MAX; i++) {
		struct sim_segment *segment = &disk->segments[i];

		if (segment->removed && roll(disk, 2))
			*segment = (struct sim_segment){true, false, segment->bytes,
							segment->visible, segment->durable};
		else if (segment->removed)
			sim_disk_remove(disk, i);
		if (segment->there)
			memcpy(segment->visible, segment->durable, segment->bytes);
	}
	if (disk->on_crash)
		disk->on_crash(disk->crash_arg, true);
}

void sim_disk_fail_write(struct sim_disk *disk, uint32_t count)
{
	disk->fail_write = count;
}

void sim_disk_fail_sync(struct sim_disk *disk, uint32_t count)
{
	disk->fail_sync = count;
}

void sim_disk_fail_create(struct sim_disk *disk, int error)
{
	disk->fail_create = error;
}

void sim_disk_fault(struct sim_disk *disk, int error)
{
	disk->fault = error;
}

void sim_disk_fail_attach(struct sim_disk *disk, int error)
{
	disk->fail_attach = error;
}

void sim_disk_fail_names(struct sim_disk *disk, int error)
{
	disk->fail_names = error;
}

void sim_disk_cut_recycle(struct sim_disk *disk, uint32_t at)
{
	disk->cut_recycle = at;
}

void sim_disk_lie(struct sim_disk *disk, enum sim_disk_lie lie, uint32_t count)
{
	disk->lie = lie;
	disk->lie_count = count;
}

void sim_disk_flip_fetch(struct sim_disk *disk, uint32_t count)
{
	disk->flip_fetch = count;
}

void sim_disk_die(struct sim_disk *disk, uint32_t count)
{
	disk->die = count;
}

bool sim_disk_is_dead(const struct sim_disk *disk)
{
	return disk->dead;
}

const struct sim_disk_fired *sim_disk_fired(const struct sim_disk *disk)
{
	return &disk->fired;
}

void sim_disk_space(struct sim_disk *disk, uint64_t bytes)
{
	disk->space = bytes;
}

void sim_disk_fail_fetch(struct sim_disk *disk, uint32_t count)
{
	disk->fail_fetch = count;
}

void sim_disk_short_fetch(struct sim_disk *disk, uint32_t count)
{
	disk->short_fetch = count;
}

void sim_disk_bad_block(struct sim_disk *disk, uint32_t number, uint32_t block)
{
	disk->bad_segment = number;
	disk->bad_block = block;
}

void sim_disk_delay(struct sim_disk *disk, uint32_t ticks_max)
{
	disk->delay_max = ticks_max;
}

uint8_t *sim_disk_segment(struct sim_disk *disk, uint32_t number, uint64_t *bytes)
{
	*bytes = disk->segments[number].bytes;
	return disk->segments[number].there ? disk->segments[number].visible : NULL;
}

void sim_disk_flip(struct sim_disk *disk, uint32_t number, uint64_t bit)
{
	disk->segments[number].visible[bit / 8] ^= (uint8_t)(1u << bit % 8);
	disk->segments[number].durable[bit / 8] ^= (uint8_t)(1u << bit % 8);
}

void sim_disk_remove(struct sim_disk *disk, uint32_t number)
{
	free(disk->segments[number].visible);
	free(disk->segments[number].durable);
	memset(&disk->segments[number], 0, sizeof(disk->segments[number]));
}

void sim_disk_rename(struct sim_disk *disk, uint32_t from, uint32_t to)
{
	sim_disk_remove(disk, to);
	disk->segments[to] = disk->segments[from];
	memset(&disk->segments[from], 0, sizeof(disk->segments[from]));
}
