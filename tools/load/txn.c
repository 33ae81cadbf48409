// SPDX-License-Identifier: Apache-2.0
/*
 * txn.c - one transaction: its functions one after the other, and its retries.
 *
 * A function platform runs a request's functions in turn and hands the transaction from one to the
 * next; when one fails it runs the request again. This does the same: each function is a step that
 * joins by the context of the one before; UNKNOWN_TXN, BUSY, timeouts and the like run the whole
 * request again, with the same id and the next attempt; ABORTED and EXPIRED with a new id.
 *
 * I1. Every attempt that ended leaves one line in the history, before the next one begins.
 * I2. An attempt whose commit was sent and not refused for certain is unknown, never failed.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "tools/load/load.h"
#include "tools/load/series.h"

static void answered(void *arg, struct abaft_txn *txn, int err);

static struct load *load_of(const struct load_slot *slot)
{
	return slot->thread->load;
}

static uint64_t wall_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (uint64_t)now.tv_sec * 1000000u + (uint64_t)now.tv_nsec / 1000;
}

/* "PREFIX" and the rank in ten digits; returns its length. */
static size_t key_of(const struct load *load, uint64_t rank, char key[LOAD_KEY_BYTES])
{
	size_t bytes = strlen(load->config.prefix);

	memcpy(key, load->config.prefix, bytes);
	for (size_t i = bytes + 10; i > bytes; rank /= 10)
		key[--i] = (char)('0' + rank % 10);
	return bytes + 10;
}

static int prepare_op(struct load_slot *slot, uint32_t at)
{
	struct load_thread *thread = slot->thread;
	struct load *load = thread->load;
	struct load_op *op = &slot->op[at];
	char key[LOAD_KEY_BYTES];
	size_t key_bytes = key_of(load, op->rank, key);
	struct tag_source tag = {&slot->id, {(uint16_t)slot->function, slot->attempt, at + 1},
				 wall_us(), {key, key_bytes},
				 NULL,	    0};

	op->result = (struct abaft_result){.status = ABAFT_CANCELLED};
	op->time_us = tag.time_us;
	if (!op->write)
		return abaft_prep_get(slot->txn, key, key_bytes,
				      slot->values + (size_t)at * load->buffer_bytes,
				      load->buffer_bytes, &op->result);
	/* Without a history values may be too short for a tag. */
	if (tag_write(thread->value, load->config.value_bytes, &tag) < 0 && thread->history)
		return ABAFT_TOO_LARGE;
	return abaft_prep_put(slot->txn, key, key_bytes, thread->value, load->config.value_bytes,
			      &op->result);
}

/* Prepares and sends one function, or all of them at once. */
static int send_function(struct load_slot *slot, const char *context)
{
	struct load *load = load_of(slot);
	bool whole = load->config.one_packet || load->phase != LOAD_RUN;
	struct abaft_begin begin = {.id = &slot->id,
				    .context = context,
				    .step = (uint16_t)slot->function,
				    .attempt = slot->attempt};
	uint32_t end = whole ? slot->ops : slot->submitted + load->per_function;
	int err = abaft_begin(slot->thread->client, &begin, &slot->txn);

	if (err)
		return err;
	for (; !err && slot->submitted < end; slot->submitted++)
		err = prepare_op(slot, slot->submitted);
	if (!err && slot->submitted == slot->ops) {
		slot->end = (struct abaft_result){.status = ABAFT_CANCELLED};
		err = slot->abort ? abaft_prep_abort(slot->txn, &slot->end)
				  : abaft_prep_commit(slot->txn, &slot->end);
		slot->commit_sent = !err && !slot->abort;
	}
	if (!err)
		err = abaft_submit(slot->txn, answered, slot);
	return err;
}

static void log_ops(struct load_slot *slot)
{
	struct load_thread *thread = slot->thread;
	struct load *load = thread->load;
	bool whole = load->config.one_packet || load->phase != LOAD_RUN;

	for (uint32_t i = 0; i < slot->submitted; i++) {
		const struct load_op *op = &slot->op[i];
		char key[LOAD_KEY_BYTES];
		size_t key_bytes = key_of(load, op->rank, key);
		const char *value = slot->values + (size_t)i * load->buffer_bytes;
		uint32_t step = whole ? 0 : i / load->per_function;

		if (op->write)
			history_write(thread->history, key, key_bytes,
				      (struct tag_number){(uint16_t)step, slot->attempt, i + 1},
				      op->time_us);
		else if (op->result.status == ABAFT_OK)
			history_read(thread->history, key, key_bytes, op->result.version, value,
				     op->result.len);
		else if (op->result.status == ABAFT_NOT_FOUND)
			history_read(thread->history, key, key_bytes, op->result.version, NULL, 0);
	}
}

static void log_attempt(struct load_slot *slot, enum history_outcome outcome)
{
	struct load_thread *thread = slot->thread;
	struct history_head head = {.id = slot->id,
				    .whole = true,
				    .attempt = slot->attempt,
				    .start_us = slot->start_us,
				    .outcome = outcome};
	char client[32];
	int err;

	if (!thread->history || thread->load->phase == LOAD_DUMP)
		return;
	snprintf(client, sizeof(client), "load%u.%u", thread->index,
		 (unsigned)(slot - thread->slots));
	head.client = client;
	head.end_us = wall_us();
	if (head.end_us < head.start_us) /* the wall clock was set back */
		head.end_us = head.start_us;
	if (outcome == HISTORY_COMMITTED || outcome == HISTORY_REPEATED)
		head.version = slot->end.version;
	history_begin(thread->history, &head);
	log_ops(slot);
	err = history_finish(thread->history);
	if (err && !thread->error)
		thread->error = err;
}

/* What a dump read, as lines of the final state. */
static void log_final(struct load_slot *slot)
{
	struct load_thread *thread = slot->thread;

	for (uint32_t i = 0; i < slot->ops && !thread->error; i++) {
		const struct load_op *op = &slot->op[i];
		char key[LOAD_KEY_BYTES];
		size_t key_bytes = key_of(thread->load, op->rank, key);
		bool found = op->result.status == ABAFT_OK;

		history_begin_final(thread->history);
		history_read(thread->history, key, key_bytes, op->result.version,
			     found ? slot->values + (size_t)i * thread->load->buffer_bytes : NULL,
			     op->result.len);
		thread->error = history_finish(thread->history);
	}
}

/* The transaction's end in its second. */
static void record_end_of(struct load_slot *slot, enum history_outcome outcome, uint64_t now_ns,
			  uint64_t latency_ns)
{
	struct series_second *second = series_now(slot->thread->series, now_ns);

	second->failed += outcome == HISTORY_FAILED;
	second->unknown += outcome == HISTORY_UNKNOWN;
	second->aborted += outcome == HISTORY_ABORTED;
	if (outcome == HISTORY_FAILED || outcome == HISTORY_UNKNOWN)
		return;
	second->committed += outcome != HISTORY_ABORTED;
	latency_add(&second->latency, latency_ns);
}

/* The transaction's end, after all its attempts. */
static void finish(struct load_slot *slot, enum history_outcome outcome)
{
	struct load_counts *counts = &slot->thread->counts;
	uint64_t now_ns = load_mono_ns();
	uint64_t latency_ns = now_ns > slot->intended_ns ? now_ns - slot->intended_ns : 0;

	if (slot->thread->series)
		record_end_of(slot, outcome, now_ns, latency_ns);
	if (outcome == HISTORY_FAILED || outcome == HISTORY_UNKNOWN) {
		counts->failed += outcome == HISTORY_FAILED;
		counts->unknown += outcome == HISTORY_UNKNOWN;
		load_slot_ended(slot);
		return;
	}
	counts->aborted += outcome == HISTORY_ABORTED;
	counts->committed += outcome != HISTORY_ABORTED;
	latency_add(&counts->latency, latency_ns);
	for (uint32_t i = 0; i < slot->ops; i++) {
		counts->reads += !slot->op[i].write;
		counts->writes += slot->op[i].write;
		counts->not_found += slot->op[i].result.status == ABAFT_NOT_FOUND;
	}
	atomic_fetch_add_explicit(&slot->thread->done, 1, memory_order_relaxed);
	load_slot_ended(slot);
}

/* I2. A COMMIT that was skipped, as something before it failed for now, may come once more with a
 * late copy of its packet, and be executed then. */
static enum history_outcome outcome_of_failure(const struct load_slot *slot, int err)
{
	if (!slot->commit_sent)
		return HISTORY_FAILED;
	switch (err) {
	case ABAFT_UNKNOWN_TXN:
	case ABAFT_TOO_LARGE:
	case ABAFT_MALFORMED:
	case ABAFT_UNSUPPORTED:
	case ABAFT_ABORTED:
	case ABAFT_INVALID:
	case ABAFT_NO_MEMORY:
		return HISTORY_FAILED;
	default:
		return HISTORY_UNKNOWN;
	}
}

/* Nobody has ever answered this client: there is no node to be patient with. */
static bool nobody_there(struct load_thread *thread, int err)
{
	struct abaft_client_stats stats;

	abaft_client_stats(thread->client, &stats);
	if (stats.packets_received > 0 || (err != ABAFT_TIMEOUT && err != ABAFT_NETWORK))
		return false;
	if (!thread->error)
		thread->error = err;
	return true;
}

static void failed(struct load_slot *slot, int err)
{
	struct load_thread *thread = slot->thread;
	enum history_outcome outcome = outcome_of_failure(slot, err);
	enum abaft_retry retry = abaft_retry_of(err);
	uint64_t pause_ns = 1000000ull << (slot->tries < 7 ? slot->tries : 7);

	if (err > 0 && err < LOAD_ERRORS) {
		thread->counts.errors[err]++;
		if (thread->series)
			series_now(thread->series, load_mono_ns())->errors++;
	}
	log_attempt(slot, outcome);
	if (retry == ABAFT_RETRY_NO || nobody_there(thread, err) ||
	    slot->tries >= thread->load->config.retries || slot->attempt == UINT16_MAX) {
		finish(slot, slot->unknown_before ? HISTORY_UNKNOWN : outcome);
		return;
	}
	slot->unknown_before |= outcome == HISTORY_UNKNOWN;
	slot->tries++;
	if (thread->series)
		series_now(thread->series, load_mono_ns())->retries++;
	if (retry == ABAFT_RETRY_NEW) {
		abaft_id_new(&slot->id);
		slot->attempt = 0;
		slot->unknown_before = false;
		thread->counts.new_ids++;
	} else {
		slot->attempt++;
		thread->counts.reruns++;
	}
	load_slot_wait(slot,
		       load_mono_ns() + pause_ns / 2 + zipf_random_u64(&thread->random) % pause_ns);
}

/* One submit ended: the next function, the end, or a retry. */
static void answered(void *arg, struct abaft_txn *txn, int err)
{
	struct load_slot *slot = arg;
	char context[ABAFT_CONTEXT_BYTES];
	bool last = slot->submitted == slot->ops;

	if (!err && !last)
		err = abaft_export(txn, context);
	slot->txn = NULL;
	abaft_end(txn);
	if (!err && !last) {
		slot->function++;
		err = send_function(slot, context);
		if (!err)
			return;
		if (slot->txn)
			abaft_end(slot->txn);
		slot->txn = NULL;
	}
	if (!err && slot->abort) {
		log_attempt(slot, HISTORY_ABORTED);
		finish(slot, HISTORY_ABORTED);
	} else if (!err || (err == ABAFT_COMMITTED && !slot->abort)) {
		/* COMMITTED without OK: our own packet, repeated, or an earlier attempt. */
		if (!err && slot->thread->load->phase == LOAD_DUMP)
			log_final(slot);
		log_attempt(slot, slot->unknown_before ? HISTORY_REPEATED : HISTORY_COMMITTED);
		finish(slot, HISTORY_COMMITTED);
	} else {
		failed(slot, err);
	}
}

void load_txn_again(struct load_slot *slot)
{
	int err;

	slot->function = 0;
	slot->submitted = 0;
	slot->commit_sent = false;
	slot->end = (struct abaft_result){.status = ABAFT_CANCELLED};
	slot->start_us = wall_us();
	err = send_function(slot, NULL);
	if (!err)
		return;
	if (slot->txn)
		abaft_end(slot->txn);
	slot->txn = NULL;
	slot->commit_sent = false;
	failed(slot, err);
}

void load_txn_start(struct load_slot *slot)
{
	slot->attempt = 0;
	slot->tries = 0;
	slot->unknown_before = false;
	abaft_id_new(&slot->id);
	load_txn_again(slot);
}

void load_txn_abandon(struct load_slot *slot)
{
	struct abaft_txn *txn = slot->txn;

	slot->txn = NULL;
	if (txn)
		abaft_end(txn); /* answered() gets CANCELLED, which is not tried again */
	else if (slot->state == LOAD_WAITING)
		finish(slot, slot->unknown_before ? HISTORY_UNKNOWN : HISTORY_FAILED);
}
