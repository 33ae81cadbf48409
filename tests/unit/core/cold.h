/* SPDX-License-Identifier: Apache-2.0 */
/* cold.h - a bed of two workers and values that are only on disk. Behind cmocka.h. */
#ifndef ABAFT_TESTS_CORE_COLD_H
#define ABAFT_TESTS_CORE_COLD_H

#include <string.h>

#include <abaft/error.h>

#include "tests/lib/node_bed.h"

#define LARGE 1000

static struct bed bed;
static struct log_fake *disk; /* worker 0's */
static const struct node_counters *counters;

static inline int setup(void **state)
{
	(void)state;
	bed_defaults(&bed, 2);
	bed.store_config.memory_bytes = 64u << 20;
	bed.config.txns_max = 8192;
	bed.config.outcomes_max = 8192;
	bed_open(&bed);
	disk = &bed.log[0];
	counters = bed_counters(&bed, 0);
	return 0;
}

static inline int teardown(void **state)
{
	(void)state;
	assert_int_equal(bed.node[0]->fetches->open, 0);
	assert_int_equal(bed.node[0]->fetches->waits_left, ABAFT_FETCH_WAITERS_MAX);
	bed_close(&bed);
	return 0;
}

/* A value that tells its key and its writing. */
static inline const char *value_of(const char *key, char fill)
{
	static char text[LARGE + 1];

	memset(text, fill, LARGE);
	memcpy(text, key, strlen(key));
	return text;
}

static inline void put(const char *key, char fill)
{
	assert_int_equal(bed_put(&bed, 0, key, value_of(key, fill)), ABAFT_OK);
}

/* A large value that is only on disk. */
static inline void put_cold(const char *key, char fill)
{
	put(key, fill);
	bed_cold(&bed, key);
}

static inline void begin(struct packet *p, uint8_t id[16])
{
	bed_id(&bed, 0, id);
	packet_begin(p, id, 0, 0, 0, 0, ABAFT_FLAG_OPEN);
}

static inline void get(struct packet *p, const char *key, uint32_t bytes)
{
	packet_get(p, key, (uint16_t)strlen(key), bytes);
}

/* A transaction of its own that reads the key. */
static inline enum node_verdict send_get(const char *key, struct bed_answer *answer)
{
	struct packet p;
	uint8_t id[16];

	begin(&p, id);
	get(&p, key, 100);
	packet_finish(&p);
	return bed_send(&bed, 0, &p, answer);
}

static inline void assert_value(const struct bed_answer *answer, uint32_t i, const char *key,
				char fill)
{
	struct reply_result r = bed_result(answer, i);

	assert_int_equal(answer->verdict, NODE_ANSWER);
	assert_int_equal(r.status, ABAFT_OK);
	assert_int_equal(r.total, LARGE);
	assert_true(r.data_bytes > 0);
	assert_memory_equal(r.data, value_of(key, fill), r.data_bytes);
}

#endif
