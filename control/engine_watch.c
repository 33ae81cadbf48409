/* SPDX-License-Identifier: Apache-2.0 */
/* engine_watch.c - see engine_watch.h. */
#include "control/engine_watch.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#include "control/faults.h"
#include "control/metrics.h"
#include "dataplane/engine/engine.h"

#define LOOK_MS 200

struct engine_watch {
	struct engine_watch_config config;
	pthread_t thread;
	int end_fd, signal_fd; /* signal_fd -1: none */
	uint64_t begun_ms, said_ms;
	bool failing; /* and it was said */
	enum engine_watch_end end;
	char why[ENGINE_WATCH_WHY_BYTES];
};

static uint64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void say_failing(struct engine_watch *watch, const struct engine_health *health)
{
	const struct engine_watch_config *config = &watch->config;
	char text[ENGINE_WHY_BYTES + 128];

	snprintf(text, sizeof(text), "%s: the storage engine %s since %.0f s: %s", config->doing,
		 faults_engine_does(health->error), (double)health->failing_us / 1e6, health->why);
	report_event(config->report, REPORT_WARNING, "fault", "%s; it is tried again", text);
	report_status(text);
	metrics_ready(config->metrics, text);
	watch->failing = true;
}

static void say_well(struct engine_watch *watch)
{
	const struct engine_watch_config *config = &watch->config;

	report_event(config->report, REPORT_INFO, "recovered",
		     "%s: the storage engine is well again", config->doing);
	report_status(config->doing);
	metrics_ready(config->metrics, config->doing);
	watch->failing = false;
}

static void say(struct engine_watch *watch, const struct engine_health *health)
{
	uint64_t now = now_ms();
	bool again = watch->said_ms == 0 || now - watch->said_ms >= ENGINE_WATCH_AGAIN_MS;

	if (health->failing_us >= UINT64_C(1000) * ENGINE_WATCH_SAY_MS && again) {
		say_failing(watch, health);
		watch->said_ms = now;
	} else if (health->failing_us == 0 && watch->failing) {
		say_well(watch);
		watch->said_ms = 0;
	}
}

static void cut(struct engine_watch *watch, enum engine_watch_end end)
{
	watch->end = end;
	watch->config.cut(watch->config.cut_arg);
}

/* Whether it has ended the wait. */
static bool look(struct engine_watch *watch)
{
	const struct engine_watch_config *config = &watch->config;
	struct engine_health health;

	engine_health(config->engine, &health);
	if (config->refusals && (health.error == -EACCES || health.error == -EPROTO) &&
	    health.failing_us >= UINT64_C(1000) * ENGINE_WATCH_BELIEVE_MS) {
		snprintf(watch->why, sizeof(watch->why), "the storage engine refuses us: %s",
			 health.why);
		cut(watch, ENGINE_WATCH_REFUSED);
		return true;
	}
	if (config->limit_ms != 0 && now_ms() - watch->begun_ms >= config->limit_ms) {
		snprintf(watch->why, sizeof(watch->why),
			 "%s: the storage engine was waited for for %.0f s%s%s", config->doing,
			 (double)config->limit_ms / 1000, health.failing_us != 0 ? ": " : "",
			 health.failing_us != 0 ? health.why : "");
		cut(watch, ENGINE_WATCH_LATE);
		return true;
	}
	say(watch, &health);
	return false;
}

static bool look_for_signal(struct engine_watch *watch)
{
	struct signalfd_siginfo info;

	if (read(watch->signal_fd, &info, sizeof(info)) != (ssize_t)sizeof(info) ||
	    info.ssi_signo == SIGHUP)
		return false;
	snprintf(watch->why, sizeof(watch->why), "%s", strsignal((int)info.ssi_signo));
	cut(watch, ENGINE_WATCH_SIGNAL);
	return true;
}

static void *run(void *arg)
{
	struct engine_watch *watch = arg;
	struct pollfd fds[] = {{.fd = watch->end_fd, .events = POLLIN},
			       {.fd = watch->signal_fd, .events = POLLIN}};

	for (;;) {
		if (poll(fds, 2, LOOK_MS) < 0 && errno != EINTR)
			return NULL;
		if (fds[0].revents != 0)
			return NULL;
		if ((fds[1].revents != 0 && look_for_signal(watch)) || look(watch))
			return NULL;
	}
}

static void destroy(struct engine_watch *watch)
{
	if (watch->end_fd >= 0)
		close(watch->end_fd);
	if (watch->signal_fd >= 0)
		close(watch->signal_fd);
	free(watch);
}

int engine_watch_begin(struct engine_watch **out, const struct engine_watch_config *config)
{
	struct engine_watch *watch = calloc(1, sizeof(*watch));
	int err = 0;

	if (watch == NULL)
		return -ENOMEM;
	watch->config = *config;
	watch->begun_ms = now_ms();
	watch->signal_fd = -1;
	watch->end_fd = eventfd(0, EFD_CLOEXEC);
	if (watch->end_fd < 0)
		err = -errno;
	if (err == 0 && config->signals != NULL) {
		watch->signal_fd = signalfd(-1, config->signals, SFD_CLOEXEC | SFD_NONBLOCK);
		err = watch->signal_fd < 0 ? -errno : 0;
	}
	if (err == 0)
		err = -pthread_create(&watch->thread, NULL, run, watch);
	if (err != 0) {
		destroy(watch);
		return err;
	}
	(void)pthread_setname_np(watch->thread, "abaft-engwatch");
	*out = watch;
	return 0;
}

enum engine_watch_end engine_watch_end(struct engine_watch *watch, char *why)
{
	enum engine_watch_end end = ENGINE_WATCH_UNCUT;

	why[0] = '\0';
	if (watch == NULL)
		return end;
	(void)eventfd_write(watch->end_fd, 1);
	pthread_join(watch->thread, NULL);
	end = watch->end;
	if (end != ENGINE_WATCH_UNCUT)
		memcpy(why, watch->why, sizeof(watch->why));
	destroy(watch);
	return end;
}
