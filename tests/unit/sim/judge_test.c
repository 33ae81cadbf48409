// SPDX-License-Identifier: Apache-2.0
/*
 * judge_test.c - the simulated world's judge: what is planted in a history is reported, by name and
 * with its story, and what is told late says more about what was told early.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/sim/world/judge.h"
#include "tests/unit/sim/small_world.h"

static struct world world;
static struct judge *judge;
#define REQUESTS 64
static struct request requests[REQUESTS];
static uint8_t values[64][256];
static uint32_t values_count;

static int open_judge(void **state)
{
	small_world_create(&world, 1, 0);
	judge = judge_create(&world);
	memset(requests, 0, sizeof(requests));
	values_count = 0;
	for (uint32_t i = 0; i < REQUESTS; i++) {
		requests[i].number = i;
		requests[i].id = (struct abaft_id){{[6] = 0x70, [8] = 0x80, [15] = (uint8_t)i}};
	}
	return 0;
}

static int close_judge(void **state)
{
	judge_destroy(judge);
	small_world_destroy(&world);
	return 0;
}

static struct abaft_version version_of(uint32_t request)
{
	return (struct abaft_version){.time = 100 + 10 * request, .origin = 1};
}

static void add(struct run *run, struct run_op op, const char *key)
{
	snprintf(op.key, sizeof(op.key), "%s", key);
	op.answered = true;
	run->ops[run->ops_count++] = op;
}

static void writes(struct run *run, const char *key)
{
	uint32_t seq = run->ops_count + 1;

	add(run, (struct run_op){.kind = 'w', .number = {run->step, run->attempt, seq}}, key);
}

static struct run_op read_of(const char *key, uint32_t writer, struct tag_number number)
{
	char *value = (char *)values[values_count++];
	struct tag_source source = {.id = &requests[writer].id,
				    .number = number,
				    .time_us = 1,
				    .key = {key, strlen(key)}};
	ssize_t bytes = tag_write(value, 256, &source);

	assert_true(bytes > 0);
	return (struct run_op){.kind = 'r',
			       .result = {.len = (uint32_t)bytes, .version = version_of(writer)},
			       .value = (uint8_t *)value};
}

static void reads(struct run *run, const char *key, uint32_t writer, struct tag_number number)
{
	add(run, read_of(key, writer, number), key);
}

static struct run run_of(uint32_t request, uint16_t step, uint16_t attempt)
{
	return (struct run){.request = &requests[request], .step = step, .attempt = attempt};
}

static void tell(const struct run *run, enum history_outcome outcome)
{
	uint64_t start_us = 1000u * run->request->number + 100u * run->attempt;
	struct abaft_version version = {0};

	if (outcome == HISTORY_COMMITTED || outcome == HISTORY_REPEATED)
		version = version_of(run->request->number);
	judge_run(judge, run, "client1", start_us, start_us + 90, outcome, version);
}

/* Writes x and y, in one attempt. */
static void write_both(uint32_t request, enum history_outcome outcome)
{
	struct run run = run_of(request, 0, 0);

	writes(&run, "x");
	writes(&run, "y");
	run.commits = true;
	tell(&run, outcome);
}

static void is_final(const char *key, uint32_t writer, uint32_t seq)
{
	struct run_op op = read_of(key, writer, (struct tag_number){0, 0, seq});

	snprintf(op.key, sizeof(op.key), "%s", key);
	op.answered = true;
	judge_final(judge, &op);
}

static void is_clean(void)
{
	judge_verdict(judge);
}

static void fails_by(const char *rule, const char *text)
{
	if (setjmp(small_world_failed) == 0) {
		small_world_may_fail = true;
		judge_verdict(judge);
		fail_msg("clean, but for %s", rule);
	}
	assert_string_equal(small_world_rule, rule);
	if (!strstr(small_world_reason, text))
		fail_msg("not in it: %s\n%s", text, small_world_reason);
}

static void finds_nothing_where_nothing_is(void **state)
{
	struct run reader = run_of(9, 0, 0);

	write_both(1, HISTORY_COMMITTED);
	write_both(2, HISTORY_COMMITTED);
	reads(&reader, "x", 2, (struct tag_number){0, 0, 1});
	reads(&reader, "y", 2, (struct tag_number){0, 0, 2});
	tell(&reader, HISTORY_COMMITTED);
	is_final("x", 2, 1);
	is_final("y", 2, 2);
	is_clean();
}

static void finds_a_fractured_read(void **state)
{
	struct run reader = run_of(9, 0, 0);

	write_both(1, HISTORY_COMMITTED);
	write_both(2, HISTORY_COMMITTED);
	reads(&reader, "x", 2, (struct tag_number){0, 0, 1});
	reads(&reader, "y", 1, (struct tag_number){0, 0, 2});
	tell(&reader, HISTORY_FAILED); /* it matters all the same */
	fails_by("fractured_forward", "read x");
}

static void finds_a_lost_commit(void **state)
{
	write_both(1, HISTORY_COMMITTED);
	write_both(2, HISTORY_COMMITTED);
	is_final("x", 1, 1);
	is_final("y", 1, 2);
	fails_by("lost_commit", "x");
}

static void finds_half_of_an_unknown_one(void **state)
{
	write_both(1, HISTORY_COMMITTED);
	write_both(2, HISTORY_UNKNOWN);
	is_final("x", 2, 1);
	is_final("y", 1, 2);
	fails_by("partial_commit", "x");
}

/* Attempt 1 was told that it is committed, and only attempt 0 can have done that. */
static void tell_told_again(uint16_t seen)
{
	struct run first = run_of(1, 0, 0), second = run_of(1, 0, 1), reader = run_of(9, 0, 0);

	writes(&first, "x");
	first.commits = true;
	tell(&first, HISTORY_UNKNOWN);
	writes(&second, "x");
	tell(&second, HISTORY_REPEATED);
	reads(&reader, "x", 1, (struct tag_number){0, seen, 1});
	tell(&reader, HISTORY_COMMITTED);
}

static void knows_whose_commit_it_was(void **state)
{
	tell_told_again(0);
	is_final("x", 1, 1);
	is_clean();
	close_judge(state);
	open_judge(state);
	tell_told_again(1);
	fails_by("aborted_read", "x");
}

/* Two runs sent a COMMIT: it may have been either's. */
static void does_not_guess(void **state)
{
	for (uint16_t seen = 0; seen < 2; seen++) {
		struct run first = run_of(1, 0, 0), second = run_of(1, 0, 1),
			   reader = run_of(9, 0, 0);

		writes(&first, "x");
		writes(&second, "x");
		first.commits = second.commits = true;
		tell(&first, HISTORY_UNKNOWN);
		tell(&second, HISTORY_REPEATED);
		reads(&reader, "x", 1, (struct tag_number){0, seen, 1});
		tell(&reader, HISTORY_COMMITTED);
		is_clean();
		close_judge(state);
		open_judge(state);
	}
}

/* Nobody ever asked for a commit. */
static void finds_what_nobody_committed(void **state)
{
	struct run first = run_of(1, 1, 0), reader = run_of(9, 0, 0);

	writes(&first, "x");
	tell(&first, HISTORY_OPEN);
	reads(&reader, "x", 1, (struct tag_number){1, 0, 1});
	tell(&reader, HISTORY_COMMITTED);
	fails_by("aborted_read", "x");
}

static void joins_the_steps_of_a_chain(void **state)
{
	struct run dead = run_of(2, 1, 0), first = run_of(2, 1, 1), second = run_of(2, 2, 0),
		   reader = run_of(9, 0, 0);

	write_both(1, HISTORY_COMMITTED);
	writes(&dead, "x");
	tell(&dead, HISTORY_FAILED);
	writes(&first, "x");
	tell(&first, HISTORY_OPEN);
	second.before = &first;
	reads(&second, "x", 2, (struct tag_number){1, 1, 1}); /* its own */
	writes(&second, "y");
	second.commits = true;
	tell(&second, HISTORY_COMMITTED);
	is_final("x", 2, 1);
	reads(&reader, "x", 2, (struct tag_number){1, 1, 1});
	reads(&reader, "y", 1, (struct tag_number){0, 0, 2});
	tell(&reader, HISTORY_COMMITTED);
	fails_by("fractured_forward", "y");
}

static void wants_to_judge(void **state)
{
	struct run_op nothing = {.kind = 'r', .answered = true, .key = "z"};
	struct run reader = run_of(9, 0, 0);

	nothing.result.status = ABAFT_NOT_FOUND;
	reads(&reader, "x", 5, (struct tag_number){0, 0, 1}); /* nobody tells of 5 */
	tell(&reader, HISTORY_COMMITTED);
	fails_by("unjudged", "1 of 1 reads");
	close_judge(state);
	open_judge(state);
	for (uint32_t i = 0; i < 26; i++)
		write_both(i, HISTORY_COMMITTED);
	judge_final(judge, &nothing); /* all of it */
	fails_by("unjudged", "52 acknowledged writes");
}

static void wants_the_final_state(void **state)
{
	struct run_op op = {.kind = 'r', .answered = true, .key = "x"};

	op.result.status = ABAFT_TIMEOUT;
	if (setjmp(small_world_failed) == 0) {
		small_world_may_fail = true;
		judge_final(judge, &op);
		fail();
	}
	assert_string_equal(small_world_rule, "final state");
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, open_judge, close_judge)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(finds_nothing_where_nothing_is),
		CASE(finds_a_fractured_read),
		CASE(finds_a_lost_commit),
		CASE(finds_half_of_an_unknown_one),
		CASE(knows_whose_commit_it_was),
		CASE(does_not_guess),
		CASE(finds_what_nobody_committed),
		CASE(joins_the_steps_of_a_chain),
		CASE(wants_to_judge),
		CASE(wants_the_final_state),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
