/* SPDX-License-Identifier: Apache-2.0 */
/* fresh_test.c - which transactions make room for others: I1 to I3 of txn.h. */
#include "tests/unit/core/region.h"

#include "tests/lib/node_bed.h"

#define MIB	  (1u << 20)
#define TXNS	  4
#define FRESH_MIB (BED_MEMORY_BYTES / ABAFT_TXNS_FRESH_SHARE / MIB)

static struct bed bed;

static int setup(void **state)
{
	bed_defaults(&bed, 1);
	bed.config.txns_max = TXNS;
	bed_open(&bed);
	return 0;
}

static int teardown(void **state)
{
	bed_close(&bed);
	return 0;
}

struct client {
	uint8_t id[16];
	uint64_t instance;
	uint16_t attempt;
	uint32_t seq;
	struct packet p;
	struct bed_answer answer;
};

static struct packet *next(struct client *c)
{
	packet_begin(&c->p, c->id, c->instance, 0, c->attempt, c->seq++,
		     c->instance ? 0 : ABAFT_FLAG_OPEN);
	return &c->p;
}

static uint16_t send(struct client *c)
{
	packet_finish(&c->p);
	bed_run(&bed, 0, &c->p, &c->answer);
	c->instance = bed_instance(&c->answer);
	return bed_status(&c->answer, 0);
}

static uint16_t put(struct client *c, const char *key)
{
	packet_put(next(c), key, (uint16_t)strlen(key), "value", 5);
	return send(c);
}

static uint16_t commit(struct client *c)
{
	packet_commit(next(c));
	return send(c);
}

/* A new transaction's first packet. */
static uint16_t open(struct client *c, uint16_t attempt)
{
	memset(c, 0, sizeof(*c));
	bed_id(&bed, 0, c->id);
	c->attempt = attempt;
	return put(c, "k");
}

static uint64_t displaced(void)
{
	return bed_counters(&bed, 0)->displaced;
}

/* I1. */
static void the_oldest_fresh_one_makes_room(void **state)
{
	struct client c[TXNS + 2], *more = &c[TXNS];

	for (int i = 0; i < TXNS; i++)
		assert_int_equal(open(&c[i], 0), ABAFT_OK);
	assert_int_equal(put(&c[0], "back"), ABAFT_OK);
	assert_int_equal(open(&more[0], 0), ABAFT_OK);
	assert_int_equal(displaced(), 1);
	assert_int_equal(open(&more[1], 0), ABAFT_OK);
	assert_int_equal(displaced(), 2);
	assert_int_equal(bed_counters(&bed, 0)->busy_txns, 0);
	assert_int_equal(commit(&c[1]), ABAFT_UNKNOWN_TXN);
	assert_int_equal(commit(&c[2]), ABAFT_UNKNOWN_TXN);
	assert_int_equal(commit(&c[0]), ABAFT_OK);
	assert_int_equal(commit(&c[3]), ABAFT_OK);
	assert_int_equal(commit(&more[0]), ABAFT_OK);
	assert_int_equal(commit(&more[1]), ABAFT_OK);
}

/* I1: also by the very same packet once more. */
static void without_fresh_ones_the_table_is_full(void **state)
{
	struct client c[TXNS], more;

	for (int i = 0; i < TXNS; i++) {
		assert_int_equal(open(&c[i], 0), ABAFT_OK);
		bed_run(&bed, 0, &c[i].p, &c[i].answer);
		assert_int_equal(bed_status(&c[i].answer, 0), ABAFT_OK);
	}
	assert_int_equal(open(&more, 0), ABAFT_BUSY);
	assert_int_equal(bed_counters(&bed, 0)->busy_txns, 1);
	assert_int_equal(displaced(), 0);
	assert_int_equal(commit(&c[0]), ABAFT_OK);
	assert_int_equal(open(&more, 0), ABAFT_OK);
}

/* I2; and the displaced one's retry takes effect once. */
static void later_attempts_stay(void **state)
{
	struct client c[TXNS], more;
	char value[64];

	for (int i = 0; i < TXNS; i++)
		assert_int_equal(open(&c[i], (uint16_t)(i > 0)), ABAFT_OK);
	assert_int_equal(open(&more, 0), ABAFT_OK);
	assert_int_equal(displaced(), 1);
	assert_int_equal(commit(&c[0]), ABAFT_UNKNOWN_TXN);
	assert_int_equal(commit(&more), ABAFT_OK);
	c[0].instance = 0;
	c[0].attempt = 1;
	assert_int_equal(put(&c[0], "once"), ABAFT_OK);
	assert_int_equal(open(&more, 0), ABAFT_BUSY);
	assert_int_equal(commit(&c[0]), ABAFT_OK);
	bed_get(&bed, 0, "once", value, sizeof(value));
	assert_string_equal(value, "value");
}

/* A part of a large value takes all its memory: I3. */
static void memory_of_fresh_ones_is_bounded(void **state)
{
	static const uint8_t part[ABAFT_PART_BYTES];
	static struct client c[3 * FRESH_MIB];
	struct client light;
	uint32_t gone = 0;

	bed_close(&bed);
	bed_defaults(&bed, 1);
	bed_open(&bed);
	assert_int_equal(open(&light, 0), ABAFT_OK);
	for (uint32_t i = 0; i < 3 * FRESH_MIB; i++) {
		memset(&c[i], 0, sizeof(c[i]));
		bed_id(&bed, 0, c[i].id);
		packet_put_part(next(&c[i]), "k", 1, MIB, 0, part, sizeof(part));
		assert_int_equal(send(&c[i]), ABAFT_OK);
		if (i == 0)
			assert_int_equal(put(&c[0], "back"), ABAFT_OK);
	}
	assert_true(bed_used(&bed) <= (FRESH_MIB + 1) * (uint64_t)MIB + MIB / 4);
	assert_int_equal(put(&c[0], "again"), ABAFT_OK);
	for (uint32_t i = 1; i < 3 * FRESH_MIB; i++)
		gone += put(&c[i], "again") == ABAFT_UNKNOWN_TXN;
	assert_int_equal(gone, displaced());
	assert_int_equal(commit(&light), ABAFT_OK); /* though it was the oldest */
	assert_in_range(gone, 2 * FRESH_MIB - 1, 2 * FRESH_MIB + 1);
	assert_int_equal(put(&c[3 * FRESH_MIB - 1], "again"), ABAFT_OK);
}

/* A request that waited for its values is executed again, but did not come twice. */
static void waiting_is_not_coming_back(void **state)
{
	static uint8_t value[4096];
	struct client c[TXNS], more;

	assert_int_equal(open(&more, 0), ABAFT_OK);
	packet_put(next(&more), "cold", 4, value, 1024);
	assert_int_equal(send(&more), ABAFT_OK);
	assert_int_equal(commit(&more), ABAFT_OK);
	bed_cold(&bed, "cold");
	for (int i = 0; i < TXNS; i++) {
		memset(&c[i], 0, sizeof(c[i]));
		bed_id(&bed, 0, c[i].id);
		packet_get(next(&c[i]), "cold", 4, 0);
		assert_int_equal(send(&c[i]), ABAFT_OK);
	}
	assert_true(c[0].answer.again > 0);
	assert_int_equal(open(&more, 0), ABAFT_OK);
	assert_int_equal(displaced(), 1);
	assert_int_equal(commit(&c[0]), ABAFT_UNKNOWN_TXN);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(the_oldest_fresh_one_makes_room),
		CASE(without_fresh_ones_the_table_is_full),
		CASE(later_attempts_stay),
		CASE(memory_of_fresh_ones_is_bounded),
		CASE(waiting_is_not_coming_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
