/* SPDX-License-Identifier: Apache-2.0 */
/*
 * keeper_impl.h - the inside of the keeper, shared by keeper.c (marks, pace, thread),
 * keeper_checkpoint.c and keeper_clean.c only. All of it belongs to the thread that calls
 * keeper_step(), but for what `mutex` guards.
 */
#ifndef ABAFT_DATAPLANE_KEEPER_IMPL_H
#define ABAFT_DATAPLANE_KEEPER_IMPL_H

#include <pthread.h>
#include <stdatomic.h>

#include "dataplane/core/keep.h"
#include "dataplane/keeper.h"
#include "dataplane/log/clean.h"
#include "dataplane/log/format.h"
#include "dataplane/log/shelf.h"

/* How often it looks at marks, room and victims while nothing is under way. */
#define KEEPER_LOOK_US	   200000
/* While it waits for workers or the disk. */
#define KEEPER_NAP_US	   100
/* Of a victim: read at a time; the window holds any group. */
#define KEEPER_PIECE_BYTES (1u << 20)
#define KEEPER_WINDOW	   ABAFT_LOG_GROUP_BYTES_MAX
/* Copies that wait to be durable, and writes looked at in one step. */
#define KEEPER_MOVES_MAX   16384
#define KEEPER_WRITES_STEP 512
/* Victims that were emptied and have yet to leave; damaged ones that are remembered. */
#define KEEPER_LEAVING_MAX 256
#define KEEPER_DAMAGED_MAX 256

enum checkpoint_stage {
	CK_NONE,
	CK_PREPARE,  /* answers to older questions come in */
	CK_MARKS,    /* asked for */
	CK_KEPT,     /* moves that are outstanding end (Q5) */
	CK_KEYS,     /* the walk */
	CK_OUTCOMES, /* of `worker` */
};

struct checkpointing {
	enum checkpoint_stage stage;
	bool walking; /* between keep_walk_prepare() and keep_walk_end() */
	struct checkpoint_writer *writer;
	struct checkpoint_head head;
	uint64_t cursor;
	bool walked;	 /* no key is left */
	uint32_t worker; /* whose outcomes are being asked for */
	uint64_t began_us;
	uint64_t retry_us, backoff_us; /* after a failure */
	uint64_t grown_max;	       /* log written while one was, at most so far */
	bool fresh;		       /* one has just ended */
	uint8_t *block;		       /* entries on their way: CHECKPOINT_PAYLOAD_BYTES */
};

enum clean_stage {
	CLEAN_NONE,
	CLEAN_READ,    /* the window fills */
	CLEAN_COPY,    /* its live writes go to the kept log */
	CLEAN_DURABLE, /* wait for them */
	CLEAN_MOVE,    /* their places move */
	CLEAN_EMPTIED, /* the whole victim was seen */
};

/* A write whose copy was appended; key and value stand in the window. */
struct move {
	struct vnum number;
	uint64_t from, to;
	uint64_t seq; /* of the record that holds the copy */
	struct record_write write;
};

struct cleaning {
	enum clean_stage stage;
	struct shelf_segment victim; /* held */
	double full_share;	     /* of a segment's bytes, were all of it live */
	bool gently;		     /* at clean_rate */
	uint8_t *window;
	uint8_t *value; /* saved from memory: ABAFT_VALUE_BYTES_MAX */
	uint64_t window_at;
	uint32_t window_bytes;
	uint32_t at;		      /* in the window: the group, or block, that comes next */
	struct format_cursor records; /* of the group that is being copied; at NULL: none */
	uint32_t group_end;	      /* in the window */
	bool unfit;		      /* some place held no whole group, first: */
	uint64_t unfit_at;	      /* (the end of the groups is such a place, too) */
	struct move *moves;
	uint32_t moves_count, moved;
	uint32_t looks;	  /* at its live bytes, since it was emptied */
	uint64_t look_us; /* when it chooses again */
	struct clean_pace pace;
	/* Of kept segments, by number: what was copied there since the start, and the time of its
	 * youngest write. A copy is as old as its write, not as its segment. */
	struct kept_note {
		uint64_t time;	/* 0: not known, or told */
		uint64_t bytes; /* as space.h counts; 0: not known */
	} * kept;
	uint32_t kept_segment; /* the last */
};

struct leaving {
	uint32_t log, segment;
	enum { LEAVING_WAITS, LEAVING_REMOVED, LEAVING_GONE } state;
};

struct keeper {
	struct keeper_config config;
	struct keep *keep;
	uint64_t wall_us, mono_us; /* of this step */

	/* Marks of all logs, as of the last look. */
	struct log_mark mark[ABAFT_LOGS_MAX];
	bool looking; /* posts were asked for it, and for nothing since */
	bool looked;  /* at least once */
	uint64_t look_us;
	bool full;	/* some worker's log has no room */
	uint64_t grown; /* behind `newest` */

	struct checkpoint_head newest, older; /* number 0: none; `older` covers (Q1) */
	struct checkpoint_stats newest_stats;
	uint32_t number_max;
	atomic_bool asked;

	struct checkpointing ck;
	struct cleaning clean;
	bool checkpoint_helps; /* what should be cleaned is not covered yet */
	struct leaving leaving[KEEPER_LEAVING_MAX];
	uint32_t leaving_count;
	struct keeper_damage damage[KEEPER_DAMAGED_MAX]; /* a ring */
	uint32_t damage_count;

	struct keeper_stats stats; /* the thread's own */

	pthread_mutex_t mutex;
	pthread_cond_t cond;
	bool stop, woken;	  /* guarded */
	struct keeper_stats told; /* guarded */
	pthread_t thread;
	bool running;
};

static inline struct now keeper_now(const struct keeper *keeper)
{
	return (struct now){.wall_us = keeper->wall_us, .mono_us = keeper->mono_us};
}

/* keeper.c */
struct log *keeper_log(const struct keeper *keeper, uint32_t number);
/* The posts: asks all, tells whether all have answered, and takes their marks. */
void keeper_ask_marks(struct keeper *keeper, bool wake);
bool keeper_answered(const struct keeper *keeper);
void keeper_take_marks(struct keeper *keeper, uint64_t *time);
void keeper_wake(struct keeper *keeper, uint32_t worker);

/* keeper_checkpoint.c. Each step returns microseconds as keeper_step(). */
uint64_t checkpointer_step(struct keeper *keeper);
/* Gives up what is under way, if anything is. */
void checkpointer_stop(struct keeper *keeper);
/* True while no new copy may be made (Q5). */
bool checkpointer_holds_moves(const struct keeper *keeper);
/* How much the logs grow from one checkpoint to the next. */
uint64_t checkpointer_interval(const struct keeper *keeper);

/* keeper_clean.c */
int cleaner_create(struct keeper *keeper) __attribute__((warn_unused_result));
void cleaner_destroy(struct keeper *keeper);
uint64_t cleaner_step(struct keeper *keeper);
/* True while copies are not yet durable, or durable and not moved. */
bool cleaner_outstanding(const struct keeper *keeper);

/* keeper_leave.c: victims that were emptied, and those that cannot be. */
void leave_add(struct keeper *keeper, uint32_t log, uint32_t segment);
bool leave_holds(const struct keeper *keeper, uint32_t log, uint32_t segment);
uint64_t leave_step(struct keeper *keeper);
void damage_add(struct keeper *keeper, const struct keeper_damage *damage);
bool damage_holds(const struct keeper *keeper, uint32_t log, uint32_t segment);

#endif
