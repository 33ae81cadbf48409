/* SPDX-License-Identifier: Apache-2.0 */
/*
 * report.h - what the daemon tells people: lines on standard error by level, and its state to the
 * service manager that started it. report(): any thread; the others: the main thread.
 */
#ifndef ABAFT_CONTROL_REPORT_H
#define ABAFT_CONTROL_REPORT_H

#include <stdint.h>

enum report_level { REPORT_ERROR, REPORT_WARNING, REPORT_INFO, REPORT_DEBUG };

struct report {
	enum report_level level; /* and what is worse */
};

/* The level named by config's log-level; INFO if it is none. */
enum report_level report_level_of(const char *name);
void report(const struct report *report, enum report_level level, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* Tells systemd (if NOTIFY_SOCKET is set) that the daemon is ready, or that it stops. */
void report_ready(const char *status);
void report_stopping(void);

#endif
