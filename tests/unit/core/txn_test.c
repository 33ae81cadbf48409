/* SPDX-License-Identifier: Apache-2.0 */
/* txn_test.c - the table of open transactions: deadlines on the wheel, freezing, intervals. */
#include "tests/unit/core/region.h"

#include "dataplane/core/txn.h"
#include "tests/lib/core_packet.h"

#define MAX 400

struct bed {
	struct region region;
	struct txn_table table;
	struct store *store;
	struct reclaim reclaim;
	uint64_t us;
};

static void open_bed(struct bed *b)
{
	struct store_config config = {
		.workers = 1, .keys_max = 16, .memory_bytes = 1 << 20, .seed = 1};

	memset(b, 0, sizeof(*b));
	region_open(&b->region, 2);
	assert_int_equal(txn_table_init(&b->table, &b->region.mapper, MAX, 5), 0);
	assert_int_equal(store_create(&b->store, &config), 0);
	reclaim_init(&b->reclaim, b->store, 0, &b->region.cache);
	b->us = 5000000;
}

static void close_bed(struct bed *b)
{
	ck_epoch_unregister(&b->reclaim.record);
	store_destroy(b->store);
	txn_table_fini(&b->table, &b->region.mapper);
	region_close(&b->region);
}

static struct txn *begin(struct bed *b, uint64_t number, uint64_t life_us, uint64_t era)
{
	uint8_t id[16];

	packet_id(id, 1, number, (uint32_t)number * 77);
	return txn_begin(&b->table, id, number, b->us, b->us + life_us, era);
}

static struct txn *find(struct bed *b, uint64_t number)
{
	uint8_t id[16];

	packet_id(id, 1, number, (uint32_t)number * 77);
	return txn_find(&b->table, id);
}

/* Moves time in steps of at most 100 ms; returns how many expired, each once and not before. */
static uint32_t pass_time(struct bed *b, uint64_t us)
{
	uint64_t end = b->us + us;
	uint32_t n = 0;
	struct txn *txn;

	while (b->us < end) {
		b->us += end - b->us < 100000 ? end - b->us : 100000;
		for (uint32_t again = 0; again < 4; again++)
			while ((txn = txn_expired(&b->table, b->us))) {
				assert_true(txn->deadline_us <= b->us);
				assert_true(txn->deadline_us + 400000 > b->us);
				txn_end(&b->table, &b->region.cache, txn);
				n++;
			}
	}
	return n;
}

static void holds_what_fits(void **state)
{
	struct bed b;

	open_bed(&b);
	for (uint64_t i = 0; i < MAX; i++) {
		struct txn *txn = begin(&b, i, 1000000, 1);

		assert_non_null(txn);
		assert_int_equal(txn->state, TXN_OPEN);
	}
	assert_null(begin(&b, MAX, 1000000, 1));
	for (uint64_t i = 0; i < MAX; i++)
		assert_int_equal(find(&b, i)->instance, i);
	assert_null(find(&b, MAX));
	txn_end(&b.table, &b.region.cache, find(&b, 7));
	assert_null(find(&b, 7));
	assert_non_null(begin(&b, MAX, 1000000, 1));
	assert_int_equal(b.table.open, MAX);
	assert_int_equal(pass_time(&b, 3000000), MAX);
	assert_int_equal(b.table.open, 0);
	close_bed(&b);
}

/* Also beyond a turn of the wheel (33 s). */
static void deadlines_pass_once_and_in_time(void **state)
{
	static const uint64_t life_ms[] = {1, 1000, 33000, 34000, 100000, 600000};
	uint64_t at_us = 0;
	struct bed b;

	open_bed(&b);
	for (uint64_t i = 0; i < 6; i++)
		assert_non_null(begin(&b, i, life_ms[i] * 1000, 1));
	for (uint64_t i = 0; i < 6; i++) {
		assert_int_equal(pass_time(&b, life_ms[i] * 1000 - 1 - at_us), 0);
		assert_non_null(find(&b, i));
		assert_int_equal(pass_time(&b, 400001), 1);
		assert_null(find(&b, i));
		at_us = life_ms[i] * 1000 + 400000;
	}
	close_bed(&b);
}

static void a_long_sleep_expires_everything(void **state)
{
	struct txn *txn;
	uint32_t n = 0;
	struct bed b;

	open_bed(&b);
	for (uint64_t i = 0; i < 300; i++)
		assert_non_null(begin(&b, i, i * 100000, 1));
	b.us += 3600ull * 1000000; /* many turns of the wheel at once */
	for (uint32_t tick = 0; tick < 1000 && n < 300; tick++)
		while ((txn = txn_expired(&b.table, b.us))) {
			txn_end(&b.table, &b.region.cache, txn);
			n++;
		}
	assert_int_equal(n, 300);
	close_bed(&b);
}

static void renewals_move_deadlines_both_ways(void **state)
{
	struct txn *txn;
	struct bed b;

	open_bed(&b);
	txn = begin(&b, 1, 1000000, 1);
	for (uint32_t i = 0; i < 100; i++) { /* later and later */
		assert_int_equal(pass_time(&b, 900000), 0);
		txn_renew(&b.table, txn, b.us + 1000000);
	}
	txn_renew(&b.table, txn, b.us + 600000000);
	assert_int_equal(pass_time(&b, 50000000), 0);
	txn_renew(&b.table, txn, b.us + 200000); /* sooner */
	assert_int_equal(pass_time(&b, 199999), 0);
	assert_int_equal(pass_time(&b, 400000), 1);
	close_bed(&b);
}

static void pending_ones_do_not_expire(void **state)
{
	struct txn *txn;
	struct bed b;

	open_bed(&b);
	txn = begin(&b, 1, 1000000, 3);
	assert_int_equal(txn_young_era(&b.table), 3);
	txn_release(&b.table, txn);
	txn->state = TXN_PENDING;
	assert_int_equal(txn_young_era(&b.table), UINT64_MAX);
	assert_int_equal(pass_time(&b, 5000000), 0);
	assert_non_null(find(&b, 1));
	txn_end(&b.table, &b.region.cache, txn);
	assert_null(find(&b, 1));
	close_bed(&b);
}

static void the_oldest_young_one_counts(void **state)
{
	struct bed b;

	open_bed(&b);
	assert_int_equal(txn_young_era(&b.table), UINT64_MAX);
	begin(&b, 1, 10000000, 3);
	begin(&b, 2, 10000000, 4);
	assert_int_equal(txn_young_era(&b.table), 3);
	txn_end(&b.table, &b.region.cache, find(&b, 1));
	assert_int_equal(txn_young_era(&b.table), 4);
	txn_end(&b.table, &b.region.cache, find(&b, 2));
	assert_int_equal(txn_young_era(&b.table), UINT64_MAX);
	close_bed(&b);
}

static void the_old_freeze_and_publish_their_interval(void **state)
{
	struct store_slot *slot;
	struct bed b;

	open_bed(&b);
	slot = &b.store->slot[0];
	begin(&b, 1, 100000000, 3);
	b.us += ABAFT_TXN_FREEZE_MS * 1000 - 1;
	begin(&b, 2, 100000000, 9);
	txn_freeze(&b.table, &b.reclaim, b.us, 9);
	assert_int_equal(find(&b, 1)->cut, UINT64_MAX);
	b.us++;
	txn_freeze(&b.table, &b.reclaim, b.us, 10);
	assert_int_equal(find(&b, 1)->cut, 10);
	assert_int_equal(find(&b, 2)->cut, UINT64_MAX);
	assert_int_equal(txn_young_era(&b.table), 9);
	assert_int_equal(atomic_load(&slot->intervals), 1);
	assert_int_equal(atomic_load(&slot->interval[0].lo), 3);
	assert_int_equal(atomic_load(&slot->interval[0].hi), 10);
	assert_int_equal(atomic_load(&slot->sequence) % 2, 0);
	/* When it ends its interval goes, after a while. */
	txn_end(&b.table, &b.region.cache, find(&b, 1));
	b.us += 200000;
	txn_freeze(&b.table, &b.reclaim, b.us, 11);
	assert_int_equal(atomic_load(&slot->intervals), 0);
	txn_end(&b.table, &b.region.cache, find(&b, 2));
	close_bed(&b);
}

/* Overlapping intervals are one; more than fit are merged into the last: wider, never narrower. */
static void intervals_are_bounded_and_cover_all(void **state)
{
	struct store_slot *slot;
	uint64_t era = 1;
	struct bed b;

	open_bed(&b);
	slot = &b.store->slot[0];
	for (uint64_t i = 0; i < 100; i++) {
		begin(&b, 2 * i, 1000000000, era);
		begin(&b, 2 * i + 1, 1000000000, ++era);
		b.us += ABAFT_TXN_FREEZE_MS * 1000;
		era += 2;
		txn_freeze(&b.table, &b.reclaim, b.us, era);
		era += 3;
	}
	assert_int_equal(b.table.frozen_ever, 200);
	assert_int_equal(atomic_load(&slot->intervals), STORE_INTERVALS);
	for (uint64_t i = 0; i < 200; i++) {
		const struct txn *txn = find(&b, i);
		bool covered = false;

		for (uint32_t k = 0; k < STORE_INTERVALS; k++)
			covered |= atomic_load(&slot->interval[k].lo) <= txn->begin_era &&
				   txn->cut <= atomic_load(&slot->interval[k].hi);
		assert_true(covered);
	}
	assert_int_equal(atomic_load(&slot->interval[0].lo), 1);
	assert_int_equal(atomic_load(&slot->interval[0].hi), 4); /* both of the first pair */
	assert_int_equal(atomic_load(&slot->interval[1].lo), 7);
	for (uint64_t i = 0; i < 200; i++)
		txn_end(&b.table, &b.region.cache, find(&b, i));
	close_bed(&b);
}

static void says_when_it_wants_to_be_called(void **state)
{
	struct bed b;

	open_bed(&b);
	assert_int_equal(txn_next_us(&b.table, b.us), UINT64_MAX);
	begin(&b, 1, 1000000, 1);
	assert_true(txn_next_us(&b.table, b.us) <= TXN_WHEEL_SLOT_US);
	assert_int_equal(pass_time(&b, 3000000), 1);
	assert_int_equal(txn_next_us(&b.table, b.us), UINT64_MAX);
	close_bed(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(holds_what_fits),
		cmocka_unit_test(deadlines_pass_once_and_in_time),
		cmocka_unit_test(a_long_sleep_expires_everything),
		cmocka_unit_test(renewals_move_deadlines_both_ways),
		cmocka_unit_test(pending_ones_do_not_expire),
		cmocka_unit_test(the_oldest_young_one_counts),
		cmocka_unit_test(the_old_freeze_and_publish_their_interval),
		cmocka_unit_test(intervals_are_bounded_and_cover_all),
		cmocka_unit_test(says_when_it_wants_to_be_called),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
