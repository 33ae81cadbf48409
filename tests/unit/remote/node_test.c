/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whole nodes over a storage engine, with nothing of their own: logs, checkpoints and cleaning, as
 * the keeper's tests have them over disks; and nodes that were replaced while they lived.
 *
 * ABAFT_SEED=n runs one seed, ABAFT_SEEDS=n as many from 1 on.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "dataplane/log/shelf.h"
#include "tests/lib/keeper_bed_remote.h"

#define SEEDS  6
#define ROUNDS 6

static void overwrite(struct keeper_bed *bed, uint64_t passes)
{
	for (uint64_t i = 0; i < passes; i++) {
		for (uint32_t n = 0; n < 4; n++)
			(void)keeper_bed_read(bed, (uint32_t)sim_random(&bed->random, bed->keys));
		for (uint32_t w = 0; w < bed->workers; w++)
			for (uint32_t n = 0; n < 8; n++)
				(void)keeper_bed_commit_any(bed, w, 5);
		keeper_bed_pass(bed);
	}
}

static void reopen(struct keeper_bed *bed)
{
	int err = keeper_bed_open(bed);

	/* Something of the one before has come while it started. */
	for (int i = 0; i < 20 && err == -ESTALE; i++)
		err = keeper_bed_open(bed);
	if (err)
		fail_msg("seed %llu: %s (%s)", (unsigned long long)bed->seed, bed->why,
			 strerror(-err));
}

static struct keeper_bed *new_bed(struct keeper_bed_remote *over, struct fake_store *store,
				  uint64_t seed, uint32_t number)
{
	struct keeper_bed *bed = malloc(sizeof(*bed));

	assert_non_null(bed);
	keeper_bed_begin(bed, seed * 10 + number, 1 + (uint32_t)(seed % 3));
	keeper_bed_remote(over, bed, store, number);
	bed->keys = 2000;
	bed->segment_bytes = 32 << 10;
	bed->bytes_max = 96 * bed->segment_bytes;
	bed->reserve = 2 * bed->segment_bytes;
	bed->config.room_bytes = 8 * bed->segment_bytes;
	bed->config.checkpoint_bytes = 4 * bed->segment_bytes;
	bed->config.use_percent = 75;
	bed->cache_bytes = seed % 2 ? 128 << 10 : 0; /* most large values are cold, or none */
	return bed;
}

static void end(struct keeper_bed *bed)
{
	keeper_bed_end(bed);
	free(bed);
}

/* What clients were told by one is what they ask of the next, which has never seen it. */
static void succeed(struct keeper_bed *bed, const struct keeper_bed *before)
{
	memcpy(bed->acked, before->acked, sizeof(bed->acked));
	memcpy(bed->txn, before->txn, sizeof(bed->txn));
	bed->now = before->now;
	bed->ids = before->ids + 1000000;
}

static void read_all(struct keeper_bed *bed)
{
	assert_true(keeper_bed_drain(bed));
	for (uint32_t key = 0; key < bed->keys; key++)
		while (!keeper_bed_read(bed, key))
			keeper_bed_pass(bed);
	assert_true(keeper_bed_drain(bed));
	assert_int_equal(bed->wrong_reads, 0);
	assert_int_equal(bed->failed_reads, 0);
}

static uint64_t cleaned, checkpoints; /* by nodes that crashed */

static void crash(uint64_t seed)
{
	struct fake_store *store = fake_store_create(seed);
	uint64_t random = seed;
	struct keeper_bed_remote over;
	struct keeper_bed *bed = new_bed(&over, store, seed, 0), *next;

	*fake_faults(store) = (struct fake_faults){.delay = (uint32_t)seed % 4,
						   .lost_put = seed % 2 ? 30 : 0,
						   .lost_other = seed % 2 ? 30 : 0,
						   .late = 2,
						   .late_ticks = 500,
						   .phantoms = 3};
	reopen(bed);
	for (uint32_t round = 1; round <= ROUNDS; round++) {
		overwrite(bed, 20 + sim_random(&random, 200));
		if (sim_random(&random, 2))
			fake_store_outage(store, sim_random(&random, 300));
		overwrite(bed, sim_random(&random, 50));
		if (sim_random(&random, 4))
			keeper_bed_kill(bed);
		else
			keeper_bed_close(bed);
		/* On another machine. */
		next = new_bed(&over, store, seed, round);
		succeed(next, bed);
		cleaned += bed->cleaned_segments;
		checkpoints += bed->checkpoints;
		assert_int_equal(bed->wrong_reads, 0);
		end(bed);
		bed = next;
		reopen(bed);
		if (keeper_bed_wrong(bed))
			fail_msg("seed %llu, round %u", (unsigned long long)seed, round);
		if (round % 3 == 0)
			read_all(bed);
	}
	overwrite(bed, 300);
	assert_true(keeper_bed_drain(bed));
	assert_int_equal(keeper_bed_wrong(bed), 0);
	keeper_bed_close(bed);
	reopen(bed);
	assert_int_equal(keeper_bed_wrong(bed), 0);
	assert_string_equal(bed->restart.note, "");
	read_all(bed);
	end(bed);
	fake_store_destroy(store);
}

static void for_seeds(void (*run)(uint64_t seed))
{
	const char *one = getenv("ABAFT_SEED"), *many = getenv("ABAFT_SEEDS");
	uint64_t first = one ? strtoull(one, NULL, 0) : 1;
	uint64_t seeds = many ? strtoull(many, NULL, 0) : one ? 1 : SEEDS;

	for (uint64_t seed = first; seed < first + seeds; seed++)
		run(seed);
}

static void nothing_is_lost_in_crashes(void **state)
{
	for_seeds(crash);
	assert_true(checkpoints > 10);
	assert_true(cleaned > 50);
}

static bool was_in_flight(const struct keeper_bed *before, uint32_t key, uint64_t seed)
{
	for (uint32_t i = 0; i < KEEPER_BED_TXNS_MAX; i++) {
		const struct keeper_bed_txn *txn = &before->txn[key % before->workers][i];

		for (uint32_t k = 0; txn->used && k < txn->count; k++)
			if (txn->write[k].key == key && txn->write[k].seed == seed)
				return true;
	}
	return false;
}

/* What the old one was told after the new one had begun: only of what it had on its way before. (If
 * that is in the log, the new one has found it: keeper_bed_wrong().) */
static void check_shut_out(const struct keeper_bed *old, const struct keeper_bed *before)
{
	for (uint32_t key = 0; key < old->keys; key++)
		if (old->acked[key] != before->acked[key] &&
		    !was_in_flight(before, key, old->acked[key]))
			fail_msg("key %u was acknowledged by a node that was shut out", key);
}

/*
 * A node is thought dead, and replaced; it goes on, with what it has on its way, and commits,
 * checkpoints and cleaning of its own, again and again while the new one does the same.
 */
static void replaced(uint64_t seed)
{
	struct fake_store *store = fake_store_create(seed);
	struct keeper_bed_remote over[3];
	struct keeper_bed *old = new_bed(&over[0], store, seed, 0);
	struct keeper_bed *new = new_bed(&over[1], store, seed, 1);
	struct keeper_bed *next = new_bed(&over[2], store, seed, 2);
	struct keeper_bed *before = malloc(sizeof(*before));

	assert_non_null(before);
	fake_faults(store)->delay = (uint32_t)seed % 4;
	reopen(old);
	overwrite(old, 300);
	if (seed % 3 == 0)
		fake_engine_hold(over[0].engine, 1000000);
	overwrite(old, 2);

	*before = *old;
	succeed(new, old);
	reopen(new);
	assert_int_equal(keeper_bed_wrong(new), 0);
	for (uint32_t round = 0; round < 6; round++) {
		overwrite(new, 60);
		if (round == 2)
			fake_engine_hold(over[0].engine, 0);
		if (round % 2)
			keeper_ask_checkpoint(old->keeper);
		overwrite(old, 20);
		for (uint32_t i = 0; i < 100; i++)
			keeper_bed_pass(old);
	}
	check_shut_out(old, before);
	/* Or it is so full that it has not tried. */
	for (uint32_t w = 0; w < old->workers; w++)
		assert_true(log_error(old->log[w]) == -ESTALE || log_error(old->log[w]) == -ENOSPC);
	assert_true(keeper_bed_checkpoints(new, 2));
	overwrite(new, 100);
	/* Its last words. */
	keeper_ask_checkpoint(old->keeper);
	for (uint32_t i = 0; i < 300; i++)
		keeper_bed_pass(old);
	keeper_bed_close(old);
	keeper_bed_kill(new);
	assert_int_equal(new->wrong_reads, 0);
	assert_int_equal(new->failed_reads, 0);
	assert_true(new->cleaned_segments > 10);

	succeed(next, new);
	reopen(next);
	assert_int_equal(keeper_bed_wrong(next), 0);
	assert_string_equal(next->restart.note, "");
	overwrite(next, 200);
	read_all(next);
	assert_int_equal(keeper_bed_wrong(next), 0);
	end(old);
	end(new);
	end(next);
	free(before);
	fake_store_destroy(store);
}

static void who_was_replaced_harms_nobody(void **state)
{
	for_seeds(replaced);
}

/* A start that is cut off at any request, and one after it that is not. */
static void starts_cut_off(void **state)
{
	static const enum engine_verb verbs[] = {ENGINE_PUT, ENGINE_PUT_NEW, ENGINE_DELETE,
						 ENGINE_GET, ENGINE_LIST};
	struct fake_store *store = fake_store_create(5);
	struct keeper_bed_remote over;
	struct keeper_bed *bed = new_bed(&over, store, 5, 0);
	uint32_t cuts = 0;

	reopen(bed);
	for (uint32_t i = 0; i < 60; i++) {
		overwrite(bed, 10);
		keeper_bed_kill(bed);
		fake_store_kill_at(store, verbs[i % 5], 1 + i / 5);
		if (keeper_bed_open(bed) == 0)
			keeper_bed_kill(bed);
		else
			cuts++;
		fake_store_kill_at(store, verbs[i % 5], 0);
		reopen(bed);
		assert_int_equal(keeper_bed_wrong(bed), 0);
	}
	assert_true(cuts > 20);
	read_all(bed);
	end(bed);
	fake_store_destroy(store);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_is_lost_in_crashes),
		cmocka_unit_test(who_was_replaced_harms_nobody),
		cmocka_unit_test(starts_cut_off),
	};

	return cmocka_run_group_tests_name("remote_node", tests, NULL, NULL);
}
