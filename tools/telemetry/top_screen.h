/* SPDX-License-Identifier: Apache-2.0 */
/*
 * top_screen.h - the terminal of `abaft top`: shows a page, waits for keys.
 *
 * Owns the terminal between screen_open() and screen_close(), which also runs when a signal ends
 * the program. One screen at a time, main thread only.
 */
#ifndef ABAFT_TOOLS_TELEMETRY_TOP_SCREEN_H
#define ABAFT_TOOLS_TELEMETRY_TOP_SCREEN_H

#include <stdbool.h>
#include <stdint.h>

#include "tools/telemetry/top_page.h"

enum screen_key {
	SCREEN_NONE, /* the time is over, or something that means nothing here */
	SCREEN_RESIZED,
	SCREEN_END, /* a signal: leave */
	SCREEN_UP,
	SCREEN_DOWN,
	SCREEN_NEXT,
	SCREEN_PAGE_UP,
	SCREEN_PAGE_DOWN,
	SCREEN_ESCAPE,
	SCREEN_CHARACTERS = 256, /* from here on: a character, above this number */
};

/* False, with a message on stderr that says what to do: no terminal, or one that is not known. */
bool screen_open(void);
void screen_close(void);
void screen_size(unsigned int *columns, unsigned int *rows);
/* Shows the page's head, and of what follows the lines from `scroll` on; how many lines of these
 * there are beyond the window, 0 if all are seen. */
unsigned int screen_show(const struct top_page *page, unsigned int scroll);
/* The next key, or SCREEN_NONE after so long. */
int screen_key(uint64_t timeout_ns);

#endif
