/* SPDX-License-Identifier: Apache-2.0 */
/*
 * log_sim.h - one seed's run of the campaign in log_sim.c: the node, its clients, and the faults
 * that the seed switched on.
 */
#ifndef ABAFT_TESTS_LOG_SIM_H
#define ABAFT_TESTS_LOG_SIM_H

#include "tests/lib/keeper_bed.h"
#include "tests/sim/log_model.h"

#define FLIGHTS_MAX 32 /* of a worker */
#define LOOKUPS_MAX 48
#define GETS_MAX    3

/* What a seed switches on. A disk that lies has its own, as more may become of it. */
#define LOG_SIM_FAULTS(X)                                                                          \
	X(POWER_CUT, "power cuts")                                                                 \
	X(KILL, "kills")                                                                           \
	X(CUT_FINISH, "power cuts while a checkpoint gets its name")                               \
	X(CUT_RECYCLE, "power cuts while a segment is recycled")                                   \
	X(CUT_RESTART, "crashes during a restart")                                                 \
	X(DELAY, "slow disks")                                                                     \
	X(STUCK, "stuck disks")                                                                    \
	X(WRITE, "failed writes")                                                                  \
	X(SYNC, "failed syncs")                                                                    \
	X(FULL, "full disks")                                                                      \
	X(FILES, "failed checkpoint calls")                                                        \
	X(FETCH, "failed cold reads")                                                              \
	X(SHORT_FETCH, "short cold reads")                                                         \
	X(FLIP_FETCH, "cold reads with wrong bits, once")                                          \
	X(BAD_BLOCK, "unreadable blocks")                                                          \
	X(HELD, "backups")                                                                         \
	X(TINY_CACHE, "tiny caches")                                                               \
	X(BIG, "values of several packets")                                                        \
	X(LOST, "acknowledged writes that were lost")                                              \
	X(TORN, "acknowledged writes that were torn")                                              \
	X(ELSEWHERE, "acknowledged writes to another place")                                       \
	X(FLIP_LOG, "flipped bits in workers' logs")                                               \
	X(FLIP_KEPT, "flipped bits in the kept log")                                               \
	X(FLIP_CHECKPOINT, "flipped bits in checkpoints")                                          \
	X(FILES_LIE, "checkpoint blocks lost, torn, or elsewhere")

enum log_sim_fault {
#define FAULT_ENUM(name, text) FAULT_##name,
	LOG_SIM_FAULTS(FAULT_ENUM)
#undef FAULT_ENUM
		FAULTS,
	FAULTS_LYING = FAULT_LOST, /* from here on */
};

/* What else is counted. */
#define LOG_SIM_COUNTS(X)                                                                          \
	X(seeds, "seeds")                                                                          \
	X(lying_seeds, "seeds with a lying disk")                                                  \
	X(restarts, "restarts")                                                                    \
	X(closes, "clean closes")                                                                  \
	X(refused, "restarts refused")                                                             \
	X(refused_corruption, "  corruption named")                                                \
	X(refused_missing, "  something is missing")                                               \
	X(refused_checkpoints, "  no checkpoint is valid")                                         \
	X(refused_place, "  segments of another place")                                            \
	X(refused_other, "  other reasons")                                                        \
	X(notes, "checkpoints passed over")                                                        \
	X(checkpoints, "checkpoints written")                                                      \
	X(cleaned, "segments cleaned")                                                             \
	X(damaged, "segments that could not be emptied")                                           \
	X(logs_failed, "logs that failed")                                                         \
	X(committed, "transactions acknowledged")                                                  \
	X(refused_txns, "transactions refused")                                                    \
	X(survivors, "unacknowledged ones that survived")                                          \
	X(gone, "unacknowledged ones that did not")                                                \
	X(repeats, "repeated requests")                                                            \
	X(retries, "executed anew after a crash")                                                  \
	X(reads, "values checked")                                                                 \
	X(cold, "requests that waited for the disk")                                               \
	X(parts, "parts of values read")                                                           \
	X(read_failed, "reads answered READ_FAILED")                                               \
	X(corrupt, "reads answered CORRUPT")                                                       \
	X(busy, "reads answered BUSY")                                                             \
	X(tails, "restarts with an invisible tail lost")                                           \
	X(lost, "acknowledged transactions lost in them")                                          \
	X(halves, "runs ended as a checkpoint knew of one of those (C5)")

struct log_sim_counts {
	uint64_t fault[FAULTS];
#define COUNT_FIELD(name, text) uint64_t name;
	LOG_SIM_COUNTS(COUNT_FIELD)
#undef COUNT_FIELD
};

/* A transaction whose answer waits for the log. */
struct flight {
	bool used;
	uint32_t txn, bytes;
	uint8_t answer[ABAFT_PACKET_BYTES_MAX];
};

/* A read-only transaction. One of a big value has several packets. */
struct lookup {
	bool used, ready; /* ready: the next packet is to be sent */
	bool ends;	  /* it was the last packet */
	uint32_t worker, count, seq, offset;
	uint32_t key[GETS_MAX], floor[GETS_MAX];
	uint8_t id[16];
	uint64_t instance;
	uint32_t bytes;
	uint8_t request[ABAFT_PACKET_BYTES_MAX];
};

struct log_sim {
	uint64_t seed, random;
	uint64_t hash; /* of all that was answered and found */
	uint32_t faults;
	uint32_t life, pass;
	bool lying;
	bool refused;	/* the last restart: the run is over */
	bool tail_lost; /* in the last restart (C3) */
	bool clean;	/* the last end */
	uint64_t ids;
	struct keeper_bed bed;
	struct log_model model;
	struct flight flight[KEEPER_BED_WORKERS_MAX][FLIGHTS_MAX];
	struct lookup lookup[LOOKUPS_MAX];
	struct log_mark mark[ABAFT_LOGS_MAX]; /* as of the last pass */
	uint64_t flips;			      /* of bits at rest */
	uint64_t flipped;		      /* checkpoints of which one was, by number % 64 */
	struct log_sim_counts counts;
};

/* Prints the seed and what failed, and aborts. */
__attribute__((noreturn, format(printf, 2, 3))) void log_sim_fail(const struct log_sim *s,
								  const char *format, ...);
uint32_t log_sim_roll(struct log_sim *s, uint32_t limit);
/* Some disk has not kept its word. */
bool log_sim_damaged(const struct log_sim *s);
void log_sim_note(struct log_sim *s, uint64_t what);

static inline bool log_sim_has(const struct log_sim *s, enum log_sim_fault fault)
{
	return s->faults >> fault & 1;
}

/* log_client.c: what clients do, and what they are told. */

/* Sends one with one to three writes of keys; false: it was refused, or there is no place for it.
 */
bool client_commit(struct log_sim *s, uint32_t worker, const uint32_t *keys, uint32_t count,
		   uint32_t deletes);
bool client_commit_any(struct log_sim *s);
/* Reads up to three keys; false: too many reads wait. */
bool client_read(struct log_sim *s, const uint32_t *keys, uint32_t count);
/* Asks once more for the outcome of one that was acknowledged. */
void client_repeat(struct log_sim *s);
/* Once per pass: packets of reads that go on. */
void client_pass(struct log_sim *s);
bool client_waits(const struct log_sim *s);
/* The node ended: nobody hears anything any more. */
void client_forget(struct log_sim *s);
/* After a restart: what became of each transaction, by M1. */
void client_resolve(struct log_sim *s);
/* Sends those again that the crash took. */
void client_retry(struct log_sim *s);
/* For the bed. */
void client_done(void *arg, void *token, const uint8_t *result, uint32_t at, uint32_t bytes);
void client_again(void *arg, void *token);

#endif
