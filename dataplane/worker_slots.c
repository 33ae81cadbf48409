/* SPDX-License-Identifier: Apache-2.0 */
/*
 * worker_slots.c - the way of a request through a worker: from the port into a slot, to its owner,
 * through the core, and as an answer back to the port. worker.c's pass calls it; I1 and I2 are
 * worker.h's.
 */
#include <stddef.h>
#include <string.h>

#include <abaft/error.h>
#include <abaft/limits.h>
#include <abaft/wire.h>

#include "dataplane/core/node.h"
#include "dataplane/core/probe.h"
#include "dataplane/log/log.h"
#include "dataplane/net/host.h"
#include "dataplane/net/port.h"
#include "dataplane/net/steer_port.h"
#include "dataplane/worker_impl.h"
#include "dataplane/xcore/handover.h"

/* Requests taken from one peer in one pass. */
#define BORROW_BURST ABAFT_BURST

/* A look at the clock, for all that is measured from here on; 0 if nothing is. */
uint64_t worker_look(struct worker *w)
{
	if (w->telemetry == NULL)
		return 0;
	w->telemetry->now_ns = clock_now_ns(&w->clock);
	return w->telemetry->now_ns;
}

/* What was executed since the last time ended at the last look; what comes next begins there. */
static void time_executed(struct worker *w)
{
	struct timed *timed = &w->timed;

	if (timed->count + timed->plain != 0)
		timeline_timed(timed, w->telemetry);
	timed->count = timed->plain = timed->whole = 0;
	timed->begun_ns = w->telemetry->now_ns;
}

void worker_times_begin(struct worker *w)
{
	if (w->telemetry == NULL)
		return;
	w->telemetry->now_ns = w->clock.mono_ns;
	time_executed(w);
}

void worker_times_end(struct worker *w)
{
	if (worker_look(w) != 0)
		time_executed(w);
}

/* Ours are timed a pass at a time; what others lent, or what is parked, leaves us: at once. */
static void note_executed(struct worker *w, struct slot *slot, enum node_verdict verdict)
{
	bool ours = slot->home == w->config.number;
	struct timed *timed = &w->timed;

	if (timed->count + timed->plain == TIMED_MAX)
		worker_times_end(w);
	timeline_executed(&slot->line, w->telemetry, w->config.number, verdict == NODE_FETCH);
	if (ours && verdict == NODE_ANSWER && timed_is_plain(timed, &slot->line)) {
		timed->plain++;
		timed->whole += slot->line.ended != 0;
		if (slot->line.arrival_ns != 0)
			timeline_arrived(&slot->line, w->telemetry, timed->begun_ns);
	} else {
		slot->line.record = w->record;
		timed->line[timed->count++] = &slot->line;
	}
	if (verdict == NODE_FETCH || !ours)
		worker_times_end(w);
	if (verdict == NODE_FETCH)
		timeline_parked(&slot->line, w->telemetry);
}

static struct slot *slot_take(struct worker *w)
{
	struct slot *slot = w->free;

	w->free = slot->next;
	w->slots_free--;
	return slot;
}

static uint8_t *slot_payload(const struct slot *slot)
{
	return slot->frame.data + slot->view.payload;
}

static void slot_free(struct worker *w, struct slot *slot)
{
	slot->next = w->free;
	w->free = slot;
	w->slots_free++;
}

/* Before the frames are the port's. */
static void tx_note(struct worker *w)
{
	worker_look(w);
	w->noted = false;
	for (uint32_t i = 0; i < w->tx_count; i++) {
		const struct slot *slot = w->tx_slot[i];

		if (slot != NULL && timeline_wants_sent(&slot->line, w->telemetry))
			timeline_sent(&slot->line, w->telemetry, slot_payload(slot),
				      slot->answer_bytes, w->unix_us);
	}
	telemetry_runs_end(w->telemetry);
}

void worker_tx_flush(struct worker *w)
{
	if (w->tx_count == 0)
		return;
	if (w->noted)
		tx_note(w);
	w->config.port->ops->tx(w->config.port, w->tx, w->tx_count);
	for (uint32_t i = 0; i < w->tx_count; i++)
		if (w->tx_slot[i] != NULL)
			slot_free(w, w->tx_slot[i]);
	w->tx_count = 0;
}

/* The slot is free when its frame has left. */
static void tx_push(struct worker *w, const struct frame *frame, struct slot *slot)
{
	w->tx_slot[w->tx_count] = slot;
	w->tx[w->tx_count++] = *frame;
	if (w->tx_count == WORKER_TX_FRAMES)
		worker_tx_flush(w);
}

/* The slot is at home: its answer leaves, or its frame goes back to the port. */
static void slot_send(struct worker *w, struct slot *slot)
{
	struct port *port = w->config.port;

	if (slot->answer_bytes == 0) {
		port->ops->release(port, &slot->frame);
	} else if (frame_reply(&slot->frame, &slot->view, (uint16_t)slot->answer_bytes) != 0) {
		w->counters->drop_frame++;
		port->ops->release(port, &slot->frame);
	} else {
		w->counters->answers++;
		w->noted |= w->telemetry != NULL && timeline_wants_sent(&slot->line, w->telemetry);
		tx_push(w, &slot->frame, slot);
		return;
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

/* Refuses the whole request before the core executes anything of it. */
static void slot_refuse(struct worker *w, struct slot *slot, enum abaft_error status)
{
	uint32_t bytes = 0;

	if (!node_refuse(w->config.node, slot_payload(slot), slot->view.payload_len, w->scratch,
			 &bytes, (uint16_t)status))
		bytes = 0;
	timeline_refused(&slot->line, w->config.number);
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

	if (w->telemetry != NULL)
		note_executed(w, slot, verdict);
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
	w->counters->requests++;
	if (w->closed)
		slot_refuse(w, slot, ABAFT_STOPPING);
	else
		slot_run(w, slot);
}

/* node_again_fn */
void worker_slot_again(void *arg, void *token)
{
	struct worker *w = arg;

	w->worked = true;
	w->fetching--;
	worker_times_end(w);
	if (w->telemetry != NULL)
		timeline_again(&((struct slot *)token)->line, w->telemetry);
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
		w->counters->handover_full++;
		slot_refuse(w, slot, ABAFT_BUSY);
		return;
	}
	w->lent++;
	w->counters->handed_over++;
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
		w->counters->arp++;
	else if (answered == HOST_ND)
		w->counters->nd++;
	else if (answered == HOST_ECHO)
		w->counters->echo++;
	else if (result == FRAME_CUT)
		w->counters->drop_frame++;
	else if (result == FRAME_BAD_CHECKSUM)
		w->counters->drop_checksum++;
	else
		w->counters->drop_not_ours++;
	if (answered == HOST_NONE)
		port->ops->release(port, frame);
	else
		tx_push(w, frame, NULL);
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

void worker_receive(struct worker *w)
{
	struct port *port = w->config.port;
	struct frame frames[ABAFT_BURST];
	struct slot *burst[ABAFT_BURST];
	uint32_t room = w->slots_free < ABAFT_BURST ? w->slots_free : ABAFT_BURST;
	unsigned int count, requests = 0;

	count = port->ops->rx(port, frames, room);
	if (count == 0)
		return;
	w->counters->frames += count;
	w->worked = true;
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
		if (w->telemetry != NULL)
			timeline_received(&slot->line, w->clock.mono_ns, frames[i].arrival_ns,
					  slot->view.payload_len);
		burst[requests++] = slot;
	}
	for (unsigned int i = 0; i < requests; i++)
		node_ahead(w->config.node, slot_payload(burst[i]), burst[i]->view.payload_len);
	node_ahead_run(w->config.node);
	for (unsigned int i = 0; i < requests; i++)
		slot_route(w, burst[i]);
}

/* As worker_receive() does with the own port's: the whole burst's keys first, then one by one. */
static void borrow(struct worker *w, uint32_t peer)
{
	struct slot *burst[BORROW_BURST];
	uint32_t count = 0, self = w->config.number;

	while (count < BORROW_BURST) {
		struct slot *slot = handover_borrow(w->config.handover, self, peer);

		if (slot == NULL)
			break;
		burst[count++] = slot;
		node_ahead(w->config.node, slot_payload(slot), slot->view.payload_len);
	}
	if (count == 0)
		return;
	node_ahead_run(w->config.node);
	worker_times_end(w);
	for (uint32_t i = 0; i < count; i++) {
		if (w->telemetry != NULL)
			timeline_borrowed(&burst[i]->line, w->telemetry);
		PROBE(txn__handover, 4,
		      PROBE_ID(slot_payload(burst[i]) + offsetof(struct abaft_wire_header, txn)),
		      burst[i]->home, self);
	}
	for (uint32_t i = 0; i < count; i++)
		slot_execute(w, burst[i]);
}

void worker_serve_peers(struct worker *w)
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
void worker_commit_done(void *arg, void *token, const uint8_t *result, uint32_t at, uint32_t bytes)
{
	struct worker *w = arg;
	struct slot *slot = token;

	if (slot->answer_bytes >= bytes && at <= slot->answer_bytes - bytes)
		memcpy(slot_payload(slot) + at, result, bytes);
	if (w->telemetry != NULL) {
		timeline_settled(&slot->line, w->telemetry, w->durable_ns);
		if (timeline_is_slow(&slot->line, w->telemetry))
			slot->line.given_ns = log_given_ns(w->config.log, slot->line.record);
	}
	w->parked--;
	slot_finish(w, slot);
}

void worker_slots_init(struct worker *w, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++)
		slot_free(w, &w->slots[i]);
}
