// SPDX-License-Identifier: Apache-2.0
/*
 * top_screen.c - the terminal of `abaft top`: shows a page, waits for keys.
 *
 * Signals that ask to leave are blocked but while screen_key() waits, so that none comes between
 * the look at its flag and the wait. Signals of defects put the terminal right by themselves, with
 * bytes prepared before, as curses may not be called there.
 */
#include <curses.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <term.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

/* term.h takes many a short name. */
#undef columns
#undef lines

#include "tools/telemetry/top_screen.h"

static const int leaving[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};
static const int defects[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT};

#define COUNT(array) (sizeof(array) / sizeof(array[0]))

static struct screen {
	SCREEN *curses;
	bool colours;
	sigset_t waiting; /* the mask while waiting */
	struct termios modes;
	char restore[256]; /* what puts the terminal right */
	size_t restore_bytes;
} screen;

static atomic_int ended;

static void on_leaving(int number)
{
	atomic_store_explicit(&ended, number, memory_order_relaxed);
}

/* Runs on top of anything: async-signal-safe calls only. SA_RESETHAND: the second time it kills. */
static void on_defect(int number)
{
	ssize_t written = write(STDOUT_FILENO, screen.restore, screen.restore_bytes);

	if (written >= 0)
		tcsetattr(STDIN_FILENO, TCSANOW, &screen.modes);
	raise(number);
}

static int keep(int c)
{
	if (screen.restore_bytes < sizeof(screen.restore))
		screen.restore[screen.restore_bytes++] = (char)c;
	return c;
}

/* Normal looks, the cursor, the screen that was there before. */
static void prepare_restore(void)
{
	static char names[][6] = {"sgr0", "cnorm", "rmkx", "rmcup"};

	screen.restore_bytes = 0;
	for (size_t i = 0; i < COUNT(names); i++) {
		char *bytes = tigetstr(names[i]);

		if (bytes && bytes != (char *)-1)
			tputs(bytes, 1, keep);
	}
}

static void catch_signals(void)
{
	struct sigaction action = {.sa_handler = on_leaving};
	sigset_t blocked;

	sigemptyset(&blocked);
	for (size_t i = 0; i < COUNT(leaving); i++) {
		sigaction(leaving[i], &action, NULL);
		sigaddset(&blocked, leaving[i]);
	}
	sigprocmask(SIG_BLOCK, &blocked, &screen.waiting);
	for (size_t i = 0; i < COUNT(leaving); i++)
		sigdelset(&screen.waiting, leaving[i]);
	action.sa_handler = on_defect;
	action.sa_flags = (int)SA_RESETHAND | SA_NODEFER;
	for (size_t i = 0; i < COUNT(defects); i++)
		sigaction(defects[i], &action, NULL);
}

static void open_colours(void)
{
	screen.colours = !getenv("NO_COLOR") && has_colors() && start_color() == OK;
	if (!screen.colours)
		return;
	use_default_colors();
	init_pair(TOP_GOOD, COLOR_GREEN, -1);
	init_pair(TOP_WARN, COLOR_YELLOW, -1);
	init_pair(TOP_BAD, COLOR_RED, -1);
	init_pair(TOP_FAINT, COLOR_CYAN, -1);
}

bool screen_open(void)
{
	const char *name = getenv("TERM");

	if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO)) {
		fputs("abaft: top: this is no terminal; `abaft top -b` prints plain text\n",
		      stderr);
		return false;
	}
	tcgetattr(STDIN_FILENO, &screen.modes);
	screen.curses = name && *name ? newterm(NULL, stdout, stdin) : NULL;
	if (!screen.curses) {
		fprintf(stderr,
			"abaft: top: the terminal's kind is not known (TERM is '%s'); set TERM, or "
			"let `abaft top -b` print plain text\n",
			name ? name : "");
		return false;
	}
	prepare_restore();
	catch_signals();
	cbreak();
	noecho();
	nonl();
	keypad(stdscr, TRUE);
	nodelay(stdscr, TRUE);
	set_escdelay(25);
	curs_set(0);
	open_colours();
	return true;
}

void screen_close(void)
{
	if (!screen.curses)
		return;
	endwin();
	delscreen(screen.curses);
	screen.curses = NULL;
}

void screen_size(unsigned int *columns, unsigned int *rows)
{
	int x, y;

	getmaxyx(stdscr, y, x);
	*columns = x > 0 ? (unsigned int)x : 1;
	*rows = y > 0 ? (unsigned int)y : 1;
}

static chtype attributes(uint8_t look)
{
	switch (look) {
	case TOP_STRONG:
		return A_BOLD;
	case TOP_CHOSEN:
		return A_REVERSE;
	case TOP_FAINT:
		return screen.colours ? (chtype)COLOR_PAIR(TOP_FAINT) : A_NORMAL;
	case TOP_GOOD:
		return screen.colours ? (chtype)COLOR_PAIR(TOP_GOOD) : A_NORMAL;
	case TOP_WARN:
		return screen.colours ? (chtype)COLOR_PAIR(TOP_WARN) | A_BOLD : A_BOLD;
	case TOP_BAD:
		return screen.colours ? (chtype)COLOR_PAIR(TOP_BAD) | A_BOLD : A_REVERSE;
	default:
		return A_NORMAL;
	}
}

static void show_line(const struct top_line *line, unsigned int row, unsigned int columns)
{
	for (unsigned int i = 0; i < line->length && i < columns; i++)
		mvaddch((int)row, (int)i,
			(chtype)(unsigned char)line->text[i] | attributes(line->look[i]));
}

unsigned int screen_show(const struct top_page *page, unsigned int scroll)
{
	unsigned int columns, rows, head, body, room;

	screen_size(&columns, &rows);
	head = page->head < rows ? page->head : rows;
	body = page->lines - page->head;
	room = rows - head;
	if (scroll > body)
		scroll = body;
	erase();
	for (unsigned int i = 0; i < head; i++)
		show_line(&page->line[i], i, columns);
	for (unsigned int i = 0; i < room && scroll + i < body; i++)
		show_line(&page->line[page->head + scroll + i], head + i, columns);
	if (scroll + room < body && room > 0)
		mvaddch((int)rows - 1, (int)columns - 1, (chtype)'+' | A_REVERSE);
	refresh();
	return body > room ? body - room : 0;
}

static int translate(int key)
{
	switch (key) {
	case ERR:
		return SCREEN_NONE;
	case KEY_RESIZE:
		return SCREEN_RESIZED;
	case KEY_UP:
		return SCREEN_UP;
	case KEY_DOWN:
		return SCREEN_DOWN;
	case KEY_PPAGE:
		return SCREEN_PAGE_UP;
	case KEY_NPAGE:
		return SCREEN_PAGE_DOWN;
	case '\t':
		return SCREEN_NEXT;
	case 27:
		return SCREEN_ESCAPE;
	case 12: /* Ctrl-L */
		clearok(curscr, TRUE);
		return SCREEN_RESIZED;
	default:
		return key > 0 && key < 256 ? SCREEN_CHARACTERS + key : SCREEN_NONE;
	}
}

int screen_key(uint64_t timeout_ns)
{
	struct timespec timeout = {.tv_sec = (time_t)(timeout_ns / 1000000000),
				   .tv_nsec = (long)(timeout_ns % 1000000000)};
	struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};
	int key = getch(); /* what curses has read already */

	if (key != ERR)
		return translate(key);
	if (ppoll(&input, 1, &timeout, &screen.waiting) < 0 && errno != EINTR)
		return SCREEN_END;
	if (atomic_load_explicit(&ended, memory_order_relaxed))
		return SCREEN_END;
	if (input.revents & (POLLHUP | POLLERR | POLLNVAL)) /* the terminal is gone */
		return SCREEN_END;
	return translate(getch());
}
