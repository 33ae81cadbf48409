/* SPDX-License-Identifier: Apache-2.0 */
/*
 * top_page.h - lines of text with looks, of a given width: what `abaft top` draws.
 *
 * The views write one, and curses or plain output show it; so what a view shows can be tested. Text
 * beyond the width is cut, lines beyond TOP_LINES_MAX are left out and counted. ASCII only: a byte
 * is a column. One thread.
 */
#ifndef ABAFT_TOOLS_TELEMETRY_TOP_PAGE_H
#define ABAFT_TOOLS_TELEMETRY_TOP_PAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define TOP_COLUMNS_MAX 320
#define TOP_COLUMNS_MIN 20
#define TOP_LINES_MAX	1500
#define TOP_CELL_BYTES	40

enum top_look {
	TOP_PLAIN,
	TOP_FAINT,  /* names of things */
	TOP_STRONG, /* headings */
	TOP_GOOD,
	TOP_WARN, /* worth a look */
	TOP_BAD,  /* broken */
	TOP_CHOSEN,
};

struct top_line {
	uint16_t length;
	char text[TOP_COLUMNS_MAX + 1];
	uint8_t look[TOP_COLUMNS_MAX];
};

struct top_page {
	unsigned int columns;
	unsigned int lines;
	unsigned int left_out; /* lines that had no room */
	unsigned int head;     /* lines at the top that stay when the others are scrolled */
	unsigned int indent;   /* of a section's further lines */
	struct top_line line[TOP_LINES_MAX];
};

struct top_column {
	const char *name;
	unsigned int columns; /* without the gap before it */
};

/* An empty page, at least TOP_COLUMNS_MIN and at most TOP_COLUMNS_MAX wide. */
void top_page_clear(struct top_page *page, unsigned int columns);
/* Begins a line. */
void top_page_line(struct top_page *page);
/* Adds to the last line. */
__attribute__((format(printf, 3, 4))) void top_page_put(struct top_page *page, enum top_look look,
							const char *format, ...);
/* Continues the last line at a column, at least one blank behind what is there. */
void top_page_at(struct top_page *page, unsigned int column);
/* Continues the last line so that `columns` more end at the right edge; false: no room. */
bool top_page_right(struct top_page *page, unsigned int columns);

/* Begins a line of words; what has no room goes to further lines, cut at blanks. */
__attribute__((format(printf, 3, 4))) void top_page_words(struct top_page *page, enum top_look look,
							  const char *format, ...);

/* Begins a line with a name; the items that follow keep together and go to further lines, under
 * the first item, where they would be cut. */
void top_page_section(struct top_page *page, const char *name);
__attribute__((format(printf, 4, 5))) void top_page_item(struct top_page *page, enum top_look look,
							 const char *name, const char *format, ...);

/*
 * A table: cell() fills `text` (TOP_CELL_BYTES) and returns its look. The first column stands at
 * the left; where not all columns have room, they go to further tables below, each with the first.
 */
void top_page_table(struct top_page *page, const struct top_column *columns, unsigned int count,
		    unsigned int rows,
		    enum top_look (*cell)(const void *context, unsigned int row,
					  unsigned int column, char *text),
		    const void *context);
/* How many of the columns have room beside each other; at least two. */
unsigned int top_page_fits(const struct top_page *page, const struct top_column *columns,
			   unsigned int count);
/* Adds two blanks and a text to a line, from 0 on, that is there already. */
void top_page_tail(struct top_page *page, unsigned int line, enum top_look look, const char *text);
/* Writes the lines, without blanks at their ends. */
void top_page_print(const struct top_page *page, FILE *file);

#endif
