/* SPDX-License-Identifier: Apache-2.0 */
/*
 * scrape.h - a node's pinned maps, read into one snapshot: counters, histograms, what BPF programs
 * saw, slow transactions.
 *
 * Called by abaftd for Prometheus, and by the commands that look at a node of this host. Touches
 * the maps under one folder, read only, and never the node: its workers do not notice, and a node
 * that was killed can still be read. A struct scrape is one thread's at a time.
 *
 * `why` points to SCRAPE_WHY_BYTES bytes that get one line for a person: what failed, on what, and
 * what to do.
 */
#ifndef ABAFT_TELEMETRY_SCRAPE_H
#define ABAFT_TELEMETRY_SCRAPE_H

#include <stdbool.h>
#include <stdint.h>

#include <abaft/telemetry.h>

#define SCRAPE_WHY_BYTES   512
#define SCRAPE_PIN_DIR	   "/sys/fs/bpf/abaft"
#define SCRAPE_CPUS_MAX	   256
#define SCRAPE_THIEVES_MAX 256
#define SCRAPE_TENANTS_MAX 1024

/* One worker's slots, copied. */
struct scrape_worker {
	struct worker_counters worker;
	struct node_counters node;
	struct log_counters log;
	struct op_counters ops;
	struct histogram histogram[HISTOGRAM_COUNT];
	struct histogram kernel[HISTOGRAM_KERNEL_COUNT];
};

struct scrape_thief {
	struct thief_key key;
	struct thief thief;
};

struct scrape_tenant {
	uint32_t tenant;
	struct tenant_counter counter;
};

struct scrape_softirqs {
	uint32_t cpu;
	struct softirqs softirqs;
};

/* All of a node, as of about one moment: each number by itself is right, sums over several may miss
 * what was under way. */
struct snapshot {
	struct telemetry_node node;
	uint64_t unix_us;			 /* when it was read */
	bool alive;				 /* the process that wrote it still runs */
	bool has_steer;				 /* an XDP program of ours counts */
	bool has_kernel[HISTOGRAM_KERNEL_COUNT]; /* its BPF program was loaded */
	bool has_thieves, has_softirqs;
	bool has_engine;
	struct telemetry_engine engine;
	struct steer_counters steer;
	struct steer_bytes steer_bytes;
	uint32_t tenants, thieves, cpus; /* entries below */
	struct scrape_tenant tenant[SCRAPE_TENANTS_MAX];
	struct scrape_thief thief[SCRAPE_THIEVES_MAX];
	struct scrape_softirqs softirqs[SCRAPE_CPUS_MAX];
	uint32_t workers;
	struct scrape_worker worker[]; /* `workers` of them */
};

struct scrape;

/*
 * Opens the maps pinned under pin_dir; of these only `node` must be there, others then count as
 * zero. 0; -ENOENT (no node has pinned anything there, or no BPF file system is mounted), -EPERM
 * (needs root), -EPROTO (pinned by a node whose layout this program does not know), or another
 * negative errno; then *out is untouched and `why` is set.
 */
__attribute__((warn_unused_result)) int scrape_open(struct scrape **out, const char *pin_dir,
						    char *why);
void scrape_close(struct scrape *scrape);
/* Whether the folder now holds other maps than those that were opened, more or fewer: the node was
 * stopped, restarted, or is starting. Close, and open again. */
bool scrape_outdated(const struct scrape *scrape);
/* Memory for a snapshot of this node, zeroed, or NULL; free() it. */
struct snapshot *scrape_alloc(const struct scrape *scrape);
/* Reads everything into a snapshot of scrape_alloc(). Texts in it are printable ASCII. 0 or a
 * negative errno with `why`. */
__attribute__((warn_unused_result)) int scrape_read(struct scrape *scrape, struct snapshot *out,
						    char *why);
/* All workers' numbers added up (gauges too: they are shares of the node's); the largest of maxima,
 * and of the log's stalled_us, error and no_room. */
void snapshot_sum(const struct snapshot *snapshot, struct scrape_worker *out);

/*
 * Slow transactions of one worker, from sequence *next on (0: from the oldest there is), at most
 * `max` of them, in order. Returns how many; *next is what to ask for next; *lost is increased by
 * those that were overwritten before they could be read.
 */
uint32_t scrape_slow(struct scrape *scrape, uint32_t worker, uint64_t *next, struct slow_txn *out,
		     uint32_t max, uint64_t *lost);

/* The number that a share (0 to 1) of all do not exceed, off by at most 1.6 %; 0 if there are none.
 */
uint64_t histogram_quantile(const struct histogram *histogram, double share);
/* What `later` holds beyond `earlier`, of the same histogram; all of it if it holds less, as then
 * it is of another life of the node. Its max is that of the highest bucket left, as exact as
 * quantiles are. */
void histogram_since(const struct histogram *later, const struct histogram *earlier,
		     struct histogram *out);
void histogram_merge(struct histogram *into, const struct histogram *from);

/* Nodes of this host: the folders under `root` (/sys/fs/bpf), up to three deep, that hold a `node`
 * map, of whatever layout. Returns how many, at most `max`; paths are filled into `paths`. */
#define SCRAPE_PATH_BYTES 192
uint32_t scrape_find(const char *root, char paths[][SCRAPE_PATH_BYTES], uint32_t max);

#endif
