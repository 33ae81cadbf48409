/* SPDX-License-Identifier: Apache-2.0 */
/*
 * redis_bed.h - the Redis driver without a network: each connection that it wants is a pair of
 * sockets, whose other end the test plays. One thread; nothing waits.
 */
#ifndef ABAFT_TESTS_REDIS_BED_H
#define ABAFT_TESTS_REDIS_BED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dataplane/engine/driver.h"

#define REDIS_BED_SERVERS 32
#define REDIS_BED_ENDED	  64
#define REDIS_BED_TEXT	  8192

/* A connection that the driver made, in the order in which it did. */
struct redis_bed_server {
	char place[160]; /* HOST:PORT */
	int fd;		 /* ours; -1: closed by us */
};

struct redis_bed {
	struct engine_driver *driver;
	struct engine_counters counters;
	struct redis_bed_server servers[REDIS_BED_SERVERS];
	uint32_t server_count;
	int refuse; /* an errno: what connections get instead */
	struct engine_op *ended[REDIS_BED_ENDED];
	uint32_t ended_count;
	void (*on_end)(struct redis_bed *bed, struct engine_op *op); /* NULL: nothing */
	int wake;
	char text[REDIS_BED_TEXT];
	char why[ENGINE_WHY_BYTES]; /* of what failed */
};

/* Of redis://seed:7000/p; password NULL: none. False: it cannot be made; bed->why says why. */
bool redis_bed_open(struct redis_bed *bed, const char *user, const char *password, uint32_t links);
void redis_bed_close(struct redis_bed *bed);
/* Begins it, to be done within `ms`. */
void redis_bed_begin(struct redis_bed *bed, struct engine_op *op, uint32_t ms);
/* Until nothing more happens. */
void redis_bed_run(struct redis_bed *bed);
/* What came at a server since, as "WORD WORD;WORD;" or "closed"; runs first. Bytes that are no RESP
 * stand there as they are. */
const char *redis_bed_heard(struct redis_bed *bed, uint32_t server);
/* Answers, and runs. */
void redis_bed_say(struct redis_bed *bed, uint32_t server, const char *bytes);
void redis_bed_say_bytes(struct redis_bed *bed, uint32_t server, const void *bytes, size_t count);
void redis_bed_hang_up(struct redis_bed *bed, uint32_t server);

#endif
