/* SPDX-License-Identifier: Apache-2.0 */
/*
 * plot.h - gnuplot, run as a child process, makes an SVG picture of a script.
 */
#ifndef ABAFT_TOOLS_REPORT_PLOT_H
#define ABAFT_TOOLS_REPORT_PLOT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#define PLOT_BYTES_MAX (8u << 20)
#ifndef PLOT_MS_MAX /* its test is impatient */
#define PLOT_MS_MAX 60000
#endif

/* Runs a script, which sets the terminal `svg` and no output. Returns an exit code; COMMAND_OK:
 * *svg is text of *bytes bytes and a NUL, the caller's to free(); else it was said why: gnuplot is
 * missing, does not end, or ends badly. */
int plot_draw(const char *script, size_t script_bytes, char **svg, size_t *bytes);
/* Writes gnuplot's picture as a part of a page: named `name`, with a title (which may have any
 * characters) for who does not see it, and with identifiers that no other picture has. Returns
 * whether it was one. */
bool plot_embed(FILE *page, const char *svg, const char *name, const char *title);

#endif
