/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fetch.h - values on their way back from disk, and the requests that wait for them. One table per
 * worker, its thread only. cold.c asks it for what operations need.
 *
 *	request ──needs a cold value──▶ parked ──all its values are here──▶ executed, as if it came
 *	now
 *	value: READING ──log says done──▶ HERE, AGAIN, FAILED, CORRUPT ──its last waiter ran──▶ free
 *
 * F1. A request is parked before any write of it is executed: only its choice of versions has been
 *     noted in the read set, and reading repeats (P3). So executing it later is no repetition.
 * F2. A fetched value stays with the fetch until every request that waited for it has run: what is
 *     evicted meanwhile cannot make a request wait twice.
 * F3. A fetch names its version by address and number, and never follows the pointer: the version
 *     may be gone when the read ends. Who holds the version in its read set compares both.
 * F4. A value that fails its checksum is read once more at the version's place of then (cleaning
 *     may have moved it); if it fails again it is CORRUPT, and is never served.
 * F5. A request waits ABAFT_FETCH_MS_MAX at most; then it is answered READ_FAILED. The fetch and
 *     its memory stay until the device gives them back.
 */
#ifndef ABAFT_CORE_FETCH_H
#define ABAFT_CORE_FETCH_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include <abaft/limits.h>

#include "dataplane/core/mapper.h"
#include "dataplane/core/memory.h"
#include "dataplane/core/node.h"
#include "dataplane/core/version.h"

/* What became of a version's value. */
enum fetch_state {
	FETCH_NONE,    /* nobody asked for it yet */
	FETCH_READING, /* by the log, or waiting until the log takes it */
	FETCH_HERE,
	FETCH_AGAIN,   /* moved or damaged: to be read at the version's place of now */
	FETCH_FAILED,  /* the device said an error */
	FETCH_CORRUPT, /* F4 */
};

struct fetch_request;
struct fetch_wait;

/* One value. */
struct fetch {
	LIST_ENTRY(fetch) link; /* of its bucket, or free */
	STAILQ_ENTRY(fetch) later;
	TAILQ_HEAD(, fetch_wait) waits; /* in the order they came */
	const struct version *version;	/* F3 */
	struct vnum number;
	uint64_t place; /* of the write that was read last */
	uint8_t *value; /* a block of the store's memory */
	uint32_t bytes, crc, key_bytes;
	enum fetch_state state;
	uint64_t since_ns;	/* when it was asked for, by telemetry.now_ns */
	uint8_t stale, damaged; /* reads that found it gone, or not itself */
	bool given;		/* the block is the version's now, or was before it was evicted */
};

/* That a request waits for a value. */
struct fetch_wait {
	TAILQ_ENTRY(fetch_wait) of_fetch;
	SLIST_ENTRY(fetch_wait) of_request; /* or free */
	struct fetch *fetch;
	struct fetch_request *request;
	bool missing; /* counted in the request */
};

SLIST_HEAD(fetch_waits, fetch_wait);

/* A parked request. */
struct fetch_request {
	TAILQ_ENTRY(fetch_request) age; /* while it is not ready */
	STAILQ_ENTRY(fetch_request) ready;
	SLIST_ENTRY(fetch_request) free;
	struct fetch_waits waits;
	void *token;
	uint64_t until_us;
	uint32_t missing; /* values */
	bool late;	  /* F5 */
	bool parked;
};

#define FETCH_BUCKETS ABAFT_FETCHES_MAX

struct fetch_table {
	struct memory_cache *memory;
	const struct node_log *log;
	struct node_counters *counters;
	struct telemetry *telemetry; /* NULL: none */
	LIST_HEAD(fetch_list, fetch) free, bucket[FETCH_BUCKETS];
	STAILQ_HEAD(, fetch) later; /* the log had no room for them yet */
	struct fetch_waits waits_free;
	uint32_t waits_left;
	SLIST_HEAD(, fetch_request) requests_free;
	TAILQ_HEAD(fetch_age, fetch_request) age; /* by until_us */
	STAILQ_HEAD(, fetch_request) ready;
	struct fetch_request *running; /* NULL: the request that is executed never waited */
	uint32_t open;		       /* values */
	struct fetch all[ABAFT_FETCHES_MAX];
	struct fetch_wait wait[ABAFT_FETCH_WAITERS_MAX];
	struct fetch_request request[ABAFT_FETCH_WAITERS_MAX];
};

/* Of the node, which it is part of. 0 or -ENOMEM. */
int fetch_init(struct fetch_table **out, const struct mapper *mapper, struct memory_cache *memory,
	       const struct node_log *log, struct node_counters *counters)
	__attribute__((warn_unused_result));
/* Values that are still with it are not given back: the store's memory goes as a whole. */
void fetch_fini(struct fetch_table *table, const struct mapper *mapper);

/* The fetch of this version's value, or NULL. */
struct fetch *fetch_find(struct fetch_table *table, const struct version *version);
/* One for a large version, in state NONE and with memory for the value: start or drop it. 0, -EBUSY
 * (ABAFT_FETCHES_MAX) or -ENOMEM. */
int fetch_make(struct fetch_table *table, const struct version *version, struct fetch **out)
	__attribute__((warn_unused_result));
/* Nobody waits for it, and it is not READING. */
void fetch_drop(struct fetch_table *table, struct fetch *fetch);
/* Has it read, from NONE or AGAIN. Inside a pass in which the version is held. */
void fetch_start(struct fetch_table *table, struct fetch *fetch, const struct version *version);
/* Reads that the log had no room for; once per pass. */
void fetch_start_later(struct fetch_table *table);
/* A read has ended. */
void fetch_done(struct fetch_table *table, uint64_t tag, int result);

/*
 * The request being executed waits for all of `need`, in whatever state they are; those that are
 * NONE or AGAIN are to be started next. A request that runs again keeps its token and its time.
 * 0, or -EBUSY: ABAFT_FETCH_WAITERS_MAX.
 */
int fetch_park(struct fetch_table *table, struct fetch *const *need, uint32_t count, void *token,
	       uint64_t now_us) __attribute__((warn_unused_result));
/* The next request that can go on; it is `running` until fetch_ran(). False: there is none. */
bool fetch_next(struct fetch_table *table, void **token);
void fetch_ran(struct fetch_table *table);
/* True when only the running request waits for it. */
bool fetch_last(const struct fetch_table *table, const struct fetch *fetch);
/* Its value, which is HERE, becomes the version's: true, then the caller adds that to the cache.
 * False: another worker was faster, or it was given before, and may have been evicted since. */
bool fetch_give(struct fetch *fetch, struct version *version) __attribute__((warn_unused_result));
/* Requests that are out of time become ready (F5). Returns the microseconds until it should be
 * called again, 0: some are ready, UINT64_MAX: nobody waits. */
uint64_t fetch_tick(struct fetch_table *table, uint64_t now_us);

#endif
