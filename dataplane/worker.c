/* SPDX-License-Identifier: Apache-2.0 */
/*
 * worker.c - the loop. One pass:
 *
 *	clocks - rx burst: parse all, prefetch for all, route each - requests of other workers -
 *	slots that come back - log completions, which answer parked commits and bring values back -
 *	requests that waited for these - one log submission - timers - tx
 *
 * A pass never waits for more to come. Idle, the worker spins, then pauses, then sleeps on the
 * port, the log and its wake-up descriptor together.
 */
#include "dataplane/worker.h"

#include <ck_pr.h>
#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include <abaft/limits.h>

#include "dataplane/core/node.h"
#include "dataplane/log/log.h"
#include "dataplane/net/port.h"
#include "dataplane/net/steer_port.h"
#include "dataplane/post.h"
#include "dataplane/worker_impl.h"
#include "dataplane/worker_info.h"
#include "dataplane/xcore/handover.h"

/* Idle for less than this: look again at once. A sleep costs about 6 us to get out of. */
#define SPIN_US	      10
/* Idle for less than this: look again after a pause instruction or a few. */
#define PAUSE_US      40
#define PAUSES	      32
/* A sync or a read takes 100 us or more and needs the CPU for the kernel's own threads. */
#define LOG_SPIN_US   5
#define YIELD_US      20
/* Ports without a descriptor are looked at this often in sleep, slower the longer it is idle. */
#define NAP_US_MIN    50
#define NAP_US_MAX    1000
/* Told to stop, the worker still lets open transactions end for this long. */
#define DRAIN_OPEN_US 1000000
/* While others drain. */
#define DRAIN_NAP_US  2000
/* While a write is with the disk, which may stand still: who asks is told how long it does. */
#define STALL_NAP_US  (ABAFT_LOG_STALL_MS * 1000 / 4)
#define SLEEP_US_MAX  UINT64_C(60000000)
/* Cold reads that have ended, taken at a time. */
#define READS_DONE    64
/* The log's counters are copied for readers this often, and before each sleep. */
#define PUBLISH_US    10000

static void note_log_error(struct worker *w, int err)
{
	struct log_stats stats;

	log_stats(w->config.log, &stats);
	ck_pr_store_int(&w->log_no_room, stats.no_room);
	ck_pr_store_int(&w->log_error, err);
	if (err != 0 && err != -ENOSPC)
		ck_pr_store_int(&w->config.group->log_failed, err);
}

static void serve_reads(struct worker *w)
{
	struct log_read_done done[READS_DONE];
	uint32_t count;

	do {
		count = log_read_done(w->config.log, done, READS_DONE);
		for (uint32_t i = 0; i < count; i++)
			node_read_done(w->config.node, done[i].tag, done[i].result);
		w->worked |= count != 0;
	} while (count == READS_DONE);
	node_fetched(w->config.node, worker_slot_again, w);
	damage_publish(&w->damage, node_damage(w->config.node));
}

static void serve_log(struct worker *w, struct now now)
{
	uint64_t durable;
	int err;

	if (log_busy(w->config.log) || w->fetching != 0)
		worker_times_end(w);
	durable = log_poll(w->config.log);
	if (durable != w->durable) {
		w->durable = durable;
		if (w->telemetry != NULL)
			w->durable_ns = w->telemetry->now_ns;
		w->worked = true;
		node_durable(w->config.node, durable, worker_commit_done, w);
		if (w->telemetry != NULL)
			telemetry_runs_end(w->telemetry);
	}
	serve_reads(w);
	if (w->config.post != NULL && post_serve(w->config.post, w->config.node, w->config.log))
		w->worked = true;
	err = log_error(w->config.log);
	if (err != w->log_error)
		note_log_error(w, err);
	ck_pr_store_64(&w->log_stalled_us, log_stalled_us(w->config.log));
	/* Full is not failed: what was taken still becomes durable. */
	if (err != 0 && err != -ENOSPC && w->parked != 0) {
		w->durable_ns = 0;
		node_log_failed(w->config.node, worker_commit_done, w);
	}
	/* Executed since, when their values were here: before they are on their way to the disk. */
	if (w->timed.count != 0 && log_busy(w->config.log))
		worker_times_end(w);
	log_submit(w->config.log, now);
}

/* For readers of the maps: what the log counts for itself. Number by number, as a reader must never
 * meet one that is half written. */
static void publish(struct worker *w)
{
	uint64_t *to = (uint64_t *)w->telemetry->log;
	struct log_counters now;
	struct log_stats stats;

	log_stats(w->config.log, &stats);
	w->publish_us = w->now_us;
	now = (struct log_counters){
		.records = stats.records,
		.record_bytes = stats.record_bytes,
		.groups = stats.groups,
		.group_bytes = stats.group_bytes,
		.segments = stats.segments,
		.recycled = stats.recycled,
		.reads = stats.reads,
		.read_bytes = stats.read_bytes,
		.device_reads = stats.device_reads,
		.read_errors = stats.read_errors,
		.stalled_us = stats.stalled_us,
		.error = (__u64)(w->log_error < 0 ? -w->log_error : 0),
		.no_room = (__u64)(stats.no_room < 0 ? -stats.no_room : 0),
	};
	for (size_t i = 0; i < sizeof(now) / sizeof(*to); i++)
		ck_pr_store_64(&to[i], ((const uint64_t *)&now)[i]);
}

static uint64_t pass(struct worker *w, struct now now)
{
	worker_times_begin(w);
	w->now_us = now.mono_us;
	w->unix_us = now.wall_us;
	if (w->start_us == 0)
		w->start_us = w->work_us = now.mono_us;
	if (w->stopping && w->stop_us == 0)
		w->stop_us = now.mono_us;
	w->worked = false;
	w->counters->passes++;
	node_pass_begin(w->config.node, now);
	if (w->config.port != NULL)
		worker_receive(w);
	worker_serve_peers(w);
	serve_log(w, now);
	w->tick_us = node_tick(w->config.node);
	worker_tx_flush(w);
	node_pass_end(w->config.node);
	handover_wake(w->config.handover, w->wake);
	w->wake = 0;
	if (w->telemetry != NULL && w->now_us - w->publish_us >= PUBLISH_US)
		publish(w);
	return w->worked || log_busy(w->config.log) || w->fetching != 0 ? 0 : w->tick_us;
}

uint64_t worker_pass(struct worker *w, struct now now)
{
	clock_set(&w->clock, now);
	return pass(w, now);
}

/* How long poll() may wait. */
static uint64_t sleep_us(const struct worker *w, bool port_is_silent)
{
	uint64_t us = w->tick_us < SLEEP_US_MAX ? w->tick_us : SLEEP_US_MAX;
	uint64_t nap = (w->now_us - w->work_us) / 4;

	if (port_is_silent) {
		nap = nap < NAP_US_MIN ? NAP_US_MIN : nap > NAP_US_MAX ? NAP_US_MAX : nap;
		us = us < nap ? us : nap;
	}
	if (w->stop_us != 0 && us > DRAIN_NAP_US)
		us = DRAIN_NAP_US;
	if (us > STALL_NAP_US && log_busy(w->config.log))
		us = STALL_NAP_US;
	return us;
}

static void sleep_now(struct worker *w)
{
	struct port *port = w->config.port;
	int port_fd = port == NULL ? -1 : port->ops->sleep_fd(port);
	uint64_t us = sleep_us(w, port != NULL && port_fd < 0);
	struct timespec ts = {.tv_sec = (time_t)(us / 1000000),
			      .tv_nsec = (long)(us % 1000000) * 1000};
	struct pollfd fds[3] = {
		{.fd = handover_sleep_fd(w->config.handover, w->config.number), .events = POLLIN},
		{.fd = log_sleep_fd(w->config.log), .events = POLLIN},
		{.fd = port_fd, .events = POLLIN},
	};

	if (us == 0 || !handover_sleep_begin(w->config.handover, w->config.number))
		return;
	w->counters->sleeps++;
	if (w->telemetry != NULL)
		publish(w);
	/* Whatever woke us, the next pass looks at everything. */
	(void)ppoll(fds, 3, &ts, NULL);
	handover_sleep_end(w->config.handover, w->config.number);
}

/* Between passes: go on at once, give way, pause or sleep. */
static void idle(struct worker *w)
{
	uint64_t idle_us = w->now_us - w->work_us;
	bool disk = log_busy(w->config.log) || w->fetching != 0;

	if (w->worked) {
		w->work_us = w->now_us;
		idle_us = 0;
	}
	/* The kernel's threads that end a sync may wait for this core; other workers' too. */
	if (w->config.yield && (w->config.workers > 1 || disk) &&
	    w->now_us - w->yield_us >= YIELD_US) {
		worker_times_end(w);
		sched_yield();
		w->yield_us = w->now_us;
	}
	if (w->config.poll || idle_us < (disk ? LOG_SPIN_US : SPIN_US))
		return;
	if (idle_us < PAUSE_US && !disk) {
		for (int i = 0; i < PAUSES; i++)
			ck_pr_stall();
		return;
	}
	sleep_now(w);
}

/*
 * First all workers serve until nobody has an open transaction, as a request may come by any
 * worker's port. Then I4: said once, and true from then on, as a closed worker takes nothing new.
 */
static void drain(struct worker *w)
{
	struct worker_group *group = w->config.group;
	bool late = w->now_us > w->stop_us + DRAIN_OPEN_US;

	if (!w->quiet && (late || node_counters(w->config.node)->txns_open == 0)) {
		w->quiet = true;
		ck_pr_inc_32(&group->quiet);
	}
	w->closed |= late;
	if (!w->closed && ck_pr_load_32(&group->quiet) != w->config.workers)
		return;
	if (w->drained || w->parked != 0 || w->fetching != 0 || w->lent != 0 ||
	    log_busy(w->config.log))
		return;
	w->closed = true;
	w->drained = true;
	ck_pr_inc_32(&group->drained);
}

bool worker_stopped(struct worker *w)
{
	struct worker_group *group = w->config.group;

	if (w->stop_us != 0) {
		drain(w);
	} else if (!w->stopping && ck_pr_load_32(&group->stop) != 0) {
		/* It may have slept for long: what it knows of the time is from before. */
		w->stopping = true;
		node_stop(w->config.node);
	}
	return ck_pr_load_32(&group->drained) == w->config.workers ||
	       (w->stop_us != 0 && w->now_us > w->stop_us + UINT64_C(1000) * WORKER_DRAIN_MS_MAX);
}

int worker_run(struct worker *w)
{
	while (!worker_stopped(w)) {
		(void)pass(w, clock_pass(&w->clock));
		idle(w);
	}
	worker_times_end(w);
	return ck_pr_load_32(&w->config.group->drained) == w->config.workers ? 0 : -ETIMEDOUT;
}

void worker_group_stop(struct worker_group *group, struct handover *handover, uint32_t workers)
{
	ck_pr_store_32(&group->stop, 1);
	for (uint32_t i = 0; i < workers; i++)
		handover_kick(handover, i);
}

static struct log *log_of(void *worker)
{
	return ((struct worker *)worker)->config.log;
}

static uint8_t *lend_reserve(void *worker, uint32_t bytes)
{
	return log_reserve(log_of(worker), bytes);
}

static uint64_t lend_append(void *worker, uint32_t bytes, uint8_t type, uint64_t *place)
{
	struct worker *w = worker;

	w->record = log_append(log_of(worker), bytes, type);
	*place = log_place(log_of(worker));
	return w->record;
}

static int lend_error(void *worker)
{
	const struct worker *w = worker;
	int err = log_error(w->config.log), failed = ck_pr_load_int(&w->config.group->log_failed);

	return failed != 0 && (err == 0 || err == -ENOSPC) ? failed : err;
}

static int lend_read(void *worker, const struct node_read *read)
{
	struct log_read wanted = {
		.place = read->place, .bytes = read->bytes, .to = read->to, .tag = read->tag};

	return log_read(log_of(worker), &wanted);
}

/* node_info_fn */
static uint32_t info(void *arg, char *text, uint32_t text_bytes)
{
	const struct worker *w = arg;
	struct worker_facts facts = {
		.version = w->config.version,
		.uptime_s = (w->now_us - w->start_us) / 1000000,
		.worker = w->config.number,
		.workers = w->config.workers,
		.parked = w->parked,
		.fetching = w->fetching,
		.damage = node_damage(w->config.node),
		.lent = w->lent,
		.tx_dropped = w->config.port == NULL ? 0 : w->config.port->tx_dropped,
		.log_error = w->log_error,
		.more = w->config.more,
		.more_arg = w->config.more_arg,
		.counters = w->counters,
		.node = node_counters(w->config.node),
		.steer = w->config.steer == NULL ? NULL : steer_port_counters(w->config.steer),
		.steer_bytes = w->config.steer == NULL ? NULL : steer_port_bytes(w->config.steer),
	};

	log_stats(w->config.log, &facts.log);
	return worker_info(&facts, text, text_bytes);
}

int worker_create(struct worker **out, const struct worker_config *config)
{
	struct node_log lent = {.reserve = lend_reserve,
				.append = lend_append,
				.error = lend_error,
				.read = lend_read};
	uint32_t slots = ABAFT_COMMITS_PENDING_MAX + ABAFT_FETCH_WAITERS_MAX + ABAFT_BURST +
			 WORKER_TX_FRAMES + (config->workers - 1) * (ABAFT_HANDOVER_RING - 1);
	struct worker *w = aligned_alloc(64, (sizeof(*w) + 63) / 64 * 64);

	if (w == NULL)
		return -ENOMEM;
	memset(w, 0, sizeof(*w));
	w->config = *config;
	w->telemetry = config->telemetry;
	w->counters = w->telemetry == NULL ? &w->own_counters : w->telemetry->worker;
	clock_init(&w->clock);
	lent.log = w;
	w->slots = config->port == NULL ? NULL : calloc(slots, sizeof(*w->slots));
	if (config->port != NULL && w->slots == NULL) {
		free(w);
		return -ENOMEM;
	}
	if (w->slots != NULL)
		worker_slots_init(w, slots);
	w->durable = log_durable(config->log);
	node_attach_log(config->node, &lent);
	node_set_info(config->node, info, w);
	*out = w;
	return 0;
}

void worker_destroy(struct worker *w)
{
	if (w == NULL)
		return;
	free(w->slots);
	free(w);
}

const struct worker_counters *worker_counters(const struct worker *w)
{
	return w->counters;
}

bool worker_damage(const struct worker *w, struct node_damage *out)
{
	return damage_read(&w->damage, out);
}

int worker_log_error(const struct worker *w)
{
	return ck_pr_load_int(&w->log_error);
}

int worker_log_no_room(const struct worker *w)
{
	return ck_pr_load_int(&w->log_no_room);
}

uint64_t worker_log_stalled_us(const struct worker *w)
{
	return ck_pr_load_64(&w->log_stalled_us);
}

uint32_t worker_parked(const struct worker *w)
{
	return w->parked;
}

int workers_log_error(struct worker *const workers[], uint32_t count, int *no_room)
{
	int full = 0;

	*no_room = 0;
	for (uint32_t i = 0; i < count; i++) {
		int err = worker_log_error(workers[i]);

		if (err != 0 && err != -ENOSPC) {
			*no_room = 0;
			return err;
		}
		if (err != 0 && full == 0) {
			full = err;
			*no_room = worker_log_no_room(workers[i]);
		}
	}
	return full;
}
