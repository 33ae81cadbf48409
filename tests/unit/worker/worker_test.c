/* SPDX-License-Identifier: Apache-2.0 */
/*
 * worker_test.c - the data plane's loop: answers, waiting for the log, values on disk, hand-over
 * and its limit, failures of the log, and the end.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include <abaft/error.h>
#include <abaft/limits.h>

#include "dataplane/core/node.h"
#include "dataplane/core/place.h"
#include "tests/lib/core_packet.h"
#include "tests/unit/worker/rig.h"

static struct rig rig;

/* A transaction of one put, or one get, and its commit, owned by that worker. */
static void send_txn(uint32_t worker, const char *key, const char *value)
{
	struct packet packet;
	uint8_t id[16];

	rig_id(&rig, id, worker);
	packet_begin(&packet, id, 0, 0, 0, 0, ABAFT_FLAG_OPEN);
	if (value != NULL)
		packet_put(&packet, key, (uint16_t)strlen(key), value, (uint32_t)strlen(value));
	else
		packet_get(&packet, key, (uint16_t)strlen(key), 0);
	packet_commit(&packet);
	rig_send(&rig, RIG_UDP_PORT, packet.bytes, packet_finish(&packet));
}

static const struct worker_counters *counters(uint32_t worker)
{
	return &rig.counters[worker]; /* of its end: each has one writer */
}

static void answers_turn_round(void **state)
{
	const uint8_t *sent;

	rig_start(&rig, 1);
	send_txn(0, "a", "1");
	send_txn(0, "a", NULL);
	assert_int_equal(rig_wait_sent(&rig, 2), 2);
	assert_int_equal(rig_count(&rig, ABAFT_OK), 2);
	sent = rig.port.sent[0].data;
	assert_memory_equal(sent, "\2\0\0\0\0\2\2\0\0\0\0\1", 12);	       /* MAC addresses */
	assert_memory_equal(sent + 26, "\x0a\0\0\1\x0a\0\0\2", 8);	       /* IP addresses */
	assert_memory_equal(sent + 34, "\x1c\xe8\x30\x00", 4);		       /* ports */
	assert_int_equal(sent[38] << 8 | sent[39], rig.port.sent[0].len - 34); /* length */
	rig_stop(&rig);
	assert_int_equal(counters(0)->answers, 2);
}

static void commits_wait_for_the_log(void **state)
{
	rig_start(&rig, 1);
	rig_hold(&rig, 0, true);
	send_txn(0, "a", "1");
	send_txn(0, "b", NULL);
	/* The read-only one does not wait. */
	assert_int_equal(rig_wait_sent(&rig, 1), 1);
	usleep(50000);
	assert_int_equal(rig_wait_sent(&rig, 1), 1);
	rig_hold(&rig, 0, false);
	assert_int_equal(rig_wait_sent(&rig, 2), 2);
	assert_int_equal(rig_count(&rig, ABAFT_OK), 2);
	rig_stop(&rig);
}

static void a_sleeping_worker_is_woken(void **state)
{
	rig_start(&rig, 2);
	for (uint32_t i = 0; i < 50; i++) {
		usleep(2000); /* long enough for both to sleep */
		send_txn(i % 2, "a", i % 3 == 0 ? NULL : "1");
		assert_int_equal(rig_wait_sent(&rig, i + 1), i + 1);
	}
	assert_int_equal(rig_count(&rig, ABAFT_OK), 50);
	rig_stop(&rig);
	assert_true(counters(0)->sleeps > 20 && counters(1)->sleeps > 10);
}

static void others_requests_are_handed_over(void **state)
{
	rig_start(&rig, 2);
	for (uint32_t i = 0; i < 200; i++)
		send_txn(i % 2, "key", i % 4 < 2 ? "v" : NULL);
	assert_int_equal(rig_wait_sent(&rig, 200), 200);
	assert_int_equal(rig_count(&rig, ABAFT_OK), 200);
	rig_stop(&rig);
	assert_int_equal(counters(0)->handed_over, 100);
	assert_int_equal(counters(0)->requests, 100);
	assert_int_equal(counters(1)->requests, 100);
	assert_int_equal(counters(0)->answers, 200);
}

/* P7: beyond what the rings hold the sender is told BUSY, at once; what was lent is not lost. */
static void a_full_ring_says_busy(void **state)
{
	const uint32_t more = 100, fits = ABAFT_HANDOVER_RING - 1;

	rig_start(&rig, 2);
	rig_hold(&rig, 1, true);
	for (uint32_t i = 0; i < fits + more; i++)
		send_txn(1, "key", "v");
	assert_int_equal(rig_wait_sent(&rig, more), more);
	assert_int_equal(rig_count(&rig, ABAFT_BUSY), more);
	/* Worker 0's own go on. */
	send_txn(0, "key", "v");
	assert_int_equal(rig_wait_sent(&rig, more + 1), more + 1);
	rig_hold(&rig, 1, false);
	assert_int_equal(rig_wait_sent(&rig, fits + more + 1), fits + more + 1);
	assert_int_equal(rig_count(&rig, ABAFT_OK), fits + 1);
	rig_stop(&rig);
	assert_int_equal(counters(0)->handover_full, more);
}

static void a_failed_log_is_told(void **state)
{
	rig_start(&rig, 1);
	rig_hold(&rig, 0, true);
	send_txn(0, "a", "1");
	usleep(20000);
	rig_fail(&rig, 0, -EIO);
	assert_int_equal(rig_wait_sent(&rig, 1), 1);
	assert_int_equal(rig_status(&rig, 0), ABAFT_LOG_FAILED);
	send_txn(0, "b", "1");
	assert_int_equal(rig_wait_sent(&rig, 2), 2);
	assert_int_equal(rig_status(&rig, 1), ABAFT_LOG_FAILED);
	send_txn(0, "b", NULL); /* reads go on */
	assert_int_equal(rig_wait_sent(&rig, 3), 3);
	assert_int_equal(rig_status(&rig, 2), ABAFT_OK);
	assert_int_equal(worker_log_error(rig.worker[0]), -EIO);
	rig_stop(&rig);
}

/* One log that failed ends commits on all workers, but not those that are under way elsewhere, nor
 * reads. A full one does not. */
static void a_failed_log_ends_commits_of_all(void **state)
{
	rig_start(&rig, 2);
	rig_fail(&rig, 0, -ENOSPC);
	for (int ms = 0; ms < 5000 && worker_log_error(rig.worker[0]) == 0; ms++)
		usleep(1000);
	send_txn(1, "a", "1");
	assert_int_equal(rig_wait_sent(&rig, 1), 1);
	assert_int_equal(rig_status(&rig, 0), ABAFT_OK);
	rig_hold(&rig, 1, true);
	send_txn(1, "b", "1");
	usleep(20000);
	rig_fail(&rig, 0, -EIO);
	for (int ms = 0; ms < 5000 && worker_log_error(rig.worker[0]) != -EIO; ms++)
		usleep(1000);
	send_txn(1, "c", "1");
	assert_int_equal(rig_wait_sent(&rig, 2), 2);
	assert_int_equal(rig_status(&rig, 1), ABAFT_LOG_FAILED);
	assert_int_equal(worker_log_error(rig.worker[1]), 0);
	rig_hold(&rig, 1, false);
	assert_int_equal(rig_wait_sent(&rig, 3), 3);
	assert_int_equal(rig_status(&rig, 2), ABAFT_OK);
	send_txn(1, "a", NULL);
	assert_int_equal(rig_wait_sent(&rig, 4), 4);
	assert_int_equal(rig_status(&rig, 3), ABAFT_OK);
	rig_stop(&rig);
}

static void a_full_log_is_not_failed(void **state)
{
	rig_start(&rig, 1);
	rig_fail(&rig, 0, -ENOSPC);
	send_txn(0, "a", "1");
	assert_int_equal(rig_wait_sent(&rig, 1), 1);
	assert_int_equal(rig_status(&rig, 0), ABAFT_NO_SPACE);
	assert_int_equal(worker_log_error(rig.worker[0]), -ENOSPC);
	assert_int_equal(worker_log_no_room(rig.worker[0]), -EDQUOT);
	rig_stop(&rig);
}

/* For as long as the disk does not end a write, and no longer. */
static void a_stalled_log_is_told(void **state)
{
	rig_start(&rig, 1);
	assert_int_equal(worker_log_stalled_us(rig.worker[0]), 0);
	rig_hold(&rig, 0, true);
	send_txn(0, "a", "1");
	for (int ms = 0; ms < 5000 && worker_log_stalled_us(rig.worker[0]) == 0; ms++)
		usleep(1000);
	assert_int_equal(worker_log_stalled_us(rig.worker[0]), RIG_STALLED_US);
	rig_hold(&rig, 0, false);
	assert_int_equal(rig_wait_sent(&rig, 1), 1);
	for (int ms = 0; ms < 5000 && worker_log_stalled_us(rig.worker[0]) != 0; ms++)
		usleep(1000);
	assert_int_equal(worker_log_stalled_us(rig.worker[0]), 0);
	rig_stop(&rig);
}

/* Of several logs the one that needs a restart is told. */
static void a_full_log_hides_no_failed_one(void **state)
{
	int no_room;

	for (uint32_t full = 0; full < 2; full++) {
		rig_start(&rig, 2);
		assert_int_equal(workers_log_error(rig.worker, 2, &no_room), 0);
		rig_fail(&rig, full, -ENOSPC);
		for (int ms = 0; ms < 5000 && worker_log_error(rig.worker[full]) == 0; ms++)
			usleep(1000);
		assert_int_equal(workers_log_error(rig.worker, 2, &no_room), -ENOSPC);
		assert_int_equal(no_room, -EDQUOT);
		rig_fail(&rig, 1 - full, -EIO);
		for (int ms = 0; ms < 5000 && worker_log_error(rig.worker[1 - full]) == 0; ms++)
			usleep(1000);
		assert_int_equal(workers_log_error(rig.worker, 2, &no_room), -EIO);
		rig_stop(&rig);
	}
}

/* The end waits for commits under way, on both workers, and takes no new transactions. */
static void the_end_drains(void **state)
{
	rig_start(&rig, 2);
	rig_hold(&rig, 0, true);
	rig_hold(&rig, 1, true);
	for (uint32_t i = 0; i < 20; i++)
		send_txn(i % 2, "a", "1");
	usleep(50000);
	worker_group_stop(&rig.group, rig.handover, 2);
	usleep(20000);
	send_txn(0, "late", "1");
	send_txn(1, "late", "1");
	assert_int_equal(rig_wait_sent(&rig, 2), 2);
	assert_int_equal(rig_count(&rig, ABAFT_STOPPING), 2);
	rig_hold(&rig, 1, false);
	assert_int_equal(rig_wait_sent(&rig, 12), 12);
	rig_hold(&rig, 0, false);
	assert_int_equal(rig_wait_sent(&rig, 22), 22);
	assert_int_equal(rig_count(&rig, ABAFT_OK), 20);
	rig_stop(&rig);
}

static void send_put(const uint8_t id[16])
{
	struct packet packet;

	packet_begin(&packet, id, 0, 0, 0, 0, ABAFT_FLAG_OPEN);
	packet_put(&packet, "open", 4, "1", 1);
	rig_send(&rig, RIG_UDP_PORT, packet.bytes, packet_finish(&packet));
}

static void send_commit(const uint8_t id[16])
{
	struct packet packet;

	packet_begin(&packet, id, 0, 0, 1, 0, ABAFT_FLAG_OPEN);
	packet_commit(&packet);
	rig_send(&rig, RIG_UDP_PORT, packet.bytes, packet_finish(&packet));
}

static uint64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* Told to stop, both workers serve until the open transactions have ended; new ones are refused. */
static void open_transactions_may_end(void **state)
{
	for (uint32_t owner = 0; owner < 2; owner++) {
		uint8_t id[16];

		rig_start(&rig, 2);
		rig_id(&rig, id, owner);
		send_put(id);
		assert_int_equal(rig_wait_sent(&rig, 1), 1);
		worker_group_stop(&rig.group, rig.handover, 2);
		usleep(100000);
		send_txn(0, "late", "1");
		send_txn(1, "late", "1");
		assert_int_equal(rig_wait_sent(&rig, 3), 3);
		assert_int_equal(rig_count(&rig, ABAFT_STOPPING), 2);
		send_commit(id);
		assert_int_equal(rig_wait_sent(&rig, 4), 4);
		assert_int_equal(rig_status(&rig, 3), ABAFT_OK);
		rig_stop(&rig);
	}
}

/* The second that they have begins with the stop, also for a worker that slept for long before. */
static void a_sleeper_waits_as_long(void **state)
{
	uint8_t id[16];

	rig_start(&rig, 2);
	rig_id(&rig, id, 1);
	send_put(id);
	assert_int_equal(rig_wait_sent(&rig, 1), 1);
	usleep(3500000);
	worker_group_stop(&rig.group, rig.handover, 2);
	usleep(100000);
	send_commit(id);
	assert_int_equal(rig_wait_sent(&rig, 2), 2);
	assert_int_equal(rig_status(&rig, 1), ABAFT_OK);
	rig_stop(&rig);
}

/* One that does not end is waited for no longer than a second. */
static void open_transactions_do_not_hold_the_end(void **state)
{
	uint64_t begin_ms = now_ms();
	uint8_t id[16];

	rig_start(&rig, 2);
	rig_id(&rig, id, 1);
	send_put(id);
	assert_int_equal(rig_wait_sent(&rig, 1), 1);
	rig_stop(&rig);
	assert_true(now_ms() - begin_ms >= 1000 && now_ms() - begin_ms < 8000);
}

/* What is durable when the keeper is told a mark has been published, and nothing else is in it. */
static void the_keeper_is_answered(void **state)
{
	rig_start(&rig, 1);
	send_txn(0, "a", "1");
	assert_int_equal(rig_wait_sent(&rig, 1), 1);
	rig_hold(&rig, 0, true);
	send_txn(0, "b", "1");
	send_txn(0, "a", NULL); /* behind the one that waits */
	assert_int_equal(rig_wait_sent(&rig, 2), 2);
	assert_true(rig_ask(&rig, POST_MARK));
	assert_int_equal(rig.post.mark.record, 1);
	assert_true(rig.post.time > 0);
	rig.post.cursor = 0;
	assert_true(rig_ask(&rig, POST_OUTCOMES_NEXT));
	assert_int_equal(rig.post.bytes, SNAPSHOT_OUTCOME_BYTES);
	assert_true(rig_ask(&rig, POST_OUTCOMES_NEXT));
	assert_int_equal(rig.post.bytes, 0);
	rig_hold(&rig, 0, false);
	assert_int_equal(rig_wait_sent(&rig, 3), 3);
	assert_true(rig_ask(&rig, POST_MARK));
	assert_int_equal(rig.post.mark.record, 2);
	assert_true(rig_ask(&rig, POST_OUTCOMES_NEXT)); /* from where it was */
	assert_int_equal(rig.post.bytes, SNAPSHOT_OUTCOME_BYTES);
	rig_stop(&rig);
}

static void other_frames_are_counted(void **state)
{
	uint8_t arp[60] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0, 2, 8, 6};
	uint8_t cut[40] = {2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0, 0x45, 0, 1, 0};
	uint8_t request[100] = "ABFT";

	rig_start(&rig, 1);
	cut[22] = 64;
	cut[23] = 17;
	rig_send_frame(&rig, arp, sizeof(arp), 0);
	rig_send_frame(&rig, cut, sizeof(cut), 0);
	rig_send(&rig, RIG_UDP_PORT + 1, request, sizeof(request));
	rig_send(&rig, RIG_UDP_PORT - 1, request, sizeof(request));
	rig_send(&rig, RIG_UDP_PORT, request, 10); /* the core's to refuse */
	send_txn(0, "a", "1");
	assert_int_equal(rig_wait_sent(&rig, 1), 1);
	rig_stop(&rig);
	assert_int_equal(counters(0)->frames, 6);
	assert_int_equal(counters(0)->drop_not_ours, 3);
	assert_int_equal(counters(0)->drop_frame, 1);
	assert_int_equal(counters(0)->requests, 2);
	assert_int_equal(rig.node_counters[0].refused_short, 1);
}

/* No request is executed whose answer could not be sent. */
static void frames_without_room_are_dropped(void **state)
{
	const uint32_t headers = 14 + 20 + 8;

	rig_start(&rig, 1);
	rig_frame_room(&rig, headers + ABAFT_PACKET_BYTES_MAX - 1);
	send_txn(0, "a", "1");
	rig_frame_room(&rig, headers + ABAFT_PACKET_BYTES_MAX);
	send_txn(0, "b", "1");
	assert_int_equal(rig_wait_sent(&rig, 1), 1);
	assert_int_equal(rig_status(&rig, 0), ABAFT_OK);
	rig_stop(&rig);
	assert_int_equal(counters(0)->drop_frame, 1);
	assert_int_equal(counters(0)->requests, 1);
}

static void wrong_checksums_are_dropped(void **state)
{
	uint8_t frame[64] = {2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0, 0x45, 0, 0, 50};

	rig_start(&rig, 1);
	frame[22] = 64;
	frame[23] = 17;
	frame[24] = 1; /* of the IP header: wrong */
	memcpy(frame + 26, "\x0a\0\0\2\x0a\0\0\1\x30\0\x1c\xe8\0\x1e\0\1", 16);
	rig_send_frame(&rig, frame, sizeof(frame), 0);
	send_txn(0, "a", NULL);
	assert_int_equal(rig_wait_sent(&rig, 1), 1);
	rig_stop(&rig);
	assert_int_equal(counters(0)->drop_checksum, 1);
}

#define LARGE 600

/* Commits a value that leaves memory at once, as the first answer. */
static void start_with_cold_value(uint32_t workers, uint32_t worker)
{
	static char value[LARGE + 1];

	memset(value, 'v', LARGE);
	rig_start_cold(&rig, workers);
	send_txn(worker, "key", value);
	assert_int_equal(rig_wait_sent(&rig, 1), 1);
	assert_int_equal(rig_status(&rig, 0), ABAFT_OK);
}

static void assert_cold_value(uint32_t i)
{
	const struct frame *frame = &rig.port.sent[i];
	struct reply_result result;
	struct reply reply;

	assert_true(reply_open(&reply, frame->data + 42, frame->len - 42));
	assert_true(reply_next(&reply, &result));
	assert_int_equal(result.status, ABAFT_OK);
	assert_int_equal(result.data_bytes, LARGE);
	for (uint32_t at = 0; at < LARGE; at++)
		assert_int_equal(result.data[at], 'v');
}

static void values_come_back_from_disk(void **state)
{
	start_with_cold_value(1, 0);
	rig_hold_reads(&rig, 0, true);
	send_txn(0, "key", NULL);
	send_txn(0, "key", NULL);
	send_txn(0, "other", NULL); /* others do not wait */
	assert_int_equal(rig_wait_sent(&rig, 2), 2);
	usleep(20000); /* it sleeps, and is woken by the log */
	assert_int_equal(rig_wait_sent(&rig, 2), 2);
	rig_hold_reads(&rig, 0, false);
	assert_int_equal(rig_wait_sent(&rig, 4), 4);
	assert_cold_value(2);
	assert_cold_value(3);
	rig_stop(&rig);
	assert_int_equal(rig.node_counters[0].fetches, 1);
	assert_int_equal(counters(0)->requests, 4);
}

static void borrowed_requests_wait_for_values_too(void **state)
{
	start_with_cold_value(2, 1);
	rig_hold_reads(&rig, 1, true);
	send_txn(1, "key", NULL);
	send_txn(0, "other", NULL);
	assert_int_equal(rig_wait_sent(&rig, 2), 2);
	rig_hold_reads(&rig, 1, false);
	assert_int_equal(rig_wait_sent(&rig, 3), 3);
	assert_cold_value(2);
	rig_stop(&rig);
	assert_int_equal(rig.node_counters[1].fetches, 1);
	assert_int_equal(counters(0)->handed_over, 2);
}

static void a_damaged_value_is_told(void **state)
{
	struct node_damage damage;
	struct reply_result info;
	const struct frame *frame;
	struct packet packet;
	struct reply reply;
	uint8_t id[16];
	char text[8192];

	start_with_cold_value(1, 0);
	assert_false(worker_damage(rig.worker[0], &damage));
	rig_damage(&rig, 0);
	send_txn(0, "key", NULL);
	assert_int_equal(rig_wait_sent(&rig, 2), 2);
	assert_int_equal(rig_status(&rig, 1), ABAFT_SKIPPED); /* the COMMIT */
	/* The pass that answered it has ended when the next answer comes. */
	rig_id(&rig, id, 0);
	for (uint32_t offset = 0, sent = 2, total = 1; offset < total; offset += 1280, sent++) {
		packet_begin(&packet, id, 0, 0, 0, 0, 0);
		packet_info(&packet, offset);
		rig_send(&rig, RIG_UDP_PORT, packet.bytes, packet_finish(&packet));
		assert_int_equal(rig_wait_sent(&rig, sent + 1), sent + 1);
		frame = &rig.port.sent[sent];
		assert_true(reply_open(&reply, frame->data + 42, frame->len - 42));
		assert_true(reply_next(&reply, &info));
		total = info.total;
		assert_true(total < sizeof(text));
		memcpy(text + offset, info.data, info.data_bytes);
		text[offset + info.data_bytes] = 0;
	}
	assert_true(worker_damage(rig.worker[0], &damage));
	assert_int_equal(damage.count, 1);
	assert_int_equal(damage.key_bytes, 3);
	assert_memory_equal(damage.key, "key", 3);
	assert_int_equal(place_offset(damage.place), 96 + 32); /* the record's first write */
	assert_non_null(strstr(text, "\ndamaged_offset                  128\n"));
	assert_non_null(strstr(text, "\ndamaged_key_bytes                    3\n"));
	assert_non_null(strstr(text, "\ndamaged_key 6b6579   "));
	rig_stop(&rig);
	assert_int_equal(rig.node_counters[0].fetches_corrupt, 1);
}

/* I4: it waits for the disk, but not for ever. */
static void the_end_waits_for_values(void **state)
{
	start_with_cold_value(1, 0);
	rig_hold_reads(&rig, 0, true);
	send_txn(0, "key", NULL);
	send_txn(0, "other", NULL);
	assert_int_equal(rig_wait_sent(&rig, 2), 2);
	rig_stop(&rig);
	assert_int_equal(rig.port.sent_count, 3); /* READ_FAILED; and no frame is missing */
	assert_int_equal(rig.node_counters[0].fetch_timeouts, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(answers_turn_round),
		cmocka_unit_test(commits_wait_for_the_log),
		cmocka_unit_test(values_come_back_from_disk),
		cmocka_unit_test(borrowed_requests_wait_for_values_too),
		cmocka_unit_test(a_damaged_value_is_told),
		cmocka_unit_test(the_end_waits_for_values),
		cmocka_unit_test(a_sleeping_worker_is_woken),
		cmocka_unit_test(others_requests_are_handed_over),
		cmocka_unit_test(a_full_ring_says_busy),
		cmocka_unit_test(a_failed_log_is_told),
		cmocka_unit_test(a_failed_log_ends_commits_of_all),
		cmocka_unit_test(a_full_log_is_not_failed),
		cmocka_unit_test(a_stalled_log_is_told),
		cmocka_unit_test(a_full_log_hides_no_failed_one),
		cmocka_unit_test(the_end_drains),
		cmocka_unit_test(open_transactions_may_end),
		cmocka_unit_test(a_sleeper_waits_as_long),
		cmocka_unit_test(open_transactions_do_not_hold_the_end),
		cmocka_unit_test(the_keeper_is_answered),
		cmocka_unit_test(other_frames_are_counted),
		cmocka_unit_test(frames_without_room_are_dropped),
		cmocka_unit_test(wrong_checksums_are_dropped),
	};

	return cmocka_run_group_tests_name("worker", tests, NULL, NULL);
}
