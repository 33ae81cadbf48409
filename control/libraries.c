/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libraries.c - see libraries.h.
 */
#include "control/libraries.h"

#include <bpf/libbpf.h>
#include <rte_log.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* libbpf's printing function gets no argument of ours. */
static const struct report *teller;

/* Each line of a text by itself, without what is empty. */
static void tell_lines(enum report_level level, const char *who, const char *text, size_t bytes)
{
	while (bytes > 0) {
		const char *end = memchr(text, '\n', bytes);
		size_t line = end == NULL ? bytes : (size_t)(end - text);
		int shown = line < REPORT_TEXT_BYTES ? (int)line : REPORT_TEXT_BYTES;

		if (line > 0)
			report(teller, level, "%s: %.*s", who, shown, text);
		text += end == NULL ? line : line + 1;
		bytes -= end == NULL ? line : line + 1;
	}
}

static ssize_t dpdk_write(void *cookie, const char *text, size_t bytes)
{
	uint32_t level = (uint32_t)rte_log_cur_msg_loglevel();

	tell_lines(level <= RTE_LOG_ERR	      ? REPORT_ERROR
		   : level == RTE_LOG_WARNING ? REPORT_WARNING
					      : REPORT_DEBUG,
		   "DPDK", text, bytes);
	return (ssize_t)bytes;
}

__attribute__((format(printf, 2, 0))) static int libbpf_tell(enum libbpf_print_level level,
							     const char *format, va_list args)
{
	char text[4096];
	int n;

	if (level == LIBBPF_DEBUG) /* pages of it for each program */
		return 0;
	n = vsnprintf(text, sizeof(text), format, args);
	if (n > 0)
		tell_lines(level == LIBBPF_WARN ? REPORT_WARNING : REPORT_DEBUG, "libbpf", text,
			   strlen(text));
	return n;
}

void libraries_tell(const struct report *report)
{
	static const cookie_io_functions_t functions = {.write = dpdk_write};
	FILE *stream = fopencookie(NULL, "w", functions);

	teller = report;
	libbpf_set_print(libbpf_tell);
	if (stream != NULL) /* it stays open for as long as DPDK may speak */
		(void)rte_openlog_stream(stream);
}
