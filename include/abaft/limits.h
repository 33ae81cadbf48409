/* SPDX-License-Identifier: Apache-2.0 */
/*
 * limits.h - every bound of abaft in one place, each with its reason (promise P7).
 *
 * A limit that is reached is answered with ABAFT_BUSY or ABAFT_TOO_LARGE and counted; it never
 * ends in silence or in an out-of-memory kill. Plain enums and macros only: BPF programs, the data
 * plane, the client and the tools all include this file.
 */
#ifndef ABAFT_LIMITS_H
#define ABAFT_LIMITS_H

/* Wire: one UDP payload that fits an IPv6 packet of 1500 bytes (1500 - 40 - 8 = 1452). */
#define ABAFT_PACKET_BYTES_MAX 1440
/* The smallest payload an IPv4 host must accept (576 - 20 - 8 = 548), for tiny paths. */
#define ABAFT_PACKET_BYTES_MIN 512
/* Operations in one packet: their results' heads (32 bytes each) must fit the answer. */
#define ABAFT_OPS_MAX	       40
/* A key must leave room for an operation and a granule of value in the smallest packet. */
#define ABAFT_KEY_BYTES_MAX    1024
#define ABAFT_VALUE_BYTES_MAX  (1u << 20)
/* Value parts start and end on granules, so one bit per granule tells which have arrived. */
#define ABAFT_PART_BYTES       256
#define ABAFT_PARTS_MAX	       (ABAFT_VALUE_BYTES_MAX / ABAFT_PART_BYTES)

/* Transaction: the checks of an atomic read cost reads x writes, so both are kept small. */
#define ABAFT_TXN_READS_MAX	      256
#define ABAFT_TXN_WRITES_MAX	      256
/* Keys and metadata of one transaction. */
#define ABAFT_TXN_META_BYTES_MAX      (64u << 10)
/* Values of one transaction: a record must fit one group of the log. */
#define ABAFT_TXN_VALUE_BYTES_MAX     (3u << 20)
/* Steps (functions of a chain) whose attempts one transaction remembers. */
#define ABAFT_TXN_STEPS_MAX	      32
/* Open transactions of one worker: 64 Ki x 1 KiB of state = 64 MiB. */
#define ABAFT_TXNS_MAX		      (64u << 10)
/* Transactions of which only the first packet has come buffer at most one part in so many of the
 * memory, all workers together; beyond it the oldest of them are ended. */
#define ABAFT_TXNS_FRESH_SHARE	      4
/* Commits of one worker that wait for the log; more are answered with BUSY. */
#define ABAFT_COMMITS_PENDING_MAX     4096
/* A transaction ends this long after its last packet, unless the client asks for less or more. */
#define ABAFT_TXN_DEADLINE_MS_DEFAULT 30000u
#define ABAFT_TXN_DEADLINE_MS_MAX     600000u
/* A transaction older than this stops seeing new commits, so that it pins few versions. */
#define ABAFT_TXN_FREEZE_MS	      1000u
/* Retained versions of one key; bounds the walk of a read. */
#define ABAFT_KEY_VERSIONS_MAX	      (64u << 10)

/*
 * Exactly-once: ids older than the window, or further in the future than the skew, are refused. The
 * skew is short because an outcome that leaves a full table early takes all older ids with it: a
 * client whose clock is ahead must not be able to shut out the others for long.
 */
#define ABAFT_OUTCOME_WINDOW_MS 600000u
#define ABAFT_CLOCK_SKEW_MS	5000u
/* Outcomes one worker remembers; when full the oldest leave and the window shrinks. */
#define ABAFT_OUTCOMES_DEFAULT	(1u << 20)

/* Node. */
#define ABAFT_WORKERS_MAX      64
#define ABAFT_UDP_PORT_DEFAULT 7400 /* worker w listens on this port + w */
#define ABAFT_KEYS_DEFAULT     (1u << 20)

/* Data plane. */
#define ABAFT_BURST	    32
#define ABAFT_HANDOVER_RING 1024 /* ck_ring slots per pair of workers; a ring holds one less */

/* Commit log. */
#define ABAFT_LOG_BLOCK_BYTES		4096u	   /* O_DIRECT alignment */
#define ABAFT_LOG_GROUP_BYTES_MAX	(4u << 20) /* one write; holds the largest record */
#define ABAFT_LOG_SEGMENT_BYTES_DEFAULT (64u << 20)
#define ABAFT_LOG_WRITES_IN_FLIGHT	4
/* Segment numbers of one log in use at a time: from its oldest segment on disk to its newest. */
#define ABAFT_LOG_SEGMENTS_MAX		(1u << 16)
#define ABAFT_LOG_SEGMENT_BYTES_MAX	(1u << 30)
/* The keeper's own log, of what cleaning kept; the workers' logs have the numbers below. */
#define ABAFT_LOG_KEPT			ABAFT_WORKERS_MAX
#define ABAFT_LOGS_MAX			(ABAFT_WORKERS_MAX + 1)
#define ABAFT_CHECKPOINTS_MAX		64 /* files of that name that a data directory may hold */

/* Cold values, each of one worker: read at a time, and requests that wait for one. */
#define ABAFT_FETCHES_MAX	1024
#define ABAFT_FETCH_WAITERS_MAX 4096
/* A request that waits longer is told READ_FAILED. */
#define ABAFT_FETCH_MS_MAX	5000
/* Reads that a worker has given the disk, and the bytes of each: neighbours share one. */
#define ABAFT_READS_IN_FLIGHT	32
#define ABAFT_READ_BYTES_MAX	(128u << 10)
/* A log whose oldest write is in flight for longer says so. */
#define ABAFT_LOG_STALL_MS	1000

#endif
