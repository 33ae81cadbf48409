/* SPDX-License-Identifier: Apache-2.0 */
/*
 * model.h - histories in memory, and what was found in them.
 *
 * Files are read one after the other (check_read), then judged once (check_judge); the counts and
 * witnesses stand in the struct afterwards. docs/history.md states the rules in words. A program
 * that makes histories itself links history_dep, writes them to a memfd (history_open_fd) and reads
 * that (check_read_fd); everything is in the struct, so several may be judged at a time.
 *
 * Words: a part is one line of a history; an execution is the parts that make up one run of a
 * transaction; an observation is a read of another transaction's value whose result differs from
 * the read of the same key before it.
 *
 * I1. Work is linear in operations, plus, for each observation, the keys its writer wrote (limited
 *     by ABAFT_TXN_WRITES_MAX in abaft), plus a few sorts.
 * I2. What cannot be judged (a writer not in any history, a value without a tag or version) is
 *     counted as unjudged and never called an anomaly.
 */
#ifndef ABAFT_TOOLS_HISTORY_MODEL_H
#define ABAFT_TOOLS_HISTORY_MODEL_H

#include "tools/history/history.h"
#include "tools/history/names.h"

#define CHECK_NONE	    UINT32_MAX
#define CHECK_FILES_MAX	    1024
#define CHECK_WITNESSES_MAX 100

/* X(name, what else it is called or "", anomaly or only allowed by read atomic, text) */
/* clang-format off */
#define CHECK_KINDS(X)                                                                             \
	X(fractured_forward,  "fractured read", true,                                              \
	  "read a transaction's value, then a value older than that transaction's own write")      \
	X(fractured_backward, "fractured read", true,                                              \
	  "read a value, then the value of a transaction whose own write is newer than the first") \
	X(read_your_writes,   "",      true,  "did not read what it had written itself")           \
	X(repeatable_read,    "",      true,  "read a key twice and saw two values")               \
	X(dirty_read,         "",      true,  "read a value before its transaction committed")     \
	X(aborted_read,       "G1a",   true,  "read a value that was never committed")             \
	X(intermediate_read,  "G1b",   true,                                                       \
	  "read a value that its writer had overwritten before commit")                            \
	X(dirty_write,        "G0",    true,                                                       \
	  "overwrote another transaction's write, and was overwritten by it: a circle")            \
	X(circular_flow,      "G1c",   true,                                                       \
	  "read or overwrote what goes back to its own writes: a circle")                          \
	X(incompatible_order, "",      true,                                                       \
	  "was read as two lists, neither of which begins the other")                              \
	X(misplaced_value,    "",      true,  "read a value that was written to another key")      \
	X(lost_commit,        "",      true,                                                       \
	  "acknowledged, but the final state holds something older")                               \
	X(partial_commit,     "",      true,  "visible in the final state only in part")           \
	X(duplicate_effect,   "",      true,  "took effect more than once")                        \
	X(lost_update,        "P4",    false,                                                      \
	  "read a value and replaced it, as another transaction did")                              \
	X(read_skew,          "A5A",   false, "read values that no single moment held together")
/* clang-format on */

enum check_kind {
#define CHECK_KIND_ENUM(name, also, anomaly, text) CHECK_##name,
	CHECK_KINDS(CHECK_KIND_ENUM)
#undef CHECK_KIND_ENUM
		CHECK_KIND_COUNT
};

struct check_op {
	char kind; /* 'r', 'w', 'd' */
	bool misplaced;
	uint8_t seen; /* enum history_seen */
	uint32_t key;
	uint32_t writer; /* r, tagged */
	struct tag_number number;
	uint64_t time_us;
	struct abaft_version version;
};

struct check_part {
	uint32_t txn, file, line;
	uint32_t ops_at, ops_count;
	uint32_t client; /* a number in names */
	uint16_t step, attempt;
	bool whole;
	bool effective; /* its operations are those that took effect; after check_resolve() */
	enum history_outcome outcome;
	uint64_t start_us, end_us;
	struct abaft_version version;
};

/* What a transaction wrote last to a key. */
struct check_write {
	uint32_t key;
	bool deleted;
	struct tag_number number;
	uint64_t time_us;
};

enum check_fate {
	CHECK_UNSEEN,	 /* no line tells of it */
	CHECK_COMMITTED, /* acknowledged */
	CHECK_DROPPED,	 /* aborted or failed for good */
	CHECK_UNDECIDED, /* may have committed */
};

struct check_txn {
	enum check_fate fate;
	bool certain;	   /* which operations took effect is known */
	uint32_t found;	   /* bit for each enum check_kind */
	uint32_t parts_at; /* in part_order */
	uint32_t parts_count;
	uint32_t writes_at, writes_count; /* in writes, by key */
	uint64_t commit_from_us;	  /* not committed before; 0 = not known */
	uint64_t start_us, end_us;
	bool told;		      /* the version by a line, not only by those who read it */
	struct abaft_version version; /* of its commit, as told or seen; 0 = none */
};

/* lineage.c: a write of a key that came after another, and the read that tells so. */
struct check_link {
	uint32_t key, txn, parent, op;
	bool list; /* told by a list that `op` read; else txn is who read and wrote */
};

/* A write in a tree of such links: numbers in check->heirs, or CHECK_NONE. */
struct check_heir {
	uint32_t key, txn;
	uint32_t parent, child, sibling;
	uint32_t enter, leave; /* 0: not on any tree */
};

/* What a reader of lists found (edn_list.c): incompatible_order, or duplicate_effect of txn. */
struct check_clash {
	uint32_t kind, txn, op[2];
};

enum check_dependency { CHECK_OVERWRITES, CHECK_READS_FROM };

/* `to` depends on `from`: it read what `from` had written to the key, or its write of the key comes
 * after the other's. */
struct check_edge {
	uint32_t from, to, key;
	enum check_dependency kind;
	uint32_t op; /* READS_FROM: the read; OVERWRITES: CHECK_NONE, or the read that tells it */
	struct abaft_version version[2]; /* OVERWRITES: of both writes, if the order is by them */
	uint64_t time_us[2];		 /* and their times, if it is by these */
};

/* One instance of an anomaly. Operations are numbers in ops, CHECK_NONE if it has none. */
struct check_witness {
	enum check_kind kind;
	uint32_t txn;	/* whose anomaly it is; CHECK_NONE: the final state's */
	uint32_t part;	/* the line that shows it, or CHECK_NONE */
	uint32_t other; /* the other transaction, or CHECK_NONE */
	uint32_t op[2];
	uint32_t key;			/* lost commits: the key */
	uint32_t steps_at, steps_count; /* circles: in check->steps, each edge from where the one
					   before it leads, the last to where the first begins */
};

struct check_key {
	uint32_t final;			  /* the op that read it in the final state */
	uint32_t epoch;			  /* of the execution that wrote the next two */
	uint32_t own;			  /* last own write: op + 1 */
	uint32_t seen;			  /* last observation + 1 */
	struct abaft_version deleted_max; /* newest delete that may have taken effect */
	bool deleted_unversioned;
};

/* A growing array of fixed-size records that sorts. */
struct check_list {
	void *data;
	size_t count, cap;
};

struct check {
	struct check_names keys, txn_ids, clients;
	char *files[CHECK_FILES_MAX];
	uint32_t file_count;
	uint32_t torn_lines; /* last lines of files, cut short */
	char error[256];     /* why check_read() failed */

	struct check_op *ops;
	size_t ops_count, ops_cap;
	struct check_part *parts;
	size_t parts_count, parts_cap;
	struct check_list finals;   /* uint32_t: ops */
	struct check_list declared; /* struct check_declared: what tags tell of their writers */

	struct check_txn *txns;
	uint32_t *part_order;
	struct check_write *writes;
	size_t writes_count, writes_cap;
	struct check_key *key;
	uint32_t epoch;

	struct check_list links;    /* struct check_link */
	struct check_list heirs;    /* struct check_heir, by key and transaction */
	struct check_list clashes;  /* struct check_clash */
	struct check_list effects;  /* struct check_effect */
	struct check_list updates;  /* struct check_update */
	struct check_list installs; /* struct check_install, by key and version */

	uint64_t transactions[CHECK_KIND_COUNT];
	uint64_t pairs[CHECK_KIND_COUNT];
	uint32_t witnesses_max; /* kept of each kind */
	bool print_allowed;	/* also witnesses of what read atomicity allows */
	uint32_t kept[CHECK_KIND_COUNT];
	struct check_list witnesses; /* struct check_witness */
	struct check_list steps;     /* struct check_edge, of witnesses */

	uint64_t fates[4];	   /* transactions by enum check_fate */
	uint64_t reads, changes;   /* operations */
	uint64_t pairs_judged;	   /* pairs of reads held against each other */
	uint64_t commits_judged;   /* keys of acknowledged commits held against the final state */
	uint64_t reads_unjudged;   /* of values without a tag, or of writers in no history */
	uint64_t commits_unjudged; /* keys of acknowledged commits not in the final state, or not
				      comparable */
	uint64_t edges;		   /* dependencies that circles were looked for in */
	uint64_t orders_unjudged;  /* writes whose place among those of their key is not known */
};

struct check_declared {
	uint32_t txn, key;
	uint64_t time_us;
};

/* A value of (txn, step) seen by somebody. */
struct check_effect {
	uint32_t txn;
	uint32_t step; /* CHECK_NONE: `version` counts, not the attempt */
	uint32_t attempt;
	uint32_t op; /* that saw it; CHECK_NONE: the commit's own line */
	struct abaft_version version;
};

/* txn read `number` of `writer` at the key and replaced it. */
struct check_update {
	uint32_t key, writer, txn, op;
	struct tag_number number;
};

struct check_install {
	uint32_t key;
	struct abaft_version version;
};

/* model.c. NULL if out of memory. witnesses_max <= CHECK_WITNESSES_MAX. */
struct check *check_create(uint32_t witnesses_max);
void check_destroy(struct check *check);
__attribute__((warn_unused_result)) int check_list_add(struct check_list *list, const void *record,
						       size_t size);
int check_version_compare(struct abaft_version a, struct abaft_version b);
int check_number_compare(struct tag_number a, struct tag_number b);
/* The write of a key in a transaction's effective writes, or NULL. After check_resolve(). */
const struct check_write *check_write_of(const struct check *check, uint32_t txn, uint32_t key);
/* Whether a delete after `version` may explain that a key has no value. After check_resolve(). */
bool check_delete_explains(const struct check *check, uint32_t key, struct abaft_version version);
/* The line that an operation stands in, or NULL: it is the final state's. */
const struct check_part *check_part_of(const struct check *check, uint32_t op);
/* Counts a transaction (CHECK_NONE: the final state) as one that shows it, once. */
void check_mark(struct check *check, enum check_kind kind, uint32_t txn);
/* Counts what was found, and keeps it as a witness if there is room. 0 or -ENOMEM. */
__attribute__((warn_unused_result)) int check_found(struct check *check, enum check_kind kind,
						    const struct check_witness *witness);

/* read.c: 0, or a negative errno with check->error set to "FILE:LINE: what and why". */
__attribute__((warn_unused_result)) int check_read(struct check *check, const char *path);
/* The same from an open descriptor, from the first byte on wherever its position is: for histories
 * in memory (a memfd). It stays the caller's; `name` is what reports call it. */
__attribute__((warn_unused_result)) int check_read_fd(struct check *check, int fd,
						      const char *name);
/* judge.c: 0 or -ENOMEM. Once, after all files. */
__attribute__((warn_unused_result)) int check_judge(struct check *check);

/* The steps of check_judge() that have sources of their own, in order: resolve.c, lineage.c,
 * execute.c, order.c, which gathers what depends on what as struct check_edge, and cycle.c. 0 or
 * -ENOMEM. */
__attribute__((warn_unused_result)) int check_resolve(struct check *check);
__attribute__((warn_unused_result)) int check_lineage(struct check *check);
__attribute__((warn_unused_result)) int check_executions(struct check *check);
__attribute__((warn_unused_result)) int
check_dependencies(const struct check *check, struct check_list *edges, uint64_t *unjudged);
__attribute__((warn_unused_result)) int check_cycles(struct check *check);

/* lineage.c, afterwards. Whether a transaction's write of a key is linked to any other, and whether
 * one is among the ancestors of another. */
bool check_lineage_knows(const struct check *check, uint32_t key, uint32_t txn);
bool check_lineage_older(const struct check *check, uint32_t key, uint32_t old, uint32_t young);

/* report.c */
void check_print(const struct check *check);
/* 0 or -ENOMEM. */
__attribute__((warn_unused_result)) int check_print_json(const struct check *check);
bool check_kind_is_anomaly(enum check_kind kind);
uint64_t check_anomalies(const struct check *check);

#endif
