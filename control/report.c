/* SPDX-License-Identifier: Apache-2.0 */
/*
 * report.c - see report.h.
 */
#include "control/report.h"

#include <cJSON.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <systemd/sd-daemon.h>
#include <time.h>
#include <unistd.h>

/* Of a line of JSON: each byte of a message may become six. */
#define LINE_BYTES (6 * REPORT_TEXT_BYTES + 256)

/* Twice what lies between two reports of a wait. */
#define PATIENCE_US "10000000"

static const char *const names[] = {"error", "warning", "info", "debug"};

enum report_level report_level_of(const char *name)
{
	for (uint32_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strcmp(name, names[i]) == 0)
			return (enum report_level)i;
	return REPORT_INFO;
}

/* Who reads it may be slow, but is not waited for when he is gone. */
static void write_line(const char *line, size_t bytes)
{
	while (bytes > 0) {
		ssize_t n = write(STDERR_FILENO, line, bytes);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return;
		line += n;
		bytes -= (size_t)n;
	}
}

/* The bytes of the UTF-8 character at text, 0: it is none. */
static size_t utf8_bytes(const unsigned char *text)
{
	static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
	size_t bytes = text[0] < 0x80	 ? 1
		       : text[0] >= 0xf0 ? 4
		       : text[0] >= 0xe0 ? 3
		       : text[0] >= 0xc0 ? 2
					 : 0;
	uint32_t code = text[0] & (0x7fu >> bytes);

	if (bytes < 2)
		return bytes;
	for (size_t i = 1; i < bytes; i++) {
		if ((text[i] & 0xc0) != 0x80)
			return 0;
		code = code << 6 | (text[i] & 0x3f);
	}
	if (text[0] >= 0xf8 || code < least[bytes] || code > 0x10ffff ||
	    (code >= 0xd800 && code < 0xe000))
		return 0;
	return bytes;
}

/* JSON is UTF-8, but paths and what others say need not be, nor what was cut. */
static void mend_utf8(char *text)
{
	size_t bytes;

	for (; *text != '\0'; text += bytes) {
		bytes = utf8_bytes((const unsigned char *)text);
		if (bytes == 0) {
			*text = '?';
			bytes = 1;
		}
	}
}

static void utc(char text[32])
{
	struct timespec now;
	struct tm tm;
	size_t n;

	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &tm);
	n = strftime(text, 24, "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(text + n, 32 - n, ".%03ldZ", now.tv_nsec / 1000000);
}

/* Prints the object into line[LINE_BYTES]. False: no memory. */
static bool json_line(const struct report *report, enum report_level level, const char *event,
		      const char *text, char *line)
{
	cJSON *root = cJSON_CreateObject();
	char time[32];
	bool ok;

	utc(time);
	ok = root != NULL && cJSON_AddStringToObject(root, "time", time) != NULL &&
	     cJSON_AddStringToObject(root, "level", names[level]) != NULL &&
	     cJSON_AddNumberToObject(root, "node", report->node) != NULL &&
	     (event == NULL || cJSON_AddStringToObject(root, "event", event) != NULL) &&
	     cJSON_AddStringToObject(root, "message", text) != NULL &&
	     cJSON_PrintPreallocated(root, line, LINE_BYTES - 1, false);
	cJSON_Delete(root);
	return ok;
}

static void tell(const struct report *report, enum report_level level, const char *event,
		 const char *format, va_list args)
{
	static const char poor[] = "{\"level\":\"error\",\"message\":\"no memory for a message\"}";
	char text[REPORT_TEXT_BYTES], line[LINE_BYTES];
	size_t bytes;

	if (level > report->level)
		return;
	vsnprintf(text, sizeof(text), format, args);
	if (report->json) {
		mend_utf8(text);
		if (!json_line(report, level, event, text, line))
			memcpy(line, poor, sizeof(poor));
	} else {
		snprintf(line, LINE_BYTES - 1, "abaftd: %s: %s", names[level], text);
	}
	bytes = strlen(line); /* both branches leave room for one more */
	line[bytes++] = '\n';
	write_line(line, bytes);
}

void report(const struct report *report, enum report_level level, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	tell(report, level, NULL, format, args);
	va_end(args);
}

void report_event(const struct report *report, enum report_level level, const char *event,
		  const char *format, ...)
{
	va_list args;

	va_start(args, format);
	tell(report, level, event, format, args);
	va_end(args);
}

void report_ready(const struct report *report, const char *status)
{
	if (report->json)
		report_event(report, REPORT_INFO, "ready", "%s", status);
	/* 0: nobody listens; an error: nobody can be told. The daemon serves all the same. */
	(void)sd_notifyf(0, "READY=1\nSTATUS=%s", status);
}

uint64_t report_watchdog_us(const struct report *report)
{
	uint64_t interval_us = 0;
	int err = sd_watchdog_enabled(0, &interval_us);

	if (err < 0)
		report_event(report, REPORT_WARNING, NULL,
			     "WATCHDOG_USEC or WATCHDOG_PID is no number (%s): no signs of life "
			     "are sent",
			     strerror(-err));
	return err > 0 ? interval_us : 0;
}

void report_alive(void)
{
	(void)sd_notify(0, "WATCHDOG=1");
}

void report_status(const char *status)
{
	(void)sd_notifyf(0, "STATUS=%s\nEXTEND_TIMEOUT_USEC=" PATIENCE_US, status);
}

void report_stopping(const struct report *report, const char *why)
{
	report_event(report, REPORT_INFO, "stopping", "stopping (%s)", why);
	(void)sd_notify(0, "STOPPING=1\nSTATUS=draining commits");
}
