// SPDX-License-Identifier: Apache-2.0
/*
 * thread.c - one thread of the load generator: its client, its slots, and whose turn it is.
 *
 * Closed loop: a slot that is free begins the next transaction at once. Open loop: turns come at
 * the given rate whether slots are free or not; a turn that waits for a slot keeps its time (I1 of
 * load.h). Plans are drawn when a transaction begins; a retry runs the same plan again.
 */
#include <math.h>

#include "tools/load/load.h"
#include "tools/load/series.h"

/* Preload writes and dump reads all keys, some in each transaction. */
static void plan_batch(struct load_slot *slot)
{
	struct load_thread *thread = slot->thread;
	uint64_t left = thread->last_key - thread->next_key;
	uint32_t most = slot->thread->load->ops_max;

	slot->ops = left < most ? (uint32_t)left : most;
	slot->abort = false;
	for (uint32_t i = 0; i < slot->ops; i++) {
		slot->op[i].write = thread->load->phase == LOAD_PRELOAD;
		slot->op[i].rank = ++thread->next_key;
	}
}

static void plan_run(struct load_slot *slot)
{
	struct load_thread *thread = slot->thread;
	const struct load_config *config = &thread->load->config;

	slot->ops = thread->load->per_function * config->functions;
	slot->abort =
		config->abort_share > 0 && zipf_random_unit(&thread->random) < config->abort_share;
	for (uint32_t i = 0; i < slot->ops; i++) {
		struct load_op *op = &slot->op[i];

		/* The paper's function: writes first, then reads. */
		op->write = i % thread->load->per_function < config->writes;
		if (config->read_share >= 0)
			op->write = zipf_random_unit(&thread->random) >= config->read_share;
		op->rank = zipf_draw(&thread->load->zipf, &thread->random);
	}
}

static bool more(const struct load_thread *thread)
{
	if (thread->error || atomic_load_explicit(&thread->load->stop, memory_order_relaxed))
		return false;
	if (thread->load->phase != LOAD_RUN)
		return thread->next_key < thread->last_key;
	return thread->started < thread->share;
}

static void start(struct load_thread *thread, uint64_t intended_ns)
{
	struct load_slot *slot = load_slot_take(thread);

	thread->started++;
	slot->intended_ns = intended_ns;
	if (thread->load->phase == LOAD_RUN)
		plan_run(slot);
	else
		plan_batch(slot);
	load_txn_start(slot);
}

/* Nanoseconds from one turn of this thread to the next. */
static uint64_t gap_ns(struct load_thread *thread)
{
	const struct load_config *config = &thread->load->config;
	double mean = 1e9 * config->threads / config->rate;

	if (!config->constant)
		mean *= -log(1 - zipf_random_unit(&thread->random));
	return (uint64_t)mean;
}

/* Begins what is due; returns when the next turn is due that a slot is free for. */
static uint64_t begin_due(struct load_thread *thread, uint64_t now_ns)
{
	bool open = thread->load->config.rate > 0 && thread->load->phase == LOAD_RUN;
	/* At most as many as slots, so that answers are not kept waiting for long. */
	uint32_t most = thread->slot_count;

	while (most-- > 0 && thread->idle_count > 0 && more(thread)) {
		if (open && thread->next_ns > now_ns)
			return thread->next_ns;
		start(thread, open ? thread->next_ns : load_mono_ns());
		if (open)
			thread->next_ns += gap_ns(thread);
	}
	return UINT64_MAX;
}

/* Runs again what has paused long enough; returns when the next will have. */
static uint64_t wake_due(struct load_thread *thread, uint64_t now_ns)
{
	uint64_t next_ns = UINT64_MAX;

	for (uint32_t i = 0; thread->waiting > 0 && i < thread->slot_count; i++) {
		struct load_slot *slot = &thread->slots[i];

		if (slot->state != LOAD_WAITING)
			continue;
		if (slot->wake_ns > now_ns) {
			next_ns = slot->wake_ns < next_ns ? slot->wake_ns : next_ns;
			continue;
		}
		load_slot_resume(slot);
		load_txn_again(slot);
	}
	return next_ns;
}

static void abandon_all(struct load_thread *thread)
{
	for (uint32_t i = 0; i < thread->slot_count; i++)
		if (thread->slots[i].state != LOAD_IDLE)
			load_txn_abandon(&thread->slots[i]);
}

void *load_thread_run(void *arg)
{
	struct load_thread *thread = arg;
	uint64_t give_up_ns = UINT64_MAX;

	thread->next_ns = thread->load->start_ns;
	if (thread->load->config.rate > 0)
		thread->next_ns += gap_ns(thread);
	for (;;) {
		uint64_t now_ns = load_mono_ns();
		uint64_t turn_ns = begin_due(thread, now_ns);
		uint64_t wake_ns = wake_due(thread, now_ns);
		uint64_t next_ns = turn_ns < wake_ns ? turn_ns : wake_ns;

		if (thread->series)
			series_tick(thread->series, now_ns);
		if (!more(thread)) {
			if (thread->idle_count == thread->slot_count)
				break;
			if (give_up_ns == UINT64_MAX &&
			    atomic_load_explicit(&thread->load->stop, memory_order_relaxed))
				give_up_ns = now_ns + LOAD_DRAIN_NS;
		}
		if (now_ns >= give_up_ns) {
			abandon_all(thread);
			break;
		}
		if (next_ns > now_ns + 50000000)
			next_ns = now_ns + 50000000;
		now_ns = load_mono_ns();
		abaft_poll(thread->client, next_ns > now_ns ? (next_ns - now_ns) / 1000 : 0);
	}
	if (thread->series)
		series_over(thread->series);
	/* Turns that came and found no slot until the end. */
	while (thread->load->config.rate > 0 && thread->load->phase == LOAD_RUN &&
	       thread->started < thread->share && thread->next_ns < thread->load->end_ns &&
	       thread->next_ns < load_mono_ns()) {
		thread->counts.not_started++;
		thread->next_ns += gap_ns(thread) + 1;
	}
	return NULL;
}
