/* SPDX-License-Identifier: Apache-2.0 */
/* request_test.c - P9: every refusal has its counter and its packet; answers fit their room. */
#include "tests/unit/core/region.h"

#include <stdio.h>

#include "dataplane/core/request.h"
#include "tests/lib/core_packet.h"

static uint8_t id[16];

/* Parses a copy of the exact size, so that a sanitizer sees a step beyond it. */
static enum request_verdict parse(struct request *r, const uint8_t *bytes, uint32_t n,
				  struct node_counters *counters, uint16_t *status)
{
	uint8_t *copy = malloc(n ? n : 1);
	enum request_verdict verdict;

	assert_non_null(copy);
	memcpy(copy, bytes, n);
	memset(counters, 0, sizeof(*counters));
	*status = 0;
	verdict = request_parse(r, copy, n, counters, status);
	free(copy);
	return verdict;
}

static uint64_t counted(const struct node_counters *counters)
{
	const uint64_t *all = (const uint64_t *)counters;
	uint64_t sum = 0;

	for (uint32_t i = 0; i < sizeof(*counters) / 8; i++)
		sum += all[i];
	return sum;
}

/* A get, a put and a commit. */
static void good(struct packet *p)
{
	packet_id(id, 1000, 1, 2);
	packet_begin(p, id, 5, 6, 7, 8, ABAFT_FLAG_OPEN);
	packet_get(p, "key", 3, 0);
	packet_put(p, "other", 5, "value", 5);
	packet_commit(p);
	packet_finish(p);
}

static void a_good_packet_is_read_as_it_was_written(void **state)
{
	struct node_counters c = {0};
	struct request r;
	struct packet p;
	uint16_t status;

	good(&p);
	packet_deadline(&p, 123);
	assert_int_equal(request_parse(&r, p.bytes, p.used, &c, &status), REQUEST_OK);
	assert_memory_equal(r.txn, id, 16);
	assert_int_equal(r.instance, 5);
	assert_int_equal(r.step, 6);
	assert_int_equal(r.attempt, 7);
	assert_int_equal(r.seq, 8);
	assert_int_equal(r.deadline_ms, 123);
	assert_int_equal(r.answer_max, ABAFT_PACKET_BYTES_MAX);
	assert_true(r.open);
	assert_int_equal(r.ops, 3);
	assert_int_equal(r.op[0].code, ABAFT_OP_GET);
	assert_memory_equal(r.op[0].key, "key", 3);
	assert_int_equal(r.op[1].key_bytes, 5);
	assert_int_equal(r.op[1].data_bytes, 5);
	assert_memory_equal(r.op[1].data, "value", 5);
	assert_int_equal(r.op[2].code, ABAFT_OP_COMMIT);
	assert_int_equal(counted(&c), 0);
}

/* P9, with every prefix of the packet, its own length or the prefix's in the header. */
static void every_truncation_is_refused_and_counted_once(void **state)
{
	struct node_counters c;
	struct request r;
	struct packet p;
	uint16_t status;

	good(&p);
	for (uint32_t n = 0; n < p.used; n++) {
		enum request_verdict verdict = parse(&r, p.bytes, n, &c, &status);

		assert_int_equal(verdict, n < 80 ? REQUEST_DROP : REQUEST_REFUSE);
		assert_int_equal(counted(&c), 1);
	}
	for (uint32_t n = 80; n < p.used; n++) {
		p.bytes[8] = (uint8_t)n;
		assert_int_equal(parse(&r, p.bytes, n, &c, &status), REQUEST_REFUSE);
		assert_int_equal(status, ABAFT_MALFORMED);
		assert_int_equal(counted(&c), 1);
		assert_int_equal(c.refused_ops, 1);
	}
}

struct change {
	uint32_t at;
	uint8_t byte;
	enum request_verdict verdict;
	uint16_t status;
	size_t counter;
};

#define CHANGE(at, byte, verdict, status, counter)                                                 \
	{                                                                                          \
		at, byte, REQUEST_##verdict, status, offsetof(struct node_counters, counter)       \
	}

static void check(const uint8_t *bytes, uint32_t n, enum request_verdict verdict, uint16_t status,
		  size_t counter)
{
	struct node_counters c;
	struct request r;
	uint16_t got;

	assert_int_equal(parse(&r, bytes, n, &c, &got), verdict);
	assert_int_equal(counted(&c), 1);
	assert_int_equal(*(uint64_t *)(void *)((uint8_t *)&c + counter), 1);
	if (verdict == REQUEST_REFUSE)
		assert_int_equal(got, status);
}

/* One byte of the good packet changed. The first operation stands at 80, its key at 96; the second
 * at 99; the commit at 125. */
static void every_wrong_byte_has_its_counter(void **state)
{
	static const struct change changes[] = {
		CHANGE(0, 'X', DROP, 0, refused_magic),
		CHANGE(3, 0, DROP, 0, refused_magic),
		CHANGE(4, 2, REFUSE, ABAFT_UNSUPPORTED, refused_version),
		CHANGE(5, ABAFT_KIND_ANSWER, DROP, 0, refused_kind),
		CHANGE(5, 0, DROP, 0, refused_kind),
		CHANGE(6, 2, REFUSE, ABAFT_MALFORMED, refused_flags),
		CHANGE(7, 0x80, REFUSE, ABAFT_MALFORMED, refused_flags),
		CHANGE(8, 142, REFUSE, ABAFT_MALFORMED, refused_length),
		CHANGE(9, 1, REFUSE, ABAFT_MALFORMED, refused_length),
		CHANGE(10, 0, REFUSE, ABAFT_MALFORMED, refused_ops),
		CHANGE(10, 2, REFUSE, ABAFT_MALFORMED, refused_length),
		CHANGE(10, 4, REFUSE, ABAFT_MALFORMED, refused_ops),
		CHANGE(10, ABAFT_OPS_MAX + 1, REFUSE, ABAFT_MALFORMED, refused_ops),
		CHANGE(11, 1, REFUSE, ABAFT_MALFORMED, refused_ops),
		CHANGE(14, 80 + 3 * 32 - 1, REFUSE, ABAFT_TOO_LARGE, refused_too_large),
		CHANGE(30, 0x40, REFUSE, ABAFT_MALFORMED, refused_id),
		CHANGE(32, 0x40, REFUSE, ABAFT_MALFORMED, refused_id),
		CHANGE(60, 1, REFUSE, ABAFT_UNSUPPORTED, refused_tenant),
		CHANGE(64, 1, REFUSE, ABAFT_UNSUPPORTED, refused_tenant),
		CHANGE(79, 1, REFUSE, ABAFT_UNSUPPORTED, refused_tenant),
		CHANGE(80, 0, REFUSE, ABAFT_UNSUPPORTED, refused_op),
		CHANGE(80, ABAFT_OP_APPEND, REFUSE, ABAFT_UNSUPPORTED, refused_op),
		CHANGE(80, 255, REFUSE, ABAFT_UNSUPPORTED, refused_op),
		CHANGE(80, ABAFT_OP_STATUS, REFUSE, ABAFT_MALFORMED, refused_key),
		CHANGE(81, 1, REFUSE, ABAFT_MALFORMED, refused_range), /* operation's flags */
		CHANGE(82, 0, REFUSE, ABAFT_MALFORMED, refused_key),
		CHANGE(83, 4, REFUSE, ABAFT_MALFORMED, refused_key),	/* 1027: over the limit */
		CHANGE(83, 3, REFUSE, ABAFT_MALFORMED, refused_ops),	/* 771: overruns */
		CHANGE(84, 1, REFUSE, ABAFT_MALFORMED, refused_range),	/* a get's total */
		CHANGE(88, 1, REFUSE, ABAFT_MALFORMED, refused_range),	/* a get's offset */
		CHANGE(103, 6, REFUSE, ABAFT_MALFORMED, refused_range), /* total is not length */
		CHANGE(107, 1, REFUSE, ABAFT_MALFORMED, refused_range), /* a put's offset */
		CHANGE(111, 4, REFUSE, ABAFT_MALFORMED, refused_range),
		CHANGE(125, ABAFT_OP_GET, REFUSE, ABAFT_MALFORMED, refused_key),
		CHANGE(127, 1, REFUSE, ABAFT_MALFORMED, refused_key), /* a commit with a key */
		CHANGE(137, 1, REFUSE, ABAFT_MALFORMED, refused_range),
	};
	struct packet p;

	for (uint32_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
		good(&p);
		assert_int_equal(p.used, 141);
		p.bytes[changes[i].at] = changes[i].byte;
		check(p.bytes, p.used, changes[i].verdict, changes[i].status, changes[i].counter);
	}
}

static void key_lengths_are_bounded(void **state)
{
	static const uint8_t key[ABAFT_KEY_BYTES_MAX + 1];
	struct node_counters c;
	struct request r;
	struct packet p;
	uint16_t status;

	good(&p);
	for (uint32_t n = ABAFT_KEY_BYTES_MAX; n <= ABAFT_KEY_BYTES_MAX + 1; n++) {
		packet_begin(&p, id, 0, 0, 0, 0, 0);
		packet_get(&p, key, (uint16_t)n, 0);
		packet_finish(&p);
		if (n == ABAFT_KEY_BYTES_MAX)
			assert_int_equal(parse(&r, p.bytes, p.used, &c, &status), REQUEST_OK);
		else
			check(p.bytes, p.used, REQUEST_REFUSE, ABAFT_MALFORMED,
			      offsetof(struct node_counters, refused_key));
	}
}

static void packets_are_bounded(void **state)
{
	static const uint8_t value[ABAFT_PACKET_BYTES_MAX];
	struct node_counters c;
	struct request r;
	struct packet p;
	uint16_t status;

	for (uint32_t over = 0; over < 2; over++) {
		packet_begin(&p, id, 0, 0, 0, 0, 0);
		packet_put(&p, "k", 1, value, ABAFT_PACKET_BYTES_MAX - 97 + over);
		packet_finish(&p);
		if (over)
			check(p.bytes, p.used, REQUEST_REFUSE, ABAFT_MALFORMED,
			      offsetof(struct node_counters, refused_length));
		else
			assert_int_equal(parse(&r, p.bytes, p.used, &c, &status), REQUEST_OK);
	}
}

/* COMMIT and ABORT end a packet; STATUS, INFO and PUT_PART stand alone. */
static void operations_stand_in_their_place(void **state)
{
	struct packet p;

	for (uint32_t i = 0; i < 6; i++) {
		packet_begin(&p, id, 0, 0, 0, 0, 0);
		if (i == 0)
			packet_commit(&p);
		if (i == 1)
			packet_abort(&p);
		if (i == 2)
			packet_status(&p);
		if (i == 3)
			packet_info(&p, 0);
		if (i == 4)
			packet_put_part(&p, "k", 1, 4, 0, "part", 4);
		packet_get(&p, "k", 1, 0);
		if (i == 5)
			packet_status(&p);
		packet_finish(&p);
		check(p.bytes, p.used, REQUEST_REFUSE, ABAFT_MALFORMED,
		      offsetof(struct node_counters, refused_ops));
	}
}

static void parts_stand_on_granules(void **state)
{
	static const struct {
		uint32_t total, offset, bytes;
		bool ok;
	} parts[] = {
		{1000, 0, 256, true},
		{1000, 256, 512, true},
		{1000, 768, 232, true},
		{1000, 0, 1000, true},
		{0, 0, 0, true},
		{512, 512, 0, true},
		{1000, 1, 256, false},
		{1000, 0, 255, false},
		{1000, 768, 231, false},
		{1000, 768, 233, false},
		{1000, 1024, 0, false},
		{1000, 256, 0, false},
		{2000000, 0, 256, true}, /* too large, but that is for the node to say */
		{0xffffffff, 0xffffff00, 255, true},
		{256, 0xffffff00, 256, false},
	};
	static const uint8_t data[1024];
	struct node_counters c;
	struct request r;
	struct packet p;
	uint16_t status;

	for (uint32_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		packet_begin(&p, id, 0, 0, 0, 0, 0);
		packet_put_part(&p, "k", 1, parts[i].total, parts[i].offset, data, parts[i].bytes);
		packet_finish(&p);
		if (parts[i].ok)
			assert_int_equal(parse(&r, p.bytes, p.used, &c, &status), REQUEST_OK);
		else
			check(p.bytes, p.used, REQUEST_REFUSE, ABAFT_MALFORMED,
			      offsetof(struct node_counters, refused_range));
	}
	packet_begin(&p, id, 0, 0, 0, 0, 0);
	packet_get_part(&p, "k", 1, 100, 0);
	packet_finish(&p);
	check(p.bytes, p.used, REQUEST_REFUSE, ABAFT_MALFORMED,
	      offsetof(struct node_counters, refused_range));
}

static void answers_keep_to_their_room(void **state)
{
	static uint8_t out[ABAFT_PACKET_BYTES_MAX];
	struct node_counters c = {0};
	struct reply_result result;
	struct reply reply;
	struct answer a;
	struct request r;
	struct packet p;
	uint16_t status;

	good(&p);
	packet_answer_max(&p, 600);
	assert_int_equal(request_parse(&r, p.bytes, p.used, &c, &status), REQUEST_OK);
	assert_int_equal(r.answer_max, 600);
	answer_begin(&a, out, r.header, r.answer_max, 4, 99);
	assert_int_equal(answer_room(&a, 3), 600 - 80 - 96);
	memset(answer_result(&a, ABAFT_OP_GET, ABAFT_OK, ABAFT_RESULT_OWN, (struct vnum){11, 12},
			     1000, 256, 424),
	       0x33, 424);
	assert_int_equal(answer_room(&a, 2), 0);
	answer_result(&a, ABAFT_OP_PUT, ABAFT_OK, 0, (struct vnum){0, 0}, 0, 0, 0);
	answer_result(&a, ABAFT_OP_COMMIT, ABAFT_BUSY, 0, (struct vnum){0, 0}, 0, 0, 0);
	assert_int_equal(answer_end(&a), 600);
	assert_true(reply_open(&reply, out, 600));
	assert_int_equal(reply.workers, 4);
	assert_int_equal(reply.instance, 99);
	assert_int_equal(reply.request, 8);
	assert_memory_equal(reply.txn, id, 16);
	assert_true(reply_next(&reply, &result));
	assert_int_equal(result.total, 1000);
	assert_int_equal(result.offset, 256);
	assert_int_equal(result.data_bytes, 424);
	assert_int_equal(result.time, 11);
	assert_int_equal(result.origin, 12);
	assert_int_equal(result.flags, ABAFT_RESULT_OWN);
	assert_true(reply_next(&reply, &result));
	assert_true(reply_next(&reply, &result));
	assert_int_equal(result.status, ABAFT_BUSY);
	assert_true(reply_ended(&reply));
}

static void a_refusal_drops_what_was_answered(void **state)
{
	static uint8_t out[ABAFT_PACKET_BYTES_MAX];
	struct reply reply;
	struct answer a;
	struct packet p;

	good(&p);
	answer_begin(&a, out, (const void *)p.bytes, ABAFT_PACKET_BYTES_MAX, 1, 0);
	answer_result(&a, ABAFT_OP_GET, ABAFT_OK, 0, (struct vnum){1, 1}, 0, 0, 0);
	answer_refuse(&a, ABAFT_BUSY);
	assert_int_equal(answer_end(&a), 80);
	assert_true(reply_open(&reply, out, 80));
	assert_int_equal(reply.flags, ABAFT_FLAG_REFUSED);
	assert_int_equal(reply.status, ABAFT_BUSY);
	assert_int_equal(reply.ops, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_good_packet_is_read_as_it_was_written),
		cmocka_unit_test(every_truncation_is_refused_and_counted_once),
		cmocka_unit_test(every_wrong_byte_has_its_counter),
		cmocka_unit_test(key_lengths_are_bounded),
		cmocka_unit_test(packets_are_bounded),
		cmocka_unit_test(operations_stand_in_their_place),
		cmocka_unit_test(parts_stand_on_granules),
		cmocka_unit_test(answers_keep_to_their_room),
		cmocka_unit_test(a_refusal_drops_what_was_answered),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
