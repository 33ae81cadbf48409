/* SPDX-License-Identifier: Apache-2.0 */
/*
 * report.c - see report.h.
 */
#include "control/report.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <systemd/sd-daemon.h>

static const char *const names[] = {"error", "warning", "info", "debug"};

enum report_level report_level_of(const char *name)
{
	for (uint32_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strcmp(name, names[i]) == 0)
			return (enum report_level)i;
	return REPORT_INFO;
}

void report(const struct report *report, enum report_level level, const char *format, ...)
{
	char text[1024];
	va_list args;

	if (level > report->level)
		return;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	fprintf(stderr, "abaftd: %s: %s\n", names[level], text);
}

void report_ready(const char *status)
{
	/* 0: nobody listens; an error: nobody can be told. The daemon serves all the same. */
	(void)sd_notifyf(0, "READY=1\nSTATUS=%s", status);
}

void report_stopping(void)
{
	(void)sd_notify(0, "STOPPING=1\nSTATUS=draining commits");
}
