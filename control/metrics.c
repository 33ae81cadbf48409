/* SPDX-License-Identifier: Apache-2.0 */
/*
 * metrics.c - see metrics.h.
 */
#include "control/metrics.h"

#include <errno.h>
#include <microhttpd.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "telemetry/prometheus.h"
#include "telemetry/scrape.h"

struct metrics {
	struct MHD_Daemon *http;
	const char *pin_dir;
	struct telemetry_node about; /* what is told without maps */
	char unpinned[SCRAPE_WHY_BYTES];
	/* The HTTP thread's alone. */
	struct scrape *scrape;
	struct snapshot *snapshot;
	/* Set by whoever knows, read by the HTTP thread; under the lock. Empty: ready. */
	pthread_mutex_t lock;
	char why_not[METRICS_WHY_BYTES];
};

/* A response for a text that stays, or that is copied. */
static enum MHD_Result answer(struct MHD_Connection *connection, unsigned int status,
			      const char *text)
{
	struct MHD_Response *response = MHD_create_response_from_buffer(
		strlen(text), (void *)(uintptr_t)text, MHD_RESPMEM_MUST_COPY);
	enum MHD_Result result = MHD_NO;

	if (response == NULL)
		return MHD_NO;
	if (MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE,
				    "text/plain; charset=utf-8") == MHD_YES &&
	    (status != MHD_HTTP_METHOD_NOT_ALLOWED ||
	     MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, "GET, HEAD") == MHD_YES))
		result = MHD_queue_response(connection, status, response);
	MHD_destroy_response(response);
	return result;
}

static void forget_maps(struct metrics *metrics)
{
	free(metrics->snapshot);
	scrape_close(metrics->scrape);
	metrics->snapshot = NULL;
	metrics->scrape = NULL;
}

/* Reads all maps; they are opened once, and again when there are others: programs of the kernel's
 * side bring theirs later. */
static int read_maps(struct metrics *metrics, char *why)
{
	int err = 0;

	if (metrics->unpinned[0] != '\0') {
		memcpy(why, metrics->unpinned, SCRAPE_WHY_BYTES);
		return -ENOENT;
	}
	if (metrics->scrape != NULL && scrape_outdated(metrics->scrape))
		forget_maps(metrics);
	if (metrics->scrape == NULL) {
		err = scrape_open(&metrics->scrape, metrics->pin_dir, why);
		if (err != 0)
			return err;
		metrics->snapshot = scrape_alloc(metrics->scrape);
		if (metrics->snapshot == NULL) {
			err = -ENOMEM;
			snprintf(why, SCRAPE_WHY_BYTES, "out of memory");
		}
	}
	if (err == 0)
		err = scrape_read(metrics->scrape, metrics->snapshot, why);
	if (err == 0 && metrics->snapshot->node.pid != (uint32_t)getpid()) {
		snprintf(why, SCRAPE_WHY_BYTES, "the maps in %s are another node's",
			 metrics->pin_dir);
		err = -ENOENT;
	}
	if (err != 0)
		forget_maps(metrics);
	return err;
}

static enum MHD_Result answer_metrics(struct metrics *metrics, struct MHD_Connection *connection)
{
	struct prometheus_text page = {0};
	struct MHD_Response *response;
	enum MHD_Result result = MHD_NO;
	char why[SCRAPE_WHY_BYTES];
	int err;

	if (read_maps(metrics, why) == 0)
		err = prometheus_write(&page, metrics->snapshot);
	else
		err = prometheus_write_bare(&page, &metrics->about, why);
	if (err != 0) {
		prometheus_free(&page);
		return answer(connection, MHD_HTTP_SERVICE_UNAVAILABLE,
			      err == -E2BIG ? "the page would be too large\n" : "out of memory\n");
	}
	/* The page is the response's from here on. */
	response = MHD_create_response_from_buffer(page.bytes, page.data, MHD_RESPMEM_MUST_FREE);
	if (response == NULL) {
		prometheus_free(&page);
		return MHD_NO;
	}
	if (MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE,
				    PROMETHEUS_CONTENT_TYPE) == MHD_YES)
		result = MHD_queue_response(connection, MHD_HTTP_OK, response);
	MHD_destroy_response(response);
	return result;
}

static enum MHD_Result answer_ready(struct metrics *metrics, struct MHD_Connection *connection)
{
	char text[METRICS_WHY_BYTES + 1];

	pthread_mutex_lock(&metrics->lock);
	snprintf(text, sizeof(text), "%s\n", metrics->why_not);
	pthread_mutex_unlock(&metrics->lock);
	if (text[0] == '\n')
		return answer(connection, MHD_HTTP_OK, "ready\n");
	return answer(connection, MHD_HTTP_SERVICE_UNAVAILABLE, text);
}

/* Called twice for a request: when its head is there, and when all of it is. A body is for nothing
 * here, and whoever sends one is cut off. */
static enum MHD_Result on_request(void *arg, struct MHD_Connection *connection, const char *url,
				  const char *method, const char *version, const char *upload,
				  size_t *upload_bytes, void **seen)
{
	struct metrics *metrics = arg;

	if (strcmp(method, MHD_HTTP_METHOD_GET) != 0 && strcmp(method, MHD_HTTP_METHOD_HEAD) != 0)
		return answer(connection, MHD_HTTP_METHOD_NOT_ALLOWED, "only GET and HEAD\n");
	if (*upload_bytes != 0)
		return MHD_NO;
	if (*seen == NULL) {
		*seen = metrics;
		return MHD_YES;
	}
	if (strcmp(url, "/metrics") == 0)
		return answer_metrics(metrics, connection);
	if (strcmp(url, "/healthz") == 0)
		return answer(connection, MHD_HTTP_OK, "ok\n");
	if (strcmp(url, "/readyz") == 0)
		return answer_ready(metrics, connection);
	return answer(connection, MHD_HTTP_NOT_FOUND, "there are /metrics, /healthz and /readyz\n");
}

static int listen_on(const struct endpoint *endpoint, char *why)
{
	char text[ENDPOINT_TEXT_BYTES];
	int on = 1, err;
	int fd = socket(endpoint->address.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		goto fail;
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0)
		goto fail;
	if (endpoint->address.any.sa_family == AF_INET6 &&
	    setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on)) < 0)
		goto fail;
	if (bind(fd, &endpoint->address.any, endpoint->bytes) < 0 ||
	    listen(fd, METRICS_CONNECTIONS_MAX) < 0)
		goto fail;
	return fd;
fail:
	err = -errno;
	endpoint_text(endpoint, text);
	snprintf(why, METRICS_WHY_BYTES,
		 "metrics: cannot listen on %s: %s; give another address or port, or metrics = no",
		 text, strerror(-err));
	if (fd >= 0)
		close(fd);
	return err;
}

/* The thread inherits the CPUs of the one that makes it. */
static struct MHD_Daemon *start_http(struct metrics *metrics, int fd, const cpu_set_t *cpus)
{
	struct MHD_Daemon *http;
	cpu_set_t ours;
	bool pinned = pthread_getaffinity_np(pthread_self(), sizeof(ours), &ours) == 0 &&
		      pthread_setaffinity_np(pthread_self(), sizeof(*cpus), cpus) == 0;

	http = MHD_start_daemon(MHD_USE_AUTO_INTERNAL_THREAD, 0, NULL, NULL, on_request, metrics,
				MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_CONNECTION_LIMIT,
				(unsigned int)METRICS_CONNECTIONS_MAX,
				MHD_OPTION_CONNECTION_TIMEOUT, (unsigned int)METRICS_IDLE_S,
				MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)METRICS_MEMORY_BYTES,
				MHD_OPTION_SIGPIPE_HANDLED_BY_APP, 1, MHD_OPTION_END);
	if (pinned)
		(void)pthread_setaffinity_np(pthread_self(), sizeof(ours), &ours);
	return http;
}

int metrics_start(struct metrics **out, const struct metrics_config *config, char *why)
{
	struct metrics *metrics = calloc(1, sizeof(*metrics));
	struct timespec now;
	int fd, err = -ENOMEM;

	snprintf(why, METRICS_WHY_BYTES, "metrics: its thread cannot be started: %s",
		 strerror(ENOMEM));
	if (metrics == NULL)
		return err;
	clock_gettime(CLOCK_REALTIME, &now);
	metrics->pin_dir = config->pin_dir;
	metrics->about = (struct telemetry_node){
		.layout = TELEMETRY_LAYOUT,
		.pid = (uint32_t)getpid(),
		.started_unix_us = (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000,
		.node = config->node,
		.workers = config->workers,
	};
	snprintf(metrics->about.version, sizeof(metrics->about.version), "%s", config->version);
	snprintf(metrics->unpinned, sizeof(metrics->unpinned), "%s",
		 config->unpinned == NULL ? "" : config->unpinned);
	pthread_mutex_init(&metrics->lock, NULL);
	metrics_ready(metrics, "starting");
	fd = listen_on(&config->endpoint, why);
	if (fd < 0) {
		free(metrics);
		return fd;
	}
	metrics->http = start_http(metrics, fd, &config->cpus);
	if (metrics->http == NULL) { /* it says no reason */
		close(fd);
		free(metrics);
		return err;
	}
	*out = metrics;
	return 0;
}

void metrics_ready(struct metrics *metrics, const char *why_not)
{
	if (metrics == NULL)
		return;
	pthread_mutex_lock(&metrics->lock);
	snprintf(metrics->why_not, sizeof(metrics->why_not), "%s", why_not == NULL ? "" : why_not);
	pthread_mutex_unlock(&metrics->lock);
}

void metrics_stop(struct metrics *metrics)
{
	if (metrics == NULL)
		return;
	MHD_stop_daemon(metrics->http);
	forget_maps(metrics);
	free(metrics);
}
