/* SPDX-License-Identifier: Apache-2.0 */
/*
 * telemetry.h - the names of all counters, shared by the data plane, BPF programs and tools.
 *
 * X(name, text). One writer each; readers take a value that may be a moment old.
 */
#ifndef ABAFT_TELEMETRY_H
#define ABAFT_TELEMETRY_H

#include <linux/types.h>

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
/* clang-format on */

#define ABAFT_COUNTER_FIELD(name, text) __u64 name;
struct steer_counters {
	ABAFT_STEER_COUNTERS(ABAFT_COUNTER_FIELD)
};
struct worker_counters {
	ABAFT_WORKER_COUNTERS(ABAFT_COUNTER_FIELD)
};
struct node_counters {
	ABAFT_NODE_COUNTERS(ABAFT_COUNTER_FIELD)
};
#undef ABAFT_COUNTER_FIELD

#endif
