// SPDX-License-Identifier: Apache-2.0
/*
 * load_test.c - the simulated world's loads, without a world: what they ask for, and that they
 * notice what must not be. The platform's functions for loads are this file's own.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/sim/world/load.h"
#include "tests/sim/world/world.h"

static struct world world;
static struct request requests[2];
static uint64_t values[PLATFORM_OPS_MAX];
static jmp_buf failed;
static char rule[64];

void world_fail(struct world *w, const char *name, const char *format, ...)
{
	snprintf(rule, sizeof(rule), "%s", name);
	longjmp(failed, 1);
}

static struct run_op *add(struct run *run, char kind, const char *key)
{
	struct run_op *op = &run->ops[run->ops_count++];

	assert_true(run->ops_count <= PLATFORM_OPS_MAX);
	*op = (struct run_op){.kind = kind, .result = {.status = ABAFT_NOT_FOUND}};
	snprintf(op->key, sizeof(op->key), "%s", key);
	return op;
}

struct run_op *run_get(struct run *run, const char *key)
{
	return add(run, 'r', key);
}

struct run_op *run_get_big(struct run *run, const char *key)
{
	return add(run, 'r', key);
}

struct run_op *run_put(struct run *run, const char *key, const void *value, uint32_t bytes)
{
	return add(run, 'w', key);
}

struct run_op *run_delete(struct run *run, const char *key)
{
	return add(run, 'd', key);
}

void run_commit(struct run *run)
{
	run->commits = true;
}

void run_abort(struct run *run)
{
	run->aborts = true;
}

void run_pause(struct run *run, uint64_t us)
{
}

uint64_t run_roll(struct run *run, uint64_t limit)
{
	return sim_random(&run->random, limit);
}

const uint8_t *run_value(const struct run_op *op, uint32_t *bytes)
{
	*bytes = sizeof(uint64_t);
	return op->value;
}

const struct request *platform_request(const struct platform *platform, uint32_t number)
{
	return &requests[number];
}

static int setup(void **state)
{
	world = (struct world){.plan = {.keys = 64, .requests = 2}};
	memset(requests, 0, sizeof(requests));
	return 0;
}

static void begin(struct request *request, const struct load *load, uint64_t random)
{
	*request = (struct request){.load = load, .steps = 1, .random = random};
	load->begin(&world, request);
}

/* What an attempt of a step asks for, until its end; nothing is ever there, but that a chain finds
 * what its former step wrote. */
static void attempt(struct run *run, const struct request *request, uint16_t step, uint16_t number)
{
	*run = (struct run){.request = (struct request *)(uintptr_t)request,
			    .step = step,
			    .attempt = number,
			    .random = request->random + number};
	while (!run->commits && !run->aborts && request->load->round(&world, run)) {
		run->round++;
		for (; run->ops_before < run->ops_count; run->ops_before++) {
			struct run_op *op = &run->ops[run->ops_before];

			op->answered = true;
			if (op->kind != 'r' || step < 2)
				continue;
			values[run->ops_before] = request->number + 1;
			op->value = (uint8_t *)&values[run->ops_before];
			op->result = (struct abaft_result){.own = true};
		}
	}
}

/* The next write from *at on, or NULL. */
static const struct run_op *next_write(const struct run *run, uint32_t *at)
{
	while (*at < run->ops_count && run->ops[*at].kind == 'r')
		++*at;
	return *at < run->ops_count ? &run->ops[(*at)++] : NULL;
}

/* L1 */
static void all_attempts_write_the_same(void **state)
{
	static struct run a, b;

	for (uint32_t n = 0; n < LOAD_COUNT; n++) {
		for (uint32_t i = 0; i < 200; i++) {
			uint32_t steps, step, at = 0, at_b = 0;
			const struct run_op *op, *op_b;

			begin(&requests[0], load_of(n), i);
			steps = requests[0].steps;
			step = steps > 1 ? 1 + i % steps : 0;
			attempt(&a, &requests[0], (uint16_t)step, 0);
			attempt(&b, &requests[0], (uint16_t)step, 7);
			assert_int_equal(a.commits, b.commits);
			assert_int_equal(a.commits || a.aborts, step == 0 || step == steps);
			do {
				op = next_write(&a, &at);
				op_b = next_write(&b, &at_b);
				assert_int_equal(!op, !op_b);
				assert_int_equal(op ? op->kind : 0, op_b ? op_b->kind : 0);
				assert_string_equal(op ? op->key : "", op_b ? op_b->key : "");
			} while (op);
		}
	}
}

/* What is written is among the keys that the final state is read of. */
static void all_writes_are_of_listed_keys(void **state)
{
	static struct run run;

	for (uint32_t n = 0; n < LOAD_COUNT; n++) {
		const struct load *load = load_of(n);

		for (uint32_t i = 0; i < 200; i++) {
			begin(&requests[0], load, i);
			attempt(&run, &requests[0], requests[0].steps > 1, 0);
			for (uint32_t j = 0; j < run.ops_count; j++) {
				char key[PLATFORM_KEY_BYTES] = "";
				uint32_t k = 0;

				while (load->key(&world, k, key) && strcmp(key, run.ops[j].key))
					k++;
				assert_string_equal(key, run.ops[j].key);
			}
		}
	}
}

/* 1 / i^2: of all draws 63 % are the first key, 16 % the second. */
static void hot_keys_follow_zipf(void **state)
{
	static struct run run;
	uint32_t first = 0, second = 0, all = 0;

	for (uint32_t i = 0; i < 20000; i++) {
		begin(&requests[0], &load_hot, i * 7919);
		run = (struct run){.request = &requests[0]};
		load_hot.round(&world, &run);
		for (uint32_t j = 0; j < run.ops_count; j++, all++) {
			first += strcmp(run.ops[j].key, "hot:0") == 0;
			second += strcmp(run.ops[j].key, "hot:1") == 0;
		}
	}
	assert_in_range(1000 * first / all, 610, 650);
	assert_in_range(1000 * second / all, 145, 170);
}

static bool run_fails(struct run *run)
{
	rule[0] = '\0';
	if (setjmp(failed) == 0)
		run->request->load->round(&world, run);
	return rule[0];
}

/* The round behind the reads, which found `number` (0: nothing) at the first `count` keys. */
static bool reads_fail(const struct load *load, uint64_t random, uint32_t count, uint64_t number)
{
	static struct run run;

	begin(&requests[0], load, random);
	run = (struct run){.request = &requests[0]};
	load->round(&world, &run);
	for (uint32_t i = 0; i < run.ops_count; i++) {
		run.ops[i].answered = true;
		values[i] = number;
		run.ops[i].value = i < count ? (uint8_t *)&values[i] : NULL;
		run.ops[i].result.status = i < count ? ABAFT_OK : ABAFT_NOT_FOUND;
	}
	run.ops_before = run.ops_count;
	run.round = 1;
	return run_fails(&run);
}

static void halves_are_noticed(void **state)
{
	assert_false(reads_fail(&load_shop, 1, 0, 0));
	assert_false(reads_fail(&load_shop, 1, 5, 3));
	assert_true(reads_fail(&load_shop, 1, 4, 3));
	assert_string_equal(rule, "shop: half an order");
	assert_false(reads_fail(&load_bank, 1, 0, 0));
	assert_false(reads_fail(&load_bank, 1, 8, 1000));
	assert_true(reads_fail(&load_bank, 1, 1, 1000));
	assert_string_equal(rule, "bank: half a group");
	assert_true(reads_fail(&load_bank, 1, 8, 1001));
	assert_string_equal(rule, "bank: the sum");
}

/* A reader that finds nothing where a request that ended before it came had written. */
static void a_missing_version_is_noticed(void **state)
{
	static struct run run;
	struct request *reader = &requests[1], *writer = &requests[0];

	*writer = (struct request){.load = &load_slow, .facts = {2, 1}, .committed_us = 100};
	*reader = (struct request){.load = &load_slow, .facts = {0, 0}, .arrived_us = 100};
	run = (struct run){.request = reader};
	for (run.round = 0; run.round < 6; run.round++) {
		assert_true(load_slow.round(&world, &run));
		for (; run.ops_before < run.ops_count; run.ops_before++)
			run.ops[run.ops_before].answered = true;
	}
	writer->committed = true;
	assert_false(run_fails(&run));
	reader->arrived_us = 101;
	run.commits = false;
	assert_true(run_fails(&run));
	assert_string_equal(rule, "slow: a missing version");
	writer->facts[0] = 5; /* other keys than the reader's */
	assert_false(run_fails(&run));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(all_attempts_write_the_same, setup),
		cmocka_unit_test_setup(all_writes_are_of_listed_keys, setup),
		cmocka_unit_test_setup(hot_keys_follow_zipf, setup),
		cmocka_unit_test_setup(halves_are_noticed, setup),
		cmocka_unit_test_setup(a_missing_version_is_noticed, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
