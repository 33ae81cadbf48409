// SPDX-License-Identifier: Apache-2.0
/*
 * top_nodes_test.c - nodes that come, die, restart and go, before a scrape.h that the test plays
 * (the linker puts these functions in the place of the real ones: meson.build).
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
#include "tools/telemetry/top_nodes.h"

#define SECOND UINT64_C(1000000000)

/* What stands in the one folder there is. */
static struct folder {
	bool found;	/* by a search */
	int open_error; /* 0: can be opened */
	int read_error;
	uint32_t run; /* of its maps; others are outdated */
	uint32_t workers;
	bool alive;
	uint64_t requests;
} folder;

struct scrape {
	uint32_t run;
	uint32_t workers;
};

static int opened; /* and not closed */
static struct top_nodes nodes;

uint32_t __wrap_scrape_find(const char *root, char paths[][SCRAPE_PATH_BYTES], uint32_t max);
int __wrap_scrape_open(struct scrape **out, const char *pin_dir, char *why);
void __wrap_scrape_close(struct scrape *scrape);
bool __wrap_scrape_outdated(const struct scrape *scrape);
struct snapshot *__wrap_scrape_alloc(const struct scrape *scrape);
int __wrap_scrape_read(struct scrape *scrape, struct snapshot *out, char *why);

uint32_t __wrap_scrape_find(const char *root, char paths[][SCRAPE_PATH_BYTES], uint32_t max)
{
	if (folder.found)
		snprintf(paths[0], SCRAPE_PATH_BYTES, "%s/found", root);
	return folder.found;
}

int __wrap_scrape_open(struct scrape **out, const char *pin_dir, char *why)
{
	if (folder.open_error) {
		snprintf(why, SCRAPE_WHY_BYTES, "cannot be opened");
		return folder.open_error;
	}
	*out = malloc(sizeof(**out));
	assert_non_null(*out);
	**out = (struct scrape){.run = folder.run, .workers = folder.workers};
	opened++;
	return 0;
}

void __wrap_scrape_close(struct scrape *scrape)
{
	free(scrape);
	opened--;
}

bool __wrap_scrape_outdated(const struct scrape *scrape)
{
	return scrape->run != folder.run || folder.open_error == -ENOENT;
}

struct snapshot *__wrap_scrape_alloc(const struct scrape *scrape)
{
	return made_snapshot(scrape->workers);
}

int __wrap_scrape_read(struct scrape *scrape, struct snapshot *out, char *why)
{
	if (folder.read_error) {
		snprintf(why, SCRAPE_WHY_BYTES, "cannot be read");
		return folder.read_error;
	}
	assert_int_equal(out->workers, scrape->workers);
	out->node.pid = 1000 + scrape->run;
	out->alive = folder.alive;
	out->worker[0].worker.requests = folder.requests;
	return 0;
}

static int make(void **state)
{
	folder = (struct folder){.found = true, .run = 1, .workers = 2, .alive = true};
	nodes.root = "/bpf";
	return 0;
}

static int unmake(void **state)
{
	top_nodes_close(&nodes);
	assert_int_equal(opened, 0);
	return 0;
}

static const struct top_node *node(void)
{
	assert_int_equal(nodes.count, 1);
	return &nodes.node[0];
}

static uint64_t rate(void)
{
	return (uint64_t)top_change_rate(node()->change, node()->change->total.worker.requests);
}

static void rates_from_the_second_read_on(void **state)
{
	folder.requests = 5000;
	top_nodes_read(&nodes, SECOND);
	assert_string_equal(node()->path, "/bpf/found");
	assert_int_equal(node()->state, TOP_RUNNING);
	assert_true(node()->change->seconds == 0);
	folder.requests = 5600;
	top_nodes_read(&nodes, 3 * SECOND);
	assert_int_equal(rate(), 300);
	folder.requests = 5700;
	top_nodes_read(&nodes, 4 * SECOND);
	assert_int_equal(rate(), 100);
}

/* Found later than the first look, by its search. */
static void comes_later(void **state)
{
	folder.found = false;
	top_nodes_read(&nodes, SECOND);
	assert_int_equal(nodes.count, 0);
	folder.found = true;
	top_nodes_read(&nodes, 2 * SECOND);
	assert_int_equal(node()->state, TOP_RUNNING);
}

static void dies_and_keeps_its_numbers(void **state)
{
	folder.requests = 5000;
	top_nodes_read(&nodes, SECOND);
	folder.alive = false;
	top_nodes_read(&nodes, 2 * SECOND);
	assert_int_equal(node()->state, TOP_DEAD);
	assert_true(node()->change->seconds == 0);
	assert_int_equal(node()->change->total.worker.requests, 5000);
	/* Dead ones are not forgotten while their maps are there. */
	top_nodes_read(&nodes, 2 * SECOND + 2 * TOP_GONE_NS);
	assert_int_equal(node()->state, TOP_DEAD);
}

/* Other maps, with another number of workers; never a rate over both runs. */
static void restarts(void **state)
{
	folder.requests = 5000;
	top_nodes_read(&nodes, SECOND);
	top_nodes_read(&nodes, 2 * SECOND);
	assert_int_equal(node()->restarts, 0);
	folder.run = 2;
	folder.workers = 4;
	folder.requests = 6000;
	top_nodes_read(&nodes, 3 * SECOND);
	assert_int_equal(node()->state, TOP_RUNNING);
	assert_int_equal(node()->restarts, 1);
	assert_int_equal(node()->now->workers, 4);
	assert_true(node()->change->seconds == 0);
	folder.requests = 6020;
	top_nodes_read(&nodes, 4 * SECOND);
	assert_int_equal(rate(), 20);
	assert_int_equal(node()->restarts, 1);
	assert_int_equal(opened, 1);
}

/* Pins that come one by one, all of one run, are one restart. */
static void half_started(void **state)
{
	top_nodes_read(&nodes, SECOND);
	folder.run = 2;
	folder.open_error = -ENOENT;
	top_nodes_read(&nodes, 2 * SECOND);
	assert_int_equal(node()->state, TOP_GONE);
	folder.open_error = 0;
	top_nodes_read(&nodes, 3 * SECOND);
	assert_int_equal(node()->restarts, 1);
	assert_int_equal(node()->state, TOP_RUNNING);
}

static void goes(void **state)
{
	folder.requests = 5000;
	top_nodes_read(&nodes, SECOND);
	folder.requests = 5001;
	top_nodes_read(&nodes, 2 * SECOND);
	folder.open_error = -ENOENT;
	folder.found = false;
	top_nodes_read(&nodes, 3 * SECOND);
	assert_int_equal(node()->state, TOP_GONE);
	assert_int_equal(opened, 0);
	/* Its last numbers are there, and are no rates any more. */
	assert_true(node()->change->seconds == 0);
	assert_int_equal(node()->change->total.worker.requests, 5001);
	top_nodes_read(&nodes, 3 * SECOND + TOP_GONE_NS + 1);
	assert_int_equal(nodes.count, 0);
}

static void named_ones_stay(void **state)
{
	nodes.root = NULL;
	folder.open_error = -ENOENT;
	assert_true(top_nodes_name(&nodes, "/bpf/named"));
	top_nodes_read(&nodes, SECOND);
	top_nodes_read(&nodes, 2 * SECOND + TOP_GONE_NS);
	assert_int_equal(node()->state, TOP_GONE);
	assert_string_equal(node()->why, "cannot be opened");
	assert_null(node()->now);
	folder.open_error = 0;
	top_nodes_read(&nodes, 3 * SECOND + TOP_GONE_NS);
	assert_int_equal(node()->state, TOP_RUNNING);
	assert_int_equal(node()->restarts, 0);
}

static void cannot_be_read(void **state)
{
	folder.open_error = -EPERM;
	top_nodes_read(&nodes, SECOND);
	assert_int_equal(node()->state, TOP_UNREADABLE);
	folder.open_error = 0;
	top_nodes_read(&nodes, 2 * SECOND);
	assert_int_equal(node()->state, TOP_RUNNING);
	folder.read_error = -EIO;
	folder.requests = 77;
	top_nodes_read(&nodes, 3 * SECOND);
	assert_int_equal(node()->state, TOP_UNREADABLE);
	assert_string_equal(node()->why, "cannot be read");
	assert_true(node()->change->seconds == 0);
	folder.read_error = 0;
	top_nodes_read(&nodes, 4 * SECOND);
	assert_int_equal(node()->state, TOP_RUNNING);
}

static void bounded(void **state)
{
	char path[SCRAPE_PATH_BYTES + 1];

	nodes.root = NULL;
	for (int i = 0; i < TOP_NODES_MAX; i++) {
		snprintf(path, sizeof(path), "/bpf/%d", i);
		assert_true(top_nodes_name(&nodes, path));
		assert_true(top_nodes_name(&nodes, path)); /* the same again */
	}
	assert_int_equal(nodes.count, TOP_NODES_MAX);
	assert_false(top_nodes_name(&nodes, "/bpf/more"));
	nodes.count = 0;
	memset(path, 'x', sizeof(path) - 1);
	path[sizeof(path) - 1] = '\0';
	assert_false(top_nodes_name(&nodes, path));
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, make, unmake)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(rates_from_the_second_read_on),
		CASE(comes_later),
		CASE(dies_and_keeps_its_numbers),
		CASE(restarts),
		CASE(half_started),
		CASE(goes),
		CASE(named_ones_stay),
		CASE(cannot_be_read),
		CASE(bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
