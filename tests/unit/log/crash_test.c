/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Crashes at every moment over the simulated disk: what was acknowledged is there after each
 * restart, nothing after a hole is, and nothing is invented (rig_open asserts it).
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/log/rig.h"

#define SEEDS 1500

static struct rig rig;

static void crash(void)
{
	if (sim_random(&rig.random, 3))
		sim_disk_power_cut(rig.disk);
	else
		sim_disk_kill(rig.disk);
	rig_close(&rig);
}

/* Several runs one after another, each ended by a crash or in good order. */
static void crashes_lose_nothing(void **state)
{
	uint64_t lost = 0, kept = 0;

	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		rig_begin(&rig, seed);
		for (uint32_t run = 0; run < 5; run++) {
			rig_open(&rig);
			rig_work(&rig, (uint32_t)sim_random(&rig.random, 40));
			if (sim_random(&rig.random, 4)) {
				crash();
			} else {
				rig_close(&rig);
				rig.acknowledged = rig.appended;
			}
			assert_int_equal(rig_recover(&rig), 0);
			lost += rig.appended - rig.recovered;
			kept += rig.recovered - rig.acknowledged;
		}
		rig_end(&rig);
	}
	/* Else the crashes tested nothing. */
	assert_true(lost > SEEDS && kept > SEEDS);
}

/* The same work cut after each of its passes. */
static void every_pass_may_be_the_last(void **state)
{
	for (uint64_t seed = 1; seed <= 8; seed++)
		for (uint32_t passes = 0; passes < 60; passes++) {
			rig_begin(&rig, seed);
			rig_open(&rig);
			rig_work(&rig, passes);
			sim_disk_power_cut(rig.disk);
			rig_close(&rig);
			rig_open(&rig);
			rig_work(&rig, 5);
			sim_disk_power_cut(rig.disk);
			rig_close(&rig);
			rig_open(&rig);
			rig_end(&rig);
		}
}

/* What recovery handed over after a kill survives a power cut right behind it. */
static void recovered_means_durable(void **state)
{
	uint64_t beyond = 0;

	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		uint64_t recovered;

		rig_begin(&rig, seed);
		rig_open(&rig);
		rig_work(&rig, (uint32_t)sim_random(&rig.random, 40));
		sim_disk_kill(rig.disk);
		rig_close(&rig);
		assert_int_equal(rig_recover(&rig), 0);
		recovered = rig.recovered;
		beyond += recovered - rig.acknowledged;
		sim_disk_power_cut(rig.disk);
		assert_int_equal(rig_recover(&rig), 0);
		assert_int_equal(rig.recovered, recovered);
		rig_end(&rig);
	}
	assert_true(beyond > SEEDS);
}

static int stop_at(void *arg, uint64_t sequence, uint8_t type, uint64_t place, const uint8_t *data,
		   uint32_t bytes)
{
	return sequence >= *(uint64_t *)arg ? -ECANCELED : 0;

	(void)place;
}

/* Recovery itself is cut short, once by its caller, then by the power. */
static void recovery_may_crash(void **state)
{
	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		uint64_t stop;
		const struct recover_visitor visitor = {&stop, NULL, stop_at};
		int error;

		rig_begin(&rig, seed);
		rig_open(&rig);
		rig_work(&rig, (uint32_t)sim_random(&rig.random, 30));
		sim_disk_kill(rig.disk);
		rig_close(&rig);
		stop = 1 + sim_random(&rig.random, rig.appended + 1);
		log_tail_free(rig.tail);
		error = recover_scan(sim_disk_logdev(rig.disk), &rig.config, NULL, &visitor,
				     &rig.tail, rig.why, sizeof(rig.why));
		assert_true(error == 0 || error == -ECANCELED);
		sim_disk_power_cut(rig.disk);
		rig_open(&rig);
		rig_work(&rig, 10);
		rig_end(&rig);
	}
}

/* Groups that were in flight beyond a torn one stay behind the end of the next run. */
static void stale_groups_are_never_accepted(void **state)
{
	uint64_t stale = 0;

	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		rig_begin(&rig, seed);
		for (uint32_t run = 0; run < 4; run++) {
			rig_open(&rig);
			stale += rig.tail && rig.tail->incarnation_max > rig.tail->incarnation;
			for (uint32_t i = 0; i < 4; i++) {
				rig_append(&rig, 200);
				rig_pass(&rig);
			}
			sim_disk_power_cut(rig.disk);
			rig_close(&rig);
		}
		rig_end(&rig);
	}
	assert_true(stale > SEEDS / 100);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(crashes_lose_nothing),
		cmocka_unit_test(every_pass_may_be_the_last),
		cmocka_unit_test(recovered_means_durable),
		cmocka_unit_test(recovery_may_crash),
		cmocka_unit_test(stale_groups_are_never_accepted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
