/* SPDX-License-Identifier: Apache-2.0 */
/*
 * publication.pml - how versions become visible, are chosen by readers, and are freed: promises P1
 * (read atomic), P8 (no missing version), and of P5 that nothing is seen that is not durable.
 *
 * Mirrors, with the rules that they number:
 *	dataplane/core/commit.c		number(), link_all(), publish(): C2, C3
 *	dataplane/core/readset.c	readset_choose(): A1 to A6
 *	dataplane/core/reclaim.c	reclaim_pass_begin(), reclaim_commit(), reclaim_superseded(),
 *					horizon_read(), queue_tick(), free_one(): R1 to R4, R7
 *	dataplane/core/txn.c		txn_freeze(): R3
 * A change there that moves a load or a store belongs here, too.
 *
 * Each load and store of what threads share is a step of its own, in any interleaving, but where
 * the order of two cannot matter. A chain is the set of versions linked, in the order of their
 * numbers; the partition lock makes a change of it one step. Memory is
 * used again as soon as a version is unlinked, without the grace period of R8: what a reader chose
 * may not need it. Not here: weak memory (tests/tsan), tombstones and keys that leave the index (R5,
 * R6, R9), commits that fail while they are linked.
 *
 * A version is named by its commit. Commit 0 wrote all keys and is visible from the start; two
 * workers commit 1 and 2, both of all keys; with -DONE_WRITER one worker, one after the other.
 *
 * -DCOARSE loads the era and publishes a reader's mark in one step, for two readers at a time;
 * -DFREEZE lets transactions freeze.
 *
 * Defects, for each of which spin must find a violation (tests/model/model): PER_KEY, EARLY,
 * NO_CONFLICT, LATE_MARK, LATE_BEGIN, ERA_BEFORE_STORE, NO_OWN_MARK, MARK_OF_ONE, NO_FROZEN.
 * NO_BOUND leaves out the lower bound (A2, A6), and there is none: the walk is newest
 * first, so by A5 the first version without a conflict is never below the bound.
 */
#ifndef KEYS
#define KEYS 2
#endif
#ifndef READERS
#define READERS 1
#endif
#ifndef ERAS
#define ERAS 3
#endif
#ifndef ROUNDS
#define ROUNDS 2 /* in which the reclaimer finds something */
#endif
#ifdef ONE_WRITER
#define WRITERS 1
#else
#define WRITERS 2
#endif
#define COMMITS 3

#define ALL	   ((1 << KEYS) - 1)
#define NEVER	   255
#define AT(k, c)   ((k) * COMMITS + (c))
#define HAS(set, c) (((set) >> (c)) & 1)
#define ONE(c)	   (1 << (c))

byte era = 1;
byte number[COMMITS];	   /* the commit's */
byte durable = 1;	   /* commits, as bits */
byte published[COMMITS];   /* 0: invisible; else 1 + era */
byte linked[KEYS];	   /* versions in the key's chain, as bits */
byte retired[KEYS];	   /* queued for reclamation */
byte superseded[KEYS * COMMITS]; /* in which era */
byte freed[KEYS];	   /* their memory is used again */
byte low[READERS];	   /* struct store_slot: the oldest young transaction's era */
byte frozen_lo[READERS];
byte frozen_hi[READERS];   /* 0: none */
byte ended;		   /* readers and writers */

#ifdef PER_KEY
byte shown[KEYS]; /* the defect: a flag for each version */
#define VISIBLE(k, c) HAS(shown[k], c)
#else
#define VISIBLE(k, c) (published[c] != 0)
#endif

/* v: the version with the highest number below `bound` in the key's chain, or NEVER. */
inline next(k, bound)
{
	v = NEVER;
	i = 0;
	do
	:: i == COMMITS -> break
	:: i < COMMITS ->
		if
		:: HAS(linked[k], i) && number[i] < bound &&
		   (v == NEVER || number[i] > number[v]) -> v = i
		:: else
		fi;
		i++
	od;
	i = 0
}

inline retire(k, c, in)
{
	if
	:: !HAS(retired[k], c) ->
		retired[k] = retired[k] | ONE(c);
		superseded[AT(k, c)] = in
	:: else
	fi
}

/* reclaim_superseded() for every key: c itself if something newer is visible; and what is below,
 * up to the first that somebody queued. */
inline supersede(c)
{
	k = 0;
	do
	:: k == KEYS -> break
	:: k < KEYS ->
		next(k, NEVER);
		do
		:: VISIBLE(k, v) -> break
		:: else -> bound = number[v]; next(k, bound)
		od;
		if
		:: v != c -> retire(k, c, era)
		:: else
		fi;
		bound = number[c];
		next(k, bound);
		do
		:: v == NEVER -> break
		:: v != NEVER ->
			if
			:: HAS(retired[k], v) -> break
			:: else
			fi;
			if
			:: VISIBLE(k, v) -> retire(k, v, since)
			:: else
			fi;
			bound = number[v];
			next(k, bound)
		od;
		k++
	od;
	k = 0;
	v = 0;
	bound = 0;
	since = 0
}

/* One worker commits c. */
inline commit(c)
{
	d_step { /* number(): C2 */
		bound = 0;
		k = 0;
		do
		:: k == KEYS -> break
		:: k < KEYS ->
			next(k, NEVER);
			if
			:: number[v] > bound -> bound = number[v]
			:: else
			fi;
			k++
		od;
		number[c] = (bound / 2 + 1) * 2 + (c & 1);
		k = 0;
		v = 0;
		bound = 0
	};
	d_step { /* link_all() */
		do
		:: k == KEYS -> break
		:: k < KEYS -> linked[k] = linked[k] | ONE(c); k++
		od;
		k = 0
	};
	atomic {
#ifndef EARLY
		durable = durable | ONE(c);
#endif
		mine = era /* reclaim_commit() */
	};
#ifdef ERA_BEFORE_STORE
	since = era;
#endif
#ifdef PER_KEY
	shown[0] = shown[0] | ONE(c);
	shown[1] = shown[1] | ONE(c);
#endif
	atomic { published[c] = mine + 1; mine = 0 };
#ifndef ERA_BEFORE_STORE
	since = era; /* R1 */
#endif
	d_step { supersede(c) };
#ifdef EARLY
	durable = durable | ONE(c);
#endif
}

proctype writer(byte first, second)
{
	byte k, v, i, bound, mine, since;

	commit(first);
	if
	:: second -> commit(second)
	:: else
	fi;
	ended++
}

/* Does a frozen transaction hold version c of key k back? R4. */
#ifdef NO_FROZEN
#define HELD(r) false
#else
#define HELD(r) (hi[r] != 0 && lo[r] <= superseded[AT(k, c)] && published[c] - 1 <= hi[r])
#endif
#if READERS > 1
#define HELD_BY_SOME (HELD(0) || HELD(1))
#else
#define HELD_BY_SOME HELD(0)
#endif

/* queue_tick(), by what was read of the marks. */
inline unlink()
{
	k = 0;
	c = 0;
	do
	:: k == KEYS -> break
	:: k < KEYS && c == COMMITS -> k++; c = 0
	:: k < KEYS && c < COMMITS ->
		if
		:: HAS(linked[k], c) && HAS(retired[k], c) && superseded[AT(k, c)] < mark &&
		   !HELD_BY_SOME ->
			linked[k] = linked[k] & (255 - ONE(c));
			freed[k] = freed[k] | ONE(c);
			found = true
		:: else
		fi;
		c++
	od;
	k = 0;
	c = 0;
	mark = 0;
	round = round + found;
	found = false;
	do
	:: r == READERS -> break
	:: r < READERS -> lo[r] = 0; hi[r] = 0; r++
	od;
	r = 0
}

/* node_tick() of the workers. */
proctype reclaimer()
{
	byte mark, k, c, r, round;
	byte lo[READERS], hi[READERS];
	bool found;

	do
	:: round == ROUNDS || ended == READERS + WRITERS -> break
	:: round < ROUNDS && ended < READERS + WRITERS && (retired[0] & linked[0]) ->
#ifdef NO_OWN_MARK
		mark = NEVER;
#else
		mark = era; /* horizon_read(); its own pass's */
#endif
		do /* R7: first the marks */
		:: r < READERS ->
			atomic {
				if
				:: low[r] < mark -> mark = low[r]
				:: else
				fi;
#ifdef MARK_OF_ONE
				r = READERS - 1;
#endif
				r++
			}
		:: r == READERS -> r = 0; break
		od;
		do
		:: r < READERS -> atomic { lo[r] = frozen_lo[r]; hi[r] = frozen_hi[r]; r++ }
		:: r == READERS -> r = 0; break
		od;
		atomic { unlink() }
	od
}

/* A2 */
inline lower_bound()
{
	lower = 0;
	do
	:: i == KEYS -> break
	:: i < KEYS ->
		if
		:: !HAS(left, i) && number[chosen[i]] > lower -> lower = number[chosen[i]]
		:: else
		fi;
		i++
	od;
	i = 0
}

/* A3: v becomes NEVER if its commit wrote, newer, what was read. */
inline conflicts()
{
	do
	:: i == KEYS -> break
	:: i < KEYS ->
		if
		:: v != NEVER && !HAS(left, i) && number[chosen[i]] < number[v] -> v = NEVER
		:: else
		fi;
		i++
	od;
	i = 0
}

/* v of key k is chosen: P1 beside all that was read, nothing undurable, nothing freed is held. */
inline take()
{
	assert(HAS(durable, v)); /* P5 */
	chosen[k] = v;
	left = left & (255 - ONE(k));
	do
	:: i == KEYS -> break
	:: i < KEYS ->
		if
		:: !HAS(left, i) ->
			assert(!HAS(freed[i], chosen[i]));	   /* P8 */
			assert(number[chosen[i]] == number[v]); /* P1: all wrote all keys */
		:: else
		fi;
		i++
	od;
	i = 0;
	bound = 0;
	lower = 0
}

/* readset_choose(): one version of the chain. */
inline look()
{
	next(k, bound);
	assert(v != NEVER); /* P8: there is one, and the walk does not pass by it */
	bound = number[v];
	if
	:: !VISIBLE(k, v) || published[v] > cut -> v = NEVER
	:: else ->
#ifndef NO_BOUND
		assert(bound >= lower); /* A6: here the walk would end with none */
#endif
#ifndef NO_CONFLICT
		conflicts()
#endif
	fi;
	if
	:: v != NEVER -> take()
	:: else
	fi
}

#define FROZEN (cut != NEVER)

/* A transaction that reads all keys, in any order, one in each pass, and may freeze behind one. */
proctype reader(byte me)
{
	byte left = ALL; /* keys not yet read */
	byte chosen[KEYS], begin, cut = NEVER, k, v, i, bound, lower, now;

	do
	:: left == 0 -> break
	:: left != 0 ->
#ifndef COARSE
		now = era; /* reclaim_pass_begin() */
#endif
		atomic {
#ifdef COARSE
			now = era;
#endif
#ifndef LATE_MARK
			low[me] = (left != ALL && !FROZEN -> begin : now);
#endif
			if
			:: left == ALL -> begin = now
			:: else
			fi;
			now = 0;
			if
			:: HAS(left, 0) -> k = 0
			:: HAS(left, 1) -> k = 1
#if KEYS > 2
			:: HAS(left, 2) -> k = 2
#endif
			fi;
			lower_bound();
			bound = NEVER;
			v = NEVER
		};
		do
		:: atomic { v == NEVER -> look() }
		:: atomic { v != NEVER -> v = 0; k = 0; break }
		od;
#ifdef LATE_BEGIN
		begin = (FROZEN -> begin : era);
#endif
#ifdef FREEZE
		if
		:: !FROZEN && left -> /* txn_freeze(), in the pass's tick */
			now = era;
			atomic {
				frozen_lo[me] = begin;
				frozen_hi[me] = now;
				cut = now + 1; /* as `published` has it */
				now = 0
			}
		:: true
		fi;
#endif
		low[me] = (FROZEN -> NEVER : begin) /* reclaim_pass_end() */
	od;
	atomic {
		low[me] = NEVER;
		frozen_hi[me] = 0;
		frozen_lo[me] = 0;
		ended++
	}
}

/* Some worker ticks the era. */
active proctype clock()
{
	do
	:: era < ERAS -> era++
	:: era == ERAS -> break
	od
}

init {
	byte k;

	atomic {
		published[0] = 1;
		do
		:: k < KEYS ->
			linked[k] = 1;
#ifdef PER_KEY
			shown[k] = 1;
#endif
			k++
		:: k == KEYS -> break
		od;
		low[0] = NEVER;
#if READERS > 1
		low[1] = NEVER;
#endif
#ifdef ONE_WRITER
		run writer(1, 2);
#else
		run writer(1, 0);
		run writer(2, 0);
#endif
		run reclaimer();
		run reader(0);
#if READERS > 1
		run reader(1);
#endif
	}
}
