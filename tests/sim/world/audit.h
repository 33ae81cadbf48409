/* SPDX-License-Identifier: Apache-2.0 */
/*
 * audit.h - whether a node's telemetry tells the truth.
 *
 * Each worker of a life counts into memory of the audit's, which begins as zeros. The audit stands
 * at the ports and before the logs' disks: it sees each request that comes, each answer that
 * leaves, each write, and when; of these it makes its own account. When the life ends, however it
 * does, what the workers counted must agree with itself and with that account, else the run fails
 * by the rule "telemetry". A request that is still in the node may be counted or not; after an end
 * in good order there is none, and all must be equal. The relations stand in audit_check.c, what is
 * asked of each slow request in audit.c.
 */
#ifndef ABAFT_TESTS_AUDIT_H
#define ABAFT_TESTS_AUDIT_H

#include <stdbool.h>
#include <stdint.h>

#include <abaft/limits.h>

struct audit;
struct log;
struct logdev;
struct node;
struct telemetry;
struct worker;
struct world;

/* What is noted of a frame that a worker has taken; belongs to who has the frame. */
struct audit_frame {
	uint64_t arrival_ns; /* at the port; 0: nobody says so to the worker */
	uint64_t received_ns;
	uint32_t bytes; /* of the request; 0: it is none */
	uint8_t request[ABAFT_PACKET_BYTES_MAX];
};

/* What has ended. */
struct audit_end {
	uint32_t workers;
	struct worker *const *worker;
	struct node *const *node;
	struct log *const *log;
	bool orderly; /* nothing was under way any more */
};

/* Takes no random numbers: the run is the same with it and without. With the option no_telemetry
 * there is nothing to audit: no call does anything. */
struct audit *audit_create(struct world *world, uint32_t workers_max);
void audit_destroy(struct audit *audit);
/* A life begins: all is forgotten. */
void audit_begin(struct audit *audit, uint32_t workers);
/* Where that worker, its node and its log count. */
struct telemetry *audit_telemetry(struct audit *audit, uint32_t worker);
/* The node's monotonic clock, before each pass and when a frame arrives. */
void audit_time(struct audit *audit, uint64_t mono_us);

/* A frame has arrived at a port; the time that the worker is told, 0 in some runs. */
uint64_t audit_arrived(const struct audit *audit);
/* A worker took that frame from its port, or gives it to its port to be sent. */
void audit_received(struct audit *audit, uint32_t worker, const uint8_t *frame, uint32_t bytes,
		    struct audit_frame *out);
void audit_sent(struct audit *audit, uint32_t worker, const uint8_t *frame, uint32_t bytes,
		const struct audit_frame *request);

/* That worker's log will write to this device: by way of the audit, from now on. */
void audit_device(void *audit, uint32_t log, struct logdev *dev);

void audit_end(struct audit *audit, const struct audit_end *end);

#endif
