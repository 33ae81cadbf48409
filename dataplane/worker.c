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
#include <time.h>

#include <abaft/error.h>
#include <abaft/limits.h>
#include <abaft/wire.h>

#include "dataplane/core/node.h"
#include "dataplane/damage.h"
#include "dataplane/log/log.h"
#include "dataplane/net/frame.h"
#include "dataplane/net/host.h"
#include "dataplane/net/port.h"
#include "dataplane/net/steer_port.h"
#include "dataplane/post.h"
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
#define SLEEP_US_MAX  UINT64_C(60000000)
#define TX_FRAMES     64
/* Cold reads that have ended, taken at a time. */
#define READS_DONE    64
/* Requests taken from one peer in one pass. */
#define BORROW_BURST  ABAFT_BURST

/* A request on its way: its frame, and in the frame's payload its answer. */
struct slot {
	struct slot *next;
	struct frame frame;
	struct frame_view view;
	uint32_t home;
	uint32_t answer_bytes; /* 0: release the frame */
};

struct worker {
	struct worker_config config;
	struct worker_counters counters;
	struct slot *slots;
	struct slot *free;
	uint32_t slots_free;
	uint32_t parked;   /* answers that wait for the log */
	uint32_t fetching; /* requests that wait for values */
	uint32_t lent;	   /* slots of ours with other workers */
	uint64_t wake;	   /* workers to wake at the end of the pass */
	uint64_t durable;
	uint64_t now_us; /* monotonic, of this pass */
	uint64_t start_us, work_us, yield_us, stop_us;
	uint64_t tick_us; /* pause the core allows */
	int log_error;
	int log_no_room;
	uint64_t log_stalled_us;
	bool worked;
	bool closed; /* refuses every request */
	bool quiet;
	bool drained;
	struct damage damage;
	uint32_t tx_count;
	struct frame tx[TX_FRAMES];
	uint8_t scratch[ABAFT_PACKET_BYTES_MAX];
};

static uint64_t clock_us(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

static struct slot *slot_take(struct worker *w)
{
	struct slot *slot = w->free;

	w->free = slot->next;
	w->slots_free--;
	return slot;
}

static void slot_free(struct worker *w, struct slot *slot)
{
	slot->next = w->free;
	w->free = slot;
	w->slots_free++;
}

static void tx_flush(struct worker *w)
{
	if (w->tx_count == 0)
		return;
	w->config.port->ops->tx(w->config.port, w->tx, w->tx_count);
	w->tx_count = 0;
}

static void tx_push(struct worker *w, const struct frame *frame)
{
	w->tx[w->tx_count++] = *frame;
	if (w->tx_count == TX_FRAMES)
		tx_flush(w);
}

/* The slot is at home: its answer leaves, or its frame goes back to the port. */
static void slot_send(struct worker *w, struct slot *slot)
{
	struct port *port = w->config.port;

	if (slot->answer_bytes == 0) {
		port->ops->release(port, &slot->frame);
	} else if (frame_reply(&slot->frame, &slot->view, (uint16_t)slot->answer_bytes) != 0) {
		w->counters.drop_frame++;
		port->ops->release(port, &slot->frame);
	} else {
		w->counters.answers++;
		tx_push(w, &slot->frame);
	}
	slot_free(w, slot);
}

static void slot_finish(struct worker *w, struct slot *slot)
{
	uint32_t home = slot->home;

	if (home == w->config.number) {
		slot_send(w, slot);
		return;
	}
	handover_give_back(w->config.handover, w->config.number, home, slot);
	w->wake |= UINT64_C(1) << home; /* the slot is no longer ours to read */
}

static uint8_t *slot_payload(const struct slot *slot)
{
	return slot->frame.data + slot->view.payload;
}

/* Refuses the whole request before the core executes anything of it. */
static void slot_refuse(struct worker *w, struct slot *slot, enum abaft_error status)
{
	uint32_t bytes = 0;

	if (!node_refuse(slot_payload(slot), slot->view.payload_len, w->scratch, &bytes,
			 (uint16_t)status, w->config.workers))
		bytes = 0;
	slot->answer_bytes = bytes;
	memcpy(slot_payload(slot), w->scratch, bytes);
	slot_finish(w, slot);
}

/* The first time, or once more when its values are here: until then it stays in its frame. */
static void slot_run(struct worker *w, struct slot *slot)
{
	uint32_t bytes = 0;
	enum node_verdict verdict = node_execute(w->config.node, slot_payload(slot),
						 slot->view.payload_len, w->scratch, &bytes, slot);

	if (verdict == NODE_FETCH) {
		w->fetching++;
		return;
	}
	if (verdict == NODE_DROP)
		bytes = 0;
	slot->answer_bytes = bytes;
	memcpy(slot_payload(slot), w->scratch, bytes);
	if (verdict == NODE_WAIT)
		w->parked++;
	else
		slot_finish(w, slot);
}

/* A request that is ours. */
static void slot_execute(struct worker *w, struct slot *slot)
{
	w->worked = true;
	w->counters.requests++;
	if (w->closed)
		slot_refuse(w, slot, ABAFT_STOPPING);
	else
		slot_run(w, slot);
}

/* node_again_fn */
static void slot_again(void *arg, void *token)
{
	struct worker *w = arg;

	w->worked = true;
	w->fetching--;
	slot_run(w, token);
}

/* Runs a request of our port or hands it to its owner. */
static void slot_route(struct worker *w, struct slot *slot)
{
	const struct abaft_wire_header *header = (const void *)slot_payload(slot);
	uint32_t owner = w->config.number;

	/* What is too short to have an owner is refused, and counted, by our own core. */
	if (slot->view.payload_len >= sizeof(*header))
		owner = node_owner(header->txn, w->config.workers);
	if (owner == w->config.number || w->closed) {
		slot_execute(w, slot);
		return;
	}
	if (!handover_lend(w->config.handover, w->config.number, owner, slot)) {
		w->counters.handover_full++;
		slot_refuse(w, slot, ABAFT_BUSY);
		return;
	}
	w->lent++;
	w->counters.handed_over++;
	w->wake |= UINT64_C(1) << owner;
}

/* A frame that is no request of ours: answered for the host, or dropped with its reason. */
static void frame_other(struct worker *w, struct frame *frame, enum frame_result result)
{
	struct port *port = w->config.port;
	enum host_result answered = HOST_NONE;

	if (port->owns_device && w->config.host != NULL)
		answered = host_answer(w->config.host, frame);
	if (answered == HOST_ARP)
		w->counters.arp++;
	else if (answered == HOST_ND)
		w->counters.nd++;
	else if (answered == HOST_ECHO)
		w->counters.echo++;
	else if (result == FRAME_CUT)
		w->counters.drop_frame++;
	else if (result == FRAME_BAD_CHECKSUM)
		w->counters.drop_checksum++;
	else
		w->counters.drop_not_ours++;
	if (answered == HOST_NONE)
		port->ops->release(port, frame);
	else
		tx_push(w, frame);
}

/* Passes on to the host part, or drops, what steering keeps from the core: as the kernel would. */
static bool steered_away(struct worker *w, struct frame *frame)
{
	enum steer_verdict verdict;

	if (w->config.steer == NULL)
		return false;
	verdict = steer_port_decide(w->config.steer, frame);
	if (verdict == STEER_redirected)
		return false;
	if (steer_drops(verdict))
		w->config.port->ops->release(w->config.port, frame);
	else
		frame_other(w, frame, FRAME_NOT_OURS);
	return true;
}

static bool port_is_ours(const struct worker *w, const struct frame_view *view)
{
	return view->port_to >= w->config.udp_port &&
	       view->port_to - w->config.udp_port < (int)w->config.workers;
}

static void receive(struct worker *w)
{
	struct port *port = w->config.port;
	struct frame frames[ABAFT_BURST];
	struct slot *burst[ABAFT_BURST];
	uint32_t room = w->slots_free < ABAFT_BURST ? w->slots_free : ABAFT_BURST;
	unsigned int count, requests = 0;

	count = port->ops->rx(port, frames, room);
	w->counters.frames += count;
	w->worked |= count != 0;
	for (unsigned int i = 0; i < count; i++)
		__builtin_prefetch(frames[i].data);
	for (unsigned int i = 0; i < count; i++) {
		struct slot *slot;
		enum frame_result result;

		if (steered_away(w, &frames[i]))
			continue;
		slot = slot_take(w);
		result = frame_parse(&frames[i], port->local_senders, &slot->view);

		if (result == FRAME_OK && !port_is_ours(w, &slot->view))
			result = FRAME_NOT_OURS;
		/* Any answer fits, or nothing is executed. */
		if (result == FRAME_OK &&
		    frame_reply_room(&frames[i], &slot->view) < ABAFT_PACKET_BYTES_MAX)
			result = FRAME_CUT;
		if (result != FRAME_OK) {
			frame_other(w, &frames[i], result);
			slot_free(w, slot);
			continue;
		}
		slot->frame = frames[i];
		slot->home = w->config.number;
		burst[requests++] = slot;
	}
	for (unsigned int i = 0; i < requests; i++)
		node_ahead(w->config.node, slot_payload(burst[i]), burst[i]->view.payload_len);
	node_ahead_run(w->config.node);
	for (unsigned int i = 0; i < requests; i++)
		slot_route(w, burst[i]);
}

/* As receive() does with the own port's: the whole burst's keys first, then one by one. */
static void borrow(struct worker *w, uint32_t peer)
{
	struct slot *burst[BORROW_BURST];
	uint32_t count = 0;

	while (count < BORROW_BURST) {
		struct slot *slot = handover_borrow(w->config.handover, w->config.number, peer);

		if (slot == NULL)
			break;
		burst[count++] = slot;
		node_ahead(w->config.node, slot_payload(slot), slot->view.payload_len);
	}
	if (count == 0)
		return;
	node_ahead_run(w->config.node);
	for (uint32_t i = 0; i < count; i++)
		slot_execute(w, burst[i]);
}

static void serve_peers(struct worker *w)
{
	struct handover *handover = w->config.handover;
	uint32_t self = w->config.number;
	struct slot *slot;

	for (uint32_t peer = 0; peer < w->config.workers; peer++) {
		if (peer == self)
			continue;
		borrow(w, peer);
		while (w->lent != 0 && (slot = handover_take_back(handover, self, peer)) != NULL) {
			w->lent--;
			w->worked = true;
			slot_send(w, slot);
		}
	}
}

/* node_done_fn: the result of a parked commit is known. */
static void commit_done(void *arg, void *token, const uint8_t *result, uint32_t at, uint32_t bytes)
{
	struct worker *w = arg;
	struct slot *slot = token;

	if (slot->answer_bytes >= bytes && at <= slot->answer_bytes - bytes)
		memcpy(slot_payload(slot) + at, result, bytes);
	w->parked--;
	slot_finish(w, slot);
}

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
	node_fetched(w->config.node, slot_again, w);
	damage_publish(&w->damage, node_damage(w->config.node));
}

static void serve_log(struct worker *w, struct now now)
{
	uint64_t durable = log_poll(w->config.log);
	int err;

	if (durable != w->durable) {
		w->durable = durable;
		w->worked = true;
		node_durable(w->config.node, durable, commit_done, w);
	}
	serve_reads(w);
	if (w->config.post != NULL && post_serve(w->config.post, w->config.node, w->config.log))
		w->worked = true;
	err = log_error(w->config.log);
	if (err != w->log_error)
		note_log_error(w, err);
	ck_pr_store_64(&w->log_stalled_us, log_stalled_us(w->config.log));
	/* Full is not failed: what was taken still becomes durable. */
	if (err != 0 && err != -ENOSPC && w->parked != 0)
		node_log_failed(w->config.node, commit_done, w);
	log_submit(w->config.log, now);
}

uint64_t worker_pass(struct worker *w, struct now now)
{
	w->now_us = now.mono_us;
	if (w->start_us == 0)
		w->start_us = w->work_us = now.mono_us;
	w->worked = false;
	w->counters.passes++;
	node_pass_begin(w->config.node, now);
	if (w->config.port != NULL)
		receive(w);
	serve_peers(w);
	serve_log(w, now);
	w->tick_us = node_tick(w->config.node);
	tx_flush(w);
	node_pass_end(w->config.node);
	handover_wake(w->config.handover, w->wake);
	w->wake = 0;
	return w->worked || log_busy(w->config.log) || w->fetching != 0 ? 0 : w->tick_us;
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
	w->counters.sleeps++;
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
	} else if (ck_pr_load_32(&group->stop) != 0) {
		w->stop_us = w->now_us;
		node_stop(w->config.node);
	}
	return ck_pr_load_32(&group->drained) == w->config.workers ||
	       (w->stop_us != 0 && w->now_us > w->stop_us + UINT64_C(1000) * WORKER_DRAIN_MS_MAX);
}

int worker_run(struct worker *w)
{
	while (!worker_stopped(w)) {
		struct now now = {.wall_us = clock_us(CLOCK_REALTIME),
				  .mono_us = clock_us(CLOCK_MONOTONIC)};

		(void)worker_pass(w, now);
		idle(w);
	}
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
	uint64_t seq = log_append(log_of(worker), bytes, type);

	*place = log_place(log_of(worker));
	return seq;
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
		.counters = &w->counters,
		.node = node_counters(w->config.node),
		.steer = w->config.steer == NULL ? NULL : steer_port_counters(w->config.steer),
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
			 (config->workers - 1) * (ABAFT_HANDOVER_RING - 1);
	struct worker *w = calloc(1, sizeof(*w));

	if (w == NULL)
		return -ENOMEM;
	w->config = *config;
	lent.log = w;
	w->slots = config->port == NULL ? NULL : calloc(slots, sizeof(*w->slots));
	if (config->port != NULL && w->slots == NULL) {
		free(w);
		return -ENOMEM;
	}
	for (uint32_t i = 0; w->slots != NULL && i < slots; i++)
		slot_free(w, &w->slots[i]);
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
	return &w->counters;
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
