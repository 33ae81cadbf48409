/* SPDX-License-Identifier: Apache-2.0 */
/*
 * index_test.c - players on threads of their own share one index (tests/lib/index_player.h): each
 * key has one player that links and unlinks it, and all look everything up and walk over it.
 *
 * Keys share buckets and overflow buckets, which come and go; what left is overwritten and used
 * again after a grace period, so who still stands on it shows. A player knows exactly what its own
 * keys are.
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "dataplane/core/lock.h"
#include "tests/lib/index_player.h"

#define PLAYERS	     3
#define KEYS	     2046
#define MEMORY_BYTES (64u << 20)

#ifdef LOCK_TSAN
#define STEPS 150000
#else
#define STEPS 3000000
#endif

static void *run(void *arg)
{
	struct player *p = arg;

	while (p->steps < STEPS && player_step(p))
		;
	return NULL;
}

static void players_share_an_index(void **state)
{
	const struct mapper mapper = {0};
	static ck_epoch_t epoch;
	static struct memory memory;
	static struct index index;
	static struct space space;
	static struct player player[PLAYERS];
	pthread_t thread[PLAYERS];
	struct player_key *all;
	uint64_t steps = 0;

	ck_epoch_init(&epoch);
	assert_int_equal(memory_init(&memory, &mapper, MEMORY_BYTES), 0);
	assert_int_equal(index_init(&index, &mapper, KEYS, 1), 0);
	assert_int_equal(space_init(&space, &mapper, 2), 0);
	index.space = &space;
	all = player_names(&index, KEYS);
	for (uint32_t n = 0; n < PLAYERS; n++) {
		player[n] = (struct player){.index = &index,
					    .memory = &memory,
					    .epoch = &epoch,
					    .number = n,
					    .players = PLAYERS,
					    .keys = KEYS,
					    .seed = 1,
					    .all = all};
		player_open(&player[n]);
	}
	for (uint32_t n = 0; n < PLAYERS; n++)
		assert_int_equal(pthread_create(&thread[n], NULL, run, &player[n]), 0);
	for (uint32_t n = 0; n < PLAYERS; n++)
		pthread_join(thread[n], NULL);
	for (uint32_t n = 0; n < PLAYERS; n++) {
		player_close(&player[n]);
		assert_string_equal(player[n].failure, "");
		assert_int_equal(player[n].cache.bytes_used, 0);
		assert_int_equal(player[n].refused_buckets, 0);
		steps += player[n].steps;
	}
	printf("# %llu operations\n", (unsigned long long)steps);
	assert_int_equal(atomic_load(&index.keys), 0);
	assert_int_equal(atomic_load(&index.spares_used), 0);
	assert_int_equal(space_total(&space), 0);
	assert_int_equal(memory.free_span_count, memory.spans_total);
	free(all);
	space_fini(&space, &mapper);
	index_fini(&index, &mapper);
	memory_fini(&memory, &mapper);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(players_share_an_index),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
