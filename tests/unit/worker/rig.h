/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rig.h - workers on threads of their own with the real core and hand-over, a port that is a list
 * of frames, and a log that becomes durable when the test says so.
 *
 * rig.c defines the log_*() functions itself: the worker under test is linked without the log.
 */
#ifndef ABAFT_TESTS_WORKER_RIG_H
#define ABAFT_TESTS_WORKER_RIG_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include <abaft/limits.h>
#include <abaft/wire.h>

#include "dataplane/log/log.h"
#include "dataplane/net/host.h"
#include "dataplane/net/port.h"
#include "dataplane/post.h"
#include "dataplane/worker.h"
#include "tests/lib/telemetry_memory.h"

#define RIG_WORKERS_MAX 2
#define RIG_FRAMES_MAX	4096
#define RIG_UDP_PORT	7400
/* What takes longer in a worker of the rig is slow. */
#define RIG_SLOW_NS	20000000

/* Records stand in `file` at their places. */
struct log {
	pthread_mutex_t lock;
	uint64_t appended, durable;
	bool held;	 /* nothing becomes durable */
	bool reads_held; /* no read ends */
	int error;
	int fd;
	struct log_read reads[ABAFT_FETCHES_MAX]; /* a ring */
	uint64_t wanted, ended, taken;
	uint64_t place;
	uint32_t used;
	uint8_t file[4 << 20];
};

/* What a log says that is held and has something to write. */
#define RIG_STALLED_US 1500000

struct rig_port {
	struct port port;
	pthread_mutex_t lock;
	int fd;
	struct frame waiting[RIG_FRAMES_MAX];
	uint32_t waiting_count, taken;
	/* What was sent, and how many frames there are in all. */
	struct frame sent[RIG_FRAMES_MAX];
	uint32_t sent_count, made, gone;
};

struct rig {
	uint32_t workers;
	struct store *store;
	struct node *node[RIG_WORKERS_MAX];
	struct log log[RIG_WORKERS_MAX];
	struct rig_port port; /* worker 0's; the others have none */
	struct handover *handover;
	struct post post; /* worker 0's */
	struct worker_group group;
	struct worker *worker[RIG_WORKERS_MAX];
	/* Of a worker that has ended. */
	struct worker_counters counters[RIG_WORKERS_MAX];
	struct node_counters node_counters[RIG_WORKERS_MAX];
	struct telemetry_memory telemetry[RIG_WORKERS_MAX]; /* read it when they have ended */
	pthread_t thread[RIG_WORKERS_MAX];
	int ended[RIG_WORKERS_MAX];

	uint32_t ids;
	uint32_t frame_room;
};

void rig_start(struct rig *rig, uint32_t workers);
/* The same, and no large value stays in memory. A worker can only read back what it wrote. */
void rig_start_cold(struct rig *rig, uint32_t workers);
/* Stops, joins; fails the test unless every frame made was sent or released. */
void rig_stop(struct rig *rig);
/* A UUIDv7 of now that this worker owns. */
void rig_id(struct rig *rig, uint8_t id[16], uint32_t worker);
/* Puts a UDP frame with this payload before worker 0's port. */
void rig_send(struct rig *rig, uint16_t udp_port, const uint8_t *payload, uint32_t bytes);
/* The same for any bytes of a frame. */
void rig_send_frame(struct rig *rig, const uint8_t *bytes, uint32_t count, uint32_t flags);
/* From now on frames have this much room. */
void rig_frame_room(struct rig *rig, uint32_t bytes);
/* Waits until `count` answers have been sent in all (bounded); returns how many there are. */
uint32_t rig_wait_sent(struct rig *rig, uint32_t count);
/* Status of the last result, or of the refusal, in answer `i`; -1 if it is no answer. */
int rig_status(struct rig *rig, uint32_t i);
/* How many answers have this status. */
uint32_t rig_count(struct rig *rig, int status);
void rig_hold(struct rig *rig, uint32_t worker, bool held);
void rig_hold_reads(struct rig *rig, uint32_t worker, bool held);
/* Turns bits of all that the worker's log holds. */
void rig_damage(struct rig *rig, uint32_t worker);
void rig_fail(struct rig *rig, uint32_t worker, int error);
/* Asks worker 0 and waits for its answer (bounded). */
bool rig_ask(struct rig *rig, enum post_question question);

#endif
