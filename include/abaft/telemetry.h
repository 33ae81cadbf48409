/* SPDX-License-Identifier: Apache-2.0 */
/*
 * telemetry.h - what a node tells of itself: the names of all counters and histograms, and how they
 * stand in the BPF maps that bpftool, abaft's tools and Prometheus read.
 *
 * The maps are pinned under pin-dir (/sys/fs/bpf/abaft), each under its own name;
 * docs/operations.md lists them. Those that the data plane writes it writes as plain memory; each
 * slot has one writer, its worker, and readers take a value that may be a moment old. Those of BPF
 * programs are written by the kernel's side. Names and units are stable; who reads the maps
 * compares `telemetry_node.layout` first.
 *
 * X(name, text), and for histograms X(name, unit, text). A text that ends with ", now" is that of a
 * gauge, which may fall; all other numbers only grow while the node lives.
 */
#ifndef ABAFT_TELEMETRY_H
#define ABAFT_TELEMETRY_H

#include <abaft/error.h>
#include <abaft/histogram.h>
#include <abaft/limits.h>
#include <linux/types.h>

/* Changes with every change of a layout below. */
#define TELEMETRY_LAYOUT 1

/* clang-format off */

/* Why steer (XDP) did what it did with a packet. The first two are verdicts, the others reasons to
 * leave a packet to the kernel (pass_) or to drop it (drop_). */
#define ABAFT_STEER_COUNTERS(X)                                                                    \
	X(redirected,         "ours, handed to the data plane")                                    \
	X(pass_not_ip,        "neither IPv4 nor IPv6")                                             \
	X(pass_not_udp,       "IP, but not UDP")                                                   \
	X(pass_other_port,    "UDP, but not to a port of ours")                                    \
	X(pass_other_address, "to a port of ours on an address that is not ours")                  \
	X(pass_fragment,      "IP fragment: a request never needs one")                            \
	X(pass_no_socket,     "ours, but no data plane listens on this queue")                     \
	X(drop_short,         "ours, but shorter than its own lengths or than a header")           \
	X(drop_magic,         "ours, but without our magic")                                       \
	X(drop_version,       "ours, of a version we do not speak")                                \
	X(drop_kind,          "ours, but not a request")                                           \
	X(drop_length,        "ours, but its length field contradicts UDP's")

/* What a worker's packet path saw. */
#define ABAFT_WORKER_COUNTERS(X)                                                                   \
	X(frames,             "frames received from the port")                                     \
	X(requests,           "requests for this worker, handed over or not")                      \
	X(answers,            "answers sent")                                                      \
	X(handed_over,        "requests that another worker owned, handed over")                   \
	X(handover_full,      "requests answered BUSY because the hand-over ring was full")        \
	X(drop_not_ours,      "frames that are not abaft's")                                       \
	X(drop_frame,         "frames cut short, contradictory, or without room to answer")        \
	X(drop_checksum,      "frames with a wrong checksum")                                      \
	X(arp,                "ARP requests answered")                                             \
	X(nd,                 "neighbour solicitations answered")                                  \
	X(echo,               "pings answered")                                                    \
	X(passes,             "passes of the worker loop")                                         \
	X(sleeps,             "times the worker slept")

/* What a worker's transaction core saw. */
#define ABAFT_NODE_COUNTERS(X)                                                                     \
	X(gets,               "keys read")                                                         \
	X(get_parts,          "parts of values read")                                              \
	X(puts,               "values written")                                                    \
	X(put_parts,          "parts of values written")                                           \
	X(deletes,            "keys deleted")                                                      \
	X(commits,            "commits acknowledged that wrote something")                         \
	X(commits_read_only,  "commits acknowledged that wrote nothing")                           \
	X(aborts,             "transactions aborted by their client")                              \
	X(repeats,            "commits and aborts answered from a remembered outcome")             \
	X(expired,            "transactions ended by their deadline")                              \
	X(displaced,          "fresh transactions ended for others: never came back")              \
	X(opened,             "transactions begun")                                                \
	X(infos,              "INFO requests")                                                     \
	X(statuses,           "STATUS requests")                                                   \
	X(attempts_replaced,  "attempts of a step replaced by a later one")                        \
	X(refused_short,      "requests shorter than their header or lengths")                     \
	X(refused_magic,      "requests without our magic")                                        \
	X(refused_version,    "requests of another version")                                       \
	X(refused_kind,       "requests of another kind")                                          \
	X(refused_flags,      "requests with unknown flags")                                       \
	X(refused_length,     "requests whose length field is wrong")                              \
	X(refused_ops,        "requests with no operation, too many or some that overrun")         \
	X(refused_id,         "requests whose id is no UUIDv7")                                    \
	X(refused_key,        "operations with a bad key length")                                  \
	X(refused_range,      "operations with a bad total, offset or length")                     \
	X(refused_op,         "operations unknown")                                                \
	X(refused_tenant,     "requests with a tenant or authenticator, not supported yet")        \
	X(refused_skew,       "ids from the future")                                               \
	X(refused_expired,    "ids older than the outcomes kept")                                  \
	X(refused_unknown,    "operations on transactions not held here")                          \
	X(refused_stale,      "operations of a replaced attempt")                                  \
	X(refused_too_large,  "operations over a size limit")                                      \
	X(refused_incomplete, "commits with parts missing")                                        \
	X(refused_ended,      "operations on transactions that had ended")                         \
	X(busy_txns,          "BUSY: open transactions")                                           \
	X(busy_reads,         "TOO_LARGE: keys read by one transaction")                           \
	X(busy_writes,        "TOO_LARGE: keys written by one transaction")                        \
	X(busy_commits,       "BUSY: commits waiting for the log")                                 \
	X(busy_log,           "BUSY: no room in the log's groups")                                 \
	X(busy_versions,      "BUSY: versions of one key")                                         \
	X(busy_memory,        "NO_SPACE: memory")                                                  \
	X(busy_keys,          "NO_SPACE: keys in the index")                                       \
	X(busy_log_space,     "NO_SPACE: log")                                                     \
	X(log_failed,         "commits refused because the log failed")                            \
	X(fetch_waits,        "requests that waited for values on disk")                           \
	X(fetches,            "values read from disk")                                             \
	X(fetches_joined,     "values waited for that another request had asked for")              \
	X(fetches_again,      "values read once more: moved meanwhile, or damaged")                \
	X(fetches_failed,     "values that the disk did not give back")                            \
	X(fetches_corrupt,    "values whose bytes on disk are damaged")                            \
	X(fetch_timeouts,     "requests that waited too long for the disk")                        \
	X(busy_fetches,       "BUSY: values being read, and requests that wait for them")          \
	X(busy_fetch_memory,  "BUSY: memory for values to be read")                                \
	X(versions_freed,     "versions reclaimed")                                                \
	X(cache_values,       "large values in memory that this worker brought in, now")           \
	X(cache_bytes,        "memory that they take, now")                                        \
	X(cache_hits,         "large values read that were in memory")                             \
	X(cache_misses,       "large values read that were on disk only")                          \
	X(cache_evictions,    "large values that left memory and stay on disk")                    \
	X(versions_held,      "versions that a frozen transaction holds back, now")                \
	X(txns_frozen,        "transactions frozen for their age")                                 \
	X(txns_open,          "transactions open, now")                                            \
	X(outcomes,           "outcomes remembered, now")                                          \
	X(outcomes_evicted,   "outcomes that left before the window's end")

/* What a worker's log has written and read. */
#define ABAFT_LOG_COUNTERS(X)                                                                      \
	X(records,            "records appended")                                                  \
	X(record_bytes,       "their bytes")                                                       \
	X(groups,             "groups given to the disk")                                          \
	X(group_bytes,        "their bytes")                                                       \
	X(segments,           "segments on disk, now")                                             \
	X(recycled,           "segments made of freed ones")                                       \
	X(reads,              "values asked for")                                                  \
	X(read_bytes,         "their bytes")                                                       \
	X(device_reads,       "reads given to the disk")                                           \
	X(read_errors,        "of these, failed")                                                  \
	X(stalled_us,         "how long the oldest write is in flight, if too long, now")          \
	X(error,              "errno after which nothing more becomes durable, now")               \
	X(no_room,            "errno for which no segment can be made, now")

/* What was asked of the storage engine, and how it is. */
#define ABAFT_ENGINE_COUNTERS(X)                                                                   \
	X(gets,               "objects asked for")                                                 \
	X(puts,               "objects written")                                                   \
	X(deletes,            "objects removed")                                                   \
	X(lists,              "listings")                                                          \
	X(get_bytes,          "bytes that came")                                                   \
	X(put_bytes,          "bytes that were written")                                           \
	X(round_trips,        "requests to the storage, tries included")                           \
	X(retries,            "tries after the first")                                             \
	X(throttled,          "answers that the storage is asked too much")                        \
	X(timeouts,           "tries that took too long")                                          \
	X(unreachable,        "tries that found no connection, or lost it")                        \
	X(denied,             "answers that credentials or rights are wrong")                      \
	X(full,               "answers that the storage is full")                                  \
	X(broken,             "answers that break the protocol")                                   \
	X(refused,            "operations refused because a queue was full")                       \
	X(failed,             "operations that ended in an error")
#define ABAFT_ENGINE_STATES(X)                                                                     \
	X(open,               "operations that have not ended, now")                               \
	X(failing_us,         "for so long no try to put, or of all else, has succeeded, now")     \
	X(error,              "errno of the last try that failed, while they do, now")             \
	X(lag_bytes,          "bytes of the logs that are on the disk and not there yet, now")

/* What the results of operations are counted by. `packet`: requests as a whole; its errors are
 * those of requests that were refused before their first operation. */
#define ABAFT_OPS(X)                                                                               \
	X(packet,             "requests")                                                          \
	X(get,                "GET")                                                               \
	X(put,                "PUT")                                                               \
	X(delete,             "DELETE")                                                            \
	X(put_part,           "PUT_PART")                                                          \
	X(get_part,           "GET_PART")                                                          \
	X(commit,             "COMMIT")                                                            \
	X(abort,              "ABORT")                                                             \
	X(status,             "STATUS")                                                            \
	X(info,               "INFO")

/* Of each worker. */
#define ABAFT_HISTOGRAMS(X)                                                                        \
	X(arrival,        "ns",      "from the XDP program to the request's execution")            \
	X(handover,       "ns",      "from the worker that received to the one that owns")         \
	X(service,        "ns",      "execution of a request: its share of a burst, no waits")     \
	X(txn_life,       "ns",      "from a transaction's first packet to its end")               \
	X(commit_durable, "ns",      "from a commit's execution to its durability")                \
	X(durable_ack,    "ns",      "from durability to the acknowledgement's way out")           \
	X(log_device,     "ns",      "a group's write and sync")                                   \
	X(log_group,      "records", "records of a group: the group commit's batches")             \
	X(log_depth,      "groups",  "groups with the disk when one more is given to it")          \
	X(engine_call,    "ns",      "a value's way from the storage engine")                      \
	X(reclaim_lag,    "ns",      "from a version's end to its memory's return, in ms steps")

/* Of each worker, written by BPF programs on the kernel's side; each map is there if its program
 * runs (control/watchers.h). With `dsync` a write and its sync are one in uring_write. */
#define ABAFT_KERNEL_HISTOGRAMS(X)                                                                 \
	X(uring_write,    "ns",      "io_uring, submit to complete: the commit log's writes")      \
	X(uring_sync,     "ns",      "io_uring, from a write's end to its sync's end")             \
	X(uring_read,     "ns",      "io_uring, submit to complete: reads of values")              \
	X(block_write,    "ns",      "block device, issue to complete: the commit log's writes")   \
	X(block_flush,    "ns",      "block device, from being asked: its cache flushes")          \
	X(block_read,     "ns",      "block device, issue to complete: reads of values")           \
	X(run_delay,      "ns",      "a worker's thread: from wake-up to running")                 \
	X(preempted,      "ns",      "a worker's thread: kept from running by another")

/* Softirqs in the kernel's order. */
#define ABAFT_SOFTIRQS(X)                                                                          \
	X(hi) X(timer) X(net_tx) X(net_rx) X(block) X(irq_poll) X(tasklet) X(sched) X(hrtimer)     \
	X(rcu)

/* Phases of a slow transaction's last request, in their order, in nanoseconds. */
#define ABAFT_PHASES(X)                                                                            \
	X(open,       "since the transaction's first packet, before this request came")            \
	X(arrival,    "from the XDP program (or the port) to execution, hand-over included")       \
	X(fetch,      "waiting for values on disk")                                                \
	X(service,    "execution")                                                                 \
	X(log_wait,   "in the log, before its group went to the disk")                             \
	X(device,     "the group's write and sync")                                                \
	X(publish,    "from durability to the answer being made")                                  \
	X(reply,      "from there to the port")
/* clang-format on */

#define TELEMETRY_FIELD(name, text)	       __u64 name;
#define TELEMETRY_UNIT_FIELD(name, unit, text) __u64 name;
struct steer_counters {
	ABAFT_STEER_COUNTERS(TELEMETRY_FIELD)
};
/* Bytes of frames, by the same reasons. */
struct steer_bytes {
	ABAFT_STEER_COUNTERS(TELEMETRY_FIELD)
};
struct worker_counters {
	ABAFT_WORKER_COUNTERS(TELEMETRY_FIELD)
} __attribute__((aligned(64)));
struct node_counters {
	ABAFT_NODE_COUNTERS(TELEMETRY_FIELD)
} __attribute__((aligned(64)));
struct log_counters {
	ABAFT_LOG_COUNTERS(TELEMETRY_FIELD)
} __attribute__((aligned(64)));

/* Map `engine`, one entry; there if the node has a storage engine. */
struct telemetry_engine {
	ABAFT_ENGINE_COUNTERS(TELEMETRY_FIELD)
	ABAFT_ENGINE_STATES(TELEMETRY_FIELD)
	char name[16]; /* its kind: redis, s3, … */
} __attribute__((aligned(64)));

/* By wire status from 1 on; OK is what is left of `count`. */
struct op_errors {
#define TELEMETRY_STATUS(name, code, retry, text) __u64 name;
	ABAFT_NODE_ERRORS(TELEMETRY_STATUS)
#undef TELEMETRY_STATUS
};
struct op_counter {
	__u64 count;
	__u64 bytes; /* of values, and of requests */
	struct op_errors errors;
};
struct op_counters {
#define TELEMETRY_OP(name, text) struct op_counter name;
	ABAFT_OPS(TELEMETRY_OP)
#undef TELEMETRY_OP
} __attribute__((aligned(64)));

/* Quantiles are off by at most 1/64 (1.6 %). */
#define HISTOGRAM_BITS	     5
#define HISTOGRAM_RANGE_BITS 36 /* 68.7 s in ns */
#define HISTOGRAM_SIZE	     HISTOGRAM_BUCKETS(HISTOGRAM_BITS, HISTOGRAM_RANGE_BITS)
struct histogram {
	__u64 count;
	__u64 sum;
	__u64 max;
	__u64 bucket[HISTOGRAM_SIZE]; /* bucket i: see histogram_low() */
} __attribute__((aligned(64)));

enum histogram_name {
#define TELEMETRY_HISTOGRAM(name, unit, text) HISTOGRAM_##name,
	ABAFT_HISTOGRAMS(TELEMETRY_HISTOGRAM) HISTOGRAM_COUNT
};
enum kernel_histogram_name {
	ABAFT_KERNEL_HISTOGRAMS(TELEMETRY_HISTOGRAM) HISTOGRAM_KERNEL_COUNT
#undef TELEMETRY_HISTOGRAM
};

/* Who writes the maps. Map `node`, one entry. */
struct telemetry_node {
	__u32 layout; /* TELEMETRY_LAYOUT of the writer */
	__u32 pid;
	__u64 pid_start; /* its start time, field 22 of /proc/PID/stat: the pid may be another's */
	__u64 started_unix_us;
	__u32 node;
	__u32 workers;
	__u32 udp_port;
	__u32 reserved;
	char version[16];
	char port[64];
	char data_dir[128];
};

/* Map `worker_threads`: thread id to this. */
struct worker_thread {
	__u32 worker;
	__s32 cpu; /* it is pinned to; -1: to none */
};

struct softirq_stat {
	__u64 count;
	__u64 ns;
};
/* Map `softirqs`: of a CPU on which workers may run. */
struct softirqs {
#define TELEMETRY_SOFTIRQ(name) struct softirq_stat name;
	ABAFT_SOFTIRQS(TELEMETRY_SOFTIRQ)
#undef TELEMETRY_SOFTIRQ
};

/* Map `thieves`: who ran on a worker's CPU while it wanted to. */
struct thief_key {
	__u32 worker;
	__u32 pid; /* thread id; 0: interrupts and the idle thread */
};
struct thief {
	char comm[16];
	__u64 count;
	__u64 ns;
};

/* Map `steer_tenants`: by the header's tenant; of frames handed to the data plane. */
struct tenant_counter {
	__u64 packets;
	__u64 bytes;
};

/* Map `udp_drops` on client hosts: by the kernel's reason (enum skb_drop_reason), whose numbers
 * change from kernel to kernel. */
struct udp_drop {
	__u64 packets;
	__u64 bytes; /* of UDP payload */
};

/* A slow transaction. */
struct slow_txn {
	__u64 sequence; /* 1 for the first of this worker's; 0: being written */
	__u64 unix_us;	/* when it was acknowledged */
	__u8 id[16];
	__u32 worker; /* that owns it */
	__u16 step;
	__u16 attempt;
	__u16 ops; /* of its last request */
	__u16 status;
	__u32 request_bytes;
	__u32 answer_bytes;
	__u8 ended; /* 1: this request ended it; 0: it went on */
	__u8 reserved[3];
	struct slow_phases {
		ABAFT_PHASES(TELEMETRY_FIELD)
	} phase_ns;
};
/* Map `slow_txns`: of each worker the last ones; entry sequence % SLOW_TXNS. A reader copies an
 * entry and takes it if its sequence was the one wanted before and after. */
#define SLOW_TXNS 256
struct slow_txns {
	__u64 written; /* sequence of the newest */
	__u64 threshold_ns;
	__u64 reserved[6];
	struct slow_txn entry[SLOW_TXNS];
} __attribute__((aligned(64)));
#undef TELEMETRY_FIELD
#undef TELEMETRY_UNIT_FIELD

/*
 * What the XDP program puts in front of a frame (XDP metadata) for the worker. Nobody on the
 * network can write there.
 */
#define STEER_META_MAGIC 0x61426674u
struct steer_meta {
	__u64 arrival_ns; /* CLOCK_MONOTONIC */
	__u32 magic;
	__u32 reserved;
};

/* The same number so many times. One writer: the owner of the histogram. */
HISTOGRAM_INLINE void histogram_add_times(struct histogram *histogram, __u64 number, __u64 times)
{
	__u32 bucket = histogram_bucket(number, HISTOGRAM_BITS, HISTOGRAM_RANGE_BITS);

#ifdef __bpf__
	if (bucket >= HISTOGRAM_SIZE) /* for the verifier */
		return;
#endif
	histogram->bucket[bucket] += times;
	histogram->count += times;
	histogram->sum += number * times;
	if (number > histogram->max)
		histogram->max = number;
}

HISTOGRAM_INLINE void histogram_add(struct histogram *histogram, __u64 number)
{
	histogram_add_times(histogram, number, 1);
}

#ifdef __bpf__
/* Several CPUs may write at a time. */
HISTOGRAM_INLINE void histogram_add_shared(struct histogram *histogram, __u64 number)
{
	__u32 bucket = histogram_bucket(number, HISTOGRAM_BITS, HISTOGRAM_RANGE_BITS);

	if (bucket < HISTOGRAM_SIZE) /* for the verifier */
		__sync_fetch_and_add(&histogram->bucket[bucket], 1);
	__sync_fetch_and_add(&histogram->count, 1);
	__sync_fetch_and_add(&histogram->sum, number);
	if (number > histogram->max) /* may lose against another CPU's, which is as great */
		histogram->max = number;
}
#endif

#endif
