/* SPDX-License-Identifier: Apache-2.0 */
/* own_test.c - reads of a transaction's own writes, also when packets come twice (P2, P6). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include <abaft/error.h>

#include "tests/lib/node_bed.h"

static struct bed bed;

static int setup(void **state)
{
	(void)state;
	bed_defaults(&bed, 1);
	bed_open(&bed);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	bed_close(&bed);
	return 0;
}

static void assert_reads(const struct bed_answer *answer, uint32_t i, const char *text)
{
	struct reply_result r = bed_result(answer, i);

	assert_int_equal(r.status, ABAFT_OK);
	assert_int_equal(r.data_bytes, strlen(text));
	assert_memory_equal(r.data, text, strlen(text));
}

/* The packet PUT, GET, PUT of one key answers the same when it comes again. */
static void a_repeated_packet_reads_what_it_read_first(void **state)
{
	struct bed_answer answer;
	struct packet p;
	uint8_t id[16];

	(void)state;
	bed_id(&bed, 0, id);
	packet_begin(&p, id, 0, 0, 0, 0, ABAFT_FLAG_OPEN);
	packet_put(&p, "k", 1, "one", 3);
	packet_get(&p, "k", 1, 0);
	packet_put(&p, "k", 1, "two", 3);
	packet_get(&p, "k", 1, 0);
	packet_finish(&p);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(bed_send(&bed, 0, &p, &answer), NODE_ANSWER);
		assert_reads(&answer, 1, "one");
		assert_reads(&answer, 3, "two");
	}
	packet_begin(&p, id, bed_instance(&answer), 0, 0, 4, 0);
	packet_commit(&p);
	packet_finish(&p);
	bed_run(&bed, 0, &p, &answer);
	assert_int_equal(bed_status(&answer, 0), ABAFT_OK);
	bed_id(&bed, 0, id);
	packet_begin(&p, id, 0, 0, 0, 0, ABAFT_FLAG_OPEN);
	packet_get(&p, "k", 1, 0);
	packet_finish(&p);
	bed_send(&bed, 0, &p, &answer);
	assert_reads(&answer, 0, "two");
}

/* GET before PUT of one key: the repeated GET does not see the PUT behind it. */
static void a_get_does_not_see_a_later_write(void **state)
{
	struct bed_answer answer;
	struct packet p;
	uint8_t id[16];

	(void)state;
	assert_int_equal(bed_put(&bed, 0, "k", "old"), ABAFT_OK);
	bed_id(&bed, 0, id);
	packet_begin(&p, id, 0, 0, 0, 0, ABAFT_FLAG_OPEN);
	packet_get(&p, "k", 1, 0);
	packet_put(&p, "k", 1, "new", 3);
	packet_finish(&p);
	for (int i = 0; i < 2; i++) {
		bed_send(&bed, 0, &p, &answer);
		assert_reads(&answer, 0, "old");
	}
}

/* A dead later step's write is not read by the earlier step's next attempt. */
static void an_earlier_step_does_not_read_a_later_step(void **state)
{
	struct bed_answer answer;
	struct packet p;
	uint8_t id[16];

	(void)state;
	bed_id(&bed, 0, id);
	packet_begin(&p, id, 0, 1, 0, 0, ABAFT_FLAG_OPEN);
	packet_put(&p, "y", 1, "dead", 4);
	packet_finish(&p);
	bed_send(&bed, 0, &p, &answer);
	packet_begin(&p, id, 0, 0, 1, 0, ABAFT_FLAG_OPEN);
	packet_get(&p, "y", 1, 0);
	packet_finish(&p);
	bed_send(&bed, 0, &p, &answer);
	assert_int_equal(bed_status(&answer, 0), ABAFT_NOT_FOUND);
	packet_begin(&p, id, 0, 2, 0, 0, ABAFT_FLAG_OPEN);
	packet_get(&p, "y", 1, 0);
	packet_finish(&p);
	bed_send(&bed, 0, &p, &answer);
	assert_reads(&answer, 0, "dead");
}

/* Once a later packet has come, writes replace again: a loop of GET and PUT needs no more room. */
static void observed_writes_are_replaced_by_later_packets(void **state)
{
	struct bed_answer answer;
	struct packet p;
	uint8_t id[16];

	(void)state;
	bed_id(&bed, 0, id);
	for (uint32_t i = 0; i < 2 * ABAFT_TXN_WRITES_MAX; i++) {
		packet_begin(&p, id, 0, 0, 0, 2 * i, ABAFT_FLAG_OPEN);
		packet_put(&p, "k", 1, "v", 1);
		packet_get(&p, "k", 1, 0);
		packet_finish(&p);
		bed_send(&bed, 0, &p, &answer);
		assert_reads(&answer, 1, "v");
	}
}

/* An ABORT among other operations does not open a transaction that the node has lost. */
static void an_abort_opens_only_alone(void **state)
{
	struct bed_answer answer;
	struct packet p;
	uint8_t id[16];

	(void)state;
	bed_id(&bed, 0, id);
	packet_begin(&p, id, 4711, 0, 0, 3, 0);
	packet_get(&p, "k", 1, 0);
	packet_abort(&p);
	packet_finish(&p);
	bed_send(&bed, 0, &p, &answer);
	assert_int_equal(bed_status(&answer, 0), ABAFT_UNKNOWN_TXN);
	packet_begin(&p, id, 4711, 0, 0, 3, 0);
	packet_abort(&p);
	packet_finish(&p);
	bed_run(&bed, 0, &p, &answer);
	assert_int_equal(bed_status(&answer, 0), ABAFT_OK);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_repeated_packet_reads_what_it_read_first, setup,
						teardown),
		cmocka_unit_test_setup_teardown(a_get_does_not_see_a_later_write, setup, teardown),
		cmocka_unit_test_setup_teardown(an_earlier_step_does_not_read_a_later_step, setup,
						teardown),
		cmocka_unit_test_setup_teardown(observed_writes_are_replaced_by_later_packets,
						setup, teardown),
		cmocka_unit_test_setup_teardown(an_abort_opens_only_alone, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
