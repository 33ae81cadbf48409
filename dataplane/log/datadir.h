/* SPDX-License-Identifier: Apache-2.0 */
/*
 * datadir.h - the data directory of a node: who it belongs to, and that one daemon at a time uses
 *it.
 *
 *	abaft.id   the format's version and the node's random identity; written atomically
 *	lock       held by flock() for as long as somebody uses the directory; names the holder
 *	log-NNN/   one commit log per worker, and the kept log (log.h)
 *	checkpoint-XXXXXXXX  checkpoints (filedev.h)
 *
 * Called by the daemon's start and by the tools, before any worker runs. No thread of its own.
 */
#ifndef ABAFT_LOG_DATADIR_H
#define ABAFT_LOG_DATADIR_H

#include <stddef.h>
#include <stdint.h>

#include <abaft/limits.h>

#define DATADIR_FORMAT	   2 /* and 1, which becomes 2 when a daemon opens it */
#define DATADIR_PATH_BYTES 4096

struct datadir {
	char path[DATADIR_PATH_BYTES];
	uint8_t node_id[16];
	uint32_t logs[ABAFT_LOGS_MAX]; /* numbers of the logs that are there, ascending */
	uint32_t logs_count;
	uint32_t format; /* as it was found */
	int fd;		 /* the directory */
	int lock_fd;	 /* holds the lock */
};

/*
 * Opens the data directory at `path` for a daemon, or creates it (with a new random identity).
 * From then on it is of DATADIR_FORMAT, and older programs refuse it.
 * Returns 0, -EBUSY (another process uses it), -EBADMSG (the identity is damaged, missing beside
 * logs, or of another format), -EINVAL (an entry beginning with "log-" is no log that there
 * can be), or what a syscall said; `why` gets a sentence for people.
 */
int datadir_open(struct datadir *dir, const char *path, char *why, size_t why_bytes)
	__attribute__((warn_unused_result));

/* Opens an existing data directory for reading: creates nothing, and is refused with -EBUSY while
 * a daemon uses it. Readers do not exclude each other. */
int datadir_inspect(struct datadir *dir, const char *path, char *why, size_t why_bytes)
	__attribute__((warn_unused_result));

/* The same beside whoever uses it, without a lock: for a backup, which knows what may change. */
int datadir_look(struct datadir *dir, const char *path, char *why, size_t why_bytes)
	__attribute__((warn_unused_result));

void datadir_close(struct datadir *dir);

#endif
