/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A log over a storage engine: what it acknowledges and finds again, and who may write it. What
 * must hold at every acknowledgement and start is checked by remote_bed.h.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "dataplane/core/place.h"
#include "dataplane/log/shelf.h"
#include "tests/lib/logdev_sim.h"
#include "tests/lib/remote_bed.h"
#include "tests/unit/remote/process.h"

#define HELD 100000 /* ticks: until somebody lets it go */

static struct remote_bed *begin(uint64_t seed)
{
	struct remote_bed *bed = malloc(sizeof(*bed));

	assert_non_null(bed);
	remote_bed_begin(bed, seed);
	return bed;
}

static void end(struct remote_bed *bed)
{
	remote_bed_end(bed);
	free(bed);
}

static void start(struct remote_node *node, struct remote_bed *bed)
{
	int error = remote_node_start(node, bed, false);

	if (error)
		fail_msg("a start ends in %d: %s", error, bed->why);
}

static void append(struct remote_node *node, uint32_t records, uint32_t bytes)
{
	for (uint32_t i = 0; i < 100000 && records > 0; i++) {
		records -= remote_node_append(node, bytes);
		if (i % 3 == 0)
			remote_node_pass(node);
	}
	assert_int_equal(records, 0);
}

/* Appended and durable. */
static void commit(struct remote_node *node, uint32_t records, uint32_t bytes)
{
	append(node, records, bytes);
	assert_true(remote_node_drain(node));
}

/* Of all lengths, over several lives of the log, which end in good order or not; each start is
 * checked record by record, and then any of them is read. */
static void lives(void **state)
{
	static const uint32_t parts[] = {0, 64 << 10, 100001};

	for (uint32_t i = 0; i < 3; i++) {
		struct remote_bed *bed = begin(i);
		struct remote_node node;

		fake_faults(bed->store)->value_max = parts[i];
		fake_faults(bed->store)->delay = 3 * i;
		bed->segment_bytes = i == 0 ? 64 << 10 : 2 << 20;
		for (uint32_t life = 0; life < 5; life++) {
			start(&node, bed);
			for (uint32_t k = 0; k < 40; k++)
				append(&node, 1 + k % 3, k * k * (i ? 500 : 20) % 900000);
			assert_true(remote_node_drain(&node));
			for (uint32_t k = 0; k < 60; k++) {
				remote_node_read(&node);
				remote_node_pass(&node);
			}
			remote_node_drain_reads(&node);
			if (life % 2)
				remote_node_close(&node);
			else
				remote_node_kill(&node);
		}
		start(&node, bed);
		assert_int_equal(node.found, bed->line_count);
		assert_int_equal(bed->counts.acked + bed->counts.survivors, bed->line_count);
		for (uint32_t k = 0; k < 300; k++) {
			remote_node_read(&node);
			remote_node_pass(&node);
		}
		remote_node_drain_reads(&node);
		assert_true(bed->counts.reads > 400);
		assert_int_equal(bed->counts.read_failed, 0);
		remote_node_close(&node);
		end(bed);
	}
}

/* A record that fills more parts than one, found and read again. */
static void large_records(void **state)
{
	struct remote_bed *bed = begin(1);
	struct remote_node node;
	struct engine_name name;
	uint32_t bytes, parts = 0;

	fake_faults(bed->store)->value_max = 64 << 10;
	bed->segment_bytes = 16 << 20;
	start(&node, bed);
	commit(&node, 1, ABAFT_VALUE_BYTES_MAX);
	commit(&node, 20, 70000);
	for (uint32_t i = 0; fake_store_at(bed->store, i, &name, &bytes); i++) {
		assert_true(bytes <= 64 << 10);
		parts += strlen(name.leaf) == strlen("00000000-0001");
	}
	assert_true(parts >= ABAFT_VALUE_BYTES_MAX / (64 << 10) + 20);
	remote_node_kill(&node);
	start(&node, bed);
	assert_int_equal(node.found, 21);
	for (uint32_t i = 0; i < 60; i++) {
		remote_node_read(&node);
		remote_node_drain_reads(&node);
	}
	assert_int_equal(bed->counts.read_failed, 0);
	remote_node_close(&node);
	end(bed);
}

/* Groups of several records stay within what one object takes. */
static void groups_of_one_object(void **state)
{
	struct remote_bed *bed = begin(1);
	struct remote_node node;

	fake_faults(bed->store)->value_max = 64 << 10;
	bed->segment_bytes = 16 << 20;
	start(&node, bed);
	for (uint32_t i = 0; i < 100; i++) {
		for (uint32_t k = 0; k < 20; k++)
			(void)remote_node_append(&node, 3000 + 100 * k);
		remote_node_pass(&node);
	}
	assert_true(remote_node_drain(&node));
	assert_true(bed->counts.acked > 200);
	/* But for the hints of E4 nothing has a second part. */
	for (uint32_t i = 0;; i++) {
		struct engine_name name;
		uint32_t bytes;

		if (!fake_store_at(bed->store, i, &name, &bytes))
			break;
		assert_false(strlen(name.leaf) == strlen("00000000-0001") && bytes > 100);
	}
	remote_node_close(&node);
	end(bed);
}

/* While the engine is away nothing is acknowledged, and senders are told BUSY; then all is. */
static void away(void **state)
{
	struct remote_bed *bed = begin(1);
	struct remote_node node;
	uint64_t acked, appended;

	start(&node, bed);
	commit(&node, 5, 100);
	acked = node.acked;
	fake_store_outage(bed->store, 5000);
	for (uint32_t i = 0; i < 2000; i++) {
		(void)remote_node_append(&node, 100);
		remote_node_pass(&node);
		assert_int_equal(node.acked, acked);
	}
	assert_false(remote_node_append(&node, 60000));
	appended = node.appended;
	assert_int_equal(log_error(node.log), 0);
	assert_true(log_stalled_us(node.log) > 0);
	assert_true(remote_node_drain(&node));
	assert_true(node.acked >= appended && appended > acked);
	remote_node_kill(&node);
	start(&node, bed);
	assert_true(node.found >= appended);
	remote_node_close(&node);
	end(bed);
}

/* An engine that refuses for good fails the log; what it had acknowledged is there. */
static void refused(void **state)
{
	struct remote_bed *bed = begin(1);
	struct remote_node node;

	start(&node, bed);
	commit(&node, 5, 100);
	fake_store_fail(bed->store, ENGINE_PUT_NEW, -EACCES);
	assert_true(remote_node_append(&node, 100));
	assert_false(remote_node_drain(&node));
	assert_int_equal(log_error(node.log), -EACCES);
	assert_int_equal(node.acked, 5);
	assert_false(remote_node_append(&node, 100));
	remote_node_close(&node);
	fake_store_fail(bed->store, ENGINE_PUT_NEW, 0);
	start(&node, bed);
	assert_int_equal(node.found, 5);
	commit(&node, 5, 100);
	remote_node_close(&node);
	end(bed);
}

/* No next segment can be made: full, until one can. */
static void no_segment(void **state)
{
	struct remote_bed *bed = begin(1);
	struct remote_node node;
	uint32_t appended = 0;

	bed->segment_bytes = 8 * ABAFT_LOG_BLOCK_BYTES;
	start(&node, bed);
	commit(&node, 1, 100);
	fake_store_fail(bed->store, ENGINE_PUT, -ENOSPC);
	for (uint32_t i = 0; i < 200; i++) {
		appended += remote_node_append(&node, 3000);
		remote_node_pass(&node);
	}
	assert_int_equal(log_error(node.log), -ENOSPC);
	assert_true(appended < 20);
	assert_true(remote_node_drain(&node));
	fake_store_fail(bed->store, ENGINE_PUT, 0);
	commit(&node, 50, 3000);
	remote_node_close(&node);
	start(&node, bed);
	remote_node_close(&node);
	end(bed);
}

/* A read that the engine does not answer is an error in the end, and no other's. */
static void reads_unanswered(void **state)
{
	struct remote_bed *bed = begin(1);
	struct remote_node node;

	start(&node, bed);
	commit(&node, 30, 3000);
	fake_store_outage(bed->store, 20000);
	remote_node_read(&node);
	remote_node_drain_reads(&node);
	assert_int_equal(bed->counts.reads, 1);
	assert_int_equal(bed->counts.read_failed, 1);
	fake_store_outage(bed->store, 0);
	for (uint32_t i = 0; i < 10; i++) {
		remote_node_read(&node);
		remote_node_drain_reads(&node);
	}
	assert_int_equal(bed->counts.reads, 11);
	assert_int_equal(bed->counts.read_failed, 1);
	remote_node_close(&node);
	end(bed);
}

/* One that was thought dead goes on: with what it had on its way, and with something new. */
static void thought_dead(void **state)
{
	for (uint32_t i = 0; i < 3; i++) {
		struct remote_bed *bed = begin(i);
		struct remote_node old, new;

		start(&old, bed);
		commit(&old, 5, 100);
		if (i == 0)
			commit(&old, 1, 3000);
		fake_engine_hold(old.engine, HELD);
		if (i == 1)
			append(&old, 4, 5000);
		start(&new, bed);
		assert_int_equal(new.found, old.acked);
		commit(&new, 20, 2000);
		fake_engine_hold(old.engine, 0);
		for (uint32_t k = 0; k < 4; k++)
			(void)remote_node_append(&old, i == 2 ? 5000 : 100);
		assert_false(remote_node_drain(&old));
		assert_int_equal(log_error(old.log), -ESTALE);
		commit(&new, 20, 2000);
		remote_node_kill(&new);
		remote_node_kill(&old);
		start(&new, bed);
		assert_int_equal(bed->counts.acked_shut_out, 0);
		remote_node_close(&new);
		end(bed);
	}
}

/* It closes in good order, and its seal is refused. */
static void closes_late(void **state)
{
	struct remote_bed *bed = begin(1);
	struct remote_node old, new;

	start(&old, bed);
	commit(&old, 5, 100);
	start(&new, bed);
	commit(&new, 5, 100);
	remote_node_close(&old);
	commit(&new, 5, 100);
	remote_node_close(&new);
	start(&new, bed);
	assert_int_equal(new.found, 15);
	remote_node_close(&new);
	end(bed);
}

/* Of two that start at a time one opens the log, on a new storage and on one that has it. */
static void two_starts(void **state)
{
	for (uint32_t i = 0; i < 4; i++) {
		struct remote_bed *bed = begin(i);
		struct remote_node first, second;

		if (i > 0) {
			start(&first, bed);
			commit(&first, i, 100);
			if (i == 3)
				remote_node_close(&first);
			else
				remote_node_kill(&first);
		}
		/* The second has recovered nothing that the first has not. */
		start(&first, bed);
		start(&second, bed);
		(void)remote_node_append(&first, 100);
		assert_false(remote_node_drain(&first));
		commit(&second, 3, 100);
		remote_node_kill(&first);
		remote_node_kill(&second);
		end(bed);
	}
}

/* F5: a checkpoint right behind the seal by which the log was opened. */
static void mark_behind_a_seal(void **state)
{
	for (uint32_t i = 0; i < 2; i++) {
		struct remote_bed *bed = begin(i);
		struct remote_node old, new;

		start(&old, bed);
		if (i == 1) { /* behind the seal that ends a segment */
			bed->segment_bytes = 64 << 10;
			commit(&old, 17, 3000);
			remote_node_close(&old);
			start(&old, bed);
		}
		remote_node_mark(&old);
		assert_int_equal(bed->mark[0].group, i ? bed->mark[0].group : 1);
		fake_engine_hold(old.engine, HELD);
		append(&old, 1, 100);
		start(&new, bed);
		commit(&new, 3, 100);
		fake_engine_hold(old.engine, 0);
		assert_false(remote_node_drain(&old));
		commit(&new, 3, 100);
		remote_node_kill(&new);
		start(&new, bed);
		remote_node_close(&new);
		remote_node_kill(&old);
		end(bed);
	}
}

/* Everything that may go goes: two checkpoints behind all there is. */
static void clean_all(struct remote_node *node)
{
	for (uint32_t i = 0; i < 2; i++) {
		commit(node, 20, 5000);
		remote_node_mark(node);
	}
	remote_node_free(node, 1000);
	assert_int_equal(node->bed->freed_below, node->bed->mark[1].segment);
}

/* E4: what was on its way when its writer was shut out arrives when the segment has been cleaned,
 * and the one after, and the next node's, too. */
static void late_into_what_was_cleaned(void **state)
{
	struct remote_bed *bed = begin(1);
	struct remote_node old, new;
	uint32_t place;

	bed->segment_bytes = 16 * ABAFT_LOG_BLOCK_BYTES;
	start(&old, bed);
	commit(&old, 40, 3000);
	place = place_segment(bed->record[bed->line[bed->line_count]].place);
	fake_engine_hold(old.engine, HELD);
	append(&old, 4, 5000);
	for (uint32_t i = 0; i < 3; i++) {
		start(&new, bed);
		for (uint32_t k = 0; k < 5; k++)
			clean_all(&new);
		assert_true(bed->freed_below > place + 5);
		if (i < 2)
			remote_node_kill(&new);
	}
	fake_engine_hold(old.engine, 0);
	assert_false(remote_node_drain(&old));
	assert_int_equal(log_error(old.log), -ESTALE);
	remote_node_kill(&old);
	commit(&new, 3, 100);
	remote_node_close(&new);
	start(&new, bed);
	remote_node_close(&new);
	end(bed);
}

struct overtaken {
	struct remote_node *old;
	uint32_t at, ticks, records;
	bool marks;
};

/* All of it within one tick of the new one's start: what the old one does is not delayed. */
static void overtake(void *arg)
{
	struct overtaken *it = arg;

	if (++it->ticks != it->at)
		return;
	for (uint32_t left = 1 + it->records; left > 0 && !it->old->error;) {
		left -= remote_node_append(it->old, 3000);
		remote_node_pass(it->old);
	}
	if (it->old->error || !remote_node_drain(it->old))
		return; /* it was shut out before */
	if (it->marks)
		for (uint32_t k = 0; k < 3; k++)
			clean_all(it->old);
}

/* E6: while one starts, at any moment of it, the other one goes on; and cleans so much that the
 * place of the seal is free again. One of both is shut out, and nothing is lost. */
static void overtaken(void **state)
{
	uint32_t opened = 0, stale = 0, damaged = 0;

	for (uint32_t at = 1; at < 140; at++) {
		struct remote_bed *bed = begin(at);
		struct remote_node old, new, last;
		struct overtaken it = {.old = &old, .at = at / 2 + 1, .marks = at % 2};
		int error;

		bed->segment_bytes = 16 * ABAFT_LOG_BLOCK_BYTES;
		fake_faults(bed->store)->delay = 2;
		start(&old, bed);
		commit(&old, 11, 3000);
		fake_store_meanwhile(bed->store, overtake, &it);
		error = remote_node_start(&new, bed, false);
		fake_store_meanwhile(bed->store, NULL, NULL);
		assert_true(error == 0 || error == -ESTALE || error == -EBADMSG);
		opened += error == 0;
		stale += error == -ESTALE;
		damaged += error == -EBADMSG;
		if (!error) {
			commit(&new, 5, 100);
			(void)remote_node_append(&old, 100);
			assert_false(remote_node_drain(&old));
			remote_node_kill(&new);
		} else {
			/* Sealed or not: the old one goes on, or knows. */
			(void)remote_node_append(&old, 100);
			(void)!remote_node_drain(&old);
		}
		remote_node_kill(&old);
		start(&last, bed);
		commit(&last, 3, 100);
		remote_node_close(&last);
		end(bed);
	}
	assert_true(opened > 10 && stale > 10);
	/* Only by what was freed under its eyes: remote_bed.h allows no other. */
	assert_true(damaged < 60);
}

/* The other one writes so fast that a list is never of one moment: that is no damage. */
static void lists_of_several_moments(void **state)
{
	uint32_t opened = 0, stale = 0;

	for (uint64_t seed = 1; seed <= 60; seed++) {
		struct remote_bed *bed = begin(seed);
		struct remote_node old, new;
		struct overtaken it = {.old = &old, .records = 8};
		int error;

		bed->segment_bytes = 8 * ABAFT_LOG_BLOCK_BYTES;
		bed->ahead = 3;
		fake_faults(bed->store)->list_delay = 30;
		start(&old, bed);
		commit(&old, 30, 3000);
		it.at = 2 + (uint32_t)seed % 40;
		fake_store_meanwhile(bed->store, overtake, &it);
		error = remote_node_start(&new, bed, false);
		fake_store_meanwhile(bed->store, NULL, NULL);
		assert_true(error == 0 || error == -ESTALE);
		opened += error == 0;
		stale += error != 0;
		if (!error)
			remote_node_kill(&new);
		remote_node_kill(&old);
		end(bed);
	}
	assert_true(opened > 0 && stale > 0);
}

/* Opens the log as one that is only read and cleaned. */
static int open_closed(struct process *process, struct remote_bed *bed, struct shelf *shelf,
		       struct log **log, struct log_tail **tail)
{
	struct log_config config = {.number = bed->log,
				    .segment_bytes = bed->segment_bytes,
				    .sync = true,
				    .shelf = shelf,
				    .closed = true};
	int error;

	memcpy(config.node_id, remote_node_id(process->remote), 16);
	error = log_recover_on(process_logdev(process, bed->log), &config, NULL, NULL, NULL, tail,
			       process->why, sizeof(process->why));
	return error ? error
		     : log_open_on(log, process_logdev(process, bed->log), &config, *tail,
				   process->why, sizeof(process->why));
}

/* F4: who starts with fewer workers shuts out who wrote the logs that it only reads. */
static void closed_logs(void **state)
{
	for (uint32_t i = 0; i < 2; i++) {
		struct remote_bed *bed = begin(i);
		struct remote_node old;
		struct process process;
		struct log_tail *tail;
		struct shelf *shelf;
		struct log_mark mark;
		struct log *log;

		start(&old, bed);
		commit(&old, 30, 3000);
		if (i == 1) {
			remote_node_close(&old);
			start(&old, bed);
			commit(&old, 30, 3000);
		}
		bed->counts.starts++; /* the bed's newest may be shut out */
		process_start(&process, bed->store, 99);
		assert_int_equal(shelf_create(&shelf, 0, 0), 0);
		assert_int_equal(open_closed(&process, bed, shelf, &log, &tail), 0);
		assert_null(log_reserve(log, 100));
		log_mark(log, &mark);
		assert_int_equal(mark.record, bed->line_count);
		(void)remote_node_append(&old, 100);
		assert_false(remote_node_drain(&old));
		assert_int_equal(log_error(old.log), -ESTALE);
		remote_node_kill(&old);
		log_close(log);
		log_tail_free(tail);
		shelf_destroy(shelf);
		process_end(&process);
		/* With all workers again. */
		start(&old, bed);
		assert_int_equal(old.found, bed->line_count);
		commit(&old, 3, 100);
		remote_node_close(&old);
		end(bed);
	}
}

/* The room of segments ahead, which are made again, is not claimed twice (F4). */
static void claims(void **state)
{
	struct remote_bed *bed = begin(1);
	struct remote_node node;

	bed->ahead = 3;
	for (uint32_t life = 0; life < 6; life++) {
		struct log_stats stats;

		start(&node, bed);
		commit(&node, 30, 3000);
		log_stats(node.log, &stats);
		assert_int_equal(shelf_bytes(node.shelf), stats.segments * bed->segment_bytes);
		if (life % 2)
			remote_node_close(&node);
		else
			remote_node_kill(&node);
	}
	end(bed);
}

/* A start takes a segment for its seal, also when there is no room for one: who was started often
 * comes up all the same, and goes on when there is room again. */
static void started_often(void **state)
{
	struct remote_bed *bed = begin(1);
	struct remote_node node;

	bed->bytes_max = 8 * bed->segment_bytes;
	start(&node, bed);
	commit(&node, 5, 3000);
	for (uint32_t life = 0; life < 30; life++) {
		remote_node_kill(&node);
		start(&node, bed);
	}
	assert_true(shelf_bytes(node.shelf) > bed->bytes_max);
	assert_false(remote_node_append(&node, 100));
	assert_int_equal(log_error(node.log), -ENOSPC);
	remote_node_mark(&node);
	bed->mark[1] = bed->mark[0];
	node.covered = bed->mark[1].segment;
	remote_node_free(&node, 1000);
	assert_true(shelf_bytes(node.shelf) < bed->bytes_max);
	bed->now.mono_us += 2000000;
	commit(&node, 5, 3000);
	remote_node_kill(&node);
	start(&node, bed);
	remote_node_close(&node);
	end(bed);
}

/* What cleaning leaves of a log are the seals, two objects for each start. */
static void left_behind(void **state)
{
	struct remote_bed *bed = begin(1);
	struct remote_node node;
	uint32_t segments;

	for (uint32_t life = 0; life < 10; life++) {
		start(&node, bed);
		for (uint32_t k = 0; k < 3; k++)
			clean_all(&node);
		if (life % 2)
			remote_node_close(&node);
		else
			remote_node_kill(&node);
	}
	segments =
		fake_store_count(bed->store, "log-003") - fake_store_count(bed->store, "log-003-");
	assert_true(segments < 12);
	assert_in_range(remote_bed_orphans(bed), 2 * 8, 2 * 10);
	end(bed);
}

/* A storage that forgets what it acknowledged: a start says so, or loses the end alone. */
static void forgets(void **state)
{
	uint64_t damaged = 0, tails = 0;

	for (uint64_t seed = 1; seed <= 200; seed++) {
		struct remote_bed *bed = begin(seed);
		struct remote_node node;

		bed->lying = true;
		start(&node, bed);
		fake_faults(bed->store)->forgets = 12;
		for (uint32_t k = 0; k < 8; k++)
			append(&node, 1, 100 + 300 * k);
		remote_node_kill(&node);
		fake_faults(bed->store)->forgets = 0;
		if (remote_node_start(&node, bed, false) == 0)
			remote_node_kill(&node);
		damaged += bed->counts.damaged;
		tails += bed->counts.tails;
		end(bed);
	}
	assert_true(damaged > 20);
	assert_true(tails > 5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lives),
		cmocka_unit_test(large_records),
		cmocka_unit_test(groups_of_one_object),
		cmocka_unit_test(away),
		cmocka_unit_test(refused),
		cmocka_unit_test(no_segment),
		cmocka_unit_test(reads_unanswered),
		cmocka_unit_test(thought_dead),
		cmocka_unit_test(closes_late),
		cmocka_unit_test(two_starts),
		cmocka_unit_test(mark_behind_a_seal),
		cmocka_unit_test(late_into_what_was_cleaned),
		cmocka_unit_test(overtaken),
		cmocka_unit_test(lists_of_several_moments),
		cmocka_unit_test(closed_logs),
		cmocka_unit_test(claims),
		cmocka_unit_test(started_often),
		cmocka_unit_test(left_behind),
		cmocka_unit_test(forgets),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
