/* SPDX-License-Identifier: Apache-2.0 */
/* execute_test.c - E1 to E5 and the operations, request by request. */
#include "tests/unit/core/region.h"

#include <stdio.h>

#include "tests/lib/node_bed.h"

static struct bed bed;

static int setup(void **state)
{
	bed_defaults(&bed, 1);
	bed_open(&bed);
	return 0;
}

static int teardown(void **state)
{
	bed_close(&bed);
	return 0;
}

/* A transaction of several packets. */
struct client {
	uint8_t id[16];
	uint64_t instance;
	uint16_t step, attempt;
	uint32_t seq;
	struct packet p;
	struct bed_answer answer;
};

static void client_new(struct client *c)
{
	memset(c, 0, sizeof(*c));
	bed_id(&bed, 0, c->id);
}

static struct packet *next(struct client *c)
{
	packet_begin(&c->p, c->id, c->instance, c->step, c->attempt, c->seq,
		     c->instance ? 0 : ABAFT_FLAG_OPEN);
	return &c->p;
}

/* Sends what was built; the status of the last operation, or of the whole. */
static uint16_t send(struct client *c)
{
	struct reply reply;

	c->seq += c->p.ops;
	packet_finish(&c->p);
	bed_run(&bed, 0, &c->p, &c->answer);
	assert_true(reply_open(&reply, c->answer.bytes, c->answer.n));
	if (reply.flags & ABAFT_FLAG_REFUSED)
		return reply.status;
	c->instance = reply.instance;
	assert_int_equal(reply.ops, c->p.ops);
	return bed_status(&c->answer, c->p.ops - 1);
}

static uint16_t put(struct client *c, const char *key, const char *value)
{
	packet_put(next(c), key, (uint16_t)strlen(key), value, (uint32_t)strlen(value));
	return send(c);
}

static uint16_t get(struct client *c, const char *key)
{
	packet_get(next(c), key, (uint16_t)strlen(key), 0);
	return send(c);
}

static uint16_t commit(struct client *c)
{
	packet_commit(next(c));
	return send(c);
}

static void expect(struct client *c, const char *key, const char *value, uint8_t flags)
{
	struct reply_result r;

	assert_int_equal(get(c, key), ABAFT_OK);
	r = bed_result(&c->answer, 0);
	assert_int_equal(r.flags, flags);
	assert_int_equal(r.total, strlen(value));
	assert_int_equal(r.data_bytes, strlen(value));
	assert_memory_equal(r.data, value, r.data_bytes);
}

/* P2. */
static void reads_its_own_writes(void **state)
{
	struct client c;

	assert_int_equal(bed_put(&bed, 0, "k", "old"), ABAFT_OK);
	client_new(&c);
	expect(&c, "k", "old", 0);
	assert_int_equal(put(&c, "k", "mine"), ABAFT_OK);
	expect(&c, "k", "mine", ABAFT_RESULT_OWN);
	packet_delete(next(&c), "k", 1);
	assert_int_equal(send(&c), ABAFT_OK);
	assert_int_equal(get(&c, "k"), ABAFT_NOT_FOUND);
	assert_int_equal(bed_result(&c.answer, 0).flags, ABAFT_RESULT_OWN);
	assert_int_equal(put(&c, "k", ""), ABAFT_OK);
	expect(&c, "k", "", ABAFT_RESULT_OWN);
	assert_int_equal(commit(&c), ABAFT_OK);
}

/* A4, P1: who has read that a key is not there sees nothing that came with it. */
static void a_key_read_as_none_hides_what_came_with_it(void **state)
{
	struct client c;

	client_new(&c);
	assert_int_equal(get(&c, "a"), ABAFT_NOT_FOUND);
	assert_int_equal(bed_put2(&bed, 0, "a", "b", "v"), ABAFT_OK);
	assert_int_equal(get(&c, "b"), ABAFT_NOT_FOUND);
	assert_int_equal(get(&c, "a"), ABAFT_NOT_FOUND);
}

/* E2: no part of an expired or unknown transaction goes on without the rest. */
static void an_old_instance_finds_nothing(void **state)
{
	struct client c, unknown;

	client_new(&c);
	assert_int_equal(put(&c, "a", "1"), ABAFT_OK);
	client_new(&unknown);
	unknown.instance = 1;
	assert_int_equal(commit(&unknown), ABAFT_UNKNOWN_TXN);
	bed_ticks(&bed, 600);
	assert_int_equal(bed_counters(&bed, 0)->expired, 1);
	assert_int_equal(put(&c, "b", "2"), ABAFT_UNKNOWN_TXN);
	assert_int_equal(commit(&c), ABAFT_UNKNOWN_TXN);
	/* Its first packet comes again: a new instance, which the old one's packets do not find. */
	packet_begin(&c.p, c.id, 0, 0, 0, 0, ABAFT_FLAG_OPEN);
	packet_put(&c.p, "a", 1, "1", 1);
	packet_finish(&c.p);
	bed_run(&bed, 0, &c.p, &c.answer);
	assert_int_equal(bed_status(&c.answer, 0), ABAFT_OK);
	assert_int_not_equal(bed_instance(&c.answer), c.instance);
	assert_int_equal(commit(&c), ABAFT_UNKNOWN_TXN);
	assert_int_equal(bed_counters(&bed, 0)->refused_unknown, 4);
}

static void deadlines_are_renewed_by_every_packet(void **state)
{
	struct client c;

	client_new(&c);
	for (uint32_t i = 0; i < 10; i++) {
		next(&c);
		packet_deadline(&c.p, 1000);
		packet_get(&c.p, "k", 1, 0);
		assert_int_equal(send(&c), ABAFT_NOT_FOUND);
		bed_ticks(&bed, 90);
	}
	bed_ticks(&bed, 60);
	assert_int_equal(get(&c, "k"), ABAFT_UNKNOWN_TXN);
}

static void a_shorter_deadline_is_heeded(void **state)
{
	struct client c;

	client_new(&c);
	next(&c);
	packet_deadline(&c.p, 600000);
	packet_get(&c.p, "k", 1, 0);
	assert_int_equal(send(&c), ABAFT_NOT_FOUND);
	next(&c);
	packet_deadline(&c.p, 500);
	packet_get(&c.p, "k", 1, 0);
	assert_int_equal(send(&c), ABAFT_NOT_FOUND);
	bed_ticks(&bed, 100);
	assert_int_equal(bed_counters(&bed, 0)->expired, 1);
}

static void a_tick_ends_a_bounded_number(void **state)
{
	struct client c;

	bed_close(&bed);
	bed_defaults(&bed, 1);
	bed.config.txns_max = 1000;
	bed_open(&bed);
	for (uint32_t i = 0; i < 1000; i++) {
		client_new(&c);
		c.attempt = 1; /* else it would make room: fresh_test.c */
		assert_int_equal(put(&c, "k", "v"), ABAFT_OK);
	}
	client_new(&c);
	assert_int_equal(put(&c, "k", "v"), ABAFT_BUSY);
	assert_int_equal(bed_counters(&bed, 0)->busy_txns, 1);
	bed_advance_us(&bed, 10000000);
	for (uint32_t i = 0; i < 200 && bed_counters(&bed, 0)->expired < 1000; i++) {
		uint64_t before = bed_counters(&bed, 0)->expired;

		bed_tick(&bed, 0);
		assert_true(bed_counters(&bed, 0)->expired - before <= 256);
	}
	assert_int_equal(bed_counters(&bed, 0)->expired, 1000);
	bed_ticks(&bed, 1);
	assert_int_equal(bed_used(&bed), 0);
}

/* E3. */
static void nothing_follows_a_failure(void **state)
{
	static const uint8_t part[256];
	struct client c;

	client_new(&c);
	packet_put_part(next(&c), "k", 1, 1000, 0, part, 256);
	assert_int_equal(send(&c), ABAFT_OK);
	assert_int_equal(commit(&c), ABAFT_INCOMPLETE);
	packet_get(next(&c), "other", 5, 0);
	packet_get(&c.p, "k", 1, 0); /* incomplete */
	packet_put(&c.p, "b", 1, "2", 1);
	packet_commit(&c.p);
	assert_int_equal(send(&c), ABAFT_SKIPPED);
	assert_int_equal(bed_status(&c.answer, 0), ABAFT_NOT_FOUND); /* no failure */
	assert_int_equal(bed_status(&c.answer, 1), ABAFT_INCOMPLETE);
	assert_int_equal(bed_status(&c.answer, 2), ABAFT_SKIPPED);
	assert_int_equal(bed.log[0].count, 0);
	assert_int_equal(get(&c, "b"), ABAFT_NOT_FOUND);
	assert_int_equal(bed_counters(&bed, 0)->refused_incomplete, 1);
}

static void attempts_replace_each_other(void **state)
{
	struct client c;
	char text[8];

	client_new(&c);
	assert_int_equal(put(&c, "a", "0"), ABAFT_OK);
	assert_int_equal(put(&c, "b", "0"), ABAFT_OK);
	c.attempt = 1;
	c.seq = 0;
	assert_int_equal(put(&c, "a", "1"), ABAFT_OK);
	c.attempt = 0;
	c.seq = 9;
	assert_int_equal(put(&c, "b", "late"), ABAFT_STALE_ATTEMPT);
	assert_int_equal(commit(&c), ABAFT_STALE_ATTEMPT);
	c.step = 1; /* another step has attempts of its own */
	c.attempt = 0;
	assert_int_equal(put(&c, "c", "0"), ABAFT_OK);
	assert_int_equal(commit(&c), ABAFT_OK);
	bed_get(&bed, 0, "a", text, sizeof(text));
	assert_string_equal(text, "1");
	bed_get(&bed, 0, "b", text, sizeof(text));
	assert_string_equal(text, "");
	bed_get(&bed, 0, "c", text, sizeof(text));
	assert_string_equal(text, "0");
	assert_int_equal(bed_counters(&bed, 0)->attempts_replaced, 1);
	assert_int_equal(bed_counters(&bed, 0)->refused_stale, 2);
}

/* E5: two runs of a chain at a time; the second begins while the first is at its second step. */
static void a_chain_begun_anew_is_not_committed_by_the_old_one(void **state)
{
	struct client old, new;
	char text[8];

	client_new(&old);
	old.step = 1;
	assert_int_equal(put(&old, "a", "0"), ABAFT_OK);
	old.step = 2;
	assert_int_equal(put(&old, "b", "0"), ABAFT_OK);
	new = old;
	new.step = new.attempt = 1;
	new.instance = new.seq = 0;
	assert_int_equal(put(&new, "a", "1"), ABAFT_OK);
	assert_int_not_equal(new.instance, old.instance);
	assert_int_equal(get(&new, "b"), ABAFT_NOT_FOUND);
	/* The old run: its step that was at work, its next one, a straggler of its first. */
	assert_int_equal(commit(&old), ABAFT_STALE_ATTEMPT);
	old.step = 3;
	assert_int_equal(commit(&old), ABAFT_UNKNOWN_TXN);
	old.step = 1;
	assert_int_equal(put(&old, "a", "late"), ABAFT_STALE_ATTEMPT);
	/* Also with OPEN the step that is over stays so. */
	old.step = 2;
	old.instance = 0;
	assert_int_equal(put(&old, "b", "late"), ABAFT_STALE_ATTEMPT);
	new.step = 2;
	assert_int_equal(put(&new, "b", "1"), ABAFT_OK);
	assert_int_equal(commit(&new), ABAFT_OK);
	bed_get(&bed, 0, "a", text, sizeof(text));
	assert_string_equal(text, "1");
	bed_get(&bed, 0, "b", text, sizeof(text));
	assert_string_equal(text, "1");
}

static void steps_are_bounded(void **state)
{
	struct client c;

	client_new(&c);
	for (c.step = 0; c.step < ABAFT_TXN_STEPS_MAX; c.step++)
		assert_int_equal(get(&c, "k"), ABAFT_NOT_FOUND);
	assert_int_equal(get(&c, "k"), ABAFT_TOO_LARGE);
	c.step = 5;
	assert_int_equal(get(&c, "k"), ABAFT_NOT_FOUND);
}

static void ids_out_of_the_window_are_refused(void **state)
{
	uint64_t now_ms = BED_WALL_US / 1000;
	struct client c;

	client_new(&c);
	packet_id(c.id, now_ms + ABAFT_CLOCK_SKEW_MS, 1, 0);
	assert_int_equal(get(&c, "k"), ABAFT_NOT_FOUND);
	client_new(&c);
	packet_id(c.id, now_ms + ABAFT_CLOCK_SKEW_MS + 1, 2, 0);
	assert_int_equal(get(&c, "k"), ABAFT_CLOCK_SKEW);
	packet_id(c.id, now_ms - ABAFT_OUTCOME_WINDOW_MS, 3, 0);
	assert_int_equal(get(&c, "k"), ABAFT_NOT_FOUND);
	client_new(&c);
	packet_id(c.id, now_ms - ABAFT_OUTCOME_WINDOW_MS - 1, 4, 0);
	assert_int_equal(get(&c, "k"), ABAFT_EXPIRED);
	packet_status(next(&c));
	assert_int_equal(send(&c), ABAFT_EXPIRED);
	assert_int_equal(bed_counters(&bed, 0)->refused_skew, 1);
	assert_int_equal(bed_counters(&bed, 0)->refused_expired, 1);
}

/* O2 seen from outside: an id whose outcome may have been forgotten is not run again. E4: nor is
 * anybody told that nothing of it was committed. */
static void forgotten_outcomes_are_not_run_again(void **state)
{
	static struct client first;
	struct client c;

	client_new(&first);
	packet_put(next(&first), "k", 1, "first", 5);
	packet_commit(&first.p);
	assert_int_equal(send(&first), ABAFT_OK);
	for (uint32_t i = 0; i < 256; i++) {
		bed_advance_us(&bed, 1000);
		assert_int_equal(bed_put(&bed, 0, "k", "later"), ABAFT_OK);
	}
	bed_run(&bed, 0, &first.p, &c.answer);
	assert_int_equal(bed_status(&c.answer, 0), ABAFT_EXPIRED);
	assert_int_equal(commit(&first), ABAFT_EXPIRED);
	assert_int_equal(bed.log[0].count, 257);
}

static void a_stopping_node_ends_what_is_open(void **state)
{
	struct client c, late;

	client_new(&c);
	assert_int_equal(put(&c, "k", "v"), ABAFT_OK);
	node_stop(bed.node[0]);
	client_new(&late);
	assert_int_equal(put(&late, "k", "v"), ABAFT_STOPPING);
	assert_int_equal(commit(&c), ABAFT_OK);
}

static uint8_t large[ABAFT_VALUE_BYTES_MAX];

static void put_large(struct client *c, const char *key, uint32_t total)
{
	uint32_t seq = c->seq;

	for (uint32_t i = 0; i < sizeof(large); i++)
		large[i] = (uint8_t)(i * 31 + i / 256);
	for (uint32_t at = 0; at < total; at += 1280) {
		uint32_t n = total - at < 1280 ? total - at : 1280;

		c->seq = seq; /* all parts of a value have its number */
		packet_put_part(next(c), key, (uint16_t)strlen(key), total, at, large + at, n);
		assert_int_equal(send(c), ABAFT_OK);
	}
}

static void get_large(struct client *c, const char *key, uint32_t total, uint32_t answer_max)
{
	uint32_t at = 0;

	for (uint32_t calls = 0; calls == 0 || at < total; calls++) {
		struct reply_result r;

		next(c);
		packet_answer_max(&c->p, (uint16_t)answer_max);
		if (calls == 0)
			packet_get(&c->p, key, (uint16_t)strlen(key), 0);
		else
			packet_get_part(&c->p, key, (uint16_t)strlen(key), at, 0);
		assert_int_equal(send(c), ABAFT_OK);
		assert_true(c->answer.n <= answer_max);
		r = bed_result(&c->answer, 0);
		assert_int_equal(r.total, total);
		assert_int_equal(r.offset, at);
		assert_true(r.data_bytes > 0 || total == 0);
		assert_memory_equal(r.data, large + at, r.data_bytes);
		at += r.data_bytes;
	}
	assert_int_equal(at, total);
}

/* Values of all sizes go in by parts and come out by parts, the same version throughout. */
static void values_move_in_parts(void **state)
{
	static const uint32_t sizes[] = {1,    160,  161,  255,	  256,	  257,
					 1279, 1280, 1281, 65536, 1 << 20};

	for (uint32_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		struct client c, reader;

		client_new(&c);
		put_large(&c, "k", sizes[i]);
		get_large(&c, "k", sizes[i], ABAFT_PACKET_BYTES_MAX);
		assert_int_equal(commit(&c), ABAFT_OK);
		client_new(&reader);
		get_large(&reader, "k", sizes[i], ABAFT_PACKET_BYTES_MAX);
		assert_int_equal(bed_put(&bed, 0, "k", "overwritten"), ABAFT_OK);
		bed_ticks(&bed, 3);
		get_large(&reader, "k", sizes[i], ABAFT_PACKET_BYTES_MIN);
		assert_int_equal(commit(&reader), ABAFT_OK);
	}
	assert_int_equal(bed_put(&bed, 0, "k", NULL), ABAFT_OK);
	bed_ticks(&bed, 20);
	assert_int_equal(bed_used(&bed), 0);
}

static void values_beyond_the_limit_are_too_large(void **state)
{
	static const uint8_t part[256];
	struct client c;

	client_new(&c);
	packet_put_part(next(&c), "k", 1, ABAFT_VALUE_BYTES_MAX + 1, 0, part, 256);
	assert_int_equal(send(&c), ABAFT_TOO_LARGE);
	for (uint32_t i = 0; i < 3; i++) {
		packet_put_part(next(&c),
				i == 0	 ? "a"
				: i == 1 ? "b"
					 : "c",
				1, ABAFT_VALUE_BYTES_MAX, 0, part, 256);
		assert_int_equal(send(&c), ABAFT_OK);
	}
	assert_int_equal(put(&c, "d", "v"), ABAFT_TOO_LARGE);
	assert_int_equal(bed_counters(&bed, 0)->refused_too_large, 2);
	c.seq = 99;
	packet_put_part(next(&c), "a", 1, 1000, 0, part, 256);
	assert_int_equal(send(&c), ABAFT_OK);
	c.seq = 99;
	packet_put_part(next(&c), "a", 1, 1001, 0, part, 256); /* contradicts the first part */
	assert_int_equal(send(&c), ABAFT_MALFORMED);
	assert_int_equal(bed_counters(&bed, 0)->refused_range, 1);
}

static void keys_of_a_transaction_are_bounded(void **state)
{
	struct client c;
	char key[8];

	client_new(&c);
	for (uint32_t i = 0; i <= ABAFT_TXN_READS_MAX; i++) {
		snprintf(key, sizeof(key), "r%u", i);
		assert_int_equal(get(&c, key),
				 i < ABAFT_TXN_READS_MAX ? ABAFT_NOT_FOUND : ABAFT_TOO_LARGE);
	}
	for (uint32_t i = 0; i <= ABAFT_TXN_WRITES_MAX; i++) {
		snprintf(key, sizeof(key), "w%u", i);
		assert_int_equal(put(&c, key, "v"),
				 i < ABAFT_TXN_WRITES_MAX ? ABAFT_OK : ABAFT_TOO_LARGE);
	}
	assert_int_equal(bed_counters(&bed, 0)->busy_reads, 1);
	assert_int_equal(bed_counters(&bed, 0)->busy_writes, 1);
	assert_int_equal(commit(&c), ABAFT_OK);
	bed_get(&bed, 0, "w255", key, sizeof(key));
	assert_string_equal(key, "v");
}

/* Data are shared out so that every result still fits. */
static void answers_have_room_for_every_result(void **state)
{
	static uint8_t value[1000];
	struct client c;
	struct packet p;
	uint8_t id[16];

	bed_id(&bed, 0, id);
	packet_begin(&p, id, 0, 0, 0, 0, ABAFT_FLAG_OPEN);
	packet_put(&p, "k", 1, value, sizeof(value));
	packet_commit(&p);
	packet_finish(&p);
	bed_run(&bed, 0, &p, &c.answer);
	client_new(&c);
	next(&c);
	for (uint32_t i = 0; i < ABAFT_OPS_MAX; i++)
		packet_get(&c.p, "k", 1, i == 0 ? 10 : 0);
	assert_int_equal(send(&c), ABAFT_OK);
	assert_int_equal(bed_result(&c.answer, 0).data_bytes, 10);
	assert_int_equal(bed_result(&c.answer, 1).data_bytes % 256, 0);
	for (uint32_t i = 0; i < ABAFT_OPS_MAX; i++)
		assert_int_equal(bed_result(&c.answer, i).total, 1000);
	assert_true(c.answer.n <= ABAFT_PACKET_BYTES_MAX);
}

static uint32_t info_text(void *arg, char *text, uint32_t bytes)
{
	memset(text, 'x', 3000);
	return 3000;
}

static void info_comes_in_parts(void **state)
{
	uint32_t at = 0;
	struct client c;

	node_set_info(bed.node[0], info_text, NULL);
	client_new(&c);
	while (at < 3000) {
		struct reply_result r;

		packet_info(next(&c), at);
		assert_int_equal(send(&c), ABAFT_OK);
		r = bed_result(&c.answer, 0);
		assert_int_equal(r.total, 3000);
		assert_true(r.data_bytes > 0);
		at += r.data_bytes;
	}
	assert_int_equal(at, 3000);
	assert_int_equal(bed.node[0]->txns.open, 0);
}

static void status_creates_nothing(void **state)
{
	struct client c;

	client_new(&c);
	packet_status(next(&c));
	assert_int_equal(send(&c), ABAFT_UNKNOWN_TXN);
	assert_int_equal(bed.node[0]->txns.open, 0);
	c.instance = 0;
	assert_int_equal(put(&c, "k", "v"), ABAFT_OK);
	packet_status(next(&c));
	assert_int_equal(send(&c), ABAFT_OK); /* open */
	assert_int_equal(bed_counters(&bed, 0)->statuses, 2);
}

static void a_refusal_needs_a_request(void **state)
{
	uint8_t out[ABAFT_PACKET_BYTES_MAX];
	struct reply reply;
	struct client c;
	uint32_t n = 0;

	client_new(&c);
	packet_get(next(&c), "k", 1, 0);
	packet_finish(&c.p);
	assert_true(node_refuse(bed.node[0], c.p.bytes, c.p.used, out, &n, ABAFT_STOPPING));
	assert_true(reply_open(&reply, out, n));
	assert_int_equal(reply.status, ABAFT_STOPPING);
	assert_int_equal(reply.workers, bed.workers);
	assert_false(node_refuse(bed.node[0], c.p.bytes, 79, out, &n, ABAFT_STOPPING));
	assert_int_equal(bed_counters(&bed, 0)->refused_short, 1);
	c.p.bytes[5] = ABAFT_KIND_ANSWER;
	assert_false(node_refuse(bed.node[0], c.p.bytes, c.p.used, out, &n, ABAFT_STOPPING));
	assert_int_equal(bed_counters(&bed, 0)->refused_kind, 1);
	assert_int_equal(bed_send(&bed, 0, &c.p, &c.answer), NODE_DROP);
}

/* The hints take any bytes. */
static void prefetching_changes_nothing(void **state)
{
	struct client c;
	char text[8];

	assert_int_equal(bed_put(&bed, 0, "k", "v"), ABAFT_OK);
	client_new(&c);
	next(&c);
	for (uint32_t i = 0; i < ABAFT_OPS_MAX; i++)
		packet_get(&c.p, "k", 1, 0);
	packet_finish(&c.p);
	node_pass_begin(bed.node[0], bed.now);
	for (uint32_t n = 0; n < c.p.used; n++) {
		uint8_t *copy = malloc(n + 1);

		memcpy(copy, c.p.bytes, n);
		node_ahead(bed.node[0], copy, n);
		if (n % 3)
			node_ahead_run(bed.node[0]);
		free(copy);
	}
	node_pass_end(bed.node[0]);
	bed_get(&bed, 0, "k", text, sizeof(text));
	assert_string_equal(text, "v");
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(reads_its_own_writes),
		CASE(a_key_read_as_none_hides_what_came_with_it),
		CASE(an_old_instance_finds_nothing),
		CASE(deadlines_are_renewed_by_every_packet),
		CASE(a_shorter_deadline_is_heeded),
		CASE(a_tick_ends_a_bounded_number),
		CASE(nothing_follows_a_failure),
		CASE(attempts_replace_each_other),
		CASE(a_chain_begun_anew_is_not_committed_by_the_old_one),
		CASE(steps_are_bounded),
		CASE(ids_out_of_the_window_are_refused),
		CASE(forgotten_outcomes_are_not_run_again),
		CASE(a_stopping_node_ends_what_is_open),
		CASE(values_move_in_parts),
		CASE(values_beyond_the_limit_are_too_large),
		CASE(keys_of_a_transaction_are_bounded),
		CASE(answers_have_room_for_every_result),
		CASE(info_comes_in_parts),
		CASE(status_creates_nothing),
		CASE(a_refusal_needs_a_request),
		CASE(prefetching_changes_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
