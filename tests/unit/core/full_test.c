/* SPDX-License-Identifier: Apache-2.0 */
/* full_test.c - a store without memory: refuses, goes on reading, and can be emptied (P7). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <abaft/error.h>

#include "tests/lib/node_bed.h"

#define KEYS_MAX 40000

static struct bed bed;

static int setup(void **state)
{
	(void)state;
	bed_defaults(&bed, 1);
	bed.store_config.keys_max = KEYS_MAX;
	bed.config.outcomes_max = 1u << 18;
	bed.unread = true;
	bed_open(&bed);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	bed_close(&bed);
	return 0;
}

static uint16_t put(uint32_t i)
{
	static const uint8_t value[1000];
	struct bed_answer answer;
	struct packet p;
	uint8_t id[16];
	char key[16];

	snprintf(key, sizeof(key), "key-%u", i);
	bed_id(&bed, 0, id);
	packet_begin(&p, id, 0, 0, 0, 0, ABAFT_FLAG_OPEN);
	packet_put(&p, key, (uint16_t)strlen(key), value, sizeof(value));
	packet_commit(&p);
	packet_finish(&p);
	bed_run(&bed, 0, &p, &answer);
	return bed_status(&answer, 0) ? bed_status(&answer, 0) : bed_status(&answer, 1);
}

static void a_full_store_can_be_emptied(void **state)
{
	uint16_t status = ABAFT_OK;
	char key[16], text[2000];
	uint32_t n = 0;

	(void)state;
	while (n < KEYS_MAX && (status = put(n)) == ABAFT_OK)
		n++;
	assert_int_equal(status, ABAFT_NO_SPACE);
	assert_in_range(n, 1000, KEYS_MAX - 1);
	bed_ticks(&bed, 10);
	assert_int_equal(put(n), ABAFT_NO_SPACE);
	bed_get(&bed, 0, "key-0", text, sizeof(text));
	for (uint32_t i = 0; i < n / 2; i++) {
		snprintf(key, sizeof(key), "key-%u", i);
		assert_int_equal(bed_put(&bed, 0, key, NULL), ABAFT_OK);
	}
	bed_advance_us(&bed, 60000000);
	bed_ticks(&bed, 400);
	for (uint32_t i = 0; i < n / 4; i++)
		assert_int_equal(put(KEYS_MAX + i), ABAFT_OK);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_full_store_can_be_emptied, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
