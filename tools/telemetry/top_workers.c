// SPDX-License-Identifier: Apache-2.0
/*
 * top_workers.c - a node's workers, a line each, and their sum.
 */
#include <stdio.h>

#include "tools/telemetry/amount.h"
#include "tools/telemetry/top_view.h"

enum column {
	WORKER,
	REQUESTS,
	ANSWERS,
	GETS,
	PUTS,
	DELETES,
	COMMITS,
	ABORTS,
	EXPIRED,
	OPEN,
	REFUSED,
	BUSY,
	HANDED_OVER,
	HANDOVER_FULL,
	SERVICE_P50,
	SERVICE_P99,
	DURABLE_P50,
	DURABLE_P99,
	LOG_BYTES,
	LOG_GROUPS,
	GROUP_RECORDS,
	LOG_DEPTH,
	DEVICE_P50,
	DEVICE_P99,
	LOG_STATE,
	HELD,
	FROZEN,
	HITS,
	SLEEPS,
	RUN_DELAY_P99,
	PREEMPTED_P99,
	COLUMNS,
};

static const struct top_column columns[COLUMNS] = {
	[WORKER] = {"WORKER", 6},
	[REQUESTS] = {"REQ/S", 6},
	[ANSWERS] = {"ANSWER/S", 8},
	[GETS] = {"GET/S", 6},
	[PUTS] = {"PUT/S", 6},
	[DELETES] = {"DEL/S", 6},
	[COMMITS] = {"COMMIT/S", 8},
	[ABORTS] = {"ABORT/S", 7},
	[EXPIRED] = {"EXPIRED/S", 9},
	[OPEN] = {"OPEN", 6},
	[REFUSED] = {"REFUSED/S", 9},
	[BUSY] = {"BUSY/S", 6},
	[HANDED_OVER] = {"HANDED/S", 8},
	[HANDOVER_FULL] = {"FULL/S", 6},
	[SERVICE_P50] = {"SERVICE P50", 11},
	[SERVICE_P99] = {"P99", 7},
	[DURABLE_P50] = {"DURABLE P50", 11},
	[DURABLE_P99] = {"P99", 7},
	[LOG_BYTES] = {"LOG B/S", 8},
	[LOG_GROUPS] = {"GROUP/S", 7},
	[GROUP_RECORDS] = {"REC/GROUP", 9},
	[LOG_DEPTH] = {"DEPTH", 5},
	[DEVICE_P50] = {"DEVICE P50", 10},
	[DEVICE_P99] = {"P99", 7},
	[LOG_STATE] = {"LOG", 15},
	[HELD] = {"HELD", 6},
	[FROZEN] = {"FROZEN/S", 8},
	[HITS] = {"CACHE HIT", 9},
	[SLEEPS] = {"SLEEP/S", 7},
	[RUN_DELAY_P99] = {"RUN DELAY P99", 13},
	[PREEMPTED_P99] = {"PREEMPTED P99", 13},
};

static const char *kernel_quantile(char *text, const struct top_node *node,
				   const struct scrape_worker *worker,
				   enum kernel_histogram_name name)
{
	if (node->now->has_kernel[name])
		return top_quantile(text, &worker->kernel[name], 0.99, true);
	snprintf(text, TOP_CELL_BYTES, "not watched");
	return text;
}

static const char *hit_share(char *text, const struct node_counters *node)
{
	return amount_share(text, (double)node->cache_hits,
			    (double)(node->cache_hits + node->cache_misses));
}

static const char *group_records(char *text, const struct log_counters *log)
{
	return amount_count(text, log->groups ? (double)log->records / (double)log->groups : -1);
}

static enum top_look worry(char *text, const struct top_change *change, uint64_t added)
{
	top_rate(text, change, added);
	return added && change->seconds > 0 ? TOP_WARN : TOP_PLAIN;
}

static enum top_look number(const struct top_node *node, const struct scrape_worker *worker,
			    enum column column, char *text)
{
	const struct top_change *change = node->change;
	const struct histogram *histogram = worker->histogram;
	const struct op_counters *ops = &worker->ops;

	switch (column) { /* tidy: long switch */
	case REQUESTS:
		top_rate(text, change, worker->worker.requests);
		break;
	case ANSWERS:
		top_rate(text, change, worker->worker.answers);
		break;
	case GETS:
		top_rate(text, change, ops->get.count + ops->get_part.count);
		break;
	case PUTS:
		top_rate(text, change, ops->put.count + ops->put_part.count);
		break;
	case DELETES:
		top_rate(text, change, ops->delete.count);
		break;
	case COMMITS:
		top_rate(text, change, worker->node.commits + worker->node.commits_read_only);
		break;
	case ABORTS:
		top_rate(text, change, worker->node.aborts);
		break;
	case EXPIRED:
		return worry(text, change, worker->node.expired);
	case OPEN:
		amount_count(text, (double)worker->node.txns_open);
		break;
	case REFUSED:
		return worry(text, change, top_refused(&worker->node));
	case BUSY:
		return worry(text, change, top_busy(&worker->node));
	case HANDED_OVER:
		top_rate(text, change, worker->worker.handed_over);
		break;
	case HANDOVER_FULL:
		return worry(text, change, worker->worker.handover_full);
	case SERVICE_P50:
		top_quantile(text, &histogram[HISTOGRAM_service], 0.5, true);
		break;
	case SERVICE_P99:
		top_quantile(text, &histogram[HISTOGRAM_service], 0.99, true);
		break;
	case DURABLE_P50:
		top_quantile(text, &histogram[HISTOGRAM_commit_durable], 0.5, true);
		break;
	case DURABLE_P99:
		top_quantile(text, &histogram[HISTOGRAM_commit_durable], 0.99, true);
		break;
	case LOG_BYTES:
		amount_bytes(text, top_change_rate(change, worker->log.group_bytes));
		break;
	case LOG_GROUPS:
		top_rate(text, change, worker->log.groups);
		break;
	case GROUP_RECORDS:
		group_records(text, &worker->log);
		break;
	case LOG_DEPTH:
		top_quantile(text, &histogram[HISTOGRAM_log_depth], 0.5, false);
		break;
	case DEVICE_P50:
		top_quantile(text, &histogram[HISTOGRAM_log_device], 0.5, true);
		break;
	case DEVICE_P99:
		top_quantile(text, &histogram[HISTOGRAM_log_device], 0.99, true);
		break;
	case LOG_STATE:
		return top_log_state(text, &worker->log);
	case HELD:
		amount_count(text, (double)worker->node.versions_held);
		break;
	case FROZEN:
		return worry(text, change, worker->node.txns_frozen);
	case HITS:
		hit_share(text, &worker->node);
		break;
	case SLEEPS:
		top_rate(text, change, worker->worker.sleeps);
		break;
	case RUN_DELAY_P99:
		kernel_quantile(text, node, worker, HISTOGRAM_run_delay);
		break;
	case PREEMPTED_P99:
		kernel_quantile(text, node, worker, HISTOGRAM_preempted);
		break;
	default:
		break;
	}
	return TOP_PLAIN;
}

static enum top_look cell(const void *context, unsigned int row, unsigned int column, char *text)
{
	const struct top_node *node = context;
	const struct top_change *change = node->change;
	bool all = row == change->added.workers;

	if (column != WORKER)
		return number(node, all ? &change->total : &change->added.worker[row],
			      (enum column)column, text);
	if (all)
		snprintf(text, TOP_CELL_BYTES, "all");
	else
		snprintf(text, TOP_CELL_BYTES, "%u", row);
	return TOP_FAINT;
}

void top_workers(struct top_page *page, const struct top_node *node)
{
	top_page_table(page, columns, COLUMNS, node->change->added.workers + 1, cell, node);
}
