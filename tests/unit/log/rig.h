/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rig.h - a log over the simulated disk and the model of what must be in it.
 *
 * The model is a list of seeds: record k's type, length and bytes follow from seed k. Recovery is
 * checked against it record by record.
 */
#ifndef ABAFT_TESTS_RIG_H
#define ABAFT_TESTS_RIG_H

#include <stdbool.h>
#include <stdint.h>

#include "dataplane/log/log.h"
#include "dataplane/log/recover.h"
#include "tests/lib/logdev_sim.h"

#define RIG_RECORDS_MAX	  8192
#define RIG_GROUPS_MAX	  4096
#define RIG_SEGMENT_BYTES (256u << 10)
#define RIG_WALL_US	  UINT64_C(1700000000000000)

struct rig_group {
	uint64_t offset;
	uint64_t sequence;
	uint64_t durable;
	uint32_t segment;
	uint32_t bytes; /* header and payload */
	uint32_t records;
	uint64_t record_last;
	uint32_t crc;
	uint32_t incarnation;
	uint32_t flags;
};

struct rig {
	struct sim_disk *disk;
	struct log *log;
	struct log_config config;
	struct log_tail *tail;	     /* of the last recovery; NULL: it failed */
	const struct log_mark *mark; /* recoveries begin here; NULL: at the beginning */
	struct now now;		     /* 1 ms for each pass */
	uint64_t random;
	uint64_t seeds[RIG_RECORDS_MAX]; /* of record 1, 2, ... that were appended */
	uint64_t appended;
	uint64_t acknowledged;
	uint64_t recovered; /* by the last recovery */
	uint32_t bytes_max; /* of a record */
	bool mismatch;
	struct rig_group groups[RIG_GROUPS_MAX];
	uint32_t groups_count;
	char why[512];
};

void rig_begin(struct rig *rig, uint64_t seed);
void rig_end(struct rig *rig);
/* The mark behind the group of the last recovery. */
void rig_mark(const struct rig_group *group, struct log_mark *out);
/* Recovers; checks each record against the model. The result of recover_scan(). */
int rig_recover(struct rig *rig);
/* Recovers (if there is a log), asserts that all acknowledged records and nothing else is there,
 * forgets those that were lost, and opens. */
void rig_open(struct rig *rig);
void rig_close(struct rig *rig);
/* Appends one record of `bytes`; false: BUSY. */
bool rig_append(struct rig *rig, uint32_t bytes);
/* log_submit(), a millisecond after the last one. */
void rig_submit(struct rig *rig);
/* One pass of a worker: submit, poll, check that what is durable is in order. */
void rig_pass(struct rig *rig);
/* Random appends and passes. */
void rig_work(struct rig *rig, uint32_t passes);
/* Passes until all is durable. */
void rig_drain(struct rig *rig);

#endif
