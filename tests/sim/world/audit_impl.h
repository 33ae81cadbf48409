/* SPDX-License-Identifier: Apache-2.0 */
/* audit_impl.h - the inside of the audit, shared by audit.c and audit_check.c only. */
#ifndef ABAFT_TESTS_AUDIT_IMPL_H
#define ABAFT_TESTS_AUDIT_IMPL_H

#include "dataplane/log/logdev.h"
#include "tests/lib/telemetry_memory.h"
#include "tests/sim/world/audit.h"
#include "tests/sim/world/world.h"

/* What the audit knows of one worker: what it owned, and what went through its port. */
struct audit_account {
	struct op_counters ops;		 /* results in answers; requests executed */
	uint64_t frames, answers;	 /* of its port */
	uint64_t slow;			 /* of its port: entries that were held against it */
	struct histogram commit_durable; /* what slow entries say these must hold */
	struct histogram durable_ack, arrival, handover, txn_life;
	struct histogram txn_life_least; /* the same, or greater ones */
};

/* Writes of a worker's log, as its disk sees them. */
struct audit_flight {
	uint64_t tag, since_ns;
};

struct audit_disk {
	struct audit *audit;
	struct logdev_ops ops;
	const struct logdev_ops *real;
	struct audit_flight flight[ABAFT_LOG_WRITES_IN_FLIGHT];
	uint32_t in_device;
	struct histogram log_device, log_depth;
};

/* When an id, or an instance of one, was first seen. */
struct audit_id {
	uint64_t key[3]; /* id, instance; 0: the id itself, in requests */
	uint64_t first_ns;
	uint32_t frames; /* of the id */
	bool used;
};

struct audit {
	struct world *world;
	uint32_t workers, workers_max;
	uint64_t now_ns;
	uint64_t slow_ns;
	bool arrivals;		   /* workers are told when frames arrived */
	struct op_counter refused; /* requests refused as a whole, by whichever worker */
	struct audit_id *ids;
	uint32_t ids_used, ids_room;
	struct audit_account *account; /* workers_max of each */
	struct audit_disk *disk;
	struct telemetry_memory *memory;
};

#endif
