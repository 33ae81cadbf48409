/* SPDX-License-Identifier: Apache-2.0 */
/*
 * plot.c - see plot.h.
 *
 * Script and picture are files in memory: so neither side waits for the other, and the bounds of
 * the child's time and of the picture's size are the kernel's to keep.
 */
#include "tools/report/plot.h"

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tools/report/report.h"

#define EXIT_NO_GNUPLOT 127

struct child {
	int in, out, err;
	pid_t pid;
};

static int failed(const char *what, const char *why)
{
	fprintf(stderr, "abaft report: %s: %s\n", what, why);
	return COMMAND_FAILED;
}

static void child_close(struct child *child)
{
	if (child->in >= 0)
		close(child->in);
	if (child->out >= 0)
		close(child->out);
	if (child->err >= 0)
		close(child->err);
}

static int child_open(struct child *child, const char *script, size_t bytes)
{
	child->in = memfd_create("script", MFD_CLOEXEC);
	child->out = memfd_create("picture", MFD_CLOEXEC);
	child->err = memfd_create("complaints", MFD_CLOEXEC);
	if (child->in < 0 || child->out < 0 || child->err < 0 ||
	    write(child->in, script, bytes) != (ssize_t)bytes || lseek(child->in, 0, SEEK_SET) < 0)
		return failed("a file in memory", strerror(errno));
	return COMMAND_OK;
}

static void become_gnuplot(const struct child *child)
{
	struct rlimit seconds = {PLOT_MS_MAX / 1000 + 1, PLOT_MS_MAX / 1000 + 1};
	struct rlimit bytes = {PLOT_BYTES_MAX, PLOT_BYTES_MAX};

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	(void)setrlimit(RLIMIT_CPU, &seconds);
	(void)setrlimit(RLIMIT_FSIZE, &bytes);
	if (dup2(child->in, STDIN_FILENO) >= 0 && dup2(child->out, STDOUT_FILENO) >= 0 &&
	    dup2(child->err, STDERR_FILENO) >= 0)
		execlp("gnuplot", "gnuplot", "-d", "-", NULL); /* -d: nobody's settings */
	_exit(EXIT_NO_GNUPLOT);
}

/* Waits, at most PLOT_MS_MAX. Returns the wait status, -1: it had to be ended. */
static int child_wait(const struct child *child)
{
	struct timespec pause = {.tv_nsec = 2000000};
	int status;

	for (int ms = 0; ms < PLOT_MS_MAX; ms += 2) {
		if (waitpid(child->pid, &status, WNOHANG) == child->pid)
			return status;
		nanosleep(&pause, NULL);
	}
	kill(child->pid, SIGKILL);
	waitpid(child->pid, &status, 0);
	return -1;
}

/* What was written to a file in memory, and a NUL. NULL: no memory. */
static char *content(int fd, size_t *bytes)
{
	struct stat st;
	char *text;
	ssize_t n;

	if (fstat(fd, &st) < 0 || !(text = malloc((size_t)st.st_size + 1)))
		return NULL;
	n = pread(fd, text, (size_t)st.st_size, 0);
	*bytes = n > 0 ? (size_t)n : 0;
	text[*bytes] = '\0';
	return text;
}

/* Its first words, for the message. */
static int complained(const struct child *child)
{
	size_t bytes, from;
	char *text = content(child->err, &bytes);

	if (!text)
		return failed("gnuplot", strerror(ENOMEM));
	for (char *at = text; *at; at++)
		if (*at == '\n')
			*at = ' ';
	from = strspn(text, " ^");
	if (bytes > from + 300)
		text[from + 300] = '\0';
	failed("gnuplot complains", text + from);
	free(text);
	return COMMAND_FAILED;
}

static int judge(const struct child *child, int status)
{
	if (status == -1)
		return failed("gnuplot", "does not end: it was given up after a minute");
	if (WIFEXITED(status) && WEXITSTATUS(status) == EXIT_NO_GNUPLOT)
		return failed("gnuplot", "cannot be run; install it (apt-get install gnuplot-nox), "
					 "or see that it is in $PATH");
	if (WIFSIGNALED(status))
		return failed("gnuplot was ended by a signal", strsignal(WTERMSIG(status)));
	/* Warnings, as of a flat line, end well. */
	return WEXITSTATUS(status) ? complained(child) : COMMAND_OK;
}

int plot_draw(const char *script, size_t script_bytes, char **svg, size_t *bytes)
{
	struct child child = {-1, -1, -1, -1};
	int code = child_open(&child, script, script_bytes);

	*svg = NULL;
	if (code != COMMAND_OK)
		goto out;
	child.pid = fork();
	if (child.pid < 0) {
		code = failed("starting gnuplot", strerror(errno));
		goto out;
	}
	if (child.pid == 0)
		become_gnuplot(&child);
	code = judge(&child, child_wait(&child));
	if (code == COMMAND_OK && !(*svg = content(child.out, bytes)))
		code = failed("gnuplot's picture", strerror(ENOMEM));
out:
	child_close(&child);
	return code;
}

/* Where gnuplot wrote what is not needed: definitions of points, as only lines are drawn; titles of
 * lines, which are its own names for them; groups without content. Returns its end, or `text`. */
static const char *needless(const char *text)
{
	static const struct {
		const char *begin, *end;
	} parts[] = {{"<defs>", "</defs>"}, {"<title>gnuplot_plot_", "</title>"}};
	static const char group[] = "<g fill=", group_end[] = ">\n</g>\n";
	const char *end;

	if (*text != '<')
		return text;
	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
		if (!strncmp(text, parts[i].begin, strlen(parts[i].begin))) {
			end = strstr(text, parts[i].end);
			return end ? end + strlen(parts[i].end) : text;
		}
	if (strncmp(text, group, sizeof(group) - 1) != 0)
		return text;
	end = strchr(text, '>');
	return end && !strncmp(end, group_end, sizeof(group_end) - 1) ? end + sizeof(group_end) - 1
								      : text;
}

/* gnuplot names the same things alike in each picture, and has no micro sign. */
static void embed_text(FILE *page, const char *text, const char *name)
{
	static const char id[] = "id=\"", us[] = " us</text>";

	while (*text) {
		const char *behind = needless(text);

		if (behind != text) {
			text = behind;
		} else if (!strncmp(text, id, sizeof(id) - 1)) {
			fprintf(page, "%s%s-", id, name);
			text += sizeof(id) - 1;
		} else if (!strncmp(text, us, sizeof(us) - 1)) {
			fputs(" \xc2\xb5s</text>", page);
			text += sizeof(us) - 1;
		} else {
			fputc(*text++, page);
		}
	}
}

bool plot_embed(FILE *page, const char *svg, const char *name, const char *title)
{
	static const char end_of_head[] = "</desc>";
	const char *begin = strstr(svg, "<svg"), *box = strstr(svg, "viewBox=\"");
	const char *head = begin ? strstr(begin, end_of_head) : NULL, *end = strstr(svg, "</svg>");

	if (!box || !head || !end || head > end || box > head)
		return false;
	fprintf(page, "<svg %.*s\" xmlns=\"http://www.w3.org/2000/svg\" ",
		(int)strcspn(box + 9, "\"") + 9, box);
	fprintf(page,
		"xmlns:xlink=\"http://www.w3.org/1999/xlink\" role=\"img\" "
		"aria-labelledby=\"%s-title\"><title id=\"%s-title\">",
		name, name);
	report_escape(page, title);
	fputs("</title>\n", page);
	embed_text(page, head + strlen(end_of_head), name);
	return true;
}
