/* SPDX-License-Identifier: Apache-2.0 */
/* node_impl.h - the inside of a node, shared by node.c, execute.c, cold.c, commit.c and restore.c
 * only. */
#ifndef ABAFT_CORE_NODE_IMPL_H
#define ABAFT_CORE_NODE_IMPL_H

#include "dataplane/core/fetch.h"
#include "dataplane/core/node.h"
#include "dataplane/core/outcome.h"
#include "dataplane/core/reclaim.h"
#include "dataplane/core/request.h"
#include "dataplane/core/store.h"
#include "dataplane/core/telemetry.h"
#include "dataplane/core/txn.h"

#define NODE_INFO_BYTES 8192

/* Keys that node_ahead() noted: 32 requests of 4 keys. */
#define NODE_AHEAD_MAX 128

struct ahead {
	struct key_id id;
	const struct key *key;
	const struct version *newest;
};

struct node {
	struct store *store;
	struct node_config config;
	struct memory_cache memory;
	struct reclaim reclaim;
	struct txn_table txns;
	uint64_t fresh_bytes_max; /* that fresh transactions may buffer */
	struct outcome_table outcomes;
	struct hlc clock;
	struct node_log log;
	struct fetch_table *fetches;
	struct node_damage damage;
	struct node_counters *counters;
	struct telemetry *telemetry; /* NULL: none */
	struct now now;		     /* of this pass */
	uint64_t era;		     /* of this pass */
	uint64_t next_instance;
	uint64_t flushed_us; /* when its free blocks last went back */
	uint64_t durable;    /* highest sequence number told */
	bool stopping;
	/* Transactions in the log, in its order: pending[first], ... */
	struct txn *pending[ABAFT_COMMITS_PENDING_MAX];
	uint32_t pending_first, pending_count;
	node_info_fn info;
	void *info_arg;
	uint32_t ahead_count;
	struct ahead ahead[NODE_AHEAD_MAX];
	char info_text[NODE_INFO_BYTES];
	struct node_counters own_counters; /* where nobody gave us any */
};

/* commit.c: COMMIT of an OPEN transaction that wrote something, or its ABORT. 0: it is PENDING;
 * else the error to answer, and it is OPEN as before. */
uint16_t commit_append(struct node *node, struct txn *txn);
uint16_t abort_append(struct node *node, struct txn *txn);
/* node.c: ends a transaction that its client did not end, for its age or for others. */
void node_end_early(struct node *node, struct txn *txn, bool displaced);

#endif
