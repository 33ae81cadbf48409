/* SPDX-License-Identifier: Apache-2.0 */
/*
 * telemetry_test.c - what a worker tells of itself: counts that are exact, and times that move
 * where the time went and nowhere else.
 *
 * Upper bounds are far from what is measured: the machine may be busy.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include <abaft/error.h>
#include <abaft/limits.h>

#include "tests/lib/core_packet.h"
#include "tests/unit/worker/rig.h"

/* How long something is held up, and what nothing else takes in the meantime. */
#define HELD_US	   400000
#define HELD_NS	   (HELD_US * UINT64_C(1000))
#define AT_ONCE_NS (HELD_NS / 2)

static struct rig rig;

static const struct histogram *histogram(uint32_t worker, enum histogram_name name)
{
	const struct histogram *it = &rig.telemetry[worker].histogram[name];

	assert_null(telemetry_histogram_wrong(it));
	return it;
}

/* A transaction of one put, or one get, and its commit, owned by that worker. */
static void send_txn(uint32_t worker, uint8_t id[16], const char *key, const void *value,
		     uint32_t bytes)
{
	struct packet packet;

	rig_id(&rig, id, worker);
	packet_begin(&packet, id, 0, 0, 0, 0, ABAFT_FLAG_OPEN);
	if (value != NULL)
		packet_put(&packet, key, (uint16_t)strlen(key), value, bytes);
	else
		packet_get(&packet, key, (uint16_t)strlen(key), 0);
	packet_commit(&packet);
	rig_send(&rig, RIG_UDP_PORT, packet.bytes, packet_finish(&packet));
}

static uint64_t errors_of(const struct op_counter *counter)
{
	const __u64 *errors = (const __u64 *)&counter->errors;
	uint64_t sum = 0;

	for (size_t i = 0; i < sizeof(counter->errors) / sizeof(errors[0]); i++)
		sum += errors[i];
	return sum;
}

static void all_is_counted(void **state)
{
	const struct op_counters *ops = &rig.telemetry[0].ops;
	uint8_t id[16];

	rig_start(&rig, 1);
	for (uint32_t i = 0; i < 100; i++)
		send_txn(0, id, "key", "value", 5);
	assert_int_equal(rig_wait_sent(&rig, 100), 100);
	for (uint32_t i = 0; i < 60; i++)
		send_txn(0, id, i % 3 == 0 ? "nothing" : "key", NULL, 0);
	assert_int_equal(rig_wait_sent(&rig, 160), 160);
	rig_stop(&rig);

	assert_int_equal(ops->packet.count, 160);
	assert_int_equal(errors_of(&ops->packet), 0);
	assert_int_equal(ops->put.count, 100);
	assert_int_equal(ops->put.bytes, 500);
	assert_int_equal(errors_of(&ops->put), 0);
	assert_int_equal(ops->get.count, 60);
	assert_int_equal(ops->get.bytes, 40 * 5);
	assert_int_equal(ops->get.errors.NOT_FOUND, 20);
	assert_int_equal(errors_of(&ops->get), 20);
	assert_int_equal(ops->commit.count, 160);
	assert_int_equal(errors_of(&ops->commit), 0);
	assert_int_equal(histogram(0, HISTOGRAM_service)->count, 160);
	assert_int_equal(histogram(0, HISTOGRAM_txn_life)->count, 160);
	assert_int_equal(histogram(0, HISTOGRAM_commit_durable)->count, 100);
	assert_int_equal(histogram(0, HISTOGRAM_durable_ack)->count, 100);
	assert_int_equal(histogram(0, HISTOGRAM_handover)->count, 0);
	assert_int_equal(histogram(0, HISTOGRAM_arrival)->count, 0); /* there is no XDP program */
	assert_true(histogram(0, HISTOGRAM_service)->sum > 0);
}

static void refusals_are_counted_by_reason(void **state)
{
	static const uint8_t half[ABAFT_PART_BYTES];
	const struct op_counters *ops = &rig.telemetry[0].ops;
	struct packet packet;
	uint8_t id[16];

	rig_start(&rig, 1);
	rig_id(&rig, id, 0);
	/* It goes on with a transaction that nobody began: refused as a whole. */
	packet_begin(&packet, id, 77, 0, 0, 0, 0);
	packet_get(&packet, "key", 3, 0);
	rig_send(&rig, RIG_UDP_PORT, packet.bytes, packet_finish(&packet));
	/* Half of a value, and a commit. */
	packet_begin(&packet, id, 0, 0, 0, 1, ABAFT_FLAG_OPEN);
	packet_put_part(&packet, "key", 3, 2 * ABAFT_PART_BYTES, 0, half, sizeof(half));
	rig_send(&rig, RIG_UDP_PORT, packet.bytes, packet_finish(&packet));
	packet_begin(&packet, id, 0, 0, 0, 2, ABAFT_FLAG_OPEN);
	packet_commit(&packet);
	rig_send(&rig, RIG_UDP_PORT, packet.bytes, packet_finish(&packet));
	assert_int_equal(rig_wait_sent(&rig, 3), 3);
	rig_stop(&rig);

	assert_int_equal(ops->packet.count, 3);
	assert_int_equal(ops->packet.errors.UNKNOWN_TXN, 1);
	assert_int_equal(errors_of(&ops->packet), 1);
	assert_int_equal(ops->put_part.count, 1);
	assert_int_equal(ops->put_part.bytes, ABAFT_PART_BYTES);
	assert_int_equal(ops->commit.errors.INCOMPLETE, 1);
	assert_int_equal(errors_of(&ops->commit), 1);
	assert_int_equal(histogram(0, HISTOGRAM_txn_life)->count, 0);
}

static void a_log_that_is_slow_shows_where_the_time_went(void **state)
{
	const struct slow_txn *slow = &rig.telemetry[0].slow.entry[1];
	uint8_t id[16], other[16];

	rig_start(&rig, 1);
	rig_hold(&rig, 0, true);
	send_txn(0, id, "key", "value", 5);
	send_txn(0, other, "key", NULL, 0);
	assert_int_equal(rig_wait_sent(&rig, 1), 1);
	usleep(HELD_US);
	rig_hold(&rig, 0, false);
	assert_int_equal(rig_wait_sent(&rig, 2), 2);
	rig_stop(&rig);

	assert_true(histogram(0, HISTOGRAM_commit_durable)->max >= HELD_NS * 9 / 10);
	assert_true(histogram(0, HISTOGRAM_txn_life)->max >= HELD_NS * 9 / 10);
	assert_true(histogram(0, HISTOGRAM_service)->max < AT_ONCE_NS);
	assert_true(histogram(0, HISTOGRAM_durable_ack)->max < AT_ONCE_NS);
	assert_int_equal(rig.telemetry[0].slow.written, 1);
	assert_int_equal(slow->sequence, 1);
	assert_memory_equal(slow->id, id, 16);
	assert_int_equal(slow->ended, 1);
	assert_int_equal(slow->ops, 2);
	/* The rig's log does not say when it gave the record to a disk. */
	assert_true(slow->phase_ns.log_wait + slow->phase_ns.device >= HELD_NS * 9 / 10);
	assert_true(slow->phase_ns.service < AT_ONCE_NS && slow->phase_ns.arrival < AT_ONCE_NS &&
		    slow->phase_ns.reply < AT_ONCE_NS && slow->phase_ns.publish < AT_ONCE_NS);
	assert_int_equal(slow->phase_ns.fetch, 0);
}

/* It waited for the disk until the log failed, not for its answer to leave. */
static void a_log_that_fails_shows_where_the_time_went(void **state)
{
	const struct slow_txn *slow = &rig.telemetry[0].slow.entry[1];
	uint8_t id[16];

	rig_start(&rig, 1);
	rig_hold(&rig, 0, true);
	send_txn(0, id, "key", "value", 5);
	usleep(HELD_US);
	rig_fail(&rig, 0, -EIO);
	assert_int_equal(rig_wait_sent(&rig, 1), 1);
	rig_stop(&rig);

	assert_int_equal(rig.telemetry[0].ops.commit.count, 1);
	assert_int_equal(rig.telemetry[0].ops.commit.errors.LOG_FAILED, 1);
	assert_int_equal(histogram(0, HISTOGRAM_commit_durable)->count, 0);
	assert_int_equal(histogram(0, HISTOGRAM_durable_ack)->count, 0);
	assert_int_equal(histogram(0, HISTOGRAM_txn_life)->count, 0);
	assert_int_equal(rig.telemetry[0].slow.written, 1);
	assert_memory_equal(slow->id, id, 16);
	assert_int_equal(slow->ended, 0);
	assert_true(slow->phase_ns.log_wait + slow->phase_ns.device >= HELD_NS * 9 / 10);
	assert_true(slow->phase_ns.reply < AT_ONCE_NS && slow->phase_ns.publish < AT_ONCE_NS);
}

static void a_slow_disk_shows_in_reads_alone(void **state)
{
	static uint8_t large[1000];
	const struct slow_txn *slow = &rig.telemetry[0].slow.entry[1];
	uint8_t id[16];

	rig_start_cold(&rig, 1);
	send_txn(0, id, "cold", large, sizeof(large));
	assert_int_equal(rig_wait_sent(&rig, 1), 1);
	send_txn(0, id, "other", large, sizeof(large)); /* now the first has left memory */
	assert_int_equal(rig_wait_sent(&rig, 2), 2);
	usleep(50000);
	rig_hold_reads(&rig, 0, true);
	send_txn(0, id, "cold", NULL, 0);
	usleep(HELD_US);
	rig_hold_reads(&rig, 0, false);
	assert_int_equal(rig_wait_sent(&rig, 3), 3);
	rig_stop(&rig);

	assert_int_equal(rig.node_counters[0].fetches, 1);
	assert_int_equal(histogram(0, HISTOGRAM_engine_call)->count, 1);
	assert_int_equal(histogram(0, HISTOGRAM_service)->count, 3); /* though it ran twice */
	assert_true(histogram(0, HISTOGRAM_engine_call)->max >= HELD_NS * 9 / 10);
	assert_true(histogram(0, HISTOGRAM_service)->max < AT_ONCE_NS);
	assert_true(histogram(0, HISTOGRAM_commit_durable)->max < AT_ONCE_NS);
	assert_int_equal(rig.telemetry[0].ops.get.count, 1);
	assert_int_equal(rig.telemetry[0].ops.get.bytes, sizeof(large));
	assert_int_equal(rig.telemetry[0].slow.written, 1);
	assert_memory_equal(slow->id, id, 16);
	assert_true(slow->phase_ns.fetch >= HELD_NS * 9 / 10);
	assert_true(slow->phase_ns.service < AT_ONCE_NS);
	assert_int_equal(slow->phase_ns.device, 0);
}

/* The owner executes and counts, the one that received counts the acknowledgement. */
static void handed_over_requests_are_counted_where_they_were(void **state)
{
	uint8_t id[16];

	rig_start(&rig, 2);
	for (uint32_t i = 0; i < 100; i++)
		send_txn(1, id, "key", "value", 5);
	for (uint32_t i = 0; i < 10; i++)
		send_txn(0, id, "key", "value", 5);
	assert_int_equal(rig_wait_sent(&rig, 110), 110);
	rig_stop(&rig);
	assert_int_equal(histogram(1, HISTOGRAM_handover)->count, 100);
	assert_int_equal(histogram(0, HISTOGRAM_handover)->count, 0);
	assert_int_equal(histogram(1, HISTOGRAM_service)->count, 100);
	assert_int_equal(histogram(0, HISTOGRAM_service)->count, 10);
	assert_int_equal(histogram(1, HISTOGRAM_commit_durable)->count, 100);
	assert_int_equal(histogram(0, HISTOGRAM_durable_ack)->count, 110);
	assert_int_equal(histogram(1, HISTOGRAM_durable_ack)->count, 0);
	assert_int_equal(rig.telemetry[1].ops.packet.count, 100);
}

/* What nobody goes on with ends by its deadline, and that is its life. */
static void expired_transactions_have_lived(void **state)
{
	struct packet packet;
	uint8_t id[16];

	rig_start(&rig, 1);
	rig_id(&rig, id, 0);
	packet_begin(&packet, id, 0, 0, 0, 0, ABAFT_FLAG_OPEN);
	packet_deadline(&packet, 100);
	packet_put(&packet, "key", 3, "value", 5);
	rig_send(&rig, RIG_UDP_PORT, packet.bytes, packet_finish(&packet));
	assert_int_equal(rig_wait_sent(&rig, 1), 1);
	usleep(800000);
	rig_stop(&rig);
	assert_int_equal(rig.node_counters[0].expired, 1);
	assert_int_equal(histogram(0, HISTOGRAM_txn_life)->count, 1);
	assert_true(histogram(0, HISTOGRAM_txn_life)->max >= 90000000);
	assert_int_equal(histogram(0, HISTOGRAM_commit_durable)->count, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_is_counted),
		cmocka_unit_test(refusals_are_counted_by_reason),
		cmocka_unit_test(a_log_that_is_slow_shows_where_the_time_went),
		cmocka_unit_test(a_log_that_fails_shows_where_the_time_went),
		cmocka_unit_test(a_slow_disk_shows_in_reads_alone),
		cmocka_unit_test(handed_over_requests_are_counted_where_they_were),
		cmocka_unit_test(expired_transactions_have_lived),
	};

	return cmocka_run_group_tests_name("worker telemetry", tests, NULL, NULL);
}
