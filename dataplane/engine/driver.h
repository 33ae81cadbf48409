/* SPDX-License-Identifier: Apache-2.0 */
/*
 * driver.h - one kind of storage, as the service thread (service.c) sees it. All calls are that
 * thread's. A driver does one try of an operation; retries, deadlines over all tries and the
 * comparison that N2 needs are the service's.
 *
 * D1. begin() never blocks and may end the operation before it returns. What cannot be sent yet
 *     waits inside the driver, bounded by what the service hands out (ENGINE_OPEN_MAX).
 * D2. end() is called exactly once for each begin(), with every item's `result` set, at
 *     own.try_until_us at the latest (-ETIMEDOUT).
 * D3. An operation that ends well in part (half a batch) ends with the first error; items that are
 *     done have result 0 and are not sent again by the next try: begin() sends those alone whose
 *     result is -EINPROGRESS, which the service set. At end() no item's is.
 * D4. Nothing secret stands in `why`, ever.
 * D5. A try ends in what engine.h says, or in one of these two, which no caller gets to see:
 *	-EBUSY	   the storage is asked too much; the next try waits longer
 *	-ENOTCONN  no connection, or it was lost; a PUT may have been done or not
 *     The service counts these and all others of engine_counters but the driver's own three.
 * D6. PUT_NEW says -EEXIST whenever something stands under the name. Whose it is the service finds
 *     out, by a GET (N2) whose op->own.parent is the PUT_NEW.
 * D7. run() comes back soon after it has ended something, so that what waits can begin.
 */
#ifndef ABAFT_ENGINE_DRIVER_H
#define ABAFT_ENGINE_DRIVER_H

#include <time.h>

#include "dataplane/engine/engine.h"

/* Operations that a driver holds at most. */
#define ENGINE_OPEN_MAX 1024

struct engine_driver;

struct engine_driver_ops {
	void (*begin)(struct engine_driver *driver, struct engine_op *op);
	/* Does what is ready; waits for at most timeout_ms (-1: for ever), but not once `wake_fd`
	 * is readable. */
	void (*run)(struct engine_driver *driver, int wake_fd, int timeout_ms);
	/* Ends all it has with -ECANCELED first. */
	void (*destroy)(struct engine_driver *driver);
};

struct engine_driver {
	const struct engine_driver_ops *ops;
	struct engine_caps caps;
	struct engine_counters *counters; /* round_trips, get_bytes, put_bytes are the driver's */
	/* Set by the service before the first begin(). */
	void (*end)(void *arg, struct engine_op *op, int result);
	void *end_arg;
	char why[ENGINE_WHY_BYTES]; /* of the last error, a sentence */
};

/* The only way to count: others read meanwhile. The service's thread. */
static inline void engine_count(uint64_t *counter, uint64_t n)
{
	__atomic_store_n(counter, *counter + n, __ATOMIC_RELAXED);
}

/* The clock of until_us. */
static inline uint64_t engine_now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

/* A parsed engine_config.url. */
struct engine_url {
	char scheme[16];
	char host[128]; /* of the server; bucket of s3, table of dynamodb, name of memory */
	uint16_t port;	/* 0: none was given */
	char prefix[ENGINE_PREFIX_BYTES]; /* [A-Za-z0-9._/-], no / at its ends; "" */
	char endpoint[256];		  /* http://HOST[:PORT] or https://…, no / behind it */
	char region[64];		  /* default us-east-1 */
	char options[512];		  /* memory: all behind the ? */
};

struct engine_credentials {
	char user[128];
	char password[256];
	char access_key[128];
	char secret_key[256];
	char session_token[2048];
	char ca_file[256]; /* of TLS; "": the system's */
	/* Who we are, to a Redis that wants a certificate of its clients; "": nobody. */
	char certificate_file[256];
	char key_file[256];
};

/* Each makes its driver; none connects yet. 0, -EINVAL or -ENOMEM, with a sentence. */
int redis_driver_create(struct engine_driver **out, const struct engine_url *url,
			const struct engine_credentials *credentials,
			const struct engine_config *config, char *why)
	__attribute__((warn_unused_result));
int s3_driver_create(struct engine_driver **out, const struct engine_url *url,
		     const struct engine_credentials *credentials,
		     const struct engine_config *config, char *why)
	__attribute__((warn_unused_result));
int dynamodb_driver_create(struct engine_driver **out, const struct engine_url *url,
			   const struct engine_credentials *credentials,
			   const struct engine_config *config, char *why)
	__attribute__((warn_unused_result));
int memory_driver_create(struct engine_driver **out, const struct engine_url *url,
			 const struct engine_credentials *credentials,
			 const struct engine_config *config, char *why)
	__attribute__((warn_unused_result));

#endif
