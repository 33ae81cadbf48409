/* SPDX-License-Identifier: Apache-2.0 */
/*
 * memory_driver.h - storage in this process's memory, for tests and benchmarks: as slow, as
 * unreliable and as small as it is told to be.
 *
 *	memory:[NAME][?OPTION=VALUE[&…]]
 *
 * Engines of one NAME share a store, with its faults; without a name each has its own. A store is
 * there as long as an engine or memory_store_hold() holds it. Options:
 *
 *	seed=N		     of all that is random here
 *	get, put, put_new, delete, list=MEDIAN/P99   of a request, in µs, log-normal; latency=: all
 *	error=P		     a try fails without effect (-ENOTCONN). P: a probability, 0 to 1
 *	throttle=P	     a try is told that it is too much (-EBUSY)
 *	lost=P		     a try is done, but its acknowledgement lost (-ETIMEDOUT)
 *	late=P/MS	     a write times out, and is done so much later
 *	partial=P	     half of a try's items, at random, are not done (-EBUSY)
 *	stale=MS	     GET and LIST miss what was written in the last so many ms
 *	lose=P		     an object is acknowledged and thrown away
 *	full=BYTES	     more is refused (-ENOSPC); 0: no end
 *	denied=yes|no	     credentials are wrong (-EACCES)
 *	down=yes|no|FROM/TO  no connection (-ENOTCONN), or from and to when, in ms from now. What is
 *			     under way then is done or not
 *	conditional=no, ranges=no, value_max=N, batch_max=N, delete_max=N   capabilities, of engines
 *			     that are opened from then on
 *
 * A try that would take longer than it may ends with -ETIMEDOUT, done or not.
 */
#ifndef ABAFT_ENGINE_MEMORY_DRIVER_H
#define ABAFT_ENGINE_MEMORY_DRIVER_H

#include <stdint.h>

struct memory_store;

/* The store of that name, empty if it is new; NULL: no memory. Any thread, as all of these. */
struct memory_store *memory_store_hold(const char *name) __attribute__((warn_unused_result));
void memory_store_release(struct memory_store *store);
/* From now on, beside those that were set before. 0, or -EINVAL with a sentence
 * (ENGINE_WHY_BYTES): then those before the wrong one are set. */
int memory_store_options(struct memory_store *store, const char *options, char *why)
	__attribute__((warn_unused_result));
uint64_t memory_store_objects(struct memory_store *store);
uint64_t memory_store_bytes(struct memory_store *store);
/* Takes an object away, as if it had never been written: 0 or -ENOENT. */
int memory_store_drop(struct memory_store *store, const char *dir, const char *leaf)
	__attribute__((warn_unused_result));

#endif
