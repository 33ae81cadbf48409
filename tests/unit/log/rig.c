/* SPDX-License-Identifier: Apache-2.0 */
/* rig.c - see rig.h. */
#include "tests/unit/log/rig.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "dataplane/log/shelf.h"

/* A record's length is in its seed: the low half. */
static uint64_t seed_of(struct rig *rig, uint32_t bytes)
{
	return sim_random(&rig->random, UINT32_MAX) << 32 | bytes;
}

static uint8_t type_of(uint64_t seed)
{
	return (uint8_t)(seed >> 40);
}

static void fill(uint8_t *at, uint64_t seed)
{
	uint32_t bytes = (uint32_t)seed;

	for (uint32_t i = 0; i < bytes; i += 8) {
		uint64_t word = sim_random(&seed, UINT64_MAX);

		memcpy(at + i, &word, bytes - i < 8 ? bytes - i : 8);
	}
}

void rig_begin(struct rig *rig, uint64_t seed)
{
	memset(rig, 0, sizeof(*rig));
	rig->disk = sim_disk_create(seed);
	rig->random = ~seed;
	rig->config.segment_bytes = RIG_SEGMENT_BYTES;
	rig->config.segments_ahead = 1;
	rig->config.sync = true;
	rig->config.number = 3;
	memset(rig->config.node_id, 0x5a, sizeof(rig->config.node_id));
	rig->bytes_max = 9000;
	rig->now = (struct now){.wall_us = RIG_WALL_US, .mono_us = 5};
}

void rig_end(struct rig *rig)
{
	if (rig->log)
		rig_close(rig);
	log_tail_free(rig->tail);
	rig->tail = NULL;
	if (rig->config.shelf)
		shelf_destroy(rig->config.shelf);
	sim_disk_destroy(rig->disk);
}

static int on_group(void *arg, const struct group_header *header, uint64_t offset)
{
	struct rig *rig = arg;

	if (rig->groups_count == RIG_GROUPS_MAX)
		return -E2BIG;
	rig->groups[rig->groups_count++] = (struct rig_group){
		.offset = offset,
		.sequence = header->sequence,
		.durable = header->durable,
		.segment = header->segment,
		.bytes = LOG_GROUP_HEADER_BYTES + header->payload_bytes,
		.records = header->records,
		.record_last = header->record_first + header->records - 1,
		.crc = header->header_crc,
		.incarnation = header->incarnation,
		.flags = header->flags,
	};
	return 0;
}

static int on_record(void *arg, uint64_t sequence, uint8_t type, uint64_t place,
		     const uint8_t *data, uint32_t bytes)
{
	static uint8_t expected[LOG_RECORD_BYTES_MAX + 8];
	struct rig *rig = arg;
	uint64_t seed;

	rig->recovered++;
	if (sequence != rig->recovered || sequence > rig->appended) {
		rig->mismatch = true;
		return 0;
	}
	seed = rig->seeds[sequence - 1];
	if (type != type_of(seed) || bytes != (uint32_t)seed) {
		rig->mismatch = true;
		return 0;
	}
	fill(expected, seed);
	if (memcmp(data, expected, bytes))
		rig->mismatch = true;
	return 0;
}

void rig_mark(const struct rig_group *group, struct log_mark *out)
{
	*out = (struct log_mark){
		.group = group->sequence,
		.record = group->record_last,
		.offset = group->offset + format_blocks_up(group->bytes),
		.segment = group->segment,
		.previous_crc = group->crc,
		.incarnation = group->incarnation,
	};
}

int rig_recover(struct rig *rig)
{
	const struct recover_visitor visitor = {rig, on_group, on_record};

	rig->recovered = rig->mark ? rig->mark->record : 0;
	rig->groups_count = 0;
	rig->mismatch = false;
	rig->why[0] = '\0';
	log_tail_free(rig->tail);
	return recover_scan(sim_disk_logdev(rig->disk), &rig->config, rig->mark, &visitor,
			    &rig->tail, rig->why, sizeof(rig->why));
}

void rig_open(struct rig *rig)
{
	int error = rig_recover(rig);

	if (error && error != -ENOENT)
		fail_msg("recovery: %s", rig->why);
	assert_false(rig->mismatch);
	assert_true(rig->recovered >= rig->acknowledged);
	rig->appended = rig->recovered;
	rig->acknowledged = rig->recovered;
	if (log_open_on(&rig->log, sim_disk_logdev(rig->disk), &rig->config, rig->tail, rig->why,
			sizeof(rig->why)))
		fail_msg("open: %s", rig->why);
	assert_int_equal(log_durable(rig->log), rig->recovered);
}

void rig_close(struct rig *rig)
{
	log_close(rig->log);
	rig->log = NULL;
}

bool rig_append(struct rig *rig, uint32_t bytes)
{
	uint64_t seed = seed_of(rig, bytes);
	uint8_t *at = log_reserve(rig->log, bytes);

	if (!at)
		return false;
	assert_true(rig->appended < RIG_RECORDS_MAX);
	assert_int_equal((uintptr_t)at % 8, 0);
	fill(at, seed);
	rig->seeds[rig->appended++] = seed;
	assert_int_equal(log_append(rig->log, bytes, type_of(seed)), rig->appended);
	return true;
}

void rig_submit(struct rig *rig)
{
	rig->now.wall_us += 1000;
	rig->now.mono_us += 1000;
	log_submit(rig->log, rig->now);
}

void rig_pass(struct rig *rig)
{
	uint64_t durable;

	rig_submit(rig);
	durable = log_poll(rig->log);
	assert_int_equal(durable, log_durable(rig->log));
	assert_true(durable >= rig->acknowledged && durable <= rig->appended);
	rig->acknowledged = durable;
}

void rig_work(struct rig *rig, uint32_t passes)
{
	while (passes--) {
		uint64_t records = sim_random(&rig->random, 4);

		while (records--) {
			uint64_t limit = sim_random(&rig->random, 8) ? 300 : rig->bytes_max;

			rig_append(rig, (uint32_t)sim_random(&rig->random, limit + 1));
		}
		rig_pass(rig);
	}
}

void rig_drain(struct rig *rig)
{
	for (uint32_t i = 0; log_busy(rig->log); i++) {
		assert_true(i < 1000);
		rig_pass(rig);
	}
}
