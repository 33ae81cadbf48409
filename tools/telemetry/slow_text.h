/* SPDX-License-Identifier: Apache-2.0 */
/*
 * slow_text.h - a slow transaction as a line, for people or as JSON.
 *
 * Pure but for the time zone. Any thread.
 */
#ifndef ABAFT_TOOLS_TELEMETRY_SLOW_TEXT_H
#define ABAFT_TOOLS_TELEMETRY_SLOW_TEXT_H

#include <stddef.h>
#include <stdint.h>

#include <abaft/telemetry.h>

#define SLOW_LINE_BYTES 512

/* How long the request took in the node, in ns: all phases but `open`. By this time a node calls it
 * slow. */
uint64_t slow_total_ns(const struct slow_txn *txn);
/* Fills `line`, SLOW_LINE_BYTES of it, without an end of line: when it was answered (local time),
 * id, worker, step and attempt, operations, status and whether it ended the transaction, how long
 * the transaction was open before, the total, and the phases that took any time. */
void slow_line(const struct slow_txn *txn, char *line);
/*
 * One object, in memory that the caller frees; NULL: none left. `lost`: how many before this one
 * were overwritten, left out if 0.
 *	{"unix_us", "worker", "id", "step", "attempt", "ops", "status", "ended",
 *	 "request_bytes", "answer_bytes", "total_ns", "phases_ns": {"open", ...}, "lost"}
 */
char *slow_json(const struct slow_txn *txn, uint64_t lost);

#endif
