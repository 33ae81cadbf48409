/* SPDX-License-Identifier: Apache-2.0 */
/*
 * logdev.h - the seam between the log and a disk: one device is one log's directory of segments.
 *
 * log.c, segment.c and recover.c run unchanged over logdev_uring.c (io_uring, O_DIRECT) and over
 * the simulated disk of the tests (tests/lib/logdev_sim.c), which loses, tears and fails what a
 * real one may. What a device promises:
 *
 * I1. What `write` names is durable once its completion says 0: the bytes are written, then they
 *     or the whole file are synced, then the completion is given. Completions come in any order.
 * I2. Until then any of its 512-byte sectors may or may not survive a crash, in any combination;
 *     other sectors are not touched.
 *     A device of which several writers could hold one log (`fences`) refuses what another one
 * wrote at the same place: -ESTALE. Its segments may be recycled by none. I3. `create` gives the
 * file its name only when its zeros are durable, and returns when its name is. A file that was cut
 * short in the making is never listed.
 *
 * Errors are negative errnos. "Any thread" calls may run beside the owner's.
 */
#ifndef ABAFT_LOG_LOGDEV_H
#define ABAFT_LOG_LOGDEV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Segments that writes in flight may be in, at most: slots of the registered file table. */
#define LOGDEV_SLOTS 8

struct logdev;

struct logdev_write {
	uint32_t slot;	 /* of attach() */
	uint32_t buffer; /* of start() */
	uint32_t bytes;	 /* from the buffer's begin; a multiple of the block */
	uint64_t offset; /* in the segment; a multiple of the block */
	uint64_t tag;	 /* comes back */
	bool sync;	 /* false: done when written (benchmarks) */
	bool dsync;	 /* with sync: by the write's own flag, not by syncing the file */
};

struct logdev_fetch {
	struct logdev *from; /* whose handle it is: this device, or that of another log */
	int handle;
	uint32_t buffer; /* of start_reads() */
	uint32_t bytes;	 /* to the buffer's begin; a multiple of from->sector */
	uint64_t offset; /* as bytes */
	uint64_t tag;	 /* comes back with LOGDEV_FETCH set */
};
#define LOGDEV_FETCH (UINT64_C(1) << 63)

struct logdev_done {
	uint64_t tag;
	int result; /* 0 or a negative errno; of a fetch: the bytes read, fewer at the file's end */
};

struct logdev_ops {
	/* Segments; any thread. list: fills at most `max` numbers in any order, returns how many,
	 * -E2BIG when there are more, -ENOENT when there is no log. */
	int (*list)(struct logdev *dev, uint32_t *numbers, size_t max);
	int (*create)(struct logdev *dev, uint32_t number, uint64_t bytes);
	int (*open)(struct logdev *dev, uint32_t number, uint64_t *bytes);
	void (*close)(struct logdev *dev, int handle);
	/* Whole blocks into aligned memory. Returns the bytes read: fewer only at the end. */
	ssize_t (*read)(struct logdev *dev, int handle, uint8_t *to, size_t bytes, uint64_t offset);
	int (*sync)(struct logdev *dev, int handle);
	int (*sync_names)(struct logdev *dev);
	/* The file goes; durable at the next sync_names, create or recycle. */
	int (*remove)(struct logdev *dev, uint32_t number);
	/* The file of `from`, which nobody reads any more, becomes segment `to`: its first block is
	 * zeroed and synced, then it gets its name, durably. The rest keeps its old bytes. */
	int (*recycle)(struct logdev *dev, uint32_t from, uint32_t to);
	/* With `fences`, when the first write to segment `number` is durable: 0, or -ESTALE: the
	 * log is not the one that was listed any more, but one that somebody else has gone on
	 * with. */
	int (*fenced)(struct logdev *dev, uint32_t number);

	/* Writing; the owner thread, but for start, which comes before its first call. */
	int (*start)(struct logdev *dev, uint8_t *const *buffers, uint32_t count, uint32_t bytes);
	int (*attach)(struct logdev *dev, uint32_t slot,
		      int handle); /* handle may then be closed */
	void (*write)(struct logdev *dev, const struct logdev_write *write); /* only queues */
	/* Reading, the owner thread; start_reads as start. */
	int (*start_reads)(struct logdev *dev, uint8_t *const *buffers, uint32_t count,
			   uint32_t bytes);
	void (*fetch)(struct logdev *dev, const struct logdev_fetch *fetch); /* only queues */
	int (*submit)(struct logdev *dev); /* starts what is queued */
	uint32_t (*poll)(struct logdev *dev, struct logdev_done *done, uint32_t max);
	int (*wait)(struct logdev *dev); /* blocks until poll() has something */
	int (*sleep_fd)(struct logdev *dev);

	void (*destroy)(struct logdev *dev);
};

struct logdev {
	const struct logdev_ops *ops;
	bool threads;	 /* segments are made ahead by a thread; else within the owner's calls */
	bool fences;	 /* log.c, F1 to F5 */
	bool catches_up; /* start() is wanted of a closed log, too, without buffers */
	uint32_t sector; /* what fetches are multiples of: a power of two, at most the block */
	uint32_t group_bytes; /* what it would have groups stay within; 0: no matter */
	/* With `fences`: to whom a segment made by create() belongs. One of that number and
	 * incarnation stays as it is; one of a lower incarnation goes. */
	uint32_t incarnation;
};

/*
 * The device of dir/log-NNN. Takes the log's own lock and keeps it until the last write in flight
 * has ended, even those of a process that was killed: a successor never reads under them. With
 * `create` makes the directory if it is not there. `why` gets a sentence.
 */
int logdev_uring_create(struct logdev **out, const char *dir, uint32_t number, bool create,
			char *why, size_t why_bytes) __attribute__((warn_unused_result));

#endif
