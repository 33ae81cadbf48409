/* SPDX-License-Identifier: Apache-2.0 */
/* Damage of every kind: recovery says what and where, or ends before it; it never invents. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "dataplane/log/format.h"
#include "tests/unit/log/rig.h"

static struct rig rig;

/* A log of several segments, closed in good order, and its groups in rig.groups. */
static void make_log(uint64_t seed)
{
	rig_begin(&rig, seed);
	rig_open(&rig);
	rig_work(&rig, 500);
	rig_close(&rig);
	assert_int_equal(rig_recover(&rig), 0);
	assert_true(rig.tail->segments >= 4);
}

static void expect_refused(const char *sentence)
{
	assert_int_equal(rig_recover(&rig), -EBADMSG);
	assert_non_null(strstr(rig.why, "log-003"));
	if (!strstr(rig.why, sentence))
		fail_msg("\"%s\" is not in: %s", sentence, rig.why);
}

static void crc_is_crc32c(void **state)
{
	assert_int_equal(format_crc((const uint8_t *)"123456789", 9), 0xe3069283);
}

static void flipped_bit_in_a_durable_group(void **state)
{
	make_log(1);
	for (int i = 0; i < 1500; i++) {
		struct rig_group group = rig.groups[sim_random(&rig.random, rig.groups_count - 1)];
		uint32_t count = rig.groups_count;
		/* Half of them in the header. */
		uint64_t bits = i % 2 ? group.bytes * 8 : LOG_GROUP_HEADER_BYTES * 8;
		uint64_t bit = group.offset * 8 + sim_random(&rig.random, bits);
		char place[128];

		sim_disk_flip(rig.disk, group.segment, bit);
		/* Version, node, ... with a checksum that does not fit are just damage. */
		snprintf(place, sizeof(place), "corruption in segment %08x at byte %llu",
			 group.segment, (unsigned long long)group.offset);
		if (group.offset == 0) /* expected behind the segment before */
			snprintf(place, sizeof(place), "group %llu was durable",
				 (unsigned long long)group.sequence);
		expect_refused(place);
		assert_true(rig.recovered < rig.appended);
		sim_disk_flip(rig.disk, group.segment, bit);
		rig.groups_count = count;
		assert_int_equal(rig_recover(&rig), 0);
	}
	rig_end(&rig);
}

/* After a crash only what a later header knew durable can be told from a torn write. */
static void flipped_bit_after_a_crash(void **state)
{
	uint32_t refused = 0, ended = 0;

	for (uint64_t seed = 1; seed < 600; seed++) {
		struct rig_group group;
		bool proven = false;
		int error;

		rig_begin(&rig, seed);
		rig_open(&rig);
		rig_work(&rig, 12);
		sim_disk_power_cut(rig.disk);
		rig_close(&rig);
		assert_int_equal(rig_recover(&rig), 0);
		if (rig.groups_count == 0) {
			rig_end(&rig);
			continue;
		}
		group = rig.groups[sim_random(&rig.random, rig.groups_count)];
		for (uint32_t i = 0; i < rig.groups_count; i++)
			proven |= rig.groups[i].durable >= group.sequence;
		sim_disk_flip(rig.disk, group.segment,
			      group.offset * 8 + sim_random(&rig.random, group.bytes * 8));
		error = rig_recover(&rig);
		assert_true(error == -EBADMSG || (error == 0 && !proven));
		assert_false(rig.mismatch);
		refused += error != 0;
		ended += error == 0;
		rig_end(&rig);
	}
	assert_true(refused > 100 && ended > 50);
}

static void flipped_bit_behind_the_end(void **state)
{
	make_log(2);
	for (int i = 0; i < 500; i++) {
		uint64_t bits = (RIG_SEGMENT_BYTES - rig.tail->offset) * 8;

		sim_disk_flip(rig.disk, rig.tail->segment,
			      rig.tail->offset * 8 + sim_random(&rig.random, bits));
		assert_int_equal(rig_recover(&rig), 0);
		assert_int_equal(rig.recovered, rig.appended);
	}
	rig_end(&rig);
}

static void missing_segment(void **state)
{
	make_log(3);
	sim_disk_remove(rig.disk, 1);
	expect_refused("segment 00000001 is missing, though 00000002 is there");
	sim_disk_remove(rig.disk, 0);
	expect_refused("segment 00000000 is missing, though 00000002 is there: it was cleaned or "
		       "lost");
	assert_non_null(strstr(rig.why, "a valid checkpoint is needed"));
	rig_end(&rig);
}

static void other_node(void **state)
{
	make_log(4);
	rig.config.node_id[5]++;
	expect_refused("belongs to another node");
	rig_end(&rig);
}

static void other_log(void **state)
{
	make_log(4);
	rig.config.number = 4;
	assert_int_equal(rig_recover(&rig), -EBADMSG);
	assert_non_null(strstr(rig.why, "belongs to log-003"));
	rig_end(&rig);
}

/* Only the last segments are foreign, where no group was expected any more. */
static void foreign_segment_behind_the_end(void **state)
{
	uint8_t *bytes;
	uint64_t count;

	make_log(5);
	bytes = sim_disk_segment(rig.disk, 0, &count);
	sim_disk_put(rig.disk, rig.tail->segments - 1, bytes, count);
	expect_refused("holds segment 00000000");
	rig_end(&rig);
}

static void swapped_segments(void **state)
{
	make_log(6);
	sim_disk_rename(rig.disk, 1, 200);
	sim_disk_rename(rig.disk, 2, 1);
	sim_disk_rename(rig.disk, 200, 2);
	expect_refused("the file of segment 00000001 holds segment 00000002");
	rig_end(&rig);
}

/* As another version would write it: its own version number under a checksum that fits. */
static void other_version(void **state)
{
	struct group_header *header;
	uint64_t bytes;

	make_log(7);
	for (uint32_t segment = 0; segment < 2; segment++) {
		header = (struct group_header *)sim_disk_segment(rig.disk, segment, &bytes);
		header->version = 3;
		header->header_crc = format_crc((const uint8_t *)header,
						offsetof(struct group_header, header_crc));
	}
	expect_refused("segment 00000000 is of format version 3, this program knows up to 2");
	rig_end(&rig);
}

/* As the program before this one would have written the first `count` groups. */
static void make_older(uint32_t count)
{
	uint32_t crc = 0;

	for (uint32_t i = 0; i < rig.groups_count; i++) {
		struct rig_group *group = &rig.groups[i];
		struct group_header *header;
		uint64_t bytes;

		header =
			(struct group_header *)(sim_disk_segment(rig.disk, group->segment, &bytes) +
						group->offset);
		header->version = i < count ? 1 : 2;
		header->previous_crc = crc;
		header->header_crc = format_crc((const uint8_t *)header,
						offsetof(struct group_header, header_crc));
		crc = header->header_crc;
	}
}

static void versions_only_go_up(void **state)
{
	struct group_header *header;
	uint64_t bytes;

	make_log(7);
	make_older(20);
	assert_int_equal(rig_recover(&rig), 0);
	assert_int_equal(rig.recovered, rig.appended);
	assert_int_equal(rig.tail->version, 2);
	make_older(rig.groups_count);
	assert_int_equal(rig_recover(&rig), 0);
	assert_int_equal(rig.tail->version, 1);
	/* Opened by this program, it goes on in version 2. */
	rig_open(&rig);
	rig_work(&rig, 10);
	rig_drain(&rig);
	rig_close(&rig);
	assert_int_equal(rig_recover(&rig), 0);
	assert_int_equal(rig.recovered, rig.appended);
	assert_int_equal(rig.tail->version, 2);
	make_older(0);
	header = (struct group_header *)(sim_disk_segment(rig.disk, 0, &bytes) +
					 rig.groups[5].offset);
	header->version = 1;
	header->header_crc =
		format_crc((const uint8_t *)header, offsetof(struct group_header, header_crc));
	expect_refused("is of an older format version than the one before");
	rig_end(&rig);
}

static void file_of_another_length(void **state)
{
	uint64_t count;
	uint8_t *bytes;
	static uint8_t copy[RIG_SEGMENT_BYTES];

	make_log(8);
	bytes = sim_disk_segment(rig.disk, 1, &count);
	memcpy(copy, bytes, count);
	sim_disk_put(rig.disk, 1, copy, count - 4096);
	expect_refused("segment 00000001 was made with 262144 bytes and has 258048");
	sim_disk_put(rig.disk, 1, copy, count - 1);
	expect_refused("no segment was made with");
	sim_disk_put(rig.disk, 1, copy, 0);
	expect_refused("has 0 bytes");
	rig_end(&rig);
}

/* A durable group written over an earlier place: a misdirected write. */
static void misplaced_group(void **state)
{
	struct rig_group from, to;
	uint64_t bytes;
	uint8_t *segment;

	make_log(9);
	from = rig.groups[6];
	to = rig.groups[3];
	assert_true(from.segment == 0 && to.segment == 0 && to.offset > 0);
	segment = sim_disk_segment(rig.disk, 0, &bytes);
	memmove(segment + to.offset, segment + from.offset, from.bytes);
	expect_refused("belongs to another place");
	rig_end(&rig);
}

/* A group that was never written (the disk lost it whole) though later ones know that it was. */
static void lost_write(void **state)
{
	struct rig_group group;
	uint64_t bytes;

	make_log(10);
	group = rig.groups[5];
	memset(sim_disk_segment(rig.disk, group.segment, &bytes) + group.offset, 0, group.bytes);
	expect_refused("there is no group");
	rig_end(&rig);
}

/* A whole group of an earlier life of the log at the place where one is due breaks the chain. */
static void stale_group_breaks_the_chain(void **state)
{
	struct rig_group group;
	struct group_header *header;
	uint64_t bytes;

	make_log(11);
	group = rig.groups[5];
	header = (struct group_header *)(sim_disk_segment(rig.disk, group.segment, &bytes) +
					 group.offset);
	header->previous_crc ^= 1;
	header->header_crc =
		format_crc((const uint8_t *)header, offsetof(struct group_header, header_crc));
	expect_refused("does not follow the one before");
	rig_end(&rig);
}

static void older_incarnation_is_refused(void **state)
{
	struct group_header *header;
	uint64_t bytes;

	rig_begin(&rig, 12);
	for (int i = 0; i < 3; i++) {
		rig_open(&rig);
		assert_true(rig_append(&rig, 10));
		rig_close(&rig);
	}
	assert_int_equal(rig_recover(&rig), 0);
	assert_int_equal(rig.groups[4].incarnation, 3);
	header = (struct group_header *)(sim_disk_segment(rig.disk, 0, &bytes) +
					 rig.groups[4].offset);
	header->incarnation = 1;
	header->header_crc =
		format_crc((const uint8_t *)header, offsetof(struct group_header, header_crc));
	expect_refused("older than the one before");
	rig_end(&rig);
}

/* Whole by its checksum, wrong inside: nothing a crash can do, so always an error. */
static void malformed_record_in_a_whole_group(void **state)
{
	struct group_header *header;
	uint64_t bytes;
	uint8_t *at;

	rig_begin(&rig, 13);
	rig_open(&rig);
	for (int i = 0; i < 3; i++)
		assert_true(rig_append(&rig, 40));
	rig_close(&rig);
	at = sim_disk_segment(rig.disk, 0, &bytes);
	header = (struct group_header *)at;
	for (uint32_t i = 0; i < header->payload_bytes; i++) {
		uint8_t *payload = at + LOG_GROUP_HEADER_BYTES;

		payload[i] ^= 0x80;
		header->payload_crc = format_crc(payload, header->payload_bytes);
		header->header_crc = format_crc(at, offsetof(struct group_header, header_crc));
		expect_refused("a record in it is malformed");
		assert_int_equal(rig.recovered, 0);
		payload[i] ^= 0x80;
	}
	rig_end(&rig);
}

static int stop(void *arg, uint64_t sequence, uint8_t type, uint64_t place, const uint8_t *data,
		uint32_t bytes)
{
	*(uint64_t *)arg = sequence;
	return sequence == 3 ? -ECANCELED : 0;

	(void)place;
}

static void caller_stops_recovery(void **state)
{
	uint64_t last = 0;
	const struct recover_visitor visitor = {&last, NULL, stop};

	make_log(14);
	log_tail_free(rig.tail);
	assert_int_equal(recover_scan(sim_disk_logdev(rig.disk), &rig.config, NULL, &visitor,
				      &rig.tail, rig.why, sizeof(rig.why)),
			 -ECANCELED);
	assert_int_equal(last, 3);
	rig_end(&rig);
}

/* Removes each segment before `number`, or none, or some. */
static void clean_before(uint32_t number)
{
	uint64_t how = sim_random(&rig.random, 3);

	for (uint32_t i = 0; i < number; i++)
		if (how == 0 || (how == 1 && sim_random(&rig.random, 2)))
			sim_disk_remove(rig.disk, i);
}

static void marks_and_gaps(void **state)
{
	for (uint64_t seed = 1; seed <= 60; seed++) {
		struct log_mark mark;
		struct log_tail whole;

		make_log(seed);
		whole = *rig.tail;
		rig_mark(&rig.groups[sim_random(&rig.random, rig.groups_count)], &mark);
		clean_before(mark.segment);
		rig.mark = &mark;
		if (rig_recover(&rig))
			fail_msg("%s", rig.why);
		assert_false(rig.mismatch);
		assert_int_equal(rig.recovered, rig.appended);
		assert_int_equal(rig.tail->group, whole.group);
		assert_int_equal(rig.tail->offset, whole.offset);
		assert_int_equal(rig.tail->segment, whole.segment);
		assert_int_equal(rig.tail->previous_crc, whole.previous_crc);
		assert_int_equal(rig.tail->incarnation_max, whole.incarnation_max);
		for (uint32_t i = 0; i < rig.tail->segments; i++)
			assert_int_equal(rig.tail->on_disk[i].bytes, RIG_SEGMENT_BYTES);
		assert_int_equal(rig.tail->bytes, rig.tail->segments * RIG_SEGMENT_BYTES);
		/* It goes on behind it, and from the mark all of it is read again. */
		rig_open(&rig);
		rig_work(&rig, 20);
		sim_disk_power_cut(rig.disk);
		rig_close(&rig);
		rig_open(&rig);
		rig_end(&rig);
	}
}

static void mark_needs_its_segment(void **state)
{
	struct log_mark mark;

	make_log(15);
	rig_mark(&rig.groups[rig.groups_count / 2], &mark);
	rig.mark = &mark;
	assert_true(mark.segment >= 2 && mark.segment + 1 < rig.tail->segments);
	sim_disk_remove(rig.disk, 0);
	sim_disk_rename(rig.disk, mark.segment + 1, 200);
	expect_refused("is missing, though");
	sim_disk_rename(rig.disk, 200, mark.segment + 1);
	assert_int_equal(rig_recover(&rig), 0);
	sim_disk_remove(rig.disk, mark.segment);
	expect_refused("is missing, in which the checkpoint says that it goes on behind group ");
	for (uint32_t i = mark.segment; i < 200; i++)
		sim_disk_remove(rig.disk, i);
	expect_refused("is missing, in which the checkpoint says");
	for (uint32_t i = 0; i < mark.segment; i++)
		sim_disk_remove(rig.disk, i);
	expect_refused("it is missing, though the checkpoint knows its groups up to ");
	rig_end(&rig);
}

/* The mark is of another life of the log, or damaged in a way that its checksum did not see. */
static void mark_that_does_not_fit(void **state)
{
	struct log_mark mark;
	struct log_mark good;

	make_log(16);
	rig_mark(&rig.groups[rig.groups_count / 2], &good);
	assert_true(good.segment > 0 && good.offset > 0);
	mark = good;
	rig.mark = &mark;
	mark.previous_crc++;
	expect_refused("does not follow the one before");
	mark = good;
	mark.group++;
	expect_refused("is not the one that is due here");
	mark = good;
	mark.incarnation++;
	assert_int_equal(rig_recover(&rig), 0); /* all behind it counts as stale */
	assert_int_equal(rig.recovered, good.record);
	mark = good;
	mark.offset = RIG_SEGMENT_BYTES + 4096;
	expect_refused("segment 00000");
	assert_non_null(strstr(rig.why, "has 262144 bytes, but the checkpoint says"));
	mark = good;
	mark.group = 1;
	expect_refused("they are not of the same log");
	mark = good;
	sim_disk_rename(rig.disk, mark.segment - 1, mark.segment);
	expect_refused("the file of segment");
	rig_end(&rig);
}

/* A file that was another segment: block 0 is zero, the rest full of whole groups. */
static void recycled_segments(void **state)
{
	static uint8_t copy[RIG_SEGMENT_BYTES];

	for (uint64_t seed = 1; seed <= 40; seed++) {
		struct log_mark mark;
		uint32_t next;
		uint64_t bytes;

		make_log(seed);
		rig_mark(&rig.groups[rig.groups_count - 1], &mark);
		next = log_tail_last(rig.tail) + 1;
		for (uint32_t i = 0; i < 3; i++) {
			memcpy(copy, sim_disk_segment(rig.disk, i, &bytes), sizeof(copy));
			memset(copy, 0, ABAFT_LOG_BLOCK_BYTES);
			sim_disk_remove(rig.disk, i);
			sim_disk_put(rig.disk, next + i, copy, sizeof(copy));
		}
		rig.mark = &mark;
		/* Into each of them, with a crash in the middle of it. */
		for (uint32_t run = 0; run < 6; run++) {
			rig_open(&rig);
			assert_int_equal(rig.tail->incarnation_max <= run + 1, 1);
			rig_work(&rig, 60);
			sim_disk_power_cut(rig.disk);
			rig_close(&rig);
		}
		rig_open(&rig);
		assert_true(rig.tail->segment > next);
		rig_end(&rig);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(crc_is_crc32c),
		cmocka_unit_test(flipped_bit_in_a_durable_group),
		cmocka_unit_test(flipped_bit_after_a_crash),
		cmocka_unit_test(flipped_bit_behind_the_end),
		cmocka_unit_test(missing_segment),
		cmocka_unit_test(other_node),
		cmocka_unit_test(other_log),
		cmocka_unit_test(foreign_segment_behind_the_end),
		cmocka_unit_test(swapped_segments),
		cmocka_unit_test(other_version),
		cmocka_unit_test(versions_only_go_up),
		cmocka_unit_test(file_of_another_length),
		cmocka_unit_test(misplaced_group),
		cmocka_unit_test(lost_write),
		cmocka_unit_test(stale_group_breaks_the_chain),
		cmocka_unit_test(older_incarnation_is_refused),
		cmocka_unit_test(malformed_record_in_a_whole_group),
		cmocka_unit_test(caller_stops_recovery),
		cmocka_unit_test(marks_and_gaps),
		cmocka_unit_test(mark_needs_its_segment),
		cmocka_unit_test(mark_that_does_not_fit),
		cmocka_unit_test(recycled_segments),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
