// SPDX-License-Identifier: Apache-2.0
/*
 * top_page.c - lines of text with looks, of a given width: what `abaft top` draws.
 */
#include <stdarg.h>
#include <string.h>

#include "tools/telemetry/top_page.h"

#define GAP	       2 /* between items, and between columns of a table */
#define SECTION_INDENT 14
#define SECTION_NARROW 60 /* below it further lines are hardly indented */

void top_page_clear(struct top_page *page, unsigned int columns)
{
	if (columns < TOP_COLUMNS_MIN)
		columns = TOP_COLUMNS_MIN;
	if (columns > TOP_COLUMNS_MAX)
		columns = TOP_COLUMNS_MAX;
	page->columns = columns;
	page->lines = 0;
	page->left_out = 0;
	page->head = 0;
	page->indent = columns < SECTION_NARROW ? GAP : SECTION_INDENT;
}

void top_page_line(struct top_page *page)
{
	struct top_line *line;

	/* The last one is written over: what is cut is told by the number of lines left out. */
	if (page->lines == TOP_LINES_MAX)
		page->left_out++;
	else
		page->lines++;
	line = &page->line[page->lines - 1];
	line->length = 0;
	line->text[0] = '\0';
}

static struct top_line *last(struct top_page *page)
{
	if (!page->lines)
		top_page_line(page);
	return &page->line[page->lines - 1];
}

static void line_append(struct top_line *line, unsigned int columns, enum top_look look,
			const char *text)
{
	for (; *text && line->length < columns; text++) {
		/* What a node or the kernel calls something is not to be trusted with the terminal.
		 */
		line->text[line->length] = *text >= ' ' && *text <= '~' ? *text : '?';
		line->look[line->length++] = (uint8_t)look;
	}
	line->text[line->length] = '\0';
}

static void append(struct top_page *page, enum top_look look, const char *text)
{
	line_append(last(page), page->columns, look, text);
}

static void blanks(struct top_page *page, unsigned int count)
{
	while (count-- > 0)
		append(page, TOP_PLAIN, " ");
}

void top_page_put(struct top_page *page, enum top_look look, const char *format, ...)
{
	char text[TOP_COLUMNS_MAX + 1];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	append(page, look, text);
}

void top_page_at(struct top_page *page, unsigned int column)
{
	unsigned int length = last(page)->length;

	if (length >= column)
		blanks(page, length > 0);
	else
		blanks(page, column - length);
}

bool top_page_right(struct top_page *page, unsigned int columns)
{
	unsigned int length = last(page)->length;

	if (columns + length + (length > 0) > page->columns)
		return false;
	blanks(page, page->columns - columns - length);
	return true;
}

void top_page_words(struct top_page *page, enum top_look look, const char *format, ...)
{
	char text[1024], *word = text;
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	top_page_line(page);
	while (*word) {
		size_t length = strcspn(word, " ");
		bool more = word[length] != '\0';
		unsigned int at = last(page)->length;

		word[length] = '\0';
		if (at > 0 && at + 1 + length > page->columns)
			top_page_line(page);
		else
			blanks(page, at > 0);
		append(page, look, word);
		word += length + more;
	}
}

void top_page_section(struct top_page *page, const char *name)
{
	top_page_line(page);
	append(page, TOP_STRONG, name);
	if (page->columns >= SECTION_NARROW)
		top_page_at(page, page->indent);
}

void top_page_item(struct top_page *page, enum top_look look, const char *name, const char *format,
		   ...)
{
	char text[TOP_COLUMNS_MAX + 1];
	unsigned int length = last(page)->length, gap, needs;
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	needs = (unsigned int)(strlen(name) + (*name && *text) + strlen(text));
	gap = length == page->indent || !length ? 0 : GAP;
	if (length > page->indent && length + gap + needs > page->columns) {
		top_page_line(page);
		blanks(page, page->indent);
		gap = 0;
	}
	blanks(page, gap);
	append(page, TOP_FAINT, name);
	if (*name && *text)
		append(page, TOP_PLAIN, " ");
	append(page, look, text);
}

static void cell_put(struct top_page *page, const struct top_column *column, bool first,
		     enum top_look look, const char *text)
{
	char cut[TOP_CELL_BYTES];
	int columns = (int)column->columns;

	if (columns >= TOP_CELL_BYTES)
		columns = TOP_CELL_BYTES - 1;
	snprintf(cut, sizeof(cut), first ? "%-*.*s" : "%*.*s", columns, columns, text);
	for (int i = 0; !first && i < GAP; i++) /* a bar has no holes */
		append(page, look == TOP_CHOSEN ? look : TOP_PLAIN, " ");
	append(page, look, cut);
}

/* How many columns from `begin` on have room beside the first; at least one. */
static unsigned int columns_fit(const struct top_page *page, const struct top_column *columns,
				unsigned int count, unsigned int begin)
{
	unsigned int width = columns[0].columns, end = begin;

	while (end < count) {
		width += GAP + columns[end].columns;
		if (width > page->columns && end > begin)
			break;
		end++;
	}
	return end - begin;
}

unsigned int top_page_fits(const struct top_page *page, const struct top_column *columns,
			   unsigned int count)
{
	return 1 + columns_fit(page, columns, count, 1);
}

void top_page_table(struct top_page *page, const struct top_column *columns, unsigned int count,
		    unsigned int rows,
		    enum top_look (*cell)(const void *context, unsigned int row,
					  unsigned int column, char *text),
		    const void *context)
{
	char text[TOP_CELL_BYTES];
	unsigned int begin = 1;

	do {
		unsigned int end = begin + columns_fit(page, columns, count, begin);

		top_page_line(page);
		cell_put(page, &columns[0], true, TOP_STRONG, columns[0].name);
		for (unsigned int c = begin; c < end; c++)
			cell_put(page, &columns[c], false, TOP_STRONG, columns[c].name);
		for (unsigned int row = 0; row < rows; row++) {
			top_page_line(page);
			text[0] = '\0';
			cell_put(page, &columns[0], true, cell(context, row, 0, text), text);
			for (unsigned int c = begin; c < end; c++) {
				enum top_look look;

				text[0] = '\0';
				look = cell(context, row, c, text);
				cell_put(page, &columns[c], false, look, text);
			}
		}
		begin = end;
	} while (begin < count);
}

void top_page_tail(struct top_page *page, unsigned int line, enum top_look look, const char *text)
{
	if (line >= page->lines)
		return;
	line_append(&page->line[line], page->columns, TOP_PLAIN, "  ");
	line_append(&page->line[line], page->columns, look, text);
}

void top_page_print(const struct top_page *page, FILE *file)
{
	for (unsigned int i = 0; i < page->lines; i++) {
		int length = page->line[i].length;

		while (length > 0 && page->line[i].text[length - 1] == ' ')
			length--;
		fprintf(file, "%.*s\n", length, page->line[i].text);
	}
	if (page->left_out)
		fprintf(file, "(%u more lines)\n", page->left_out);
}
