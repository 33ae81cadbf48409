// SPDX-License-Identifier: Apache-2.0
/*
 * top_view_test.c - what `abaft top` shows of snapshots made by hand.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/telemetry_tools/made.h"
#include "tools/telemetry/top_view.h"

static struct top_page page;
static struct top_nodes nodes;
static struct top_settings settings;

/* One node that was read twice, two seconds apart: the tests fill in what happened. */
static int make(void **state)
{
	struct top_node *node = &nodes.node[0];

	memset(&nodes, 0, sizeof(nodes));
	settings = (struct top_settings){
		.interval_s = 1, .clock = "13:57:46", .columns = 120, .rows = 0};
	nodes.count = 1;
	snprintf(node->path, sizeof(node->path), "/sys/fs/bpf/abaft");
	node->before = made_snapshot(2);
	node->before_ns = 1000000000;
	node->now = made_later(node->before);
	node->now_ns = 3000000000;
	return 0;
}

static int unmake(void **state)
{
	for (unsigned int i = 0; i < nodes.count; i++) {
		free(nodes.node[i].now);
		free(nodes.node[i].before);
		free(nodes.node[i].change);
	}
	return 0;
}

static void view(void)
{
	top_node_take(&nodes.node[0]);
	top_view(&page, &nodes, &settings);
}

static struct scrape_worker *now(uint32_t worker)
{
	return &nodes.node[0].now->worker[worker];
}

static struct scrape_worker *before(uint32_t worker)
{
	return &nodes.node[0].before->worker[worker];
}

static void rates(void **state)
{
	before(0)->worker.requests = 1000000;
	now(0)->worker.requests = 1024690;
	now(0)->worker.answers = 20000;
	now(1)->worker.requests = 310;
	now(0)->worker.handed_over = 12500;
	now(0)->ops.get.count = 500;
	now(1)->ops.get_part.count = 100;
	now(0)->ops.put.count = 80;
	now(0)->ops.delete.count = 6;
	now(0)->ops.commit.count = 40;
	now(0)->ops.abort.count = 4;
	now(0)->node.commits = 30;
	now(0)->node.expired = 2;
	now(0)->node.txns_open = 17;
	view();
	made_shows(&page, "13:57:46  every 1s  overview  1 node\n");
	made_shows(&page, "abaft: the last 2 s\n");
	made_shows(&page, "node          3  pid 1234  workers 2  port afxdp:lo  udp 7400");
	made_shows(&page, "in 12.5k/s  answers 10k/s  handed over 50%  hand-over full 0/s");
	made_shows(&page, "get 300/s  put 40/s  delete 3/s  commit 20/s  abort 2/s\n");
	made_shows(&page, "commits 15/s  read-only 0/s  aborts 0/s  expired 1/s  open 17");
	assert_string_equal(made_line(&page, "abaft  "),
			    "abaft                    running   12.5k        15            -"
			    "            -          0              ok   1h00m     1234");
}

static void percentiles(void **state)
{
	made_add(&before(0)->histogram[HISTOGRAM_service], 80000000, 1000);
	*now(0) = *before(0);
	made_add(&now(0)->histogram[HISTOGRAM_service], 2000, 198);
	made_add(&now(1)->histogram[HISTOGRAM_service], 64000000, 2);
	view();
	/* 200 in 2 s; the thousand before them are not there. */
	assert_string_equal(made_line(&page, "service "),
			    "service             100      2us      2us      2us     64ms     64ms");
	assert_string_equal(made_line(&page, "engine_call"),
			    "engine_call           0        -        -        -        -        -");
}

static void log_device(void **state)
{
	now(0)->log.group_bytes = 3000000;
	now(0)->log.groups = 1000;
	now(0)->log.records = 4500;
	now(0)->log.segments = 12;
	made_add(&now(0)->histogram[HISTOGRAM_log_depth], 2, 10);
	view();
	made_shows(&page, "ok  1.5MB/s  groups 500/s  records a group 4.5  depth p50 2  max 2");
	now(1)->log.stalled_us = 2300000;
	view();
	made_shows(&page, "log           STALLED 2.3s");
	now(1)->log.error = EIO;
	view();
	made_shows(&page, "log           FAILED EIO");
	now(1)->log.error = now(1)->log.stalled_us = 0;
	now(1)->log.no_room = ENOSPC;
	view();
	made_shows(&page, "log           NO ROOM ENOSPC");
}

static void engine(void **state)
{
	struct telemetry_engine *is = &nodes.node[0].now->engine;

	view();
	made_lacks(&page, "engine        ");
	nodes.node[0].before->has_engine = nodes.node[0].now->has_engine = true;
	memcpy(is->name, "redis", sizeof("redis"));
	is->round_trips = 1000;
	is->puts = 800;
	is->put_bytes = 3000000;
	is->gets = 200;
	is->get_bytes = 600000;
	is->retries = 4;
	is->open = 7;
	view();
	made_shows(&page,
		   "engine        redis  ok  requests 500/s  puts 400/s  1.5MB/s  gets 100/s  "
		   "300kB/s");
	made_shows(&page, "retries 2/s  throttled 0/s  open 7\n");
	is->failing_us = 12000000;
	is->lag_bytes = 5000000;
	is->error = ECONNREFUSED;
	view();
	made_shows(&page, "engine        redis  FAILS ECONNREFUSED since 12s");
	made_shows(&page, "lacks 5MB\n");
}

static void refusals_by_reason(void **state)
{
	now(0)->node.refused_unknown = 20;
	now(1)->node.refused_skew = 4;
	now(0)->node.busy_log = 600;
	now(0)->worker.drop_checksum = 10;
	now(0)->ops.put.errors.TOO_LARGE = 8;
	view();
	made_shows(&page, "refused       all 12/s  refused_unknown 10/s  refused_skew 2/s\n");
	made_shows(&page, "busy          all 300/s  busy_log 300/s\n");
	made_shows(&page, "frames dropped 5/s");
	settings.view = TOP_DROPS;
	view();
	assert_string_equal(
		made_line(&page, "refused_unknown"),
		"refused_unknown                 10      20  operations on transactions "
		"not held here");
	assert_string_equal(
		made_line(&page, "busy_log"),
		"busy_log                       300     600  BUSY: no room in the log's "
		"groups");
	assert_string_equal(
		made_line(&page, "drop_checksum"),
		"drop_checksum                    5      10  frames with a wrong checksum");
	assert_string_equal(made_line(&page, "PUT TOO_LARGE"),
			    "PUT TOO_LARGE                    4       8  a key, value, packet or "
			    "transaction is over its limit");
	made_lacks(&page, "refused_magic");
	made_shows(&page, "XDP  not watched\n");
}

static void steer(void **state)
{
	nodes.node[0].before->has_steer = nodes.node[0].now->has_steer = true;
	nodes.node[0].now->steer.redirected = 2000;
	nodes.node[0].now->steer_bytes.redirected = 300000;
	nodes.node[0].now->steer.pass_not_ip = 6;
	nodes.node[0].now->steer.drop_magic = 14;
	nodes.node[0].now->tenants = 1;
	nodes.node[0].now->tenant[0] = (struct scrape_tenant){7, {2000, 300000}};
	view();
	made_shows(&page, "xdp           to workers 1k/s  150kB/s  to the kernel 3/s  dropped 7/s  "
			  "drop_magic 7/s\n");
	settings.view = TOP_DROPS;
	view();
	made_shows(&page, "redirected                      1k      2k     150kB  ours, handed to");
	made_shows(&page, "drop_magic                       7      14");
	made_shows(&page, "9 reasons never came\n");
	made_shows(&page, "tenant 7                        1k     150kB\n");
}

static void kernel_side(void **state)
{
	struct snapshot *snapshot = nodes.node[0].now;

	view();
	made_shows(&page, "threads       run delay not watched  preempted not watched\n");
	made_shows(&page, "thieves       not watched\n");
	made_shows(&page, "softirqs      not watched\n");
	snapshot->has_kernel[HISTOGRAM_run_delay] = true;
	snapshot->has_thieves = snapshot->has_softirqs = true;
	made_add(&now(1)->kernel[HISTOGRAM_run_delay], 1000, 10);
	snapshot->thieves = 1;
	snapshot->thief[0] =
		(struct scrape_thief){{1, 77}, {.comm = "kworker/0:1", .count = 3, .ns = 12000000}};
	snapshot->cpus = 1;
	snapshot->softirqs[0].cpu = 1;
	snapshot->softirqs[0].softirqs.net_rx.ns = 500000000;
	snapshot->softirqs[0].softirqs.timer.ns = 100000000;
	view();
	made_shows(&page, "threads       run delay 5/s  p99 1us  max 1us  preempted not watched\n");
	made_shows(&page, "thieves       kworker/0:1 12ms of worker 1\n");
	made_shows(&page, "softirqs      cpu1  30%, most net_rx\n");
	settings.view = TOP_LATENCY;
	view();
	assert_string_equal(
		made_line(&page, "run_delay"),
		"run_delay             5      1us      1us      1us      1us      1us  a "
		"worker's thread: from wake-up to running");
	made_shows(&page, "preempted           not  watched");
}

static void workers(void **state)
{
	settings.view = TOP_WORKERS;
	now(0)->worker.requests = 200;
	now(1)->worker.requests = 600;
	now(1)->node.txns_open = 5;
	now(1)->node.busy_txns = 2;
	view();
	assert_string_equal(made_line(&page, "0  "),
			    "0          100         0       0       0       0         0        0"
			    "          0       0          0       0         0");
	assert_string_equal(made_line(&page, "1  "),
			    "1          300         0       0       0       0         0        0"
			    "          0       5          0       1         0");
	assert_string_equal(made_line(&page, "all"),
			    "all        400         0       0       0       0         0        0"
			    "          0       5          0       1         0");
}

static void dead(void **state)
{
	before(0)->worker.requests = now(0)->worker.requests = 5000;
	made_add(&now(0)->histogram[HISTOGRAM_service], 2000, 7);
	*before(0) = *now(0);
	nodes.node[0].now->alive = false;
	view();
	made_shows(&page, "abaft                       DEAD       -");
	made_shows(&page, "abaft is DEAD: process 1234 ended; its last values, since its start:\n");
	/* Not a rate of 0: what it did while it lived. */
	made_shows(&page, "requests      in 5k  answers 0");
	made_shows(&page, "service               -      2us");
	assert_int_equal(nodes.node[0].state, TOP_DEAD);
}

static void gone(void **state)
{
	view();
	nodes.node[0].state = TOP_GONE;
	top_view(&page, &nodes, &settings);
	made_shows(&page, "abaft is GONE, stopped or being restarted: its last values");
}

/* Never read: no numbers, no crash, the reason. */
static void unreadable(void **state)
{
	free(nodes.node[0].now);
	nodes.node[0].now = NULL;
	nodes.node[0].state = TOP_UNREADABLE;
	snprintf(nodes.node[0].why, sizeof(nodes.node[0].why), "needs root");
	for (int v = TOP_OVERVIEW; v <= TOP_HELP; v++) {
		settings.view = (enum top_view)v;
		top_view(&page, &nodes, &settings);
		made_shows(&page, "UNREADABLE");
	}
	settings.view = TOP_OVERVIEW;
	top_view(&page, &nodes, &settings);
	made_shows(&page, "abaft cannot be read: needs root\n");
}

static void restarted(void **state)
{
	before(0)->worker.requests = 900000;
	now(0)->worker.requests = 100;
	top_node_take(&nodes.node[0]);
	nodes.node[0].now->node.pid = 4321;
	view();
	made_shows(&page, "restarted 1 time while it was looked at\n");
	made_shows(&page, "requests      in 100  answers 0");
	made_lacks(&page, "BACK");
}

static void counters_went_back(void **state)
{
	before(0)->worker.requests = 900000;
	now(0)->worker.requests = 100;
	view();
	made_shows(&page, "counters went BACK: these count as 0 in this interval\n");
	made_shows(&page, "requests      in 0/s");
}

/* Every view in every window: no line beyond it, and what matters most is in sight. */
static void windows(void **state)
{
	static const unsigned int sizes[][2] = {{40, 10}, {20, 3}, {80, 24}, {200, 60}, {1, 1}};

	now(0)->worker.requests = 200;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		settings.columns = sizes[i][0];
		settings.rows = sizes[i][1];
		for (int v = TOP_OVERVIEW; v <= TOP_HELP; v++) {
			settings.view = (enum top_view)v;
			view();
			assert_in_range(page.lines, 1, TOP_LINES_MAX);
			for (unsigned int l = 0; l < page.lines; l++)
				assert_in_range(page.line[l].length, 0, page.columns);
			assert_true(page.head <= 2 + settings.rows / 4 + 1);
		}
	}
	settings.columns = 40;
	settings.rows = 10;
	settings.view = TOP_OVERVIEW;
	view();
	assert_string_equal(made_line(&page, "> abaft"),
			    "> abaft                  running     100");
	for (unsigned int l = 0; l < 10; l++)
		assert_true(page.line[l].length <= 40);
	assert_non_null(strstr(made_text(&page), "\nrequests  in 100/s"));
}

static void help_and_pause(void **state)
{
	settings.view = TOP_HELP;
	settings.rows = 40;
	settings.paused = true;
	view();
	made_shows(&page, "PAUSED");
	made_shows(&page, "q          quit");
	made_shows(&page, "? help");
}

/* Of many nodes the list shows a window around the chosen one, of which the details are. */
static void many_nodes(void **state)
{
	for (unsigned int i = 1; i < 30; i++) {
		struct top_node *node = &nodes.node[i];

		snprintf(node->path, sizeof(node->path), "/sys/fs/bpf/other-%u", i);
		node->state = TOP_GONE;
		snprintf(node->why, sizeof(node->why), "because");
	}
	nodes.count = 30;
	settings.rows = 40;
	settings.chosen = 25;
	view();
	assert_int_equal(page.head, 12);
	made_shows(&page, "> other-25");
	made_shows(&page, "  other-16");
	made_lacks(&page, "  other-15");
	made_shows(&page, "other-25 is GONE, stopped or being restarted: because\n");
	made_lacks(&page, "requests  ");
	/* As plain text all of them, in turn. */
	settings.rows = 0;
	view();
	made_shows(&page, "other-1 is GONE");
	made_shows(&page, "other-29 is GONE");
	made_shows(&page, "requests      in 0/s");
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, make, unmake)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(rates),   CASE(percentiles),    CASE(log_device), CASE(refusals_by_reason),
		CASE(steer),   CASE(kernel_side),    CASE(workers),    CASE(dead),
		CASE(gone),    CASE(unreadable),     CASE(restarted),  CASE(counters_went_back),
		CASE(windows), CASE(help_and_pause), CASE(many_nodes), CASE(engine),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
