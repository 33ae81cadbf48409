/* SPDX-License-Identifier: Apache-2.0 */
/*
 * main.c - abaftd: reads its configuration, starts a node, waits for a signal, takes it down.
 *
 * Exit status: 0 stopped cleanly; 1 could not start or did not stop cleanly; 2 the configuration
 * is wrong. Standard output has one line when the node is ready; all else goes to standard error.
 */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "control/config.h"
#include "control/daemon.h"
#include "control/libraries.h"
#include "control/report.h"
#include "control/watchdog.h"

enum { EXIT_OK = 0, EXIT_FAILED = 1, EXIT_CONFIG = 2 };

static struct report report_of(const struct config *config)
{
	return (struct report){.level = report_level_of(config->log_level),
			       .json = strcmp(config->log_format, "json") == 0,
			       .node = (uint32_t)config->node};
}

/* What must not be overlooked. */
static void banner(const struct config *config, const struct report *to)
{
#ifndef __OPTIMIZE__
	report(to, REPORT_WARNING, "**** built without optimisation: several times slower ****");
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
	report(to, REPORT_WARNING, "**** built with sanitizers: several times slower ****");
#endif
	if (config_forgets(config))
		report(to, REPORT_WARNING,
		       "**** engine = memory: acknowledged commits are LOST when this process ends "
		       "****");
	if (!config->sync)
		report(to, REPORT_WARNING,
		       "**** sync = no: acknowledged commits are LOST when the machine stops ****");
}

/* Signals are taken by sigtimedwait() in the main thread alone; workers inherit the mask. */
static void block_signals(sigset_t *set)
{
	sigemptyset(set);
	sigaddset(set, SIGTERM);
	sigaddset(set, SIGINT);
	sigaddset(set, SIGHUP);
	pthread_sigmask(SIG_BLOCK, set, NULL);
	signal(SIGPIPE, SIG_IGN);
}

static void say_ready(const struct daemon *daemon, const struct report *to)
{
	const struct config *config = daemon->config;
	char line[1280], recovered[160];

	storage_recovered_text(&daemon->storage.recovered, recovered, sizeof(recovered));
	snprintf(line, sizeof(line),
		 "port %s, addresses %s, udp %" PRIu64 ", workers %u, data %s, recovered %s",
		 config->port, config->addresses, config->udp_port, daemon->workers,
		 daemon->devices.place, recovered);
	report_ready(to, line);
	printf("abaftd: ready %s, pid %d\n", line, (int)getpid());
	fflush(stdout);
	report(to, REPORT_DEBUG, "XDP %s",
	       !daemon->steered	      ? "not used"
	       : daemon->steer.native ? "in the driver"
				      : "generic");
}

static void say_fault(void *arg, enum report_level level, const char *text)
{
	report_event(arg, level, level == REPORT_INFO ? "recovered" : "fault", "%s", text);
}

/* The watchdog's view of the daemon, as far as it is one. */
struct watched {
	struct daemon *daemon;
	const struct report *to;
};

static uint64_t passes_of(void *arg, uint32_t worker)
{
	return daemon_passes(((struct watched *)arg)->daemon, worker);
}

static void kick_worker(void *arg, uint32_t worker)
{
	daemon_kick(((struct watched *)arg)->daemon, worker);
}

static void send_alive(void *arg)
{
	report_alive();
}

static void say_event(void *arg, enum report_level level, const char *event, const char *text)
{
	report_event(((struct watched *)arg)->to, level, event, "%s", text);
}

static uint64_t clock_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

/* Until a signal asks for the end; tells of faults, and that the node lives. */
static void serve(struct daemon *daemon, struct report *to, const sigset_t *signals)
{
	struct watched watched = {.daemon = daemon, .to = to};
	struct watchdog watchdog = {.interval_us = report_watchdog_us(to),
				    .workers = daemon->workers,
				    .passes = passes_of,
				    .kick = kick_worker,
				    .alive = send_alive,
				    .say = say_event,
				    .arg = &watched};
	struct faults faults = {.say = say_fault, .arg = to};
	struct faults_seen seen;

	watchdog_begin(&watchdog, clock_us());
	for (;;) {
		uint64_t wait_us = watchdog_look(&watchdog, clock_us());
		struct timespec wait = {.tv_sec = 1};
		int signal;

		if (wait_us < 1000000)
			wait = (struct timespec){.tv_nsec = (long)wait_us * 1000};
		signal = sigtimedwait(signals, NULL, &wait);
		daemon_faults(daemon, &seen, clock_us());
		faults_look(&faults, &seen);
		if (signal > 0 && signal != SIGHUP) {
			report_stopping(to, strsignal(signal));
			return;
		}
	}
}

static int run(const struct config *config)
{
	static struct report to;     /* for libraries, to the end of the process */
	static struct daemon daemon; /* large; one for each process */
	char why[DAEMON_WHY_BYTES];
	sigset_t signals;
	int err, failed;

	to = report_of(config);
	libraries_tell(&to);
	banner(config, &to);
	block_signals(&signals);
	err = daemon_start(&daemon, config, &to, &signals, why);
	if (err == 0) {
		say_ready(&daemon, &to);
		daemon_watch(&daemon);
		serve(&daemon, &to, &signals);
	} else if (err == -EINTR) { /* asked to stop before it was ready */
		report_stopping(&to, why);
		err = 0;
	} else {
		report_event(&to, REPORT_ERROR, "failed", "%s",
			     why[0] != '\0' ? why : strerror(-err));
	}
	failed = daemon_stop(&daemon);
	if (err == 0 && failed == 0)
		report_event(&to, REPORT_INFO, "stopped", "stopped");
	return err == 0 && failed == 0 ? EXIT_OK : EXIT_FAILED;
}

/* In the form that the configuration asks for, as far as it was understood. */
static void say_wrong(const struct config *config, const char *why)
{
	struct report to = report_of(config);

	if (to.json)
		report_event(&to, REPORT_ERROR, "failed", "%s", why);
	else
		fprintf(stderr, "abaftd: %s\n", why);
}

int main(int argc, char **argv)
{
	static struct config config;
	struct config_asked asked;
	char why[CONFIG_WHY_BYTES];
	int err;

	err = config_flags(&config, argc, argv, &asked, why);
	if (asked.help) {
		config_print_help(stdout);
		return EXIT_OK;
	}
	if (asked.version) {
		printf("abaftd %s\n", ABAFT_VERSION);
		return EXIT_OK;
	}
	if (asked.example) {
		config_print_example(stdout);
		return EXIT_OK;
	}
	if (err == 0)
		err = config_check(&config, why);
	if (err != 0) {
		say_wrong(&config, why);
		return EXIT_CONFIG;
	}
	if (asked.check) {
		config_print(&config, stdout);
		return EXIT_OK;
	}
	return run(&config);
}
