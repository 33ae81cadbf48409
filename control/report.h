/* SPDX-License-Identifier: Apache-2.0 */
/*
 * report.h - what the daemon tells people and programs: lines on standard error by level, as text
 * or as JSON, and its state to the service manager that started it. report(), report_event()
 * and report_status(): any thread; the others: the main thread.
 *
 * A line is one write(), so that lines of several threads never mix. Text is
 *
 *	abaftd: warning: what happened, to what, and what to do
 *
 * and JSON is an object of "time" (UTC, milliseconds), "level", "node", "event" where there is a
 * name for what happened, and "message":
 *
 *	{"time":"2026-11-29T14:00:00.123Z","level":"info","node":0,"event":"stopped",
 *	 "message":"stopped"}
 *
 * Events are stable: ready, stopping, stopped, failed (it could not start), fault and recovered (of
 * the disk or the storage engine), hung and going (of a worker).
 */
#ifndef ABAFT_CONTROL_REPORT_H
#define ABAFT_CONTROL_REPORT_H

#include <stdbool.h>
#include <stdint.h>

/* Longest message; what is longer is cut. */
#define REPORT_TEXT_BYTES 1024

enum report_level { REPORT_ERROR, REPORT_WARNING, REPORT_INFO, REPORT_DEBUG };

struct report {
	enum report_level level; /* and what is worse */
	bool json;
	uint32_t node; /* its number, for JSON */
};

/* The level named by config's log-level; INFO if it is none. */
enum report_level report_level_of(const char *name);
void report(const struct report *report, enum report_level level, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/* The same, of an event of the list above. */
void report_event(const struct report *report, enum report_level level, const char *event,
		  const char *format, ...) __attribute__((format(printf, 4, 5)));

/* Tells systemd (if NOTIFY_SOCKET is set) that the daemon is ready, or that it stops. As JSON a
 * line says so, too; as text standard output has one for ready. */
void report_ready(const struct report *report, const char *status);
/* Whether it wants signs of life (WatchdogSec=), and how often at least; 0: it does not. */
uint64_t report_watchdog_us(const struct report *report);
void report_alive(void);
/* What systemctl status shows; whoever waits for a start or a stop waits longer. */
void report_status(const char *status);
void report_stopping(const struct report *report, const char *why);

#endif
