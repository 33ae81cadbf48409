/* SPDX-License-Identifier: Apache-2.0 */
/*
 * once.pml - one transaction id over retries, doubled and late packets, and restarts of its owner:
 * promises P6 (exactly once), P5 (all or nothing) and P4 (durable before acknowledged).
 *
 * Mirrors, with the rules that they number:
 *	dataplane/core/execute.c	execute(), enter(), attempt_status(), open_txn(): E1, E2
 *	dataplane/core/commit.c		commit_append(), node_durable(): C1, C4
 *	dataplane/core/outcome.c	outcome_add(), evict_oldest(): the horizon
 *	dataplane/core/restore.c	apply_commit(), node_restore_outcomes(), node_restore_horizon()
 *	dataplane/keeper_checkpoint.c	the mark is asked before what the checkpoint holds
 *	client/txn.c			a retry of the function is a later attempt
 *
 * The function writes keys a and b in three packets: the first opens and writes a, the middle one
 * writes b, the last one commits; the latter two name the instance that the first was answered. Its
 * second attempt goes another way and does not write b.
 * What was sent once may come at any time, any number of times, or never. At any step the owner may
 * crash: what was appended is then in the log or is not, what was durable is. Other ids push the
 * outcome out of its table at any time. A value is named by 1 + the attempt that wrote it.
 *
 * Not here: values, other transactions, torn logs (tests/sim/log_sim).
 *
 * Defects, for each of which spin must find a violation (tests/model/model): OUTCOME_LOST,
 * EXECUTED_TWICE, NO_INSTANCE, NO_REPLACE, STALE_ACCEPTED, NO_HORIZON, HORIZON_LOST, MARK_LATE,
 * EARLY_ANSWER.
 */
#ifndef ATTEMPTS
#define ATTEMPTS 2
#endif
#ifndef OPENS
#define OPENS 4 /* instances; after that the node is full, and answers BUSY */
#endif
#ifndef CRASHES
#define CRASHES 2
#endif

#define PACKETS (ATTEMPTS * (1 + 2 * OPENS)) /* each attempt: first, middles, lasts by instance */

mtype = { NONE, OPEN, PENDING };	 /* struct txn */
mtype = { NOTHING, COMMITTED, REFUSED }; /* an answer */

/* The owner's memory. */
mtype state = NONE;
byte instance, attempt, a, b;
bool outcome, horizon;
byte opened; /* instances given, ever: they start at a random number in each run */

/* Its disk. */
bool appended;		  /* a record that is not durable yet */
byte record_a, record_b;
bool logged;		  /* a durable record */
bool saved_outcome, saved_horizon, saved_past; /* the checkpoint; past: it starts behind the record */

/* What became of it. */
byte applied; /* times that the id took effect */
byte crashes;

/* The network: what was sent, and the last answer to each. */
bool sent_first[ATTEMPTS], sent_middle[ATTEMPTS * (OPENS + 1)], sent_last[ATTEMPTS * (OPENS + 1)];
byte told_instance[ATTEMPTS]; /* by the answer to the first */
bool told_middle[ATTEMPTS];
mtype told[ATTEMPTS]; /* how the attempt ended */

#define AT(t, i) ((t) * (OPENS + 1) + (i))

/* The record counts: it is durable, or a recovery found it. */
inline apply()
{
	appended = false;
	logged = true;
	applied++;
	assert(applied == 1);					/* P6 */
	assert(record_a != 0);					/* P5: all of one attempt, */
	assert(record_b == (record_a & 1 -> record_a : 0));	/* and nothing of another */
	record_a = 0;
	record_b = 0
}

inline forget_txn()
{
	state = NONE;
	instance = 0;
	attempt = 0;
	a = 0;
	b = 0
}

/* Leaves `go`: may the operations be executed? */
inline enter(t, i, opens)
{
	go = false;
	if
#ifndef EXECUTED_TWICE
	:: outcome -> told[t] = COMMITTED /* E1 */
	:: !outcome && state == PENDING -> skip /* IN_PROGRESS */
	:: !outcome && state == OPEN ->
#else
	:: state == PENDING -> skip
	:: state == OPEN ->
#endif
		if
#ifndef NO_INSTANCE
		:: !opens && i != instance -> told[t] = REFUSED /* E2 */
		:: opens || i == instance ->
#else
		:: true ->
#endif
			if
			:: t < attempt ->
#ifdef STALE_ACCEPTED
				go = true
#else
				told[t] = REFUSED
#endif
			:: t == attempt -> go = true
			:: t > attempt ->
				attempt = t;
#ifndef NO_REPLACE
				a = 0;
				b = 0;
#endif
				go = true
			fi
		fi
#ifndef EXECUTED_TWICE
	:: !outcome && state == NONE ->
#else
	:: state == NONE ->
#endif
		if
		:: !opens || horizon || opened == OPENS -> told[t] = REFUSED
		:: opens && !horizon && opened < OPENS ->
			opened++;
			state = OPEN;
			instance = opened;
			attempt = t;
			go = true
		fi
	fi
}

inline commit(t)
{
	if
	:: a == 0 && b == 0 -> skip /* nothing to commit: the client does not send this */
	:: else ->
		record_a = a;
		record_b = b;
		appended = true;
		state = PENDING;
#ifdef EARLY_ANSWER
		told[t] = COMMITTED;
#endif
	fi
}

/* The worker: packets in any order, any number of times; each is executed to its end. */
active proctype owner()
{
	bool go;
	byte t, i;

	do
	:: atomic {
		t = 0;
		do
		:: t < ATTEMPTS - 1 -> t++
		:: break
		od;
		if
		:: sent_first[t] ->
			enter(t, 0, true);
			if
			:: go -> a = t + 1; told_instance[t] = instance
			:: else
			fi
		:: sent_first[t] ->
			i = 1;
			do
			:: i < OPENS -> i++
			:: break
			od;
			if
			:: sent_middle[AT(t, i)] ->
				enter(t, i, false);
				if
				:: go -> b = t + 1; told_middle[t] = true
				:: else
				fi
			:: sent_last[AT(t, i)] ->
				enter(t, i, false);
				if
				:: go -> commit(t)
				:: else
				fi
			:: else
			fi
		:: else
		fi;
		go = false;
		t = 0;
		i = 0
	   }
	:: atomic { /* node_durable() */
		appended ->
		told[attempt] = COMMITTED;
		apply();
		outcome = true;
		forget_txn()
	   }
	:: atomic { state == OPEN -> forget_txn() } /* its deadline */
	:: atomic { /* evict_oldest() */
		outcome ->
		outcome = false;
#ifndef NO_HORIZON
		horizon = true
#endif
	   }
	:: atomic {
		crashes < CRASHES ->
		crashes++;
		if
		:: appended -> apply()
		:: appended -> appended = false; record_a = 0; record_b = 0
		:: !appended
		fi;
		forget_txn();
		/* Recovery: the checkpoint, then the log from its mark. */
#ifdef OUTCOME_LOST
		outcome = false;
#else
		outcome = saved_outcome || (logged && !saved_past);
#endif
#ifdef HORIZON_LOST
		horizon = false
#else
		horizon = saved_horizon
#endif
	   }
	od
}

/* The keeper: one checkpoint after the other. A crash between its steps changes nothing: it holds
 * what was so while it was written. */
active proctype keeper()
{
	bool past, has, high;

	do
	:: atomic {
		!saved_past ->
#ifdef MARK_LATE
		has = outcome;
		high = horizon
#else
		past = logged
#endif
	   };
	   atomic {
#ifdef MARK_LATE
		past = logged;
#else
		has = outcome;
		high = horizon;
#endif
		saved_past = past;
		saved_outcome = has;
		saved_horizon = high;
		past = false;
		has = false;
		high = false
	   }
	od
}

/* The function, and the platform that runs it again: each run is an attempt. */
active proctype function()
{
	byte t, i;

	do
	:: t == ATTEMPTS -> break
	:: t < ATTEMPTS ->
		sent_first[t] = true;
		if
		:: atomic { told_instance[t] != 0 -> i = told_instance[t] };
		   if
		   :: t & 1 -> told_middle[t] = true /* goes another way: nothing to write */
		   :: else -> sent_middle[AT(t, i)] = true
		   fi;
		   if
		   :: told_middle[t] -> sent_last[AT(t, i)] = true;
			if
			:: told[t] == COMMITTED
			:: true /* it dies, or loses patience */
			fi
		   :: true
		   fi
		:: told[t] != 0
		:: true
		fi;
		atomic {
			if
			:: told[t] == COMMITTED ->
				assert(applied == 1); /* P4, P6 */
				t = ATTEMPTS
			:: else -> t++
			fi;
			i = 0
		}
	od
}
