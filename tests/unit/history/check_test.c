// SPDX-License-Identifier: Apache-2.0
/*
 * check_test.c - histories made by hand: each anomaly, and beside it the nearest history that has
 * none.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "tools/command/command.h"
#include "tools/history/model.h"

/* clang-format off */
#define ID(n)			"00000000-0000-7000-8000-00000000000" #n
/* A whole transaction, first attempt: its number, "START END OUTCOME VERSION", operations. */
#define T(n, fields, ops)	"T " ID(n) " c all 0 " fields ops "\n"
/* One step of it. */
#define S(n, step, attempt, fields, ops) \
				"T " ID(n) " c " #step " " #attempt " " fields ops "\n"
#define TAG(key, n, number, time) ID(n) "/" number "/" #time "/" key "/"
/* A read that saw `number` of transaction n, at a version, or without one at a time. */
#define R(key, version, n, number) " r," key "," version "," TAG(key, n, number, 0)
#define RT(key, n, number, time)   " r," key ",-," TAG(key, n, number, time)
#define NONE(key)		   " r," key ",-,-"
#define W(key, number)		   " w," key "," number ",0"
#define WT(key, number, time)	   " w," key "," number "," #time
#define D(key, number)		   " d," key "," number ",0"
#define F(read)			   "F" read "\n"
/* Two transactions that write x and y, versions 10 and 20. */
#define OLD	T(1, "1 2 committed 10.1", W("x", "0.0.1") W("y", "0.0.2"))
#define NEW	T(2, "3 4 committed 20.1", W("x", "0.0.1") W("y", "0.0.2"))
/* clang-format on */

static struct check *judge(const char *text)
{
	char path[] = "/tmp/abaft-check-XXXXXX";
	struct check *check = check_create(3);
	int fd = mkstemp(path);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
	if (check_read(check, path))
		fail_msg("%s", check->error);
	unlink(path);
	assert_int_equal(check_judge(check), 0);
	return check;
}

/* Exactly this anomaly, in that many transactions and pairs, and no other. */
static void expect(const char *text, enum check_kind kind, uint64_t transactions, uint64_t pairs)
{
	struct check *check = judge(text);

	for (int i = 0; i < CHECK_KIND_COUNT; i++) {
		bool here = i == (int)kind;

		if (!here && !check_kind_is_anomaly((enum check_kind)i))
			continue;
		if (check->transactions[i] != (here ? transactions : 0) ||
		    check->pairs[i] != (here ? pairs : 0))
			fail_msg("kind %d: %lu transactions, %lu pairs, in\n%s", i,
				 check->transactions[i], check->pairs[i], text);
	}
	check_destroy(check);
}

static void clean(const char *text)
{
	expect(text, CHECK_fractured_forward, 0, 0);
}

static void fractured_reads(void **state)
{
	/* x from NEW, then y older than NEW's. */
	expect(OLD NEW T(3, "5 6 committed -",
			 R("x", "20.1", 2, "0.0.1") R("y", "10.1", 1, "0.0.2")),
	       CHECK_fractured_forward, 1, 1);
	/* The other direction. */
	expect(OLD NEW T(3, "5 6 committed -",
			 R("y", "10.1", 1, "0.0.2") R("x", "20.1", 2, "0.0.1")),
	       CHECK_fractured_backward, 1, 1);
	/* A transaction that aborts must not see it either. */
	expect(OLD NEW T(3, "5 6 aborted -", R("y", "10.1", 1, "0.0.2") R("x", "20.1", 2, "0.0.1")),
	       CHECK_fractured_backward, 1, 1);
	/* y had no value at all yet. */
	expect(NEW T(3, "5 6 committed -", R("x", "20.1", 2, "0.0.1") NONE("y")),
	       CHECK_fractured_forward, 1, 1);
	/* NEW deleted y; an older y is fractured. */
	expect(OLD T(2, "3 4 committed 20.1", W("x", "0.0.1") D("y", "0.0.2")) T(
		       3, "5 6 committed -", R("x", "20.1", 2, "0.0.1") R("y", "10.1", 1, "0.0.2")),
	       CHECK_fractured_forward, 1, 1);
	/* Only the origin tells the versions apart. */
	expect(T(1, "1 2 committed 10.1", W("y", "0.0.2"))
		       T(2, "3 4 committed 10.2", W("x", "0.0.1") W("y", "0.0.2"))
			       T(3, "5 6 committed -",
				 R("x", "10.2", 2, "0.0.1") R("y", "10.1", 1, "0.0.2")),
	       CHECK_fractured_forward, 1, 1);
	/* Two readers, three pairs. */
	expect(T(1, "1 2 committed 10.1", W("x", "0.0.1") W("y", "0.0.2") W("z", "0.0.3"))
		       T(2, "3 4 committed 20.1", W("x", "0.0.1") W("y", "0.0.2") W("z", "0.0.3"))
			       T(3, "5 6 committed -",
				 R("x", "20.1", 2, "0.0.1") R("y", "10.1", 1, "0.0.2")
					 R("z", "10.1", 1, "0.0.3"))
				       T(4, "5 6 committed -",
					 R("z", "20.1", 2, "0.0.3") R("y", "10.1", 1, "0.0.2")),
	       CHECK_fractured_forward, 2, 3);
}

static void not_fractured(void **state)
{
	clean(OLD NEW T(3, "5 6 committed -",
			R("x", "20.1", 2, "0.0.1") R("y", "20.1", 2, "0.0.2")));
	clean(OLD NEW T(3, "5 6 committed -",
			R("x", "10.1", 1, "0.0.1") R("y", "10.1", 1, "0.0.2")));
	/* NEW did not write y. */
	clean(OLD T(2, "3 4 committed 20.1", W("x", "0.0.1")) T(
		3, "5 6 committed -", R("x", "20.1", 2, "0.0.1") R("y", "10.1", 1, "0.0.2")));
	/* y is newer than x: allowed. */
	clean(OLD T(2, "3 4 committed 20.1", W("y", "0.0.2")) T(
		3, "5 6 committed -", R("x", "10.1", 1, "0.0.1") R("y", "20.1", 2, "0.0.2")));
	/* y was deleted later. */
	clean(NEW T(4, "5 6 committed 30.1", D("y", "0.0.1"))
		      T(3, "7 8 committed -", R("x", "20.1", 2, "0.0.1") NONE("y")));
	/* NEW deleted y itself. */
	clean(T(2, "3 4 committed 20.1", W("x", "0.0.1") D("y", "0.0.2"))
		      T(3, "5 6 committed -", R("x", "20.1", 2, "0.0.1") NONE("y")));
	/* Different transactions may see different things. */
	clean(OLD NEW T(3, "5 6 committed -", R("x", "20.1", 2, "0.0.1"))
		      T(4, "5 6 committed -", R("y", "10.1", 1, "0.0.2")));
	/* The reader's own write of y is no read. */
	clean(OLD NEW T(3, "5 6 committed 30.1",
			R("x", "20.1", 2, "0.0.1") W("y", "0.0.2") R("y", "-", 3, "0.0.2")));
	/* The attempt of NEW that took effect did not write y. */
	clean(OLD "T " ID(2) " c all 0 3 4 failed - w,x,0.0.1,0 w,y,0.0.2,0\n"
			     "T " ID(2) " c all 1 5 6 committed 20.1 w,x,0.1.1,0\n" T(
				     3, "7 8 committed -",
				     R("x", "20.1", 2, "0.1.1") R("y", "10.1", 1, "0.0.2")));
}

static void without_versions(void **state)
{
#define OLD_PLAIN T(1, "1 2 committed -", WT("x", "0.0.1", 10) WT("y", "0.0.2", 11))
#define NEW_PLAIN T(2, "3 4 committed -", WT("x", "0.0.1", 20) WT("y", "0.0.2", 21))
	expect(OLD_PLAIN NEW_PLAIN T(3, "5 6 committed -",
				     RT("x", 2, "0.0.1", 20) RT("y", 1, "0.0.2", 11)),
	       CHECK_fractured_forward, 1, 1);
	expect(OLD_PLAIN NEW_PLAIN T(3, "5 6 committed -",
				     RT("y", 1, "0.0.2", 11) RT("x", 2, "0.0.1", 20)),
	       CHECK_fractured_backward, 1, 1);
	clean(OLD_PLAIN NEW_PLAIN T(3, "5 6 committed -",
				    RT("x", 2, "0.0.1", 20) RT("y", 2, "0.0.2", 21)));
	/* 4 wrote y after NEW had begun, but before NEW wrote y: NEW's is the newer one. */
	expect(NEW_PLAIN T(4, "3 4 committed -", WT("y", "0.0.1", 20))
		       T(3, "5 6 committed -", RT("x", 2, "0.0.1", 20) RT("y", 4, "0.0.1", 20)),
	       CHECK_fractured_forward, 1, 1);
	clean(NEW_PLAIN T(4, "3 4 committed -", WT("y", "0.0.1", 22))
		      T(3, "5 6 committed -", RT("x", 2, "0.0.1", 20) RT("y", 4, "0.0.1", 22)));
	/* A writer that died without a line: its tag tells what it meant to write. */
	expect(OLD_PLAIN T(3, "5 6 committed -",
			   " r,x,-," TAG("x", 2, "0.0.1", 20) "y" RT("y", 1, "0.0.2", 11)),
	       CHECK_fractured_forward, 1, 1);
	clean(OLD_PLAIN T(3, "5 6 committed -",
			  " r,x,-," TAG("x", 2, "0.0.1", 20) "z" RT("y", 1, "0.0.2", 11)));
	/* The same, where lines of its first step say nothing of y. */
	expect(OLD_PLAIN S(2, 0, 0, "3 4 open -", WT("x", "0.0.1", 20))
		       T(3, "5 6 committed -",
			 " r,x,-," TAG("x", 2, "0.0.1", 20) "y" RT("y", 1, "0.0.2", 11)),
	       CHECK_fractured_forward, 1, 1);
}

static void read_your_writes(void **state)
{
	clean(T(1, "1 2 committed 10.1", W("x", "0.0.1") R("x", "-", 1, "0.0.1")));
	clean(T(1, "1 2 committed 10.1", W("x", "0.0.1") D("x", "0.0.2") NONE("x")));
	clean(OLD T(3, "5 6 committed 30.1",
		    R("x", "10.1", 1, "0.0.1") W("x", "0.0.2") R("x", "-", 3, "0.0.2")));
	expect(OLD T(3, "5 6 committed 30.1", W("x", "0.0.1") R("x", "10.1", 1, "0.0.1")),
	       CHECK_read_your_writes, 1, 1);
	expect(T(3, "5 6 committed 30.1", W("x", "0.0.1") NONE("x")), CHECK_read_your_writes, 1, 1);
	expect(T(3, "5 6 committed 30.1", W("x", "0.0.1") W("x", "0.0.2") R("x", "-", 3, "0.0.1")),
	       CHECK_read_your_writes, 1, 1);
	expect(T(3, "5 6 committed 30.1", W("x", "0.0.1") D("x", "0.0.2") R("x", "-", 3, "0.0.1")),
	       CHECK_read_your_writes, 1, 1);
	/* Its own write, before it was made. */
	expect(T(3, "5 6 committed 30.1", R("x", "-", 3, "0.0.2") W("x", "0.0.2")),
	       CHECK_read_your_writes, 1, 1);
	/* Steps in lines of their own. */
	clean(S(1, 0, 0, "1 2 open -", W("x", "0.0.1"))
		      S(1, 1, 0, "3 4 committed 10.1", R("x", "-", 1, "0.0.1")));
	expect(OLD S(3, 0, 0, "5 6 open -", W("x", "0.0.1"))
		       S(3, 1, 0, "7 8 committed 30.1", R("x", "10.1", 1, "0.0.1")),
	       CHECK_read_your_writes, 1, 1);
	/* The step that wrote it has no line: nothing can be said. */
	clean(S(1, 1, 0, "3 4 committed 10.1", R("x", "-", 1, "0.0.1")));
	/* A step's later attempt counts, not the first. */
	clean(S(1, 0, 0, "1 2 failed -", W("x", "0.0.1")) S(1, 0, 1, "3 4 open -", W("x", "0.1.1"))
		      S(1, 1, 0, "5 6 committed 10.1", R("x", "-", 1, "0.1.1")));
}

static void repeatable_read(void **state)
{
	clean(OLD NEW T(3, "5 6 committed -",
			R("x", "10.1", 1, "0.0.1") R("x", "10.1", 1, "0.0.1")));
	expect(OLD T(2, "3 4 committed 20.1", W("x", "0.0.1")) T(
		       3, "5 6 committed -", R("x", "10.1", 1, "0.0.1") R("x", "20.1", 2, "0.0.1")),
	       CHECK_repeatable_read, 1, 1);
	expect(OLD T(3, "5 6 committed -", NONE("x") R("x", "10.1", 1, "0.0.1") NONE("x")),
	       CHECK_repeatable_read, 1, 2);
	/* Across steps. */
	expect(OLD S(3, 0, 0, "5 6 open -", NONE("x"))
		       S(3, 1, 0, "7 8 committed -", R("x", "10.1", 1, "0.0.1")),
	       CHECK_repeatable_read, 1, 1);
	/* Another attempt of the whole transaction may see something else. */
	clean(OLD "T " ID(3) " c all 0 5 6 failed - r,x,-,-\n"
			     "T " ID(3) " c all 1 7 8 committed -" R("x", "10.1", 1, "0.0.1") "\n");
	/* The first attempt of a step is judged after the steps before it, once. */
	expect(OLD S(3, 0, 0, "5 6 open -", NONE("x"))
		       S(3, 1, 0, "7 8 failed -", R("x", "10.1", 1, "0.0.1"))
			       S(3, 1, 1, "9 9 committed -", NONE("x")),
	       CHECK_repeatable_read, 1, 1);
}

static void dirty_and_aborted(void **state)
{
	/* Read before the writer's commit was asked for. */
	expect(T(1, "5 6 committed 10.1", W("x", "0.0.1"))
		       T(2, "1 4 committed -", R("x", "10.1", 1, "0.0.1")),
	       CHECK_dirty_read, 1, 1);
	clean(T(1, "5 6 committed 10.1", W("x", "0.0.1"))
		      T(2, "1 5 committed -", R("x", "10.1", 1, "0.0.1")));
	/* An attempt without an answer may have committed earlier. */
	clean("T " ID(1) " c all 0 2 3 unknown - w,x,0.0.1,0\n"
			 "T " ID(1) " c all 1 5 6 repeated 10.1 w,x,0.1.1,0\n" T(
				 2, "1 4 committed -", R("x", "10.1", 1, "0.0.1")));
	/* Nor need it be the one without an answer: that one may have come when all was over. */
	clean("T " ID(1) " c all 0 1 5 repeated 10.1 w,x,0.0.1,0\n"
			 "T " ID(1) " c all 1 6 7 unknown - w,x,0.1.1,0\n" T(
				 2, "3 4 committed -", R("x", "10.1", 1, "0.0.1")));
	/* The step that commits counts, not the first. */
	expect(S(1, 0, 0, "1 2 open -", W("x", "0.0.1")) S(1, 1, 0, "5 6 committed 10.1", "")
		       T(2, "3 4 committed -", R("x", "10.1", 1, "0.0.1")),
	       CHECK_dirty_read, 1, 1);

	expect(T(1, "1 2 aborted -", W("x", "0.0.1"))
		       T(2, "3 4 committed -", R("x", "10.1", 1, "0.0.1")),
	       CHECK_aborted_read, 1, 1);
	expect(T(1, "1 2 failed -", W("x", "0.0.1"))
		       T(2, "3 4 committed -", R("x", "10.1", 1, "0.0.1")),
	       CHECK_aborted_read, 1, 1);
	clean(T(1, "1 2 unknown -", W("x", "0.0.1"))
		      T(2, "3 4 committed -", R("x", "10.1", 1, "0.0.1")));
	/* A value of the attempt that did not take effect. */
	expect("T " ID(1) " c all 0 1 2 failed - w,x,0.0.1,0\n"
			  "T " ID(1) " c all 1 3 4 committed 10.1 w,x,0.1.1,0\n" T(
				  2, "5 6 committed -", R("x", "10.1", 1, "0.0.1")),
	       CHECK_aborted_read, 1, 1);
	/* In the final state. */
	expect(T(1, "1 2 aborted -", W("x", "0.0.1")) F(R("x", "10.1", 1, "0.0.1")),
	       CHECK_aborted_read, 1, 1);
}

static void intermediate_and_misplaced(void **state)
{
	expect(T(1, "1 2 committed 10.1", W("x", "0.0.1") W("x", "0.0.2"))
		       T(2, "3 4 committed -", R("x", "10.1", 1, "0.0.1")),
	       CHECK_intermediate_read, 1, 1);
	clean(T(1, "1 2 committed 10.1", W("x", "0.0.1") W("x", "0.0.2"))
		      T(2, "3 4 committed -", R("x", "10.1", 1, "0.0.2")));
	/* Overwritten by a later step. */
	expect(S(1, 0, 0, "1 2 open -", W("x", "0.0.1"))
		       S(1, 1, 0, "1 2 committed 10.1", W("x", "1.0.2"))
			       T(2, "3 4 committed -", R("x", "10.1", 1, "0.0.1")),
	       CHECK_intermediate_read, 1, 1);
	/* Deleted by the writer itself. */
	expect(T(1, "1 2 committed 10.1", W("x", "0.0.1") D("x", "0.0.2"))
		       T(2, "3 4 committed -", R("x", "10.1", 1, "0.0.1")),
	       CHECK_intermediate_read, 1, 1);
	expect(OLD T(2, "3 4 committed -", " r,x,10.1," TAG("y", 1, "0.0.2", 0)),
	       CHECK_misplaced_value, 1, 1);
}

static void lost_and_partial(void **state)
{
	clean(OLD F(R("x", "10.1", 1, "0.0.1")) F(R("y", "10.1", 1, "0.0.2")));
	clean(OLD NEW F(R("x", "20.1", 2, "0.0.1")) F(R("y", "20.1", 2, "0.0.2")));
	/* Both keys of NEW fell back. */
	expect(OLD NEW F(R("x", "10.1", 1, "0.0.1")) F(R("y", "10.1", 1, "0.0.2")),
	       CHECK_lost_commit, 1, 2);
	expect(OLD F(NONE("x")) F(NONE("y")), CHECK_lost_commit, 1, 2);
	/* Not acknowledged: may be lost, but not by half. */
	clean(OLD T(2, "3 4 unknown -", W("x", "0.0.1") W("y", "0.0.2"))
		      F(R("x", "10.1", 1, "0.0.1")) F(R("y", "10.1", 1, "0.0.2")));
	clean(OLD T(2, "3 4 unknown -", W("x", "0.0.1") W("y", "0.0.2"))
		      F(R("x", "20.1", 2, "0.0.1")) F(R("y", "20.1", 2, "0.0.2")));
	expect(OLD T(2, "3 4 unknown -", W("x", "0.0.1") W("y", "0.0.2"))
		       F(R("x", "20.1", 2, "0.0.1")) F(R("y", "10.1", 1, "0.0.2")),
	       CHECK_partial_commit, 1, 1);
	/* Superseded by one whose acknowledgement was lost. */
	clean(OLD T(2, "3 4 unknown -", W("x", "0.0.1")) F(R("x", "20.1", 2, "0.0.1"))
		      F(R("y", "10.1", 1, "0.0.2")));
	/* Deletes. */
	clean(OLD T(2, "3 4 committed 20.1", D("x", "0.0.1")) F(NONE("x")));
	clean(OLD T(2, "3 4 unknown -", D("x", "0.0.1")) F(NONE("x")));
	expect(OLD T(2, "3 4 committed 5.1", D("x", "0.0.1")) F(NONE("x")), CHECK_lost_commit, 1,
	       1);
	expect(OLD T(2, "3 4 aborted -", D("x", "0.0.1")) F(NONE("x")), CHECK_lost_commit, 1, 1);
	expect(OLD T(2, "3 4 committed 20.1", D("x", "0.0.1")) F(R("x", "10.1", 1, "0.0.1")),
	       CHECK_lost_commit, 1, 1);
	/* Acknowledged by a repeat. */
	expect("T " ID(1) " c all 0 1 2 unknown - w,x,0.0.1,0\n"
			  "T " ID(1) " c all 1 3 4 repeated 10.1\n" F(NONE("x")),
	       CHECK_lost_commit, 1, 1);
	/* Keys that the final state does not list are not judged. */
	clean(OLD F(R("x", "10.1", 1, "0.0.1")));
	/* Without versions: only what was over before counts as older. */
	expect(T(1, "1 2 committed -", WT("x", "0.0.1", 1))
		       T(2, "3 4 committed -", WT("x", "0.0.1", 3)) F(RT("x", 1, "0.0.1", 1)),
	       CHECK_lost_commit, 1, 1);
	clean(T(1, "1 3 committed -", WT("x", "0.0.1", 1))
		      T(2, "3 4 committed -", WT("x", "0.0.1", 3)) F(RT("x", 1, "0.0.1", 1)));
}

static void duplicate_effects(void **state)
{
	/* Both attempts of a request seen; the first is also one that never committed. */
	struct check *check = judge(
		"T " ID(1) " c all 0 1 2 failed - w,x,0.0.1,0\n"
			   "T " ID(1) " c all 1 3 4 committed 10.1 w,x,0.1.1,0 w,y,0.1.2,0\n" T(
				   2, "5 6 committed -", R("x", "10.1", 1, "0.0.1"))
				   T(3, "5 6 committed -", R("y", "10.1", 1, "0.1.2")));

	assert_int_equal(check->transactions[CHECK_duplicate_effect], 1);
	assert_int_equal(check->pairs[CHECK_duplicate_effect], 1);
	assert_int_equal(check->transactions[CHECK_aborted_read], 1);
	check_destroy(check);
	/* The same with the first attempt left without a line, as a killed process leaves it. */
	check = judge("T " ID(1) " c all 1 3 4 committed 10.1 w,x,0.1.1,0 w,y,0.1.2,0\n" T(
		2, "5 6 committed -", R("x", "10.1", 1, "0.0.1"))
			      T(3, "5 6 committed -", R("y", "10.1", 1, "0.1.2")));
	assert_int_equal(check->transactions[CHECK_duplicate_effect], 1);
	check_destroy(check);

	/* Committed at two versions. */
	expect("T " ID(1) " c all 0 1 2 committed 10.1 w,x,0.0.1,0\n"
			  "T " ID(1) " c all 0 3 4 committed 12.1 w,x,0.0.1,0\n",
	       CHECK_duplicate_effect, 1, 1);
	expect(T(1, "1 2 committed 10.1", W("x", "0.0.1"))
		       T(2, "3 4 committed -", R("x", "11.1", 1, "0.0.1")),
	       CHECK_duplicate_effect, 1, 1);
	clean("T " ID(1) " c all 0 1 2 unknown - w,x,0.0.1,0\n"
			 "T " ID(1) " c all 1 3 4 repeated 10.1 w,x,0.1.1,0\n" T(
				 2, "5 6 committed -", R("x", "10.1", 1, "0.0.1")));
	/* A retry that meets what its dead attempt left. */
	expect("T " ID(1) " c all 1 3 4 committed -" RT("x", 1, "0.0.1", 5)
		       WT("x", "0.1.2", 6) "\n",
	       CHECK_duplicate_effect, 1, 1);
	/* Different steps may be at different attempts. */
	clean(S(1, 0, 2, "1 2 open -", W("x", "0.2.1"))
		      S(1, 1, 0, "3 4 committed 10.1", W("y", "1.0.2"))
			      T(2, "5 6 committed -",
				R("x", "10.1", 1, "0.2.1") R("y", "10.1", 1, "1.0.2")));
}

/* Which of several attempts took effect is not known: nothing may be concluded from one of them. */
static void attempts_in_doubt(void **state)
{
	/* The attempt that wrote x alone may be the one. */
	clean(OLD
	      "T " ID(2) " c all 0 3 4 unknown - w,x,0.0.1,0 w,y,0.0.2,0\n"
			 "T " ID(2) " c all 1 5 6 unknown - w,x,0.1.1,0\n"
				    "T " ID(2) " c all 2 7 8 repeated 20.1\n" T(
					    3, "9 9 committed -",
					    R("x", "20.1", 2, "0.1.1") R("y", "10.1", 1, "0.0.2")));
	/* Both wrote both. */
	expect(OLD
	       "T " ID(2) " c all 0 3 4 unknown - w,x,0.0.1,0 w,y,0.0.2,0\n"
			  "T " ID(2) " c all 1 5 6 unknown - w,x,0.1.1,0 w,y,0.1.2,0\n"
				     "T " ID(2) " c all 2 7 8 repeated 20.1\n" T(
					     3, "9 9 committed -",
					     R("x", "20.1", 2, "0.1.1") R("y", "10.1", 1, "0.0.2")),
	       CHECK_fractured_forward, 1, 1);
	/* A step whose first attempt committed and died before it could say so. */
	clean(S(1, 0, 0, "1 2 open -", W("x", "0.0.1"))
		      S(1, 1, 1, "5 6 repeated 10.1", W("y", "1.1.2"))
			      T(2, "7 8 committed -",
				R("x", "10.1", 1, "0.0.1") R("y", "10.1", 1, "1.0.2")));
}

static void allowed_by_read_atomic(void **state)
{
	struct check *check;

	/* Two read x from OLD and both replace it. */
	check = judge(OLD T(3, "5 6 committed 30.1", R("x", "10.1", 1, "0.0.1") W("x", "0.0.2")) T(
		4, "5 6 committed 31.1", R("x", "10.1", 1, "0.0.1") W("x", "0.0.2")));
	assert_int_equal(check->transactions[CHECK_lost_update], 2);
	assert_int_equal(check->pairs[CHECK_lost_update], 1);
	assert_int_equal(check_anomalies(check), 0);
	check_destroy(check);
	/* One after the other. */
	check = judge(OLD T(3, "5 6 committed 30.1", R("x", "10.1", 1, "0.0.1") W("x", "0.0.2")) T(
		4, "5 6 committed 31.1", R("x", "30.1", 3, "0.0.2") W("x", "0.0.2")));
	assert_int_equal(check->transactions[CHECK_lost_update], 0);
	check_destroy(check);
	/* x replaced at 20, z written at 25: no moment had both. */
	check = judge(OLD T(2, "3 4 committed 20.1", W("x", "0.0.1"))
			      T(4, "3 4 committed 25.1", W("z", "0.0.1"))
				      T(3, "5 6 committed -",
					R("x", "10.1", 1, "0.0.1") R("z", "25.1", 4, "0.0.1")));
	assert_int_equal(check->transactions[CHECK_read_skew], 1);
	assert_int_equal(check_anomalies(check), 0);
	check_destroy(check);
	check = judge(OLD T(2, "3 4 committed 20.1", W("x", "0.0.1"))
			      T(4, "3 4 committed 15.1", W("z", "0.0.1"))
				      T(3, "5 6 committed -",
					R("x", "10.1", 1, "0.0.1") R("z", "15.1", 4, "0.0.1")));
	assert_int_equal(check->transactions[CHECK_read_skew], 0);
	check_destroy(check);
}

static void nothing_judged_in_silence(void **state)
{
	struct check *check =
		judge(OLD T(3, "5 6 committed -", " r,x,9.1,?" R("y", "50.1", 9, "0.0.1"))
			      F(R("x", "10.1", 1, "0.0.1")));

	assert_int_equal(check->reads_unjudged, 2);
	assert_int_equal(check->commits_judged, 1);
	assert_int_equal(check->commits_unjudged, 1);
	assert_int_equal(check->fates[CHECK_COMMITTED], 2);
	assert_int_equal(check->fates[CHECK_UNSEEN], 1);
	check_destroy(check);
	/* A misplaced value in the final state keeps nobody's commit. */
	check = judge(OLD F(" r,x,10.1," TAG("y", 1, "0.0.2", 0)));
	assert_int_equal(check->pairs[CHECK_misplaced_value], 1);
	assert_int_equal(check->commits_judged, 0);
	check_destroy(check);
	check = judge(OLD NEW T(3, "5 6 committed -",
				R("x", "20.1", 2, "0.0.1") R("y", "20.1", 2, "0.0.2")));
	assert_int_equal(check->pairs_judged, 2);
	check_destroy(check);
}

/* Reads a text as a file and returns the complaint. */
static void complaint(const char *text, size_t bytes, char error[256])
{
	char path[] = "/tmp/abaft-check-XXXXXX";
	struct check *check = check_create(3);
	int fd = mkstemp(path);

	assert_int_equal(write(fd, text, bytes), bytes);
	close(fd);
	error[0] = '\0';
	if (check_read(check, path))
		memcpy(error, check->error, 256);
	unlink(path);
	check_destroy(check);
}

static void names_file_and_line(void **state)
{
	char error[256];
	char *text;

	complaint("# note\n" OLD "T what\n", sizeof("# note\n" OLD "T what\n") - 1, error);
	assert_non_null(strstr(error, "/tmp/abaft-check-"));
	assert_non_null(strstr(error, ":3: "));
	complaint("T a\0b\n", 6, error);
	assert_non_null(strstr(error, ":1: "));
	complaint(T(1, "1 2 committed -", " r,%zz,-,-"),
		  strlen(T(1, "1 2 committed -", " r,%zz,-,-")), error);
	assert_non_null(strstr(error, "escaped"));
	complaint("F \n", 3, error);
	assert_non_null(strstr(error, "final"));

	text = malloc(HISTORY_LINE_BYTES_MAX + 10);
	memset(text, '#', HISTORY_LINE_BYTES_MAX + 10);
	text[HISTORY_LINE_BYTES_MAX + 9] = '\n';
	complaint(text, HISTORY_LINE_BYTES_MAX + 10, error);
	assert_non_null(strstr(error, "too long"));
	free(text);
}

static void last_line_may_be_torn(void **state)
{
	struct check *check = judge(OLD "T " ID(2) " c all 0 3 4 comm");

	assert_int_equal(check->torn_lines, 1);
	assert_int_equal(check->fates[CHECK_COMMITTED], 1);
	assert_int_equal(check->fates[CHECK_UNSEEN], 0);
	check_destroy(check);
}

static int command(const char *text, const char *final)
{
	char path[] = "/tmp/abaft-check-XXXXXX", name[] = "check", option[] = "--final";
	char witnesses[] = "-n0", state[] = "/tmp/abaft-check-XXXXXX";
	char *argv[] = {name, witnesses, path, option, state, NULL};
	int fd = mkstemp(path), fd2 = mkstemp(state), code;

	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	assert_int_equal(write(fd2, final, strlen(final)), strlen(final));
	close(fd);
	close(fd2);
	/* The report goes to stdout, where the test's own goes. */
	fflush(stdout);
	fd = dup(1);
	assert_non_null(freopen("/dev/null", "w", stdout));
	code = command_check(5, argv);
	fflush(stdout);
	dup2(fd, 1);
	close(fd);
	unlink(path);
	unlink(state);
	return code;
}

static void exit_codes(void **state)
{
	char name[] = "check", missing[] = "/nonexistent/history";
	char *none[] = {name, NULL}, *absent[] = {name, missing, NULL};

	assert_int_equal(command(OLD, F(R("x", "10.1", 1, "0.0.1"))), 0);
	assert_int_equal(command(OLD, F(NONE("x"))), 1);
	assert_int_equal(command("what\n", ""), 2);
	assert_int_equal(command(OLD, "what\n"), 2);
	assert_int_equal(command_check(1, none), 2);
	assert_int_equal(command_check(2, absent), 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fractured_reads),
		cmocka_unit_test(not_fractured),
		cmocka_unit_test(without_versions),
		cmocka_unit_test(read_your_writes),
		cmocka_unit_test(repeatable_read),
		cmocka_unit_test(dirty_and_aborted),
		cmocka_unit_test(intermediate_and_misplaced),
		cmocka_unit_test(lost_and_partial),
		cmocka_unit_test(duplicate_effects),
		cmocka_unit_test(attempts_in_doubt),
		cmocka_unit_test(allowed_by_read_atomic),
		cmocka_unit_test(nothing_judged_in_silence),
		cmocka_unit_test(names_file_and_line),
		cmocka_unit_test(last_line_may_be_torn),
		cmocka_unit_test(exit_codes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
