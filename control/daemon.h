/* SPDX-License-Identifier: Apache-2.0 */
/*
 * daemon.h - everything a node consists of, started in order and taken down in reverse.
 *
 *	devices - EAL - telemetry - what is there (devices_meet()) - store and nodes - shelf,
 *	restart, logs (storage.h) - steering - port - hand-over rings - workers - their threads -
 *	keeper
 *
 * A stop takes them down in reverse, but for the keeper: when workers have ended it writes a last
 * checkpoint, if anything was committed, so that the next start has no log to read.
 *
 * A storage engine may be down when the node starts or stops: a start waits for it, until a signal
 * comes; a stop waits WORKER_DRAIN_MS_MAX for commits that clients wait for, and
 * DAEMON_ENGINE_STOP_MS for all else.
 *
 * Main thread only. What is started is noted, so that daemon_stop() undoes exactly that, also when
 * a start failed half way.
 */
#ifndef ABAFT_CONTROL_DAEMON_H
#define ABAFT_CONTROL_DAEMON_H

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

#include <abaft/limits.h>

#include "control/config.h"
#include "control/devices.h"
#include "control/faults.h"
#include "control/metrics.h"
#include "control/report.h"
#include "control/steer.h"
#include "control/storage.h"
#include "control/telemetry.h"
#include "control/watchers.h"
#include "dataplane/net/host.h"
#include "dataplane/net/port_dpdk.h"
#include "dataplane/net/steer_port.h"
#include "dataplane/worker.h"

#define DAEMON_WHY_BYTES      640
/* More than a last checkpoint may take. */
#define DAEMON_ENGINE_STOP_MS 15000

struct daemon_thread {
	pthread_t thread;
	struct daemon *daemon;
	uint32_t number;
	int cpu; /* it is pinned to; -1: to none */
	struct worker *worker;
	struct steer_port *steer; /* NULL: the kernel steers, or it has no queue */
	int err;
	bool running;
};

struct daemon {
	const struct config *config;
	const struct report *report;
	uint32_t workers;
	struct port_spec spec;
	struct devices devices;
	struct store *store;
	struct node *nodes[ABAFT_WORKERS_MAX];
	struct storage storage;
	struct steer steer;
	struct steer_rules rules;
	struct port_device *device;
	struct host host;
	struct handover *handover;
	struct worker_group group;
	struct daemon_thread threads[ABAFT_WORKERS_MAX];
	struct telemetry_maps telemetry;
	char unpinned[TELEMETRY_WHY_BYTES]; /* why there are no maps; empty: there are */
	struct metrics *metrics;	    /* NULL: not served */
	struct watchers watchers;
	cpu_set_t allowed; /* CPUs of the process, before DPDK pinned the main thread */
	bool eal, steered;
};

/*
 * 0, or negative errno with a sentence in why[DAEMON_WHY_BYTES]; call daemon_stop() then too.
 * -EINTR: one of `signals`, which all threads block, came while the storage engine was waited for,
 * and was taken; `why` is its name.
 */
int daemon_start(struct daemon *daemon, const struct config *config, const struct report *report,
		 const sigset_t *signals, char *why) __attribute__((warn_unused_result));
/* Watches the kernel's side of the workers, if that is wanted. Loading the programs takes a good
 * part of a second: after the node is ready. */
void daemon_watch(struct daemon *daemon);
/* Drains, seals, detaches, frees. 0, or the first negative errno (each is reported). */
int daemon_stop(struct daemon *daemon);
/* How many passes a worker has made, and one more of it, also if it sleeps. */
uint64_t daemon_passes(const struct daemon *daemon, uint32_t worker);
void daemon_kick(struct daemon *daemon, uint32_t worker);
/* What the workers and the keeper see of the disk, and how the storage engine is, at `mono_us`.
 * Called each second, so that metrics know whether the node is ready. */
void daemon_faults(struct daemon *daemon, struct faults_seen *out, uint64_t mono_us);

#endif
