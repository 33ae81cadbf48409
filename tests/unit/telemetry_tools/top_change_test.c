// SPDX-License-Identifier: Apache-2.0
/*
 * top_change_test.c - what happened between two snapshots, and only that.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/telemetry_tools/made.h"
#include "tools/telemetry/top_change.h"

static struct snapshot *was, *is;
static struct top_change *change;

static int make(void **state)
{
	was = made_snapshot(2);
	change = top_change_alloc(2);
	assert_non_null(change);
	return 0;
}

static int unmake(void **state)
{
	free(was);
	free(is);
	free(change);
	was = is = NULL;
	return 0;
}

static void counters_are_subtracted(void **state)
{
	was->worker[0].worker.requests = 1000;
	was->worker[0].ops.put.count = 7;
	was->worker[0].ops.put.errors.BUSY = 3;
	was->steer.redirected = 5;
	was->engine.puts = 40;
	was->engine.open = 9;
	is = made_later(was);
	is->worker[0].worker.requests += 500;
	is->worker[1].worker.requests += 100;
	is->worker[0].ops.put.count += 20;
	is->worker[0].ops.put.errors.BUSY += 2;
	is->steer.redirected += 12;
	is->engine.puts += 2;
	is->engine.open = 3;
	top_change_make(change, was, is, 2);
	assert_int_equal(change->added.worker[0].worker.requests, 500);
	assert_int_equal(change->added.worker[1].worker.requests, 100);
	assert_int_equal(change->total.worker.requests, 600);
	assert_int_equal(change->life.worker.requests, 1600);
	assert_int_equal(change->total.ops.put.count, 20);
	assert_int_equal(change->total.ops.put.errors.BUSY, 2);
	assert_int_equal(change->added.steer.redirected, 12);
	assert_int_equal(change->added.engine.puts, 2);
	assert_int_equal(change->added.engine.open, 3);
	assert_true(top_change_rate(change, change->total.worker.requests) == 300);
	assert_false(change->went_back);
}

/* Gauges say what is, also when they fell; states of logs are not added up. */
static void gauges_are_kept(void **state)
{
	was->worker[0].node.txns_open = 90;
	was->worker[1].node.txns_open = 10;
	is = made_later(was);
	is->worker[0].node.txns_open = 30;
	is->worker[0].log.error = 5;
	is->worker[1].log.error = 28;
	is->worker[0].log.stalled_us = 2000000;
	is->worker[1].log.stalled_us = 1000000;
	top_change_make(change, was, is, 1);
	assert_int_equal(change->added.worker[0].node.txns_open, 30);
	assert_int_equal(change->total.node.txns_open, 40);
	assert_int_equal(change->total.log.error, 28);
	assert_int_equal(change->total.log.stalled_us, 2000000);
	assert_false(change->went_back);
}

/* A thousand slow ones before the interval do not show in it. */
static void percentiles_of_the_interval(void **state)
{
	made_add(&was->worker[0].histogram[HISTOGRAM_service], 50000000, 1000);
	is = made_later(was);
	made_add(&is->worker[0].histogram[HISTOGRAM_service], 2000, 99);
	made_add(&is->worker[1].histogram[HISTOGRAM_service], 8000, 1);
	top_change_make(change, was, is, 1);
	assert_int_equal(change->total.histogram[HISTOGRAM_service].count, 100);
	assert_in_range(histogram_quantile(&change->total.histogram[HISTOGRAM_service], 0.99), 1960,
			2040);
	assert_in_range(change->total.histogram[HISTOGRAM_service].max, 7840, 8160);
	assert_in_range(histogram_quantile(&change->life.histogram[HISTOGRAM_service], 0.99),
			49000000, 51000000);
}

static void since_the_start_without_an_earlier(void **state)
{
	is = made_later(was);
	is->worker[0].worker.requests = 500;
	made_add(&is->worker[0].kernel[HISTOGRAM_run_delay], 1000, 4);
	top_change_make(change, NULL, is, 1);
	assert_true(change->seconds == 0);
	assert_int_equal(change->total.worker.requests, 500);
	assert_int_equal(change->total.kernel[HISTOGRAM_run_delay].count, 4);
	assert_true(top_change_rate(change, 500) < 0);
	/* No time between the two: no rate either. */
	top_change_make(change, was, is, 0);
	assert_true(top_change_rate(change, 500) < 0);
}

static void going_back_counts_as_nothing(void **state)
{
	was->worker[0].worker.requests = 1000;
	was->worker[1].node.commits = 10;
	made_add(&was->worker[0].histogram[HISTOGRAM_service], 1000, 10);
	is = made_later(was);
	is->worker[0].worker.requests = 3;
	is->worker[1].node.commits += 5;
	memset(&is->worker[0].histogram[HISTOGRAM_service], 0, sizeof(struct histogram));
	made_add(&is->worker[0].histogram[HISTOGRAM_service], 1000, 2);
	top_change_make(change, was, is, 1);
	assert_true(change->went_back);
	assert_int_equal(change->total.worker.requests, 0);
	assert_int_equal(change->total.node.commits, 5);
	assert_int_equal(change->total.histogram[HISTOGRAM_service].count, 0);
	/* The next interval is right again. */
	top_change_make(change, is, is, 1);
	assert_false(change->went_back);
}

static void add_thief(struct snapshot *snapshot, uint32_t pid, const char *comm, uint64_t ns)
{
	struct scrape_thief *thief = &snapshot->thief[snapshot->thieves++];

	thief->key = (struct thief_key){.worker = 1, .pid = pid};
	memcpy(thief->thief.comm, comm, strlen(comm));
	thief->thief.count = 1;
	thief->thief.ns = ns;
}

/* The greatest of the interval first; by key, wherever they stand. */
static void thieves(void **state)
{
	add_thief(was, 10, "old", 5000000);
	add_thief(was, 20, "both", 1000);
	add_thief(was, 30, "shrunk", 900);
	is = made_snapshot(2);
	add_thief(is, 20, "both", 4000);
	add_thief(is, 10, "old", 5000000);
	is->thief[1].thief.count = 1;
	add_thief(is, 40, "new", 9000);
	add_thief(is, 30, "shrunk", 500);
	top_change_make(change, was, is, 1);
	assert_int_equal(change->added.thieves, 3);
	assert_int_equal(change->added.thief[0].key.pid, 40);
	assert_int_equal(change->added.thief[0].thief.ns, 9000);
	assert_int_equal(change->added.thief[1].key.pid, 20);
	assert_int_equal(change->added.thief[1].thief.ns, 3000);
	assert_int_equal(change->added.thief[2].thief.ns, 500);
	assert_false(change->went_back);
}

static void softirqs_and_tenants(void **state)
{
	was->cpus = 1;
	was->softirqs[0].cpu = 3;
	was->softirqs[0].softirqs.net_rx.ns = 100;
	was->tenants = 1;
	was->tenant[0] = (struct scrape_tenant){7, {100, 1000}};
	is = made_later(was);
	is->cpus = 2;
	is->softirqs[1] = is->softirqs[0];
	is->softirqs[0].softirqs.net_rx.ns = 150;
	is->softirqs[1].cpu = 1;
	is->tenants = 2;
	is->tenant[1] = (struct scrape_tenant){7, {130, 1300}};
	is->tenant[0] = (struct scrape_tenant){2, {1, 10}};
	top_change_make(change, was, is, 1);
	assert_int_equal(change->added.softirqs[0].cpu, 1);
	assert_int_equal(change->added.softirqs[0].softirqs.net_rx.ns, 100);
	assert_int_equal(change->added.softirqs[1].cpu, 3);
	assert_int_equal(change->added.softirqs[1].softirqs.net_rx.ns, 50);
	assert_int_equal(change->added.tenant[0].counter.packets, 1);
	assert_int_equal(change->added.tenant[1].counter.packets, 30);
	assert_int_equal(change->added.tenant[1].counter.bytes, 300);
}

static void runs_are_told_apart(void **state)
{
	struct telemetry_node other = was->node;

	assert_true(top_change_same_run(&was->node, &other));
	other.pid_start++; /* the pid is given again */
	assert_false(top_change_same_run(&was->node, &other));
	other = was->node;
	other.workers = 4;
	assert_false(top_change_same_run(&was->node, &other));
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, make, unmake)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(counters_are_subtracted),	    CASE(gauges_are_kept),
		CASE(percentiles_of_the_interval),  CASE(since_the_start_without_an_earlier),
		CASE(going_back_counts_as_nothing), CASE(thieves),
		CASE(softirqs_and_tenants),	    CASE(runs_are_told_apart),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
