/* SPDX-License-Identifier: Apache-2.0 */
/*
 * json.h - a snapshot as JSON: what `abaft stats --json` prints and `abaft report` reads.
 *
 *	{"time": UNIX SECONDS, "pin_dir": "...", "alive": true,
 *	 "node": {"layout", "pid", "started", "node", "workers", "udp_port", "version",
 *		  "port", "data_dir"},
 *	 "workers": [{"worker": 0,
 *		      "counters": {packet path}, "core": {transactions}, "log": {commit log},
 *		      "ops": {"get": {"count", "bytes", "errors": {only those that came}}, ...},
 *		      "histograms": {"service": {"unit": "ns", "count", "sum", "max", "p50", "p90",
 *						 "p99", "p99.9", "buckets": [[low, end, count]]}},
 *		      "kernel": {histograms of BPF programs that were loaded}}],
 *	 "total": {a worker's shape, summed},
 *	 "steer": {"packets": {}, "bytes": {}, "tenants": [{"tenant", "packets", "bytes"}]},
 *	 "thieves": [{"worker", "pid", "comm", "count", "ns"}],
 *	 "softirqs": [{"cpu", "net_rx": {"count", "ns"}, ...}]}
 *
 * Names are telemetry.h's. `steer`, `thieves` and `softirqs` are null where no BPF program counts.
 */
#ifndef ABAFT_TELEMETRY_JSON_H
#define ABAFT_TELEMETRY_JSON_H

#include <cjson/cJSON.h>
#include <stdbool.h>

#include "telemetry/scrape.h"

/* `buckets`: those that are not empty, each from `low` up to but not including `end`. NULL: out of
 * memory. cJSON_Delete() frees it. */
cJSON *snapshot_json(const struct snapshot *snapshot, const char *pin_dir, bool buckets);

#endif
