/* SPDX-License-Identifier: Apache-2.0 */
/* timeline.c - see timeline.h. */
#include "dataplane/timeline.h"

#include <stdatomic.h>
#include <stddef.h>
#include <string.h>

#include <abaft/wire.h>

#include "dataplane/core/bytes.h"

/* From one moment to a later one; clocks of two cores may differ by a few ns. */
static uint64_t between(uint64_t from_ns, uint64_t to_ns)
{
	return from_ns != 0 && to_ns > from_ns ? to_ns - from_ns : 0;
}

/* When the node first knew of it. */
static uint64_t came_ns(const struct timeline *line)
{
	return line->arrival_ns != 0 ? line->arrival_ns : line->received_ns;
}

void timeline_borrowed(const struct timeline *line, struct telemetry *telemetry)
{
	telemetry_add(telemetry, HISTOGRAM_handover, between(line->received_ns, telemetry->now_ns));
}

/* Noted of each request that will be looked at again. True: its whole service was this. */
static bool time_one(struct timeline *one, struct telemetry *telemetry, uint64_t begun_ns,
		     uint64_t service_ns)
{
	if (one->again) {
		one->service_ns += service_ns;
		if (!one->parked)
			telemetry_add(telemetry, HISTOGRAM_service, one->service_ns);
	} else {
		one->service_ns = service_ns;
		one->fetch_ns = 0;
		if (one->arrival_ns != 0)
			telemetry_add(telemetry, HISTOGRAM_arrival,
				      between(one->arrival_ns, begun_ns));
	}
	one->executed_ns = telemetry->now_ns;
	if (one->ended)
		telemetry_add(telemetry, HISTOGRAM_txn_life,
			      between(one->begin_ns, telemetry->now_ns));
	return !one->again && !one->parked;
}

void timeline_timed(const struct timed *timed, struct telemetry *telemetry)
{
	uint64_t all_ns = between(timed->begun_ns, telemetry->now_ns);
	uint64_t service_ns = all_ns / (timed->count + timed->plain);
	uint32_t alike = timed->plain;

	for (uint32_t i = 0; i < timed->count; i++)
		alike += time_one(timed->line[i], telemetry, timed->begun_ns, service_ns);
	if (alike != 0)
		histogram_add_times(telemetry->histogram[HISTOGRAM_service], service_ns, alike);
	if (timed->whole != 0)
		histogram_add_times(telemetry->histogram[HISTOGRAM_txn_life], all_ns, timed->whole);
}

void timeline_arrived(const struct timeline *line, struct telemetry *telemetry, uint64_t begun_ns)
{
	telemetry_add(telemetry, HISTOGRAM_arrival, between(line->arrival_ns, begun_ns));
}

void timeline_parked(struct timeline *line, const struct telemetry *telemetry)
{
	line->parked_ns = telemetry->now_ns;
}

void timeline_again(struct timeline *line, const struct telemetry *telemetry)
{
	line->fetch_ns += between(line->parked_ns, telemetry->now_ns);
	line->executed_ns = 0;
	line->again = true;
}

void timeline_settled(struct timeline *line, struct telemetry *telemetry, uint64_t durable_ns)
{
	line->durable_ns = durable_ns;
	line->given_ns = 0;
	line->answered_ns = telemetry->now_ns;
	if (durable_ns == 0) /* the transaction has not ended: nobody knows */
		return;
	line->begin_ns = telemetry->begin_ns;
	line->ended = telemetry->ended;
	telemetry_add_run(telemetry, RUN_COMMIT_DURABLE, between(line->executed_ns, durable_ns));
	telemetry_add_run(telemetry, RUN_TXN_LIFE, between(line->begin_ns, durable_ns));
}

static void fill_phases(struct slow_phases *phase, const struct timeline *line, uint64_t sent_ns)
{
	uint64_t came = came_ns(line);
	bool timed = line->executed_ns != 0; /* else it was executed since the last look */
	uint64_t executed = timed ? line->executed_ns : sent_ns;

	phase->service = timed || line->again ? line->service_ns : 0;
	phase->fetch = timed || line->again ? line->fetch_ns : 0;
	phase->open = between(line->begin_ns, came);
	phase->arrival = between(came, executed - phase->service - phase->fetch);
	if (line->answered_ns != 0) {
		uint64_t given = line->given_ns != 0 ? line->given_ns : executed;
		/* Of a log that failed: when that was seen. */
		uint64_t over = line->durable_ns != 0 ? line->durable_ns : line->answered_ns;

		phase->log_wait = between(executed, given);
		phase->device = between(given, over);
		phase->publish = between(over, line->answered_ns);
		executed = line->answered_ns;
	}
	phase->reply = between(executed, sent_ns);
}

/*
 * The entry's sequence is 0 while it is being written, and each reader looks at it before and after
 * it copies: the first store is kept before the others by the fence, and the last one behind them
 * by its release. Pairs with scrape_slow() in telemetry/.
 */
static void slow_add(struct slow_txns *slow, const struct slow_txn *txn)
{
	uint64_t sequence = slow->written + 1;
	struct slow_txn *entry = &slow->entry[sequence % SLOW_TXNS];

	__atomic_store_n(&entry->sequence, 0, __ATOMIC_RELAXED);
	atomic_thread_fence(memory_order_release);
	memcpy((uint8_t *)entry + sizeof(entry->sequence),
	       (const uint8_t *)txn + sizeof(txn->sequence), sizeof(*txn) - sizeof(txn->sequence));
	__atomic_store_n(&entry->sequence, sequence, __ATOMIC_RELEASE);
	__atomic_store_n(&slow->written, sequence, __ATOMIC_RELEASE);
}

static void note_slow(const struct timeline *line, struct telemetry *telemetry,
		      const uint8_t *answer, uint32_t answer_bytes, uint64_t unix_us)
{
	const struct abaft_wire_header *header = (const void *)answer;
	struct slow_txn txn = {.unix_us = unix_us,
			       .worker = line->owner,
			       .step = load_le16(header->step),
			       .attempt = load_le16(header->attempt),
			       .ops = load_le16(header->ops),
			       .status = load_le16(header->status),
			       .request_bytes = line->request_bytes,
			       .answer_bytes = answer_bytes,
			       .ended = line->ended != 0};

	memcpy(txn.id, header->txn, sizeof(txn.id));
	fill_phases(&txn.phase_ns, line, telemetry->now_ns);
	slow_add(telemetry->slow, &txn);
}

void timeline_sent(const struct timeline *line, struct telemetry *telemetry, const uint8_t *answer,
		   uint32_t answer_bytes, uint64_t unix_us)
{
	if (line->durable_ns != 0)
		telemetry_add_run(telemetry, RUN_DURABLE_ACK,
				  between(line->durable_ns, telemetry->now_ns));
	if (timeline_is_slow(line, telemetry))
		note_slow(line, telemetry, answer, answer_bytes, unix_us);
	if (line->ended)
		PROBE(txn__ack, 5, PROBE_ID(answer + offsetof(struct abaft_wire_header, txn)),
		      line->ended, between(line->executed_ns, telemetry->now_ns), line->owner);
}
