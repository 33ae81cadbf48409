/* SPDX-License-Identifier: Apache-2.0 */
/* keeper_test.c - the keeper on its own thread beside a worker: posts, the store, its statistics.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/lib/keeper_bed.h"

static struct keeper_bed bed;

/* Commits go on while the keeper's thread writes a checkpoint; a restart finds both. */
static void checkpoints_beside_a_worker(void **state)
{
	struct keeper_stats stats = {0};

	keeper_bed_begin(&bed, 1, 1);
	bed.config.use_percent = 0; /* the simulated disks are one thread's each */
	assert_int_equal(keeper_bed_open(&bed), 0);
	bed.threaded = true;
	assert_int_equal(keeper_start(bed.keeper), 0);
	keeper_ask_checkpoint(bed.keeper);
	for (uint32_t i = 0; i < 20000 && stats.checkpoints == 0; i++) {
		(void)keeper_bed_commit_any(&bed, 0, 0);
		keeper_bed_pass(&bed);
		usleep(500);
		keeper_bed_stats(&bed, &stats);
	}
	keeper_stop(bed.keeper);
	assert_true(stats.checkpoints > 0);
	assert_true(keeper_bed_drain(&bed));
	keeper_bed_power_cut(&bed);
	bed.threaded = false;
	assert_int_equal(keeper_bed_open(&bed), 0);
	assert_int_equal(keeper_bed_wrong(&bed), 0);
	keeper_bed_end(&bed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(checkpoints_beside_a_worker),
	};

	return cmocka_run_group_tests_name("keeper_threads", tests, NULL, NULL);
}
